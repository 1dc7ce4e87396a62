"""Host that is another machine, read over the system's ssh; nothing is installed on the other machine.

Sources that are due at the same time are read together, by one request. For one request, the other machine starts a
single `head`, however many files are read.
"""

from __future__ import annotations

import errno
import random
import threading
import time
import zlib
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from tcptop.hosts.decompress import GZIP_FORMAT
from tcptop.hosts.folder import MAX_FOLDER_NAMES, max_file_bytes
from tcptop.hosts.host import FileRead, FolderRead, HostLostError, Identity, NotAllowedError, RootDeniedError
from tcptop.hosts.remote_shell import (
    MISSING,
    NOT_ALLOWED,
    REFUSED,
    can_ask,
    parse_cpu_us,
    parse_ls,
    parse_reasons,
    split_files,
)
from tcptop.hosts.run_sync import Ask
from tcptop.hosts.ssh_session import SessionEndedError, SshSession
from tcptop.snapshot import SSH_PLACE
from tcptop.sock_diag import PREFIX as SOCK_DIAG
from tcptop.sock_diag import SOCKETS_ARE_LOCAL

WHOLE_FILES = frozenset(
    (
        "sys/kernel/btf/vmlinux",
        "sys/kernel/notes",
        "proc/kallsyms",
        "sys/firmware/dmi/tables/smbios_entry_point",
        "sys/firmware/dmi/tables/DMI",
    )
)
"""Binary or large files, which the other machine reads by `cat` or `gzip` instead of `head`."""

MAX_LISTS = 500
"""Maximum number of lists of paths that the other machine keeps. Beyond the maximum, numbering restarts at 0, and new
lists replace old lists."""

WINDOW_BYTES = 32 << 10
"""Window of ssh's compression (zlib): text that repeats within this distance is compressed."""

RECONNECT_WAIT_S = 0.7
"""Longest time that a read waits for a reconnection; most reconnections take less."""
FIRST_DELAY_S = 1.0
MAX_DELAY_S = 60.0

US_PER_BYTE = 0.2
"""Assumed remote CPU time for a byte of text, until `MIN_MEASURED_US` have been measured."""
WHOLE_US_PER_BYTE = 0.02
"""Remote CPU time for a byte that gzip packs."""
MEASURED_LOOKS = 30
"""Number of answers over which the remote CPU time is averaged. The clock of `times` has steps of 10 ms, which is too
coarse to measure a single answer."""
MIN_MEASURED_US = 50_000


class _Request(NamedTuple):
    """The files, or the one folder, that a source reads."""

    paths: tuple[str, ...]
    is_folder: bool


