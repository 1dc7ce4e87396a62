"""What every recording can do, wherever its samples come from: a file, a saved tree, an exported folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from tcptop.errors import TcptopError
from tcptop.sampling.sampler import SourceRead
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable


class TimelineCounts(NamedTuple):
    """What a time line shows of one sample without opening it. None is not known."""

    allocated: int | None
    """TCP sockets of the machine."""
    time_wait: int | None
    """TIME_WAIT sockets of one network namespace."""


class RecordedSample(NamedTuple):
    """A sample with every byte that it was made of."""

    snapshot: Snapshot
    reads: tuple[SourceRead, ...]
    """Of each source the read that its reading was made of, and that of the reading before, where they are known."""


UNKNOWN_COUNTS = TimelineCounts(None, None)


def largest_counts(summaries: Iterable[TimelineCounts]) -> TimelineCounts:
    """The largest of each count."""
    found = list(summaries)
    return TimelineCounts(
        max((each.allocated for each in found if each.allocated is not None), default=None),
        max((each.time_wait for each in found if each.time_wait is not None), default=None),
    )


def raise_if_damaged(path: str, damages: Sequence[str]) -> None:
    """Raises TcptopError with the number of damaged samples and the first damage."""
    if damages:
        samples = "1 sample is damaged" if len(damages) == 1 else f"{len(damages)} samples are damaged"
        raise TcptopError(f"{printable(path)}: {samples}: {damages[0]}")


class Recording(Protocol):
    """Samples in the order of their times, numbered from 0. None of the methods raises for what a file holds."""

    @property
    def path(self) -> str:
        """Where it was opened from."""
        ...

    def __len__(self) -> int:
        """How many samples it has; at least 1."""
        ...

    def taken_at_unix_s(self, index: int) -> float | None:
        """When a sample was taken; None for a saved tree without a time."""
        ...

    def timeline_counts(self, index: int) -> TimelineCounts:
        """What a time line shows of a sample; opens none."""
        ...

    def largest_counts(self, indices: range) -> TimelineCounts:
        """The largest of each count that the samples of a range have; None where none of them tells."""
        ...

    def snapshot(self, index: int) -> Snapshot:
        """The sample as it was live, but for the machine's load; what is damaged is a reading that failed."""
        ...

    def damage(self, index: int) -> str | None:
        """What of a sample is damaged, in one line; None where nothing is."""
        ...

    def sample(self, index: int) -> RecordedSample:
        """The sample with what was read of the kernel; what is damaged is left out."""
        ...

    def close(self) -> None:
        """Gives back what it holds open; again does nothing."""
        ...
