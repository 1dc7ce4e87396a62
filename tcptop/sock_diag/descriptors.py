"""Samples the descriptors of each process, to find the processes that hold sockets or network namespaces.

Listing /proc/PID/fd would leave an inode and a dentry in the kernel for each open descriptor (fs/proc/base.c,
proc_fill_cache). Looking up an open descriptor by number also leaves an inode and a dentry. Descriptors are therefore
not listed; instead, a limited number of them is looked up in each process. Only those above a lowered RLIMIT_NOFILE are
listed, up to a maximum: the folder can be read from a number on (fs/proc/fd.c, proc_readfd_common).
"""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from math import ceil, isqrt, sqrt
from types import MappingProxyType
from typing import NamedTuple

from tcptop.sock_diag.net_namespaces import LONE_THREAD_LINKS, namespace_number, other_threads

MAX_PER_PROCESS = 64
"""Number of descriptors that are looked up in each process; all of them if fewer are open."""
ALL = 1 << 30
"""In place of MAX_PER_PROCESS: all descriptors are looked up."""
MAX_IN_ALL = 20_000
MAX_REDRAWN = 6_000
"""Maximum number of descriptors that are drawn in the second, larger samples of all processes together."""
ROOTS_DRAWN = 5
"""Size of a second sample, as a multiple of the square root of the open descriptors. If each socket has two of these,
the sample has about 12 sockets twice (birthday paradox)."""
LOW_NUMBERS = 24
"""All descriptors below this number are looked up, since a process usually opens its listeners first."""
MAX_TRIES = 1024
"""Maximum number of look-ups in a process whose descriptors are drawn at random. The look-ups of closed descriptors
count too. Many look-ups of closed descriptors are allowed, because such a look-up leaves no object in the kernel."""
MAX_TRIES_FOR_ALL = 1 << 16
"""Maximum number of look-ups in a process with at most MAX_PER_PROCESS open descriptors. The limit is high, because all
descriptors of such a process should be found."""
MAX_TRIES_IN_ALL = 200_000
"""Maximum number of descriptors that are looked up in all processes together; each look-up takes about 3 µs."""
SPARE_TRIES = 16
MAX_EARLIER = 4
"""Maximum number of earlier processes in which the descriptors of one process are looked up."""
MAX_ABOVE = 1_000
"""Maximum number of descriptors above RLIMIT_NOFILE that are counted in a process."""
MAX_ABOVE_IN_ALL = 10_000
"""Maximum number of descriptors above RLIMIT_NOFILE that are counted in all processes together."""
LINKS_OF_A_FOLDER = 2
"""Number of the entries `.` and `..`, which a folder has before the others."""
MAX_THREADS = 64
"""Maximum number of threads that are tried in a process whose first thread has exited."""
DEFAULT_TABLE_SIZE = 1 << 10
SMALLEST_TABLE = 64
"""Number of entries in the smallest table of descriptors (NR_OPEN_DEFAULT); larger ones have a power of 2."""


class DescriptorsBelowLimit(NamedTuple):
    """Number of open descriptors whose numbers are below RLIMIT_NOFILE, with its error in either direction.

    A new descriptor gets a number below the limit (fs/file.c, alloc_fd), so that a descriptor above it, as after the
    limit was lowered, takes none of these.
    """

    number: int
    error: int


class OwnerSample(NamedTuple):
    """The sockets that were found in one process."""

    pid: int
    command: str
    descriptors: int
    """Number of open descriptors; an estimate before Linux 6.2."""
    max_descriptors: int | None
    """RLIMIT_NOFILE; None if unknown, or if few descriptors are open, or for this process itself. The limit is then not
    read: tcptop keeps files open for its reads, and closes them near its limit."""
    is_whole: bool
    """True if all descriptors were looked up."""
    weight: float
    """Number of the process's descriptors that each descriptor in `sampled` represents."""
    low: tuple[int, ...]
    """Inodes of the sockets with the lowest descriptors. Every low descriptor was looked up, so the inode of each has
    the weight 1."""
    sampled: tuple[int, ...]
    """Inodes of the sockets whose descriptors were drawn at random from the higher descriptors."""
    below_limit: DescriptorsBelowLimit | None = None
    """The descriptors that count against `max_descriptors`; None if these are all."""
    numbered: Mapping[int, int] = MappingProxyType({})
    """The inodes of the sockets that were found at LOW_NUMBERS or above, by the number of the descriptor."""
    place: str = ""
    """The folder of the process, or of the thread, whose descriptors were looked up."""
    undrawn: tuple[int, ...] = ()
    """Inodes of sockets that were found in a later process, and that this process has under the same number. They are
    no part of the random sample."""
    table_size: int = 0
    """Number of entries in the table of descriptors; 0 if it was not needed."""


