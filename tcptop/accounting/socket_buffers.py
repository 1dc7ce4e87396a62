"""The real memory of socket buffers, in bounds: the charge of /proc/net/sockstat counts whole pages, used or not."""

from typing import NamedTuple

from tcptop.accounting.slab_caches import CacheTable
from tcptop.kernel.objects import FCLONE, SK_BUFF, SKB_HEAD
from tcptop.ledger import Amount, SocketCounts
from tcptop.snapshot import Snapshot

QUEUED = (SK_BUFF, FCLONE, SKB_HEAD)
"""Objects of a queued segment."""


class BufferMemory(NamedTuple):
    """Bounds on the memory of all socket buffers, and two figures between the bounds."""

    bounds: Amount
    bytes: float
    """The lower bound; the charge if no row of segments is known."""
    estimated_bytes: float
    """The charge, less one page for each socket, since a socket is charged whole pages in advance
    (include/net/sock.h, sk_mem_charge). Within the bounds."""


def buffer_memory(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, page_bytes: int | None
) -> BufferMemory | None:
    """Bounds on the memory of all socket buffers; None if the charge is unknown.

    The lower bound is the live objects in the rows of segments that are not merged, but not more than the charge. The
    upper bound is the charge with the error of its counter, but not more than the memory in use that is neither slab,
    anonymous memory nor page cache, and those rows.
    """
    if sockets.buffer_bytes is None:
        return None
    in_rows = _segment_bytes(table)
    high = sockets.buffer_bytes + (sockets.buffer_error_bytes or 0)
    meminfo = snapshot.meminfo.value
    if meminfo is not None:
        total, free, cached = meminfo.total_bytes, meminfo.free_bytes, meminfo.cached_bytes
        slab, anonymous = meminfo.slab_bytes, meminfo.anonymous_bytes
        if None not in (total, free, cached, slab, anonymous):
            rest = (total or 0) - (free or 0) - (cached or 0) - (slab or 0) - (anonymous or 0)
            high = min(high, max(0, rest) + (in_rows or 0))
    low = min(in_rows or 0, sockets.buffer_bytes, high)
    surely_used = (
        sockets.buffer_bytes - (sockets.buffer_error_bytes or 0) - (sockets.allocated or 0) * (page_bytes or 0)
    )
    return BufferMemory(
        bounds=Amount(low, high),
        bytes=min(sockets.buffer_bytes, high) if in_rows is None else low,
        estimated_bytes=min(high, max(low, surely_used)),
    )


def _segment_bytes(table: CacheTable) -> int | None:
    """Bytes of the live objects in the rows of segments that no other cache shares; at least these are in queues.

    None if there is no such row.
    """
    total: float | None = None
    for item in QUEUED:
        line = table.find(item).line
        if line is None or line.aliases or line.active_objects is None or line.present_share_bytes is None:
            continue
        in_use = max(0, line.active_objects - (line.idle_error_objects or 0))
        total = (total or 0.0) + in_use * line.present_share_bytes
    return None if total is None else round(total)
