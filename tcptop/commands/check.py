"""`tcptop check`: a monitoring plugin. One line on standard output, and an exit code from 0 to 3."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, NamedTuple

from tcptop.accounting import account
from tcptop.accounting.checks import (
    CHECK_NAMES,
    GROWTH,
    Ranges,
    SocketGrowth,
    check_units,
    run_checks,
    unchecked_limits,
    worst_state,
)
from tcptop.accounting.contradictions import without_contradictions
from tcptop.accounting.growth import GAP_S, LENGTH_S
from tcptop.accounting.ledger_before import ledger_before
from tcptop.accounting.origin import continue_origin, origin_of
from tcptop.accounting.page_size import page_size_bytes
from tcptop.commands.common import (
    Parser,
    add_socket_table,
    argument_type,
    join_offsets,
    make_sampler,
    open_chosen_host,
    read_snapshot,
    read_thresholds,
)
from tcptop.errors import TcptopError
from tcptop.kernel.limits import LIMITS
from tcptop.ledger import Ledger
from tcptop.rates import per_second
from tcptop.report.plugin_line import EXIT_CODES, plugin_line, state_line
from tcptop.snapshot import Snapshot
from tcptop.standard_streams import WriteError, write_stderr, write_stdout
from tcptop.text.quantities import parse_interval_s
from tcptop.text.ranges import Range, parse_range

if TYPE_CHECKING:
    from tcptop.recording.recording import Recording

DESCRIPTION = """\
Checks limits on sockets, as a plugin of Nagios, Icinga and their kin: one line
on standard output, exit code 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""

EPILOG = """\
Names and units of their ranges:
{names}

Without a NAME: every limit whose use can be known. The line names those that
cannot be checked, since a file is missing or since only a look at the sockets
tells (--who looks once; a recording of record --who has looks); its state
leaves them out. Without a range: the thresholds of the settings file, or the
default ones; NEAR and PRESSURE are a warning, CRITICAL and FULL are critical.
PRESSURE, the kernel's own word, is a warning whatever the ranges are. So is a
growing ListenOverflows; a maximum of 0 is critical. The limit of TIME_WAIT
stops no socket, so it is a warning at most unless a range says otherwise.

A RANGE is that of the plugins' guidelines, in the unit above, without
multipliers: 10 alerts below 0 and above 10, 10: below 10, ~:10 above 10,
10:20 outside of 10 to 20, @10:20 inside. A name in --warn or --critical is
checked too. The default thresholds of a limit alert when they are reached.

Of several checks the worst state is that of the line: CRITICAL, then WARNING,
then UNKNOWN, then OK. UNKNOWN is an asked figure that is not known, one made
of files that contradict each other, one whose bounds reach across an edge of
its range, or across a threshold, or a wrong call. A limit that was not asked
for is OK if a threshold is within the bounds of its use. Bytes are a range
(>= without an upper bound) where free objects on lists of CPUs, which count as
active, may be idle; the performance data have the least.
"""

EXAMPLES = (
    ("tcptop check", "every limit, with the thresholds of the settings file or the default ones"),
    (
        "tcptop check --warn memory=85 --critical tcp_mem=90 growth idle",
        "two limits with ranges of their own, the growth and the idle memory",
    ),
)

MAX_GROWTH_SAMPLES = 300
GROWTH_S = 30.0
"""Time in seconds over which the growth of the number of sockets is averaged, if so many samples are recorded."""
OTHER_ORIGIN = "the samples come from two machines, kernels, boots or network namespaces"


class Sample(NamedTuple):
    """A sample, and the growth of the number of sockets since an earlier sample."""

    snapshot: Snapshot
    growth: SocketGrowth
    before: Ledger | None = None
    """The ledger whose averages are used if the sample has no averages of its own."""


def run(arguments: Sequence[str]) -> int:
    """Prints the line; returns the exit code. On every error, the printed line says UNKNOWN and the exit code is 3."""
    try:
        line, code = _line_and_code(arguments)
        write_stdout(f"{line}\n")
    except BrokenPipeError:
        return EXIT_CODES["UNKNOWN"]
    except WriteError as error:
        write_stderr(f"tcptop: {error}\n")
        return EXIT_CODES["UNKNOWN"]
    return code


def _line_and_code(arguments: Sequence[str]) -> tuple[str, int]:
    try:
        return _run(arguments)
    except WriteError:  # of --help
        raise
    except TcptopError as error:
        reason = str(error)
    except KeyboardInterrupt:
        reason = "interrupted"
    except Exception as error:  # Python itself would exit with 1, which means WARNING
        reason = f"{type(error).__name__}: {error}; please report it"
    return state_line("UNKNOWN", reason), EXIT_CODES["UNKNOWN"]


