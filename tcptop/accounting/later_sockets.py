"""TCP's memory if many sockets were opened or closed after the slabs were counted, as in a burst of connections.

Slabinfo is read more seldom than sockstat. If the number of sockets has changed since by more than an average allows
for, the memory of the counted slabs is not that of the present sockets.
"""

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.socket_average import changes_fast
from tcptop.kernel.objects import MINI_SOCKETS, REQUEST_SOCKS, SOCKS, TCP_SOCK, TW_SOCK, KernelObject
from tcptop.ledger import (
    AccountingMode,
    ConnectionCost,
    HeldObjects,
    HostFacts,
    MemoryPart,
    SocketCost,
    SocketCounts,
    TcpMemory,
)
from tcptop.ledger.amount import Amount
from tcptop.ledger.memory import SINCE_SLABINFO
from tcptop.snapshot import Snapshot, Sockstat
from tcptop.text import units

OWN_VECTORS = "own "
SOCK_STRUCTS = frozenset(item.struct for item in SOCKS)


class LaterSockets(NamedTuple):
    """The change in the number of sockets after the slabs were counted; below 0 if sockets were closed."""

    sockets: int
    time_wait: int
    """The change in the mini-sockets that sockstat counts; it may count those of one network namespace only."""
    because: str
    """The age of the slabs' counts, compared with that of the sockets, as text."""
    counted: Sockstat
    """The present numbers of sockets."""
    counted_at_s: float

    @property
    def opened(self) -> int:
        """By how much the sockets became more; 0 if they became fewer."""
        return max(0, self.sockets)

    @property
    def closed(self) -> int:
        """By how much the sockets became fewer; 0 if they became more."""
        return max(0, -self.sockets)

    @property
    def opened_minis(self) -> int:
        """By how much the mini-sockets became more; 0 if they became fewer."""
        return max(0, self.time_wait)

    @property
    def closed_minis(self) -> int:
        """By how much the mini-sockets became fewer; 0 if they became more."""
        return max(0, -self.time_wait)

    def widened(self, bounds: Amount, of_time_wait: bool = False) -> Amount:
        """Bounds on a number of objects, if each opened or closed socket may have brought or taken one."""
        change = self.time_wait if of_time_wait else self.sockets
        return Amount(max(0, bounds.low + min(0, change)), bounds.high + max(0, change))


def later_sockets(snapshot: Snapshot, table: CacheTable) -> LaterSockets | None:
    """The sockets that were opened or closed after the slabs were counted; None if these are few, or unknown.

    In a saved tree, the number of sockets is assumed not to change.
    """
    newest, counted, then = snapshot.sockstat, table.counts_reading, table.matching_sockstat
    if not snapshot.live or newest.value is None or then is None:
        return None
    if newest.taken_at_s is None or counted.taken_at_s is None or newest.taken_at_s <= counted.taken_at_s:
        return None
    pairs = ((then.allocated, newest.value.allocated), (then.time_wait, newest.value.time_wait))
    sockets, time_wait = (0 if one is None or two is None else two - one for one, two in pairs)
    if not any(one is not None and two is not None and changes_fast(one, two) for one, two in pairs):
        return None
    age_s = newest.taken_at_s - counted.taken_at_s
    age = units.seconds(round(age_s) if age_s >= 1 else round(age_s, 1))
    file = "/sys/kernel/slab" if counted is snapshot.slab_counts else "slabinfo"
    because = f"{file} is {age} older than the sockets"
    return LaterSockets(sockets, time_wait, because, newest.value, newest.taken_at_s)


