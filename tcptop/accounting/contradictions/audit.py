"""The audit of a Snapshot: every relation is checked, and figures that break a relation become unknown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tcptop.accounting.contradictions.hardware_relations import ARRAY_RELATION, PROCESSOR_RELATIONS, devices_of_arrays
from tcptop.accounting.contradictions.memory_relations import (
    AREA_RELATIONS,
    AVAILABLE_RELATIONS,
    BLOCK_RELATION,
    CGROUP_RELATIONS,
    CPU_RELATIONS,
    FREE_MOMENTS,
    MEMINFO_MOMENTS,
    MEMINFO_RELATIONS,
    NODE_MOMENTS,
    NODE_RELATIONS,
    ORDER_RELATION,
    PROTECTION_RELATION,
    TOTAL_RELATION,
    ZONE_RELATIONS,
    Available,
    BlockCount,
    CpuCounts,
    Moments,
    NodePair,
    Orders,
    Protections,
    TotalMemory,
    pages_of,
)
from tcptop.accounting.contradictions.relation import (
    DRIFT_SLABS,
    MAX_MEMORY_BYTES,
    CachePair,
    Context,
    Facts,
    Item,
    Machine,
    Relation,
    total,
    with_later_sockets,
)
from tcptop.accounting.contradictions.slab_relations import (
    ACTIVE_RELATION,
    CACHE_COUNT_RELATIONS,
    CACHE_SIZE_RELATIONS,
    NAMED_ROW_RELATIONS,
    PROTOCOL_SIZE_RELATION,
    ROW_RELATIONS,
    SAME_NAME_RELATION,
    SLAB_RELATION,
    SOCKET_ROW_RELATIONS,
    ActiveCount,
    RowsInSlab,
    SameName,
)
from tcptop.accounting.contradictions.socket_relations import (
    FIELDS_RELATION,
    LISTEN_RELATION,
    VALUE_RELATIONS,
    counted_fields,
)
from tcptop.accounting.slab_bytes import slab_bytes
from tcptop.accounting.slab_caches import MEMCG_CHILDREN_UNTIL, idle_error_objects, unique_rows
from tcptop.accounting.socket_counts import file_count_error
from tcptop.kernel.objects import (
    FILE,
    MINI_SOCKETS,
    NF_CONN,
    OBJECT_OF_CACHE,
    REQUEST_SOCKS,
    SOCKET_ALLOC,
    SOCKS,
    KernelObject,
)
from tcptop.kernel.release import release_numbers
from tcptop.recall import Recall
from tcptop.snapshot import (
    Contradictions,
    Doubt,
    FreeArea,
    Pagetypeinfo,
    Reading,
    Slabinfo,
    SlabRow,
    Snapshot,
    Zone,
)

DRIFT_PAGES_PER_CPU = 125
"""Maximum number of pages that a CPU has not added to a counter yet (mm/vmstat.c, calculate_normal_threshold)."""

UNEXPLAINED_SHARE = 0.01
"""How much larger than meminfo's Slab the sum of slabinfo's rows may be, as a share of Slab."""

GROWTH_BYTES_PER_S = 1 << 30
"""Upper bound on the growth of the slab memory between two reads, in bytes per second."""

FREED_BYTES_PER_S = 64 << 30
"""Upper bound on the memory that is freed or taken between two reads, in bytes per second."""

MOMENT_SHARE, MOVED_BYTES = 4, 512 << 20
"""Two files may show amounts of memory that differ by one part in MOMENT_SHARE of a zone, and by MOVED_BYTES."""

MAX_BOOST = 3
"""A zone's reserve may have been computed while its high watermark was boosted to this many times its present value."""

ESTIMATES_SINCE, MAX_COUNTED_SLABS = (6, 10), 10_000
"""First release that estimates a cache's free objects from some slabs if a node has more partial slabs than that."""

MAX_SOCKETS_APART_S = 0.05
"""Numbers of sockets in two files of a running kernel are compared only if the reads are at most this long apart."""

HOTPLUG_SHARE = 0.01
"""Share of the memory that may be added or removed between the reads of meminfo and zoneinfo."""

ALL_MANAGED_SINCE = (3, 11)
"""First release whose zones manage every page of MemTotal (mm/hugetlb.c, gather_bootmem_prealloc)."""

MAX_APART_S = 0.5
"""Figures of a running kernel are compared only if the time between the reads of the figures is at most this long."""

MAX_COPIED_APART_S = 30.0
"""Figures of a saved tree are not compared if tcptop read one of the files so much later than the other."""

KINDS: tuple[Doubt, ...] = ("size", "counts")

FILES: Mapping[str, str] = {
    "slabinfo": "/proc/slabinfo",
    "slab_sizes": "/sys/kernel/slab",
    "slab_counts": "/sys/kernel/slab",
    "sockstat": "/proc/net/sockstat",
    "sockstat6": "/proc/net/sockstat6",
    "snmp": "/proc/net/snmp",
    "netstat": "/proc/net/netstat",
    "tls_stat": "/proc/net/tls_stat",
    "socket_limits": "/proc/sys",
    "meminfo": "/proc/meminfo",
    "zoneinfo": "/proc/zoneinfo",
    "buddyinfo": "/proc/buddyinfo",
    "pagetypeinfo": "/proc/pagetypeinfo",
    "topology": "/sys/devices/system",
    "smbios": "/sys/firmware/dmi/tables/DMI",
}
"""The file names that the sentences about contradictions use, by name of the source."""


