"""Verdicts: warnings about sockets that an administrator should look at, with thresholds as data."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tcptop.ledger.holders import ONE_LOOK, WHILE_READ, HolderGroup, HolderSums, HolderVerdict
from tcptop.ledger.limits import NEARLY_REACHED_SHARE
from tcptop.snapshot.socket_table import Listener, SocketNamespace, SocketProcess, SocketTable, is_elsewhere
from tcptop.text.units import counted, grouped, short_size

MIN_SOCKETS = 100
"""Minimum number of sockets for a verdict on CLOSE_WAIT, or on sockets that no process has."""
BUFFER_SHARE = 0.01
"""Minimum bytes of orphans or of unread data for a verdict, as a share of tcp_mem's third value (the maximum)."""
ORPHAN_SHARE = 0.25
"""Minimum number of orphans for a verdict, as a share of tcp_max_orphans. At this share and above, the kernel may reset
orphans, because the kernel counts a retransmitting orphan up to four times (tcp_out_of_resources). A smaller number of
orphans is normal."""
TIME_WAIT_SHARE = 0.5
NOFILE_SHARE = 0.8
"""Minimum number of open files of a process for a verdict, as a share of the process's limit (RLIMIT_NOFILE)."""
PORTS_SHARE = 0.8
"""Minimum number of sockets to one remote port for a verdict, as a share of the local ports."""
UNHASHED_SHARE = 0.01


class VerdictLimits(NamedTuple):
    """The kernel's limits with which figures are compared for verdicts; None if unknown."""

    max_buffer_bytes: int | None
    max_orphans: int | None
    local_ports: int | None = None
    """The local ports from which connect() chooses, in the network namespace of the user."""


class Candidate(NamedTuple):
    """A possible verdict.

    `key` says what the verdict is about. `measure` is compared with the measure that had the same key in the previous
    reading of the sockets.
    """

    key: tuple[object, ...]
    measure: float
    verdict: HolderVerdict


Look = tuple[SocketTable, tuple[HolderGroup, ...], HolderSums]

IN_TWO_LOOKS = frozenset({"close_wait", "unread", "no_process", "in_no_hash"})
"""Kinds of verdicts that need two looks (two readings of all sockets). If `measure` has become smaller since the
previous reading of the sockets, no verdict is given."""

IF_GROWN: Mapping[str, tuple[str, str, str]] = {
    "TCPReqQFullDrop": ("SYN queue full, ", "handshake", " dropped"),
    "TCPReqQFullDoCookies": ("SYN queue full, ", "cookie", " sent: this costs no memory"),
    "TCPTimeWaitOverflow": ("", "connection", " skipped TIME_WAIT: tcp_max_tw_buckets is reached"),
}
"""For each counter, three parts of the verdict's text: the start, a noun for the counted things, and the end.

A verdict is given if the counter of a namespace has grown since the previous reading of the sockets."""

VERDICT_KINDS: Sequence[str] = (
    *("queue_full", "nofile", "ports", "orphans", "unread", "close_wait", "no_process", "in_no_hash"),
    *("TCPReqQFullDrop", "queue_near", "TCPTimeWaitOverflow", "time_wait", "TCPReqQFullDoCookies"),
)
"""All kinds of verdicts, from the most urgent to the least urgent."""

REMEDIES: Mapping[str, str] = {
    "queue_full": "accept(2) faster, or a larger backlog of listen(2) and net.core.somaxconn",
    "nofile": "raise ulimit -n (LimitNOFILE= of systemd), and restart the program",
    "ports": "reuse connections, widen ip_local_port_range, or use further addresses",
    "orphans": "wait for the peers, or lower net.ipv4.tcp_orphan_retries (0 means 8)",
    "unread": "the program must read or close(2) them",
    "close_wait": "the program must close(2) them",
    "TCPReqQFullDrop": "net.ipv4.tcp_syncookies 1, or a larger backlog of listen(2) and net.core.somaxconn",
}
"""What to do about each kind of verdict; kinds without a remedy that always helps are left out."""


