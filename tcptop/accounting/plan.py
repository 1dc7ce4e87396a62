"""A plan: the memory that a number of further connections would take, and whether the limits allow the connections."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from math import inf
from typing import Literal

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_charge import unknown_charge_text
from tcptop.accounting.cgroup_limit import HIDDEN_ABOVE, buffer_pressure_text, limit_owner, nearest_limit
from tcptop.accounting.contradictions import without_contradictions
from tcptop.accounting.free_memory import spare_pages
from tcptop.accounting.headroom import EXACT_SHARE, share_of_objects
from tcptop.accounting.limits import limit_state
from tcptop.accounting.plan_needs import (
    Needs,
    average_charge_of,
    buffer_bytes_of,
    buffer_charge_of,
    exact_amount,
    planned_needs,
)
from tcptop.accounting.plan_sysctls import advised_sysctls, machine_bytes
from tcptop.kernel.limits import CGROUP_LIMIT, LIMIT_BY_NAME, TIME_WAIT_LIMIT, limit_label
from tcptop.kernel.objects import SOCKS
from tcptop.ledger import AccountingMode, Amount, Ledger, Limit, LimitState
from tcptop.ledger.amount import HIDDEN_ERROR_SHARE
from tcptop.ledger.plan import (
    PLANNED_BUFFERS,
    LimitVerdict,
    Plan,
    PlanBuffers,
    PlanLimit,
    PlanNode,
    PlanRequest,
    UncountedLimit,
)
from tcptop.snapshot import DAMAGED, Snapshot
from tcptop.text.units import grouped, rough_count, size

MIN_DOUBLED = 1000
"""The screen's first plan doubles the number of sockets if at least this number of sockets is open."""
UNGUIDED = 100_000
"""Number of connections in the screen's first plan if neither the sockets nor the headroom is known."""
MAX_GUESSES = 40
"""Maximum number of guesses at the number of connections that fit. Each guess has at most half the error of the guess
before it."""


def make_plan(snapshot: Snapshot, ledger: Ledger, request: PlanRequest) -> Plan:
    """Makes the plan for further connections on the machine of `snapshot`; `ledger` is the ledger of the snapshot."""
    page_bytes, has_flows = ledger.host.page_size_bytes, tracks_flows(snapshot)
    snapshot = without_contradictions(snapshot, page_bytes)
    table = CacheTable(snapshot, page_bytes)
    of_ports = next((limit for limit in ledger.limits["full"].rows if limit.name == "ports"), None)
    ports = None if of_ports is None else of_ports.maximum

    mini_sockets = _mini_sockets(ledger, request)

    @cache
    def needs_of(connections: int) -> Needs:
        return planned_needs(snapshot, table, ledger, request._replace(connections=connections), mini_sockets)

    def fit_into(free: float) -> int | None:
        return _most_connections(free, lambda number: _most(needs_of(number).memory))

    needs = needs_of(request.connections)
    parts, missing = needs.parts, needs.missing
    alone = planned_needs(snapshot, table, ledger, request._replace(time_wait=0), 0)
    limits = sorted(_limits(snapshot, ledger, request, mini_sockets, needs, needs_of), key=_connections)
    sysctls, notes = advised_sysctls(snapshot, ledger, request, limits, parts)
    limits = [_with_memory_needed(_with_note(limit, notes.get(limit.name))) for limit in limits]
    time_wait_bytes = max(0.0, _most(needs.memory) - _most(alone.memory))
    time_wait = Amount(max(0.0, needs.memory[0] - alone.memory[0]), time_wait_bytes)
    nodes = _by_node(table, ledger, needs.memory, time_wait, needs_of, fit_into)
    before_reclaim = _before_reclaim(ledger, _protection_error_bytes(snapshot, ledger), fit_into)
    in_all = before_reclaim or next((limit.connections for limit in limits if limit.name == "memory"), None)
    exceeded = any(limit.verdict == "exceeded" for limit in limits)
    reasons = [f"not known: {', '.join(missing)}"] if missing else []
    reasons += [f"{limit_label(limit.name)}: {limit.note}" for limit in limits if limit.verdict == "unknown"]
    return Plan(
        request=request,
        parts=tuple(parts),
        missing=tuple(missing),
        nodes=nodes,
        spread_sockets=ledger.sockets.allocated,
        full_nodes=tuple(
            number
            for number, node in (nodes or {}).items()
            if node.free_bytes is not None and node.bytes > node.free_bytes
        ),
        maybe_full_nodes=tuple(
            number
            for number, node in (nodes or {}).items()
            if node.free_bytes is not None
            and node.bytes <= node.free_bytes < (node.bytes if node.high_bytes is None else node.high_bytes)
        ),
        limits=tuple(limits),
        sysctls=tuple(sysctls.values()),
        ports=ports,
        ports_are_at_most=of_ports is not None and of_ports.maximum_is_at_most,
        ports_unknown_because=_why_unread(snapshot, "ip_local_port_range") if ports is None else None,
        nr_open=snapshot.sysctls.value.nr_open if snapshot.sysctls.value else None,
        verdict="does not fit" if exceeded else "cannot say" if reasons else "fits",
        unknown_because=reasons[0] if reasons and not exceeded else None,
        buffers=PlanBuffers(
            average_charge_of(ledger, request), exact_amount(buffers := buffer_bytes_of(ledger, request)), buffers
        ),
        tracks_flows=has_flows,
        mini_sockets=mini_sockets,
        bytes_per_connection=_most(alone.memory) / request.connections if alone.parts else None,
        full_bytes_per_connection=(_most(needs_of(in_all).memory) - time_wait_bytes) / in_all if in_all else None,
        connections_before_reclaim=before_reclaim,
        not_counted=_not_counted(ledger, {limit.name for limit in limits}),
        cgroup_pressure=_cgroup_pressure(snapshot, ledger, request),
    )


