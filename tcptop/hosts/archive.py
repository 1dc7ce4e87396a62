"""A tar archive of a saved tree as a host: read once, in its own order; nothing is unpacked to disk."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence

from tcptop.hosts.decompress import CutArchiveError, DamagedArchiveError, UnpackedStream
from tcptop.hosts.folder import MAX_FILE_BYTES
from tcptop.hosts.host import Answer, FileRead, FolderRead, Identity
from tcptop.hosts.memory_tree import MemoryTree
from tcptop.hosts.tar_members import Member, TarMembers
from tcptop.hosts.wanted_paths import WantedPaths

MAX_KEPT_BYTES = 128 << 20
MAX_KEPT_ENTRIES = 200_000
MAX_PATH_CHARACTERS = 4096

CUT_OFF = "not in what is left of the archive, which is cut off"


class ArchiveHost:
    """Answers from the files of an archive that a source may ask for, kept in memory."""

    def __init__(self, path: str, wanted_paths: Iterable[str]) -> None:
        """Reads the archive, plain or packed with gzip, bzip2 or xz (zstd where Python can).

        `wanted_paths` are patterns of what to keep, as in `Source.paths`.

        Raises:
            OSError: with one line that says why it cannot be taken for a saved tree.
        """
        self.top, self._tree = _read_archive(path, WantedPaths(wanted_paths))
        self.identity = Identity(
            live=False,
            page_size_bytes=None,
            place=os.path.abspath(path),  # noqa: PTH100
            net_namespace=None,
            proc_folder=None,
        )

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Gives what was kept of each path."""
        return [self._read(path) for path in paths]

    async def list_folder(self, path: str) -> FolderRead:
        """Lists what was kept of a folder, with the targets of its links."""
        started = time.perf_counter_ns()
        try:
            return FolderRead(path, self._tree.list_folder(path), None, _micros_since(started))
        except OSError as error:
            return FolderRead(path, None, error, _micros_since(started))

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Calls it, here and now."""
        return call()

    def close(self) -> None:
        """Holds nothing open."""

    def _read(self, path: str) -> FileRead:
        started = time.perf_counter_ns()
        try:
            return FileRead(path, self._tree.read_file(path), None, _micros_since(started))
        except OSError as error:
            return FileRead(path, None, error, _micros_since(started))


def _read_archive(path: str, wanted: WantedPaths) -> tuple[str, MemoryTree]:
    """The top folder's name (empty where there is none), and the files; raises OSError in one line."""
    tree = MemoryTree()
    reader = _Reader(tree, wanted)
    # O_NONBLOCK: a named pipe must not hold the reader.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(descriptor, "rb") as file:  # noqa: PTH123
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "neither a folder nor a file")
        try:
            members = TarMembers(UnpackedStream(file, status.st_size))
            for member in members:
                reader.add_if_wanted(member, members)
        except CutArchiveError:
            tree.incomplete_reason = CUT_OFF
        except DamagedArchiveError as error:
            raise OSError(errno.EINVAL, f"cannot be read as an archive of a saved tree: {error}") from None
    if not reader.has_proc_file:
        cut = "; it is cut off" if tree.incomplete_reason else ""
        raise OSError(errno.ENOENT, f"the archive holds no file of /proc that tcptop reads{cut}")
    return reader.top or "", tree


class _Reader:
    """Decides what of the members is kept."""

    def __init__(self, tree: MemoryTree, wanted: WantedPaths) -> None:
        self._tree = tree
        self._wanted = wanted
        self.top: str | None = None
        self.has_proc_file = False
        """Whether any file of /proc is there."""

    def add_if_wanted(self, member: Member, members: TarMembers) -> None:
        """Keeps the member if a source may ask for it.

        Raises:
            DamagedArchiveError: where there is too much of it, or a second tree.
        """
        place = self._split_name(member.name)
        if place is None:
            return
        top, path = place
        is_link_above = member.kind != "folder" and self._wanted.is_above(path)
        is_kept = is_link_above or self._wanted.matches(path)
        listed = self._wanted.listed_name(path)
        if not is_kept and listed is None:
            return
        if self.top is None:
            self.top = top
        elif self.top != top:
            raise DamagedArchiveError(
                f"it holds more than one tree, {self.top or '.'} and {top or '.'}; unpack it and choose one of them"
            )
        if is_kept:
            self._add(path, member, members)
        elif listed is not None:
            self._tree.add_folder("/".join(listed))
        if self._tree.size_bytes > MAX_KEPT_BYTES or self._tree.entries > MAX_KEPT_ENTRIES:
            raise DamagedArchiveError("it holds more than any kernel has in such files")

    def _add(self, path: str, member: Member, members: TarMembers) -> None:
        if member.kind == "folder":
            self._tree.add_folder(path)
        elif member.kind == "link":
            self._tree.add_link(path, member.link_target[:MAX_PATH_CHARACTERS])
        elif member.kind == "hard link":
            self._tree.add_file(path, self._read_hard_link(member.link_target))
        elif member.kind == "file" and member.size_bytes <= MAX_FILE_BYTES:
            self._tree.add_file(path, members.data())
        elif member.kind == "file":
            self._tree.add_file(path, OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES >> 20} MiB"))
        else:
            self._tree.add_file(path, OSError(errno.EINVAL, "not a regular file"))
        self.has_proc_file = self.has_proc_file or (path.startswith("proc/") and member.kind in ("file", "hard link"))

    def _read_hard_link(self, target: str) -> bytes | OSError:
        """The file that a hard link names, which an archive holds before it."""
        place = self._split_name(target)
        if place is not None and place[0] == self.top and self._wanted.matches(place[1]):
            try:
                return self._tree.read_file(place[1])
            except OSError as error:
                return error
        return OSError(errno.EXDEV, "a hard link to a file that is not kept here")

    def _split_name(self, name: str) -> tuple[str, str] | None:
        """The top folder and the path below it that a name means; None where it is part of no saved tree."""
        if len(name) > MAX_PATH_CHARACTERS:
            return None
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            return None
        for depth in (0, 1):
            if len(parts) > depth + 1 and parts[depth] in self._wanted.top_folders:
                return "/".join(parts[:depth]), "/".join(parts[depth:])
        return None


def _micros_since(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000