def memory_with_later_sockets(
    memory: TcpMemory,
    later: LaterSockets | None,
    table: CacheTable,
    costs: Mapping[AccountingMode, ConnectionCost],
    counts: SocketCounts,
    host: HostFacts,
) -> TcpMemory:
    """TCP's memory with that of the sockets that were opened or closed after the slabs were counted."""
    if later is None:
        return memory
    surely = _surely_held(memory, table, counts)
    memory = memory._replace(
        counted_at_s=later.counted_at_s,
        counted_sockets=later.counted.allocated,
        counted_time_wait=later.counted.time_wait,
        outdated_because=later.because,
    )
    if memory.bytes is None or memory.low_bytes is None:
        return memory._replace(low_bytes=None if memory.low_bytes is None else surely)
    missing = [
        name
        for cost in (costs["full"], costs["time_wait"])
        for name in cost.by_family["mix"].outgoing.missing
        if name not in memory.missing
    ]
    low = _lower_bound(memory, later, table, costs, surely)
    high: int | None = None
    if memory.high_bytes is not None and not missing:
        new_slabs = new_slab_bytes(table, later, host.cpus, host.page_size_bytes)
        high = memory.high_bytes + _most_growth(later, table, costs) + new_slabs
    likely = memory.bytes + _likely_growth(later, table, costs)
    likely = max(low, round(likely if high is None else min(likely, high)))
    added = likely - memory.bytes
    part = MemoryPart(
        SINCE_SLABINFO,
        None,
        added,
        min(added, low - memory.low_bytes),
        max(0, added) if high is None else max(added, high - (memory.high_bytes or 0)),
        estimated=True,
    )
    return memory._replace(
        bytes=likely,
        low_bytes=low,
        high_bytes=high,
        parts=(*memory.parts, part),
        missing=(*memory.missing, *dict.fromkeys(missing)),
    )


def _surely_held(memory: TcpMemory, table: CacheTable, counts: SocketCounts) -> int:
    """The least bytes of the present sockets' own objects, and of what is in no slab."""
    own = _own_objects(table, TCP_SOCK, counts.allocated) + _own_objects(table, TW_SOCK, counts.time_wait)
    return own + sum(part.low_bytes for part in memory.parts if part.row is None)


def _likely_growth(later: LaterSockets, table: CacheTable, costs: Mapping[AccountingMode, ConnectionCost]) -> float:
    """The bytes of one more socket for each opened socket, less those of each closed socket.

    Free objects of socks and mini-sockets are used first.
    """
    one, mini = (costs[mode].by_family["mix"].accepted for mode in ("full", "time_wait"))
    growth = _estimate(table, one, later.sockets, _free(table, SOCKS, table.matching_sockstat))
    return growth + _estimate(table, mini, later.time_wait, _free(table, MINI_SOCKETS))


def _lower_bound(
    memory: TcpMemory,
    later: LaterSockets,
    table: CacheTable,
    costs: Mapping[AccountingMode, ConnectionCost],
    surely: int,
) -> int:
    """The least bytes of TCP's memory; `surely` are those of objects that the present sockets surely hold.

    After sockets were closed, only these objects are left for sure, because the other slabs may be freed.
    """
    of_shared = sum(
        part.low_bytes
        for part in memory.parts
        if part.estimated and part.row is not None and not part.name.startswith(OWN_VECTORS)
    )
    if not later.closed and not later.closed_minis:
        return max(memory.low_bytes or 0, surely + of_shared)
    of_closed = later.closed * _most(table, costs["full"]) + later.closed_minis * _most(table, costs["time_wait"])
    return surely + max(0, of_shared - round(of_closed))


def _most_growth(later: LaterSockets, table: CacheTable, costs: Mapping[AccountingMode, ConnectionCost]) -> int:
    """The most bytes that the opened sockets can take, each with a request sock, besides slabs that are not full."""
    of_new = later.opened * (_most(table, costs["full"]) + _share(table, REQUEST_SOCKS))
    # A closed socket of another network namespace may have left a mini-socket that sockstat does not count here.
    return round(of_new + max(later.opened_minis, later.closed) * _most(table, costs["time_wait"]))


def idle_with_later_sockets(
    idle: tuple[int, int | None], later: LaterSockets, table: CacheTable, cpus: int | None, page_bytes: int | None
) -> tuple[int, int | None]:
    """Idle bytes of TCP's own caches, and an upper bound on further idle bytes, after sockets were opened or closed.

    Opened sockets may have used idle objects or new slabs; the objects of closed sockets may be idle or freed.
    """
    low, error = idle
    changes = ((later.sockets, SOCKS), (later.time_wait, MINI_SOCKETS), (later.opened, REQUEST_SOCKS))
    taken = sum(max(0, change) * _share(table, items) for change, items in changes)
    freed = sum(abs(change) * _share(table, items) for change, items in changes if change < 0 or items == REQUEST_SOCKS)
    least = 0 if min(later.sockets, later.time_wait) < 0 else max(0, round(low - taken))
    if error is None:
        return least, None
    return least, round(low + error + freed) + new_slab_bytes(table, later, cpus, page_bytes) - least


