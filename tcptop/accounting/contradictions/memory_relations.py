"""Relations of the machine's memory: meminfo, the zones, the free blocks, the nodes and a memory cgroup."""

from collections.abc import Callable
from typing import NamedTuple

from tcptop.accounting.contradictions.relation import (
    MAX_MEMORY_BYTES,
    ONE_AT_A_TIME,
    Facts,
    Machine,
    Relation,
    difference,
    times,
)
from tcptop.accounting.machine import HOTPLUG_SHARE
from tcptop.snapshot import CgroupMemory, FreeArea, Meminfo, NodeFacts, Pageblocks, Zone

MEMINFO, ZONEINFO, BUDDYINFO, PAGETYPEINFO = "/proc/meminfo", "/proc/zoneinfo", "/proc/buddyinfo", "/proc/pagetypeinfo"
NODES = "/sys/devices/system/node"

COUNTERS = "125 pages on each CPU of each node (mm/vmstat.c, calculate_normal_threshold)"
ANY_MOMENT = (
    "a quarter of the zones, 512 MiB and 64 GiB a second: pages may be taken or freed between the reads, "
    "and a figure made of both would be wrong by as much"
)
UNDER_LOCK = "none: both are printed under zone->lock (mm/vmstat.c, walk_zones_in_node)"
HOTPLUG = "a sixty-fourth: memory may be added or removed between the reads"
SUM_SHARE = 100
"""Slab may differ from the sum of its parts by Slab ÷ SUM_SHARE, because a container's meminfo (lxcfs) is rounded."""


AVAILABLE_SHARE, AVAILABLE_MOVED_BYTES = 1024, 16 << 20
"""Parts of the allowed difference between MemAvailable and the sum that the kernel computes it from.

The allowed difference is MemTotal ÷ AVAILABLE_SHARE + AVAILABLE_MOVED_BYTES.
"""

MAX_DISTANCE = 255


class Moments(NamedTuple):
    """An amount of memory that two files show, in pages."""

    what: str
    other_file: str
    pages: int | None
    other_pages: int | None
    slack_pages: int | None
    """Allowed difference of the two amounts; None if the files were not read at the same time."""


class Available(NamedTuple):
    """MemAvailable, and its bounds by the kernel's rule; a bound is None if unknown."""

    total_bytes: int
    available_bytes: int
    most_bytes: int | None
    """The sum of MemFree, page cache on the LRU lists, and reclaimable kernel memory."""
    least_bytes: int | None
    """MemFree minus the largest possible reserve. The reserve is the sum of the boosted high watermarks and of the
    protections of all zones."""
    by_rule_bytes: int | None
    """The upper bound with the smallest possible reserve, as the kernel computes MemAvailable since 4.20."""


