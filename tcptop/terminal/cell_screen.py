"""Compares wanted cells with the cells that the terminal shows, and makes short output that changes only what differs.

Textual writes whole lines of styled text. This module parses the lines into wanted cells, and outputs only those wanted
cells that differ from the shown cells. The module does no I/O, so that tests can compare its output with a terminal
emulator.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import compress, groupby
from operator import ne, or_
from sys import intern
from typing import NamedTuple

from rich.cells import cell_len

TOKEN = re.compile(r"([^\x00-\x1f\x7f-\x9f]+)|\x1b\[([0-9;]*)m|\x1b\[([0-9]+);([0-9]+)H|\n")
"""Token of a frame: text, an SGR sequence that sets the pen (text style), a cursor move, or a line feed."""
JOINER = "\u200d"
MAX_CELL_CHARACTERS = 16
"""Maximum number of characters in one cell.

No writing system needs this many characters in one cell, but a hostile text may combine more.
"""
NARROW: set[str] = set()
"""Characters known to fill exactly one cell, whatever character is next to them."""

GAP_BYTES = 4
"""Length, in bytes, of a short cursor move within a line.

Between two differing cells, a gap of at most this many equal cells may be written again instead of being skipped.
"""

PEN_CODE = re.compile(
    r"(?:(38;5;\d+|38;2;\d+;\d+;\d+|[39][0-7])|(48;5;\d+|48;2;\d+;\d+;\d+|4[0-7]|10[0-7])|([1-57-9]))(?:;(?=\d)|$)"
)
"""Matches an SGR code that sets only one of three things: the foreground, the background, or an attribute."""

ENDING_CODES = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "9": "29"}
"""SGR code that ends each attribute; bold and faint share the code 22.

Attribute 8 (concealed) is missing, because some terminals do not know the code that ends this attribute.
"""

VISIBLE_ON_BLANKS = frozenset("4579")
"""SGR attributes that are visible on a blank: underlined, blinking, reversed, struck out."""

Pens = list[str | None]


class CellScreen:
    """Two grids: the wanted cells, parsed from frames, and the shown cells, which the terminal is known to show.

    A cell consists of a character with its combining characters, and of the SGR parameters of the cell's pen. The right
    half of a wide character is an empty string. The pen None marks a wanted cell that must not be written, or a shown
    cell whose content is unknown.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.reset(columns, rows)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._columns, self._rows

    def reset(self, columns: int, rows: int) -> None:
        """Sets the size, and forgets all cells.

        Each cell of the terminal stays unchanged until a frame covers the cell.
        """
        self._columns, self._rows = columns, rows
        self._wanted_text = [[" "] * columns for _ in range(rows)]
        self._wanted_pens: list[Pens] = [[None] * columns for _ in range(rows)]
        self._shown_text = [[" "] * columns for _ in range(rows)]
        self._shown_pens: list[Pens] = [[None] * columns for _ in range(rows)]
        self._touched: set[int] = set()
        self._wanted_cursor: tuple[int, int] | None = None
        self._shown_cursor: tuple[int, int] | None = None

    def parse_frame(self, frame: str) -> bool:
        """Parses a frame written by Textual into the wanted cells; returns False if the text is not a frame.

        A frame starts with a cursor move and consists of cursor moves, pens, text and line feeds. If the text is not a
        frame, the beginning of the text may nevertheless have been parsed into wanted cells. The caller must write any
        text that is not a frame to the terminal, and must call `reset` if that text changes cells.
        """
        x = y = end = 0
        pen = ""
        moved = False
        for token in TOKEN.finditer(frame):
            start, after = token.span()
            text, set_by, row, column = token.groups()
            if start != end or not (moved or row):
                return False
            end = after
            if text:
                if y < self._rows:
                    x = self._put(x, y, text, pen)
            elif set_by is not None:
                # As in a terminal, SGR sequences add up until a reset. Textual resets the pen before each new sequence.
                pen = "" if set_by in ("", "0") else intern(f"{pen};{set_by}" if pen else set_by)
            elif row:
                moved = True
                x, y = max(0, int(column) - 1), max(0, int(row) - 1)
            else:
                x, y = 0, y + 1
        if not moved or end != len(frame):
            return False
        # The terminal clamps the cursor to the screen.
        self._wanted_cursor = (min(x, self._columns - 1), min(y, self._rows - 1))
        return True

    def changes(self) -> str:
        """Output that makes the terminal show the wanted cells; empty if no cell differs.

        After the call, the wanted cells count as shown.
        """
        drawing = Drawing(self._columns)
        for y in sorted(self._touched):
            wanted_text, wanted_pens = self._wanted_text[y], self._wanted_pens[y]
            shown_text, shown_pens = self._shown_text[y], self._shown_pens[y]
            if wanted_text == shown_text and wanted_pens == shown_pens:
                continue
            differ = map(or_, map(ne, wanted_text, shown_text), map(ne, wanted_pens, shown_pens))
            drawing.draw(y, compress(range(self._columns), differ), wanted_text, wanted_pens)
            shown_text[:] = wanted_text
            shown_pens[:] = wanted_pens
        self._touched.clear()
        if drawing.written or self._wanted_cursor != self._shown_cursor:
            drawing.leave(self._wanted_cursor)
            self._shown_cursor = self._wanted_cursor
        return "".join(drawing.written)

    def _put(self, x: int, y: int, text: str, pen: str) -> int:
        """Writes text into the wanted cells; returns the column after the text.

        Text beyond the last column overwrites the last column: lines do not wrap.
        """
        cells, pens = self._wanted_text[y], self._wanted_pens[y]
        self._touched.add(y)
        end = x + len(text)
        if end <= self._columns and is_narrow(text):
            blank_cut_halves(cells, x, end)
            cells[x:end] = text
            pens[x:end] = [pen] * (end - x)
            return end
        for cluster in clusters(text):
            wide = min(2, cell_len(cluster))
            if not wide:
                append_marks(cells, pens, x, cluster)
                continue
            if x + wide > self._columns:
                x = self._columns - 1
                if wide == 2:
                    # Terminals differ in how they show a wide character of which only half fits, so a blank replaces
                    # the character.
                    cluster, wide = " ", 1
            blank_cut_halves(cells, x, x + wide)
            cells[x : x + wide] = (cluster, "")[:wide]
            pens[x : x + wide] = (pen, pen)[:wide]
            x += wide
        return x


