"""Lines of styled text as data: pieces of plain text, each with a role that the theme maps to a colour."""

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
    "critical",
    "critical-bar",
    "slice-1",
    "slice-2",
    "slice-3",
    "slice-4",
    "slice-5",
    "idle",
    "cursor",
    "cursor-warning",
    "cursor-accent",
    "cursor-slice-2",
    "cursor-dim",
    "focus",
]
Piece = tuple[str, Role]
Line = tuple[Piece, ...]

NO_BREAK_GAPS = re.compile(
    r"(?<=\d) (?=\d{3}\b)|(?<=[≤≥±×]) (?=\S)|(?<=[<>]=) (?=\S)|(?<=\+-) (?=\S)|(?<=\d) (?=(?:B|[KMGTP]iB)\b)"
)
"""Matches spaces where a line must not break: between groups of digits, after a sign, and before a unit."""
NO_BREAK_SPACE = "\u00a0"

EMPTY_LINE: Line = ()
WARNING: Piece = ("!  ", "warning")
"""The marker before a warning."""


def text_of(line: Line) -> str:
    """The plain text of a line."""
    return "".join(text for text, _ in line)


def paragraph(text: str, columns: int, role: Role, marker: Piece | None = None) -> list[Line]:
    """The lines of a text wrapped to `columns`; the first line begins with `marker` if a marker is given.

    Later lines are indented to the column where the text of the first line begins.
    """
    indent = text[: len(text) - len(text.lstrip())] if marker is None else " " * len(marker[0])
    return [
        (marker if marker is not None and not index else (indent, role), (part, role))
        for index, part in enumerate(wrap_text(text.strip(), max(8, columns - len(indent))))
    ]


def wrap_text(text: str, columns: int | None, indent: str = "") -> list[str]:
    """The lines of a text wrapped to `columns`; a single line if `columns` is None. An empty text gives one empty line.

    A line never breaks between a figure and its sign or unit. Every line except the first begins with `indent`.
    """
    if columns is None:
        return [text]
    if len(text) <= columns and text.isprintable():
        return [text.rstrip()]
    unbroken = NO_BREAK_GAPS.sub(NO_BREAK_SPACE, text)
    lines = wrap(unbroken, max(1, columns), subsequent_indent=indent, break_on_hyphens=False)
    return [line.replace(NO_BREAK_SPACE, " ") for line in lines] or [""]
