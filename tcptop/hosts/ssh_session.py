"""One session of the system's ssh with the remote program: the process, its greeting, and answers within bounds.

Everything that comes from the other machine is untrusted. Each answer has a limit on its bytes and on its time; a
session that exceeds a limit is ended.
"""

from __future__ import annotations

import atexit
import os
import secrets
import select
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from tcptop.hosts.remote_shell import MAX_BEFORE_HELLO_BYTES, Hello, find_hello, remote_command, start_text
from tcptop.text.printable import printable_name

MAX_ANSWER_BYTES = 16 << 20
MAX_EXIT_CODE_BYTES = 16
"""Maximum length of the text between the nonce at the end of an answer and the next line feed."""
ANSWER_S = 10.0
"""Longest time from a request to its whole answer, and from the start of ssh to the greeting."""
STEADY_BYTES_PER_S, STEADY_ANSWER_S = 40_000, 60.0
"""An answer may take up to STEADY_ANSWER_S if its rate is at least STEADY_BYTES_PER_S. For example, packed BTF has
2 MB, and takes 50 s at this rate."""
STEADY_STEP_S = 1.0
"""Time from one measurement of an answer's rate to the next."""
ASKED_S = 120.0
"""Longest time from the start of ssh to the greeting if ssh may ask for a password on the terminal. The time is the
default LoginGraceTime of sshd."""
END_S = 0.5
MAX_STDERR_BYTES = 4096
MAX_REASON_CHARACTERS = 120
CHUNK_BYTES = 1 << 16

OPTIONS = (
    *("-T", "-a", "-x"),
    *("-o", "Compression=yes"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "RemoteCommand=none"),
)
"""Options of ssh in addition to the user's configuration. No option may make ssh trust an unknown host key."""


class SessionEndedError(Exception):
    """Error raised when a session has ended or was ended; the reason is one line."""


