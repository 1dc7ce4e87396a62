"""The bytes of a file, unpacked as they are read: never more of them in memory, or in all, than an honest file has."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import BinaryIO, Protocol

CHUNK_BYTES = 1 << 16
MAX_DICTIONARY_BYTES = 128 << 20
"""xz -9 takes 65 MiB to unpack, zstd --ultra -22 128 MiB; a hostile file may ask for 1.5 GiB and more."""

ALWAYS_ALLOWED_BYTES = 512 << 20
MAX_RATIO = 200
"""Reports full of logs pack to a hundredth at best. Any file may unpack to `ALWAYS_ALLOWED_BYTES`."""
MAX_UNPACKED_BYTES = 32 << 30

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class DamagedArchiveError(Exception):
    """What is wrong with an archive, in words."""


class CutArchiveError(Exception):
    """An archive ends before its end."""


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """Up to so many bytes; none at the end."""
        ...


class UnpackedStream:
    """Reads forward only, through whatever the file is packed with."""

    def __init__(self, file: BinaryIO, packed_bytes: int) -> None:
        """Takes a file at its beginning, and its size.

        Raises:
            DamagedArchiveError: when it is packed in a way that cannot be unpacked here.
        """
        magic = file.read(6)
        file.seek(0)
        self._source = _open_unpacker(magic, file)
        self._most_bytes = min(MAX_UNPACKED_BYTES, max(ALWAYS_ALLOWED_BYTES, packed_bytes * MAX_RATIO))
        self._read_bytes = 0

    def read(self, size_bytes: int) -> bytes:
        """So many bytes; fewer only at the end.

        Raises:
            CutArchiveError: when the packed bytes end too early.
            DamagedArchiveError: when they are damaged, or unpack to more than is sane.
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
        """Passes over so many bytes; raises as `read` does, and CutArchiveError where there are fewer."""
        while size_bytes:
            piece = self._read_some(min(size_bytes, CHUNK_BYTES))
            if not piece:
                raise CutArchiveError
            size_bytes -= len(piece)

    def drain(self) -> None:
        """Reads to the end, where the checksums are; raises as `read` does."""
        while self._read_some(CHUNK_BYTES):
            pass

    def _read_some(self, most: int) -> bytes:
        try:
            piece = self._source.read(most)
        except EOFError:
            raise CutArchiveError from None
        except MemoryError:
            raise DamagedArchiveError("it takes too much memory to unpack") from None
        except (OSError, zlib.error, lzma.LZMAError, ValueError) as error:
            raise DamagedArchiveError(f"it is damaged: {error}") from None
        self._read_bytes += len(piece)
        if self._read_bytes > self._most_bytes:
            raise DamagedArchiveError(f"it unpacks to more than {self._most_bytes >> 20} MiB, far beyond its own size")
        return piece


class XzReader:
    """An xz file, one or several streams, in bounded memory: lzma.LZMAFile takes what memory the file asks for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES)

    def read(self, size: int, /) -> bytes:
        """Some bytes, no more than `size`; none at the end. Raises EOFError where the file ends early."""
        while True:
            if self._decoder.eof:
                rest = (self._decoder.unused_data or self._file.read(CHUNK_BYTES)).lstrip(b"\0")
                if not rest:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=MAX_DICTIONARY_BYTES)
            elif self._decoder.needs_input:
                rest = self._file.read(CHUNK_BYTES)
                if not rest:
                    raise EOFError
            else:
                rest = b""
            piece = self._decoder.decompress(rest, max_length=size)
            if piece:
                return piece


def _open_unpacker(magic: bytes, file: BinaryIO) -> Readable:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic.startswith(b"\xfd7zXZ\0"):
        return XzReader(file)
    if magic.startswith(ZSTD_MAGIC):
        # Imported here: only an archive that is packed with it needs it.
        from tcptop.hosts.zstd import ZstdReader

        return ZstdReader(file, MAX_DICTIONARY_BYTES)
    return file
