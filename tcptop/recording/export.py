"""Samples as folders: each in the layout of `--root`, with what a tree of files cannot tell in its `sample.json`.

Where two reads of one path gave different bytes, the later ones stand in `also/`.
"""

from __future__ import annotations

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
DUPLICATES_FOLDER = "also"
ROOTS = ("proc", "sys")

Json = dict[str, Any]


def export(recording: Recording, indices: Sequence[int], folder: str) -> list[str]:
    """Writes the samples into a folder that is not there yet; nothing is ever written outside of it.

    Gives what of them is damaged, in lines.

    Raises:
        TcptopError: in one line, where that cannot be done.

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
        raise TcptopError(f"{printable(folder)}: is there already; name a folder that is not") from None
    except OSError as error:
        raise TcptopError(f"{printable(folder)}: {error.strerror}") from None
    except ValueError as error:
        raise TcptopError(f"{printable(folder)}: {error}") from None


def is_below_root(path: str) -> bool:
    """Whether a path names something below proc or sys, and goes no way but down."""
    parts = path.split("/")
    return (
        len(parts) > 1
        and parts[0] in ROOTS
        and "\0" not in path
        and all(part not in ("", ".", "..") for part in parts)
        and len(path) < 1000
    )


class _SampleFolder:
    """Puts the files of one sample below a folder that holds nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place_of: dict[tuple[str, bytes], str] = {}
        self._duplicates = 0

    def write(self, sample: RecordedSample) -> None:
        for root in ROOTS:
            (self._folder / root).mkdir()
        # Links first: the files of a merged cache are written through them, as they were read.
        for read in sample.reads:
            for answer in (*read.answers, *read.sockstat_answers):
                if isinstance(answer, FolderRead):
                    self._make_links(answer)
        snapshot = sample.snapshot
        sources = {
            name: self._reading(name, getattr(snapshot, name), sample.reads)
            for name in sorted(READING_NAMES - {UNRECORDED_READING})
        }
        for read in sample.reads:
            for answer in read.answers:
                if isinstance(answer, FolderRead):
                    self._make_folders(answer)
        found: Json = {
            "taken_at": _iso_utc(snapshot.taken_at_unix_s),
            "taken_at_unix_s": snapshot.taken_at_unix_s,
            "monotonic_s": snapshot.monotonic_s,
            "live": snapshot.live,
            "place": snapshot.place,
            "net_namespace": snapshot.net_namespace,
            "page_size_bytes": snapshot.page_size_bytes,
            "sources": sources,
        }
        _write_json(self._folder / SAMPLE_NAME, found)

    def _reading(self, name: str, reading: AnyReading, reads: tuple[SourceRead, ...]) -> Json:
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
        is_other = read is None or (read.reading.state, read.reading.reason) != (reading.state, reading.reason)
        return {
            "state": reading.state if is_other else None,
            "reason": reading.reason if is_other else None,
            "taken_at_s": reading.taken_at_s,
            "read_us": reading.read_us,
            "every_s": reading.every_s,
            "answers": [self._answer(answer) for answer in read.answers] if read else [],
            "sockstat_answers": [self._answer(answer) for answer in read.sockstat_answers] if read else [],
            "before": None if reading.before is None else self._reading(name, reading.before, reads),
        }

    def _answer(self, answer: HostAnswer) -> Json:
        if answer.error is not None:
            kind = "folder_error" if isinstance(answer, FolderRead) else "error"
            return {"path": answer.path, kind: [answer.error.errno, answer.error.strerror or str(answer.error)]}
        if isinstance(answer, FolderRead):
            return {"path": answer.path, "entries": dict(answer.entries or {})}
        return {"path": answer.path, "file": self._place_file(answer.path, answer.data or b"")}

    def _place_file(self, path: str, data: bytes) -> str:
        """Writes a file, if it does not stand there already; gives its place below the sample's folder."""
        known = self._place_of.get((path, data))
        if known is not None:
            return known
        place = path
        if not is_below_root(path) or not self._write_in_tree(path, data):
            self._duplicates += 1
            place = f"{DUPLICATES_FOLDER}/{self._duplicates:04}"
            (self._folder / DUPLICATES_FOLDER).mkdir(exist_ok=True)
            _write_new(self._folder / place, data)
        self._place_of[path, data] = place
        return place

    def _write_in_tree(self, path: str, data: bytes) -> bool:
        """Writes a file in the tree; False where something else stands there."""
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_new(target, data)
        except FileExistsError:
            # Two names of one merged cache are one file.
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
            # Only to a neighbour, as in /sys/kernel/slab: such a link leads nowhere else.
            if target is not None and _is_name(target) and is_below_root(f"{folder.path}/{name}") and _is_name(name):
                parent = self._folder / folder.path
                parent.mkdir(parents=True, exist_ok=True)
                (parent / target).mkdir(exist_ok=True)
                with suppress(FileExistsError):
                    (parent / name).symlink_to(target)

    def _make_folders(self, folder: FolderRead) -> None:
        """What else was in a folder that was listed, as empty folders: a list cannot tell files from folders."""
        for name, target in (folder.entries or {}).items():
            if target is None and _is_name(name) and is_below_root(f"{folder.path}/{name}"):
                with suppress(FileExistsError, NotADirectoryError):
                    (self._folder / folder.path / name).mkdir(parents=True)


UNUSABLE_PATH_ERRNOS = (40, 36)
"""ELOOP and ENAMETOOLONG: nothing can be written at such a path."""


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text and len(text.encode()) < 200


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _write_json(path: Path, found: Json) -> None:
    _write_new(path, (json.dumps(found, ensure_ascii=True, indent=1) + "\n").encode("ascii"))


def _iso_utc(unix_s: float | None) -> str | None:
    """The time for a person; the other one is exact."""
    if unix_s is None:
        return None
    try:
        return datetime.fromtimestamp(unix_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
