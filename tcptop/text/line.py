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

NO_BREAK_GAPS = re.compile(r"(?<=\d) (?=\d{3}\b)|(?<=[≤≥±×]) (?=\S)|(?<=\d) (?=(?:B|[KMGTP]iB)\b)")
"""Gaps where no line may end: between groups of digits, after a sign, and before a unit."""
NO_BREAK_SPACE = "\u00a0"

EMPTY_LINE: Line = ()
WARNING: Piece = ("!  ", "warning")
"""What stands before a sentence that says what is wrong."""


def text_of(line: Line) -> str:
    """The line without its looks."""
    return "".join(text for text, _ in line)


def paragraph(text: str, columns: int, role: Role, mark: Piece | None = None) -> list[Line]:
    """A sentence on as many lines as it takes, behind a mark; later lines are set in."""
    start = text[: len(text) - len(text.lstrip())] if mark is None else " " * len(mark[0])
    return [
        (mark if mark is not None and not index else (start, role), (part, role))
        for index, part in enumerate(wrap_text(text.strip(), max(8, columns - len(start))))
    ]


def wrap_text(text: str, columns: int) -> list[str]:
    """A text on as many lines as it takes; a figure stays with its sign and its unit. One empty line for no text."""
    lines = wrap(NO_BREAK_GAPS.sub(NO_BREAK_SPACE, text), columns, break_on_hyphens=False)
    return [line.replace(NO_BREAK_SPACE, " ") for line in lines] or [""]
