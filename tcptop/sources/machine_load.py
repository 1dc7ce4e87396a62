"""Available memory and CPU use of the machine, from psutil.

Only the screen uses psutil, because importing psutil is slow.
"""

from __future__ import annotations

import time

import psutil

from tcptop.hosts.host import Host
from tcptop.snapshot import MachineLoad, Reading
from tcptop.sources.source import (
    EVERY_FIVE_SECONDS,
    Source,
    failed_reading,
    make_reading,
    parse_counts,
    read_small_files,
    small_text,
    unread,
)
from tcptop.text.printable import printable

STAT = "proc/stat"


class MachineLoadSource(Source[MachineLoad]):
    """A source that is read every five seconds, as often as the screen changes it, but only on live hosts.

    The kernel takes no lock, but the line of the interrupts in /proc/stat is long on large machines.
    """

    name = "machine_load"
    paths = ()
    pace = EVERY_FIVE_SECONDS

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    async def read(self, host: Host) -> Reading[MachineLoad]:
        """Calls psutil on the host's procfs."""
        if host.identity.remote_name is not None:
            return await self._read_over_ssh(host)
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
        # psutil.cpu_percent() is unusable here: the function needs two calls in the same thread, but each call may run
        # in another thread.
        times = psutil.cpu_times()
        # guest and guest_nice are left out, since user and nice include them.
        busy = self._busy_percent(sum(times[:8]), times.idle + times.iowait)
        return MachineLoad(available, busy), (time.thread_time_ns() - started_ns) // 1000

    async def _read_over_ssh(self, host: Host) -> Reading[MachineLoad]:
        """Reads /proc/stat of another machine over ssh, since psutil reads only files of this machine."""
        [stat] = await read_small_files(host, (STAT,))
        failed: Reading[MachineLoad] | None = failed_reading(stat)
        if failed is not None:
            return failed
        # The line `cpu user nice system idle iowait …` has the sums of all CPUs (fs/proc/stat.c, show_stat).
        fields = (small_text(stat) or "").partition("\n")[0].split()
        try:
            times = parse_counts(fields[1:])
        except ValueError:
            times = ()
        if fields[:1] != ["cpu"] or len(times) < 5:
            return unread("strange", f"/{STAT} has an unknown format", stat.took_us)
        # The last two fields, guest and guest_nice, are left out, since user and nice include the time of guests.
        busy = self._busy_percent(sum(times[:8]), times[3] + times[4])
        return make_reading(MachineLoad(None, busy), None, STAT, stat.took_us)

    def _busy_percent(self, total: float, idle: float) -> float | None:
        """The share of CPU time that was not idle since the previous call, in percent; None at the first call."""
        busy = None
        if self._before is not None and total > self._before[0]:
            # iowait may decrease (Documentation/filesystems/proc.rst), so the share may seem to be outside 0 to 100 %.
            busy = min(100.0, max(0.0, 100 * (1 - (idle - self._before[1]) / (total - self._before[0]))))
        self._before = (total, idle)
        return busy
