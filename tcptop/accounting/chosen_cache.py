"""The attributes of the cache whose page is open, without those that contradict each other or slabinfo.

The same relations are checked as for the caches of the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.accounting.contradictions.audit import find_failures
from tcptop.accounting.contradictions.relation import MAX_MEMORY_BYTES, CachePair, Machine, with_drift
from tcptop.accounting.contradictions.slab_relations import CACHE_COUNT_RELATIONS, CACHE_SIZE_RELATIONS
from tcptop.accounting.slabinfo_rows import are_in_child_caches
from tcptop.ledger import CacheLine
from tcptop.snapshot import CacheAttributes, SlabSize

SIZES = ("object_size", "slab_size", "objs_per_slab", "order")
COUNTS = ("slabs", "total_objects", "partial", "cpu_slabs")


def sound_attributes(
    attributes: CacheAttributes | None, lines: Sequence[CacheLine], page_bytes: int | None
) -> CacheAttributes | None:
    """The attributes without impossible ones; `CacheAttributes.doubt` says why some are left out.

    If a size is impossible, all sizes are left out; if a count is impossible, all counts.
    """
    if attributes is None or not attributes.numbers:
        return attributes
    line = next((each for each in lines if each.name == attributes.cache), None)
    machine = Machine(page_bytes, MAX_MEMORY_BYTES, is_slub=True, drift_pages=0)
    sizes, counts = _size_doubts(attributes, line, machine), _count_doubts(attributes, machine)
    has_child_caches = any(each.in_child_caches for each in lines)
    if has_child_caches and line is not None and are_in_child_caches(line.objects, attributes.numbers.get(COUNTS[1])):
        counts.append("it leaves out the slabs of memory cgroups, which /proc/slabinfo counts")
    if not sizes and not counts:
        return attributes
    doubtful = {*(SIZES if sizes else ()), *(COUNTS if counts else ())}
    return attributes._replace(
        numbers={name: number for name, number in attributes.numbers.items() if name not in doubtful},
        by_node={name: numbers for name, numbers in attributes.by_node.items() if name not in doubtful},
        doubt=f"/sys/kernel/slab/{attributes.cache}: {'; '.join([*sizes[:1], *counts[:1]])}",
    )


def _size_doubts(attributes: CacheAttributes, line: CacheLine | None, machine: Machine) -> list[str]:
    """Sentences about sizes that contradict each other, or the cache's row of slabinfo."""
    size = SlabSize(*(attributes.numbers.get(name) for name in SIZES))
    found = [sentence for *_, sentence in find_failures([size], CACHE_SIZE_RELATIONS, machine)]
    if line is not None and not line.computed:
        pairs = (
            ("slab_size", size.slab_size_bytes, line.object_bytes),
            ("objs_per_slab", size.objects_per_slab, line.objects_per_slab),
            ("order", size.order, line.order),
        )
        found += [
            f"{name} is {number}, and {other} in /proc/slabinfo"
            for name, number, other in pairs
            if number is not None and other is not None and number != other
        ]
    return found


def _count_doubts(attributes: CacheAttributes, machine: Machine) -> list[str]:
    """Sentences about counts that contradict each other, or the sum of their counts on the nodes."""
    numbers, by_node = attributes.numbers, attributes.by_node
    pair = CachePair(
        slabs=numbers.get("slabs"),
        objects=numbers.get("total_objects"),
        slabs_by_node=by_node.get("slabs", {}),
        objects_by_node=by_node.get("total_objects", {}),
        row=None,
        row_slabs_drift=0,
        is_whole=False,
        objects_per_slab=numbers.get("objs_per_slab"),
    )
    found = [sentence for *_, sentence in find_failures([pair], CACHE_COUNT_RELATIONS, machine)]
    for name in ("partial", "cpu_slabs"):
        count, slabs = numbers.get(name), numbers.get("slabs")
        if count is not None and name in by_node and sum(by_node[name].values()) != count:
            found.append(f"{name} is {count}, and another number on the nodes together")
        if count is not None and slabs is not None and count > with_drift(slabs):
            found.append(f"{name} is {count}, and the cache has {slabs} slabs")
    return found
