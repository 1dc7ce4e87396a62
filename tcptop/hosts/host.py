"""The interface of hosts, which read files and list folders, and the answers that they return."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

Answer = TypeVar("Answer")


class FileRead(NamedTuple):
    """The bytes at one path or the kernel's error, and the CPU time of the read in microseconds.

    CPU time of the reading thread, not elapsed time: waiting for the interpreter or on a busy machine costs the kernel
    nothing, and would look like a long walk under a lock.
    """

    path: str
    data: bytes | None
    error: OSError | None
    took_us: int


class FolderRead(NamedTuple):
    """The names in one folder with the targets of links (None for other entries), or the error."""

    path: str
    entries: Mapping[str, str | None] | None
    error: OSError | None
    took_us: int


class Identity(NamedTuple):
    """Facts about a host that are known without reading a kernel file."""

    live: bool
    """False for a saved tree, which has no rates and no ages."""
    page_size_bytes: int | None
    """None for a saved tree, where it is inferred from the files."""
    place: str | None
    """The root that the files are from; None for this machine's own."""
    net_namespace: str | None
    """The folder read for proc/net if it shows another network namespace than the reader's, as `/host/proc/1/net`."""
    proc_folder: str | None
    """Path of the live procfs, for libraries that read it themselves (psutil); None for a saved tree."""
    taken_at_unix_s: float | None = None
    """When a saved tree was made; None if unknown."""


class NotSavedError(FileNotFoundError):
    """Error for a file that a saved tree lacks for a known reason, which `strerror` explains to the user."""


class Host(Protocol):
    """An origin of kernel files. Paths are relative to its root: `proc/slabinfo`."""

    identity: Identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads all paths, one after another; returns one answer for each, in the same order."""
        ...

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder, with the targets of links."""
        ...

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Calls `call`, which may block (a library that reads this machine, a long parse), where this host reads."""
        ...

    def close(self) -> None:
        """Closes the descriptors that the host has open."""
        ...
