"""The page of attached objects, which only some sockets have: epoll items, tracked flows, TLS contexts and buffers."""

from __future__ import annotations

from math import inf

from tcptop.explanation.glossary.find import find_entries
from tcptop.explanation.glossary_page import entry_lines
from tcptop.ledger import Amount, AttachedObjects, Ledger
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

HEADINGS = make_headings("<ATTACHED", "NUMBER", "SIZE", "B/SOCKET", "")
PURPOSE = (
    "A socket has these objects only if its program, a firewall rule or its traffic asks for them. No cost of a socket"
    " contains them; key E adds them to the average over the present sockets."
)


def attached_page(ledger: Ledger, columns: int) -> list[Line]:
    """The definition of attached objects, followed by their page."""
    return [*entry_lines(find_entries("attached")[:1], columns), *attached_objects(ledger, columns)]


def attached_objects(ledger: Ledger, columns: int) -> list[Line]:
    """The table of attached objects, their purpose, and the average bytes per socket with and without them."""
    return [
        *attached_table(ledger, columns),
        EMPTY_LINE,
        *paragraph(f" {attached_sentence(ledger)}", columns - 1, "text"),
        *paragraph(f" {PURPOSE}", columns - 1, "dim"),
    ]


def attached_table(ledger: Ledger, columns: int) -> list[Line]:
    """One row for each kind of object; the number of objects is 0 if this kernel does not have the kind."""
    return table_lines(HEADINGS, [_row(kind) for kind in ledger.attached.kinds], columns)


def _row(kind: AttachedObjects) -> TableRow:
    cells = (
        kind.name,
        bounds_text(kind.number, units.exact_bytes),
        bounds_text(kind.bytes, units.size),
        bounds_text(kind.bytes_per_socket, units.exact_bytes),
    )
    return TableRow(cells, kind.unknown_because or kind.note, role="text" if kind.may_exist else "dim")


def bounds_text(bounds: Amount | None, format_amount: units.BoundFormat) -> str:
    """An amount between two bounds: `≥ 12`, `≤ 14`, `12 to 14`, or `12` if both bounds give the same text."""
    if bounds is None or bounds.high == inf or not bounds.low:
        return units.bounded(bounds, format_amount)
    return units.bounds_span(bounds, format_amount)


def attached_sentence(ledger: Ledger) -> str:
    """A sentence with the average bytes per existing socket, first without and then with attached objects."""
    cost, now, mptcp = ledger.costs["full"], ledger.attached.now_bytes, ledger.attached.mptcp_socks
    if now is None:
        return f"There is no average over the sockets: {cost.now_unknown_because}."
    without = units.bounded(cost.now_bounds, units.exact_bytes)
    text = f"Average over the sockets: {without} B, and with these objects {bounds_text(now, units.exact_bytes)} B."
    if mptcp:
        which = "at least one MPTCP sock" if mptcp == 1 else f"at least {units.grouped(mptcp)} MPTCP socks"
        text += f" Both leave out {which} beside the TCP socks of the subflows."
    return text
