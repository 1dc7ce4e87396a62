"""Tables and notes on a terminal: no line is longer than it is wide. In a pipe nothing is cut or wrapped."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from tcptop.report.as_text import align_columns

INDENT = 2
GAP = 2
MIN_CELL_COLUMNS = 8
"""No cell is cut to less than this."""

CellRows = Sequence[Sequence[str]]


def terminal_columns() -> int | None:
    """How wide the terminal on standard output is; None where that is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def table_width(lines: CellRows) -> int:
    """How wide a table is."""
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return INDENT + sum(widths) + GAP * (len(widths) - 1)


def fits(lines: CellRows, columns: int | None) -> bool:
    """Whether a table needs no other form."""
    return columns is None or table_width(lines) <= columns


def fit_to_width(
    lines: CellRows, left: Sequence[bool], columns: int | None, least_important: Sequence[str]
) -> Iterator[str]:
    """A table without as many of its columns, named by their titles, as it takes to fit; then with its names cut."""
    kept = list(range(len(lines[0])))
    for title in least_important:
        if fits(_select_columns(lines, kept), columns):
            break
        kept = [at for at in kept if lines[0][at] != title]
    shown = _select_columns(lines, kept)
    if columns is not None and not fits(shown, columns):
        longest = max(len(cells[0]) for cells in shown)
        most = max(MIN_CELL_COLUMNS, longest - (table_width(shown) - columns))
        shown = [[cut_text(cells[0], most), *cells[1:]] for cells in shown]
    yield from align_columns(shown, [at < len(left) and left[at] for at in kept])


def cut_text(text: str, most: int) -> str:
    """A text that is no longer than that, with dots where it ends early."""
    return text if len(text) <= most else f"{text[: most - 2]}.."


def wrap_note(text: str, columns: int | None, indent: str = "") -> Iterator[str]:
    """A note on as many lines as it takes."""
    if columns is None or len(indent) + len(text) <= columns:
        yield f"{indent}{text}"
    else:
        yield from textwrap.wrap(
            text,
            max(columns, 2 * MIN_CELL_COLUMNS),
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_on_hyphens=False,
        )


def _select_columns(lines: CellRows, kept: Sequence[int]) -> list[list[str]]:
    return [[cells[at] for at in kept] for cells in lines]
