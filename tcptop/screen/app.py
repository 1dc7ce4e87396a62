"""Base app: layout, shared key bindings, handing a Ledger to the panes.

`live_app.py` shows a host, `replay_app.py` a recording.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen

from tcptop.accounting.growth_since_mark import growth_since_mark
from tcptop.explanation import Page, find_page, page_of_label
from tcptop.ledger import Ledger
from tcptop.screen.keys import SHARED_BINDINGS, bound_keys
from tcptop.screen.settings import NO_SETTINGS, Settings, settings_path, write_settings
from tcptop.screen.themes import LIGHT_THEME, THEME, THEMES
from tcptop.snapshot import LabMeasurement
from tcptop.terminal.driver import CellDriver
from tcptop.text.cache_columns import SORT_KEYS
from tcptop.view.choices import Choices
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.headroom_line import HeadroomLine
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.pane import ASCII_CLASS, Pane
from tcptop.widgets.sockets_pane import SocketsPane
from tcptop.widgets.timeline_pane import TimelinePane
from tcptop.widgets.trend_line import TrendLine

REPLAY_CLASS = "-replay"
"""CSS class of an app that shows a sample of a recording."""


class Stopped(Message):
    """Posted when sampling or reading a recording raised an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class TcptopApp(App[int]):
    """The app without a source of samples; subclasses implement `begin`."""

    CSS = """
    Screen { layout: vertical; background: $background; overflow: hidden; }
    .-tall .box { border: round $border-blurred; padding: 0 1; }
    .-tall .box:focus { border: round $secondary; }
    .-ascii .-tall .box, .-ascii.-tall .box { border: ascii $border-blurred; }
    .-ascii .-tall .box:focus, .-ascii.-tall .box:focus { border: ascii $secondary; }
    .-ascii ExplainPane, .-ascii HelpPane { border: ascii $secondary; }
    .-short .box, .-low .box { border-top: solid $border-blurred; }
    .-short .box:focus, .-low .box:focus { border-top: solid $secondary; }
    .-ascii .-short .box, .-ascii .-low .box { border-top: ascii $border-blurred; }
    .-ascii .-short .box:focus, .-ascii .-low .box:focus { border-top: ascii $secondary; }
    #top { height: 8; }
    .-short #top { height: 7; }
    .-low #top, .-tiny #top { height: 1fr; }
    #figure { width: 1fr; }
    #sockets { width: 52; }
    .-narrow #sockets { width: 36; }
    .-short #sockets, .-low #sockets { padding: 0 0 0 1; }
    .-slim #sockets { display: none; }
    #caches { height: 1fr; }
    #buddy { height: 1fr; }
    .-low #buddy, .-tiny #buddy, .-tiny #caches, .-tiny #keys, .-low #headroom, .-tiny #headroom { display: none; }
    ToastRack { margin: 0; overflow: hidden; }
    ToastHolder { align-horizontal: left; width: 100%; }
    Toast { width: 100%; max-width: 100%; margin: 0; padding: 0 1; border: none; background: $panel; color: $primary; }
    .-low #trends, .-tiny #trends, .-short #trends, .-saved #trends { display: none; }
    #timeline { display: none; }
    .-replay .-tall #timeline, .-replay.-tall #timeline { display: block; height: 3; }
    .-replay .-short #timeline, .-replay.-short #timeline { display: block; height: 1; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (76, "-narrow"), (108, "-wide")]  # noqa: RUF012 (as Textual declares it)
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (10, "-low"), (18, "-short"), (32, "-tall")]  # noqa: RUF012
    TITLE = "tcptop"
    COMMAND_PALETTE_BINDING = "colon"
    BINDINGS = SHARED_BINDINGS

    def __init__(
        self,
        every_s: float = 1.0,
        sort: str | None = None,
        lab_measurement: LabMeasurement | None = None,
        settings: Settings = NO_SETTINGS,
        mistakes: Sequence[str] = (),
    ) -> None:
        """Takes the options, the settings, and the mistakes found in the settings file."""
        super().__init__(driver_class=CellDriver)
        self._settings, self._mistakes = settings, tuple(mistakes)
        self.set_class(bool(settings.ascii), ASCII_CLASS)
        self._lab_measurement = lab_measurement
        self.animation_level = "none"
        self._ledger: Ledger | None = None
        self._choices = Choices(interval_s=every_s)
        if sort is not None:
            self._choices = replace(self._choices, sort=SORT_KEYS[sort])
        self._choices = replace(
            self._choices,
            extras=settings.extras is not False,
            columns=settings.columns,
        )
        self._node_chosen = False

    def compose(self) -> ComposeResult:
        """The panes from top to bottom."""
        yield HeadLine(id="head")
        with Horizontal(id="top"):
            yield FigurePane(classes="box", id="figure")
            yield SocketsPane(classes="box", id="sockets")
        yield HeadroomLine(id="headroom")
        yield TrendLine(id="trends")
        yield CachesPane(classes="box", id="caches")
        yield BuddyPane(classes="box", id="buddy")
        yield TimelinePane(id="timeline")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Sets the theme, reports mistakes in the settings, installs signal handlers, starts sampling."""
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[self._settings.theme or "dark"].name
        for line in self._mistakes:
            self.notify(line, timeout=10, severity="warning", markup=False)
        self.query_one(CachesPane).focus()
        self.begin()

    def begin(self) -> None:
        """Starts to deliver samples; runs on the event loop."""
        raise NotImplementedError

    def on_stopped(self, message: Stopped) -> None:
        """Raises the error: Textual restores the terminal and prints it."""
        raise message.error

    def show(self, ledger: Ledger, choices: Choices) -> None:
        """Draws a ledger with the user's choices; the first ledger also selects a node."""
        if self._ledger is None and isinstance(self._driver, CellDriver):
            self.call_after_refresh(self._driver.start_drawing)
        self._ledger, self._choices = ledger, choices
        self.set_class(not ledger.live, "-saved")
        if not self._node_chosen and ledger.nodes:
            # The first node with memory; on a machine with one node, that one.
            self._node_chosen = True
            with_zones = [node.node for node in ledger.nodes if node.zones]
            first = with_zones[0] if with_zones else ledger.nodes[0].node
            wanted = self._settings.node
            known = [node.node for node in ledger.nodes]
            self._choices = replace(self._choices, node=wanted if wanted in known else first)
        self._draw()

    def _choose(self, choices: Choices) -> None:
        self._choices = choices
        self._draw()

    def _draw(self) -> None:
        if self._ledger is None:
            return
        mark = self._choices.mark
        if mark is not None:
            self._choices = replace(self._choices, since=growth_since_mark(mark, self._ledger))
        for screen in self.screen_stack:
            for pane in screen.query(Pane):
                pane.show(self._ledger, self._choices)

    def action_leave(self) -> None:
        """Quits with exit code 0."""
        self.exit(0)

    def action_switch_accounting(self) -> None:
        """Switches between full and TIME_WAIT accounting (key `m`)."""
        mode = "time_wait" if self._choices.mode == "full" else "full"
        self._choose(replace(self._choices, mode=mode))  # type: ignore[arg-type]

    def action_node(self, node: int) -> None:
        """Shows a node by its number, or a message if there is no such node."""
        numbers = [each.node for each in self._ledger.nodes] if self._ledger else []
        if node in numbers:
            self._choose(replace(self._choices, node=node))
        else:
            listed = ", ".join(map(str, numbers[:16])) + (", …" if len(numbers) > 16 else "")
            self.notify(f"no node {node}; there are: {listed}", timeout=3, markup=False)

    def action_step_node(self, step: int) -> None:
        """Shows the previous or next node by number, with wrap-around."""
        numbers = [node.node for node in self._ledger.nodes] if self._ledger else []
        if not numbers:
            return
        if self._choices.node in numbers:
            number = numbers[(numbers.index(self._choices.node) + step) % len(numbers)]
        else:
            number = numbers[0 if step > 0 else -1]
        self._choose(replace(self._choices, node=number))

    def action_all_nodes(self) -> None:
        """Shows all nodes."""
        self._choose(replace(self._choices, node=None))

    def action_ask_node(self) -> None:
        """Asks for a node number: the digit keys reach only ten nodes."""
        self._ask("node:", self._answer_node)

    def action_sort(self, column_id: str) -> None:
        """Sorts by a column; the same column again reverses the order."""
        reverse = self._choices.sort == column_id and not self._choices.reverse
        self._choose(replace(self._choices, sort=column_id, reverse=reverse))

    def action_ask_wanted(self) -> None:
        """Asks for a part of a name; the table follows each typed character."""
        from tcptop.widgets.prompt import Prompt

        before = self._choices.name_filter
        self.push_screen(Prompt("only caches with:", before, self._want), lambda answer: self._want(answer or ""))

    def _want(self, text: str) -> None:
        self._choose(replace(self._choices, name_filter=text))

    def action_end_wanted(self) -> None:
        """Removes the name filter."""
        self._want("")

    def action_switch_caches(self) -> None:
        """Switches between TCP's caches and all caches."""
        self._choose(replace(self._choices, all_caches=not self._choices.all_caches))

    def action_switch_extras(self) -> None:
        """Switches change marks and graphs on or off."""
        self._notify_if_saved()
        self._choose(replace(self._choices, extras=not self._choices.extras))

    def action_mark(self) -> None:
        """Sets a mark at the current figures, or removes it."""
        self._notify_if_saved()
        mark = self._ledger if self._choices.mark is None else None
        self._choose(replace(self._choices, mark=mark, since=None))

    def _notify_if_saved(self) -> None:
        """Shows a message on a saved tree: its one sample never changes."""
        if self._ledger is not None and not self._ledger.live:
            self.notify("saved: there is one sample, and nothing that changes", timeout=3, markup=False)

    def action_switch_unit(self) -> None:
        """Switches the buddy lists between blocks and bytes."""
        unit = "bytes" if self._choices.block_unit == "blocks" else "blocks"
        self._choose(replace(self._choices, block_unit=unit))  # type: ignore[arg-type]

    def action_send_all(self) -> None:
        """Redraws the whole screen, for a terminal that lost its contents."""
        if isinstance(self._driver, CellDriver):
            self._driver.send_all()
        self.refresh(repaint=True, layout=True)

    def action_suspend_process(self) -> None:
        """Suspends the whole process group, including a parent such as `sh -c`, until the shell continues it."""
        if self._driver is not None and self._driver.can_suspend:
            self._suspend_signal()
            os.kill(0, signal.SIGTSTP)

    def action_help(self) -> None:
        """Opens the help: keys, figures, columns."""
        if self._ledger is None:
            return
        from tcptop.widgets.help_screen import HelpScreen

        self.push_screen(HelpScreen(bound_keys(self.BINDINGS), self._ledger, self._choices))

    def action_explain(self) -> None:
        """Opens the explanation at its first page."""
        self._explain(lambda _: None)

    def action_explain_page(self, name: str) -> None:
        """Opens the explanation at a named page."""
        self._explain(lambda ledger: find_page(ledger, name))

    def on_caches_pane_row_selected(self, message: CachesPane.RowSelected) -> None:
        """Opens the explanation of the cache in a row."""
        self._explain(lambda ledger: find_page(ledger, message.name))

    def on_figure_pane_part_selected(self, message: FigurePane.PartSelected) -> None:
        """Opens the explanation of a part of the figure; for idle slab, the memory page."""
        self._explain(lambda ledger: page_of_label(ledger, message.label) or find_page(ledger, "memory"))

    def _explain(self, found: Callable[[Ledger], Page | None]) -> None:
        if self._ledger is None:
            return
        from tcptop.widgets.explain_screen import ExplainScreen

        self.ask_for_layouts()
        self.push_screen(ExplainScreen(found(self._ledger), self._ledger, self._choices))

    def ask_for_layouts(self) -> None:
        """Requests the struct layouts (BTF), which only the explanation needs; does nothing on a recording."""

    def save_settings(self) -> None:
        """Writes the current choices to the settings file."""
        sort = next(key for key, column_id in SORT_KEYS.items() if column_id == self._choices.sort)
        settings = replace(
            self._settings,
            interval=self._choices.interval_s,
            sort=sort,
            node=self._choices.node,
            theme="light" if self.theme == LIGHT_THEME.name else "dark",
            extras=self._choices.extras,
        )
        try:
            write_settings(settings_path(), settings)
        except OSError as error:
            self.notify(f"{settings_path()}: {error.strerror}", severity="warning", markup=False)
        else:
            self.notify(f"written: {settings_path()}", timeout=4, markup=False)

    def switch_theme(self) -> None:
        """Switches between the dark and the light theme."""
        self.theme = (THEME if self.theme == LIGHT_THEME.name else LIGHT_THEME).name

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:  # noqa: ARG002
        """The commands of the palette: all key bindings, and two commands without a key."""
        yield SystemCommand("dark or light", "", self.switch_theme)
        yield SystemCommand("write these settings to the settings file", "", self.save_settings)
        for keys, meaning in bound_keys(self.BINDINGS):
            binding = next(each for each in self.BINDINGS if isinstance(each, Binding) and each.description == meaning)
            yield SystemCommand(f"{meaning} ({keys})", "", lambda action=binding.action: self.run_later(action))

    def run_later(self, action: str) -> None:
        """Runs the action of a key after the palette has closed."""
        self.call_later(self.run_action, action)

    def _ask(self, question: str, answered: object) -> None:
        from tcptop.widgets.prompt import Prompt

        self.push_screen(Prompt(question), answered)  # type: ignore[call-overload]

    def _answer_node(self, answer: str | None) -> None:
        if not answer:
            return
        if answer.isascii() and answer.isdigit():
            self.action_node(int(answer))
        else:
            self.notify(f"not the number of a node: {answer[:20]}", timeout=3, markup=False)


def run(app: TcptopApp, settings: Settings, ascii_alone: bool = False) -> int:
    """Runs an app until it quits and returns its exit code; `ascii_alone` restricts it to ASCII."""
    app.set_class(ascii_alone, ASCII_CLASS)
    app.run(mouse=bool(settings.mouse))
    return app.return_code or 0
