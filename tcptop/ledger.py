"""What the figures of one Snapshot are, computed once: frozen named tuples that the screen and the reports show.

None is unknown, never 0. Bytes of a share of a slab are fractional; they are rounded to hundredths here, so that every
sum is the sum of the parts shown beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tcptop.snapshot import StructLayout

AccountingMode = Literal["full", "time_wait"]
Family = Literal["ipv4", "ipv6", "mix"]
CountScope = Literal["machine", "here", "machine or here"]
"""Whose sockets a count counts: all, or those of one network namespace, where the release tells."""


class NodeCount(NamedTuple):
    """What one node holds of a cache."""

    objects: int | None
    slabs: int | None
    bytes: int | None
    objects_per_s: float | None


class CacheLine(NamedTuple):
    """A row of slabinfo, or a cache of the catalogue that is merged into another's row."""

    name: str
    row: str | None
    """The slabinfo row that counts it; None where slabinfo cannot be read and the cache is merged."""
    aliases: tuple[str, ...]
    """The other names that share the row."""
    objects_of: tuple[str, ...]
    """The catalogue's structs that live in the row."""
    in_catalogue: bool
    shared: bool
    """Whether others than TCP use the row."""
    object_bytes: int | None
    object_size_bytes: int | None
    objects_per_slab: int | None
    pages_per_slab: int | None
    order: int | None
    slab_share_bytes: float | None
    """An object's share of a full slab: page size × pages per slab ÷ objects per slab."""
    active_objects: int | None
    use: float | None
    """The share of objects that are in use, 0 to 1, both from one reading of slabinfo."""
    objects: int | None
    slabs: int | None
    bytes: int | None
    """What the slabs hold, order fallback repaired; None too where another line counts the same row."""
    active_per_s: float | None
    nodes: Mapping[int, NodeCount] | None
    max_in_use: int | None = None
    """No more objects are in use: the active ones, or all where a newer reading tells only those. As new as `bytes`."""
    computed: bool = False
    """Whether the sizes are computed from the struct's by SLUB's rules, since none could be read."""
    idle_error_objects: int | None = None
    """So many of the active objects may be free ones that lie on CPUs."""
    tcp_bytes: int | None = None
    """What of `bytes` is TCP's: all of its own caches, its sockets' share of others; None where that is not known."""

    def share_on(self, node: int) -> float | None:
        """The share of the machine's objects that a node holds, 0 to 1."""
        if self.nodes is None or not self.objects:
            return None
        here = self.nodes.get(node)
        objects = here.objects if here is not None else 0
        return None if objects is None else min(1.0, objects / self.objects)

    def tcp_bytes_on(self, node: int) -> float | None:
        """What of the cache is TCP's on a node: the machine's by where the cache's objects are."""
        if self.tcp_bytes is None:
            return None
        if not self.objects:
            return 0.0
        share = self.share_on(node)
        return None if share is None else self.tcp_bytes * share


class ObjectCost(NamedTuple):
    """One kind of object in a figure."""

    object: str
    label: str
    cache: str
    count: float  # type: ignore[assignment]  # tuple.count gives way
    object_bytes: float
    slab_bytes: float | None
    high_slab_bytes: float | None
    """The most it can be, where it is estimated."""
    estimated: bool
    computed: bool = False
    """Whether its sizes are computed from the struct's by SLUB's rules."""


class Slice(NamedTuple):
    """A labelled share of a figure, for a bar: parts of one label together."""

    label: str
    bytes: float


class SocketCost(NamedTuple):
    """What one more socket of one side costs."""

    object_bytes: float | None
    slab_bytes: float | None
    missing: tuple[str, ...]
    """The parts that are not known; with any, both sums are lower bounds."""
    parts: tuple[ObjectCost, ...]
    slices: tuple[Slice, ...]

    @property
    def high_slab_bytes(self) -> float | None:
        """The most that the parts can be, where some are estimated."""
        if self.slab_bytes is None:
            return None
        return round(
            self.slab_bytes + sum((part.high_slab_bytes or 0.0) - (part.slab_bytes or 0.0) for part in self.parts), 2
        )

    @property
    def is_range(self) -> bool:
        """Whether it is at least `slab_bytes` and may be up to `high_slab_bytes`."""
        return self.slab_bytes is not None and round(self.high_slab_bytes or 0.0) > round(self.slab_bytes)

    @property
    def computed(self) -> bool:
        """Whether sizes in it are computed from those of structs."""
        return any(part.computed for part in self.parts)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


