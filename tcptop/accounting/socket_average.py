"""Average bytes per present socket, and whether the average holds while the number of sockets changes.

The average is the bytes of TCP's caches ÷ the number of sockets. The cost of one more socket is in connection_cost.py.
"""

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.socket_cost import FamilyMix, slice_labels
from tcptop.accounting.socket_counts import (
    HELD_WITH_INODE,
    has_kernel_sockets,
    mini_socket_count,
    sockets_with_file,
    sockets_with_inode,
)
from tcptop.kernel.objects import CGROUP_VECTORS, LSM_SOCKET_BLOB, MINI_SOCKETS, SOCKS, TW_SOCK, KernelObject
from tcptop.ledger import AccountingMode, CacheLine, ConnectionCost, CostBySide, Family, Slice, SocketCost, SocketCounts
from tcptop.snapshot import Reading, SlabCounts, Slabinfo, Snapshot, Sockstat
from tcptop.text.units import grouped

CostByFamily = Mapping[Family, CostBySide]
"""The cost of one more socket of each family."""

MIN_SOCKETS_PER_CPU = 100
"""Minimum number of sockets per CPU for computing an average.

With fewer sockets per CPU, the average would mostly show idle objects on per-CPU slabs.
"""

IDLE_SLABS_PER_CPU = 16
"""An average over mini-sockets is computed only if each CPU has enough mini-sockets to fill this number of slabs.

Every free object on a slab that a CPU has cached counts as active. IDLE_SLABS_PER_CPU is therefore twice the number of
slabs that a CPU may cache.
"""

MAX_CHANGE = 0.02
"""An average is computed only if the number of sockets changed by at most this share between two reads.

If sockets change faster, the average is wrong, because the caches and the number of sockets are read at different
times.
"""

CHANGES_TOO_FAST = "sockets change faster than slabinfo is read"

TOO_FEW = "an average needs "

FAMILY_OBJECTS: Mapping[AccountingMode, tuple[KernelObject, KernelObject]] = {
    "full": SOCKS,
    "time_wait": MINI_SOCKETS,
}


def with_averages(
    snapshot: Snapshot,
    table: CacheTable,
    sockets: SocketCounts,
    cpus: int | None,
    mixes: Mapping[AccountingMode, FamilyMix],
    by_family: Mapping[AccountingMode, CostByFamily],
    before: Mapping[AccountingMode, ConnectionCost] | None = None,
) -> dict[AccountingMode, ConnectionCost]:
    """The cost of one more socket (from `by_family`) and the present average, in both accounting modes.

    `before` has the costs in the previous sample of the same machine. If the number of sockets changes too fast for new
    averages, the averages in `before` are used.
    """
    costs: dict[AccountingMode, ConnectionCost] = {
        "full": _full_average(snapshot, table, sockets, cpus, mixes["full"], by_family["full"]),
        "time_wait": _time_wait_average(snapshot, table, sockets, cpus, mixes["time_wait"], by_family["time_wait"]),
    }
    read_at_unix_s = _read_at_unix_s(snapshot, table)
    for mode, cost in costs.items():
        change = _change_of_sockets(snapshot, table.counts_reading, mode)
        cost = _with_present_reason(cost, change, mode, sockets, table.matching_sockstat)
        costs[mode] = _with_steady_average(cost, change, read_at_unix_s, before[mode] if before else None)
    return costs


class SocketChange(NamedTuple):
    """Tells for each of two periods whether the number of sockets changed by more than MAX_CHANGE."""

    around_read: bool
    """True if the number of sockets changed fast between the last two reads of the caches, so that the last read gives
    no average.
    """
    since_read: bool
    """True if the number of sockets changed fast after the last read of the caches."""


def needs_earlier_average(snapshot: Snapshot) -> bool:
    """True if sockets changed so fast that the average of an earlier sample may be needed."""
    readings: tuple[Reading[Slabinfo] | Reading[SlabCounts], ...] = (snapshot.slabinfo, snapshot.slab_counts)
    return any(
        _change_of_sockets(snapshot, reading, mode).around_read for reading in readings for mode in FAMILY_OBJECTS
    )


def _change_of_sockets(
    snapshot: Snapshot, reading: Reading[Slabinfo] | Reading[SlabCounts], mode: AccountingMode
) -> SocketChange:
    """The periods in which the number of sockets, or of mini-sockets, changed fast.

    `reading` is the last read of the caches. The number of sockets at the last read is compared with the number at the
    previous read. If the caches were read only once, the number of sockets in sockstat just before this read is used
    instead. In a saved tree, the number of sockets is assumed not to change.
    """
    newest = snapshot.sockstat
    if not snapshot.live or reading.sockstat is None or reading.taken_at_s is None:
        return SocketChange(around_read=False, since_read=False)

    def is_fast(sockstat: Sockstat | None) -> bool:
        one, other = _count_of_mode(sockstat, mode), _count_of_mode(reading.sockstat, mode)
        return one is not None and other is not None and changes_fast(one, other)

    is_later = newest.taken_at_s is not None and newest.taken_at_s > reading.taken_at_s
    previous = reading.before.sockstat if reading.before is not None else None if is_later else newest.value
    return SocketChange(is_fast(previous), is_later and is_fast(newest.value))


