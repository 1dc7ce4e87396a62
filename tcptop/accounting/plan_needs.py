"""Needs of planned sockets: the objects with their bytes, their buffers, and what of it a memory cgroup is charged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple

from tcptop.accounting.attached_objects import MAX_EXTENSION_BYTES
from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_charge import charged_buffers, charged_bytes
from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.lab_result import ktls_doubt, measured_ktls
from tcptop.accounting.object_cost import object_costs
from tcptop.kernel.objects import (
    BIND2_BUCKET,
    BIND_BUCKETS,
    CGROUP_VECTORS,
    EPITEM,
    EPOLL_OBJECTS,
    EPPOLL_ENTRY,
    LAST_PORT,
    NF_CONN,
    KernelObject,
)
from tcptop.ledger import AccountingMode, Amount, CostBySide, Ledger, ObjectCost
from tcptop.ledger.plan import PLANNED_BUFFERS, PlanPart, PlanRequest
from tcptop.snapshot import Snapshot

EXTENSIONS = "nf_conn extensions"
KTLS = "kernel TLS"
SLAB_SHARE = "slab share"
UNCHARGED = (NF_CONN.struct, EXTENSIONS, SLAB_SHARE)
"""A missing part whose name begins with one of these texts does not affect the bytes charged to a memory cgroup."""
MAY_BE_SHARED = frozenset(item.struct for item in BIND_BUCKETS)
"""Structs that several sockets may share. Sockets to different peers share the buckets of a port, so the planned
sockets may need no new bucket."""


class Needs(NamedTuple):
    """The memory that planned connections need; `memory` and `charged` are bounds on a number of bytes."""

    parts: Sequence[PlanPart]
    missing: Sequence[str]
    memory: tuple[float, float]
    charged: tuple[float, float]
    """Bounds on the bytes that are charged to a memory cgroup."""


def planned_needs(
    snapshot: Snapshot,
    table: CacheTable,
    ledger: Ledger,
    request: PlanRequest,
    mini_sockets: int,
) -> Needs:
    """The memory that the planned sockets, their buffers and `mini_sockets` mini-sockets need."""
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
        each = buffer_bytes_of(ledger, request)
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


def buffer_bytes_of(ledger: Ledger, request: PlanRequest) -> Amount | None:
    """Bounds on the bytes of a planned socket's buffers; None if the buffers of the present sockets are unknown."""
    if request.buffer_bytes != "now":
        return Amount(request.buffer_bytes, request.buffer_bytes)
    if ledger.costs["full"].buffer_bytes_per_socket is not None:
        headroom = ledger.headroom["full"]
        low, high = headroom.buffer_bytes, headroom.high_buffer_bytes
        return None if low is None or high is None else Amount(low, high)
    bounds = next((kind.bytes_per_socket for kind in ledger.attached.kinds if kind.name == "buffers"), None)
    return None if bounds is None or bounds.high == inf else bounds


def buffer_charge_of(ledger: Ledger, request: PlanRequest) -> Amount | None:
    """Bounds on the bytes of a planned socket's buffers that the kernel charges against tcp_mem; None if unknown.

    The kernel charges whole units of sockstat's `mem` (net/core/sock.c, __sk_mem_raise_allocated). If the plan uses the
    present buffers, the charge is their average, which has the error of the counter: it is between the counter less its
    error and the counter plus its error.
    """
    sockets = ledger.sockets
    if request.buffer_bytes != "now":
        unit = sockets.buffer_unit_bytes
        each = -(-request.buffer_bytes // unit) * unit if unit else None
        return None if each is None else Amount(each, each)
    counted, error = sockets.buffer_bytes, sockets.buffer_error_bytes
    if not sockets.allocated or counted is None or error is None:
        return None
    if ledger.costs["full"].buffer_bytes_per_socket is None and buffer_bytes_of(ledger, request) is None:
        return None
    return Amount(max(0, counted - error) / sockets.allocated, (counted + error) / sockets.allocated)


def average_charge_of(ledger: Ledger, request: PlanRequest) -> float | None:
    """The charge of a planned socket's buffers, as if the counter had no error; None if only bounds are known."""
    if request.buffer_bytes == "now":
        return ledger.costs["full"].buffer_bytes_per_socket
    return exact_amount(buffer_charge_of(ledger, request))


def exact_amount(amount: Amount | None) -> float | None:
    """The amount if it is known exactly; otherwise None."""
    return amount.low if amount is not None and amount.low == amount.high else None


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
