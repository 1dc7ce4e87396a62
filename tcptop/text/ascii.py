"""ASCII replacements for the glyphs that tcptop prints; on the screen, every replacement has the glyph's width."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tcptop.text.ascii_glyphs import ASCII_GLYPHS, ASCII_SIGNS, ELLIPSIS, LONGER_GLYPHS

CUT = re.compile(f"[!-~]{ELLIPSIS}|{ELLIPSIS}[!-~]| {ELLIPSIS}(?![!-~])")
"""Matches `…` and one character beside `…`: a visible ASCII character before or after `…`, or a space before `…`."""
SIGN = re.compile("([≤≥±]) | ([≤≥±])(?! )|([≤≥±])")
SCREEN_TO_ASCII = str.maketrans(ASCII_GLYPHS)
REPORT_TO_ASCII = str.maketrans(ASCII_GLYPHS | LONGER_GLYPHS)


def signs_to_ascii(text: str) -> str:
    """Replaces the signs of bounds: `≤ 3 868` becomes `<=3 868`, so that columns stay aligned.

    The replacement takes the place of the sign and of one space: the space after the sign, or else the space before the
    sign. If there is no space beside the sign, the text becomes longer by one character.
    """
    return SIGN.sub(lambda match: ASCII_SIGNS[match[match.lastindex or 0]], text)


def ellipsis_to_ascii(text: str) -> str:
    """Replaces `…` and a character beside it by `..`, so that the text keeps its width: `inet_b…` becomes `inet_..`.

    At the beginning of a word, `..` replaces `…` and the character after `…`: `…/a1` becomes `..a1`. If there is no
    ASCII character beside `…`, a single `.` replaces `…`.
    """
    return CUT.sub("..", text).replace(ELLIPSIS, ".")


def report_to_ascii(text: str) -> str:
    """The report in ASCII. A character without a replacement becomes a backslash escape."""
    if text.isascii():
        return text
    return text.translate(REPORT_TO_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def to_encoding(text: str, encoding: str | None) -> str:
    """The text with all glyphs in ASCII; a character that the encoding lacks becomes a backslash escape.

    With an encoding that Python does not know, all other characters become escapes.
    """
    plain = signs_to_ascii(text).translate(REPORT_TO_ASCII)
    try:
        return plain.encode(encoding or "ascii", "backslashreplace").decode(encoding or "ascii")
    except (LookupError, UnicodeError):
        return plain.encode("ascii", "backslashreplace").decode("ascii")


def is_c_locale(environment: Mapping[str, str]) -> bool:
    """True if the user has set the C locale deliberately."""
    return environment.get("LC_ALL") in ("C", "POSIX")


def needs_ascii(environment: Mapping[str, str], encoding: str | None) -> bool:
    """True if output must be ASCII: without a UTF-8 locale, and on the Linux console, which lacks most glyphs.

    For the C locale, Python usually reports UTF-8. Output in UTF-8 is then allowed, since the C locale is usually just
    a default. With LC_ALL=C or LC_ALL=POSIX, output must be ASCII, since a user sets LC_ALL deliberately.
    """
    if environment.get("TERM") == "linux" or is_c_locale(environment):
        return True
    return (encoding or "ascii").lower().replace("-", "").replace("_", "") != "utf8"
