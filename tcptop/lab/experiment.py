"""Runs a whole lab: the control run, the runs of each state, and repeats of runs that other programs disturbed.

The control run opens connections and drops them, and no endpoint remains. Growth of slab rows in the control run
therefore has other causes than endpoints. The fit (fit.py) subtracts the growth of the control run from every other
run. `StateResult.disturbance` is the share of a run's bytes that may be wrong because of other programs. The thresholds
below follow from two promises to the user. A figure that may be wrong by more than 1 % is marked. The lab takes 20 to
30 s on a quiet machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.kernel.objects import State
from tcptop.lab.fit import Fit, FittedRow, fit_control_run, fit_run
from tcptop.lab.preconditions import MIN_CONNECTIONS
from tcptop.lab.prediction import PredictedRow, Prediction, Predictor, read_predictor
from tcptop.lab.result import MAX_DISTURBANCE, LabPart, LabResult, StateResult
from tcptop.lab.runs import (
    CONNECTIONS_PER_FEW_PORT,
    CONTROL,
    KTLS,
    STEPS,
    WARM_UP,
    Run,
    Runner,
    RunReadings,
    select_runs,
)
from tcptop.lab.slab_meter import SlabMeter
from tcptop.lab.socket_process import find_ktls_refusal
from tcptop.lab.vectors import VECTORS, separate_vectors

REPEAT_UNTIL_S = 90.0
"""A run is repeated only if the repeat is expected to end within this time after the start of the lab."""

MAX_REPEATS = 6
"""Maximum number of repeats of one run."""

MAX_CONTROL_BYTES = 2.0
"""Maximum growth of all slab rows in a control run, in bytes per connection; a control run with more growth is
repeated. The maximum is 1 % of a mini-socket, which is the smallest endpoint."""

TARGET_S = 19.0
"""Target duration of a lab without repeats. On a slow machine, the default number of connections is reduced to meet the
target."""

MIN_CONNECTIONS_SHARE = 0.5
"""Minimum number of connections on a slow machine, as a share of the default number."""

TIME_LIMIT_S = 300.0
"""Longest duration of a lab; a longer lab ends with an error."""

PORT_OWNERS = frozenset({"established/outgoing", "fin_wait2", "time_wait/outgoing"})
"""Keys of the runs whose endpoints do not share local ports. If endpoints share no port, the prediction for each
endpoint includes the bind buckets of one port."""


class LabPlan(NamedTuple):
    """Parameters of one lab."""

    states: tuple[str, ...]
    connections: int
    may_take_fewer: bool
    """True if the user gave no number of connections, so the lab may open fewer connections on a slow machine."""
    ipv6: bool


KTLS_PART = "kernel TLS"
"""Name for the objects of kernel TLS, in a list of the parts that the catalogue cannot predict."""

Progress = Callable[[str, float], None]
"""Callback that shows the title of the current run, and the progress of the lab from 0 to 1."""

MIN_VECTORS_RATIO = 0.5
"""If the ratio of measured to predicted obj_cgroup vectors is at least this number, the lab assumes that every slab has
a vector."""


def run_experiment(host: Host, plan: LabPlan, progress: Progress) -> LabResult:
    """Runs the lab: the control run, one run for each state and side, and repeats of disturbed runs.

    Raises:
        TcptopError: if the kernel refuses an operation, or the lab takes longer than `TIME_LIMIT_S`.

    """
    started_s, began_unix_s = time.monotonic(), time.time()
    skipped = skip_states(plan)
    predictor = read_predictor(host, plan.ipv6)
    runs = select_runs([state for state in plan.states if state not in skipped])
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
    control, control_s = measure_control(runner, predictor)
    if plan.may_take_fewer:
        runner.connections = affordable_connections(plan.connections, control_s, len(runs))
    results: dict[str, StateResult] = {}

    def measure(run: Run) -> StateResult:
        return make_state_result(run, runner.measure_run(run), control, predictor)

    for number, run in enumerate(runs):
        overall.begin_run(run.title, len(runs) - number)
        results[run.key] = measure(run)
    repeat_disturbed_runs(runs, results, measure, overall, started_s)
    sysctls = predictor.snapshot.sysctls.value
    return LabResult(
        kernel=sysctls.kernel_release if sysctls else None,
        build_id=sysctls.build_id if sysctls else None,
        taken_at_unix_s=began_unix_s,
        page_size_bytes=predictor.snapshot.page_size_bytes,
        ipv6=plan.ipv6,
        connections=runner.connections,
        took_s=time.monotonic() - started_s,
        results=pool_vectors(results),
        skipped=skipped,
    )


def skip_states(plan: LabPlan) -> dict[str, str]:
    """The states that a plan contains but this kernel does not support, each with the reason.

    Raises:
        TcptopError: if the kernel supports none of the states.

    """
    refusal = find_ktls_refusal(plan.ipv6, WARM_UP) if KTLS in plan.states else None
    if refusal is not None and plan.states == (KTLS,):
        raise TcptopError(f"lab cannot measure {KTLS}: {refusal}")
    return {} if refusal is None else {KTLS: refusal}


def measure_control(runner: Runner, predictor: Predictor) -> tuple[dict[str, float], float]:
    """The slopes of the control run, and the duration of a control run in seconds.

    There are up to `MAX_REPEATS` control runs; the slopes of the run with the least growth are returned. The slopes of
    the control run are subtracted in every other run, so a disturbed control run would make all figures wrong.
    """
    shapes = predictor.row_shapes()
    endpoint_rows = predictor.watched_rows().releasing

    def growth_bytes(slopes: Mapping[str, float]) -> float:
        return sum(abs(slope) * shapes[row].share_bytes for row, slope in slopes.items())

    takes: list[tuple[dict[str, float], float]] = []
    while len(takes) < MAX_REPEATS and not any(growth_bytes(slopes) <= MAX_CONTROL_BYTES for slopes, _ in takes):
        started_s = time.monotonic()
        series = runner.measure_run(CONTROL).series
        slopes = fit_control_run(series, shapes, predictor.related_rows(), endpoint_rows)
        takes.append((slopes, time.monotonic() - started_s))
    return min((slopes for slopes, _ in takes), key=growth_bytes), min(taken_s for _, taken_s in takes)


def affordable_connections(connections: int, control_s: float, runs: int) -> int:
    """The number of connections for each run, reduced on a slow machine so that the lab takes about `TARGET_S`.

    Args:
        connections: connections of the control run.
        control_s: seconds that the control run took.
        runs: number of runs that remain.

    """
    share = max(MIN_CONNECTIONS_SHARE, min(1.0, (TARGET_S - control_s) / (control_s * runs))) if runs else 1.0
    return max(min(connections, MIN_CONNECTIONS), round(connections * share) // STEPS * STEPS)


class OverallProgress:
    """Computes the progress of the whole lab from the progress of each run.

    The number of repeats is not known in advance. When a run begins, the remaining progress is divided equally among
    the remaining runs and one possible repeat. Because of the possible repeat, the progress never reaches 1.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._title = ""
        self._from = 0.0
        self._to = 0.0

    def begin_run(self, title: str, left: int) -> None:
        """Begins a run; `left` is the number of runs that remain, including this run."""
        self._title = title
        self._from = self._to
        self._to += (1.0 - self._to) / (left + 1)
        self.advance_run(0.0)

    def advance_run(self, share: float) -> None:
        """Shows the progress of the lab; `share` is the progress of the current run, from 0 to 1."""
        self._progress(self._title, self._from + (self._to - self._from) * share)


