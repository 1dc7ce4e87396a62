"""A terminal that goes away takes the program with it, also where no SIGHUP is sent."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

RECORDING = Path(__file__).resolve().parents[1] / "recordings" / "6.1-4n" / "established"
GUARD_S = 60.0


def test_a_closed_terminal_ends_the_screen_without_a_signal() -> None:
    master, slave = pty.openpty()
    # start_new_session without a controlling terminal: as below `su -c`, the kernel sends no SIGHUP.
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
        seen = b""
        until_s = time.monotonic() + GUARD_S
        while b"sockets" not in seen and time.monotonic() < until_s:
            if select.select([master], [], [], 1.0)[0]:
                seen += os.read(master, 65536)
        assert b"sockets" in seen
        os.close(master)
        process.wait(GUARD_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, 1)
