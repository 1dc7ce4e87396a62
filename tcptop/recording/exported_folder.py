"""An exported folder as a recording. It may be from anywhere: nothing in it is trusted, and nothing outside is read."""

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
    """The samples of a folder that `tcptop export` wrote, each read when it is asked for."""

    def __init__(self, path: str) -> None:
        """Takes the folder; raises TcptopError where it holds no export, and OSError where it cannot be entered."""
        self.path = path
        self._tree = ConfinedTree(path)
        self._sources = {source.name: source for source in kernel_sources()}
        self._last: tuple[int, RecordedSample, str | None] | None = None
        try:
            self._names = self._read_names()
            self._times = [self._read_time(name) for name in self._names]
        except ValueError as error:
            self.close()
            raise TcptopError(f"{printable(path)}: not an export that is understood: {error}") from None
        except OSError as error:
            self.close()
            raise TcptopError(f"{printable(path)}: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self._names)

    def taken_at_unix_s(self, index: int) -> float | None:
        """When a sample was taken."""
        return self._times[index]

    def timeline_counts(self, index: int) -> TimelineCounts:
        """What sockstat says; nothing else of the sample is read."""
        name = self._names[index]
        try:
            found = self._read_json(f"{name}/{SAMPLE_NAME}")
            own = found.get("sources", {}).get("sockstat")
            value = self._read_reading(name, "sockstat", own, _identity(found), []).value
        except (OSError, ValueError, AttributeError, RecursionError):
            return UNKNOWN_COUNTS  # what is damaged is told where the sample is shown
        return UNKNOWN_COUNTS if value is None else TimelineCounts(value.allocated, value.time_wait)

    def largest_counts(self, indices: range) -> TimelineCounts:
        """The largest of each count in a range."""
        return largest_counts(self.timeline_counts(index) for index in indices)

    def snapshot(self, index: int) -> Snapshot:
        """The sample as it was live."""
        return self._sample(index)[0].snapshot

    def sample(self, index: int) -> RecordedSample:
        """The same with its files."""
        return self._sample(index)[0]

    def damage(self, index: int) -> str | None:
        """What of a sample is damaged."""
        return self._sample(index)[1]

    def close(self) -> None:
        """Closes the folder."""
        self._tree.close()

    def _sample(self, index: int) -> tuple[RecordedSample, str | None]:
        if self._last is None or self._last[0] != index:
            self._last = index, *self._read_sample(self._names[index])
        return self._last[1], self._last[2]

    def _read_names(self) -> list[str]:
        found = self._read_json(LIST_NAME)
        names = found.get("samples")
        if found.get(SCHEMA_KEY) != SCHEMA:
            raise ValueError(f"its schema is {str(found.get(SCHEMA_KEY))[:40]!r}, and only {SCHEMA} is known here")
        if not isinstance(names, list) or not 0 < len(names) <= MAX_SAMPLES:
            raise ValueError("it lists no samples")
        for name in names:
            if not (isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 12):
                raise ValueError("the name of a sample is no number")
        return names

    def _read_time(self, name: str) -> float | None:
        """The time of a sample; None where its own file cannot tell."""
        try:
            return _number(self._read_json(f"{name}/{SAMPLE_NAME}").get("taken_at_unix_s"))
        except (OSError, ValueError):
            return None

    def _read_sample(self, name: str) -> tuple[RecordedSample, str | None]:
        damages: list[str] = []
        readings: dict[str, AnyReading] = {}
        reads: list[SourceRead] = []
        found: Json = {}
        try:
            found = self._read_json(f"{name}/{SAMPLE_NAME}")
        except (OSError, ValueError) as error:
            damages.append(f"{SAMPLE_NAME}: {printable(str(error))}")
        identity = _identity(found)
        stored = found.get("sources")
        for source in RECORDED_NAMES:
            try:
                own = stored.get(source) if isinstance(stored, dict) else None
                if not isinstance(own, dict):
                    raise ValueError(f"{SAMPLE_NAME} does not tell of it")
                readings[source] = self._read_reading(name, source, own, identity, reads)
            except (OSError, ValueError, RecursionError) as error:
                reason = f"{source}: damaged in the export: {printable(str(error))}"
                readings[source] = failed_reading(reason)
                damages.append(reason)
        monotonic_s = _number(found.get("monotonic_s"))
        every: dict[str, Any] = {each: readings.get(each, NOT_READ) for each in READING_NAMES}
        snapshot = Snapshot(
            taken_at_unix_s=_number(found.get("taken_at_unix_s")),
            monotonic_s=0.0 if monotonic_s is None else monotonic_s,
            live=identity.live,
            place=identity.place,
            net_namespace=identity.net_namespace,
            page_size_bytes=identity.page_size_bytes,
            **every,
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
            taken_at_s=_number(stored.get("taken_at_s")),
            read_us=_count(stored.get("read_us")),
            every_s=_number(stored.get("every_s")),
            before=before,
            sockstat=sockstat,
        )
        if files:
            reads += [SourceRead(source, reading, files, sockstat_files), *own_before]
        state, reason = stored.get("state"), stored.get("reason")
        if state is not None:
            if not isinstance(state, str) or state not in STATES:
                raise ValueError("a state that there is not")
            shown = _text(reason)
            reading = reading._replace(state=STATES[state], reason=None if shown is None else printable(shown))
        return reading

    def _read_answers(self, sample: str, stored: object) -> Bundle:
        if not isinstance(stored, list) or len(stored) > MAX_ANSWERS:
            raise ValueError("its files are no list")
        return tuple(self._read_answer(sample, each) for each in stored)

    def _read_answer(self, sample: str, stored: object) -> HostAnswer:
        path = stored.get("path") if isinstance(stored, dict) else None
        if not isinstance(stored, dict) or not isinstance(path, str):
            raise ValueError("one of its files has no path")
        for kind, made in (("error", FileRead), ("folder_error", FolderRead)):
            error = stored.get(kind)
            if isinstance(error, list) and len(error) == 2:
                return made(path, None, OSError(_count(error[0]) or 0, _text(error[1]) or ""), 0)
        entries = stored.get("entries")
        if isinstance(entries, dict):
            return FolderRead(path, {name: _text(target) for name, target in entries.items()}, None, 0)
        place = stored.get("file")
        if not isinstance(place, str):
            raise ValueError(f"/{printable(path)} has no file")
        return FileRead(path, self._read_bytes(f"{sample}/{place}"), None, 0)

    def _read_json(self, path: str) -> Json:
        try:
            found = json.loads(self._read_bytes(path))
        except RecursionError:
            raise ValueError(f"{path} is nested without end") from None
        if not isinstance(found, dict):
            raise ValueError(f"{path} is no JSON object")
        return found

    def _read_bytes(self, path: str) -> bytes:
        descriptor = self._tree.open_file(path)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"{printable(path)} is larger than {MAX_FILE_BYTES >> 20} MiB")
        return data


def _number(found: object) -> float | None:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return float(found) if math.isfinite(found) and abs(found) < 1e15 else None


def _identity(found: Json) -> Identity:
    return Identity(
        live=found.get("live") is True,
        page_size_bytes=_count(found.get("page_size_bytes")),
        place=_text(found.get("place")),
        net_namespace=_text(found.get("net_namespace")),
        proc_folder=None,
    )


def _count(found: object) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 62 else None


def _text(found: object) -> str | None:
    return found if isinstance(found, str) and len(found) < 4096 else None
