"""A plan as one JSON object on one line. Every key is always present, and unknown values are null."""

from __future__ import annotations

import json

from tcptop import __version__
from tcptop.explanation.plan_page import remarks
from tcptop.ledger import Ledger, Plan, PlanLimit, PlanPart
from tcptop.report.as_json import SCHEMA, Json, utc_text


def plan_as_json(ledger: Ledger, plan: Plan) -> str:
    """The plan as JSON, in ASCII."""
    return json.dumps(plan_as_object(ledger, plan))


def plan_as_object(ledger: Ledger, plan: Plan) -> Json:
    """The plan as a dictionary that `json.dumps` can write."""
    request, first = plan.request, plan.first
    return {
        "schema": SCHEMA,
        "version": __version__,
        "taken_at": utc_text(ledger.taken_at_unix_s),
        "live": ledger.live,
        "kernel": ledger.host.kernel,
        "request": {
            "connections": request.connections,
            "sockets": request.sockets,
            "side": request.side,
            "family": request.family,
            "buffer_bytes_per_socket": request.buffer_bytes,
            "time_wait": request.time_wait,
            "epoll": request.with_epoll,
            "conntrack": request.with_conntrack,
            "ktls": request.with_ktls,
        },
        "takes": {
            "bytes": _whole(plan.bytes),
            "high_bytes": _whole(plan.high_bytes),
            "complete": not plan.missing,
            "missing": list(plan.missing),
            "parts": [_part(part) for part in plan.parts],
        },
        "nodes": None
        if plan.nodes is None
        else {str(node): {"bytes": round(amount)} for node, amount in plan.nodes.items()},
        "limits": [_limit(limit) for limit in plan.limits],
        "sysctls": [
            {"name": each.name, "now": list(each.now), "at_least": list(each.at_least)} for each in plan.sysctls
        ],
        "remarks": list(remarks(plan)),
        "first_limit": None if first is None else first.name,
        "verdict": plan.verdict,
        "unknown_because": plan.unknown_because,
    }


def _part(part: PlanPart) -> Json:
    return {
        "object": part.object,
        "cache": part.cache,
        "count": round(part.count, 2),
        "bytes": round(part.bytes),
        "high_bytes": round(part.high_bytes),
        "estimated": part.estimated,
    }


def _limit(limit: PlanLimit) -> Json:
    return {
        "name": limit.name,
        "scope": limit.scope,
        "unit": limit.unit,
        "used": limit.used,
        "takes": limit.takes,
        "high_takes": limit.high_takes,
        "limit": limit.maximum,
        "ratio": None if limit.ratio is None else round(limit.ratio, 4),
        "connections": limit.connections,
        "connections_are_at_most": limit.connections_are_at_most,
        "verdict": limit.verdict,
        "note": limit.note,
    }


def _whole(amount: float | None) -> int | None:
    return None if amount is None else round(amount)
