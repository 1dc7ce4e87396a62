"""A recording's file as samples: its times at once, each sample when it is asked for."""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from tcptop.errors import TcptopError
from tcptop.recording.bounded_cache import BoundedCache
from tcptop.recording.checksum import MAX_UNPACKED_BYTES, DamagedError, unpack
from tcptop.recording.file_format import SQLITE_ERRORS, open_file, sqlite_error_text, sqlite_errors_in_one_line
from tcptop.recording.recording import RecordedSample, TimelineCounts
from tcptop.recording.replay import Replay, ReplayedSample
from tcptop.recording.sample_record import SampleRecord, parse_record
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable

MAX_SAMPLES = 5_000_000
"""Two months at one a second; what is listed of each takes 32 bytes."""
MAX_CACHED_BYTES = 8 << 20
"""Of records, unpacked."""
MIN_RECORD_BYTES = 1 << 12
"""What a record takes at least."""
MAX_CACHED_SAMPLES = 4

NO_COUNT = -1
MAX_COUNT = 1 << 62
MAX_UNIX_S = 1e11

Row = tuple[Any, ...]


class FileRecording:
    """The samples of one file; another tcptop may still be adding to it, and what it adds is not seen."""

    def __init__(self, path: str) -> None:
        """Opens a file of `tcptop record`; raises TcptopError or OSError as `opened_file` does."""
        self.path = path
        self._connection = open_file(path)
        self._numbers = array("q")
        self._times = array("d")
        self._allocated = array("q")
        self._time_wait = array("q")
        self._counts = (self._allocated, self._time_wait)
        self._records: BoundedCache[int, SampleRecord] = BoundedCache(MAX_CACHED_BYTES)
        self._contents: dict[bytes, bytes] = {}
        self._list_is_damaged = False
        self._samples: dict[int, ReplayedSample] = {}
        self._replay = Replay(self._read_record, self._read_content)
        try:
            with sqlite_errors_in_one_line(printable(path)):
                self._list_samples()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._numbers)

    def taken_at_unix_s(self, index: int) -> float | None:
        """When a sample was taken."""
        time_s = self._times[index]
        return None if math.isnan(time_s) else time_s

    def timeline_counts(self, index: int) -> TimelineCounts:
        """What a time line shows of a sample."""
        allocated, time_wait = self._allocated[index], self._time_wait[index]
        return TimelineCounts(
            None if allocated == NO_COUNT else allocated,
            None if time_wait == NO_COUNT else time_wait,
        )

    def largest_counts(self, indices: range) -> TimelineCounts:
        """The largest of each count in a range."""
        most = (max(counts[indices.start : indices.stop], default=NO_COUNT) for counts in self._counts)
        return TimelineCounts(*(None if count == NO_COUNT else count for count in most))

    def snapshot(self, index: int) -> Snapshot:
        """The sample as it was live."""
        return self._replayed(index).sample.snapshot

    def sample(self, index: int) -> RecordedSample:
        """The same with what was read."""
        return self._replayed(index).sample

    def damage(self, index: int) -> str | None:
        """What of a sample is damaged."""
        return self._replayed(index).damage

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _read_content(self, digest: bytes) -> bytes:
        """The bytes of a large file; raises ValueError where they are lost or damaged."""
        kept = self._contents.get(digest)
        if kept is None:
            kept = unpack(self._read_blob("content", "digest", digest), 0)
            if sha256(kept).digest() != digest:
                raise DamagedError("a large file that it refers to is another")
            self._contents = {digest: kept}
        return kept

    def _replayed(self, index: int) -> ReplayedSample:
        number = self._numbers[index]
        found = self._samples.get(number)
        if found is None:
            found = self._replay.replayed(number, self.taken_at_unix_s(index))
            while len(self._samples) >= MAX_CACHED_SAMPLES:
                del self._samples[next(iter(self._samples))]
            self._samples[number] = found
        return found

    def _read_record(self, number: int) -> SampleRecord:
        """The record of a number; raises ValueError where it is damaged or gone."""
        found = self._records.get(number)
        if found is None:
            data = unpack(self._read_blob("record", "number", number), number)
            found = parse_record(data)
            self._records.put(number, found, MIN_RECORD_BYTES + len(data))
        return found

    def _read_blob(self, table: str, key: str, value: int | bytes) -> bytes:
        query = (
            f"SELECT CASE WHEN typeof(data) = 'blob' AND length(data) <= ? THEN data END FROM {table} WHERE {key} = ?"
        )
        try:
            row = self._connection.execute(query, (MAX_UNPACKED_BYTES, value)).fetchone()
        except SQLITE_ERRORS as error:
            raise DamagedError(sqlite_error_text(error)) from None
        if row is None:
            raise DamagedError("it is not in the file")
        if not isinstance(row[0], bytes):
            raise DamagedError("it is no record")
        return row[0]

    def _list_samples(self) -> None:
        """Lists the samples. Where the list is damaged, those that only the records know of have no time there."""
        query = "SELECT number, taken_at_unix_s, allocated, time_wait FROM sample ORDER BY number"
        listed = list(self._read_rows(query))
        if self._list_is_damaged:
            listed = self._list_around_damage(listed, query)
        if not listed:
            damaged = "damaged: " if self._list_is_damaged else ""
            raise TcptopError(f"{printable(self.path)}: {damaged}it holds no sample")
        if len(listed) > MAX_SAMPLES:
            raise TcptopError(
                f"{printable(self.path)}: holds more than {MAX_SAMPLES} samples; no recorder keeps so many"
            )
        for number, taken_at_unix_s, allocated, time_wait in listed:
            self._numbers.append(number)
            self._times.append(_valid_time(taken_at_unix_s))
            self._allocated.append(_valid_count(allocated))
            self._time_wait.append(_valid_count(time_wait))

    def _list_around_damage(self, listed: list[Row], query: str) -> list[Row]:
        """The list from its other end too, and what only the records themselves tell."""
        found: dict[int, Row] = {}
        for order in ("", " DESC"):
            for (number,) in self._read_rows(f"SELECT number FROM record ORDER BY number{order}"):
                found.setdefault(number, (number, None, None, None))
        listed += self._read_rows(f"{query} DESC")
        found.update((row[0], row) for row in listed)
        return [found[number] for number in sorted(found)]

    def _read_rows(self, query: str) -> Iterator[Row]:
        """What a query gives, up to damage."""
        try:
            yield from self._connection.execute(f"{query} LIMIT {MAX_SAMPLES + 1}")
        except sqlite3.OperationalError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            self._list_is_damaged = True


def _valid_time(found: object) -> float:
    return found if isinstance(found, float) and abs(found) < MAX_UNIX_S else math.nan


def _valid_count(found: object) -> int:
    return found if isinstance(found, int) and 0 <= found < MAX_COUNT else NO_COUNT
