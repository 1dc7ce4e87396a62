"""What one TCP connection costs: the next socket's objects, and what a socket costs on average now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tcptop.accounting.slab_caches import CacheTable
from tcptop.kernel_objects import (
    KERNEL_OBJECTS,
    LSM_SOCKET_BLOB,
    LSM_SOCKET_BLOB_BYTES,
    SOCKET_ALLOC,
    SOCKET_WQ,
    TCP6_SOCK,
    TCP_SOCK,
    TW6_SOCK,
    TW_SOCK,
    KernelObject,
    State,
)
from tcptop.kernel_release import release_numbers
from tcptop.ledger import (
    AccountingMode,
    CacheLine,
    ConnectionCost,
    Family,
    Figure,
    Part,
    Side,
    Slice,
    SocketCounts,
)
from tcptop.snapshot import Snapshot

ENOUGH_SOCKETS_PER_CPU = 100
"""With fewer, idle objects on per-CPU slabs would be most of what an average shows."""

IDLE_SLABS_PER_CPU = 16
"""Twice as many slabs as a CPU may keep, all of whose free objects count as active."""

SOCKET_ALLOC_WITH_WQ_BYTES = 768
"""On 64-bit kernels struct socket_alloc is at least this since socket_wq is part of it, and was smaller before."""

STATE_OF_MODE: Mapping[AccountingMode, State] = {"full": State.ESTABLISHED, "time_wait": State.TIME_WAIT}
FAMILY_OBJECTS: Mapping[AccountingMode, tuple[KernelObject, KernelObject]] = {
    "full": (TCP_SOCK, TCP6_SOCK),
    "time_wait": (TW_SOCK, TW6_SOCK),
}


@dataclass(frozen=True, slots=True)
class FamilyMix:
    """How the machine's sockets are split between the families; the shares add up to 1."""

    ipv4: float
    ipv6: float

    def share(self, kernel_object: KernelObject) -> float:
        """The share of sockets that hold such an object."""
        if kernel_object.family is None:
            return 1.0
        return self.ipv4 if kernel_object.family == "ipv4" else self.ipv6


IPV4 = FamilyMix(1.0, 0.0)
IPV6 = FamilyMix(0.0, 1.0)


def costs(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, cpus: int | None
) -> dict[AccountingMode, ConnectionCost]:
    """Both accountings."""
    return {
        "full": _full(snapshot, table, sockets, cpus),
        "time_wait": _time_wait(snapshot, table, cpus),
    }


def side(snapshot: Snapshot, table: CacheTable, state: State, mix: FamilyMix, owns_port: bool) -> Side:
    """What one socket in a state holds, with or without a local port of its own."""
    parts: list[Part] = []
    missing: list[str] = []
    for kernel_object in KERNEL_OBJECTS:
        share = mix.share(kernel_object)
        if state not in kernel_object.held_in or not share or (kernel_object.per == "local port" and not owns_port):
            continue
        for found in _parts(snapshot, table, kernel_object, share):
            if isinstance(found, Part):
                parts.append(found)
            else:
                missing.append(found)
    unshared = [part.object for part in parts if part.slab_bytes is None]
    if unshared:
        missing.append(f"slab share ({', '.join(unshared)})")
    # A share of a slab is at least the object; where no share is known at all, no such sum is given.
    has_share = any(part.slab_bytes is not None for part in parts)
    slab = [part.object_bytes if part.slab_bytes is None else part.slab_bytes for part in parts] if has_share else []
    return Side(
        object_bytes=round(sum(part.object_bytes for part in parts), 2) if parts else None,
        slab_bytes=round(sum(slab), 2) if slab else None,
        missing=tuple(missing),
        parts=tuple(parts),
        slices=next_slices(tuple(parts)),
    )


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


def files(table: CacheTable, allocated: int | None, orphans: int | None) -> int | None:
    """How many TCP sockets have a file: those in the accept queue and orphans have none.

    min(alloc − orphan, active objects of sock_inode_cache), since no counter tells how many are in accept queues.
    """
    if allocated is None or orphans is None:
        return None
    with_file = max(0, allocated - orphans)
    most = most_in_use(table, SOCKET_ALLOC)
    return with_file if most is None else min(with_file, most)


def most_in_use(table: CacheTable, kernel_object: KernelObject) -> int | None:
    """No more than so many objects of a kind are in use; None where that is not known."""
    line = table.find(kernel_object).line
    return line.most_in_use if line else None


