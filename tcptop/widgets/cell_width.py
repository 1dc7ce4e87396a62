"""Measures texts in terminal columns (a character may take two columns), and fits texts and lines into a width."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from tcptop.text.ascii import SCREEN_TO_ASCII, ellipsis_to_ascii, signs_to_ascii
from tcptop.text.ascii_glyphs import ELLIPSIS
from tcptop.text.line import Line, Piece, text_of

BEGINS_WITH_SIGN = re.compile("[≤≥±](?! )")
ONE_COLUMN_EACH = re.compile("[ -~×±·–…“”≈≤≥─-●⠀-⣿]*").fullmatch
"""Matches texts of ASCII and of signs that the program writes itself, all of which take one column."""
NUMBER = re.compile(r"(?:[≤≥≈~±+-]|[<>]=|\+-)? ?\d+(?: \d{3}(?!\d))*(?:\.\d+)?[KMGTPk%]?")
"""Matches a number with its sign, its groups of three digits, and a unit of one character behind its last digit."""


def cell_width(text: str) -> int:
    """Number of columns that a text takes on a terminal."""
    # The width of most texts equals their length; Rich measures the others character by character.
    return len(text) if text.isascii() or ONE_COLUMN_EACH(text) else cell_len(text)


def first_fitting(texts: Sequence[str], columns: int) -> str:
    """The first of the texts that fits into the width; if none fits, the last text."""
    return next((text for text in texts if cell_width(text) <= columns), texts[-1])


def first_fitting_line(lines: Sequence[Line], columns: int) -> Line:
    """The first of the lines that fits into the width; if none fits, the last line."""
    return next((line for line in lines if line_width(line) <= columns), lines[-1])


def to_ascii(text: str) -> str:
    """The text in ASCII.

    A sign such as `≤` becomes two characters, which also take the place of a space beside the sign, if there is one.
    `…` and the character before `…` together become two dots. Each character without an ASCII replacement becomes one
    `?` for each terminal column that it takes.
    """
    if text.isascii():
        return text
    plain = signs_to_ascii(text).translate(SCREEN_TO_ASCII)
    known = (each if each.isascii() or each == ELLIPSIS else "?" * cell_len(each) for each in plain)
    return ellipsis_to_ascii("".join(known))


def line_to_ascii(line: Line) -> Line:
    """The line in ASCII, with the role of each piece.

    If a piece begins with a sign such as `≤`, and no space follows the sign, the replacement takes the place of the
    space at the end of the piece before it.
    """
    pieces: list[Piece] = []
    for text, role in line:
        if pieces and pieces[-1][0].endswith(" ") and BEGINS_WITH_SIGN.match(text):
            pieces[-1] = pieces[-1][0][:-1], pieces[-1][1]
        pieces.append((to_ascii(text), role))
    return tuple(pieces)


def line_width(line: Line) -> int:
    """Number of columns that a line takes on a terminal."""
    text = "".join([text for text, _ in line])
    return len(text) if text.isascii() else sum(cell_width(text) for text, _ in line)


def crop_line(line: Line, columns: int) -> Line:
    """The line, cut at a width; if a two-column character would be cut in half, a space replaces it."""
    pieces: list[Piece] = []
    free_columns = columns
    for text, role in line:
        size = cell_width(text)
        if size > free_columns:
            if free_columns > 0:
                pieces.append((set_cell_size(text, free_columns), role))
            break
        pieces.append((text, role))
        free_columns -= size
    return tuple(pieces)


def cut_line(line: Line, columns: int) -> Line:
    """The line, cut at a width. A number that does not fit is left out as a whole, with its sign and its unit."""
    if line_width(line) <= columns:
        return line
    text, kept = text_of(line), len(text_of(crop_line(line, columns)))
    begin = next((found.start() for found in NUMBER.finditer(text) if found.start() < kept < found.end()), kept)
    return crop_line(line, cell_width(text[:begin]))


def shorten_line(line: Line, columns: int) -> Line:
    """The line if it fits into the width; otherwise the cut line with `…` at its end."""
    if line_width(line) <= columns:
        return line
    *before, (text, role) = crop_line(line, columns - 1) or (("", line[-1][1]),)
    return (*before, (f"{text}{ELLIPSIS}", role))


def join_ends(left: Sequence[Piece], right: Sequence[Piece], columns: int) -> Line:
    """A line with `left` at the left end and `right` at the right end.

    If the line has no room for both, `left` is cut.
    """
    right = crop_line(tuple(right), columns)
    free_columns = columns - line_width(right)
    start = tuple(left)
    if line_width(start) >= free_columns:
        start = (*crop_line(start, max(0, free_columns - 2)), ("… "[:free_columns], "text"))
    return (*start, (" " * (free_columns - line_width(start)), "text"), *right)
