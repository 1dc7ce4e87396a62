"""The runs of the lab: each run opens endpoints of one TCP state and side in steps.

All slab rows are read after each step.

Order of a run:

- the opening reading, before the network namespace of the run exists;
- `WARM_UP` connections;
- the first reading of the ramp;
- `STEPS` times: a step of connections, then a reading;
- the closing reading, after the namespace is freed.

The ramp consists of the readings after 0, 1, 2, … `STEPS` steps. For each row, fit.py fits a line to the readings of
the ramp.
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
"""Number of connections opened before the first reading of the ramp, so that the first step resembles the other steps.
In slabinfo, free objects on per-CPU slabs count as active. Warm-up connections use up free objects, and leave freed
objects behind, as the connections of every step do."""

CONNECTIONS_PER_FEW_PORT = LISTENERS
"""Number of connections that share one local port in the run with few ports: one connection to each listener."""

TOLERANCE_OBJECTS = 48
TOLERANCE_SHARE = 0.005
"""Two readings agree if the counts of the watched rows differ by at most a tolerance. The tolerance is
`TOLERANCE_SHARE` times the connections of a step, but at least `TOLERANCE_OBJECTS`."""

WAIT_FOR_MINI_SOCKETS = "wait_for_mini_sockets"
"""Command to wait until the closed ends of the connections have become mini-sockets. The parent process executes this
command itself. The child process executes every command except WAIT_FOR_MINI_SOCKETS."""

IDLE_MINI_SOCKETS = 300
"""Maximum number of free objects on per-CPU slabs in the rows of mini-sockets. Free objects on per-CPU slabs count as
active, so a change of at most this number of objects is ignored."""


class Run(NamedTuple):
    """The commands that fill a network namespace with endpoints of one state and side, and with no other sockets."""

    state: str
    side: str
    title: str
    commands: tuple[str, ...]
    """The commands of one step: names from `command_handlers` in socket_program.py, or `WAIT_FOR_MINI_SOCKETS`."""
    full_sockets: int
    """Number of full sockets that remain for each connection after a step."""
    mini_sockets: int
    """Number of mini-sockets that remain for each connection after a step."""

    @property
    def key(self) -> str:
        """State and side, for example `established/accepted`; only the state if the run has no side."""
        return f"{self.state}/{self.side}" if self.side else self.state

    @property
    def closes_sockets(self) -> bool:
        """True if a step closes sockets.

        The kernel frees the inodes of closed sockets only after an RCU grace period.
        """
        return any(command.startswith(("close_", "drop_")) for command in self.commands)


KTLS = "ktls"
"""State of the three runs that give kernel TLS to ESTABLISHED sockets. The first run only attaches kernel TLS, the
second run also sets the keys for sending, and the third run also sets the keys for receiving.

The figures of kernel TLS are the differences between the runs of kernel TLS and `established/pair`.
"""

CONTROL = Run("control", "", "control run", ("open_elsewhere", "drop_clients", "drop_servers"), 0, 0)
"""The run that opens connections and drops both ends. No endpoint remains, so all growth in this run has other
causes."""

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
    """The slab rows whose counts show that the kernel has finished allocating and freeing objects."""

    settling: frozenset[str]
    """Rows whose counts must agree in two consecutive readings."""
    releasing: frozenset[str]
    """Rows that only TCP uses. After the namespace is freed, the counts of rows that only TCP uses must fall back to
    the counts of the opening reading."""
    mini_sockets: frozenset[str]
    """The rows of mini-sockets, whose counts add up to the number of mini-sockets on the machine."""


class RunReadings(NamedTuple):
    """The readings of one run."""

    series: Series
    local_ports: int
    """Number of local ports shared by the connections of the ramp; 0 in all runs except the run with few ports."""
    other_sockets: int
    """Number of other programs' sockets opened or closed during the ramp; slab rows also count these sockets."""


def spread_beyond(counts: Sequence[int], slack: int) -> int:
    """The largest count minus the smallest count; 0 if the difference is at most `slack`."""
    apart = max(counts, default=0) - min(counts, default=0)
    return apart if apart > slack else 0


def select_runs(states: Sequence[str]) -> tuple[Run, ...]:
    """The runs that measure the given states, in the order of `RUNS`.

    The runs of kTLS are compared with the runs of ESTABLISHED, so a request for kTLS adds these runs.
    """
    wanted = {*states, *(["established"] if KTLS in states else [])}
    return tuple(run for run in RUNS if run.state in wanted)


@dataclass(slots=True)
class Runner:
    """Makes runs. Each run has its own network namespace, so that no run counts the mini-sockets of another run."""

    meter: SlabMeter
    watched: WatchedRows
    connections: int
    """Number of connections of each run; the `WARM_UP` connections are not counted."""
    ipv6: bool
    deadline_s: float
    """Latest time (time.monotonic) at which a step may begin."""
    progress: Callable[[float], None]
    """Function that is called with the progress of a run, from 0 to 1."""

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
        """Adds `count` connections to `before` connections, waits for the state of the run, and takes a reading."""
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
        """The largest number of other programs' sockets during the ramp, minus the smallest number.

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
        """Verifies that every socket is still in the state of the run; returns the socket counts.

        Called after the last reading.
        """
        total = WARM_UP + STEPS * self._step
        process.wait_for_states(run.full_sockets * total, run.mini_sockets * total)
        return process.send_command("count")
