"""How far apart two sources were read, and how much memory may change in between."""

from __future__ import annotations

from typing import Any

from tcptop.accounting.contradictions.relation import with_later_sockets
from tcptop.snapshot import Reading, Snapshot

GROWTH_BYTES_PER_S = 1 << 30
"""Upper bound on the growth of the slab memory between two reads, in bytes per second."""

FREED_BYTES_PER_S = 64 << 30
"""Upper bound on the memory that is freed or taken between two reads, in bytes per second."""

MAX_SOCKETS_APART_S = 0.05
"""Numbers of sockets in two files of a running kernel are compared only if the reads are at most this long apart."""

MAX_APART_S = 0.5
"""Figures of a running kernel are compared only if the time between the reads of the figures is at most this long."""

MAX_COPIED_APART_S = 30.0
"""Figures of a saved tree are not compared if tcptop read one of the files so much later than the other."""


def are_of_one_moment(snapshot: Snapshot, one: str, other: str) -> bool:
    """Whether hardly any sockets or files were opened or closed between the reads of two sources.

    On a running kernel, the number of sockets must also be about the same as in the sample before.
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
    """Seconds between the reads of two sources; None if the time is too long for a comparison.

    A saved tree does not tell when its files were copied, so the time is 0.
    """
    if one.taken_at_s is None or other.taken_at_s is None:
        return None if live else 0.0
    apart_s = abs(one.taken_at_s - other.taken_at_s)
    if not live:
        return 0.0 if apart_s <= MAX_COPIED_APART_S else None
    return apart_s if apart_s <= MAX_APART_S else None
