"""A relation between figures that the kernel guarantees, and the facts of a machine that relations need."""

import re
from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from tcptop.accounting.contradictions.cache_sizes import CacheSizes
from tcptop.snapshot import SlabRow
from tcptop.text.units import grouped

MAX_MEMORY_BYTES = 1 << 52
"""Upper bound on the memory of a machine: no architecture has physical addresses longer than 52 bits."""

DRIFT_SLABS = 64
DRIFT_SOCKETS = 1000
"""Allowance for the slabs or sockets that may be added between the reads of two counts.

If count A is compared with count B, the upper bound on A is B plus a share of B plus this allowance.
"""

ONE_AT_A_TIME = "none: the kernel prints both from one variable, or from two that change together"
SOCKETS_OF_A_LINE = (
    "a thirty-second and 64 sockets: one line prints both counts, each a sum over the CPUs, which takes a moment; a "
    "busy machine with 121 429 sockets showed 3 788 more in use"
)
SOCKETS_LATER = "a quarter and 1 000 sockets, which may open or close between the reads of two counters"


class Machine(NamedTuple):
    """Properties of the machine from which upper bounds are computed."""

    page_bytes: int | None
    memory_bytes: int
    is_slub: bool
    drift_pages: int
    """Upper bound on the error of a counter of pages, in pages."""
    has_nodes: bool = False
    """True if several nodes are online. The kernel then prints counts of each node (CONFIG_NUMA)."""

    @property
    def drift_bytes(self) -> int:
        """Upper bound on the error of a counter of pages, in bytes."""
        return self.drift_pages * (self.page_bytes or 0)


class Facts(NamedTuple):
    """Figures of a Snapshot with which other figures are compared.

    An unknown figure is None or missing from the mapping. A figure that was read too long before or after the compared
    figures counts as unknown.
    """

    machine: Machine
    socks: int | None = None
    """Number of objects in the caches of socks, free objects included; None if the number must not be compared."""
    mini_sockets: int | None = None
    sizes: CacheSizes = CacheSizes()
    managed_pages: Mapping[tuple[int, str], int] = {}
    """Managed pages of each zone, by node and name of the zone."""
    sockets: int | None = None
    """Number of allocated TCP sockets of the machine, from sockstat, after sockstat's own relations have been checked.
    """
    sockets_with_file: int | None = None
    """Lower bound on the number of TCP sockets with a file, minus the error of fs.file-nr; None if unknown."""
    sockets_with_inode: int | None = None
    """Lower bound on the number of TCP sockets with a struct socket_alloc."""
    files: int | None = None
    """Upper bound on fs.file-nr: the objects in the cache of struct file, free objects included, plus the error."""
    flows: int | None = None
    """Number of objects in the caches of tracked flows, free objects included; None if no row of slabinfo shows the
    number."""
    established: int | None = None
    """CurrEstab of the network namespace, from snmp."""
    inuse: int | None = None
    """Number of TCP sockets over IPv4 in the network namespace, from sockstat."""
    protocol_sockets: Mapping[str, int] = {}
    """Number of sockets in the network namespace by protocol, from /proc/net/protocols."""
    protocol_buffers: int | None = None
    """Units of TCP's buffers in /proc/net/protocols."""
    buffer_drift_units: int | None = None
    """Units of buffers that may come or go between two reads, in addition to as many as there are; None if unknown."""
    namespace_sockets: int | None = None
    """Number of TCP sockets of the network namespace. If the number for the namespace is unknown, the number for the
    machine is used.
    """


Item = TypeVar("Item")
Context = TypeVar("Context")


class Relation(Generic[Item, Context]):
    """A relation that every kernel guarantees: a figure is at most its upper bound.

    If the figure or its upper bound is unknown (None), the relation holds.
    """

    def __init__(
        self,
        name: str,
        files: str,
        doubts: tuple[str, ...],
        bounds: Callable[[Item, Context], tuple[int | None, int | None]],
        sentence: str,
        slack: str,
    ) -> None:
        self.name = name
        """Name of the relation: two to six words, unique among all relations."""
        self.files = files
        """The compared files; the source of the first file becomes `strange`."""
        self.doubts = doubts
        """Names of the fields that become unknown. For a row of slabinfo, `doubts` has values of the type `Doubt`.

        If the whole item (a zone, a node or a cache) becomes unknown, `doubts` is empty.
        """
        self.bounds = bounds
        """Function that returns the figure and its upper bound."""
        self.sentence = sentence
        """Sentence for the user: a format string with the fields `figure`, `bound` and `item`.

        In the sentence, the digits of `figure`, `bound` and `{item.slabs:,}` are in groups of three.
        """
        self.slack = slack
        """Text for developers: by how much the figure may exceed the bound on a healthy kernel, and which kernel
        function is the reason."""

    def failure(self, item: Item, context: Context) -> str | None:
        """A sentence about the contradiction if the relation does not hold; otherwise None."""
        figure, bound = self.bounds(item, context)
        if figure is None or bound is None or figure <= bound:
            return None
        sentence = self.sentence.format(item=item, figure=grouped(figure), bound=grouped(bound))
        return re.sub(r"(?<=\d),(?=\d{3})", " ", sentence)


class CachePair(NamedTuple):
    """The counts of a cache in sysfs, and the row of slabinfo for the same cache, read at the same time."""

    slabs: int | None
    objects: int | None
    slabs_by_node: Mapping[int, int]
    objects_by_node: Mapping[int, int]
    row: SlabRow | None
    """The row is None if slabinfo has no row of the cache, or if sysfs and slabinfo were not read at the same time."""
    row_slabs_drift: int
    """Number of slabs that the cache may gain or lose between the reads of the two files."""
    is_whole: bool
    """True if sysfs counts all slabs of the row; before 5.9 sysfs lacks the slabs of memory cgroups."""
    objects_per_slab: int | None
    """Number of objects in a slab of the preferred order, which is the largest number; None if unknown."""


def fitting(size: int | None, pages: int | None, machine: Machine) -> int | None:
    """Number of objects of `size` bytes that fit into `pages` pages (mm/slub.c, order_objects); None if unknown."""
    return machine.page_bytes * pages // size if machine.page_bytes and pages and size else None


def with_drift(slabs: int) -> int:
    """Upper bound on a number of slabs: `slabs` plus the slabs that may be added between the reads of two counts."""
    return slabs + slabs // 8 + DRIFT_SLABS


def with_later_sockets(sockets: int | None) -> int | None:
    """Upper bound on a number of sockets: `sockets` plus an allowance for sockets opened between two reads."""
    return None if sockets is None else sockets + sockets // 4 + DRIFT_SOCKETS


def with_moving_sockets(sockets: int | None) -> int | None:
    """Upper bound on a number of sockets that the same line shows: `sockets` plus an allowance for the kernel's sums.

    The kernel adds up counts of all CPUs. A socket that opens or closes meanwhile may be in one sum only.
    """
    return None if sockets is None else sockets + sockets // 32 + 64


def times(count: int | None, size: int) -> int | None:
    """The product of the factors; None if a factor is unknown."""
    return None if count is None else count * size


def difference(one: int | None, other: int | None) -> int | None:
    """The difference of two figures, as a positive number; None if either is unknown."""
    return None if one is None or other is None else abs(one - other)


def total(*figures: int | None) -> int | None:
    """The sum of the figures; None if any figure is unknown."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None
