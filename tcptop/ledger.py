"""The figures computed from one Snapshot, as named tuples; the screen and the reports show no other figures.

None means unknown, never 0. An object's share of a slab need not be a whole number of bytes; only reports and the
screen round it.
"""

from collections.abc import Mapping
from math import inf
from typing import Literal, NamedTuple

from tcptop.kernel.events import EventUnit
from tcptop.snapshot import CgroupMemory, StructLayout

AccountingMode = Literal["full", "time_wait"]
Family = Literal["ipv4", "ipv6", "mix"]
CountScope = Literal["machine", "here", "machine or here"]
Presence = Literal["known", "absent", "hidden", "unknown"]
"""Whether a kernel has the cache of an object.

`known`: a file shows the cache.
`absent`: the kernel does not have it.
`hidden`: the kernel has it, but merged with another cache, and no file shows which one.
`unknown`: the files do not decide.
"""
"""Scope of a count: the whole machine, or one network namespace (`here`); on some releases either is possible."""


AttachedName = Literal["epoll", "conntrack", "ktls", "buffers"]


class Amount(NamedTuple):
    """An amount known within bounds: exact if `low` and `high` are equal, at most `high` if `low` is 0."""

    low: float
    high: float
    """Upper bound; infinite if parts of the amount are missing, so that only `low` is known."""

    def times(self, other: "Amount") -> "Amount":
        """The product of two amounts, whose bounds may have either sign."""
        ends = [one * two for one in self for two in other]
        return Amount(min(ends), max(ends))

    def minus(self, other: "Amount") -> "Amount":
        """The difference."""
        return Amount(self.low - other.high, self.high - other.low)


class NodeCount(NamedTuple):
    """A cache's objects and slabs on one NUMA node."""

    objects: int | None
    slabs: int | None
    bytes: int | None
    objects_per_s: float | None
    """Change per second of all objects, free objects included."""


class CacheLine(NamedTuple):
    """A row of /proc/slabinfo, or a cache of the catalogue that is merged into the row of another name."""

    name: str
    row: str | None
    """Name of the slabinfo row that counts the cache's objects; None if the cache is merged and slabinfo is not
    readable.
    """
    aliases: tuple[str, ...]
    """Names of the other caches that share the row."""
    objects_of: tuple[str, ...]
    """Structs of the catalogue whose objects the row counts."""
    in_catalogue: bool
    shared: bool
    """Whether the row also counts objects that are not TCP's."""
    object_bytes: int | None
    """Step from one object to the next in a slab: slabinfo's objsize."""
    object_size_bytes: int | None
    """Size of the struct alone, without padding."""
    objects_per_slab: int | None
    pages_per_slab: int | None
    order: int | None
    slab_share_bytes: float | None
    """An object's share of a full slab: page size × pages per slab ÷ objects per slab."""
    active_objects: int | None
    use: float | None
    """Active objects ÷ all objects, 0 to 1, from a single reading of slabinfo."""
    objects: int | None
    slabs: int | None
    bytes: int | None
    """Size of all slabs of the cache, corrected for order fallback.

    None if unknown, or if the slabs are counted in the CacheLine of another cache.
    """
    active_per_s: float | None
    """Change per second of active objects."""
    nodes: Mapping[int, NodeCount] | None
    max_in_use: int | None = None
    """Upper bound on objects in use: active objects from slabinfo, or all objects from sysfs.

    The bound and `bytes` come from the same reading.
    """
    computed: bool = False
    """Whether sizes were computed by SLUB's rules, because no file shows them."""
    idle_error_objects: int | None = None
    """Upper bound on those active objects that are really free objects cached per CPU."""
    tcp_bytes: int | None = None
    """TCP's part of `bytes`: all of a cache that only TCP uses, the sockets' share of a shared cache; None if unknown.
    """

    @property
    def present_share_bytes(self) -> float | None:
        """An object's share of the slabs that the cache has now: larger than `slab_share_bytes` after order fallback.

        The share of a full slab if the cache has no objects; None if unknown.
        """
        return self.bytes / self.objects if self.bytes is not None and self.objects else self.slab_share_bytes

    def share_on(self, node: int) -> float | None:
        """The share of the cache's objects that a node has, 0 to 1; None if unknown."""
        if self.nodes is None or not self.objects:
            return None
        here = self.nodes.get(node)
        objects = here.objects if here is not None else 0
        return None if objects is None else min(1.0, objects / self.objects)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's bytes on one node; None if unknown.

        `tcp_bytes` is split among the nodes in proportion to the number of the cache's objects on each node.
        """
        if self.tcp_bytes is None:
            return None
        if not self.objects:
            return 0.0
        share = self.share_on(node)
        return None if share is None else self.tcp_bytes * share


class ObjectCost(NamedTuple):
    """The bytes that one kind of kernel object adds to the cost of a socket."""

    object: str
    """`KernelObject.struct`."""
    label: str
    cache: str
    count: float  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects per socket; a fraction if sockets share an object or only some sockets have one."""
    object_bytes: float
    slab_bytes: float | None
    high_slab_bytes: float | None
    """Upper bound on the slab bytes; equal to `slab_bytes` unless the size is known only within bounds."""
    estimated: bool
    computed: bool = False
    """Whether the object's sizes were computed by SLUB's rules."""


