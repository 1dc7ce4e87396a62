"""Damaged and hostile recordings: the result is an error of one line, or samples that are marked damaged."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import IntactRecording, is_one_line, make_intact_recording, recording_at
from slow_case import slow

from tcptop.accounting import account
from tcptop.errors import TcptopError
from tcptop.hosts.zstd import zstd
from tcptop.recording import reader, sqlite_file
from tcptop.recording.blocks import (
    BLOCK_SAMPLES,
    MAX_CONTENT_BYTES,
    MAX_DOCUMENT_BYTES,
    OPTIONS,
    BlockReader,
    BlockWriter,
    pack_content,
    unpack_content,
)
from tcptop.recording.checksum import CHECKSUM_BYTES, DamagedError, add_checksum, check
from tcptop.recording.document import MAX_SHARED_BYTES, DecodedDocument, DocumentParser
from tcptop.recording.opening import open_recording
from tcptop.recording.reader import FileRecording
from tcptop.recording.sqlite_file import EXPECTED_TABLES
from tcptop.report.as_json import as_json
from tcptop.snapshot import Snapshot

SAMPLES = BLOCK_SAMPLES + 10


@pytest.fixture(scope="module")
def recorded_file(tmp_path_factory: pytest.TempPathFactory) -> IntactRecording:
    file = tmp_path_factory.mktemp("whole") / "recording"
    return make_intact_recording(file, SAMPLES)


@pytest.fixture
def damaged_copy(recorded_file: IntactRecording, tmp_path: Path) -> Path:
    """A copy of the intact recording, for a test to damage."""
    return Path(shutil.copy(recorded_file.path, tmp_path / "recording"))


def assert_error_or_correct_samples(file: Path, live: list[Snapshot], indices: int, rng: random.Random) -> None:
    """Asserts that opening fails with one line, or that each sample equals the live sample or is marked damaged with a
    ledger.
    """
    refusal: str | None = None
    try:
        recording = open_recording(str(file))
    except TcptopError as error:
        refusal = str(error)
    if refusal is not None:
        assert is_one_line(refusal)
        return
    try:
        for index in rng.sample(range(len(recording)), min(indices, len(recording))):
            snapshot, damage = recording.snapshot(index), recording.sample(index).damage
            if damage is None:
                assert snapshot in live
            else:
                assert is_one_line(damage)
                json.loads(as_json(account(snapshot)))
    finally:
        recording.close()


@pytest.mark.slow
@pytest.mark.parametrize("flips", [30, slow(150)])
def test_a_flipped_bit_anywhere(recorded_file: IntactRecording, tmp_path: Path, flips: int) -> None:
    file, live = recorded_file.path, recorded_file.live_snapshots
    whole = file.read_bytes()
    rng = random.Random(5)
    copy = tmp_path / "copy"
    for turn in range(flips):
        data = bytearray(whole)
        # Every second change is in the first page, which has the header and the list of tables.
        at = rng.randrange(len(data) if turn % 2 else 4096)
        data[at] ^= 1 << rng.randrange(8)
        copy.write_bytes(data)
        assert_error_or_correct_samples(copy, live, 6, rng)


@pytest.mark.slow
def test_a_file_cut_anywhere(recorded_file: IntactRecording, tmp_path: Path) -> None:
    file, live = recorded_file.path, recorded_file.live_snapshots
    whole = file.read_bytes()
    rng = random.Random(6)
    copy = tmp_path / "copy"
    for end in [0, 1, 15, 16, 99, 100, 101, *(rng.randrange(len(whole)) for _ in range(60))]:
        copy.write_bytes(whole[:end])
        assert_error_or_correct_samples(copy, live, 6, rng)


def test_an_undecodable_table_definition_is_one_line(damaged_copy: Path) -> None:
    """SQLite quotes the bytes in its message, and Python cannot decode the message."""
    data = bytearray(damaged_copy.read_bytes())
    at = data.index(b"CREATE TABLE record")
    data[at + 3] ^= 0xFF
    damaged_copy.write_bytes(data)
    with pytest.raises(TcptopError) as raised:
        open_recording(str(damaged_copy))
    assert is_one_line(str(raised.value))


@pytest.mark.slow
def test_one_damaged_record_costs_a_few_samples(recorded_file: IntactRecording, damaged_copy: Path) -> None:
    live = recorded_file.live_snapshots
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("UPDATE record SET data = substr(data, 1, 40) || zeroblob(100) WHERE number = 33")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert "33" not in (recording.sample(32).damage or "")
        assert "damaged" in (recording.sample(33).damage or "")
        for index in (*range(33), *range(BLOCK_SAMPLES, SAMPLES)):
            assert recording.sample(index).damage is None
            assert recording.snapshot(index) == live[index]


def test_a_lost_whole_copy_costs_its_block(recorded_file: IntactRecording, damaged_copy: Path) -> None:
    live = recorded_file.live_snapshots
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("DELETE FROM record WHERE number = 0")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert len(recording) == SAMPLES
        assert all(recording.sample(index).damage for index in range(BLOCK_SAMPLES))
        assert recording.snapshot(BLOCK_SAMPLES) == live[BLOCK_SAMPLES]


def test_wrong_rows_in_the_sample_table(damaged_copy: Path) -> None:
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("UPDATE sample SET taken_at_unix_s = 1.5 WHERE number = 3")
        connection.execute("UPDATE sample SET taken_at_unix_s = 'x', allocated = -7, time_wait = 'y' WHERE number = 4")
        connection.execute("INSERT INTO sample VALUES (-9223372036854775808, 1, 1e308, 1, 1), (99999, 0, 2.0, 3, 4)")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert recording.sample(0).damage
        assert recording.taken_at_unix_s(0) is None
        assert "time" in (recording.sample(4).damage or "")
        assert recording.largest_counts(range(5, 6)).allocated is None
        assert recording.largest_counts(range(5, 6)).time_wait is None
        assert recording.sample(5).damage is None
        assert recording.sample(len(recording) - 1).damage


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0,), "1 sample is not in its list"),
        ((SAMPLES - 1,), "1 sample is not in its list"),
        ((3, 4, 40, 62), "4 samples are not in its list"),
    ],
)
def test_a_sample_whose_row_is_deleted_is_read_and_named(
    recorded_file: IntactRecording, damaged_copy: Path, numbers: tuple[int, ...], words: str
) -> None:
    with sqlite3.connect(damaged_copy) as connection:
        connection.executemany("DELETE FROM sample WHERE number = ?", [(number,) for number in numbers])
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert [recording.snapshot(index) for index in range(len(recording))] == recorded_file.live_snapshots
        assert {index for index in range(SAMPLES) if recording.taken_at_unix_s(index) is None} == set(numbers)
        with pytest.raises(TcptopError, match=words):
            recording.raise_if_damaged()


def test_many_samples_are_listed_whatever_the_time_and_beyond_the_maximum_are_refused_with_it(
    damaged_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1000 UNION ALL SELECT x + 1 FROM n WHERE x < 20999)"
    with closing(sqlite3.connect(damaged_copy)) as connection:
        connection.execute("DELETE FROM sample")
        connection.execute("DELETE FROM record")
        connection.execute(f"INSERT INTO sample {numbers} SELECT x, NULL, 1.7e9 + x, 1, 1 FROM n")
        connection.execute(f"INSERT INTO record {numbers} SELECT x, x'00' FROM n")
        connection.commit()
    monkeypatch.setattr(sqlite_file, "MAX_QUERY_S", 0.0)  # the CPU is slow
    with closing(FileRecording(str(damaged_copy))) as recording:
        assert (len(recording), recording.list_damage) == (20_000, None)
        assert recording.taken_at_unix_s(19_999) == 1.7e9 + 20_999
    monkeypatch.setattr(sqlite_file, "MAX_QUERY_STEPS", 150_000)
    with pytest.raises(sqlite3.OperationalError):
        FileRecording(str(damaged_copy))
    monkeypatch.setattr(reader, "MAX_SAMPLES", 10_000)
    with pytest.raises(TcptopError, match="holds more than 10000 samples"):
        FileRecording(str(damaged_copy))
    with closing(sqlite3.connect(damaged_copy)) as connection:
        connection.execute("DELETE FROM sample WHERE number > 2000")  # the others are only in the table of records
        connection.commit()
    with pytest.raises(TcptopError, match="holds more than 10000 samples"):
        FileRecording(str(damaged_copy))


def with_shared_pages(file: Path, levels: int = 3) -> None:
    """Makes the table `sample` a B-tree of which all pages of a level are the same page, so that a few pages stand for
    billions of rows (https://www.sqlite.org/fileformat.html, 1.6).
    """
    with closing(sqlite3.connect(file)) as connection:
        [(root, size)] = connection.execute(
            "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'sample'"
        )
    data = file.read_bytes()
    pages = [data[start : start + size] for start in range(0, len(data), size)]
    rows, first = pages[root - 1], len(pages) + 1
    for level in range(levels):
        cells = b"".join(struct.pack(">IB", first + level, key) for key in range(100))
        start = size - len(cells)
        head = struct.pack(">BHHHBI", 5, 0, 100, start, 0, first + level)
        interior = (head + struct.pack(">100H", *range(start, size, 5))).ljust(start, b"\0") + cells
        if level == 0:
            pages[root - 1] = interior
        else:
            pages.append(interior)
    pages.append(rows)
    pages[0] = pages[0][:28] + struct.pack(">I", len(pages)) + pages[0][32:]
    file.write_bytes(b"".join(pages))


def test_pages_that_stand_for_many_rows_cost_no_more_than_a_file_of_that_size(
    damaged_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_shared_pages(damaged_copy)
    checks: list[int] = []

    def counted(start: int) -> Iterator[int]:
        for number in count(start):
            checks.append(number)
            yield number

    monkeypatch.setattr(sqlite_file, "count", counted)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        FileRecording(str(damaged_copy))
    assert len(checks) * sqlite_file.PROGRESS_STEPS < 2_000_000 + damaged_copy.stat().st_size


def test_a_sample_without_any_row_is_named(recorded_file: IntactRecording, damaged_copy: Path) -> None:
    with sqlite3.connect(damaged_copy) as connection:
        for table in ("sample", "record"):
            connection.execute(f"DELETE FROM {table} WHERE number IN (30, 58)")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert len(recording) == SAMPLES - 2
        assert recording.snapshot(SAMPLES - 3) == recorded_file.live_snapshots[-1]
        with pytest.raises(TcptopError, match=r": between its first and its last sample, 2 samples are missing$"):
            recording.raise_if_damaged()


@pytest.mark.slow
def test_a_large_file_without_its_row_is_named(recorded_file: IntactRecording, damaged_copy: Path) -> None:
    with sqlite3.connect(damaged_copy) as connection:
        deleted = connection.execute("DELETE FROM content").rowcount
        connection.execute("DELETE FROM content_use")
    connection.close()
    with recording_at(damaged_copy) as recording:
        snapshot, damage = recording.snapshot(3), recording.sample(3).damage
    assert (damage is not None and "btf" in damage) == (deleted > 0)
    live = recorded_file.live_snapshots[3]
    assert snapshot._replace(btf=live.btf) == live


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW extra AS SELECT 1",
        "CREATE TABLE extra (a)",
        "CREATE TRIGGER extra AFTER INSERT ON sample BEGIN DELETE FROM record; END",
        "CREATE INDEX extra ON sample (taken_at_unix_s)",
        "ALTER TABLE record ADD COLUMN extra AS (zeroblob(1000000000))",
        "ALTER TABLE sample RENAME TO other",
        "DROP TABLE content",
        "DROP TABLE record; CREATE VIEW record AS WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 "
        "FROM n) SELECT number, zeroblob(100) AS data FROM n",
    ],
)
def test_other_tables_are_refused(sql: str, damaged_copy: Path) -> None:
    connection = sqlite3.connect(damaged_copy)
    connection.executescript(sql)
    connection.close()
    with pytest.raises(TcptopError, match="tables are not those of a recording"):
        open_recording(str(damaged_copy))


def test_a_recording_has_the_expected_tables(damaged_copy: Path) -> None:
    connection = sqlite3.connect(damaged_copy)
    tables = set(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    connection.close()
    assert tables == EXPECTED_TABLES


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("PRAGMA user_version = 3", "schema is 3.*later"),
        ("PRAGMA user_version = 1", "made by tcptop 0.1.0, which this version does not read$"),
        ("PRAGMA user_version = 0", "schema is 0"),
        ("PRAGMA application_id = 7", "another program"),
        ("PRAGMA journal_mode = WAL", "damaged"),
        ("DELETE FROM sample", "no sample"),
    ],
)
def test_other_sqlite_files_are_refused(sql: str, words: str, damaged_copy: Path) -> None:
    connection = sqlite3.connect(damaged_copy)
    connection.executescript(sql)
    connection.close()
    with pytest.raises(TcptopError, match=words):
        open_recording(str(damaged_copy))
    assert {path.name for path in damaged_copy.parent.iterdir()} == {"recording"}


def test_a_journal_with_a_super_journal_is_refused(damaged_copy: Path) -> None:
    journal = Path(f"{damaged_copy}-journal")
    journal.write_bytes(b"\0" * 100 + bytes.fromhex("d9d505f920a163d7"))
    before = damaged_copy.read_bytes()
    with pytest.raises(TcptopError, match="not the journal of a recording"):
        open_recording(str(damaged_copy))
    assert damaged_copy.read_bytes() == before
    assert journal.exists()


def test_a_decompression_bomb_is_not_unpacked(damaged_copy: Path) -> None:
    compressor = zstd.ZstdCompressor(options=OPTIONS)
    bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(64)) + compressor.flush()
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("UPDATE record SET data = ? WHERE number = 60", (add_checksum(b"\0" + bomb, 60),))
        connection.execute("UPDATE record SET data = zeroblob(100000000) WHERE number = 5")
        connection.execute("UPDATE record SET data = 'text' WHERE number = 6")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert "8 MiB" in (recording.sample(60).damage or "")
        assert "8 MiB" in (recording.sample(61).damage or "")
        assert "not a record" in (recording.sample(5).damage or "")
        assert "not a record" in (recording.sample(6).damage or "")


@pytest.mark.slow
def test_the_most_hostile_block_is_refused_in_bounded_time_and_memory() -> None:
    """Sixty documents of the largest unpacked size in a few kilobytes, with the largest window."""
    largest = b"{}\n" + bytes(MAX_DOCUMENT_BYTES - 3)
    writer = BlockWriter()
    records = [writer.pack(largest, number) for number in range(BLOCK_SAMPLES)]
    assert sum(map(len, records)) < 1 << 20
    tracemalloc.start()
    try:
        reader = BlockReader(lambda number: records[number])
        assert reader.unpack(BLOCK_SAMPLES - 1) == largest
        assert reader.unpack(BLOCK_SAMPLES - 2) == largest
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_window_that_is_too_large_is_refused() -> None:
    stream = b"\x28\xb5\x2f\xfd" + bytes([0, 25 - 10 << 3]) + (3 << 3 | 1).to_bytes(3, "little") + b"{}\n"
    with pytest.raises(DamagedError, match="cannot be unpacked"):
        unpack_content(add_checksum(stream, 0))


@pytest.mark.parametrize("end", [b"", b"x"])
def test_a_content_that_is_cut_off_or_too_long(end: bytes) -> None:
    data = check(pack_content(b"data" * 1000), 0)
    with pytest.raises(DamagedError):
        unpack_content(add_checksum(data + end if end else data[:-3], 0))


def test_pack_refuses_more_than_unpack_accepts() -> None:
    with pytest.raises(ValueError, match="16 MiB"):
        pack_content(bytes(MAX_CONTENT_BYTES + 1))
    with pytest.raises(ValueError, match="8 MiB"):
        BlockWriter().pack(bytes(MAX_DOCUMENT_BYTES + 1), 0)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(0, 1 << 40))
def test_documents_are_unpacked_in_any_order(documents: list[bytes], first: int) -> None:
    writer = BlockWriter()
    records = {number: writer.pack(document, number) for number, document in enumerate(documents, first)}
    reader = BlockReader(lambda number: records[number])
    for number in (*records, *reversed(records), first):
        assert reader.unpack(number) == documents[number - first]
    with pytest.raises(DamagedError, match="checksum"):
        BlockReader(lambda _: records[first]).unpack(first + 1)


@pytest.mark.slow
@given(st.data())
def test_a_hostile_record_with_a_correct_checksum(
    recorded_file: IntactRecording, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A checksum does not protect against hostile records, because the author of a hostile record also computes the
    checksum.
    """
    file = recorded_file.path
    number = data.draw(st.sampled_from([0, 1, 8, 9, 60, 61]))
    hostile = tmp_path_factory.getbasetemp() / "hostile"
    shutil.copy(file, hostile)
    connection = sqlite3.connect(hostile)
    with connection:
        connection.execute("PRAGMA synchronous = OFF")
        rows = connection.execute(f"SELECT number, data FROM record WHERE number >= {number // 60 * 60}")
        records: dict[int, bytes] = dict(rows.fetchall())
        if data.draw(st.booleans()):
            record = bytearray(records[number][CHECKSUM_BYTES:])
            change_bytes(record, data)
            changed = {number: add_checksum(bytes(record), number)}
        else:  # the document is packed correctly, like the following documents of the block
            reader, writer = BlockReader(lambda number: records[number]), BlockWriter()
            changed = {}
            for each in range(number // 60 * 60, min(number + 9, SAMPLES)):
                document = bytearray(reader.unpack(each))
                if each == number:
                    change_bytes(document, data)
                changed[each] = writer.pack(bytes(document), each)
        connection.executemany("UPDATE record SET data = ? WHERE number = ?", [(d, n) for n, d in changed.items()])
    connection.close()
    with recording_at(hostile) as recording:
        for index in (number, number + 1, number + 8):
            damage = recording.sample(index).damage
            assert damage is None or is_one_line(damage)
            json.loads(as_json(account(recording.snapshot(index))))


def change_bytes(record: bytearray, data: st.DataObject) -> None:
    """Changes one to four bytes, among the first 400 bytes or anywhere."""
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(record) - 1, 400)) | st.integers(0, len(record) - 1))
        record[at] = data.draw(st.integers(0, 255))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "taken_at_unix_s": json_values,
            "monotonic_s": json_values,
            "place": json_values,
            "page_size_bytes": json_values,
            "sources": json_values
            | st.dictionaries(
                st.sampled_from(["slabinfo", "sockstat", "machine_load", "a later source", "\x1b[2J"]),
                json_values
                | st.fixed_dictionaries(
                    {
                        "answers": json_values
                        | st.lists(
                            json_values
                            | st.fixed_dictionaries(
                                {"path": json_values | st.just("proc/slabinfo")},
                                optional={
                                    "bytes": json_values,
                                    "sha256": json_values,
                                    "entries": json_values,
                                    "error": json_values,
                                },
                            ),
                            max_size=3,
                        )
                    },
                    optional={"state": json_values, "before": json_values, "sockstat_answers": st.just([])},
                ),
            ),
        },
    ),
    st.binary(max_size=30),
)
def test_any_json_is_a_sample_or_damage(document: dict[str, object], files: bytes) -> None:
    def no_content(_: str) -> bytes:
        raise DamagedError("it is not in the file")

    decoded = DecodedDocument(json.dumps(document).encode() + b"\n" + files, no_content)
    sample = DocumentParser().parse(decoded.json, decoded.get_file)
    assert sample.damage is None or is_one_line(sample.damage)
    json.loads(as_json(account(sample.snapshot)))


