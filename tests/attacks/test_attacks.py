"""Attacks through the command line: each command ends within the limits, for the reason that the attack provokes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "faults"))

from make_attacks import ATTACKS, LOST_RECORD, SAMPLES
from program import CHECKOUT, run_bounded

FIRST = "2026-11-22T12:00:00Z"
SHARED = CHECKOUT.parent / "shared/attacks"
SHARED_ATTACKS = sorted(path for path in SHARED.glob("*") if path.suffix != ".md") if SHARED.is_dir() else []


def read_attack(name: str, folder: Path, *arguments: str) -> tuple[str, str]:
    """The report and the error of the recording that an attack makes."""
    path = folder / f"{name}.tcptop"
    ATTACKS[name](path)
    done = run_bounded("-r", path, *arguments)
    assert "not a recording" not in done.stderr
    return done.stdout, done.stderr


def test_blanks_are_read_in_linear_time(tmp_path: Path) -> None:
    report, error = read_attack("blanks", tmp_path, "--json", "--at", FIRST)
    assert not error
    sources = json.loads(report)["sources"]
    for name in ("slabinfo", "buddyinfo", "pagetypeinfo"):
        assert sources[name]["state"] != "ok"
        assert "characters are left out" in sources[name]["reason"] or sources[name]["state"] == "cut"


def test_bytes_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    report, error = read_attack("not_utf_8", tmp_path, "-o", "--at", FIRST)
    assert not error
    assert r"\xff\xfe\x80\x1b[2J" in report
    assert "\x1b" not in report


def test_a_gap_costs_the_samples_that_need_it(tmp_path: Path) -> None:
    report, error = read_attack("gaps", tmp_path, "--json")
    assert f"{SAMPLES - LOST_RECORD} samples are damaged" in error or "is not in the file" in error
    assert len(report.splitlines()) > 1


@pytest.mark.slow
def test_an_expanding_record_is_refused(tmp_path: Path) -> None:
    _, error = read_attack("expanding", tmp_path, "--json", "--at", FIRST)
    assert "it unpacks to more than 8 MiB" in error


@pytest.mark.slow
def test_few_lost_samples_are_printed(tmp_path: Path) -> None:
    report, error = read_attack("lost", tmp_path, "--json")
    assert len(report.splitlines()) == SAMPLES + 50
    assert all(json.loads(line)["sockets"]["allocated"] for line in report.splitlines()[:SAMPLES])
    assert "only the first 50 are passed on, and no sample after 10000 of them is read" in error


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("import", "FILE", "-w", "NEW"), ("export", "-r", "FILE", "NEW")], ids=lambda words: words[0]
)
def test_few_lost_samples_are_kept(tmp_path: Path, words: tuple[str, ...]) -> None:
    ATTACKS["lost"](tmp_path / "file")
    names = {"FILE": tmp_path / "file", "NEW": tmp_path / "new"}
    assert "only the first 50 are passed on" in run_bounded(*(names.get(word, word) for word in words)).stderr
    kept = run_bounded("-r", tmp_path / "new", "--json").stdout.splitlines()
    assert len(kept) == SAMPLES + 50


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_ATTACKS, reason="the attack archives are not beside this checkout")
@pytest.mark.parametrize("path", SHARED_ATTACKS, ids=lambda path: str(path.name))
def test_shared_attacks_stay_within_the_limits(path: Path) -> None:
    if path.suffix == ".tcptop":
        run_bounded("-r", path, "--json")
    else:
        run_bounded("--root", path, "--json")
        run_bounded("--root", path, "-o")
