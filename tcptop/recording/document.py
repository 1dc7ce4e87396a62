"""Converts a sample to a document, and back. Recordings and exported folders store samples as documents.

The document is a JSON object with the times, the identity of the host and, for each source, the answers of the host.
The JSON does not contain the bytes of files, but refers to them. In an exported folder, the JSON refers to a file by
path (`file`). In a recording, the bytes of most files stand after the JSON, file by file, and the JSON gives the length
of each file (`bytes`). A few large files are in the table `content` of the recording; the JSON refers to a large file
by digest (`sha256`). A Snapshot is made by parsing the recorded bytes again, so a later tcptop can compute more figures
from an old recording.
"""

from __future__ import annotations

import errno
import json
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeVar, get_args

from tcptop.hosts.host import FileRead, FolderRead, Identity
from tcptop.hosts.recording_host import HostAnswer
from tcptop.hosts.run_sync import run_sync
from tcptop.kernel.architecture import PAGE_SIZES
from tcptop.sampling.sampler import AnyReading, AnySource, SourceRead, make_snapshot, unread_reading
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import NOT_READ, READING_NAMES, SOCKET_TABLE, ReadState, Snapshot
from tcptop.text.printable import printable, printable_name

UNRECORDED_READING = "machine_load"
"""Name of the only reading that is not recorded. On this machine, the library psutil opens the kernel's files for
this reading. The host therefore has no bytes to record."""
RECORDED_NAMES = sorted(READING_NAMES - {UNRECORDED_READING})

STATES: dict[str, ReadState] = {state: state for state in get_args(ReadState)}

MAX_JSON_BYTES = 4 << 20
"""Limit on the JSON of a sample (usually some 60 KB); the parsed Python objects take up to 30 times as much memory."""
MAX_SOURCES = 64
MAX_ANSWERS = 20_000
"""Maximum number of answers in one read of a source."""
MAX_TEXT = 4096
MAX_REASON_CHARACTERS = 500
MAX_SHARED_BYTES = 32 << 20
"""Limit on the total size of the large files of a sample.

A hostile document of a few bytes can refer to many large files.
"""
REMEMBERED_READS = 2
"""Number of parsed reads cached for each source.

Two consecutive samples have most of their reads in common.
"""

Json = dict[str, Any]
ParsedRead = tuple[object, tuple[HostAnswer, ...], AnyReading]
"""One parsed read.

The first item of the tuple is the input of the parser: the JSON of the answers, the bytes of the files, and the
identity of the host. The second item has the answers of the host. The third item is the reading that was parsed from
the answers.
"""
AnyAnswer = TypeVar("AnyAnswer", FileRead, FolderRead)

ReadKey = tuple[str, "float | None", int]
"""Key of a read, taken from the reading that was parsed from the bytes of the read.

The items are the name of the source, the time of the reading, and the `id` of the reading's value.
"""

PutFile = Callable[[str, bytes], Json]
"""Stores the bytes of the file at a path; returns the keys with which the document refers to these bytes."""

GetFile = Callable[[Json], bytes]
"""Returns the bytes that a stored answer refers to; raises OSError or ValueError if the bytes are missing."""


class RecordedSample(NamedTuple):
    """A sample with the bytes from which the sample was parsed."""

    snapshot: Snapshot
    reads: tuple[SourceRead, ...]
    """For each source, the reads from which the current reading and the previous reading were parsed.

    Reads that were not recorded are left out.
    """
    damage: str | None = None
    """The damage to a sample in a recording, in one line; None if the sample is intact."""

    @property
    def is_lost(self) -> bool:
        """True if the sample is lost: no part of its data could be read."""
        return self.damage is not None and not self.reads


def reads_behind(snapshot: Snapshot, reads: Iterable[SourceRead]) -> tuple[SourceRead, ...]:
    """Selects the reads from which a snapshot was parsed.

    For each source, at most two reads are selected: the latest read and the previous read.
    """
    read_of = _index_reads(reads)
    keys: list[ReadKey] = []
    for name in RECORDED_NAMES:
        reading = getattr(snapshot, name)
        keys += [_read_key(name, each) for each in (reading, reading.before) if each is not None]
    return tuple(read_of[key] for key in keys if key in read_of)


