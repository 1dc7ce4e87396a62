"""A folder that nothing below it leads out of: paths are walked one name at a time, and links followed by hand.

realpath() will not do: a process's root (/proc/PID/root) reads as a link to `/` in that process's own view, and what it
would give is this machine's root.
"""

from __future__ import annotations

import errno
import os
import stat

MAX_LINKS = 20
LEADS_OUT = "a link leads out of the folder given with --root"


class ConfinedTree:
    """Opens files and folders below a root, whatever links a saved or a foreign tree may hold."""

    def __init__(self, root: str) -> None:
        """Opens the root itself; raises OSError where that is not a folder that can be entered."""
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_file(self, path: str) -> int:
        """A descriptor to read a file from.

        Raises:
            OSError: when it is not there, may not be read, is no regular file, or a link leads out.
        """
        folder, name = self._walk(path)
        try:
            # O_NONBLOCK: a named pipe in a hostile tree must not hold the reader.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW
            return require_regular(os.open(name, flags, dir_fd=folder))
        finally:
            os.close(folder)

    def open_folder(self, path: str) -> int:
        """A descriptor to list a folder from; raises OSError as `open_file` does."""
        folder, name = self._walk(path)
        try:
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)

    def close(self) -> None:
        """Closes the root; again does nothing."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _walk(self, path: str) -> tuple[int, str]:
        """The folder that holds what a path means, and its name there; neither the folder nor the name is a link."""
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
    """The descriptor, if it is one of a regular file; else it is closed, and OSError raised."""
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
