"""Live app with recording: records its samples into a file, and looks back into that file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING

from tcptop.ledger import Ledger
from tcptop.sampling.worker import Worker
from tcptop.screen.app import REPLAY_CLASS, Stopped
from tcptop.screen.keys import RECORDING_BINDINGS
from tcptop.screen.live_app import LiveApp
from tcptop.screen.viewing_app import ViewingApp
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable
from tcptop.view.timeline import NO_TIMELINE
from tcptop.view.trends import NO_TRENDS

if TYPE_CHECKING:
    from tcptop.screen.live_recording import LiveRecording

END_S = 1.0
"""Longest wait for the disk at exit."""


class RecordingApp(LiveApp, ViewingApp):
    """The live app with keys that record and look back."""

    BINDINGS = RECORDING_BINDINGS

    _recording: LiveRecording | None = None
    _first_sample_began = False
    _recorded_path: str | None = None
    _latest: Ledger | None = None
    _opening = False

    def begin(self) -> None:
        """Starts sampling; one worker thread writes and reads the recording."""
        self._disk = Worker("tcptop recorder")
        self._works: set[asyncio.Task[None]] = set()
        super().begin()

    def on_unmount(self) -> None:
        """Ends the recording; waits for the disk, at most END_S."""
        for task in self._works:
            task.cancel()
        if self._recording is not None:
            from concurrent.futures import wait

            wait([self._recording.stop()], timeout=END_S)

    def receive_sample(self, snapshot: Snapshot) -> None:
        """Records the new sample, unless it began before the recording: most of its reads were not recorded."""
        if self._recording is not None and self._live is not None:
            self._first_sample_began = self._first_sample_began or not self._live.sample_requested
            if self._first_sample_began:
                self._recording.add(snapshot)
        super().receive_sample(snapshot)

    def show_latest(self, ledger: Ledger) -> None:
        """Draws the latest sample, unless the user looks back at an earlier one."""
        self._latest = ledger
        if self._playback is None:
            super().show_latest(ledger)

    def action_record(self) -> None:
        """Asks for a file and records into it, or ends the current recording."""
        if self._live is None:
            self.notify("saved: there is nothing to record", timeout=3, markup=False)
        elif self._recording is None:
            self._ask("record into the file:", self._answer_record)
        else:
            recording, self._recording = self._recording, None
            self._choose(replace(self._choices, recording_path=None))
            self._start(self._stopped(recording))

    def action_step(self, step: int) -> None:
        """Shows the previous or next recorded sample; after the newest one, returns to live."""
        viewer = self._playback
        if viewer is None and step > 0 and self._recorded_path is not None:
            self.notify("this is the newest; T looks back", timeout=3, markup=False)
        elif viewer is None:
            self._look_back(lambda last: max(0, last + step) if self._recording is not None else last)
        elif viewer.player.index + step > viewer.player.last_index:
            index = viewer.player.last_index + step
            self._look_back(lambda last: index if index <= last else None)  # samples recorded since it was opened
        else:
            super().action_step(step)

    def action_jump(self) -> None:
        """Asks for a time in the recording."""
        if self._playback is None:
            self._look_back(lambda last: last, super().action_jump)
        else:
            super().action_jump()

    def action_live(self) -> None:
        """Returns to the live sample, and resumes if paused."""
        self.end_playback()
        self.set_class(False, REPLAY_CLASS)
        self._choices = replace(self._choices, player=None, looking_back=False, timeline=NO_TIMELINE)
        if self._choices.paused:
            self.action_pause()
        if self._latest is not None:
            self.show_latest(self._latest)

    def action_sample(self) -> None:
        """Takes a sample of all sources now, and shows it live."""
        if self._playback is not None:
            self.action_live()
        super().action_sample()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        """Runs a coroutine that waits for the disk as a task, so that keys still work."""

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
            recorder = await self._disk.run(lambda: Recorder(path))
        except TcptopError as error:
            self.notify(str(error), timeout=5, severity="warning", markup=False)
            return
        if self._live is None or self._recording is not None:
            self._disk.submit(recorder.close)
            return
        self._recording = LiveRecording(recorder, self._live.sampler, self._disk, self._recording_failed)
        self._first_sample_began = False
        self._recorded_path = path
        self._choose(replace(self._choices, recording_path=printable(path)))
        self._live.sample_now()

    async def _stopped(self, recording: LiveRecording) -> None:
        samples = await asyncio.wrap_future(recording.stop())
        words = "1 sample" if samples == 1 else f"{samples} samples"
        self.notify(f"{words} recorded into {printable(recording.path)}", timeout=4, markup=False)

    def _recording_failed(self, line: str) -> None:
        self._recording = None
        self._choose(replace(self._choices, recording_path=None))
        self.notify(line, timeout=10, severity="warning", markup=False)

    def _look_back(self, start: Callable[[int], int | None], then: Callable[[], None] | None = None) -> None:
        """Opens the recording at the index `start(last index)`; None returns to live."""
        if self._recorded_path is None:
            self.notify("nothing is recorded here; w records into a file", timeout=3, markup=False)
        elif not self._opening:
            self._opening = True
            self._start(self._opened(self._recorded_path, start, then))

    async def _opened(self, path: str, start: Callable[[int], int | None], then: Callable[[], None] | None) -> None:
        from tcptop.errors import TcptopError
        from tcptop.recording.opening import open_recording
        from tcptop.recording.time_spec import WHOLE_RECORDING
        from tcptop.screen.playback import select_and_start

        try:
            selection, _ = await self._disk.run(lambda: select_and_start(open_recording(path), WHOLE_RECORDING))
        except TcptopError as error:
            self.notify(str(error), timeout=5, severity="warning", markup=False)
            return
        finally:
            self._opening = False
        index = start(len(selection.samples) - 1)
        if index is None:
            self._disk.submit(selection.recording.close)
            self.action_live()
            return
        self._choices = replace(self._choices, looking_back=True, trends=NO_TRENDS)
        self.open_playback(selection, index, self._disk)
        if then is not None:
            then()
