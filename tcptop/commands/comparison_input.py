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


class EvidenceError(Exception):
    """One line for a person: what cannot be opened, and why."""


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
    """What `tcptop lab -w` wrote; raises EvidenceError in one line that names the command."""
    from tcptop.lab.compare import loaded
    from tcptop.lab.errors import LabError

    try:
        return loaded(name, command)
    except LabError as error:
        raise EvidenceError(str(error)) from None


def ledger_of(name: str, command: str) -> Ledger:
    """The figures of what the name stands for: `live`, a path, or `PATH@MOMENT` of a recording; its last sample else.

    Raises:
        EvidenceError: in one line that names the command.
    """
    if name == LIVE:
        return _ledger_of_this_machine()
    path, moment = split_moment(name)
    from tcptop.recording.choice import ALL, Choice
    from tcptop.recording.errors import RecordingError
    from tcptop.recording.opening import opened
    from tcptop.recording.time_spec import chosen

    try:
        recording = opened(path)
        try:
            index = chosen(recording, ALL if moment is None else Choice(at=moment))[-1]
            return account(recording.snapshot(index))
        finally:
            recording.close()
    except RecordingError as error:
        raise EvidenceError(f"{command}: {str(error).replace('--at:', f'{printable(name)}:')}") from None


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
