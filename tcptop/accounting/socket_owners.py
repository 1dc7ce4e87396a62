"""Owners of the groups of a socket table: sockets of unseen descriptors are shared out among the processes.

A look finds at most 64 descriptors of a process, drawn at random. The rest of a process's sockets are in groups whose
owner is `unseen`. Each such group is shared out among the processes whose sample has sockets like it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import NamedTuple

from tcptop.ledger.holders import Holder, HolderKind
from tcptop.snapshot.socket_table import Listener, SocketGroup, SocketProcess, SocketTable

ENOUGH_HITS = 5
"""Sockets of a group that a sample would contain, on average, if its process had the whole group.

With five on average, a sample without any has a probability of 0.7 % (Poisson)."""

MAX_NEAR = 64
"""Most processes that an unseen group is shared out among because they have sockets of its user and cgroup."""

LATE_SHARE = 0.1
"""Largest share of a group that was opened between the sample and the dump, in a process that was looked up whole."""

AMOUNTS = SocketGroup._fields[SocketGroup._fields.index("sockets") : SocketGroup._fields.index("peer")]

ORPHAN_STATES = frozenset({"FIN_WAIT1", "FIN_WAIT2", "CLOSING", "LAST_ACK", "CLOSE"})

NOT_SEEN = Holder("not_seen", None, "", False)
NO_PROCESS = Holder("no_process", None, "", False)


class OwnedGroup(NamedTuple):
    """A part of a group of sockets: `share` of it belongs to `holder`."""

    group: SocketGroup
    holder: Holder
    share: float


_Like = tuple[object, ...]


def owned_groups(table: SocketTable) -> Iterator[OwnedGroup]:
    """Every group with its owner. The shares of a group add up to 1."""
    alike: dict[_Like, list[SocketGroup]] = defaultdict(list)
    near: dict[_Like, set[int]] = defaultdict(set)
    for group in table.groups:
        alike[_key(group)].append(group)
        if group.pid is not None:
            near[_near(group)].add(group.pid)
    unread_in = {each.inode: each.counters.get("unread_processes", 0) for each in table.namespaces}
    queue_owner = _queue_owners(table)
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
                yield OwnedGroup(group, _without_inode(group, queue_owner), 1.0)
            elif group.pid is not None:
                is_estimated = bool(unseen) and group.pid in sampled
                yield OwnedGroup(group, _process(group.pid, table.process_of, is_estimated), 1.0)
        if not unseen:
            continue
        group = _added(unseen)
        weights = _expected(groups, sampled)
        if not weights:
            # A process whose sample would have had some of them, had it all of them, is left out.
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
    """The largest weight of the processes that may have unseen sockets of a network namespace.

    A process has sockets of the namespace that it is in, and of those that its sample has sockets of.
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
    """One group with the amounts of all."""
    return groups[0]._replace(**{name: sum(getattr(group, name) for group in groups) for name in AMOUNTS})


def listener_owner(listener: Listener, table: SocketTable) -> Holder:
    """The owner of a listener; of one without a known process, whether a process may have it."""
    if listener.pid is not None:
        return _process(listener.pid, table.process_of, False)
    unread = sum(each.counters.get("unread_processes", 0) for each in table.namespaces)
    is_seen = not unread and all(process.is_whole for process in table.process_of.values())
    return NO_PROCESS if is_seen else NOT_SEEN


def _key(group: SocketGroup) -> _Like:
    """What a group has in common with the groups of other owners."""
    return (*group[: SocketGroup._fields.index("owner")], group.peer)


def _near(group: SocketGroup) -> _Like:
    return group.namespace, group.uid, group.cgroup


def _expected(groups: Iterable[SocketGroup], sampled: Mapping[int, SocketProcess]) -> dict[int, float]:
    """Number of further sockets of this kind that each process is expected to have, from its sample."""
    drawn = [(group.pid, group.sockets) for group in groups if group.owner == "sampled" and group.pid in sampled]
    return {
        pid: number * (sampled[pid].weight - 1) for pid, number in drawn if pid is not None and sampled[pid].weight > 1
    }


def _opened_since(group: SocketGroup, groups: Iterable[SocketGroup]) -> dict[int, float]:
    """Processes that were looked up whole and have sockets like these, if these are few beside them."""
    whole = {each.pid: float(each.sockets) for each in groups if each.owner == "whole" and each.pid is not None}
    return whole if group.sockets <= LATE_SHARE * sum(whole.values()) else {}


def _process(pid: int, process_of: Mapping[int, SocketProcess], is_estimated: bool) -> Holder:
    process = process_of.get(pid)
    return Holder("process", pid, process.command if process else "", is_estimated)


def _without_inode(group: SocketGroup, queue_owner: Mapping[tuple[int, int | None], Holder]) -> Holder:
    """The owner of sockets without an inode, which follows from their state."""
    kind: HolderKind = "queue"
    if group.is_mini:
        kind = "kernel"
    elif group.state == "SYN_RECV":
        kind = "handshake"
    elif group.state in ORPHAN_STATES:
        kind = "orphan"
    unknown = Holder(kind, None, "", False)
    return queue_owner.get((group.namespace, group.port), unknown) if kind == "queue" else unknown


def _queue_owners(table: SocketTable) -> dict[tuple[int, int | None], Holder]:
    """The owner of the accept queue of each port; of several listeners, the one with the most connections waiting."""
    owners: dict[tuple[int, int | None], Holder] = {}
    for listener in sorted(table.listeners, key=lambda each: each.queue):
        process = None if listener.pid is None else table.process_of.get(listener.pid)
        command = process.command if process else ""
        owners[listener.namespace, listener.port] = Holder("queue", listener.pid, command, False)
    return owners
