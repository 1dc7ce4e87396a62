"""Growth of slab memory between two ledgers, and the part of the growth that sockets explain.

For each kind of object, sockets explain (increase of the number of objects) × (cost of one object). If the number of
objects is known only within bounds, the product has bounds too. Slabinfo rows that count no objects of sockets are
listed, each with its growth.
"""

from __future__ import annotations

from typing import NamedTuple

from tcptop.comparison.difference import GrowthPart, RowGrowth, SlabGrowth
from tcptop.kernel.objects import SOCKET_ALLOC, State
from tcptop.ledger import Amount, CacheLine, Ledger, SocketCost, StateCost
from tcptop.rates import increase

ZERO = Amount(0.0, 0.0)


def slab_growth(before: Ledger, after: Ledger) -> SlabGrowth | str:
    """The growth of slab memory between two ledgers of one kernel, or the reason that it is unknown."""
    growth = increase(before.slab_memory.total_bytes, after.slab_memory.total_bytes)
    if growth is None:
        return "Slab is missing from /proc/meminfo of one input"
    counts_and_missing = _counts(before, after)
    if counts_and_missing is None:
        return "the number of sockets is missing from /proc/net/sockstat of one input"
    counts, missing = counts_and_missing
    # Both ledgers are of one kernel and have the same object sizes. The ledger with more sockets has the better shares
    # of IPv4 and IPv6.
    most_sockets = max(before, after, key=lambda ledger: ledger.sockets.allocated or 0)
    most_mini_sockets = max(before, after, key=lambda ledger: ledger.sockets.time_wait or 0)
    costs = _costs(most_sockets, most_mini_sockets)
    if isinstance(costs, str):
        return costs
    parts = [
        GrowthPart(
            name=counted.name,
            count=Amount(*map(round, counts[counted])),
            bytes=Amount(round(growth_bytes.low, 2), round(growth_bytes.high, 2)),
            note=counted.note,
        )
        for counted in COUNTED_OBJECTS
        if (growth_bytes := counts[counted].times(costs[counted])) != ZERO
    ]
    socket_rows = _rows_of_sockets(before) | _rows_of_sockets(after)
    growths = _row_growths(before, after)
    return SlabGrowth(
        bytes=round(growth),
        sockets=tuple(parts),
        missing=(*_whole_socket(most_sockets).missing, *missing),
        idle_bytes=None if growths is None else _idle_growth(before, after, socket_rows),
        socket_rows_bytes=None if growths is None else sum(growths.get(row, 0) for row in socket_rows),
        other_rows=None if growths is None else _other_rows(growths, socket_rows),
        no_row_bytes=None if growths is None else round(growth) - sum(growths.values()),
    )


class CountedObject(NamedTuple):
    """An object of a socket, or a group of such objects, whose number the kernel's counters show."""

    name: str
    note: str = ""


COUNTED_SOCKS = CountedObject("socks")
COUNTED_FILES = CountedObject("files", "with inode, dentry")
COUNTED_PORTS = CountedObject("local ports", "at most")
COUNTED_REQUESTS = CountedObject("request socks", "active")
COUNTED_MINI_SOCKETS = CountedObject("mini-sockets", "TIME_WAIT")
COUNTED_OBJECTS = (COUNTED_SOCKS, COUNTED_FILES, COUNTED_PORTS, COUNTED_REQUESTS, COUNTED_MINI_SOCKETS)


def _counts(before: Ledger, after: Ledger) -> tuple[dict[CountedObject, Amount], tuple[str, ...]] | None:
    """The increase of each object's count, and the names of objects without a count; None without sockstat."""
    socks = increase(before.sockets.allocated, after.sockets.allocated)
    if socks is None:
        return None
    missing: list[str] = []
    sides = (before, after)
    requests = [_state(ledger, State.ACCEPT_QUEUE).count for ledger in sides]
    request_increase = increase(*requests)
    if request_increase is None:
        missing.append(COUNTED_REQUESTS.name)
    with_file = [_socks_with_file(ledger, count) for ledger, count in zip(sides, requests, strict=True)]
    mini_sockets = [_mini_sockets(ledger) for ledger in sides]
    if mini_sockets[0] is None or mini_sockets[1] is None:
        missing.append(COUNTED_MINI_SOCKETS.name)
        mini_increase = ZERO
    else:
        mini_increase = mini_sockets[1].minus(mini_sockets[0])
    counts = {
        COUNTED_SOCKS: Amount(socks, socks),
        COUNTED_FILES: with_file[1].minus(with_file[0]),
        COUNTED_PORTS: Amount(
            min(0.0, socks) + min(0.0, mini_increase.low), max(0.0, socks) + max(0.0, mini_increase.high)
        ),
        COUNTED_REQUESTS: Amount(request_increase or 0.0, request_increase or 0.0),
        COUNTED_MINI_SOCKETS: mini_increase,
    }
    return counts, tuple(missing)


