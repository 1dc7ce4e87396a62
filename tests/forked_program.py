"""Runs tcptop in a process forked from a process that has imported tcptop, since imports take most of a start."""

from __future__ import annotations

import gc
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
GUARD_S = 60.0
"""Timeout that ends a failed test; no time is asserted."""
READ_AT_START = ("PYTHON", "LC_", "LANG")
"""First letters of the variables that Python itself reads as it starts."""
FOLLOWED = ("PYTHONPATH", "PYTHONIOENCODING")
"""Variables that also work in a forked process."""
NOT_IMPORTED = ("tcptop.__main__", "tcptop.screen", "tcptop.widgets", "tcptop.terminal", "tcptop.exporter")
MESSAGE_BYTES = 1 << 20


def run(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = PROJECT,
    extra_groups: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m tcptop` with these arguments and no input; a variable that Python reads takes a real start."""
    variables = dict(os.environ if environment is None else environment)
    words = [sys.executable, "-m", "tcptop", *map(str, arguments)]
    if start_variables(variables) != start_variables(os.environ):
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=GUARD_S,
            check=False,
            cwd=folder,
            env={"PYTHONPATH": str(PROJECT), **variables},
            extra_groups=extra_groups or None,
        )
    request = json.dumps([words[3:], variables, str(folder), [*extra_groups]]).encode()
    with open(os.devnull) as nothing, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:  # noqa: PTH123 (no path)
        connection = server()
        socket.send_fds(connection, [request], [nothing.fileno(), output.fileno(), errors.fileno()])
        process = int(connection.recv(MESSAGE_BYTES))
        try:
            code = int(connection.recv(MESSAGE_BYTES))
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            connection.recv(MESSAGE_BYTES)
            raise subprocess.TimeoutExpired(words, GUARD_S) from None
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(variables.get("PYTHONIOENCODING", "utf-8")))
    return subprocess.CompletedProcess(words, code, *texts)


def start_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that Python reads as it starts, and that a forked process does not follow."""
    return {
        name: value for name, value in environment.items() if name.startswith(READ_AT_START) and name not in FOLLOWED
    }


@cache
def server() -> socket.socket:
    """The connection to the process that forks; that process ends when the connection is closed."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.settimeout(GUARD_S)
    with there:
        subprocess.Popen(
            [sys.executable, __file__, str(there.fileno())],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            cwd=PROJECT,
        )
    return here


def serve(connection: socket.socket) -> None:
    """Forks for each request; returns in the forked process, and ends this one when the other end is closed."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
        if not request:
            sys.exit(0)
        process = os.fork()
        if process == 0:
            connection.close()
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            arguments, variables, folder, groups = json.loads(request)
            if groups:
                os.setgroups(groups)
            sys.argv[1:] = arguments
            os.environ.clear()
            os.environ.update(variables)
            time.tzset()
            os.chdir(folder)
            for stream in (sys.stdout, sys.stderr) if "PYTHONIOENCODING" in variables else ():
                assert isinstance(stream, io.TextIOWrapper)
                stream.reconfigure(encoding=variables["PYTHONIOENCODING"])
            return
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(str(process).encode())
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())


if __name__ == "__main__":
    given = int(sys.argv[1])
    # The arguments are those of `python -m tcptop`, because hints name the program.
    sys.path[0] = str(PROJECT)
    sys.argv[:] = [str(PROJECT / "tcptop" / "__main__.py")]
    package = import_module("tcptop")
    for module in pkgutil.walk_packages(package.__path__, "tcptop."):
        if not module.name.startswith(NOT_IMPORTED):
            import_module(module.name)
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=given))
    runpy.run_module("tcptop", run_name="__main__", alter_sys=True)