class Drawing:
    """Builds output for a terminal whose pen and cursor position are unknown at the start."""

    def __init__(self, columns: int) -> None:
        self.written: list[str] = []
        self._columns = columns
        self._pen: str | None = None
        self._cursor: tuple[int, int] | None = None

    def draw(self, y: int, differ: Iterable[int], cells: list[str], pens: Pens) -> None:
        """Writes cells of row `y`; `differ` has the columns in which the wanted cell differs from the shown cell."""
        for start, end in changed_spans(differ, cells, pens):
            for pen, group in groupby(range(start, end), pens.__getitem__):
                columns = list(group)
                first, after = columns[0], columns[-1] + 1
                text = "".join(cells[first:after])
                if not (text.isspace() and is_same_blank(self._pen, pen or "")):
                    self._take(pen or "")
                if len(text) == len(columns) and is_narrow(text):
                    self._write(first, y, text, after)
                    continue
                for x in columns:
                    cluster = cells[x]
                    if cluster:
                        # Terminals differ in the width of a character outside NARROW, so a cursor move follows each
                        # such character.
                        self._write(x, y, cluster, x + 1 if cluster in NARROW else None)

    def leave(self, cursor: tuple[int, int] | None) -> None:
        """Resets the pen and moves the cursor to its wanted position."""
        if self._pen:
            self._take("")
        if cursor is not None:
            self._move(*cursor)

    def _write(self, x: int, y: int, text: str, after: int | None) -> None:
        """Writes text at a position.

        `after` is the cursor's column after the text, or None if that column is uncertain.
        """
        self._move(x, y)
        self.written.append(text)
        # Terminals differ in the cursor position after a character in the last column.
        self._cursor = None if after is None or after >= self._columns else (after, y)

    def _move(self, x: int, y: int) -> None:
        if self._cursor == (x, y):
            return
        column = f";{x + 1}" if x else ""
        move = f"\x1b[{y + 1 if y or x else ''}{column}H"
        if self._cursor is not None and self._cursor[1] == y and x > self._cursor[0]:
            by = x - self._cursor[0]
            forward = f"\x1b[{by if by > 1 else ''}C"
            move = min(forward, move, key=len)
        self.written.append(move)
        self._cursor = (x, y)

    def _take(self, pen: str) -> None:
        if pen != self._pen:
            self.written.append(pen_change(self._pen, pen))
            self._pen = pen


def is_narrow(text: str) -> bool:
    """True if every character of a text fills exactly one cell."""
    if NARROW.issuperset(text):
        return True
    for character in set(text) - NARROW:
        if cell_len(character) != 1 or is_flag_letter(character):
            return False
        NARROW.add(character)
    return True


