"""The kernel memory that TCP holds, with bounds: TCP's own caches, TCP's share of other caches, and socket buffers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tcptop.accounting.bind_buckets import bind_bucket_parts
from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_vectors import has_vectors, vector_cache
from tcptop.accounting.socket_buffers import BufferMemory
from tcptop.accounting.socket_cost import FamilyMix, socket_cost
from tcptop.accounting.socket_counts import (
    HELD_WITH_INODE,
    min_sockets_with_file,
    min_sockets_with_inode,
    sockets_with_file,
    sockets_with_inode,
)
from tcptop.kernel.objects import (
    CGROUP_VECTORS,
    KERNEL_OBJECTS,
    LSM_SOCKET_BLOB,
    MPTCP_SOCKS,
    OBJECT_OF_CACHE,
    SOCKET_ALLOC,
    SOCKS,
    TCP_SOCK,
    State,
)
from tcptop.ledger import Amount, CacheLine, MemoryPart, ObjectCost, SocketCounts, TcpMemory
from tcptop.ledger.memory import BUFFERS, most_bytes
from tcptop.snapshot import DAMAGED, Snapshot

HELD_WITHOUT_FILE = frozenset({LSM_SOCKET_BLOB.struct})
"""Structs in shared caches that every socket with an inode holds, even without a file."""


def tcp_memory(snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, buffers: BufferMemory | None) -> TcpMemory:
    """The kernel memory that TCP holds, by part; the sum is None if the size of cache TCP or TCPv6 is unknown.

    The sum then still has a lower bound if the number of sockets and the size of a sock are known.

    The number of sockets was read right after the caches, so TCP's share of a cache and the cache's size belong to the
    same moment.
    """
    beside = table.matching_sockstat
    if beside is not None:
        sockets = sockets._replace(allocated=beside.allocated, orphans=beside.orphans)
    missing: list[str] = []
    parts = _own_caches(table, missing)
    own_known = not {name for item in SOCKS for name in item.caches} & set(missing)
    parts += _own_vectors(snapshot, table)
    parts += _shared_caches(snapshot, table, sockets, missing)
    parts += bind_bucket_parts(table, sockets, missing)
    parts += _buffers(buffers, sockets, missing)
    parts = [_within_row(part) for part in parts]
    missing += [name for name in table.doubted_sources if name not in missing]
    return TcpMemory(
        bytes=sum(part.bytes for part in parts) if own_known else None,
        low_bytes=sum(part.low_bytes for part in parts) if own_known else _least_bytes(snapshot, table, sockets, parts),
        high_bytes=most_bytes(parts) if own_known and not missing else None,
        parts=tuple(parts),
        missing=tuple(missing),
        counted_at_s=table.counts_reading.taken_at_s,
        counted_sockets=beside.allocated if beside is not None else None,
        counted_time_wait=beside.time_wait if beside is not None else None,
        buffers_by_look=buffers is not None and buffers.is_by_look,
    )


def _least_bytes(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, parts: Sequence[MemoryPart]
) -> int | None:
    """Lower bound on TCP's memory if the size of cache TCP or TCPv6 is unknown; None if no bound is known.

    Every allocated socket has a sock, and the sock of IPv6 contains the sock of IPv4, so the socks take at least the
    number of sockets × the size of IPv4's sock. Whole caches and the buffers are added. TCP's share of shared caches is
    left out, because it depends on counts that are as unknown as the size of the cache.
    """
    if table.doubted_sources or snapshot.protocols.state in DAMAGED:
        return None
    line, meminfo = table.find(TCP_SOCK).line, snapshot.meminfo.value
    if line is None or not sockets.allocated:
        return None
    sock_bytes = line.object_size_bytes or (None if line.computed else line.object_bytes)
    if sock_bytes is None:
        return None
    sock_caches = {name for item in SOCKS for name in item.caches}
    certain = [part for part in parts if part.row is None or not part.estimated]
    of_socks = sum(part.low_bytes for part in certain if part.name in sock_caches)
    others = sum(part.low_bytes for part in certain if part.name not in sock_caches)
    least = max(of_socks, sockets.allocated * sock_bytes) + others
    # An impossible number of sockets is no bound.
    return None if meminfo is not None and least > (meminfo.total_bytes or least) else least


def with_tcp_bytes(caches: Sequence[CacheLine], memory: TcpMemory) -> tuple[CacheLine, ...]:
    """The caches, with `tcp_bytes` and its bounds set in every row of slabinfo that contains objects of TCP.

    In a shared cache, most objects of other users, such as dentries, lie on the NUMA nodes that the machine used while
    it booted. TCP's objects in a shared cache lie on the same nodes as the sockets' inodes, because one system call
    allocates both. For a shared cache, `tcp_nodes` therefore has the nodes of the cache of inodes.
    """
    by_row: dict[str, list[MemoryPart]] = {}
    whole = {part.row for part in memory.parts if not part.estimated}
    inodes = next((cache.nodes for cache in caches if cache.name in SOCKET_ALLOC.caches and cache.nodes), None)
    for part in memory.parts:
        if part.row is not None:
            by_row.setdefault(part.row, []).append(part)
    return tuple(
        [
            cache._replace(
                tcp_bytes=sum(part.bytes for part in by_row[cache.name]),
                tcp_bounds=_bounds_in_row(cache, by_row[cache.name]),
                tcp_nodes=inodes if cache.shared and cache.name not in whole else None,
            )
            if cache.name == cache.row and cache.name in by_row
            else cache
            for cache in caches
        ]
    )


def _bounds_in_row(row: CacheLine, parts: Sequence[MemoryPart]) -> Amount:
    """Bounds on the bytes of the parts in one row, of which each may also be in another row."""
    likely, high = sum(part.bytes for part in parts), most_bytes(parts)
    return Amount(
        sum(part.low_bytes for part in parts), high if row.bytes is None else min(high, max(row.bytes, likely))
    )


def _within_row(part: MemoryPart) -> MemoryPart:
    """The part, with an upper bound that is not above the bytes of the objects in its row."""
    if part.row_max_bytes is None:
        return part
    return part._replace(high_bytes=min(part.high_bytes, max(part.bytes, part.row_max_bytes)))


def _own_caches(table: CacheTable, missing: list[str]) -> list[MemoryPart]:
    parts: list[MemoryPart] = []
    for kernel_object in KERNEL_OBJECTS:
        if not kernel_object.tcp_only:
            continue
        lookup = table.find(kernel_object)
        line = lookup.line
        # Most machines have no MPTCP sockets, so an empty or unknown cache of theirs is no part.
        is_optional = kernel_object in MPTCP_SOCKS
        if line is not None and line.bytes is not None and not line.aliases:
            if line.bytes or not is_optional:
                parts.append(MemoryPart(line.name, line.row, line.bytes, line.bytes, line.bytes, estimated=False))
        elif lookup.status != "absent" and (not is_optional or (line is not None and line.row is not None)):
            missing.append(kernel_object.caches[0])
    return parts


def _own_vectors(snapshot: Snapshot, table: CacheTable) -> list[MemoryPart]:
    """The memory cgroup vectors of TCP's own caches: one vector for each slab, including unused slabs."""
    charged = has_vectors(snapshot, table)
    if charged is False:
        return []
    by_row: dict[str, tuple[int, float]] = {}
    for kernel_object in KERNEL_OBJECTS:
        line = table.find(kernel_object).line if kernel_object.tcp_only else None
        for slabs, per_slab in table.slabs_by_size(line) if line is not None else ():
            row = vector_cache(snapshot, table, per_slab)
            if row is not None and row.slab_share_bytes is not None:
                number, amount = by_row.get(row.name, (0, 0.0))
                by_row[row.name] = (number + slabs, amount + slabs * row.slab_share_bytes)
    return [
        MemoryPart(
            name=f"own obj_cgroup vectors, {row}",
            count=number,
            row=row,
            bytes=round(amount) if charged else 0,
            low_bytes=round(amount) if charged else 0,
            high_bytes=round(amount),
            estimated=True,
            row_max_bytes=table.row_max_bytes(row),
        )
        for row, (number, amount) in by_row.items()
    ]


