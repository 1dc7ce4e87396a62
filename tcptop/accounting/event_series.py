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
    another origin, the series begins again with the new sample. Earlier samples may have a later time than the new
    sample if a clock was set back. Earlier samples with a later time are dropped.
    """
    if at_unix_s is None:
        return tuple(samples)
    kept = _samples_since_minute_ago(samples, at_unix_s)
    continued = continue_origin(kept[-1].origin, origin) if kept else origin
    if continued is None:
        return (EventSample(at_unix_s, origin),)
    return (*kept, EventSample(at_unix_s, continued))


def totals_minute_ago(samples: Sequence[EventSample], now_s: float | None, origin: Origin) -> EventCounts | None:
    """The totals at the start of the last SHOWN_S seconds; None if there is no earlier sample.

    `now_s` and `origin` are the time and the origin of a new sample. The growth of events in the new sample is counted
    from the totals at the start of the period. If a total was unknown a minute ago, the last total known before is
    used. If no total was known before, the first total known later is used. If the sample before the new sample has
    another origin, all totals are unknown.
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
    """Index of the last time in `times_s` that is SHOWN_S seconds or more before `now_s`; 0 if there is no such time.

    `times_s` must be in ascending order.
    """
    return max(0, bisect_right(times_s, now_s - SHOWN_S) - 1)
