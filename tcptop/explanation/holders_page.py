"""The table of holders, its sums and verdicts as lines, for the screen and for `tcptop who`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from math import inf

from tcptop.explanation.holder_rows import CGROUP_COLUMNS, Grouping, HolderRow, SortKey, holder_rows
from tcptop.explanation.limit_texts import LISTEN_OVERFLOWS
from tcptop.ledger import Amount
from tcptop.ledger.holders import ONE_LOOK, QUIET_KINDS, WHILE_READ, Holders, HolderVerdict
from tcptop.snapshot.socket_table import SocketRow
from tcptop.text import units
from tcptop.text.line import WARNING, Line, Piece, paragraph
from tcptop.text.table import EMPTY_CELLS, Heading, make_headings

TITLES: Mapping[Grouping, str] = {
    "owner": "OWNER",
    "process": "PROCESS",
    "cgroup": "CGROUP",
    "netns": "NETNS",
    "port": "SERVICE",
    "state": "STATE",
    "user": "USER",
    "peer": "PEER",
}
"""Heading of the first column."""

LOADED_NOW = "loaded now"
"""Value of `Holders.module`."""

MAX_CGROUP_COLUMNS = 32
IN_NO_DUMP = " in no dump: "
"""Words of the part of `missing` that counts the sockets in no dump."""


def holder_headings(by: Grouping, sort: SortKey = "memory") -> list[Heading]:
    """The columns of the table; the first column names the row.

    If the width is too small, the least important columns are left out, but never the column by which the rows are
    sorted.
    """
    columns = [
        Heading(TITLES[by], left=True, min_width=12, max_width=CGROUP_COLUMNS),
        Heading("OWNER", left=True, importance=6, max_width=24),
        Heading("STATE", left=True, importance=20, max_width=12),
        Heading("SERVICE", left=True, importance=19, max_width=13),
        Heading("SOCKETS", importance=21),
        Heading("MEMORY", importance=18),
        Heading("SLAB", importance=16),
        Heading("BUFFERS", importance=17),
        Heading("UNREAD", importance=12),
        Heading("UNSENT", importance=11),
        Heading("DROPS", importance=7),
        Heading("USER", left=True, importance=4, max_width=12),
        Heading("NETNS", left=True, importance=5, max_width=14),
        Heading("SOCK", importance=2),
        Heading("KERNEL", importance=1),
        Heading("CGROUP", left=True, importance=8, max_width=MAX_CGROUP_COLUMNS),
    ]
    others = [each for each in columns[1:] if each.title != TITLES[by]]
    return [
        columns[0],
        *(each._replace(importance=None) if each.title == sort.upper() else each for each in others),
    ]


def holder_cells(row: HolderRow, by: Grouping, titles: Sequence[str]) -> list[str]:
    """The cells of a row, in the order of the columns."""
    count = units.grouped(round(row.sockets))
    cells = {
        "OWNER": row.name if by == "owner" else row.owner,
        "STATE": row.state,
        "SERVICE": row.service,
        "SOCKETS": f"≈{count}" if row.is_estimated else count,
        "MEMORY": _memory(_at_most(row.memory) if row.is_charge_a_range else row.memory, row.is_estimated),
        "SLAB": _memory(row.slab_bytes, row.is_estimated),
        "BUFFERS": units.bounded(_at_most(row.charged), units.short_size, "")
        if row.is_charge_a_range
        else units.short_size(row.charged.low),
        "UNREAD": units.short_size(row.unread_bytes),
        "UNSENT": units.short_size(row.unsent_bytes),
        "DROPS": units.count(None if row.drops is None else round(row.drops)),
        "USER": row.user,
        "NETNS": row.namespace,
        "SOCK": units.short_size(row.cgroup_sock_bytes),
        "KERNEL": units.short_size(row.cgroup_kernel_bytes),
        "CGROUP": row.cgroup,
        TITLES[by]: row.name,
    }
    return [cells[title] for title in titles]


def _at_most(amount: Amount) -> Amount:
    """The upper bound of an amount alone; the amount itself if it has none."""
    return amount if amount.high == inf else Amount(0, amount.high)


def _memory(amount: Amount | None, is_estimated: bool) -> str:
    """Text for bytes that are known within bounds, such as `12K`, `≥12K`, `≤12K` or, for a range from 12K, `≈12K`.

    If the number of the row's sockets is an estimate, the row's bytes are an estimate too, and get the sign `≈`.
    """
    if amount is None or (amount.high == inf and not amount.low):
        return units.UNKNOWN
    text = units.bounded(amount, units.short_size, "")
    return f"≈{text}" if is_estimated and amount.high and text[0].isdecimal() else text


def filled_columns(headings: Sequence[Heading], rows: Sequence[Sequence[str]]) -> tuple[list[Heading], list[list[str]]]:
    """The headings and the cells, without those columns in which every cell is empty or unknown."""
    kept = [
        index
        for index, heading in enumerate(headings)
        if heading.importance is None or any(texts[index] not in EMPTY_CELLS for texts in rows)
    ]
    return [headings[index] for index in kept], [[texts[index] for index in kept] for texts in rows]


def title_text(holders: Holders, by: Grouping, sort: SortKey) -> str:
    """Title of the table: grouping, sort order, number of namespaces, age of the figures, and CPU time of the reads."""
    asked = sum(namespace.asked in ("asked", "cut") for namespace in holders.namespaces)
    scope = "this netns" if len(holders.namespaces) == 1 else f"{asked} of {len(holders.namespaces)} netns"
    if asked == len(holders.namespaces) > 1:
        scope = f"machine: {asked} netns" if holders.sums.complete else f"{asked} netns"
    age = "" if holders.age_s is None else f"taken {units.ago(holders.age_s)}, "
    return f"Who holds it ─ by {by}, most {sort} first ─ {scope} ─ {age}{holders.took_us / 1e6:.2f} s of CPU"


def sum_lines(holders: Holders, columns: int, height: int | None = None) -> list[Line]:
    """The sums of the table, with the kernel's own counters beside them.

    In at most `height` lines, the last sums are left out, and `…` stands for them.
    """
    parts = _sums(holders)
    lines = _sums_paragraph(parts, columns)
    while height is not None and len(lines) > height and len(parts) > 1:
        parts.pop()
        lines = _sums_paragraph([*parts, "…"], columns)
    return lines if height is None else lines[:height]


def _sums_paragraph(parts: Sequence[str], columns: int) -> list[Line]:
    return paragraph(" " + "; ".join(parts), columns - 1, "dim")


def _sums(holders: Holders) -> list[str]:
    """The sums, the most important first."""
    sums = holders.sums
    # A plain user sees only the sockets of one network namespace, not of the whole machine.
    parts = [f"{'all' if sums.complete else 'seen'}: {units.counted(sums.full, 'socket')}"]
    if sums.allocated is not None:
        rest = f", {units.grouped(sums.in_no_hash)} of them in no dump" if sums.in_no_hash else ""
        where = "" if sums.complete else " on the machine"
        is_same = sums.complete and sums.allocated == sums.full
        number = "as many" if is_same else units.grouped(sums.allocated)
        if sums.full > sums.allocated:
            rest = f" (others {WHILE_READ})"
        allocated = f"{number} allocated{where}{rest}"
        parts = [f"{parts[0]}, {allocated}"] if sums.complete else [*parts, allocated]
    parts.append(_memory_text(holders))
    # The kernel's counters of allocated sockets and of orphans are for the whole machine, even if only some namespaces
    # were read. On old kernels, the TIME_WAIT counter is for the whole machine too.
    machine = "counter" if sums.complete else "machine"
    counter = "counter" if sums.time_wait_scope == "here" else machine
    mini_sockets = _beside(sums.time_wait, sums.time_wait_counted, counter)
    parts.append(f"{mini_sockets} mini-sockets {_where(holders)}, in TIME_WAIT or FIN_WAIT2 (closed)")
    parts.append(f"orphans {_beside(sums.orphans, sums.orphans_counted, machine)}")
    ended = f", ≈ {units.grouped(sums.queued_ended)} ended" if sums.queued_ended else ""
    dropped = _dropped_text(holders)
    parts.append(f"in accept queues {_beside(sums.queued, sums.queued_counted, 'listeners count', ended)}{dropped}")
    all_buffers, beside = "all buffers" if sums.are_all_charged else "all queued", ""
    if sums.buffer_bytes_counted is not None:
        counter, error = units.size(sums.buffer_bytes_counted), sums.buffer_error_bytes
        source = "sockstat" if sums.complete else "machine"
        about = "about " if sums.buffer_error_is_assumed else ""
        known = f", exact to {about}{units.size(error)}" if error else ""
        beside = f" ({source} {counter}{known})"
    return [*parts, f"{all_buffers} {units.size(sums.buffer_bytes)}{beside}"]


def _dropped_text(holders: Holders) -> str:
    """The connections that accept queues have dropped since their network namespaces began; empty if none.

    Of listeners that are closed, too, which have no row with their DROPS.
    """
    counting = [namespace for namespace in holders.namespaces if LISTEN_OVERFLOWS in namespace.counters]
    drops = sum(namespace.counters[LISTEN_OVERFLOWS] for namespace in counting)
    if not drops:
        return ""
    where = "this netns" if len(counting) == 1 and counting[0].is_here else f"{len(counting)} netns"
    return f", {units.grouped(drops)} dropped so far in {where}, by closed listeners too"


def _memory_text(holders: Holders) -> str:
    """The sum of MEMORY, and what it consists of."""
    sums = holders.sums
    slabs = _all_slabs(holders)
    charged = Amount(sums.buffer_low_bytes, sums.buffer_high_bytes)
    memory = Amount(slabs.low + charged.low, slabs.high + charged.high)
    is_range = not sums.are_all_charged and memory.high < inf
    total = units.bounds_span(memory, units.size) if is_range else units.bounded(memory, units.size)
    slab = "not known" if slabs.high == inf and not slabs.low else units.bounded(slabs, units.size)
    # The kernel charges sk_forward_alloc in advance, and no segment uses it.
    reserved = sum(group.buffer_bytes - group.unread_bytes - group.unsent_bytes for group in holders.groups)
    if not sums.are_all_charged:
        buffers = f"buffers {buffers_text(sums.buffer_bytes, charged)}"
    else:
        buffers = f"buffers with data {units.size(sums.buffer_bytes - max(0.0, reserved))}"
    if round(reserved) > 0:
        buffers += f", reserved {units.size(reserved)} (TCP's total leaves the reserved out)"
    return f"MEMORY {total}, without idle slab memory: slabs {slab}, {buffers}"


def _all_slabs(holders: Holders) -> Amount:
    """The slab bytes of all rows."""
    rows = holder_rows(holders)
    low = sum(row.memory.low - row.charged.low for row in rows)
    return Amount(low, sum(row.memory.high - row.charged.high for row in rows))


def buffers_text(buffer_bytes: float, charged: Amount) -> str:
    """The size of buffers: `76 MiB`; if not all are charged, `76 MiB queued, 1 MiB to 5 MiB of them charged`."""
    size = units.size(buffer_bytes)
    if charged.low == buffer_bytes:
        return size
    return f"{size} queued, {units.bounds_span(charged, units.size)} of them charged"


def _where(holders: Holders) -> str:
    """Text that says which network namespaces the sums cover: `of the machine`, `of this netns` or `of 3 netns`."""
    asked = sum(namespace.asked in ("asked", "cut") for namespace in holders.namespaces)
    if holders.sums.complete:
        return "of the machine"
    return "of this netns" if asked == 1 else f"of {asked} netns"


def _beside(number: int, counted: int | None, name: str = "counter", note: str = "") -> str:
    """A number from the dump, followed by the kernel's own counter and a note if the counter differs.

    A number from the dump may differ from the kernel's counter, because sockets come and go between the reads.
    """
    text = units.grouped(number)
    return text if counted in (None, number) else f"{text} ({name} {units.grouped(counted or 0)}{note})"


ROW_HEADINGS = make_headings(
    "<PEER", "PORT", "UNREAD", "UNACKED", "UNSENT", "LAST SENT", "LAST RCVD", "RTT", "CWND", "RETRANS", "<CONTROL",
    least=("CONTROL", "CWND", "RETRANS", "UNSENT"),
)  # fmt: skip


def socket_row_cells(row: SocketRow) -> list[str]:
    """The cells of a single socket: its peer, its queues in bytes, and how long ago it sent and received data."""
    return [
        row.peer,
        units.UNKNOWN if row.far_port is None else str(row.far_port),
        units.count(row.rqueue),
        units.count(row.wqueue),
        units.count(row.unsent),
        _ago(row.last_sent_ms),
        _ago(row.last_received_ms),
        _round_trip(row.rtt_us),
        units.count(row.cwnd),
        units.count(row.retransmitted),
        row.congestion_control,
    ]


PEERS_ARE_NETWORKS = (
    "PEER: peers as networks (/24, /48), since tcptop drops whole addresses as it reads them; ss prints them."
)
PEER_HEADINGS = make_headings("<PEER", "SOCKETS", "UNREAD", "UNACKED", "UNSENT", least=("UNSENT",))


def peer_cells(rows: Iterable[SocketRow], most: int) -> list[list[str]]:
    """Rows of cells for the remote networks with the most connected sockets; at most `most` rows.

    Each row has the network, the number of sockets connected to the network, and the sums of these sockets' queues.
    """
    by_peer: dict[str, list[SocketRow]] = defaultdict(list)
    for row in rows:
        by_peer[row.peer].append(row)
    return [
        [
            peer,
            units.grouped(len(found)),
            *(units.count(_sum_of(found, name)) for name in ("rqueue", "wqueue", "unsent")),
        ]
        for peer, found in nlargest(most, by_peer.items(), key=lambda each: len(each[1]))
    ]


def _round_trip(amount_us: int | None) -> str:
    """A round trip time as text: below one millisecond in µs, otherwise in ms."""
    if amount_us is None:
        return units.UNKNOWN
    return f"{amount_us} µs" if amount_us < 1000 else f"{amount_us / 1000:.1f} ms"


def _ago(amount_ms: int | None) -> str:
    return units.seconds(None if amount_ms is None else round(amount_ms / 1000, 0 if amount_ms >= 10_000 else 1))


QUIET: Piece = ("   ", "text")
LOOKS_AGAIN = "SPACE looks again"
LOOK_AGAIN = f"({LOOKS_AGAIN}: still there?)"


def verdict_paragraph(
    verdict: HolderVerdict, columns: int, can_confirm: bool = False, has_remedy: bool = True
) -> list[Line]:
    """The lines of a verdict and its remedy, without the sign of an alarm for the kinds that are none.

    If a key looks again, the verdict of a first look names it.
    """
    text = verdict.text.replace(ONE_LOOK, LOOK_AGAIN) if can_confirm else verdict.text
    text += f". Remedy: {verdict.remedy}" if has_remedy and verdict.remedy else ""
    return paragraph(text, columns - 1, "text", QUIET if verdict.kind in QUIET_KINDS else WARNING)


def verdict_lines(holders: Holders, columns: int, can_confirm: bool = False, remedies: int | None = None) -> list[Line]:
    """A line for each verdict, and a line for each part of the system that was not seen.

    `remedies` is the number of verdicts that have their remedies beside them, the most urgent first; None for all.
    """
    lines: list[Line] = []
    for index, verdict in enumerate(holders.verdicts):
        lines += verdict_paragraph(verdict, columns, can_confirm, remedies is None or index < remedies)
    if holders.module == LOADED_NOW:
        lines += paragraph(" the kernel has loaded its module tcp_diag for this look", columns - 1, "dim")
    # A verdict on sockets in no dump says the same of them.
    has_verdict = any(verdict.kind == "in_no_hash" for verdict in holders.verdicts)
    missing = [each for each in holders.missing if not (has_verdict and IN_NO_DUMP in each)]
    if missing:
        text = f" not seen: {'; '.join(missing)}"
        if can_confirm:
            text = text.replace(WHILE_READ, f"{WHILE_READ} ({LOOKS_AGAIN})", 1)
        lines += paragraph(text, columns - 1, "dim")
    return lines


def _sum_of(rows: Iterable[SocketRow], name: str) -> int | None:
    """The sum of an amount over rows; None if the amount of any row is unknown."""
    amounts: list[int | None] = [getattr(row, name) for row in rows]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else None
