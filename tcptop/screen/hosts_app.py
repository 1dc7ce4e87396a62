"""The table of hosts on the screen, and the full screen of one host over the same ssh session.

The table and the full screen are two apps, of which only one runs at a time. Background threads read the hosts all the
time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Event, InputEvent, Paste

from tcptop.explanation.host_rows import SORT_TITLES, TableOrder
from tcptop.ledger import Threshold
from tcptop.ledger.host_row import HostLook
from tcptop.sampling.fleet import Fleet
from tcptop.screen.app import CURSOR_HOME, TcptopApp
from tcptop.screen.crash import end_with_traceback
from tcptop.screen.key_queue import KeyQueue
from tcptop.screen.live_feed import LiveFeed
from tcptop.screen.messages import MessageApp
from tcptop.screen.themes import THEMES
from tcptop.settings.file import Settings, read_settings, settings_path
from tcptop.terminal.driver import CellDriver
from tcptop.terminal.hangup import die_by_received_signal, is_ending
from tcptop.terminal.requirements import remove_textual_variables, require_terminal
from tcptop.text.ascii import needs_ascii
from tcptop.widgets.hosts_pane import HostsPane
from tcptop.widgets.key_line import FROM_TABLE_CLASS
from tcptop.widgets.pane import ASCII_CLASS

DRAW_S = 1.0
"""Time in seconds between two drawings of the table."""
DEFAULT_INTERVAL_S = 2.0
BY_URGENCY = TableOrder()

States = Callable[[], Sequence[HostLook]]
MakeFleet = Callable[[Mapping[str, Threshold], float], Fleet]


class HostsApp(MessageApp):
    """The app of the table.

    When the app ends, `opened` has the name of the machine to open, or None if the user quits.
    """

    CSS = """
    Screen { background: $background; overflow: hidden; }
    .-ascii HelpPane { border: ascii $secondary; }
    ToastRack { margin: 0; overflow: hidden; }
    ToastHolder { align-horizontal: left; width: 100%; }
    Toast { width: 100%; max-width: 100%; margin: 0; padding: 0 1; border: none; background: $panel; color: $primary; }
    """
    TITLE = "tcptop"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,Q,ctrl+c,f10", "quit", "quit", priority=False),
        Binding("question_mark,h,H,f1", "help", "show the help"),
        Binding("s,S,f6", "step_sort", "sort by the next column"),
        Binding("r,R", "reverse", "reverse the order"),
        *(Binding(key, f"sort('{key}')", f"sort by {title}") for key, title in SORT_TITLES.items()),
        Binding("slash,f3,f4", "find", "find hosts by a text in their name"),
        Binding("escape", "set_text('')", "clear the filter", show=False),
        Binding("space", "look", "look now"),
        Binding("ctrl+l", "send_all", "draw everything again"),
    ]

    def __init__(
        self,
        states: States,
        interval_s: float,
        settings: Settings,
        order: TableOrder = BY_URGENCY,
        cursor: str | None = None,
        look_now: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes the initial order and cursor of the table, and two functions of the caller.

        `states` returns the state of all machines, and `look_now` makes the background threads read every machine now.
        """
        super().__init__(driver_class=CellDriver)
        self.opened: str | None = None
        self.pane = HostsPane(interval_s, order, cursor)
        self._states, self._look_now = states, look_now
        self.set_class(bool(settings.ascii), ASCII_CLASS)
        self.animation_level = "none"
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[settings.theme or "dark"].name
        self._keys = KeyQueue(self, super().on_event)

    async def on_event(self, event: Event) -> None:
        """Queues keys, pasted texts and mouse events; handles every other event at once."""
        if isinstance(event, (InputEvent, Paste)) and not event.is_forwarded:
            self._keys.put(event)
        else:
            await super().on_event(event)

    @property
    def key_repeats(self) -> bool:
        """True if the next key in the queue is the same as the current key.

        If both keys are the same, the table is drawn only after the next key.
        """
        return self._keys.repeats

    def compose(self) -> ComposeResult:
        """The table, which fills the screen."""
        yield self.pane

    def on_mount(self) -> None:
        """Draws the table, and draws it again every DRAW_S seconds."""
        self.pane.focus()
        self.call_after_refresh(self._draw_first)
        self.set_interval(DRAW_S, self.draw)

    def on_unmount(self) -> None:
        """Discards the keys that wait in the queue."""
        self._keys.end()

    def _fatal_error(self) -> None:
        end_with_traceback(self)

    def _draw_first(self) -> None:
        self.draw()
        self._keys.open()
        if isinstance(self._driver, CellDriver):
            self.call_after_refresh(self._driver.start_drawing)

    def draw(self) -> None:
        """Draws the present state of all machines.

        If nothing covers the table, changed lines are written without Textual's compositor.
        """
        driver = self._driver
        self.pane.show_looks(self._states())
        if isinstance(driver, CellDriver) and len(self.screen_stack) == 1 and not self._notifications:
            changes = self.pane.render_changes()
            if changes:
                driver.write(f"{changes}{CURSOR_HOME}")
                driver.flush()
        else:
            self.pane.refresh_changes()

    def on_hosts_pane_opened(self, message: HostsPane.Opened) -> None:
        """Ends this app so that the machine can be opened, but only if the machine answers."""
        look = next((look for look in self._states() if look.name == message.name), None)
        if look is not None and look.answers:
            self.opened = message.name
            self.exit(0)
        else:
            self.notify("this host does not answer; its row says why", timeout=4, markup=False)

    def action_sort(self, key: str) -> None:
        """Sorts by a column; if the table is sorted by this column already, reverses the order."""
        order = self.pane.order
        self.pane.set_order(order._replace(sort=key, reverse=order.sort == key and not order.reverse))

    def action_step_sort(self) -> None:
        """Sorts by the next column."""
        keys = list(SORT_TITLES)
        self.action_sort(keys[(keys.index(self.pane.order.sort) + 1) % len(keys)])

    def action_reverse(self) -> None:
        """Reverses the order."""
        order = self.pane.order
        self.pane.set_order(order._replace(reverse=not order.reverse))

    def action_find(self) -> None:
        """Asks the user for a text that must occur in the names of the shown machines."""
        from tcptop.widgets.prompt import Prompt

        prompt = Prompt("only hosts with:", self.pane.order.text, self.action_set_text)
        self.push_screen(prompt, lambda answer: self.action_set_text(answer or ""))

    def action_set_text(self, text: str) -> None:
        """Shows only machines with the text in their names; an empty text shows all machines."""
        self.pane.set_order(self.pane.order._replace(text=text))

    def action_look(self) -> None:
        """Starts to read every machine now."""
        self._look_now()

    def action_help(self) -> None:
        """Opens the help of the table."""
        from tcptop.widgets.hosts_help import HostsHelpScreen

        self.push_screen(HostsHelpScreen())

    def action_send_all(self) -> None:
        """Redraws the whole screen, for a terminal that lost its contents."""
        if isinstance(self._driver, CellDriver):
            self._driver.send_all()

    def pop_screen(self) -> Any:  # noqa: ANN401 (as Textual)
        """Closes the top screen, and draws the table below it, which was not drawn while it was covered."""
        self.call_later(self.draw)
        return super().pop_screen()


