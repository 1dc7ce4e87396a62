"""A plan: the memory, files and other limits that planned connections use, and whether the connections fit."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tcptop.kernel.limits import LimitName, LimitScope, LimitUnit
from tcptop.ledger.amount import Amount
from tcptop.ledger.limits import Limit, LimitState

Side = Literal["accepted", "outgoing", "proxy", "mixed"]
PlannedFamily = Literal["ipv4", "ipv6", "mix"]
Verdict = Literal["fits", "does not fit", "cannot say"]
LimitVerdict = Literal["fits", "exceeded", "unknown"]
PLANNED_BUFFERS = "buffers"
"""Name of the part of a plan that stands for the buffers of the planned sockets."""


class PlanRequest(NamedTuple):
    """The request for a plan: the connections to plan, and their properties."""

    connections: int
    side: Side
    family: PlannedFamily
    """Address family of the connections.

    `mix` means that IPv4 and IPv6 have the same shares as among the present sockets. The headroom is computed with the
    same shares.
    """
    buffer_bytes: int | Literal["now"]
    """Bytes in the buffers of each socket.

    `now` means the average over the present sockets. The headroom is computed with the same average.
    """
    time_wait: int
    """Number of mini-sockets in TIME_WAIT, in addition to the connections."""
    with_epoll: bool
    with_conntrack: bool
    with_ktls: bool

    @property
    def accepted(self) -> int:
        """Number of accepted sockets; if the sides are mixed, half of the connections, rounded up."""
        return self.connections - (0 if self.side == "proxy" else self.outgoing)

    @property
    def outgoing(self) -> int:
        """Outgoing sockets."""
        return self._outgoing_of(self.connections)

    @property
    def outgoing_time_wait(self) -> int:
        """Number of mini-sockets from outgoing sockets; for a proxy, all mini-sockets."""
        return self._outgoing_of(self.time_wait)

    def _outgoing_of(self, number: int) -> int:
        return 0 if self.side == "accepted" else number // 2 if self.side == "mixed" else number

    @property
    def sockets(self) -> int:
        """Number of sockets; a connection through a proxy has two: an accepted socket and an outgoing socket."""
        return self.accepted + self.outgoing

    @property
    def flows(self) -> int:
        """Number of tracked flows: one for each socket, and one for each mini-socket in TIME_WAIT.

        The two sockets of a proxied connection have different peers, so each socket has its own flow.
        """
        return self.sockets + self.time_wait


class PlanPart(NamedTuple):
    """The planned objects of one kind."""

    object: str
    cache: str | None
    """Name of the cache that the objects come from.

    The name is None for buffers, and for kernel TLS, whose objects come from several caches.
    """
    count: float  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects; an upper bound if sockets may share an object."""
    bytes: float
    """Slab bytes, or the bytes of buffers."""
    high_bytes: float
    estimated: bool
    high_cache: str | None = None
    """If the objects may be in one of several caches, the cache from which `high_bytes` was computed."""


