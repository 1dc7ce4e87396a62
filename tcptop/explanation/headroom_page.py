"""The headroom page: how many more sockets fit into memory, and the use, headroom and state of each limit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tcptop.explanation.limit_texts import (
    SOCKETS,
    alarm_reasons,
    buffers_as_now_text,
    fits_more_text,
    has_list,
    headroom_sentence,
    maximum_text,
    memory_most_text,
    memory_use_text,
    other_notes,
    ratio_text,
    socket_bytes_text,
    state_role,
    state_text,
    threshold_text,
    used_text,
)
from tcptop.ledger import SCOPE_LABELS, AccountingMode, Headroom, Ledger, Limit
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

HEADINGS = make_headings(
    *("<LIMIT", "STATE", "USED", "OF", "%", "ALARMS AT", "FITS MORE", "<SCOPE", ""),
    least=("SCOPE", "ALARMS AT", "OF", "USED"),
)


NODES_UNKNOWN = (
    "The nodes of the present sockets are not known: before Linux 5.9, /sys/kernel/slab leaves out the slabs of memory"
    " cgroups, which /proc/slabinfo counts."
)


def headroom_page(ledger: Ledger, columns: int, mode: AccountingMode = "full") -> list[Line]:
    """The headroom in one accounting mode: a table of all limits, the kernel's action at each limit, and notes."""
    headroom, limits = ledger.headroom[mode], ledger.limits[mode]
    rows = [
        TableRow(
            (
                limit.label,
                state_text(limit),
                used_text(limit),
                maximum_text(limit),
                ratio_text(limit),
                threshold_text(limit),
                fits_more_text(limit, partial(units.rough_count, up=limit.shows_upper_bound)),
                SCOPE_LABELS.get(limit.scope, limit.scope),
            ),
            note=_note(limit, has_list(ledger), memory_most_text(headroom) if limit.name == "memory" else ""),
            role=state_role(limit),
        )
        for limit in limits.rows
    ]
    lines = [
        *paragraph(f" {headroom_sentence(ledger, mode)}.", columns - 1, "strong"),
        EMPTY_LINE,
        *table_lines(HEADINGS, rows, columns),
        EMPTY_LINE,
    ]
    for sentence in (*_memory_sentences(ledger, headroom), *_action_sentences(limits.rows)):
        lines += paragraph(f" {sentence}", columns - 1, "text")
    return lines


def _note(limit: Limit, names_list: bool, most: str) -> str:
    """The reason for an alarm, the most that fits, the note of the limit, and how many more of other objects fit."""
    reasons, more = alarm_reasons(limit, names_list)[:1], other_notes(limit, units.count)[:1]
    own = [limit.note] if limit.note and limit.note not in "; ".join([*reasons, *more]) else []
    return "; ".join([*reasons, *filter(None, [most]), *own, *more])


