"""Bytes of one kernel object in its own cache or in a kmalloc cache: the object's size, and its share of a slab.

The objects that one socket holds, such as bind buckets, are selected in socket_cost.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.lab_result import measured_lsm_blob_cache, measured_socket
from tcptop.accounting.socket_counts import max_files, min_sockets_with_inode
from tcptop.accounting.socket_wq import has_socket_wq, socket_wq_bytes
from tcptop.kernel.objects import (
    LSM_CACHES,
    LSM_FILE_BLOB,
    LSM_INODE_BLOB,
    LSM_SOCKET_BLOB,
    LSM_SOCKET_BLOB_BYTES,
    LSM_SOCKET_BLOB_STRUCTS,
    SOCKET_WQ,
    KernelObject,
    unknown_security_modules,
)
from tcptop.ledger import CacheLine, ObjectCost
from tcptop.snapshot import DAMAGED, Snapshot


def object_costs(
    snapshot: Snapshot, table: CacheTable, kernel_object: KernelObject, count: float
) -> tuple[ObjectCost | str, ...]:
    """The cost of `count` objects of a kind, computed once per CacheTable; empty if the kernel has no such object.

    If the size of the object is unknown, the function returns a text with the object's name instead of the cost.
    """
    key = (kernel_object.struct, count)
    found = (table.whole_costs if count == 1.0 else table.costs).of_objects
    if key not in found:
        found[key] = tuple(_object_costs(snapshot, table, kernel_object, count))
    return found[key]


def _object_costs(
    snapshot: Snapshot, table: CacheTable, kernel_object: KernelObject, count: float
) -> Iterator[ObjectCost | str]:
    if kernel_object is SOCKET_WQ:
        yield from _socket_wq(snapshot, table, count)
    elif kernel_object is LSM_SOCKET_BLOB:
        yield from _lsm_socket_blob(snapshot, table, count)
    else:
        lookup = table.find(kernel_object)
        if lookup.line is None:
            if lookup.status != "absent":
                yield f"{kernel_object.struct} ({kernel_object.caches[0]})"
        elif not _is_unused_lsm_cache(snapshot, table, kernel_object, lookup.line):
            yield cost_from_cache(kernel_object, lookup.line, count)


def _is_unused_lsm_cache(snapshot: Snapshot, table: CacheTable, kernel_object: KernelObject, line: CacheLine) -> bool:
    """True if the cache is SELinux's own, and SELinux is not active.

    If a kernel is built with SELinux but boots without SELinux, the caches of SELinux exist, but have almost no
    objects. If the active modules are unknown, the number of all objects in the cache is compared with the number of
    sockets that certainly have a file or an inode. The cache counts as unused if there are more than twice as many such
    sockets as objects. A cache with fewer objects than sockets may still be in use, because sockets may be opened
    between the reads of objects and sockets.
    """
    if kernel_object not in (LSM_FILE_BLOB, LSM_INODE_BLOB) or line.name in LSM_CACHES:
        return False
    modules = snapshot.security_modules.value
    if modules is not None and snapshot.security_modules.state == "ok":
        return "selinux" not in modules.names
    objects, sockstat = table.row_objects(line), table.matching_sockstat
    if objects is None or sockstat is None:
        return False
    least = min_sockets_with_inode(table, sockstat.allocated, sockstat.orphans)
    files = max_files(table) if kernel_object is LSM_FILE_BLOB else None
    return 2 * objects < (least if files is None else min(least, files))


def cost_from_cache(kernel_object: KernelObject, line: CacheLine, count: float) -> ObjectCost | str:
    """The cost of `count` objects in their own cache.

    If the size of the object is unknown, the function returns a text with the object's name.
    """
    size = line.object_bytes if line.object_bytes is not None else line.object_size_bytes
    if size is None:
        return f"{kernel_object.struct} ({line.name})"
    share = line.slab_share_bytes
    slab = count * share if share is not None else None
    return ObjectCost(
        object=kernel_object.struct,
        label=kernel_object.label,
        cache=line.name,
        count=count,
        object_bytes=count * size,
        slab_bytes=slab,
        high_slab_bytes=slab,
        # A size that was computed, or that leaves out the padding between objects, is an estimate.
        estimated=line.object_bytes is None or line.computed,
        computed=line.computed,
    )


def _socket_wq(snapshot: Snapshot, table: CacheTable, count: float) -> Iterator[ObjectCost | str]:
    """Cost of struct socket_wq.

    Yields nothing if the kernel does not allocate struct socket_wq separately. The cost is a range if several kmalloc
    caches are possible; the range begins at 0 if it is not certain that the kernel allocates struct socket_wq.
    """
    separate, certain = has_socket_wq(snapshot, table)
    if separate is None:
        yield SOCKET_WQ.struct
        return
    if not separate:
        return
    caches = table.kmalloc_caches(*socket_wq_bytes(snapshot, table))
    if not caches or caches[0].object_bytes is None:
        yield f"{SOCKET_WQ.struct} (kmalloc)"
        return
    cost = _from_kmalloc(SOCKET_WQ, caches[0], caches[-1], count, estimated=not certain or len(caches) > 1)
    yield cost if certain else cost._replace(object_bytes=0.0, slab_bytes=0.0)


def _lsm_socket_blob(snapshot: Snapshot, table: CacheTable, count: float) -> Iterator[ObjectCost | str]:
    """Cost of the LSM socket blob, which the active security modules allocate for a socket.

    The size of the blob comes from BTF. Without BTF, a lab result gives the size. Without BTF and without a lab result,
    only the range of sizes over all kernels is known. The size is rounded up to the object size of a kmalloc cache of
    this kernel. A kmalloc cache with fewer active objects than the number of sockets is ruled out. A security module
    that the catalogue does not know may have a blob of any size.
    """
    reading, sockstat = snapshot.security_modules, table.matching_sockstat
    # If other files contradict the list of modules, modules are missing in the list, so the list is not used.
    modules = None if reading.state in DAMAGED else reading.value
    names = [name for name in modules.names if name in LSM_SOCKET_BLOB_BYTES] if modules is not None else []
    unknown = unknown_security_modules(modules.names) if modules is not None else []
    if modules is not None and not names and not unknown:
        return
    exact = _blob_bytes_by_btf(snapshot, names) if not unknown else None
    line = table.kmalloc_cache(exact) if exact is not None else measured_lsm_blob_cache(snapshot, table)
    if line is not None and line.object_bytes is not None:
        yield _from_kmalloc(LSM_SOCKET_BLOB, line, line, count, estimated=False)
        return
    if unknown and measured_socket(snapshot, table) is None:
        yield f"{LSM_SOCKET_BLOB.struct} ({', '.join(unknown)})"
    if modules is not None and not names:
        return
    if modules is None:
        if measured_socket(snapshot, table) is None:
            is_doubted = "security_modules" in snapshot.contradictions.sources
            why = "the list of security modules is in doubt" if is_doubted else "no list of security modules"
            yield f"{LSM_SOCKET_BLOB.struct} ({why})"
        return
    ranges = [LSM_SOCKET_BLOB_BYTES[name] for name in names]
    caches = table.kmalloc_caches(sum(low for low, _ in ranges), sum(high for _, high in ranges))
    sockets = (sockstat.allocated or 0) if sockstat else 0
    in_use = [(line, table.kmalloc_max_in_use(line)) for line in caches]
    possible = [line for line, max_in_use in in_use if max_in_use is None or max_in_use >= sockets]
    if not possible or possible[0].object_bytes is None:
        yield f"{LSM_SOCKET_BLOB.struct} (kmalloc)"
        return
    yield _from_kmalloc(LSM_SOCKET_BLOB, possible[0], possible[-1], count, estimated=True)


def _blob_bytes_by_btf(snapshot: Snapshot, modules: Sequence[str]) -> int | None:
    """Total size of the structs that the modules allocate for a socket; None if BTF lacks any of these structs."""
    structs = snapshot.btf.value.structs if snapshot.btf.value else {}
    sizes = [structs.get(LSM_SOCKET_BLOB_STRUCTS[name]) for name in modules]
    known = [layout.size_bytes for layout in sizes if layout is not None]
    return sum(known) if known and len(known) == len(modules) else None


def _from_kmalloc(
    kernel_object: KernelObject, low: CacheLine, high: CacheLine, count: float, estimated: bool
) -> ObjectCost:
    """The cost of `count` objects in an unknown kmalloc cache between the caches `low` and `high`."""
    low_share, high_share = low.slab_share_bytes, high.slab_share_bytes
    return ObjectCost(
        kernel_object.struct,
        kernel_object.label,
        low.name,
        count,
        count * (low.object_bytes or 0),
        count * low_share if low_share is not None else None,
        count * high_share if high_share is not None else None,
        estimated or low.computed,
        low.computed,
        None if high.name == low.name else high.name,
    )
