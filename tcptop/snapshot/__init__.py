"""A Snapshot: one reading of every source of a host, as named tuples.

Counts are exactly as the kernel printed them. None means unknown, never 0.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from tcptop.snapshot.socket_table import SocketTable

ReadState = Literal["ok", "cut", "strange", "late", "missing", "refused", "empty", "failed", "off", "waiting"]
"""Result of a source's last reading.

`ok`: the source was read and parsed completely.
`cut`: the file or one of its lines ends too early; the value has only the complete parts.
`strange`: parts of the file have an unknown format, or accounting found impossible figures in the file; the value has
only the remaining parts.
`late`: the read has not finished yet; the value comes from the previous reading.
`missing`: the host has no such file.
`refused`: only root may read the file.
`empty`: the file exists but is empty.
`failed`: any other error.
`off`: the source was not read, because the read is expensive and was not requested.
`waiting`: the source has not been read yet.
"""

DAMAGED: tuple[ReadState, ...] = ("cut", "strange")
"""The states in which a part of a source's data is lost or in doubt."""


class SlabRow(NamedTuple):
    """One line of /proc/slabinfo (mm/slab_common.c, cache_show)."""

    name: str
    active_objects: int
    objects: int
    object_bytes: int
    """Distance from the start of one object to the start of the next: the struct, its padding and the free pointer."""
    objects_per_slab: int
    pages_per_slab: int
    slabs: int
    tunables_limit: int
    """Value of the cache's tunable `limit`, which is greater than 0 only with the SLAB allocator."""


class Slabinfo(NamedTuple):
    """/proc/slabinfo. Several rows may have the same name."""

    rows: tuple[SlabRow, ...]


class SlabLinks(NamedTuple):
    """/sys/kernel/slab: which cache names are merged into the same cache (mm/slub.c, sysfs_slab_alias)."""

    group_of: Mapping[str, str]
    """Maps the name of each cache to its folder: `tcp_bind_bucket` to `:A-0000128`, `TCP` to `TCP`."""
    names_of: Mapping[str, tuple[str, ...]]
    """For each folder, the sorted cache names that lead to the folder."""


class SlabSize(NamedTuple):
    """The attributes of one cache in /sys/kernel/slab that never change (mm/slub.c, SLAB_ATTR_RO)."""

    object_size_bytes: int | None
    """The struct alone."""
    slab_size_bytes: int | None
    """Distance from the start of one object to the start of the next; the same figure as `SlabRow.object_bytes`."""
    objects_per_slab: int | None
    order: int | None
    cpu_partial_objects: int | None = None
    """Maximum number of free objects on the partial slabs of one CPU; 0 if the cache uses sheaves instead."""
    sheaf_capacity: int | None = None
    """Number of objects in a sheaf; 0 if the cache has no sheaves; None on kernels before 6.18."""


class SlabSizes(NamedTuple):
    """Sizes of those catalogued caches that exist in the kernel; a key of `caches` is the name of a cache."""

    caches: Mapping[str, SlabSize]


class SlabCount(NamedTuple):
    """The lock-free counters of one cache in /sys/kernel/slab (mm/slub.c, show_slab_objects)."""

    slabs: int | None
    objects: int | None
    slabs_by_node: Mapping[int, int]
    """Number of slabs on each node that has slabs of the cache; empty on a kernel without NUMA."""
    objects_by_node: Mapping[int, int]


class SlabCounts(NamedTuple):
    """Counts of those catalogued caches that exist in the kernel; a key of `caches` is the name of a cache."""

    caches: Mapping[str, SlabCount]


