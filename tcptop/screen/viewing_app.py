"""Base of apps that show recorded samples: stepping, jumping, drawing the timeline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tcptop.accounting import account
from tcptop.sampling.worker import Worker
from tcptop.screen.app import REPLAY_CLASS, Stopped, TcptopApp
from tcptop.view.trends import add_sample
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.timeline_pane import TimelinePane

if TYPE_CHECKING:
    from tcptop.screen.playback import Frame, Playback, SampleSelection

DAMAGE_SHOWN_S = 5.0


class ViewingApp(TcptopApp):
    """An app with a Playback while a recording is open."""

    _playback: Playback | None = None

    def open_playback(self, selection: SampleSelection, start: int, thread: Worker) -> None:
        """Opens the playback of a recording at a sample; closes the previous one."""
        from tcptop.screen.playback import Playback

        self.end_playback()
        self._playback = Playback(
            selection,
            thread,
            start,
            self._show_recorded,
            self._show_progress,
            self._viewing_failed,
        )
        self.set_class(True, REPLAY_CLASS)
        self._playback.begin()

    def end_playback(self) -> None:
        """Closes the playback and its recording."""
        if self._playback is not None:
            self._playback.end()
            self._playback = None

    def on_unmount(self) -> None:
        """Closes the recording."""
        self.end_playback()

    def action_step(self, step: int) -> None:
        """Shows the sample `step` further on, or back if negative."""
        if self._playback is not None:
            self._playback.go(self._playback.player.step_by(step))

    def action_jump(self) -> None:
        """Asks for a time and shows the nearest sample."""
        if self._playback is not None:
            self._ask("jump to (12:04:31, +5m from the start, -5m):", self._answer_jump)

    def _answer_jump(self, answer: str | None) -> None:
        from tcptop.errors import TcptopError

        if not answer or self._playback is None:
            return
        try:
            self._playback.jump(answer)
        except (ValueError, TcptopError) as error:
            self.notify(str(error), timeout=5, markup=False)

    def _viewing_failed(self, error: Exception) -> None:
        self.post_message(Stopped(error))

    def _show_recorded(self, shown: Frame) -> None:
        if self._playback is None:
            return
        ledger = account(shown.snapshot._replace(lab_measurement=self._lab_measurement))
        trends = add_sample(self._choices.trends, ledger)
        self.show(ledger, replace(self._choices, player=shown.player, timeline=self._playback.timeline, trends=trends))
        if shown.damaged is not None:
            self.clear_notifications()  # one line, even if many samples follow
            self.notify(shown.damaged, timeout=DAMAGE_SHOWN_S, severity="warning", markup=False)

    def _show_progress(self) -> None:
        """Redraws the player state and the timeline; the sample is unchanged."""
        if self._playback is None:
            return
        self._choices = replace(self._choices, player=self._playback.shown_player, timeline=self._playback.timeline)
        if self._ledger is None:
            return
        # While the app ends there may be no screen, or one without panes.
        for screen in self.screen_stack[:1]:
            for pane in (*screen.query(HeadLine), *screen.query(TimelinePane)):
                pane.show(self._ledger, self._choices)
