"""Headroom of memory: the number of sockets that still fit without reclaim of memory, and the number with reclaim."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from tcptop.accounting.cache_table import COST_SOURCES, CacheTable
from tcptop.accounting.free_memory import SLAB_ZONES, ZONE_ORDER, SparePages, spare_pages
from tcptop.accounting.machine import is_of_machine
from tcptop.accounting.slab_bytes import smallest_slab
from tcptop.accounting.socket_buffers import BufferMemory
from tcptop.kernel.architecture import architecture_of
from tcptop.kernel.objects import DENTRY, SOCKET_ALLOC, SOCKS
from tcptop.ledger import (
    AccountingMode,
    Amount,
    CacheLine,
    ConnectionCost,
    Headroom,
    NodeHeadroom,
    SocketCost,
    SocketCounts,
    TcpMemory,
    UsableMemory,
)
from tcptop.snapshot import Meminfo, Reading, Snapshot, Zone

HIGH_MEMORY = "HighMem"
"""Name of the zone of memory that a 32-bit kernel does not map all the time."""
SMALLER_MEMINFO = "meminfo shows less memory than zoneinfo: it is a container's or another machine's"

OUTGOING_SHARE = 0.5
"""Assumed share of outgoing sockets among new sockets. An outgoing socket has a local port of its own, but no counter
shows the number of outgoing sockets."""

GIGANTIC_BYTES = 1 << 30
"""Size of a huge page that zone Movable never has."""

SEGMENTS_SHARE = 0.05
"""If live segments take less than this share of the sockets' slab memory, and the counter of buffers is within its
error, a new socket counts without buffers: the few segments in flight would change all numbers from moment to moment.
"""
EXACT_SHARE = 0.01
"""The headroom counts as exact if the bounds on a socket's buffers differ by at most this share of its bytes."""

RECLAIM_ACCOUNTED = (SOCKET_ALLOC, DENTRY)
"""Structs whose slabs count as reclaimable (SLAB_RECLAIM_ACCOUNT), although an open socket holds their objects."""


class NewSocket(NamedTuple):
    """Bytes that a new socket takes, under different assumptions."""

    bytes: float
    """Bytes of a new socket if slabs have the preferred order and buffers have the estimated size."""
    high_bytes: float
    """Bytes of a new socket if slabs have the preferred order and buffers have the maximum size."""
    fallback_bytes: float
    """Bytes of a new socket if slabs have the smallest order (mm/slub.c, oo_min) and buffers have the maximum size."""
    order: int
    """Largest order of the slabs that hold the objects of the socket."""

    @property
    def buffers_may_exceed(self) -> bool:
        """True if the buffers may be larger than estimated, by more than EXACT_SHARE of the socket's bytes."""
        return self.high_bytes - self.bytes > EXACT_SHARE * self.bytes


class RoomForSlabs(NamedTuple):
    """The machine's memory that further slabs can take, in pages."""

    spare: SparePages
    late_pages: int | None
    """Free pages that the kernel has not initialised yet; None if unknown."""
    reclaim_pages: int | None
    """Pages that reclaim can free; None if unknown."""


def machine_headroom(
    snapshot: Snapshot,
    table: CacheTable,
    page_bytes: int | None,
    costs: Mapping[AccountingMode, ConnectionCost],
    sockets: SocketCounts,
    buffers: BufferMemory | None,
    memory: TcpMemory,
) -> dict[AccountingMode, Headroom]:
    """The number of further sockets that fit into memory, in each accounting mode.

    A new full socket has buffers of the present average size; a mini-socket has no buffers. The counter of buffers has
    an error, so that the average is at least the counter less its error, and at most the counter and its error.
    """
    doubted = bool(snapshot.contradictions.sources & set(COST_SOURCES))
    per_socket = _average_buffers(sockets, buffers, costs["full"])
    by_mode: tuple[tuple[AccountingMode, Amount | None], ...] = (("full", per_socket), ("time_wait", Amount(0.0, 0.0)))
    usable = usable_memory(snapshot, table, page_bytes, memory)
    return {
        mode: memory_headroom(
            snapshot, table, None if doubted else page_bytes, mode, costs[mode], amount, memory
        )._replace(usable=usable)
        for mode, amount in by_mode
    }


