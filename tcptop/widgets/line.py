"""A line of a pane as data: pieces of plain text, each with the role that decides its looks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap
from typing import Literal

from rich.cells import cell_len, set_cell_size

Role = Literal[
    "text",
    "dim",
    "strong",
    "head",
    "accent",
    "warning",
    "slice-1",
    "slice-2",
    "slice-3",
    "slice-4",
    "slice-5",
    "idle",
]
Piece = tuple[str, Role]
Line = tuple[Piece, ...]

DIGIT_GROUP_GAP = re.compile(r"(?<=\d) (?=\d{3}\b)")
NO_BREAK_SPACE = "\u00a0"

EMPTY: Line = ()
WARNING: Piece = ("!  ", "warning")
"""What stands before a sentence that says what is wrong."""


def width(line: Line) -> int:
    """The columns that a line takes on a terminal."""
    return sum(cell_len(text) for text, _ in line)


def text_of(line: Line) -> str:
    """The line without its looks."""
    return "".join(text for text, _ in line)


def cropped(line: Line, columns: int) -> Line:
    """The line, cut off at a width; a wide character that does not fit whole leaves a space."""
    pieces: list[Piece] = []
    left = columns
    for text, role in line:
        size = cell_len(text)
        if size > left:
            if left > 0:
                pieces.append((set_cell_size(text, left), role))
            break
        pieces.append((text, role))
        left -= size
    return tuple(pieces)


def fitted(text: str, columns: int, left: bool = True) -> str:
    """A text at exactly a width: cut off with an ellipsis, or filled up on one side."""
    size = cell_len(text)
    if size > columns:
        return f"{set_cell_size(text, columns - 1)}…" if columns > 1 else set_cell_size(text, columns)
    space = " " * (columns - size)
    return text + space if left else space + text


def between(left: Sequence[Piece], right: Sequence[Piece], columns: int) -> Line:
    """Two ends of one line; the left one gives way where both do not fit."""
    right = cropped(tuple(right), columns)
    room = columns - width(right)
    start = cropped(tuple(left), max(0, room - 1))
    return (*start, (" " * (room - width(start)), "text"), *right)


def wrapped(text: str, columns: int, role: Role, mark: Piece | None = None) -> list[Line]:
    """A sentence on as many lines as it takes, behind a mark; later lines are set in."""
    start = text[: len(text) - len(text.lstrip())] if mark is None else " " * cell_len(mark[0])
    whole_numbers = DIGIT_GROUP_GAP.sub(NO_BREAK_SPACE, text.strip())
    lines = wrap(whole_numbers, max(8, columns - len(start))) or [""]
    return [
        (mark if mark is not None and not index else (start, role), (part.replace(NO_BREAK_SPACE, " "), role))
        for index, part in enumerate(lines)
    ]
