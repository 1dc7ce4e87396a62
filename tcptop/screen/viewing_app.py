"""What every screen can do that shows samples of a recording: step through them, jump, and draw the time line."""

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
    from tcptop.screen.playback import Frame, OpenRecording, Playback

DAMAGE_SHOWN_S = 5.0


class ViewingApp(TcptopApp):
    """A screen with a viewer, while there is one."""

    _viewer: Playback | None = None

    def view(self, held: OpenRecording, start: int, thread: Worker) -> None:
        """Shows a sample of a recording, from which the keys lead on; in place of another that is shown."""
        from tcptop.screen.playback import Playback

        self.end_viewing()
        self._viewer = Playback(
            held,
            thread,
            start,
            self._show_recorded,
            self._show_progress,
            self._viewing_failed,
        )
        self.set_class(True, REPLAY_CLASS)
        self._viewer.begin()

    def end_viewing(self) -> None:
        """Closes the recording that is looked at."""
        if self._viewer is not None:
            self._viewer.end()
            self._viewer = None

    def on_unmount(self) -> None:
        """Closes the recording."""
        self.end_viewing()

    def action_step(self, step: int) -> None:
        """Shows a sample so many further on, or back."""
        if self._viewer is not None:
            self._viewer.go(self._viewer.player.step_by(step))

    def action_jump(self) -> None:
        """Asks for a moment, and shows the sample nearest to it."""
        if self._viewer is not None:
            self._ask("jump to (12:04:31, +5m from the start, -5m):", self._answer_jump)

    def _answer_jump(self, answer: str | None) -> None:
        from tcptop.errors import TcptopError

        if not answer or self._viewer is None:
            return
        try:
            self._viewer.jump(answer)
        except (ValueError, TcptopError) as error:
            self.notify(str(error), timeout=5, markup=False)

    def _viewing_failed(self, error: Exception) -> None:
        self.post_message(Stopped(error))

    def _show_recorded(self, shown: Frame) -> None:
        if self._viewer is None:
            return
        ledger = account(shown.snapshot._replace(measured=self._measured))
        trends = add_sample(self._choices.trends, ledger)
        self.show(ledger, replace(self._choices, player=shown.player, timeline=self._viewer.timeline, trends=trends))
        if shown.damaged is not None:
            self.clear_notifications()  # one line, however many samples follow one another
            self.notify(shown.damaged, timeout=DAMAGE_SHOWN_S, severity="warning", markup=False)

    def _show_progress(self) -> None:
        """Draws what changed beside the sample: whether it plays, how fast, and more of the time line."""
        if self._viewer is None:
            return
        self._choices = replace(self._choices, player=self._viewer.shown_player, timeline=self._viewer.timeline)
        if self._ledger is None:
            return
        # While the app ends, there is no screen any more, or one without panes.
        for screen in self.screen_stack[:1]:
            for pane in (*screen.query(HeadLine), *screen.query(TimelinePane)):
                pane.show(self._ledger, self._choices)
