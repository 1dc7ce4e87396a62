"""A whole lab: the control run, the runs of each state, and repeats of those that other programs disturbed.

The control run opens and drops connections, so its growth does not belong to endpoints; fit.py subtracts it from every
other run. `StateResult.disturbance` is the share of a run's bytes that may be wrong because of other programs. The
thresholds below follow from two promises to the user: figures within 1 % on a quiet machine, and an end after 20 to
30 s.
"""

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
"""A run whose disturbance is above this share is repeated: the accuracy promised for a quiet machine."""

REPEAT_UNTIL_S = 25.0
"""A run is not repeated if the repeat would end later than this after the start of the lab."""

REPEAT_LATE_ABOVE = 0.05
REPEAT_LATE_UNTIL_S = 27.5
"""A run whose disturbance is above this share may be repeated until this later time."""

MAX_REPEATS = 3
"""The most repeats of one run."""

TARGET_S = 19.0
"""Duration without repeats that the default number of connections is reduced for on a slow machine."""

MIN_CONNECTIONS_SHARE = 0.5
"""The default number is reduced to no less than this share of it."""

TIME_LIMIT_S = 300.0
"""A lab that takes longer than this ends with an error."""

STATE_OF_RUN: Mapping[str, State] = {
    "established": State.ESTABLISHED,
    "fin_wait2": State.FIN_WAIT2_CLOSED,
    "close_wait": State.CLOSE_WAIT,
    "time_wait": State.TIME_WAIT,
}
PORT_OWNERS = frozenset({"established/outgoing", "fin_wait2/", "time_wait/outgoing"})
"""The runs whose endpoints own their local port, and so its bind buckets."""


@dataclass(frozen=True, slots=True)
class LabPlan:
    """Parameters of one lab."""

    states: tuple[str, ...]
    connections: int
    may_take_fewer: bool
    """Whether a slow machine may make fewer: the user gave no number."""
    ipv6: bool


Progress = Callable[[str, float], None]
"""Shows the title of the run being made and the share of the lab that is done, 0 to 1."""

FULL_SOCKET_RUNS = ("established/", "close_wait/")
"""Beginnings of the keys of runs with full sockets, which have ten times the vectors of a mini-socket."""


