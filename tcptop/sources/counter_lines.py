"""Pairs of lines with counters: a line with names and a line with values.

The two lines of a pair begin with the same label.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tcptop.sources.source import Damage, parse_count, report_repeated
from tcptop.text.printable import quoted

BELOW_ZERO = 1 << 63
"""A printed number of at least 2^63 is a negative sum.

Per-CPU counters change while the kernel sums them, so the sum may be slightly below 0. The kernel prints the sum as an
unsigned number.
"""

HEXADECIMAL_DIGITS = frozenset("0123456789abcdefABCDEF")


def parse_counter_lines(
    lines: Sequence[str], label: str, wanted: Collection[str], damages: list[Damage]
) -> dict[str, int]:
    """The values of the wanted counters by name, from all pairs of lines that begin with `label`.

    A pair is left out if its two lines have different numbers of fields. If the number of lines is odd, the last line
    is left out. A wanted counter is left out if no pair names the counter, or if the counter's value is not a count. If
    the second line of a pair contains the name of a wanted counter, the lines of the pair were exchanged. Exchanged
    lines are recorded as damage.

    Raises:
        ValueError: if no complete pair is found.

    """
    rows = [line for line in lines if line.split(None, 1)[:1] == [label]]
    if len(rows) < 2:
        raise ValueError(f"fewer than two lines begin with {label}")
    counters: dict[str, int] = {}
    seen: set[str] = set()
    repeated: list[str] = []
    whole = 0
    for header, line in zip(rows[::2], rows[1::2], strict=False):
        names, values = header.split(), line.split()
        if len(names) != len(values):
            continue
        whole += 1
        if any(value in wanted for value in values):
            damages.append(Damage("strange", f"a {label} line of values has names of counters"))
        for name, value in zip(names, values, strict=True):
            if name not in wanted:
                continue
            if name in seen:
                repeated.append(name)
                continue
            seen.add(name)
            count = parse_counter(name, value, damages)
            if count is not None:
                counters[name] = count
    if not whole:
        raise ValueError(f"the two {label} lines have different numbers of fields")
    if whole * 2 < len(rows):
        damages.append(Damage("strange", f"{label} lines without a line of as many fields are left out"))
    report_repeated(repeated, damages)
    return counters


def parse_counter(name: str, text: str, damages: list[Damage], base: int = 10) -> int | None:
    """Parses a counter's value: a decimal number, or a hexadecimal number if `base` is 16.

    Returns None and adds damage to `damages` if the value is not a count.
    """
    try:
        count = parse_count(text) if base == 10 else parse_hexadecimal(text)
    except ValueError:
        count = BELOW_ZERO
    if count >= BELOW_ZERO:
        damages.append(Damage("strange", f"{name} is not a count"))
        return None
    return count


def parse_hexadecimal(text: str) -> int:
    """Parses an unsigned hexadecimal number of at most 16 digits, without a prefix.

    Raises ValueError for any other text.
    """
    if len(text) > 16 or not HEXADECIMAL_DIGITS.issuperset(text):
        raise ValueError(f"not a count: {quoted(text)}")
    return int(text, 16)
