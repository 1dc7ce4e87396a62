"""Owners of the groups of a socket table; sockets whose descriptors were not seen are divided among the processes.

A look reads at most 64 descriptors of a process, drawn at random (a sample). Sockets of a process whose descriptors
were not read are in groups whose owner is `unseen`. Each unseen group is divided among the processes that have similar
sockets in their samples.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import NamedTuple

from tcptop.ledger.holders import Holder, HolderGroup, HolderKind
from tcptop.snapshot.socket_table import AF_INET6, Listener, SocketGroup, SocketProcess, SocketTable

ENOUGH_HITS = 5
"""If this many sockets of a group are expected in a sample, the sample very probably contains at least one of these
sockets.

The expected number is computed as if the sampled process had all sockets of the group. If five sockets are expected,
the probability that the sample contains none of the group's sockets is 0.7 % (Poisson).
"""

MAX_NEAR = 64
"""Maximum number of processes that have sockets of the same user and cgroup as an unseen group.

If too many processes have sockets of the same user and cgroup, the unseen group is not divided among the processes.
"""

LATE_SHARE = 0.1
"""Maximum of a ratio: the sockets of an unseen group ÷ the similar sockets of processes whose descriptors were all
read.

Up to this ratio, the unseen group is divided among the processes with similar sockets. The processes may have opened
the unseen sockets after tcptop read the descriptors, but before the dump.
"""

AMOUNTS = SocketGroup._fields[SocketGroup._fields.index("sockets") : SocketGroup._fields.index("peer")]

ORPHAN_STATES = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "CLOSE"})

NOT_SEEN = Holder("not_seen", None, "", False)
NO_PROCESS = Holder("no_process", None, "", False)


class OwnedGroup(NamedTuple):
    """A group of sockets and one of its owners: `holder` owns the share `share` (above 0, up to 1) of the group."""

    group: SocketGroup
    holder: Holder
    share: float


_Like = tuple[object, ...]

_Port = tuple[int, int | None]
"""A network namespace and a port."""


def owned_groups(table: SocketTable) -> Iterator[OwnedGroup]:
    """Every group of the table with its owners. The shares of all owners of a group add up to 1."""
    alike: dict[_Like, list[SocketGroup]] = defaultdict(list)
    near: dict[_Like, set[int]] = defaultdict(set)
    for group in table.groups:
        alike[_key(group)].append(group)
        if group.pid is not None:
            near[_near(group)].add(group.pid)
    unread_in = {each.inode: each.counters.get("unread_processes", 0) for each in table.namespaces}
    listeners = _listeners_by_port(table)
    sampled = {pid: process for pid, process in table.process_of.items() if not process.is_whole}
    heaviest = {
        key: nlargest(MAX_NEAR + 1, ((sampled[pid].weight, pid) for pid in pids if pid in sampled))
        for key, pids in near.items()
    }
    largest_weight = _largest_weights(table.groups, sampled)
    for groups in alike.values():
        unseen = [group for group in groups if group.owner == "unseen"]
        for group in groups:
            if group.owner == "none":
                yield from _without_inode(group, listeners, table.process_of)
            elif group.pid is not None:
                is_estimated = bool(unseen) and group.pid in sampled
                yield OwnedGroup(group, _process(group.pid, table.process_of, is_estimated), 1.0)
        if not unseen:
            continue
        group = _added(unseen)
        weights = _expected(groups, sampled)
        if not weights:
            # If a process had all sockets of the group, the expected number of these sockets in the sample of the
            # process would be the number of sockets ÷ the weight of the process. If the expected number is at least
            # ENOUGH_HITS, the process is left out, because the sample contains no socket of the group.
            least_weight = group.sockets / ENOUGH_HITS
            weights = {pid: weight for weight, pid in heaviest.get(_near(group), ()) if weight > least_weight}
            weights = weights if len(weights) <= MAX_NEAR else {}
            weights = weights or _opened_since(group, groups)
            if not weights:
                is_nobodys = largest_weight(group.namespace) <= least_weight and not unread_in.get(group.namespace, 0)
                yield OwnedGroup(group, NO_PROCESS if is_nobodys else NOT_SEEN, 1.0)
                continue
        total = sum(weights.values())
        for pid in sorted(weights):
            yield OwnedGroup(group, _process(pid, table.process_of, True), weights[pid] / total)


def _largest_weights(groups: Iterable[SocketGroup], sampled: Mapping[int, SocketProcess]) -> Callable[[int], float]:
    """Returns a function from a network namespace to a weight.

    The weight is the maximum of the weights of those processes that may have unseen sockets in the namespace.

    A process may have unseen sockets in its own namespace, and in the namespaces of the sockets in its sample.
    """
    weight_in: dict[int, float] = defaultdict(float)
    placed = {(pid, process.namespace) for pid, process in sampled.items() if process.namespace is not None}
    placed |= {(group.pid, group.namespace) for group in groups if group.pid is not None and group.pid in sampled}
    for pid, namespace in placed:
        weight_in[namespace] = max(weight_in[namespace], sampled[pid].weight)
    elsewhere = {pid for pid, _ in placed}
    anywhere = max((process.weight for pid, process in sampled.items() if pid not in elsewhere), default=0.0)
    return lambda namespace: max(anywhere, weight_in.get(namespace, 0.0))


def _added(groups: Sequence[SocketGroup]) -> SocketGroup:
    """One group whose amounts are the sums over all the groups."""
    return groups[0]._replace(**{name: sum(getattr(group, name) for group in groups) for name in AMOUNTS})


def listener_owner(listener: Listener, table: SocketTable) -> Holder:
    """The owner of a listener.

    The owner of a listener without a known process is `not_seen` if some descriptors were not read, otherwise
    `no_process`.
    """
    if listener.pid is not None:
        return _process(listener.pid, table.process_of, False)
    unread = sum(each.counters.get("unread_processes", 0) for each in table.namespaces)
    is_seen = not unread and all(process.is_whole for process in table.process_of.values())
    return NO_PROCESS if is_seen else NOT_SEEN


def _key(group: SocketGroup) -> _Like:
    """The values that are equal in similar groups; the owners of similar groups may differ."""
    return (*group[: SocketGroup._fields.index("owner")], group.peer)


def _near(group: SocketGroup) -> _Like:
    return group.namespace, group.uid, group.cgroup


def _expected(groups: Iterable[SocketGroup], sampled: Mapping[int, SocketProcess]) -> dict[int, float]:
    """For each sampled process: the expected number of the process's sockets outside the sample.

    Only sockets that are similar to the sockets of `groups` are counted.
    """
    drawn = [(group.pid, group.sockets) for group in groups if group.owner == "sampled" and group.pid in sampled]
    return {
        pid: number * (sampled[pid].weight - 1) for pid, number in drawn if pid is not None and sampled[pid].weight > 1
    }


def _opened_since(group: SocketGroup, groups: Iterable[SocketGroup]) -> dict[int, float]:
    """Processes whose descriptors were all read, with sockets like those of `group`; empty if `group` is too large."""
    whole = {each.pid: float(each.sockets) for each in groups if each.owner == "whole" and each.pid is not None}
    return whole if group.sockets <= LATE_SHARE * sum(whole.values()) else {}


def _process(pid: int, process_of: Mapping[int, SocketProcess], is_estimated: bool) -> Holder:
    process = process_of.get(pid)
    return Holder("process", pid, process.command if process else "", is_estimated)


def _without_inode(
    group: SocketGroup, listeners: Mapping[_Port, Sequence[Listener]], process_of: Mapping[int, SocketProcess]
) -> Iterator[OwnedGroup]:
    """The owners of sockets without an inode; the state of the sockets tells who the owners are.

    Sockets in an accept queue belong to the processes of the listeners.
    """
    kind: HolderKind = "queue"
    if group.is_mini:
        kind = "kernel"
    elif group.state == "SYN_RECV":
        kind = "handshake"
    elif group.state in ORPHAN_STATES:
        kind = "orphan"
    waiting: Mapping[int | None, int] = {None: 1}
    if kind == "queue":
        waiting = _waiting(queue_listeners(group, listeners)) or waiting
    total = sum(waiting.values())
    for pid, number in waiting.items():
        process = None if pid is None else process_of.get(pid)
        holder = Holder(kind, pid, process.command if process else "", len(waiting) > 1)
        yield OwnedGroup(group, holder, number / total)


def _listeners_by_port(table: SocketTable) -> Mapping[_Port, Sequence[Listener]]:
    listeners: dict[_Port, list[Listener]] = defaultdict(list)
    for listener in table.listeners:
        listeners[listener.namespace, listener.port].append(listener)
    return listeners


def queue_listeners(
    group: SocketGroup | HolderGroup, listeners: Mapping[_Port, Sequence[Listener]]
) -> Sequence[Listener]:
    """The listeners in whose queues a group's sockets may wait.

    A socket inherits the family and the cgroup of its listener (sk_clone, cgroup_sk_clone). If no listener on the port
    has the socket's family, the result is the IPv6 listeners, which accept IPv4 too. The cgroup is ignored if no
    listener has the socket's cgroup: the socket's own listener was moved to another cgroup, or is closed.
    """
    found = listeners.get((group.namespace, group.port), ())
    found = [each for each in found if each.family == group.family] or [
        each for each in found if each.family == AF_INET6
    ]
    return [each for each in found if each.cgroup == group.cgroup] or found


def _waiting(listeners: Iterable[Listener]) -> Mapping[int | None, int]:
    """The number of connections that wait for each process; if no connection waits, 1 for each process."""
    waiting: Counter[int | None] = Counter()
    for listener in listeners:
        waiting[listener.pid] += listener.queue
    return {pid: number for pid, number in waiting.items() if number} or dict.fromkeys(waiting, 1)
