"""Encodes snapshots as records: of each source, a new reading as the difference from earlier files of the block."""

from __future__ import annotations

from typing import NamedTuple

from tcptop.recording.bundle import Bundle, DigestOf, write_bundle, write_difference
from tcptop.recording.floats import base_ns, write_time
from tcptop.recording.sample_record import (
    BLOCK_SAMPLES,
    DIFFERENCE,
    EARLIER,
    NEW,
    NO_FILES,
    STEP_SAMPLES,
    WHOLE,
    Identity,
    write_head,
)
from tcptop.recording.source_numbers import NUMBER_OF
from tcptop.recording.varints import write_bytes, write_number
from tcptop.sampling.sampler import AnyReading, SourceRead
from tcptop.snapshot import NOT_READ, Snapshot

UNRECORDED_READING = "machine_load"
"""The one reading that is not recorded: psutil reads it, not a source through a host."""

MIN_COMPRESSION_RATIO = 4
"""Minimum ratio of whole files to their difference, in bytes; below it the files are written whole."""


class _LastReading(NamedTuple):
    """The reading of a source in the sample before, and the number of the record that holds it."""

    reading: AnyReading
    number: int


class _StoredRead(NamedTuple):
    """The last read of a source in this block, and the number of the record that holds it."""

    read: SourceRead
    number: int


class _Base(NamedTuple):
    """Files that later ones can be a difference from, and the number of the record that holds them."""

    files: Bundle
    number: int
    whole_bytes: int


class RecordWriter:
    """Collects the reads of a sampler and encodes each snapshot as a record."""

    def __init__(self, digest_of: DigestOf) -> None:
        self._digest_of = digest_of
        self._reads: dict[str, list[SourceRead]] = {}
        self._last_readings: dict[str, _LastReading] = {}
        self._stored_reads: dict[str, _StoredRead] = {}
        self._wholes: dict[str, _Base] = {}
        self._steps: dict[str, _Base] = {}
        self._first_number: int | None = None

    def add_read(self, read: SourceRead) -> None:
        """Adds a read of a source, for the next snapshots."""
        self._reads.setdefault(read.source, []).append(read)

    def begins_block(self, number: int) -> bool:
        """Whether the record of this number begins a block, i.e. is a whole copy."""
        return self._first_number is None or number - self._first_number >= BLOCK_SAMPLES

    def forget_block(self) -> None:
        """Makes the next record a whole copy, as after a write that failed."""
        self._first_number = None

    def record(self, snapshot: Snapshot, number: int) -> bytes:
        """The record of a snapshot; `number` is one above that of the record before."""
        if self.begins_block(number):
            self._first_number = number
            self._last_readings = {}
            self._stored_reads = {}
            self._wholes = {}
            self._steps = {}
        out = bytearray()
        identity = Identity(snapshot.live, snapshot.place, snapshot.net_namespace, snapshot.page_size_bytes)
        write_head(out, snapshot.taken_at_unix_s, snapshot.monotonic_s, identity)
        ages: list[tuple[int, int]] = []
        new: list[tuple[str, AnyReading]] = []
        for source in NUMBER_OF:
            reading: AnyReading = getattr(snapshot, source)
            last = self._last_readings.get(source)
            if last is not None and (last.reading is reading or (reading.value is None and last.reading == reading)):
                ages.append((NUMBER_OF[source], number - last.number))
            else:
                new.append((source, reading))
        write_number(out, len(ages))
        for source_number, age in ages:
            write_number(out, source_number)
            write_number(out, age)
        write_number(out, len(new))
        base = base_ns(snapshot.monotonic_s)
        # Sockstat comes first: the sockstat read beside another source is a difference from its files.
        for source, reading in sorted(new, key=lambda item: item[0] != "sockstat"):
            write_number(out, NUMBER_OF[source])
            self._write_reading(out, source, reading, number, base)
            self._last_readings[source] = _LastReading(reading, number)
        self._forget_reads(snapshot)
        return bytes(out)

    def _write_reading(
        self, out: bytearray, source: str, reading: AnyReading, number: int, base: int, nested: bool = False
    ) -> None:
        read = self._read_of(source, reading)
        if read is None and reading.value is not None:
            reading = NOT_READ  # it was read before the recording began
        if read is None or (read.reading.state, read.reading.reason) != (reading.state, reading.reason):
            write_number(out, 1)
            write_bytes(out, reading.state.encode())
            reason = b"" if reading.reason is None else b"+" + reading.reason.encode("utf-8", "surrogateescape")
            write_bytes(out, reason)
        else:
            write_number(out, 0)
        stored = self._stored_reads.get(source)
        if stored is not None and read is not None and _is_same_read(stored.read, read):
            write_number(out, EARLIER)
            write_number(out, number - stored.number)
            return
        write_number(out, NEW)
        write_time(out, reading.taken_at_s, base)
        write_number(out, 0 if reading.read_us is None else reading.read_us + 1)
        write_time(out, reading.every_s)
        self._write_files(out, source, read.answers if read else (), number, is_base=not nested)
        self._write_files(out, "sockstat", read.sockstat_answers if read else (), number, is_base=False)
        write_number(out, 0 if reading.before is None else 1)
        if reading.before is not None:
            self._write_reading(out, source, reading.before, number, base, nested=True)
        if read is not None and not nested:
            self._stored_reads[source] = _StoredRead(read, number)

    def _write_files(self, out: bytearray, source: str, files: Bundle, number: int, is_base: bool) -> None:
        if not files:
            write_number(out, NO_FILES)
            return
        is_step = is_base and (number - (self._first_number or 0)) % STEP_SAMPLES == 0
        base = self._wholes.get(source) if is_step else self._steps.get(source) or self._wholes.get(source)
        if base is not None:
            difference = bytearray()
            if write_difference(difference, base.files, files, self._digest_of) and (
                len(difference) * MIN_COMPRESSION_RATIO < base.whole_bytes or not is_base
            ):
                write_number(out, DIFFERENCE)
                write_number(out, number - base.number)
                write_bytes(out, bytes(difference))
                if is_step:
                    self._steps[source] = _Base(files, number, base.whole_bytes)
                return
        before_bytes = len(out)
        write_number(out, WHOLE)
        write_bundle(out, files, self._digest_of)
        if is_base:
            self._wholes[source] = _Base(files, number, len(out) - before_bytes)
            self._steps.pop(source, None)

    def _read_of(self, source: str, reading: AnyReading) -> SourceRead | None:
        """The read that a reading was parsed from; None if it was not recorded."""
        reads = self._reads.get(source, [])
        same = (
            read
            for read in reversed(reads)
            if (read.reading.taken_at_s, id(read.reading.value)) == (reading.taken_at_s, id(reading.value))
        )
        return next(same, None)

    def _forget_reads(self, snapshot: Snapshot) -> None:
        """Drops all reads but those behind the reading of each source and the reading before it."""
        for source, reads in self._reads.items():
            current: AnyReading = getattr(snapshot, source)
            readings = [reading for reading in (current, current.before) if reading is not None]
            self._reads[source] = [
                read for read in reads if any(self._read_of(source, reading) is read for reading in readings)
            ]


def _is_same_read(one: SourceRead, other: SourceRead) -> bool:
    """Whether two reads are the same; replayed ones are equal, but not one object."""
    return one is other or (
        one.reading.taken_at_s == other.reading.taken_at_s
        and one.answers == other.answers
        and one.sockstat_answers == other.sockstat_answers
    )