def _run(arguments: Sequence[str]) -> tuple[str, int]:
    options = _parse_options(arguments)
    ranges = _collect_ranges(options)
    thresholds = read_thresholds()
    needs_growth = GROWTH in options.names or GROWTH in ranges
    read_sample = _host_sample if options.replay is None else _replayed_sample
    sample = read_sample(options, needs_growth)
    ledger = account(sample.snapshot, thresholds, before=sample.before)
    limits = sample.snapshot.socket_limits.value
    has_conntrack_limit = None if limits is None else limits.max_conntrack_entries != 0
    checks = run_checks(ledger, options.names, ranges, sample.growth, has_conntrack_limit)
    unchecked = () if options.names else unchecked_limits(ledger, checks)
    code = EXIT_CODES[worst_state(checks)]
    if options.json:
        from tcptop.report.check_json import checks_as_json

        return checks_as_json(ledger, checks, unchecked), code
    return plugin_line(checks, ledger, unchecked), code


def make_parser() -> Parser:
    """The parser of the command."""
    units = "\n".join(f"  {name:<22}{unit}" for name, unit in check_units())
    parser = Parser(
        prog="tcptop check",
        description=DESCRIPTION,
        epilog=EPILOG.format(names=units),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        examples=EXAMPLES,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="a limit or a figure to check; names are below")
    parser.add_argument("--warn", metavar="NAME=RANGE", action="append", default=[], help="warning; may be repeated")
    parser.add_argument(
        "--critical", metavar="NAME=RANGE", action="append", default=[], help="critical; may be repeated"
    )
    parser.add_argument(
        "-d",
        "--delay",
        metavar="N",
        type=argument_type(parse_interval_s),
        help="growth: seconds between two samples (1; of a recording, half a minute)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the line")
    parser.add_argument("--who", action="store_true", help="look at all sockets once: nofile, ports, accept queues")
    parser.add_cgroup_option()
    parser.add_root_option()
    parser.add_argument("-r", "--replay", metavar="FILE", help="a recording: its last sample")
    parser.add_argument("--at", metavar="TIME", help="the sample of the recording nearest to a time")
    parser.add_lab_option()
    return parser


def _parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    options = make_parser().parse_args(join_offsets(arguments))
    options.names = [_parse_name(name) for name in options.names]
    is_replay = options.replay is not None
    if is_replay and (options.root != "/" or options.cgroup is not None or options.delay is not None):
        raise TcptopError("-r is a recording; it goes without --root, --cgroup and -d")
    if options.who and is_replay:
        raise TcptopError("-r goes without --who; a recording has what record --who kept")
    if options.at is not None and not is_replay:
        raise TcptopError("--at chooses a sample of a recording: -r FILE")
    return options


def _parse_name(text: str, place: str = "") -> str:
    """The name of a check; the names of the screen (`orphans`) and of the line (`file-max`) are taken, too."""
    name = {spelling: limit.name for limit in LIMITS for spelling in (limit.label, limit.spelling)}.get(text, text)
    name = "listen_queues" if text == "accept_queues" else name
    if name not in CHECK_NAMES:
        raise TcptopError(f"{place}there is no check {text!r:.60}; there are: {', '.join(CHECK_NAMES)}")
    return name


def _collect_ranges(options: argparse.Namespace) -> dict[str, Ranges]:
    """The ranges by check name; raises TcptopError if a name or a range is wrong, or if a name is given twice."""
    warn, critical = (_parse_ranges(option, given) for option, given in _given_ranges(options).items())
    return {name: Ranges(warn.get(name), critical.get(name)) for name in dict.fromkeys([*warn, *critical])}


def _given_ranges(options: argparse.Namespace) -> Mapping[str, Sequence[str]]:
    return {"--warn": options.warn, "--critical": options.critical}


def _parse_ranges(option: str, texts: Sequence[str]) -> dict[str, Range]:
    ranges: dict[str, Range] = {}
    for text in texts:
        name, equals, range_text = text.partition("=")
        if not equals:
            raise TcptopError(f"{option}: NAME=RANGE, not {text!r:.60}")
        name = _parse_name(name, f"{option}: ")
        if name in ranges:
            raise TcptopError(f"{option}: {name} is given twice")
        try:
            ranges[name] = parse_range(range_text)
        except ValueError as error:
            raise TcptopError(f"{option} {name}: {error}") from None
    return ranges


