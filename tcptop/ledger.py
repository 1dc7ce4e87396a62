"""The figures computed from one Snapshot, as named tuples; the screen and the reports show nothing else.

None means unknown, never 0. An object's share of a slab is a fraction of a byte count; it is rounded to hundredths in
accounting, so that every total equals the sum of the parts shown beside it.
"""

from collections.abc import Mapping
from math import inf
from typing import Literal, NamedTuple

from tcptop.snapshot import StructLayout

AccountingMode = Literal["full", "time_wait"]
Family = Literal["ipv4", "ipv6", "mix"]
CountScope = Literal["machine", "here", "machine or here"]
"""Scope of a count: the whole machine, or one network namespace (`here`); on some releases either is possible."""


class Amount(NamedTuple):
    """An amount known within bounds. It is exact if they are equal, at most `high` if `low` is 0."""

    low: float
    high: float
    """Infinite if parts of the amount are missing, so that it is at least `low`."""

    def times(self, other: "Amount") -> "Amount":
        """The product; the bounds may have either sign."""
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


class CacheLine(NamedTuple):
    """A row of /proc/slabinfo, or a cache of the catalogue that is merged into the row of another name."""

    name: str
    row: str | None
    """The slabinfo row that counts its objects; None if the cache is merged and slabinfo is not readable."""
    aliases: tuple[str, ...]
    """The other names that share the row."""
    objects_of: tuple[str, ...]
    """The structs of the catalogue that the row counts."""
    in_catalogue: bool
    shared: bool
    """Whether the row also counts objects that are not TCP's."""
    object_bytes: int | None
    """Step from one object to the next in a slab: slabinfo's objsize."""
    object_size_bytes: int | None
    """The struct alone, without padding."""
    objects_per_slab: int | None
    pages_per_slab: int | None
    order: int | None
    slab_share_bytes: float | None
    """An object's share of a full slab: page size × pages per slab ÷ objects per slab."""
    active_objects: int | None
    use: float | None
    """Active objects ÷ objects, 0 to 1, both from one reading of slabinfo."""
    objects: int | None
    slabs: int | None
    bytes: int | None
    """Size of all its slabs, corrected for order fallback; None also if the row is counted in another line."""
    active_per_s: float | None
    nodes: Mapping[int, NodeCount] | None
    max_in_use: int | None = None
    """Upper bound on objects in use, as new as `bytes`: active objects, or all objects if only those were read anew."""
    computed: bool = False
    """Whether sizes could not be read and follow from the struct's size by SLUB's rules."""
    idle_error_objects: int | None = None
    """Upper bound on active objects that are really free, cached per CPU."""
    tcp_bytes: int | None = None
    """TCP's part of `bytes`: all of its own caches, its sockets' share of the others; None if unknown."""

    def share_on(self, node: int) -> float | None:
        """The node's part of the machine's objects, 0 to 1; None if unknown."""
        if self.nodes is None or not self.objects:
            return None
        here = self.nodes.get(node)
        objects = here.objects if here is not None else 0
        return None if objects is None else min(1.0, objects / self.objects)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's bytes on a node, if they are spread over the nodes as the cache's objects are; None if unknown."""
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
    """Objects per socket; a fraction if sockets share them or only some have them."""
    object_bytes: float
    slab_bytes: float | None
    high_slab_bytes: float | None
    """Upper bound; equal to `slab_bytes` unless the size is known only within bounds."""
    estimated: bool
    computed: bool = False
    """Whether its sizes follow from the struct's size by SLUB's rules."""


class Slice(NamedTuple):
    """A segment of a bar: the costs with the same label, added up."""

    label: str
    bytes: float


class SocketCost(NamedTuple):
    """The bytes that one more socket takes, in a given state and on a given side of the connection."""

    object_bytes: float | None
    slab_bytes: float | None
    missing: tuple[str, ...]
    """The objects whose size is unknown; if there are any, both sums are lower bounds."""
    parts: tuple[ObjectCost, ...]
    slices: tuple[Slice, ...]

    @property
    def high_slab_bytes(self) -> float | None:
        """Upper bound on `slab_bytes`, from those of the parts; None if unknown."""
        if self.slab_bytes is None:
            return None
        return round(
            self.slab_bytes + sum((part.high_slab_bytes or 0.0) - (part.slab_bytes or 0.0) for part in self.parts), 2
        )

    def slab_bounds(self, own_port: bool = False) -> Amount | None:
        """Bounds on the slab bytes, None if unknown; 0 is the lower one for a local port that others may share."""
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
        """Whether any part's sizes follow from its struct's size by SLUB's rules."""
        return any(part.computed for part in self.parts)

    @property
    def complete(self) -> bool:
        """Whether the size of every object is known."""
        return not self.missing


class CostBySide(NamedTuple):
    """Cost of a socket on each side of a connection: a server's accepted one, and one that owns its local port."""

    accepted: SocketCost
    outgoing: SocketCost


