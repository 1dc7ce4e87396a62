"""The runs of a lab: which steps leave only the endpoints of one state and one side, and how they are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tcptop.errors import TcptopError
from tcptop.lab.fit import Point, Series
from tcptop.lab.holder import Counts, Holder, holding
from tcptop.lab.load import LISTENERS
from tcptop.lab.measure import AFTER_FREEING_S, SlabMeter, SlabReading

STEPS = 4
WARM_UP = 1000
"""Connections before the first reading: they use up the idle objects on per-CPU slabs, which count as active, and leave
as many of what a step frees as any later step."""

FEW_PORTS_STEP = LISTENERS
"""Connections of one local port in the run with few of them: one to each listener."""

TOLERANCE = 48
SHARE = 0.005
"""Two readings agree when the watched rows moved by fewer objects than this share of a step, or than `TOLERANCE`."""


IDLE_MINIS = 300
"""Mini-sockets are counted by their slabs' active objects, and so many of them may be idle ones."""


@dataclass(frozen=True, slots=True)
class Run:
    """One way to fill the namespace with endpoints of one kind."""

    state: str
    side: str
    title: str
    batch: tuple[str, ...]
    """The commands of one step (load.py); `minis` waits until the closed ends are mini-sockets."""
    full: int
    """Full sockets that a connection leaves."""
    minis: int
    """Mini-sockets that it leaves."""

    @property
    def key(self) -> str:
        """Its name among the runs."""
        return f"{self.state}/{self.side}"

    @property
    def frees(self) -> bool:
        """Whether a step closes sockets that had a file."""
        return len(self.batch) > 1


CONTROL = Run("control", "", "control run", ("open_elsewhere", "vanish_clients", "vanish_servers"), 0, 0)

RUNS: tuple[Run, ...] = (
    Run("established", "pair", "ESTABLISHED both ends", ("open",), 2, 0),
    Run("established", "accepted", "ESTABLISHED accepted", ("open_elsewhere", "vanish_clients"), 1, 0),
    Run("established", "outgoing", "ESTABLISHED outgoing", ("open", "vanish_servers"), 1, 0),
    Run("established", "few_ports", "ESTABLISHED both ends, few ports", ("open_few",), 2, 0),
    Run(
        "fin_wait2",
        "",
        "FIN_WAIT2 outgoing, closed",
        ("open", "half_close_clients", "close_clients", "minis", "vanish_servers"),
        0,
        1,
    ),
    Run("close_wait", "", "CLOSE_WAIT accepted", ("open_elsewhere", "half_close_clients", "vanish_clients"), 1, 0),
    Run(
        "time_wait",
        "accepted",
        "TIME_WAIT accepted",
        ("open_elsewhere", "half_close_servers", "close_servers", "close_clients"),
        0,
        1,
    ),
    Run(
        "time_wait",
        "outgoing",
        "TIME_WAIT outgoing",
        ("open", "half_close_clients", "close_clients", "close_servers"),
        0,
        1,
    ),
)

TITLES = {run.key: run.title for run in RUNS}

STATES: tuple[str, ...] = tuple(dict.fromkeys(run.state for run in RUNS))


@dataclass(frozen=True, slots=True)
class Watched:
    """The rows by whose counts the kernel is seen to have come to rest."""

    settling: frozenset[str]
    releasing: frozenset[str]
    """TCP's own, which are as they were once a namespace is gone."""
    minis: frozenset[str]
    """Those of mini-sockets."""


@dataclass(frozen=True, slots=True)
class RunReadings:
    """What a run read."""

    series: Series
    connections: int
    local_ports: int
    """Of the run over few local ports, how many came after the first reading of the ramp."""
    others: int
    """By how many the machine's other sockets changed over the ramp; they look just like those of the run."""


def point(endpoints: int, reading: SlabReading) -> Point:
    """A reading with what was there to be read."""
    return Point(endpoints, reading.at_s, reading.active)


def beyond(counts: Sequence[int], slack: int) -> int:
    """By how much counts are apart; 0 up to the slack."""
    apart = max(counts, default=0) - min(counts, default=0)
    return apart if apart > slack else 0


def runs_of(states: Sequence[str]) -> tuple[Run, ...]:
    """The runs that give these states."""
    return tuple(run for run in RUNS if run.state in states)


class Runner:
    """Makes runs, each in a namespace of its own, so that none sees the mini-sockets of another."""

    def __init__(
        self,
        meter: SlabMeter,
        watched: Watched,
        connections: int,
        ipv6: bool,
        deadline_s: float,
        progress: Callable[[float], None],
    ) -> None:
        self._meter = meter
        self._watched = watched
        self.connections = connections
        self._ipv6 = ipv6
        self._deadline_s = deadline_s
        self._progress = progress

    @property
    def _step(self) -> int:
        return self.connections // STEPS

    @property
    def _tolerance(self) -> int:
        return max(TOLERANCE, round(SHARE * self._step))

    def read(self, run: Run) -> RunReadings:
        """Makes a run; raises TcptopError where the kernel refuses a part of it."""
        opening = self._meter.settled(self._watched.settling, self._tolerance)
        with holding(self._ipv6, STEPS * self._step + WARM_UP) as holder:
            readings = [self._fill(holder, run, WARM_UP, 0)]
            first = holder.ask("count")
            for number in range(1, STEPS + 1):
                self._progress((number - 1) / STEPS)
                readings.append(self._fill(holder, run, self._step, WARM_UP + (number - 1) * self._step))
            last = self._unchanged(holder, run)
        self._progress(1.0)
        closing = self._meter.released(self._watched.releasing, opening, self._tolerance)
        ramp = tuple(point(number * self._step, reading) for number, reading in enumerate(readings))
        return RunReadings(
            series=Series(point(0, opening), ramp, point(0, closing)),
            connections=STEPS * self._step,
            local_ports=last.few_ports - first.few_ports,
            others=self._others(run, readings),
        )

    def _fill(self, holder: Holder, run: Run, count: int, before: int) -> SlabReading:
        """Adds connections, and reads once they are in their state."""
        if time.monotonic() > self._deadline_s:
            raise TcptopError("the lab takes too long on this machine; try fewer --connections or --states")
        total = before + count
        for command in run.batch:
            if command == "minis":
                holder.wait_for(None, run.minis * total)
            else:
                holder.ask(command, count)
        holder.wait_for(run.full * total, run.minis * total)
        return self._meter.settled(self._watched.settling, self._tolerance, AFTER_FREEING_S if run.frees else 0.0)

    def _others(self, run: Run, readings: Sequence[SlabReading]) -> int:
        """See `RunReadings.others`: what the machine counts less what the run made."""
        full = [
            reading.sockets - run.full * number * self._step
            for number, reading in enumerate(readings)
            if reading.sockets is not None
        ]
        minis = [
            sum(reading.active.get(row, 0) for row in self._watched.minis) - run.minis * number * self._step
            for number, reading in enumerate(readings)
        ]
        return beyond(full, 0) + beyond(minis, IDLE_MINIS)

    def _unchanged(self, holder: Holder, run: Run) -> Counts:
        """Makes sure that no socket left its state before it was counted."""
        total = WARM_UP + STEPS * self._step
        holder.wait_for(run.full * total, run.minis * total)
        return holder.ask("count")
