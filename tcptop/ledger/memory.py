"""The memory of slabs, TCP, zones and NUMA nodes, and the number of further sockets that fit into the memory.

The figures are computed in accounting/slab_memory.py, tcp_memory.py, free_memory.py and headroom.py.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount
from tcptop.ledger.connection_cost import AccountingMode


class NodeHeadroom(NamedTuple):
    """The number of further sockets that fit into the memory of one NUMA node.

    A node's memory is no limit: when a node is full, its CPUs use the memory of other nodes.
    """

    without_reclaim: int
    with_reclaim: int | None
    local: int | None
    """Number of new sockets on the whole machine after which this node has no spare page left; None if unknown.

    The new sockets are assumed to spread over the nodes in the same proportions as the present sockets.
    """


class UsableMemory(NamedTuple):
    """The memory that slabs can use, if other zones have memory, or if CMA has free memory or there are huge pages."""

    left_out: tuple[str, ...]
    """Names of the zones that slabs cannot use, such as `Movable`."""
    bytes: int | None
    """Memory that the kernel manages in the zones that slabs can use, including memory that is not initialised yet;
    None if unknown."""
    available_bytes: int | None
    """The part of `bytes` that further slabs can take, with reclaim; None if unknown."""
    error_bytes: int | None
    """`available_bytes` may be too high by so many bytes; None if unknown."""
    unknown_because: str
    """The reason why the amounts are unknown; may be empty."""
    free_cma_bytes: int = 0
    """Free memory of CMA that the amounts leave out, because slabs cannot use it."""
    huge_page_bytes: int = 0
    """Memory in pools of huge pages that the amounts leave out, because slabs cannot use it."""
    is_at_most: bool = False
    """True if `bytes` is an upper bound: without zoneinfo, all memory but that of zone HighMem."""


class Headroom(NamedTuple):
    """The number of further sockets that fit into the machine's memory, in one accounting mode."""

    mode: AccountingMode
    with_reclaim: int | None
    """Number of sockets that fit if the kernel reclaims page cache and other reclaimable memory; None if unknown."""
    without_reclaim_low: int | None
    """Number of sockets that fit into the free memory above the low watermarks, if most slabs have the smallest
    order."""
    without_reclaim_high: int | None
    """Number of sockets that fit into the free memory above the low watermarks, if all slabs have the preferred
    order. If `late_bytes` is unknown, all present memory that no zone manages counts as free."""
    bytes_per_socket: float | None
    late_bytes: int | None
    """Free memory that the kernel has not initialised yet and that no zone counts; None if unknown."""
    nodes: Mapping[int, NodeHeadroom]
    reclaims_node_first: bool | None
    """True if vm.zone_reclaim_mode lets an allocation reclaim memory of its own node before it tries other nodes.

    None if unknown.
    """
    unknown_because: str | None
    is_at_most: bool
    """True if all numbers of sockets in this tuple are upper bounds.

    They are upper bounds if the size of an object is unknown, if the buffers are unknown or may be larger than
    `buffer_bytes`, or if a zone's protection is not certain.
    """
    with_reclaim_bytes: int | None = None
    """Bytes of memory that `with_reclaim` was computed from; None if unknown."""
    buffer_bytes: float | None = 0.0
    """Estimated memory of a present socket's buffers; `bytes_per_socket` includes this memory. None if the memory is
    unknown; `bytes_per_socket` then does not include buffers.

    The charge for the buffers, which tcp_mem limits, may be larger: see `ConnectionCost.buffer_bytes_per_socket`.
    """
    high_buffer_bytes: float | None = 0.0
    """Upper bound on the memory of a present socket's buffers, at least `buffer_bytes`; None if unknown."""
    with_reclaim_low: int | None = None
    """`with_reclaim` with buffers of `high_buffer_bytes`; None if another part of a socket or of memory is unknown."""
    bytes_are_at_least: bool = False
    """True if `bytes_per_socket` is a lower bound.

    It is one if the size of an object is unknown, or if the buffers are unknown or may be larger than `buffer_bytes`.
    """

    usable: UsableMemory | None = None
    """The memory of the zones that slabs can use; None if slabs can use all memory of the machine."""

    @property
    def sockets(self) -> int | None:
        """The number of sockets that is shown as the headroom: `with_reclaim`; None if unknown."""
        return self.with_reclaim

    @property
    def has_low_end(self) -> bool:
        """True if `sockets` is exact, or if a lower bound above 0 on it is known.

        Otherwise memory may be the first limit, so that what fits below another limit is only an upper bound.
        """
        return self.sockets is not None and (not self.is_at_most or bool(self.with_reclaim_low))

    def least_sockets(self, sockets: int) -> int | None:
        """The lower bound on a number of sockets that fit, as `with_reclaim_low` of `with_reclaim`; None if unknown.

        It is None as well if the numbers of sockets are exact.
        """
        each, low, high = self.bytes_per_socket, self.buffer_bytes, self.high_buffer_bytes
        if not self.is_at_most or self.with_reclaim_low is None or each is None or low is None or high is None:
            return None
        return int(sockets * each / (each - low + high))

    def counts_buffers(self, limit_name: str) -> bool:
        """True if the number of sockets that fit below a limit counts the average buffers of the present sockets.

        That of tcp_mem always does. The other limits are compared with memory, and count what memory counts.
        """
        return self.mode == "full" and (limit_name == "tcp_mem" or bool(self.high_buffer_bytes))


