"""Compares the cost of tcptop, slabtop, htop, btop and an empty Textual app: `benchmarks/against_peers.py [SECONDS]`.

The programs run one after the other in a pseudo-terminal of the same size, with an interval of one second. Meanwhile,
the same load opens and closes connections. Programs that are not installed are left out. The output is a table and
ratios. Compare only ratios within one run: every figure depends on the machine and its load. With `--sockets N`, only
tcptop runs, with and without N additional sockets in the kernel. With `--beside CHECKOUT`, this checkout and another
checkout, which needs its own `.venv`, run alternately.
"""

from __future__ import annotations

import argparse
import compileall
import fcntl
import os
import pty
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
from churn import PER_SECOND, churn

from tcptop.lab.socket_process import start_socket_process

PACKAGE = Path("tcptop")
COLUMNS, ROWS = 120, 40
CONNECTIONS_EACH = 7_500
WARM_S = 3.0
SILENCE_S = 0.3
MAX_FIRST_SCREEN_S = 10.0
EMPTY_APP = "from textual.app import App; App().run(mouse=False)"
TCPTOP = (sys.executable, "-m", "tcptop")

ROUNDS = 5
COMPARED = {"CPU %": "cpu_percent", "bytes/s": "bytes_per_s", "MiB": "resident_mib", "first screen s": "first_screen_s"}
SAVED_TREE = Path(__file__).resolve().parents[1] / "tests/recordings/6.1-4n/established"

PLAIN = "tcptop, x pressed"
"""After the key `x`, there are no marks and no graphs."""
KEYS = {PLAIN: b"x"}