class Sampled(NamedTuple):
    """The sockets and network namespaces that the descriptors lead to."""

    owners: list[OwnerSample]
    """Processes that have sockets or unread descriptors, in the order of the given process IDs."""
    unread: set[int]
    """Processes that were not read."""
    namespaces: dict[int, str]
    """For each network namespace that a descriptor leads to, the path of the descriptor."""


def sample_owners(pids: Iterable[int], exact_pid: int | None = None) -> Sampled:
    """Looks up descriptors of processes.

    All descriptors of the process `exact_pid` are looked up. After MAX_IN_ALL descriptors or MAX_TRIES_IN_ALL tries, no
    further process is read. What is then left of both serves to look up more descriptors of large processes.
    """
    samples: list[OwnerSample] = []
    unread: set[int] = set()
    namespaces: dict[int, str] = {}
    looked_up = tried = 0
    # After fork(2), two processes have the same sockets under the same numbers. With one seed, the same numbers are
    # drawn in both, so that the sockets are seen to be shared, even if a table has grown since.
    seed = random.getrandbits(64)
    counts_are_known = os.stat("/proc/self/fd").st_size > 0
    for pid in pids:
        if (looked_up >= MAX_IN_ALL or tried >= MAX_TRIES_IN_ALL) and pid != exact_pid:
            unread.add(pid)
            continue
        limit = ALL if pid == exact_pid else MAX_PER_PROCESS
        try:
            found = _sample_process(pid, limit, counts_are_known, namespaces, seed)
        except PermissionError:
            unread.add(pid)
            continue
        except OSError:
            continue  # the process has ended
        if found is not None:
            sample, number, tries = found
            looked_up += number
            tried += tries
            if sample.low or sample.sampled or not sample.is_whole:
                samples.append(sample)
    number, tries = _look_up_more(
        samples, MAX_IN_ALL - looked_up, MAX_TRIES_IN_ALL - tried, counts_are_known, namespaces, seed
    )
    looked_up += number
    tried += tries
    tries = min(MAX_IN_ALL - looked_up, MAX_TRIES_IN_ALL - tried)
    samples = _with_counted_above(_with_undrawn(samples, tries), counts_are_known)
    return Sampled(samples, unread, namespaces)


def _look_up_more(
    samples: list[OwnerSample],
    most: int,
    most_tries: int,
    counts_are_known: bool,
    namespaces: dict[int, str],
    seed: int,
) -> tuple[int, int]:
    """Replaces samples of processes with sockets by larger ones, those of the largest processes first.

    A small sample does not show that several descriptors lead to the same socket (dup), and the descriptors would then
    explain sockets that no process has. A larger one shows it, and all descriptors of such a process are looked up.

    Returns the number of descriptors found, and of look-ups. Both are at most about half of what is left, `most` and
    `most_tries`: the rest is for `_with_undrawn`.
    """
    left, tries_left = most // 2, most_tries // 2
    left_to_draw = min(left, MAX_REDRAWN)
    of_size = sorted(range(len(samples)), key=lambda place: -samples[place].descriptors)
    of_size = [place for place in of_size if samples[place].sampled]

    def replace(place: int, limit: int) -> int:
        nonlocal left, tries_left
        try:
            found = _sample_process(samples[place].pid, limit, counts_are_known, namespaces, seed)
        except OSError:
            found = None  # the process has ended, or is another user's now
        if found is None:
            return 0
        samples[place], number, tries = found
        left -= number
        tries_left -= tries
        return number

    for place in of_size:
        limit = ROOTS_DRAWN * isqrt(samples[place].descriptors)
        if MAX_PER_PROCESS < limit <= left_to_draw and tries_left >= MAX_TRIES + LOW_NUMBERS:
            left_to_draw -= replace(place, limit)
    for place in of_size:
        sample = samples[place]
        if _has_repeats(sample) and sample.descriptors <= left and sample.table_size <= tries_left:
            replace(place, ALL)
    return most // 2 - left, most_tries // 2 - tries_left


