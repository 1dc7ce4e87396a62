"""A Snapshot: one reading of every source of a host, as named tuples.

Counts are exactly as the kernel printed them. None means unknown, never 0.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

ReadState = Literal["ok", "cut", "strange", "late", "missing", "refused", "empty", "failed", "off", "waiting"]
"""Result of a source's last reading.

`ok`: the source was read and parsed completely.
`cut`: the file or a line ends too early; the value holds the complete part.
`strange`: parts are in an unknown format or, as accounting finds, impossible; the value holds the rest.
`late`: the read has not finished; the value is from the previous reading.
`missing`: the host has no such file.
`refused`: only root may read the file.
`empty`: the file exists but is empty.
`failed`: any other error.
`off`: the source was not read, because it is expensive and was not requested.
`waiting`: the source has not been read yet.
"""


class SlabRow(NamedTuple):
    """One line of /proc/slabinfo (mm/slab_common.c, cache_show)."""

    name: str
    active_objects: int
    objects: int
    object_bytes: int
    """Step from one object to the next: the struct, its padding and the free pointer."""
    objects_per_slab: int
    pages_per_slab: int
    slabs: int
    tunables_limit: int
    """Tunable `limit` of the cache, greater than 0 only with the SLAB allocator."""


class Slabinfo(NamedTuple):
    """/proc/slabinfo. Several rows may have the same name."""

    rows: tuple[SlabRow, ...]


class SlabLinks(NamedTuple):
    """/sys/kernel/slab: the cache names that are merged into one cache (mm/slub.c, sysfs_slab_alias)."""

    group_of: Mapping[str, str]
    """Folder of each cache name: `tcp_bind_bucket` -> `:A-0000128`, `TCP` -> `TCP`."""
    names_of: Mapping[str, tuple[str, ...]]
    """Sorted cache names that lead to each folder."""


class SlabSize(NamedTuple):
    """The constant attributes of one cache in /sys/kernel/slab (mm/slub.c, SLAB_ATTR_RO)."""

    object_size_bytes: int | None
    """The struct alone."""
    slab_size_bytes: int | None
    """Step from one object to the next, the same figure as `SlabRow.object_bytes`."""
    objects_per_slab: int | None
    order: int | None
    cpu_partial_objects: int | None = None
    """Free objects that a CPU may keep on its partial slabs; 0 if it keeps sheaves."""
    sheaf_capacity: int | None = None
    """Objects in a sheaf; 0 if the cache has none, None on kernels before 6.18."""


class SlabSizes(NamedTuple):
    """Sizes of those catalogue caches that the kernel has, by cache name."""

    caches: Mapping[str, SlabSize]


class SlabCount(NamedTuple):
    """The lock-free counters of one cache in /sys/kernel/slab (mm/slub.c, show_slab_objects)."""

    slabs: int | None
    objects: int | None
    slabs_by_node: Mapping[int, int]
    """Slabs of each node that has any; empty on a kernel without NUMA."""
    objects_by_node: Mapping[int, int]


class SlabCounts(NamedTuple):
    """Counts of those catalogue caches that the kernel has, by cache name."""

    caches: Mapping[str, SlabCount]


class Zone(NamedTuple):
    """One zone of /proc/zoneinfo (mm/vmstat.c, zoneinfo_show_print)."""

    node: int
    name: str
    free_pages: int | None
    min_pages: int | None
    low_pages: int | None
    high_pages: int | None
    present_pages: int | None
    managed_pages: int | None
    protection_pages: tuple[int, ...]
    """lowmem_reserve: pages of this zone that an allocation must leave free; entry k is for allocations that prefer
    zone k.
    """
    free_cma_pages: int | None
    """nr_free_cma: free pages that only movable allocations may use."""
    cpus: int | None
    """Number of CPUs with page lists in this zone; None for an empty zone."""
    boost_pages: int | None = None
    """watermark_boost: what `min`, `low` and `high` are raised by for a while, since 6.1; None if not printed."""
    on_cpu_lists_pages: int | None = None
    """Free pages on per-CPU page lists, which `free_pages` does not include; None if not printed."""
    file_pages: int | None = None
    """Page cache on the LRU lists, of the whole node in the node's first zone since 4.8; None in the other zones."""
    reclaimable_pages: int | None = None
    """Kernel memory that reclaim may free, of the whole node like `file_pages`."""
    zone_file_pages: int | None = None
    """Page cache on the LRU lists that is in this zone; None before 4.8."""

    @property
    def own_file_pages(self) -> int | None:
        """Page cache in this zone; before 4.8 `file_pages` is of each zone."""
        return self.file_pages if self.zone_file_pages is None else self.zone_file_pages


