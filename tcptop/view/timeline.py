"""What sockets, TIME_WAIT and the figure were over a whole recording: a value for each stretch of its time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tcptop.view.trends import Values

STRETCHES = 240
"""As many as the widest terminal has columns; a narrower graph takes the largest of several."""
MOST_STEPS_LOOKED_AT = 1000
HELD_STEPS = 3
"""A sample stands for the time until the next, but for no longer than so many of the usual steps: then it is a gap."""


@dataclass(frozen=True, slots=True)
class TimeLine:
    """A value for each stretch of a recording's time; None where there is no sample, or it is not known yet."""

    sockets: Values = ()
    time_wait: Values = ()
    bytes_per_connection: Values = ()


NO_TIME_LINE = TimeLine()


def stretches(times_s: Sequence[float]) -> list[range]:
    """The samples of each stretch, by their numbers; none where there is a gap."""
    step_s = usual_step_s(times_s)
    start_s, length_s = times_s[0], times_s[-1] + step_s - times_s[0]
    found: list[range] = []
    for number in range(STRETCHES):
        begins_s = start_s + length_s * number / STRETCHES
        ends_s = start_s + length_s * (number + 1) / STRETCHES
        first, end = bisect_left(times_s, begins_s), bisect_left(times_s, ends_s)
        is_new = first < len(times_s) and times_s[first] == begins_s
        if first and not is_new and times_s[first - 1] + HELD_STEPS * step_s > begins_s:
            first -= 1  # the sample before still stands
        found.append(range(first, end))
    return found


def stretch_of(times_s: Sequence[float], index: int) -> int:
    """The number of the stretch in which a sample was taken."""
    length_s = times_s[-1] + usual_step_s(times_s) - times_s[0]
    return min(STRETCHES - 1, int((times_s[index] - times_s[0]) / length_s * STRETCHES))


def usual_step_s(times_s: Sequence[float]) -> float:
    """The time from one sample to the next, as it mostly is."""
    every = max(1, len(times_s) // MOST_STEPS_LOOKED_AT)
    steps_s = [times_s[at + 1] - times_s[at] for at in range(0, len(times_s) - 1, every)]
    known_s = sorted(step_s for step_s in steps_s if step_s > 0)
    return known_s[len(known_s) // 2] if known_s else 1.0


def in_columns(values: Values, columns: int) -> Values:
    """The largest value of each column."""
    if not values:
        return (None,) * columns
    found: list[float | None] = []
    for column in range(columns):
        start = column * len(values) // columns
        end = max(start + 1, (column + 1) * len(values) // columns)
        found.append(max((value for value in values[start:end] if value is not None), default=None))
    return tuple(found)


def column_of(stretch: int, columns: int) -> int:
    """The column that a stretch lies in."""
    return ((stretch + 1) * columns - 1) // STRETCHES


def coarse_first() -> list[int]:
    """The stretches in an order in which a graph is soon there roughly, and then finer and finer."""
    return sorted(range(STRETCHES), key=lambda number: (-_divisor(number), number))


def _divisor(number: int) -> int:
    """The largest power of two that divides a number; 0 comes first."""
    return number & -number if number else STRETCHES
