"""Fits of made-up readings: the fit is exact for exact readings, and rejects rows that grow for another reason."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from tcptop.lab.fit import (
    OBSERVER_ROW,
    Fit,
    FittedLine,
    RelatedRows,
    RowShape,
    Series,
    SlabReading,
    fit_control_run,
    fit_line,
    fit_run,
)
from tcptop.lab.result import NOTABLE_BYTES
from tcptop.lab.vectors import separate_vectors

SHAPES = {
    "TCP": RowShape(13, 32_768),
    "dentry": RowShape(21, 4096),
    "lsm_inode_cache": RowShape(128, 4096),
    "ext4_inode_cache": RowShape(27, 32_768),
    OBSERVER_ROW: RowShape(23, 16_384),
    "kmalloc-192": RowShape(21, 4096),
    "kmalloc-128": RowShape(32, 4096),
    "quiet": RowShape(16, 4096),
}
RELATED = RelatedRows(dentry="dentry", inode_blob="lsm_inode_cache", kmalloc={128: "kmalloc-128", 192: "kmalloc-192"})
STEP = 2000
RAMP = (0, STEP, 2 * STEP, 3 * STEP, 4 * STEP)


def series(columns: Mapping[str, tuple[int, ...]]) -> Series:
    """Readings one second apart: opening, ramp, closing."""
    opening, *ramp, closing = (
        SlabReading(float(at), {row: 100 + column[at] for row, column in columns.items()}, None)
        for at in range(len(RAMP) + 2)
    )
    return Series(opening, tuple(ramp), closing, STEP)


def proportional(per_endpoint: float) -> tuple[int, ...]:
    """The column of a row that holds this many objects per endpoint."""
    return tuple(round(count * per_endpoint) for count in (0, *RAMP, 0))


def fit_columns(columns: Mapping[str, tuple[int, ...]], control: Mapping[str, float] | None = None) -> Fit:
    """The fit with every row predicted by the catalogue but `quiet` and `ext4_inode_cache`."""
    return fit_run(series(columns), control or {}, SHAPES, RELATED, SHAPES.keys() - {"quiet", "ext4_inode_cache"})


def objects(run_fit: Fit) -> dict[str, float]:
    """Objects per endpoint of each accepted row, rounded."""
    return {row.row: round(row.objects, 6) for row in run_fit.rows}


def test_exact_points_give_the_exact_line() -> None:
    assert fit_line([0, 1, 2, 3], [5, 7, 9, 11]) == FittedLine(2.0, 1.0)


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [4, 4, 4])])
def test_points_without_spread_give_slope_and_r2_0(x: list[float], y: list[float]) -> None:
    assert fit_line(x, y) == FittedLine(0.0, 0.0)


def test_slope_and_r2_of_scattered_points() -> None:
    line = fit_line([1, 2, 3, 4], [1, 3, 2, 4])
    assert [line.slope, line.r2] == pytest.approx([0.8, 0.64])


def test_objects_and_bytes_of_accepted_rows() -> None:
    run_fit = fit_columns({"TCP": proportional(1), "dentry": proportional(2)})
    assert objects(run_fit) == {"TCP": 1.0, "dentry": 2.0}
    assert sum(row.bytes for row in run_fit.rows) == pytest.approx(32_768 / 13 + 2 * 4096 / 21)
    assert run_fit.all_rows_bytes == pytest.approx(32_768 / 13 + 2 * 4096 / 21)
    assert [row.row for row in run_fit.rows] == ["TCP", "dentry"], "the largest first"


def test_noise_changes_the_slope_by_less_than_1_percent() -> None:
    jitter = random.Random(7)
    noisy = tuple(count + jitter.randint(-20, 20) for count in proportional(1))
    [row] = fit_columns({"TCP": noisy}).rows
    assert row.objects == pytest.approx(1.0, rel=0.01)
    assert row.r2 > 0.999


def test_a_row_that_only_jitters_is_rejected() -> None:
    assert objects(fit_columns({"TCP": proportional(1), "quiet": (0, 90, -40, 70, 10, -60, 30)})) == {"TCP": 1.0}


def test_a_row_with_less_than_the_least_bytes_is_rejected() -> None:
    assert objects(fit_columns({"lsm_inode_cache": proportional(0.01)})) == {}


def test_a_row_that_keeps_its_growth_after_the_sockets_are_gone_is_rejected() -> None:
    stays = (0, 0, 2000, 4000, 6000, 8000, 8000)
    run_fit = fit_run(series({"dentry": stays}), {}, {"dentry": RowShape(5000, 4096)}, RELATED, ["dentry"])
    assert objects(run_fit) == {}


def test_a_drift_of_other_programs_is_removed() -> None:
    drifting = tuple(count + 150 * at for at, count in enumerate(proportional(1)))
    run_fit = fit_columns({"dentry": drifting, "ext4_inode_cache": tuple(500 * at for at in range(7))})
    assert objects(run_fit) == {"dentry": 1.0}
    assert run_fit.all_rows_bytes == pytest.approx(4096 / 21)


@pytest.mark.parametrize(
    "others",
    [
        (0, 0, 0, 90_000, 90_000, 90_000, 90_000),
        (0, 0, 0, 0, 0, 50_000, 50_000),
        (0, 0, 0, 0, 50_000, 50_000, 0),
        (0, 700, 1400, 2100, 2800, 3500, 4200),
        (0, 900, 1100, 4000, 4100, 9000, 9000),
        (0, 0, -9000, -9000, -20_000, -20_000, -20_000),
    ],
    ids=["a step", "the last step", "came and went", "steady", "uneven", "reclaimed"],
)
def test_growth_of_other_programs_is_not_in_all_rows(others: tuple[int, ...]) -> None:
    run_fit = fit_columns({"TCP": proportional(1), "quiet": others, "ext4_inode_cache": others})
    assert objects(run_fit) == {"TCP": 1.0}
    assert run_fit.all_rows_bytes == pytest.approx(32_768 / 13)
    both = SHAPES["quiet"].share_bytes + SHAPES["ext4_inode_cache"].share_bytes
    grown = fit_line(RAMP, others[1:-1]).slope * both
    assert run_fit.other_programs_bytes == pytest.approx(grown)


@pytest.mark.parametrize("at", range(2, 6))
def test_a_burst_that_stays_in_a_known_row_is_left_out(at: int) -> None:
    column = tuple(count + (2500 if when >= at else 0) for when, count in enumerate(proportional(1)))
    assert objects(fit_columns({"dentry": column})) == {"dentry": 1.0}


def test_a_known_row_with_uneven_steps_is_uncertain() -> None:
    uneven = (0, 0, 2000, 5200, 7300, 10_500, 0)
    run_fit = fit_columns({"TCP": proportional(1), "dentry": uneven})
    assert objects(run_fit).keys() == {"TCP", "dentry"}
    assert run_fit.uncertain_bytes > 0.2 * 4096 / 21


def test_a_known_row_that_other_programs_shrink_evenly_is_uncertain() -> None:
    shrinking = tuple(count - 500 * at for at, count in enumerate(proportional(1)))
    run_fit = fit_columns({"TCP": proportional(1), "dentry": shrinking})
    assert objects(run_fit)["dentry"] == pytest.approx(0.75)
    assert run_fit.uncertain_bytes == pytest.approx(3000 / 8000 * 4096 / 21)


BURSTS = {
    "none": (0, 0, 0, 0, 0, 0, 0),
    "a step, and stays": (0, 0, 0, 9000, 9000, 9000, 9000),
    "a step, and goes": (0, 0, 0, 0, 0, 9000, 0),
    "shrinks": (0, 0, 0, -9000, -9000, -9000, -9000),
    "steady": (0, 300, 600, 900, 1200, 1500, 1800),
}


@pytest.mark.parametrize("others", BURSTS.values(), ids=BURSTS)
def test_an_uncatalogued_object_of_the_endpoints_is_in_all_rows(others: tuple[int, ...]) -> None:
    """Even if other programs disturb its row, 16 bytes per endpoint show in ALL ROWS."""
    own = proportional(16 / SHAPES["quiet"].share_bytes)
    run_fit = fit_columns({"TCP": proportional(1), "quiet": tuple(a + b for a, b in zip(own, others, strict=True))})
    assert run_fit.all_rows_bytes - 32_768 / 13 > NOTABLE_BYTES
    if not any(others):
        assert objects(run_fit) == {"TCP": 1.0, "quiet": 16 / 256}


def test_a_burst_after_the_ramp_is_not_removed_as_a_drift() -> None:
    column = (*proportional(1)[:-1], -6000)
    assert objects(fit_columns({"dentry": column})) == {"dentry": 1.0}


def test_free_objects_on_per_cpu_slabs_are_not_removed_as_a_drift() -> None:
    slack = SHAPES["TCP"].slack_objects
    column = (*proportional(1)[:-1], slack)
    assert objects(fit_columns({"TCP": column})) == {"TCP": 1.0}


def test_the_control_run_is_subtracted() -> None:
    control = fit_control_run(series({"TCP": proportional(0.25), "dentry": (0, 5, -9, 3, 8, -2, 0)}), SHAPES, RELATED)
    run_fit = fit_columns({"TCP": proportional(1.25), "dentry": proportional(1)}, control)
    assert objects(run_fit) == {"TCP": 1.0, "dentry": 1.0}, (
        "the row that only jitters in the control run is not subtracted"
    )
    assert run_fit.control_bytes == pytest.approx(0.25 * 32_768 / 13)


def test_objects_of_an_observer_are_subtracted_whenever_they_come() -> None:
    proc_inodes = (0, 0, 0, 4000, 4000, 8000, 0)
    own = proportional(1)
    run_fit = fit_columns(
        {
            OBSERVER_ROW: proc_inodes,
            "dentry": tuple(a + b for a, b in zip(own, proc_inodes, strict=True)),
            "lsm_inode_cache": tuple(a + b for a, b in zip(own, proc_inodes, strict=True)),
        }
    )
    assert objects(run_fit) == {"dentry": 1.0, "lsm_inode_cache": 1.0}
    assert {row.row: row.r2 for row in run_fit.rows} == {"dentry": 1.0, "lsm_inode_cache": 1.0}
    assert run_fit.observer.objects == pytest.approx(1.0)
    assert run_fit.observer.bytes == pytest.approx(16_384 / 23 + 4096 / 21 + 4096 / 128)
    assert run_fit.all_rows_bytes == pytest.approx(4096 / 21 + 4096 / 128)


def test_lsm_blobs_of_other_inodes_are_subtracted() -> None:
    others = (0, 300, 200, 900, 400, 100, 0)
    blobs = tuple(a + b for a, b in zip(proportional(1), others, strict=True))
    assert objects(fit_columns({"ext4_inode_cache": others, "lsm_inode_cache": blobs})) == {"lsm_inode_cache": 1.0}


def test_vectors_are_separated_from_kmalloc_rows() -> None:
    run_fit = fit_columns({"TCP": proportional(1), "dentry": proportional(1), "kmalloc-128": proportional(1 / 13)})
    separated = separate_vectors(run_fit, SHAPES, RELATED, {})
    assert objects(separated).keys() == {"TCP", "dentry"}
    assert separated.vectors is not None
    assert separated.vectors.row == "obj_cgroup vectors"
    assert separated.vectors.objects == pytest.approx(1 / 13, rel=0.01)
    assert separated.vectors.bytes == pytest.approx(128 / 13, rel=0.01)


def test_objects_beyond_one_vector_per_slab_stay_in_their_row() -> None:
    run_fit = fit_columns({"TCP": proportional(1), "kmalloc-128": proportional(1 / 13 + 1)})
    separated = separate_vectors(run_fit, SHAPES, RELATED, {})
    assert objects(separated)["kmalloc-128"] == pytest.approx(1, abs=0.03)


def test_predicted_objects_in_a_kmalloc_row_are_not_vectors() -> None:
    run_fit = fit_columns({"TCP": proportional(1), "kmalloc-128": proportional(1)})
    separated = separate_vectors(run_fit, SHAPES, RELATED, {"kmalloc-128": 1.0})
    assert separated.vectors is None
    assert objects(separated) == {"TCP": 1.0, "kmalloc-128": 1.0}


@pytest.mark.parametrize("at", range(1, 6))
def test_a_burst_of_another_program_in_one_reading_is_left_out(at: int) -> None:
    column = list(proportional(1))
    column[at] += 3000
    assert objects(fit_columns({"TCP": tuple(column)})) == {"TCP": 1.0}
    column = list(proportional(1))
    column[at] += 3000
    assert objects(fit_columns({"quiet": tuple(column)})) == {}, "an uncatalogued row is not fitted without its outlier"