class CostBySide(NamedTuple):
    """Both sides of a connection: a server's socket, and one that owns its local port."""

    accepted: SocketCost
    outgoing: SocketCost


class ConnectionCost(NamedTuple):
    """Bytes per connection in one accounting: what the next socket takes, and what sockets cost on average now."""

    by_family: Mapping[Family, CostBySide]
    idle_bytes_per_socket: float | None
    buffer_bytes_per_socket: float | None
    now_bytes: float | None
    now_unknown_because: str | None
    now_slices: tuple[Slice, ...]
    """What `now_bytes` is the sum of, idle slab among it; empty where that is unknown."""


class SocketCounts(NamedTuple):
    """Sockets, with the scope of each count in its name or beside it."""

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
        """Whether all that is charged could be the counter's own error: then it is known as an upper bound only."""
        if self.buffer_bytes is None or not self.buffer_error_bytes:
            return False
        return self.buffer_bytes <= self.buffer_error_bytes

    @property
    def inuse_of_both(self) -> int | None:
        """In use of both families; a kernel without IPv6 tells of one only."""
        known = [each for each in (self.inuse, self.inuse6) if each is not None]
        return sum(known) if known else None


class StateCost(NamedTuple):
    """What one socket in a state costs, and how many there are."""

    state: str
    holds: str
    """In words, what of a whole socket is there."""
    accepted: SocketCost | None
    """A server's socket; None for a state that only sockets with a port of their own are in."""
    outgoing: SocketCost | None
    """One that owns its local port; None for a state that only a server's sockets are in."""
    unread_fin_bytes: float | None
    """What a FIN keeps beside, until the program reads it; None where no FIN is waiting, or that is not known."""
    count: int | None  # type: ignore[assignment]  # tuple.count gives way
    count_is_upper_bound: bool
    """Whether there are no more than `count`, rather than just so many."""
    scope: CountScope | None
    """Whose sockets are counted; None where none are."""
    note: str
    """What else is in the count, or why there is none."""


class Limit(NamedTuple):
    """One thing that there is only so much of."""

    name: str
    concerns: Literal["every socket", "outgoing", "TIME_WAIT", "orphans", "tracked flows"]
    used: int | None
    maximum: int | None
    unit: Literal["sockets", "bytes", "files", "ports", "flows"]
    headroom_sockets: int | None
    """How many more sockets fit; None where that cannot be said."""
    scope: Literal["machine", "here", "node"]
    note: str
    """How `room_sockets` follows, or why it does not."""