def without_contradictions(snapshot: Snapshot, page_bytes: int | None) -> Snapshot:
    """Sets impossible figures of a Snapshot to unknown.

    A source with impossible figures gets the state `strange`, and a sentence about the contradiction as the reason. A
    row of slabinfo keeps its numbers; `Snapshot.contradictions` says which of the numbers are in doubt.
    """
    audit = Audit(snapshot)
    audit.check_value("meminfo", MEMINFO_RELATIONS, find_machine(audit.snapshot, page_bytes))
    machine = find_machine(audit.snapshot, page_bytes)
    facts = find_facts(audit.snapshot, machine)
    doubts = check_rows(audit, facts)
    check_caches(audit, facts)
    miscounted = {row for row, kinds in doubts.items() if "counts" in kinds}
    facts = with_slabinfo(audit.snapshot, facts, miscounted)
    facts = check_counts(audit, facts, miscounted)
    check_socket_rows(audit, facts, doubts)
    check_active_objects(audit, facts.machine, doubts)
    check_listen_drops(audit, facts)
    check_zones(audit, facts)
    check_meminfo_of_zones(audit, machine)
    check_available(audit, machine)
    check_topology(audit, machine)
    check_cgroup(audit, machine)
    check_hardware(audit, machine)
    if not audit.sources:
        return audit.snapshot
    return audit.snapshot._replace(contradictions=Contradictions(frozenset(audit.sources), doubts))


