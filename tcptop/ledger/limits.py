"""Limits on sockets with their headroom and state, and the counters of events at which a limit was reached."""

from typing import Literal, NamedTuple

from tcptop.kernel.events import EventUnit
from tcptop.kernel.limits import (
    CGROUP_LIMIT,
    LIMITS,
    TIME_WAIT_LIMIT,
    LimitConcern,
    LimitName,
    LimitScope,
    LimitUnit,
    Threshold,
    limit_label,
)
from tcptop.ledger.amount import HIDDEN_ERROR_SHARE

MAX_LOOK_AGE_S = 300.0
"""Maximum age in seconds of a look from which limits are computed. Beside them stands its age."""

MIN_ALARM_AGE_S = 60.0
"""Age in seconds of a look up to which it raises alarms."""
NEARLY_REACHED_SHARE = 0.8
"""Used share from which a limit that only a look at the sockets tells is named, though it has no alarm: an accept queue
has no thresholds, since one near its limit is usual for an instant."""
NEEDING_LOOK = frozenset(limit.name for limit in LIMITS if limit.needs_look)
"""Names of the limits that only a look at the sockets tells."""
LOOK_REST = 400
"""A look raises alarms up to an age of so many times its duration, too: looks that repeat themselves rest for 200 times
their CPU time, and an alarm shall not end before the next look."""


def max_alarm_age_s(took_us: int) -> float:
    """Age in seconds up to which a look that took `took_us` raises alarms."""
    return min(MAX_LOOK_AGE_S, max(MIN_ALARM_AGE_S, LOOK_REST * took_us / 1e6))


LimitState = Literal["ok", "near", "pressure", "full", "unknown"]
"""States of a limit; the state depends on how close the used amount is to the limit.

`ok`: the used amount is below both thresholds.
`near`: the used amount has reached the first threshold, but not the second.
`full`: the used amount has reached the second threshold.
`pressure`: the kernel says that TCP's buffers are above the second value of tcp_mem.
`unknown`: the used amount is unknown, or has so large an error that it may be on either side of a threshold.
"""


