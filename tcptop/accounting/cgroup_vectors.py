"""The vectors of memory cgroups."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.accounting.lab_result import measured_has_vectors
from tcptop.accounting.slab_caches import CacheTable
from tcptop.kernel.objects import CGROUP_VECTORS, OBJECT_OF_CACHE
from tcptop.kernel.release import release_numbers
from tcptop.ledger import CacheLine, ObjectCost
from tcptop.snapshot import Snapshot

VECTOR_ENTRY_BYTES = 8
"""Of an object: a pointer to its obj_cgroup (mm/slub.c, alloc_slab_obj_exts), where BTF does not tell."""


VECTORS_IN_LEFT_OVER_SPACE = (7, 0)
"""Since then a vector may lie in what a slab has left over, and takes nothing more."""


def cgroup_vector_costs(
    snapshot: Snapshot, table: CacheTable, parts: Sequence[ObjectCost]
) -> tuple[list[ObjectCost], bool]:
    """The vectors of memory cgroups for those parts that lie in accounted slabs: one for each slab, of a kmalloc cache.

    Nothing where no memory cgroup is charged; from nothing to all of them where that is not known. The second is
    whether these are all: False where the kmalloc cache of some is not known.
    """
    charged = has_vectors(snapshot)
    if charged is False:
        return [], True
    found: dict[str, ObjectCost] = {}
    all_known = True
    for part in parts:
        line = table.get(part.cache)
        if line is None or not line.objects_per_slab or not _is_accounted(table, part):
            continue
        row = vector_cache(snapshot, table, line)
        if row is None or row.object_bytes is None or row.slab_share_bytes is None:
            all_known = False
            continue
        vectors = part.count / line.objects_per_slab
        old = found.get(row.name) or _no_vectors(row)
        high = (old.high_slab_bytes or 0.0) + vectors * row.slab_share_bytes
        found[row.name] = old._replace(
            count=old.count + vectors,
            object_bytes=old.object_bytes + vectors * row.object_bytes,
            slab_bytes=high,
            high_slab_bytes=high,
        )
    return [_rounded(part, sure=bool(charged)) for part in found.values()], all_known


def vector_cache(snapshot: Snapshot, table: CacheTable, line: CacheLine) -> CacheLine | None:
    """The kmalloc cache that holds the vectors of a cache's slabs."""
    layout = snapshot.btf.value.structs.get(CGROUP_VECTORS.btf_struct or "") if snapshot.btf.value else None
    entry_bytes = layout.size_bytes if layout else VECTOR_ENTRY_BYTES
    return table.kmalloc_cache(line.objects_per_slab * entry_bytes) if line.objects_per_slab else None


def has_vectors(snapshot: Snapshot) -> bool | None:
    """Whether accounted slabs carry a vector; None where that is not known."""
    sysctls = snapshot.sysctls.value
    release = release_numbers(sysctls.kernel_release) if sysctls else None
    if release is not None and CGROUP_VECTORS.since is not None and release < CGROUP_VECTORS.since:
        return False
    cgroups = snapshot.memory_cgroups.value
    if cgroups is None or (cgroups.charged and (release is None or release >= VECTORS_IN_LEFT_OVER_SPACE)):
        return measured_has_vectors(snapshot)
    return cgroups.charged


def _is_accounted(table: CacheTable, part: ObjectCost) -> bool:
    """By the group that the cache is merged into, which tells; else by the catalogue."""
    kernel_object = OBJECT_OF_CACHE.get(part.cache)
    seen = table.is_accounted(part.cache)
    return kernel_object is not None and (kernel_object.accounted if seen is None else seen)


def _no_vectors(row: CacheLine) -> ObjectCost:
    return ObjectCost(
        CGROUP_VECTORS.struct, CGROUP_VECTORS.label, row.name, 0.0, 0.0, 0.0, 0.0, estimated=True, computed=row.computed
    )


def _rounded(part: ObjectCost, sure: bool) -> ObjectCost:
    """Vectors as they are shown; of those that may not be there, the least is nothing."""
    return part._replace(
        count=round(part.count, 4),
        object_bytes=round(part.object_bytes, 2) if sure else 0.0,
        slab_bytes=round(part.slab_bytes or 0.0, 2) if sure else 0.0,
        high_slab_bytes=round(part.high_slab_bytes or 0.0, 2),
    )