class Audit:
    """A Snapshot during the audit, and the names of the sources in which an impossible figure was found."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.sources: set[str] = set()

    def mark(self, source: str, sentences: Iterable[str], value: object = None) -> None:
        """Sets a source to `strange`, with the first sentence as the reason; does nothing if `sentences` is empty.

        If `value` is not None, `value` replaces the source's old value.
        """
        sentence = next(iter(sentences), None)
        if sentence is None:
            return
        reading: Reading[Any] = getattr(self.snapshot, source)
        reason = f"{FILES[source]}: {sentence}" if reading.reason is None else f"{reading.reason}; {sentence}"
        if source in self.sources:
            reason = reading.reason or reason
        self.sources.add(source)
        self._put(source, reading._replace(state="strange", reason=reason))
        if value is not None:
            self._put(source, getattr(self.snapshot, source)._replace(value=value))

    def _put(self, source: str, reading: Reading[Any]) -> None:
        changed: dict[str, Any] = {source: reading}
        self.snapshot = self.snapshot._replace(**changed)

    def check_value(self, source: str, relations: Sequence[Relation[Any, Context]], context: Context) -> None:
        """Checks a source that has only a few counts.

        sockstat is read once more right after each read of slab counts. If the source is sockstat, the values from
        these further reads are checked too.
        """
        value = getattr(self.snapshot, source).value
        if value is not None:
            sentences, value = examine(value, relations, context)
            self.mark(source, sentences, value)
        for other in ("slabinfo", "slab_counts") if source == "sockstat" else ():
            reading: Reading[Any] = getattr(self.snapshot, other)
            if reading.sockstat is not None:
                sentences, beside = examine(reading.sockstat, relations, context)
                if sentences:
                    self._put(other, reading._replace(sockstat=beside))
                    self.mark(source, sentences)


def check_counts(audit: Audit, facts: Facts, miscounted: set[str]) -> Facts:
    """Checks the files of counters; returns the facts with those of sockstat, once its own check is done."""
    for line, _, sentence in find_failures(counted_fields(audit.snapshot), [FIELDS_RELATION], facts):
        audit.mark(line.source, [sentence])
    for source, relations in VALUE_RELATIONS.items():
        audit.check_value(source, relations, facts)
        if source in ("sockstat", "sockstat6"):
            facts = with_sockstat(audit.snapshot, facts, miscounted)
    return facts


def check_listen_drops(audit: Audit, facts: Facts) -> None:
    """Checks the overflows of accept queues; if the relation does not hold, both counters become unknown."""
    value = audit.snapshot.netstat.value
    sentence = LISTEN_RELATION.failure(value, facts) if value else None
    if value is not None and sentence is not None:
        kept = {name: count for name, count in value.counters.items() if name not in LISTEN_RELATION.doubts}
        audit.mark("netstat", [sentence], value._replace(counters=kept))


def check_socket_rows(audit: Audit, facts: Facts, doubts: dict[str, frozenset[Doubt]]) -> None:
    """Checks the row that holds an object of every socket; adds to `doubts`."""
    slabinfo, names = audit.snapshot.slabinfo.value, cache_names([SOCKET_ALLOC])
    rows = [row for row in unique_rows(slabinfo.rows) if row.name in names] if slabinfo else []
    for row, relation, sentence in find_failures(rows, SOCKET_ROW_RELATIONS, facts):
        _add_doubts(audit, doubts, row.name, relation.doubts, sentence)


def check_active_objects(audit: Audit, machine: Machine, doubts: dict[str, frozenset[Doubt]]) -> None:
    """Compares active objects with the counts of other files, which were checked; adds to `doubts`."""
    for count, relation, sentence in find_failures(_active_counts(audit.snapshot), [ACTIVE_RELATION], machine):
        for name in count.names:
            _add_doubts(audit, doubts, name, relation.doubts, f"{' and '.join(count.names)}: {sentence}")


def check_rows(audit: Audit, facts: Facts) -> dict[str, frozenset[Doubt]]:
    """Checks slabinfo; returns the doubts about each row that fails a check."""
    slabinfo = audit.snapshot.slabinfo.value
    if slabinfo is None:
        return {}
    doubts: dict[str, frozenset[Doubt]] = {}
    named = [row for row in slabinfo.rows if row.name in facts.struct_bytes or row.name in facts.step_bytes]
    _recall_failures.begin_round()
    failures = [failure for row in slabinfo.rows for failure in _recall_failures(row, facts.machine)]
    failures += [
        (row.name, relation.doubts, sentence)
        for row, relation, sentence in find_failures(named, NAMED_ROW_RELATIONS, facts)
    ]
    for name, kinds, sentence in failures:
        _add_doubts(audit, doubts, name, kinds, sentence)
    for row, relation, sentence in find_failures(_same_names(slabinfo), [SAME_NAME_RELATION], facts.machine):
        _add_doubts(audit, doubts, row.name, relation.doubts, sentence)
    audit.mark("slabinfo", _rows_beyond_slab(audit, slabinfo, facts.machine))
    return doubts


def _add_doubts(
    audit: Audit, doubts: dict[str, frozenset[Doubt]], name: str, kinds: Collection[str], sentence: str
) -> None:
    doubts[name] = doubts.get(name, frozenset()) | {kind for kind in KINDS if kind in kinds}
    audit.mark("slabinfo", [sentence])


def _rows_beyond_slab(audit: Audit, slabinfo: Slabinfo, machine: Machine) -> list[str]:
    """A list with one sentence if slabinfo's rows take more memory than meminfo's Slab; otherwise an empty list.

    In a container, Slab may be of the container alone (lxcfs).
    """
    if not is_of_machine(audit.snapshot, machine):
        return []
    meminfo, page_bytes = audit.snapshot.meminfo, machine.page_bytes
    slab = meminfo.value.slab_bytes if meminfo.value else None
    apart_s = seconds_apart(meminfo, audit.snapshot.slabinfo, audit.snapshot.live)
    if slab is None or page_bytes is None or apart_s is None:
        return []
    bound = slab + machine.drift_pages * page_bytes + int(slab * UNEXPLAINED_SHARE + apart_s * GROWTH_BYTES_PER_S)
    # The size without a correction for order fallback is an upper bound, and quick to compute.
    if sum([row.slabs * row.pages_per_slab for row in slabinfo.rows]) * page_bytes <= bound:
        return []
    size = sum([slab_bytes(*row[2:3], row.slabs, *row[3:6], page_bytes) for row in unique_rows(slabinfo.rows)])
    sums = [RowsInSlab(size, slab, bound)]
    return [sentence for *_, sentence in find_failures(sums, [SLAB_RELATION], machine)]


def check_cgroup(audit: Audit, machine: Machine) -> None:
    """Checks the memory of the cgroup that the user named; if a check fails, the used memory is unknown."""
    cgroup = audit.snapshot.cgroup
    sentence = next((text for *_, text in find_failures([cgroup], CGROUP_RELATIONS, machine)), None) if cgroup else None
    if cgroup is None or sentence is None:
        return
    folder = "/".join(filter(None, ("/sys/fs/cgroup", cgroup.path)))
    unknown = cgroup._replace(
        current_bytes=None,
        cache_bytes=None,
        sock_bytes=None,
        kernel_bytes=None,
        unknown_because=cgroup.unknown_because or f"damaged or impossible: {folder}: {sentence}",
    )
    audit.snapshot = audit.snapshot._replace(cgroup=unknown)


def check_caches(audit: Audit, facts: Facts) -> None:
    """Checks the caches in sysfs, and leaves out the caches that break a relation."""
    sizes, counts = audit.snapshot.slab_sizes.value, audit.snapshot.slab_counts.value
    failed: dict[str, str] = {}
    if sizes is not None:
        for name, size in sizes.caches.items():
            found = [text for *_, text in find_failures([size], CACHE_SIZE_RELATIONS, facts.machine)]
            structs = (size.object_size_bytes, facts.protocol_bytes.get(name))
            found += [text for *_, text in find_failures([structs], [PROTOCOL_SIZE_RELATION], facts)]
            failed |= {name: found[0]} if found else {}
        sound = {name: size for name, size in sizes.caches.items() if name not in failed}
        audit.mark("slab_sizes", _named(failed), sizes._replace(caches=sound))
    if counts is not None:
        pairs = _cache_pairs(audit.snapshot, facts.machine)
        failed = {}
        for name, pair in pairs.items():
            for *_, text in find_failures([pair], CACHE_COUNT_RELATIONS, facts.machine):
                failed.setdefault(name, text)
        counted = {name: count for name, count in counts.caches.items() if name not in failed}
        audit.mark("slab_counts", _named(failed), counts._replace(caches=counted))


def check_zones(audit: Audit, facts: Facts) -> None:
    """Checks zoneinfo, buddyinfo and pagetypeinfo.

    If a zone breaks a relation, the figures of the zone become unknown.
    """
    zoneinfo = audit.snapshot.zoneinfo.value
    if zoneinfo is not None:
        failed: dict[Zone, str] = {}
        for zone, _, sentence in find_failures(zoneinfo.zones, ZONE_RELATIONS, facts.machine):
            failed.setdefault(zone, sentence)
        for pair, _, sentence in find_failures(_protections(zoneinfo.zones), [PROTECTION_RELATION], facts.machine):
            failed.setdefault(pair.zone, sentence)
        unknown: dict[str, Any] = dict.fromkeys(Zone._fields[2:]) | {"protection_pages": ()}
        kept = tuple(zone._replace(**unknown) if zone in failed else zone for zone in zoneinfo.zones)
        audit.mark("zoneinfo", failed.values(), zoneinfo._replace(zones=kept))
        facts = facts._replace(managed_pages=managed_by_zone(kept))
    buddyinfo, types = audit.snapshot.buddyinfo, audit.snapshot.pagetypeinfo
    if buddyinfo.value is not None:
        areas = buddyinfo.value.areas
        failed_areas = _failed_areas(audit, areas, "buddyinfo", facts)
        left = tuple(area for area in areas if (area.node, area.zone) not in failed_areas)
        audit.mark("buddyinfo", failed_areas.values(), buddyinfo.value._replace(areas=left))
    if types.value is not None:
        failed_areas = _failed_areas(audit, _areas_of_all_types(types.value), "pagetypeinfo", facts)
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


def _failed_areas(audit: Audit, areas: Sequence[FreeArea], source: str, facts: Facts) -> dict[tuple[int, str], str]:
    """One sentence for each zone with impossible free blocks, by node and name of the zone.

    The free blocks are compared with zoneinfo, and those of pagetypeinfo also with buddyinfo.
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
    capped = _capped_zones(snapshot.pagetypeinfo.value) if source == "pagetypeinfo" else set()
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


