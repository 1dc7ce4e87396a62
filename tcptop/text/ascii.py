"""The screen in ASCII, where a terminal or a locale has no more: a character for a character, so nothing moves."""

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
    """The text as ASCII of the same width; of a host's own characters question marks remain."""
    if text.isascii():
        return text
    plain = text.translate(SCREEN_TO_ASCII)
    return "".join(each if each.isascii() else "?" * cell_len(each) for each in plain)


def needs_ascii(environment: Mapping[str, str] = os.environ, encoding: str | None = "utf-8") -> bool:
    """Whether the locale has no UTF-8, or the terminal is the Linux console, whose fonts lack most of the glyphs.

    Python itself takes the C locale for UTF-8, since most often nobody chose it; LC_ALL is a choice.
    """
    if environment.get("TERM") == "linux" or environment.get("LC_ALL") in ("C", "POSIX"):
        return True
    return (encoding or "ascii").lower().replace("-", "").replace("_", "") != "utf8"
