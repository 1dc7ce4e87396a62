"""Columns of the slab cache table for the screen and the report: heading, help text, value and sort key of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from tcptop.kernel.objects import OBJECT_OF_CACHE
from tcptop.rates import STEP_S, fits_present, increase
from tcptop.text import units
from tcptop.text.cache_rows import CacheRow
from tcptop.text.table import Heading

Scope = Literal["machine", "node"]

_NAME = attrgetter("cache.name")

MAX_IDLE_SHARE = 0.1
"""Some of the objects that slabinfo counts as active may be free, because each CPU keeps lists of free objects. If more
than this share of the active objects may be free, the number of active objects is shown with the sign `≤`.
"""


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
    width: int
    """Width of the column on the screen, with room for a sort mark. The width is fixed, so that the columns of a table
    depend only on the width of the table."""
    rank: int
    """Place of the column in the order of importance. A narrow table shows the columns with the lowest ranks.
    No two columns have the same rank."""
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
    """`≤ ` if more than a tenth of the active objects, or an unknown number, may be free on CPUs' lists; else empty."""
    active, error = row.cache.active_objects, row.cache.idle_error_objects
    return "≤ " if active and (error is None or error > MAX_IDLE_SHARE * active) else ""


def _use(row: CacheRow) -> str:
    """The use of a cache; an upper bound is rounded up, and gets the sign `≤`.

    An upper bound of 100 % tells nothing about the use, so the text is then `–`, which means unknown.
    """
    use = row.cache.use
    if use is None or not _active_bound(row):
        return units.percent(use)
    bound = units.percent_bound(use, True)
    return f"≤{bound}%" if int(bound) < 100 else units.UNKNOWN


def _object_bytes(row: CacheRow) -> str:
    """The object size with padding, or `≥` and the size of the struct if the size with padding is unknown."""
    if row.cache.object_bytes is None and row.cache.object_size_bytes is not None:
        return f"≥ {units.count(row.cache.object_size_bytes)}"
    return units.count(row.cache.object_bytes)


def _tcp_bytes(row: CacheRow) -> str:
    """TCP's bytes, rounded.

    If TCP may have none of it, `≤ ` and the upper bound stand, at most the bytes of the cache. Otherwise `≈ ` precedes
    the number if the lower or the upper bound on TCP's bytes is rounded to another number. On a node, `≈ ` precedes
    TCP's part of every shared cache, since the part on each node is always an estimate.
    """
    text, bounds = units.short_size(row.tcp_bytes), row.cache.tcp_bounds
    if not row.tcp_bytes or bounds is None:
        return text
    whole = row.counts.bytes if row.counts is not None else None
    if bounds.low <= 0 and whole is not None:
        # Rounded as CACHE SIZE is, so that a part never looks larger than its whole.
        return f"≤ {units.short_size(whole) if bounds.high >= whole else units.short_size(bounds.high, True)}"
    is_estimate = {units.short_size(row.cache.tcp_bytes)} != set(map(units.short_size, bounds))
    return f"≈ {text}" if is_estimate or (row.node is not None and row.cache.shared) else text


def _rate(row: CacheRow) -> float | None:
    """For the whole machine, the change per second of the active objects; for a node, the change of all objects.

    None if the rate is that of an earlier sample and contradicts the row's number.
    """
    if row.rates is None:
        return _COUNT_RATE(row)
    rate = _COUNT_RATE(row.rates)
    return rate if rate is None or fits_present(rate, STEP_S, _COUNTED(row)) else None


_COUNTED = _count("objects", "active_objects")
_COUNT_RATE = _count("objects_per_s", "active_per_s")