def repeat_disturbed_runs(
    runs: Sequence[Run],
    results: dict[str, StateResult],
    make: Callable[[Run], StateResult],
    overall: OverallProgress,
    started_s: float,
) -> None:
    """Repeats disturbed runs while there is time, the most disturbed run first.

    A run is repeated if `repeat_reason` returns a reason. After a repeat, `choose_less_disturbed` combines the old and
    the new result, and the combined result replaces the old result in `results`.
    """
    run_s = (time.monotonic() - started_s) / (len(runs) + 1)
    for run in MAX_REPEATS * sorted(runs, key=lambda run: -results[run.key].disturbance):
        pooled = pool_vectors(results)
        why = repeat_reason(pooled[run.key])
        if why is not None and time.monotonic() - started_s + run_s <= REPEAT_UNTIL_S:
            left = sum(repeat_reason(result) is not None for result in pooled.values())
            overall.begin_run(f"{run.title}, again: {why}", left)
            results[run.key] = choose_less_disturbed(results[run.key], make(run))


def pool_vectors(results: Mapping[str, StateResult]) -> dict[str, StateResult]:
    """Multiplies the predicted vector counts by one ratio for all runs; returns results with the new counts.

    The ratio is the measured bytes of vectors divided by the predicted bytes of vectors. Measured and predicted bytes
    are sums over the runs that are not in doubt, or over all runs if every run is in doubt. One ratio fits all runs: if
    memory cgroups charge slabs at all, they charge the slabs of every accounted cache.

    The ratio may be below 1 although every slab has a vector. Some objects of a run fill slabs that other programs left
    partly free; such a slab already has a vector, so the run adds no vector. The prediction, however, adds a share of a
    vector for every object, even if the object's slab already had a vector. A ratio of at least `MIN_VECTORS_RATIO` is
    therefore replaced by 1, which means that every slab has a vector. A ratio below `MIN_VECTORS_RATIO` is used without
    change.
    """
    parts = {
        key: result.vectors for key, result in results.items() if result.vectors and result.vectors.catalogue_bytes
    }
    pooled = [part for key, part in parts.items() if results[key].doubt is None] or [*parts.values()]
    predicted = sum(part.catalogue_bytes or 0.0 for part in pooled)
    ratio = sum(part.bytes for part in pooled) / predicted if predicted else 0.0
    if ratio >= MIN_VECTORS_RATIO:
        ratio = 1.0
    scaled = {
        key: part._replace(objects=ratio * (part.catalogue_objects or 0.0), bytes=ratio * (part.catalogue_bytes or 0.0))
        for key, part in parts.items()
    }
    return {key: result._replace(vectors=scaled.get(key, result.vectors)) for key, result in results.items()}


