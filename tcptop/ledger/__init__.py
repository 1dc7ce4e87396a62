"""The figures computed from one Snapshot, as named tuples; the screen and the reports show no other figures.

None means unknown, never 0. An object's share of a slab need not be a whole number of bytes; the share is
rounded only in reports and on the screen.
"""

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Literal, NamedTuple

from tcptop.kernel.events import EventUnit
from tcptop.snapshot import CacheAttributes, CgroupMemory, Smbios, StructLayout

if TYPE_CHECKING:
    from tcptop.ledger.holders import Holders
else:
    Holders = object  # few reports import it, and an annotation in quotes would be compiled at import

AccountingMode = Literal["full", "time_wait"]
Family = Literal["ipv4", "ipv6", "mix"]
CountScope = Literal["machine", "here", "machine or here"]
"""What a count covers: the whole machine, or only one network namespace (`here`).

`machine or here`: the kernel release does not show which of the two the count covers.
"""
Presence = Literal["known", "absent", "hidden", "unknown"]
"""Whether a kernel has the cache of an object.

`known`: a file shows the cache.
`absent`: the kernel does not have the cache.
`hidden`: the kernel has the cache, but merged with another cache, and no file shows which caches are merged.
`unknown`: the files do not show whether the kernel has the cache.
"""


AttachedName = Literal["epoll", "conntrack", "ktls", "buffers"]


class Amount(NamedTuple):
    """An amount known within bounds.

    If `low` equals `high`, the amount is exact. If `low` is 0, only the upper bound is known.
    """

    low: float
    high: float
    """Upper bound; infinite if parts of the amount are missing, because then only `low` is known."""

    def times(self, other: "Amount") -> "Amount":
        """The product of two amounts. The bounds of the amounts may be positive or negative."""
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


MAX_ALIASES = 32
"""Maximum number of names in `CacheLine.aliases`; a real kernel merges about ten caches at most."""


class CacheLine(NamedTuple):
    """A row of /proc/slabinfo, or a cache of the catalogue without a row under its own name.

    slabinfo counts the objects of such a cache in the row of another cache.

    All counts of a line, and the bytes computed from them, come from one read: of slabinfo or, if slabinfo is not
    readable or too old, of the files `total_objects` and `slabs` in /sys/kernel/slab. The exception is `nodes`, whose
    counts come from one read of these two files.
    """

    name: str
    row: str | None
    """Name of the slabinfo row that counts the cache's objects; None if the cache is merged and slabinfo is not
    readable.
    """
    aliases: tuple[str, ...]
    """Names of other caches whose objects the row counts: those of the catalogue first, at most MAX_ALIASES.

    `more_aliases` is the number of the other names.
    """
    objects_of: tuple[str, ...]
    """Structs of the catalogue whose objects the row counts."""
    in_catalogue: bool
    shared: bool
    """Whether the row also counts objects that TCP does not use."""
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
    """Active objects, from slabinfo; never above `objects`. None if the other counts come from sysfs."""
    use: float | None
    """Active objects ÷ all objects, 0 to 1; None if `active_objects` is None."""
    objects: int | None
    """All objects, free objects included."""
    slabs: int | None
    bytes: int | None
    """Size of all slabs of the cache, corrected for order fallback.

    None if unknown, or if the slabs are counted in the CacheLine of another cache.
    """
    active_per_s: float | None
    """Change per second of active objects."""
    nodes: Mapping[int, NodeCount] | None
    """Counts of each node, from sysfs. Sysfs is read more often than slabinfo, so the sum may differ from `objects`."""
    max_in_use: int | None = None
    """Upper bound on the number of objects in use: active objects from slabinfo, or all objects from sysfs.

    The bound and `bytes` come from the same reading.
    """
    computed: bool = False
    """Whether sizes were computed by SLUB's rules, because no file shows them."""
    idle_error_objects: int | None = None
    """Upper bound on the number of free objects that the kernel caches per CPU.

    slabinfo counts these free objects as active.
    """
    tcp_bytes: int | None = None
    """TCP's part of `bytes`; None if unknown.

    If only TCP uses the cache, TCP's part is all of `bytes`. If other parts of the kernel use the cache too, TCP's
    part is the share of the objects that TCP sockets hold.
    """
    more_aliases: int = 0
    """Number of further caches whose objects the row counts; their names are not in `aliases`."""
    tcp_nodes: Mapping[int, NodeCount] | None = None
    """Counts of the cache whose objects are spread over the nodes as TCP's part is; None for the cache itself."""

    @property
    def present_share_bytes(self) -> float | None:
        """An object's share of the slabs that the cache has now; None if unknown.

        After order fallback the share is larger than `slab_share_bytes`. If the cache has no objects, the share is
        `slab_share_bytes`.
        """
        return self.bytes / self.objects if self.bytes is not None and self.objects else self.slab_share_bytes

    @property
    def fallback(self) -> float:
        """An object's share of the present slabs ÷ the object's share of a full slab; above 1 after order fallback."""
        present = self.present_share_bytes
        return present / self.slab_share_bytes if present is not None and self.slab_share_bytes else 1.0

    def share_on(self, node: int) -> float | None:
        """Objects of the cache on one node ÷ objects of the cache on all nodes, 0 to 1; None if unknown."""
        return _share_on(node, self.nodes)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's bytes on one node, at most the cache's; None if unknown.

        `tcp_bytes` is split among the nodes as the objects of `tcp_nodes` are, or as the cache's own.
        """
        if self.tcp_bytes is None:
            return None
        if not self.objects:
            return 0.0
        own = self.share_on(node)
        share = own if self.tcp_nodes is None or own is None else _share_on(node, self.tcp_nodes)
        if share is None or own is None:
            return None
        return min(self.tcp_bytes * share, (self.bytes or inf) * own)


def _share_on(node: int, nodes: Mapping[int, NodeCount] | None) -> float | None:
    counts = {} if nodes is None else {number: count.objects for number, count in nodes.items()}
    on_all = sum(filter(None, counts.values()))
    objects = counts.get(node, 0)
    return objects / on_all if objects is not None and on_all else None


class ObjectCost(NamedTuple):
    """The bytes that one kind of kernel object adds to the cost of a socket."""

    object: str
    """`KernelObject.struct`."""
    label: str
    cache: str
    count: float  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects per socket; a fraction if sockets share an object, or if only some sockets have it."""
    object_bytes: float
    slab_bytes: float | None
    high_slab_bytes: float | None
    """Upper bound on the slab bytes; above `slab_bytes` if the object's size is known only within bounds."""
    estimated: bool
    computed: bool = False
    """Whether the object's sizes were computed by SLUB's rules."""
    high_cache: str | None = None
    """The cache that `high_slab_bytes` belongs to, if it is unknown which of several caches has the object."""


