"""Tests of the timeline: which samples are in which bucket, and empty buckets in gaps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import text, tree
from samples import record, recording_at

from tcptop.accounting import account
from tcptop.recording.exported_folder import export
from tcptop.screen.timeline_fill import fill_timeline, work_for
from tcptop.view.timeline import (
    BUCKETS,
    Timeline,
    bucket_column,
    bucket_of,
    bucket_samples,
    coarse_to_fine,
    column_maxima,
)

times = st.lists(st.integers(0, 10**9).map(lambda time_ms: time_ms / 1000), min_size=1, max_size=60).map(sorted)
"""Times of samples in seconds, in ascending order, to the millisecond."""


@given(times)
def test_each_sample_is_in_the_bucket_of_its_time(times_s: list[float]) -> None:
    buckets = bucket_samples(times_s)
    assert len(buckets) == BUCKETS
    for index in range(len(times_s)):
        bucket = bucket_of(times_s, index)
        near = range(max(0, bucket - 1), min(BUCKETS, bucket + 2))  # an edge may be rounded up or down
        assert any(index in buckets[each] for each in near)


def test_gap_gives_empty_buckets() -> None:
    hour = [float(second) for second in range(3600)]
    buckets = bucket_samples([*hour, *(second + 3 * 3600.0 for second in hour)])
    blank = [number for number, samples in enumerate(buckets) if not samples]
    # The gap is the second and the third of four hours.
    assert len(blank) == pytest.approx(BUCKETS / 2, abs=3)
    assert blank == list(range(blank[0], blank[-1] + 1))
    assert blank[0] == pytest.approx(BUCKETS / 4, abs=2)


def test_a_few_samples_fill_all_buckets() -> None:
    assert all(bucket_samples([float(second) for second in range(7)]))


@pytest.mark.slow
@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=BUCKETS, max_size=BUCKETS), st.integers(1, 300))
def test_columns_keep_the_largest_value(values: list[float | None], columns: int) -> None:
    maxima = column_maxima(tuple(values), columns)
    assert len(maxima) == columns
    known = [value for value in values if value is not None]
    if columns <= BUCKETS:
        assert max((value for value in maxima if value is not None), default=None) == max(known, default=None)
        for number, value in enumerate(values):
            if value is not None:
                maximum = maxima[bucket_column(number, columns)]
                assert maximum is not None
                assert maximum >= value
    assert {value for value in maxima if value is not None} <= set(known)


def test_coarse_order_has_every_bucket_and_starts_far_apart() -> None:
    order = coarse_to_fine()
    assert sorted(order) == list(range(BUCKETS))
    first = [*sorted(order[: BUCKETS // 8]), BUCKETS]
    assert max(after - before for before, after in pairwise(first)) <= BUCKETS // 8, (
        "an eighth of the buckets spans the graph"
    )


def sockstat_count(phase: str, word: str) -> int:
    """A count in the TCP line of the recorded sockstat."""
    fields = next(line for line in text("6.1-4n", phase, "proc/net/sockstat").splitlines() if line.startswith("TCP"))
    words = fields.split()
    return int(words[words.index(word) + 1])


def test_timeline_has_the_kernels_counts(tmp_path: Path) -> None:
    phases = ["base", "established", "timewait"]
    live = record(tmp_path / "rec", [tree("6.1-4n", phase) for phase in phases], 3)
    with recording_at(tmp_path / "rec") as recording:
        pieces = fill_timeline(recording, range(3), [snapshot.taken_at_unix_s or 0.0 for snapshot in live])
        timeline = None
        while (progress := work_for(pieces, 0.0)) is not None:
            timeline = progress
    assert timeline is not None
    third = BUCKETS // 3
    for number, (phase, snapshot) in enumerate(zip(phases, live, strict=True)):
        middle = third * number + third // 2
        assert timeline.sockets[middle] == sockstat_count(phase, "alloc")
        assert timeline.time_wait[middle] == sockstat_count(phase, "tw")
        cost = account(snapshot).costs["full"]
        expected = cost.now_bytes if cost.now_bytes is not None else cost.by_family["mix"].accepted.slab_bytes
        assert timeline.bytes_per_connection[middle] == expected
        assert timeline.tcp_bytes[middle] == account(snapshot).tcp_memory.bytes
    assert timeline.read_share == 1
    assert not timeline.unread


def test_an_exported_folder_gives_the_same_counts(tmp_path: Path) -> None:
    phases = ["base", "established", "timewait"]
    record(tmp_path / "rec", [tree("6.1-4n", phase) for phase in phases], 6)
    with recording_at(tmp_path / "rec") as recording:
        export(recording, range(6), str(tmp_path / "folder"))
        recording.raise_if_damaged()
        with recording_at(tmp_path / "folder") as folder:
            for first in range(6):
                for last in range(first, 7):
                    assert folder.largest_counts(range(first, last)) == recording.largest_counts(range(first, last))
        assert recording.largest_counts(range(6)).allocated == max(sockstat_count(phase, "alloc") for phase in phases)
        assert recording.largest_counts(range(3, 3)).allocated is None


def test_values_that_are_not_read_yet_are_the_last_one_read() -> None:
    memory = (5.0, None, None, 7.0, None)
    filled = Timeline(tcp_bytes=memory, sockets=memory, read_share=0.6, unread=frozenset((1, 2)))
    assert filled.drawn("tcp_bytes") == (5.0, 5.0, 5.0, 7.0, None), "a gap of the recording stays blank"
    assert filled.drawn("sockets") == memory