class Limits(NamedTuple):
    """How many more sockets fit, and what ends first."""

    rows: tuple[Limit, ...]

    @property
    def first(self) -> Limit | None:
        """The nearest wall of those that concern every socket; None where no room is known."""
        return min(
            (limit for limit in self.rows if limit.concerns == "every socket" and limit.headroom_sockets is not None),
            key=lambda limit: limit.headroom_sockets or 0,
            default=None,
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """Walls of every socket of which nothing is known: the first may be nearer than it seems."""
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
    """The machine's slab memory, split by whose it is; the three parts and `unexplained_bytes` are all of it."""

    total_bytes: int | None
    """meminfo's Slab."""
    own_bytes: int | None
    """TCP's own caches, whole."""
    idle_bytes: int | None
    """Of its socks', mini-sockets' and request socks', what no object in use takes: free objects, ends of slabs."""
    idle_error_bytes: int | None
    """As much may be idle besides: free objects that lie on CPUs and count as in use."""
    share_bytes: int | None
    """TCP's share of caches that it shares with others."""
    share_low_bytes: int | None
    share_high_bytes: int | None
    rest_bytes: int | None
    """Everything else that has a row."""
    unexplained_bytes: int | None
    """What is in no row: meminfo's Slab less the sum of all rows."""


class LiveObjects(NamedTuple):
    """What objects in use take in the rows of a socket, and the sockets there were: from readings taken together."""

    sockets: int
    bytes: float


class GrowthSinceMark(NamedTuple):
    """What came since a mark that the user set."""

    elapsed_s: float | None
    sockets: int | None
    live_bytes: float | None
    bytes_per_socket: float | None
    unknown_because: str | None


class LabUse(NamedTuple):
    """A lab result that was given."""

    path: str
    unused_because: str | None
    """Why it is not used; None where it is."""


class MemoryPart(NamedTuple):
    """One part of all the kernel memory in TCP."""

    name: str
    row: str | None
    """The slabinfo row that holds it; None for what is in no slab."""
    bytes: int
    low_bytes: int
    high_bytes: int
    estimated: bool
    count: int | None = None  # type: ignore[assignment]  # tuple.count gives way
    """How many objects it is; None where that is not how it was found."""

    @property
    def text(self) -> str:
        """The name with the number of objects."""
        return self.name if self.count is None else f"{self.name} × {self.count:,}".replace(",", " ")


class TcpMemory(NamedTuple):
    """All the kernel memory in TCP, machine-wide."""

    bytes: int | None
    low_bytes: int | None
    high_bytes: int | None
    unexplained_bytes: int | None
    """meminfo's Slab less the sum of all rows."""
    parts: tuple[MemoryPart, ...]
    missing: tuple[str, ...]
    """The parts that are not known; with any, only `low_bytes` is sure."""


class ZoneMemory(NamedTuple):
    """The free memory of one zone, and what it holds in TCP slabs and sockets."""

    zone: str
    managed_pages: int | None
    free_pages: int | None
    min_pages: int | None
    low_pages: int | None
    high_pages: int | None
    free_area: tuple[int, ...] | None
    migrate_types: Mapping[str, tuple[int, ...]] | None
    capped: Mapping[str, tuple[int, ...]] | None
    """The orders of each type where the kernel stopped counting; None where the types are not known."""
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
        """Of all its zones."""
        return _sum_of_known([zone.free_pages for zone in self.zones])

    @property
    def tcp_slabs_free(self) -> int | None:
        """How many slabs of the TCP cache its free blocks hold, of every type that can be taken."""
        return _sum_of_known([zone.tcp_slabs_free for zone in self.zones])

    @property
    def headroom_sockets(self) -> int | None:
        """How many more whole sockets the node's free blocks hold; None where a zone does not tell."""
        return _sum_of_known([zone.headroom_sockets for zone in self.zones])

    @property
    def headroom_sockets_without_stealing(self) -> int | None:
        """The same from Unmovable blocks alone."""
        return _sum_of_known([zone.headroom_sockets_without_stealing for zone in self.zones])


def _sum_of_known(amounts: list[int | None]) -> int | None:
    """The sum; None where any is unknown, or there are none."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


class SourceHealth(NamedTuple):
    """How a source is doing."""

    name: str
    state: str
    reason: str | None
    age_s: float | None
    read_us: int | None
    every_s: float | None

    def staleness(self, interval_s: float) -> str:
        """How old its figures may be where that is more than the interval, `≤ 5 s old`; empty where it is not.

        It names the source's pace rather than a running age, which would change at every sample.
        """
        if self.age_s is None or self.every_s is None:
            return ""
        if self.age_s > 1.5 * max(self.every_s, interval_s):
            return f"{self.age_s:.0f} s old"
        return f"≤ {self.every_s:.0f} s old" if self.every_s > 1.5 * interval_s else ""


class HostFacts(NamedTuple):
    """Which machine it is."""

    name: str | None
    place: str | None
    net_namespace: str | None
    kernel: str | None
    page_size_bytes: int | None
    cpus: int | None
    memory_bytes: int | None
    memory_available_bytes: int | None
    cpu_busy_percent: float | None


class Ledger(NamedTuple):
    """Every figure of one Snapshot."""

    taken_at_unix_s: float | None
    live: bool
    host: HostFacts
    sockets: SocketCounts
    caches: tuple[CacheLine, ...]
    costs: Mapping[AccountingMode, ConnectionCost]
    tcp_memory: TcpMemory
    nodes: tuple[NodeMemory, ...]
    tcp_slab_order: int | None
    """The order of the blocks that the TCP cache's slabs are made of."""
    sources: Mapping[str, SourceHealth]
    states: tuple[StateCost, ...]
    limits: Limits
    slab_memory: SlabMemory
    structs: Mapping[str, StructLayout]
    """The layouts of the catalogue's structs, where BTF was read."""
    live_objects: LiveObjects | None
    lab: LabUse | None
    """The result of a lab that the user gave."""

    def cache(self, name: str | None) -> CacheLine | None:
        """The cache of that name; of two rows of one name the larger."""
        lines = [line for line in self.caches if line.name == name]
        return max(lines, key=lambda line: line.slabs or 0, default=None)

    def tcp_bytes_on(self, node: int) -> float | None:
        """What TCP has in slabs on a node; None where no cache tells by node."""
        known = [cache.tcp_bytes_on(node) for cache in self.caches if cache.tcp_bytes is not None]
        return sum(filter(None, known)) if any(each is not None for each in known) else None