class SlabMemory(NamedTuple):
    """The machine's slab memory by owner: own + share + rest + unexplained = `total_bytes`. None if unknown."""

    total_bytes: int | None
    """The bytes of the field Slab in /proc/meminfo."""
    own_bytes: int | None
    """Bytes of all slabs of the caches that only TCP uses."""
    idle_bytes: int | None
    """Sum of the slab shares of all free objects in the caches of socks, mini-sockets and request socks."""
    idle_error_bytes: int | None
    """Upper bound on the bytes of those free objects that `idle_bytes` does not include.

    Each CPU caches some free objects. Cached free objects count as active in slabinfo, so `idle_bytes` leaves them out.
    """
    share_bytes: int | None
    """TCP's share of the caches that TCP and other parts of the kernel use."""
    share_low_bytes: int | None
    share_high_bytes: int | None
    rest_bytes: int | None
    """Size of all slabinfo rows − `own_bytes` − `share_bytes`."""
    unexplained_bytes: int | None
    """The field Slab of /proc/meminfo − the size of all slabinfo rows."""

    @property
    def idle_bounds(self) -> Amount | None:
        """Bounds on the bytes of all free objects; None if unknown.

        If the upper bound on the objects that CPUs cache is unknown, the upper bound is infinite.
        """
        if self.idle_bytes is None:
            return None
        return Amount(
            self.idle_bytes, inf if self.idle_error_bytes is None else self.idle_bytes + self.idle_error_bytes
        )


class MemoryPart(NamedTuple):
    """A part of the kernel memory that TCP holds: a whole cache, TCP's share of a cache, or the socket buffers."""

    name: str
    row: str | None
    """Name of the row of slabinfo that counts the part; None for socket buffers."""
    bytes: int
    low_bytes: int
    high_bytes: int
    estimated: bool
    count: int | None = None  # type: ignore[assignment]  # tuple.count gives way
    """Number of objects from which the bytes were computed; None if no number was used."""
    row_max_bytes: int | None = None
    """Upper bound on the bytes of all parts in `row` together; None if it is unknown, or if the part may be in another
    row."""

    @property
    def text(self) -> str:
        """Name of the part, followed by the number of objects if it is known."""
        return self.name if self.count is None else f"{self.name} × {self.count:,}".replace(",", " ")


def most_bytes(parts: Iterable[MemoryPart]) -> int:
    """Upper bound on the bytes of several parts together.

    Parts in the same row of slabinfo share the row's objects, so together they are at most `row_max_bytes`.
    """
    total = 0
    by_row: dict[str, list[MemoryPart]] = {}
    for part in parts:
        if part.row is None or part.row_max_bytes is None:
            total += part.high_bytes
        else:
            by_row.setdefault(part.row, []).append(part)
    for shared in by_row.values():
        row_max = min(part.row_max_bytes or 0 for part in shared)
        likely = sum(part.bytes for part in shared)
        total += min(sum(part.high_bytes for part in shared), max(row_max, likely))
    return total


BUFFERS = "socket buffers"
"""Name of the part of TCP's memory that the socket buffers take."""

SINCE_SLABINFO = "sockets since slabinfo"
"""Name of the part of TCP's memory that the sockets took or gave back after the slabs were counted."""