class Slice(NamedTuple):
    """A segment of a bar: the sum of the costs with the same label."""

    label: str
    bytes: float


class SocketCost(NamedTuple):
    """The bytes that one more socket takes, in a given state and on a given side of the connection.

    Both sums are None if the kernel lacks an object that every such socket has: it has no such sockets.
    """

    object_bytes: float | None
    slab_bytes: float | None
    missing: tuple[str, ...]
    """Objects whose size or slab share is unknown; if there are any, `object_bytes` and `slab_bytes` are lower bounds.
    """
    parts: tuple[ObjectCost, ...]
    slices: tuple[Slice, ...]

    @property
    def high_slab_bytes(self) -> float | None:
        """Upper bound on `slab_bytes`, from the upper bounds of the parts; None if unknown."""
        if self.slab_bytes is None:
            return None
        return self.slab_bytes + sum((part.high_slab_bytes or 0.0) - (part.slab_bytes or 0.0) for part in self.parts)

    def slab_bounds(self, own_port: bool = False) -> Amount | None:
        """Bounds on the slab bytes; None if unknown.

        With `own_port` the lower bound is 0, because sockets may share a local port and its bind buckets.
        """
        if self.slab_bytes is None or self.high_slab_bytes is None:
            return None
        if self.missing:
            return Amount(self.slab_bytes, inf)
        return Amount(0 if own_port else self.slab_bytes, self.high_slab_bytes)

    @property
    def object_bounds(self) -> Amount | None:
        """Bounds on `object_bytes`; None if unknown."""
        amount = self.object_bytes
        return None if amount is None else Amount(amount, inf if self.missing else amount)

    @property
    def computed(self) -> bool:
        """Whether the sizes of at least one object in `parts` were computed by SLUB's rules."""
        return any(part.computed for part in self.parts)

    @property
    def complete(self) -> bool:
        """Whether the size of every object is known."""
        return not self.missing


class CostBySide(NamedTuple):
    """Cost of a server's accepted socket, and cost of an outgoing socket, which owns its local port."""

    accepted: SocketCost
    outgoing: SocketCost


class ConnectionCost(NamedTuple):
    """Bytes per connection in one accounting mode: the cost of the next socket, and the present average."""

    by_family: Mapping[Family, CostBySide]
    idle_bytes_per_socket: float | None
    buffer_bytes_per_socket: float | None
    now_bytes: float | None
    """Average slab bytes per socket, idle slab included."""
    now_is_at_most: bool
    """Whether `now_bytes` and `idle_bytes_per_socket` are upper bounds, because there may be more sockets than are
    known.
    """
    now_unknown_because: str | None
    now_slices: tuple[Slice, ...]
    """Slices that add up to `now_bytes`; empty if `now_bytes` is unknown."""

    @property
    def now_bounds(self) -> Amount | None:
        """Bounds on `now_bytes`; None if `now_bytes` is unknown.

        If the size of an object is unknown, only the lower bound is known.
        """
        amount, is_complete = self.now_bytes, self.by_family["mix"].accepted.complete
        if amount is None:
            return None
        return Amount(0.0 if self.now_is_at_most else amount, amount if is_complete else inf)


class AttachedObjects(NamedTuple):
    """Objects of one kind that a socket has besides its own: they depend on its program, its rules and its traffic."""

    name: AttachedName
    counted: str
    """The things that `number` counts, in the plural."""
    number: Amount | None
    bytes: Amount | None
    """Bytes of all of them on the machine: shares of full slabs; of buffers, memory of any kind."""
    bytes_per_socket: Amount | None
    """`bytes` ÷ the machine's sockets; None if there is no average over the sockets."""
    unknown_because: str | None
    """Reason why `bytes` is None; None if it is known."""
    note: str

    @property
    def may_exist(self) -> bool:
        """Whether the machine has such objects, or may have some."""
        return self.bytes is None or self.bytes.high > 0


