"""Decompresses gzip, bzip2, xz and zstd as a stream, with bounds on memory and on the decompressed size."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol, Union

if TYPE_CHECKING:
    from tcptop.hosts.zstd import zstd

CHUNK_BYTES = 1 << 16
MAX_DICTIONARY_BYTES = 128 << 20
"""Limit on memory for decompressing: xz -9 needs 65 MiB, zstd --ultra -22 128 MiB, a hostile file more than 1 GiB."""

ALWAYS_ALLOWED_BYTES = 512 << 20
MAX_RATIO = 200
"""Maximum decompression ratio if the result exceeds `ALWAYS_ALLOWED_BYTES`; sosreports full of logs reach 100."""
MAX_UNPACKED_BYTES = 32 << 30

Decompressor = Union[lzma.LZMADecompressor, "zstd.ZstdDecompressor"]

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class DamagedArchiveError(Exception):
    """Error with the reason why an archive cannot be read."""


class CutArchiveError(Exception):
    """Error raised when an archive is cut off."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, at most `size`; empty at the end of the stream."""
        ...


class UnpackedStream:
    """Reads a plain or compressed file, forward only."""

    def __init__(self, file: BinaryIO, packed_bytes: int) -> None:
        """Takes a file, positioned at its beginning, and the size of the file in bytes."""
        magic = file.read(6)
        file.seek(0)
        self._source = _open_unpacker(magic, file)
        self._max_bytes = min(MAX_UNPACKED_BYTES, max(ALWAYS_ALLOWED_BYTES, packed_bytes * MAX_RATIO))
        self._read_bytes = 0

    def read(self, size_bytes: int) -> bytes:
        """Exactly `size_bytes` bytes; fewer only at the end.

        Raises:
            CutArchiveError: if the compressed data end too early.
            DamagedArchiveError: if the compressed data are damaged, or decompress to more than the bounds.
        """
        pieces: list[bytes] = []
        missing = size_bytes
        while missing:
            piece = self._read_some(min(missing, CHUNK_BYTES))
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def skip(self, size_bytes: int) -> None:
        """Skips `size_bytes` bytes; raises as `read` does, and CutArchiveError if fewer are left."""
        while size_bytes:
            piece = self._read_some(min(size_bytes, CHUNK_BYTES))
            if not piece:
                raise CutArchiveError
            size_bytes -= len(piece)

    def drain(self) -> None:
        """Reads to the end, so that the checksums at the end are checked; raises as `read` does."""
        while self._read_some(CHUNK_BYTES):
            pass

    def _read_some(self, max_bytes: int) -> bytes:
        try:
            piece = self._source.read(max_bytes)
        except EOFError:
            raise CutArchiveError from None
        except MemoryError:
            raise DamagedArchiveError("it takes too much memory to unpack") from None
        except Exception as error:  # OSError, ValueError, zlib.error, LZMAError, ZstdError
            raise DamagedArchiveError(f"it is damaged: {error}") from None
        self._read_bytes += len(piece)
        if self._read_bytes > self._max_bytes:
            raise DamagedArchiveError(f"it unpacks to more than {self._max_bytes >> 20} MiB, far beyond its own size")
        return piece


class BoundedReader:
    """Decompresses an xz or zstd file of one or more streams in bounded memory; lzma.LZMAFile has no memory limit."""

    def __init__(self, file: BinaryIO, make_decompressor: Callable[[], Decompressor]) -> None:
        self._file = file
        self._make_decompressor = make_decompressor
        self._decompressor = make_decompressor()

    def read(self, size: int, /) -> bytes:
        """Returns the next bytes, at most `size`; empty at the end. Raises EOFError if the file is cut off."""
        while True:
            if self._decompressor.eof:
                rest = (self._decompressor.unused_data or self._file.read(CHUNK_BYTES)).lstrip(b"\0")
                if not rest:
                    return b""
                self._decompressor = self._make_decompressor()
            elif self._decompressor.needs_input:
                rest = self._file.read(CHUNK_BYTES)
                if not rest:
                    raise EOFError
            else:
                rest = b""
            piece = self._decompressor.decompress(rest, max_length=size)
            if piece:
                return piece


def _open_unpacker(magic: bytes, file: BinaryIO) -> Readable:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic.startswith(b"\xfd7zXZ\0"):
        return BoundedReader(file, lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES))
    if magic.startswith(ZSTD_MAGIC):
        # Imported here, because importing zstd takes time, and few archives need it.
        from tcptop.hosts.zstd import make_decompressor

        return BoundedReader(file, lambda: make_decompressor(MAX_DICTIONARY_BYTES))
    return file
