"""A difference of two ledgers as plain text: ASCII only, and at most 80 columns wide unless a name does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from time import gmtime, strftime

from tcptop.comparison.difference import (
    Bound,
    CacheChange,
    Change,
    ChangedRow,
    ChangedRows,
    ComparedInput,
    FreeBlocksChange,
    LedgerDifference,
    NodeChange,
    StateChange,
)
from tcptop.explanation.limit_texts import (
    WITHOUT_DATA,
    counted_buffers_text,
    first_limit_number,
    first_limits_text,
    with_buffers_text,
)
from tcptop.kernel.objects import State
from tcptop.ledger import Amount
from tcptop.report.growth_text import COLUMNS, growth_lines
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import wrap_text
from tcptop.text.table import Heading, cut_text, make_headings, plain_table

MAX_ROWS = 15
"""Maximum number of rows in a list of changes. If a list has more rows, one line gives the sum of the rows that are not
shown. With --json, all rows are listed."""
MAX_NAME_CHARACTERS = 20

BOUND_SIGNS = {"exact": "", "at least": ">=", "at most": "<=", "about": "~"}
ROUNDED_UP = {"at most": True, "at least": False}
"""True if a bound is rounded up; False if it is rounded down. Other figures are rounded to the nearest number."""


def diff_as_text(difference: LedgerDifference) -> str:
    """The whole report as text that ends in a newline."""
    page_size_bytes = difference.after.host.page_size_bytes or difference.before.host.page_size_bytes
    sections = [
        _head(difference),
        _figures("Sockets", difference.sockets),
        _figures("Events", difference.events),
        _figures("Bytes per connection", difference.connection),
        _figures("Memory", (difference.slab_memory, difference.tcp_memory)),
        growth_lines(difference),
        _changed_rows("Slab caches", difference.caches, CACHE_HEADINGS, _cache_cells, lambda row: row.bytes, "caches"),
        _figures(
            "TCP states, sockets in each",
            [replace(row.count, name=row.state) for row in difference.states.changed],
            STATE_HEADINGS,
        ),
        _state_costs(difference.states),
        _nodes(difference),
        _changed_rows(
            "Free blocks by node, zone, migrate type and order",
            difference.free_blocks,
            BLOCK_HEADINGS,
            lambda row: _block_cells(row, page_size_bytes),
            lambda row: row.bytes,
            "lists",
        ),
        _not_read(difference),
    ]
    text = "\n\n".join("\n".join(section) for section in map(list, sections) if section)
    return report_to_ascii(f"{text}\n")


def _head(difference: LedgerDifference) -> Iterator[str]:
    unlike = f"; not the same: {', '.join(difference.unlike)}" if difference.unlike else ""
    yield from wrap_text(f"tcptop diff: what changed from A to B{unlike}", COLUMNS)
    if answer := _answer(difference):
        yield from wrap_text(report_to_ascii(answer), COLUMNS)
    for letter, subject in (("A", difference.before), ("B", difference.after)):
        yield from wrap_text(f"{letter}  {_facts(subject)}", COLUMNS, "  ")
    if first_limit := _first_limit(difference):
        yield from wrap_text(report_to_ascii(first_limit), COLUMNS, "  ")


def _first_limit(difference: LedgerDifference) -> str:
    """The first limit of A and of B, with how many more sockets fit below it; empty where both texts are the same."""
    sides = (difference.before, difference.after)
    names = [first_limits_text(side.limits) for side in sides]
    texts = [
        f"{name} {first_limit_number(side.headroom, side.limits)}" if name else "not known"
        for name, side in zip(names, sides, strict=True)
    ]
    if texts[0] == texts[1]:
        return ""
    buffers = [counted_buffers_text(side.limits, side.headroom) for side in sides]
    if all(names) and buffers[0] != buffers[1]:
        texts = [with_buffers_text(text, counted) for text, counted in zip(texts, buffers, strict=True)]
        texts[1] += " (not comparable: other buffers)"
    return f"First limit of more sockets: {texts[0]} -> {texts[1]}"


def _answer(difference: LedgerDifference) -> str:
    """The whole difference in one sentence: sockets, their kernel memory, and what fits; empty if none is known."""
    texts: list[str] = []
    sockets = next((change.increase for change in difference.sockets if change.key == "allocated"), None)
    if sockets is not None:
        number = units.counted(abs(round(sockets)), "socket").split(" socket")
        word = "more" if sockets > 0 else "fewer"
        texts.append(f"{number[0]} {word} socket{number[1]}" if sockets else "the same number of sockets")
    texts += _memory_answer(difference, sockets)
    rows = difference.nodes.changed
    total = difference.node_sum or (rows[0] if len(rows) == 1 and not difference.nodes.unchanged else None)
    fits = None if total is None else total.headroom_sockets
    if fits is not None and fits.increase and fits.increase_bound == "exact" and _counts_one_size(difference.headroom):
        number_of = units.rough_count(abs(round(fits.increase)))
        texts.append(f"room in free memory: {'+' if fits.increase > 0 else '-'}{number_of} sockets")
    start = ": ".join(texts[:2]) if sockets is not None else "; ".join(texts[:2])
    return "; ".join([start, *texts[2:]]) if texts else ""


def _memory_answer(difference: LedgerDifference, sockets: float | None) -> list[str]:
    """The change of the sockets' kernel memory, as the range of it if its sign is unknown; empty if none is known."""
    memory, span = difference.tcp_memory, difference.tcp_memory.span
    if memory.increase is None and span is not None and inf not in (-span.low, span.high):
        slab = None if difference.growth is None or difference.growth.missing else difference.growth.socket_bytes
        change = units.signed_size_range(span.low, span.high)
        if slab is not None and sockets and slab.low * sockets > 0 and slab.high * sockets > 0:
            return [f"{units.signed_size_range(*slab)} of slab; with buffers {change}"]
        return [f"kernel memory {change}"]
    if memory.increase is None or memory.increase_bound not in ("exact", "about"):
        return []
    about = "" if memory.increase_bound == "exact" else "≈ "
    sign = "+" if memory.increase > 0 else "-" if memory.increase < 0 else ""
    size = f"{about}{sign}{units.size(abs(memory.increase))}"
    others = [change for change in difference.sockets if change.key.startswith("time_wait")]
    is_of_sockets = sockets and memory.increase / sockets > 0 and not any(change.changed for change in others)
    if sockets and is_of_sockets:
        return [f"{size}, ≈ {units.exact_bytes(float(f'{memory.increase / sockets:.3g}'))} B each"]
    return [f"{size} of kernel memory"]


