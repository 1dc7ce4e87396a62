"""Compares two ledgers figure by figure."""

from __future__ import annotations

from math import inf

from tcptop.accounting.events import event_growth_between, totals_of
from tcptop.accounting.headroom import EXACT_SHARE
from tcptop.comparison.difference import (
    Bound,
    Change,
    ChangedRows,
    ComparedInput,
    LedgerDifference,
    SlabGrowth,
    StateChange,
    Unlike,
    bounded_change,
    sort_by_change,
    upper_bound,
)
from tcptop.comparison.memory_changes import cache_rows, free_block_rows, node_rows, node_sum
from tcptop.comparison.slab_growth import slab_growth
from tcptop.ledger import SCOPE_LABELS, AccountingMode, Amount, CountScope, Ledger, SocketCost, TcpMemory

GOOD_STATES = ("ok", "off", "waiting")
NOT_COMPARED = ("machine_load", "smbios", "tls_stat")
"""Sources that contribute no figure to the comparison."""

OTHER_NET_NAMESPACE = "another netns"

MODE_TITLES: dict[AccountingMode, str] = {"full": "", "time_wait": " TIME_WAIT"}


def compare_ledgers(before: Ledger, after: Ledger, labels: tuple[str, str]) -> LedgerDifference:
    """The differences between two ledgers; `labels` are the user's names for the two ledgers."""
    unlike = _unlike(before, after)
    machine = [name for name in unlike if name not in ("boot", "network namespace")]
    growth: SlabGrowth | str = slab_growth(before, after) if not machine else f"not the same {', '.join(machine)}"
    return LedgerDifference(
        before=_compared_input(before, labels[0]),
        after=_compared_input(after, labels[1]),
        unlike=unlike,
        sockets=_sockets(before, after),
        connection=_connection(before, after),
        events=_events(before, after),
        tcp_memory=_tcp_memory(before, after),
        slab_memory=Change(
            "slab_memory_bytes", "slab memory", "bytes", before.slab_memory.total_bytes, after.slab_memory.total_bytes
        ),
        states=_states(before, after),
        caches=cache_rows(before, after),
        headroom=_headroom(before, after),
        nodes=node_rows(before, after),
        node_sum=node_sum(before, after),
        free_blocks=free_block_rows(before, after),
        growth=growth if isinstance(growth, SlabGrowth) else None,
        no_growth_because=growth if isinstance(growth, str) else None,
    )


def _compared_input(ledger: Ledger, label: str) -> ComparedInput:
    return ComparedInput(
        label=label,
        host=ledger.host,
        taken_at_unix_s=ledger.taken_at_unix_s,
        live=ledger.live,
        not_read={
            name: source.reason or source.state
            for name, source in ledger.sources.items()
            if source.state not in GOOD_STATES and name not in NOT_COMPARED
        },
        headroom=ledger.headroom["full"],
        limits=ledger.limits["full"],
    )


def _unlike(before: Ledger, after: Ledger) -> tuple[Unlike, ...]:
    """Names of the properties that differ between two hosts: kernel, page size, machine, number of CPUs, boot, netns.

    Two machines or kernels also have two boots, and two boots have two network namespaces; this is not said.
    """
    one, two = before.host, after.host
    pairs: dict[Unlike, tuple[object, object]] = {
        "kernel": (one.kernel, two.kernel),
        "page size": (one.page_size_bytes, two.page_size_bytes),
        "machine": (one.name, two.name),
    }
    found = [name for name, (left, right) in pairs.items() if None not in (left, right) and left != right]
    if "machine" not in found and None not in (one.cpus, two.cpus) and one.cpus != two.cpus:
        found.append("number of CPUs")
    if not {"kernel", "page size", "machine"}.intersection(found):
        if one.is_other_boot(two):
            found.append("boot")
        elif one.is_other_net_namespace(two):
            found.append("network namespace")
    return tuple(found)


