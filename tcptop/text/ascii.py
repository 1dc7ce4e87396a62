"""ASCII replacements for the glyphs on the screen, each of the same width, so that columns stay aligned."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.cells import cell_len

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
SCREEN_TO_ASCII = str.maketrans(ASCII_GLYPHS)


def to_ascii(text: str) -> str:
    """The text in ASCII, of the same width. A character without a replacement becomes one `?` for each cell."""
    if text.isascii():
        return text
    plain = text.translate(SCREEN_TO_ASCII)
    return "".join(each if each.isascii() else "?" * cell_len(each) for each in plain)


def needs_ascii(environment: Mapping[str, str] = os.environ, encoding: str | None = "utf-8") -> bool:
    """Whether the locale is not UTF-8, or the terminal is the Linux console, whose fonts lack most of the glyphs.

    Python reports UTF-8 in the C locale too, which is usually a default; LC_ALL=C or POSIX is set deliberately.
    """
    if environment.get("TERM") == "linux" or environment.get("LC_ALL") in ("C", "POSIX"):
        return True
    return (encoding or "ascii").lower().replace("-", "").replace("_", "") != "utf8"
