"""Bytes that one socket takes: the next socket, the present sockets on average, and a socket in each TCP state.

The bytes are computed in accounting/connection_cost.py, socket_average.py and state_costs.py.
"""

from collections.abc import Mapping
from math import inf
from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount
from tcptop.ledger.sockets import CountScope

AccountingMode = Literal["full", "time_wait"]
Family = Literal["ipv4", "ipv6", "mix"]


class ObjectCost(NamedTuple):
    """The bytes that one kind of kernel object adds to the cost of a socket."""

    object: str
    """`KernelObject.struct`."""
    label: str
    cache: str
    count: float  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects per socket; a fraction if sockets share an object, or if only some sockets have an object."""
    object_bytes: float
    slab_bytes: float | None
    high_slab_bytes: float | None
    """Upper bound on the slab bytes; larger than `slab_bytes` if the object's size is known only within bounds."""
    estimated: bool
    computed: bool = False
    """True if the object's sizes were computed by SLUB's rules."""
    high_cache: str | None = None
    """If the object may be in one of several caches, the cache from which `high_slab_bytes` was computed."""


class Slice(NamedTuple):
    """A part of a bar: the sum of the costs that have the same label."""

    label: str
    bytes: float


class SocketCost(NamedTuple):
    """The bytes that one more socket takes, in a given state and on a given side of the connection.

    If the kernel lacks a kind of object that the socket needs, the socket cannot exist, and `object_bytes` and
    `slab_bytes` are None.
    """

    object_bytes: float | None
    slab_bytes: float | None
    missing: tuple[str, ...]
    """Objects of the socket whose size or slab share is unknown.

    If `missing` is not empty, `object_bytes` and `slab_bytes` are lower bounds.
    """
    parts: tuple[ObjectCost, ...]
    slices: tuple[Slice, ...]

    @property
    def high_slab_bytes(self) -> float | None:
        """Upper bound on `slab_bytes`: the sum of the upper bounds of the parts; None if unknown."""
        if self.slab_bytes is None:
            return None
        return self.slab_bytes + sum((part.high_slab_bytes or 0.0) - (part.slab_bytes or 0.0) for part in self.parts)

    def slab_bounds(self, own_port: bool = False) -> Amount | None:
        """Bounds on the slab bytes; None if unknown.

        If `own_port` is true, the slab bytes include the bind buckets of a local port. Sockets may share bind buckets,
        so only the upper bound on the buckets' bytes is known, and the lower bound is 0.
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
        """True if the sizes of at least one object in `parts` were computed by SLUB's rules."""
        return any(part.computed for part in self.parts)

    @property
    def complete(self) -> bool:
        """True if the size of every object is known."""
        return not self.missing


class CostBySide(NamedTuple):
    """The cost of a socket that a server accepted, and of an outgoing socket, which owns its local port."""

    accepted: SocketCost
    outgoing: SocketCost


class ConnectionCost(NamedTuple):
    """Bytes per connection in one accounting mode: the cost of the next socket, and the present average."""

    by_family: Mapping[Family, CostBySide]
    idle_bytes_per_socket: float | None
    buffer_bytes_per_socket: float | None
    now_bytes: float | None
    """Average slab bytes per socket, including `idle_bytes_per_socket`."""
    now_is_at_most: bool
    """True if `now_bytes` and `idle_bytes_per_socket` are upper bounds.

    The averages are upper bounds if the machine may have more sockets than are counted.
    """
    now_unknown_because: str | None
    now_slices: tuple[Slice, ...]
    """Slices that add up to `now_bytes`; empty if `now_bytes` is unknown."""
    now_divisor: int | None = None
    """The number of mini-sockets that `now_bytes` is an average over; None in full accounting, and without average."""
    now_held_because: str | None = None
    """The reason why the averages are from an earlier read of the caches; None if they are from the last read."""
    now_read_at_unix_s: float | None = None
    """Unix time when the counts for `now_bytes` were read; None if there is no average, or if the files come from a
    saved tree."""

    @property
    def now_bounds(self) -> Amount | None:
        """Bounds on `now_bytes`; None if `now_bytes` is unknown.

        If the size of an object is unknown, the upper bound is infinite.
        """
        amount, is_complete = self.now_bytes, self.by_family["mix"].accepted.complete
        if amount is None:
            return None
        return Amount(0.0 if self.now_is_at_most else amount, amount if is_complete else inf)


class StateCost(NamedTuple):
    """The cost of one socket in a given TCP state, and the number of sockets in this state."""

    state: str
    holds: str
    """Text that says which objects of an open socket still exist in this state."""
    accepted: SocketCost | None
    """Cost of a server's socket; None if only sockets that own their local port can be in this state."""
    outgoing: SocketCost | None
    """Cost of a socket that owns its local port; None if only a server's sockets can be in this state."""
    unread_fin_parts: tuple[ObjectCost, ...] | None
    """Objects that store a received FIN until the program reads the FIN.

    `unread_fin_parts` is None if the state has no unread FIN, or if the objects are unknown.
    """
    count: int | None  # type: ignore[assignment]  # tuple.count gives way
    count_is_upper_bound: bool
    """True if `count` is an upper bound."""
    scope: CountScope | None
    """The scope that `count` covers; None if `count` is None."""
    note: str
    """Text that says which sockets of other states `count` includes, or why `count` is None."""

    @property
    def unread_fin_bytes(self) -> float | None:
        """Slab bytes of an unread FIN; None if the state has no unread FIN, or if the bytes are unknown."""
        parts = self.unread_fin_parts
        return None if parts is None else sum(part.slab_bytes or 0.0 for part in parts)
