"""The figures of one machine in the table of hosts, and the state of a machine that may not answer."""

from typing import NamedTuple

from tcptop.ledger import Amount, Event, Headroom, HostFacts, Limits, SocketCost, SocketCounts, TcpMemory


class HostRow(NamedTuple):
    """Those figures of one machine's Ledger that the table of hosts shows. None means unknown, never 0."""

    taken_at_unix_s: float | None
    host: HostFacts
    one_more: SocketCost
    """Bytes that one more accepted socket takes: the average, weighted by the machine's shares of IPv4 and IPv6."""
    average: Amount | None
    """Bounds on the bytes per present socket, as in `ConnectionCost.now_bounds`."""
    sockets: SocketCounts
    """The changes per second are computed over the last RATE_S seconds."""
    tcp_memory: TcpMemory
    headroom: Headroom
    limits: Limits
    events: tuple[Event, ...]
    reason: str | None = None
    """The reason why figures are unknown, in one line; None if the files of the table could be read."""

    @property
    def growing(self) -> tuple[Event, ...]:
        """The events whose counter has grown; events that ordinary traffic also causes are left out."""
        return tuple(event for event in self.events if event.is_unusual)


class HostLook(NamedTuple):
    """The state of a machine in the table: its latest row, and whether the machine answers."""

    name: str
    """The name with which tcptop connects to the machine."""
    row: HostRow | None = None
    """The figures of the machine's latest answer; None before the first answer."""
    age_s: float | None = None
    """Time in seconds since the machine's latest answer."""
    lost_because: str | None = None
    """The reason, in one line, why the machine does not answer. None if the machine answers, or was not asked yet."""
    again_in_s: float | None = None
    """Time in seconds until a machine that does not answer is asked again; None while a request is under way."""
    waits_s: float = 0.0
    """Time in seconds since tcptop began to ask the machine, or to connect to it; 0 while no answer is awaited."""

    @property
    def answers(self) -> bool:
        """True if the machine answered when it was last asked."""
        return self.row is not None and self.lost_because is None
