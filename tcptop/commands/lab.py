"""`tcptop lab`: measures the slab memory of each TCP state, or compares earlier results.

The result of a measurement is printed, and is also written to a file if -w is given.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from tcptop.commands.common import Parser, parse_positive, terminal_columns
from tcptop.errors import TcptopError
from tcptop.lab.as_json import result_as_json
from tcptop.lab.as_text import result_as_text
from tcptop.lab.compare import compare_as_json, compare_as_text
from tcptop.lab.preconditions import DEFAULT_CONNECTIONS
from tcptop.lab.result import LabResult
from tcptop.lab.result_file import Json, load_result_json
from tcptop.lab.runs import KTLS, STATES
from tcptop.named_files import check_writable, write_bytes
from tcptop.standard_streams import write_stdout
from tcptop.text.printable import quoted

DESCRIPTION = (
    "Opens real connections over a loopback of its own, and measures what each state of them costs this kernel."
)
EXAMPLES = (
    ("sudo tcptop lab -w new.json", "measure this kernel, print the result and keep it"),
    ("tcptop lab --compare a.json b.json", "set the results of two kernels side by side"),
)


def run(arguments: Sequence[str]) -> int:
    """Runs a measurement or a comparison of results; returns the exit code."""
    try:
        _run(make_parser().parse_args(arguments))
    except KeyboardInterrupt:
        raise TcptopError("lab interrupted; its sockets and its namespace are gone") from None
    return 0


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(prog="tcptop lab", description=DESCRIPTION, examples=EXAMPLES)
    parser.add_argument(
        "-c",
        "--connections",
        metavar="N",
        type=parse_positive,
        help=f"connections of each run ({DEFAULT_CONNECTIONS}, or what the limits allow)",
    )
    parser.add_argument(
        "--states",
        metavar="LIST",
        type=_parse_states,
        help=f"which of {','.join(STATES)} (all; {KTLS} only if the kernel's module tls is loaded)",
    )
    parser.add_argument("--ipv6", action="store_true", help="IPv6 instead of IPv4")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "-w", "--write", metavar="FILE", help="write the JSON to FILE too, for --compare and for tcptop --lab FILE"
    )
    parser.add_argument(
        "--compare",
        metavar="FILE",
        nargs="+",
        help="set the kernel of FILE (from -w) beside this one; with two files, those two, and nothing is opened",
    )
    return parser


def _parse_states(text: str) -> tuple[str, ...]:
    """Argparse type that parses a comma-separated list of states; returns the states in the order of `STATES`."""
    asked = {name.strip().lower() for name in text.split(",")}
    if "" in asked:
        raise argparse.ArgumentTypeError(f"an empty name in {quoted(text)}")
    unknown = sorted(asked - set(STATES))
    if unknown:
        raise argparse.ArgumentTypeError(f"some of {','.join(STATES)}, not {quoted(unknown[0])}")
    return tuple(name for name in STATES if name in asked)


def _run(options: argparse.Namespace) -> None:
    saved_results = [load_result_json(path, "--compare") for path in options.compare or ()]
    if len(saved_results) > 2:
        raise TcptopError("--compare takes one file, or two")
    if len(saved_results) == 2:
        if options.write:
            raise TcptopError("-w goes with a measurement; --compare with two files makes none")
        _print_comparison(options.json, saved_results[0], saved_results[1])
        return
    result = _measure(options)
    result_json = result_as_json(result)
    write_error = _try_write(options.write, f"{json.dumps(result_json)}\n") if options.write else None
    if saved_results:
        _print_comparison(options.json, saved_results[0], result_json)
    elif options.json:
        write_stdout(f"{json.dumps(result_json)}\n")
    else:
        write_stdout(result_as_text(result, terminal_columns(), options.write if write_error is None else None))
    if write_error is not None:
        raise write_error


def _measure(options: argparse.Namespace) -> LabResult:
    """Runs the lab on this machine."""
    from tcptop.hosts.folder import FolderHost
    from tcptop.lab.experiment import LabPlan, run_experiment
    from tcptop.lab.preconditions import check_root, choose_connections, is_tls_loaded
    from tcptop.lab.progress import ProgressBar

    check_root()
    if options.write:
        _check_writable(options.write)
    host = FolderHost("/")
    bar = ProgressBar()
    try:
        states = options.states or tuple(name for name in STATES if name != KTLS or is_tls_loaded(host))
        connections = choose_connections(options.connections, host, states)
        plan = LabPlan(states, connections, options.connections is None, options.ipv6)
        return run_experiment(host, plan, bar.show)
    finally:
        bar.clear()
        host.close()


def _print_comparison(as_json: bool, first: Json, second: Json) -> None:
    write_stdout(
        f"{json.dumps(compare_as_json(first, second))}\n"
        if as_json
        else compare_as_text(first, second, terminal_columns())
    )


def _check_writable(path: str) -> None:
    """Checks that the result can be written to `path`, before the measurement and without creating the file."""
    try:
        check_writable(path)
    except OSError as error:
        raise TcptopError(f"-w {path}: {error.strerror}") from None


def _try_write(path: str, text: str) -> TcptopError | None:
    """Writes a file. An error is returned, not raised, so that the caller can print the result first."""
    try:
        write_bytes(path, text.encode("ascii"))
    except OSError as error:
        return TcptopError(f"-w {path}: {error.strerror}")
    return None
