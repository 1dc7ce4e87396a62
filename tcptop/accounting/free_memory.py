"""The free memory of each node and zone: the buddy allocator's blocks, the TCP slabs that fit, and spare pages."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations, zip_longest
from typing import NamedTuple

from tcptop.ledger import CacheLine, NodeMemory, ZoneMemory
from tcptop.snapshot import FreeArea, Snapshot, TypedFreeArea, Zone

SLAB_ZONES = ("DMA", "DMA32", "Normal")
"""Names of the zones that slab pages come from. Slabs never use Movable, HighMem or Device (include/linux/gfp.h,
GFP_ZONE_TABLE)."""
PREFERRED_ZONE = "Normal"
ZONE_ORDER = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")
"""Names of zones in the kernel's order (include/linux/mmzone.h, enum zone_type); a kernel may lack some zones."""

BUILT_ZONES = tuple(
    zones
    for count in range(len(ZONE_ORDER))
    for left_out in combinations(("DMA", "DMA32", "HighMem", "Device"), count)
    if {"DMA32", "HighMem"} & set(left_out)
    for zones in [tuple(name for name in ZONE_ORDER if name not in left_out)]
)
"""Every list of zones that a kernel may be built with. Every kernel has Normal and Movable. Only 64-bit kernels have
DMA32, and only 32-bit kernels have HighMem (mm/Kconfig, ZONE_DMA32; arch/*/Kconfig, HIGHMEM)."""

UNMOVABLE = "Unmovable"
STEALABLE_TYPES = ("Unmovable", "Movable", "Reclaimable")
"""Migrate types from whose blocks an Unmovable allocation can take pages (mm/page_alloc.c, fallbacks)."""