class Attached(NamedTuple):
    """Objects that sockets have besides their own, and the present average with them."""

    kinds: tuple[AttachedObjects, ...]
    now_bytes: Amount | None
    """Average bytes per socket: `now_bytes` of the full cost and `bytes_per_socket` of each kind; None if there is no
    average. The upper bound is infinite if a kind is unknown."""


class SocketCounts(NamedTuple):
    """Socket counters.

    The counters `inuse` and `inuse6` cover one network namespace, `time_wait` covers `time_wait_scope`, and all other
    counters cover the machine.
    """

    inuse: int | None
    inuse6: int | None
    orphans: int | None
    time_wait: int | None
    time_wait_scope: CountScope
    time_wait_machine_max: int | None
    allocated: int | None
    allocated_per_s: float | None
    buffer_pages: int | None
    buffer_bytes: int | None
    buffer_error_bytes: int | None
    buffer_error_pages: int | None
    """The same error in the unit of `buffer_pages`; None if unknown."""
    tcp_mem_pages: tuple[int, int, int] | None
    tcp_mem_unit_bytes: int | None

    @property
    def buffers_within_error(self) -> bool:
        """Whether the buffer counter's error is as large as its value, so that only an upper bound is known."""
        if self.buffer_bytes is None or not self.buffer_error_bytes:
            return False
        return self.buffer_bytes <= self.buffer_error_bytes

    @property
    def buffer_bounds(self) -> Amount | None:
        """`buffer_bytes`, or only an upper bound if the counter's error is as large as its value; None if unknown."""
        if self.buffer_bytes is None:
            return None
        if self.buffers_within_error:
            return Amount(0, self.buffer_bytes + (self.buffer_error_bytes or 0))
        return Amount(self.buffer_bytes, self.buffer_bytes)

    @property
    def apart(self) -> int | None:
        """The least number of allocated sockets that are neither in use here nor orphans; None if unknown.

        Such sockets are in other network namespaces, or in no hash: never connected, or kept after their close.
        """
        inuse = self.inuse_of_both
        if self.allocated is None or inuse is None or self.orphans is None:
            return None
        return max(0, self.allocated - inuse - self.orphans)

    @property
    def inuse_of_both(self) -> int | None:
        """Sockets in use, IPv4 and IPv6 together; a kernel without IPv6 counts IPv4 only. None if unknown."""
        known = [count for count in (self.inuse, self.inuse6) if count is not None]
        return sum(known) if known else None


class StateCost(NamedTuple):
    """Cost of one socket in a TCP state, and the number of such sockets."""

    state: str
    holds: str
    """Objects of a whole socket that remain in this state, in words."""
    accepted: SocketCost | None
    """Cost of a server's socket; None if only sockets that own their port are in this state."""
    outgoing: SocketCost | None
    """Cost of a socket that owns its local port; None if only a server's sockets are in this state."""
    unread_fin_parts: tuple[ObjectCost, ...] | None
    """Objects of a received FIN until the program reads it; None in states without an unread FIN, or if unknown."""
    count: int | None  # type: ignore[assignment]  # tuple.count gives way
    count_is_upper_bound: bool
    """Whether `count` is an upper bound."""
    scope: CountScope | None
    """The scope of `count`; None if there is no count."""
    note: str
    """Other sockets that `count` includes, or the reason that there is no count."""

    @property
    def unread_fin_bytes(self) -> float | None:
        """Slab bytes of an unread FIN; None in states without one, or if unknown."""
        parts = self.unread_fin_parts
        return None if parts is None else sum(part.slab_bytes or 0.0 for part in parts)


LimitState = Literal["ok", "near", "pressure", "full", "unknown"]
"""How near the use of a limit is: `near` above the first threshold, `full` above the second.

`pressure`: the kernel says that TCP's buffers are above the second value of tcp_mem.
`unknown`: the use is unknown, or the error of its counter is larger than the distance to a threshold.
"""


class Threshold(NamedTuple):
    """The shares of a limit, in per cent, from which its state is `near` and `full`."""

    warn: float
    critical: float


