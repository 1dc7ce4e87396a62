"""The socket counters, the unit and the scope of each counter on this kernel, and the error of the buffer counter."""

from collections.abc import Iterable
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.machine import release_of, reserve_cpus
from tcptop.kernel.buffer_counter import (
    FIXED_UNIT_BYTES,
    FIXED_UNIT_SINCE,
    PROTO,
    RESERVE_BYTES,
    RESERVE_MEMBER,
    RESERVE_SYSCTL_SINCE,
    RESERVES_SINCE,
    has_reserves,
)
from tcptop.kernel.objects import (
    DENTRY,
    FILE,
    LSM_INODE_BLOB,
    MINI_SOCKETS,
    REQUEST_SOCKS,
    SOCKET_ALLOC,
    SOCKET_WQ,
    KernelObject,
)
from tcptop.kernel.release import Release
from tcptop.ledger import Amount, CacheLine, CountScope, SocketCounts
from tcptop.snapshot import DAMAGED, Snapshot

TIME_WAIT_PER_NAMESPACE = ((4, 9), (4, 13))
"""Two kernel releases between which the scope of TIME_WAIT in sockstat is uncertain.

Kernels before 4.9 count TIME_WAIT for the whole machine. Kernels from 4.13 on count TIME_WAIT by network namespace.
Kernels from 4.9 to 4.12 may count TIME_WAIT for the whole machine or by network namespace.
"""

FILE_COUNT_BATCH = 32
"""Maximum number of open files that a CPU has counted but not yet added to fs.file-nr (lib/percpu_counter.c,
compute_batch_value).

On a machine with more than 16 CPUs, the maximum is twice the number of CPUs instead.
"""

EXACT_FILE_COUNT_SINCE = (6, 16)
"""First kernel release whose fs.file-nr includes the files of every CPU (ef181fa11d9e)."""

DRIFT_FILES = 64
"""Fixed part of the number of sockets that may be opened between the reads of slabinfo and sockstat.

One eighth of the number of open files is added to the fixed part.
"""

HELD_WITH_INODE = frozenset(item.struct for item in (SOCKET_ALLOC, SOCKET_WQ, LSM_INODE_BLOB))
"""Structs that every socket with an inode holds, even a socket of the kernel itself, which has no file."""


def socket_counts(snapshot: Snapshot, table: CacheTable, page_bytes: int | None) -> SocketCounts:
    """The counts of sockstat and sockstat6, and an upper bound on the machine's TIME_WAIT sockets."""
    sockstat, sockstat6, sysctls = snapshot.sockstat.value, snapshot.sockstat6.value, snapshot.sysctls.value
    release = release_of(snapshot)
    units, counter = sockstat.buffer_units if sockstat else None, buffer_counter(snapshot, page_bytes)
    lookups = [table.find(item) for item in MINI_SOCKETS]
    active = [
        _in_use(lookup.line) if lookup.line else 0 for lookup in lookups if lookup.line or lookup.status == "absent"
    ]
    return SocketCounts(
        inuse=sockstat.inuse if sockstat else None,
        inuse6=sockstat6.inuse if sockstat6 else None,
        orphans=sockstat.orphans if sockstat else None,
        time_wait=sockstat.time_wait if sockstat else None,
        time_wait_scope=_time_wait_scope(release),
        time_wait_machine_max=None
        if len(active) < len(lookups) or None in active
        else _machine_time_wait(snapshot, table, sum(filter(None, active))),
        time_wait_per_s=None,
        allocated=sockstat.allocated if sockstat else None,
        allocated_per_s=None,
        buffer_pages=units,
        buffer_unit_bytes=counter.unit_bytes,
        buffer_unit_is_page=counter.unit_is_page,
        buffer_bytes=units * counter.unit_bytes if units is not None and counter.unit_bytes is not None else None,
        buffer_error_bytes=counter.error_bytes,
        buffer_error_is_assumed=counter.error_is_assumed,
        buffer_error_pages=counter.error_units,
        tcp_mem_pages=sysctls.tcp_mem if sysctls else None,
        tcp_mem_unit_bytes=page_bytes,
        under_pressure=_under_pressure(snapshot),
    )


def _under_pressure(snapshot: Snapshot) -> bool | None:
    """True if TCP or TCPv6 is under memory pressure according to /proc/net/protocols."""
    protocols = snapshot.protocols.value.by_name if snapshot.protocols.value else {}
    marks = [protocols[name].under_pressure for name in ("TCP", "TCPv6") if name in protocols]
    return True if True in marks else None if None in marks or not marks else False


def _in_use(line: CacheLine) -> int | None:
    """Upper bound on the objects of a cache that are in use; None without slabinfo.

    Without slabinfo the bound is None, because sysfs also counts free objects.
    """
    return line.max_in_use if line.active_objects is not None else None


