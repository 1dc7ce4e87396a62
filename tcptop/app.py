"""The Textual app: lays out the panes, binds the keys, and hands every ledger to the panes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from tcptop.accounting import account
from tcptop.accounting.since_mark import since_mark
from tcptop.columns import SORT_KEYS, column
from tcptop.explanation import Page, page_named, page_of_label
from tcptop.hangup import end_on_hangup, end_on_signals
from tcptop.hosts.daemon_threads import DaemonThreadHost
from tcptop.hosts.host import Host
from tcptop.interval import interval_s
from tcptop.ledger import Ledger
from tcptop.live_sampler import LiveSampler
from tcptop.sampler import Sampler, kernel_sources, read_due
from tcptop.settings import NO_SETTINGS, Settings, path, write
from tcptop.snapshot import LabMeasurement, Snapshot
from tcptop.sources.machine_load import MachineLoadSource
from tcptop.terminal.cell_driver import CellDriver
from tcptop.trends import advanced
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.choices import Choices
from tcptop.widgets.cursor_grid import CursorGrid
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.pane import ASCII_CLASS, Pane
from tcptop.widgets.room_line import RoomLine
from tcptop.widgets.sockets_pane import SocketsPane
from tcptop.widgets.trend_line import TrendLine

INTERVALS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)

THEME = Theme(
    name="tcptop",
    primary="#ffaf5f",
    secondary="#5fafff",
    accent="#d7d787",
    success="#87afd7",
    warning="#ff8700",
    error="#ff8700",
    foreground="#d0d0d0",
    background="#121418",
    surface="#181b20",
    panel="#262a31",
    boost="#303640",
    dark=True,
    variables={"text-muted": "#8a8f98", "border-blurred": "#4e5661"},
)
"""Orange and blue: apart for every kind of colour vision."""

LIGHT_THEME = Theme(
    name="tcptop-light",
    primary="#af5f00",
    secondary="#005f9f",
    accent="#6b5900",
    success="#3a6ea5",
    warning="#a84300",
    error="#a84300",
    foreground="#262626",
    background="#fafafa",
    surface="#f0f0f0",
    panel="#e2e4e8",
    dark=False,
    variables={"text-muted": "#6a6f78", "border-blurred": "#a0a6b0"},
)

THEMES = {"dark": THEME, "light": LIGHT_THEME}

SORT_BINDINGS: list[BindingType] = [
    Binding(f"{key},{key.upper()}", f"sort('{column_id}')", f"sort by {column(column_id).title}; again reverses")
    for key, column_id in SORT_KEYS.items()
]


class Sampled(Message):
    """A new look at the kernel. A newer one takes the place of one that is not drawn yet."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Whether it makes a waiting message needless."""
        return isinstance(message, Sampled)


