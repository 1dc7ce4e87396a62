"""The command that starts the program again as root names an existing program by its full path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tcptop.text.own_command import own_command


def make_program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_program_that_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = make_program(tmp_path / "bin/tcptop")
    assert own_command([program], "/usr/bin/python3") == program
    second_name = make_program(tmp_path / "bin/tcpmemtop")
    assert own_command([second_name], "/usr/bin/python3") == second_name
    monkeypatch.chdir(tmp_path / "bin")
    assert own_command(["./tcptop"], "/usr/bin/python3") == program


def test_the_single_file_is_started_with_its_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tcptop-0.2.0-cp311-x86_64.pyz"
    path.touch()
    monkeypatch.chdir(tmp_path)
    assert own_command([f"./{path.name}"], "/usr/bin/python3.11") == f"/usr/bin/python3.11 {path}"


def test_a_module_of_a_checkout_names_the_program_beside_the_interpreter(tmp_path: Path) -> None:
    program = make_program(tmp_path / ".venv/bin/tcptop")
    package = str(tmp_path / "tcptop/__main__.py")
    assert own_command([package], str(tmp_path / ".venv/bin/python")) == program


def test_without_a_program_the_module_is_named(tmp_path: Path) -> None:
    (tmp_path / "tcptop").mkdir()
    arguments = [str(tmp_path / "tcptop")]
    assert own_command(arguments, str(tmp_path / "python3")) == f"{tmp_path}/python3 -m tcptop"
    assert own_command([], "") == "python3 -m tcptop"


def test_a_shell_starts_the_quoted_path(tmp_path: Path) -> None:
    program = Path(make_program(tmp_path / "it's $HOME/tcptop"))
    program.write_text('#!/bin/sh\necho "$0"\n')
    command = own_command([str(program)], "")
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout == f"{program}\n"


def test_help_names_an_existing_program() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PATH"}
    run = subprocess.run(
        [sys.executable, "-m", "tcptop", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    [line] = [line for line in run.stdout.splitlines() if "Root sees more: sudo " in line]
    program = line.partition("sudo ")[2].removesuffix(".").split()[0]
    assert os.access(program, os.X_OK)