def _facts(subject: ComparedInput) -> str:
    host = subject.host
    if subject.taken_at_unix_s is not None:
        when = strftime("%Y-%m-%d %H:%M:%S UTC", gmtime(subject.taken_at_unix_s))
    else:
        when = "live" if subject.live else "saved"
    facts = [
        *(() if host.name is None else (host.name,)),
        f"Linux {host.kernel or units.UNKNOWN}",
        units.counted(host.cpus, "CPU"),
        f"{units.size(host.page_size_bytes)} pages",
        f"{units.size(host.memory_bytes)} memory",
        when,
    ]
    return f"{subject.label}: {', '.join(facts)}"


FIGURE_HEADINGS = make_headings("<FIGURE", "A", "B", "CHANGE", "<OF")
STATE_HEADINGS = make_headings("<STATE", "A", "B", "CHANGE", "<OF")


def _figures(title: str, figures: Sequence[Change], headings: Sequence[Heading] = FIGURE_HEADINGS) -> Iterator[str]:
    rows = [[change.name, *_change_cells(change), change.note] for change in figures if _is_listed(change)]
    if not rows:
        return
    count = len(headings) if any(row[-1] for row in rows) else len(headings) - 1
    yield title
    yield from plain_table(headings[:count], [row[:count] for row in rows])


