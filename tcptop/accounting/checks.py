"""Checks of limits and figures against thresholds or given ranges, for monitoring plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple

from tcptop.accounting.limits import CGROUP_LIMIT, NEEDS_DUMP, THEN
from tcptop.ledger import ALARM_STATES, Amount, Ledger, Limit
from tcptop.text.ranges import Range

CheckState = Literal["OK", "WARNING", "CRITICAL", "UNKNOWN"]

SEVERITY: tuple[CheckState, ...] = ("OK", "UNKNOWN", "WARNING", "CRITICAL")
"""The states from the least severe to the most severe.

Several checks together have the most severe state that any of the checks has.
"""

BYTES_PER_CONNECTION, IDLE, GROWTH = "bytes_per_connection", "idle", "growth"

LIMIT_NAMES: tuple[str, ...] = tuple(THEN)
FIGURE_UNITS: Mapping[str, str] = {BYTES_PER_CONNECTION: "B", IDLE: "B", GROWTH: ""}
"""Units of the checked figures that are not limits. A limit is always checked in per cent."""
CHECK_NAMES: tuple[str, ...] = (*LIMIT_NAMES, *FIGURE_UNITS)

UNLIMITED = "no limit"


class Ranges(NamedTuple):
    """The ranges that the user gave for one check. If a range is None, the thresholds in force apply."""

    warn: Range | None = None
    critical: Range | None = None


NO_RANGES = Ranges()


class SocketGrowth(NamedTuple):
    """Growth of the number of sockets, per second.

    Without two samples, the growth is None, and `unknown_because` gives the reason.
    """

    per_s: float | None
    unknown_because: str | None


class Check(NamedTuple):
    """A limit or figure that was checked, and the resulting state."""

    name: str
    unit: str
    """`%` or `B`; an empty string if the unit is sockets per second."""
    value: float | None
    state: CheckState
    warn: str | None
    """The range of values that cause no warning, in the notation of the plugin guidelines; None without such a range.
    """
    critical: str | None
    limit: Limit | None
    note: str
    """The reason that the value or the state is unknown, or `no limit`; may be empty."""


def run_checks(
    ledger: Ledger,
    names: Sequence[str],
    ranges: Mapping[str, Ranges],
    growth: SocketGrowth,
    has_conntrack_limit: bool | None,
) -> tuple[Check, ...]:
    """Checks the limits and figures in `names`; the most severe state comes first in the result.

    If `names` is empty, every limit whose use is known is checked. The limits and figures in `ranges` are checked in
    any case. A memory cgroup that the user named is also checked in any case. `has_conntrack_limit` is False if
    nf_conntrack_max is 0.
    """
    named = [*names, *ranges, *([CGROUP_LIMIT] if ledger.cgroup is not None else [])]
    limits = {limit.name: limit for limit in ledger.limits["full"].rows}
    known = (
        []
        if names
        else [name for name, limit in limits.items() if limit.ratio is not None or limit.state in ALARM_STATES]
    )
    checks = [
        _check(ledger, name, limits.get(name), ranges.get(name, NO_RANGES), growth, has_conntrack_limit)
        for name in dict.fromkeys([*([] if names else known), *named])
    ]
    # A counter's error may be too large to decide the state of a limit. If the user did not name this limit, the state
    # is set to OK. Otherwise the plugin would alert an administrator without a reason.
    checks = [
        check._replace(state="OK") if check.state == "UNKNOWN" and check.name not in named else check
        for check in checks
    ]
    return tuple(sorted(checks, key=lambda check: -SEVERITY.index(check.state)))


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
        return _figure(name, *_bounds(ledger, name, growth), ranges)
    if limit is None:
        return _absent_limit(ledger, name, ranges, has_conntrack_limit)
    threshold = limit.threshold
    return Check(
        name=name,
        unit="%",
        value=None if limit.ratio is None else 100 * limit.ratio,
        state=_limit_state(limit, ranges),
        warn=ranges.warn.text if ranges.warn else f"{threshold.warn:g}" if threshold else None,
        critical=ranges.critical.text if ranges.critical else f"{threshold.critical:g}" if threshold else None,
        limit=limit,
        note=_limit_note(ledger, limit),
    )


def _limit_note(ledger: Ledger, limit: Limit) -> str:
    """The reason that a limit's use or state is unknown; may be empty."""
    if limit.name == CGROUP_LIMIT and limit.ratio is None:
        return limit.note
    if limit.ratio is not None:
        return "its error reaches across a threshold" if limit.used_error != 0 else ""
    if limit.threshold is None or NEEDS_DUMP in limit.note:
        return NEEDS_DUMP
    reason = ledger.sources["socket_limits"].reason or ledger.sources["sockstat"].reason
    return limit.note or reason or "not known: its file was not read"


def _absent_limit(ledger: Ledger, name: str, ranges: Ranges, has_conntrack_limit: bool | None) -> Check:
    """The check of a limit that has no row in the ledger.

    There are three cases: the kernel sets no limit, conntrack is not loaded, or the user named no memory cgroup.
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


def _limit_state(limit: Limit, ranges: Ranges) -> CheckState:
    """The state of a limit, from the thresholds of the limit or from the ranges that the user gave.

    If the kernel reports memory pressure, the state is at least a warning. If a threshold lies within the error of the
    counter, the limit raises no alarm.
    """
    if limit.name == CGROUP_LIMIT and limit.state == "ok" and limit.ratio is None:
        return "OK"
    under_pressure = limit.state == "pressure"
    if limit.ratio is None or limit.maximum is None:
        return "WARNING" if under_pressure else "UNKNOWN"
    percent = 100 * limit.ratio
    error = 100 * (limit.used_error or 0) / limit.maximum
    bounds = max(0.0, percent - error), percent + error
    is_known = limit.state != "unknown"
    critical: bool | None = limit.state == "full"
    warn: bool | None = limit.state in ("near", "full") or (None if not is_known else False)
    if ranges.critical is not None:
        critical = ranges.critical.alerts(*bounds)
    elif not is_known and limit.threshold is not None and percent >= limit.threshold.critical:
        critical = None
    if ranges.warn is not None:
        warn = ranges.warn.alerts(*bounds)
    if critical:
        return "CRITICAL"
    if warn or under_pressure:
        return "WARNING"
    return "UNKNOWN" if warn is None or critical is None else "OK"


def _bounds(ledger: Ledger, name: str, growth: SocketGrowth) -> tuple[float | None, Amount | None, str]:
    """The value and the bounds of a figure that is not a limit, and the reason if the value is unknown."""
    if name == BYTES_PER_CONNECTION:
        cost = ledger.costs["full"]
        return cost.now_bytes, cost.now_bounds, cost.now_unknown_because or ""
    if name == IDLE:
        idle = ledger.slab_memory.idle_bytes
        reason = ledger.sources["slabinfo"].reason or "the slabs of TCP's caches are not known"
        return idle, None if idle is None else Amount(idle, idle), "" if idle is not None else reason
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
            state, reason = "UNKNOWN", f"{'at least' if bounds.high == inf else 'within bounds'}: a part is not known"
    return Check(name, FIGURE_UNITS[name], value, state, warn, critical, None, reason)


def check_units() -> Iterator[tuple[str, str]]:
    """Yields the name of each check, and the unit of the check in words."""
    for name in LIMIT_NAMES:
        yield name, "per cent of the limit"
    yield BYTES_PER_CONNECTION, "bytes: what a socket costs on average now"
    yield IDLE, "bytes: idle slab in TCP's own caches"
    yield GROWTH, "sockets per second"
