"""The command line. It imports nothing that a way of running does not need: the screen costs 15 times a report."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from tcptop import __version__
from tcptop.interval import interval_s

if TYPE_CHECKING:
    from tcptop.app import TcptopApp
    from tcptop.hosts.host import Host
    from tcptop.ledger import Ledger
    from tcptop.sampler import Sampler
    from tcptop.settings import Settings
    from tcptop.snapshot import LabMeasurement

DESCRIPTION = "What one TCP connection costs this kernel, and where that memory sits."
EXPLAIN_DESCRIPTION = "What the kernel objects behind a TCP connection are, with their sizes on this kernel."
EPILOG = """\
Without an option: the live screen; ? there explains the keys.
tcptop explain [CACHE]: what it is for, who allocates and frees it, its size.
tcptop record -w FILE: keeps what is read; tcptop -r FILE shows it again.
tcptop export -r FILE DIR, tcptop import DIR -w FILE: to folders, and back.
tcptop lab (root): measures what each TCP state costs this kernel.
tcptop diff A B: what changed between two saved trees, or from one to now.
Root sees more: sudo "$(command -v tcptop)".
This tool shows kernel memory; for TCP throughput see tcptop-bpfcc, bcc's.
"""


class Parser(argparse.ArgumentParser):
    """Answers a wrong call with one line and exit code 1, as slabtop does."""

    def error(self, message: str) -> NoReturn:
        """Ends the program."""
        fail(f"{message} ({self.prog} --help lists the options)")


def fail(message: str) -> NoReturn:
    """Says in one line what is wrong, and ends with 1."""
    from tcptop.printable import printable

    print(f"tcptop: {printable(message)}", file=sys.stderr)
    sys.exit(1)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs tcptop and ends the program with its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if given[:1] == ["lab"]:
            sys.exit(run_lab(given[1:]))
        if given[:1] == ["record"]:
            sys.exit(run_record(given[1:]))
        if given[:1] in (["export"], ["import"]):
            sys.exit(run_transfer(given[0], given[1:]))
        if given[:1] == ["explain"]:
            run_explain(given[1:])
        elif given[:1] == ["diff"]:
            run_diff(given[1:])
        else:
            options = parsed(given)
            if not (options.once or options.json):
                run_screen(options)
            elif options.replay is not None:
                run_replay(options)
            else:
                run_reports(options)
    except BrokenPipeError:
        # Nobody reads any more; the interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)
    sys.exit(0)


def run_lab(arguments: Sequence[str]) -> int:
    """Runs `tcptop lab`; gives its exit code."""
    from tcptop.lab import command

    parser = Parser(prog="tcptop lab", description=command.DESCRIPTION, allow_abbrev=False)
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def run_record(arguments: Sequence[str]) -> int:
    """Runs `tcptop record`; gives its exit code."""
    from tcptop.recording import command

    parser = Parser(prog="tcptop record", description=command.DESCRIPTION, allow_abbrev=False)
    command.add_arguments(parser)
    add_root(parser)
    options = parser.parse_args(arguments)
    host = opened(options.root)
    if not options.json:
        return command.run(options, host, None)
    from tcptop.accounting import account
    from tcptop.report.replayed import form_of

    form = form_of(json=True)
    return command.run(options, host, lambda snapshot: printed(form(account(snapshot))))


def run_transfer(direction: str, arguments: Sequence[str]) -> int:
    """Runs `tcptop export` or `tcptop import`; gives its exit code."""
    from tcptop.recording import transfer
    from tcptop.recording.choice import with_offsets

    export = direction == "export"
    description = transfer.EXPORT_DESCRIPTION if export else transfer.IMPORT_DESCRIPTION
    parser = Parser(prog=f"tcptop {direction}", description=description, allow_abbrev=False)
    (transfer.add_export_arguments if export else transfer.add_import_arguments)(parser)
    options = parser.parse_args(with_offsets(arguments))
    return (transfer.run_export if export else transfer.run_import)(options)


def run_explain(arguments: Sequence[str]) -> None:
    """Runs `tcptop explain`."""
    from tcptop.report.explained import explained, overview

    parser = Parser(prog="tcptop explain", description=EXPLAIN_DESCRIPTION, allow_abbrev=False)
    parser.add_argument(
        "what", nargs="?", help="a cache (TCP, sock_inode_cache), a struct, or a page; without it, what there is"
    )
    add_root(parser)
    add_lab_result(parser)
    options = parser.parse_args(arguments)
    sampler = sampler_of(opened(options.root), 1.0, options.lab)
    sampler.ask_for("btf")
    ledger = looked_at(sampler)
    text = overview(ledger) if options.what is None else explained(ledger, options.what)
    if text is None:
        fail(f"explain: there is no cache, struct or page called {options.what!r}; tcptop explain lists them")
    printed(text)


def run_diff(arguments: Sequence[str]) -> None:
    """Runs `tcptop diff`."""
    from tcptop import diff_command
    from tcptop.evidence import EvidenceError

    parser = Parser(
        prog="tcptop diff",
        description=diff_command.DESCRIPTION,
        epilog=diff_command.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    diff_command.add_arguments(parser)
    try:
        text = diff_command.compared_text(parser.parse_args(arguments))
    except EvidenceError as error:
        fail(str(error))
    printed(text)


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


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked."""
    from tcptop.recording import choice

    parser = Parser(
        prog="tcptop",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=22, width=79),
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-d", "--delay", metavar="N", type=delay, help="seconds from one sample to the next (1)")
    parser.add_argument(
        "-s",
        "--sort",
        metavar="KEY",
        type=sort_key,
        help="slabtop's sort keys a b c l n o p s u v, or e: by what is TCP's (e)",
    )
    parser.add_argument("-o", "--once", action="store_true", help="print one plain-text report and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object and end")
    parser.add_argument(
        "-n", "--count", metavar="COUNT", type=times, help="with -o or --json: print so many, every N seconds"
    )
    add_root(parser)
    parser.add_argument("-r", "--replay", metavar="FILE", help="a recording; with --json each sample, with -o the last")
    choice.add_choice(parser)
    add_lab_result(parser)
    parser.add_argument(
        "--mouse",
        action="store_true",
        help="take the mouse; without it the terminal keeps it for selecting text",
    )
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII alone, as without UTF-8")
    parser.add_argument("--theme", choices=("dark", "light"), help="for a dark terminal (dark), or a light one")
    parser.add_argument("-h", "--help", action="help", help="show this and end")
    parser.add_argument(
        "-V", "--version", action="version", version=f"tcptop {__version__} (TCP kernel memory monitor)"
    )
    options, others = parser.parse_known_args(choice.with_offsets(arguments))
    for subcommand in ("lab", "explain", "record", "export", "import", "diff"):
        if subcommand in others:
            fail(f"{subcommand} comes first: tcptop {subcommand}")
    if others:
        fail(f"{others[0]!r} is not an option here; this is the memory tool, for throughput see tcptop-bpfcc (--help)")
    if options.once and options.json:
        fail("-o and --json cannot be combined: choose one form")
    if options.count is not None and not (options.once or options.json):
        fail("-n goes with -o or --json")
    if options.replay is None and (options.at or options.first or options.last):
        fail("--at, --from and --to choose samples of a recording: -r FILE")
    if options.replay is not None and (options.root != "/" or options.count is not None):
        fail("-r is a recording; it goes without --root and -n")
    if options.replay is not None and options.delay is not None:
        fail("-d is the time between samples, which a recording has already; in the screen + and - change the speed")
    if options.once and options.delay is not None and options.count is None:
        fail("cannot combine -d and -o without -n COUNT: once is once")
    if options.json and options.delay is not None and options.count is None:
        fail("--json takes -d together with -n COUNT")
    return options


