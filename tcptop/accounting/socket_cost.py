"""Bytes of one socket in a TCP state: the sum of the costs of all objects that the socket holds."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_vectors import cgroup_vector_costs
from tcptop.accounting.object_cost import object_costs
from tcptop.kernel.objects import (
    AVERAGE_OF_FAMILIES,
    BIND_BUCKETS,
    CGROUP_VECTORS,
    KERNEL_OBJECTS,
    MINI_SOCKETS,
    SOCKS,
    KernelObject,
    State,
)
from tcptop.ledger import ObjectCost, Slice, SocketCost
from tcptop.snapshot import Snapshot


class FamilyMix(NamedTuple):
    """The shares of IPv4 and IPv6 in the machine's sockets; their sum is 1."""

    ipv4: float
    ipv6: float
    missing: tuple[str, ...] = ()
    """The shares that are unknown, with the reason. All sockets then count as IPv4, because the objects of IPv4 are
    smaller than the objects of IPv6."""

    def share(self, kernel_object: KernelObject) -> float:
        """The share of sockets that hold an object.

        An object without a family belongs to sockets of both families, so its share is 1.
        """
        if kernel_object.family is None:
            return 1.0
        return self.ipv4 if kernel_object.family == "ipv4" else self.ipv6


IPV4 = FamilyMix(1.0, 0.0)
IPV6 = FamilyMix(0.0, 1.0)


def socket_cost(snapshot: Snapshot, table: CacheTable, state: State, mix: FamilyMix, owns_port: bool) -> SocketCost:
    """The cost of one socket in a given state.

    `owns_port` is true if the socket owns its local port. Each cost is computed only once per CacheTable.
    """
    shares = [(item, share) for item in objects_held(state, owns_port) if (share := mix.share(item))]
    key = tuple([(item.struct, share) for item, share in shares])
    found = (table.whole_costs if mix in (IPV4, IPV6) else table.costs).of_socket
    if key not in found:
        found[key] = _add_up(snapshot, table, shares)
    cost = found[key]
    return cost._replace(missing=(*cost.missing, *mix.missing)) if mix.missing else cost


@cache
def objects_held(state: State, owns_port: bool) -> tuple[KernelObject, ...]:
    """The objects that a socket in a given state holds, for IPv4 and IPv6, except memory cgroup vectors.

    Bind buckets are included only if the socket owns its local port.
    """
    return tuple(
        item
        for item in KERNEL_OBJECTS
        if state in item.held_in
        and item.always_held
        and item is not CGROUP_VECTORS
        and (owns_port or item not in BIND_BUCKETS)
    )


def _add_up(snapshot: Snapshot, table: CacheTable, shares: Sequence[tuple[KernelObject, float]]) -> SocketCost:
    parts: list[ObjectCost] = []
    missing: list[str] = []
    for kernel_object, share in shares:
        lookup = table.find(kernel_object)
        if lookup.status == "absent" and kernel_object.family is not None:
            # If the kernel lacks an object of one family, such as the IPv6 sock, no socket of this family can exist, so
            # the cost is None.
            return SocketCost(None, None, (f"{kernel_object.struct} (no such sockets: {lookup.reason})",), (), ())
        for cost in object_costs(snapshot, table, kernel_object, share):
            if isinstance(cost, ObjectCost):
                parts.append(cost)
            else:
                missing.append(cost)
    vectors, all_known = cgroup_vector_costs(snapshot, table, parts)
    parts += vectors
    if not all_known:
        missing.append(f"{CGROUP_VECTORS.struct} (kmalloc)")
    unshared = [part.object for part in parts if part.slab_bytes is None]
    if unshared:
        missing.append(f"slab share ({', '.join(unshared)})")
    missing.extend(table.doubted_sources)
    # If the slab share of an object is unknown, the size of the object is added instead, as a lower bound. If no
    # object's slab share is known, the sum is unknown.
    has_share = any(part.slab_bytes is not None for part in parts)
    slab = [part.object_bytes if part.slab_bytes is None else part.slab_bytes for part in parts] if has_share else []
    return SocketCost(
        object_bytes=sum(part.object_bytes for part in parts) if parts else None,
        slab_bytes=sum(slab) if slab else None,
        missing=tuple(missing),
        parts=tuple(parts),
        slices=slices_by_label(tuple(parts)),
    )


def slice_labels(parts: Sequence[ObjectCost]) -> dict[str, str]:
    """The label of the slice to which each part belongs, by `ObjectCost.object`.

    A socket has the object of its own family. If sockets of both families are counted, the objects of both families
    are one slice, the average of their sizes, whose label is that of IPv4's object and AVERAGE_OF_FAMILIES.
    """
    labels = {part.object: part.label for part in parts}
    for pair in (SOCKS, MINI_SOCKETS):
        if all(item.struct in labels for item in pair):
            labels.update(dict.fromkeys([item.struct for item in pair], f"{pair[0].label}{AVERAGE_OF_FAMILIES}"))
    return labels


def slices_by_label(parts: tuple[ObjectCost, ...]) -> tuple[Slice, ...]:
    """One slice for each label, with the slab bytes of the parts that have the label.

    If the page size is unknown, object bytes are used instead of slab bytes.
    """
    slices: dict[str, float] = {}
    labels = slice_labels(parts)
    for part in parts:
        amount = part.slab_bytes if part.slab_bytes is not None else part.object_bytes
        slices[labels[part.object]] = slices.get(labels[part.object], 0.0) + amount
    return tuple(Slice(label, amount) for label, amount in slices.items() if amount)
