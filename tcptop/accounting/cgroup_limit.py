"""The nearest limit of a memory cgroup: its own, or that of a cgroup above it.

Memory that is charged to a cgroup counts in each cgroup above it, too (mm/page_counter.c, page_counter_try_charge).
"""

from collections.abc import Iterator
from typing import NamedTuple

from tcptop.ledger import Amount
from tcptop.snapshot import CgroupMemory
from tcptop.text.units import size

V1_KERNEL_MAXIMUM = "memory.kmem.limit_in_bytes"
V1_BUFFER_MAXIMUM = "memory.kmem.tcp.limit_in_bytes"
HIDDEN_PATH = "a cgroup above /sys/fs/cgroup"


HIDDEN_ABOVE = "cgroups above /sys/fs/cgroup are not visible here, and may have a lower limit"
CACHE_UNKNOWN = "an upper bound: page cache may be part of it, and memory.stat does not say how much"
CACHE_ABOVE_USE = "an upper bound: memory.stat has more page cache than all that is charged, which cannot be"


class CgroupUse(NamedTuple):
    """A limit of a memory cgroup, and the memory that counts against it."""

    path: str
    used: int
    """Memory that counts against the limit, without page cache unless its amount is unknown."""
    maximum: int
    cache_unknown_because: str = ""
    """The reason why the amount of page cache in the counted memory is unknown; empty if it is known."""
    file: str = ""
    """Name of the file that has the limit, if it limits only a part of the memory."""
    reclaimable: int = 0
    """Upper bound on the slab memory in `used` that reclaim may free before the limit stops anything."""

    @property
    def left(self) -> int:
        """The memory that still fits below the limit."""
        return max(0, self.maximum - self.used)


def used_bytes(cgroup: CgroupMemory) -> int | None:
    """The memory of a cgroup without page cache, which reclaim frees; None if unknown.

    If the amount of page cache is unknown, page cache is included.
    """
    if cgroup.current_bytes is None or cache_unknown_text(cgroup):
        return cgroup.current_bytes
    return cgroup.current_bytes - (cgroup.cache_bytes or 0)


def cache_unknown_text(cgroup: CgroupMemory) -> str:
    """The reason why the amount of page cache in the charged memory is unknown; empty if it is known.

    memory.stat lags behind memory.current (mm/memcontrol.c, memcg_rstat_updated), so that it may have more page cache
    than the cgroup is charged in all. What else the cgroup uses is then unknown.
    """
    if cgroup.cache_bytes is None:
        return CACHE_UNKNOWN
    return "" if cgroup.current_bytes is None or cgroup.cache_bytes <= cgroup.current_bytes else CACHE_ABOVE_USE


def _reclaimable_slab(cgroup: CgroupMemory, used: int) -> int:
    """Upper bound on the slab memory of a cgroup that reclaim may free, of the `used` memory.

    Slabs count as reclaimable although some of their objects are in use. Without their own figure, as in cgroup v1, all
    memory of the kernel may be such slabs.
    """
    amounts = (cgroup.reclaimable_slab_bytes, cgroup.kernel_bytes, used)
    return min(used, next(amount for amount in amounts if amount is not None))


def nearest_limit(cgroup: CgroupMemory) -> CgroupUse | None:
    """Of the limits of a cgroup and of the cgroups above it, the limit with the least left; None if none is known.

    Against the limit of a cgroup that is not visible counts at least what the topmost visible one uses.
    """
    levels = (cgroup, *cgroup.above)
    uses = [use for level in levels for use in _limits(level)]
    used = used_bytes(levels[-1])
    if cgroup.hidden_max_bytes is not None and used is not None:
        uses.append(CgroupUse(HIDDEN_PATH, used, cgroup.hidden_max_bytes, cache_unknown_text(levels[-1])))
    return min(uses, key=lambda use: use.left, default=None)


