"""The table of hosts with an sshd on loopback: lost hosts, the full screen, and processes that remain at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_ssh import put_first
from loopback_ssh import GUARD_S, LoopbackSsh, program_of, running, skip_reason
from session import Session

from tcptop.commands.hosts import make_fleet
from tcptop.sampling.fleet import MAX_CONNECTING

needs_sshd = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))
PROJECT = Path(__file__).resolve().parents[2]
HOSTS = 20
MANY_HOSTS, FEW_BYTES = 100, 700 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackSsh]:
    with running(tmp_path_factory.mktemp("sshd")) as server:
        with (server.folder / "config").open("a") as config:
            config.write("".join(server.block(f"web{number:02}", "loop") for number in range(1, HOSTS + 1)))
        yield server


@pytest.fixture
def table(server: LoopbackSsh) -> Iterator[Session]:
    command = [sys.executable, "-m", "tcptop", "--host", f"web[01-{HOSTS}]"]
    session = Session(command, environment=server.environment, folder=PROJECT, size=(120, 40))
    try:
        yield session
    finally:
        session.end()
    session.wait(lambda: not server.clients(), "no ssh is left")


def count_shown(session: Session) -> str:
    """The number of hosts in the head line."""
    return session.screen.text().splitlines()[0].split("  ")[1] if session.screen.text().strip() else ""


def row_of(session: Session, name: str) -> str:
    """The row of a host."""
    return next((line for line in session.screen.text().splitlines() if line.startswith(f" {name} ")), "")


def until_all(session: Session) -> None:
    session.until(lambda: count_shown(session) == f"{HOSTS} hosts", "all hosts have figures")


@needs_sshd
@pytest.mark.slow
def test_the_table_survives_lost_hosts_and_comes_back(server: LoopbackSsh, table: Session) -> None:
    until_all(table)
    before = set(server.clients())
    assert len(before) == HOSTS
    sessions = sorted(pid for pid in server.servers() if program_of(pid).startswith("sshd"))
    killed, stopped = sessions[3], sessions[-3]
    os.kill(killed, signal.SIGKILL)
    os.kill(stopped, signal.SIGSTOP)
    try:
        table.until(lambda: len(set(server.clients()) - before) >= 1, "the killed session is made again")
        table.until(
            lambda: "no answer in 10 s" in table.screen.text() or count_shown(table) != f"{HOSTS} hosts", "late"
        )
        until_all(table)
        assert len(server.clients()) <= HOSTS + 1
    finally:
        os.kill(stopped, signal.SIGKILL)
    table.type("q")
    assert table.until_ended() == 0
    assert table.attributes() == table.before


@needs_sshd
@pytest.mark.slow
def test_enter_opens_a_host_on_the_same_session_and_q_and_escape_come_back(server: LoopbackSsh, table: Session) -> None:
    until_all(table)
    before = server.clients()
    for leave in ("q", "\x1b"):
        table.type("\r")
        table.until_shown("live 2 s")
        table.until_shown("TCPv6")
        table.until_shown("q table")
        assert sorted(server.clients()) == sorted(before)
        table.type(leave)
        table.until_shown("by NEAREST LIMIT")
        until_all(table)
        assert sorted(server.clients()) == sorted(before)
    table.type("\r")
    table.until_shown("live 2 s")
    table.type("\x03")
    assert table.until_ended() == 0
    table.wait(lambda: not server.clients(), "Ctrl-C in the full screen ends all sessions")


@needs_sshd
@pytest.mark.slow
@pytest.mark.parametrize("end", ["\x03", signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("is_connected", [True, False], ids=["connected", "connecting"])
def test_no_end_leaves_an_ssh(
    server: LoopbackSsh, table: Session, end: str | signal.Signals, is_connected: bool
) -> None:
    if is_connected:
        until_all(table)
    else:
        table.until(lambda: bool(server.clients()), "sessions are being made")
        table.until_shown("connecting")
    if isinstance(end, str):
        table.type(end)
    else:
        table.process.send_signal(end)
    table.until_ended()
    table.wait(lambda: not server.clients(), "no ssh is left")


@pytest.mark.slow
@needs_sshd
def test_text_and_json_say_which_host_does_not_answer(server: LoopbackSsh) -> None:
    ran = server.tcptop("--host", "web[01-02],closed", "-o")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "2 of 3 hosts" in ran.stdout
    assert "closed: ssh: connect to host 127.0.0.1" in ran.stdout
    ran = server.tcptop("--host", "web[01-03]", "--json", "-n", "2", "-d", "0.3")
    assert (ran.returncode, ran.stderr) == (0, "")
    looks = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted(look["asked"] for look in looks) == ["web01", "web01", "web02", "web02", "web03", "web03"]
    assert all(look["answers"] and look["sockets"]["allocated"] >= 0 for look in looks)
    assert server.clients() == []


@needs_sshd
def test_later_looks_read_little_more_than_counters(server: LoopbackSsh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", server.environment["PATH"])
    received: list[int] = []
    fleet = make_fleet(["web01"], False, {}, 0.2, looks=4, on_look=lambda _: received.append(size(fleet)))
    try:
        fleet.start()
        fleet.join()
        assert [look.lost_because for look in fleet.states()] == [None]
    finally:
        fleet.end()
    first, *later = (late - early for early, late in zip([0, *received], received, strict=False))
    assert max(later) < first / 5


def size(fleet: object) -> int:
    """The number of bytes in the answers of the only host of a fleet."""
    [host] = fleet.hosts  # type: ignore[attr-defined] # a Fleet
    return int(host._session.received_bytes)


def test_only_some_sessions_are_made_at_once_and_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_first(monkeypatch, tmp_path, f"touch {tmp_path}/$$.start; exec sleep 600")
    fleet = make_fleet([f"web{number}" for number in range(30)], False, {}, 1.0)
    fleet.start()
    wait(lambda: len(list(tmp_path.glob("*.start"))) >= MAX_CONNECTING)
    started = [int(path.stem) for path in tmp_path.glob("*.start")]
    assert len(started) == MAX_CONNECTING
    assert all(look.row is None and look.lost_because is None for look in fleet.states())
    fleet.end()
    wait(lambda: not [pid for pid in started if Path(f"/proc/{pid}").exists()])
    fleet.join()
    assert len(list(tmp_path.glob("*.start"))) == MAX_CONNECTING


def test_what_ssh_says_reaches_the_row_as_plain_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_first(monkeypatch, tmp_path, "printf 'no\\033[31m[b]way\\033]0;x\\007\\n' >&2; exit 255")
    fleet = make_fleet(["web1"], False, {}, 1.0, looks=1)
    fleet.start()
    fleet.join()
    [look] = fleet.states()
    fleet.end()
    assert look.lost_because == "no\\x1b[31m[b]way\\x1b]0;x\\x07"
    assert not look.answers


def wait(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + GUARD_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_too_little_memory_for_the_threads_is_one_line_and_leaves_no_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread of a C library has a stack; in this test no session is made."""
    made = tmp_path / "made"
    put_first(monkeypatch, tmp_path, f"echo $$ >> {made}; exec sleep 600")
    command = [sys.executable, "-m", "tcptop", "-o", "--host", f"web[1-{MANY_HOSTS}]"]
    done = subprocess.run(
        ["prlimit", f"--as={FEW_BYTES}", *command], cwd=PROJECT, capture_output=True, text=True, timeout=GUARD_S
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"tcptop: no room for the threads of {MANY_HOSTS} machines")
    assert done.stderr.count("\n") == 1
    assert not made.exists()
