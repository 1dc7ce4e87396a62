"""The time line: what of which sample lands in which stretch, and that gaps stay blank."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import text, tree
from samples import record, recording_at

from tcptop.accounting import account
from tcptop.recording.export import export
from tcptop.screen.timeline_fill import fill_timeline, work_for
from tcptop.view.timeline import STRETCHES, coarse_first, column_of, in_columns, stretch_of, stretches

times = st.lists(st.floats(0, 1e6), min_size=1, max_size=60).map(sorted)


@given(times)
def test_every_sample_is_in_the_stretch_of_its_time(times_s: list[float]) -> None:
    found = stretches(times_s)
    assert len(found) == STRETCHES
    for index in range(len(times_s)):
        number = stretch_of(times_s, index)
        near = range(max(0, number - 1), min(STRETCHES, number + 2))  # a time on the edge may be rounded either way
        assert any(index in found[each] for each in near)


def test_what_was_not_recorded_is_blank() -> None:
    hour = [float(second) for second in range(3600)]
    found = stretches([*hour, *(second + 3 * 3600.0 for second in hour)])
    blank = [number for number, samples in enumerate(found) if not samples]
    # Of four hours, the second and the third.
    assert len(blank) == pytest.approx(STRETCHES / 2, abs=3)
    assert blank == list(range(blank[0], blank[-1] + 1))
    assert blank[0] == pytest.approx(STRETCHES / 4, abs=2)


def test_a_few_samples_leave_no_gaps() -> None:
    assert all(stretches([float(second) for second in range(7)]))


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), min_size=STRETCHES, max_size=STRETCHES), st.integers(1, 300))
def test_no_column_loses_the_largest(values: list[float | None], columns: int) -> None:
    found = in_columns(tuple(values), columns)
    assert len(found) == columns
    known = [value for value in values if value is not None]
    if columns <= STRETCHES:
        assert max((value for value in found if value is not None), default=None) == max(known, default=None)
        for number, value in enumerate(values):
            if value is not None:
                at = found[column_of(number, columns)]
                assert at is not None
                assert at >= value
    assert {value for value in found if value is not None} <= set(known)


def test_the_coarse_order_misses_nothing() -> None:
    order = coarse_first()
    assert sorted(order) == list(range(STRETCHES))
    first = [*sorted(order[: STRETCHES // 8]), STRETCHES]
    assert max(after - before for before, after in pairwise(first)) <= STRETCHES // 8, "soon there roughly"


def counted(phase: str, word: str) -> int:
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
    third = STRETCHES // 3
    for number, (phase, snapshot) in enumerate(zip(phases, live, strict=True)):
        middle = third * number + third // 2
        assert found.sockets[middle] == counted(phase, "alloc")
        assert found.time_wait[middle] == counted(phase, "tw")
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
        assert recording.largest_counts(range(6)).allocated == max(counted(phase, "alloc") for phase in phases)
        assert recording.largest_counts(range(3, 3)).allocated is None
