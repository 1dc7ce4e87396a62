"""Relations of the slab caches: within a row of slabinfo, within a cache of sysfs, and between the two files."""

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.accounting.contradictions.cache_sizes import CacheSizes
from tcptop.accounting.contradictions.relation import (
    DRIFT_SLABS,
    ONE_AT_A_TIME,
    SOCKETS_LATER,
    CachePair,
    Facts,
    Machine,
    Relation,
    difference,
    fitting,
    times,
    with_drift,
    with_later_sockets,
)
from tcptop.accounting.slab_bytes import smallest_slab
from tcptop.snapshot import SlabRow, SlabSize

SLABINFO, SYSFS = "/proc/slabinfo", "/sys/kernel/slab"

UNLOCKED = "an eighth and 64 slabs, which may come or go between two counters (mm/slub.c, get_slabinfo)"
NO_LARGER = "none: all pages are in the machine's memory"


class SameName(NamedTuple):
    """The name of a cache, and the number of different object and slab sizes in the slabinfo rows with this name."""

    name: str
    sizes: int


class RowOfCache(NamedTuple):
    """A cache that this kernel certainly has, and whether slabinfo has a row for the objects of the cache."""

    cache: str
    has_row: bool


class CacheOfModules(NamedTuple):
    """A cache that exists only if a security module needs it, and the number of active modules that may need it."""

    cache: str
    modules: int


class LinkOfCache(NamedTuple):
    """A cache that this kernel never merges, and its folder in /sys/kernel/slab."""

    cache: str
    folder: str


class RowsInSlab(NamedTuple):
    """The bytes of all rows of slabinfo, and the bytes of meminfo's Slab."""

    rows_bytes: int
    slab_bytes: int
    bound_bytes: int
    """Upper bound on the bytes of all rows: Slab, the error of the counters, and the growth between the reads."""


class ProtocolSize(NamedTuple):
    """The size of a sock in bytes, according to three files; None for a file that does not show the size."""

    name: str
    struct_bytes: int | None
    """From /proc/net/protocols."""
    sysfs_bytes: int | None
    sysfs_step_bytes: int | None
    """Step from one object to the next in sysfs."""
    row_bytes: int | None
    """Step from one object to the next in slabinfo."""


class ActiveCount(NamedTuple):
    """The number of active objects of one kind in slabinfo, and the number of objects of this kind in another file."""

    names: tuple[str, ...]
    objects_named: str
    active_objects: int
    counted: int | None
    """Lower bound on the number of objects of this kind, from the other file; None if no comparison is possible."""


def _objects_of_small_slabs(row: SlabRow, machine: Machine) -> int | None:
    """Lower bound on the number of objects in the slabs of a row.

    The lower bound assumes slabs of the smallest order, which SLUB may take.
    """
    if not machine.is_slub or machine.page_bytes is None or not row.object_bytes:
        return row.slabs
    _, per_slab = smallest_slab(row.object_bytes, machine.page_bytes)
    return row.slabs * max(1, min(per_slab, row.objects_per_slab))


