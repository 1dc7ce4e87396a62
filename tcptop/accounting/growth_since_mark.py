"""Measured bytes per socket since a mark (a sample that the user marked): growth of live objects ÷ growth of sockets.

The error of the measurement is the change since the mark in the slabs that hold no objects of sockets.
"""

from __future__ import annotations

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.socket_average import MIN_SOCKETS_PER_CPU
from tcptop.kernel.objects import KERNEL_OBJECTS
from tcptop.ledger import GrowthSinceMark, Ledger, LiveObjects
from tcptop.snapshot import Snapshot
from tcptop.text.units import grouped

UNREAD = ("missing", "refused", "empty", "failed", "off", "waiting")


def live_objects(snapshot: Snapshot, table: CacheTable) -> LiveObjects | None:
    """Bytes of active objects in the slabinfo rows that hold objects of sockets, and the number of sockets.

    The result is None if the bytes or the number of sockets are unknown.

    Some rows of socket objects also count dentries and files that do not belong to sockets. If other programs open or
    close files, only a part of the rows' growth is due to sockets.
    """
    sockstat = snapshot.slabinfo.sockstat or (None if snapshot.live else snapshot.sockstat.value)
    if sockstat is None or sockstat.allocated is None:
        return None
    lines = [table.find(item).line for item in KERNEL_OBJECTS if item.always_held and item.caches]
    rows = {line.row: table.get(line.row) for line in lines if line is not None and line.row is not None}
    total = 0.0
    for row in rows.values():
        share_bytes = row.present_share_bytes if row is not None else None
        if row is None or row.active_objects is None or share_bytes is None:
            return None
        total += row.active_objects * share_bytes
    return LiveObjects(sockstat.allocated, total) if rows else None


def growth_since_mark(mark: Ledger, now: Ledger, before: GrowthSinceMark | None = None) -> GrowthSinceMark:
    """Growth since the mark; `bytes_per_socket` is None if too few sockets were opened or closed for a measurement.

    `before` is the growth up to the previous sample. The error margin of the result is never smaller than the error
    margin of `before`. The error margin of the present sample alone would be too small if other programs took memory
    since the mark and gave the memory back.
    """
    changes = (_changes_of_others(mark, now), None if before is None else before.others_bytes)
    largest = max((each for each in changes if each is not None), default=None)
    return _growth(mark, now, None if changes[0] is None else largest)._replace(others_bytes=largest)


def _growth(mark: Ledger, now: Ledger, others_bytes: float | None) -> GrowthSinceMark:
    elapsed_s = now.seconds_since(mark)
    if mark.live_objects is None or now.live_objects is None:
        unread = next((name for name in ("slabinfo", "sockstat") if now.sources[name].state in UNREAD), "slabinfo")
        return GrowthSinceMark(elapsed_s, None, None, None, f"{unread} is not readable")
    sockets = now.live_objects.sockets - mark.live_objects.sockets
    live_bytes = now.live_objects.bytes - mark.live_objects.bytes
    minimum = MIN_SOCKETS_PER_CPU * (now.host.cpus or 1)
    if abs(sockets) < minimum:
        return GrowthSinceMark(elapsed_s, sockets, live_bytes, None, f"too few to measure (needs {grouped(minimum)})")
    error = None if others_bytes is None else others_bytes / abs(sockets)
    return GrowthSinceMark(elapsed_s, sockets, live_bytes, live_bytes / sockets, None, error)


def _changes_of_others(mark: Ledger, now: Ledger) -> float | None:
    """Sum of the absolute changes in the active bytes of those slabinfo rows that hold no objects of sockets.

    Rows of the catalogue's caches are left out, because each of these caches may hold objects of sockets. The sum is
    None if slabinfo is incomplete in either ledger.
    """
    socket_rows = mark.socket_rows | now.socket_rows
    changes: dict[str, float] = {}
    for sign, ledger in ((-1, mark), (1, now)):
        if ledger.sources["slabinfo"].state not in ("ok", "late"):
            return None
        for line in ledger.caches:
            if line.row == line.name and not line.in_catalogue and line.name not in socket_rows:
                live_bytes = (line.active_objects or 0) * (line.present_share_bytes or 0.0)
                changes[line.name] = changes.get(line.name, 0.0) + sign * live_bytes
    return sum(map(abs, changes.values()))
