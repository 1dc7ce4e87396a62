"""The audit of memory: meminfo, zones, free blocks, NUMA nodes and the memory cgroup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tcptop.accounting.contradictions.audit import FILES, Audit, find_failures
from tcptop.accounting.contradictions.facts import managed_by_zone
from tcptop.accounting.contradictions.memory_relations import (
    ALL_BLOCKS_RELATION,
    AREA_RELATIONS,
    AVAILABLE_RELATIONS,
    AVAILABLE_RULE,
    BLOCK_RELATION,
    CGROUP_RELATIONS,
    CONTAINER_RELATION,
    CPU_RELATIONS,
    FREE_MOMENTS,
    LISTED_RELATIONS,
    MEMINFO_MOMENTS,
    NODE_MOMENTS,
    NODE_RELATIONS,
    ORDER_RELATION,
    PROTECTION_RELATION,
    SLAB_OF_ZONES,
    TOTAL_RELATION,
    ZONE_RELATIONS,
    Available,
    BlockCount,
    CpuCounts,
    ListedZone,
    Moments,
    NodePair,
    Orders,
    Protections,
    SmallerMemory,
    TotalMemory,
    pages_of,
)
from tcptop.accounting.contradictions.reading_times import FREED_BYTES_PER_S, GROWTH_BYTES_PER_S, seconds_apart
from tcptop.accounting.contradictions.relation import Facts, Machine, total
from tcptop.accounting.machine import is_of_machine, release_of
from tcptop.recall import Same
from tcptop.snapshot import CgroupMemory, FreeArea, Meminfo, Pagetypeinfo, Reading, Snapshot, Zone, Zoneinfo

MOMENT_SHARE, MOVED_BYTES = 4, 512 << 20
"""Parts of the allowed difference between amounts of memory in two files.

