"""Growth of slab memory between two ledgers, and the part of this growth that is due to sockets.

For each kind of object, the part due to sockets is the growth of the bytes that the objects take. The number of objects
has bounds in each ledger, so the bytes have bounds too. Slabinfo rows that count no objects of sockets are listed, each
row with its growth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Literal

from tcptop.comparison.difference import GrowthPart, RowGrowth, SlabGrowth
from tcptop.kernel.objects import LSM_CACHES, MPTCP_SOCKS, OBJECT_OF_CACHE, State
from tcptop.ledger import (
    UNKNOWN_CACHE,
    Amount,
    CacheLine,
    HeldName,
    HeldObjects,
    HeldPart,
    Ledger,
    StateCost,
    fallback_factor,
)
from tcptop.rates import increase

ZERO = Amount(0.0, 0.0)

PartKey = tuple[str, Literal["ipv4", "ipv6"] | None, str | None]
"""Struct, family and kmalloc cache of vectors: what a part of one ledger and the same part of the other have alike."""

BOOT_PREFIXES = ("kmalloc-", "dma-kmalloc-", "size-")
BOOT_CACHES = frozenset(("kmem_cache", "kmem_cache_node", *LSM_CACHES))
"""Caches that the kernel creates at boot and never destroys: the caches of kmalloc (mm/slab_common.c,
create_kmalloc_caches; `size-` before 3.9), of the slab allocator itself, and of security modules (security/security.c).
The catalogue marks further such caches as `always`."""

MAX_NAMES = 4
MERGED_OTHERWISE = "merged with other caches in one input than in the other"
LOST_ROW = "in slabinfo of one input only: its row is lost"
ROW_OF_ONE_SIDE = "in slabinfo of one input only: the cache was created or destroyed, or its row is lost"

SEGMENTS = "queued FINs, data"
MPTCP = "MPTCP socks"
MPTCP_CACHES = tuple(item.caches[0] for item in MPTCP_SOCKS)

NOTES: Mapping[HeldName, str] = {
    "socks": "",
    "files": "with inode, dentry",
    "inodes": "without file",
    "local ports": "at most",
    "request socks": "at most",
    "mini-sockets": "TIME_WAIT",
}
"""The kinds of objects in the order of the reports, each with a note."""


def slab_growth(before: Ledger, after: Ledger) -> SlabGrowth | str:
    """The growth of slab memory between two ledgers of one kernel, or the reason why the growth is unknown."""
    growth = increase(before.slab_memory.total_bytes, after.slab_memory.total_bytes)
    if growth is None:
        return "Slab is missing from /proc/meminfo of one input"
    sides = (_held(before), _held(after))
    if not all("socks" in side for side in sides):
        return "the number of sockets is missing from /proc/net/sockstat of one input"
    if not any(part.unit_bytes for side in sides for part in side["socks"].parts if part.family is not None):
        return "the size of a socket is not known"
    own_rows = _own_rows(before) | _own_rows(after)
    parts, own, shared = [], ZERO, ZERO
    for name in NOTES:
        if not all(name in side for side in sides):
            continue
        kinds = (sides[0][name], sides[1][name])
        own_growth, shared_growth = _growth_of_kind(kinds, sides, own_rows)
        count = _ports_growth(sides) if name == "local ports" else kinds[1].number.minus(kinds[0].number)
        note = "IPv4 and IPv6" if name == "socks" and _changes_both_families(kinds) else NOTES[name]
        parts.append(_part(name, count, _add(own_growth, shared_growth), note))
        own, shared = _add(own, own_growth), _add(shared, shared_growth)
    segments = _segments_growth(before, after)
    if segments is not None:
        parts.append(_part(SEGMENTS, *segments, "at most"))
        shared = _add(shared, segments[1])
    mptcp = _mptcp_growth(before, after)
    parts.append(_part(MPTCP, *mptcp, "beside the socks of their subflows"))
    own = _add(own, mptcp[1])
    socket_rows = before.socket_rows | after.socket_rows | _possible_rows(sides) | set(MPTCP_CACHES)
    growths = _row_growths(before, after)
    found = SlabGrowth(
        bytes=round(growth),
        sockets=tuple(part for part in parts if part.bytes != ZERO),
        missing=_missing(before, after, sides, segments is not None),
        idle_bytes=None,
        others_bytes=None,
        other_rows=None,
        no_row_bytes=None,
        outdated=tuple(filter(None, (outdated_text(before, "A"), outdated_text(after, "B")))),
        rows_differ=bool(rows_merged_otherwise(before, after)),
    )
    shared_rows = socket_rows - own_rows
    before_free, after_free = _free_bytes(before, shared_rows), _free_bytes(after, shared_rows)
    if growths is not None and before_free is not None and after_free is not None:
        in_own = sum(growth for row, growth in growths.items() if row in socket_rows and row in own_rows)
        in_shared = sum(growth for row, growth in growths.items() if row in socket_rows and row not in own_rows)
        free = after_free - before_free
        found = replace(
            found,
            idle_bytes=Amount(round(in_own - own.high + free), round(in_own - own.low + free)),
            others_bytes=Amount(round(in_shared - free - shared.high, 2), round(in_shared - free - shared.low, 2)),
            other_rows=_other_rows(growths, socket_rows),
            no_row_bytes=round(growth) - sum(growths.values()),
        )
    return _no_growth(found) if before == after else found


def _no_growth(found: SlabGrowth) -> SlabGrowth:
    """The growth between two equal ledgers, in which every number is taken to be unchanged."""
    return replace(
        found,
        sockets=(),
        idle_bytes=None if found.idle_bytes is None else Amount(0, 0),
        others_bytes=None if found.others_bytes is None else ZERO,
    )


def _held(ledger: Ledger) -> dict[HeldName, HeldObjects]:
    return {kind.name: kind for kind in ledger.held}


def _changes_both_families(kinds: tuple[HeldObjects, HeldObjects]) -> bool:
    """True if the numbers of IPv4 socks and of IPv6 socks both certainly changed."""
    numbers = [{part.family: part.number for part in kind.parts} for kind in kinds]
    changes = [numbers[1].get(family, ZERO).minus(numbers[0].get(family, ZERO)) for family in ("ipv4", "ipv6")]
    return all(change.low * change.high > 0 for change in changes)


def _part(name: str, count: Amount, growth: Amount, note: str) -> GrowthPart:
    return GrowthPart(
        name=name,
        count=Amount(round(count.low), round(count.high)),
        bytes=Amount(round(growth.low, 2), round(growth.high, 2)),
        note=note,
    )


def _missing(
    before: Ledger, after: Ledger, sides: Iterable[Mapping[HeldName, HeldObjects]], has_segments: bool
) -> tuple[str, ...]:
    """Names of the objects whose size or number is unknown in at least one of the ledgers.

    The result includes every object that the reports list as missing from a socket's cost or from TCP's memory.
    """
    ledgers = (before, after)
    missing = [
        name for ledger in ledgers for cost in ledger.costs.values() for name in cost.by_family["mix"].outgoing.missing
    ]
    missing += [name for name in NOTES if not all(name in side for side in sides)]
    missing += [] if has_segments else [SEGMENTS]
    merged = rows_merged_otherwise(before, after)
    missing += _some_of(sorted(merged), MERGED_OTHERWISE)
    names = [name for name in _rows_of_one_side(before, after) if name not in merged]
    missing += _some_of([name for name in names if is_never_destroyed(name)], LOST_ROW)
    missing += _some_of([name for name in names if not is_never_destroyed(name)], ROW_OF_ONE_SIDE)
    missing += [because for because in (outdated_text(before, "A"), outdated_text(after, "B")) if because]
    for name in (name for ledger in ledgers for name in ledger.tcp_memory.missing):
        if not any(name == other or f"({name})" in other for other in missing):
            missing.append(name)
    return tuple(dict.fromkeys(missing))


def outdated_text(ledger: Ledger, letter: str) -> str:
    """The reason why slabinfo of input A or B is not of the same moment as its sockets; empty if it is."""
    because = ledger.tcp_memory.outdated_because
    return "" if because is None else f"{letter}: {because}"


def _some_of(names: Sequence[str], why: str) -> list[str]:
    """A text with the first few names, the number of the others, and what is the matter; empty without names."""
    if not names:
        return []
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return [f"{', '.join(names[:MAX_NAMES])}{more} ({why})"]


def _growth_of_kind(
    kinds: tuple[HeldObjects, HeldObjects],
    sides: tuple[Mapping[HeldName, HeldObjects], Mapping[HeldName, HeldObjects]],
    own_rows: frozenset[str],
) -> tuple[Amount, Amount]:
    """Growth of the bytes of all objects of one kind: in the rows that only TCP uses, and in all other rows."""
    by_key: list[dict[PartKey, HeldPart]] = [
        {(part.object, part.family, part.vector_cache): part for part in kind.parts} for kind in kinds
    ]
    own: tuple[list[Amount], list[Amount]] = ([], [])
    shared = ZERO
    for key in {**by_key[0], **by_key[1]}:
        pair = _like_pair(key, by_key)
        units = _units(pair)
        if units is None:
            continue
        numbers = [
            ZERO if part is None else _scaled(part.number, factor)
            for part, factor in zip(pair, _factors(pair), strict=True)
        ]
        if any(part is not None and own_rows.intersection(part.rows) for part in pair):
            for ends, number, unit in zip(own, numbers, units, strict=True):
                ends.append(number.times(unit))
        elif kinds[0].name == "local ports":
            factors = _factors(pair)
            low, high = min(unit.low for unit in units), max(unit.high for unit in units)
            unit = Amount(low * min(factors), high * max(factors))
            shared = _add(shared, _ports_growth(sides).times(unit))
        elif units[0] == units[1]:
            shared = _add(shared, numbers[1].minus(numbers[0]).times(units[0]))
        else:
            shared = _add(shared, numbers[1].times(units[1]).minus(numbers[0].times(units[0])))
    sums = [_sum_of_families(ends) if kinds[0].name == "socks" else _sum(ends) for ends in own]
    return sums[1].minus(sums[0]), shared


def _like_pair(key: PartKey, by_key: Sequence[Mapping[PartKey, HeldPart]]) -> tuple[HeldPart | None, HeldPart | None]:
    """The parts with the same key in both ledgers; None for an object that a kernel does not have.

    A ledger whose files do not show which vectors the slabs have takes the vectors of the other ledger, since both
    kernels are the same. If neither ledger has all vectors, only vectors that both ledgers have are compared.
    """
    item, family, vector_cache = key
    pair = [parts.get(key) for parts in by_key]
    unknown = [None if vector_cache is None else parts.get((item, family, UNKNOWN_CACHE)) for parts in by_key]
    for side, other in ((0, 1), (1, 0)):
        marker = unknown[side]
        if marker is not None and unknown[other] is None:
            likeness = pair[other]
            pair[side] = None if likeness is None else likeness._replace(number=marker.number, is_read=False)
    if any(unknown) and None in pair:
        return None, None
    return pair[0], pair[1]


def _units(pair: tuple[HeldPart | None, HeldPart | None]) -> tuple[Amount, Amount] | None:
    """Bounds on the bytes of one object in each ledger; None if neither ledger knows the size.

    An object has one size on one kernel, so the bounds of both ledgers apply to the size, and a size that only one
    ledger read from a file applies to both. If both ledgers read the size, and the bounds do not overlap, the kernel
    was restarted with other options, such as slub_debug, and the object has a different size in each ledger.
    """
    known = [part for part in pair if part is not None and part.unit_bytes is not None]
    read = [part for part in known if part.is_read]
    units = [part.unit_bytes for part in (read or known) if part.unit_bytes is not None]
    if not units:
        return None
    low, high = max(unit.low for unit in units), min(unit.high for unit in units)
    if low > high and read:
        return units[0], units[1]
    low, high = min(low, high), max(low, high)
    # Without an upper bound, `SlabGrowth.missing` names the object, and the bytes of the sockets are lower bounds.
    unit = Amount(low, low if high == inf else high)
    return unit, unit


def _factors(pair: tuple[HeldPart | None, HeldPart | None]) -> tuple[float, float]:
    """`fallback` of both parts. A ledger whose files do not show the factor takes the factor of the other ledger."""
    factors = [None if part is None else part.fallback for part in pair]
    read = [part.fallback for part in pair if part is not None and part.is_read]
    one, two = (
        read[0] if read and (part is None or not part.is_read) else factor or 1.0
        for part, factor in zip(pair, factors, strict=True)
    )
    return one, two


def _scaled(amount: Amount, factor: float) -> Amount:
    return Amount(amount.low * factor, amount.high * factor)


def _sum_of_families(ends: list[Amount]) -> Amount:
    """Bounds on the bytes of IPv4 and IPv6 socks together.

    The total number of socks is exact, so the minimum of one family goes with the maximum of the other family.
    """
    if len(ends) != 2:
        return _sum(ends)
    one, two = ends
    return Amount(*sorted((one.low + two.high, one.high + two.low)))


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = ZERO
    for amount in amounts:
        total = _add(total, amount)
    return total


def _add(one: Amount, other: Amount) -> Amount:
    return Amount(one.low + other.low, one.high + other.high)


def _ports_growth(sides: tuple[Mapping[HeldName, HeldObjects], Mapping[HeldName, HeldObjects]]) -> Amount:
    """Bounds on the increase in the number of local ports in use.

    The kernel has no counter of ports. Each new sock or mini-socket may own a port, and each freed sock or mini-socket
    may have owned a port.
    """
    low = high = 0.0
    names: tuple[Literal["socks"], Literal["mini-sockets"]] = ("socks", "mini-sockets")
    for name in names:
        if not all(name in side for side in sides):
            continue
        by_family = [
            {part.family: part.number for part in side[name].parts if part.family and part.vector_cache is None}
            for side in sides
        ]
        for family in by_family[0].keys() | by_family[1].keys():
            change = by_family[1].get(family, ZERO).minus(by_family[0].get(family, ZERO))
            low, high = low + min(0.0, change.low), high + max(0.0, change.high)
    return Amount(low, high)


def _segments_growth(before: Ledger, after: Ledger) -> tuple[Amount, Amount] | None:
    """Bounds on the increase in the number and in the bytes of queued segments, such as unread FINs; None if unknown.

    The kernel has no counter of queued segments. The bounds are computed from the number of objects in use in each
    slabinfo row that counts objects of segments. The numbers of other objects in the rows of segments are assumed not
    to change. The number of objects in use is itself uncertain, because some active objects may be free objects in
    per-CPU caches.
    """
    sides = [
        {part.object: part for part in _state(ledger, State.CLOSE_WAIT).unread_fin_parts or ()}
        for ledger in (before, after)
    ]
    changes: list[Amount] = []
    unit = ZERO
    for name in {**sides[0], **sides[1]}:
        known = [side[name] for side in sides if name in side]
        one, two = _objects_in_use(before, known[0].cache), _objects_in_use(after, known[-1].cache)
        if one is None or two is None:
            return None
        changes.append(two.minus(one))
        factors = [fallback_factor(part.cache, ledger.cache) for ledger in (before, after) for part in known]
        lows = [part.object_bytes if part.slab_bytes is None else part.slab_bytes for part in known]
        high = max(*lows, *(part.high_slab_bytes or 0.0 for part in known))
        unit = _add(unit, Amount(min(lows) * min(factors), high * max(factors)))
    if not changes:
        return None
    number = Amount(min(0.0, max(each.low for each in changes)), max(0.0, min(each.high for each in changes)))
    return number, number.times(unit)


def _mptcp_growth(before: Ledger, after: Ledger) -> tuple[Amount, Amount]:
    """Bounds on the increase in the number and in the bytes of MPTCP's socks in use."""
    number = growth = ZERO
    for name in MPTCP_CACHES:
        one, two, line = _objects_in_use(before, name), _objects_in_use(after, name), after.cache(name)
        if one is not None and two is not None and line is not None and line.present_share_bytes is not None:
            change = two.minus(one)
            share = line.present_share_bytes
            number, growth = _add(number, change), _add(growth, Amount(change.low * share, change.high * share))
    return number, growth


