"""The holders of the sockets: groups with their memory, and sums that are compared with the kernel's own counters."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tcptop.accounting.holder_verdicts import Look, VerdictLimits, find_verdicts, why_in_no_dump
from tcptop.accounting.machine import release_of
from tcptop.accounting.socket_buffers import exceeds_charge
from tcptop.accounting.socket_owners import ORPHAN_STATES, listener_owner, owned_groups
from tcptop.kernel.objects import State
from tcptop.ledger import Amount, CountScope, SocketCounts, StateCost
from tcptop.ledger.holders import Holder, HolderGroup, Holders, HolderSums, HolderVerdict
from tcptop.recall import Recall, Same
from tcptop.snapshot import DAMAGED, SOCKET_TABLE, Reading, Snapshot
from tcptop.snapshot.socket_table import HiddenBy, Listener, SocketGroup, SocketNamespace, SocketTable
from tcptop.text.units import ago, counted, grouped

USER_OF_EVERY_SOCKET = (6, 18)
"""First kernel release that reports the user of a socket without an inode (sk_uid). On earlier kernels, sock_i_uid
returns 0 as the user of a socket without an inode."""
COUNTS_DESCRIPTORS = (6, 2)
"""First kernel release whose stat(2) of /proc/PID/fd gives the number of open descriptors (proc_readfd_count). For
earlier kernels, a look has an estimate of this number."""

SAME_STATE: Mapping[str, State] = {state.name: state for state in (State.LISTEN, State.CLOSE_WAIT, State.FIN_WAIT2)}

STATE_OF_KIND: Mapping[str, State] = {"orphan": State.ORPHAN, "queue": State.ACCEPT_QUEUE}
BOTH_MINI_STATES: Mapping[str, str] = {
    State.TIME_WAIT.value: "with FIN_WAIT2 (closed)",
    State.FIN_WAIT2_CLOSED.value: "in TIME_WAIT, too",
}
"""Notes on the two states of mini-sockets; TIME_WAIT in sockstat counts both states."""


SlabCost = tuple[State, bool, Amount]
"""A TCP state, the side (True for the server), and the slab bytes of one socket in this state and on this side."""


CostOf = Mapping[tuple[State, bool], Amount]


def find_holders(
    snapshot: Snapshot,
    states: Iterable[StateCost],
    sockets: SocketCounts,
    page_bytes: int | None,
    mptcp_socks: int = 0,
) -> Holders | None:
    """The holders of the sockets, computed from the sample's socket table; None if the sample has no socket table.

    The table has the subflows of MPTCP as TCP sockets. `mptcp_socks` is the least number of MPTCP socks, which are
    not in the table.
    """
    reading: Reading[SocketTable] = snapshot.socket_table
    table = reading.value
    if table is None:
        return None
    release = release_of(snapshot)
    facts = _Facts(
        tuple(_slab_costs(states)),
        release is not None and release >= USER_OF_EVERY_SOCKET,
        release is not None and release >= COUNTS_DESCRIPTORS,
        sockets.buffer_unit_bytes,
        sockets.buffer_error_bytes,
        sockets.buffer_error_is_assumed,
        sockets.time_wait_scope,
        mptcp_socks > 0,
    )
    for recall in (_recall_merged, _recall_look, _recall_findings, _recall_counts):
        recall.begin_round()
    before: Same[SocketTable] | None = None
    was_damaged = False
    if reading.before is not None and reading.before.value is not None:
        before, was_damaged = Same(reading.before.value), reading.before.state in DAMAGED
    for each in (Same(table), before):
        if each is not None:
            _recall_merged(
                each, facts.counts_descriptors
            )  # the merged groups are kept until a figure of the table changes
    look = _recall_look(Same(table), facts, reading.state in DAMAGED)
    look_before = None if before is None else _recall_look(before, facts, was_damaged)
    verdicts, missing = _recall_findings(
        Same(look), None if look_before is None else Same(look_before), _verdict_limits(snapshot, page_bytes)
    )
    if SOCKET_TABLE in snapshot.contradictions.sources:
        verdicts = ()  # impossible figures give no verdict
    age_s = None
    if snapshot.live and reading.taken_at_s is not None:
        age_s = max(0.0, snapshot.monotonic_s - reading.taken_at_s)
    if mptcp_socks:
        missing = (
            *missing,
            f"at least {counted(mptcp_socks, 'MPTCP sock')} with their buffers, beside the TCP socks of the subflows",
        )
    # While the sockets are being read, the previous socket table is used, and the state of the reading is `late`. This
    # state is normal here, so the reason for this state is not shown.
    if reading.reason and reading.state != "late":
        missing = (*missing, reading.reason)
    _, groups, sums = look
    return Holders(
        taken_at_s=reading.taken_at_s,
        age_s=age_s,
        took_us=table.took_us,
        module=table.module,
        complete=sums.complete and not missing,
        missing=missing,
        namespaces=table.namespaces,
        sums=sums,
        groups=groups,
        listeners=table.listeners,
        shared=table.shared,
        process_of=table.process_of,
        cgroup_of=table.cgroup_of,
        user_of=table.user_of,
        verdicts=verdicts,
        groups_before=None if look_before is None else look_before[1],
        all_processes_seen=not table.hidden_by and not table.unread_processes,
        cgroups_visible=table.cgroups_visible,
        all_namespaces_seen=_are_all_namespaces_seen(table, reading.state in DAMAGED),
    )


def _are_all_namespaces_seen(table: SocketTable, is_damaged: bool) -> bool:
    is_of_machine = table.scope == "machine" and not table.hidden_by
    return is_of_machine and not (is_damaged or table.unread_processes or table.unread_threads)


class _Facts(NamedTuple):
    """The facts from other files that are needed to compute the figures of a socket table."""

    costs: tuple[SlabCost, ...]
    knows_users: bool
    counts_descriptors: bool
    buffer_unit_bytes: int | None
    buffer_error_bytes: int | None
    buffer_error_is_assumed: bool
    time_wait_scope: CountScope
    has_mptcp_socks: bool


def _slab_costs(states: Iterable[StateCost]) -> Iterator[SlabCost]:
    """The slab bytes of a socket by state and side.

    The bounds for the client side cover sockets with and without a local port of their own. Some states are possible on
    one side only. The cost of a state with one possible side is used for both sides, because the dump may assign a
    socket to the wrong side.
    """
    for cost in states:
        accepted = cost.accepted.slab_bounds() if cost.accepted else None
        outgoing = cost.outgoing.slab_bounds() if cost.outgoing else None
        server, client = accepted or outgoing, outgoing or accepted
        if server is not None and client is not None:
            low = client.low if accepted is None else min(accepted.low, client.low)
            yield State(cost.state), True, server
            yield State(cost.state), False, Amount(low, client.high)


def _find_look(table: Same[SocketTable], facts: _Facts, is_damaged: bool) -> Look:
    """The groups and the sums of a table."""
    cost_of = {(state, is_server): amount for state, is_server, amount in facts.costs}
    merged = _recall_merged(table, facts.counts_descriptors)
    groups = tuple(_holder_groups(table.value, merged, cost_of, facts.knows_users))
    return table.value, groups, holder_sums(table.value, facts, is_damaged)


def _find_findings(
    look: Same[Look], before: Same[Look] | None, limits: VerdictLimits
) -> tuple[tuple[HolderVerdict, ...], tuple[str, ...]]:
    """The verdicts on a reading of all sockets, and the reasons why sockets or owners are missing."""
    table, groups, sums = look.value
    missing = (*_missing(table, groups), *_unexplained(sums), *_unseen(groups, table, sums.came_or_went))
    return find_verdicts(look.value, None if before is None else before.value, limits), missing


def _count_by_state(groups: Same[Sequence[HolderGroup]]) -> Mapping[str, float]:
    counts: dict[str, float] = defaultdict(float)
    for group in groups.value:
        for state in _counted_in(group):
            counts[state.value] += group.sockets
    return counts


_recall_look = Recall(_find_look)
_recall_findings = Recall(_find_findings)
_recall_counts = Recall(_count_by_state)


def counted_states(states: tuple[StateCost, ...], holders: Holders) -> tuple[StateCost, ...]:
    """The states, each with the machine's number of sockets in this state.

    If not all sockets were read, the states are returned unchanged.
    """
    if not holders.sums.complete:
        return states
    counts = _recall_counts(Same(holders.groups))
    age = "" if holders.age_s is None else f" {ago(holders.age_s)}"
    note = f"counted by the look at all sockets{age}"
    return tuple(
        state._replace(
            count=round(counts.get(state.state, 0)),
            count_is_upper_bound=False,
            scope="machine",
            note=f"{BOTH_MINI_STATES[state.state]}; {note}" if state.state in BOTH_MINI_STATES else note,
        )
        for state in states
    )


def _counted_in(group: HolderGroup) -> Iterator[State]:
    """The states whose rows include the sockets of a group.

    If the state of the group has no row (such as SYN_SENT, or SYN_RECV of a process), nothing is yielded.
    """
    if group.is_mini:
        yield State.TIME_WAIT
    if group.is_mini and group.state == "FIN_WAIT2":
        yield State.FIN_WAIT2_CLOSED
    if group.holder.kind in STATE_OF_KIND:
        yield STATE_OF_KIND[group.holder.kind]
    elif group.state == "SYN_RECV" and group.holder.kind != "handshake":
        return  # a full socket (TCP Fast Open), while the row is that of the request socks
    elif not group.is_mini and group.state in State.__members__:
        yield State[group.state]


def _verdict_limits(snapshot: Snapshot, page_bytes: int | None) -> VerdictLimits:
    tcp_mem = snapshot.sysctls.value.tcp_mem if snapshot.sysctls.value else None
    limits = snapshot.socket_limits.value
    return VerdictLimits(
        None if tcp_mem is None or page_bytes is None else tcp_mem[2] * page_bytes,
        limits.max_orphans if limits else None,
        limits.local_port_count if limits else None,
    )


class _Merged(NamedTuple):
    """Similar sockets of one holder: the number of the sockets, and the sums of their bytes."""

    group: SocketGroup
    holder: Holder
    amounts: Sequence[float]


def _merge_groups(table: Same[SocketTable], counts_descriptors: bool) -> Sequence[_Merged]:
    """The groups of a table by holder.

    Groups that have the same holder, and differ only in their amounts, are merged into one group.
    """
    merged: dict[tuple[object, ...], list[float]] = defaultdict(lambda: [0.0] * 7)
    first: dict[tuple[object, ...], tuple[SocketGroup, Holder]] = {}
    for group, holder, share in owned_groups(table.value, counts_descriptors):
        key = (holder._replace(is_estimated=False), *group[:8], group.peer)
        known, merged_holder = first.get(key, (group, holder))
        is_estimated = merged_holder.is_estimated or holder.is_estimated
        first[key] = (known, merged_holder._replace(is_estimated=is_estimated))
        # Sockets of a group with a PID were found in a descriptor table, and are no part of an estimate.
        counted_share = share if group.pid is not None or not holder.is_estimated else 0
        amounts = (group.sockets, group.buffer_bytes, group.rmem, group.wmem_queued, group.drops)
        shares = [*((amount, share) for amount in amounts)]
        shares += [(group.sockets, counted_share), (group.buffer_bytes, counted_share)]
        for index, (amount, part) in enumerate(shares):
            merged[key][index] += amount * part
    return [_Merged(group, holder, merged[key]) for key, (group, holder) in first.items()]


_recall_merged = Recall(_merge_groups)


def _holder_groups(
    table: SocketTable, merged: Iterable[_Merged], cost_of: CostOf, knows_users: bool
) -> Iterator[HolderGroup]:
    """Yields the groups, with the bytes of their slabs."""
    for group, holder, amounts in merged:
        count, buffer_bytes, unread_bytes, unsent_bytes, drops, counted_sockets, counted_bytes = amounts
        slab = _slab_bytes(cost_of.get((_state_of(group), group.is_server)), count)
        # Mini-sockets and request socks have no user: inet_twsk_diag_fill() and inet_req_diag_fill() give 0.
        uid = group.uid if group.owner != "none" or (knows_users and group.is_full) else None
        yield HolderGroup(
            holder,
            group.namespace,
            group.family,
            group.state,
            group.is_mini,
            group.is_server,
            group.port,
            uid,
            group.cgroup,
            group.peer,
            count,
            slab,
            buffer_bytes,
            unread_bytes,
            unsent_bytes,
            drops,
            round(counted_sockets),
            round(counted_bytes),
        )
    listeners_of = Counter((listener.namespace, listener.port) for listener in table.listeners)
    for listener in table.listeners:
        shares_port = listeners_of[listener.namespace, listener.port] > 1
        yield _listening(listener, table, _listening_cost(cost_of, shares_port))


def _listening_cost(cost_of: CostOf, shares_port: bool) -> Amount | None:
    """The slab bytes of a listener.

    Listeners of one port may share its bind buckets (inet_csk_get_port finds them). The low end is then that of a
    socket without a bucket of its own.
    """
    cost, without = cost_of.get((State.LISTEN, True)), cost_of.get((State.ESTABLISHED, True))
    if cost is None or not shares_port:
        return cost
    return Amount(0 if without is None else min(cost.low, without.low), cost.high)


def _listening(listener: Listener, table: SocketTable, cost: Amount | None) -> HolderGroup:
    """Describes a listener as a group of one socket."""
    return HolderGroup(
        listener_owner(listener, table),
        listener.namespace,
        listener.family,
        "LISTEN",
        False,
        True,
        listener.port,
        listener.uid,
        listener.cgroup,
        "",
        1.0,
        cost,
        0.0,
        0.0,
        0.0,
        None if listener.drops is None else float(listener.drops),
        1,
        0,
    )


def _state_of(group: SocketGroup) -> State:
    """The state whose cost per socket applies to the sockets of the group."""
    if group.is_mini:
        return State.FIN_WAIT2_CLOSED if group.state == "FIN_WAIT2" else State.TIME_WAIT
    if group.is_request:
        return State.SYN_RECV
    if group.owner == "none":
        return State.ORPHAN if group.state in ORPHAN_STATES else State.ACCEPT_QUEUE
    return SAME_STATE.get(group.state, State.ESTABLISHED)


def _slab_bytes(cost: Amount | None, number: float) -> Amount | None:
    return None if cost is None else Amount(cost.low * number, cost.high * number)


def holder_sums(table: SocketTable, facts: _Facts, is_damaged: bool = False) -> HolderSums:
    """The sums of a table, and the counters of sockstat with which the sums are compared.

    The counters were read together with the sockets. If lines of the table were lost (`is_damaged`), the sums are
    incomplete.
    """
    asked = [each for each in table.namespaces if each.asked == "asked"]
    is_whole = 0 < len(asked) == len(table.namespaces) and table.scope == "machine"
    is_whole = is_whole and not table.hidden_by and not is_damaged
    machine: Mapping[str, int] = asked[0].counters if asked else {}
    full_groups = [group for group in table.groups if group.is_full]
    asked_inodes = {each.inode for each in asked}
    listening = sum(listener.namespace in asked_inodes for listener in table.listeners)
    full = listening + sum(group.sockets for group in full_groups)
    allocated = machine.get("alloc")
    charged_units = machine.get("mem")
    without_inode = [group for group in full_groups if group.owner == "none"]
    in_no_hash = max(0, allocated - full) if allocated is not None and is_whole else None
    queued = sum(group.sockets for group in without_inode if group.state not in ORPHAN_STATES)
    queued_counted = sum(listener.queue for listener in table.listeners if listener.namespace in asked_inodes)
    buffer_bytes = sum(group.buffer_bytes for group in table.groups)
    counted = (
        None if charged_units is None or facts.buffer_unit_bytes is None else charged_units * facts.buffer_unit_bytes
    )
    low_bytes, high_bytes = _charge_bounds(
        buffer_bytes,
        sum(group.wmem_queued for group in table.groups),
        counted,
        facts.buffer_error_bytes,
        in_no_hash == 0 and not facts.has_mptcp_socks,
    )
    return HolderSums(
        full=full,
        in_use=_total(asked, ("inuse", "inuse6")),
        allocated=allocated,
        in_no_hash=in_no_hash,
        orphans=sum(group.sockets for group in without_inode if group.state in ORPHAN_STATES),
        orphans_counted=machine.get("orphan"),
        time_wait=sum(group.sockets for group in table.groups if group.is_mini),
        time_wait_counted=_time_wait(asked, facts.time_wait_scope),
        time_wait_scope=facts.time_wait_scope,
        queued=queued,
        queued_counted=queued_counted,
        queued_ended=None if in_no_hash is None else min(in_no_hash, max(0, queued_counted - queued)),
        buffer_bytes=buffer_bytes,
        buffer_low_bytes=low_bytes,
        buffer_high_bytes=high_bytes,
        buffer_bytes_counted=counted,
        buffer_error_bytes=facts.buffer_error_bytes,
        buffer_error_is_assumed=facts.buffer_error_is_assumed,
        complete=is_whole,
        came_or_went=_came_or_went(asked, full),
    )


def _came_or_went(asked: Sequence[SocketNamespace], full: int) -> bool:
    """True if the counter of allocated sockets changed during a look, or is less than the full sockets that it found.

    The counter was read before the descriptors, and again before the sockets of each network namespace.
    """
    names = ("alloc_before", "alloc")
    allocated = {each.counters[name] for each in asked for name in names if name in each.counters}
    return bool(allocated) and (len(allocated) > 1 or full > max(allocated))


def _charge_bounds(
    buffer_bytes: int, unsent_bytes: int, counted_bytes: int | None, error_bytes: int | None, has_all_socks: bool
) -> tuple[int, int]:
    """Bounds on what the sockets of a look are charged.

    If their buffers are more than sockstat's counter may be, unsent segments are without a charge. How many is known
    only if no further sock is charged, such as that of an ended connection with unread data.
    """
    if counted_bytes is None or error_bytes is None or not exceeds_charge(buffer_bytes, counted_bytes, error_bytes):
        return buffer_bytes, buffer_bytes
    high = min(buffer_bytes, counted_bytes + error_bytes)
    low = max(0, buffer_bytes - unsent_bytes, counted_bytes - error_bytes if has_all_socks else 0)
    return min(low, high), high


def _time_wait(asked: Sequence[SocketNamespace], scope: CountScope) -> int | None:
    """Sum of `tw` over all namespaces; None if the `tw` of each namespace may count the whole machine."""
    if scope == "machine or here" and len(asked) > 1:
        return None
    return _total(asked if scope == "here" else asked[:1], ("tw",))


def _total(namespaces: Sequence[SocketNamespace], names: Sequence[str]) -> int | None:
    """Sum of the counters `names` over `namespaces`; None if any namespace lacks the first counter in `names`."""
    known = [each.counters for each in namespaces if names[0] in each.counters]
    is_whole = 0 < len(known) == len(namespaces)
    return sum(each.get(name, 0) for each in known for name in names) if is_whole else None


def _unexplained(sums: HolderSums) -> Iterator[str]:
    """Yields a text about sockets that the kernel counts but no dump contains.

    The text shows the number of these sockets, or the reason why the number is unknown.
    """
    if not sums.complete:
        return
    if sums.in_no_hash is None:
        yield "sockets in no dump, since /proc/net/sockstat does not say how many are allocated"
    elif sums.in_no_hash:
        yield f"{counted(sums.in_no_hash, 'socket')} in no dump: {why_in_no_dump(sums)}"


def _unseen(groups: Sequence[HolderGroup], table: SocketTable, came_or_went: bool) -> Iterator[str]:
    number = round(sum(group.sockets for group in groups if group.holder.kind == "not_seen"))
    if number:
        reasons = [_unread_text(table)] if table.unread_processes else []
        sampled = [process for process in table.process_of.values() if not process.is_whole]
        if sampled:
            namespaces = _namespaces_of_unseen(groups)
            near = {group.holder.pid for group in groups if group.namespace in namespaces}
            largest = max(sampled, key=lambda process: (process.pid in near, process.descriptors))
            name = f"{largest.command}[{largest.pid}]"
            which = f"{counted(len(sampled), 'process')}, such as {name}," if sampled[1:] else name
            reasons.append(f"of {which} only a sample of the descriptors was looked up (who --exact {largest.pid})")
        if since := _opened_since_text(groups, table, came_or_went):
            reasons.append(since)
        why = f": {'; '.join(reasons)}" if reasons else ""
        yield f"the owner of {counted(number, 'socket')}{why}"


def _opened_since_text(groups: Sequence[HolderGroup], table: SocketTable, came_or_went: bool) -> str:
    """Says that sockets without a known owner may have been opened since the descriptors were read; may be empty.

    It is likely for those at a port whose listeners' processes were all read: none of their descriptors had them.
    """
    listening: dict[tuple[int, int], set[int | None]] = defaultdict(set)
    for listener in table.listeners:
        process = None if listener.pid is None else table.process_of.get(listener.pid)
        is_read = process is not None and process.is_whole
        listening[listener.namespace, listener.port].add(listener.pid if is_read else None)
    sockets: Counter[int] = Counter()
    unseen = [group for group in groups if group.holder.kind == "not_seen" and group.state != "LISTEN"]
    for group in unseen:
        if group.is_server and group.port is not None:
            pids = listening.get((group.namespace, group.port), {None})
            if None not in pids:
                sockets[min(pid for pid in pids if pid is not None)] += round(group.sockets)
    number = sockets.total()
    if not number:
        return "perhaps opened since the descriptors were read" if came_or_went and unseen else ""
    largest = max(sockets, key=lambda pid: sockets[pid])
    name = f"{table.process_of[largest].command}[{largest}]"
    if len(sockets) > 1:
        where = f"at ports of {len(sockets)} processes, such as {name}, perhaps opened since their"
    else:
        where = f"at a port of {name}, perhaps opened since its"
    return f"{grouped(number)} {where} descriptors were read"


def _namespaces_of_unseen(groups: Sequence[HolderGroup]) -> set[int]:
    """The network namespaces of the sockets whose owner was not seen; of listeners alone, if there are any."""
    unseen = [group for group in groups if group.holder.kind == "not_seen"]
    listeners = [group for group in unseen if group.state == "LISTEN"]
    return {group.namespace for group in listeners or unseen}


def _unread_text(table: SocketTable) -> str:
    return f"{counted(table.unread_processes, 'process')} not read"


SCOPES = {
    "machine": None,
    "here": "only this network namespace was asked",
    "container": None,
}
"""For each scope of a reading of the sockets, a text that says what was not read; None if `hidden_by` of the table says
what was not read.
"""
MAX_NAMES = 3
"""Maximum number of network namespaces that one sentence names."""
HIDDEN: Mapping[HiddenBy, str] = {
    "pid_namespace": "processes outside this pid namespace (container), and network namespaces of theirs",
    "hidepid": "processes that the option hidepid of /proc hides, and network namespaces of theirs",
    "other": "hidden processes, and network namespaces of theirs",
}
"""For each reason why processes were hidden, a text that says what was not seen."""


def namespaces_text(namespaces: Sequence[SocketNamespace]) -> str:
    """The start of a sentence about network namespaces, with some of their names: `network namespace blue was`."""
    names = ["here" if each.is_here else each.name or str(each.inode or "?") for each in namespaces]
    if len(names) == 1:
        return f"network namespace {names[0]} was"
    more = f" and {grouped(len(names) - MAX_NAMES)} more" if len(names) > MAX_NAMES else ""
    return f"{grouped(len(names))} network namespaces ({', '.join(names[:MAX_NAMES])}{more}) were"


def _missing(table: SocketTable, groups: Sequence[HolderGroup]) -> Iterator[str]:
    """Yields a line for each reason why the sockets of some namespaces or processes were not read."""
    scope = SCOPES.get(table.scope, "the look does not say what it could see")
    if scope is not None:
        yield scope
    yield from (HIDDEN[reason] for reason in table.hidden_by)
    reasons: dict[str, list[SocketNamespace]] = defaultdict(list)
    for namespace in table.namespaces:
        if namespace.asked != "asked":
            reason = namespace.reason or "small, and its share of the sockets is below 1 %"
            reasons[reason].append(namespace)
    for reason, namespaces in reasons.items():
        yield f"{namespaces_text(namespaces)} not asked, or not to the end: {reason}"
    if table.unread_threads:
        yield f"the network namespaces of {grouped(table.unread_threads)} threads were not looked at"
    if table.unread_processes and not any(group.holder.kind == "not_seen" for group in groups):
        yield _unread_text(table)
