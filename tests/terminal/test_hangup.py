"""The program ends when its terminal hangs up, even without SIGHUP."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

from session import is_readable

RECORDING = Path(__file__).resolve().parents[1] / "recordings" / "6.1-4n" / "established"
GUARD_S = 60.0


def test_a_hang_up_without_sighup_ends_the_program() -> None:
    master, slave = pty.openpty()
    # A new session without a controlling terminal: as below `su -c`, the kernel sends no SIGHUP.
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
