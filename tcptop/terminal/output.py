"""Output to a terminal that may be slow, blocked or closed; the event loop never waits for the terminal."""

from __future__ import annotations

import asyncio
import os
import select
import termios
import time
from collections.abc import Callable
from contextlib import suppress

CANCEL = b"\x18"
"""Control character CAN, which aborts an escape sequence that was cut off."""

MAX_BACKLOG_BYTES = 64 * 1024
"""Largest number of bytes that are kept for a blocked terminal; further output is dropped. A frame is sent only when
the backlog is empty."""


class TerminalOutput:
    """Non-blocking output to a terminal.

    The terminal is opened a second time, because O_NONBLOCK on the inherited descriptor would affect the shell too.
    An output that cannot be reopened, such as a file, gets blocking writes.
    """

    def __init__(self, descriptor: int, drained: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._drained = drained
        self._backlog = b""
        self._gone = False
        again = reopen_terminal(descriptor)
        self._descriptor = os.dup(descriptor) if again is None else again

    @property
    def idle(self) -> bool:
        """True if the backlog is empty."""
        return not self._backlog

    def send(self, data: bytes) -> None:
        """Writes as much of `data` as the terminal accepts now, and the remaining bytes later."""
        if len(self._backlog) + len(data) <= MAX_BACKLOG_BYTES or not self._backlog:
            self._backlog += data
        self._write()
        if self._backlog:
            self._loop.add_writer(self._descriptor, self._continue)

    def leave(self, data: bytes, until_s: float) -> None:
        """Writes the final output; waits for the terminal until `until_s` (monotonic clock) at the latest.

        If the terminal is still blocked at `until_s`, the kernel's output buffer is discarded (TCOFLUSH). If the buffer
        is discarded, the remaining part of the frame is lost. `data` restores the terminal, and is short enough for the
        emptied buffer. The terminal reads `data` from the buffer as soon as the terminal is no longer blocked.
        """
        self._loop.remove_writer(self._descriptor)
        self._backlog += data
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        while self._backlog and poller.poll(max(0.0, until_s - time.monotonic()) * 1000):
            self._write()
            if time.monotonic() > until_s:
                break
        if self._backlog:
            with suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCOFLUSH)
            self._backlog = CANCEL + data
            self._write()
        self._backlog = b""

    def close(self) -> None:
        """Closes the output's own descriptor; drops all later output."""
        self._loop.remove_writer(self._descriptor)
        os.close(self._descriptor)
        self._gone = True

    def _write(self) -> None:
        while self._backlog and not self._gone:
            try:
                taken = os.write(self._descriptor, self._backlog)
            except BlockingIOError:
                return
            except OSError:
                # The terminal has hung up; tcptop.terminal.hangup ends the program.
                self._gone = True
            else:
                self._backlog = self._backlog[taken:]
        self._backlog = b""

    def _continue(self) -> None:
        self._write()
        if not self._backlog:
            self._loop.remove_writer(self._descriptor)
            self._drained()


def reopen_terminal(descriptor: int) -> int | None:
    """Opens the terminal of `descriptor` again with O_NONBLOCK, and returns the new descriptor.

    Returns None if `descriptor` is no terminal, or if the terminal cannot be opened again.
    """
    if not os.isatty(descriptor):
        return None
    ways = [f"/proc/self/fd/{descriptor}"]
    with suppress(OSError):
        ways.append(os.ttyname(descriptor))
    with suppress(OSError):
        os.tcgetpgrp(descriptor)  # tcgetpgrp() fails if `descriptor` is not the controlling terminal.
        ways.append("/dev/tty")  # After su, another user owns the terminal's device, but /dev/tty can be opened.
    for way in ways:
        with suppress(OSError):
            again = os.open(way, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            if os.isatty(again):
                return again
            os.close(again)
    return None
