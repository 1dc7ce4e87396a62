"""The Textual app: lays out the panes, handles keys, and passes each ledger of its feed to the panes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.events import Event, InputEvent, Paste, Resize
from textual.geometry import Size
from textual.screen import Screen

from tcptop.accounting.events import events_since_mark
from tcptop.accounting.growth_since_mark import growth_since_mark
from tcptop.errors import TcptopError
from tcptop.ledger import Ledger
from tcptop.sampling.worker import Worker
from tcptop.screen.crash import end_with_traceback
from tcptop.screen.feed import Feed, Sampled
from tcptop.screen.key_queue import KeyQueue
from tcptop.screen.keys import SHARED_BINDINGS, help_keys, palette_commands
from tcptop.screen.main_screen import MainScreen, compose_panes
from tcptop.screen.messages import MessageApp
from tcptop.screen.themes import LIGHT_THEME, THEME, THEMES
from tcptop.settings.file import NO_SETTINGS, Settings, settings_path, write_settings
from tcptop.terminal.driver import CellDriver
from tcptop.text.cache_columns import COLUMNS, DEFAULT_SORT_KEY, SORT_KEYS, find_column
from tcptop.text.printable import printable
from tcptop.view import View
from tcptop.view.arrangement import Box, arrange
from tcptop.view.choices import Choices
from tcptop.widgets.cache_explanation_pane import CacheExplanationPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.graphs_pane import GraphsPane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.limits_pane import LimitsPane
from tcptop.widgets.nodes_pane import NodesPane
from tcptop.widgets.palette import TOO_SMALL, Command, Palette, has_room
from tcptop.widgets.pane import ASCII_CLASS, TIME_WAIT_CLASS, Pane
from tcptop.widgets.tcp_pane import TcpPane
from tcptop.widgets.timeline_pane import TimelinePane

if TYPE_CHECKING:
    from tcptop.explanation.pages import Page
    from tcptop.view.plan_form import PlanForm
    from tcptop.widgets.holders_screen import TableChoice

LEFT_BUTTON, RIGHT_BUTTON = 1, 3
"""Numbers of the buttons of a mouse, as the terminal reports them."""
CACHES, FREE_BLOCKS = ("caches", "the caches are"), ("buddy", "the free blocks are")
"""Ids of two panes, and the beginning of the message that the pane is hidden."""
PANES_OF_CHOICES: Mapping[str, tuple[str, str]] = {"block_unit": FREE_BLOCKS, "all_caches": CACHES}
"""The choices that only one pane shows, and this pane."""
NODES = "nodes"
"""The id of the nodes pane, which fills the screen after `=`."""
CURSOR_HOME = "\x1b[1;1H"
"""Output that moves the cursor to the top left corner.