class Stopped(Message):
    """Following the host ended in an error."""

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
    .-low #buddy, .-tiny #buddy, .-tiny #caches, .-tiny #keys, .-low #room, .-tiny #room { display: none; }
    ToastRack { margin: 0; overflow: hidden; }
    ToastHolder { align-horizontal: left; width: 100%; }
    Toast { width: 100%; max-width: 100%; margin: 0; padding: 0 1; border: none; background: $panel; color: $primary; }
    .-low #trends, .-tiny #trends, .-short #trends, .-saved #trends { display: none; }
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
        Binding("space", "sample", "sample now; keeps everything"),
        Binding("z", "pause", "pause, and go on"),
        Binding("d", "ask_interval", "set the interval"),
        Binding("plus", "interval(1)", "longer interval"),
        Binding("minus", "interval(-1)", "shorter interval"),
        Binding("f", "read_pagetypeinfo", "read /proc/pagetypeinfo where its cost is not bounded"),
        Binding("slash", "ask_wanted", "only caches with a text in their name, as it is typed"),
        Binding("escape", "end_wanted", "every name again", show=False),
        Binding("r", "switch_caches", "caches of TCP's, or all"),
        Binding("k", "mark", "set a mark: counts show what came since; again ends it"),
        Binding("x", "switch_extras", "marks on what changed, and graphs, on or off"),
        Binding("i", "explain", "explains: sockets by state, memory, room, the kernel's paths"),
        Binding("ctrl+l", "send_all", "draw everything again"),
        Binding("ctrl+z", "suspend_process", "suspend"),
    ]

    def __init__(
        self,
        host: Host,
        every_s: float = 1.0,
        sort: str | None = None,
        measured: LabMeasurement | None = None,
        settings: Settings = NO_SETTINGS,
        wrong: Sequence[str] = (),
    ) -> None:
        """Takes the host, the options, and what the settings file says besides, with what is wrong with it."""
        super().__init__(driver_class=CellDriver)
        self._settings, self._wrong = settings, tuple(wrong)
        self.set_class(bool(settings.ascii), ASCII_CLASS)
        self._measured = measured
        self._with_layouts = False
        self.animation_level = "none"
        self._host = host
        self._ledger: Ledger | None = None
        self._choices = Choices(interval_s=every_s)
        if sort is not None:
            self._choices = replace(self._choices, sort=SORT_KEYS[sort])
        self._choices = replace(
            self._choices,
            extras=settings.extras is not False,
            columns=settings.columns,
        )
        self._live: LiveSampler | None = None
        self._following: asyncio.Task[None] | None = None
        self._node_chosen = False

    def compose(self) -> ComposeResult:
        """The panes from top to bottom."""
        yield HeadLine(id="head")
        with Horizontal(id="top"):
            yield FigurePane(classes="box", id="figure")
            yield SocketsPane(classes="box", id="sockets")
        yield RoomLine(id="room")
        yield TrendLine(id="trends")
        yield CachesPane(classes="box", id="caches")
        yield BuddyPane(classes="box", id="buddy")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        """Starts to follow a live host, or looks once at a saved tree."""
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[self._settings.theme or "dark"].name
        for line in self._wrong:
            self.notify(line, timeout=10, severity="warning", markup=False)
        self.query_one(CachesPane).focus()
        if not self.is_headless and sys.__stdin__ is not None:
            loop = asyncio.get_running_loop()

            def leave() -> None:
                loop.call_soon_threadsafe(self.exit, 0)

            end_on_signals(leave)
            end_on_hangup(sys.__stdin__.fileno(), leave)
        if self._host.identity.live:
            sources = [*kernel_sources(), MachineLoadSource()]
            self._live = LiveSampler(
                Sampler(DaemonThreadHost(self._host), sources, self._choices.interval_s, measured=self._measured)
            )
            self._following = asyncio.create_task(self._follow(self._live), name="follow the host")
        else:
            self._look_at_saved()

    def on_unmount(self) -> None:
        """Stops following; a read that hangs is left to its daemon thread."""
        if self._following is not None:
            self._following.cancel()

    def on_stopped(self, message: Stopped) -> None:
        """Ends the program as any error does: Textual gives the terminal back and prints it."""
        raise message.error

    def on_sampled(self, message: Sampled) -> None:
        """Accounts for a look and draws it."""
        if self._ledger is None and isinstance(self._driver, CellDriver):
            self.call_after_refresh(self._driver.show)
        self._ledger = account(message.snapshot)
        self.set_class(not self._ledger.live, "-saved")
        self._choices = replace(self._choices, trends=advanced(self._choices.trends, self._ledger))
        if not self._node_chosen and self._ledger.nodes:
            # The first node with memory: on a machine with one node that is the machine.
            self._node_chosen = True
            with_zones = [node.node for node in self._ledger.nodes if node.zones]
            first = with_zones[0] if with_zones else self._ledger.nodes[0].node
            wanted = self._settings.node
            known = [node.node for node in self._ledger.nodes]
            self._choices = replace(self._choices, node=wanted if wanted in known else first)
        self._draw()

    async def _follow(self, live: LiveSampler) -> None:
        try:
            async for snapshot in live.snapshots():
                self.post_message(Sampled(snapshot))
        except Exception as error:
            self.post_message(Stopped(error))

    def _look_at_saved(self) -> None:
        sampler = Sampler(self._host, kernel_sources(), measured=self._measured)
        if self._with_layouts:
            sampler.ask_for("btf")
        read_due(sampler)
        self.post_message(Sampled(sampler.snapshot()))

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
        if self._live is not None:
            for buddy in self.screen_stack[0].query(BuddyPane):
                self._live.sampler.want("pagetypeinfo", buddy.size.height > 0)

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
        self._choose(replace(self._choices, extras=not self._choices.extras))

    def action_mark(self) -> None:
        """Sets a mark at the figures of now, or takes it away."""
        mark = self._ledger if self._choices.mark is None else None
        self._choose(replace(self._choices, mark=mark, since=None))

    def action_switch_unit(self) -> None:
        """Free blocks or bytes in the buddy lists."""
        unit = "bytes" if self._choices.block_unit == "blocks" else "blocks"
        self._choose(replace(self._choices, block_unit=unit))  # type: ignore[arg-type]

    def action_sample(self) -> None:
        """Reads everything once."""
        if self._live is not None:
            self._live.look_now()
        else:
            self._look_at_saved()

    def action_pause(self) -> None:
        """Stops reading, or goes on."""
        if self._live is not None:
            self._choose(replace(self._choices, paused=not self._choices.paused))
            self._live.pause(self._choices.paused)
        else:
            self._say_saved()

    def action_ask_interval(self) -> None:
        """Asks for the seconds from one sample to the next."""
        if self._live is None:
            self._say_saved()
            return
        self._ask("seconds from one sample to the next:", self._answer_interval)

    def action_interval(self, step: int) -> None:
        """The next longer or shorter interval."""
        now = self._choices.interval_s
        if step > 0:
            self._set_interval(next((each for each in INTERVALS_S if each > now), now))
        else:
            self._set_interval(next((each for each in reversed(INTERVALS_S) if each < now), now))

    def action_read_pagetypeinfo(self) -> None:
        """Reads pagetypeinfo from now on, whatever it costs."""
        off = self._ledger is not None and self._ledger.sources["pagetypeinfo"].state == "off"
        if self._live is not None and off:
            self._live.sampler.ask_for("pagetypeinfo")
            self._live.look_now()
        else:
            self.notify("/proc/pagetypeinfo needs no asking for here", timeout=3, markup=False)

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

        self._ask_for_layouts()
        self.push_screen(ExplainScreen(found(self._ledger), self._ledger, self._choices))

    def _ask_for_layouts(self) -> None:
        """Has the kernel's struct layouts read, which nothing else on the screen needs."""
        if self._live is not None:
            self._live.sampler.ask_for("btf")
        elif not self._with_layouts:
            self._with_layouts = True
            self._look_at_saved()

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

    def _answer_interval(self, answer: str | None) -> None:
        if not answer:
            return
        try:
            self._set_interval(interval_s(answer))
        except ValueError as error:
            self.notify(str(error), timeout=3, markup=False)

    def _set_interval(self, every_s: float) -> None:
        if self._live is not None:
            self._choose(replace(self._choices, interval_s=every_s))
            self._live.set_interval(every_s)
        else:
            self._say_saved()

    def _say_saved(self) -> None:
        self.notify("saved: there is one sample, and no interval", timeout=3, markup=False)


