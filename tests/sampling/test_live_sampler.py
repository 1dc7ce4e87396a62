"""LiveSampler: one batch of reads for each sample; a source that hangs, is slow or raises affects no other source."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, Identity
from tcptop.sampling.live_sampler import LiveSampler
from tcptop.sampling.reader_thread import STUCK_S
from tcptop.sampling.sampler import Sampler, SourceRead, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import READING_NAMES, Snapshot

TREE = Path(__file__).parents[1] / "recordings/6.1-4n/established"
GUARD_S = 60.0
"""Timeout that ends a failed test."""


class TroubledHost:
    """A live host on a recorded tree, on which the reads of some paths hang, take long, or raise."""

    identity = Identity(live=True, page_size_bytes=4096, place=None, net_namespace=None, proc_folder=None)

    def __init__(self) -> None:
        self.tree = FolderHost(str(TREE))
        self.hanging: set[str] = set()
        self.slow: set[str] = set()
        self.raising: set[str] = set()
        self.release = threading.Event()
        self.threads: set[int] = set()

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        self.threads.add(threading.get_ident())
        if self.hanging.intersection(paths):
            assert self.release.wait(60), "never released"
        if self.slow.intersection(paths):
            time.sleep(1.5 * STUCK_S)
        if self.raising.intersection(paths):
            raise ZeroDivisionError("by nothing")
        # The cost of a read decides when the source is read again, so it must not depend on this machine.
        return [file._replace(took_us=1) for file in await self.tree.read(paths)]

    async def list_folder(self, path: str) -> FolderRead:
        return (await self.tree.list_folder(path))._replace(took_us=1)

    def close(self) -> None:
        self.tree.close()


@pytest.fixture
def host() -> Iterator[TroubledHost]:
    host = TroubledHost()
    yield host
    host.release.set()
    host.close()


def states(snapshot: Snapshot) -> dict[str, str]:
    """The state of each source's reading."""
    return {name: getattr(snapshot, name).state for name in READING_NAMES}


def expected_states(host: TroubledHost) -> dict[str, str]:
    """The states of a host without trouble, read without an event loop."""
    sampler = Sampler(host, kernel_sources())
    read_due(sampler)
    return states(sampler.snapshot())


async def wait_for_states(
    live: LiveSampler, snapshots: AsyncIterator[Snapshot], is_wanted: Callable[[dict[str, str]], bool]
) -> Snapshot:
    """The first sample with the given states; every source is read for each sample before."""
    seen: dict[str, str] = {}
    deadline_s = time.monotonic() + GUARD_S
    while time.monotonic() < deadline_s:
        snapshot = await asyncio.wait_for(anext(snapshots), GUARD_S)
        seen = states(snapshot)
        if is_wanted(seen):
            return snapshot
        live.sample_now()
        # A sample without a due source waits for nothing, so without a pause the reading threads would not get the CPU.
        await asyncio.sleep(0.01)
    raise AssertionError(f"never; last {seen}")


async def test_the_first_sample_has_all_sources_read_in_one_other_thread(host: TroubledHost) -> None:
    expected = expected_states(host)
    assert list(expected.values()).count("ok") > 10
    host.threads.clear()
    snapshot = await anext(LiveSampler(Sampler(host, kernel_sources())).snapshots())
    assert states(snapshot) == expected
    assert len(host.threads) == 1
    assert host.threads != {threading.get_ident()}


HANGS = [
    {"topology": "sys/devices/system/cpu/online"},
    {"meminfo": "proc/meminfo"},
    {"zoneinfo": "proc/zoneinfo"},
    {"meminfo": "proc/meminfo", "slabinfo": "proc/slabinfo"},
    {"protocols": "proc/net/protocols", "snmp": "proc/net/snmp", "zoneinfo": "proc/zoneinfo"},
]