def _average_buffers(sockets: SocketCounts, buffers: BufferMemory | None, cost: ConnectionCost) -> Amount | None:
    """Bounds on the memory in the buffers of a present socket; None if unknown, and 0 if there is no average."""
    if buffers is None:
        return None
    # An average that is held may be of many more sockets than there are now.
    has_average = cost.now_bytes is not None and cost.now_held_because is None
    if not sockets.allocated or not (has_average or cost.buffer_bytes_per_socket):
        return Amount(0.0, 0.0)
    # Without many live segments, nothing shows that a counter within its error is of buffers.
    slab_bytes = cost.now_bytes or cost.by_family["mix"].accepted.slab_bytes or 0.0
    has_segments = buffers.bytes > SEGMENTS_SHARE * slab_bytes * sockets.allocated
    has_buffers = has_segments or not sockets.buffers_within_error
    low, high = buffers.bounds.low, buffers.bounds.high if has_buffers else 0.0
    return None if high == inf else Amount(low / sockets.allocated, max(low, high) / sockets.allocated)


def memory_headroom(
    snapshot: Snapshot,
    table: CacheTable,
    page_bytes: int | None,
    mode: AccountingMode,
    cost: ConnectionCost,
    buffers: Amount | None,
    memory: TcpMemory,
) -> Headroom:
    """The headroom of memory in one accounting mode.

    The headroom is a sum over all nodes, because slab pages have no preferred node (mm/slub.c, alloc_slab_page). The
    page allocator reclaims memory only if no zone of any node has free pages above the low watermark (mm/page_alloc.c,
    get_page_from_freelist). `buffers` is the memory in the buffers of one socket: `low` is the estimate, and `high` is
    the maximum. If `buffers` is None, the memory of buffers is unknown, and the headroom is an upper bound.
    """
    zones = snapshot.zoneinfo.value.zones if snapshot.zoneinfo.value else ()
    meminfo = _machine_meminfo(snapshot, page_bytes)
    socket = _new_socket(table, page_bytes, cost, buffers or Amount(0.0, 0.0))
    sysctls = snapshot.sysctls.value
    reclaim_mode = sysctls.zone_reclaim_mode if sysctls else None
    reclaims_first = None if reclaim_mode is None else reclaim_mode != 0
    may_be_more = socket is not None and bool(buffers and buffers.high) and socket.buffers_may_exceed
    is_part_unknown = bool(cost.by_family["mix"].outgoing.missing) or buffers is None
    bytes_are_at_least = is_part_unknown or may_be_more
    buffer_bytes, high_buffer_bytes = (None, None) if buffers is None else buffers
    unknown = Headroom(
        mode, None, None, None, socket.bytes if socket else None, None, {}, reclaims_first, None, bytes_are_at_least
    )._replace(buffer_bytes=buffer_bytes, high_buffer_bytes=high_buffer_bytes, bytes_are_at_least=bytes_are_at_least)
    if socket is None or page_bytes is None:
        return unknown._replace(unknown_because="the bytes of one more socket are not known")
    room = _room_for_slabs(snapshot, table, zones, meminfo, page_bytes, memory)
    if isinstance(room, str):
        return unknown._replace(unknown_because=room)
    spare, late_pages, reclaim_pages = room.spare.by_zone, room.late_pages, room.reclaim_pages
    max_late_pages = _max_late_pages(zones) if late_pages is None else late_pages
    pages = sum(spare.values()) + (late_pages or 0)
    reserved = _reserved_pages(snapshot, spare)
    large_pages = _large_pages(snapshot, zones, spare, reserved, socket.order)
    low: int | None = None
    if large_pages is not None:
        unreserved = pages - sum(reserved.values())
        low = _with_fallback(socket, unreserved, large_pages + (late_pages or 0), page_bytes)
    return Headroom(
        mode=mode,
        with_reclaim=None if reclaim_pages is None else int((pages + reclaim_pages) * page_bytes / socket.bytes),
        without_reclaim_low=low,
        without_reclaim_high=None
        if max_late_pages is None
        else int((sum(spare.values()) + max_late_pages) * page_bytes / socket.bytes),
        bytes_per_socket=socket.bytes,
        late_bytes=None if late_pages is None else late_pages * page_bytes,
        nodes=_node_headrooms(table, zones, spare, page_bytes, socket),
        reclaims_node_first=reclaims_first,
        unknown_because=None if reclaim_pages is not None else _why_no_reclaim(snapshot, meminfo),
        is_at_most=bytes_are_at_least or room.spare.is_at_most,
        with_reclaim_bytes=None if reclaim_pages is None else (pages + reclaim_pages) * page_bytes,
        with_reclaim_low=None
        if reclaim_pages is None or is_part_unknown or room.spare.is_at_most
        else int((pages + reclaim_pages) * page_bytes / socket.high_bytes),
        buffer_bytes=buffer_bytes,
        high_buffer_bytes=high_buffer_bytes,
        bytes_are_at_least=bytes_are_at_least,
    )


