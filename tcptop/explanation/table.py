"""Tables of an explanation: figures to the right, and one last column of words that wraps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tcptop.text_line import Line, Piece, Role, broken

GAP = "  "
LEAST_WORDS = 24


@dataclass(frozen=True, slots=True)
class TableRow:
    """The cells of one row, its words, and a note below it."""

    cells: tuple[str, ...]
    words: str = ""
    note: str = ""
    role: Role = "text"


def table(titles: Sequence[str], left: Sequence[bool], rows: Sequence[TableRow], columns: int) -> list[Line]:
    """The lines of a table. `titles` has one title more than a row has cells: that of the words."""
    widths = [max(map(len, cells)) for cells in zip(titles[:-1], *(row.cells for row in rows), strict=True)]
    used = 1 + sum(widths) + len(GAP) * len(widths)
    room = columns - used
    lines: list[Line] = [((_cells(titles[:-1], widths, left) + (titles[-1] if room >= LEAST_WORDS else ""), "head"),)]
    for row in rows:
        # Words that have no room beside the figures stand below them, as a note does.
        beside = broken(row.words, room) if room >= LEAST_WORDS and row.words else []
        first: list[Piece] = [(_cells(row.cells, widths, left), row.role)]
        if beside:
            first.append((beside[0], "dim"))
        lines.append(tuple(first))
        lines += [((" " * used, "text"), (text, "dim")) for text in beside[1:]]
        below = [row.note] if beside or not row.words else [row.words, row.note]
        for text in filter(None, below):
            lines += [(("     ", "text"), (part, "dim")) for part in broken(text, max(20, columns - 5))]
    return lines


def fact(title: str, text: str, columns: int, width: int = 11, role: Role = "text") -> list[Line]:
    """A title, and a text that wraps beside it."""
    texts = broken(text, max(20, columns - width - 2))
    return [((f" {title if not at else '':<{width}} ", "dim"), (part, role)) for at, part in enumerate(texts)]


def _cells(texts: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    return " " + "".join(
        (text.ljust(width) if on_left else text.rjust(width)) + GAP
        for text, width, on_left in zip(texts, widths, left, strict=True)
    )
