"""Command palette (`:`): Textual's palette, adapted to terminals of every size."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from textual import work
from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.css.query import NoMatches
from textual.events import Resize
from textual.geometry import Size
from textual.timer import Timer

MIN_COLUMNS, MIN_ROWS = 20, 4
TOO_SMALL = f"the command palette needs {MIN_COLUMNS} columns and {MIN_ROWS} lines"


def has_room(size: Size) -> bool:
    """Whether a terminal of this size has room for the palette."""
    return size.width >= MIN_COLUMNS and size.height >= MIN_ROWS


class Palette(CommandPalette):
    """Command palette that closes if the terminal becomes too small, and that may be closed at any moment.

    Textual's own palette fails if its list has no room. Textual's palette also fails if a search or a timer ends after
    the palette's widgets were removed.
    """

    CSS = """
    .-low Palette > Vertical, .-tiny Palette > Vertical, Palette.-low > Vertical, Palette.-tiny > Vertical {
        margin-top: 0;
    }
    Palette.-tiny #--input, Palette.-tiny #--input.--list-visible { border: none; height: 1; }
    Palette.-tiny SearchIcon { margin-top: 0; }
    Palette.-tiny CommandInput, Palette.-tiny CommandInput:focus { border: none; height: 1; }
    Palette.-tiny CommandList { border: none; max-height: 100vh; }
    """

    def on_resize(self, event: Resize) -> None:
        """Closes the palette if the terminal has become too small for the palette."""
        if not has_room(event.size) and self.is_current:
            self._action_escape()

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Closes the palette, unless an earlier key or an earlier resize has already closed it."""
        return super().dismiss(result) if self.is_current else AwaitComplete(sleep(0))

    def set_timer(self, delay: float, callback: Callable[[], Any] | None = None, **options: Any) -> Timer:  # noqa: ANN401 (as Textual)
        """Starts a timer. If the list has been removed when the timer ends, `callback` is not called."""
        return super().set_timer(
            delay, callback and (lambda: callback() if self.query(CommandList) else None), **options
        )

    @work(exclusive=True, group=CommandPalette._GATHER_COMMANDS_GROUP)
    async def _gather_commands(self, search_value: str) -> None:
        with suppress(NoMatches):
            await CommandPalette._gather_commands.__wrapped__(self, search_value)  # type: ignore[attr-defined]

    def _watch__list_visible(self) -> None:
        if self.query(CommandList):
            super()._watch__list_visible()

    async def _watch__show_busy(self) -> None:
        with suppress(NoMatches):
            await super()._watch__show_busy()

    def _action_command_list(self, action: str) -> None:
        if any(each.scrollable_content_region for each in self.query(CommandList)):
            super()._action_command_list(action)