class Limit(NamedTuple):
    """A limit on sockets, its current use and the headroom below it, in one accounting mode."""

    name: str
    concerns: Literal["every socket", "outgoing", "TIME_WAIT", "orphans", "tracked flows"]
    scope: Literal["machine", "here", "process", "cgroup"]
    unit: Literal["bytes", "pages", "files", "sockets", "ports", "flows", "connections"]
    used: int | None
    used_error: int | None
    """Error of `used` in either direction; None if unknown."""
    maximum: int | None
    headroom_sockets: int | None
    """Number of sockets of the accounting mode that still fit; None if unknown, or if such sockets do not use it."""
    threshold: Threshold | None
    """None if the limit has no state."""
    state: LimitState
    then: str
    """The kernel's action when the limit is reached."""
    note: str
    """Assumption behind `headroom_sockets`, or the reason that it or the use is unknown; may be empty."""

    @property
    def label(self) -> str:
        """The name as text."""
        return LIMIT_LABELS.get(self.name, self.name)

    @property
    def ratio(self) -> float | None:
        """The use ÷ the maximum; None if either is unknown or the maximum is 0."""
        return self.used / self.maximum if self.used is not None and self.maximum else None


LIMIT_LABELS = {"file_max": "file-max", "listen_queues": "listen queues"}
"""Texts of those limits whose name is not how the kernel spells it."""


class Limits(NamedTuple):
    """Every limit on sockets, the nearest first."""

    rows: tuple[Limit, ...]

    @property
    def first(self) -> Limit | None:
        """The limit with the least headroom among those that new sockets meet; None if no headroom is known."""
        return min(
            (limit for limit in self.rows if limit.headroom_sockets is not None and limit.concerns != "orphans"),
            key=lambda limit: limit.headroom_sockets or 0,
            default=None,
        )

    @property
    def alarms(self) -> tuple[Limit, ...]:
        """The limits whose state is an alarm, the worst first."""
        return tuple(
            sorted(
                (limit for limit in self.rows if limit.state in ALARM_STATES),
                key=lambda limit: (-ALARM_STATES.index(limit.state), -(limit.ratio or 0.0)),
            )
        )


ALARM_STATES: tuple[LimitState, ...] = ("near", "pressure", "full")
"""The states that are an alarm, the least severe first."""


class Event(NamedTuple):
    """A counter of the kernel that moves when a limit was met or a connection was cut off."""

    name: str
    unit: EventUnit
    limit: str | None
    """Name of the limit that causes the event; None if it is none of `Limits`."""
    is_routine: bool
    """Whether ordinary traffic moves the counter too, so that its growth is no alarm."""
    total: int | None
    """The counter: since the kernel started or, in a later network namespace, since the namespace was made.

    None if its file was not read, or if the kernel has no such counter.
    """
    per_s: float | None
    """Growth per second between the last two readings."""
    grown: int | None
    """Growth within the last minute; in a report, since the reading before. None if unknown."""
    since_mark: int | None
    """Growth since the user's mark; None without a mark, or if unknown."""

    @property
    def is_alarm(self) -> bool:
        """Whether the counter has grown just now, and not by ordinary traffic."""
        return bool(self.grown) and not self.is_routine


class NodeHeadroom(NamedTuple):
    """The headroom of one node's own memory; no limit, because a CPU whose node is full uses other nodes' memory."""

    without_reclaim: int
    with_reclaim: int | None
    local: int | None
    """New sockets on the whole machine until the node has no spare page left, if they spread as the present ones do."""


class Headroom(NamedTuple):
    """How many more sockets fit into the machine's memory, in one accounting mode."""

    mode: AccountingMode
    with_reclaim: int | None
    """Sockets that fit if the kernel gives up page cache and other reclaimable memory; None if unknown."""
    without_reclaim_low: int | None
    """Sockets that fit into free memory above the low watermarks if most slabs must be of the smallest order."""
    without_reclaim_high: int | None
    """Sockets that fit into free memory above the low watermarks with slabs of the preferred order."""
    bytes_per_socket: float | None
    late_bytes: int | None
    """Part of the free memory that the kernel has not initialised yet, and that no zone counts; None if unknown."""
    nodes: Mapping[int, NodeHeadroom]
    reclaims_node_first: bool
    """Whether vm.zone_reclaim_mode makes a node reclaim its own memory before it uses other nodes' free memory."""
    unknown_because: str | None
    is_at_most: bool
    """Whether all numbers of sockets are upper bounds, because a part of a socket is unknown."""
    with_reclaim_bytes: int | None = None
    """Memory that `with_reclaim` sockets fit into; None if unknown."""

    @property
    def sockets(self) -> int | None:
        """The headroom: with reclaim; None if unknown."""
        return self.with_reclaim


