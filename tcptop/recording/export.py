"""Writes samples as folders, each in the layout of `--root`, with times, states and errors in its `sample.json`.

A file that cannot be at its own path, such as a second read of the path with other bytes, is in `also/`.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tcptop.errors import TcptopError
from tcptop.hosts.host import FolderRead
from tcptop.hosts.recording_host import HostAnswer
from tcptop.recording.record_writer import UNRECORDED_READING
from tcptop.recording.recording import RecordedSample, Recording
from tcptop.sampling.sampler import AnyReading, SourceRead
from tcptop.snapshot import READING_NAMES
from tcptop.text.printable import printable

SCHEMA = 1
SCHEMA_KEY = "tcptop_export"
LIST_NAME = "recording.json"
SAMPLE_NAME = "sample.json"
OTHER_FILES_FOLDER = "also"
ROOTS = ("proc", "sys")

Json = dict[str, Any]


def export(recording: Recording, indices: Sequence[int], folder: str) -> list[str]:
    """Writes samples into a new folder, and nothing outside of it; returns one line for each damaged sample.

    Raises:
        TcptopError: if the folder exists or cannot be written.

    """
    where = Path(folder)
    try:
        where.mkdir()
        names: list[str] = []
        damages: list[str] = []
        for number, index in enumerate(indices, 1):
            name = f"{number:06}"
            (where / name).mkdir()
            _SampleFolder(where / name).write(recording.sample(index))
            names.append(name)
            damages += [damaged for damaged in [recording.damage(index)] if damaged is not None]
        _write_json(where / LIST_NAME, {SCHEMA_KEY: SCHEMA, "samples": names})
        return damages
    except FileExistsError:
        raise TcptopError(f"{printable(folder)}: already exists; give the name of a new folder") from None
    except OSError as error:
        raise TcptopError(f"{printable(folder)}: {error.strerror}") from None
    except ValueError as error:
        raise TcptopError(f"{printable(folder)}: {error}") from None


def is_below_root(path: str) -> bool:
    """Whether a relative path names something below proc or sys, without `.`, `..` or empty parts."""
    parts = path.split("/")
    return (
        len(parts) > 1
        and parts[0] in ROOTS
        and "\0" not in path
        and all(part not in ("", ".", "..") for part in parts)
        and len(path) < 1000
    )


class _SampleFolder:
    """Writes the files of one sample into a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written_paths: dict[tuple[str, bytes], str] = {}
        self._other_files = 0

    def write(self, sample: RecordedSample) -> None:
        for root in ROOTS:
            (self._folder / root).mkdir()
        # Links first: files of a merged slab cache are written through the alias link, as they were read.
        for read in sample.reads:
            for answer in (*read.answers, *read.sockstat_answers):
                if isinstance(answer, FolderRead):
                    self._make_links(answer)
        snapshot = sample.snapshot
        sources = {
            name: self._export_reading(name, getattr(snapshot, name), sample.reads)
            for name in sorted(READING_NAMES - {UNRECORDED_READING})
        }
        for read in sample.reads:
            for answer in read.answers:
                if isinstance(answer, FolderRead):
                    self._make_folders(answer)
        document: Json = {
            "taken_at": _iso_utc(snapshot.taken_at_unix_s),
            "taken_at_unix_s": snapshot.taken_at_unix_s,
            "monotonic_s": snapshot.monotonic_s,
            "live": snapshot.live,
            "place": snapshot.place,
            "net_namespace": snapshot.net_namespace,
            "page_size_bytes": snapshot.page_size_bytes,
            "sources": sources,
        }
        _write_json(self._folder / SAMPLE_NAME, document)

    def _export_reading(self, name: str, reading: AnyReading, reads: tuple[SourceRead, ...]) -> Json:
        read = next(
            (
                each
                for each in reads
                if each.source == name
                and each.reading.taken_at_s == reading.taken_at_s
                and each.reading.value is reading.value
            ),
            None,
        )
        is_overridden = read is None or (read.reading.state, read.reading.reason) != (reading.state, reading.reason)
        return {
            "state": reading.state if is_overridden else None,
            "reason": reading.reason if is_overridden else None,
            "taken_at_s": reading.taken_at_s,
            "read_us": reading.read_us,
            "every_s": reading.every_s,
            "answers": [self._export_answer(answer) for answer in read.answers] if read else [],
            "sockstat_answers": [self._export_answer(answer) for answer in read.sockstat_answers] if read else [],
            "before": None if reading.before is None else self._export_reading(name, reading.before, reads),
        }

    def _export_answer(self, answer: HostAnswer) -> Json:
        if answer.error is not None:
            kind = "folder_error" if isinstance(answer, FolderRead) else "error"
            return {"path": answer.path, kind: [answer.error.errno, answer.error.strerror or str(answer.error)]}
        if isinstance(answer, FolderRead):
            return {"path": answer.path, "entries": dict(answer.entries or {})}
        return {"path": answer.path, "file": self._place_file(answer.path, answer.data or b"")}

    def _place_file(self, path: str, data: bytes) -> str:
        """Writes a file unless the same bytes are written for that path; returns its path below the sample's folder."""
        written = self._written_paths.get((path, data))
        if written is not None:
            return written
        target = path
        if not is_below_root(path) or not self._write_in_tree(path, data):
            self._other_files += 1
            target = f"{OTHER_FILES_FOLDER}/{self._other_files:04}"
            (self._folder / OTHER_FILES_FOLDER).mkdir(exist_ok=True)
            _write_new(self._folder / target, data)
        self._written_paths[path, data] = target
        return target

    def _write_in_tree(self, path: str, data: bytes) -> bool:
        """Writes a file at its own path; False if that is not possible or other bytes are there."""
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_new(target, data)
        except FileExistsError:
            # Two names of one merged cache lead to the same file.
            return target.is_file() and target.read_bytes() == data
        except (NotADirectoryError, IsADirectoryError):
            return False
        except OSError as error:
            if error.errno in UNUSABLE_PATH_ERRNOS:
                return False
            raise
        return True

    def _make_links(self, folder: FolderRead) -> None:
        for name, target in (folder.entries or {}).items():
            # Only links to a name in the same folder, as in /sys/kernel/slab: they cannot lead outside.
            if target is not None and _is_name(target) and is_below_root(f"{folder.path}/{name}") and _is_name(name):
                parent = self._folder / folder.path
                parent.mkdir(parents=True, exist_ok=True)
                (parent / target).mkdir(exist_ok=True)
                with suppress(FileExistsError):
                    (parent / name).symlink_to(target)

    def _make_folders(self, folder: FolderRead) -> None:
        """Creates empty folders for listed names that are not there; a listing does not tell files from folders."""
        for name, target in (folder.entries or {}).items():
            if target is None and _is_name(name) and is_below_root(f"{folder.path}/{name}"):
                with suppress(FileExistsError, NotADirectoryError):
                    (self._folder / folder.path / name).mkdir(parents=True)


UNUSABLE_PATH_ERRNOS = (errno.ELOOP, errno.ENAMETOOLONG)


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text and len(text.encode()) < 200


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _write_json(path: Path, document: Json) -> None:
    _write_new(path, (json.dumps(document, ensure_ascii=True, indent=1) + "\n").encode("ascii"))


def _iso_utc(unix_s: float | None) -> str | None:
    """The time in ISO 8601, for people; `taken_at_unix_s` is the exact one. None if there is no such date."""
    if unix_s is None:
        return None
    try:
        return datetime.fromtimestamp(unix_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
