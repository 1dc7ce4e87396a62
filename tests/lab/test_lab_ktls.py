"""The lab's runs with kernel TLS: growth in rows without a prediction belongs to kernel TLS, and is no disturbance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from recorded import snapshot_of, tree

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.lab_result import measured_ktls
from tcptop.lab.as_json import result_as_json
from tcptop.lab.as_text import result_as_text
from tcptop.lab.compare import compare_as_json, compare_as_text
from tcptop.lab.experiment import choose_less_disturbed, make_state_result, pool_vectors, predict_run, repeat_reason
from tcptop.lab.fit import Series, SlabReading
from tcptop.lab.prediction import Predictor
from tcptop.lab.result import LabResult, StateResult
from tcptop.lab.result_file import load_measurement
from tcptop.lab.runs import RUNS, Run, RunReadings, select_runs

STEP = 2000
COUNTS = (0, 0, STEP, 2 * STEP, 3 * STEP, 4 * STEP, 0)

CONTEXT: Mapping[str, float] = {"kmalloc-512": 2}
TX: Mapping[str, float] = {"kmalloc-512": 2, "kmalloc-4k": 2, "kmalloc-192": 2, "kmalloc-64": 6, "kmalloc-8": 2}
PAIR: Mapping[str, float] = {**TX, "kmalloc-4k": 4, "kmalloc-64": 12, "kmalloc-8": 4, "skbuff_head_cache": 2}
"""Objects of kernel TLS of both ends, much like those of Linux 6.1."""
OF_STEP = {"ktls/context": CONTEXT, "ktls/tx": TX, "ktls/pair": PAIR}

SHARES = {"kmalloc-8": 8.0, "kmalloc-64": 64.0, "kmalloc-192": 4096 / 21, "kmalloc-512": 512.0, "kmalloc-4k": 4096.0}
"""One object's share of a slab page."""

KTLS_RUNS = [run for run in RUNS if run.key in OF_STEP]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(snapshot_of(tree("6.18-1n", "base"))._replace(page_size_bytes=4096), ipv6=False)


def measure(
    run: Run, predictor: Predictor, others: Mapping[str, float] | None = None, sock_factor: float = 1.0
) -> StateResult:
    """The result of a run that counts what the catalogue predicts, kernel TLS, and objects of `others`."""
    predicted = predict_run(run, predictor)
    per_pair = {row: each.objects for row, each in predicted.rows.items()}
    per_pair["TCP"] *= sock_factor
    for more in (
        {row: each.objects for row, each in predicted.vectors.items()},
        OF_STEP.get(run.key, {}),
        others or {},
    ):
        for row, objects in more.items():
            per_pair[row] = per_pair.get(row, 0.0) + objects
    opening, *ramp, closing = (
        SlabReading(float(at), {row: 30_000 + round(each * count) for row, each in per_pair.items()}, None)
        for at, count in enumerate(COUNTS)
    )
    return make_state_result(run, RunReadings(Series(opening, tuple(ramp), closing, STEP), 0, 0), {}, predictor)


@pytest.fixture(scope="module")
def result(predictor: Predictor) -> LabResult:
    """A lab with `--states ktls`."""
    measured = {run.key: measure(run, predictor) for run in select_runs(("ktls",)) if run.side != "few_ports"}
    return LabResult("6.18.0", "ab" * 20, 1_795_365_003.7, 4096, False, 8000, 12.3, pool_vectors(measured))


def slab_bytes(objects: Mapping[str, float], predictor: Predictor) -> float:
    """Bytes of objects, computed from the sizes of the rows."""
    heads = predictor.row_shapes()["skbuff_head_cache"]
    shares = {**SHARES, "skbuff_head_cache": heads.slab_bytes / heads.objects_per_slab}
    return sum(count * shares[row] for row, count in objects.items())


def test_the_shares_of_the_test_are_those_of_the_recording(predictor: Predictor) -> None:
    shapes = predictor.row_shapes()
    assert {row: shapes[row].share_bytes for row in SHARES} == pytest.approx(SHARES)


@pytest.mark.parametrize("run", KTLS_RUNS, ids=lambda run: run.key)
def test_objects_of_kernel_tls_are_parts_and_no_disturbance(run: Run, predictor: Predictor) -> None:
    found = measure(run, predictor)
    pair = measure(next(each for each in RUNS if each.key == "established/pair"), predictor)
    objects = {part.row: part.objects for part in found.parts}
    expected = OF_STEP[run.key]
    # The vectors of ESTABLISHED are in small kmalloc rows, and are not moved.
    assert {row: objects[row] for row in expected if row != "kmalloc-64"} == pytest.approx(
        {row: count for row, count in expected.items() if row != "kmalloc-64"}, abs=0.4
    )
    assert found.bytes - pair.with_vectors_bytes == pytest.approx(slab_bytes(expected, predictor), rel=0.001)
    assert (found.vectors, found.unexplained, found.doubt, repeat_reason(found)) == (None, (), None, None)
    assert found.catalogue_missing[-1] == "kernel TLS"