class Slice(NamedTuple):
    """A segment of a bar: the sum of the costs with the same label."""

    label: str
    bytes: float


class SocketCost(NamedTuple):
    """The bytes that one more socket takes, in a given state and on a given side of the connection.

    `object_bytes` and `slab_bytes` are None if the kernel has no such sockets: the kernel then lacks
    an object that each such socket needs.
    """

    object_bytes: float | None
    slab_bytes: float | None
    missing: tuple[str, ...]
    """Objects whose size or slab share is unknown.

    If there are such objects, `object_bytes` and `slab_bytes` are lower bounds.
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
    """Cost of a socket that a server accepted, and cost of an outgoing socket, which owns its local port."""

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
    """Whether `now_bytes` and `idle_bytes_per_socket` are upper bounds.

    These two averages are upper bounds if the machine may have more sockets than are counted.
    """
    now_unknown_because: str | None
    now_slices: tuple[Slice, ...]
    """Slices that add up to `now_bytes`; empty if `now_bytes` is unknown."""
    now_held_because: str | None = None
    """Reason why the averages are those of an earlier read of the caches; None if the averages are current."""
    now_read_at_unix_s: float | None = None
    """Unix time when the counts behind `now_bytes` were read; None if there is no average, or in a saved tree."""

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
    """Attached objects of one kind: objects of a socket that are not part of the socket's cost in any TCP state.

    The number of these objects depends on the program that uses the socket, on the firewall rules, and on the traffic.
    """

    name: AttachedName
    counted: str
    """The things that `number` counts, in the plural."""
    number: Amount | None
    bytes: Amount | None
    """Bytes of all these objects on the machine.

    For buffers, all their memory is counted, whether in slabs or not. For objects of any other kind, their shares of
    full slabs are counted.
    """
    bytes_per_socket: Amount | None
    """`bytes` ÷ number of sockets of the machine; None if no average over the sockets is known."""
    unknown_because: str | None
    """Reason why `bytes` is None; None if `bytes` is known."""
    note: str

    @property
    def may_exist(self) -> bool:
        """Whether the machine has such objects, or may have some."""
        return self.bytes is None or self.bytes.high > 0


class Attached(NamedTuple):
    """The attached objects of every kind, and the present average bytes per socket including these objects."""

    kinds: tuple[AttachedObjects, ...]
    now_bytes: Amount | None
    """Average bytes per socket; None if no average is known.

    The sum of `ConnectionCost.now_bytes` in full accounting and the `bytes_per_socket` of each kind. If the bytes of a
    kind are unknown, the upper bound of this sum is infinite.
    """


class SocketCounts(NamedTuple):
    """Socket counters.

    The counters `inuse` and `inuse6` cover one network namespace. `time_wait_scope` says what `time_wait` covers. All
    other counters cover the machine.
    """

    inuse: int | None
    inuse6: int | None
    orphans: int | None
    time_wait: int | None
    time_wait_scope: CountScope
    time_wait_machine_max: int | None
    time_wait_per_s: float | None
    """Change per second since an earlier sample (`add_socket_rates`); None without an earlier sample."""
    allocated: int | None
    allocated_per_s: float | None
    """Change per second, like `time_wait_per_s`."""
    buffer_pages: int | None
    buffer_bytes: int | None
    buffer_error_bytes: int | None
    buffer_error_pages: int | None
    """`buffer_error_bytes`, converted into the unit of `buffer_pages`; None if unknown."""
    tcp_mem_pages: tuple[int, int, int] | None
    tcp_mem_unit_bytes: int | None
    under_pressure: bool | None = None
    """Whether the kernel says that TCP is under memory pressure."""

    @property
    def buffers_within_error(self) -> bool:
        """Whether the possible error of the buffer counter is at least as large as the value of the counter.

        If so, only an upper bound on the bytes of socket buffers is known.
        """
        if self.buffer_bytes is None or not self.buffer_error_bytes:
            return False
        return self.buffer_bytes <= self.buffer_error_bytes

    @property
    def buffer_bounds(self) -> Amount | None:
        """Bounds on the bytes of socket buffers; None if unknown.

        If `buffers_within_error` is True, the lower bound is 0, and the upper bound is `buffer_bytes` plus the
        counter's error. Otherwise each of the two bounds is `buffer_bytes`.
        """
        if self.buffer_bytes is None:
            return None
        if self.buffers_within_error:
            return Amount(0, self.buffer_bytes + (self.buffer_error_bytes or 0))
        return Amount(self.buffer_bytes, self.buffer_bytes)

    @property
    def apart(self) -> int | None:
        """Lower bound on the number of allocated sockets that are not orphans and not in `inuse` or `inuse6`.

        Such a socket is in another network namespace, or in no hash table of the kernel. A socket in no hash table was
        never connected, or the kernel keeps the socket after its close. None if unknown.
        """
        inuse = self.inuse_of_both
        if self.allocated is None or inuse is None or self.orphans is None:
            return None
        return max(0, self.allocated - inuse - self.orphans)

    @property
    def inuse_of_both(self) -> int | None:
        """Sockets in use, IPv4 and IPv6 together; on a kernel without IPv6, only IPv4. None if unknown."""
        return None if self.inuse is None else self.inuse + (self.inuse6 or 0)


class StateCost(NamedTuple):
    """Cost of one socket in a given TCP state, and the number of sockets in this state."""

    state: str
    holds: str
    """Text that says which objects of an open socket still exist when the socket is in this state."""
    accepted: SocketCost | None
    """Cost of a server's socket; None if only sockets that own their port are in this state."""
    outgoing: SocketCost | None
    """Cost of a socket that owns its local port; None if only a server's sockets are in this state."""
    unread_fin_parts: tuple[ObjectCost, ...] | None
    """Objects that store a received FIN until the program that owns the socket reads the FIN.

    None if the state has no unread FIN, or if the objects are unknown.
    """
    count: int | None  # type: ignore[assignment]  # tuple.count gives way
    count_is_upper_bound: bool
    """Whether `count` is an upper bound."""
    scope: CountScope | None
    """What `count` covers; None if `count` is None."""
    note: str
    """Text that says which sockets in other states `count` includes, or why `count` is None."""

    @property
    def unread_fin_bytes(self) -> float | None:
        """Slab bytes of an unread FIN; None if the state has no unread FIN, or if the bytes are unknown."""
        parts = self.unread_fin_parts
        return None if parts is None else sum(part.slab_bytes or 0.0 for part in parts)


