"""Accounting: `account()` computes a Ledger from a Snapshot with pure functions, a module for each kind of figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tcptop.accounting.attached_objects import attached_objects
from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.chosen_cache import sound_attributes
from tcptop.accounting.connection_cost import connection_costs, family_mixes
from tcptop.accounting.contradictions import without_contradictions
from tcptop.accounting.events import EventCounts, find_events
from tcptop.accounting.free_memory import NodeTable, sum_zones
from tcptop.accounting.growth_since_mark import live_objects
from tcptop.accounting.hardware import find_hardware
from tcptop.accounting.headroom import machine_headroom
from tcptop.accounting.held_objects import held_objects
from tcptop.accounting.lab_result import lab_result_use
from tcptop.accounting.later_sockets import held_with_later_sockets, later_sockets, memory_with_later_sockets
from tcptop.accounting.limits import find_limits
from tcptop.accounting.machine import machine_facts
from tcptop.accounting.page_size import page_size_bytes
from tcptop.accounting.slab_memory import slab_memory
from tcptop.accounting.socket_buffers import buffer_memory
from tcptop.accounting.socket_counts import socket_counts
from tcptop.accounting.state_costs import state_costs
from tcptop.accounting.tcp_memory import tcp_memory, with_tcp_bytes
from tcptop.kernel.limits import THRESHOLDS
from tcptop.kernel.objects import KERNEL_OBJECTS, TCP6_SOCK, TCP_SOCK, TW6_SOCK, TW_SOCK
from tcptop.ledger import (
    AccountingMode,
    Attached,
    ConnectionCost,
    Ledger,
    LimitState,
    SocketCounts,
    SourceHealth,
    StateCost,
    Threshold,
    UnseenObject,
)
from tcptop.ledger.limits import MAX_LOOK_AGE_S
from tcptop.snapshot import READING_NAMES, SOCKET_TABLE, Reading, Snapshot

if TYPE_CHECKING:
    from tcptop.ledger.holders import Holders

MODES: tuple[AccountingMode, ...] = ("full", "time_wait")
MAX_COUNTS_AGE_S = 60.0
"""Maximum age in seconds of a look from which counts by state are computed.

