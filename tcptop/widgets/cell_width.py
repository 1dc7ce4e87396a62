"""Lines of text fitted to the columns of a terminal, where a character may take two."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from tcptop.text.line import Line, Piece


def cell_width(text: str) -> int:
    """The columns that a text takes on a terminal; most are plain, and then this is all there is to ask."""
    return len(text) if text.isascii() else cell_len(text)


def line_width(line: Line) -> int:
    """The columns that a line takes on a terminal."""
    return sum(cell_width(text) for text, _ in line)


def crop_line(line: Line, columns: int) -> Line:
    """The line, cut off at a width; a wide character that does not fit whole leaves a space."""
    pieces: list[Piece] = []
    left = columns
    for text, role in line:
        size = cell_width(text)
        if size > left:
            if left > 0:
                pieces.append((set_cell_size(text, left), role))
            break
        pieces.append((text, role))
        left -= size
    return tuple(pieces)


def fit_text(text: str, columns: int, left: bool = True) -> str:
    """A text at exactly a width: cut off with an ellipsis, or filled up on one side."""
    size = cell_width(text)
    if size > columns:
        return f"{set_cell_size(text, columns - 1)}…" if columns > 1 else set_cell_size(text, columns)
    space = " " * (columns - size)
    return text + space if left else space + text


def join_ends(left: Sequence[Piece], right: Sequence[Piece], columns: int) -> Line:
    """Two ends of one line; the left one gives way where both do not fit."""
    right = crop_line(tuple(right), columns)
    room = columns - line_width(right)
    start = (
        tuple(left)
        if line_width(tuple(left)) < room
        else (*crop_line(tuple(left), max(0, room - 2)), ("… "[:room], "text"))
    )
    return (*start, (" " * (room - line_width(start)), "text"), *right)
