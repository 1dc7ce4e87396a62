"""Helpers shared by all commands: parser, options, opening a host, one sample's ledger, output.

Imports nothing that a way of running does not need: the screen costs 15 times a report.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from tcptop.errors import TcptopError

if TYPE_CHECKING:
    from tcptop.hosts.host import Host
    from tcptop.ledger import Ledger
    from tcptop.sampling.sampler import Sampler
    from tcptop.snapshot import LabMeasurement


class Parser(argparse.ArgumentParser):
    """Argument parser whose errors are one line with exit code 1, as in slabtop."""

    def error(self, message: str) -> NoReturn:
        """Raises TcptopError instead of printing the usage."""
        raise TcptopError(f"{message} ({self.prog} --help lists the options)")


def argument_type(parse: Callable[[str], float]) -> Callable[[str], float]:
    """Adapts a parser that raises ValueError: argparse shows the text of ArgumentTypeError only."""

    def parse_argument(text: str) -> float:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_argument


def parse_positive(text: str) -> int:
    """A whole number above 0, as an argparse type."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"a whole number above 0, not {text!r}")
    return int(text)


def add_root_option(parser: argparse.ArgumentParser) -> None:
    """Adds --root, the folder or archive whose files are read."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        default="/",
        help="read the files below DIR: a saved tree, an archive of one (tar), a sosreport, or a container's /host",
    )


def add_lab_option(parser: argparse.ArgumentParser) -> None:
    """Adds --lab, a file with a result of `tcptop lab -w`."""
    parser.add_argument(
        "--lab", metavar="FILE", help="use what tcptop lab -w FILE measured on this kernel, where no file tells"
    )


def open_host(root: str) -> Host:
    """The host below a root.

    Raises:
        TcptopError: where the root holds no saved tree.

    """
    from tcptop.hosts import opening
    from tcptop.sampling.sampler import wanted_paths

    try:
        return opening.open_host(root, wanted_paths())
    except (OSError, ValueError) as error:
        raise TcptopError(f"--root {root}: {getattr(error, 'strerror', None) or error}") from None


def make_sampler(host: Host, period_s: float, lab_file: str | None) -> Sampler:
    """A sampler of all kernel sources, with the lab result of a file."""
    from tcptop.sampling.sampler import Sampler, kernel_sources

    return Sampler(host, kernel_sources(), period_s, lab_measurement=load_lab_result(lab_file))


def read_ledger(sampler: Sampler) -> Ledger:
    """Reads the sources that are due, and accounts for them."""
    from tcptop.accounting import account
    from tcptop.sampling.sampler import read_due

    read_due(sampler)
    return account(sampler.snapshot())


def load_lab_result(path: str | None) -> LabMeasurement | None:
    """The lab result in a file; None without a path.

    Raises:
        TcptopError: where the file is not a lab result.

    """
    if path is None:
        return None
    from tcptop.lab.result_file import load_measurement

    return load_measurement(path)


def terminal_columns() -> int | None:
    """Columns of the terminal on standard output; None if that is not a terminal."""
    from shutil import get_terminal_size

    return get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def write_stdout(text: str) -> None:
    """Writes to standard output and flushes it.

    Raises:
        TcptopError: where standard output is closed, or the disk is full.
        BrokenPipeError: where the reader of a pipe has ended.

    """
    if sys.stdout is None:  # as Python leaves it where the descriptor is closed
        raise TcptopError("standard output is closed; nothing to write to")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        # The interpreter's own flush at exit must not complain about the same text again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise TcptopError(f"write error: {error.strerror}") from None
