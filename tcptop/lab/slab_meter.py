"""Reads all slab rows of the machine after their counts have stopped changing."""

from __future__ import annotations

import time
from collections.abc import Collection

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.lab.fit import SlabReading
from tcptop.sources.slabinfo import SlabinfoSource
from tcptop.sources.sockstat import SockstatSource

PAUSE_S = 0.04
PAUSE_PER_READ = 20
"""Pause between two readings: the longer of `PAUSE_S` and `PAUSE_PER_READ` times the duration of the last reading.
Pauses are needed since the kernel holds slab_mutex and list locks during a read."""

GRACE_PERIOD_S = 0.12
"""Delay between a close() and the first reading after it. The kernel frees inodes only after an RCU grace period.
Before the end of the grace period, two readings can agree although the kernel has not yet freed all objects."""

SETTLE_TIMEOUT_S = 0.25
RELEASE_TIMEOUT_S = 2.5
"""Longest wait until the kernel has freed a namespace and its mini-sockets (net/core/net_namespace.c, cleanup_net)."""


class SlabMeter:
    """Reads /proc/slabinfo and sockstat of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._source = SlabinfoSource()
        self._sockstat = SockstatSource()
        self._pause_s = PAUSE_S

    def read(self) -> SlabReading:
        """Takes one reading; raises TcptopError if /proc/slabinfo cannot be read."""
        started_s = time.monotonic()
        reading = run_sync(self._source.read(self._host))
        if reading.value is None:
            raise TcptopError(f"lab cannot read slab counts: {reading.reason}")
        self._pause_s = max(PAUSE_S, PAUSE_PER_READ * (time.monotonic() - started_s))
        active: dict[str, int] = {}
        for row in reading.value.rows:
            active[row.name] = active.get(row.name, 0) + row.active_objects
        sockstat = run_sync(self._sockstat.read(self._host)).value
        return SlabReading(time.monotonic(), active, sockstat.allocated if sockstat else None)

    def read_settled(self, watched: Collection[str], tolerance: int, delay_s: float = 0.0) -> SlabReading:
        """Reads until two consecutive readings agree, or `SETTLE_TIMEOUT_S` has passed; returns the last reading.

        Args:
            watched: the rows that must agree in two consecutive readings.
            tolerance: largest difference between the two readings, in objects of all watched rows together.
            delay_s: seconds to wait before the first reading.

        """
        time.sleep(delay_s)
        deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
        last = self.read()
        while True:
            time.sleep(self._pause_s)
            now = self.read()
            if count_changed(last, now, watched) <= tolerance or time.monotonic() > deadline_s:
                return now
            last = now

    def read_released(self, watched: Collection[str], base: SlabReading, tolerance: int) -> SlabReading:
        """Reads until the watched rows have shrunk to their counts in `base`, or `RELEASE_TIMEOUT_S` has passed.

        Args:
            watched: the rows that must shrink.
            base: an earlier reading.
            tolerance: number of objects by which the watched rows together may still exceed `base`.

        """
        deadline_s = time.monotonic() + RELEASE_TIMEOUT_S
        now = self.read_settled(watched, tolerance)
        while count_added(base, now, watched) > tolerance and time.monotonic() < deadline_s:
            now = self.read_settled(watched, tolerance)
        return now


def count_changed(before: SlabReading, after: SlabReading, rows: Collection[str]) -> int:
    """Sum of the absolute values of the rows' changes between two readings, in objects."""
    return sum(abs(after.active.get(row, 0) - before.active.get(row, 0)) for row in rows)


def count_added(before: SlabReading, after: SlabReading, rows: Collection[str]) -> int:
    """Sum of the growth of the rows between two readings, in objects; a row that shrank adds 0."""
    return sum(max(0, after.active.get(row, 0) - before.active.get(row, 0)) for row in rows)
