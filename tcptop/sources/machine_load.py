"""Available memory and CPU use of the machine, from psutil.

Only the screen uses psutil, because importing psutil is slow.
"""

from __future__ import annotations

import time

import psutil

from tcptop.hosts.host import Host
from tcptop.snapshot import MachineLoad, Reading
from tcptop.sources.source import Source, make_reading
from tcptop.text.printable import printable


class MachineLoadSource(Source[MachineLoad]):
    """A source that is read at every interval, but only on live hosts.

    The reads are cheap: psutil reads two small files, for which the kernel takes no lock.
    """

    name = "machine_load"
    paths = ()

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    async def read(self, host: Host) -> Reading[MachineLoad]:
        """Calls psutil on the host's procfs."""
        proc = host.identity.proc_folder
        if proc is None:
            return Reading("off", None, "a saved tree has no load", None, None, None, None, None)
        try:
            load, took_us = self._measure(proc)
        except Exception as error:  # psutil may raise any exception for a malformed meminfo or stat
            reason = f"psutil could not read {proc}: {printable(str(error))}"
            return Reading("failed", None, reason, None, None, None, None, None)
        return make_reading(load, None, "proc/meminfo", took_us)

    def _measure(self, proc_folder: str) -> tuple[MachineLoad, int]:
        started_ns = time.thread_time_ns()
        psutil.PROCFS_PATH = proc_folder
        available = psutil.virtual_memory().available
        # psutil.cpu_percent() keeps the previous times per thread, and each call here may be in another thread.
        times = psutil.cpu_times()
        total, idle = sum(times), times.idle + times.iowait
        busy = None
        if self._before is not None and total > self._before[0]:
            busy = 100 * (1 - (idle - self._before[1]) / (total - self._before[0]))
        self._before = (total, idle)
        return MachineLoad(available, busy), (time.thread_time_ns() - started_ns) // 1000
