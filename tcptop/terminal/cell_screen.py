"""The cells that a terminal shows and those that it should show: pure, so that an emulator can hold it to account.

Textual writes whole lines of styled text. Here they are read into cells, and what is written is the way from the
cells that are shown to those that are wanted.
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
"""Text, a pen, a move to a row and a column, or a line feed."""
JOINER = "\u200d"
MOST_COMBINED = 16
"""Characters in a cell: more than any script combines, so that no text makes a cell grow for ever."""
NARROW: set[str] = set()
"""Characters found to fill one cell, whatever stands beside them."""

GAP_BYTES = 4
"""What a short move within a line costs: as much of what stands there already is rather written again."""

ADDED = frozenset("12345789")
"""Attributes that leave each other as they are."""

TAKES_BACK = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "9": "29"}
"""What ends an attribute; bold and faint end together. 8 is ended by no code that all terminals know."""

SEEN_ON_BLANKS = frozenset("4579")
"""Underlined, blinking, reversed and struck out."""

Pens = list[str | None]


class CellScreen:
    """Two grids of cells: the wanted ones, and those that the terminal shows as far as that is known.

    A cell is a character with what combines with it, and the parameters of its pen. The right half of a wide
    character is an empty string. A pen of None is an unknown cell: among the wanted ones, one to be left as it is,
    which is then unknown among the shown ones too.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._clear(columns, rows)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._columns, self._rows

    def resize(self, columns: int, rows: int) -> None:
        """Another size: nothing is known of what is shown. What was wanted is wanted still, where there is room."""
        before_text, before_pens = self._wanted_text, self._wanted_pens
        self._clear(columns, rows)
        for y, (text, pens) in enumerate(zip(before_text[:rows], before_pens, strict=False)):
            cut(text, columns, columns)
            self._wanted_text[y][: len(text)] = text[:columns]
            self._wanted_pens[y][: len(text)] = pens[:columns]
        self.forget()

    def _clear(self, columns: int, rows: int) -> None:
        self._columns, self._rows = columns, rows
        self._wanted_text = [[" "] * columns for _ in range(rows)]
        self._wanted_pens: list[Pens] = [[None] * columns for _ in range(rows)]
        self._shown_text = [[" "] * columns for _ in range(rows)]
        self._shown_pens: list[Pens] = [[None] * columns for _ in range(rows)]
        self._touched: set[int] = set()
        self._wanted_cursor: tuple[int, int] | None = None
        self._shown_cursor: tuple[int, int] | None = None

    def forget(self) -> None:
        """The terminal may have lost every cell: all that is wanted is sent again."""
        self._shown_pens = [[None] * self._columns for _ in range(self._rows)]
        self._touched = set(range(self._rows))

    def lose(self) -> None:
        """Something else was drawn: it stays until it is drawn over."""
        self._clear(self._columns, self._rows)

    def take(self, frame: str) -> bool:
        """Reads what Textual writes for a frame into the wanted cells.

        A frame starts with a move of the cursor, and is moves, pens, text and line feeds. False for anything else,
        of which a part may have been read: whoever writes that to the terminal tells it by `lose`.
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
                # A pen adds to the pen before, though Textual takes each back before the next.
                pen = "" if set_by in ("", "0") else intern(f"{pen};{set_by}" if pen else set_by)
            elif row:
                moved = True
                x, y = max(0, int(column) - 1), max(0, int(row) - 1)
            else:
                x, y = 0, y + 1
        if not moved or end != len(frame):
            return False
        # A terminal keeps its cursor on the screen.
        self._wanted_cursor = (min(x, self._columns - 1), min(y, self._rows - 1))
        return True

    def changes(self) -> str:
        """What makes the terminal show what is wanted, which is then taken to be shown; empty where it is already."""
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
        """Puts text into the wanted cells and gives the column after it.

        The last column takes all that comes after it: lines do not wrap.
        """
        cells, pens = self._wanted_text[y], self._wanted_pens[y]
        self._touched.add(y)
        end = x + len(text)
        if end <= self._columns and narrow(text):
            cut(cells, x, end)
            cells[x:end] = text
            pens[x:end] = [pen] * (end - x)
            return end
        for cluster in clusters(text):
            wide = min(2, cell_len(cluster))
            if not wide:
                combine(cells, pens, x, cluster)
                continue
            if x + wide > self._columns:
                x = self._columns - 1
                if wide == 2:
                    # There is no room for it, and terminals do not agree on what they show.
                    cluster, wide = " ", 1
            cut(cells, x, x + wide)
            cells[x : x + wide] = (cluster, "")[:wide]
            pens[x : x + wide] = (pen, pen)[:wide]
            x += wide
        return x


class Drawing:
    """What is written to a terminal whose pen and cursor may be anything at the start."""

    def __init__(self, columns: int) -> None:
        self.written: list[str] = []
        self._columns = columns
        self._pen: str | None = None
        self._cursor: tuple[int, int] | None = None

    def draw(self, y: int, differ: Iterable[int], cells: list[str], pens: Pens) -> None:
        """Writes those cells of a row that differ."""
        for start, end in spans(differ, cells, pens):
            for pen, group in groupby(range(start, end), pens.__getitem__):
                columns = list(group)
                first, after = columns[0], columns[-1] + 1
                text = "".join(cells[first:after])
                if not (text.isspace() and blank_alike(self._pen, pen or "")):
                    self._take(pen or "")
                if len(text) == len(columns) and narrow(text):
                    self._write(first, y, text, after)
                    continue
                for x in columns:
                    cluster = cells[x]
                    if cluster:
                        # Terminals do not agree on the width of all others, so the cursor is set after them.
                        self._write(x, y, cluster, x + 1 if cluster in NARROW else None)

    def leave(self, cursor: tuple[int, int] | None) -> None:
        """Takes the pen back, and leaves the cursor where it is wanted."""
        if self._pen:
            self._take("")
        if cursor is not None:
            self._move(*cursor)

    def _write(self, x: int, y: int, text: str, after: int | None) -> None:
        """Writes text at a place; `after` is the column where the cursor then is, if that is certain."""
        self._move(x, y)
        self.written.append(text)
        # At the end of a line, terminals differ in where they say that the cursor is.
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


def narrow(text: str) -> bool:
    """Whether each character fills one cell."""
    if NARROW.issuperset(text):
        return True
    for character in set(text) - NARROW:
        if cell_len(character) != 1 or is_flag_letter(character):
            return False
        NARROW.add(character)
    return True


def is_flag_letter(character: str) -> bool:
    """Whether it is one of those letters of which two are a flag."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def clusters(text: str) -> Iterator[str]:
    """Characters, each with those that have no width of their own or are joined to it."""
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