class Limit(NamedTuple):
    """A limit on sockets, with the amount that is used now and the headroom, in one accounting mode."""

    name: LimitName
    concerns: LimitConcern
    scope: LimitScope
    """The group of sockets, or of memory, to which the limit applies."""
    unit: LimitUnit
    used: int | None
    used_error: int | None
    """Error of `used`, in either direction; None if unknown."""
    maximum: int | None
    headroom_sockets: int | None
    """The number of further sockets that fit below the limit. In TIME_WAIT accounting, `headroom_sockets` counts
    mini-sockets; in full accounting, full sockets.

    `headroom_sockets` is None if it is unknown, or if the limit does not apply to this kind of socket.
    """
    threshold: Threshold | None
    """Thresholds that determine `state`; None if the limit has no thresholds."""
    state: LimitState
    then: str
    """The reaction of the kernel when the limit is reached."""
    note: str
    """The assumption behind `headroom_sockets`, or the reason why `headroom_sockets` or `used` is unknown; may be
    empty."""
    used_is_at_most: bool = False
    """True if `used` is an upper bound, because reclaim may free a part of the used memory."""
    maximum_is_at_most: bool = False
    """True if `maximum` is an upper bound, because some local ports may be reserved, because the limit of a cgroup
    above a memory cgroup is unknown, or, of memory, because only HighMem is known not to be for slabs."""
    reclaimable: int = 0
    """Upper bound on the part of `used` that reclaim may free: reclaimable slabs, in the limit of a memory cgroup."""
    headroom_is_at_least: bool = False
    """True if `headroom_sockets` is a lower bound, because some objects of a socket may not be charged, because slabs
    of a cgroup may be reclaimed, or because the counter of open files, or the average that tcp_mem is divided by, has
    an error."""
    headroom_is_at_most: bool = False
    """True if `headroom_sockets` is an upper bound, because the size of some object of a socket is unknown."""
    headroom_low: int | None = None
    """The lower bound on the number, if `headroom_sockets` is an upper bound and a lower one above 0 is known."""
    left_out_zones: tuple[str, ...] = ()
    """Names of the zones whose memory `used` and `maximum` leave out, because slabs cannot use it."""
    left_out_cma_bytes: int = 0
    """Free memory of CMA that `used` and `maximum` leave out, because slabs cannot use it."""
    left_out_huge_page_bytes: int = 0
    """Memory in pools of huge pages that `used` and `maximum` leave out, because slabs cannot use it."""
    of_seen: str = ""
    """The part of the machine that `used` is of, such as `of the namespaces seen`, if a look at the sockets saw only a
    part; otherwise empty."""
    look_lacks: str = ""
    """The reason why a look at the sockets does not tell `used`; empty if it does, or without a look."""
    event_growth: int | None = None
    """Growth of the counter of the limit's event since the reading before; None if the counter has not grown."""
    is_by_event: bool = False
    """True if `state` follows from the growth of that counter alone, and not from the use."""
    owner: str = ""
    """The process, or the port and process of the listener, that `used` is of; empty if unknown."""
    is_in_other_netns: bool = False
    """True if that process or listener is in another network namespace than tcptop."""
    others: int = 0
    """Number of further accept queues that are full, besides the one that `used` is of."""
    look_age_s: int = 0
    """Age in seconds of the look that `used` is from, in steps of ten seconds; 0 without a look."""

    @property
    def left_out_text(self) -> str:
        """The memory that `used` and `maximum` leave out, such as `without zone Movable`; empty without any."""
        names = list(self.left_out_zones)
        if names:
            names[0] = f"zone{'s' if len(names) > 1 else ''} {names[0]}"
        names += ["free CMA"] if self.left_out_cma_bytes else []
        names += ["huge pages"] if self.left_out_huge_page_bytes else []
        return f"without {' and '.join(names)}" if names else ""

    @property
    def label(self) -> str:
        """The name of the limit that the user sees."""
        return limit_label(self.name)

    @property
    def ratio(self) -> float | None:
        """`used` ÷ `maximum`; None if `used` or `maximum` is unknown or only a bound on `maximum`, or if it is 0."""
        is_known = self.used is not None and self.maximum and not self.maximum_is_at_most
        return (self.used or 0) / (self.maximum or 1) if is_known else None

    @property
    def at_least_ratio(self) -> float | None:
        """Lower bound on the used share, if `maximum` is only an upper bound; None otherwise, or if it is 0 or unknown.

        A cgroup above a memory cgroup may have a lower limit than `maximum`, but not a higher one.
        """
        if not self.maximum_is_at_most or self.used is None or not self.maximum:
            return None
        least = 0 if self.used_is_at_most or self.used_error is None else self.used - self.used_error
        return least / self.maximum if least > 0 else None

    @property
    def at_most_used(self) -> int | None:
        """Upper bound on the used amount, if only an upper bound is known; otherwise None.

        Only an upper bound is known if `used` is itself an upper bound, or if the counter's value is not above the
        counter's error. If the counter's value is not above the counter's error, the used amount may be 0.
        """
        if self.used is None:
            return None
        if self.used_is_at_most:
            return self.used
        return self.used + self.used_error if self.used_error and self.used <= self.used_error else None

    @property
    def at_most_ratio(self) -> float | None:
        """`at_most_used` ÷ `maximum`; None if `at_most_used` or `ratio` is None."""
        if self.at_most_used is None or self.ratio is None or not self.maximum:
            return None
        return self.at_most_used / self.maximum

    @property
    def used_is_about(self) -> bool:
        """True if `used` may be too high or too low by more than a small share, and is surely above 0.

        The use of a cgroup's limit has no error; without a known maximum it has no known share.
        """
        if self.used is None or self.at_most_used is not None or self.name == CGROUP_LIMIT:
            return False
        return self.used_error is None or self.used_error > HIDDEN_ERROR_SHARE * self.used

    @property
    def least_headroom(self) -> int | None:
        """The number of further sockets that fit at least; if no such number is known, `headroom_sockets`."""
        return self.headroom_sockets if self.headroom_low is None else self.headroom_low

    @property
    def shows_upper_bound(self) -> bool:
        """True if the number that is shown is an upper bound, because no lower one is known."""
        return self.headroom_is_at_most and self.headroom_low is None

    @property
    def is_nearly_reached(self) -> bool:
        """True if only a look at the sockets tells the use, and the use is at least NEARLY_REACHED_SHARE."""
        return self.name in NEEDING_LOOK and (self.ratio or 0.0) >= NEARLY_REACHED_SHARE

    @property
    def is_quiet(self) -> bool:
        """True for the limit of mini-sockets where it stops none of the counted sockets: its state is no alarm."""
        return self.concerns == "TIME_WAIT" and not self.stops_new_sockets

    @property
    def stops_new_sockets(self) -> bool:
        """True if the limit stops new sockets, and its headroom is known."""
        return self.headroom_sockets is not None and self.concerns != "orphans"


