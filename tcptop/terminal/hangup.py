"""Exit after a hang-up of the terminal, SIGHUP or SIGTERM.

For a dropped connection, the kernel sends SIGHUP only to the session that owns the terminal: a process under `su -c`,
for example, never receives the signal. After a hang-up, Textual would read end-of-file in a loop, which takes a quarter
of a CPU, and wait forever when it writes.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress

EXIT_WAIT_S = 2.0
"""Time for the program to exit by itself, in seconds, before os._exit() ends it."""


def end_on_hangup(descriptor: int, leave: Callable[[], object]) -> None:
    """Watches a terminal from a daemon thread, and ends the program when it hangs up.

    The thread sleeps in poll(2) without a requested event: then poll(2) returns only for a hang-up or an error.
    """
    poller = select.poll()
    poller.register(descriptor, 0)

    def watch() -> None:
        poller.poll()
        end(leave)

    threading.Thread(target=watch, name="tcptop hang-up", daemon=True).start()


def end_on_signals(leave: Callable[[], object]) -> None:
    """Ends the program on SIGTERM and SIGHUP, even while its event loop waits for a blocked terminal."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: end(leave))


def end(leave: Callable[[], object]) -> None:
    """Calls `leave`, and exits with code 1 if the program has not ended EXIT_WAIT_S later."""

    def force_exit() -> None:
        time.sleep(EXIT_WAIT_S)
        os._exit(1)

    with suppress(RuntimeError):  # the event loop has ended already
        leave()
    threading.Thread(target=force_exit, name="tcptop end", daemon=True).start()
