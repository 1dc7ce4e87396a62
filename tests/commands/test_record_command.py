"""`tcptop record` as a process: signals, kill, a full disk, other programs' files, options and exit codes."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import forked_program
import pytest
from recorded import tree
from samples import recording_at

from tcptop.errors import TcptopError
from tcptop.recording.opening import open_recording

PROJECT = Path(__file__).resolve().parents[2]
GUARD_S = 60
KILLS = int(os.environ.get("TCPTOP_KILLS", "10"))
"""The number of kills; set TCPTOP_KILLS=50 for a longer run by hand."""

Ran = subprocess.CompletedProcess[str]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tcptop", *map(str, arguments)]


def tcptop(*arguments: str | Path) -> Ran:
    return forked_program.run(*arguments)


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT)


def assert_refused(ran: Ran, *words: str) -> None:
    assert ran.returncode == 1
    assert ran.stderr.startswith("tcptop: ")
    assert ran.stderr.count("\n") == 1
    for word in words:
        assert word in ran.stderr


def count_samples(file: Path) -> int:
    """The number of samples in a file, as SQLite reads it; 0 if there is no recording yet."""
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return 0
    try:
        return int(connection.execute("SELECT count(*) FROM record").fetchone()[0])
    except sqlite3.Error:
        return 0
    finally:
        connection.close()


def wait_for_samples(process: subprocess.Popen[Any], file: Path, count: int) -> None:
    deadline_s = time.monotonic() + GUARD_S
    while count_samples(file) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def open_connections(count: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Opens loopback connections; yields the client and the server socket of each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(count):
            client = socket.create_connection(server.getsockname())
            yield client, server.accept()[0]


@pytest.mark.slow
@pytest.mark.xdist_group("live kernel")
def test_replaying_a_recording_under_load_prints_the_live_json(tmp_path: Path) -> None:
    """While tcptop records, connections are opened, half closed and closed."""
    file = tmp_path / "recording"
    live = tmp_path / "live"
    with live.open("w") as out, ExitStack() as stack:
        process = subprocess.Popen(
            command("record", "-w", file, "-d", "0.1", "--json"), stdout=out, stderr=subprocess.PIPE, cwd=PROJECT
        )
        stack.enter_context(process)

        def wait_for_two_samples() -> None:
            wait_for_samples(process, file, count_samples(file) + 2)

        wait_for_two_samples()
        pairs = []
        for step, pair in enumerate(open_connections(300)):
            for end in pair:
                stack.enter_context(end)
            pairs.append(pair)
            if step % 50 == 0:
                wait_for_two_samples()
        for client, _ in pairs[:200]:
            client.shutdown(socket.SHUT_WR)
        wait_for_two_samples()
        for pair in pairs[:100]:
            for end in pair:
                end.close()
        wait_for_two_samples()
        process.terminate()
        assert process.wait(timeout=GUARD_S) == 0
    lines = live.read_text().splitlines()
    assert len({json.loads(line)["sockets"]["allocated"] for line in lines}) > 5
    replayed = tcptop("--json", "-r", file)
    assert (replayed.returncode, replayed.stderr) == (0, "")
    assert replayed.stdout == live.read_text()
    last = tcptop("-o", "-r", file)
    assert last.returncode == 0
    assert "Bytes per connection" in last.stdout


@pytest.mark.slow
def test_time_options_select_samples(tmp_path: Path) -> None:
    """The limits lie between two samples, even if the machine's load has shifted the samples."""
    file, printed = tmp_path / "recording", tmp_path / "printed"
    with printed.open("w") as out:
        process = subprocess.Popen(command("record", "-w", file, "-d", "0.2", "--json"), stdout=out, cwd=PROJECT)
        wait_for_samples(process, file, 6)
        process.terminate()
        assert process.wait(timeout=GUARD_S) == 0
    live = printed.read_text().splitlines()
    for index in (0, 4, len(live) - 1):
        taken_at = json.loads(live[index])["taken_at"]
        assert tcptop("--json", "-r", file, "--at", taken_at).stdout.splitlines() == [live[index]]
    times_s = [datetime.fromisoformat(json.loads(line)["taken_at"].replace("Z", "+00:00")).timestamp() for line in live]
    since_start_s = (times_s[2] + times_s[3]) / 2 - times_s[0]
    assert tcptop("--json", "-r", file, "--from", f"+{since_start_s:.6f}").stdout.splitlines() == live[3:]
    before_end_s = (times_s[-1] - times_s[-2]) / 2
    assert tcptop("--json", "-r", file, "--to", f"-{before_end_s:.6f}").stdout.splitlines() == live[:-1]
    assert_refused(tcptop("--json", "-r", file, "--at", "2001-01-01"), "no sample then", "it holds")
    assert_refused(tcptop("--json", "-r", file, "--at", "noon"), "--at", "12:04:31", "noon")
    assert_refused(tcptop("--json", "--at", "noon"), "-r FILE")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_recording_cleanly(signal_number: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    process = start("record", "-w", file, "-d", "0.2")
    wait_for_samples(process, file, 2)
    process.send_signal(signal_number)
    out, error = process.communicate(timeout=GUARD_S)
    assert (process.returncode, out, error) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["recording"]
    assert count_samples(file) >= 2


@pytest.mark.slow
def test_a_kill_loses_one_sample_at_most(tmp_path: Path) -> None:
    """Every sample that the live run printed is in the file, whenever it was killed."""
    rng = random.Random()
    for turn in range(KILLS):
        file, live = tmp_path / f"recording{turn}", tmp_path / f"live{turn}"
        with live.open("w") as out:
            process = subprocess.Popen(
                command("record", "-w", file, "-d", "0.1", "--json"), stdout=out, stderr=subprocess.PIPE, cwd=PROJECT
            )
            with process:
                while count_samples(file) < 1:
                    assert process.poll() is None
                    time.sleep(0.01)
                time.sleep(rng.uniform(0, 0.6))
                process.kill()
        printed = [line for line in live.read_text().splitlines(keepends=True) if line.endswith("\n")]
        replayed = tcptop("--json", "-r", file)
        assert (replayed.returncode, replayed.stderr) == (0, "")
        recorded = replayed.stdout.splitlines(keepends=True)
        # A sample is printed after it is written.
        assert recorded[: len(printed)] == printed
        assert len(recorded) - len(printed) <= 1


def copy_as_killed_while_writing(file: Path, copy: Path) -> None:
    """Copies a recording as a kill leaves it: some pages are written, and the journal has their old contents."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute("UPDATE record SET data = zeroblob(5000)")
    copy.write_bytes(file.read_bytes())
    shutil.copy(f"{file}-journal", f"{copy}-journal")
    connection.execute("ROLLBACK")
    connection.close()
    assert copy.read_bytes() != file.read_bytes()


@pytest.mark.slow
def test_a_journal_left_by_a_kill_is_rolled_back(tmp_path: Path) -> None:
    file, copy = tmp_path / "recording", tmp_path / "copy"
    assert tcptop("record", "-w", file, "-d", "0.1", "--for", "1").returncode == 0
    before = tcptop("--json", "-r", file).stdout
    copy_as_killed_while_writing(file, copy)
    assert tcptop("--json", "-r", copy).stdout == before
    assert not Path(f"{copy}-journal").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_reader_without_write_access_cannot_roll_back() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file, copy = Path(folder) / "recording", Path(folder) / "copy"
        assert tcptop("record", "-w", file, "--root", tree("6.1-1n", "base")).returncode == 0
        copy_as_killed_while_writing(file, copy)
        copy.chmod(0o644)
        Path(f"{copy}-journal").chmod(0o644)
        try:
            os.seteuid(65534)
            with pytest.raises(TcptopError, match="as its owner"):
                open_recording(str(copy))
        finally:
            os.seteuid(0)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root, and mount of the package mount")
def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tcptop-test", disk], capture_output=True, text=True, check=False
    )
    if mount.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mount.stderr.strip()}")
    try:
        file = disk / "recording"
        assert tcptop("record", "-w", file, "-d", "0.1", "--for", "1.5").returncode == 0
        first, disk_state = count_samples(file), os.statvfs(disk)
        left_bytes = file.stat().st_size + 8_192  # a few seconds of samples fill the disk
        (disk / "other").write_bytes(bytes(disk_state.f_bavail * disk_state.f_frsize - left_bytes))
        ran = tcptop("record", "-w", file, "-d", "0.1", "--for", "60")
        assert_refused(ran, str(file), "the disk is full")
        with recording_at(file) as recording:
            assert len(recording) > max(10, first)
            assert all(recording.sample(index).damage is None for index in range(len(recording)))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_second_recorder_of_one_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    process = start("record", "-w", file, "-d", "0.2")
    wait_for_samples(process, file, 1)
    assert_refused(tcptop("record", "-w", file, "--for", "1"), "already")
    process.terminate()
    assert process.wait(timeout=GUARD_S) == 0


def test_recording_appends_to_its_own_file(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    live = [tcptop("record", "-w", file, "-d", "0.1", "--for", "0.35", "--json").stdout for _ in range(2)]
    assert all(live)
    assert tcptop("--json", "-r", file).stdout == "".join(live)


@pytest.mark.parametrize("kind", ["text", "other database", "folder", "no folder"])
def test_other_files_are_left_unchanged(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    if kind == "text":
        file.write_text("mine\n" * 100)
    elif kind == "other database":
        connection = sqlite3.connect(file)
        connection.execute("CREATE TABLE mine (a)")
        connection.close()
    elif kind == "folder":
        file.mkdir()
    else:
        file = tmp_path / "none/file"
    before = file.read_bytes() if file.is_file() else None
    assert_refused(tcptop("record", "-w", file, "--for", "1"), str(file))
    assert (file.read_bytes() if file.is_file() else None) == before
    assert not list(tmp_path.glob("file-*"))


def test_scrub_removes_names_and_addresses_and_keeps_figures(tmp_path: Path) -> None:
    file, live = tmp_path / "recording", tmp_path / "live"
    root = Path(shutil.copytree(tree("6.1-4n", "established"), tmp_path / "tree", symlinks=True))
    (root / "proc/sys/kernel/hostname").write_text("very-secret-host\n")
    command_line = 'root=/dev/secret slab_nomerge foo="a slub_debug" cgroup.memory=nokmem ip=10.9.8.7 -- slub_debug'
    (root / "proc/cmdline").write_text(f"{command_line} secret\n")
    (root / "proc/version").write_text("Linux version 6.1.0-56-amd64 (secret@builder) #1\n")
    assert tcptop("record", "-w", live, "--root", root).returncode == 0
    assert tcptop("record", "-w", file, "--root", root, "--scrub").returncode == 0
    folder = tmp_path / "folder"
    assert tcptop("export", "-r", file, folder).returncode == 0
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for secret in (b"secret", b"10.9.8.7"):
        assert secret not in everything
        assert secret not in file.read_bytes()

    def figures(recording: Path) -> dict[str, object]:
        document = json.loads(tcptop("--json", "-r", recording).stdout)
        del document["host"]["name"]
        return {key: value for key, value in document.items() if key != "sources"}

    assert figures(file) == figures(live)
    again = tmp_path / "again"
    assert tcptop("import", live, "-w", again, "--scrub").returncode == 0
    assert figures(again) == figures(live)
    exported = tmp_path / "exported"
    assert tcptop("export", "-r", again, exported).returncode == 0
    assert not [path for path in exported.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]


def test_no_screen_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom tcptop.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            "record",
            "-w",
            str(tmp_path / "recording"),
            "--root",
            str(tree("6.1-1n", "base")),
        ],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=True,
        cwd=PROJECT,
    )
    assert not {"textual", "rich", "asyncio", "psutil"} & set(ran.stdout.split())
    assert "sqlite3" in ran.stdout.split()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["record"], ["-w"]),
        (["record", "-w", "x", "--max-size", "10"], ["--max-size", "1M"]),
        (["record", "-w", "x", "--for", "soon"], ["--for", "15m"]),
        (["record", "-w", "x", "-d", "0"], ["-d"]),
        (["-r", "x", "--root", "/", "-n", "2", "--json"], ["-r"]),
        (["--json", "-r", "/nowhere"], ["/nowhere", "No such file"]),
        (["--json", "-r", "/dev/null"], ["neither a file nor a folder"]),
        (["--json", "-r", "README.md"], ["README.md", "archive"]),
        (["--json", "-r", "tests"], ["holds no recording"]),
        (["export", "-r", "/nowhere", "x"], ["/nowhere"]),
        (["import", "/nowhere", "-w", "/nowhere/x"], ["/nowhere"]),
    ],
)
def test_wrong_arguments(arguments: Sequence[str], words: Sequence[str]) -> None:
    assert_refused(tcptop(*arguments), *words)


def test_help_lists_the_recording_commands() -> None:
    assert re.search(r"tcptop record -w FILE", tcptop("--help").stdout)
    for name in ("record", "export", "import"):
        assert tcptop(name, "--help").returncode == 0
