"""A burst of connections after slabinfo was read: TCP's memory is an estimate whose bounds hold the truth.

The truth is the same recording with slabinfo read beside the sockets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from recorded import RECORDINGS, copy_recording, ledger, snapshot, tree
from samples import TreeSequenceHost

from tcptop.accounting import account
from tcptop.accounting.host_row import RowAccount
from tcptop.cli import main
from tcptop.hosts.host import FileRead
from tcptop.recording.recorder import Recorder
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Reading, Snapshot, Sockstat

AGE_S = 3.0
READ_S = 100.0
KERNEL = "6.1-4n"
OUTDATED = "slabinfo is 3 s older than the sockets"
RECORDED = "slabinfo is 1 s older than the sockets"
DOWNWARD = (("established", "base"), ("timewait", "base"), ("established", "timewait"))
STEPS = [(kernel, *step) for kernel, phases in RECORDINGS.items() for step in pairwise(phases)]
DOWN = [(kernel, *step) for kernel, phases in RECORDINGS.items() for step in DOWNWARD if set(step) <= set(phases)]
each_step = pytest.mark.parametrize(("kernel", "then", "now"), [*STEPS, *DOWN])
OLD_FILES = ("slabinfo", "slab_counts")


def sockets_of(kernel: str, phase: str) -> Sockstat:
    value = snapshot(kernel, phase).sockstat.value
    assert value is not None
    return value


def live(kernel: str, phase: str, slabs_of: str) -> Snapshot:
    """A sample of a running kernel with the sockets of one phase and the slabs of another, which were read earlier."""
    present, earlier = snapshot(kernel, phase), snapshot(kernel, slabs_of)
    return with_slabs(present, earlier, sockets_of(kernel, slabs_of), AGE_S if phase != slabs_of else 0.1)


def with_slabs(present: Snapshot, earlier: Snapshot, beside: Sockstat, age_s: float) -> Snapshot:
    at_s = READ_S + age_s
    old: dict[str, Reading[Any]] = {
        name: getattr(earlier, name)._replace(taken_at_s=READ_S, sockstat=beside, before=None) for name in OLD_FILES
    }
    fresh = {
        name: reading._replace(taken_at_s=at_s, before=None)
        for name in present._fields
        if isinstance(reading := getattr(present, name), Reading) and name not in OLD_FILES
    }
    changes: dict[str, Any] = {**fresh, **old, "taken_at_unix_s": 1_000_000.0 + at_s, "monotonic_s": at_s}
    return present._replace(live=True, **changes)


def burst(allocated: int | None = None, time_wait: int | None = None, age_s: float = AGE_S) -> Snapshot:
    """The established recording, after which the numbers of sockets changed to these."""
    present = snapshot(KERNEL, "established")
    beside = sockets_of(KERNEL, "established")
    later = beside._replace(
        allocated=beside.allocated if allocated is None else allocated,
        time_wait=beside.time_wait if time_wait is None else time_wait,
    )
    return with_slabs(present._replace(sockstat=present.sockstat._replace(value=later)), present, beside, age_s)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as raised:
        main(list(arguments))
    assert not raised.value.code
    return capsys.readouterr().out


class SlowSlabinfoHost(TreeSequenceHost):
    """A host on which slabinfo takes so long that it is read only once."""

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        files = await super().read(paths)
        return [file._replace(took_us=300_000) if file.path.endswith("slabinfo") else file for file in files]


def write(path: Path, *roots: Path) -> str:
    """Records one sample of each tree, one a second, with the slabinfo of the first tree."""
    host, clock_s = SlowSlabinfoHost(roots), READ_S
    recorder = Recorder(str(path))
    try:
        sampler = Sampler(
            host,
            kernel_sources(),
            monotonic=lambda: clock_s,
            unix_time=lambda: 1_000_000.0 + clock_s,
            on_read=recorder.add_read,
        )
        for _ in roots:
            read_due(sampler)
            recorder.write(sampler.snapshot())
            host.turn += 1
            clock_s += 1.0
    finally:
        recorder.close()
        host.close()
    return str(path)


def time_wait_tree(folder: Path, time_wait: int) -> Path:
    """The established recording with so many TIME_WAIT sockets in sockstat."""
    root = copy_recording(KERNEL, "established", folder)
    sockstat = root / "proc/net/sockstat"
    text, number = re.subn(r"(?m)^(TCP: .* tw) \d+", rf"\g<1> {time_wait}", sockstat.read_text())
    assert number == 1
    sockstat.write_text(text)
    return root


def is_fast(kernel: str, then: str, now: str) -> bool:
    one, other = sockets_of(kernel, then), sockets_of(kernel, now)
    pairs = ((one.allocated or 0, other.allocated or 0), (one.time_wait or 0, other.time_wait or 0))
    return any(abs(a - b) > max(100, 0.02 * max(a, b)) for a, b in pairs)


@each_step
def test_the_bounds_hold_the_truth(kernel: str, then: str, now: str) -> None:
    found, truth = account(live(kernel, now, then)), ledger(kernel, now)
    memory, real = found.tcp_memory, truth.tcp_memory
    if not is_fast(kernel, then, now):
        assert memory.outdated_because is None
        return
    assert memory.outdated_because == OUTDATED
    assert not memory.is_complete
    assert memory.bytes == sum(part.bytes for part in memory.parts)
    for part in memory.parts:
        assert part.low_bytes <= part.bytes <= part.high_bytes, part.name
    assert memory.low_bytes is not None
    assert memory.high_bytes is not None
    assert real.bytes is not None
    assert memory.low_bytes <= real.bytes <= memory.high_bytes
    idle, real_idle = found.slab_memory.idle_bounds, truth.slab_memory.idle_bounds
    assert idle is not None
    assert real_idle is not None
    assert idle.low <= real_idle.high
    assert real_idle.low <= idle.high
    bound = found.sockets.time_wait_machine_max
    assert bound is not None
    assert bound >= (found.sockets.time_wait or 0)
    assert found.slab_memory.unexplained_bytes is None


@each_step
def test_a_row_of_a_machine_has_the_same_memory(kernel: str, then: str, now: str) -> None:
    rows = RowAccount()
    rows.row(live(kernel, then, then))
    sample = live(kernel, now, then)
    assert rows.row(sample).tcp_memory == account(sample).tcp_memory
    assert rows.row(sample).tcp_memory.outdated_because == (OUTDATED if is_fast(kernel, then, now) else None)


def test_the_reports_of_a_burst_say_that_slabinfo_is_older(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "burst.tcptop", tree(KERNEL, "base"), tree(KERNEL, "established"))
    truth = ledger(KERNEL, "established").tcp_memory.bytes
    assert truth is not None
    report = json.loads(run(capsys, "--json", "-r", path).splitlines()[-1])
    memory = report["tcp_memory"]
    assert (memory["complete"], memory["missing"], memory["outdated_because"]) == (False, [], RECORDED)
    assert memory["low_bytes"] <= truth <= memory["high_bytes"]
    assert 0.8 * truth <= memory["bytes"] <= 1.2 * truth
    text = run(capsys, "-o", "-r", path)
    assert text.startswith("Memory of TCP: ~ ")
    assert f"an estimate: {RECORDED}" in text
    assert "sockets since slabinfo" in text
    assert "an average needs" not in text.split("TIME_WAIT: the mini-socket")[0]
    assert "sockets change faster than slabinfo is read" in text


def test_a_difference_has_the_present_sockets_of_a_burst(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write(tmp_path / "before.tcptop", tree(KERNEL, "base"))
    after = write(tmp_path / "after.tcptop", tree(KERNEL, "base"), tree(KERNEL, "established"))
    for names, letter in (((before, after), "B"), ((after, before), "A")):
        difference = json.loads(run(capsys, "diff", "--json", *names))
        growth, sign = difference["slab_growth"], 1 if letter == "B" else -1
        assert growth["complete"] is False
        assert f"{letter}: {RECORDED}" in growth["missing"]
        assert growth["idle_bytes"] is None
        assert growth["no_cache_bytes"] is None
        socks = next(part for part in growth["parts"] if part["part"] == "socks")
        change = difference["sockets"]["allocated"]["change"]
        assert socks["low_count"] == socks["high_count"] == change
        assert sign * difference["tcp_memory_bytes"]["change"] > 0
        text = run(capsys, "diff", *names)
        assert f"what else it is, is not known: {letter}: {RECORDED}" in text


def test_a_burst_of_time_wait_is_within_the_bound_of_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ledger(KERNEL, "established")
    active = before.sockets.time_wait_machine_max
    assert active is not None
    present = active + 5_000
    path = write(tmp_path / "burst.tcptop", tree(KERNEL, "established"), time_wait_tree(tmp_path, present))
    report = json.loads(run(capsys, "--json", "-r", path).splitlines()[-1])
    assert report["sockets"]["time_wait_machine_max"] >= report["sockets"]["time_wait"] == present
    memory, old = report["tcp_memory"], before.tcp_memory
    assert memory["complete"] is False
    assert memory["bytes"] > (old.bytes or 0)
    assert memory["high_bytes"] >= (old.high_bytes or 0) + 5_000 * 256
    difference = json.loads(run(capsys, "diff", "--json", f"{path}@+0", f"{path}@+1s"))
    mini = next(part for part in difference["slab_growth"]["parts"] if part["part"] == "mini-sockets")
    assert mini["high_count"] >= present - (before.sockets.time_wait or 0)


@pytest.mark.parametrize("change", [-100, 100])
def test_a_quiet_machine_has_the_figures_of_slabinfo(change: int) -> None:
    quiet = account(burst())
    allocated = quiet.sockets.allocated
    assert allocated is not None
    found = account(burst(allocated=allocated + change))
    assert found.tcp_memory == quiet.tcp_memory
    assert found.tcp_memory.is_complete
    assert found.slab_memory == quiet.slab_memory


def test_sockets_read_before_slabinfo_change_nothing() -> None:
    quiet = account(burst(age_s=-0.1))
    assert account(burst(allocated=1, age_s=-0.1)).tcp_memory.outdated_because is quiet.tcp_memory.outdated_because
    assert quiet.tcp_memory.outdated_because is None
