"""A whole lab: the control run, the runs of each state, and once more those that something disturbed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tcptop.hosts.host import Host
from tcptop.kernel.objects import State
from tcptop.lab.fit import Fit, FittedLine, FittedRow, fit_control_run, fit_run
from tcptop.lab.preconditions import MIN_CONNECTIONS
from tcptop.lab.prediction import Prediction, Predictor, read_predictor
from tcptop.lab.result import LabPart, LabResult, StateResult
from tcptop.lab.runs import CONNECTIONS_PER_FEW_PORT, CONTROL, STEPS, Run, Runner, RunReadings, select_runs
from tcptop.lab.slab_meter import SlabMeter
from tcptop.lab.vectors import VECTORS, separate_vectors

REPEAT_ABOVE = 0.01
"""A run is made once more when other programs moved the machine's slabs by more than this share of what it found."""

REPEAT_UNTIL_S = 25.0
"""No run is made again that would end later than this after the start,"""

REPEAT_LATE_ABOVE = 0.05
REPEAT_LATE_UNTIL_S = 27.5
"""or than this where it was disturbed by more than that share,"""

MAX_REPEATS = 3
"""nor more often than this."""

TARGET_S = 19.0
MIN_CONNECTIONS_SHARE = 0.5
"""A lab that nobody asked for a number of connections takes fewer, down to this share, where it would take longer."""

TIME_LIMIT_S = 300.0
"""A lab that takes longer on a slow machine gives up."""

STATE_OF_RUN: Mapping[str, State] = {
    "established": State.ESTABLISHED,
    "fin_wait2": State.FIN_WAIT2_CLOSED,
    "close_wait": State.CLOSE_WAIT,
    "time_wait": State.TIME_WAIT,
}
PORT_OWNERS = frozenset({"established/outgoing", "fin_wait2/", "time_wait/outgoing"})


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What a lab measures."""

    states: tuple[str, ...]
    connections: int
    may_take_fewer: bool
    """Where nobody asked for a number."""
    ipv6: bool


Progress = Callable[[str, float], None]


FULL_SOCKET_RUNS = ("established/", "close_wait/")
"""The runs whose endpoints have most vectors."""


def run_experiment(host: Host, plan: LabPlan, progress: Progress) -> LabResult:
    """Measures the states of a plan; raises TcptopError where the kernel refuses a part of it."""
    started_s, began_unix_s = time.monotonic(), time.time()
    predictor = read_predictor(host, plan.ipv6)
    runs = select_runs(plan.states)
    overall = OverallProgress(progress)
    overall.begin_run(CONTROL.title, len(runs) + 1)
    runner = Runner(
        SlabMeter(host),
        predictor.watched_rows(),
        plan.connections,
        plan.ipv6,
        started_s + TIME_LIMIT_S,
        overall.advance_run,
    )
    control = fit_control_run(runner.measure_run(CONTROL).series, predictor.row_shapes(), predictor.related_rows())
    if plan.may_take_fewer:
        runner.connections = affordable_connections(plan.connections, time.monotonic() - started_s, len(runs))
    results: dict[str, StateResult] = {}

    def measure(run: Run) -> StateResult:
        return make_state_result(run, runner.measure_run(run), control, predictor)

    for number, run in enumerate(runs):
        overall.begin_run(run.title, len(runs) - number)
        results[run.key] = measure(run)
    repeat_disturbed_runs(runs, results, measure, overall, started_s)
    return LabResult(
        kernel=predictor.kernel,
        build_id=predictor.build_id,
        taken_at_unix_s=began_unix_s,
        page_size_bytes=predictor.snapshot.page_size_bytes or 0,
        ipv6=plan.ipv6,
        connections=runner.connections,
        took_s=time.monotonic() - started_s,
        results=pool_vectors(results),
    )


def affordable_connections(connections: int, control_s: float, runs: int) -> int:
    """How many connections each run makes, so that a lab on a slow machine ends in `WANTED_S` or soon after."""
    share = max(MIN_CONNECTIONS_SHARE, min(1.0, (TARGET_S - control_s) / (control_s * runs))) if runs else 1.0
    return max(min(connections, MIN_CONNECTIONS), round(connections * share) // STEPS * STEPS)


class OverallProgress:
    """How far a lab is. How many runs are made again shows only on the way, so each run leaves room for one more."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._title = ""
        self._from = 0.0
        self._to = 0.0

    def begin_run(self, title: str, left: int) -> None:
        """Another run begins, with so many left, itself among them."""
        self._title = title
        self._from = self._to
        self._to += (1.0 - self._to) / (left + 1)
        self.advance_run(0.0)

    def advance_run(self, share: float) -> None:
        """The run at work has come so far."""
        self._progress(self._title, self._from + (self._to - self._from) * share)


def repeat_disturbed_runs(
    runs: Sequence[Run],
    results: dict[str, StateResult],
    make: Callable[[Run], StateResult],
    overall: OverallProgress,
    started_s: float,
) -> None:
    """Makes runs that were disturbed or found something unknown again, the worst first, while there is time."""
    run_s = (time.monotonic() - started_s) / (len(runs) + 1)
    for run in MAX_REPEATS * sorted(runs, key=lambda run: -results[run.key].disturbance):
        why = repeat_reason(results[run.key])
        until_s = REPEAT_LATE_UNTIL_S if results[run.key].disturbance > REPEAT_LATE_ABOVE else REPEAT_UNTIL_S
        if why is not None and time.monotonic() - started_s + run_s <= until_s:
            left = sum(repeat_reason(result) is not None for result in results.values())
            overall.begin_run(f"{run.title}, again: {why}", left)
            results[run.key] = choose_less_disturbed(results[run.key], make(run))


