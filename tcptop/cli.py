"""Command line: parses the arguments, runs the command, and exits. Only this module prints errors."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from tcptop import __version__
from tcptop.commands.common import MAX_ERROR_CHARACTERS, Parser, argument_type, join_offsets, parse_positive
from tcptop.errors import TcptopError
from tcptop.standard_streams import flush_streams, occupy_descriptors, write_stderr
from tcptop.text.own_command import as_root, shell_words
from tcptop.text.printable import printable_name, quoted
from tcptop.text.quantities import parse_interval_s

DESCRIPTION = "What one TCP connection costs this kernel, and where that memory sits."
EPILOG = """\
Without an option: the live screen; ? there explains the keys.
tcptop explain [CACHE]: what it is for, who allocates and frees it, its size.
tcptop record -w FILE: keeps what is read; tcptop -r FILE shows it again.
tcptop export -r FILE DIR, tcptop import DIR -w FILE: to folders, and back.
tcptop lab (root): measures what each TCP state costs this kernel.
tcptop diff A B: what changed between two saved trees, or from one to now.
tcptop plan --connections N: what N more connections take, and whether it fits.
tcptop who: which process, container, port or user holds the sockets.
tcptop exporter: metrics for Prometheus, over HTTP or in a file.
tcptop check: a check for Nagios and its kin: one line, exit code 0 to 3.
tcptop help COMMAND: the options of one of them.
Root sees more: {as_root}.
This tool shows kernel memory; for TCP throughput see tcptop-bpfcc, bcc's.
"""

EXAMPLES = (
    ("tcptop -o", "the report of this machine, once, as text"),
    ("tcptop --root web17.tgz", "the screen of another machine, from an archive of its files"),
    ("tcptop -o -r FILE --at 12:04:31", "a report of one moment of a recording"),
)

SUBCOMMANDS = {
    "lab": "lab",
    "record": "record",
    "export": "export_samples",
    "import": "import_samples",
    "explain": "explain",
    "diff": "diff",
    "plan": "plan",
    "check": "check",
    "who": "who",
    "exporter": "exporter",
}
"""Maps each subcommand to its module in `tcptop.commands`. The module's `run(arguments)` returns the exit code."""
HOSTS_WORDS = ("host", "hosts", "fleet", "machines")
"""Words that users try as a subcommand for the table of hosts."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs tcptop and ends the program with its exit code."""
    occupy_descriptors()
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
    except TcptopError as error:
        from tcptop.privileges import add_note
        from tcptop.text.printable import printable

        code = error.exit_code
        write_stderr(f"tcptop: {printable(add_note(str(error)))}\n")
    except ModuleNotFoundError as error:
        package = (error.name or "tcptop").partition(".")[0]
        if package == "tcptop":
            raise
        code = 1
        write_stderr(f"tcptop: this Python lacks the package {package}; install tcptop with pip, which brings it\n")
    except BrokenPipeError:
        code = 1  # the program that reads the pipe has ended
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        code = 1
        write_stderr("tcptop: too many open files; raise the limit (ulimit -n 256)\n")
    except KeyboardInterrupt:
        code = 0
    finally:
        flush_streams()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["help"]:
        arguments = _help_arguments(arguments[1:])
    if arguments and arguments[0] in SUBCOMMANDS:
        code: int = import_module(f"tcptop.commands.{SUBCOMMANDS[arguments[0]]}").run(arguments[1:])
        return code
    options = parse_options(arguments)
    if len(options.hosts) > 1:
        from tcptop.commands import hosts

        return hosts.run(options)
    if options.once or options.json:
        from tcptop.commands import report

        report.run(options)
        return 0
    from tcptop.commands import screen

    return screen.run(options)


def _help_arguments(words: list[str]) -> list[str]:
    """The arguments of the command that `tcptop help WORDS` stands for."""
    if len(words) > 1 or not {*words} <= {*SUBCOMMANDS, "help"}:
        raise TcptopError(f"help: one of {', '.join(SUBCOMMANDS)}, or nothing; not {' '.join(words)!r:.60}")
    return [*({*words} - {"help"}), "--help"]


