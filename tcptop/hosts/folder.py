"""The files below a folder: this machine's own root, another procfs (a container's /host), or a saved tree.

Nothing here ever waits for anything but the kernel: the coroutines run through without a suspension, so a caller
without an event loop can drive them.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence

from tcptop.hosts.host import Answer, FileRead, FolderRead, Identity

MAX_FILE_BYTES = 16 << 20
"""No kernel file that tcptop reads comes near this; a hostile saved tree may hold anything."""

MAX_FOLDER_NAMES = 20_000

CHUNK_BYTES = 1 << 16


def mounted_procfs(folder: str) -> bool:
    """Whether the folder is on a mounted procfs, by /proc/self/mountinfo."""
    try:
        device = os.stat(folder).st_dev  # noqa: PTH116 (this module is about paths as the kernel sees them)
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
            number = f"{os.major(device)}:{os.minor(device)}"
            return any(
                fields[2] == number and fields[fields.index("-") + 1] == "proc"
                for fields in map(str.split, mounts)
                if "-" in fields
            )
    except OSError:
        return False


class FolderHost:
    """Reads below `root`. Descriptors stay open, and every read starts again at the beginning of the file."""

    def __init__(self, root: str = "/") -> None:
        """Takes the folder that holds `proc` and `sys`.

        Raises:
            OSError: when the folder does not exist or may not be read.

        """
        os.listdir(root)  # noqa: PTH208
        self._root = os.path.realpath(root)
        self._own = self._root == "/"
        self._descriptors: dict[str, int] = {}
        proc = os.path.join(self._root, "proc")  # noqa: PTH118
        live = self._own or mounted_procfs(proc)
        # Below another root, /proc/net would be the reader's own namespace; pid 1's is that of the host.
        self._net_of_init = live and not self._own
        self.identity = Identity(
            live=live,
            page_size_bytes=os.sysconf("SC_PAGE_SIZE") if live else None,
            place=None if self._own else self._root,
            net_namespace=f"{proc}/1/net" if self._net_of_init else None,
            proc_folder=proc if live else None,
        )

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads each path from its beginning to its end."""
        return [self._read(path) for path in paths]

    async def folder(self, path: str) -> FolderRead:
        """Lists a folder without following the links in it."""
        started = time.perf_counter_ns()
        try:
            entries: dict[str, str | None] = {}
            with os.scandir(self._resolved(path)) as found:
                for entry in found:
                    entries[entry.name] = os.readlink(entry.path) if entry.is_symlink() else None  # noqa: PTH115
                    if len(entries) >= MAX_FOLDER_NAMES:
                        raise OSError(errno.E2BIG, f"more than {MAX_FOLDER_NAMES} names in the folder")
        except (OSError, ValueError) as error:
            return FolderRead(path, None, _os_error(error), _micros_since(started))
        return FolderRead(path, entries, None, _micros_since(started))

    async def ask(self, call: Callable[[], Answer]) -> Answer:
        """Calls it, here and now."""
        return call()

    def close(self) -> None:
        """Closes every descriptor."""
        while self._descriptors:
            _, descriptor = self._descriptors.popitem()
            os.close(descriptor)

    def _read(self, path: str) -> FileRead:
        started = time.perf_counter_ns()
        try:
            data = self._bytes(path)
        except (OSError, ValueError) as error:
            return FileRead(path, None, _os_error(error), _micros_since(started))
        return FileRead(path, data, None, _micros_since(started))

    def _bytes(self, path: str) -> bytes:
        kept = self._descriptors.get(path)
        if kept is not None:
            try:
                return _whole(kept)
            except OSError:
                # The file behind the descriptor went away (a destroyed slab cache) or cannot seek (lxcfs).
                if self._descriptors.pop(path, None) is not None:
                    os.close(kept)
        descriptor = self._open(path)
        try:
            data = _whole(descriptor)
        except BaseException as error:
            try:
                if isinstance(error, OSError) and error.errno == errno.ESPIPE:
                    return _streamed(descriptor)
                raise
            finally:
                os.close(descriptor)
        if self._descriptors.setdefault(path, descriptor) != descriptor:
            os.close(descriptor)  # another thread opened the same path meanwhile
        return data

    def _open(self, path: str) -> int:
        # O_NONBLOCK: a named pipe in a hostile tree must not hold the reader.
        descriptor = os.open(self._resolved(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file")
        return descriptor

    def _resolved(self, path: str) -> str:
        if self._net_of_init and path.startswith("proc/net/"):
            path = f"proc/1/net/{path.removeprefix('proc/net/')}"
        joined = os.path.join(self._root, path)  # noqa: PTH118
        if self._own:
            return joined
        real = os.path.realpath(joined)
        if not real.startswith(self._root + os.sep):
            raise OSError(errno.EXDEV, "a link leads out of the folder given with --root")
        return real


def _whole(descriptor: int) -> bytes:
    """Everything from the file's beginning; seq_file hands out at most a page or so at each call."""
    chunks: list[bytes] = []
    size = 0
    while chunk := os.pread(descriptor, CHUNK_BYTES, size):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES >> 20} MiB")
    return b"".join(chunks)


def _streamed(descriptor: int) -> bytes:
    chunks: list[bytes] = []
    while chunk := os.read(descriptor, CHUNK_BYTES):
        chunks.append(chunk)
        if sum(map(len, chunks)) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES >> 20} MiB")
    return b"".join(chunks)


def _os_error(error: OSError | ValueError) -> OSError:
    """A path that no system call takes (a NUL in it) is as absent as one that is not there."""
    return error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))


def _micros_since(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000
