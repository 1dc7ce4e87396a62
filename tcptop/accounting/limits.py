"""Limits on the number of sockets: the present use, the headroom and the state of each limit."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.cgroup_charge import charged_buffers, charged_bytes, unknown_charge_text
from tcptop.accounting.cgroup_limit import (
    HIDDEN_ABOVE,
    buffer_limit_text,
    cache_unknown_text,
    limit_owner,
    nearest_limit,
    no_limit_text,
    unknown_above,
    used_bytes,
)
from tcptop.accounting.machine import is_of_machine, may_be_newer, release_of
from tcptop.accounting.socket_counts import open_files_error
from tcptop.kernel.limits import (
    CGROUP_LIMIT,
    KERNEL_MEMORY_THEN,
    LIMIT_BY_NAME,
    THRESHOLDS,
    TIME_WAIT_LIMIT,
    LimitEvent,
    LimitName,
    look_needed_text,
)
from tcptop.ledger import (
    ALARM_STATES,
    STATE_MARGIN_PERCENT,
    AccountingMode,
    Amount,
    ConnectionCost,
    Event,
    Headroom,
    Limit,
    Limits,
    LimitState,
    SocketCounts,
    Threshold,
)
from tcptop.ledger.amount import HIDDEN_ERROR_SHARE
from tcptop.ledger.limits import max_alarm_age_s
from tcptop.snapshot import DAMAGED, Reading, Snapshot, SocketLimits
from tcptop.text.units import bounds_span, exact_bytes, grouped, round_bound, size

if TYPE_CHECKING:
    from tcptop.ledger.holders import Holders

NO_LIMITS = SocketLimits(None, None, None, None, None, None, None)

UNLIMITED_FILES = 1 << 62
"""A file-max of at least this value counts as no limit; the kernel's default is LONG_MAX."""

ORPHAN_WEIGHT = 4
"""Maximum number of times that the kernel counts the same orphan; see the thresholds in kernel/limits.py."""

UNSIGNED_TIME_WAIT_SINCE = (5, 18)
"""First kernel release that compares tcp_max_tw_buckets as an unsigned number."""

LAST_SHARED_CONNTRACK_MAX = (6, 18)
"""Last kernel release that certainly has one nf_conntrack_max for all network namespaces."""

NO_ZONES = "no zone is left out, since zoneinfo was not read"
ALL_IN_USE = "all of it is in use"
OF_SEEN_NAMESPACES = "of the namespaces seen"
OF_SEEN_PROCESSES = "of the processes that were seen"


class Use(NamedTuple):
    """Use and maximum of a limit."""

    used: int | None
    maximum: int | None
    error: int | None = 0


def find_limits(
    snapshot: Snapshot,
    table: CacheTable,
    sockets: SocketCounts,
    mode: AccountingMode,
    cost: ConnectionCost,
    headroom: Headroom,
    events: Sequence[Event],
    thresholds: Mapping[str, Threshold] = THRESHOLDS,
    previous: Mapping[str, LimitState] | None = None,
    holders: "Holders | None" = None,
    cpus: int | None = None,
    page_bytes: int | None = None,
) -> Limits:
    """Every limit in one accounting mode, the nearest limit first; see `Limits`.

    `previous` are the states of the limits in the previous sample. The previous states are needed because a state ends
    only if the use is clearly below the state's threshold. `holders` are the holders of the sockets, from a recent
    reading of all sockets. `cpus` is the number of CPUs that are online. `page_bytes` is
    the size of a page.
    """
    files = snapshot.socket_limits.value or NO_LIMITS
    needs_look = look_needed_text(snapshot.live, snapshot.recorded)
    rows = [
        _memory(snapshot, headroom, page_bytes),
        *_cgroup(snapshot, table, cost, headroom),
        _tcp_mem(snapshot, sockets, mode, cost.buffer_bytes_per_socket, headroom),
        *_file_max(files, mode, open_files_error(snapshot, cpus), _why_unread(snapshot.socket_limits)),
        _orphans(files, sockets, snapshot, mode),
        _time_wait(files, sockets, snapshot, mode),
        *_conntrack(files, snapshot),
        _ports(files, holders, needs_look),
        _nofile(holders, needs_look),
        _listen_queues(holders, needs_look),
    ]
    under_pressure = bool(sockets.under_pressure)
    rows = [row._replace(threshold=thresholds.get(row.name)) for row in rows]
    states = [
        limit_state(row, under_pressure and row.name == "tcp_mem", (previous or {}).get(row.name, "ok")) for row in rows
    ]
    grown = {event.name: event.grown for event in events if event.grown}
    rows = [row._replace(state=state) for row, state in zip(rows, states, strict=True)]
    if holders is not None and (holders.age_s or 0.0) > max_alarm_age_s(holders.took_us):
        # What the look saw may be long over: a process that has ended stands in it as it was.
        rows = [row._replace(state="unknown") if LIMIT_BY_NAME[row.name].needs_look else row for row in rows]
    rows = [_with_event(row, grown) for row in rows]
    return Limits(tuple(_second_if_quiet(sorted(rows, key=_distance))))