def _failed_pageblocks(audit: Audit, types: Pagetypeinfo, machine: Machine) -> dict[tuple[int, str], str]:
    """One sentence for each zone with more pageblocks than it spans."""
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
    """Compares meminfo with the sums over the zones, unless meminfo is a container's (lxcfs)."""
    meminfo, zoneinfo, page_bytes = audit.snapshot.meminfo.value, audit.snapshot.zoneinfo.value, machine.page_bytes
    if meminfo is None or zoneinfo is None or not page_bytes or not is_of_machine(audit.snapshot, machine):
        return
    zones = zoneinfo.zones
    whole = _total_memory(audit.snapshot, machine)
    texts = [] if whole is None else [text for *_, text in find_failures([whole], [TOTAL_RELATION], machine)]
    audit.mark("meminfo", texts, meminfo._replace(**dict.fromkeys(TOTAL_RELATION.doubts)))
    used = None
    if meminfo.total_bytes is not None and meminfo.free_bytes is not None:
        used = (meminfo.total_bytes - meminfo.free_bytes) // page_bytes
    managed, free = (_sum_of(zones, field) for field in ("managed_pages", "free_pages"))
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
    audit.mark("meminfo", sentences, meminfo._replace(**dict.fromkeys(MEMINFO_MOMENTS.doubts)))


def check_available(audit: Audit, machine: Machine) -> None:
    """Checks MemAvailable by the kernel's rule, unless meminfo is a container's (lxcfs)."""
    meminfo, zoneinfo = audit.snapshot.meminfo.value, audit.snapshot.zoneinfo.value
    if meminfo is None or meminfo.total_bytes is None or meminfo.available_bytes is None:
        return
    if zoneinfo is None or not is_of_machine(audit.snapshot, machine):
        return
    parts = (meminfo.free_bytes, meminfo.file_bytes, meminfo.reclaimable_bytes)
    highs = [zone.high_pages for zone in zoneinfo.zones]
    least = None
    if meminfo.free_bytes is not None and machine.page_bytes and None not in highs:
        protection = sum(max(zone.protection_pages, default=0) for zone in zoneinfo.zones)
        reserve = protection + MAX_BOOST * sum(filter(None, highs))
        least = meminfo.free_bytes - reserve * machine.page_bytes
    available = Available(meminfo.total_bytes, meminfo.available_bytes, total(*parts), least)
    sentences = [text for *_, text in find_failures([available], AVAILABLE_RELATIONS, machine)]
    audit.mark("meminfo", sentences, meminfo._replace(available_bytes=None))


def check_topology(audit: Audit, machine: Machine) -> None:
    """Checks the nodes and the CPUs; compares the memory of the nodes with the zones."""
    topology, zoneinfo = audit.snapshot.topology.value, audit.snapshot.zoneinfo.value
    if topology is None:
        return
    apart_s = seconds_apart(audit.snapshot.topology, audit.snapshot.zoneinfo, audit.snapshot.live)
    zones = zoneinfo.zones if zoneinfo and apart_s is not None and machine.page_bytes else ()
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
    cpus_of_nodes = [node.cpus for node in topology.nodes]
    counts = CpuCounts(
        topology.online_cpus,
        None if None in cpus_of_nodes or not cpus_of_nodes else sum(filter(None, cpus_of_nodes)),
        _cpus_of_zones(audit.snapshot),
    )
    failed = [text for *_, text in find_failures([counts], CPU_RELATIONS, machine)]
    value = topology._replace(nodes=tuple(nodes), online_cpus=None if failed else topology.online_cpus)
    audit.mark("topology", [*failed, *sentences], value)


def check_hardware(audit: Audit, machine: Machine) -> None:
    """Checks the processors and the arrays of memory slots of the firmware's tables."""
    smbios = audit.snapshot.smbios.value
    if smbios is None:
        return
    checked = [examine(processor, PROCESSOR_RELATIONS, machine) for processor in smbios.processors]
    sentences = [text for texts, _ in checked for text in texts]
    arrays = []
    for pair in devices_of_arrays(smbios):
        text = ARRAY_RELATION.failure(pair, machine)
        sentences += [text] if text else []
        arrays.append(pair.array._replace(slots=None) if text else pair.array)
    processors = tuple(processor for _, processor in checked)
    audit.mark("smbios", sentences, smbios._replace(processors=processors, memory_arrays=tuple(arrays)))


