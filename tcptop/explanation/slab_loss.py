"""The bytes of a cache's slabs, in four parts: used objects, free objects, gaps between objects, and ends of slabs.

The tool slabinfo of the kernel's sources (tools/mm/slabinfo.c, report) prints the four parts as `Used`, `Loss`, `Lalig`
and `Lpadd`. The tool slabinfo counts every slab at the preferred order. In tcptop, the bytes of a cache are
corrected for slabs of a smaller order.
"""

from __future__ import annotations

from typing import NamedTuple

from tcptop.ledger import CacheLine


class SlabLoss(NamedTuple):
    """The bytes of all slabs of one cache, in four parts that add up to all bytes."""

    used_bytes: int
    """Bytes of active objects: their number × the size of the struct."""
    free_bytes: int
    """Bytes of free objects: their number × the step from one object to the next."""
    between_bytes: int
    """Bytes between the structs of active objects: padding, alignment, free pointer and debugging data."""
    end_bytes: int
    """Bytes at the ends of slabs, too few for another object."""

    @property
    def total_bytes(self) -> int:
        """All bytes of the slabs."""
        return sum(self)

    @property
    def lost_bytes(self) -> int:
        """Bytes outside the structs of active objects: all bytes of the slabs minus `used_bytes`."""
        return self.total_bytes - self.used_bytes


def slab_loss(row: CacheLine, struct_bytes: int | None) -> SlabLoss | None:
    """The four parts of a cache's bytes; None if a figure is unknown, or if the figures contradict each other."""
    if (
        row.bytes is None
        or row.objects is None
        or row.active_objects is None
        or row.object_bytes is None
        or struct_bytes is None
    ):
        return None
    loss = SlabLoss(
        row.active_objects * struct_bytes,
        (row.objects - row.active_objects) * row.object_bytes,
        row.active_objects * (row.object_bytes - struct_bytes),
        row.bytes - row.objects * row.object_bytes,
    )
    return loss if min(loss) >= 0 else None