class TcpMemory(NamedTuple):
    """The kernel memory that TCP holds on the whole machine."""

    bytes: int | None
    """The likely total of the known parts; None if the size of cache TCP or TCPv6 is unknown."""
    low_bytes: int | None
    """Lower bound on the total. Without `bytes`, it is the number of sockets × the size of a sock, or None."""
    high_bytes: int | None
    parts: tuple[MemoryPart, ...]
    missing: tuple[str, ...]
    """Names of the parts whose size is unknown. If parts are missing, only `low_bytes` is certain."""
    counted_at_s: float | None = None
    """Time when the slabs were counted, on the clock of `Snapshot.monotonic_s`; None if unknown.

    Slabs are counted less often than sockets, so a rate of the memory covers the time between two counts of slabs.
    """
    counted_sockets: int | None = None
    """Number of allocated sockets when the slabs were counted; None if unknown."""
    counted_time_wait: int | None = None
    """Number of mini-sockets in TIME_WAIT when the slabs were counted; None if unknown."""

    outdated_because: str | None = None
    """The reason why the total is only an estimate: sockets opened or closed after the slabs were counted. Else None.

    `bytes` and the bounds then belong to the present sockets, as do `counted_at_s` and the numbers of sockets.
    """
    buffers_by_look: bool = False
    """True if a look at the sockets has told which share of the buffers holds data; otherwise the share is a guess."""

    @property
    def is_complete(self) -> bool:
        """True if no part is missing, and the slabs were counted beside the present sockets."""
        return not self.missing and self.outdated_because is None

    @property
    def shown_bytes(self) -> int | None:
        """The number that the screen shows and draws: the likely total or, if parts are missing, its lower bound.

        None if both are unknown.
        """
        return self.low_bytes if self.missing else self.bytes

    @property
    def shown_buffer_bytes(self) -> int:
        """The part of `shown_bytes` that is buffers; 0 if it has none."""
        buffers = next((part for part in self.parts if part.name == BUFFERS), None)
        return 0 if buffers is None else buffers.low_bytes if self.missing else buffers.bytes


class ZoneMemory(NamedTuple):
    """The free memory of one zone, and how many slabs of sockets and mini-sockets fit into the free memory."""

    zone: str
    managed_pages: int | None
    free_pages: int | None
    min_pages: int | None
    low_pages: int | None
    high_pages: int | None
    free_area: tuple[int, ...] | None
    migrate_types: Mapping[str, tuple[int, ...]] | None
    capped: Mapping[str, tuple[int, ...]] | None
    """For each migrate type, the orders for which the kernel did not count all free blocks
    (`TypedFreeArea.capped_orders`). None if the types are unknown."""
    pageblocks: Mapping[str, int] | None
    unusable_index: tuple[float, ...] | None
    tcp_slabs_free: int | None
    tcp_slabs_free_without_stealing: int | None
    mini_socket_slabs_free: int | None

    @property
    def listed_pages(self) -> int | None:
        """Pages in the blocks of `free_area`; if the blocks are unknown, `free_pages`."""
        if self.free_area is None:
            return self.free_pages
        return sum(count << order for order, count in enumerate(self.free_area))


class NodeMemory(NamedTuple):
    """One NUMA node."""

    node: int
    cpus: int | None
    cpu_list: str | None
    memory_bytes: int | None
    free_bytes: int | None
    """Free memory of the node's zones or, if no zone is known, MemFree of the node; None if unknown."""
    distances: Mapping[int, int] | None
    """Maps the number of each online node to the distance that the firmware gives; the distance to the node itself is
    10."""
    zones: tuple[ZoneMemory, ...]

    @property
    def free_pages(self) -> int | None:
        """Free pages in all zones of the node; None if unknown for any zone."""
        return _sum_of_known([zone.free_pages for zone in self.zones])

    @property
    def low_watermark(self) -> Literal["min", "low"] | None:
        """The lowest watermark that the free pages of the node's highest zone for slabs are below; None if no one.

        The lower zones keep most of their free pages in reserve for allocations that cannot use the highest one.
        """
        zones = {zone.zone: zone for zone in self.zones if zone.managed_pages}
        highest = next((zones[name] for name in ("Normal", "DMA32", "DMA") if name in zones), None)
        if highest is None or highest.free_pages is None:
            return None
        if highest.min_pages is not None and highest.free_pages < highest.min_pages:
            return "min"
        return "low" if highest.low_pages is not None and highest.free_pages < highest.low_pages else None

    @property
    def tcp_slabs_free(self) -> int | None:
        """Number of slabs of the TCP cache that fit into the node's free blocks; None if any zone's number is unknown.

        Only blocks of a migrate type that slabs can use are counted as room for slabs.
        """
        return _sum_of_known([zone.tcp_slabs_free for zone in self.zones])

    def slabs_free(self, mode: AccountingMode) -> int | None:
        """`tcp_slabs_free` in full accounting; in TIME_WAIT accounting, the same figure for slabs of mini-sockets."""
        if mode == "full":
            return self.tcp_slabs_free
        return _sum_of_known([zone.mini_socket_slabs_free for zone in self.zones])


def _sum_of_known(amounts: list[int | None]) -> int | None:
    """The sum of the amounts; None if any amount is unknown, or if there are no amounts."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known and len(known) == len(amounts) else None
