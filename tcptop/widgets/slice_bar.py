"""A sum as a bar of its slices, and the same as text, in the same order and looks."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import Slice
from tcptop.text import units
from tcptop.text.line import Line, Piece, Role
from tcptop.widgets.cell_width import line_width

SLICE_LOOKS: tuple[tuple[str, Role], ...] = (
    ("█", "slice-1"),
    ("▓", "slice-2"),
    ("▒", "slice-3"),
    ("█", "slice-4"),
    ("▓", "slice-5"),
    ("▒", "slice-1"),
    ("░", "slice-2"),
)
IDLE_LOOK: tuple[str, Role] = ("░", "idle")


def slice_look(index: int, label: str) -> tuple[str, Role]:
    """The fill and the role of the slice at a place: neighbours differ in both, so that colour is not needed."""
    return IDLE_LOOK if label == "idle" else SLICE_LOOKS[index % len(SLICE_LOOKS)]


def slice_bar(slices: Sequence[Slice], columns: int) -> Line:
    """The slices as stretches of a bar that is exactly so long; ends are rounded, so that they add up."""
    total = sum(each.bytes for each in slices)
    if total <= 0 or columns <= 0:
        return ()
    pieces: list[Piece] = []
    done, at = 0.0, 0
    for index, each in enumerate(slices):
        done += each.bytes
        end = round(columns * done / total)
        if end > at:
            fill, role = slice_look(index, each.label)
            pieces.append((fill * (end - at), role))
            at = end
    return tuple(pieces)


def slice_legend(
    slices: Sequence[Slice], missing: Sequence[str], columns: int, chosen: str | None = None
) -> list[Line]:
    """Each slice with its bytes, on as many lines as it takes, the chosen one marked; then what is missing."""
    entries: list[Line] = [
        (
            (slice_look(index, each.label)[0], slice_look(index, each.label)[1]),
            (f" {each.label} ", "cursor" if each.label == chosen else "text"),
            (units.exact_bytes(each.bytes), "strong"),
        )
        for index, each in enumerate(slices)
    ]
    entries += [(("?", "warning"), (f" {name}", "text")) for name in missing]
    lines: list[Line] = []
    current: Line = ()
    for entry in entries:
        longer = (*current, ("  ", "text"), *entry) if current else entry
        if current and line_width(longer) > columns:
            lines.append(current)
            longer = entry
        current = longer
    return [*lines, current] if current else lines