def _count_of_mode(sockstat: Sockstat | None, mode: AccountingMode) -> int | None:
    if sockstat is None:
        return None
    return sockstat.allocated if mode == "full" else sockstat.time_wait


def changes_fast(one: int, other: int) -> bool:
    """True if two counts of sockets differ by more than MAX_CHANGE.

    A difference of at most MIN_SOCKETS_PER_CPU sockets is ignored, because a few programs may open that many sockets at
    once.
    """
    return abs(one - other) > max(MAX_CHANGE * max(one, other), MIN_SOCKETS_PER_CPU)


def _read_at_unix_s(snapshot: Snapshot, table: CacheTable) -> float | None:
    """Unix time when the caches were read; None if unknown."""
    taken_at_s = table.counts_reading.taken_at_s
    if not snapshot.live or snapshot.taken_at_unix_s is None or taken_at_s is None:
        return None
    return round(snapshot.taken_at_unix_s - max(0.0, snapshot.monotonic_s - taken_at_s), 3)


def _with_present_reason(
    cost: ConnectionCost, change: SocketChange, mode: AccountingMode, sockets: SocketCounts, then: Sockstat | None
) -> ConnectionCost:
    """The cost, with another reason if there were too few sockets only when the caches were read."""
    now, counted = (sockets.allocated if mode == "full" else sockets.time_wait), _count_of_mode(then, mode)
    is_more = change.since_read and (now or 0) > (counted or 0)
    if not is_more or not (cost.now_unknown_because or "").startswith(TOO_FEW):
        return cost
    return cost._replace(now_unknown_because=CHANGES_TOO_FAST)


def _with_steady_average(
    cost: ConnectionCost, change: SocketChange, read_at_unix_s: float | None, before: ConnectionCost | None
) -> ConnectionCost:
    """The cost of a socket, with the average from the last read of the caches, or with an earlier average.

    If the number of sockets changed fast around the last read, the average in `before` is used. If `before` has no
    average, the cost has no average either. If the average was computed before a fast change, `now_held_because` is the
    reason why this average is still shown.
    """
    if cost.now_bytes is None:
        return cost
    if not change.around_read:
        return cost._replace(
            now_held_because=CHANGES_TOO_FAST if change.since_read else None, now_read_at_unix_s=read_at_unix_s
        )
    if before is None or before.now_bytes is None:
        return cost._replace(
            idle_bytes_per_socket=None,
            now_bytes=None,
            now_is_at_most=False,
            now_unknown_because=CHANGES_TOO_FAST,
            now_slices=(),
            now_divisor=None,
        )
    return cost._replace(
        idle_bytes_per_socket=before.idle_bytes_per_socket,
        now_bytes=before.now_bytes,
        now_is_at_most=before.now_is_at_most,
        now_slices=before.now_slices,
        now_divisor=before.now_divisor,
        now_held_because=CHANGES_TOO_FAST,
        now_read_at_unix_s=before.now_read_at_unix_s,
    )


def _full_average(
    snapshot: Snapshot,
    table: CacheTable,
    sockets: SocketCounts,
    cpus: int | None,
    mix: FamilyMix,
    by_family: CostByFamily,
) -> ConnectionCost:
    """The cost of one more full socket, and the present average over all full sockets.

    The present average is the bytes of the caches ÷ the number of sockets. The number of sockets is read right after
    the bytes of the caches. If there are more sockets than objects in the caches, sockets and objects were counted at
    different times, and the number of objects replaces the number of sockets. A saved tree has no average if the number
    of sockets and the number of objects differ much, because the files of the tree may have been copied at different
    times. A socket that the kernel itself uses has no file. If the kernel itself uses sockets, the average may include
    files of other programs, and is therefore an upper bound.
    """
    sockstat = table.matching_sockstat
    allocated = sockstat.allocated if sockstat else None
    cache_bytes = _cache_bytes(table, "full")
    idle = _idle_bytes(table, cache_bytes, allocated, mix)
    because = too_few(allocated, cpus, "sockets")
    objects = _objects(table, "full")
    now: tuple[Slice, ...] = ()
    if cache_bytes is None:
        because = "what the TCP caches hold is not known"
    elif sockstat is not None and sockstat.orphans is None:
        because = because or "the number of orphans is not known"
    elif allocated and objects is not None and allocated > objects and because is None:
        if not snapshot.live and changes_fast(allocated, objects):
            because = f"sockstat has {grouped(allocated)} sockets and slabinfo {grouped(objects)}: not read together"
        allocated = objects
    if allocated and sockstat and because is None and cache_bytes is not None:
        with_file = sockets_with_file(table, allocated, sockstat.orphans) or 0
        with_inode = sockets_with_inode(table, allocated, sockstat.orphans) or 0
        accepted = by_family["mix"].accepted
        now = _now_slices(
            snapshot,
            table,
            accepted,
            cache_bytes / allocated,
            (idle or 0.0) / allocated,
            with_file / allocated,
            with_inode / allocated,
        )
    return ConnectionCost(
        by_family=by_family,
        idle_bytes_per_socket=idle / allocated if now and idle is not None and allocated else None,
        buffer_bytes_per_socket=buffers_per_socket(sockets, cpus),
        now_bytes=sum(each.bytes for each in now) if now else None,
        now_is_at_most=bool(now) and has_kernel_sockets(table),
        now_unknown_because=because,
        now_slices=now,
    )


