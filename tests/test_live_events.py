"""Overflows of a real accept queue, in a network namespace of its own, counted as the kernel counts them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live kernel")]

PROJECT = Path(__file__).resolve().parents[1]
CONNECTS = 20

CHILD = """
import fcntl, json, signal, socket, struct, subprocess, sys
signal.alarm(120)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
def overflows():
    with open("/proc/self/net/netstat") as stat:
        names, values = [line.split() for line in stat if line.startswith("TcpExt:")]
    return int(values[names.index("ListenOverflows")])
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(1)
command = [sys.executable, "-m", "tcptop", "--json", "-d", "1", "-n", "60"]
program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
reports = [json.loads(program.stdout.readline())]
clients = []
for _ in range(CONNECTS):
    clients.append(socket.socket())
    clients[-1].setblocking(False)
    clients[-1].connect_ex(listener.getsockname())
while not reports[-1]["events"]["ListenOverflows"]["total"]:
    reports.append(json.loads(program.stdout.readline()))
program.terminate()
program.wait()
before = overflows()
last = json.loads(subprocess.run([*command[:-4], "-n", "1"], stdout=subprocess.PIPE, check=True).stdout)
after = overflows()
print(json.dumps({"reports": reports, "last": last, "before": before, "after": after}))
"""


def skip_reason() -> str | None:
    """The reason why this machine cannot run the test; None if it can."""
    if os.geteuid() != 0:
        return "only root can create a network namespace"
    if shutil.which("unshare") is None:
        return "needs unshare of the package util-linux"
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        return "a network namespace cannot be created here"
    return None


def listen_queues(report: dict[str, Any]) -> str:
    [state] = [limit["state"] for limit in report["limits"] if limit["name"] == "listen_queues"]
    return str(state)


def test_overflows_of_an_accept_queue_are_counted_and_bring_its_limit_near() -> None:
    reason = skip_reason()
    if reason is not None:
        pytest.skip(reason)
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", f"CONNECTS = {CONNECTS}\n{CHILD}"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    first, grown = seen["reports"][0], seen["reports"][-1]
    assert first["events"]["ListenOverflows"]["total"] == 0
    assert listen_queues(first) == "unknown"
    event = grown["events"]["ListenOverflows"]
    assert 0 < event["total"] <= seen["before"]
    assert event["per_s"] > 0
    assert listen_queues(grown) == "near"
    assert grown["events"]["ListenDrops"]["total"] >= event["total"]
    assert seen["before"] <= seen["last"]["events"]["ListenOverflows"]["total"] <= seen["after"]