def limit_state(limit: Limit, under_pressure: bool = False, previous: LimitState = "ok") -> LimitState:
    """The state of a limit. If a threshold lies within the counter's error, there is no alarm.

    If only an upper bound on the use is known, there is no alarm. If only an upper bound on the maximum is known, the
    share that is surely used decides. A limit without thresholds keeps its alarm.
    """
    threshold, error = limit.threshold, limit.used_error
    ratio = limit.at_least_ratio if limit.ratio is None else limit.ratio
    if limit.name == CGROUP_LIMIT and limit.maximum is None and limit.used_error is not None:
        return "ok"  # neither the cgroup nor one above it has a limit
    if threshold is not None and limit.maximum == 0 and limit.used is not None:
        return "full"  # a maximum of 0 is always exceeded, even if the use is 0
    if threshold is None and limit.state in ALARM_STATES:
        return limit.state
    if threshold is None or ratio is None or not limit.maximum:
        return "pressure" if under_pressure else "unknown"
    percent = 100 * ratio
    certain = percent
    if limit.ratio is not None:
        certain = percent - 100 * error / limit.maximum if error is not None and not limit.used_is_at_most else 0.0
    levels: tuple[tuple[LimitState, float], ...] = (("full", threshold.critical), ("near", threshold.warn))
    for state, level in levels:
        margin = STATE_MARGIN_PERCENT if _is_at_least(previous, state) else 0.0
        if certain >= level - margin:
            return "pressure" if under_pressure and state == "near" else state
    if under_pressure:
        return "pressure"
    return "unknown" if error is None or limit.ratio is None or percent >= threshold.warn else "ok"


def _with_event(limit: Limit, grown: Mapping[str, int]) -> Limit:
    """Raises the state of a limit to the state of its event, if the counter of the event has grown.

    The note of the limit then names the event.
    """
    event = _event(limit)
    if event is None or event.name not in grown:
        return limit
    note = f"{event.name} grew by {grouped(grown[event.name])}"
    return limit._replace(
        state=limit.state if _is_at_least(limit.state, event.state) else event.state,
        is_by_event=limit.state not in ALARM_STATES,
        note=f"{note}; {limit.note}" if limit.note else note,
        event_growth=grown[event.name],
    )


def states_by_use(limits: Limits, events: Sequence[Event], previous: Mapping[str, LimitState]) -> dict[str, LimitState]:
    """The states of the limits, for use as the argument `previous` of the next sample.

    If the counter of a limit's event has grown, the event may have raised the present state. A limit whose event has
    grown therefore keeps its state from `previous`.
    """
    grown = {event.name for event in events if event.grown}
    raised = {limit.name for limit in limits.rows if (event := _event(limit)) is not None and event.name in grown}
    return {
        limit.name: previous.get(limit.name, "ok") if limit.name in raised else limit.state for limit in limits.rows
    }


def _event(limit: Limit) -> LimitEvent | None:
    return LIMIT_BY_NAME[limit.name].event


def _is_at_least(state: LimitState, other: LimitState) -> bool:
    return state in ALARM_STATES and ALARM_STATES.index(state) >= ALARM_STATES.index(other)


def _second_if_quiet(rows: list[Limit]) -> list[Limit]:
    """Moves a nearly full limit of mini-sockets, which stops no socket, right below the limit that stops them first."""
    quiet = next((row for row in rows if row.is_quiet and row.state in ALARM_STATES), None)
    if quiet is None:
        return rows
    others = [row for row in rows if row is not quiet]
    place = sum(row.state in ALARM_STATES for row in others) + 1
    return [*others[:place], quiet, *others[place:]]