ROW_RELATIONS: tuple[Relation[SlabRow, Machine], ...] = (
    Relation(
        "sizes of a row",
        SLABINFO,
        ("size",),
        lambda row, _: (1, min(row.object_bytes, row.objects_per_slab, row.pages_per_slab)),
        "{item.name} has objects of {item.object_bytes:,} B, {item.objects_per_slab:,} in {item.pages_per_slab} pages",
        ONE_AT_A_TIME,
    ),
    Relation(
        "pages of a slab",
        SLABINFO,
        ("size",),
        lambda row, _: (row.pages_per_slab & (row.pages_per_slab - 1) if row.pages_per_slab else 0, 0),
        "{item.name} has slabs of {item.pages_per_slab} pages, which is no power of two",
        "none: a slab is one block of the buddy allocator (mm/slub.c, alloc_slab_page; mm/slab.c, kmem_getpages)",
    ),
    Relation(
        "objects of a slab fit",
        SLABINFO,
        ("size",),
        lambda row, machine: (row.objects_per_slab, fitting(row.object_bytes, row.pages_per_slab, machine)),
        "{item.name} has {figure} objects of {item.object_bytes:,} B in a slab that holds {bound}",
        "none (mm/slub.c, order_objects; mm/slab.c, cache_estimate)",
    ),
    Relation(
        "objects fill a slab",
        SLABINFO,
        ("size",),
        lambda row, machine: (
            fitting(row.object_bytes, row.pages_per_slab, machine) if machine.is_slub else None,
            row.objects_per_slab,
        ),
        "{item.name} has {bound} objects of {item.object_bytes:,} B in a slab that holds {figure}",
        "none with SLUB (mm/slub.c, order_objects); the SLAB allocator may keep a list of free objects in the slab",
    ),
    Relation(
        "active objects of objects",
        SLABINFO,
        ("counts",),
        lambda row, _: (row.active_objects, row.objects),
        "{item.name} has {figure} active objects of {bound}",
        "an eighth and some objects, which the parser has taken off (mm/slub.c, get_slabinfo)",
    ),
    Relation(
        "slabs have objects",
        SLABINFO,
        ("counts",),
        lambda row, machine: (
            _objects_of_small_slabs(row, machine),
            row.objects + row.objects // 8 + DRIFT_SLABS * max(1, row.objects_per_slab),
        ),
        "{item.name} has {item.slabs:,} slabs and only {item.objects:,} objects",
        f"{UNLOCKED}; slabs of the smallest order (mm/slub.c, allocate_slab)",
    ),
    Relation(
        "objects have slabs",
        SLABINFO,
        ("counts",),
        lambda row, _: (row.objects, with_drift(row.slabs) * row.objects_per_slab),
        "{item.name} has {figure} objects in {item.slabs:,} slabs of {item.objects_per_slab:,}",
        UNLOCKED,
    ),
    Relation(
        "objects of the SLAB allocator",
        SLABINFO,
        ("counts",),
        lambda row, machine: (
            None if machine.is_slub else difference(row.objects, row.slabs * row.objects_per_slab),
            0,
        ),
        "{item.name} has {item.objects:,} objects, and {item.slabs:,} slabs of {item.objects_per_slab:,}",
        "none: one is the product of the others (mm/slab.c, get_slabinfo)",
    ),
    Relation(
        "slabs in memory",
        f"{SLABINFO}, /proc/meminfo, /proc/zoneinfo",
        ("counts",),
        lambda row, machine: (row.slabs * (machine.page_bytes or 1), machine.memory_bytes),
        "{item.name} has {item.slabs:,} slabs of at least a page, and the machine has {bound} B",
        NO_LARGER,
    ),
    Relation(
        "objects in memory",
        f"{SLABINFO}, /proc/meminfo, /proc/zoneinfo",
        ("counts", "size"),
        lambda row, machine: (row.objects * row.object_bytes, machine.memory_bytes),
        "{item.name} has {item.objects:,} objects of {item.object_bytes:,} B, and the machine has {bound} B",
        NO_LARGER,
    ),
)

LOST_ROW_RELATION: Relation[RowOfCache, None] = Relation(
    "a row of every cache",
    f"{SLABINFO}, {SYSFS}",
    ("counts",),
    lambda cache, _: (1, int(cache.has_row)),
    "it has no row of {item.cache}, which this kernel has",
    "none: the kernel prints every cache (mm/slab_common.c, slab_show)",
)

