"""`tcptop record`: its options, and the loop that samples until it is told to end."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from tcptop.hosts.host import Host
from tcptop.recording.errors import RecordingError
from tcptop.recording.recorder import LEAST_RING_BYTES, Bounds, Recorder
from tcptop.recording.scrub import scrubbed
from tcptop.sampling.sampler import Sampler, kernel_sources, read_due
from tcptop.snapshot import Snapshot
from tcptop.text.interval import interval_s
from tcptop.text.printable import printable
from tcptop.text.quantities import length_s, size_bytes

DESCRIPTION = "Keeps what tcptop reads, sample by sample, in one file that tcptop -r FILE shows again."
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the subcommand."""
    parser.add_argument(
        "-w", "--write", metavar="FILE", required=True, help="the recording; one that is there already goes on"
    )
    parser.add_argument("-d", "--delay", metavar="N", type=_checked(interval_s), help="seconds between samples (1)")
    parser.add_argument("--for", dest="length_s", metavar="TIME", type=_checked(length_s), help="end after 90, 15m, 8h")
    parser.add_argument(
        "--max-size",
        metavar="SIZE",
        type=_checked(ring_bytes),
        help="drop the oldest so that the file never grows beyond 200M, 1G",
    )
    parser.add_argument(
        "--max-age", metavar="TIME", type=_checked(length_s), help="drop what is older than 8h, 7d, by the minute"
    )
    parser.add_argument("--scrub", action="store_true", help="leave out the host's name and the kernel's command line")
    parser.add_argument("--json", action="store_true", help="print each sample as JSON too")


def ring_bytes(text: str) -> int:
    """The size of a ring; raises ValueError for one that could not hold a minute."""
    found = size_bytes(text)
    if found < LEAST_RING_BYTES:
        raise ValueError(f"at least {LEAST_RING_BYTES >> 20}M, not {text!r}")
    return found


def run(options: argparse.Namespace, host: Host, shown: Callable[[Snapshot], None] | None) -> int:
    """Records until it is told to end; gives the exit code. Errors are one line on standard error."""
    try:
        recorder = Recorder(
            options.write, Bounds(options.max_size, options.max_age), scrubbed if options.scrub else None
        )
    except RecordingError as error:
        return _failed(error)
    try:
        _tell(options, f"recording into {options.write}; Ctrl-C ends it")
        recorded(recorder, host, options.delay or 1.0, options.length_s, shown)
    except RecordingError as error:
        return _failed(error)
    finally:
        recorder.close()
    samples = "1 sample" if recorder.samples == 1 else f"{recorder.samples} samples"
    _tell(options, f"{samples} recorded; tcptop --json -r {options.write} prints them")
    return 0


def recorded(
    recorder: Recorder,
    host: Host,
    period_s: float,
    length_s: float | None,
    shown: Callable[[Snapshot], None] | None = None,
) -> None:
    """Samples a host at each period until the length is over or a signal comes; a saved tree is one sample.

    Raises:
        RecordingError: where a sample cannot be written.

    """
    ended = _ended_by_signals()
    sampler = Sampler(host, kernel_sources(), period_s, kept=recorder.keep)
    started_s = next_s = time.monotonic()
    while True:
        read_due(sampler)
        snapshot = sampler.snapshot()
        recorder.write(snapshot)
        if shown is not None:
            shown(snapshot)
        next_s = max(next_s + period_s, time.monotonic())
        if not host.identity.live or (length_s is not None and next_s - started_s >= length_s):
            return
        if ended.wait(max(0.0, next_s - time.monotonic())):
            return


def _ended_by_signals() -> threading.Event:
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as signal calls it)
        ended.set()

    for number in ENDS:
        signal.signal(number, end)
    return ended


def _checked(parse: Callable[[str], float]) -> Callable[[str], float]:
    """The same for argparse, which takes its words from another error."""

    def parsed(text: str) -> float:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def _tell(options: argparse.Namespace, text: str) -> None:
    """A line for a person: none for a service, nor beside the JSON."""
    if not options.json and sys.stdout is not None and sys.stdout.isatty():
        print(printable(text), flush=True)


def _failed(error: RecordingError) -> int:
    print(f"tcptop: {printable(str(error))}", file=sys.stderr)
    return 1
