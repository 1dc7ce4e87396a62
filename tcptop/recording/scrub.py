"""Removes identifying details from recorded reads.

The removed details are the host name, the build host, most of the kernel command line, and the names of the owners of
sockets. The Recorder removes the boot ID.

No figure changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tcptop.hosts.host import FileRead
from tcptop.hosts.recording_host import HostAnswer
from tcptop.kernel.architecture import find_architecture
from tcptop.sampling.sampler import SourceRead
from tcptop.snapshot import SOCKET_TABLE
from tcptop.sources.command_line import parse_command_line
from tcptop.sources.memory_cgroups import NO_CONTROLLER, NO_KERNEL_MEMORY
from tcptop.sources.smbios import TABLE, blank_private
from tcptop.sources.sysctls import DEBUG_OPTIONS, NO_MERGE_OPTIONS
from tcptop.text.printable import decode_text

COMMAND_LINE_OPTIONS = (*DEBUG_OPTIONS, *NO_MERGE_OPTIONS, NO_CONTROLLER[0], NO_KERNEL_MEMORY[0])
"""Kernel parameters that are kept, because figures depend on them.

Parameters that are not in the list are removed, because they may name disks, networks and people.
"""


SCRUB_HELP = "leave out the host's name, the kernel's command line, and names of processes, cgroups and users"


def make_scrub() -> Callable[[SourceRead], SourceRead]:
    """The function that scrubs each read of one recording."""
    of_sockets: list[Callable[[SourceRead], SourceRead]] = []

    def scrub(read: SourceRead) -> SourceRead:
        if read.source != SOCKET_TABLE:
            return scrub_read(read)
        if not of_sockets:
            # Imported here, because few recordings contain socket tables.
            from tcptop.recording.scrub_sockets import SocketScrubber

            of_sockets.append(SocketScrubber().scrub)
        return of_sockets[0](read)

    return scrub


def scrub_read(read: SourceRead) -> SourceRead:
    """A copy of a read, with host name, build host and kernel parameters removed.

    The parameters in COMMAND_LINE_OPTIONS are kept.
    """
    return read._replace(answers=tuple(map(_scrub_answer, read.answers)))


def forget_serial_numbers(read: SourceRead) -> SourceRead:
    """A copy of a read of the SMBIOS tables, without serial numbers, asset tags, part numbers and the UUID.

    Identifiers of the hardware are never recorded.
    """
    return read._replace(answers=tuple(_change_answer(answer, {TABLE: blank_private}) for answer in read.answers))


def _scrub_answer(answer: HostAnswer) -> HostAnswer:
    return _change_answer(answer, CHANGES)


def _change_answer(answer: HostAnswer, changes: Mapping[str, Callable[[bytes], bytes]]) -> HostAnswer:
    change = changes.get(answer.path)
    if change is None or not isinstance(answer, FileRead) or answer.data is None:
        return answer
    return answer._replace(data=change(answer.data))


def _replace_name(_: bytes) -> bytes:
    return b"(scrubbed)\n"


def _keep_needed_options(command_line: bytes) -> bytes:
    parameters = parse_command_line(command_line.decode("latin-1"))
    kept = " ".join(parameter.text for parameter in parameters if parameter.name in COMMAND_LINE_OPTIONS)
    return kept.encode("latin-1") + _line_end(command_line)


def _keep_release(version: bytes) -> bytes:
    """Keeps `Linux version 6.12.1` and the architecture, without the builder and the build host."""
    architecture = find_architecture(decode_text(version))
    kept = b" ".join([*version.split()[:3], *([architecture.encode()] if architecture else [])])
    return kept + _line_end(version)


def _line_end(line: bytes) -> bytes:
    """The newline that ends a file of one line; empty if the file is cut off, so that the copy looks cut off, too."""
    return b"\n" if line.endswith(b"\n") else b""


CHANGES: Mapping[str, Callable[[bytes], bytes]] = {
    "proc/sys/kernel/hostname": _replace_name,
    "proc/cmdline": _keep_needed_options,
    "proc/version": _keep_release,
}
