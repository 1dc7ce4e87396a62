"""`tcptop plan`: how much memory further connections would take, and whether these connections would fit."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar

from tcptop.accounting import account
from tcptop.accounting.plan import make_plan, tracks_flows
from tcptop.commands.common import (
    Parser,
    add_socket_table,
    join_offsets,
    load_lab_result,
    make_sampler,
    open_chosen_host,
    read_snapshot,
    read_thresholds,
)
from tcptop.errors import TcptopError
from tcptop.ledger.plan import PlannedFamily, PlanRequest, Side, Verdict
from tcptop.snapshot import Snapshot
from tcptop.standard_streams import write_stdout
from tcptop.text.quantities import parse_count, parse_planned_buffers, parse_positive_count

Value = TypeVar("Value")

DESCRIPTION = """\
What so many more TCP connections would take: slab memory by object, buffers,
files; the limit that is reached first; the sysctls that would need another
value, which are printed and never set. A limit that already alarms, and that
the plan takes nothing of, is named below the verdict as not counted."""

EPILOG = """\
Numbers of connections take k (or K), M and G as 1 000, 1 000 000 and
1 000 000 000; bytes take K, M and G as powers of 1 024.

A connection is one socket of this machine: an accepted one, or an outgoing one
that has its own local port. A connection through a proxy is one of each, with
two files and, with --conntrack, two flows.

Without --buffers the sockets have none. A size is memory in full, and in whole
pages what the kernel counts. --buffers now takes what a socket has now on
average, of which only a part is in use. The headroom on the screen assumes
--side mixed --family now --buffers now, or no buffers where it says so, and
the screen's plan (M) begins as the headroom. Where the buffers of a present
socket are known within bounds alone, --buffers now takes the bounds.

An advised sysctl is what is needed ÷ 0.8, at most what memory and the kernel
allow: the plan then uses less than 80 % of it. A value that is capped says so.
No value is advised for a limit that would only be NEAR.

