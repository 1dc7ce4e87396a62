"""The dumps that record_datagrams.py recorded, and made-up rows."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tcptop.hosts.zstd import zstd

FOLDER = Path(__file__).resolve().parent / "datagrams"

RELEASES = sorted(path.stem for path in FOLDER.glob("*.zst"))

each_release = pytest.mark.parametrize("release", RELEASES)


@cache
def datagrams(release: str) -> tuple[bytes, ...]:
    """The datagrams of a release, including the datagrams that end a dump."""
    data = zstd.decompress((FOLDER / f"{release}.zst").read_bytes())
    found: list[bytes] = []
    at = 0
    while at < len(data):
        [length] = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return tuple(found)


@cache
def counted(release: str) -> Mapping[str, Any]:
    """The counts of the recording program, and the kernel's own counters."""
    value: Mapping[str, Any] = json.loads((FOLDER / f"{release}.json").read_text())
    return value


@cache
def messages(release: str) -> tuple[bytes, ...]:
    """The rows of a release, each padded."""
    return tuple(row for datagram in datagrams(release) for row in _split(datagram))


def _split(datagram: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(datagram):
        length, kind = struct.unpack_from("=IH", datagram, at)
        if kind in (18, 20):
            yield datagram[at : at + length].ljust(length + -length % 4, b"\0")
        at += length + -length % 4


def attribute(kind: int, data: bytes) -> bytes:
    """A netlink attribute, padded."""
    return (struct.pack("=HH", 4 + len(data), kind) + data).ljust(4 + len(data) + -len(data) % 4, b"\0")


def memory(words: Sequence[int]) -> bytes:
    """The attribute INET_DIAG_SKMEMINFO."""
    return attribute(7, b"".join(struct.pack("=I", word & 0xFFFFFFFF) for word in words))


def make_row(
    attributes: bytes = b"",
    *,
    family: int = 2,
    state: int = 1,
    timer: int = 0,
    ports: tuple[int, int] = (8080, 40000),
    peer: bytes = b"",
    queues: tuple[int, int] = (0, 0),
    uid: int = 0,
    inode: int = 0,
) -> bytes:
    """A row: an nlmsghdr, a struct inet_diag_msg and attributes."""
    body = struct.pack("=BBBB", family, state, timer, 0) + struct.pack(">HH", *ports)
    body += struct.pack("=16s16s4x8x4xIIII", b"", peer, *queues, uid, inode) + attributes
    return struct.pack("=IHHII", 16 + len(body), 18, 2, 1, 0) + body