def _distance(limit: Limit) -> tuple[int, bool, bool, float]:
    """Sort key that puts the nearest limit first; see `Limits`."""
    by_ratio = -(limit.ratio if limit.ratio is not None else -1.0)
    if limit.state in ALARM_STATES and not limit.is_quiet:
        return -ALARM_STATES.index(limit.state) - 1, False, False, by_ratio
    stops = limit.stops_new_sockets
    return 0, not stops, not limit.is_nearly_reached, float(limit.least_headroom or 0) if stops else by_ratio


def _limit(name: LimitName, use: Use, headroom_sockets: int | None, note: str = "", **changes: Any) -> Limit:  # noqa: ANN401 (fields)
    """Makes a limit with the facts in kernel/limits.py; `changes` overrides fields of the limit."""
    known = LIMIT_BY_NAME[name]
    limit = Limit(
        name=name,
        concerns=known.concerns,
        scope=known.scope,
        unit=known.unit,
        used=use.used,
        used_error=None if use.used is None else use.error,
        maximum=use.maximum,
        headroom_sockets=headroom_sockets,
        threshold=None,
        state="unknown",
        then=known.then,
        note=note,
    )
    return limit._replace(**changes)


def _memory(snapshot: Snapshot, headroom: Headroom, page_bytes: int | None) -> Limit:
    """The limit on memory: the use is the memory that reclaim cannot free, and the maximum is all memory.

    If zones that slabs cannot use have memory, both are those of the other zones; free memory of CMA and the pools of
    huge pages are left out of both, too. MemTotal and MemAvailable count the former, so that they would show free
    memory where slabs get none. MemTotal counts the pools as well: with most memory in them, the use would always be
    near the maximum.

    If meminfo shows less memory than zoneinfo, the scope of the limit is unknown. If meminfo has impossible figures,
    the use is unknown: the whole file may be a container's (lxcfs).
    """
    meminfo = snapshot.meminfo.value
    total, available = (meminfo.total_bytes, meminfo.available_bytes) if meminfo else (None, None)
    is_doubted = "meminfo" in snapshot.contradictions.sources
    used = None if total is None or available is None or is_doubted else max(0, total - available)
    error: int | None = 0
    usable = headroom.usable
    if usable is not None:
        total, error = usable.bytes, usable.error_bytes
        is_known = usable.bytes is not None and usable.available_bytes is not None and not is_doubted
        used = max(0, (usable.bytes or 0) - (usable.available_bytes or 0)) if is_known else None
    cgroup_note = "a memory cgroup's own limit is not known" if snapshot.cgroup is None else ""
    buffers = (
        "average buffers" if headroom.counts_buffers("memory") else "without data" if headroom.mode == "full" else ""
    )
    assumed = ", ".join(filter(None, ("half client side", buffers)))
    assumptions = "; ".join(filter(None, (assumed, cgroup_note)))
    limit = _limit("memory", Use(used, total, error), headroom.sockets)._replace(
        headroom_is_at_most=headroom.is_at_most and headroom.sockets is not None,
        headroom_low=headroom.with_reclaim_low or None if headroom.is_at_most else None,
        maximum_is_at_most=usable is not None and usable.is_at_most,
        left_out_zones=usable.left_out if usable is not None else (),
        left_out_cma_bytes=usable.free_cma_bytes if usable is not None else 0,
        left_out_huge_page_bytes=usable.huge_page_bytes if usable is not None else 0,
    )
    no_zones = used is not None and usable is None and not (snapshot.zoneinfo.value or snapshot.buddyinfo.value)
    unknown_because = headroom.unknown_because or (usable.unknown_because if usable is not None else "")
    if meminfo is not None and available is None and usable is None and not is_doubted and not unknown_because:
        unknown_because = "use not known: meminfo has no MemAvailable (before 3.14)"
    left_out = NO_ZONES if no_zones else limit.left_out_text
    limit = limit._replace(note="; ".join(filter(None, (left_out, unknown_because or assumptions))))
    return limit if is_of_machine(snapshot, page_bytes) else limit._replace(scope="unknown")


