"""What a user names on a command line, as figures: this machine, a saved tree in any wrapping, a result of the lab."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tcptop.accounting import account
from tcptop.hosts.opening import host_of
from tcptop.ledger import Ledger
from tcptop.printable import printable
from tcptop.sampler import Sampler, kernel_sources, read_due

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
    """One look at what the name stands for: `live`, or a path that `host_of` takes.

    Raises:
        EvidenceError: in one line that names the command.
    """
    try:
        host = host_of("/" if name == LIVE else name)
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{command} {printable(name)}: {getattr(error, 'strerror', None) or error}") from None
    try:
        sampler = Sampler(host, kernel_sources())
        read_due(sampler)
        return account(sampler.snapshot())
    finally:
        host.close()
