"""The manual pages equal those made from the parsers, and mandoc reports no problem."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from scripts.make_manual import FOLDER, PROSE, manual
from tcptop.cli import SUBCOMMANDS


def test_the_pages_are_those_of_the_program() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == manual(), (
        "python -m scripts.make_manual"
    )


def test_each_command_has_a_page() -> None:
    assert set(PROSE) == {"", *SUBCOMMANDS}


def test_mandoc_finds_no_fault() -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("needs the package mandoc")
    ran = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", *sorted(FOLDER.iterdir())], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "")


def test_a_page_has_options_keys_examples_and_exit_codes_as_text() -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("needs the package mandoc")
    for name, words in (
        ("tcptop", ("tcpmemtop", "--replay FILE", "F11", "KEYS")),
        ("tcptop-plan", ("--epoll", "--side server|client|")),
    ):
        text = subprocess.run(
            ["sh", "-c", f"mandoc -Tutf8 -O width=78 {FOLDER}/{name}.1 | col -b"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for word in (*words, "SYNOPSIS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"):
            assert word in text
