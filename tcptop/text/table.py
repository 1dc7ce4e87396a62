"""Tables of an explanation: figures to the right, and one last column of words that wraps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tcptop.text.line import Line, Piece, Role, wrap_text
from tcptop.text.units import UNKNOWN

GAP = "  "
LEAST_WORDS = 24
"""Where there is less room beside the figures, longer words stand below them."""
EMPTY_CELLS = ("", UNKNOWN)
"""What no note is made of."""


class TableRow(NamedTuple):
    """The cells of one row, its words, and a note below it."""

    cells: tuple[str, ...]
    words: str = ""
    note: str = ""
    role: Role = "text"


def table_lines(
    titles: Sequence[str],
    left_aligned: Sequence[bool],
    rows: Sequence[TableRow],
    columns: int,
    movable: Sequence[int] = (),
) -> list[Line]:
    """The lines of a table. `titles` has one title more than a row has cells: that of the words.

    Where the cells are too wide, those of the `spare` columns go into the notes, one column after the other, but for
    what is not known. Where that is not enough, a row's name stands above its figures.
    """
    kept = list(range(len(left_aligned)))
    widths = [max(map(len, cells)) for cells in zip(titles[:-1], *(row.cells for row in rows), strict=True)]
    moved: list[int] = []
    for at in movable:
        if _width(widths, kept) > columns:
            kept.remove(at)
            moved.append(at)
    is_stacked = _width(widths, kept) > columns
    if is_stacked:
        kept = kept[1:]
    used = _width(widths, kept)
    room = columns - used
    is_wide = not is_stacked and room >= min(LEAST_WORDS, max((len(row.words) for row in rows), default=0))
    beside_title = titles[-1] if is_wide else ""
    lines: list[Line] = [((f" {titles[0]}", "head"),)] if is_stacked else []
    lines.append(((_cells(titles, widths, left_aligned, kept) + beside_title, "head"),))
    for row in rows:
        # Words that have no room beside the figures stand below them, as a note does.
        beside = wrap_text(row.words, room) if is_wide and row.words else []
        if is_stacked:
            lines += [((f" {name}", row.role),) for name in wrap_text(row.cells[0], columns - 1)]
        first: list[Piece] = [(_cells(row.cells, widths, left_aligned, kept), row.role)]
        if beside:
            first.append((beside[0], "dim"))
        lines.append(tuple(first))
        lines += [((" " * used, "text"), (text, "dim")) for text in beside[1:]]
        cells = ", ".join(f"{titles[at].lower()} {row.cells[at]}" for at in moved if row.cells[at] not in EMPTY_CELLS)
        below = [cells, "" if beside else row.words, row.note]
        for text in filter(None, below):
            lines += [(("     ", "text"), (part, "dim")) for part in wrap_text(text, max(20, columns - 5))]
    return lines


def fact_lines(title: str, text: str, columns: int, width: int = 11, role: Role = "text") -> list[Line]:
    """A title, and a text that wraps beside it."""
    texts = wrap_text(text, max(20, columns - width - 2))
    return [((f" {title if not at else '':<{width}} ", "dim"), (part, role)) for at, part in enumerate(texts)]


def _width(widths: Sequence[int], kept: Sequence[int]) -> int:
    return 1 + sum(widths[at] + len(GAP) for at in kept)


def _cells(texts: Sequence[str], widths: Sequence[int], left_aligned: Sequence[bool], kept: Sequence[int]) -> str:
    return " " + "".join(
        (texts[at].ljust(widths[at]) if left_aligned[at] else texts[at].rjust(widths[at])) + GAP for at in kept
    )
