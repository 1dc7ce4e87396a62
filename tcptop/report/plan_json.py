"""A plan as one JSON object on one line. Every key is always present, and unknown values are null."""

from __future__ import annotations

import json

from tcptop import __version__
from tcptop.explanation.plan_remarks import remarks
from tcptop.ledger import Ledger
from tcptop.ledger.plan import Plan, PlanLimit, PlanNode, PlanPart, PlanRequest, UncountedLimit
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
            "buffer_bytes_per_socket": _buffer_bytes(ledger, request),
            "buffers_as_now": request.buffer_bytes == "now",
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
        "nodes": None if plan.nodes is None else {str(number): _node(node) for number, node in plan.nodes.items()},
        "limits": [_limit(limit) for limit in plan.limits],
        "ports": {
            "local_ports": plan.ports,
            "is_at_most": plan.ports_are_at_most,
            "unknown_because": None if plan.ports is not None else plan.ports_unknown_because,
        },
        "sysctls": [
            {
                "name": each.name,
                "now": list(each.now),
                "at_least": list(each.at_least),
                "advised": list(each.advised),
                "note": each.note,
            }
            for each in plan.sysctls
        ],
        "not_counted": [_not_counted(each) for each in plan.not_counted],
        "remarks": [*([plan.cgroup_pressure] if plan.cgroup_pressure else []), *remarks(ledger, plan)],
        "first_limit": None if first is None else first.name,
        "verdict": plan.verdict,
        "without_time_wait": request.time_wait - plan.mini_sockets,
        "unknown_because": plan.unknown_because,
    }


def _buffer_bytes(ledger: Ledger, request: PlanRequest) -> int | None:
    """Memory of the buffers of a socket, for the JSON.

    None if the plan uses the present size of the buffers, and this size is unknown.
    """
    if request.buffer_bytes != "now":
        return request.buffer_bytes
    present = ledger.headroom["full"].buffer_bytes
    is_known = ledger.costs["full"].buffer_bytes_per_socket is not None
    return round(present) if is_known and present is not None else None


def _not_counted(uncounted: UncountedLimit) -> Json:
    limit = uncounted.limit
    return {
        "name": limit.name,
        "scope": limit.scope,
        "unit": limit.unit,
        "state": limit.state,
        "used": limit.used,
        "limit": limit.maximum,
        "ratio": None if limit.ratio is None else round(limit.ratio, 4),
        "why": uncounted.why,
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


def _node(node: PlanNode) -> Json:
    return {
        "bytes": round(node.bytes),
        "high_bytes": _whole(node.high_bytes),
        "free_bytes": _whole(node.free_bytes),
        "connections": node.connections,
        "high_connections": node.high_connections,
    }


def _limit(limit: PlanLimit) -> Json:
    return {
        "name": limit.name,
        "scope": limit.scope,
        "unit": limit.unit,
        "used": limit.used,
        "used_error": None if limit.used is None else limit.used_error,
        "used_is_at_most": limit.used_is_at_most,
        "takes": limit.takes,
        "high_takes": limit.high_takes,
        "limit": limit.maximum,
        "low_ratio": None if limit.low_ratio is None else round(limit.low_ratio, 4),
        "ratio": None if limit.ratio is None else round(limit.ratio, 4),
        "connections": limit.connections,
        "connections_are_at_most": limit.connections_are_at_most,
        "connections_are_at_least": limit.connections_are_at_least,
        "high_connections": limit.high_connections,
        "state": limit.state,
        "verdict": limit.verdict,
        "note": limit.note,
    }


def _whole(amount: float | None) -> int | None:
    return None if amount is None else round(amount)