def is_flag_letter(character: str) -> bool:
    """True if a character is a regional indicator; two regional indicators make a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def clusters(text: str) -> Iterator[str]:
    """Yields each character of a text together with its combining and joined characters."""
    cluster = ""
    for character in text:
        flag = is_flag_letter(character) and len(cluster) == 1 and is_flag_letter(cluster)
        if cluster and not flag and not cluster.endswith(JOINER) and cell_len(character):
            yield cluster
            cluster = character
        else:
            cluster += character
    if cluster:
        yield cluster


def append_marks(cells: list[str], pens: Pens, x: int, marks: str) -> None:
    """Appends zero-width characters to the cell before column `x`, unless that cell must not be written."""
    before = x - 1
    while before > 0 and not cells[before]:
        before -= 1
    if before >= 0 and pens[before] is not None:
        cells[before] = (cells[before] + marks)[:MAX_CELL_CHARACTERS]


def blank_cut_halves(cells: list[str], start: int, end: int) -> None:
    """Removes the remaining half of each wide character that a write cuts in half.

    If a write to the columns from `start` to `end` overwrites one half of a wide character, the other half becomes a
    blank.
    """
    if 0 < start < len(cells) and not cells[start]:
        cells[start - 1] = " "
    if end < len(cells) and not cells[end]:
        cells[end] = " "


def changed_spans(differ: Iterable[int], cells: list[str], pens: Pens) -> Iterator[tuple[int, int]]:
    """Yields the ranges of columns to write in a row: differing cells, and gaps that cost no more than a cursor move.

    If the right half of a wide character differs, the left half differs too, so no range begins with a right half.
    """
    start = end = -1
    for column in differ:
        if column != end:
            if start < 0:
                start = column
            elif column - end > GAP_BYTES or not is_cheap_gap(end, column, cells, pens):
                yield start, end
                start = column
        end = column + 1
    if start >= 0:
        yield start, end


def is_cheap_gap(start: int, end: int, cells: list[str], pens: Pens) -> bool:
    """True if rewriting a short gap costs no more than a cursor move over the gap."""
    around = pens[start - 1 : end + 1]
    # A cell that must not be written has the pen None. A cell with the pen None adds two pen changes to a gap, so this
    # test rejects the gap, and the cell is not written.
    if around.count(around[0]) != len(around) and sum(map(ne, around, around[1:])) > (around[0] != around[-1]):
        return False
    gap = "".join(cells[start:end])
    return gap.isascii() or len(gap.encode(errors="replace")) <= GAP_BYTES


class Pen(NamedTuple):
    """Parsed SGR parameters of a pen."""

    attributes: frozenset[str]
    foreground: str
    background: str


@lru_cache(1024)
def pen_of(parameters: str) -> Pen | None:
    """Parses SGR parameters; returns None if they contain a code that `PEN_CODE` does not match, such as a reset.

    If a code does not match, the meaning of the parameters may depend on their order.
    """
    if PEN_CODE.sub("", parameters):
        return None
    pen = Pen(frozenset(), "", "")
    for foreground, background, attribute in PEN_CODE.findall(parameters):
        attributes = pen.attributes | {attribute} if attribute else pen.attributes
        pen = Pen(attributes, foreground or pen.foreground, background or pen.background)
    return pen


@lru_cache(4096)
def is_same_blank(one: str | None, other: str) -> bool:
    """True if a space looks the same with both pens: equal backgrounds, and no attribute that is visible on blanks."""
    pens = [None if one is None else pen_of(one), pen_of(other)]
    if any(pen is None or pen.attributes & VISIBLE_ON_BLANKS for pen in pens):
        return False
    return len({pen.background for pen in pens if pen}) == 1


@lru_cache(4096)
def pen_change(before: str | None, after: str) -> str:
    """The shortest SGR sequence that changes one pen to another.

    The sequence has either only the differences, or a reset followed by all parameters.
    """
    anew = f"\x1b[0;{after}m" if after else "\x1b[m"
    old, new = None if before is None else pen_of(before), pen_of(after)
    if old is None or new is None or not old.attributes - new.attributes <= ENDING_CODES.keys():
        return anew
    ends = {ENDING_CODES[attribute] for attribute in old.attributes - new.attributes}
    left = {attribute for attribute in old.attributes if ENDING_CODES.get(attribute) not in ends}
    parts = sorted(ends) + sorted(new.attributes - left)
    if new.foreground != old.foreground:
        parts.append(new.foreground or "39")
    if new.background != old.background:
        parts.append(new.background or "49")
    if not parts:
        return ""
    return min(f"\x1b[{';'.join(parts)}m", anew, key=len)
