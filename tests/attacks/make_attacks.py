"""Makes recordings that attack their reader: `python tests/attacks/make_attacks.py FOLDER` writes one file for each.

The format of recordings changes, so the attacks are made anew for each run instead of being stored.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.append(str(Path(__file__).resolve().parents[2]))

from recorded import tree, write_tree
from samples import phase_trees, record

from tcptop.hosts.zstd import zstd
from tcptop.recording.blocks import MAX_DOCUMENT_BYTES, OPTIONS
from tcptop.recording.checksum import add_checksum

SAMPLES = 14
LOST_RECORD = 5
LOST_SAMPLES = 30_000
BLANKS = 200_000
NOT_UTF_8 = b"\xff\xfe\x80"
EVIL_NAME = NOT_UTF_8 + b"\x1b[2J"


def make_blanks(path: Path) -> None:
    """Long sequences of blanks in every file: a regular expression with quadratic time would not end."""
    blanks = b" " * BLANKS
    lines = {
        "proc/slabinfo": b"x" + blanks + b"1 2 3 4 5 : tunables 0 0 0 : slabdata 1 2" + blanks + b"x\n",
        "proc/buddyinfo": b"Node 0, zone" + blanks + b"Normal 1 2" + blanks + b"x\n",
        "proc/pagetypeinfo": b"Node 0, zone Normal, type" + blanks + b"Movable" + blanks + b"x\n",
        "proc/sys/kernel/osrelease": b"6.1.0" + b" " * 60_000 + b"x\n",
    }
    _record_changed(path, {name: _read(name) + line for name, line in lines.items()})


def make_not_utf_8(path: Path) -> None:
    """Names of caches, zones and the host whose bytes are not UTF-8, with an escape sequence in them."""
    row = EVIL_NAME + b" 1 2 64 64 1 : tunables 0 0 0 : slabdata 1 1 0\n"
    slabinfo = _read("proc/slabinfo")
    header = b"".join(slabinfo.splitlines(keepends=True)[:2])
    _record_changed(
        path,
        {
            "proc/slabinfo": header + row + slabinfo.removeprefix(header),
            "proc/sys/kernel/hostname": EVIL_NAME + b"\n",
            "proc/buddyinfo": _read("proc/buddyinfo") + b"Node 9, zone " + EVIL_NAME + b" 1 1 1 1 1 1 1 1 1 1 1\n",
        },
    )


def make_gaps(path: Path) -> None:
    """Rows are missing from the tables: a record in the middle of a block, and the rows of other samples."""
    _record(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM record WHERE number = ?", (LOST_RECORD,))
        connection.execute("DELETE FROM sample WHERE number IN (1, 2)")


def make_expanding(path: Path) -> None:
    """The first record, of a few hundred bytes, unpacks to a gigabyte."""
    _record(path)
    compressor = zstd.ZstdCompressor(options=OPTIONS)
    part = b"".join(compressor.compress(bytes(MAX_DOCUMENT_BYTES)) for _ in range(128))
    part += compressor.flush(mode=zstd.ZstdCompressor.FLUSH_BLOCK)
    with closing(sqlite3.connect(path)) as connection, connection:
        data = add_checksum(b"\0" + part, 0)
        connection.execute("UPDATE record SET data = ? WHERE number = 0", (data,))


def make_lost(path: Path) -> None:
    """The list names thousands of samples that are not in the file."""
    _record(path)
    rows = f"WITH RECURSIVE t(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM t LIMIT {LOST_SAMPLES}) "
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"{rows} INSERT INTO sample SELECT n, 1, NULL, 1, 1 FROM t")


ATTACKS: Mapping[str, Callable[[Path], None]] = {
    "blanks": make_blanks,
    "not_utf_8": make_not_utf_8,
    "gaps": make_gaps,
    "expanding": make_expanding,
    "lost": make_lost,
}


def _read(path: str) -> bytes:
    return (tree("6.1-4n", "established") / path).read_bytes()


def _record(path: Path) -> None:
    record(path, phase_trees("6.1-4n"), SAMPLES)


def _record_changed(path: Path, files: Mapping[str, str | bytes]) -> None:
    """Records a tree that contains only the given files."""
    record(path, [write_tree(path.with_name(f"{path.name}-tree"), files)], 2)


if __name__ == "__main__":
    for name, make in ATTACKS.items():
        make(Path(sys.argv[1]) / f"{name}.tcptop")