class TotalMemory(NamedTuple):
    """MemTotal and the memory of the zones, in pages."""

    pages: int
    managed_pages: int
    present_pages: int
    late_pages: int
    """Pages that the kernel has not initialised yet: meminfo counts these pages as free, but no zone does."""
    moved_pages: int
    """Number of pages that may be freed, or added to the machine, between the reads of the two files."""

    @property
    def most_pages(self) -> int:
        """Upper bound on MemTotal: the number of pages that zones manage now or will manage later.

        If the number of present pages is smaller, the number of present pages is the upper bound.
        """
        managed = self.managed_pages + self.managed_pages // 64 + self.late_pages + self.late_pages // 16
        return min(managed, self.present_pages + self.present_pages // 64) + self.moved_pages


class SmallerMemory(NamedTuple):
    """A meminfo with a MemTotal below the memory of the zones; a container's meminfo (lxcfs) may look like this."""

    total_bytes: int
    managed_bytes: int
    unlike_container_bytes: int
    """Buffers; if Buffers is 0, the managed memory that DirectMap lacks. For a container's meminfo (lxcfs), the result
    is 0."""


class Protections(NamedTuple):
    """A zone with its line `protection`, and the number of entries that this line should have."""

    zone: Zone
    needed: int


class NodePair(NamedTuple):
    """The memory of a node according to sysfs, and the memory of the node's zones according to zoneinfo."""

    facts: NodeFacts
    managed_bytes: int | None
    """Bytes of the zones; None if sysfs and zoneinfo were not read at the same time."""
    present_bytes: int | None
    counts_managed: bool
    """True if the kernel certainly counts the managed pages as the node's memory, and not the present pages."""


class BlockCount(NamedTuple):
    """The pageblocks of a zone, and the pages that the zone spans."""

    row: Pageblocks
    blocks: int
    spanned_blocks: int | None
    """The largest number of pageblocks that the zone can have."""


class ListedZone(NamedTuple):
    """A zone with present pages in one file, and whether a second file contains this zone."""

    node: int
    zone: str
    is_listed: bool


class Orders(NamedTuple):
    """The number of orders in the lines of pagetypeinfo and of buddyinfo.

    The text is, for example, `11`. If the lines of a damaged file differ, the text names each number: `10 or 11`.
    """

    of_types: str
    of_blocks: str


class CpuCounts(NamedTuple):
    """The number of online CPUs in three files; None if unknown."""

    online: int | None
    of_nodes: int | None
    of_zones: int | None
    is_live: bool
    may_be_fewer: bool
    """True if `online` may leave out CPUs that a container cannot see (lxcfs), or if the nodes may list CPUs that are
    offline."""


def _is_of_container(meminfo: Meminfo, machine: Machine) -> bool:
    """True if a container's meminfo (lxcfs) is likely: it has less memory than the zones.

    Of lines that lxcfs does not know, it prints those of the host: KReclaimable, HugePages and Hugetlb.
    """
    return (meminfo.total_bytes or 0) < machine.memory_bytes * (1 - HOTPLUG_SHARE)


def _own_reclaimable_bytes(meminfo: Meminfo, machine: Machine) -> int:
    """Reclaimable kernel memory of the same machine or container as MemTotal; 0 if unknown."""
    is_of_container = _is_of_container(meminfo, machine)
    return (meminfo.reclaimable_slab_bytes if is_of_container else meminfo.reclaimable_bytes) or 0


MEMINFO_RELATIONS: tuple[Relation[Meminfo, Machine], ...] = (
    Relation(
        "MemTotal of any machine",
        MEMINFO,
        ("total_bytes",),
        lambda meminfo, _: (meminfo.total_bytes, MAX_MEMORY_BYTES),
        "MemTotal is {figure} B, more than any machine has",
        "none",
    ),
    Relation(
        "MemAvailable of MemTotal",
        MEMINFO,
        ("available_bytes", "total_bytes"),
        lambda meminfo, _: (meminfo.available_bytes, meminfo.total_bytes),
        "MemAvailable is {figure} B, and MemTotal {bound} B",
        "none (mm/show_mem.c, si_mem_available)",
    ),
    Relation(
        "HighTotal of MemTotal",
        MEMINFO,
        ("high_total_bytes",),
        lambda meminfo, _: (meminfo.high_total_bytes, meminfo.total_bytes),
        "HighTotal is {figure} B, and MemTotal {bound} B",
        "none",
    ),
    Relation(
        "huge pages of MemTotal",
        MEMINFO,
        ("huge_page_bytes",),
        lambda meminfo, machine: (
            meminfo.huge_page_bytes,
            None if _is_of_container(meminfo, machine) else meminfo.total_bytes,
        ),
        "the huge pages have {figure} B, and MemTotal {bound} B",
        "none: the pools are of managed memory (mm/hugetlb.c, hugetlb_report_meminfo); lxcfs prints those of the host",
    ),
    Relation(
        "Slab of MemTotal",
        MEMINFO,
        ("slab_bytes", "total_bytes"),
        lambda meminfo, _: (meminfo.slab_bytes, meminfo.total_bytes),
        "Slab is {figure} B, and MemTotal {bound} B",
        "none",
    ),
    Relation(
        "SReclaimable of Slab",
        MEMINFO,
        ("reclaimable_slab_bytes", "reclaimable_bytes"),
        lambda meminfo, _: (meminfo.reclaimable_slab_bytes, meminfo.slab_bytes),
        "SReclaimable is {figure} B, and Slab {bound} B",
        ONE_AT_A_TIME,
    ),
    Relation(
        "Slab is the sum of its parts",
        MEMINFO,
        ("slab_bytes", "reclaimable_slab_bytes", "reclaimable_bytes"),
        lambda meminfo, machine: (
            None
            if meminfo.reclaimable_slab_bytes is None or meminfo.unreclaimable_slab_bytes is None
            else difference(meminfo.slab_bytes, meminfo.reclaimable_slab_bytes + meminfo.unreclaimable_slab_bytes),
            (meminfo.slab_bytes or 0) // SUM_SHARE + machine.drift_bytes,
        ),
        "Slab is {item.slab_bytes:,} B, and SReclaimable and SUnreclaim together differ from it by {figure} B",
        f"a hundredth and {COUNTERS}; one sum (fs/proc/meminfo.c, meminfo_proc_show), rounded by lxcfs",
    ),
    Relation(
        "SReclaimable of KReclaimable",
        MEMINFO,
        ("reclaimable_slab_bytes", "reclaimable_bytes"),
        lambda meminfo, machine: (
            meminfo.reclaimable_slab_bytes,
            None if meminfo.reclaimable_bytes is None else meminfo.reclaimable_bytes + machine.drift_bytes,
        ),
        "SReclaimable is {figure} B, and KReclaimable, which includes it, {item.reclaimable_bytes:,} B",
        f"{COUNTERS} (fs/proc/meminfo.c, meminfo_proc_show)",
    ),
    Relation(
        "parts of MemTotal",
        MEMINFO,
        ("free_bytes", "file_bytes", "reclaimable_bytes"),
        lambda meminfo, machine: (
            (meminfo.free_bytes or 0) + (meminfo.file_bytes or 0) + _own_reclaimable_bytes(meminfo, machine),
            None if meminfo.total_bytes is None else meminfo.total_bytes + machine.drift_bytes,
        ),
        "MemFree, page cache and reclaimable memory are {figure} B, and MemTotal is less",
        f"{COUNTERS}; a page is free, on a list of page cache, or kernel memory; lxcfs prints KReclaimable of the host",
    ),
)

AVAILABLE_RELATIONS: tuple[Relation[Available, Machine], ...] = (
    Relation(
        "MemAvailable of what can be freed",
        MEMINFO,
        ("available_bytes",),
        lambda of, machine: (
            of.available_bytes,
            None if of.most_bytes is None else of.most_bytes + of.total_bytes // 64 + machine.drift_bytes,
        ),
        "MemAvailable is {figure} B, and MemFree, page cache and reclaimable memory are {item.most_bytes:,} B",
        f"a sixty-fourth of MemTotal and {COUNTERS}; the sum is its largest value (mm/show_mem.c, si_mem_available)",
    ),
    Relation(
        "MemAvailable of free memory",
        f"{MEMINFO}, {ZONEINFO}",
        ("available_bytes",),
        lambda of, machine: (
            of.least_bytes,
            of.available_bytes + of.total_bytes // 64 + machine.drift_bytes,
        ),
        "MemAvailable is {item.available_bytes:,} B, and free memory above all reserves {figure} B",
        f"a sixty-fourth of MemTotal and {COUNTERS}; free memory less totalreserve_pages is its least value "
        "(mm/show_mem.c, si_mem_available)",
    ),
)
"""Relations of MemAvailable in the machine's own meminfo. In a container, MemAvailable may break the relations, because
lxcfs computes MemAvailable by other rules."""

AVAILABLE_RULE: Relation[Available, Machine] = Relation(
    "MemAvailable by the kernel's rule",
    f"{MEMINFO}, {ZONEINFO}",
    tuple(Meminfo._fields),
    lambda of, machine: (
        of.available_bytes,
        None
        if of.by_rule_bytes is None
        else of.by_rule_bytes + of.total_bytes // AVAILABLE_SHARE + AVAILABLE_MOVED_BYTES + machine.drift_bytes,
    ),
    "MemAvailable is {figure} B, and without the reserves of the zones at most {item.by_rule_bytes:,} B: damaged, or "
    "the meminfo of a container",
    f"a 1 024th of MemTotal, 16 MiB and {COUNTERS}: one read of the file computes both, and the reserves change only "
    "with a sysctl or with the machine's memory (mm/show_mem.c, si_mem_available; mm/page_alloc.c, "
    "calculate_totalreserve_pages). lxcfs computes MemAvailable without reserves",
)

CONTAINER_RELATION: Relation[SmallerMemory, Machine] = Relation(
    "a meminfo of fewer pages",
    f"{MEMINFO}, {ZONEINFO}",
    tuple(Meminfo._fields),
    lambda memory, _: (memory.unlike_container_bytes, 0),
    "MemTotal is {item.total_bytes:,} B, the zones manage {item.managed_bytes:,} B, and it is not the meminfo of a "
    "container",
    "none: lxcfs, which makes the meminfo of a container, prints Buffers as 0 and the machine's DirectMap. Kernels "
    "before 3.13 are left out: their balloon drivers change MemTotal alone (mm/page_alloc.c, "
    "adjust_managed_page_count)",
)

TOTAL_RELATION: Relation[TotalMemory, Machine] = Relation(
    "MemTotal of the zones",
    f"{MEMINFO}, {ZONEINFO}",
    tuple(Meminfo._fields),
    lambda total, _: (total.pages, total.most_pages),
    "MemTotal is {figure} pages, and the zones manage {item.managed_pages:,}",
    f"{HOTPLUG}, and the free memory of a kernel that initialises it late, which no zone manages yet, with a sixteenth "
    "that may be used between the reads; MemTotal is the managed pages of all zones since 3.11 (mm/page_alloc.c, "
    "adjust_managed_page_count)",
)

MEMINFO_MOMENTS: Relation[Moments, Machine] = Relation(
    "memory of meminfo and of the zones",
    f"{MEMINFO}, {ZONEINFO}",
    tuple(Meminfo._fields),
    lambda pair, _: (difference(pair.pages, pair.other_pages), pair.slack_pages),
    "{item.what} is {item.pages:,} pages, and {item.other_pages:,} in {item.other_file}: not read at one time, or "
    "damaged",
    ANY_MOMENT,
)

SLAB_OF_ZONES: Relation[Moments, Machine] = Relation(
    "slab memory of the zones",
    f"{MEMINFO}, {ZONEINFO}",
    tuple(Meminfo._fields),
    lambda pair, _: (
        pair.other_pages,
        None if pair.pages is None or pair.slack_pages is None else 2 * pair.pages + pair.slack_pages,
    ),
    "{item.what} is {item.pages:,} pages, and {figure} in {item.other_file}: damaged, or the meminfo of a container",
    f"twice Slab, 16 MiB, 1 GiB a second between the reads, and {COUNTERS}: both files print the same counters "
    "(fs/proc/meminfo.c, meminfo_proc_show; mm/vmstat.c, zoneinfo_show_print)",
)


def _zone_pages(pages: Callable[[Zone], int | None], words: str) -> Relation[Zone, Machine]:
    """Makes a relation: a count of pages of a zone is at most the number of pages that the zone manages."""
    return Relation(
        f"pages {words} of a zone",
        ZONEINFO,
        (),
        lambda zone, machine: (
            pages(zone),
            None if zone.managed_pages is None else zone.managed_pages + machine.drift_pages,
        ),
        f"zone {{item.name}} of node {{item.node}} has {{figure}} pages {words} of {{item.managed_pages:,}}",
        COUNTERS,
    )


def _machine_pages(pages: Callable[[Zone], int | None], words: str) -> Relation[Zone, Machine]:
    """Makes a relation: a count of pages in a zone is at most the number of pages of the machine."""
    return Relation(
        f"pages {words} of the machine",
        f"{ZONEINFO}, {MEMINFO}",
        (),
        lambda zone, machine: (
            pages(zone),
            machine.memory_bytes // machine.page_bytes + machine.drift_pages if machine.page_bytes else None,
        ),
        f"zone {{item.name}} of node {{item.node}} has {{figure}} pages {words}, and the machine {{bound}}",
        COUNTERS,
    )


def _with_lists(zone: Zone) -> int | None:
    """The free pages of a zone plus the pages on its per-CPU lists, minus an allowance.

    The allowance is for pages that moved while the kernel printed the file.
    """
    if zone.free_pages is None or zone.on_cpu_lists_pages is None:
        return None
    return zone.free_pages + zone.on_cpu_lists_pages - (zone.managed_pages or 0) // 64


ZONE_RELATIONS: tuple[Relation[Zone, Machine], ...] = (
    _zone_pages(lambda zone: zone.on_cpu_lists_pages, "on per-CPU lists"),
    _zone_pages(lambda zone: zone.free_cma_pages, "of free CMA memory"),
    _zone_pages(lambda zone: zone.zone_file_pages, "of page cache"),
    _machine_pages(lambda zone: zone.file_pages, "of page cache"),
    _machine_pages(lambda zone: zone.reclaimable_pages, "of reclaimable memory"),
    _machine_pages(lambda zone: max(zone.protection_pages, default=None), "of protection"),
    _machine_pages(lambda zone: zone.low_pages, "below its low watermark"),
    Relation(
        "free pages of a zone",
        ZONEINFO,
        (),
        lambda zone, machine: (
            zone.free_pages,
            None if zone.managed_pages is None else zone.managed_pages + machine.drift_pages,
        ),
        "zone {item.name} of node {item.node} has {figure} free pages of {item.managed_pages:,}",
        COUNTERS,
    ),
    Relation(
        "free and listed pages of a zone",
        ZONEINFO,
        (),
        lambda zone, machine: (
            _with_lists(zone),
            None if zone.managed_pages is None else zone.managed_pages + machine.drift_pages,
        ),
        "zone {item.name} of node {item.node} has {item.free_pages:,} free pages and {item.on_cpu_lists_pages:,} on "
        "per-CPU lists, of {item.managed_pages:,}",
        f"a sixty-fourth of the zone, moved from list to list while it is printed; {COUNTERS}",
    ),
    Relation(
        "free CMA pages of free pages",
        ZONEINFO,
        (),
        lambda zone, machine: (
            zone.free_cma_pages,
            None if zone.free_pages is None else zone.free_pages + machine.drift_pages,
        ),
        "zone {item.name} of node {item.node} has {figure} free pages of CMA, and {item.free_pages:,} free pages",
        COUNTERS,
    ),
    Relation(
        "managed pages of present ones",
        ZONEINFO,
        (),
        lambda zone, _: (zone.managed_pages, zone.present_pages),
        "zone {item.name} of node {item.node} has {figure} managed pages of {bound}",
        "none (include/linux/mmzone.h, struct zone)",
    ),
    Relation(
        "present pages of spanned ones",
        ZONEINFO,
        (),
        lambda zone, _: (zone.present_pages, zone.spanned_pages),
        "zone {item.name} of node {item.node} has {figure} present pages in a span of {bound}",
        "none (include/linux/mmzone.h, struct zone)",
    ),
    Relation(
        "low watermark of high watermark",
        ZONEINFO,
        (),
        lambda zone, _: (max(zone.min_pages or 0, zone.low_pages or 0), zone.high_pages),
        "zone {item.name} of node {item.node} has a lower watermark of {figure} pages and a high one of {bound}",
        UNDER_LOCK,
    ),
    Relation(
        "min watermark of low watermark",
        ZONEINFO,
        (),
        lambda zone, _: (zone.min_pages, zone.low_pages),
        "zone {item.name} of node {item.node} has a min watermark of {figure} pages and a low one of {bound}",
        UNDER_LOCK,
    ),
    Relation(
        "boost of min watermark",
        ZONEINFO,
        (),
        lambda zone, _: (zone.boost_pages, zone.min_pages),
        "zone {item.name} of node {item.node} has a boost of {figure} pages and a min watermark of {bound}",
        "none: the watermarks include the boost (include/linux/mmzone.h, wmark_pages)",
    ),
    Relation(
        "zone of any machine",
        ZONEINFO,
        (),
        lambda zone, machine: (times(zone.managed_pages, machine.page_bytes or 1), MAX_MEMORY_BYTES),
        "zone {item.name} of node {item.node} has {figure} B, more than any machine",
        "none",
    ),
)

PROTECTION_RELATION: Relation[Protections, Machine] = Relation(
    "protections of a zone",
    ZONEINFO,
    (),
    lambda pair, _: (pair.needed, len(pair.zone.protection_pages)),
    "zone {item.zone.name} of node {item.zone.node} has {bound} numbers of protection, and {figure} are needed",
    "none: one for each zone that a node may have (mm/vmstat.c, zoneinfo_show_print)",
)

CGROUP_RELATIONS: tuple[Relation[CgroupMemory, Machine], ...] = (
    Relation(
        "memory.current of the machine",
        f"/sys/fs/cgroup, {MEMINFO}",
        (),
        lambda cgroup, machine: (cgroup.current_bytes, machine.memory_bytes),
        "memory.current is {figure} B, and the machine has {bound} B",
        "none",
    ),
    Relation(
        "memory.stat of memory.current",
        "/sys/fs/cgroup",
        (),
        lambda cgroup, machine: (
            (cgroup.cache_bytes or 0) + (0 if cgroup.is_v1 else (cgroup.sock_bytes or 0) + (cgroup.kernel_bytes or 0)),
            None
            if cgroup.current_bytes is None
            else cgroup.current_bytes + cgroup.current_bytes // 8 + machine.drift_pages * (machine.page_bytes or 4096),
        ),
        "page cache, sock and kernel of memory.stat are {figure} B, and memory.current is {item.current_bytes:,} B",
        "an eighth, charged between the two reads, and a batch of pages on each CPU (mm/memcontrol.c, "
        "memcg_rstat_updated); each page is charged once. The use of "
        "cgroup v1 has no buffers, and that of its root no kernel memory",
    ),
)

AREA_RELATIONS: tuple[Relation[FreeArea, Facts], ...] = (
    Relation(
        "free blocks of a zone",
        f"{BUDDYINFO}, {ZONEINFO}",
        (),
        lambda area, facts: (
            pages_of(area),
            facts.managed_pages.get(
                (area.node, area.zone), facts.machine.memory_bytes // (facts.machine.page_bytes or 1)
            )
            + facts.machine.drift_pages,
        ),
        "zone {item.zone} of node {item.node} has {figure} free pages, more than it manages",
        COUNTERS,
    ),
)

ALL_BLOCKS_RELATION: Relation[int, Machine] = Relation(
    "free blocks of all zones",
    f"{BUDDYINFO}, {MEMINFO}, {ZONEINFO}",
    (),
    lambda pages, machine: (
        pages,
        machine.memory_bytes // machine.page_bytes + machine.drift_pages if machine.page_bytes else None,
    ),
    "its zones have {figure} free pages, more than the machine has",
    COUNTERS,
)


def _listed(source: str, other: str) -> Relation[ListedZone, Machine]:
    """Makes a relation: the file `source` contains every zone that the file `other` contains."""
    return Relation(
        f"zones of {other.rpartition('/')[2]} in {source.rpartition('/')[2]}",
        f"{source}, {other}",
        (),
        lambda zone, _: (1, int(zone.is_listed)),
        f"it lacks zone {{item.zone}} of node {{item.node}}, which {other} has",
        "none: the files have every zone with present pages (mm/vmstat.c, walk_zones_in_node)",
    )


LISTED_RELATIONS: dict[tuple[str, str], Relation[ListedZone, Machine]] = {
    ("zoneinfo", "buddyinfo"): _listed(ZONEINFO, BUDDYINFO),
    ("buddyinfo", "zoneinfo"): _listed(BUDDYINFO, ZONEINFO),
    ("pagetypeinfo", "zoneinfo"): _listed(PAGETYPEINFO, ZONEINFO),
}
"""Maps a pair of sources to the relation that the first source contains every zone of the second source."""

FREE_MOMENTS: Relation[Moments, Machine] = Relation(
    "free pages in two files",
    f"{BUDDYINFO} or {PAGETYPEINFO}, {ZONEINFO} or {BUDDYINFO}",
    (),
    lambda pair, _: (difference(pair.pages, pair.other_pages), pair.slack_pages),
    "{item.what} has {item.pages:,} free pages, and {item.other_pages:,} in {item.other_file}: not read at one time, "
    "or damaged",
    ANY_MOMENT,
)

ORDER_RELATION: Relation[Orders, Machine] = Relation(
    "orders of free blocks",
    f"{PAGETYPEINFO}, {BUDDYINFO}",
    (),
    lambda orders, _: (len({orders.of_types, orders.of_blocks}), 1),
    "it has {item.of_types} orders, and /proc/buddyinfo {item.of_blocks}",
    "none: both loop over NR_PAGE_ORDERS (mm/vmstat.c)",
)

BLOCK_RELATION: Relation[BlockCount, Machine] = Relation(
    "pageblocks of a zone",
    f"{PAGETYPEINFO}, {ZONEINFO}",
    (),
    lambda pair, _: (pair.blocks, pair.spanned_blocks),
    "zone {item.row.zone} of node {item.row.node} has {figure} pageblocks, and spans {bound}",
    "none (mm/vmstat.c, pagetypeinfo_showblockcount_print)",
)

NODE_RELATIONS: tuple[Relation[NodePair, Machine], ...] = (
    Relation(
        "free memory of a node",
        NODES,
        ("memory_bytes", "free_bytes"),
        lambda node, machine: (
            node.facts.free_bytes,
            None if node.facts.memory_bytes is None else node.facts.memory_bytes + machine.drift_bytes,
        ),
        "node {item.facts.node} has {figure} B of free memory in {item.facts.memory_bytes:,} B",
        COUNTERS,
    ),
    Relation(
        "managed memory of a node",
        f"{NODES}, {ZONEINFO}",
        ("memory_bytes", "free_bytes"),
        lambda node, _: (
            node.managed_bytes,
            None if node.facts.memory_bytes is None else node.facts.memory_bytes + node.facts.memory_bytes // 64,
        ),
        "node {item.facts.node} has {item.facts.memory_bytes:,} B, and its zones manage {figure} B",
        f"{HOTPLUG} (mm/show_mem.c, si_meminfo_node)",
    ),
    Relation(
        "memory of a node is present",
        f"{NODES}, {ZONEINFO}",
        ("memory_bytes", "free_bytes"),
        lambda node, machine: (
            node.facts.memory_bytes,
            None if node.present_bytes is None else node.present_bytes + node.present_bytes // 64 + machine.drift_bytes,
        ),
        "node {item.facts.node} has {figure} B, and its zones {item.present_bytes:,} B",
        f"{HOTPLUG}; up to 3.11 the present pages count (mm/page_alloc.c, si_meminfo_node)",
    ),
    Relation(
        "memory of a node is managed",
        f"{NODES}, {ZONEINFO}",
        ("memory_bytes", "free_bytes"),
        lambda node, _: (
            node.facts.memory_bytes if node.counts_managed else None,
            None if node.managed_bytes is None else node.managed_bytes + node.managed_bytes // 64,
        ),
        "node {item.facts.node} has {figure} B, and its zones manage only {item.managed_bytes:,} B",
        f"{HOTPLUG}; since 3.12 it is the managed pages of its zones (mm/show_mem.c, si_meminfo_node)",
    ),
    Relation(
        "distance of a node to itself",
        NODES,
        ("distances",),
        lambda node, _: (
            (node.facts.distances or {}).get(node.facts.node),
            min((node.facts.distances or {}).values(), default=None),
        ),
        "node {item.facts.node} has the distance {figure} to itself, and {bound} to another node",
        "none: the smallest distance is that of a node to itself (drivers/acpi/numa/srat.c, slit_valid)",
    ),
    Relation(
        "distance of any two nodes",
        NODES,
        ("distances",),
        lambda node, _: (max((node.facts.distances or {}).values(), default=None), MAX_DISTANCE),
        "node {item.facts.node} has the distance {figure} to a node, and a distance is at most {bound}",
        "none: a distance is a byte (mm/numa_memblks.c and drivers/base/arch_numa.c, numa_set_distance)",
    ),
)

FEWER_CPUS = (
    "none from 4.15 on in a saved tree of a whole machine: both show online CPUs; a container may show its own (lxcfs)"
)

CPU_RELATIONS: tuple[Relation[CpuCounts, Machine], ...] = (
    Relation(
        "online CPUs of the nodes",
        f"/sys/devices/system/cpu/online, {NODES}",
        ("online_cpus",),
        lambda cpus, _: (cpus.online, cpus.of_nodes),
        "{figure} CPUs are online, and the nodes have {bound}",
        "none: every CPU has a node, and both files were read together; in a container lxcfs shows fewer",
    ),
    Relation(
        "online CPUs of the zones",
        f"/sys/devices/system/cpu/online, {ZONEINFO}",
        ("online_cpus",),
        lambda cpus, _: (cpus.online, None if cpus.is_live else cpus.of_zones),
        "{figure} CPUs are online, and the zones have lists of {bound}",
        "none: a zone is printed with each online CPU (mm/vmstat.c, zoneinfo_show_print); in a container lxcfs shows "
        "fewer; live the files are not compared, because a CPU may have come between the reads",
    ),
    Relation(
        "CPUs of the zones are online",
        f"/sys/devices/system/cpu/online, {ZONEINFO}",
        ("online_cpus",),
        lambda cpus, _: (None if cpus.may_be_fewer else cpus.of_zones, cpus.online),
        "the zones have lists of {figure} CPUs, and {bound} are online",
        f"{FEWER_CPUS} (mm/vmstat.c, zoneinfo_show_print)",
    ),
    Relation(
        "CPUs of the nodes are online",
        f"/sys/devices/system/cpu/online, {NODES}",
        ("online_cpus",),
        lambda cpus, _: (None if cpus.may_be_fewer else cpus.of_nodes, cpus.online),
        "the nodes have {figure} CPUs, and {bound} are online",
        f"{FEWER_CPUS} (drivers/base/node.c, node_read_cpumap)",
    ),
)


NODE_MOMENTS: Relation[Moments, Machine] = Relation(
    "free memory of a node and its zones",
    f"{NODES}, {ZONEINFO}",
    (),
    lambda pair, _: (difference(pair.pages, pair.other_pages), pair.slack_pages),
    "{item.what} has {item.pages:,} free pages, and {item.other_pages:,} in {item.other_file}: not read at one time, "
    "or damaged",
    ANY_MOMENT,
)


def pages_of(area: FreeArea) -> int:
    """The number of free pages in the blocks of a zone."""
    return sum([count << order for order, count in enumerate(area.blocks)])
