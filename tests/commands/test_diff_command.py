"""`tcptop diff`, as a shell sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packed_trees import DATE, SOSREPORT, archive_of, sosreport_of
from recorded import counters, tree
from test_imports import SCREEN, imported, packages

PROJECT = Path(__file__).resolve().parents[2]
BASE, ESTABLISHED = (str(tree("6.1-4n", phase)) for phase in ("base", "established"))


def diff(*arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tcptop", "diff", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )


def output(*arguments: str, folder: Path = PROJECT) -> str:
    """What it prints; it must be content."""
    ran = diff(*arguments, folder=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def refused(*arguments: str) -> str:
    """The one line that it refuses with."""
    ran = diff(*arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("tcptop: ")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr[:-1].isprintable()
    return ran.stderr


def test_two_trees_as_text_and_as_json() -> None:
    text, found = output(BASE, ESTABLISHED), json.loads(output("--json", BASE, ESTABLISHED))
    assert text.startswith("tcptop diff: what changed from A to B\n")
    more = counters("6.1-4n", "established")["alloc"] - counters("6.1-4n", "base")["alloc"]
    assert found["sockets"]["allocated"]["change"] == more
    assert f"+{more:,}".replace(",", " ") in text
    assert found["slab_growth"]["sockets_low_share"] < 1 < found["slab_growth"]["sockets_high_share"]


def test_the_exit_code_is_0_where_nothing_differs_too() -> None:
    assert "did not change" in output(BASE, BASE)


def test_forms_may_be_mixed(tmp_path: Path) -> None:
    archive = archive_of(Path(BASE), tmp_path / "base.tar.bz2", "w:bz2")
    report = sosreport_of("6.1-4n", "established", tmp_path)
    packed = archive_of(report, tmp_path / "report.tar.xz", "w:xz", SOSREPORT)
    expected = json.loads(output("--json", BASE, ESTABLISHED))
    for after in (report, packed):
        found = json.loads(output("--json", str(archive), str(after)))
        assert found["sockets"] == expected["sockets"]
        assert found["slab_growth"]["bytes"] == expected["slab_growth"]["bytes"]
        assert found["after"]["host"] == "web17"
        assert found["after"]["taken_at"] == "2026-11-22T12:04:31.000Z", DATE


def test_this_machine_now() -> None:
    found = json.loads(output("--json", "live", "live"))
    assert (found["before"]["live"], found["after"]["live"]) == (True, True)
    assert found["before"]["taken_at"] <= found["after"]["taken_at"]
    assert found["unlike"] == []


def test_a_file_called_live_has_a_path(tmp_path: Path) -> None:
    archive_of(Path(BASE), tmp_path / "live")
    found = json.loads(output("--json", "./live", "live", folder=tmp_path))
    assert (found["before"]["live"], found["after"]["live"]) == (False, True)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three samples of this machine."""
    path = tmp_path_factory.mktemp("recording") / "web@1.tcptop"
    command = [sys.executable, "-m", "tcptop", "record", "-w", str(path), "-d", "0.5", "--for", "2s"]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=PROJECT)
    return path


def test_moments_of_a_recording(recording: Path) -> None:
    replayed = subprocess.run(
        [sys.executable, "-m", "tcptop", "--json", "-r", str(recording)],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    ).stdout
    samples = [json.loads(line) for line in replayed.splitlines()]
    assert len(samples) > 2
    first, last = samples[0], samples[-1]
    found = json.loads(output("--json", f"{recording}@{first['taken_at']}", str(recording)))
    assert (found["before"]["taken_at"], found["after"]["taken_at"]) == (first["taken_at"], last["taken_at"])
    for key in ("allocated", "inuse", "time_wait"):
        sides = found["sockets"][key]
        assert (sides["before"], sides["after"]) == (first["sockets"][key], last["sockets"][key])
    early = json.loads(output("--json", f"{recording}@+0.5s", "live"))
    assert early["before"]["taken_at"] == samples[1]["taken_at"]


def test_moments_that_there_are_not(recording: Path) -> None:
    assert "@noon" in refused(f"{recording}@noon", "live")
    assert "it holds" in refused(f"{recording}@2001-01-01", "live")
    assert "no times" in refused(f"{BASE}@12:04", "live")
    assert "No such file" in refused("/nonexistent@12:04", "live")


def test_lab_results_are_compared_with_their_like(tmp_path: Path) -> None:
    state = {"bytes": 2520.0, "parts": [{"row": "TCP", "objects": 1.0, "bytes": 2520.0}]}
    one = {"schema": 1, "kernel": "6.1", "page_size": 4096, "family": "ipv4", "states": {"close_wait": state}}
    more = {"bytes": 2688.0, "parts": [{"row": "TCP", "objects": 1.0, "bytes": 2688.0}]}
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path, found in zip(paths, (one, {**one, "kernel": "6.12", "states": {"close_wait": more}}), strict=True):
        path.write_text(json.dumps(found))
    text = output(*map(str, paths))
    assert "6.1 (A) beside 6.12 (B)" in text
    assert "+168.0" in text
    found = json.loads(output("--json", *map(str, paths)))
    assert found["states"]["close_wait"]["bytes"] == [2520.0, 2688.0]
    assert found["parts"]["close_wait"][0]["change_bytes"] == 168.0
    assert "lab result" in refused(str(paths[0]), "live")
    paths[1].write_text("{}")
    assert "not a lab result" in refused(*map(str, paths))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["/nonexistent", "live"], "/nonexistent"),
        (["live", "/etc/passwd"], "not a tar archive"),
        (["live"], "required"),
        (["live", "live", "live"], "unrecognized"),
        (["a\x1b[2Jb", "live"], "No such file"),
        (["live", "nul\\0"], "No such file"),
        (["", "live"], "No such file"),
    ],
)
def test_what_cannot_be_opened_is_one_line(arguments: list[str], word: str) -> None:
    assert word in refused(*arguments)


def test_help_names_what_can_be_compared() -> None:
    text = output("--help")
    for word in ("live", "sosreport", "FILE@TIME", "lab", "--json"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_it_needs_no_screen() -> None:
    modules = imported(f"from tcptop.cli import main\nmain(['diff', {BASE!r}, {ESTABLISHED!r}])")
    assert "tcptop.comparison.compare" in modules
    assert not packages(modules) & set(SCREEN)
