"""Looks at a recording for a screen: reads what is wanted off the event loop, plays, fills the time line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.recording.recording import Recording
from tcptop.recording.time_spec import TimeRange, moment_near_unix_s, nearest, select_samples, times_in_order
from tcptop.sampling.worker import Worker
from tcptop.screen.timeline_fill import filling, within
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable
from tcptop.view.player import Player
from tcptop.view.timeline import NO_TIMELINE, Timeline

TICK_S = 0.05
"""So often the player looks whether another sample is due."""
PIECE_S = 0.004
REST_S = 0.012
"""The time line is filled for so long at a time, with such rests between."""
QUIET_S = 0.3
"""So long nobody may have asked for a sample before the time line is filled further."""


class OpenRecording(NamedTuple):
    """The samples of a recording that are looked at, and their times."""

    recording: Recording
    samples: range
    times_s: list[float]
    """In order. Where no sample has a time, their numbers."""
    timed: bool


class Frame(NamedTuple):
    """A sample of a recording, and where the player stood when it was read."""

    snapshot: Snapshot
    player: Player
    damaged: str | None
    """What of it is damaged, in one line."""


def select_and_start(recording: Recording, choice: TimeRange) -> tuple[OpenRecording, int]:
    """The samples that were asked for, and the number among them of the one to start with.

    Raises:
        TcptopError: where a moment cannot be understood, or there is no sample.

    """
    samples = select_samples(recording, choice._replace(at=None))
    start = 0
    if choice.at is not None:
        [index] = select_samples(recording, TimeRange(at=choice.at))
        if index not in samples:
            raise TcptopError(f"{printable(recording.path)}: --at is not between --from and --to")
        start = samples.index(index)
    try:
        times_s, timed = times_in_order(recording)[samples.start : samples.stop], True
    except TcptopError:
        times_s, timed = [float(number) for number in range(len(samples))], False
    return OpenRecording(recording, samples, times_s, timed), start


class Playback:
    """Follows a player through the samples that are held; tells who draws of each sample and of the time line."""

    def __init__(
        self,
        held: OpenRecording,
        thread: Worker,
        start: int,
        show: Callable[[Frame], None],
        changed: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Asks the recording in that thread alone.

        Hands each sample to `show`, and calls `changed` where the player or the time line did.
        """
        self._held = held
        self._thread = thread
        self._show, self._changed, self._failed = show, changed, failed
        self._wanted = asyncio.Event()
        self._asked_at_s = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._playing: asyncio.Task[None] | None = None
        self.player = Player(held.times_s).seek(start)
        self._shown_index = start
        self.timeline: Timeline = NO_TIMELINE

    @property
    def shown_player(self) -> Player:
        """The player, at the sample that is shown and not yet at the one that is being read."""
        return self.player.seek(self._shown_index)

    @property
    def quiet_s(self) -> float:
        """For how long nobody has asked for a sample."""
        return time.monotonic() - self._asked_at_s

    def begin(self) -> None:
        """Shows the sample that the player stands at, and begins with the time line."""
        self._tasks = [
            asyncio.create_task(self._guarded(self._read_on()), name="read samples"),
            asyncio.create_task(self._guarded(self._fill()), name="fill the time line"),
        ]
        self._wanted.set()

    def end(self) -> None:
        """Stops, and closes the recording."""
        for task in [*self._tasks, *([self._playing] if self._playing else [])]:
            task.cancel()
        self._thread.tell(self._held.recording.close)

    def go(self, player: Player) -> None:
        """Shows another sample, or goes on in another way."""
        self._asked_at_s = time.monotonic()
        moved = player.index != self.player.index
        self.player = player
        if player.playing and (self._playing is None or self._playing.done()):
            self._playing = asyncio.create_task(self._guarded(self._play()), name="play")
        if moved:
            self._wanted.set()
        else:
            self._changed()

    def jump(self, text: str) -> None:
        """Shows the sample nearest to a moment, as people type one.

        Raises:
            ValueError: with a line for a person, where it means none.
            TcptopError: in one line, where there is no sample then.

        """
        times_s = self._held.times_s
        if not self._held.timed:
            raise ValueError("its samples have no times")
        moment_s = moment_near_unix_s(text, times_s[self.player.index], times_s[0], times_s[-1])
        self.go(self.player.seek(nearest(times_s, moment_s, self._held.recording.path)))

    async def _guarded(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            self._failed(error)

    async def _read_on(self) -> None:
        recording, samples = self._held.recording, self._held.samples
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            number = samples[self.player.index]
            snapshot, damaged = await self._thread.ask(
                lambda number=number: (recording.snapshot(number), recording.damaged(number))  # type: ignore[misc]
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
                self._wanted.set()
            elif player.playing != self.player.playing:
                self._changed()
            self.player = player

    async def _fill(self) -> None:
        pieces = filling(self._held.recording, self._held.samples, self._held.times_s)
        while True:
            found = await self._thread.ask(lambda: within(pieces, PIECE_S))
            if found is None:
                return
            self.timeline = found
            self._changed()
            await asyncio.sleep(REST_S)
            while (quiet_s := self.quiet_s) < QUIET_S:
                await asyncio.sleep(QUIET_S - quiet_s)