def held_with_later_sockets(
    held: tuple[HeldObjects, ...], later: LaterSockets | None, counts: SocketCounts
) -> tuple[HeldObjects, ...]:
    """The objects that the present sockets hold, from those that the sockets held when the slabs were counted."""
    if later is None:
        return held
    found: list[HeldObjects] = []
    for kind in held:
        is_mini = kind.name == "mini-sockets"
        number = later.widened(kind.number, is_mini)
        if kind.name == "socks" and counts.allocated is not None:
            number = Amount(counts.allocated, counts.allocated)
        if is_mini:
            number = Amount(max(number.low, counts.time_wait or 0), max(number.high, counts.time_wait or 0))
        if kind.name == "local ports":
            number = Amount(number.low, number.high + later.opened_minis)
        parts = tuple(
            part._replace(number=number if part.family is None else later.widened(part.number, is_mini))
            for part in kind.parts
        )
        found.append(kind._replace(number=number, parts=parts))
    return tuple(found)


def new_slab_bytes(table: CacheTable, later: LaterSockets, cpus: int | None, page_bytes: int | None) -> int:
    """The most bytes of new slabs that the opened sockets have not filled: one slab of each cache on each CPU."""
    new_minis = max(later.opened_minis, later.closed)
    total = 0
    for items, number in ((SOCKS, later.opened), (REQUEST_SOCKS, later.opened), (MINI_SOCKETS, new_minis)):
        slabs = number if cpus is None else min(number, cpus)
        lines = [line for item in items if (line := table.find(item).line) is not None]
        total += slabs * sum((line.pages_per_slab or 0) * (page_bytes or 0) for line in lines)
    return total


def _own_objects(table: CacheTable, item: KernelObject, number: int | None) -> int:
    """The least bytes of the objects of so many sockets; the objects of IPv6 contain those of IPv4."""
    line = table.find(item).line
    if line is None or not number or line.computed:
        return 0
    return number * (line.object_size_bytes or line.object_bytes or 0)


def _share(table: CacheTable, items: tuple[KernelObject, ...]) -> float:
    """The largest slab share of one object of a kind, of either family."""
    lines = [line for item in items if (line := table.find(item).line) is not None]
    return max(((line.slab_share_bytes or 0.0) * table.fallback_factor(line.name) for line in lines), default=0.0)


def _most(table: CacheTable, cost: ConnectionCost) -> float:
    """The most bytes of one more socket of either family, on either side."""
    sides = [side for each in cost.by_family.values() for side in (each.accepted, each.outgoing)]
    return max(
        sum((p.high_slab_bytes or p.slab_bytes or 0.0) * table.fallback_factor(p.cache) for p in side.parts)
        for side in sides
    )


def _free(table: CacheTable, items: tuple[KernelObject, ...], sockstat: object = None) -> int:
    """Free objects of a kind when the slabs were counted; those that CPUs cache only count if sockets are counted."""
    lines = [line for item in items if (line := table.find(item).line) is not None]
    allocated = getattr(sockstat, "allocated", None)
    used = sum(line.max_in_use or 0 for line in lines) if allocated is None else allocated
    return max(0, sum(line.objects or 0 for line in lines) - used)


def _estimate(table: CacheTable, cost: SocketCost, change: int, free: int) -> float:
    """The likely growth of memory by so many sockets, the slabs of which have `free` objects."""
    own = SOCK_STRUCTS | {item.struct for item in MINI_SOCKETS}
    in_new_slabs = change if change < 0 else max(0, change - free)
    return sum(
        (in_new_slabs if part.object in own else change) * (part.slab_bytes or 0.0) * table.fallback_factor(part.cache)
        for part in cost.parts
    )
