"""Writes samples into a recording, each sample in its own transaction.

A recording with a maximum size or age is a ring: the oldest samples are dropped, so that the recording stays within its
bounds.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.named_files import open_to_read
from tcptop.privileges import is_strangers
from tcptop.recording.blocks import BlockWriter, pack_content
from tcptop.recording.document import RecordedSample, encode_sample, reads_behind
from tcptop.recording.sqlite_file import (
    DISK_FULL,
    create_file,
    errors_in_one_line,
    file_status,
    open_file,
    sqlite_error_text,
)
from tcptop.sampling.sampler import SourceRead
from tcptop.snapshot import SMBIOS, SOCKET_TABLE, Snapshot
from tcptop.sources.btf import BtfSource
from tcptop.text.printable import printable

SHARED_PATHS = BtfSource.paths
"""Large files that do not change. The files are stored once, in the table `content`, instead of in every document."""

MIN_RING_BYTES = 1 << 20
"""Minimum of --max-size: a smaller ring could not hold a minute of samples."""

SPARE_PAGES = 8
"""Pages that SQLite may need for a sample in addition to the sample's bytes (b-tree and overflow pages)."""

MAX_NUMBER = 1 << 53
"""Largest sample number; a recorder would need more than a thousand years to write so many samples."""

TRIES = 5
"""Maximum number of tries to open a recording that other recorders create at the same time."""


class Bounds(NamedTuple):
    """Bounds of a ring. A bound of None sets no limit. A ring drops its oldest samples first."""

    size_bytes: int | None = None
    age_s: float | None = None


NO_BOUNDS = Bounds()


