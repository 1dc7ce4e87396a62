"""Growth of slab memory between two ledgers, and the part of this growth that is due to sockets.

The part due to one kind of object is (increase in the number of objects) × (cost of one object). If the number of
objects is known only within bounds, the product has bounds too. Slabinfo rows that count no objects of sockets are
listed, each row with its growth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tcptop.comparison.difference import GrowthPart, RowGrowth, SlabGrowth
from tcptop.kernel.objects import SOCKET_ALLOC, State
from tcptop.ledger import Amount, CacheLine, Ledger, ObjectCost, SocketCost, StateCost
from tcptop.rates import increase

ZERO = Amount(0.0, 0.0)


def slab_growth(before: Ledger, after: Ledger) -> SlabGrowth | str:
    """The growth of slab memory between two ledgers of one kernel, or the reason why the growth is unknown."""
    growth = increase(before.slab_memory.total_bytes, after.slab_memory.total_bytes)
    if growth is None:
        return "Slab is missing from /proc/meminfo of one input"
    counts_and_missing = _counts(before, after)
    if counts_and_missing is None:
        return "the number of sockets is missing from /proc/net/sockstat of one input"
    counts, missing = counts_and_missing
    # Both ledgers are from the same kernel, so the object sizes are equal. The shares of IPv4 and IPv6 are more exact
    # in the ledger with more sockets.
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
        if (growth_bytes := counts[counted].times(_sum(costs[counted]))) != ZERO
    ]
    socket_rows = before.socket_rows | after.socket_rows
    growths = _row_growths(before, after)
    return SlabGrowth(
        bytes=round(growth),
        sockets=tuple(parts),
        missing=(*_whole_socket(most_sockets).missing, *missing),
        idle_bytes=None if growths is None else _idle_growth(before, after, socket_rows, growths, counts, costs),
        others_bytes=None if growths is None else _others_growth(before, after, socket_rows, growths, counts, costs),
        other_rows=None if growths is None else _other_rows(growths, socket_rows),
        no_row_bytes=None if growths is None else round(growth) - sum(growths.values()),
    )


class CountedObject(NamedTuple):
    """An object that sockets hold, or a group of such objects.

    The number of objects is computed from kernel counters.
    """

    name: str
    note: str = ""


COUNTED_SOCKS = CountedObject("socks")
COUNTED_FILES = CountedObject("files", "with inode, dentry")
COUNTED_PORTS = CountedObject("local ports", "at most")
COUNTED_REQUESTS = CountedObject("request socks", "at most")
COUNTED_MINI_SOCKETS = CountedObject("mini-sockets", "TIME_WAIT")
COUNTED_SEGMENTS = CountedObject("queued FINs, data", "at most")
COUNTED_OBJECTS = (
    COUNTED_SOCKS,
    COUNTED_FILES,
    COUNTED_PORTS,
    COUNTED_REQUESTS,
    COUNTED_MINI_SOCKETS,
    COUNTED_SEGMENTS,
)


class Cost(NamedTuple):
    """Slab bytes of one counted object, in TCP's own caches and in caches with other users."""

    own: Amount
    shared: Amount

    def less(self, other: Cost) -> Cost:
        """Subtracts `other` from this cost; `other` is the cost of a part of this object."""
        return Cost(_less(self.own, other.own), _less(self.shared, other.shared))


def _counts(before: Ledger, after: Ledger) -> tuple[dict[CountedObject, Amount], tuple[str, ...]] | None:
    """The increase in the number of each kind of object, and the names of the kinds whose number is unknown.

    The result is None without sockstat.
    """
    socks = increase(before.sockets.allocated, after.sockets.allocated)
    if socks is None:
        return None
    missing: list[str] = []
    sides = (before, after)
    requests = [_state(ledger, State.ACCEPT_QUEUE).count for ledger in sides]
    # slabinfo counts the free objects in per-CPU caches as active, so perhaps no active request sock is in use.
    request_increase = ZERO
    if requests[0] is None or requests[1] is None:
        missing.append(COUNTED_REQUESTS.name)
    else:
        request_increase = Amount(-requests[0], requests[1])
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
        COUNTED_REQUESTS: request_increase,
        COUNTED_MINI_SOCKETS: mini_increase,
        COUNTED_SEGMENTS: _segments_increase(before, after),
    }
    return counts, tuple(missing)