def find_failures(
    items: Iterable[Item], relations: Sequence[Relation[Item, Context]], context: Context
) -> list[tuple[Item, Relation[Item, Context], str]]:
    """The relations that do not hold, each with the checked item and a sentence about the contradiction."""
    return [
        (item, relation, sentence)
        for item in items
        for relation in relations
        if (sentence := relation.failure(item, context)) is not None
    ]


def _row_failures(row: SlabRow, machine: Machine) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """For each relation that a slabinfo row breaks: the name of the row, the doubts and the sentence.

    The results are remembered, because most rows have not changed since the last sample.
    """
    return tuple(
        (row.name, relation.doubts, sentence) for _, relation, sentence in find_failures([row], ROW_RELATIONS, machine)
    )


_recall_failures = Recall(_row_failures)


def examine(
    value: Any,  # noqa: ANN401 (the value of any source)
    relations: Sequence[Relation[Any, Context]],
    context: Context,
) -> tuple[list[str], Any]:
    """The sentences of the relations that `value` breaks, and a copy of it with the doubtful fields set to None."""
    failures = find_failures([value], relations, context)
    doubted = dict.fromkeys(field for _, relation, _ in failures for field in relation.doubts)
    return [sentence for _, _, sentence in failures], value._replace(**doubted)


def find_machine(snapshot: Snapshot, page_bytes: int | None) -> Machine:
    """The figures of the machine that bound all others."""
    slabinfo, zoneinfo, meminfo = snapshot.slabinfo.value, snapshot.zoneinfo.value, snapshot.meminfo.value
    # In a container, meminfo (lxcfs) may show less memory than the machine has.
    managed_pages = sum(managed_by_zone(zoneinfo.zones if zoneinfo else ()).values())
    memory_bytes = max((meminfo.total_bytes if meminfo else None) or 0, managed_pages * (page_bytes or 0))
    return Machine(
        page_bytes=page_bytes,
        memory_bytes=min(memory_bytes or MAX_MEMORY_BYTES, MAX_MEMORY_BYTES),
        is_slub=slabinfo is not None and not any(row.tunables_limit for row in slabinfo.rows),
        drift_pages=_drift_pages(snapshot),
    )


def find_facts(snapshot: Snapshot, machine: Machine) -> Facts:
    """The figures of other files that the relations compare with."""
    sizes, zoneinfo = snapshot.slab_sizes.value, snapshot.zoneinfo.value
    caches = sizes.caches if sizes else {}
    protocols = snapshot.protocols.value.by_name if snapshot.protocols.value else {}
    of_protocols: dict[str, int] = {}
    for name, source in (("TCP", "sockstat"), ("TCPv6", "sockstat6")):
        sockets = protocols[name].sockets if name in protocols else None
        if sockets is not None and are_of_one_moment(snapshot, "protocols", source):
            of_protocols[name] = sockets
    return Facts(
        machine=machine,
        socks=_objects(snapshot, SOCKS, "allocated"),
        mini_sockets=_objects(snapshot, MINI_SOCKETS, "time_wait"),
        struct_bytes=_struct_bytes(snapshot),
        step_bytes={name: size.slab_size_bytes for name, size in caches.items() if size.slab_size_bytes is not None},
        per_slab={name: size.objects_per_slab for name, size in caches.items() if size.objects_per_slab is not None},
        orders={name: size.order for name, size in caches.items() if size.order is not None},
        protocol_bytes=_protocol_bytes(snapshot),
        managed_pages=managed_by_zone(zoneinfo.zones if zoneinfo else ()),
        protocol_sockets=of_protocols,
    )


def with_slabinfo(snapshot: Snapshot, facts: Facts, miscounted: set[str]) -> Facts:
    """The facts without the counts of `miscounted` rows of slabinfo, and with those of the other rows."""
    return facts._replace(
        socks=None if miscounted & cache_names(SOCKS) else facts.socks,
        mini_sockets=None if miscounted & cache_names(MINI_SOCKETS) else facts.mini_sockets,
        flows=flow_count(snapshot, miscounted),
        files=max_files(snapshot, miscounted),
    )


def with_sockstat(snapshot: Snapshot, facts: Facts, miscounted: Collection[str]) -> Facts:
    """The facts with those of sockstat, which was checked by itself."""
    sockstat, sockstat6 = snapshot.sockstat.value, snapshot.sockstat6.value
    if sockstat is None:
        return facts
    inuse6 = sockstat6.inuse if sockstat6 else None
    both = None if sockstat.inuse is None or inuse6 is None else sockstat.inuse + inuse6
    in_namespace = sockstat.allocated if both is None else both
    return facts._replace(
        sockets=sockstat.allocated,
        inuse=sockstat.inuse,
        sockets_with_file=_sockets_with_file(snapshot, miscounted),
        sockets_with_inode=_sockets_with_inode(snapshot, miscounted),
        namespace_sockets=in_namespace if are_of_one_moment(snapshot, "snmp", "sockstat") else None,
    )


