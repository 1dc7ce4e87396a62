"""A text about the slab growth between two samples, and about the share of this growth that sockets explain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from tcptop.comparison.difference import LedgerDifference, SlabGrowth
from tcptop.ledger import Amount
from tcptop.text import units
from tcptop.text.line import wrap_text
from tcptop.text.table import make_headings, plain_table

COLUMNS = 80
MAX_OTHER_ROWS = 5
MAX_NAME_CHARACTERS = 30

AT_MOST = "at most"
"""The note on objects whose number is an upper bound."""
TITLE = "Slab growth, and how much of it the sockets explain"
PART_HEADINGS = make_headings("<WHAT", "COUNT", "BYTES")
REST_HEADINGS = make_headings("<", "")


def growth_lines(difference: LedgerDifference) -> Iterator[str]:
    """The section on slab growth, or the reason why the growth is unknown."""
    growth = difference.growth
    yield TITLE
    if growth is None:
        yield from wrap_text(f"  {units.UNKNOWN}   {difference.no_growth_because}", COLUMNS, "      ")
        return
    if not growth.bytes and not difference.caches.changed:
        yield "  slab memory did not change"
        return
    grew = f"grew by {units.size(growth.bytes)}" if growth.bytes >= 0 else f"shrank by {units.size(-growth.bytes)}"
    yield from wrap_text(f"  slab memory {grew}{_explained(growth)}", COLUMNS, "  ")
    yield from plain_table(PART_HEADINGS, list(_parts(growth)))
    if growth.missing:
        yield from wrap_text(f"  of unknown size or number: {', '.join(growth.missing)}", COLUMNS, "    ")
    rest = list(_rest(growth))
    if not rest:
        yield f"  what else it is, is not known: {_why_no_rest(growth)}"
    else:
        yield "  not explained by sockets:"
        yield from plain_table(REST_HEADINGS, rest)
        yield from wrap_text(f"  {LEGEND}{NO_OBJECT if not growth.missing else MAYBE_NO_OBJECT}", COLUMNS, "    ")


def _explained(growth: SlabGrowth) -> str:
    """The share of the slab growth that sockets explain: in per cent, or in words if it is below 0 % or above 100 %."""
    least = "at least " if growth.missing else ""
    if growth.shares is not None and growth.shares.high < inf and round(growth.shares.high * 100) <= 100:
        low, high = (min(share, 1.0) for share in growth.shares)
        return f"; sockets explain {units.bounds_span((low, high), units.percent_bound)} % of it"
    if growth.shares is not None and growth.shares.low < 1:
        return f"; sockets explain {least}{units.percent_bound(growth.shares.low, False)} % of it, perhaps all"
    opened = sum(growth.socket_bytes) > 0
    if growth.shares is not None:
        return f"; sockets explain more than that: {_offset(growth, opened)}"
    if growth.bytes and all(end * growth.bytes < 0 for end in growth.socket_bytes):
        return f"; not by sockets, which went the other way: {_offset(growth, opened)}"
    return ""


def _why_no_rest(growth: SlabGrowth) -> str:
    if growth.outdated:
        return "; ".join(growth.outdated)
    if growth.rows_differ:
        return "the rows do not count the same caches"
    return "that takes a whole /proc/slabinfo of both"


def _offset(growth: SlabGrowth, opened: bool) -> str:
    """Text that says why slab memory grew or shrank by fewer bytes than the objects of sockets.

    The reason is a change in idle objects, in slabs of other users, or in slabs that no row counts.
    """
    if growth.idle_bytes is None or growth.others_bytes is None or growth.other_rows is None:
        return f"by what, is not known: {_why_no_rest(growth)}"
    sign = -1 if opened else 1
    idle = Amount(*sorted(sign * end for end in growth.idle_bytes))
    rows = sum(row.bytes for row in growth.other_rows)
    others = Amount(*sorted(sign * (end + rows) for end in growth.others_bytes))
    if max(idle.high, others.high) <= 0:
        return "slabs that no row counts made up for it"
    if idle.low >= others.high:
        return "the caches had idle objects" if opened else "the caches kept idle objects"
    if others.low >= idle.high:
        return "other users gave slabs back" if opened else "other users took slabs"
    return "idle objects or other users made up for it"


LEGEND = (
    "idle: free objects in the caches of the sockets' objects; others: other users of the shared ones, and free"
    " objects there that lie on CPUs; below them: "
)
NO_OBJECT = "caches that hold no object of a socket"
MAYBE_NO_OBJECT = "caches not known to hold an object of a socket: what is of unknown size or number may be in them"


def _parts(growth: SlabGrowth) -> Iterator[list[str]]:
    for part in growth.sockets:
        is_bound = part.note == AT_MOST and part.count.low <= 0 <= part.count.high
        yield [
            f"{part.name}{f' ({part.note})' if part.note and not is_bound else ''}",
            _larger_end(part.count, units.signed_count) if is_bound else units.span(part.count, units.signed_count),
            _larger_end(part.bytes, units.signed_size) if is_bound else units.span(part.bytes, units.signed_size),
        ]
    least = ", at least" if growth.missing else ""
    yield [f"all of the sockets{least}", "", units.span(growth.socket_bytes, units.signed_size)]


def _larger_end(bounds: Amount, text: Callable[[float], str]) -> str:
    """The end of a range around 0 that is farther from 0, as a bound: `<= +16 029`, `>= -16 029`.

    The other end says nothing of use: it is an error of the counts.
    """
    low, high = bounds
    return f"≤ {text(high)}" if high >= -low else f"≥ {text(low)}"


def _rest(growth: SlabGrowth) -> Iterator[list[str]]:
    if growth.idle_bytes is not None:
        yield ["idle", units.span(growth.idle_bytes, units.signed_size)]
    if growth.others_bytes is not None:
        yield ["others", units.span(growth.others_bytes, units.signed_size)]
    rows = growth.other_rows or ()
    for row in rows[:MAX_OTHER_ROWS]:
        yield [row.name[:MAX_NAME_CHARACTERS], units.signed_size(row.bytes)]
    rest = rows[MAX_OTHER_ROWS:]
    if rest:
        more = "1 more cache" if len(rest) == 1 else f"{len(rest)} more caches"
        yield [more, units.signed_size(sum(row.bytes for row in rest))]
    if growth.no_row_bytes:
        yield ["in no cache's row", units.signed_size(growth.no_row_bytes)]
