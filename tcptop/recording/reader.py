"""Reads a recording from its file.

The times of all samples are read when the file is opened; a sample itself is read on request.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import chain, islice, takewhile
from typing import Any

from tcptop.errors import TcptopError
from tcptop.recording.blocks import MAX_CONTENT_BYTES, MAX_DOCUMENT_BYTES, BlockReader, unpack_content
from tcptop.recording.checksum import DamagedError
from tcptop.recording.document import DecodedDocument, DocumentParser, RecordedSample
from tcptop.recording.recording import Recording, TimelineCounts
from tcptop.recording.sqlite_file import bounded_queries, open_file, read_blob
from tcptop.text.printable import printable

MAX_SAMPLES = 2_700_000
"""Maximum number of samples: enough for a month with one sample per second.

Each sample takes 24 bytes in the arrays. To list a million samples takes 2 s of CPU time.
"""

NO_COUNT = -1
"""Value that stands for an unknown count in the arrays of counts."""
NO_TIME = 1e300
"""Value that stands for an unknown time in the array of times."""
MAX_UNIX_S = 1e11
MAX_COUNT = (1 << 31) - 1
"""Maximum of a count: the largest `int` of C, because the kernel prints these counts as an `int`."""
MIN_NUMBER, MAX_NUMBER = -(1 << 63), (1 << 63) - 1
"""Range of an integer primary key in SQLite."""
CHUNK_ROWS = 500

Row = tuple[Any, ...]


class FileRecording(Recording):
    """The samples of one file.

    A recorder may still be appending to the file, but samples that are added after the opening are not seen.
    """

    def __init__(self, path: str) -> None:
        """Opens a file of `tcptop record`.

        Raises the errors of `open_file`, and TcptopError if the file holds no sample.
        """
        super().__init__(path)
        self._connection = open_file(path)
        self._numbers = array("q")
        self._times = array("d")
        self._counts = (array("i"), array("i"))
        self._contents: dict[str, bytes] = {}
        self._list_is_damaged = False
        self._blocks = BlockReader(self._read_record)
        self._parser = DocumentParser()
        try:
            with bounded_queries(self._connection, path):
                # One transaction, because a recorder may add samples between two queries.
                self._connection.execute("BEGIN")
                self._list_samples()
                self._connection.execute("COMMIT")
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._numbers)

    def taken_at_unix_s(self, index: int) -> float | None:
        """The time of a sample; None if unknown."""
        time_s = self._times[index]
        return None if time_s == NO_TIME else time_s

    def largest_counts(self, indices: range) -> TimelineCounts:
        """For each count, the largest value over a range of samples."""
        most = (max(counts[indices.start : indices.stop], default=NO_COUNT) for counts in self._counts)
        return TimelineCounts(*(None if count == NO_COUNT else count for count in most))

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _read_content(self, digest: str) -> bytes:
        """The large file that has this digest.

        Raises ValueError if the file is missing from the recording, or damaged.
        """
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
        """Fills the arrays.

        If the table `sample` is damaged or lacks rows, some samples are found only in the table `record`; their times
        and counts are unknown.
        """
        counts = f"coalesce(allocated, {NO_COUNT}), coalesce(time_wait, {NO_COUNT})"
        query = f"SELECT number, taken_at_unix_s, {counts} FROM sample"
        self._add_rows(self._read_rows(f"{query} ORDER BY number"))
        if self._list_is_damaged:
            self._list_around_damage(query)
            self.list_damage = "its list of samples is damaged"
        if not self._numbers:
            damaged = "damaged: " if self._list_is_damaged else ""
            raise TcptopError(f"{printable(self.path)}: {damaged}it holds no sample")
        self._check_number(len(self._numbers))
        self._list_unlisted()

    def _check_number(self, samples: int) -> None:
        if samples > MAX_SAMPLES:
            raise TcptopError(
                f"{printable(self.path)}: holds more than {MAX_SAMPLES} samples, the most that tcptop reads"
            )

    def _list_unlisted(self) -> None:
        """Adds the samples that have a row in the table `record` and none in the table `sample`.

        A recorder numbers its samples without gaps, and drops only the oldest of them. A gap is therefore damage.
        """
        # Two subqueries, because SQLite reads the whole table for a query with both min() and max().
        [ends] = self._connection.execute("SELECT (SELECT min(number) FROM record), (SELECT max(number) FROM record)")
        first, last = (array("q", [end]) if isinstance(end, int) else array("q") for end in ends)
        first_number, last_number = min(first + self._numbers[:1]), max(last + self._numbers[-1:])
        samples = last_number - first_number + 1
        if samples == len(self._numbers):
            return
        query = "SELECT number FROM record WHERE number NOT IN (SELECT number FROM sample)"
        unlisted = array("q", () if self._list_is_damaged else (n for rows in self._read_rows(query) for (n,) in rows))
        self._check_number(len(self._numbers) + len(unlisted))
        lost = samples - len(self._numbers) - len(unlisted)
        damages = [
            f"{_samples(len(unlisted))} not in its list of samples" if unlisted else "",
            f"between its first and its last sample, {_samples(lost)} missing" if lost else "",
        ]
        self.list_damage = "; ".join(filter(None, (self.list_damage, *damages)))
        if not unlisted:
            return
        self._add_rows([[(number, NO_TIME, NO_COUNT, NO_COUNT) for number in unlisted]])
        order = sorted(range(len(self._numbers)), key=self._numbers.__getitem__)
        self._numbers, self._times = _reordered(self._numbers, order), _reordered(self._times, order)
        self._counts = (_reordered(self._counts[0], order), _reordered(self._counts[1], order))

    def _add_rows(self, chunks: Iterable[Sequence[Row]]) -> None:
        for chunk in chunks:
            numbers, times, *counts = zip(*chunk, strict=True)
            self._numbers.extend(numbers)
            _extend(self._times, times, -MAX_UNIX_S, MAX_UNIX_S, NO_TIME)
            for column, values in zip(self._counts, counts, strict=True):
                _extend(column, values, NO_COUNT, MAX_COUNT, NO_COUNT)

    def _list_around_damage(self, query: str) -> None:
        """Appends to the arrays all samples after the first damage; called only if the table `sample` is damaged.

        The damaged part of `sample` cannot be read. For the damaged part, the numbers of the samples are read from the
        table `record`, and are added without times and counts. After the damage, the rows of `sample` are added.
        """
        last = self._numbers[-1] if self._numbers else MIN_NUMBER
        first_after = MAX_NUMBER
        for chunk in self._read_rows(f"SELECT number FROM sample WHERE number > {last} ORDER BY number DESC"):
            first_after = chunk[-1][0]
        records = f"SELECT number FROM record WHERE number > {last} AND number < {first_after} ORDER BY number"
        between = array("q", (number for chunk in self._read_rows(records) for (number,) in chunk))
        end = between[-1] if between else last
        backwards = (number for chunk in self._read_rows(f"{records} DESC") for (number,) in chunk)
        rest = array("q", takewhile(lambda number: number > end, backwards))
        self._add_rows([(number, NO_TIME, NO_COUNT, NO_COUNT)] for number in chain(between, reversed(rest)))
        self._add_rows(self._read_rows(f"{query} WHERE number >= {first_after} ORDER BY number"))

    def _read_rows(self, query: str) -> Iterator[list[Row]]:
        """Yields the rows of a query, up to the first damage; sets `_list_is_damaged` if there is damage.

        The rows come in chunks, because a recording of a month has millions of rows.
        """
        chunk: list[Row] = []
        try:
            rows = self._connection.execute(f"{query} LIMIT {MAX_SAMPLES + 1}")
            chunk.extend(islice(rows, CHUNK_ROWS))
            while chunk:
                yield chunk
                chunk = []
                chunk.extend(islice(rows, CHUNK_ROWS))
        except sqlite3.OperationalError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            self._list_is_damaged = True
            if chunk:
                yield chunk  # these rows precede the damage


def _samples(count: int) -> str:
    return "1 sample is" if count == 1 else f"{count} samples are"


def _reordered(column: array[Any], order: Sequence[int]) -> array[Any]:
    return array(column.typecode, map(column.__getitem__, order))


def _extend(column: array[Any], values: Sequence[Any], least: float, most: float, unknown: float) -> None:
    """Adds values to an array. A value of another type, or out of range, is replaced by `unknown`."""
    with suppress(TypeError):
        if least <= min(values) and max(values) <= most:
            column.extend(array(column.typecode, values))
            return
    kind = type(unknown)
    column.extend(value if isinstance(value, kind) and least <= value <= most else unknown for value in values)
