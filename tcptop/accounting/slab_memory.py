"""The machine's slab memory, split into TCP's own caches, TCP's share of other caches, and everything else."""

from __future__ import annotations

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.later_sockets import LaterSockets, idle_with_later_sockets
from tcptop.accounting.machine import is_of_machine
from tcptop.kernel.objects import KERNEL_OBJECTS
from tcptop.ledger import SlabMemory, TcpMemory
from tcptop.ledger.memory import most_bytes
from tcptop.snapshot import Snapshot


def slab_memory(
    snapshot: Snapshot,
    table: CacheTable,
    memory: TcpMemory,
    page_bytes: int | None,
    later: LaterSockets | None = None,
    cpus: int | None = None,
) -> SlabMemory:
    """The machine's slab memory by owner; an amount is None if any part of it is unknown.

    `memory` is TCP's memory when the slabs were counted. If many sockets were opened or closed since, the idle bytes
    have wider bounds, and the growth of Slab since is not to be told from memory that no row counts.

    The field Slab is unknown if meminfo may be a container's or another machine's.
    """
    in_slabs = [part for part in memory.parts if part.row is not None]
    own_caches = {name for item in KERNEL_OBJECTS if item.tcp_only for name in item.caches}
    own_known = memory.bytes is not None and not own_caches & set(memory.missing)
    all_known = own_known and not memory.missing
    own = sum(part.bytes for part in in_slabs if not part.estimated)
    shared = [part for part in in_slabs if part.estimated]
    share = sum(part.bytes for part in shared)
    rows = table.total_bytes()
    meminfo = snapshot.meminfo.value if is_of_machine(snapshot, page_bytes) else None
    total = meminfo.slab_bytes if meminfo else None
    idle = _idle(table) if own_known else None
    if idle is not None and later is not None:
        idle = idle_with_later_sockets(idle, later, table, cpus, page_bytes)
    return SlabMemory(
        total_bytes=total,
        own_bytes=own if own_known else None,
        idle_bytes=idle[0] if idle else None,
        idle_error_bytes=idle[1] if idle else None,
        share_bytes=share if all_known else None,
        share_low_bytes=sum(part.low_bytes for part in shared) if own_known else None,
        share_high_bytes=most_bytes(shared) if all_known else None,
        rest_bytes=rows - own - share if rows is not None and all_known else None,
        unexplained_bytes=total - rows if total is not None and rows is not None and later is None else None,
    )


def _idle(table: CacheTable) -> tuple[int, int | None] | None:
    """Idle bytes of TCP's own caches, and an upper bound on further idle bytes that CPUs cache.

    The result is None if the idle bytes are unknown. If only the upper bound is unknown, the result is the idle bytes
    and None.
    """
    lines = [table.find(item).line for item in KERNEL_OBJECTS if item.tcp_only]
    own = [line for line in lines if line is not None]
    idle: float = 0.0
    error: float | None = 0.0
    for line in own:
        share_bytes = line.present_share_bytes
        if line.bytes is None or line.active_objects is None or share_bytes is None:
            return None
        idle += max(0.0, line.bytes - line.active_objects * share_bytes)
        if error is not None:
            known = line.idle_error_objects is not None
            error = error + (line.idle_error_objects or 0) * share_bytes if known else None
    return (round(idle), None if error is None else round(error)) if own else None
