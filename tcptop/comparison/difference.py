"""The differences between two ledgers, as frozen dataclasses for the reports; None means unknown, never 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Generic, Literal, Protocol, TypeVar

from tcptop.ledger import Amount, Headroom, HostFacts, Limits
from tcptop.rates import increase

Bound = Literal["exact", "at least", "at most", "about"]
"""The kind of a figure: exact, a lower bound, an upper bound, or an estimate between two bounds (`about`)."""
Unit = Literal["bytes", "count"]
Unlike = Literal["kernel", "page size", "machine", "number of CPUs", "boot", "network namespace"]
"""A property in which the two inputs differ. The last two are named only if all else is the same."""

INCREASE_BOUNDS: Mapping[tuple[Bound, Bound], Bound] = {
    ("exact", "exact"): "exact",
    ("exact", "about"): "about",
    ("about", "exact"): "about",
    ("about", "about"): "about",
    ("exact", "at most"): "at most",
    ("at least", "exact"): "at most",
    ("at least", "at most"): "at most",
    ("exact", "at least"): "at least",
    ("at most", "exact"): "at least",
    ("at most", "at least"): "at least",
}
"""The kind of `after` − `before`, by the kinds of `before` and of `after`.

Of a pair that is missing here, such as two upper bounds, the difference is known only if its bounds have one sign.
"""

SMALL_SHARE = 0.001
"""Bounds on a change that reach beyond 0 by at most this share of the larger figure do not make its sign unknown."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure with its values in both ledgers; `bounded_change` makes a Change from two amounts with bounds."""

    key: str
    """Name of the figure in the JSON report."""
    name: str
    unit: Unit
    before: float | None
    after: float | None
    before_bound: Bound = "exact"
    """The kind of `before`: exact or a bound; without meaning if `before` is None."""
    after_bound: Bound = "exact"
    note: str = ""
    """Scope of the figure, such as `machine` or `here`, or a remark, such as `on average`."""
    is_comparable: bool = True
    """False if `after` − `before` is not the true increase of a counter, for example because the counter was reset."""

    before_bounds: Amount | None = None
    """Bounds of `before`, without which a figure that is `about` has none; None if unknown."""
    after_bounds: Amount | None = None

    @property
    def increase(self) -> float | None:
        """`after` − `before`; `increase_bound` says whether the increase is exact or a bound.

        The increase is None if a value is unknown, or if the increase may as well be negative as positive, as with two
        upper bounds.
        """
        change = self._increase[0]
        return None if change is None else round(change, 2)

    @property
    def increase_bound(self) -> Bound | None:
        """The kind of `increase`; None if the two values do not determine the increase or a bound on it."""
        return self._increase[1]

    @property
    def span(self) -> Amount | None:
        """The least and the greatest possible increase, which may be infinite; None if a value or bound is unknown."""
        one = _bounds(self.before, self.before_bound, self.before_bounds)
        two = _bounds(self.after, self.after_bound, self.after_bounds)
        if one is None or two is None or not self.is_comparable:
            return None
        return Amount(two.low - one.high, two.high - one.low)

    @property
    def _increase(self) -> tuple[float | None, Bound | None]:
        bound = INCREASE_BOUNDS.get((self.before_bound, self.after_bound))
        span = self.span
        if bound in ("exact", "at least", "at most") or span is None:
            is_known = self.is_comparable and bound is not None
            return (increase(self.before, self.after) if is_known else None), bound
        if bound is None:
            if span.low > 0:
                return span.low, "at least"
            return (span.high, "at most") if span.high < 0 else (None, None)
        change = increase(self.before, self.after)
        return (None, None) if self.changed and self._may_be_either(change or 0.0, span) else (change, bound)

    def _may_be_either(self, change: float, span: Amount) -> bool:
        """True if an estimated change says nothing about the sign: the bounds have both signs, or the estimate none."""
        small = SMALL_SHARE * max(abs(self.before or 0.0), abs(self.after or 0.0))
        if span.low < -small and span.high > small:
            return True
        return abs(change) <= small < span.high - span.low and span.low <= 0 <= span.high

    @property
    def changed(self) -> bool:
        """True if the figures differ, or their kinds or bounds, or if only one figure is known."""
        if self.before is None and self.after is None:
            return False
        one = (self.before, self.before_bound, self.before_bounds)
        return one != (self.after, self.after_bound, self.after_bounds)


def _bounds(figure: float | None, kind: Bound, bounds: Amount | None) -> Amount | None:
    """Bounds of a figure, which is not negative: by its kind alone if none are given."""
    if figure is None or (kind != "exact" and bounds is not None) or kind == "about":
        return None if figure is None else bounds
    return Amount(0 if kind == "at most" else figure, inf if kind == "at least" else figure)


