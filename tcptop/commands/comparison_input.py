"""What a user names on a command line, as figures: this machine, a recording, a saved tree, a result of the lab."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tcptop.accounting import account
from tcptop.hosts.folder import FolderHost
from tcptop.ledger import Ledger
from tcptop.sampling.sampler import Sampler, kernel_sources, read_due
from tcptop.text.printable import printable

if TYPE_CHECKING:
    from tcptop.lab.saved import Json

LIVE = "live"
FIRST_OF_JSON = b"{"


def is_lab_result(name: str) -> bool:
    """Whether the name is that of a file that begins as JSON does."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return False
    try:
        return os.read(descriptor, 64).lstrip()[:1] == FIRST_OF_JSON
    except OSError:
        return False
    finally:
        os.close(descriptor)


def lab_result_of(name: str, command: str) -> Json:
    """What `tcptop lab -w` wrote; raises TcptopError in one line that names the command."""
    from tcptop.lab.compare import loaded

    return loaded(name, command)


def ledger_of(name: str, command: str) -> Ledger:
    """The figures of what the name stands for: `live`, a path, or `PATH@MOMENT` of a recording; its last sample else.

    Raises:
        TcptopError: in one line that names the command.
    """
    if name == LIVE:
        return _ledger_of_this_machine()
    path, moment = split_moment(name)
    from tcptop.errors import TcptopError
    from tcptop.recording.opening import open_recording
    from tcptop.recording.time_spec import WHOLE_RECORDING, TimeRange, select_samples

    try:
        recording = open_recording(path)
        try:
            index = select_samples(recording, WHOLE_RECORDING if moment is None else TimeRange(at=moment))[-1]
            return account(recording.snapshot(index))
        finally:
            recording.close()
    except TcptopError as error:
        raise TcptopError(f"{command}: {str(error).replace('--at:', f'{printable(name)}:')}") from None


def split_moment(name: str) -> tuple[str, str | None]:
    """A path, and the moment behind its last `@`; a file that has such a name goes before."""
    path, at, moment = name.rpartition("@")
    return (name, None) if not at or not path or os.path.lexists(name) else (path, moment)


def _ledger_of_this_machine() -> Ledger:
    host = FolderHost()
    try:
        sampler = Sampler(host, kernel_sources())
        read_due(sampler)
        return account(sampler.snapshot())
    finally:
        host.close()
