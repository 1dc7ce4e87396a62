"""What one look at a kernel gives: a reading of each source, frozen.

Counts are as the kernel printed them. None means that the kernel did not say; it never means 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

ReadState = Literal["ok", "cut", "strange", "late", "missing", "refused", "empty", "failed", "off", "waiting"]
"""How a source's last reading went.

ok       all of it was read and understood
cut      the file ends, or its lines end, too early; the value holds what is whole
strange  parts are in a format that is not known; the value holds the rest
late     no answer yet; the value is the one before
missing  the kernel has no such file
refused  only root may read it
empty    the file is there and holds nothing
failed   another error
off      not read, because nobody asked for it and it costs
waiting  not read yet
"""


class SlabRow(NamedTuple):
    """One line of /proc/slabinfo (mm/slab_common.c, cache_show)."""

    name: str
    active_objects: int
    objects: int
    object_bytes: int
    """The step from one object to the next: the struct, its padding and the free pointer."""
    objects_per_slab: int
    pages_per_slab: int
    slabs: int
    tunables_limit: int
    """Above 0 on the SLAB allocator only."""


class Slabinfo(NamedTuple):
    """/proc/slabinfo. Several rows may have one name."""

    rows: tuple[SlabRow, ...]


class SlabLinks(NamedTuple):
    """/sys/kernel/slab: which names share one cache (mm/slub.c, sysfs_slab_alias)."""

    group_of: Mapping[str, str]
    """Each name with the folder it stands for: `tcp_bind_bucket` -> `:A-0000128`, `TCP` -> `TCP`."""
    names_of: Mapping[str, tuple[str, ...]]
    """Each such folder with the names that lead to it, sorted."""


class SlabSize(NamedTuple):
    """The attribute files of one cache in /sys/kernel/slab that never change (mm/slub.c, SLAB_ATTR_RO)."""

    object_size_bytes: int | None
    """The struct alone."""
    slab_size_bytes: int | None
    """The step from one object to the next, as slabinfo's."""
    objects_per_slab: int | None
    order: int | None
    cpu_partial_objects: int | None = None
    """How many free objects a CPU may keep on its partial slabs; 0 where it keeps sheaves."""
    sheaf_capacity: int | None = None
    """Objects in a sheaf; 0 where the cache has none, None on kernels before 6.18."""


class SlabSizes(NamedTuple):
    """The sizes of those of the catalogue's caches that this kernel has, by name."""

    caches: Mapping[str, SlabSize]


class SlabCount(NamedTuple):
    """The lock-free counters of one cache in /sys/kernel/slab (mm/slub.c, show_slab_objects)."""

    slabs: int | None
    objects: int | None
    slabs_by_node: Mapping[int, int]
    """Only nodes that have any; empty on a kernel without NUMA."""
    objects_by_node: Mapping[int, int]


class SlabCounts(NamedTuple):
    """The counts of those of the catalogue's caches that this kernel has, by name."""

    caches: Mapping[str, SlabCount]


class Zone(NamedTuple):
    """One zone of /proc/zoneinfo (mm/vmstat.c, zoneinfo_show_print). All in pages."""

    node: int
    name: str
    free_pages: int | None
    min_pages: int | None
    low_pages: int | None
    high_pages: int | None
    present_pages: int | None
    managed_pages: int | None
    protection_pages: tuple[int, ...]
    """What an allocation that prefers the k-th zone must leave free here (lowmem_reserve)."""
    free_cma_pages: int | None
    """nr_free_cma: free, but not for the kernel's own allocations."""
    cpus: int | None
    """How many CPUs have page lists here; None for an empty zone."""


class Zoneinfo(NamedTuple):
    """/proc/zoneinfo, with its empty zones where the kernel prints them."""

    zones: tuple[Zone, ...]


class FreeArea(NamedTuple):
    """One line of /proc/buddyinfo (mm/vmstat.c, frag_show_print): free blocks by order, all types together."""

    node: int
    zone: str
    blocks: tuple[int, ...]


class Buddyinfo(NamedTuple):
    """/proc/buddyinfo: populated zones only."""

    areas: tuple[FreeArea, ...]