def delay(text: str) -> float:
    """An interval in seconds, fractions allowed."""
    try:
        return interval_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def times(text: str) -> int:
    """A positive whole number."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"a whole number above 0, not {text!r}")
    return int(text)


def sort_key(text: str) -> str:
    """One of slabtop's letters, in either case."""
    from tcptop.columns import SORT_KEYS

    key = text.lower()
    if key not in SORT_KEYS:
        raise argparse.ArgumentTypeError(f"one of {' '.join(sorted(SORT_KEYS))}, not {text!r}")
    return key


def opened(root: str) -> Host:
    """The host below a root; one line and the end where there is none."""
    from tcptop.hosts.opening import host_of

    try:
        return host_of(root)
    except (OSError, ValueError) as error:
        fail(f"--root {root}: {getattr(error, 'strerror', None) or error}")


def sampler_of(host: Host, period_s: float, lab_result: str | None) -> Sampler:
    """Follows a host without a thread or an event loop."""
    from tcptop.sampler import Sampler, kernel_sources

    return Sampler(host, kernel_sources(), period_s, measured=measured(lab_result))


def looked_at(sampler: Sampler) -> Ledger:
    """The figures of one look."""
    from tcptop.accounting import account
    from tcptop.sampler import read_due

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


def run_reports(options: argparse.Namespace) -> None:
    """Prints reports without a screen, an event loop or a thread."""
    period_s = options.delay or 1.0
    sampler = sampler_of(opened(options.root), period_s, options.lab)
    count = options.count or 1
    next_s = time.monotonic()
    for number in range(count):
        ledger = looked_at(sampler)
        if options.json:
            from tcptop.report.as_json import as_json

            text = f"{as_json(ledger)}\n"
        else:
            from tcptop.columns import DEFAULT_SORT_KEY
            from tcptop.report.as_text import as_text

            text = as_text(ledger, options.sort or DEFAULT_SORT_KEY)
            if number + 1 < count:
                text += "\n"
        printed(text)
        if number + 1 < count:
            next_s = max(next_s + period_s, time.monotonic())
            time.sleep(max(0.0, next_s - time.monotonic()))