NAMED_ROW_RELATIONS: tuple[Relation[SlabRow, CacheSizes], ...] = (
    Relation(
        "struct in its object",
        f"{SLABINFO}, {SYSFS}, /proc/net/protocols",
        ("size",),
        lambda row, sizes: (sizes.struct_bytes.get(row.name), row.object_bytes),
        "{item.name} has objects of {bound} B, and their struct has {figure} B",
        "none in a cache that is not merged (mm/slub.c, calculate_sizes)",
    ),
    Relation(
        "object size in both files",
        f"{SLABINFO}, {SYSFS}",
        ("size",),
        lambda row, sizes: (difference(sizes.step_bytes.get(row.name), row.object_bytes), 0),
        "{item.name} has objects of {item.object_bytes:,} B, and of another size in /sys/kernel/slab",
        ONE_AT_A_TIME,
    ),
    Relation(
        "objects of a slab in both files",
        f"{SLABINFO}, {SYSFS}",
        ("size",),
        lambda row, sizes: (difference(sizes.per_slab.get(row.name), row.objects_per_slab), 0),
        "{item.name} has {item.objects_per_slab:,} objects in a slab, and another number in /sys/kernel/slab",
        ONE_AT_A_TIME,
    ),
    Relation(
        "pages of a slab in both files",
        f"{SLABINFO}, {SYSFS}",
        ("size",),
        lambda row, sizes: (
            difference(1 << min(sizes.orders[row.name], 64), row.pages_per_slab) if row.name in sizes.orders else None,
            0,
        ),
        "{item.name} has slabs of {item.pages_per_slab} pages, and of another order in /sys/kernel/slab",
        ONE_AT_A_TIME,
    ),
)
"""Relations between the sizes in a slabinfo row and the sizes in other files."""

SAME_NAME_RELATION: Relation[SameName, Machine] = Relation(
    "rows of one name",
    SLABINFO,
    ("size", "counts"),
    lambda row, _: (row.sizes, 1),
    "{item.name} has two rows with different sizes",
    "none: the kernel has one cache of each name of the catalogue (mm/slab_common.c, kmem_cache_sanity_check)",
)

SLAB_RELATION: Relation[RowsInSlab, Machine] = Relation(
    "rows in Slab",
    f"{SLABINFO}, /proc/meminfo",
    (),
    lambda rows, _: (rows.rows_bytes, rows.bound_bytes),
    "its rows take {figure} B, and Slab of /proc/meminfo is {item.slab_bytes:,} B",
    "a hundredth, 1 GiB a second between the reads, and 125 pages on each CPU of each node (mm/slub.c, account_slab)",
)

SOCKET_ROW_RELATIONS: tuple[Relation[SlabRow, Facts], ...] = (
    Relation(
        "sockets with an inode",
        f"{SLABINFO}, /proc/net/sockstat",
        ("counts",),
        lambda row, facts: (
            facts.sockets_with_inode,
            row.objects + row.objects // 4 + 1000,
        ),
        "{item.name} has {item.objects:,} objects, and at least {figure} TCP sockets have one",
        "a quarter and 1 000 sockets, opened between the reads; orphans, sockets in an accept queue and MPTCP's "
        "subflows have none (net/socket.c, sock_alloc; net/ipv4/inet_connection_sock.c, inet_csk_reqsk_queue_add)",
    ),
)
"""The relation of the row sock_inode_cache, which is never merged because it has a constructor."""

ACTIVE_RELATION: Relation[ActiveCount, Machine] = Relation(
    "counted objects are active",
    f"{SLABINFO}, /proc/net/sockstat, /proc/sys/fs/file-nr",
    ("counts",),
    lambda count, _: (count.counted, with_later_sockets(count.active_objects)),
    "{item.active_objects:,} active objects, and there are {figure} {item.objects_named}",
    f"{SOCKETS_LATER}; free objects on lists of CPUs count as active (mm/slub.c, get_slabinfo); from 6.10 on, the "
    "free objects of more than 10 000 slabs are estimated (count_partial_free_approx) and not compared",
)
"""The sockets, mini-sockets and open files that sockstat and file-nr count are in use, so slabinfo must count their
objects as active. The objects of an open socket include its inode, its dentry and the data of security modules."""

