"""What a live sampler does beside reading: sources that are late or fail, a start in the middle, large files."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import MemoryHost
from samples import TreeSequenceHost, phase_trees, recording_at

from tcptop.hosts.host import Identity
from tcptop.recording.recorder import Bounds, Recorder
from tcptop.recording.sample_record import BLOCK_SAMPLES
from tcptop.sampling.sampler import Sampler, kernel_sources, read_due
from tcptop.snapshot import Snapshot

LIVE = Identity(live=True, page_size_bytes=4096, place=None, net_namespace="/host/proc/1/net", proc_folder=None)


class Clock:
    """A clock that a test turns."""

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


def assert_replayed(file: Path, shown: list[Snapshot]) -> None:
    with recording_at(file) as recording:
        for index in reversed(range(len(shown))):
            assert recording.damage(index) is None
            assert recording.snapshot(index) == shown[index]


def test_sources_that_are_late_or_fail(host: TreeSequenceHost, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file))
    sampler = Sampler(host, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    slabinfo, meminfo = (
        next(source for source in kernel_sources() if source.name == name) for name in ("slabinfo", "meminfo")
    )
    shown: list[Snapshot] = []
    for turn in range(2 * BLOCK_SAMPLES):
        if turn % 7 in (2, 3, 4) or turn == BLOCK_SAMPLES:
            sampler.mark_late(slabinfo, turn + 0.5)
        else:
            read_due(sampler)
        if turn % 11 == 5:
            sampler.mark_failed(meminfo, RuntimeError("strange \x1b[2J"))
        shown.append(sampler.snapshot())
        recorder.write(shown[-1])
        host.turn += 1
        clock.now_s += 1
    recorder.close()
    assert {each.slabinfo.state for each in shown} == {"ok", "late"}
    assert {each.meminfo.state for each in shown} >= {"ok", "failed"}
    assert_replayed(file, shown)


def test_a_recording_that_begins_in_the_middle(host: TreeSequenceHost, clock: Clock, tmp_path: Path) -> None:
    """As the key of a screen would begin it: what was read before is read again, so that it is kept."""
    file = tmp_path / "recording"
    sampler = Sampler(host, kernel_sources(), monotonic=clock, unix_time=clock)
    for _ in range(3):
        read_due(sampler)
        clock.now_s += 1
    recorder = Recorder(str(file))
    sampler.set_on_read(recorder.add_read)
    shown: list[Snapshot] = []
    for _ in range(5):
        read_due(sampler)
        shown.append(sampler.snapshot())
        recorder.write(shown[-1])
        host.turn += 1
        clock.now_s += 1
    sampler.set_on_read(None)
    read_due(sampler)
    recorder.close()
    with recording_at(file) as recording:
        # The reading before the first was not kept, so the first makes no rate.
        assert recording.snapshot(0).slabinfo.value == shown[0].slabinfo.value
        assert recording.snapshot(0).sysctls.value == shown[0].sysctls.value
        assert [recording.snapshot(index) for index in range(1, 5)] == shown[1:]


@pytest.fixture
def with_btf() -> MemoryHost:
    """A kernel whose BTF is as large as a real one's, and looked for since slabinfo is refused."""
    return MemoryHost(
        files={
            "sys/kernel/btf/vmlinux": random.Random(1).randbytes(1_500_000),
            "proc/slabinfo": PermissionError(13, "Permission denied"),
            "proc/net/sockstat": b"TCP: inuse 5 orphan 0 tw 2 alloc 7 mem 3\n",
            "proc/sys/kernel/osrelease": b"6.12.1\n",
        },
        identity=LIVE,
    )


def test_a_large_file_is_kept_once(with_btf: MemoryHost, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file), Bounds(size_bytes=2_500_000))
    sampler = Sampler(with_btf, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    shown: list[Snapshot] = []
    for _ in range(4 * BLOCK_SAMPLES):
        read_due(sampler)
        shown.append(sampler.snapshot())
        recorder.write(shown[-1])
        clock.now_s += 1
    recorder.close()
    assert shown[-1].btf.state == "strange"
    assert file.stat().st_size < 1_700_000
    assert_replayed(file, shown)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE content SET data = substr(data, 1, 1000000)")
    connection.close()
    with recording_at(file) as recording:
        assert "btf" in (recording.damage(9) or "")
        assert recording.snapshot(9).btf.state == "failed"
        assert recording.snapshot(9).sockstat == shown[9].sockstat


def test_a_large_file_goes_with_the_last_block_that_needs_it(
    with_btf: MemoryHost, clock: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file), Bounds(age_s=BLOCK_SAMPLES))
    files = dict(with_btf.files)
    sampler = Sampler(with_btf, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    for turn in range(4 * BLOCK_SAMPLES):
        if turn == 20:  # as after an update of the kernel
            with_btf.files = files | {"sys/kernel/btf/vmlinux": random.Random(2).randbytes(1_400_000)}
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
        assert recording.damage(0) is None
        assert recording.snapshot(0).btf.state == "strange"


def test_it_is_read_while_it_is_written(host: TreeSequenceHost, clock: Clock, tmp_path: Path) -> None:
    file = tmp_path / "recording"
    recorder = Recorder(str(file))
    sampler = Sampler(host, kernel_sources(), monotonic=clock, unix_time=clock, on_read=recorder.add_read)
    for count in range(1, 6):
        read_due(sampler)
        recorder.write(sampler.snapshot())
        clock.now_s += 1
        with recording_at(file) as recording:
            assert len(recording) == count
            assert recording.damage(count - 1) is None
    recorder.close()
