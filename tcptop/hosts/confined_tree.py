"""Opens files below a root without leaving it: walks paths name by name and follows symbolic links itself.

realpath() cannot be used: /proc/PID/root reads as a link to `/`, which realpath() resolves to this machine's root.
"""

from __future__ import annotations

import errno
import os
import stat

MAX_LINKS = 20
LEADS_OUT = "a symbolic link points outside the folder given with --root"


class ConfinedTree:
    """Opens files and folders below a root; links in a saved or foreign tree cannot lead outside it."""

    def __init__(self, root: str) -> None:
        """Opens the root; raises OSError if it is not a folder or may not be entered."""
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_file(self, path: str) -> int:
        """A descriptor for reading a file.

        Raises:
            OSError: if it does not exist, may not be read, is not a regular file, or a link points outside the root.
        """
        folder, name = self._walk(path)
        try:
            # O_NONBLOCK: opening a named pipe in a hostile tree must not block.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
            return require_regular(os.open(name, flags, dir_fd=folder))
        finally:
            os.close(folder)

    def open_folder(self, path: str) -> int:
        """A descriptor for listing a folder; raises OSError as `open_file` does."""
        folder, name = self._walk(path)
        try:
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Closes the root; may be called again."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _walk(self, path: str) -> tuple[int, str]:
        """A descriptor of the folder that a path resolves into, and the name there; the name is not a link."""
        names = _names(path)
        folders = [os.dup(self._root)]
        links = 0
        try:
            while names:
                name = names.pop(0)
                if name == "..":
                    if len(folders) == 1:
                        raise OSError(errno.EXDEV, LEADS_OUT)
                    os.close(folders.pop())
                    continue
                target = _link_target(name, folders[-1])
                if target is not None:
                    links += 1
                    if links > MAX_LINKS:
                        raise OSError(errno.ELOOP, "too many links")
                    if target.startswith("/"):
                        raise OSError(errno.EXDEV, LEADS_OUT)
                    names = _names(target) + names
                elif names:
                    folders.append(os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folders[-1]))
                else:
                    return folders.pop(), name
            return folders.pop(), "."
        finally:
            for folder in folders:
                os.close(folder)


def require_regular(descriptor: int) -> int:
    """Returns the descriptor of a regular file; closes any other and raises OSError."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _link_target(name: str, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
