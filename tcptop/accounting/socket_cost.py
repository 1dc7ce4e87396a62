"""What a socket in a state holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.object_cost import object_costs
from tcptop.accounting.slab_caches import CacheTable
from tcptop.kernel.objects import CGROUP_VECTORS, KERNEL_OBJECTS, KernelObject, State
from tcptop.ledger import ObjectCost, Slice, SocketCost
from tcptop.snapshot import Snapshot


class FamilyMix(NamedTuple):
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


def socket_cost(snapshot: Snapshot, table: CacheTable, state: State, mix: FamilyMix, owns_port: bool) -> SocketCost:
    """What one socket in a state holds, with or without a local port of its own."""
    shares = [(each, mix.share(each)) for each in objects_held(state, owns_port)]
    key = tuple((each.struct, share) for each, share in shares if share)
    if key not in table.socket_costs:
        table.socket_costs[key] = _add_up(snapshot, table, shares)
    return table.socket_costs[key]


@cache
def objects_held(state: State, owns_port: bool) -> tuple[KernelObject, ...]:
    """What a socket in a state may hold, with or without a local port of its own."""
    return tuple(
        each
        for each in KERNEL_OBJECTS
        if state in each.held_in
        and each.always_held
        and each is not CGROUP_VECTORS
        and (owns_port or each.per != "local port")
    )


def _add_up(snapshot: Snapshot, table: CacheTable, shares: Sequence[tuple[KernelObject, float]]) -> SocketCost:
    parts: list[ObjectCost] = []
    missing: list[str] = []
    for kernel_object, share in shares:
        if not share:
            continue
        for found in object_costs(snapshot, table, kernel_object, share):
            if isinstance(found, ObjectCost):
                parts.append(found)
            else:
                missing.append(found)
    vectors, all_known = cgroup_vector_costs(snapshot, table, parts)
    parts += vectors
    if not all_known:
        missing.append(f"{CGROUP_VECTORS.struct} (kmalloc)")
    unshared = [part.object for part in parts if part.slab_bytes is None]
    if unshared:
        missing.append(f"slab share ({', '.join(unshared)})")
    # A share of a slab is at least the object; where no share is known at all, no such sum is given.
    has_share = any(part.slab_bytes is not None for part in parts)
    slab = [part.object_bytes if part.slab_bytes is None else part.slab_bytes for part in parts] if has_share else []
    return SocketCost(
        object_bytes=round(sum(part.object_bytes for part in parts), 2) if parts else None,
        slab_bytes=round(sum(slab), 2) if slab else None,
        missing=tuple(missing),
        parts=tuple(parts),
        slices=slices_by_label(tuple(parts)),
    )


def slices_by_label(parts: tuple[ObjectCost, ...]) -> tuple[Slice, ...]:
    """The parts of a figure with those of one label together; without a page size, by object bytes."""
    slices: dict[str, float] = {}
    for part in parts:
        amount = part.slab_bytes if part.slab_bytes is not None else part.object_bytes
        slices[part.label] = slices.get(part.label, 0.0) + amount
    return tuple(Slice(label, round(amount, 2)) for label, amount in slices.items() if amount)
