"""A whole lab: the control run, the runs of each state, and once more those that something disturbed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from tcptop.hosts.host import Host
from tcptop.kernel.objects import State
from tcptop.lab.catalogue import Catalogue, Expectation, catalogue_of
from tcptop.lab.fit import Fit, FittedRow, Line, control_lines, fit
from tcptop.lab.measure import SlabMeter
from tcptop.lab.preconditions import LEAST_CONNECTIONS
from tcptop.lab.result import LabPart, LabResult, StateResult
from tcptop.lab.runs import CONTROL, FEW_PORTS_STEP, STEPS, Run, Runner, RunReadings, runs_of
from tcptop.lab.vectors import VECTORS, with_vectors

AGAIN_ABOVE = 0.01
"""A run is made once more when other programs moved the machine's slabs by more than this share of what it found."""

AGAIN_UNTIL_S = 25.0
"""No run is made again that would end later than this after the start,"""

BADLY = 0.05
BADLY_UNTIL_S = 27.5
"""or than this where it was disturbed by more than that share,"""

PASSES = 3
"""nor more often than this."""

WANTED_S = 19.0
LEAST_SHARE = 0.5
"""A lab that nobody asked for a number of connections takes fewer, down to this share, where it would take longer."""

MOST_S = 300.0
"""A lab that takes longer on a slow machine gives up."""