def are_of_one_moment(snapshot: Snapshot, one: str, other: str) -> bool:
    """Whether hardly any sockets or files were opened or closed between the reads of two sources.

    On a running kernel, the number of sockets must also be about the same as in the sample before.
    """
    apart_s = seconds_apart(getattr(snapshot, one), getattr(snapshot, other), snapshot.live)
    if apart_s is None or apart_s > MAX_SOCKETS_APART_S:
        return False
    sockstat = snapshot.sockstat
    counts = [
        reading.value.allocated
        for reading in (sockstat, sockstat.before)
        if reading is not None and reading.value is not None and reading.value.allocated is not None
    ]
    return not counts or max(counts) <= (with_later_sockets(min(counts)) or 0)


def is_of_machine(snapshot: Snapshot, machine: Machine) -> bool:
    """Whether meminfo is of the whole machine; in a container meminfo may be the container's (lxcfs)."""
    meminfo, zoneinfo = snapshot.meminfo.value, snapshot.zoneinfo.value
    managed = sum(managed_by_zone(zoneinfo.zones if zoneinfo else ()).values()) * (machine.page_bytes or 0)
    memory = meminfo.total_bytes if meminfo else None
    return memory is None or memory >= managed * (1 - HOTPLUG_SHARE)


def _slack_pages(snapshot: Snapshot, machine: Machine, managed: int | None, one: str, other: str) -> int | None:
    """How many of `managed` pages may be freed or taken between the reads of two sources; None if unknown."""
    apart_s = seconds_apart(getattr(snapshot, one), getattr(snapshot, other), snapshot.live)
    if apart_s is None or machine.page_bytes is None or managed is None:
        return None
    moved_bytes = MOVED_BYTES + int(apart_s * FREED_BYTES_PER_S)
    return managed // MOMENT_SHARE + moved_bytes // machine.page_bytes + machine.drift_pages


def _total_memory(snapshot: Snapshot, machine: Machine) -> TotalMemory | None:
    """MemTotal and the memory of the zones; None if a figure is unknown, or not of the same moment.

    Up to 3.10, huge pages of the boot command line are in MemTotal, and no zone manages them.
    """
    meminfo, zoneinfo, sysctls = snapshot.meminfo.value, snapshot.zoneinfo.value, snapshot.sysctls.value
    release = release_numbers(sysctls.kernel_release) if sysctls else None
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
    """The protection of each zone that has it, and the number of zones that a node may have."""
    of_nodes = Counter(zone.node for zone in zones)
    needed = max([*of_nodes.values(), *(len(zone.protection_pages) for zone in zones)], default=0)
    return [Protections(zone, needed) for zone in zones if zone.protection_pages]


def _pages(size: int | None, page_bytes: int | None) -> int | None:
    return None if size is None or not page_bytes else size // page_bytes


def _sum_of(zones: Collection[Zone], field: str) -> int | None:
    """The sum of a count over zones; None if a zone with pages does not have it, or without zones."""
    counts = [getattr(zone, field) for zone in zones if zone.present_pages != 0]
    return None if not counts or None in counts else sum(counts)


def _sum_of_nodes(zones: Collection[Zone], field: str) -> int | None:
    """The sum of a count that only the first zone of a node may have; None if a node does not have it."""
    by_node: dict[int, list[int]] = {}
    for zone in zones:
        if zone.present_pages != 0:
            by_node.setdefault(zone.node, [])
        count = getattr(zone, field)
        if count is not None:
            by_node.setdefault(zone.node, []).append(count)
    return sum(map(sum, by_node.values())) if by_node and all(by_node.values()) else None


def _capped_zones(types: Pagetypeinfo | None) -> set[tuple[int, str]]:
    """Zones with free blocks that the kernel did not count to the end (`>100000`)."""
    return {(area.node, area.zone) for area in (types.areas if types else ()) if area.capped_orders}


def _named(failed: Mapping[str, str]) -> list[str]:
    return [f"{name}: {sentence}" for name, sentence in failed.items()]


