"""Ends the program on a hang-up of the terminal, on SIGHUP, on SIGTERM, and on other signals that kill a program.

When a connection is lost, the kernel sends SIGHUP only to the session that owns the terminal: a process under `su -c`,
for example, never receives the signal. After a hang-up, Textual would read end-of-file in an endless loop, which takes
a quarter of a CPU. A write by Textual after a hang-up would wait forever.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
"""Signals that a faulty instruction raises.

Signals in this set get no handler: after a handler returned, the faulty instruction would raise the signal again.
"""
HANDLED_ELSEWHERE = ("SIGINT", "SIGTSTP", "SIGCONT", "SIGWINCH", "SIGTTIN", "SIGTTOU")
NOT_DEADLY = ("SIGCHLD", "SIGURG")
NOT_HANDLED = ("SIGKILL", "SIGSTOP", *FAULTS)

EXIT_WAIT_S = 2.0
"""Time for the program to exit by itself, in seconds, before os._exit() ends it."""


_ended = threading.Event()
received_signals: list[int] = []
"""Deadly signals in the order received.

Once the terminal is restored, the program kills itself by the first signal in this list.
"""


def end_on_hangup(descriptor: int, leave: Callable[[], object]) -> None:
    """Ends the program on SIGTERM, SIGHUP or a hang-up, even while the event loop waits for a blocked terminal.

    The program also ends on every other signal that would kill the program. At the end, the caller must call
    `die_by_received_signal`. A daemon thread waits in poll(2) and requests no event, so that poll(2) returns only on a
    hang-up or an error.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: end(leave))

    def end_by_signal(number: int, _: object) -> None:
        received_signals.append(number)
        end(leave)

    for number in signal.valid_signals() - {
        getattr(signal, name) for name in (*HANDLED_ELSEWHERE, *NOT_DEADLY, *NOT_HANDLED)
    }:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end_by_signal)
    poller = select.poll()
    poller.register(descriptor, 0)

    def watch() -> None:
        poller.poll()
        end(leave)

    threading.Thread(target=watch, name="tcptop hang-up", daemon=True).start()


def die_by_received_signal() -> None:
    """Kills this program by the first deadly signal that it received.

    The parent of the program can thus see which signal ended the program.
    """
    if received_signals:
        signal.signal(received_signals[0], signal.SIG_DFL)
        os.kill(os.getpid(), received_signals[0])


def is_ending() -> bool:
    """True if a signal or a hang-up has begun to end the program, so that no further screen may be shown."""
    return _ended.is_set()


def end(leave: Callable[[], object]) -> None:
    """Calls `leave`. If the program still runs EXIT_WAIT_S later, ends the program with exit code 1."""
    _ended.set()
    with suppress(RuntimeError):  # the event loop has ended already
        leave()
    timer = threading.Timer(EXIT_WAIT_S, os._exit, [1])
    timer.daemon = True
    timer.start()
