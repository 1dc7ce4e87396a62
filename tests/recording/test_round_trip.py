"""Replayed snapshots equal the live ones: every recorded kernel, every sample, in any order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import RECORDINGS, counters, each_kernel, each_recording, snapshot_of, tree
from samples import STARTED_UNIX_S, phase_trees, record, recording_at

from tcptop.recording.bundle import load_shared_files, read_bundle, write_bundle
from tcptop.recording.floats import base_ns, read_time, write_time
from tcptop.recording.opening import open_recording
from tcptop.recording.sample_record import BLOCK_SAMPLES
from tcptop.recording.source_numbers import SOURCES
from tcptop.recording.varints import Reader
from tcptop.sampling.sampler import kernel_sources


@each_kernel
def test_every_sample_round_trips(kernel: str, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    live = record(file, phase_trees(kernel), BLOCK_SAMPLES + 5)
    with recording_at(file) as recording:
        assert len(recording) == len(live)
        order = list(range(len(live)))
        random.Random(kernel).shuffle(order)
        for index in order:
            assert recording.damage(index) is None
            assert recording.snapshot(index) == live[index]
            assert recording.taken_at_unix_s(index) == live[index].taken_at_unix_s


def test_samples_differ(tmp_path: Path) -> None:
    """Guards the test above, which would also pass for identical samples."""
    live = record(tmp_path / "recording", phase_trees("6.1-4n"), 4)
    assert len({snapshot.slabinfo.value for snapshot in live}) == 4
    assert len({snapshot.buddyinfo.value for snapshot in live}) == 4
    assert live[3].slabinfo.before is not None


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
        assert recording.timeline_counts(0).allocated == (sockstat.allocated if sockstat else None)
    finally:
        recording.close()


def test_timeline_counts(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-4n"), 5)
    with recording_at(file) as recording:
        counts = [recording.timeline_counts(index) for index in range(5)]
    expected = [counters("6.1-4n", phase) for phase in RECORDINGS["6.1-4n"]]
    assert counts == [(sockstat["alloc"], sockstat["tw"]) for sockstat in expected]


def test_a_second_recorder_appends_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    first = record(file, phase_trees("6.1-1n"), 7)
    second = record(file, phase_trees("6.12-4n"), 3)
    with recording_at(file) as recording:
        assert [recording.snapshot(index) for index in range(10)] == first + second


def test_times(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-1n"), 2)
    with recording_at(file) as recording:
        assert recording.taken_at_unix_s(0) == STARTED_UNIX_S
        assert recording.taken_at_unix_s(1) == STARTED_UNIX_S + 1.000244140625


def test_every_source_has_a_number() -> None:
    assert sorted(source.name for source in kernel_sources()) == sorted(SOURCES)


@given(st.none() | st.floats(allow_nan=False), st.integers(0, 1 << 60))
def test_a_time_round_trips_exactly(time_s: float | None, base: int) -> None:
    out = bytearray()
    write_time(out, time_s, base)
    assert read_time(Reader(bytes(out)), base) == time_s


@given(st.floats(1, 1e8))
def test_a_time_near_its_base_is_short(time_s: float) -> None:
    rounded_s = round(time_s * 1e9) / 1e9
    out = bytearray()
    write_time(out, rounded_s, base_ns(rounded_s))
    assert len(out) <= 2


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x01\x03abc\x09"])
def test_invalid_bundles(data: bytes) -> None:
    reader = Reader(data)
    with pytest.raises(ValueError, match=r"."):
        read_bundle(reader)


@given(st.binary(max_size=200))
def test_any_bytes_parse_as_a_bundle_or_raise_value_error(data: bytes) -> None:
    try:
        bundle = read_bundle(Reader(data))
    except ValueError:
        return
    out = bytearray()
    write_bundle(out, load_shared_files(bundle, lambda digest: digest), lambda _: None)
    assert len(read_bundle(Reader(bytes(out)))) == len(bundle)
