"""What every host can do: hand over the bytes of paths, the names in a folder, and the targets of links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

Answer = TypeVar("Answer")


class FileRead(NamedTuple):
    """The bytes of one path, or the error that the kernel gave instead, and what asking took.

    By the CPU time of the thread that asked: what it waits for its turn, in the interpreter or on a busy machine, harms
    nobody, and would count as much again as a long walk below a lock.
    """

    path: str
    data: bytes | None
    error: OSError | None
    took_us: int


class FolderRead(NamedTuple):
    """The names in one folder with the targets of those that are links (None for the others), or the error."""

    path: str
    entries: Mapping[str, str | None] | None
    error: OSError | None
    took_us: int


class Identity(NamedTuple):
    """What a host knows about itself without reading a file of the kernel's."""

    live: bool
    """False for a saved tree: it has no rates and no ages."""
    page_size_bytes: int | None
    """None where only the files themselves can tell (a saved tree)."""
    place: str | None
    """Which root the files came from, where that is not this machine's own."""
    net_namespace: str | None
    """Whose network namespace the files in proc/net show, where it is not the reader's own."""
    proc_folder: str | None
    """A live procfs on this machine's own file system, for libraries that read one themselves."""
    taken_at_unix_s: float | None = None
    """When a saved tree was saved, where it tells."""


class NotSavedError(FileNotFoundError):
    """A file that is not there for a reason that the host knows: its `strerror` is for a person."""


class Host(Protocol):
    """A place that kernel files come from. Paths are relative to its root: `proc/slabinfo`."""

    identity: Identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads all the paths, one after another; gives one answer for each, in their order."""
        ...

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder, with the targets of its links."""
        ...

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Makes a call that reads this machine by itself (a library's), in the way that this host reads."""
        ...

    def close(self) -> None:
        """Gives back what the host holds (descriptors)."""
        ...