The allowed difference is the managed memory ÷ MOMENT_SHARE + MOVED_BYTES.
"""

AVAILABLE_RULE_SINCE = (4, 20)
"""First release that prints every figure from which it computes MemAvailable: KReclaimable is one of them."""

MAX_BOOST = 3
"""Highest assumed boost of a zone's high watermark. When the kernel computed the reserve of the zone, the high
watermark may have been up to MAX_BOOST times its present value."""

ONLINE_IN_NODES_SINCE = (4, 15)
"""First release in which a node lists only its online CPUs (drivers/base/node.c, node_read_cpumap)."""

SLAB_MOVED_BYTES = 16 << 20
"""Part of the allowed difference between Slab and the slab memory of the zones."""

BALLOONS_AGREE_SINCE = (3, 13)
"""First release whose balloon drivers subtract a page both from MemTotal and from the managed pages of a zone."""

NODES_COUNT_MANAGED_SINCE = (3, 12)
"""First release in which the MemTotal of a node is the managed pages of its zones (mm/page_alloc.c,
si_meminfo_node)."""

ALL_MANAGED_SINCE = (3, 11)
"""First kernel release whose zones manage every page of MemTotal (mm/hugetlb.c, gather_bootmem_prealloc)."""


def check_cgroup(audit: Audit, machine: Machine) -> None:
    """Checks the memory of the cgroup that the user named, and of the cgroups above it.

    If a relation is broken, the used memory of the cgroup becomes unknown.
    """
    cgroup = audit.snapshot.cgroup
    if cgroup is None:
        return
    named, *above = (_checked_cgroup(each, machine) for each in (cgroup, *cgroup.above))
    audit.snapshot = audit.snapshot._replace(cgroup=named._replace(above=tuple(above)))


def _checked_cgroup(cgroup: CgroupMemory, machine: Machine) -> CgroupMemory:
    sentence = next((text for *_, text in find_failures([cgroup], CGROUP_RELATIONS, machine)), None)
    if sentence is None:
        return cgroup
    folder = "/".join(filter(None, ("/sys/fs/cgroup", cgroup.path)))
    return cgroup._replace(
        current_bytes=None,
        cache_bytes=None,
        sock_bytes=None,
        kernel_bytes=None,
        unknown_because=cgroup.unknown_because or f"damaged or impossible: {folder}: {sentence}",
    )


def check_zones(audit: Audit, facts: Facts) -> None:
    """Checks zoneinfo, buddyinfo and pagetypeinfo.

    If a zone breaks a relation, the zone's figures become unknown.
    """
    zoneinfo = audit.snapshot.zoneinfo.value
    lacking = _lacking_zones(audit.snapshot, facts.machine)
    for source, texts in lacking.items():
        audit.mark(source, texts.values())
    if zoneinfo is not None:
        failed = _failed_zones(Same(zoneinfo), facts.machine)
        if failed:
            unknown: dict[str, Any] = dict.fromkeys(Zone._fields[2:]) | {"protection_pages": ()}
            kept = tuple(zone._replace(**unknown) if zone in failed else zone for zone in zoneinfo.zones)
            audit.mark("zoneinfo", failed.values(), zoneinfo._replace(zones=kept))
            facts = facts._replace(managed_pages=managed_by_zone(kept))
    buddyinfo, types = audit.snapshot.buddyinfo, audit.snapshot.pagetypeinfo
    if buddyinfo.value is not None:
        areas = buddyinfo.value.areas
        failed_areas = _failed_areas(audit, areas, "buddyinfo", facts)
        for _, _, sentence in find_failures([sum(map(pages_of, areas))], [ALL_BLOCKS_RELATION], facts.machine):
            failed_areas = failed_areas or {(area.node, area.zone): sentence for area in areas}
        if lacking.get("buddyinfo"):
            # If the name of a zone is damaged in one of the files, the zone appears under two names and is counted
            # twice.
            failed_areas |= lacking.get("zoneinfo", {})
        left = tuple(area for area in areas if (area.node, area.zone) not in failed_areas)
        audit.mark("buddyinfo", failed_areas.values(), buddyinfo.value._replace(areas=left))
    if types.value is not None:
        failed_areas = _failed_areas(audit, _areas_of_all_types(Same(types.value)), "pagetypeinfo", facts)
        failed_areas |= _failed_pageblocks(audit, types.value, facts.machine)
        typed = tuple(area for area in types.value.areas if (area.node, area.zone) not in failed_areas)
        rows = tuple(row for row in types.value.pageblocks if (row.node, row.zone) not in failed_areas)
        value = types.value._replace(areas=typed, pageblocks=rows)
        audit.mark("pagetypeinfo", failed_areas.values(), value)
    if buddyinfo.value is not None and types.value is not None and buddyinfo.state == types.state == "ok":
        orders = [{len(area.blocks) for area in value.areas} for value in (types.value, buddyinfo.value)]
        numbers = Orders(*map(_numbers, orders))
        sentences = [text for *_, text in find_failures([numbers], [ORDER_RELATION], facts.machine)]
        audit.mark("pagetypeinfo", sentences, types.value._replace(areas=()))


@lru_cache(2)  # zoneinfo is read less often than buddyinfo
def _failed_zones(zoneinfo: Same[Zoneinfo], machine: Machine) -> Mapping[Zone, str]:
    """A sentence about each zone of zoneinfo that breaks a relation."""
    zones = zoneinfo.value.zones
    failed: dict[Zone, str] = {}
    for zone, _, sentence in find_failures(zones, ZONE_RELATIONS, machine):
        failed.setdefault(zone, sentence)
    for pair, _, sentence in find_failures(_protections(zones), [PROTECTION_RELATION], machine):
        failed.setdefault(pair.zone, sentence)
    return failed


def _failed_areas(audit: Audit, areas: Sequence[FreeArea], source: str, facts: Facts) -> dict[tuple[int, str], str]:
    """One sentence for each zone with impossible free blocks, by node and name of the zone.

    The free blocks are compared with zoneinfo. Free blocks of pagetypeinfo are also compared with buddyinfo.
    """
    snapshot = audit.snapshot
    reading: Reading[Any] = getattr(snapshot, source)
    if seconds_apart(reading, snapshot.zoneinfo, snapshot.live) is None:
        facts = facts._replace(managed_pages={})
    failed = {(area.node, area.zone): text for area, _, text in find_failures(areas, AREA_RELATIONS, facts)}
    free: dict[str, dict[tuple[int, str], int | None]] = {
        "zoneinfo": {
            (zone.node, zone.name): zone.free_pages
            for zone in (snapshot.zoneinfo.value.zones if snapshot.zoneinfo.value else ())
        },
        "buddyinfo": {
            (area.node, area.zone): pages_of(area)
            for area in (snapshot.buddyinfo.value.areas if snapshot.buddyinfo.value else ())
        },
    }
    managed = managed_by_zone(snapshot.zoneinfo.value.zones if snapshot.zoneinfo.value else ())
    types = snapshot.pagetypeinfo.value if source == "pagetypeinfo" else None
    capped = _capped_zones(Same(types)) if types is not None else frozenset[tuple[int, str]]()
    for other in ("zoneinfo", "buddyinfo") if source == "pagetypeinfo" else ("zoneinfo",):
        for area in areas:
            zone = (area.node, area.zone)
            slack = _slack_pages(snapshot, facts.machine, managed.get(zone), source, other)
            pages, there = pages_of(area), free[other].get(zone)
            if zone in capped and there is not None:
                pages = max(pages, there)
            what = f"zone {area.zone} of node {area.node}"
            sentence = FREE_MOMENTS.failure(Moments(what, FILES[other], pages, there, slack), facts.machine)
            if sentence is not None:
                failed.setdefault(zone, sentence)
    return failed


def _lacking_zones(snapshot: Snapshot, machine: Machine) -> dict[str, dict[tuple[int, str], str]]:
    """For each source, one sentence for each zone that is in another file but not in the source.

    Only files that were read completely are compared.
    """
    zones: dict[str, dict[tuple[int, str], bool]] = {}
    if snapshot.zoneinfo.value is not None:
        zones["zoneinfo"] = {(zone.node, zone.name): bool(zone.present_pages) for zone in snapshot.zoneinfo.value.zones}
    for source, reading in (("buddyinfo", snapshot.buddyinfo), ("pagetypeinfo", snapshot.pagetypeinfo)):
        if reading.value is not None:
            zones[source] = {(area.node, area.zone): True for area in reading.value.areas}
    found: dict[str, dict[tuple[int, str], str]] = {}
    for (source, other), relation in LISTED_RELATIONS.items():
        one, two = getattr(snapshot, source), getattr(snapshot, other)
        if one.state == two.state == "ok" and seconds_apart(one, two, snapshot.live) is not None:
            listed = [ListedZone(*zone, zone in zones[source]) for zone, present in zones[other].items() if present]
            failures = find_failures(listed, [relation], machine)
            found[source] = {(zone.node, zone.zone): sentence for zone, _, sentence in failures}
    return found


def _failed_pageblocks(audit: Audit, types: Pagetypeinfo, machine: Machine) -> dict[tuple[int, str], str]:
    """One sentence for each zone with more pageblocks than fit into the pages that the zone spans."""
    zoneinfo = audit.snapshot.zoneinfo.value
    spanned = {(zone.node, zone.name): zone.spanned_pages for zone in (zoneinfo.zones if zoneinfo else ())}
    failed: dict[tuple[int, str], str] = {}
    for row in types.pageblocks if types.pageblock_order is not None else ():
        pages = spanned.get((row.node, row.zone))
        most = None if pages is None else (pages >> min(types.pageblock_order or 0, 64)) + 2
        pair = BlockCount(row, sum(row.count_by_type.values()), most)
        sentence = BLOCK_RELATION.failure(pair, machine)
        if (
            sentence is not None
            and seconds_apart(audit.snapshot.pagetypeinfo, audit.snapshot.zoneinfo, audit.snapshot.live) is not None
        ):
            failed[row.node, row.zone] = sentence
    return failed


def check_meminfo_of_zones(audit: Audit, machine: Machine) -> None:
    """Compares meminfo with the sums over the zones, unless meminfo belongs to a container (lxcfs).

    If a meminfo shows less memory than the zones, and is not a container's meminfo, it belongs to another machine.
    """
    meminfo, zoneinfo, page_bytes = audit.snapshot.meminfo.value, audit.snapshot.zoneinfo.value, machine.page_bytes
    if meminfo is None or zoneinfo is None or not page_bytes:
        return
    if not is_of_machine(audit.snapshot, machine.page_bytes):
        release = release_of(audit.snapshot)
        if meminfo.total_bytes is not None and (release is None or release >= BALLOONS_AGREE_SINCE):
            managed_bytes = sum(managed_by_zone(zoneinfo.zones).values()) * page_bytes
            smaller = SmallerMemory(meminfo.total_bytes, managed_bytes, _unlike_container(meminfo, managed_bytes))
            texts = [text for *_, text in find_failures([smaller], [CONTAINER_RELATION], machine)]
            audit.mark("meminfo", texts, meminfo._replace(**dict.fromkeys(CONTAINER_RELATION.doubts)))
        return
    zones = zoneinfo.zones
    whole = _total_memory(audit.snapshot, machine)
    texts = [] if whole is None else [text for *_, text in find_failures([whole], [TOTAL_RELATION], machine)]
    audit.mark("meminfo", texts, meminfo._replace(**dict.fromkeys(TOTAL_RELATION.doubts)))
    used = None
    if meminfo.total_bytes is not None and meminfo.free_bytes is not None:
        used = (meminfo.total_bytes - meminfo.free_bytes) // page_bytes
    managed, free = (_sum_of(zones, field) for field in ("managed_pages", "free_pages"))
    release = release_of(audit.snapshot)
    if used is not None and managed is not None and release is not None and release < ALL_MANAGED_SINCE:
        used -= max(0, (meminfo.total_bytes or 0) // page_bytes - managed)
    slack = _slack_pages(audit.snapshot, machine, managed, "meminfo", "zoneinfo")
    amounts = (
        ("the memory in use", used, None if managed is None or free is None else managed - free),
        ("the page cache", _pages(meminfo.file_bytes, page_bytes), _sum_of_nodes(zones, "file_pages")),
        (
            "the reclaimable kernel memory",
            _pages(meminfo.reclaimable_bytes, page_bytes),
            _sum_of_nodes(zones, "reclaimable_pages"),
        ),
    )
    pairs = [Moments(what, FILES["zoneinfo"], pages, other, slack) for what, pages, other in amounts]
    sentences = [sentence for *_, sentence in find_failures(pairs, [MEMINFO_MOMENTS], machine)]
    apart_s = seconds_apart(audit.snapshot.meminfo, audit.snapshot.zoneinfo, audit.snapshot.live)
    slab = Moments(
        "Slab",
        FILES["zoneinfo"],
        _pages(meminfo.slab_bytes, page_bytes),
        _sum_of_nodes(zones, "slab_pages"),
        None
        if apart_s is None
        else (SLAB_MOVED_BYTES + int(apart_s * GROWTH_BYTES_PER_S)) // page_bytes + machine.drift_pages,
    )
    sentences += [sentence for *_, sentence in find_failures([slab], [SLAB_OF_ZONES], machine)]
    audit.mark("meminfo", sentences, meminfo._replace(**dict.fromkeys(MEMINFO_MOMENTS.doubts)))


def _unlike_container(meminfo: Meminfo, managed_bytes: int) -> int:
    """A number above 0 if lxcfs certainly did not make this meminfo; 0 if this meminfo may be a container's.

    The number is Buffers in bytes, because lxcfs prints 0 for Buffers. If Buffers is 0, the number is the managed
    memory that DirectMap lacks: the kernel's direct map covers all managed memory (arch/x86/mm/pat/set_memory.c,
    arch_report_meminfo).
    """
    if meminfo.buffers_bytes:
        return meminfo.buffers_bytes
    mapped = managed_bytes if meminfo.direct_map_bytes is None else meminfo.direct_map_bytes
    return max(0, managed_bytes - managed_bytes // 64 - mapped)


def check_available(audit: Audit, machine: Machine) -> None:
    """Checks MemAvailable by the kernel's rule, unless meminfo belongs to a container (lxcfs)."""
    meminfo, available = audit.snapshot.meminfo.value, _available(audit.snapshot, machine)
    if meminfo is not None and available is not None:
        sentences = [text for *_, text in find_failures([available], AVAILABLE_RELATIONS, machine)]
        audit.mark("meminfo", sentences, meminfo._replace(available_bytes=None))


