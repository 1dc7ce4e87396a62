"""The figures that are computed from one Snapshot, as named tuples; screen and reports show no other figures.

None means unknown, never 0. An object's share of a slab need not be a whole number of bytes; the share is rounded only
in reports and on the screen.
"""

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from tcptop.kernel.limits import Threshold
from tcptop.ledger.amount import Amount
from tcptop.ledger.attached_objects import Attached, AttachedName, AttachedObjects
from tcptop.ledger.caches import MAX_ALIASES, CacheLine, NodeCount, Presence, UnseenObject, fallback_factor
from tcptop.ledger.connection_cost import (
    AccountingMode,
    ConnectionCost,
    CostBySide,
    Family,
    ObjectCost,
    Slice,
    SocketCost,
    StateCost,
)
from tcptop.ledger.growth import Growth, GrowthSinceMark, LiveObjects, Slope
from tcptop.ledger.held_objects import UNKNOWN_CACHE, HeldName, HeldObjects, HeldPart
from tcptop.ledger.limits import (
    ALARM_STATES,
    STATE_MARGIN_PERCENT,
    Event,
    Limit,
    Limits,
    LimitState,
)
from tcptop.ledger.memory import (
    Headroom,
    MemoryPart,
    NodeHeadroom,
    NodeMemory,
    SlabMemory,
    TcpMemory,
    UsableMemory,
    ZoneMemory,
)
from tcptop.ledger.sockets import SCOPE_LABELS, CountScope, SocketCounts
from tcptop.snapshot import CacheAttributes, CgroupMemory, Smbios, StructLayout

if TYPE_CHECKING:
    from tcptop.ledger.holders import Holders
else:
    # Few reports need Holders, so its module is not imported at run time. `Holders = object` avoids an annotation in
    # quotes, which would be compiled at every import of tcptop.ledger.
    Holders = object


__all__ = [
    "ALARM_STATES",
    "MAX_ALIASES",
    "SCOPE_LABELS",
    "STATE_MARGIN_PERCENT",
    "UNKNOWN_CACHE",
    "AccountingMode",
    "Amount",
    "Attached",
    "AttachedName",
    "AttachedObjects",
    "CacheLine",
    "ConnectionCost",
    "CostBySide",
    "CountScope",
    "Event",
    "Family",
    "Growth",
    "GrowthSinceMark",
    "Headroom",
    "HeldName",
    "HeldObjects",
    "HeldPart",
    "HostFacts",
    "LabUse",
    "Ledger",
    "Limit",
    "LimitState",
    "Limits",
    "LiveObjects",
    "MemoryPart",
    "NodeCount",
    "NodeHeadroom",
    "NodeMemory",
    "ObjectCost",
    "Presence",
    "SlabMemory",
    "Slice",
    "Slope",
    "SocketCost",
    "SocketCounts",
    "SourceHealth",
    "StateCost",
    "TcpMemory",
    "Threshold",
    "UnseenObject",
    "UsableMemory",
    "ZoneMemory",
    "fallback_factor",
]


class LabUse(NamedTuple):
    """The path of the user's lab result; if accounting does not use the result, also the reason."""

    path: str
    unused_because: str | None
    """The reason why accounting does not use the lab result; None if accounting uses the result."""


class SourceHealth(NamedTuple):
    """State, age and duration of a source's last reading, and the interval between two readings of the source."""

    name: str
    state: str
    reason: str | None
    age_s: float | None
    read_us: int | None
    every_s: float | None

    def staleness(self, interval_s: float, is_noticed: bool = False) -> str:
        """Text with the age of a source's figures, such as `≤ 5 s old`.

        The text is empty if the source is read at every interval of the screen (`interval_s`) and was read with this
        sample, or with the sample before; with `is_noticed`, only if it was read with this sample. `is_noticed` is true
        if another figure on the screen shows the effect of the age. If the source's next reading is overdue, the text
        shows the exact age. If the next reading is not overdue, the text shows an upper bound, because an exact age
        would change with every sample.
        """
        if self.age_s is None or self.every_s is None:
            return ""
        is_seldom = self.every_s > 1.5 * interval_s
        if is_seldom and self.age_s <= 1.5 * self.every_s:
            return f"≤ {ceil(max(1.0, self.every_s, self.age_s)):.0f} s old"
        if self.age_s > (0.5 if is_noticed else 1.5) * interval_s:
            return f"{self.age_s:.0f} s old" if self.age_s >= 1 else "≤ 1 s old"
        return ""


class HostFacts(NamedTuple):
    """The machine: its name, kernel, page size, CPUs and memory."""

    name: str | None
    place: str | None
    """Folder or archive that served as the root of the files; None if the root is `/`."""
    net_namespace: str | None
    """Folder that shows the network namespace, such as `/host/proc/1/net`; None for tcptop's own namespace."""
    kernel: str | None
    """Kernel release, such as `6.1.0-56-amd64`."""
    page_size_bytes: int | None
    cpus: int | None
    memory_bytes: int | None
    memory_available_bytes: int | None
    cpu_busy_percent: float | None
    boot_id: str | None = None
    """The kernel's ID of this boot; None if unknown."""
    net_namespace_id: str | None = None
    """The network namespace that the counts of `this netns` are of, such as `net:[4026531840]`; None if unknown."""

    def is_other_boot(self, other: "HostFacts") -> bool:
        """True if both boots are known, and differ."""
        return None not in (self.boot_id, other.boot_id) and self.boot_id != other.boot_id

    def is_other_net_namespace(self, other: "HostFacts") -> bool:
        """True if both network namespaces are known, and differ.

        The number of a namespace means nothing after another boot, so namespaces of two boots are not told apart.
        """
        ids = (self.net_namespace_id, other.net_namespace_id)
        return None not in ids and ids[0] != ids[1] and not self.is_other_boot(other)


