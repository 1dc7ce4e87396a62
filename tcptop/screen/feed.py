"""Base class of the feeds. A feed delivers the samples that the app shows, and handles the keys that act on samples."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message

from tcptop.accounting import account
from tcptop.accounting.event_series import EventSample, add_event_sample, totals_minute_ago
from tcptop.accounting.events import UNKNOWN_COUNTS, EventCounts
from tcptop.accounting.growth import GrowthSample, add_growth_sample, add_rates, growth
from tcptop.accounting.limits import states_by_use
from tcptop.accounting.origin import UNKNOWN_ORIGIN, Origin, continue_origin, origin_of
from tcptop.accounting.steady_limit_order import NO_ORDERS, hold_orders, in_order
from tcptop.hosts.host import Host
from tcptop.kernel.limits import THRESHOLDS
from tcptop.ledger import AccountingMode, Growth, Ledger, LimitState, Threshold
from tcptop.snapshot import LabMeasurement, Snapshot
from tcptop.view import View
from tcptop.view.trends import NO_TRENDS, add_sample, step_of

if TYPE_CHECKING:
    from tcptop.ledger.plan import Plan, PlanRequest
    from tcptop.screen.app import TcptopApp
    from tcptop.snapshot.socket_table import RowAsk, SocketRows


NOTHING_RECORDED = "nothing is recorded yet; w records into a file"
READ_UNASKED = "/proc/pagetypeinfo is already read: its cost is bounded"


class Sampled(Message):
    """Message with a new Snapshot for the app's feed.

    A newer message replaces an older message that is still waiting.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """True if `message`, like this message, is a `Sampled` message.

        If several samples wait, only the latest one is drawn.
        """
        return isinstance(message, Sampled)


def host_options(host: Host, cgroup: str | None) -> list[str]:
    """The options that choose a host and a memory cgroup."""
    name, place = host.identity.remote_name, host.identity.place
    if name is not None:
        chosen = ["--host", name, *(["--sudo"] if host.identity.remote_sudo else [])]
    else:
        chosen = [] if place is None else ["--root", place]
    return [*chosen, *([] if cgroup is None else ["--cgroup", cgroup])]


def has_rates(ledger: Ledger) -> bool:
    """True if a sample has rates; the first sample of a host has none.

    If slabinfo cannot be read, the only rates are those of sockets.
    """
    return ledger.sockets.allocated_per_s is not None or any(cache.active_per_s is not None for cache in ledger.caches)


