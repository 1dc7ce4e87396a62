"""A small lab on this kernel, and what is left after Ctrl-C: nothing. Skips, saying why, where it may not run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_program import LAB

PROGRAM = [sys.executable, "-c", LAB.format(before="")]
LOAD = "tcptop/lab/socket_program.py"


def refusal() -> str | None:
    """Why no lab can be made here."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.access("/proc/slabinfo", os.R_OK):
        return "needs /proc/slabinfo"
    if shutil.which("unshare") is None:
        return "needs the command unshare, to find out whether it may make a namespace"
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return None if made.returncode == 0 else "needs network namespaces"


pytestmark = [
    pytest.mark.skipif(refusal() is not None, reason=f"a live lab {refusal()}"),
    pytest.mark.xdist_group("live kernel"),
    pytest.mark.usefixtures("kernel_lock"),
]


def processes_of(parent: int) -> list[int]:
    """The processes below one that hold a lab's sockets."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(LOAD.encode()) for word in command) and str(parent).encode() in command:
            found.append(int(folder.name))
    return found


def namespaces() -> set[str]:
    """The network namespaces that any process is in."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(link))  # noqa: PTH115
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """One lab at a time, whatever pytest-xdist does: each sees the sockets of the other in the machine's slabs."""
    with (Path(tempfile.gettempdir()) / "tcptop-lab-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def started() -> Iterator[subprocess.Popen[bytes]]:
    # A shell without job control starts its children with SIGINT ignored, and that is inherited.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*PROGRAM, "-c", "4000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, handler)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def until_there_is_a_namespace(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The process that holds the sockets, and its namespace, once it has one of its own."""
    own = os.readlink("/proc/self/ns/net")  # noqa: PTH115
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        for number in processes_of(process.pid):
            try:
                theirs = os.readlink(f"/proc/{number}/ns/net")  # noqa: PTH115
            except OSError:
                continue
            if theirs != own:
                return number, theirs
        time.sleep(0.01)
    raise AssertionError("no process with a namespace of its own")


@pytest.mark.parametrize("wait_s", [0.0, 0.4, 1.1])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_end_at_any_moment_leaves_nothing(
    started: subprocess.Popen[bytes], wait_s: float, sent: signal.Signals
) -> None:
    _, namespace = until_there_is_a_namespace(started)
    time.sleep(wait_s)
    started.send_signal(sent)
    _, said = started.communicate(timeout=5)
    if sent == signal.SIGINT:
        assert (started.returncode, said) == (1, b"tcptop: lab interrupted; its sockets and its namespace are gone\n")
    deadline_s = time.monotonic() + 3
    while (processes_of(started.pid) or namespace in namespaces()) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert processes_of(started.pid) == []
    assert namespace not in namespaces()


def test_before_there_is_anything_an_interrupt_is_one_line(started: subprocess.Popen[bytes]) -> None:
    time.sleep(0.25)
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=5)
    assert processes_of(started.pid) == []


def test_when_the_process_with_the_sockets_is_killed_one_line_says_so(started: subprocess.Popen[bytes]) -> None:
    number, _ = until_there_is_a_namespace(started)
    os.kill(number, signal.SIGKILL)
    _, said = started.communicate(timeout=10)
    assert started.returncode == 1
    assert said.startswith(b"tcptop: the process that holds the sockets ended")
    assert said.count(b"\n") == 1


def off(state: dict[str, Any]) -> float:
    """By which share a state is off the catalogue."""
    return abs(float(state["bytes"]) / float(state["catalogue_bytes"]) - 1.0)


def measured(*arguments: str) -> dict[str, Any]:
    """The result of a small lab."""
    command = [*PROGRAM, "-c", "2000", "--json", "--states", "established,time_wait", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "no progress bar where stderr is no terminal"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("family", [(), ("--ipv6",)])
def test_a_small_lab_agrees_with_the_catalogue(family: tuple[str, ...]) -> None:
    """To 5 % with 2000 connections, in one of three labs: other programs use the machine's slabs meanwhile."""
    if family and not Path("/proc/net/if_inet6").exists():
        pytest.skip("needs IPv6")
    ports = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    for _ in range(3):
        found = measured(*family)
        established, time_wait = found["states"]["established"], found["states"]["time_wait"]
        worst = max(off(state) for state in (*established.values(), *time_wait.values()))
        if worst <= 0.05:
            break
    assert worst <= 0.05
    for side in ("accepted", "outgoing", "pair"):
        [sock] = [part for part in established[side]["parts"] if part["row"] == ("TCPv6" if family else "TCP")]
        assert sock["objects"] == pytest.approx(2 if side == "pair" else 1, rel=0.03)
    assert found["few_ports"]["local_ports"] == 250
    assert found["few_ports"]["buckets_per_connection"] < 0.5
    assert found["states"]["close_wait"] is None
    assert Path("/proc/sys/net/ipv4/ip_local_port_range").read_text() == ports, "nothing of the host's changes"