class ConnectionCost(NamedTuple):
    """Bytes per connection in one accounting mode: the cost of the next socket, and the present average."""

    by_family: Mapping[Family, CostBySide]
    idle_bytes_per_socket: float | None
    buffer_bytes_per_socket: float | None
    now_bytes: float | None
    """Average slab bytes per socket, idle slab included."""
    now_unknown_because: str | None
    now_slices: tuple[Slice, ...]
    """Slices that add up to `now_bytes`; empty if that is unknown."""


class SocketCounts(NamedTuple):
    """Socket counters.

    The scope of `inuse` and `inuse6` is one network namespace, that of `time_wait` is `time_wait_scope`, that of the
    others the machine.
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
    tcp_mem_pages: tuple[int, int, int] | None
    tcp_mem_unit_bytes: int | None

    @property
    def buffers_within_error(self) -> bool:
        """Whether the error of the counter is as large as what it shows, so that only an upper bound is known."""
        if self.buffer_bytes is None or not self.buffer_error_bytes:
            return False
        return self.buffer_bytes <= self.buffer_error_bytes

    @property
    def buffer_bounds(self) -> Amount | None:
        """`buffer_bytes`, or an upper bound if it is smaller than its error; None if unknown."""
        if self.buffer_bytes is None:
            return None
        if self.buffers_within_error:
            return Amount(0, self.buffer_bytes + (self.buffer_error_bytes or 0))
        return Amount(self.buffer_bytes, self.buffer_bytes)

    @property
    def inuse_of_both(self) -> int | None:
        """Sockets in use of both families; a kernel without IPv6 counts one only. None if unknown."""
        known = [count for count in (self.inuse, self.inuse6) if count is not None]
        return sum(known) if known else None


class StateCost(NamedTuple):
    """Cost of one socket in a TCP state, and the number of such sockets."""

    state: str
    holds: str
    """In words: which objects of a whole socket remain."""
    accepted: SocketCost | None
    """A server's socket; None if only sockets that own their port are in this state."""
    outgoing: SocketCost | None
    """A socket that owns its local port; None if only a server's sockets are in this state."""
    unread_fin_bytes: float | None
    """Bytes of a queued FIN until the program reads it; None in states without one, or if unknown."""
    count: int | None  # type: ignore[assignment]  # tuple.count gives way
    count_is_upper_bound: bool
    """Whether `count` is an upper bound."""
    scope: CountScope | None
    """The scope of `count`; None if there is no count."""
    note: str
    """Other sockets in the count, or why there is no count."""


class Limit(NamedTuple):
    """A limit on sockets, its current use and the headroom below it."""

    name: str
    concerns: Literal["every socket", "outgoing", "TIME_WAIT", "orphans", "tracked flows"]
    used: int | None
    maximum: int | None
    unit: Literal["sockets", "bytes", "files", "ports", "flows"]
    headroom_sockets: int | None
    """Sockets that still fit; None if unknown."""
    scope: Literal["machine", "here", "node"]
    note: str
    """The assumption behind `headroom_sockets`, or why it is unknown."""


