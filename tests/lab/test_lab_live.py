"""A small lab on this kernel, and the processes and namespaces that remain after a signal. Skipped, with the reason,
where it cannot run.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
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
SOCKET_PROGRAM = "tcptop/lab/socket_program.py"


def skip_reason() -> str | None:
    """Reason why a lab cannot run here; None if it can."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.access("/proc/slabinfo", os.R_OK):
        return "needs /proc/slabinfo"
    if shutil.which("unshare") is None:
        return "needs unshare, of the package util-linux"
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return None if made.returncode == 0 else "needs network namespaces"


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(skip_reason() is not None, reason=f"a live lab {skip_reason()}"),
    pytest.mark.xdist_group("live kernel"),
    pytest.mark.usefixtures("kernel_lock"),
]


def processes_of(parent: int) -> list[int]:
    """PIDs of the child processes of a lab that hold its sockets."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(SOCKET_PROGRAM.encode()) for word in command) and str(parent).encode() in command:
            found.append(int(folder.name))
    return found


def namespaces() -> set[str]:
    """The network namespaces of all processes."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(os.readlink(link))  # noqa: PTH115
        except OSError:
            continue
    return found


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """Lock that allows only one lab at a time on the machine, since labs see each other's sockets in the slabs."""
    with (Path(tempfile.gettempdir()) / "tcptop-lab-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def started() -> Iterator[subprocess.Popen[bytes]]:
    # A shell without job control starts its children with SIGINT ignored, which the lab would inherit.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([*PROGRAM, "-c", "4000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    signal.signal(signal.SIGINT, handler)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def wait_for_namespace(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Waits until the process that holds the sockets has its own namespace; returns its PID and the namespace."""
    own = os.readlink("/proc/self/ns/net")  # noqa: PTH115
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        for number in processes_of(process.pid):
            try:
                namespace = os.readlink(f"/proc/{number}/ns/net")  # noqa: PTH115
            except OSError:
                continue
            if namespace != own:
                return number, namespace
        time.sleep(0.01)
    raise AssertionError("no process with its own namespace")


@pytest.mark.parametrize("wait_s", [0.0, 0.4, 1.1])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_at_any_time_leaves_no_process_and_no_namespace(
    started: subprocess.Popen[bytes], wait_s: float, sent: signal.Signals
) -> None:
    _, namespace = wait_for_namespace(started)
    time.sleep(wait_s)
    started.send_signal(sent)
    _, stderr = started.communicate(timeout=5)
    if sent == signal.SIGINT:
        assert (started.returncode, stderr) == (1, b"tcptop: lab interrupted; its sockets and its namespace are gone\n")
    deadline_s = time.monotonic() + 3
    while (processes_of(started.pid) or namespace in namespaces()) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert processes_of(started.pid) == []
    assert namespace not in namespaces()


def test_an_interrupt_while_starting_leaves_no_process(started: subprocess.Popen[bytes]) -> None:
    time.sleep(0.25)
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=5)
    assert processes_of(started.pid) == []


def test_killing_the_process_with_the_sockets_is_a_one_line_error(started: subprocess.Popen[bytes]) -> None:
    number, _ = wait_for_namespace(started)
    os.kill(number, signal.SIGKILL)
    _, stderr = started.communicate(timeout=10)
    assert started.returncode == 1
    assert stderr.startswith(b"tcptop: the process that holds the sockets ended")
    assert stderr.count(b"\n") == 1


def relative_error(state: dict[str, Any]) -> float:
    """Relative difference between the measured and the predicted bytes of a state."""
    return abs(float(state["bytes"]) / float(state["catalogue_bytes"]) - 1.0)


def run_small_lab(*arguments: str) -> dict[str, Any]:
    """Runs a small lab and returns its JSON."""
    command = [*PROGRAM, "-c", "4000", "--json", "--states", "established,time_wait", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, ""), "no progress bar without a terminal"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("family", [(), ("--ipv6",)])
def test_a_small_lab_agrees_with_the_catalogue(family: tuple[str, ...]) -> None:
    """A state that is not in doubt is within 2 % with 4000 connections; up to three labs until no state is.

    The buckets of few ports have no doubt of their own: other programs only add to them, so the lowest number counts.
    """
    if family and not Path("/proc/net/if_inet6").exists():
        pytest.skip("needs IPv6")
    ports = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    certain: dict[str, dict[str, Any]] = {}
    buckets: list[float] = []
    for _ in range(3):
        found = run_small_lab(*family)
        buckets.append(found["few_ports"]["buckets_per_connection"])
        established, time_wait = found["states"]["established"], found["states"]["time_wait"]
        sides = {**established, **{f"time_wait/{side}": state for side, state in time_wait.items()}}
        certain |= {side: state for side, state in sides.items() if state["doubt"] is None}
        assert {side: state for side, state in certain.items() if relative_error(state) > 0.02} == {}
        if certain.keys() == sides.keys() and buckets[-1] < 0.5:
            break
    assert found["few_ports"]["local_ports"] == 500
    assert min(buckets) < 0.5
    assert found["states"]["close_wait"] is None
    assert Path("/proc/sys/net/ipv4/ip_local_port_range").read_text() == ports, "the host's own settings are unchanged"
    if in_doubt := sorted(sides.keys() - certain.keys()):
        pytest.skip(f"other programs disturbed {', '.join(in_doubt)} in three labs")
    for side in ("accepted", "outgoing", "pair"):
        [sock] = [part for part in certain[side]["parts"] if part["row"] == ("TCPv6" if family else "TCP")]
        assert sock["objects"] == pytest.approx(2 if side == "pair" else 1, rel=0.01)


def has_tls_module() -> bool:
    """True if this kernel gives kernel TLS to a socket; tested without tcptop's code."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        try:
            client.setsockopt(socket.IPPROTO_TCP, 31, b"tls")
        except OSError:
            return False
    return True


def test_without_the_module_tls_the_state_is_skipped_with_a_reason() -> None:
    if has_tls_module():
        pytest.skip("this kernel has the module tls")
    reason = "the kernel has no module tls, or cannot load it (No such file or directory)"
    alone = subprocess.run([*PROGRAM, "--states", "ktls"], capture_output=True, text=True, timeout=60, check=False)
    assert (alone.returncode, alone.stdout, alone.stderr) == (1, "", f"tcptop: lab cannot measure ktls: {reason}\n")
    command = [*PROGRAM, "-c", "1000", "--json", "--states", "ktls,close_wait"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["skipped"] == [{"state": "ktls", "reason": reason}]
    assert found["states"]["close_wait"]["bytes"] > 0
    assert found["states"]["established"] == {"accepted": None, "outgoing": None, "pair": None}
    assert (found["states"]["ktls"], found["ktls"]) == ({"context": None, "tx": None, "pair": None}, None)


def test_kernel_tls_is_measured_where_the_kernel_has_it() -> None:
    if not has_tls_module():
        pytest.skip("needs the kernel module tls")
    command = [*PROGRAM, "-c", "2000", "--json", "--states", "ktls"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    # struct tls_context is 300 to 400 bytes; each direction has a context of its own and a cipher.
    assert 250 < found["ktls"]["context_bytes"] < 1100
    assert found["ktls"]["tx_bytes"] > 300
    assert found["ktls"]["rx_bytes"] > 300
