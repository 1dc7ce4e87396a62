"""What changed from one ledger to another, as frozen dataclasses that the reports show. None is unknown, never 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

from tcptop.rates import increase

Bound = Literal["exact", "at least", "at most"]
Unit = Literal["bytes", "count"]


@dataclass(frozen=True, slots=True)
class Change:
    """One figure on both sides."""

    key: str
    """Its name in the JSON, with its unit where that is bytes."""
    name: str
    unit: Unit
    before: float | None
    after: float | None
    before_bound: Bound = "exact"
    after_bound: Bound = "exact"
    note: str = ""
    """Whose figure it is."""

    @property
    def increase(self) -> float | None:
        """What it grew by; None where a side is not known, or only one side is a bound."""
        more = increase(self.before, self.after) if self.before_bound == self.after_bound else None
        return None if more is None else round(more, 2)

    @property
    def changed(self) -> bool:
        """Whether the sides differ, be it that only one of them is known."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class CacheChange:
    """One slabinfo row."""

    name: str
    objects: Change
    active_objects: Change
    slabs: Change
    bytes: Change
    tcp_bytes: Change

    @property
    def changes(self) -> tuple[Change, ...]:
        """All its figures."""
        return self.objects, self.active_objects, self.slabs, self.bytes, self.tcp_bytes

    @property
    def changed(self) -> bool:
        """Whether any figure of the row itself did; what of it is TCP's follows from other rows."""
        return any(change.changed for change in self.changes if change is not self.tcp_bytes)


@dataclass(frozen=True, slots=True)
class StateChange:
    """One TCP state: what a socket in it costs, and how many there are."""

    state: str
    accepted_bytes: Change | None
    """None for a state that only sockets with a port of their own are in."""
    outgoing_bytes: Change | None
    count: Change

    @property
    def changed(self) -> bool:
        """Whether any figure did."""
        costs = [cost for cost in (self.accepted_bytes, self.outgoing_bytes) if cost is not None]
        return self.count.changed or any(cost.changed for cost in costs)


@dataclass(frozen=True, slots=True)
class FreeBlocksChange:
    """The free blocks of one order, of one migrate type in one zone of one node."""

    node: int
    zone: str
    migrate_type: str | None
    """None for all types together, where a side does not tell them apart."""
    order: int
    blocks: Change
    bytes: Change

    @property
    def changed(self) -> bool:
        """Whether the number of blocks did."""
        return self.blocks.changed


@dataclass(frozen=True, slots=True)
class NodeChange:
    """One NUMA node: its free memory and the sockets that it has room for."""

    node: int
    free_bytes: Change
    headroom_sockets: Change

    @property
    def changed(self) -> bool:
        """Whether any figure did."""
        return self.free_bytes.changed or self.headroom_sockets.changed


class HasChanged(Protocol):
    """What may have changed."""

    @property
    def changed(self) -> bool:
        """Whether it did."""
        ...


ChangedRow = TypeVar("ChangedRow", bound=HasChanged)


@dataclass(frozen=True, slots=True)
class ChangedRows(Generic[ChangedRow]):
    """The rows that changed, the largest change first, and how many did not."""

    changed: tuple[ChangedRow, ...]
    unchanged: int


def sort_by_change(rows: Iterable[ChangedRow], by: Callable[[ChangedRow], Change]) -> ChangedRows[ChangedRow]:
    """The rows by how much one of their figures changed; where a side is unknown, by the one that is known."""

    def amount(row: ChangedRow) -> float:
        change = by(row)
        return abs(change.increase if change.increase is not None else (change.before or change.after or 0.0))

    all_rows = list(rows)
    changed = [row for row in all_rows if row.changed]
    return ChangedRows(tuple(sorted(changed, key=amount, reverse=True)), len(all_rows) - len(changed))


@dataclass(frozen=True, slots=True)
class GrowthPart:
    """What some objects of the sockets added to the slab memory: a count of them and their bytes, from low to high."""

    name: str
    low_count: int
    high_count: int
    low_bytes: float
    high_bytes: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class RowGrowth:
    """What a slabinfo row grew by that holds no object of the sockets."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SlabGrowth:
    """How much of the slab memory's growth the sockets explain.

    The growth is the sockets' bytes, and `idle_bytes`, what is left of the sockets' rows, `other_rows` and
    `no_row_bytes`.
    """

    bytes: int
    """What meminfo's Slab grew by."""
    sockets: tuple[GrowthPart, ...]
    missing: tuple[str, ...]
    """Parts of a socket whose size is not known; with any, the sockets' bytes are lower bounds."""
    idle_bytes: int | None
    """Free objects and slabs' ends in the rows of the sockets' objects; None where slabinfo is not readable."""
    socket_rows_bytes: int | None
    """What those rows grew by in all."""
    other_rows: tuple[RowGrowth, ...] | None
    no_row_bytes: int | None

    @property
    def low_bytes(self) -> float:
        """The least that the sockets account for."""
        return round(sum(part.low_bytes for part in self.sockets), 2)

    @property
    def high_bytes(self) -> float:
        """The most."""
        return round(sum(part.high_bytes for part in self.sockets), 2)

    @property
    def shares(self) -> tuple[float, float] | None:
        """The least and the most of the growth that the sockets explain; None where both did not go the same way."""
        if not self.bytes or self.low_bytes * self.bytes <= 0 or self.high_bytes * self.bytes <= 0:
            return None
        low, high = sorted((self.low_bytes / self.bytes, self.high_bytes / self.bytes))
        return low, high

    @property
    def others_bytes(self) -> tuple[float, float] | None:
        """What is left of the sockets' rows beyond the sockets and the idle memory: other users', per-CPU objects."""
        if self.socket_rows_bytes is None or self.idle_bytes is None:
            return None
        left = self.socket_rows_bytes - self.idle_bytes
        return round(left - self.high_bytes, 2), round(left - self.low_bytes, 2)


@dataclass(frozen=True, slots=True)
class ComparedInput:
    """One side: which kernel, when."""

    label: str
    """As the user named it."""
    host_name: str | None
    kernel: str | None
    page_size_bytes: int | None
    cpus: int | None
    memory_bytes: int | None
    taken_at_unix_s: float | None
    live: bool
    not_read: Mapping[str, str]
    """The sources that gave nothing, or not all, each with the reason."""


@dataclass(frozen=True, slots=True)
class LedgerDifference:
    """Everything that two ledgers differ in."""

    before: ComparedInput
    after: ComparedInput
    unlike: tuple[str, ...]
    """In which way the two are not one kernel on one machine: `kernel`, `page size`, `machine`."""
    sockets: tuple[Change, ...]
    """All of them, changed or not; so too the next."""
    connection: tuple[Change, ...]
    tcp_memory: Change
    slab_memory: Change
    states: ChangedRows[StateChange]
    caches: ChangedRows[CacheChange]
    nodes: ChangedRows[NodeChange]
    free_blocks: ChangedRows[FreeBlocksChange]
    growth: SlabGrowth | None
    no_growth_because: str | None
    """Why nothing is said about the growth; None where it is."""
