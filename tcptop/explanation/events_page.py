"""The events page: the kernel's counters of drops, overflows and resets, and the meaning of each counter above 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tcptop.kernel.events import EVENTS
from tcptop.kernel.limits import limit_label
from tcptop.ledger import Event, Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, Role, paragraph
from tcptop.text.table import Heading, TableRow, make_headings, table_lines

KERNEL_EVENTS = {event.name: event for event in EVENTS}
SINCE = "since the kernel started, or since this network namespace was made"
READ_STATES = ("ok", "late")
"""States of a source that was read completely. If a source was read completely but lacks a counter, the kernel does not
have the counter."""
ALARM_SIGN = "!"
"""The sign before an alarm, so that an alarm can be recognised without colour."""

HEADINGS = make_headings("<EVENT", "TOTAL", "SINCE MARK", "PER SECOND", "<LIMIT", "", least=("LIMIT", "PER SECOND"))
MARK_COLUMN = 2


class EventGroups(NamedTuple):
    """The events in four groups: counter above 0, counter at 0, no such counter, counter not read."""

    moved: list[Event]
    still: list[Event]
    absent: list[Event]
    """Events that this kernel does not count."""
    unread: dict[str, list[Event]]
    """Events whose counters could not be read, grouped by the reason."""

    @property
    def known(self) -> int:
        """The number of counters that were read."""
        return len(self.moved) + len(self.still)


def group_events(ledger: Ledger) -> EventGroups:
    """Groups the events of a ledger; within a group, the events have the order of the ledger."""
    groups = EventGroups([], [], [], {})
    for event in ledger.events:
        source = ledger.sources[KERNEL_EVENTS[event.name].source]
        if event.total is not None:
            (groups.moved if event.total else groups.still).append(event)
        elif source.state in READ_STATES:
            groups.absent.append(event)
        else:
            groups.unread.setdefault(source.reason or source.state, []).append(event)
    return groups


def events_page(ledger: Ledger, columns: int) -> list[Line]:
    """A table of the events whose counters are above 0, the meanings of these events, and all other events."""
    groups = group_events(ledger)
    since = f" {SINCE}" if groups.known else ""
    lines = [*paragraph(f" {moved_sentence(groups)}{since}.", columns - 1, "strong"), EMPTY_LINE]
    if groups.moved:
        lines += [*events_table(groups.moved, columns), EMPTY_LINE]
    lines += _sentences("", groups.moved, columns)
    lines += _sentences("Have not moved:", groups.still, columns)
    lines += _sentences("This kernel has no such counter:", groups.absent, columns)
    for reason, events in groups.unread.items():
        lines += _sentences(f"Not known: {reason}", events, columns)
    return lines


def moved_sentence(groups: EventGroups) -> str:
    """The sentence `2 of 20 counters have moved`, or `none of 20 counters has moved`."""
    if not groups.known:
        return "no counter is known"
    moved = len(groups.moved)
    return f"{moved or 'none'} of {groups.known} counters {'have' if moved > 1 else 'has'} moved"


def events_table(events: Sequence[Event], columns: int) -> list[Line]:
    """The table of events: the total, the growth and the limit of each event.

    The column of growth since the marked sample is left out if no sample is marked.
    """
    has_mark = any(event.since_mark is not None for event in events)
    shown = [index for index in range(len(HEADINGS)) if has_mark or index != MARK_COLUMN]
    headings: list[Heading] = [HEADINGS[index] for index in shown]
    rows = []
    for event in events:
        cells = event_cells(event)
        role: Role = "warning" if event.is_alarm else "text"
        rows.append(TableRow(tuple(cells[index] for index in shown[:-1]), role=role))
    return table_lines(headings, rows, columns)


def event_cells(event: Event) -> list[str]:
    """The cells of an event's row, one for each heading in HEADINGS except the last heading, which is empty."""
    return [
        event.name,
        _with_unit(event, units.count(event.total)),
        units.UNKNOWN if event.since_mark is None else _with_unit(event, units.signed_count(event.since_mark)),
        rate_text(event.per_s),
        limit_label(event.limit) if event.limit else "",
    ]


def rate_text(per_s: float | None) -> str:
    """A growth per second: three significant digits below 1000 (`0.25`), a whole number from 1000 on (`1 200`)."""
    if per_s is None:
        return units.UNKNOWN
    return f"{per_s:.3g}" if per_s < 1000 else units.grouped(round(per_s))


def _sentences(title: str, events: Sequence[Event], columns: int) -> Iterator[Line]:
    """The name, the meaning and the limit of each event, below a common title."""
    if title and events:
        yield from paragraph(f" {title}", columns - 1, "head")
    for event in events:
        limit = f" (limit: {limit_label(event.limit)})" if event.limit else ""
        yield from paragraph(f" {event.name}: {KERNEL_EVENTS[event.name].counts}{limit}.", columns - 1, "text")
    if events:
        yield EMPTY_LINE


def event_variants(events: Sequence[Event]) -> list[Line]:
    """Variants of a line about the events that have grown, from the longest to the shortest.

    After the warning sign, the line is, for example, `ListenOverflows +12, ListenDrops +12`.
    """
    if not events:
        return [EMPTY_LINE]
    texts = [f"{event.name} {_with_unit(event, units.signed_count(event.grown or 0))}" for event in events]
    others = len(events) - 1
    brief = f", +{others} event{'s' if others > 1 else ''}" if others else ""
    more = brief.replace("event", "other event")
    return [
        ((f"{ALARM_SIGN} {text}", "warning"),)
        for text in dict.fromkeys(
            (", ".join(texts), f"{texts[0]}{more}", f"{texts[0]}{brief}", f"{events[0].name}{brief}")
        )
    ]


def _with_unit(event: Event, text: str) -> str:
    return f"{text} ms" if event.unit == "ms" else text
