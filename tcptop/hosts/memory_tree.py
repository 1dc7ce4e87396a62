"""Files, folders and links in memory, with the same answers as a folder whose links lead nowhere outside it."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from tcptop.hosts.confined_tree import MAX_LINKS
from tcptop.hosts.folder import MAX_FOLDER_NAMES

LEADS_OUT = "a link leads out of the archive"


class MemoryTree:
    """What of an archive is kept, under paths without a leading slash. What is added later takes the place."""

    def __init__(self) -> None:
        self._files: dict[str, bytes | OSError] = {}
        self._links: dict[str, str] = {}
        self._names: dict[str, set[str]] = {"": set()}
        self.size_bytes = 0
        """Of the files, the names and the links, at most."""
        self.entries = 0
        self.incomplete_reason: str | None = None
        """Why what is not here may have been there all the same."""

    def add_file(self, path: str, data: bytes | OSError) -> None:
        """A file, or the error that reading it is to give."""
        self._remove(path)
        self._files[path] = data
        self.size_bytes += len(data) if isinstance(data, bytes) else 0
        self._add_to_folder(path)

    def add_link(self, path: str, target: str) -> None:
        """A symbolic link, whatever it leads to."""
        self._remove(path)
        self._links[path] = target
        self.size_bytes += len(target)
        self._add_to_folder(path)

    def add_folder(self, path: str) -> None:
        """A folder, empty so far."""
        if path not in self._names:
            self._remove(path)
            self._names[path] = set()
            self._add_to_folder(path)

    def read_file(self, path: str) -> bytes:
        """The bytes of a file; raises OSError where there is none, or a link leads out."""
        found = self._files.get(self._resolve(path))
        if isinstance(found, OSError):
            raise found
        if found is None:
            raise self._missing()
        return found

    def list_folder(self, path: str) -> Mapping[str, str | None]:
        """The names in a folder, with the targets of the links; raises OSError as `file` does."""
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
        """The path that a path means once every link in it is followed."""
        names = _names(path)
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
                    raise OSError(errno.ELOOP, "too many links")
                if target.startswith("/"):
                    raise OSError(errno.EXDEV, LEADS_OUT)
                place.pop()
                names = _names(target) + names
        return "/".join(place)

    def _add_to_folder(self, path: str) -> None:
        """Makes the folders that lead to a path."""
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


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]
