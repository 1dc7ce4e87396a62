"""The sample of descriptors: complete if a process has few descriptors, whatever their numbers, and bounded if it has
many.
"""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tcptop.sock_diag import descriptors
from tcptop.sock_diag.descriptors import LOW_NUMBERS, MAX_PER_PROCESS, MAX_TRIES, OwnerSample, sample_owners
from tcptop.sock_diag.look import index_owners

HOLDER = """
import os, resource, socket, sys
count, first = map(int, sys.argv[1:])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
for number in range(first, first + count):
    made = socket.socket()
    inode = os.fstat(made.fileno()).st_ino
    os.dup2(made.fileno(), number)
    made.close()
    print(inode, flush=number == first + count - 1)
sys.stdin.read()
"""


@contextmanager
def holder(count: int, first: int) -> Iterator[tuple[int, Sequence[int]]]:
    """A process with sockets whose descriptors are numbered from `first`; returns the PID and the inodes of the
    sockets.
    """
    program = [sys.executable, "-S", "-c", HOLDER, str(count), str(first)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, [int(process.stdout.readline()) for _ in range(count)]
        process.communicate(b"")


def sample(pid: int, counts_are_known: bool) -> tuple[OwnerSample, int, int]:
    found = descriptors._sample_process(pid, MAX_PER_PROCESS, counts_are_known, {}, 1)
    assert found is not None
    return found


counts_known = pytest.mark.parametrize("counts_are_known", [True, False], ids=["since 6.2", "before 6.2"])


def skip_without_counts(counts_are_known: bool) -> None:
    if counts_are_known and Path("/proc/self/fd").stat().st_size == 0:
        pytest.skip("this kernel does not count descriptors")


def skip_with_a_large_table(pid: int, counts_are_known: bool) -> None:
    if not counts_are_known and descriptors._table_size(f"/proc/{pid}") > MAX_TRIES:
        pytest.skip("its parent had many descriptors, and a child has a table of that size")


@counts_known
def test_few_descriptors_are_all_found_with_few_tries(counts_are_known: bool) -> None:
    skip_without_counts(counts_are_known)
    with holder(20, 10) as (pid, inodes):
        found, looked_up, tries = sample(pid, counts_are_known)
        skip_with_a_large_table(pid, counts_are_known)
    assert found.is_whole
    assert sorted(found.low) == sorted(inodes)
    assert found.sampled == ()
    assert looked_up == found.descriptors == 23
    assert tries <= 256


def test_few_descriptors_with_large_numbers_are_all_found() -> None:
    skip_without_counts(True)
    with holder(20, 4000) as (pid, inodes):
        [found] = sample_owners([pid]).owners
    assert found.is_whole
    assert sorted(found.low) == sorted(inodes)


@counts_known
def test_many_descriptors_are_sampled(counts_are_known: bool) -> None:
    skip_without_counts(counts_are_known)
    with holder(600, 24) as (pid, inodes):
        found, looked_up, tries = sample(pid, counts_are_known)
        skip_with_a_large_table(pid, counts_are_known)
    assert not found.is_whole
    assert looked_up <= MAX_PER_PROCESS
    assert tries <= MAX_TRIES + MAX_PER_PROCESS
    assert len(set(found.sampled)) == len(found.sampled) > 30
    assert set(found.sampled) <= set(inodes)
    assert found.descriptors == 603 if counts_are_known else 400 < found.descriptors < 900
    assert found.weight * len(found.sampled) == pytest.approx(found.descriptors - 3)


def test_all_descriptors_of_the_exact_process_are_found() -> None:
    with holder(600, 24) as (pid, inodes):
        [found] = sample_owners([pid], exact_pid=pid).owners
    assert found.is_whole
    assert sorted(found.low) == sorted(inodes)


LEADERLESS = """
import ctypes, os, socket, sys, threading, time
kept = [socket.socket() for _ in range(30)]
def stay():
    while "State:\\tZ" not in open(f"/proc/{os.getpid()}/status").read():
        time.sleep(0.01)
    print(*(os.fstat(each.fileno()).st_ino for each in kept), flush=True)
    os.read(0, 1)
    os._exit(0)
threading.Thread(target=stay).start()
number = {"x86_64": 60, "i686": 1}.get(os.uname().machine, 93)
ctypes.CDLL(None).syscall(number, 0)
"""
"""A process whose first thread ends with exit(2); prints the inodes of the sockets."""


@counts_known
def test_after_the_first_thread_another_one_has_the_descriptors(counts_are_known: bool) -> None:
    skip_without_counts(counts_are_known)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", LEADERLESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        inodes = [int(word) for word in process.stdout.readline().split()]
        assert list(Path(f"/proc/{process.pid}/fd").iterdir()) == []
        found, _, _ = sample(process.pid, counts_are_known)
        process.communicate(b"x")
    assert found.is_whole
    assert found.pid == process.pid
    assert set(inodes) <= set(found.low)


def test_the_limit_of_the_own_process_is_not_read() -> None:
    with ExitStack() as stack:
        for _ in range(MAX_PER_PROCESS + 1):
            stack.enter_context(socket.socket())
        [own] = sample_owners([os.getpid()]).owners
        assert own.max_descriptors is None
        with holder(MAX_PER_PROCESS + 1, 24) as (pid, _):
            assert [each.max_descriptors is None for each in sample_owners([os.getpid(), pid]).owners] == [True, False]


@pytest.mark.parametrize(
    ("first", "limit", "are_all_below"),
    [(1000, 160, False), (24, 120, False), (24, 174, True), (24, 10, False), (24, 20_000, True)],
)
@pytest.mark.parametrize("most", [descriptors.MAX_ABOVE, 20])
def test_descriptors_above_the_limit_take_none_below_it(
    first: int, limit: int, are_all_below: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit that was lowered closes no descriptor; if too many are above it to count them, their number follows from
    those that were drawn at random.
    """
    monkeypatch.setattr(descriptors, "MAX_ABOVE", most)
    skip_without_counts(True)
    with holder(150, first) as (pid, _):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, 20_000))
        [found] = sample_owners([pid]).owners
        [exact] = sample_owners([pid], exact_pid=pid).owners
    assert (found.descriptors, found.max_descriptors) == (153, limit)
    of_exact = None if are_all_below else (3 + min(150, max(0, limit - first)), 0)
    assert exact.below_limit == of_exact
    if are_all_below or limit <= LOW_NUMBERS or most > 150:
        assert found.below_limit == of_exact
        return
    assert of_exact is not None
    assert found.below_limit is not None
    assert 1 <= found.below_limit.error <= 40
    assert abs(found.below_limit.number - of_exact[0]) <= 2 * found.below_limit.error


LOWERED = """
import fcntl, os, resource, sys
os.closerange(3, 4096)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
for number in (900, 2900, 3200):
    fcntl.fcntl(0, fcntl.F_DUPFD, number)
if sys.argv[1] == "self":
    resource.setrlimit(resource.RLIMIT_NOFILE, (206, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print("ready", flush=True)
sys.stdin.read()
"""
"""A process with 206 descriptors, of which three are far above the others."""


@pytest.mark.parametrize("lowered_by", ["self", "another"])
def test_few_descriptors_above_a_lowered_limit_are_counted_though_a_sample_misses_them(lowered_by: str) -> None:
    skip_without_counts(True)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", LOWERED, lowered_by], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if lowered_by == "another":
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (206, 4096))
        looks = [sample_owners([process.pid]).owners[0] for _ in range(10)]
        process.communicate(b"")
    assert {(each.descriptors, each.max_descriptors, each.is_whole) for each in looks} == {(206, 206, False)}
    assert {each.below_limit for each in looks} == {(203, 0)}


def test_more_descriptors_above_the_limit_than_are_counted_are_an_estimate_though_a_sample_misses_them() -> None:
    below = descriptors._below_by_count(MANY, 10_000, 1_000, True, True)
    assert below is not None
    assert below.number - below.error < 11_000 - 1_000 <= below.number + below.error
    assert descriptors._below_by_count(MANY._replace(below_limit=below), 10_000, 1_000, True, True) == below
    assert descriptors._below_by_count(MANY, 10_000, 1_000, False, True) == (10_000, 0)
    before_6_2 = descriptors._below_by_count(MANY, 10_000, 1_000, False, False)
    assert before_6_2 is not None
    assert before_6_2.error > 1_000


MANY = OwnerSample(1, "many", 11_000, 10_000, False, 274.0, (), ())


@pytest.mark.parametrize("bound", ["MAX_IN_ALL", "MAX_TRIES_IN_ALL"])
def test_after_a_bound_no_further_process_is_read_but_the_exact_one(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, bound, 1)
    with holder(2, 10) as (one, _), holder(2, 10) as (other, _), holder(2, 10) as (exact, _):
        samples, unread, _ = sample_owners([one, other, exact], exact_pid=exact)
    assert [each.pid for each in samples] == [one, exact]
    assert unread == {other}


FORKED = """
import os, resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
kept = [socket.socket() for _ in range(1500)]
pids = [os.getpid()]
for _ in range(3):
    pids.append(os.fork())
    if not pids[-1]:
        kept += [socket.socket() for _ in range(int(sys.argv[1]))]
        os.write(1, b"ready\\n")
        break
else:
    os.write(1, " ".join(map(str, pids)).encode() + b"\\n")
os.read(0, 1)
"""


@contextmanager
def forked(more: int) -> Iterator[list[int]]:
    """A process with 1 500 sockets, and three children with these and `more` sockets; the process IDs."""
    with subprocess.Popen(
        [sys.executable, "-S", "-c", FORKED, str(more)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().split() for _ in range(4)]
        yield next([int(word) for word in line] for line in lines if line != [b"ready"])
        process.communicate(b"")


def test_after_a_fork_the_sockets_of_a_table_that_has_grown_are_drawn_in_both() -> None:
    with forked(2_500) as pids:
        first, *others = sample_owners(pids).owners
        inherited = {*sample_owners(pids[:1], pids[0]).owners[0].low}
    for each in others:
        shared = inherited & {*each.sampled}
        assert 3 < len(shared) < len(each.sampled)
        assert shared <= {*first.sampled}


def test_numbers_are_drawn_with_the_same_probability() -> None:
    drawn = Counter[int]()
    for seed in range(500):
        numbers = list(descriptors._numbers(1_000 - LOW_NUMBERS, 900, 64, LOW_NUMBERS, seed))
        assert len(numbers) == len({*numbers} & {*range(LOW_NUMBERS, 1_000)})
        assert numbers[:9] == [each for each in descriptors._random_order(4096, seed) if each < 1_000][:9]
        drawn.update(number // 100 for number in numbers)
    expected = drawn.total() / (1_000 - LOW_NUMBERS) * 100
    assert all(0.9 < drawn[each] / expected < 1.1 for each in range(1, 10))


def test_sockets_that_forked_processes_share_are_drawn_in_each_and_count_for_the_first() -> None:
    with forked(0) as pids:
        found = sample_owners(pids).owners
    assert [each.pid for each in found] == pids
    assert len(found[0].sampled) > 30
    owners = index_owners(found)
    assert {each.first >> 1 for each in owners.shared} == {pids[0]}
    assert max(owners.owner_of.values()) < 0, "each socket that was drawn is seen to be shared"


CLOSED_AFTER_FORK = """
import os, resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
made = [socket.socket() for _ in range(1600)]
child = os.fork()
if child:
    os.read(0, 1)
else:
    for number, each in enumerate(made):
        if number % 2:
            each.close()
    os.write(1, f"{os.getppid()} {os.getpid()}\\n".encode())
    os.read(0, 1)
"""
"""A process with 1 600 sockets, and a child that has closed about a half of them."""


@contextmanager
def closed_after_fork() -> Iterator[list[int]]:
    with subprocess.Popen(
        [sys.executable, "-S", "-c", CLOSED_AFTER_FORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        yield [int(word) for word in process.stdout.readline().split()]
        process.communicate(b"xx")


def test_sockets_of_a_parent_whose_child_closed_some_count_for_the_parent() -> None:
    """More numbers are drawn in the child than in the parent, since those that the child has closed are passed over."""
    skip_without_counts(True)
    with closed_after_fork() as pids:
        parent, child = found = sample_owners(pids).owners
    assert not parent.is_whole
    assert not child.is_whole
    assert parent.undrawn
    assert {*parent.undrawn} <= {*child.sampled} - {*parent.sampled}
    owners = index_owners(found)
    assert {(each.first >> 1, each.other_pids) for each in owners.shared} == {(parent.pid, (child.pid,))}
    assert not [inode for inode, owner in owners.owner_of.items() if owner >> 1 == child.pid]
