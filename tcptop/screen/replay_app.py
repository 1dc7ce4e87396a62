"""The screen on a recording: `tcptop -r FILE`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tcptop.sampling.worker import Worker
from tcptop.screen.playback import OpenRecording
from tcptop.screen.settings import NO_SETTINGS, Settings
from tcptop.screen.viewing_app import ViewingApp
from tcptop.snapshot import LabMeasurement


class ReplayApp(ViewingApp):
    """The screen that plays the samples of a recording."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "step(1)", "the next sample"),
        Binding("T", "step(-1)", "the sample before"),
        Binding("j", "jump", "jump to a time"),
        Binding("space,z", "play", "play, and stand still"),
        Binding("plus", "speed(1)", "play faster, up to 100 ×"),
        Binding("minus", "speed(-1)", "play slower"),
        Binding("less_than_sign", "first", "the first sample"),
        Binding("greater_than_sign", "last", "the last sample"),
        *ViewingApp.BINDINGS,
    ]

    def __init__(
        self,
        held: OpenRecording,
        start: int = 0,
        sort: str | None = None,
        measured: LabMeasurement | None = None,
        settings: Settings = NO_SETTINGS,
        wrong: Sequence[str] = (),
    ) -> None:
        """Takes samples of a recording, the number among them to start with, and the rest as every screen."""
        super().__init__(settings.interval or 1.0, sort, measured, settings, wrong)
        self._held = held
        self._start = start

    def begin(self) -> None:
        """Shows the first sample."""
        self.view(self._held, self._start, Worker("tcptop replay"))
        if not self.is_headless:  # else the interpreter is not this program's own
            from tcptop.screen.idle_gc import run_idle_gc

            self._collecting = asyncio.create_task(run_idle_gc(self._quiet_s), name="collect garbage")

    def _quiet_s(self) -> float:
        return 0.0 if self._viewer is None else self._viewer.quiet_s

    def action_play(self) -> None:
        """Plays, or stands still."""
        if self._viewer is not None:
            self._viewer.go(self._viewer.player.toggle_playing())

    def action_speed(self, step: int) -> None:
        """The next higher or lower speed."""
        if self._viewer is not None:
            self._viewer.go(self._viewer.player.change_speed(step))

    def action_first(self) -> None:
        """Shows the first sample."""
        if self._viewer is not None:
            self._viewer.go(self._viewer.player.step_by(-len(self._held.samples)))

    def action_last(self) -> None:
        """Shows the last sample."""
        if self._viewer is not None:
            self._viewer.go(self._viewer.player.step_by(len(self._held.samples)))
