"""Slab caches: their objects, slabs and bytes, on the machine and on each node."""

from collections.abc import Mapping
from math import inf
from typing import Literal, NamedTuple

Presence = Literal["known", "absent", "hidden", "unknown"]
"""Whether a kernel has the cache of an object.

`known`: a file shows the cache.
`absent`: the kernel does not have the cache.
`hidden`: the kernel has the cache, but merged with another cache, and no file shows which caches are merged.
`unknown`: the files do not show whether the kernel has the cache.
"""


class NodeCount(NamedTuple):
    """A cache's objects and slabs on one NUMA node."""

    objects: int | None
    slabs: int | None
    bytes: int | None
    objects_per_s: float | None
    """Change per second of all objects, free objects included."""


MAX_ALIASES = 32
"""Maximum number of names in `CacheLine.aliases`; a real kernel merges about ten caches at most."""


class CacheLine(NamedTuple):
    """A row of /proc/slabinfo, or a cache of the catalogue without a row under its own name.

    slabinfo counts the objects of such a cache in the row of another cache.

    All counts of a line, and the bytes computed from them, come from one read: of slabinfo or, if slabinfo is not
    readable or too old, of the files `total_objects` and `slabs` in /sys/kernel/slab. The exception is `nodes`, whose
    counts come from one read of these two files.
    """

    name: str
    row: str | None
    """Name of the slabinfo row that counts the cache's objects; None if the cache is merged and slabinfo is not
    readable.
    """
    aliases: tuple[str, ...]
    """Names of other caches whose objects the row counts: those of the catalogue first, at most MAX_ALIASES.

    `more_aliases` is the number of the other names.
    """
    objects_of: tuple[str, ...]
    """Structs of the catalogue whose objects the row counts."""
    in_catalogue: bool
    shared: bool
    """Whether the row also counts objects that TCP does not use."""
    object_bytes: int | None
    """Step from one object to the next in a slab: slabinfo's objsize."""
    object_size_bytes: int | None
    """Size of the struct alone, without padding."""
    objects_per_slab: int | None
    pages_per_slab: int | None
    order: int | None
    slab_share_bytes: float | None
    """An object's share of a full slab: page size × pages per slab ÷ objects per slab."""
    active_objects: int | None
    """Active objects, from slabinfo; never above `objects`. None if the other counts come from sysfs."""
    use: float | None
    """Active objects ÷ all objects, 0 to 1; None if `active_objects` is None."""
    objects: int | None
    """All objects, free objects included."""
    slabs: int | None
    bytes: int | None
    """Size of all slabs of the cache, corrected for order fallback.

    None if unknown, or if the slabs are counted in the CacheLine of another cache.
    """
    active_per_s: float | None
    """Change per second of active objects."""
    nodes: Mapping[int, NodeCount] | None
    """Counts of each node, from sysfs. Sysfs is read more often than slabinfo, so the sum may differ from `objects`."""
    max_in_use: int | None = None
    """Upper bound on the number of objects in use: active objects from slabinfo, or all objects from sysfs.

    The bound and `bytes` come from the same reading.
    """
    computed: bool = False
    """Whether sizes were computed by SLUB's rules, because no file shows them."""
    idle_error_objects: int | None = None
    """Upper bound on the number of free objects that the kernel caches per CPU.

    slabinfo counts these free objects as active.
    """
    tcp_bytes: int | None = None
    """TCP's part of `bytes`; None if unknown.

    If only TCP uses the cache, TCP's part is all of `bytes`. If other parts of the kernel use the cache too, TCP's
    part is the share of the objects that TCP sockets hold.
    """
    more_aliases: int = 0
    """Number of further caches whose objects the row counts; their names are not in `aliases`."""
    tcp_nodes: Mapping[int, NodeCount] | None = None
    """Counts of the cache whose objects are spread over the nodes as TCP's part is; None for the cache itself."""

    @property
    def present_share_bytes(self) -> float | None:
        """An object's share of the slabs that the cache has now; None if unknown.

        After order fallback the share is larger than `slab_share_bytes`. If the cache has no objects, the share is
        `slab_share_bytes`.
        """
        return self.bytes / self.objects if self.bytes is not None and self.objects else self.slab_share_bytes

    @property
    def fallback(self) -> float:
        """An object's share of the present slabs ÷ the object's share of a full slab; above 1 after order fallback."""
        present = self.present_share_bytes
        return present / self.slab_share_bytes if present is not None and self.slab_share_bytes else 1.0

    def share_on(self, node: int) -> float | None:
        """Objects of the cache on one node ÷ objects of the cache on all nodes, 0 to 1; None if unknown."""
        return _share_on(node, self.nodes)

    def tcp_bytes_on(self, node: int) -> float | None:
        """TCP's bytes on one node, at most the cache's; None if unknown.

        `tcp_bytes` is split among the nodes as the objects of `tcp_nodes` are, or as the cache's own.
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


def _share_on(node: int, nodes: Mapping[int, NodeCount] | None) -> float | None:
    counts = {} if nodes is None else {number: count.objects for number, count in nodes.items()}
    on_all = sum(filter(None, counts.values()))
    objects = counts.get(node, 0)
    return objects / on_all if objects is not None and on_all else None


class UnseenObject(NamedTuple):
    """An object of the catalogue whose cache does not appear in any file.

    `reason` says why the cache does not appear; the text is a clause, not a whole sentence.
    """

    presence: Presence
    reason: str
