"""Network namespaces: the search for namespaces, and calls in a namespace that leave all other threads in their
namespaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tcptop.sock_diag import net_namespaces
from tcptop.sock_diag.descriptors import sample_owners
from tcptop.sock_diag.mounts import read_mounts
from tcptop.sock_diag.net_namespaces import (
    add_held,
    call_in_thread,
    find_namespaces,
    list_pids,
    namespace_number,
)

CHILD = "print('ready', flush=True); import sys; sys.stdin.read()"


def namespace_of(process: int | str) -> int:
    return Path(f"/proc/{process}/ns/net").stat().st_ino


@contextmanager
def child(program: str, *prefix: str) -> Iterator[tuple[int, str]]:
    """A process that runs a Python program, which prints a line; yields the PID and the line."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root, who may make a network namespace here")
    command = [*prefix, sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.stdin.close()


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process in a network namespace of its own."""
    with child(CHILD, "unshare", "-n") as (pid, line):
        assert line == "ready"
        yield pid


UNTIL_ALONE = """
thread.join()
while len(os.listdir("/proc/self/task")) > 1:
    time.sleep(0.01)
"""
"""Waits until the kernel no longer lists the thread: for a moment, it still does after the thread has ended."""
THREAD = """
import ctypes, os, sys, threading, time
ready, end = threading.Event(), threading.Event()
def enter():
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
        sys.exit("unshare")
    found.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
    ready.set()
    {after}
found = []
thread = threading.Thread(target=enter)
thread.start()
{wait}
print(os.fstat(found[0]).st_ino, found[0], flush=True)
sys.stdin.read()
end.set()
"""
"""A thread that makes a network namespace, and prints the namespace's number and the descriptor that leads to it."""


def test_the_own_namespace_is_first() -> None:
    namespaces, processes, _ = find_namespaces([os.getpid()])
    assert (namespaces[0].inode, namespaces[0].is_here) == (namespace_of("self"), True)
    assert [each.is_here for each in namespaces[1:]] == [False] * (len(namespaces) - 1)
    assert [(each.pid, each.namespace) for each in processes] == [(os.getpid(), namespace_of("self"))]
    assert os.getpid() in list_pids()


def test_a_namespace_is_found_by_its_process_and_entered(stranger: int) -> None:
    before = namespace_of("self")
    namespaces = find_namespaces([os.getpid(), stranger]).namespaces
    [other] = [each for each in namespaces if each.inode == namespace_of(stranger)]
    inside, took_us = call_in_thread(lambda: namespace_of("thread-self"), other)
    assert inside == other.inode != before
    assert took_us >= 0
    assert namespace_of("self") == namespace_of("thread-self") == before
    assert threading.active_count() == len(threading.enumerate())


def test_what_the_call_raises_is_raised() -> None:
    def fail() -> None:
        raise TimeoutError("late")

    with pytest.raises(TimeoutError, match="late"):
        call_in_thread(fail)


def test_a_namespace_that_only_a_thread_is_in() -> None:
    with child(THREAD.format(after="end.wait()", wait="ready.wait()")) as (pid, line):
        inode = int(line.split()[0])
        assert inode != namespace_of(pid)
        found = find_namespaces([pid])
        [other] = [each for each in found.namespaces if each.inode == inode]
        assert (other.found_by, other.is_here) == ("thread", False)
        assert other.counters is not None
        assert Path(other.counters, "sockstat").read_text().startswith("sockets: used 0")
        assert call_in_thread(lambda: namespace_of("thread-self"), other)[0] == inode
        assert [each.pid for each in found.processes] == [pid]


def test_threads_beyond_the_most_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net_namespaces, "MAX_THREADS", 2)
    with child(f"import threading\nfor _ in range(5): threading.Thread(target=input).start()\n{CHILD}") as (pid, _):
        assert find_namespaces([pid]).unread_threads == 3
        assert find_namespaces([pid, pid]).unread_threads == 8