def _socks_with_file(ledger: Ledger, requests: int | None) -> Amount:
    """Bounds on the number of socks that have a file.

    Orphans have no file, and socks in an accept queue have no file yet. The lower bound assumes that each request sock
    belongs to a sock in an accept queue. The upper bound is the smaller of two numbers: socks that are not orphans, and
    inodes in use. Inodes are a bound because every file has an inode.
    """
    allocated, orphans = ledger.sockets.allocated or 0, ledger.sockets.orphans
    owned = max(0, allocated - (orphans or 0))
    inodes = ledger.cache(SOCKET_ALLOC.caches[0])
    high = owned if inodes is None or inodes.max_in_use is None else min(owned, inodes.max_in_use)
    without_file = owned if requests is None or orphans is None else requests
    return Amount(min(high, max(0, owned - without_file)), high)


def _mini_sockets(ledger: Ledger) -> Amount | None:
    """Bounds on the number of mini-sockets on the machine.

    The lower bound is the number in one network namespace. The upper bound is the number of active objects in the
    caches of mini-sockets; some active objects are in fact free objects in per-CPU caches.
    """
    here, active = ledger.sockets.time_wait, ledger.sockets.time_wait_machine_max
    return None if here is None or active is None else Amount(here, max(here, active))


def _segments_increase(before: Ledger, after: Ledger) -> Amount:
    """Bounds on the increase in the number of queued segments, such as unread FINs.

    The kernel has no counter of queued segments. The bounds are computed from slabinfo: from the number of objects in
    use in each row that counts objects of segments. It is assumed that the numbers of other objects in these rows do
    not change. Some of the active objects in a row may be free objects in per-CPU caches.
    """
    changes: list[Amount] = []
    for part in _state(after, State.CLOSE_WAIT).unread_fin_parts or ():
        one, two = (_objects_in_use(ledger, part.cache) for ledger in (before, after))
        if one is None or two is None:
            return ZERO
        changes.append(two.minus(one))
    if not changes:
        return ZERO
    return Amount(min(0.0, max(each.low for each in changes)), max(0.0, min(each.high for each in changes)))


def _objects_in_use(ledger: Ledger, cache: str) -> Amount | None:
    """Bounds on the number of objects in use in the slabinfo row of a cache; None if unknown."""
    line = ledger.cache(cache)
    row = ledger.cache(line.row) if line is not None else None
    if row is None or row.active_objects is None:
        return None
    idle_error = row.active_objects if row.idle_error_objects is None else row.idle_error_objects
    return Amount(row.active_objects - idle_error, row.active_objects)


def _costs(most_sockets: Ledger, most_mini_sockets: Ledger) -> dict[CountedObject, Cost] | str:
    """The cost of one object of each kind in `COUNTED_OBJECTS`, or a text that says why the costs are unknown.

    `most_sockets` is the ledger with more sockets, and `most_mini_sockets` the ledger with more mini-sockets.
    """
    sock, whole = _state(most_sockets, State.ORPHAN), _whole_socket(most_sockets)
    known = [side for side in (sock.accepted, sock.outgoing, whole) if side is not None and side.slab_bytes is not None]
    if len(known) < 3:
        return "the size of a socket is not known"
    alone, with_port, with_file = (_cost(most_sockets, side.parts) for side in known)
    request = _state(most_sockets, State.SYN_RECV).accepted
    mini_socket = _state(most_mini_sockets, State.TIME_WAIT).accepted
    segment = _state(most_sockets, State.CLOSE_WAIT).unread_fin_parts
    return {
        COUNTED_SOCKS: alone,
        COUNTED_FILES: with_file.less(alone),
        COUNTED_PORTS: with_port.less(alone),
        COUNTED_REQUESTS: _cost(most_sockets, request.parts if request else ()),
        COUNTED_MINI_SOCKETS: _cost(most_mini_sockets, mini_socket.parts if mini_socket else ()),
        COUNTED_SEGMENTS: _cost(most_sockets, segment or ()),
    }


def _cost(ledger: Ledger, parts: Iterable[ObjectCost]) -> Cost:
    """The sum of the slab bytes of all parts.

    If the slab bytes of a part are unknown, the object bytes of this part are added instead.
    """
    own, shared = ZERO, ZERO
    for part in parts:
        low = part.object_bytes if part.slab_bytes is None else part.slab_bytes
        amount = Amount(low, low if part.high_slab_bytes is None else part.high_slab_bytes)
        if _is_own(ledger, part.cache):
            own = _add(own, amount)
        else:
            shared = _add(shared, amount)
    return Cost(own, shared)


