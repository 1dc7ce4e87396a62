"""The single sockets of one group, with the queues and the struct tcp_info of each socket.

At most MAX_SOCKET_ROWS sockets are returned. The kernel locks a socket to fill its struct tcp_info (net/ipv4/tcp.c,
tcp_get_info). The request has a port filter, so that the kernel locks only the matching sockets (net/ipv4/inet_diag.c,
inet_diag_bc_run).
"""

from __future__ import annotations

import errno
import struct
import time
from collections.abc import Iterator
from contextlib import suppress

from tcptop.snapshot.socket_table import MAX_SOCKET_ROWS, RowAsk
from tcptop.sock_diag import ROWS_PATH
from tcptop.sock_diag.descriptors import sample_owners
from tcptop.sock_diag.dump import (
    ASK_CONGESTION,
    ASK_MEMORY,
    ASK_TCP_INFO,
    STATES,
    dump_datagrams,
    dump_request,
    open_diag_socket,
)
from tcptop.sock_diag.fold import ATTRIBUTES_AT, TIME_WAIT_TIMER, peer_network
from tcptop.sock_diag.net_namespaces import add_held, call_in_thread, find_namespaces, list_pids

TIME_LIMIT_S = 5.0

BYTECODE = 1
"""Type of the attribute INET_DIAG_REQ_BYTECODE."""
LOCAL_PORT_IS, FAR_PORT_IS = (2, 3), (4, 5)
"""Pairs of filter operations: S_GE and S_LE for the local port, D_GE and D_LE for the remote port. GE means at least a
given port, LE means at most a given port."""

TCP_INFO, CONGESTION, SKMEMINFO = 2, 4, 7
INFO_FIELDS = {
    "last_sent_ms": 44,
    "last_received_ms": 52,
    "rtt_us": 68,
    "cwnd": 80,
    "retransmitted": 100,
    "unsent": 144,
}
"""Offsets of 32-bit fields in struct tcp_info (include/uapi/linux/tcp.h); on older kernels the struct is shorter."""

COLUMNS = ("far_port", "inode", "rqueue", "wqueue", "rmem", "wmem_queued", *INFO_FIELDS)


def rows_path(ask: RowAsk) -> str:
    """The path of the request for the single sockets of one group."""
    return f"{ROWS_PATH},{ask.namespace},{ask.state},{'server' if ask.is_server else 'client'},{ask.port}"


def parse_row_ask(path: str) -> RowAsk:
    """The request that a path stands for; raises FileNotFoundError if the path does not stand for a request."""
    with suppress(ValueError):
        name, namespace, state, side, port = path.split(",")
        ask = RowAsk(int(namespace), state, side == "server", int(port))
        if name == ROWS_PATH and state in STATES and 0 <= ask.port < 1 << 16 and rows_path(ask) == path:
            return ask
    raise FileNotFoundError(errno.ENOENT, "No such rows", path)


def look_at_rows(ask: RowAsk) -> tuple[bytes, int]:
    """The sockets of a group as text, and the CPU time in microseconds; raises OSError if reading fails."""
    pids = list_pids()
    namespaces = find_namespaces(pids).namespaces
    if not any(each.inode == ask.namespace for each in namespaces):
        namespaces = add_held(namespaces, sample_owners(pids).namespaces)
    namespace = next((each for each in namespaces if each.inode == ask.namespace), None)
    if namespace is None:
        raise FileNotFoundError(errno.ENOENT, "the network namespace is gone")
    text, took_us = call_in_thread(lambda: rows_as_text(ask), namespace)
    return text.encode("ascii", "replace"), took_us


def request_rows(ask: RowAsk) -> bytes:
    """The netlink request for the sockets of one group."""
    request = dump_request(1 << STATES[ask.state], ASK_MEMORY | ASK_TCP_INFO | ASK_CONGESTION)
    at_least, at_most = LOCAL_PORT_IS if ask.is_server else FAR_PORT_IS
    # Each filter operation has two words. The first word has a code and two distances to the next operation: one for a
    # comparison that is true, one for a comparison that is false. The second word has the port. A distance beyond the
    # end of the filter rejects the socket.
    filter_ = struct.pack("=BBHBBHBBHBBH", at_least, 8, 20, 0, 0, ask.port, at_most, 8, 12, 0, 0, ask.port)
    attribute = struct.pack("=HH", 4 + len(filter_), BYTECODE) + filter_
    length = len(request) + len(attribute)
    return struct.pack("=I", length) + request[4:] + attribute


def rows_as_text(ask: RowAsk) -> str:
    """The sockets of a group in the calling thread's namespace, one on each line; see `row_line`."""
    lines: list[str] = []
    with open_diag_socket() as diag:
        for rows in dump_datagrams(diag, request_rows(ask), time.monotonic() + TIME_LIMIT_S):
            lines += row_lines(rows)
            if len(lines) >= MAX_SOCKET_ROWS:
                break  # closing the netlink socket ends the dump
    return "".join(f"{line}\n" for line in lines[:MAX_SOCKET_ROWS])


def row_lines(rows: memoryview) -> Iterator[str]:
    """The rows of a datagram. Each line has the columns COLUMNS, the congestion control, and the peer's network."""
    at = 0
    while at + ATTRIBUTES_AT <= len(rows):
        [length] = struct.unpack_from("=I", rows, at)
        if length < ATTRIBUTES_AT or at + length > len(rows):
            return
        row = bytes(rows[at : at + length])
        if row[18] != TIME_WAIT_TIMER:
            yield row_line(row)
        at += (length + 3) & ~3


def row_line(row: bytes) -> str:
    """One socket as a line; an unknown number is `-`. `row` must contain a whole struct inet_diag_msg."""
    attributes = dict(_attributes(row))
    info, memory = attributes.get(TCP_INFO, b""), attributes.get(SKMEMINFO, b"")
    rqueue, wqueue, _, inode = struct.unpack_from("=IIII", row, 72)
    fields = [
        int.from_bytes(row[22:24], "big"),
        inode,
        rqueue,
        wqueue,
        _word(memory, 0),
        _word(memory, 20),
        *(_word(info, offset) for offset in INFO_FIELDS.values()),
    ]
    congestion = attributes.get(CONGESTION, b"").rstrip(b"\0").decode("ascii", "replace")
    numbers = "\t".join("-" if field is None else str(field) for field in fields)
    return f"row\t{numbers}\t{congestion}\t{peer_network(row[16], row[40:56])}"


def _attributes(row: bytes) -> Iterator[tuple[int, bytes]]:
    at = ATTRIBUTES_AT
    while at + 4 <= len(row):
        length, kind = struct.unpack_from("=HH", row, at)
        if length < 4 or at + length > len(row):
            return
        yield kind & 0x3FFF, row[at + 4 : at + length]
        at += (length + 3) & ~3


def _word(data: bytes, at: int) -> int | None:
    return struct.unpack_from("=I", data, at)[0] if at + 4 <= len(data) else None
