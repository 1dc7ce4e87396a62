"""A saved tree (a folder, an archive or a sosreport) as a recording of one sample."""

from __future__ import annotations

from tcptop.hosts.opening import open_host
from tcptop.recording.document import RecordedSample
from tcptop.recording.recording import Recording
from tcptop.sampling.sampler import Sampler, SourceRead, read_due
from tcptop.sampling.source_list import has_saved_sockets, kernel_sources, wanted_paths


class SavedTree(Recording):
    """A recording of one sample; the tree is read when the sample is first requested."""

    def __init__(self, root: str) -> None:
        """Opens a tree. Takes any path that `open_host` takes; raises the same errors as `open_host`."""
        super().__init__(root)
        self._host = open_host(root, wanted_paths())

    def __len__(self) -> int:
        return 1

    def taken_at_unix_s(self, index: int) -> float | None:  # noqa: ARG002 (there is one sample)
        """The time of the sample; known for a sosreport only."""
        return self._host.identity.taken_at_unix_s

    def close(self) -> None:
        """Closes the tree."""
        self._host.close()

    def _read(self, index: int) -> RecordedSample:  # noqa: ARG002 (there is one sample)
        """Reads the tree, as with `--root`. The sample is never damaged: each reading has its own error state."""
        reads: list[SourceRead] = []
        sampler = Sampler(self._host, kernel_sources(), on_read=reads.append)
        if has_saved_sockets(self._host):
            # Imported here, because few saved trees contain a socket table.
            from tcptop.sources.socket_table import SocketTableSource

            sampler.add_source(SocketTableSource())
        read_due(sampler)
        return RecordedSample(sampler.snapshot(), tuple(reads))