def find_verdicts(now: Look, before: Look | None, limits: VerdictLimits) -> tuple[HolderVerdict, ...]:
    """The verdicts on one reading of all sockets, the most urgent first.

    If there is no previous reading of the sockets, the texts of verdicts that need two readings end in `(one look)`.
    """
    earlier = None if before is None else {each.key: each.measure for each in _candidates(before, limits)}
    verdicts: list[HolderVerdict] = []
    for key, measure, verdict in _candidates(now, limits):
        if verdict.kind not in IN_TWO_LOOKS:
            verdicts.append(verdict)
        elif earlier is None:
            verdicts.append(verdict._replace(text=f"{verdict.text} {ONE_LOOK}"))
        elif measure >= earlier.get(key, measure + 1):
            verdicts.append(verdict)
    verdicts += _full_queues(now[0], None if before is None else before[0])
    verdicts += _near_queue(now[0])
    if before is not None:
        verdicts += _grown_counters(now[0], before[0])
    verdicts.sort(key=lambda each: (VERDICT_KINDS.index(each.kind), -(each.bytes or each.sockets or 0)))
    return tuple(each._replace(remedy=REMEDIES.get(each.kind, "")) for each in verdicts)


def _candidates(look: Look, limits: VerdictLimits) -> Iterator[Candidate]:
    for find in FINDERS:
        yield from find(look, limits)


def holder_name(group: HolderGroup) -> str:
    """Writes a process as `name[pid]`, as ss and pstree do."""
    return f"{group.holder.command or '?'}[{group.holder.pid}]"


def _close_wait(look: Look, _: VerdictLimits) -> Iterator[Candidate]:
    for groups in _by_process(look[1], lambda group: group.state == "CLOSE_WAIT"):
        count = sum(group.sockets for group in groups)
        if count >= MIN_SOCKETS:
            is_seen = groups[0].holder.kind == "process"
            start = f"{holder_name(groups[0])} holds " if is_seen else ""
            end = " that the peer has closed" + ("" if is_seen else f", {_unseen_owner(look[0])}")
            yield _candidate("close_wait", look, groups, count, start, "socket", end)


def _unread(look: Look, limits: VerdictLimits) -> Iterator[Candidate]:
    if limits.max_buffer_bytes is None:
        return
    for groups in _by_process(look[1], lambda group: group.unread_bytes > 0, by_service=True):
        unread_bytes = sum(group.unread_bytes for group in groups)
        if unread_bytes > BUFFER_SHARE * limits.max_buffer_bytes:
            size = short_size(unread_bytes)
            if groups[0].holder.kind == "process":
                start = f"{holder_name(groups[0])} leaves {size} unread in "
                yield _candidate("unread", look, groups, unread_bytes, start, "socket")
                continue
            end = f" with {size} unread, {_unseen_owner(look[0])}"
            found = _candidate("unread", look, groups, unread_bytes, "", "socket", end)
            port = groups[0].port
            verdict = found.verdict._replace(port=port)
            yield found._replace(key=(*found.key, groups[0].is_server, port), verdict=verdict)


def _unseen_owner(table: SocketTable) -> str:
    """The end of a verdict on sockets whose owner was not seen."""
    hint = "; root sees it" if table.unread_processes and not table.hidden_by else ""
    return f"of an owner that is not visible{hint}"


def _orphans(look: Look, limits: VerdictLimits) -> Iterator[Candidate]:
    groups = [group for group in look[1] if group.holder.kind == "orphan"]
    unsent_bytes = sum(group.unsent_bytes for group in groups)
    count = sum(group.sockets for group in groups)
    charged_bytes = look[2].charged(unsent_bytes, unsent_bytes).high
    holds_much = limits.max_buffer_bytes is not None and charged_bytes > BUFFER_SHARE * limits.max_buffer_bytes
    if holds_much or ((limits.max_orphans or 0) > 0 and count > ORPHAN_SHARE * (limits.max_orphans or 0)):
        end = f" {'holds' if count == 1 else 'hold'} {short_size(unsent_bytes)} unsent"
        yield _candidate("orphans", look, groups, unsent_bytes, "", "orphan", end)


