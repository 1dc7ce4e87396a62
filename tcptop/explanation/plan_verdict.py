"""The verdict of a plan, and the lines on limits below it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tcptop.explanation.limit_texts import STATE_WORDS, fits_more_text, ratio_text, state_text
from tcptop.explanation.plan_look import nofile_stops
from tcptop.explanation.plan_words import (
    DEFAULT_NR_OPEN,
    EDGE_WORDS,
    NO_PORT,
    Signs,
    assumption_text,
    connections_text,
    finds_no_port,
    percent_text,
    screen_words,
    state_word,
    verdict_limit,
)
from tcptop.kernel.limits import TIME_WAIT_LIMIT, limit_label
from tcptop.ledger import Ledger
from tcptop.ledger.plan import Plan, PlanLimit, UncountedLimit
from tcptop.text import units
from tcptop.text.line import Line, paragraph


def idle_lines(ledger: Ledger, plan: Plan, columns: int, is_form: bool = False, sign: Signs = str) -> list[Line]:
    """The line below the verdict of a plan without data: it does not count tcp_mem, and what fits below that."""
    if plan.request.buffer_bytes:
        return []
    adds = "n in the field buffers counts it" if is_form else "--buffers now counts it"
    text = f"without data: tcp_mem is not counted ({adds})"
    row = next((limit for limit in ledger.limits["full"].rows if limit.name == "tcp_mem"), None)
    if row is not None and row.headroom_sockets is not None:
        fits = fits_more_text(row, partial(units.rough_count, up=row.shows_upper_bound))
        text += f"; main screen: tcp_mem stops after {fits}, average buffers"
    return paragraph(sign(text), columns - 1, "text")


def port_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict of a plan for which connect(2) finds no local port."""
    return paragraph(NO_PORT, columns - 1, "warning") if finds_no_port(plan) else []


def nr_open_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict of a plan whose sockets are more files than one process can have open."""
    if plan.request.sockets < (DEFAULT_NR_OPEN if plan.nr_open is None else plan.nr_open):
        return []
    text = f"one process: at most {units.grouped(DEFAULT_NR_OPEN)} files by default (fs.nr_open is not known)"
    if plan.nr_open is not None:
        text = f"one process: at most {units.grouped(plan.nr_open)} files (fs.nr_open)"
    return paragraph(text, columns - 1, "warning")


def not_counted_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict: the limits that have an alarm, but that the plan does not count."""
    if not plan.not_counted:
        return []
    names = ", ".join(map(_not_counted_text, plan.not_counted))
    return paragraph(f"not counted: {names}", columns - 1, "warning")


def pressure_lines(plan: Plan, columns: int) -> list[Line]:
    """The lines below the verdict of a plan with which buffers are above a value from which on windows shrink.

    The values are tcp_mem's second one, if the plan fits below its third, and the limit of buffers of cgroup v1.
    """
    of_cgroup = paragraph(plan.cgroup_pressure, columns - 1, "warning") if plan.cgroup_pressure else []
    return [*_tcp_mem_pressure_lines(plan, columns), *of_cgroup]


def _tcp_mem_pressure_lines(plan: Plan, columns: int) -> list[Line]:
    limit = next((limit for limit in plan.limits if limit.name == "tcp_mem"), None)
    if limit is None or limit.verdict == "exceeded":
        return []
    text = "tcp_mem would be above its second value, so that windows shrink"
    if limit.is_under_pressure or limit.state == "pressure":
        return paragraph(f"PRESSURE: {text}", columns - 1, "warning")
    if limit.may_be_under_pressure:
        return paragraph(f"PRESSURE is possible: within the error of its counter, {text}", columns - 1, "warning")
    return []


def _not_counted_text(uncounted: UncountedLimit) -> str:
    """A limit with its alarm and its use, such as `conntrack NEAR 95 % (conntrack: no)`.

    The words in parentheses are the reason why the plan does not count the limit.
    """
    limit = uncounted.limit
    ratio = f" {ratio_text(limit)} %" if limit.ratio is not None else ""
    return f"{limit_label(limit.name)} {state_text(limit)}{ratio} ({uncounted.why})"


