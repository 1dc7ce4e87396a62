"""Decompresses gzip, bzip2, xz and zstd as a stream, with bounds on memory, CPU time and the decompressed size."""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Union

if TYPE_CHECKING:
    from tcptop.hosts.zstd import zstd

CHUNK_BYTES = 1 << 16
MAX_DICTIONARY_BYTES = 128 << 20
"""Limit on the memory for decompressing, because a hostile file can ask for more than 1 GiB.

Files of xz -9 need 65 MiB, and files of zstd --ultra -22 need 128 MiB.
"""

ALWAYS_ALLOWED_BYTES = 512 << 20
MAX_RATIO = 200
"""Maximum decompression ratio if the decompressed data exceed `ALWAYS_ALLOWED_BYTES`.

Sosreports full of logs reach a ratio of 100.
"""
MAX_UNPACKED_BYTES = 32 << 30

MAX_READ_S = 6.0
"""Limit on the CPU time for reading one archive; files that are not reached within this time count as not read."""
GZIP_FORMAT = 16 + zlib.MAX_WBITS
"""Value of zlib's parameter `windowBits` for data with a gzip header and trailer."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class DamagedArchiveError(Exception):
    """Error with the reason why an archive cannot be read."""


class CutArchiveError(Exception):
    """Error raised when an archive is cut off."""


class SlowArchiveError(Exception):
    """Error raised when reading an archive has taken more than `MAX_READ_S`."""


class GzipDecompressor:
    """Decompressor of one gzip member, with the methods of LZMADecompressor."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(GZIP_FORMAT)

    @property
    def eof(self) -> bool:
        """True if the member has ended."""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """True if all input has been consumed."""
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """The input after the end of the member."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Returns the next bytes, at most `max_length`; raises zlib.error if the data are damaged."""
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


Decompressor = Union[GzipDecompressor, bz2.BZ2Decompressor, lzma.LZMADecompressor, "zstd.ZstdDecompressor"]


