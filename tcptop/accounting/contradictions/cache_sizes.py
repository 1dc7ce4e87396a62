"""Sizes of slab caches in sysfs and in /proc/net/protocols, with which slabinfo and each other are compared."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from tcptop.accounting.protocol_sizes import ProtocolSizes, protocol_sizes
from tcptop.accounting.slabinfo_rows import row_names
from tcptop.kernel.objects import SOCKS
from tcptop.recall import Same
from tcptop.snapshot import SlabLinks, SlabSize, SlabSizes, Snapshot


class CacheSizes(NamedTuple):
    """Sizes by the name of a cache; a size that is unknown is missing."""

    struct_bytes: Mapping[str, int] = {}
    """Sizes of the structs in caches that are not merged."""
    step_bytes: Mapping[str, int] = {}
    """Distance from the start of one object to the start of the next, in bytes, by name of the cache or of its row
    (sysfs)."""
    per_slab: Mapping[str, int] = {}
    """Number of objects in a slab of the preferred order, by name of the cache or of its row (sysfs)."""
    orders: Mapping[str, int] = {}
    """Preferred order of a slab, by name of the cache or of its row (sysfs)."""
    protocol_bytes: Mapping[str, int] = {}
    """Sizes of the socks, by name of the protocol, which is also the name of the cache (/proc/net/protocols)."""


def find_sizes(snapshot: Snapshot) -> CacheSizes:
    """The sizes in a Snapshot."""
    return _find_sizes(
        Same(snapshot.slab_sizes.value),
        Same(snapshot.slab_links.value),
        None if snapshot.slabinfo.value is None else row_names(Same(snapshot.slabinfo.value)),
        protocol_sizes(snapshot.protocols.value),
    )


@lru_cache(2)  # these files are read seldom
def _find_sizes(
    sizes: Same[SlabSizes | None],
    links: Same[SlabLinks | None],
    names_of_rows: tuple[str, ...] | None,
    of_protocols: ProtocolSizes,
) -> CacheSizes:
    socks = {name for item in SOCKS for name in item.caches}
    protocol_bytes = {name: size for name, size in of_protocols if name in socks}
    caches = sizes.value.caches if sizes.value else {}
    groups = links.value.names_of.values() if links.value else ()
    merged = {name for names in groups if len(names) > 1 for name in names}
    structs = {
        name: size.object_size_bytes
        for name, size in caches.items()
        if size.object_size_bytes is not None and name not in merged
    }
    rows = _sizes_of_rows(caches, links.value, names_of_rows)
    return CacheSizes(
        struct_bytes=structs | protocol_bytes,
        step_bytes={name: size.slab_size_bytes for name, size in rows.items() if size.slab_size_bytes is not None},
        per_slab={name: size.objects_per_slab for name, size in rows.items() if size.objects_per_slab is not None},
        orders={name: size.order for name, size in rows.items() if size.order is not None},
        protocol_bytes=protocol_bytes,
    )


def _sizes_of_rows(
    caches: Mapping[str, SlabSize], links: SlabLinks | None, names_of_rows: tuple[str, ...] | None
) -> dict[str, SlabSize]:
    """The sizes in sysfs, by the name of a cache, or by the name of the slabinfo row of several merged caches.

    Merged caches have one row and one folder (`:A-0000128`), and the row may have a name that the catalogue lacks. If
    the names of several rows are links to the same folder, a link may remain from a former cache, so the folder is left
    out.
    """
    found = dict(caches)
    if links is None or names_of_rows is None:
        return found
    merged = {folder: size for name, size in found.items() if (folder := links.group_of.get(name, "")).startswith(":")}
    rows_of: dict[str, set[str]] = {}
    for name in names_of_rows:
        if (folder := links.group_of.get(name, "")) in merged:
            rows_of.setdefault(folder, set()).add(name)
    return {name: merged[group] for group, names in rows_of.items() if len(names) == 1 for name in names} | found
