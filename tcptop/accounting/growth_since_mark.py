"""What sockets cost since a mark: the growth of live objects over the growth of sockets, as measured."""

from __future__ import annotations

from tcptop.accounting.connection_cost import ENOUGH_SOCKETS_PER_CPU
from tcptop.accounting.slab_caches import CacheTable
from tcptop.kernel.objects import KERNEL_OBJECTS
from tcptop.ledger import GrowthSinceMark, Ledger, LiveObjects
from tcptop.rates import increase
from tcptop.snapshot import Snapshot
from tcptop.text.units import grouped

UNREAD = ("missing", "refused", "empty", "failed", "off", "waiting")


def live_objects(snapshot: Snapshot, table: CacheTable) -> LiveObjects | None:
    """What the objects in use take in all rows that a socket has objects in, by one reading of slabinfo.

    Other programs' dentries and files are among them: a difference shows the sockets' only while those stay.
    """
    beside = snapshot.slabinfo.sockstat or (None if snapshot.live else snapshot.sockstat.value)
    if beside is None or beside.allocated is None:
        return None
    found = [table.find(item).line for item in KERNEL_OBJECTS if item.always_held and item.caches]
    rows = {line.row: table.get(line.row) for line in found if line is not None and line.row is not None}
    total = 0.0
    for row in rows.values():
        if row is None or row.active_objects is None or row.slab_share_bytes is None:
            return None
        total += row.active_objects * row.slab_share_bytes
    return LiveObjects(beside.allocated, total) if rows else None


def growth_since_mark(mark: Ledger, now: Ledger) -> GrowthSinceMark:
    """What came since the mark, and for each socket; left open where too few came or went to tell."""
    elapsed_s = increase(mark.taken_at_unix_s, now.taken_at_unix_s)
    if mark.live_objects is None or now.live_objects is None:
        unread = next((name for name in ("slabinfo", "sockstat") if now.sources[name].state in UNREAD), "slabinfo")
        return GrowthSinceMark(elapsed_s, None, None, None, f"{unread} is not readable")
    sockets = now.live_objects.sockets - mark.live_objects.sockets
    live_bytes = now.live_objects.bytes - mark.live_objects.bytes
    least = ENOUGH_SOCKETS_PER_CPU * (now.host.cpus or 1)
    if abs(sockets) < least:
        return GrowthSinceMark(elapsed_s, sockets, live_bytes, None, f"too few to measure (needs {grouped(least)})")
    return GrowthSinceMark(elapsed_s, sockets, live_bytes, live_bytes / sockets, None)
