"""`tcptop diff`: the difference of two ledgers, or of two lab results, as text or JSON."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from contextlib import closing, suppress

from tcptop.accounting import account
from tcptop.accounting.ledger_before import ledger_before
from tcptop.commands.common import (
    Parser,
    make_sampler,
    open_remote,
    read_ledger,
    terminal_columns,
)
from tcptop.errors import TcptopError
from tcptop.hosts.folder import FolderHost
from tcptop.lab.result_file import Json, load_result_json
from tcptop.ledger import Ledger
from tcptop.named_files import read_start
from tcptop.privileges import drop_root_for, is_strangers
from tcptop.snapshot import SSH_PLACE
from tcptop.standard_streams import write_stdout
from tcptop.text.printable import printable, printable_name

DESCRIPTION = """\
What changed from A to B: sockets, bytes per connection, slab caches, TCP
states, free memory by node, zone, migrate type and order; and how much of the
slab memory's growth the sockets explain."""

EPILOG = """\
A and B are each one of
  live      this machine now, or that of --host (a file of that name: ./live)
  ssh:NAME  another machine now, over ssh (a file of that name: ./ssh:NAME)
  FILE      a recording of tcptop record, and of that the last sample; else
  FILE@TIME the sample nearest to a time: web.tcptop@12:04:31, web.tcptop@+90s
            (from the start), web.tcptop@-5m (from the end)
  DIR       a saved tree: a folder that holds proc and sys, or a sosreport
  ARCHIVE   a tar of one, plain or packed with gzip, bzip2 or xz
or both are results of tcptop lab -w FILE: then what each state costs, and the
caches that it holds its bytes in, are compared.

The exit code is 0 also where they differ.
"""
EXAMPLES = (
    ("tcptop diff before.tgz after.tgz", "what changed between two saved trees"),
    ("tcptop diff web17.tcptop@12:04:31 web17.tcptop@+90s", "between two moments of a recording"),
    ("tcptop diff web17.tcptop live", "from the end of a recording to now"),
)

COMMAND = "diff"
LIVE = "live"
FIRST_OF_JSON = b"{"
COLUMNS_IN_A_PIPE = 80


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(
        prog="tcptop diff",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        examples=EXAMPLES,
    )
    parser.add_argument("before", metavar="A", help="what it was before")
    parser.add_argument("after", metavar="B", help="what it is after")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_host_options(SSH_PLACE)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Prints the difference; returns the exit code.

    After printing, raises TcptopError if a sample of a recording is damaged, or its list of samples.
    """
    options = make_parser().parse_args(arguments)
    names: tuple[str, ...] = (options.before, options.after)
    if options.host is not None:
        if LIVE not in names:
            raise TcptopError(f"--host is the machine of A or B that is called {LIVE}; neither is")
        names = tuple(f"{SSH_PLACE}{options.host}" if name == LIVE else name for name in names)
    damages: dict[str, TcptopError] = {}
    write_stdout(_diff_text(names, options.json, options.sudo, damages))
    for name in names:
        if name in damages:
            raise damages[name]
    return 0


def _diff_text(names: tuple[str, ...], as_json: bool, sudo: bool, damages: dict[str, TcptopError]) -> str:
    # Root's privileges are dropped before the file of another user is read. Reading the other input may need root's
    # privileges, so files of other users are read last.
    read = {name: _read_named(name, sudo, damages) for name in sorted(names, key=_is_strangers)}
    before, after = (read[name] for name in names)
    if isinstance(before, dict) and isinstance(after, dict):
        return _labs_text(before, after, as_json)
    if isinstance(before, dict) or isinstance(after, dict):
        name = names[0] if isinstance(before, dict) else names[1]
        raise TcptopError(f"{COMMAND} {name}: a lab result is compared with another one only")
    return _ledgers_text(before, after, names, as_json)


def _is_strangers(name: str) -> bool:
    with suppress(OSError, ValueError):
        return not _is_running(name) and is_strangers(split_time(name)[0])
    return False


def _is_running(name: str) -> bool:
    """True if a name stands for a running machine, not for a file."""
    return name == LIVE or name.startswith(SSH_PLACE)


def _read_named(name: str, sudo: bool, damages: dict[str, TcptopError]) -> Ledger | Json:
    """Reads the input called `name`: returns the JSON object if the input is a lab result, otherwise a ledger."""
    if _is_strangers(name):
        drop_root_for(split_time(name)[0])
    if not _is_running(name) and is_lab_result(name):
        return load_result_json(name, COMMAND)
    return read_named_ledger(name, sudo, damages)


def _ledgers_text(before: Ledger, after: Ledger, names: tuple[str, ...], as_json: bool) -> str:
    from tcptop.comparison.compare import compare_ledgers

    labels = (printable_name(names[0]), printable_name(names[1]))
    difference = compare_ledgers(before, after, labels)
    if as_json:
        from tcptop.report.diff_json import diff_as_json

        return f"{diff_as_json(difference)}\n"
    from tcptop.report.diff_text import diff_as_text

    return diff_as_text(difference)


def _labs_text(first: Json, second: Json, as_json: bool) -> str:
    from tcptop.lab.compare import compare_as_json, compare_as_text, compare_parts_as_text

    if as_json:
        return f"{json.dumps(compare_as_json(first, second))}\n"
    columns = terminal_columns() or COLUMNS_IN_A_PIPE
    return f"{compare_as_text(first, second, columns)}\n{compare_parts_as_text(first, second, columns)}"


def is_lab_result(name: str) -> bool:
    """True if a file of this name can be read and begins with `{`, as the JSON of a lab result does."""
    try:
        return read_start(name, 64).lstrip()[:1] == FIRST_OF_JSON
    except OSError:
        return False


def read_named_ledger(name: str, sudo: bool, damages: dict[str, TcptopError]) -> Ledger:
    """The ledger of this machine (`live`), of another machine (`ssh:NAME`), of a saved tree, or of a recorded sample.

    `PATH@TIME` names the sample nearest to a time; `PATH` without a time names the last sample. If the sample, or
    the list of samples, is damaged, the error that says so is added to `damages`.

    Raises:
        TcptopError: if the tree or the recording cannot be opened; the text of the error begins with `COMMAND`.

    """
    if _is_running(name):
        with closing(FolderHost() if name == LIVE else open_remote(name.removeprefix(SSH_PLACE), sudo)) as host:
            return read_ledger(make_sampler(host, 1.0, None))
    path, moment = split_time(name)
    from tcptop.recording.opening import open_recording
    from tcptop.recording.time_spec import TimeRange, select_samples

    try:
        with closing(open_recording(path)) as recording:
            index = select_samples(recording, TimeRange(at=moment))[-1]
            snapshot = recording.snapshot(index)
            try:
                recording.raise_if_damaged()
            except TcptopError as error:
                damages[name] = TcptopError(f"{COMMAND}: {error}")
            return account(snapshot, before=ledger_before(recording.snapshot, index))
    except TcptopError as error:
        raise TcptopError(f"{COMMAND}: {str(error).replace('--at:', f'{printable(name)}:')}") from None


def split_time(name: str) -> tuple[str, str | None]:
    """Splits `PATH@TIME` at the last @.

    The time is None if `name` has no @, or if all of `name`, including the @, is the path of a file.
    """
    path, at, moment = name.rpartition("@")
    return (name, None) if not at or not path or os.path.lexists(name) else (path, moment)