class Limits(NamedTuple):
    """Every known limit on sockets, and the nearest one."""

    rows: tuple[Limit, ...]

    @property
    def first(self) -> Limit | None:
        """The limit on every socket with the least headroom; None if no headroom is known."""
        return min(
            (limit for limit in self.rows if limit.concerns == "every socket" and limit.headroom_sockets is not None),
            key=lambda limit: limit.headroom_sockets or 0,
            default=None,
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Limits on every socket about which nothing is known: any of them may be nearer than `first`."""
        unknown = [
            limit
            for limit in self.rows
            if limit.concerns == "every socket" and limit.headroom_sockets is None and limit.maximum is None
        ]
        nodes = [limit.name for limit in unknown if limit.scope == "node"]
        return (
            *(nodes if len(nodes) <= 1 else ("memory of the nodes",)),
            *(limit.name for limit in unknown if limit.scope != "node"),
        )


class SlabMemory(NamedTuple):
    """The machine's slab memory by owner: `total_bytes` = own + share + rest + unexplained. None if unknown."""

    total_bytes: int | None
    """Slab of /proc/meminfo."""
    own_bytes: int | None
    """All slabs of the caches that only TCP uses."""
    idle_bytes: int | None
    """Free objects and slab ends in the caches of socks, mini-sockets and request socks."""
    idle_error_bytes: int | None
    """Upper bound on idle memory beyond `idle_bytes`: free objects cached per CPU, which count as active."""
    share_bytes: int | None
    """TCP's share of the caches that others use too."""
    share_low_bytes: int | None
    share_high_bytes: int | None
    rest_bytes: int | None
    """All other slabinfo rows."""
    unexplained_bytes: int | None
    """Slab of /proc/meminfo less the sum of all slabinfo rows."""


class LiveObjects(NamedTuple):
    """Active objects in all rows that count objects of a socket, and the number of sockets, read at the same time."""

    sockets: int
    bytes: float
    """Active objects × their share of a slab."""


class GrowthSinceMark(NamedTuple):
    """Growth since a mark that the user set: sockets, live objects, and the bytes of live objects per new socket."""

    elapsed_s: float | None
    sockets: int | None
    live_bytes: float | None
    bytes_per_socket: float | None
    unknown_because: str | None


class LabUse(NamedTuple):
    """The lab result that the user gave, and whether accounting uses it."""

    path: str
    unused_because: str | None
    """Why it is not used; None if it is used."""


class MemoryPart(NamedTuple):
    """A part of the kernel memory that TCP holds: one cache, TCP's share of one, or the socket buffers."""

    name: str
    row: str | None
    """The slabinfo row that counts it; None for socket buffers."""
    bytes: int
    low_bytes: int
    high_bytes: int
    estimated: bool
    count: int | None = None  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects, if the bytes were computed from one."""

    @property
    def text(self) -> str:
        """The name with the number of objects."""
        return self.name if self.count is None else f"{self.name} × {self.count:,}".replace(",", " ")


class TcpMemory(NamedTuple):
    """The kernel memory that TCP holds on the whole machine."""

    bytes: int | None
    low_bytes: int | None
    high_bytes: int | None
    unexplained_bytes: int | None
    """Slab of /proc/meminfo less the sum of all slabinfo rows."""
    parts: tuple[MemoryPart, ...]
    missing: tuple[str, ...]
    """The parts whose size is unknown; if there are any, only `low_bytes` is certain."""


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
    """For each migrate type, the orders where the kernel stopped counting; None if the types are unknown."""
    pageblocks: Mapping[str, int] | None
    unusable_index: tuple[float, ...] | None
    tcp_slabs_free: int | None
    tcp_slabs_free_without_stealing: int | None
    headroom_sockets: int | None
    headroom_sockets_without_stealing: int | None


class NodeMemory(NamedTuple):
    """One NUMA node."""

    node: int
    cpus: int | None
    cpu_list: str | None
    memory_bytes: int | None
    zones: tuple[ZoneMemory, ...]

    @property
    def free_pages(self) -> int | None:
        """Free pages of all its zones; None if unknown for any zone."""
        return _sum_of_known([zone.free_pages for zone in self.zones])

    @property
    def tcp_slabs_free(self) -> int | None:
        """Slabs of the TCP cache that fit into its free blocks of every migrate type that they can come from."""
        return _sum_of_known([zone.tcp_slabs_free for zone in self.zones])

    @property
    def headroom_sockets(self) -> int | None:
        """Whole sockets that fit into the node's free blocks; None if unknown for any zone."""
        return _sum_of_known([zone.headroom_sockets for zone in self.zones])

    @property
    def headroom_sockets_without_stealing(self) -> int | None:
        """Whole sockets that fit into Unmovable blocks alone; None if unknown for any zone."""
        return _sum_of_known([zone.headroom_sockets_without_stealing for zone in self.zones])


def _sum_of_known(amounts: list[int | None]) -> int | None:
    """The sum; None if any amount is unknown, or there are none."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


class SourceHealth(NamedTuple):
    """State, age and cost of a source's last reading, and its pace."""

    name: str
    state: str
    reason: str | None
    age_s: float | None
    read_us: int | None
    every_s: float | None

    def staleness(self, interval_s: float) -> str:
        """The age of its figures, as `≤ 5 s old`, if they may be older than the interval; otherwise empty.

        The bound is the source's pace: a running age would change with every sample.
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
    """The root that the files were read below; None for `/`."""
    net_namespace: str | None
    """The network namespace that /proc/net shows; None for the reader's own."""
    kernel: str | None
    """The release, as `6.1.0-56-amd64`."""
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
    tcp_memory: TcpMemory
    nodes: tuple[NodeMemory, ...]
    tcp_slab_order: int | None
    """The order of the TCP cache's slabs; that of TCPv6 if most sockets are IPv6."""
    sources: Mapping[str, SourceHealth]
    states: tuple[StateCost, ...]
    limits: Limits
    slab_memory: SlabMemory
    structs: Mapping[str, StructLayout]
    """The layouts of the catalogue's structs by name; empty if BTF was not read."""
    live_objects: LiveObjects | None
    lab: LabUse | None
    """None if the user gave no lab result."""

    def cache(self, name: str | None) -> CacheLine | None:
        """The cache with a name, the larger one if two rows share the name; None if there is none."""
        lines = [line for line in self.caches if line.name == name]
        return max(lines, key=lambda line: line.slabs or 0, default=None)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's slab bytes on a node; None if no cache is counted per node."""
        known = [cache.tcp_bytes_on(node) for cache in self.caches if cache.tcp_bytes is not None]
        return sum(filter(None, known)) if any(amount is not None for amount in known) else None
