"""Limits on sockets, their headroom and states, and the events of sockets that reached a limit."""

from typing import Literal, NamedTuple

from tcptop.kernel.events import EventUnit

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