class UnpackedStream:
    """Reads a plain or compressed file, forward only.

    Once more than `MAX_READ_S` of CPU time has been used since the stream was opened, every method raises
    SlowArchiveError.
    """

    def __init__(self, file: BinaryIO, packed_bytes: int) -> None:
        """Takes a file whose read position is at the beginning, and the size of the file in bytes."""
        magic = file.read(6)
        file.seek(0)
        self._file, self._packed_bytes = file, packed_bytes
        self._end_s = time.thread_time() + MAX_READ_S
        self._make_decompressor = _find_decompressor(magic)
        self._decompressor = None if self._make_decompressor is None else self._make_decompressor()
        self._buffer = b""
        self._buffer_at = 0
        self._max_bytes = min(MAX_UNPACKED_BYTES, max(ALWAYS_ALLOWED_BYTES, packed_bytes * MAX_RATIO))
        self._unpacked_bytes = 0

    def read(self, size_bytes: int) -> bytes:
        """Exactly `size_bytes` bytes, or fewer at the end of the file.

        Raises:
            CutArchiveError: if the compressed data end too early.
            DamagedArchiveError: if the compressed data are damaged, or if the decompressed data exceed a bound.
        """
        piece = self._read_some(size_bytes)
        if len(piece) == size_bytes:
            return piece
        data = bytearray(piece)
        while len(data) < size_bytes and (piece := self._read_some(size_bytes - len(data))):
            data += piece
        return bytes(data)

    def skip(self, size_bytes: int) -> None:
        """Skips `size_bytes` bytes.

        Raises the same errors as `read`; also raises CutArchiveError if fewer than `size_bytes` bytes are left.
        """
        if self._decompressor is None:
            self._seek(size_bytes)
            return
        while size_bytes:
            piece = self._read_some(size_bytes)
            if not piece:
                raise CutArchiveError
            size_bytes -= len(piece)

    def expect_zeros(self) -> None:
        """Reads to the end, so that the checksums of compressed data are checked.

        Raises the same errors as `read`, and CutArchiveError at the first byte that is not zero.
        """
        if self._decompressor is None:
            if self._read_after_zeros():
                raise CutArchiveError
            return
        while piece := self._read_some(CHUNK_BYTES):
            if piece.count(0) < len(piece):
                raise CutArchiveError

    def _read_after_zeros(self) -> bytes:
        """The next bytes of the file after any number of zeros; empty if nothing but zeros follows."""
        while True:
            self._check_time()
            self._skip_hole()
            piece = self._file.read(CHUNK_BYTES)
            data = piece.lstrip(b"\0")
            if data or not piece:
                return data

    def _skip_hole(self) -> None:
        """Moves past a hole of the file without reading it, because a hole may have terabytes."""
        try:
            self._file.seek(self._file.tell(), os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the hole reaches to the end
                self._file.seek(0, os.SEEK_END)

    def _seek(self, size_bytes: int) -> None:
        """Skips bytes of a plain file without reading the bytes, because a sparse file may have a hole of terabytes."""
        self._check_time()
        if size_bytes:
            end = self._file.tell() + size_bytes
            if end > self._packed_bytes:
                raise CutArchiveError
            self._file.seek(end)

    def _read_some(self, max_bytes: int) -> bytes:
        """The next bytes, at most `max_bytes` and at most `CHUNK_BYTES`; empty only at the end of the stream."""
        if self._buffer_at == len(self._buffer):
            self._check_time()
            if self._decompressor is None:
                return self._file.read(min(max_bytes, CHUNK_BYTES))
            self._buffer, self._buffer_at = self._unpack(), 0
        piece = self._buffer[self._buffer_at : self._buffer_at + max_bytes]
        self._buffer_at += len(piece)
        return piece

    def _unpack(self) -> bytes:
        try:
            piece = self._unpack_some()
        except EOFError:
            raise CutArchiveError from None
        except MemoryError:
            raise DamagedArchiveError("it takes too much memory to unpack") from None
        except SlowArchiveError:
            raise
        except Exception as error:  # for example OSError, ValueError, zlib.error, LZMAError or ZstdError
            raise DamagedArchiveError(f"it is damaged: {error}") from None
        self._unpacked_bytes += len(piece)
        if self._unpacked_bytes > self._max_bytes:
            raise DamagedArchiveError(f"it unpacks to more than {self._max_bytes >> 20} MiB, far beyond its own size")
        return piece

    def _unpack_some(self) -> bytes:
        """The next decompressed bytes; empty at the end of the file.

        The file may hold several compressed streams, one after another. Raises EOFError if the last stream is cut off.
        """
        assert self._decompressor is not None
        assert self._make_decompressor is not None
        while True:
            self._check_time()
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._read_after_zeros()
                if not rest:
                    return b""
                self._decompressor = self._make_decompressor()
            elif self._decompressor.needs_input:
                rest = self._file.read(CHUNK_BYTES)
                if not rest:
                    raise EOFError
            else:
                rest = b""
            piece = self._decompressor.decompress(rest, max_length=CHUNK_BYTES)
            if piece:
                return piece

    def _check_time(self) -> None:
        if time.thread_time() > self._end_s:
            raise SlowArchiveError


def _find_decompressor(magic: bytes) -> Callable[[], Decompressor] | None:
    """The function that makes a decompressor for the file's format; None for a plain file."""
    if magic.startswith(b"\x1f\x8b"):
        return GzipDecompressor
    if magic.startswith(b"BZh"):
        return bz2.BZ2Decompressor
    if magic.startswith(b"\xfd7zXZ\0"):
        return lambda: lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES)
    if magic.startswith(ZSTD_MAGIC):
        # Imported here, because importing zstd takes time, and few archives are compressed with zstd.
        from tcptop.hosts.zstd import make_decompressor

        return lambda: make_decompressor(MAX_DICTIONARY_BYTES)
    return None