class CacheAttributes(NamedTuple):
    """The attributes of one slab cache in /sys/kernel/slab, read only while the user looks at the cache's details.

    An attribute that could not be read is neither in `numbers` nor in `by_node`.
    """

    cache: str
    numbers: Mapping[str, int]
    """Maps the name of an attribute to its number (mm/slub.c, SLAB_ATTR): a size, a flag of 0 or 1, or a total."""
    by_node: Mapping[str, Mapping[int, int]]
    """For each attribute that the kernel counts by node: the count on each node where the count is above 0."""
    constructor: str | None
    """Name of the function that prepares new objects; empty if there is no such function, None if unknown."""
    reason: str | None
    """One line that says why no attribute could be read; None if at least one was read."""
    doubt: str | None = None
    """One line that says which attributes are left out because they are impossible; None if none is."""


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
    """lowmem_reserve: the number of pages of the zone that an allocation must leave free.

    Entry k of lowmem_reserve applies to allocations that prefer zone k.
    """
    free_cma_pages: int | None
    """nr_free_cma: free pages that only movable allocations may use."""
    cpus: int | None
    """Number of CPUs with page lists in this zone; None for an empty zone."""
    boost_pages: int | None = None
    """watermark_boost: pages that the kernel has temporarily added to `min`, `low` and `high`.

    Kernels print the boost since 6.1. `boost_pages` is None if the kernel does not print the boost.
    """
    on_cpu_lists_pages: int | None = None
    """Free pages on per-CPU page lists; None if the kernel does not print them. `free_pages` does not include the pages
    on per-CPU page lists."""
    file_pages: int | None = None
    """Pages of the page cache on the LRU lists.

    Since 4.8 the kernel counts the page cache for the whole node. Since 4.8 the node's first zone has the figure of the
    node, and the other zones have None.
    """
    reclaimable_pages: int | None = None
    """Pages of kernel memory that reclaim may free.

    If the kernel counts reclaimable memory for the whole node, the node's first zone has the figure (see `file_pages`).
    """
    zone_file_pages: int | None = None
    """Pages of the page cache on the LRU lists of this zone alone; None before 4.8."""
    spanned_pages: int | None = None
    """Number of pages from the first to the last page of the zone, holes included."""
    slab_pages: int | None = None
    """Pages of all slabs, reclaimable or not.

    If the kernel counts slabs for the whole node, the node's first zone has the figure (see `file_pages`).
    """

    @property
    def own_file_pages(self) -> int | None:
        """Pages of the page cache on the LRU lists of this zone: `zone_file_pages`, or `file_pages` before 4.8.

        Before 4.8 `file_pages` counts the pages of this zone alone.
        """
        return self.file_pages if self.zone_file_pages is None else self.zone_file_pages


class Zoneinfo(NamedTuple):
    """The zones of /proc/zoneinfo, including any empty zones that the kernel prints."""

    zones: tuple[Zone, ...]


class FreeArea(NamedTuple):
    """One line of /proc/buddyinfo (mm/vmstat.c, frag_show_print): free blocks by order, all migrate types together."""

    node: int
    zone: str
    blocks: tuple[int, ...]


class Buddyinfo(NamedTuple):
    """The lines of /proc/buddyinfo, which lists populated zones only."""

    areas: tuple[FreeArea, ...]


class TypedFreeArea(NamedTuple):
    """One line of the first table of /proc/pagetypeinfo (mm/vmstat.c, pagetypeinfo_showfree_print)."""

    node: int
    zone: str
    migrate_type: str
    blocks: tuple[int, ...]
    capped_orders: tuple[int, ...]
    """Orders whose free blocks the kernel stopped counting (`>100000`); for these orders `blocks` has lower bounds."""


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

    `inuse` and, since 4.13, `time_wait` cover one network namespace; the other counters cover the whole machine.
    """

    inuse: int | None
    orphans: int | None
    time_wait: int | None
    allocated: int | None
    buffer_units: int | None
    """Counter `mem`, in pages. On kernels 4.9 to 5.19 the unit is 4096 bytes, whatever the page size."""


class Sockstat6(NamedTuple):
    """The TCP6 line of /proc/net/sockstat6 (net/ipv6/proc.c, sockstat6_seq_show)."""

    inuse: int | None


class Protocol(NamedTuple):
    """One line of /proc/net/protocols (net/core/sock.c, proto_seq_printf)."""

    name: str
    object_size_bytes: int | None
    """None if other files contradict the size."""
    sockets: int | None
    under_pressure: bool | None = None
    """Column `press`: True if the buffers of the protocol exceed the pressure threshold. A protocol's limit has three
    values; the second value is the pressure threshold.

    `under_pressure` is None if the protocol has no limit.
    """
    memory_units: int | None = None
    """Column `memory`: the counter of the protocol's buffers, which sockstat also shows; None if there is none."""


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
    unreclaimable_slab_bytes: int | None = None
    """SUnreclaim."""
    buffers_bytes: int | None = None
    """Page cache of block devices. A container's meminfo (lxcfs) always has 0 for this page cache."""
    direct_map_bytes: int | None = None
    """Sum of the DirectMap lines: the memory in the kernel's direct map. A container's meminfo (lxcfs) has the lines of
    the whole machine."""
    high_total_bytes: int | None = None
    """Memory in zone HighMem; None on a kernel without this zone, as on 64 bits."""
    huge_page_bytes: int | None = None
    """Memory in the pools of huge pages, used or not (mm/hugetlb.c, hugetlb_report_meminfo). Before 4.16, only the pool
    of the default size. None if the kernel has no such pools."""
    huge_page_size_bytes: int | None = None
    """The default size of a huge page; None if the kernel has no such pages."""
    huge_pages: int | None = None
    """Number of huge pages of the default size; None if unknown."""


