"""A program in a pseudo-terminal of its own, and the emulator that a person would look at."""

from __future__ import annotations

import codecs
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from emulator import Emulator

RECORDING = Path(__file__).resolve().parents[1] / "recordings" / "6.1-4n" / "established"
GUARD_S = 60.0
"""Only ends a test that has failed."""

Attributes = list[object]

SHORT = [sys.executable, "-m", "tcptop", "--root", str(RECORDING)]


def program(code: str) -> list[str]:
    """tcptop on a recording, with `app` changed by some code before it runs."""
    lines = [
        "import sys",
        "from tcptop.screen.recording_app import RecordingApp",
        "from tcptop.hosts.folder import FolderHost",
        f"app = RecordingApp(FolderHost({str(RECORDING)!r}))",
        code,
        "app.run(mouse=False)",
        "sys.exit(app.return_code or 0)",
    ]
    return [sys.executable, "-c", "\n".join(lines)]


LONG = program("from textual.drivers.linux_driver import LinuxDriver\napp.driver_class = LinuxDriver")
"""The same with Textual's own driver."""


class Session:
    """A program, its terminal, and what the terminal was before."""

    def __init__(self, command: list[str], synchronized: bool = False) -> None:
        columns, rows = 120, 40
        self.screen = Emulator(columns, rows)
        self.seen = b""
        self._synchronized = synchronized
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.master, self.slave = os.openpty()
        self._set_size(columns, rows)
        self.before = self.attributes()
        self.process = subprocess.Popen(
            command,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm-256color", "PS1": "$ "},
        )

    def attributes(self) -> Attributes:
        """The terminal's modes, from the kernel."""
        return termios.tcgetattr(self.slave)

    def type(self, keys: str) -> None:
        """As if somebody did."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Another window: the kernel sends SIGWINCH where the size differs."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def read(self) -> bool:
        """Shows what was written since; False where nothing came for a while."""
        if not select.select([self.master], [], [], 0.1)[0]:
            return False
        data = os.read(self.master, 65536)
        self.seen += data
        if self._synchronized and b"\x1b[?2026$p" in data:
            self.type("\x1b[?2026;2$y")
        self.screen.feed(self._decoder.decode(data))
        return True

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Reads until something is so."""
        until_s = time.monotonic() + GUARD_S
        while not condition():
            assert time.monotonic() < until_s, f"never: {what}\n{self.screen.text()}"
            self.read()

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Waits until something is so, without a look at what is written."""
        until_s = time.monotonic() + GUARD_S
        while not condition():
            assert time.monotonic() < until_s, f"never: {what}"
            time.sleep(0.01)

    def until_shown(self, text: str) -> None:
        """Reads until a text stands on the screen."""
        self.until(lambda: text in self.screen.text(), f"{text!r} is shown")

    def until_quiet(self) -> None:
        """Reads until nothing more comes."""
        while self.read():
            pass

    def until_ended(self) -> int:
        """Reads until the program has ended; gives its exit code."""
        self.until(lambda: self.process.poll() is not None, "the program ends")
        self.until_quiet()
        assert self.process.returncode is not None
        return self.process.returncode

    def end(self) -> None:
        """Takes everything down."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for descriptor in (self.master, self.slave):
            os.close(descriptor)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
