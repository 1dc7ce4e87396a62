"""A plan: the memory that a number of further connections would take, and whether the limits allow the connections."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from math import ceil, inf
from typing import Literal, NamedTuple

from tcptop.accounting.attached_objects import MAX_EXTENSION_BYTES
from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_charge import charged_buffers, charged_bytes, unknown_charge_text
from tcptop.accounting.cgroup_limit import buffer_pressure_text, limit_owner, nearest_limit
from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.contradictions import without_contradictions
from tcptop.accounting.free_memory import SLAB_ZONES, spare_pages
from tcptop.accounting.headroom import share_of_objects
from tcptop.accounting.lab_result import ktls_doubt, measured_ktls
from tcptop.accounting.limits import HIDDEN_ERROR_SHARE, limit_state
from tcptop.accounting.object_cost import object_costs
from tcptop.kernel.limits import CGROUP_LIMIT, LIMIT_BY_NAME, TIME_WAIT_LIMIT, limit_label
from tcptop.kernel.objects import (
    BIND2_BUCKET,
    BIND_BUCKETS,
    CGROUP_VECTORS,
    EPITEM,
    EPOLL_OBJECTS,
    EPPOLL_ENTRY,
    NF_CONN,
    SOCKS,
    KernelObject,
)
from tcptop.ledger import AccountingMode, Amount, CostBySide, Ledger, Limit, LimitState, ObjectCost
from tcptop.ledger.plan import (
    ADVISED_PERCENT,
    PLANNED_BUFFERS,
    LimitVerdict,
    Plan,
    PlanBuffers,
    PlanLimit,
    PlanNode,
    PlanPart,
    PlanRequest,
    PlanSysctl,
    UncountedLimit,
)
from tcptop.snapshot import DAMAGED, Snapshot
from tcptop.text.units import grouped, size

EXTENSIONS = "nf_conn extensions"
KTLS = "kernel TLS"
SLAB_SHARE = "slab share"
UNCHARGED = (NF_CONN.struct, EXTENSIONS, SLAB_SHARE)
"""A missing part whose name begins with one of these texts does not affect the bytes charged to a memory cgroup."""
MAY_BE_SHARED = frozenset(item.struct for item in BIND_BUCKETS)
"""Structs that several sockets may share. Sockets to different peers share the buckets of a port, so the planned
sockets may need no new bucket."""
LAST_PORT = 65_535
"""The last of the ports, which begin with 1; bind(2) takes each of them."""
MIN_DOUBLED = 1000
"""The screen's first plan doubles the number of sockets if at least this number of sockets is open."""
UNGUIDED = 100_000
"""Number of connections in the screen's first plan if neither the sockets nor the headroom is known."""
NO_FIT = ", so the plan does not fit"
ERROR_UNKNOWN = "the error of its counter is not known"
MAX_GUESSES = 40
"""Maximum number of guesses at the number of connections that fit. Each guess has at most half the error of the guess
before it."""
MIN_PAGE_BYTES = 4096
"""The smallest page size that Linux has, in bytes."""