class SlabMemory(NamedTuple):
    """The machine's slab memory by owner: own + share + rest + unexplained = `total_bytes`. None if unknown."""

    total_bytes: int | None
    """Slab of /proc/meminfo."""
    own_bytes: int | None
    """All slabs of the caches that only TCP uses."""
    idle_bytes: int | None
    """Free objects, each with its share of a slab, in the caches of socks, mini-sockets and request socks."""
    idle_error_bytes: int | None
    """Upper bound on the bytes of free objects that are not in `idle_bytes`.

    These objects are cached per CPU and count as active.
    """
    share_bytes: int | None
    """TCP's share of the caches that others use too."""
    share_low_bytes: int | None
    share_high_bytes: int | None
    rest_bytes: int | None
    """Size of all slabinfo rows − `own_bytes` − `share_bytes`."""
    unexplained_bytes: int | None
    """The field Slab of /proc/meminfo − the size of all slabinfo rows."""


class LiveObjects(NamedTuple):
    """Bytes of active objects in the slabinfo rows of a socket's objects, and the number of sockets.

    On a running kernel the number of sockets is read right after slabinfo.
    """

    sockets: int
    bytes: float
    """Sum over the rows of active objects × slab share of one object."""


class GrowthSinceMark(NamedTuple):
    """Growth since a mark that the user set: sockets, live objects, and the bytes of live objects per new socket."""

    elapsed_s: float | None
    sockets: int | None
    live_bytes: float | None
    bytes_per_socket: float | None
    unknown_because: str | None


class Slope(NamedTuple):
    """Change per second of a figure over several samples, and the standard error of the change."""

    per_s: float
    error_per_s: float

    @property
    def is_clear(self) -> bool:
        """Whether the change is more than two standard errors."""
        return abs(self.per_s) > 2 * self.error_per_s


class Growth(NamedTuple):
    """Growth over the last minutes; a slope is None if there are too few samples, or if the figure is unknown."""

    over_s: float
    sockets: Slope | None
    """Whole sockets of the machine or, in TIME_WAIT accounting, mini-sockets."""
    bytes: Slope | None
    """The kernel memory that TCP holds."""
    limit: str | None
    """Name of the limit that is reached first if its use keeps growing; None if no use clearly grows."""
    limit_in_s: float | None
    """Time until then."""


class LabUse(NamedTuple):
    """The lab result that the user gave, and whether accounting uses it."""

    path: str
    unused_because: str | None
    """Reason that accounting does not use the lab result; None if accounting uses it."""


class MemoryPart(NamedTuple):
    """A part of the kernel memory that TCP holds: one cache, TCP's share of one, or the socket buffers."""

    name: str
    row: str | None
    """Name of the slabinfo row that counts the part; None for socket buffers."""
    bytes: int
    low_bytes: int
    high_bytes: int
    estimated: bool
    count: int | None = None  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects that the bytes were computed from; None if they were not computed from a number."""

    @property
    def text(self) -> str:
        """Name of the part, followed by the number of objects if it is known."""
        return self.name if self.count is None else f"{self.name} × {self.count:,}".replace(",", " ")


class TcpMemory(NamedTuple):
    """The kernel memory that TCP holds on the whole machine."""

    bytes: int | None
    low_bytes: int | None
    high_bytes: int | None
    parts: tuple[MemoryPart, ...]
    missing: tuple[str, ...]
    """Parts whose size is unknown; if there are any, only `low_bytes` is certain."""


class ZoneMemory(NamedTuple):
    """The free memory of one zone, and the TCP slabs and sockets that fit into it."""

    zone: str
    managed_pages: int | None
    free_pages: int | None
    min_pages: int | None
    low_pages: int | None
    high_pages: int | None
    free_area: tuple[int, ...] | None
    migrate_types: Mapping[str, tuple[int, ...]] | None
    capped: Mapping[str, tuple[int, ...]] | None
    """Orders whose free blocks the kernel stopped counting, by migrate type; None if the types are unknown."""
    pageblocks: Mapping[str, int] | None
    unusable_index: tuple[float, ...] | None
    tcp_slabs_free: int | None
    tcp_slabs_free_without_stealing: int | None


class NodeMemory(NamedTuple):
    """One NUMA node."""

    node: int
    cpus: int | None
    cpu_list: str | None
    memory_bytes: int | None
    zones: tuple[ZoneMemory, ...]

    @property
    def free_pages(self) -> int | None:
        """Free pages in all zones of the node; None if unknown for any zone."""
        return _sum_of_known([zone.free_pages for zone in self.zones])

    @property
    def tcp_slabs_free(self) -> int | None:
        """Number of slabs of the TCP cache that fit into the node's free blocks; None if unknown for any zone.

        Only blocks of a migrate type that slabs can use are counted.
        """
        return _sum_of_known([zone.tcp_slabs_free for zone in self.zones])


def _sum_of_known(amounts: list[int | None]) -> int | None:
    """The sum of the amounts; None if any amount is unknown, or if there are none."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