def _is_listed(change: Change) -> bool:
    """True if the report lists the change.

    Changes that round to 0 are not listed, unless they are bounds. Changes that round to 0 are common for bytes per
    connection.
    """
    is_bound = change.increase_bound in ("at least", "at most")
    return change.changed and (change.increase is None or is_bound or round(change.increase) != 0)


NOT_KNOWN = "unknown"
MAX_EXACT_BYTES = 10_000
MAX_COUNT_CHARACTERS = 8
"""If the text of a change in a count has more characters than this, sign included, the change is shown in thousands or
millions."""


def _change_cells(change: Change) -> list[str]:
    """The three cells of a figure: its value in A, its value in B, and the change."""
    return [_side_text(change, after=False), _side_text(change, after=True), _signed_change(change)]


def _fits_cells(fits: Change) -> list[str]:
    """The three cells of a number of sockets that fit, rounded as in the other reports."""

    def text(amount: float | None, bound: str, sign: str = "") -> str:
        # The bound of a negative change is rounded the other way than its digits.
        up = bound in ROUNDED_UP and ROUNDED_UP[bound] != (sign == "-")
        number = units.rough_count(None if amount is None else round(abs(amount)), up)
        return f"{BOUND_SIGNS[bound]} {sign}{number}".strip() if amount is not None else number

    change = _shown_fits(fits)
    sides = [text(change.before, change.before_bound), text(change.after, change.after_bound)]
    if change.increase is None:
        return [*sides, _signed_change(change)]
    sign = "+" if change.increase > 0 else "-" if change.increase < 0 else ""
    return [*sides, text(change.increase, change.increase_bound or "exact", sign)]


def _shown_fits(fits: Change) -> Change:
    """The change of the numbers of sockets that the other reports show: the least where buffers are a range."""
    before, before_bound = _shown_end(fits.before, fits.before_bound, fits.before_bounds)
    after, after_bound = _shown_end(fits.after, fits.after_bound, fits.after_bounds)
    return replace(fits, before=before, before_bound=before_bound, after=after, after_bound=after_bound)


def _shown_end(fits: float | None, bound: Bound, bounds: Amount | None) -> tuple[float | None, Bound]:
    if bounds is None or bound != "at most" or not bounds.low:
        return fits, bound
    least, most = units.rough_count(round(bounds.low)), units.rough_count(round(bounds.high), up=True)
    return (fits, bound) if least == most else (bounds.low, "at least")


def _signed_change(change: Change) -> str:
    """A change with its sign: bytes as in slabtop (`+2.31M`); counts in full (`+16 042`), or shortened (`+1604k`).

    A change that is not exact has the sign of its bound in front: `<= +598`. It is NOT_KNOWN where only bounds of both
    values are known, such as two upper bounds.
    """
    if change.increase is None:
        is_between_bounds = change.increase_bound is None and None not in (change.before, change.after)
        return NOT_KNOWN if is_between_bounds else units.UNKNOWN
    bound = change.increase_bound or "exact"
    up = ROUNDED_UP.get(bound)
    if change.unit == "bytes":
        text = units.signed_size(change.increase, up)
    else:
        text = units.signed_count(change.increase)
        text = text if len(text) <= MAX_COUNT_CHARACTERS else units.short_signed_count(change.increase, up)
    return f"{BOUND_SIGNS[bound]} {text}".strip()


def _side_text(change: Change, after: bool) -> str:
    amount, bound = (change.after, change.after_bound) if after else (change.before, change.before_bound)
    if amount is None:
        return units.UNKNOWN
    # Small amounts, such as bytes per connection, are exact to the byte, as in the other reports.
    exact = change.unit == "count" or amount < MAX_EXACT_BYTES
    up = ROUNDED_UP.get(bound)
    text = units.exact_bytes(amount, up) if exact else units.size(amount, up)
    return f"{BOUND_SIGNS[bound]} {text}".strip()


