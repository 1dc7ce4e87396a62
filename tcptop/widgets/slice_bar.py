"""Bar of the parts of a sum, and a legend that has the same order, fill characters and colours as the bar."""

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
    """The fill character and the role of a slice.

    Adjacent slices differ in fill character and in role, so that the bar is readable without colour.
    """
    return IDLE_LOOK if label == "idle" else SLICE_LOOKS[index % len(SLICE_LOOKS)]


def slice_bar(slices: Sequence[Slice], columns: int) -> Line:
    """A bar of exactly `columns` columns.

    The ends of the slices are rounded, not the lengths, so that the lengths add up to the length of the bar.
    """
    total = sum(part.bytes for part in slices)
    if total <= 0 or columns <= 0:
        return ()
    pieces: list[Piece] = []
    end_bytes, begin = 0.0, 0
    for index, part in enumerate(slices):
        end_bytes += part.bytes
        end = round(columns * end_bytes / total)
        if end > begin:
            fill, role = slice_look(index, part.label)
            pieces.append((fill * (end - begin), role))
            begin = end
    return tuple(pieces)


def slice_legend(
    slices: Sequence[Slice], missing: Sequence[str], columns: int, selected: str | None = None
) -> list[Line]:
    """The legend: each slice with its bytes, then the names of missing parts.

    The slice labelled `selected` is marked.
    """
    entries: list[Line] = [
        (
            slice_look(index, part.label),
            (f" {part.label} ", "cursor" if part.label == selected else "text"),
            (units.exact_bytes(part.bytes), "strong"),
        )
        for index, part in enumerate(slices)
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