def _cache_pairs(snapshot: Snapshot, machine: Machine) -> dict[str, CachePair]:
    """The counts of each cache in sysfs, with the row of slabinfo if both files were read at one time."""
    counts, slabinfo, sysctls = snapshot.slab_counts.value, snapshot.slabinfo.value, snapshot.sysctls.value
    apart_s = seconds_apart(snapshot.slab_counts, snapshot.slabinfo, snapshot.live)
    release = release_numbers(sysctls.kernel_release) if sysctls else None
    rows: dict[str, SlabRow] = {}
    if slabinfo is not None and apart_s is not None:
        rows = {row.name: row for row in unique_rows(slabinfo.rows)}
    pairs: dict[str, CachePair] = {}
    for name, count in counts.caches.items() if counts else ():
        row = rows.get(name)
        slabs = max(count.slabs or 0, row.slabs if row else 0)
        slab = max(1, row.pages_per_slab if row else 1) * (machine.page_bytes or 1)
        drift = (
            min(slabs // 4, (row.slabs if row else 0)) + DRIFT_SLABS + int((apart_s or 0) * GROWTH_BYTES_PER_S) // slab
        )
        pairs[name] = CachePair(*count, row, drift, is_whole=release is not None and release >= MEMCG_CHILDREN_UNTIL)
    return pairs


def _drift_pages(snapshot: Snapshot) -> int:
    """Upper bound on the error of a counter of pages: each CPU may hold back some pages of each node."""
    topology = snapshot.topology.value
    return DRIFT_PAGES_PER_CPU * (cpu_count(snapshot) or 1) * max(1, len(topology.nodes) if topology else 1)


def cpu_count(snapshot: Snapshot) -> int | None:
    """The online CPUs, or those with page lists; None if unknown."""
    topology, zoneinfo = snapshot.topology.value, snapshot.zoneinfo.value
    of_zones = max((zone.cpus or 0 for zone in zoneinfo.zones), default=0) if zoneinfo else 0
    return (topology.online_cpus if topology else None) or of_zones or None


def _cpus_of_zones(snapshot: Snapshot) -> int | None:
    """The CPUs with page lists in a whole zoneinfo of a saved tree; None if unknown."""
    zoneinfo = snapshot.zoneinfo
    if snapshot.live or zoneinfo.value is None or zoneinfo.state != "ok":
        return None
    return max((zone.cpus or 0 for zone in zoneinfo.value.zones), default=0) or None


def _struct_bytes(snapshot: Snapshot) -> dict[str, int]:
    """Sizes of the structs in caches that are not merged, by name of the cache (sysfs, /proc/net/protocols)."""
    sizes, links = snapshot.slab_sizes.value, snapshot.slab_links.value
    groups = links.names_of.values() if links else ()
    merged = {name for names in groups if len(names) > 1 for name in names}
    structs = {
        name: size.object_size_bytes
        for name, size in (sizes.caches if sizes else {}).items()
        if size.object_size_bytes is not None and name not in merged
    }
    return structs | _protocol_bytes(snapshot)


def _protocol_bytes(snapshot: Snapshot) -> dict[str, int]:
    """Sizes of the socks in /proc/net/protocols, by name of the cache, which is the name of the protocol."""
    protocols = snapshot.protocols.value.by_name if snapshot.protocols.value else {}
    return {name: protocols[name].object_size_bytes for name in cache_names(SOCKS) if name in protocols}


def _objects(snapshot: Snapshot, objects: Sequence[KernelObject], field: str) -> int | None:
    """If the rows of IPv4 and IPv6 contradict sockstat, the number of objects in these rows together; otherwise None.

    A contradiction means that every count of sockstat is much larger than the number of objects. Caches of socks and
    caches of mini-sockets are never merged, so a row that is missing from a complete file counts as 0 objects. Sockets
    may be opened or closed between the reads of slabinfo and sockstat, so there is no contradiction if at least one of
    the counts of sockstat agrees with slabinfo.
    """
    slabinfo = snapshot.slabinfo
    if slabinfo.value is None or slabinfo.state not in ("ok", "late"):
        return None
    names = cache_names(objects)
    rows = [row for row in slabinfo.value.rows if row.name in names]
    if not any(row.name in objects[0].caches for row in rows):
        return None
    objects_of_rows = sum(row.objects for row in rows)
    least = least_count(snapshot, field)
    return objects_of_rows if least is not None and least > (with_later_sockets(objects_of_rows) or 0) else None


def least_count(snapshot: Snapshot, field: str) -> int | None:
    """The least of the counts of sockstat that were read around slabinfo."""
    sockstat = snapshot.sockstat
    readings = (snapshot.slabinfo.sockstat, sockstat.value, sockstat.before.value if sockstat.before else None)
    counts = [getattr(reading, field) for reading in readings if reading is not None]
    return min((count for count in counts if count is not None), default=None)


def _active_counts(snapshot: Snapshot) -> list[ActiveCount]:
    """The active objects of the rows of socks, mini-sockets and files, and the counts of sockstat and file-nr."""
    slabinfo, sockstat, limits = snapshot.slabinfo.value, snapshot.sockstat.value, snapshot.socket_limits.value
    if slabinfo is None:
        return []
    files, cpus = None, cpu_count(snapshot)
    is_near = are_of_one_moment(snapshot, "socket_limits", "slabinfo")
    if is_near and limits is not None and limits.open_files is not None and cpus is not None:
        files = limits.open_files - file_count_error(cpus)
    sockets = least_count(snapshot, "allocated") if sockstat and sockstat.allocated is not None else None
    mini_sockets = least_count(snapshot, "time_wait") if sockstat and sockstat.time_wait is not None else None
    unique = unique_rows(slabinfo.rows)
    found: list[ActiveCount] = []
    for names, needed, objects_named, counted in (
        (cache_names(SOCKS), set(SOCKS[0].caches), "TCP sockets", sockets),
        (cache_names(MINI_SOCKETS), set(MINI_SOCKETS[0].caches), "TIME_WAIT sockets", mini_sockets),
        (names_of_files(snapshot), names_of_files(snapshot), "open files", files),
    ):
        rows = [row for row in unique if row.name in names]
        is_estimated = _estimates_free_objects(snapshot) and any(row.slabs > MAX_COUNTED_SLABS for row in rows)
        if not is_estimated and any(row.name in needed for row in rows):
            active = sum(row.active_objects for row in rows)
            found.append(ActiveCount(tuple(sorted(row.name for row in rows)), objects_named, active, counted))
    return found


def _estimates_free_objects(snapshot: Snapshot) -> bool:
    """Whether the kernel may estimate the free objects of a cache with many slabs."""
    sysctls = snapshot.sysctls.value
    release = release_numbers(sysctls.kernel_release) if sysctls else None
    return release is None or release >= ESTIMATES_SINCE


def flow_count(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Number of objects in the caches of tracked flows; None if slabinfo has no such row, or a row is in doubt.

    Up to 4.7, each network namespace has a cache of its own.
    """
    slabinfo = snapshot.slabinfo
    if slabinfo.value is None or slabinfo.state not in ("ok", "late"):
        return None
    per_namespace = re.compile(NF_CONN.name_in_namespace or "")
    rows = [row for row in slabinfo.value.rows if row.name in NF_CONN.caches or per_namespace.fullmatch(row.name)]
    if not rows or any(row.name in miscounted for row in rows):
        return None
    return sum(row.objects for row in rows)


def _sockets_with_file(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Lower bound on the TCP sockets with a file, less the error of fs.file-nr; None if unknown.

    A socket of the kernel itself (NFS, ksmbd, DRBD, Ceph) has an inode and no file, so the bound is at most the number
    of files that slabinfo surely shows.
    """
    cpus, sockets = cpu_count(snapshot), _sockets_with_inode(snapshot, miscounted)
    files = _min_files(snapshot, miscounted)
    return None if files is None or sockets is None or cpus is None else min(sockets, files) - file_count_error(cpus)


def _sockets_with_inode(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Lower bound on the TCP sockets with a struct socket_alloc; None if unknown.

    Orphans have none. Each socket in an accept queue has none either, and still has its request sock. A subflow of
    MPTCP has none, so the bound is unknown if the machine has MPTCP sockets.
    """
    slabinfo, sockstat, protocols = snapshot.slabinfo, snapshot.sockstat, snapshot.protocols.value
    if slabinfo.value is None or slabinfo.state not in ("ok", "late"):
        return None
    names = cache_names(REQUEST_SOCKS)
    rows = [row for row in slabinfo.value.rows if row.name in names]
    if not rows or names & set(miscounted):
        return None
    if protocols is not None and any(
        protocol.name.startswith("MPTCP") for protocol in protocols.by_name.values() if protocol.sockets
    ):
        return None
    # Sockets may be opened or closed between the reads, so the least count of the reads around slabinfo counts.
    readings = (slabinfo.sockstat, sockstat.value, sockstat.before.value if sockstat.before else None)
    counts = [
        reading.allocated - reading.orphans
        for reading in readings
        if reading is not None and reading.allocated is not None and reading.orphans is not None
    ]
    if sockstat.value is None or sockstat.value.allocated is None or not counts:
        return None
    return min(counts) - sum(row.objects for row in rows)


def max_files(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Upper bound on fs.file-nr: the objects in the row that holds struct file, and the error; None if unknown."""
    slabinfo, cpus = snapshot.slabinfo.value, cpu_count(snapshot)
    if slabinfo is None or cpus is None or not are_of_one_moment(snapshot, "socket_limits", "slabinfo"):
        return None
    names = names_of_files(snapshot)
    row = next((row for row in unique_rows(slabinfo.rows) if row.name in names), None)
    return None if row is None or row.name in miscounted else row.objects + file_count_error(cpus)


def names_of_files(snapshot: Snapshot) -> set[str]:
    """The names that the row of struct file may have: its own, and those of the caches merged with it."""
    links, names = snapshot.slab_links.value, set(FILE.caches)
    for name in FILE.caches if links else ():
        names |= set(links.names_of.get(links.group_of.get(name, ""), ())) if links else set()
    return names


def _min_files(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
    """Lower bound on the open files in slabinfo; None if the cache of struct file has no row of its own."""
    slabinfo, links = snapshot.slabinfo.value, snapshot.slab_links.value
    row = next((row for row in unique_rows(slabinfo.rows) if row.name in FILE.caches), None) if slabinfo else None
    if row is None or row.name in miscounted:
        return None
    if links is not None and len(links.names_of.get(links.group_of.get(row.name, ""), ())) > 1:
        return None
    idle = idle_error_objects(snapshot, row, (row.name,))
    return None if idle is None else row.active_objects - idle


def cache_names(objects: Sequence[KernelObject]) -> set[str]:
    """The names of the caches that may hold the objects."""
    return {name for item in objects for name in item.caches}


def _same_names(slabinfo: Slabinfo) -> list[SameName]:
    """The different sizes in the rows of each name of the catalogue.

    The kernel has only one cache with the name of a catalogue cache.
    """
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for row in slabinfo.rows:
        if row.name in OBJECT_OF_CACHE:
            sizes.setdefault(row.name, set()).add((row.object_bytes, row.objects_per_slab, row.pages_per_slab))
    return [SameName(name, len(found)) for name, found in sizes.items()]


def _numbers(numbers: Collection[int]) -> str:
    return " or ".join(map(str, sorted(numbers)))


def managed_by_zone(zones: Iterable[Zone]) -> dict[tuple[int, str], int]:
    """The managed pages of each zone, by node and name."""
    return {(zone.node, zone.name): zone.managed_pages for zone in zones if zone.managed_pages is not None}


def _areas_of_all_types(types: Pagetypeinfo) -> list[FreeArea]:
    """The free blocks of each zone, all migrate types together."""
    blocks: dict[tuple[int, str], list[int]] = {}
    for area in types.areas:
        counts = blocks.setdefault((area.node, area.zone), [0] * len(area.blocks))
        for order, count in enumerate(area.blocks[: len(counts)]):
            counts[order] += count
    return [FreeArea(node, zone, tuple(counts)) for (node, zone), counts in blocks.items()]


def seconds_apart(one: Reading[Any], other: Reading[Any], live: bool) -> float | None:
    """Seconds between the reads of two sources; None if the time is too long for a comparison.

    A saved tree does not tell when its files were copied, so the time is 0.
    """
    if one.taken_at_s is None or other.taken_at_s is None:
        return None if live else 0.0
    apart_s = abs(one.taken_at_s - other.taken_at_s)
    if not live:
        return 0.0 if apart_s <= MAX_COPIED_APART_S else None
    return apart_s if apart_s <= MAX_APART_S else None
