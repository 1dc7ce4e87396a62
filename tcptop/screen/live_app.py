"""Live app: samples a host at an interval, or a saved tree once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from textual.message import Message

from tcptop.accounting import account
from tcptop.hosts.host import Host
from tcptop.ledger import Ledger
from tcptop.sampling.live_sampler import LiveSampler
from tcptop.sampling.sampler import Sampler, kernel_sources, read_due
from tcptop.screen.app import Stopped, TcptopApp
from tcptop.screen.keys import LIVE_BINDINGS
from tcptop.screen.settings import NO_SETTINGS, Settings
from tcptop.snapshot import LabMeasurement, Snapshot
from tcptop.sources.machine_load import MachineLoadSource
from tcptop.text.quantities import parse_interval_s
from tcptop.view.trends import NO_TRENDS, add_sample
from tcptop.widgets.buddy_pane import BuddyPane

INTERVALS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)


class Sampled(Message):
    """Message with a new Snapshot; a newer one replaces one that is not drawn yet."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """True for another Sampled message: only the latest sample is drawn."""
        return isinstance(message, Sampled)


class LiveApp(TcptopApp):
    """The app on a host."""

    BINDINGS = LIVE_BINDINGS

    def __init__(
        self,
        host: Host,
        every_s: float = 1.0,
        sort: str | None = None,
        lab_measurement: LabMeasurement | None = None,
        settings: Settings = NO_SETTINGS,
        mistakes: Sequence[str] = (),
    ) -> None:
        """Takes the host; the other arguments are those of TcptopApp."""
        super().__init__(every_s, sort, lab_measurement, settings, mistakes)
        self._host = host
        self._live: LiveSampler | None = None
        self._sampling_task: asyncio.Task[None] | None = None
        self._with_layouts = False
        self._trends = NO_TRENDS

    def begin(self) -> None:
        """Starts sampling a live host, or samples a saved tree once."""
        if not self._host.identity.live:
            self._sample_saved_tree()
            return
        sources = [*kernel_sources(), MachineLoadSource()]
        self._live = LiveSampler(
            Sampler(self._host, sources, self._choices.interval_s, lab_measurement=self._lab_measurement)
        )
        self._sampling_task = asyncio.create_task(self._run_sampling(self._live), name="follow the host")

    def on_unmount(self) -> None:
        """Stops sampling; a hung read stays in its daemon thread."""
        if self._sampling_task is not None:
            self._sampling_task.cancel()

    def on_sampled(self, message: Sampled) -> None:
        """Accounts for a sample and draws it."""
        ledger = account(message.snapshot)
        self._trends = add_sample(self._trends, ledger)
        self.show_latest(ledger)

    def show_latest(self, ledger: Ledger) -> None:
        """Draws the latest sample."""
        self.show(ledger, replace(self._choices, trends=self._trends))

    def receive_sample(self, snapshot: Snapshot) -> None:
        """Receives every new sample, drawn or not."""
        self.post_message(Sampled(snapshot))

    async def _run_sampling(self, live: LiveSampler) -> None:
        try:
            async for snapshot in live.snapshots():
                self.receive_sample(snapshot)
        except Exception as error:
            self.post_message(Stopped(error))

    def _sample_saved_tree(self) -> None:
        sampler = Sampler(self._host, kernel_sources(), lab_measurement=self._lab_measurement)
        if self._with_layouts:
            sampler.ask_for("btf")
        read_due(sampler)
        self.post_message(Sampled(sampler.snapshot()))

    def _draw(self) -> None:
        super()._draw()
        if self._live is None:
            return
        # A sample may arrive while the app ends, when there is no screen any more.
        for screen in self.screen_stack[:1]:
            for buddy in screen.query(BuddyPane):
                self._live.sampler.want("pagetypeinfo", buddy.size.height > 0)

    def action_sample(self) -> None:
        """Takes a sample of all sources now."""
        if self._live is not None:
            self._live.sample_now()
        else:
            self._sample_saved_tree()

    def action_pause(self) -> None:
        """Pauses sampling, or resumes it."""
        if self._live is not None:
            self._choose(replace(self._choices, paused=not self._choices.paused))
            self._live.pause(self._choices.paused)
        else:
            self._notify_no_interval()

    def action_ask_interval(self) -> None:
        """Asks for the seconds between samples."""
        if self._live is None:
            self._notify_no_interval()
            return
        self._ask("seconds from one sample to the next:", self._answer_interval)

    def action_interval(self, step: int) -> None:
        """Sets the next longer or shorter interval."""
        now = self._choices.interval_s
        if step > 0:
            self._set_interval(next((each for each in INTERVALS_S if each > now), now))
        else:
            self._set_interval(next((each for each in reversed(INTERVALS_S) if each < now), now))

    def action_read_pagetypeinfo(self) -> None:
        """Reads pagetypeinfo from now on, even if its cost is unbounded on this kernel."""
        off = self._ledger is not None and self._ledger.sources["pagetypeinfo"].state == "off"
        if self._live is not None and off:
            self._live.sampler.ask_for("pagetypeinfo")
            self._live.sample_now()
        else:
            self.notify("/proc/pagetypeinfo needs no asking for here", timeout=3, markup=False)

    def ask_for_layouts(self) -> None:
        """Requests the struct layouts (BTF), which only the explanation needs."""
        if self._live is not None:
            self._live.sampler.ask_for("btf")
        elif not self._with_layouts:
            self._with_layouts = True
            self._sample_saved_tree()

    def _answer_interval(self, answer: str | None) -> None:
        if not answer:
            return
        try:
            self._set_interval(parse_interval_s(answer))
        except ValueError as error:
            self.notify(str(error), timeout=3, markup=False)

    def _set_interval(self, every_s: float) -> None:
        if self._live is not None:
            self._choose(replace(self._choices, interval_s=every_s))
            self._live.set_interval(every_s)
        else:
            self._notify_no_interval()

    def _notify_no_interval(self) -> None:
        self.notify("saved: there is one sample, and no interval", timeout=3, markup=False)
