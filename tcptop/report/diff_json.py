"""A difference of two ledgers as JSON, for `diff --json`. The schema is stable, and unknown values are null."""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import fields
from math import inf

from tcptop import __version__
from tcptop.comparison.difference import (
    CacheChange,
    Change,
    ComparedInput,
    FreeBlocksChange,
    LedgerDifference,
    NodeChange,
    SlabGrowth,
    StateChange,
)
from tcptop.report.as_json import Json, first_limit_as_object, utc_text

SCHEMA = 1

Row = CacheChange | StateChange | NodeChange | FreeBlocksChange

RENAMED = {"name": "cache", "count": "sockets"}
"""Maps field names of a row to JSON keys; fields that are not listed here keep their names."""


def diff_as_json(difference: LedgerDifference) -> str:
    """The difference as one JSON object on one line, in ASCII."""
    return json.dumps(diff_as_object(difference))


def diff_as_object(difference: LedgerDifference) -> Json:
    """The difference as a dictionary that `json.dumps` can write.

    Lists contain only rows that changed, the largest change first.
    """
    return {
        "schema": SCHEMA,
        "version": __version__,
        "before": _subject(difference.before),
        "after": _subject(difference.after),
        "unlike": list(difference.unlike),
        "sockets": {change.key: _bounded(change) for change in difference.sockets},
        "events": {change.key: _sides(change) for change in difference.events},
        "bytes_per_connection": {change.key: _bounded(change) for change in difference.connection},
        difference.slab_memory.key: _bounded(difference.slab_memory),
        difference.tcp_memory.key: _bounded(difference.tcp_memory),
        "slab_growth": _growth(difference.growth),
        "no_slab_growth_because": difference.no_growth_because,
        "caches": [_row(row, {"tcp_bytes"}) for row in difference.caches.changed],
        "unchanged_caches": difference.caches.unchanged,
        "states": [_row(row, {"accepted_bytes", "outgoing_bytes", "sockets"}) for row in difference.states.changed],
        "unchanged_states": difference.states.unchanged,
        "headroom": {change.key: _bounded(change) for change in difference.headroom},
        "nodes": [_row(row, {"headroom_sockets"}) for row in difference.nodes.changed],
        "unchanged_nodes": difference.nodes.unchanged,
        "free_blocks": [_row(row, {"blocks", "bytes"}) for row in difference.free_blocks.changed],
        "unchanged_free_blocks": difference.free_blocks.unchanged,
    }


def _subject(subject: ComparedInput) -> Json:
    return {
        "name": subject.label,
        "host": subject.host.name,
        "kernel": subject.host.kernel,
        "page_size": subject.host.page_size_bytes,
        "cpus": subject.host.cpus,
        "memory_bytes": subject.host.memory_bytes,
        "taken_at": utc_text(subject.taken_at_unix_s),
        "live": subject.live,
        "not_read": dict(subject.not_read),
        **first_limit_as_object(subject.headroom, subject.limits),
    }


def _bounded(change: Change) -> Json:
    """The value before, the value after, and the change.

    For each of the three numbers, a `Bound` says whether the number is exact. A change that does not follow from the
    two values, such as that of two upper bounds, is `unknown`; its bounds say how much it can be.
    """
    before_is = "exact" if change.before is None else change.before_bound
    after_is = "exact" if change.after is None else change.after_bound
    are_known = change.before is not None and change.after is not None
    change_is = change.increase_bound if change.increase is not None else "unknown" if are_known else "exact"
    low, high = change.span or (None, None)
    return {
        **_sides(change),
        "low_change": None if low == -inf else _rounded(low),
        "high_change": None if high == inf else _rounded(high),
        "before_is": before_is,
        "after_is": after_is,
        "change_is": change_is,
    }


def _sides(change: Change) -> Json:
    return {"before": _rounded(change.before), "after": _rounded(change.after), "change": change.increase}


def _rounded(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 2)


def _row(row: Row, bounded: Container[str]) -> Json:
    """A JSON object with the fields of a row; its keys are the names of the fields, renamed by RENAMED.

    `bounded` has the keys of the changes whose values may be bounds instead of exact values.
    """
    values = {RENAMED.get(field.name, field.name): getattr(row, field.name) for field in fields(row)}
    return {
        key: (_bounded(value) if key in bounded else _sides(value)) if isinstance(value, Change) else value
        for key, value in values.items()
    }


def _growth(growth: SlabGrowth | None) -> Json | None:
    if growth is None:
        return None
    shares, others = growth.shares, growth.others_bytes
    return {
        "bytes": growth.bytes,
        "sockets_low_bytes": growth.socket_bytes.low,
        "sockets_high_bytes": growth.socket_bytes.high,
        "sockets_low_share": None if shares is None else round(shares.low, 5),
        "sockets_high_share": None if shares is None or shares.high == inf else round(shares.high, 5),
        "complete": not growth.missing,
        "missing": list(growth.missing),
        "parts": [
            {
                "part": part.name,
                "low_count": part.count.low,
                "high_count": part.count.high,
                "low_bytes": part.bytes.low,
                "high_bytes": part.bytes.high,
            }
            for part in growth.sockets
        ],
        "idle_bytes": None if growth.idle_bytes is None else growth.idle_bytes.low,
        "idle_high_bytes": None if growth.idle_bytes is None else growth.idle_bytes.high,
        "others_low_bytes": None if others is None else others[0],
        "others_high_bytes": None if others is None else others[1],
        "other_caches": None
        if growth.other_rows is None
        else [{"cache": row.name, "bytes": row.bytes} for row in growth.other_rows],
        "no_cache_bytes": growth.no_row_bytes,
    }