CACHE_HEADINGS = make_headings("<CACHE", "OBJECTS", "ACTIVE", "SLABS", "A SIZE", "B SIZE", "CHANGE")


def _cache_cells(row: CacheChange) -> list[str]:
    return [
        cut_text(row.name, MAX_NAME_CHARACTERS),
        _signed_change(row.objects),
        _signed_change(row.active_objects),
        _signed_change(row.slabs),
        units.short_size(row.bytes.before),
        units.short_size(row.bytes.after),
        _signed_change(row.bytes),
    ]


STATE_COST_HEADINGS = make_headings("<STATE", "SERVER A", "B", "CHANGE", "CLIENT A", "B", "CHANGE")


def _state_costs(rows: ChangedRows[StateChange]) -> Iterator[str]:
    """The section on the change in bytes per socket, by TCP state.

    The section is left out if no bytes changed, as is usual for two samples of one kernel.
    """
    lines = []
    for row in rows.changed:
        costs = (row.accepted_bytes, row.outgoing_bytes)
        if any(cost is not None and _is_listed(cost) for cost in costs):
            cells = [["", "", ""] if cost is None else _change_cells(cost) for cost in costs]
            # A listener is on the server side, though it owns its port.
            server, client = reversed(cells) if row.state == State.LISTEN.value else cells
            lines.append([row.state, *server, *client])
    if lines:
        yield "TCP states, bytes in slabs for each socket"
        yield from plain_table(STATE_COST_HEADINGS, lines)


NODE_HEADINGS = make_headings("<NODE", "FREE A", "B", "CHANGE", "SOCKETS FIT A", "B", "CHANGE")


def _node_cells(row: NodeChange, has_one_size: bool) -> list[str]:
    *fits, change = _fits_cells(row.headroom_sockets)
    return [
        "all" if row.node is None else str(row.node),
        units.size(row.free_bytes.before),
        units.size(row.free_bytes.after),
        _signed_change(row.free_bytes),
        *fits,
        change if has_one_size else units.UNKNOWN,
    ]


def _nodes(difference: LedgerDifference) -> Iterator[str]:
    """The section on the nodes, with the size of the socket that A's and B's headroom counts."""
    title = "Free memory of the nodes, and headroom for more sockets"
    of_all = () if difference.node_sum is None else (difference.node_sum,)
    has_one_size = _counts_one_size(difference.headroom)
    lines = list(
        _changed_rows(
            title,
            difference.nodes,
            NODE_HEADINGS,
            lambda row: _node_cells(row, has_one_size),
            None,
            "nodes",
            of_all,
        )
    )
    yield from lines
    if lines:
        before, after = (_headroom_socket_text(difference.headroom, after) for after in (False, True))
        sizes = before if before == after else f"{before} in A, {after} in B"
        no_change = "" if has_one_size else "; these differ, so that it has no CHANGE"
        yield from wrap_text(f"  SOCKETS FIT counts sockets of {sizes}{no_change}", COLUMNS, "    ")
        if has_one_size and any(
            _changes_unlike_free(row, difference.headroom[0].after) for row in difference.nodes.changed
        ):
            yield from wrap_text(UNLIKE_FREE, COLUMNS, "    ")


UNLIKE_FREE = (
    "  SOCKETS FIT also counts free pages on the lists of CPUs, and none below the low watermarks; FREE does neither,"
    " so that the two may change by unlike amounts."
)
SAME_SIZE_SHARE = 0.001
"""Sockets whose bytes differ by at most this share are of one size.

The share is so small because it is one of all sockets that fit, which are many times their change.
"""
ALIKE_SHARE = 0.1
"""If the memory of the sockets that fit changes by what is free ± this share, no word is needed on the difference."""


