"""`tcptop who`: which processes, containers, ports, users and peers hold the TCP sockets of this machine."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tcptop.commands.common import (
    Parser,
    argument_type,
    join_offsets,
    make_sampler,
    open_host,
    parse_positive,
    read_ledger,
    terminal_columns,
    time_range,
)
from tcptop.errors import TcptopError
from tcptop.explanation.holder_rows import GROUPINGS, MAX_ROWS, SORTS, RowFilter, holder_rows, row_asks
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.ledger import Ledger
from tcptop.snapshot import Reading
from tcptop.snapshot.socket_table import MAX_SOCKET_ROWS, SocketRow
from tcptop.sock_diag import SOCKETS_ARE_LOCAL, SOCKETS_PATH
from tcptop.sock_diag.dump import STATES
from tcptop.sock_diag.look import Ask
from tcptop.sources.socket_rows import read_socket_rows
from tcptop.sources.socket_table import SocketTableSource
from tcptop.standard_streams import write_stdout
from tcptop.text.own_command import as_root
from tcptop.text.printable import quoted
from tcptop.text.quantities import parse_interval_s

if TYPE_CHECKING:
    from tcptop.recording.recording import Recording

DESCRIPTION = """\
Who holds the TCP sockets: a table of sockets, their slab and their buffers by
owner, and what is wrong with them. Asks the kernel once for every socket
(sock_diag), adds the sockets up while the answer passes, and looks up 64
descriptors of each process, and more of large ones, so that shares of large
processes are estimates (with a sign of their own)."""

EPILOG = """\
As root: the sockets of every network namespace, and the processes of others.
Otherwise: those of this network namespace, and your own processes.

The first look may make the kernel load the module tcp_diag.
"""

EXAMPLES = (
    ("sudo tcptop who --by cgroup --sort buffers", "the containers whose sockets hold the most in buffers"),
    ("sudo tcptop who --state close_wait,fin_wait2 --port 8080 --top 10", "who leaves them half closed"),
)

NO_LOOK = "this recording has no list of its sockets; tcptop record --who keeps one"
MAX_SEARCHED = 1000
"""Maximum number of samples that are searched for a look, before the chosen samples and after them."""
NO_LOOK_NEAR = f"no list of the sockets here, nor in {MAX_SEARCHED} samples before and after; --json prints each list"


def run(arguments: Sequence[str]) -> int:
    """Prints the table, once or several times; returns the exit code."""
    options = _parse_options(arguments)
    if options.replay is not None:
        _print_recorded(options)
        return 0
    ask = Ask(options.by == "peer", options.here, options.exact)
    with closing(open_host(options.root)) as host:
        if not host.identity.live:
            _raise_if_asking(options)
        sampler = make_sampler(host, 1.0, None)
        sampler.add_source(SocketTableSource(ask.path if host.identity.live else SOCKETS_PATH))
        next_s = time.monotonic()
        for number in range(options.count or 1):
            if number:
                next_s = max(next_s + (options.delay or 5.0), time.monotonic())
                time.sleep(max(0.0, next_s - time.monotonic()))
                sampler.make_all_due()
            ledger = read_ledger(sampler)
            _raise_if_unread(sampler.snapshot().socket_table)
            sockets = _single_sockets(host, ledger, options) if options.detail else None
            write_stdout(("\n" if number and not options.json else "") + _formatted(ledger, options, sockets))
    return 0


def _single_sockets(host: Host, ledger: Ledger, options: argparse.Namespace) -> tuple[SocketRow, ...]:
    """At most MAX_SOCKET_ROWS single sockets; the options choose the port and the states of the sockets."""
    groups = ledger.holders.groups if ledger.holders is not None else ()
    chosen = (group for group in groups if group.port == options.port and group.state in (options.state or STATES))
    found = run_sync(read_socket_rows(host, row_asks(chosen)))
    if found.reason is not None:
        raise TcptopError(found.reason)
    return found.rows


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(
        prog="tcptop who",
        description=DESCRIPTION,
        epilog=f"{EPILOG}Root sees more: {as_root()} who.\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        examples=EXAMPLES,
    )
    parser.add_argument("--by", choices=GROUPINGS, default="owner", help="what a row has in common (owner)")
    parser.add_argument(
        "--sort", choices=SORTS, default="memory", help="the column to sort by (memory: slab and buffers)"
    )
    parser.add_argument("--state", metavar="STATES", type=_parse_states, help="only these: close_wait,fin_wait2")
    parser.add_argument("--port", metavar="N", type=_parse_port, help="only this local port, or port of the peer")
    parser.add_argument("--here", action="store_true", help="only this network namespace")
    parser.add_argument(
        "--top", metavar="N", type=parse_positive, default=MAX_ROWS, help=f"rows of the table ({MAX_ROWS})"
    )
    parser.add_argument("--exact", metavar="PID", type=parse_positive, help="look up every descriptor of this process")
    parser.add_argument(
        "--detail",
        action="store_true",
        help=f"with --port: single sockets too, at most {MAX_SOCKET_ROWS}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a look")
    parser.add_argument(
        "-d", "--delay", metavar="N", type=argument_type(parse_interval_s), help="seconds from one look to the next (5)"
    )
    parser.add_argument("-n", "--count", metavar="COUNT", type=parse_positive, help="so many looks (1)")
    parser.add_root_option()
    parser.add_argument("-r", "--replay", metavar="FILE", help="a recording made with record --who")
    parser.add_time_options()
    return parser


def _parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    options = make_parser().parse_args(join_offsets(arguments))
    if options.host is not None:
        raise TcptopError(f"who goes without --host: {SOCKETS_ARE_LOCAL}")
    if options.detail and (options.port is None or options.replay is not None or options.root != "/"):
        raise TcptopError("--detail goes with --port N, and asks the running kernel")
    if options.delay is not None and options.count is None:
        raise TcptopError("-d goes with -n COUNT")
    if options.replay is not None and options.root != "/":
        raise TcptopError("-r is a recording; it goes without --root")
    if options.replay is not None:
        _raise_if_asking(options)
    if options.replay is None and (options.at or options.first or options.last):
        raise TcptopError("--at, --from and --to choose samples of a recording: -r FILE")
    return options


def _parse_states(text: str) -> frozenset[str]:
    """Argparse type that parses names of TCP states, separated by commas, in upper or lower case."""
    names = frozenset(name.strip().upper().replace("-", "_") for name in text.split(","))
    if "" in names:
        raise argparse.ArgumentTypeError(f"an empty name in {quoted(text)}")
    unknown = sorted(names - STATES.keys())
    if unknown:
        raise argparse.ArgumentTypeError(f"no TCP state: {quoted(unknown[0])}; one of {', '.join(STATES).lower()}")
    return names


def _parse_port(text: str) -> int:
    """Argparse type that parses the number of a port."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"a port from 1 to 65535, not {quoted(text)}")
    return int(text)