def _cgroup(snapshot: Snapshot, table: CacheTable, cost: ConnectionCost, headroom: Headroom) -> Iterator[Limit]:
    """The limit of the memory cgroup that the user named, or of a cgroup above it, if that one has less left.

    The use of the cgroup's limit leaves out page cache, because reclaim frees page cache. If the amount of charged page
    cache is unknown, the use is an upper bound and the headroom is unknown. A cgroup is charged for objects, not for
    slabs (mm/slub.c, __memcg_slab_post_alloc_hook). The headroom is a lower bound, because some objects of a socket may
    not be charged; the note has the bounds on the charge. It is one, too, if the cgroup has reclaimable slabs of more
    than a small share of what is left: how many of their objects are in use is unknown, so that they all count as used.

    If the limit of the cgroup or of one above is unknown, the maximum is an upper bound and the headroom is unknown. If
    only limits of cgroups that are not visible here are unknown, as in a container, the headroom is an upper bound.
    """
    cgroup = snapshot.cgroup
    if cgroup is None:
        return
    nearest, unknown = nearest_limit(cgroup), cgroup.unknown_because or unknown_above(cgroup)
    if nearest is None:
        use = Use(used_bytes(cgroup), cgroup.max_bytes, None if unknown else 0)
        why = unknown or no_limit_text(cgroup)
        note = "; ".join(filter(None, (why, buffer_limit_text(cgroup))))
        yield _limit(CGROUP_LIMIT, use, None, note, used_is_at_most=bool(use.used and cache_unknown_text(cgroup)))
        return
    left: int | None = None
    is_at_least = is_at_most = False
    per_socket = cgroup_bytes_per_socket(snapshot, table, cost, headroom)
    owner = limit_owner(cgroup, nearest)
    notes = [unknown or "", "" if owner.removeprefix("the limit ") in (unknown or "") else owner]
    if not nearest.file:
        notes.append(nearest.cache_unknown_because or "without page cache")
    is_surely_over = nearest.used - nearest.reclaimable >= nearest.maximum
    may_reclaim = nearest.reclaimable > HIDDEN_ERROR_SHARE * nearest.left and not is_surely_over
    if may_reclaim and not nearest.cache_unknown_because:
        notes.append(f"{size(nearest.reclaimable, up=True)} of slab count, which the kernel may reclaim")
    if per_socket is not None and per_socket.high and not nearest.cache_unknown_because and unknown is None:
        is_at_most = cgroup.may_hide_limits and nearest.left > 0 and per_socket.low > 0
        left = int(nearest.left / (per_socket.low if is_at_most else per_socket.high))
        charge = bounds_span(per_socket, exact_bytes)
        is_at_least = not is_at_most and (may_reclaim or (per_socket.low < per_socket.high and nearest.left > 0))
        charged = "objects and buffers" if charged_buffers(snapshot, Amount(1.0, 1.0)).high else "objects"
        notes.append(f"{'at least so many: ' if is_at_least else ''}a socket is charged {charge} B of {charged}")
        notes.append(HIDDEN_ABOVE if is_at_most else "")
        notes.append(unknown_charge_text(snapshot))
    elif not nearest.left and not nearest.cache_unknown_because:
        left = 0  # whatever a socket is charged, and whatever other limits the cgroups above have
        is_at_least = may_reclaim
    notes.append(buffer_limit_text(cgroup))
    limit = _limit(CGROUP_LIMIT, Use(nearest.used, nearest.maximum), left, "; ".join(filter(None, notes)))
    yield limit._replace(
        headroom_is_at_least=is_at_least,
        headroom_is_at_most=is_at_most,
        used_is_at_most=bool(nearest.cache_unknown_because),
        maximum_is_at_most=unknown is not None,
        reclaimable=0 if nearest.cache_unknown_because else nearest.reclaimable,
        then=KERNEL_MEMORY_THEN if nearest.file else limit.then,
    )


