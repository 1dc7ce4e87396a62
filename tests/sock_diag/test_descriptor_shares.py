"""Samples of descriptors: a maximum for each process, and shares that are right within 25 %."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tcptop.sock_diag import descriptors
from tcptop.sock_diag.descriptors import MAX_PER_PROCESS, OwnerSample, sample_owners

CHILD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
held = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[1]))]
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def processes(*sockets: int) -> Iterator[list[int]]:
    """Child processes with these numbers of sockets."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20_000:
        pytest.skip("needs a hard limit of 20 000 open files")
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CHILD, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for number in sockets
        ]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        yield [child.pid for child in children]
        for child in children:
            assert child.stdin is not None
            child.stdin.close()


def estimate(sample: OwnerSample) -> float:
    return len(sample.low) + len(sample.sampled) * sample.weight


def test_few_descriptors_are_all_looked_up() -> None:
    with processes(30) as pids:
        [sample], unread, _ = sample_owners(pids)
        links = [path.readlink().name for path in Path(f"/proc/{pids[0]}/fd").iterdir()]
    assert sorted(f"socket:[{inode}]" for inode in sample.low) == sorted(link for link in links if "socket" in link)
    assert (len(sample.low), sample.is_whole, sample.weight, sample.sampled, unread) == (30, True, 1.0, (), set())


def test_of_many_descriptors_a_bounded_number_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = []
    readlink = os.readlink

    def counted(path: str, *, dir_fd: int | None = None) -> str:
        target = readlink(path, dir_fd=dir_fd)
        looked_up.append(path)
        return target

    with processes(5_000) as pids:
        monkeypatch.setattr(os, "readlink", counted)
        monkeypatch.setattr(os, "listdir", None)
        [sample], *_ = sample_owners(pids)
        assert len(looked_up) <= MAX_PER_PROCESS
        assert len(set(looked_up)) == len(looked_up)
        assert not sample.is_whole
        assert 5_000 <= sample.descriptors <= 5_010
        assert abs(estimate(sample) - 5_000) < 500
        looked_up.clear()
        [sample], *_ = sample_owners(pids, exact_pid=pids[0])
        assert sample.is_whole
        assert len(sample.low) == 5_000


def test_the_shares_of_thirteen_processes_are_right_within_a_quarter() -> None:
    with processes(*[400] * 12, 200) as pids:
        samples, *_ = sample_owners(pids)
        total = sum(map(estimate, samples))
        for sample, number in zip(sorted(samples), [400] * 12 + [200], strict=True):
            assert abs(estimate(sample) / total / (number / 5_000) - 1) < 0.25


def test_before_6_2_the_number_of_descriptors_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    with processes(2_000) as pids:
        found = descriptors._sample_process(pids[0], MAX_PER_PROCESS, False, {}, 1)
    assert found is not None
    assert 1_000 < found[0].descriptors < 4_000
    assert found[1] <= MAX_PER_PROCESS
    monkeypatch.undo()


def test_a_look_has_an_upper_bound_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "MAX_IN_ALL", 10)
    with processes(200, 200, 200) as pids:
        samples, unread, _ = sample_owners(pids)
    assert [sample.pid for sample in samples] == pids[:1]
    assert unread == {*pids[1:]}


def test_a_process_that_has_ended_is_no_process() -> None:
    with processes(1) as pids:
        pass
    assert sample_owners(pids) == ([], set(), {})


def test_only_sockets_are_taken_for_sockets() -> None:
    targets = ["socket:[12]", "socket:[x]", "socket:[]", "pipe:[7]", "/tmp/socket:[9]", "anon_inode:[eventpoll]"]
    assert descriptors._inodes(targets) == (12,)
    assert re.fullmatch(r"\d+", str(descriptors._table_size("/proc/self")))
