"""Opens files below a root without leaving the root.

The names in a path are opened one after another, and links are resolved in Python. The function realpath() cannot be
used, because it would take the target `/` of the link /proc/PID/root for this machine's root.
"""

from __future__ import annotations

import errno
import os
import stat

from tcptop.named_files import NOT_REGULAR, require_regular

MAX_LINKS = 20
SAFE_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW
FOLDER_FLAGS = os.O_PATH | os.O_DIRECTORY
LINK_ERRORS = (errno.ELOOP, errno.ENOTDIR)
"""Errors that open(2) returns for a symbolic link with O_NOFOLLOW: ELOOP, or ENOTDIR if O_DIRECTORY is set too."""
LEADS_IN_A_CIRCLE = f"symbolic links lead in a circle, or more than {MAX_LINKS} follow one another"
LEADS_OUT = "a symbolic link points outside the folder given with --root"


class ConfinedTree:
    """Opens files and folders below a root; links in a saved or foreign tree cannot lead outside the tree."""

    def __init__(self, root: str) -> None:
        """Opens the root; raises OSError if the root is not a folder, or if this process may not enter the root."""
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_file(self, path: str) -> int:
        """A descriptor for reading a file.

        Raises:
            OSError: if the file does not exist, cannot be read or is not regular, or if a link on the path points
                outside the root.
        """
        # O_NONBLOCK: opening a named pipe in a hostile tree must not block.
        return require_regular(self._open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))

    def open_folder(self, path: str) -> int:
        """A descriptor for listing a folder; raises the same errors as `open_file`."""
        return self._open(path, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Closes the root; a second call does nothing."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def _open(self, path: str, flags: int) -> int:
        names = split_path(path)
        folders = [self._root]
        links = 0
        try:
            while names:
                name = names.pop(0)
                if name == "..":
                    if len(folders) == 1:
                        raise OSError(errno.EXDEV, LEADS_OUT)
                    os.close(folders.pop())
                    continue
                try:
                    if not names and not flags & os.O_DIRECTORY:
                        _check_before_opening(name, folders[-1])
                    opened = os.open(name, (FOLDER_FLAGS if names else flags) | SAFE_FLAGS, dir_fd=folders[-1])
                except OSError as error:
                    target = _link_target(name, folders[-1]) if error.errno in LINK_ERRORS else None
                    if target is None:
                        raise
                    links += 1
                    if links > MAX_LINKS:
                        raise OSError(errno.ELOOP, LEADS_IN_A_CIRCLE) from None
                    if target.startswith("/"):
                        raise OSError(errno.EXDEV, LEADS_OUT) from None
                    names = split_path(target) + names
                    continue
                if not names:
                    return opened
                folders.append(opened)
            return os.open(".", flags | SAFE_FLAGS, dir_fd=folders[-1])
        finally:
            for folder in folders[1:]:
                os.close(folder)


def _check_before_opening(name: str, folder: int) -> None:
    """Raises OSError for a device or a socket. Opening a device may act on it: opening a watchdog starts its timer."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise OSError(errno.EINVAL, NOT_REGULAR)


def split_path(path: str) -> list[str]:
    """The names in a path; empty names and the name `.` are left out."""
    return [name for name in path.split("/") if name not in ("", ".")]


def _link_target(name: str, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
