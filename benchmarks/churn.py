"""Opens, accepts and closes 200 connections per second over loopback, in a separate network namespace."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator

from tcptop.lab.socket_program import bring_loopback_up, die_with_parent, enter_namespace

PER_SECOND = 200
TICK_S = 0.05


def open_and_close_forever() -> None:
    """Opens, accepts and closes connections until the process is killed."""
    with socket.create_server(("127.0.0.1", 0), backlog=PER_SECOND) as server:
        next_s = time.monotonic()
        while True:
            for _ in range(int(PER_SECOND * TICK_S)):
                with socket.create_connection(server.getsockname()):
                    accepted, _ = server.accept()
                    accepted.close()
            next_s += TICK_S
            time.sleep(max(0.0, next_s - time.monotonic()))


@contextlib.contextmanager
def churn() -> Iterator[bool]:
    """Runs the load until the end of the `with` block.

    Yields False without root, since only root may create a namespace.
    """
    if os.geteuid() != 0:
        yield False
        return
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(parent)
        enter_namespace()
        bring_loopback_up()
        open_and_close_forever()
    try:
        yield True
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
