"""The page of one row of the table of holders: its sockets in other groupings, listeners, cgroups and verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from heapq import nlargest
from typing import NamedTuple

from tcptop.explanation.holder_rows import (
    CGROUP_COLUMNS,
    KIND_NAMES,
    Grouping,
    HolderRow,
    cgroup_name,
    holder_rows,
    namespace_name,
    process_name,
    short_cgroup,
)
from tcptop.explanation.holders_page import (
    PEER_HEADINGS,
    PEERS_ARE_NETWORKS,
    ROW_HEADINGS,
    TITLES,
    buffers_text,
    holder_cells,
    peer_cells,
    socket_row_cells,
    verdict_paragraph,
)
from tcptop.ledger.holders import QUIET_KINDS, HolderGroup, HolderKind, Holders, HolderVerdict
from tcptop.snapshot.socket_table import AF_INET6, MAX_SOCKET_ROWS, Listener, RowAsk, SocketRows
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, WARNING, Line, paragraph
from tcptop.text.table import Heading, fact_lines, fit_columns, make_headings

MAX_ROWS = 12
"""Number of rows of each table; all further rows are added up in one row."""
MARGIN = " "
PAGE_GROUPINGS: Sequence[Grouping] = ("state", "port", "process", "cgroup", "netns", "user")
LEAST = ("DROPS", "UNSENT", "UNREAD", "SLAB", "BUFFERS")
FIGURES_AT_LEAST, ALL_FIGURES = 22, 64
"""Columns of the terminal that the figures of a narrow and of a wide table take."""
FIGURES = ("SOCKETS", "SLAB", "BUFFERS", "UNREAD", "UNSENT", "DROPS")
LISTENERS = make_headings("SERVICE", "QUEUE", "LIMIT", "DROPS", "<NETNS", "<OWNER", least=("NETNS", "OWNER", "DROPS"))
CGROUPS = make_headings("<CGROUP", "SOCK", "KERNEL")


def _of(*kinds: HolderKind) -> Callable[[HolderGroup], bool]:
    return lambda group: group.holder.kind in kinds


class About(NamedTuple):
    """A kind of verdict, a column that the verdict is about, and a function that selects the groups concerned."""

    verdict_kind: str
    column: str
    is_meant: Callable[[HolderGroup], bool]


WITH_PROCESS: Sequence[HolderKind] = ("process", "not_seen")
"""Kinds of holders that are processes."""

NAME_COLUMN = ""
"""Stands for the first column, whichever it is: the verdict is about the row as a whole."""


def _is_dropping(group: HolderGroup) -> bool:
    return group.state == "LISTEN" and group.drops != 0


def _is_close_wait(group: HolderGroup) -> bool:
    return group.holder.kind in WITH_PROCESS and group.state == "CLOSE_WAIT"


ABOUT: Sequence[About] = (
    About("queue_full", NAME_COLUMN, _of("queue")),
    About("queue_full", "SOCKETS", _of("queue")),
    About("queue_full", NAME_COLUMN, _is_dropping),
    About("queue_full", "DROPS", _is_dropping),
    About("queue_near", "SOCKETS", _of("queue")),
    About("nofile", "OWNER", _of("process")),
    About("orphans", "SOCKETS", _of("orphan")),
    About("orphans", "UNSENT", _of("orphan")),
    About("unread", "UNREAD", lambda group: group.holder.kind in WITH_PROCESS and group.unread_bytes > 0),
    About("close_wait", "STATE", _is_close_wait),
    About("close_wait", "SOCKETS", _is_close_wait),
    About("no_process", "OWNER", _of("no_process")),
    About("no_process", "SOCKETS", _of("no_process")),
    About("TCPReqQFullDrop", "SOCKETS", _of("handshake")),
    About("TCPReqQFullDoCookies", "SOCKETS", _of("handshake")),
    About("TCPTimeWaitOverflow", "SOCKETS", _of("kernel")),
    About("time_wait", "SOCKETS", _of("kernel")),
)


OF_ALL_SOCKETS = frozenset({"SOCKETS", "STATE"})
"""Columns whose cell is about every socket of the row."""


class SingleSockets(NamedTuple):
    """The request for single sockets on a row's page, and the answer if the kernel has answered."""

    asks: Sequence[RowAsk]
    """Requests to the kernel for single sockets; empty if the row has only mini-sockets and listeners."""
    can_ask: bool
    """True if there is a running kernel to ask."""
    is_asked: bool = False
    answer: SocketRows | None = None
    age_s: float = 0.0
    """Time in seconds since the answer."""


