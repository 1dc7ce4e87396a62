"""The parsers of all commands, from which the manual and the completions are made."""

from __future__ import annotations

from importlib import import_module

from tcptop import cli
from tcptop.commands.common import Parser


def command_parsers() -> dict[str, Parser]:
    """Maps the name of each subcommand to its parser; the empty name stands for the screen and for reports."""
    return {
        "": cli.make_parser(),
        **{name: import_module(f"tcptop.commands.{module}").make_parser() for name, module in cli.SUBCOMMANDS.items()},
    }
