"""The load of the CPUs, from two reads of /proc/stat."""

from __future__ import annotations

from pathlib import Path

import pytest

from tcptop.hosts.host import Identity
from tcptop.hosts.run_sync import run_sync
from tcptop.sources.machine_load import MachineLoadSource


class ProcHost:
    """A host whose procfs is a folder of the test."""

    def __init__(self, proc: Path) -> None:
        self.identity = Identity(live=True, page_size_bytes=4096, place=None, net_namespace=None, proc_folder=str(proc))


def test_the_time_of_guests_counts_once(tmp_path: Path) -> None:
    """The kernel counts the time of guests in user, too (proc(5)): half of the time was idle."""
    names = ("MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "Active", "Inactive", "Shmem", "Slab")
    (tmp_path / "meminfo").write_text("".join(f"{name}: 512 kB\n" for name in names))
    source, host = MachineLoadSource(), ProcHost(tmp_path)
    loads = []
    for ticks in (1_000, 2_000):
        (tmp_path / "stat").write_text(f"cpu  {ticks} 0 0 {ticks} 0 0 0 0 {ticks} 0\n")
        loads.append(run_sync(source.read(host)).value)  # type: ignore[arg-type] # it reads no file of the host
    assert loads[0] is not None
    assert loads[1] is not None
    assert loads[0].cpu_busy_percent is None
    assert loads[1].cpu_busy_percent == pytest.approx(50)
