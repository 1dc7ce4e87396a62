"""Measures `--host` against an sshd on loopback: bytes, remote CPU time, requests and waiting time per sample.

Run as root, with openssh-server installed: python benchmarks/ssh_host.py [LOOKS]
"""

from __future__ import annotations

import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tcptop.hosts.ssh_host import SshHost
from tcptop.hosts.ssh_session import SshSession
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.sources.machine_load import MachineLoadSource

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from loopback_ssh import LoopbackSsh, running

INTERVAL_S = 0.3
EACH_LOOK = ("sockstat", "sockstat6", "slabinfo", "slab_counts", "meminfo", "buddyinfo", "socket_limits")
THIRD_LOOK = ("snmp", "netstat", "conntrack_stats", "tls_stat", "protocols", "zoneinfo")
"""The sources of each sample, and the sources of every third sample, at an interval of two seconds."""
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Prints a table of the costs per sample."""
    looks = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        os.environ["PATH"] = server.environment["PATH"]
        wrapper = Path(folder) / "bin/ssh"
        wrapper.write_text(wrapper.read_text().replace('"$@"', f'-v -E {folder}/debug "$@"'))
        measure(server, 0)
        first_kb = wire_kb(folder)
        rows = [measure(server, looks) for _ in range(3)]
        rows.sort(key=lambda row: row[3])
        names = (
            *("ready, ms", "first look, ms", "its bytes, KB", "wait, ms", "requests", "bytes sent"),
            *("bytes read, KB", "remote CPU, ms", "sshd CPU, ms", "own CPU, ms"),
        )
        for name, value in zip(names, rows[1], strict=True):
            print(f"{name:<16}{value:8.1f}")
        print(f"{'on the wire, KB':<16}{(wire_kb(folder) - 4 * first_kb) / (3 * looks):8.1f}")
        print(f"{'first, KB':<16}{first_kb:8.1f}")


def measure(server: LoopbackSsh, looks: int) -> Sequence[float]:
    """The costs per sample, measured in one session."""
    sent: list[tuple[int, int]] = []
    exchange = SshSession.exchange

    def count(session: SshSession, lines: Sequence[str], *rest: float) -> list[tuple[bytes, int]]:
        answers = exchange(session, lines, *rest)  # type: ignore[arg-type] # the numbers are passed on
        sent.append((sum(map(len, lines)) + len(lines), sum(len(answer) for answer, _ in answers)))
        return answers

    started_s = time.monotonic()
    host = SshHost("loop")
    ready_s = time.monotonic()
    SshSession.exchange = count  # type: ignore[assignment, method-assign] # counts what passes
    try:
        sampler = Sampler(host, [*kernel_sources(), MachineLoadSource()], INTERVAL_S)
        read_due(sampler)
        first_s = time.monotonic()
        first_bytes = sum(got for _, got in sent)
        sent.clear()
        shell = max(server.servers())
        before = (cpu_ms(shell), cpu_ms(parent(shell)), own_cpu_ms())
        waits: list[float] = []
        for number in range(looks):
            time.sleep(INTERVAL_S)
            for name in EACH_LOOK:
                sampler._paces.make_due(name)
            if number % 3 == 0:
                for name in THIRD_LOOK:
                    sampler._paces.make_due(name)
            look_s = time.monotonic()
            read_due(sampler)
            waits.append((time.monotonic() - look_s) * 1000)
        after = (cpu_ms(shell), cpu_ms(parent(shell)), own_cpu_ms())
        session = host._session
        assert session is not None
        assert session._process.stdin is not None
        session._process.stdin.close()  # ssh ends by itself, and prints how many bytes it has transferred
        session._process.wait(10)
    finally:
        SshSession.exchange = exchange  # type: ignore[method-assign] # as before
        host.close()
    looks = max(1, looks)
    spent = [(late - early) / looks for early, late in zip(before, after, strict=True)]
    return (
        (ready_s - started_s) * 1000,
        (first_s - ready_s) * 1000,
        first_bytes / 1000,
        median(waits or [0.0]),
        len(sent) / looks,
        sum(out for out, _ in sent) / looks,
        sum(got for _, got in sent) / looks / 1000,
        *spent,
    )


def cpu_ms(pid: int) -> float:
    """The CPU time of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * TICK_MS


def parent(pid: int) -> int:
    """The id of a process's parent."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def own_cpu_ms() -> float:
    """The CPU time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


def wire_kb(folder: str) -> float:
    """The bytes that ssh has sent and received, compressed, over all sessions."""
    text = Path(f"{folder}/debug").read_text(errors="replace")
    return sum(int(number) for pair in re.findall(r"sent ([0-9]+), received ([0-9]+)", text) for number in pair) / 1000


if __name__ == "__main__":
    main()