class OpenedHostApp(TcptopApp):
    """The full screen of one machine of the table; `q` and ESC lead back to the table, and Ctrl-C quits."""

    comes_back = False

    async def action_quit(self) -> None:
        """Ends this app; the table is shown next, unless the user pressed Ctrl-C or F10."""
        self.comes_back = self._keys.handled_key not in ("ctrl+c", "f10")
        self.exit(0)

    def action_leave(self) -> None:
        """If a pane is zoomed or a filter is set, ends the zoom or the filter; otherwise returns to the table."""
        if self._zoomed is not None or self.choices.name_filter:
            super().action_leave()
        else:
            self.comes_back = True
            self.exit(0)


def show_hosts(options: argparse.Namespace, make_fleet: MakeFleet) -> int:
    """Shows the table, and the machines that the user opens, until the user quits; returns the exit code."""
    require_terminal()
    remove_textual_variables()
    settings, mistakes = read_settings(settings_path())
    interval_s = options.delay or settings.interval or DEFAULT_INTERVAL_S
    settings = replace(
        settings,
        interval=interval_s,
        theme=options.theme or settings.theme,
        mouse=options.mouse or settings.mouse,
        ascii=options.ascii or settings.ascii,
    )
    ascii_alone = needs_ascii(os.environ, sys.stdout.encoding) if settings.ascii is None else bool(settings.ascii)
    fleet = make_fleet(settings.thresholds, interval_s)
    order, cursor, code = TableOrder(), None, 0
    try:
        fleet.start()
        while not is_ending():
            table = HostsApp(fleet.states, interval_s, settings, order, cursor, fleet.look_now)
            table.set_class(ascii_alone, ASCII_CLASS)
            for line in mistakes:
                table.call_later(table.notify, line, timeout=10, severity="warning", markup=False)
            mistakes = []
            table.run(mouse=bool(settings.mouse))
            code, order, cursor = table.return_code or 0, table.pane.order, table.pane.cursor
            if table.opened is None or is_ending() or not _show_opened(fleet, table.opened, settings, ascii_alone):
                break
    finally:
        fleet.end()
    die_by_received_signal()
    return code


def _show_opened(fleet: Fleet, name: str, settings: Settings, ascii_alone: bool) -> bool:
    """Shows the full screen of a machine; returns True if the user goes back to the table."""
    number = next(number for number, look in enumerate(fleet.states()) if look.name == name)
    fleet.pause(number, True)
    try:
        app = OpenedHostApp(LiveFeed(fleet.hosts[number], keeps_host=True), settings)
        app.set_class(ascii_alone, ASCII_CLASS)
        app.add_class(FROM_TABLE_CLASS)
        app.run(mouse=bool(settings.mouse))
    finally:
        fleet.pause(number, False)
    return app.comes_back and not is_ending() and app.return_code in (0, None)
