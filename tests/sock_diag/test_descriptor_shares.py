"""Samples of descriptors: a maximum for each process, and shares that are right within 25 %."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import isqrt
from pathlib import Path

import pytest

from tcptop.sock_diag import descriptors
from tcptop.sock_diag.descriptors import MAX_PER_PROCESS, OwnerSample, sample_owners

CHILD = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
held = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[1]))]
held += [each.dup() for each in held for _ in range(int(sys.argv[2]) - 1)]
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def processes(*sockets: int, of_each: int = 1) -> Iterator[list[int]]:
    """Child processes with these numbers of sockets, and with `of_each` descriptors of each socket."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20_000:
        pytest.skip("needs a hard limit of 20 000 open files")
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CHILD, str(number), str(of_each)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
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
        at_first, again = looked_up[:MAX_PER_PROCESS], looked_up[MAX_PER_PROCESS:]
        assert len(again) <= descriptors.ROOTS_DRAWN * isqrt(sample.descriptors)
        assert len(set(at_first)) == len(at_first)
        assert set(at_first) <= set(again)
        assert len(set(again)) == len(again)
        assert not sample.is_whole
        assert 5_000 <= sample.descriptors <= 5_010
        assert abs(estimate(sample) - 5_000) < 500
        looked_up.clear()
        [sample], *_ = sample_owners(pids, exact_pid=pids[0])
        assert sample.is_whole
        assert len(sample.low) == 5_000


def test_if_sockets_have_several_descriptors_all_of_these_are_looked_up() -> None:
    with processes(1_000, of_each=2) as pids:
        [sample], *_ = sample_owners(pids)
    assert sample.is_whole
    assert sample.descriptors >= 2_000
    assert set(Counter(sample.low).values()) == {2}
    assert len(set(sample.low)) == 1_000


def test_more_descriptors_are_looked_up_as_long_as_few_processes_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process has a small sample before one has a larger sample, and half of what is left is kept."""
    with processes(300, 1_000, 400, of_each=2) as pids:
        found = sample_owners(pids)
        assert [each.is_whole for each in found.owners] == [True] * 3
        monkeypatch.setattr(descriptors, "MAX_IN_ALL", 3 * MAX_PER_PROCESS)
        found = sample_owners(pids)
        assert found.unread == set()
        assert [each.pid for each in found.owners] == pids
        assert {len(each.low) + len(each.sampled) for each in found.owners} <= {*range(50, MAX_PER_PROCESS + 1)}
        monkeypatch.setattr(descriptors, "MAX_IN_ALL", 3 * MAX_PER_PROCESS + 2 * 300)
        found = sample_owners(pids)
        sizes = [len(each.low) + len(each.sampled) for each in found.owners]
        assert found.unread == set()
        assert MAX_PER_PROCESS < sizes[1] <= descriptors.ROOTS_DRAWN * isqrt(2_010)
        assert not found.owners[1].is_whole, "not all of the 2 000 descriptors may be looked up"


def test_a_socket_on_standard_output_and_error_output_is_no_sign_of_several_descriptors() -> None:
    sample = OwnerSample(1, "", 500, None, False, 12.0, (7, 7, 8), (9, 10))
    assert not descriptors._has_repeats(sample)
    assert descriptors._has_repeats(sample._replace(sampled=(9, 10, 9)))
    assert descriptors._has_repeats(sample._replace(sampled=(9, 8)))


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