NO_SINGLE_SOCKETS = SingleSockets((), False)


class Meaning(NamedTuple):
    """Explains sockets with one kind of holder in one TCP state, and says what to do about them."""

    name: str
    kinds: Sequence[HolderKind]
    states: Sequence[str]
    """TCP states to which the meaning applies; empty for all states."""
    text: str


MEANINGS: Sequence[Meaning] = (
    Meaning(
        "queue",
        ("queue",),
        (),
        "The kernel has made the connections, and the program has not called accept(2): it is slow or stuck. See what"
        " its threads do; a larger backlog of listen(2) helps if many connect at once.",
    ),
    Meaning(
        KIND_NAMES["orphan"],
        ("orphan",),
        (),
        "The program has closed them, and the kernel still waits for the peer to take the data or to close. A peer that"
        " is gone keeps them until the kernel gives up: tcp_orphan_retries, tcp_fin_timeout.",
    ),
    Meaning(
        KIND_NAMES["kernel"],
        ("kernel",),
        (),
        "Both sides have closed; the kernel keeps a mini-socket for a minute, so that late segments find it. This is"
        " usual. A client runs out of ports by them: it should keep its connections open.",
    ),
    Meaning(
        KIND_NAMES["handshake"],
        ("handshake",),
        (),
        "The last segment of the handshake has not come, or the data that TCP_DEFER_ACCEPT waits for. Many of them are"
        " clients that get no answer, or a flood of SYNs.",
    ),
    Meaning(
        KIND_NAMES["no_process"],
        ("no_process",),
        (),
        "They have a file, and no process has it as a descriptor: it is in flight between two processes, held"
        " by io_uring, in a thread's own descriptor table (unshare with CLONE_FILES), or the kernel's own. If their"
        " number grows, a program that passes descriptors loses them.",
    ),
    Meaning(
        KIND_NAMES["not_seen"],
        ("not_seen",),
        (),
        "A process may have them, but its descriptors were not read or not drawn, it opened them since, they are in a"
        " thread's own descriptor table (unshare with CLONE_FILES), or the process is hidden (pid namespace, hidepid)."
        " Root sees more, and `tcptop who --exact PID` looks up every descriptor of a process's first thread.",
    ),
    Meaning(
        "CLOSE_WAIT",
        ("process",),
        ("CLOSE_WAIT",),
        "The peer has closed, and the program has not: a bug of the program, or a thread of it that is stuck. Only its"
        " close(2) or its end frees them.",
    ),
    Meaning("LISTEN", ("process",), ("LISTEN",), "It waits for connections; its accept queue stands below."),
    Meaning(
        "SYN_SENT",
        ("process",),
        ("SYN_SENT",),
        "connect(2) waits for an answer: the other end is gone, or a firewall drops the SYN.",
    ),
    Meaning(
        "FIN_WAIT",
        ("process",),
        ("FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK"),
        "The program has ended its side with shutdown(2), keeps the descriptor, and waits for the peer to close.",
    ),
    Meaning(
        "ESTABLISHED",
        ("process",),
        ("ESTABLISHED",),
        "Open on both sides. Unread data waits for the program, unsent data for the peer.",
    ),
)
"""The meaning of a group is the first entry of this list that fits the group's kind of holder and TCP state."""
MAX_MEANINGS = 3
MAX_SHARED = 3
"""Maximum number of other processes that are named because they have the same sockets open."""
FACT_WIDTH = 12
TCP_INFO = "tcp_info"


def verdict_columns(verdict: HolderVerdict, row: HolderRow) -> set[str]:
    """The columns of a row that a verdict is about; empty if the verdict concerns no socket of the row."""
    return {about.column for about in ABOUT if any(_concerns(verdict, about, group) for group in row.groups)}


def _concerns(verdict: HolderVerdict, about: About, group: HolderGroup) -> bool:
    return (
        about.verdict_kind == verdict.kind
        and (verdict.pid == group.holder.pid or (verdict.pid is None and group.holder.kind != "process"))
        and verdict.namespace in (None, group.namespace)
        and verdict.port in (None, group.port)
        and about.is_meant(group)
    )


def warned_columns(holders: Holders, row: HolderRow) -> set[str]:
    """The columns of a row that any verdict is about, apart from those that are no alarm.

    If the cell of such a column says more than the verdict is about, such as the number of all sockets of a cgroup, the
    row as a whole stands for it.
    """
    loud = [verdict for verdict in holders.verdicts if verdict.kind not in QUIET_KINDS]
    columns = {column for verdict in loud for column in verdict_columns(verdict, row)}
    for column in columns & OF_ALL_SOCKETS:
        found = [(verdict, about) for verdict in loud for about in ABOUT if about.column == column]
        if not all(any(_concerns(*each, group) for each in found) for group in row.groups):
            columns = columns - {column} | {NAME_COLUMN}
    return columns