LimitState = Literal["ok", "near", "pressure", "full", "unknown"]
"""How close the used amount is to a limit.

`ok`: the used amount is below both thresholds.
`near`: the used amount has reached the first threshold, but not the second.
`full`: the used amount has reached the second threshold.
`pressure`: the kernel says that TCP's buffers are above the second value of tcp_mem.
`unknown`: the used amount is unknown, or so uncertain that it may be below or above a threshold.
"""


class Threshold(NamedTuple):
    """The two thresholds of a limit, in per cent of its maximum: `warn` for the state `near`, `critical` for `full`."""

    warn: float
    critical: float


class Limit(NamedTuple):
    """A limit on sockets, with the amount in use now and the headroom, in one accounting mode."""

    name: str
    concerns: Literal["every socket", "outgoing", "TIME_WAIT", "orphans", "tracked flows"]
    scope: Literal["machine", "here", "process", "cgroup"]
    unit: Literal["bytes", "pages", "files", "sockets", "ports", "flows", "connections"]
    used: int | None
    used_error: int | None
    """Error of `used` in either direction; None if unknown."""
    maximum: int | None
    headroom_sockets: int | None
    """How many more sockets fit below the limit. The accounting mode determines the kind of socket.

    None if unknown, or if the limit does not apply to this kind of socket.
    """
    threshold: Threshold | None
    """Thresholds that `state` is determined from; None if the limit has no thresholds."""
    state: LimitState
    then: str
    """What the kernel does when the limit is reached."""
    note: str
    """Assumption behind `headroom_sockets`, or the reason why `headroom_sockets` or `used` is unknown; may be empty."""
    used_is_at_most: bool = False
    """Whether `used` is an upper bound, because memory that reclaim frees may be part of it."""
    headroom_is_at_least: bool = False
    """Whether `headroom_sockets` is a lower bound, because some objects of a socket may not count."""
    headroom_is_at_most: bool = False
    """Whether `headroom_sockets` is an upper bound, because the size of some object of a socket is unknown."""

    @property
    def label(self) -> str:
        """The text that the user sees for `name`."""
        return limit_label(self.name)

    @property
    def ratio(self) -> float | None:
        """`used` ÷ `maximum`; None if `used` or `maximum` is unknown, or if `maximum` is 0."""
        return self.used / self.maximum if self.used is not None and self.maximum else None

    @property
    def at_most_used(self) -> int | None:
        """Upper bound on the use, if the use may be 0: the counter's value does not exceed the counter's error.

        None if the lower bound is above 0, or if the use has no error.
        """
        if self.used is None:
            return None
        if self.used_is_at_most:
            return self.used
        return self.used + self.used_error if self.used_error and self.used <= self.used_error else None

    @property
    def at_most_ratio(self) -> float | None:
        """`at_most_used` ÷ `maximum`; None if `at_most_used` is None or `maximum` is unknown or 0."""
        return self.at_most_used / self.maximum if self.at_most_used is not None and self.maximum else None

    @property
    def stops_new_sockets(self) -> bool:
        """Whether the limit ends the growth of sockets, and the number that still fits is known."""
        return self.headroom_sockets is not None and self.concerns != "orphans"