STATE_OF_RUN: Mapping[str, State] = {
    "established": State.ESTABLISHED,
    "fin_wait2": State.FIN_WAIT2_CLOSED,
    "close_wait": State.CLOSE_WAIT,
    "time_wait": State.TIME_WAIT,
}
PORT_OWNERS = frozenset({"established/outgoing", "fin_wait2/", "time_wait/outgoing"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a lab measures."""

    states: tuple[str, ...]
    connections: int
    may_take_fewer: bool
    """Where nobody asked for a number."""
    ipv6: bool


Progress = Callable[[str, float], None]


WHOLE_SOCKETS = ("established/", "close_wait/")
"""The runs whose endpoints have most vectors."""


def experiment(host: Host, plan: Plan, progress: Progress) -> LabResult:
    """Measures the states of a plan; raises TcptopError where the kernel refuses a part of it."""
    started_s, began_unix_s = time.monotonic(), time.time()
    catalogue = catalogue_of(host, plan.ipv6)
    runs = runs_of(plan.states)
    steps = Steps(progress)
    steps.begin(CONTROL.title, len(runs) + 1)
    runner = Runner(SlabMeter(host), catalogue.watched(), plan.connections, plan.ipv6, started_s + MOST_S, steps.within)
    control = control_lines(runner.read(CONTROL).series, catalogue.shapes(), catalogue.names())
    if plan.may_take_fewer:
        runner.connections = affordable(plan.connections, time.monotonic() - started_s, len(runs))
    results: dict[str, StateResult] = {}

    def made(run: Run) -> StateResult:
        return result_of(run, runner.read(run), control, catalogue)

    for number, run in enumerate(runs):
        steps.begin(run.title, len(runs) - number)
        results[run.key] = made(run)
    made_again(runs, results, made, steps, started_s)
    return LabResult(
        kernel=catalogue.kernel,
        build_id=catalogue.build_id,
        taken_at_unix_s=began_unix_s,
        page_size_bytes=catalogue.snapshot.page_size_bytes or 0,
        ipv6=plan.ipv6,
        connections=runner.connections,
        took_s=time.monotonic() - started_s,
        results=with_pooled_vectors(results),
    )


def affordable(connections: int, control_s: float, runs: int) -> int:
    """How many connections each run makes, so that a lab on a slow machine ends in `WANTED_S` or soon after."""
    share = max(LEAST_SHARE, min(1.0, (WANTED_S - control_s) / (control_s * runs))) if runs else 1.0
    return max(min(connections, LEAST_CONNECTIONS), round(connections * share) // STEPS * STEPS)


class Steps:
    """How far a lab is. How many runs are made again shows only on the way, so each run leaves room for one more."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._title = ""
        self._from = 0.0
        self._to = 0.0

    def begin(self, title: str, left: int) -> None:
        """Another run begins, with so many left, itself among them."""
        self._title = title
        self._from = self._to
        self._to += (1.0 - self._to) / (left + 1)
        self.within(0.0)

    def within(self, share: float) -> None:
        """The run at work has come so far."""
        self._progress(self._title, self._from + (self._to - self._from) * share)


def made_again(
    runs: Sequence[Run],
    results: dict[str, StateResult],
    make: Callable[[Run], StateResult],
    steps: Steps,
    started_s: float,
) -> None:
    """Makes runs that were disturbed or found something unknown again, the worst first, while there is time."""
    run_s = (time.monotonic() - started_s) / (len(runs) + 1)
    for run in PASSES * sorted(runs, key=lambda run: -results[run.key].disturbance):
        why = why_again(results[run.key])
        until_s = BADLY_UNTIL_S if results[run.key].disturbance > BADLY else AGAIN_UNTIL_S
        if why is not None and time.monotonic() - started_s + run_s <= until_s:
            left = sum(why_again(result) is not None for result in results.values())
            steps.begin(f"{run.title}, again: {why}", left)
            results[run.key] = the_quieter(results[run.key], make(run))


def with_pooled_vectors(results: Mapping[str, StateResult]) -> dict[str, StateResult]:
    """The results with as many vectors for each slab as the runs together show.

    A mini-socket has 8 bytes of vectors, in rows where any other program allocates: its own run alone cannot tell them.
    Runs of whole sockets have ten times as many, and whether slabs have vectors is one question for the whole kernel.
    """
    known = {key: result.vectors for key, result in results.items() if result.vectors is not None}
    whole = [part for key, part in known.items() if results[key].sockets and key.startswith(WHOLE_SOCKETS)]
    pooled = [part for part in whole or known.values() if part.catalogue_bytes]
    expected = sum(part.catalogue_bytes or 0.0 for part in pooled)
    if not expected:
        return dict(results)
    each = sum(part.bytes for part in pooled) / expected
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


def why_again(result: StateResult) -> str | None:
    """Why a run is better made once more; None where it is not."""
    if not all(part.objects for part in result.parts):
        return "a part did not follow"
    if result.unexplained:
        return "something unknown grew"
    if result.disturbance <= AGAIN_ABOVE:
        return None
    if result.others > AGAIN_ABOVE * result.sockets:
        return "other programs opened sockets"
    return "other programs moved the slabs"


def the_quieter(first: StateResult, second: StateResult) -> StateResult:
    """The less disturbed of two takes; an object that the catalogue does not know counts only if both have it."""
    quiet, other = sorted((first, second), key=lambda result: result.disturbance)
    there = {part.row for part in other.parts}
    parts = tuple(part for part in quiet.parts if part.catalogue_objects is not None or part.row in there)
    return replace(quiet, parts=parts)


def result_of(run: Run, readings: RunReadings, control: Mapping[str, Line], catalogue: Catalogue) -> StateResult:
    """A run's readings as what one endpoint costs, beside what the catalogue says."""
    expected = expectation(run, catalogue)
    shapes, names = catalogue.shapes(), catalogue.names()
    found = fit(readings.series, control, shapes, names, expected.rows.keys())
    found = with_vectors(found, shapes, names, expected.objects)
    return StateResult(
        connections=readings.connections,
        sockets=readings.connections * (run.full + run.minis),
        parts=parts_of(found, expected, catalogue),
        vectors=vectors_part(found.vectors, expected),
        catalogue_bytes=expected.bytes,
        catalogue_missing=expected.missing,
        catalogue_counts_vectors=expected.counts_vectors,
        observer=lab_part(found.observer, None, catalogue),
        control_bytes=found.control_bytes,
        all_rows_bytes=found.all_rows_bytes,
        other_programs_bytes=found.other_programs_bytes,
        doubtful_bytes=found.doubtful_bytes,
        local_ports=readings.local_ports,
        others=readings.others,
    )


def expectation(run: Run, catalogue: Catalogue) -> Expectation:
    """What the catalogue says of a run's endpoints."""
    state = STATE_OF_RUN[run.state]
    if run.side == "pair":
        return catalogue.pair(state)
    if run.side == "few_ports":
        return catalogue.pair(state, ports_per_connection=1.0 / FEW_PORTS_STEP)
    return catalogue.endpoint(state, owns_port=run.key in PORT_OWNERS)


def vectors_part(found: FittedRow | None, expected: Expectation) -> LabPart | None:
    """The vectors of all rows beside the catalogue's; None where neither has any."""
    known = expected.all_vectors
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


def parts_of(found: Fit, expected: Expectation, catalogue: Catalogue) -> tuple[LabPart, ...]:
    """The rows that were found, then those of the catalogue that were not."""
    parts = [lab_part(row, expected, catalogue) for row in found.rows]
    there = {part.row for part in parts}
    absent = [FittedRow(row, 0.0, 0.0, 0.0) for row in expected.rows if row not in there]
    return (*parts, *(lab_part(row, expected, catalogue) for row in absent))


def lab_part(row: FittedRow, expected: Expectation | None, catalogue: Catalogue) -> LabPart:
    """A row with what the catalogue has in it."""
    known = expected.rows.get(row.row) if expected else None
    return LabPart(
        row=row.row,
        names=tuple(known.names if known else catalogue.names_in(row.row)),
        objects=row.objects,
        bytes=row.bytes,
        r2=row.r2,
        catalogue_objects=known.objects if known else None,
        catalogue_bytes=known.bytes if known else None,
    )
