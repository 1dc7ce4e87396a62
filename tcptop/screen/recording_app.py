"""The screen on a live host that records what it shows, and looks back into it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tcptop.ledger import Ledger
from tcptop.sampling.worker import Worker
from tcptop.screen.app import REPLAY_CLASS, Stopped
from tcptop.screen.live_app import LiveApp
from tcptop.screen.viewing_app import ViewingApp
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable
from tcptop.view.timeline import NO_TIMELINE
from tcptop.view.trends import NO_TRENDS

if TYPE_CHECKING:
    from tcptop.screen.live_recording import LiveRecording

END_S = 1.0
"""So long the end of the program waits for a disk."""


class RecordingApp(LiveApp, ViewingApp):
    """The live screen, with keys that record and that look back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *LiveApp.BINDINGS,
        Binding("w", "record", "record into a file from now on; again ends it"),
        Binding("T", "step(-1)", "look back into the recording: the sample before"),
        Binding("t", "step(1)", "the next sample of the recording"),
        Binding("j", "jump", "look back: jump to a time"),
        Binding("Z", "live", "back to live; goes on where it is paused"),
    ]

    _recording: LiveRecording | None = None
    _recorded_path: str | None = None
    _latest: Ledger | None = None
    _opening = False

    def begin(self) -> None:
        """Follows the host; what is recorded is written, and read again, by a thread of its own."""
        self._disk = Worker("tcptop recorder")
        self._works: set[asyncio.Task[None]] = set()
        super().begin()

    def on_unmount(self) -> None:
        """Ends the recording; waits for the disk, but not for one that hangs."""
        for task in self._works:
            task.cancel()
        if self._recording is not None:
            from concurrent.futures import wait

            wait([self._recording.stop()], timeout=END_S)

    def sampled(self, snapshot: Snapshot) -> None:
        """Records the new look."""
        if self._recording is not None:
            self._recording.add(snapshot)
        super().sampled(snapshot)

    def show_latest(self, ledger: Ledger) -> None:
        """Draws the newest look, but not over an earlier one that somebody looks at."""
        self._latest = ledger
        if self._viewer is None:
            super().show_latest(ledger)

    def action_record(self) -> None:
        """Asks for a file and records into it; ends the recording that is under way."""
        if self._live is None:
            self.notify("saved: there is nothing to record", timeout=3, markup=False)
        elif self._recording is None:
            self._ask("record into the file:", self._answer_record)
        else:
            recording, self._recording = self._recording, None
            self._choose(replace(self._choices, recording_path=None))
            self._start(self._stopped(recording))

    def action_step(self, step: int) -> None:
        """The sample before, or the next, of what is recorded; after the newest it is live again."""
        viewer = self._viewer
        if viewer is None and step > 0 and self._recorded_path is not None:
            self.notify("this is the newest; T looks back", timeout=3, markup=False)
        elif viewer is None:
            self._look_back(lambda last: max(0, last + step) if self._recording is not None else last)
        elif viewer.player.index + step > viewer.player.last_index:
            index = viewer.player.last_index + step
            self._look_back(lambda last: index if index <= last else None)  # what came since it was opened
        else:
            super().action_step(step)

    def action_jump(self) -> None:
        """Asks for a moment of what is recorded."""
        if self._viewer is None:
            self._look_back(lambda last: last, super().action_jump)
        else:
            super().action_jump()

    def action_live(self) -> None:
        """Shows what is now, and goes on where it is paused."""
        self.end_viewing()
        self.set_class(False, REPLAY_CLASS)
        self._choices = replace(self._choices, player=None, looking_back=False, timeline=NO_TIMELINE)
        if self._choices.paused:
            self.action_pause()
        if self._latest is not None:
            self.show_latest(self._latest)

    def action_sample(self) -> None:
        """Reads everything once, and shows it."""
        if self._viewer is not None:
            self.action_live()
        super().action_sample()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        """Does what waits for the disk, beside the keys."""

        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                self.post_message(Stopped(error))

        task = asyncio.create_task(guarded(), name="record")
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    def _answer_record(self, answer: str | None) -> None:
        if answer:
            self._start(self._begin_recording(os.path.expanduser(answer)))  # noqa: PTH111 (it may be anything)

    async def _begin_recording(self, path: str) -> None:
        from tcptop.errors import TcptopError
        from tcptop.recording.recorder import Recorder
        from tcptop.screen.live_recording import LiveRecording

        try:
            recorder = await self._disk.ask(lambda: Recorder(path))
        except TcptopError as error:
            self.notify(str(error), timeout=5, severity="warning", markup=False)
            return
        if self._live is None or self._recording is not None:
            self._disk.tell(recorder.close)
            return
        self._recording = LiveRecording(recorder, self._live.sampler, self._disk, self._recording_failed)
        self._recorded_path = path
        self._choose(replace(self._choices, recording_path=printable(path)))
        self._live.look_now()

    async def _stopped(self, recording: LiveRecording) -> None:
        samples = await asyncio.wrap_future(recording.stop())
        words = "1 sample" if samples == 1 else f"{samples} samples"
        self.notify(f"{words} recorded into {printable(recording.path)}", timeout=4, markup=False)

    def _recording_failed(self, line: str) -> None:
        self._recording = None
        self._choose(replace(self._choices, recording_path=None))
        self.notify(line, timeout=10, severity="warning", markup=False)

    def _look_back(self, start: Callable[[int], int | None], then: Callable[[], None] | None = None) -> None:
        """Opens what is recorded at the sample that `start` gives for the number of the last; None is live again."""
        if self._recorded_path is None:
            self.notify("nothing is recorded here; w records into a file", timeout=3, markup=False)
        elif not self._opening:
            self._opening = True
            self._start(self._opened(self._recorded_path, start, then))

    async def _opened(self, path: str, start: Callable[[int], int | None], then: Callable[[], None] | None) -> None:
        from tcptop.errors import TcptopError
        from tcptop.recording.opening import open_recording
        from tcptop.recording.time_spec import ALL
        from tcptop.screen.playback import select_and_start

        try:
            held, _ = await self._disk.ask(lambda: select_and_start(open_recording(path), ALL))
        except TcptopError as error:
            self.notify(str(error), timeout=5, severity="warning", markup=False)
            return
        finally:
            self._opening = False
        index = start(len(held.samples) - 1)
        if index is None:
            self._disk.tell(held.recording.close)
            self.action_live()
            return
        self._choices = replace(self._choices, looking_back=True, trends=NO_TRENDS)
        self.view(held, index, self._disk)
        if then is not None:
            then()
