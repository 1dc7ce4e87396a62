"""Playback of a recording: reads samples off the event loop, plays them, fills the timeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.recording.recording import Recording
from tcptop.recording.time_spec import TimeRange, nearest_sample, ordered_times, parse_time_near, select_samples
from tcptop.sampling.worker import Worker
from tcptop.screen.timeline_fill import fill_timeline, work_for
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable
from tcptop.view.player import Player
from tcptop.view.timeline import NO_TIMELINE, Timeline

TICK_S = 0.05
"""Period at which the player checks whether the next sample is due."""
PIECE_S = 0.004
REST_S = 0.012
"""The timeline is filled in steps of PIECE_S with rests of REST_S between them."""
IDLE_S = 0.3
"""Time without a request for a sample after which filling the timeline continues."""


class SampleSelection(NamedTuple):
    """A recording with its selected samples and their times."""

    recording: Recording
    samples: range
    times_s: list[float]
    """Ascending; sample numbers if the samples have no times."""
    timed: bool


class Frame(NamedTuple):
    """A sample of a recording with the player state at the time of its read."""

    snapshot: Snapshot
    player: Player
    damaged: str | None
    """Description of its damage in one line; None if intact."""


def select_and_start(recording: Recording, choice: TimeRange) -> tuple[SampleSelection, int]:
    """The selected samples, and the index among them to start at.

    Raises:
        TcptopError: if a time is invalid or selects no sample.

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
    return SampleSelection(recording, samples, times_s, timed), start


class Playback:
    """Moves a player through the selected samples, and reports each sample and timeline by a callback."""

    def __init__(
        self,
        selection: SampleSelection,
        thread: Worker,
        start: int,
        show: Callable[[Frame], None],
        changed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Uses the recording only in `thread`.

        Calls `show` with each sample, `changed` after a change of the player or timeline alone, `failed` with an error.
        """
        self._selection = selection
        self._thread = thread
        self._show, self._changed, self._failed = show, changed, failed
        self._requested = asyncio.Event()
        self._requested_at_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._playing: asyncio.Task[None] | None = None
        self.player = Player(selection.times_s).seek(start)
        self._shown_index = start
        self.timeline: Timeline = NO_TIMELINE

    @property
    def shown_player(self) -> Player:
        """The player at the sample on the screen, not at one whose read is still running."""
        return self.player.seek(self._shown_index)

    @property
    def idle_s(self) -> float:
        """Seconds since the last request for a sample."""
        return time.monotonic() - self._requested_at_s

    def begin(self) -> None:
        """Shows the player's sample, and starts to fill the timeline."""
        self._tasks = [
            asyncio.create_task(self._report_errors(self._read_requested()), name="read samples"),
            asyncio.create_task(self._report_errors(self._fill()), name="fill the time line"),
        ]
        self._requested.set()

    def end(self) -> None:
        """Stops all tasks and closes the recording."""
        for task in [*self._tasks, *([self._playing] if self._playing else [])]:
            task.cancel()
        self._thread.submit(self._selection.recording.close)

    def go(self, player: Player) -> None:
        """Sets the player: another sample, or another speed."""
        self._requested_at_s = time.monotonic()
        moved = player.index != self.player.index
        self.player = player
        if player.playing and (self._playing is None or self._playing.done()):
            self._playing = asyncio.create_task(self._report_errors(self._play()), name="play")
        if moved:
            self._requested.set()
        else:
            self._changed()

    def jump(self, text: str) -> None:
        """Shows the sample nearest to a typed time.

        Raises:
            ValueError: if the text is no time, with one line for a person.
            TcptopError: if the recording has no sample near that time.

        """
        times_s = self._selection.times_s
        if not self._selection.timed:
            raise ValueError("its samples have no times")
        moment_s = parse_time_near(text, times_s[self.player.index], times_s[0], times_s[-1])
        self.go(self.player.seek(nearest_sample(times_s, moment_s, self._selection.recording.path)))

    async def _report_errors(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            self._failed(error)

    async def _read_requested(self) -> None:
        recording, samples = self._selection.recording, self._selection.samples
        while True:
            await self._requested.wait()
            self._requested.clear()
            number = samples[self.player.index]
            snapshot, damaged = await self._thread.run(
                lambda number=number: (recording.snapshot(number), recording.damage(number))  # type: ignore[misc]
            )
            self._shown_index = samples.index(number)
            self._show(Frame(snapshot, self.shown_player, damaged))

    async def _play(self) -> None:
        before_s = time.monotonic()
        while self.player.playing:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            player = self.player.advance(now_s - before_s)
            before_s = now_s
            if player.index != self.player.index:
                self._requested.set()
            elif player.playing != self.player.playing:
                self._changed()
            self.player = player

    async def _fill(self) -> None:
        pieces = fill_timeline(self._selection.recording, self._selection.samples, self._selection.times_s)
        while True:
            found = await self._thread.run(lambda: work_for(pieces, PIECE_S))
            if found is None:
                return
            self.timeline = found
            self._changed()
            await asyncio.sleep(REST_S)
            while (idle_s := self.idle_s) < IDLE_S:
                await asyncio.sleep(IDLE_S - idle_s)
