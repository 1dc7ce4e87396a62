"""Functions shared by all commands: they parse options, open a host, compute one sample's ledger, and write output.

The functions import modules only when called, so that each command loads only the modules that it needs. The modules of
the screen take much longer to import than the modules of a report.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from tcptop.errors import TcptopError
from tcptop.sock_diag import SOCKETS_ARE_LOCAL
from tcptop.standard_streams import write_stderr, write_stdout
from tcptop.text.printable import printable_name, quoted

if TYPE_CHECKING:
    from tcptop.hosts.host import Host
    from tcptop.ledger import Ledger, Threshold
    from tcptop.recording.time_spec import TimeRange
    from tcptop.sampling.sampler import Sampler
    from tcptop.snapshot import LabMeasurement, Snapshot

HERE_S, OVER_SSH_S = 1.0, 2.0
"""Default time from one sample to the next."""
MAX_ERROR_CHARACTERS = 400
TIME_OPTIONS = ("--at", "--from", "--to")


class Parser(argparse.ArgumentParser):
    """Argument parser that prints an error as one line and then exits with code 1, as slabtop does."""

    _host_prefix: str | None = None
    """A prefix that marks an argument as the name of another machine; None if only --host names a machine."""
    _takes_hosts = False
    """True if --host may name several machines."""

    def __init__(self, *, examples: Sequence[tuple[str, str]], **named: Any) -> None:  # noqa: ANN401 (as argparse)
        super().__init__(allow_abbrev=False, **named)
        self.examples = examples
        """Pairs (example of a command, description); the help ends with these examples."""

    def format_help(self) -> str:
        """The help text of argparse, followed by the examples."""
        lines = "".join(f"  {command}\n      {meaning}\n" for command, meaning in self.examples)
        return f"{super().format_help()}\nexamples:\n{lines}"

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:  # noqa: ANN401 (as argparse)
        """Converts an argument as argparse does, but an argument that consists of blanks is an error."""
        if not arg_string.strip():
            advice = f"; give {action.metavar}" if action.option_strings and action.metavar else ""
            raise argparse.ArgumentError(action, f"is empty{advice}")
        return super()._get_value(action, arg_string)

    def error(self, message: str) -> NoReturn:
        """Raises TcptopError instead of printing the usage.

        The message is shortened, because argparse quotes arguments of any length in its messages.
        """
        message = printable_name(message, MAX_ERROR_CHARACTERS)
        raise TcptopError(f"{message} ({self.prog} --help lists the options)")

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002 (as argparse)
        """Prints the help or the version. The overridden method of argparse would not notice a full disk."""
        write_stdout(message)

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 (as argparse, whose types are overloads)
        """Parses as argparse does; raises TcptopError if --host or --sudo cannot be combined with the other options."""
        options, others = super().parse_known_args(*arguments, **named)
        if not all(map(str.strip, others)):
            self.error("an argument is empty")
        _check_host_options(options, self._host_prefix, self._takes_hosts)
        return options, others

    def add_root_option(self, takes_hosts: bool = False) -> None:
        """Adds --root, the folder or archive whose files are read, and the options of `add_host_options`.

        If `takes_hosts` is set, --host may name several machines.
        """
        self._takes_hosts = takes_hosts
        self.add_argument(
            "--root",
            metavar="DIR",
            default="/",
            help="read the files below DIR: a saved tree, an archive of one (tar), a sosreport, or a container's /host",
        )
        self.add_host_options()

    def add_host_options(self, prefix: str | None = None) -> None:
        """Adds --host, another machine that is asked over ssh, and --sudo.

        An argument that begins with `prefix` names another machine too.
        """
        self._host_prefix = prefix
        many = "; several, as web[01-40],db1 or @FILE, are a table" if self._takes_hosts else ""
        self.add_argument(
            "--host",
            metavar="NAME",
            help=f"ask another machine over ssh, as ssh NAME does; nothing is installed there{many}",
        )
        self.add_argument("--sudo", action="store_true", help="with --host: read there with sudo -n")

    def add_cgroup_option(self) -> None:
        """Adds --cgroup, a memory cgroup whose limit is added to the list of limits."""
        self.add_argument(
            "--cgroup",
            metavar="PATH",
            help="a memory cgroup, below /sys/fs/cgroup: the nearest limit of it and those above is one more limit",
        )

    def add_lab_option(self) -> None:
        """Adds --lab, a result file written by `tcptop lab -w`."""
        self.add_argument(
            "--lab", metavar="FILE", help="use what tcptop lab -w FILE measured on this kernel, where no file tells"
        )

    def add_time_options(self) -> None:
        """Adds --at, --from and --to, which select samples of a recording by time."""
        self.add_argument(
            "--at", metavar="TIME", help="the sample nearest to 12:04:31, 2026-11-22T12:04:31Z, +5m or -5m"
        )
        self.add_argument("--from", dest="first", metavar="TIME", help="samples from then on")
        self.add_argument("--to", dest="last", metavar="TIME", help="samples up to then")


def _check_host_options(options: argparse.Namespace, prefix: str | None, takes_hosts: bool) -> None:
    """Raises TcptopError if --host or --sudo cannot be combined with the other options."""
    name = getattr(options, "host", None)
    if name is None:
        named = prefix is not None and any(str(value).startswith(prefix) for value in vars(options).values())
        if getattr(options, "sudo", False) and not named:
            raise TcptopError("--sudo goes with --host NAME; here, run tcptop itself with sudo")
        return
    if getattr(options, "root", "/") != "/" or getattr(options, "replay", None) is not None:
        raise TcptopError("--host is a running machine; it goes without --root and -r")
    if getattr(options, "who", False):
        raise TcptopError(f"--who goes without --host: {SOCKETS_ARE_LOCAL}")
    names = expand_host_names(name)
    if takes_hosts:
        options.hosts = names
    elif len(names) > 1:
        raise TcptopError(ONE_MACHINE.format(name[:80], len(names)))


ONE_MACHINE = "--host: one machine at a time; {!r} names {}"


def check_host_name(text: str) -> str:
    """The single host name in a text such as `web17` or `web[17]`.

    Raises TcptopError in the same cases as `expand_host_names`, and if the text stands for several names.
    """
    names = expand_host_names(text)
    if len(names) > 1:
        raise TcptopError(ONE_MACHINE.format(text[:80], len(names)))
    return names[0]


def expand_host_names(text: str) -> list[str]:
    """The host names in a text such as `web17`, `web[01-40],db1` or `@FILE`.

    Raises TcptopError if ssh would take a name for an option, or if no host can have such a name.
    """
    if not text:
        raise TcptopError("--host: a name as ssh takes it (web17, root@web17), not ''")
    from tcptop.hosts.host_names import expand_names, read_names

    try:
        names = expand_names(text, read_names)
    except ValueError as error:
        raise TcptopError(f"--host: {error}") from None
    except OSError as error:
        raise TcptopError(f"--host {text[:80]}: {error.strerror}") from None
    for name in names:
        if name.startswith("-") or not name.isprintable() or " " in name:
            wrong = "a line of the file is none" if "@" in text and name not in text else f"not {name[:80]!r}"
            raise TcptopError(f"--host: a name as ssh takes it (web17, root@web17), {wrong}")
    return names


def default_period_s(options: argparse.Namespace) -> float:
    """The time from one sample to the next: the value of -d; without -d, one second, or two seconds over ssh."""
    if options.delay is not None:
        return float(options.delay)
    return HERE_S if options.host is None else OVER_SSH_S


def argument_type(parse: Callable[[str], float]) -> Callable[[str], float]:
    """Makes an argparse type from `parse`, a function that raises ValueError.

    The returned type raises ArgumentTypeError instead of ValueError, since argparse does not show the text of a
    ValueError.
    """

    def parse_argument(text: str) -> float:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_argument


def parse_positive(text: str) -> int:
    """Argparse type that parses a whole number above 0, of up to nine digits."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"a whole number above 0, not {quoted(text)}")
    return int(text)


