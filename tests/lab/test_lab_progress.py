"""How far a lab is: never backwards, never all of it before the end, and what is made again says why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lab_results import SOCK, STRANGE, state

from tcptop.lab.experiment import MAX_REPEATS, OverallProgress, repeat_disturbed_runs, repeat_reason
from tcptop.lab.progress import progress_line
from tcptop.lab.result import LabPart, StateResult
from tcptop.lab.runs import RUNS, Run

NOISY = replace(state(SOCK), all_rows_bytes=3000.0)


class Shown(list[tuple[str, float]]):
    """Everything that a lab showed of its progress."""

    def show(self, title: str, share: float) -> None:
        """What the bar would draw."""
        self.append((title, share))


def lab_of(first: StateResult, then: StateResult) -> tuple[Shown, int]:
    """A lab all of whose runs give one result, and another when they are made again; how many were made again."""
    shown = Shown()
    overall = OverallProgress(shown.show)
    again: list[str] = []

    def make(run: Run) -> StateResult:
        again.append(run.key)
        overall.advance_run(0.5)
        overall.advance_run(1.0)
        return then

    for number, run in enumerate(RUNS):
        overall.begin_run(run.title, len(RUNS) - number)
        overall.advance_run(1.0)
    # As if the lab had begun in the future: there is always time.
    repeat_disturbed_runs(RUNS, {run.key: first for run in RUNS}, make, overall, started_s=1e12)
    return shown, len(again)


@pytest.mark.parametrize(("then", "times"), [(state(SOCK), 1), (NOISY, MAX_REPEATS)])
def test_progress_never_goes_back_and_is_never_all(then: StateResult, times: int) -> None:
    shown, again = lab_of(NOISY, then)
    assert again == times * len(RUNS)
    shares = [share for _, share in shown]
    assert shares == sorted(shares)
    assert len(set(shares)) > len(RUNS) + again, "it moves while runs are made again"
    assert max(shares) < 1.0
    assert "100 %" not in progress_line("", max(shares), 80)
    assert shown[-1][0] == "TIME_WAIT outgoing, again: other programs moved the slabs"


def test_a_quiet_lab_makes_nothing_again() -> None:
    shown, again = lab_of(state(SOCK), NOISY)
    assert again == 0
    title, share = shown[-1]
    assert title == "TIME_WAIT outgoing"
    assert share == pytest.approx(len(RUNS) / (len(RUNS) + 1))


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (state(SOCK), None),
        (NOISY, "other programs moved the slabs"),
        (state(SOCK, STRANGE), "something unknown grew"),
        (state(SOCK, other_sockets=400), "other programs opened sockets"),
        (state(SOCK, LabPart("dentry", ("dentry",), 0.0, 0.0, 0.0, 1.0, 195.0)), "a part did not follow"),
    ],
)
def test_why_a_run_is_made_again(result: StateResult, why: str | None) -> None:
    assert repeat_reason(result) == why


@pytest.mark.parametrize("wide", [200, 80, 60, 40, 20])
def test_the_line_never_wraps(wide: int) -> None:
    title = "ESTABLISHED outgoing, again: other programs moved the slabs"
    lines = [progress_line(title, share / 7, wide) for share in range(7)]
    assert {len(line) for line in lines} == {min(wide - 1, 103)}
    if wide >= 80:
        assert all(line.endswith(title) for line in lines)


def test_what_is_nearly_done_is_not_done() -> None:
    line = progress_line("control run", 0.999, 80)
    assert line == f"lab [{'#' * 29} ]  99 %  control run"
