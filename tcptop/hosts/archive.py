"""Host for a tar archive of a saved tree. The archive is read once, in order; nothing is unpacked to disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from typing import BinaryIO

from tcptop.hosts.decompress import (
    MAX_READ_S,
    CutArchiveError,
    DamagedArchiveError,
    SlowArchiveError,
    UnpackedStream,
)
from tcptop.hosts.folder import max_file_bytes
from tcptop.hosts.host import BlockingHost, Identity
from tcptop.hosts.memory_tree import MemoryTree
from tcptop.hosts.tar_members import Member, TarMembers
from tcptop.hosts.wanted_paths import WantedPaths
from tcptop.named_files import open_to_read
from tcptop.text.printable import printable_name

MAX_KEPT_BYTES = 96 << 20
MAX_KEPT_ENTRIES = 200_000
MAX_PATH_CHARACTERS = 4096

CUT_OFF = "not in the part of the archive that is left: it is cut off"
NOT_REACHED = f"not in the part of the archive that was read in {MAX_READ_S:g} s; unpack it and give the folder"


class ArchiveHost(BlockingHost):
    """Host for an archive. Keeps in memory those files of the archive that a source may ask for."""

    def __init__(self, path: str, wanted_paths: Iterable[str]) -> None:
        """Reads the tar archive, which may be uncompressed or compressed with gzip, bzip2, xz or zstd.

        `wanted_paths` are patterns of the paths to keep, as in `Source.paths`.

        Raises:
            OSError: with the reason in one line, if the file is not an archive of a saved tree.
        """
        self.top: str | None = None
        """Name of the folder in the archive that holds proc and sys.

        Empty if proc and sys are at the top of the archive.
        """
        self.identity = Identity(live=False, place=os.path.abspath(path))  # noqa: PTH100
        self._tree = MemoryTree()
        self._wanted = WantedPaths(wanted_paths)
        self._has_proc_file = False
        with os.fdopen(open_to_read(path), "rb") as file:
            self._read_archive(file)

    def close(self) -> None:
        """Does nothing: the archive is already closed."""

    def _read_file(self, path: str) -> bytes:
        return self._tree.read_file(path)

    def _list_names(self, path: str) -> Mapping[str, str | None]:
        return self._tree.list_folder(path)

    def _read_archive(self, file: BinaryIO) -> None:
        status = os.fstat(file.fileno())
        cut = ""
        try:
            if status.st_size == 0:  # files of /proc have size 0, and reading a file of /proc might block
                raise DamagedArchiveError("it is empty")
            members = TarMembers(UnpackedStream(file, status.st_size))
            for member in members:
                self._add_if_wanted(member, members)
        except CutArchiveError:
            self._tree.incomplete_reason = CUT_OFF
            cut = "; it is cut off"
        except SlowArchiveError:
            self._tree.incomplete_reason = NOT_REACHED
            cut = f" in the part that was read in {MAX_READ_S:g} s; unpack it and give the folder"
        except DamagedArchiveError as error:
            raise OSError(errno.EINVAL, f"cannot be read as an archive of a saved tree: {error}") from None
        if not self._has_proc_file:
            raise OSError(errno.ENOENT, f"the archive holds no file of /proc that tcptop reads{cut}")

    def _add_if_wanted(self, member: Member, members: TarMembers) -> None:
        """Adds a member to the tree if a source may ask for it.

        Raises:
            DamagedArchiveError: if the tree grows too large, or the archive contains a second tree.
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
            first, second = (printable_name(name or ".") for name in (self.top, top))
            raise DamagedArchiveError(
                f"it holds more than one tree, {first} and {second}; unpack it and choose one of them"
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
        elif member.kind == "file" and member.size_bytes <= max_file_bytes(path):
            self._tree.add_file(path, members.data())
        elif member.kind == "file":
            self._tree.add_file(path, OSError(errno.EFBIG, f"larger than {max_file_bytes(path) >> 20} MiB"))
        elif member.kind == "sparse":
            reason = "stored as a sparse file, which is not unpacked here; pack it without --sparse, or give the folder"
            self._tree.add_file(path, OSError(errno.EINVAL, reason))
        else:
            self._tree.add_file(path, OSError(errno.EINVAL, "not a regular file"))
        self._has_proc_file = self._has_proc_file or (
            path.startswith("proc/") and member.kind in ("file", "sparse", "hard link")
        )

    def _read_hard_link(self, target: str) -> bytes | OSError:
        """The bytes of the file that a hard link names; an OSError if the tree does not contain the file.

        In an archive, a file precedes every hard link to the file.
        """
        place = self._split_name(target)
        if place is not None and place[0] == self.top and self._wanted.matches(place[1]):
            try:
                return self._tree.read_file(place[1])
            except OSError as error:
                return error
        return OSError(errno.EXDEV, "a hard link to a file that is not kept here")

    def _split_name(self, name: str) -> tuple[str, str] | None:
        """Splits a member's name into its top folder and the path below that folder.

        The result is None if the member is not in a saved tree.
        """
        if len(name) > MAX_PATH_CHARACTERS:
            return None
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            return None
        for depth in (0, 1):
            if len(parts) > depth + 1 and parts[depth] in self._wanted.top_folders:
                return "/".join(parts[:depth]), "/".join(parts[depth:])
        return None
