"""Output of every command where the streams cannot hold the glyphs of tcptop: ASCII, and no traceback."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import forked_program
import pytest
from fake_ssh import put_first
from made_look import group, look_text, net, process, tree_with_look
from program import record
from recorded import tree

from tcptop.cli import SUBCOMMANDS

TREE = str(tree("6.1-4n", "established"))
RUNS_HERE = 'case "$*" in *lost*) echo no – >&2; exit 255; esac; for last; do :; done; exec sh -c "$last"'
"""An ssh that runs the remote program on this machine, unless the name of the host has `lost`."""
NAME = "nö–世界"
"""A name that is in no 8-bit encoding."""

CALLS: dict[str, list[str]] = {
    "report": ["-o", "--root", TREE],
    "json": ["--json", "--root", TREE],
    "replay": ["-o", "-r", "@recording"],
    "replay json": ["--json", "-r", "@recording"],
    "one host": ["-o", "--host", "h1"],
    "hosts": ["-o", "--host", "h[1-2]"],
    "hosts json": ["--json", "--host", "h[1-2]"],
    "lost hosts": ["-o", "--host", f"h1,lost{NAME}"],
    "lab": ["lab", "--root", TREE],
    "lab help": ["lab", "--help"],
    "record": ["record", "--root", TREE, "-w", f"@folder/{NAME}"],
    "record json": ["record", "--json", "--root", TREE, "-w", f"@folder/{NAME}.2"],
    "export": ["export", "-r", "@recording", f"@folder/{NAME}.tree"],
    "import": ["import", TREE, "-w", f"@folder/{NAME}.3"],
    "explain": ["explain", "--root", TREE],
    "explain words": ["explain", "words", "--root", TREE],
    "explain cache": ["explain", "TCP", "--root", TREE],
    "diff": ["diff", TREE, str(tree("6.1-4n", "timewait"))],
    "plan": ["plan", "--connections", "1M", "--root", TREE],
    "check": ["check", "--root", TREE],
    "who": ["who", "--root", "@look"],
    "exporter": ["exporter", "--help"],
    "help": ["help"],
    "no root": ["-o", "--root", f"/{NAME}"],
    "no word": ["explain", NAME * 99, "--root", TREE],
    "no option": [f"--{NAME * 99}"],
    "no recording": ["who", "-r", f"/{NAME}"],
}
SILENT = ("record", "export", "import")
ENVIRONMENTS: tuple[Mapping[str, str], ...] = (
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "utf-8"},
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A recording, and a tree with a look at sockets of programs with any name."""
    folder = tmp_path_factory.mktemp("files")
    record(Path(TREE), folder / "recording")
    processes = (process(7, command="中文–名字"), process(8, command="plain"))
    look = tree_with_look(folder, look_text(net(), *processes, group(owner="whole:7"), group(owner="whole:8")))
    return {"@recording": str(folder / "recording"), "@look": str(look)}


def run(
    call: str, environment: Mapping[str, str], files: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> subprocess.CompletedProcess[str]:
    """Runs a call with more variables."""
    put_first(monkeypatch, folder, RUNS_HERE)
    arguments = [files.get(word, word.replace("@folder", str(folder))) for word in CALLS[call]]
    return forked_program.run(*arguments, environment={**os.environ, **environment})


def test_the_calls_have_every_command() -> None:
    assert {words[0] for words in CALLS.values()} >= SUBCOMMANDS.keys()


@pytest.mark.quick_cases(40)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda each: " ".join(each.values()))
def test_every_command_writes_what_the_streams_can_hold(
    call: str,
    environment: Mapping[str, str],
    files: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = run(call, environment, files, tmp_path, monkeypatch)
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 1 if call.startswith(("no ", "lost ")) else ran.returncode in (0, 1)
    assert ran.stdout or ran.returncode == 1 or call in SILENT
    if "LC_ALL" in environment or environment["PYTHONIOENCODING"] == "ascii":
        assert (ran.stdout + ran.stderr).isascii()
        assert "\\u2013" not in ran.stdout + ran.stderr
        assert "\\u2026" not in ran.stdout + ran.stderr


def test_a_name_of_wide_characters_keeps_the_columns_of_a_table(files: dict[str, str]) -> None:
    lines = forked_program.run("who", "--root", files["@look"], "--by", "process").stdout.splitlines()
    [wide] = [line for line in lines if "\\u4e2d" in line]
    [plain] = [line for line in lines if line.startswith("  plain")]
    assert len(wide) == len(plain)
    assert wide.index("ESTABLISHED") == plain.index("ESTABLISHED")