def _socks_with_file(ledger: Ledger, requests: int | None) -> Amount:
    """Bounds on the number of socks that have a file.

    Orphans have no file, and socks in an accept queue have none yet. The lower bound assumes that each request sock
    belongs to a sock in an accept queue. The upper bound is the number of socks that are not orphans. Every file has an
    inode. If fewer inodes are in use, the number of these inodes is the upper bound.
    """
    allocated, orphans = ledger.sockets.allocated or 0, ledger.sockets.orphans
    owned = max(0, allocated - (orphans or 0))
    inodes = ledger.cache(SOCKET_ALLOC.caches[0])
    high = owned if inodes is None or inodes.max_in_use is None else min(owned, inodes.max_in_use)
    without_file = owned if requests is None or orphans is None else requests
    return Amount(min(high, max(0, owned - without_file)), high)


def _mini_sockets(ledger: Ledger) -> Amount | None:
    """The machine's mini-sockets: at least those of one network namespace, at most all active objects of their caches.

    Some active objects of these caches are really free objects cached per CPU.
    """
    here, active = ledger.sockets.time_wait, ledger.sockets.time_wait_machine_max
    return None if here is None or active is None else Amount(here, max(here, active))


def _costs(most_sockets: Ledger, most_mini_sockets: Ledger) -> dict[CountedObject, Amount] | str:
    """Slab bytes of one object of each kind that is counted, or the reason that they are unknown.

    The arguments are the ledger with more sockets and the ledger with more mini-sockets.
    """
    sock, whole = _state(most_sockets, State.ORPHAN), _whole_socket(most_sockets)
    if sock.accepted is None or sock.outgoing is None or _bounds(sock.accepted) is None or _bounds(whole) is None:
        return "the size of a socket is not known"
    alone, with_port, with_file = (_bounds(cost) or ZERO for cost in (sock.accepted, sock.outgoing, whole))
    request = _state(most_sockets, State.SYN_RECV).accepted
    mini_socket = _state(most_mini_sockets, State.TIME_WAIT).accepted
    return {
        COUNTED_SOCKS: alone,
        COUNTED_FILES: Amount(with_file.low - alone.low, with_file.high - alone.high),
        COUNTED_PORTS: Amount(with_port.low - alone.low, with_port.high - alone.high),
        COUNTED_REQUESTS: _bounds(request) or ZERO,
        COUNTED_MINI_SOCKETS: _bounds(mini_socket) or ZERO,
    }


def _bounds(cost: SocketCost | None) -> Amount | None:
    """Bounds on a socket's slab bytes; None if unknown."""
    if cost is None or cost.slab_bytes is None:
        return None
    return Amount(cost.slab_bytes, cost.high_slab_bytes or cost.slab_bytes)


def _whole_socket(ledger: Ledger) -> SocketCost:
    return ledger.costs["full"].by_family["mix"].accepted


def _state(ledger: Ledger, state: State) -> StateCost:
    return next(cost for cost in ledger.states if cost.state == state.value)


def _rows_of_sockets(ledger: Ledger) -> set[str]:
    """Names of the slabinfo rows that count objects of sockets in any TCP state."""
    costs = [cost for state in ledger.states for cost in (state.accepted, state.outgoing) if cost is not None]
    lines = [ledger.cache(cache) for cache in {part.cache for cost in costs for part in cost.parts}]
    return {line.row for line in lines if line is not None and line.row is not None}


def _row_growths(before: Ledger, after: Ledger) -> dict[str, int] | None:
    """Growth of each slabinfo row in bytes; None if slabinfo is incomplete in either ledger.

    A row that only one ledger has counts as 0 bytes in the other.
    """
    if not has_all_rows(before) or not has_all_rows(after):
        return None
    growths: dict[str, int] = {}
    for sign, ledger in ((-1, before), (1, after)):
        for line in slabinfo_rows(ledger):
            if line.bytes is None:
                return None
            growths[line.name] = growths.get(line.name, 0) + sign * line.bytes
    return growths


def slabinfo_rows(ledger: Ledger) -> list[CacheLine]:
    """The caches of a ledger that have a slabinfo row of their own; empty without slabinfo."""
    if ledger.sources["slabinfo"].state not in ("ok", "cut", "strange", "late"):
        return []
    return [line for line in ledger.caches if line.row == line.name]


def has_all_rows(ledger: Ledger) -> bool:
    """Whether slabinfo is complete, so that a row missing from it is also missing from the kernel."""
    return ledger.sources["slabinfo"].state in ("ok", "late") and bool(slabinfo_rows(ledger))


def _idle_growth(before: Ledger, after: Ledger, names: set[str]) -> int:
    """Growth of the idle bytes of the named rows: the size of each row less the slab shares of its active objects."""
    idle = [0.0, 0.0]
    for index, ledger in enumerate((before, after)):
        for line in slabinfo_rows(ledger):
            if line.name in names and line.bytes is not None and line.slab_share_bytes is not None:
                idle[index] += line.bytes - (line.active_objects or 0) * line.slab_share_bytes
    return round(idle[1] - idle[0])


def _other_rows(growths: dict[str, int], socket_rows: set[str]) -> tuple[RowGrowth, ...]:
    """The slabinfo rows that changed and that count no objects of sockets, the largest change first."""
    others = [RowGrowth(name, growth) for name, growth in growths.items() if growth and name not in socket_rows]
    return tuple(sorted(others, key=lambda row: (-abs(row.bytes), row.name)))