def check_reserve(audit: Audit, machine: Machine) -> None:
    """Finds a container's meminfo (lxcfs) with the machine's MemTotal: its MemAvailable leaves no reserves."""
    meminfo, available = audit.snapshot.meminfo.value, _available(audit.snapshot, machine)
    if meminfo is not None and available is not None:
        sentences = [text for *_, text in find_failures([available], [AVAILABLE_RULE], machine)]
        audit.mark("meminfo", sentences, meminfo._replace(**dict.fromkeys(AVAILABLE_RULE.doubts)))


def _available(snapshot: Snapshot, machine: Machine) -> Available | None:
    """MemAvailable and its bounds; None if MemAvailable is unknown, or if meminfo belongs to a container (lxcfs)."""
    meminfo, zoneinfo = snapshot.meminfo.value, snapshot.zoneinfo.value
    if meminfo is None or meminfo.total_bytes is None or meminfo.available_bytes is None:
        return None
    if zoneinfo is None or not is_of_machine(snapshot, machine.page_bytes):
        return None
    parts = (meminfo.free_bytes, meminfo.file_bytes, meminfo.reclaimable_bytes)
    highs = [zone.high_pages for zone in zoneinfo.zones]
    least = None
    if meminfo.free_bytes is not None and machine.page_bytes and None not in highs:
        protection = sum(max(zone.protection_pages, default=0) for zone in zoneinfo.zones)
        reserve = protection + MAX_BOOST * sum(filter(None, highs))
        least = meminfo.free_bytes - reserve * machine.page_bytes
    by_rule = _available_by_rule(snapshot, meminfo, zoneinfo.zones, machine.page_bytes)
    return Available(meminfo.total_bytes, meminfo.available_bytes, total(*parts), least, by_rule)