def _memory_sentences(ledger: Ledger, headroom: Headroom) -> Iterator[str]:
    """Sentences about what the headroom of memory assumes, and about the headroom of single NUMA nodes."""
    what = SOCKETS[headroom.mode]
    if headroom.bytes_per_socket is not None:
        is_least = headroom.bytes_are_at_least
        is_part_unknown = bool(ledger.costs[headroom.mode].by_family["mix"].outgoing.missing)
        slab_bytes = headroom.bytes_per_socket - (headroom.buffer_bytes or 0)
        slab = f"{'≥ ' if is_part_unknown else ''}{units.exact_bytes(slab_bytes, False if is_least else None)}"
        buffers = "" if headroom.buffer_bytes is not None else ", and buffers that are not known"
        if headroom.buffer_bytes or headroom.high_buffer_bytes:
            least, most = headroom.buffer_bytes or 0.0, headroom.high_buffer_bytes or 0.0
            may_be_more = is_least and most > least
            size = units.exact_bytes(least, False if may_be_more else None)
            size = f"≥ {size}" if may_be_more else size
            if may_be_more and memory_most_text(headroom):
                size = units.bounds_span((least, most), units.exact_bytes)
            if may_be_more and least < 1:
                size = f"≤ {units.exact_bytes(most, True)}"
            buffers = f" and {size} B of average buffers"
        # The client side's bytes on the main screen are an upper bound, so that half of both is more than this.
        parts = ledger.costs[headroom.mode].by_family["mix"].outgoing.parts
        is_low = any(part.high_slab_bytes and part.high_slab_bytes > (part.slab_bytes or 0) for part in parts)
        at_least = " (each part at its least, one own local port for each client)" if is_low else ""
        yield (
            f"Memory: one more of these {what} takes {socket_bytes_text(headroom)}: {slab} B of slab, if half of them"
            f" are client side{at_least}{buffers}. The kernel takes free memory of any node before it reclaims page"
            " cache."
        )
        if headroom.mode == "full" and (charge_text := buffers_as_now_text(ledger)):
            yield charge_text
        if use_text := memory_use_text(ledger, headroom.mode):
            yield use_text
    if memory_most_text(headroom):
        yield (
            "Memory: FITS MORE is a lower bound, with the buffers at their most; what fits before reclaim is an upper"
            " bound, with the buffers at their least."
        )
    elif headroom.is_at_most:
        yield (
            "Memory: every number of sockets is an upper bound, because a part of a socket, the memory of its buffers"
            " or the protection of a zone is not known."
        )
    if headroom.late_bytes:
        yield (
            f"{units.size(headroom.late_bytes)} of the free memory are not initialised by the kernel yet:"
            " they count here, but at no node, so that the nodes together fit fewer."
        )
    if headroom.without_reclaim_low is not None and headroom.without_reclaim_high is not None:
        low, high = units.rough_count(headroom.without_reclaim_low), units.rough_count(headroom.without_reclaim_high)
        if low != high:
            # An upper bound, as in the sentence above.
            high = units.rough_count(headroom.without_reclaim_high, up=True)
            yield f"In free memory, before reclaim: {low} to {high}; fewer if slabs must be of the smallest order."
    without_cpus = {node.node for node in ledger.nodes if node.cpus == 0}
    near = [
        (node.local, number)
        for number, node in headroom.nodes.items()
        if node.local is not None and number not in without_cpus
    ]
    if len(headroom.nodes) > 1 and near:
        local, number = min(near)
        yield (
            f"After {_range_text(headroom, local)} more {what}, spread as now, the CPUs of node {number} use memory of"
            " other nodes."
        )
    if ledger.has_child_caches:
        yield NODES_UNKNOWN
    if headroom.reclaims_node_first is None and len(headroom.nodes) > 1:
        yield (
            "vm.zone_reclaim_mode is not known: if it is not 0, a node reclaims its own page cache before it uses other"
            " nodes' memory."
        )
    if headroom.reclaims_node_first:
        yield "vm.zone_reclaim_mode is not 0: a node reclaims its own page cache before it uses other nodes' memory."
    if ledger.sockets.apart:
        yield (
            f"At least {units.count(ledger.sockets.apart)} allocated sockets are neither in use in this netns nor"
            " orphans: they are in other network namespaces, were never connected, or stay allocated after their close."
        )


def _range_text(headroom: Headroom, sockets: int) -> str:
    """A number of sockets that fit, with its least if buffers are a range, or as a bound: `616 000 to 1 420 000`."""
    most, least = units.rough_count(sockets, up=headroom.is_at_most), headroom.least_sockets(sockets)
    if least is None:
        return f"at most {most}" if headroom.is_at_most else most
    low = units.rough_count(least)
    return most if low == most else f"{low} to {most}"


def _action_sentences(limits: tuple[Limit, ...]) -> Iterator[str]:
    for limit in limits:
        is_spelled_out = limit.label.replace("-", "_").replace(" ", "_") == limit.name
        yield f"{limit.label}{'' if is_spelled_out else f' ({limit.name})'}: {limit.then}."