class NodeFacts(NamedTuple):
    """One folder /sys/devices/system/node/nodeK."""

    node: int
    cpu_list: str | None
    cpus: int | None
    memory_bytes: int | None
    free_bytes: int | None = None
    distances: Mapping[int, int] | None = None
    """Maps the number of each online node, this node included, to the distance from this node. None if the distances
    are unknown."""
    huge_pages: int | None = None
    """Number of huge pages of the default size on this node (mm/hugetlb.c, hugetlb_report_node_meminfo)."""


class Topology(NamedTuple):
    """/sys/devices/system/node and /sys/devices/system/cpu."""

    nodes: tuple[NodeFacts, ...]
    online_cpus: int | None
    present_cpus: int | None = None
    """Number of CPUs that are online or switched off; if this is unknown, the number of possible CPUs."""


SMBIOS = "smbios"
"""Name of the source of `Snapshot.smbios`."""

ProcessorStatus = Literal["enabled", "disabled by user", "disabled by firmware", "idle", "other", "unknown", "empty"]
"""Status of a processor socket; `empty` is a socket without a processor."""


class Processor(NamedTuple):
    """A processor socket as the firmware describes it (SMBIOS type 4).

    A field is None if the firmware does not give its value.
    """

    designation: str | None
    """Name of the socket on the board."""
    status: ProcessorStatus
    manufacturer: str | None
    version: str | None
    """Name of the processor."""
    cores: int | None
    cores_enabled: int | None
    threads: int | None
    threads_enabled: int | None
    max_speed_mhz: int | None
    """The highest speed that the socket supports; the processor itself may be slower."""
    current_speed_mhz: int | None
    """Speed of the processor when the machine was started."""
    node: int | None = None
    """NUMA node of the socket, as found by accounting. None if accounting has not run or has not found the node."""


class MemoryArray(NamedTuple):
    """A group of memory slots (SMBIOS type 16)."""

    handle: int
    """Number of the SMBIOS structure. `MemoryDevice.array` refers to the array by this number."""
    use: str | None
    slots: int | None
    """Number of slots. None if the firmware gives a number that is smaller than the number of the array's memory
    devices."""
    max_capacity_bytes: int | None


class MemoryDevice(NamedTuple):
    """A memory slot with its device, such as a DIMM (SMBIOS type 17)."""

    array: int
    """Handle of the array that the slot belongs to."""
    locator: str | None
    """Name of the slot on the board."""
    bank: str | None
    """Name of the slot's bank, channel or node."""
    size_bytes: int | None
    """Size of the memory device; 0 if the slot is empty."""
    memory_type: str | None
    max_speed_mts: int | None
    """Highest speed of the device in megatransfers per second."""
    configured_speed_mts: int | None
    ranks: int | None
    node: int | None = None
    """NUMA node of the slot, as found by accounting. None if accounting has not run or has not found the node."""


