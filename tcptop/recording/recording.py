"""What every recording can do, wherever its samples come from: a file, a saved tree, an exported folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tcptop.sampler import SourceRead
from tcptop.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Summary:
    """What a time line shows of one sample without opening it. None is not known."""

    allocated: int | None
    """TCP sockets of the machine."""
    time_wait: int | None
    """TIME_WAIT sockets of one network namespace."""


@dataclass(frozen=True, slots=True)
class KeptSample:
    """A sample with every byte that it was made of."""

    snapshot: Snapshot
    reads: tuple[SourceRead, ...]
    """Of each source the read that its reading was made of, and that of the reading before, where they are known."""


NO_SUMMARY = Summary(None, None)


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

    def summary(self, index: int) -> Summary:
        """What a time line shows of a sample; opens none."""
        ...

    def snapshot(self, index: int) -> Snapshot:
        """The sample as it was live, but for the machine's load; what is damaged is a reading that failed."""
        ...

    def damaged(self, index: int) -> str | None:
        """What of a sample is damaged, in one line; None where nothing is."""
        ...

    def kept(self, index: int) -> KeptSample:
        """The sample with what was read of the kernel; what is damaged is left out."""
        ...

    def close(self) -> None:
        """Gives back what it holds open; again does nothing."""
        ...
