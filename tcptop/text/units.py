"""Formats numbers with their units: counts, bytes (`72.4 MiB`, `43.31M`), shares, rates and times."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

UNKNOWN = "–"

ROUNDING_ERROR = 1e-9
"""Added to a value before rounding down, since 0.29 * 100 is slightly less than 29 as a float."""

BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
SHORT_UNITS = ("", "K", "M", "G", "T", "P")
DECIMAL_UNITS = ("", "k", "M", "G", "T", "P")


def grouped(number: int) -> str:
    """A number in groups of three digits, separated by spaces: `18 002`."""
    return f"{number:,}".replace(",", " ")


def count(number: int | None) -> str:
    """A count with all its digits: `18 002`."""
    return UNKNOWN if number is None else grouped(number)


def rough_count(number: int | None) -> str:
    """An estimate rounded down to three significant digits, since further digits would only flicker on the screen."""
    if number is None:
        return UNKNOWN
    step = 10 ** max(0, len(str(abs(number))) - 3)
    return grouped(number // step * step)


def short_count(number: int | None, width: int) -> str:
    """A count in full if it fits the width, else in thousands, millions and so on, rounded down: `351k`."""
    if number is None:
        return UNKNOWN
    text = str(number)
    step = 0
    while len(text) > width and step + 1 < len(DECIMAL_UNITS) and number >= 1000 ** (step + 1):
        step += 1
        text = f"{number // 1000**step}{DECIMAL_UNITS[step]}"
    return text


def exact_bytes(amount: float | None) -> str:
    """An amount in bytes, rounded to the nearest byte: `3 829`."""
    return UNKNOWN if amount is None else grouped(round(amount))


def size(amount: float | None) -> str:
    """An amount of memory with its unit: `72.4 MiB`."""
    value, unit = _scaled(amount, BINARY_UNITS)
    return UNKNOWN if value is None else f"{value} {unit}"


def size_range(low: float | None, high: float | None) -> str:
    """Both ends of a range of memory; a unit common to both ends is written once: `28.4 to 33.4 MiB`."""
    start, end = size(low), size(high)
    if start.rpartition(" ")[2] == end.rpartition(" ")[2]:
        start = start.rpartition(" ")[0]
    return f"{start} to {end}"


def bounded(bounds: tuple[float, float] | None, format_amount: Callable[[float], str], gap: str = " ") -> str:
    """An amount between two bounds: `≥ 3 829` if the upper bound is infinite, `≤ 3 829` if the lower bound is 0.

    Other bounds are shown as the lower bound, after `≈` if the bounds differ when rounded to whole numbers.
    """
    if bounds is None:
        return UNKNOWN
    low, high = bounds
    if high == inf:
        return f"≥{gap}{format_amount(low)}"
    if round(high) <= round(low):
        return format_amount(low)
    return f"≈{gap}{format_amount(low)}" if low else f"≤{gap}{format_amount(high)}"


def span(bounds: tuple[float, float], format_amount: Callable[[float], str]) -> str:
    """Both bounds, `12 to 14`; a single text, `12`, if both bounds are formatted alike."""
    low, high = map(format_amount, bounds)
    return low if low == high else f"{low} to {high}"


def short_size(amount: float | None) -> str:
    """An amount of memory as slabtop writes it: `2.31K`, `43.31M`; exact below 1 KiB."""
    if amount is None:
        return UNKNOWN
    if amount < 1024:
        return f"{round(amount)}B"
    step = 0
    while round(amount) >= 1024 and step + 1 < len(SHORT_UNITS):
        amount /= 1024
        step += 1
    text = f"{amount:.2f}"
    return f"{text if len(text) < 6 else f'{amount:.0f}'}{SHORT_UNITS[step]}"


def compact_size(amount: float | None) -> str:
    """An amount of memory in at most four characters, rounded down: `0`, `4K`, `1.2G`, `311M`."""
    if amount is None:
        return UNKNOWN
    step = 0
    while amount >= 1000 and step + 1 < len(SHORT_UNITS):
        amount /= 1024
        step += 1
    tenths = int(amount * 10) / 10
    text = f"{tenths:.1f}" if step and tenths < 10 and tenths != int(tenths) else f"{int(amount)}"
    return f"{text}{SHORT_UNITS[step]}"


def page_order_size(order: int, page_bytes: int | None) -> str:
    """The size of a block of 2^order pages, `32K`; the order, `o3`, if the page size is unknown."""
    if page_bytes is None:
        return f"o{order}"
    amount, step = page_bytes << order, 0
    while amount >= 1024 and step + 1 < len(SHORT_UNITS):
        amount //= 1024
        step += 1
    return f"{amount}{SHORT_UNITS[step]}"


def percent(share: float | None) -> str:
    """A share from 0 to 1 as a whole percentage, rounded down, so that only a share of 1 is `100%`."""
    return UNKNOWN if share is None else f"{int(share * 100 + ROUNDING_ERROR)}%"


def hundredths(share: float) -> str:
    """A share from 0 to 1 in three characters, `.07`, rounded down, so that only a share of 1 is `1.0`."""
    return "1.0" if share >= 1 else f".{int(share * 100 + ROUNDING_ERROR):02}"


def signed_rate(per_second: float | None) -> str:
    """A change per second with its sign: `+120`, `0`."""
    if per_second is None:
        return UNKNOWN
    whole = round(per_second)
    return f"{'+' if whole > 0 else '-' if whole < 0 else ''}{short_count(abs(whole), 6)}"


def signed_count(change: float) -> str:
    """A difference of counts with its sign: `+1 204`, `0`."""
    whole = round(change)
    return f"{'+' if whole > 0 else '-' if whole < 0 else ''}{grouped(abs(whole))}"


def signed_size(change: float) -> str:
    """A difference of memory with its sign, as slabtop writes sizes: `+2.31M`."""
    if not round(change):
        return "0"
    return f"{'+' if change > 0 else '-'}{short_size(abs(change))}"


def seconds(amount: float | None) -> str:
    """A duration in seconds, minutes or hours: `0.5 s`, `3 min`, `8.5 h`."""
    if amount is None:
        return UNKNOWN
    if amount >= 7200:
        return f"{amount / 3600:.1f} h"
    if amount >= 120:
        return f"{amount / 60:.0f} min"
    return f"{amount:g} s"


def _scaled(amount: float | None, units: tuple[str, ...]) -> tuple[str | None, str]:
    if amount is None:
        return None, ""
    step = 0
    while round(abs(amount)) >= 1024 and step + 1 < len(units):
        amount /= 1024
        step += 1
    if not step:
        return grouped(round(amount)), units[0]
    return (f"{amount:.1f}" if abs(amount) < 1000 else f"{amount:.0f}"), units[step]
