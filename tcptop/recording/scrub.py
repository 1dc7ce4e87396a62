"""What names a machine, taken out of what is kept. No figure changes by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tcptop.hosts.host import FileRead
from tcptop.hosts.recording_host import HostAnswer
from tcptop.sampling.sampler import SourceRead

COMMAND_LINE_OPTIONS = (b"slub_debug", b"slab_debug", b"slab_nomerge", b"cgroup.memory", b"cgroup_disable")
"""Those that a figure depends on; the others may tell of disks, networks and people."""


def scrubbed(read: SourceRead) -> SourceRead:
    """A read without the host's name, the kernel's command line and its builder."""
    return read._replace(answers=tuple(map(_scrubbed, read.answers)))


def _scrubbed(answer: HostAnswer) -> HostAnswer:
    change = CHANGES.get(answer.path)
    if change is None or not isinstance(answer, FileRead) or answer.data is None:
        return answer
    return answer._replace(data=change(answer.data))


def _without_name(_: bytes) -> bytes:
    return b"(scrubbed)\n"


def _needed_options(command_line: bytes) -> bytes:
    words = command_line.split()
    return b" ".join(word for word in words if word.partition(b"=")[0] in COMMAND_LINE_OPTIONS) + b"\n"


def _release_alone(version: bytes) -> bytes:
    """`Linux version 6.12.1`, without who built it and where."""
    return b" ".join(version.split()[:3]) + b"\n"


CHANGES: Mapping[str, Callable[[bytes], bytes]] = {
    "proc/sys/kernel/hostname": _without_name,
    "proc/cmdline": _needed_options,
    "proc/version": _release_alone,
}
