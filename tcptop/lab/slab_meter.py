"""Readings of all slab rows of the machine, taken when the kernel has come to rest."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.sources.slabinfo import SlabinfoSource
from tcptop.sources.sockstat import SockstatSource

PAUSE_S = 0.04
PAUSE_PER_READ = 20
"""A reading takes slab_mutex and list locks, so the lab rests between two for so many times what one took."""

GRACE_PERIOD_S = 0.12
"""Inodes are freed a grace period after close(); two equal readings before its end would mean nothing."""

SETTLE_TIMEOUT_S = 0.25
RELEASE_TIMEOUT_S = 2.5
"""How long a namespace may take to vanish with its mini-sockets (net/core/net_namespace.c, cleanup_net)."""


@dataclass(frozen=True, slots=True)
class SlabReading:
    """Active objects of every row. On SLUB they include idle objects on per-CPU slabs."""

    at_s: float
    active: Mapping[str, int]
    sockets: int | None
    """All full TCP sockets of the machine (sockstat's `alloc`), read beside."""


class SlabMeter:
    """Reads /proc/slabinfo of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._source = SlabinfoSource()
        self._sockstat = SockstatSource()
        self._pause_s = PAUSE_S

    def read(self) -> SlabReading:
        """One reading; raises TcptopError where the file cannot be read."""
        started_s = time.monotonic()
        reading = run_sync(self._source.read(self._host))
        if reading.value is None:
            raise TcptopError(f"lab reads slab counts, and cannot: {reading.reason}")
        self._pause_s = max(PAUSE_S, PAUSE_PER_READ * (time.monotonic() - started_s))
        active: dict[str, int] = {}
        for row in reading.value.rows:
            active[row.name] = active.get(row.name, 0) + row.active_objects
        sockstat = run_sync(self._sockstat.read(self._host)).value
        return SlabReading(time.monotonic(), active, sockstat.allocated if sockstat else None)

    def read_settled(self, watched: Collection[str], tolerance: int, delay_s: float = 0.0) -> SlabReading:
        """A reading that agrees with the one before it in the watched rows; after `SETTLE_S`, whatever there is."""
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
        """A reading when the watched rows are back where they were; after `RELEASE_S`, whatever there is."""
        deadline_s = time.monotonic() + RELEASE_TIMEOUT_S
        now = self.read_settled(watched, tolerance)
        while count_added(base, now, watched) > tolerance and time.monotonic() < deadline_s:
            now = self.read_settled(watched, tolerance)
        return now


def count_changed(before: SlabReading, after: SlabReading, rows: Collection[str]) -> int:
    """Objects that came or went between two readings."""
    return sum(abs(after.active.get(row, 0) - before.active.get(row, 0)) for row in rows)


def count_added(before: SlabReading, after: SlabReading, rows: Collection[str]) -> int:
    """Objects that came between two readings, rows that shrank left out."""
    return sum(max(0, after.active.get(row, 0) - before.active.get(row, 0)) for row in rows)
