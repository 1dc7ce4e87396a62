"""The SQLite file of a recording: what marks it as one, its tables, and the way it is opened.

A rollback journal (journal_mode=DELETE), so that between two samples the one file holds everything: a write-ahead log
would keep the last minutes in a second file. What was being written when a recorder was killed is rolled back by the
journal beside the file when it is opened next.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from tcptop.errors import TcptopError
from tcptop.text.printable import printable

APPLICATION_ID = 0x54435054
"""`TCPT`, at byte 68 of the file (https://www.sqlite.org/fileformat.html)."""
SCHEMA_VERSION = 1

SQLITE_MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
ROLLBACK_FORMAT = b"\1\1"
"""At byte 18: neither reader nor writer needs a write-ahead log."""

SUPER_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""At the end of a journal that names another file: none of ours does."""

TABLES = (
    "CREATE TABLE sample (number INTEGER PRIMARY KEY, begins_block INTEGER, taken_at_unix_s REAL, "
    "allocated INTEGER, time_wait INTEGER)",
    "CREATE TABLE record (number INTEGER PRIMARY KEY, data BLOB)",
    "CREATE TABLE content (digest BLOB PRIMARY KEY, data BLOB)",
    "CREATE TABLE content_use (block INTEGER, digest BLOB, PRIMARY KEY (block, digest))",
)
"""`sample` is small, so that a day opens at once; `record` has what each holds. A block goes by its first sample."""

EXPECTED_TABLES = {(sql.split()[2], sql) for sql in TABLES}
LOCK_TIMEOUT_S = 5.0


def create_file(path: str) -> sqlite3.Connection:
    """Makes an empty recording; raises TcptopError where the file is there already or cannot be made."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = _connect(path, "rw")
        connection.execute("PRAGMA page_size = 4096")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        with connection:
            connection.execute("BEGIN")
            for table in TABLES:
                connection.execute(table)
        return connection
    except OSError as error:
        raise TcptopError(f"{printable(path)}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise TcptopError(f"{printable(path)}: {sqlite_error_text(error)}") from None


def open_file(path: str, write: bool = False) -> sqlite3.Connection:
    """Opens a recording.

    Raises:
        TcptopError: where it is none, is of a newer schema, or is damaged so far that nothing of it can be read.
        OSError: where it cannot be read at all.

    """
    where = printable(path)
    check_header(path)
    with sqlite_errors_in_one_line(where):
        _roll_back(path)
        connection = _connect(path, "rw" if write else "ro")
        try:
            # Nothing in the file may run anything: not a view, not a trigger, not a function in a table.
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            if not write:
                connection.execute("PRAGMA query_only = ON")
            _check_tables(connection, where)
        except BaseException:
            connection.close()
            raise
        return connection


def check_header(path: str) -> None:
    """Looks at the file's first bytes before SQLite does; raises as `opened_file`."""
    where = printable(path)
    with open(path, "rb") as file:  # noqa: PTH123 (its OSError is for the caller)
        header = file.read(HEADER_BYTES)
    if not is_sqlite(header):
        raise TcptopError(f"{where}: not a recording")
    application, schema = struct.unpack_from(">I", header, 68)[0], struct.unpack_from(">I", header, 60)[0]
    if application != APPLICATION_ID:
        raise TcptopError(f"{where}: an SQLite file of another program, not a recording")
    if schema != SCHEMA_VERSION:
        newer = schema > SCHEMA_VERSION
        advice = "use the tcptop that wrote it, or a later one" if newer else "no tcptop wrote such a file"
        raise TcptopError(f"{where}: its schema is {schema}, and only {SCHEMA_VERSION} is known here; {advice}")
    if header[18:20] != ROLLBACK_FORMAT:
        raise TcptopError(f"{where}: damaged: it claims a write-ahead log, which a recording never has")


def is_sqlite(header: bytes) -> bool:
    """Whether a file that begins so is one of SQLite's."""
    return len(header) >= HEADER_BYTES and header.startswith(SQLITE_MAGIC)


@contextmanager
def sqlite_errors_in_one_line(where: str) -> Iterator[None]:
    """Makes one line of what SQLite raises within."""
    try:
        yield
    except SQLITE_ERRORS as error:
        raise TcptopError(f"{where}: {sqlite_error_text(error)}") from None


SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second where its own message quotes bytes of a damaged file."""


def sqlite_error_text(error: Exception) -> str:
    """What an error of SQLite's means to a person."""
    text = str(error) if isinstance(error, sqlite3.Error) else "malformed"
    if "full" in text:
        return "the disk is full; what was recorded until now can be read"
    if "locked" in text:
        return "another program is writing into it; is tcptop recording there already?"
    if "readonly" in text:
        return "a recorder was killed while it wrote here; open it once as its owner, with its -journal beside it"
    if "malformed" in text or "not a database" in text:
        return "damaged: SQLite cannot read it"
    return printable(text)


def _connect(path: str, mode: str) -> sqlite3.Connection:
    # The path is quoted whole: a `?` in a name must not become an option.
    uri = f"file:{quote(os.path.abspath(path))}?mode={mode}"  # noqa: PTH100
    connection = sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA mmap_size = 0")
    connection.text_factory = bytes
    return connection


def _check_tables(connection: sqlite3.Connection, where: str) -> None:
    found = set()
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master LIMIT 100"):
        if kind == b"index" and sql is None:
            continue  # SQLite's own, of a primary key
        if kind != b"table" or not isinstance(name, bytes) or not isinstance(sql, bytes):
            raise TcptopError(f"{where}: its tables are not those of a recording")
        found.add((name.decode("utf-8", "replace"), sql.decode("utf-8", "replace")))
    if found != EXPECTED_TABLES:
        raise TcptopError(f"{where}: its tables are not those of a recording")


def _roll_back(path: str) -> None:
    """Undoes the sample that was being written when a recorder was killed, if one was.

    A reader may not, so that the file is opened for writing once. Only a journal of ours is followed.
    """
    journal = f"{path}-journal"
    with suppress(FileNotFoundError):
        with open(journal, "rb") as file:  # noqa: PTH123 (as above)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(SUPER_JOURNAL_MAGIC)))
            if size and file.read() == SUPER_JOURNAL_MAGIC:
                raise TcptopError(f"{printable(journal)}: not the journal of a recording; take it away")
        if size == 0 or not os.access(path, os.W_OK):
            return
        connection = _connect(path, "rw")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