def _full(snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, cpus: int | None) -> ConnectionCost:
    mix = family_mix(table, sockets, cpus)
    figures = _figures(snapshot, table, "full", mix)
    beside = table.beside
    allocated = beside.allocated if beside else None
    held = _held_bytes(table, "full")
    idle = _idle_bytes(table, held, allocated, mix)
    because = _too_few(allocated, cpus, "sockets")
    now: tuple[Slice, ...] = ()
    if held is None:
        because = "what the TCP caches hold is not known"
    elif allocated and beside and because is None:
        with_file = files(table, allocated, beside.orphans) or 0
        now = _now_slices(figures["mix"].accepted, held / allocated, with_file / allocated)
    return ConnectionCost(
        figures=figures,
        idle_bytes_per_socket=round(idle / allocated, 2) if now and idle is not None and allocated else None,
        buffer_bytes_per_socket=_buffers_per_socket(sockets),
        now_bytes=round(sum(each.bytes for each in now), 2) if now else None,
        now_unknown_because=because,
        now_slices=now,
    )


def _time_wait(snapshot: Snapshot, table: CacheTable, cpus: int | None) -> ConnectionCost:
    """Rows of the machine over active objects of the machine, never over `tw`, which counts one namespace."""
    active4, active6 = (_active(table, kernel_object) for kernel_object in FAMILY_OBJECTS["time_wait"])
    active = active4 + active6
    mix = FamilyMix(active4 / active, active6 / active) if active >= ENOUGH_SOCKETS_PER_CPU * (cpus or 1) else IPV4
    figures = _figures(snapshot, table, "time_wait", mix)
    held = _held_bytes(table, "time_wait")
    idle = _idle_bytes(table, held, active, mix, "time_wait")
    because = _too_few(active, cpus, "TIME_WAIT mini-sockets", IDLE_SLABS_PER_CPU * _objects_per_slab(table))
    now: tuple[Slice, ...] = ()
    if held is None:
        because = "what the tw_sock caches hold is not known"
    elif active and because is None:
        now = _now_slices(figures["mix"].accepted, held / active, 0.0)
    return ConnectionCost(
        figures=figures,
        idle_bytes_per_socket=round(idle / active, 2) if now and idle is not None and active else None,
        # A mini-socket has no queues (include/net/inet_timewait_sock.h).
        buffer_bytes_per_socket=0.0,
        now_bytes=round(sum(each.bytes for each in now), 2) if now else None,
        now_unknown_because=because,
        now_slices=now,
    )


def _now_slices(accepted: Side, held_per_socket: float, with_file: float) -> tuple[Slice, ...]:
    """The average socket: what its family's caches hold for it, idle slab apart, and the parts that it has with a file.

    Buckets are left out: they are per local port, and no counter tells how many ports are in use.
    """
    families = {kernel_object.struct for pair in FAMILY_OBJECTS.values() for kernel_object in pair}
    own = sum(part.slab_bytes or 0.0 for part in accepted.parts if part.object in families)
    idle = max(0.0, held_per_socket - own)
    shrink = min(1.0, held_per_socket / own) if own else 0.0
    slices: dict[str, float] = {}
    for part in accepted.parts:
        share = (part.slab_bytes or 0.0) * (shrink if part.object in families else with_file)
        slices[part.label] = slices.get(part.label, 0.0) + share
    slices["idle"] = idle
    rounded = {label: round(amount, 2) for label, amount in slices.items()}
    return tuple(Slice(label, amount) for label, amount in rounded.items() if amount)


def next_slices(parts: tuple[Part, ...]) -> tuple[Slice, ...]:
    """The parts of a figure with those of one label together; without a page size, by object bytes."""
    slices: dict[str, float] = {}
    for part in parts:
        amount = part.slab_bytes if part.slab_bytes is not None else part.object_bytes
        slices[part.label] = slices.get(part.label, 0.0) + amount
    return tuple(Slice(label, round(amount, 2)) for label, amount in slices.items())


def _figures(snapshot: Snapshot, table: CacheTable, mode: AccountingMode, mix: FamilyMix) -> dict[Family, Figure]:
    state = STATE_OF_MODE[mode]
    mixes: dict[Family, FamilyMix] = {"ipv4": IPV4, "ipv6": IPV6, "mix": mix}
    return {
        family: Figure(
            accepted=side(snapshot, table, state, of, owns_port=False),
            outgoing=side(snapshot, table, state, of, owns_port=True),
        )
        for family, of in mixes.items()
    }


def _parts(snapshot: Snapshot, table: CacheTable, kernel_object: KernelObject, count: float) -> Iterator[Part | str]:
    """The part that an object makes of a figure; nothing where this kernel has none; its name where it is not known."""
    if kernel_object is SOCKET_WQ:
        yield from _socket_wq(snapshot, table, count)
    elif kernel_object is LSM_SOCKET_BLOB:
        yield from _lsm_socket_blob(snapshot, table, count)
    else:
        found = table.find(kernel_object)
        if found.status == "unknown":
            yield f"{kernel_object.struct} ({kernel_object.caches[0]})"
        elif found.line is not None:
            yield _part(kernel_object, found.line, count)


