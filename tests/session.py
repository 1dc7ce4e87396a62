"""Runs a program in a pseudo-terminal of its own, and shows its output in a terminal emulator."""

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

RECORDING = Path(__file__).resolve().parent / "recordings" / "6.1-4n" / "established"
GUARD_S = 60.0
"""Timeout that ends a failed test."""

Attributes = list[object]

TCPTOP = [sys.executable, "-m", "tcptop", "--root", str(RECORDING)]


def program(code: str) -> list[str]:
    """The command of tcptop on a recording; `code` may change `app` before it runs."""
    lines = [
        "import sys",
        "from tcptop.screen.app import TcptopApp",
        "from tcptop.screen.saved_feed import SavedFeed",
        "from tcptop.hosts.folder import FolderHost",
        f"app = TcptopApp(SavedFeed(FolderHost({str(RECORDING)!r})))",
        code,
        "app.run(mouse=False)",
        "sys.exit(app.return_code or 0)",
    ]
    return [sys.executable, "-c", "\n".join(lines)]


TEXTUAL_DRIVER = program("from textual.drivers.linux_driver import LinuxDriver\napp.driver_class = LinuxDriver")
"""The command of tcptop with Textual's own driver."""


def is_readable(descriptor: int, timeout_s: float) -> bool:
    """True if a descriptor has bytes to read within a time; select() would refuse descriptors above 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


class Session:
    """A program and its terminal, with the terminal's modes before the start."""

    def __init__(
        self,
        command: list[str],
        synchronized: bool = False,
        size: tuple[int, int] = (120, 40),
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Starts a command in a terminal of a size, with an environment (None: that of this program), in a folder."""
        columns, rows = size
        self.screen = Emulator(columns, rows)
        self.output = b""
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
            env={**(os.environ if environment is None else environment), "TERM": "xterm-256color", "PS1": "$ "},
            cwd=folder,
        )

    def attributes(self) -> Attributes:
        """The terminal's modes, from the kernel."""
        return termios.tcgetattr(self.slave)

    def type(self, keys: str) -> None:
        """Sends keys to the program."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Resizes the window; the kernel sends SIGWINCH if the size differs."""
        self.screen.resize(rows, columns)
        self._set_size(columns, rows)

    def read(self) -> bool:
        """Feeds new output to the emulator; False if there is none within 0.1 s."""
        if not is_readable(self.master, 0.1):
            return False
        data = os.read(self.master, 65536)
        self.output += data
        if self._synchronized and b"\x1b[?2026$p" in data:
            self.type("\x1b[?2026;2$y")
        self.screen.feed(self._decoder.decode(data))
        return True

    def until(self, condition: Callable[[], bool], expectation: str) -> None:
        """Reads until a condition holds."""
        deadline_s = time.monotonic() + GUARD_S
        while not condition():
            assert time.monotonic() < deadline_s, f"never: {expectation}\n{self.screen.text()}"
            self.read()

    def wait(self, condition: Callable[[], bool], expectation: str) -> None:
        """Waits until a condition holds, without reading the output."""
        deadline_s = time.monotonic() + GUARD_S
        while not condition():
            assert time.monotonic() < deadline_s, f"never: {expectation}"
            time.sleep(0.01)

    def until_shown(self, text: str) -> None:
        """Reads until the screen shows a text."""
        self.until(lambda: text in self.screen.text(), f"{text!r} is shown")

    def until_quiet(self) -> None:
        """Reads until there is no output for 0.1 s."""
        while self.read():
            pass

    def until_ended(self) -> int:
        """Reads until the program has ended; returns its exit code."""
        self.until(lambda: self.process.poll() is not None, "the program ends")
        self.until_quiet()
        assert self.process.returncode is not None
        return self.process.returncode

    def end(self) -> None:
        """Kills the program and closes the terminal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for descriptor in (self.master, self.slave):
            os.close(descriptor)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
