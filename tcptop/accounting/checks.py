"""Checks of limits and figures against thresholds or given ranges, for monitoring plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple

from tcptop.accounting.cache_table import COST_SOURCES
from tcptop.accounting.cgroup_limit import buffer_limit_text
from tcptop.kernel.limits import CGROUP_LIMIT, LIMIT_BY_NAME, LIMITS, look_needed_text
from tcptop.ledger import ALARM_STATES, Amount, Ledger, Limit
from tcptop.snapshot import DAMAGED
from tcptop.text.ranges import Range
from tcptop.text.units import grouped, plain_number

CheckState = Literal["OK", "WARNING", "CRITICAL", "UNKNOWN"]

SEVERITY: tuple[CheckState, ...] = ("OK", "UNKNOWN", "WARNING", "CRITICAL")
"""The states of a check, from the least severe to the most severe.

The state of several checks together is the most severe of their states.
"""

BYTES_PER_CONNECTION, IDLE, GROWTH = "bytes_per_connection", "idle", "growth"

LIMIT_NAMES: tuple[str, ...] = tuple(limit.name for limit in LIMITS)
FIGURE_UNITS: Mapping[str, str] = {BYTES_PER_CONNECTION: "B", IDLE: "B", GROWTH: ""}
"""Units of the checked figures that are not limits. The unit of a limit is always per cent."""
CHECK_NAMES: tuple[str, ...] = (*LIMIT_NAMES, *FIGURE_UNITS)

UNLIMITED = "no limit"
NEEDS_LOOK = "only a look at the sockets tells: --who, or -r with a recording of record --who"
SYSCTL_UNKNOWN = ("not known", "not visible")
"""A note of a limit that begins with one of these texts says why a sysctl is unknown. The function `_why_unseen()` in
limits.py writes the notes."""

FIGURE_SOURCES: Mapping[str, tuple[str, ...]] = {
    BYTES_PER_CONNECTION: COST_SOURCES,
    IDLE: COST_SOURCES,
    GROWTH: ("sockstat",),
}


class Ranges(NamedTuple):
    """The warning and critical ranges that the user gave for one check.

    If a range is None, the current thresholds of the limit apply.
    """

    warn: Range | None = None
    critical: Range | None = None


NO_RANGES = Ranges()


class SocketGrowth(NamedTuple):
    """Growth of the number of sockets, per second.

    Without two samples, the growth is None, and `unknown_because` says why.
    """

    per_s: float | None
    unknown_because: str | None


class Check(NamedTuple):
    """A limit or figure that was checked, and the resulting state."""

    name: str
    unit: str
    """Unit of the value: `%` or `B`; an empty string if the unit is sockets per second."""
    value: float | None
    state: CheckState
    warn: str | None
    """The range of values that cause no warning, in the notation of the Monitoring Plugins guidelines; None without a
    range."""
    critical: str | None
    limit: Limit | None
    note: str
    """The reason why the value or the state is unknown; `no limit` if the kernel sets no limit; may be empty."""
    bounds: tuple[float, float] | None = None
    """Bounds on `value`; None if unknown."""
    is_beyond_range: bool = False
    """True if `state` follows from a range or a threshold: the value violates the range, or has reached the
    threshold."""
    alarm: str = ""
    """The cause of a state that does not follow from a range: an event, memory pressure or a maximum of 0; may be
    empty."""
    remark: str = ""
    """A fact that does not change the state: a limit of buffers of a cgroup that is reached, or the part of
    the machine that a look saw; may be empty."""


def run_checks(
    ledger: Ledger,
    names: Sequence[str],
    ranges: Mapping[str, Ranges],
    growth: SocketGrowth,
    has_conntrack_limit: bool | None,
) -> tuple[Check, ...]:
    """Checks the limits and figures in `names`; the most severe state comes first in the result.

    If `names` is empty, every limit whose use is known is checked. The limits and figures in `ranges` are always
    checked. A memory cgroup that the user named is always checked. `has_conntrack_limit` is False if nf_conntrack_max
    is 0.
    """
    named = [*names, *ranges, *([CGROUP_LIMIT] if ledger.cgroup is not None else [])]
    limits: dict[str, Limit] = {limit.name: limit for limit in ledger.limits["full"].rows}
    known = (
        []
        if names
        else [
            name
            for name, limit in limits.items()
            if limit.ratio is not None or limit.state in ALARM_STATES or _contradiction(ledger, name)
        ]
    )
    checks = [
        _check(ledger, name, limits.get(name), ranges.get(name, NO_RANGES), growth, has_conntrack_limit)
        for name in dict.fromkeys([*([] if names else known), *named])
    ]
    # If the error of a counter is too large to decide the state of a limit, the state is UNKNOWN. If the user did not
    # name the limit, UNKNOWN would alert an administrator without a reason. The state of a limit that the user did not
    # name is therefore OK instead of UNKNOWN.
    checks = [
        check._replace(state="OK")
        if check.state == "UNKNOWN" and check.name not in named and not _contradiction(ledger, check.name)
        else check
        for check in checks
    ]
    return tuple(sorted(checks, key=lambda check: -SEVERITY.index(check.state)))


class UncheckedLimit(NamedTuple):
    """A limit that is not checked, because its use or its maximum is unknown, and the reason."""

    name: str
    reason: str


def unchecked_limits(ledger: Ledger, checks: Sequence[Check]) -> tuple[UncheckedLimit, ...]:
    """The limits of this host that are in no check: a file could not be read, or only a look at the sockets tells."""
    names = {check.name for check in checks}
    return tuple(
        UncheckedLimit(limit.name, _limit_note(ledger, limit))
        for limit in ledger.limits["full"].rows
        if limit.ratio is None and limit.name not in names
    )


def _contradiction(ledger: Ledger, name: str) -> str:
    """The reason why a limit or figure is not trusted; empty if it is trusted.

    A limit or figure is not trusted if it is computed from a file that is cut or has impossible figures. Nor is a limit
    whose use is unknown, if its file has damaged lines.
    """
    sources = FIGURE_SOURCES[name] if name in FIGURE_SOURCES else LIMIT_BY_NAME[name].sources
    limit = next((limit for limit in ledger.limits["full"].rows if limit.name == name), None)
    is_unknown = limit is not None and limit.used is None
    return next(
        (
            ledger.sources[source].reason or ""
            for source in sources
            if source in ledger.doubted or (is_unknown and ledger.sources[source].state in DAMAGED)
        ),
        "",
    )


def worst_state(checks: Sequence[Check]) -> CheckState:
    """The most severe state of all checks; UNKNOWN if there are no checks."""
    return max((check.state for check in checks), key=SEVERITY.index, default="UNKNOWN")


def _check(
    ledger: Ledger,
    name: str,
    limit: Limit | None,
    ranges: Ranges,
    growth: SocketGrowth,
    has_conntrack_limit: bool | None,
) -> Check:
    if name in FIGURE_UNITS:
        found = _figure(name, *_bounds(ledger, name, growth), ranges)
        contradiction = _contradiction(ledger, name)
        if not contradiction:
            return found
        return found._replace(state=max(found.state, "UNKNOWN", key=SEVERITY.index), note=contradiction)
    if limit is None:
        return _absent_limit(ledger, name, ranges, has_conntrack_limit)
    threshold = limit.threshold
    bounds = _percent_bounds(limit)
    least, alarm = _alarm(ledger, limit)
    by_range = _state_by_range(limit, bounds, ranges)
    contradiction = _contradiction(ledger, name)
    note = contradiction or _limit_note(ledger, limit)
    remark = limit.of_seen
    if name == CGROUP_LIMIT and ledger.cgroup is not None:
        remark = buffer_limit_text(ledger.cgroup, only_reached=True)
    believed: CheckState = "UNKNOWN" if contradiction else "OK"
    if limit.concerns == "TIME_WAIT":
        # The limit of mini-sockets stops no new socket, so it is critical only if the user gave a range for that.
        least = min(least, "WARNING", key=SEVERITY.index)
        by_range = by_range if ranges.critical else min(by_range, "WARNING", key=SEVERITY.index)
    state = max(by_range, least, believed, key=SEVERITY.index)
    return Check(
        name=name,
        unit="%",
        value=None if limit.ratio is None else 100 * limit.ratio,
        state=state,
        warn=ranges.warn.text if ranges.warn else plain_number(threshold.warn) if threshold else None,
        critical=ranges.critical.text if ranges.critical else plain_number(threshold.critical) if threshold else None,
        limit=limit,
        note=note,
        bounds=bounds,
        is_beyond_range=by_range == state,
        alarm=alarm if least == state else "",
        remark="" if remark in note else remark,
    )


def _limit_note(ledger: Ledger, limit: Limit) -> str:
    """The reason why a limit's use or state is unknown; may be empty."""
    if limit.maximum == 0 and limit.used is not None:
        return "" if limit.state in ALARM_STATES else limit.note
    if limit.name == CGROUP_LIMIT and (limit.ratio is None or limit.used_is_at_most):
        return limit.note
    if limit.ratio is not None and limit.used_error is None:
        return "its error is not known"
    if limit.ratio is not None:
        return "its error reaches across a threshold" if limit.used_error != 0 else ""
    known = LIMIT_BY_NAME[limit.name]
    if known.needs_look:
        return limit.look_lacks or (look_needed_text(ledger.live, True) if ledger.recorded else NEEDS_LOOK)
    if limit.maximum is None and limit.note.startswith(SYSCTL_UNKNOWN):
        return limit.note
    source = known.maximum_source if limit.maximum is None else known.use_source
    reason = None if source is None else ledger.sources[source].reason
    if reason is None and limit.name == "memory":
        return limit.note or "its figures are not known"
    return reason or "its file was not read"


