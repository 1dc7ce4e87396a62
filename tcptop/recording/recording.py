"""The interface of a recording, whether its samples come from a file, a saved tree or an exported folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from tcptop.errors import TcptopError
from tcptop.sampling.sampler import SourceRead
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable


class TimelineCounts(NamedTuple):
    """Socket counts of one sample, for the time line. None if unknown."""

    allocated: int | None
    """TCP sockets of the machine."""
    time_wait: int | None
    """TIME_WAIT sockets of one network namespace."""


class RecordedSample(NamedTuple):
    """A sample with the bytes that it was parsed from."""

    snapshot: Snapshot
    reads: tuple[SourceRead, ...]
    """For each source, the read behind its reading and the read behind the reading before, where recorded."""


UNKNOWN_COUNTS = TimelineCounts(None, None)


def largest_counts(counts: Iterable[TimelineCounts]) -> TimelineCounts:
    """The largest value of each count; None where no sample has one."""
    known = list(counts)
    return TimelineCounts(
        max((each.allocated for each in known if each.allocated is not None), default=None),
        max((each.time_wait for each in known if each.time_wait is not None), default=None),
    )


def raise_if_damaged(path: str, damages: Sequence[str]) -> None:
    """Raises TcptopError with the number of damaged samples and the first of their descriptions."""
    if damages:
        samples = "1 sample is damaged" if len(damages) == 1 else f"{len(damages)} samples are damaged"
        raise TcptopError(f"{printable(path)}: {samples}: {damages[0]}")


class Recording(Protocol):
    """Samples in the order in which they were taken, numbered from 0. No method raises for damaged or hostile data."""

    @property
    def path(self) -> str:
        """The path that was opened."""
        ...

    def __len__(self) -> int:
        """The number of samples; at least 1."""
        ...

    def taken_at_unix_s(self, index: int) -> float | None:
        """The time of a sample; None if unknown, as for a saved tree without a time."""
        ...

    def timeline_counts(self, index: int) -> TimelineCounts:
        """The counts of one sample, for the time line; a file of samples lists them, so that none is parsed."""
        ...

    def largest_counts(self, indices: range) -> TimelineCounts:
        """The largest value of each count over a range of samples; None where no sample has one."""
        ...

    def snapshot(self, index: int) -> Snapshot:
        """The snapshot as it was live, without the machine's load; a damaged source is a reading in state `failed`."""
        ...

    def damage(self, index: int) -> str | None:
        """The damage to a sample, in one line; None if it is intact."""
        ...

    def sample(self, index: int) -> RecordedSample:
        """The snapshot with the bytes that were read; damaged reads are left out."""
        ...

    def close(self) -> None:
        """Closes files and connections; a second call does nothing."""
        ...