class Feed:
    """Base class that delivers samples to one app, from `begin()` until `end()`.

    All methods run in the app's event loop.
    """

    bindings: ClassVar[list[Binding]]
    """All keys of an app with this feed, in the order in which the help lists them.

    The action `feed('NAME', …)` calls the feed's method NAME.
    """
    app: TcptopApp
    """App that shows the samples; assigned before `begin`."""
    keeps_states: ClassVar[bool] = False
    """True if the samples always come in time order.

    If the samples come in time order, the state of a limit depends on the present sample and on the limit's previous
    state.
    """

    def __init__(self, lab_measurement: LabMeasurement | None = None) -> None:
        self.lab_measurement = lab_measurement
        self.thresholds: Mapping[str, Threshold] = THRESHOLDS
        self._limit_states: Mapping[str, LimitState] = {}
        self._limit_orders = NO_ORDERS
        self._tasks: set[asyncio.Task[None]] = set()
        self._ledger_before: Ledger | None = None
        self._trends = NO_TRENDS
        self._event_samples: tuple[EventSample, ...] = ()
        self._growth_samples: tuple[GrowthSample, ...] = ()
        self._growth: Mapping[AccountingMode, Growth] = {}
        self._rates: Ledger | None = None
        self._last_origin = UNKNOWN_ORIGIN
        self._sample: tuple[Snapshot, Ledger] | None = None

    def begin(self) -> None:
        """Starts delivering samples."""
        raise NotImplementedError

    def end(self) -> None:
        """Stops all tasks."""
        for task in self._tasks:
            task.cancel()

    def act(self, name: str, *arguments: object) -> None:
        """Runs the action of a key: calls the feed's method `name`."""
        getattr(self, name)(*arguments)

    def ask_for_layouts(self) -> None:
        """Requests the struct layouts (BTF), which only the explanation needs; does nothing for a recording."""

    def ask_for_cache(self, cache: str | None) -> None:
        """Requests the attributes of one slab cache, and ends any request for another cache.

        Does nothing for a recording.
        """

    def ask_for_sockets(self, wanted: bool) -> None:
        """Starts or stops asking the kernel for all sockets; does nothing for a recording."""

    @property
    def asks_kernel(self) -> bool:
        """True if a running kernel can be asked for the single sockets of the sample on the screen."""
        return False

    def ask_for_rows(self, asks: Sequence[RowAsk], use: Callable[[SocketRows], None]) -> None:
        """Reads single sockets once, and passes them to `use`; does nothing if there is no kernel to ask."""

    def receive(self, snapshot: Snapshot) -> None:
        """Shows a sample that was taken after the sample on the screen."""
        minute_ago = totals_minute_ago(self._event_samples, snapshot.taken_at_unix_s, origin_of(snapshot))
        self.show_sample(snapshot, minute_ago, self._ledger_before)

    def show_sample(self, snapshot: Snapshot, minute_ago: EventCounts | None, ledger_before: Ledger | None) -> None:
        """Computes the Ledger of a sample, adds the Ledger to the trends and the growth, and draws the Ledger.

        `minute_ago` has the event totals one minute before the sample was taken. `ledger_before` is the ledger of the
        previous sample. Without an earlier sample, `minute_ago` and `ledger_before` are None.
        """
        origin = origin_of(snapshot)
        self._follow_origin(origin, snapshot.taken_at_unix_s)
        ledger = account(snapshot, self.thresholds, self._limit_states, minute_ago, ledger_before)
        self._sample, self._ledger_before = (snapshot, ledger), ledger
        if self.keeps_states:
            self._limit_states = states_by_use(ledger.limits["full"], ledger.events, self._limit_states)
        self._limit_orders = hold_orders(self._limit_orders, ledger)
        ledger = in_order(ledger, self._limit_orders)
        self._event_samples = add_event_sample(self._event_samples, ledger.taken_at_unix_s, origin)
        self._trends = add_sample(self._trends, ledger)
        self._growth_samples = add_growth_sample(self._growth_samples, ledger, origin)
        if _begins_step(ledger, self._rates):
            self._rates = add_rates(self._rates, ledger)
            slopes = {mode: growth(self._growth_samples, ledger, mode) for mode in ledger.limits}
            self._growth = {mode: slope for mode, slope in slopes.items() if slope is not None}
        self.draw(ledger)

    def _follow_origin(self, origin: Origin, at_unix_s: float | None) -> None:
        """Forgets the figures of earlier samples if the next sample is of another machine, boot or network namespace.

        A jump back in a recording leads to a smaller clock and smaller counters, which show no other boot then.
        """
        last, shown = self._last_origin, self._ledger_before
        shown_unix_s = None if shown is None else shown.taken_at_unix_s
        if at_unix_s is not None and shown_unix_s is not None and at_unix_s < shown_unix_s:
            last = last._replace(monotonic_s=None, totals=UNKNOWN_COUNTS)
        continued = continue_origin(last, origin)
        if continued is None:
            self._limit_states, self._trends, self._rates = {}, NO_TRENDS, None
        self._last_origin = continued or origin

    def sample_on_screen(self) -> tuple[Snapshot, Ledger] | None:
        """The sample on the screen; None before the first sample."""
        return self._sample

    def make_plan(self, request: PlanRequest) -> Plan | None:
        """The plan for additional connections, based on the sample on the screen; None before the first sample."""
        from tcptop.accounting.plan import make_plan

        sample = self.sample_on_screen()
        return None if sample is None else make_plan(*sample, request)

    def plan_options(self) -> list[str] | None:
        """The options with which `tcptop plan` reads the sample on the screen.

        None if the sample cannot be selected by options.
        """
        source = self.source_options()
        lab = [] if self.lab_measurement is None else ["--lab", self.lab_measurement.path]
        return None if source is None else [*source, *lab]

    def source_options(self) -> list[str] | None:
        """The options that choose the host, or the recording and its sample."""
        return []

    def plan_origin(self) -> str:
        """The folder, archive or recording of the sample on the screen; empty for this machine."""
        return ""

    def draw(self, ledger: Ledger) -> None:
        """Draws the Ledger of a sample."""
        self.app.show(ledger, self.view())

    def view(self) -> View:
        """The view to draw: the app's choices and mark, and the growth and trends of this feed."""
        view = self.app.view
        return View(view.choices, view.panes, view.mark, view.since, self._rates, self._growth, self._trends)

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Runs a coroutine as a task that `end()` cancels; an exception in the coroutine ends the app."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._end_task)
        return task

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.app.call_later(
                task.result
            )  # raises the exception in the app, so that Textual restores the terminal and prints the exception


def _begins_step(ledger: Ledger, shown: Ledger | None) -> bool:
    """True if the panes take the rates from the new sample `ledger`, and no longer from the sample `shown`.

    The new sample is used if it belongs to another time step than `shown`, or is earlier than `shown`. If either sample
    has no time, the new sample is used, too. If `shown` is the first sample of a host, and therefore has no rates, any
    new sample is used.
    """
    if shown is None or not has_rates(shown) or ledger.taken_at_unix_s is None or shown.taken_at_unix_s is None:
        return True
    return ledger.taken_at_unix_s < shown.taken_at_unix_s or step_of(ledger) != step_of(shown)
