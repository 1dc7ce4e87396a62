"""Remarks of a plan, below its tables: reclaim, ports, files, buffers, and what is not counted."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.explanation.limit_texts import buffers_as_now_text, memory_use_text
from tcptop.explanation.plan_comparison import compared, main_screen_text
from tcptop.explanation.plan_look import found_by_look, look_text, unlooked_text
from tcptop.explanation.plan_words import (
    DEFAULT_NR_OPEN,
    NO_PORT,
    Signs,
    buffers_text,
    finds_no_port,
    fits_range_text,
    full_bytes_text,
    has_no_buffers_now,
    most_charge,
    sharing_text,
)
from tcptop.kernel.limits import look_needed_text
from tcptop.kernel.objects import BIND_BUCKET
from tcptop.ledger import Ledger
from tcptop.ledger.plan import Plan
from tcptop.text import units
from tcptop.text.line import Line, paragraph

NO_PORT_REMARK = f"Ports: {NO_PORT}."
TIME_WAIT_S = 60
"""Time in seconds for which a mini-socket stays in TIME_WAIT (include/net/tcp.h, TCP_TIMEWAIT_LEN)."""


def _reclaim_text(plan: Plan) -> str:
    """The number of connections that fit into free memory alone, and what FITS MORE of memory counts besides."""
    memory = next((limit for limit in plan.limits if limit.name == "memory"), None)
    fit = units.UNKNOWN if memory is None else fits_range_text(memory)
    is_known = plan.connections_before_reclaim is not None
    at_most = "≤ " if plan.high_bytes is None and is_known else ""
    sign = "≥ " if " to " in fit and is_known else at_most
    before = f"{sign}{units.rough_count(plan.connections_before_reclaim, up=bool(at_most))}"
    with_reclaim = "FITS MORE of memory counts page cache as given up"
    if not is_known:
        return f"Reclaim: how many fit into free memory alone is not known; {with_reclaim}."
    least = None if memory is None else memory.connections
    is_all = sign == "≥ " and units.rough_count(plan.connections_before_reclaim) == units.rough_count(least)
    if before == fit or is_all:
        return "Reclaim: free memory alone holds all that fit into memory."
    return f"Reclaim: free memory alone holds {before} more; {with_reclaim}."


def _nr_open_text(plan: Plan) -> str:
    """A sentence on fs.nr_open after another sentence; empty if it is unknown and its default is enough."""
    if plan.nr_open is None:
        if plan.request.sockets < DEFAULT_NR_OPEN:
            return ""
        default = units.grouped(DEFAULT_NR_OPEN)
        return f" fs.nr_open, the most that it can be, is not known; its default, {default}, is too small."
    verdict = "enough for the sockets" if plan.request.sockets < plan.nr_open else "too small: raise it first"
    return f" fs.nr_open, the most that it can be, is {units.grouped(plan.nr_open)}, {verdict}."


def remarks(ledger: Ledger, plan: Plan, is_form: bool = False, is_page: bool = False) -> Iterator[str]:
    """Yields remarks on questions that the plan leaves open, each remark in one or two sentences.

    If `is_form` is true, the remarks name the fields of the form instead of the options of the command. If `is_page` is
    true, they leave out what stands above them on the page.
    """
    request, full = plan.request, full_bytes_text(plan)
    yield _reclaim_text(plan)
    if full and not (is_page and len(plan.nodes or ()) > 1):
        yield f"What fits into memory is counted at {full} per connection: {sharing_text(plan)} then."
    said = compared(ledger, plan, is_form) if is_page else None
    for text in (main_screen_text(ledger, plan, said), memory_use_text(ledger, "full")):
        if text:
            yield text
    on_ports = request.outgoing + request._replace(time_wait=plan.mini_sockets).outgoing_time_wait
    if request.outgoing and plan.ports and on_ports > plan.ports:
        pairs = -(-on_ports // plan.ports)
        at_most = "at most " if plan.ports_are_at_most else ""
        yield (
            f"Ports: {at_most}{units.grouped(plan.ports)} for one local address and one address and port of a peer;"
            f" these need at least {units.grouped(pairs)} such pairs."
        )
    elif finds_no_port(plan):
        if not is_page:
            yield NO_PORT_REMARK
    elif request.outgoing and plan.ports is None:
        yield (
            f"Ports: ip_local_port_range {plan.ports_unknown_because}; each pair of a local and a peer's address has"
            " its own ports."
        )
    unchecked = "" if "nofile" in found_by_look(ledger) else "; it is not checked"
    yield (
        f"Files of a process: if one process holds them all, its limit (ulimit -n) must be above"
        f" {units.grouped(request.sockets)} plus the files that it has open now{unchecked}."
        f"{_nr_open_text(plan)}"
    )
    if not is_page:
        if found := look_text(ledger, plan):
            yield f"{found[0].upper()}{found[1:]}."
        if unlooked := unlooked_text(ledger, plan):
            needs_look = look_needed_text(ledger.live, ledger.recorded).replace("(W", "(plan --who, W")
            yield f"{unlooked}{f': {needs_look}' if 'not looked at' in unlooked else ''}."
    if any(sysctl.name == "net.ipv4.tcp_mem" for sysctl in plan.sysctls):
        yield "tcp_mem: above its second value windows shrink. It is in pages."
    if request.time_wait:
        per_s = units.grouped(round(request.time_wait / TIME_WAIT_S))
        yield (
            f"TIME_WAIT: {TIME_WAIT_S} s on Linux, so {units.grouped(request.time_wait)} mini-sockets are about {per_s}"
            " connections closed here per second."
        )
    if not request.buffer_bytes:
        adds = (
            "The field buffers adds them: type a size, or n for what a socket has now."
            if is_form
            else "--buffers adds them; --buffers now adds what a socket has now."
        )
        yield f"Buffers: none are counted. {adds}"
    elif request.buffer_bytes != "now":
        yield (f"Buffers: {buffers_text(plan)}: a given size is all data, and counts in whole pages.")
    elif text := buffers_as_now_text(ledger, most_charge(plan)):
        yield text
    elif has_no_buffers_now(plan):
        yield "Buffers: the present sockets have none, so the plan has none."
    elif plan.buffers.memory_bounds is not None:
        yield (
            f"Buffers: {buffers_text(plan)} of a present socket: the counter is within its error, so only bounds are"
            " known."
        )
    has_other_nodes = sum(node.memory_bytes != 0 for node in ledger.nodes) > 1
    if has_other_nodes:
        yield from _full_node_texts(ledger, plan)
    for part in plan.parts:
        if part.high_cache:
            yield (
                f"{part.object.removeprefix('struct ')}: nothing tells in which of {part.cache} to {part.high_cache} it"
                " is, so its size is an upper bound; BTF or a lab result (--lab FILE) gives the size."
            )
    ports_of = next((part.count for part in plan.parts if part.object == BIND_BUCKET.struct), 0)
    if on_ports > ports_of > 0:
        yield (
            f"inet_bind_bucket: at most {units.count(round(ports_of))}, one of each port, if all sockets are in one"
            " network namespace; each namespace has its own."
        )
    if any(part.estimated for part in plan.parts):
        yield "A part with a range, or shared by sockets, is shown at its upper bound."
    yield "The memory of the programs themselves is not counted."


def _full_node_texts(ledger: Ledger, plan: Plan) -> Iterator[str]:
    """Yields sentences on the nodes whose free memory the plan exceeds, or may exceed."""
    without_cpus = {node.node for node in ledger.nodes if node.cpus == 0}
    for numbers, verb, are in ((plan.full_nodes, "will", "are"), (plan.maybe_full_nodes, "may", "may be")):
        if not numbers:
            continue
        if all(number in numbers for number, node in (plan.nodes or {}).items() if node.free_bytes != 0):
            yield f"All nodes {are} above their own free memory: the kernel then gives up page cache, if there is any."
            continue
        with_cpus = [number for number in numbers if number not in without_cpus]
        if not with_cpus:
            continue
        names = f"{'node' if len(with_cpus) == 1 else 'nodes'} {', '.join(map(str, with_cpus))}"
        yield f"The CPUs of {names} {verb} use memory of other nodes, too."


def remark_lines(ledger: Ledger, plan: Plan, columns: int, is_form: bool = False, sign: Signs = str) -> list[Line]:
    """The remarks as paragraphs, without what stands above them on the page."""
    texts = remarks(ledger, plan, is_form, is_page=True)
    return [line for text in texts for line in paragraph(f" {sign(text)}", columns - 1, "text")]
