"""The record of a sample: its times, and the readings that are new since the sample before.

A record refers only to records of its own block; the first of a block, the whole copy, refers to none. A reference is
an age: the number of samples back, 0 for the same record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.recording.bundle import StoredBundle, read_bundle
from tcptop.recording.floats import base_ns, read_time, write_time
from tcptop.recording.source_numbers import MAX_SOURCES, source_name
from tcptop.recording.varints import Reader, write_bytes, write_number

BLOCK_SAMPLES = 60
"""A whole copy every 60 samples: a damaged record costs one block at most."""

STEP_SAMPLES = 8
"""Every 8th record is a difference from the whole copy; the next seven, from that record, which they resemble more."""

MAX_DEPTH = 4
"""Nesting limit: a reading and the one before it; files, their base, and its base."""

NO_FILES, WHOLE, DIFFERENCE = range(3)
"""Forms of the files in a record."""

NEW, EARLIER = range(2)
"""A read stored here, or a reference to the NEW read of the source in an earlier record."""


class Identity(NamedTuple):
    """The identity of the host (see `hosts.Identity`)."""

    live: bool
    place: str | None
    net_namespace: str | None
    page_size_bytes: int | None


class Difference(NamedTuple):
    """Files as the difference from the files of `source` in the record `age` samples back."""

    source: str
    age: int
    data: bytes


StoredFiles = StoredBundle | Difference | None


class StoredRead(NamedTuple):
    """One read of a source."""

    files: StoredFiles
    taken_at_s: float | None
    read_us: int | None
    every_s: float | None
    sockstat_files: StoredFiles
    before: StoredReading | None


class StoredReading(NamedTuple):
    """The reading of a source: its read, or the age of the record that holds it, with an override of its state."""

    read: StoredRead | int
    override: tuple[str, str | None] | None
    """State and reason, if they are not those that parsing the files gives (late, failed, off)."""


class SampleRecord(NamedTuple):
    """A parsed record; ages and differences are not yet resolved."""

    taken_at_unix_s: float | None
    monotonic_s: float
    identity: Identity
    readings: Mapping[str, StoredReading]
    """The readings that this record holds, by source."""
    ages: Mapping[str, int]
    """For each unchanged source, the age of the record that holds its reading."""


def write_head(out: bytearray, taken_at_unix_s: float | None, monotonic_s: float, identity: Identity) -> None:
    """Appends the head of a record: its times and the identity of the host."""
    write_time(out, taken_at_unix_s)
    write_time(out, monotonic_s)
    write_number(out, 1 if identity.live else 0)
    for text in (identity.place, identity.net_namespace):
        write_bytes(out, b"" if text is None else b"+" + text.encode("utf-8", "surrogateescape"))
    write_number(out, identity.page_size_bytes or 0)


def parse_record(data: bytes) -> SampleRecord:
    """Parses a record.

    Raises:
        ValueError: if the data is not a record.

    """
    return _Parser(data).record()


class _Parser:
    def __init__(self, data: bytes) -> None:
        self._reader = Reader(data)
        self._base_ns = 0

    def record(self) -> SampleRecord:
        reader = self._reader
        taken_at_unix_s, monotonic_s = read_time(reader), read_time(reader)
        if monotonic_s is None:
            raise ValueError("a sample without a time")
        self._base_ns = base_ns(monotonic_s)
        live = reader.number() == 1
        place, net_namespace = self._optional_text(), self._optional_text()
        identity = Identity(live, place, net_namespace, reader.number() or None)
        ages = {self._source(): reader.number() for _ in range(self._count())}
        readings: dict[str, StoredReading] = {}
        for _ in range(self._count()):
            source = self._source()
            readings[source] = self._reading(source, 0)
        if not reader.at_end:
            raise ValueError("bytes after the end of the sample")
        return SampleRecord(taken_at_unix_s, monotonic_s, identity, readings, ages)

    def _reading(self, source: str, depth: int) -> StoredReading:
        if depth > MAX_DEPTH:
            raise ValueError("readings that are nested too deeply")
        reader = self._reader
        override = None
        if reader.number():
            state, reason = reader.text(), self._optional_text()
            override = (state, reason)
        if reader.number() == EARLIER:
            return StoredReading(reader.number(), override)
        taken_at_s = read_time(reader, self._base_ns)
        read_us = reader.number()
        every_s = read_time(reader)
        files = self._files(source)
        sockstat_files = self._files("sockstat")
        before = self._reading(source, depth + 1) if reader.number() else None
        read = StoredRead(files, taken_at_s, read_us - 1 if read_us else None, every_s, sockstat_files, before)
        return StoredReading(read, override)

    def _files(self, source: str) -> StoredFiles:
        form = self._reader.number()
        if form == NO_FILES:
            return None
        if form == DIFFERENCE:
            return Difference(source, self._reader.number(), self._reader.bytes())
        if form != WHOLE:
            raise ValueError("files of unknown form")
        return read_bundle(self._reader)

    def _source(self) -> str:
        return source_name(self._reader.number())

    def _count(self) -> int:
        count = self._reader.number()
        if count > MAX_SOURCES:
            raise ValueError("too many sources")
        return count

    def _optional_text(self) -> str | None:
        text = self._reader.text()
        return text[1:] if text else None
