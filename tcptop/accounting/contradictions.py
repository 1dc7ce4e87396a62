"""Contradictions: figures that no healthy kernel prints.

To find such figures, figures are compared with each other and with the machine's memory. A file may be damaged, edited
or copied from another machine, and still have the right format. Files are read at different times, and the kernel
counts without a lock, so every bound leaves room for changes between the reads. A count above its sysctl is no
contradiction: a sysctl may be lowered while files, flows or sockets are open.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from tcptop.accounting.slab_bytes import slab_bytes
from tcptop.accounting.slab_caches import idle_error_objects, unique_rows
from tcptop.accounting.socket_counts import file_count_error
from tcptop.kernel.objects import FILE, MINI_SOCKETS, NF_CONN, OBJECT_OF_CACHE, REQUEST_SOCKS, SOCKS, KernelObject
from tcptop.recall import Recall
from tcptop.snapshot import (
    CgroupMemory,
    Contradictions,
    Doubt,
    FreeArea,
    Meminfo,
    Pagetypeinfo,
    Reading,
    SlabCount,
    Slabinfo,
    SlabRow,
    SlabSize,
    Snapshot,
    Sockstat,
    TlsStat,
    Zone,
)
from tcptop.text.units import grouped

MAX_MEMORY_BYTES = 1 << 52
"""Upper bound on the memory of a machine: no architecture has physical addresses of more than 52 bits."""

DRIFT_SLABS = 64
DRIFT_SOCKETS = 1000
"""Number of slabs or sockets that may be created between the reads of two counts.

If count A is checked against count B, the upper bound on A is B plus a share of B plus this number.
"""

DRIFT_PAGES_PER_CPU = 125
"""Maximum number of pages that a CPU has not added to a counter yet (mm/vmstat.c, calculate_normal_threshold)."""

UNEXPLAINED_SHARE = 0.01
"""How much larger than meminfo's Slab the sum of slabinfo's rows may be, as a share of Slab."""

GROWTH_BYTES_PER_S = 1 << 30
"""Upper bound on the growth of the slab memory between two reads, in bytes per second."""

MAX_APART_S = 0.5
"""Figures of a running kernel are compared only if the time between the reads of the figures is at most this long."""

SOCK_BYTES, MINI_SOCKET_BYTES, FILE_BYTES, FLOW_BYTES = 512, 64, 64, 64
"""Lower bounds on the size of a sock, a mini-socket, a struct file and a conntrack entry, on all kernels since 2.4."""


KINDS: tuple[Doubt, ...] = ("size", "counts")


class Machine(NamedTuple):
    """Properties of the machine that give upper bounds."""

    page_bytes: int | None
    memory_bytes: int
    is_slub: bool
    drift_pages: int
    """Upper bound on the error of a counter of pages."""


class Facts(NamedTuple):
    """Figures of a Snapshot that serve for comparisons with other figures."""

    machine: Machine
    socks: int | None
    """Number of objects in the caches of socks, free objects included; None if no comparison is possible."""
    mini_sockets: int | None
    struct_bytes: Mapping[str, int]
    """Sizes of the structs in caches that are not merged, by name of the cache."""
    step_bytes: Mapping[str, int]
    """Step from one object to the next, from sysfs, by name of the cache."""
    managed_pages: Mapping[tuple[int, str], int]
    """Managed pages by node and name of the zone."""
    sockets: int | None = None
    """Allocated TCP sockets of the machine, from sockstat after sockstat's own checks."""
    sockets_with_file: int | None = None
    """Lower bound on the TCP sockets with a file, less the error of fs.file-nr; None if unknown."""
    flows: int | None = None
    """Number of objects in the caches of tracked flows, free objects included; None if no row shows the number."""


Item = TypeVar("Item")
Context = TypeVar("Context", Machine, Facts)


class Check(Generic[Item, Context]):
    """A check that a figure does not exceed its upper bound.

    If the figure or the upper bound is unknown (None), the check passes.
    """

    def __init__(
        self,
        doubts: tuple[str, ...],
        relation: Callable[[Item, Context], tuple[int | None, int | None]],
        sentence: str,
    ) -> None:
        """Creates a check.

        `relation` returns the figure to check and the upper bound on the figure. `doubts` names the fields that become
        unknown if the check fails. In a check of a slabinfo row, the names are of type `Doubt`. `sentence` is a format
        string with the fields `figure`, `bound` and `item`.
        """
        self.doubts = doubts
        self._relation: Callable[[Item, Context], tuple[int | None, int | None]] = relation
        self._sentence = sentence

    def failure(self, item: Item, context: Context) -> str | None:
        """If the check fails, a sentence about the contradiction; otherwise None."""
        figure, bound = self._relation(item, context)
        if figure is None or bound is None or figure <= bound:
            return None
        return self._sentence.format(item=item, figure=grouped(figure), bound=grouped(bound))


