"""A tree of files, folders and links in memory. As in confined_tree.py, no link may lead out of the tree."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from tcptop.hosts.confined_tree import LEADS_IN_A_CIRCLE, MAX_LINKS, split_path
from tcptop.hosts.folder import MAX_FOLDER_NAMES

LEADS_OUT = "a symbolic link points outside the archive"


class MemoryTree:
    """The files kept from an archive, by path without a leading slash.

    If a path is added twice, the later file replaces the earlier one.
    """

    def __init__(self) -> None:
        self._files: dict[str, bytes | OSError] = {}
        self._links: dict[str, str] = {}
        self._names: dict[str, set[str]] = {"": set()}
        self.size_bytes = 0
        """Upper bound on the total size of all files, names and link targets."""
        self.entries = 0
        self.incomplete_reason: str | None = None
        """Reason why files may be missing, for example a cut-off archive; None if the archive is complete."""

    def add_file(self, path: str, data: bytes | OSError) -> None:
        """Adds a file. If `data` is an error, reading the file raises this error."""
        self._remove(path)
        self._files[path] = data
        self.size_bytes += len(data) if isinstance(data, bytes) else 0
        self._add_to_folder(path)

    def add_link(self, path: str, target: str) -> None:
        """Adds a symbolic link; the target need not exist."""
        self._remove(path)
        self._links[path] = target
        self.size_bytes += len(target)
        self._add_to_folder(path)

    def add_folder(self, path: str) -> None:
        """Adds a folder."""
        if path not in self._names:
            self._remove(path)
            self._names[path] = set()
            self._add_to_folder(path)

    def read_file(self, path: str) -> bytes:
        """The bytes of a file; raises OSError if the file does not exist, or if a link points outside the tree."""
        data = self._files.get(self._resolve(path))
        if isinstance(data, OSError):
            raise data
        if data is None:
            raise self._missing()
        return data

    def list_folder(self, path: str) -> Mapping[str, str | None]:
        """The names in a folder, with the targets of links; raises the same errors as `read_file`."""
        place = self._resolve(path)
        names = self._names.get(place)
        if names is None:
            raise OSError(errno.ENOTDIR, "not a folder") if place in self._files else self._missing()
        if len(names) > MAX_FOLDER_NAMES:
            raise OSError(errno.E2BIG, f"more than {MAX_FOLDER_NAMES} names in the folder")
        return {name: self._links.get(f"{place}/{name}" if place else name) for name in sorted(names)}

    def _missing(self) -> OSError:
        if self.incomplete_reason is not None:
            return OSError(errno.EIO, self.incomplete_reason)
        return FileNotFoundError(errno.ENOENT, "No such file or directory")

    def _resolve(self, path: str) -> str:
        """The path with all links in the path resolved."""
        names = split_path(path)
        place: list[str] = []
        links = 0
        while names:
            name = names.pop(0)
            if name == "..":
                if not place:
                    raise OSError(errno.EXDEV, LEADS_OUT)
                place.pop()
                continue
            place.append(name)
            target = self._links.get("/".join(place))
            if target is not None:
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, LEADS_IN_A_CIRCLE)
                if target.startswith("/"):
                    raise OSError(errno.EXDEV, LEADS_OUT)
                place.pop()
                names = split_path(target) + names
        return "/".join(place)

    def _add_to_folder(self, path: str) -> None:
        """Adds the last name of a path to its folder, and creates each folder on the path that does not exist yet."""
        self.entries += 1
        self.size_bytes += len(path)
        folder, _, name = path.rpartition("/")
        while name:
            known = folder in self._names
            self._names.setdefault(folder, set()).add(name)
            if known:
                return
            folder, _, name = folder.rpartition("/")

    def _remove(self, path: str) -> None:
        old = self._files.pop(path, None)
        self.size_bytes -= len(old) if isinstance(old, bytes) else 0
        self.size_bytes -= len(self._links.pop(path, ""))