def make_document(sample: RecordedSample, put_file: PutFile) -> Json:
    """The document of a sample.

    `put_file` is called for each file, in the order in which the document names the files.
    """
    snapshot = sample.snapshot
    read_of = _index_reads(sample.reads)
    return {
        "taken_at": _iso_utc(snapshot.taken_at_unix_s),
        "taken_at_unix_s": snapshot.taken_at_unix_s,
        "monotonic_s": snapshot.monotonic_s,
        "live": snapshot.live,
        "place": snapshot.place,
        "net_namespace": snapshot.net_namespace,
        "net_namespace_id": snapshot.net_namespace_id,
        "boot_id": snapshot.boot_id,
        "page_size_bytes": snapshot.page_size_bytes,
        "sources": {
            name: _reading_document(name, getattr(snapshot, name), read_of, put_file) for name in RECORDED_NAMES
        },
    }


def encode_sample(
    sample: RecordedSample, shared_paths: Collection[str], digest_of: Callable[[bytes], bytes]
) -> tuple[bytes, dict[bytes, bytes]]:
    """The document of a sample as bytes: the JSON in one line, then the files.

    The second result maps digests to the contents of the files at `shared_paths`. The document contains only the
    digests of these files.
    """
    files: list[bytes] = []
    contents: dict[bytes, bytes] = {}

    def put_file(path: str, data: bytes) -> Json:
        if path in shared_paths:
            digest = digest_of(data)
            contents[digest] = data
            return {"sha256": digest.hex()}
        files.append(data)
        return {"bytes": len(data)}

    document = make_document(sample, put_file)
    return b"".join((json.dumps(document, separators=(",", ":")).encode("ascii"), b"\n", *files)), contents


class DecodedDocument:
    """The JSON and the files of a document that was stored as bytes."""

    def __init__(self, data: bytes, read_content: Callable[[str], bytes]) -> None:
        """Splits the bytes that `encode_sample` returned; raises ValueError for any other bytes."""
        end = data.find(b"\n", 0, MAX_JSON_BYTES)
        if end < 0:
            raise ValueError("it has no document")
        self.json = load_json(data[:end])
        self._data = data
        self._at = end + 1
        self._read_content = read_content
        self._left_shared_bytes = MAX_SHARED_BYTES

    def get_file(self, stored: Json) -> bytes:
        """The bytes of one file.

        If `stored` has a digest, returns the large file with this digest; without a digest, returns the next bytes of
        the document.

        Raises ValueError if the bytes are missing.
        """
        digest, length_bytes = stored.get("sha256"), _valid_count(stored.get("bytes"))
        if isinstance(digest, str):
            content = self._read_content(digest)
            self._left_shared_bytes -= len(content)
            if self._left_shared_bytes < 0:
                raise ValueError("more large files than a sample has")
            return content
        if length_bytes is None or self._at + length_bytes > len(self._data):
            raise ValueError("one of its files is cut off")
        at, self._at = self._at, self._at + length_bytes
        return self._data[at : self._at]


def load_json(text: bytes) -> Json:
    """Parses a JSON object; raises ValueError if the text is not a JSON object."""
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"its JSON has more than {MAX_JSON_BYTES >> 20} MiB")
    try:
        document = json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("its JSON is not an object")
    return document


def _reading_document(name: str, reading: AnyReading, read_of: dict[ReadKey, SourceRead], put_file: PutFile) -> Json:
    read = read_of.get(_read_key(name, reading))
    if read is None and reading.value is not None:
        reading = NOT_READ  # the value was read before the recording began
    # When the recording is read, the files are parsed again. The document stores the state of the reading only if
    # parsing would yield a different state, for example because the read was late or failed.
    is_overridden = read is None or (read.reading.state, read.reading.reason) != (reading.state, reading.reason)
    return {
        "state": reading.state if is_overridden else None,
        "reason": reading.reason if is_overridden else None,
        "taken_at_s": reading.taken_at_s,
        "read_us": reading.read_us,
        "every_s": reading.every_s,
        "answers": [_answer_document(answer, put_file) for answer in read.answers] if read else [],
        "sockstat_answers": [_answer_document(answer, put_file) for answer in read.sockstat_answers] if read else [],
        "before": None if reading.before is None else _reading_document(name, reading.before, read_of, put_file),
    }


def _answer_document(answer: HostAnswer, put_file: PutFile) -> Json:
    if answer.error is not None:
        kind = "folder_error" if isinstance(answer, FolderRead) else "error"
        return {"path": answer.path, kind: [answer.error.errno, answer.error.strerror or str(answer.error)]}
    if isinstance(answer, FolderRead):
        return {"path": answer.path, "entries": dict(answer.entries or {})}
    return {"path": answer.path, **put_file(answer.path, answer.data or b"")}