def _meanings(row: HolderRow) -> Iterator[Meaning]:
    """The meanings of a row's sockets, at most MAX_MEANINGS; the meaning that most sockets have comes first."""
    sockets: dict[Meaning, float] = defaultdict(float)
    for group in row.groups:
        for meaning in MEANINGS:
            if group.holder.kind in meaning.kinds and (not meaning.states or group.state in meaning.states):
                sockets[meaning] += group.sockets
                break
    yield from nlargest(MAX_MEANINGS, sockets, key=lambda each: sockets[each])


def holder_page(
    holders: Holders, row: HolderRow, columns: int, single: SingleSockets = NO_SINGLE_SOCKETS
) -> list[Line]:
    """All lines of the page."""
    lines: list[Line] = []
    for verdict in holders.verdicts:
        if verdict_columns(verdict, row):
            lines += verdict_paragraph(verdict, columns)
    lines += paragraph(f"{MARGIN}{_sums_text(row)}", columns - 1, "text")
    for meaning in _meanings(row):
        lines += fact_lines(meaning.name, meaning.text, columns, FACT_WIDTH)
    of_row = holders._replace(groups=row.groups)
    tables: list[Line] = []
    for grouping in PAGE_GROUPINGS:
        rows = holder_rows(of_row, grouping, top=MAX_ROWS)
        if len(rows) > 1:
            tables += [EMPTY_LINE, *_table(grouping, rows, columns)]
        elif rows[0].name != row.name or len(rows[0].name) > CGROUP_COLUMNS:
            lines += fact_lines(TITLES[grouping].lower(), rows[0].name, columns, FACT_WIDTH)
    for text in _process_texts(holders, row):
        lines += fact_lines("descriptors", text, columns, FACT_WIDTH)
    for text in _shared_texts(holders, row):
        lines += fact_lines("shared", text, columns, FACT_WIDTH)
    lines += _single_lines(single, columns) if single.asks else []
    lines += tables
    for headings, cells in (
        (LISTENERS, _listener_cells(holders, row)),
        (CGROUPS, _cgroup_cells(holders, row, columns)),
    ):
        if cells:
            lines += [EMPTY_LINE, *_lines(headings, cells, columns)]
    return lines


def _single_lines(single: SingleSockets, columns: int) -> list[Line]:
    """The lines of the single sockets, or the key that requests them, or the reason why they cannot be requested."""
    ask, answer = single.asks[0], single.answer
    which = f"{'in' if ask.is_server else 'to'} :{ask.port}"
    if answer is not None:
        number = len(answer.rows)
        first = "the first " if number == MAX_SOCKET_ROWS else ""
        text = (
            f"{first}{number} single socket{'' if number == 1 else 's'} {which}, of all holders;"
            f" asked {units.ago(single.age_s)}, {answer.took_us / 1e6:.2f} s of CPU"
        )
        lines = fact_lines(TCP_INFO, text, columns, FACT_WIDTH)
        lines += paragraph(answer.reason, columns - 1, "text", WARNING) if answer.reason else []
        lines += paragraph(f"{MARGIN}{PEERS_ARE_NETWORKS}", columns - 1, "dim") if number else []
        peers = peer_cells(answer.rows, MAX_ROWS)
        if len(peers) > 1:
            lines += [EMPTY_LINE, *_lines(PEER_HEADINGS, peers, columns), EMPTY_LINE]
        return [*lines, *(_lines(ROW_HEADINGS, [*map(socket_row_cells, answer.rows)], columns) if number else [])]
    if not single.can_ask:
        text = "only a live kernel tells single sockets"
    elif single.is_asked:
        text = f"asking the kernel for single sockets {which} …"
    else:
        text = f"d asks the kernel for at most {MAX_SOCKET_ROWS} single sockets {which}; it locks each for a moment"
    return fact_lines(TCP_INFO, text, columns, FACT_WIDTH)


def _sums_text(row: HolderRow) -> str:
    about = "≈ " if row.is_estimated else ""
    slab = "" if row.slab_bytes is None else f"; slab {units.bounded(row.slab_bytes, units.size)}"
    buffers = buffers_text(row.buffer_bytes, row.charged)
    return (
        f"{about}{units.counted(round(row.sockets), 'socket')}{slab}; buffers {buffers}:"
        f" unread {units.size(row.unread_bytes)}, unsent {units.size(row.unsent_bytes)},"
        f" reserved {units.size(max(0.0, row.buffer_bytes - row.unread_bytes - row.unsent_bytes))}"
    )


