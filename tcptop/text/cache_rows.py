"""Rows of the slab cache table for the screen and the report: which caches are shown, and the figures of each.

The columns, and the order of the rows by a column, are in cache_columns.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tcptop.ledger import CacheLine, NodeCount

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
        rates: the caches whose rates are shown, if these caches are of another sample; None to show the rates of
            `caches`.
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