class Smbios(NamedTuple):
    """/sys/firmware/dmi/tables: the processor sockets and memory slots that the firmware describes."""

    version: str
    processors: tuple[Processor, ...]
    memory_arrays: tuple[MemoryArray, ...]
    memory_devices: tuple[MemoryDevice, ...]
    repeated_handles: tuple[int, ...] = ()
    """Handles that two or more SMBIOS structures share. Each structure should have a handle of its own, but some
    firmware repeats handles."""
    remarks: tuple[str, ...] = ()
    """One sentence for each kind of firmware figure that is probably wrong; accounting writes the sentences."""


class Sysctls(NamedTuple):
    """The values of /proc/sys that a figure or a label needs."""

    host_name: str | None
    kernel_release: str | None
    tcp_mem: tuple[int, int, int] | None
    """Three values of tcp_mem (min, pressure and max), in pages."""
    slab_debug: bool
    """True if the kernel was started with a slab debug option, which makes objects larger."""
    memory_per_cpu_reserve_pages: int | None
    """net.core.mem_pcpu_rsv, in pages. For each CPU, up to this number of socket buffer pages may be missing from the
    counter `mem`."""
    build_id: str | None = None
    """GNU build ID of the kernel from /sys/kernel/notes, in hexadecimal. Two builds of one kernel release have
    different build IDs."""
    architecture: str | None = None
    """Architecture that the kernel release or /proc/version names; None if neither names an architecture."""
    zone_reclaim_mode: int | None = None
    """vm.zone_reclaim_mode: 0 if an allocation tries other nodes before it reclaims memory; None if unknown."""
    merges_caches: bool = True
    """False if the kernel was booted with slab_nomerge; every slab cache then has its own row in slabinfo."""
    mem_profiling: int | None = None
    """vm.mem_profiling: 1 if the kernel records the caller of each allocation; None if the kernel cannot record
    callers, or if `mem_profiling_is_unread`."""
    mem_profiling_is_unread: bool = False
    """True if the kernel has the file vm/mem_profiling, and its value could not be read."""
    nr_open: int | None = None
    """fs.nr_open, the largest possible limit on the open files of a process; None if unknown."""


class Snmp(NamedTuple):
    """The Tcp line of /proc/net/snmp (net/ipv4/proc.c, snmp_seq_show) of one network namespace."""

    established: int | None
    """CurrEstab: sockets in ESTABLISHED and, on most kernels, in CLOSE_WAIT (net/ipv4/tcp.c, tcp_set_state)."""
    counters: Mapping[str, int] = MappingProxyType({})
    """The event counters that the kernel has, by name; see `tcptop.kernel.events`."""


class EventCounters(NamedTuple):
    """Event counters of one network namespace, from /proc/net/netstat or /proc/net/stat/nf_conntrack."""

    counters: Mapping[str, int]
    """The event counters that the kernel has, by name."""


class TlsStat(NamedTuple):
    """/proc/net/tls_stat (net/tls/tls_proc.c): the numbers of sockets of one network namespace that use kernel TLS.

    Sockets are counted by direction: `tx` is sending, `rx` is receiving. A socket with kernel TLS in both directions is
    counted twice, once for each direction. `software` means that the CPU encrypts or decrypts; `device` means that the
    network device encrypts or decrypts.
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

    `open_files` and `conntrack_entries` are not limits but the present numbers of open files and tracked flows.
    """

    open_files: int | None
    """Number of open files on the machine, from /proc/sys/fs/file-nr (fs/file_table.c, proc_nr_files)."""
    max_open_files: int | None
    max_orphans: int | None
    """net.ipv4.tcp_max_orphans, which applies to the whole machine; may be negative."""
    max_time_wait: int | None
    """net.ipv4.tcp_max_tw_buckets: a limit on each network namespace since 4.13, on the whole machine before 4.13.

    It may be negative.
    """
    local_ports: tuple[int, int] | None
    """net.ipv4.ip_local_port_range of the network namespace: first and last port."""
    conntrack_entries: int | None
    """net.netfilter.nf_conntrack_count of the network namespace; None if conntrack is not loaded."""
    max_conntrack_entries: int | None
    """net.netfilter.nf_conntrack_max; may be negative."""
    reserved_ports: tuple[tuple[int, int], ...] | None = None
    """net.ipv4.ip_local_reserved_ports of the network namespace: ranges of ports that connect(2) does not choose, each
    with its first and last port. Empty if no port is reserved; None if unknown."""

    @property
    def local_port_count(self) -> int | None:
        """Number of local ports from which connect(2) chooses; at most so many if `reserved_ports` is None.

        None if `local_ports` is unknown.
        """
        if self.local_ports is None:
            return None
        first, last = self.local_ports
        # The ranges of reserved ports do not overlap.
        reserved = sum(max(0, min(end, last) - max(start, first) + 1) for start, end in self.reserved_ports or ())
        return last - first + 1 - reserved