def _changes_unlike_free(row: NodeChange, socket_bytes: float | None) -> bool:
    """True if the memory of the sockets that fit into a node changed by clearly more or less than its free memory."""
    free, fits = row.free_bytes.increase, row.headroom_sockets.increase
    if free is None or fits is None or not socket_bytes:
        return False
    return abs(fits * socket_bytes - free) > ALIKE_SHARE * abs(free)


def _counts_one_size(headroom: Sequence[Change]) -> bool:
    """False if A's headroom counts sockets of another size than B's: their difference is then none of memory alone."""
    size = headroom[0]
    if size.before is None or size.after is None:
        return True
    before = size.before_bounds or (size.before, size.before)
    after = size.after_bounds or (size.after, size.after)
    return all(abs(one - two) <= SAME_SIZE_SHARE * one for one, two in zip(before, after, strict=True))


def _headroom_socket_text(headroom: Sequence[Change], after: bool) -> str:
    """The bytes that a headroom counts for a further socket, and what it counts for buffers."""
    size, buffers = headroom
    if (size.after if after else size.before) is None:
        return "an unknown size"
    buffer_bytes, bound = (buffers.after, buffers.after_bound) if after else (buffers.before, buffers.before_bound)
    has_buffers = buffer_bytes or bound == "at least"
    assumption = "buffers unknown" if buffer_bytes is None else "average buffers" if has_buffers else WITHOUT_DATA
    bounds = size.after_bounds if after else size.before_bounds
    if bounds is not None and (size.after_bound if after else size.before_bound) == "at least":
        low, high = units.exact_bytes(bounds.low, False), units.exact_bytes(bounds.high, True)
        return f"{low} to {high} B ({assumption})"
    return f"{_side_text(size, after)} B ({assumption})"


BLOCK_HEADINGS = make_headings("NODE", "<ZONE", "<TYPE", "BLOCKS OF", "A", "B", "CHANGE", "BYTES")


def _block_cells(row: FreeBlocksChange, page_bytes: int | None) -> list[str]:
    return [
        str(row.node),
        row.zone,
        cut_text(row.migrate_type or "all", MAX_NAME_CHARACTERS),
        units.page_order_size(row.order, page_bytes),
        *_change_cells(row.blocks),
        _signed_change(row.bytes),
    ]


def _changed_rows(
    title: str,
    rows: ChangedRows[ChangedRow],
    headings: Sequence[Heading],
    cells: Callable[[ChangedRow], list[str]],
    amount: Callable[[ChangedRow], Change] | None,
    what: str,
    sums: Sequence[ChangedRow] = (),
) -> Iterator[str]:
    if not rows.changed:
        return
    yield title
    listed, others = rows.changed[:MAX_ROWS], rows.changed[MAX_ROWS:]
    yield from plain_table(headings, [cells(row) for row in (*listed, *sums)])
    if others:
        changes = [amount(row) for row in others] if amount is not None else []
        known = [each.increase for each in changes if each.increase is not None and each.increase_bound == "exact"]
        sum_of_others = f", {units.signed_size(sum(known))} together" if len(known) == len(others) else ""
        yield f"  and {len(others)} more{sum_of_others}; --json has them all"
    if rows.unchanged:
        yield f"  unchanged: {units.grouped(rows.unchanged)} {what if rows.unchanged != 1 else what[:-1]}"


def _not_read(difference: LedgerDifference) -> Iterator[str]:
    """The reasons why sources were not read completely.

    Before each reason, the text names the inputs for which the reason holds: A, B or both.
    """
    letters: dict[str, list[str]] = {}
    for letter, subject in (("A", difference.before), ("B", difference.after)):
        for reason in dict.fromkeys(subject.not_read.values()):
            letters.setdefault(reason, []).append(letter)
    if letters:
        yield "Not read, or not in full"
        for reason, sides in letters.items():
            yield from wrap_text(f"  {', '.join(sides):<4}  {reason}", COLUMNS, "        ")