def _time_wait_average(
    snapshot: Snapshot,
    table: CacheTable,
    sockets: SocketCounts,
    cpus: int | None,
    mix: FamilyMix,
    by_family: CostByFamily,
) -> ConnectionCost:
    """The cost of one more mini-socket, and the present average over all mini-sockets.

    The present average is the bytes of the machine's tw_sock slabs ÷ the lower bound on the number of mini-sockets. If
    the number of mini-sockets is not exact, the average is an upper bound.
    """
    bounds = mini_socket_count(table, sockets)
    accepted = by_family["mix"].accepted
    cache_bytes = _cache_bytes(table, "time_wait")
    # If the size of an object is unknown, the average is a lower bound, and is computed with the upper bound on the
    # number of mini-sockets.
    count = None if bounds is None else bounds.high if accepted.missing else bounds.low
    is_least = accepted.missing and bounds is not None and bounds.low < bounds.high
    idle = None if is_least else _idle_bytes(table, cache_bytes, count, mix, "time_wait")
    # An object that a CPU keeps for reuse is free, but counts as active. If few objects count as active, nearly all of
    # them may be such objects, and the lower bound on the number of mini-sockets is useless.
    because = too_few(
        bounds.high if bounds else None, cpus, "TIME_WAIT mini-sockets", IDLE_SLABS_PER_CPU * _objects_per_slab(table)
    ) or too_few(count, cpus, "TIME_WAIT mini-sockets")
    now: tuple[Slice, ...] = ()
    if cache_bytes is None:
        because = "what the tw_sock caches hold is not known"
    elif count and because is None:
        now = _now_slices(snapshot, table, accepted, cache_bytes / count, (idle or 0.0) / count, 0.0, 0.0)
    return ConnectionCost(
        by_family=by_family,
        idle_bytes_per_socket=idle / count if now and idle is not None and count else None,
        # A mini-socket has no queues (include/net/inet_timewait_sock.h).
        buffer_bytes_per_socket=0.0,
        now_bytes=sum(each.bytes for each in now) if now else None,
        now_is_at_most=bool(now and bounds and not accepted.missing and bounds.low < bounds.high),
        now_unknown_because=because,
        now_slices=now,
        now_divisor=round(count) if now and count else None,
    )


def _now_slices(
    snapshot: Snapshot,
    table: CacheTable,
    accepted: SocketCost,
    cache_bytes_per_socket: float,
    idle_per_socket: float,
    with_file: float,
    with_inode: float,
) -> tuple[Slice, ...]:
    """Parts of the present average: objects in TCP's own caches, idle slab memory, and objects in other caches.

    `cache_bytes_per_socket` is the size of TCP's own caches ÷ the number of sockets. `idle_per_socket` is the idle part
    of `cache_bytes_per_socket`. `with_file` is the share of sockets that have a file, 0 to 1. `with_inode` is the share
    of sockets that have an inode, 0 to 1. The bytes of objects that belong to files are multiplied by `with_file`. The
    bytes of objects that belong to inodes are multiplied by `with_inode`. Every slab of TCP's own caches has a memory
    cgroup vector, even a slab without active objects. Bind buckets are left out: a bind bucket belongs to a local port,
    and no counter shows the number of used ports.
    """
    families = {kernel_object.struct for pair in FAMILY_OBJECTS.values() for kernel_object in pair}
    own_parts = [part for part in accepted.parts if part.object in families]
    own = sum(part.slab_bytes or 0.0 for part in own_parts)
    of_slabs = cache_bytes_per_socket / own if own else 0.0
    own_vectors = sum(part.slab_bytes or 0.0 for part in cgroup_vector_costs(snapshot, table, own_parts)[0])
    slices: dict[str, float] = {}
    labels = slice_labels(accepted.parts)
    for part in accepted.parts:
        if part.object in families:
            share = (part.slab_bytes or 0.0) / own * (cache_bytes_per_socket - idle_per_socket) if own else 0.0
        elif part.object == CGROUP_VECTORS.struct:
            continue
        else:
            holders = with_inode if part.object in HELD_WITH_INODE else with_file
            share = (part.slab_bytes or 0.0) * (1.0 if part.object == LSM_SOCKET_BLOB.struct else holders)
            share *= table.fallback_factor(part.cache)
        label = labels[part.object]
        slices[label] = slices.get(label, 0.0) + share
    vectors = sum(part.slab_bytes or 0.0 for part in accepted.parts if part.object == CGROUP_VECTORS.struct)
    slices[CGROUP_VECTORS.label] = own_vectors * of_slabs + max(0.0, vectors - own_vectors) * with_inode
    slices["idle"] = idle_per_socket
    return tuple(Slice(label, amount) for label, amount in slices.items() if amount)


