"""Replayed snapshots equal the live ones: every recorded kernel, every sample, in any order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from recorded import RECORDINGS, counters, each_kernel, each_recording, snapshot_of, tree
from samples import STARTED_UNIX_S, assert_same_snapshot, phase_trees, record, recording_at

from tcptop.recording.blocks import BLOCK_SAMPLES
from tcptop.recording.document import RECORDED_NAMES
from tcptop.recording.opening import open_recording
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import SOCKET_TABLE


@pytest.mark.quick_cases(3)
@each_kernel
def test_every_sample_round_trips(kernel: str, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    # Only one kernel has more samples than a block, because the limits of a block do not depend on the kernel.
    roots = phase_trees(kernel)
    live = record(file, roots, BLOCK_SAMPLES + 5 if kernel == "6.1-4n" else 2 * len(roots) + 1)
    with recording_at(file) as recording:
        assert len(recording) == len(live)
        order = list(range(len(live)))
        random.Random(kernel).shuffle(order)
        for index in order:
            assert recording.sample(index).damage is None
            assert_same_snapshot(recording.snapshot(index), live[index])
            assert recording.taken_at_unix_s(index) == live[index].taken_at_unix_s


def test_samples_differ(tmp_path: Path) -> None:
    """Shows that the samples differ: the test above would also pass for identical samples."""
    live = record(tmp_path / "recording", phase_trees("6.1-4n"), 4)
    assert len({snapshot.slabinfo.value for snapshot in live}) == 4
    assert len({snapshot.buddyinfo.value for snapshot in live}) == 4
    assert live[3].slabinfo.before is not None


@pytest.mark.quick_cases(3)
@each_recording
def test_a_saved_tree_is_a_recording_of_one_sample(kernel: str, phase: str) -> None:
    recording = open_recording(str(tree(kernel, phase)))
    try:
        assert len(recording) == 1
        assert recording.taken_at_unix_s(0) is None
        live = snapshot_of(tree(kernel, phase))
        assert recording.snapshot(0).slabinfo.value == live.slabinfo.value
        assert recording.snapshot(0).zoneinfo.value == live.zoneinfo.value
        sockstat = live.sockstat.value
        assert recording.largest_counts(range(1)).allocated == (sockstat.allocated if sockstat else None)
    finally:
        recording.close()


def test_timeline_counts(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-4n"), 5)
    with recording_at(file) as recording:
        counts = [recording.largest_counts(range(index, index + 1)) for index in range(5)]
    expected = [counters("6.1-4n", phase) for phase in RECORDINGS["6.1-4n"]]
    assert counts == [(sockstat["alloc"], sockstat["tw"]) for sockstat in expected]


def test_a_second_recorder_appends_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    first = record(file, phase_trees("6.1-1n"), 7)
    second = record(file, phase_trees("6.12-4n"), 3)
    with recording_at(file) as recording:
        for index, live in enumerate(first + second):
            assert_same_snapshot(recording.snapshot(index), live)


def test_times(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-1n"), 2)
    with recording_at(file) as recording:
        assert recording.taken_at_unix_s(0) == STARTED_UNIX_S
        assert recording.taken_at_unix_s(1) == STARTED_UNIX_S + 1.000244140625


def test_every_source_is_recorded() -> None:
    assert sorted([SOCKET_TABLE, *(source.name for source in kernel_sources())]) == RECORDED_NAMES
