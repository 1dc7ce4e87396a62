"""Bytes of obj_cgroup vectors: a vector records the memory cgroup of each object of a SLAB_ACCOUNT slab."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.lab_result import measured_has_vectors
from tcptop.accounting.machine import may_be_newer, release_of
from tcptop.kernel.architecture import architecture_of
from tcptop.kernel.objects import CGROUP_VECTORS, OBJECT_OF_CACHE
from tcptop.kernel.release import Release
from tcptop.ledger import CacheLine, ObjectCost
from tcptop.snapshot import Snapshot, Sysctls

VECTOR_ENTRY_WORDS = 1
"""Size of one entry in a vector, in words of the architecture: a pointer to the obj_cgroup of one object
(mm/slub.c, alloc_slab_obj_exts).

If BTF contains struct slabobj_ext, an entry has the size of this struct.
"""

PROFILED_ENTRY_WORDS = 2
"""Size of one vector entry, in words, if the kernel is built with CONFIG_MEM_ALLOC_PROFILING (since 6.10), even if
profiling is off.

With CONFIG_MEM_ALLOC_PROFILING each entry also has a reference to the caller that allocated the object
(include/linux/memcontrol.h, struct slabobj_ext). A kernel built with CONFIG_MEM_ALLOC_PROFILING has the sysctl
vm.mem_profiling.
"""

ENTRY_ALIGNMENT_BYTES = 8
"""Since 6.10, a vector entry is a struct slabobj_ext, which is aligned to 8 bytes on every architecture."""
BACKPORTED_SINCE = (4, 18)
"""The first release of a vendor's kernel that may have the vectors of 5.9."""

ALIGNED_SINCE = (6, 10)

VECTORS_IN_SLAB_END_SINCE = (7, 0)
"""First kernel release that may place a slab's vector in the unused end of the slab.

A vector in the unused end of its slab takes no additional memory.
"""


def cgroup_vector_costs(
    snapshot: Snapshot, table: CacheTable, parts: Sequence[ObjectCost]
) -> tuple[list[ObjectCost], bool]:
    """Costs of the vector entries for the objects in `parts`: one cost for each kmalloc cache that holds vectors.

    A slab of a SLAB_ACCOUNT cache has one vector, and the cost of the vector is divided among the slab's objects. If
    slabs have no vectors, the list of costs is empty. If it is unknown whether slabs have vectors, the lower bound of
    each cost is 0. If the kernel profiles allocations, the slabs of all caches have vectors. The second return value is
    False if the kmalloc cache of some vectors is unknown.
    """
    charged = has_vectors(snapshot, table)
    if charged is False:
        return [], True
    profiles = _profiles(snapshot)
    rows: dict[str, CacheLine] = {}
    vectors: dict[str, float] = {}
    all_known = True
    for part in parts:
        line = table.get(part.cache)
        if line is None or not line.objects_per_slab or not (profiles or is_accounted(table, part)):
            continue
        row = vector_cache(snapshot, table, line.objects_per_slab)
        if row is None or row.object_bytes is None or row.slab_share_bytes is None:
            all_known = False
            continue
        rows[row.name] = row
        vectors[row.name] = vectors.get(row.name, 0.0) + part.count / line.objects_per_slab
    return [_vector_cost(row, vectors[name], bool(charged)) for name, row in rows.items()], all_known


def vector_cache(snapshot: Snapshot, table: CacheTable, objects_per_slab: int) -> CacheLine | None:
    """The kmalloc cache that holds the vectors of slabs with `objects_per_slab` objects; None if unknown."""
    layout = snapshot.btf.value.structs.get(CGROUP_VECTORS.btf_struct or "") if snapshot.btf.value else None
    sysctls = snapshot.sysctls.value
    if layout is None and sysctls is not None and sysctls.mem_profiling_is_unread:
        return None
    entry_bytes = layout.size_bytes if layout else _entry_bytes(release_of(snapshot), sysctls)
    return table.kmalloc_cache(objects_per_slab * entry_bytes)


def _entry_bytes(release: Release | None, sysctls: Sysctls | None) -> int:
    """Size of one vector entry; if the release is unknown, the largest possible size."""
    profiles = sysctls is not None and sysctls.mem_profiling is not None
    words = PROFILED_ENTRY_WORDS if profiles else VECTOR_ENTRY_WORDS
    size_bytes = words * architecture_of(sysctls.architecture if sysctls else None).word_bytes
    is_aligned = release is None or release >= ALIGNED_SINCE
    return max(size_bytes, ENTRY_ALIGNMENT_BYTES) if is_aligned else size_bytes


def has_vectors(snapshot: Snapshot, table: CacheTable) -> bool | None:
    """True if slabs of SLAB_ACCOUNT caches have a vector; None if unknown."""
    release, sysctls = release_of(snapshot), snapshot.sysctls.value
    cgroups = snapshot.memory_cgroups.value
    if release is not None and CGROUP_VECTORS.since is not None and release < CGROUP_VECTORS.since:
        is_backport = release >= BACKPORTED_SINCE and may_be_newer(snapshot)
        return None if is_backport and (cgroups is None or cgroups.charged) else False
    if _profiles(snapshot) and release is not None and release < VECTORS_IN_SLAB_END_SINCE:
        return True
    if cgroups is None or (cgroups.charged and (release is None or release >= VECTORS_IN_SLAB_END_SINCE)):
        return measured_has_vectors(snapshot, table)
    if not cgroups.charged and sysctls is not None and sysctls.mem_profiling_is_unread:
        return measured_has_vectors(snapshot, table)
    return cgroups.charged


def _profiles(snapshot: Snapshot) -> bool:
    """True if the kernel records the caller of each allocation."""
    return bool(snapshot.sysctls.value and snapshot.sysctls.value.mem_profiling)


def is_accounted(table: CacheTable, part: ObjectCost) -> bool:
    """True if the cache of `part` has SLAB_ACCOUNT.

    If the cache is merged with others, the name of the cache's folder in /sys/kernel/slab shows SLAB_ACCOUNT. If the
    cache is not merged, the catalogue of kernel objects says whether the kernel sets SLAB_ACCOUNT.
    """
    kernel_object = OBJECT_OF_CACHE.get(part.cache)
    by_group = table.is_accounted(part.cache)
    return kernel_object is not None and (kernel_object.accounted if by_group is None else by_group)


def _vector_cost(row: CacheLine, vectors: float, certain: bool) -> ObjectCost:
    """The cost of `vectors` vectors in a kmalloc cache; if `certain` is False, the lower bound is 0."""
    high = vectors * (row.slab_share_bytes or 0.0)
    return ObjectCost(
        object=CGROUP_VECTORS.struct,
        label=CGROUP_VECTORS.label,
        cache=row.name,
        count=vectors,
        object_bytes=vectors * (row.object_bytes or 0) if certain else 0.0,
        slab_bytes=high if certain else 0.0,
        high_slab_bytes=high,
        estimated=True,
        computed=row.computed,
    )