class MemoryCgroups(NamedTuple):
    """Says if kernel memory is charged to memory cgroups.

    If kernel memory is charged, each slab of a SLAB_ACCOUNT cache has a vector of obj_cgroup pointers.
    """

    charged: bool


class CgroupMemory(NamedTuple):
    """The memory of one cgroup (mm/memcontrol.c, memory_files; mm/memcontrol-v1.c, mem_cgroup_legacy_files).

    The files of cgroup v1 have other names, which are in parentheses below.
    """

    path: str
    """Path below /sys/fs/cgroup; empty for the root. The path of a cgroup of cgroup v1 begins with `memory`."""
    current_bytes: int | None
    """memory.current (memory.usage_in_bytes): all memory charged to the cgroup and to the cgroups below it."""
    max_bytes: int | None
    """Value of memory.max (memory.limit_in_bytes); None if the value is unknown, or if there is no limit."""
    is_unlimited: bool
    """True if the value of memory.max is `max`, or if memory.limit_in_bytes has its largest value."""
    cache_bytes: int | None
    """Page cache on the LRU lists: the sum of the fields active_file and inactive_file (total_active_file and
    total_inactive_file) of memory.stat.

    Reclaim can free the page cache on the LRU lists.
    """
    sock_bytes: int | None
    """Field `sock` of memory.stat (memory.kmem.tcp.usage_in_bytes): buffers of sockets.

    cgroup v1 counts buffers only while a memory.kmem.tcp.limit_in_bytes is set.
    """
    kernel_bytes: int | None
    """Field `kernel` of memory.stat, since 5.18 (memory.kmem.usage_in_bytes): slabs, page tables, kernel stacks and
    more."""
    reclaimable_slab_bytes: int | None
    """Field `slab_reclaimable` of memory.stat, since 4.6: slabs of caches that the kernel can shrink, with those of
    objects in use, such as the inodes of open sockets. None if unknown, as in cgroup v1."""
    unknown_because: str | None
    """One line that says why the limit or the used memory is unknown. None if both amounts are known and plausible.

    The line may also say that figures of the cgroup contradict each other, or that they contradict figures in other
    files.
    """
    is_v1: bool = False
    """True for a cgroup of cgroup v1, which does not count buffers of sockets in `current_bytes`."""
    sock_max_bytes: int | None = None
    """Value of memory.kmem.tcp.limit_in_bytes; None if there is no such limit, as in cgroup2."""
    kernel_max_bytes: int | None = None
    """Value of memory.kmem.limit_in_bytes; None if there is no such limit, as in cgroup2 and since 5.16."""
    sockets_enabled: bool | None = True
    """The kernel's mem_cgroup_sockets_enabled: whether accept(2) charges its sock since 6.13, and cgroup2 the buffers.

    cgroup2 enables it with its first cgroup, unless the kernel has the parameter cgroup.memory=nosocket
    (mm/memcontrol.c, mem_cgroup_css_alloc). cgroup v1 enables it while any cgroup exists whose
    memory.kmem.tcp.limit_in_bytes was ever written (mm/memcontrol-v1.c, memcg_update_tcp_max). None if unknown.
    """
    hidden_max_bytes: int | None = None
    """The least limit of the cgroups above those in `above`, which are not visible; None if there is none, or unknown.

    It is hierarchical_memory_limit of cgroup v1's memory.stat, if it is below every visible limit.
    """
    may_hide_limits: bool = False
    """True if nothing tells whether the cgroups above those in `above` have limits, as in a container."""
    above: tuple["CgroupMemory", ...] = ()
    """The cgroups above, the nearest first, up to the root of the mount: memory that is charged to a cgroup counts in
    each cgroup above it. Empty for each of the cgroups above."""


