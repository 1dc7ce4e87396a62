"""A run whose figures may be wrong is in doubt, is repeated, and does not change the figures of other runs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from lab_results import SOCK, VECTORS, result, state
from recorded import snapshot_of, tree

from tcptop.lab.as_json import result_as_json
from tcptop.lab.as_text import result_as_text
from tcptop.lab.experiment import make_state_result, pool_vectors, predict_run, repeat_reason
from tcptop.lab.fit import OBSERVER_ROW, Series, SlabReading, fit_control_run, fit_run
from tcptop.lab.prediction import Predictor
from tcptop.lab.result import LabPart, StateResult
from tcptop.lab.runs import KTLS, RUNS, Run, RunReadings

STEP = 2000
COUNTS = (0, 0, STEP, 2 * STEP, 3 * STEP, 4 * STEP, 0)
SOCK_ROWS = ("TCP", "tw_sock_TCP")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(snapshot_of(tree("6.18-1n", "base"))._replace(page_size_bytes=4096), ipv6=False)


def series(per_endpoint: Mapping[str, float]) -> Series:
    """Readings of a machine on which nothing but the endpoints changes the rows."""
    opening, *ramp, closing = (
        SlabReading(float(at), {row: 30_000 + round(each * count) for row, each in per_endpoint.items()}, None)
        for at, count in enumerate(COUNTS)
    )
    return Series(opening, tuple(ramp), closing, STEP)


def measure(
    run: Run,
    predictor: Predictor,
    control: Mapping[str, float] | None = None,
    sock_factor: float = 1.0,
    others: Mapping[str, float] | None = None,
) -> StateResult:
    """The result of a run that counts what the catalogue predicts, the socks times `sock_factor`, and other objects."""
    predicted = predict_run(run, predictor)
    per_endpoint = {
        row: objects.objects * (sock_factor if row in SOCK_ROWS else 1.0) for row, objects in predicted.rows.items()
    }
    for row, vectors in predicted.vectors.items():
        per_endpoint[row] = per_endpoint.get(row, 0.0) + vectors.objects
    for row, count in (others or {}).items():
        per_endpoint[row] = per_endpoint.get(row, 0.0) + count
    return make_state_result(run, RunReadings(series(per_endpoint), 0, 0), control or {}, predictor)


@pytest.mark.parametrize("run", [run for run in RUNS if run.state != KTLS], ids=lambda run: run.key)
def test_a_run_that_counts_one_sock_for_each_socket_is_not_in_doubt(run: Run, predictor: Predictor) -> None:
    found = measure(run, predictor)
    assert [part.objects for part in found.parts] == pytest.approx([part.catalogue_objects for part in found.parts])
    assert (found.doubt, repeat_reason(found)) == (None, None)


@pytest.mark.parametrize("factor", [0.9366, 0.985, 1.015, 1.06])
@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.key)
def test_a_run_that_counts_another_number_of_socks_is_in_doubt(run: Run, factor: float, predictor: Predictor) -> None:
    found = measure(run, predictor, sock_factor=factor)
    [sock] = [part for part in found.parts if part.row in SOCK_ROWS]
    assert sock.r2 == pytest.approx(1.0), "a straight line that is wrong"
    assert found.disturbance == pytest.approx(abs(factor - 1.0), abs=0.001)
    doubt = f"the socks counted differ from the sockets by {100 * found.disturbance:.1f} %"
    assert (found.doubt, repeat_reason(found)) == (doubt, "the socks were miscounted")


def test_a_count_of_socks_within_1_percent_is_not_in_doubt(predictor: Predictor) -> None:
    assert measure(RUNS[1], predictor, sock_factor=0.995).doubt is None


@pytest.mark.parametrize(("row", "more"), [("dentry", 0.27), ("dentry", -0.3), ("dentry", 2.0), ("filp", 0.3)])
def test_objects_of_other_programs_that_grow_as_the_sockets_are_in_doubt(
    row: str, more: float, predictor: Predictor
) -> None:
    found = measure(RUNS[1], predictor, others={row: more})
    assert (found.doubt is None, repeat_reason(found)) == (False, "other programs moved the slabs")


def test_a_whole_file_more_for_each_socket_may_be_the_kernels(predictor: Predictor) -> None:
    assert measure(RUNS[1], predictor, others={"filp": 1.0}).doubt is None


@pytest.mark.parametrize(
    ("objects", "doubtful"),
    [(1.0, False), (2.0, False), (4.0, False), (0.6, True), (1.3, True), (3.97, True), (5.0, True), (50.3, True)],
)
def test_a_whole_number_of_unknown_objects_for_each_socket_may_be_the_kernels(
    objects: float, doubtful: bool, predictor: Predictor
) -> None:
    """The blob of a security module that the catalogue does not know."""
    found = measure(RUNS[1], predictor, others={"kmalloc-1k": objects})
    assert [part.row for part in found.unexplained] == ["kmalloc-1k"]
    assert (found.doubt is not None) is doubtful


def test_a_control_run_in_which_other_programs_grew_makes_a_run_doubtful(predictor: Predictor) -> None:
    found = measure(RUNS[1], predictor, control={"dentry": 0.5, "filp": 0.2})
    assert found.doubt is not None
    assert found.disturbance > 0.01


def test_growth_of_socks_in_the_control_run_is_not_subtracted_from_other_runs(predictor: Predictor) -> None:
    growing = series({"TCP": 0.0634, "kmalloc-64": 0.5})
    found = fit_control_run(growing, predictor.row_shapes(), predictor.related_rows(), ("TCP",))
    assert found == {"kmalloc-64": pytest.approx(0.5)}


def test_a_run_in_doubt_does_not_move_the_vectors_of_others() -> None:
    quiet = state(SOCK, vectors_counted=True)
    known = VECTORS._replace(catalogue_objects=VECTORS.objects, catalogue_bytes=VECTORS.bytes)
    lost = quiet._replace(other_sockets=quiet.sockets, vectors=known._replace(objects=0.02, bytes=3.8))
    quiet = quiet._replace(vectors=known)
    pooled = pool_vectors({"established/accepted": quiet, "established/outgoing": lost, "time_wait/accepted": quiet})
    assert pooled["time_wait/accepted"].vectors == known
    assert pooled["established/outgoing"].vectors == known


@pytest.mark.parametrize(("measured", "expected"), [(1.2, 1.0), (0.73, 1.0), (0.55, 1.0), (0.2, 0.2), (0.0, 0.0)])
def test_each_slab_has_a_vector_or_none_has(measured: float, expected: float) -> None:
    """Vectors of slabs that other programs left partly free change neither the figures nor the doubt of
    mini-sockets.
    """
    sock = LabPart("tw_sock_TCP", ("tw_sock_TCP",), 1.0, 256.0, 1.0, 1.0, 256.0)
    part = LabPart("obj_cgroup vectors", ("obj_cgroup vectors",), 0.0625 * measured, 8.0 * measured, 0.9, 0.0625, 8.0)
    mini = state(sock, vectors_counted=True)
    mini = mini._replace(catalogue_bytes=264.0, vectors=part, all_rows_bytes=256.0 + part.bytes)
    found = pool_vectors({"established/accepted": mini, "time_wait/accepted": mini})["time_wait/accepted"]
    assert found.vectors == part._replace(objects=0.0625 * expected, bytes=8.0 * expected)
    assert found.difference == pytest.approx((256.0 + 8.0 * expected) / 264.0 - 1.0)
    assert found.doubt is None


def test_reports_name_the_doubt_of_a_state() -> None:
    wrong = SOCK._replace(objects=0.9366, bytes=0.9366 * SOCK.bytes)
    found = result("6.18.0", wrong)
    doubt = "the socks counted differ from the sockets by 6.3 %"
    assert result_as_json(found)["states"]["close_wait"]["doubt"] == doubt
    assert f"Disturbed: CLOSE_WAIT accepted: {doubt}; measure again." in result_as_text(found)
    assert result_as_json(result())["states"]["close_wait"]["doubt"] is None


def test_inodes_of_an_observer_are_not_below_0(predictor: Predictor) -> None:
    shrinking = series({"TCP": 1.0, OBSERVER_ROW: -0.5})
    found = fit_run(shrinking, {}, predictor.row_shapes(), predictor.related_rows(), ("TCP",))
    assert (found.observer.objects, found.observer.bytes) == (0.0, 0.0)


def test_an_unknown_page_size_is_null() -> None:
    found = result()._replace(page_size_bytes=None)
    assert result_as_json(found)["page_size"] is None
    assert " - pages" in result_as_text(found)
