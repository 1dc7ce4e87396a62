"""The end of a program whose terminal has gone.

A dropped connection sends SIGHUP only to the session that owns the terminal; below `su -c`, for one, nobody is told.
Textual would go on reading the end of a file, at the cost of a quarter of a CPU, and wait for ever to write.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

GRACE_S = 2.0


def end_on_hangup(descriptor: int, leave: Callable[[], object]) -> None:
    """Watches a terminal from a daemon thread, and ends the program when it hangs up.

    The thread sleeps in poll(2) without an event asked for, which returns for a hang-up only.
    """
    poller = select.poll()
    poller.register(descriptor, 0)

    def watch() -> None:
        poller.poll()
        end(leave)

    threading.Thread(target=watch, name="tcptop hang-up", daemon=True).start()


def end_on_signals(leave: Callable[[], object]) -> None:
    """Ends the program on SIGTERM and SIGHUP, also while its event loop waits for a terminal that takes no more."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: end(leave))


def end(leave: Callable[[], object]) -> None:
    """Asks the program to leave, and makes it if it has not left after a while."""

    def make() -> None:
        time.sleep(GRACE_S)
        os._exit(1)

    with suppress(RuntimeError):  # the event loop has ended already
        leave()
    threading.Thread(target=make, name="tcptop end", daemon=True).start()
