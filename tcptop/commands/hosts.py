"""`tcptop --host 'web[01-40],db1'`: the table of several machines, on the screen, as text or as JSON."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from tcptop.accounting.host_row import EACH_LOOK, EVENT_SOURCES, RowAccount
from tcptop.commands.common import OVER_SSH_S, read_thresholds, terminal_columns
from tcptop.errors import TcptopError
from tcptop.hosts.ssh_host import SshHost
from tcptop.sampling.fleet import MAX_HOSTS, Fleet, table_sources
from tcptop.standard_streams import write_stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tcptop.ledger import Threshold
    from tcptop.ledger.host_row import HostLook, HostRow
    from tcptop.snapshot import Snapshot

NOT_ALL_ANSWERED = 1
"""Exit code of a report in which a machine does not answer."""


def run(options: argparse.Namespace) -> int:
    """Shows the table until the user quits, or prints it; returns the exit code."""
    if len(options.hosts) > MAX_HOSTS:
        raise TcptopError(
            f"--host: {len(options.hosts)} machines; a table has {MAX_HOSTS} at most, see tcptop exporter"
        )
    raise_open_files(len(options.hosts))
    if not (options.once or options.json):
        from tcptop.screen.hosts_app import show_hosts

        return show_hosts(options, partial(make_fleet, options.hosts, options.sudo))
    return _print_looks(options)


def make_fleet(
    names: Sequence[str],
    sudo: bool,
    thresholds: Mapping[str, Threshold],
    interval_s: float,
    looks: int | None = None,
    on_look: Callable[[HostLook], None] | None = None,
) -> Fleet:
    """The machines with the given names, not yet connected.

    If there are several machines, ssh never asks questions on the terminal.
    """
    hosts = [SshHost(name, sudo, connect=False) for name in names]
    return Fleet(
        hosts,
        partial(_account, thresholds),
        partial(table_sources, EACH_LOOK, EVENT_SOURCES),
        interval_s,
        looks,
        on_look,
    )


def _account(thresholds: Mapping[str, Threshold]) -> Callable[[Snapshot], HostRow]:
    return RowAccount(thresholds).row


def _print_looks(options: argparse.Namespace) -> int:
    """Prints the table; with --json, prints one line for each answer or failure of a machine.

    Returns 1 if any machine has not answered.
    """
    from tcptop.explanation.host_rows import TableOrder
    from tcptop.report.hosts_report import hosts_as_text, look_as_json

    lock, failed = threading.Lock(), threading.Event()
    errors: list[BaseException] = []

    def print_look(look: HostLook) -> None:
        if not look.answers:
            failed.set()
        if not options.json:
            return
        with lock:
            try:
                write_stdout(look_as_json(look))
            except (TcptopError, OSError) as error:
                errors.append(error)
                fleet.stop()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_exit)
    fleet = make_fleet(
        options.hosts, options.sudo, read_thresholds(), options.delay or OVER_SSH_S, options.count or 1, print_look
    )
    try:
        fleet.start()
        fleet.join()
    finally:
        looks = fleet.states()
        fleet.end()
    if errors:
        raise errors[0]
    if options.once:
        write_stdout(hosts_as_text(looks, TableOrder(), terminal_columns()))
    return NOT_ALL_ANSWERED if failed.is_set() else 0


def _raise_exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def raise_open_files(hosts: int) -> None:
    """Raises the soft limit on open files to the number that the machines need, but at most to the hard limit.

    Each machine needs three open files.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 100 + 4 * hosts
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard)
        )
