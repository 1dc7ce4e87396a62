"""Words and figures that several sections of a plan have: sides, buffers, bytes, percentages and what fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tcptop.explanation.limit_texts import FULL, STATE_ROLES, STATE_WORDS
from tcptop.kernel.limits import TIME_WAIT_LIMIT
from tcptop.kernel.objects import CGROUP_VECTORS, LAST_PORT
from tcptop.ledger import Ledger
from tcptop.ledger.amount import HIDDEN_ERROR_SHARE
from tcptop.ledger.plan import PLANNED_BUFFERS, LimitVerdict, Plan, PlanLimit, PlanRequest, Side
from tcptop.text import units

SIDE_WORDS: dict[Side, str] = {
    "accepted": "server-side",
    "outgoing": "client-side",
    "proxy": "proxy",
    "mixed": "half client side",
}
FAMILIES = {"ipv4": "IPv4 ", "ipv6": "IPv6 ", "mix": ""}
MAX_SHOWN_RATIO = 100
"""If the use exceeds a limit by more than this factor, it is shown as `> 10 000 %`, since more digits only take
space."""
MAX_SHOWN_CONNECTIONS = 1_000_000_000
"""A larger number of connections is shown as `> 1 000 000 000`, since more digits only take space."""
EDGE_WORDS: Mapping[LimitVerdict, str] = {"fits": "JUST FITS", "unknown": "MAY BE FULL"}
"""Words for the state `full` of a limit that the plan does not certainly exceed."""
VECTORS = f"{CGROUP_VECTORS.label} vectors"
NO_PORT = (
    "if each connects without binding to a port: connect() finds none, as all of ip_local_port_range are in"
    " ip_local_reserved_ports"
)
"""Remarks of a plan on sockets that get no port (net/ipv4/inet_hashtables.c, __inet_hash_connect)."""
DEFAULT_NR_OPEN = 1_048_576
"""Default of fs.nr_open, the largest possible limit on the open files of a process (fs/file.c)."""
Signs = Callable[[str], str]
"""A function that replaces signs such as `≤`, before the columns of a table get their widths and texts wrap."""


def finds_no_port(plan: Plan) -> bool:
    """True if the plan has client-side sockets, and all of ip_local_port_range is reserved."""
    return plan.request.outgoing > 0 and plan.ports == 0


def full_bytes_text(plan: Plan) -> str:
    """The bytes of a connection by which the numbers that fit into memory are computed.

    The text is empty if client sockets share bind buckets as in the plan itself: then at most roundings differ.
    """
    each, full = plan.bytes_per_connection, plan.full_bytes_per_connection
    if each is None or full is None or not sharing_text(plan):
        return ""
    text = plan_bytes(plan, full)
    return "" if text == plan_bytes(plan, each) else text


def sharing_text(plan: Plan) -> str:
    """The way client sockets share bind buckets if as many are open as fit; empty if as in the plan itself."""
    memory = next((limit for limit in plan.limits if limit.name == "memory"), None)
    fits = plan.connections_before_reclaim or (None if memory is None else memory.connections)
    each, full, request = plan.bytes_per_connection, plan.full_bytes_per_connection, plan.request
    if not fits or each is None or full is None:
        return ""
    clients = max(request.outgoing, request._replace(connections=fits).outgoing)
    if clients <= LAST_PORT:
        return ""
    if full < each and fits > request.connections:
        return "client sockets share more bind buckets"
    return "fewer client sockets share a bind bucket" if full > each and fits < request.connections else ""


def assumption_text(plan: Plan) -> str:
    """The assumption of the plan about the buffers of each socket, in words."""
    request = plan.request
    if request.buffer_bytes == "now":
        if any(name.startswith(f"{PLANNED_BUFFERS} ") for name in plan.missing):
            return "average buffers, not known"
        return "no buffers now" if has_no_buffers_now(plan) else "average buffers"
    return f"{units.size(request.buffer_bytes)} of buffers each" if request.buffer_bytes else "without data"


def has_no_buffers_now(plan: Plan) -> bool:
    """True if the plan uses the buffers of the present sockets, and these sockets certainly have no buffers."""
    bounds = plan.buffers.memory_bounds
    return plan.request.buffer_bytes == "now" and bounds is not None and bounds.high == 0


def verdict_limit(plan: Plan) -> PlanLimit | None:
    """The limit that the verdict names first: of a plan that does not fit, the first one that is surely exceeded."""
    if plan.verdict == "does not fit":
        return next(limit for limit in plan.limits if limit.verdict == "exceeded")
    return plan.first


def state_word(limit: PlanLimit) -> str:
    """The alarm of a limit after the plan, in a word that does not contradict the verdict; empty without an alarm.

    A limit that would be nearly full may still have room for the plan. tcp_max_tw_buckets stops no connection, so it
    may be full in a plan that fits.
    """
    if limit.state == "full" and limit.name != TIME_WAIT_LIMIT:
        return EDGE_WORDS.get(limit.verdict, FULL)
    if limit.state == "full":
        return FULL if limit.ratio is None or limit.ratio >= 1 else STATE_WORDS["near"]  # None: the maximum is 0
    return STATE_WORDS[limit.state] if limit.state in STATE_ROLES else ""


def connections_text(request: PlanRequest) -> str:
    """The planned connections: `100 000 server-side connections`, or `100 000 connections, half client side`."""
    word = "connection" if request.connections == 1 else "connections"
    number, side = units.grouped(request.connections), SIDE_WORDS[request.side]
    return f"{number} {word}, {side}" if request.side == "mixed" else f"{number} {side} {word}"


def title_text(ledger: Ledger, request: PlanRequest) -> str:
    """The planned connections and sockets, and the kernel."""
    sockets = "socket" if request.sockets == 1 else "sockets"
    more = f" and {units.grouped(request.time_wait)} in TIME_WAIT" if request.time_wait else ""
    kernel = f"Linux {ledger.host.kernel}" if ledger.host.kernel else "an unknown kernel"
    name = f"{ledger.host.name}, " if ledger.host.name else ""
    return (
        f"{connections_text(request)}: {units.grouped(request.sockets)} {FAMILIES[request.family]}{sockets}{more}"
        f" more than there are now, on {name}{kernel}"
    )


def total_text(plan: Plan) -> str:
    """The bytes of all planned objects, with their bounds."""
    if plan.bytes is None:
        return units.UNKNOWN
    return size_span_text(plan.bytes, plan.high_bytes)


def size_span_text(low_bytes: float, high_bytes: float | None) -> str:
    """Bounds on a number of bytes, as text; `≥` and the lower bound if there is no upper bound."""
    if high_bytes is None:
        return f"≥ {units.size(low_bytes, False)}"
    low, high = units.size(low_bytes), units.size(high_bytes)
    return low if low == high else units.size_range(low_bytes, high_bytes)


def percent_text(limit: PlanLimit) -> str:
    """The present use plus the amount of the plan, in per cent of the limit.

    If the amount of the plan is a range, the percentage is a range too. If the percentage has no upper bound, the text
    is `≥` and the lower bound.
    """
    if limit.ratio_is_at_least:
        return f"≥ {units.percent_bound(limit.ratio or 0.0, False)} %"
    if (limit.low_ratio or 0) > MAX_SHOWN_RATIO:
        return f"> {units.grouped(MAX_SHOWN_RATIO * 100)} %"
    least, most = (shown_ratio(limit, ratio) or 0.0 for ratio in (limit.low_ratio, limit.ratio))
    return f"{units.bounds_span((least, most), units.percent_bound)} %"


def shown_ratio(limit: PlanLimit, ratio: float | None) -> float | None:
    """The share of a limit after the plan, at most 1 if the plan fits; None if unknown.

    Used and free memory are computed from different counters, and may add up to a little more than all memory.
    """
    return min(1.0, ratio) if ratio is not None and limit.verdict == "fits" else ratio


def fits_text(limit: PlanLimit) -> str:
    """The number of planned connections that fit below the limit, with `≤` or `≥` if the number is a bound.

    For tcp_max_tw_buckets, which stops no connection, it is the number of further mini-sockets.
    """
    if limit.name == TIME_WAIT_LIMIT:
        return units.rough_count(limit.free)
    is_at_most = limit.connections_are_at_most
    if (limit.connections or 0) > MAX_SHOWN_CONNECTIONS:
        return f"> {units.grouped(MAX_SHOWN_CONNECTIONS)}"
    sign = "≤ " if is_at_most else "≥ " if limit.connections_are_at_least else ""
    return f"{sign}{units.rough_count(limit.connections, up=is_at_most)}"


def fits_range_text(limit: PlanLimit) -> str:
    """The number of planned connections that fit below the limit, as in `fits_text`, or both ends of its range."""
    least, most = units.rough_count(limit.connections), units.rough_count(limit.high_connections, up=True)
    is_range = limit.connections_are_at_least and limit.high_connections is not None and least != most
    return f"{least} to {most}" if is_range else fits_text(limit)


def screen_words(text: str) -> str:
    """A text with the name of vectors of memory cgroups as on the main screen."""
    return text.replace(CGROUP_VECTORS.struct, VECTORS)


def amount_text(limit: PlanLimit, amount: int | None, up: bool | None = None) -> str:
    """An amount in the unit of a limit, as text."""
    if amount is None:
        return units.UNKNOWN
    return units.size(amount, up) if limit.unit == "bytes" else units.count(amount)


def buffers_text(plan: Plan) -> str:
    """The buffers of a planned socket, and the part of them with data: `25 598 B, with data 5 263 to 9 104 B`.

    Where the upper bound is above the likely charge, it is `≈ 778 B; 31 to 1 223 B`. The charge is left out if unknown.
    """
    counted, _, bounds = plan.buffers
    if counted is None and bounds is None:
        return "not known"
    most = most_charge(plan) if plan.request.buffer_bytes == "now" else counted
    is_about = counted is not None and (most is None or most > (1 + HIDDEN_ERROR_SHARE) * counted)
    charge = f"{'≈ ' if is_about else ''}{units.exact_bytes(counted)}"
    if bounds is None:
        return f"{charge} B, with data not known"
    used = units.bounds_span(bounds, units.exact_bytes)
    if bounds.low == 0 < bounds.high:
        used = f"≤ {units.exact_bytes(bounds.high, True)}"
    if counted is None:
        return f"with data {used} B"
    # With a likely charge below the upper bound, a part with data would look larger than its whole.
    return f"{charge} B; {used} B" if is_about and bounds.high > counted else f"{charge} B, with data {used} B"


def most_charge(plan: Plan) -> float | None:
    """Upper bound on the bytes per planned socket that the kernel charges for its buffers; None if unknown."""
    row = next((limit for limit in plan.limits if limit.name == "tcp_mem"), None)
    return None if row is None or row.high_takes is None else row.high_takes / plan.request.sockets


def socket_bytes(plan: Plan) -> float | None:
    """The bytes of a planned socket; None if unknown."""
    if plan.bytes_per_connection is None:
        return None
    return plan.bytes_per_connection * plan.request.connections / plan.request.sockets


def plan_bytes(plan: Plan, each: float) -> str:
    """The bytes of a planned socket or connection, with `≤` or `≥` if they are a bound."""
    if plan.high_bytes is None:
        return f"≥ {units.exact_bytes(each, False)} B"
    has_range = plan.bytes is not None and plan.high_bytes > plan.bytes * (1 + 1e-9)
    return f"≤ {units.exact_bytes(each, True)} B" if has_range else f"{units.exact_bytes(each)} B"
