"""The ledger as JSON, for --json. The schema is stable: every key is always present, and unknown values are null."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from tcptop import __version__
from tcptop.kernel.objects import OBJECT_OF_CACHE
from tcptop.ledger import (
    Amount,
    AttachedObjects,
    CacheLine,
    ConnectionCost,
    Event,
    Headroom,
    Ledger,
    Limit,
    Limits,
    SocketCost,
    StateCost,
)

if TYPE_CHECKING:
    from tcptop.explanation.holder_rows import Grouping, HolderRow

SCHEMA = 1

RENAMED = {"total_bytes": "bytes"}
"""Maps field names of the ledger's records to JSON keys; fields that are not listed here keep their names."""

NOT_IN_SOCKETS = {
    "time_wait_scope",
    "time_wait_per_s",
    "allocated_per_s",
    "buffer_unit_bytes",
    "buffer_unit_is_page",
    "buffer_error_pages",
    "tcp_mem_unit_bytes",
    "under_pressure",
}
"""Fields of SocketCounts that the JSON leaves out."""

Json = dict[str, Any]


def as_json(ledger: Ledger) -> str:
    """The ledger as one JSON object on one line, in ASCII."""
    return json.dumps(as_object(ledger))


def as_object(ledger: Ledger) -> Json:
    """The ledger as a dictionary that `json.dumps` can write."""
    memory = ledger.tcp_memory
    return {
        **head_as_object(ledger),
        "sockets": record_as_object(ledger.sockets, NOT_IN_SOCKETS),
        "caches": [_cache(cache) for cache in ledger.caches],
        "bytes_per_connection": {mode: _cost(cost) for mode, cost in ledger.costs.items()},
        "attached": {
            "kinds": [_attached(each) for each in ledger.attached.kinds],
            **bounds_as_entries("now_{}_bytes", ledger.attached.now_bytes),
        },
        "tcp_memory": {
            "bytes": memory.bytes,
            "low_bytes": memory.low_bytes,
            "high_bytes": memory.high_bytes,
            "unexplained_bytes": ledger.slab_memory.unexplained_bytes,
            "complete": memory.is_complete,
            "missing": list(memory.missing),
            "outdated_because": memory.outdated_because,
            "parts": [
                {
                    "part": part.name,
                    "count": part.count,
                    "bytes": part.bytes,
                    "low_bytes": part.low_bytes,
                    "high_bytes": part.high_bytes,
                    "estimated": part.estimated,
                }
                for part in memory.parts
            ],
        },
        "slab_memory": record_as_object(ledger.slab_memory),
        "states": [_state(state) for state in ledger.states],
        "headroom": headroom_as_object(ledger.headroom["full"], ledger.limits["full"]),
        "limits": [limit_as_object(limit) for limit in ledger.limits["full"].rows],
        "events": {event.name: event_as_object(event) for event in ledger.events},
        "memory_cgroup": None if ledger.cgroup is None else record_as_object(ledger.cgroup),
        "lab": None if ledger.lab is None else {"path": ledger.lab.path, "not_used_because": ledger.lab.unused_because},
        "holders": holders_of(ledger),
        "nodes": record_as_object(ledger.nodes),
        "hardware": None if ledger.hardware is None else record_as_object(ledger.hardware),
        "sources": {
            name: record_as_object(source, {"name"})
            for name, source in ledger.sources.items()
            if name != "machine_load"  # only the screen shows the machine's load
        },
    }


def head_as_object(ledger: Ledger) -> Json:
    """The keys with which every report begins: the version, the time and the host."""
    host = ledger.host
    return {
        "schema": SCHEMA,
        "version": __version__,
        "taken_at": utc_text(ledger.taken_at_unix_s),
        "live": ledger.live,
        "host": {
            "name": host.name,
            "kernel": host.kernel,
            "page_size": host.page_size_bytes,
            "cpus": host.cpus,
            "nodes": [node.node for node in ledger.nodes],
        },
    }


