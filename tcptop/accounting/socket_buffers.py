"""Bounds on the memory that socket buffers really use.

The charge in /proc/net/sockstat is not exact, because it includes the unused parts of pages.
"""

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.machine import is_of_machine, release_of
from tcptop.kernel.objects import FCLONE, MPTCP_SOCKS, SK_BUFF, SKB_HEAD
from tcptop.kernel.release import Release
from tcptop.ledger import Amount, SocketCounts
from tcptop.ledger.limits import MAX_LOOK_AGE_S
from tcptop.recall import Recall, Same
from tcptop.snapshot import DAMAGED, SOCKET_TABLE, Snapshot

if TYPE_CHECKING:
    from tcptop.snapshot.socket_table import SocketTable

QUEUED = (SK_BUFF, FCLONE, SKB_HEAD)
"""Objects that a queued segment consists of."""

RESERVE_BELOW_A_UNIT_SINCE: Release = (6, 0)
"""First kernel release in which a socket gives back what it does not use of its charge, down to less than one unit
(4890b686f408, include/net/sock.h, sk_mem_uncharge)."""


MOVED_SHARE = 8
"""Buffers that are charged after the counter was read, while the sockets are: at most the counter ÷ MOVED_SHARE."""


class BufferMemory(NamedTuple):
    """Bounds on the memory of all socket buffers, and an estimate between the bounds."""

    bounds: Amount
    bytes: float
    """The estimated memory; it is within the bounds.

    The kernel charges a socket for whole units in advance (include/net/sock.h, sk_mem_charge). The unit is a page, or
    4096 bytes on kernels from 4.9 to 5.19. If a look at the sockets has told which share of the charge is in use, the
    estimate is this share of the charge. Otherwise it is the charge less a part of the last unit of each socket that
    may be charged: half of it if sockets are charged for many units, and all of it if they are charged for one and a
    slabinfo row has the data of small segments. It is at least the bytes of the live objects of segments. If the charge
    is not above its error, the estimate is those bytes alone, or the charge if slabinfo has no row of segments.
    """
    is_by_look: bool = False
    """True if the estimate is the share that a look has told."""


class Segments(NamedTuple):
    """The live objects of queued segments, in the slabinfo rows of segments that other objects are not in."""

    bytes: Amount
    """Bounds on the bytes of the objects in these rows, of all protocols."""
    tcp_bytes: float
    """Lower bound on the bytes of TCP's objects: each sk_buff_fclones is of TCP, and has data in skbuff_small_head."""
    most: int | None
    """Upper bound on the number of segments: active objects of the rows of sk_buff; None if a row is not there."""
    has_row: bool
    has_heads: bool
    """True if slabinfo has a row of skbuff_small_head, so that the rows have the data of small segments. Before 6.3 the
    data is in kmalloc caches."""
    has_error: bool
    """True if the number of free objects that CPUs cache is known for each row."""


def buffer_memory(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, page_bytes: int | None
) -> BufferMemory | None:
    """Bounds on the memory of all socket buffers; None if the charge is unknown.

    The lower bound is the bytes of the live objects of TCP's segments, at most the charge less its error. The charge
    itself is no lower bound: pages of page cache (sendfile) and of programs (MSG_ZEROCOPY) are charged, but are no
    memory of their own; and before 6.0 a socket kept up to 2 MiB of its charge unused (include/net/sock.h,
    SK_RECLAIM_THRESHOLD).

    The upper bound is the charge plus its error, but at most the used memory that may be segments: that which is
    neither anonymous memory, page cache, reclaimable slab memory nor huge pages. Other slab memory may be, since the
    data of small segments is in kmalloc caches, and other caches may be merged with those of segments. The used memory
    is unknown if meminfo may be a container's or another machine's.
    """
    if sockets.buffer_bytes is None:
        return None
    charge = sockets.buffer_bytes
    rows = _segment_bytes(table)
    error_bytes = inf if sockets.buffer_error_bytes is None else sockets.buffer_error_bytes
    high: float = charge + error_bytes
    meminfo = snapshot.meminfo.value
    if meminfo is not None and is_of_machine(snapshot, page_bytes):
        total, free = meminfo.total_bytes, meminfo.free_bytes
        cached, anonymous = meminfo.cached_bytes, meminfo.anonymous_bytes
        if None not in (total, free, cached, anonymous):
            others = (cached, anonymous, meminfo.buffers_bytes, meminfo.reclaimable_slab_bytes, meminfo.huge_page_bytes)
            high = min(high, max(rows.bytes.high, (total or 0) - (free or 0) - sum(filter(None, others))))
    release = release_of(snapshot)
    gives_back = release is not None and release >= RESERVE_BELOW_A_UNIT_SINCE
    surely_charged = max(0, charge - error_bytes)
    bounds = Amount(min(rows.tcp_bytes, surely_charged, high), high)
    live = rows.bytes.low if rows.has_error else rows.bytes.high
    share = _share_in_use(snapshot, table, sockets)
    if share is not None:
        likely = share * charge
    elif sockets.buffers_within_error:
        likely = live if rows.has_row else charge
    else:
        last_units_bytes = _last_units_bytes(table, sockets, rows.most if gives_back else None) or 0
        part = (1 + last_units_bytes / charge) / 2 if charge and rows.has_heads else 0.5
        likely = max(rows.bytes.low, charge - part * last_units_bytes)
    likely = min(max(bounds.low, likely), charge, high)
    return BufferMemory(bounds, likely, share is not None)


