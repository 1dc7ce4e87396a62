"""Live feed: samples a host at regular intervals, records the samples into a file, and shows recorded samples again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.ledger import Ledger
from tcptop.sampling.live_sampler import LiveSampler
from tcptop.sampling.sampler import Sampler
from tcptop.sampling.source_list import cgroup_sources, kernel_sources
from tcptop.sampling.worker import Worker
from tcptop.screen.feed import NOTHING_RECORDED, READ_UNASKED, Feed, Sampled, host_options
from tcptop.screen.keys import LIVE_BINDINGS
from tcptop.snapshot import CHOSEN_CACHE_SOURCE, LabMeasurement, Snapshot
from tcptop.sources.cache_attributes import CacheAttributesSource
from tcptop.sources.machine_load import MachineLoadSource
from tcptop.text.printable import printable
from tcptop.text.quantities import parse_interval_s
from tcptop.view import View
from tcptop.widgets.buddy_pane import BuddyPane

if TYPE_CHECKING:
    from tcptop.screen.live_recording import LiveRecording
    from tcptop.screen.replay_feed import ReplayFeed
    from tcptop.snapshot.socket_table import RowAsk, SocketRows

INTERVALS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)
LIVE_ALREADY = "this is the live sample, and sampling is not paused"
END_S = 1.0
"""Maximum time in seconds to wait for the disk at exit."""


class LiveFeed(Feed):
    """Feed of a live host. While the user looks at earlier samples, a ReplayFeed draws them, and sampling continues."""

    bindings = LIVE_BINDINGS
    keeps_states = True

    def __init__(
        self,
        host: Host,
        lab_measurement: LabMeasurement | None = None,
        cgroup: str | None = None,
        keeps_host: bool = False,
    ) -> None:
        """If `keeps_host` is true, the session with another machine stays open at the end."""
        super().__init__(lab_measurement)
        self._keeps_host = keeps_host
        self._host = host
        self._cgroup = cgroup
        self._latest: Ledger | None = None
        self._disk = Worker("tcptop recorder")
        self._kernel = Worker("tcptop single sockets")
        self._recording: LiveRecording | None = None
        self._first_sample_began = False
        self._chosen_cache: str | None = None
        """The slab cache whose attributes the sampler reads."""
        self._knows_sockets = False
        """True if the sampler reads the source of sockets."""
        self._recorded_path: str | None = None
        self._past: ReplayFeed | None = None
        self._opening: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Starts sampling the host."""
        sources = [*kernel_sources(), *cgroup_sources(self._cgroup), MachineLoadSource()]
        interval_s = self.app.choices.interval_s
        self._live = LiveSampler(Sampler(self._host, sources, interval_s, lab_measurement=self.lab_measurement))
        self.start(self._follow(), "follow the host")

    def end(self) -> None:
        """Stops sampling and ends the recording; waits at most END_S seconds for the disk.

        If a read of the host hangs, its daemon thread is abandoned.
        """
        super().end()
        self._end_past()
        if self._recording is not None:
            from concurrent.futures import wait

            wait([self._recording.stop()], timeout=END_S)
        if self._host.identity.remote_name is not None and not self._keeps_host:
            self._host.close()

    def draw(self, ledger: Ledger) -> None:
        """Draws the latest sample, unless the user is looking at an earlier sample."""
        self._latest = ledger
        if self._past is None:
            super().draw(ledger)
        self._live.sampler.set_enabled("pagetypeinfo", self.app.is_visible(BuddyPane))

    def sample_on_screen(self) -> tuple[Snapshot, Ledger] | None:
        """The sample on the screen, which may be an earlier sample."""
        past = None if self._past is None else self._past.sample_on_screen()
        return past or super().sample_on_screen()

    def source_options(self) -> list[str] | None:
        """The options that choose the host.

        If an earlier sample is on the screen, the options choose the recording and this sample instead.
        """
        return host_options(self._host, self._cgroup) if self._past is None else self._past.source_options()

    def plan_origin(self) -> str:
        """The folder of the host, or the recording of the earlier sample on the screen; empty for this machine."""
        return printable(self._host.identity.place or "") if self._past is None else self._past.plan_origin()

    def view(self) -> View:
        """The view with the path of the current recording, which is None if there is no recording."""
        path = None if self._recording is None else self._recording.path
        return replace(super().view(), recording_path=path)

    def ask_for_layouts(self) -> None:
        """Requests the struct layouts (BTF), which only the explanation needs."""
        self._live.sampler.ask_for("btf")

    def ask_for_cache(self, cache: str | None) -> None:
        """Requests the attributes of one slab cache, which are read at once; None stops the reading of attributes."""
        sampler = self._live.sampler
        sampler.set_enabled(CHOSEN_CACHE_SOURCE, cache is not None)
        if cache is not None and cache != self._chosen_cache:
            self._chosen_cache = cache
            sampler.add_source(CacheAttributesSource(cache))
        if cache is not None:
            self._live.sample_due()

    def ask_for_sockets(self, wanted: bool) -> None:
        """Starts or stops asking the kernel for all sockets; the first request is sent at once."""
        sampler = self._live.sampler
        sampler.set_enabled("socket_table", wanted)
        if wanted and not self._knows_sockets:
            # The module is imported here, because few users ask for the sockets.
            from tcptop.sources.socket_table import SocketTableSource

            self._knows_sockets = True
            sampler.add_source(SocketTableSource())
        if wanted:
            self._live.sample_due()

    @property
    def asks_kernel(self) -> bool:
        """True if the screen shows the present sample of this machine."""
        identity = self._host.identity
        return self._past is None and identity.remote_name is None and identity.place is None

    def ask_for_rows(self, asks: Sequence[RowAsk], use: Callable[[SocketRows], None]) -> None:
        """Reads single sockets once, in a separate thread."""
        if self.asks_kernel:
            self.start(self._read_rows(asks, use), "read single sockets")

    def sample(self) -> None:
        """Samples all sources now. If an earlier sample is shown, returns to the live sample first."""
        if self._past is not None:
            self._go_live()
        self._live.sample_now()

    def pause(self) -> None:
        """Pauses sampling, or resumes it."""
        paused = not self.app.choices.paused
        self.app.choose(replace(self.app.choices, paused=paused))
        self._live.pause(paused)

    def ask_interval(self) -> None:
        """Asks the user for the number of seconds between samples."""
        self.app.ask(
            "seconds from one sample to the next:", lambda answer: self._set_interval(parse_interval_s(answer))
        )

    def interval(self, step: int) -> None:
        """Changes the sampling interval to a neighbouring value of INTERVALS_S.

        The new interval is the next longer one if `step` is 1, or the next shorter one if `step` is -1.
        """
        now_s = self.app.choices.interval_s
        others_s = [each_s for each_s in INTERVALS_S if (each_s - now_s) * step > 0]
        if others_s:
            self._set_interval(min(others_s, key=lambda each_s: abs(each_s - now_s)))
        else:
            end = "longest" if step > 0 else "shortest"
            self.app.notify(f"{now_s:g} s: the {end} interval of this key; d sets others", timeout=3, markup=False)

    def read_pagetypeinfo(self) -> None:
        """Starts to read /proc/pagetypeinfo, even if this kernel does not limit the time that a read takes."""
        if self._latest is not None and self._latest.sources["pagetypeinfo"].state == "off":
            self._live.sampler.ask_for("pagetypeinfo")
            self._live.sample_now()
        else:
            self.app.notify(READ_UNASKED, timeout=3, markup=False)

    def record(self) -> None:
        """Ends the current recording. If no recording is running, asks for a file and starts a recording into it."""
        if self._recording is None:
            self.app.ask("record into the file:", self._answer_record)
        else:
            recording, self._recording = self._recording, None
            self._draw_again()
            self.start(self._report_end(recording), "end the recording")

    def step(self, step: int) -> None:
        """Shows the previous or next recorded sample; after the newest recorded sample, returns to the live sample."""
        if self._past is not None and self._past.player.index + step <= self._past.player.last_index:
            self._past.step(step)
        elif self._past is not None:
            # The requested sample is not in the opened file: it is the live sample, or it was recorded after the file
            # was opened.
            self._look_back(self._past.player.last_index + step)
        elif step > 0 and self._recorded_path is not None:
            self.app.notify("this is the newest; T looks back", timeout=3, markup=False)
        else:
            # While a recording is running, the sample on the screen is the last sample in the file (-1). The previous
            # sample is therefore the last but one (-2).
            self._look_back(-1 if self._recording is None else -2)

    def jump(self) -> None:
        """Asks the user for a time in the recording, and shows the sample that is nearest to this time."""
        if self._past is not None:
            self._past.jump()
        else:
            self._look_back(-1, jump=True)

    def back_to_live(self) -> None:
        """Key `Z`: returns to the live sample, and resumes sampling if it was paused."""
        if self._past is None and not self.app.choices.paused:
            self.app.notify(LIVE_ALREADY, timeout=3, markup=False)
        self._go_live()

    def _go_live(self) -> None:
        self._end_past()
        if self.app.choices.paused:
            self.pause()
        self._draw_again()

    def _draw_again(self) -> None:
        if self._latest is not None:
            self.draw(self._latest)

    def _end_past(self) -> None:
        if self._past is not None:
            self._past.end()
            self._past = None

    async def _read_rows(self, asks: Sequence[RowAsk], use: Callable[[SocketRows], None]) -> None:
        from tcptop.sources.socket_rows import read_socket_rows

        use(await self._kernel.run(lambda: run_sync(read_socket_rows(self._host, asks))))

    async def _follow(self) -> None:
        async for snapshot in self._live.snapshots():
            if self._recording is not None:
                # Skips a sample that began before the recording, because most reads of its sources were not recorded.
                self._first_sample_began = self._first_sample_began or not self._live.sample_requested
                if self._first_sample_began:
                    self._recording.add(snapshot)
            self.app.post_message(Sampled(snapshot))

    def _set_interval(self, interval_s: float) -> None:
        self.app.choose(replace(self.app.choices, interval_s=interval_s))
        self._live.set_interval(interval_s)

    def _answer_record(self, answer: str) -> None:
        self.start(self._begin_recording(os.path.expanduser(answer)), "begin the recording")  # noqa: PTH111

    async def _begin_recording(self, path: str) -> None:
        from tcptop.recording.recorder import Recorder
        from tcptop.screen.live_recording import LiveRecording

        try:
            recorder = await self._disk.run(lambda: Recorder(path))
        except TcptopError as error:
            self.app.notify(str(error), timeout=5, severity="warning", markup=False)
            return
        if self._recording is not None:
            self._disk.submit(recorder.close)
            return
        self._recording = LiveRecording(recorder, self._live.sampler, self._disk, self._recording_failed)
        self._first_sample_began = False
        self._recorded_path = path
        self._draw_again()
        self._live.sample_now()

    async def _report_end(self, recording: LiveRecording) -> None:
        await asyncio.wrap_future(recording.stop())
        samples = recording.recorder.samples
        words = "1 sample" if samples == 1 else f"{samples} samples"
        self.app.notify(f"{words} recorded into {recording.path}", timeout=4, markup=False)

    def _recording_failed(self, line: str) -> None:
        self._recording = None
        self._draw_again()
        self.app.notify(line, timeout=10, severity="warning", markup=False)

    def _look_back(self, start: int, jump: bool = False) -> None:
        """Opens the recording at the sample with the index `start`; a negative index counts from the end.

        If `start` is after the last recorded sample, returns to the live sample.
        """
        if self._recorded_path is None:
            self.app.notify(NOTHING_RECORDED, timeout=3, markup=False)
        elif self._opening is None or self._opening.done():
            self._opening = self.start(self._open(self._recorded_path, start, jump), "look back")

    async def _open(self, path: str, start: int, jump: bool) -> None:
        from tcptop.recording.reader import FileRecording
        from tcptop.recording.sqlite_file import errors_in_one_line
        from tcptop.recording.time_spec import WHOLE_RECORDING
        from tcptop.screen.replay_feed import ReplayFeed, SampleSelection, select_for_replay

        def select_all() -> SampleSelection:
            # open_recording() is not used, because it may drop privileges that live samples need.
            with errors_in_one_line(path):
                return select_for_replay(FileRecording(path), WHOLE_RECORDING)

        try:
            selection = await self._disk.run(select_all)
        except TcptopError as error:
            self.app.notify(str(error), timeout=5, severity="warning", markup=False)
            return
        samples = len(selection.samples)
        if start >= samples:
            self._disk.submit(selection.recording.close)
            self._go_live()
            return
        self._end_past()
        index = start if start >= 0 else max(0, samples + start)
        self._past = ReplayFeed(selection._replace(start=index), self.lab_measurement, self._disk)
        self._past.thresholds = self.thresholds
        self._past.app = self.app
        self._past.begin()
        if jump:
            self._past.jump()