LINK_RELATION: Relation[LinkOfCache, None] = Relation(
    "folder of a cache that never merges",
    SYSFS,
    (),
    lambda link, _: (int(link.folder.startswith(":")), 0),
    "{item.cache} leads to {item.folder}, and this kernel never merges it",
    "none (mm/slab_common.c, slab_unmergeable)",
)

MODULES_RELATION: Relation[CacheOfModules, None] = Relation(
    "a security module of its cache",
    f"/sys/kernel/security/lsm, {SLABINFO}, {SYSFS}",
    (),
    lambda item, _: (1, item.modules),
    "no active module of it needs {item.cache}, which this kernel has",
    "none: the cache is created if an active module asks for it (security/security.c, ordered_lsm_init; since 6.18 "
    "security/lsm_init.c, security_init)",
)

CACHE_SIZE_RELATIONS: tuple[Relation[SlabSize, Machine], ...] = (
    Relation(
        "struct in its step",
        SYSFS,
        (),
        lambda size, _: (size.object_size_bytes, size.slab_size_bytes),
        "a struct of {figure} B in an object of {bound} B",
        "none (mm/slub.c, calculate_sizes)",
    ),
    Relation(
        "objects of an order",
        SYSFS,
        (),
        lambda size, machine: (
            difference(
                size.objects_per_slab,
                fitting(size.slab_size_bytes, None if size.order is None else 1 << min(size.order, 64), machine),
            ),
            0,
        ),
        "{item.objects_per_slab:,} objects of {item.slab_size_bytes:,} B in a slab of order {item.order}",
        "none (mm/slub.c, order_objects)",
    ),
)

PROTOCOL_SIZE_RELATION: Relation[tuple[int | None, int | None], None] = Relation(
    "struct of a protocol",
    f"{SYSFS}, /proc/net/protocols",
    (),
    lambda sizes, _: (difference(*sizes), 0),
    "a struct of {item[0]} B, and of {item[1]} B in /proc/net/protocols",
    "none: the cache is created with the size of the protocol (net/core/sock.c, proto_register)",
)

PROTOCOLS = "/proc/net/protocols"
ONE_SIZE = "none: the cache is created with the size of the protocol (net/core/sock.c, proto_register)"

PROTOCOL_FITS_RELATION: Relation[ProtocolSize, None] = Relation(
    "struct of a protocol in its object",
    f"{PROTOCOLS}, {SLABINFO}, {SYSFS}",
    (),
    lambda size, _: (size.struct_bytes, size.row_bytes if size.row_bytes == size.sysfs_step_bytes else None),
    "{item.name} has a struct of {figure} B, and its objects have {bound} B in /proc/slabinfo and /sys/kernel/slab",
    f"{ONE_SIZE}; the other two files agree",
)
"""If slabinfo and sysfs show the same size of the objects, only /proc/net/protocols is in doubt."""

PROTOCOL_SAME_RELATION: Relation[ProtocolSize, None] = Relation(
    "size of a protocol in other files",
    f"{PROTOCOLS}, {SLABINFO}, {SYSFS}",
    (),
    lambda size, _: (
        (size.struct_bytes, size.row_bytes)
        if size.sysfs_bytes is None
        else (difference(size.struct_bytes, size.sysfs_bytes), 0)
    ),
    "{item.name} has a struct of {item.struct_bytes:,} B, and another file contradicts it",
    ONE_SIZE,
)

_ON_NODES = "none: one walk over the nodes gives both (mm/slub.c, show_slab_objects)"


def _beyond_nodes(total: int | None, by_node: Mapping[int, int], machine: Machine) -> tuple[int | None, int | None]:
    """The difference between a total and the sum of the nodes' counts, and the upper bound on this difference: 0.

    A kernel without NUMA prints no count of a node, so the bound is None. A kernel with several nodes prints each count
    above 0, so a missing count is 0.
    """
    return difference(sum(by_node.values()), total), 0 if by_node or machine.has_nodes else None