def _cgroup_pressure(snapshot: Snapshot, ledger: Ledger, request: PlanRequest) -> str:
    """Words on a limit of buffers of cgroup v1 that the planned buffers exceed, or may exceed; empty without one."""
    if snapshot.cgroup is None:
        return ""
    each = buffer_charge_of(ledger, request) or Amount(0.0, 0.0)
    return buffer_pressure_text(snapshot.cgroup, Amount(each.low * request.sockets, each.high * request.sockets))


def _mini_sockets(ledger: Ledger, request: PlanRequest) -> int:
    """Number of planned mini-sockets: at most as many as tcp_max_tw_buckets still allows.

    When tcp_max_tw_buckets is reached, a connection that is closed skips TIME_WAIT (net/ipv4/tcp_minisocks.c,
    tcp_time_wait).
    """
    row = next(limit for limit in ledger.limits["full"].rows if limit.name == TIME_WAIT_LIMIT)
    free = _free(row)
    return request.time_wait if free is None else min(request.time_wait, max(0, free))


def _not_counted(ledger: Ledger, counted: Collection[str]) -> tuple[UncountedLimit, ...]:
    return tuple(
        UncountedLimit(limit, LIMIT_BY_NAME[limit.name].not_planned)
        for limit in ledger.limits["full"].alarms
        if limit.name not in counted
    )


def _before_reclaim(ledger: Ledger, error_bytes: int, fit_into: Callable[[float], int | None]) -> int | None:
    """Number of planned connections that fit into memory before reclaim; None if unknown.

    The free memory may be too high by `error_bytes`.
    """
    headroom = ledger.headroom["full"]
    sockets, socket_bytes = headroom.without_reclaim_high, headroom.bytes_per_socket
    if headroom.late_bytes is None:
        return None  # the number of sockets is only an upper bound
    return None if sockets is None or not socket_bytes else fit_into(max(0.0, sockets * socket_bytes - error_bytes))


def tracks_flows(snapshot: Snapshot) -> bool:
    """True if this network namespace has tracked flows now.

    If the namespace has tracked flows, a plan includes tracked flows, unless the user excludes flows.
    """
    limits = snapshot.socket_limits.value
    return bool(limits and limits.conntrack_entries)


