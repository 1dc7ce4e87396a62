"""Where a recording is looked at, and how it goes on: pure, so that it can be told without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

SPEEDS = (1, 2, 5, 10, 20, 50, 100)

MAX_WAIT_S = 3.0
"""So long the player waits at most for the next sample: nobody wants to watch a gap."""
UNKNOWN_STEP_S = 1.0
"""What stands for the time between two samples that their times do not tell: a clock was set back."""


@dataclass(frozen=True, slots=True)
class Player:
    """The sample that is shown, of those that are held, and whether and how fast others follow it."""

    times_s: Sequence[float]
    """When each sample was taken, in Unix time, never before the one before it; at least one."""
    index: int = 0
    speed: int = SPEEDS[0]
    playing: bool = False
    shown_for_s: float = 0.0
    """How long the sample has been shown, in the recording's own time."""

    @property
    def last_index(self) -> int:
        """The number of the last sample."""
        return len(self.times_s) - 1

    def seek(self, index: int) -> Player:
        """At a sample; at the first or the last where the number lies outside."""
        return replace(self, index=min(max(index, 0), self.last_index), shown_for_s=0.0)

    def step_by(self, step: int) -> Player:
        """So many samples on, or back; whoever steps wants to look, so it stands still."""
        return replace(self.seek(self.index + step), playing=False)

    def toggle_playing(self) -> Player:
        """Plays, or stands still; at the end it begins anew."""
        if self.playing:
            return replace(self, playing=False)
        return replace(self.seek(0) if self.index == self.last_index else self, playing=True, shown_for_s=0.0)

    def change_speed(self, step: int) -> Player:
        """The next higher or lower speed, as far as there is one."""
        at = SPEEDS.index(self.speed) + step
        return replace(self, speed=SPEEDS[min(max(at, 0), len(SPEEDS) - 1)])

    def advance(self, elapsed_s: float) -> Player:
        """What is shown after so many seconds of whoever looks; it ends with the last sample."""
        if not self.playing:
            return self
        index, shown_for_s = self.index, self.shown_for_s + max(0.0, elapsed_s) * self.speed
        while index < self.last_index and shown_for_s >= (step_s := self._step_s(index)):
            index += 1
            shown_for_s -= step_s
        return replace(self, index=index, shown_for_s=shown_for_s, playing=index < self.last_index)

    def _step_s(self, index: int) -> float:
        """How long the sample of a number is shown, in the recording's time."""
        step_s = self.times_s[index + 1] - self.times_s[index]
        return min(step_s, MAX_WAIT_S * self.speed) if step_s > 0 else UNKNOWN_STEP_S