def repeat_reason(result: StateResult) -> str | None:
    """The reason why a run should be repeated; None if there is no reason."""
    if not all(part.objects for part in result.parts):
        return "a part did not follow"
    if result.unexplained:
        return "something unknown grew"
    if result.doubt is None:
        return None
    if result.sock_error > max(MAX_DISTURBANCE, result.other_sockets / result.sockets):
        return "the socks were miscounted"
    if result.other_sockets > MAX_DISTURBANCE * result.sockets:
        return "other programs opened sockets"
    return "other programs moved the slabs"


def choose_less_disturbed(first: StateResult, second: StateResult) -> StateResult:
    """The less disturbed of two results of the same run.

    An unexplained row of the less disturbed result is left out if the more disturbed result lacks the row.
    """
    quiet, other = sorted((first, second), key=lambda result: result.disturbance)
    other_rows = {part.row for part in other.parts}
    parts = tuple(part for part in quiet.parts if part not in quiet.unexplained or part.row in other_rows)
    return quiet._replace(parts=parts)


def make_state_result(
    run: Run, readings: RunReadings, control: Mapping[str, float], predictor: Predictor
) -> StateResult:
    """The result of a run: the fit of its readings, and the prediction of the catalogue."""
    predicted = predict_run(run, predictor)
    shapes, related = predictor.row_shapes(), predictor.related_rows()
    tls_rows = predictor.tls_rows() if run.state == KTLS else frozenset()
    run_fit = fit_run(readings.series, control, shapes, related, predicted.rows.keys() | tls_rows)
    if not tls_rows:
        objects = {name: row.objects for name, row in predicted.rows.items()}
        run_fit = separate_vectors(run_fit, shapes, related, objects)
    connections = STEPS * readings.series.step
    return StateResult(
        connections=connections,
        sockets=connections * (run.full_sockets + run.mini_sockets),
        parts=make_parts(run_fit, predicted, predictor),
        # In the kTLS runs, kmalloc rows contain obj_cgroup vectors and objects of kernel TLS, which cannot be told
        # apart.
        vectors=None if tls_rows else make_vectors_part(run_fit.vectors, predicted, predictor),
        catalogue_bytes=predicted.bytes,
        catalogue_missing=predicted.missing,
        catalogue_counts_vectors=bool(predicted.vectors),
        observer=make_part(run_fit.observer, None, predictor),
        control_bytes=run_fit.control_bytes,
        all_rows_bytes=run_fit.all_rows_bytes,
        other_programs_bytes=run_fit.other_programs_bytes,
        uncertain_bytes=run_fit.uncertain_bytes,
        local_ports=readings.local_ports,
        other_sockets=readings.other_sockets,
        tls_rows=tls_rows,
    )


def predict_run(run: Run, predictor: Predictor) -> Prediction:
    """The catalogue's prediction for the endpoints of a run."""
    if run.state == KTLS:
        predicted = predictor.predict_pair(State.ESTABLISHED)
        return predicted._replace(missing=(*predicted.missing, KTLS_PART))
    # In the FIN_WAIT2 run the clients are closed, and the kernel replaces each client's socket by a mini-socket.
    state = State.FIN_WAIT2_CLOSED if run.state == "fin_wait2" else State[run.state.upper()]
    if run.side == "pair":
        return predictor.predict_pair(state)
    if run.side == "few_ports":
        return predictor.predict_pair(state, ports_per_connection=1.0 / CONNECTIONS_PER_FEW_PORT)
    return predictor.predict_endpoint(state, owns_port=run.key in PORT_OWNERS)


def make_vectors_part(vectors: FittedRow | None, predicted: Prediction, predictor: Predictor) -> LabPart | None:
    """The vectors of all rows, measured and predicted; None if vectors were neither measured nor predicted."""
    known = predicted.all_vectors
    if vectors is None and known is None:
        return None
    return make_part(vectors or FittedRow(VECTORS, 0.0, 0.0, 0.0), known, predictor)


def make_parts(run_fit: Fit, predicted: Prediction, predictor: Predictor) -> tuple[LabPart, ...]:
    """Parts for the rows that the fit accepted, then parts with 0 objects for predicted rows that the fit rejected."""
    accepted = {row.row for row in run_fit.rows}
    absent = [FittedRow(row, 0.0, 0.0, 0.0) for row in predicted.rows if row not in accepted]
    return tuple(make_part(row, predicted.rows.get(row.row), predictor) for row in (*run_fit.rows, *absent))


def make_part(row: FittedRow, known: PredictedRow | None, predictor: Predictor) -> LabPart:
    """The part that combines a fitted row with the prediction for this row."""
    return LabPart(
        row=row.row,
        names=tuple(known.names if known else predictor.cache_names(row.row)),
        objects=row.objects,
        bytes=row.bytes,
        r2=row.r2,
        catalogue_objects=known.objects if known else None,
        catalogue_bytes=known.bytes if known else None,
    )
