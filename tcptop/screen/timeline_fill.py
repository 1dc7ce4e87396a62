"""Fills a timeline in small pieces of work, so that keys are handled between two pieces."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from tcptop.accounting import account
from tcptop.accounting.ledger_before import ledger_before
from tcptop.recording.recording import Recording
from tcptop.view.timeline import BUCKETS, Timeline, bucket_samples, coarse_to_fine
from tcptop.view.trends import connection_bytes

PIECE_SAMPLES = 50
"""Number of samples whose counts are read in one piece of work."""


def fill_timeline(recording: Recording, indices: range, times_s: Sequence[float]) -> Iterator[Timeline]:
    """Yields the timeline of the selected samples after each piece of work.

    A bucket is one of the timeline's periods of equal duration. The first pieces add the socket counts, and later
    pieces add TCP's memory and the bytes per connection. The socket counts of a bucket are the largest counts of its
    samples; the recording's index has these counts. The memory and the bytes per connection are computed from the last
    sample of the bucket.
    """
    samples = bucket_samples(times_s)
    sockets: list[float | None] = [None] * BUCKETS
    time_wait: list[float | None] = [None] * BUCKETS
    figures: list[float | None] = [None] * BUCKETS
    memory: list[float | None] = [None] * BUCKETS
    done = 0
    unread = {number for number, own in enumerate(samples) if own}

    def so_far() -> Timeline:
        share = done / (2 * BUCKETS)
        held = frozenset(unread)
        return Timeline(tuple(sockets), tuple(time_wait), tuple(figures), tuple(memory), share, held)

    for number, own in enumerate(samples):
        for start in range(0, len(own), PIECE_SAMPLES):
            piece = own[start : start + PIECE_SAMPLES]
            most = recording.largest_counts(range(indices.start + piece.start, indices.start + piece.stop))
            sockets[number] = _larger(sockets[number], most.allocated)
            time_wait[number] = _larger(time_wait[number], most.time_wait)
            yield so_far()
        done += 1
    opened: dict[int, tuple[float | None, float | None]] = {}
    for number in coarse_to_fine():
        done += 1
        if not samples[number]:
            continue
        index = indices.start + samples[number][-1]
        if index not in opened:
            snapshot = recording.snapshot(index)
            yield so_far()
            ledger = account(snapshot, before=ledger_before(recording.snapshot, index))
            opened[index] = connection_bytes(ledger), ledger.tcp_memory.shown_bytes
        figures[number], memory[number] = opened[index]
        unread.discard(number)
        yield so_far()
    yield so_far()


def work_for(pieces: Iterator[Timeline], length_s: float) -> Timeline | None:
    """Takes pieces from the iterator `pieces` for about `length_s` seconds.

    Returns the latest timeline; None if `pieces` was already exhausted.
    """
    found: Timeline | None = None
    end_s = time.monotonic() + length_s
    for piece in pieces:
        found = piece
        if time.monotonic() >= end_s:
            break
    return found


def _larger(one: float | None, other: float | None) -> float | None:
    return max((count for count in (one, other) if count is not None), default=None)
