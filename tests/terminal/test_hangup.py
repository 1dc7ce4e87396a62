"""The program ends when its terminal hangs up, even without SIGHUP."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from session import TCPTOP, Session, is_readable
from slow_case import slow

RECORDING = Path(__file__).resolve().parents[1] / "recordings" / "6.1-4n" / "established"
GUARD_S = 60.0


def test_a_hang_up_without_sighup_ends_the_program() -> None:
    master, slave = pty.openpty()
    # In a new session without a controlling terminal, as under `su -c`, the kernel sends no SIGHUP.
    process = subprocess.Popen(
        [sys.executable, "-m", "tcptop", "--root", str(RECORDING)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(slave)
    try:
        output = b""
        deadline_s = time.monotonic() + GUARD_S
        while b"sockets" not in output and time.monotonic() < deadline_s:
            if is_readable(master, 1.0):
                output += os.read(master, 65536)
        assert b"sockets" in output
        os.close(master)
        process.wait(GUARD_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, 1)


@pytest.mark.parametrize(
    "name",
    ["QUIT", *map(slow, ("USR1", "USR2", "ALRM", "VTALRM", "PROF", "XCPU", "ABRT", "IO", "PWR", "RTMIN", "RTMAX"))],
)
def test_a_signal_that_kills_leaves_the_terminal_restored(name: str) -> None:
    """The shell must see that the signal ended the program."""
    number = getattr(signal, f"SIG{name}")
    session = Session(TCPTOP)
    try:
        session.until_shown("sockets")
        session.process.send_signal(number)
        assert session.until_ended() == -number
        assert session.attributes() == session.before
        assert session.output.rfind(b"\x1b[?1049l") > session.output.rfind(b"\x1b[?1049h") >= 0
        assert session.output.rfind(b"\x1b[?25h") > session.output.rfind(b"\x1b[?25l") > 0
    finally:
        session.end()


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_ignored() -> None:
    session = Session(["sh", "-c", f"trap '' USR1; exec {shlex.join(TCPTOP)}"])
    try:
        session.until_shown("sockets")
        session.process.send_signal(signal.SIGUSR1)
        session.type("?")
        session.until_shown("Help")
    finally:
        session.end()