def _fitting(size: int | None, pages: int | None, machine: Machine) -> int | None:
    """How many objects of `size` bytes fit into a slab of `pages` pages (mm/slub.c, order_objects); None if unknown."""
    return machine.page_bytes * pages // size if machine.page_bytes and pages and size else None


def _with_drift(slabs: int) -> int:
    return slabs + slabs // 8 + DRIFT_SLABS


def _with_later_sockets(sockets: int | None) -> int | None:
    return None if sockets is None else sockets + sockets // 4 + DRIFT_SOCKETS


def _times(count: int | None, size: int) -> int | None:
    return None if count is None else count * size


def _difference(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else abs(one - other)


ROW_CHECKS: tuple[Check[SlabRow, Machine], ...] = (
    Check(
        ("size",),
        lambda row, _: (1, min(row.object_bytes, row.objects_per_slab, row.pages_per_slab)),
        "{item.name} has objects of {item.object_bytes} B, {item.objects_per_slab} in {item.pages_per_slab} pages",
    ),
    # SLUB fills a slab with objects; the SLAB allocator may also keep a list of free objects in the slab.
    Check(
        ("size",),
        lambda row, machine: (row.objects_per_slab, _fitting(row.object_bytes, row.pages_per_slab, machine)),
        "{item.name} has {figure} objects of {item.object_bytes} B in a slab that holds {bound}",
    ),
    Check(
        ("size",),
        lambda row, machine: (
            _fitting(row.object_bytes, row.pages_per_slab, machine) if machine.is_slub else None,
            row.objects_per_slab,
        ),
        "{item.name} has {bound} objects of {item.object_bytes} B in a slab that holds {figure}",
    ),
    Check(
        ("counts",),
        lambda row, _: (row.active_objects, row.objects),
        "{item.name} has {figure} active objects of {bound}",
    ),
    Check(
        ("counts",),
        lambda row, _: (row.slabs, _with_drift(row.objects)),
        "{item.name} has {figure} slabs and only {item.objects} objects",
    ),
    Check(
        ("counts",),
        lambda row, _: (row.objects, _with_drift(row.slabs) * row.objects_per_slab),
        "{item.name} has {figure} objects in {item.slabs} slabs of {item.objects_per_slab}",
    ),
    Check(
        ("counts",),
        lambda row, machine: (row.slabs * (machine.page_bytes or 1), machine.memory_bytes),
        "{item.name} has {item.slabs} slabs of at least a page, and the machine has {bound} B",
    ),
    Check(
        ("counts", "size"),
        lambda row, machine: (row.objects * row.object_bytes, machine.memory_bytes),
        "{item.name} has {item.objects} objects of {item.object_bytes} B, and the machine has {bound} B",
    ),
)

NAMED_ROW_CHECKS: tuple[Check[SlabRow, Facts], ...] = (
    Check(
        ("size",),
        lambda row, facts: (facts.struct_bytes.get(row.name), row.object_bytes),
        "{item.name} has objects of {bound} B, and their struct has {figure} B",
    ),
    Check(
        ("size",),
        lambda row, facts: (_difference(facts.step_bytes.get(row.name), row.object_bytes), 0),
        "{item.name} has objects of {item.object_bytes} B, and of another size in /sys/kernel/slab",
    ),
)
"""Checks that compare the sizes in a slabinfo row with the sizes in other files."""

CACHE_SIZE_CHECKS: tuple[Check[SlabSize, Machine], ...] = (
    Check(
        (),
        lambda size, _: (size.object_size_bytes, size.slab_size_bytes),
        "a struct of {figure} B in an object of {bound} B",
    ),
    Check(
        (),
        lambda size, machine: (
            _difference(
                size.objects_per_slab,
                _fitting(size.slab_size_bytes, None if size.order is None else 1 << min(size.order, 64), machine),
            ),
            0,
        ),
        "{item.objects_per_slab} objects of {item.slab_size_bytes} B in a slab of order {item.order}",
    ),
)

CACHE_COUNT_CHECKS: tuple[Check[SlabCount, Machine], ...] = (
    Check(
        (),
        lambda count, _: (count.slabs, None if count.objects is None else _with_drift(count.objects)),
        "{figure} slabs and only {item.objects} objects",
    ),
    Check(
        (),
        lambda count, machine: (_times(count.slabs, machine.page_bytes or 1), machine.memory_bytes),
        "slabs of {figure} B at least, and the machine has {bound} B",
    ),
    # The kernel walks over the nodes only once, and gets the count for each node and the total from this walk
    # (mm/slub.c, show_slab_objects).
    Check(
        (),
        lambda count, _: (
            _difference(sum(count.slabs_by_node.values()), count.slabs),
            0 if count.slabs_by_node else None,
        ),
        "{item.slabs} slabs, and another number on the nodes together",
    ),
    Check(
        (),
        lambda count, _: (
            _difference(sum(count.objects_by_node.values()), count.objects),
            0 if count.objects_by_node else None,
        ),
        "{item.objects} objects, and another number on the nodes together",
    ),
)

MEMINFO_CHECKS: tuple[Check[Meminfo, Machine], ...] = (
    Check(
        ("total_bytes",),
        lambda meminfo, _: (meminfo.total_bytes, MAX_MEMORY_BYTES),
        "MemTotal is {figure} B, more than any machine has",
    ),
    Check(
        ("available_bytes", "total_bytes"),
        lambda meminfo, _: (meminfo.available_bytes, meminfo.total_bytes),
        "MemAvailable is {figure} B, and MemTotal {bound} B",
    ),
    Check(
        ("slab_bytes", "total_bytes"),
        lambda meminfo, _: (meminfo.slab_bytes, meminfo.total_bytes),
        "Slab is {figure} B, and MemTotal {bound} B",
    ),
    Check(
        ("reclaimable_slab_bytes", "reclaimable_bytes"),
        lambda meminfo, _: (meminfo.reclaimable_slab_bytes, meminfo.slab_bytes),
        "SReclaimable is {figure} B, and Slab {bound} B",
    ),
    # Each page is counted at most once: as a free page, as a page on a list of page cache, or as kernel memory.
    Check(
        ("free_bytes", "file_bytes", "reclaimable_bytes"),
        lambda meminfo, machine: (
            (meminfo.free_bytes or 0) + (meminfo.file_bytes or 0) + (meminfo.reclaimable_bytes or 0),
            None
            if meminfo.total_bytes is None
            else meminfo.total_bytes + machine.drift_pages * (machine.page_bytes or 0),
        ),
        "MemFree, page cache and reclaimable memory are {figure} B, and MemTotal is less",
    ),
)


def _in_memory(field: str, size: int, things: str) -> Check[Any, Facts]:
    """The check that the machine's memory can hold the counted objects, each of at least `size` bytes."""
    return Check(
        (field,),
        lambda value, facts: (_times(getattr(value, field), size), facts.machine.memory_bytes),
        f"{{item.{field}}} {things}: these are {{figure}} B at least, and the machine has {{bound}} B",
    )


def _in_sockets(software: str, device: str, verb: str) -> Check[Any, Facts]:
    """The check that no more sockets have kernel TLS in one direction than the machine has TCP sockets.

    A socket is in at most one of the two counts of a direction.
    """
    return Check(
        (software, device),
        lambda stat, facts: (
            (getattr(stat, software) or 0) + (getattr(stat, device) or 0),
            _with_later_sockets(facts.sockets),
        ),
        f"{{figure}} sockets {verb} with kernel TLS, more than the machine has TCP sockets",
    )


SOCKSTAT_CHECKS: tuple[Check[Sockstat, Facts], ...] = (
    *(_in_memory(field, SOCK_BYTES, "sockets") for field in ("allocated", "inuse", "orphans")),
    _in_memory("time_wait", MINI_SOCKET_BYTES, "TIME_WAIT sockets"),
    _in_memory("buffer_units", 4096, "pages of buffers"),
    Check(
        ("orphans", "allocated"),
        lambda sockstat, _: (sockstat.orphans, _with_later_sockets(sockstat.allocated)),
        "{figure} orphans of {item.allocated} sockets",
    ),
    Check(
        ("allocated",),
        lambda sockstat, facts: (sockstat.allocated, _with_later_sockets(facts.socks)),
        "{figure} sockets, more than their caches have objects",
    ),
    Check(
        ("time_wait",),
        lambda sockstat, facts: (sockstat.time_wait, _with_later_sockets(facts.mini_sockets)),
        "{figure} TIME_WAIT sockets, more than their caches have objects",
    ),
)

LISTEN_COUNTERS = ("ListenOverflows", "ListenDrops")

VALUE_CHECKS: Mapping[str, tuple[Check[Any, Facts], ...]] = {
    "sockstat": SOCKSTAT_CHECKS,
    "sockstat6": (_in_memory("inuse", SOCK_BYTES, "sockets"),),
    "snmp": (_in_memory("established", SOCK_BYTES, "connections"),),
    "tls_stat": (
        *(_in_memory(field, SOCK_BYTES, "sockets with kernel TLS") for field in TlsStat._fields),
        _in_sockets("tx_software", "tx_device", "send"),
        _in_sockets("rx_software", "rx_device", "receive"),
    ),
    "socket_limits": (
        _in_memory("open_files", FILE_BYTES, "open files"),
        Check(
            ("open_files",),
            lambda limits, facts: (facts.sockets_with_file, _with_later_sockets(limits.open_files)),
            "fs/file-nr has {item.open_files} open files, and at least {figure} TCP sockets have a file",
        ),
        _in_memory("conntrack_entries", FLOW_BYTES, "tracked flows"),
        Check(
            ("conntrack_entries",),
            lambda limits, facts: (limits.conntrack_entries, _with_later_sockets(facts.flows)),
            "nf_conntrack_count is {figure}, more than the machine's cache nf_conntrack has objects",
        ),
    ),
}
"""The checks of each source that has only a few counts, by name of the source."""


def _zone_pages(field: str, words: str) -> Check[Zone, Machine]:
    """The check that the count `field` of a zone is not larger than the number of pages that the zone manages."""
    return Check(
        (),
        lambda zone, machine: (
            getattr(zone, field),
            None if zone.managed_pages is None else zone.managed_pages + machine.drift_pages,
        ),
        f"zone {{item.name}} of node {{item.node}} has {{figure}} pages {words} of {{item.managed_pages}}",
    )


def _machine_pages(figure: Callable[[Zone], int | None], words: str) -> Check[Zone, Machine]:
    """The check that a count of pages in a zone is not larger than the number of pages of the machine."""
    return Check(
        (),
        lambda zone, machine: (
            figure(zone),
            machine.memory_bytes // machine.page_bytes + machine.drift_pages if machine.page_bytes else None,
        ),
        f"zone {{item.name}} of node {{item.node}} has {{figure}} pages {words}, and the machine {{bound}}",
    )


ZONE_CHECKS: tuple[Check[Zone, Machine], ...] = (
    _zone_pages("on_cpu_lists_pages", "on per-CPU lists"),
    _zone_pages("free_cma_pages", "of free CMA memory"),
    _zone_pages("zone_file_pages", "of page cache"),
    _machine_pages(lambda zone: zone.file_pages, "of page cache"),
    _machine_pages(lambda zone: zone.reclaimable_pages, "of reclaimable memory"),
    _machine_pages(lambda zone: max(zone.protection_pages, default=None), "of protection"),
    _machine_pages(lambda zone: zone.low_pages, "below its low watermark"),
    Check(
        (),
        lambda zone, machine: (
            zone.free_pages,
            None if zone.managed_pages is None else zone.managed_pages + machine.drift_pages,
        ),
        "zone {item.name} of node {item.node} has {figure} free pages of {item.managed_pages}",
    ),
    Check(
        (),
        lambda zone, _: (zone.managed_pages, zone.present_pages),
        "zone {item.name} of node {item.node} has {figure} managed pages of {bound}",
    ),
    Check(
        (),
        lambda zone, _: (max(zone.min_pages or 0, zone.low_pages or 0), zone.high_pages),
        "zone {item.name} of node {item.node} has a lower watermark of {figure} pages and a high one of {bound}",
    ),
    Check(
        (),
        lambda zone, machine: (_times(zone.managed_pages, machine.page_bytes or 1), MAX_MEMORY_BYTES),
        "zone {item.name} of node {item.node} has {figure} B, more than any machine",
    ),
)

CGROUP_CHECKS: tuple[Check[CgroupMemory, Machine], ...] = (
    Check(
        (),
        lambda cgroup, machine: (cgroup.current_bytes, machine.memory_bytes),
        "memory.current is {figure} B, and the machine has {bound} B",
    ),
    # Each page is charged once: as page cache, as a buffer of a socket, or as kernel memory. The kernel reads
    # memory.current first, and the counters of memory.stat may be a batch of pages behind on each CPU.
    Check(
        (),
        lambda cgroup, machine: (
            (cgroup.cache_bytes or 0) + (cgroup.sock_bytes or 0) + (cgroup.kernel_bytes or 0),
            None
            if cgroup.current_bytes is None
            else cgroup.current_bytes + cgroup.current_bytes // 8 + machine.drift_pages * (machine.page_bytes or 4096),
        ),
        "page cache, sock and kernel of memory.stat are {figure} B, and memory.current is {item.current_bytes} B",
    ),
)

AREA_CHECKS: tuple[Check[FreeArea, Facts], ...] = (
    Check(
        (),
        lambda area, facts: (
            sum(count << order for order, count in enumerate(area.blocks)),
            facts.managed_pages.get(
                (area.node, area.zone), facts.machine.memory_bytes // (facts.machine.page_bytes or 1)
            )
            + facts.machine.drift_pages,
        ),
        "zone {item.zone} of node {item.node} has {figure} free pages, more than it manages",
    ),
)

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
}
"""The file names that the sentences about contradictions use, by name of the source."""