def bounded_change(
    key: str,
    name: str,
    unit: Unit,
    before: tuple[float | None, Amount | None],
    after: tuple[float | None, Amount | None],
    note: str = "",
) -> Change:
    """The change of a figure that has bounds; `before` and `after` are pairs (figure, bounds of the figure)."""
    one, two = (figure_and_bound(figure, bounds) for figure, bounds in (before, after))
    return Change(key, name, unit, one[0], two[0], one[1], two[1], note, True, before[1], after[1])


def figure_and_bound(figure: float | None, bounds: Amount | None) -> tuple[float | None, Bound]:
    """The number that a report shows for a figure, and the kind of the number.

    A report shows the lower bound if there is no upper bound, the upper bound if the lower bound is 0, and otherwise
    the figure itself.
    """
    if figure is None or bounds is None:
        return figure, "exact"
    low, high = bounds
    if low == high:
        return figure, "exact"
    if low and high == inf:
        return low, "at least"
    return (high, upper_bound(high)) if not low and high != inf else (figure, "about")


def upper_bound(amount: float | None, is_at_most: bool = True) -> Bound:
    """The kind of an amount that is an upper bound if `is_at_most` is True. An upper bound of 0 is exact."""
    return "at most" if is_at_most and amount != 0 else "exact"


@dataclass(frozen=True, slots=True)
class CacheChange:
    """Changes of one slabinfo row."""

    name: str
    objects: Change
    active_objects: Change
    slabs: Change
    bytes: Change
    tcp_bytes: Change

    @property
    def changes(self) -> tuple[Change, ...]:
        """All figures of the row."""
        return self.objects, self.active_objects, self.slabs, self.bytes, self.tcp_bytes

    @property
    def changed(self) -> bool:
        """True if a figure other than `tcp_bytes` changed.

        A change of `tcp_bytes` does not count, because `tcp_bytes` is computed from other rows.
        """
        return any(change.changed for change in self.changes if change is not self.tcp_bytes)


@dataclass(frozen=True, slots=True)
class StateChange:
    """Changes of one TCP state: the cost of a socket in this state, and the number of such sockets."""

    state: str
    accepted_bytes: Change | None
    """Change of an accepted socket's cost; None for a state without accepted sockets, such as LISTEN."""
    outgoing_bytes: Change | None
    count: Change

    @property
    def changed(self) -> bool:
        """True if any figure of the state changed."""
        costs = [cost for cost in (self.accepted_bytes, self.outgoing_bytes) if cost is not None]
        return self.count.changed or any(cost.changed for cost in costs)


@dataclass(frozen=True, slots=True)
class FreeBlocksChange:
    """Change in the number of free blocks of one order and one migrate type, in one zone of one node."""

    node: int
    zone: str
    migrate_type: str | None
    """Migrate type; None if the counts are for all types together, because one ledger has no counts by type."""
    order: int
    blocks: Change
    bytes: Change

    @property
    def changed(self) -> bool:
        """True if the number of blocks changed."""
        return self.blocks.changed


@dataclass(frozen=True, slots=True)
class NodeChange:
    """Changes of one NUMA node: its free memory, and the number of sockets that fit into the free memory."""

    node: int | None
    """None for all nodes together."""
    free_bytes: Change
    headroom_sockets: Change

    @property
    def changed(self) -> bool:
        """True if any figure of the node changed."""
        return self.free_bytes.changed or self.headroom_sockets.changed


class HasChanged(Protocol):
    """A row of figures, with a property that is True if the row changed."""

    @property
    def changed(self) -> bool:
        """True if any figure of the row changed."""
        ...


ChangedRow = TypeVar("ChangedRow", bound=HasChanged)


@dataclass(frozen=True, slots=True)
class ChangedRows(Generic[ChangedRow]):
    """The rows that changed, the largest change first, and the number of rows that did not change."""

    changed: tuple[ChangedRow, ...]
    unchanged: int


def sort_by_change(rows: Iterable[ChangedRow], by: Callable[[ChangedRow], Change]) -> ChangedRows[ChangedRow]:
    """The changed rows, sorted by the change of one figure, the largest change first.

    A row with an unknown change is sorted by the value `before`. If `before` is also unknown or 0, the row is sorted by
    the value `after`.
    """

    def size_of_change(row: ChangedRow) -> float:
        change = by(row)
        return abs(change.increase if change.increase is not None else (change.before or change.after or 0.0))

    all_rows = list(rows)
    changed = [row for row in all_rows if row.changed]
    return ChangedRows(tuple(sorted(changed, key=size_of_change, reverse=True)), len(all_rows) - len(changed))


