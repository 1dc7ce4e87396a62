"""Formats numbers with their units: counts, bytes (`72.4 MiB`, `43.31M`), shares, rates and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, inf
from typing import Protocol

UNKNOWN = "–"

ROUNDING_ERROR = 1e-9
"""A small number that is added to a value before the value is rounded down, since 0.29 * 100 as a float is slightly
less than 29.
"""

SHORT_UNITS = ("", "K", "M", "G", "T", "P")
DECIMAL_UNITS = ("", "k", "M", "G", "T", "P")
ROUNDED_LIMIT = 1023.5
"""An amount of at least this number would be rounded to 1024, and is therefore shown in the next larger unit."""
MAX_IN_SMALLER_UNIT = 10_000
"""If the two ends of a range have different units, both ends are converted to the smaller unit. If the upper end is
then at least this number, both ends are converted to the larger unit instead.
"""


class BoundFormat(Protocol):
    """A function that formats an amount: to the nearest, or down for a lower bound, or up for an upper bound."""

    def __call__(self, amount: float, up: bool | None = None, /) -> str:
        """The amount as text. `up` is True for an upper bound, False for a lower bound, None for the nearest text."""
        ...


def round_bound(amount: float, up: bool | None = None, decimals: int = 0) -> float:
    """An amount with `decimals` decimal places: rounded up if `up` is True, down if False, else to the nearest."""
    if up is None:
        return round(amount, decimals)
    factor = 10.0**decimals
    return (ceil(amount * factor - ROUNDING_ERROR) if up else floor(amount * factor + ROUNDING_ERROR)) / factor


def grouped(number: int) -> str:
    """A number in groups of three digits, separated by spaces: `18 002`."""
    return f"{number:,}".replace(",", " ")


def plain_number(number: float) -> str:
    """A number to nine decimal places, without an exponent and without trailing zeros: `80`, `97.5`, `0.00001`."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def count(number: int | None) -> str:
    """A count with all its digits: `18 002`."""
    return UNKNOWN if number is None else grouped(number)


