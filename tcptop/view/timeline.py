"""Timeline of a recording: sockets, TCP memory, TIME_WAIT and bytes per connection in 240 buckets of equal duration."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from tcptop.view.trends import Series

BUCKETS = 240
"""Number of buckets, as many as the widest terminal has columns. If a graph has fewer columns than there are buckets,
each column shows the largest value of several buckets.
"""
MAX_STEPS_COMPARED = 1000
"""The median step of a long recording is computed from a selection of evenly spaced steps, to limit the work. The
selection contains fewer than 2 × MAX_STEPS_COMPARED steps."""
MAX_GAP_STEPS = 3
"""A sample counts for at most this number of median steps; the remaining time until the next sample is a gap."""

SPARSE_SERIES = ("tcp_bytes", "bytes_per_connection")
"""The series that are read last, a few distant buckets first."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Four series of figures, each with one value for every bucket.

    A value is None until its bucket is filled, and remains None if the bucket has no sample.
    """

    sockets: Series = ()
    time_wait: Series = ()
    bytes_per_connection: Series = ()
    tcp_bytes: Series = ()
    read_share: float = 0.0
    """Share of the recording that has been read, from 0 to 1."""
    unread: frozenset[int] = frozenset()
    """The buckets with samples whose memory and bytes per connection have not been read yet."""

    def drawn(self, series: str) -> Series:
        """The values of a series for a graph.

        Memory and bytes per connection of a bucket that is not read yet are those of the last bucket that is: blanks
        among bars would look as if the figure had been 0.
        """
        values: Series = getattr(self, series, ())
        if series not in SPARSE_SERIES or not self.unread:
            return values
        held: list[float | None] = []
        last: float | None = None
        for bucket, value in enumerate(values):
            if bucket not in self.unread:
                last = value
            held.append(last if bucket in self.unread else value)
        return tuple(held)


NO_TIMELINE = Timeline()


def bucket_samples(times_s: Sequence[float]) -> list[range]:
    """For each bucket, the indices of the samples that count in that bucket.

    A bucket in a gap has an empty range of indices.
    """
    step_s = median_step_s(times_s)
    start_s, length_s = times_s[0], times_s[-1] + step_s - times_s[0]
    buckets: list[range] = []
    for bucket in range(BUCKETS):
        begin_s = start_s + length_s * bucket / BUCKETS
        end_s = start_s + length_s * (bucket + 1) / BUCKETS
        first, end = bisect_left(times_s, begin_s), bisect_left(times_s, end_s)
        starts_with_sample = first < len(times_s) and times_s[first] == begin_s
        if first and not starts_with_sample and times_s[first - 1] + MAX_GAP_STEPS * step_s > begin_s:
            first -= 1  # the last sample before the bucket is still recent enough to count
        buckets.append(range(first, end))
    return buckets


def bucket_of(times_s: Sequence[float], index: int) -> int:
    """The bucket in which a sample was taken."""
    length_s = times_s[-1] + median_step_s(times_s) - times_s[0]
    return min(BUCKETS - 1, int((times_s[index] - times_s[0]) / length_s * BUCKETS))


def median_step_s(times_s: Sequence[float]) -> float:
    """The median time between two consecutive samples; 1.0 if all samples have the same time."""
    stride = max(1, len(times_s) // MAX_STEPS_COMPARED)
    steps_s = [times_s[index + 1] - times_s[index] for index in range(0, len(times_s) - 1, stride)]
    positive_s = sorted(step_s for step_s in steps_s if step_s > 0)
    return positive_s[len(positive_s) // 2] if positive_s else 1.0


def column_maxima(values: Series, columns: int) -> Series:
    """The largest value in each column of a graph; None in a column without values."""
    if not values:
        return (None,) * columns
    maxima: list[float | None] = []
    for column in range(columns):
        start = column * len(values) // columns
        end = max(start + 1, (column + 1) * len(values) // columns)
        maxima.append(max((value for value in values[start:end] if value is not None), default=None))
    return tuple(maxima)


def bucket_column(bucket: int, columns: int) -> int:
    """The column of a graph that shows a bucket."""
    return ((bucket + 1) * columns - 1) // BUCKETS


def coarse_to_fine() -> list[int]:
    """The numbers of all buckets, in an order that fills a graph evenly.

    A few buckets that are far apart come first, then the buckets between them.
    """
    # `bucket & -bucket` is the largest power of two that divides the bucket's number; the bucket 0 comes first.
    return sorted(range(BUCKETS), key=lambda bucket: (-(bucket & -bucket or BUCKETS), bucket))