def _has_repeats(sample: OwnerSample) -> bool:
    """True if a drawn descriptor leads to the socket of another descriptor in the sample.

    Two low descriptors with one socket are no sign of more: the standard output and error output of a service are one.
    """
    sockets = {*sample.sampled}
    return len(sockets) < len(sample.sampled) or not sockets.isdisjoint(sample.low)


def _with_undrawn(samples: Sequence[OwnerSample], tries: int) -> list[OwnerSample]:
    """The samples with `undrawn`, after at most `tries` look-ups.

    A process made by fork(2) may have closed some sockets since. Other numbers are then drawn in it than in its parent,
    and a socket that the parent has too would count for both. If two processes have a socket in common, the numbers of
    the later one are therefore looked up in the earlier one.
    """
    first_of: dict[int, int] = {}
    undrawn: dict[int, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        inodes = {*sample.low, *sample.sampled}
        earlier = Counter(first_of[inode] for inode in inodes & first_of.keys())
        for first, _ in earlier.most_common(MAX_EARLIER):
            wanted = {number: inode for number, inode in sample.numbered.items() if inode not in first_of}
            if samples[first].is_whole or not wanted or len(wanted) > tries:
                continue
            tries -= len(wanted)
            for inode in _open_in(samples[first].place, wanted):
                undrawn[first].append(inode)
                first_of[inode] = first
        for inode in inodes:
            first_of.setdefault(inode, place)
    return [sample._replace(undrawn=tuple(undrawn.get(place, ()))) for place, sample in enumerate(samples)]


def _with_counted_above(samples: Iterable[OwnerSample], counts_are_known: bool) -> list[OwnerSample]:
    """The samples with an exact `below_limit`, unless too many descriptors are above the limit.

    A random sample shows few of the descriptors above a limit, or none.
    """
    counted: list[OwnerSample] = []
    left = MAX_ABOVE_IN_ALL
    for sample in samples:
        limit = sample.max_descriptors
        if not sample.is_whole and limit is not None and limit < sample.table_size and left > 0:
            most = min(MAX_ABOVE, left)
            above = _count_from(sample.place, limit, most)
            if above is not None:
                left -= above
                below = _below_by_count(sample, limit, above, above == most, counts_are_known)
                sample = sample._replace(below_limit=below)
        counted.append(sample)
    return counted


def _below_by_count(
    sample: OwnerSample, limit: int, above: int, is_least: bool, counts_are_known: bool
) -> DescriptorsBelowLimit | None:
    """The descriptors below `limit` from the number of those above it; `is_least` if there may be more of these."""
    found = sample.below_limit
    if not above or (is_least and found is not None):
        return found
    error = 0
    if is_least:  # the sample has none of them
        error = ceil(sample.weight)
        above += error
    if not counts_are_known:
        error += ceil(2 * sqrt(sample.weight * sample.descriptors))
    return DescriptorsBelowLimit(max(0, min(limit, sample.descriptors - above)), error)


def _count_from(place: str, first: int, most: int) -> int | None:
    """Number of open descriptors with a number of at least `first`, up to `most`; None if unknown."""
    try:
        folder = os.open(f"{place}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        os.lseek(folder, first + LINKS_OF_A_FOLDER, os.SEEK_SET)
        with os.scandir(folder) as entries:
            numbers = [int(entry.name) for entry in islice(entries, most)]
    except (OSError, ValueError):
        return None
    finally:
        os.close(folder)
    return len(numbers) if all(number >= first for number in numbers) else None


def _open_in(place: str, inode_of: Mapping[int, int]) -> list[int]:
    """Those sockets, given by the number of their descriptor, that a process has under the same number."""
    try:
        folder = os.open(f"{place}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        targets, _ = _look_up(folder, inode_of, len(inode_of))
    except OSError:
        return []
    finally:
        os.close(folder)
    return [inode_of[number] for number, target in targets.items() if _inodes((target,)) == (inode_of[number],)]


def _sample_process(
    pid: int, limit: int, counts_are_known: bool, namespaces: dict[int, str], seed: int
) -> tuple[OwnerSample, int, int] | None:
    """The sample of one process, the number of descriptors found, and the number of look-ups.

    The sample is None if no descriptor is open. Adds to `namespaces` the network namespaces that the descriptors lead
    to.
    """
    found: tuple[OwnerSample, int, int] | None = None
    denied: PermissionError | None = None
    try:
        found = _sample_in(f"/proc/{pid}", pid, limit, counts_are_known, namespaces, seed)
    except PermissionError as error:
        denied = error
    if found is None and _has_lost_its_first_thread(pid):
        for thread in other_threads(pid)[:MAX_THREADS]:
            with suppress(OSError):  # the thread has ended, or is another user's
                found = _sample_in(thread, pid, limit, counts_are_known, namespaces, seed)
            if found is not None:
                return found
    if denied is not None:
        raise denied
    return found


def _has_lost_its_first_thread(pid: int) -> bool:
    """True if the first thread of a process has exited; its folder in procfs then has no descriptors (do_exit)."""
    with suppress(OSError):
        if os.stat(f"/proc/{pid}/task").st_nlink <= LONE_THREAD_LINKS:
            return False
        with open(f"/proc/{pid}/status", "rb") as file:
            return any(line.startswith(b"State:") and line.split()[1] == b"Z" for line in file)
    return False


def _sample_in(
    place: str, pid: int, limit: int, counts_are_known: bool, namespaces: dict[int, str], seed: int
) -> tuple[OwnerSample, int, int] | None:
    """The sample of a process from the descriptor table of one thread; `place` is the folder of the thread."""
    folder = os.open(f"{place}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    others: dict[int, str] = {}
    tries = span = table_size = 0
    try:
        opened: int | None = os.fstat(folder).st_size if counts_are_known else None
        if opened == 0:
            return None
        if opened is None and not _has_program(place):
            return None
        low, low_tries = _look_up(folder, range(LOW_NUMBERS), limit if opened is None else min(limit, opened))
        if opened is None or len(low) < opened:
            table_size = _table_size(place)
            is_small = (table_size if opened is None else opened) <= limit
            span = max(0, table_size - LOW_NUMBERS)
            most = table_size if limit == ALL else MAX_TRIES_FOR_ALL
            numbers: Iterable[int] = range(LOW_NUMBERS, min(table_size, most))
            if not is_small:
                numbers = _numbers(span, opened, limit, len(low), seed)
            wanted = min(limit, table_size if opened is None else opened) - len(low)
            others, tries = _look_up(folder, numbers, wanted)
            if is_small and opened is None:
                opened = len(low) + len(others)
    finally:
        os.close(folder)
    found = len(low) + len(others)
    is_whole = tries >= span if opened is None else found >= opened
    if opened is None:
        opened = len(low) + (round(len(others) * span / tries) if tries else 0)
    weight = 1.0 if is_whole or not others else (opened - len(low)) / len(others)
    low_inodes, other_inodes = _inodes(low.values()), _inodes(others.values())
    for descriptor, target in (*low.items(), *others.items()):
        namespace = namespace_number(target)
        if namespace is not None:
            namespaces.setdefault(namespace, f"{place}/fd/{descriptor}")
    if is_whole:
        low_inodes, other_inodes = low_inodes + other_inodes, ()
    may_have_sockets = bool(low_inodes or other_inodes) or not is_whole
    command = _command(pid) if may_have_sockets else ""
    limit_of_files = _max_descriptors(pid) if may_have_sockets and not _is_own(pid) else None
    below = None if limit_of_files is None else _below_limit(limit_of_files, low, others, opened, weight)
    numbered = {number: inode for number, target in others.items() for inode in _inodes((target,))}
    sample = OwnerSample(
        pid,
        command,
        opened,
        limit_of_files,
        is_whole,
        weight,
        low_inodes,
        other_inodes,
        below,
        numbered,
        place,
        table_size=table_size,
    )
    return sample, found, low_tries + tries


def _below_limit(
    limit: int, low: Collection[int], others: Collection[int], opened: int, weight: float
) -> DescriptorsBelowLimit | None:
    """The descriptors with a number below `limit`; None if all have one.

    `low` and `others` are the numbers of the descriptors that were found; each one in `others` stands for `weight`
    descriptors. Of a sample, the number is an estimate with twice its standard error, unless all numbers below the
    limit were looked up.
    """
    low_below = sum(number < limit for number in low)
    others_below = sum(number < limit for number in others)
    above = len(others) - others_below
    if low_below == len(low) and not above:
        return None
    number = min(limit, opened, low_below + round(weight * others_below))
    is_estimate = weight > 1.0 and above and limit > LOW_NUMBERS
    error = ceil(2 * weight * sqrt(max(1.0, others_below * above / len(others)))) if is_estimate else 0
    return DescriptorsBelowLimit(number, error)


def _numbers(span: int, opened: int | None, wanted: int, low: int, seed: int) -> Iterable[int]:
    """Random descriptors from `LOW_NUMBERS` up, so that each open descriptor is drawn with the same probability.

    For two tables, the same seed gives the same numbers in the part that both have, or the first of the same numbers.

    `span` is the number of entries in the descriptor table from `LOW_NUMBERS` up; `low` is the number of descriptors
    found so far.
    """
    tries = MAX_TRIES
    if opened is not None:
        tries = min(tries, SPARE_TRIES + 2 * (wanted - low) * span // (opened - low))
    end = LOW_NUMBERS + span
    drawn = _random_order(max(1 << (end - 1).bit_length(), SMALLEST_TABLE), seed)
    return [number for number in drawn if number < end][:tries]


@lru_cache(maxsize=32)
def _random_order(size: int, seed: int) -> Sequence[int]:
    """The first MAX_TRIES of the numbers from LOW_NUMBERS to `size`, a power of 2, in random order.

    The numbers below size / 2 stand in the order that the half size gives.
    """
    source = random.Random(f"{seed} {size}")
    half = size // 2
    if size == SMALLEST_TABLE:
        return source.sample(range(LOW_NUMBERS, size), size - LOW_NUMBERS)
    low, high = _random_order(half, seed), source.sample(range(half, size), min(half, MAX_TRIES))
    order: list[int] = []
    lows = highs = 0
    while len(order) < min(size - LOW_NUMBERS, MAX_TRIES):
        left = half - LOW_NUMBERS - lows
        if source.random() * (left + half - highs) < left:
            order.append(low[lows])
            lows += 1
        else:
            order.append(high[highs])
            highs += 1
    return order


def _has_program(place: str) -> bool:
    """True if a thread runs a program; a kernel thread has neither an executable nor descriptors."""
    try:
        os.readlink(f"{place}/exe")
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _look_up(folder: int, numbers: Iterable[int], wanted: int) -> tuple[dict[int, str], int]:
    """The link targets of the first `wanted` open descriptors in `numbers`, and the number of look-ups."""
    targets: dict[int, str] = {}
    tries = 0
    for number in numbers:
        if len(targets) >= wanted:
            break
        tries += 1
        try:
            targets[number] = os.readlink(str(number), dir_fd=folder)
        except FileNotFoundError:
            continue
    return targets, tries


def _inodes(targets: Iterable[str]) -> tuple[int, ...]:
    """The inode numbers of the sockets among the link targets, such as `socket:[123]` (net/socket.c, sockfs_dname)."""
    return tuple(
        int(target[8:-1])
        for target in targets
        if target.startswith("socket:[") and target.endswith("]") and target[8:-1].isdigit()
    )


def _table_size(place: str) -> int:
    """Number of entries in the table of descriptors: `FDSize` of the file status of a process or thread."""
    with open(f"{place}/status", "rb") as file:
        for line in file:
            if line.startswith(b"FDSize:"):
                return int(line.split()[1])
    return DEFAULT_TABLE_SIZE


def _is_own(pid: int) -> bool:
    """True if a process is this one; procfs may be that of another PID namespace, with other numbers."""
    return os.path.samefile("/proc/self", f"/proc/{pid}")


def _max_descriptors(pid: int) -> int | None:
    """The soft limit of open files of a process, from /proc/PID/limits (fs/proc/base.c, proc_pid_limits)."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/limits", "rb") as file:
        for line in file:
            if line.startswith(b"Max open files"):
                return int(line.split()[3])
    return None


def _command(pid: int) -> str:
    """The name of a process, of up to 15 characters; empty if the process has ended."""
    with suppress(OSError), open(f"/proc/{pid}/comm", "rb") as file:
        return os.fsdecode(file.read(64).rstrip(b"\n"))
    return ""
