"""Packs documents into records. The documents of a block form one zstd stream, which is flushed after each document.

A record is a checksum, the position of the record in its block (one byte), and the part of the stream that contains the
document. If a document repeats text of an earlier document of the block, the compressor writes a reference to the text.
Only the first record of a block, the key frame, is as large as a whole sample. To unpack a document, the record of the
document and all earlier records of the block are needed.
"""

from __future__ import annotations

from collections.abc import Callable

from tcptop.hosts.zstd import make_decompressor, zstd
from tcptop.recording.checksum import DamagedError, add_checksum, check

BLOCK_SAMPLES = 60
"""Samples in a block. A damaged record can make other samples unreadable, but only samples of the same block."""

MAX_DOCUMENT_BYTES = 8 << 20
MAX_CONTENT_BYTES = 16 << 20
"""Limits on unpacked sizes, against hostile files; a real document has 100 KB, and a real large file (BTF) has 6 MB."""

WINDOW_LOG = 22
"""Base-2 logarithm of the window's size, which is 4 MiB.

Even on a large machine, the window holds the whole previous document.
"""
MAX_CACHED_BYTES = 8 << 20
"""Maximum total size of the cached documents.

If all documents of a block fit in the cache, going back to an earlier sample of the block needs no unpacking.
"""
MAX_WINDOW_BYTES = 16 << 20
"""Largest window accepted when unpacking: limits the memory that zstd takes for a hostile file."""

OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 9,
    zstd.CompressionParameter.window_log: WINDOW_LOG,
    # At level 9, zstd's hash and chain tables would take 16 MiB. The values of hash_log and chain_log limit the tables
    # to 2 MiB. For documents of 100 KB, compression is equally good with the smaller and with the larger tables.
    zstd.CompressionParameter.hash_log: 18,
    zstd.CompressionParameter.chain_log: 18,
}


class BlockWriter:
    """Packs documents, each as the next record of the current block."""

    def __init__(self) -> None:
        self._compressor: zstd.ZstdCompressor | None = None
        self._place = 0

    def begins_block(self) -> bool:
        """True if the next record begins a block."""
        return self._compressor is None or self._place == BLOCK_SAMPLES

    def forget_block(self) -> None:
        """Makes the next record a key frame; needed after a failed write."""
        self._compressor = None

    def pack(self, document: bytes, number: int) -> bytes:
        """Packs a document into a record; raises ValueError if the document is larger than MAX_DOCUMENT_BYTES."""
        _check_size(document, MAX_DOCUMENT_BYTES)
        if self._compressor is None or self._place == BLOCK_SAMPLES:
            self._compressor = zstd.ZstdCompressor(options=OPTIONS)
            self._place = 0
        part = self._compressor.compress(document, mode=zstd.ZstdCompressor.FLUSH_BLOCK)
        record = add_checksum(bytes([self._place]) + part, number)
        self._place += 1
        return record


class BlockReader:
    """Unpacks documents; keeps the stream's position, and caches the documents unpacked from the current block."""

    def __init__(self, read_record: Callable[[int], bytes]) -> None:
        """Takes the function `read_record`, which returns the record of a given number, or raises DamagedError."""
        self._read_record = read_record
        self._decompressor: zstd.ZstdDecompressor | None = None
        self._first = self._next = 0
        self._documents: dict[int, bytes] = {}
        self._cached_bytes = 0

    def unpack(self, number: int) -> bytes:
        """Unpacks the document of a record.

        Raises DamagedError if the record is damaged, or if an earlier record that is needed for unpacking is damaged.
        """
        if number in self._documents:
            return self._documents[number]
        first = number - self._read_part(number)[0]
        if self._decompressor is None or first != self._first or number < self._next:
            self._decompressor = make_decompressor(MAX_WINDOW_BYTES)
            self._first = self._next = first
            self._documents.clear()
            self._cached_bytes = 0
        decompressor, self._decompressor = self._decompressor, None  # None after damage
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
        """Reads the position of a record in its block, and the record's part of the stream."""
        body = check(self._read_record(number), number)
        if not body or body[0] >= BLOCK_SAMPLES:
            raise DamagedError("its place in the block is wrong")
        return body[0], body[1:]


def pack_content(data: bytes) -> bytes:
    """Packs one large file outside of any block, and adds a checksum.

    Raises ValueError if the file is larger than MAX_CONTENT_BYTES.
    """
    _check_size(data, MAX_CONTENT_BYTES)
    return add_checksum(zstd.compress(data, options=OPTIONS), 0)


def unpack_content(data: bytes) -> bytes:
    """Checks and unpacks bytes from `pack_content`; raises DamagedError for any other bytes."""
    decompressor = make_decompressor(MAX_WINDOW_BYTES)
    content = _unpack_part(decompressor, check(data, 0), MAX_CONTENT_BYTES, ends=True)
    if decompressor.unused_data:
        raise DamagedError("more bytes follow its end")
    return content


def _check_size(data: bytes, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise ValueError(f"more than {max_bytes >> 20} MiB")


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
