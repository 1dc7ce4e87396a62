"""Tables that fit the width of a terminal; in a pipe nothing is cut."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

from tcptop.report.as_text import align_columns

INDENT = 2
GAP = 2
MIN_CELL_COLUMNS = 8
"""No cell is cut below this width."""

CellRows = Sequence[Sequence[str]]


def terminal_columns() -> int | None:
    """Columns of the terminal on standard output; None if that is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def table_width(lines: CellRows) -> int:
    """Width of a table in columns."""
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return INDENT + sum(widths) + GAP * (len(widths) - 1)


def fits(lines: CellRows, columns: int | None) -> bool:
    """Whether a table fits into this width; any does if `columns` is None."""
    return columns is None or table_width(lines) <= columns


def fit_to_width(
    lines: CellRows, left: Sequence[bool], columns: int | None, least_important: Sequence[str]
) -> Iterator[str]:
    """The lines of a table that is made to fit: columns are dropped first, then the cells of the first column are cut.

    Args:
        lines: the rows of cells; the first one holds the titles.
        left: for each column, whether it is aligned left; missing ones are aligned right.
        columns: width of the terminal; None for any width.
        least_important: titles of the columns that may be dropped, in this order.

    """
    remaining = list(range(len(lines[0])))
    for title in least_important:
        if fits(_select_columns(lines, remaining), columns):
            break
        remaining = [at for at in remaining if lines[0][at] != title]
    narrow = _select_columns(lines, remaining)
    if columns is not None and not fits(narrow, columns):
        longest = max(len(cells[0]) for cells in narrow)
        most = max(MIN_CELL_COLUMNS, longest - (table_width(narrow) - columns))
        narrow = [[cut_text(cells[0], most), *cells[1:]] for cells in narrow]
    yield from align_columns(narrow, [at < len(left) and left[at] for at in remaining])


def cut_text(text: str, most: int) -> str:
    """The text, cut to at most this length; a cut text ends in two dots."""
    return text if len(text) <= most else f"{text[: most - 2]}.."


def _select_columns(lines: CellRows, indices: Sequence[int]) -> list[list[str]]:
    return [[cells[at] for at in indices] for cells in lines]
