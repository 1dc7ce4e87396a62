"""Runs tcptop for the tests of faults: the program of this checkout, or of another version.

TCPTOP_CHECKOUT names the folder of another checkout, TCPTOP_PYTHON the Python that runs it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import forked_program

from tcptop.commands.common import make_sampler, open_host, read_ledger
from tcptop.commands.report import report_formatter

CHECKOUT = Path(__file__).resolve().parents[2]
TIME_LIMIT_S = 60.0


def program() -> tuple[list[str], dict[str, str]]:
    """The first words of the command line, and the environment."""
    checkout = os.environ.get("TCPTOP_CHECKOUT", str(CHECKOUT))
    python = os.environ.get("TCPTOP_PYTHON", sys.executable)
    return [python, "-m", "tcptop"], {**os.environ, "PYTHONPATH": checkout}


def run(
    *arguments: str | Path, prepare: Callable[[], None] | None = None, settings: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the program with these arguments; its output is text. The child calls `prepare` before the program.

    `settings` is a folder that replaces the user's folder of settings.
    """
    if prepare is None and settings is None and not {"TCPTOP_CHECKOUT", "TCPTOP_PYTHON"} & os.environ.keys():
        return forked_program.run(*arguments)
    command, environment = program()
    return subprocess.run(
        [*command, *map(str, arguments)],
        env=environment if settings is None else {**environment, "XDG_CONFIG_HOME": str(settings)},
        cwd=environment["PYTHONPATH"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
        preexec_fn=prepare,
    )


def error_line(*arguments: str | Path) -> str:
    """The only line of an error; the program must end with 1."""
    done = run(*arguments)
    assert done.returncode == 1, done.stdout
    [line] = done.stderr.splitlines()
    assert line.startswith("tcptop: ")
    return line


def output(*arguments: str | Path) -> str:
    """Standard output of the program, which must succeed."""
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def record(root: Path, path: str | Path) -> None:
    """Records one sample of a saved tree; the program must succeed."""
    output("record", "--root", root, "-w", path)


def report(root: Path) -> dict[str, Any]:
    """The JSON report of a root."""
    found: dict[str, Any] = json.loads(printed_report(root, "--json"))
    return found


def text_report(root: Path) -> str:
    """The text report of a root."""
    return printed_report(root, "-o")


def printed_report(root: Path, option: str) -> str:
    """The output of the program for a root, with `-o` or `--json`.

    For a saved tree and this checkout, this process makes the report itself, because a start takes longer than a
    report. Under sudo a new process is needed, because the program may drop root's privileges for good.
    """
    if {"TCPTOP_CHECKOUT", "TCPTOP_PYTHON", "SUDO_UID"} & os.environ.keys() or root == Path("/"):
        return output("--root", root, option)
    with closing(open_host(str(root))) as host:
        return report_formatter(option == "--json")(read_ledger(make_sampler(host, 1.0, None)), None)


MAX_CPU_S = 10
MAX_DATA_BYTES = 300 << 20


def limit_resources() -> None:
    """Limits this process to 10 s of CPU time and 300 MB of memory, which is enough for any untrusted file."""
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_DATA_BYTES, MAX_DATA_BYTES))


def run_bounded(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs the program as `run` does, within the limits of `limit_resources`; a traceback or a signal fails."""
    done = run(*arguments, prepare=limit_resources)
    assert done.returncode in (0, 1), (done.returncode, done.stderr[-500:])
    assert "Traceback" not in done.stderr, done.stderr[-500:]
    assert len(done.stderr.splitlines()) <= 1, done.stderr[-500:]
    return done