def _objects_in_use(ledger: Ledger, cache: str) -> Amount | None:
    """Bounds on the number of objects in use in the slabinfo row of a cache; None if unknown."""
    line = ledger.cache(cache)
    row = ledger.cache(line.row) if line is not None else None
    if row is None or row.active_objects is None:
        return None
    idle_error = row.active_objects if row.idle_error_objects is None else row.idle_error_objects
    return Amount(row.active_objects - idle_error, row.active_objects)


def _own_rows(ledger: Ledger) -> frozenset[str]:
    """Names of the slabinfo rows that count objects of TCP only."""
    return frozenset(line.name for line in slabinfo_rows(ledger) if not line.shared)


def _possible_rows(sides: Iterable[Mapping[HeldName, HeldObjects]]) -> frozenset[str]:
    """Names of the slabinfo rows that may count objects of sockets of either family."""
    return frozenset(row for side in sides for kind in side.values() for part in kind.parts for row in part.rows)


def _state(ledger: Ledger, state: State) -> StateCost:
    return next(cost for cost in ledger.states if cost.state == state.value)


def _row_growths(before: Ledger, after: Ledger) -> dict[str, int] | None:
    """Growth of each slabinfo row in bytes; None if slabinfo is incomplete or outdated in either ledger.

    Complete slabinfo has a row for every cache. If only one ledger has a row, the row therefore counts as 0 bytes in
    the other ledger. But if the kernel never destroys the cache of the row, slabinfo lost the row, and is incomplete.
    """
    if not has_all_rows(before) or not has_all_rows(after):
        return None
    if before.tcp_memory.outdated_because or after.tcp_memory.outdated_because:
        return None
    if any(is_never_destroyed(name) for name in _rows_of_one_side(before, after)):
        return None
    if rows_merged_otherwise(before, after):
        return None
    growths: dict[str, int] = {}
    for sign, ledger in ((-1, before), (1, after)):
        for line in slabinfo_rows(ledger):
            if line.bytes is None:
                return None
            growths[line.name] = growths.get(line.name, 0) + sign * line.bytes
    return growths


