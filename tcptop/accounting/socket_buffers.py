"""Bounds on the memory that socket buffers really use.

The charge in /proc/net/sockstat is not exact, because it includes the unused parts of pages.
"""

from math import inf
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.machine import is_of_machine
from tcptop.kernel.objects import FCLONE, SK_BUFF, SKB_HEAD
from tcptop.ledger import Amount, SocketCounts
from tcptop.snapshot import Snapshot

QUEUED = (SK_BUFF, FCLONE, SKB_HEAD)
"""Objects that a queued segment consists of."""


class BufferMemory(NamedTuple):
    """Bounds on the memory of all socket buffers, and an estimate between the bounds."""

    bounds: Amount
    bytes: float
    """The estimated memory: the charge, minus the error of the charge, minus one unit of the charge for each socket.

    The estimate is at least the bytes of the live objects of segments. The kernel charges a socket for whole units in
    advance (include/net/sock.h, sk_mem_charge). The unit is a page, or 4096 bytes on kernels from 4.9 to 5.19. Many
    sockets with a few bytes each are charged for much more than they hold. Sockets with full queues hold about as much
    as they are charged for. If the number of free objects that CPUs cache is unknown, all active objects count as live.
    If slabinfo has no row of segments, none counts as live; if the estimate would then be 0, it is the charge. The
    estimate exceeds neither the charge nor the upper bound.
    """
    is_known: bool = True
    """False if nothing shows how much of the charge is in use: slabinfo has no row of segments, or the number of free
    objects that CPUs cache is unknown. The estimate may then be far from the truth."""


class Segments(NamedTuple):
    """Bytes of the live objects of queued segments, in the slabinfo rows that only segments use."""

    bytes: Amount
    has_row: bool
    has_error: bool
    """True if the number of free objects that CPUs cache is known for each row."""


def buffer_memory(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, page_bytes: int | None
) -> BufferMemory | None:
    """Bounds on the memory of all socket buffers; None if the charge is unknown.

    The lower bound is the smaller of two figures: the charge less its error, and the bytes of the live objects in the
    slabinfo rows that only segments use. The upper bound is the smaller of two sums. The first sum is the charge plus
    the error of the charge. The second sum is the bytes of the active objects in the slabinfo rows that only segments
    use, plus all used memory of unknown purpose. Used memory of unknown purpose is neither slab memory nor anonymous
    memory nor page cache. The second sum is unknown if meminfo may be a container's or another machine's.
    """
    if sockets.buffer_bytes is None:
        return None
    rows = _segment_bytes(table)
    error_bytes = inf if sockets.buffer_error_bytes is None else sockets.buffer_error_bytes
    high: float = sockets.buffer_bytes + error_bytes
    meminfo = snapshot.meminfo.value
    if meminfo is not None and is_of_machine(snapshot, page_bytes):
        total, free, cached = meminfo.total_bytes, meminfo.free_bytes, meminfo.cached_bytes
        slab, anonymous = meminfo.slab_bytes, meminfo.anonymous_bytes
        if None not in (total, free, cached, slab, anonymous):
            rest = (total or 0) - (free or 0) - (cached or 0) - (slab or 0) - (anonymous or 0)
            high = min(high, max(0, rest) + rows.bytes.high)
    low = min(rows.bytes.low, max(0, sockets.buffer_bytes - error_bytes), high)
    surely_used = 0.0
    if sockets.allocated is not None and sockets.buffer_unit_bytes is not None:
        surely_used = sockets.buffer_bytes - error_bytes - sockets.allocated * sockets.buffer_unit_bytes
    live = rows.bytes.low if rows.has_error else rows.bytes.high
    has_figure = rows.has_row or surely_used > 0 or not sockets.buffer_bytes
    likely = max(live, surely_used) if has_figure else inf
    return BufferMemory(
        Amount(low, high), min(likely, sockets.buffer_bytes, high), is_known=rows.has_error and has_figure
    )


def _segment_bytes(table: CacheTable) -> Segments:
    """Bytes of the live objects in the slabinfo rows that only segments use.

    If the number of free objects that CPUs cache is unknown for a row, all objects of the row may be free, so the lower
    bound of the row is 0 bytes.
    """
    low = high = 0.0
    has_row, has_error = False, True
    for item in QUEUED:
        line = table.find(item).line
        if line is None or line.aliases or line.active_objects is None or line.present_share_bytes is None:
            continue
        idle = line.idle_error_objects
        low += 0 if idle is None else max(0, line.active_objects - idle) * line.present_share_bytes
        high += line.active_objects * line.present_share_bytes
        has_row, has_error = True, has_error and idle is not None
    return Segments(Amount(round(low), round(high)), has_row, has_error)