def _last_units_bytes(table: CacheTable, sockets: SocketCounts, segments: int | None) -> int | None:
    """The bytes of one unit of the charge for each socket that may be charged; None if unknown.

    These are at most as many as there are units, and as `segments` where a socket without a segment has no charge.
    An MPTCP sock is charged too, beside the TCP socks of its subflows (net/mptcp/protocol.c, mptcp_prot).
    """
    unit, charge = sockets.buffer_unit_bytes, sockets.buffer_bytes
    if sockets.allocated is None or unit is None or charge is None:
        return None
    socks = sockets.allocated + _mptcp_socks(table)
    return min((socks if segments is None else min(socks, segments)) * unit, charge)


def _mptcp_socks(table: CacheTable) -> int:
    """Upper bound on the number of MPTCP socks; 0 if it is unknown."""
    lines = [table.find(item).line for item in MPTCP_SOCKS]
    return sum(line.active_objects or 0 for line in lines if line is not None)


def _has_mptcp_socks(snapshot: Snapshot, table: CacheTable) -> bool:
    """True if there is an MPTCP sock: here by protocols, or an active object that is no free one on a CPU's list.

    If the number of free objects that CPUs cache is unknown, every active object counts as a sock.
    """
    protocols = snapshot.protocols.value.by_name if snapshot.protocols.value else {}
    for item in MPTCP_SOCKS:
        line, here = table.find(item).line, protocols.get(item.caches[0])
        if here is not None and (here.sockets or 0) > 0:
            return True
        if line is not None and (line.active_objects or 0) > (line.idle_error_objects or 0):
            return True
    return False


def _share_in_use(snapshot: Snapshot, table: CacheTable, sockets: SocketCounts) -> float | None:
    """The share of the charge that holds data, from the last look at all sockets of the machine; None if unknown.

    A look does not have MPTCP socks, to which data is charged until the program reads it or a subflow sends it. The
    share is therefore unknown if there is any, or if the look has less than the counter less its error. It is unknown
    too if the look has more than is charged: queued segments of MSG_ZEROCOPY are in use, but not charged.
    """
    _recall_share.begin_round()
    reading = snapshot.socket_table
    if reading.value is None or reading.state in DAMAGED or SOCKET_TABLE in snapshot.contradictions.sources:
        return None
    if snapshot.live and reading.taken_at_s is not None and snapshot.monotonic_s - reading.taken_at_s > MAX_LOOK_AGE_S:
        return None
    if sockets.buffer_unit_bytes is None or sockets.buffer_error_bytes is None or _has_mptcp_socks(snapshot, table):
        return None
    return _recall_share(Same(reading.value), sockets.buffer_unit_bytes, sockets.buffer_error_bytes)


def exceeds_charge(buffer_bytes: int, counted_bytes: int, error_bytes: int) -> bool:
    """True if the buffers of a look are more than sockstat's counter, read at its start, may stand for."""
    return buffer_bytes > counted_bytes + counted_bytes // MOVED_SHARE + error_bytes


def _find_share(table: "Same[SocketTable]", unit_bytes: int, error_bytes: int) -> float | None:
    found = table.value
    if found.scope != "machine" or any(each.asked != "asked" for each in found.namespaces):
        return None
    used = sum(group.rmem + group.wmem_queued for group in found.groups)
    charged = used + sum(group.fwd for group in found.groups)
    counted = next((units for each in found.namespaces if (units := each.counters.get("mem")) is not None), None)
    if counted is None or charged < counted * unit_bytes - error_bytes:
        return None
    if exceeds_charge(charged, counted * unit_bytes, error_bytes):
        return None
    return used / charged if charged > 0 else None


_recall_share: Recall[float | None] = Recall(_find_share)


def _segment_bytes(table: CacheTable) -> Segments:
    """Bytes of the live objects in the slabinfo rows that only segments use, and a bound on the number of segments.

    If the number of free objects that CPUs cache is unknown for a row, all objects of the row may be free, so the lower
    bound of the row is 0 bytes. A row that other objects are in, too, bounds the number of segments alone.
    """
    low = high = 0.0
    has_row, has_error = False, True
    most: int | None = 0
    live: dict[str, tuple[int, float]] = {}
    for item in QUEUED:
        line = table.find(item).line
        active = None if line is None else line.active_objects
        if item in (SK_BUFF, FCLONE):
            row = table.get(line.row) if line is not None and line.row is not None else None
            most = None if most is None or row is None or row.active_objects is None else most + row.active_objects
        if line is None or line.aliases or active is None or line.present_share_bytes is None:
            continue
        idle = line.idle_error_objects
        live[item.struct] = (0 if idle is None else max(0, active - idle), line.present_share_bytes)
        low += live[item.struct][0] * line.present_share_bytes
        high += active * line.present_share_bytes
        has_row, has_error = True, has_error and idle is not None
    segments, share_bytes = live.get(FCLONE.struct, (0, 0.0))
    heads, head_bytes = live.get(SKB_HEAD.struct, (0, 0.0))
    of_tcp = segments * share_bytes + min(segments, heads) * head_bytes
    return Segments(Amount(round(low), round(high)), of_tcp, most, has_row, SKB_HEAD.struct in live, has_error)
