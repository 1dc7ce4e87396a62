"""A saved tree in any wrapping (a folder, an archive, a sosreport) as a recording of one sample."""

from __future__ import annotations

from tcptop.hosts.opening import open_host
from tcptop.recording.recording import NO_SUMMARY, KeptSample, Summary, largest_of
from tcptop.sampling.sampler import Sampler, SourceRead, kernel_sources, read_due, wanted_paths
from tcptop.snapshot import Snapshot


class SavedTree:
    """One sample: the files of a tree, read when they are asked for."""

    def __init__(self, root: str) -> None:
        """Takes what `open_host` takes; raises OSError as that does."""
        self.path = root
        self._host = open_host(root, wanted_paths())
        self._kept: KeptSample | None = None

    def __len__(self) -> int:
        return 1

    def taken_at_unix_s(self, index: int) -> float | None:  # noqa: ARG002 (there is one)
        """Of trees, only a sosreport tells when it was made."""
        return self._host.identity.taken_at_unix_s

    def summary(self, index: int) -> Summary:
        """What sockstat says."""
        value = self.snapshot(index).sockstat.value
        return NO_SUMMARY if value is None else Summary(value.allocated, value.time_wait)

    def largest(self, indices: range) -> Summary:
        """The largest of each count in a range."""
        return largest_of(self.summary(index) for index in indices)

    def snapshot(self, index: int) -> Snapshot:
        """What the sources say of the tree, as with `--root`."""
        return self.kept(index).snapshot

    def kept(self, index: int) -> KeptSample:  # noqa: ARG002 (there is one)
        """The same with the files."""
        if self._kept is None:
            reads: list[SourceRead] = []
            sampler = Sampler(self._host, kernel_sources(), kept=reads.append)
            read_due(sampler)
            self._kept = KeptSample(sampler.snapshot(), tuple(reads))
        return self._kept

    def damaged(self, index: int) -> str | None:  # noqa: ARG002 (there is one)
        """A tree is what it is: each source says by itself what is wrong."""
        return None

    def close(self) -> None:
        """Closes the tree."""
        self._host.close()
