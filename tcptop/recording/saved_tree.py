"""A saved tree (a folder, an archive or a sosreport) as a recording of one sample."""

from __future__ import annotations

from tcptop.hosts.opening import open_host
from tcptop.recording.recording import UNKNOWN_COUNTS, RecordedSample, TimelineCounts, largest_counts
from tcptop.sampling.sampler import Sampler, SourceRead, kernel_sources, read_due, wanted_paths
from tcptop.snapshot import Snapshot


class SavedTree:
    """A recording of one sample, read from the tree at the first request."""

    def __init__(self, root: str) -> None:
        """Opens a tree; takes the paths that `open_host` takes and raises OSError as it does."""
        self.path = root
        self._host = open_host(root, wanted_paths())
        self._sample: RecordedSample | None = None

    def __len__(self) -> int:
        return 1

    def taken_at_unix_s(self, index: int) -> float | None:  # noqa: ARG002 (there is one sample)
        """The time of the sample; known for a sosreport only."""
        return self._host.identity.taken_at_unix_s

    def timeline_counts(self, index: int) -> TimelineCounts:
        """The counts of sockstat."""
        value = self.snapshot(index).sockstat.value
        return UNKNOWN_COUNTS if value is None else TimelineCounts(value.allocated, value.time_wait)

    def largest_counts(self, indices: range) -> TimelineCounts:
        """The largest value of each count over a range of samples."""
        return largest_counts(self.timeline_counts(index) for index in indices)

    def snapshot(self, index: int) -> Snapshot:
        """The snapshot of the tree, as with `--root`."""
        return self.sample(index).snapshot

    def sample(self, index: int) -> RecordedSample:  # noqa: ARG002 (there is one sample)
        """The snapshot with the files that were read."""
        if self._sample is None:
            reads: list[SourceRead] = []
            sampler = Sampler(self._host, kernel_sources(), on_read=reads.append)
            read_due(sampler)
            self._sample = RecordedSample(sampler.snapshot(), tuple(reads))
        return self._sample

    def damage(self, index: int) -> str | None:  # noqa: ARG002 (there is one sample)
        """None: each reading carries its own error state."""
        return None

    def close(self) -> None:
        """Closes the tree."""
        self._host.close()
