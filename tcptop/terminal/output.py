"""Writing to a terminal that may be slow, take nothing any more, or be gone: the event loop never waits for it."""

from __future__ import annotations

import asyncio
import os
import select
import termios
import time
from collections.abc import Callable
from contextlib import suppress

CANCEL = b"\x18"
"""CAN: ends an escape sequence that was cut off."""

MOST_KEPT = 64 * 1024
"""Bytes kept for a terminal that takes nothing; what is more is dropped. No frame adds to them."""


class TerminalOutput:
    """A terminal's way out.

    The terminal is opened a second time, so that not waiting for it is between it and this program: the flag on the
    descriptor that was inherited is the shell's, too. What cannot be opened again, a file for one, is waited for.
    """

    def __init__(self, descriptor: int, drained: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._drained = drained
        self._left = b""
        self._watching = False
        self._gone = False
        again = opened_again(descriptor)
        self._own = again is not None
        self._descriptor = descriptor if again is None else again

    @property
    def idle(self) -> bool:
        """Whether the terminal has taken everything so far."""
        return not self._left

    def send(self, data: bytes) -> None:
        """Writes what the terminal takes now, and the rest when it takes more."""
        if len(self._left) + len(data) <= MOST_KEPT or not self._left:
            self._left += data
        if not self._watching:
            self._write()
            self._watch()

    def leave(self, data: bytes, until_s: float) -> None:
        """Writes the last of it. A terminal that has not taken it by then loses what it was sent before.

        The time is the monotonic clock's. What the terminal did not take of a frame is thrown out of the kernel's
        buffer, to make room for the little that gives the terminal back: it is there when the terminal goes on.
        """
        self._unwatch()
        self._left += data
        poller = select.poll()
        poller.register(self._descriptor, select.POLLOUT)
        while self._left and poller.poll(max(0.0, until_s - time.monotonic()) * 1000):
            self._write()
            if time.monotonic() > until_s:
                break
        if self._left:
            with suppress(termios.error):
                termios.tcflush(self._descriptor, termios.TCOFLUSH)
            self._left = CANCEL + data
            self._write()
        self._left = b""

    def close(self) -> None:
        """Gives the descriptor back."""
        self._unwatch()
        if self._own:
            os.close(self._descriptor)
        self._gone = True

    def _write(self) -> None:
        while self._left and not self._gone:
            try:
                taken = os.write(self._descriptor, self._left)
            except BlockingIOError:
                return
            except OSError:
                # It hung up: tcptop.terminal.hangup ends the program.
                self._gone = True
            else:
                self._left = self._left[taken:]
        self._left = b""

    def _watch(self) -> None:
        if self._left and not self._watching:
            self._loop.add_writer(self._descriptor, self._write_on)
            self._watching = True

    def _unwatch(self) -> None:
        if self._watching:
            self._loop.remove_writer(self._descriptor)
            self._watching = False

    def _write_on(self) -> None:
        self._write()
        if not self._left:
            self._unwatch()
            self._drained()


def opened_again(descriptor: int) -> int | None:
    """The terminal of a descriptor, opened so that writing never waits; None where it is none or cannot be opened."""
    if not os.isatty(descriptor):
        return None
    ways = [f"/proc/self/fd/{descriptor}"]
    with suppress(OSError):
        ways.append(os.ttyname(descriptor))
    with suppress(OSError):
        os.tcgetpgrp(descriptor)  # fails where it is not the controlling terminal
        ways.append("/dev/tty")  # which may be opened also by who could not open the device, after su
    for way in ways:
        with suppress(OSError):
            again = os.open(way, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            if os.isatty(again):
                return again
            os.close(again)
    return None
