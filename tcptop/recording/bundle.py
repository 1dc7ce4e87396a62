"""What a host answered while one source was read, as bytes: whole, or as the difference from an earlier bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tcptop.hosts.host import FileRead, FolderRead
from tcptop.hosts.recording_host import HostAnswer
from tcptop.recording.number_delta import apply_delta, make_delta
from tcptop.recording.varints import Reader, write_bytes, write_number, write_signed

MAX_FILE_BYTES = 16 << 20
"""As a host reads at most (tcptop/hosts/folder.py)."""
MAX_SHARED_BYTES = 64 << 20
"""Of the large files of one read: a record of a few bytes may name many."""
MAX_ANSWERS = 20_000

FILE, FILE_ERROR, FOLDER, FOLDER_ERROR, SHARED_FILE = range(5)
SAME, NUMBERS, OTHER = range(3)

Bundle = tuple[HostAnswer, ...]


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A large file that stands elsewhere in the recording."""

    path: str
    digest: bytes


StoredBundle = tuple[HostAnswer | SharedFile, ...]


DigestOf = Callable[[bytes], "bytes | None"]
"""Keeps a large file's bytes once and gives their digest; None for one that is to stand where it is used."""

ContentOf = Callable[[bytes], bytes]
"""The bytes of a digest; raises ValueError where they are lost or damaged."""


def write_bundle(out: bytearray, bundle: Bundle, digest_of: DigestOf) -> None:
    """Appends a bundle whole."""
    write_number(out, len(bundle))
    for answer in bundle:
        write_bytes(out, _path_bytes(answer.path))
        _write_answer(out, answer, digest_of)


def read_bundle(reader: Reader) -> StoredBundle:
    """The bundle that `put_bundle` wrote; raises ValueError for anything else."""
    return tuple(_read_answer(reader, reader.text()) for _ in range(_read_count(reader)))


def write_difference(out: bytearray, old: Bundle, new: Bundle, digest_of: DigestOf) -> bool:
    """Appends what makes `new` of `old`; False, with nothing appended, where they are not of the same paths."""
    if [(type(answer), answer.path) for answer in old] != [(type(answer), answer.path) for answer in new]:
        return False
    changed = bytearray()
    count = 0
    last = -1
    for index, (before, after) in enumerate(zip(old, new, strict=True)):
        if _is_same_answer(before, after):
            continue
        write_number(changed, index - last - 1)
        last = index
        count += 1
        if isinstance(before, FileRead) and isinstance(after, FileRead) and before.data and after.data:
            write_number(changed, NUMBERS)
            write_bytes(changed, make_delta(before.data, after.data))
        else:
            write_number(changed, OTHER)
            _write_answer(changed, after, digest_of)
    write_number(out, count)
    out += changed
    return True


def read_difference(reader: Reader, old: Bundle) -> StoredBundle:
    """The bundle that `put_difference` was given as `new`; raises ValueError for anything else."""
    found: list[HostAnswer | SharedFile] = list(old)
    index = -1
    for _ in range(_read_count(reader)):
        index += 1 + reader.number()
        if index >= len(found):
            raise ValueError("a difference from other files")
        before = found[index]
        form = reader.number()
        if form == OTHER:
            found[index] = _read_answer(reader, before.path)
        elif form == NUMBERS and isinstance(before, FileRead) and before.data is not None:
            found[index] = FileRead(before.path, apply_delta(before.data, reader.bytes(), MAX_FILE_BYTES), None, 0)
        else:
            raise ValueError("a difference from other files")
    return tuple(found)


def load_shared_files(stored: StoredBundle, content_of: ContentOf) -> Bundle:
    """The bundle with its large files; raises ValueError where one is lost or damaged, or they are too much."""
    found: list[HostAnswer] = []
    left_bytes = MAX_SHARED_BYTES
    for answer in stored:
        if not isinstance(answer, SharedFile):
            found.append(answer)
            continue
        data = content_of(answer.digest)
        left_bytes -= len(data)
        if left_bytes < 0:
            raise ValueError("more large files than a source reads")
        found.append(FileRead(answer.path, data, None, 0))
    return tuple(found)


def _write_answer(out: bytearray, answer: HostAnswer, digest_of: DigestOf) -> None:
    if answer.error is not None:
        write_number(out, FILE_ERROR if isinstance(answer, FileRead) else FOLDER_ERROR)
        write_signed(out, answer.error.errno or 0)
        write_bytes(out, _path_bytes(answer.error.strerror or str(answer.error)))
    elif isinstance(answer, FileRead):
        data = answer.data or b""
        digest = digest_of(data)
        write_number(out, FILE if digest is None else SHARED_FILE)
        write_bytes(out, data if digest is None else digest)
    else:
        write_number(out, FOLDER)
        entries = answer.entries or {}
        write_number(out, len(entries))
        for name, target in entries.items():
            write_bytes(out, _path_bytes(name))
            write_number(out, 0 if target is None else 1)
            if target is not None:
                write_bytes(out, _path_bytes(target))


def _read_answer(reader: Reader, path: str) -> HostAnswer | SharedFile:
    kind = reader.number()
    if kind in (FILE_ERROR, FOLDER_ERROR):
        error = OSError(reader.signed(), reader.text())
        return FileRead(path, None, error, 0) if kind == FILE_ERROR else FolderRead(path, None, error, 0)
    if kind == FILE:
        return FileRead(path, reader.bytes(), None, 0)
    if kind == SHARED_FILE:
        return SharedFile(path, reader.bytes())
    if kind == FOLDER:
        entries = {reader.text(): reader.text() if reader.number() else None for _ in range(_read_count(reader))}
        return FolderRead(path, entries, None, 0)
    raise ValueError("an answer of an unknown kind")


def _is_same_answer(one: HostAnswer, other: HostAnswer) -> bool:
    if isinstance(one, FileRead) and isinstance(other, FileRead) and one.data != other.data:
        return False
    if isinstance(one, FolderRead) and isinstance(other, FolderRead) and one.entries != other.entries:
        return False
    return _error_key(one) == _error_key(other)


def _error_key(answer: HostAnswer) -> tuple[int | None, str] | None:
    return None if answer.error is None else (answer.error.errno, answer.error.strerror or str(answer.error))


def _path_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read_count(reader: Reader) -> int:
    count = reader.number()
    if count > MAX_ANSWERS:
        raise ValueError("more files than a source reads")
    return count
