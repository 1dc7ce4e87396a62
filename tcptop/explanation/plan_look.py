"""What a look at the sockets found of limits that a plan does not count: nofile, accept queues, local ports."""

from __future__ import annotations

from tcptop.explanation.limit_texts import state_text
from tcptop.explanation.plan_words import Signs
from tcptop.ledger import Ledger, Limit
from tcptop.ledger.plan import Plan, PlanLimit
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


def look_lines(ledger: Ledger, plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """The lines below the verdict: what a look at the sockets found of limits that the plan does not count."""
    found = look_text(ledger, plan)
    return paragraph(sign(found), columns - 1, "text") if found else []


def look_text(ledger: Ledger, plan: Plan) -> str:
    """Findings of a look at the sockets on the limits of single processes, ports and listeners; empty without a look.

    The limits are those that the planned connections need, each with what is left of it.
    """
    request, found = plan.request, found_by_look(ledger)
    texts: list[str] = []
    if (limit := found.get("nofile")) is not None:
        texts.append(_nofile_text(limit, request.sockets))
    if request.accepted and (limit := found.get("listen_queues")) is not None:
        full = f", {state_text(limit)}" if limit.state == "full" else ""
        use = f"{units.count(limit.used)} of {units.count(limit.maximum)}"
        texts.append(f"accept queue of {limit.note}: {use}{full}")
    if request.outgoing and (limit := found.get("ports")) is not None and limit.used:
        of = f"{'at most ' if limit.maximum_is_at_most else ''}{units.count(limit.maximum)}"
        texts.append(f"local ports {limit.note}: at most {units.count(limit.used)} of {of} in use")
    return f"{LOOK_FOUND}: {'; '.join(texts)}" if texts else ""


def found_by_look(ledger: Ledger) -> dict[str, Limit]:
    """The limits whose use is known; those of single processes, ports and listeners only after a look."""
    return {limit.name: limit for limit in ledger.limits["full"].rows if limit.used is not None}


def _nofile_text(limit: Limit, sockets: int) -> str:
    """The limit on open files that a new process with all planned sockets needs, and that the fullest process needs.

    The fullest process has other files open, which count too; if their number has an error, the upper bound counts.
    """
    fullest = limit.note.partition(", ")[2]
    owner = f"{limit.owner}, {fullest}," if fullest else limit.owner
    needed = sockets + (limit.used or 0) + (limit.used_error or 0)
    error = f" ± {units.grouped(limit.used_error)}" if limit.used_error else ""
    has = f"it has {units.count(limit.maximum)}, {units.grouped(_files_left(limit))}{error} left"
    return (
        f"one new process needs nofile above {units.grouped(sockets)}; {owner} would need above"
        f" {units.grouped(needed)} ({has})"
    )


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
