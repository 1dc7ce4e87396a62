"""Compares CPU time and memory of `tcptop who` and `ss -tanm`; needs root.

`python benchmarks/who.py [CONNECTIONS] [ROUNDS]` opens CONNECTIONS connections (two sockets each) in a network
namespace of its own. Both programs run alternately in this namespace. The output is the medians and their ratio. The
namespace ends with the program.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CLONE_NEWNET = 0x40000000
PER_PROCESS = 8_000
"""Connections of a process; both ends of a connection are in one process."""
PORTS = (1_024, 60_000)


def enter_own_namespace() -> None:
    """Makes a network namespace with a loopback device and many ports, and enters it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        sys.exit("only root may make a network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{PORTS[0]} {PORTS[1]}")


def hold(count: int, port: int) -> None:
    """Opens connections to a port of this process, reports it, and waits for the parent's end."""
    server = socket.socket()
    server.bind(("127.0.0.1", port))
    server.listen(4_096)
    held = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        held.append((client, server.accept()[0]))
    print("ready", flush=True)
    signal.pause()


def open_connections(count: int) -> list[subprocess.Popen[str]]:
    """Starts the processes that hold the connections."""
    children = []
    for number in range(-(-count // PER_PROCESS)):
        part = min(PER_PROCESS, count - number * PER_PROCESS)
        command = [sys.executable, str(PROJECT / "benchmarks/who.py"), "--hold", str(part), str(PORTS[1] + 1 + number)]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    for child in children:
        assert child.stdout is not None
        if child.stdout.readline() != "ready\n":
            sys.exit("the connections could not be opened")
    return children


def measure(command: list[str]) -> tuple[float, float, float]:
    """CPU seconds of a program in total, CPU seconds in the kernel, and the largest resident memory in MiB."""
    # An installed tcptop has compiled modules.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with Path("/dev/null").open("w") as nowhere:
        process = subprocess.Popen(command, stdout=nowhere, cwd=PROJECT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measures both programs."""
    if sys.argv[1:2] == ["--hold"]:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        hold(int(sys.argv[2]), int(sys.argv[3]))
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    enter_own_namespace()
    programs = {"tcptop who": [sys.executable, "-m", "tcptop", "who", "--here"]}
    if shutil.which("ss"):
        programs["ss -tanm"] = ["ss", "-tanm"]
    children = open_connections(connections)
    try:
        time.sleep(1)
        for command in programs.values():
            measure(command)
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, command in programs.items():
                found[name].append(measure(command))
    finally:
        for child in children:
            child.kill()
            child.wait()
    print(f"{2 * connections} sockets, medians of {rounds} rounds in turn")
    cpu = {}
    for name, measured in found.items():
        cpu[name], kernel, memory = map(statistics.median, zip(*measured, strict=True))
        print(f"{name:<12} CPU {cpu[name]:.2f} s ({kernel:.2f} s in the kernel), memory {memory:.0f} MiB")
    if len(cpu) == 2:
        print(f"ratio of CPU {cpu['tcptop who'] / cpu['ss -tanm']:.2f}")


if __name__ == "__main__":
    main()