def run_experiment(host: Host, plan: LabPlan, progress: Progress) -> LabResult:
    """Runs the lab: control run, one run for each state and side, repeats of disturbed runs.

    Raises:
        TcptopError: if the kernel refuses a part of it, or the lab takes longer than `TIME_LIMIT_S`.

    """
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
    """Connections of each run, reduced so that a lab on a slow machine ends about `TARGET_S` after its start.

    Args:
        connections: those of the control run.
        control_s: seconds from the start of the lab to the end of the control run.
        runs: how many runs are still to be made.

    """
    share = max(MIN_CONNECTIONS_SHARE, min(1.0, (TARGET_S - control_s) / (control_s * runs))) if runs else 1.0
    return max(min(connections, MIN_CONNECTIONS), round(connections * share) // STEPS * STEPS)


class OverallProgress:
    """Progress of the whole lab, from that of each run.

    The number of repeats is not known in advance. So each run takes an equal share of what is left for the runs known
    by now and one more, and the whole never reaches 1.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._title = ""
        self._from = 0.0
        self._to = 0.0

    def begin_run(self, title: str, left: int) -> None:
        """Begins a run; `left` counts the runs still to be made, this one included."""
        self._title = title
        self._from = self._to
        self._to += (1.0 - self._to) / (left + 1)
        self.advance_run(0.0)

    def advance_run(self, share: float) -> None:
        """Shows that this share of the current run is done."""
        self._progress(self._title, self._from + (self._to - self._from) * share)


def repeat_disturbed_runs(
    runs: Sequence[Run],
    results: dict[str, StateResult],
    make: Callable[[Run], StateResult],
    overall: OverallProgress,
    started_s: float,
) -> None:
    """Repeats the runs that `repeat_reason` has a reason for, the most disturbed first, while there is time.

    `results` is updated in place: with the less disturbed of both takes, see `choose_less_disturbed`.
    """
    run_s = (time.monotonic() - started_s) / (len(runs) + 1)
    for run in MAX_REPEATS * sorted(runs, key=lambda run: -results[run.key].disturbance):
        why = repeat_reason(results[run.key])
        until_s = REPEAT_LATE_UNTIL_S if results[run.key].disturbance > REPEAT_LATE_ABOVE else REPEAT_UNTIL_S
        if why is not None and time.monotonic() - started_s + run_s <= until_s:
            left = sum(repeat_reason(result) is not None for result in results.values())
            overall.begin_run(f"{run.title}, again: {why}", left)
            results[run.key] = choose_less_disturbed(results[run.key], make(run))


def pool_vectors(results: Mapping[str, StateResult]) -> dict[str, StateResult]:
    """The results with every vector count replaced by the catalogue's, times one ratio for all runs.

    The ratio is that of measured to predicted bytes of vectors, summed over the runs with full sockets (over all runs
    if there are none). A mini-socket has some 8 bytes of vectors, in kmalloc rows that every program uses, so its own
    run cannot resolve them; a full socket has ten times as many. One ratio serves all, since memory cgroups charge the
    slabs of all caches or of none.
    """
    known = {key: result.vectors for key, result in results.items() if result.vectors is not None}
    whole = [part for key, part in known.items() if results[key].sockets and key.startswith(FULL_SOCKET_RUNS)]
    pooled = [part for part in whole or known.values() if part.catalogue_bytes]
    predicted = sum(part.catalogue_bytes or 0.0 for part in pooled)
    if not predicted:
        return dict(results)
    ratio = sum(part.bytes for part in pooled) / predicted
    return {
        key: replace(
            result,
            vectors=replace(
                result.vectors,
                objects=ratio * (result.vectors.catalogue_objects or 0.0),
                bytes=ratio * result.vectors.catalogue_bytes,
            ),
        )
        if result.vectors is not None and result.vectors.catalogue_bytes
        else result
        for key, result in results.items()
    }


def repeat_reason(result: StateResult) -> str | None:
    """Reason to repeat a run; None if there is none."""
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
    """The less disturbed of two takes of a run, without the uncatalogued rows that the other take did not find."""
    quiet, other = sorted((first, second), key=lambda result: result.disturbance)
    other_rows = {part.row for part in other.parts}
    parts = tuple(part for part in quiet.parts if part.catalogue_objects is not None or part.row in other_rows)
    return replace(quiet, parts=parts)


def make_state_result(
    run: Run, readings: RunReadings, control: Mapping[str, FittedLine], predictor: Predictor
) -> StateResult:
    """The result of a run: the fit of its readings beside the prediction of the catalogue."""
    predicted = predict_run(run, predictor)
    shapes, related = predictor.row_shapes(), predictor.related_rows()
    run_fit = fit_run(readings.series, control, shapes, related, predicted.rows.keys())
    run_fit = separate_vectors(run_fit, shapes, related, predicted.objects)
    return StateResult(
        connections=readings.connections,
        sockets=readings.connections * (run.full_sockets + run.mini_sockets),
        parts=make_parts(run_fit, predicted, predictor),
        vectors=make_vectors_part(run_fit.vectors, predicted),
        catalogue_bytes=predicted.bytes,
        catalogue_missing=predicted.missing,
        catalogue_counts_vectors=predicted.counts_vectors,
        observer=make_part(run_fit.observer, None, predictor),
        control_bytes=run_fit.control_bytes,
        all_rows_bytes=run_fit.all_rows_bytes,
        other_programs_bytes=run_fit.other_programs_bytes,
        uncertain_bytes=run_fit.uncertain_bytes,
        local_ports=readings.local_ports,
        other_sockets=readings.other_sockets,
    )


def predict_run(run: Run, predictor: Predictor) -> Prediction:
    """The catalogue's prediction for the endpoints of a run."""
    state = STATE_OF_RUN[run.state]
    if run.side == "pair":
        return predictor.predict_pair(state)
    if run.side == "few_ports":
        return predictor.predict_pair(state, ports_per_connection=1.0 / CONNECTIONS_PER_FEW_PORT)
    return predictor.predict_endpoint(state, owns_port=run.key in PORT_OWNERS)


def make_vectors_part(vectors: FittedRow | None, predicted: Prediction) -> LabPart | None:
    """The vectors of all rows, measured and predicted; None if neither has any."""
    known = predicted.all_vectors
    if vectors is None and known is None:
        return None
    row = vectors or FittedRow(VECTORS, 0.0, 0.0, 0.0)
    return LabPart(
        row=VECTORS,
        names=(VECTORS,),
        objects=row.objects,
        bytes=row.bytes,
        r2=row.r2,
        catalogue_objects=known.objects if known else None,
        catalogue_bytes=known.bytes if known else None,
    )


def make_parts(run_fit: Fit, predicted: Prediction, predictor: Predictor) -> tuple[LabPart, ...]:
    """The rows that the fit accepted, then with 0 objects the predicted rows that it did not."""
    parts = [make_part(row, predicted, predictor) for row in run_fit.rows]
    accepted = {part.row for part in parts}
    absent = [FittedRow(row, 0.0, 0.0, 0.0) for row in predicted.rows if row not in accepted]
    return (*parts, *(make_part(row, predicted, predictor) for row in absent))


def make_part(row: FittedRow, predicted: Prediction | None, predictor: Predictor) -> LabPart:
    """A fitted row beside the prediction for it."""
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