def _sockets(before: Ledger, after: Ledger) -> tuple[Change, ...]:
    one, two = before.sockets, after.sockets
    time_wait_max = (one.time_wait_machine_max, two.time_wait_machine_max)
    most = [upper_bound(count) for count in time_wait_max]
    netns, is_one_netns = _scope(before, after, "here", "here")
    scope, is_one_scope = _scope(before, after, one.time_wait_scope, two.time_wait_scope)
    time_wait = (one.time_wait, two.time_wait)
    assumed = ", error assumed" if one.buffer_error_is_assumed or two.buffer_error_is_assumed else ""
    buffers = [(counts.buffer_bytes, counts.buffer_bounds) for counts in (one, two)]
    return (
        Change("allocated", "allocated", "count", one.allocated, two.allocated, note="machine"),
        Change("inuse", "in use, IPv4", "count", one.inuse, two.inuse, note=netns, is_comparable=is_one_netns),
        Change("inuse6", "in use, IPv6", "count", one.inuse6, two.inuse6, note=netns, is_comparable=is_one_netns),
        Change("orphans", "orphans", "count", one.orphans, two.orphans, note="machine"),
        Change("time_wait", "TIME_WAIT", "count", *time_wait, note=scope, is_comparable=is_one_scope),
        Change("time_wait_machine_max", "TIME_WAIT", "count", *time_wait_max, most[0], most[1], "all netns"),
        bounded_change("buffer_bytes", "buffers", "bytes", buffers[0], buffers[1], f"machine{assumed}"),
    )


def _scope(before: Ledger, after: Ledger, one: CountScope | None, two: CountScope | None) -> tuple[str, bool]:
    """The text for the scope of a count, and True if the count has the same scope in both ledgers.

    If both ledgers count a network namespace, and the two namespaces are known to differ, the scope is not the same.
    """
    scopes = list(dict.fromkeys(scope for scope in (one, two) if scope is not None))
    is_other = before.host.is_other_net_namespace(after.host)
    if scopes == ["here"] and is_other:
        return OTHER_NET_NAMESPACE, False
    is_one_scope = len(scopes) < 2 and not (is_other and scopes == ["machine or here"])
    return ", then ".join(SCOPE_LABELS.get(scope, scope) for scope in scopes), is_one_scope


def _events(before: Ledger, after: Ledger) -> tuple[Change, ...]:
    growth, totals = event_growth_between(before, after), totals_of(after)
    netns, _ = _scope(before, after, "here", "here")
    return tuple(
        Change(name, name, "count", total, totals[name], note=netns, is_comparable=growth[name] is not None)
        for name, total in totals_of(before).items()
    )


def _connection(before: Ledger, after: Ledger) -> tuple[Change, ...]:
    changes: list[Change] = []
    for mode, title in MODE_TITLES.items():
        one, two = before.costs[mode], after.costs[mode]
        mixes = (one.by_family["mix"], two.by_family["mix"])
        idle = (one.idle_bytes_per_socket, two.idle_bytes_per_socket)
        bounds = [upper_bound(cost.idle_bytes_per_socket, cost.now_is_at_most) for cost in (one, two)]
        changes += [
            _cost(f"{mode}_accepted_bytes", f"server side{title}", mixes[0].accepted, mixes[1].accepted),
            _cost(f"{mode}_outgoing_bytes", f"client side{title}", mixes[0].outgoing, mixes[1].outgoing, at_most=True),
            bounded_change(
                f"{mode}_now_bytes",
                f"average now{title}",
                "bytes",
                (one.now_bytes, one.now_bounds),
                (two.now_bytes, two.now_bounds),
            ),
            Change(f"{mode}_idle_bytes_per_socket", f"idle slab{title}", "bytes", *idle, bounds[0], bounds[1]),
        ]
    buffers = [_buffers_per_socket(ledger) for ledger in (before, after)]
    return (*changes, bounded_change("full_buffer_bytes_per_socket", "buffers", "bytes", buffers[0], buffers[1]))


def _buffers_per_socket(ledger: Ledger) -> tuple[float | None, Amount | None]:
    """The average buffer bytes of a socket, and bounds on the average, computed from the bounds on all buffer bytes."""
    return ledger.costs["full"].buffer_bytes_per_socket, ledger.sockets.buffer_bounds_per_socket