class Limits(NamedTuple):
    """All limits on sockets, the nearest first.

    Limits with an alarm come first, but for mini-sockets, whose limit stops no new socket. Limits that stop new sockets
    come second, sorted by their headroom. Then come the nearly reached limits that only a look tells, and then the
    other limits that do not stop new sockets, sorted by the share that is used. Limits whose used amount is unknown
    come last. If the limit of mini-sockets is nearly full, it comes right after the first of the limits that stop new
    sockets and have no alarm.
    """

    rows: tuple[Limit, ...]

    @property
    def first(self) -> Limit | None:
        """The limit with the least headroom among those that stop new sockets; None if no headroom is known.

        Of a limit whose headroom is a range, the low end counts.
        """
        return min(
            (limit for limit in self.rows if limit.stops_new_sockets),
            key=lambda limit: limit.least_headroom or 0,
            default=None,
        )

    @property
    def first_most(self) -> Limit | None:
        """The limit below which the fewest sockets fit at most; None if the headroom of the first limit is no range."""
        first = self.first
        if first is None or first.headroom_low is None:
            return None
        return min(
            (limit for limit in self.rows if limit.stops_new_sockets and not limit.headroom_is_at_least),
            key=lambda limit: limit.headroom_sockets or 0,
        )

    @property
    def maybe_first(self) -> tuple[Limit, ...]:
        """The limits that may be reached before the first one, or at the same number, the nearest first.

        They are those with less than the high end of the first one's headroom, and those of which only an upper bound
        is known.
        """
        first, most = self.first, self.first_most
        if first is None:
            return ()
        high = None if most is None else most.headroom_sockets
        others = (limit for limit in self.rows if limit.stops_new_sockets and limit is not first)
        return tuple(
            sorted(
                (
                    limit
                    for limit in others
                    if limit.shows_upper_bound or (high is not None and (limit.least_headroom or 0) <= high)
                ),
                key=lambda limit: limit.least_headroom or 0,
            )
        )

    @property
    def alarms(self) -> tuple[Limit, ...]:
        """The limits in a state of `ALARM_STATES`, the most severe state first."""
        return tuple(
            sorted(
                (limit for limit in self.rows if limit.state in ALARM_STATES),
                key=lambda limit: (-ALARM_STATES.index(limit.state), -(limit.ratio or 0.0)),
            )
        )


ALARM_STATES: tuple[LimitState, ...] = ("near", "pressure", "full")
"""The states that count as an alarm, from the least severe to the most severe."""
STATE_MARGIN_PERCENT = 5.0
"""A state ends when the used amount has fallen below the state's threshold by more than this percentage of the
limit."""


class Event(NamedTuple):
    """A counter that the kernel increases when a limit is reached, or when a connection is cut off."""

    name: str
    unit: EventUnit
    limit: LimitName | None
    """Name of the limit that causes the event; None if the limit is not in `Limits`."""
    is_routine: bool
    """True if ordinary traffic also increases the counter; growth of the counter is then no alarm."""
    total: int | None
    """Value of the counter; None if its file was not read, or if the kernel does not have it.

    The counter starts at 0 when the kernel boots or, in a network namespace made later, when the namespace is made.
    """
    per_s: float | None
    """Growth of the counter per second between the last two readings."""
    grown: int | None
    """Growth of the counter within the last minute or, in a report, since the previous reading. None if unknown."""
    since_mark: int | None
    """Growth of the counter since the user set a mark; None if there is no mark, or if the growth is unknown."""

    @property
    def is_unusual(self) -> bool:
        """True if `grown` is above 0 and ordinary traffic does not increase the counter."""
        return bool(self.grown) and not self.is_routine

    @property
    def is_alarm(self) -> bool:
        """True if `is_unusual`, except for skipped TIME_WAIT, which stops no socket."""
        return self.is_unusual and self.limit != TIME_WAIT_LIMIT
