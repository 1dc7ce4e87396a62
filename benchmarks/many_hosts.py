"""Measures the table of hosts: time until all rows have figures, CPU time on both sides, and bytes per sample.

Run as root, with openssh-server installed: python benchmarks/many_hosts.py [HOSTS [SECONDS]] [--stand-in]

With --stand-in, `ssh` is a program that runs the remote command here, without sshd, so that only the CPU time of tcptop
is measured.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from loopback_ssh import LoopbackSsh, descendants, program_of, running
from session import Session

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ssh_host import cpu_ms, wire_kb

PROJECT = Path(__file__).resolve().parents[1]
STAND_IN = '#!/bin/sh\nfor command; do :; done\nexec /bin/sh -c "$command"\n'
INTERVAL_S = 2.0


def main() -> None:
    """Prints a table of the costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", metavar="HOSTS", type=int, nargs="?", default=40)
    parser.add_argument("seconds", metavar="SECONDS", type=float, nargs="?", default=60.0)
    parser.add_argument("--stand-in", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sshd: AbstractContextManager[LoopbackSsh | None] = nullcontext() if options.stand_in else running(Path(folder))
        with sshd as server:
            measure(options.hosts, options.seconds, Path(folder), server)


def measure(hosts: int, seconds: float, folder: Path, server: LoopbackSsh | None) -> None:
    """Runs the table with a number of hosts, and prints the costs of the table over some time."""
    names = [f"web{number:03}" for number in range(1, hosts + 1)]
    if server is None:
        (folder / "ssh").write_text(STAND_IN)
        (folder / "ssh").chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    else:
        with (folder / "config").open("a") as config:
            config.write("".join(server.block(name, "loop") for name in names))
        wrapper = folder / "bin/ssh"
        # Each ssh writes its messages to a file of its own; the last message says how many bytes were transferred.
        wrapper.write_text(wrapper.read_text().replace('"$@"', f'-v -E {folder}/debug-$$ "$@"'))
        environment = server.environment
    command = [sys.executable, "-m", "tcptop", "--host", f"web[001-{hosts:03}]", "-d", f"{INTERVAL_S:g}"]
    started_s = time.monotonic()
    session = Session(command, environment=environment, folder=PROJECT, size=(120, 50))
    try:
        session.until(lambda: f"tcptop  {hosts} hosts" in session.screen.text(), "all hosts have figures")
        ready_s = time.monotonic() - started_s
        clients = descendants(session.process.pid)
        far = server.servers() if server is not None else []
        before = [cpu_ms(session.process.pid), sum(map(cpu_ms, clients)), sum(map(cpu_ms, far))]
        shown_bytes, begin_s = len(session.output), time.monotonic()
        while time.monotonic() - begin_s < seconds:
            session.read()
        elapsed_s = time.monotonic() - begin_s
        after = [cpu_ms(session.process.pid), sum(map(cpu_ms, clients)), sum(map(cpu_ms, far))]
        memory = memory_mib(session.process.pid)
        wire = None if server is None else looked_kb(folder, server)
        session.type("q")
        session.until_ended()
    finally:
        session.end()
    own, ssh, remote = (late - early for early, late in zip(before, after, strict=True))
    looks = hosts * elapsed_s / INTERVAL_S
    rows = [
        ("hosts", hosts, ""),
        ("all have figures after", ready_s, "s"),
        ("CPU of tcptop", own / elapsed_s / 10, "% of a core"),
        ("CPU of its ssh processes", ssh / elapsed_s / 10, "% of a core"),
        ("CPU of a look, tcptop", own / looks, "ms"),
        ("CPU of a look, far end", remote / looks, "ms, with sshd"),
        ("memory of tcptop", memory, "MiB"),
        ("to the terminal", (len(session.output) - shown_bytes) / elapsed_s, "bytes/s"),
    ]
    for name, value, unit in rows:
        print(f"{name:<26}{value:9.1f} {unit}")
    if wire is not None:
        total_kb, sessions = wire
        print(f"{'on the wire':<26}{total_kb / (looks + sessions):9.1f} KB a look, the first ones too")


def looked_kb(folder: Path, server: LoopbackSsh) -> tuple[float, int]:
    """Ends the remote programs; returns the KB that all sessions have sent and received, and the number of sessions."""
    for pid in server.servers():
        with suppress(ProcessLookupError):
            if program_of(pid) == "sh":
                os.kill(pid, 9)
    time.sleep(2)
    files = list(folder.glob("debug-*"))
    return sum(wire_of(file) for file in files), len(files)


def wire_of(file: Path) -> float:
    """The KB in the file with the messages of one ssh."""
    (file.parent / "debug").write_text(file.read_text(errors="replace"))
    return wire_kb(str(file.parent))


def memory_mib(pid: int) -> float:
    """The resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


if __name__ == "__main__":
    main()
