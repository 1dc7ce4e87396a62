"""The size of a catalogue object on the ledger's kernel: read, computed, estimated or unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tcptop.kernel.objects import CGROUP_VECTORS, KernelObject
from tcptop.ledger import Amount, CacheLine, Ledger, ObjectCost
from tcptop.snapshot import StructLayout
from tcptop.text import units

Basis = Literal["read", "computed", "estimated", "struct", "absent", "unknown"]


class LiveSize(NamedTuple):
    """The size of one object; a field is None if its value is unknown.

    If the object possibly does not exist on this kernel, the lower bound of `slab` is 0.
    """

    basis: Basis
    cache: str | None
    """Name of the slab cache from which the object is allocated."""
    row: str | None
    """Name of the slabinfo row that counts the object's cache."""
    object_bytes: float | None
    slab: Amount | None
    """Lower and upper bound on the object's share of a slab, in bytes."""

    @property
    def text(self) -> str:
        """The object size and its share of a slab: `2 368 B, 2 521 B of slab`."""
        if self.basis == "absent":
            return "not on this kernel"
        if self.object_bytes is None:
            if self.slab is None or not self.slab.high:
                return "size not known"
            least = f"{units.exact_bytes(self.slab.low, False)} to" if self.slab.low else "none, or up to"
            return f"{least} {units.exact_bytes(self.slab.high, True)} B of slab"
        size = f"{units.exact_bytes(self.object_bytes)} B"
        if self.slab is None:
            return f"{size} struct" if self.basis == "struct" else size
        return f"{size}, {units.bounds_span(self.slab, units.exact_bytes)} B of slab"

    @property
    def slab_text(self) -> str:
        """The object's share of a slab as text.

        A range that begins at 0 is shown as `≤` followed by the upper bound. A range that begins above 0 is shown as
        `≈` followed by the lower bound.
        """
        return units.bounded(self.slab, units.exact_bytes)


def live_size(ledger: Ledger, kernel_object: KernelObject) -> LiveSize:
    """The size of one object. Three sources are tried in this order: the object's cache, the cost of a socket, BTF."""
    for name in kernel_object.names:
        line = ledger.cache(name)
        if line is not None:
            return _size_of_cache(line)
    parts = _find_parts(ledger, kernel_object)
    if parts:
        return _size_of_parts(ledger, parts)
    layout = struct_of(ledger, kernel_object)
    if layout is not None:
        return LiveSize("struct", None, None, layout.size_bytes, None)
    unseen = ledger.unseen_objects.get(kernel_object.struct)
    if unseen is not None:
        return LiveSize("absent" if unseen.presence == "absent" else "unknown", None, None, None, None)
    is_missing = any(kernel_object.struct in each for each in ledger.costs["full"].by_family["mix"].outgoing.missing)
    has_figures = kernel_object.always_held and bool(ledger.costs["full"].by_family["mix"].outgoing.parts)
    return LiveSize("absent" if has_figures and not is_missing else "unknown", None, None, None, None)


def struct_of(ledger: Ledger, kernel_object: KernelObject) -> StructLayout | None:
    """The object's struct layout from BTF; None if BTF was not read or does not contain the struct."""
    return ledger.structs.get(kernel_object.btf_struct) if kernel_object.btf_struct else None


def _size_of_cache(line: CacheLine) -> LiveSize:
    size = line.object_bytes if line.object_bytes is not None else line.object_size_bytes
    basis: Basis = "computed" if line.computed else "read" if line.object_bytes is not None else "struct"
    if size is None:
        return LiveSize("unknown", line.name, line.row, None, None)
    return LiveSize(basis, line.name, line.row, size, _amount(line.slab_share_bytes, line.slab_share_bytes))


def _amount(low: float | None, high: float | None) -> Amount | None:
    return None if low is None or high is None else Amount(low, high)


def _size_of_parts(ledger: Ledger, parts: Sequence[ObjectCost]) -> LiveSize:
    """The size of an object that may come from several kmalloc caches, such as a vector of obj_cgroup pointers."""
    sizes = [_size_of_part(ledger, part) for part in parts]
    sizes.sort(key=lambda size: size.slab.high if size.slab else 0.0)
    least, most = sizes[0], sizes[-1]
    if least.cache == most.cache:
        return least
    caches = f"{least.cache} to {most.cache}"
    slab = _amount(least.slab and least.slab.low, most.slab and most.slab.high)
    return least._replace(cache=caches, row=caches, object_bytes=None, slab=slab)


def _size_of_part(ledger: Ledger, part: ObjectCost) -> LiveSize:
    basis: Basis = "computed" if part.computed else "estimated" if part.estimated else "read"
    line = ledger.cache(part.cache)
    if part.object == CGROUP_VECTORS.struct and line is not None:
        # The cost of a socket contains only a part of a vector. The size of a whole vector comes from its cache.
        size, share = (line.object_bytes, line.slab_share_bytes) if part.object_bytes else (None, 0.0)
        return LiveSize(basis, part.cache, part.cache, size, _amount(share, line.slab_share_bytes))
    count = part.count or 1.0
    slab = _amount(part.slab_bytes, part.high_slab_bytes)
    slab = slab and Amount(slab.low / count, slab.high / count)
    return LiveSize(basis, part.cache, part.cache, part.object_bytes / count or None, slab)


def _find_parts(ledger: Ledger, kernel_object: KernelObject) -> list[ObjectCost]:
    if kernel_object.caches:
        return []
    return [
        part
        for cost in ledger.costs.values()
        for part in cost.by_family["mix"].outgoing.parts
        if part.object == kernel_object.struct
    ]
