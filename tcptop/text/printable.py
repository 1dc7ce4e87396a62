"""The one door that text of a host passes on its way in: what leaves here is safe to print."""

from __future__ import annotations

from unicodedata import category

MAX_NAME_CHARACTERS = 80
SMALL_FILE_BYTES = 1 << 16
"""More than any file of one line holds."""


def printable(text: str) -> str:
    """Gives the text with every control, format and unassigned character, and every unusual space, made visible.

    A cache may be named by any kernel module, and a saved tree by anybody: escape sequences, bidi overrides and
    line breaks must not reach the terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if category(character)[0] not in "CZ" or character == " " else _escape(character)
        for character in text
    )


def printable_name(text: str) -> str:
    """As `printable`, and no longer than a name may be."""
    clean = printable(text[: MAX_NAME_CHARACTERS + 1])
    return clean if len(clean) <= MAX_NAME_CHARACTERS else f"{clean[: MAX_NAME_CHARACTERS - 1]}…"


def decode_text(data: bytes, most_bytes: int | None = None) -> str:
    """The text of a file, or of its first bytes; bytes that are not UTF-8 become visible escapes."""
    if most_bytes is not None:
        data = data[:most_bytes]
    return data.decode("utf-8", "backslashreplace")


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
