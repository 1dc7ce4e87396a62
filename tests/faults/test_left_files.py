"""Files beside a recording, names at the limits, and files of /proc that the user names by mistake."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from program import output, run
from recorded import tree

TREE = tree("6.1-4n", "established")


def error_line(*arguments: str | Path) -> str:
    """The only line of an error; the program must end with 1."""
    done = run(*arguments)
    assert done.returncode == 1, done.stdout
    [line] = done.stderr.splitlines()
    assert line.startswith("tcptop: ")
    return line


def record(path: Path) -> None:
    done = run("record", "--root", TREE, "-w", path)
    assert done.returncode == 0, done.stderr


def leave_journal(path: Path) -> None:
    """Leaves the journal of a recorder that was killed in a transaction, and not its recording."""
    record(path)
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
    record(path)
    assert output("--json", "-r", path).count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_a_write_ahead_log_beside_a_recording_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    record(path)
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
        record(path)
    data = bytearray(path.read_bytes())
    data[5 * 4096 : 5 * 4096 + 64] = os.urandom(64)
    path.write_bytes(data)
    assert "damaged" in error_line("record", "--root", TREE, "-w", path)
    assert path.read_bytes() == data


def test_a_slash_ends_the_name_of_a_folder(tmp_path: Path) -> None:
    record(tmp_path / "file")
    output("export", "-r", tmp_path / "file", f"{tmp_path}/folder/")
    assert (tmp_path / "folder/000001/sample.json").is_file()


@pytest.mark.parametrize("name", ["n" * 247, "é" * 120], ids=["ASCII", "UTF-8"])
def test_the_longest_names(tmp_path: Path, name: str) -> None:
    """255 bytes less `-journal`."""
    record(tmp_path / name)
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
