"""A saved tree in any wrapping (a folder, an archive, a sosreport) as a recording of one sample."""

from __future__ import annotations

from tcptop.hosts.opening import host_of
from tcptop.recording.recording import NO_SUMMARY, Summary
from tcptop.sampler import Sampler, kernel_sources, read_due
from tcptop.snapshot import Snapshot


class SavedTree:
    """One sample: the files of a tree, read when they are asked for."""

    def __init__(self, root: str) -> None:
        """Takes what `host_of` takes; raises OSError as that does."""
        self.path = root
        self._host = host_of(root)
        self._snapshot: Snapshot | None = None

    def __len__(self) -> int:
        return 1

    def taken_at_unix_s(self, index: int) -> float | None:  # noqa: ARG002 (there is one)
        """Of trees, only a sosreport tells when it was made."""
        return self._host.identity.taken_at_unix_s

    def summary(self, index: int) -> Summary:
        """What sockstat says."""
        value = self.snapshot(index).sockstat.value
        return NO_SUMMARY if value is None else Summary(value.allocated, value.time_wait)

    def snapshot(self, index: int) -> Snapshot:  # noqa: ARG002 (there is one)
        """What the sources say of the tree, as with `--root`."""
        if self._snapshot is None:
            sampler = Sampler(self._host, kernel_sources())
            read_due(sampler)
            self._snapshot = sampler.snapshot()
        return self._snapshot

    def damaged(self, index: int) -> str | None:  # noqa: ARG002 (there is one)
        """A tree is what it is: each source says by itself what is wrong."""
        return None

    def close(self) -> None:
        """Closes the tree."""
        self._host.close()
