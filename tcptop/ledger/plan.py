"""What planned connections take, and whether they fit."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from tcptop.ledger.limits import Limit, LimitState

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