def _machine_time_wait(snapshot: Snapshot, table: CacheTable, active: int) -> int:
    """Upper bound on the machine's mini-sockets, from the active objects when the slabs were counted.

    The mini-sockets that this network namespace has got since are added, and it alone has those of sockstat.
    """
    newest, reading, then = snapshot.sockstat, table.counts_reading, table.matching_sockstat
    now = newest.value.time_wait if newest.value else None
    if not snapshot.live or now is None or newest.taken_at_s is None or reading.taken_at_s is None:
        return active
    if newest.taken_at_s <= reading.taken_at_s or then is None or then.time_wait is None:
        return active
    return max(now, active + max(0, now - then.time_wait))


def _time_wait_scope(release: Release | None) -> CountScope:
    """The scope of the counter `tw` of sockstat.

    Up to 4.8, `tw` counts the whole machine. Since 4.13, `tw` counts one network namespace.
    """
    may_be_here, is_here = TIME_WAIT_PER_NAMESPACE
    if release is None or release >= is_here:
        return "here"
    return "machine" if release < may_be_here else "machine or here"


class BufferCounter(NamedTuple):
    """The unit of sockstat's `mem`, and its error: what all CPUs together have counted but not added to `mem` yet."""

    unit_bytes: int | None
    unit_is_page: bool
    """True if the unit is surely a page, even if the size of a page is unknown."""
    error_bytes: int | None
    error_units: int | None
    error_is_assumed: bool
    """True if the size of a CPU's reserve is not known, and the error assumes the kernel's default."""


def buffer_counter(snapshot: Snapshot, page_bytes: int | None) -> BufferCounter:
    """The unit and the error of sockstat's `mem`.

    A kernel with net.core.mem_pcpu_rsv, or with the reserves of CPUs in BTF, counts pages. If neither file was read,
    the release decides; the unit is unknown if the release does not tell and a page is larger than 4096 bytes.
    """
    sysctls, release = snapshot.sysctls.value, release_of(snapshot)
    reserve_pages = sysctls.memory_per_cpu_reserve_pages if sysctls else None
    reserves = _has_reserves(snapshot)
    if reserves is None:
        unit, is_page = page_bytes if page_bytes == FIXED_UNIT_BYTES else None, False
    else:
        is_page = reserves or (release is not None and release < FIXED_UNIT_SINCE)
        unit = page_bytes if is_page else FIXED_UNIT_BYTES
    cpus = reserve_cpus(snapshot)
    if reserve_pages is not None and cpus is not None:
        error = cpus * reserve_pages * page_bytes if page_bytes is not None else None
        return BufferCounter(unit, is_page, error, cpus * reserve_pages, error_is_assumed=False)
    error = _default_error_bytes(snapshot, reserves, cpus)
    # A unit that is not known is at most a page.
    error_units = None if error is None or not (unit or page_bytes) else error // (unit or page_bytes or 1)
    return BufferCounter(unit, is_page, error, error_units, bool(error) and not _has_default_reserve(snapshot))


def _has_reserves(snapshot: Snapshot) -> bool | None:
    """True if the CPUs have reserves that `mem` leaves out; None if unknown."""
    sysctls, btf, release = snapshot.sysctls.value, snapshot.btf.value, release_of(snapshot)
    if sysctls is not None and sysctls.memory_per_cpu_reserve_pages is not None:
        return True
    members = btf.offsets.get(PROTO) if btf is not None else None
    if members is not None and (RESERVE_MEMBER in members or release is None or release < RESERVES_SINCE):
        return RESERVE_MEMBER in members
    return has_reserves(release, sysctls.kernel_release if sysctls else None)


def _default_error_bytes(snapshot: Snapshot, reserves: bool | None, cpus: int | None) -> int | None:
    """The error of `mem` without net.core.mem_pcpu_rsv: the default reserve of each CPU, or none."""
    if reserves is False:
        return 0 if cpus is not None else None
    if cpus is None or (reserves is None and release_of(snapshot) is None):
        return None
    # If a sysctl is cut, damaged or impossible, it may be mem_pcpu_rsv.
    return None if snapshot.sysctls.state in DAMAGED else cpus * RESERVE_BYTES


def _has_default_reserve(snapshot: Snapshot) -> bool:
    """True if the kernel surely lacks net.core.mem_pcpu_rsv, so that each CPU has the default reserve.

    Only the first network namespace shows mem_pcpu_rsv, and only it shows tcp_mem (net/core/sysctl_net_core.c,
    net/ipv4/sysctl_net_ipv4.c). A saved tree may lack the file although the kernel has it.
    """
    sysctls, release = snapshot.sysctls.value, release_of(snapshot)
    if not snapshot.live or sysctls is None or sysctls.tcp_mem is None or release is None:
        return False
    return RESERVES_SINCE <= release < RESERVE_SYSCTL_SINCE