def cgroup_bytes_per_socket(
    snapshot: Snapshot, table: CacheTable, cost: ConnectionCost, headroom: Headroom
) -> Amount | None:
    """Bounds on the bytes that the kernel charges to a memory cgroup for one more socket; None if unknown.

    Buffers are included as far as they are charged. Of the new sockets, half are accepted and half are outgoing.
    """
    sides = cost.by_family["mix"]
    slabs = (sides.accepted.slab_bytes, sides.outgoing.slab_bytes)
    low, high = headroom.buffer_bytes, headroom.high_buffer_bytes
    if not charged_buffers(snapshot, Amount(1.0, 1.0)).high:
        low = high = 0.0
    if None in slabs or headroom.bytes_per_socket is None or low is None or high is None:
        return None
    buffers = charged_buffers(snapshot, Amount(low, high))
    accepted = charged_bytes(snapshot, table, sides.accepted.parts, 1.0)
    outgoing = charged_bytes(snapshot, table, sides.outgoing.parts, 0.0)
    return Amount((accepted.low + outgoing.low) / 2 + buffers.low, (accepted.high + outgoing.high) / 2 + buffers.high)


def _tcp_mem(
    snapshot: Snapshot, sockets: SocketCounts, mode: AccountingMode, per_socket: float | None, memory: Headroom
) -> Limit:
    """The third value of tcp_mem limits the buffers of all sockets (net/core/sock.c, __sk_mem_raise_allocated).

    The kernel compares the counter that sockstat prints, without the reserves of the CPUs, so the use has no error. The
    average buffers of a socket have the counter's error. If it changes the headroom by more than a small share, the
    headroom is a lower bound, with the largest average; so it is if the counter is within its error, but the headroom
    of memory counts buffers.
    """
    unit, pages = sockets.tcp_mem_unit_bytes, sockets.tcp_mem_pages
    if pages is None:
        note = _why_unseen(snapshot, snapshot.sysctls)
        return _limit("tcp_mem", Use(sockets.buffer_bytes, None, None), None, note)
    if unit is None or sockets.buffer_bytes is None:
        return _tcp_mem_in_pages(snapshot, sockets, pages[2], mode)
    use = Use(sockets.buffer_bytes, pages[2] * unit)
    left, error = _left(use), sockets.buffer_error_bytes
    headroom: int | None = None
    is_at_least = False
    assumed = sockets.buffer_error_is_assumed
    if per_socket is None and sockets.buffers_within_error and sockets.allocated and memory.counts_buffers("memory"):
        per_socket = sockets.buffer_bytes / sockets.allocated
    if mode == "time_wait":
        note = "a mini-socket has no buffers"
    elif not left:
        headroom, note = 0, ALL_IN_USE
    elif per_socket is None:
        note = "headroom not known: too few sockets"
        if sockets.buffers_within_error:
            note = f"average not known: counter ± {size(error)}{' assumed' if assumed else ''}"
        elif error is None:
            note = "average not known: the error of the counter is not known"
    elif not per_socket or not sockets.buffer_bytes:
        note = "sockets have no buffers now"
    else:
        headroom = int(left // per_socket)
        most_per_socket = per_socket * (sockets.buffer_bytes + (error or 0)) / sockets.buffer_bytes
        surely = int(left // most_per_socket)
        is_at_least = surely < (1 - HIDDEN_ERROR_SHARE) * headroom or not surely
        if is_at_least:
            headroom, per_socket = surely, most_per_socket
        average = "the average now, at most" if is_at_least else "the average now"
        shown = round(round_bound(per_socket, is_at_least or None))
        note = f"at {grouped(shown)} B of buffers per socket, {average}{'; the error is assumed' if assumed else ''}"
    return _limit("tcp_mem", use, headroom, note, headroom_is_at_least=is_at_least)


def _tcp_mem_in_pages(snapshot: Snapshot, sockets: SocketCounts, max_pages: int, mode: AccountingMode) -> Limit:
    """The limit tcp_mem if the bytes of buffers or the size of a page are unknown.

    The unit of sockstat's `mem` is at most a page, so without a known unit `mem` is an upper bound on the pages.
    """
    if sockets.buffer_pages is None:
        why = f"sockstat {'is damaged' if snapshot.sockstat.state in DAMAGED else 'was not read'}"
    elif release_of(snapshot) is None:
        why = "the release of the kernel is not known"
    elif sockets.tcp_mem_unit_bytes is not None:
        why = "the unit of mem, 4096 bytes or a page, is not known of this kernel"
    else:
        why = "size of a page not known"
    unit, used = sockets.tcp_mem_unit_bytes, sockets.buffer_pages
    is_at_most = used is not None and not sockets.buffer_unit_is_page
    factor = 1 if unit is None else unit
    use = Use(None if used is None else used * factor, max_pages * factor)
    is_over = mode == "full" and _left(use) == 0 and not is_at_most
    return _limit(
        "tcp_mem",
        use,
        0 if is_over else None,
        ALL_IN_USE if is_over else f"headroom not known: {why}",
        unit="pages" if unit is None else "bytes",
        used_is_at_most=is_at_most,
    )


def _file_max(limits: SocketLimits, mode: AccountingMode, error: int | None, why_unread: str) -> Iterator[Limit]:
    """The limit fs.file-max, which applies to processes without CAP_SYS_ADMIN (fs/file_table.c, alloc_empty_file).

    `error` is the error of fs.file-nr. The kernel itself compares the exact number of files with the limit. If the
    error is more than a small share of the headroom, the headroom is a lower bound, less the error.
    """
    if limits.max_open_files is not None and limits.max_open_files >= UNLIMITED_FILES:
        return
    use = Use(limits.open_files, limits.max_open_files, error)
    if mode == "time_wait":
        yield _limit("file_max", use, None, "a mini-socket has no file")
    else:
        is_known = use.used is not None and use.maximum is not None
        note = "each process has its own limit, too" if is_known else why_unread
        left = _left(use)
        if left is None or not error or error <= HIDDEN_ERROR_SHARE * left or _is_surely_over(use):
            yield _limit("file_max", use, left, note)
            return
        note = f"file-nr may be wrong by {grouped(error)}; {note}"
        yield _limit("file_max", use, max(0, left - error), note, headroom_is_at_least=True)


def _orphans(limits: SocketLimits, sockets: SocketCounts, snapshot: Snapshot, mode: AccountingMode) -> Limit:
    """The limit on orphans.

    The headroom of orphans ends at the first threshold, because the kernel may reset orphans above this threshold.
    """
    # The kernel compares ints, so that a negative value allows no orphan (net/ipv4/tcp.c, tcp_too_many_orphans).
    maximum = None if limits.max_orphans is None else max(0, limits.max_orphans)
    use = Use(sockets.orphans, maximum)
    if maximum is None:
        return _limit("tcp_max_orphans", use, None, _why_unseen(snapshot, snapshot.socket_limits))
    if mode == "time_wait":
        return _limit("tcp_max_orphans", use, None, "a mini-socket is no orphan")
    left = _left(Use(use.used, maximum // ORPHAN_WEIGHT))
    note = "an orphan that retransmits counts up to 4 times"
    return _limit("tcp_max_orphans", use, left, note)


def _time_wait(limits: SocketLimits, sockets: SocketCounts, snapshot: Snapshot, mode: AccountingMode) -> Limit:
    """The limit on mini-sockets.

    A negative limit allows no mini-socket before 5.18, and more than a machine can have since then, because the kernel
    compares the limit as an unsigned number since then (net/ipv4/inet_timewait_sock.c, inet_twsk_alloc).
    """
    maximum, unknown = limits.max_time_wait, _why_unread(snapshot.socket_limits)
    if maximum is not None and maximum < 0:
        release = release_of(snapshot)
        if release is not None and release >= UNSIGNED_TIME_WAIT_SINCE:
            maximum = _as_unsigned(maximum)
        elif release is not None and not may_be_newer(snapshot):
            maximum = 0
        else:
            unknown = f"not known: {maximum} is no limit since 5.18, and 0 before, and the kernel may be either"
            maximum = None
    use = Use(sockets.time_wait, maximum)
    headroom = _left(use) if mode == "time_wait" else None
    scope = "machine" if sockets.time_wait_scope == "machine" else "here"
    note = "" if mode == "time_wait" else "only mini-sockets count"
    if maximum is None:
        note = unknown
    elif limits.max_time_wait is not None and limits.max_time_wait < 0:
        note = "; ".join(
            filter(None, (f"{limits.max_time_wait} is {'none allowed' if not maximum else 'no limit'}", note))
        )
    return _limit(TIME_WAIT_LIMIT, use, headroom, note, scope=scope)


def _conntrack(limits: SocketLimits, snapshot: Snapshot) -> Iterator[Limit]:
    """The limit on tracked flows, if conntrack is loaded.

    The maximum is assumed to apply to the whole machine, but the count includes only the flows of this network
    namespace. After 6.18, each namespace may have its own maximum, and the kernel uses the smaller of this maximum and
    the maximum of the first namespace.
    """
    if limits.conntrack_entries is None and limits.max_conntrack_entries is None:
        return
    if limits.max_conntrack_entries == 0:
        return  # 0 means that there is no limit (net/netfilter/nf_conntrack_core.c, __nf_conntrack_alloc)
    # The kernel's variable is unsigned, though the kernel may print it as an int.
    maximum = None if limits.max_conntrack_entries is None else _as_unsigned(limits.max_conntrack_entries)
    use = Use(limits.conntrack_entries, maximum)
    counts = bool(limits.conntrack_entries)
    release = release_of(snapshot)
    is_elsewhere = limits.max_orphans is None and limits.local_ports is not None
    may_be_lower = is_elsewhere and (release is None or release > LAST_SHARED_CONNTRACK_MAX)
    yield _limit(
        "nf_conntrack_max",
        use,
        _left(use) if counts else None,
        f"one flow a connection{'; the first netns may have a lower limit' if may_be_lower else ''}"
        if counts
        else "no flow in this netns"
        if use.used == 0
        else "the number of flows is not known",
    )


def _ports(limits: SocketLimits, holders: "Holders | None", needs_look: str) -> Limit:
    """The limit on local ports: those of ip_local_port_range without those of ip_local_reserved_ports.

    connect() chooses no reserved port (net/ipv4/inet_hashtables.c, __inet_hash_connect). If it is unknown which ports
    are reserved, the maximum is an upper bound.

    The use is the number of sockets to the most used remote port, added up over all remote addresses.
    """
    number = limits.local_port_count
    note = f"to one address and port of a peer; {needs_look}"
    lacks = ""
    used: int | None = None
    here = {each.inode for each in holders.namespaces if each.is_here and each.asked == "asked"} if holders else ()
    if holders is not None and here:
        sockets_to: Counter[int] = Counter()
        for group in holders.groups:
            if not group.is_server and group.port is not None and group.namespace in here:
                sockets_to[group.port] += round(group.sockets)
        [(port, used)] = sockets_to.most_common(1) or [(0, 0)]
        note = f"to :{port} of any address{_look_age(holders)}" if used else "no outgoing socket is here"
    elif holders is not None:
        note = lacks = "not all sockets of this network namespace were read"
    if number == 0 and limits.reserved_ports is not None:
        note = lacks = "all of ip_local_port_range are reserved: connect() chooses none"
    is_bound = bool(used)
    return _limit(
        "ports",
        Use(used, number),
        None,
        note,
        used_is_at_most=is_bound,
        maximum_is_at_most=number is not None and limits.reserved_ports is None,
        look_lacks=lacks,
    )


def _look_age(holders: "Holders") -> str:
    """Text for the note on a limit whose use is known only from looks: the age of the look, in steps of ten seconds."""
    tens_s = _look_tens_s(holders)
    return f", look {tens_s} s old" if tens_s else ""


def _look_tens_s(holders: "Holders") -> int:
    return 0 if holders.age_s is None else int(holders.age_s // 10) * 10


def _is_elsewhere(holders: "Holders", namespace: int | None) -> bool:
    from tcptop.snapshot.socket_table import is_elsewhere  # needed only where a look was made

    return is_elsewhere(holders.namespaces, namespace)


def _nofile(holders: "Holders | None", needs_look: str) -> Limit:
    """The limit on the open files of a process.

    Of all processes with sockets, the process that is certainly nearest to its limit is shown. A process that was not
    seen may be nearer.
    """
    if holders is None:
        return _limit("nofile", Use(None, None, None), None, f"open files of each process; {needs_look}")
    found = [each for each in holders.process_of.values() if each.opens_files]
    seen = "" if holders.all_processes_seen else OF_SEEN_PROCESSES
    if not found:
        if holders.process_of and None not in [each.max_descriptors for each in holders.process_of.values()]:
            lacks = "no process with TCP sockets may open files"
        elif holders.process_of:
            lacks = "the limit of no process with TCP sockets could be read"
        elif holders.all_processes_seen:
            lacks = "no process has TCP sockets"
        else:
            lacks = "no process with TCP sockets was visible; root sees those of all users"
        return _limit("nofile", Use(None, None, None), None, lacks, look_lacks=lacks, of_seen=seen)
    # An estimate must not hide a process that is certainly nearer: only the lower bound raises an alarm.
    fullest = max(
        found, key=lambda each: (each.limited_descriptors - each.below_limit_error) / (each.max_descriptors or 1)
    )
    fullest_of = f"the fullest {seen or 'of the processes with sockets'}"
    note = f"{fullest.command}[{fullest.pid}]{_look_age(holders)}, {fullest_of}"
    use = Use(fullest.limited_descriptors, fullest.max_descriptors, fullest.below_limit_error)
    owner = f"{fullest.command}[{fullest.pid}]"
    return _limit(
        "nofile",
        use,
        None,
        note,
        of_seen=seen,
        owner=owner,
        is_in_other_netns=_is_elsewhere(holders, fullest.namespace),
        look_age_s=_look_tens_s(holders),
    )


def _listen_queues(holders: "Holders | None", needs_look: str) -> Limit:
    """The limit on an accept queue; of all accept queues, the queue that is nearest to its limit is shown.

    The limit is full if a queue is over its limit and has dropped connections. The kernel drops the connections of a
    queue over its limit (include/net/sock.h, sk_acceptq_is_full).
    """
    if holders is None:
        return _limit("listen_queues", Use(None, None, None), None, needs_look)
    full = [each for each in holders.listeners if each.queue > each.limit and each.drops]
    unasked = [each for each in holders.namespaces if each.asked not in ("asked", "listeners")]
    if unasked and not full:
        from tcptop.accounting.holders import namespaces_text

        lacks = f"{namespaces_text(unasked)} not asked, or not to the end: queues there are not known"
        return _limit("listen_queues", Use(None, None, None), None, lacks, look_lacks=lacks, of_seen=OF_SEEN_NAMESPACES)
    seen = "" if holders.all_namespaces_seen else OF_SEEN_NAMESPACES
    if not holders.listeners:
        lacks = " ".join(filter(None, ("no socket listens", seen and "in the namespaces seen")))
        return _limit("listen_queues", Use(None, None, None), None, lacks, look_lacks=lacks, of_seen=seen)
    fullest = max(full or holders.listeners, key=lambda each: each.queue / max(1, each.limit))
    process = holders.process_of.get(fullest.pid or 0)
    name = "" if process is None else f"{process.command}[{process.pid}] "
    owner = f":{fullest.port} {name}".rstrip()
    number = grouped(len(holders.listeners))
    note = f"{owner}{_look_age(holders)}, the fullest of {number} queues{' seen' if seen else ''}"
    use = Use(fullest.queue, fullest.limit)
    return _limit(
        "listen_queues",
        use,
        None,
        note,
        state="full" if full else "unknown",
        of_seen=seen,
        owner=owner,
        is_in_other_netns=_is_elsewhere(holders, fullest.namespace),
        others=max(0, len(full) - 1),
        look_age_s=_look_tens_s(holders),
    )


def _why_unseen(snapshot: Snapshot, source: Reading[Any]) -> str:
    """The reason why a sysctl of the whole machine was not read.

    `source` is the reading that should contain the sysctl. Only the first network namespace has the sysctls of
    the whole machine.
    """
    limits = snapshot.socket_limits.value
    elsewhere = limits is not None and limits.local_ports is not None and source.state not in DAMAGED
    return "not visible from this network namespace" if elsewhere else _why_unread(source)


def _why_unread(source: Reading[Any]) -> str:
    """The reason why the number in a limit's file is unknown; `source` is the reading that should have the number."""
    return f"not known: its file {'is damaged' if source.state in DAMAGED else 'was not read'}"


def _as_unsigned(value: int) -> int:
    """The value of an unsigned int that was printed as an int."""
    return value + (1 << 32) if value < 0 else value


def _is_surely_over(use: Use) -> bool:
    """True if nothing more fits below a limit, whatever the error of its use."""
    if use.used is None or use.maximum is None or use.error is None:
        return False
    return use.used - use.error >= use.maximum


def _left(use: Use) -> int | None:
    return None if use.maximum is None or use.used is None else max(0, use.maximum - use.used)
