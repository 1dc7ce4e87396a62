"""Lines of the table of slab caches: the CacheLine of a slabinfo row, and changes of a CacheLine."""

from collections.abc import Sequence
from itertools import islice

from tcptop.accounting.slab_bytes import known_slab_bytes, slab_share_bytes
from tcptop.kernel.objects import OBJECT_OF_CACHE
from tcptop.ledger import MAX_ALIASES, CacheLine
from tcptop.recall import Recall
from tcptop.snapshot import Doubt, SlabRow


def _line_of_slabinfo(
    row: SlabRow,
    names: tuple[str, ...],
    more_aliases: int,
    object_size_bytes: int | None,
    active_per_s: float | None,
    page_bytes: int | None,
) -> CacheLine:
    """The CacheLine of a slabinfo row, without counts from sysfs."""
    objects_of = [OBJECT_OF_CACHE[name] for name in names if name in OBJECT_OF_CACHE]
    return CacheLine(
        name=row.name,
        row=row.name,
        aliases=aliases_of(row.name, names),
        more_aliases=more_aliases,
        objects_of=tuple(dict.fromkeys(item.struct for item in objects_of)),
        in_catalogue=bool(objects_of),
        shared=len(names) > 1 or not all(item.tcp_only for item in objects_of) or not objects_of,
        object_bytes=row.object_bytes,
        object_size_bytes=object_size_bytes,
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


# Results are kept for the next sample, because most rows do not change from one sample to the next.
line_of_slabinfo = Recall(_line_of_slabinfo)


def names_to_show(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of merged caches; a very long list is shortened.

    A shortened list keeps every name that is also in the catalogue, but only some of the other names. Each merged cache
    has a list of all other names, so without a maximum the total length of the lists would grow with the square of the
    number of names.
    """
    if len(names) <= MAX_ALIASES + 1:
        return names
    catalogued = [name for name in names if name in OBJECT_OF_CACHE]
    others = (name for name in names if name not in OBJECT_OF_CACHE)
    return (*catalogued, *islice(others, max(0, MAX_ALIASES + 1 - len(catalogued))))


def aliases_of(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of merged caches without a given name; at most MAX_ALIASES names."""
    return tuple([other for other in names if other != name][:MAX_ALIASES])


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
