"""A plan as plain text: the memory needed, the limits, the sysctls, remarks, and the verdict in the last line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from tcptop.accounting.plan import BUFFERS, DEFAULT_NR_OPEN, Plan, PlanLimit, PlanPart, PlanRequest
from tcptop.explanation.headroom_page import short_label
from tcptop.kernel.objects import BIND_BUCKETS
from tcptop.ledger import LIMIT_LABELS, Ledger
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import paragraph, text_of
from tcptop.text.table import TableRow, make_headings, table_lines

COLUMNS = 80
FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}
PART_HEADINGS = make_headings("<TAKES", "<CACHE", "COUNT", "EACH", "BYTES", "")
LIMIT_HEADINGS = make_headings("<LIMIT", "USED", "TAKES", "OF", "% THEN", "CONNECTIONS", "")
NODE_HEADINGS = make_headings("<NODE", "TAKES", "")
MAY_BE_SHARED = {item.struct for item in BIND_BUCKETS}


def plan_as_text(ledger: Ledger, plan: Plan) -> str:
    """The plan as ASCII text, at most 80 columns wide, with a newline at the end."""
    sections = [
        _paragraph(_title(ledger, plan.request)),
        _parts(plan),
        _nodes(plan),
        _limits(plan),
        _sysctls(plan),
        [line for remark in _remarks(plan) for line in _paragraph(remark)],
        _paragraph(verdict_text(plan)),
    ]
    text = "\n".join("\n".join(section) + "\n" for section in sections if section)
    return report_to_ascii(text)


def _paragraph(text: str) -> list[str]:
    return [text_of(line).rstrip() for line in paragraph(text, COLUMNS - 1, "text")]


def connections_text(request: PlanRequest) -> str:
    """The planned connections: `100 000 proxy connections`."""
    word = "connection" if request.connections == 1 else "connections"
    return f"{units.grouped(request.connections)} {request.side} {word}"


def _title(ledger: Ledger, request: PlanRequest) -> str:
    sockets = "socket" if request.sockets == 1 else "sockets"
    more = f" and {units.grouped(request.time_wait)} in TIME_WAIT" if request.time_wait else ""
    kernel = f"Linux {ledger.host.kernel}" if ledger.host.kernel else "an unknown kernel"
    return (
        f"{connections_text(request)}: {units.grouped(request.sockets)} {FAMILIES[request.family]} {sockets}{more}"
        f" more than there are now, on {kernel}"
    )


def _parts(plan: Plan) -> list[str]:
    rows = [TableRow(_part_cells(part)) for part in plan.parts]
    rows.append(TableRow(("total", "", "", "", _total_text(plan))))
    lines = [text_of(line).strip("\n") for line in table_lines(PART_HEADINGS, rows, COLUMNS)]
    return [*map(str.rstrip, lines), *(line for name in plan.missing for line in _paragraph(f" not known: {name}"))]


def _part_cells(part: PlanPart) -> tuple[str, str, str, str, str]:
    is_buffers = part.object == BUFFERS
    each = part.high_bytes / part.count if part.count else None
    at_most = "≤ " if part.high_bytes > part.bytes * (1 + 1e-9) else ""
    size = units.size(each) if is_buffers else f"{units.exact_bytes(each)} B"
    return (
        part.object.removeprefix("struct "),
        part.cache or "",
        f"{at_most}{units.count(ceil(part.count))}" if part.object in MAY_BE_SHARED else units.count(ceil(part.count)),
        size,
        f"{at_most}{units.size(part.high_bytes)}",
    )


def _total_text(plan: Plan) -> str:
    if plan.bytes is None:
        return units.UNKNOWN
    if plan.high_bytes is None:
        return f"≥ {units.size(plan.bytes)}"
    low, high = units.size(plan.bytes), units.size(plan.high_bytes)
    return low if low == high else units.size_range(plan.bytes, plan.high_bytes)


def _nodes(plan: Plan) -> list[str]:
    if plan.nodes is None:
        return _paragraph(" By node: not known, since no TCP slab is counted by node.")
    if len(plan.nodes) < 2:
        return []
    sign = "≥ " if plan.high_bytes is None else ""
    rows = [
        TableRow(
            (str(number), f"{sign}{units.size(amount)}"),
            "above its own free memory" if number in plan.full_nodes else "",
        )
        for number, amount in plan.nodes.items()
    ]
    return [text_of(line).rstrip() for line in table_lines(NODE_HEADINGS, rows, COLUMNS)]


def _limits(plan: Plan) -> list[str]:
    rows = [
        TableRow(
            (
                LIMIT_LABELS.get(limit.name, limit.name),
                _amount(limit, limit.used),
                _takes(limit),
                _amount(limit, limit.maximum),
                _ratio(limit),
                _connections(limit),
            ),
            note=limit.note,
        )
        for limit in plan.limits
    ]
    return [text_of(line).rstrip() for line in table_lines(LIMIT_HEADINGS, rows, COLUMNS)]


def _takes(limit: PlanLimit) -> str:
    """The most that the plan takes of the limit; marked as a lower bound if there is no upper bound."""
    is_open = limit.high_takes is None and limit.takes is not None
    return f"≥ {_amount(limit, limit.takes)}" if is_open else _amount(limit, limit.high_takes)


def _ratio(limit: PlanLimit) -> str:
    if limit.ratio is None:
        return units.UNKNOWN
    signs = ("! " if limit.verdict == "exceeded" else "") + ("≥ " if limit.high_takes is None else "")
    return f"{signs}{100 * limit.ratio:.0f}"


def _connections(limit: PlanLimit) -> str:
    """The number of planned connections that fit below the limit; marked if this number is an upper bound."""
    return f"{'≤ ' if limit.connections_are_at_most else ''}{units.rough_count(limit.connections)}"


def _after(limit: PlanLimit) -> str:
    about = "at most" if limit.connections_are_at_most else "about"
    return f"after {about} {units.rough_count(limit.connections)} connections"


def _amount(limit: PlanLimit, amount: int | None) -> str:
    if amount is None:
        return units.UNKNOWN
    return units.size(amount) if limit.unit == "bytes" else units.count(amount)


def _sysctls(plan: Plan) -> list[str]:
    """The sysctls that need a higher value for the plan, in the format of sysctl.conf(5), with the present values."""
    if not plan.sysctls:
        return []
    texts = [f" {sysctl.name} = {_values(sysctl.at_least)} (now {_values(sysctl.now)})" for sysctl in plan.sysctls]
    return [" Sysctls that would need at least:", *(line for text in texts for line in _paragraph(text))]


def _values(values: Sequence[int]) -> str:
    return " ".join(map(str, values))


def remarks(plan: Plan) -> Iterator[str]:
    """Yields remarks on questions that the plan leaves open; each remark consists of one or two sentences."""
    request = plan.request
    if request.outgoing and plan.ports and request.outgoing + request.time_wait > plan.ports:
        pairs = -(-(request.outgoing + request.time_wait) // plan.ports)
        yield (
            f"Ports: {units.grouped(plan.ports)} for one local address and one address and port of a peer; these need"
            f" at least {units.grouped(pairs)} such pairs."
        )
    elif request.outgoing and plan.ports is None:
        yield (
            f"Ports: ip_local_port_range {plan.ports_unknown_because}; each pair of a local and a peer's address has"
            " its own ports."
        )
    over = (
        f", and fs.nr_open above its default {units.grouped(DEFAULT_NR_OPEN)}"
        if request.sockets > DEFAULT_NR_OPEN
        else ""
    )
    yield (
        f"Files of a process: if one process holds them all, its limit (ulimit -n) must be above"
        f" {units.grouped(request.sockets)}{over}; it is not checked."
    )
    if any(sysctl.name == "net.ipv4.tcp_mem" for sysctl in plan.sysctls):
        yield "tcp_mem: above its second value windows shrink. It is in units of a page (4096 B on Linux 4.9 to 5.19)."
    if not request.buffer_bytes:
        yield "Buffers: none, the sockets are idle. --buffers adds them."
    if plan.full_nodes:
        numbers = ", ".join(map(str, plan.full_nodes))
        plural = "s" if len(plan.full_nodes) > 1 else ""
        yield f"The CPUs of node{plural} {numbers} will use memory of other nodes, too."
    if any(part.estimated for part in plan.parts):
        yield "A part with a range, or shared by sockets, is shown at its most."
    yield "The memory of the programs themselves is not counted."


def _remarks(plan: Plan) -> Iterator[str]:
    for remark in remarks(plan):
        yield f" {remark}"


def verdict_text(plan: Plan) -> str:
    """The verdict in one sentence, which also names the limit that is reached first."""
    first = plan.first
    if plan.verdict == "cannot say":
        return f"cannot say: {plan.unknown_because}"
    if first is None:
        return f"{plan.verdict}: {connections_text(plan.request)}"
    if plan.verdict == "fits":
        return f"fits: {connections_text(plan.request)}; first limit: {short_label(first.name)}, {_after(first)}"
    exceeded = next(limit for limit in plan.limits if limit.verdict == "exceeded")
    return (
        f"does not fit: {connections_text(plan.request)}; first limit: {short_label(exceeded.name)}, {_after(exceeded)}"
    )