class Zoneinfo(NamedTuple):
    """/proc/zoneinfo, including empty zones if the kernel prints them."""

    zones: tuple[Zone, ...]


class FreeArea(NamedTuple):
    """One line of /proc/buddyinfo (mm/vmstat.c, frag_show_print): free blocks by order, all migrate types together."""

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
    """Orders whose free blocks the kernel stopped counting (`>100000`), so that `blocks` is a lower bound."""


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

    `inuse` and, since 4.13, `time_wait` count one network namespace; the other counters count the whole machine.
    """

    inuse: int | None
    orphans: int | None
    time_wait: int | None
    allocated: int | None
    buffer_units: int | None
    """Counter `mem`, in pages; on kernels from 4.9 to 5.19 in units of 4096 bytes, whatever the page size."""


class Sockstat6(NamedTuple):
    """The TCP6 line of /proc/net/sockstat6 (net/ipv6/proc.c, sockstat6_seq_show)."""

    inuse: int | None


class Protocol(NamedTuple):
    """One line of /proc/net/protocols (net/core/sock.c, proto_seq_printf)."""

    name: str
    object_size_bytes: int
    sockets: int | None
    under_pressure: bool | None = None
    """Column `press`: whether the protocol's buffers are above the second value of its limit; None if it has none."""


class Protocols(NamedTuple):
    """/proc/net/protocols, by name."""

    by_name: Mapping[str, Protocol]


class Meminfo(NamedTuple):
    """/proc/meminfo (fs/proc/meminfo.c)."""

    total_bytes: int | None
    available_bytes: int | None
    slab_bytes: int | None
    free_bytes: int | None = None
    cached_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    """Page cache on the LRU lists: `Active(file)` + `Inactive(file)`."""
    reclaimable_bytes: int | None = None
    """Kernel memory that reclaim may free: `KReclaimable`, or `SReclaimable` before 4.20."""
    reclaimable_slab_bytes: int | None = None


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
    """The values of /proc/sys that a figure or a label needs."""

    host_name: str | None
    kernel_release: str | None
    tcp_mem: tuple[int, int, int] | None
    """Three values of tcp_mem (min, pressure and max), in the unit of sockstat's `mem`."""
    slab_debug: bool
    """Whether the kernel was started with a slab debug option, which makes objects larger."""
    memory_per_cpu_reserve_pages: int | None
    """net.core.mem_pcpu_rsv: pages of socket buffers that each CPU may hold without `mem` counting them."""
    build_id: str | None = None
    """GNU build ID from /sys/kernel/notes, in hexadecimal. Two builds of one release have different build IDs."""
    architecture: str | None = None
    """Architecture named in the release or in /proc/version; None if neither names one."""
    zone_reclaim_mode: int | None = None
    """vm.zone_reclaim_mode: 0 if an allocation turns to other nodes before it reclaims memory; None if unknown."""
    merges_caches: bool = True
    """False with the boot parameter slab_nomerge: every slab cache then has a row of its own in slabinfo."""


class Snmp(NamedTuple):
    """The Tcp line of /proc/net/snmp (net/ipv4/proc.c, snmp_seq_show) of one network namespace."""

    established: int | None
    """CurrEstab: sockets in ESTABLISHED and, on most kernels, CLOSE_WAIT (net/ipv4/tcp.c, tcp_set_state)."""
    counters: Mapping[str, int] = MappingProxyType({})
    """Counters of events by name, those alone that the kernel has; see `tcptop.kernel.events`."""


