"""The table of hosts as text (-o), and the figures of one host as a line of JSON (--json)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tcptop import __version__
from tcptop.explanation.host_rows import (
    COLUMNS,
    TableOrder,
    answering_rows,
    count_text,
    host_name,
    lost_text,
    sort_looks,
)
from tcptop.ledger.host_row import HostLook, HostRow
from tcptop.report.as_json import (
    NOT_IN_SOCKETS,
    SCHEMA,
    Json,
    bounds_as_entries,
    event_as_object,
    headroom_as_object,
    limit_as_object,
    record_as_object,
    rounded,
    side_sums,
    utc_text,
)
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.table import Heading, plain_table


def hosts_as_text(looks: Sequence[HostLook], order: TableOrder, columns: int | None) -> str:
    """The table in ASCII: a row for each machine that answers, the sums, and a line for each that does not answer."""
    rows = sort_looks(looks, order)
    answering = [look for look in rows if look.answers]
    headings = [
        Heading("HOST", left=True),
        *(Heading(column.title, column.left, importance=20 - number) for number, column in enumerate(COLUMNS)),
    ]
    cells = [[host_name(look), *_cells(look.row)] for look in answering if look.row is not None]
    sums = [count_text(rows), *(_total(number, answering_rows(rows)) for number in range(len(COLUMNS)))]
    lines = list(plain_table(headings, [*cells, sums], columns)) if cells else [f"  {count_text(rows)}"]
    lost = [f"  {host_name(look)}: {lost_text(look).partition('; again in ')[0]}" for look in rows if not look.answers]
    notes = [
        f"  {host_name(look)}: {look.row.reason}"
        for look in answering
        if look.row is not None and look.row.reason is not None
    ]
    parts = ["\n".join(part) for part in (lines, lost, notes) if part]
    return report_to_ascii("\n\n".join(parts) + "\n")


def _cells(row: HostRow) -> list[str]:
    return [column.text(row) for column in COLUMNS]


def _total(number: int, rows: Sequence[HostRow]) -> str:
    total = COLUMNS[number].total
    return "" if total is None else total(rows) if rows else units.UNKNOWN


def look_as_json(look: HostLook) -> str:
    """The figures of one machine as one line of JSON."""
    return f"{json.dumps(look_as_object(look))}\n"


def look_as_object(look: HostLook) -> Json:
    """The figures of one machine as a dictionary; they are null if the machine did not answer."""
    row = look.row if look.answers else None
    head = {
        "schema": SCHEMA,
        "version": __version__,
        "asked": look.name,
        "answers": look.answers,
        "reason": look.lost_because if row is None else row.reason,
    }
    return {**head, **(_NO_FIGURES if row is None else _figures(row))}


def _figures(row: HostRow) -> Json:
    memory = row.tcp_memory
    return {
        "taken_at": utc_text(row.taken_at_unix_s),
        "name": row.host.name,
        "kernel": row.host.kernel,
        "memory_bytes": row.host.memory_bytes,
        "memory_available_bytes": row.host.memory_available_bytes,
        "one_more_socket": side_sums(row.one_more),
        **bounds_as_entries("average_{}_bytes", row.average),
        "sockets": record_as_object(row.sockets, NOT_IN_SOCKETS),
        "sockets_per_s": rounded(row.sockets.allocated_per_s),
        "time_wait_per_s": rounded(row.sockets.time_wait_per_s),
        "tcp_memory_bytes": memory.bytes,
        "tcp_memory_low_bytes": memory.low_bytes,
        "tcp_memory_high_bytes": memory.high_bytes,
        "headroom": headroom_as_object(row.headroom, row.limits),
        "limits": [limit_as_object(limit) for limit in row.limits.rows],
        "events": {event.name: event_as_object(event) for event in row.events},
    }


FIGURES = (
    *("taken_at", "name", "kernel", "memory_bytes", "memory_available_bytes", "one_more_socket"),
    *("average_low_bytes", "average_high_bytes", "sockets", "sockets_per_s", "time_wait_per_s"),
    *("tcp_memory_bytes", "tcp_memory_low_bytes", "tcp_memory_high_bytes", "headroom", "limits", "events"),
)
"""JSON keys of a machine's figures."""
_NO_FIGURES: Json = dict.fromkeys(FIGURES)