def _most_in_slabs(pair: CachePair) -> tuple[int | None, int | None]:
    """A number of objects and its upper bound, on the node where the number exceeds the upper bound by most.

    Without counts of the nodes, the number is the objects of the whole cache.
    """
    if pair.objects_per_slab is None or pair.slabs is None or pair.objects is None:
        return None, None
    slabs_by_node = pair.slabs_by_node
    counts = [(objects, slabs_by_node.get(node, 0)) for node, objects in pair.objects_by_node.items()]
    bounds = [
        (objects, with_drift(slabs) * pair.objects_per_slab)
        for objects, slabs in counts or [(pair.objects, pair.slabs)]
    ]
    return max(bounds, key=lambda each: each[0] - each[1])


_BOTH_FILES = "a quarter, 64 slabs and 1 GiB a second between the reads; memory cgroups before 5.9"

CACHE_COUNT_RELATIONS: tuple[Relation[CachePair, Machine], ...] = (
    Relation(
        "slabs have objects in sysfs",
        SYSFS,
        (),
        lambda count, _: (count.slabs, None if count.objects is None else with_drift(count.objects)),
        "{figure} slabs and only {item.objects:,} objects",
        UNLOCKED,
    ),
    Relation(
        "slabs in memory in sysfs",
        SYSFS,
        (),
        lambda count, machine: (times(count.slabs, machine.page_bytes or 1), machine.memory_bytes),
        "slabs of {figure} B at least, and the machine has {bound} B",
        NO_LARGER,
    ),
    Relation(
        "slabs of the nodes",
        SYSFS,
        (),
        lambda count, machine: _beyond_nodes(count.slabs, count.slabs_by_node, machine),
        "{item.slabs:,} slabs, and another number on the nodes together",
        _ON_NODES,
    ),
    Relation(
        "objects of the nodes",
        SYSFS,
        (),
        lambda count, machine: _beyond_nodes(count.objects, count.objects_by_node, machine),
        "{item.objects:,} objects, and another number on the nodes together",
        _ON_NODES,
    ),
    Relation(
        "slabs of sysfs in slabinfo",
        f"{SYSFS}, {SLABINFO}",
        (),
        lambda count, _: (
            count.slabs if count.row else None,
            count.row.slabs + count.row_slabs_drift if count.row else None,
        ),
        "{figure} slabs, and {item.row.slabs:,} in /proc/slabinfo: not read at one time, or damaged",
        _BOTH_FILES,
    ),
    Relation(
        "slabs of slabinfo in sysfs",
        f"{SYSFS}, {SLABINFO}",
        (),
        lambda count, _: (
            count.row.slabs if count.row and count.is_whole else None,
            None if count.slabs is None else count.slabs + count.row_slabs_drift,
        ),
        "{item.slabs:,} slabs, and {figure} in /proc/slabinfo: not read at one time, or damaged",
        _BOTH_FILES,
    ),
    Relation(
        "objects of sysfs in slabinfo",
        f"{SYSFS}, {SLABINFO}",
        (),
        lambda count, _: (
            count.objects if count.row else None,
            count.row.objects + count.row_slabs_drift * count.row.objects_per_slab if count.row else None,
        ),
        "{figure} objects, and {item.row.objects:,} in /proc/slabinfo: not read at one time, or damaged",
        _BOTH_FILES,
    ),
    Relation(
        "objects of slabinfo in sysfs",
        f"{SYSFS}, {SLABINFO}",
        (),
        lambda count, _: (
            count.row.objects if count.row and count.is_whole else None,
            None
            if count.objects is None or count.row is None
            else count.objects + count.row_slabs_drift * count.row.objects_per_slab,
        ),
        "{item.objects:,} objects, and {figure} in /proc/slabinfo: not read at one time, or damaged",
        _BOTH_FILES,
    ),
    Relation(
        "objects of a node in its slabs",
        SYSFS,
        (),
        lambda count, _: _most_in_slabs(count),
        "{figure} objects on a node, and its slabs hold at most {bound}",
        UNLOCKED,
    ),
)
"""Relations of the counts of a cache; if a relation is broken, the counts are left out."""
