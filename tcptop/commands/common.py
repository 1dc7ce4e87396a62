"""What every way of calling tcptop shares: a wrong call is one line, a host or a lab result is opened or is one line.

It imports nothing that a way of running does not need.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tcptop.hosts.host import Host
    from tcptop.ledger import Ledger
    from tcptop.sampling.sampler import Sampler
    from tcptop.snapshot import LabMeasurement


class Parser(argparse.ArgumentParser):
    """Answers a wrong call with one line and exit code 1, as slabtop does."""

    def error(self, message: str) -> NoReturn:
        """Ends the program."""
        fail(f"{message} ({self.prog} --help lists the options)")


def fail(message: str) -> NoReturn:
    """Says in one line what is wrong, and ends with 1."""
    from tcptop.text.printable import printable

    print(f"tcptop: {printable(message)}", file=sys.stderr)
    sys.exit(1)


def add_root(parser: argparse.ArgumentParser) -> None:
    """The option that says whose files are read."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        default="/",
        help="read the files below DIR: a saved tree, an archive of one (tar), a sosreport, or a container's /host",
    )


def add_lab_result(parser: argparse.ArgumentParser) -> None:
    """The option that takes what a lab measured."""
    parser.add_argument(
        "--lab", metavar="FILE", help="use what tcptop lab -w FILE measured on this kernel, where no file tells"
    )


def opened(root: str) -> Host:
    """The host below a root; one line and the end where there is none."""
    from tcptop.hosts.opening import host_of

    try:
        return host_of(root)
    except (OSError, ValueError) as error:
        fail(f"--root {root}: {getattr(error, 'strerror', None) or error}")


def sampler_of(host: Host, period_s: float, lab_result: str | None) -> Sampler:
    """Follows a host without a thread or an event loop."""
    from tcptop.sampling.sampler import Sampler, kernel_sources

    return Sampler(host, kernel_sources(), period_s, measured=measured(lab_result))


def looked_at(sampler: Sampler) -> Ledger:
    """The figures of one look."""
    from tcptop.accounting import account
    from tcptop.sampling.sampler import read_due

    read_due(sampler)
    return account(sampler.snapshot())


def measured(path: str | None) -> LabMeasurement | None:
    """The lab result in a file; one line and the end where it is none."""
    if path is None:
        return None
    from tcptop.lab.errors import LabError
    from tcptop.lab.saved import measurement

    try:
        return measurement(path)
    except LabError as error:
        fail(str(error))


def printed(text: str) -> None:
    """Writes and flushes; a full disk is one line."""
    if sys.stdout is None:  # as Python leaves it where the descriptor is closed
        fail("standard output is closed; nothing to write to")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"write error: {error.strerror}"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        fail(message)
