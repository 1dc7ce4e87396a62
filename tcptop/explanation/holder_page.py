"""The page of one row of the table of holders: its sockets in other groupings, its listeners, cgroups and verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tcptop.explanation.holder_rows import (
    Grouping,
    HolderRow,
    cgroup_name,
    holder_rows,
    namespace_name,
    process_name,
)
from tcptop.explanation.holders_page import TITLES, holder_cells
from tcptop.ledger.holders import HolderKind, Holders, HolderVerdict
from tcptop.snapshot.socket_table import Listener
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, WARNING, Line, paragraph
from tcptop.text.table import Heading, fact_lines, fit_columns, make_headings

MAX_ROWS = 12
"""Rows of each table; all further ones are added up in one."""
MARGIN = " "
PAGE_GROUPINGS: Sequence[Grouping] = ("state", "port", "process", "cgroup", "netns", "user")
LEAST = ("DROPS", "UNSENT", "UNREAD", "SLAB", "BUFFERS")
FIGURES = ("SOCKETS", "SLAB", "BUFFERS", "UNREAD", "UNSENT", "DROPS")
LISTENERS = make_headings("SERVICE", "QUEUE", "LIMIT", "DROPS", "<NETNS", "<OWNER", least=("NETNS", "OWNER", "DROPS"))
CGROUPS = make_headings("<CGROUP", "SOCK", "KERNEL")

KINDS_OF: Mapping[str, frozenset[HolderKind]] = {
    "close_wait": frozenset({"process"}),
    "unread": frozenset({"process"}),
    "queue_full": frozenset({"process", "queue"}),
    "orphans": frozenset({"orphan"}),
    "no_process": frozenset({"no_process"}),
    "time_wait": frozenset({"kernel"}),
    "TCPTimeWaitOverflow": frozenset({"kernel"}),
    "TCPReqQFullDrop": frozenset({"handshake"}),
    "TCPReqQFullDoCookies": frozenset({"handshake"}),
}
"""The kinds of holders that a kind of verdict is about."""


def is_about(verdict: HolderVerdict, row: HolderRow) -> bool:
    """Whether a verdict is about sockets of a row."""
    kinds = KINDS_OF.get(verdict.kind, frozenset())
    return any(
        group.holder.kind in kinds
        and verdict.pid in (None, group.holder.pid)
        and verdict.namespace in (None, group.namespace)
        for group in row.groups
    )


def holder_page(holders: Holders, row: HolderRow, columns: int) -> list[Line]:
    """The lines of the page."""
    lines: list[Line] = []
    for verdict in holders.verdicts:
        if is_about(verdict, row):
            lines += paragraph(verdict.text, columns - 1, "text", WARNING)
    lines += paragraph(f"{MARGIN}{_sums_text(row)}", columns - 1, "text")
    of_row = holders._replace(groups=row.groups)
    tables: list[Line] = []
    for grouping in PAGE_GROUPINGS:
        rows = holder_rows(of_row, grouping, top=MAX_ROWS)
        if len(rows) > 1:
            tables += [EMPTY_LINE, *_table(grouping, rows, columns)]
        elif rows[0].name != row.name:
            lines += fact_lines(TITLES[grouping].lower(), rows[0].name, columns)
    for text in _process_texts(holders, row):
        lines += fact_lines("descriptors", text, columns)
    lines += tables
    for headings, cells in ((LISTENERS, _listener_cells(holders, row)), (CGROUPS, _cgroup_cells(holders, row))):
        if cells:
            lines += [EMPTY_LINE, *_lines(headings, cells, columns)]
    return lines


def _sums_text(row: HolderRow) -> str:
    about = "≈ " if row.is_estimated else ""
    slab = "" if row.slab_bytes is None else f"; slab {units.bounded(row.slab_bytes, units.size)}"
    return (
        f"{about}{units.grouped(round(row.sockets))} sockets{slab}; buffers {units.size(row.buffer_bytes)}:"
        f" unread {units.size(row.unread_bytes)}, unsent {units.size(row.unsent_bytes)}"
    )


def _process_texts(holders: Holders, row: HolderRow) -> Iterator[str]:
    """Open descriptors of the process of a row, if it is one process alone, and how its sockets were found."""
    pids = {group.holder.pid for group in row.groups}
    process = holders.process_of.get(next(iter(pids)) or 0) if len(pids) == 1 else None
    if process is None:
        return
    most = "" if process.max_descriptors is None else f" of at most {units.grouped(process.max_descriptors)}"
    text = f"{units.grouped(process.descriptors)} open{most}"
    yield text if process.is_whole else f"{text}; a sample of them was looked up, so counts are estimates"


def _table(by: Grouping, rows: Sequence[HolderRow], columns: int) -> list[Line]:
    headings = [
        Heading(TITLES[by], left=True, min_width=12),
        *(Heading(title, importance=LEAST.index(title) if title in LEAST else None) for title in FIGURES),
    ]
    titles = [heading.title for heading in headings]
    return _lines(headings, [holder_cells(row, by, titles) for row in rows], columns)


def _lines(headings: Sequence[Heading], cells: Sequence[Sequence[str]], columns: int) -> list[Line]:
    room = columns - len(MARGIN)
    layout = fit_columns(headings, cells, room).cut_first(room)
    return [
        ((MARGIN + layout.text(layout.titles), "head"),),
        *(((MARGIN + layout.text(texts), "text"),) for texts in cells),
    ]


def _listener_cells(holders: Holders, row: HolderRow) -> list[list[str]]:
    """The accept queues of the listeners of the row's ports, the fullest first."""
    places = {(group.namespace, group.family, group.port) for group in row.groups if group.is_server}
    listeners = [each for each in holders.listeners if (each.namespace, each.family, each.port) in places]
    listeners.sort(key=lambda each: (-each.queue, each.port))
    return [_one_listener(holders, each) for each in listeners[:MAX_ROWS]]


def _one_listener(holders: Holders, listener: Listener) -> list[str]:
    return [
        f"in :{listener.port}",
        units.grouped(listener.queue),
        units.grouped(listener.limit),
        units.count(listener.drops),
        namespace_name(holders, listener.namespace),
        process_name(holders, listener.pid),
    ]


def _cgroup_cells(holders: Holders, row: HolderRow) -> list[list[str]]:
    """The memory of the row's cgroups; a cgroup whose memory is not known is left out."""
    numbers = dict.fromkeys(group.cgroup for group in row.groups)
    known = [(number, holders.cgroup_of[number]) for number in numbers if number in holders.cgroup_of]
    return [
        [cgroup_name(holders, number), units.short_size(cgroup.sock_bytes), units.short_size(cgroup.kernel_bytes)]
        for number, cgroup in known[:MAX_ROWS]
        if cgroup.sock_bytes is not None or cgroup.kernel_bytes is not None
    ]
