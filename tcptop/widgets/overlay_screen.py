"""Base class of screens that consist of one scrolling pane: the help and the explanation pages."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.events import Key
from textual.screen import Screen

from tcptop.ledger import Ledger
from tcptop.view import View
from tcptop.widgets.scroll_pane import ScrollPane

SCROLLING_KEYS = ("up", "down", "pageup", "pagedown", "home", "end")


class OverlayScreen(Screen[None]):
    """Screen that consists of one scrolling pane.

    Any key closes the screen, except a key that scrolls the pane and a key that is passed on to the app.
    """

    PASSED_ON_KEYS: tuple[str, ...] = ()
    """Keys that are passed on to the app. In the app, these keys have the same effect as on the main screen."""

    def __init__(self, pane: ScrollPane, ledger: Ledger, view: View) -> None:
        super().__init__()
        self._pane, self._ledger, self._view = pane, ledger, view

    def compose(self) -> ComposeResult:
        """Yields the pane."""
        yield self._pane

    def on_mount(self) -> None:
        """Draws and focuses the pane."""
        self._pane.show(self._ledger, self._view)
        self._pane.focus()

    def on_key(self, event: Key) -> None:
        """Closes the screen, except on a key that scrolls the pane or that is passed on to the app."""
        if event.key not in (*SCROLLING_KEYS, *self.PASSED_ON_KEYS):
            event.stop()
            # A second key press may arrive before the first key press has closed the screen.
            if self.is_current:
                self.dismiss()
