"""Time between the reads of two sources, and the amount of memory that may change in this time."""

from __future__ import annotations

from typing import Any

from tcptop.accounting.contradictions.relation import with_later_sockets
from tcptop.snapshot import Reading, Snapshot

GROWTH_BYTES_PER_S = 1 << 30
"""Upper bound on the growth of the slab memory between two reads, in bytes per second."""

FREED_BYTES_PER_S = 64 << 30
"""Upper bound on the memory that is freed or allocated between two reads, in bytes per second."""

MAX_SOCKETS_APART_S = 0.05
"""On a running kernel, the numbers of sockets in two files are compared only if the reads are at most this many seconds
apart."""

MAX_APART_S = 0.5
"""On a running kernel, figures other than numbers of sockets are compared only if the reads are at most this many
seconds apart.
"""

MAX_COPIED_APART_S = 30.0
"""Figures of two files of a saved tree are not compared if tcptop read the files more than this many seconds apart."""


def are_of_one_moment(snapshot: Snapshot, one: str, other: str) -> bool:
    """True if hardly any sockets or files were opened or closed between the reads of two sources.

    On a running kernel, the number of sockets must also be about the same as in the previous sample.
    """
    apart_s = seconds_apart(getattr(snapshot, one), getattr(snapshot, other), snapshot.live)
    if apart_s is None or apart_s > MAX_SOCKETS_APART_S:
        return False
    sockstat = snapshot.sockstat
    counts = [
        reading.value.allocated
        for reading in (sockstat, sockstat.before)
        if reading is not None and reading.value is not None and reading.value.allocated is not None
    ]
    return not counts or max(counts) <= (with_later_sockets(min(counts)) or 0)


def seconds_apart(one: Reading[Any], other: Reading[Any], live: bool) -> float | None:
    """Time in seconds between the reads of two sources; None if this time is too long for a comparison.

    A saved tree does not tell when its files were copied, so the time between two of its files is assumed to be 0.
    """
    if one.taken_at_s is None or other.taken_at_s is None:
        return None if live else 0.0
    apart_s = abs(one.taken_at_s - other.taken_at_s)
    if not live:
        return 0.0 if apart_s <= MAX_COPIED_APART_S else None
    return apart_s if apart_s <= MAX_APART_S else None
