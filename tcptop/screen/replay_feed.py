"""Replay feed: plays the samples of a recording and fills its timeline; a worker thread reads the recording."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from tcptop.accounting.event_series import EventSample, add_event_sample, minute_ago_index, totals_minute_ago
from tcptop.accounting.events import EventCounts
from tcptop.accounting.ledger_before import ledger_before
from tcptop.accounting.origin import Origin, origin_of
from tcptop.errors import TcptopError
from tcptop.ledger import Ledger
from tcptop.recording.document import RecordedSample
from tcptop.recording.recording import Recording
from tcptop.recording.time_spec import (
    TimeRange,
    nearest_sample,
    ordered_times,
    parse_time_near,
    select_samples,
    times_for,
    utc_time,
)
from tcptop.sampling.worker import Worker
from tcptop.screen.feed import Feed
from tcptop.screen.keys import REPLAY_BINDINGS
from tcptop.screen.timeline_fill import fill_timeline, work_for
from tcptop.snapshot import LabMeasurement
from tcptop.text.printable import printable
from tcptop.view import View
from tcptop.view.player import Player
from tcptop.view.timeline import NO_TIMELINE

TICK_S = 0.05
"""During playback, the feed checks every TICK_S seconds if the next sample is due."""
PIECE_S = 0.004
REST_S = 0.012
"""Pause, in seconds, between two steps that fill the timeline; each step takes about PIECE_S."""
IDLE_S = 0.3
"""After a request for a sample, the filling of the timeline pauses for this number of seconds."""
DAMAGE_SHOWN_S = 5.0
MAX_ORIGINS = 1000
"""Maximum number of samples whose event totals are kept. During playback, the totals of a sample are needed for one
minute."""
MIN_STEP_S = 1.0
"""Minimum time, in seconds, between two samples whose event totals are read. For the minute before the shown sample,
event totals are read from only some of the samples. The sample directly before the shown sample is always read."""
MAX_UNKNOWN = 10
"""Maximum number of damaged samples that are skipped in the search for an earlier sample with known event totals."""


class SampleSelection(NamedTuple):
    """A recording, the selected samples and their times, and the position at which the replay starts."""

    recording: Recording
    samples: range
    times_s: Sequence[float]
    """Times of the samples in ascending order; 0, 1, 2, … if the recording has no times."""
    timed: bool
    start: int
    """Index of the first shown sample among the selected samples."""


def select_for_replay(recording: Recording, choice: TimeRange) -> SampleSelection:
    """Selects the samples between the times of --from and --to.

    The replay starts at the time of --at, or at the first sample if --at is not given.

    Raises:
        TcptopError: if a time is invalid or selects no sample, or if the start is outside the selected samples.
    """
    samples = select_samples(recording, choice._replace(at=None))
    start = 0
    if choice.at is not None:
        [index] = select_samples(recording, TimeRange(at=choice.at))
        if index not in samples:
            raise TcptopError(f"{printable(recording.path)}: --at is not between --from and --to")
        start = samples.index(index)
    try:
        times_s, timed = ordered_times(recording)[samples.start : samples.stop], True
    except TcptopError:
        times_s, timed = [float(number) for number in range(len(samples))], False
    return SampleSelection(recording, samples, times_s, timed, start)


class ReplayFeed(Feed):
    """Feed that moves a player through the selected samples. Only the worker thread uses the recording."""

    bindings = REPLAY_BINDINGS

    def __init__(
        self, selection: SampleSelection, lab_measurement: LabMeasurement | None = None, thread: Worker | None = None
    ) -> None:
        """Takes the selected samples; `thread` is given by a LiveFeed that shows earlier samples."""
        super().__init__(lab_measurement)
        self._selection = selection
        self._looking_back = thread is not None
        self._thread = thread or Worker("tcptop replay")
        self._requested = asyncio.Event()
        self._requested_at_s = 0.0
        self._playing: asyncio.Task[None] | None = None
        self._ended = False
        self.player = Player(selection.times_s).seek(selection.start)
        self._shown_index = selection.start
        self._origins: dict[int, Origin] = {}
        self._timeline = NO_TIMELINE

    def begin(self) -> None:
        """Shows the player's sample, and starts to fill the timeline."""
        list_damage = self._selection.recording.list_damage
        if list_damage is not None:
            self.app.notify(list_damage, timeout=DAMAGE_SHOWN_S, severity="warning", markup=False)
        self._requested.set()
        self.start(self._read_requested(), "read samples")
        self.filling = self.start(self._fill(), "fill the time line")
        # Only tests run an app without a terminal (headless). A test shares the interpreter with other code, so a
        # headless app must not change garbage collection.
        if not self._looking_back and not self.app.is_headless:
            from tcptop.screen.idle_gc import run_idle_gc

            self.start(run_idle_gc(self.idle_s), "collect garbage")

    def end(self) -> None:
        """Stops all tasks and closes the recording."""
        super().end()
        self._ended = True
        self._thread.submit(self._selection.recording.close)

    def view(self) -> View:
        """The view, with the player at the sample on the screen.

        While a requested sample is still being read, the player stays at the sample on the screen.
        """
        player = self.player.seek(self._shown_index)
        return replace(super().view(), player=player, timeline=self._timeline, looking_back=self._looking_back)

    def source_options(self) -> list[str] | None:
        """The options that choose the recording and the sample on the screen; None if the samples have no times."""
        selection, index = self._selection, self._shown_index
        if not selection.timed:
            return ["-r", selection.recording.path] if len(selection.recording) == 1 else None
        at_s = selection.recording.taken_at_unix_s(selection.samples[index])
        return ["-r", selection.recording.path, "--at", utc_time(selection.times_s[index] if at_s is None else at_s)]

    def plan_origin(self) -> str:
        """The path of the recording's file."""
        return printable(self._selection.recording.path)

    def idle_s(self) -> float:
        """Time in seconds since the last request for a sample."""
        return time.monotonic() - self._requested_at_s

    def step(self, step: int) -> None:
        """Shows the sample that is `step` samples later, or earlier if `step` is negative; at an end, a message."""
        player = self.player.step_by(step)
        if player.index == self.player.index:
            end = "the only" if not player.last_index else "the last" if step > 0 else "the first"
            self.app.notify(f"this is {end} sample", timeout=3, markup=False)
        self._go(player)

    def first(self) -> None:
        """Shows the first sample."""
        self.step(-len(self._selection.samples))

    def last(self) -> None:
        """Shows the last sample."""
        self.step(len(self._selection.samples))

    def play(self) -> None:
        """Starts or pauses playback; if there is only one sample, shows a message."""
        if not self.player.last_index:
            self.app.notify("this is the only sample", timeout=3, markup=False)
        self._go(self.player.toggle_playing())

    def speed(self, step: int) -> None:
        """Changes the playback speed: to the next higher one if `step` is 1, to the next lower one if `step` is -1.

        At the highest and at the lowest speed, shows a message.
        """
        player = self.player.change_speed(step)
        if player.speed == self.player.speed:
            self.app.notify(
                f"{player.speed} × is the {'highest' if step > 0 else 'lowest'} speed", timeout=3, markup=False
            )
        self._go(player)

    def jump(self) -> None:
        """Asks the user for a time, and shows the sample that is nearest to this time."""
        self.app.ask("jump to (12:04:31, +5m from the start, -5m):", self._answer_jump)

    def _answer_jump(self, answer: str) -> None:
        times_s = self._selection.times_s
        if not self._selection.timed:
            raise ValueError("its samples have no times")
        recording, samples = self._selection.recording, self._selection.samples
        searched_s = times_for(answer, recording)[samples.start : samples.stop]
        moment_s = parse_time_near(answer, times_s[self.player.index], min(searched_s), max(searched_s))
        self._go(self.player.seek(nearest_sample(searched_s, moment_s, recording.path)))

    def _go(self, player: Player) -> None:
        """Replaces the player at the user's request, and starts playback if the new player plays."""
        if self._ended:
            return
        self._requested_at_s = time.monotonic()
        if player.playing and (self._playing is None or self._playing.done()):
            self._playing = self.start(self._play(), "play")
        self._set_player(player)

    def _set_player(self, player: Player) -> None:
        """Replaces the player.

        If the new player is at another sample, requests this sample. If only the speed has changed, or playback was
        started or paused, draws the position again.
        """
        before, self.player = self.player, player
        if player.index != before.index:
            self._requested.set()
        elif (player.playing, player.speed) != (before.playing, before.speed):
            self.app.show_progress(self.view())

    async def _read_requested(self) -> None:
        samples = self._selection.samples
        while True:
            await self._requested.wait()
            self._requested.clear()
            number = samples[self.player.index]
            index = samples.index(number)
            sample, minute_ago, before = await self._thread.run(partial(self._read, index))
            self._shown_index = index
            self.show_sample(sample.snapshot._replace(lab_measurement=self.lab_measurement), minute_ago, before)
            if sample.damage is not None:
                self.app.clear_notifications()  # only one message is visible, even if many samples are damaged
                self.app.notify(sample.damage, timeout=DAMAGE_SHOWN_S, severity="warning", markup=False)

    def _read(self, index: int) -> tuple[RecordedSample, EventCounts | None, Ledger | None]:
        """Reads a selected sample and the event totals one minute before the sample, by the clock of the recording.

        The event totals are None for the first sample, and for every sample of a recording without times. If the
        selected sample has no averages, the third result is the ledger of the previous sample, and the averages of this
        ledger are shown. If the selected sample has averages, the third result is None.
        """
        selection = self._selection
        minute_ago: EventCounts | None = None
        if len(self._origins) > MAX_ORIGINS:
            self._origins.clear()
        # Earlier samples are read first, because a recording is unpacked from front to back.
        earlier = self._event_samples_before(index) if selection.timed else ()
        sample = selection.recording.sample(selection.samples[index])
        self._origins[index] = origin_of(sample.snapshot)
        if earlier:
            minute_ago = totals_minute_ago(earlier, selection.times_s[index], self._origins[index])
        return sample, minute_ago, ledger_before(selection.recording.snapshot, selection.samples[index])

    def _event_samples_before(self, index: int) -> tuple[EventSample, ...]:
        """The event totals within the minute before a selected sample, and the last known totals before this minute."""
        times_s = self._selection.times_s
        if index == 0:
            return ()
        start = min(index - 1, minute_ago_index(times_s, times_s[index]))
        numbers = [start]
        for number in range(start + 1, index):
            if number == index - 1 or times_s[number] - times_s[numbers[-1]] >= MIN_STEP_S:
                numbers.append(number)
        shown = set().union(*map(self._known_events, numbers))
        while numbers[0] > max(0, start - MAX_UNKNOWN) and not (shown and shown <= self._known_events(numbers[0])):
            numbers.insert(0, numbers[0] - 1)
        samples: tuple[EventSample, ...] = ()
        for number in numbers:
            samples = add_event_sample(samples, times_s[number], self._origin(number))
        return samples

    def _origin(self, index: int) -> Origin:
        if index not in self._origins:
            recording, samples = self._selection.recording, self._selection.samples
            self._origins[index] = origin_of(recording.snapshot(samples[index]))
        return self._origins[index]

    def _known_events(self, index: int) -> set[str]:
        """The names of those events whose totals are known in a selected sample."""
        return {name for name, total in self._origin(index).totals.items() if total is not None}

    async def _play(self) -> None:
        before_s = time.monotonic()
        while self.player.playing:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            self._set_player(self.player.advance(now_s - before_s))
            before_s = now_s

    async def _fill(self) -> None:
        pieces = fill_timeline(self._selection.recording, self._selection.samples, self._selection.times_s)
        while (timeline := await self._thread.run(lambda: work_for(pieces, PIECE_S))) is not None:
            self._timeline = timeline
            self.app.show_progress(self.view())
            await asyncio.sleep(REST_S)
            while (idle_s := self.idle_s()) < IDLE_S:
                await asyncio.sleep(IDLE_S - idle_s)
