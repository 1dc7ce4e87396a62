"""Terminal emulator for tests, whose cells are what a person would see."""

from __future__ import annotations

import unicodedata

import pyte
from pyte.screens import Char
from wcwidth import wcwidth

ALTERNATE_SCREEN = 1049


class Emulator(pyte.Screen):
    """pyte's screen, corrected where pyte differs from xterm and VTE.

    When one half of a wide character is overwritten, terminals blank the other half, but pyte leaves the other half. If
    a character combines with a wide character, pyte adds it to the right half. The alternate screen is missing in pyte.
    """

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows)
        self.stream = pyte.Stream(self)
        self.alternate = False
        self.reset_mode(7, private=True)

    def draw(self, data: str) -> None:
        for character in data:
            width = wcwidth(character)
            line = self.buffer[self.cursor.y]
            if width <= 0:
                self._combine(line, character)
                continue
            if self.cursor.x + width > self.columns:
                self.cursor.x = self.columns - width
            x, after = self.cursor.x, self.cursor.x + width
            if x and not line[x].data:
                line[x - 1] = line[x - 1]._replace(data=" ")
            if after < self.columns and not line[after].data:
                line[after] = line[after]._replace(data=" ")
            line[x] = self.cursor.attrs._replace(data=character)
            if width == 2:
                line[x + 1] = self.cursor.attrs._replace(data="")
            self.cursor.x = after

    def _combine(self, line: dict[int, Char], character: str) -> None:
        x = self.cursor.x - 1
        if x > 0 and not line[x].data:
            x -= 1
        if x >= 0:
            line[x] = line[x]._replace(data=unicodedata.normalize("NFC", line[x].data + character))

    def set_mode(self, *modes: int, **kwargs: bool) -> None:
        super().set_mode(*modes, **kwargs)
        if ALTERNATE_SCREEN in modes and kwargs.get("private"):
            self.alternate = True
            self.erase_in_display(2)

    def reset_mode(self, *modes: int, **kwargs: bool) -> None:
        super().reset_mode(*modes, **kwargs)
        if ALTERNATE_SCREEN in modes and kwargs.get("private"):
            self.alternate = False
            self.erase_in_display(2)

    def feed(self, text: str) -> None:
        """Interprets the output of a program."""
        self.stream.feed(text)

    def text(self) -> str:
        """The characters of the screen without their attributes."""
        return "\n".join("".join(self.buffer[y][x].data for x in range(self.columns)) for y in range(self.lines))

    def visible_cells(self) -> list[list[Char]]:
        """Every cell with its attributes; a blank cell has only the attributes that are visible on a blank."""
        return [[visible_cell(self.buffer[y][x]) for x in range(self.columns)] for y in range(self.lines)]


def visible_cell(cell: Char) -> Char:
    """The cell without attributes that are invisible on it, such as the foreground of a blank."""
    if cell.data != " " or cell.underscore or cell.reverse or cell.strikethrough or cell.blink:
        return cell
    return Char(" ", bg=cell.bg)