def holders_of(ledger: Ledger, by: Grouping = "owner", rows: Iterable[HolderRow] | None = None) -> Json | None:
    """The holders of the sockets, and the time when the sockets were read.

    None if the user did not ask for the holders.
    """
    holders = ledger.holders
    if holders is None:
        return None
    # The module is imported here, because few reports have the holders of sockets.
    from tcptop.report.holders_json import holders_as_object

    taken_at_unix_s = ledger.taken_at_unix_s
    if taken_at_unix_s is not None and holders.age_s is not None:
        taken_at_unix_s -= holders.age_s
    return holders_as_object(holders, by, rows, utc_text(taken_at_unix_s))


def record_as_object(value: object, left_out: Container[str] = ()) -> object:
    """A value of the ledger as JSON: a record or a mapping becomes an object, any other tuple becomes a list.

    A record's keys are the names of its fields, renamed by RENAMED; fields in `left_out` are left out.
    """
    if isinstance(value, tuple):
        if not hasattr(value, "_asdict"):
            return [record_as_object(each) for each in value]
        record = {RENAMED.get(name, name): each for name, each in value._asdict().items() if name not in left_out}
        return record_as_object(record)
    return {str(key): record_as_object(each) for key, each in value.items()} if isinstance(value, Mapping) else value


def _cache(cache: CacheLine) -> Json:
    known = OBJECT_OF_CACHE.get(cache.name)
    return {
        "name": cache.name,
        "row": cache.row,
        "aliases": list(cache.aliases),
        "more_aliases": cache.more_aliases,
        "objects_of": known.struct if known else None,
        "shared": cache.shared,
        "object_bytes": cache.object_bytes,
        "object_size": cache.object_size_bytes,
        "objects_per_slab": cache.objects_per_slab,
        "pages_per_slab": cache.pages_per_slab,
        "order": cache.order,
        "active_objects": cache.active_objects,
        "objects": cache.objects,
        "slabs": cache.slabs,
        "bytes": cache.bytes,
        "nodes": None
        if cache.nodes is None
        else {str(node): {"objects": count.objects, "slabs": count.slabs} for node, count in cache.nodes.items()},
    }


def _cost(cost: ConnectionCost) -> Json:
    return {
        **{
            family: {"accepted": _side(figure.accepted), "outgoing": _side(figure.outgoing)}
            for family, figure in cost.by_family.items()
        },
        "idle_bytes_per_socket": rounded(cost.idle_bytes_per_socket),
        "buffer_bytes_per_socket": rounded(cost.buffer_bytes_per_socket),
        "now_bytes": rounded(cost.now_bytes),
        "now_is_at_most": cost.now_is_at_most,
        "now_read_at": utc_text(cost.now_read_at_unix_s),
        "now_held_because": cost.now_held_because,
    }


def _attached(attached: AttachedObjects) -> Json:
    return {
        "name": attached.name,
        "counted": attached.counted,
        **bounds_as_entries("{}_number", attached.number, 0),
        **bounds_as_entries("{}_bytes", attached.bytes, 0),
        **bounds_as_entries("{}_bytes_per_socket", attached.bytes_per_socket),
        "unknown_because": attached.unknown_because,
    }


def bounds_as_entries(key: str, amount: Amount | None, digits: int = 2) -> Json:
    """Two JSON entries: the lower bound and the upper bound of a figure. An infinite upper bound becomes null."""
    low, high = amount or (None, None)
    return {
        key.format("low"): rounded(low, digits),
        key.format("high"): None if high == inf else rounded(high, digits),
    }


def _state(state: StateCost) -> Json:
    return {
        "state": state.state,
        "accepted": None if state.accepted is None else side_sums(state.accepted),
        "outgoing": None if state.outgoing is None else side_sums(state.outgoing),
        "unread_fin_bytes": rounded(state.unread_fin_bytes),
        "sockets": state.count,
        "sockets_are_at_most": state.count_is_upper_bound,
        "scope": state.scope,
        "note": state.note,
    }


def side_sums(side: SocketCost) -> Json:
    """The total bytes of an accepted or outgoing socket, without the list of the socket's parts."""
    return {
        "object_bytes": rounded(side.object_bytes),
        "slab_bytes": rounded(side.slab_bytes),
        "high_slab_bytes": None if side.missing else rounded(side.high_slab_bytes),
        "complete": side.complete,
        "missing": list(side.missing),
    }