def _process_texts(holders: Holders, row: HolderRow) -> Iterator[str]:
    """Text about a row with a single process: its open descriptors, and whether only a sample of them was read."""
    pids = {group.holder.pid for group in row.groups}
    process = holders.process_of.get(next(iter(pids)) or 0) if len(pids) == 1 else None
    if process is None:
        return
    most = "" if process.max_descriptors is None else f" of at most {units.grouped(process.max_descriptors)}"
    if process.below_limit is not None and process.max_descriptors is not None:
        sign = "≈ " if process.below_limit_error else ""
        most = f", {sign}{units.grouped(process.below_limit)} of them below the limit of"
        most += f" {units.grouped(process.max_descriptors)}, which counts only those"
    text = f"{units.grouped(process.descriptors)} open{most}"
    yield text if process.is_whole else f"{text}; a sample of them was looked up, so counts are estimates"


def _shared_texts(holders: Holders, row: HolderRow) -> Iterator[str]:
    """Text about sockets of the row that other processes have open too; only this row counts these sockets."""
    pids = {group.holder.pid for group in row.groups if group.holder.kind == "process"}
    found = [each for each in holders.shared if each.pid in pids]
    if found:
        others = ", ".join(_shared_with(holders, each.other_pid) for each in found[:MAX_SHARED])
        more = f" and {units.grouped(len(found) - MAX_SHARED)} more" if len(found) > MAX_SHARED else ""
        number = max(each.sockets for each in found)
        are, count = ("is", "counts") if number == 1 else ("are", "count")
        yield f"{units.grouped(number)} of its sockets {are} open in {others}{more} too, and {count} here alone"


def _shared_with(holders: Holders, pid: int) -> str:
    return process_name(holders, pid) or f"process {pid}"


def _table(by: Grouping, rows: Sequence[HolderRow], columns: int) -> list[Line]:
    headings = [
        Heading(TITLES[by], left=True, min_width=12),
        *(Heading(title, importance=LEAST.index(title) if title in LEAST else None) for title in FIGURES),
    ]
    titles = [heading.title for heading in headings]
    cells = [holder_cells(row, by, titles) for row in rows]
    return _lines(headings, _with_short_cgroups(cells, columns) if by == "cgroup" else cells, columns)


def _with_short_cgroups(cells: Sequence[Sequence[str]], columns: int) -> list[list[str]]:
    """The cells of a table of cgroups, whose paths leave room for the figures."""
    room = max(min(CGROUP_COLUMNS, columns - FIGURES_AT_LEAST), columns - ALL_FIGURES)
    return [[short_cgroup(path, room), *figures] for path, *figures in cells]


def _lines(headings: Sequence[Heading], cells: Sequence[Sequence[str]], columns: int) -> list[Line]:
    room = columns - len(MARGIN)
    layout = fit_columns(headings, cells, room).cut_first(room)
    return [
        ((MARGIN + layout.text(layout.titles), "head"),),
        *(((MARGIN + layout.text(texts), "text"),) for texts in cells),
    ]


def _listener_cells(holders: Holders, row: HolderRow) -> list[list[str]]:
    """The accept queues of the listeners of the row's ports, the fullest first."""
    places = {(group.namespace, group.port, group.family) for group in row.groups if group.is_server}
    # An IPv6 listener also accepts IPv4 connections, whose sockets are in groups of the family IPv4. The IPv6 listeners
    # of each port are therefore included.
    places |= {(namespace, port, AF_INET6) for namespace, port, _ in places}
    listeners = [each for each in holders.listeners if (each.namespace, each.port, each.family) in places]
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


def _cgroup_cells(holders: Holders, row: HolderRow, columns: int) -> list[list[str]]:
    """The memory of the row's cgroups, without cgroups whose memory is unknown."""
    numbers = dict.fromkeys(group.cgroup for group in row.groups)
    known = [(number, holders.cgroup_of[number]) for number in numbers if number in holders.cgroup_of]
    cells = [
        [cgroup_name(holders, number), units.short_size(cgroup.sock_bytes), units.short_size(cgroup.kernel_bytes)]
        for number, cgroup in known[:MAX_ROWS]
        if cgroup.sock_bytes is not None or cgroup.kernel_bytes is not None
    ]
    return _with_short_cgroups(cells, columns)
