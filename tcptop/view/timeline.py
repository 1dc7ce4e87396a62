"""What sockets, TIME_WAIT and the figure were over a whole recording: a value for each stretch of its time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tcptop.view.trends import Series

BUCKETS = 240
"""As many as the widest terminal has columns; a narrower graph takes the largest of several."""
MAX_STEPS_COMPARED = 1000
MAX_GAP_STEPS = 3
"""A sample stands for the time until the next, but for no longer than so many of the usual steps: then it is a gap."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A value for each stretch of a recording's time; None where there is no sample, or it is not known yet."""

    sockets: Series = ()
    time_wait: Series = ()
    bytes_per_connection: Series = ()


NO_TIMELINE = Timeline()


def bucket_samples(times_s: Sequence[float]) -> list[range]:
    """The samples of each stretch, by their numbers; none where there is a gap."""
    step_s = median_step_s(times_s)
    start_s, length_s = times_s[0], times_s[-1] + step_s - times_s[0]
    found: list[range] = []
    for number in range(BUCKETS):
        begins_s = start_s + length_s * number / BUCKETS
        ends_s = start_s + length_s * (number + 1) / BUCKETS
        first, end = bisect_left(times_s, begins_s), bisect_left(times_s, ends_s)
        is_new = first < len(times_s) and times_s[first] == begins_s
        if first and not is_new and times_s[first - 1] + MAX_GAP_STEPS * step_s > begins_s:
            first -= 1  # the sample before still stands
        found.append(range(first, end))
    return found


def bucket_of(times_s: Sequence[float], index: int) -> int:
    """The number of the stretch in which a sample was taken."""
    length_s = times_s[-1] + median_step_s(times_s) - times_s[0]
    return min(BUCKETS - 1, int((times_s[index] - times_s[0]) / length_s * BUCKETS))


def median_step_s(times_s: Sequence[float]) -> float:
    """The time from one sample to the next, as it mostly is."""
    every = max(1, len(times_s) // MAX_STEPS_COMPARED)
    steps_s = [times_s[at + 1] - times_s[at] for at in range(0, len(times_s) - 1, every)]
    known_s = sorted(step_s for step_s in steps_s if step_s > 0)
    return known_s[len(known_s) // 2] if known_s else 1.0


def column_maxima(values: Series, columns: int) -> Series:
    """The largest value of each column."""
    if not values:
        return (None,) * columns
    found: list[float | None] = []
    for column in range(columns):
        start = column * len(values) // columns
        end = max(start + 1, (column + 1) * len(values) // columns)
        found.append(max((value for value in values[start:end] if value is not None), default=None))
    return tuple(found)


def bucket_column(bucket: int, columns: int) -> int:
    """The column that a stretch lies in."""
    return ((bucket + 1) * columns - 1) // BUCKETS


def coarse_to_fine() -> list[int]:
    """The stretches in an order in which a graph is soon there roughly, and then finer and finer."""
    return sorted(range(BUCKETS), key=lambda number: (-_power_of_two_divisor(number), number))


def _power_of_two_divisor(number: int) -> int:
    """The largest power of two that divides a number; 0 comes first."""
    return number & -number if number else BUCKETS