def _no_process(look: Look, _: VerdictLimits) -> Iterator[Candidate]:
    by_namespace: dict[int, list[HolderGroup]] = defaultdict(list)
    for group in look[1]:
        if group.holder.kind == "no_process":
            by_namespace[group.namespace].append(group)
    for groups in by_namespace.values():
        count = sum(group.sockets for group in groups)
        if count >= MIN_SOCKETS:
            moved = f"{WHILE_READ}, " if look[2].came_or_went else ""
            end = f" that no process has: {moved}in flight, in io_uring, in a thread's own table, or the kernel's"
            yield _candidate("no_process", look, groups, count, "", "socket", end)


def why_in_no_dump(sums: HolderSums) -> str:
    """The possible reasons why sockets are in no dump, and how many of them wait in accept queues.

    An accept queue may change between the read of the listeners and the dump, so the number has the sign `≈`.
    """
    queued, number = sums.queued_ended or 0, sums.in_no_hash or 0
    moved = WHILE_READ if sums.came_or_went else ""
    reasons = "never connected, ended (reset, timed out) but still held, or in a hidden netns"
    reasons = f"{moved}, {reasons}" if moved else reasons
    if not queued:
        return reasons
    waiting = f"≈ {grouped(queued)} ended in an accept queue, by its listener's count"
    if queued == number:
        return f"{waiting}, or {moved}" if moved else waiting
    return f"{waiting}; the others {reasons}"


def _in_no_hash(look: Look, _: VerdictLimits) -> Iterator[Candidate]:
    sums = look[2]
    number = sums.in_no_hash
    if number is not None and number > max(MIN_SOCKETS, UNHASHED_SHARE * (sums.allocated or 0)):
        text = f"{grouped(number)} sockets are in no dump: {why_in_no_dump(sums)}"
        verdict = HolderVerdict("in_no_hash", text, number, None)
        yield Candidate(("in_no_hash",), number, verdict)


def _time_wait(look: Look, _: VerdictLimits) -> Iterator[Candidate]:
    of_each = look[2].time_wait_scope == "here"
    for namespace in look[0].namespaces if of_each else look[0].namespaces[:1]:
        number, most = namespace.counters.get("tw", 0), namespace.counters.get("tcp_max_tw_buckets", 0)
        if most > 0 and number > TIME_WAIT_SHARE * most:
            where = _where(namespace) if of_each else " of the machine"
            states = "TIME_WAIT or FIN_WAIT2 (closed)"
            text = f"{grouped(number)} mini-sockets{where}, of at most {grouped(most)}, in {states}"
            place = namespace.inode if of_each else None
            yield Candidate(("time_wait", place), number, HolderVerdict("time_wait", text, number, None, None, place))


def _nofile(look: Look, _: VerdictLimits) -> Iterator[Candidate]:
    for process in _meant_processes(look):
        number, most = process.limited_descriptors, process.max_descriptors
        if most and process.opens_files and number - process.below_limit_error > NOFILE_SHARE * most:
            groups = [group for group in look[1] if group.holder.kind == "process" and group.holder.pid == process.pid]
            sockets = sum(group.sockets for group in groups)
            named = f"{process.command}[{process.pid}]{_elsewhere(look[0], process.namespace)}"
            text = f"{named} has {grouped(number)} of at most {counted(most, 'open file')}"
            text += f" (nofile), {_files_left_text(process, most)} fail"
            text += " now (EMFILE)" if number >= most else " (EMFILE)"
            verdict = HolderVerdict("nofile", text, sockets, None, process.pid, process.namespace)
            yield Candidate(("nofile", process.pid), number / most, verdict)


def _files_left_text(process: SocketProcess, most: int) -> str:
    """The number of further files that a process may open, and what fails without one."""
    calls = "accept(2) and socket(2)"
    if process.limited_descriptors >= most:
        return f"none left: {calls}"
    about = "≈ " if process.below_limit_error else ""
    return f"{about}{grouped(most - process.limited_descriptors)} left; at 0 left {calls}"