class SshSession:
    """A running ssh process.

    `wait_for_hello` must have returned True before the first request.
    """

    def __init__(self, name: str, sudo: bool, may_ask: bool) -> None:
        """Starts ssh for a host; with `may_ask`, ssh may ask on the terminal for a password or about a host key.

        Raises:
            SessionEndedError: if ssh cannot be started.

        """
        self._nonce = secrets.token_hex(16)
        self.hello: Hello | None = None
        self.received_bytes = 0
        self._waiting = start_text(self._nonce).encode("ascii")
        self._data = bytearray()
        self._stderr = b""
        self._has_stderr = True
        self._end_s = time.monotonic() + (ASKED_S if may_ask else ANSWER_S)
        batch = () if may_ask else ("-o", "BatchMode=yes")
        try:
            self._process = subprocess.Popen(
                ("ssh", *OPTIONS, *batch, "--", name, remote_command(sudo)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                # In a new session (setsid), ssh has no terminal, so ssh asks nothing, and Ctrl-C does not end ssh.
                start_new_session=not may_ask,
            )
        except OSError as error:
            raise SessionEndedError(f"ssh cannot be run: {error.strerror}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin, self._stdout, self._error = (
            each.fileno() for each in (self._process.stdin, self._process.stdout, self._process.stderr)
        )
        for descriptor in (self._stdin, self._stdout, self._error):
            os.set_blocking(descriptor, False)
        atexit.register(self.close)

    def wait_for_hello(self, timeout_s: float | None = None) -> bool:
        """Waits for the greeting; returns False if the greeting has not arrived after `timeout_s` (None: no limit).

        Raises:
            SessionEndedError: if the session has ended, or no greeting came within the limits on time and bytes.
        """
        deadline_s = self._end_s if timeout_s is None else min(self._end_s, time.monotonic() + timeout_s)
        while self.hello is None:
            found = find_hello(bytes(self._data[:MAX_BEFORE_HELLO_BYTES]), self._nonce)
            if found is not None:
                self.hello = found[0]
                del self._data[: found[1]]
            elif len(self._data) >= MAX_BEFORE_HELLO_BYTES:
                self.end(f"its login prints more than {MAX_BEFORE_HELLO_BYTES >> 10} KiB, and no shell answers")
            elif time.monotonic() >= self._end_s:
                self.end("no shell has answered in time")
            elif time.monotonic() >= deadline_s:
                return False
            else:
                self._pump(deadline_s)
        if self.hello.system != "Linux":
            self.end(f"runs {printable_name(self.hello.system)}, not Linux")
        return True

    def exchange(self, lines: Sequence[str], answers: int) -> list[tuple[bytes, int]]:
        """Sends request lines, and returns the given number of answers: the bytes and the exit code of each.

        All answers together may take ANSWER_S, or up to STEADY_ANSWER_S at a rate of at least STEADY_BYTES_PER_S.

        Raises:
            SessionEndedError: if the session has ended, or an answer exceeds a limit on time or bytes.

        """
        self._waiting += "".join(f"{line}\n" for line in lines).encode("ascii")
        started_s = time.monotonic()
        deadline_s = started_s + ANSWER_S
        earlier_bytes = self.received_bytes
        found: list[tuple[bytes, int]] = []
        mark = b"\n%b " % self._nonce.encode("ascii")
        searched = 0
        while len(found) < answers:
            start = self._data.find(mark, searched)
            end = -1 if start < 0 else self._data.find(b"\n", start + len(mark))
            if end >= 0:
                code = bytes(self._data[start + len(mark) : end])
                if not code.isdigit() or len(code) > 3:
                    self.end("its answer was not understood")
                found.append((bytes(self._data[:start]), int(code)))
                del self._data[: end + 1]
                searched = 0
                continue
            if (len(self._data) if start < 0 else start) > MAX_ANSWER_BYTES:
                self.end(f"an answer of more than {MAX_ANSWER_BYTES >> 20} MiB")
            if start >= 0 and len(self._data) - start - len(mark) > MAX_EXIT_CODE_BYTES:
                self.end("its answer was not understood")
            now_s = time.monotonic()
            if now_s >= deadline_s:
                took_s = now_s - started_s
                if took_s >= STEADY_ANSWER_S or self.received_bytes - earlier_bytes < STEADY_BYTES_PER_S * took_s:
                    self.end(f"no {'whole ' if self.received_bytes > earlier_bytes else ''}answer in {took_s:.0f} s")
                deadline_s = min(now_s + STEADY_STEP_S, started_s + STEADY_ANSWER_S)
            searched = start if start >= 0 else max(0, len(self._data) - len(mark))
            self._pump(deadline_s)
        return found

    def end(self, reason: str) -> None:
        """Ends the session, and raises SessionEndedError with a reason."""
        self.close()
        raise SessionEndedError(reason)

    def terminate(self) -> None:
        """Tells ssh to end, and does not wait until ssh has ended. May be called from another thread."""
        with suppress(OSError):
            self._process.terminate()

    def close(self) -> None:
        """Ends ssh, and waits for its end. May be called from another thread, and more than once."""
        atexit.unregister(self.close)
        self.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)

    def _pump(self, deadline_s: float) -> None:
        """Sends waiting bytes to ssh, and reads the bytes that ssh has printed.

        First waits until ssh takes bytes or has printed bytes, but at most until a deadline.

        Raises SessionEndedError if ssh has ended.
        """
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        if self._has_stderr:
            poll.register(self._error, select.POLLIN)
        if self._waiting:
            poll.register(self._stdin, select.POLLOUT)
        ready = dict(poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000))
        if self._stdin in ready:
            # A broken pipe is ignored here, because the end of ssh's output also shows that ssh has ended.
            with suppress(BlockingIOError, BrokenPipeError):
                self._waiting = self._waiting[os.write(self._stdin, self._waiting) :]
        if self._error in ready:
            self._has_stderr = self._read_stderr()
        if self._stdout in ready:
            chunk = os.read(self._stdout, CHUNK_BYTES)
            if not chunk:
                self._raise_ended()
            self._data += chunk
            self.received_bytes += len(chunk)

    def _read_stderr(self) -> bool:
        """Reads the text that ssh has printed on standard error; returns False if ssh has printed no text."""
        with suppress(BlockingIOError):
            chunk = os.read(self._error, CHUNK_BYTES)
            self._stderr = (self._stderr + chunk)[-MAX_STDERR_BYTES:]
            return bool(chunk)
        return False

    def _raise_ended(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        while self._read_stderr():
            pass
        code = self._process.returncode
        lines = [line.strip() for line in self._stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        last = printable_name(lines[-1], MAX_REASON_CHARACTERS) if lines else ""
        self.end(last or f"ssh ended with exit code {code}")
