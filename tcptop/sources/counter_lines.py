"""Pairs of lines with counters: a line with names and a line with values, both after the same label."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tcptop.sources.source import Damage, parse_count, report_repeated

BELOW_ZERO = 1 << 63
"""Smallest printed value that means a negative number.

A sum of per-CPU counters that change during the read may be slightly below 0, and the kernel prints it as unsigned.
"""

HEXADECIMAL_DIGITS = frozenset("0123456789abcdefABCDEF")


def parse_counter_lines(
    lines: Sequence[str], label: str, wanted: Collection[str], damages: list[Damage]
) -> dict[str, int]:
    """The wanted counters by name, from all pairs of lines that begin with `label`.

    A name that no pair has, or whose value is not a count, is left out. Pairs whose lines have different numbers of
    fields are left out, and a last line without a pair.

    Raises:
        ValueError: if there is no whole pair.

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
    """The value of a counter in decimal or, with base 16, in hexadecimal; None, with damage, if it is not a count."""
    try:
        count = parse_count(text) if base == 10 else parse_hexadecimal(text)
    except ValueError:
        count = BELOW_ZERO
    if count >= BELOW_ZERO:
        damages.append(Damage("strange", f"{name} is not a count"))
        return None
    return count


def parse_hexadecimal(text: str) -> int:
    """Parses an unsigned hexadecimal number of at most 16 digits without a prefix; raises ValueError otherwise."""
    if len(text) > 16 or not HEXADECIMAL_DIGITS.issuperset(text):
        raise ValueError(f"not a count: {text!r}")
    return int(text, 16)
