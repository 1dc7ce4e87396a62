"""An exported folder as a recording. Its contents are not trusted, and nothing outside of it is read."""

from __future__ import annotations

import json
import math
import os
from typing import Any, get_args

from tcptop.errors import TcptopError
from tcptop.hosts.confined_tree import ConfinedTree
from tcptop.hosts.host import FileRead, FolderRead, Identity
from tcptop.hosts.recording_host import HostAnswer
from tcptop.hosts.run_sync import run_sync
from tcptop.recording.bundle import MAX_ANSWERS, MAX_FILE_BYTES, Bundle
from tcptop.recording.export import LIST_NAME, SAMPLE_NAME, SCHEMA, SCHEMA_KEY
from tcptop.recording.record_writer import UNRECORDED_READING
from tcptop.recording.recording import UNKNOWN_COUNTS, RecordedSample, TimelineCounts, largest_counts
from tcptop.recording.replay import failed_reading
from tcptop.recording.replay_host import ReplayHost
from tcptop.sampling.sampler import AnyReading, SourceRead, kernel_sources
from tcptop.snapshot import NOT_READ, READING_NAMES, ReadState, Snapshot, Sockstat
from tcptop.text.printable import printable

MAX_SAMPLES = 100_000
STATES: dict[str, ReadState] = {state: state for state in get_args(ReadState)}
RECORDED_NAMES = sorted(READING_NAMES - {UNRECORDED_READING})

Json = dict[str, Any]


