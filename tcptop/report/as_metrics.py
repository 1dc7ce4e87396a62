"""The ledger as metrics for Prometheus, in immutable families of samples.

The module needs neither a Prometheus library nor a clock.

An unknown figure has no sample; its value is never written as 0 or NaN. A figure that is known exactly is in the family
that has the figure's name. A figure that is known within bounds is in two other families, with `low` and `high` in
their names. An unknown bound has no sample. Metrics whose names begin with `tcptop_netns_` are for one network
namespace. Metrics with any other name are for the whole machine, or for the node or other object that their labels
name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil, floor, inf
from typing import Literal, NamedTuple

from tcptop import __version__
from tcptop.kernel.limits import LIMIT_BY_NAME
from tcptop.ledger import AccountingMode, Amount, CacheLine, ConnectionCost, Ledger, Limit, SocketCost, TcpMemory
from tcptop.ledger.holders import HolderGroup, Holders

Kind = Literal["gauge", "counter"]
Values = tuple[str, ...]
Point = tuple[Values, float]


class Family(NamedTuple):
    """A metric and its samples."""

    name: str
    """Name of the metric; the name of a counter ends in `_total`."""
    kind: Kind
    help: str
    unit: str
    """Base unit at the end of the metric's name, such as `bytes`; empty if the name says what is counted."""
    labels: Values
    points: tuple[Point, ...]
    """For each sample, the values of the labels in the order of `labels`, and the sample's value."""


class MetricOptions(NamedTuple):
    """The user's choice of metrics to export, and a figure that only the exporter knows."""

    free_blocks: bool = True
    """True if there is a time series for each node and order of free blocks."""
    owners: int = 0
    """Maximum number of owners of sockets to export; 0 for none."""
    read_us: int | None = None
    """CPU time of all reads of the host so far."""


DEFAULT_OPTIONS = MetricOptions()


class Bounds(NamedTuple):
    """A figure that is known within bounds; a bound is None if unknown."""

    low: float | None
    high: float | None


Value = float | None
Read = Callable[[Ledger, MetricOptions], Iterable[tuple[Values, Value]]]
ReadBounds = Callable[[Ledger, MetricOptions], Iterable[tuple[Values, Bounds]]]


class Metric(NamedTuple):
    """A row of the table of metrics, for a figure that is either known exactly or unknown."""

    name: str
    help: str
    labels: Values
    read: Read
    kind: Kind = "gauge"

    def families(self, ledger: Ledger, options: MetricOptions) -> Iterator[Family]:
        """Yields the family, with the samples that are known."""
        points = [(values, value) for values, value in self.read(ledger, options) if value is not None]
        yield Family(self.name, self.kind, self.help, _unit(self.name), self.labels, tuple(points))


class BoundedMetric(NamedTuple):
    """A row of the table of metrics, for a figure that may be known within bounds.

    `{}` in the name is removed for an exact figure, replaced by `low_` for a lower bound, and by `high_` for an upper
    bound.
    """

    name: str
    help: str
    labels: Values
    read: ReadBounds

    def families(self, ledger: Ledger, options: MetricOptions) -> Iterator[Family]:
        """Yields the family of exact samples, the family of lower bounds, and the family of upper bounds."""
        exact: list[Point] = []
        low: list[Point] = []
        high: list[Point] = []
        for values, bounds in self.read(ledger, options):
            if bounds.low is not None and bounds.low == bounds.high:
                exact.append((values, bounds.low))
                continue
            if bounds.low is not None:
                low.append((values, bounds.low))
            if bounds.high is not None and bounds.high != inf:
                high.append((values, bounds.high))
        forms = (("", "", exact), ("low_", ", at least", low), ("high_", ", at most", high))
        for infix, words, points in forms:
            name = self.name.format(infix)
            yield Family(name, "gauge", f"{self.help}{words}.", _unit(name), self.labels, tuple(points))


UNITS = ("bytes", "seconds", "ratio")


def _unit(name: str) -> str:
    base = name.removesuffix("_total")
    return next((unit for unit in UNITS if base.endswith(f"_{unit}")), "")


