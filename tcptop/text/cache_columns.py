"""Columns of the slab cache table for the screen and the report: heading, help text, value and sort key of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from tcptop.ledger import CacheLine, NodeCount
from tcptop.rates import increase
from tcptop.text import units
from tcptop.text.table import Heading

Scope = Literal["machine", "node"]

_NAME = attrgetter("cache.name")

MAX_IDLE_SHARE = 0.1
"""Some of the objects that slabinfo counts as active may be free, because each CPU keeps lists of free objects. If more
than this share of the active objects may be free, the number of active objects is shown with the sign `≤`.
"""

NO_OBJECTS = NodeCount(0, 0, 0, None)


class CacheRow(NamedTuple):
    """A row of the slab cache table: a cache, counted on the whole machine or on one node."""

    cache: CacheLine
    node: int | None
    """Number of the node whose objects are counted; None for the whole machine."""
    at_mark: CacheRow | None = None
    """The cache's row when the mark was set, used to show the change of counts since then; None if no mark is set."""
    rates: CacheRow | None = None
    """The cache's row in the sample whose rates are shown; None if the row itself has the rates."""

    @property
    def counts(self) -> NodeCount | None:
        """Objects, slabs and bytes on the machine or on the node; None if the counts by node are unknown."""
        if self.node is None:
            return NodeCount(self.cache.objects, self.cache.slabs, self.cache.bytes, self.cache.active_per_s)
        if self.cache.nodes is None:
            return None
        return self.cache.nodes.get(self.node, NO_OBJECTS)

    @property
    def object_count(self) -> int | None:
        """Objects on the machine or on the node; None if unknown."""
        return None if self.counts is None else self.counts.objects

    @property
    def share_on_node(self) -> float | None:
        """The share of the cache's objects that are on the node, from 0 to 1; None if the share is unknown."""
        if self.node is None:
            return 1.0 if self.cache.objects else None
        return self.cache.share_on(self.node)

    @property
    def tcp_bytes(self) -> float | None:
        """The bytes that TCP uses in the cache; None if unknown.

        For a node: TCP's bytes on the whole machine × the share of the cache's objects that are on the node.
        """
        return self.cache.tcp_bytes if self.node is None else self.cache.tcp_bytes_on(self.node)


class Column(NamedTuple):
    """A column of the slab cache table: heading, help text, value for a row, sort key, and tables with this column."""

    id: str
    heading: Heading
    help: str
    """One sentence that describes the column, for the help and the glossary."""
    value: Callable[[CacheRow], float | str | None]
    """Function that returns the column's value for a row: a number, a text, or None if the value is unknown. Rows are
    sorted by this value.
    """
    sort_key: str | None = None
    """The key that sorts by this column: a key of slabtop(1), or `e` for TCP's bytes; None if no key sorts by this
    column.
    """
    format: Callable[[Any], str] = units.count
    """Function that formats a value."""
    format_row: Callable[[CacheRow], str] | None = None
    """Function that formats a cell from the whole row; `format` is used if this function is None."""
    scopes: tuple[Scope, ...] = ("machine", "node")
    change: Callable[[float], str] | None = None
    """Function that formats the change since the mark; None if the column shows the current value even when a mark is
    set.
    """
    is_name: bool = False
    """True if the column shows the name of the cache. The column of the name is always shown, and has the sign of a
    merged cache.
    """
    is_rate: bool = False
    """True if the value is computed from two samples. A saved tree is only one sample, so its table lacks such
    columns."""
    source: str = "/proc/slabinfo"
    """The file that the value comes from."""
    is_extra: bool = False
    """True if reports leave out the column, and the screen shows the column only while the extras (`x`) are on."""

    def text(self, row: CacheRow) -> str:
        """The text of a row's cell: the value, or the change of the value since the mark."""
        value = self.shown_value(row)
        if row.at_mark is not None and self.change is not None:
            return self.change(value) if isinstance(value, (int, float)) else units.UNKNOWN
        return self.format(value) if self.format_row is None else self.format_row(row)

    def shown_value(self, row: CacheRow) -> float | str | None:
        """The value of a row, or the change of the value since the mark; None if unknown."""
        now = self.value(row)
        if row.at_mark is None or self.change is None:
            return now
        return increase(self.value(row.at_mark), now)

    def sort_value(self, row: CacheRow) -> float | str | None:
        """The value by which a row is sorted; rows with None come last.

        If the cell shows a change since the mark, the row is sorted by the magnitude of this change.
        """
        value = self.shown_value(row)
        by_magnitude = row.at_mark is not None and self.change is not None and isinstance(value, (int, float))
        return abs(value) if by_magnitude else value  # type: ignore[arg-type]

    @property
    def descending(self) -> bool:
        """True if the column is sorted in descending order by default.

        As in slabtop, numbers are sorted in descending order, and names in ascending order.
        """
        return not self.heading.left