def _side(side: SocketCost) -> Json:
    parts = [
        {
            "object": part.object,
            "cache": part.cache,
            "count": rounded(part.count, 4),
            "object_bytes": rounded(part.object_bytes),
            "slab_bytes": rounded(part.slab_bytes),
            "high_slab_bytes": rounded(part.high_slab_bytes),
            "estimated": part.estimated,
        }
        for part in side.parts
    ]
    return {**side_sums(side), "parts": parts}


def headroom_as_object(headroom: Headroom, limits: Limits) -> Json:
    """The JSON of the headroom: how many more sockets fit into memory, and below the first limit."""
    return {
        "accounting": headroom.mode,
        "sockets": headroom.sockets,
        "with_reclaim": headroom.with_reclaim,
        "without_reclaim_low": headroom.without_reclaim_low,
        "without_reclaim_high": headroom.without_reclaim_high,
        "bytes_per_socket": rounded(headroom.bytes_per_socket),
        "buffer_bytes": rounded(headroom.buffer_bytes),
        "high_buffer_bytes": rounded(headroom.high_buffer_bytes),
        "late_bytes": headroom.late_bytes,
        "unknown_because": headroom.unknown_because,
        "with_reclaim_low": headroom.with_reclaim_low,
        "is_at_most": headroom.is_at_most,
        **first_limit_as_object(headroom, limits),
        "nodes": {str(number): record_as_object(node) for number, node in headroom.nodes.items()},
    }


def first_limit_as_object(headroom: Headroom, limits: Limits) -> Json:
    """The JSON of the limit that further sockets reach first, and of how many fit below it."""
    first, most = limits.first, limits.first_most
    return {
        "first_limit": None if first is None else first.name,
        "first_limit_or": [limit.name for limit in limits.maybe_first],
        "first_limit_sockets": None if first is None else first.least_headroom,
        "first_limit_sockets_high": None if most is None else most.headroom_sockets,
        "first_limit_is_at_least": first is not None and (first.headroom_is_at_least or most is not None),
        "first_limit_is_at_most": first is not None and not headroom.has_low_end,
        "first_limit_counts_buffers": first is not None and headroom.counts_buffers(first.name),
    }


def limit_as_object(limit: Limit) -> Json:
    """The JSON of a limit, with its use and its state."""
    threshold = limit.threshold
    return {
        "name": limit.name,
        "concerns": limit.concerns,
        "scope": limit.scope,
        "unit": limit.unit,
        "used": limit.used,
        "used_error": limit.used_error,
        "used_is_at_most": limit.used_is_at_most,
        "limit": limit.maximum,
        "limit_is_at_most": limit.maximum_is_at_most,
        "ratio": rounded(limit.ratio, 4),
        "headroom_sockets": limit.headroom_sockets,
        "headroom_is_at_least": limit.headroom_is_at_least,
        "headroom_is_at_most": limit.headroom_is_at_most,
        "warn_percent": threshold.warn if threshold else None,
        "critical_percent": threshold.critical if threshold else None,
        "state": limit.state,
        "then": limit.then,
        "note": limit.note,
    }


def event_as_object(event: Event) -> Json:
    """The JSON of an event counter."""
    return {"total": event.total, "per_s": rounded(event.per_s, 4), "unit": event.unit, "limit": event.limit}


def rounded(amount: float | None, digits: int = 2) -> float | None:
    """The amount rounded to `digits` decimal places; an integer if the rounded amount is a whole number."""
    if amount is None:
        return None
    rounded = round(amount, digits)
    return int(rounded) if rounded == int(rounded) else rounded


def utc_text(unix_s: float | None) -> str | None:
    """A Unix time as ISO 8601 in UTC with milliseconds, `2026-11-22T12:04:31.250Z`; None if unknown."""
    if unix_s is None:
        return None
    from time import gmtime, strftime

    # Round to milliseconds before splitting: 4.9996 s must become `5.000`, not `4.1000`.
    seconds, milliseconds = divmod(round(unix_s * 1000), 1000)
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(seconds))}.{milliseconds:03d}Z"