class PlanLimit(NamedTuple):
    """One limit, and the part of the limit that the planned connections take."""

    name: LimitName
    scope: LimitScope
    unit: LimitUnit
    used: int | None
    takes: int | None
    """Lower bound on the planned amount; None if unknown."""
    high_takes: int | None
    """Upper bound on the planned amount; None if there is no upper bound."""
    maximum: int | None
    free: int | None
    """Amount that is still free below the limit, computed as if `used` had no error; None if unknown."""
    verdict: LimitVerdict
    connections: int | None
    """Number of planned connections that fit below the limit; None if unknown.

    This number surely fits, within the error of `used`. If `connections_are_at_most` is true, `connections` is an upper
    bound. `connections` does not include the planned
    mini-sockets, whose number is fixed. The number is None for tcp_max_tw_buckets, because this limit stops no
    connection.
    """
    note: str
    """The reason why the verdict is `unknown`. If `connections` is None, the note says what happens when the limit is
    full. If even the largest value of the limit's sysctl is too small, the note says so. If memory is exceeded, the
    note says how much the plan needs. The note may be empty."""
    connections_are_at_most: bool = False
    """True if `connections` is an upper bound, because the size of a part or the free amount is unknown."""
    state: LimitState = "unknown"
    """The state of the limit with the planned connections."""
    at_most_used: int | None = None
    """Upper bound on the used amount, if only an upper bound is known (see `Limit.at_most_used`)."""
    used_error: int | None = 0
    """Error of `used` and of `free`, in either direction; None if unknown."""
    used_is_about: bool = False
    """True if the error of `used` is more than a small share of it (see `Limit.used_is_about`)."""
    used_is_at_most: bool = False
    """True if `used` is an upper bound (see `Limit.used_is_at_most`)."""
    high_connections: int | None = None
    """Upper bound on the number of planned connections that fit, if the error of `used`, or of tcp_mem's average, makes
    it larger than `connections`. For memory also the number that fits with each part at its least, if the buffers are
    a range, or if it is more than 1 % larger."""
    connections_are_at_least: bool = False
    """True if `connections` is a lower bound (see `Limit.headroom_is_at_least`); of memory, if parts are ranges."""
    other_parts_are_ranges: bool = False
    """True if the number of connections is a range, and not that of the buffers alone."""
    may_be_under_pressure: bool = False
    """True for tcp_mem if the planned buffers may bring it above its second value."""
    is_under_pressure: bool = False
    """True for tcp_mem if the planned buffers surely bring it above its second value. The state is `full` or `pressure`
    then."""

    @property
    def present_ratio(self) -> float | None:
        """The present use ÷ the maximum of the limit; None if unknown."""
        return self.used / self.maximum if self.used is not None and self.maximum else None

    @property
    def low_ratio(self) -> float | None:
        """The least share of the maximum that is used with the planned connections; None if unknown.

        It is computed from `takes` and from the least that may be used now.
        """
        if self.used is None or self.takes is None or not self.maximum:
            return None
        is_open = self.used_is_at_most or self.used_error is None
        return ((0 if is_open else max(0, self.used - (self.used_error or 0))) + self.takes) / self.maximum

    @property
    def ratio(self) -> float | None:
        """The largest share of the maximum that is used with the planned connections; None if unknown.

        It is computed from `high_takes` and from the most that may be used now. If there is no such upper bound, the
        ratio is `low_ratio`.
        """
        if self.ratio_is_at_least:
            return self.low_ratio
        if self.used is None or self.high_takes is None or not self.maximum:
            return None
        return (self.used + (self.used_error or 0) + self.high_takes) / self.maximum

    @property
    def ratio_is_at_least(self) -> bool:
        """True if `ratio` is a lower bound, because there is no upper bound on the planned or the used amount."""
        return self.high_takes is None or self.used_error is None


class UncountedLimit(NamedTuple):
    """A limit that has an alarm now, but that the plan does not affect."""

    limit: Limit
    why: str
    """The reason why the plan does not affect the limit, such as `no buffers planned`."""


ADVISED_PERCENT = 80
"""An advised value of a sysctl is so large that the plan uses less than this percentage of the value. The state NEAR
begins at this percentage."""


class PlanSysctl(NamedTuple):
    """A sysctl whose value must change if the plan is to fit."""

    limit: str
    """Name of the limit that the sysctl sets."""
    name: str
    now: tuple[int, ...]
    at_least: tuple[int, ...]
    """The smallest values with which the plan fits. For tcp_mem, the smallest values at which TCP has no memory
    pressure; if memory stops the plan, with as many connections as memory fits. For tcp_max_tw_buckets, the smallest
    value at which every closed connection gets its mini-socket."""
    advised: tuple[int, ...]
    """Advised values. If memory and the kernel allow it, the values are so large that the plan leaves a part of each
    value unused."""
    note: str = ""
    """The reason why an advised value was reduced to a maximum, the consequence, and the error of the counter that the
    value includes; may be empty."""


class PlanNode(NamedTuple):
    """The planned memory on a NUMA node, if new sockets spread over the nodes in the same way as the present socks."""

    bytes: float
    """Lower bound on the planned bytes."""
    free_bytes: float | None
    """Free memory of the node above the amount at which the kernel reclaims memory; None if unknown."""
    connections: int | None
    """Number of planned connections that fit into `free_bytes`, each with the average bytes of a connection when the
    free memory of all nodes is in use; None if unknown."""
    high_bytes: float | None = None
    """Upper bound on the planned bytes; None if there is no upper bound."""
    high_connections: int | None = None
    """`connections` with each part at its least, if the buffers are a range, or if it is more than 1 % larger.

    None otherwise.
    """


