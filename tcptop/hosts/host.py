"""Hosts read files and list folders: the interface of hosts, the answers of hosts, and a base class."""

import errno
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from tcptop.errors import TcptopError

Answer = TypeVar("Answer")


class FileRead(NamedTuple):
    """The bytes of one file, or the kernel's error, with the time that the read took in microseconds.

    `took_us` is CPU time of the thread that reads, not elapsed time. Elapsed time includes the time for which the
    thread waits for the Python interpreter or for a busy CPU. Waiting for the interpreter or a CPU costs the kernel
    nothing, but would look like a lock held for a long time.
    """

    path: str
    data: bytes | None
    error: OSError | None
    took_us: int


class FolderRead(NamedTuple):
    """The names in one folder, or the kernel's error.

    `entries` maps the name of a link to its target, and any other name to None.
    """

    path: str
    entries: Mapping[str, str | None] | None
    error: OSError | None
    took_us: int


class Identity(NamedTuple):
    """Facts about a host that are known without reading a kernel file."""

    live: bool
    """True for a running machine; False for a saved tree, for which no rates or ages can be computed."""
    page_size_bytes: int | None = None
    """Page size in bytes; None for a saved tree, whose page size is inferred from the files."""
    place: str | None = None
    """Path of the root below which the files are read; None for this machine's own root."""
    net_namespace: str | None = None
    """Folder that is read instead of proc/net, such as `/host/proc/1/net`; None if proc/net itself is read."""
    proc_folder: str | None = None
    """Path of the live procfs, for libraries that read procfs themselves (psutil); None for a saved tree."""
    taken_at_unix_s: float | None = None
    """Time at which a saved tree was made, in seconds since the epoch; None if unknown."""
    remote_name: str | None = None
    """Name of a machine for ssh, such as `root@web17`; None if the files are read without ssh."""
    remote_sudo: bool = False
    """True if the files on the other machine are read by `sudo -n`."""
    boot_id: str | None = None
    """/proc/sys/kernel/random/boot_id, which is another one after each boot; None if unknown."""
    net_namespace_id: str | None = None
    """Network namespace of the files of proc/net, such as `net:[4026531840]`; None if unknown. The number is the same
    as long as the namespace exists, and may belong to another namespace later or after another boot."""


class NotSavedError(FileNotFoundError):
    """Error for a file that is missing from a saved tree for a known reason. `strerror` tells the user the reason."""


class NotAllowedError(PermissionError):
    """Error for a file that the ssh user has no right to read. `strerror` says how to get permission."""


class CutFileError(OSError):
    """Error for a file whose end is missing."""


class RootDeniedError(PermissionError):
    """Error for a file that even root is not allowed to read, here or on another machine."""


class HostLostError(TcptopError):
    """Error raised when a host does not answer now, but may answer again later; the reason is one line."""

    def __init__(self, reason: str, again: str = "") -> None:
        """Takes the reason, and a text that says when the host is asked again.

        The text is empty if it is unknown when the host is asked again.
        """
        super().__init__(f"{reason}; {again}" if again else reason)
        self.reason = reason


class Host(Protocol):
    """Reads kernel files of one machine or saved tree. Paths are relative to the root, such as `proc/slabinfo`."""

    identity: Identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads all paths, one after another; returns one answer for each path, in the same order."""
        ...

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder, with the targets of links."""
        ...

    def close(self) -> None:
        """Closes the descriptors that the host has open."""
        ...


MAX_READ_BYTES = 32 << 20
"""Limit on the total size of the files of one `read`. A source reads either one large file or many small files."""


TOO_LARGE_TOGETHER = f"the files that are read with it have more than {MAX_READ_BYTES >> 20} MiB"


class BlockingHost(ABC):
    """Base class of hosts that block while reading.

    The coroutines of a blocking host never suspend, so `run_sync` can run the coroutines.
    """

    identity: Identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads each path and measures the CPU time of each read.

        When MAX_READ_BYTES have been read in total, all further paths get an error.
        """
        files: list[FileRead] = []
        left_bytes = MAX_READ_BYTES
        for path in paths:
            if left_bytes > 0:
                file = FileRead(path, *_measure(self._read_file, path))
                left_bytes -= len(file.data or b"")
            else:
                file = FileRead(path, None, OSError(errno.EFBIG, TOO_LARGE_TOGETHER), 0)
            files.append(file)
        return files

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder without following the links in the folder."""
        return FolderRead(path, *_measure(self._list_names, path))

    @abstractmethod
    def _read_file(self, path: str) -> bytes:
        """The bytes of a file; raises OSError, or ValueError for a path with a NUL."""

    @abstractmethod
    def _list_names(self, path: str) -> Mapping[str, str | None]:
        """The names in a folder, with the targets of links; raises the same errors as `_read_file`."""


def _measure(call: Callable[[str], Answer], path: str) -> tuple[Answer | None, OSError | None, int]:
    """Calls a function; returns the result of the call, the error of the call, and the CPU time in microseconds.

    Either the result or the error is None.
    """
    started_ns = time.thread_time_ns()
    result, error = None, None
    try:
        result = call(path)
    except OSError as raised:
        error = raised
    except ValueError as raised:
        error = OSError(errno.EINVAL, str(raised))
    return result, error, (time.thread_time_ns() - started_ns) // 1000