def _meant_processes(look: Look) -> Iterator[SocketProcess]:
    """The processes of a look; of a look at this network namespace alone, those in it, or with sockets of it."""
    table, groups, _ = look
    here = {each.inode for each in table.namespaces if each.is_here}
    with_sockets = {group.holder.pid for group in groups}
    for process in table.process_of.values():
        if table.scope != "here" or process.namespace in here or process.pid in with_sockets:
            yield process


def _ports(look: Look, limits: VerdictLimits) -> Iterator[Candidate]:
    """Verdicts on remote ports to which nearly as many sockets are open as there are local ports.

    A local port serves one socket to each address and port of a peer. A look does not count the sockets to each address
    apart, nor those that bind(2) gave a port outside ip_local_port_range, so the number of sockets is an upper bound on
    the ports that are taken.
    """
    here = {each.inode for each in look[0].namespaces if each.is_here and each.asked == "asked"}
    by_port: dict[int, list[HolderGroup]] = defaultdict(list)
    for group in look[1]:
        if not group.is_server and group.port and group.namespace in here:
            by_port[group.port].append(group)
    for port, groups in by_port.items():
        count = round(sum(group.sockets for group in groups))
        if limits.local_ports and count >= PORTS_SHARE * limits.local_ports:
            most = "all" if count >= limits.local_ports else f"at most {grouped(count)}"
            text = (
                f"{grouped(count)} sockets to :{port} take {most} of {counted(limits.local_ports, 'local port')} if all"
                " are to one address, from ports of ip_local_port_range: connect(2) to it fails with EADDRNOTAVAIL when"
                " all are taken"
            )
            pids = {group.holder.pid for group in groups if group.holder.kind == "process"}
            pid = pids.pop() if len(pids) == 1 else None
            verdict = HolderVerdict("ports", text, count, None, pid, groups[0].namespace)
            yield Candidate(("ports", groups[0].namespace, port), count, verdict)


FINDERS: Sequence[Callable[[Look, VerdictLimits], Iterator[Candidate]]] = (
    _close_wait,
    _unread,
    _orphans,
    _no_process,
    _in_no_hash,
    _time_wait,
    _nofile,
    _ports,
)


def _candidate(
    kind: str, look: Look, groups: Sequence[HolderGroup], measure: float, start: str, noun: str, end: str = ""
) -> Candidate:
    """A possible verdict. The text consists of `start`, the number of sockets, `noun` and `end`.

    If the number is estimated, `≈` stands before it.
    """
    number = sum(group.sockets for group in groups)
    slab = [group.slab_bytes.low for group in groups if group.slab_bytes is not None]
    about = "≈ " if any(group.holder.is_estimated for group in groups) else ""
    buffer_bytes = sum(group.buffer_bytes for group in groups)
    total_bytes = sum(slab) + look[2].charged(buffer_bytes, sum(group.unsent_bytes for group in groups)).low
    text = f"{start}{about}{counted(round(number), noun)}{end}"
    pid, namespace = (
        groups[0].holder.pid,
        groups[0].namespace if len({each.namespace for each in groups}) == 1 else None,
    )
    verdict = HolderVerdict(kind, text, number, total_bytes, pid, namespace)
    return Candidate((kind, pid, groups[0].namespace), measure, verdict)


def _by_process(
    groups: Sequence[HolderGroup], is_meant: Callable[[HolderGroup], bool], by_service: bool = False
) -> Iterator[Sequence[HolderGroup]]:
    """Yields a sequence for each process: the process's groups for which `is_meant` is true.

    Groups whose process was not seen are yielded too: a sequence for each network namespace or, with `by_service`, for
    each service (namespace, side and port), whose sockets are probably of one process.
    """
    by_owner: dict[tuple[object, ...], list[HolderGroup]] = defaultdict(list)
    for group in groups:
        if group.holder.kind == "process" and is_meant(group):
            by_owner[(group.holder.pid,)].append(group)
        elif group.holder.kind == "not_seen" and is_meant(group):
            service = (None, group.namespace, *((group.is_server, group.port) if by_service else ()))
            by_owner[service].append(group)
    yield from by_owner.values()


