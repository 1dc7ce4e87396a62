"""Why a plan and the main screen differ in how many sockets fit into memory."""

from collections.abc import Iterator
from typing import NamedTuple

from tcptop.explanation.limit_texts import headroom_assumption, memory_fits_text, memory_most_text, socket_bytes_text
from tcptop.explanation.plan_words import (
    SIDE_WORDS,
    VECTORS,
    Signs,
    assumption_text,
    fits_range_text,
    plan_bytes,
    socket_bytes,
    verdict_limit,
)
from tcptop.kernel.objects import CGROUP_VECTORS, LAST_PORT
from tcptop.ledger import Ledger
from tcptop.ledger.plan import Plan, PlanLimit
from tcptop.text import units
from tcptop.text.line import Line, paragraph

MAX_SHARE_APART = 0.05
"""Greatest difference from the main screen's number of sockets that fit into memory that needs no line of its own."""


def _bind_buckets_text(plan: Plan, memory: PlanLimit | None) -> str:
    """The bind buckets that the main screen counts, and whether as many planned clients as fit share some."""
    fits = (
        None if memory is None else memory.connections if memory.high_connections is None else memory.high_connections
    )
    shares = plan.request._replace(connections=fits or 0).outgoing > LAST_PORT
    return f"a bind bucket for each client{' (planned clients share ports)' if shares else ''}"


class Comparison(NamedTuple):
    """The line below the verdict that compares what fits into memory with the number of the main screen."""

    text: str
    has_bytes: bool
    """True if the line also has the bytes of a socket."""


def main_screen_text(ledger: Ledger, plan: Plan, said: Comparison | None = None) -> str:
    """The number of sockets that fit into memory according to the main screen, with the assumptions behind the number.

    The text ends with the assumptions of the plan, so that the user can compare them with those of the main screen. The
    figures that `said` has are left out. The text is empty if the main screen does not show the number of sockets that
    fit.
    """
    headroom, each = ledger.headroom["full"], socket_bytes(plan)
    if headroom.sockets is None or headroom.bytes_per_socket is None or each is None:
        return ""
    ours, theirs = units.exact_bytes(each), units.exact_bytes(headroom.bytes_per_socket)
    same_buffers = plan.request.buffer_bytes == ("now" if headroom.counts_buffers("memory") else 0)
    why = ""
    if plan.request.outgoing and same_buffers and each < headroom.bytes_per_socket and ours != theirs:
        why = " That is less, since sockets that share a local port share its bind bucket."
    is_partial = headroom.buffer_bytes is None
    assumed = "half client side, buffers not known" if is_partial else headroom_assumption(headroom)
    least = [VECTORS]
    least += ["objects of unknown size"] if any(part.high_cache for part in plan.parts) else []
    least += ["buffers"] if headroom.high_buffer_bytes else []
    memory = next((limit for limit in plan.limits if limit.name == "memory"), None)
    without_error = ", free memory without its error" if memory is not None and memory.used_error else ""
    counts = (
        f"{assumed}; {' and '.join(filter(None, (', '.join(least[:-1]), least[-1])))} at their least{without_error},"
        f" {_bind_buckets_text(plan, memory)}; no TIME_WAIT, epoll, conntrack, kTLS"
    )
    planned = (
        f"{SIDE_WORDS[plan.request.side]}, {assumption_text(plan)};"
        f" each {'known ' if plan.missing else ''}part at its upper bound"
    )
    if said is not None and said.has_bytes:
        return f"Main screen: {counts}. This plan: {planned}.{why}"
    at = f"at {socket_bytes_text(headroom)} each"
    number = at if said is not None else f"memory for {memory_fits_text(headroom)} more {at}"
    return f"Main screen: {number} ({counts}). This plan: {plan_bytes(plan, each)} a socket ({planned}).{why}"


