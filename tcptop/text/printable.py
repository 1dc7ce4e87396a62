"""Escapes control, bidi and unassigned characters in text read from a host, so that the text is safe to print."""

from __future__ import annotations

from unicodedata import category

MAX_NAME_CHARACTERS = 80
SMALL_FILE_BYTES = 1 << 16
"""Maximum number of bytes that are decoded from a one-line file in /proc or /sys. Real one-line files are smaller."""
MAX_ESCAPED_BYTES = 1 << 20
"""Maximum size, in bytes, of a file in which `decode_text` replaces invalid UTF-8 by escapes."""


def printable(text: str) -> str:
    """The text with escapes for control, format and unassigned characters, and for all spaces other than U+0020.

    Kernel modules choose the names of their caches, and a saved tree may contain any text. Escape sequences, bidi
    overrides and line breaks in untrusted text must not reach the terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if category(character)[0] not in "CZ" or character == " " else _escape(character)
        for character in text
    )


def printable_name(text: str, max_characters: int = MAX_NAME_CHARACTERS) -> str:
    """The name, escaped by `printable` and cut to `max_characters`; a cut name ends in `…`."""
    clean = printable(text[: max_characters + 1])
    return clean if len(clean) <= max_characters else f"{clean[: max_characters - 1]}…"


def quoted(text: str) -> str:
    """The text in quotes, for an error; escaped and cut by `printable_name`."""
    return repr(printable_name(text))


def decode_text(data: bytes, max_bytes: int | None = None) -> str:
    r"""Decodes the data of a file, or only the first `max_bytes` of the data if `max_bytes` is given.

    Invalid UTF-8 becomes escapes such as `\xff`. Millions of escapes would take seconds, so in data longer than
    MAX_ESCAPED_BYTES, invalid UTF-8 becomes surrogates. Later, `printable` escapes the surrogates in printed texts.
    """
    if max_bytes is not None:
        data = data[:max_bytes]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace" if len(data) <= MAX_ESCAPED_BYTES else "surrogateescape")


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