def _available_by_rule(
    snapshot: Snapshot, meminfo: Meminfo, zones: Sequence[Zone], page_bytes: int | None
) -> int | None:
    """Upper bound on MemAvailable in bytes, with the smallest possible reserve; None if unknown.

    The rule is that of si_mem_available (mm/show_mem.c): MemFree without the reserves, and page cache and reclaimable
    memory, each without its half or without the low watermarks. A zone that lacks a figure counts as one without
    reserve.
    """
    release = release_of(snapshot)
    free, *kinds = meminfo.free_bytes, meminfo.file_bytes, meminfo.reclaimable_bytes
    if release is None or release < AVAILABLE_RULE_SINCE or free is None or None in kinds or not page_bytes:
        return None
    reserve = sum(
        min(zone.managed_pages or 0, max(zone.protection_pages, default=0) + _without_boost(zone, zone.high_pages))
        for zone in zones
    )
    low_bytes = sum(_without_boost(zone, zone.low_pages) for zone in zones) * page_bytes
    reclaim_bytes = sum(size - min(size // 2, low_bytes) for size in filter(None, kinds))
    return max(0, free - reserve * page_bytes + reclaim_bytes)


def _without_boost(zone: Zone, watermark_pages: int | None) -> int:
    """The smallest value that a watermark may have without the boost, in pages."""
    if zone.boost_pages is None:
        return (watermark_pages or 0) // MAX_BOOST
    return max(0, (watermark_pages or 0) - zone.boost_pages)


def check_topology(audit: Audit, machine: Machine) -> None:
    """Checks the nodes and the CPUs; compares the memory of the nodes with the zones."""
    topology, zoneinfo = audit.snapshot.topology.value, audit.snapshot.zoneinfo.value
    if topology is None:
        return
    apart_s = seconds_apart(audit.snapshot.topology, audit.snapshot.zoneinfo, audit.snapshot.live)
    zones = zoneinfo.zones if zoneinfo and apart_s is not None and machine.page_bytes else ()
    release = release_of(audit.snapshot)
    sentences: list[str] = []
    nodes = []
    for node in topology.nodes:
        own = [zone for zone in zones if zone.node == node.node]
        managed, present = (_sum_of(own, field) for field in ("managed_pages", "present_pages"))
        page_bytes = machine.page_bytes or 0
        slack = _slack_pages(audit.snapshot, machine, managed, "topology", "zoneinfo")
        pair = NodePair(
            node,
            None if managed is None else managed * page_bytes,
            None if present is None else present * page_bytes,
            counts_managed=release is not None and release >= NODES_COUNT_MANAGED_SINCE,
        )
        free = Moments(
            f"node {node.node}",
            FILES["zoneinfo"],
            _pages(node.free_bytes, machine.page_bytes),
            _sum_of(own, "free_pages"),
            slack,
        )
        failures = [(each.doubts, text) for _, each, text in find_failures([pair], NODE_RELATIONS, machine)]
        failures += [(("free_bytes",), text) for *_, text in find_failures([free], [NODE_MOMENTS], machine)]
        sentences += [text for _, text in failures]
        unknown: dict[str, Any] = dict.fromkeys(field for doubts, _ in failures for field in doubts)
        nodes.append(node._replace(**unknown))
    audit.mark("topology", sentences, topology._replace(nodes=tuple(nodes)))


def check_cpus(audit: Audit, machine: Machine) -> None:
    """Checks the number of online CPUs.

    A container may show fewer online CPUs than the machine has (lxcfs). The errors of the kernel's counters depend on
    the number of CPUs of the machine. If zoneinfo shows more CPUs than sysfs, the number from zoneinfo is therefore
    used.
    """
    topology = audit.snapshot.topology.value
    if topology is None or topology.online_cpus is None:
        return
    cpus_of_nodes = [node.cpus for node in topology.nodes]
    release = release_of(audit.snapshot)
    counts = CpuCounts(
        topology.online_cpus,
        None if None in cpus_of_nodes or not cpus_of_nodes else sum(filter(None, cpus_of_nodes)),
        _cpus_of_zones(audit.snapshot),
        is_live=audit.snapshot.live,
        may_be_fewer=audit.snapshot.live
        or release is None
        or release < ONLINE_IN_NODES_SINCE
        or not is_of_machine(audit.snapshot, machine.page_bytes),
    )
    failed = [text for *_, text in find_failures([counts], CPU_RELATIONS, machine)]
    largest = max(topology.online_cpus, counts.of_zones or 0)
    value = topology._replace(online_cpus=None if failed else largest)
    if failed:
        audit.mark("topology", failed, value)
    elif largest > topology.online_cpus:
        audit.snapshot = audit.snapshot._replace(topology=audit.snapshot.topology._replace(value=value))


def _slack_pages(snapshot: Snapshot, machine: Machine, managed: int | None, one: str, other: str) -> int | None:
    """Allowed difference between the numbers of pages in two sources; None if unknown.

    Some of the `managed` pages may be freed or allocated between the reads of the sources.
    """
    apart_s = seconds_apart(getattr(snapshot, one), getattr(snapshot, other), snapshot.live)
    if apart_s is None or machine.page_bytes is None or managed is None:
        return None
    moved_bytes = MOVED_BYTES + int(apart_s * FREED_BYTES_PER_S)
    return managed // MOMENT_SHARE + moved_bytes // machine.page_bytes + machine.drift_pages


def _total_memory(snapshot: Snapshot, machine: Machine) -> TotalMemory | None:
    """MemTotal and the memory of the zones.

    The result is None if a figure is unknown, or if meminfo and zoneinfo were not read at the same time. On kernels up
    to 3.10, the result is also None: MemTotal includes the huge pages of the boot command line, but no zone manages
    these pages.
    """
    meminfo, zoneinfo = snapshot.meminfo.value, snapshot.zoneinfo.value
    release = release_of(snapshot)
    apart_s = seconds_apart(snapshot.meminfo, snapshot.zoneinfo, snapshot.live)
    if meminfo is None or zoneinfo is None or snapshot.zoneinfo.state != "ok" or apart_s is None:
        return None
    total_pages, free_pages = (_pages(size, machine.page_bytes) for size in (meminfo.total_bytes, meminfo.free_bytes))
    managed, present, free = (
        _sum_of(zoneinfo.zones, field) for field in ("managed_pages", "present_pages", "free_pages")
    )
    if total_pages is None or managed is None or present is None or (release or ALL_MANAGED_SINCE) < ALL_MANAGED_SINCE:
        return None
    late = max(0, free_pages - free) if free_pages is not None and free is not None else present
    moved = machine.drift_pages + int(apart_s * FREED_BYTES_PER_S) // (machine.page_bytes or 1)
    return TotalMemory(total_pages, managed, present, late, moved)


def _protections(zones: Sequence[Zone]) -> list[Protections]:
    """Each zone whose line `protection` is known, and the number of entries that the line should have."""
    of_nodes = Counter(zone.node for zone in zones)
    needed = max([*of_nodes.values(), *(len(zone.protection_pages) for zone in zones)], default=0)
    return [Protections(zone, needed) for zone in zones if zone.protection_pages]


def _pages(size: int | None, page_bytes: int | None) -> int | None:
    return None if size is None or not page_bytes else size // page_bytes


def _sum_of(zones: Collection[Zone], field: str) -> int | None:
    """The sum of a count over the zones; None if there is no zone, or if a zone with pages lacks the count."""
    counts = [getattr(zone, field) for zone in zones if zone.present_pages != 0]
    return None if not counts or None in counts else sum(counts)


def _sum_of_nodes(zones: Collection[Zone], field: str) -> int | None:
    """The sum of a count over all nodes; None if the count of a node is missing.

    zoneinfo may print the count only in the first zone of each node.
    """
    by_node: dict[int, list[int]] = {}
    for zone in zones:
        if zone.present_pages != 0:
            by_node.setdefault(zone.node, [])
        count = getattr(zone, field)
        if count is not None:
            by_node.setdefault(zone.node, []).append(count)
    return sum(map(sum, by_node.values())) if by_node and all(by_node.values()) else None


@lru_cache(2)
def _capped_zones(types: Same[Pagetypeinfo]) -> frozenset[tuple[int, str]]:
    """Zones in which the kernel stopped counting the free blocks of an order (`>100000`)."""
    return frozenset((area.node, area.zone) for area in types.value.areas if area.capped_orders)


def _cpus_of_zones(snapshot: Snapshot) -> int | None:
    """The CPUs that have page lists in zoneinfo; None if unknown, or if zoneinfo is incomplete."""
    zoneinfo = snapshot.zoneinfo
    if zoneinfo.value is None or zoneinfo.state != "ok":
        return None
    return max((zone.cpus or 0 for zone in zoneinfo.value.zones), default=0) or None


def _numbers(numbers: Collection[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))


@lru_cache(2)
def _areas_of_all_types(types: Same[Pagetypeinfo]) -> Sequence[FreeArea]:
    """The free blocks of each zone, all migrate types together."""
    blocks: dict[tuple[int, str], list[int]] = {}
    for area in types.value.areas:
        counts = blocks.setdefault((area.node, area.zone), [0] * len(area.blocks))
        for order, count in enumerate(area.blocks[: len(counts)]):
            counts[order] += count
    return tuple([FreeArea(node, zone, tuple(counts)) for (node, zone), counts in blocks.items()])
