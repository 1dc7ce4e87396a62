"""The parent's side of socket_program.py: starts the child process, sends it commands, and kills it at the end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tcptop.errors import TcptopError

PROGRAM = Path(__file__).with_name("socket_program.py")

ANSWER_TIMEOUT_S = 35.0
"""Longest wait for an answer of the child. The wait is longer than `COMMAND_TIMEOUT_S`, so that a slow child is killed
by its own alarm before the wait ends."""

STATE_TIMEOUT_S = 3.0
"""Time allowed for all sockets to reach their state; loopback needs milliseconds."""

POLL_S = 0.01

STRAY_SHARE = 0.002
STRAY_WAIT_S = 0.4
"""After `STRAY_WAIT_S`, the lab accepts that some sockets are in a wrong state: at most the share `STRAY_SHARE` of all
sockets. For example, if the FINs of both ends cross, both ends enter TIME_WAIT."""

STEP_ERRORS: dict[str, str] = {
    "namespace": "lab needs a network namespace of its own, and the kernel refused one",
    "loopback": "the loopback of the new network namespace cannot be brought up",
    "descriptors": "the process for the sockets got too few file descriptors",
    "CPU": "the process for the sockets cannot stay on one CPU",
    "sockets": "the process for the sockets cannot listen on loopback (is IPv6 off?)",
}


class RefusedCommandError(TcptopError):
    """An error that states which command the kernel refused, and why."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"{STEP_ERRORS.get(command, f'a step of the lab failed ({command})')}: {reason}")
        self.command = command
        self.reason = reason


class SocketCounts(NamedTuple):
    """Numbers of sockets and shared ports in the lab's network namespace."""

    inuse: int
    """Full sockets, without listeners."""
    time_wait: int
    """Mini-sockets: TIME_WAIT, and FIN_WAIT2 after close()."""
    few_ports: int
    """Local ports that clients share (`open_few_ports`)."""


class SocketProcess:
    """A child process that runs socket_program.py."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def send_command(self, command: str, count: int = 0) -> SocketCounts:
        """Sends one command, waits for the answer, and returns the counts in the answer.

        Raises:
            RefusedCommandError: if the kernel refuses an operation of the command.
            TcptopError: if the process does not answer.

        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{command} {count}\n".encode())
        except OSError:
            raise TcptopError("the process that holds the sockets ended (was it killed?)") from None
        return self.read_answer()

    def read_answer(self) -> SocketCounts:
        """Reads the next answer; raises the same errors as `send_command`."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], ANSWER_TIMEOUT_S)
        if not ready:
            raise TcptopError(f"the process that holds the sockets did not answer within {ANSWER_TIMEOUT_S:.0f} s")
        # The child writes each line in one piece, so readline() never waits for the rest of a line.
        line = self._process.stdout.readline()
        if not line:
            raise TcptopError("the process that holds the sockets ended (was it killed, or out of memory?)")
        reply = json.loads(line)
        if "failed" in reply:
            raise RefusedCommandError(reply["failed"], reply["error"])
        return SocketCounts(**reply)

    def wait_for_states(self, inuse: int | None, time_wait: int) -> None:
        """Waits until the namespace has the given number of full sockets and the given number of mini-sockets.

        Args:
            inuse: number of full sockets; None if any number is right.
            time_wait: number of mini-sockets.

        Raises:
            TcptopError: if the counts still differ after `STATE_TIMEOUT_S`.

        """
        started_s = time.monotonic()
        allowed = round(STRAY_SHARE * (time_wait + (inuse or 0)))
        while True:
            counts = self.send_command("count")
            off = abs(counts.time_wait - time_wait) + (abs(counts.inuse - inuse) if inuse is not None else 0)
            waited_s = time.monotonic() - started_s
            if not off or (off <= allowed and waited_s > STRAY_WAIT_S):
                return
            if waited_s > STATE_TIMEOUT_S:
                wanted = f"{'any' if inuse is None else inuse} open and {time_wait} in TIME_WAIT"
                raise TcptopError(
                    f"the sockets did not stay in their states: {counts.inuse} open and {counts.time_wait} in"
                    f" TIME_WAIT instead of {wanted}; try fewer --connections"
                )
            time.sleep(POLL_S)


@contextlib.contextmanager
def start_socket_process(ipv6: bool, connections: int) -> Iterator[SocketProcess]:
    """Starts the child process. At the end of the `with` block, kills the child and waits until it has ended.

    Args:
        ipv6: True for IPv6 sockets, False for IPv4.
        connections: maximum number of connections that will be open at the same time.

    Raises:
        TcptopError: if a step of the child's setup fails.

    """
    arguments = [str(os.getpid()), "6" if ipv6 else "4", str(connections)]
    # The child has a session of its own, so Ctrl-C reaches only the parent, which then kills the child.
    process = subprocess.Popen(
        [sys.executable, "-I", str(PROGRAM), *arguments],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        running = SocketProcess(process)
        running.read_answer()
        yield running
    finally:
        # After a first Ctrl-C, a second Ctrl-C must not interrupt the cleanup.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        process.kill()
        process.communicate()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


KTLS_COMMANDS = ("attach_tls", "enable_tls_tx", "enable_tls_rx")


def find_ktls_refusal(ipv6: bool, connections: int) -> str | None:
    """One line of text with the reason why this kernel refuses kernel TLS; None if sockets can get kernel TLS.

    Opens `connections` connections, gives kernel TLS to them, and frees them. If the kernel has a module `tls`, the
    kernel first loads the module (net/ipv4/tcp_ulp.c, __tcp_ulp_find_autoload). Freed objects remain on per-CPU slabs
    and in sheaves, and count as active. The freed objects of these connections prevent a drift in the first run with
    kernel TLS. Without these objects, the closing reading would count freed objects of the run itself, but the opening
    reading would not.
    """
    with start_socket_process(ipv6, connections) as process:
        process.send_command("open", connections)
        try:
            for command in KTLS_COMMANDS:
                process.send_command(command, connections)
        except RefusedCommandError as error:
            if error.command == "attach_tls":
                return f"the kernel has no module tls, or cannot load it ({error.reason})"
            return f"the kernel refuses TLS 1.2 with AES-128-GCM ({error.reason})"
    return None
