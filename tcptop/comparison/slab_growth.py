"""How much of the slab memory's growth the sockets explain: changes of their counts × the catalogue's costs.

Where a count is known only within bounds, so are the bytes. What the sockets do not explain is named by where it is.
"""

from __future__ import annotations

from typing import NamedTuple

from tcptop.comparison.difference import GrowthPart, RowGrowth, SlabGrowth
from tcptop.kernel.objects import SOCKET_ALLOC, State
from tcptop.ledger import CacheLine, Ledger, SocketCost, StateCost
from tcptop.rates import increase


class Range(NamedTuple):
    """An amount that is known only to lie between two."""

    low: float
    high: float

    def times(self, other: Range) -> Range:
        """The product, of either sign."""
        ends = [one * two for one in (self.low, self.high) for two in (other.low, other.high)]
        return Range(min(ends), max(ends))

    def minus(self, other: Range) -> Range:
        """The difference."""
        return Range(self.low - other.high, self.high - other.low)


ZERO = Range(0.0, 0.0)


def slab_growth(before: Ledger, after: Ledger) -> SlabGrowth | str:
    """The growth from one look at a kernel to another, or why nothing can be said."""
    growth = increase(before.slab_memory.total_bytes, after.slab_memory.total_bytes)
    if growth is None:
        return "/proc/meminfo does not tell the slab memory of both"
    counted = _counts(before, after)
    if counted is None:
        return "/proc/net/sockstat does not tell the sockets of both"
    sockets, not_counted = counted
    # The sizes are a kernel's constants; the mix of families is that of the side with more sockets.
    fuller = max(before, after, key=lambda ledger: ledger.sockets.allocated or 0)
    smaller = max(before, after, key=lambda ledger: ledger.sockets.time_wait or 0)
    costs = _costs(fuller, smaller)
    if isinstance(costs, str):
        return costs
    parts = [
        GrowthPart(
            name=counted.name,
            low_count=round(sockets[counted.name].low),
            high_count=round(sockets[counted.name].high),
            low_bytes=round(bytes_.low, 2),
            high_bytes=round(bytes_.high, 2),
            note=counted.note,
        )
        for counted in COUNTED_OBJECTS
        if (bytes_ := sockets[counted.name].times(costs[counted.name])) != ZERO
    ]
    rows = _rows_of_sockets(before) | _rows_of_sockets(after)
    grown = _grown_rows(before, after)
    return SlabGrowth(
        bytes=round(growth),
        sockets=tuple(parts),
        missing=(*_whole(fuller).missing, *not_counted),
        idle_bytes=None if grown is None else _idle_growth(before, after, rows),
        socket_rows_bytes=None if grown is None else sum(bytes_ for name, bytes_ in grown.items() if name in rows),
        other_rows=None if grown is None else _others(grown, rows),
        no_row_bytes=None if grown is None else round(growth) - sum(grown.values()),
    )


class CountedObject(NamedTuple):
    """A kind of thing that sockets hold."""

    name: str
    note: str = ""


COUNTED_SOCKS = CountedObject("socks")
COUNTED_FILES = CountedObject("files", "with inode, dentry")
COUNTED_PORTS = CountedObject("local ports", "at most")
COUNTED_REQUESTS = CountedObject("request socks", "active")
COUNTED_MINI_SOCKETS = CountedObject("mini-sockets", "TIME_WAIT")
COUNTED_OBJECTS = (COUNTED_SOCKS, COUNTED_FILES, COUNTED_PORTS, COUNTED_REQUESTS, COUNTED_MINI_SOCKETS)


def _counts(before: Ledger, after: Ledger) -> tuple[dict[str, Range], tuple[str, ...]] | None:
    """How many more there are of each kind, and the kinds that are not counted; None without sockstat."""
    socks = increase(before.sockets.allocated, after.sockets.allocated)
    if socks is None:
        return None
    missing: list[str] = []
    sides = (before, after)
    requests = [_state(ledger, State.ACCEPT_QUEUE).count for ledger in sides]
    more_requests = increase(*requests)
    if more_requests is None:
        missing.append(COUNTED_REQUESTS.name)
    with_file = [_with_file(ledger, queued) for ledger, queued in zip(sides, requests, strict=True)]
    mini = [_mini_sockets(ledger) for ledger in sides]
    more_mini = None if mini[0] is None or mini[1] is None else mini[1].minus(mini[0])
    if more_mini is None:
        missing.append(COUNTED_MINI_SOCKETS.name)
        more_mini = ZERO
    counts = {
        COUNTED_SOCKS.name: Range(socks, socks),
        COUNTED_FILES.name: with_file[1].minus(with_file[0]),
        COUNTED_PORTS.name: Range(
            min(0.0, socks) + min(0.0, more_mini.low), max(0.0, socks) + max(0.0, more_mini.high)
        ),
        COUNTED_REQUESTS.name: Range(more_requests or 0.0, more_requests or 0.0),
        COUNTED_MINI_SOCKETS.name: more_mini,
    }
    return counts, tuple(missing)


