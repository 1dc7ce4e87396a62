"""Sampling of a host that is asked over a network: one request for all due sources, and a host that is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, HostLostError, Identity
from tcptop.hosts.run_sync import Ask, run_sync
from tcptop.recording.opening import open_recording
from tcptop.recording.recorder import Recorder
from tcptop.sampling.live_sampler import LiveSampler
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot
from tcptop.sources.machine_load import MachineLoadSource

TREE = Path(__file__).parents[1] / "recordings/6.1-4n/established"
GUARD_S = 60.0
LOST = "web17: ssh: Connection refused"

Request = Callable[[], "list[FileRead] | FolderRead"]


class AskedHost:
    """A remote host with the files of a recorded tree; it may be lost, or hang."""

    identity = Identity(live=True, page_size_bytes=4096, place="ssh:web17", remote_name="web17")

    def __init__(self) -> None:
        self.tree = FolderHost(str(TREE))
        self.turns: list[list[str]] = []
        self.changed: dict[str, FileRead] = {}
        self.is_lost = False
        self.released = threading.Event()
        self.released.set()

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        answer = await Ask(tuple(paths), self.answer_all)
        assert isinstance(answer, list)
        return answer

    async def list_folder(self, path: str) -> FolderRead:
        answer = await Ask((f"{path}/",), self.answer_all)
        assert isinstance(answer, FolderRead)
        return answer

    def answer_all(self, requests: Sequence[tuple[str, ...]]) -> list[list[FileRead] | FolderRead]:
        if self.is_lost:
            raise HostLostError(LOST)
        assert self.released.wait(GUARD_S)
        self.turns.append([path for request in requests for path in request])
        return [
            run_sync(self.tree.list_folder(request[0][:-1]))
            if request[0].endswith("/")
            else [self.changed.get(file.path, file)._replace(took_us=1) for file in run_sync(self.tree.read(request))]
            for request in requests
        ]

    def close(self) -> None:
        self.tree.close()


@pytest.fixture
def host() -> Iterator[AskedHost]:
    host = AskedHost()
    yield host
    host.released.set()
    host.close()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def states(snapshot: Snapshot) -> dict[str, tuple[str, str | None]]:
    readings = {source.name: getattr(snapshot, source.name) for source in kernel_sources()}
    return {name: (reading.state, reading.reason) for name, reading in readings.items()}


def test_a_sample_is_a_few_requests_and_the_same_as_read_here(host: AskedHost) -> None:
    sampler = Sampler(host, kernel_sources())
    read_due(sampler)
    assert len(host.turns) <= 6
    here = FolderHost(str(TREE))
    own = Sampler(here, kernel_sources())
    read_due(own)
    here.close()
    remote, local = sampler.snapshot(), own.snapshot()
    for name in ("slabinfo", "slab_links", "slab_counts", "topology", "sysctls", "zoneinfo", "socket_limits"):
        assert getattr(remote, name).value == getattr(local, name).value
    assert remote.slabinfo.sockstat == local.slabinfo.sockstat


def test_later_samples_are_one_request_in_which_the_sockets_are_counted(host: AskedHost) -> None:
    clock = Clock()
    sampler = Sampler(host, kernel_sources(), monotonic=clock)
    read_due(sampler)
    for _ in range(3):
        clock.now_s += 2
        host.turns.clear()
        read_due(sampler)
        assert len(host.turns) == 1
        assert {"proc/slabinfo", "proc/net/sockstat"} <= set(host.turns[0])


def test_sockets_are_counted_beside_slabinfo_also_when_they_are_not_due(host: AskedHost) -> None:
    sampler = Sampler(host, kernel_sources(), monotonic=Clock())
    [source] = [source for source in kernel_sources() if source.name == "slabinfo"]
    [fetched] = sampler.fetch_together([source])
    assert not isinstance(fetched, Exception)
    assert host.turns == [["proc/net/sockstat", "proc/slabinfo"]]
    assert fetched.reading.sockstat is not None


def test_sources_of_a_lost_host_say_why_and_all_are_read_when_it_is_back(host: AskedHost) -> None:
    clock = Clock()
    sampler = Sampler(host, kernel_sources(), monotonic=clock)
    host.changed["sys/kernel/security/lsm"] = FileRead("sys/kernel/security/lsm", b"capability", None, 1)
    read_due(sampler)
    assert states(sampler.snapshot())["btf"][0] == "off"
    host.is_lost = True
    clock.now_s += 2
    read_due(sampler)
    lost = states(sampler.snapshot())
    assert lost["slabinfo"] == lost["sockstat"] == ("failed", LOST)
    assert lost["topology"] == ("ok", None)  # not due
    host.is_lost = False
    host.turns.clear()
    clock.now_s += 2
    read_due(sampler)
    assert states(sampler.snapshot())["slabinfo"] == ("ok", None)
    asked = {path for turn in host.turns for path in turn}
    assert "sys/kernel/btf/vmlinux" not in asked  # BTF is large, and slabinfo was never unreadable
    assert "sys/devices/system/node/" in asked  # the machine may have been rebooted with another kernel


def test_no_figure_of_the_boot_before_is_kept(host: AskedHost) -> None:
    clock = Clock()
    sampler = Sampler(host, kernel_sources(), monotonic=clock)
    host.identity = host.identity._replace(boot_id="6d6c0b7c-1")
    read_due(sampler)
    before = sampler.snapshot()
    assert before.boot_id == "6d6c0b7c-1"
    assert before.topology.value is not None
    host.identity = host.identity._replace(boot_id="e0a4f7d2-2")
    assert sampler.snapshot().boot_id == "6d6c0b7c-1", "nothing of the other boot was read yet"
    clock.now_s += 2
    [sockstat] = [source for source in kernel_sources() if source.name == "sockstat"]
    [fetched] = sampler.fetch_together([sockstat])
    assert not isinstance(fetched, Exception)
    sampler.store(fetched)
    after = sampler.snapshot()
    assert after.boot_id == "e0a4f7d2-2"
    assert after.sockstat.value == before.sockstat.value
    assert after.sockstat.before is None
    assert after.topology.value is None
    assert after.slabinfo.value is None
    read_due(sampler)
    assert states(sampler.snapshot())["slabinfo"] == ("ok", None)


def test_a_recording_has_why_a_host_was_lost(host: AskedHost, tmp_path: Path) -> None:
    clock = Clock()
    recorder = Recorder(str(tmp_path / "file"))
    sampler = Sampler(host, kernel_sources(), monotonic=clock, on_read=recorder.add_read)
    read_due(sampler)
    recorder.write(sampler.snapshot())
    host.is_lost = True
    clock.now_s += 2
    read_due(sampler)
    recorder.write(sampler.snapshot())
    recorder.close()
    recording = open_recording(str(tmp_path / "file"))
    assert states(recording.snapshot(1))["slabinfo"] == ("failed", LOST)
    assert recording.snapshot(0).slabinfo.value is not None
    assert recording.snapshot(0).place == "ssh:web17"
    recording.close()


async def test_a_host_that_hangs_is_late_and_is_named(host: AskedHost) -> None:
    live = LiveSampler(Sampler(host, kernel_sources(), interval_s=0.2))
    samples = live.snapshots()
    first = await asyncio.wait_for(anext(samples), GUARD_S)
    assert first.slabinfo.state == "ok"
    host.released.clear()
    live.sample_now()
    while (snapshot := await asyncio.wait_for(anext(samples), GUARD_S)).slabinfo.state != "late":
        pass
    assert (snapshot.slabinfo.reason or "").startswith("slabinfo: web17 has not answered for ")
    assert snapshot.slabinfo.value is not None
    host.released.set()
    while (await asyncio.wait_for(anext(samples), GUARD_S)).slabinfo.state != "ok":
        pass


def test_the_load_of_a_remote_host_is_that_of_its_own_files(host: AskedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MachineLoadSource()
    times = iter(
        (b"cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1\n", b"cpu  150 0 150 750 150 0 0 0 60 0\n", b"\ncpu 1\n", b"")
    )

    def answer_all(requests: Sequence[tuple[str, ...]]) -> list[list[FileRead] | FolderRead]:
        return [[FileRead("proc/stat", next(times), None, 1)] for _ in requests]

    monkeypatch.setattr(host, "answer_all", answer_all)
    first, second, strange, empty = (run_sync(source.read(host)) for _ in range(4))
    assert first.value == (None, None)
    assert second.value == (None, 50.0)
    assert (strange.state, strange.value) == ("strange", None)
    assert (empty.state, empty.value) == ("empty", None)