def _sum(cost: Cost) -> Amount:
    return _add(cost.own, cost.shared)


def _add(one: Amount, other: Amount) -> Amount:
    return Amount(one.low + other.low, one.high + other.high)


def _less(whole: Amount, part: Amount) -> Amount:
    """Subtracts `part` from `whole`. `whole` must be a sum of amounts, and `part` one of these amounts."""
    return Amount(whole.low - part.low, whole.high - part.high)


def _is_own(ledger: Ledger, cache: str) -> bool:
    """Whether TCP is the only user of a cache and of the cache's slabinfo row."""
    line = ledger.cache(cache)
    return line is not None and not line.shared


def _whole_socket(ledger: Ledger) -> SocketCost:
    return ledger.costs["full"].by_family["mix"].accepted


def _state(ledger: Ledger, state: State) -> StateCost:
    return next(cost for cost in ledger.states if cost.state == state.value)


def _row_growths(before: Ledger, after: Ledger) -> dict[str, int] | None:
    """Growth of each slabinfo row in bytes; None if slabinfo is incomplete in either ledger.

    If only one of the ledgers has a row, the size of the row in the other ledger is taken to be 0 bytes.
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
    """The slabinfo rows of a ledger; caches that are merged into another cache's row are left out.

    The list is empty without slabinfo.
    """
    if ledger.sources["slabinfo"].state not in ("ok", "cut", "strange", "late"):
        return []
    return [line for line in ledger.caches if line.row == line.name]


def has_all_rows(ledger: Ledger) -> bool:
    """Whether slabinfo is complete, so that the kernel has no slab cache for a row missing from slabinfo."""
    return ledger.sources["slabinfo"].state in ("ok", "late") and bool(slabinfo_rows(ledger))


def _idle_growth(
    before: Ledger,
    after: Ledger,
    rows: frozenset[str],
    growths: Mapping[str, int],
    counts: Mapping[CountedObject, Amount],
    costs: Mapping[CountedObject, Cost],
) -> Amount:
    """Bounds on the growth of idle bytes in the slabinfo rows that count objects of sockets.

    In TCP's own rows, all bytes except those of sockets' objects are idle. The idle bytes of TCP's own rows include
    free objects in per-CPU caches, although slabinfo counts these free objects as active. In shared rows, the bytes
    that no active object takes are idle.
    """
    own = sum(growth for row, growth in growths.items() if row in rows and _is_own(after, row))
    sockets = [counts[counted].times(costs[counted].own) for counted in COUNTED_OBJECTS]
    free = _free_bytes(after, rows) - _free_bytes(before, rows)
    low, high = own - sum(part.high for part in sockets) + free, own - sum(part.low for part in sockets) + free
    return Amount(round(low), round(high))


def _others_growth(
    before: Ledger,
    after: Ledger,
    rows: frozenset[str],
    growths: Mapping[str, int],
    counts: Mapping[CountedObject, Amount],
    costs: Mapping[CountedObject, Cost],
) -> Amount:
    """Bounds on the growth of shared rows, minus the growth due to sockets and minus the growth of idle bytes."""
    shared = sum(growth for row, growth in growths.items() if row in rows and not _is_own(after, row))
    sockets = [counts[counted].times(costs[counted].shared) for counted in COUNTED_OBJECTS]
    left = shared - _free_bytes(after, rows) + _free_bytes(before, rows)
    low, high = left - sum(part.high for part in sockets), left - sum(part.low for part in sockets)
    return Amount(round(low, 2), round(high, 2))


def _free_bytes(ledger: Ledger, names: frozenset[str]) -> float:
    """Idle bytes of the shared rows in `names`: the total size minus the slab shares of all active objects."""
    return sum(
        line.bytes - (line.active_objects or 0) * line.slab_share_bytes
        for line in slabinfo_rows(ledger)
        if line.name in names and line.shared and line.bytes is not None and line.slab_share_bytes is not None
    )


def _other_rows(growths: dict[str, int], socket_rows: frozenset[str]) -> tuple[RowGrowth, ...]:
    """The slabinfo rows that changed and count no objects of sockets; the row with the largest change comes first."""
    others = [RowGrowth(name, growth) for name, growth in growths.items() if growth and name not in socket_rows]
    return tuple(sorted(others, key=lambda row: (-abs(row.bytes), row.name)))
