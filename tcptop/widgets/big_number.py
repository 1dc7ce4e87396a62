"""Numbers three lines high, for the one figure that is read across a room."""

from __future__ import annotations

GLYPHS: dict[str, tuple[str, str, str]] = {
    "0": ("┏━┓", "┃ ┃", "┗━┛"),
    "1": ("╺┓ ", " ┃ ", "╺┻╸"),
    "2": ("╺━┓", "┏━┛", "┗━╸"),
    "3": ("╺━┓", " ━┫", "╺━┛"),
    "4": ("╻ ╻", "┗━┫", "  ╹"),
    "5": ("┏━╸", "┗━┓", "╺━┛"),
    "6": ("┏━╸", "┣━┓", "┗━┛"),
    "7": ("╺━┓", "  ┃", "  ╹"),
    "8": ("┏━┓", "┣━┫", "┗━┛"),
    "9": ("┏━┓", "┗━┫", "╺━┛"),
    "–": ("   ", "╺━╸", "   "),
    "≥": ("  ", "≥ ", "  "),
    " ": (" ", " ", " "),
}
HEIGHT = 3


def big(text: str) -> list[str]:
    """The text in three lines of one width; characters without a glyph are left out."""
    glyphs = [GLYPHS[character] for character in text if character in GLYPHS]
    return ["".join(glyph[line] for glyph in glyphs) for line in range(HEIGHT)]