Exit code: 0 it fits beside what is there now; 1 it does not, and the first line
names the first limit; 2 it cannot be said, or the call is wrong. Limits that
are not counted do not change it.
"""

EXAMPLES = (
    ("tcptop plan --connections 2M", "whether two million more accepted connections fit here"),
    ("tcptop plan --connections 300K --root web17.tgz", "the same of another machine, from an archive of its files"),
)

EXIT_CODES: dict[Verdict, int] = {"fits": 0, "does not fit": 1, "cannot say": 2}


class PlanError(TcptopError):
    """An error of `tcptop plan`.

    The exit code of the error means "cannot say"; errors of other commands have another exit code.
    """

    exit_code = EXIT_CODES["cannot say"]


def run(arguments: Sequence[str]) -> int:
    """Prints the plan; returns the exit code."""
    try:
        return _run(arguments)
    except TcptopError as error:
        raise PlanError(str(error)) from None
    except (BrokenPipeError, KeyboardInterrupt):
        pass
    except Exception as error:  # Python itself would exit with 1, which means "does not fit"
        raise PlanError(f"{type(error).__name__}: {error}; please report it") from error
    return EXIT_CODES["cannot say"]


SIDE_OF_WORD: dict[str, Side] = {"server": "accepted", "client": "outgoing"}
"""Maps values of the option --side to their names in the JSON of a plan; the name of any other value is the value
itself.
"""
FAMILY_OF_WORD: dict[str, PlannedFamily] = {"ipv4": "ipv4", "ipv6": "ipv6", "now": "mix"}


def _run(arguments: Sequence[str]) -> int:
    options = _parse_options(arguments)
    thresholds = read_thresholds()
    snapshot = _host_snapshot(options) if options.replay is None else _replayed_snapshot(options)
    ledger = account(snapshot, thresholds)
    request = PlanRequest(
        connections=options.connections,
        side=SIDE_OF_WORD.get(options.side, options.side),
        family=FAMILY_OF_WORD[options.family],
        buffer_bytes=options.buffers,
        time_wait=options.time_wait,
        with_epoll=options.epoll,
        with_conntrack=tracks_flows(snapshot) if options.conntrack is None else options.conntrack,
        with_ktls=options.ktls,
    )
    plan = make_plan(snapshot, ledger, request)
    if options.json:
        from tcptop.report.plan_json import plan_as_json

        write_stdout(f"{plan_as_json(ledger, plan)}\n")
    else:
        from tcptop.report.plan_text import plan_as_text

        write_stdout(plan_as_text(ledger, plan))
    return EXIT_CODES[plan.verdict]


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(
        prog="tcptop plan",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "--connections",
        metavar="N",
        type=_option_type(parse_positive_count),
        required=True,
        help="connections: 20000, 300K, 2M",
    )
    parser.add_argument(
        "--buffers",
        metavar="BYTES",
        type=_option_type(parse_planned_buffers),
        default=0,
        help="buffers of each socket: 16K; now: as a socket has now (0)",
    )
    parser.add_argument(
        "--side",
        choices=("server", "client", "proxy", "mixed", "accepted", "outgoing"),
        default="server",
        help="side of each connection on this machine; proxy is both; mixed: half of them are client side (server)",
    )
    parser.add_argument(
        "--family",
        choices=FAMILY_OF_WORD,
        default="ipv4",
        help="family of the sockets; now: as the sockets now (ipv4)",
    )
    parser.add_argument(
        "--time-wait",
        metavar="N",
        type=_option_type(parse_count),
        default=0,
        help="mini-sockets in TIME_WAIT beside them: connections closed here per second times 60 (0)",
    )
    parser.add_argument("--epoll", action="store_true", help="each socket is in one epoll set")
    parser.add_argument(
        "--conntrack",
        action=argparse.BooleanOptionalAction,
        help="the firewall tracks each connection, or not (yes if it tracks any now)",
    )
    parser.add_argument(
        "--ktls", action="store_true", help="each socket has kernel TLS in both directions, as --lab FILE measured it"
    )
    parser.add_cgroup_option()
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_root_option()
    parser.add_argument("-r", "--replay", metavar="FILE", help="a recording: beside its last sample")
    parser.add_argument("--at", metavar="TIME", help="the sample of the recording nearest to a time")
    parser.add_lab_option()
    parser.add_argument(
        "--who",
        action="store_true",
        help="look at all sockets once: nofile, ports and accept queues are named",
    )
    return parser


def _parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    options = make_parser().parse_args(join_offsets(arguments))
    if options.replay is not None and (options.root != "/" or options.cgroup is not None):
        raise TcptopError("-r is a recording; it goes without --root and --cgroup")
    if options.replay is not None and options.who:
        raise TcptopError("-r goes without --who; a recording has what record --who kept")
    if options.at is not None and options.replay is None:
        raise TcptopError("--at chooses a sample of a recording: -r FILE")
    return options


def _option_type(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """Makes an argparse type from `parse`; if `parse` raises ValueError, argparse shows the text of this error."""

    def parse_option(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_option


def _host_snapshot(options: argparse.Namespace) -> Snapshot:
    with closing(open_chosen_host(options)) as host:
        sampler = make_sampler(host, 1.0, options.lab, options.cgroup)
        add_socket_table(sampler, options.who)
        return read_snapshot(sampler)


def _replayed_snapshot(options: argparse.Namespace) -> Snapshot:
    from tcptop.recording.opening import open_recording
    from tcptop.recording.time_spec import TimeRange, select_samples

    lab_result = load_lab_result(options.lab)
    with closing(open_recording(options.replay)) as recording:
        index = select_samples(recording, TimeRange(at=options.at))[-1]
        snapshot = recording.snapshot(index)._replace(lab_measurement=lab_result)
        recording.raise_if_damaged()
    return snapshot
