"""Encodes a bundle, the host's answers to one read of a source: whole, or as the difference from an earlier bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tcptop.hosts.host import FileRead, FolderRead
from tcptop.hosts.recording_host import HostAnswer
from tcptop.recording.number_delta import apply_delta, make_delta
from tcptop.recording.varints import Reader, write_bytes, write_number, write_signed

MAX_FILE_BYTES = 16 << 20
"""The limit of a host for one file (tcptop/hosts/folder.py)."""
MAX_SHARED_BYTES = 64 << 20
"""Limit for all shared files of one read: a hostile record of a few bytes can name many."""
MAX_ANSWERS = 20_000

FILE, FILE_ERROR, FOLDER, FOLDER_ERROR, SHARED_FILE = range(5)
SAME, NUMBERS, OTHER = range(3)

Bundle = tuple[HostAnswer, ...]


@dataclass(frozen=True, slots=True)
class SharedFile:
    """A large file, stored once in the table `content` and referred to by its digest."""

    path: str
    digest: bytes


StoredBundle = tuple[HostAnswer | SharedFile, ...]


DigestOf = Callable[[bytes], "bytes | None"]
"""Stores a large file and returns its digest; None for a small file, which is stored inline."""

ContentOf = Callable[[bytes], bytes]
"""Returns the bytes of a digest; raises ValueError if they are missing or damaged."""


def write_bundle(out: bytearray, bundle: Bundle, digest_of: DigestOf) -> None:
    """Appends a whole bundle."""
    write_number(out, len(bundle))
    for answer in bundle:
        write_bytes(out, _path_bytes(answer.path))
        _write_answer(out, answer, digest_of)


def read_bundle(reader: Reader) -> StoredBundle:
    """Reads a bundle that `write_bundle` wrote; raises ValueError for anything else."""
    return tuple(_read_answer(reader, reader.text()) for _ in range(_read_count(reader)))


def write_difference(out: bytearray, old: Bundle, new: Bundle, digest_of: DigestOf) -> bool:
    """Appends the difference from `old` to `new`; False, with nothing appended, if their paths or types differ."""
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
    """Reads a difference and returns the bundle `new`; raises ValueError if it does not fit `old`."""
    answers: list[HostAnswer | SharedFile] = list(old)
    index = -1
    for _ in range(_read_count(reader)):
        index += 1 + reader.number()
        if index >= len(answers):
            raise ValueError("a difference that does not fit its base files")
        before = answers[index]
        form = reader.number()
        if form == OTHER:
            answers[index] = _read_answer(reader, before.path)
        elif form == NUMBERS and isinstance(before, FileRead) and before.data is not None:
            answers[index] = FileRead(before.path, apply_delta(before.data, reader.bytes(), MAX_FILE_BYTES), None, 0)
        else:
            raise ValueError("a difference that does not fit its base files")
    return tuple(answers)


def load_shared_files(stored: StoredBundle, content_of: ContentOf) -> Bundle:
    """The bundle with its shared files; raises ValueError if one is missing or damaged, or they are too large."""
    answers: list[HostAnswer] = []
    left_bytes = MAX_SHARED_BYTES
    for answer in stored:
        if not isinstance(answer, SharedFile):
            answers.append(answer)
            continue
        data = content_of(answer.digest)
        left_bytes -= len(data)
        if left_bytes < 0:
            raise ValueError("more large files than a source reads")
        answers.append(FileRead(answer.path, data, None, 0))
    return tuple(answers)


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
    raise ValueError("an answer of unknown type")


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