def _full_queues(now: SocketTable, before: SocketTable | None) -> Iterator[HolderVerdict]:
    """Verdicts on listeners that have dropped connections and whose accept queue is over its limit.

    If it is unknown whether a listener has dropped connections, there is no verdict.

    While no client connects, a full queue drops nothing. An unchanged number of drops therefore does not mean that the
    listener has recovered.
    """
    drops_now, drops_before = _drops_by_place(now), {} if before is None else _drops_by_place(before)
    for listener in now.listeners:
        place = (listener.namespace, listener.family, listener.port)
        if listener.queue <= listener.limit or not listener.drops:
            continue
        name = _listener_name(now, listener)
        # If the number of drops is smaller than in the previous reading, other listeners had the port then.
        grown = drops_now[place] - drops_before[place] if place in drops_now and place in drops_before else -1
        since = "" if grown < 0 else f", {grouped(grown) if grown else 'none'} since the look before"
        text = (
            f"{name} accept queue {grouped(listener.queue)} of {grouped(listener.limit)}, FULL,"
            f" {grouped(listener.drops)} dropped since listen(2){since}"
        )
        yield HolderVerdict("queue_full", text, listener.queue, None, listener.pid, listener.namespace, listener.port)


def _near_queue(now: SocketTable) -> Iterator[HolderVerdict]:
    """A remark on the fullest of the accept queues that are near their limit and no alarm, and how many others are."""
    near = [each for each in now.listeners if each.queue >= NEARLY_REACHED_SHARE * max(1, each.limit)]
    near = [each for each in near if each.queue <= each.limit or not each.drops]
    if not near:
        return
    fullest = max(near, key=lambda each: each.queue / max(1, each.limit))
    text = f"{_listener_name(now, fullest)} accept queue {grouped(fullest.queue)} of {grouped(fullest.limit)}"
    if near[1:]:
        text += f", {grouped(len(near) - 1)} more from {100 * NEARLY_REACHED_SHARE:.0f} % on"
    yield HolderVerdict("queue_near", text, fullest.queue, None, fullest.pid, fullest.namespace, fullest.port)


def _listener_name(table: SocketTable, listener: Listener) -> str:
    """The process and the port of a listener, as far as they are known: `server[10] :8080`."""
    process = None if listener.pid is None else table.process_of.get(listener.pid)
    return f"{process.command}[{process.pid}] :{listener.port}" if process else f":{listener.port}"


def _drops_by_place(table: SocketTable) -> Mapping[tuple[int, int, int], int]:
    """Number of dropped connections by namespace, family and port.

    If several listeners share a port (SO_REUSEPORT), the drops of these listeners are added up. If the drops of any of
    these listeners are unknown, the result does not contain the port.
    """
    drops: Counter[tuple[int, int, int]] = Counter()
    unknown: set[tuple[int, int, int]] = set()
    for listener in table.listeners:
        place = (listener.namespace, listener.family, listener.port)
        if listener.drops is None:
            unknown.add(place)
        else:
            drops[place] += listener.drops
    return {place: number for place, number in drops.items() if place not in unknown}


def _grown_counters(now: SocketTable, before: SocketTable) -> Iterator[HolderVerdict]:
    counters_before = {each.inode: each.counters for each in before.namespaces if each.inode is not None}
    for namespace in now.namespaces:
        earlier = None if namespace.inode is None else counters_before.get(namespace.inode)
        for name, (start, noun, end) in IF_GROWN.items():
            if earlier is None or name not in earlier:
                continue
            grown = namespace.counters.get(name, 0) - earlier[name]
            if grown > 0:
                text = f"{start}{counted(grown, noun)}{end}{_where(namespace)}"
                yield HolderVerdict(name, text, None, None, None, namespace.inode)


def _elsewhere(table: SocketTable, namespace: int | None) -> str:
    return " (other netns)" if is_elsewhere(table.namespaces, namespace) else ""


def _where(namespace: SocketNamespace) -> str:
    return "" if namespace.is_here else f" in the network namespace {namespace.name or namespace.inode}"
