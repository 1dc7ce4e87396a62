"""The columns of the cache table as data: the grid, the sort keys, the help and the report come from here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from tcptop.ledger import CacheLine, NodeCount
from tcptop.rates import increase
from tcptop.text import units

Scope = Literal["machine", "node"]

NO_OBJECTS = NodeCount(0, 0, 0, None)


class CacheRow(NamedTuple):
    """One line of the table: a cache, seen for the machine or for one node of it."""

    cache: CacheLine
    node: int | None
    """None for the whole machine."""
    at_mark: CacheRow | None = None
    """The same at a mark that was set: then counts show what came since."""

    @property
    def counts(self) -> NodeCount | None:
        """The chosen node's part of the cache; None where the kernel does not tell."""
        if self.node is None:
            return NodeCount(self.cache.objects, self.cache.slabs, self.cache.bytes, self.cache.active_per_s)
        if self.cache.nodes is None:
            return None
        return self.cache.nodes.get(self.node, NO_OBJECTS)

    @property
    def share_on_node(self) -> float | None:
        """The share of the machine's objects that the node holds, 0 to 1."""
        if self.node is None:
            return 1.0 if self.cache.objects else None
        return self.cache.share_on(self.node)

    @property
    def tcp_bytes(self) -> float | None:
        """What of the cache is TCP's here: on a node, the machine's by where the cache's objects are."""
        return self.cache.tcp_bytes if self.node is None else self.cache.tcp_bytes_on(self.node)


class Column(NamedTuple):
    """One column: what it is called, what it shows, how it is sorted, and how much it is missed when space is short."""

    id: str
    title: str
    help: str
    format: Callable[[CacheRow], str]
    value: Callable[[CacheRow], float | str | None]
    """What is shown, as a number, or a text that rows can be sorted by; None where it is not known."""
    sort_key: str | None = None
    """slabtop's letter."""
    least_width: int = 0
    left: bool = False
    importance: int = 0
    """When the terminal is narrow, the least important columns go first."""
    scopes: tuple[Scope, ...] = ("machine", "node")
    change: Callable[[float], str] | None = None
    """How a difference since a mark is shown; None for what is no count."""

    def text(self, row: CacheRow) -> str:
        """What stands in the row: the amount, or what came since the mark."""
        if row.at_mark is None or self.change is None:
            return self.format(row)
        came = self.shown_value(row)
        return units.UNKNOWN if not isinstance(came, (int, float)) else self.change(came)

    def shown_value(self, row: CacheRow) -> float | str | None:
        """What a row shows, as a number; None is not known."""
        now = self.value(row)
        if row.at_mark is None or self.change is None:
            return now
        return increase(self.value(row.at_mark), now)

    def sort_value(self, row: CacheRow) -> float | str | None:
        """What rows are sorted by; None sorts last. Since a mark, what shrank weighs as much as what grew."""
        value = self.shown_value(row)
        by_magnitude = row.at_mark is not None and self.change is not None and isinstance(value, (int, float))
        return abs(value) if by_magnitude else value  # type: ignore[arg-type]

    @property
    def descending(self) -> bool:
        """Names sort upwards first, figures downwards, as in slabtop."""
        return not self.left


def _name(row: CacheRow) -> str:
    return row.cache.name


def _objects_of(row: CacheRow) -> str:
    structs = [struct.removeprefix("struct ") for struct in row.cache.objects_of]
    text = ", ".join(structs)
    others = len(row.cache.aliases) + 1 - len(structs)
    return f"{text} + {others} more" if row.cache.aliases and others > 0 else text


def _object_bytes(row: CacheRow) -> str:
    """The step; where only the struct's own size is known, at least that."""
    if row.cache.object_bytes is None and row.cache.object_size_bytes is not None:
        return f"≥{units.count(row.cache.object_size_bytes)}"
    return units.count(row.cache.object_bytes)


def _changed(row: CacheRow) -> str:
    """A mark on what grew or shrank between the last two readings."""
    rate = row.counts.objects_per_s if row.counts else None
    return "▴" if rate and rate > 0 else "▾" if rate and rate < 0 else ""


