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
SLAB_SHARE = "slab share"
UNCHARGED = (NF_CONN.struct, EXTENSIONS, SLAB_SHARE)
"""Beginnings of the names of missing parts that leave the bytes charged to a memory cgroup as they are."""
SYSCTLS: Mapping[str, tuple[str, int]] = {
    "file_max": ("fs.file-max", (1 << 63) - 1),
    "nf_conntrack_max": ("net.netfilter.nf_conntrack_max", (1 << 31) - 1),
    TIME_WAIT_LIMIT: (f"net.ipv4.{TIME_WAIT_LIMIT}", (1 << 31) - 1),
}
"""Sysctls by limit, each with the largest value that the kernel takes.

fs/file_table.c, fs_stat_sysctls: a long. net/netfilter/nf_conntrack_standalone.c, nf_ct_sysctl_table, and
net/ipv4/sysctl_net_ipv4.c, ipv4_net_table: an int.
"""
MIN_PAGE_BYTES = 4096
"""Smallest page size of Linux."""
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
    takes: int | None
    """Lower bound on the planned use; None if unknown."""
    high_takes: int | None
    """Upper bound on the planned use; None without an upper bound."""
    maximum: int | None
    free: int | None
    """How much of the limit is free if the counter of the limit has no error; None if unknown."""
    verdict: LimitVerdict
    connections: int | None
    """Number of planned connections that fit below the limit; None if unknown.

    If `connections_are_at_most` is True, this number is an upper bound. The number of planned TIME_WAIT sockets is
    scaled in proportion to the number of connections.
    """
    note: str
    """Reason that the verdict is `unknown`, and a sentence if no value of its sysctl is enough; may be empty."""
    connections_are_at_most: bool = False
    """Whether `connections` is an upper bound, because the size of a part or the free amount is unknown."""

    @property
    def ratio(self) -> float | None:
        """The use with the planned connections ÷ the maximum; None if unknown.

        The ratio is a lower bound if `takes` has no upper bound.
        """
        if self.used is None or self.takes is None or not self.maximum:
            return None
        return (self.used + self.takes) / self.maximum


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
    """Without the sysctls of which no value is enough; the notes of `limits` name these sysctls."""
    ports: int | None
    """Number of local ports in ip_local_port_range; None if unknown."""
    ports_unknown_because: str | None
    """Reason that `ports` is None; follows the name of the file."""
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
        missing.append(f"{KTLS} ({_why_no_ktls(ledger)})")
    buffers = request.sockets * request.buffer_bytes
    if buffers:
        parts.append(PlanPart(BUFFERS, None, request.sockets, buffers, buffers, False))
    if not any(cost.slab_bytes for cost in costs):
        missing = missing or ["the bytes of a socket"]
    total = sum(part.bytes for part in parts)
    high = inf if missing else sum(part.high_bytes for part in parts)
    charged = _charged_bytes(costs, missing, buffers + sum(part.bytes for part in parts if part.object == KTLS))
    limits = sorted(_limits(snapshot, ledger, request, (total, high), charged, missing), key=_connections)
    sysctls = _sysctls(snapshot, ledger, limits)
    limits = [_with_note(limit, sysctls.get(limit.name)) for limit in limits]
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
        sysctls=tuple(each for each in sysctls.values() if isinstance(each, PlanSysctl)),
        ports=ports,
        ports_unknown_because=_why_unread(snapshot, "ip_local_port_range") if ports is None else None,
        verdict="does not fit" if exceeded else "cannot say" if reasons else "fits",
        unknown_because=reasons[0] if reasons and not exceeded else None,
    )


def _why_no_ktls(ledger: Ledger) -> str:
    """The reason that the bytes of kernel TLS are unknown, and the command that measures these bytes."""
    measure = "measure it with tcptop lab --states ktls -w FILE"
    if ledger.lab is None:
        return f"{measure}, and give --lab FILE"
    if ledger.lab.unused_because is not None:
        return f"the result of --lab is not used: {ledger.lab.unused_because}; {measure} on this kernel"
    return f"the result of --lab does not have it; {measure}"


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