def _with_file(ledger: Ledger, requests: int | None) -> Range:
    """Socks that are no orphans. Any number of request socks may be in accept queues, with a sock without a file.

    There are no more files than objects in use that every socket of the machine has one of, for its inode.
    """
    allocated, orphans = ledger.sockets.allocated or 0, ledger.sockets.orphans
    owned = max(0, allocated - (orphans or 0))
    inodes = ledger.cache(SOCKET_ALLOC.caches[0])
    most = owned if inodes is None or inodes.max_in_use is None else min(owned, inodes.max_in_use)
    without = owned if requests is None or orphans is None else requests
    return Range(min(most, max(0, owned - without)), most)


def _mini_sockets(ledger: Ledger) -> Range | None:
    """From those of one network namespace to all active objects, some of which are idle on CPUs."""
    here, most = ledger.sockets.time_wait, ledger.sockets.time_wait_machine_max
    return None if here is None or most is None else Range(here, max(here, most))


def _costs(fuller: Ledger, smaller: Ledger) -> dict[str, Range] | str:
    """What one of each kind takes of full slabs."""
    sock, whole = _state(fuller, State.ORPHAN), _whole(fuller)
    if sock.accepted is None or sock.outgoing is None or _bytes(sock.accepted) is None or _bytes(whole) is None:
        return "the size of a socket is not known"
    alone, with_port, with_file = (_bytes(each) or ZERO for each in (sock.accepted, sock.outgoing, whole))
    queued, mini = _state(fuller, State.SYN_RECV).accepted, _state(smaller, State.TIME_WAIT).accepted
    return {
        COUNTED_SOCKS.name: alone,
        COUNTED_FILES.name: Range(with_file.low - alone.low, with_file.high - alone.high),
        COUNTED_PORTS.name: Range(with_port.low - alone.low, with_port.high - alone.high),
        COUNTED_REQUESTS.name: _bytes(queued) or ZERO,
        COUNTED_MINI_SOCKETS.name: _bytes(mini) or ZERO,
    }


def _bytes(side: SocketCost | None) -> Range | None:
    if side is None or side.slab_bytes is None:
        return None
    return Range(side.slab_bytes, side.high_slab_bytes or side.slab_bytes)


def _whole(ledger: Ledger) -> SocketCost:
    return ledger.costs["full"].by_family["mix"].accepted


def _state(ledger: Ledger, state: State) -> StateCost:
    return next(each for each in ledger.states if each.state == state.value)


def _rows_of_sockets(ledger: Ledger) -> set[str]:
    """The rows that any object of any state's sockets is counted in."""
    sides = [side for state in ledger.states for side in (state.accepted, state.outgoing) if side is not None]
    lines = [ledger.cache(cache) for cache in {part.cache for side in sides for part in side.parts}]
    return {line.row for line in lines if line is not None and line.row is not None}


def _grown_rows(before: Ledger, after: Ledger) -> dict[str, int] | None:
    """What each row grew by; a row of one side only by all it holds. None where a side has no whole slabinfo."""
    if not has_all_rows(before) or not has_all_rows(after):
        return None
    one, two = ({line.name: 0 for line in slabinfo_rows(ledger)} for ledger in (before, after))
    for found, ledger in ((one, before), (two, after)):
        for line in slabinfo_rows(ledger):
            if line.bytes is None:
                return None
            found[line.name] += line.bytes
    return {name: two.get(name, 0) - one.get(name, 0) for name in one | two}


def slabinfo_rows(ledger: Ledger) -> list[CacheLine]:
    """The lines that are rows of slabinfo, rather than caches counted in another's row."""
    if ledger.sources["slabinfo"].state not in ("ok", "cut", "strange", "late"):
        return []
    return [line for line in ledger.caches if line.row == line.name]


def has_all_rows(ledger: Ledger) -> bool:
    """Whether a row that is not there is not there in the kernel either."""
    return ledger.sources["slabinfo"].state in ("ok", "late") and bool(slabinfo_rows(ledger))


def _idle_growth(before: Ledger, after: Ledger, names: set[str]) -> int:
    """What the rows hold beyond their active objects' shares, after less before."""
    idle = [0.0, 0.0]
    for at, ledger in enumerate((before, after)):
        for line in slabinfo_rows(ledger):
            if line.name in names and line.bytes is not None and line.slab_share_bytes is not None:
                idle[at] += line.bytes - (line.active_objects or 0) * line.slab_share_bytes
    return round(idle[1] - idle[0])


def _others(grown: dict[str, int], names: set[str]) -> tuple[RowGrowth, ...]:
    others = [RowGrowth(name, bytes_) for name, bytes_ in grown.items() if bytes_ and name not in names]
    return tuple(sorted(others, key=lambda each: (-abs(each.bytes), each.name)))