@pytest.mark.parametrize("hanging", HANGS, ids=" ".join)
async def test_sources_that_hang_are_late_until_they_return(host: TroubledHost, hanging: dict[str, str]) -> None:
    expected = expected_states(host)
    live = LiveSampler(Sampler(host, kernel_sources(), 0.01))
    snapshots = live.snapshots()
    host.hanging = set(hanging.values())
    late = {**expected, **dict.fromkeys(hanging, "late")}
    snapshot = await wait_for_states(live, snapshots, lambda states: states == late)
    for name in hanging:
        assert "has not answered" in getattr(snapshot, name).reason
    host.hanging = set()
    host.release.set()
    snapshot = await wait_for_states(live, snapshots, lambda states: states == expected)
    assert all(getattr(snapshot, name).value is not None for name in hanging)


@pytest.mark.parametrize("paused", [False, True])
async def test_a_late_value_does_not_wait_for_the_next_sample(host: TroubledHost, paused: bool) -> None:
    """On a busy machine the first reads take longer than a sample waits; the next sample may be a minute later."""
    expected = expected_states(host)
    live = LiveSampler(Sampler(host, kernel_sources(), 3600.0))
    snapshots = live.snapshots()
    host.hanging = {"proc/slabinfo"}
    assert states(await anext(snapshots))["slabinfo"] == "late"
    live.pause(paused)
    host.hanging = set()
    host.release.set()
    # The interval is an hour, so only a late value makes a sample.
    while states(await asyncio.wait_for(anext(snapshots), GUARD_S)) != expected:
        pass


async def test_a_source_that_hangs_keeps_its_value(host: TroubledHost) -> None:
    expected = expected_states(host)
    live = LiveSampler(Sampler(host, kernel_sources(), 0.01))
    snapshots = live.snapshots()
    before = await wait_for_states(live, snapshots, lambda states: states == expected)
    host.hanging = {"proc/buddyinfo"}
    live.sample_now()
    late = await wait_for_states(live, snapshots, lambda states: states["buddyinfo"] == "late")
    assert late.buddyinfo.value == before.buddyinfo.value
    assert late.buddyinfo.taken_at_s == before.buddyinfo.taken_at_s


async def test_a_slow_source_delays_no_other_and_its_value_is_not_lost(host: TroubledHost) -> None:
    expected = expected_states(host)
    host.slow = {"proc/net/snmp"}
    live = LiveSampler(Sampler(host, kernel_sources(), 0.01))
    snapshots = live.snapshots()
    others = {name: state for name, state in expected.items() if name != "snmp"}
    await wait_for_states(live, snapshots, lambda states: others.items() <= states.items())
    host.slow = set()
    snapshot = await wait_for_states(live, snapshots, lambda states: states == expected)
    assert snapshot.snmp.value is not None


async def test_a_source_that_raises_is_failed_and_the_others_are_read(host: TroubledHost) -> None:
    expected = expected_states(host)
    host.raising = {"proc/meminfo", "proc/buddyinfo"}
    live = LiveSampler(Sampler(host, kernel_sources(), 0.01))
    snapshot = await anext(live.snapshots())
    assert states(snapshot) == {**expected, "meminfo": "failed", "buddyinfo": "failed"}
    assert snapshot.meminfo.reason == "meminfo: ZeroDivisionError: by nothing; please report it"


async def test_a_recording_that_begins_while_a_source_hangs_has_that_source(host: TroubledHost) -> None:
    """The read of the source began without keeping the host's answers, so the source is read once more."""
    live = LiveSampler(Sampler(host, kernel_sources(), 0.01))
    snapshots = live.snapshots()
    host.hanging = {"proc/sys/kernel/osrelease"}
    await wait_for_states(live, snapshots, lambda states: states["sysctls"] == "late")
    reads: list[SourceRead] = []
    live.sampler.set_on_read(reads.append)
    host.release.set()
    await wait_for_states(live, snapshots, lambda _: any(read.source == "sysctls" for read in reads))
    [read, *_] = [read for read in reads if read.source == "sysctls"]
    assert "proc/sys/kernel/osrelease" in {answer.path for answer in read.answers}
