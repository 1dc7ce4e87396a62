"""Headroom of memory: how many more sockets the page allocator grants, before it reclaims memory and with reclaim."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tcptop.accounting.free_memory import SLAB_ZONES, spare_pages
from tcptop.accounting.slab_bytes import smallest_slab
from tcptop.accounting.slab_caches import CacheTable
from tcptop.kernel.objects import DENTRY, SOCKET_ALLOC, SOCKS
from tcptop.ledger import (
    AccountingMode,
    Amount,
    CacheLine,
    ConnectionCost,
    Headroom,
    NodeHeadroom,
    SocketCost,
    TcpMemory,
)
from tcptop.snapshot import Meminfo, Snapshot, Zone

OUTGOING_SHARE = 0.5
"""Assumed share of outgoing sockets among new ones: no counter shows which sockets own their local port."""

RECLAIM_ACCOUNTED = (SOCKET_ALLOC, DENTRY)
"""Objects whose slabs count as reclaimable (SLAB_RECLAIM_ACCOUNT), although an open socket holds them."""


class NewSocket(NamedTuple):
    """The bytes of one more socket."""

    bytes: float
    """With slabs of the preferred order, and the least memory in its buffers."""
    high_bytes: float
    """With slabs of the smallest order (mm/slub.c, oo_min), and the most memory in its buffers."""
    order: int
    """Largest order of its slabs."""


def memory_headroom(
    snapshot: Snapshot,
    table: CacheTable,
    page_bytes: int | None,
    mode: AccountingMode,
    cost: ConnectionCost,
    buffers: Amount,
    memory: TcpMemory,
) -> Headroom:
    """The headroom of memory in one accounting mode.

    A slab page has no preferred node (mm/slub.c, alloc_slab_page), and the page allocator tries every zone of every
    node for free pages above the low watermark before it reclaims memory (mm/page_alloc.c, get_page_from_freelist).
    Hence the headroom is a sum over all nodes. `buffers` is the memory in the buffers of one socket.
    """
    zoneinfo, meminfo = snapshot.zoneinfo.value, snapshot.meminfo.value
    zones = zoneinfo.zones if zoneinfo else ()
    socket = _new_socket(table, page_bytes, cost, buffers)
    sysctls = snapshot.sysctls.value
    reclaims_first = bool(sysctls and sysctls.zone_reclaim_mode)
    unknown = Headroom(mode, None, None, None, socket.bytes if socket else None, None, {}, reclaims_first, None)
    if socket is None or page_bytes is None:
        return unknown._replace(unknown_because="the bytes of one more socket are not known")
    spare = None if "zoneinfo" in snapshot.contradictions.sources else spare_pages(zones)
    if spare is None:
        return unknown._replace(unknown_because="zoneinfo's free pages, watermarks or protection are not known")
    late_pages = _late_pages(meminfo, zones, page_bytes)
    pages = sum(spare.values()) + (late_pages or 0)
    large_pages = _large_pages(snapshot, socket.order)
    low: int | None = None
    if large_pages is not None:
        unreserved = pages - _reserved_pages(snapshot, spare)
        low = _with_fallback(socket, unreserved, large_pages + (late_pages or 0), page_bytes)
    low_pages = sum(zone.low_pages or 0 for zone in zones)
    reclaim_pages = _reclaim_pages(meminfo, low_pages, page_bytes, _held_bytes(table, memory))
    return Headroom(
        mode=mode,
        with_reclaim=None if reclaim_pages is None else int((pages + reclaim_pages) * page_bytes / socket.bytes),
        without_reclaim_low=low,
        without_reclaim_high=int(pages * page_bytes / socket.bytes),
        bytes_per_socket=socket.bytes,
        late_bytes=None if late_pages is None else late_pages * page_bytes,
        nodes=_node_headrooms(table, zones, spare, page_bytes, socket),
        reclaims_node_first=reclaims_first,
        unknown_because=None
        if reclaim_pages is not None
        else "meminfo's page cache or reclaimable slabs are not known",
        with_reclaim_bytes=None if reclaim_pages is None else (pages + reclaim_pages) * page_bytes,
    )


def _new_socket(table: CacheTable, page_bytes: int | None, cost: ConnectionCost, buffers: Amount) -> NewSocket | None:
    """One more socket, by the assumed share of outgoing ones; None if its slab bytes are unknown."""
    sides = cost.by_family["mix"]
    accepted, outgoing = sides.accepted.slab_bytes, sides.outgoing.slab_bytes
    if page_bytes is None or not accepted or not outgoing:
        return None
    shares = ((sides.accepted, 1 - OUTGOING_SHARE), (sides.outgoing, OUTGOING_SHARE))
    orders = [line.order for part in sides.outgoing.parts if (line := table.get(part.cache)) and line.order is not None]
    return NewSocket(
        bytes=accepted * (1 - OUTGOING_SHARE) + outgoing * OUTGOING_SHARE + buffers.low,
        high_bytes=sum(_high_bytes(table, side, page_bytes) * share for side, share in shares) + buffers.high,
        order=max(orders, default=0),
    )


def _high_bytes(table: CacheTable, cost: SocketCost, page_bytes: int) -> float:
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
    """Sockets that fit if blocks are neither made by compaction nor by reclaim.

    Slabs take blocks of their preferred order first, and of the smallest order when those are used up.
    """
    in_large = min(pages, large_pages) * page_bytes
    preferred = socket.bytes
    return int(in_large / preferred + (pages * page_bytes - in_large) / max(preferred, socket.high_bytes))


def _reserved_pages(snapshot: Snapshot, spare: Mapping[tuple[int, str], int]) -> int:
    """Spare pages that are reserved for atomic allocations of larger orders (HighAtomic), until reclaim frees them.

    Only pagetypeinfo shows them; 0 if it is not read.
    """
    pages: dict[tuple[int, str], int] = {}
    for area in snapshot.pagetypeinfo.value.areas if snapshot.pagetypeinfo.value else ():
        if area.migrate_type == "HighAtomic":
            key = (area.node, area.zone)
            pages[key] = pages.get(key, 0) + sum(count << order for order, count in enumerate(area.blocks))
    return sum(min(pages.get(key, 0), count) for key, count in spare.items())


def _large_pages(snapshot: Snapshot, order: int) -> int | None:
    """Free pages in blocks of at least an order, in zones that slabs use; None if unknown."""
    if snapshot.buddyinfo.value is None or "buddyinfo" in snapshot.contradictions.sources:
        return None
    areas = snapshot.buddyinfo.value.areas
    return sum(
        count << larger
        for area in areas
        if area.zone in SLAB_ZONES
        for larger, count in enumerate(area.blocks)
        if larger >= order
    )


def _late_pages(meminfo: Meminfo | None, zones: Sequence[Zone], page_bytes: int) -> int | None:
    """Pages that the kernel has not initialised yet (deferred struct pages): in MemFree, and in no zone."""
    if meminfo is None or meminfo.total_bytes is None or any(zone.managed_pages is None for zone in zones):
        return None
    return max(0, meminfo.total_bytes // page_bytes - sum(zone.managed_pages or 0 for zone in zones))


def _held_bytes(table: CacheTable, memory: TcpMemory) -> int:
    """Bytes of slabs that count as reclaimable, but that open TCP sockets hold."""
    lines = [table.find(item).line for item in RECLAIM_ACCOUNTED]
    names = {line.name for line in lines if line is not None}
    return sum(part.bytes for part in memory.parts if part.name in names)


def _reclaim_pages(meminfo: Meminfo | None, low_pages: int, page_bytes: int, held_bytes: int) -> int | None:
    """Pages of page cache and slabs that reclaim frees, by the estimate of MemAvailable; None if unknown.

    Half of each, or the sum of the low watermarks if that is less, stays (mm/show_mem.c, si_mem_available).
    """
    if meminfo is None or meminfo.file_bytes is None or meminfo.reclaimable_bytes is None:
        return None
    kinds = (meminfo.file_bytes, max(0, meminfo.reclaimable_bytes - held_bytes))
    return sum(amount // page_bytes - min(amount // page_bytes // 2, low_pages) for amount in kinds)


def _node_headrooms(
    table: CacheTable,
    zones: Sequence[Zone],
    spare: Mapping[tuple[int, str], int],
    page_bytes: int,
    socket: NewSocket,
) -> dict[int, NodeHeadroom]:
    """The headroom of each node by itself, which is no limit: when a node is full, its CPUs use other nodes' memory."""
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
        reclaim = sum(sum(kind) - min(sum(kind) // 2, low_pages) for kind in kinds) if all(kinds) else None
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
    """The share of the present socks that a node has, which new sockets are assumed to follow; None if unknown."""
    shares = [line.share_on(node) for line in lines if line.objects]
    objects = [line.objects or 0 for line in lines if line.objects]
    if not objects or None in shares:
        return None
    return sum((share or 0.0) * count for share, count in zip(shares, objects, strict=True)) / sum(objects)
