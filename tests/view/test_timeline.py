"""The time line: what of which sample lands in which stretch, and that gaps stay blank."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import text, tree
from samples import record, recording_at

from tcptop.accounting import account
from tcptop.recording.exported_folder import export
from tcptop.screen.timeline_fill import fill_timeline, work_for
from tcptop.view.timeline import BUCKETS, bucket_column, bucket_of, bucket_samples, coarse_to_fine, column_maxima

times = st.lists(st.integers(0, 10**9).map(lambda time_ms: time_ms / 1000), min_size=1, max_size=60).map(sorted)
"""Times of samples in seconds, in ascending order, to the millisecond."""


@settings(deadline=None)
@given(times)
def test_every_sample_is_in_the_stretch_of_its_time(times_s: list[float]) -> None:
    found = bucket_samples(times_s)
    assert len(found) == BUCKETS
    for index in range(len(times_s)):
        number = bucket_of(times_s, index)
        near = range(max(0, number - 1), min(BUCKETS, number + 2))  # a time on the edge may be rounded either way
        assert any(index in found[each] for each in near)


def test_what_was_not_recorded_is_blank() -> None:
    hour = [float(second) for second in range(3600)]
    found = bucket_samples([*hour, *(second + 3 * 3600.0 for second in hour)])
    blank = [number for number, samples in enumerate(found) if not samples]
    # Of four hours, the second and the third.
    assert len(blank) == pytest.approx(BUCKETS / 2, abs=3)
    assert blank == list(range(blank[0], blank[-1] + 1))
    assert blank[0] == pytest.approx(BUCKETS / 4, abs=2)


def test_a_few_samples_leave_no_gaps() -> None:
    assert all(bucket_samples([float(second) for second in range(7)]))


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=BUCKETS, max_size=BUCKETS), st.integers(1, 300))
def test_no_column_loses_the_largest(values: list[float | None], columns: int) -> None:
    found = column_maxima(tuple(values), columns)
    assert len(found) == columns
    known = [value for value in values if value is not None]
    if columns <= BUCKETS:
        assert max((value for value in found if value is not None), default=None) == max(known, default=None)
        for number, value in enumerate(values):
            if value is not None:
                at = found[bucket_column(number, columns)]
                assert at is not None
                assert at >= value
    assert {value for value in found if value is not None} <= set(known)


def test_the_coarse_order_misses_nothing() -> None:
    order = coarse_to_fine()
    assert sorted(order) == list(range(BUCKETS))
    first = [*sorted(order[: BUCKETS // 8]), BUCKETS]
    assert max(after - before for before, after in pairwise(first)) <= BUCKETS // 8, "soon there roughly"


def sockstat_count(phase: str, word: str) -> int:
    """A count of the kernel's own text."""
    fields = next(line for line in text("6.1-4n", phase, "proc/net/sockstat").splitlines() if line.startswith("TCP"))
    words = fields.split()
    return int(words[words.index(word) + 1])


def test_it_is_filled_with_what_the_kernel_said(tmp_path: Path) -> None:
    phases = ["base", "established", "timewait"]
    live = record(tmp_path / "rec", [tree("6.1-4n", phase) for phase in phases], 3)
    with recording_at(tmp_path / "rec") as recording:
        pieces = fill_timeline(recording, range(3), [snapshot.taken_at_unix_s or 0.0 for snapshot in live])
        found = None
        while (line := work_for(pieces, 0.0)) is not None:
            found = line
    assert found is not None
    third = BUCKETS // 3
    for number, (phase, snapshot) in enumerate(zip(phases, live, strict=True)):
        middle = third * number + third // 2
        assert found.sockets[middle] == sockstat_count(phase, "alloc")
        assert found.time_wait[middle] == sockstat_count(phase, "tw")
        cost = account(snapshot).costs["full"]
        expected = cost.now_bytes if cost.now_bytes is not None else cost.by_family["mix"].accepted.slab_bytes
        assert found.bytes_per_connection[middle] == expected


def test_an_exported_folder_gives_the_same_counts(tmp_path: Path) -> None:
    phases = ["base", "established", "timewait"]
    record(tmp_path / "rec", [tree("6.1-4n", phase) for phase in phases], 6)
    with recording_at(tmp_path / "rec") as recording:
        assert export(recording, range(6), str(tmp_path / "folder")) == []
        with recording_at(tmp_path / "folder") as folder:
            for first in range(6):
                for last in range(first, 7):
                    assert folder.largest_counts(range(first, last)) == recording.largest_counts(range(first, last))
        assert recording.largest_counts(range(6)).allocated == max(sockstat_count(phase, "alloc") for phase in phases)
        assert recording.largest_counts(range(3, 3)).allocated is None
