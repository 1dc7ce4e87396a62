"""Bounds on the number of objects that all TCP sockets of the machine hold, and the bytes of one object of each kind.

A comparison of two ledgers multiplies the change in the number of objects by the bytes of one object. The objects of
a single socket are selected in socket_cost.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Literal

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_vectors import cgroup_vector_costs, has_vectors
from tcptop.accounting.object_cost import object_costs
from tcptop.accounting.socket_cost import objects_held
from tcptop.accounting.socket_counts import (
    HELD_WITH_INODE,
    has_kernel_sockets,
    min_sockets_with_inode,
    mini_socket_count,
    sockets_with_file,
    sockets_with_inode,
)
from tcptop.kernel.objects import BIND_BUCKETS, CGROUP_VECTORS, MINI_SOCKETS, REQUEST_SOCKS, SOCKS, KernelObject, State
from tcptop.ledger import UNKNOWN_CACHE, Amount, HeldName, HeldObjects, HeldPart, ObjectCost, SocketCounts
from tcptop.snapshot import Snapshot

ZERO = Amount(0, 0)
OF_SOCK = objects_held(State.ORPHAN, owns_port=False)
OF_FILE = tuple(item for item in objects_held(State.ESTABLISHED, owns_port=False) if item not in OF_SOCK)
OF_INODE = tuple(item for item in OF_FILE if item.struct in HELD_WITH_INODE)
OF_PORT = tuple(item for item in objects_held(State.ORPHAN, owns_port=True) if item in BIND_BUCKETS)


def held_objects(snapshot: Snapshot, table: CacheTable, sockets: SocketCounts) -> tuple[HeldObjects, ...]:
    """The objects of each kind; kinds whose number is unknown are left out."""
    beside = table.matching_sockstat
    if beside is not None:
        sockets = sockets._replace(allocated=beside.allocated, orphans=beside.orphans)
    found: list[HeldObjects] = []

    def add(name: HeldName, number: Amount | None, items: Sequence[KernelObject], rows: Sequence[Amount] = ()) -> None:
        if number is not None:
            numbers = dict(zip(("ipv4", "ipv6"), rows, strict=False))
            found.append(HeldObjects(name, number, tuple(_parts(snapshot, table, items, number, numbers))))

    socks = None if sockets.allocated is None else Amount(sockets.allocated, sockets.allocated)
    is_counted = sockets.time_wait_machine_max is not None or sockets.time_wait_scope == "machine"
    mini_sockets = mini_socket_count(table, sockets) if is_counted else None
    requests = _requests(table)
    if socks is not None:
        here = (sockets.inuse or 0, sockets.inuse6 or 0)
        socks_of = [_in_use(table, item, count) for item, count in zip(SOCKS, here, strict=True)]
        add("socks", socks, OF_SOCK, _by_family(socks, socks_of))
        with_file, without_file = _with_inode(
            table, sockets, None if requests is None else requests[0].high + requests[1].high
        )
        add("files", with_file, OF_FILE)
        add("inodes", without_file, OF_INODE)
        add("local ports", Amount(0, socks.high + (mini_sockets.high if mini_sockets else 0)), OF_PORT)
    if requests is not None:
        number = Amount(sum(each.low for each in requests), sum(each.high for each in requests))
        add("request socks", number, objects_held(State.SYN_RECV, owns_port=False), requests)
    if mini_sockets is not None:
        mini_sockets_of = _by_family(mini_sockets, [_in_use(table, item) for item in MINI_SOCKETS])
        add("mini-sockets", mini_sockets, objects_held(State.TIME_WAIT, owns_port=False), mini_sockets_of)
    return tuple(found)


def _requests(table: CacheTable) -> list[Amount] | None:
    """Bounds on the number of request socks of IPv4 and of IPv6; None if the active objects were not counted."""
    lookups = [table.find(item) for item in REQUEST_SOCKS]
    is_counted = [each.line.active_objects is not None if each.line else each.status == "absent" for each in lookups]
    return [_in_use(table, item) for item in REQUEST_SOCKS] if all(is_counted) else None


def _in_use(table: CacheTable, item: KernelObject, least: int = 0) -> Amount:
    """Bounds on the number of objects in use in the cache of one family.

    If the active objects were not counted, `least` is the lower bound.
    """
    lookup = table.find(item)
    if lookup.status == "absent":
        return ZERO
    line = lookup.line
    if line is None or line.max_in_use is None:
        return Amount(least, inf)
    if line.active_objects is None:
        return Amount(min(least, line.max_in_use), line.max_in_use)
    error = line.active_objects if line.idle_error_objects is None else line.idle_error_objects
    return Amount(line.active_objects - error, line.active_objects)


def _by_family(total: Amount, in_use: Sequence[Amount]) -> tuple[Amount, Amount]:
    """Bounds on the number of objects of each family, from the total number and the objects in use in each cache.

    If the total contradicts the counts of the caches, the counts of the caches are used, because the bytes also come
    from the caches.
    """
    one, two = in_use
    return (
        Amount(_clamp(total.low - two.high, one), _clamp(total.high - two.low, one)),
        Amount(_clamp(total.low - one.high, two), _clamp(total.high - one.low, two)),
    )


def _clamp(number: float, bounds: Amount) -> float:
    return min(max(number, bounds.low), bounds.high)


def _with_inode(table: CacheTable, sockets: SocketCounts, requests: float | None) -> tuple[Amount, Amount]:
    """Bounds on the number of sockets with a file, and on the number of sockets with an inode and no file.

    `requests` is the maximum number of sockets in accept queues, where sockets have no inode yet.
    """
    counts = (table, sockets.allocated, sockets.orphans)
    inodes, files = sockets_with_inode(*counts), sockets_with_file(*counts)
    if inodes is None or files is None or sockets.allocated is None or sockets.orphans is None:
        return Amount(0, sockets.allocated or 0), ZERO
    owned = sockets.allocated - sockets.orphans
    min_inodes: float = min_sockets_with_inode(*counts)
    if requests is not None:
        min_inodes = max(min_inodes, min(inodes, owned - requests))
    if has_kernel_sockets(table):
        return Amount(0, files), Amount(max(0, min_inodes - files), inodes)
    min_files = min(min_inodes, files)
    ends = (min_inodes - min_files, inodes - files)
    return Amount(min_files, files), Amount(min(ends), max(ends))


def _parts(
    snapshot: Snapshot,
    table: CacheTable,
    items: Sequence[KernelObject],
    number: Amount,
    by_family: dict[str, Amount],
) -> Iterable[HeldPart]:
    """Yields the memory of one kind of object: the objects, and the memory cgroup vectors of the objects' slabs."""
    for family in (None, "ipv4", "ipv6"):
        of_kind = tuple([item for item in items if item.family == family])
        if not of_kind:
            continue
        key = (family or "", *[item.struct for item in of_kind])
        found = table.whole_costs.of_kind
        if key not in found:
            found[key] = tuple(_units(snapshot, table, of_kind, family))
        of_family = by_family.get(family or "", number)
        for unit in found[key]:
            yield unit._replace(number=of_family)


