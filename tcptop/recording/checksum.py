"""Bytes as they stand in a recording's file: compressed, with a checksum, and an end to what they may unpack to."""

from __future__ import annotations

import zlib

MAX_UNPACKED_BYTES = 16 << 20
"""Of one record or content: far more than any has, and an end to what a hostile file may unpack to."""
CHECKSUM_BYTES = 4


class DamagedError(ValueError):
    """What is wrong with a part of a recording."""


def pack(data: bytes, number: int) -> bytes:
    """The bytes compressed; raises ValueError for more than may be unpacked again."""
    if len(data) > MAX_UNPACKED_BYTES:
        raise ValueError(f"more than {MAX_UNPACKED_BYTES >> 20} MiB")
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = compressor.compress(data) + compressor.flush()
    return _checksum(body, number) + body


def unpack(data: bytes, number: int) -> bytes:
    """What `packed` was given.

    Raises:
        DamagedError: where the checksum is not that of the bytes and the number, or the bytes unpack to too much.

    """
    body = data[CHECKSUM_BYTES:]
    if data[:CHECKSUM_BYTES] != _checksum(body, number):
        raise DamagedError("its checksum is wrong")
    unpacker = zlib.decompressobj(-15)
    try:
        found = unpacker.decompress(body, MAX_UNPACKED_BYTES + 1)
    except zlib.error:
        raise DamagedError("it cannot be unpacked") from None
    if len(found) > MAX_UNPACKED_BYTES:
        raise DamagedError(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
    if not unpacker.eof or unpacker.unused_data:
        raise DamagedError("it does not end where it should")
    return found


def _checksum(body: bytes, number: int) -> bytes:
    """The number counts too: a record must not stand for another."""
    return zlib.crc32(body, zlib.crc32(number.to_bytes(8, "little", signed=True))).to_bytes(CHECKSUM_BYTES, "little")