def _after(limit: PlanLimit) -> str:
    is_at_most = limit.connections_are_at_most
    least, most = (units.rough_count(number) for number in (limit.connections, limit.high_connections))
    if limit.connections == 0 and not limit.high_connections:
        return "no connection fits"
    if limit.high_connections is not None and least != most:
        return f"after {least} to {units.rough_count(limit.high_connections, up=True)} connections"
    about = "at most" if is_at_most else "at least" if limit.connections_are_at_least else "about"
    return f"after {about} {units.rough_count(limit.connections, up=is_at_most)} connections"


def _may_be_before(plan: Plan, first: PlanLimit) -> str:
    """The limits that may be reached before the limit `first`, such as `, or tcp_mem, maybe from 33 800 on`.

    Whether they are is not known, because their use or what the plan takes of them is known only within bounds.
    """
    return "".join(f", or {limit_label(limit.name)}, {since}" for limit, since in maybe_before(plan, first))


def maybe_before(plan: Plan, first: PlanLimit) -> Iterator[tuple[PlanLimit, str]]:
    """Yields the limits that may be reached before the limit `first`, each with the words that say from where on."""
    if first.connections == 0:
        return
    for limit in plan.limits:
        least = None if limit.connections_are_at_most else limit.connections
        if limit is first or limit.verdict != "unknown" or limit.name == TIME_WAIT_LIMIT:
            continue
        if least is None:
            yield limit, "maybe before"
        elif first.connections is None or least < first.connections:
            yield limit, f"maybe from {units.rough_count(least)} on"


def _alarms_text(plan: Plan) -> str:
    """The limits that would be near or just hold the plan: `; memory would be NEAR (90 %)`; empty if none would.

    Windows that shrink and skipped mini-sockets have words of their own.
    """
    texts = []
    for limit in plan.limits:
        word = state_word(limit) if limit.name != TIME_WAIT_LIMIT else ""
        if word == STATE_WORDS["near"]:
            texts.append(f"{limit_label(limit.name)} would be {word} ({percent_text(limit)})")
        elif word == EDGE_WORDS["fits"]:
            texts.append(f"{limit_label(limit.name)} would be {percent_text(limit)} used")
    return "".join(f"; {text}" for text in texts)


def verdict_text(ledger: Ledger, plan: Plan) -> str:
    """The verdict in one sentence, which also names the limit that is reached first."""
    first, request = verdict_limit(plan), plan.request
    if plan.verdict == "cannot say":
        fit = [limit_label(limit.name) for limit in plan.limits if limit.verdict == "fits"]
        known = f"; {', '.join(fit)} would not be exceeded" if fit else ""
        least = "".join(
            f"; {units.rough_count(limit.connections)} surely fit below {limit_label(limit.name)}"
            for limit in plan.limits
            if limit.verdict == "unknown" and limit.connections and not limit.connections_are_at_most
        )
        return f"cannot say: {screen_words(plan.unknown_because or '')}{least}{known}"
    verdict: str = plan.verdict
    if verdict == "fits":
        is_just = any(state_word(limit) == EDGE_WORDS["fits"] for limit in plan.limits)
        verdict = f"{'just fits' if is_just else 'fits'}{'' if request.buffer_bytes else ', without data'}"
        verdict += _alarms_text(plan)
    buffers = f", {assumption_text(plan)}" if request.buffer_bytes else ""
    statement = f"{verdict}: {connections_text(request)}{buffers}"
    if first is not None:
        statement += f"; first limit: {limit_label(first.name)}, {_after(first)}{_may_be_before(plan, first)}"
        statement += nofile_stops(ledger, plan, first)
    skipped = request.time_wait - plan.mini_sockets
    return (
        f"{statement}; TIME_WAIT full: {units.count(skipped)} of {units.count(request.time_wait)} skip it"
        if skipped > 0
        else statement
    )