SCOPE_LABELS = {"here": "this netns", "machine or here": "machine or this netns"}
"""Maps a scope to the text that the user sees, where the text differs."""

LIMIT_LABELS = {
    "file_max": "file-max",
    "listen_queues": "listen queues",
    "nf_conntrack_max": "conntrack",
    "tcp_max_orphans": "orphans",
    "tcp_max_tw_buckets": "TIME_WAIT",
}
"""Maps `Limit.name` to the one name that the user sees, if it differs; the JSON and `check` take `Limit.name`."""


def limit_label(name: str) -> str:
    """The text that the user sees for the limit with this name."""
    return LIMIT_LABELS.get(name, name)


class Limits(NamedTuple):
    """All limits on sockets, the nearest first: alarms, then the limits that stop new sockets by their headroom.

    The limits that stop no new sockets follow, sorted by the share in use; an unknown use comes last.
    """

    rows: tuple[Limit, ...]

    @property
    def first(self) -> Limit | None:
        """Of the limits that stop new sockets, the limit with the least headroom; None if no headroom is known."""
        return min(
            (limit for limit in self.rows if limit.stops_new_sockets),
            key=lambda limit: limit.headroom_sockets or 0,
            default=None,
        )

    @property
    def alarms(self) -> tuple[Limit, ...]:
        """The limits in a state of `ALARM_STATES`, with the most severe state first."""
        return tuple(
            sorted(
                (limit for limit in self.rows if limit.state in ALARM_STATES),
                key=lambda limit: (-ALARM_STATES.index(limit.state), -(limit.ratio or 0.0)),
            )
        )


ALARM_STATES: tuple[LimitState, ...] = ("near", "pressure", "full")
"""The states that count as an alarm, from the least severe to the most severe."""
STATE_MARGIN_PERCENT = 5.0
"""A state ends only if the use is this far below the threshold of the state, in per cent of the limit."""


class Event(NamedTuple):
    """A counter that the kernel increases when a limit is reached or a connection is cut off."""

    name: str
    unit: EventUnit
    limit: str | None
    """Name of the limit that causes the event; None if `Limits` has no such limit."""
    is_routine: bool
    """Whether ordinary traffic increases the counter too, so that growth of the counter is no alarm."""
    total: int | None
    """Value of the counter; None if the counter's file was not read, or if the kernel has no such counter.

    Counting began when the kernel started or, if the network namespace was made later, when the namespace was made.
    """
    per_s: float | None
    """Growth per second between the last two readings."""
    grown: int | None
    """Growth of the counter within the last minute or, in a report, since the previous reading. None if unknown."""
    since_mark: int | None
    """Growth of the counter since the user set a mark; None if there is no mark, or if the growth is unknown."""

    @property
    def is_alarm(self) -> bool:
        """Whether `grown` is above 0 and ordinary traffic does not increase the counter."""
        return bool(self.grown) and not self.is_routine


class NodeHeadroom(NamedTuple):
    """How many more sockets fit into the memory of one NUMA node.

    A node's memory is not a limit: when the node is full, its CPUs use the memory of other nodes.
    """

    without_reclaim: int
    with_reclaim: int | None
    local: int | None
    """How many new sockets the whole machine takes before this node has no spare page left; None if unknown.

    Assumes that the new sockets spread over the nodes in the same proportions as the present sockets.
    """