def _cache_bytes(table: CacheTable, mode: AccountingMode) -> int | None:
    """Size of the IPv4 cache and the IPv6 cache together, in bytes.

    The size is None if the size of a cache that may exist is unknown.
    """
    total = 0
    for kernel_object in FAMILY_OBJECTS[mode]:
        lookup = table.find(kernel_object)
        if lookup.status == "absent":
            continue
        if lookup.line is None or lookup.line.bytes is None:
            return None
        total += lookup.line.bytes
    return total


def _objects(table: CacheTable, mode: AccountingMode) -> int | None:
    """Objects of the IPv4 cache and the IPv6 cache together, free objects included; None if unknown."""
    lines = [table.find(item).line for item in FAMILY_OBJECTS[mode] if table.find(item).status != "absent"]
    counts = [line.objects if line else None for line in lines]
    return None if None in counts else sum(filter(None, counts))


def _idle_bytes(
    table: CacheTable, cache_bytes: int | None, count: float | None, mix: FamilyMix, mode: AccountingMode = "full"
) -> float | None:
    """Unused bytes of the IPv4 cache and the IPv6 cache together, at least 0; None if unknown.

    Unused bytes are the size of both caches − (IPv4 sockets × slab share in the IPv4 cache) − (IPv6 sockets × slab
    share in the IPv6 cache). The slab share is computed from the present slabs. If the kernel fell back to smaller
    slabs, the slab share is larger.

    Active objects that no CPU can have cached are not unused, even if there are fewer sockets: an object may be in use
    after its socket is no longer counted. The unused bytes are therefore at most those of the free objects, and of as
    many objects as CPUs can cache.
    """
    if cache_bytes is None or count is None:
        return None
    used = 0.0
    for kernel_object, share in zip(FAMILY_OBJECTS[mode], (mix.ipv4, mix.ipv6), strict=True):
        line = table.find(kernel_object).line
        if share and (line is None or line.present_share_bytes is None):
            return None
        used += count * share * (line.present_share_bytes or 0.0 if line else 0.0)
    lines = [table.find(item).line for item in FAMILY_OBJECTS[mode]]
    return max(0.0, cache_bytes - max(used, sum(_surely_used_bytes(line) for line in lines if line is not None)))


def _surely_used_bytes(line: CacheLine) -> float:
    """Bytes of the active objects of a cache that no CPU can have cached; 0 if unknown."""
    if line.active_objects is None or line.idle_error_objects is None:
        return 0.0
    return max(0, line.active_objects - line.idle_error_objects) * (line.present_share_bytes or 0.0)


def buffers_per_socket(sockets: SocketCounts, cpus: int | None) -> float | None:
    """Bytes of socket buffers per socket.

    The result is None if there are few sockets, or if only an upper bound on the bytes is known.
    """
    if too_few(sockets.allocated, cpus, "sockets") is not None:
        return None
    if not sockets.allocated or sockets.buffer_bytes is None or sockets.buffer_error_bytes is None:
        return None
    if sockets.buffers_within_error:
        return None
    return sockets.buffer_bytes / sockets.allocated


def too_few(count: float | None, cpus: int | None, what: str, per_cpu: int = 0) -> str | None:
    """The reason why there is no average: `count` or the number of CPUs is unknown, or `count` is too small.

    The reason is None if `count` is large enough.
    """
    if count is None:
        return f"the number of {what} is not known"
    if cpus is None:
        return "the number of CPUs is not known"
    per_cpu = max(MIN_SOCKETS_PER_CPU, per_cpu)
    if count >= per_cpu * cpus:
        return None
    return f"{TOO_FEW}{grouped(per_cpu * cpus)} {what} ({per_cpu} × CPUs)"


def _objects_per_slab(table: CacheTable) -> int:
    """Objects per slab of the tw_sock cache; 0 if unknown."""
    line = table.find(TW_SOCK).line
    return (line.objects_per_slab or 0) if line else 0
