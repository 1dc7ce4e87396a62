"""Rows of slabinfo: one row for each catalogued cache, and the free objects that a row counts as active."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from tcptop.accounting.machine import may_be_newer, node_count, release_of
from tcptop.accounting.slub_layout import max_idle_objects
from tcptop.kernel.objects import OBJECT_OF_CACHE
from tcptop.recall import Same
from tcptop.snapshot import Slabinfo, SlabRow, Snapshot

PARTIAL_SLABS_SINCE = (5, 16)
"""First kernel release that limits a CPU's partial list by the number of slabs on the list.

Older releases limit the partial list by the number of free objects.
"""

SHEAVES_SINCE = (7, 0)
"""First kernel release in which most caches have sheaves (arrays of free objects, one for each CPU).

Sheaves hold more free objects than partial slabs hold.
"""

MEMCG_CHILDREN_SINCE = (3, 8)
"""First kernel release with a child cache for each memory cgroup."""

MEMCG_CHILDREN_UNTIL = (5, 9)
"""First kernel release without a child cache for each memory cgroup.

Slabinfo counts the objects of a child cache in the row of the parent cache, but sysfs does not.
"""

MISSED_SHARE = 64
"""If sysfs shows all objects of a row but 1/MISSED_SHARE, the row has no objects of child caches: the difference may
come from sockets that were closed between the reads of slabinfo and sysfs."""


@lru_cache(2)
def row_names(slabinfo: Same[Slabinfo]) -> tuple[str, ...]:
    """The names of all rows, which stay the same as long as no cache is created or destroyed."""
    return tuple([row.name for row in slabinfo.value.rows])


@lru_cache(8)  # for each pattern, the names of two samples
def names_matching(pattern: str, names: tuple[str, ...]) -> frozenset[str]:
    """The names that match a pattern of the catalogue (`name_in_namespace`)."""
    return frozenset(filter(re.compile(pattern).fullmatch, names))


@lru_cache(2)
def has_tunables(rows: Same[tuple[SlabRow, ...]]) -> bool:
    """True if a row has tunables, which only the SLAB allocator sets."""
    return any(row.tunables_limit for row in rows.value)


@lru_cache(2)
def pages_of_rows(rows: Same[tuple[SlabRow, ...]]) -> int:
    """The pages of all slabs, if each has the preferred order."""
    return sum([row.slabs * row.pages_per_slab for row in rows.value])


def may_have_child_caches(snapshot: Snapshot) -> bool:
    """True if caches may have child caches for memory cgroups, whose objects sysfs leaves out."""
    release, cgroups = release_of(snapshot), snapshot.memory_cgroups.value
    if release is not None and not MEMCG_CHILDREN_SINCE <= release < MEMCG_CHILDREN_UNTIL:
        return False
    return cgroups is None or cgroups.charged


def are_in_child_caches(row_objects: int | None, sysfs_objects: int | None) -> bool:
    """True if some of a row's objects may be in child caches, because sysfs does not show as many objects."""
    return row_objects is None or sysfs_objects is None or sysfs_objects < row_objects - row_objects // MISSED_SHARE


def unique_rows(rows: Iterable[SlabRow]) -> tuple[SlabRow, ...]:
    """The rows of slabinfo, with only one row for each catalogued cache.

    If a catalogued cache has several rows, the row with the most slabs is kept.

    The kernel prints slabinfo in parts; if the list of caches changes between two parts, a row may be printed twice.
    All rows of caches outside the catalogue are kept, because two different caches outside the catalogue may have the
    same name.
    """
    return _unique_rows(Same(rows if isinstance(rows, tuple) else tuple(rows)))


@lru_cache(2)  # all figures of a sample are computed from the same rows
def _unique_rows(same: Same[tuple[SlabRow, ...]]) -> tuple[SlabRow, ...]:
    rows = same.value
    catalogued = [row.name for row in rows if row.name in OBJECT_OF_CACHE]
    if len(catalogued) == len(set(catalogued)):
        return rows
    largest: dict[str, SlabRow] = {}
    for row in rows:
        if row.name in OBJECT_OF_CACHE and row.slabs >= largest.get(row.name, row).slabs:
            largest[row.name] = row
    unique: list[SlabRow] = []
    for row in rows:
        if row.name not in OBJECT_OF_CACHE:
            unique.append(row)
        elif row.name in largest:
            unique.append(largest.pop(row.name))
    return tuple(unique)


def rows_named(rows: tuple[SlabRow, ...], names: Iterable[str]) -> list[SlabRow]:
    """The rows with one of these names, in the order of the file."""
    places = _places_by_name(Same(rows))
    return [rows[place] for place in sorted({place for name in names for place in places.get(name, ())})]


@lru_cache(4)  # a search through thousands of rows for each figure would take long
def _places_by_name(rows: Same[tuple[SlabRow, ...]]) -> Mapping[str, Sequence[int]]:
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows.value):
        places.setdefault(row.name, []).append(place)
    return places


def idle_error_objects(snapshot: Snapshot, row: SlabRow, names: Iterable[str]) -> int | None:
    """Upper bound on the free objects that CPUs cache and that a row of slabinfo therefore counts as active.

    `names` are the caches that the row counts. The bound is None in these cases: the kernel has the SLAB allocator, the
    number of CPUs is unknown, or the kernel may have sheaves of unknown capacity or on an unknown number of nodes.
    """
    topology, sizes = snapshot.topology.value, snapshot.slab_sizes.value
    release = release_of(snapshot)
    if topology is None or topology.online_cpus is None or row.tunables_limit:
        return None
    known = sizes.caches if sizes else {}
    size = next((known[name] for name in names if name in known), None)
    if (size is None or size.sheaf_capacity is None) and (release or SHEAVES_SINCE) >= SHEAVES_SINCE:
        return None
    nodes = node_count(snapshot)
    if nodes is None and size is not None and size.sheaf_capacity:
        return None
    by_slabs = (release or PARTIAL_SLABS_SINCE) >= PARTIAL_SLABS_SINCE
    bound = max(
        max_idle_objects(
            row.object_bytes,
            row.objects_per_slab,
            topology.online_cpus,
            nodes or 1,
            size.cpu_partial_objects if size else None,
            size.sheaf_capacity if size else None,
            counts_slabs=counts_slabs,
        )
        for counts_slabs in ((False, True) if not by_slabs and may_be_newer(snapshot) else (by_slabs,))
    )
    return min(bound, row.active_objects)