COLUMNS: tuple[Column, ...] = (
    Column(
        "changed",
        "±",
        "▴ grew, ▾ shrank since the reading before",
        _changed,
        lambda row: row.counts.objects_per_s if row.counts else None,
        least_width=1,
        left=True,
        importance=35,
    ),
    Column(
        "cache",
        "CACHE",
        "the slab cache, by its row in /proc/slabinfo",
        _name,
        _name,
        "n",
        17,
        left=True,
        importance=99,
    ),
    Column(
        "object",
        "OBJECT",
        "what of TCP's lives in it; “+ 3 more”: caches of others that the kernel merged into the same row",
        _objects_of,
        _objects_of,
        least_width=16,
        left=True,
        importance=4,
    ),
    Column(
        "objects",
        "OBJS",
        "objects, in use or not",
        lambda row: units.count(row.counts.objects if row.counts else None),
        lambda row: row.counts.objects if row.counts else None,
        "o",
        7,
        importance=90,
        change=units.signed_count,
    ),
    Column(
        "active",
        "ACTIVE",
        "objects in use; SLUB counts free ones on per-CPU slabs as in use",
        lambda row: units.count(row.cache.active_objects),
        lambda row: row.cache.active_objects,
        "a",
        7,
        importance=80,
        scopes=("machine",),
        change=units.signed_count,
    ),
    Column(
        "use",
        "USE",
        "active ÷ objects",
        lambda row: units.percent(row.cache.use),
        lambda row: row.cache.use,
        "u",
        4,
        importance=40,
        scopes=("machine",),
    ),
    Column(
        "share",
        "OF ALL",
        "this node's share of the machine's objects",
        lambda row: units.percent(row.share_on_node),
        lambda row: row.share_on_node,
        least_width=6,
        importance=80,
        scopes=("node",),
    ),
    Column(
        "object_bytes",
        "OBJ SIZE",
        "the step from one object to the next, with padding",
        _object_bytes,
        lambda row: row.cache.object_bytes or row.cache.object_size_bytes,
        "s",
        8,
        importance=60,
    ),
    Column(
        "slabs",
        "SLABS",
        "slabs, full or not",
        lambda row: units.count(row.counts.slabs if row.counts else None),
        lambda row: row.counts.slabs if row.counts else None,
        "l",
        6,
        importance=50,
        change=units.signed_count,
    ),
    Column(
        "objects_per_slab",
        "O/S",
        "objects in one slab",
        lambda row: units.count(row.cache.objects_per_slab),
        lambda row: row.cache.objects_per_slab,
        "b",
        3,
        importance=20,
    ),
    Column(
        "pages_per_slab",
        "P/S",
        "pages in one slab, of the preferred order",
        lambda row: units.count(row.cache.pages_per_slab),
        lambda row: row.cache.pages_per_slab,
        "p",
        3,
        importance=10,
    ),
    Column(
        "order",
        "ORDER",
        "the order of the block that a slab takes from the buddy allocator",
        lambda row: units.count(row.cache.order),
        lambda row: row.cache.order,
        least_width=5,
        importance=30,
    ),
    Column(
        "bytes",
        "CACHE SIZE",
        "what the slabs hold, order fallback repaired",
        lambda row: units.short_size(row.counts.bytes if row.counts else None),
        lambda row: row.counts.bytes if row.counts else None,
        "c",
        10,
        importance=95,
        change=units.signed_size,
    ),
    Column(
        "tcp",
        "TCP'S",
        "what of the cache is TCP's: its own caches whole, of others its share; on a node by where objects are",
        lambda row: units.short_size(row.tcp_bytes),
        lambda row: row.tcp_bytes,
        "e",
        6,
        importance=85,
        change=units.signed_size,
    ),
    Column(
        "per_second",
        "Δ/s",
        "how fast the active objects change (on a node: all objects)",
        lambda row: units.signed_rate(row.counts.objects_per_s if row.counts else None),
        lambda row: row.counts.objects_per_s if row.counts else None,
        least_width=5,
        importance=25,
    ),
)

SORT_KEYS: dict[str, str] = {column.sort_key: column.id for column in COLUMNS if column.sort_key} | {"v": "slabs"}
"""slabtop's letters, and `e`. `v` (active slabs) is the same as `l`: SLUB does not tell them apart."""

DEFAULT_SORT_KEY = "e"
"""By what is TCP's: by any of slabtop's keys, dentry would hide TCP on most machines."""


def find_column(column_id: str) -> Column:
    """The column of that id."""
    return next(each for each in COLUMNS if each.id == column_id)


def select_rows(
    caches: Sequence[CacheLine],
    node: int | None,
    only_catalogue: bool = True,
    name_part: str = "",
    at_mark: Sequence[CacheLine] | None = None,
) -> list[CacheRow]:
    """The lines of the table: each row of slabinfo once, a merged cache only where its row is not known.

    Args:
        caches: those of a ledger.
        node: the node whose part is shown; None for the machine.
        only_catalogue: leaves out caches in which no object of TCP's lies.
        name_part: a part of a name, of the cache or of one that shares its row, or of a struct; empty for all.
        at_mark: the caches at a mark; a cache that was not there then held nothing.

    """
    then = None if at_mark is None else {cache.name: CacheRow(cache, node) for cache in at_mark}
    return [
        CacheRow(cache, node, None if then is None else then.get(cache.name, CacheRow(without_objects(cache), node)))
        for cache in caches
        if (cache.in_catalogue or not only_catalogue)
        and (cache.row == cache.name or cache.row is None)
        and has_name_part(cache, name_part)
    ]


def without_objects(cache: CacheLine) -> CacheLine:
    """The cache without anything in it."""
    return cache._replace(active_objects=0, objects=0, slabs=0, bytes=0, tcp_bytes=0, nodes={})


def has_name_part(cache: CacheLine, name_part: str) -> bool:
    """Whether a text is part of one of the cache's names, in either case."""
    text = name_part.lower()
    return not text or any(text in name.lower() for name in (cache.name, *cache.aliases, *cache.objects_of))


def sort_rows(lines: Sequence[CacheRow], column_id: str, reverse: bool = False) -> list[CacheRow]:
    """The lines sorted by a column, in its own direction or the other; unknown figures come last either way."""
    by = find_column(column_id)
    known = [(by.sort_value(line), line.cache.name, line) for line in lines]
    descending = by.descending != reverse
    sure = [each for each in known if each[0] is not None]
    sure.sort(key=lambda each: each[1])
    sure.sort(key=lambda each: each[0], reverse=descending)  # type: ignore[arg-type, return-value]
    # Of what is not known, TCP's own caches come before those that it shares.
    unsure = sorted((each for each in known if each[0] is None), key=lambda each: (each[2].cache.shared, each[1]))
    return [line for _, _, line in sure + unsure]
