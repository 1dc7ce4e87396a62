"""The page size of the machine that the files came from, which need not be that of the machine that reads them."""

from __future__ import annotations

from tcptop.snapshot import Meminfo, Zoneinfo

LEAST_PAGE_BYTES = 4096
MOST_PAGE_BYTES = 1 << 18
TOLERANCE = 0.01
"""Memory may be plugged in between two reads."""


def page_size_bytes(known: int | None, meminfo: Meminfo | None, zoneinfo: Zoneinfo | None) -> int | None:
    """The size that the host knows, else MemTotal ÷ the zones' managed pages, else None.

    Both are totalram_pages (mm/page_alloc.c, adjust_managed_page_count), so the quotient is exact on every kernel; one
    that is no power of two, or out of range, comes from files that do not belong together.
    """
    if known is not None:
        return known
    if meminfo is None or meminfo.total_bytes is None or zoneinfo is None:
        return None
    managed = sum(zone.managed_pages or 0 for zone in zoneinfo.zones)
    if not managed:
        return None
    quotient = meminfo.total_bytes / managed
    size = LEAST_PAGE_BYTES
    while size <= MOST_PAGE_BYTES:
        if abs(quotient / size - 1) < TOLERANCE:
            return size
        size *= 2
    return None