def test_bytes_of_a_socket_are_half_of_each_step(result: LabResult, predictor: Predictor) -> None:
    assert result.ktls is not None
    steps = [slab_bytes(each, predictor) for each in (CONTEXT, TX, PAIR)]
    assert result.ktls.context_bytes == pytest.approx(steps[0] / 2, rel=0.002)
    assert result.ktls.tx_bytes == pytest.approx((steps[1] - steps[0]) / 2, rel=0.002)
    assert result.ktls.rx_bytes == pytest.approx((steps[2] - steps[1]) / 2, rel=0.002)


def test_growth_of_other_rows_is_unexplained_in_these_runs_too(predictor: Predictor) -> None:
    found = measure(KTLS_RUNS[2], predictor, others={"ext4_inode_cache": 1.0})
    assert [part.row for part in found.unexplained] == ["ext4_inode_cache"]
    assert found.doubt is not None
    assert repeat_reason(found) == "something unknown grew"
    quiet = measure(KTLS_RUNS[2], predictor)
    kept = choose_less_disturbed(found, quiet)
    assert {part.row for part in kept.parts} == {part.row for part in quiet.parts}


def test_a_miscounted_sock_makes_these_runs_doubtful(predictor: Predictor) -> None:
    assert repeat_reason(measure(KTLS_RUNS[1], predictor, sock_factor=0.95)) == "the socks were miscounted"


def test_a_row_of_kernel_tls_stays_although_another_take_lacks_it(predictor: Predictor) -> None:
    whole = measure(KTLS_RUNS[1], predictor)
    lacking = whole._replace(parts=tuple(part for part in whole.parts if part.row != "kmalloc-8"), other_sockets=900)
    assert choose_less_disturbed(whole, lacking) == whole


def test_the_report_has_one_sentence_for_kernel_tls(result: LabResult) -> None:
    text = " ".join(result_as_text(result, 100).split())
    assert "kTLS: a socket's kernel TLS takes 512 bytes for its context, " in text
    assert "without what is not known here: kernel TLS." in text
    assert "Unexplained:" not in text
    assert "Not measured" not in text


def test_a_skipped_state_is_in_both_reports(result: LabResult) -> None:
    only = {key: state for key, state in result.results.items() if not key.startswith("ktls")}
    skipped = result._replace(results=only, skipped={"ktls": "the kernel has no module tls"})
    assert "Not measured: ktls: the kernel has no module tls.\n" in result_as_text(skipped)
    found = result_as_json(skipped)
    assert found["skipped"] == [{"state": "ktls", "reason": "the kernel has no module tls"}]
    assert (found["ktls"], found["states"]["ktls"]) == (None, {"context": None, "tx": None, "pair": None})


def test_a_written_result_gives_the_same_bytes(result: LabResult, tmp_path: Path) -> None:
    found = result_as_json(result)
    assert result.ktls is not None
    assert found["ktls"] == {name: round(amount, 2) for name, amount in result.ktls._asdict().items()}
    path = tmp_path / "lab.json"
    path.write_text(json.dumps(found))
    seen = snapshot_of(tree("6.18-1n", "base"))
    sysctls = seen.sysctls.value
    assert sysctls is not None
    measurement = load_measurement(str(path))._replace(kernel_release=sysctls.kernel_release, build_id=None)
    seen = seen._replace(lab_measurement=measurement)
    assert measured_ktls(seen, CacheTable(seen, seen.page_size_bytes)) == pytest.approx(result.ktls, abs=0.05)


def test_a_comparison_has_the_steps(result: LabResult) -> None:
    found = result_as_json(result)
    assert compare_as_json(found, found)["states"]["ktls/tx"]["difference"] == 0.0
    assert "kTLS both ends, TX and RX" in compare_as_text(found, found)


def test_a_result_of_an_older_tcptop_has_no_kernel_tls(result: LabResult, tmp_path: Path) -> None:
    found = result_as_json(result)
    del found["states"]["ktls"], found["ktls"], found["skipped"]
    path = tmp_path / "lab.json"
    path.write_text(json.dumps(found))
    assert not [key for key in load_measurement(str(path)).states if key.startswith("ktls")]
