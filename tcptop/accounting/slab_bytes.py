"""What slabs hold: shares of their pages, and all of them with order fallback repaired."""

from __future__ import annotations


def slab_share_bytes(pages: int | None, per_slab: int | None, page_bytes: int | None) -> float | None:
    """An object's share of the pages of its slab; None where any of these is not known."""
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
    """As `slab_bytes`; None where any of these is not known."""
    if page_bytes is None or objects is None or slabs is None or pages is None or per_slab is None:
        return None
    return slab_bytes(objects, slabs, object_bytes or 0, per_slab, pages, page_bytes)


def slab_bytes(
    objects: int, slabs: int, object_bytes: int, objects_per_slab: int, pages_per_slab: int, page_bytes: int
) -> int:
    """The bytes of a cache's slabs, order fallback repaired.

    Where a block of the preferred order is not to be had, SLUB takes the smallest order that holds one object
    (mm/slub.c, allocate_slab). slabinfo prints the preferred size all the same, but then there are fewer objects than
    slabs × objects per slab; only two orders occur, so the two counts give how many slabs are of each.
    """
    preferred = page_bytes * pages_per_slab
    if objects >= slabs * objects_per_slab:
        return slabs * preferred
    least_pages = 1
    while least_pages * page_bytes < object_bytes:
        least_pages *= 2
    fallback = page_bytes * least_pages
    per_fallback = fallback // object_bytes if object_bytes else objects_per_slab
    if per_fallback >= objects_per_slab or fallback >= preferred:
        return slabs * preferred
    full = (objects - slabs * per_fallback) // (objects_per_slab - per_fallback)
    full = max(0, min(slabs, full))
    return full * preferred + (slabs - full) * fallback
