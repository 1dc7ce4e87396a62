"""Changes of memory between two ledgers: each cache's slabs, each node's free memory, and free blocks by order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tcptop.comparison.difference import (
    Bound,
    CacheChange,
    Change,
    ChangedRows,
    FreeBlocksChange,
    NodeChange,
    bounded_change,
    sort_by_change,
)
from tcptop.comparison.slab_growth import has_all_rows, is_never_destroyed, rows_merged_otherwise, slabinfo_rows
from tcptop.ledger import Amount, CacheLine, Ledger, ZoneMemory


def cache_rows(before: Ledger, after: Ledger) -> ChangedRows[CacheChange]:
    """Changes of each slabinfo row; rows with the same name are matched in file order."""
    sides = [_by_name(_counted_lines(ledger)) for ledger in (before, after)]
    known = [has_all_rows(ledger) for ledger in (before, after)]
    merged = rows_merged_otherwise(before, after)
    changes = []
    for key in {**sides[0], **sides[1]}:
        one, two = (side.get(key) for side in sides)
        # If slabinfo is complete, the figures of a missing row are 0. If slabinfo is incomplete, if the kernel never
        # destroys the cache, or if another row counts the cache, the figures of a missing row are unknown.
        is_zero = not is_never_destroyed(key[0]) and key[0] not in merged
        tcp_bytes = [(None, None) if line is None else (line.tcp_bytes, line.tcp_bounds) for line in (one, two)]
        changes.append(
            CacheChange(
                name=key[0],
                tcp_bytes=replace(
                    bounded_change("tcp_bytes", "tcp bytes", "bytes", tcp_bytes[0], tcp_bytes[1]),
                    is_comparable=key[0] not in merged,
                ),
                **{
                    field: Change(
                        field,
                        field.replace("_", " "),
                        "bytes" if field == "bytes" else "count",
                        _figure(one, field, known[0] and is_zero),
                        _figure(two, field, known[1] and is_zero),
                        is_comparable=key[0] not in merged,
                    )
                    for field in ("objects", "active_objects", "slabs", "bytes")
                },
            )
        )
    return sort_by_change(changes, lambda change: change.bytes)


def _counted_lines(ledger: Ledger) -> list[CacheLine]:
    """The rows of slabinfo; without slabinfo, the caches whose size or number of slabs is known from sysfs."""
    return slabinfo_rows(ledger) or [line for line in ledger.caches if line.bytes is not None or line.slabs is not None]


def _by_name(lines: Iterable[CacheLine]) -> dict[tuple[str, int], CacheLine]:
    by_name: dict[tuple[str, int], CacheLine] = {}
    for line in lines:
        number = 0
        while (line.name, number) in by_name:
            number += 1
        by_name[line.name, number] = line
    return by_name


def _figure(line: CacheLine | None, field: str, known: bool) -> float | None:
    if line is None:
        return 0 if known else None
    figure: float | None = getattr(line, field)
    return figure


def node_rows(before: Ledger, after: Ledger) -> ChangedRows[NodeChange]:
    """Changes of the free memory and the headroom of each node."""
    ledgers = (before, after)
    sides = [{node.node: node for node in ledger.nodes} for ledger in ledgers]
    changes = []
    for number in sorted(sides[0].keys() | sides[1].keys()):
        one, two = (side.get(number) for side in sides)
        free = [None if node is None else node.free_bytes for node in (one, two)]
        changes.append(
            NodeChange(
                node=number,
                free_bytes=Change("free_bytes", "free", "bytes", free[0], free[1]),
                headroom_sockets=_headroom_change(before, after, *(_free_sockets(number, side) for side in ledgers)),
            )
        )
    return sort_by_change(changes, lambda change: change.free_bytes)


def node_sum(before: Ledger, after: Ledger) -> NodeChange | None:
    """The changes of all nodes together; None of a machine with one node."""
    ledgers = (before, after)
    if max(len(ledger.nodes) for ledger in ledgers) < 2:
        return None
    free = [_sum([node.free_bytes for node in ledger.nodes]) for ledger in ledgers]
    fits = [_sum([_free_sockets(node.node, ledger) for node in ledger.nodes]) for ledger in ledgers]
    return NodeChange(
        node=None,
        free_bytes=Change("free_bytes", "free", "bytes", free[0], free[1]),
        headroom_sockets=_headroom_change(before, after, fits[0], fits[1]),
    )


def _headroom_change(before: Ledger, after: Ledger, one: int | None, two: int | None) -> Change:
    """The change of a number of sockets that fit: the most if buffers are a range; the bounds then have the least."""
    kinds: list[Bound] = ["at most" if ledger.headroom["full"].is_at_most else "exact" for ledger in (before, after)]
    bounds = [_headroom_bounds(ledger, fits) for ledger, fits in ((before, one), (after, two))]
    return Change(
        "headroom_sockets",
        "headroom",
        "count",
        one,
        two,
        kinds[0],
        kinds[1],
        before_bounds=bounds[0],
        after_bounds=bounds[1],
    )


def _headroom_bounds(ledger: Ledger, fits: int | None) -> Amount | None:
    least = None if fits is None else ledger.headroom["full"].least_sockets(fits)
    return None if fits is None or least is None else Amount(least, fits)


def _sum(figures: Sequence[int | None]) -> int | None:
    """The sum; None if a figure is unknown, or if there is none."""
    return None if not figures or None in figures else sum(filter(None, figures))


def _free_sockets(node: int, ledger: Ledger) -> int | None:
    nodes = ledger.headroom["full"].nodes
    return nodes[node].without_reclaim if node in nodes else None


def free_block_rows(before: Ledger, after: Ledger) -> ChangedRows[FreeBlocksChange]:
    """Changes in the number of free blocks of each order, in each zone.

    If both ledgers count the free blocks of a zone by migrate type, there is one change for each migrate type in this
    zone.

    The result is empty if the page sizes differ, because blocks of one order then differ in size.
    """
    page_bytes = [ledger.host.page_size_bytes for ledger in (before, after)]
    if None not in page_bytes and page_bytes[0] != page_bytes[1]:
        return ChangedRows((), 0)
    sides = [
        {(node.node, zone.zone): zone for node in ledger.nodes for zone in node.zones} for ledger in (before, after)
    ]
    changes = []
    for node, name in sorted(sides[0].keys() | sides[1].keys()):
        one, two = (side.get((node, name)) for side in sides)
        typed = all(zone is None or zone.migrate_types is not None for zone in (one, two))
        lists = [_blocks_by_type(zone, typed) for zone in (one, two)]
        for migrate_type in {**lists[0], **lists[1]}:
            counts = [by_type.get(migrate_type) for by_type in lists]
            for order in range(max(len(count or ()) for count in counts)):
                blocks = [count[order] if count is not None and order < len(count) else None for count in counts]
                sizes = [
                    None if count is None or page is None else count * (page << order)
                    for count, page in zip(blocks, page_bytes, strict=True)
                ]
                capped = _capped(one, two, migrate_type, order)
                changes.append(
                    FreeBlocksChange(
                        node=node,
                        zone=name,
                        migrate_type=migrate_type,
                        order=order,
                        blocks=Change("blocks", "free blocks", "count", blocks[0], blocks[1], *capped),
                        bytes=Change("free_bytes", "free", "bytes", sizes[0], sizes[1], *capped),
                    )
                )
    return sort_by_change(changes, lambda change: change.bytes)


def _blocks_by_type(zone: ZoneMemory | None, typed: bool) -> dict[str | None, tuple[int, ...]]:
    if zone is None:
        return {}
    if typed and zone.migrate_types is not None:
        return {name: blocks for name, blocks in zone.migrate_types.items()}  # noqa: C416 (wider keys)
    return {} if zone.free_area is None else {None: zone.free_area}


def _capped(
    one: ZoneMemory | None, two: ZoneMemory | None, migrate_type: str | None, order: int
) -> tuple[Bound, Bound]:
    """The kind of the number of free blocks in each of the two ledgers: `at least` or `exact`.

    The kind is `at least` if the kernel stopped counting before the last free block.
    """
    bounds: list[Bound] = [
        "at least" if zone and order in (zone.capped or {}).get(migrate_type or "", ()) else "exact"
        for zone in (one, two)
    ]
    return bounds[0], bounds[1]
