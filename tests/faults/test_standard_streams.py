"""Standard output and standard error that are closed, full or a pipe without a reader: exit codes, and no traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from program import program, run
from recorded import tree

TREE = str(tree("6.1-4n", "established"))
REDIRECTED = (
    {"stdout": "full"},
    {"stderr": "full"},
    {"stdout": "full", "stderr": "full"},
    {"stdout": "closed", "stderr": "closed"},
    {"stdout": "broken", "stderr": "broken"},
)
"""Targets of the streams: a full disk, nothing, or a pipe without a reader."""

CALLS: dict[str, tuple[list[str], int, int]] = {
    "report": (["-o", "--root", TREE], 0, 1),
    "diff": (["diff", TREE, TREE], 0, 1),
    "plan": (["plan", "--connections", "10", "--root", TREE], 0, 2),
    "check": (["check", "memory", "--root", TREE], 0, 3),
    "wrong option": (["--no-such"], 1, 1),
    "wrong option of plan": (["plan", "--no-such"], 2, 2),
    "wrong option of check": (["check", "--no-such"], 3, 3),
    "wrong root": (["-o", "--root", "/nowhere"], 1, 1),
    "help": (["--help"], 0, 1),
    "version": (["--version"], 0, 1),
    "help of check": (["check", "--help"], 0, 3),
    "screen": ([], 1, 1),
    "exporter without a port": (["exporter", "--listen", "198.51.100.1:1"], 1, 1),
}
"""Arguments, the exit code, and the exit code if standard output cannot be written to."""


def redirected(arguments: list[str], settings: Path, **streams: str) -> subprocess.CompletedProcess[str]:
    """Runs the program with `stdout` and `stderr` as in REDIRECTED; those not given are captured."""
    reader, writer = os.pipe()
    os.close(reader)

    def redirect() -> None:
        for number, name in enumerate(("stdout", "stderr"), 1):
            kind = streams.get(name)
            if kind == "closed":
                os.close(number)
            elif kind is not None:
                os.dup2(writer if kind == "broken" else os.open("/dev/full", os.O_WRONLY), number)

    try:
        return run(*arguments, prepare=redirect, settings=settings)
    finally:
        os.close(writer)


@pytest.fixture
def wrong_settings(tmp_path: Path) -> Path:
    """A folder with a settings file that causes a line on standard error."""
    (tmp_path / "tcptop").mkdir()
    (tmp_path / "tcptop/config.toml").write_text("nonsense = 1\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_exit_codes_stand_whatever_the_streams_lead_to(call: str, wrong_settings: Path) -> None:
    arguments, code, code_without_stdout = CALLS[call]
    for streams in REDIRECTED:
        done = redirected(arguments, wrong_settings, **streams)
        assert done.returncode == (code_without_stdout if "stdout" in streams else code), (streams, done)
        assert "Traceback" not in done.stderr + done.stdout, (streams, done)
        assert "Exception ignored" not in done.stderr + done.stdout, (streams, done)


def test_a_full_disk_is_named_where_standard_error_can_be_read(tmp_path: Path) -> None:
    for arguments in (["check", "--help"], ["--version"], ["plan", "--connections", "1", "--root", TREE]):
        done = redirected(arguments, tmp_path, stdout="full")
        assert done.stderr == "tcptop: write error: No space left on device\n"


def test_nothing_is_written_into_a_recording_by_a_closed_standard_error(tmp_path: Path, wrong_settings: Path) -> None:
    """A file that is opened while standard error is closed must not get the descriptor 2."""
    path = tmp_path / "file"
    command, environment = program()
    script = f"{' '.join(command)} record --json --root {TREE} -w {path} <&- >&- 2>&-"
    done = subprocess.run(
        ["sh", "-c", script],
        env={**environment, "XDG_CONFIG_HOME": str(wrong_settings)},
        cwd=environment["PYTHONPATH"],
        check=False,
    )
    assert done.returncode == 1
    assert (
        subprocess.run(
            [*command, "-o", "-r", path],
            env=environment,
            cwd=environment["PYTHONPATH"],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
