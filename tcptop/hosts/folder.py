"""Host that reads files below a folder.

The folder is this machine's root, a host's root that is mounted in a container (/host), or a saved tree.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence

from tcptop.hosts.confined_tree import ConfinedTree
from tcptop.hosts.host import BlockingHost, FileRead, FolderRead, Identity, RootDeniedError
from tcptop.named_files import open_to_read
from tcptop.sock_diag import PREFIX as SOCK_DIAG
from tcptop.sock_diag import ROWS_PATH

MAX_FILE_BYTES = 16 << 20
"""Limit on the size of a file, against hostile saved trees; far above the size of any kernel file that tcptop reads."""

MAX_ZONEINFO_BYTES = 64 << 20
"""Limit on the size of /proc/zoneinfo: enough for a machine with 64 nodes and 4 096 CPUs.

/proc/zoneinfo has about 235 bytes for each CPU in each zone.
"""

MAX_FOLDER_NAMES = 20_000

CHUNK_BYTES = 1 << 16

MAX_BOOT_ID_CHARACTERS = 64

RESERVED_DESCRIPTORS = 64
"""Of the descriptors that `ulimit -n` allows, the host leaves this number for the rest of the process.
"""


def is_on_procfs(folder: str) -> bool:
    """True if the folder is on a mounted procfs, according to /proc/self/mountinfo; False if the folder is a link."""
    try:
        device = os.lstat(folder).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
            number = f"{os.major(device)}:{os.minor(device)}"
            return any(
                fields[2] == number and fields[fields.index("-") + 1] == "proc"
                for fields in map(str.split, mounts)
                if "-" in fields
            )
    except OSError:
        return False


def is_same_folder(one: str, other: str) -> bool:
    """True if two paths lead to the same folder; False if one of the paths cannot be read."""
    try:
        return os.path.samefile(one, other)  # noqa: PTH121
    except OSError:
        return False


def _read_boot_id(proc: str) -> str | None:
    """The boot ID (drivers/char/random.c, proc_do_uuid); None if it cannot be read, as in some containers."""
    try:
        with open(f"{proc}/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read(MAX_BOOT_ID_CHARACTERS).strip() or None
    except (OSError, ValueError):
        return None


def _read_net_namespace(process: str) -> str | None:
    """The network namespace of a process; None if it cannot be read: a user reads that of the user's processes."""
    try:
        return os.readlink(f"{process}/ns/net")  # noqa: PTH115
    except OSError:
        return None