def metric_families(ledger: Ledger, options: MetricOptions = DEFAULT_OPTIONS) -> tuple[Family, ...]:
    """Every family that has a sample, in the order of the table of metrics.

    No two samples of a family have the same labels.
    """
    rows: tuple[Metric | BoundedMetric, ...] = (*METRICS, *(OWNER_METRICS if options.owners else ()))
    found = [family for row in rows for family in row.families(ledger, options)]
    return tuple(family for family in found if family.points)


def _one(read: Callable[[Ledger], Value]) -> Read:
    """Makes a function that reads a figure without labels."""
    return lambda ledger, _: [((), read(ledger))]


def _build(_: Ledger, __: MetricOptions) -> Iterator[tuple[Values, Value]]:
    yield (__version__,), 1


def _kernel(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Value]]:
    page_bytes = ledger.host.page_size_bytes
    if ledger.host.kernel is not None:
        yield (ledger.host.kernel, "" if page_bytes is None else str(page_bytes)), 1


OPTIONAL_SOURCES = frozenset(
    {"btf", "conntrack_stats", "tls_stat", "memory_cgroups", "security_modules", "smbios", "sockstat6"}
)
"""Sources whose files are missing with some kernel configurations; a missing file does not make such a source
`down`."""


def _sources(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Value]]:
    for name, source in ledger.sources.items():
        is_absent = source.state in ("off", "waiting") or (source.state == "missing" and name in OPTIONAL_SOURCES)
        if not is_absent and name != "machine_load":
            yield (name,), float(source.state == "ok")


def _read_cpu(_: Ledger, options: MetricOptions) -> Iterator[tuple[Values, Value]]:
    yield (), None if options.read_us is None else options.read_us / 1e6


def _connection(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
    for mode, cost in ledger.costs.items():
        for family, sides in cost.by_family.items():
            if family != "mix":
                yield (mode, family, "accepted"), _slab_bounds(sides.accepted)
                yield (mode, family, "outgoing"), _slab_bounds(sides.outgoing)


def _slab_bounds(side: SocketCost) -> Bounds:
    bounds = side.slab_bounds()
    return Bounds(None, None) if bounds is None else Bounds(bounds.low, bounds.high)


def _connection_now(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
    for mode, cost in ledger.costs.items():
        yield (mode,), _now_bounds(cost)


def _now_bounds(cost: ConnectionCost) -> Bounds:
    bounds = cost.now_bounds
    return Bounds(None, None) if bounds is None else Bounds(bounds.low or None, bounds.high)


def _time_wait(scope: str) -> Callable[[Ledger], Value]:
    return lambda ledger: ledger.sockets.time_wait if ledger.sockets.time_wait_scope == scope else None


def _established(ledger: Ledger) -> Value:
    found = [state for state in ledger.states if state.state == "ESTABLISHED" and state.scope == "here"]
    return found[0].count if found and not found[0].count_is_upper_bound else None


def _in_use(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Value]]:
    yield ("ipv4",), ledger.sockets.inuse
    yield ("ipv6",), ledger.sockets.inuse6


def _tcp_mem(index: int) -> Callable[[Ledger], Value]:
    def read(ledger: Ledger) -> Value:
        pages, unit = ledger.sockets.tcp_mem_pages, ledger.sockets.tcp_mem_unit_bytes
        return None if pages is None or unit is None else pages[index] * unit

    return read


def _pressure(ledger: Ledger) -> Value:
    under_pressure = ledger.sockets.under_pressure
    return None if under_pressure is None else float(under_pressure)


def _tcp_memory(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
    yield (), _memory_bounds(ledger.tcp_memory)


def _memory_bounds(memory: TcpMemory) -> Bounds:
    return Bounds(memory.low_bytes, None if memory.missing else memory.high_bytes)


def _slab_memory(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Value]]:
    memory = ledger.slab_memory
    yield ("own",), memory.own_bytes
    yield ("share",), memory.share_bytes
    yield ("rest",), memory.rest_bytes
    yield ("unexplained",), memory.unexplained_bytes


def _own_caches(read: Callable[[CacheLine], Value]) -> Read:
    """Makes a function that reads a figure of each of TCP's own caches.

    The figures of rows with the same name are added up. If one of the figures to add up is unknown, the sum is unknown.
    """

    def read_caches(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Value]]:
        by_name: dict[str, list[Value]] = defaultdict(list)
        for cache in ledger.caches:
            if cache.in_catalogue and not cache.shared:
                by_name[cache.name].append(read(cache))
        for name, amounts in by_name.items():
            known = [amount for amount in amounts if amount is not None]
            yield (name,), sum(known) if len(known) == len(amounts) else None

    return read_caches