def _raise_if_asking(options: argparse.Namespace) -> None:
    """Raises TcptopError for options that need a running kernel."""
    asked = {"--here": options.here, "--exact": options.exact, "--by peer": options.by == "peer", "-n": options.count}
    for option, is_given in asked.items():
        if is_given:
            raise TcptopError(f"{option} asks a running kernel; a saved tree or a recording has what was kept")


def _raise_if_unread(reading: Reading[Any]) -> None:
    """Raises TcptopError with the reason if the sockets could not be read."""
    if reading.value is None:
        raise TcptopError(reading.reason or "the sockets were not asked")


def _formatted(ledger: Ledger, options: argparse.Namespace, sockets: Sequence[SocketRow] | None = None) -> str:
    holders = ledger.holders
    if holders is None:
        raise TcptopError(NO_LOOK)
    chosen = RowFilter(options.state or frozenset(), options.port)
    rows = holder_rows(holders, options.by, chosen, options.sort, options.top)
    if options.json:
        import json

        from tcptop.report.as_json import head_as_object, holders_of

        body = holders_of(ledger, options.by, rows) or {}
        body["sockets"] = None if sockets is None else [row._asdict() for row in sockets]
        return f"{json.dumps({**head_as_object(ledger), **body})}\n"
    from tcptop.report.who_text import rows_as_text, who_as_text

    columns = terminal_columns()
    text = who_as_text(holders, rows, options.by, options.sort, columns)
    return text if sockets is None else f"{text}\n{rows_as_text(sockets, columns)}"


def _print_recorded(options: argparse.Namespace) -> None:
    """Prints the sockets of the last selected sample of a recording; with --json, of every selected sample."""
    from tcptop.accounting import account
    from tcptop.accounting.ledger_before import ledger_before
    from tcptop.recording.opening import open_recording
    from tcptop.recording.time_spec import select_samples

    with closing(open_recording(options.replay)) as recording:
        indices = select_samples(recording, time_range(options))
        chosen = indices if options.json else indices[-1:]
        ledger = ledger_before(recording.snapshot, chosen[0]) if chosen else None
        printed = 0
        for sample in recording.samples(chosen):
            ledger = account(sample.snapshot, before=ledger)
            if ledger.holders is not None:
                write_stdout(_formatted(ledger, options))
                printed += 1
        recording.raise_if_damaged()
        if not printed:
            raise TcptopError(_no_look(recording, chosen))


def _no_look(recording: Recording, chosen: range) -> str:
    """Says that the chosen samples have no look at the sockets, and names the nearest sample that has one.

    At most MAX_SEARCHED samples before the chosen ones are read, and as many after them.
    """
    from itertools import islice

    from tcptop.report.as_json import utc_text

    first, last = (chosen[0], chosen[-1]) if chosen else (0, -1)
    before, after = range(first - 1, -1, -1), range(last + 1, len(recording))
    for side, indices in (("an earlier", before), ("a later", after)):
        for index in islice(indices, MAX_SEARCHED):
            taken_at = utc_text(recording.taken_at_unix_s(index))
            if taken_at is not None and recording.snapshot(index).socket_table.value is not None:
                return f"no list of the sockets in this sample, but in {side} one: who -r FILE --at {taken_at}"
    return NO_LOOK if max(len(before), len(after)) <= MAX_SEARCHED else NO_LOOK_NEAR
