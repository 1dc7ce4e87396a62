"""Sends a number of random keys to a program in a pseudo-terminal, in chunks of random length."""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from session import Session, is_readable

ESCAPE = b"\x1b"
KEYS: tuple[bytes, ...] = (
    *(bytes([code]) for code in range(0x20, 0x7F) if chr(code) not in "qQ"),
    *(ESCAPE + b"[" + letter for letter in (b"A", b"B", b"C", b"D", b"H", b"F", b"Z", b"I", b"O", b"5~", b"6~", b"3~")),
    *(b"\t", b"\r", b"\x7f", b"\x0c", b"\x00", ESCAPE, ESCAPE + b"OP", ESCAPE + b"[105u", ESCAPE + b"[58;5u"),
    *("ü".encode(), "漢".encode(), "\N{PILE OF POO}".encode(), b"\xff", b"\xe6\xbc", ESCAPE + b"["),
    *(ESCAPE + b"[200~" + text + ESCAPE + b"[201~" for text in (b"", b"q", b"tcp\r\x1b", "ü漢".encode())),
)
"""Keys of a terminal with and without the kitty protocol, pasted texts, and bytes that are no key.

Ctrl-Z is left out, because after Ctrl-Z the terminal itself handles Ctrl-C.
"""

OPENING_KEYS = (b"i", b"M", b"?", b"/", b"g", b"d", b"j", b"w", b":", b"\r", ESCAPE)
QUITTING_KEYS = (b"q", b"Q", b"\x03")
IDLE_S = 0.03
"""Time without CPU time after which a program is idle."""
MAX_BUSY_S = 5.0
"""Longest wait until a program is idle: while the command palette searches, its moving dots take CPU time."""
CHUNK_KEYS = (1, 1, 2, 3, 8, 40, 300)
SIZES = ((40, 5), (60, 12), (80, 24), (100, 30), (120, 40), (160, 50), (240, 70))


def random_keys(generator: random.Random, count: int) -> list[bytes]:
    """Random keys: a third of the keys open or close screens, and one key in 400 may quit."""
    pools = ((KEYS, 66), (OPENING_KEYS, 34), (QUITTING_KEYS, 0.25))
    chosen = generator.choices([pool for pool, _ in pools], [weight for _, weight in pools], k=count)
    return [generator.choice(pool) for pool in chosen]


class Storm:
    """Sends random keys to a program, which is started again when a key has quit it."""

    def __init__(self, start: Callable[[], Session], seed: int) -> None:
        self._start = start
        self._random = random.Random(seed)
        self._session = start()
        self._tail = b""
        self.starts = 1

    def run(self, count: int, resizes: bool = False) -> None:
        """Sends keys, and ends the program; fails if the program ends with an error or does not end."""
        try:
            left = random_keys(self._random, count)
            while left:
                size = self._random.choice(CHUNK_KEYS)
                self._send(b"".join(left[:size]))
                left = left[size:]
                if self._random.random() < 0.7:
                    self._read_until_idle()
                if resizes and self._random.random() < 0.02:
                    self._session.resize(*self._random.choice(SIZES))
            self._read_until_idle()
            self._end()
        finally:
            self._session.end()

    def _send(self, data: bytes) -> None:
        """Sends all of the data, and reads while the terminal takes no more."""
        while data:
            if self._session.process.poll() is not None:
                self._check_exit()
                self._session.end()
                self._session = self._start()
                self._tail = b""
                self.starts += 1
                return
            master = self._session.master
            poll = select.poll()
            poll.register(master, select.POLLIN | select.POLLOUT)
            [(_, events)] = poll.poll(100) or [(master, 0)]
            if events & select.POLLIN:
                self._tail = (self._tail + os.read(master, 65536))[-20_000:]
            if events & select.POLLOUT:
                os.set_blocking(master, False)
                data = data[os.write(master, data) :]
                os.set_blocking(master, True)

    def _read(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while is_readable(self._session.master, max(0.0, end_s - time.monotonic())):
            self._tail = (self._tail + os.read(self._session.master, 65536))[-20_000:]

    def _read_until_idle(self) -> None:
        """Reads until the program sleeps and uses no CPU time, so that it has handled all keys."""
        end_s = time.monotonic() + MAX_BUSY_S
        while time.monotonic() < end_s and self._session.process.poll() is None:
            before = self._activity()
            self._read(IDLE_S)
            if before == self._activity() and before[0] == "S":
                return

    def _activity(self) -> tuple[str, str]:
        """State of the program, and its CPU time; it is R, not S, while it waits for a CPU."""
        with suppress(FileNotFoundError, ProcessLookupError):
            process = Path(f"/proc/{self._session.process.pid}")
            state = (process / "stat").read_text().rpartition(") ")[2][0]
            return state, (process / "schedstat").read_text().split()[0]
        return "Z", ""

    def _end(self) -> None:
        """Quits: Ctrl-C first closes open screens, then the program."""
        deadline_s = time.monotonic() + 120
        while self._session.process.poll() is None:
            assert time.monotonic() < deadline_s, f"it does not end: {self._tail[-2000:]!r}"
            # The keys are the end of an unfinished pasted text, ESC for the command palette, and Ctrl-C for all other
            # screens.
            for key in (ESCAPE + b"[201~", ESCAPE, b"\x03"):
                if self._session.process.poll() is None:
                    os.write(self._session.master, key)
                    self._read(0.15)
        self._check_exit()

    def _check_exit(self) -> None:
        self._read(0.1)
        code, output = self._session.process.returncode, self._tail.decode(errors="replace")
        assert code == 0, f"exit code {code}: {output[-4000:]}"
        assert "Traceback" not in output, output[-4000:]
        assert self._session.attributes() == self._session.before, f"the terminal is not restored: {output[-4000:]!r}"


def run_storm(
    command: list[str], environment: dict[str, str], folder: Path, size: tuple[int, int], seed: int, count: int
) -> int:
    """Runs a storm of keys on a program that runs in an empty folder; returns how often it was started."""
    environment = {**environment, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}

    def start() -> Session:
        session = Session(command, size=size, environment=environment, folder=folder)
        # Before the program has set up the terminal, the terminal itself would handle Ctrl-C.
        session.until(lambda: session.attributes() != session.before, "the program has set up the terminal")
        return session

    storm = Storm(start, seed)
    storm.run(count, resizes=seed % 2 == 1)
    return storm.starts
