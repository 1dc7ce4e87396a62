"""Writes the shells' completions in packaging/completions, with shtab: `python -m scripts.make_completions`."""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from scripts.command_parsers import command_parsers
from scripts.make_manual import PROSE
from tcptop.accounting.checks import CHECK_NAMES
from tcptop.cli import SUBCOMMANDS

FOLDER = Path(__file__).resolve().parents[1] / "packaging" / "completions"
FILES = {"bash": "tcptop", "zsh": "_tcptop", "fish": "tcptop.fish"}
"""The file name under which each shell looks for the completions of a program."""
PATH_VALUES = frozenset({"FILE", "DIR", "SOURCE", "A", "B"})
"""Placeholders in the help that stand for files or folders; DIR may also be an archive."""

PROGRAM_NAME = {
    "bash": "\ncomplete -o bashdefault -F _shtab_tcptop tcptop",
    "zsh": "#compdef tcptop",
    "fish": "\ncomplete -c tcptop -n",
}
"""The texts in which shtab tells each shell the name of the program."""


def completions() -> dict[str, str]:
    """Maps the name of each file to its text."""
    return {FILES[shell]: _with_both_names(shell, shtab.complete(_whole_parser(), shell)) for shell in FILES}


def _with_both_names(shell: str, text: str) -> str:
    """The completions for tcptop and for tcpmemtop."""
    line = PROGRAM_NAME[shell]
    assert line in text, f"shtab now writes another line for {shell}"
    if shell == "fish":
        return f"{text.rstrip()}\ncomplete -c tcpmemtop -w tcptop\n"
    return f"{text.rstrip().replace(line, f'{line} tcpmemtop')}\n"


def _whole_parser() -> argparse.ArgumentParser:
    """One parser of the whole command line, with a subparser for each command."""
    parsers = command_parsers()
    for parser in parsers.values():
        for action in parser._actions:
            if action.metavar in PATH_VALUES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.dest == "names":
                action.choices = CHECK_NAMES
    whole = argparse.ArgumentParser(prog="tcptop", parents=[parsers.pop("")], add_help=False)
    commands = whole.add_subparsers(metavar="COMMAND")
    for name, parser in parsers.items():
        commands.add_parser(name, parents=[parser], add_help=False, help=PROSE[name].summary)
    help_parser = commands.add_parser("help", add_help=False, help="the options of a command")
    help_parser.add_argument("command", choices=list(SUBCOMMANDS), nargs="?")
    return whole


if __name__ == "__main__":
    for name, text in completions().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
