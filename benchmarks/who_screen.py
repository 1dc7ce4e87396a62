"""Compares the CPU time of the screen with and without the table of holders of sockets (`W`); needs root.

`python benchmarks/who_screen.py [CONNECTIONS] [SECONDS]` opens CONNECTIONS connections (two sockets each) in a network
namespace of its own. Two screens of 120x40 run in this namespace at the same time, one of them with `W` open. The
output is the share of a CPU that each screen takes after a minute, and the difference. The namespace ends with the
program.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from pathlib import Path

from who import PROJECT, enter_own_namespace, open_connections

WARM_S = 60.0
COLUMNS, ROWS = 120, 40
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def start_screen() -> tuple[int, int]:
    """Starts a screen in a pseudo-terminal; returns the process and the terminal's descriptor."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(PROJECT)
        environment = {**os.environ, "TERM": "xterm-256color"}
        os.execve(sys.executable, [sys.executable, "-m", "tcptop", "-d", "1"], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    return pid, terminal


def drain(terminals: list[int], seconds: float) -> int:
    """Reads the output of the screens for some time; returns the number of bytes from the last screen."""
    end_s = time.monotonic() + seconds
    size = 0
    while (left_s := end_s - time.monotonic()) > 0:
        for terminal in select.select(terminals, [], [], left_s)[0]:
            size += len(os.read(terminal, 1 << 16)) * (terminal == terminals[-1])
    return size


def cpu_s(pid: int) -> float:
    """CPU time of a process with all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def main() -> None:
    """Measures both screens."""
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 600.0
    enter_own_namespace()
    children = open_connections(connections)
    screens: list[tuple[int, int]] = []
    try:
        screens = [start_screen(), start_screen()]
        terminals = [terminal for _, terminal in screens]
        drain(terminals, WARM_S / 2)
        os.write(terminals[1], b"W")
        drain(terminals, WARM_S / 2)
        before = [cpu_s(pid) for pid, _ in screens]
        size = drain(terminals, seconds)
        without, with_table = (
            100 * (cpu_s(pid) - start) / seconds for (pid, _), start in zip(screens, before, strict=True)
        )
    finally:
        for pid, _ in screens:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        for child in children:
            child.kill()
            child.wait()
    print(f"{2 * connections} sockets, both screens at once for {seconds:.0f} s")
    print(f"without W {without:.2f} %, with W {with_table:.2f} % ({size / seconds:.0f} bytes/s)")
    print(f"difference {with_table - without:+.2f} % of a CPU")


if __name__ == "__main__":
    main()
