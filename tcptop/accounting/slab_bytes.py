"""Bytes of slabs: an object's share of its slab, and the size of a cache's slabs corrected for order fallback."""

from __future__ import annotations


def slab_share_bytes(pages: int | None, per_slab: int | None, page_bytes: int | None) -> float | None:
    """An object's share of its slab: pages × page size ÷ objects; None if any of the three numbers is unknown."""
    if page_bytes is None or not pages or not per_slab:
        return None
    return page_bytes * pages / per_slab


def known_slab_bytes(
    objects: int | None,
    slabs: int | None,
    object_bytes: int | None,
    per_slab: int | None,
    pages: int | None,
    page_bytes: int | None,
) -> int | None:
    """The result of `slab_bytes()`; None if an argument is unknown.

    If the slabs are as full of objects as slabs of the preferred order can be, the size of an object is not needed.
    """
    if page_bytes is None or objects is None or slabs is None or pages is None or per_slab is None:
        return None
    if object_bytes is None:
        return slabs * pages * page_bytes if objects >= slabs * per_slab or pages == 1 else None
    return slab_bytes(objects, slabs, object_bytes, per_slab, pages, page_bytes)


def slab_bytes(
    objects: int, slabs: int, object_bytes: int, objects_per_slab: int, pages_per_slab: int, page_bytes: int
) -> int:
    """Size of a cache's slabs, corrected for order fallback."""
    small, pages, _ = fallback_slabs(objects, slabs, object_bytes, objects_per_slab, pages_per_slab, page_bytes)
    return ((slabs - small) * pages_per_slab + small * pages) * page_bytes


def smallest_slab(object_bytes: int, page_bytes: int) -> tuple[int, int]:
    """Pages and objects of the smallest slab that holds one object (mm/slub.c, `oo_min` of calculate_sizes)."""
    pages = 1
    while pages * page_bytes < object_bytes:
        pages *= 2
    return pages, pages * page_bytes // object_bytes


def fallback_slabs(
    objects: int, slabs: int, object_bytes: int, objects_per_slab: int, pages_per_slab: int, page_bytes: int
) -> tuple[int, int, int]:
    """The number of a cache's slabs that have the smallest order, and the pages and objects of one such slab.

    If no block of the preferred order is free, SLUB takes the smallest order that holds one object (mm/slub.c,
    allocate_slab). After a fallback to the smallest order, slabinfo still prints the preferred slab size, but shows
    fewer objects than slabs × objects per slab. Only the preferred order and the smallest order occur, so the counts of
    objects and slabs give the number of slabs of each order.
    """
    pages, per_slab = smallest_slab(object_bytes, page_bytes) if object_bytes else (1, objects_per_slab)
    if objects >= slabs * objects_per_slab or per_slab >= objects_per_slab or pages >= pages_per_slab:
        return 0, pages, per_slab
    full = (objects - slabs * per_slab) // (objects_per_slab - per_slab)
    return slabs - max(0, min(slabs, full)), pages, per_slab
