"""The checksum of each record of a recording: CRC-32, stored before the bytes of the record."""

from __future__ import annotations

import zlib

CHECKSUM_BYTES = 4


class DamagedError(ValueError):
    """Error for a damaged part of a recording; the message describes the damage."""


def add_checksum(body: bytes, number: int) -> bytes:
    """The checksum followed by the bytes; `number` is the record's number, or 0 for the stored content of a file."""
    return _checksum(body, number) + body


def check(data: bytes, number: int) -> bytes:
    """The bytes after the checksum; raises DamagedError if the checksum does not match these bytes and the number."""
    body = data[CHECKSUM_BYTES:]
    if data[:CHECKSUM_BYTES] != _checksum(body, number):
        raise DamagedError("its checksum is wrong")
    return body


def _checksum(body: bytes, number: int) -> bytes:
    """The CRC-32 of the record's number and bytes, so that a record stored under another number fails the check."""
    return zlib.crc32(body, zlib.crc32(number.to_bytes(8, "little", signed=True))).to_bytes(CHECKSUM_BYTES, "little")