class Headroom(NamedTuple):
    """How many more sockets fit into the machine's memory, in one accounting mode."""

    mode: AccountingMode
    with_reclaim: int | None
    """Sockets that fit if the kernel gives up page cache and other reclaimable memory; None if unknown."""
    without_reclaim_low: int | None
    """Sockets that fit into the free memory above the low watermarks, if most slabs have the smallest order."""
    without_reclaim_high: int | None
    """Sockets that fit into the free memory above the low watermarks, if all slabs have the preferred order."""
    bytes_per_socket: float | None
    late_bytes: int | None
    """Free memory that the kernel has not initialised yet, so that no zone counts this memory; None if unknown."""
    nodes: Mapping[int, NodeHeadroom]
    reclaims_node_first: bool | None
    """Whether, by vm.zone_reclaim_mode, an allocation reclaims memory of its node before trying other nodes.

    None if unknown.
    """
    unknown_because: str | None
    is_at_most: bool
    """Whether all numbers of sockets in this tuple are upper bounds, because some object's size is unknown."""
    with_reclaim_bytes: int | None = None
    """Bytes of memory that the figure `with_reclaim` was computed from; None if unknown."""
    buffer_bytes: float | None = 0.0
    """Part of `bytes_per_socket`: the estimated memory of a present socket's buffers; None if unknown, and not a part.

    The charge for these buffers, which tcp_mem counts, may be larger: see `ConnectionCost.buffer_bytes_per_socket`.
    """

    @property
    def sockets(self) -> int | None:
        """The number of sockets shown as the headroom: `with_reclaim`; None if unknown."""
        return self.with_reclaim


class SlabMemory(NamedTuple):
    """The machine's slab memory by owner: own + share + rest + unexplained = `total_bytes`. None if unknown."""

    total_bytes: int | None
    """The field Slab of /proc/meminfo."""
    own_bytes: int | None
    """All slabs of the caches that only TCP uses."""
    idle_bytes: int | None
    """Sum of the slab shares of all free objects in the caches of socks, mini-sockets and request socks."""
    idle_error_bytes: int | None
    """Upper bound on the bytes of the free objects that `idle_bytes` misses.

    The kernel caches these free objects per CPU, and slabinfo counts them as active.
    """
    share_bytes: int | None
    """TCP's share of the caches that TCP and other parts of the kernel use."""
    share_low_bytes: int | None
    share_high_bytes: int | None
    rest_bytes: int | None
    """Size of all slabinfo rows − `own_bytes` − `share_bytes`."""
    unexplained_bytes: int | None
    """The field Slab of /proc/meminfo − the size of all slabinfo rows."""


class LiveObjects(NamedTuple):
    """The number of sockets, and the bytes of the active objects in all slabinfo rows that count objects of sockets.

    On a running kernel the number of sockets is read right after slabinfo.
    """

    sockets: int
    bytes: float
    """Sum over all slabinfo rows that count objects of sockets.

    The bytes of one row are the number of active objects in the row × the slab share of one object.
    """


class GrowthSinceMark(NamedTuple):
    """Growth since the user set a mark: in sockets, in bytes of active objects, and in these bytes per new socket."""

    elapsed_s: float | None
    sockets: int | None
    live_bytes: float | None
    bytes_per_socket: float | None
    unknown_because: str | None
    error_bytes_per_socket: float | None = None
    """What other programs' objects may have added to `bytes_per_socket`, or taken away.

    The error is `others_bytes` per socket: programs that changed the rows of others also changed dentries and files,
    which are in the rows of sockets. None if unknown.
    """
    others_bytes: float | None = None
    """The largest change of all slabinfo rows that no socket has objects in, in any sample since the mark.

    None if unknown.
    """

    @property
    def is_disturbed(self) -> bool:
        """Whether the error is larger than MAX_ERROR, so that `bytes_per_socket` says nothing about sockets."""
        if self.bytes_per_socket is None or self.error_bytes_per_socket is None:
            return False
        return self.error_bytes_per_socket > MAX_ERROR * abs(self.bytes_per_socket)


MAX_ERROR = 0.1
"""Largest error of the bytes per socket measured since a mark, as a share of these bytes."""


class Slope(NamedTuple):
    """A figure's change per second, computed from several samples, and the standard error of this change."""

    per_s: float
    error_per_s: float

    @property
    def is_clear(self) -> bool:
        """Whether the change per second is larger than twice its standard error, in either direction."""
        return abs(self.per_s) > 2 * self.error_per_s


class Growth(NamedTuple):
    """Growth over the last minutes.

    `sockets` or `bytes` is None if there are too few samples, or if the figure itself is unknown.
    """

    over_s: float
    sockets: Slope | None
    """Change in the machine's number of full sockets or, in TIME_WAIT accounting, of mini-sockets."""
    bytes: Slope | None
    """Change in the kernel memory that TCP holds."""
    limits_in_s: Mapping[str, float]
    """Time until each limit is reached if the growth continues, by name; only limits whose `used` clearly grows."""


HeldName = Literal["socks", "files", "inodes", "local ports", "request socks", "mini-sockets"]


