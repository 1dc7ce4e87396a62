"""Recordings for tests, made from the recorded trees; a host serves one tree after another, like a live machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recorded import RECORDINGS, tree

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, Identity
from tcptop.recording.opening import open_recording
from tcptop.recording.recorder import NO_BOUNDS, Bounds, Recorder
from tcptop.recording.recording import Recording
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable

STARTED_UNIX_S = 1_795_348_800.25
"""2026-11-22 12:00:00.25 UTC."""


@dataclass(frozen=True, repr=False)
class IntactRecording:
    """An intact recording, with the snapshots that it was made from, marked as recorded ones."""

    path: Path
    live_snapshots: list[Snapshot]


class TreeSequenceHost:
    """A host that counts as live, and serves one tree after another, chosen by `turn`."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._hosts = [FolderHost(str(root)) for root in roots]
        self.turn = 0
        self.identity = Identity(live=True, page_size_bytes=4096, place=None, net_namespace=None, proc_folder=None)

    @property
    def _host(self) -> FolderHost:
        return self._hosts[self.turn % len(self._hosts)]

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        # The duration of a read decides when the source is read again, so it must be the same on every machine.
        return [file._replace(took_us=7) for file in await self._host.read(paths)]

    async def list_folder(self, path: str) -> FolderRead:
        return (await self._host.list_folder(path))._replace(took_us=11)

    def close(self) -> None:
        for host in self._hosts:
            host.close()


def phase_trees(kernel: str) -> list[Path]:
    """The trees of one kernel, one for each recorded phase."""
    return [tree(kernel, phase) for phase in RECORDINGS[kernel]]


def record(
    path: Path, roots: Sequence[Path], samples: int, bounds: Bounds = NO_BOUNDS, clock_set_s: Mapping[int, float] = {}
) -> list[Snapshot]:
    """Records `samples` samples, about one a second by the sampler's clock; returns the live snapshots.

    `clock_set_s` maps the number of a sample to the seconds by which the machine's clock is set forward before it. With
    `clock_set_s`, the boot is known.
    """
    host = TreeSequenceHost(roots)
    if clock_set_s:
        host.identity = host.identity._replace(boot_id="6d6c0b7c-1")
    recorder = Recorder(str(path), bounds)
    clock_s, set_s = 5000.125, 0.0
    live_snapshots: list[Snapshot] = []
    try:
        sampler = Sampler(
            host,
            kernel_sources(),
            monotonic=lambda: clock_s,
            unix_time=lambda: STARTED_UNIX_S + clock_s - 5000.125 + set_s,
            on_read=recorder.add_read,
        )
        for number in range(samples):
            set_s += clock_set_s.get(number, 0.0)
            read_due(sampler)
            live_snapshots.append(sampler.snapshot())
            recorder.write(live_snapshots[-1])
            host.turn += 1
            clock_s += 1.000244140625
    finally:
        recorder.close()
        host.close()
    return live_snapshots


@contextmanager
def recording_at(path: Path) -> Iterator[Recording]:
    """Opens a recording, and closes it at the end."""
    recording = open_recording(str(path))
    try:
        yield recording
    finally:
        recording.close()


def make_intact_recording(path: Path, samples: int) -> IntactRecording:
    """Records the phases of a recorded kernel as live samples."""
    live = record(path, phase_trees("6.1-4n"), samples)
    return IntactRecording(path, [snapshot._replace(recorded=True) for snapshot in live])


def assert_same_snapshot(replayed: Snapshot, live: Snapshot) -> None:
    """Asserts that two snapshots are equal; the message names the first source or field that differs.

    Only `recorded` differs, which says that a sample comes from a recording.
    """
    assert replayed.recorded
    replayed = replayed._replace(recorded=live.recorded)
    for name, one, other in zip(Snapshot._fields, replayed, live, strict=True):
        assert one == other, name
    assert replayed == live


def is_one_line(text: str) -> bool:
    """True if a text is one non-empty line of printable characters."""
    return bool(text) and printable(text) == text