class PlanBuffers(NamedTuple):
    """The bytes of one planned socket's buffers; None if unknown, or if only bounds are known."""

    charge_bytes: float | None
    """Bytes that the kernel charges for the buffers; tcp_mem limits these bytes."""
    memory_bytes: float | None
    memory_bounds: Amount | None = None
    """Bounds on `memory_bytes`; None if unknown."""


class Plan(NamedTuple):
    """The memory and limits that the planned connections use, and whether the connections fit."""

    request: PlanRequest
    parts: tuple[PlanPart, ...]
    missing: tuple[str, ...]
    """Names of the objects whose size is unknown.

    If the size of any object is unknown, the sums are lower bounds.
    """
    nodes: Mapping[int, PlanNode] | None
    """The planned memory on each node, if new sockets spread over the nodes in the same way as the present socks; None
    if unknown."""
    full_nodes: tuple[int, ...]
    """Nodes on which the plan surely takes more memory than the node has free."""
    limits: tuple[PlanLimit, ...]
    """The limits that the plan affects, the limit that is reached with the fewest connections first."""
    sysctls: tuple[PlanSysctl, ...]
    """The sysctls to change. If even the largest value of a sysctl is too small, the sysctl is left out, and a note in
    `limits` says so."""
    ports: int | None
    """Number of local ports in ip_local_port_range that are not reserved; None if unknown."""
    ports_are_at_most: bool
    """True if `ports` is an upper bound, because it is unknown which ports are reserved."""
    ports_unknown_because: str | None
    """The reason why `ports` is None: a text to be shown after the name of the file."""
    nr_open: int | None
    """fs.nr_open, the largest possible limit on the open files of a process; None if unknown."""
    verdict: Verdict
    unknown_because: str | None
    """The reason why the verdict is `cannot say`."""
    buffers: PlanBuffers
    tracks_flows: bool
    """True if this network namespace has tracked flows now. If the namespace has tracked flows, the plan counts tracked
    flows, unless the user excludes flows."""
    mini_sockets: int = 0
    """Number of planned mini-sockets: `time_wait` of the request, but at most as many as tcp_max_tw_buckets has room
    for."""
    bytes_per_connection: float | None = None
    """Upper bound on the bytes of a planned connection, mini-sockets excluded.

    If the size of an object is unknown, this field has the lower bound instead.
    """
    full_bytes_per_connection: float | None = None
    """`bytes_per_connection` if so many connections are planned as fit into free memory, or into all that reclaim
    frees; None if that number is unknown.

    It is less than `bytes_per_connection` if client sockets then share more bind buckets, and more if fewer share one.
    """
    connections_before_reclaim: int | None = None
    """Number of planned connections that fit into memory before the kernel reclaims memory; None if unknown.

    If the size of an object is unknown, the number of connections is an upper bound.
    """
    spread_sockets: int | None = None
    """Number of present sockets whose spread over the nodes `nodes` assumes for the planned sockets; None if
    unknown."""
    maybe_full_nodes: tuple[int, ...] = ()
    """Nodes on which only the upper bound of the planned memory is more than the node has free."""
    not_counted: tuple[UncountedLimit, ...] = ()
    """The limits with an alarm that are not in `limits`, the most severe state first."""
    cgroup_pressure: str = ""
    """Words on the limit of buffers of a cgroup of cgroup v1, if the plan exceeds it or may: the limit stops no socket,
    but puts the sockets of the cgroup under pressure. Empty otherwise."""

    @property
    def bytes(self) -> float | None:
        """Bytes of all planned objects; a lower bound if the size of an object is missing, None if no size is known."""
        return sum(part.bytes for part in self.parts) if self.parts else None

    @property
    def high_bytes(self) -> float | None:
        """Upper bound on the bytes of all planned objects; None if there is no upper bound."""
        return None if self.missing or not self.parts else sum(part.high_bytes for part in self.parts)

    @property
    def first(self) -> PlanLimit | None:
        """The limit that is reached first; None if no limit is known."""
        known = [limit for limit in self.limits if limit.connections is not None]
        return min(known, key=lambda limit: limit.connections or 0, default=None)
