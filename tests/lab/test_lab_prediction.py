"""Measured results beside predictions that include memory cgroups' obj_cgroup vectors."""

from __future__ import annotations

import pytest
from recorded import snapshot_of, tree

from tcptop.kernel.objects import State
from tcptop.lab import prediction as prediction_module
from tcptop.lab.experiment import make_state_result
from tcptop.lab.fit import Series, SlabReading
from tcptop.lab.prediction import Predictor
from tcptop.lab.result import StateResult
from tcptop.lab.runs import RUNS, RunReadings
from tcptop.ledger import ObjectCost, SocketCost

ACCEPTED = next(run for run in RUNS if run.key == "established/accepted")
RAMP = (0, 20_000, 40_000, 60_000, 80_000)


def part(name: str, cache: str, count: float, share: float) -> ObjectCost:
    """A part as the accounting makes it."""
    amount = round(count * share, 2)
    return ObjectCost(name, name, cache, count, amount, amount, amount, estimated=False)


SOCK = part("struct tcp_sock", "TCP", 1.0, 32_768 / 13)
BLOB = part("LSM socket blob", "kmalloc-128", 1.0, 128.0)
VECTORS = (
    part("obj_cgroup vectors", "kmalloc-128", 0.0769, 128.0),
    part("obj_cgroup vectors", "kmalloc-192", 0.1, 4096 / 21),
)
BUCKETS = part("struct inet_bind_bucket", "tcp_bind_bucket", 1.0, 128.0)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(snapshot_of(tree("6.18-1n", "base"))._replace(page_size_bytes=4096), ipv6=False)


def with_parts(monkeypatch: pytest.MonkeyPatch, *parts: ObjectCost) -> None:
    """Makes the accounting say that any socket holds exactly these parts."""
    total = sum(each.slab_bytes or 0.0 for each in parts)
    only_cost = SocketCost(object_bytes=total, slab_bytes=total, missing=(), parts=parts, slices=())
    monkeypatch.setattr(prediction_module, "socket_cost", lambda *_, **__: only_cost)


def measure(predictor: Predictor, **per_endpoint: float) -> StateResult:
    """The result of a run in which these rows hold this many objects per endpoint."""
    counts = (0, *RAMP, 0)
    opening, *ramp, closing = (
        SlabReading(
            float(at), {row.replace("_", "-"): 50 + round(each * count) for row, each in per_endpoint.items()}, None
        )
        for at, count in enumerate(counts)
    )
    readings = RunReadings(Series(opening, tuple(ramp), closing, RAMP[1]), 0, 0)
    return make_state_result(ACCEPTED, readings, {}, predictor)


def test_vectors_are_compared_with_the_predicted_ones(monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> None:
    with_parts(monkeypatch, SOCK, BLOB, *VECTORS)
    # filp and dentry are not predicted here; the kmalloc-192 objects are the vectors of their slabs.
    found = measure(predictor, TCP=1, filp=1, dentry=1, kmalloc_128=1 + 1 / 13, kmalloc_192=2 / 21)
    assert {each.row for each in found.parts} == {"TCP", "filp", "dentry", "kmalloc-128"}
    [blob] = [each for each in found.parts if each.row == "kmalloc-128"]
    assert (blob.catalogue_objects, blob.names) == (1.0, ("kmalloc-128",))
    assert blob.objects == pytest.approx(1.0, rel=0.001)
    assert found.vectors is not None
    assert found.vectors.objects == pytest.approx(1 / 13 + 2 / 21, rel=0.001)
    assert found.vectors.catalogue_objects == pytest.approx(0.1769)
    assert found.vectors.catalogue_bytes == pytest.approx(0.0769 * 128 + 0.1 * 4096 / 21, abs=0.02)
    assert found.catalogue_bytes == pytest.approx(sum(each.slab_bytes or 0.0 for each in (SOCK, BLOB, *VECTORS)))


def test_predicted_vectors_count_in_both_sums_and_only_once(
    monkeypatch: pytest.MonkeyPatch, predictor: Predictor
) -> None:
    with_parts(monkeypatch, SOCK, VECTORS[0])
    found = measure(predictor, TCP=1, kmalloc_128=1 / 13)
    assert [each.row for each in found.parts] == ["TCP"]
    assert found.difference == pytest.approx(0.0, abs=0.0005)
    assert found.unexplained == ()
    assert found.disturbance == pytest.approx(0.0, abs=0.001)


def test_predicted_vectors_that_are_not_measured_are_a_difference(
    monkeypatch: pytest.MonkeyPatch, predictor: Predictor
) -> None:
    with_parts(monkeypatch, SOCK, VECTORS[0])
    found = measure(predictor, TCP=1)
    assert found.vectors is not None
    assert (found.vectors.objects, found.vectors.catalogue_objects) == (0.0, 0.0769)
    assert found.bytes - found.catalogue_bytes == pytest.approx(-0.0769 * 128, abs=0.2)
    assert found.disturbance == pytest.approx(0.0, abs=0.001), "and no disturbance"


def test_vectors_that_are_not_predicted_are_in_no_sum(monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> None:
    with_parts(monkeypatch, SOCK)
    found = measure(predictor, TCP=1, kmalloc_128=1 / 13)
    assert found.vectors is not None
    assert found.vectors.catalogue_objects is None
    assert found.bytes == pytest.approx(SOCK.slab_bytes, rel=0.001)


def test_a_shared_port_saves_the_vectors_of_its_buckets_too(
    monkeypatch: pytest.MonkeyPatch, predictor: Predictor
) -> None:
    row = predictor.table.get("tcp_bind_bucket")
    assert row is not None
    assert row.row is not None
    vector_row = predictor.related_rows().vector_row(predictor.row_shapes()[row.row])
    assert vector_row == "kmalloc-256"
    with_parts(monkeypatch, SOCK, BUCKETS, part("obj_cgroup vectors", vector_row, 1 / 32, 256.0))
    alone, shared = (predictor.predict_pair(State.ESTABLISHED, ports_per_connection=share) for share in (1.0, 0.25))
    assert alone.vectors[vector_row].objects == pytest.approx(2 / 32)
    # Both kinds of buckets are one row here; both are removed, each with its share of a vector.
    assert shared.vectors[vector_row].objects == pytest.approx(2 / 32 - 2 * 0.75 / 32)
    assert alone.vectors[vector_row].bytes - shared.vectors[vector_row].bytes == pytest.approx(2 * 0.75 * 8, abs=0.1)