def without_contradictions(snapshot: Snapshot, page_bytes: int | None) -> Snapshot:
    """Sets impossible figures of a Snapshot to unknown.

    A source with impossible figures gets the state `strange`, and a sentence about the contradiction as the reason. A
    row of slabinfo keeps its numbers; `Snapshot.contradictions` says which of the numbers are in doubt.
    """
    return _Audit(snapshot).run(page_bytes)


class _Audit:
    """Runs all checks on a Snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._sources: set[str] = set()

    def run(self, page_bytes: int | None) -> Snapshot:
        self._check_value("meminfo", MEMINFO_CHECKS, _find_machine(self._snapshot, page_bytes))
        machine = _find_machine(self._snapshot, page_bytes)
        facts = _find_facts(self._snapshot, machine)
        doubts = self._check_rows(facts)
        self._check_caches(machine)
        miscounted = {row for row, kinds in doubts.items() if "counts" in kinds}
        facts = facts._replace(
            socks=None if miscounted & _cache_names(SOCKS) else facts.socks,
            mini_sockets=None if miscounted & _cache_names(MINI_SOCKETS) else facts.mini_sockets,
            flows=_flows(self._snapshot, miscounted),
        )
        for source, checks in VALUE_CHECKS.items():
            self._check_value(source, checks, facts)
            if source == "sockstat" and self._snapshot.sockstat.value is not None:
                facts = facts._replace(
                    sockets=self._snapshot.sockstat.value.allocated,
                    sockets_with_file=_sockets_with_file(self._snapshot, miscounted),
                )
        self._check_listen_drops()
        self._check_zones(facts)
        self._check_cgroup(machine)
        if not self._sources:
            return self._snapshot
        return self._snapshot._replace(contradictions=Contradictions(frozenset(self._sources), doubts))

    def _mark(self, source: str, sentences: Iterable[str], value: object = None) -> None:
        """Sets a source to `strange`, with the first sentence as the reason; does nothing if `sentences` is empty.

        If `value` is not None, `value` replaces the source's old value.
        """
        sentence = next(iter(sentences), None)
        if sentence is None:
            return
        reading: Reading[Any] = getattr(self._snapshot, source)
        reason = f"{FILES[source]}: {sentence}" if reading.reason is None else f"{reading.reason}; {sentence}"
        if source in self._sources:
            reason = reading.reason or reason
        self._sources.add(source)
        self._put(source, reading._replace(state="strange", reason=reason))
        if value is not None:
            self._put(source, getattr(self._snapshot, source)._replace(value=value))

    def _put(self, source: str, reading: Reading[Any]) -> None:
        changed: dict[str, Any] = {source: reading}
        self._snapshot = self._snapshot._replace(**changed)

    def _check_value(self, source: str, checks: Sequence[Check[Any, Context]], context: Context) -> None:
        """Checks a source that has only a few counts.

        sockstat is read once more right after each read of slab counts. If the source is sockstat, the values from
        these further reads are checked too.
        """
        value = getattr(self._snapshot, source).value
        if value is not None:
            sentences, value = _examine(value, checks, context)
            self._mark(source, sentences, value)
        for other in ("slabinfo", "slab_counts") if source == "sockstat" else ():
            reading: Reading[Any] = getattr(self._snapshot, other)
            if reading.sockstat is not None:
                sentences, beside = _examine(reading.sockstat, checks, context)
                if sentences:
                    self._put(other, reading._replace(sockstat=beside))
                    self._mark(source, sentences)

    def _check_listen_drops(self) -> None:
        """Checks that each overflow of an accept queue is a drop, too (net/ipv4/tcp_ipv4.c, tcp_v4_syn_recv_sock)."""
        value = self._snapshot.netstat.value
        if value is None:
            return
        overflows, drops = (value.counters.get(name) for name in LISTEN_COUNTERS)
        bound = _with_later_sockets(drops)
        if overflows is None or bound is None or overflows <= bound:
            return
        kept = {name: count for name, count in value.counters.items() if name not in LISTEN_COUNTERS}
        sentence = f"ListenOverflows is {grouped(overflows)}, and ListenDrops, which includes it, {grouped(drops or 0)}"
        self._mark("netstat", [sentence], value._replace(counters=kept))

    def _check_rows(self, facts: Facts) -> dict[str, frozenset[Doubt]]:
        """Checks slabinfo; returns the doubts about each row that fails a check."""
        slabinfo = self._snapshot.slabinfo.value
        if slabinfo is None:
            return {}
        doubts: dict[str, frozenset[Doubt]] = {}
        named = [row for row in slabinfo.rows if row.name in facts.struct_bytes or row.name in facts.step_bytes]
        _recall_failures.begin_round()
        failures = [failure for row in slabinfo.rows for failure in _recall_failures(row, facts.machine)]
        failures += [
            (row.name, check.doubts, sentence) for row, check, sentence in _failures(named, NAMED_ROW_CHECKS, facts)
        ]
        for name, kinds, sentence in failures:
            doubts[name] = doubts.get(name, frozenset()) | {kind for kind in KINDS if kind in kinds}
            self._mark("slabinfo", [sentence])
        for name in _names_with_two_sizes(slabinfo):
            doubts[name] = frozenset(("size", "counts"))
            self._mark("slabinfo", [f"{name} has two rows with different sizes"])
        self._mark("slabinfo", self._rows_beyond_slab(slabinfo, facts.machine))
        return doubts

    def _rows_beyond_slab(self, slabinfo: Slabinfo, machine: Machine) -> list[str]:
        """A list with one sentence if slabinfo's rows take more memory than meminfo's Slab; otherwise an empty list."""
        meminfo, page_bytes = self._snapshot.meminfo, machine.page_bytes
        total = meminfo.value.slab_bytes if meminfo.value else None
        apart_s = _seconds_apart(meminfo, self._snapshot.slabinfo, self._snapshot.live)
        if total is None or page_bytes is None or apart_s is None:
            return []
        bound = total + machine.drift_pages * page_bytes + int(total * UNEXPLAINED_SHARE + apart_s * GROWTH_BYTES_PER_S)
        # The size without a correction for order fallback is an upper bound, and quick to compute.
        if sum([row.slabs * row.pages_per_slab for row in slabinfo.rows]) * page_bytes <= bound:
            return []
        size = sum([slab_bytes(*row[2:3], row.slabs, *row[3:6], page_bytes) for row in unique_rows(slabinfo.rows)])
        if size <= bound:
            return []
        return [f"its rows take {grouped(size)} B, and Slab of /proc/meminfo is {grouped(total)} B"]

    def _check_cgroup(self, machine: Machine) -> None:
        """Checks the memory of the cgroup that the user named; if a check fails, the used memory is unknown."""
        cgroup = self._snapshot.cgroup
        sentence = next((text for *_, text in _failures([cgroup], CGROUP_CHECKS, machine)), None) if cgroup else None
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
        self._snapshot = self._snapshot._replace(cgroup=unknown)

    def _check_caches(self, machine: Machine) -> None:
        """Checks the caches in sysfs, and leaves out the caches that fail a check."""
        checks_of: Mapping[str, Sequence[Check[Any, Machine]]] = {
            "slab_sizes": CACHE_SIZE_CHECKS,
            "slab_counts": CACHE_COUNT_CHECKS,
        }
        for source, checks in checks_of.items():
            value = getattr(self._snapshot, source).value
            if value is not None:
                failed = {
                    name: sentence
                    for name, cache in value.caches.items()
                    for _, _, sentence in _failures([cache], checks, machine)
                }
                kept = {name: cache for name, cache in value.caches.items() if name not in failed}
                self._mark(source, (f"{name}: {text}" for name, text in failed.items()), value._replace(caches=kept))

    def _check_zones(self, facts: Facts) -> None:
        """Checks zoneinfo, buddyinfo and pagetypeinfo.

        If a zone fails a check, the figures of the zone become unknown.
        """
        snapshot = self._snapshot
        if snapshot.zoneinfo.value is not None:
            zones = snapshot.zoneinfo.value.zones
            failed = {zone: sentence for zone, _, sentence in _failures(zones, ZONE_CHECKS, facts.machine)}
            unknown: dict[str, Any] = dict.fromkeys(Zone._fields[2:]) | {"protection_pages": ()}
            kept = tuple(zone._replace(**unknown) if zone in failed else zone for zone in zones)
            self._mark("zoneinfo", failed.values(), snapshot.zoneinfo.value._replace(zones=kept))
            facts = facts._replace(managed_pages=_managed_pages(kept))
        buddyinfo, types = snapshot.buddyinfo, snapshot.pagetypeinfo
        if buddyinfo.value is not None:
            areas = buddyinfo.value.areas
            failed_areas = self._failed_areas(areas, buddyinfo, facts)
            left = tuple(area for area in areas if (area.node, area.zone) not in failed_areas)
            self._mark("buddyinfo", failed_areas.values(), buddyinfo.value._replace(areas=left))
        if types.value is not None:
            failed_areas = self._failed_areas(_areas_of_all_types(types.value), types, facts)
            typed = tuple(area for area in types.value.areas if (area.node, area.zone) not in failed_areas)
            self._mark("pagetypeinfo", failed_areas.values(), types.value._replace(areas=typed))
        if buddyinfo.value is not None and types.value is not None and buddyinfo.state == types.state == "ok":
            orders = sorted(
                {len(area.blocks) for area in buddyinfo.value.areas} | {len(area.blocks) for area in types.value.areas}
            )
            if len(orders) > 1:
                sentence = f"it has {orders[-1]} orders, or {orders[0]}, and /proc/buddyinfo the other number"
                self._mark("pagetypeinfo", [sentence], types.value._replace(areas=()))

    def _failed_areas(
        self, areas: Iterable[FreeArea], reading: Reading[Any], facts: Facts
    ) -> dict[tuple[int, str], str]:
        """One sentence for each zone with more free pages than managed pages, by node and name of the zone."""
        if _seconds_apart(reading, self._snapshot.zoneinfo, self._snapshot.live) is None:
            facts = facts._replace(managed_pages={})
        return {(area.node, area.zone): sentence for area, _, sentence in _failures(areas, AREA_CHECKS, facts)}


def _failures(
    items: Iterable[Item], checks: Sequence[Check[Item, Context]], context: Context
) -> list[tuple[Item, Check[Item, Context], str]]:
    """The checks that fail, each with the checked item and a sentence about the contradiction."""
    return [
        (item, check, sentence)
        for item in items
        for check in checks
        if (sentence := check.failure(item, context)) is not None
    ]


def _row_failures(row: SlabRow, machine: Machine) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """For each check that a slabinfo row fails: the name of the row, the doubts and the sentence.

    The results are remembered, because most rows have not changed since the last sample.
    """
    return tuple((row.name, check.doubts, sentence) for _, check, sentence in _failures([row], ROW_CHECKS, machine))


_recall_failures = Recall(_row_failures)


def _examine(
    value: Any,  # noqa: ANN401 (the value of any source)
    checks: Sequence[Check[Any, Context]],
    context: Context,
) -> tuple[list[str], Any]:
    """The sentences of the checks that `value` fails, and a copy of `value` with the doubtful fields set to None."""
    failures = _failures([value], checks, context)
    doubted = dict.fromkeys(field for _, check, _ in failures for field in check.doubts)
    return [sentence for _, _, sentence in failures], value._replace(**doubted)


def _find_machine(snapshot: Snapshot, page_bytes: int | None) -> Machine:
    slabinfo, zoneinfo, meminfo = snapshot.slabinfo.value, snapshot.zoneinfo.value, snapshot.meminfo.value
    # In a container, meminfo (lxcfs) may show less memory than the machine has.
    managed_pages = sum(_managed_pages(zoneinfo.zones if zoneinfo else ()).values())
    memory_bytes = max((meminfo.total_bytes if meminfo else None) or 0, managed_pages * (page_bytes or 0))
    return Machine(
        page_bytes=page_bytes,
        memory_bytes=min(memory_bytes or MAX_MEMORY_BYTES, MAX_MEMORY_BYTES),
        is_slub=slabinfo is not None and not any(row.tunables_limit for row in slabinfo.rows),
        drift_pages=_drift_pages(snapshot),
    )


def _find_facts(snapshot: Snapshot, machine: Machine) -> Facts:
    sizes, zoneinfo = snapshot.slab_sizes.value, snapshot.zoneinfo.value
    caches = sizes.caches if sizes else {}
    return Facts(
        machine=machine,
        socks=_objects(snapshot, SOCKS, "allocated"),
        mini_sockets=_objects(snapshot, MINI_SOCKETS, "time_wait"),
        struct_bytes=_struct_bytes(snapshot),
        step_bytes={name: size.slab_size_bytes for name, size in caches.items() if size.slab_size_bytes is not None},
        managed_pages=_managed_pages(zoneinfo.zones if zoneinfo else ()),
    )


def _drift_pages(snapshot: Snapshot) -> int:
    """Upper bound on the error of a counter of pages: each CPU may hold back some pages of each node."""
    topology = snapshot.topology.value
    return DRIFT_PAGES_PER_CPU * (_cpus(snapshot) or 1) * max(1, len(topology.nodes) if topology else 1)


def _cpus(snapshot: Snapshot) -> int | None:
    topology, zoneinfo = snapshot.topology.value, snapshot.zoneinfo.value
    of_zones = max((zone.cpus or 0 for zone in zoneinfo.zones), default=0) if zoneinfo else 0
    return (topology.online_cpus if topology else None) or of_zones or None


def _struct_bytes(snapshot: Snapshot) -> dict[str, int]:
    """Sizes of the structs in caches that are not merged, by name of the cache (sysfs, /proc/net/protocols)."""
    sizes, protocols, links = snapshot.slab_sizes.value, snapshot.protocols.value, snapshot.slab_links.value
    groups = links.names_of.values() if links else ()
    merged = {name for names in groups if len(names) > 1 for name in names}
    structs = {
        name: size.object_size_bytes
        for name, size in (sizes.caches if sizes else {}).items()
        if size.object_size_bytes is not None and name not in merged
    }
    protocols_by_name = protocols.by_name if protocols else {}
    return structs | {
        name: protocols_by_name[name].object_size_bytes for name in _cache_names(SOCKS) if name in protocols_by_name
    }


def _objects(snapshot: Snapshot, objects: Sequence[KernelObject], field: str) -> int | None:
    """If the rows of IPv4 and IPv6 contradict sockstat, the number of objects in these rows together; otherwise None.

    A contradiction means that every count of sockstat is much larger than the number of objects. Caches of socks and
    caches of mini-sockets are never merged, so a row that is missing from a complete file counts as 0 objects. Sockets
    may be opened or closed between the reads of slabinfo and sockstat, so there is no contradiction if at least one of
    the counts of sockstat agrees with slabinfo.
    """
    slabinfo, sockstat = snapshot.slabinfo, snapshot.sockstat
    if slabinfo.value is None or slabinfo.state not in ("ok", "late"):
        return None
    names = _cache_names(objects)
    rows = [row for row in slabinfo.value.rows if row.name in names]
    if not any(row.name in objects[0].caches for row in rows):
        return None
    total = sum(row.objects for row in rows)
    readings = (slabinfo.sockstat, sockstat.value, sockstat.before.value if sockstat.before else None)
    counts = [getattr(reading, field) for reading in readings if reading is not None]
    least = min((count for count in counts if count is not None), default=None)
    return total if least is not None and least > (_with_later_sockets(total) or 0) else None


def _flows(snapshot: Snapshot, miscounted: Collection[str]) -> int | None:
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

    Orphans have no file. Each socket in an accept queue has no file either, and still has its request sock. A subflow
    of MPTCP has no file, so the bound is unknown if the machine has MPTCP sockets. A socket of the kernel itself (NFS,
    ksmbd, DRBD, Ceph) has no file, so the bound is at most the number of files that slabinfo surely shows.
    """
    slabinfo, sockstat, protocols = snapshot.slabinfo, snapshot.sockstat.value, snapshot.protocols.value
    cpus = _cpus(snapshot)
    if slabinfo.value is None or slabinfo.state not in ("ok", "late") or sockstat is None or cpus is None:
        return None
    names = _cache_names(REQUEST_SOCKS)
    rows = [row for row in slabinfo.value.rows if row.name in names]
    if not rows or names & set(miscounted) or sockstat.allocated is None or sockstat.orphans is None:
        return None
    if protocols is not None and any(
        protocol.name.startswith("MPTCP") for protocol in protocols.by_name.values() if protocol.sockets
    ):
        return None
    files = _min_files(snapshot, miscounted)
    sockets = sockstat.allocated - sockstat.orphans - sum(row.objects for row in rows)
    return None if files is None else min(sockets, files) - file_count_error(cpus)


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


