"""Tables and notes on a terminal: no line is longer than it is wide. In a pipe nothing is cut or wrapped."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from tcptop.report.as_text import align_columns

INDENT = 2
GAP = 2
LEAST_CELL = 8
"""No cell is cut to less than this."""

Lines = Sequence[Sequence[str]]


def terminal_columns() -> int | None:
    """How wide the terminal on standard output is; None where that is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def width_of(lines: Lines) -> int:
    """How wide a table is."""
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return INDENT + sum(widths) + GAP * (len(widths) - 1)


def fits(lines: Lines, columns: int | None) -> bool:
    """Whether a table needs no other form."""
    return columns is None or width_of(lines) <= columns


def fitted(lines: Lines, left: Sequence[bool], columns: int | None, least_important: Sequence[str]) -> Iterator[str]:
    """A table without as many of its columns, named by their titles, as it takes to fit; then with its names cut."""
    kept = list(range(len(lines[0])))
    for title in least_important:
        if fits(_of(lines, kept), columns):
            break
        kept = [at for at in kept if lines[0][at] != title]
    shown = _of(lines, kept)
    if columns is not None and not fits(shown, columns):
        longest = max(len(cells[0]) for cells in shown)
        most = max(LEAST_CELL, longest - (width_of(shown) - columns))
        shown = [[cut(cells[0], most), *cells[1:]] for cells in shown]
    yield from align_columns(shown, [at < len(left) and left[at] for at in kept])


def cut(text: str, most: int) -> str:
    """A text that is no longer than that, with dots where it ends early."""
    return text if len(text) <= most else f"{text[: most - 2]}.."


def wrapped(text: str, columns: int | None, indent: str = "") -> Iterator[str]:
    """A note on as many lines as it takes."""
    if columns is None or len(indent) + len(text) <= columns:
        yield f"{indent}{text}"
    else:
        yield from textwrap.wrap(
            text,
            max(columns, 2 * LEAST_CELL),
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_on_hyphens=False,
        )


def _of(lines: Lines, kept: Sequence[int]) -> list[list[str]]:
    return [[cells[at] for at in kept] for cells in lines]
