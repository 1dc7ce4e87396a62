"""Base class of screens that consist of one scrolling pane: the help and the explanation pages."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.events import Click, Key
from textual.screen import Screen

from tcptop.ledger import Ledger
from tcptop.view import View
from tcptop.widgets.scroll_pane import ScrollPane

SCROLLING_KEYS = ("up", "down", "pageup", "pagedown", "home", "end")


class OverlayScreen(Screen[None]):
    """Screen that consists of one scrolling pane.

    Any key and a click close the screen, except keys that scroll the pane and keys that are passed on to the app.
    """

    PASSED_ON_KEYS: tuple[str, ...] = ()
    """Keys that are passed on to the app. The keys that are passed on have the same effect as on the main screen."""
    CLOSES_ON_CLICK: ClassVar[bool] = True
    """True if a click closes the screen."""

    def __init__(self, pane: ScrollPane, ledger: Ledger, view: View) -> None:
        super().__init__()
        self._pane, self._ledger, self._view = pane, ledger, view

    def compose(self) -> ComposeResult:
        """Yields the pane."""
        yield self._pane

    def on_mount(self) -> None:
        """Draws the pane, and gives it the focus."""
        self._pane.show(self._ledger, self._view)
        self._pane.focus()

    def acts_on(self, key: str) -> bool:  # noqa: ARG002
        """Acts on a key of this kind of screen; returns False for all other keys."""
        return False

    def on_key(self, event: Key) -> None:
        """Closes the screen, unless the key has an action, scrolls the pane, or is passed on to the app."""
        if self.acts_on(event.key):
            event.stop()
        elif event.key not in (*SCROLLING_KEYS, *self.PASSED_ON_KEYS):
            event.stop()
            self._close()

    def on_click(self, event: Click) -> None:
        """Closes the screen, if a click closes this kind of screen."""
        event.stop()
        if self.CLOSES_ON_CLICK:
            self._close()

    def _close(self) -> None:
        # A second key press may arrive before the first has closed the screen; a screen must be dismissed only once.
        if self.is_current:
            self.dismiss()