def _absent_limit(ledger: Ledger, name: str, ranges: Ranges, has_conntrack_limit: bool | None) -> Check:
    """The check of a limit that has no row in the ledger.

    A limit has no row if the kernel sets no limit, if conntrack is not loaded, or if the user named no memory cgroup.
    """
    warn, critical = (each.text if each else None for each in ranges)
    state: CheckState = "OK"
    note = UNLIMITED
    if name == CGROUP_LIMIT:
        state, note = "UNKNOWN", "no memory cgroup is named: --cgroup PATH"
    elif name == "nf_conntrack_max" and has_conntrack_limit is not False:
        reason = ledger.sources["socket_limits"].reason
        state, note = "UNKNOWN", reason or "conntrack is not loaded, or its files cannot be seen here"
    return Check(name, "%", None, state, warn, critical, None, note)


def _percent_bounds(limit: Limit) -> tuple[float, float] | None:
    """Bounds on the use in per cent of the maximum; None if the use, the maximum or the error is unknown.

    If only an upper bound on the maximum is known, the use has no upper bound.
    """
    if limit.at_least_ratio is not None:
        return 100 * limit.at_least_ratio, inf
    if limit.ratio is None or not limit.maximum or limit.used_error is None:
        return None
    percent, error = 100 * limit.ratio, 100 * limit.used_error / limit.maximum
    return 0.0 if limit.used_is_at_most else max(0.0, percent - error), percent + error