class Needs(NamedTuple):
    """The memory that planned connections need; `memory` and `charged` are bounds on a number of bytes."""

    parts: Sequence[PlanPart]
    missing: Sequence[str]
    memory: tuple[float, float]
    charged: tuple[float, float]
    """Bounds on the bytes that are charged to a memory cgroup."""


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
        return _needs(snapshot, table, ledger, request._replace(connections=connections), mini_sockets)

    def fit_into(free: float) -> int | None:
        return _most_connections(free, lambda number: _most(needs_of(number).memory))

    needs = needs_of(request.connections)
    parts, missing = needs.parts, needs.missing
    alone = _needs(snapshot, table, ledger, request._replace(time_wait=0), 0)
    limits = sorted(_limits(snapshot, ledger, request, mini_sockets, needs, needs_of), key=_connections)
    sysctls = _sysctls(snapshot, ledger, request, limits, parts)
    limits = [_with_memory_needed(_with_note(limit, sysctls.get(limit.name))) for limit in limits]
    time_wait_bytes = max(0.0, _most(needs.memory) - _most(alone.memory))
    nodes = _by_node(table, ledger, needs.memory, time_wait_bytes, needs_of, fit_into)
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
        sysctls=tuple(each for each in sysctls.values() if isinstance(each, PlanSysctl)),
        ports=ports,
        ports_are_at_most=of_ports is not None and of_ports.maximum_is_at_most,
        ports_unknown_because=_why_unread(snapshot, "ip_local_port_range") if ports is None else None,
        verdict="does not fit" if exceeded else "cannot say" if reasons else "fits",
        unknown_because=reasons[0] if reasons and not exceeded else None,
        buffers=PlanBuffers(
            _average_charge(ledger, request), _exact(buffers := _buffer_bytes(ledger, request)), buffers
        ),
        tracks_flows=has_flows,
        mini_sockets=mini_sockets,
        bytes_per_connection=_most(alone.memory) / request.connections if alone.parts else None,
        connections_before_reclaim=_before_reclaim(ledger, _protection_error_bytes(snapshot, ledger), fit_into),
        not_counted=_not_counted(ledger, {limit.name for limit in limits}),
        cgroup_pressure=_cgroup_pressure(snapshot, ledger, request),
    )


def _cgroup_pressure(snapshot: Snapshot, ledger: Ledger, request: PlanRequest) -> str:
    """Words on a limit of buffers of cgroup v1 that the planned buffers exceed, or may exceed; empty without one."""
    if snapshot.cgroup is None:
        return ""
    each = _buffer_charge(ledger, request) or Amount(0.0, 0.0)
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


def _buffer_bytes(ledger: Ledger, request: PlanRequest) -> Amount | None:
    """Bounds on the bytes of a planned socket's buffers; None if the buffers of the present sockets are unknown."""
    if request.buffer_bytes != "now":
        return Amount(request.buffer_bytes, request.buffer_bytes)
    if ledger.costs["full"].buffer_bytes_per_socket is not None:
        headroom = ledger.headroom["full"]
        low, high = headroom.buffer_bytes, headroom.high_buffer_bytes
        return None if low is None or high is None else Amount(low, high)
    bounds = next((kind.bytes_per_socket for kind in ledger.attached.kinds if kind.name == "buffers"), None)
    return None if bounds is None or bounds.high == inf else bounds