PROGRAMS: dict[str, tuple[str, ...]] = {
    "tcptop": TCPTOP,
    PLAIN: TCPTOP,
    "slabtop": ("slabtop", "-d", "1"),
    "htop": ("htop", "-d", "10"),
    "btop": ("btop", "--utf-force"),
    "empty Textual app": (sys.executable, "-c", EMPTY_APP),
}
ONCE: dict[str, tuple[str, ...]] = {
    "tcptop -o": (*TCPTOP, "-o"),
    "slabtop -o": ("slabtop", "-o"),
    "tcptop --json": (*TCPTOP, "--json"),
    "python -c pass": (sys.executable, "-c", "pass"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a program on a terminal."""

    first_screen_s: float
    first_screen_bytes: int
    bytes_per_s: float
    cpu_percent: float
    resident_mib: float


class Session:
    """A program in a pseudo-terminal; counts the bytes of its output."""

    def __init__(self, command: Sequence[str]) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.chdir("/")  # python -m looks for tcptop in the working directory first
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execvp(command[0], list(command))
        self.process = psutil.Process(self.pid)
        self.bytes = 0
        self.last_byte_s = time.monotonic()

    def read_for(self, seconds: float) -> None:
        """Reads the output for the given time."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left_s)[0]:
                self.bytes += len(os.read(self.terminal, 65536))
                self.last_byte_s = time.monotonic()

    def press(self, keys: bytes) -> None:
        """Types the keys."""
        os.write(self.terminal, keys)

    def cpu_s(self) -> float:
        """The user and system CPU time so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def end(self) -> None:
        """Kills the program and closes the terminal."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def measure_cost(command: Sequence[str], seconds: float, keys: bytes = b"") -> Cost:
    """Runs a program and measures its first screen, then its output, CPU time and memory over `seconds`.

    The first screen ends when the program has been silent for SILENCE_S; then the keys are typed.
    """
    started_s = time.monotonic()
    session = Session(command)
    try:
        while session.bytes == 0 or time.monotonic() - session.last_byte_s < SILENCE_S:
            session.read_for(0.02)
            if time.monotonic() - started_s > MAX_FIRST_SCREEN_S:
                break
        first_bytes, first_s = session.bytes, session.last_byte_s - started_s
        session.press(keys)
        session.read_for(WARM_S)
        bytes_before, cpu_before, began_s = session.bytes, session.cpu_s(), time.monotonic()
        session.read_for(seconds)
        took_s = time.monotonic() - began_s
        return Cost(
            first_screen_s=first_s,
            first_screen_bytes=first_bytes,
            bytes_per_s=(session.bytes - bytes_before) / took_s,
            cpu_percent=100 * (session.cpu_s() - cpu_before) / took_s,
            resident_mib=session.process.memory_info().rss / 2**20,
        )
    finally:
        session.end()


def median_run_s(command: Sequence[str], times: int = 7) -> float:
    """The median run time of a program, in seconds."""
    taken: list[float] = []
    for _ in range(times):
        began_s = time.monotonic()
        null = os.open(os.devnull, os.O_WRONLY)
        pid = os.posix_spawnp(command[0], list(command), os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
        os.waitpid(pid, 0)
        os.close(null)
        taken.append(time.monotonic() - began_s)
    return sorted(taken)[times // 2]


def compare_with_peers(seconds: float) -> None:
    """Runs all programs, and prints their costs and ratios."""
    costs = {
        name: measure_cost(command, seconds, KEYS.get(name, b""))
        for name, command in PROGRAMS.items()
        if shutil.which(command[0])
    }
    print(f"{'':<20}{'FIRST s':>9}{'FIRST B':>9}{'B/s':>9}{'CPU %':>8}{'MiB':>8}")
    for name, cost in costs.items():
        print(
            f"{name:<20}{cost.first_screen_s:>9.2f}{cost.first_screen_bytes:>9}{cost.bytes_per_s:>9.0f}"
            f"{cost.cpu_percent:>8.2f}{cost.resident_mib:>8.1f}"
        )
    for own in ("tcptop", PLAIN):
        for name, cost in costs.items():
            if name not in ("tcptop", PLAIN):
                print(f"{own} / {name}: {ratios(costs[own], cost)}")
    once = {name: median_run_s(command) for name, command in ONCE.items() if shutil.which(command[0])}
    for name, taken_s in once.items():
        print(f"{name:<20}{1000 * taken_s:>9.1f} ms, {taken_s / once['python -c pass']:.1f} x python -c pass")


def ratios(own: Cost, other: Cost) -> str:
    """The cost of one program in multiples of another's."""
    return (
        f"bytes {own.bytes_per_s / max(1.0, other.bytes_per_s):.2f},"
        f" CPU {own.cpu_percent / max(0.01, other.cpu_percent):.2f},"
        f" memory {own.resident_mib / other.resident_mib:.2f},"
        f" first screen {own.first_screen_s / other.first_screen_s:.2f}"
    )


def median_run_cpu_s(commands: Mapping[str, Sequence[str]], times: int = 21) -> dict[str, float]:
    """The median CPU time of a run of each program, in seconds; the programs run alternately."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    with open(os.devnull, "wb") as null:  # noqa: PTH123
        for _ in range(times):
            for name, command in commands.items():
                child = subprocess.Popen(command, stdout=null, cwd="/")
                _, _, usage = os.wait4(child.pid, 0)
                taken[name].append(usage.ru_utime + usage.ru_stime)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def compare_checkouts(seconds: float, checkout: Path) -> None:
    """Runs this checkout and another checkout alternately, and prints medians, ranges and the ratio of the medians."""
    other = (str(checkout.absolute() / ".venv/bin/python"), "-m", "tcptop")
    costs: dict[str, list[Cost]] = {"this": [], "other": []}
    for number in range(ROUNDS):
        pair = [("this", TCPTOP), ("other", other)]
        for name, command in pair if number % 2 == 0 else reversed(pair):
            costs[name].append(measure_cost(command, seconds))
    print(f"{'':<22}{'this':>24}{'other':>24}   ratio")
    for label, field in COMPARED.items():
        medians: list[float] = []
        line = f"{label:<22}"
        for each in costs.values():
            values = [float(getattr(cost, field)) for cost in each]
            medians.append(statistics.median(values))
            line += f"{f'{medians[-1]:.2f} ({min(values):.2f} to {max(values):.2f})':>24}"
        print(f"{line}{medians[0] / medians[1]:>8.2f}")
    json_report = ("--json", "--root", str(SAVED_TREE))
    pass_s, this_s, other_s = median_run_cpu_s(
        {"pass": ONCE["python -c pass"], "this": (*TCPTOP, *json_report), "other": (*other, *json_report)}
    ).values()
    print(f"--json of a saved tree: {1000 * this_s:.1f} and {1000 * other_s:.1f} ms of CPU, python -c pass", end=" ")
    print(f"{1000 * pass_s:.1f} ms: {this_s / pass_s:.2f} and {other_s / pass_s:.2f} times as much")


def compare_socket_counts(seconds: float, sockets: int) -> None:
    """Prints the CPU use of tcptop with `sockets` more sockets, and the mean of two runs without the sockets."""
    before = measure_cost(TCPTOP, seconds)
    with ExitStack() as stack:
        # Each process, in its own namespace, opens CONNECTIONS_EACH connections, which is below the usual limit of
        # descriptors.
        for _ in range(sockets // 2 // CONNECTIONS_EACH):
            stack.enter_context(start_socket_process(ipv6=False, connections=CONNECTIONS_EACH)).send_command(
                "open", CONNECTIONS_EACH
            )
        time.sleep(WARM_S)
        loaded = measure_cost(TCPTOP, seconds)
    without = (before.cpu_percent + measure_cost(TCPTOP, seconds).cpu_percent) / 2
    print(f"CPU {without:.2f} % without, {loaded.cpu_percent:.2f} % with {sockets} sockets more:", end=" ")
    print(f"ratio {loaded.cpu_percent / without:.2f}")


def main() -> None:
    """Parses the arguments and runs the benchmark."""
    parser = argparse.ArgumentParser(description="Compares the cost of tcptop with that of its peers.")
    parser.add_argument("seconds", nargs="?", type=float, default=20.0)
    parser.add_argument("--sockets", type=int, default=0)
    parser.add_argument("--beside", metavar="CHECKOUT", type=Path)
    options = parser.parse_args()
    checkouts = [Path(__file__).resolve().parents[1], *filter(None, [options.beside])]
    for checkout in checkouts:
        # Without bytecode (PYTHONDONTWRITEBYTECODE) a start compiles 80 modules, which doubles its CPU time.
        compileall.compile_dir(checkout / PACKAGE, quiet=1)
    print(f"{COLUMNS}x{ROWS}, every second, {options.seconds:.0f} s each")
    if options.sockets:
        compare_socket_counts(options.seconds, options.sockets)
        return
    with ExitStack() as stack:
        # Empty settings, and the same interval for every program.
        os.environ["XDG_CONFIG_HOME"] = stack.enter_context(tempfile.TemporaryDirectory())
        settings = Path(os.environ["XDG_CONFIG_HOME"], "btop", "btop.conf")
        settings.parent.mkdir()
        settings.write_text("update_ms = 1000\n", encoding="ascii")
        churns = stack.enter_context(churn())
        print(f"{PER_SECOND if churns else 'no'} connections a second of churn")
        if options.beside is not None:
            compare_checkouts(options.seconds, options.beside)
        else:
            compare_with_peers(options.seconds)


if __name__ == "__main__":
    main()
