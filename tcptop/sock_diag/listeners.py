"""Reads listening sockets one by one: a machine has few listeners, and each has an accept queue of its own."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tcptop.sock_diag.fold import ATTRIBUTES_AT, SKMEMINFO_WORDS, find_layout

FIXED_PART = struct.Struct("=16xBBBBHH48xIIII")
"""The fields that are read from struct inet_diag_msg, which follows the nlmsghdr (include/uapi/linux/inet_diag.h)."""


class ListenerRow(NamedTuple):
    """A listening socket."""

    family: int
    port: int
    queue: int
    """Connections that wait to be accepted (sk_ack_backlog)."""
    limit: int
    """Limit of the accept queue (sk_max_ack_backlog); a queue above the limit is full (sk_acceptq_is_full)."""
    drops: int | None
    """Connections that were dropped since the socket was made (sk_drops)."""
    uid: int
    cgroup: int
    inode: int


def listener_rows(rows: memoryview) -> Iterator[ListenerRow]:
    """The listeners in the rows of a datagram."""
    at = 0
    while at + ATTRIBUTES_AT <= len(rows):
        [length] = struct.unpack_from("=I", rows, at)
        if length < ATTRIBUTES_AT or at + length > len(rows):
            return
        row = rows[at : at + length]
        family, _, _, _, _, _, queue, limit, uid, inode = FIXED_PART.unpack_from(row)
        layout = find_layout(row)
        drops = cgroup = None
        if layout.memory_at is not None and layout.memory_words > SKMEMINFO_WORDS["drops"]:
            [drops] = struct.unpack_from("=I", row, layout.memory_at + 4 * SKMEMINFO_WORDS["drops"])
        if layout.cgroup_at is not None:
            [cgroup] = struct.unpack_from("=Q", row, layout.cgroup_at)
        yield ListenerRow(family, int.from_bytes(row[20:22], "big"), queue, limit, drops, uid, cgroup or 0, inode)
        at += (length + 3) & ~3
