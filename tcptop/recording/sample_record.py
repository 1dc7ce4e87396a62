"""One sample as bytes: its times, and what is new of each source since the sample before.

A record refers only to records of its own block, the first of which (the whole one) refers to none. How many samples
back a record lies is its age; the age of what stands in the same record is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.recording.bundle import StoredBundle, read_bundle
from tcptop.recording.floats import base_ns, read_time, write_time
from tcptop.recording.source_numbers import MAX_SOURCES, source_name
from tcptop.recording.varints import Reader, write_bytes, write_number

BLOCK_SAMPLES = 60
"""So often a whole copy: one damaged record costs no more."""

STEP_SAMPLES = 8
"""So often a record differs from the whole copy alone; those between differ from that one, which is more like them."""

MAX_DEPTH = 4
"""A reading and the one before it; files and what they differ from."""

NO_FILES, WHOLE, DIFFERENCE = range(3)
"""How files stand in a record."""

NEW, EARLIER = range(2)
"""A read of its own, or the NEW one of the source in an earlier record."""


class Identity(NamedTuple):
    """What the host knew of itself."""

    live: bool
    place: str | None
    net_namespace: str | None
    page_size_bytes: int | None


class Difference(NamedTuple):
    """Files as what differs from those of a source that were read so many samples back."""

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
    """What a source said: a read, or the age of the record where it stands; and what was said of it instead."""

    read: StoredRead | int
    override: tuple[str, str | None] | None
    """State and reason, where they are not those that the files give (late, failed, off)."""


class SampleRecord(NamedTuple):
    """One sample. Ages and differences are still to be resolved."""

    taken_at_unix_s: float | None
    monotonic_s: float
    identity: Identity
    readings: Mapping[str, StoredReading]
    """What is new."""
    ages: Mapping[str, int]
    """Of the sources of which nothing is new, how many samples ago it was."""


def write_head(out: bytearray, taken_at_unix_s: float | None, monotonic_s: float, identity: Identity) -> None:
    """Appends what a record begins with."""
    write_time(out, taken_at_unix_s)
    write_time(out, monotonic_s)
    write_number(out, 1 if identity.live else 0)
    for text in (identity.place, identity.net_namespace):
        write_bytes(out, b"" if text is None else b"+" + text.encode("utf-8", "surrogateescape"))
    write_number(out, identity.page_size_bytes or 0)


def parse_record(data: bytes) -> SampleRecord:
    """Takes a record apart.

    Raises:
        ValueError: for anything that no recorder wrote.

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
            raise ValueError("more than a sample")
        return SampleRecord(taken_at_unix_s, monotonic_s, identity, readings, ages)

    def _reading(self, source: str, depth: int) -> StoredReading:
        if depth > MAX_DEPTH:
            raise ValueError("readings that lead nowhere")
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
            raise ValueError("files of an unknown form")
        return read_bundle(self._reader)

    def _source(self) -> str:
        return source_name(self._reader.number())

    def _count(self) -> int:
        count = self._reader.number()
        if count > MAX_SOURCES:
            raise ValueError("more sources than there are")
        return count

    def _optional_text(self) -> str | None:
        text = self._reader.text()
        return text[1:] if text else None
