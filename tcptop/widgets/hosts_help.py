"""Help for the table of hosts: its keys, its columns and its signs."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.events import Click, Key
from textual.screen import ModalScreen

from tcptop.explanation.host_rows import SORT_TITLES
from tcptop.text.line import Line, paragraph
from tcptop.text.table import fact_lines
from tcptop.widgets.help_screen import COLUMN_WIDTH, KEY_WIDTH, HelpPane, entry_lines
from tcptop.widgets.overlay_screen import SCROLLING_KEYS
from tcptop.widgets.scroll_pane import shorten_title

TITLE = "Help ─ any key that does not scroll closes"
INTRODUCTION = (
    "One row for each host, asked over ssh. The most urgent is first: alarms, hosts that do not answer, then those on"
    " which the fewest sockets fit more.",
    "Sockets, buffers and limits are read with each look, events every five seconds, TCP memory, bytes and the memory"
    " of the machine every ten. The last row has the sums of the hosts that answer.",
)
KEYS: tuple[tuple[str, str], ...] = (
    ("↑ ↓ PgUp PgDn", "choose a host; Home and End, too"),
    ("ENTER", "open the host: its full screen, on the same ssh session; q or ESC comes back"),
    ("s", "sort by the next column; or the letter of a column, below; again reverses"),
    ("r", "reverse the order"),
    ("/", "only hosts with a text in their name; ESC ends it"),
    ("SPACE", "look now"),
    ("q", "quit"),
)


def help_lines(columns: int) -> list[Line]:
    """The lines of the help."""
    lines: list[Line] = [(("The table of hosts", "head"),)]
    lines += [line for text in INTRODUCTION for line in paragraph(f" {text}", columns - 1, "text")]
    lines += [(), (("Keys", "head"),)]
    for key, text in KEYS:
        lines += fact_lines(key, text, columns, KEY_WIDTH, "accent")
    lines += [(), (("Columns, each with the key that sorts by it", "head"),)]
    for key, title in SORT_TITLES.items():
        lines += entry_lines(title, columns, f"{title:<{COLUMN_WIDTH + 1}}{key}", COLUMN_WIDTH + 2)
    return lines


class HostsHelpPane(HelpPane):
    """Pane with the text of the help, which is the same for all samples."""

    def redraw(self) -> None:
        """Draws the text for the present size and scroll position."""
        columns, rows = self.size
        if columns:
            body = help_lines(columns)
            self.place(len(body), rows)
            self.set_titles(shorten_title(TITLE, self.position, self.max_title_width), "")
            self.set_lines(body[self._first :], rows)
            self.refresh_changes()


class HostsHelpScreen(ModalScreen[None]):
    """Screen that shows the help over the table; scrolling keys scroll the help, any other key closes the screen."""

    CSS = "HostsHelpScreen { align: center middle; }"

    def compose(self) -> ComposeResult:
        """Yields the pane."""
        yield HostsHelpPane()

    def on_mount(self) -> None:
        """Focuses the pane."""
        self.query_one(HostsHelpPane).focus()

    def on_key(self, event: Key) -> None:
        """Closes the screen, except on a key that scrolls the text."""
        if event.key not in SCROLLING_KEYS:
            event.stop()
            self._close()

    def on_click(self, event: Click) -> None:
        """Closes the screen."""
        event.stop()
        self._close()

    def _close(self) -> None:
        if self.is_current:
            self.dismiss()
