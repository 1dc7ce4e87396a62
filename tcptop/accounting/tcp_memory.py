"""All the kernel memory in TCP: its own caches, its share of shared ones, and its buffers, each with what is sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tcptop.accounting.connection import FamilyMix, files, side
from tcptop.accounting.slab_caches import CacheTable
from tcptop.kernel_objects import (
    BIND2_BUCKET,
    BIND_BUCKET,
    KERNEL_OBJECTS,
    REQUEST6_SOCK,
    REQUEST_SOCK,
    State,
)
from tcptop.ledger import CacheLine, MemoryPart, SocketCounts, TcpMemory
from tcptop.snapshot import Snapshot


def tcp_memory(snapshot: Snapshot, table: CacheTable, sockets: SocketCounts) -> TcpMemory:
    """The sum of the parts. Its bytes are None where TCP's own caches are not known."""
    missing: list[str] = []
    parts = _own_caches(table, missing)
    own_known = bool(parts)
    parts += _shared_caches(snapshot, table, sockets, missing)
    parts += _buckets(table, sockets, missing)
    parts += _buffers(sockets, missing)
    total = table.total_bytes()
    slab = snapshot.meminfo.value.slab_bytes if snapshot.meminfo.value else None
    return TcpMemory(
        bytes=sum(part.bytes for part in parts) if own_known else None,
        low_bytes=sum(part.low_bytes for part in parts) if own_known else None,
        high_bytes=sum(part.high_bytes for part in parts) if own_known and not missing else None,
        unexplained_bytes=slab - total if slab is not None and total is not None else None,
        parts=tuple(parts),
        missing=tuple(missing),
    )


def with_tcp_bytes(caches: Sequence[CacheLine], memory: TcpMemory) -> tuple[CacheLine, ...]:
    """The caches, each row with what of it is TCP's."""
    by_row: dict[str, int] = {}
    for part in memory.parts:
        if part.row is not None:
            by_row[part.row] = by_row.get(part.row, 0) + part.bytes
    return tuple(
        replace(cache, tcp_bytes=by_row[cache.name]) if cache.name == cache.row and cache.name in by_row else cache
        for cache in caches
    )


def _own_caches(table: CacheTable, missing: list[str]) -> list[MemoryPart]:
    parts: list[MemoryPart] = []
    for kernel_object in KERNEL_OBJECTS:
        if not kernel_object.tcp_only:
            continue
        found = table.find(kernel_object)
        if found.line is not None and found.line.bytes is not None and not found.line.aliases:
            held = found.line.bytes
            parts.append(MemoryPart(found.line.name, found.line.row, held, held, held, estimated=False))
        elif found.status != "absent":
            missing.append(kernel_object.caches[0])
    return parts


def _shared_caches(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, missing: list[str]
) -> list[MemoryPart]:
    """Shared caches by TCP's own sockets with a file.

    A socket in an accept queue has none yet, but still its request sock; so there are at most as many of those as
    request socks, which gives the low end.
    """
    with_file = files(table, sockets.allocated, sockets.orphans)
    if with_file is None:
        missing.append("TCP's share of shared caches")
        return []
    requests = sum(_active(table.find(item).line) for item in (REQUEST_SOCK, REQUEST6_SOCK))
    least = max(0, with_file - requests)
    accepted = side(snapshot, table, State.ESTABLISHED, FamilyMix(0.0, 0.0), owns_port=False)
    missing.extend(accepted.missing)
    return [
        MemoryPart(
            name=f"{part.cache} × {with_file}",
            row=part.cache,
            bytes=round(with_file * part.slab_bytes),
            low_bytes=round(least * part.slab_bytes),
            high_bytes=round(with_file * (part.high_slab_bytes or part.slab_bytes)),
            estimated=True,
        )
        for part in accepted.parts
        if part.slab_bytes is not None
    ]


def _buckets(table: CacheTable, sockets: SocketCounts, missing: list[str]) -> list[MemoryPart]:
    """Bind buckets: no counter tells how many ports are in use, but each has one object of every bucket cache.

    So there are no more than any row that holds buckets has active objects, and no more than sockets. The sum takes the
    middle, where the error is least.
    """
    found = [(item, table.find(item)) for item in (BIND_BUCKET, BIND2_BUCKET)]
    lines: list[CacheLine] = []
    for item, each in found:
        if each.line is not None and each.line.slab_share_bytes is not None:
            lines.append(each.line)
        elif each.status != "absent":
            missing.append(item.caches[0])
    if not lines or sockets.allocated is None:
        return []
    limits = [sockets.allocated + (sockets.time_wait_machine_max or 0)]
    rows = [line.row for line in lines]
    for line in lines:
        active = table.row_active(line)
        if active is not None:
            limits.append(active // rows.count(line.row))
    most = min(limits)
    own = all(not line.aliases for line in lines)
    least = most if own else 0
    return [
        MemoryPart(
            name=line.name,
            row=line.row,
            bytes=round((least + most) / 2 * (line.slab_share_bytes or 0.0)),
            low_bytes=round(least * (line.slab_share_bytes or 0.0)),
            high_bytes=round(most * (line.slab_share_bytes or 0.0)),
            estimated=True,
        )
        for line in lines
    ]


def _buffers(sockets: SocketCounts, missing: list[str]) -> list[MemoryPart]:
    """What is charged to sockets. It holds the skbs' slabs already, so those are not counted again."""
    if sockets.buffer_bytes is None:
        missing.append("socket buffers")
        return []
    error = sockets.buffer_error_bytes or 0
    charged = sockets.buffer_bytes
    return [
        MemoryPart("socket buffers", None, charged, max(0, charged - error), charged + error, estimated=bool(error))
    ]


def _active(line: CacheLine | None) -> int:
    return (line.active_objects or 0) if line else 0