def test_a_namespace_that_only_a_descriptor_leads_to() -> None:
    with child(THREAD.format(after="pass", wait=UNTIL_ALONE)) as (pid, line):
        inode, descriptor = map(int, line.split())
        assert inode not in {each.inode for each in find_namespaces([pid]).namespaces}
        held = sample_owners([pid]).namespaces
        assert held == {inode: f"/proc/{pid}/fd/{descriptor}"}
        own = find_namespaces([]).namespaces
        [*before, other] = add_held(own, {**held, namespace_of("self"): "/proc/self/fd/0"})
        assert (before, other.found_by, other.inode) == (own, "descriptor", inode)
        assert call_in_thread(lambda: namespace_of("thread-self"), other)[0] == inode


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip of the package iproute2")
def test_a_namespace_that_only_a_mount_holds() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, who may mount a network namespace")
    name = f"tcptop-test-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        pytest.skip("a network namespace cannot be mounted here")
    try:
        [other] = [each for each in find_namespaces(list_pids()).namespaces if each.name == name]
        assert (other.found_by, other.path) == ("mount", f"/run/netns/{name}")
        assert call_in_thread(lambda: namespace_of("thread-self"), other)[0] == other.inode
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_a_file_that_is_no_longer_the_namespace_is_not_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # opening the pipe for reading would wait for a writer
    [own] = [each for each in find_namespaces([]).namespaces if each.is_here]
    for path in (str(fifo), "/proc/self/ns/uts", "/no/such/file"):
        with pytest.raises(FileNotFoundError):
            call_in_thread(lambda: 1, own._replace(is_here=False, path=path))
    with pytest.raises(FileNotFoundError, match="gone"):
        call_in_thread(lambda: 1, own._replace(is_here=False, inode=1))


def test_numbers_of_namespaces() -> None:
    assert namespace_number("net:[4026532300]") == 4026532300
    for target in ("net:[]", "net:[x]", "net:[1", "socket:[1]", "mnt:[1]", "net:[²]", f"net:[{'9' * 19}]", ""):
        assert namespace_number(target) is None


def test_mounts_with_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = (
        "30 1 0:4 net:[4026532300] /run/netns/blue rw shared:5 - nsfs nsfs rw\n"
        "31 1 0:4 net:[4026532301] /run/netns/a\\040b rw - nsfs nsfs rw\n"
        "32 1 0:4 mnt:[4026532302] /run/mnt rw - nsfs nsfs rw\n"
        "33 1 0:5 net:[4026532303] /fake rw - tmpfs tmpfs rw\n"
        "34 1 0:4 net:[x] /run/netns/x rw - nsfs nsfs rw\n"
        "short\n"
    )
    file = tmp_path / "mountinfo"
    file.write_text(mounts)
    monkeypatch.setattr(net_namespaces, "read_mounts", lambda _: read_mounts(str(file)))
    assert list(net_namespaces._mounted_namespaces())[:2] == [
        (4026532300, "/run/netns/blue"),
        (4026532301, "/run/netns/a b"),
    ]
    namespaces = find_namespaces([]).namespaces
    assert [(each.name, each.found_by) for each in namespaces[1:]] == [("blue", "mount"), ("a b", "mount")]


def test_a_namespace_counts_once_if_one_of_its_processes_hides_its_number(
    stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container, the links of the machine's first process may be closed even to root."""
    closed = f"/proc/{stranger}/ns/net"
    stat = os.stat

    def refuse(path: object, *arguments: object, **options: object) -> os.stat_result:
        if path == closed:
            raise PermissionError(13, "Permission denied", closed)
        return stat(path, *arguments, **options)  # type: ignore[arg-type]

    with child(CHILD, "unshare", "-n") as (other, _):
        monkeypatch.setattr(os, "stat", refuse)
        found = find_namespaces([stranger])
        others = [each for each in found.namespaces[1:] if not each.name.startswith("tcptop-test-")]  # of other tests
        assert [(each.inode, each.name) for each in others] == [(None, f"of pid {stranger}")]
        entered = ["nsenter", "-t", str(stranger), "-n", sys.executable, "-c", CHILD]
        with subprocess.Popen(entered, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as beside:
            assert beside.stdout is not None
            beside.stdout.readline()
            found = find_namespaces([stranger, beside.pid, other])
            beside.communicate(b"\n")
        namespaces = [each for each in found.namespaces if not each.name.startswith("tcptop-test-")]
        assert len(namespaces) == 3
        assert None not in {each.inode for each in namespaces}
        assert {each.pid: each.namespace for each in found.processes}[stranger] == namespaces[1].inode