def _cache_names(objects: Sequence[KernelObject]) -> set[str]:
    return {name for item in objects for name in item.caches}


def _names_with_two_sizes(slabinfo: Slabinfo) -> list[str]:
    """Names of catalogue caches that have several slabinfo rows with different sizes.

    Different sizes are a contradiction, because the kernel has only one cache with the name of a catalogue cache.
    """
    sizes: dict[str, set[tuple[int, ...]]] = {}
    for row in slabinfo.rows:
        if row.name in OBJECT_OF_CACHE:
            sizes.setdefault(row.name, set()).add((row.object_bytes, row.objects_per_slab, row.pages_per_slab))
    return [name for name, found in sizes.items() if len(found) > 1]


def _managed_pages(zones: Iterable[Zone]) -> dict[tuple[int, str], int]:
    return {(zone.node, zone.name): zone.managed_pages for zone in zones if zone.managed_pages is not None}


def _areas_of_all_types(types: Pagetypeinfo) -> list[FreeArea]:
    """The free blocks of each zone, all migrate types together."""
    blocks: dict[tuple[int, str], list[int]] = {}
    for area in types.areas:
        total = blocks.setdefault((area.node, area.zone), [0] * len(area.blocks))
        for order, count in enumerate(area.blocks[: len(total)]):
            total[order] += count
    return [FreeArea(node, zone, tuple(total)) for (node, zone), total in blocks.items()]


def _seconds_apart(one: Reading[Any], other: Reading[Any], live: bool) -> float | None:
    """Seconds between the reads of two sources, 0 in a saved tree; None if the time is too long for a comparison."""
    if not live:
        return 0.0
    if one.taken_at_s is None or other.taken_at_s is None:
        return None
    apart_s = abs(one.taken_at_s - other.taken_at_s)
    return apart_s if apart_s <= MAX_APART_S else None
