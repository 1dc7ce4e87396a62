"""Large digits, three lines high, for the main figures of the screen."""

from __future__ import annotations

from functools import lru_cache

BIG_GLYPHS: dict[str, tuple[str, str, str]] = {
    "0": ("▄▀▄", "█ █", " ▀ "),
    "1": ("▀█ ", " █ ", "▀▀▀"),
    "2": ("▀▀▄", "▄▀ ", "▀▀▀"),
    "3": ("▀▀█", " ▀█", "▀▀▀"),
    "4": ("█ █", "▀▀█", "  ▀"),
    "5": ("█▀▀", "▀▀▄", "▀▀ "),
    "6": ("▄▀▀", "█▀█", "▀▀▀"),
    "7": ("▀▀█", " █ ", " ▀ "),
    "8": ("█▀█", "█▀█", "▀▀▀"),
    "9": ("█▀█", "▀▀█", " ▀▀"),
    ".": (" ", " ", "▀"),
    "–": ("   ", "▀▀▀", "   "),
    "≥": ("  ", "≥ ", "  "),
    "≤": ("  ", "≤ ", "  "),
    "≈": (" ", "≈", " "),
    " ": ("", "", ""),
}
"""Glyphs of half blocks. Any two digits differ in at least two half cells, so that a glance tells them apart."""
ASCII_BIG_GLYPHS: dict[str, tuple[str, str, str]] = {
    "0": (" _ ", "| |", "|_|"),
    "1": ("   ", "  |", "  |"),
    "2": (" _ ", " _|", "|_ "),
    "3": (" _ ", " _|", " _|"),
    "4": ("   ", "|_|", "  |"),
    "5": (" _ ", "|_ ", " _|"),
    "6": (" _ ", "|_ ", "|_|"),
    "7": (" _ ", "  |", "  |"),
    "8": (" _ ", "|_|", "|_|"),
    "9": (" _ ", "|_|", " _|"),
    ".": (" ", " ", "."),
    "–": ("   ", " _ ", "   "),
    "≥": ("  ", ">=", "  "),
    "≤": ("  ", "<=", "  "),
    "≈": (" ", "~", " "),
    " ": ("", "", ""),
}
"""The glyphs of `BIG_GLYPHS` in ASCII, each as wide as its counterpart."""
HEIGHT = 3
BOUNDS = "≥≤"


@lru_cache(8)  # the figures of the screen seldom change
def draw_big_number(text: str, ascii_only: bool = False) -> tuple[str, ...]:
    """The text as `HEIGHT` lines of equal width; characters without a glyph are left out.

    A blank column follows each glyph except `≥` and `≤`, because the glyphs of these two signs are two columns wide.
    """
    glyphs_of = ASCII_BIG_GLYPHS if ascii_only else BIG_GLYPHS
    gaps = {character: "" if character in BOUNDS else " " for character in glyphs_of}
    characters = [character for character in text if character in glyphs_of]
    return tuple("".join(glyphs_of[each][line] + gaps[each] for each in characters)[:-1] for line in range(HEIGHT))