def _alarm(ledger: Ledger, limit: Limit) -> tuple[CheckState, str]:
    """The least severe state that the check of a limit can report, and the reason for this state.

    The state is WARNING or CRITICAL in three cases: the maximum is 0, the counter of the limit's event has
    grown, or the kernel reports memory pressure. The user's ranges can only raise the check's state.
    """
    if limit.maximum == 0 and limit.state == "full":
        return "CRITICAL", "limit is 0"
    if limit.state == "pressure":
        return "WARNING", "under pressure, says the kernel"
    if limit.threshold is None and limit.state == "full":
        return "CRITICAL", f"full: {limit.then}"
    cause = LIMIT_BY_NAME[limit.name].event
    grown = next((event.grown for event in ledger.events if cause is not None and event.name == cause.name), None)
    if cause is None or not grown:
        return "OK", ""
    return "CRITICAL" if cause.state == "full" else "WARNING", f"{cause.name} grew by {grouped(grown)}"


def _has_reached(bounds: tuple[float, float] | None, level: float) -> bool | None:
    """True if the use has reached a threshold; None if the threshold is within the bounds, or these are unknown."""
    if bounds is None:
        return None
    return True if bounds[0] >= level else None if bounds[1] >= level else False


def _state_by_range(limit: Limit, bounds: tuple[float, float] | None, ranges: Ranges) -> CheckState:
    """The state of a limit, computed with the thresholds of the limit or with the ranges that the user gave.

    A limit without a threshold and without a range is OK if its use is known, or at least an upper bound on it. If a
    threshold or an edge of a range is within the bounds on the use, the state is UNKNOWN, and `run_checks` makes it OK
    for a limit that the user did not name.
    """
    if limit.name == CGROUP_LIMIT and limit.state == "ok" and limit.ratio is None:
        return "OK"
    if limit.threshold is None and ranges == NO_RANGES and limit.state in ALARM_STATES:
        return "OK"  # the alarm alone decides
    if limit.ratio is None and bounds is None:
        return "UNKNOWN"
    edges = bounds or (0.0, inf)  # without a known error, the counter shows no bound
    critical, warn = (
        given.alerts(*edges) if given is not None else level is not None and _has_reached(bounds, level)
        for given, level in (
            (ranges.critical, limit.threshold.critical if limit.threshold else None),
            (ranges.warn, limit.threshold.warn if limit.threshold else None),
        )
    )
    if critical:
        return "CRITICAL"
    if warn:
        return "WARNING"
    return "UNKNOWN" if warn is None or critical is None else "OK"


