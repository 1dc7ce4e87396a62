"""Comparison input: the ledger or lab result that a command-line argument names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tcptop.accounting import account
from tcptop.hosts.folder import FolderHost
from tcptop.ledger import Ledger
from tcptop.sampling.sampler import Sampler, kernel_sources, read_due
from tcptop.text.printable import printable

if TYPE_CHECKING:
    from tcptop.lab.result_file import Json

LIVE = "live"
FIRST_OF_JSON = b"{"


def is_lab_result(name: str) -> bool:
    """Whether a file of this name can be read and begins with `{`, as the JSON of a lab result does."""
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


def read_lab_result(name: str, command: str) -> Json:
    """Loads the result that `tcptop lab -w` wrote to a file; raises TcptopError, whose text begins with the command."""
    from tcptop.lab.result_file import load_result_json

    return load_result_json(name, command)


def read_named_ledger(name: str, command: str) -> Ledger:
    """The ledger of this machine (`live`), of a saved tree, or of one sample of a recording.

    `PATH@TIME` names the sample nearest to a time; `PATH` without a time names the last sample.

    Raises:
        TcptopError: if the source named cannot be opened; the text begins with the command.
    """
    if name == LIVE:
        return _read_this_machine()
    path, moment = split_time(name)
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


def split_time(name: str) -> tuple[str, str | None]:
    """Splits `PATH@TIME` at the last @; the time is None if there is none, or if a file of the whole name exists."""
    path, at, moment = name.rpartition("@")
    return (name, None) if not at or not path or os.path.lexists(name) else (path, moment)


def _read_this_machine() -> Ledger:
    host = FolderHost()
    try:
        sampler = Sampler(host, kernel_sources())
        read_due(sampler)
        return account(sampler.snapshot())
    finally:
        host.close()