@given(st.binary(max_size=300) | st.binary(max_size=20).map(lambda data: data + b"\n"))
def test_any_bytes_are_a_document_or_raise_value_error(data: bytes) -> None:
    try:
        document = DecodedDocument(data, lambda _: b"")
    except ValueError:
        return
    assert isinstance(document.json, dict)


@pytest.mark.parametrize(
    "head", [b"[" * 100_000, b'{"sources":' * 100_000, b"[]", b"1", b'{"x":"' + b"x" * (5 << 20) + b'"}']
)
def test_a_hostile_head_is_no_document(head: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|document|Expecting"):
        DecodedDocument(head + b"\n", lambda _: b"")


def test_a_document_cannot_multiply_a_large_file() -> None:
    answers = [{"path": f"proc/{number}", "sha256": "00"} for number in range(20_000)]
    document = json.dumps({"sources": {"btf": {"answers": answers, "sockstat_answers": []}}}).encode()
    decoded = DecodedDocument(document + b"\n", lambda _: bytes(1 << 20))
    assert "more large files" in (DocumentParser().parse(decoded.json, decoded.get_file).damage or "")
    assert MAX_SHARED_BYTES == 32 << 20


def test_a_source_of_a_later_version_is_passed_over() -> None:
    """The files of the unknown source, which lie between files of known sources, are skipped too."""
    read = {"answers": [{"path": "proc/net/new", "bytes": 4}], "sockstat_answers": []}
    sockstat = b"TCP: inuse 5 orphan 0 tw 2 alloc 7 mem 3\n"
    known = {"answers": [{"path": "proc/net/sockstat", "bytes": len(sockstat)}], "sockstat_answers": []}
    document = json.dumps({"sources": {"later": read, "sockstat": known}}).encode()
    decoded = DecodedDocument(document + b"\nnew\n" + sockstat, lambda _: b"")
    sample = DocumentParser().parse(decoded.json, decoded.get_file)
    assert sample.damage is None
    assert sample.snapshot.sockstat.value is not None
    assert sample.snapshot.sockstat.value.allocated == 7
    assert sample.snapshot.slabinfo.state == "waiting"
