"""Formats changes of counts and bytes with a sign, short enough for a column of a report."""

from __future__ import annotations

from tcptop.comparison.difference import Change
from tcptop.text import units

COUNT_WIDTH = 7


def short_signed_count(more: float | None) -> str:
    """A change of a count with its sign, in at most COUNT_WIDTH + 1 characters: `+16 042`, `+1604k`, `0`."""
    if more is None:
        return units.UNKNOWN
    whole = round(more)
    sign = "+" if whole > 0 else "-" if whole < 0 else ""
    text = units.grouped(abs(whole))
    return f"{sign}{text if len(text) <= COUNT_WIDTH else units.short_count(abs(whole), COUNT_WIDTH - 1)}"


def signed_change(change: Change) -> str:
    """A change with its sign: of a count, `+16 042`, or of bytes in slabtop's style, `+2.31M`."""
    if change.increase is None:
        return units.UNKNOWN
    return units.signed_size(change.increase) if change.unit == "bytes" else short_signed_count(change.increase)
