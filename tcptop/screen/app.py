"""The screen, whatever it shows: the layout, the keys that it always has, and the way of a ledger to the panes.

`live_app.py` shows a host, `replay_app.py` a recording.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen

from tcptop.accounting.since_mark import since_mark
from tcptop.explanation import Page, page_named, page_of_label
from tcptop.ledger import Ledger
from tcptop.screen.keys import bound_keys
from tcptop.screen.settings import NO_SETTINGS, Settings, path, write
from tcptop.screen.themes import LIGHT_THEME, THEME, THEMES
from tcptop.snapshot import LabMeasurement
from tcptop.terminal.driver import CellDriver
from tcptop.text.cache_columns import SORT_KEYS, column
from tcptop.view.choices import Choices
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.cursor_grid import CursorGrid
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.headroom_line import HeadroomLine
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.pane import ASCII_CLASS, Pane
from tcptop.widgets.sockets_pane import SocketsPane
from tcptop.widgets.timeline_pane import TimeLinePane
from tcptop.widgets.trend_pane import TrendLine

REPLAY_CLASS = "-replay"
"""Of an app that shows a sample of a recording."""

SORT_BINDINGS: list[BindingType] = [
    Binding(f"{key},{key.upper()}", f"sort('{column_id}')", f"sort by {column(column_id).title}; again reverses")
    for key, column_id in SORT_KEYS.items()
]


class Stopped(Message):
    """Getting samples ended in an error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class TcptopApp(App[int]):
    """The screen."""

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
    #time-line { display: none; }
    .-replay .-tall #time-line, .-replay.-tall #time-line { display: block; height: 3; }
    .-replay .-short #time-line, .-replay.-short #time-line { display: block; height: 1; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (76, "-narrow"), (108, "-wide")]  # noqa: RUF012 (as Textual declares it)
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (10, "-low"), (18, "-short"), (32, "-tall")]  # noqa: RUF012
    TITLE = "tcptop"
    COMMAND_PALETTE_BINDING = "colon"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,Q,ctrl+c", "leave", "quit", priority=False),
        Binding("question_mark,h,H,f1", "help", "help"),
        Binding("m", "switch_accounting", "full or TIME_WAIT accounting"),
        *(Binding(str(digit), f"node({digit})", "that node") for digit in range(10)),
        Binding("left_square_bracket", "step_node(-1)", "previous node"),
        Binding("right_square_bracket", "step_node(1)", "next node"),
        Binding("equals_sign", "all_nodes", "all nodes"),
        Binding("g", "ask_node", "a node by its number"),
        *SORT_BINDINGS,
        Binding("y", "switch_unit", "free blocks or bytes"),
        Binding("slash", "ask_wanted", "only caches with a text in their name, as it is typed"),
        Binding("escape", "end_wanted", "every name again", show=False),
        Binding("r", "switch_caches", "caches of TCP's, or all"),
        Binding("k", "mark", "set a mark: counts show what came since; again ends it"),
        Binding("x", "switch_extras", "marks on what changed, and graphs, on or off"),
        Binding("i", "explain", "explains: sockets by state, memory, headroom, the kernel's paths"),
        Binding("ctrl+l", "send_all", "draw everything again"),
        Binding("ctrl+z", "suspend_process", "suspend"),
    ]

    def __init__(
        self,
        every_s: float = 1.0,
        sort: str | None = None,
        measured: LabMeasurement | None = None,
        settings: Settings = NO_SETTINGS,
        wrong: Sequence[str] = (),
    ) -> None:
        """Takes the options, and what the settings file says besides, with what is wrong with it."""
        super().__init__(driver_class=CellDriver)
        self._settings, self._wrong = settings, tuple(wrong)
        self.set_class(bool(settings.ascii), ASCII_CLASS)
        self._measured = measured
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
        yield TimeLinePane(id="time-line")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Takes the terminal's looks, and says what is wrong with the settings; where samples come from, begins."""
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[self._settings.theme or "dark"].name
        for line in self._wrong:
            self.notify(line, timeout=10, severity="warning", markup=False)
        self.query_one(CachesPane).focus()
        self.begin()

    def begin(self) -> None:
        """Starts to show samples, on the event loop."""
        raise NotImplementedError

    def on_stopped(self, message: Stopped) -> None:
        """Ends the program as any error does: Textual gives the terminal back and prints it."""
        raise message.error

    def show(self, ledger: Ledger, choices: Choices) -> None:
        """Draws a ledger as the user chose; the first one chooses a node."""
        if self._ledger is None and isinstance(self._driver, CellDriver):
            self.call_after_refresh(self._driver.show)
        self._ledger, self._choices = ledger, choices
        self.set_class(not ledger.live, "-saved")
        if not self._node_chosen and ledger.nodes:
            # The first node with memory: on a machine with one node that is the machine.
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
            self._choices = replace(self._choices, since=since_mark(mark, self._ledger))
        for screen in self.screen_stack:
            for pane in screen.query(Pane):
                pane.show(self._ledger, self._choices)

    def action_leave(self) -> None:
        """Quits with 0."""
        self.exit(0)

    def action_switch_accounting(self) -> None:
        """Full or TIME_WAIT accounting."""
        mode = "time_wait" if self._choices.mode == "full" else "full"
        self._choose(replace(self._choices, mode=mode))  # type: ignore[arg-type]

    def action_node(self, node: int) -> None:
        """Shows the node of that number; says so where there is none."""
        numbers = [each.node for each in self._ledger.nodes] if self._ledger else []
        if node in numbers:
            self._choose(replace(self._choices, node=node))
        else:
            listed = ", ".join(map(str, numbers[:16])) + (", …" if len(numbers) > 16 else "")
            self.notify(f"no node {node}; there are: {listed}", timeout=3, markup=False)

    def action_step_node(self, step: int) -> None:
        """Shows the node before or after, by number, round and round."""
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
        """Asks for the number of a node, for machines with more than ten."""
        self._ask("node:", self._answer_node)

    def action_sort(self, column_id: str) -> None:
        """Sorts by a column; by the same again, the other way round."""
        reverse = self._choices.sort == column_id and not self._choices.reverse
        self._choose(replace(self._choices, sort=column_id, reverse=reverse))

    def action_ask_wanted(self) -> None:
        """Asks for a part of a name; the table follows every character."""
        from tcptop.widgets.prompt import Prompt

        before = self._choices.wanted
        self.push_screen(Prompt("only caches with:", before, self._want), lambda answer: self._want(answer or ""))

    def _want(self, text: str) -> None:
        self._choose(replace(self._choices, wanted=text))

    def action_end_wanted(self) -> None:
        """Caches of every name."""
        self._want("")

    def action_switch_caches(self) -> None:
        """Caches of TCP's, or all."""
        self._choose(replace(self._choices, all_caches=not self._choices.all_caches))

    def action_switch_extras(self) -> None:
        """Marks and graphs, on or off."""
        self._say_if_saved()
        self._choose(replace(self._choices, extras=not self._choices.extras))

    def action_mark(self) -> None:
        """Sets a mark at the figures of now, or takes it away."""
        self._say_if_saved()
        mark = self._ledger if self._choices.mark is None else None
        self._choose(replace(self._choices, mark=mark, since=None))

    def _say_if_saved(self) -> None:
        """Says that nothing will come of it where there is but one sample."""
        if self._ledger is not None and not self._ledger.live:
            self.notify("saved: there is one sample, and nothing that changes", timeout=3, markup=False)

    def action_switch_unit(self) -> None:
        """Free blocks or bytes in the buddy lists."""
        unit = "bytes" if self._choices.block_unit == "blocks" else "blocks"
        self._choose(replace(self._choices, block_unit=unit))  # type: ignore[arg-type]

    def action_send_all(self) -> None:
        """Draws the whole screen again, for a terminal that lost it."""
        if isinstance(self._driver, CellDriver):
            self._driver.send_all()
        self.refresh(repaint=True, layout=True)

    def action_suspend_process(self) -> None:
        """Stops until the shell continues it, and with it what it was started by, a `sh -c` for one."""
        if self._driver is not None and self._driver.can_suspend:
            self._suspend_signal()
            os.kill(0, signal.SIGTSTP)

    def action_help(self) -> None:
        """Explains the keys, the figures and the columns."""
        if self._ledger is None:
            return
        from tcptop.widgets.help_screen import HelpScreen

        self.push_screen(HelpScreen(bound_keys(self.BINDINGS), self._ledger, self._choices))

    def action_explain(self) -> None:
        """Opens the pages that explain, at the first."""
        self._explain(lambda _: None)

    def action_explain_page(self, name: str) -> None:
        """Opens the pages that explain, at that one."""
        self._explain(lambda ledger: page_named(ledger, name))

    def on_cursor_grid_chosen(self, message: CursorGrid.Chosen) -> None:
        """Explains the cache of a row."""
        self._explain(lambda ledger: page_named(ledger, message.key))

    def on_figure_pane_chosen(self, message: FigurePane.Chosen) -> None:
        """Explains what is behind a part of the figure; idle slab by the page of memory."""
        self._explain(lambda ledger: page_of_label(ledger, message.label) or page_named(ledger, "memory"))

    def _explain(self, found: Callable[[Ledger], Page | None]) -> None:
        if self._ledger is None:
            return
        from tcptop.widgets.explain_screen import ExplainScreen

        self.ask_for_layouts()
        self.push_screen(ExplainScreen(found(self._ledger), self._ledger, self._choices))

    def ask_for_layouts(self) -> None:
        """Has the kernel's struct layouts read, which nothing else on the screen needs; a recording has them or not."""

    def save_settings(self) -> None:
        """Writes the settings file: the screen will start as it is now."""
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
            write(path(), settings)
        except OSError as error:
            self.notify(f"{path()}: {error.strerror}", severity="warning", markup=False)
        else:
            self.notify(f"written: {path()}", timeout=4, markup=False)

    def switch_theme(self) -> None:
        """The dark theme, or the light one."""
        self.theme = (THEME if self.theme == LIGHT_THEME.name else LIGHT_THEME).name

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:  # noqa: ARG002
        """What the command palette offers: the same as the keys, and what has none."""
        yield SystemCommand("dark or light", "", self.switch_theme)
        yield SystemCommand("write these settings to the settings file", "", self.save_settings)
        for keys, meaning in bound_keys(self.BINDINGS):
            binding = next(each for each in self.BINDINGS if isinstance(each, Binding) and each.description == meaning)
            yield SystemCommand(f"{meaning} ({keys})", "", lambda action=binding.action: self.run_later(action))

    def run_later(self, action: str) -> None:
        """Runs a key's action after the palette has closed."""
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
    """Runs the screen until it is quit, drawn for a terminal that may have ASCII alone; gives the exit code."""
    app.set_class(ascii_alone, ASCII_CLASS)
    app.run(mouse=bool(settings.mouse))
    return app.return_code or 0