class EventCounters(NamedTuple):
    """Counters of events of one network namespace, from /proc/net/netstat or /proc/net/stat/nf_conntrack."""

    counters: Mapping[str, int]
    """By name, those alone that the kernel has."""


class TlsStat(NamedTuple):
    """/proc/net/tls_stat (net/tls/tls_proc.c): sockets of one network namespace with kernel TLS, by direction.

    A socket with kernel TLS in both directions is in two counts. `software`: the CPU encrypts or decrypts. `device`:
    the network device does.
    """

    tx_software: int | None
    """TlsCurrTxSw."""
    rx_software: int | None
    """TlsCurrRxSw."""
    tx_device: int | None
    """TlsCurrTxDevice."""
    rx_device: int | None
    """TlsCurrRxDevice."""


class SocketLimits(NamedTuple):
    """Limits on open files, orphans, TIME_WAIT sockets, local ports and tracked flows.

    Two members are counts: the open files, and the tracked flows.
    """

    open_files: int | None
    """/proc/sys/fs/file-nr: the machine's open files (fs/file_table.c, proc_nr_files)."""
    max_open_files: int | None
    max_orphans: int | None
    """net.ipv4.tcp_max_orphans, for the whole machine."""
    max_time_wait: int | None
    """net.ipv4.tcp_max_tw_buckets: per network namespace since 4.13, for the whole machine before."""
    local_ports: tuple[int, int] | None
    """net.ipv4.ip_local_port_range of the network namespace: first and last port."""
    conntrack_entries: int | None
    """net.netfilter.nf_conntrack_count of the network namespace; None if conntrack is not loaded."""
    max_conntrack_entries: int | None


class MemoryCgroups(NamedTuple):
    """Whether kernel memory is charged to memory cgroups; if so, SLAB_ACCOUNT slabs carry vectors."""

    charged: bool


class CgroupMemory(NamedTuple):
    """The memory of one cgroup of cgroup2 (mm/memcontrol.c, memory_files)."""

    path: str
    """Path below /sys/fs/cgroup; empty for the root."""
    current_bytes: int | None
    """memory.current: all memory charged to the cgroup and to the cgroups below it."""
    max_bytes: int | None
    """memory.max; None if unknown, or if it is `max`."""
    is_unlimited: bool
    """Whether memory.max is `max`."""
    cache_bytes: int | None
    """Page cache on the lists of memory.stat (active_file, inactive_file), which reclaim frees."""
    sock_bytes: int | None
    """`sock` of memory.stat: buffers of sockets."""
    kernel_bytes: int | None
    """`kernel` of memory.stat: slabs, page tables, kernel stacks and more, since 5.18."""
    unknown_because: str | None
    """Reason that the limit or the use is unknown, in one line."""


class SecurityModules(NamedTuple):
    """The active Linux security modules, from /sys/kernel/security/lsm or, if it is not readable, from other files."""

    names: tuple[str, ...]
    """Module names; if /sys/kernel/security/lsm is not readable, only modules that allocate data for each socket."""


class MachineLoad(NamedTuple):
    """Memory and CPU load of the whole machine, from psutil."""

    memory_available_bytes: int
    cpu_busy_percent: float | None
    """CPU load since the previous reading; None at the first reading."""


class StructMember(NamedTuple):
    """A member of a struct or of a struct embedded in it. A union counts as one member, and so does an array."""

    name: str
    """Name of the member, dotted inside an embedded struct; `skc_addrpair|...` for an anonymous union, by its first
    member.
    """
    offset_bytes: int
    size_bytes: int
    bits: int | None
    """Width of a bit-field in bits; None for other members."""


class StructLayout(NamedTuple):
    """The layout of one struct in the running kernel."""

    name: str
    size_bytes: int
    members: tuple[StructMember, ...]
    has_free_pointer: bool
    """Whether a member, at any depth, is a freeptr_t, so that the free pointer needs no space behind the struct."""


class Btf(NamedTuple):
    """/sys/kernel/btf/vmlinux: layouts of those catalogue structs that the kernel has, by struct name."""

    structs: Mapping[str, StructLayout]