def pool_vectors(results: Mapping[str, StateResult]) -> dict[str, StateResult]:
    """The results with as many vectors for each slab as the runs together show.

    A mini-socket has 8 bytes of vectors, in rows where any other program allocates: its own run alone cannot tell them.
    Runs of whole sockets have ten times as many, and whether slabs have vectors is one question for the whole kernel.
    """
    known = {key: result.vectors for key, result in results.items() if result.vectors is not None}
    whole = [part for key, part in known.items() if results[key].sockets and key.startswith(FULL_SOCKET_RUNS)]
    pooled = [part for part in whole or known.values() if part.catalogue_bytes]
    predicted = sum(part.catalogue_bytes or 0.0 for part in pooled)
    if not predicted:
        return dict(results)
    each = sum(part.bytes for part in pooled) / predicted
    return {
        key: replace(
            result,
            vectors=replace(
                result.vectors,
                objects=each * (result.vectors.catalogue_objects or 0.0),
                bytes=each * result.vectors.catalogue_bytes,
            ),
        )
        if result.vectors is not None and result.vectors.catalogue_bytes
        else result
        for key, result in results.items()
    }


def repeat_reason(result: StateResult) -> str | None:
    """Why a run is better made once more; None where it is not."""
    if not all(part.objects for part in result.parts):
        return "a part did not follow"
    if result.unexplained:
        return "something unknown grew"
    if result.disturbance <= REPEAT_ABOVE:
        return None
    if result.other_sockets > REPEAT_ABOVE * result.sockets:
        return "other programs opened sockets"
    return "other programs moved the slabs"


def choose_less_disturbed(first: StateResult, second: StateResult) -> StateResult:
    """The less disturbed of two takes; an object that the catalogue does not know counts only if both have it."""
    quiet, other = sorted((first, second), key=lambda result: result.disturbance)
    there = {part.row for part in other.parts}
    parts = tuple(part for part in quiet.parts if part.catalogue_objects is not None or part.row in there)
    return replace(quiet, parts=parts)


def make_state_result(
    run: Run, readings: RunReadings, control: Mapping[str, FittedLine], predictor: Predictor
) -> StateResult:
    """A run's readings as what one endpoint costs, beside what the catalogue says."""
    predicted = predict_run(run, predictor)
    shapes, related = predictor.row_shapes(), predictor.related_rows()
    found = fit_run(readings.series, control, shapes, related, predicted.rows.keys())
    found = separate_vectors(found, shapes, related, predicted.objects)
    return StateResult(
        connections=readings.connections,
        sockets=readings.connections * (run.full_sockets + run.mini_sockets),
        parts=make_parts(found, predicted, predictor),
        vectors=make_vectors_part(found.vectors, predicted),
        catalogue_bytes=predicted.bytes,
        catalogue_missing=predicted.missing,
        catalogue_counts_vectors=predicted.counts_vectors,
        observer=make_part(found.observer, None, predictor),
        control_bytes=found.control_bytes,
        all_rows_bytes=found.all_rows_bytes,
        other_programs_bytes=found.other_programs_bytes,
        uncertain_bytes=found.uncertain_bytes,
        local_ports=readings.local_ports,
        other_sockets=readings.other_sockets,
    )


def predict_run(run: Run, predictor: Predictor) -> Prediction:
    """What the catalogue says of a run's endpoints."""
    state = STATE_OF_RUN[run.state]
    if run.side == "pair":
        return predictor.predict_pair(state)
    if run.side == "few_ports":
        return predictor.predict_pair(state, ports_per_connection=1.0 / CONNECTIONS_PER_FEW_PORT)
    return predictor.predict_endpoint(state, owns_port=run.key in PORT_OWNERS)


def make_vectors_part(found: FittedRow | None, predicted: Prediction) -> LabPart | None:
    """The vectors of all rows beside the catalogue's; None where neither has any."""
    known = predicted.all_vectors
    if found is None and known is None:
        return None
    row = found or FittedRow(VECTORS, 0.0, 0.0, 0.0)
    return LabPart(
        row=VECTORS,
        names=(VECTORS,),
        objects=row.objects,
        bytes=row.bytes,
        r2=row.r2,
        catalogue_objects=known.objects if known else None,
        catalogue_bytes=known.bytes if known else None,
    )


def make_parts(found: Fit, predicted: Prediction, predictor: Predictor) -> tuple[LabPart, ...]:
    """The rows that were found, then those of the catalogue that were not."""
    parts = [make_part(row, predicted, predictor) for row in found.rows]
    there = {part.row for part in parts}
    absent = [FittedRow(row, 0.0, 0.0, 0.0) for row in predicted.rows if row not in there]
    return (*parts, *(make_part(row, predicted, predictor) for row in absent))


def make_part(row: FittedRow, predicted: Prediction | None, predictor: Predictor) -> LabPart:
    """A row with what the catalogue has in it."""
    known = predicted.rows.get(row.row) if predicted else None
    return LabPart(
        row=row.row,
        names=tuple(known.names if known else predictor.cache_names(row.row)),
        objects=row.objects,
        bytes=row.bytes,
        r2=row.r2,
        catalogue_objects=known.objects if known else None,
        catalogue_bytes=known.bytes if known else None,
    )
