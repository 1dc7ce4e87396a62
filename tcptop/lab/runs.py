"""The runs of the lab: each opens endpoints of one TCP state and side in steps, and reads all slab rows after a step.

Order of a run: the opening reading, before its namespace exists; `WARM_UP` connections; the first reading of the ramp;
`STEPS` times a step of connections and a reading; the closing reading, after the namespace is gone. The ramp
is the readings after 0, 1, 2, … `STEPS` steps, to which fit.py fits a line for each row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.lab.fit import Series, SlabReading
from tcptop.lab.slab_meter import GRACE_PERIOD_S, SlabMeter
from tcptop.lab.socket_process import SocketCounts, SocketProcess, start_socket_process
from tcptop.lab.socket_program import LISTENERS

STEPS = 4
WARM_UP = 1000
"""Number of connections opened before the first reading of the ramp, so that the first step is like the other steps.
These connections use up the objects that are free but count as active, since they are on per-CPU slabs. The connections
also leave freed objects behind, as every step does."""

CONNECTIONS_PER_FEW_PORT = LISTENERS
"""Connections that share one local port in the run with few ports: one to each listener."""

TOLERANCE_OBJECTS = 48
TOLERANCE_SHARE = 0.005
"""Two readings agree if the watched rows changed by at most `TOLERANCE_SHARE` of the connections of a step, or by
`TOLERANCE_OBJECTS` if that is more."""

WAIT_FOR_MINI_SOCKETS = "wait_for_mini_sockets"
"""The only command that is not sent to the child: the parent waits until the closed ends are mini-sockets."""

IDLE_MINI_SOCKETS = 300
"""Largest number of free objects on per-CPU slabs in the rows of mini-sockets. Such objects count as active, so a
change of at most this number is ignored."""


class Run(NamedTuple):
    """The commands that fill a namespace with endpoints of one state and side, and with no other sockets."""

    state: str
    side: str
    title: str
    commands: tuple[str, ...]
    """The commands of one step: those in `command_handlers` of socket_program.py, and `WAIT_FOR_MINI_SOCKETS`."""
    full_sockets: int
    """Full sockets that remain of each connection."""
    mini_sockets: int
    """Mini-sockets that remain of each connection."""

    @property
    def key(self) -> str:
        """State and side, for example `established/accepted`; the state alone if only one side is measured."""
        return f"{self.state}/{self.side}" if self.side else self.state

    @property
    def closes_sockets(self) -> bool:
        """Whether a step closes sockets.

        The kernel frees the inodes of closed sockets only after an RCU grace period.
        """
        return any(command.startswith(("close_", "drop_")) for command in self.commands)


KTLS = "ktls"
"""State of the runs that give kernel TLS to ESTABLISHED sockets, in three steps of its setup.

The figures are differences between these runs and `established/pair`.
"""

CONTROL = Run("control", "", "control run", ("open_elsewhere", "drop_clients", "drop_servers"), 0, 0)
"""The run that opens connections and drops both ends. No endpoint remains, so any growth has another cause."""

RUNS: tuple[Run, ...] = (
    Run("established", "pair", "ESTABLISHED both ends", ("open",), 2, 0),
    Run("established", "accepted", "ESTABLISHED accepted", ("open_elsewhere", "drop_clients"), 1, 0),
    Run("established", "outgoing", "ESTABLISHED outgoing", ("open", "drop_servers"), 1, 0),
    Run("established", "few_ports", "ESTABLISHED both ends, few ports", ("open_few_ports",), 2, 0),
    Run(
        "fin_wait2",
        "",
        "FIN_WAIT2 outgoing, closed",
        ("open", "half_close_clients", "close_clients", WAIT_FOR_MINI_SOCKETS, "drop_servers"),
        0,
        1,
    ),
    Run("close_wait", "", "CLOSE_WAIT accepted", ("open_elsewhere", "half_close_clients", "drop_clients"), 1, 0),
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
    Run(KTLS, "context", "kTLS both ends, no keys", ("open", "attach_tls"), 2, 0),
    Run(KTLS, "tx", "kTLS both ends, TX", ("open", "attach_tls", "enable_tls_tx"), 2, 0),
    Run(KTLS, "pair", "kTLS both ends, TX and RX", ("open", "attach_tls", "enable_tls_tx", "enable_tls_rx"), 2, 0),
)

RUN_TITLES = {run.key: run.title for run in RUNS}

STATES: tuple[str, ...] = tuple(dict.fromkeys(run.state for run in RUNS))


class WatchedRows(NamedTuple):
    """The slab rows whose counts show that the kernel has finished allocating and freeing."""

    settling: frozenset[str]
    """Rows that must not change between two consecutive readings."""
    releasing: frozenset[str]
    """Rows that only TCP uses; they must be back at the counts of the opening reading after the namespace is freed."""
    mini_sockets: frozenset[str]
    """The rows of mini-sockets; their sum counts the machine's mini-sockets."""


