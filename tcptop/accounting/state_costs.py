"""Bytes of a socket in each TCP state, and the number of sockets in each TCP state.

All figures are computed from counters that are cheap to read.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.later_sockets import later_sockets
from tcptop.accounting.object_cost import object_costs
from tcptop.accounting.socket_cost import FamilyMix, socket_cost
from tcptop.kernel.limits import look_needed_text
from tcptop.kernel.objects import (
    AS_MINI_SOCKET,
    REQUEST_SOCKS,
    SKB_HEAD,
    UNREAD_FIN,
    UNREAD_FIN_HEAD_BYTES,
    State,
)
from tcptop.ledger import AccountingMode, CountScope, ObjectCost, SocketCounts, StateCost
from tcptop.snapshot import Snapshot
from tcptop.text.units import grouped

NOT_COUNTED = "not known from sockstat"
CURR_ESTAB = "CurrEstab: with accept queues; on most kernels with CLOSE_WAIT"
SAME_REQUESTS = "the same request socks as in row SYN_RECV: never add both"

StateSides = Literal["both", "accepted", "outgoing"]


class StateRow(NamedTuple):
    """A TCP state in words: what a socket in the state holds, and on which sides of a connection the state occurs."""

    holds: str
    sides: StateSides = "both"


ROWS: Mapping[State, StateRow] = {
    State.LISTEN: StateRow("a whole socket, and its port", "outgoing"),
    State.SYN_RECV: StateRow("a request sock; none with SYN cookies", "accepted"),
    State.ACCEPT_QUEUE: StateRow("the sock and its request sock, no file yet", "accepted"),
    State.ESTABLISHED: StateRow("a whole socket"),
    State.CLOSE_WAIT: StateRow("a whole socket, and the FIN until it is read"),
    State.FIN_WAIT2: StateRow("a whole socket: shut down, not closed"),
    State.FIN_WAIT2_CLOSED: StateRow("a mini-socket: closed"),
    State.ORPHAN: StateRow("the sock alone, and what it still has to send"),
    State.TIME_WAIT: StateRow("a mini-socket"),
}


class Count(NamedTuple):
    """The number of sockets in a TCP state; `scope` and `note` say which sockets are counted."""

    number: int | None
    scope: CountScope | None
    note: str
    is_upper_bound: bool = False


def state_costs(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, mixes: Mapping[AccountingMode, FamilyMix]
) -> tuple[StateCost, ...]:
    """The cost of one socket in each TCP state, and the number of sockets in each TCP state.

    The cost in a state is the average of the costs for IPv4 and IPv6, weighted by the shares of the two families. In
    states of mini-sockets, the shares among mini-sockets apply. In states of full sockets, the shares among full
    sockets apply.
    """
    counts = _counts(snapshot, table, sockets)
    fin = tuple(unread_fin_parts(snapshot, table))
    fin_known = sum(part.slab_bytes is not None for part in fin) == len(UNREAD_FIN)
    costs: list[StateCost] = []
    for state, row in ROWS.items():
        mix = mixes["time_wait" if state in AS_MINI_SOCKET else "full"]
        costs.append(
            StateCost(
                state=state.value,
                holds=row.holds,
                accepted=None if row.sides == "outgoing" else socket_cost(snapshot, table, state, mix, owns_port=False),
                outgoing=None if row.sides == "accepted" else socket_cost(snapshot, table, state, mix, owns_port=True),
                unread_fin_parts=fin if fin_known and state is State.CLOSE_WAIT else None,
                count=counts[state].number,
                count_is_upper_bound=counts[state].is_upper_bound,
                scope=counts[state].scope,
                note=counts[state].note,
            )
        )
    return tuple(costs)


def unread_fin_parts(snapshot: Snapshot, table: CacheTable) -> list[ObjectCost]:
    """The objects of an unread FIN that came over loopback: a clone that the sender made, and the clone's linear data.

    A FIN that came from a network device takes a similar amount of memory. The driver of a network device decides from
    which caches the memory of a FIN comes.
    """
    parts = [
        part for item in UNREAD_FIN for part in object_costs(snapshot, table, item, 1.0) if isinstance(part, ObjectCost)
    ]
    if table.find(SKB_HEAD).status == "absent":
        line = table.kmalloc_cache(UNREAD_FIN_HEAD_BYTES)
        if line is not None and line.object_bytes is not None:
            share = line.slab_share_bytes
            parts.append(
                ObjectCost(
                    SKB_HEAD.struct, SKB_HEAD.label, line.name, 1.0, line.object_bytes, share, share, estimated=True
                )
            )
    return parts


def _counts(snapshot: Snapshot, table: CacheTable, sockets: SocketCounts) -> dict[State, Count]:
    requests, no_requests = _requests(snapshot, table)
    snmp = snapshot.snmp.value
    established = snmp.established if snmp else None
    only_a_look = f"no counter: {look_needed_text(snapshot.live, snapshot.recorded)}"
    return {
        State.LISTEN: Count(None, None, only_a_look),
        State.SYN_RECV: Count(requests, "machine", no_requests or "active request socks, accept queues too", True),
        State.ACCEPT_QUEUE: Count(requests, "machine", no_requests or SAME_REQUESTS, True),
        State.ESTABLISHED: Count(established, "here", CURR_ESTAB if snmp else "no /proc/net/snmp"),
        State.CLOSE_WAIT: Count(None, None, only_a_look),
        State.FIN_WAIT2: Count(None, None, only_a_look),
        State.FIN_WAIT2_CLOSED: Count(None, None, "counted in TIME_WAIT"),
        State.ORPHAN: Count(sockets.orphans, "machine", "" if sockets.orphans is not None else NOT_COUNTED),
        State.TIME_WAIT: Count(sockets.time_wait, sockets.time_wait_scope, _time_wait_note(sockets)),
    }


def _requests(snapshot: Snapshot, table: CacheTable) -> tuple[int | None, str]:
    """Number of active request socks, IPv4 and IPv6 together.

    If a cache of request socks may exist but its count is unknown, the function returns None and the reason.
    """
    slabinfo = snapshot.slabinfo
    if slabinfo.value is None:
        return None, "slabinfo is not readable" if slabinfo.state == "refused" else slabinfo.reason or ""
    total = 0
    unknown: list[str] = []
    known: list[str] = []
    for item, family in zip(REQUEST_SOCKS, ("IPv4", "IPv6"), strict=True):
        lookup = table.find(item)
        if lookup.status == "absent":
            continue
        line = lookup.line
        if line is None or line.active_objects is None or line.max_in_use is None:
            unknown.append(f"{item.caches[0]}: {lookup.reason or 'its counts are not known'}")
        else:
            total += line.max_in_use
            known.append(f"{family} alone ≤ {grouped(line.max_in_use)}")
    if unknown:
        return None, "; ".join((*unknown[:1], *known))
    later = later_sockets(snapshot, table)
    # Each socket that was opened after the objects were counted may wait in an accept queue, with its request sock.
    return (total if later is None else total + max(0, later.sockets)), ""


def _time_wait_note(sockets: SocketCounts) -> str:
    if sockets.time_wait is None:
        return NOT_COUNTED
    bound = sockets.time_wait_machine_max
    machine = "" if bound is None else f"; machine {'≤ ' if bound else ''}{grouped(bound)}"
    return f"with FIN_WAIT2 (closed){machine}"