def _buffer_charge(ledger: Ledger, request: PlanRequest) -> Amount | None:
    """Bounds on the bytes of a planned socket's buffers that the kernel charges against tcp_mem; None if unknown.

    The kernel charges whole units of sockstat's `mem` (net/core/sock.c, __sk_mem_raise_allocated). If the plan uses the
    present buffers, the charge is their average, which has the error of the counter: it is between the counter less its
    error and the counter plus its error. The use of tcp_mem has the same error, so that a smaller use goes with a
    smaller charge.
    """
    sockets = ledger.sockets
    if request.buffer_bytes != "now":
        unit = sockets.buffer_unit_bytes
        each = -(-request.buffer_bytes // unit) * unit if unit else None
        return None if each is None else Amount(each, each)
    counted, error = sockets.buffer_bytes, sockets.buffer_error_bytes
    if not sockets.allocated or counted is None or error is None:
        return None
    if ledger.costs["full"].buffer_bytes_per_socket is None and _buffer_bytes(ledger, request) is None:
        return None
    return Amount(max(0, counted - error) / sockets.allocated, (counted + error) / sockets.allocated)


def _average_charge(ledger: Ledger, request: PlanRequest) -> float | None:
    """The charge of a planned socket's buffers, as if the counter had no error; None if only bounds are known."""
    if request.buffer_bytes == "now":
        return ledger.costs["full"].buffer_bytes_per_socket
    return _exact(_buffer_charge(ledger, request))


def _exact(amount: Amount | None) -> float | None:
    """The amount if it is known exactly; otherwise None."""
    return amount.low if amount is not None and amount.low == amount.high else None


def _needs(
    snapshot: Snapshot,
    table: CacheTable,
    ledger: Ledger,
    request: PlanRequest,
    mini_sockets: int,
) -> Needs:
    costs, missing = _object_costs(snapshot, table, ledger, request, mini_sockets)
    parts = [_part(cost) for cost in costs if cost.count]
    ktls = measured_ktls(snapshot, table) if request.with_ktls else None
    if ktls is not None:
        of_sockets = request.sockets * sum(ktls)
        parts.append(PlanPart(KTLS, None, request.sockets, of_sockets, of_sockets, True))
    elif request.with_ktls:
        missing.append(f"{KTLS} ({_why_no_ktls(snapshot, ledger)})")
    buffers = Amount(0.0, 0.0)
    if request.buffer_bytes:
        each = _buffer_bytes(ledger, request)
        if each is None:
            missing.append(f"{PLANNED_BUFFERS} (now: their memory is not known, or their charge may be its error)")
        else:
            is_now = request.buffer_bytes == "now"
            buffers = Amount(request.sockets * each.low, request.sockets * each.high)
            parts.append(PlanPart(PLANNED_BUFFERS, None, request.sockets, buffers.low, buffers.high, is_now))
    if not any(cost.slab_bytes for cost in costs):
        missing = missing or ["the bytes of a socket"]
    high = inf if missing else sum(part.high_bytes for part in parts)
    of_cgroup = charged_buffers(snapshot, buffers)
    low, high_charged = _charged_bytes(snapshot, table, request, costs, missing)
    # Kernel TLS allocates its memory without __GFP_ACCOUNT (net/tls/tls_main.c, tls_ctx_create).
    high_charged += of_cgroup.high + (request.sockets * sum(ktls) if ktls else 0.0)
    return Needs(parts, missing, (sum(part.bytes for part in parts), high), (low + of_cgroup.low, high_charged))


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


def first_request(snapshot: Snapshot, ledger: Ledger) -> tuple[PlanRequest, str]:
    """The plan that the screen shows first, and the reason for its number of connections.

    The first plan makes the same assumptions as the headroom: half of the sockets are outgoing, and families and
    buffers are as at present. If the error of the buffer counter is large, the first plan counts no buffers.

    The number of connections equals the number of open sockets, so that the number of sockets doubles. If fewer than
    MIN_DOUBLED sockets are open, a plan that doubles them would tell the user little, so the number of connections is
    half of the headroom.
    """
    sockets_now, first = ledger.sockets, ledger.limits["full"].first
    sockets = sockets_now.inuse_of_both
    fits = first.headroom_sockets if first is not None else None
    if sockets is not None and sockets >= MIN_DOUBLED:
        elsewhere = f", of {grouped(sockets_now.allocated or 0)} of the machine" if sockets_now.apart else ""
        number, reason = sockets, f"as many as were in use in this netns{elsewhere}"
    elif fits is not None and fits >= 2:
        number = fits // 2
        step = 10 ** max(0, len(str(number)) - 2)
        number, reason = number // step * step, "about half of what fitted when the form opened"
    else:
        number, reason = UNGUIDED, "an example: what fits now is not known"
    has_buffers = ledger.costs["full"].buffer_bytes_per_socket or ledger.headroom["full"].buffer_bytes
    buffers: int | Literal["now"] = "now" if has_buffers and not sockets_now.buffers_are_rough else 0
    return PlanRequest(number, "mixed", "mix", buffers, 0, False, tracks_flows(snapshot), False), reason


def _why_no_ktls(snapshot: Snapshot, ledger: Ledger) -> str:
    """The reason why the bytes of kernel TLS are unknown, and the command that measures them."""
    measure = "measure it with tcptop lab --states ktls -w FILE"
    if ledger.lab is None:
        return f"{measure}, and give --lab FILE"
    if ledger.lab.unused_because is not None:
        return f"the result of --lab is not used: {ledger.lab.unused_because}; {measure} on this kernel"
    doubt = ktls_doubt(snapshot.lab_measurement) if snapshot.lab_measurement else None
    if doubt is not None:
        return f"the result of --lab is in doubt there: {doubt}; {measure} again"
    return f"the result of --lab does not have it; {measure}"


def _object_costs(
    snapshot: Snapshot,
    table: CacheTable,
    ledger: Ledger,
    request: PlanRequest,
    mini_sockets: int,
) -> tuple[list[ObjectCost], list[str]]:
    """The cost of all planned objects of each kind, and the objects whose size is unknown.

    The number of flows comes from `request`, because a connection that skips TIME_WAIT still keeps its tracked flow for
    a while.
    """
    costs: list[ObjectCost] = []
    missing: list[str] = []
    full, time_wait = _sides(ledger, "full", request), _sides(ledger, "time_wait", request)
    outgoing = request._replace(time_wait=mini_sockets).outgoing_time_wait
    numbers = (
        (full.accepted, request.accepted),
        (full.outgoing, request.outgoing),
        (time_wait.accepted, mini_sockets - outgoing),
        (time_wait.outgoing, outgoing),
    )
    for side, number in numbers:
        if number:
            vectors = f"{CGROUP_VECTORS.struct} (kmalloc)"
            missing += [name for name in side.missing if name != vectors]
            costs += [_times(part, number) for part in side.parts if part.object != CGROUP_VECTORS.struct]
    costs = _with_shared_ports(_merged(costs))
    for item in _optional_objects(request):
        number = request.flows if item is NF_CONN else request.sockets
        lookup = table.find(item)
        if lookup.status == "absent" and item in (EPITEM, EPPOLL_ENTRY, NF_CONN):
            missing.append(f"{item.struct} ({lookup.reason})")
        for cost in object_costs(snapshot, table, item, 1.0):
            if isinstance(cost, ObjectCost):
                costs.append(_times(cost, number))
            else:
                missing.append(cost)
    if request.with_conntrack:
        row = table.kmalloc_cache(MAX_EXTENSION_BYTES)
        if row is None or row.slab_share_bytes is None:
            missing.append(f"{EXTENSIONS} (kmalloc)")
        else:
            high = row.slab_share_bytes * request.flows
            costs.append(ObjectCost(EXTENSIONS, "", row.name, request.flows, 0.0, 0.0, high, True, row.computed))
    unshared = [cost.object for cost in costs if cost.slab_bytes is None]
    if unshared:
        missing.append(f"{SLAB_SHARE} ({', '.join(unshared)})")
    vectors_of, all_known = cgroup_vector_costs(snapshot, table, costs)
    if not all_known:
        missing.append(f"{CGROUP_VECTORS.struct} (kmalloc)")
    return [*costs, *vectors_of], list(dict.fromkeys(missing))


def _sides(ledger: Ledger, mode: AccountingMode, request: PlanRequest) -> CostBySide:
    return ledger.costs[mode].by_family[request.family]


def _optional_objects(request: PlanRequest) -> Iterator[KernelObject]:
    if request.with_epoll:
        yield from EPOLL_OBJECTS
    if request.with_conntrack:
        yield NF_CONN


def _times(cost: ObjectCost, number: float) -> ObjectCost:
    return cost._replace(
        count=cost.count * number,
        object_bytes=cost.object_bytes * number,
        slab_bytes=None if cost.slab_bytes is None else cost.slab_bytes * number,
        high_slab_bytes=None if cost.high_slab_bytes is None else cost.high_slab_bytes * number,
    )


def _merged(costs: Sequence[ObjectCost]) -> list[ObjectCost]:
    """The costs; all costs of the same object in the same cache are added up to one cost."""
    merged: dict[tuple[str, str], ObjectCost] = {}
    for cost in costs:
        known = merged.get((cost.object, cost.cache))
        merged[cost.object, cost.cache] = (
            cost
            if known is None
            else known._replace(
                count=known.count + cost.count,
                object_bytes=known.object_bytes + cost.object_bytes,
                slab_bytes=_sum(known.slab_bytes, cost.slab_bytes),
                high_slab_bytes=_sum(known.high_slab_bytes, cost.high_slab_bytes),
            )
        )
    return list(merged.values())


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _with_shared_ports(costs: Sequence[ObjectCost]) -> list[ObjectCost]:
    """The costs, with the number of bind buckets limited to the number of all ports.

    bind(2) takes any port, also one that is reserved or not in ip_local_port_range, which connect(2) does not choose.
    Sockets to different peers share the bind bucket of a port (net/ipv4/inet_hashtables.c, inet_bind_hash_connect).
    Each pair of a port and a local address has its own bind2 bucket. If the sockets use several local addresses, there
    may be as many bind2 buckets as sockets.
    """
    shared: list[ObjectCost] = []
    for cost in costs:
        item = next((each for each in BIND_BUCKETS if each.struct == cost.object), None)
        if item is None or cost.count <= LAST_PORT:
            shared.append(cost)
            continue
        fewer = _times(cost, LAST_PORT / cost.count)._replace(estimated=True)
        if item is BIND2_BUCKET:
            fewer = fewer._replace(count=cost.count, high_slab_bytes=cost.high_slab_bytes)
        shared.append(fewer)
    return shared


def _part(cost: ObjectCost) -> PlanPart:
    # The size of an object is a lower bound on its share of a slab.
    size = cost.object_bytes if cost.slab_bytes is None else cost.slab_bytes
    high = size if cost.high_slab_bytes is None else cost.high_slab_bytes
    is_bucket = cost.object in MAY_BE_SHARED
    return PlanPart(
        cost.object,
        cost.cache,
        cost.count,
        0.0 if is_bucket else size,
        high,
        cost.estimated or is_bucket,
        cost.high_cache,
    )


def _charged_bytes(
    snapshot: Snapshot, table: CacheTable, request: PlanRequest, costs: Sequence[ObjectCost], missing: Sequence[str]
) -> tuple[float, float]:
    """Bounds on the bytes of `costs` that the kernel charges to a memory cgroup.

    The upper bound is infinite if the size of a charged object is unknown. An object is charged with its own size, so
    an unknown share of a slab does not affect the bounds.
    """
    certain = [cost for cost in costs if cost.object not in MAY_BE_SHARED]
    low, _ = charged_bytes(snapshot, table, certain, request.accepted / request.sockets)
    _, high = charged_bytes(snapshot, table, costs, request.accepted / request.sockets)
    is_open = not high or any(not name.startswith(UNCHARGED) for name in missing)
    return low, inf if is_open else high


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
    most_free = _machine_bytes(snapshot, ledger) if headroom.with_reclaim_bytes is None else None
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
    yield _with_exact_connections(memory, free, lambda number: _most(needs_of(number).memory, memory.free is None))
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
            yield cgroup._replace(note=_with_owner(cgroup.note, snapshot))
    if request.buffer_bytes:
        row, charge = rows["tcp_mem"], _buffer_charge(ledger, request)
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
    unit, pages, error = (
        ledger.sockets.tcp_mem_unit_bytes,
        ledger.sockets.tcp_mem_pages,
        ledger.sockets.buffer_error_bytes,
    )
    if None in (unit, pages, error, limit.used, limit.takes):
        return limit
    least = max(0, (limit.used or 0) - (error or 0)) + (limit.takes or 0)
    second_bytes = (unit or 0) * (pages or (0, 0, 0))[1]
    if limit.high_takes is not None:
        most = (limit.used or 0) + (error or 0) + limit.high_takes
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


def _machine_bytes(snapshot: Snapshot, ledger: Ledger) -> int | None:
    """The machine's memory that slabs can use, in bytes; None if meminfo is damaged or without MemTotal.

    A container with its own meminfo (lxcfs) may show a MemTotal below the memory of the machine. The file zoneinfo
    always shows the memory of the whole machine, so the memory of the zones is used if it exceeds MemTotal. The memory
    of zones that slabs cannot use is left out.
    """
    meminfo, zoneinfo = snapshot.meminfo, snapshot.zoneinfo.value
    if meminfo.value is None or meminfo.value.total_bytes is None or meminfo.state not in ("ok", "late"):
        return None
    zones, page_bytes = zoneinfo.zones if zoneinfo else (), ledger.host.page_size_bytes or MIN_PAGE_BYTES
    managed_bytes = sum(zone.managed_pages or 0 for zone in zones) * page_bytes
    unusable_bytes = sum(zone.managed_pages or 0 for zone in zones if zone.name not in SLAB_ZONES) * page_bytes
    return max(meminfo.value.total_bytes, managed_bytes) - unusable_bytes


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
        # counter's value is only an upper bound, the true use may be 0.
        less = limit.used if limit.used_is_at_most else error
        maximum = inf if limit.maximum is None else limit.maximum
        most = free if less == 0 else min(maximum, free + (inf if less is None else less))
        if low > most:
            verdict = "exceeded"
        elif error is not None and high <= free - error and not limit.maximum_is_at_most:
            verdict = "fits"
        elif high < inf and not limit.used_is_at_most and not limit.maximum_is_at_most:
            decides = "what of it the kernel charges to the cgroup"
            note = (
                f"{decides if limit.name == CGROUP_LIMIT else 'the error of its counter, or a range of sizes,'} decides"
            )
        if not limit.used_is_at_most and (high if high < inf else low):
            sure = 0 if error is None and limit.used is not None else max(0, free - (error or 0))
            if limit.maximum_is_at_most:
                sure, are_at_most = 0, True
            connections = int(sure * request.connections / high)
            if error != 0 and low and most < inf:
                high_connections = int(max(0, most) * request.connections / low)
                if not connections:
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
        used_is_at_most=limit.used_is_at_most,
        high_connections=None if are_at_most else high_connections,
        connections_are_at_least=not are_at_most and _is_lower_bound(limit, request, (low, high), free, connections),
    )


