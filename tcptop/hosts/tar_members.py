"""Iterates over the members of a tar archive in bounded memory.

tarfile's own iteration cannot be used: it keeps every member, reads extended headers of any size into memory, and does
not notice that an archive was cut between two members. Only tarfile's parser of header blocks is used.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Literal, NamedTuple

from tcptop.hosts.decompress import CutArchiveError, DamagedArchiveError, UnpackedStream

BLOCK_BYTES = tarfile.BLOCKSIZE
MAX_MEMBERS = 1_000_000
MAX_HEADER_BYTES = 1 << 20
"""Limit on the size of an extended header; a Linux path has at most 4096 bytes."""
SPARSE_CONTINUED_AT = 482
SPARSE_BLOCK_CONTINUED_AT = 504

SPARSE = "GNU.sparse."
"""Start of the names of the pax fields that describe a sparse file; its data begin with a map, or are only parts."""
SPARSE_NAME = "GNU.sparse.name"
"""Field with the name of a sparse file, whose member has a name of its own then (GNUSparseFile.PID/NAME)."""

Kind = Literal["file", "sparse", "hard link", "link", "folder", "other"]

KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "sparse",
    tarfile.LNKTYPE: "hard link",
    tarfile.SYMTYPE: "link",
    tarfile.DIRTYPE: "folder",
}
"""Kind of member for each type flag; a type that is not listed (such as a device or a pipe) has the kind `other`."""

WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)


class Member(NamedTuple):
    """One entry of an archive, with its name and link target unchanged."""

    name: str
    kind: Kind
    link_target: str
    size_bytes: int


class TarMembers:
    """Iterates over the members of an archive. The members can be iterated over only once."""

    def __init__(self, stream: UnpackedStream) -> None:
        self._stream = stream
        self._unread_bytes = 0
        self._padding_bytes = 0

    def __iter__(self) -> Iterator[Member]:
        """Yields every member in the order of the archive.

        Raises:
            CutArchiveError: if the archive is cut off.
            DamagedArchiveError: if the file is not a tar archive, is damaged, or exceeds a bound.
            SlowArchiveError: if reading takes too much time.
        """
        extended: dict[str, str] = {}
        entries = 0
        while (block := self._header_block(entries)) is not None:
            entries += 1
            if entries > MAX_MEMBERS:
                raise DamagedArchiveError(f"it holds more than {MAX_MEMBERS} files")
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.TarError as error:
                what = f"it is damaged after {entries - 1} of its files" if entries > 1 else "it is not a tar archive"
                raise DamagedArchiveError(f"{what}: {error}") from None
            if header.type == tarfile.GNUTYPE_SPARSE:
                self._skip_sparse_map(block)
            size_bytes = 0 if header.type in WITHOUT_DATA else header.size
            if size_bytes < 0:
                raise DamagedArchiveError("it is damaged: a file of a size below 0")
            self._unread_bytes, self._padding_bytes = size_bytes, -size_bytes % BLOCK_BYTES
            if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                key = "path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
                extended[key] = self._header_data().partition(b"\0")[0].decode("utf-8", "surrogateescape")
            elif header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                extended.update(_pax_fields(self._header_data()))
            elif header.type != tarfile.XGLTYPE:
                if extended.get("size", "").isdecimal() and size_bytes:
                    size_bytes = int(extended["size"][:20])
                    self._unread_bytes, self._padding_bytes = size_bytes, -size_bytes % BLOCK_BYTES
                name, target = extended.get("path", header.name), extended.get("linkpath", header.linkname)
                name = extended.get(SPARSE_NAME, name)
                kind: Kind = "sparse" if SPARSE in extended else KINDS.get(header.type, "other")
                extended = {}
                yield Member(name, kind, target, size_bytes)
            self._stream.skip(self._unread_bytes + self._padding_bytes)

    def data(self) -> bytes:
        """The bytes of the current member; raises the same errors as `__iter__`.

        The caller must check the size of the member before the call.
        """
        data = self._stream.read(self._unread_bytes)
        if len(data) < self._unread_bytes:
            raise CutArchiveError
        self._unread_bytes = 0
        return data

    def _header_data(self) -> bytes:
        if self._unread_bytes > MAX_HEADER_BYTES:
            raise DamagedArchiveError("it is damaged: a name of more than a megabyte")
        return self.data()

    def _header_block(self, entries: int) -> bytes | None:
        """Returns the next header block, or None at the end mark.

        After the end mark, the stream is read to its end, so that the checksums of the stream are checked. If anything
        but zeros follows, zeros may have overwritten a part of the archive, and its other members are not known.
        """
        block = self._stream.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES and not entries:
            raise DamagedArchiveError("it is not a tar archive" if block else "it is empty")
        if len(block) < BLOCK_BYTES:
            raise CutArchiveError
        if any(block):
            return block
        if not entries:
            raise DamagedArchiveError("it begins with zeros, as only an empty tar archive does")
        self._stream.expect_zeros()
        return None

    def _skip_sparse_map(self, block: bytes) -> None:
        is_continued = block[SPARSE_CONTINUED_AT]
        while is_continued:
            more = self._stream.read(BLOCK_BYTES)
            if len(more) < BLOCK_BYTES:
                raise CutArchiveError
            is_continued = more[SPARSE_BLOCK_CONTINUED_AT]


def _pax_fields(data: bytes) -> dict[str, str]:
    """The fields path, linkpath and size of a pax header; other fields are ignored.

    If the header describes a sparse file (tar --sparse), the fields also have SPARSE and, if it has one, SPARSE_NAME.

    A field has the form `30 path=...`, and ends with a newline.
    """
    fields: dict[str, str] = {}
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 10].partition(b" ")
        if not space or not digits.isdigit() or not int(digits):
            break
        key, _, value = data[at + len(digits) + 1 : at + int(digits)].rstrip(b"\n").partition(b"=")
        if key in (b"path", b"linkpath", b"size"):
            fields[key.decode("ascii")] = value.decode("utf-8", "surrogateescape")
        elif key.startswith(SPARSE.encode()):
            fields[SPARSE] = ""
            if key == SPARSE_NAME.encode():
                fields[SPARSE_NAME] = value.decode("utf-8", "surrogateescape")
        at += int(digits)
    return fields
