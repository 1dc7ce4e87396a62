"""Damaged and hostile recordings: the result is an error of one line, or samples that are marked damaged."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import IntactRecording, is_one_line, phase_trees, record, recording_at

from tcptop.accounting import account
from tcptop.errors import TcptopError
from tcptop.recording.bundle import SharedFile, load_shared_files
from tcptop.recording.checksum import MAX_UNPACKED_BYTES, DamagedError, pack, unpack
from tcptop.recording.file_format import EXPECTED_TABLES
from tcptop.recording.opening import open_recording
from tcptop.recording.sample_record import BLOCK_SAMPLES, parse_record
from tcptop.report.as_json import as_json
from tcptop.snapshot import Snapshot

SAMPLES = BLOCK_SAMPLES + 10


@pytest.fixture(scope="module")
def recorded_file(tmp_path_factory: pytest.TempPathFactory) -> IntactRecording:
    file = tmp_path_factory.mktemp("whole") / "recording"
    return IntactRecording(file, record(file, phase_trees("6.1-4n"), SAMPLES))


@pytest.fixture
def damaged_copy(recorded_file: IntactRecording, tmp_path: Path) -> Path:
    """A copy of the intact recording, for a test to damage."""
    return Path(shutil.copy(recorded_file.path, tmp_path / "recording"))


def assert_error_or_correct_samples(file: Path, live: list[Snapshot], indices: int, rng: random.Random) -> None:
    """Asserts an open error of one line, or samples that are as they were live or marked damaged with a ledger."""
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
            snapshot, damage = recording.snapshot(index), recording.damage(index)
            if damage is None:
                assert snapshot in live
            else:
                assert is_one_line(damage)
                json.loads(as_json(account(snapshot)))
    finally:
        recording.close()


def test_a_flipped_bit_anywhere(recorded_file: IntactRecording, tmp_path: Path) -> None:
    file, live = recorded_file.path, recorded_file.live_snapshots
    whole = file.read_bytes()
    rng = random.Random(5)
    copy = tmp_path / "copy"
    for turn in range(150):
        data = bytearray(whole)
        # Every other flip hits the first page, which holds the header and the table of tables.
        at = rng.randrange(len(data) if turn % 2 else 4096)
        data[at] ^= 1 << rng.randrange(8)
        copy.write_bytes(data)
        assert_error_or_correct_samples(copy, live, 6, rng)


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


def test_one_damaged_record_costs_a_few_samples(recorded_file: IntactRecording, damaged_copy: Path) -> None:
    live = recorded_file.live_snapshots
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("UPDATE record SET data = substr(data, 1, 40) || zeroblob(100) WHERE number = 33")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert "33" not in (recording.damage(32) or "")
        assert "damaged" in (recording.damage(33) or "")
        for index in (*range(33), *range(BLOCK_SAMPLES, SAMPLES)):
            assert recording.damage(index) is None
            assert recording.snapshot(index) == live[index]


def test_a_lost_whole_copy_costs_its_block(recorded_file: IntactRecording, damaged_copy: Path) -> None:
    live = recorded_file.live_snapshots
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("DELETE FROM record WHERE number = 0")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert len(recording) == SAMPLES
        assert all(recording.damage(index) for index in range(BLOCK_SAMPLES))
        assert recording.snapshot(BLOCK_SAMPLES) == live[BLOCK_SAMPLES]


def test_wrong_rows_in_the_sample_table(damaged_copy: Path) -> None:
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("UPDATE sample SET taken_at_unix_s = 1.5 WHERE number = 3")
        connection.execute("UPDATE sample SET taken_at_unix_s = 'x', allocated = -7, time_wait = 'y' WHERE number = 4")
        connection.execute("INSERT INTO sample VALUES (-9223372036854775808, 1, 1e308, 1, 1), (99999, 0, 2.0, 3, 4)")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert recording.damage(0)
        assert recording.taken_at_unix_s(0) is None
        assert "time" in (recording.damage(4) or "")
        assert recording.timeline_counts(5).allocated is None
        assert recording.timeline_counts(5).time_wait is None
        assert recording.damage(5) is None
        assert recording.damage(len(recording) - 1)


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
        ("PRAGMA user_version = 2", "schema is 2"),
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
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(64)) + compressor.flush()
    check = zlib.crc32(body, zlib.crc32((3).to_bytes(8, "little", signed=True))).to_bytes(4, "little")
    with sqlite3.connect(damaged_copy) as connection:
        connection.execute("UPDATE record SET data = ? WHERE number = 3", (check + body,))
        connection.execute("UPDATE record SET data = zeroblob(100000000) WHERE number = 5")
        connection.execute("UPDATE record SET data = 'text' WHERE number = 6")
    connection.close()
    with recording_at(damaged_copy) as recording:
        assert "16 MiB" in (recording.damage(3) or "")
        assert "not a record" in (recording.damage(5) or "")
        assert "not a record" in (recording.damage(6) or "")


def test_pack_refuses_more_than_unpack_accepts() -> None:
    with pytest.raises(ValueError, match="16 MiB"):
        pack(bytes(MAX_UNPACKED_BYTES + 1), 0)


@given(st.binary(max_size=300), st.integers(0, 1 << 40))
def test_unpack_needs_the_number_of_pack(data: bytes, number: int) -> None:
    assert unpack(pack(data, number), number) == data
    with pytest.raises(DamagedError, match="checksum"):
        unpack(pack(data, number), number + 1)


@given(st.data())
def test_a_hostile_record_with_a_correct_checksum(
    recorded_file: IntactRecording, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A checksum does not protect against hostile records: their author computes it too."""
    file = recorded_file.path
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    number = data.draw(st.sampled_from([0, 1, 8, 9, 60, 61]))
    [(stored,)] = connection.execute("SELECT data FROM record WHERE number = ?", (number,))
    connection.close()
    record_bytes = bytearray(unpack(stored, number))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(record_bytes) - 1, 400)))
        record_bytes[at] = data.draw(st.integers(0, 255))
    hostile = tmp_path_factory.getbasetemp() / "hostile"
    shutil.copy(file, hostile)
    connection = sqlite3.connect(hostile)
    with connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("UPDATE record SET data = ? WHERE number = ?", (pack(bytes(record_bytes), number), number))
    connection.close()
    with recording_at(hostile) as recording:
        for index in (number, number + 1, number + 8):
            damage = recording.damage(index)
            assert damage is None or is_one_line(damage)
            json.loads(as_json(account(recording.snapshot(index))))


@given(st.binary(max_size=300))
def test_any_bytes_parse_as_a_record_or_raise_value_error(data: bytes) -> None:
    try:
        record = parse_record(data)
    except ValueError:
        return
    assert len(record.readings) <= 64


def test_a_record_cannot_multiply_a_large_file() -> None:
    names = tuple(SharedFile(f"proc/{number}", b"digest") for number in range(20_000))
    with pytest.raises(ValueError, match="more large files"):
        load_shared_files(names, lambda _: bytes(1 << 20))