def is_never_destroyed(name: str) -> bool:
    """True if the kernel creates the cache of this slabinfo row at boot, and never destroys it."""
    item = OBJECT_OF_CACHE.get(name)
    return name.startswith(BOOT_PREFIXES) or name in BOOT_CACHES or (item is not None and item.always)


def rows_merged_otherwise(before: Ledger, after: Ledger) -> frozenset[str]:
    """Names of the slabinfo rows that count other caches in one ledger than in the other.

    Which caches the kernel merges depends on its parameters (slab_nomerge, slub_debug) and on the order in which they
    are made. The result is empty without /sys/kernel/slab in both ledgers, which shows the merged caches.
    """
    rows_of = [
        {name: line.name for line in slabinfo_rows(ledger) for name in (line.name, *line.aliases)}
        for ledger in (before, after)
    ]
    pairs = [(row, rows_of[1][name]) for name, row in rows_of[0].items() if name in rows_of[1]]
    return frozenset(row for pair in pairs if pair[0] != pair[1] for row in pair)


def _rows_of_one_side(before: Ledger, after: Ledger) -> list[str]:
    """The sorted names of the slabinfo rows that only one ledger has.

    The list is empty if slabinfo of a ledger is incomplete.
    """
    if not has_all_rows(before) or not has_all_rows(after):
        return []
    one, two = ({line.name for line in slabinfo_rows(ledger)} for ledger in (before, after))
    return sorted(one ^ two)