def _count(field: str, field_of_cache: str | None = None) -> Callable[[CacheRow], float | None]:
    """Makes a function that returns a count of a row: the count on the whole machine, or on the row's node."""
    of_cache, of_node = attrgetter(f"cache.{field_of_cache or field}"), attrgetter(field)

    def count(row: CacheRow) -> float | None:
        if row.node is None:
            return of_cache(row)  # type: ignore[no-any-return]
        counts = row.counts
        return of_node(counts) if counts else None

    return count


def _objects_of(row: CacheRow) -> str:
    structs = [struct.removeprefix("struct ") for struct in row.cache.objects_of]
    text = ", ".join(structs)
    others = len(row.cache.aliases) + row.cache.more_aliases + 1 - len(structs)
    return f"{text} + {others} more" if row.cache.aliases and others > 0 else text


def _active_bound(row: CacheRow) -> str:
    """`≤ ` if more than a tenth of the active objects may be free, on CPUs' lists of free objects; otherwise empty."""
    active, error = row.cache.active_objects, row.cache.idle_error_objects
    return "≤ " if active and error and error > MAX_IDLE_SHARE * active else ""


def _use(row: CacheRow) -> str:
    """The use of a cache; an upper bound is rounded up, and gets the sign `≤`.

    An upper bound of 100 % has no information, so the text is `–` for unknown instead.
    """
    use = row.cache.use
    if use is None or not _active_bound(row):
        return units.percent(use)
    bound = ceil(use * 100 - units.ROUNDING_ERROR)
    return f"≤{bound}%" if bound < 100 else units.UNKNOWN


def _object_bytes(row: CacheRow) -> str:
    """The object size with padding, or `≥` and the size of the struct if the size with padding is unknown."""
    if row.cache.object_bytes is None and row.cache.object_size_bytes is not None:
        return f"≥ {units.count(row.cache.object_size_bytes)}"
    return units.count(row.cache.object_bytes)


def _tcp_bytes(row: CacheRow) -> str:
    """TCP's bytes; `≈ ` precedes the number if its lower or upper bound, rounded in the same way, has other digits.

    On a node, `≈ ` precedes TCP's part of every shared cache, since the part on each node is always an estimate.
    """
    text, bounds = units.short_size(row.tcp_bytes), row.cache.tcp_bounds
    if not row.tcp_bytes or bounds is None:
        return text
    is_estimate = {units.short_size(row.cache.tcp_bytes)} != set(map(units.short_size, bounds))
    return f"≈ {text}" if is_estimate or (row.node is not None and row.cache.shared) else text


def _rate(row: CacheRow) -> float | None:
    """The change per second: of the active objects for the whole machine, of all objects for a node."""
    return _COUNT_RATE(row if row.rates is None else row.rates)


_COUNT_RATE = _count("objects_per_s", "active_per_s")