class HeldPart(NamedTuple):
    """One struct of the objects of one kind (`HeldObjects`), or the memory cgroup vectors of their slabs."""

    object: str
    """`KernelObject.struct`."""
    family: Literal["ipv4", "ipv6"] | None
    """Address family whose sockets hold the object; None if both families hold it."""
    vector_cache: str | None
    """The kmalloc cache of memory cgroup vectors; None for other objects."""
    rows: tuple[str, ...]
    """Names of the slabinfo rows that may count the objects; empty if unknown."""
    number: Amount
    """Bounds on the number of objects or, for vectors, of objects that share them."""
    unit_bytes: Amount | None
    """Bounds on the share that one object has of a full slab; None if unknown."""
    fallback: float
    """The share of the present slabs ÷ the share of a full slab; above 1 after order fallback."""


class HeldObjects(NamedTuple):
    """The objects of one kind that all TCP sockets of the machine hold.

    `files` are files with their inodes and dentries; `inodes` are inodes of sockets without a file.
    """

    name: HeldName
    number: Amount
    """Bounds on the number; of local ports only the upper bound is known."""
    parts: tuple[HeldPart, ...]


class LabUse(NamedTuple):
    """The lab result that the user gave, and whether accounting uses it."""

    path: str
    unused_because: str | None
    """Reason why accounting does not use the lab result; None if accounting uses it."""


class MemoryPart(NamedTuple):
    """A part of the kernel memory that TCP holds: a whole cache, TCP's share of a cache, or the socket buffers."""

    name: str
    row: str | None
    """Name of the slabinfo row that counts the part; None for socket buffers."""
    bytes: int
    low_bytes: int
    high_bytes: int
    estimated: bool
    count: int | None = None  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects from which the bytes were computed; None if no number of objects was used."""

    @property
    def text(self) -> str:
        """Name of the part, followed by the number of objects if this number is known."""
        return self.name if self.count is None else f"{self.name} × {self.count:,}".replace(",", " ")


class TcpMemory(NamedTuple):
    """The kernel memory that TCP holds on the whole machine."""

    bytes: int | None
    low_bytes: int | None
    high_bytes: int | None
    parts: tuple[MemoryPart, ...]
    missing: tuple[str, ...]
    """Parts whose size is unknown. If there are such parts, only `low_bytes` is certain."""


class ZoneMemory(NamedTuple):
    """The free memory of one zone, and the TCP slabs and sockets that fit into this memory."""

    zone: str
    managed_pages: int | None
    free_pages: int | None
    min_pages: int | None
    low_pages: int | None
    high_pages: int | None
    free_area: tuple[int, ...] | None
    migrate_types: Mapping[str, tuple[int, ...]] | None
    capped: Mapping[str, tuple[int, ...]] | None
    """Per migrate type, the orders whose free blocks the kernel stopped counting; None if the types are unknown."""
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
    free_bytes: int | None
    """Free memory: of the node's zones, or MemFree of the node where no zone is known; None if unknown."""
    distances: Mapping[int, int] | None
    """Distance to each online node by the node's number, as the firmware gives it; 10 is the node itself."""
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
    """The sum of the amounts; None if any amount is unknown, or if `amounts` is empty."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None


class UnseenObject(NamedTuple):
    """An object of the catalogue whose cache does not appear in any file.

    `reason` says why the cache does not appear; the text is a clause, not a whole sentence.
    """

    presence: Presence
    reason: str


class SourceHealth(NamedTuple):
    """State, age and duration of a source's last reading, and the interval between two readings of the source."""

    name: str
    state: str
    reason: str | None
    age_s: float | None
    read_us: int | None
    every_s: float | None

    def staleness(self, interval_s: float) -> str:
        """A text with the age of a source's figures, such as `≤ 5 s old`.

        The text is empty if no figure can be older than `interval_s`, the interval of the screen. If the
        source's next reading is overdue, the text shows the exact age. In all other cases the text shows the source's
        own interval as an upper bound, because an exact age would change with every sample.
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
    """Objects of sockets that no figure of `costs` includes."""
    tcp_memory: TcpMemory
    nodes: tuple[NodeMemory, ...]
    zones: tuple[ZoneMemory, ...]
    """The zones of the machine; each adds up the zones of one name on all nodes."""
    tcp_slab_order: int | None
    """Slab order of the cache TCPv6 if most sockets are IPv6; otherwise slab order of the cache TCP."""
    sources: Mapping[str, SourceHealth]
    states: tuple[StateCost, ...]
    headroom: Mapping[AccountingMode, Headroom]
    limits: Mapping[AccountingMode, Limits]
    events: tuple[Event, ...]
    """Every event of `tcptop.kernel.events`, in the same order."""
    slab_memory: SlabMemory
    structs: Mapping[str, StructLayout]
    """The layouts of the catalogue's structs by name; empty if BTF was not read."""
    member_offsets: Mapping[str, Mapping[str, int]]
    """By struct, the offset in bytes of each member that links objects of a socket; empty if BTF was not read."""
    unseen_objects: Mapping[str, UnseenObject]
    """Those objects of the catalogue whose cache does not appear in any file; the key is the object's struct."""
    live_objects: LiveObjects | None
    held: tuple[HeldObjects, ...]
    """The objects that the machine's sockets hold, by kind; a kind whose number is unknown is left out."""
    lab: LabUse | None
    """The user's lab result; None if the user gave no lab result."""
    cgroup: CgroupMemory | None = None
    """The memory cgroup that the user named; None if the user named no cgroup."""
    chosen_cache: CacheAttributes | None = None
    """The attributes of the slab cache whose page the user reads; None if they were not read."""
    holders: Holders | None = None
    """Who holds the sockets; None unless the user asked for a look at them."""
    hardware: Smbios | None = None
    """The processor sockets and memory slots with their nodes; None if the firmware's tables were not read."""
    symbols: frozenset[str] | None = None
    contradictory: frozenset[str] = frozenset()
    """Names of the sources with figures that no healthy kernel prints."""
    """Those old and new names of renamed kernel functions that /proc/kallsyms contains.

    None if /proc/kallsyms was not read.
    """

    def cache(self, name: str | None) -> CacheLine | None:
        """The cache with a given name; None if no cache has this name.

        If two slabinfo rows have this name, the row with more slabs is returned.
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

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's slab bytes on a node; None if every cache that TCP uses lacks counts per node."""
        caches = [cache for cache in self.caches if cache.tcp_bytes is not None]
        known = [cache.tcp_bytes_on(node) for cache in caches if cache.tcp_bytes] or [0.0 for _ in caches]
        return sum(filter(None, known)) if any(amount is not None for amount in known) else None