def _charged_bytes(costs: Sequence[ObjectCost], missing: Sequence[str], others: float) -> tuple[float, float]:
    """Bounds on the bytes that the kernel charges to a memory cgroup; `others` are the bytes outside `costs`.

    The upper bound is infinite if the size of a charged object is unknown. Objects of conntrack are not charged
    (net/netfilter/nf_conntrack_core.c, nf_conntrack_init_start: no SLAB_ACCOUNT). An object is charged with its own
    size, so an unknown share of a slab leaves the bounds as they are.
    """
    charged = [cost for cost in costs if cost.object != NF_CONN.struct]
    low = sum(cost.object_bytes for cost in charged)
    high = sum(cost.object_bytes * max(1.0, (cost.high_slab_bytes or 0) / (cost.slab_bytes or inf)) for cost in charged)
    is_open = not charged or any(not name.startswith(UNCHARGED) for name in missing)
    return low + others, inf if is_open else high + others


def _limits(
    snapshot: Snapshot,
    ledger: Ledger,
    request: PlanRequest,
    memory: tuple[float, float],
    charged: tuple[float, float],
    missing: Sequence[str],
) -> Iterator[PlanLimit]:
    """Yields the limits that the plan affects; leaves out a memory cgroup without a maximum."""
    rows = {limit.name: limit for limit in ledger.limits["full"].rows}
    headroom = ledger.headroom["full"]
    # The names of the parts; the advice in parentheses stands below the table of parts.
    parts = f"not known: {', '.join(dict.fromkeys(name.partition(' (')[0] for name in missing))}" if missing else ""
    most_free = _machine_bytes(snapshot, ledger) if headroom.with_reclaim_bytes is None else None
    why = parts or headroom.unknown_because or ""
    yield _limit(rows["memory"], request, memory, headroom.with_reclaim_bytes, why, most_free)
    if CGROUP_LIMIT in rows:
        row = rows[CGROUP_LIMIT]
        if row.maximum is not None or row.used_error is None:
            yield _limit(row, request, charged, _free(row), parts if _free(row) is not None and parts else row.note)
    if request.buffer_bytes:
        row, unit = rows["tcp_mem"], ledger.sockets.tcp_mem_unit_bytes
        note = row.note if row.maximum is None else "the size of a page is not known"
        charge = -(-request.buffer_bytes // unit) * unit * request.sockets if unit and row.unit == "bytes" else None
        yield _limit(row, request, None if charge is None else (charge, charge), _free(row), note)
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
        yield _limit(row, request, (request.time_wait,) * 2, _free(row), note)
    if request.with_conntrack:
        yield from _conntrack(snapshot, rows.get("nf_conntrack_max"), request)


def _why_unread(snapshot: Snapshot, file_name: str) -> str:
    """The reason that a file below /proc/sys has no value; the text follows the name of the file.

    A reading names only the worst damage. If this damage is of another file, the file may be damaged, too.
    """
    reading = snapshot.socket_limits
    if reading.state != "strange":
        return "was not read"
    return "is damaged" if f"/{file_name} " in (reading.reason or "") else "was not read, or is damaged"


def _conntrack(snapshot: Snapshot, row: Limit | None, request: PlanRequest) -> Iterator[PlanLimit]:
    limits = snapshot.socket_limits.value
    if row is not None:
        name = "nf_conntrack_max" if row.maximum is None else "nf_conntrack_count"
        note = f"{name} {_why_unread(snapshot, name)}"
        yield _limit(row, request, (request.flows,) * 2, _free(row), note)
    elif limits is None or limits.max_conntrack_entries != 0:
        is_damaged = _why_unread(snapshot, "nf_conntrack_max") != "was not read"
        note = "conntrack is not loaded, or its files cannot be seen here" + (", or are damaged" if is_damaged else "")
        yield PlanLimit(
            "nf_conntrack_max", "here", "flows", None, request.flows, request.flows, None, None, "unknown", None, note
        )


def _free(limit: Limit) -> int | None:
    """How much of a limit is free if the counter of the limit has no error; None if unknown."""
    if limit.used is None or limit.maximum is None:
        return None
    return max(0, limit.maximum - limit.used)


def _machine_bytes(snapshot: Snapshot, ledger: Ledger) -> int | None:
    """The machine's memory; None if meminfo is damaged or without MemTotal.

    The MemTotal of a container's own meminfo (lxcfs) may be below the memory of the machine, which zoneinfo has.
    """
    meminfo, zoneinfo = snapshot.meminfo, snapshot.zoneinfo.value
    if meminfo.value is None or meminfo.value.total_bytes is None or meminfo.state not in ("ok", "late"):
        return None
    pages = sum(zone.managed_pages or 0 for zone in zoneinfo.zones) if zoneinfo else 0
    return max(meminfo.value.total_bytes, pages * (ledger.host.page_size_bytes or MIN_PAGE_BYTES))


def _limit(
    limit: Limit,
    request: PlanRequest,
    takes: tuple[float, float] | None,
    free: int | None,
    note: str,
    most_free: int | None = None,
) -> PlanLimit:
    """A limit, and the amount that the plan takes of the limit.

    `takes` are the bounds on this amount; None if the bounds are unknown. `most_free` is an upper bound on the free
    amount, for a limit whose `free` is None.
    """
    low, high = takes or (0, inf)
    error = limit.used_error
    verdict: LimitVerdict = "unknown"
    connections: int | None = None
    if free is not None and takes is not None:
        # The true use may be smaller than the counter's value by up to the counter's error, but not smaller than 0.
        # If the counter's value is only an upper bound, the true use may be 0.
        less = limit.used if limit.used_is_at_most else error
        most = free if less == 0 else min(limit.maximum or 0, free + (inf if less is None else less))
        if low > most:
            verdict = "exceeded"
        elif error is not None and high <= free - error:
            verdict = "fits"
        elif high < inf and not limit.used_is_at_most:
            note = "the error of its counter, or a range of sizes, decides"
        per_connection = (low if high == inf else high) / request.connections
        connections = int(free / per_connection) if per_connection and not limit.used_is_at_most else None
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
        free=free,
        verdict=verdict,
        connections=connections,
        note="" if verdict != "unknown" and not limit.used_is_at_most else note or "its use is not known",
        connections_are_at_most=connections is not None and (high == inf or free is None),
    )