def comparison_lines(ledger: Ledger, plan: Plan, columns: int, sign: Signs = str, is_form: bool = False) -> list[Line]:
    """The line below the verdict that compares the number of sockets that fit into memory with that of the main screen.

    See `compared`.
    """
    said = compared(ledger, plan, is_form)
    return [] if said is None else paragraph(sign(said.text), columns - 1, "text" if said.has_bytes else "dim")


def compared(ledger: Ledger, plan: Plan, is_form: bool) -> Comparison | None:
    """Compares the number of sockets that fit into memory with that of the main screen, if memory is the first limit.

    The result is None if the numbers differ by at most MAX_SHARE_APART; the form, which begins as the main screen, then
    has a short one if they look different. With another first limit, a remark has the figures of the main screen.
    """
    headroom, each = ledger.headroom["full"], socket_bytes(plan)
    memory = verdict_limit(plan)
    if headroom.sockets is None or headroom.bytes_per_socket is None or each is None:
        return None
    if memory is None or memory.name != "memory" or memory.connections is None:
        return None
    high = memory.connections if memory.high_connections is None else memory.high_connections
    least, most = (number * plan.request.sockets // plan.request.connections for number in (memory.connections, high))
    main = memory_fits_text(headroom)
    theirs = headroom.with_reclaim_low if memory_most_text(headroom) else headroom.sockets
    pairs = ((least, theirs or 0), (most, headroom.sockets))
    if not memory_most_text(headroom):
        # One number of the main screen is compared with the nearest one of the plan's range.
        pairs = ((min(max(least, headroom.sockets), most), headroom.sockets),) * 2
    ours = fits_range_text(memory._replace(connections=least, high_connections=most if most > least else None))
    if all(abs(one - other) <= MAX_SHARE_APART * other for one, other in pairs):
        counted = ", ".join(_main_screen_counts(plan, memory, most)) if _begins_as_main_screen(ledger, plan) else ""
        text = f"main screen: memory for {main} more, with {counted}"
        return Comparison(text, False) if is_form and ours != main and counted else None
    number = f" {ours} sockets," if plan.request.sockets != plan.request.connections else ""
    if plan.verdict == "cannot say" and not number:
        number = f" {ours},"
    text = (
        f"memory: the main screen says {main} more fit, half client side, at {socket_bytes_text(headroom)} each;"
        f" this plan{number or ':'} {SIDE_WORDS[plan.request.side]}, at {plan_bytes(plan, each)}"
    )
    return Comparison(text, True)


def _begins_as_main_screen(ledger: Ledger, plan: Plan) -> bool:
    """True if the side, families and buffers of the planned sockets are those of the main screen's number."""
    request, has_buffers = plan.request, ledger.headroom["full"].counts_buffers("memory")
    is_same = (request.side, request.family, request.time_wait) == ("mixed", "mix", 0)
    return is_same and request.buffer_bytes == ("now" if has_buffers else 0)


def _main_screen_counts(plan: Plan, memory: PlanLimit, sockets: int) -> Iterator[str]:
    """Yields what the main screen counts otherwise than a plan with its side, families and buffers.

    Each is true on its own, and no one of them alone makes the difference: where many sockets fit, clients that share
    bind buckets take less, and obj_cgroup vectors at their upper bound take more. `sockets` is the number that fits.
    """
    request, parts = plan.request, plan.parts
    if request._replace(connections=sockets).outgoing > LAST_PORT:
        yield _bind_buckets_text(plan, memory)
    if any(part.object == CGROUP_VECTORS.struct and part.bytes < part.high_bytes for part in parts):
        yield f"no {VECTORS}"
    if any(part.high_cache for part in parts):
        yield "objects of unknown size at their least"
    extra = ((request.with_epoll, "epoll"), (request.with_conntrack, "conntrack"), (request.with_ktls, "kTLS"))
    if names := [name for is_planned, name in extra if is_planned]:
        yield f"no {', '.join(names)}"
    if memory.used_error:
        yield "free memory without its error"