def unknown_above(cgroup: CgroupMemory) -> str | None:
    """The reason why a limit of the cgroups above is unknown, or its use; None if all visible ones are known."""
    if cgroup.hidden_max_bytes is not None:
        return f"memory.stat has a limit of {size(cgroup.hidden_max_bytes)} of {HIDDEN_PATH}, whose use is not visible"
    return next((each.unknown_because for each in cgroup.above if each.unknown_because and not each.is_unlimited), None)


def limit_owner(cgroup: CgroupMemory, use: CgroupUse) -> str:
    """Words that say whose limit it is, such as `the limit of system.slice above it`; empty for the cgroup's own."""
    if use.path == HIDDEN_PATH:
        return f"the limit of {HIDDEN_PATH}"
    name = f"{use.file} of {use.path}" if use.file else f"the limit of {use.path or '/sys/fs/cgroup'}"
    if use.path != cgroup.path:
        return f"{name} above it"
    return name if use.file else ""


def no_limit_text(cgroup: CgroupMemory) -> str:
    """Words that say that neither the cgroup nor a cgroup above it has a limit."""
    if cgroup.may_hide_limits:
        return "no limit of its own; cgroups above /sys/fs/cgroup may have one"
    return "no limit: neither it nor a cgroup above it has one"


def nearest_buffer_limit(cgroup: CgroupMemory) -> CgroupUse | None:
    """The limit of buffers with the least left that cgroup v1 has beside its limit of memory; None without one."""
    uses = [
        CgroupUse(level.path, level.sock_bytes, level.sock_max_bytes, file=V1_BUFFER_MAXIMUM)
        for level in (cgroup, *cgroup.above)
        if level.sock_max_bytes is not None and level.sock_bytes is not None
    ]
    return min(uses, key=lambda use: use.maximum - use.used, default=None)


def buffer_limit_text(cgroup: CgroupMemory, only_reached: bool = False) -> str:
    """Words on the nearest limit of buffers; empty without one.

    If `only_reached` is true, the text is also empty if the limit is not reached. When it is reached, the kernel puts
    the sockets of the cgroup under pressure, and stops none (mm/memcontrol-v1.c, memcg1_charge_skmem).
    """
    use = nearest_buffer_limit(cgroup)
    if use is None or (only_reached and use.left):
        return ""
    state = "" if use.left else ", exceeded" if use.used > use.maximum else ", reached"
    return f"buffers: {size(use.used)} of {size(use.maximum)}{state} ({V1_BUFFER_MAXIMUM} of {use.path})"


def buffer_pressure_text(cgroup: CgroupMemory, takes: Amount) -> str:
    """Words on the nearest limit of buffers if further buffers of the charge `takes` exceed it, or may; else empty."""
    use = nearest_buffer_limit(cgroup)
    if use is None or use.used + takes.high <= use.maximum:
        return ""
    is_sure = use.used + takes.low > use.maximum
    more = (
        f" + {size(takes.low) if takes.low == takes.high else f'≤ {size(takes.high, up=True)}'}" if takes.high else ""
    )
    return (
        f"PRESSURE{'' if is_sure else ' is possible'}: buffers {size(use.used)}{more} of {size(use.maximum)},"
        f" exceeded ({V1_BUFFER_MAXIMUM} of {use.path}), so that windows shrink"
    )


def _limits(cgroup: CgroupMemory) -> Iterator[CgroupUse]:
    used = used_bytes(cgroup)
    if cgroup.max_bytes is not None and used is not None and cgroup.unknown_because is None:
        reclaimable = _reclaimable_slab(cgroup, used)
        yield CgroupUse(cgroup.path, used, cgroup.max_bytes, cache_unknown_text(cgroup), reclaimable=reclaimable)
    # At this limit the kernel reclaims nothing (mm/memcontrol.c, memcg_charge_kmem).
    if cgroup.kernel_max_bytes is not None and cgroup.kernel_bytes is not None:
        yield CgroupUse(cgroup.path, cgroup.kernel_bytes, cgroup.kernel_max_bytes, file=V1_KERNEL_MAXIMUM)