class FolderHost(BlockingHost):
    """Host that reads below `root`. Each read of a file starts at the beginning of the file.

    Descriptors stay open between reads, as many as the limit on open files allows.
    """

    def __init__(self, root: str = "/") -> None:
        """Takes the folder that contains `proc` and `sys`.

        Raises:
            OSError: if the folder does not exist or cannot be read.
        """
        self._root = os.path.abspath(root)  # noqa: PTH100 (links are not resolved: see ConfinedTree)
        os.listdir(self._root)  # noqa: PTH208
        proc = f"{self._root.rstrip('/')}/proc"
        # In another mount namespace, `proc` below the root may be a different procfs from this process's /proc.
        own = is_same_folder(self._root, "/") and is_same_folder(proc, "/proc")
        self._tree = None if own else ConfinedTree(self._root)
        self._descriptors: dict[str, int] = {}
        limit = os.sysconf("SC_OPEN_MAX")
        self._max_descriptors = limit - RESERVED_DESCRIPTORS if limit >= 0 else sys.maxsize
        live = own or is_on_procfs(proc)
        # Below another root, /proc/net shows tcptop's own network namespace, but /proc/1/net shows the host's
        # namespace.
        self._net_of_init = live and not own
        self.identity = Identity(
            live=live,
            page_size_bytes=os.sysconf("SC_PAGE_SIZE") if live else None,
            place=None if own else self._root,
            net_namespace=f"{proc}/1/net" if self._net_of_init else None,
            proc_folder=proc if live else None,
            boot_id=_read_boot_id(proc) if live else None,
            net_namespace_id=_read_net_namespace(f"{proc}/{'1' if self._net_of_init else 'self'}") if live else None,
        )

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads each path.

        A path that begins with SOCK_DIAG asks the running kernel for its TCP sockets.
        """
        if self._tree is None and any(path.startswith(SOCK_DIAG) for path in paths):
            return [_look_at_sockets(path) for path in paths]
        return [file._replace(error=_as_root_sees(file.error)) for file in await super().read(paths)]

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder without following the links in the folder."""
        folder = await super().list_folder(path)
        return folder._replace(error=_as_root_sees(folder.error))

    def close(self) -> None:
        """Closes every descriptor."""
        if self._tree is not None:
            self._tree.close()
        while self._descriptors:
            _, descriptor = self._descriptors.popitem()
            os.close(descriptor)

    def _read_file(self, path: str) -> bytes:
        max_bytes = max_file_bytes(path)
        open_descriptor = self._descriptors.get(path)
        if open_descriptor is not None:
            try:
                return _read_whole(open_descriptor, max_bytes)
            except OSError:
                # The file no longer exists (its slab cache is destroyed), or the file does not support pread (lxcfs).
                if self._descriptors.pop(path, None) is not None:
                    os.close(open_descriptor)
        descriptor = self._open(path)
        try:
            data = _read_whole(descriptor, max_bytes)
        except BaseException as error:
            try:
                if isinstance(error, OSError) and error.errno == errno.ESPIPE:
                    return _read_chunks(lambda _: os.read(descriptor, CHUNK_BYTES), max_bytes)
                raise
            finally:
                os.close(descriptor)
        is_kept = len(self._descriptors) < self._max_descriptors
        # If another thread has opened the same path meanwhile, only the descriptor of that thread is kept.
        if not is_kept or self._descriptors.setdefault(path, descriptor) != descriptor:
            os.close(descriptor)
        return data

    def _list_names(self, path: str) -> dict[str, str | None]:
        names: dict[str, str | None] = {}
        folder = self._open_folder(path)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    names[entry.name] = os.readlink(entry.name, dir_fd=folder) if entry.is_symlink() else None
                    if len(names) >= MAX_FOLDER_NAMES:
                        raise OSError(errno.E2BIG, f"more than {MAX_FOLDER_NAMES} names in the folder")
        finally:
            os.close(folder)
        return names

    def _open(self, path: str) -> int:
        if self._tree is not None:
            return self._tree.open_file(self._tree_path(path))
        return open_to_read(f"/{path}")

    def _open_folder(self, path: str) -> int:
        if self._tree is not None:
            return self._tree.open_folder(self._tree_path(path))
        return os.open(f"/{path}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _tree_path(self, path: str) -> str:
        if self._net_of_init and path.startswith("proc/net/"):
            return f"proc/1/net/{path.removeprefix('proc/net/')}"
        return path


def _as_root_sees(error: OSError | None) -> OSError | None:
    """Returns the error; if the kernel has refused a read to root, returns a RootDeniedError in place of the error."""
    if error is not None and error.errno in (errno.EACCES, errno.EPERM) and os.geteuid() == 0:
        return RootDeniedError(error.errno, error.strerror)
    return error


def _look_at_sockets(path: str) -> FileRead:
    """Asks the kernel for the TCP sockets."""
    # Imported here, because few users ask for the sockets.
    from tcptop.sock_diag.look import look, parse_ask
    from tcptop.sock_diag.socket_rows import look_at_rows, parse_row_ask

    try:
        is_rows = path.startswith(ROWS_PATH)
        data, took_us = look_at_rows(parse_row_ask(path)) if is_rows else look(parse_ask(path))
    except OSError as error:
        return FileRead(path, None, error, 0)
    return FileRead(path, data, None, took_us)


def max_file_bytes(path: str) -> int:
    """Limit on the size of the file at a path."""
    return MAX_ZONEINFO_BYTES if path == "proc/zoneinfo" else MAX_FILE_BYTES


def _read_whole(descriptor: int, max_bytes: int) -> bytes:
    """Reads the whole file from its beginning."""
    return _read_chunks(lambda offset: os.pread(descriptor, CHUNK_BYTES, offset), max_bytes)


def _read_chunks(read_chunk: Callable[[int], bytes], max_bytes: int) -> bytes:
    """Reads a file in chunks, because seq_file returns only about a page at each call; returns the joined chunks.

    `read_chunk` takes the offset of a chunk, and returns the bytes of the chunk. At the end of the file, `read_chunk`
    returns no bytes.
    """
    chunks: list[bytes] = []
    size = 0
    while chunk := read_chunk(size):
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise OSError(errno.EFBIG, f"larger than {max_bytes >> 20} MiB")
    return b"".join(chunks)
