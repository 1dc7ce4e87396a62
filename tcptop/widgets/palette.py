"""Palette (`:`): a list of all commands, filtered by the text that the user types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.events import Click, Key, Paste
from textual.geometry import Size
from textual.screen import ModalScreen

from tcptop.ledger import Ledger
from tcptop.text.line import EMPTY_LINE, Line, text_of
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.widgets.cell_width import crop_line
from tcptop.widgets.scroll_pane import Content, ScrollPane

MIN_COLUMNS, MIN_ROWS = 20, 4
TOO_SMALL = f"the command palette needs {MIN_COLUMNS} columns and {MIN_ROWS} lines"
GROUP_WIDTH, KEYS_WIDTH = 9, 12
GROUP_COLUMNS = 60
"""The palette shows the names of the groups if the palette has at least this many columns."""
MAX_CHARACTERS = 80
SCROLLING_KEYS = ("up", "down", "pageup", "pagedown", "home", "end")


class Command(NamedTuple):
    """An entry of the palette, for one command."""

    group: str
    meaning: str
    keys: str
    """The names of the keys that run the command; empty if no key runs it."""
    action: str
    """The action of the app that the command runs."""


def has_room(size: Size) -> bool:
    """True if a terminal of this size has room for the palette."""
    return size.width >= MIN_COLUMNS and size.height >= MIN_ROWS


def matching_commands(commands: Sequence[Command], typed: str) -> list[Command]:
    """The commands for which each typed word occurs in the group, the meaning or the keys."""
    words = typed.casefold().split()
    return [each for each in commands if all(word in " ".join(each[:3]).casefold() for word in words)]


class PalettePane(ScrollPane):
    """Pane with the typed text and the commands that match it; one of the commands has the cursor."""

    DEFAULT_CSS = """
    PalettePane { width: 100%; height: 60%; min-height: 4; background: $surface; }
    """

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__(id="palette", classes="-titled")
        self._commands = tuple(commands)
        self._typed = ""
        self._cursor = 0

    @property
    def found(self) -> list[Command]:
        """The commands that match the typed text."""
        return matching_commands(self._commands, self._typed)

    @property
    def chosen(self) -> Command | None:
        """The command with the cursor; None if no command matches."""
        found = self.found
        return found[min(self._cursor, len(found) - 1)] if found else None

    def title(self, ledger: Ledger, choices: Choices) -> str:  # noqa: ARG002
        """The title, which names the keys."""
        return "Commands ─ ENTER runs, ESC closes"

    def content(self, ledger: Ledger, choices: Choices, columns: int) -> Content:  # noqa: ARG002
        """A head with the typed text, and a body with the commands."""
        found = self.found
        self._cursor = max(0, min(self._cursor, len(found) - 1))
        self._kept_line = self._cursor if found else None
        head: Line = ((": ", "accent"), (self._typed[-max(1, columns - 3) :], "strong"), ("_", "accent"))
        above = [None, *found]
        body = [crop_line(_line(each, before, columns), columns) for each, before in zip(found, above, strict=False)]
        if found:
            body[self._cursor] = ((text_of(body[self._cursor]).ljust(columns), "cursor"),)
        return [head], body or [((" no command has this text", "dim"),), EMPTY_LINE]

    def type_text(self, text: str) -> None:
        """Appends characters to the typed text."""
        self._typed = (self._typed + "".join(each for each in text if each.isprintable()))[:MAX_CHARACTERS]
        self._cursor = 0
        self.redraw_after_key()

    def erase(self) -> None:
        """Removes the last typed character."""
        self._typed = self._typed[:-1]
        self._cursor = 0
        self.redraw_after_key()

    def command_at(self, row: int) -> Command | None:
        """The command in a row of the pane; None if the row has no command. Row 0 is the typed text."""
        found, index = self.found, self._first + row - 1
        return found[index] if row > 0 and index < len(found) else None

    def action_scroll_by(self, lines: int) -> None:
        """Moves the cursor up or down."""
        self._cursor = max(0, min(len(self.found) - 1, self._cursor + lines))
        self.redraw_after_key()


def _line(command: Command, above: Command | None, columns: int) -> Line:
    """The line of a command; the first line of a group also has the group's name, if the pane is wide enough."""
    if columns < GROUP_COLUMNS:
        return ((f" {command.meaning}  ", "text"), (command.keys, "accent"))
    group = "" if above is not None and above.group == command.group else command.group
    return (
        (f" {group:<{GROUP_WIDTH}}", "head"),
        (f" {command.keys:<{KEYS_WIDTH}} ", "accent"),
        (command.meaning, "text"),
    )


class Palette(ModalScreen["Command | None"]):
    """Screen with the palette; its result is the chosen command, or None if none was chosen."""

    CSS = "Palette { align: left bottom; background: transparent; }"
    TAKES_TEXT: ClassVar[bool] = True
    """True because a typed letter belongs to the text, and must not act as a key of the app."""

    def __init__(self, commands: Sequence[Command], ledger: Ledger, view: View) -> None:
        super().__init__()
        self._pane, self._ledger, self._view = PalettePane(commands), ledger, view

    def compose(self) -> ComposeResult:
        """Yields the pane."""
        yield self._pane

    def on_mount(self) -> None:
        """Draws the pane, and gives it the focus."""
        self._pane.show(self._ledger, self._view)
        self._pane.focus()

    def on_key(self, event: Key) -> None:
        """Changes the typed text, runs the command with the cursor, or closes the palette."""
        if event.key in SCROLLING_KEYS:
            return
        event.stop()
        event.prevent_default()
        if event.key == "enter":
            self._close(self._pane.chosen)
        elif event.key in ("escape", "ctrl+c"):
            self._close(None)
        elif event.key in ("backspace", "ctrl+h"):
            self._pane.erase()
        elif event.character is not None and event.is_printable:
            self._pane.type_text(event.character)

    def on_paste(self, event: Paste) -> None:
        """Adds pasted text to the typed text."""
        event.stop()
        self._pane.type_text(event.text)

    def on_click(self, event: Click) -> None:
        """Runs the clicked command; a click beside the commands closes the palette."""
        event.stop()
        row = event.screen_y - self._pane.content_region.y
        if row != 0:
            self._close(self._pane.command_at(row))

    def _close(self, command: Command | None) -> None:
        # A second key press may arrive before the first has closed the screen; a screen must be dismissed only once.
        if self.is_current:
            self.dismiss(command)
