"""What one TCP connection costs: the next socket's objects, and what a socket costs on average now."""

from __future__ import annotations

from collections.abc import Mapping

from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.slab_caches import CacheTable
from tcptop.accounting.socket_cost import IPV4, IPV6, FamilyMix, socket_cost
from tcptop.accounting.socket_counts import sockets_with_file
from tcptop.kernel.objects import (
    CGROUP_VECTORS,
    LSM_SOCKET_BLOB,
    MINI_SOCKETS,
    SOCKS,
    TW_SOCK,
    KernelObject,
    State,
)
from tcptop.ledger import (
    AccountingMode,
    ConnectionCost,
    CostBySide,
    Family,
    Slice,
    SocketCost,
    SocketCounts,
)
from tcptop.snapshot import Snapshot
from tcptop.text.units import grouped

ENOUGH_SOCKETS_PER_CPU = 100
"""With fewer, idle objects on per-CPU slabs would be most of what an average shows."""

IDLE_SLABS_PER_CPU = 16
"""Twice as many slabs as a CPU may keep, all of whose free objects count as active."""

STATE_OF_MODE: Mapping[AccountingMode, State] = {"full": State.ESTABLISHED, "time_wait": State.TIME_WAIT}
FAMILY_OBJECTS: Mapping[AccountingMode, tuple[KernelObject, KernelObject]] = {
    "full": SOCKS,
    "time_wait": MINI_SOCKETS,
}


def connection_costs(
    snapshot: Snapshot,
    table: CacheTable,
    sockets: SocketCounts,
    cpus: int | None,
    mixes: Mapping[AccountingMode, FamilyMix],
) -> dict[AccountingMode, ConnectionCost]:
    """Both accountings."""
    return {
        "full": _full(snapshot, table, sockets, cpus, mixes["full"]),
        "time_wait": _time_wait(snapshot, table, cpus, mixes["time_wait"]),
    }


def family_mixes(table: CacheTable, sockets: SocketCounts, cpus: int | None) -> dict[AccountingMode, FamilyMix]:
    """How whole sockets are split between the families, and how mini-sockets are."""
    return {"full": family_mix(table, sockets, cpus), "time_wait": _small_mix(table, cpus)}


def family_mix(table: CacheTable, sockets: SocketCounts, cpus: int | None) -> FamilyMix:
    """How the sockets are split: as the active objects of both caches are, once there are enough of them.

    With few sockets the active objects are mostly idle ones on per-CPU slabs; then the split is that of the sockets in
    use in this namespace, and IPv4 where there are none.
    """
    active4, active6 = (_active(table, kernel_object) for kernel_object in FAMILY_OBJECTS["full"])
    enough = _too_few(sockets.allocated, cpus, "sockets") is None
    if enough and active4 + active6 >= ENOUGH_SOCKETS_PER_CPU * (cpus or 1):
        return FamilyMix(active4 / (active4 + active6), active6 / (active4 + active6))
    inuse4, inuse6 = sockets.inuse or 0, sockets.inuse6 or 0
    if inuse4 + inuse6:
        return FamilyMix(inuse4 / (inuse4 + inuse6), inuse6 / (inuse4 + inuse6))
    return IPV4


def _small_mix(table: CacheTable, cpus: int | None) -> FamilyMix:
    """As the active mini-sockets are, where they are not mostly idle objects; else IPv4."""
    active4, active6 = (_active(table, kernel_object) for kernel_object in FAMILY_OBJECTS["time_wait"])
    active = active4 + active6
    return FamilyMix(active4 / active, active6 / active) if active >= ENOUGH_SOCKETS_PER_CPU * (cpus or 1) else IPV4


def _full(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, cpus: int | None, mix: FamilyMix
) -> ConnectionCost:
    figures = _figures(snapshot, table, "full", mix)
    beside = table.matching_sockstat
    allocated = beside.allocated if beside else None
    held = _held_bytes(table, "full")
    idle = _idle_bytes(table, held, allocated, mix)
    because = _too_few(allocated, cpus, "sockets")
    now: tuple[Slice, ...] = ()
    if held is None:
        because = "what the TCP caches hold is not known"
    elif allocated and beside and because is None:
        with_file = sockets_with_file(table, allocated, beside.orphans) or 0
        now = _now_slices(snapshot, table, figures["mix"].accepted, held / allocated, with_file / allocated)
    return ConnectionCost(
        by_family=figures,
        idle_bytes_per_socket=round(idle / allocated, 2) if now and idle is not None and allocated else None,
        buffer_bytes_per_socket=_buffers_per_socket(sockets, cpus),
        now_bytes=round(sum(each.bytes for each in now), 2) if now else None,
        now_unknown_because=because,
        now_slices=now,
    )


def _time_wait(snapshot: Snapshot, table: CacheTable, cpus: int | None, mix: FamilyMix) -> ConnectionCost:
    """Rows of the machine over active objects of the machine, never over `tw`, which counts one namespace."""
    active = sum(_active(table, kernel_object) for kernel_object in FAMILY_OBJECTS["time_wait"])
    figures = _figures(snapshot, table, "time_wait", mix)
    held = _held_bytes(table, "time_wait")
    idle = _idle_bytes(table, held, active, mix, "time_wait")
    because = _too_few(active, cpus, "TIME_WAIT mini-sockets", IDLE_SLABS_PER_CPU * _objects_per_slab(table))
    now: tuple[Slice, ...] = ()
    if held is None:
        because = "what the tw_sock caches hold is not known"
    elif active and because is None:
        now = _now_slices(snapshot, table, figures["mix"].accepted, held / active, 0.0)
    return ConnectionCost(
        by_family=figures,
        idle_bytes_per_socket=round(idle / active, 2) if now and idle is not None and active else None,
        # A mini-socket has no queues (include/net/inet_timewait_sock.h).
        buffer_bytes_per_socket=0.0,
        now_bytes=round(sum(each.bytes for each in now), 2) if now else None,
        now_unknown_because=because,
        now_slices=now,
    )