class SshHost:
    """Host on the other side of an ssh session. A lost session is replaced by a new one, at growing intervals.

    `read` and `list_folder` wait with `Ask`, so `run_sync` and `run_together` run them.
    """

    def __init__(self, name: str, sudo: bool = False, may_ask: bool = False, connect: bool = True) -> None:
        """Connects; if `may_ask` is set, ssh may ask questions on the terminal. Later connections never ask.

        If the argument `connect` is False, no connection is made here. The method `connect` or the first read then
        makes the first session.

        Raises:
            OSError: with the reason in one line, if no session can be made.

        """
        self._name, self._sudo = name, sudo
        self._lock = threading.Lock()
        self._closed = False
        self._failures = 0
        self._has_answered = False
        """True if the present session has answered a request."""
        self._next_try_s = 0.0
        self._reason = ""
        self._lists: dict[tuple[str, ...], int] = {}
        self._reasons: dict[str, str] = {}
        self._costs: deque[tuple[int, float]] = deque(maxlen=MEASURED_LOOKS)
        self._total_us = 0
        self._longest: tuple[str, ...] = ()
        self._longest_first = False
        self._text_bytes = 0
        """Length of the last answer."""
        self._session: SshSession | None = None
        self.identity = Identity(live=True, place=f"{SSH_PLACE}{name}", remote_name=name, remote_sudo=sudo)
        if not connect:
            return
        try:
            self._session = SshSession(name, sudo, may_ask)
            self._wait_for_hello(self._session, None)
        except SessionEndedError as error:
            raise OSError(errno.EIO, str(error)) from None

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads files of the other machine, all at once.

        Raises HostLostError if there is no session now, or if the session ends before it has answered.
        """
        answer = await Ask(_Request(tuple(paths), False), self._answer_all)
        assert isinstance(answer, list)
        return answer

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder of the other machine; raises the same error as `read`."""
        answer = await Ask(_Request((path,), True), self._answer_all)
        assert isinstance(answer, FolderRead)
        return answer

    @property
    def is_connected(self) -> bool:
        """True if a session exists that can answer requests."""
        return self._session is not None and self._session.hello is not None

    @property
    def next_try_in_s(self) -> float | None:
        """Seconds until the next connection may be tried; None while a session exists or is being made."""
        return None if self._session is not None else max(0.0, self._next_try_s - time.monotonic())

    def connect(self) -> None:
        """Waits for the greeting of the session; first makes a session if no session exists.

        Raises HostLostError if the next connection is not due yet, or if the connection fails.
        """
        with self._lock:
            try:
                self._ready_session(None)
            except SessionEndedError as error:
                raise self._lose(str(error)) from None

    def begin_close(self) -> None:
        """Ends the session; unlike `close`, does not wait until ssh has ended. No new session is made."""
        self._closed = True
        if self._session is not None:
            self._session.terminate()

    def close(self) -> None:
        """Ends the session, even while another thread waits for an answer."""
        self._closed = True
        if self._session is not None:
            self._session.close()

    def _answer_all(self, requests: Sequence[_Request]) -> list[list[FileRead] | FolderRead]:
        with self._lock:
            try:
                return self._answer(self._ready_session(), requests)
            except SessionEndedError as error:
                raise self._lose(str(error)) from None

    def _ready_session(self, wait_s: float | None = RECONNECT_WAIT_S) -> SshSession:
        """The session, after its greeting has arrived.

        Makes a new session if the old session was lost and the next connection is due.
        """
        session = self._session
        if session is None:
            left_s = self._next_try_s - time.monotonic()
            if self._closed or left_s > 0:
                raise HostLostError(f"{self._name}: {self._reason}", f"again in {max(1.0, left_s):.0f} s")
            self._lists, self._reasons, self._total_us = {}, {}, 0
            self._costs.clear()
            session = self._session = SshSession(self._name, self._sudo, may_ask=False)
            if self._closed:  # another thread closed the host while this session was made
                session.end("closed")
        if session.hello is None and not self._wait_for_hello(session, wait_s):
            raise HostLostError(f"{self._name}: {self._reason}", "connecting again")
        return session

    def _wait_for_hello(self, session: SshSession, wait_s: float | None) -> bool:
        """Waits for the greeting, and stores its facts; returns True if the greeting came within `wait_s`."""
        if not session.wait_for_hello(wait_s):
            return False
        hello = session.hello
        assert hello is not None
        self.identity = self.identity._replace(page_size_bytes=hello.page_size_bytes, boot_id=hello.boot_id)
        return True

    def _lose(self, reason: str) -> HostLostError:
        """Ends the session.

        If the session has answered a request, a new session may be made at once. If the session has never answered, a
        new session may be made only after a delay, which grows from 1 to 60 s with each failed session.
        """
        if self._session is not None:
            self._session.close()
            self._session = None
        delay_s = 0.0 if self._has_answered else min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(self._failures, 10))
        self._failures += not self._has_answered
        self._has_answered = False
        self._next_try_s = time.monotonic() + delay_s * random.uniform(0.5, 1.0)
        self._reason = reason
        return HostLostError(f"{self._name}: {reason}")

    def _answer(self, session: SshSession, requests: Sequence[_Request]) -> list[list[FileRead] | FolderRead]:
        files = [request.paths for request in requests if not request.is_folder]
        texts = self._in_order([_text_paths(paths) for paths in files])
        wholes = list(dict.fromkeys(path for paths in files for path in paths if path in WHOLE_FILES))
        folders = list(dict.fromkeys(each.paths[0] for each in requests if each.is_folder and can_ask(each.paths[0])))
        lines = self._name_lists(texts)
        if texts:
            lines.append(f"h {' '.join(str(self._lists[paths]) for paths in texts)}")
        lines += [*(f"c {path}" for path in wholes), *(f"l {path}" for path in folders), "t"]
        number = bool(texts) + len(wholes) + len(folders) + 1
        answers = iter(session.exchange(lines, number))
        text = next(answers)[0] if texts else b""
        self._text_bytes = len(text)
        packs = session.hello is not None and session.hello.packs
        reads = {path: self._whole_read(path, *next(answers), packs) for path in wholes}
        whole_us = sum(read.took_us for read in reads.values())
        listed = {path: next(answers) for path in folders}
        [(times, _)] = answers
        reads.update(self._text_reads(session, texts, text))
        self._failures, self._has_answered = 0, True
        text_bytes = len(text) + sum(len(names) for names, _ in listed.values())
        us_per_byte = self._measure(parse_cpu_us(times), text_bytes, whole_us)
        result: list[list[FileRead] | FolderRead] = []
        for request in requests:
            if request.is_folder:
                [path] = request.paths
                names, code = listed.get(path, (b"", NOT_ALLOWED))
                result.append(self._folder_read(path, names, code, int(len(names) * us_per_byte)))
            else:
                known = [reads.get(path) or FileRead(path, None, _refusal(path), 0) for path in request.paths]
                result.append([_with_cost(read, us_per_byte) for read in known])
        return result

    def _in_order(self, lists: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """The lists of paths without empty and repeated lists; the longest list is first or last.

        ssh compresses text that repeats within 32 KB. If the last answer was longer than 32 KB, the longest list moves
        from the first place to the last, or back. The new text of the longest list thus closely follows its old text,
        and about half of the new answer repeats within 32 KB. If the order stayed the same, no text would repeat within
        32 KB.
        """
        distinct = [paths for paths in dict.fromkeys(lists) if paths and paths != self._longest]
        if not self._longest or self._longest not in lists:
            return distinct
        if self._text_bytes > WINDOW_BYTES:
            self._longest_first = not self._longest_first
        return [self._longest, *distinct] if self._longest_first else [*distinct, self._longest]

    def _name_lists(self, lists: Sequence[tuple[str, ...]]) -> list[str]:
        """The requests that give numbers to those lists of paths that have no number yet."""
        if len(self._lists) + len(lists) > MAX_LISTS:
            self._lists.clear()
        new = [paths for paths in lists if paths not in self._lists]
        self._lists.update({paths: number for number, paths in enumerate(new, len(self._lists))})
        return [f"d {self._lists[paths]} {' '.join(paths)}" for paths in new]

    def _text_reads(self, session: SshSession, lists: list[tuple[str, ...]], data: bytes) -> dict[str, FileRead]:
        """Maps each path in the lists to the read of its file.

        If a file is missing, the other machine is asked for the reason only once.
        """
        split = split_files(data, lists)
        found = {path: content for files in split for path, content in files.items()}
        if lists:
            lengths = [sum(map(len, files.values())) for files in split]
            self._longest = lists[lengths.index(max(lengths))]
        unknown = [paths for paths in lists if any(path not in found and path not in self._reasons for path in paths)]
        if unknown:
            asked = session.exchange([f"w {self._lists[paths]}" for paths in unknown], len(unknown))
            for paths, (answer, _) in zip(unknown, asked, strict=True):
                words = parse_reasons(answer)
                self._reasons.update({path: words.get(path, "refused") for path in paths if path not in found})
        for path in found:
            self._reasons.pop(path, None)
        return {
            path: FileRead(path, found[path], None, 0)
            if path in found
            else FileRead(path, None, self._error(self._reasons[path]), 0)
            for paths in lists
            for path in paths
        }

    def _error(self, word: str) -> OSError:
        if word == "missing":
            return FileNotFoundError(errno.ENOENT, "No such file or directory")
        if word == "refused":
            if self._session is not None and self._session.hello is not None and self._session.hello.uid == 0:
                return RootDeniedError(errno.EACCES, "Permission denied")
            user = self._name.rpartition("@")[2]
            return NotAllowedError(errno.EACCES, f"--sudo, or --host root@{user}")
        return OSError(errno.EIO, f"{self._name} has not answered with this file")

    def _coded_error(self, code: int) -> OSError:
        return self._error({MISSING: "missing", REFUSED: "refused", NOT_ALLOWED: "refused"}.get(code, "other"))

    def _whole_read(self, path: str, data: bytes, code: int, is_packed: bool) -> FileRead:
        if code:
            return FileRead(path, None, self._coded_error(code), 0)
        max_bytes = max_file_bytes(path)
        if is_packed:
            decompressor = zlib.decompressobj(GZIP_FORMAT)
            try:
                data = decompressor.decompress(data, max_bytes + 1)
            except zlib.error as error:
                return FileRead(path, None, OSError(errno.EIO, str(error)), 0)
            if not decompressor.eof and len(data) <= max_bytes:
                return FileRead(path, None, OSError(errno.EIO, f"the answer of {self._name} is cut off"), 0)
        if len(data) > max_bytes:
            return FileRead(path, None, OSError(errno.EFBIG, f"larger than {max_bytes >> 20} MiB"), 0)
        return FileRead(path, data, None, int(len(data) * WHOLE_US_PER_BYTE) if is_packed else 0)

    def _folder_read(self, path: str, data: bytes, code: int, took_us: int) -> FolderRead:
        if code:
            return FolderRead(path, None, self._coded_error(code), took_us)
        entries = parse_ls(data)
        if len(entries) > MAX_FOLDER_NAMES:
            error = OSError(errno.E2BIG, f"more than {MAX_FOLDER_NAMES} names in the folder")
            return FolderRead(path, None, error, took_us)
        return FolderRead(path, entries, None, took_us)

    def _measure(self, total_us: int, text_bytes: int, whole_us: int) -> float:
        """Adds the remote CPU time of an answer, and returns the average time per byte of text, in microseconds."""
        spent_us = max(0.0, total_us - self._total_us - whole_us)
        if self._total_us:  # the CPU time of the first answer includes the start of the shell
            self._costs.append((text_bytes, spent_us))
        self._total_us = total_us
        measured_us = sum(us for _, us in self._costs)
        measured_bytes = sum(length for length, _ in self._costs)
        return measured_us / measured_bytes if measured_us >= MIN_MEASURED_US and measured_bytes else US_PER_BYTE


def _text_paths(paths: Sequence[str]) -> tuple[str, ...]:
    """The paths that are read by `head`."""
    return tuple(path for path in paths if path not in WHOLE_FILES and can_ask(path))


def _with_cost(read: FileRead, us_per_byte: float) -> FileRead:
    """Sets the remote CPU time of a read, computed from the number of bytes read.

    A read of one of WHOLE_FILES is returned unchanged, because its CPU time is already set.
    """
    return read if read.path in WHOLE_FILES else read._replace(took_us=int(len(read.data or b"") * us_per_byte))


def _refusal(path: str) -> OSError:
    if path.startswith(SOCK_DIAG):
        return OSError(errno.EOPNOTSUPP, SOCKETS_ARE_LOCAL)
    return OSError(errno.EINVAL, "such a path is not asked for over ssh")
