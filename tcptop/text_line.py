"""A line of text as data: pieces, each with the role that decides its looks. Plain text, without colours."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import Literal

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
    "cursor",
]
Piece = tuple[str, Role]
Line = tuple[Piece, ...]

DIGIT_GROUP_GAP = re.compile(r"(?<=\d) (?=\d{3}\b)")
NO_BREAK_SPACE = "\u00a0"

EMPTY: Line = ()
WARNING: Piece = ("!  ", "warning")
"""What stands before a sentence that says what is wrong."""


def text_of(line: Line) -> str:
    """The line without its looks."""
    return "".join(text for text, _ in line)


def wrapped(text: str, columns: int, role: Role, mark: Piece | None = None) -> list[Line]:
    """A sentence on as many lines as it takes, behind a mark; later lines are set in."""
    start = text[: len(text) - len(text.lstrip())] if mark is None else " " * len(mark[0])
    whole_numbers = DIGIT_GROUP_GAP.sub(NO_BREAK_SPACE, text.strip())
    lines = wrap(whole_numbers, max(8, columns - len(start))) or [""]
    return [
        (mark if mark is not None and not index else (start, role), (part.replace(NO_BREAK_SPACE, " "), role))
        for index, part in enumerate(lines)
    ]
