"""Limits that a plan does not count (nofile, accept queues, local ports), as a look at the sockets found them."""

from __future__ import annotations

from tcptop.explanation.limit_texts import (
    NOT_RECORDED,
    is_here,
    not_looked_at_text,
    partly_seen_names,
    state_text,
    unlooked_names,
)
from tcptop.explanation.plan_words import Signs
from tcptop.ledger import Ledger, Limit
from tcptop.ledger.plan import Plan, PlanLimit, PlanRequest
from tcptop.text import units
from tcptop.text.line import Line, paragraph

LOOK_FOUND = "a look found"
"""First words of the remark on the limits that only a look at the sockets knows."""


def limits_to_raise(ledger: Ledger, plan: Plan) -> list[Limit]:
    """The limits that a look at the sockets found full, or too small for the planned sockets in one process.

    The plan does not count these limits, so that its verdict may be that it fits.
    """
    request = plan.request
    found = found_by_look(ledger)
    nofile, queues = found.get("nofile"), found.get("listen_queues")
    limits: list[Limit] = []
    if nofile is not None and nofile.maximum is not None and nofile.maximum <= request.sockets:
        limits.append(nofile)
    if request.accepted and queues is not None and queues.state == "full":
        limits.append(queues)
    return limits


def unlooked_text(ledger: Ledger, plan: Plan, key: str = "") -> str:
    """The limits that the plan needs and that only a look tells; empty if a look has seen all of them.

    `key` makes a look of this machine.
    """
    request, limits = plan.request, ledger.limits["full"]
    needed = {"nofile", *(("listen_queues",) if request.accepted else ()), *(("ports",) if request.outgoing else ())}
    limits = limits._replace(rows=tuple(limit for limit in limits.rows if limit.name in needed))
    if names := unlooked_names(limits, long=True):
        how = f": {key if is_here(ledger) else 'tcptop who there'}" if key and ledger.live else ""
        if ledger.recorded:
            how = f": {NOT_RECORDED}" if key and ledger.holders is None else ""
        return f"{not_looked_at_text(names)}, may come first{how}"
    if names := partly_seen_names(limits, long=True):
        return f"{' and '.join(names)}: not all seen, others may come first"
    return ""


def first_look_lines(ledger: Ledger, plan: Plan, columns: int, is_form: bool = False, sign: Signs = str) -> list[Line]:
    """The lines right below the verdict: what stops the plan by a look, and the limits that were not looked at."""
    texts = _stopping_texts(ledger, plan).values()
    lines = [line for text in texts for line in paragraph(sign(text), columns - 1, "warning")]
    unlooked = unlooked_text(ledger, plan, "ESC, W" if is_form else "--who")
    return [*lines, *(paragraph(sign(unlooked), columns - 1, "text") if unlooked else [])]


def look_lines(ledger: Ledger, plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """The lines below the verdict: what else a look at the sockets found of limits that the plan does not count."""
    found = look_text(ledger, plan, is_page=True)
    return paragraph(sign(found), columns - 1, "text") if found else []


def look_text(ledger: Ledger, plan: Plan, is_page: bool = False) -> str:
    """Findings of a look at the sockets on the limits of single processes, ports and listeners; empty without a look.

    The limits are those that the planned connections need, each with what is left of it. On a page, those that have a
    line right below the verdict are left out.
    """
    request, found = plan.request, found_by_look(ledger)
    said = _stopping_texts(ledger, plan) if is_page else {}
    texts: list[str] = []
    if (limit := found.get("nofile")) is not None:
        new = f"one new process needs nofile above {units.grouped(request.sockets)}"
        texts.append(new if "nofile" in said else f"{new}; {_nofile_text(limit, request)}")
    if request.accepted and (limit := found.get("listen_queues")) is not None and "listen_queues" not in said:
        texts.append(_queue_text(limit))
    if request.outgoing and (limit := found.get("ports")) is not None and limit.used:
        of = f"{'at most ' if limit.maximum_is_at_most else ''}{units.count(limit.maximum)}"
        texts.append(f"local ports {limit.note}: at most {units.count(limit.used)} of {of} in use")
    return f"{LOOK_FOUND}: {'; '.join(texts)}" if texts else ""


def _stopping_texts(ledger: Ledger, plan: Plan) -> dict[str, str]:
    """Maps limits that stop the planned sockets, or have an alarm, to what a look found about them."""
    request, found = plan.request, found_by_look(ledger)
    texts: dict[str, str] = {}
    if (limit := found.get("nofile")) is not None and limit.maximum is not None:
        left = _files_left(limit) - (limit.used_error or 0)
        if left < request.sockets or limit.state in ("near", "full"):
            sockets, needed = units.grouped(request.sockets), units.grouped(_needed_files(limit, request))
            has = f"{limit.owner} has {_left_text(limit)} of {units.count(limit.maximum)} left"
            texts["nofile"] = f"nofile: {has}; {sockets} more need above {needed}"
    if request.accepted and (limit := found.get("listen_queues")) is not None and limit.state == "full":
        texts["listen_queues"] = _queue_text(limit)
    return texts


def found_by_look(ledger: Ledger) -> dict[str, Limit]:
    """The limits whose use is known; those of single processes, ports and listeners only after a look."""
    return {limit.name: limit for limit in ledger.limits["full"].rows if limit.used is not None}


def _queue_text(limit: Limit) -> str:
    full = f", {state_text(limit)}" if limit.state == "full" else ""
    return f"accept queue of {limit.note}: {units.count(limit.used)} of {units.count(limit.maximum)}{full}"


def _nofile_text(limit: Limit, request: PlanRequest) -> str:
    """The limit on open files that the fullest process needs for all planned sockets, and what it has."""
    fullest = limit.note.partition(", ")[2]
    owner = f"{limit.owner}, {fullest}," if fullest else limit.owner
    has = f"it has {units.count(limit.maximum)}, {_left_text(limit)} left"
    return f"{owner} would need above {units.grouped(_needed_files(limit, request))} ({has})"


def _needed_files(limit: Limit, request: PlanRequest) -> int:
    """Number of files that the fullest process would have open.

    Its other files count too; if their number has an error, the upper bound counts.
    """
    return request.sockets + (limit.used or 0) + (limit.used_error or 0)


def _left_text(limit: Limit) -> str:
    error = f" ± {units.grouped(limit.used_error)}" if limit.used_error else ""
    return f"{units.grouped(_files_left(limit))}{error}"


def _files_left(limit: Limit) -> int:
    """Number of files that the fullest process may still open."""
    return max(0, (limit.maximum or 0) - (limit.used or 0))


def nofile_stops(ledger: Ledger, plan: Plan, first: PlanLimit) -> str:
    """Where the plan would stop in the fullest process: `, or nofile after 488, if in python[24815]`.

    The text is empty if the planned sockets fit into the process and its limit raises no alarm, or if another limit is
    reached with fewer connections.
    """
    limit, request = found_by_look(ledger).get("nofile"), plan.request
    if limit is None or limit.maximum is None:
        return ""
    left = max(0, _files_left(limit) - (limit.used_error or 0))
    connections = left * request.connections // request.sockets
    if first.connections is not None and first.connections <= connections:
        return ""
    if left >= request.sockets and limit.state not in ("near", "full"):
        return ""
    stops = f"after {units.grouped(connections)}" if connections else "at once"
    return f", or nofile {stops}, if in {limit.owner}"