def _is_lower_bound(
    limit: Limit, request: PlanRequest, takes: tuple[float, float], free: int | None, connections: int | None
) -> bool:
    """True if `connections` is a lower bound by the rules of `Limit.headroom_is_at_least`.

    It is one if the error of the counter takes away more than a small share, and for a memory cgroup if it is unknown
    how much of a socket is charged.
    """
    low, high = takes
    if connections is None or free is None or high == inf:
        return False
    if limit.name == CGROUP_LIMIT:
        return low < high
    average = (low + high) / 2
    return bool(limit.used_error and average) and connections < (1 - HIDDEN_ERROR_SHARE) * (
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


def _with_note(limit: PlanLimit, sysctl: PlanSysctl | str | None) -> PlanLimit:
    """The limit, with a note if no value of the sysctl is surely high enough for the plan."""
    return limit._replace(note="; ".join(filter(None, (limit.note, sysctl)))) if isinstance(sysctl, str) else limit


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
    time_wait_bytes: float,
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
    in_all = fit_into(sum(free_bytes.values()))
    each = 0.0
    if in_all is not None:
        each = max(0.0, _most(needs_of(max(1, in_all)).memory) - time_wait_bytes) / max(1, in_all)
    low, high = total_bytes
    nodes: dict[int, PlanNode] = {}
    for number, share in shares.items():
        free, part = free_bytes.get(number), share or 0.0
        fits = int(max(0.0, free - time_wait_bytes * part) / each) if free is not None and each else None
        nodes[number] = PlanNode(low * part, free, fits, None if high == inf else high * part)
    return nodes


def _sysctls(
    snapshot: Snapshot,
    ledger: Ledger,
    request: PlanRequest,
    limits: Sequence[PlanLimit],
    parts: Sequence[PlanPart],
) -> dict[str, PlanSysctl | str]:
    """The sysctls that must be raised for the plan, each with its smallest sufficient value, by name of the limit.

    If no possible value of a sysctl is sufficient, or if the error of the limit's counter is unknown, the result
    contains a sentence that says so, instead of the value. Without enough memory for the plan there is no value of
    tcp_mem: buffers up to such a value would end in the OOM killer.
    """
    found: dict[str, PlanSysctl | str] = {}
    memory_bytes = _machine_bytes(snapshot, ledger)
    unit, now = ledger.sockets.tcp_mem_unit_bytes, ledger.sockets.tcp_mem_pages
    errors = {row.name: row.used_error for row in ledger.limits["full"].rows}
    [of_memory] = [limit.verdict for limit in limits if limit.name == "memory"]
    for limit in limits:
        if limit.used is None or limit.maximum is None or limit.high_takes is None:
            continue
        needed = limit.used + (request.time_wait if limit.name == TIME_WAIT_LIMIT else limit.high_takes)
        sysctl = LIMIT_BY_NAME[limit.name].sysctl
        if sysctl is not None and (limit.verdict != "fits" or needed > limit.maximum):
            structs = [item.struct for item in sysctl.objects]
            each = min((part.high_bytes / part.count for part in parts if part.object in structs), default=0.0)
            if (error := errors[limit.name]) is None:
                found[limit.name] = f"no value of {sysctl.name} is surely enough: {ERROR_UNKNOWN}"
                continue
            needed += error
            advice = _sysctl(limit, sysctl.name, needed, memory_bytes, each, sysctl.largest)
            if error and isinstance(advice, PlanSysctl):
                lag = f"with the error of its counter, +{grouped(error)}"
                advice = advice._replace(note="; ".join(filter(None, (advice.note, lag))))
            found[limit.name] = advice
        elif limit.name == "tcp_mem" and unit and now is not None:
            if (error := ledger.sockets.buffer_error_bytes) is None:
                if limit.verdict != "fits":
                    found[limit.name] = f"no value of net.ipv4.tcp_mem is surely enough: {ERROR_UNKNOWN}"
                continue
            needed = -(-(needed + error) // unit)
            if needed > now[1] and of_memory == "exceeded":
                found[limit.name] = "no value of net.ipv4.tcp_mem is of use until there is more memory"
            elif needed > now[1]:
                advice = _tcp_mem_sysctl(limit, now, needed, memory_bytes, unit)
                if of_memory == "unknown" and isinstance(advice, PlanSysctl):
                    note = advice.note.removesuffix(NO_FIT)
                    advice = advice._replace(note="; ".join(filter(None, (note, "memory may not hold the plan"))))
                found[limit.name] = advice
    return found


def _sysctl(
    limit: PlanLimit, name: str, needed: int, memory_bytes: int | None, each_bytes: float, largest: int | None = None
) -> PlanSysctl | str:
    """Advice on a sysctl with one value.

    `needed` is the use of the limit with the planned connections. The advised value is chosen so that `needed` is just
    below ADVISED_PERCENT per cent of the advised value. The advised value is limited by two maximums: the largest value
    that the kernel accepts, and the number of objects of `each_bytes` that fit into all memory.
    """
    caps = [] if largest is None else [(largest, f"it is at most {largest}")]
    if memory_bytes is not None and each_bytes:
        caps.append((int(memory_bytes / each_bytes), "the machine has less memory"))
    wanted = needed * 100 // ADVISED_PERCENT + 1
    most, why = min(caps, default=(wanted, ""))
    if needed > most:
        return f"no value of {name} is enough: {why}"
    note = ""
    if wanted > most:
        note = f"capped, since {why}: {ceil(100 * needed / most)} % of it in use"
        note += NO_FIT if limit.verdict == "exceeded" else ""
    return PlanSysctl(limit.name, name, (limit.maximum or 0,), (needed,), (min(wanted, most),), note)


def _tcp_mem_sysctl(
    limit: PlanLimit, now: tuple[int, int, int], needed: int, memory_bytes: int | None, unit: int
) -> PlanSysctl | str:
    """Advice on the three values of tcp_mem.

    Memory pressure begins at the second value; `needed` is in pages. The kernel sets the three values to 3/4, 1 and 3/2
    of the second value (net/ipv4/tcp.c, tcp_init_mem).
    """
    second = _sysctl(limit, "net.ipv4.tcp_mem", needed, memory_bytes, unit)
    if isinstance(second, str):
        return second
    most = inf if memory_bytes is None else memory_bytes // unit

    def three_values(value: int) -> tuple[int, int, int]:
        return value * 3 // 4, value, max(now[2], value, int(min(value * 3 // 2, most)))

    [advised] = second.advised
    third_is_capped = advised * 3 // 2 > most
    note = second.note or ("the third value capped, since the machine has less memory" if third_is_capped else "")
    return PlanSysctl(limit.name, second.name, now, three_values(needed), three_values(advised), note)