def _part(kernel_object: KernelObject, line: CacheLine, count: float) -> Part | str:
    """A part from a cache: its object's size, and its share of a slab."""
    size = line.object_bytes if line.object_bytes is not None else line.object_size_bytes
    if size is None:
        return f"{kernel_object.struct} ({line.name})"
    share = line.slab_share_bytes
    slab = round(count * share, 2) if share is not None else None
    return Part(
        object=kernel_object.struct,
        label=kernel_object.label,
        cache=line.name,
        count=round(count, 4),
        object_bytes=round(count * size, 2),
        slab_bytes=slab,
        high_slab_bytes=slab,
        # The struct alone, without its padding, is the least that the object takes.
        estimated=line.object_bytes is None or line.computed,
        computed=line.computed,
    )


def _socket_wq(snapshot: Snapshot, table: CacheTable, count: float) -> Iterator[Part | str]:
    """Struct socket_wq, where it is an allocation of its own.

    It became part of struct socket with 5.3, and socket_alloc grew past 768 bytes then. Where the release and the size
    of socket_alloc disagree, the release stands and the part is marked as estimated.
    """
    sysctls = snapshot.sysctls.value
    release = release_numbers(sysctls.kernel_release) if sysctls else None
    inode = table.find(SOCKET_ALLOC).line
    size = (inode.object_size_bytes or inode.object_bytes) if inode else None
    small = None if size is None else size < SOCKET_ALLOC_WITH_WQ_BYTES
    old = None if release is None or SOCKET_WQ.until is None else release < SOCKET_WQ.until
    separate = small if old is None else old
    if separate is None:
        yield SOCKET_WQ.struct
        return
    if not separate:
        return
    line = table.kmalloc(SOCKET_WQ.kmalloc_bytes or 0)
    if line is None or line.object_bytes is None:
        yield f"{SOCKET_WQ.struct} (kmalloc)"
        return
    share = line.slab_share_bytes
    slab = round(count * share, 2) if share is not None else None
    object_bytes = round(count * line.object_bytes, 2)
    estimated = small is not True or old is not True
    yield Part(SOCKET_WQ.struct, SOCKET_WQ.label, line.name, round(count, 4), object_bytes, slab, slab, estimated)


def _lsm_socket_blob(snapshot: Snapshot, table: CacheTable, count: float) -> Iterator[Part | str]:
    """What the active security modules hang on a socket: a range, rounded by this kernel's own kmalloc caches.

    A cache with fewer active objects than there are sockets cannot be the one.
    """
    modules, sockstat = snapshot.security_modules.value, snapshot.sockstat.value
    if modules is None:
        yield f"{LSM_SOCKET_BLOB.struct} (no list of security modules)"
        return
    ranges = [LSM_SOCKET_BLOB_BYTES[name] for name in modules.names if name in LSM_SOCKET_BLOB_BYTES]
    if not ranges:
        return
    caches = table.kmallocs(sum(least for least, _ in ranges), sum(most for _, most in ranges))
    sockets = (sockstat.allocated or 0) if sockstat else 0
    able = [line for line in caches if line.most_in_use is None or line.most_in_use >= sockets]
    if not able or able[0].object_bytes is None:
        yield f"{LSM_SOCKET_BLOB.struct} (kmalloc)"
        return
    low_share, high_share = able[0].slab_share_bytes, able[-1].slab_share_bytes
    yield Part(
        LSM_SOCKET_BLOB.struct,
        LSM_SOCKET_BLOB.label,
        able[0].name,
        round(count, 4),
        round(count * able[0].object_bytes, 2),
        round(count * low_share, 2) if low_share is not None else None,
        round(count * high_share, 2) if high_share is not None else None,
        estimated=True,
    )


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


def _buffers_per_socket(sockets: SocketCounts) -> float | None:
    """None while the counter's own error could be all of it."""
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
        f"an average needs {least} {what} here ({max(ENOUGH_SOCKETS_PER_CPU, per_cpu)} × CPUs)"
        if count < least
        else None
    )


def _objects_per_slab(table: CacheTable) -> int:
    """Of the tw_sock cache; 0 where it is not known."""
    line = table.find(TW_SOCK).line
    return (line.objects_per_slab or 0) if line else 0


def _active(table: CacheTable, kernel_object: KernelObject) -> int:
    return most_in_use(table, kernel_object) or 0