def _bounds(ledger: Ledger, name: str, growth: SocketGrowth) -> tuple[float | None, Amount | None, str]:
    """The value and the bounds of a figure that is not a limit, and the reason for an unknown value.

    The reason is empty if the value is known.
    """
    if name == BYTES_PER_CONNECTION:
        cost = ledger.costs["full"]
        return cost.now_bytes, cost.now_bounds, cost.now_unknown_because or ""
    if name == IDLE:
        bounds = ledger.slab_memory.idle_bounds
        reason = ledger.sources["slabinfo"].reason or "the slabs of TCP's caches are not known"
        return (None, None, reason) if bounds is None else (bounds.low, bounds, "")
    per_s = growth.per_s
    return per_s, None if per_s is None else Amount(per_s, per_s), growth.unknown_because or ""


def _figure(name: str, value: float | None, bounds: Amount | None, reason: str, ranges: Ranges) -> Check:
    warn, critical = (each.text if each else None for each in ranges)
    state: CheckState = "OK"
    if value is None or bounds is None:
        state = "UNKNOWN"
    else:
        alerts = [each.alerts(bounds.low, bounds.high) if each else False for each in ranges]
        if alerts[1]:
            state = "CRITICAL"
        elif alerts[0]:
            state = "WARNING"
        elif None in alerts:
            state, reason = "UNKNOWN", _crossing_text(name, bounds)
    return Check(
        name,
        FIGURE_UNITS[name],
        value,
        state,
        warn,
        critical,
        None,
        reason,
        bounds=None if bounds is None else (bounds.low, bounds.high),
        is_beyond_range=True,
    )


def _crossing_text(name: str, bounds: Amount) -> str:
    """The reason why it is unknown whether a figure is in a range: an edge of the range lies within its bounds."""
    if name == IDLE:
        free = "free objects on lists of CPUs count as active"
        return f"at least: {free}, and how many is not known" if bounds.high == inf else f"within bounds: {free}"
    return f"{'at least' if bounds.high == inf else 'within bounds'}: a part is not known"


def check_units() -> Iterator[tuple[str, str]]:
    """Yields the name of each check, and the unit of the check in words."""
    for name in LIMIT_NAMES:
        yield name, "per cent of the limit"
    yield BYTES_PER_CONNECTION, "bytes: what a socket costs on average now"
    yield IDLE, "bytes, at least: idle slab in TCP's own caches"
    yield GROWTH, "sockets per second"
