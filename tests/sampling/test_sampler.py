"""Sampler: the sources that are read, the times of the reads, the stored readings, and rates between two readings."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tcptop.hosts.host import FileRead, FolderRead, Identity
from tcptop.hosts.run_sync import run_sync
from tcptop.rates import elapsed_s, per_second, rate
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Reading, Slabinfo, SlabRow, Sockstat

HEAD = "slabinfo - version: 2.1\n# name <active_objs> …\n"


def slabinfo(active: int) -> bytes:
    row = f"TCP {active} 16016 2304 14 8 : tunables 0 0 0 : slabdata 1144 1144 0\n"
    last = "kmem_cache 128 128 256 16 1 : tunables 0 0 0 : slabdata 8 8 0\n"
    return (HEAD + row + last).encode()


def sockstat(alloc: int) -> bytes:
    return f"sockets: used 9\nTCP: inuse 1 orphan 0 tw 0 alloc {alloc} mem 0\n".encode()


LIVE = Identity(live=True, page_size_bytes=4096, place=None, net_namespace=None, proc_folder=None)


@dataclass
class TimedHost:
    """An in-memory host with its own clock, which each read advances by the cost that the test sets."""

    files: dict[str, bytes | OSError] = field(default_factory=dict)
    costs_us: dict[str, int] = field(default_factory=dict)
    clock_s: float = 1000.0
    identity: Identity = LIVE
    reads: list[tuple[float, str, int]] = field(default_factory=list)
    """The start time in s, the path and the cost in us of each read."""

    def monotonic(self) -> float:
        return self.clock_s

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        return [self._read(path) for path in paths]

    async def list_folder(self, path: str) -> FolderRead:
        took_us = self._spend(path)
        return FolderRead(path, None, FileNotFoundError(errno.ENOENT, "No such file"), took_us)

    def close(self) -> None:
        pass

    def read_times_s(self, path: str) -> list[float]:
        return [at_s for at_s, read_path, _ in self.reads if read_path == path]

    def _spend(self, path: str) -> int:
        took_us = self.costs_us.get(path, 5)
        self.reads.append((self.clock_s, path, took_us))
        self.clock_s += took_us / 1e6
        return took_us

    def _read(self, path: str) -> FileRead:
        took_us = self._spend(path)
        found = self.files.get(path, FileNotFoundError(errno.ENOENT, "No such file"))
        if isinstance(found, OSError):
            return FileRead(path, None, found, took_us)
        return FileRead(path, found, None, took_us)


def machine(**costs_us: int) -> TimedHost:
    """A host with the usual files; `costs_us` maps file names to read costs."""
    host = TimedHost(
        files={
            "proc/slabinfo": slabinfo(100),
            "proc/net/sockstat": sockstat(100),
            "proc/net/sockstat6": b"TCP6: inuse 0\n",
            "proc/buddyinfo": b"Node 0, zone   Normal 1 2 3 4 5 6 7 8 9 10 11\n",
            "proc/zoneinfo": b"Node 0, zone   Normal\n  pages free 100\n        min 1\n        low 2\n        high 3\n",
            "proc/pagetypeinfo": b"Page block order: 9\nPages per block:  512\n\n"
            b"Free pages count per migrate type at order  0  1  2\n"
            b"Node 0, zone Normal, type Unmovable 1 2 3\n",
            "proc/meminfo": b"MemTotal: 1024 kB\nMemAvailable: 512 kB\nSlab: 10 kB\n",
            "proc/sys/kernel/osrelease": b"6.1.0-56-amd64\n",
            "proc/sys/kernel/hostname": b"web-17\n",
        }
    )
    for name, cost_us in costs_us.items():
        path = "proc/net/sockstat" if name == "sockstat" else f"proc/{name}"
        assert path in host.files
        host.costs_us[path] = cost_us
    return host


def sampler_on(host: TimedHost, interval_s: float = 1.0) -> Sampler:
    return Sampler(host, kernel_sources(), interval_s, monotonic=host.monotonic, unix_time=lambda: 0.0)


def run_sampler(host: TimedHost, sampler: Sampler, seconds: float) -> None:
    """Reads the due sources once an interval."""
    start_s = host.clock_s
    for number in range(int(seconds / sampler.interval_s)):
        host.clock_s = max(host.clock_s, start_s + number * sampler.interval_s)
        read_due(sampler)


# Schedule


def test_the_first_sample_reads_every_source() -> None:
    host = machine()
    sampler = sampler_on(host)
    read_due(sampler)
    snapshot = sampler.snapshot()
    for path in host.files:
        assert host.read_times_s(path), path
    for name in ("slabinfo", "sockstat", "buddyinfo", "zoneinfo", "pagetypeinfo", "meminfo", "sysctls"):
        assert getattr(snapshot, name).state == "ok", name


def test_each_source_keeps_its_own_pace() -> None:
    host = machine()
    run_sampler(host, sampler_on(host), 60)
    assert len(host.read_times_s("proc/buddyinfo")) == 60
    assert len(host.read_times_s("proc/meminfo")) == 60
    assert len(host.read_times_s("proc/zoneinfo")) == 12
    assert len(host.read_times_s("proc/pagetypeinfo")) == 12
    assert len(host.read_times_s("proc/sys/kernel/osrelease")) == 1


def test_an_expensive_source_rests() -> None:
    host = machine(slabinfo=40_000)
    run_sampler(host, sampler_on(host), 300)
    times = host.read_times_s("proc/slabinfo")
    assert 30 <= len(times) <= 38  # about one in 8 s
    for before_s, after_s in itertools.pairwise(times):
        assert after_s - (before_s + 0.04) >= 200 * 0.04
    assert len(host.read_times_s("proc/buddyinfo")) >= 290, "cheap sources continue"


def test_a_read_that_stops_allocations_rests_four_times_as_long() -> None:
    """Of a large machine, pagetypeinfo takes at most 0.125 % of a CPU; a cheap one is read every five seconds."""
    host = machine(pagetypeinfo=40_000)
    run_sampler(host, sampler_on(host), 1200)
    times = host.read_times_s("proc/pagetypeinfo")
    assert 30 <= len(times) <= 38  # about one in 32 s
    for before_s, after_s in itertools.pairwise(times):
        assert after_s - (before_s + 0.04) >= 800 * 0.04
    assert len(host.read_times_s("proc/slabinfo")) >= 1150


def test_a_file_that_reads_the_same_gives_the_same_object() -> None:
    """Results are kept for as long as a value is the same object."""
    host = machine()
    sampler = sampler_on(host)
    values = []
    for active in (100, 100, 101, 100):
        host.files["proc/slabinfo"] = slabinfo(active)
        sampler.make_all_due()
        read_due(sampler)
        values.append(sampler.snapshot().slabinfo.value)
    first, again, changed, back = values
    assert first is again
    assert changed is not None
    assert changed.rows[0].active_objects == 101
    assert back == first


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
    "costs_us",
    [
        {},
        {"slabinfo": 3_000, "zoneinfo": 2_000, "pagetypeinfo": 2_500},
        {"slabinfo": 60_000, "zoneinfo": 50_000, "pagetypeinfo": 80_000},
        {"slabinfo": 300, "buddyinfo": 400, "meminfo": 450, "sockstat": 300},
    ],
    ids=["cheap", "usual", "expensive", "many small ones"],
)
@pytest.mark.parametrize("interval_s", [0.1, 1.0])
def test_all_reads_together_take_at_most_half_a_percent_of_a_cpu(costs_us: dict[str, int], interval_s: float) -> None:
    """Every read of the host counts, also sockstat beside the caches; at the start each file is read once."""
    host = machine(**costs_us)
    sampler = sampler_on(host, interval_s)
    read_due(sampler)
    start_us = sum(took_us for _, _, took_us in host.reads)
    start_s = host.clock_s
    run_sampler(host, sampler, 120 if interval_s < 1 else 900)
    spent_us = 0
    borrowed_us = 30_000 + max(host.costs_us.values(), default=0)
    for at_s, path, took_us in host.reads:
        if at_s >= start_s:
            spent_us += took_us
            budget_us = start_us + borrowed_us + 0.005 * (at_s - start_s) * 1e6
            assert spent_us <= budget_us, f"{path} after {at_s - start_s:.1f} s"


def test_cheap_sources_are_read_first() -> None:
    host = machine(slabinfo=900, buddyinfo=20, zoneinfo=400, pagetypeinfo=600)
    sampler = sampler_on(host)
    read_due(sampler)
    host.clock_s += 5.1
    before = len(host.reads)
    read_due(sampler)
    order = [path for _, path, _ in host.reads[before:] if path in host.files]
    priced = [path for path in order if path in host.costs_us]
    assert priced == ["proc/buddyinfo", "proc/zoneinfo", "proc/pagetypeinfo", "proc/slabinfo"]


def test_make_all_due_reads_resting_sources_too() -> None:
    host = machine(slabinfo=300_000, zoneinfo=100_000, pagetypeinfo=200_000)
    sampler = sampler_on(host)
    read_due(sampler)
    host.clock_s += 1
    before = len(host.reads)
    sampler.make_all_due()
    read_due(sampler)
    again = {path for _, path, _ in host.reads[before:]}
    assert set(host.files) <= again


def test_make_all_due_reads_again_each_time() -> None:
    host = machine(slabinfo=30_000)
    sampler = sampler_on(host)
    read_due(sampler)
    for times in range(2, 6):
        sampler.make_all_due()
        read_due(sampler)
        assert len(host.read_times_s("proc/slabinfo")) == times


def test_sources_rest_again_after_make_all_due() -> None:
    host = machine(slabinfo=30_000)
    sampler = sampler_on(host)
    read_due(sampler)
    host.clock_s += 1
    sampler.make_all_due()
    read_due(sampler)
    [_, read_s] = host.read_times_s("proc/slabinfo")
    run_sampler(host, sampler, 20)
    assert host.read_times_s("proc/slabinfo")[2] >= read_s + 0.03 + 200 * 0.03


def test_a_refused_source_is_retried_less_often() -> None:
    host = machine()
    host.files["proc/slabinfo"] = PermissionError(errno.EACCES, "Permission denied")
    sampler = sampler_on(host)
    run_sampler(host, sampler, 60)
    assert len(host.read_times_s("proc/slabinfo")) == 2
    assert sampler.snapshot().slabinfo.state == "refused"
    host.files["proc/slabinfo"] = slabinfo(100)
    run_sampler(host, sampler, 60)
    assert sampler.snapshot().slabinfo.state == "ok"


def test_a_disabled_source_is_not_read() -> None:
    host = machine()
    sampler = sampler_on(host)
    sampler.set_enabled("pagetypeinfo", enabled=False)
    run_sampler(host, sampler, 20)
    assert host.read_times_s("proc/pagetypeinfo") == []
    sampler.set_enabled("pagetypeinfo", enabled=True)
    run_sampler(host, sampler, 20)
    assert host.read_times_s("proc/pagetypeinfo")


@pytest.mark.parametrize("release", [b"4.19.0-27-amd64\n", b"3.10.0-1160.el7.x86_64\n", b"5.3.18\n", b""])
def test_pagetypeinfo_is_off_until_asked_for_on_kernels_where_its_walk_is_unbounded(release: bytes) -> None:
    host = machine()
    host.files["proc/sys/kernel/osrelease"] = release
    sampler = sampler_on(host)
    run_sampler(host, sampler, 20)
    assert host.read_times_s("proc/pagetypeinfo") == []
    reading = sampler.snapshot().pagetypeinfo
    assert reading.state == "off"
    assert reading.reason is not None
    assert "/proc/pagetypeinfo" in reading.reason
    sampler.ask_for("pagetypeinfo")
    read_due(sampler)
    assert sampler.snapshot().pagetypeinfo.state == "ok"


def test_pagetypeinfo_of_a_saved_tree_is_read_on_any_kernel() -> None:
    host = machine()
    host.identity = host.identity._replace(live=False)
    host.files["proc/sys/kernel/osrelease"] = b"4.19.0\n"
    sampler = sampler_on(host)
    read_due(sampler)
    assert sampler.snapshot().pagetypeinfo.state == "ok"


BTF = "sys/kernel/btf/vmlinux"


def test_btf_is_off_while_no_figure_needs_it() -> None:
    host = machine()
    sampler = sampler_on(host)
    run_sampler(host, sampler, 20)
    assert host.read_times_s(BTF) == []
    reading = sampler.snapshot().btf
    assert reading.state == "off"
    assert reading.reason is not None


def test_btf_is_read_once_if_slabinfo_is_refused() -> None:
    host = machine()
    host.files["proc/slabinfo"] = PermissionError(errno.EACCES, "Permission denied")
    run_sampler(host, sampler_on(host), 600)
    assert len(host.read_times_s(BTF)) == 1


@pytest.mark.parametrize(("modules", "times"), [(b"capability,apparmor,bpf", 1), (b"capability,landlock,bpf", 0)])
def test_btf_is_read_if_a_security_module_allocates_a_blob_for_each_socket(modules: bytes, times: int) -> None:
    host = machine()
    host.files["sys/kernel/security/lsm"] = modules
    run_sampler(host, sampler_on(host), 60)
    assert len(host.read_times_s(BTF)) == times


def test_btf_is_read_when_asked_for() -> None:
    host = machine()
    sampler = sampler_on(host)
    read_due(sampler)
    sampler.ask_for("btf")
    assert sampler.snapshot().btf.state == "waiting"
    read_due(sampler)
    assert len(host.read_times_s(BTF)) == 1
    assert sampler.snapshot().btf.state == "missing"


# Stored readings


def test_a_reading_keeps_only_the_one_before() -> None:
    host = machine()
    sampler = sampler_on(host)
    for active in (10, 20, 30, 40):
        host.files["proc/slabinfo"] = slabinfo(active)
        read_due(sampler)
        host.clock_s += 1
    reading = sampler.snapshot().slabinfo
    assert reading.value is not None
    assert reading.value.rows[0].active_objects == 40
    assert reading.before is not None
    assert reading.before.value is not None
    assert reading.before.value.rows[0].active_objects == 30
    assert reading.before.before is None
    assert reading.taken_at_s is not None
    assert reading.before.taken_at_s is not None
    assert reading.taken_at_s - reading.before.taken_at_s == pytest.approx(1.0, abs=0.01)


def test_a_failure_between_two_readings_makes_no_rate() -> None:
    host = machine()
    sampler = sampler_on(host)
    read_due(sampler)
    host.clock_s += 1
    host.files["proc/slabinfo"] = PermissionError(errno.EACCES, "Permission denied")
    read_due(sampler)
    assert sampler.snapshot().slabinfo.value is None
    host.clock_s += 60
    host.files["proc/slabinfo"] = slabinfo(50)
    read_due(sampler)
    reading = sampler.snapshot().slabinfo
    assert reading.state == "ok"
    assert rate(reading, lambda value: value.rows[0].active_objects) is None


def test_a_saved_tree_has_no_reading_before_and_no_period() -> None:
    host = machine()
    host.identity = host.identity._replace(live=False)
    sampler = sampler_on(host)
    read_due(sampler)
    host.clock_s += 100
    read_due(sampler)
    snapshot = sampler.snapshot()
    assert snapshot.slabinfo.before is None
    assert snapshot.slabinfo.every_s is None
    assert snapshot.taken_at_unix_s is None


def test_slabinfo_keeps_the_sockstat_that_was_read_beside_it() -> None:
    host = machine()
    sampler = sampler_on(host)
    read_due(sampler)
    reading = sampler.snapshot().slabinfo
    assert reading.sockstat is not None
    assert reading.sockstat.allocated == 100
    host.clock_s += 1
    host.files["proc/net/sockstat"] = sockstat(500)
    source = next(source for source in sampler.due() if source.name == "sockstat")
    run_sync(sampler.read(source))
    snapshot = sampler.snapshot()
    assert snapshot.sockstat.value is not None
    assert snapshot.sockstat.value.allocated == 500
    assert snapshot.slabinfo.sockstat is not None
    assert snapshot.slabinfo.sockstat.allocated == 100


def test_a_late_source_keeps_its_value() -> None:
    host = machine()
    sampler = sampler_on(host)
    read_due(sampler)
    source = next(source for source in kernel_sources() if source.name == "slabinfo")
    before = sampler.snapshot().slabinfo
    sampler.mark_late(source, 3.0)
    reading = sampler.snapshot().slabinfo
    assert reading.state == "late"
    assert reading.value == before.value
    assert reading.taken_at_s == before.taken_at_s
    assert reading.reason is not None
    assert "slabinfo" in reading.reason


def test_a_source_that_never_answered_is_late_without_a_value() -> None:
    sampler = sampler_on(machine())
    source = next(source for source in kernel_sources() if source.name == "slabinfo")
    sampler.mark_late(source, 3.0)
    assert sampler.snapshot().slabinfo.state == "late"
    assert sampler.snapshot().slabinfo.value is None


def test_before_the_first_read_every_source_is_waiting() -> None:
    snapshot = sampler_on(machine()).snapshot()
    for name in ("slabinfo", "sockstat", "zoneinfo"):
        assert getattr(snapshot, name).state == "waiting"
        assert getattr(snapshot, name).value is None


def test_reading_shows_the_effective_period() -> None:
    host = machine(slabinfo=40_000)
    sampler = sampler_on(host, 2.0)
    read_due(sampler)
    snapshot = sampler.snapshot()
    assert snapshot.slabinfo.every_s == pytest.approx(8.0)
    assert snapshot.slabinfo.read_us == 40_000
    assert snapshot.zoneinfo.every_s == 5.0
    assert snapshot.buddyinfo.every_s == 2.0


# Rates


def reading(value: Sockstat | None, at_s: float | None, before: Reading[Any] | None = None) -> Reading[Any]:
    return Reading("ok", value, None, at_s, 10, 1.0, before, None)


def counts(allocated: int | None) -> Sockstat:
    return Sockstat(1, 0, 0, allocated, 0)


def allocated_of(value: Sockstat) -> int | None:
    return value.allocated


def test_a_rate_is_between_the_last_two_readings() -> None:
    assert rate(reading(counts(340), 12.0, reading(counts(100), 10.0)), allocated_of) == 120.0


def test_a_falling_figure_has_a_negative_rate() -> None:
    assert rate(reading(counts(0), 12.0, reading(counts(100), 10.0)), allocated_of) == -50.0


@pytest.mark.parametrize(
    "latest",
    [
        reading(counts(5), 10.0),
        reading(counts(5), 10.0, reading(counts(1), 10.0)),
        reading(counts(5), 10.0, reading(counts(1), 11.0)),
        reading(counts(5), 10.0, reading(counts(None), 9.0)),
        reading(counts(None), 10.0, reading(counts(1), 9.0)),
        reading(counts(5), 10.0, reading(None, 9.0)),
        reading(None, 10.0, reading(counts(1), 9.0)),
        reading(counts(5), None, reading(counts(1), 9.0)),
        reading(counts(5), 10.0, reading(counts(1), None)),
    ],
    ids=[
        "no reading before",
        "no time passed",
        "time ran backwards",
        "unknown before",
        "unknown now",
        "nothing before",
        "nothing now",
        "time unknown now",
        "time unknown before",
    ],
)
def test_no_rate(latest: Reading[Any]) -> None:
    assert rate(latest, allocated_of) is None


def test_an_unchanged_figure_has_a_rate_of_0() -> None:
    assert rate(reading(counts(5), 11.0, reading(counts(5), 10.0)), allocated_of) == 0.0


def test_elapsed_and_per_second() -> None:
    assert elapsed_s(reading(counts(5), 10.5, reading(counts(1), 10.0))) == 0.5
    assert elapsed_s(reading(counts(5), 10.5)) == 0.0
    assert per_second(1, 0.0, 2) is None
    assert per_second(1, -1.0, 2) is None
    assert per_second(None, 1.0, 2) is None
    assert per_second(1, 1.0, None) is None
    assert per_second(1.0, 0.5, 2.0) == 2.0


def test_a_rate_stays_until_the_next_reading_of_its_source() -> None:
    host = machine()
    sampler = sampler_on(host)

    def active(value: Slabinfo) -> int:
        row: SlabRow = value.rows[0]
        return row.active_objects

    read_due(sampler)
    host.clock_s = 1002.0
    host.files["proc/slabinfo"] = slabinfo(340)
    read_due(sampler)
    first = rate(sampler.snapshot().slabinfo, active)
    assert first == pytest.approx(120, rel=0.01)
    host.clock_s = 1002.4
    host.files["proc/slabinfo"] = slabinfo(9_000)
    assert rate(sampler.snapshot().slabinfo, active) == first
