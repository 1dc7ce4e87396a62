"""The end of a program whose terminal has gone.

A dropped connection sends SIGHUP only to the session that owns the terminal; below `su -c`, for one, nobody is told.
Textual would go on reading the end of a file, at the cost of a quarter of a CPU, and wait for ever to write.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

GRACE_S = 2.0


def end_on_hangup(descriptor: int, leave: Callable[[], object]) -> None:
    """Watches a terminal from a daemon thread; when it hangs up, asks the program to leave, and then makes it.

    The thread sleeps in poll(2) without an event asked for, which returns for a hang-up only.
    """
    poller = select.poll()
    poller.register(descriptor, 0)

    def watch() -> None:
        poller.poll()
        with suppress(RuntimeError):  # the event loop has ended already
            leave()
        time.sleep(GRACE_S)
        # Still here: it hangs in a write to the terminal that is no more.
        os._exit(1)

    threading.Thread(target=watch, name="tcptop hang-up", daemon=True).start()