def join_offsets(arguments: Sequence[str]) -> list[str]:
    """Replaces `--at -5m` by `--at=-5m` in the arguments, since argparse would take `-5m` for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in TIME_OPTIONS and argument.startswith("-") and argument[1:2].isdigit():
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def time_range(options: argparse.Namespace) -> TimeRange:
    """The values of --at, --from and --to, not yet parsed."""
    from tcptop.recording.time_spec import TimeRange

    return TimeRange(options.at, options.first, options.last)


def open_host(root: str, cgroup: str | None = None) -> Host:
    """Opens the host whose files are below `root`.

    If `root` is an archive, the host also keeps the files of the memory cgroup `cgroup`.

    Raises:
        TcptopError: if the root cannot be opened or contains no saved tree, or if `cgroup` cannot be a cgroup's path.

    """
    from tcptop.hosts import opening
    from tcptop.sampling.source_list import cgroup_sources, wanted_paths

    more = [path for source in cgroup_sources(cgroup) for path in source.paths]
    try:
        return opening.open_host(root, (*wanted_paths(), *more))
    except (OSError, ValueError) as error:
        raise TcptopError(f"--root {root}: {getattr(error, 'strerror', None) or error}") from None


def open_chosen_host(options: argparse.Namespace) -> Host:
    """Opens the host that the options --host, --root and, if the command has it, --cgroup choose.

    Raises:
        TcptopError: in the same cases as `open_host`, or if the other machine cannot be reached.

    """
    cgroup = getattr(options, "cgroup", None)
    return open_host(options.root, cgroup) if options.host is None else open_remote(options.host, options.sudo)


def open_remote(name: str, sudo: bool) -> Host:
    """Connects to another machine. If there is a terminal, ssh may ask questions on the terminal.

    Raises:
        TcptopError: if no host can have the name, or no session can be made.

    """
    name = check_host_name(name)
    from tcptop.hosts.ssh_host import SshHost

    try:
        return SshHost(name, sudo, may_ask=sys.stdin is not None and sys.stdin.isatty())
    except OSError as error:
        raise TcptopError(f"{name}: {error.strerror}") from None


def make_sampler(host: Host, period_s: float, lab_file: str | None, cgroup: str | None = None) -> Sampler:
    """A sampler of all kernel sources. `cgroup` adds a memory cgroup as a source; `lab_file` adds a lab result."""
    from tcptop.sampling.sampler import Sampler
    from tcptop.sampling.source_list import cgroup_sources, kernel_sources

    sources = [*kernel_sources(), *cgroup_sources(cgroup)]
    return Sampler(host, sources, period_s, lab_measurement=load_lab_result(lab_file))


def add_socket_table(sampler: Sampler, is_asked: bool) -> None:
    """Adds the source of socket holders if the user asks for the holders, or if a saved tree contains the sockets."""
    from tcptop.sampling.source_list import has_saved_sockets

    if is_asked or has_saved_sockets(sampler.host):
        # Imported here, because few users ask who holds the sockets.
        from tcptop.sources.socket_table import SocketTableSource

        sampler.add_source(SocketTableSource())


def read_snapshot(sampler: Sampler, may_be_lost: bool = False) -> Snapshot:
    """Reads the sources that are due, and returns the latest reading of every source.

    If `may_be_lost` is set and the host does not answer, the sources become `failed`.

    Raises:
        TcptopError: if the host does not answer, and `may_be_lost` is not set.

    """
    from tcptop.sampling.sampler import read_due

    read_due(sampler)
    if sampler.lost_because is not None and not may_be_lost:
        raise TcptopError(sampler.lost_because)
    return sampler.snapshot()


def read_ledger(
    sampler: Sampler, thresholds: Mapping[str, Threshold] | None = None, before: Ledger | None = None
) -> Ledger:
    """Reads the sources that are due, and returns the ledger computed from the latest reading of every source.

    `before` is the ledger of the previous sample; None for the first sample. If the host does not answer, the first
    sample raises TcptopError; in a later sample, the sources become `failed`.
    """
    from tcptop.accounting import account

    snapshot = read_snapshot(sampler, may_be_lost=before is not None)
    return account(snapshot, before=before) if thresholds is None else account(snapshot, thresholds, before=before)


def read_thresholds() -> Mapping[str, Threshold]:
    """Returns the warning and critical thresholds of each limit.

    Mistakes in the settings file are printed to standard error.

    The module that parses the settings file is imported only if this file exists, because most users have no settings
    file.
    """
    from tcptop.kernel.limits import THRESHOLDS
    from tcptop.settings.location import settings_file

    path = settings_file()
    if path is None or not os.path.lexists(path):
        return THRESHOLDS
    from pathlib import Path

    from tcptop.settings.file import read_settings

    settings, mistakes = read_settings(Path(path))
    for mistake in mistakes:
        write_stderr(f"tcptop: {mistake}\n")
    return settings.thresholds


def load_lab_result(path: str | None) -> LabMeasurement | None:
    """Loads the lab result in a file; returns None if `path` is None.

    Raises:
        TcptopError: if the file cannot be read, or is not a lab result.

    """
    if path is None:
        return None
    from tcptop.lab.result_file import load_measurement

    return load_measurement(path)


def terminal_columns() -> int | None:
    """Columns of the terminal on standard output; None if standard output is not a terminal."""
    from shutil import get_terminal_size

    return get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None