def _units(
    snapshot: Snapshot, table: CacheTable, items: Sequence[KernelObject], family: Literal["ipv4", "ipv6"] | None
) -> Iterable[HeldPart]:
    """Yields the parts of objects of one family, without their number."""
    known: list[ObjectCost] = []
    all_known = True
    for item in items:
        for cost in object_costs(snapshot, table, item, 1.0):
            if isinstance(cost, ObjectCost):
                known.append(cost)
            else:
                all_known = False
                yield HeldPart(item.struct, family, None, (), ZERO, None, 1.0, False)
    vectors, all_vectors_known = cgroup_vector_costs(snapshot, table, known)
    for cost in (*known, *vectors):
        cache = cost.cache if cost.object == CGROUP_VECTORS.struct else None
        low = cost.object_bytes if cost.slab_bytes is None else cost.slab_bytes
        high = inf if cost.slab_bytes is None else low if cost.high_slab_bytes is None else cost.high_slab_bytes
        factor = table.fallback_factor(cost.cache)
        is_read = cost.slab_bytes is not None and not cost.computed
        rows = table.possible_rows(cost)
        yield HeldPart(cost.object, family, cache, rows, ZERO, Amount(low, high), factor, is_read)
    all_known = all_known and all(cost.slab_bytes is not None for cost in known)
    if not (all_known and all_vectors_known) and has_vectors(snapshot, table) is not False:
        yield HeldPart(CGROUP_VECTORS.struct, family, UNKNOWN_CACHE, (), ZERO, None, 1.0, False)
