"""Sample of the descriptors of each process: which process has which socket.

Listing /proc/PID/fd would leave an inode and a dentry in the kernel for each descriptor (fs/proc/base.c,
proc_fill_cache). Descriptors are looked up by number instead, a bounded number for each process.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

MAX_PER_PROCESS = 64
MAX_IN_ALL = 20_000
LOW_NUMBERS = 24
"""The lowest numbers are all looked up: listeners are opened first."""
MAX_TRIES = 1024
"""Maximum number of numbers that are tried; a number that is not open leaves nothing in the kernel."""
DEFAULT_TABLE_SIZE = 1 << 10


class OwnerSample(NamedTuple):
    """The sockets that were found in one process."""

    pid: int
    command: str
    descriptors: int
    """Number of open descriptors; an estimate before Linux 6.2."""
    max_descriptors: int | None
    """RLIMIT_NOFILE; None if unknown, or if it was not read because few descriptors are open."""
    is_whole: bool
    """Whether all descriptors were looked up."""
    weight: float
    """Number of descriptors that one descriptor of `sampled` stands for."""
    low: tuple[int, ...]
    """Inodes of the sockets with the lowest numbers, each of which stands for itself."""
    sampled: tuple[int, ...]
    """Inodes of the sockets that were drawn at random from the other numbers."""


def sample_owners(pids: Iterable[int], exact_pid: int | None = None) -> tuple[list[OwnerSample], set[int]]:
    """A sample of each process that has sockets or unread descriptors, and the processes that were not read.

    All descriptors of the process `exact_pid` are looked up. After MAX_IN_ALL descriptors, no further process is read.
    """
    samples: list[OwnerSample] = []
    unread: set[int] = set()
    looked_up = 0
    counts_are_known = os.stat("/proc/self/fd").st_size > 0
    for pid in pids:
        if looked_up >= MAX_IN_ALL and pid != exact_pid:
            unread.add(pid)
            continue
        limit = 1 << 30 if pid == exact_pid else MAX_PER_PROCESS
        try:
            found = _sample_process(pid, limit, counts_are_known)
        except PermissionError:
            unread.add(pid)
            continue
        except OSError:
            continue  # the process has ended
        if found is not None:
            sample, number = found
            looked_up += number
            if sample.low or sample.sampled or not sample.is_whole:
                samples.append(sample)
    return samples, unread


def _sample_process(pid: int, limit: int, counts_are_known: bool) -> tuple[OwnerSample, int] | None:
    """The sample of one process, and the number of descriptors that were found; None if nothing is open."""
    folder = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        opened: int | None = os.fstat(folder).st_size if counts_are_known else None
        if opened == 0:
            return None
        low = _look_up(folder, range(LOW_NUMBERS), limit)
        others: list[str] = []
        tries = span = 0
        if opened is None or len(low) < opened:
            span = max(0, _table_size(pid) - LOW_NUMBERS)
            numbers: Sequence[int] = range(LOW_NUMBERS, LOW_NUMBERS + span)
            if limit <= MAX_PER_PROCESS and opened is not None and opened <= limit:
                # All are wanted, and the kernel gives the lowest number first; a table of a fork may be far larger.
                numbers = numbers[:MAX_TRIES]
            elif limit <= MAX_PER_PROCESS:
                numbers = random.sample(numbers, min(span, MAX_TRIES))
            wanted = limit - len(low) if opened is None else min(limit, opened) - len(low)
            others, tries = _look_up_some(folder, numbers, wanted)
    finally:
        os.close(folder)
    found = len(low) + len(others)
    if opened is None:
        opened = len(low) + (round(len(others) * span / tries) if tries else 0)
    is_whole = found >= opened
    weight = 1.0 if is_whole or not others else (opened - len(low)) / len(others)
    low_inodes, other_inodes = _inodes(low), _inodes(others)
    if is_whole:
        low_inodes, other_inodes = low_inodes + other_inodes, ()
    command = _command(pid) if low_inodes or other_inodes or not is_whole else ""
    limit_of_files = _max_descriptors(pid) if opened > MAX_PER_PROCESS else None
    return OwnerSample(pid, command, opened, limit_of_files, is_whole, weight, low_inodes, other_inodes), found


def _look_up(folder: int, numbers: Iterable[int], wanted: int) -> list[str]:
    return _look_up_some(folder, numbers, wanted)[0]


def _look_up_some(folder: int, numbers: Iterable[int], wanted: int) -> tuple[list[str], int]:
    """What the first `wanted` open descriptors of these numbers lead to, and the number of tries."""
    targets: list[str] = []
    tries = 0
    for number in numbers:
        if len(targets) >= wanted:
            break
        tries += 1
        with suppress(FileNotFoundError):
            targets.append(os.readlink(str(number), dir_fd=folder))
    return targets, tries


def _inodes(targets: Iterable[str]) -> tuple[int, ...]:
    """Numbers of the sockets among the targets: `socket:[123]` (net/socket.c, sockfs_dname)."""
    return tuple(
        int(target[8:-1])
        for target in targets
        if target.startswith("socket:[") and target.endswith("]") and target[8:-1].isdigit()
    )


def _table_size(pid: int) -> int:
    """Number of entries in the table of descriptors: `FDSize` of /proc/PID/status."""
    with open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"FDSize:"):
                return int(line.split()[1])
    return DEFAULT_TABLE_SIZE


def _max_descriptors(pid: int) -> int | None:
    """The soft limit of open files of a process, from /proc/PID/limits (fs/proc/base.c, proc_pid_limits)."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/limits", "rb") as file:
        for line in file:
            if line.startswith(b"Max open files"):
                return int(line.split()[3])
    return None


def _command(pid: int) -> str:
    """The process's name of up to 15 characters; empty if it has ended."""
    with suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:
        return os.fsdecode(file.read(64).rstrip(b"\n"))
    return ""
