"""The nearest limit of a memory cgroup: its own, or that of a cgroup above it.

Memory that is charged to a cgroup counts in each cgroup above it, too (mm/page_counter.c, page_counter_try_charge).
"""

from collections.abc import Iterator
from typing import NamedTuple

from tcptop.snapshot import CgroupMemory
from tcptop.text.units import size

V1_KERNEL_MAXIMUM = "memory.kmem.limit_in_bytes"
V1_BUFFER_MAXIMUM = "memory.kmem.tcp.limit_in_bytes"


class CgroupUse(NamedTuple):
    """A limit of a memory cgroup, and the memory that counts against it."""

    path: str
    used: int
    """Memory that counts against the limit, without page cache if `knows_cache` is true."""
    maximum: int
    knows_cache: bool = True
    """True if the amount of page cache in the counted memory is known."""
    file: str = ""
    """Name of the file that has the limit, if it limits only a part of the memory."""

    @property
    def left(self) -> int:
        """The memory that still fits below the limit."""
        return max(0, self.maximum - self.used)


def used_bytes(cgroup: CgroupMemory) -> int | None:
    """The memory of a cgroup without page cache, which reclaim frees; None if unknown.

    If the amount of page cache is unknown, page cache is included.
    """
    return None if cgroup.current_bytes is None else max(0, cgroup.current_bytes - (cgroup.cache_bytes or 0))


def nearest_limit(cgroup: CgroupMemory) -> CgroupUse | None:
    """Of the limits of a cgroup and of the cgroups above it, the limit with the least left; None if none is known."""
    levels = (cgroup, *cgroup.above)
    return min((use for level in levels for use in _limits(level)), key=lambda use: use.left, default=None)


def unknown_above(cgroup: CgroupMemory) -> str | None:
    """The reason why a limit of the cgroups above is unknown; None if all are known."""
    return next((each.unknown_because for each in cgroup.above if each.unknown_because and not each.is_unlimited), None)


def limit_owner(cgroup: CgroupMemory, use: CgroupUse) -> str:
    """Words that say whose limit it is, such as `the limit of system.slice above it`; empty for the cgroup's own."""
    name = f"{use.file} of {use.path}" if use.file else f"the limit of {use.path or '/sys/fs/cgroup'}"
    if use.path != cgroup.path:
        return f"{name} above it"
    return name if use.file else ""


def no_limit_text(cgroup: CgroupMemory) -> str:
    """Words that say that neither the cgroup nor a cgroup above it has a limit."""
    levels = (cgroup, *cgroup.above)
    text = "no limit: neither it nor a cgroup above it has one"
    # Only cgroups below the root of cgroup2 have a memory.max, so the mount of a container is not the whole tree.
    return text if levels[-1].path else "no limit of its own; cgroups above /sys/fs/cgroup may have one"


def buffer_limit_text(cgroup: CgroupMemory) -> str:
    """Words on the limit of buffers that cgroup v1 has beside its limit of memory; empty without one."""
    uses = [
        CgroupUse(level.path, level.sock_bytes, level.sock_max_bytes)
        for level in (cgroup, *cgroup.above)
        if level.sock_max_bytes is not None and level.sock_bytes is not None
    ]
    nearest = min(uses, key=lambda use: use.left, default=None)
    if nearest is None:
        return ""
    return f"buffers: {size(nearest.used)} of {size(nearest.maximum)} ({V1_BUFFER_MAXIMUM} of {nearest.path})"


def _limits(cgroup: CgroupMemory) -> Iterator[CgroupUse]:
    used = used_bytes(cgroup)
    if cgroup.max_bytes is not None and used is not None and cgroup.unknown_because is None:
        yield CgroupUse(cgroup.path, used, cgroup.max_bytes, cgroup.cache_bytes is not None)
    if cgroup.kernel_max_bytes is not None and cgroup.kernel_bytes is not None:
        yield CgroupUse(cgroup.path, cgroup.kernel_bytes, cgroup.kernel_max_bytes, file=V1_KERNEL_MAXIMUM)