def slabinfo_rows(ledger: Ledger) -> list[CacheLine]:
    """The slabinfo rows of a ledger; caches that are merged into another cache's row are left out.

    The list is empty without slabinfo.
    """
    if ledger.sources["slabinfo"].state not in ("ok", "cut", "strange", "late"):
        return []
    return [line for line in ledger.caches if line.row == line.name]


def has_all_rows(ledger: Ledger) -> bool:
    """True if slabinfo is complete, so that every slab cache of the kernel has a row."""
    return ledger.sources["slabinfo"].state in ("ok", "late") and bool(slabinfo_rows(ledger))


def _free_bytes(ledger: Ledger, names: frozenset[str]) -> float | None:
    """Idle bytes of the rows in `names`: the size of the slabs minus the active objects' shares of the slabs.

    The idle bytes are None if the number of active objects of a row is unknown, for example because slabinfo lacks the
    row.
    """
    free = 0.0
    for line in slabinfo_rows(ledger):
        if line.name in names and line.bytes is not None and line.present_share_bytes is not None:
            if line.active_objects is None:
                return None
            free += line.bytes - line.active_objects * line.present_share_bytes
    return free


def _other_rows(growths: dict[str, int], socket_rows: frozenset[str]) -> tuple[RowGrowth, ...]:
    """The slabinfo rows that changed and count no objects of sockets; the row with the largest change comes first."""
    others = [RowGrowth(name, growth) for name, growth in growths.items() if growth and name not in socket_rows]
    return tuple(sorted(others, key=lambda row: (-abs(row.bytes), row.name)))