def usable_memory(
    snapshot: Snapshot, table: CacheTable, page_bytes: int | None, memory: TcpMemory
) -> UsableMemory | None:
    """The memory that slabs can use; None if slabs can use all memory, or if meminfo is a container's.

    On a machine with memory in zone Movable or HighMem, or with free memory of CMA, MemTotal and MemAvailable count
    memory that slabs never get; MemTotal also counts the pools of huge pages. Without zoneinfo, meminfo has the memory
    of HighMem, but not what is available without it.
    """
    zones = snapshot.zoneinfo.value.zones if snapshot.zoneinfo.value else ()
    left_out = _zones_without_slabs(snapshot, zones)
    meminfo = _machine_meminfo(snapshot, page_bytes)
    cma_pages = sum(zone.free_cma_pages or 0 for zone in zones if zone.name in SLAB_ZONES)
    if not left_out and meminfo is not None:
        return _usable_without_pools(meminfo, cma_pages * (page_bytes or 0))
    if not left_out or (meminfo is None and not is_of_machine(snapshot, page_bytes)):
        return None
    unknown = UsableMemory(left_out, None, None, None, "")
    if page_bytes is None:
        return unknown._replace(unknown_because="the size of a page is not known")
    if not zones:
        high_bytes = meminfo.high_total_bytes if meminfo is not None else None
        most = max(0, (meminfo.total_bytes or 0) - high_bytes) if meminfo is not None and high_bytes else None
        return unknown._replace(bytes=most, is_at_most=most is not None, unknown_because="zoneinfo was not read")
    room = _room_for_slabs(snapshot, table, zones, meminfo, page_bytes, memory)
    if isinstance(room, str):
        return unknown._replace(unknown_because=room)
    if room.late_pages is None or room.reclaim_pages is None:
        return unknown._replace(unknown_because=_why_no_reclaim(snapshot, meminfo))
    managed_pages = sum(zone.managed_pages or 0 for zone in zones if zone.name in SLAB_ZONES) - cma_pages
    huge_bytes = 0 if meminfo is None else _huge_bytes_of_slab_zones(snapshot, meminfo, zones, page_bytes)
    available_pages = sum(room.spare.by_zone.values()) + room.late_pages + room.reclaim_pages
    return UsableMemory(
        left_out,
        (managed_pages + room.late_pages) * page_bytes - huge_bytes,
        available_pages * page_bytes,
        room.spare.error_pages * page_bytes,
        "",
        cma_pages * page_bytes,
        huge_bytes,
    )


