"""Slab caches: their objects, slabs and bytes, on the machine and on each node.

The figures are computed in accounting/cache_table.py and accounting/cache_lines.py.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount

Presence = Literal["known", "absent", "hidden", "unknown"]
"""Tells if a kernel has the cache of an object.

`known`: a file shows the cache. `absent`: the kernel does not have the cache. `hidden`: the kernel has merged the cache
with another cache, whose name no file shows. `unknown`: the files do not show whether the kernel has the cache.
"""


class NodeCount(NamedTuple):
    """Number of a cache's objects and slabs on one NUMA node."""

    objects: int | None
    slabs: int | None
    bytes: int | None
    objects_per_s: float | None
    """Change of the number of objects per second, free objects included."""


MAX_ALIASES = 32
"""Maximum number of names in `CacheLine.aliases`; real kernels merge about ten caches at most."""


class CacheLine(NamedTuple):
    """A row of /proc/slabinfo, or a cache of the catalogue that has no row with its own name.

    If a cache has no row of its own, slabinfo counts the cache's objects in the row of another cache.

    All counts of a line, and the bytes computed from them, come from one read of slabinfo. If slabinfo is not readable
    or too old, all counts of a line come from one read of `total_objects` and `slabs` in /sys/kernel/slab. The counts
    in `nodes` are an exception: they always come from one read of `total_objects` and `slabs`.
    """

    name: str
    row: str | None
    """Name of the slabinfo row that counts the cache's objects; None if the cache is merged and slabinfo is not
    readable.
    """
    aliases: tuple[str, ...]
    """Names of other caches whose objects the row counts, at most MAX_ALIASES; names in the catalogue come first.

    `more_aliases` is the number of names that are left out.
    """
    objects_of: tuple[str, ...]
    """Structs of the catalogue whose objects the row counts."""
    in_catalogue: bool
    shared: bool
    """True if the row also counts objects that TCP does not use."""
    object_bytes: int | None
    """Distance between the starts of two neighbouring objects in a slab: objsize of slabinfo."""
    object_size_bytes: int | None
    """Size of the struct alone, without padding."""
    objects_per_slab: int | None
    pages_per_slab: int | None
    order: int | None
    slab_share_bytes: float | None
    """An object's share of a full slab: page size × pages per slab ÷ objects per slab."""
    active_objects: int | None
    """Number of active objects, from slabinfo; at most `objects`. `active_objects` is None if the counts come from
    sysfs."""
    use: float | None
    """Active objects ÷ all objects, from 0 to 1; None if `active_objects` is None."""
    objects: int | None
    """Number of all objects, free objects included."""
    slabs: int | None
    bytes: int | None
    """Size of all slabs of the cache in bytes, corrected if some slabs have a smaller order than the preferred order.

    The size is None if it is unknown, or if another CacheLine counts the slabs.
    """
    active_per_s: float | None
    """Change of the number of active objects per second."""
    nodes: Mapping[int, NodeCount] | None
    """Counts on each node, from sysfs. Sysfs is read more often than slabinfo, so the sum over the nodes may differ
    from `objects`. The counts are None if `in_child_caches` is True."""
    max_in_use: int | None = None
    """Upper bound on the number of objects in use: active objects from slabinfo, or all objects from sysfs.

    The upper bound and `bytes` come from the same reading.
    """
    computed: bool = False
    """True if SLUB's rules were used to compute sizes that no file shows."""
    idle_error_objects: int | None = None
    """Upper bound on the number of free objects that the CPUs have cached; slabinfo counts these objects as active."""
    tcp_bytes: int | None = None
    """TCP's part of `bytes`; None if it is unknown.

    If only TCP uses the cache, TCP's part is equal to `bytes`. If the cache has other users too, TCP's part is computed
    from the number of objects that TCP sockets hold.
    """
    tcp_bounds: Amount | None = None
    """Bounds on `tcp_bytes`; None if `tcp_bytes` is None."""
    more_aliases: int = 0
    """Number of the row's cache names that `aliases` leaves out."""
    tcp_nodes: Mapping[int, NodeCount] | None = None
    """Counts on each node for the cache of the sockets' inodes.

    TCP's objects in the cache lie on the same nodes as the inodes. If this field is None, TCP's part is assumed to
    spread over the nodes like all objects of the cache.
    """

    in_child_caches: bool = False
    """True if some of the objects may be in child caches of memory cgroups, which kernels before 5.9 have.

    Slabinfo counts the objects of child caches, but no file shows on which nodes these objects are.
    """

    @property
    def present_share_bytes(self) -> float | None:
        """An object's share of the present slabs of the cache; None if unknown.

        After a fallback to a smaller order, an object's share of its slab is larger than `slab_share_bytes`. If the
        cache has no objects, an object's share of its slab is `slab_share_bytes`.
        """
        return self.bytes / self.objects if self.bytes is not None and self.objects else self.slab_share_bytes

    def share_on(self, node: int) -> float | None:
        """Share of the cache's objects that are on one node, from 0 to 1; None if unknown."""
        return _share_on(node, self.nodes)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's bytes on one node, at most the bytes of the cache on this node; None if unknown.

        `tcp_bytes` is divided among the nodes in proportion to the objects in `tcp_nodes`. If `tcp_nodes` is None, the
        cache's own objects give the proportion.
        """
        if self.tcp_bytes is None:
            return None
        if not self.objects:
            return 0.0
        own = self.share_on(node)
        share = own if self.tcp_nodes is None or own is None else _share_on(node, self.tcp_nodes)
        if share is None or own is None:
            return None
        return min(self.tcp_bytes * share, (self.bytes or inf) * own)


def fallback_factor(cache: str, line_of: Callable[[str | None], CacheLine | None]) -> float:
    """For a cache's row: an object's share of its present slab ÷ its share of a full slab of the preferred order.

    The factor is above 1 if the kernel has fallen back to slabs of a smaller order. `line_of` returns the cache with a
    given name, or None.
    """
    line = line_of(cache)
    row = line_of(line.row) if line is not None else None
    if row is None or row.present_share_bytes is None or not row.slab_share_bytes:
        return 1.0
    factor = row.present_share_bytes / row.slab_share_bytes
    return factor if factor > 1.0 + 1e-9 else 1.0


def _share_on(node: int, nodes: Mapping[int, NodeCount] | None) -> float | None:
    counts = {} if nodes is None else {number: count.objects for number, count in nodes.items()}
    on_all = sum(filter(None, counts.values()))
    objects = counts.get(node, 0)
    return objects / on_all if objects is not None and on_all else None


class UnseenObject(NamedTuple):
    """An object of the catalogue whose cache does not appear in any file.

    `reason` is a clause that says why the cache does not appear.
    """

    presence: Presence
    reason: str