COLUMNS: tuple[Column, ...] = (
    Column(
        "cache",
        Heading("CACHE", left=True),
        "The slab cache, by the name of its row; * after a name: merged with other caches.",
        lambda row: row.cache.name,
        "n",
        format=str,
        is_name=True,
    ),
    Column(
        "object",
        Heading("OBJECT", left=True),
        "The objects of TCP sockets that the cache holds; “+ 3 more”: other caches are merged into the row.",
        _objects_of,
        format=str,
        source="tcptop's catalogue of kernel objects; links in /sys/kernel/slab",
    ),
    Column(
        "objects",
        Heading("OBJS"),
        "Objects of the cache, in use or not.",
        _count("objects"),
        "o",
        change=units.signed_count,
        source="/proc/slabinfo, num_objs",
    ),
    Column(
        "active",
        Heading("ACTIVE"),
        "Objects in use; free ones on the lists of CPUs count as in use: ≤ if they may be more than a tenth.",
        lambda row: row.cache.active_objects,
        "a",
        format_row=lambda row: f"{_active_bound(row)}{units.count(row.cache.active_objects)}",
        scopes=("machine",),
        change=units.signed_count,
        source="/proc/slabinfo, active_objs; mm/slub.c, get_slabinfo()",
    ),
    Column(
        "use",
        Heading("USE"),
        "Active objects ÷ all objects of the cache; ≤ as for ACTIVE, and – if it may be anything up to 100 %.",
        lambda row: row.cache.use,
        "u",
        format_row=_use,
        scopes=("machine",),
    ),
    Column(
        "share",
        Heading("OF ALL"),
        "This node's share of all objects of the cache.",
        lambda row: row.share_on_node,
        format=units.percent,
        scopes=("node",),
        source="/sys/kernel/slab/*/total_objects",
    ),
    Column(
        "object_bytes",
        Heading("OBJ SIZE"),
        "Bytes of one object with its padding: the step from one object to the next.",
        lambda row: row.cache.object_bytes or row.cache.object_size_bytes,
        "s",
        format_row=_object_bytes,
        source="/proc/slabinfo, objsize",
    ),
    Column(
        "slabs",
        Heading("SLABS"),
        "Slabs of the cache, full or not.",
        _count("slabs"),
        "l",
        change=units.signed_count,
        source="/proc/slabinfo, num_slabs",
    ),
    Column(
        "objects_per_slab",
        Heading("O/S"),
        "Objects in one slab.",
        lambda row: row.cache.objects_per_slab,
        "b",
        source="/proc/slabinfo, objperslab",
    ),
    Column(
        "pages_per_slab",
        Heading("P/S"),
        "Pages in one slab of the preferred order.",
        lambda row: row.cache.pages_per_slab,
        "p",
        source="/proc/slabinfo, pagesperslab",
    ),
    Column(
        "order",
        Heading("ORDER"),
        "The order of the block that a slab takes from the buddy allocator.",
        lambda row: row.cache.order,
        source="/sys/kernel/slab/*/order",
    ),
    Column(
        "bytes",
        Heading("CACHE SIZE"),
        "Memory of all slabs of the cache; slabs of a smaller order count with their real size.",
        _count("bytes"),
        "c",
        format=units.short_size,
        change=units.signed_size,
        source="/proc/slabinfo; mm/slub.c, allocate_slab()",
    ),
    Column(
        "tcp",
        Heading("TCP PART"),
        "The bytes of CACHE SIZE that TCP's objects take: all of TCP's own caches, and a share of a cache that others"
        " use too, by the number of TCP sockets. ≈ stands before an estimate; ENTER on the row shows its range.",
        lambda row: row.tcp_bytes,
        "e",
        format=units.short_size,
        format_row=_tcp_bytes,
        change=units.signed_size,
        source="tcptop, from /proc/slabinfo and /proc/net/sockstat",
    ),
    Column(
        "per_second",
        Heading("Δ/s"),
        "How fast the active objects change, per second (on a node: all objects); a new rate each five seconds.",
        _rate,
        format=units.short_signed_count,
        is_rate=True,
        is_extra=True,
        source="/proc/slabinfo, two readings",
    ),
)

SORT_KEYS: dict[str, str] = {column.sort_key: column.id for column in COLUMNS if column.sort_key} | {"v": "slabs"}
"""Column ids by sort key: slabtop's keys, and `e` for TCP's bytes.

Key `v` (active slabs) sorts like key `l` (slabs), since SLUB reports every slab as active.
"""