class MeasuredRow(NamedTuple):
    """Objects and bytes that one endpoint adds to a slabinfo row, as measured by `tcptop lab`."""

    row: str
    objects: float
    bytes: float
    catalogue_objects: float | None
    """Number of objects in this row according to the catalogue; None if the catalogue has no object in this row."""


class MeasuredState(NamedTuple):
    """Measurement of one TCP state in a saved lab result."""

    rows: tuple[MeasuredRow, ...]
    vector_bytes: float
    """Bytes of memory cgroup vectors that one endpoint adds."""


class LabMeasurement(NamedTuple):
    """A saved result of `tcptop lab`."""

    path: str
    kernel_release: str | None
    build_id: str | None
    page_size_bytes: int | None
    ipv6: bool
    states: Mapping[str, MeasuredState]
    """Measured states by state and side: `established/accepted`, or `close_wait` without a side."""


Value = TypeVar("Value")


class _Reading(NamedTuple):
    state: ReadState
    value: Any
    reason: str | None
    """One line that says what is wrong, where, and what to do about it; None if nothing is wrong."""
    taken_at_s: float | None
    """Time of the reading, on the clock of `Snapshot.monotonic_s`."""
    read_us: int | None
    """Time that the kernel took to return the bytes."""
    every_s: float | None
    """Present interval between readings; None if the source is read once."""
    before: Any
    """Previous reading of this source.

    None if that reading had no value, or if no rates are computed from this source.
    """
    sockstat: Sockstat | None
    """TCP line of /proc/net/sockstat, read right after this source.

    None unless counts of this source are divided by the number of sockets.
    """


class Reading(_Reading, Generic[Value]):
    """A source's last reading: its value, or the reason that there is none."""

    # A subclass adds the type parameter, because a NamedTuple cannot be generic before Python 3.11.
    __slots__ = ()
    if TYPE_CHECKING:
        value: Value | None
        before: "Reading[Value] | None"


NOT_READ: Reading[object] = Reading("waiting", None, "not read yet", None, None, None, None, None)


CGROUP_SOURCE = "cgroup"
"""Name of the source of `Snapshot.cgroup`, which is no reading: it is neither recorded nor among the JSON's sources."""

Doubt = Literal["size", "counts"]
"""Part of a slabinfo row that cannot be right: the sizes of its objects and slabs, or their numbers."""


class Contradictions(NamedTuple):
    """The sources that have impossible figures, as accounting found them."""

    sources: frozenset[str] = frozenset()
    rows: Mapping[str, frozenset[Doubt]] = {}
    """The numbers in doubt of each slabinfo row that has any."""


class Snapshot(NamedTuple):
    """One reading of every source of a host."""

    taken_at_unix_s: float | None
    """Unix time of the sample; None if unknown, as for a saved tree that does not record its time."""
    monotonic_s: float
    live: bool
    """Whether the files are from a running kernel, read now or recorded; False for a saved tree."""
    place: str | None
    """Folder or archive that served as the root of the files; None for `/`."""
    net_namespace: str | None
    """Folder that shows the network namespace, such as `/host/proc/1/net`; None for tcptop's own namespace."""
    page_size_bytes: int | None
    """Page size that the running system reports; None for a saved tree, where it must follow from the files."""
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
    netstat: Reading[EventCounters]
    conntrack_stats: Reading[EventCounters]
    tls_stat: Reading[TlsStat]
    socket_limits: Reading[SocketLimits]
    memory_cgroups: Reading[MemoryCgroups]
    machine_load: Reading[MachineLoad]
    lab_measurement: LabMeasurement | None = None
    """Lab result that the user gave; accounting checks whether it was measured on this kernel."""
    cgroup: CgroupMemory | None = None
    """The memory cgroup that the user named."""
    contradictions: Contradictions = Contradictions()
    """Impossible figures that are still in this Snapshot, as found by accounting, which sets all others to None."""


READING_NAMES = frozenset(name for name, kind in Snapshot.__annotations__.items() if "Reading[" in str(kind))
"""Names of the fields of Snapshot that are readings."""
