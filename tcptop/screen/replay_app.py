"""Replay app: `tcptop -r FILE`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tcptop.sampling.worker import Worker
from tcptop.screen.keys import REPLAY_BINDINGS
from tcptop.screen.playback import SampleSelection
from tcptop.screen.settings import NO_SETTINGS, Settings
from tcptop.screen.viewing_app import ViewingApp
from tcptop.snapshot import LabMeasurement


class ReplayApp(ViewingApp):
    """The app that plays the samples of a recording."""

    BINDINGS = REPLAY_BINDINGS

    def __init__(
        self,
        selection: SampleSelection,
        start: int = 0,
        sort: str | None = None,
        lab_measurement: LabMeasurement | None = None,
        settings: Settings = NO_SETTINGS,
        mistakes: Sequence[str] = (),
    ) -> None:
        """Takes an open recording and the index to start at; the other arguments are those of TcptopApp."""
        super().__init__(settings.interval or 1.0, sort, lab_measurement, settings, mistakes)
        self._selection = selection
        self._start = start

    def begin(self) -> None:
        """Shows the first sample."""
        self.open_playback(self._selection, self._start, Worker("tcptop replay"))
        if not self.is_headless:  # in a test, the interpreter runs other programs too
            from tcptop.screen.idle_gc import run_idle_gc

            self._collecting = asyncio.create_task(run_idle_gc(self._idle_s), name="collect garbage")

    def _idle_s(self) -> float:
        return 0.0 if self._playback is None else self._playback.idle_s

    def action_play(self) -> None:
        """Plays or pauses."""
        if self._playback is not None:
            self._playback.go(self._playback.player.toggle_playing())

    def action_speed(self, step: int) -> None:
        """Sets the next higher or lower speed."""
        if self._playback is not None:
            self._playback.go(self._playback.player.change_speed(step))

    def action_first(self) -> None:
        """Shows the first sample."""
        if self._playback is not None:
            self._playback.go(self._playback.player.step_by(-len(self._selection.samples)))

    def action_last(self) -> None:
        """Shows the last sample."""
        if self._playback is not None:
            self._playback.go(self._playback.player.step_by(len(self._selection.samples)))