def first_request(snapshot: Snapshot, ledger: Ledger, mode: AccountingMode) -> tuple[PlanRequest, str]:
    """The plan that the screen shows first, and the reason for its number of connections.

    The first plan makes the same assumptions as the headroom: half of the sockets are outgoing, and families and
    buffers are as at present wherever the number of a limit counts them.

    The number of connections equals the number of open sockets, so that the number of sockets doubles. If fewer than
    MIN_DOUBLED sockets are open, a plan that doubles them would tell the user little, so the number of connections is
    half of the headroom.

    In TIME_WAIT accounting the plan also has as many mini-sockets as there are now, or, if fewer than MIN_DOUBLED are
    there, half of those that tcp_max_tw_buckets still allows.
    """
    sockets_now, first = ledger.sockets, ledger.limits["full"].first
    sockets = sockets_now.inuse_of_both
    fits = first.least_headroom if first is not None else None
    if sockets is not None and sockets >= MIN_DOUBLED:
        elsewhere = f", of {grouped(sockets_now.allocated or 0)} of the machine" if sockets_now.apart else ""
        number, reason = sockets, f"as many as were in use in this netns{elsewhere}"
    elif fits is not None and fits >= 2:
        number, reason = _half(fits), "about half of what fitted on opening"
    else:
        number, reason = UNGUIDED, "an example: what fits now is not known"
    headroom, rows = ledger.headroom["full"], ledger.limits["full"].rows
    has_buffers = any(each.headroom_sockets is not None and headroom.counts_buffers(each.name) for each in rows)
    buffers: int | Literal["now"] = "now" if has_buffers else 0
    time_wait = _first_time_wait(ledger) if mode == "time_wait" else 0
    return PlanRequest(number, "mixed", "mix", buffers, time_wait, False, tracks_flows(snapshot), False), reason


def _first_time_wait(ledger: Ledger) -> int:
    """Number of mini-sockets in the screen's first plan in TIME_WAIT accounting."""
    row = next(limit for limit in ledger.limits["full"].rows if limit.name == TIME_WAIT_LIMIT)
    if row.used is not None and row.used >= MIN_DOUBLED:
        return row.used
    return _half(max(0, _free(row) or 0))


