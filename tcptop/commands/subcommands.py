"""The subcommands: each reads its own arguments, and gives its exit code."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tcptop.commands.common import (
    Parser,
    add_lab_result,
    add_root,
    fail,
    looked_at,
    opened,
    printed,
    sampler_of,
)

EXPLAIN_DESCRIPTION = "What the kernel objects behind a TCP connection are, with their sizes on this kernel."


def run_lab(arguments: Sequence[str]) -> int:
    """Runs `tcptop lab`; gives its exit code."""
    from tcptop.commands import lab as command

    parser = Parser(prog="tcptop lab", description=command.DESCRIPTION, allow_abbrev=False)
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def run_record(arguments: Sequence[str]) -> int:
    """Runs `tcptop record`; gives its exit code."""
    from tcptop.commands import record as command

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
    from tcptop.commands import export as transfer
    from tcptop.recording.choice import with_offsets

    export = direction == "export"
    description = transfer.EXPORT_DESCRIPTION if export else transfer.IMPORT_DESCRIPTION
    parser = Parser(prog=f"tcptop {direction}", description=description, allow_abbrev=False)
    (transfer.add_export_arguments if export else transfer.add_import_arguments)(parser)
    options = parser.parse_args(with_offsets(arguments))
    return (transfer.run_export if export else transfer.run_import)(options)


def run_explain(arguments: Sequence[str]) -> int:
    """Runs `tcptop explain`; gives its exit code."""
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
    return 0


def run_diff(arguments: Sequence[str]) -> int:
    """Runs `tcptop diff`; gives its exit code."""
    from tcptop.commands import diff as diff_command
    from tcptop.commands.comparison_input import EvidenceError

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
    return 0


SUBCOMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "lab": run_lab,
    "record": run_record,
    "export": partial(run_transfer, "export"),
    "import": partial(run_transfer, "import"),
    "explain": run_explain,
    "diff": run_diff,
}