def _cost(key: str, name: str, before: SocketCost | None, after: SocketCost | None, at_most: bool = False) -> Change:
    """The change of the slab bytes of one socket.

    If `at_most` is set (for outgoing sockets), the upper bounds on the slab bytes are compared.
    """
    bounds = [None if side is None else side.slab_bounds(at_most) for side in (before, after)]
    one, two = (_bounded(each) for each in bounds)
    return Change(key, name, "bytes", one[0], two[0], one[1], two[1], before_bounds=bounds[0], after_bounds=bounds[1])


def _bounded(bounds: Amount | None) -> tuple[float | None, Bound]:
    """The number that reports show for the cost of a socket, and whether the number is exact or a bound."""
    if bounds is None:
        return None, "exact"
    low, high = bounds
    if low and low < high:
        return low, "at least" if high == inf else "about"
    return (low, "exact") if low else (high, "at most")


def _tcp_memory(before: Ledger, after: Ledger) -> Change:
    memories = before.tcp_memory, after.tcp_memory
    sides = [
        (memory.low_bytes if memory.bytes is None else memory.bytes, _memory_bounds(memory)) for memory in memories
    ]
    return bounded_change("tcp_memory_bytes", "kernel memory in TCP", "bytes", sides[0], sides[1])


def _memory_bounds(memory: TcpMemory) -> Amount | None:
    if memory.low_bytes is None:
        return None
    return Amount(memory.low_bytes, inf if memory.high_bytes is None else memory.high_bytes)


def _headroom(before: Ledger, after: Ledger) -> tuple[Change, ...]:
    one, two = before.headroom["full"], after.headroom["full"]
    sizes = (one.bytes_per_socket, two.bytes_per_socket)
    kinds = [_headroom_socket_bound(ledger) for ledger in (before, after)]
    bounds = [_headroom_socket_bounds(ledger) for ledger in (before, after)]
    of_buffers: list[Bound] = [
        "at least" if (each.high_buffer_bytes or 0) > (each.buffer_bytes or 0) else "exact" for each in (one, two)
    ]
    return (
        Change(
            "bytes_per_socket",
            "one more socket",
            "bytes",
            *sizes,
            kinds[0],
            kinds[1],
            before_bounds=bounds[0],
            after_bounds=bounds[1],
        ),
        Change("buffer_bytes", "buffers", "bytes", one.buffer_bytes, two.buffer_bytes, of_buffers[0], of_buffers[1]),
    )


def _headroom_socket_bound(ledger: Ledger) -> Bound:
    """The kind of the bytes of the socket that the headroom counts.

    The bytes are a lower bound if a part of the socket is of unknown size, or if the buffers may be larger.
    """
    headroom = ledger.headroom["full"]
    low, high = headroom.buffer_bytes, headroom.high_buffer_bytes
    if ledger.costs["full"].by_family["mix"].outgoing.missing or low is None or high is None:
        return "at least"
    return "at least" if high - low > EXACT_SHARE * (headroom.bytes_per_socket or 0.0) else "exact"


def _headroom_socket_bounds(ledger: Ledger) -> Amount | None:
    """The bytes of that socket with the least and with the most in buffers; None if another part is unknown."""
    headroom = ledger.headroom["full"]
    each, low, high = headroom.bytes_per_socket, headroom.buffer_bytes, headroom.high_buffer_bytes
    if ledger.costs["full"].by_family["mix"].outgoing.missing or each is None or low is None or high is None:
        return None
    return Amount(each, each - low + high)


def _states(before: Ledger, after: Ledger) -> ChangedRows[StateChange]:
    after_by_name = {state.state: state for state in after.states}
    changes = []
    for one in before.states:
        two = after_by_name[one.state]
        bounds = [upper_bound(state.count, state.count_is_upper_bound) for state in (one, two)]
        scope, is_one_scope = _scope(before, after, one.scope, two.scope)
        changes.append(
            StateChange(
                state=one.state,
                accepted_bytes=None
                if one.accepted is None
                else _cost("accepted_bytes", "server side", one.accepted, two.accepted),
                outgoing_bytes=None
                if one.outgoing is None
                else _cost("outgoing_bytes", "client side", one.outgoing, two.outgoing, True),
                count=Change(
                    "sockets",
                    "sockets",
                    "count",
                    one.count,
                    two.count,
                    bounds[0],
                    bounds[1],
                    scope,
                    is_one_scope,
                ),
            )
        )
    return sort_by_change(changes, lambda change: change.count)
