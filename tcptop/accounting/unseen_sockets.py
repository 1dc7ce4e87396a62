"""Divides the sockets whose descriptors were not seen among the processes whose descriptors were sampled.

A process gets at most the sockets that its sample and its number of open descriptors can explain. The rest of the
sockets belongs to no process of the sample.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from math import inf, sqrt
from typing import NamedTuple

from tcptop.snapshot.socket_table import SocketProcess

ERRORS = 3.0
"""Number of standard errors by which a sample may be wrong.

A correct number of sockets exceeds this bound in about one of a thousand samples.
"""

ENOUGH_HITS = 5
"""If this many sockets of a group are expected in a sample, the sample very probably contains at least one of these
sockets.

The expected number is computed as if the sampled process had all sockets of the group. If five sockets are expected,
the probability that the sample contains none of the group's sockets is 0.7 % (Poisson).
"""

MAX_NEAR = 64
"""Maximum number of processes that have sockets of the same service, user and cgroup as an unseen group.

If too many processes have sockets of the same service, the unseen group is not divided among the processes.
"""

ROUNDING_SOCKETS = 0.5
"""Smaller differences between numbers of sockets are errors of rounding."""


class Unseen(NamedTuple):
    """Similar sockets whose descriptors were not seen."""

    sockets: int
    hits: Mapping[int, int]
    """Number of similar sockets in the random sample of each process, by PID."""
    near: Sequence[tuple[float, int]]
    """Processes with sockets of the same service, user and cgroup: the sockets that a descriptor of the sample may
    stand for, and the PID. The first process has the largest number."""


class Room(NamedTuple):
    """The sockets that a process may have among the descriptors that were not read."""

    weight: float
    """Number of descriptors that each descriptor of the sample stands for. If no descriptor was drawn, the number of
    descriptors that were not read."""
    drawn: float
    """Upper bound on the number of descriptors that were drawn at random."""
    expected: float
    """Estimate of the unread sockets, from all sockets in the sample."""
    most: float
    """Upper bound on the unread sockets."""


def find_rooms(sampled: Mapping[int, SocketProcess], hits: Mapping[int, int], are_counted: bool) -> dict[int, Room]:
    """The room of each sampled process.

    `hits` is the number of sockets in the random sample of each process. If `are_counted` is false, the kernel does not
    tell the number of open descriptors (before Linux 6.2), and the number is no upper bound.
    """
    return {pid: _room(process, hits.get(pid, 0), are_counted) for pid, process in sampled.items()}


def _room(process: SocketProcess, hits: int, are_counted: bool) -> Room:
    closed = max(0, process.descriptors - process.sockets_found)  # not known to be a socket
    weight = process.weight
    if weight <= 1:
        return Room(max(1.0, closed), 0.0, 0.0, float(closed))
    # The weight is (descriptors - low descriptors) / drawn descriptors.
    drawn = process.descriptors / weight if are_counted else inf
    expected = hits * (weight - 1)
    most = expected + _error(hits, drawn, weight)
    if are_counted:
        most = min(most, closed, process.descriptors - drawn)
    return Room(weight, drawn, min(expected, most), most)


def _error(hits: int, drawn: float, weight: float) -> float:
    """The number of unread sockets by which the estimate from a sample may be too low.

    The upper end of the Wilson interval; for an infinite number of drawn descriptors, that of Poisson's distribution.
    The bound holds for small numbers too. The last factor is the error of a number of unread descriptors, of which the
    sample is a part (hypergeometric distribution).
    """
    square = ERRORS * ERRORS
    drawn = max(drawn, hits, 1)
    if drawn == inf:
        excess = square / 2 + ERRORS * sqrt(hits + square / 4)
    else:
        upper = hits + square / 2 + ERRORS * sqrt(hits * (drawn - hits) / drawn + square / 4)
        excess = drawn * upper / (drawn + square) - hits
    return excess * sqrt(weight * (weight - 1))


Parts = dict[int, float]
"""Number of sockets by PID."""


def divide_unseen(groups: Sequence[Unseen], rooms: Mapping[int, Room]) -> list[tuple[Parts, set[int]]]:
    """For each group: the sockets of each process, and the processes that can have no more of the group's sockets.

    The sum over the processes is at most the sockets of the group. The sum over the groups is at most the `most` of the
    process.
    """
    parts, fitting = zip(*(_by_samples(group, rooms) for group in groups), strict=True)
    used = _used(parts)
    full = _keep_within(parts, used, rooms)
    # The sample of a process tells the sum over all groups more precisely than the sockets of each group.
    expected = {pid: room.expected for pid, room in rooms.items() if pid not in full}
    most = {pid: room.most for pid, room in rooms.items() if pid not in full}
    for group, each, fits in zip(groups, parts, fitting, strict=True):
        if not fits or full:
            _refill(each, group.sockets, used, expected)
    for group, each, fits in zip(groups, parts, fitting, strict=True):
        if fits and full:
            _refill(each, group.sockets, used, most)
    refused = _add_near(groups, parts, used, rooms)
    return [(each, {*group.hits, *pids}) for group, each, pids in zip(groups, parts, refused, strict=True)]


def _by_samples(group: Unseen, rooms: Mapping[int, Room]) -> tuple[Parts, bool]:
    """The parts of a group by the similar sockets in the samples, and whether the samples explain the whole group."""
    expected = {pid: number * (rooms[pid].weight - 1) for pid, number in group.hits.items() if rooms[pid].drawn}
    total = sum(expected.values())
    if not total:
        return {}, False
    fits = group.sockets <= total
    if not fits:
        # All samples may be wrong in the same direction: the same numbers are drawn in tables of the same size, and
        # similar processes have similar tables.
        fits = group.sockets <= total + sum(
            _error(group.hits[pid], rooms[pid].drawn, rooms[pid].weight) for pid in expected
        )
    scale = group.sockets / total if fits else 1.0
    return {pid: number * scale for pid, number in expected.items()}, fits


def _used(parts: Iterable[Parts]) -> Parts:
    used: Parts = defaultdict(float)
    for each in parts:
        for pid, number in each.items():
            used[pid] += number
    return used


def _keep_within(parts: Iterable[Parts], used: Parts, rooms: Mapping[int, Room]) -> Set[int]:
    """Makes the parts of a process smaller if their sum is more than the process can have; returns these processes.

    The sum is then the estimate from the sample, because the sample contradicts the sum.
    """
    scale_of = {
        pid: rooms[pid].expected / number for pid, number in used.items() if number > rooms[pid].most + ROUNDING_SOCKETS
    }
    for each in parts:
        for pid in each.keys() & scale_of.keys():
            each[pid] *= scale_of[pid]
    for pid in scale_of:
        used[pid] = rooms[pid].expected
    return scale_of.keys()


def _refill(parts: Parts, sockets: int, used: Parts, limits: Parts) -> None:
    """Divides what is missing in a group among those of its processes that have less than their limit."""
    missing = sockets - sum(parts.values())
    spare = {pid: limits[pid] - used[pid] for pid in parts if pid in limits and used[pid] < limits[pid]}
    if missing <= 0 or not spare:
        return
    scale = min(1.0, missing / sum(spare.values()))
    for pid, number in spare.items():
        parts[pid] += number * scale
        used[pid] += number * scale


def _add_near(
    groups: Sequence[Unseen], parts: Sequence[Parts], used: Parts, rooms: Mapping[int, Room]
) -> list[set[int]]:
    """Divides the rest of each group among processes with sockets of the same service, user and cgroup.

    A process whose sample would contain sockets of the rest is left out. Returns, for each group, the processes that
    cannot have all the sockets that they would get.
    """
    claims: list[Parts] = []
    for group, each in zip(groups, parts, strict=True):
        rest = group.sockets - sum(each.values())
        # If a process had all sockets of the rest, the expected number of these sockets in the sample of the process
        # would be the number of sockets ÷ the weight of the process. If the expected number is at least ENOUGH_HITS,
        # the process is left out, because the sample contains no socket of the group.
        found = [pid for weight, pid in group.near if weight > rest / ENOUGH_HITS and pid not in each]
        found = found if rest >= ROUNDING_SOCKETS and len(found) <= MAX_NEAR else []
        weights = {pid: max(0.0, rooms[pid].expected - used.get(pid, 0.0)) + rooms[pid].weight for pid in found}
        total = sum(weights.values())
        claims.append({pid: rest * weight / total for pid, weight in weights.items()})
    scale_of: dict[int, float] = {}
    for pid, claimed in _used(claims).items():
        room = rooms[pid]
        if claimed > room.most - used.get(pid, 0.0) + ROUNDING_SOCKETS:
            scale_of[pid] = min(1.0, max(0.0, room.expected - used.get(pid, 0.0)) / claimed)
    for each, claim in zip(parts, claims, strict=True):
        for pid, number in claim.items():
            kept = number * scale_of.get(pid, 1.0)
            if kept:
                each[pid] = kept
    return [claim.keys() & scale_of.keys() for claim in claims]