class TypedFreeArea(NamedTuple):
    """One line of the first table of /proc/pagetypeinfo (mm/vmstat.c, pagetypeinfo_showfree_print)."""

    node: int
    zone: str
    migrate_type: str
    blocks: tuple[int, ...]
    capped_orders: tuple[int, ...]
    """Orders where the kernel stopped counting (`>100000`): the count is at least what stands here."""


class Pageblocks(NamedTuple):
    """One line of the second table of /proc/pagetypeinfo (mm/vmstat.c, pagetypeinfo_showblockcount_print)."""

    node: int
    zone: str
    count_by_type: Mapping[str, int]


class Pagetypeinfo(NamedTuple):
    """/proc/pagetypeinfo."""

    pageblock_order: int | None
    areas: tuple[TypedFreeArea, ...]
    pageblocks: tuple[Pageblocks, ...]


class Sockstat(NamedTuple):
    """The TCP line of /proc/net/sockstat (net/ipv4/proc.c, sockstat_seq_show).

    `inuse` and `time_wait` count one network namespace, the rest counts the machine.
    """

    inuse: int | None
    orphans: int | None
    time_wait: int | None
    allocated: int | None
    buffer_units: int | None
    """`mem`: pages, except on kernels from 4.9 to 5.19, where the unit is 4096 bytes on every machine."""


class Sockstat6(NamedTuple):
    """The TCP6 line of /proc/net/sockstat6 (net/ipv6/proc.c, sockstat6_seq_show)."""

    inuse: int | None


class Protocol(NamedTuple):
    """One line of /proc/net/protocols (net/core/sock.c, proto_seq_printf)."""

    name: str
    object_size_bytes: int
    sockets: int | None


class Protocols(NamedTuple):
    """/proc/net/protocols, by name."""

    by_name: Mapping[str, Protocol]


class Meminfo(NamedTuple):
    """/proc/meminfo (fs/proc/meminfo.c). In bytes."""

    total_bytes: int | None
    available_bytes: int | None
    slab_bytes: int | None


class NodeFacts(NamedTuple):
    """One folder /sys/devices/system/node/nodeK."""

    node: int
    cpu_list: str | None
    cpus: int | None
    memory_bytes: int | None


class Topology(NamedTuple):
    """/sys/devices/system/node and /sys/devices/system/cpu."""

    nodes: tuple[NodeFacts, ...]
    online_cpus: int | None


class Sysctls(NamedTuple):
    """The files below /proc/sys that a figure or a label needs."""

    host_name: str | None
    kernel_release: str | None
    tcp_mem: tuple[int, int, int] | None
    """min, pressure and max, in the unit of sockstat's `mem`."""
    slab_debug: bool
    """Whether the kernel was started with a slab debug option, which makes objects larger."""
    memory_per_cpu_reserve_pages: int | None
    """net.core.mem_pcpu_rsv: pages of socket buffers that a CPU may hold back from the counter."""
    build_id: str | None = None
    """The GNU build ID in /sys/kernel/notes, in hexadecimal: two kernels of one release differ in it."""


class Snmp(NamedTuple):
    """The Tcp line of /proc/net/snmp (net/ipv4/proc.c, snmp_seq_show); counts one network namespace."""

    established: int | None
    """CurrEstab: ESTABLISHED; on most kernels CLOSE_WAIT too (net/ipv4/tcp.c, tcp_set_state)."""


class SocketLimits(NamedTuple):
    """What else bounds the number of sockets, and how much of it is used; None where the kernel does not tell."""

    open_files: int | None
    """The machine's, of /proc/sys/fs/file-nr (fs/file_table.c, proc_nr_files)."""
    max_open_files: int | None
    max_orphans: int | None
    """net.ipv4.tcp_max_orphans: the machine's."""
    max_time_wait: int | None
    """net.ipv4.tcp_max_tw_buckets: of one network namespace since 4.13, of the machine before."""
    local_ports: tuple[int, int] | None
    """net.ipv4.ip_local_port_range: first and last; of one network namespace."""
    conntrack_entries: int | None
    """net.netfilter.nf_conntrack_count: of one network namespace; None where conntrack is not loaded."""
    max_conntrack_entries: int | None


class MemoryCgroups(NamedTuple):
    """Whether kernel memory is charged to memory cgroups, so that accounted slabs carry vectors."""

    charged: bool


class SecurityModules(NamedTuple):
    """The Linux security modules that are active, from /sys/kernel/security/lsm or from what they leave elsewhere."""

    names: tuple[str, ...]
    """Where the list cannot be read: only those that hang something on a socket."""