def _now_slices(
    snapshot: Snapshot, table: CacheTable, accepted: SocketCost, held_per_socket: float, with_file: float
) -> tuple[Slice, ...]:
    """The average socket: what its family's caches hold for it, idle slab apart, and the parts that it has with a file.

    Each slab of the family's caches has its vector, idle or not. Buckets are left out: they are per local port, and no
    counter tells how many ports are in use.
    """
    families = {kernel_object.struct for pair in FAMILY_OBJECTS.values() for kernel_object in pair}
    own_parts = [part for part in accepted.parts if part.object in families]
    own = sum(part.slab_bytes or 0.0 for part in own_parts)
    of_slabs = held_per_socket / own if own else 0.0
    own_vectors = sum(part.slab_bytes or 0.0 for part in cgroup_vector_costs(snapshot, table, own_parts)[0])
    slices: dict[str, float] = {}
    for part in accepted.parts:
        if part.object in families:
            share = (part.slab_bytes or 0.0) * min(1.0, of_slabs)
        elif part.object == CGROUP_VECTORS.struct:
            continue
        else:
            share = (part.slab_bytes or 0.0) * (1.0 if part.object == LSM_SOCKET_BLOB.struct else with_file)
        slices[part.label] = slices.get(part.label, 0.0) + share
    vectors = sum(part.slab_bytes or 0.0 for part in accepted.parts if part.object == CGROUP_VECTORS.struct)
    slices[CGROUP_VECTORS.label] = own_vectors * of_slabs + max(0.0, vectors - own_vectors) * with_file
    slices["idle"] = max(0.0, held_per_socket - own)
    rounded = {label: round(amount, 2) for label, amount in slices.items()}
    return tuple(Slice(label, amount) for label, amount in rounded.items() if amount)


def _figures(snapshot: Snapshot, table: CacheTable, mode: AccountingMode, mix: FamilyMix) -> dict[Family, CostBySide]:
    state = STATE_OF_MODE[mode]
    mixes: dict[Family, FamilyMix] = {"ipv4": IPV4, "ipv6": IPV6, "mix": mix}
    return {
        family: CostBySide(
            accepted=socket_cost(snapshot, table, state, of, owns_port=False),
            outgoing=socket_cost(snapshot, table, state, of, owns_port=True),
        )
        for family, of in mixes.items()
    }


def _held_bytes(table: CacheTable, mode: AccountingMode) -> int | None:
    """What the caches of both families hold; None where either is there, or may be, and its bytes are not known."""
    total = 0
    for kernel_object in FAMILY_OBJECTS[mode]:
        found = table.find(kernel_object)
        if found.status == "unknown" or (found.line is not None and found.line.bytes is None):
            return None
        total += found.line.bytes or 0 if found.line is not None else 0
    return total


def _idle_bytes(
    table: CacheTable, held: int | None, count: int | None, mix: FamilyMix, mode: AccountingMode = "full"
) -> float | None:
    """Bytes of both families' caches that no socket uses: bytes − n4·F(TCP) − n6·F(TCPv6), never below 0."""
    if held is None or count is None:
        return None
    used = 0.0
    for kernel_object, share in zip(FAMILY_OBJECTS[mode], (mix.ipv4, mix.ipv6), strict=True):
        line = table.find(kernel_object).line
        if share and (line is None or line.slab_share_bytes is None):
            return None
        used += count * share * (line.slab_share_bytes or 0.0 if line else 0.0)
    return max(0.0, held - used)


def _buffers_per_socket(sockets: SocketCounts, cpus: int | None) -> float | None:
    """None while the counter's own error could be all of it, or a few sockets all the average."""
    if _too_few(sockets.allocated, cpus, "sockets") is not None:
        return None
    if not sockets.allocated or sockets.buffer_bytes is None or sockets.buffer_error_bytes is None:
        return None
    if sockets.buffers_within_error:
        return None
    return round(sockets.buffer_bytes / sockets.allocated, 2)


def _too_few(count: int | None, cpus: int | None, what: str, per_cpu: int = 0) -> str | None:
    if count is None:
        return f"the number of {what} is not known"
    if cpus is None:
        return "the number of CPUs is not known"
    least = max(ENOUGH_SOCKETS_PER_CPU, per_cpu) * cpus
    return (
        f"an average needs {grouped(least)} {what} here ({max(ENOUGH_SOCKETS_PER_CPU, per_cpu)} × CPUs)"
        if count < least
        else None
    )


def _objects_per_slab(table: CacheTable) -> int:
    """Of the tw_sock cache; 0 where it is not known."""
    line = table.find(TW_SOCK).line
    return (line.objects_per_slab or 0) if line else 0


def _active(table: CacheTable, kernel_object: KernelObject) -> int:
    return table.max_in_use(kernel_object) or 0