Side = Literal["accepted", "outgoing", "proxy", "mixed"]
PlannedFamily = Literal["ipv4", "ipv6", "mix"]
Verdict = Literal["fits", "does not fit", "cannot say"]
LimitVerdict = Literal["fits", "exceeded", "unknown"]
PLANNED_BUFFERS = "buffers"
"""Name of the part of a plan that is the buffers of the planned sockets."""


class PlanRequest(NamedTuple):
    """The connections to plan."""

    connections: int
    side: Side
    family: PlannedFamily
    """`mix` for the families of the present sockets, as the headroom assumes."""
    buffer_bytes: int | Literal["now"]
    """Bytes in the buffers of each socket; `now` for what a present socket has, as the headroom assumes."""
    time_wait: int
    """Number of mini-sockets in TIME_WAIT, in addition to the connections."""
    with_epoll: bool
    with_conntrack: bool
    with_ktls: bool

    @property
    def accepted(self) -> int:
        """Accepted sockets; half of the connections, rounded up, if the sides are mixed."""
        return self.connections - (0 if self.side == "proxy" else self.outgoing)

    @property
    def outgoing(self) -> int:
        """Outgoing sockets."""
        return self._outgoing_of(self.connections)

    @property
    def outgoing_time_wait(self) -> int:
        """Mini-sockets of outgoing sockets; of a proxy, all of them."""
        return self._outgoing_of(self.time_wait)

    def _outgoing_of(self, number: int) -> int:
        return 0 if self.side == "accepted" else number // 2 if self.side == "mixed" else number

    @property
    def sockets(self) -> int:
        """Number of sockets: a connection through a proxy has an accepted socket and an outgoing socket."""
        return self.accepted + self.outgoing

    @property
    def flows(self) -> int:
        """Number of tracked flows: one for each socket, and one for each mini-socket in TIME_WAIT.

        The two sockets of a proxy have different peers, and therefore belong to different flows.
        """
        return self.sockets + self.time_wait