def _shared_caches(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Value]]:
    by_name: dict[str, int] = defaultdict(int)
    for cache in ledger.caches:
        if cache.in_catalogue and cache.shared and cache.tcp_bytes:
            by_name[cache.name] += cache.tcp_bytes
    for name, amount in by_name.items():
        yield (name,), amount


SCOPES: Mapping[str, str] = {"here": "netns"}


def _limit_ratio(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
    for limit in ledger.limits["full"].rows:
        yield _limit_labels(limit), _ratio_bounds(limit)


def _limit_labels(limit: Limit) -> Values:
    return (limit.name, limit.concerns.lower().replace(" ", "_"), SCOPES.get(limit.scope, limit.scope))


def _ratio_bounds(limit: Limit) -> Bounds:
    """Bounds on the use divided by the maximum.

    A maximum of 0 is always exceeded (`limit_state`), so the ratio is infinite.
    """
    if limit.used is None or limit.maximum is None or limit.maximum_is_at_most:
        return Bounds(None, None)
    if limit.maximum == 0:
        return Bounds(inf, inf)
    if limit.used_error is None:
        return Bounds(None, None)
    if limit.used_is_at_most:
        return Bounds(None, limit.used / limit.maximum)
    low = max(0, limit.used - limit.used_error)
    if limit.of_seen:
        return Bounds(low / limit.maximum, None)
    return Bounds(low / limit.maximum, (limit.used + limit.used_error) / limit.maximum)


def _headroom(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
    for mode, limits in ledger.limits.items():
        for limit in limits.rows:
            low, high = _headroom_bounds(ledger, mode, limit)
            if limit.name == "memory" and ledger.headroom[mode].is_at_most:
                low = ledger.headroom[mode].with_reclaim_low
            is_at_least = limit.headroom_is_at_least and limit.used_error == 0 and limit.name != "tcp_mem"
            bounds = Bounds(low, None if is_at_least else high)
            yield (mode, *_limit_labels(limit)), bounds


def _headroom_bounds(ledger: Ledger, mode: AccountingMode, limit: Limit) -> Bounds:
    """Bounds on the sockets that fit below a limit, from the error of the counter of its use.

    The use of tcp_mem has no error, but the average buffers of a socket, which come from its counter, have one.
    """
    sockets, error, each = limit.headroom_sockets, limit.used_error, _amount_of_a_socket(ledger, mode, limit)
    if limit.name == "tcp_mem" and sockets is not None and limit.used is not None and limit.maximum is not None:
        left, per_socket = max(0, limit.maximum - limit.used), ledger.sockets.buffer_bounds_per_socket
        if not left or per_socket is None:
            return Bounds(sockets, sockets)
        return Bounds(int(left / per_socket.high), ceil(left / per_socket.low) if per_socket.low else inf)
    if sockets is None or limit.used is None or limit.maximum is None or error == 0:
        return Bounds(sockets, sockets)
    if error is None or not each:
        return Bounds(None, None)
    least, most = max(0, limit.used - error), limit.used + error
    if limit.name == "memory":
        return Bounds(max(0, int(sockets - error / each)), int(sockets + -(-error // each)))
    return Bounds(max(0, limit.maximum - most) // each, max(0, limit.maximum - least) // each)


def _amount_of_a_socket(ledger: Ledger, mode: AccountingMode, limit: Limit) -> float | None:
    """The amount that one more socket takes of a limit whose counter has an error; None if unknown."""
    if limit.name == "memory":
        return ledger.headroom[mode].bytes_per_socket
    return 1


def _before_reclaim(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
    for mode, headroom in ledger.headroom.items():
        low = None if headroom.is_at_most else headroom.without_reclaim_low
        yield (mode,), Bounds(low, headroom.without_reclaim_high)


def _unknown_limits(ledger: Ledger) -> Value:
    rows = [limit for limit in ledger.limits["full"].rows if not LIMIT_BY_NAME[limit.name].needs_look]
    return sum(1 for limit in rows if limit.used is None or limit.maximum is None)


def _events(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Value]]:
    for event in ledger.events:
        if event.unit != "ms":
            yield (event.name, event.limit or ""), event.total


def _pressure_seconds(ledger: Ledger) -> Value:
    found = [event.total for event in ledger.events if event.unit == "ms"]
    return None if not found or found[0] is None else found[0] / 1e3


def _of_nodes(read: Callable[[Ledger, int], Value]) -> Read:
    """Makes a function that reads a figure of each node; `read` gets the node's index in the ledger."""
    return lambda ledger, _: [((str(node.node),), read(ledger, index)) for index, node in enumerate(ledger.nodes)]


def _node_free_bytes(ledger: Ledger, index: int) -> Value:
    pages, page_bytes = ledger.nodes[index].free_pages, ledger.host.page_size_bytes
    return None if pages is None or page_bytes is None else pages * page_bytes


def _node_local(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
    headroom = ledger.headroom["full"]
    for node in ledger.nodes:
        of_node = headroom.nodes.get(node.node)
        local = None if of_node is None else of_node.local
        low = local
        if local is not None and headroom.is_at_most:
            least = headroom.least_sockets(local)
            low = least if least is not None and least < local else None
        yield (str(node.node),), Bounds(low, local)


def _free_blocks(ledger: Ledger, options: MetricOptions) -> Iterator[tuple[Values, Value]]:
    for node in ledger.nodes if options.free_blocks else ():
        areas = [zone.free_area for zone in node.zones if zone.zone != "Movable"]
        known = [area for area in areas if area is not None]
        if known and len(known) == len(areas):
            for order in range(max(map(len, known))):
                yield (str(node.node), str(order)), sum(area[order] for area in known if order < len(area))


def _of_states(read: Callable[[Holders, list[HolderGroup]], Amount]) -> ReadBounds:
    """Makes a function that reads a figure by TCP state.

    If the dump did not contain every socket, the values are lower bounds.
    """

    def read_states(ledger: Ledger, _: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
        if ledger.holders is None:
            return
        by_state: dict[str, list[HolderGroup]] = defaultdict(list)
        for group in ledger.holders.groups:
            by_state[group.state].append(group)
        for state, groups in by_state.items():
            # The shares of a group add up to a whole number, but for an error of rounding.
            low, high = map(round, read(ledger.holders, groups))
            yield (state,), Bounds(low, high if ledger.holders.complete else None)

    return read_states


def _who_looked(ledger: Ledger) -> Value:
    holders = ledger.holders
    if holders is None or holders.age_s is None or ledger.taken_at_unix_s is None:
        return None
    return ledger.taken_at_unix_s - holders.age_s


OWNER_NAMES: Mapping[str, str] = {"orphan": "(orphan)", "kernel": "(kernel)", "handshake": "(handshake)"}
OTHERS: Values = ("(others)", "")
"""Labels of the sum of all owners that are not exported one by one."""


def _owners(holders: Holders, most: int) -> list[tuple[Values, list[HolderGroup]]]:
    """The groups of sockets by owner, for the owners with the most sockets.

    At most `most` owners have an item of their own. The last item has the groups of all owners without an item of their
    own.
    """
    merged: dict[Values, list[HolderGroup]] = defaultdict(list)
    for group in holders.groups:
        name = group.holder.command or OWNER_NAMES.get(group.holder.kind, "(not known)")
        cgroup = holders.cgroup_of.get(group.cgroup)
        merged[name, cgroup.path if cgroup is not None else ""].append(group)
    rest = merged.pop(OTHERS, [])  # a process named `(others)` would have the same labels as the sum
    rows = sorted(merged.items(), key=lambda row: (-sum(group.sockets for group in row[1]), row[0]))
    rest += [group for _, groups in rows[most:] for group in groups]
    return [*rows[:most], (OTHERS, rest)] if rest else rows


def _of_owners(read: Callable[[Holders, list[HolderGroup]], Bounds]) -> ReadBounds:
    """Makes a function that reads a figure by owner.

    If the dump did not contain every socket, or if some of the owner's sockets are an estimate, the values are lower
    bounds.
    """

    def read_owners(ledger: Ledger, options: MetricOptions) -> Iterator[tuple[Values, Bounds]]:
        holders = ledger.holders
        if holders is None:
            return
        for labels, groups in _owners(holders, options.owners):
            bounds = read(holders, groups)
            is_counted = not any(group.holder.is_estimated for group in groups)
            is_whole = holders.complete and is_counted
            yield labels, bounds if is_whole else bounds._replace(high=None)

    return read_owners


def _estimated_sockets(ledger: Ledger, options: MetricOptions) -> Iterator[tuple[Values, Value]]:
    for labels, groups in _owners(ledger.holders, options.owners) if ledger.holders is not None else ():
        yield labels, round(sum(group.sockets for group in groups))


def _owner_slab(_: Holders, groups: list[HolderGroup]) -> Bounds:
    known = [(group, group.slab_bytes) for group in groups if group.slab_bytes is not None]
    low = sum(slab.low * group.counted_sockets / group.sockets for group, slab in known if group.sockets)
    high = sum(slab.high for _, slab in known) if len(known) == len(groups) else None
    return Bounds(floor(low), None if high is None or high == inf else ceil(high))


def _owner_sockets(_: Holders, groups: list[HolderGroup]) -> Bounds:
    amount = sum(group.counted_sockets for group in groups)
    return Bounds(amount, amount)


def _owner_buffers(holders: Holders, groups: list[HolderGroup]) -> Bounds:
    unsent_bytes = sum(group.unsent_bytes for group in groups)
    charged = holders.sums.charged(sum(group.counted_buffer_bytes for group in groups), unsent_bytes)
    return Bounds(floor(charged.low), ceil(charged.high))


def _state_sockets(_: Holders, groups: list[HolderGroup]) -> Amount:
    number = sum(group.sockets for group in groups)
    return Amount(number, number)


def _state_buffers(holders: Holders, groups: list[HolderGroup]) -> Amount:
    buffer_bytes = sum(group.buffer_bytes for group in groups)
    return holders.sums.charged(buffer_bytes, sum(group.unsent_bytes for group in groups))


def _charged_buffers(ledger: Ledger) -> Value:
    sockets = ledger.sockets
    return None if sockets.buffer_error_bytes is None else sockets.buffer_bytes


LABELS_OF_LIMIT: Values = ("limit", "concerns", "scope")

METRICS: tuple[Metric | BoundedMetric, ...] = (
    Metric("tcptop_build_info", "The version of tcptop.", ("version",), _build),
    Metric("tcptop_kernel_info", "The kernel's release and page size.", ("release", "page_bytes"), _kernel),
    Metric(
        "tcptop_source_up",
        "Whether the last read of a source gave its figures; a source that need not be read is absent.",
        ("source",),
        _sources,
    ),
    Metric(
        "tcptop_last_look_timestamp_seconds",
        "Time of the look whose figures these are.",
        (),
        _one(lambda ledger: ledger.taken_at_unix_s),
    ),
    Metric(
        "tcptop_read_cpu_seconds_total",
        "CPU time that the kernel took to answer tcptop's reads.",
        (),
        _read_cpu,
        "counter",
    ),
    BoundedMetric(
        "tcptop_connection_slab_{}bytes",
        "Slab bytes that one more socket takes",
        ("accounting", "family", "side"),
        _connection,
    ),
    BoundedMetric(
        "tcptop_connection_now_{}bytes",
        "Slab bytes per socket now, idle slab included",
        ("accounting",),
        _connection_now,
    ),
    Metric(
        "tcptop_sockets_allocated", "TCP sockets of the machine.", (), _one(lambda ledger: ledger.sockets.allocated)
    ),
    Metric(
        "tcptop_sockets_orphaned",
        "Sockets of the machine that no process has any more, and that are not closed yet.",
        (),
        _one(lambda ledger: ledger.sockets.orphans),
    ),
    Metric(
        "tcptop_sockets_time_wait_max",
        "Upper bound on the mini-sockets of the machine.",
        (),
        _one(lambda ledger: ledger.sockets.time_wait_machine_max),
    ),
    Metric("tcptop_sockets_time_wait", "Mini-sockets of the machine.", (), _one(_time_wait("machine"))),
    Metric("tcptop_netns_sockets_in_use", "TCP sockets in the hash tables of the namespace.", ("family",), _in_use),
    Metric("tcptop_netns_sockets_established", "Established connections of the namespace.", (), _one(_established)),
    Metric("tcptop_netns_sockets_time_wait", "Mini-sockets of the namespace.", (), _one(_time_wait("here"))),
    Metric(
        "tcptop_buffers_charged_bytes",
        "What the buffers of all sockets are charged, in whole pages: the figure that tcp_mem limits. It is absent if"
        " its error is unknown.",
        (),
        _one(_charged_buffers),
    ),
    Metric(
        "tcptop_buffers_error_bytes",
        "Error of tcptop_buffers_charged_bytes in either direction.",
        (),
        _one(lambda ledger: ledger.sockets.buffer_error_bytes),
    ),
    Metric("tcptop_tcp_mem_min_bytes", "The first value of tcp_mem.", (), _one(_tcp_mem(0))),
    Metric("tcptop_tcp_mem_pressure_bytes", "The second value of tcp_mem.", (), _one(_tcp_mem(1))),
    Metric("tcptop_tcp_mem_max_bytes", "The third value of tcp_mem.", (), _one(_tcp_mem(2))),
    Metric(
        "tcptop_tcp_memory_pressure", "Whether the kernel says that TCP is under memory pressure.", (), _one(_pressure)
    ),
    BoundedMetric("tcptop_tcp_memory_{}bytes", "Kernel memory that TCP holds", (), _tcp_memory),
    Metric(
        "tcptop_slab_memory_bytes",
        "The machine's slab memory: TCP's own caches, TCP's share of other caches (estimated), the rest, and what is"
        " in no row of slabinfo.",
        ("part",),
        _slab_memory,
    ),
    Metric(
        "tcptop_slab_idle_bytes",
        "Free objects in the caches of socks, mini-sockets and request socks, at least: those on lists of CPUs count as"
        " active.",
        (),
        _one(lambda ledger: ledger.slab_memory.idle_bytes),
    ),
    Metric(
        "tcptop_slab_idle_error_bytes",
        "Upper bound on the free objects that tcptop_slab_idle_bytes misses; absent if it is not known.",
        (),
        _one(lambda ledger: ledger.slab_memory.idle_error_bytes),
    ),
    Metric(
        "tcptop_cache_bytes", "All slabs of a cache of TCP's own.", ("cache",), _own_caches(lambda cache: cache.bytes)
    ),
    Metric(
        "tcptop_cache_active_objects",
        "Active objects of a cache of TCP's own, with the free ones on lists of CPUs.",
        ("cache",),
        _own_caches(lambda cache: cache.active_objects),
    ),
    Metric(
        "tcptop_cache_tcp_bytes", "TCP's part of a cache that others use too (estimated).", ("cache",), _shared_caches
    ),
    BoundedMetric(
        "tcptop_limit_{}ratio",
        "Use of a limit divided by its maximum; +Inf if the maximum is 0",
        LABELS_OF_LIMIT,
        _limit_ratio,
    ),
    BoundedMetric(
        "tcptop_headroom_{}sockets",
        "How many more sockets fit below a limit; of memory, with reclaim",
        ("accounting", *LABELS_OF_LIMIT),
        _headroom,
    ),
    BoundedMetric(
        "tcptop_headroom_before_reclaim_{}sockets",
        "How many more sockets fit into memory before the kernel reclaims memory",
        ("accounting",),
        _before_reclaim,
    ),
    Metric("tcptop_limits_unknown", "Limits whose use or maximum is not known.", (), _one(_unknown_limits)),
    Metric(
        "tcptop_netns_events_total",
        "The kernel's counters of drops, overflows and resets in the namespace, with the limit that each belongs to.",
        ("event", "limit"),
        _events,
        "counter",
    ),
    Metric(
        "tcptop_netns_tcp_memory_pressure_seconds_total",
        "Time under memory pressure that the namespace's sockets ended.",
        (),
        _one(_pressure_seconds),
        "counter",
    ),
    Metric(
        "tcptop_memory_available_bytes",
        "MemAvailable of /proc/meminfo.",
        (),
        _one(lambda ledger: ledger.host.memory_available_bytes),
    ),
    Metric("tcptop_slab_order", "Order of the slabs of most sockets.", (), _one(lambda ledger: ledger.tcp_slab_order)),
    Metric("tcptop_node_free_bytes", "Free memory of a node.", ("node",), _of_nodes(_node_free_bytes)),
    Metric(
        "tcptop_node_tcp_slab_bytes",
        "TCP's slabs on a node.",
        ("node",),
        _of_nodes(lambda ledger, index: ledger.tcp_bytes_on(ledger.nodes[index].node)),
    ),
    Metric(
        "tcptop_node_tcp_slabs_free_max",
        "Upper bound on the slabs of sockets that fit into the free blocks of a node.",
        ("node",),
        _of_nodes(lambda ledger, index: ledger.nodes[index].tcp_slabs_free),
    ),
    BoundedMetric(
        "tcptop_node_local_headroom_{}sockets",
        "New sockets of the machine after which a node's CPUs take memory of other nodes; no limit",
        ("node",),
        _node_local,
    ),
    Metric(
        "tcptop_node_free_blocks",
        "Free blocks of a node by order, without the zone Movable.",
        ("node", "order"),
        _free_blocks,
    ),
    BoundedMetric(
        "tcptop_state_{}sockets",
        "Sockets by TCP state, of every network namespace that could be asked",
        ("state",),
        _of_states(_state_sockets),
    ),
    BoundedMetric(
        "tcptop_state_buffers_charged_{}bytes",
        "What the buffers of the sockets in a TCP state are charged; bounds where segments that are queued but not"
        " charged (MSG_ZEROCOPY) are in the look",
        ("state",),
        _of_states(_state_buffers),
    ),
    Metric("tcptop_who_timestamp_seconds", "Time of the look at all sockets.", (), _one(_who_looked)),
    Metric(
        "tcptop_who_complete",
        "Whether every network namespace was asked, and answered to the end.",
        (),
        _one(lambda ledger: None if ledger.holders is None else float(ledger.holders.complete)),
    ),
)
"""Every metric except those of owners."""

OWNER_LABELS: Values = ("owner", "cgroup")

OWNER_METRICS: tuple[Metric | BoundedMetric, ...] = (
    BoundedMetric(
        "tcptop_owner_{}sockets",
        "Sockets by owner: name of the process, and path of the cgroup; of large processes, those in their samples",
        OWNER_LABELS,
        _of_owners(_owner_sockets),
    ),
    Metric(
        "tcptop_owner_estimated_sockets",
        "The same with the sockets of large processes as estimated from their samples: neither bound.",
        OWNER_LABELS,
        _estimated_sockets,
    ),
    BoundedMetric(
        "tcptop_owner_slab_{}bytes",
        "Slab bytes of an owner's sockets",
        OWNER_LABELS,
        _of_owners(_owner_slab),
    ),
    BoundedMetric(
        "tcptop_owner_buffers_charged_{}bytes",
        "What the buffers of an owner's sockets are charged; bounds where segments that are queued but not charged"
        " (MSG_ZEROCOPY) are in the look",
        OWNER_LABELS,
        _of_owners(_owner_buffers),
    ),
)
