"""Reads a recording from its file. The times of all samples are read at once; a sample itself is read on request."""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from tcptop.errors import TcptopError
from tcptop.recording.blocks import MAX_CONTENT_BYTES, MAX_DOCUMENT_BYTES, BlockReader, unpack_content
from tcptop.recording.checksum import DamagedError
from tcptop.recording.document import DecodedDocument, DocumentParser, RecordedSample
from tcptop.recording.recording import Recording, TimelineCounts
from tcptop.recording.store import bounded_queries, open_file, read_blob
from tcptop.text.printable import printable

MAX_SAMPLES = 5_000_000
"""Two months at one sample a second. Each sample takes 32 bytes in the arrays of numbers, times and counts."""

NO_COUNT = -1
"""Value of an unknown count in the arrays."""
MAX_COUNT = 1 << 62
MAX_UNIX_S = 1e11

Row = tuple[Any, ...]


class FileRecording(Recording):
    """The samples of one file. A recorder may still be appending to it; samples added after opening are not seen."""

    def __init__(self, path: str) -> None:
        """Opens a file of `tcptop record`; raises as `open_file` does, and TcptopError if the file has no sample."""
        super().__init__(path)
        self._connection = open_file(path)
        self._numbers = array("q")
        self._times = array("d")
        self._counts = (array("q"), array("q"))
        self._contents: dict[str, bytes] = {}
        self._list_is_damaged = False
        self._blocks = BlockReader(self._read_record)
        self._parser = DocumentParser()
        try:
            with bounded_queries(self._connection):
                self._list_samples()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._numbers)

    def taken_at_unix_s(self, index: int) -> float | None:
        """The time of a sample; None if unknown."""
        time_s = self._times[index]
        return None if math.isnan(time_s) else time_s

    def largest_counts(self, indices: range) -> TimelineCounts:
        """The largest value of each count over a range of samples."""
        most = (max(counts[indices.start : indices.stop], default=NO_COUNT) for counts in self._counts)
        return TimelineCounts(*(None if count == NO_COUNT else count for count in most))

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _read_content(self, digest: str) -> bytes:
        """The content with a digest; raises ValueError if it is missing or damaged."""
        content = self._contents.get(digest)
        if content is None:
            key = bytes.fromhex(digest)
            content = unpack_content(read_blob(self._connection, "content", "digest", key, MAX_CONTENT_BYTES))
            if sha256(content).digest() != key:
                raise DamagedError("a large file that it refers to does not match its digest")
            self._contents = {digest: content}
        return content

    def _read_record(self, number: int) -> bytes:
        return read_blob(self._connection, "record", "number", number, MAX_DOCUMENT_BYTES)

    def _read(self, index: int) -> RecordedSample:
        """Reads a sample; raises ValueError if the sample's record or time is damaged."""
        document = DecodedDocument(self._blocks.unpack(self._numbers[index]), self._read_content)
        sample = self._parser.parse(document.json, document.get_file)
        if self.taken_at_unix_s(index) not in (None, sample.snapshot.taken_at_unix_s):
            raise DamagedError("its time differs from that in the list of samples")
        return sample

    def _list_samples(self) -> None:
        """Fills the arrays. If the table `sample` is damaged, samples found only in `record` have no time or counts."""
        query = "SELECT number, taken_at_unix_s, allocated, time_wait FROM sample ORDER BY number"
        listed = list(self._read_rows(query))
        if self._list_is_damaged:
            listed = self._list_around_damage(listed, query)
        if not listed:
            damaged = "damaged: " if self._list_is_damaged else ""
            raise TcptopError(f"{printable(self.path)}: {damaged}it holds no sample")
        if len(listed) > MAX_SAMPLES:
            raise TcptopError(
                f"{printable(self.path)}: holds more than {MAX_SAMPLES} samples, the most that tcptop reads"
            )
        for number, taken_at_unix_s, *counts in listed:
            self._numbers.append(number)
            self._times.append(_valid_time(taken_at_unix_s))
            for column, count in zip(self._counts, counts, strict=True):
                column.append(_valid_count(count))

    def _list_around_damage(self, listed: list[Row], query: str) -> list[Row]:
        """Completes a list that ends at damage: adds the rows after the damage, and the numbers in the table `record`.

        The rows after the damage are read backwards, from the end of the table.
        """
        row_of: dict[int, Row] = {}
        for order in ("", " DESC"):
            for (number,) in self._read_rows(f"SELECT number FROM record ORDER BY number{order}"):
                row_of.setdefault(number, (number, None, None, None))
        listed += self._read_rows(f"{query} DESC")
        row_of.update((row[0], row) for row in listed)
        return [row_of[number] for number in sorted(row_of)]

    def _read_rows(self, query: str) -> Iterator[Row]:
        """Yields the rows of a query up to the first damage; sets `_list_is_damaged` if there is damage."""
        try:
            yield from self._connection.execute(f"{query} LIMIT {MAX_SAMPLES + 1}")
        except sqlite3.OperationalError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            self._list_is_damaged = True


def _valid_time(value: object) -> float:
    return value if isinstance(value, float) and abs(value) < MAX_UNIX_S else math.nan


def _valid_count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < MAX_COUNT else NO_COUNT
