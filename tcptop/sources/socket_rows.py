"""Reads single sockets of one group (sock_diag/socket_rows.py), which only a live host can be asked for."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot.socket_table import SocketRow
from tcptop.sock_diag.socket_rows import COLUMNS, RowAsk
from tcptop.sources.source import explain_error, parse_count
from tcptop.text.printable import decode_text, printable_name


async def read_socket_rows(host: Host, ask: RowAsk) -> tuple[list[SocketRow], str | None]:
    """The rows of a group; also the reason that there are none, None if they were read."""
    [file] = await host.read((ask.path,))
    return list(parse_rows(file)), None if file.error is None else explain_error(file.path, file.error)[1]


def parse_rows(file: FileRead) -> Iterator[SocketRow]:
    """The rows of a text; lines that are not understood are left out."""
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
