"""Series of the events' totals over the last minute, from which the growth within the minute is counted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from tcptop.accounting.events import SHOWN_S, UNKNOWN_COUNTS, EventCounts
from tcptop.accounting.origin import Origin, continue_origin


class EventSample(NamedTuple):
    """One sample of the series."""

    at_unix_s: float
    origin: Origin
    """The machine, boot and network namespace of the counters, and the last known total of each event counter."""


def add_event_sample(
    samples: Sequence[EventSample], at_unix_s: float | None, origin: Origin
) -> tuple[EventSample, ...]:
    """The series with a new sample at its end.

    The series keeps the samples of the last SHOWN_S seconds, and the newest of the older samples. If the new sample has
    another origin, the series begins again with the new sample. If a clock was set back, some times in `samples` may be
    later than the time of the new sample; such samples are dropped.
    """
    if at_unix_s is None:
        return tuple(samples)
    kept = _samples_since_minute_ago(samples, at_unix_s)
    continued = continue_origin(kept[-1].origin, origin) if kept else origin
    if continued is None:
        return (EventSample(at_unix_s, origin),)
    return (*kept, EventSample(at_unix_s, continued))


def totals_minute_ago(samples: Sequence[EventSample], now_s: float | None, origin: Origin) -> EventCounts | None:
    """The totals SHOWN_S seconds ago; None if there is no earlier sample.

    `now_s` and `origin` are the time and the origin of a new sample. The growth of events in the new sample is counted
    from the totals in the result. If the total of an event was unknown SHOWN_S seconds ago, the last total known before
    that time is used, or else the first total known afterwards. If the sample before the new sample has another origin,
    all totals are unknown.
    """
    kept = _samples_since_minute_ago(samples, now_s) if now_s is not None else []
    if not kept:
        return None
    if continue_origin(kept[-1].origin, origin) is None:
        return UNKNOWN_COUNTS
    totals = [sample.origin.totals for sample in kept]
    return {name: next((each[name] for each in totals if each[name] is not None), None) for name in UNKNOWN_COUNTS}


def _samples_since_minute_ago(samples: Sequence[EventSample], now_s: float) -> list[EventSample]:
    earlier = [sample for sample in samples if sample.at_unix_s < now_s]
    return earlier[minute_ago_index([sample.at_unix_s for sample in earlier], now_s) :]


def minute_ago_index(times_s: Sequence[float], now_s: float) -> int:
    """Index of the latest time in `times_s` that is at least SHOWN_S seconds before `now_s`; 0 if all times are later.

    `times_s` must be in ascending order.
    """
    return max(0, bisect_right(times_s, now_s - SHOWN_S) - 1)