DEFAULT_SORT_KEY = "e"
"""The key that sorts by TCP's bytes. If the table were sorted by one of slabtop's keys, dentry would be above TCP's
caches on most machines."""


def find_column(column_id: str) -> Column:
    """The column with this id."""
    return next(each for each in COLUMNS if each.id == column_id)


def select_columns(scope: Scope, live: bool, extras: bool = False, chosen: Sequence[str] | None = None) -> list[Column]:
    """The columns of the table for the whole machine or for a node.

    If `chosen` is None, all columns of the table are returned. If `chosen` is not None, the name and the columns in
    `chosen` are returned.
    """
    return [
        column
        for column in COLUMNS
        if scope in column.scopes
        and (live or not column.is_rate)
        and (extras or not column.is_extra)
        and (chosen is None or column.is_name or column.id in chosen)
    ]


def select_rows(
    caches: Sequence[CacheLine],
    node: int | None,
    only_catalogue: bool = True,
    name_part: str = "",
    at_mark: Sequence[CacheLine] | None = None,
    rates: Sequence[CacheLine] | None = None,
) -> list[CacheRow]:
    """The rows of the table: one for each row of slabinfo, and one for each cache whose slabinfo row is unknown.

    Args:
        caches: the caches of a ledger.
        node: the node to count; None for the whole machine.
        only_catalogue: True if caches without objects of TCP are left out.
        name_part: text in the name of the cache, of a merged cache or of a struct; an empty text selects all caches.
        at_mark: the caches at the time of the mark; a cache that did not exist at that time counts as empty.
        rates: the caches of the sample whose rates are shown; None for the rates of `caches`.

    """
    rates_of = (
        {}
        if rates is None or rates is caches
        else {cache.name: CacheRow(cache, node) for cache in rates if cache.in_catalogue or not only_catalogue}
    )
    marked = None if at_mark is None else {cache.name: CacheRow(cache, node) for cache in at_mark}
    return [
        CacheRow(
            cache,
            node,
            None if marked is None else marked.get(cache.name, CacheRow(_without_objects(cache), node)),
            rates_of.get(cache.name),
        )
        for cache in caches
        if (cache.in_catalogue or not only_catalogue)
        and (cache.row == cache.name or cache.row is None)
        and (not name_part or has_name_part(cache, name_part))
    ]


def _without_objects(cache: CacheLine) -> CacheLine:
    """A copy of the cache with all counts set to 0."""
    return cache._replace(active_objects=0, objects=0, slabs=0, bytes=0, tcp_bytes=0, nodes={})


def has_name_part(cache: CacheLine, name_part: str) -> bool:
    """True if `name_part` occurs in the name of the cache, of a merged cache or of a struct; case is ignored.

    An empty `name_part` occurs in every name.
    """
    text = name_part.lower()
    return not text or any(text in name.lower() for name in (cache.name, *cache.aliases, *cache.objects_of))


def sort_rows(rows: Sequence[CacheRow], column_id: str, reverse: bool = False) -> list[CacheRow]:
    """The rows sorted by a column, in the column's default direction, or in the opposite one if `reverse` is True.

    Rows whose value is unknown come last in both directions.
    """
    column = find_column(column_id)
    value_of = column.value if rows and rows[0].at_mark is None else column.sort_value
    by_name = sorted(rows, key=_NAME)
    values = list(map(value_of, by_name))
    known: Sequence[int] = range(len(values))
    unknown: list[CacheRow] = []
    if None in values:
        known = [index for index in known if values[index] is not None]
        # Among rows with an unknown value, TCP's own caches come before shared caches.
        unknown = [row for row, value in zip(by_name, values, strict=True) if value is None]
        unknown.sort(key=lambda row: row.cache.shared)
    known = sorted(known, key=values.__getitem__, reverse=column.descending != reverse)  # type: ignore[arg-type]
    return [*(by_name[index] for index in known), *unknown]
