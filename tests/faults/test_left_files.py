"""Files beside a recording, names of the maximum length, and files of /proc that the user names by mistake."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from program import error_line, output, program, record
from recorded import tree

TREE = tree("6.1-4n", "established")


def leave_journal(path: Path) -> None:
    """Leaves only the journal of a recorder that was killed in a transaction, but not the recording."""
    record(TREE, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM record")
    for number in range(100, 300):
        connection.execute("INSERT INTO record VALUES (?, zeroblob(5000))", (number,))
    journal = Path(f"{path}-journal")
    shutil.copy(journal, f"{journal}.kept")
    connection.close()
    path.unlink()
    Path(f"{journal}.kept").rename(journal)
    assert journal.stat().st_size > 4096


@pytest.mark.parametrize("is_empty", [False, True])
def test_the_journal_of_a_lost_recording_does_not_change_the_new_one(tmp_path: Path, is_empty: bool) -> None:
    path = tmp_path / "file"
    leave_journal(path)
    if is_empty:
        path.touch()
    record(TREE, path)
    assert output("--json", "-r", path).count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_a_write_ahead_log_beside_a_recording_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    record(TREE, path)
    log = tmp_path / "file-wal"
    if kind == "pipe":
        os.mkfifo(log)
    else:
        log.write_text("x")
    assert "file-wal" in error_line("--json", "-r", path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "file-wal"]


def test_a_recording_that_is_damaged_inside_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for _ in range(3):
        record(TREE, path)
    data = bytearray(path.read_bytes())
    data[5 * 4096 : 5 * 4096 + 64] = os.urandom(64)
    path.write_bytes(data)
    assert "damaged" in error_line("record", "--root", TREE, "-w", path)
    assert path.read_bytes() == data


@pytest.mark.parametrize("tables", [("sample", "record"), ("sample",), ("record",)])
def test_a_recording_whose_samples_have_impossible_numbers_is_not_continued(
    tmp_path: Path, tables: tuple[str, ...]
) -> None:
    path = tmp_path / "file"
    record(TREE, path)
    connection = sqlite3.connect(path)
    for table in tables:
        connection.execute(f"UPDATE {table} SET number = {(1 << 63) - 1}")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    assert "damaged" in error_line("record", "--root", TREE, "-w", path)
    assert path.read_bytes() == before


def test_a_slash_ends_the_name_of_a_folder(tmp_path: Path) -> None:
    record(TREE, tmp_path / "file")
    output("export", "-r", tmp_path / "file", f"{tmp_path}/folder/")
    assert (tmp_path / "folder/000001/sample.json").is_file()


@pytest.mark.parametrize("name", ["n" * 247, "é" * 120], ids=["ASCII", "UTF-8"])
def test_the_longest_names(tmp_path: Path, name: str) -> None:
    """The maximum length of a name, 255 bytes, minus the length of `-journal`."""
    record(TREE, tmp_path / name)
    output("export", "-r", tmp_path / name, tmp_path / f"{name}-folder"[-120:])
    output("-o", "-r", tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may open /proc/kmsg")
@pytest.mark.parametrize("words", ["diff {} {}", "-o -r {}", "-o --root {}", "-o --lab {}", "import {} -w n"])
@pytest.mark.parametrize("path", ["/proc/kmsg", "/proc/self/mem", "/proc/self/pagemap"])
def test_files_of_proc_without_an_end_are_one_line(path: str, words: str) -> None:
    assert error_line(*words.format(path, path).split())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
def test_root_follows_no_link_of_the_caller_of_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller may be permitted to run no more than this command with this name."""
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
    assert "another user" in error_line("record", "--root", TREE, "-w", tmp_path / "link")
    assert not (tmp_path / "victim").exists()


def exported(folder: Path) -> Path:
    output("export", "-r", TREE, folder)
    return folder


def test_an_export_that_lists_a_sample_many_times_is_refused_at_once(tmp_path: Path) -> None:
    listing = exported(tmp_path / "folder") / "recording.json"
    names = json.loads(listing.read_text())["samples"] * 100_000
    listing.write_text(json.dumps({"tcptop_export": 1, "samples": names}))
    assert "twice" in error_line("-o", "-r", tmp_path / "folder")
    assert "twice" in error_line("export", "-r", tmp_path / "folder", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def list_first_sample(folder: Path, times: int) -> None:
    """Makes the export contain its first sample many times by links, so that there are few files."""
    names = [f"{number:06}" for number in range(1, times + 1)]
    for name in names[1:]:
        (folder / name).symlink_to(names[0])
    (folder / "recording.json").write_text(json.dumps({"tcptop_export": 1, "samples": names}))


@pytest.mark.slow
def test_an_export_of_many_samples_opens_without_parsing_them(tmp_path: Path) -> None:
    """Version 0.1.0 took a minute."""
    folder = exported(tmp_path / "folder")
    list_first_sample(folder, 20_000)
    sample = json.loads((folder / "000001/sample.json").read_text())
    sample["taken_at_unix_s"] = 1e9
    filler = {"filler": ["x"] * 200_000}
    for ordered in ({**sample, **filler}, {**filler, **sample}):
        (folder / "000001/sample.json").write_text(json.dumps(ordered))
        output("-o", "-r", folder)


def test_the_time_of_an_export_is_found_anywhere_in_its_file(tmp_path: Path) -> None:
    path = exported(tmp_path / "folder") / "000001/sample.json"
    sample = json.loads(path.read_text())
    for ordered in (
        {**sample, "taken_at_unix_s": 1e9},
        {"a": {"taken_at_unix_s": 5}, **sample, "taken_at_unix_s": 1e9},
        {"a": '{"taken_at_unix_s": 5,', **sample, "taken_at_unix_s": 1e9},
    ):
        path.write_text(json.dumps(ordered))
        assert json.loads(output("--json", "-r", tmp_path / "folder", "--at", "2001-09-09T01:46:40Z"))[
            "taken_at"
        ].startswith("2001-09-09")


def size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a journal
        return 0


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_the_name_free(tmp_path: Path) -> None:
    """There are so many samples that the first samples are in the file before the last samples are written."""
    folder = exported(tmp_path / "folder")
    list_first_sample(folder, 300)
    command, environment = program()
    words = [*command, "import", str(folder), "-w", str(tmp_path / "file")]
    started = subprocess.Popen(words, env=environment, cwd=environment["PYTHONPATH"])
    while not any(size_bytes(each) > 32_768 for each in tmp_path.glob(".tcptop-*")):
        assert started.poll() is None
    started.kill()
    started.wait()
    assert not (tmp_path / "file").exists()
    output("import", TREE, "-w", tmp_path / "file")