After a frame, the app leaves the cursor in the top left corner, as Textual does. If each frame moved the cursor to
another position, the output would be longer.
"""


class TcptopApp(MessageApp):
    """The app, which shows the samples of a feed.

    The feed adds its own keys to the app's keys, and calls the app's `show` with each ledger.
    """

    CSS = """
    Screen { background: $background; overflow: hidden; }
    .-time-wait Pane { border-title-color: $time-wait; }
    .-ascii Pane.-titled { border-top: ascii $border-blurred; }
    .-ascii Pane.-titled:focus { border-top: ascii $secondary; }
    .-ascii Pane.-right { border-left: ascii $border-blurred; }
    .-ascii ExplainPane, .-ascii HelpPane { border: ascii $secondary; }
    ToastRack { margin: 0; overflow: hidden; }
    ToastHolder { align-horizontal: left; width: 100%; }
    Toast { width: 100%; max-width: 100%; margin: 0; padding: 0 1; border: none; background: $panel; color: $primary; }
    """
    TITLE = "tcptop"
    ENABLE_COMMAND_PALETTE = False  # switches off Textual's palette; `:` opens the palette of tcptop
    ALLOW_SELECT = False
    BINDINGS = [*SHARED_BINDINGS]  # noqa: RUF012

    def __init__(self, feed: Feed, settings: Settings = NO_SETTINGS, mistakes: Sequence[str] = ()) -> None:
        """Takes the feed, the settings, and the mistakes found in the settings file."""
        super().__init__(driver_class=CellDriver)
        self.feed = feed
        feed.app = self
        for binding in feed.bindings:
            if binding not in SHARED_BINDINGS:
                self.bind(binding.key, binding.action, description=binding.description)
        self._settings, self._mistakes = settings, tuple(mistakes)
        feed.thresholds = settings.thresholds
        self.set_class(bool(settings.ascii), ASCII_CLASS)
        self.animation_level = "none"
        # Themes are registered before on_mount. A theme registered in on_mount would make Textual compute the styles of
        # all widgets again.
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[settings.theme or "dark"].name
        self._ledger: Ledger | None = None
        self.view = View(
            Choices(
                interval_s=settings.interval or 1.0,
                sort=SORT_KEYS[settings.sort or DEFAULT_SORT_KEY],
                extras=settings.extras is not False,
                columns=settings.columns,
            )
        )
        self._plan_form: PlanForm | None = None
        """The plan form, kept when its screen closes; None before the screen has closed for the first time."""
        self._table_choice: TableChoice | None = None
        """The choices for the table of holders, kept when the table closes; None before the table has first closed."""
        self._explained_beside: str | None = None
        """The cache in the row with the cursor; on a large screen, a pane beside the table explains it."""
        self._explains = False
        """True while the explanation screen is open, which asks for a cache of its own."""
        self._node_chosen = False
        self._zoomed: str | None = None
        """Id of the pane that fills the screen; None if no pane does."""
        self._keys = KeyQueue(self, super().on_event)

    async def on_event(self, event: Event) -> None:
        """Queues keys, pasted texts and mouse events; handles every other event at once."""
        if isinstance(event, (InputEvent, Paste)) and not event.is_forwarded:
            self._keys.put(event)
        elif self.screen_stack or not isinstance(event, InputEvent):  # at the end, no screen takes a key
            await super().on_event(event)

    @property
    def key_repeats(self) -> bool:
        """True if the next key in the queue is the same as the current key.

        If both keys are the same, the panes are drawn only after the next key.
        """
        return self._keys.repeats

    @property
    def choices(self) -> Choices:
        """The user's choices."""
        return self.view.choices

    @property
    def _node_numbers(self) -> list[int]:
        """Numbers of the NUMA nodes; empty before the first sample."""
        return [node.node for node in self._ledger.nodes] if self._ledger else []

    def compose(self) -> ComposeResult:
        """The panes; Textual mounts them on the default screen before the app itself is mounted."""
        yield from compose_panes()

    def get_default_screen(self) -> Screen[object]:
        """The main screen, which has the panes."""
        return MainScreen(self._find_boxes)

    def _find_boxes(self, size: Size) -> Mapping[str, Box]:
        """The boxes of the panes on a screen of the given size."""
        return arrange(
            size.width,
            size.height,
            nodes=len(self._node_numbers),
            timeline=self.view.player is not None,
            graphs=self._ledger is None or self._ledger.live or self.view.player is not None,
            zoomed=self._zoomed,
        )

    def _place_panes(self, size: Size) -> None:
        """Places the panes according to the terminal's size, the machine, and the zoomed pane."""
        for screen in self.screen_stack[:1]:
            if isinstance(screen, MainScreen):
                screen.place_panes(size)
                before, self.view = self.view, replace(self.view, panes=frozenset(screen.boxes))
                if "explanation" in self.view.panes - before.panes and not self._explains:
                    self._ask_for_explained_beside()
                if self.view.panes != before.panes:
                    self.call_after_refresh(self._draw)  # some panes show what others leave out

    def on_resize(self, event: Resize) -> None:
        """Places the panes again for the new size of the terminal."""
        self._place_panes(event.size)

    def on_mount(self) -> None:
        """Reports mistakes in the settings, and starts the feed."""
        for line in self._mistakes:
            self.notify(line, timeout=10, severity="warning", markup=False)
        for screen in self.screen_stack[:1]:
            if isinstance(screen, MainScreen):
                screen.focus_visible_pane()
        self.feed.begin()

    def on_unmount(self) -> None:
        """Ends the feed, and discards the keys that still wait in the queue."""
        self._keys.end()
        self.feed.end()

    def _fatal_error(self) -> None:
        end_with_traceback(self)

    def on_sampled(self, message: Sampled) -> None:
        """Passes a sample to the feed, which computes and draws its Ledger."""
        self.feed.receive(message.snapshot)

    def show(self, ledger: Ledger, view: View) -> None:
        """Draws a ledger.

        Before drawing the first ledger that has nodes, chooses the node whose figures the panes show.
        """
        if self._ledger is None and isinstance(self._driver, CellDriver):
            self.call_after_refresh(self._driver.start_drawing)
        self._ledger, self.view = ledger, view
        if not self._node_chosen and ledger.nodes:
            # Selects the node that the settings name. If the settings name no node of this machine, selects all nodes.
            self._node_chosen = True
            node = self._settings.node if self._settings.node in self._node_numbers else None
            self.view = replace(view, choices=replace(self.choices, node=node))
        self._place_panes(self.size)
        self._draw()
        self._keys.open()

    def show_progress(self, view: View) -> None:
        """Draws the position, timeline and graphs of a recording again, but not the sample, which has not changed."""
        self.view = view
        # While the app ends, there may be no screen, or a screen without panes.
        for screen in self.screen_stack[:1]:
            for pane in screen.query(Pane):
                if self._ledger is not None and isinstance(pane, (HeadLine, TimelinePane, TcpPane, GraphsPane)):
                    pane.show(self._ledger, view)

    def is_visible(self, pane: type[Pane]) -> bool:
        """True if a pane of this class has lines on the screen; False at exit, when the app no longer has a screen."""
        return any(each.display for screen in self.screen_stack[:1] for each in screen.query(pane))

    def choose(self, choices: Choices) -> None:
        """Sets the user's choices, and draws the ledger again."""
        self.view = replace(self.view, choices=choices)
        if not self.key_repeats:
            # A changed CSS class of the app makes Textual compute the styles of all widgets again, which takes longer
            # than drawing the ledger.
            self.set_class(choices.mode == "time_wait", TIME_WAIT_CLASS)
            self._draw()

    def ask(self, question: str, use_answer: Callable[[str], object]) -> None:
        """Asks the user a question in the last line of the screen.

        Calls `use_answer` with the answer; if the answer is empty or the user presses ESC, does nothing.

        If the answer is not valid, `use_answer` raises TcptopError or ValueError, whose message is then shown.
        """
        from tcptop.widgets.prompt import Prompt

        def on_answer(answer: str | None) -> None:
            try:
                if answer:
                    use_answer(answer)
            except (TcptopError, ValueError) as error:
                self.notify(str(error), timeout=5, markup=False)

        self.push_screen(Prompt(question), on_answer)

    def _say(self, message: str) -> None:
        """Shows a message for three seconds, such as the reason why a key changes nothing."""
        self.notify(message, timeout=3, markup=False)

    def _has_pane(self, pane_id: str, what: str) -> bool:
        """True if a pane is visible; if it is not, shows a message that says so.

        Keys that change only this pane do nothing while it is hidden.
        """
        if pane_id in self.view.panes or self._ledger is None:
            return True
        self._say(f"{what} not shown: {'ESC shows all panes' if self._zoomed else 'this terminal is too low'}")
        return False

    def _draw(self) -> None:
        if self._ledger is None:
            return
        if self.view.mark is not None:
            self.view = replace(self.view, since=growth_since_mark(self.view.mark, self._ledger, self.view.since))
        self._ledger = self._ledger._replace(events=events_since_mark(self.view.mark, self._ledger))
        driver = self._driver
        if isinstance(driver, CellDriver) and len(self._seen_screens()) == 1 and not self._notifications:
            # If one screen fills the terminal and no message covers its panes, changed lines are written without
            # Textual's compositor. The compositor would process the lines of all panes, even if only a few lines have
            # changed.
            panes = [pane for pane in self.screen.walk_children(Pane) if pane.display]
            for pane in panes:
                pane.lay_out(self._ledger, self.view)
            changes = "".join(pane.render_changes() for pane in panes)
            if changes:
                driver.write(f"{changes}{CURSOR_HOME}")
                driver.flush()
            return
        self._show_panes(self._seen_screens())

    def _seen_screens(self) -> Sequence[Screen[Any]]:
        """The screens that are not covered: the last screen that fills the terminal, and all screens above it."""
        stack = self.screen_stack
        filling = [number for number, screen in enumerate(stack) if not screen.is_modal]
        return stack[filling[-1] if filling else 0 :]

    def _show_panes(self, screens: Iterable[Screen[Any]]) -> None:
        for pane in (pane for screen in screens for pane in screen.query(Pane)):
            if self._ledger is not None:
                pane.show(self._ledger, self.view)

    def pop_screen(self) -> AwaitComplete:
        """Closes the top screen.

        The covered screens are drawn now, because they were not drawn while they were covered.
        """
        seen = self._seen_screens()
        self._show_panes(screen for screen in self.screen_stack if screen not in seen)
        return super().pop_screen()

    def action_feed(self, name: str, *arguments: object) -> None:
        """Passes the action of a key to the feed."""
        self.feed.act(name, *arguments)

    def action_switch(self, name: str, one: object, other: object) -> None:
        """Switches one of the user's choices between two values."""
        pane = PANES_OF_CHOICES.get(name)
        if pane is not None and not self._has_pane(*pane):
            return
        value = other if getattr(self.choices, name) == one else one
        self.choose(replace(self.choices, **{name: value}))  # type: ignore[arg-type]

    def action_node(self, node: int | None) -> None:
        """Shows the node with the given number; None means all nodes.

        If `node` is None and all nodes are shown already, shows the table of nodes. If the table is visible too, or if
        no node has the number, shows only a message.
        """
        numbers = self._node_numbers
        if self._zoomed == NODES:
            self._zoom(None)
        elif len(numbers) == 1 and node in (None, *numbers):
            self._say(f"node {numbers[0]} is the only node")
        elif node is None and self.choices.node is None and len(numbers) > 1 and NODES not in self.view.panes:
            self._zoom(NODES)
            self.query_one(NodesPane).focus()
        elif node == self.choices.node and numbers:
            self._say(
                f"all {len(numbers)} nodes are shown already" if node is None else f"node {node} is shown already"
            )
        if node is None or node in numbers:
            self.choose(replace(self.choices, node=node))
        else:
            listed = ", ".join(map(str, numbers[:16])) + (", …" if len(numbers) > 16 else "")
            self._say(f"no node {node}; there are: {listed}")

    def action_step_node(self, step: int) -> None:
        """Shows the node with the next lower or next higher number.

        After the last node comes the first node again.
        """
        nodes = self._node_numbers
        if self.choices.node in nodes:
            self.action_node(nodes[(nodes.index(self.choices.node) + step) % len(nodes)])
        elif nodes:
            self.action_node(nodes[0 if step > 0 else -1])

    def action_ask_node(self) -> None:
        """Asks the user for a node number, because digit keys reach only the nodes 0 to 9."""
        self.ask("node:", self._answer_node)

    def _answer_node(self, answer: str) -> None:
        if not (answer.isascii() and answer.isdigit()):
            raise ValueError(f"not the number of a node: {answer[:20]}")
        self.action_node(int(answer))

    def action_sort(self, column_id: str) -> None:
        """Sorts the cache table by a column; if the table is sorted by this column already, reverses the order."""
        if not self._has_pane(*CACHES):
            return
        reverse = self.choices.sort == column_id and not self.choices.reverse
        self.choose(replace(self.choices, sort=column_id, reverse=reverse))

    def action_ask_sort(self) -> None:
        """Asks the user for the column by which to sort the cache table: its key or its title."""
        if not self._has_pane(*CACHES):
            return
        self.ask(f"sort by ({' '.join(SORT_KEYS)}, or a title):", self._answer_sort)

    def _answer_sort(self, answer: str) -> None:
        titles = {column.heading.title.casefold(): column.id for column in COLUMNS if column.id in SORT_KEYS.values()}
        column_id = SORT_KEYS.get(answer) or SORT_KEYS.get(answer.lower()) or titles.get(answer.casefold())
        if column_id is None:
            raise ValueError(f"no column to sort by: {printable(answer[:20])}")
        self.action_sort(column_id)

    def action_scroll_columns(self, step: int) -> None:
        """Scrolls the columns of the cache table to the right if `step` is 1, or to the left if `step` is -1."""
        if not self._has_pane(*CACHES):
            return
        for screen in self.screen_stack[:1]:
            if not screen.query_one(CachesPane).action_scroll_columns(step):
                self._say("no more columns to the right" if step > 0 else "no columns are hidden at the left")

    def action_focus_next(self) -> None:
        """Key `Tab`: moves the focus to the next visible pane."""
        self._move_focus(1)

    def action_focus_previous(self) -> None:
        """Key `Shift-Tab`: moves the focus to the visible pane before."""
        self._move_focus(-1)

    def _move_focus(self, step: int) -> None:
        """Moves the focus; if no other pane takes keys, shows a message."""
        if isinstance(self.screen, MainScreen) and len(self.screen.focus_chain) < 2:
            self._say("this pane fills the screen; ESC shows all panes" if self._zoomed else "no other pane takes keys")
        elif step > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    def action_zoom(self) -> None:
        """Lets the pane with the focus fill the screen; if a pane fills the screen already, shows all panes."""
        self._zoom(None if self._zoomed or self.focused is None else self.focused.id)

    def _zoom(self, pane_id: str | None) -> None:
        self._zoomed = pane_id
        self._place_panes(self.size)
        self._draw()

    def action_leave(self) -> None:
        """Shows all panes again; if all are shown, clears the name filter."""
        if self._zoomed is not None:
            self._zoom(None)
        else:
            self.action_set_name_filter("")

    def action_write_screen(self) -> None:
        """Asks whether to write the screen as text or as SVG, and writes a new file into the current folder."""
        if self._ledger is None:
            return

        def use_answer(answer: str) -> None:
            kind = next((kind for kind in ("text", "svg") if kind.startswith(answer.lower())), None)
            if kind is None:
                raise ValueError("answer t for text, or s for SVG")
            # The question is closed before the screen is copied.
            self.call_after_refresh(lambda: self.feed.start(self._write_screen(kind == "svg"), "write the screen"))

        self.ask("write the screen as text or SVG (t or s):", use_answer)

    async def _write_screen(self, as_svg: bool) -> None:
        from tcptop.screen.screen_copy import screen_as_svg, screen_as_text, write_screen_file

        data = screen_as_svg(self) if as_svg else screen_as_text(self)
        try:
            name = await Worker("tcptop screen copy").run(lambda: write_screen_file(data, "svg" if as_svg else "txt"))
        except OSError as error:
            self.notify(f"the current folder: {error.strerror}", severity="warning", timeout=5, markup=False)
        else:
            self.notify(f"written: {name}", timeout=5, markup=False)

    def action_copy(self) -> None:
        """Copies the selected row, or the text of the pane with the focus, to the terminal's clipboard (OSC 52)."""
        if isinstance(self.focused, Pane) and self._ledger is not None:
            text = self.focused.text_to_copy()
            self.copy_to_clipboard(text)
            lines = text.count("\n") + 1
            what = f"{lines} lines" if lines > 1 else text.partition("\t")[0].strip()
            self._say(f"copied, if the terminal allows it (OSC 52): {what}")

    def action_open_name_filter(self) -> None:
        """Asks the user for the name filter, and filters the cache table again after each typed character."""
        if not self._has_pane(*CACHES):
            return
        from tcptop.widgets.prompt import Prompt

        prompt = Prompt("only caches with:", self.choices.name_filter, self.action_set_name_filter)
        self.push_screen(prompt, lambda answer: self.action_set_name_filter(answer or ""))

    def action_set_name_filter(self, text: str) -> None:
        """Sets the name filter.

        The table shows only caches with `text` in one of their names, or all caches if `text` is empty.
        """
        self.choose(replace(self.choices, name_filter=text))

    def action_switch_attached(self) -> None:
        """Key `E`: switches between the average with attached objects and the average without attached objects.

        If there is nothing to add, shows a message.
        """
        reason = ""
        if self.choices.mode == "time_wait":
            reason = "a mini-socket has no epoll items, buffers or TLS; m counts open sockets"
        elif self._ledger is not None and self._ledger.attached.now_bytes is None and not self.choices.attached:
            reason = self._ledger.costs["full"].now_unknown_because or "what is attached to sockets is not known"
            reason = f"E adds to the average now, and there is none: {reason}"
        if reason:
            self._say(reason)
        else:
            self.choose(replace(self.choices, attached=not self.choices.attached))

    def action_switch_extras(self) -> None:
        """Shows or hides the graphs and the marks of changed caches."""
        self._notify_if_saved()
        self.choose(replace(self.choices, extras=not self.choices.extras))

    def action_mark(self) -> None:
        """Key `k`: marks the present ledger if no ledger is marked; otherwise removes the mark.

        Growth is counted from the marked ledger.
        """
        self._notify_if_saved()
        self.view = replace(self.view, mark=self._ledger if self.view.mark is None else None, since=None)
        if not self.key_repeats:
            self._draw()

    def _notify_if_saved(self) -> None:
        """Shows a message if the app shows a saved tree, whose only sample never changes."""
        if self._ledger is not None and not self._ledger.live:
            self._say("saved: there is one sample, and nothing that changes")

    def action_send_all(self) -> None:
        """Redraws the whole screen, for a terminal that lost its contents."""
        if isinstance(self._driver, CellDriver):
            self._driver.send_all()

    def action_suspend_process(self) -> None:
        """Suspends the whole process group, including a parent such as `sh -c`, until the shell continues it."""
        if self._driver is not None and self._driver.can_suspend:
            self._suspend_signal()
            os.kill(0, signal.SIGTSTP)

    def action_command_palette(self) -> None:
        """Opens the command palette, unless the terminal is too small for it."""
        if not has_room(self.size):
            self._say(TOO_SMALL)
        elif self._ledger is not None:
            self.push_screen(Palette(palette_commands(self.feed.bindings), self._ledger, self.view), self._run_command)

    def _run_command(self, command: Command | None) -> None:
        if command is not None:
            self.call_later(self.run_action, command.action)

    def action_help(self) -> None:
        """Opens the help on keys, figures and columns."""
        if self._ledger is None:
            return
        from tcptop.widgets.help_screen import HelpPane, HelpScreen

        help_pane = HelpPane(help_keys(self.feed.bindings))
        self.push_screen(HelpScreen(help_pane, self._ledger, self.view, self._explain_page))

    def action_plan(self) -> None:
        """Opens the plan form with the numbers that it had when it was last closed.

        When the form is opened for the first time, the numbers are those of this machine.
        """
        sample = self.feed.sample_on_screen()
        if self._ledger is None or sample is None:
            return
        from tcptop.accounting.plan import first_request
        from tcptop.view.plan_form import plan_form
        from tcptop.widgets.plan_screen import PlanScreen

        form = self._plan_form or plan_form(*first_request(*sample, self.choices.mode))
        screen = PlanScreen(form, self.feed, self._ledger, self.view)

        def keep_form(_: None) -> None:
            self._plan_form = screen.form

        self.push_screen(screen, keep_form)

    def action_holders(self) -> None:
        """Opens the table of holders; the kernel is asked for the sockets only while the table is open."""
        if self._ledger is None:
            return
        from tcptop.widgets.holders_screen import HoldersScreen, TableChoice

        screen = HoldersScreen(self._table_choice or TableChoice(), self.feed, self._ledger, self.view)

        def end_looks(_: None) -> None:
            self._table_choice = screen.choice
            self.feed.ask_for_sockets(False)

        self.push_screen(screen, end_looks)
        self.feed.ask_for_sockets(True)

    def _explain_page(self, name: str, finds: bool = False) -> None:
        from tcptop.explanation.pages import find_page

        self._explain(lambda ledger: find_page(ledger, name), finds)

    def action_explain(self, name: str = "") -> None:
        """Opens the explanation screen at a page with the given name.

        Without a name, the page is that of the limits if their pane has the focus, and otherwise the first page.
        """
        page = name or ("headroom" if isinstance(self.focused, LimitsPane) else "states")
        self._explain_page(page)

    def on_caches_pane_heading_clicked(self, message: CachesPane.HeadingClicked) -> None:
        """Sorts by the column whose heading was clicked; with the right button, explains the heading instead."""
        if message.button == RIGHT_BUTTON:
            from tcptop.explanation.pages import explain_word

            self._explain(lambda ledger: explain_word(ledger, find_column(message.column_id).heading.title))
        elif message.button == LEFT_BUTTON and message.column_id in SORT_KEYS.values():
            self.action_sort(message.column_id)

    def on_caches_pane_row_selected(self, message: CachesPane.RowSelected) -> None:
        """Opens the explanation of the cache in the selected row."""
        self.action_explain(message.name)

    def on_caches_pane_cursor_moved(self, message: CachesPane.CursorMoved) -> None:
        """Explains the cache in the row with the cursor, if the screen has a pane for the explanation."""
        for screen in self.screen_stack[:1]:
            for pane in screen.query(CacheExplanationPane):
                pane.explain(message.name)
        self._explained_beside = message.name
        if "explanation" in self.view.panes:
            self._ask_for_explained_beside()

    def _ask_for_explained_beside(self) -> None:
        if self._explained_beside is None:
            return
        self.feed.ask_for_layouts()
        self.feed.ask_for_cache(self._explained_beside)

    def on_nodes_pane_node_selected(self, message: NodesPane.NodeSelected) -> None:
        """Shows the node of the selected row."""
        self.action_node(message.node)

    def on_figure_pane_part_selected(self, message: FigurePane.PartSelected) -> None:
        """Opens the explanation of the selected part of the figure.

        A part without an explanation of its own, such as idle slab memory, opens the page on memory.
        """
        from tcptop.explanation.pages import find_page, page_of_label

        self._explain(lambda ledger: page_of_label(ledger, message.label) or find_page(ledger, "memory"))

    def _explain(self, found: Callable[[Ledger], Page | None], finds: bool = False) -> None:
        if self._ledger is None:
            return
        from tcptop.widgets.explain_screen import ExplainScreen

        page = found(self._ledger)
        self.feed.ask_for_layouts()
        if page is not None and page.cache is not None:
            self.feed.ask_for_cache(page.cache)

        def end_reads(_: None) -> None:
            self._explains = False
            self.feed.ask_for_cache(self._explained_beside if "explanation" in self.view.panes else None)

        self._explains = True
        self.push_screen(ExplainScreen(page, self._ledger, self.view, finds), end_reads)

    def action_save_settings(self) -> None:
        """Writes the current choices to the settings file."""
        sort = next(key for key, column_id in SORT_KEYS.items() if column_id == self.choices.sort)
        settings = replace(
            self._settings,
            interval=self.choices.interval_s,
            sort=sort,
            node=self.choices.node,
            theme="light" if self.theme == LIGHT_THEME.name else "dark",
            extras=self.choices.extras,
        )
        file = settings_path()
        if file is None:
            self.notify("no settings file: there is no home folder; set HOME", severity="warning", markup=False)
            return
        try:
            write_settings(file, settings)
        except OSError as error:
            self.notify(f"{printable(str(file))}: {error.strerror}", severity="warning", markup=False)
        except TcptopError as error:
            self.notify(str(error), severity="warning", timeout=10, markup=False)
        else:
            self.notify(f"written: {printable(str(file))}", timeout=4, markup=False)

    def action_switch_theme(self) -> None:
        """Switches between the dark and the light theme."""
        self.theme = (THEME if self.theme == LIGHT_THEME.name else LIGHT_THEME).name