class Ledger(NamedTuple):
    """All figures that are computed from one Snapshot."""

    taken_at_unix_s: float | None
    boot_clock_s: float | None
    """Time of the sample on the monotonic clock of the machine's known boot; None where `Snapshot.boot_clock_s` is."""
    live: bool
    host: HostFacts
    sockets: SocketCounts
    caches: tuple[CacheLine, ...]
    costs: Mapping[AccountingMode, ConnectionCost]
    attached: Attached
    """Objects that programs, the firewall and traffic attach to sockets; the figures of `costs` exclude these
    objects."""
    tcp_memory: TcpMemory
    nodes: tuple[NodeMemory, ...]
    zones: tuple[ZoneMemory, ...]
    """The zones of the machine. Each figure is the sum over the zones of the same name on all nodes."""
    tcp_slab_order: int | None
    """Slab order of the cache TCPv6 if most sockets are IPv6, else of the cache TCP."""
    mini_socket_slab_order: int | None
    """Slab order of the cache of mini-sockets: of tw_sock_TCPv6 if most sockets are IPv6, else of tw_sock_TCP."""
    sources: Mapping[str, SourceHealth]
    states: tuple[StateCost, ...]
    headroom: Mapping[AccountingMode, Headroom]
    limits: Mapping[AccountingMode, Limits]
    events: tuple[Event, ...]
    """Every event of `tcptop.kernel.events`, in the same order."""
    slab_memory: SlabMemory
    structs: Mapping[str, StructLayout]
    """The layouts of the catalogue's structs, by name of the struct; empty if BTF was not read."""
    member_offsets: Mapping[str, Mapping[str, int]]
    """For each struct, the offsets in bytes of the members that point to other objects of the socket. Empty if BTF was
    not read."""
    unseen_objects: Mapping[str, UnseenObject]
    """The objects of the catalogue whose cache does not appear in any file, by the name of the object's struct."""
    live_objects: LiveObjects | None
    held: tuple[HeldObjects, ...]
    """The objects that the machine's sockets hold, by kind. A kind is left out if its number of objects is unknown."""
    lab: LabUse | None
    """The user's lab result; None if the user gave none."""
    cgroup: CgroupMemory | None = None
    """The memory cgroup that the user named; None if the user named none."""
    chosen_cache: CacheAttributes | None = None
    """The attributes of the slab cache whose details the user looks at; None if the attributes were not read."""
    holders: Holders | None = None
    """The holders of the sockets; None if the user did not ask for the holders."""
    hardware: Smbios | None = None
    """The processor sockets and memory slots with their nodes; None if the firmware's tables were not read."""
    doubted: frozenset[str] = frozenset()
    """Names of the sources that are cut, or that contain impossible figures: figures that no healthy kernel prints."""
    symbols: frozenset[str] | None = None
    """Those names in /proc/kallsyms that belong to renamed kernel functions.

    Each name is the old name or the new name of a renamed function. None if /proc/kallsyms was not read.
    """
    recorded: bool = False
    """As in Snapshot."""

    def seconds_since(self, earlier: "Ledger") -> float | None:
        """The time between two samples; None if unknown, negative if `earlier` is the later one.

        If both samples are certainly of one boot, a clock that was set in between does not matter.
        """
        if self.host.boot_id == earlier.host.boot_id and None not in (self.boot_clock_s, earlier.boot_clock_s):
            return (self.boot_clock_s or 0.0) - (earlier.boot_clock_s or 0.0)
        if self.taken_at_unix_s is None or earlier.taken_at_unix_s is None:
            return None
        return self.taken_at_unix_s - earlier.taken_at_unix_s

    def slab_order(self, mode: AccountingMode) -> int | None:
        """Slab order of the cache from which the sockets of an accounting mode come; None if unknown."""
        return self.tcp_slab_order if mode == "full" else self.mini_socket_slab_order

    def cache(self, name: str | None) -> CacheLine | None:
        """The cache with the given name; None if no cache has the name.

        If two rows of slabinfo have the name, the row with more slabs is returned.
        """
        lines = [line for line in self.caches if line.name == name]
        return max(lines, key=lambda line: line.slabs or 0, default=None)

    @property
    def socket_rows(self) -> frozenset[str]:
        """Names of the slabinfo rows that count objects of sockets in any TCP state."""
        costs = [cost for state in self.states for cost in (state.accepted, state.outgoing) if cost is not None]
        parts = [part for cost in costs for part in cost.parts]
        parts += [part for state in self.states for part in state.unread_fin_parts or ()]
        lines = [self.cache(cache) for cache in {part.cache for part in parts}]
        return frozenset(line.row for line in lines if line is not None and line.row is not None)

    @property
    def has_child_caches(self) -> bool:
        """True if objects of TCP's caches may be in child caches of memory cgroups, whose nodes no file shows."""
        return any(cache.in_child_caches for cache in self.caches)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's slab bytes on a node; None if all caches that TCP uses lack counts by node.

        The bytes are also None if some objects are in child caches of memory cgroups, whose nodes are unknown.
        """
        if self.has_child_caches:
            return None
        caches = [cache for cache in self.caches if cache.tcp_bytes is not None]
        known = [cache.tcp_bytes_on(node) for cache in caches if cache.tcp_bytes] or [0.0 for _ in caches]
        return sum(filter(None, known)) if any(amount is not None for amount in known) else None
