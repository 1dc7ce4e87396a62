"""Tells if a kernel allocates a struct socket_wq for each socket, and how large the kmalloc request may be."""

from __future__ import annotations

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.machine import release_of
from tcptop.kernel.architecture import architecture_of
from tcptop.kernel.objects import BIND2_BUCKET, SK_BUFF, SOCKET_ALLOC, SOCKET_WQ, SOCKS
from tcptop.snapshot import Snapshot

SOCKET_ALLOC_WITH_WQ_BYTES = 768
"""Minimum size of struct socket_alloc on 64-bit kernels if it contains struct socket_wq.

A struct socket_alloc without struct socket_wq is smaller.
"""

CACHE_LINES = (32, 64, 128, 256)

ALIGNED = (*SOCKS, SOCKET_ALLOC, SK_BUFF)
"""Objects whose caches have SLAB_HWCACHE_ALIGN on every kernel that allocates struct socket_wq."""


def has_socket_wq(snapshot: Snapshot, table: CacheTable) -> tuple[bool | None, bool]:
    """Two values: True if the kernel allocates struct socket_wq (None if unknown), and True if this is certain.

    Since 5.3 socket_wq is part of struct socket, and struct socket_alloc has at least 768 bytes. If the release and the
    size of socket_alloc disagree, the release decides. Kernels before 2.6.35 have no struct socket_wq. In kernels
    before 2.6.35, struct socket_alloc is as small as in kernels that allocate struct socket_wq, and so it is in 32-bit
    kernels of any release, so a small size alone proves nothing.
    """
    inode = table.find(SOCKET_ALLOC).line
    release = release_of(snapshot)
    if release is None and table.find(BIND2_BUCKET).line is not None:
        return False, True  # these buckets are younger than socket_wq as a part of struct socket
    size = (inode.object_size_bytes or inode.object_bytes) if inode else None
    small = None if size is None else size < SOCKET_ALLOC_WITH_WQ_BYTES
    if release is None:
        return small, small is False
    if SOCKET_WQ.is_outside(release):
        return False, True
    return True, small is True


def socket_wq_bytes(snapshot: Snapshot, table: CacheTable) -> tuple[int, int]:
    """Smallest and largest possible size of the kmalloc request.

    The kernel requests the size of the struct, rounded up to whole cache lines.
    """
    sysctls = snapshot.sysctls.value
    word_bytes, min_line, max_line, *_ = architecture_of(sysctls.architecture if sysctls else None)
    struct_bytes = (SOCKET_WQ.kmalloc_bytes or 0) * word_bytes // 8
    lines = [size for size in CACHE_LINES if min_line <= size <= max_line]
    possible = [size for size in lines if _fits(snapshot, table, size)] or lines
    return _round_up(struct_bytes, possible[0]), _round_up(struct_bytes, possible[-1])


def _fits(snapshot: Snapshot, table: CacheTable, line_bytes: int) -> bool:
    """True if `line_bytes` may be the size of a CPU's cache line.

    In slab caches whose objects are aligned to cache lines, the step is a multiple of the size of a cache line. Slab
    debugging changes the steps, so that any cache line size is possible.
    """
    if snapshot.sysctls.value is not None and snapshot.sysctls.value.slab_debug:
        return True
    caches = [table.find(item).line for item in ALIGNED]
    steps = [cache.object_bytes for cache in caches if cache and cache.object_bytes and not cache.aliases]
    return all(step % line_bytes == 0 for step in steps if step >= line_bytes)


def _round_up(size: int, step: int) -> int:
    return -(-size // step) * step
