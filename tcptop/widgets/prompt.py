"""Prompt: a question in the last line of the screen, for a node, an interval, a name filter, a time or a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input, Static


class Prompt(ModalScreen[str | None]):
    """Screen that asks the user a question.

    The result of the screen is the answer, or None if the user cancels.
    """

    CSS = """
    Prompt { align: left bottom; background: transparent; }
    Prompt Horizontal { height: 1; background: $panel; }
    Prompt Static { width: auto; color: $primary; padding: 0 1; }
    Prompt Input { width: 1fr; border: none; height: 1; padding: 0; background: $panel; }
    Prompt Input:focus { border: none; }
    """
    TAKES_TEXT: ClassVar[bool] = True
    """True because a typed letter belongs to the answer, and must not act as a key of the app."""
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "cancel", "cancel", show=False)]

    def __init__(self, question: str, text: str = "", on_change: Callable[[str], None] | None = None) -> None:
        """Takes the question, the initial text, and a function that is called with the new text after each change."""
        super().__init__()
        self._question, self._text, self._on_change = question, text, on_change

    def compose(self) -> ComposeResult:
        """Yields the question and the input field."""
        with Horizontal():
            yield Static(self._question, markup=False)
            yield Input(self._text, compact=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Passes the text to `on_change` after a change."""
        if self._on_change is not None:
            self._on_change(event.value.strip())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Closes the prompt with the answer."""
        if self.is_current:
            self.dismiss(event.value.strip())

    def action_cancel(self) -> None:
        """Closes the prompt without an answer."""
        if self.is_current:
            self.dismiss(None)
