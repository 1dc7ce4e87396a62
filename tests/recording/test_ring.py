"""A ring drops its oldest samples, its file stays within the limit, and every remaining sample is readable."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import assert_same_snapshot, phase_trees, record, recording_at

from tcptop.errors import TcptopError
from tcptop.recording.blocks import BLOCK_SAMPLES
from tcptop.recording.recorder import Bounds
from tcptop.text.quantities import parse_size_bytes


@pytest.mark.slow
def test_a_ring_by_size(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    max_bytes = 150_000
    live = record(file, phase_trees("6.1-4n")[1:3], 350, Bounds(size_bytes=max_bytes))
    assert file.stat().st_size <= max_bytes
    with recording_at(file) as recording:
        remaining = len(recording)
        assert BLOCK_SAMPLES <= remaining < 350
        for index in (0, 1, remaining // 2, remaining - 1):
            assert recording.sample(index).damage is None
            assert_same_snapshot(recording.snapshot(index), live[350 - remaining + index])


@pytest.mark.slow
def test_a_ring_by_age(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    live = record(file, phase_trees("6.1-1n"), 5 * BLOCK_SAMPLES, Bounds(age_s=100))
    with recording_at(file) as recording:
        assert 100 <= len(recording) <= 100 + BLOCK_SAMPLES
        assert_same_snapshot(recording.snapshot(0), live[-len(recording)])
        assert_same_snapshot(recording.snapshot(len(recording) - 1), live[-1])


def test_a_ring_smaller_than_one_sample(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    with pytest.raises(TcptopError, match="--max-size"):
        record(file, phase_trees("6.1-4n"), 1, Bounds(size_bytes=30_000))


@pytest.mark.slow
def test_a_larger_file_becomes_a_ring(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-4n")[1:3], 300)
    before = file.stat().st_size
    live = record(file, phase_trees("6.1-4n")[1:3], 150, Bounds(size_bytes=120_000))
    assert file.stat().st_size == before > 120_000
    with recording_at(file) as recording:
        assert_same_snapshot(recording.snapshot(len(recording) - 1), live[-1])
        assert len(recording) < 300


@pytest.mark.parametrize(("text", "bytes_"), [("200M", 200 << 20), ("1G", 1 << 30), ("1.5k", 1536), ("2MiB", 2 << 20)])
def test_sizes(text: str, bytes_: int) -> None:
    assert parse_size_bytes(text) == bytes_


@pytest.mark.parametrize("text", ["", "0", "-1", "1X", "M", "1e9", "१M", "9" * 40, "nan"])
def test_invalid_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        parse_size_bytes(text)