class SecurityModules(NamedTuple):
    """The active Linux security modules.

    The names come from /sys/kernel/security/lsm. If /sys/kernel/security/lsm is not readable, the names come from other
    files.
    """

    names: tuple[str, ...]
    """Names of the modules. If /sys/kernel/security/lsm is not readable, `names` has only the modules that allocate
    data for each socket."""


class MachineLoad(NamedTuple):
    """Available memory and CPU load of the whole machine, from psutil.

    For a host over ssh, only the CPU load is read, from /proc/stat.
    """

    memory_available_bytes: int | None
    """Available memory in bytes. None for a host over ssh, where `Meminfo.available_bytes` has the figure."""
    cpu_busy_percent: float | None
    """CPU load since the previous reading; None at the first reading."""


class StructMember(NamedTuple):
    """A member of a struct; the struct may be embedded in another struct. A union or an array counts as one member."""

    name: str
    """Name of the member. The name of a member of an embedded struct has dots: `outer.inner`.

    An anonymous union has the name of its first member, followed by `|...`: `skc_addrpair|...`.
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
    """True if the struct, or a struct or union in it, has a member of type freeptr_t.

    A member of type freeptr_t holds the allocator's free pointer. If a struct has a member of type freeptr_t, the
    allocator adds no space for a free pointer after the struct.
    """


class Btf(NamedTuple):
    """The layouts of those catalogued structs that exist in the kernel, by name, from /sys/kernel/btf/vmlinux."""

    structs: Mapping[str, StructLayout]
    offsets: Mapping[str, Mapping[str, int]] = MappingProxyType({})
    """Offsets in bytes of the wanted members, by struct and by the dotted path of the member. A member that the
    kernel's struct lacks is left out."""


class MeasuredRow(NamedTuple):
    """Objects and bytes that one endpoint adds to a slabinfo row, as measured by `tcptop lab`."""

    row: str
    objects: float
    bytes: float
    catalogue_objects: float | None
    """Number of objects that one endpoint has in this row according to the catalogue; None if the catalogue
    names none."""


class MeasuredState(NamedTuple):
    """Measurement of one TCP state in a saved lab result."""

    rows: tuple[MeasuredRow, ...]
    vector_bytes: float
    """Bytes of memory cgroup vectors that one endpoint adds."""
    doubt: str | None = None
    """The lab's own reason to doubt these figures; None if it has none."""


class LabMeasurement(NamedTuple):
    """A saved result of `tcptop lab`."""

    path: str
    kernel_release: str | None
    build_id: str | None
    page_size_bytes: int | None
    ipv6: bool
    states: Mapping[str, MeasuredState]
    """Measurement for each TCP state and side of the connection.

    A key has the state and the side, such as `established/accepted`; a state without sides has a key such as
    `close_wait`.
    """


Value = TypeVar("Value")


class _Reading(NamedTuple):
    state: ReadState
    value: Any
    reason: str | None
    """One line that says what is wrong, where, and what to do about it; None if nothing is wrong."""
    taken_at_s: float | None
    """Time when the source was read, on the clock of `Snapshot.monotonic_s`."""
    read_us: int | None
    """Microseconds that the kernel took to return the bytes of the source's files."""
    every_s: float | None
    """Present interval between two readings of the source; None if the source is read only once."""
    before: Any
    """Previous reading of this source.

    The previous reading is None if it had no value, or if no rates are computed from this source.
    """
    sockstat: Sockstat | None
    """TCP line of /proc/net/sockstat, read right after this source.

    `sockstat` is read only if the program divides counts of this source by the number of sockets; otherwise it is None.
    """


class Reading(_Reading, Generic[Value]):
    """A source's last reading: the value that was read, or the reason why there is no value."""

    # This subclass adds the type parameter, because a NamedTuple cannot be generic before Python 3.11.
    __slots__ = ()
    if TYPE_CHECKING:
        value: Value | None
        before: "Reading[Value] | None"


NOT_READ: Reading[object] = Reading("waiting", None, "not read yet", None, None, None, None, None)


