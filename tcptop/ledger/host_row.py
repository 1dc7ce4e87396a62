"""The figures of one machine in the table of hosts, and what is known of a machine that may not answer."""

from typing import NamedTuple

from tcptop.ledger import Amount, Event, Headroom, HostFacts, Limits, SocketCost, SocketCounts, TcpMemory


class HostRow(NamedTuple):
    """The figures of one machine: those of a Ledger that the table of hosts shows. None means unknown, never 0."""

    taken_at_unix_s: float | None
    host: HostFacts
    one_more: SocketCost
    """What one more socket takes on the server side, in the machine's mix of IPv4 and IPv6."""
    average: Amount | None
    """Bytes per present socket, as `ConnectionCost.now_bounds`."""
    sockets: SocketCounts
    """The changes per second are those over the last seconds (`RATE_S`)."""
    tcp_memory: TcpMemory
    headroom: Headroom
    limits: Limits
    events: tuple[Event, ...]
    reason: str | None = None
    """Why figures are unknown, in one line; None if the files of the table could be read."""

    @property
    def growing(self) -> tuple[Event, ...]:
        """The events that have grown, and that ordinary traffic does not cause."""
        return tuple(event for event in self.events if event.is_alarm)


class HostLook(NamedTuple):
    """What is known of a machine of the table: its latest row, and whether it answers."""

    name: str
    """The name by which the machine is asked."""
    row: HostRow | None = None
    """The figures of the latest look that was answered; None before the first."""
    age_s: float | None = None
    """Time since that look."""
    lost_because: str | None = None
    """Reason, in one line, why the machine does not answer; None if it answers, or has not been asked yet."""
    again_in_s: float | None = None
    """Time until a lost machine is asked again; None while it is being asked."""
    waits_s: float = 0.0
    """For how long the present look or connection is being waited for; 0 between two looks."""

    @property
    def answers(self) -> bool:
        """Whether the machine has answered the last look."""
        return self.row is not None and self.lost_because is None