class ExportedFolder:
    """The samples of a folder that `tcptop export` wrote; a sample is read on request."""

    def __init__(self, path: str) -> None:
        """Opens the folder; raises TcptopError if it holds no export, OSError if it cannot be opened."""
        self.path = path
        self._tree = ConfinedTree(path)
        self._sources = {source.name: source for source in kernel_sources()}
        self._last: tuple[int, RecordedSample, str | None] | None = None
        try:
            self._names = self._read_names()
            self._times = [self._read_time(name) for name in self._names]
        except ValueError as error:
            self.close()
            raise TcptopError(f"{printable(path)}: not a valid export: {error}") from None
        except OSError as error:
            self.close()
            raise TcptopError(f"{printable(path)}: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self._names)

    def taken_at_unix_s(self, index: int) -> float | None:
        """The time of a sample; None if unknown."""
        return self._times[index]

    def timeline_counts(self, index: int) -> TimelineCounts:
        """The counts of sockstat; of the sample's files, only `sample.json` and those of sockstat are read."""
        name = self._names[index]
        try:
            document = self._read_json(f"{name}/{SAMPLE_NAME}")
            stored = document.get("sources", {}).get("sockstat")
            value = self._read_reading(name, "sockstat", stored, _parse_identity(document), []).value
        except (OSError, ValueError, AttributeError, RecursionError):
            return UNKNOWN_COUNTS  # `damage` reports it when the sample is shown
        return UNKNOWN_COUNTS if value is None else TimelineCounts(value.allocated, value.time_wait)

    def largest_counts(self, indices: range) -> TimelineCounts:
        """The largest value of each count over a range of samples."""
        return largest_counts(self.timeline_counts(index) for index in indices)

    def snapshot(self, index: int) -> Snapshot:
        """The snapshot as it was live."""
        return self._cached_sample(index)[0].snapshot

    def sample(self, index: int) -> RecordedSample:
        """The snapshot with the files that were read."""
        return self._cached_sample(index)[0]

    def damage(self, index: int) -> str | None:
        """The damage to a sample, in one line; None if it is intact."""
        return self._cached_sample(index)[1]

    def close(self) -> None:
        """Closes the folder."""
        self._tree.close()

    def _cached_sample(self, index: int) -> tuple[RecordedSample, str | None]:
        if self._last is None or self._last[0] != index:
            self._last = index, *self._read_sample(self._names[index])
        return self._last[1], self._last[2]

    def _read_names(self) -> list[str]:
        listing = self._read_json(LIST_NAME)
        names = listing.get("samples")
        if listing.get(SCHEMA_KEY) != SCHEMA:
            raise ValueError(
                f"its schema is {str(listing.get(SCHEMA_KEY))[:40]!r}, and this tcptop reads only {SCHEMA}"
            )
        if not isinstance(names, list) or not 0 < len(names) <= MAX_SAMPLES:
            raise ValueError("it lists no samples")
        for name in names:
            if not (isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 12):
                raise ValueError("a sample name is not a number")
        return names

    def _read_time(self, name: str) -> float | None:
        """The time of a sample; None if its `sample.json` has none or cannot be read."""
        try:
            return _valid_number(self._read_json(f"{name}/{SAMPLE_NAME}").get("taken_at_unix_s"))
        except (OSError, ValueError):
            return None

    def _read_sample(self, name: str) -> tuple[RecordedSample, str | None]:
        damages: list[str] = []
        readings: dict[str, AnyReading] = {}
        reads: list[SourceRead] = []
        document: Json = {}
        try:
            document = self._read_json(f"{name}/{SAMPLE_NAME}")
        except (OSError, ValueError) as error:
            damages.append(f"{SAMPLE_NAME}: {printable(str(error))}")
        identity = _parse_identity(document)
        sources = document.get("sources")
        for source in RECORDED_NAMES:
            try:
                stored = sources.get(source) if isinstance(sources, dict) else None
                if not isinstance(stored, dict):
                    raise ValueError(f"{SAMPLE_NAME} has no entry for it")
                readings[source] = self._read_reading(name, source, stored, identity, reads)
            except (OSError, ValueError, RecursionError) as error:
                reason = f"{source}: damaged in the export: {printable(str(error))}"
                readings[source] = failed_reading(reason)
                damages.append(reason)
        monotonic_s = _valid_number(document.get("monotonic_s"))
        all_readings: dict[str, Any] = {name: readings.get(name, NOT_READ) for name in READING_NAMES}
        snapshot = Snapshot(
            taken_at_unix_s=_valid_number(document.get("taken_at_unix_s")),
            monotonic_s=0.0 if monotonic_s is None else monotonic_s,
            live=identity.live,
            place=identity.place,
            net_namespace=identity.net_namespace,
            page_size_bytes=identity.page_size_bytes,
            **all_readings,
        )
        return RecordedSample(snapshot, tuple(reads)), "; ".join(damages) or None

    def _read_reading(
        self,
        sample: str,
        source: str,
        stored: Json,
        identity: Identity,
        reads: list[SourceRead],
        nested: bool = False,
    ) -> AnyReading:
        """Parses the stored answers of a source, and those of the reading before; adds both reads to `reads`."""
        files = self._read_answers(sample, stored.get("answers"))
        sockstat_files = self._read_answers(sample, stored.get("sockstat_answers"))
        reading: AnyReading = NOT_READ
        if files:
            reading = run_sync(self._sources[source].read(ReplayHost(files, identity)))
        sockstat: Sockstat | None = None
        if sockstat_files:
            sockstat = run_sync(self._sources["sockstat"].read(ReplayHost(sockstat_files, identity))).value
        own_before: list[SourceRead] = []
        stored_before = stored.get("before")
        before: AnyReading | None = None
        if isinstance(stored_before, dict) and not nested:
            before = self._read_reading(sample, source, stored_before, identity, own_before, nested=True)
        reading = reading._replace(
            taken_at_s=_valid_number(stored.get("taken_at_s")),
            read_us=_valid_count(stored.get("read_us")),
            every_s=_valid_number(stored.get("every_s")),
            before=before,
            sockstat=sockstat,
        )
        if files:
            reads += [SourceRead(source, reading, files, sockstat_files), *own_before]
        state, reason = stored.get("state"), stored.get("reason")
        if state is not None:
            if not isinstance(state, str) or state not in STATES:
                raise ValueError("unknown state")
            text = _valid_text(reason)
            reading = reading._replace(state=STATES[state], reason=None if text is None else printable(text))
        return reading

    def _read_answers(self, sample: str, stored: object) -> Bundle:
        if not isinstance(stored, list) or len(stored) > MAX_ANSWERS:
            raise ValueError("its files are not a list")
        return tuple(self._read_answer(sample, answer) for answer in stored)

    def _read_answer(self, sample: str, stored: object) -> HostAnswer:
        path = stored.get("path") if isinstance(stored, dict) else None
        if not isinstance(stored, dict) or not isinstance(path, str):
            raise ValueError("one of its files has no path")
        for key, read_type in (("error", FileRead), ("folder_error", FolderRead)):
            error = stored.get(key)
            if isinstance(error, list) and len(error) == 2:
                return read_type(path, None, OSError(_valid_count(error[0]) or 0, _valid_text(error[1]) or ""), 0)
        entries = stored.get("entries")
        if isinstance(entries, dict):
            return FolderRead(path, {name: _valid_text(target) for name, target in entries.items()}, None, 0)
        file = stored.get("file")
        if not isinstance(file, str):
            raise ValueError(f"/{printable(path)} has no file")
        return FileRead(path, self._read_bytes(f"{sample}/{file}"), None, 0)

    def _read_json(self, path: str) -> Json:
        try:
            document = json.loads(self._read_bytes(path))
        except RecursionError:
            raise ValueError(f"{path} is nested too deeply") from None
        if not isinstance(document, dict):
            raise ValueError(f"{path} is not a JSON object")
        return document

    def _read_bytes(self, path: str) -> bytes:
        descriptor = self._tree.open_file(path)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"{printable(path)} is larger than {MAX_FILE_BYTES >> 20} MiB")
        return data


def _valid_number(value: object) -> float | None:
    """A finite number below 1e15; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and abs(value) < 1e15 else None


def _parse_identity(document: Json) -> Identity:
    return Identity(
        live=document.get("live") is True,
        page_size_bytes=_valid_count(document.get("page_size_bytes")),
        place=_valid_text(document.get("place")),
        net_namespace=_valid_text(document.get("net_namespace")),
        proc_folder=None,
    )


def _valid_count(value: object) -> int | None:
    """A non-negative integer below 2^62; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62 else None


def _valid_text(value: object) -> str | None:
    """A string of less than 4096 characters; None for anything else."""
    return value if isinstance(value, str) and len(value) < 4096 else None
