"""Lines of the table of slab caches: the CacheLine of a slabinfo row, and changes of a CacheLine."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from tcptop.accounting.merged_names import MergedNames, aliases_of
from tcptop.accounting.slab_bytes import known_slab_bytes, slab_share_bytes
from tcptop.accounting.slabinfo_rows import unique_rows
from tcptop.kernel.objects import OBJECT_OF_CACHE
from tcptop.ledger import CacheLine
from tcptop.rates import per_second
from tcptop.recall import RecallRows, Same
from tcptop.snapshot import Doubt, Slabinfo, SlabRow


@RecallRows  # most rows do not change from one slabinfo to the next
def _lines_of_rows(
    row: SlabRow,
    active_per_s: float | None,
    merged: Same[MergedNames],
    object_sizes: Same[Mapping[str, int]],
    page_bytes: int | None,
) -> CacheLine:
    """The CacheLine of a slabinfo row, without counts from sysfs."""
    names = merged.value.names_sharing(row.name)
    objects_of = [OBJECT_OF_CACHE[name] for name in names if name in OBJECT_OF_CACHE]
    return CacheLine(
        name=row.name,
        row=row.name,
        aliases=aliases_of(row.name, names),
        more_aliases=merged.value.more_aliases(row.name),
        objects_of=tuple(dict.fromkeys(item.struct for item in objects_of)),
        in_catalogue=bool(objects_of),
        shared=len(names) > 1 or not all(item.tcp_only for item in objects_of) or not objects_of,
        object_bytes=row.object_bytes,
        object_size_bytes=object_sizes.value.get(row.name) if len(names) == 1 else None,
        objects_per_slab=row.objects_per_slab,
        pages_per_slab=row.pages_per_slab,
        order=max(0, row.pages_per_slab - 1).bit_length(),
        slab_share_bytes=slab_share_bytes(row.pages_per_slab, row.objects_per_slab, page_bytes),
        active_objects=row.active_objects,
        use=row.active_objects / row.objects if row.objects else None,
        objects=row.objects,
        slabs=row.slabs,
        bytes=known_slab_bytes(
            row.objects, row.slabs, row.object_bytes, row.objects_per_slab, row.pages_per_slab, page_bytes
        ),
        active_per_s=active_per_s,
        nodes=None,
        max_in_use=row.active_objects,
        idle_error_objects=None,
    )


@lru_cache(2)  # slabinfo is read less often than other files
def lines_of_slabinfo(
    slabinfo: Same[Slabinfo],
    names: Same[MergedNames],
    object_sizes: Same[Mapping[str, int]],
    previous: Same[Slabinfo | None],
    elapsed_s: float,
    page_bytes: int | None,
) -> tuple[CacheLine, ...]:
    """The CacheLines of the rows of slabinfo, without counts from sysfs.

    `object_sizes` maps the name of a cache to the size of its struct in bytes. `previous` is the slabinfo that was
    read `elapsed_s` seconds before.
    """
    active_before = {row.name: row.active_objects for row in reversed(previous.value.rows if previous.value else ())}
    rows = [
        (row, per_second(active_before.get(row.name), elapsed_s, row.active_objects))
        for row in unique_rows(slabinfo.value.rows)
    ]
    return tuple(_lines_of_rows(rows, names, object_sizes, page_bytes))


def without_doubted(line: CacheLine, doubts: frozenset[Doubt]) -> CacheLine:
    """A copy of the line in which doubtful numbers, and all figures computed from doubtful numbers, are None."""
    if "size" in doubts:
        line = line._replace(
            object_bytes=None, objects_per_slab=None, pages_per_slab=None, order=None, slab_share_bytes=None
        )
    if "counts" in doubts:
        line = line._replace(
            active_objects=None, use=None, objects=None, slabs=None, active_per_s=None, max_in_use=None
        )
    return line._replace(bytes=None)


def line_of_namespaces(name: str, lines: Sequence[CacheLine]) -> CacheLine:
    """One line for a cache that exists once in each network namespace.

    Each namespace has its own row in slabinfo, and the sizes in all these rows are the same.
    """
    return lines[0]._replace(
        name=name,
        row=lines[0].row if len(lines) == 1 else None,
        objects_of=(OBJECT_OF_CACHE[name].struct,),
        in_catalogue=True,
        active_objects=None,
        use=None,
        objects=None,
        slabs=None,
        bytes=None,
        active_per_s=None,
        max_in_use=None,
    )


EMPTY_CACHE_LINE = CacheLine(
    name="",
    row=None,
    aliases=(),
    objects_of=(),
    in_catalogue=False,
    shared=True,
    object_bytes=None,
    object_size_bytes=None,
    objects_per_slab=None,
    pages_per_slab=None,
    order=None,
    slab_share_bytes=None,
    active_objects=None,
    use=None,
    objects=None,
    slabs=None,
    bytes=None,
    active_per_s=None,
    nodes=None,
)