def rough_count(number: int | None, up: bool = False) -> str:
    """An estimate rounded down to three significant digits, since further digits would only flicker on the screen.

    `up` is True for an upper bound, which is rounded up.
    """
    if number is None:
        return UNKNOWN
    step = 10 ** max(0, len(str(abs(number))) - 3)
    return grouped((-(-number // step) if up else number // step) * step)


def short_count(number: int | None, width: int, up: bool = False) -> str:
    """A count with all its digits if they fit the width; otherwise in a larger unit, rounded down: `351k`.

    `up` is True for an upper bound, which is rounded up.
    """
    if number is None:
        return UNKNOWN
    text = str(number)
    step = 0
    while len(text) > width and step + 1 < len(DECIMAL_UNITS) and number >= 1000 ** (step + 1):
        step += 1
        text = f"{-(-number // 1000**step) if up else number // 1000**step}{DECIMAL_UNITS[step]}"
    return text


def exact_bytes(amount: float | None, up: bool | None = None) -> str:
    """An amount in whole bytes: `3 829`. Rounded to the nearest; a bound is rounded as `round_bound` does."""
    return UNKNOWN if amount is None else grouped(round(round_bound(amount, up)))


def tenths_of_bytes(amount: float, up: bool | None = None) -> str:
    """An amount in bytes with one decimal place: `2 520.6`. A bound is rounded as `round_bound` does."""
    return f"{round_bound(amount, up, 1):,.1f}".replace(",", " ")


def size(amount: float | None, up: bool | None = None) -> str:
    """An amount of memory with its unit: `72.4 MiB`. Rounded to the nearest; a bound as `round_bound` does."""
    if amount is None:
        return UNKNOWN
    value, unit = _scale(amount, ROUNDED_LIMIT)
    if not unit:
        return f"{grouped(round(round_bound(value, up)))} B"
    if abs(value) < 1000:
        return f"{round_bound(value, up, 1):.1f} {unit}iB"
    return f"{round_bound(value, up):.0f} {unit}iB"


def short_figure(amount: float, up: bool | None = None) -> tuple[str, str]:
    """An amount of memory in at most three digits, and its unit: `3.3` and `GiB`, `756` and `MiB`.

    Rounded to the nearest; a bound as `round_bound` does.
    """
    value, unit = _scale(amount, 999.5)
    decimals = 1 if unit and value < 9.95 else 0
    return f"{round_bound(value, up, decimals):.{decimals}f}", f"{unit}iB" if unit else "B"


def size_range(
    low: float | None, high: float | None, *, likely: float | None = None, whole: float | None = None
) -> str:
    """Both ends of a range of memory, with one unit at the end: `28.4 to 33.4 MiB`, `1 018 to 1 039 MiB`.

    The lower end is rounded down, and the upper end up. A lower end that would be 0.0 in the unit of the upper end
    keeps a unit of its own.

    `likely` is an amount within the range that is printed before it; with a lower end of 0, the upper end has its unit.
    `whole` is the amount that the range is a part of. It is rounded to the nearest, and so is an upper end that would
    otherwise be shown above it.
    """
    start, end = size(low, False), size(high, True)
    if whole is not None and high is not None and high <= whole and end == size(whole, True):
        end = size(whole)
    unit, high_unit = (each.rpartition(" ")[2] for each in (start, end))
    if low is None or high is None:
        return f"{start} to {end}"
    if unit == high_unit:
        return f"{start.rpartition(' ')[0]} to {end}"
    unit = size(likely).rpartition(" ")[2] if likely and not low else unit
    first, last = (round(round_bound(each / _unit_bytes(unit), up)) for each, up in ((low, False), (high, True)))
    last = last if whole is None or high > whole else min(last, round(whole / _unit_bytes(unit)))
    if (low or likely) and unit != high_unit and last < MAX_IN_SMALLER_UNIT:
        return f"{grouped(first)} to {grouped(last)} {unit}"
    if not low:
        return f"0 to {end}"
    in_high_unit = round_bound(low / _unit_bytes(high_unit), False, 1)
    return f"{in_high_unit:.1f} to {end}" if in_high_unit else f"{start} to {end}"


def signed_size_range(low: float, high: float) -> str:
    """Both ends of the range of a change in memory, in the unit of the larger one: `-20.9 to +35.8 MiB`.

    The low end is rounded down, and the high end up. Ends that give the same text when rounded to the nearest are one.
    """
    unit = size(max(abs(low), abs(high))).rpartition(" ")[2]
    decimals = 0 if unit == "B" else 1

    def text(amount: float, up: bool | None = None) -> str:
        value = round_bound(amount / _unit_bytes(unit), up, decimals)
        return f"{value:+.{decimals}f}" if value else "0"

    if text(low) == text(high):
        return f"{text(low)} {unit}"
    return f"{text(low, False)} to {text(high, True)} {unit}"


def _unit_bytes(unit: str) -> int:
    """The number of bytes in a unit that `size` prints: 1 for `B`, 1024 for `KiB`."""
    return 1 << 10 * SHORT_UNITS.index(unit.removesuffix("B").removesuffix("i"))


def bounded(bounds: tuple[float, float] | None, format_amount: BoundFormat, gap: str = " ") -> str:
    """An amount between two bounds: `≥ 3 829` if the upper bound is infinite, `≤ 3 829` if the lower bound is 0.

    If both bounds are finite and above 0, only the lower bound is shown. The sign `≈` precedes the lower bound if the
    two bounds, rounded to whole numbers, differ. After `≤`, the bound is rounded up; after `≥`, it is rounded down.
    """
    if bounds is None:
        return UNKNOWN
    low, high = bounds
    if high == inf:
        return f"≥{gap}{format_amount(low, False)}"
    if round(high) <= round(low):
        return format_amount(low)
    return f"≈{gap}{format_amount(low)}" if low else f"≤{gap}{format_amount(high, True)}"


def bounds_span(bounds: tuple[float, float], format_amount: BoundFormat) -> str:
    """Both bounds of an amount, `12 to 14`, the lower one rounded down and the upper one up.

    Only `12` if both bounds give the same text when rounded to the nearest.
    """
    low, high = bounds
    nearest = format_amount(low)
    if nearest == format_amount(high):
        return nearest
    return f"{format_amount(low, False)} to {format_amount(high, True)}"


def span(bounds: tuple[float, float], format_amount: Callable[[float], str]) -> str:
    """Both bounds of a range, `12 to 14`, or only `12` if both bounds give the same text."""
    low, high = map(format_amount, bounds)
    return low if low == high else f"{low} to {high}"


def short_size(amount: float | None, up: bool | None = None) -> str:
    """An amount of memory as slabtop writes sizes: `0`, `2.31K`, `43.31M`. Amounts below 1 KiB are exact.

    Rounded to the nearest; a bound is rounded as `round_bound` does.
    """
    if amount is None:
        return UNKNOWN
    if amount < 1024:
        whole = round(round_bound(amount, up))
        return f"{whole}B" if whole else "0"
    value, unit = _scale(amount, ROUNDED_LIMIT)
    text = f"{round_bound(value, up, 2):.2f}"
    return f"{text if len(text) < 6 else f'{round_bound(value, up):.0f}'}{unit}"


def compact_size(amount: float | None) -> str:
    """An amount of memory in at most four characters, rounded to the nearest: `0`, `4K`, `1.2G`, `311M`."""
    if amount is None:
        return UNKNOWN
    value, unit = _scale(amount, 999.5)
    tenths = round(value, 1)
    text = f"{tenths:.1f}" if unit and tenths < 10 and tenths != int(tenths) else f"{value:.0f}"
    return f"{text}{unit}"


def page_order_size(order: int, page_bytes: int | None) -> str:
    """The size of a block of 2^order pages, such as `32K`; if the page size is unknown, the order, such as `o3`."""
    if page_bytes is None:
        return f"o{order}"
    value, unit = _scale(page_bytes << order, 1024)
    return f"{int(value)}{unit}"


def whole_percent(share: float) -> int:
    """A share from 0 to 1 in whole per cent, rounded down, so that no share seems to reach a threshold too early."""
    return int(share * 100 + ROUNDING_ERROR)


def percent(share: float | None, gap: str = "") -> str:
    """A share from 0 to 1 as a whole percentage, rounded down, so that only a share of 1 is `100%`.

    A share above 0 and below one per cent is `<1%`.
    """
    if share is None:
        return UNKNOWN
    whole = whole_percent(share)
    return f"{whole}{gap}%" if whole or share <= 0 else f"<1{gap}%"


def percent_bound(share: float, up: bool | None = None) -> str:
    """A share in whole per cent, without the sign; a bound is rounded as `round_bound` does.

    To the nearest, a share above 0 and below one per cent is `<1`, and only a share of 1 is `100`.
    """
    if up is not None:
        return str(round(round_bound(share * 100, up)))
    if 0 < share < 0.01:
        return "<1"
    whole = round(share * 100)
    return str(min(99, whole) if share < 1 else max(101, whole) if share > 1 else whole)


def nearest_percent(share: float | None) -> str:
    """A share from 0 to 1 as a whole percentage to the nearest; `<1%` above 0, and `100%` only of a share of 1."""
    if share is None:
        return UNKNOWN
    whole = 100 if share == 1 else min(99, int(share * 100 + 0.5))
    return "<1%" if 0 < share < 0.01 else f"{whole}%"


def percents_of_whole(amounts: Sequence[float], gap: str = "") -> list[str]:
    """The share of each amount in the sum of all amounts, as whole percentages.

    Each is rounded to the nearest, so equal amounts have equal percentages, which may not add up to 100. A share below
    one per cent is `<1%`; only an amount equal to the sum is `100%`.
    """
    total = sum(amounts)
    shares = [amount / total if total else 0.0 for amount in amounts]
    whole = [100 if share == 1 else min(99, int(share * 100 + 0.5)) for share in shares]
    return [f"<1{gap}%" if 0 < share < 0.01 else f"{part}{gap}%" for part, share in zip(whole, shares, strict=True)]


def at_most_percent(share: float) -> str:
    """An upper bound, from 0 to 1, in per cent, rounded up: `≤ 14 %`, and below ten per cent `≤ 5.9 %`.

    A bound of which not even a rounding error is above 0 is `<0.1 %`.
    """
    if 0 < share * 1000 <= ROUNDING_ERROR:
        return "<0.1 %"
    steps = 1 if share * 100 > 10 else 10
    return f"≤ {plain_number(ceil(share * 100 * steps - ROUNDING_ERROR) / steps)} %"


def fine_percent(share: float | None) -> str:
    """A share from 0 to 1 in per cent, rounded down: `14 %`, and below ten per cent `5.9 %`, `0.3 %` or `<0.1 %`."""
    if share is None:
        return f"{UNKNOWN} %"
    tenths = int(share * 1000 + ROUNDING_ERROR)
    if tenths >= 100 or not share:
        return percent(share, " ")
    return f"{tenths / 10:.1f} %" if tenths else "<0.1 %"


def hundredths(share: float) -> str:
    """A share from 0 to 1 in three characters, `.07`, rounded down, so that only a share of 1 is `1.0`."""
    return "1.0" if share >= 1 else f".{int(share * 100 + ROUNDING_ERROR):02}"


def short_signed_count(change: float | None, up: bool | None = None) -> str:
    """A difference of counts, or a change per second, with its sign: `+120`, `0`, or `+1604k` if shortened.

    Shortened towards 0; a bound is rounded as `round_bound` does.
    """
    if change is None:
        return UNKNOWN
    whole = round(change)
    return f"{_sign(change)}{short_count(abs(whole), 6, up is not None and up == (whole > 0))}"


def signed_count(change: float) -> str:
    """A difference of counts with its sign: `+1 204`, `0`."""
    return f"{_sign(change)}{grouped(abs(round(change)))}"


def signed_size(change: float, up: bool | None = None) -> str:
    """A difference of memory with its sign, in the format of slabtop's sizes: `+2.31M`.

    Rounded to the nearest; a bound is rounded as `round_bound` does.
    """
    up_without_sign = up if up is None or change > 0 else not up
    return f"{_sign(change)}{short_size(abs(change), up_without_sign)}" if round(change) else "0"


def signed_rate(per_s: float) -> str:
    """A change of memory per second with its sign, in three digits: `+85.6K/s`, `-1.20M/s`."""
    value, unit = _scale(abs(per_s), 999.5)
    decimals = 0 if not unit else max(0, 2 - (value >= 9.995) - (value >= 99.95))
    return f"{_sign(per_s)}{value:.{decimals}f}{unit or 'B'}/s"


def _sign(change: float) -> str:
    """The sign of a change; empty if the change rounds to 0."""
    whole = round(change)
    return "+" if whole > 0 else "-" if whole < 0 else ""


def counted(number: int | None, noun: str) -> str:
    """A number and its noun, in the singular or the plural: `1 socket`, `2 sockets`, `1 process`, `2 processes`."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count(number)} {noun if number == 1 else plural}"


def seconds(amount: float | None) -> str:
    """A duration in seconds, minutes or hours: `0.5 s`, `3 min`, `8.5 h`."""
    if amount is None:
        return UNKNOWN
    if amount >= 7200:
        return f"{amount / 3600:.1f} h"
    if amount >= 120:
        return f"{amount / 60:.0f} min"
    return f"{amount:g} s"


def ago(age_s: float) -> str:
    """An age as text: `now` below one second, else `5 s ago`."""
    return f"{seconds(round(age_s))} ago" if age_s >= 1 else "now"


def _scale(amount: float, limit: float) -> tuple[float, str]:
    """Converts an amount to the first unit of SHORT_UNITS in which it is below `limit`; returns amount and unit.

    If the amount is not below `limit` in any unit, the last unit is used.
    """
    step = 0
    while abs(amount) >= limit and step + 1 < len(SHORT_UNITS):
        amount /= 1024
        step += 1
    return amount, SHORT_UNITS[step]