def _usable_without_pools(meminfo: Meminfo, cma_bytes: int) -> UsableMemory | None:
    """All memory less the free memory of CMA and the pools of huge pages; None if these are only a small share.

    MemAvailable counts the free memory of CMA, and no huge page: also a free one is taken from the page allocator.
    """
    total, available, huge_bytes = meminfo.total_bytes, meminfo.available_bytes, meminfo.huge_page_bytes or 0
    if total is None or available is None or cma_bytes + huge_bytes <= EXACT_SHARE * total:
        return None
    usable_bytes, available = max(0, total - cma_bytes - huge_bytes), max(0, available - cma_bytes)
    return UsableMemory((), max(usable_bytes, available), available, 0, "", cma_bytes, huge_bytes)


def _huge_bytes_of_slab_zones(snapshot: Snapshot, meminfo: Meminfo, zones: Sequence[Zone], page_bytes: int) -> int:
    """Lower bound on the memory of huge pages in the zones that slabs come from.

    The other zones of a node may have any of its huge pages, except those that are larger than the largest block of the
    page allocator (mm/hugetlb.c, hugepage_movable_supported). The nodes show the pool of the default size alone; the
    other pools are certain where the architecture has no further size but gigantic ones.
    """
    all_bytes, size_bytes = meminfo.huge_page_bytes or 0, meminfo.huge_page_size_bytes or 0
    others_bytes: dict[int, int] = defaultdict(int)
    for zone in zones:
        if zone.name not in SLAB_ZONES:
            others_bytes[zone.node] += (zone.managed_pages or 0) * page_bytes
    default_bytes = (meminfo.huge_pages or 0) * size_bytes
    topology, sysctls = snapshot.topology.value, snapshot.sysctls.value
    pools = {node.node: (node.huge_pages or 0) * size_bytes for node in (topology.nodes if topology else ())}
    certain_bytes = sum(max(0, size - others_bytes[node]) for node, size in pools.items())
    others = set(architecture_of(sysctls.architecture if sysctls else None).huge_page_sizes_bytes) - {size_bytes}
    others_are_gigantic = bool(others) and min(others) >= GIGANTIC_BYTES
    if size_bytes >= GIGANTIC_BYTES:
        certain_bytes = default_bytes
    elif meminfo.huge_pages is not None and others_are_gigantic:
        certain_bytes += max(0, all_bytes - default_bytes)
    return min(all_bytes, max(certain_bytes, all_bytes - sum(others_bytes.values())))


def _zones_without_slabs(snapshot: Snapshot, zones: Sequence[Zone]) -> tuple[str, ...]:
    """Names of the zones with memory that slabs never use, in the kernel's order.

    Without zoneinfo, the zones of buddyinfo are taken, which has no zone without memory. HighMem is also among
    them if meminfo has memory of it.
    """
    areas = snapshot.buddyinfo.value.areas if snapshot.buddyinfo.value else ()
    with_blocks = {(area.node, area.zone) for area in areas}
    found = {area.zone for area in areas} if not zones else set[str]()
    if snapshot.meminfo.value is not None and snapshot.meminfo.value.high_total_bytes:
        found.add(HIGH_MEMORY)
    for zone in zones:
        counts = (zone.managed_pages, zone.present_pages, zone.free_pages)
        pages = next((count for count in counts if count is not None), None)
        if pages or (pages is None and (zone.node, zone.name) in with_blocks):
            found.add(zone.name)
    return tuple(name for name in ZONE_ORDER if name in found and name not in SLAB_ZONES)