class RunReadings(NamedTuple):
    """The readings of one run."""

    series: Series
    local_ports: int
    """Local ports shared by the connections of the ramp; 0 in all runs except the run with few ports."""
    other_sockets: int
    """Sockets of other programs that came or went during the ramp; slab rows count these sockets too."""


def spread_beyond(counts: Sequence[int], slack: int) -> int:
    """The largest count minus the smallest count; 0 if the difference is at most `slack`."""
    apart = max(counts, default=0) - min(counts, default=0)
    return apart if apart > slack else 0


def select_runs(states: Sequence[str]) -> tuple[Run, ...]:
    """The runs that measure these states, in the order of `RUNS`; with kTLS, the runs of ESTABLISHED too."""
    wanted = {*states, *(["established"] if KTLS in states else [])}
    return tuple(run for run in RUNS if run.state in wanted)


@dataclass(slots=True)
class Runner:
    """Makes runs, each in a namespace of its own, so that no run counts the mini-sockets of another."""

    meter: SlabMeter
    watched: WatchedRows
    connections: int
    """Connections of each run, without `WARM_UP`."""
    ipv6: bool
    deadline_s: float
    """Latest time (time.monotonic) at which a step may begin."""
    progress: Callable[[float], None]
    """Called with the share of a run that is done."""

    @property
    def _step(self) -> int:
        return self.connections // STEPS

    @property
    def _tolerance(self) -> int:
        return max(TOLERANCE_OBJECTS, round(TOLERANCE_SHARE * self._step))

    def measure_run(self, run: Run) -> RunReadings:
        """Makes one run and returns its readings.

        Raises:
            TcptopError: if the kernel refuses an operation, or the lab's deadline has passed.

        """
        opening = self.meter.read_settled(self.watched.settling, self._tolerance)
        with start_socket_process(self.ipv6, STEPS * self._step + WARM_UP) as process:
            readings = [self._add_endpoints(process, run, WARM_UP, 0)]
            first = process.send_command("count")
            for number in range(1, STEPS + 1):
                self.progress((number - 1) / STEPS)
                readings.append(self._add_endpoints(process, run, self._step, WARM_UP + (number - 1) * self._step))
            last = self._check_unchanged(process, run)
        self.progress(1.0)
        closing = self.meter.read_released(self.watched.releasing, opening, self._tolerance)
        return RunReadings(
            series=Series(opening, tuple(readings), closing, self._step),
            local_ports=last.few_ports - first.few_ports,
            other_sockets=self._other_sockets(run, readings),
        )

    def _add_endpoints(self, process: SocketProcess, run: Run, count: int, before: int) -> SlabReading:
        """Adds `count` connections to `before` existing ones, waits until all endpoints are in the state, and reads."""
        if time.monotonic() > self.deadline_s:
            raise TcptopError("the lab takes too long on this machine; try fewer --connections or --states")
        total = before + count
        for command in run.commands:
            if command == WAIT_FOR_MINI_SOCKETS:
                process.wait_for_states(None, run.mini_sockets * total)
            else:
                process.send_command(command, count)
        process.wait_for_states(run.full_sockets * total, run.mini_sockets * total)
        return self.meter.read_settled(
            self.watched.settling, self._tolerance, GRACE_PERIOD_S if run.closes_sockets else 0.0
        )

    def _other_sockets(self, run: Run, readings: Sequence[SlabReading]) -> int:
        """The sockets of other programs during the ramp: their largest number minus their smallest number.

        See `RunReadings.other_sockets`.
        """
        full_sockets = [
            reading.sockets - run.full_sockets * number * self._step
            for number, reading in enumerate(readings)
            if reading.sockets is not None
        ]
        mini_sockets = [
            sum(reading.active.get(row, 0) for row in self.watched.mini_sockets)
            - run.mini_sockets * number * self._step
            for number, reading in enumerate(readings)
        ]
        return spread_beyond(full_sockets, 0) + spread_beyond(mini_sockets, IDLE_MINI_SOCKETS)

    def _check_unchanged(self, process: SocketProcess, run: Run) -> SocketCounts:
        """Verifies, after the last reading, that every socket is still in its state; returns the counts of sockets."""
        total = WARM_UP + STEPS * self._step
        process.wait_for_states(run.full_sockets * total, run.mini_sockets * total)
        return process.send_command("count")
