"""Dump of TCP sockets from the kernel: the netlink request, and the datagrams of the answer.

The formats are defined in include/uapi/linux/netlink.h, sock_diag.h and inet_diag.h; the kernel answers in
net/ipv4/inet_diag.c.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK = 18
"""Message type of a request for the TCP sockets of all families; the kernel walks its table of sockets once."""
SOCK_DIAG_BY_FAMILY = 20
ROW_TYPES = (TCPDIAG_GETSOCK, SOCK_DIAG_BY_FAMILY)
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST_DUMP = 0x301

ASK_MEMORY = 1 << (7 - 1)
"""Bit of `idiag_ext` for the attribute INET_DIAG_SKMEMINFO."""
ASK_TCP_INFO = 1 << (2 - 1)
"""Bit of `idiag_ext` for INET_DIAG_INFO, for which the kernel locks each socket (tcp_get_info)."""
ASK_CONGESTION = 1 << (4 - 1)
"""Bit of `idiag_ext` for INET_DIAG_CONG, the name of the congestion control."""

STATES = {
    "ESTABLISHED": 1,
    "SYN_SENT": 2,
    "SYN_RECV": 3,
    "FIN_WAIT1": 4,
    "FIN_WAIT2": 5,
    "TIME_WAIT": 6,
    "CLOSE": 7,
    "CLOSE_WAIT": 8,
    "LAST_ACK": 9,
    "LISTEN": 10,
    "CLOSING": 11,
}
"""TCP states by name (include/net/tcp_states.h)."""
STATE_NAMES = {number: name for name, number in STATES.items()}

LISTEN_MASK = 1 << STATES["LISTEN"]
ALL_STATES_MASK = 0xFFE
"""Bits of the states in STATES.

Bit 13 (BOUND_INACTIVE, since 6.8) is never set. If bit 13 were set, the kernel would walk all sockets of a port under
the lock of a bind bucket, with bottom halves off.
"""
UNLISTENING_MASK = ALL_STATES_MASK & ~LISTEN_MASK

RECEIVE_BYTES = 1 << 16
"""Size of the receive buffer; the kernel fills datagrams of at most 32 KiB (NLMSG_GOODSIZE, netlink_dump)."""

HEADER = struct.Struct("=IHHII")


def dump_request(states: int, extensions: int = ASK_MEMORY) -> bytes:
    """The request for all TCP sockets in the states of a bit mask: an nlmsghdr and a struct inet_diag_req."""
    body = struct.pack("=BBBB48xII", socket.AF_INET, 0, 0, extensions, states, 0)
    return HEADER.pack(HEADER.size + len(body), TCPDIAG_GETSOCK, NLM_F_REQUEST_DUMP, 1, 0) + body


def open_diag_socket() -> socket.socket:
    """Opens the netlink socket, in the network namespace of the calling thread.

    Raises OSError with a reason if the kernel lacks sock_diag (gVisor, WSL 1), or if a seccomp filter forbids
    sock_diag.
    """
    try:
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
    except OSError as error:
        raise OSError(error.errno, f"no netlink socket for sock_diag: {error.strerror}") from None


def dump_datagrams(
    diag: socket.socket, request: bytes, deadline_s: float, monotonic: Callable[[], float] = time.monotonic
) -> Iterator[memoryview]:
    """Yields a view of the rows of each datagram; the view is valid only until the next view is yielded.

    Raises:
        TimeoutError: if the dump has not ended at `deadline_s`, on the clock of `monotonic`.
        OSError: if the kernel answers with an error, such as ENOENT without the module tcp_diag.

    """
    buffer = bytearray(RECEIVE_BYTES)
    view = memoryview(buffer)
    diag.settimeout(max(0.01, deadline_s - monotonic()))
    diag.sendto(request, (0, 0))
    while True:
        left_s = deadline_s - monotonic()
        if left_s <= 0:
            raise TimeoutError(errno.ETIMEDOUT, "the dump took too long")
        diag.settimeout(left_s)
        size = diag.recv_into(buffer)
        end = rows_end(view[:size])
        if end:
            yield view[:end]
        if end < size and _is_last(view[end:size]):
            return


def rows_end(datagram: memoryview) -> int:
    """Offset of the first message that is not a row; the length of the datagram if all messages are rows.

    A message with an impossible length is not a row; the macro NLMSG_OK rejects the same lengths.
    """
    at, size = 0, len(datagram)
    if size < HEADER.size:
        return 0
    length, kind, *_ = HEADER.unpack_from(datagram)
    step = (length + 3) & ~3
    if kind in ROW_TYPES and step >= HEADER.size and size % step == 0:
        # In most datagrams, all rows have the same length, so that no walk from row to row is needed.
        rows = size // step
        are_alike = datagram.cast("I")[:: step // 4].tolist().count(length) == rows
        if are_alike and datagram.cast("H")[2 :: step // 2].tolist().count(kind) == rows:
            return size
    while at + HEADER.size <= size:
        length, kind, *_ = HEADER.unpack_from(datagram, at)
        if kind not in ROW_TYPES or length < HEADER.size or at + length > size:
            return at
        at += (length + 3) & ~3
    return min(at, size)


def _is_last(rest: memoryview) -> bool:
    """True if a message ends the dump; raises OSError if the message reports an error."""
    if len(rest) < HEADER.size:
        return False
    kind: int = HEADER.unpack_from(rest)[1]
    if kind in (NLMSG_ERROR, NLMSG_DONE) and len(rest) >= HEADER.size + 4:
        code: int = -struct.unpack_from("=i", rest, HEADER.size)[0]
        if code == errno.ENOENT:
            raise OSError(code, "the kernel has no tcp_diag (CONFIG_INET_TCP_DIAG)")
        if code > 0:
            raise OSError(code, os.strerror(code))
    return kind == NLMSG_DONE
