"""The machine as a whole, from psutil: available memory and CPU time. For the screen only: importing psutil costs."""

from __future__ import annotations

import time

import psutil

from tcptop.hosts.host import Host
from tcptop.printable import printable
from tcptop.snapshot import MachineLoad, Reading
from tcptop.sources.source import Source, reading


class MachineLoadSource(Source[MachineLoad]):
    """Every interval, on live hosts: two small files without a lock."""

    name = "machine_load"

    async def read(self, host: Host) -> Reading[MachineLoad]:
        """Asks psutil, which reads the host's own procfs."""
        proc = host.identity.proc_folder
        if proc is None:
            return Reading("off", None, "a saved tree has no load", None, None, None, None, None)
        try:
            load, took_us = await host.ask(lambda: _timed(proc))
        except Exception as error:  # psutil raises whatever a malformed meminfo or stat makes it raise
            reason = f"psutil could not read {proc}: {printable(str(error))}"
            return Reading("failed", None, reason, None, None, None, None, None)
        return reading(load, None, "proc/meminfo", took_us)


def _timed(proc_folder: str) -> tuple[MachineLoad, int]:
    started_ns = time.perf_counter_ns()
    load = machine_load(proc_folder)
    return load, (time.perf_counter_ns() - started_ns) // 1000


def machine_load(proc_folder: str) -> MachineLoad:
    """Reads below `proc_folder`; the busy share is that since the call before, and means nothing at the first."""
    psutil.PROCFS_PATH = proc_folder
    memory = psutil.virtual_memory()
    return MachineLoad(memory.total, memory.available, psutil.cpu_percent(interval=None))