KEY_NAMES = {
    "slash": "/",
    "escape": "ESC",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "equals_sign": "=",
    "question_mark": "?",
    "plus": "+",
    "minus": "-",
    "space": "SPACE",
    "ctrl+c": "Ctrl-C",
    "ctrl+l": "Ctrl-L",
    "ctrl+z": "Ctrl-Z",
    "f1": "F1",
}


def bound_keys(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """Each meaning with its keys, made from the bindings themselves; keys of one meaning stand together."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        if isinstance(binding, Binding):
            names = [KEY_NAMES.get(key, key) for key in binding.key.split(",")]
            # Both cases of a letter are one key.
            names = [name for name in names if not (len(name) == 1 and name.isupper() and name.lower() in names)]
            found.setdefault(binding.description, []).extend(names)
    return [("0-9" if len(names) > 6 else " ".join(names), meaning) for meaning, names in found.items()]


def run(
    host: Host,
    settings: Settings,
    wrong: Sequence[str],
    measured: LabMeasurement | None = None,
    ascii_alone: bool = False,
) -> int:
    """Runs the screen until it is quit, drawn for a terminal that may have ASCII alone; gives the exit code."""
    app = TcptopApp(host, settings.interval or 1.0, settings.sort, measured, settings, wrong)
    app.set_class(ascii_alone, ASCII_CLASS)
    app.run(mouse=bool(settings.mouse))
    return app.return_code or 0