def open_files_error(snapshot: Snapshot, cpus: int | None) -> int | None:
    """Number of files by which fs.file-nr may be too high or too low; None if unknown."""
    release = release_of(snapshot)
    if release is not None and release >= EXACT_FILE_COUNT_SINCE:
        return 0
    return None if cpus is None else file_count_error(cpus)


def file_count_error(cpus: int) -> int:
    """Upper bound on the number of open files that `cpus` CPUs have not added to fs.file-nr yet."""
    return cpus * max(FILE_COUNT_BATCH, 2 * cpus)


def sockets_with_inode(table: CacheTable, allocated: int | None, orphans: int | None) -> int | None:
    """Upper bound on the number of TCP sockets with an inode; None if unknown.

    Orphans and sockets in an accept queue have no inode. No counter shows the length of accept queues, so the bound is
    min(alloc − orphan, active objects of sock_inode_cache).
    """
    if allocated is None or orphans is None:
        return None
    with_inode = max(0, allocated - orphans)
    inodes = table.max_in_use(SOCKET_ALLOC)
    return with_inode if inodes is None else min(with_inode, inodes)


def min_sockets_with_inode(table: CacheTable, allocated: int | None, orphans: int | None) -> int:
    """Lower bound on the TCP sockets with an inode; 0 if the number of orphans or of request socks is unknown.

    A socket in an accept queue has no inode yet, but still has its request sock. The active request socks are therefore
    an upper bound on the sockets in accept queues.
    """
    with_inode = sockets_with_inode(table, allocated, orphans)
    requests = max_active(table, REQUEST_SOCKS)
    return 0 if with_inode is None or requests is None else max(0, with_inode - requests)


def max_files(table: CacheTable) -> int | None:
    """Upper bound on the open files of the machine, from the rows of struct file and of the files' dentries.

    None if unknown. The rows also hold other objects, so the bound may be too large.
    """
    lines = [table.find(item).line for item in (FILE, DENTRY)]
    counts = [table.row_max_in_use(line) for line in lines if line is not None]
    return min((count for count in counts if count is not None), default=None)


def sockets_with_file(table: CacheTable, allocated: int | None, orphans: int | None) -> int | None:
    """Upper bound on the number of TCP sockets with a file; None if unknown.

    Sockets that the kernel itself uses (NFS, ksmbd, DRBD, Ceph) have an inode but no file.
    """
    with_inode, files = sockets_with_inode(table, allocated, orphans), max_files(table)
    return with_inode if with_inode is None or files is None else min(with_inode, files)


def min_sockets_with_file(table: CacheTable, allocated: int | None, orphans: int | None) -> int:
    """Lower bound on the number of TCP sockets with a file; 0 if unknown, or if the kernel itself has sockets."""
    files = max_files(table)
    if files is None or has_kernel_sockets(table):
        return 0
    return min(min_sockets_with_inode(table, allocated, orphans), files)


def mini_socket_count(table: CacheTable, sockets: SocketCounts) -> Amount | None:
    """Bounds on the number of mini-sockets on the machine; None if unknown.

    Up to 4.8 sockstat's `tw` counts the whole machine. Since 4.9, `tw` of sockstat may count only one network
    namespace, so `tw` is a lower bound. Another lower bound on the mini-sockets is the number of active objects minus
    the free objects that CPUs have cached. The upper bound on the mini-sockets is the number of active objects.
    """
    sockstat = table.matching_sockstat
    here = sockstat.time_wait if sockstat else None
    if here is not None and sockets.time_wait_scope == "machine":
        return Amount(here, here)
    lines = [line for item in MINI_SOCKETS if (line := table.find(item).line) is not None]
    active = max_active(table, MINI_SOCKETS)
    if active is None:
        return None
    errors = [line.idle_error_objects for line in lines]
    surely_used = 0 if None in errors else active - sum(filter(None, errors))
    # sockstat is read after the caches, and may therefore count mini-sockets that were created between the two reads.
    least = max(min(here or 0, active), surely_used)
    return Amount(least, active)


def has_kernel_sockets(table: CacheTable) -> bool:
    """True if the kernel itself certainly uses sockets, because clearly fewer files are open than there are sockets.

    If there are more files than sockets, no counter shows whether the kernel itself uses sockets.
    """
    sockstat, files = table.matching_sockstat, max_files(table)
    if sockstat is None or files is None:
        return False
    return min_sockets_with_inode(table, sockstat.allocated, sockstat.orphans) > files + files // 8 + DRIFT_FILES


def max_active(table: CacheTable, objects: Iterable[KernelObject]) -> int | None:
    """Upper bound on the number of objects in use: the sum over all given kinds of objects.

    The bound is None if a cache may exist but its count is unknown.
    """
    total = 0
    for item in objects:
        lookup = table.find(item)
        if lookup.status == "absent":
            continue
        if lookup.line is None or lookup.line.max_in_use is None:
            return None
        total += lookup.line.max_in_use
    return total