def _index_reads(reads: Iterable[SourceRead]) -> dict[ReadKey, SourceRead]:
    """Maps each key to the read that has this key.

    If several reads have the same key, the last of these reads is used.
    """
    return {_read_key(read.source, read.reading): read for read in reads}


def _read_key(name: str, reading: AnyReading) -> ReadKey:
    return name, reading.taken_at_s, id(reading.value)


class DocumentParser:
    """Builds samples from documents.

    The latest parsed reads are cached, because two consecutive samples usually have most reads in common.
    """

    def __init__(self) -> None:
        self._sources: dict[str, AnySource] = {source.name: source for source in kernel_sources()}
        self._parsed: dict[str, deque[ParsedRead]] = {name: deque(maxlen=REMEMBERED_READS) for name in self._sources}

    def parse(self, document: Json, get_file: GetFile) -> RecordedSample:
        """Parses a document; the reading of a damaged source gets the state `failed`. Never raises."""
        readings: dict[str, AnyReading] = {}
        reads: list[SourceRead] = []
        damages: list[str] = []
        identity = _parse_identity(document)
        sources = document.get("sources")
        if not isinstance(sources, dict) or len(sources) > MAX_SOURCES:
            return lost_sample("this sample is damaged: it has no list of sources")
        for name, stored in sources.items():
            try:
                readings[name] = self._parse_reading(name, stored, identity, get_file, reads)
            except (OSError, ValueError, RecursionError) as error:
                reason = f"{printable(name)}: damaged in the recording: {printable(str(error))}"
                readings[name] = failed_reading(reason)
                damages.append(reason)
        monotonic_s = valid_number(document.get("monotonic_s")) or 0.0
        taken_at_unix_s = valid_number(document.get("taken_at_unix_s"))
        snapshot = make_snapshot(identity, taken_at_unix_s, monotonic_s, readings, recorded=True)
        return RecordedSample(snapshot, tuple(reads), "; ".join(damages) or None)

    def parse_sockstat(self, document: Json, get_file: GetFile) -> AnyReading:
        """Parses only the sockstat reading; raises OSError or ValueError if the sockstat reading is damaged."""
        sources = document.get("sources")
        stored = sources.get("sockstat") if isinstance(sources, dict) else None
        return self._parse_reading("sockstat", stored, _parse_identity(document), get_file, [])

    def _parse_reading(
        self, name: str, stored: object, identity: Identity, get_file: GetFile, reads: list[SourceRead], depth: int = 0
    ) -> AnyReading:
        """Parses the current and the previous reading of a source, each from its own answers.

        Appends the SourceRead of each of these two readings to the list `reads`.
        """
        if not isinstance(stored, dict):
            raise ValueError("its entry is not an object")
        answers, reading = self._parse_read(name, stored.get("answers"), identity, get_file)
        sockstat_answers, sockstat = self._parse_read("sockstat", stored.get("sockstat_answers"), identity, get_file)
        own_before: list[SourceRead] = []
        before: AnyReading | None = None
        if stored.get("before") is not None and depth == 0:
            before = self._parse_reading(name, stored["before"], identity, get_file, own_before, depth + 1)
        reading = reading._replace(
            taken_at_s=valid_number(stored.get("taken_at_s")),
            read_us=_valid_count(stored.get("read_us")),
            every_s=valid_number(stored.get("every_s")),
            before=before,
            sockstat=sockstat.value,
        )
        if answers:
            reads += [SourceRead(name, reading, answers, sockstat_answers), *own_before]
        if stored.get("state") is not None:
            state, reason = _valid_text(stored["state"]), _valid_text(stored.get("reason"))
            if state not in STATES:
                raise ValueError("its state is unknown")
            reading = reading._replace(
                state=STATES[state], reason=None if reason is None else printable_name(reason, MAX_REASON_CHARACTERS)
            )
        return reading

    def _parse_read(
        self, name: str, stored: object, identity: Identity, get_file: GetFile
    ) -> tuple[tuple[HostAnswer, ...], AnyReading]:
        """Parses one read; returns its answers, and the reading that the source parses from these answers."""
        if not isinstance(stored, list) or len(stored) > MAX_ANSWERS:
            raise ValueError("its answers are not a list")
        if not stored:
            return (), unread_reading(name)
        files = [get_file(answer) for answer in stored if _is_file(answer)]
        read = (stored, files, identity)
        for known, answers, reading in self._parsed.get(name, ()):
            if known == read:
                return answers, reading
        contents = iter(files)
        answers = tuple(_parse_answer(answer, contents) for answer in stored)
        if name == SOCKET_TABLE and name not in self._sources:
            # Imported here, because few recordings contain socket tables.
            from tcptop.sources.socket_table import SocketTableSource

            self._sources[name] = SocketTableSource()
            self._parsed[name] = deque(maxlen=REMEMBERED_READS)
        if name not in self._sources:
            return answers, NOT_READ  # only a later version of tcptop has this source
        reading = run_sync(self._sources[name].read(ReplayHost(answers, identity)))
        self._parsed[name].append((read, answers, reading))
        return answers, reading


