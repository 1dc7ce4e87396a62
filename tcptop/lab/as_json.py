"""Formats a lab result as JSON. As in `tcptop --json`, keys are stable, and values that were not measured are null."""

from __future__ import annotations

from time import gmtime, strftime

from tcptop import __version__
from tcptop.accounting.lab_result import KtlsBytes
from tcptop.lab.result import LabPart, LabResult, StateResult
from tcptop.lab.result_file import SCHEMA, Json
from tcptop.lab.runs import KTLS


def result_as_json(result: LabResult) -> Json:
    """The whole result as an object that `json.dumps` accepts."""
    states = {key: _state(state) for key, state in result.results.items()}
    established = {side: states.get(f"established/{side}") for side in ("accepted", "outgoing", "pair")}
    ktls = {step: states.get(f"{KTLS}/{step}") for step in ("context", "tx", "pair")}
    time_wait = {side: states.get(f"time_wait/{side}") for side in ("accepted", "outgoing")}
    return {
        "schema": SCHEMA,
        "version": __version__,
        "taken_at": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(result.taken_at_unix_s)),
        "kernel": result.kernel,
        "build_id": result.build_id,
        "page_size": result.page_size_bytes,
        "family": "ipv6" if result.ipv6 else "ipv4",
        "connections": result.connections,
        "took_s": round(result.took_s, 2),
        "states": {
            "established": established,
            "fin_wait2": states.get("fin_wait2"),
            "close_wait": states.get("close_wait"),
            "time_wait": time_wait,
            "ktls": ktls,
        },
        "skipped": [{"state": state, "reason": reason} for state, reason in result.skipped.items()],
        "ktls": _ktls(result.ktls),
        "few_ports": _few_ports(result.results.get("established/few_ports")),
        "observer": _observer(result),
        "control": {"bytes": _rounded(max((s.control_bytes for s in result.results.values()), key=abs, default=0.0))},
    }


def _state(state: StateResult) -> Json:
    return {
        "sockets": state.sockets,
        "bytes": _rounded(state.bytes),
        "catalogue_bytes": _rounded(state.catalogue_bytes),
        "difference": None if state.difference is None else round(state.difference, 5),
        "complete": not state.catalogue_missing,
        "missing": list(state.catalogue_missing),
        "parts": [_part(part) for part in state.parts],
        "vectors": _part(state.vectors) if state.vectors else None,
        "observer_bytes": _rounded(state.observer.bytes),
        "all_rows_bytes": _rounded(state.all_rows_bytes),
        "other_programs_bytes": _rounded(state.other_programs_bytes),
        "unexplained_bytes": _rounded(state.unexplained_bytes),
        "other_sockets": state.other_sockets,
        "disturbance": round(state.disturbance, 5),
        "doubt": state.doubt,
    }


def _part(part: LabPart) -> Json:
    return {
        "row": part.row,
        "objects": round(part.objects, 4),
        "bytes": _rounded(part.bytes),
        "r2": round(part.r2, 5),
        "names": list(part.names),
        "catalogue_objects": part.catalogue_objects,
        "catalogue_bytes": None if part.catalogue_bytes is None else _rounded(part.catalogue_bytes),
    }


def _few_ports(state: StateResult | None) -> Json | None:
    """The result of the run in which many clients share few local ports; None if not measured.

    The JSON has the numbers of bind buckets per port and per connection.
    """
    if state is None:
        return None
    buckets = state.buckets_per_connection
    return {
        "connections": state.connections,
        "local_ports": state.local_ports,
        "buckets_per_connection": round(buckets, 4),
        "buckets_per_port": round(buckets * state.connections / state.local_ports, 3) if state.local_ports else None,
        "pair": _state(state),
    }


def _ktls(found: KtlsBytes | None) -> Json | None:
    """Bytes of kernel TLS per socket; None if not measured."""
    return None if found is None else {name: _rounded(amount) for name, amount in found._asdict().items()}


def _observer(result: LabResult) -> Json:
    """The inodes of /proc in the run in which these inodes took the most bytes.

    The kernel made these inodes because a process walked /proc/PID/fd. All other figures exclude inodes of /proc.
    """
    most = max(result.results.values(), key=lambda state: state.observer.bytes, default=None)
    if most is None or most.observer.objects <= 0:
        return {"row": "proc_inode_cache", "objects": 0, "bytes": 0, "r2": 0}
    part = _part(most.observer)
    return {key: part[key] for key in ("row", "objects", "bytes", "r2")}


def _rounded(amount: float) -> float:
    return round(amount, 2)
