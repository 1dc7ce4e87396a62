"""A plan: the memory that a given number of further connections would take, and whether the limits allow them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple

from tcptop.accounting.attached_objects import MAX_EXTENSION_BYTES
from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.contradictions import without_contradictions
from tcptop.accounting.headroom import share_of_objects
from tcptop.accounting.lab_result import measured_ktls
from tcptop.accounting.limits import CGROUP_LIMIT, TIME_WAIT_LIMIT
from tcptop.accounting.object_cost import object_costs
from tcptop.accounting.slab_caches import CacheTable
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
from tcptop.ledger import AccountingMode, CostBySide, Ledger, Limit, ObjectCost
from tcptop.snapshot import Snapshot

Side = Literal["accepted", "outgoing", "proxy"]
PlannedFamily = Literal["ipv4", "ipv6"]
Verdict = Literal["fits", "does not fit", "cannot say"]
LimitVerdict = Literal["fits", "exceeded", "unknown"]

EXTENSIONS = "nf_conn extensions"
KTLS = "kernel TLS"
BUFFERS = "buffers"
DEFAULT_NR_OPEN = 1_048_576
"""Default of fs.nr_open, the largest possible limit on the open files of a process (fs/file.c)."""


class PlanRequest(NamedTuple):
    """The connections to plan."""

    connections: int
    side: Side
    family: PlannedFamily
    buffer_bytes: int
    """Bytes in the buffers of each socket."""
    time_wait: int
    """Number of mini-sockets in TIME_WAIT, in addition to the connections."""
    with_epoll: bool
    with_conntrack: bool
    with_ktls: bool

    @property
    def accepted(self) -> int:
        """Accepted sockets."""
        return 0 if self.side == "outgoing" else self.connections

    @property
    def outgoing(self) -> int:
        """Outgoing sockets."""
        return 0 if self.side == "accepted" else self.connections

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


class PlanLimit(NamedTuple):
    """One limit, and what the planned connections take of it."""

    name: str
    scope: str
    unit: str
    used: int | None
    takes: int
    """The planned use."""
    high_takes: int
    maximum: int | None
    free: int | None
    """How much of the limit is free if the counter of the limit has no error; None if unknown."""
    verdict: LimitVerdict
    connections: int | None
    """Number of planned connections that fit below the limit; None if unknown.

    The number of planned TIME_WAIT sockets is scaled in proportion to the number of connections.
    """
    note: str
    """Reason that the verdict is `unknown`; otherwise empty."""

    @property
    def ratio(self) -> float | None:
        """The use with the planned connections ÷ the maximum; None if unknown."""
        return (self.used + self.takes) / self.maximum if self.used is not None and self.maximum else None


class PlanSysctl(NamedTuple):
    """A sysctl that would need another value for the plan."""

    name: str
    now: tuple[int, ...]
    at_least: tuple[int, ...]


class Plan(NamedTuple):
    """What the planned connections take, and whether they fit."""

    request: PlanRequest
    parts: tuple[PlanPart, ...]
    missing: tuple[str, ...]
    """Objects whose size is unknown.

    If the size of any object is unknown, the sums are lower bounds.
    """
    nodes: Mapping[int, float] | None
    """Bytes by node, if new sockets spread over the nodes like the present socks; None if the spread is unknown."""
    full_nodes: tuple[int, ...]
    """Nodes on which the plan takes more memory than the node has free."""
    limits: tuple[PlanLimit, ...]
    """The limits that the plan affects; the limit that is reached with the fewest connections comes first."""
    sysctls: tuple[PlanSysctl, ...]
    ports: int | None
    """Number of local ports in ip_local_port_range; None if unknown."""
    verdict: Verdict
    unknown_because: str | None
    """Reason that the verdict is `cannot say`."""

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


def make_plan(snapshot: Snapshot, ledger: Ledger, request: PlanRequest) -> Plan:
    """The plan for further connections on the machine of `snapshot`; `ledger` is the ledger of the snapshot."""
    page_bytes = ledger.host.page_size_bytes
    snapshot = without_contradictions(snapshot, page_bytes)
    table = CacheTable(snapshot, page_bytes)
    ports = next((limit.maximum for limit in ledger.limits["full"].rows if limit.name == "ports"), None)
    costs, missing = _object_costs(snapshot, table, ledger, request, ports)
    parts = [_part(cost) for cost in costs if cost.count]
    ktls = measured_ktls(snapshot) if request.with_ktls else None
    if ktls is not None:
        of_sockets = request.sockets * sum(ktls)
        parts.append(PlanPart(KTLS, None, request.sockets, of_sockets, of_sockets, True))
    elif request.with_ktls:
        missing.append(f"{KTLS} (measure it with tcptop lab --states ktls -w FILE, and give --lab FILE)")
    buffers = request.sockets * request.buffer_bytes
    if buffers:
        parts.append(PlanPart(BUFFERS, None, request.sockets, buffers, buffers, False))
    if not any(cost.slab_bytes for cost in costs):
        missing = missing or ["the bytes of a socket"]
    total = sum(part.bytes for part in parts)
    high = inf if missing else sum(part.high_bytes for part in parts)
    objects = sum(cost.object_bytes for cost in costs if cost.object != NF_CONN.struct)
    objects += sum(part.bytes for part in parts if part.object == KTLS)
    limits = sorted(_limits(snapshot, ledger, request, (total, high), objects + buffers), key=_connections)
    nodes = _by_node(table, ledger, total)
    exceeded = any(limit.verdict == "exceeded" for limit in limits)
    reasons = [f"not known: {', '.join(missing)}"] if missing else []
    reasons += [f"{limit.name}: {limit.note}" for limit in limits if limit.verdict == "unknown"]
    return Plan(
        request=request,
        parts=tuple(parts),
        missing=tuple(missing),
        nodes=nodes,
        full_nodes=_full_nodes(ledger, nodes or {}),
        limits=tuple(limits),
        sysctls=tuple(_sysctls(ledger, limits)),
        ports=ports,
        verdict="does not fit" if exceeded else "cannot say" if reasons else "fits",
        unknown_because=reasons[0] if reasons and not exceeded else None,
    )


def _object_costs(
    snapshot: Snapshot, table: CacheTable, ledger: Ledger, request: PlanRequest, ports: int | None
) -> tuple[list[ObjectCost], list[str]]:
    """The cost of all planned objects of each kind, and the objects whose size is unknown."""
    costs: list[ObjectCost] = []
    missing: list[str] = []
    full, time_wait = _sides(ledger, "full", request), _sides(ledger, "time_wait", request)
    mini_side = time_wait.accepted if request.side == "accepted" else time_wait.outgoing
    numbers = ((full.accepted, request.accepted), (full.outgoing, request.outgoing), (mini_side, request.time_wait))
    for side, number in numbers:
        if number:
            vectors = f"{CGROUP_VECTORS.struct} (kmalloc)"
            missing += [name for name in side.missing if name != vectors]
            costs += [_times(part, number) for part in side.parts if part.object != CGROUP_VECTORS.struct]
    costs = _with_shared_ports(_merged(costs), ports)
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
        missing.append(f"slab share ({', '.join(unshared)})")
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
    """The costs, merged into one cost for each object and cache."""
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


def _with_shared_ports(costs: Sequence[ObjectCost], ports: int | None) -> list[ObjectCost]:
    """The costs, with at most as many bind buckets as there are local ports.

    Sockets to different peers share a port's bucket (net/ipv4/inet_hashtables.c, inet_bind_hash_connect). Each pair of
    a port and a local address has a bind2 bucket of its own. If the sockets use several local addresses, there may be
    as many bind2 buckets as sockets.
    """
    shared: list[ObjectCost] = []
    for cost in costs:
        item = next((each for each in BIND_BUCKETS if each.struct == cost.object), None)
        if item is None or ports is None or cost.count <= ports:
            shared.append(cost)
            continue
        fewer = _times(cost, ports / cost.count)._replace(estimated=True)
        if item is BIND2_BUCKET:
            fewer = fewer._replace(count=cost.count, high_slab_bytes=cost.high_slab_bytes)
        shared.append(fewer)
    return shared


def _part(cost: ObjectCost) -> PlanPart:
    # The size of an object is a lower bound on the object's share of a slab.
    low = cost.object_bytes if cost.slab_bytes is None else cost.slab_bytes
    high = low if cost.high_slab_bytes is None else cost.high_slab_bytes
    return PlanPart(cost.object, cost.cache, cost.count, low, high, cost.estimated)


def _limits(
    snapshot: Snapshot, ledger: Ledger, request: PlanRequest, memory: tuple[float, float], charged_bytes: float
) -> Iterator[PlanLimit]:
    """Yields the limits that the plan affects; leaves out a memory cgroup without a maximum."""
    rows = {limit.name: limit for limit in ledger.limits["full"].rows}
    free = ledger.headroom["full"].with_reclaim_bytes
    yield _limit(rows["memory"], request, memory, free, ledger.headroom["full"].unknown_because or "")
    if CGROUP_LIMIT in rows:
        row = rows[CGROUP_LIMIT]
        if row.maximum is not None or row.used_error is None:
            yield _limit(row, request, (charged_bytes, charged_bytes), _free(row), row.note)
    if request.buffer_bytes:
        row, unit = rows["tcp_mem"], ledger.sockets.tcp_mem_unit_bytes
        note = row.note if row.maximum is None else "the size of a page is not known"
        charge = -(-request.buffer_bytes // unit) * unit * request.sockets if unit and row.unit == "bytes" else None
        yield _limit(row, request, None if charge is None else (charge, charge), _free(row), note)
    if "file_max" in rows:
        yield _limit(rows["file_max"], request, (request.sockets,) * 2, _free(rows["file_max"]), "file-nr was not read")
    if request.time_wait:
        row = rows[TIME_WAIT_LIMIT]
        yield _limit(row, request, (request.time_wait,) * 2, _free(row), "its file, or sockstat, was not read")
    if request.with_conntrack:
        yield from _conntrack(snapshot, rows.get("nf_conntrack_max"), request)


def _conntrack(snapshot: Snapshot, row: Limit | None, request: PlanRequest) -> Iterator[PlanLimit]:
    limits = snapshot.socket_limits.value
    if row is not None:
        yield _limit(row, request, (request.flows,) * 2, _free(row), "its files were not read")
    elif limits is None or limits.max_conntrack_entries != 0:
        note = "conntrack is not loaded, or its files cannot be seen here"
        yield PlanLimit(
            "nf_conntrack_max", "here", "flows", None, request.flows, request.flows, None, None, "unknown", None, note
        )


def _free(limit: Limit) -> int | None:
    """How much of a limit is free if the counter of the limit has no error; None if unknown."""
    if limit.used is None or limit.maximum is None:
        return None
    return max(0, limit.maximum - limit.used)


def _limit(
    limit: Limit, request: PlanRequest, takes: tuple[float, float] | None, free: int | None, note: str
) -> PlanLimit:
    """A limit, and the amount that the plan takes of the limit.

    `takes` are the bounds on this amount; None if the bounds are unknown.
    """
    low, high = takes or (0, inf)
    error = limit.used_error
    verdict: LimitVerdict = "unknown"
    connections: int | None = None
    if free is not None and takes is not None:
        # The true use may be smaller than the counter's value by up to the counter's error, but not smaller than 0.
        # If the counter's value is only an upper bound, the true use may be 0.
        less = limit.used if limit.used_is_at_most else error
        most_free = free if less == 0 else min(limit.maximum or 0, free + (inf if less is None else less))
        if low > most_free:
            verdict = "exceeded"
        elif error is not None and high <= free - error:
            verdict = "fits"
        elif not limit.used_is_at_most:
            note = "the error of its counter, or a range of sizes, decides"
        per_connection = (low if high == inf else high) / request.connections
        connections = int(free / per_connection) if per_connection and not limit.used_is_at_most else None
    return PlanLimit(
        name=limit.name,
        scope=limit.scope,
        unit=limit.unit,
        used=limit.used,
        takes=round(low),
        high_takes=round(low if high == inf else high),
        maximum=limit.maximum,
        free=free,
        verdict=verdict,
        connections=connections,
        note="" if verdict != "unknown" and not limit.used_is_at_most else note or "its use is not known",
    )


def _connections(limit: PlanLimit) -> float:
    """Sort key: the number of connections that fit below a limit. If this number is unknown, the limit comes last."""
    return inf if limit.connections is None else limit.connections


def _by_node(table: CacheTable, ledger: Ledger, total_bytes: float) -> dict[int, float] | None:
    """The bytes by node, if new sockets spread over the nodes like the present socks; None if the spread is unknown."""
    numbers = [node.node for node in ledger.nodes]
    lines = [line for item in SOCKS if (line := table.find(item).line) is not None]
    shares = {number: share_of_objects(lines, number) for number in numbers}
    if len(numbers) == 1:
        return {numbers[0]: total_bytes}
    if not shares or None in shares.values():
        return None
    return {number: total_bytes * (share or 0.0) for number, share in shares.items()}


def _full_nodes(ledger: Ledger, nodes: Mapping[int, float]) -> tuple[int, ...]:
    """The nodes on which the plan takes more memory than the node has free."""
    headroom = ledger.headroom["full"]
    per_socket = headroom.bytes_per_socket or 0.0
    own_bytes = {number: node.without_reclaim * per_socket for number, node in headroom.nodes.items()}
    return tuple(number for number, share in nodes.items() if share > own_bytes.get(number, inf))


def _sysctls(ledger: Ledger, limits: Sequence[PlanLimit]) -> Iterator[PlanSysctl]:
    """Yields the sysctls that would need another value, with the smallest value for which the plan fits."""
    names = {
        "file_max": "fs.file-max",
        "nf_conntrack_max": "net.netfilter.nf_conntrack_max",
        TIME_WAIT_LIMIT: f"net.ipv4.{TIME_WAIT_LIMIT}",
    }
    for limit in limits:
        if limit.used is None or limit.maximum is None:
            continue
        if limit.name in names and limit.verdict != "fits":
            yield PlanSysctl(names[limit.name], (limit.maximum,), (limit.used + limit.high_takes,))
        unit, now = ledger.sockets.tcp_mem_unit_bytes, ledger.sockets.tcp_mem_pages
        if limit.name == "tcp_mem" and unit and now is not None:
            error = ledger.sockets.buffer_error_bytes or 0
            needed = -(-(limit.used + error + limit.high_takes) // unit)
            if needed > now[1]:
                # The kernel itself sets the three values of tcp_mem to 3/4, 1 and 3/2 of the second value
                # (net/ipv4/tcp.c, tcp_init_mem).
                yield PlanSysctl("net.ipv4.tcp_mem", now, (needed * 3 // 4, needed, max(now[2], needed * 3 // 2)))