SOCKET_TABLE = "socket_table"
"""Name of the source that lists all sockets and the processes that hold them."""

SOCKETS_NOT_ASKED: Reading[object] = NOT_READ._replace(
    state="off", reason="the sockets are asked for only with W, tcptop who, or --who"
)
"""Reading of the source `socket_table` until the user asks which processes hold the sockets."""

UNREAD_READINGS: Mapping[str, Reading[Any]] = {SOCKET_TABLE: SOCKETS_NOT_ASKED}
"""The reading that a source has before its first read, by the name of the source. A source without an entry has
NOT_READ."""


CGROUP_SOURCE = "cgroup"
"""Name of the source of `Snapshot.cgroup`.

`Snapshot.cgroup` is not a `Reading`, because recordings do not contain this field and the JSON does not list the source
`cgroup`.
"""

CHOSEN_CACHE_SOURCE = "chosen_cache"
"""Name of the source of `Snapshot.chosen_cache`. Like `Snapshot.cgroup`, the field `chosen_cache` is not a `Reading`,
and recordings lack the field."""

Doubt = Literal["size", "counts"]
"""Tells which numbers in a row of slabinfo are impossible.

`size`: the sizes of objects and slabs.
`counts`: the numbers of objects and slabs.
"""


class Contradictions(NamedTuple):
    """The sources and the slabinfo rows in which accounting found impossible figures."""

    sources: frozenset[str] = frozenset()
    rows: Mapping[str, frozenset[Doubt]] = {}
    """Maps the name of each slabinfo row that has impossible numbers to the kinds of these numbers.
    """


SSH_PLACE = "ssh:"
"""Beginning of `Snapshot.place` of another machine that is read over ssh."""


class Snapshot(NamedTuple):
    """One reading of every source of a host."""

    taken_at_unix_s: float | None
    """Unix time of the sample; None if unknown, for example in a saved tree without a recorded time."""
    monotonic_s: float
    """Time of the sample on the monotonic clock of the machine that runs tcptop; 0 in a saved tree."""
    live: bool
    """True if the sample was read from a running kernel, even if it now comes from a recording. False for a saved
    tree."""
    place: str | None
    """Folder or archive that served as the root of the files; None for `/`."""
    net_namespace: str | None
    """Folder that shows the network namespace, such as `/host/proc/1/net`; None for tcptop's own namespace."""
    page_size_bytes: int | None
    """Page size that the running system reports.

    It is None for a saved tree: the accounting then works out the page size from the files.
    """
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
    smbios: Reading[Smbios]
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
    socket_table: Reading["SocketTable"]
    boot_id: str | None = None
    """The kernel's ID of this boot; None if unknown, as in a saved tree."""
    net_namespace_id: str | None = None
    """The network namespace that the files of proc/net count, such as `net:[4026531840]`; None if unknown."""
    lab_measurement: LabMeasurement | None = None
    """Lab result that the user gave; accounting checks whether the result was measured on this kernel."""
    cgroup: CgroupMemory | None = None
    """The memory cgroup that the user named."""
    chosen_cache: CacheAttributes | None = None
    """The attributes of the slab cache whose details the user looks at; None if no details of a cache are shown."""
    recorded: bool = False
    """True if the sample comes from a recording, so that nothing more can be asked about its time."""
    contradictions: Contradictions = Contradictions()
    """The sources and slabinfo rows in which accounting found impossible figures; empty before accounting.

    Accounting sets impossible figures to None. Only the rows of slabinfo keep impossible figures.
    """

    @property
    def boot_clock_s(self) -> float | None:
        """Time on the monotonic clock of the machine's boot, so that two times of one boot differ by what has passed.

        None if the boot is unknown, in a saved tree, and over ssh: `monotonic_s` is then of the machine with tcptop,
        which may boot while the other machine runs on.
        """
        is_of_boot = self.live and self.boot_id is not None and not (self.place or "").startswith(SSH_PLACE)
        return self.monotonic_s if is_of_boot and self.monotonic_s else None


READING_NAMES = frozenset(name for name, kind in Snapshot.__annotations__.items() if "Reading[" in str(kind))
"""Names of the fields of Snapshot that have the type `Reading`."""
