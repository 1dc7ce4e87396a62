"""Packs documents into records: one zstd stream for each block of samples, flushed after each document.

A record is a checksum, the place of its sample in the block (one byte), and the part of the stream that holds its
document. The compressor finds in its window what a document shares with those before it, so only the first record of a
block, the key frame, has the size of a whole sample. Reading a document needs all records of its block up to its own.
"""

from __future__ import annotations

from collections.abc import Callable

from tcptop.hosts.zstd import zstd
from tcptop.recording.checksum import DamagedError, add_checksum, check

BLOCK_SAMPLES = 60
"""A key frame every 60 samples: a damaged record costs one block at most."""

MAX_DOCUMENT_BYTES = 8 << 20
MAX_CONTENT_BYTES = 16 << 20
"""Limits far above any real document (100 KB) or content (BTF, 6 MB): a hostile file cannot unpack to more."""

WINDOW_LOG = 22
"""A window of 4 MiB: more than a document of a large machine, so that the one before is always within it."""
MAX_CACHED_BYTES = 8 << 20
"""Limit of the documents in memory: a step back in a block unpacks nothing, as long as the block is not larger."""
MAX_WINDOW_LOG = 24
"""Limit on the memory that a hostile file can make the decompressor allocate."""

OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 9,
    zstd.CompressionParameter.window_log: WINDOW_LOG,
    # Smaller tables than the level's: as good for documents of 100 KB, and 2 MiB in place of 16.
    zstd.CompressionParameter.hash_log: 18,
    zstd.CompressionParameter.chain_log: 18,
}


class BlockWriter:
    """Packs documents, each as the next record of the current block."""

    def __init__(self) -> None:
        self._compressor: zstd.ZstdCompressor | None = None
        self._place = 0

    def begins_block(self) -> bool:
        """Whether the next record begins a block."""
        return self._compressor is None or self._place == BLOCK_SAMPLES

    def forget_block(self) -> None:
        """Makes the next record a key frame, as after a write that failed."""
        self._compressor = None

    def pack(self, document: bytes, number: int) -> bytes:
        """The record of a document; raises ValueError for more than MAX_DOCUMENT_BYTES."""
        _check_size(document, MAX_DOCUMENT_BYTES)
        if self._compressor is None or self._place == BLOCK_SAMPLES:
            self._compressor = zstd.ZstdCompressor(options=OPTIONS)
            self._place = 0
        part = self._compressor.compress(document, mode=zstd.ZstdCompressor.FLUSH_BLOCK)
        record = add_checksum(bytes([self._place]) + part, number)
        self._place += 1
        return record


class BlockReader:
    """Unpacks documents. It keeps its place in the stream, and the documents of the block that it has unpacked."""

    def __init__(self, read_record: Callable[[int], bytes]) -> None:
        """`read_record` returns a record by number, or raises DamagedError."""
        self._read_record = read_record
        self._decompressor: zstd.ZstdDecompressor | None = None
        self._first = self._next = 0
        self._documents: dict[int, bytes] = {}
        self._cached_bytes = 0

    def unpack(self, number: int) -> bytes:
        """The document of a record; raises DamagedError if that record or one before it in its block is damaged."""
        if number in self._documents:
            return self._documents[number]
        first = number - self._read_part(number)[0]
        if self._decompressor is None or first != self._first or number < self._next:
            self._decompressor = _make_decompressor()
            self._first = self._next = first
            self._documents.clear()
            self._cached_bytes = 0
        decompressor, self._decompressor = self._decompressor, None  # None until all has gone well
        document = b""
        for earlier in range(self._next, number + 1):
            try:
                place, part = self._read_part(earlier)
                if place != earlier - first:
                    raise DamagedError("it is in another block")
                document = _unpack_part(decompressor, part, MAX_DOCUMENT_BYTES)
            except DamagedError as error:
                if earlier == number:
                    raise
                age = number - earlier
                raise DamagedError(f"it needs the sample {age} before it, and that is damaged: {error}") from None
            self._cache(earlier, document)
        self._decompressor, self._next = decompressor, number + 1
        return document

    def _cache(self, number: int, document: bytes) -> None:
        self._documents[number] = document
        self._cached_bytes += len(document)
        while self._cached_bytes > MAX_CACHED_BYTES:
            self._cached_bytes -= len(self._documents.pop(next(iter(self._documents))))

    def _read_part(self, number: int) -> tuple[int, bytes]:
        """The place of a record in its block, and its part of the stream."""
        body = check(self._read_record(number), number)
        if not body or body[0] >= BLOCK_SAMPLES:
            raise DamagedError("its place in the block is wrong")
        return body[0], body[1:]


def pack_content(data: bytes) -> bytes:
    """Packs a large file by itself, with a checksum; raises ValueError for more than MAX_CONTENT_BYTES."""
    _check_size(data, MAX_CONTENT_BYTES)
    return add_checksum(zstd.compress(data, options=OPTIONS), 0)


def unpack_content(data: bytes) -> bytes:
    """Checks and unpacks what `pack_content` returned; raises DamagedError for anything else."""
    decompressor = _make_decompressor()
    content = _unpack_part(decompressor, check(data, 0), MAX_CONTENT_BYTES, ends=True)
    if decompressor.unused_data:
        raise DamagedError("more bytes follow its end")
    return content


def _check_size(data: bytes, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise ValueError(f"more than {max_bytes >> 20} MiB")


def _make_decompressor() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG})


def _unpack_part(decompressor: zstd.ZstdDecompressor, part: bytes, max_bytes: int, ends: bool = False) -> bytes:
    try:
        data = decompressor.decompress(part, max_bytes + 1)
    except zstd.ZstdError:
        raise DamagedError("it cannot be unpacked") from None
    if len(data) > max_bytes:
        raise DamagedError(f"it unpacks to more than {max_bytes >> 20} MiB")
    if decompressor.eof != ends:
        raise DamagedError("its end is not where it should be")
    return data
