"""Writes samples into a recording's file, one transaction each, and keeps a ring within its bounds."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.recording.checksum import pack
from tcptop.recording.file_format import create_file, open_file, sqlite_error_text
from tcptop.recording.record_writer import RecordWriter
from tcptop.sampling.sampler import SourceRead
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable

SHARED_FILE_BYTES = 1 << 20
"""A file that is larger (BTF) is kept once and not with every whole copy."""

MIN_RING_BYTES = 1 << 20

SPARE_PAGES = 8
"""Of SQLite's own, that one sample may need beside its bytes."""


class Bounds(NamedTuple):
    """What a ring may hold; the oldest goes first. None is without a bound."""

    size_bytes: int | None = None
    age_s: float | None = None


NO_BOUNDS = Bounds()


class Recorder:
    """One file that samples are added to. Its methods may be called from one thread at a time, whichever it is."""

    def __init__(
        self,
        path: str,
        bounds: Bounds = NO_BOUNDS,
        scrub: Callable[[SourceRead], SourceRead] | None = None,
    ) -> None:
        """Opens the file, or makes it; a file that is no recording is left as it is.

        Raises:
            TcptopError: in one line, where that cannot be done.

        """
        self.path = path
        self.samples = 0
        self._bounds = bounds
        self._scrubbed = scrub
        self._connection = self._open()
        self._lock_descriptor = self._lock_file()
        self._writer = RecordWriter(self._add_content)
        self._new_contents: dict[bytes, bytes] = {}
        self._used_digests: set[bytes] = set()
        try:
            last = self._connection.execute("SELECT max(number) FROM record").fetchone()[0]
            self._page_bytes = int(self._connection.execute("PRAGMA page_size").fetchone()[0])
        except sqlite3.Error as error:
            self.close()
            raise TcptopError(f"{printable(path)}: {sqlite_error_text(error)}") from None
        self._next_number = 0 if last is None else int(last) + 1
        self._block = self._next_number

    def add_read(self, read: SourceRead) -> None:
        """Takes what a sampler hands on of each read; writes nothing yet."""
        self._writer.add_read(self._scrubbed(read) if self._scrubbed else read)

    def write(self, snapshot: Snapshot) -> None:
        """Adds a sample; it is in the file when this returns.

        Raises:
            TcptopError: in one line, where it cannot be written; what was written before stays.

        """
        try:
            if not self._try_write(snapshot):
                # The block that this sample would belong to has to go: it becomes the first of another.
                self._writer.forget_block()
                self._try_write(snapshot)
        except (sqlite3.Error, ValueError) as error:
            self._writer.forget_block()
            text = sqlite_error_text(error) if isinstance(error, sqlite3.Error) else str(error)
            raise TcptopError(f"{printable(self.path)}: {text}") from None
        self._next_number += 1
        self.samples += 1

    def close(self) -> None:
        """Closes the file; again does nothing."""
        self._connection.close()
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)  # after SQLite's own, whose locks would go with any descriptor of the file
            self._lock_descriptor = -1

    def _add_content(self, data: bytes) -> bytes | None:
        """Keeps a large file's bytes once, with the next sample that is written."""
        if len(data) < SHARED_FILE_BYTES:
            return None
        digest = sha256(data).digest()
        self._used_digests.add(digest)
        self._new_contents[digest] = data
        return digest

    def _open(self) -> sqlite3.Connection:
        try:
            has_content = os.stat(self.path).st_size > 0  # noqa: PTH116 (as a path that may be anything)
        except FileNotFoundError:
            has_content = False
        except (OSError, ValueError) as error:
            text = error.strerror if isinstance(error, OSError) else "no file can have such a name"
            raise TcptopError(f"{printable(self.path)}: {text}") from None
        if not has_content:
            return _configure(create_file(self.path))
        try:
            return _configure(open_file(self.path, write=True))
        except OSError as error:
            raise TcptopError(f"{printable(self.path)}: {error.strerror}") from None

    def _lock_file(self) -> int:
        """A descriptor that holds the file against a second recorder; readers do not mind it."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._connection.close()
            os.close(descriptor)
            raise TcptopError(f"{printable(self.path)}: tcptop is recording into it already") from None
        return descriptor

    def _try_write(self, snapshot: Snapshot) -> bool:
        """Writes a sample; False where there is room for it only without the block that it belongs to."""
        number = self._next_number
        self._new_contents.clear()
        self._used_digests.clear()
        begins = self._writer.begins_block(number)
        record = pack(self._writer.record(snapshot, number), number)
        if begins:
            self._block = number
        with _transaction(self._connection):
            contents = [
                (digest, pack(data, 0)) for digest, data in self._new_contents.items() if self._is_new_content(digest)
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
        uses = [(self._block, digest) for digest in self._used_digests]
        self._connection.executemany("INSERT OR IGNORE INTO content_use VALUES (?, ?)", uses)

    def _make_room(self, needed_bytes: int, now_unix_s: float | None, begins: bool) -> bool:
        """Takes out the oldest blocks while there is more than the bounds allow; False where that is not enough."""
        execute = self._connection.execute
        if self._bounds == NO_BOUNDS:
            return True
        while True:
            blocks = execute(
                "SELECT number, taken_at_unix_s FROM sample WHERE begins_block = 1 ORDER BY number LIMIT 2"
            ).fetchall()
            next_at_unix_s = blocks[1][1] if len(blocks) > 1 else None
            is_too_large = self._is_too_large(needed_bytes)
            if not (is_too_large or self._is_too_old(next_at_unix_s, now_unix_s)):
                return True
            if len(blocks) == 0:
                most = self._bounds.size_bytes
                raise ValueError(f"one sample needs more than the {most} bytes of --max-size; allow more")
            if len(blocks) == 1 and not begins:
                return False
            end = blocks[1][0] if len(blocks) > 1 else self._next_number
            execute("DELETE FROM sample WHERE number < ?", (end,))
            execute("DELETE FROM record WHERE number < ?", (end,))
            execute("DELETE FROM content_use WHERE block < ?", (end,))
            execute(
                "DELETE FROM content WHERE digest NOT IN (SELECT digest FROM content_use) "
                f"AND digest NOT IN ({', '.join('?' * len(self._used_digests))})",
                tuple(self._used_digests),
            )

    def _is_too_large(self, needed_bytes: int) -> bool:
        most_bytes = self._bounds.size_bytes
        if most_bytes is None:
            return False
        [(pages,)] = self._connection.execute("PRAGMA page_count")
        [(free_pages,)] = self._connection.execute("PRAGMA freelist_count")
        needed_pages = needed_bytes // self._page_bytes + SPARE_PAGES
        return bool((pages - free_pages + needed_pages) * self._page_bytes > most_bytes)

    def _is_too_old(self, next_at_unix_s: float | None, now_unix_s: float | None) -> bool:
        """Whether the oldest block can go: the one after it began before what is to be kept."""
        age_s = self._bounds.age_s
        if age_s is None or next_at_unix_s is None or now_unix_s is None:
            return False
        return bool(next_at_unix_s <= now_unix_s - age_s)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is done within, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _configure(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Ready for a sample each second: synced, so that a machine that stops loses no more than that sample."""
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection
