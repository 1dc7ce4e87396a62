"""`--help` and `tcptop help` of each command: the options, and the examples, which are commands of the pages."""

from __future__ import annotations

import pytest
from test_cli import tcptop
from test_documents import commands

from tcptop.cli import SUBCOMMANDS


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("command", ["", *SUBCOMMANDS])
def test_help_ends_with_examples_that_the_pages_have_too(command: str) -> None:
    words = [command] if command else []
    ran = tcptop(*words, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    _, _, examples = ran.stdout.partition("\nexamples:\n")
    shown = [line.strip() for line in examples.splitlines() if not line.startswith("   ")]
    assert 1 <= len(shown) <= 3
    for example in shown:
        assert example.removeprefix("sudo ").startswith(" ".join(["tcptop", *words]))
        assert example in commands(), f"{example}: tests/test_documents.py runs what a page shows"
    assert tcptop("help", *words).stdout == ran.stdout


@pytest.mark.parametrize("words", [("nonsense",), ("who", "plan")])
def test_help_of_what_is_no_command_names_the_commands(words: tuple[str, ...]) -> None:
    ran = tcptop("help", *words)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("\n") == 1
    for command in SUBCOMMANDS:
        assert command in ran.stderr