def run_replay(options: argparse.Namespace) -> None:
    """Prints the reports of a recording."""
    from tcptop.recording.choice import Choice
    from tcptop.recording.errors import RecordingError
    from tcptop.report.replayed import form_of, reports

    form = form_of(options.json, options.sort)
    choice = Choice(options.at, options.first, options.last)
    try:
        for text in reports(options.replay, choice, measured(options.lab), form, last_only=options.once):
            printed(text)
    except RecordingError as error:
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


def run_screen(options: argparse.Namespace) -> None:
    """Runs the screen, on a host or on a recording, until it is quit."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams):
        fail("the screen needs a terminal (ssh -t); use -o for a text report or --json for JSON")
    from dataclasses import replace

    from tcptop.settings import path, read
    from tcptop.widgets.plain_glyphs import needs_ascii

    settings, wrong = read(path())
    given = {"interval": options.delay, "sort": options.sort, "theme": options.theme}
    settings = replace(
        settings,
        **{key: value for key, value in given.items() if value is not None},
        mouse=options.mouse or settings.mouse,
        ascii=options.ascii or settings.ascii,
    )
    # What this terminal needs is no wish, and so it is never written to the settings file.
    ascii_alone = needs_ascii(encoding=sys.stdout.encoding) if settings.ascii is None else settings.ascii
    app = replay_app(options, settings, wrong) if options.replay is not None else live_app(options, settings, wrong)
    from tcptop.app import run

    sys.exit(run(app, settings, ascii_alone))


def live_app(options: argparse.Namespace, settings: Settings, wrong: Sequence[str]) -> TcptopApp:
    """The screen on a host."""
    host, found = opened(options.root), measured(options.lab)
    from tcptop.recording_app import RecordingApp

    return RecordingApp(host, settings.interval or 1.0, settings.sort, found, settings, wrong)


def replay_app(options: argparse.Namespace, settings: Settings, wrong: Sequence[str]) -> TcptopApp:
    """The screen on a recording; one line and the end where it is none."""
    from tcptop.recording.choice import Choice
    from tcptop.recording.errors import RecordingError
    from tcptop.recording.opening import opened
    from tcptop.viewer import held_samples

    found = measured(options.lab)
    try:
        held, start = held_samples(opened(options.replay), Choice(options.at, options.first, options.last))
    except RecordingError as error:
        fail(str(error))
    from tcptop.replay_app import ReplayApp

    return ReplayApp(held, start, settings.sort, found, settings, wrong)