def _room_for_slabs(
    snapshot: Snapshot,
    table: CacheTable,
    zones: Sequence[Zone],
    meminfo: Meminfo | None,
    page_bytes: int,
    memory: TcpMemory,
) -> RoomForSlabs | str:
    """The memory that further slabs can take; if it is unknown, a text that says why."""
    lacking = _nodes_without_zones(snapshot, zones)
    if lacking:
        return f"zoneinfo has no zone of node {min(lacking)}, which has memory"
    if zones and meminfo is not None and meminfo.high_total_bytes and all(zone.name != HIGH_MEMORY for zone in zones):
        return f"zoneinfo has no zone {HIGH_MEMORY}, of which meminfo has memory"
    if snapshot.zoneinfo.value is not None and not _is_whole(snapshot.zoneinfo):
        return "zoneinfo has damaged or impossible figures"
    spare = spare_pages(zones)
    if spare is None:
        return "zoneinfo's free pages, watermarks or protection are not known"
    cache_pages = None
    unusable_pages = _unusable_cache_pages(zones)
    if meminfo is not None and meminfo.file_bytes is not None and unusable_pages is not None:
        cache_pages = max(0, meminfo.file_bytes // page_bytes - unusable_pages)
    late_pages = _late_pages(meminfo, zones, page_bytes)
    reclaim_pages = None
    if late_pages is not None:
        low_pages = sum(zone.low_pages or 0 for zone in zones)
        reclaim_pages = _reclaim_pages(meminfo, cache_pages, low_pages, page_bytes, _held_bytes(table, memory))
    return RoomForSlabs(spare, late_pages, reclaim_pages)


def _new_socket(table: CacheTable, page_bytes: int | None, cost: ConnectionCost, buffers: Amount) -> NewSocket | None:
    """The average bytes of one more socket; None if the slab bytes of a socket are unknown.

    The average is over accepted and outgoing sockets; `OUTGOING_SHARE` is the assumed share of outgoing sockets.
    """
    sides = cost.by_family["mix"]
    accepted, outgoing = sides.accepted.slab_bytes, sides.outgoing.slab_bytes
    if page_bytes is None or not accepted or not outgoing:
        return None
    shares = ((sides.accepted, 1 - OUTGOING_SHARE), (sides.outgoing, OUTGOING_SHARE))
    orders = [line.order for part in sides.outgoing.parts if (line := table.get(part.cache)) and line.order is not None]
    slabs = accepted * (1 - OUTGOING_SHARE) + outgoing * OUTGOING_SHARE
    small_slabs = sum(_small_slab_bytes(table, side, page_bytes) * share for side, share in shares)
    return NewSocket(
        bytes=slabs + buffers.low,
        high_bytes=slabs + buffers.high,
        fallback_bytes=max(slabs, small_slabs) + buffers.high,
        order=max(orders, default=0),
    )


def _small_slab_bytes(table: CacheTable, cost: SocketCost, page_bytes: int) -> float:
    """The slab bytes of a socket if every slab has the smallest order that one object fits into."""
    total = 0.0
    for part in cost.parts:
        line = table.get(part.cache)
        share = part.high_slab_bytes or part.slab_bytes or part.object_bytes
        if line is not None and line.object_bytes and line.slab_share_bytes:
            pages, objects = smallest_slab(line.object_bytes, page_bytes)
            share *= max(1.0, pages * page_bytes / objects / line.slab_share_bytes)
        total += share
    return total


def _with_fallback(socket: NewSocket, pages: int, large_pages: int, page_bytes: int) -> int:
    """Number of sockets that fit without compaction and reclaim, assuming buffers of the maximum size.

    Slabs take blocks of their preferred order first. When the blocks of the preferred order are used up, slabs take
    blocks of the smallest order.
    """
    in_large = min(pages, large_pages) * page_bytes
    return int(in_large / socket.high_bytes + (pages * page_bytes - in_large) / socket.fallback_bytes)


def _machine_meminfo(snapshot: Snapshot, page_bytes: int | None) -> Meminfo | None:
    """The values of meminfo; None if meminfo is damaged, or may not describe the whole machine."""
    meminfo = snapshot.meminfo.value
    if meminfo is None or not _is_whole(snapshot.meminfo):
        return None
    return meminfo if meminfo.total_bytes is not None and is_of_machine(snapshot, page_bytes) else None


def _why_no_reclaim(snapshot: Snapshot, meminfo: Meminfo | None) -> str:
    if meminfo is None and snapshot.meminfo.value is not None:
        is_damaged = not _is_whole(snapshot.meminfo) or snapshot.meminfo.value.total_bytes is None
        return "meminfo has damaged or impossible figures" if is_damaged else SMALLER_MEMINFO
    if meminfo is not None and meminfo.free_bytes is None:
        return "meminfo has no MemFree, so the memory that is not initialised yet is not known"
    if snapshot.zoneinfo.value and any(zone.managed_pages is None for zone in snapshot.zoneinfo.value.zones):
        return "zoneinfo has no managed pages of a zone, so the memory that is not initialised yet is not known"
    return "meminfo's page cache or reclaimable slabs are not known"


def _is_whole(reading: Reading[Any]) -> bool:
    """True if a source has neither damage nor impossible figures."""
    return reading.state in ("ok", "late")


def _nodes_without_zones(snapshot: Snapshot, zones: Sequence[Zone]) -> set[int]:
    """Nodes that have memory but no zone in zoneinfo.

    If a node with memory has no zone, zoneinfo was cut off exactly at the end of a line. The damage is not visible in
    the remaining lines, because each of them is complete.
    """
    topology = snapshot.topology.value
    with_memory = {facts.node for facts in topology.nodes if facts.memory_bytes} if topology and zones else set()
    return with_memory - {zone.node for zone in zones}


def _reserved_pages(snapshot: Snapshot, spare: Mapping[tuple[int, str], int]) -> dict[tuple[int, str], int]:
    """Spare pages that are reserved for atomic allocations of larger orders (HighAtomic), by node and zone.

    Reclaim ends the reservation of HighAtomic pages. Only pagetypeinfo shows HighAtomic pages; if pagetypeinfo is not
    read, the number of HighAtomic pages is taken as 0.
    """
    pages: dict[tuple[int, str], int] = {}
    for area in snapshot.pagetypeinfo.value.areas if snapshot.pagetypeinfo.value else ():
        if area.migrate_type == "HighAtomic":
            key = (area.node, area.zone)
            pages[key] = pages.get(key, 0) + sum(count << order for order, count in enumerate(area.blocks))
    return {key: min(pages.get(key, 0), count) for key, count in spare.items()}


def _large_pages(
    snapshot: Snapshot,
    zones: Sequence[Zone],
    spare: Mapping[tuple[int, str], int],
    reserved: Mapping[tuple[int, str], int],
    order: int,
) -> int | None:
    """Spare pages that are certainly in blocks of order `order` or larger; None if a zone is missing in buddyinfo.

    Pages that slabs may not use (CMA, HighAtomic, below the watermark) are assumed to be in large blocks.
    """
    if snapshot.buddyinfo.value is None or not _is_whole(snapshot.buddyinfo):
        return None
    areas = {(area.node, area.zone): area.blocks for area in snapshot.buddyinfo.value.areas}
    cma = {(zone.node, zone.name): zone.free_cma_pages or 0 for zone in zones}
    if spare.keys() - areas.keys():
        return None
    total = 0
    for key, pages in spare.items():
        large = sum(count << larger for larger, count in enumerate(areas[key]) if larger >= order)
        total += min(pages - reserved[key], max(0, large - cma[key] - reserved[key]))
    return total


def _late_pages(meminfo: Meminfo | None, zones: Sequence[Zone], page_bytes: int) -> int | None:
    """Free pages that the kernel has not initialised yet (deferred struct pages).

    MemFree counts the uninitialised pages, but the free pages of the zones do not.
    """
    if meminfo is None or meminfo.total_bytes is None or meminfo.free_bytes is None:
        return None
    if any(zone.managed_pages is None or zone.free_pages is None for zone in zones):
        return None
    unmanaged = meminfo.total_bytes // page_bytes - sum(zone.managed_pages or 0 for zone in zones)
    free = meminfo.free_bytes // page_bytes - sum(zone.free_pages or 0 for zone in zones)
    return max(0, min(unmanaged, free))


def _max_late_pages(zones: Sequence[Zone]) -> int | None:
    """Upper bound on the free pages that are not initialised yet, from zoneinfo alone; None if unknown.

    Present pages that the page allocator does not manage are either not initialised yet, or the kernel's own.
    """
    pages = [
        None if zone.present_pages is None or zone.managed_pages is None else zone.present_pages - zone.managed_pages
        for zone in zones
    ]
    return None if None in pages else max(0, sum(filter(None, pages)))


def _unusable_cache_pages(zones: Sequence[Zone]) -> int | None:
    """Pages of page cache in zones that slabs never use (Movable, HighMem); None if unknown.

    Reclaim of page cache in Movable and HighMem gives no memory for slabs.
    """
    others = [zone for zone in zones if zone.name not in SLAB_ZONES and zone.managed_pages != 0]
    counts_zones = any(zone.zone_file_pages is not None for zone in zones)
    pages = [zone.zone_file_pages if counts_zones else zone.own_file_pages for zone in others]
    return None if None in pages else sum(filter(None, pages))


def _held_bytes(table: CacheTable, memory: TcpMemory) -> int:
    """Bytes of slabs that the kernel counts as reclaimable although open TCP sockets hold the objects."""
    lines = [table.find(item).line for item in RECLAIM_ACCOUNTED]
    names = {line.name for line in lines if line is not None}
    return sum(part.bytes for part in memory.parts if part.name in names)


def _reclaim_pages(
    meminfo: Meminfo | None, cache_pages: int | None, low_pages: int, page_bytes: int, held_bytes: int
) -> int | None:
    """Number of pages that reclaim can free from page cache and from reclaimable slabs; None if unknown.

    The number of reclaimable pages follows the kernel's rule for MemAvailable (mm/show_mem.c, si_mem_available).
    Reclaim leaves a part of the page cache: half of the page cache, or the sum of the low watermarks if this sum is
    smaller. The rule for reclaimable slabs is the same as for page cache.
    """
    if meminfo is None or cache_pages is None or meminfo.reclaimable_bytes is None:
        return None
    kinds = (cache_pages, max(0, meminfo.reclaimable_bytes - held_bytes) // page_bytes)
    return sum(pages - min(pages // 2, low_pages) for pages in kinds)


def _node_headrooms(
    table: CacheTable,
    zones: Sequence[Zone],
    spare: Mapping[tuple[int, str], int],
    page_bytes: int,
    socket: NewSocket,
) -> dict[int, NodeHeadroom]:
    """The headroom of each node, computed from the memory of this node alone.

    The headroom of a node is no limit: when a node is full, its CPUs use the memory of other nodes.
    """
    lines = [line for item in SOCKS if (line := table.find(item).line) is not None]
    nodes: dict[int, NodeHeadroom] = {}
    zones_of: dict[int, list[Zone]] = {}
    for zone in zones:
        zones_of.setdefault(zone.node, []).append(zone)
    for node, own in zones_of.items():
        pages = sum(spare.get((node, zone.name), 0) for zone in own)
        low_pages = sum(zone.low_pages or 0 for zone in own)
        without = int(pages * page_bytes / socket.bytes)
        kinds = [[count for zone in own if (count := counts(zone)) is not None] for counts in NODE_RECLAIM]
        reclaim: int | None = None
        unusable_pages = _unusable_cache_pages(own)
        if all(kinds) and unusable_pages is not None:
            amounts = (max(0, sum(kinds[0]) - unusable_pages), sum(kinds[1]))
            reclaim = sum(amount - min(amount // 2, low_pages) for amount in amounts)
        share = share_of_objects(lines, node)
        nodes[node] = NodeHeadroom(
            without_reclaim=without,
            with_reclaim=None if reclaim is None else int((pages + reclaim) * page_bytes / socket.bytes),
            local=int(without / share) if share else None,
        )
    return nodes


NODE_RECLAIM: tuple[Callable[[Zone], int | None], ...] = (
    lambda zone: zone.file_pages,
    lambda zone: zone.reclaimable_pages,
)


def share_of_objects(lines: Sequence[CacheLine], node: int) -> float | None:
    """The share of the present socks that are on `node`; None if unknown.

    New sockets are assumed to spread over the nodes like the present socks.
    """
    shares = [line.share_on(node) for line in lines if line.objects]
    objects = [line.objects or 0 for line in lines if line.objects]
    if not objects or None in shares or any(line.objects is None for line in lines):
        return None
    return sum((share or 0.0) * count for share, count in zip(shares, objects, strict=True)) / sum(objects)