def _shared_caches(
    snapshot: Snapshot, table: CacheTable, sockets: SocketCounts, missing: list[str]
) -> list[MemoryPart]:
    """TCP's memory in shared caches: the bytes per socket with an inode or a file × the number of such sockets.

    The lower bound leaves out sockets that may be in an accept queue, which have no inode and no file yet.
    """
    with_inode = sockets_with_inode(table, sockets.allocated, sockets.orphans)
    with_file = sockets_with_file(table, sockets.allocated, sockets.orphans)
    if with_file is None or with_inode is None:
        missing.append("TCP's share of shared caches")
        return []
    low_with_file = min_sockets_with_file(table, sockets.allocated, sockets.orphans)
    low_with_inode = min_sockets_with_inode(table, sockets.allocated, sockets.orphans)
    accepted = socket_cost(snapshot, table, State.ESTABLISHED, FamilyMix(0.0, 0.0), owns_port=False)
    missing.extend(accepted.missing)
    parts: list[MemoryPart] = []
    for part in accepted.parts:
        if part.slab_bytes is None:
            continue
        # An LSM socket blob belongs to the sock, so a socket without a file has a blob too.
        if part.object in HELD_WITHOUT_FILE and sockets.allocated is not None:
            low, number, high = (sockets.allocated,) * 3
        elif part.object in HELD_WITH_INODE:
            low, number, high = low_with_inode, with_inode, with_inode
        else:
            low, number, high = low_with_file, with_file, with_file
        line, factor = table.get(part.cache), table.fallback_factor(part.cache)
        in_row = table.row_max_in_use(line) if line is not None else None
        if part.object == CGROUP_VECTORS.struct:
            high = with_inode
        elif in_row is not None and part.count == 1.0 and part.slab_bytes == part.high_slab_bytes:
            low, number, high = min(low, in_row), min(number, in_row), min(high, in_row)
        row = (line.row if line else None) or part.cache
        parts.append(
            MemoryPart(
                name=_part_name(part),
                count=math.ceil(number * part.count),
                row=row,
                bytes=round(number * part.slab_bytes * factor),
                low_bytes=round(low * part.slab_bytes * factor),
                high_bytes=round(high * (part.high_slab_bytes or part.slab_bytes) * factor),
                estimated=True,
                row_max_bytes=None if part.high_cache else table.row_max_bytes(row),
            )
        )
    return parts


def _part_name(part: ObjectCost) -> str:
    """The name of a part.

    If the object has its own cache, the part has the name of the cache. If the object is in a shared cache, the name of
    the part consists of the names of the object and the cache.
    """
    if part.object == CGROUP_VECTORS.struct:
        return f"obj_cgroup vectors, {part.cache}"
    return part.cache if part.cache in OBJECT_OF_CACHE else f"{part.object}, {part.cache}"


def _buffers(buffers: BufferMemory | None, sockets: SocketCounts, missing: list[str]) -> list[MemoryPart]:
    """The memory of socket buffers, including the slabs of segments."""
    if buffers is None:
        missing.append("socket buffers")
        return []
    if sockets.buffer_error_bytes is None:
        missing.append("the error of the socket buffers")
    low = round(buffers.bounds.low)
    # If both the error of the charge and meminfo are unknown, the buffers have no upper bound.
    high = round(
        max(buffers.bytes, sockets.buffer_bytes or 0) if math.isinf(buffers.bounds.high) else buffers.bounds.high
    )
    return [MemoryPart(BUFFERS, None, round(buffers.bytes), low, high, estimated=low != high)]
