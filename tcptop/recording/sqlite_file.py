"""The SQLite file of a recording: header, tables, and functions that open the file safely.

The file uses a rollback journal (journal_mode=DELETE), so between two samples the file is complete without other files.
With a write-ahead log, the samples of the last minutes would be in a second file. If a recorder is killed while
writing, the journal stays beside the file. The next process that opens the file rolls the unfinished sample back, with
the help of the journal.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from urllib.parse import quote

from tcptop.errors import TcptopError
from tcptop.named_files import NO_SUCH_NAME, new_file, open_to_read, read_start, require_own
from tcptop.recording.checksum import DamagedError
from tcptop.text.printable import printable, printable_name

APPLICATION_ID = 0x54435054
"""`TCPT`, the application id at byte 68 of the SQLite header (https://www.sqlite.org/fileformat.html)."""
SCHEMA_VERSION = 2
"""tcptop 0.1.0 wrote schema version 1. If the meaning of a document or record changes, a new version is needed."""

SQLITE_MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
ROLLBACK_FORMAT = b"\1\1"
"""Write version and read version, at bytes 18 and 19 of the header.

Version 1 means a rollback journal, not a write-ahead log.
"""

SUPER_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""Last bytes of a journal that names a super-journal. SQLite names a super-journal only in a transaction over several
files, but tcptop never has such a transaction.
"""

TABLES = (
    "CREATE TABLE sample (number INTEGER PRIMARY KEY, begins_block INTEGER, taken_at_unix_s REAL, "
    "allocated INTEGER, time_wait INTEGER)",
    "CREATE TABLE record (number INTEGER PRIMARY KEY, data BLOB)",
    "CREATE TABLE content (digest BLOB PRIMARY KEY, data BLOB)",
    "CREATE TABLE content_use (block INTEGER, digest BLOB, PRIMARY KEY (block, digest))",
)
"""Tables of a recording.

- sample: a small row for each sample, so that a recording of a whole day opens at once. `begins_block` is 1 for the
  first sample of a block, and NULL for every other sample.
- record: the sample itself (see blocks.py and document.py).
- content: large files (BTF), packed, by SHA-256 digest.
- content_use: the digests of the large files that each block needs; a block is identified by the number of its first
  sample.
"""

EXPECTED_TABLES = {(sql.split()[2], sql) for sql in TABLES}
"""Name and SQL of each table, as stored in sqlite_master."""

DISK_FULL = "the disk is full"

COMPANIONS = ("-journal", "-wal", "-shm")
"""Suffixes of the files that SQLite creates beside a database.

When SQLite opens a database, SQLite also reads files with one of these suffixes.
"""

LOCK_TIMEOUT_S = 5.0
MAX_QUERY_STEPS = 54_000_000
"""Maximum number of steps of SQLite's virtual machine in a `bounded_queries` block.

To list a sample takes 10 steps, and to look for samples that are not in the list takes 6 steps for each record. The
maximum is 20 steps for each of the samples that a recording may have.
"""
STEPS_OF_ANY_FILE = 1_000_000
"""Number of steps allowed for a small file. For each byte of the file, one more step is allowed.

A sample takes over 50 bytes, so that its 20 steps are within this. A damaged file may refer to the same pages again and
again, and would otherwise take MAX_QUERY_STEPS whatever its size.
"""
MAX_QUERY_S = 8.0
MIN_STEPS_PER_S = 500_000
"""A query that takes more than MAX_QUERY_S of CPU time may go on if SQLite makes at least this many steps a second.

Fewer steps mean that the rows are larger than those of a recording. With the rows of a recording, SQLite makes several
million steps a second.
"""
MAX_CHECK_S = 5.0
PROGRESS_STEPS = 50_000
"""Number of steps of SQLite's virtual machine between two checks of the limits.

`PROGRESS_STEPS` steps take some milliseconds.
"""

LIMITS: tuple[tuple[int, int], ...] = ()
"""Limits on what SQLite does for a file that is not trusted (https://www.sqlite.org/limits.html)."""
if sys.version_info >= (3, 11):
    LIMITS = (
        (sqlite3.SQLITE_LIMIT_LENGTH, 256 << 20),
        (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 64 << 10),
        (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    )


def create_file(path: str) -> None:
    """Creates a recording without samples, either completely or not at all.

    Raises:
        FileExistsError: if the path leads to a file that is not empty.
        OSError, sqlite3.Error: if the recording cannot be created.

    """
    with new_file(path, 0o600, COMPANIONS) as place, closing(_connect(place, "rw")) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")  # with a journal in memory, SQLite creates no journal file
        connection.execute("PRAGMA page_size = 4096")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("BEGIN")
        for table in TABLES:
            connection.execute(table)
        connection.execute("COMMIT")


def open_file(path: str, write: bool = False) -> sqlite3.Connection:
    """Opens a recording after rolling back an unfinished sample.

    If `write` is set, the whole file is checked for damage.

    Raises:
        TcptopError: if the file is not a recording or has another schema version.
        OSError, sqlite3.Error, UnicodeDecodeError: if the file cannot be read, or is too damaged to open. If `write` is
            set, OSError is also raised if the file belongs to another user.

    """
    if write:
        require_own(path)
    check_header(path)
    _roll_back(path)
    connection = _connect(path, "rw" if write else "ro")
    try:
        # Code in the file (views, triggers, functions in the schema) must not run.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if not write:
            connection.execute("PRAGMA query_only = ON")
        with bounded_queries(connection, path):
            _check_tables(connection, printable(path))
        if write and _is_damaged(connection):
            raise TcptopError(f"{printable(path)}: damaged, so that nothing is added to it; record into a new file")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def bounded_queries(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """Context manager that limits the work of SQLite in the `with` block.

    Queries fail after MAX_QUERY_STEPS steps, or fewer in a small file. Queries also fail after MAX_QUERY_S of CPU time
    if a step takes too long. Otherwise the CPU time is not limited, so that an intact recording is read on a slow CPU
    too. Elapsed time is not limited, because a slow disk takes no CPU time.
    """
    start_s, calls = time.thread_time(), count(1)
    max_steps = min(MAX_QUERY_STEPS, STEPS_OF_ANY_FILE + file_status(path).st_size)

    def must_end() -> bool:
        steps, took_s = next(calls) * PROGRESS_STEPS, time.thread_time() - start_s
        return steps > max_steps or (took_s > MAX_QUERY_S and steps < took_s * MIN_STEPS_PER_S)

    connection.set_progress_handler(must_end, PROGRESS_STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _is_damaged(connection: sqlite3.Connection) -> bool:
    """True if SQLite finds damage in the structure of the file; False if the check takes longer than `MAX_CHECK_S`."""
    end_s = time.monotonic() + MAX_CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > end_s, PROGRESS_STEPS)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != b"ok")
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return False
        raise
    finally:
        connection.set_progress_handler(None, 0)


def check_header(path: str) -> None:
    """Checks the first bytes of the file before SQLite reads the file; raises the same errors as `open_file`."""
    where = printable(path)
    header = read_start(path, HEADER_BYTES)
    if not is_sqlite(header):
        raise TcptopError(f"{where}: not a recording")
    application, schema = struct.unpack_from(">I", header, 68)[0], struct.unpack_from(">I", header, 60)[0]
    if application != APPLICATION_ID:
        raise TcptopError(f"{where}: an SQLite file of another program, not a recording")
    if schema == 1:
        raise TcptopError(f"{where}: made by tcptop 0.1.0, which this version does not read")
    if schema != SCHEMA_VERSION:
        newer = schema > SCHEMA_VERSION
        advice = "use the tcptop that wrote it, or a later one" if newer else "no tcptop writes such a file"
        raise TcptopError(f"{where}: its schema is {schema}, and this tcptop reads only {SCHEMA_VERSION}; {advice}")
    if header[18:20] != ROLLBACK_FORMAT:
        raise TcptopError(f"{where}: damaged: it claims a write-ahead log, which a recording never has")


def is_sqlite(header: bytes) -> bool:
    """True if the first bytes of a file are an SQLite header."""
    return len(header) >= HEADER_BYTES and header.startswith(SQLITE_MAGIC)


@contextmanager
def errors_in_one_line(path: str) -> Iterator[None]:
    """Context manager that turns an error with the file at `path` into a TcptopError with a message of one line."""
    where = printable(path)
    try:
        yield
    except OSError as error:
        raise TcptopError(f"{where}: {error.strerror}") from None
    except SQLITE_ERRORS as error:
        raise TcptopError(f"{where}: {sqlite_error_text(error, path)}") from None


def file_status(path: str) -> os.stat_result:
    """The status of a file. Raises OSError in the same cases as os.stat(), and also if the path contains a NUL byte."""
    try:
        return os.stat(path)  # noqa: PTH116 (Path turns an empty path into `.`)
    except ValueError:
        raise OSError(errno.EINVAL, NO_SUCH_NAME) from None


KILLED = "a recorder was killed while writing it; open it once as its owner, with its -journal file beside it"
"""The error if a journal must be rolled back, and this user may not."""
SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""Exceptions of SQLite calls. UnicodeDecodeError is raised if SQLite's error message quotes bytes of a damaged file."""


def sqlite_error_text(error: Exception, path: str | None = None) -> str:
    """One line for the user: the meaning of an SQLite error with the file at `path`.

    Without `path`, the error is one of a connection that only reads.
    """
    text = str(error) if isinstance(error, sqlite3.Error) else "malformed"
    if "full" in text:
        return DISK_FULL
    if "locked" in text:
        return "another program is writing into it; is tcptop recording there already?"
    if "readonly" in text or "unable to open" in text:
        return KILLED if path is None else _read_only_text(os.path.realpath(path)) or printable_name(text)
    if "interrupted" in text:
        return "damaged: SQLite does not come to an end with it"
    if "malformed" in text or "not a database" in text:
        return "damaged: SQLite cannot read it"
    return printable_name(text)


def _read_only_text(path: str) -> str | None:
    """The reason why SQLite cannot write a file, or roll back its journal; None if it can write file and folder."""
    with suppress(OSError):
        if os.lstat(f"{path}-journal").st_size:
            return KILLED
    with suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return os.strerror(errno.EROFS)
    if not os.access(path, os.W_OK):
        return "this user may only read the file"
    if not os.access(os.path.dirname(path), os.W_OK | os.X_OK):  # noqa: PTH120 (pathlib is not imported elsewhere)
        return "this user may not write into its folder, where a recorder keeps the -journal file"
    return None


def read_blob(connection: sqlite3.Connection, table: str, key: str, value: int | bytes, max_bytes: int) -> bytes:
    """The column `data` of one row; raises DamagedError if the row is missing or damaged.

    A row is damaged if its data are not a blob, or are larger than `max_bytes`.
    """
    query = f"SELECT CASE WHEN typeof(data) = 'blob' AND length(data) <= ? THEN data END FROM {table} WHERE {key} = ?"
    try:
        row = connection.execute(query, (max_bytes, value)).fetchone()
    except SQLITE_ERRORS as error:
        raise DamagedError(sqlite_error_text(error)) from None
    if row is None:
        raise DamagedError("it is not in the file")
    if not isinstance(row[0], bytes):
        raise DamagedError("it is not a record")
    return row[0]


def _connect(path: str, mode: str) -> sqlite3.Connection:
    # The whole path is quoted: a `?` in a file name must not begin the URI's parameters.
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode={mode}"  # noqa: PTH100
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA mmap_size = 0")
    connection.text_factory = bytes
    if sys.version_info >= (3, 11):
        for limit, value in LIMITS:
            connection.setlimit(limit, value)
    return connection


def _check_tables(connection: sqlite3.Connection, where: str) -> None:
    found = set()
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master LIMIT 100"):
        if kind == b"index" and sql is None:
            continue  # the automatic index of a primary key
        if kind != b"table" or not isinstance(name, bytes) or not isinstance(sql, bytes):
            raise TcptopError(f"{where}: its tables are not those of a recording")
        found.add((name.decode("utf-8", "replace"), sql.decode("utf-8", "replace")))
    if found != EXPECTED_TABLES:
        raise TcptopError(f"{where}: its tables are not those of a recording")


def _roll_back(path: str) -> None:
    """Rolls back the unfinished sample of a recorder that was killed.

    A read-only connection cannot roll back, so the file is first opened for writing, and then closed. A journal that
    names a super-journal is refused, because SQLite would open the super-journal and could delete it.
    """
    if os.path.lexists(f"{path}-wal"):
        # If SQLite opened the recording, SQLite would read the write-ahead log beside the recording, and would create a
        # third file. SQLite does this even if the header of the recording names a rollback journal.
        raise TcptopError(f"{printable(path)}-wal: not of a recording, which has no write-ahead log; remove it")
    journal = f"{path}-journal"
    with suppress(FileNotFoundError):
        with os.fdopen(_open_journal(journal), "rb") as file:
            if os.fstat(file.fileno()).st_uid not in (0, file_status(path).st_uid):
                raise TcptopError(f"{printable(journal)}: not of the owner of the recording; remove it")
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(SUPER_JOURNAL_MAGIC)))
            if size and file.read() == SUPER_JOURNAL_MAGIC:
                raise TcptopError(f"{printable(journal)}: not the journal of a recording; remove it")
        if size == 0 or not os.access(path, os.W_OK):
            return
        connection = _connect(path, "rw")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()


def _open_journal(path: str) -> int:
    """A descriptor of a journal.

    Raises TcptopError if the journal is not a regular file, because SQLite might wait forever for a file such as a
    named pipe.
    """
    try:
        return open_to_read(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TcptopError(
            f"{printable(path)}: {error.strerror}; the journal of a recording is needed to read it"
        ) from None
