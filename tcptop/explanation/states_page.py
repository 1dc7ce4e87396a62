"""The states page: bytes of slab per socket in each TCP state, and the number of sockets."""

from __future__ import annotations

from tcptop.explanation.socket_sum import sum_lines
from tcptop.kernel.objects import State
from tcptop.ledger import SCOPE_LABELS, Ledger, SocketCost, StateCost
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

HEADINGS = make_headings("<STATE", "SERVER", "CLIENT", "SOCKETS", "<OF", "HOLDS", least=("OF",))

INTRODUCTION = (
    "Bytes of slab that one socket takes in each state: on the server side, and on the client side with a local"
    " port of its own (at most, since ports may be shared). A listener has a port, too. machine: all network"
    " namespaces; this netns: one of them. ≈ leaves out what a"
    " socket may not have (memcg: whether a slab has a vector is not known), ≤ counts it: their difference is not the"
    " size of a port."
)

WITHOUT_ROW = (
    "SYN_SENT, FIN_WAIT1, CLOSING and LAST_ACK take as much as ESTABLISHED; after close(2) the last three are orphans."
)
"""The sentence on the states that have no row in the table."""

FILE = "file"
"""Label of the cost of a socket's file. Orphans and sockets in an accept queue have no file."""


def states_page(ledger: Ledger, columns: int) -> list[Line]:
    """The page with the sums of a socket's parts, an introduction and the table of states."""
    sentence = average_sentence(ledger)
    return [
        *sum_lines(ledger, ("full", "time_wait"), columns),
        EMPTY_LINE,
        *paragraph(f" {INTRODUCTION}", columns - 1, "dim"),
        EMPTY_LINE,
        *states_table(ledger, columns),
        EMPTY_LINE,
        *paragraph(f" {WITHOUT_ROW}", columns - 1, "dim"),
        *([EMPTY_LINE, *paragraph(f" {sentence}", columns - 1, "text")] if sentence else []),
    ]


def average_sentence(ledger: Ledger) -> str:
    """The reason why the average differs from the cost of one more server-side socket.

    The text is empty if the average or the cost is unknown.

    Idle slab memory raises the average. Orphans and sockets in an accept queue lower the average, because they have no
    file and no inode.
    """
    cost, sockets = ledger.costs["full"], ledger.sockets
    accepted = cost.by_family["mix"].accepted
    if cost.now_bytes is None or accepted.slab_bytes is None or accepted.missing:
        return ""
    now, one_more = units.exact_bytes(cost.now_bytes), units.exact_bytes(accepted.slab_bytes)
    if now == one_more:
        return ""
    is_below = cost.now_bytes < accepted.slab_bytes
    difference = units.count(abs(round(cost.now_bytes) - round(accepted.slab_bytes)))
    start = (
        f"The average now, {now} B, is {difference} B {'less' if is_below else 'more'} than one more socket at the"
        f" server side, {one_more} B:"
    )
    idle_bytes = cost.idle_bytes_per_socket
    most = "at most" if cost.now_is_at_most else "about"
    idle = ""
    if idle_bytes is not None:
        idle = f"{most} {units.exact_bytes(idle_bytes, cost.now_is_at_most or None)} B of each socket are idle"
    files = sum(part.slab_bytes or 0.0 for part in accepted.parts if part.label == FILE)
    now_files = sum(part.bytes for part in cost.now_slices if part.label == FILE)
    share = now_files / files if files else 1.0
    without = 0 if sockets.allocated is None else round(sockets.allocated * (1 - share))
    reasons = [idle] if idle and (not is_below or without <= 0) else []
    if without > 0:
        reasons.append(
            f"about {units.grouped(without)} of {units.count(sockets.allocated)} sockets have no file and no inode"
            f" (orphans: {units.count(sockets.orphans)}; others wait in accept queues, or are the kernel's own)"
        )
    return f"{start} {'; '.join(reasons)}." if reasons else f"{start[:-1]}."


def states_table(ledger: Ledger, columns: int) -> list[Line]:
    """The table of states, and the parts of a socket whose size is unknown."""
    rows = [
        TableRow(
            (
                state.state,
                *sides_text(state),
                count_text(state),
                SCOPE_LABELS.get(state.scope or "", state.scope or ""),
            ),
            holds_text(state),
            state.note,
        )
        for state in ledger.states
    ]
    missing = dict.fromkeys(
        name for state in ledger.states for side in (state.accepted, state.outgoing) if side for name in side.missing
    )
    lines = table_lines(HEADINGS, rows, columns)
    if missing:
        lines += [EMPTY_LINE, *paragraph(f" ≥ since not known: {', '.join(missing)}", columns - 1, "warning")]
    return lines


def sides_text(state: StateCost) -> tuple[str, str]:
    """The bytes of a socket in a state, on the server side and on the client side.

    A listener is on the server side, though it owns its port as sockets of the client side do.
    """
    own_port = side_amount(state.outgoing, own_port=True)
    return (own_port, "") if state.state == State.LISTEN.value else (side_amount(state.accepted), own_port)


def side_amount(side: SocketCost | None, own_port: bool = False) -> str:
    """Bytes of a socket as text.

    The text begins with `≥` if the size of a part is unknown, and with `≈` or `≤` if the bytes are a range.

    `own_port` is True for an outgoing socket, which may own its local port.
    """
    return "" if side is None else units.bounded(side.slab_bounds(own_port), units.exact_bytes)


def count_text(state: StateCost) -> str:
    """The number of sockets in a state; begins with `≤` if the number is an upper bound."""
    return f"{'≤ ' if state.count_is_upper_bound and state.count is not None else ''}{units.count(state.count)}"


def holds_text(state: StateCost) -> str:
    """The objects that a socket in a given state holds, and the size of an unread FIN if it is known."""
    if state.unread_fin_bytes is None:
        return state.holds
    return f"{state.holds}: over loopback about {units.exact_bytes(state.unread_fin_bytes)} B"
