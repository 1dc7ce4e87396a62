"""The row of one machine in the table of hosts: only those figures of a Ledger that the table shows.

The table reads each machine again and again. One reading of a machine is called a look. Most looks read only the
counters that change all the time. Figures of slab caches and of memory come from the last look in which the files of
these figures were read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.connection_cost import connection_costs, family_mixes
from tcptop.accounting.contradictions import without_contradictions
from tcptop.accounting.event_series import EventSample, add_event_sample, totals_minute_ago
from tcptop.accounting.events import find_events
from tcptop.accounting.headroom import machine_headroom
from tcptop.accounting.later_sockets import later_sockets, memory_with_later_sockets
from tcptop.accounting.limits import find_limits, states_by_use
from tcptop.accounting.machine import machine_facts
from tcptop.accounting.origin import UNKNOWN_ORIGIN, Origin, continue_origin, origin_of
from tcptop.accounting.page_size import page_size_bytes
from tcptop.accounting.socket_average import buffers_per_socket
from tcptop.accounting.socket_buffers import buffer_memory
from tcptop.accounting.socket_counts import socket_counts
from tcptop.accounting.tcp_memory import tcp_memory
from tcptop.kernel.limits import THRESHOLDS
from tcptop.kernel.objects import SLAB_CACHES
from tcptop.ledger import AccountingMode, ConnectionCost, Event, Headroom, HostFacts, LimitState, TcpMemory, Threshold
from tcptop.ledger.host_row import HostRow
from tcptop.rates import per_second
from tcptop.snapshot import READING_NAMES, Reading, Slabinfo, SlabLinks, Snapshot

EACH_LOOK = ("sockstat", "socket_limits")
"""The sources that are read in every round of reads for the table. Sources that are not in the set are read every few
seconds.
"""
EVENT_SOURCES = ("netstat", "conntrack_stats")
SELDOM_READ = tuple(name for name in READING_NAMES if name not in (*EACH_LOOK, *EVENT_SOURCES))
RATE_S = 6.0
"""Period in seconds over which the changes of sockets per second are computed."""
KMALLOC = ("kmalloc-", "size-")
"""Beginnings of the names of the caches that serve kmalloc()."""
REASONS = ("sockstat", "slabinfo", "sysctls", "meminfo", "zoneinfo")
"""Sources, the most important first: if a source cannot be read, the row of the machine shows the reason."""
Read = tuple[float | None, str]
"""The time and the state of a reading. If the time or the state has changed, the source was read again."""


class _Seldom(NamedTuple):
    """The figures that are computed again only when a source in SELDOM_READ was read again."""

    reads: tuple[Read, ...]
    is_sound: bool
    """True if no file contradicts another file."""
    page_bytes: int | None
    facts: HostFacts
    table: CacheTable
    costs: Mapping[AccountingMode, ConnectionCost]
    memory: TcpMemory
    headroom: Headroom


class RowAccount:
    """Computes the table row of one machine from each of its samples; the samples must come in order of time."""

    def __init__(self, thresholds: Mapping[str, Threshold] = THRESHOLDS) -> None:
        self._thresholds = thresholds
        self._seldom: _Seldom | None = None
        self._states: Mapping[str, LimitState] = {}
        self._event_samples: tuple[EventSample, ...] = ()
        self._events: tuple[tuple[Read, ...], tuple[Event, ...]] = ((), ())
        """The last reads of EVENT_SOURCES, and the events computed from these reads."""
        self._counts: deque[tuple[float, int | None, int | None]] = deque()
        """Time, number of sockets and number of mini-sockets in each round of reads of the last RATE_S seconds."""
        self._origin = UNKNOWN_ORIGIN

    def row(self, snapshot: Snapshot) -> HostRow:
        """Computes the table row from the machine's newest sample."""
        origin = origin_of(snapshot)
        continued = continue_origin(self._origin, origin)
        if continued is None:
            self._seldom, self._states = None, {}
            self._counts.clear()
        self._origin = continued or origin
        reads = tuple(_read_of(getattr(snapshot, name)) for name in SELDOM_READ)
        seldom = self._seldom
        if seldom is None or not seldom.is_sound or reads != seldom.reads:
            snapshot = without_contradictions(only_tcp_caches(snapshot), page_size_bytes(snapshot))
            seldom = self._seldom = _find_seldom(snapshot, reads, seldom)
        facts, table, cost = seldom.facts, seldom.table, seldom.costs["full"]
        sockets = socket_counts(snapshot, table, seldom.page_bytes)
        # The average and the counter that tcp_mem limits must be of one look.
        cost = cost._replace(buffer_bytes_per_socket=buffers_per_socket(sockets, facts.cpus))
        events = self._find_events(snapshot, origin)
        limits = find_limits(
            snapshot,
            table,
            sockets,
            "full",
            cost,
            seldom.headroom,
            events,
            self._thresholds,
            self._states,
            None,
            facts.cpus,
            seldom.page_bytes,
        )
        self._states = states_by_use(limits, events, self._states)
        per_s, time_wait_per_s = self._rates(snapshot.monotonic_s, sockets.allocated, sockets.time_wait)
        return HostRow(
            taken_at_unix_s=snapshot.taken_at_unix_s,
            host=facts,
            one_more=cost.by_family["mix"].accepted,
            average=cost.now_bounds,
            sockets=sockets._replace(allocated_per_s=per_s, time_wait_per_s=time_wait_per_s),
            tcp_memory=memory_with_later_sockets(
                seldom.memory, later_sockets(snapshot, table), table, seldom.costs, sockets, facts
            ),
            headroom=seldom.headroom,
            limits=limits,
            events=events,
            reason=next((reason for name in REASONS if (reason := getattr(snapshot, name).reason)), None),
        )

    def _find_events(self, snapshot: Snapshot, origin: Origin) -> tuple[Event, ...]:
        """The events, with their growth within the last minute.

        If no source of events was read again, the previous events are returned.
        """
        reads = tuple(_read_of(getattr(snapshot, name)) for name in EVENT_SOURCES)
        if reads != self._events[0]:
            minute_ago = totals_minute_ago(self._event_samples, snapshot.taken_at_unix_s, origin)
            self._events = reads, find_events(snapshot, minute_ago)
            self._event_samples = add_event_sample(self._event_samples, snapshot.taken_at_unix_s, origin)
        return self._events[1]

    def _rates(self, at_s: float, sockets: int | None, time_wait: int | None) -> tuple[float | None, float | None]:
        """The changes per second of sockets and mini-sockets since the oldest entry of `_counts`."""
        while self._counts and at_s - self._counts[0][0] > RATE_S:
            self._counts.popleft()
        self._counts.append((at_s, sockets, time_wait))
        then_s, *then = self._counts[0]
        return per_second(then[0], at_s - then_s, sockets), per_second(then[1], at_s - then_s, time_wait)