def _is_file(stored: object) -> bool:
    """True if a stored answer has the contents of a file, instead of an error or the names in a folder."""
    return isinstance(stored, dict) and stored.keys().isdisjoint(("error", "folder_error", "entries"))


def _parse_answer(stored: object, files: Iterator[bytes]) -> HostAnswer:
    path = stored.get("path") if isinstance(stored, dict) else None
    if not isinstance(stored, dict) or not isinstance(path, str):
        raise ValueError("one of its answers has no path")
    if _is_file(stored):
        return FileRead(path, next(files), None, 0)
    for key, read_type in (("error", FileRead), ("folder_error", FolderRead)):
        error = stored.get(key)
        if isinstance(error, list) and len(error) == 2:
            return read_type(path, None, OSError(_valid_count(error[0]) or 0, _valid_text(error[1]) or ""), 0)
    entries = stored.get("entries")
    if not isinstance(entries, dict):
        raise ValueError(f"/{printable_name(path)} has no names")
    return FolderRead(path, {name: _valid_text(target) for name, target in entries.items()}, None, 0)


class ReplayHost:
    """Host that answers from one recorded read.

    If no answer was recorded for a path, the host answers with the error ENOENT.
    """

    def __init__(self, answers: Iterable[HostAnswer], identity: Identity) -> None:
        self.identity = identity
        self._answers = {(type(answer), answer.path): answer for answer in answers}

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """The recorded file of each path."""
        return [self._answer(FileRead, path) for path in paths]

    async def list_folder(self, path: str) -> FolderRead:
        """The recorded listing of a folder."""
        return self._answer(FolderRead, path)

    def close(self) -> None:
        """Does nothing: no file is open."""

    def _answer(self, kind: type[AnyAnswer], path: str) -> AnyAnswer:
        answer = self._answers.get((kind, path))
        if isinstance(answer, kind):
            return answer
        return kind(path, None, FileNotFoundError(errno.ENOENT, "not in the recording"), 0)


def lost_sample(reason: str, taken_at_unix_s: float | None = None) -> RecordedSample:
    """Makes a placeholder for a sample that cannot be read.

    All readings of the placeholder are in state `failed`, with the reason `reason`.
    """
    readings = {name: failed_reading(reason) for name in READING_NAMES}
    identity = Identity(live=True)
    return RecordedSample(make_snapshot(identity, taken_at_unix_s, 0.0, readings, recorded=True), (), reason)


def failed_reading(reason: str) -> AnyReading:
    """A reading in state `failed`, with the reason."""
    return NOT_READ._replace(state="failed", reason=reason)


def _parse_identity(document: Json) -> Identity:
    page_size = _valid_count(document.get("page_size_bytes"))
    return Identity(
        live=document.get("live") is True,
        page_size_bytes=page_size if page_size in PAGE_SIZES else None,
        place=_valid_text(document.get("place")),
        net_namespace=_valid_text(document.get("net_namespace")),
        net_namespace_id=_valid_text(document.get("net_namespace_id")),
        boot_id=_valid_text(document.get("boot_id")),
    )


def valid_number(value: object) -> float | None:
    """The value if it is a finite number below 1e15; otherwise None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e15 and math.isfinite(value) else None


def _valid_count(value: object) -> int | None:
    """The value if it is a non-negative integer below 2^62; otherwise None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None


def _valid_text(value: object) -> str | None:
    """The value if it is a string of fewer than 4096 characters; otherwise None."""
    return value if isinstance(value, str) and len(value) < MAX_TEXT else None


def _iso_utc(unix_s: float | None) -> str | None:
    """The time in ISO 8601, for human readers; None if the time is unknown or is not a valid date.

    The exact time is in `taken_at_unix_s`.
    """
    if unix_s is None:
        return None
    try:
        return datetime.fromtimestamp(unix_s, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None
