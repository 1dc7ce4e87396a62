"""Position and speed of playback in a recording, as a frozen value.

The player changes with the keys t, T, j, <, >, SPACE, + and -.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

SPEEDS = (1, 2, 5, 10, 20, 50, 100)

MAX_WAIT_S = 3.0
"""Longest time in seconds that playback waits for the next sample; playback shortens a longer gap to this time."""
UNKNOWN_STEP_S = 1.0
"""Interval that is assumed between two samples with the same timestamp. A sample has the time of the sample before it
if the clock was set back, or if its own time is unknown."""


@dataclass(frozen=True, slots=True)
class Player:
    """The shown sample of a recording, the speed of playback, and whether playback is running."""

    times_s: Sequence[float]
    """Unix times of the samples; there is at least one time, and times never decrease.

    If a recording has no times, the numbers 0, 1, 2, … are used instead.
    """
    index: int = 0
    speed: int = SPEEDS[0]
    playing: bool = False
    shown_for_s: float = 0.0
    """Time for which the current sample has been shown, in seconds on the recording's clock."""

    @property
    def last_index(self) -> int:
        """The index of the last sample of the recording."""
        return len(self.times_s) - 1

    def seek(self, index: int) -> Player:
        """A copy of the player at the sample `index`.

        An index below 0 means the first sample; an index above the last index means the last sample.
        """
        return replace(self, index=min(max(index, 0), self.last_index), shown_for_s=0.0)

    def step_by(self, step: int) -> Player:
        """A paused copy of the player, `step` samples later, or earlier if `step` is negative."""
        return replace(self.seek(self.index + step), playing=False)

    def toggle_playing(self) -> Player:
        """A copy of the player that is paused if this player plays, and plays if this player is paused.

        At the last sample, playback starts again from the first sample.
        """
        if self.playing:
            return replace(self, playing=False)
        return replace(self.seek(0) if self.index == self.last_index else self, playing=True, shown_for_s=0.0)

    def change_speed(self, step: int) -> Player:
        """A copy of the player with a speed that is `step` places later in `SPEEDS`, or earlier if `step` is negative.

        The new speed is never beyond the first or the last of `SPEEDS`.
        """
        rank = SPEEDS.index(self.speed) + step
        return replace(self, speed=SPEEDS[min(max(rank, 0), len(SPEEDS) - 1)])

    def advance(self, elapsed_s: float) -> Player:
        """A copy of the player, advanced by `elapsed_s` seconds of wall-clock time.

        Playback stops at the last sample.
        """
        if not self.playing:
            return self
        index, shown_for_s = self.index, self.shown_for_s + max(0.0, elapsed_s) * self.speed
        while index < self.last_index and shown_for_s >= (step_s := self._step_s(index)):
            index += 1
            shown_for_s -= step_s
        return replace(self, index=index, shown_for_s=shown_for_s, playing=index < self.last_index)

    def _step_s(self, index: int) -> float:
        """Time for which playback shows a sample, in seconds on the recording's clock."""
        step_s = self.times_s[index + 1] - self.times_s[index]
        return min(step_s, MAX_WAIT_S * self.speed) if step_s > 0 else UNKNOWN_STEP_S