A look is one reading of all sockets over netlink.
"""


def account(
    snapshot: Snapshot,
    thresholds: Mapping[str, Threshold] = THRESHOLDS,
    previous: Mapping[str, LimitState] | None = None,
    minute_ago: EventCounts | None = None,
    before: Ledger | None = None,
) -> Ledger:
    """Compute every figure of a Ledger from a Snapshot.

    `thresholds` has the user's thresholds, by the name of the limit. `previous` are the states of the limits in the
    previous sample. `minute_ago` has the totals of events a minute ago. The growth of an event is the difference
    between its present total and its total a minute ago. `before` is the ledger of the previous sample. If the number
    of sockets changes too fast for new averages per socket, the averages in `before` are used.
    """
    page_bytes = page_size_bytes(snapshot)
    snapshot = without_contradictions(snapshot, page_bytes)
    host = machine_facts(snapshot, page_bytes)
    table = CacheTable(snapshot, page_bytes)
    sockets = socket_counts(snapshot, table, page_bytes)
    mixes = family_mixes(table, sockets, host.cpus)
    if before is not None and (
        (before.host.name, before.host.kernel) != (host.name, host.kernel) or host.is_other_boot(before.host)
    ):
        before = None
    costs = connection_costs(snapshot, table, sockets, host.cpus, mixes, before.costs if before else None)
    is_ipv6 = _mostly_ipv6(costs["full"])
    sock = table.find(TCP6_SOCK if is_ipv6 else TCP_SOCK).line
    mini_socket = table.find(TW6_SOCK if is_ipv6 else TW_SOCK).line
    buffers = buffer_memory(snapshot, table, sockets, page_bytes)
    counted = tcp_memory(snapshot, table, sockets, buffers)
    later = later_sockets(snapshot, table)
    memory = memory_with_later_sockets(counted, later, table, costs, sockets, host)
    headroom = machine_headroom(snapshot, table, page_bytes, costs, sockets, buffers, counted)
    events = find_events(snapshot, minute_ago)
    nodes = NodeTable(snapshot, page_bytes, sock, mini_socket).nodes()
    states = state_costs(snapshot, table, sockets, mixes)
    attached = attached_objects(snapshot, table, host.cpus, costs["full"], buffers, _held(before, costs["full"]))
    holders = _holders(snapshot, states, sockets, page_bytes, attached.mptcp_socks)
    age_s = 0.0 if holders is None else holders.age_s or 0.0
    is_usable = age_s <= MAX_LOOK_AGE_S and SOCKET_TABLE not in snapshot.contradictions.sources
    seen = holders if is_usable else None
    return Ledger(
        taken_at_unix_s=snapshot.taken_at_unix_s,
        boot_clock_s=snapshot.boot_clock_s,
        live=snapshot.live,
        recorded=snapshot.recorded,
        host=host,
        sockets=sockets,
        caches=with_tcp_bytes(table.lines, counted),
        costs=costs,
        attached=attached,
        tcp_memory=memory,
        nodes=nodes,
        zones=sum_zones(nodes),
        tcp_slab_order=sock.order if sock else None,
        mini_socket_slab_order=mini_socket.order if mini_socket else None,
        sources=_source_health(snapshot),
        states=states if seen is None or age_s > MAX_COUNTS_AGE_S else _counted(states, seen),
        headroom=headroom,
        limits={
            mode: find_limits(
                snapshot,
                table,
                sockets,
                mode,
                costs[mode],
                headroom[mode],
                events,
                thresholds,
                previous,
                seen,
                host.cpus,
                page_bytes,
            )
            for mode in MODES
        },
        events=events,
        slab_memory=slab_memory(snapshot, table, counted, page_bytes, later, host.cpus),
        structs=snapshot.btf.value.structs if snapshot.btf.value else {},
        member_offsets=snapshot.btf.value.offsets if snapshot.btf.value else {},
        unseen_objects=_unseen_objects(table),
        live_objects=live_objects(snapshot, table),
        held=held_with_later_sockets(held_objects(snapshot, table, sockets), later, sockets),
        lab=lab_result_use(snapshot, table),
        cgroup=snapshot.cgroup,
        chosen_cache=sound_attributes(snapshot.chosen_cache, table.lines, page_bytes),
        holders=holders,
        hardware=find_hardware(snapshot),
        doubted=snapshot.contradictions.sources | _cut_sources(snapshot),
    )


def _holders(
    snapshot: Snapshot,
    states: Sequence[StateCost],
    sockets: SocketCounts,
    page_bytes: int | None,
    mptcp_socks: int,
) -> Holders | None:
    if snapshot.socket_table.value is None:
        return None
    # The module is imported only if a sample contains a reading of all sockets, because most samples contain none.
    from tcptop.accounting.holders import find_holders

    return find_holders(snapshot, states, sockets, page_bytes, mptcp_socks)


def _counted(states: tuple[StateCost, ...], holders: Holders) -> tuple[StateCost, ...]:
    # The module is imported only if a sample contains a reading of all sockets, because most samples contain none.
    from tcptop.accounting.holders import counted_states

    return counted_states(states, holders)


def _held(before: Ledger | None, cost: ConnectionCost) -> Attached | None:
    """The attached objects of the previous sample.

    The result is None if the average in `cost` does not come from the previous sample.
    """
    if before is None or cost.now_held_because is None:
        return None
    return before.attached if before.costs["full"].now_read_at_unix_s == cost.now_read_at_unix_s else None


def _unseen_objects(table: CacheTable) -> dict[str, UnseenObject]:
    lookups = {item: table.find(item) for item in KERNEL_OBJECTS}
    return {
        item.struct: UnseenObject(lookup.status, lookup.reason)
        for item, lookup in lookups.items()
        if lookup.reason is not None and (item.caches or lookup.status == "absent")
    }


def _mostly_ipv6(cost: ConnectionCost) -> bool:
    parts = cost.by_family["mix"].accepted.parts
    return any(part.object == TCP6_SOCK.struct and part.count > 0.5 for part in parts)


def _source_health(snapshot: Snapshot) -> dict[str, SourceHealth]:
    sources: dict[str, SourceHealth] = {}
    for name in type(snapshot)._fields:
        reading = getattr(snapshot, name)
        if isinstance(reading, Reading):
            age_s = None
            if snapshot.live and reading.taken_at_s is not None:
                age_s = round(max(0.0, snapshot.monotonic_s - reading.taken_at_s), 3)
            sources[name] = SourceHealth(name, reading.state, reading.reason, age_s, reading.read_us, reading.every_s)
    return sources


def _cut_sources(snapshot: Snapshot) -> frozenset[str]:
    """The names of the sources whose file ends too early."""
    return frozenset(name for name in READING_NAMES if getattr(snapshot, name).state == "cut")
