"""The command line. It imports nothing that a way of running does not need: the screen costs 15 times a report."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from tcptop import __version__
from tcptop.commands.common import (
    Parser,
    add_lab_result,
    add_root,
    fail,
    looked_at,
    measured,
    opened,
    printed,
    sampler_of,
)
from tcptop.commands.subcommands import SUBCOMMANDS
from tcptop.text.interval import interval_s

if TYPE_CHECKING:
    from tcptop.screen.app import TcptopApp
    from tcptop.screen.settings import Settings

DESCRIPTION = "What one TCP connection costs this kernel, and where that memory sits."
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


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs tcptop and ends the program with its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if given and given[0] in SUBCOMMANDS:
            sys.exit(SUBCOMMANDS[given[0]](given[1:]))
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
    for subcommand in SUBCOMMANDS:
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
    from tcptop.text.cache_columns import SORT_KEYS

    key = text.lower()
    if key not in SORT_KEYS:
        raise argparse.ArgumentTypeError(f"one of {' '.join(sorted(SORT_KEYS))}, not {text!r}")
    return key


def run_reports(options: argparse.Namespace) -> None:
    """Prints reports without a screen, an event loop or a thread."""
    # One report leaves too little to look for garbage in.
    gc.disable()
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
            from tcptop.report.as_text import as_text
            from tcptop.text.cache_columns import DEFAULT_SORT_KEY

            text = as_text(ledger, options.sort or DEFAULT_SORT_KEY)
            if number + 1 < count:
                text += "\n"
        printed(text)
        gc.enable()
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


def run_screen(options: argparse.Namespace) -> None:
    """Runs the screen, on a host or on a recording, until it is quit."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams):
        fail("the screen needs a terminal (ssh -t); use -o for a text report or --json for JSON")
    if os.environ.get("TERM") == "dumb":
        fail("this terminal can only be written line by line (TERM=dumb); use -o for a text report or --json for JSON")
    # What is imported stays; to look through it for garbage again and again would take a tenth of the start.
    gc.disable()
    from dataclasses import replace

    from tcptop.screen.settings import path, read
    from tcptop.text.ascii import needs_ascii

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
    from tcptop.screen.app import run

    gc.freeze()
    gc.enable()
    sys.exit(run(app, settings, ascii_alone))


def live_app(options: argparse.Namespace, settings: Settings, wrong: Sequence[str]) -> TcptopApp:
    """The screen on a host."""
    host, found = opened(options.root), measured(options.lab)
    from tcptop.screen.recording_app import RecordingApp

    return RecordingApp(host, settings.interval or 1.0, settings.sort, found, settings, wrong)


def replay_app(options: argparse.Namespace, settings: Settings, wrong: Sequence[str]) -> TcptopApp:
    """The screen on a recording; one line and the end where it is none."""
    from tcptop.recording.choice import Choice
    from tcptop.recording.errors import RecordingError
    from tcptop.recording.opening import opened
    from tcptop.screen.playback import held_samples

    found = measured(options.lab)
    try:
        held, start = held_samples(opened(options.replay), Choice(options.at, options.first, options.last))
    except RecordingError as error:
        fail(str(error))
    from tcptop.screen.replay_app import ReplayApp

    return ReplayApp(held, start, settings.sort, found, settings, wrong)