def _read_of(reading: Reading[object]) -> Read:
    return reading.taken_at_s, reading.state


def _find_seldom(snapshot: Snapshot, reads: tuple[Read, ...], before: _Seldom | None) -> _Seldom:
    page_bytes = page_size_bytes(snapshot)
    facts = machine_facts(snapshot, page_bytes)
    table = CacheTable(snapshot, page_bytes)
    sockets = socket_counts(snapshot, table, page_bytes)
    mixes = family_mixes(table, sockets, facts.cpus)
    costs = connection_costs(snapshot, table, sockets, facts.cpus, mixes, before.costs if before else None)
    buffers = buffer_memory(snapshot, table, sockets, page_bytes)
    memory = tcp_memory(snapshot, table, sockets, buffers)
    headroom = machine_headroom(snapshot, table, page_bytes, costs, sockets, buffers, memory)["full"]
    is_sound = not snapshot.contradictions.sources
    return _Seldom(reads, is_sound, page_bytes, facts, table, costs, memory, headroom)


def only_tcp_caches(snapshot: Snapshot) -> Snapshot:
    """The sample with only those rows of slabinfo that may count an object of a socket.

    The kept rows are those of the catalogue's caches, of caches merged with them, and of the kmalloc caches. The merged
    caches are known from /sys/kernel/slab. If /sys/kernel/slab was not read, all rows are kept.
    """
    slabinfo, links = snapshot.slabinfo, snapshot.slab_links.value
    if slabinfo.value is None or links is None:
        return snapshot
    before = None if slabinfo.before is None else _with_rows_of(slabinfo.before, links)
    return snapshot._replace(slabinfo=_with_rows_of(slabinfo, links)._replace(before=before))


def _with_rows_of(reading: Reading[Slabinfo], links: SlabLinks) -> Reading[Slabinfo]:
    if reading.value is None:
        return reading
    groups = {links.group_of.get(name, name) for name in SLAB_CACHES}
    rows = tuple(
        row
        for row in reading.value.rows
        if row.name in SLAB_CACHES or links.group_of.get(row.name, row.name) in groups or row.name.startswith(KMALLOC)
    )
    return reading._replace(value=reading.value._replace(rows=rows))
