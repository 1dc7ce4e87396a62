"""The buddy allocator's free blocks of each node, and what they hold in TCP slabs and whole sockets."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.ledger import CacheLine, NodeMemory, ZoneMemory
from tcptop.snapshot import FreeArea, Pageblocks, Snapshot, TypedFreeArea, Zone

SLAB_ZONES = ("DMA", "DMA32", "Normal")
"""Zones that slab pages come from; Movable, HighMem and Device hold none (include/linux/gfp.h, GFP_ZONE_TABLE)."""
PREFERRED_ZONE = "Normal"

UNMOVABLE = "Unmovable"
STEALABLE_TYPES = ("Unmovable", "Movable", "Reclaimable")
"""Types whose blocks an Unmovable allocation can take (mm/page_alloc.c, fallbacks); the others are set apart."""


def unusable_index(blocks: Sequence[int]) -> tuple[float, ...]:
    """For each order the share of free memory that lies in smaller blocks, 0 to 1.

    As debugfs extfrag/unusable_index (mm/vmstat.c, unusable_free_index), in thousandths, rounded down as there.
    """
    free = sum(count << order for order, count in enumerate(blocks))
    if not free:
        return tuple(1.0 for _ in blocks)
    return tuple(
        (free - sum(count << at for at, count in enumerate(blocks) if at >= order)) * 1000 // free / 1000
        for order in range(len(blocks))
    )


def blocks_of_order(blocks: Sequence[int], order: int) -> int:
    """How many blocks of an order can be split off the free blocks of that order and larger."""
    return sum(count << (at - order) for at, count in enumerate(blocks) if at >= order)


class NodeTable:
    """Joins the sources that speak of nodes and zones."""

    def __init__(
        self,
        snapshot: Snapshot,
        page_bytes: int | None,
        sock: CacheLine | None,
        socket_slab_bytes: float | None,
    ) -> None:
        """Takes the cache of the socks that most sockets have, and the slab bytes of a whole socket."""
        self._page_bytes = page_bytes
        self._sock = sock
        self._socket_bytes = socket_slab_bytes
        self._zones = {(zone.node, zone.name): zone for zone in _each(snapshot.zoneinfo.value, "zones")}
        self._areas = {(area.node, area.zone): area for area in _each(snapshot.buddyinfo.value, "areas")}
        self._typed: dict[tuple[int, str], list[TypedFreeArea]] = {}
        for area in _each(snapshot.pagetypeinfo.value, "areas"):
            self._typed.setdefault((area.node, area.zone), []).append(area)
        self._pageblocks = {(each.node, each.zone): each for each in _each(snapshot.pagetypeinfo.value, "pageblocks")}
        topology = snapshot.topology.value
        self._facts = {facts.node: facts for facts in topology.nodes} if topology else {}
        self._names: dict[int, list[str]] = {}
        for node, name in [*self._zones, *self._areas, *self._typed]:
            names = self._names.setdefault(node, [])
            if name not in names:
                names.append(name)

    def nodes(self) -> tuple[NodeMemory, ...]:
        """Every node that any source knows, by number."""
        found: list[NodeMemory] = []
        for node in sorted(self._facts.keys() | self._names.keys()):
            facts = self._facts.get(node)
            zones = tuple(
                self._zone(node, name) for name in self._names.get(node, []) if self._is_populated(node, name)
            )
            managed = [zone.managed_pages for zone in zones if zone.managed_pages is not None]
            memory = facts.memory_bytes if facts else None
            if memory is None and self._page_bytes is not None and (managed or node in self._names):
                memory = sum(managed) * self._page_bytes if managed or not zones else None
            found.append(
                NodeMemory(node, facts.cpus if facts else None, facts.cpu_list if facts else None, memory, zones)
            )
        return tuple(found)

    def _is_populated(self, node: int, name: str) -> bool:
        zone = self._zones.get((node, name))
        return (node, name) in self._areas or zone is None or bool(zone.present_pages or zone.managed_pages)

    def _zone(self, node: int, name: str) -> ZoneMemory:
        zone, area = self._zones.get((node, name)), self._areas.get((node, name))
        typed, pageblocks = self._typed.get((node, name), []), self._pageblocks.get((node, name))
        return self._memory(node, name, zone, area, typed, pageblocks)

    def _memory(
        self,
        node: int,
        name: str,
        zone: Zone | None,
        area: FreeArea | None,
        typed: list[TypedFreeArea],
        pageblocks: Pageblocks | None,
    ) -> ZoneMemory:
        types = {each.migrate_type: each.blocks for each in typed}
        stealable = _stealable(area, types)
        own = types.get(UNMOVABLE)
        slabs, own_slabs = self._tcp_slabs(name, stealable), self._tcp_slabs(name, own)
        spare = self._spare_pages(node, zone, area, types)
        free = None if area is None else sum(count << order for order, count in enumerate(area.blocks))
        return ZoneMemory(
            zone=name,
            managed_pages=zone.managed_pages if zone else None,
            free_pages=free if free is not None else (zone.free_pages if zone else None),
            min_pages=zone.min_pages if zone else None,
            low_pages=zone.low_pages if zone else None,
            high_pages=zone.high_pages if zone else None,
            free_area=area.blocks if area else None,
            migrate_types=types or None,
            capped={each.migrate_type: each.capped_orders for each in typed if each.capped_orders} if typed else None,
            pageblocks=pageblocks.count_by_type if pageblocks else None,
            unusable_index=unusable_index(area.blocks) if area else None,
            tcp_slabs_free=slabs,
            tcp_slabs_free_without_stealing=own_slabs,
            headroom_sockets=self._room(slabs, spare),
            headroom_sockets_without_stealing=self._room(own_slabs, spare),
        )

    def _tcp_slabs(self, zone_name: str, blocks: Sequence[int] | None) -> int | None:
        if blocks is None or self._sock is None or self._sock.order is None:
            return None
        return blocks_of_order(blocks, self._sock.order) if zone_name in SLAB_ZONES else 0

    def _spare_pages(
        self, node: int, zone: Zone | None, area: FreeArea | None, types: dict[str, tuple[int, ...]]
    ) -> int | None:
        """Pages that an allocation may take before reclaim starts: free − set apart − low watermark − protection.

        As mm/page_alloc.c, __zone_watermark_ok, asks for an allocation that prefers zone Normal and may use neither
        CMA pages nor the HighAtomic reserve.
        """
        if zone is None or area is None or zone.low_pages is None or not zone.protection_pages:
            return None
        if zone.name not in SLAB_ZONES:
            return 0
        usable = _stealable(area, types) or area.blocks
        free = sum(count << order for order, count in enumerate(usable))
        if not types:
            free -= zone.free_cma_pages or 0
        return max(0, free - zone.low_pages - self._protection(node, zone))

    def _protection(self, node: int, zone: Zone) -> int:
        """What the zone must keep from allocations that prefer Normal; the most of all where the file does not tell."""
        names = [name for at, name in self._zones if at == node]
        if len(names) == len(zone.protection_pages) and PREFERRED_ZONE in names:
            return zone.protection_pages[names.index(PREFERRED_ZONE)]
        return max(zone.protection_pages, default=0)

    def _room(self, slabs: int | None, spare_pages: int | None) -> int | None:
        """Whole sockets: no more than the TCP slabs hold, and no more than the spare pages pay for."""
        if slabs is None or spare_pages is None or self._sock is None or self._sock.objects_per_slab is None:
            return None
        if self._page_bytes is None or not self._socket_bytes:
            return None
        return min(slabs * self._sock.objects_per_slab, int(spare_pages * self._page_bytes // self._socket_bytes))


def _stealable(area: FreeArea | None, types: dict[str, tuple[int, ...]]) -> tuple[int, ...] | None:
    """Free blocks that a TCP slab can come from, its own or stolen: all but those set apart (HighAtomic, CMA, Isolate).

    buddyinfo is the exact and newer count; what is set apart is taken off it where its types are known.
    """
    if area is None:
        return None
    apart = [blocks for name, blocks in types.items() if name not in STEALABLE_TYPES]
    return tuple(
        max(0, count - sum(blocks[order] for blocks in apart if order < len(blocks)))
        for order, count in enumerate(area.blocks)
    )


def _each(value: object, attribute: str) -> tuple:  # type: ignore[type-arg]
    return getattr(value, attribute) if value is not None else ()
