"""Tables of the explanation pages: columns of figures, and a last column of text that wraps."""

from collections.abc import Sequence
from typing import NamedTuple

from tcptop.text.line import Line, Piece, Role, wrap_text
from tcptop.text.units import UNKNOWN

GAP = "  "
MIN_TEXT_CHARACTERS = 24
"""The narrowest last column, in characters; with less room, a longer text goes below the figures."""
EMPTY_CELLS = ("", UNKNOWN)
"""Cells that are left out of a note."""


class TableRow(NamedTuple):
    """The cells of one row, the text in the last column, and a note below the row."""

    cells: tuple[str, ...]
    text: str = ""
    note: str = ""
    role: Role = "text"


def table_lines(
    titles: Sequence[str],
    left_aligned: Sequence[bool],
    rows: Sequence[TableRow],
    columns: int,
    movable: Sequence[int] = (),
) -> list[Line]:
    """The lines of a table.

    If the cells are too wide, the cells of the `movable` columns move into the notes, one column after the other, and
    unknown ones are dropped. If that is not enough, each row's name goes above its figures.

    Args:
        titles: the headings; one more than a row has cells, for the text.
        left_aligned: for each column of cells, whether it is aligned to the left.
        rows: the rows.
        columns: the width in characters.
        movable: indices of the columns that may move into the notes, the first to move first.

    """
    visible = list(range(len(left_aligned)))
    widths = [max(map(len, cells)) for cells in zip(titles[:-1], *(row.cells for row in rows), strict=True)]
    moved: list[int] = []
    for index in movable:
        if _width(widths, visible) > columns:
            visible.remove(index)
            moved.append(index)
    is_stacked = _width(widths, visible) > columns
    if is_stacked:
        visible = visible[1:]
    cells_columns = _width(widths, visible)
    text_columns = columns - cells_columns
    is_wide = not is_stacked and text_columns >= min(
        MIN_TEXT_CHARACTERS, max((len(row.text) for row in rows), default=0)
    )
    beside_title = titles[-1] if is_wide else ""
    lines: list[Line] = [((f" {titles[0]}", "head"),)] if is_stacked else []
    lines.append(((_cells(titles, widths, left_aligned, visible) + beside_title, "head"),))
    for row in rows:
        # A text that does not fit beside the figures goes below them, as a note does.
        beside = wrap_text(row.text, text_columns) if is_wide and row.text else []
        if is_stacked:
            lines += [((f" {name}", row.role),) for name in wrap_text(row.cells[0], columns - 1)]
        first: list[Piece] = [(_cells(row.cells, widths, left_aligned, visible), row.role)]
        if beside:
            first.append((beside[0], "dim"))
        lines.append(tuple(first))
        lines += [((" " * cells_columns, "text"), (text, "dim")) for text in beside[1:]]
        cells = ", ".join(
            f"{titles[index].lower()} {row.cells[index]}" for index in moved if row.cells[index] not in EMPTY_CELLS
        )
        below = [cells, "" if beside else row.text, row.note]
        for text in filter(None, below):
            lines += [(("     ", "text"), (part, "dim")) for part in wrap_text(text, max(20, columns - 5))]
    return lines


def fact_lines(title: str, text: str, columns: int, width: int = 11, role: Role = "dim") -> list[Line]:
    """A title of that width and role, with a text that wraps to the right of it."""
    texts = wrap_text(text, max(10, columns - width - 2))
    return [((f" {title if not index else '':<{width}} ", role), (part, "text")) for index, part in enumerate(texts)]


def _width(widths: Sequence[int], visible: Sequence[int]) -> int:
    return 1 + sum(widths[index] + len(GAP) for index in visible)


def _cells(texts: Sequence[str], widths: Sequence[int], left_aligned: Sequence[bool], visible: Sequence[int]) -> str:
    return " " + "".join(
        (texts[index].ljust(widths[index]) if left_aligned[index] else texts[index].rjust(widths[index])) + GAP
        for index in visible
    )