class Recorder:
    """Adds samples to one file. Any thread may call the methods, but not two threads at the same time."""

    def __init__(
        self,
        path: str,
        bounds: Bounds = NO_BOUNDS,
        scrub: Callable[[SourceRead], SourceRead] | None = None,
    ) -> None:
        """Opens the file for appending, or creates the file.

        `scrub` is applied to every read before the read is stored. With `scrub`, the boot ID is not stored.

        A file that is not a recording is left unchanged.

        Raises:
            TcptopError: if the file cannot be opened or created, or if another recorder has the file open.

        """
        self.path = path
        self.stays = True
        """True if the file is kept after an error; False if the caller then removes the file."""
        self.samples = 0
        self._bounds = bounds
        self._scrub = scrub
        self._reads: list[SourceRead] = []
        self._writer = BlockWriter()
        self._contents: dict[bytes, bytes] = {}
        with errors_in_one_line(path):
            self._lock_descriptor = _lock_or_create(path)
            try:
                self._connection = open_file(path, write=True)
            except BaseException:
                os.close(self._lock_descriptor)
                raise
            try:
                # NORMAL syncs the data of each commit, but not the removal of the commit's journal. With NORMAL, a
                # commit every second is cheap, and a power failure can lose only the last sample.
                self._connection.execute("PRAGMA journal_mode = DELETE")
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._next_number = self._block = self._find_next_number()
                self._page_bytes = int(self._connection.execute("PRAGMA page_size").fetchone()[0])
            except BaseException:
                self.close()
                raise

    def add_read(self, read: SourceRead) -> None:
        """Keeps a read of a source for the next samples; does not write to the file yet."""
        if read.source == SOCKET_TABLE:
            # Imported here, because few recordings contain socket tables.
            from tcptop.recording.scrub_sockets import forget_peers

            read = forget_peers(read)
        if read.source == SMBIOS:
            # Imported here, because the SMBIOS tables are read once a day.
            from tcptop.recording.scrub import forget_serial_numbers

            read = forget_serial_numbers(read)
        self._reads.append(self._scrub(read) if self._scrub else read)

    def write(self, snapshot: Snapshot) -> None:
        """Appends a sample, and commits the transaction.

        Raises:
            TcptopError: if the sample cannot be written; earlier samples remain in the file.

        """
        try:
            if not self._try_write(snapshot):
                # The sample fits only after the ring has dropped the current block, so the sample must begin a new
                # block.
                self._writer.forget_block()
                self._try_write(snapshot)
        except (sqlite3.Error, ValueError) as error:
            self._writer.forget_block()
            text = sqlite_error_text(error, self.path) if isinstance(error, sqlite3.Error) else str(error)
            if text == DISK_FULL and self._next_number and self.stays:
                text += "; the samples recorded so far can be read"
            raise TcptopError(f"{printable(self.path)}: {text}") from None
        self._next_number += 1
        self.samples += 1

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._connection.close()
        if self._lock_descriptor >= 0:
            # The lock's descriptor is closed last, because closing any descriptor of the file drops SQLite's locks.
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def _find_next_number(self) -> int:
        """The number of the next sample.

        Raises TcptopError if the last numbers in the tables `sample` and `record` differ or are out of range.
        """
        query = "SELECT (SELECT max(number) FROM sample), (SELECT max(number) FROM record)"
        last_sample, last_record = self._connection.execute(query).fetchone()
        if last_sample is None and last_record is None:
            return 0
        if last_sample != last_record or not 0 <= last_record < MAX_NUMBER:
            raise TcptopError(
                f"{printable(self.path)}: damaged: its last sample has the number {last_sample}, and its last record"
                f" {last_record}; record into a new file"
            )
        return int(last_record) + 1

    def _encode(self, snapshot: Snapshot) -> bytes:
        """Encodes a snapshot into a document; sets `_contents` to the snapshot's large files."""
        if self._scrub is not None:
            snapshot = snapshot._replace(boot_id=None)
        sample = RecordedSample(snapshot, reads_behind(snapshot, self._reads))
        self._reads = list(sample.reads)
        known = {id(data): digest for digest, data in self._contents.items()}
        document, self._contents = encode_sample(
            sample, SHARED_PATHS, lambda data: known.get(id(data)) or sha256(data).digest()
        )
        return document

    def _try_write(self, snapshot: Snapshot) -> bool:
        """Writes a sample.

        If the sample does not fit even after all earlier blocks are dropped, writes nothing and returns False.
        """
        number = self._next_number
        document = self._encode(snapshot)
        begins = self._writer.begins_block()
        record = self._writer.pack(document, number)
        if begins:
            self._block = number
        with _transaction(self._connection):
            contents = [
                (digest, pack_content(data)) for digest, data in self._contents.items() if self._is_new_content(digest)
            ]
            needed_bytes = len(record) + sum(len(data) for _, data in contents)
            if not self._make_room(needed_bytes, snapshot.taken_at_unix_s, begins):
                return False
            self._insert(snapshot, number, begins, record, contents)
        return True

    def _is_new_content(self, digest: bytes) -> bool:
        return self._connection.execute("SELECT 1 FROM content WHERE digest = ?", (digest,)).fetchone() is None

    def _insert(
        self, snapshot: Snapshot, number: int, begins: bool, record: bytes, contents: list[tuple[bytes, bytes]]
    ) -> None:
        sockstat = snapshot.sockstat.value
        allocated, time_wait = (None, None) if sockstat is None else (sockstat.allocated, sockstat.time_wait)
        execute = self._connection.execute
        execute(
            "INSERT INTO sample VALUES (?, ?, ?, ?, ?)",
            (number, 1 if begins else None, snapshot.taken_at_unix_s, allocated, time_wait),
        )
        execute("INSERT INTO record VALUES (?, ?)", (number, record))
        self._connection.executemany("INSERT OR IGNORE INTO content VALUES (?, ?)", contents)
        uses = [(self._block, digest) for digest in self._contents]
        self._connection.executemany("INSERT OR IGNORE INTO content_use VALUES (?, ?)", uses)

    def _make_room(self, needed_bytes: int, now_unix_s: float | None, begins: bool) -> bool:
        """Drops the oldest blocks until the sample fits the bounds.

        Returns False if the sample's own block is the only block left, and the sample still does not fit.
        """
        execute = self._connection.execute
        if self._bounds == NO_BOUNDS:
            return True
        while True:
            blocks = execute(
                "SELECT number, taken_at_unix_s FROM sample WHERE begins_block = 1 ORDER BY number LIMIT 2"
            ).fetchall()
            next_at_unix_s = self._earliest_time_from(blocks[1], now_unix_s) if len(blocks) > 1 else None
            is_too_large = self._is_too_large(needed_bytes)
            if not (is_too_large or self._is_too_old(next_at_unix_s, now_unix_s)):
                return True
            if len(blocks) == 0:
                most = self._bounds.size_bytes
                raise ValueError(f"one sample does not fit into --max-size ({most} bytes); allow more")
            if len(blocks) == 1 and not begins:
                return False
            end = blocks[1][0] if len(blocks) > 1 else self._next_number
            execute("DELETE FROM sample WHERE number < ?", (end,))
            execute("DELETE FROM record WHERE number < ?", (end,))
            execute("DELETE FROM content_use WHERE block < ?", (end,))
            execute(
                "DELETE FROM content WHERE digest NOT IN (SELECT digest FROM content_use) "
                f"AND digest NOT IN ({', '.join('?' * len(self._contents))})",
                tuple(self._contents),
            )

    def _earliest_time_from(self, block: tuple[int, float | None], now_unix_s: float | None) -> float | None:
        """The time of a block; if the clock was set back later, the earliest time of a block from there on."""
        number, at_unix_s = block
        if at_unix_s is None or now_unix_s is None or at_unix_s <= now_unix_s:
            return at_unix_s
        query = "SELECT min(taken_at_unix_s) FROM sample WHERE begins_block = 1 AND number >= ?"
        [(earliest_s,)] = self._connection.execute(query, (number,))
        return float(earliest_s)

    def _is_too_large(self, needed_bytes: int) -> bool:
        most_bytes = self._bounds.size_bytes
        if most_bytes is None:
            return False
        [(pages,)] = self._connection.execute("PRAGMA page_count")
        [(free_pages,)] = self._connection.execute("PRAGMA freelist_count")
        needed_pages = needed_bytes // self._page_bytes + SPARE_PAGES
        return bool((pages - free_pages + needed_pages) * self._page_bytes > most_bytes)

    def _is_too_old(self, next_at_unix_s: float | None, now_unix_s: float | None) -> bool:
        """True if every sample of the oldest block is too old.

        Every sample of a block is too old if the next block began before the oldest time to keep.
        """
        age_s = self._bounds.age_s
        if age_s is None or next_at_unix_s is None or now_unix_s is None:
            return False
        return bool(next_at_unix_s <= now_unix_s - age_s)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Opens a write transaction, which is committed at the end of the `with` block, or rolled back on any exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _lock_or_create(path: str) -> int:
    """Locks a recording against a second recorder. If the file does not exist or is empty, creates the recording first.

    Returns the descriptor that holds the lock (flock; replay takes no such lock).
    """
    for _ in range(TRIES):
        try:
            is_empty = file_status(path).st_size == 0
        except FileNotFoundError:
            is_empty = True
        if not is_empty and is_strangers(path):
            raise TcptopError(f"{printable(path)}: not root's alone, so root adds nothing to it; name a new file")
        if is_empty:
            with suppress(FileExistsError):
                create_file(path)
        descriptor = open_to_read(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another recorder may have replaced an empty file before this process got the lock. A lock on the old file
            # is useless.
            if os.path.samestat(os.fstat(descriptor), file_status(path)):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise TcptopError(f"{printable(path)}: tcptop is recording into it already") from None
        except OSError as error:
            os.close(descriptor)
            raise TcptopError(
                f"{printable(path)}: cannot be locked ({error.strerror}); record onto a local disk"
            ) from None
        os.close(descriptor)
    raise TcptopError(f"{printable(path)}: another program replaces it; record into a file of another name")