class UnseenObject(NamedTuple):
    """An object of the catalogue whose cache no file shows, and why, as a clause."""

    presence: Presence
    reason: str


class SourceHealth(NamedTuple):
    """State, age and read time of a source's last reading, and the interval between its readings."""

    name: str
    state: str
    reason: str | None
    age_s: float | None
    read_us: int | None
    every_s: float | None

    def staleness(self, interval_s: float) -> str:
        """The age of a source's figures, such as `≤ 5 s old`; empty if no figure can be older than `interval_s`.

        The text shows the source's own interval as an upper bound, because an exact age would change with every sample.
        If the source's last reading is overdue, the text shows the exact age.
        """
        if self.age_s is None or self.every_s is None:
            return ""
        if self.age_s > 1.5 * max(self.every_s, interval_s):
            return f"{self.age_s:.0f} s old"
        return f"≤ {self.every_s:.0f} s old" if self.every_s > 1.5 * interval_s else ""


class HostFacts(NamedTuple):
    """The machine: its name, kernel, page size, CPUs and memory."""

    name: str | None
    place: str | None
    """Folder or archive that served as the root of the files; None for `/`."""
    net_namespace: str | None
    """Folder that shows the network namespace, such as `/host/proc/1/net`; None for tcptop's own namespace."""
    kernel: str | None
    """Kernel release, such as `6.1.0-56-amd64`."""
    page_size_bytes: int | None
    cpus: int | None
    memory_bytes: int | None
    memory_available_bytes: int | None
    cpu_busy_percent: float | None


class Ledger(NamedTuple):
    """Every figure computed from one Snapshot."""

    taken_at_unix_s: float | None
    live: bool
    host: HostFacts
    sockets: SocketCounts
    caches: tuple[CacheLine, ...]
    costs: Mapping[AccountingMode, ConnectionCost]
    attached: Attached
    """Objects that are in no figure of `costs`."""
    tcp_memory: TcpMemory
    nodes: tuple[NodeMemory, ...]
    tcp_slab_order: int | None
    """Order of the slabs of the TCP cache, or of the TCPv6 cache if most sockets are IPv6."""
    sources: Mapping[str, SourceHealth]
    states: tuple[StateCost, ...]
    headroom: Mapping[AccountingMode, Headroom]
    limits: Mapping[AccountingMode, Limits]
    events: tuple[Event, ...]
    """Every event of `tcptop.kernel.events`, in the same order."""
    slab_memory: SlabMemory
    structs: Mapping[str, StructLayout]
    """The layouts of the catalogue's structs by name; empty if BTF was not read."""
    unseen_objects: Mapping[str, UnseenObject]
    """The catalogue's objects whose cache no file shows, by struct."""
    live_objects: LiveObjects | None
    lab: LabUse | None
    """The user's lab result; None if the user gave no lab result."""
    cgroup: CgroupMemory | None = None
    """The memory cgroup that the user named; None if the user named none."""
    symbols: frozenset[str] | None = None
    """Names of renamed kernel functions that /proc/kallsyms has; None if that file was not read."""

    def cache(self, name: str | None) -> CacheLine | None:
        """The cache of a given name, the one with more slabs if two rows share the name; None if there is none."""
        lines = [line for line in self.caches if line.name == name]
        return max(lines, key=lambda line: line.slabs or 0, default=None)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's slab bytes on a node; None if no cache with bytes of TCP is counted per node."""
        caches = [cache for cache in self.caches if cache.tcp_bytes is not None]
        known = [cache.tcp_bytes_on(node) for cache in caches if cache.tcp_bytes] or [0.0 for _ in caches]
        return sum(filter(None, known)) if any(amount is not None for amount in known) else None