def parse_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses the options of the screen and of reports.

    Raises:
        TcptopError: if an option is wrong, or options cannot be combined.

    """
    options: argparse.Namespace
    options, others = make_parser().parse_known_args(join_offsets(arguments))
    problem = _misplaced_argument(arguments, others) or _conflict(options)
    if problem is not None:
        raise TcptopError(problem)
    return options


def make_parser() -> Parser:
    """The parser of the screen and of reports."""
    parser = Parser(
        prog="tcptop",
        description=DESCRIPTION,
        epilog=EPILOG.format(as_root=as_root()),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=22, width=79),
        add_help=False,
        examples=EXAMPLES,
    )
    parser.add_argument(
        "-d",
        "--delay",
        metavar="N",
        type=argument_type(parse_interval_s),
        help="seconds from one sample to the next (1)",
    )
    parser.add_argument(
        "-s",
        "--sort",
        metavar="KEY",
        type=_parse_sort_key,
        help="slabtop's sort keys a b c l n o p s u v, or e: by TCP PART (e)",
    )
    parser.add_argument("-o", "--once", action="store_true", help="print one plain-text report and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object and end")
    parser.add_argument(
        "-n", "--count", metavar="COUNT", type=parse_positive, help="with -o or --json: print so many, every N seconds"
    )
    parser.add_root_option(takes_hosts=True)
    parser.set_defaults(hosts=())
    parser.add_argument("-r", "--replay", metavar="FILE", help="a recording; with --json each sample, with -o the last")
    parser.add_time_options()
    parser.add_lab_option()
    parser.add_cgroup_option()
    parser.add_argument("--who", action="store_true", help="with -o or --json: who holds the sockets, as tcptop who")
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
    return parser


def _parse_sort_key(text: str) -> str:
    """Argparse type that parses a sort letter of slabtop, in upper or lower case."""
    from tcptop.text.cache_columns import SORT_KEYS

    key = text.lower()
    if key not in SORT_KEYS:
        raise argparse.ArgumentTypeError(f"one of {' '.join(sorted(SORT_KEYS))}, not {quoted(text)}")
    return key


def _misplaced_argument(arguments: Sequence[str], others: Sequence[str]) -> str | None:
    """A one-line error about the first of `others`, the arguments that argparse does not know; None if there is none.

    For a subcommand behind options, the error has the whole command with the subcommand in front.
    """
    for subcommand in (each for each in others if each in SUBCOMMANDS):
        # The same word may be the value of an option, as in --root check.
        places = [place for place, argument in enumerate(arguments) if argument == subcommand]
        place = places[-others.count(subcommand)]
        words = ["tcptop", subcommand, *arguments[place + 1 :], *arguments[:place]]
        return f"{subcommand} comes first: {printable_name(shell_words(words), MAX_ERROR_CHARACTERS)}"
    if others[:1] == ["replay"]:
        return "replay is an option: tcptop -r FILE"
    if others and others[0] in HOSTS_WORDS:
        return f"{others[0]} is no subcommand; several machines: tcptop --host LIST, as web[01-40],db1 or @FILE"
    if others:
        wrong = quoted(others[0])
        return f"{wrong} is not an option here; this is the memory tool, for throughput see tcptop-bpfcc (--help)"
    return None


def _conflict(options: argparse.Namespace) -> str | None:
    """A one-line error about the first forbidden combination of options; None if the options can be combined."""
    is_replay = options.replay is not None
    has_delay, has_count = options.delay is not None, options.count is not None
    has_times = options.at or options.first or options.last
    many = len(options.hosts) > 1
    conflicts = (
        (many and (options.lab or options.cgroup), "--lab and --cgroup go with one machine; --host names several"),
        (many and options.once and has_count, "-o is one table of several machines; -n goes with --json there"),
        (many and options.sort is not None, "-s sorts the caches of one machine; keys sort the table of several"),
        (options.once and options.json, "-o and --json cannot be combined: choose one form"),
        (has_count and not (options.once or options.json), "-n goes with -o or --json"),
        (
            options.who and is_replay,
            "--who asks a running kernel; a recording has what record --who kept",
        ),
        (
            options.who and not (options.once or options.json),
            "--who goes with -o or --json; tcptop who prints the table alone",
        ),
        (options.cgroup is not None and is_replay, "--cgroup reads files, which a recording does not hold"),
        (has_times and not is_replay, "--at, --from and --to choose samples of a recording: -r FILE"),
        (is_replay and (options.root != "/" or has_count), "-r is a recording; it goes without --root and -n"),
        (
            is_replay and has_delay,
            "-d is the time between samples, which a recording has already; in the screen + and - change the speed",
        ),
        (options.once and has_delay and not has_count, "cannot combine -d and -o without -n COUNT: once is once"),
        (options.json and has_delay and not has_count, "--json takes -d together with -n COUNT"),
    )
    return next((message for is_wrong, message in conflicts if is_wrong), None)
