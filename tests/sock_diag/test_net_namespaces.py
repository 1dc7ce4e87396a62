"""Network namespaces: how they are found, and calls in one of them that leave all other threads where they are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptop.sock_diag import net_namespaces
from tcptop.sock_diag.net_namespaces import call_in_thread, find_namespaces, list_pids

CHILD = "print('ready', flush=True); import sys; sys.stdin.read()"


def namespace_of(process: int | str) -> int:
    return Path(f"/proc/{process}/ns/net").stat().st_ino


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process in a network namespace of its own."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root, who may make a network namespace here")
    child = subprocess.Popen(
        ["unshare", "-n", sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == "ready\n"
        yield child.pid
        child.stdin.close()


def test_the_own_namespace_is_first() -> None:
    namespaces, processes = find_namespaces([os.getpid()])
    assert (namespaces[0].inode, namespaces[0].is_here) == (namespace_of("self"), True)
    assert [each.is_here for each in namespaces[1:]] == [False] * (len(namespaces) - 1)
    assert [(each.pid, each.namespace) for each in processes] == [(os.getpid(), namespace_of("self"))]
    assert os.getpid() in list_pids()


def test_a_namespace_is_found_by_its_process_and_entered(stranger: int) -> None:
    before = namespace_of("self")
    namespaces, _ = find_namespaces([os.getpid(), stranger])
    [other] = [each for each in namespaces if each.inode == namespace_of(stranger)]
    inside, took_us = call_in_thread(lambda: namespace_of("thread-self"), other.path)
    assert inside == other.inode != before
    assert took_us >= 0
    assert namespace_of("self") == namespace_of("thread-self") == before
    assert threading.active_count() == len(threading.enumerate())


def test_what_the_call_raises_is_raised() -> None:
    def fail() -> None:
        raise TimeoutError("late")

    with pytest.raises(TimeoutError, match="late"):
        call_in_thread(fail)
    with pytest.raises(FileNotFoundError):
        call_in_thread(lambda: 1, "/proc/self/ns/no-such-namespace")
    with pytest.raises(OSError, match="Invalid argument"):
        call_in_thread(lambda: 1, "/proc/self/ns/uts")


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
    monkeypatch.setattr(net_namespaces, "open", lambda *_, **__: file.open("rb"), raising=False)
    assert net_namespaces._mounted_namespaces() == [
        (4026532300, "/run/netns/blue"),
        (4026532301, "/run/netns/a b"),
    ]
    namespaces, _ = find_namespaces([])
    assert [(each.name, each.found_by) for each in namespaces[1:]] == [("blue", "mount"), ("a b", "mount")]
