"""The headroom page: how many more sockets fit, and each limit with its current use."""

from __future__ import annotations

from tcptop.ledger import Ledger, Limit
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

HEADINGS = make_headings("<LIMIT", "<FOR", "USED", "AT", "HEADROOM", "<OF", "", least=("USED", "FOR", "OF"))


def headroom_page(ledger: Ledger, columns: int) -> list[Line]:
    """A sentence with the nearest limit, and a table of all limits."""
    rows = [
        TableRow(
            (
                limit.name,
                limit.concerns,
                used_text(ledger, limit),
                limit_text(limit, limit.maximum),
                units.count(limit.headroom_sockets),
                limit.scope,
            ),
            note=limit.note,
            role="strong" if limit is ledger.limits.first else "text",
        )
        for limit in ledger.limits.rows
    ]
    return [
        *paragraph(f" {headroom_sentence(ledger)}", columns - 1, "strong"),
        EMPTY_LINE,
        *table_lines(HEADINGS, rows, columns),
    ]


def headroom_number(ledger: Ledger) -> str:
    """The headroom, `381 000`; after `≤` if a limit is unknown, since the unknown limit may be the nearest."""
    first = ledger.limits.first
    if first is None:
        return units.UNKNOWN
    return f"{'≤ ' if ledger.limits.missing else ''}{units.rough_count(first.headroom_sockets)}"


def headroom_sentence(ledger: Ledger) -> str:
    """The sentence `headroom 381 000 sockets; first limit: memory of node 3`, and the names of unknown limits."""
    first, missing = ledger.limits.first, ledger.limits.missing
    limit = f"; first limit: {first.name}" if first is not None else ""
    nodes = [each.headroom_sockets for each in ledger.limits.rows if each.scope == "node"]
    known = [sockets for sockets in nodes if sockets is not None]
    if first is not None and first.scope == "node" and len(known) == len(nodes) > 1:
        limit += f" (all nodes: {units.rough_count(sum(known))})"
    unknown = f"; not known: {', '.join(missing)}" if missing else ""
    return f"headroom {headroom_number(ledger)} sockets{limit}{unknown}"


def used_text(ledger: Ledger, limit: Limit) -> str:
    """The current use of a limit; for tcp_mem, an upper bound if the counter's error exceeds the counter's value."""
    if limit.unit == "bytes":
        return units.bounded(ledger.sockets.buffer_bounds, units.size)
    return limit_text(limit, limit.used)


def limit_text(limit: Limit, amount: int | None) -> str:
    """An amount in the unit of a limit: bytes or a count."""
    if amount is None:
        return units.UNKNOWN
    return units.size(amount) if limit.unit == "bytes" else units.count(amount)