def unusable_index(blocks: Sequence[int]) -> tuple[float, ...]:
    """For each order, the share of free memory that is in smaller blocks, 0 to 1.

    Each share equals extfrag/unusable_index in debugfs (mm/vmstat.c, unusable_free_index), rounded down to thousandths.
    """
    free = sum([count << order for order, count in enumerate(blocks)])
    if not free:
        return (1.0,) * len(blocks)
    shares: list[float] = []
    in_smaller = 0
    for order, count in enumerate(blocks):
        shares.append(in_smaller * 1000 // free / 1000)
        in_smaller += count << order
    return tuple(shares)


def blocks_of_order(blocks: Sequence[int], order: int) -> int:
    """Number of blocks of order `order` that fit into the free blocks of order `order` or larger."""
    return sum([count << larger for larger, count in enumerate(blocks[order:])])


class NodeTable:
    """The nodes and zones of one Snapshot, joined from zoneinfo, buddyinfo, pagetypeinfo and sysfs."""

    def __init__(
        self,
        snapshot: Snapshot,
        page_bytes: int | None,
        sock: CacheLine | None,
        mini_socket: CacheLine | None,
    ) -> None:
        """`sock` is the cache TCP, or TCPv6 if most sockets are IPv6; `mini_socket` is tw_sock_TCP or tw_sock_TCPv6."""
        self._page_bytes = page_bytes
        self._sock, self._mini_socket = sock, mini_socket
        zoneinfo, buddyinfo = snapshot.zoneinfo.value, snapshot.buddyinfo.value
        pagetypeinfo, topology = snapshot.pagetypeinfo.value, snapshot.topology.value
        self._zones = {(zone.node, zone.name): zone for zone in (zoneinfo.zones if zoneinfo else ())}
        self._areas = {(area.node, area.zone): area for area in (buddyinfo.areas if buddyinfo else ())}
        self._typed: dict[tuple[int, str], list[TypedFreeArea]] = {}
        for area in pagetypeinfo.areas if pagetypeinfo else ():
            self._typed.setdefault((area.node, area.zone), []).append(area)
        self._pageblocks = {(row.node, row.zone): row for row in (pagetypeinfo.pageblocks if pagetypeinfo else ())}
        self._facts = {facts.node: facts for facts in topology.nodes} if topology else {}
        self._names: dict[int, list[str]] = {}
        for node, name in [*self._zones, *self._areas, *self._typed]:
            names = self._names.setdefault(node, [])
            if name not in names:
                names.append(name)

    def nodes(self) -> tuple[NodeMemory, ...]:
        """Every NUMA node that any source shows, in numerical order."""
        nodes: list[NodeMemory] = []
        for node in sorted(self._facts.keys() | self._names.keys()):
            facts = self._facts.get(node)
            zones = tuple(
                self._zone(node, name) for name in self._names.get(node, []) if self._is_populated(node, name)
            )
            managed = [zone.managed_pages for zone in zones if zone.managed_pages is not None]
            memory = facts.memory_bytes if facts else None
            if memory is None and self._page_bytes is not None and (managed or node in self._names):
                memory = sum(managed) * self._page_bytes if managed or not zones else None
            made = NodeMemory(
                node=node,
                cpus=facts.cpus if facts else None,
                cpu_list=facts.cpu_list if facts else None,
                memory_bytes=memory,
                free_bytes=facts.free_bytes if facts else None,
                distances=facts.distances if facts else None,
                zones=zones,
            )
            if made.free_pages is not None and self._page_bytes is not None:
                made = made._replace(free_bytes=made.free_pages * self._page_bytes)
            nodes.append(made)
        return tuple(nodes)

    def _is_populated(self, node: int, name: str) -> bool:
        zone = self._zones.get((node, name))
        return (node, name) in self._areas or zone is None or bool(zone.present_pages or zone.managed_pages)

    def _zone(self, node: int, name: str) -> ZoneMemory:
        zone, area = self._zones.get((node, name)), self._areas.get((node, name))
        typed, pageblocks = self._typed.get((node, name), []), self._pageblocks.get((node, name))
        types = {row.migrate_type: row.blocks for row in typed}
        stealable = _stealable_blocks(area, types)
        # Any user may read zoneinfo, but only root pagetypeinfo.
        cma_pages = (zone.free_cma_pages or 0) if zone and not types else 0
        free = None if area is None else sum([count << order for order, count in enumerate(area.blocks)])
        return ZoneMemory(
            zone=name,
            managed_pages=zone.managed_pages if zone else None,
            free_pages=free if free is not None else (zone.free_pages if zone else None),
            min_pages=zone.min_pages if zone else None,
            low_pages=zone.low_pages if zone else None,
            high_pages=zone.high_pages if zone else None,
            free_area=area.blocks if area else None,
            migrate_types=types or None,
            capped={row.migrate_type: row.capped_orders for row in typed if row.capped_orders} if typed else None,
            pageblocks=pageblocks.count_by_type if pageblocks else None,
            unusable_index=unusable_index(area.blocks) if area else None,
            tcp_slabs_free=_slabs_of(self._sock, name, stealable, cma_pages),
            tcp_slabs_free_without_stealing=_slabs_of(self._sock, name, types.get(UNMOVABLE)),
            mini_socket_slabs_free=_slabs_of(self._mini_socket, name, stealable, cma_pages),
        )


def _slabs_of(cache: CacheLine | None, zone_name: str, blocks: Sequence[int] | None, cma_pages: int = 0) -> int | None:
    """Number of a cache's slabs that fit into the free blocks of a zone; None if unknown.

    `cma_pages` are the free pages of CMA in `blocks`, which slabs may not use. They are assumed to be in large blocks.
    """
    if blocks is None or cache is None or cache.order is None:
        return None
    if zone_name not in SLAB_ZONES:
        return 0
    cma_blocks = -(-cma_pages >> cache.order)
    return max(0, blocks_of_order(blocks, cache.order) - cma_blocks)


def sum_zones(nodes: Iterable[NodeMemory]) -> tuple[ZoneMemory, ...]:
    """The zones of the machine: each is the sum of the zones with the same name on all nodes.

    An amount is None if it is unknown on any node. If a number of blocks is only a lower bound on one of the nodes, the
    sum over the nodes is a lower bound, too.
    """
    by_name: dict[str, list[ZoneMemory]] = {}
    for node in nodes:
        for zone in node.zones:
            by_name.setdefault(zone.zone, []).append(zone)
    return tuple(_sum_of_zones(zones) if len(zones) > 1 else zones[0] for zones in by_name.values())


def _sum_of_zones(zones: Sequence[ZoneMemory]) -> ZoneMemory:
    area = _sum_of_blocks([zone.free_area for zone in zones])
    types = [zone.migrate_types for zone in zones]
    pageblocks = [zone.pageblocks for zone in zones]
    names = list(dict.fromkeys(name for each in types for name in each or ()))
    capped = {
        name: tuple(sorted({order for zone in zones for order in (zone.capped or {}).get(name, ())})) for name in names
    }
    return ZoneMemory(
        zone=zones[0].zone,
        managed_pages=_sum([zone.managed_pages for zone in zones]),
        free_pages=_sum([zone.free_pages for zone in zones]),
        min_pages=_sum([zone.min_pages for zone in zones]),
        low_pages=_sum([zone.low_pages for zone in zones]),
        high_pages=_sum([zone.high_pages for zone in zones]),
        free_area=area,
        migrate_types=None
        if None in types
        else {name: _sum_of_blocks([(each or {}).get(name, ()) for each in types]) or () for name in names},
        capped=None if None in types else {name: orders for name, orders in capped.items() if orders},
        pageblocks=_sum_by_name(pageblocks),
        unusable_index=None if area is None else unusable_index(area),
        tcp_slabs_free=_sum([zone.tcp_slabs_free for zone in zones]),
        tcp_slabs_free_without_stealing=_sum([zone.tcp_slabs_free_without_stealing for zone in zones]),
        mini_socket_slabs_free=_sum([zone.mini_socket_slabs_free for zone in zones]),
    )


def _sum(amounts: Sequence[int | None]) -> int | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None


def _sum_of_blocks(areas: Sequence[tuple[int, ...] | None]) -> tuple[int, ...] | None:
    """Free blocks by order, added up; None if the blocks of any zone are unknown."""
    known = [area for area in areas if area is not None]
    return tuple(map(sum, zip_longest(*known, fillvalue=0))) if len(known) == len(areas) else None


def _sum_by_name(counts: Sequence[Mapping[str, int] | None]) -> Mapping[str, int] | None:
    known = [each for each in counts if each is not None]
    if len(known) < len(counts):
        return None
    names = dict.fromkeys(name for each in known for name in each)
    return {name: sum(each.get(name, 0) for each in known) for name in names}


class SparePages(NamedTuple):
    """Free pages that slabs may take before the kernel reclaims memory, by node and name of the zone."""

    by_zone: Mapping[tuple[int, str], int]
    error_pages: int = 0
    """The sum of the numbers may be too high by so many pages, because a zone's protection is not certain."""

    @property
    def is_at_most(self) -> bool:
        """True if the numbers are upper bounds."""
        return self.error_pages > 0


def spare_pages(zones: Sequence[Zone]) -> SparePages | None:
    """The free pages that slabs may take before the kernel reclaims memory.

    The result is None if a count is unknown for any of the zones.

    The free pages that slabs may take from a zone are free pages − low watermark − protection. Pages on per-CPU lists
    count as free. Slabs may not use CMA pages. The calculation follows __zone_watermark_ok (mm/page_alloc.c) for an
    allocation that prefers zone Normal.
    """
    spare: dict[tuple[int, str], int] = {}
    error_pages = 0
    present = {zone.name for zone in zones}
    # A kernel shows the free CMA pages either of every zone or of no zone. The same is true of the pages on per-CPU
    # lists.
    counts_cma = any(zone.free_cma_pages is not None for zone in zones)
    counts_lists = any(zone.on_cpu_lists_pages is not None for zone in zones)
    for zone in zones:
        if zone.name not in SLAB_ZONES or not (zone.managed_pages or zone.free_pages):
            continue
        if zone.free_pages is None or zone.low_pages is None or not zone.protection_pages:
            return None
        if (counts_cma and zone.free_cma_pages is None) or (counts_lists and zone.on_cpu_lists_pages is None):
            return None
        free = zone.free_pages + (zone.on_cpu_lists_pages or 0) - (zone.free_cma_pages or 0)
        least, most = (max(0, free - zone.low_pages - pages) for pages in protection_pages(zone, present)[::-1])
        spare[zone.node, zone.name] = most
        error_pages += most - least
    return SparePages(spare, error_pages) if spare else None


def protection_pages(zone: Zone, present: Collection[str]) -> tuple[int, int]:
    """Bounds on the pages that a zone withholds from allocations that prefer zone Normal.

    `present` has the names of all zones in zoneinfo. A zone's protection has one entry for every possible zone, in the
    order of the zones (mm/page_alloc.c, setup_per_zone_lowmem_reserve). A zone withholds nothing from allocations that
    prefer this zone, so the entry of Normal in zone Normal is 0. In a lower zone, the position of Normal's entry
    depends on the zones that the kernel is built with. Older kernels print populated zones only. If the printed zones
    allow several positions, the bounds are the smallest and the largest of the entries at these positions.
    """
    if zone.name == PREFERRED_ZONE:
        return 0, 0
    entries = zone.protection_pages
    positions = {
        names.index(PREFERRED_ZONE)
        for names in BUILT_ZONES
        if len(names) == len(entries) and set(present) <= set(names)
    }
    found = [entries[position] for position in positions] or entries
    return min(found), max(found)


def _stealable_blocks(area: FreeArea | None, types: dict[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """Free blocks that a TCP slab may use, by order: all migrate types except HighAtomic, CMA and Isolate.

    The count of all blocks comes from buddyinfo, which is exact and newer than pagetypeinfo. If pagetypeinfo shows
    blocks of HighAtomic, CMA or Isolate, these blocks are subtracted.
    """
    if area is None:
        return None
    stealable = area.blocks
    for name, blocks in types.items():
        if name not in STEALABLE_TYPES:
            longer = (*blocks, *[0] * (len(stealable) - len(blocks)))
            stealable = tuple([count - reserved for count, reserved in zip(stealable, longer, strict=False)])
    return tuple([max(0, count) for count in stealable])
