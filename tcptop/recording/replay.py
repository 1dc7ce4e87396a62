"""Makes Snapshots from records: each source parses the recorded bytes again; the readings keep their original times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

from tcptop.hosts import host as hosts
from tcptop.hosts.host import FileRead
from tcptop.hosts.run_sync import run_sync
from tcptop.recording.bounded_cache import BoundedCache
from tcptop.recording.bundle import Bundle, ContentOf, load_shared_files, read_difference
from tcptop.recording.recording import RecordedSample
from tcptop.recording.replay_host import ReplayHost
from tcptop.recording.sample_record import (
    BLOCK_SAMPLES,
    MAX_DEPTH,
    Difference,
    Identity,
    SampleRecord,
    StoredFiles,
    StoredRead,
    StoredReading,
)
from tcptop.recording.varints import Reader
from tcptop.sampling.sampler import AnyReading, AnySource, SourceRead, kernel_sources
from tcptop.snapshot import NOT_READ, READING_NAMES, ReadState, Snapshot, Sockstat
from tcptop.text.printable import printable

STATES: dict[str, ReadState] = {state: state for state in get_args(ReadState)}

MAX_CACHED_BYTES = 8 << 20
"""Limit of the cache of readings, by the size of their files: a step to the next sample parses only what is new."""
READING_OVERHEAD_BYTES = 1 << 14
"""Assumed overhead of a cached reading, added to the size of its files."""


class ReplayedSample(NamedTuple):
    """A sample, and its damage in one line, or None."""

    sample: RecordedSample
    damage: str | None


class _MadeReading(NamedTuple):
    """A reading, and the reads behind it and behind the reading before."""

    reading: AnyReading
    reads: tuple[SourceRead, ...]


class Replay:
    """Makes Snapshots from records; `record_of` returns a record by number, or raises ValueError if it is damaged."""

    def __init__(self, record_of: Callable[[int], SampleRecord], content_of: ContentOf) -> None:
        self._record_of = record_of
        self._content_of = content_of
        self._sources: dict[str, AnySource] = {source.name: source for source in kernel_sources()}
        self._cache: BoundedCache[tuple[str, int], _MadeReading] = BoundedCache(MAX_CACHED_BYTES)
        self._parsed_bytes = 0

    def replay(self, number: int, taken_at_unix_s: float | None) -> ReplayedSample:
        """The sample with this number, damaged if its time is not `taken_at_unix_s` (None: any time). Never raises."""
        try:
            record = self._record_of(number)
        except ValueError as error:
            return lost_sample(f"this sample is damaged: {error}", taken_at_unix_s)
        if taken_at_unix_s not in (None, record.taken_at_unix_s):
            return lost_sample(
                "this sample is damaged: its time differs from that in the list of samples", taken_at_unix_s
            )
        readings: dict[str, AnyReading] = {}
        reads: list[SourceRead] = []
        damages: list[str] = []
        for source in self._sources:
            try:
                made = self._get_reading(source, number, record)
                readings[source] = made.reading
                reads += made.reads
            except (ValueError, RecursionError) as error:
                damages.append(f"{source}: {printable(str(error))}")
                readings[source] = failed_reading(f"{source}: damaged in the recording: {printable(str(error))}")
        identity = record.identity
        snapshot = _snapshot(record.taken_at_unix_s, record.monotonic_s, identity, readings)
        return ReplayedSample(RecordedSample(snapshot, tuple(reads)), "; ".join(damages) or None)

    def _find_stored(self, source: str, number: int, record: SampleRecord) -> tuple[StoredReading, int, SampleRecord]:
        """The stored reading of a source, with the number of the record that holds it, and that record."""
        if source not in record.readings:
            if source not in record.ages:
                raise ValueError("it is not in the recording")
            number, record = self._load_earlier(number, record.ages[source])
        if source not in record.readings:
            raise ValueError("the sample that it refers to does not contain it")
        return record.readings[source], number, record

    def _get_reading(self, source: str, number: int, record: SampleRecord) -> _MadeReading:
        if source not in record.readings and source not in record.ages:
            return _MadeReading(NOT_READ, ())
        stored, at, holder = self._find_stored(source, number, record)
        made = self._cache.get((source, at))
        if made is None:
            self._parsed_bytes = READING_OVERHEAD_BYTES
            made = self._make(source, stored, at, holder)
            self._cache.put((source, at), made, self._parsed_bytes)
        return made

    def _make(
        self, source: str, stored: StoredReading, number: int, record: SampleRecord, nested: bool = False
    ) -> _MadeReading:
        """Parses the files of a stored reading, and those of the reading before it."""
        read, number, record = self._find_read(source, stored, number, record)
        files = self._load_bundle(read.files, number, record)
        sockstat_files = self._load_bundle(read.sockstat_files, number, record)
        reading: AnyReading = self._parse(source, files, record.identity) if files else NOT_READ
        before: _MadeReading | None = None
        if read.before is not None and not nested:
            before = self._make(source, read.before, number, record, nested=True)
        reading = reading._replace(
            taken_at_s=read.taken_at_s,
            read_us=read.read_us,
            every_s=read.every_s,
            before=before.reading if before else None,
            sockstat=self._parse_sockstat(sockstat_files, record.identity),
        )
        own = (SourceRead(source, reading, files, sockstat_files),) if files else ()
        if stored.override is not None:
            state, reason = stored.override
            if state not in STATES:
                raise ValueError("unknown state")
            reading = reading._replace(state=STATES[state], reason=None if reason is None else printable(reason))
        return _MadeReading(reading, own + (before.reads if before else ()))

    def _find_read(
        self, source: str, stored: StoredReading, number: int, record: SampleRecord
    ) -> tuple[StoredRead, int, SampleRecord]:
        """The read behind a reading, with the number of the record that holds it, and that record."""
        if isinstance(stored.read, StoredRead):
            return stored.read, number, record
        number, record = self._load_earlier(number, stored.read)
        found = record.readings.get(source)
        if found is None or not isinstance(found.read, StoredRead):
            raise ValueError("the sample that it refers to does not contain it")
        return found.read, number, record

    def _load_bundle(self, files: StoredFiles, number: int, record: SampleRecord, depth: int = 0) -> Bundle:
        if not isinstance(files, Difference):
            return load_shared_files(files or (), self._content_of)
        if depth > MAX_DEPTH:
            raise ValueError("differences that are nested too deeply")
        if files.age:
            number, record = self._load_earlier(number, files.age)
        base = record.readings.get(files.source)
        if base is None or not isinstance(base.read, StoredRead):
            raise ValueError("the files that it differs from are missing")
        reader = Reader(files.data)
        found = read_difference(reader, self._load_bundle(base.read.files, number, record, depth + 1))
        if not reader.at_end:
            raise ValueError("bytes after the end of a difference")
        return load_shared_files(found, self._content_of)

    def _load_earlier(self, number: int, age: int) -> tuple[int, SampleRecord]:
        if not 0 < age < BLOCK_SAMPLES:
            raise ValueError("it refers to another block")
        try:
            return number - age, self._record_of(number - age)
        except ValueError as error:
            raise ValueError(f"it was read {age} samples earlier, and that sample is damaged: {error}") from None

    def _parse(self, source: str, files: Bundle, identity: Identity) -> AnyReading:
        self._parsed_bytes += sum(len(file.data or b"") for file in files if isinstance(file, FileRead))
        host = ReplayHost(files, _host_identity(identity))
        reading: AnyReading = run_sync(self._sources[source].read(host))
        return reading

    def _parse_sockstat(self, files: Bundle, identity: Identity) -> Sockstat | None:
        value: Sockstat | None = self._parse("sockstat", files, identity).value if files else None
        return value


def lost_sample(reason: str, taken_at_unix_s: float | None = None) -> ReplayedSample:
    """A sample that cannot be read at all: every reading failed for this reason."""
    readings = {name: failed_reading(reason) for name in READING_NAMES}
    snapshot = _snapshot(taken_at_unix_s, 0.0, Identity(True, None, None, None), readings)
    return ReplayedSample(RecordedSample(snapshot, ()), reason)


def failed_reading(reason: str) -> AnyReading:
    """A reading in state `failed`, with the reason."""
    return NOT_READ._replace(state="failed", reason=reason)


def _snapshot(
    taken_at_unix_s: float | None, monotonic_s: float, identity: Identity, readings: dict[str, AnyReading]
) -> Snapshot:
    all_readings: dict[str, Any] = {name: readings.get(name, NOT_READ) for name in READING_NAMES}
    return Snapshot(
        taken_at_unix_s=taken_at_unix_s,
        monotonic_s=monotonic_s,
        live=identity.live,
        place=identity.place,
        net_namespace=identity.net_namespace,
        page_size_bytes=identity.page_size_bytes,
        **all_readings,
    )


def _host_identity(identity: Identity) -> hosts.Identity:
    return hosts.Identity(
        live=identity.live,
        page_size_bytes=identity.page_size_bytes,
        place=identity.place,
        net_namespace=identity.net_namespace,
        proc_folder=None,
    )