@dataclass(frozen=True, slots=True)
class GrowthPart:
    """Growth of slab memory due to one kind of object that sockets hold."""

    name: str
    count: Amount
    bytes: Amount
    note: str = ""


@dataclass(frozen=True, slots=True)
class RowGrowth:
    """Growth of one slabinfo row that counts no objects of sockets."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class SlabGrowth:
    """The growth of slab memory between two ledgers, and the part of this growth that is due to sockets.

    `bytes` = `socket_bytes` + `idle_bytes` + `others_bytes` + the sum of `other_rows` + `no_row_bytes`.
    """

    bytes: int
    """Growth of Slab in /proc/meminfo."""
    sockets: tuple[GrowthPart, ...]
    missing: tuple[str, ...]
    """Names of the objects whose size or number is unknown in a ledger.

    If any name is listed, `socket_bytes` are lower bounds, and `other_rows` may have the rows of the listed objects.
    """
    idle_bytes: Amount | None
    """Bounds on the growth of idle bytes in the slabinfo rows that count objects of sockets; None without slabinfo.

    Idle bytes are free objects and the unused ends of slabs.

    In rows that only TCP uses, all bytes except those of sockets' objects count as idle.
    """
    others_bytes: Amount | None
    """Bounds on the growth that users other than sockets cause in shared slabinfo rows; None without slabinfo. Free
    objects that the kernel counts as active are included.
    """
    other_rows: tuple[RowGrowth, ...] | None
    """Growth of each slabinfo row in which, according to the catalogue, no object belongs to a socket.

    None without slabinfo.
    """
    no_row_bytes: int | None
    """Growth of the slab memory that no slabinfo row counts; None without slabinfo."""
    outdated: tuple[str, ...] = ()
    """For each input whose slabinfo is older than its sockets, the text that says so; the growth of rows is then
    unknown, and `missing` has the text too."""
    rows_differ: bool = False
    """True if slabinfo rows count other caches in one ledger than in the other; the growth of rows is then unknown."""

    @property
    def socket_bytes(self) -> Amount:
        """Bounds on the part of the growth that is due to sockets, in bytes."""
        lows, highs = [part.bytes.low for part in self.sockets], [part.bytes.high for part in self.sockets]
        return Amount(round(sum(lows), 2), round(sum(highs), 2))

    @property
    def shares(self) -> Amount | None:
        """Bounds on `socket_bytes` ÷ `bytes`, the share of the growth that is due to sockets.

        The share is None if `bytes` is 0, or if a bound of `socket_bytes` is 0 or has the opposite sign of `bytes`. If
        `missing` has any name, the upper bound is infinite.
        """
        if not self.bytes or any(end * self.bytes <= 0 for end in self.socket_bytes):
            return None
        low, high = sorted(end / self.bytes for end in self.socket_bytes)
        return Amount(low, inf if self.missing else high)


@dataclass(frozen=True, slots=True)
class ComparedInput:
    """The origin of a compared ledger: host, kernel and time."""

    label: str
    """Name that the user gave the input."""
    host: HostFacts
    taken_at_unix_s: float | None
    live: bool
    not_read: Mapping[str, str]
    """The sources that could not be read, or could be read only in part; maps the name of each source to the reason."""
    headroom: Headroom
    limits: Limits
    """The limits on full sockets, with the first one that further sockets reach."""


@dataclass(frozen=True, slots=True)
class LedgerDifference:
    """Everything that differs between two ledgers."""

    before: ComparedInput
    after: ComparedInput
    unlike: tuple[Unlike, ...]
    sockets: tuple[Change, ...]
    """Figures of all socket counters, changed or not."""
    connection: tuple[Change, ...]
    """Figures of the cost per connection, changed or not."""
    events: tuple[Change, ...]
    """Totals of all events, changed or not."""
    tcp_memory: Change
    slab_memory: Change
    states: ChangedRows[StateChange]
    caches: ChangedRows[CacheChange]
    headroom: tuple[Change, ...]
    """The bytes that the headroom of A and of B counts for a further socket, and the part of its buffers."""
    nodes: ChangedRows[NodeChange]
    node_sum: NodeChange | None
    """The changes of all nodes together; None of a machine with one node."""
    free_blocks: ChangedRows[FreeBlocksChange]
    growth: SlabGrowth | None
    no_growth_because: str | None
    """The reason why `growth` is unknown; None if `growth` is known."""