def _half(number: int) -> int:
    """Half of the number, rounded down to two digits."""
    half = number // 2
    step = 10 ** max(0, len(str(half)) - 2)
    return int(half // step * step)


def _limits(
    snapshot: Snapshot,
    ledger: Ledger,
    request: PlanRequest,
    mini_sockets: int,
    needs: Needs,
    needs_of: Callable[[int], Needs],
) -> Iterator[PlanLimit]:
    """Yields the limits that the plan affects; a memory cgroup without a maximum is left out.

    `needs` is the memory that the connections and mini-sockets of `request` need. `needs_of(number)` computes the
    memory for `number` connections and the mini-sockets of `request`.
    """
    missing = needs.missing
    rows = {limit.name: limit for limit in ledger.limits["full"].rows}
    headroom = ledger.headroom["full"]
    # The names of the parts whose size is unknown. The advice in parentheses after a name is left out here, because the
    # advice also stands below the table of parts.
    parts = f"not known: {', '.join(dict.fromkeys(name.partition(' (')[0] for name in missing))}" if missing else ""
    most_free = machine_bytes(snapshot, ledger) if headroom.with_reclaim_bytes is None else None
    why = parts or headroom.unknown_because or ""
    memory = _limit(
        _with_protection_error(rows["memory"], snapshot, ledger),
        request,
        needs.memory,
        headroom.with_reclaim_bytes,
        why,
        most_free,
    )
    free = most_free if memory.free is None else memory.free
    memory = _with_exact_connections(memory, free, lambda number: _most(needs_of(number).memory, memory.free is None))
    yield _with_range_of_parts(memory, needs, needs_of)
    if CGROUP_LIMIT in rows:
        row = rows[CGROUP_LIMIT]
        if row.maximum is not None or row.used_error is None:
            note = parts if _free(row) is not None and parts else row.note
            cgroup = _limit(row, request, needs.charged, _free(row), note)
            is_least = cgroup.connections_are_at_most
            cgroup = _with_exact_connections(
                cgroup, cgroup.free, lambda number: _most(needs_of(number).charged, is_least)
            )
            if cgroup.verdict == "unknown" and request.accepted:
                cgroup = _with_note(cgroup, unknown_charge_text(snapshot))
            if row.headroom_is_at_most:
                cgroup = _with_note(cgroup, HIDDEN_ABOVE)
            yield cgroup._replace(note=_with_owner(cgroup.note, snapshot))
    if request.buffer_bytes:
        row, charge = rows["tcp_mem"], buffer_charge_of(ledger, request)
        note = "the size of a page is not known" if row.maximum is not None and row.unit != "bytes" else row.note
        takes = None
        if charge is not None and row.unit == "bytes":
            takes = (charge.low * request.sockets, charge.high * request.sockets)
        yield _under_pressure(_limit(row, request, takes, _free(row), note), ledger)
    if "file_max" in rows:
        yield _limit(
            rows["file_max"],
            request,
            (request.sockets,) * 2,
            _free(rows["file_max"]),
            f"file-nr {_why_unread(snapshot, 'file-nr')}",
        )
    if request.time_wait:
        row = rows[TIME_WAIT_LIMIT]
        why = _why_unread(snapshot, TIME_WAIT_LIMIT)
        note = f"its file {why}" if row.maximum is None else "sockstat was not read, or is damaged"
        limits = snapshot.socket_limits.value
        if row.maximum is None and limits is not None and limits.max_time_wait is not None:
            note = row.note
        free = _free(row)
        found = _limit(row, request, (mini_sockets,) * 2, None if free is None else max(0, free), note)
        # tcp_max_tw_buckets does not limit connections. When tcp_max_tw_buckets is reached, connections are closed
        # without a mini-socket.
        skips = f"{row.then} then" if mini_sockets < request.time_wait else found.note
        yield found._replace(connections=None, connections_are_at_most=False, high_connections=None, note=skips)
    if request.with_conntrack:
        yield from _conntrack(snapshot, rows.get("nf_conntrack_max"), request)


def _with_protection_error(limit: Limit, snapshot: Snapshot, ledger: Ledger) -> Limit:
    """The limit of memory, with the bytes by which the free memory may be too high.

    On a machine with memory that slabs cannot use, the limit has this error already. Where the use is unknown, as
    without MemAvailable, the free memory of the headroom has the error.
    """
    return limit if limit.used_error else limit._replace(used_error=_protection_error_bytes(snapshot, ledger))


def _protection_error_bytes(snapshot: Snapshot, ledger: Ledger) -> int:
    """The free memory may be too high by so many bytes, if a zone's protection is not certain (`protection_pages`)."""
    zoneinfo, page_bytes = snapshot.zoneinfo.value, ledger.host.page_size_bytes
    spare = spare_pages(zoneinfo.zones) if zoneinfo is not None else None
    return 0 if spare is None or page_bytes is None else spare.error_pages * page_bytes


def _with_owner(note: str, snapshot: Snapshot) -> str:
    """The note on the limit of a memory cgroup, with the cgroup whose limit it is if that is one above it."""
    cgroup = snapshot.cgroup
    nearest = None if cgroup is None else nearest_limit(cgroup)
    owner = "" if cgroup is None or nearest is None else limit_owner(cgroup, nearest)
    return note if owner in note else "; ".join(filter(None, (owner, note)))


def _under_pressure(limit: PlanLimit, ledger: Ledger) -> PlanLimit:
    """The limit tcp_mem, in the state `pressure` if the planned buffers surely bring it above its second value.

    If they only may do so, the state stays.
    """
    unit, pages = ledger.sockets.tcp_mem_unit_bytes, ledger.sockets.tcp_mem_pages
    if None in (unit, pages, limit.used, limit.takes):
        return limit
    least = (limit.used or 0) + (limit.takes or 0)
    second_bytes = (unit or 0) * (pages or (0, 0, 0))[1]
    if limit.high_takes is not None:
        most = (limit.used or 0) + limit.high_takes
        limit = limit._replace(may_be_under_pressure=most > second_bytes)
    if least <= second_bytes:
        return limit
    return limit._replace(state="full" if limit.state == "full" else "pressure", is_under_pressure=True)


def _why_unread(snapshot: Snapshot, file_name: str) -> str:
    """The reason why a file below /proc/sys has no value, as words that follow the name of the file.

    The source reads several files, and `reading.reason` names only the file with the worst damage. If `reading.reason`
    names another file, the file without a value may be damaged, too.
    """
    reading = snapshot.socket_limits
    if reading.state not in DAMAGED:
        return "was not read"
    return "is damaged" if f"/{file_name} " in (reading.reason or "") else "was not read, or is damaged"


def _conntrack(snapshot: Snapshot, row: Limit | None, request: PlanRequest) -> Iterator[PlanLimit]:
    limits = snapshot.socket_limits.value
    if row is not None:
        name = "nf_conntrack_max" if row.maximum is None else "nf_conntrack_count"
        note = f"{name} {_why_unread(snapshot, name)}"
        found = _limit(row, request, (request.flows,) * 2, _free(row), note)
        yield _with_exact_connections(found, found.free, lambda number: request._replace(connections=number).flows)
    elif limits is None or limits.max_conntrack_entries != 0:
        is_damaged = _why_unread(snapshot, "nf_conntrack_max") != "was not read"
        note = "conntrack is not loaded, or its files cannot be seen here" + (", or are damaged" if is_damaged else "")
        yield PlanLimit(
            "nf_conntrack_max", "here", "flows", None, request.flows, request.flows, None, None, "unknown", None, note
        )


def _free(limit: Limit) -> int | None:
    """Free amount of a limit, assuming a counter without error; None if unknown.

    It is negative if the counter is above the limit.
    """
    if limit.used is None or limit.maximum is None:
        return None
    return limit.maximum - limit.used


def _limit(
    limit: Limit,
    request: PlanRequest,
    takes: tuple[float, float] | None,
    free: int | None,
    note: str,
    most_free: int | None = None,
) -> PlanLimit:
    """Makes the row of a limit, with the amount by which the plan increases the use of the limit.

    `takes` has the bounds on the increase; None if the bounds are unknown. If `free` is None, `most_free` is an upper
    bound on the free amount.
    """
    low, high = takes or (0, inf)
    error = limit.used_error
    verdict: LimitVerdict = "unknown"
    connections: int | None = None
    high_connections: int | None = None
    are_at_most = free is None or high == inf
    if free is not None and takes is not None:
        # The true use may be smaller than the counter's value by the counter's error, but is at least 0. If the
        # counter's value is only an upper bound, the true use may be 0. Reclaim may free a part of the use.
        less = limit.used if limit.used_is_at_most else None if error is None else error + limit.reclaimable
        maximum = inf if limit.maximum is None else limit.maximum
        most = free if less == 0 else min(maximum, free + (inf if less is None else less))
        if low > most:
            verdict = "exceeded"
        elif error is not None and high <= free - error and not limit.maximum_is_at_most:
            verdict = "fits"
        elif high < inf and not limit.used_is_at_most and not limit.maximum_is_at_most:
            of_parts = "the range of its parts' sizes"
            decides = of_parts if not error else f"the error of its counter{f' or {of_parts}' if low < high else ''}"
            if limit.name == CGROUP_LIMIT:
                of_what = "its slabs the kernel reclaims" if low > free else "it the kernel charges to the cgroup"
                decides = f"what of {of_what}"
            note = f"{decides} decides"
        if not limit.used_is_at_most and (high if high < inf else low):
            sure = 0 if error is None and limit.used is not None else max(0, free - (error or 0))
            if limit.maximum_is_at_most or (limit.name == CGROUP_LIMIT and limit.headroom_is_at_most):
                sure, are_at_most = 0, free > 0
            connections = int(sure * request.connections / high)
            if (error != 0 or (limit.name == "tcp_mem" and low < high and free > 0)) and low and most < inf:
                high_connections = int(max(0, most) * request.connections / low)
                if not connections and high_connections:
                    connections, are_at_most = high_connections, True
            elif are_at_most:
                connections = int(max(0, free) * request.connections / low) if low else None
    elif most_free is not None and low > most_free:
        verdict = "exceeded"
        connections = int(most_free * request.connections / low)
    return PlanLimit(
        name=limit.name,
        scope=limit.scope,
        unit=limit.unit,
        used=limit.used,
        takes=None if takes is None else round(low),
        high_takes=None if high == inf else round(high),
        maximum=limit.maximum,
        free=None if free is None else max(0, free),
        verdict=verdict,
        connections=connections,
        note="" if verdict != "unknown" and not limit.used_is_at_most else note or "its use is not known",
        connections_are_at_most=connections is not None and are_at_most,
        state=_state(limit, verdict, takes),
        at_most_used=limit.at_most_used,
        used_error=0 if limit.used is None and free is None else error,
        used_is_about=limit.used_is_about,
        used_is_at_most=limit.used_is_at_most,
        high_connections=None if are_at_most else high_connections,
        connections_are_at_least=not are_at_most and _is_lower_bound(limit, request, (low, high), free, connections),
    )


def _is_lower_bound(
    limit: Limit, request: PlanRequest, takes: tuple[float, float], free: int | None, connections: int | None
) -> bool:
    """True if `connections` is a lower bound by the rules of `Limit.headroom_is_at_least`.

    It is one if the error of the counter, or of tcp_mem's average, takes away more than a small share, and for a memory
    cgroup if it is unknown how much of a socket is charged.
    """
    low, high = takes
    if connections is None or free is None or high == inf:
        return False
    if limit.name == CGROUP_LIMIT:
        return low < high and free > 0
    average = (low + high) / 2
    has_error = limit.used_error or (limit.name == "tcp_mem" and low < high)
    return bool(has_error and average) and connections < (1 - HIDDEN_ERROR_SHARE) * (
        free * request.connections / average
    )


def _most(bounds: tuple[float, float], is_least: bool = False) -> float:
    """The upper bound on an amount, or the lower bound if there is no upper bound or if `is_least` is true."""
    return bounds[0] if is_least or bounds[1] == inf else bounds[1]


def _with_exact_connections(limit: PlanLimit, free: int | None, amount_of: Callable[[int], float]) -> PlanLimit:
    """A copy of the limit that contains the exact number of connections that fit into the amount `free`.

    The number of connections in `limit` is computed as if each connection took the same amount. In fact mini-sockets
    take a fixed amount, and connections that share local ports take less. `amount_of(number)` is the amount that
    `number` connections take.
    """
    if limit.connections is None or free is None or limit.used_error is None:
        return limit
    sure = free if limit.connections_are_at_most else free - limit.used_error
    return limit._replace(connections=_most_connections(sure, amount_of))


def _with_range_of_parts(limit: PlanLimit, needs: Needs, needs_of: Callable[[int], Needs]) -> PlanLimit:
    """The limit of memory, with the number of connections that fit if every part takes its least.

    More connections than that surely do not fit. The limit is unchanged if the buffers are no range, or one of at most
    EXACT_SHARE of the plan, as in the headroom, and the other parts change the number by at most HIDDEN_ERROR_SHARE.
    """
    has_buffer_range = bool(_buffer_range(needs))
    if limit.connections is None or limit.connections_are_at_most or limit.free is None or needs.missing:
        return limit

    def least_buffers(number: int) -> float:
        planned = needs_of(number)
        return planned.memory[1] - _buffer_range(planned)

    free = min(limit.free + (limit.used_error or 0), inf if limit.maximum is None else limit.maximum)
    most = _most_connections(free, lambda number: needs_of(number).memory[0]) or 0
    share = 0.0 if has_buffer_range else HIDDEN_ERROR_SHARE
    if limit.connections >= (1 - share) * most:
        return limit
    of_buffers = _most_connections(free, least_buffers) or 0
    return limit._replace(
        high_connections=most,
        connections_are_at_least=True,
        other_parts_are_ranges=not has_buffer_range or rough_count(of_buffers, up=True) != rough_count(most, up=True),
    )


def _buffer_range(needs: Needs) -> float:
    """The bytes between the bounds on the buffers; 0 if they are at most EXACT_SHARE of the plan, or not known."""
    if needs.missing:
        return 0.0
    found = sum(part.high_bytes - part.bytes for part in needs.parts if part.object == PLANNED_BUFFERS)
    return found if found > EXACT_SHARE * (needs.memory[1] - found) else 0.0


def _most_connections(free: float, amount_of: Callable[[int], float]) -> int | None:
    """The largest number of connections that together take at most `free`; None if further connections take nothing."""
    first = amount_of(1)
    if first > free:
        return 0
    guess = 2
    for _ in range(MAX_GUESSES):
        grown = amount_of(guess) - first
        if not grown:
            return None
        better = max(2, 1 + int((free - first) * (guess - 1) / grown))
        if abs(better - guess) <= 1:
            break
        guess = better
    while guess > 1 and amount_of(guess) > free:
        guess -= 1
    return guess + 1 if amount_of(guess + 1) <= free else guess


def _state(limit: Limit, verdict: LimitVerdict, takes: tuple[float, float] | None) -> LimitState:
    """The state of a limit after the plan has taken the amount `takes`.

    If the upper bound on the amount is unknown, the lower bound is used.
    """
    if verdict == "exceeded":
        return "full"
    if takes is None or limit.used is None:
        return "unknown"
    low, high = takes
    after = limit._replace(used=limit.used + round(low if high == inf else high))
    return limit_state(after, limit.state == "pressure", limit.state)


def _with_note(limit: PlanLimit, note: str | None) -> PlanLimit:
    """The limit, with a further note."""
    return limit._replace(note="; ".join(filter(None, (limit.note, note))))


def _with_memory_needed(limit: PlanLimit) -> PlanLimit:
    """The limit; an exceeded limit of memory has a note that says how much memory the plan needs."""
    if limit.name != "memory" or limit.verdict != "exceeded" or limit.used is None or limit.takes is None:
        return limit
    most = limit.high_takes
    needs = f"at least {size(limit.used + limit.takes, False)}" if most is None else size(limit.used + most, True)
    note = f"the plan needs {needs} of memory, with what is in use now"
    return limit._replace(note="; ".join(filter(None, (note, limit.note))))


def _connections(limit: PlanLimit) -> float:
    """Sort key: the number of connections that fit below a limit.

    If the number of connections is unknown, the limit comes last.
    """
    return inf if limit.connections is None else limit.connections


def _by_node(
    table: CacheTable,
    ledger: Ledger,
    total_bytes: tuple[float, float],
    time_wait: Amount,
    needs_of: Callable[[int], Needs],
    fit_into: Callable[[float], int | None],
) -> dict[int, PlanNode] | None:
    """The memory that the plan takes on each node; None if unknown.

    New sockets are assumed to spread over the nodes like the present socks. The number of connections that fit into the
    free memory of a node is computed from the average bytes of a connection when the free memory of all nodes is in
    use. The sum over the nodes is then the number that fits into the free memory of the machine. For the connections of
    a single node the average would be larger, because fewer sockets share the bind buckets of the local ports.
    """
    lines = [line for item in SOCKS if (line := table.find(item).line) is not None]
    shares = {node.node: share_of_objects(lines, node.node) for node in ledger.nodes}
    if len(shares) == 1:
        shares = dict.fromkeys(shares, 1.0)
    if not shares or None in shares.values():
        return None
    headroom = ledger.headroom["full"]
    free_bytes = {
        number: node.without_reclaim * headroom.bytes_per_socket
        for number, node in headroom.nodes.items()
        if headroom.bytes_per_socket is not None
    }
    free = sum(free_bytes.values())
    in_all = fit_into(free)
    each = least_each = 0.0
    if in_all is not None:
        planned = needs_of(max(1, in_all))
        each = max(0.0, _most(planned.memory) - time_wait.high) / max(1, in_all)
        if not planned.missing:
            most_in_all = max(1, _most_connections(free, lambda number: needs_of(number).memory[0]) or 0)
            least_each = max(0.0, needs_of(most_in_all).memory[0] - time_wait.low) / most_in_all
            if not _buffer_range(planned) and least_each >= (1 - HIDDEN_ERROR_SHARE) * each:
                least_each = 0.0
    low, high = total_bytes
    nodes: dict[int, PlanNode] = {}
    for number, share in shares.items():
        own, part = free_bytes.get(number), share or 0.0
        fits, most = (
            int(max(0.0, own - of_time_wait * part) / size) if own is not None and size > 0 else None
            for size, of_time_wait in ((each, time_wait.high), (least_each, time_wait.low))
        )
        most = None if most == fits else most
        nodes[number] = PlanNode(low * part, own, fits, None if high == inf else high * part, most)
    return nodes
