"""The interface of hosts, which read files and list folders, and the answers that they return."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

Answer = TypeVar("Answer")


class FileRead(NamedTuple):
    """The bytes at one path or the kernel's error, and the time of the read in microseconds.

    For a folder, `took_us` is CPU time of the thread that reads, not elapsed time: time spent waiting for the Python
    interpreter or for a busy CPU costs the kernel nothing, and would look like a long walk under a lock.
    """

    path: str
    data: bytes | None
    error: OSError | None
    took_us: int


class FolderRead(NamedTuple):
    """The names in one folder, each with its target if it is a link and None otherwise; or the error."""

    path: str
    entries: Mapping[str, str | None] | None
    error: OSError | None
    took_us: int


class Identity(NamedTuple):
    """Facts about a host that are known without reading a kernel file."""

    live: bool
    """True for a running machine; False for a saved tree, for which no rates or ages can be computed."""
    page_size_bytes: int | None
    """Page size in bytes; None for a saved tree, whose page size is inferred from the files."""
    place: str | None
    """Path of the root that the files are from; None for this machine's own root."""
    net_namespace: str | None
    """Folder read in place of proc/net, such as `/host/proc/1/net`; None if proc/net itself is read."""
    proc_folder: str | None
    """Path of the live procfs, for libraries that read procfs themselves (psutil); None for a saved tree."""
    taken_at_unix_s: float | None = None
    """Time at which a saved tree was made, in seconds since the epoch; None if unknown."""


class NotSavedError(FileNotFoundError):
    """Error for a file that a saved tree lacks for a known reason, which `strerror` explains to the user."""


class Host(Protocol):
    """An origin of kernel files. Paths are relative to the host's root, such as `proc/slabinfo`."""

    identity: Identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads all paths, one after another; returns one answer for each path, in the same order."""
        ...

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder, with the targets of links."""
        ...

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Calls `call` in the thread in which this host reads, and returns its result.

        `call` may block: a library that reads this machine, a long parse.
        """
        ...

    def close(self) -> None:
        """Closes the descriptors that the host has open."""
        ...
