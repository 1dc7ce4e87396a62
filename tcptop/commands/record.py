"""`tcptop record`: records samples of a host in a file until a signal, or for a given time."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

from tcptop.commands.common import (
    Parser,
    add_socket_table,
    argument_type,
    default_period_s,
    open_chosen_host,
    read_thresholds,
)
from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.ledger import Ledger
from tcptop.recording.recorder import MIN_RING_BYTES, Bounds, Recorder
from tcptop.recording.scrub import SCRUB_HELP, make_scrub
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot
from tcptop.standard_streams import write_notice, write_stdout
from tcptop.text.printable import printable, quoted
from tcptop.text.quantities import parse_duration_s, parse_interval_s, parse_size_bytes

DESCRIPTION = "Keeps what tcptop reads, sample by sample, in one file that tcptop -r FILE shows again."
EXAMPLES = (
    ("sudo tcptop record -w FILE --max-size 200M --max-age 7d", "a ring: the oldest goes"),
    ("sudo tcptop record --who -w FILE", "who holds the sockets too"),
)

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(arguments: Sequence[str]) -> int:
    """Records until a signal arrives or the time given by --for has passed; returns the exit code."""
    options = _parse_options(arguments)
    host = open_chosen_host(options)
    on_sample: Callable[[Snapshot], None] | None = None
    if options.json:
        from tcptop.accounting import account
        from tcptop.commands.report import report_formatter

        formatter, thresholds = report_formatter(json=True), read_thresholds()
        ledger: Ledger | None = None

        def on_sample(snapshot: Snapshot) -> None:
            nonlocal ledger
            # The report is that of the recorded sample, as `-r` prints it again.
            ledger = account(snapshot._replace(recorded=True), thresholds, before=ledger)
            write_stdout(formatter(ledger, None))

    recorder = Recorder(
        options.write, Bounds(options.max_size, options.max_age), make_scrub() if options.scrub else None
    )
    try:
        _print_message(options, f"recording into {options.write}; Ctrl-C ends it")
        record_until_signal(recorder, host, default_period_s(options), options.length_s, on_sample, options.who)
    finally:
        recorder.close()
        host.close()
    samples = "1 sample" if recorder.samples == 1 else f"{recorder.samples} samples"
    _print_message(options, f"{samples} recorded; tcptop --json -r {options.write} prints them")
    return 0


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(prog="tcptop record", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument(
        "-w", "--write", metavar="FILE", required=True, help="the recording; one that is there already goes on"
    )
    parser.add_argument(
        "-d", "--delay", metavar="N", type=argument_type(parse_interval_s), help="seconds between samples (1)"
    )
    parser.add_argument(
        "--for", dest="length_s", metavar="TIME", type=argument_type(parse_duration_s), help="end after 90, 15m, 8h"
    )
    parser.add_argument(
        "--max-size",
        metavar="SIZE",
        type=argument_type(ring_bytes),
        help="drop the oldest so that the file never grows beyond 200M, 1G",
    )
    parser.add_argument(
        "--max-age",
        metavar="TIME",
        type=argument_type(parse_duration_s),
        help="drop what is older than 8h, 7d, by the minute",
    )
    parser.add_argument("--who", action="store_true", help="keep who holds the sockets too, as tcptop who shows it")
    parser.add_argument("--scrub", action="store_true", help=SCRUB_HELP)
    parser.add_argument("--json", action="store_true", help="print each sample as JSON too")
    parser.add_root_option()
    return parser


def _parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    options = make_parser().parse_args(arguments)
    if options.scrub and options.json:
        raise TcptopError("--scrub and --json cannot be combined: what is printed is not scrubbed")
    return options


def ring_bytes(text: str) -> int:
    """Parses the size of a ring, in bytes; raises ValueError if the size is below `MIN_RING_BYTES`."""
    found = parse_size_bytes(text)
    if found < MIN_RING_BYTES:
        raise ValueError(f"at least {MIN_RING_BYTES >> 20}M, not {quoted(text)}")
    return found


def record_until_signal(
    recorder: Recorder,
    host: Host,
    period_s: float,
    length_s: float | None,
    on_sample: Callable[[Snapshot], None] | None = None,
    with_sockets: bool = False,
) -> None:
    """Writes a sample every `period_s` until `length_s` has passed or a signal arrives.

    A saved tree never changes, so only one sample is written.

    Raises:
        TcptopError: if a sample cannot be written.

    """
    ended = threading.Event()
    for number in ENDS:
        signal.signal(number, lambda *_: ended.set())
    sampler = Sampler(host, kernel_sources(), period_s, on_read=recorder.add_read)
    add_socket_table(sampler, with_sockets)
    started_s = next_s = time.monotonic()
    while True:
        read_due(sampler)
        if ended.is_set() and host.identity.remote_name is not None:
            return  # Ctrl-C has ended ssh too, so the sample may be empty
        snapshot = sampler.snapshot()
        recorder.write(snapshot)
        if on_sample is not None:
            on_sample(snapshot)
        next_s = max(next_s + period_s, time.monotonic())
        if not host.identity.live or (length_s is not None and next_s - started_s >= length_s):
            return
        if ended.wait(max(0.0, next_s - time.monotonic())):
            return


def _print_message(options: argparse.Namespace, text: str) -> None:
    """Prints a line if standard output is a terminal and --json is not given.

    The line is not wanted in the journal of a service, nor between lines of JSON.
    """
    if not options.json and sys.stdout is not None and sys.stdout.isatty():
        write_notice(f"{printable(text)}\n")