class MachineLoad(NamedTuple):
    """What psutil says of the machine as a whole."""

    memory_available_bytes: int
    cpu_busy_percent: float | None
    """Since the reading before; None at the first."""


class StructMember(NamedTuple):
    """One member of a struct, or of a struct embedded in it. A union and an array are one member."""

    name: str
    """Dotted where it is a member of an embedded struct; an anonymous union goes by its first: `skc_addrpair|...`."""
    offset_bytes: int
    size_bytes: int
    bits: int | None
    """For a bit-field, how many."""


class StructLayout(NamedTuple):
    """One struct as the running kernel was built with it."""

    name: str
    size_bytes: int
    members: tuple[StructMember, ...]
    has_free_pointer: bool
    """Whether a member, at any depth, is the allocator's own (freeptr_t), so that none lies behind the object."""


class Btf(NamedTuple):
    """/sys/kernel/btf/vmlinux: the structs of the catalogue that the kernel has, by name."""

    structs: Mapping[str, StructLayout]


class MeasuredRow(NamedTuple):
    """What one endpoint holds in one slabinfo row, as a lab measured it."""

    row: str
    objects: float
    bytes: float
    catalogue_objects: float | None
    """None where the catalogue knows of no such object."""


class MeasuredState(NamedTuple):
    """One state of a saved lab result."""

    rows: tuple[MeasuredRow, ...]
    vector_bytes: float
    """Memory cgroups' vectors."""


class LabMeasurement(NamedTuple):
    """A saved result of `tcptop lab`."""

    path: str
    kernel_release: str | None
    build_id: str | None
    page_size_bytes: int | None
    ipv6: bool
    states: Mapping[str, MeasuredState]
    """By state and side: `established/accepted`, `close_wait/`."""


Value = TypeVar("Value")


class _Reading(NamedTuple):
    state: ReadState
    value: Any
    reason: str | None
    """One line: what, where and what to do about it. None while all is well."""
    taken_at_s: float | None
    """On the clock of `Snapshot.monotonic_s`."""
    read_us: int | None
    """What the kernel took to hand over the bytes."""
    every_s: float | None
    """The pace that the source keeps at present; None where it is read once."""
    before: Any
    """The reading with a value before this one; only where two make a rate."""
    sockstat: Sockstat | None
    """sockstat as it was read right after this source, where a quotient joins the two."""


class Reading(_Reading, Generic[Value]):
    """What a source gave when it was last asked, or why it gave nothing."""

    # Of two classes, because a NamedTuple cannot be generic before Python 3.11.
    __slots__ = ()
    if TYPE_CHECKING:
        value: Value | None
        before: Reading[Value] | None


NOT_READ: Reading[object] = Reading("waiting", None, "not read yet", None, None, None, None, None)


class Snapshot(NamedTuple):
    """One look at one kernel."""

    taken_at_unix_s: float | None
    """None for a saved tree."""
    monotonic_s: float
    live: bool
    place: str | None
    net_namespace: str | None
    page_size_bytes: int | None
    """As the host knows it; None where only the files can tell."""
    slabinfo: Reading[Slabinfo]
    slab_links: Reading[SlabLinks]
    slab_sizes: Reading[SlabSizes]
    slab_counts: Reading[SlabCounts]
    zoneinfo: Reading[Zoneinfo]
    buddyinfo: Reading[Buddyinfo]
    pagetypeinfo: Reading[Pagetypeinfo]
    sockstat: Reading[Sockstat]
    sockstat6: Reading[Sockstat6]
    protocols: Reading[Protocols]
    meminfo: Reading[Meminfo]
    topology: Reading[Topology]
    sysctls: Reading[Sysctls]
    security_modules: Reading[SecurityModules]
    btf: Reading[Btf]
    snmp: Reading[Snmp]
    socket_limits: Reading[SocketLimits]
    memory_cgroups: Reading[MemoryCgroups]
    machine_load: Reading[MachineLoad]
    lab_measurement: LabMeasurement | None = None
    """A lab result that the user gave; whether it is of this kernel is for the accounting to see."""


READING_NAMES = frozenset(name for name, kind in Snapshot.__annotations__.items() if "Reading[" in str(kind))
"""The names of the sources that a Snapshot has a reading of."""
