"""The states page: bytes of slab per socket in each TCP state, and the number of sockets."""

from __future__ import annotations

from tcptop.ledger import SCOPE_LABELS, Ledger, SocketCost, StateCost
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

HEADINGS = make_headings("<STATE", "SERVER", "OWN PORT", "SOCKETS", "<OF", "HOLDS", least=("OF",))

INTRODUCTION = (
    "Bytes of slab that one socket takes in each state: on the server side, and with a local port of its own, as on the"
    " client side (at most, since ports may be shared). machine: all network namespaces; this netns: one of them."
)


def states_page(ledger: Ledger, columns: int) -> list[Line]:
    """The page with an introduction and the table of states."""
    return [*paragraph(" " + INTRODUCTION, columns - 1, "dim"), EMPTY_LINE, *states_table(ledger, columns)]


def states_table(ledger: Ledger, columns: int) -> list[Line]:
    """The table of states, and the parts whose size is unknown."""
    rows = [
        TableRow(
            (
                state.state,
                side_amount(state.accepted),
                side_amount(state.outgoing, own_port=True),
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


def side_amount(side: SocketCost | None, own_port: bool = False) -> str:
    """Bytes of a socket as text.

    The text begins with `≥` if the size of a part is unknown, and with `≈` or `≤` if the bytes are a range.

    `own_port` is True for an outgoing socket, which may have a local port of its own.
    """
    return "" if side is None else units.bounded(side.slab_bounds(own_port), units.exact_bytes)


def count_text(state: StateCost) -> str:
    """The number of sockets in a state; begins with `≤` if the number is an upper bound."""
    return f"{'≤ ' if state.count_is_upper_bound and state.count is not None else ''}{units.count(state.count)}"


def holds_text(state: StateCost) -> str:
    """The objects that a socket in a given state holds, and the size of an unread FIN, if the size is known."""
    if state.unread_fin_bytes is None:
        return state.holds
    return f"{state.holds}: over loopback about {units.exact_bytes(state.unread_fin_bytes)} B"
