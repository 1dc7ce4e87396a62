"""Owners of the groups of a socket table; sockets whose descriptors were not seen are divided among the processes.

A look reads 64 descriptors of a process, or some more, drawn at random (a sample). Sockets of a process whose
descriptors were not read are in groups whose owner is `unseen`. Each unseen group is divided among the processes that
have similar sockets in their samples, or sockets of the same service in another state; what they cannot have belongs to
no process, or to a process that was not seen.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import NamedTuple

from tcptop.accounting.unseen_sockets import ENOUGH_HITS, MAX_NEAR, Parts, Room, Unseen, divide_unseen, find_rooms
from tcptop.ledger.holders import Holder, HolderGroup, HolderKind
from tcptop.snapshot.socket_table import AF_INET6, Listener, SocketGroup, SocketProcess, SocketTable

LATE_SHARE = 0.1
"""Maximum of a ratio: the sockets of an unseen group ÷ the similar sockets of processes whose descriptors were all
read.

Up to this ratio, the unseen group is divided among the processes with similar sockets. The processes may have opened
the unseen sockets after tcptop read the descriptors, but before the dump. Sockets that would be more than the
descriptors of a process are not seen.
"""

NO_SOCKETS = 1e-6
"""Less than this number of sockets is an error of the computation."""

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


def owned_groups(table: SocketTable, are_counted: bool = True) -> Iterator[OwnedGroup]:
    """Every group of the table with its owners. The shares of all owners of a group add up to 1.

    `are_counted` tells that the kernel counts the open descriptors of a process (since Linux 6.2). The sockets of a
    sampled process are then at most its descriptors.
    """
    alike: dict[_Like, list[SocketGroup]] = defaultdict(list)
    near: dict[_Like, set[int]] = defaultdict(set)
    for group in table.groups:
        alike[_key(group)].append(group)
        if group.pid is not None:
            near[_near(group)].add(group.pid)
    listeners = _listeners_by_port(table)
    sampled = {pid: process for pid, process in table.process_of.items() if not process.is_whole}
    unseen_in: list[tuple[SocketGroup, list[SocketGroup]]] = []
    for groups in alike.values():
        unseen = [group for group in groups if group.owner == "unseen"]
        for group in groups:
            if group.owner == "none":
                yield from _without_inode(group, listeners, table.process_of)
            elif group.pid is not None:
                is_estimated = bool(unseen) and group.pid in sampled
                yield OwnedGroup(group, _process(group.pid, table.process_of, is_estimated), 1.0)
        if unseen:
            unseen_in.append((_added(unseen), groups))
    if not unseen_in:
        return
    rooms = find_rooms(sampled, _sampled_sockets(table.groups, sampled), are_counted)
    heaviest = {
        key: nlargest(MAX_NEAR + 1, ((rooms[pid].weight, pid) for pid in pids if pid in rooms))
        for key, pids in near.items()
    }
    divided = divide_unseen(
        [
            Unseen(
                group.sockets,
                _sampled_sockets(groups, rooms),
                () if table.hidden_by else heaviest.get(_near(group), ()),
            )
            for group, groups in unseen_in
        ],
        rooms,
    )
    left = {
        pid: float(max(0, process.descriptors - process.sockets_found))
        for pid, process in table.process_of.items()
        if process.is_whole
    }
    unread_in = {each.inode: each.counters.get("unread_processes", 0) for each in table.namespaces}
    largest_weight = _largest_weights(table.groups, sampled, rooms)
    opened = _opened_since_counters(table)
    for (group, groups), (parts, full) in zip(unseen_in, divided, strict=True):
        if not table.hidden_by:  # otherwise the sockets may as well be those of a hidden process
            parts = parts or _opened_since(group, groups, left)
        for pid in sorted(parts):
            yield OwnedGroup(group, _process(pid, table.process_of, True), parts[pid] / group.sockets)
        rest = group.sockets - sum(parts.values())
        if rest < NO_SOCKETS:
            continue
        is_nobodys = (
            not table.hidden_by
            and rest - opened > LATE_SHARE * _known(groups, parts)
            and largest_weight(group.namespace, full) <= rest / ENOUGH_HITS
            and not unread_in.get(group.namespace, 0)
        )
        holder = NO_PROCESS if is_nobodys else NOT_SEEN
        yield OwnedGroup(group, holder._replace(is_estimated=bool(parts)), rest / group.sockets)


def _opened_since_counters(table: SocketTable) -> int:
    """The least number of sockets that were opened while the descriptors were read: a process may have any of them.

    The counter `alloc_before` was read before the descriptors, and the sockets after them. The number is 0 if it is
    unknown.
    """
    of_machine = (each.counters.get("alloc_before") for each in table.namespaces)
    allocated = next((number for number in of_machine if number is not None), None)
    found = len(table.listeners) + sum(group.sockets for group in table.groups if group.is_full)
    return 0 if allocated is None else max(0, found - allocated)


def _largest_weights(
    groups: Iterable[SocketGroup], sampled: Mapping[int, SocketProcess], rooms: Mapping[int, Room]
) -> Callable[[int, Collection[int]], float]:
    """Returns a function from a network namespace, and processes to be left out, to a weight.

    The weight is the maximum of the weights of those processes that may have unseen sockets in the namespace.

    A process may have unseen sockets in its own namespace, and in the namespaces of the sockets in its sample.
    """
    placed = {(pid, process.namespace) for pid, process in sampled.items() if process.namespace is not None}
    placed |= {(group.pid, group.namespace) for group in groups if group.pid is not None and group.pid in sampled}
    pids_in: dict[int, set[int]] = defaultdict(set)
    for pid, namespace in placed:
        pids_in[namespace].add(pid)
    anywhere = sampled.keys() - {pid for pid, _ in placed}
    sorted_in: dict[int, list[tuple[float, int]]] = {}

    def largest(namespace: int, without: Collection[int]) -> float:
        if namespace not in sorted_in:
            pids = anywhere | pids_in.get(namespace, set())
            sorted_in[namespace] = sorted(((rooms[pid].weight, pid) for pid in pids), reverse=True)
        return next((weight for weight, pid in sorted_in[namespace] if pid not in without), 0.0)

    return largest


def _sampled_sockets(groups: Iterable[SocketGroup], sampled: Collection[int]) -> Mapping[int, int]:
    """Number of the sockets of `groups` in the random sample of each process."""
    found: Counter[int] = Counter()
    for group in groups:
        if group.owner == "sampled" and group.pid is not None and group.pid in sampled:
            found[group.pid] += group.sockets
    return found


def _known(groups: Iterable[SocketGroup], parts: Parts) -> float:
    """Number of the sockets of `groups` that processes have."""
    return sum(group.sockets for group in groups if group.pid is not None) + sum(parts.values())


def _added(groups: Sequence[SocketGroup]) -> SocketGroup:
    """One group whose amounts are the sums over all the groups."""
    return groups[0]._replace(**{name: sum(getattr(group, name) for group in groups) for name in AMOUNTS})


def listener_owner(listener: Listener, table: SocketTable) -> Holder:
    """The owner of a listener.

    The owner of a listener without a known process is `not_seen` if some descriptors were not read, or if processes
    were hidden; otherwise `no_process`.
    """
    if listener.pid is not None:
        return _process(listener.pid, table.process_of, False)
    unread = sum(each.counters.get("unread_processes", 0) for each in table.namespaces)
    is_seen = not unread and not table.hidden_by and all(process.is_whole for process in table.process_of.values())
    return NO_PROCESS if is_seen else NOT_SEEN


def _key(group: SocketGroup) -> _Like:
    """The values that are equal in similar groups; the owners of similar groups may differ."""
    return (*group[: SocketGroup._fields.index("owner")], group.peer)


def _near(group: SocketGroup) -> _Like:
    """The values that are equal in sockets of one service and user, which may differ in their state and family."""
    return group.namespace, group.is_server, group.port, group.uid, group.cgroup


def _opened_since(group: SocketGroup, groups: Iterable[SocketGroup], left: Parts) -> Parts:
    """The sockets of `group` by process, for processes whose descriptors were all read, with sockets like these.

    Empty if `group` is too large. `left` is the number of descriptors of each of these processes that are no sockets.
    The process gets at most this number, which becomes smaller by the sockets that the process gets.
    """
    whole = [(each.pid, each.sockets) for each in groups if each.pid is not None and each.pid in left]
    total = sum(number for _, number in whole)
    parts: Parts = {}
    if group.sockets <= LATE_SHARE * total:
        for pid, number in whole:
            part = min(group.sockets * number / total, left[pid])
            if part:
                parts[pid] = parts.get(pid, 0.0) + part
                left[pid] -= part
    return parts


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
    elif group.is_request:
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