def _host_sample(options: argparse.Namespace, needs_growth: bool) -> Sample:
    """Takes a sample of a host.

    If growth is needed and the host is live, takes two samples, `--delay` seconds apart.
    """
    delay_s = options.delay or 1.0
    with closing(open_chosen_host(options)) as host:
        sampler = make_sampler(host, delay_s, options.lab, options.cgroup)
        if options.who:
            add_socket_table(sampler, is_asked=True)
        snapshot = read_snapshot(sampler)
        if not needs_growth:
            return Sample(snapshot, SocketGrowth(None, None))
        if not host.identity.live:
            return Sample(snapshot, SocketGrowth(None, "a saved tree is one sample, and growth needs two"))
        time.sleep(delay_s)
        sampler.make_all_due()
        later = read_snapshot(sampler)
    counts = [_allocated_sockets(each) for each in (snapshot, later)]
    times_s = [each.sockstat.taken_at_s or 0.0 for each in (snapshot, later)]
    if continue_origin(origin_of(snapshot), origin_of(later)) is None:
        return Sample(later, SocketGrowth(None, OTHER_ORIGIN))
    per_s = per_second(counts[0], times_s[1] - times_s[0], counts[1])
    return Sample(later, SocketGrowth(per_s, None if per_s is not None else "the number of sockets is not known"))


def _replayed_sample(options: argparse.Namespace, needs_growth: bool) -> Sample:
    """The chosen sample of a recording, with the growth of the number of sockets since a sample before it.

    Of the samples of the LENGTH_S seconds before it that count the sockets, the one nearest to GROWTH_S is used.
    """
    from tcptop.commands.common import load_lab_result
    from tcptop.recording.opening import open_recording
    from tcptop.recording.time_spec import TimeRange, select_samples

    lab_result = load_lab_result(options.lab)
    with closing(open_recording(options.replay)) as recording:
        index = select_samples(recording, TimeRange(at=options.at))[-1]
        snapshot = recording.snapshot(index)._replace(lab_measurement=lab_result)
        recording.raise_if_damaged()
        before = ledger_before(recording.snapshot, index)
        if not needs_growth:
            return Sample(snapshot, SocketGrowth(None, None), before)
        numbers = _growth_samples(recording, index)
        start = _start_of_origin(recording, numbers)
        later, per_s = _allocated_sockets(snapshot), None
        for number, _ in sorted(numbers[start:-1], key=lambda each: abs(numbers[-1][1] - each[1] - GROWTH_S)):
            with suppress(OSError, ValueError):
                earlier = recording.snapshot(number)
                per_s = per_second(_allocated_sockets(earlier), _seconds_between(earlier, snapshot), later)
            if per_s is not None:
                break
    reason = "it needs two samples that count the sockets, at most five minutes apart"
    if start and start == len(numbers) - 1:
        reason = OTHER_ORIGIN
    return Sample(snapshot, SocketGrowth(per_s, None if per_s is not None else reason), before)


def _seconds_between(earlier: Snapshot, later: Snapshot) -> float:
    """The time between two samples of one boot; the wall clock, which may have been set, counts only without another.

    0 if no time is known.
    """
    clocks = (earlier.boot_clock_s, later.boot_clock_s), (earlier.taken_at_unix_s, later.taken_at_unix_s)
    return next((end - start for start, end in clocks if start is not None and end is not None), 0.0)


def _allocated_sockets(snapshot: Snapshot) -> int | None:
    """TCP: alloc of /proc/net/sockstat, or None if it is not known or contradicts another file of the sample."""
    sockstat = without_contradictions(snapshot, page_size_bytes(snapshot)).sockstat.value
    return sockstat.allocated if sockstat else None


def _growth_samples(recording: Recording, index: int) -> list[tuple[int, float]]:
    """Index and time of a sample, and of each sample in the LENGTH_S seconds before it, in recorded order.

    If a sample has no known time, this sample and all samples before it are left out. If the clock was set back, the
    samples before that moment are left out.
    """
    found: list[tuple[int, float]] = []
    end_s = later_s = recording.taken_at_unix_s(index)
    for number in range(index, max(-1, index - MAX_GROWTH_SAMPLES), -1):
        at_s = recording.taken_at_unix_s(number)
        if at_s is None or end_s is None or later_s is None or at_s > later_s or end_s - at_s > LENGTH_S:
            break
        found.insert(0, (number, at_s))
        later_s = at_s
    return found


def _start_of_origin(recording: Recording, numbers: Sequence[tuple[int, float]]) -> int:
    """Position in `numbers` of the earliest sample after which the origin (machine, boot, namespace) does not change.

    To save time, only samples at least GAP_S apart are read. A sample that is not read is taken to have the origin of
    the previous sample.
    """
    start = 0
    origin, read_at_s = None, 0.0
    for position, (number, at_s) in enumerate(numbers):
        if origin is not None and at_s - read_at_s < GAP_S and position < len(numbers) - 1:
            continue
        found = origin_of(recording.snapshot(number))
        continued = found if origin is None else continue_origin(origin, found)
        if continued is None:
            start, continued = position, found
        origin, read_at_s = continued, at_s
    return start