def _with_note(limit: PlanLimit, sysctl: PlanSysctl | str | None) -> PlanLimit:
    """The limit; if no value of its sysctl is enough, its note says so."""
    return limit._replace(note="; ".join(filter(None, (limit.note, sysctl)))) if isinstance(sysctl, str) else limit


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


def _sysctls(snapshot: Snapshot, ledger: Ledger, limits: Sequence[PlanLimit]) -> dict[str, PlanSysctl | str]:
    """The sysctls that would need another value, by limit, with the smallest value for which the plan fits.

    If no value of a sysctl is enough, the sysctl is replaced by a sentence that says so.
    """
    found: dict[str, PlanSysctl | str] = {}
    memory_bytes = _machine_bytes(snapshot, ledger)
    for limit in limits:
        if limit.used is None or limit.maximum is None or limit.high_takes is None:
            continue
        if limit.name in SYSCTLS and limit.verdict != "fits":
            name, largest = SYSCTLS[limit.name]
            needed = limit.used + limit.high_takes
            found[limit.name] = (
                PlanSysctl(name, (limit.maximum,), (needed,))
                if needed <= largest
                else f"no value of {name} is enough: it is at most {largest}"
            )
        unit, now = ledger.sockets.tcp_mem_unit_bytes, ledger.sockets.tcp_mem_pages
        if limit.name == "tcp_mem" and unit and now is not None:
            error = ledger.sockets.buffer_error_bytes or 0
            needed = -(-(limit.used + error + limit.high_takes) // unit)
            if needed <= now[1]:
                continue
            if memory_bytes is not None and needed * unit > memory_bytes:
                found[limit.name] = "no value of net.ipv4.tcp_mem is enough: the machine has less memory"
                continue
            # The kernel itself sets the three values of tcp_mem to 3/4, 1 and 3/2 of the second value
            # (net/ipv4/tcp.c, tcp_init_mem).
            third = needed * 3 // 2 if memory_bytes is None else min(needed * 3 // 2, memory_bytes // unit)
            found[limit.name] = PlanSysctl(
                "net.ipv4.tcp_mem", now, (needed * 3 // 4, needed, max(now[2], needed, third))
            )
    return found
