"""ASCII replacements for the glyphs that tcptop prints: of the same width for the screen, more telling in a report."""

from __future__ import annotations

import os
from collections.abc import Mapping

ASCII_GLYPHS = {
    "─": "-",
    "│": "|",
    "├": "|",
    "└": "`",
    "█": "#",
    "▓": "%",
    "▒": "+",
    "░": ".",
    "▁": "_",
    "▂": ".",
    "▃": ":",
    "▄": "-",
    "▅": "=",
    "▆": "+",
    "▇": "*",
    "▸": "*",
    "▶": ">",
    "▴": "^",
    "▾": "v",
    "⊃": "&",
    "≤": "<",
    "≥": ">",
    "≈": "~",
    "×": "x",
    "÷": "/",
    "±": "+",
    "Δ": "d",
    "·": ".",
    "…": "~",
    "–": "-",
    "→": ">",
    "←": "<",
    "↑": "^",
    "↓": "v",
    "“": '"',
    "”": '"',
    "┏": ".",
    "┓": ".",
    "┗": "'",
    "┛": "'",
    "┣": "|",
    "┫": "|",
    "━": "-",
    "┃": "|",
    "╺": "-",
    "╸": "-",
    "╻": ".",
    "╹": "'",
}
"""Each glyph of the screen, and its replacement of the same width, so that columns stay aligned."""
LONGER_GLYPHS = {"≤": "<=", "≥": ">=", "±": "+-", "…": "...", "→": "->"}
"""Replacements in reports, whose columns are aligned before they are replaced."""

SCREEN_TO_ASCII = str.maketrans(ASCII_GLYPHS)
REPORT_TO_ASCII = str.maketrans(ASCII_GLYPHS | LONGER_GLYPHS)


def report_to_ascii(text: str) -> str:
    """A report in ASCII. A character without a replacement becomes an escape."""
    return text.translate(REPORT_TO_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def needs_ascii(environment: Mapping[str, str] = os.environ, encoding: str | None = "utf-8") -> bool:
    """Whether the locale is not UTF-8, or the terminal is the Linux console, whose fonts lack most of the glyphs.

    Python reports UTF-8 in the C locale too, which is usually a default; LC_ALL=C or POSIX is set deliberately.
    """
    if environment.get("TERM") == "linux" or environment.get("LC_ALL") in ("C", "POSIX"):
        return True
    return (encoding or "ascii").lower().replace("-", "").replace("_", "") != "utf8"
