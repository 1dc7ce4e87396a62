"""Packs the blobs of a recording: a CRC-32 checksum, then the deflated bytes, with a limit on the unpacked size."""

from __future__ import annotations

import zlib

MAX_UNPACKED_BYTES = 16 << 20
"""Limit for one record or content, far above any real one: a hostile file cannot unpack to more."""
CHECKSUM_BYTES = 4


class DamagedError(ValueError):
    """A damaged part of a recording; the message says how it is damaged."""


def pack(data: bytes, number: int) -> bytes:
    """Compresses data and prefixes the checksum; raises ValueError for more than MAX_UNPACKED_BYTES."""
    if len(data) > MAX_UNPACKED_BYTES:
        raise ValueError(f"more than {MAX_UNPACKED_BYTES >> 20} MiB")
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = compressor.compress(data) + compressor.flush()
    return _checksum(body, number) + body


def unpack(data: bytes, number: int) -> bytes:
    """Checks and decompresses what `pack` returned; `number` is that of the record, 0 for a content.

    Raises:
        DamagedError: if the checksum does not match the bytes and the number, or the unpacked size is above the limit.

    """
    body = data[CHECKSUM_BYTES:]
    if data[:CHECKSUM_BYTES] != _checksum(body, number):
        raise DamagedError("its checksum is wrong")
    unpacker = zlib.decompressobj(-15)
    try:
        data = unpacker.decompress(body, MAX_UNPACKED_BYTES + 1)
    except zlib.error:
        raise DamagedError("it cannot be unpacked") from None
    if len(data) > MAX_UNPACKED_BYTES:
        raise DamagedError(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
    if not unpacker.eof or unpacker.unused_data:
        raise DamagedError("it is cut off, or more bytes follow its end")
    return data


def _checksum(body: bytes, number: int) -> bytes:
    """The CRC-32 of the record's number and the compressed bytes: a record moved to another number does not match."""
    return zlib.crc32(body, zlib.crc32(number.to_bytes(8, "little", signed=True))).to_bytes(CHECKSUM_BYTES, "little")
