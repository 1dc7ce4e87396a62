"""The interface of all recordings: files of `tcptop record`, saved trees and exported folders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.recording.document import RecordedSample, lost_sample
from tcptop.snapshot import Snapshot, Sockstat
from tcptop.text.printable import printable

MAX_CACHED_SAMPLES = 4
MAX_LOST = 50
"""Maximum number of lost samples that are yielded; a lost sample is a sample of which nothing is left.

As JSON, a lost sample takes 20 KB, but holds no figure.
"""
MAX_READ_LOST = 10_000
"""Maximum number of lost samples that are read.

A hostile recording may list millions of samples without data. Without a maximum, tcptop would try to read all these
samples.
"""
PASSED_ON = f"; of the samples without any data, only the first {MAX_LOST} are passed on"


class TimelineCounts(NamedTuple):
    """Socket counts of one sample, for the time line. A count is None if unknown."""

    allocated: int | None
    """Number of TCP sockets on the machine."""
    time_wait: int | None
    """Number of TIME_WAIT sockets in one network namespace."""


class Recording(ABC):
    """Samples in the order in which they were taken, numbered from 0. Damaged or hostile data raise no exception."""

    def __init__(self, path: str) -> None:
        """Takes the path that the recording was opened from."""
        self.path = path
        self.list_damage: str | None = None
        """Damage to the list of samples, in one line: some samples may be missing, or have no time; None if intact."""
        self._samples: dict[int, RecordedSample] = {}
        self._damaged: set[int] = set()
        self._left_out = ""

    @abstractmethod
    def __len__(self) -> int:
        """The number of samples; at least 1."""

    @abstractmethod
    def taken_at_unix_s(self, index: int) -> float | None:
        """The time of a sample; None if unknown, for example because a saved tree has no time."""

    @abstractmethod
    def close(self) -> None:
        """Closes files and connections; a second call does nothing."""

    @abstractmethod
    def _read(self, index: int) -> RecordedSample:
        """Reads and parses a sample; raises OSError or ValueError if the whole sample is damaged."""

    def largest_counts(self, indices: range) -> TimelineCounts:
        """For each count, the largest value over a range of samples; None if the count is unknown in all samples."""
        values = [value for value in map(self._sockstat, indices) if value is not None]
        return TimelineCounts(
            max((value.allocated for value in values if value.allocated is not None), default=None),
            max((value.time_wait for value in values if value.time_wait is not None), default=None),
        )

    def snapshot(self, index: int) -> Snapshot:
        """The snapshot as recorded; the load of the machine is not recorded.

        The reading of a damaged source is in state `failed`.
        """
        return self.sample(index).snapshot

    def whole_snapshot(self, index: int) -> Snapshot | None:
        """The snapshot as recorded, or None if it is damaged; the damage does not count for `raise_if_damaged`."""
        try:
            sample = self._samples.get(index) or self._read(index)
        except (OSError, ValueError):
            return None
        return sample.snapshot if sample.damage is None else None

    def sample(self, index: int) -> RecordedSample:
        """The snapshot with the bytes that were read; damaged reads are left out."""
        sample = self._samples.get(index)
        if sample is None:
            try:
                sample = self._read(index)
            except (OSError, ValueError) as error:
                reason = f"this sample is damaged: {printable(str(error))}"
                sample = lost_sample(reason, self.taken_at_unix_s(index))
            if sample.damage is not None:
                self._damaged.add(index)
            while len(self._samples) >= MAX_CACHED_SAMPLES:
                del self._samples[next(iter(self._samples))]
            self._samples[index] = sample
        return sample

    def samples(self, indices: Iterable[int]) -> Iterator[RecordedSample]:
        """Reads samples, and yields them.

        Of the lost samples, only the first `MAX_LOST` are yielded.
        """
        lost = 0
        for index in indices:
            sample = self.sample(index)
            lost += sample.is_lost
            if lost > MAX_READ_LOST:
                self._left_out = f"{PASSED_ON}, and no sample after {MAX_READ_LOST} of them is read"
                return
            if sample.is_lost and lost > MAX_LOST:
                self._left_out = PASSED_ON
            else:
                yield sample

    def raise_if_damaged(self) -> None:
        """Raises TcptopError if the list of samples is damaged, or any sample read so far.

        The message describes the damage to the list, gives the number of damaged samples, describes the damage to the
        first damaged sample, and says whether samples were left out.
        """
        damages = [self.list_damage] if self.list_damage else []
        if self._damaged:
            count = len(self._damaged)
            samples = "1 sample is damaged" if count == 1 else f"{count} samples are damaged"
            damages.append(f"{samples}: {self.sample(min(self._damaged)).damage}{self._left_out}")
        if damages:
            raise TcptopError(f"{printable(self.path)}: {'; '.join(damages)}")

    def _sockstat(self, index: int) -> Sockstat | None:
        """The sockstat of a sample, for the time line; None if unknown."""
        return self.snapshot(index).sockstat.value