COLUMNS: tuple[Column, ...] = (
    Column(
        "cache",
        Heading("CACHE", left=True),
        "The slab cache, by its row's name; * after a name: merged with other caches.",
        lambda row: row.cache.name,
        width=18,
        rank=0,
        sort_key="n",
        format=str,
        is_name=True,
    ),
    Column(
        "object",
        Heading("OBJECT", left=True),
        "The objects of TCP sockets that the cache holds; “+ 3 more”: other caches are merged into the row.",
        _objects_of,
        width=17,
        rank=80,
        format=str,
        source="tcptop's catalogue of kernel objects; links in /sys/kernel/slab",
    ),
    Column(
        "objects",
        Heading("OBJS"),
        "Objects of the cache, in use or not.",
        _count("objects"),
        width=9,
        rank=90,
        sort_key="o",
        change=units.signed_count,
        source="/proc/slabinfo, num_objs",
    ),
    Column(
        "active",
        Heading("ACTIVE"),
        "Objects in use; free ones on the lists of CPUs count as in use: ≤ if they may be more than a tenth.",
        lambda row: row.cache.active_objects,
        width=9,
        rank=20,
        sort_key="a",
        format_row=lambda row: f"{_active_bound(row)}{units.count(row.cache.active_objects)}",
        scopes=("machine",),
        change=units.signed_count,
        source="/proc/slabinfo, active_objs; mm/slub.c, get_slabinfo()",
    ),
    Column(
        "use",
        Heading("USE"),
        "ACTIVE ÷ OBJS; ≤ as for ACTIVE, and – if it may be anything up to 100 %.",
        lambda row: row.cache.use,
        width=4,
        rank=60,
        sort_key="u",
        format_row=_use,
        scopes=("machine",),
    ),
    Column(
        "share",
        Heading("OF ALL"),
        "This node's share of all objects of the cache.",
        lambda row: row.share_on_node,
        width=7,
        rank=70,
        format=units.nearest_percent,
        scopes=("node",),
        source="/sys/kernel/slab/*/total_objects",
    ),
    Column(
        "object_bytes",
        Heading("OBJ SIZE"),
        "Bytes of one object with its padding: the step from one object to the next.",
        lambda row: row.cache.object_bytes or row.cache.object_size_bytes,
        width=9,
        rank=40,
        sort_key="s",
        format_row=_object_bytes,
        source="/proc/slabinfo, objsize",
    ),
    Column(
        "slabs",
        Heading("SLABS"),
        "Slabs of the cache, full or not.",
        _count("slabs"),
        width=7,
        rank=100,
        sort_key="l",
        change=units.signed_count,
        source="/proc/slabinfo, num_slabs",
    ),
    Column(
        "objects_per_slab",
        Heading("O/S"),
        "Objects in one slab.",
        lambda row: row.cache.objects_per_slab,
        width=4,
        rank=110,
        sort_key="b",
        source="/proc/slabinfo, objperslab",
    ),
    Column(
        "pages_per_slab",
        Heading("P/S"),
        "Pages in one slab of the preferred order.",
        lambda row: row.cache.pages_per_slab,
        width=4,
        rank=130,
        sort_key="p",
        source="/proc/slabinfo, pagesperslab",
    ),
    Column(
        "order",
        Heading("ORDER"),
        "The order of the block that a slab takes from the buddy allocator.",
        lambda row: row.cache.order,
        width=6,
        rank=120,
        source="/sys/kernel/slab/*/order",
    ),
    Column(
        "bytes",
        Heading("CACHE SIZE"),
        "Memory of all slabs of the cache; slabs of a smaller order count with their real size.",
        _count("bytes"),
        width=11,
        rank=30,
        sort_key="c",
        format=units.short_size,
        change=units.signed_size,
        source="/proc/slabinfo; mm/slub.c, allocate_slab()",
    ),
    Column(
        "tcp",
        Heading("TCP PART"),
        "The bytes of CACHE SIZE that TCP's objects take: all of TCP's own caches, and a share of a cache that others"
        " use too, by the number of TCP sockets. ≈: an estimate; ≤: it may be none; ENTER shows the range.",
        lambda row: row.tcp_bytes,
        width=9,
        rank=10,
        sort_key="e",
        format=units.short_size,
        format_row=_tcp_bytes,
        change=units.signed_size,
        source="tcptop, from /proc/slabinfo and /proc/net/sockstat",
    ),
    Column(
        "per_second",
        Heading("Δ/s"),
        "How fast the active objects change, per second, over the last five seconds (on a node: all objects).",
        _rate,
        width=6,
        rank=50,
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


OWN_CACHES = {name: at for at, name in enumerate(name for name, item in OBJECT_OF_CACHE.items() if item.tcp_only)}
"""TCP's own caches, each with its place in the catalogue."""


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
        # Among rows with an unknown value, TCP's own caches come first, in the order of the catalogue.
        unknown = [row for row, value in zip(by_name, values, strict=True) if value is None]
        unknown.sort(key=lambda row: len(OWN_CACHES) if row.cache.shared else OWN_CACHES.get(row.cache.name, 0))
    known = sorted(known, key=values.__getitem__, reverse=column.descending != reverse)  # type: ignore[arg-type]
    return [*(by_name[index] for index in known), *unknown]
