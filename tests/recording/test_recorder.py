"""Recorder with a live sampler: late and failed sources, a start while sampling, large files, concurrent readers."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import MemoryHost
from samples import TreeSequenceHost, assert_same_snapshot, phase_trees, recording_at

from tcptop.hosts.host import Identity
from tcptop.recording.blocks import BLOCK_SAMPLES
from tcptop.recording.recorder import Bounds, Recorder
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot

LIVE = Identity(live=True, page_size_bytes=4096, place=None, net_namespace="/host/proc/1/net", proc_folder=None)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 77.5

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host() -> Iterator[TreeSequenceHost]:
    host = TreeSequenceHost(phase_trees("6.1-4n"))
    yield host
    host.close()


def assert_replayed(file: Path, live: list[Snapshot]) -> None:
    with recording_at(file) as recording:
        for index in reversed(range(len(live))):
            assert recording.sample(index).damage is None
            assert_same_snapshot(recording.snapshot(index), live[index])


@pytest.mark.slow
def test_late_and_failed_sources(host: TreeSequenceHost, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file))
    sampler = Sampler(host, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    slabinfo, meminfo = (
        next(source for source in kernel_sources() if source.name == name) for name in ("slabinfo", "meminfo")
    )
    live: list[Snapshot] = []
    for turn in range(2 * BLOCK_SAMPLES):
        if turn % 7 in (2, 3, 4) or turn == BLOCK_SAMPLES:
            sampler.mark_late(slabinfo, turn + 0.5)
        else:
            read_due(sampler)
        if turn % 11 == 5:
            sampler.mark_failed(meminfo, RuntimeError("strange \x1b[2J"))
        live.append(sampler.snapshot())
        recorder.write(live[-1])
        host.turn += 1
        clock.now_s += 1
    recorder.close()
    assert {snapshot.slabinfo.state for snapshot in live} == {"ok", "late"}
    assert {snapshot.meminfo.state for snapshot in live} >= {"ok", "failed"}
    assert_replayed(file, live)


def test_a_recording_that_begins_while_sampling(host: TreeSequenceHost, clock: Clock, tmp_path: Path) -> None:
    """As with the record key of the screen, every source is read again, so that every source is recorded."""
    file = tmp_path / "recording"
    sampler = Sampler(host, kernel_sources(), monotonic=clock, unix_time=clock)
    for _ in range(3):
        read_due(sampler)
        clock.now_s += 1
    recorder = Recorder(str(file))
    sampler.set_on_read(recorder.add_read)
    live: list[Snapshot] = []
    for _ in range(5):
        read_due(sampler)
        live.append(sampler.snapshot())
        recorder.write(live[-1])
        host.turn += 1
        clock.now_s += 1
    sampler.set_on_read(None)
    read_due(sampler)
    recorder.close()
    with recording_at(file) as recording:
        # The reading before the first was not recorded, so the first sample has no rates.
        assert recording.snapshot(0).slabinfo.value == live[0].slabinfo.value
        assert recording.snapshot(0).sysctls.value == live[0].sysctls.value
        replayed = [recording.snapshot(index)._replace(recorded=False) for index in range(1, 5)]
        assert replayed == live[1:]


@pytest.fixture
def btf_host() -> MemoryHost:
    """A kernel with a BTF file of realistic size, which is read because slabinfo is refused."""
    return MemoryHost(
        files={
            "sys/kernel/btf/vmlinux": random.Random(1).randbytes(1_500_000),
            "proc/slabinfo": PermissionError(13, "Permission denied"),
            "proc/net/sockstat": b"TCP: inuse 5 orphan 0 tw 2 alloc 7 mem 3\n",
            "proc/sys/kernel/osrelease": b"6.12.1\n",
        },
        identity=LIVE,
    )


@pytest.mark.slow
def test_a_large_file_is_stored_once(btf_host: MemoryHost, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file), Bounds(size_bytes=2_500_000))
    sampler = Sampler(btf_host, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    live: list[Snapshot] = []
    for _ in range(4 * BLOCK_SAMPLES):
        read_due(sampler)
        live.append(sampler.snapshot())
        recorder.write(live[-1])
        clock.now_s += 1
    recorder.close()
    assert live[-1].btf.state == "strange"
    assert file.stat().st_size < 1_700_000
    assert_replayed(file, live)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE content SET data = substr(data, 1, 1000000)")
    connection.close()
    with recording_at(file) as recording:
        assert "btf" in (recording.sample(9).damage or "")
        assert recording.snapshot(9).btf.state == "failed"
        assert recording.snapshot(9).sockstat == live[9].sockstat


@pytest.mark.slow
def test_a_large_file_is_dropped_with_the_last_block_that_uses_it(
    btf_host: MemoryHost, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file), Bounds(age_s=BLOCK_SAMPLES))
    files = dict(btf_host.files)
    sampler = Sampler(btf_host, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    for turn in range(4 * BLOCK_SAMPLES):
        if turn == 20:  # as if the kernel had been updated
            btf_host.files = files | {"sys/kernel/btf/vmlinux": random.Random(2).randbytes(1_400_000)}
            sampler.make_all_due()
        read_due(sampler)
        recorder.write(sampler.snapshot())
        clock.now_s += 1
    recorder.close()
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM content").fetchone() == (1,)
    connection.close()
    assert_replayed(file, [])
    with recording_at(file) as recording:
        assert recording.sample(0).damage is None
        assert recording.snapshot(0).btf.state == "strange"


@pytest.mark.slow
def test_a_ring_by_age_goes_on_dropping_after_the_clock_was_set_back(
    host: TreeSequenceHost, clock: Clock, tmp_path: Path
) -> None:
    """The samples of before the step count as old as soon as one of after it is too old."""
    file = tmp_path / "recording"
    age_s = 2 * BLOCK_SAMPLES
    recorder = Recorder(str(file), Bounds(age_s=age_s))
    set_back_s = 0.0
    sampler = Sampler(
        host,
        kernel_sources(),
        monotonic=clock,
        unix_time=lambda: clock() - set_back_s,
        on_read=recorder.add_read,
    )
    for turn in range(8 * BLOCK_SAMPLES):
        if turn == 3 * BLOCK_SAMPLES:
            set_back_s = 86_400.0
        read_due(sampler)
        recorder.write(sampler.snapshot())
        clock.now_s += 1
    recorder.close()
    with recording_at(file) as recording:
        assert age_s <= len(recording) <= age_s + BLOCK_SAMPLES + 1


def test_a_recording_is_readable_while_it_is_written(host: TreeSequenceHost, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file))
    sampler = Sampler(host, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    for count in range(1, 6):
        read_due(sampler)
        recorder.write(sampler.snapshot())
        clock.now_s += 1
        with recording_at(file) as recording:
            assert len(recording) == count
            assert recording.sample(count - 1).damage is None
    recorder.close()
