"""Reads the sockets of a group one by one (sock_diag/socket_rows.py).

Only a live host can answer requests for single sockets.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot.socket_table import MAX_SOCKET_ROWS, RowAsk, SocketRow, SocketRows
from tcptop.sock_diag.socket_rows import COLUMNS, TIME_LIMIT_S, rows_path
from tcptop.sources.source import explain_error, parse_count
from tcptop.text.printable import decode_text, printable_name


async def read_socket_rows(host: Host, asks: Iterable[RowAsk]) -> SocketRows:
    """The first MAX_SOCKET_ROWS sockets that match the requests; after TIME_LIMIT_S, no further request begins."""
    rows: list[SocketRow] = []
    took_us, started_s = 0, time.monotonic()
    for ask in asks:
        if len(rows) >= MAX_SOCKET_ROWS:
            break
        if time.monotonic() - started_s > TIME_LIMIT_S:
            return SocketRows(tuple(rows), f"the looks were ended after {TIME_LIMIT_S:.0f} s", took_us)
        [file] = await host.read((rows_path(ask),))
        took_us += file.took_us
        if file.error is not None:
            return SocketRows(tuple(rows), explain_error(file.path, file.error)[1], took_us)
        rows += parse_rows(file)
    return SocketRows(tuple(rows[:MAX_SOCKET_ROWS]), None, took_us)


def parse_rows(file: FileRead) -> Iterator[SocketRow]:
    """The sockets in a text, one on each line; lines of an unknown format are left out."""
    for line in decode_text(file.data or b"").split("\n"):
        kind, *fields = line.split("\t")
        if kind != "row" or len(fields) != len(COLUMNS) + 2:
            continue
        *numbers, congestion_control, peer = fields
        try:
            counts = [None if text == "-" else parse_count(text) for text in numbers]
        except ValueError:
            continue
        yield SocketRow._make([*counts, printable_name(congestion_control), printable_name(peer)])