class PlanPart(NamedTuple):
    """The planned objects of one kind."""

    object: str
    cache: str | None
    """Name of the cache.

    None for buffers. None also for kernel TLS, because the objects of kernel TLS come from several caches.
    """
    count: float  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects; an upper bound if sockets may share the objects."""
    bytes: float
    """Slab bytes, or the bytes of buffers."""
    high_bytes: float
    estimated: bool
    high_cache: str | None = None
    """The cache that `high_bytes` belongs to, if it is unknown which of several caches has the objects."""


class PlanLimit(NamedTuple):
    """One limit, and what the planned connections take of it."""

    name: str
    scope: str
    unit: str
    used: int | None
    takes: int | None
    """Lower bound on the planned use; None if unknown."""
    high_takes: int | None
    """Upper bound on the planned use; None without an upper bound."""
    maximum: int | None
    free: int | None
    """How much of the limit is free if the counter of the limit has no error; None if unknown."""
    verdict: LimitVerdict
    connections: int | None
    """Number of planned connections that fit below the limit; None if unknown.

    If `connections_are_at_most` is True, this number is an upper bound. The planned mini-sockets are beside them,
    whatever the number of connections. None for tcp_max_tw_buckets, which ends no connection.
    """
    note: str
    """Reason that the verdict is `unknown`, what follows if a limit without `connections` is full, and a sentence if
    no value of its sysctl is enough; may be empty."""
    connections_are_at_most: bool = False
    """Whether `connections` is an upper bound, because the size of a part or the free amount is unknown."""
    state: LimitState = "unknown"
    """The state that the limit would have with the planned connections."""
    at_most_used: int | None = None
    """As of `Limit`: an upper bound on the present use, if the use may be 0."""

    @property
    def present_ratio(self) -> float | None:
        """The present use ÷ the maximum; None if unknown."""
        return self.used / self.maximum if self.used is not None and self.maximum else None

    @property
    def low_ratio(self) -> float | None:
        """The use with the planned connections at their least ÷ the maximum; None if unknown."""
        known = self.used is not None and self.takes is not None and self.maximum
        return (self.used + self.takes) / self.maximum if known else None  # type: ignore[operator]

    @property
    def ratio(self) -> float | None:
        """The use with the planned connections at their most ÷ the maximum; None if unknown.

        The ratio is a lower bound if `takes` has no upper bound.
        """
        takes = self.takes if self.high_takes is None else self.high_takes
        return (
            (self.used + takes) / self.maximum if self.used is not None and takes is not None and self.maximum else None
        )


class UncountedLimit(NamedTuple):
    """A limit that raises an alarm now, and of which the plan takes nothing."""

    limit: Limit
    why: str
    """Reason that the plan takes nothing of the limit: `no buffers planned`."""


ADVISED_PERCENT = 80
"""Per cent of an advised value of a sysctl that stay above the use with the plan, as NEAR begins there."""


class PlanSysctl(NamedTuple):
    """A sysctl that would need another value for the plan."""

    limit: str
    """Name of the limit that the sysctl sets."""
    name: str
    now: tuple[int, ...]
    at_least: tuple[int, ...]
    """The least values with which the plan fits; of tcp_mem, without memory pressure; of tcp_max_tw_buckets, with which
    no connection skips TIME_WAIT."""
    advised: tuple[int, ...]
    """Values of which the plan leaves a part unused, as far as memory and the kernel allow."""
    note: str = ""
    """What has capped an advised value, and what follows; empty if nothing has."""


class PlanNode(NamedTuple):
    """What the planned connections take of a NUMA node, if they spread like the present socks."""

    bytes: float
    free_bytes: float | None
    """Free memory that the node gives before the kernel reclaims memory; None if unknown."""
    connections: int | None
    """Number of planned connections for which `free_bytes` has room, if all of them are on this node."""


class PlanBuffers(NamedTuple):
    """The buffers of one planned socket; None for what is unknown."""

    charge_bytes: float | None
    """What the kernel charges, of which tcp_mem is the limit."""
    memory_bytes: float | None


class Plan(NamedTuple):
    """What the planned connections take, and whether they fit."""

    request: PlanRequest
    parts: tuple[PlanPart, ...]
    missing: tuple[str, ...]
    """Objects whose size is unknown.

    If the size of any object is unknown, the sums are lower bounds.
    """
    nodes: Mapping[int, PlanNode] | None
    """The share of each node, if new sockets spread like the present socks; None if the spread is unknown."""
    full_nodes: tuple[int, ...]
    """Nodes on which the plan takes more memory than the node has free."""
    limits: tuple[PlanLimit, ...]
    """The limits that the plan affects; the limit that is reached with the fewest connections comes first."""
    sysctls: tuple[PlanSysctl, ...]
    """Without the sysctls of which no value is enough; the notes of `limits` name these sysctls."""
    ports: int | None
    """Number of local ports in ip_local_port_range; None if unknown."""
    ports_unknown_because: str | None
    """Reason that `ports` is None; follows the name of the file."""
    verdict: Verdict
    unknown_because: str | None
    """Reason that the verdict is `cannot say`."""
    buffers: PlanBuffers
    tracks_flows: bool
    """Whether this network namespace has tracked flows now, so that a plan has them unless the user says no."""
    mini_sockets: int = 0
    """Number of planned mini-sockets: of `request`, at most as many as tcp_max_tw_buckets has room for."""
    bytes_per_connection: float | None = None
    """Bytes of a planned connection at most, or at least if a size is missing; without the mini-sockets."""
    connections_before_reclaim: int | None = None
    """Number of planned connections that fit into memory before the kernel reclaims memory; None if unknown.

    If the size of an object is unknown, this number is an upper bound.
    """
    not_counted: tuple[UncountedLimit, ...] = ()
    """The limits with an alarm that are not in `limits`; the most severe state comes first."""

    @property
    def bytes(self) -> float | None:
        """Bytes of all planned objects; a lower bound if the size of an object is missing, None if no size is known."""
        return sum(part.bytes for part in self.parts) if self.parts else None

    @property
    def high_bytes(self) -> float | None:
        """Upper bound on the bytes of all planned objects; None without an upper bound."""
        return None if self.missing or not self.parts else sum(part.high_bytes for part in self.parts)

    @property
    def first(self) -> PlanLimit | None:
        """The limit that is reached first; None if no limit is known."""
        known = [limit for limit in self.limits if limit.connections is not None]
        return min(known, key=lambda limit: limit.connections or 0, default=None)
