"""A ring: the oldest goes, the file does not grow, and every sample that is left can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import phase_trees, record, recording_at

from tcptop.errors import TcptopError
from tcptop.recording.recorder import Bounds
from tcptop.recording.sample_record import BLOCK_SAMPLES
from tcptop.text.quantities import parse_size_bytes


def test_a_ring_by_size(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    most_bytes = 300_000
    shown = record(file, phase_trees("6.1-4n")[1:3], 700, Bounds(size_bytes=most_bytes))
    assert file.stat().st_size <= most_bytes
    with recording_at(file) as recording:
        left = len(recording)
        assert BLOCK_SAMPLES <= left < 700
        for index in (0, 1, left // 2, left - 1):
            assert recording.damage(index) is None
            assert recording.snapshot(index) == shown[700 - left + index]


def test_a_ring_by_age(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    shown = record(file, phase_trees("6.1-1n"), 5 * BLOCK_SAMPLES, Bounds(age_s=100))
    with recording_at(file) as recording:
        assert 100 <= len(recording) <= 100 + BLOCK_SAMPLES
        assert recording.snapshot(0) == shown[-len(recording)]
        assert recording.snapshot(len(recording) - 1) == shown[-1]


def test_a_ring_that_one_sample_does_not_fit_into(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    with pytest.raises(TcptopError, match="--max-size"):
        record(file, phase_trees("6.1-4n"), 1, Bounds(size_bytes=30_000))


def test_a_file_that_was_larger_becomes_a_ring(tmp_path: Path) -> None:
    file = tmp_path / "recording"
    record(file, phase_trees("6.1-4n")[1:3], 600)
    before = file.stat().st_size
    shown = record(file, phase_trees("6.1-4n")[1:3], 200, Bounds(size_bytes=120_000))
    assert file.stat().st_size == before > 120_000
    with recording_at(file) as recording:
        assert recording.snapshot(len(recording) - 1) == shown[-1]
        assert len(recording) < 600


@pytest.mark.parametrize(("text", "bytes_"), [("200M", 200 << 20), ("1G", 1 << 30), ("1.5k", 1536), ("2MiB", 2 << 20)])
def test_sizes(text: str, bytes_: int) -> None:
    assert parse_size_bytes(text) == bytes_


@pytest.mark.parametrize("text", ["", "0", "-1", "1X", "M", "1e9", "१M", "9" * 40, "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        parse_size_bytes(text)
