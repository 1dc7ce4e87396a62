"""Progress of a lab: never backwards, never 100 % before the end; a repeated run shows its reason."""

from __future__ import annotations

import pytest
from lab_results import SOCK, STRANGE, state

from tcptop.lab.experiment import MAX_REPEATS, OverallProgress, repeat_disturbed_runs, repeat_reason
from tcptop.lab.progress import progress_line
from tcptop.lab.result import LabPart, StateResult
from tcptop.lab.runs import RUNS, Run

NOISY = state(SOCK)._replace(all_rows_bytes=3000.0)


class RecordedProgress(list[tuple[str, float]]):
    """Records every title and share that a lab shows."""

    def show(self, title: str, share: float) -> None:
        """Replaces `ProgressBar.show`."""
        self.append((title, share))


def run_lab(first: StateResult, then: StateResult) -> tuple[RecordedProgress, int]:
    """Runs a lab whose runs give `first`, and `then` if repeated; returns the progress and the number of repeats."""
    shown = RecordedProgress()
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
    # A start in the future leaves time for every repeat.
    repeat_disturbed_runs(RUNS, {run.key: first for run in RUNS}, make, overall, started_s=1e12)
    return shown, len(again)


@pytest.mark.parametrize(("then", "repeats"), [(state(SOCK), 1), (NOISY, MAX_REPEATS)])
def test_progress_never_goes_back_and_never_reaches_100_percent(then: StateResult, repeats: int) -> None:
    shown, again = run_lab(NOISY, then)
    assert again == repeats * len(RUNS)
    shares = [share for _, share in shown]
    assert shares == sorted(shares)
    assert len(set(shares)) > len(RUNS) + again, "it moves during repeats too"
    assert max(shares) < 1.0
    assert "100 %" not in progress_line("", max(shares), 80)
    assert shown[-1][0] == f"{RUNS[-1].title}, again: other programs moved the slabs"


def test_a_quiet_lab_repeats_no_run() -> None:
    shown, again = run_lab(state(SOCK), NOISY)
    assert again == 0
    title, share = shown[-1]
    assert title == RUNS[-1].title
    assert share == pytest.approx(len(RUNS) / (len(RUNS) + 1))


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (state(SOCK), None),
        (NOISY, "other programs moved the slabs"),
        (state(SOCK, STRANGE), "something unknown grew"),
        (state(SOCK, other_sockets=400), "other programs opened sockets"),
        (state(SOCK, LabPart("dentry", ("dentry",), 0.0, 0.0, 0.0, 1.0, 195.0)), "a part did not follow"),
    ],
)
def test_reason_to_repeat_a_run(result: StateResult, reason: str | None) -> None:
    assert repeat_reason(result) == reason


@pytest.mark.parametrize("terminal_columns", [200, 80, 60, 40, 20])
def test_the_line_never_wraps(terminal_columns: int) -> None:
    title = "ESTABLISHED outgoing, again: other programs moved the slabs"
    lines = [progress_line(title, share / 7, terminal_columns) for share in range(7)]
    assert {len(line) for line in lines} == {min(terminal_columns - 1, 103)}
    if terminal_columns >= 80:
        assert all(line.endswith(title) for line in lines)


def test_99_9_percent_is_not_shown_as_100() -> None:
    line = progress_line("control run", 0.999, 80)
    assert line == f"lab [{'#' * 29} ]  99 %  control run"
