"""Events that already happened: totals of the kernel's counters, and their growth.

The kernel's counters only grow. If any counter is smaller than before, the counters belong to another network namespace
or to another boot of the kernel. The growth between counters of different boots or namespaces is unknown.
"""

from collections.abc import Mapping
from typing import Any

from tcptop.kernel.events import EVENTS
from tcptop.ledger import Event, Ledger
from tcptop.rates import elapsed_s, increase, per_second
from tcptop.snapshot import Reading, Snapshot

SHOWN_S = 60.0
"""Time in seconds for which the growth of a counter is shown."""

SOURCES = tuple(dict.fromkeys(event.source for event in EVENTS))

EventCounts = Mapping[str, int | None]
"""One number for each event, by the name of the event.

A number is None if it is unknown, or if the kernel does not count the event.
"""

UNKNOWN_COUNTS: EventCounts = {event.name: None for event in EVENTS}


def event_totals(snapshot: Snapshot) -> EventCounts:
    """The totals of the events, as the kernel printed the counters."""
    return _totals({name: getattr(snapshot, name) for name in SOURCES})


def _totals(readings: Mapping[str, Reading[Any] | None]) -> EventCounts:
    values = {name: reading.value for name, reading in readings.items() if reading is not None}
    return {
        event.name: value.counters.get(event.counter) if (value := values.get(event.source)) is not None else None
        for event in EVENTS
    }


def event_growth(before: EventCounts, after: EventCounts) -> EventCounts:
    """Growth of each counter; if any counter became smaller, the growth of every counter is None."""
    growth = {name: increase(before[name], total) for name, total in after.items()}
    if any(step is not None and step < 0 for step in growth.values()):
        return UNKNOWN_COUNTS
    return {name: None if step is None else int(step) for name, step in growth.items()}


def find_events(snapshot: Snapshot, minute_ago: EventCounts | None = None) -> tuple[Event, ...]:
    """Every event in `EVENTS`, with its total and its growth.

    `grown` of an event is its growth since the totals in `minute_ago`. Without `minute_ago`, `grown` is the growth
    since the previous read of the counters.
    """
    readings: dict[str, Reading[Any]] = {name: getattr(snapshot, name) for name in SOURCES}
    totals = _totals(readings)
    steps = event_growth(_totals({name: reading.before for name, reading in readings.items()}), totals)
    grown = steps if minute_ago is None else event_growth(minute_ago, totals)
    return tuple(
        Event(
            name=event.name,
            unit=event.unit,
            limit=event.limit,
            is_routine=event.is_routine,
            total=totals[event.name],
            per_s=_per_second(readings[event.source], steps[event.name]),
            grown=grown[event.name],
            since_mark=None,
        )
        for event in EVENTS
    )


def _per_second(reading: Reading[Any], step: int | None) -> float | None:
    return None if step is None else per_second(0, elapsed_s(reading), step)


def events_since_mark(mark: Ledger | None, now: Ledger) -> tuple[Event, ...]:
    """The events of the ledger `now`, with the growth of each event since the mark.

    Without a mark, the growth is unknown.
    """
    growth = UNKNOWN_COUNTS if mark is None else event_growth_between(mark, now)
    return tuple(event._replace(since_mark=growth[event.name]) for event in now.events)


def event_growth_between(before: Ledger, after: Ledger) -> EventCounts:
    """The growth of each event between two ledgers.

    The growth is unknown if the ledgers come from different network namespaces, boots or machines.
    """
    if before.host.is_other_boot(after.host) or before.host.is_other_net_namespace(after.host):
        return UNKNOWN_COUNTS
    places = [(each.host.net_namespace, each.host.name, each.host.kernel) for each in (before, after)]
    return event_growth(totals_of(before), totals_of(after)) if places[0] == places[1] else UNKNOWN_COUNTS


def totals_of(ledger: Ledger) -> EventCounts:
    """The totals of a ledger's events."""
    return {event.name: event.total for event in ledger.events}