def combine(cells: list[str], pens: Pens, x: int, marks: str) -> None:
    """Adds what has no width to the cell before a column, as far as there is one."""
    before = x - 1
    while before > 0 and not cells[before]:
        before -= 1
    if before >= 0 and pens[before] is not None:
        cells[before] = (cells[before] + marks)[:MOST_COMBINED]


def cut(cells: list[str], start: int, end: int) -> None:
    """Blanks what is left of the wide characters of which a half is written over."""
    if 0 < start < len(cells) and not cells[start]:
        cells[start - 1] = " "
    if end < len(cells) and not cells[end]:
        cells[end] = " "


def spans(differ: Iterable[int], cells: list[str], pens: Pens) -> Iterator[tuple[int, int]]:
    """The parts of a row to write: what differs, and short gaps that cost no more than a move.

    Both halves of a wide character differ where one does, as long as it is not the same character.
    """
    start = end = -1
    for column in differ:
        if column != end:
            if start < 0:
                start = column
            elif column - end > GAP_BYTES or not cheap(end, column, cells, pens):
                yield start, end
                start = column
        end = column + 1
    if start >= 0:
        yield start, end


def cheap(start: int, end: int, cells: list[str], pens: Pens) -> bool:
    """Whether writing a short gap costs no more than a move over it."""
    around = pens[start - 1 : end + 1]
    # Cells to be left as they are have no pen, which makes two changes.
    if around.count(around[0]) != len(around) and sum(map(ne, around, around[1:])) > (around[0] != around[-1]):
        return False
    gap = "".join(cells[start:end])
    return gap.isascii() or len(gap.encode(errors="replace")) <= GAP_BYTES


class Pen(NamedTuple):
    """What the parameters of a pen come to."""

    attributes: frozenset[str]
    foreground: str
    background: str


@lru_cache(1024)
def pen_of(parameters: str) -> Pen | None:
    """What they come to; None where that may depend on their order."""
    attributes: set[str] = set()
    foreground = background = ""
    rest = parameters.split(";") if parameters else []
    while rest:
        code, rest = rest[0], rest[1:]
        number = int(code or 0)
        if number in (38, 48):
            taken = {"5": 2, "2": 4}.get(rest[0] if rest else "", 0)
            if not taken or len(rest) < taken:
                return None
            code, rest = ";".join([code, *rest[:taken]]), rest[taken:]
        if number == 38 or 30 <= number <= 37 or 90 <= number <= 97:
            foreground = code
        elif number == 48 or 40 <= number <= 47 or 100 <= number <= 107:
            background = code
        elif code in ADDED:
            attributes.add(code)
        else:
            return None
    return Pen(frozenset(attributes), foreground, background)


@lru_cache(4096)
def blank_alike(one: str | None, other: str) -> bool:
    """Whether a space looks the same by both pens: where nothing but the background of it is seen."""
    pens = [None if one is None else pen_of(one), pen_of(other)]
    if any(pen is None or pen.attributes & SEEN_ON_BLANKS for pen in pens):
        return False
    return len({pen.background for pen in pens if pen}) == 1


@lru_cache(4096)
def pen_change(before: str | None, after: str) -> str:
    """The shorter way from one pen to another: by what ends, what is added and what differs, or anew."""
    anew = f"\x1b[0;{after}m" if after else "\x1b[m"
    old, new = None if before is None else pen_of(before), pen_of(after)
    if old is None or new is None or not old.attributes - new.attributes <= TAKES_BACK.keys():
        return anew
    ends = {TAKES_BACK[attribute] for attribute in old.attributes - new.attributes}
    left = {attribute for attribute in old.attributes if TAKES_BACK.get(attribute) not in ends}
    parts = sorted(ends) + sorted(new.attributes - left)
    if new.foreground != old.foreground:
        parts.append(new.foreground or "39")
    if new.background != old.background:
        parts.append(new.background or "49")
    if not parts:
        return ""
    return min(f"\x1b[{';'.join(parts)}m", anew, key=len)
