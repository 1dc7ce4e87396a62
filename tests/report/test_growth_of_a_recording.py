"""The growth of TCP's memory in `-o -r FILE`: since the first sample of the recording."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recorded import copy_recording, ledger, tree
from samples import phase_trees, record

from tcptop.cli import main
from tcptop.text import units


def report_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as raised:
        main(["-o", *arguments])
    assert not raised.value.code
    return capsys.readouterr().out


def test_a_recording_has_the_growth_since_its_first_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "two.tcptop"
    trees = phase_trees("6.1-4n")[:2]
    record(path, trees, 2)
    before, after = (ledger("6.1-4n", each.name).tcp_memory.bytes for each in trees)
    assert before is not None
    assert after is not None
    change = re.escape(units.signed_size(after - before))
    assert re.search(rf"growth since the first sample: ~ {change} in [\d.]+ ", report_of(capsys, "-r", str(path)))
    first = report_of(capsys, "-r", str(path), "--at", "+0")
    assert "growth: one sample has none" in first


def test_a_recording_across_a_restart_has_no_growth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no boot ID is known, as in a scrubbed recording, an event counter that has fallen shows the restart."""
    path = tmp_path / "restart.tcptop"
    before = copy_recording("6.1-4n", "base", tmp_path)
    netstat = before / "proc/net/netstat"
    names, values, *rest = netstat.read_text().splitlines(keepends=True)
    counters = dict(zip(names.split(), values.split(), strict=True)) | {"ListenDrops": "7"}
    netstat.write_text("".join([names, f"{' '.join(counters.values())}\n", *rest]))
    record(path, [before, tree("6.1-4n", "established")], 14)
    words = " ".join(report_of(capsys, "-r", str(path), "--at", "-0").split())
    assert "growth since the first sample: not known, since that is of another machine or boot" in words


@pytest.mark.parametrize("set_s", [-5.0, 3600.0])
def test_the_growth_of_a_recording_does_not_depend_on_a_clock_that_is_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], set_s: float
) -> None:
    path = tmp_path / "set.tcptop"
    record(path, phase_trees("6.1-4n")[:2], 14, clock_set_s={7: set_s})
    assert re.search(r"growth since the first sample: .* in 13 s", report_of(capsys, "-r", str(path), "--at", "-0"))
