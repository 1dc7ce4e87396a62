"""Objects per endpoint out of made-up readings: exact where they are exact, and nothing where nothing follows."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from tcptop.lab.fit import (
    OBSERVER_ROW,
    Fit,
    FittedLine,
    Point,
    RelatedRows,
    RowShape,
    Series,
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
    """Readings a second apart: before, the ramp, after."""
    endpoints = (0, *RAMP, 0)
    points = [
        Point(count, float(at), {row: 100 + column[at] for row, column in columns.items()})
        for at, count in enumerate(endpoints)
    ]
    return Series(points[0], tuple(points[1:-1]), points[-1])


def following(per_endpoint: float) -> tuple[int, ...]:
    """A row that holds so many objects for each endpoint."""
    return tuple(round(count * per_endpoint) for count in (0, *RAMP, 0))


def fitted(columns: Mapping[str, tuple[int, ...]], control: Mapping[str, FittedLine] | None = None) -> Fit:
    """The fit with every row but `quiet` in the catalogue."""
    return fit_run(series(columns), control or {}, SHAPES, RELATED, SHAPES.keys() - {"quiet", "ext4_inode_cache"})


def objects(found: Fit) -> dict[str, float]:
    """Objects per endpoint by row, as exact as tests need."""
    return {row.row: round(row.objects, 6) for row in found.rows}


def test_a_straight_line_is_found_exactly() -> None:
    assert fit_line([0, 1, 2, 3], [5, 7, 9, 11]) == FittedLine(2.0, 1.0)


@pytest.mark.parametrize(("x", "y"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [4, 4, 4])])
def test_without_any_spread_nothing_follows(x: list[float], y: list[float]) -> None:
    assert fit_line(x, y) == FittedLine(0.0, 0.0)


def test_r2_is_that_of_the_textbook() -> None:
    line = fit_line([1, 2, 3, 4], [1, 3, 2, 4])
    assert [line.slope, line.r2] == pytest.approx([0.8, 0.64])


def test_objects_and_bytes_of_a_row_that_follows() -> None:
    found = fitted({"TCP": following(1), "dentry": following(2)})
    assert objects(found) == {"TCP": 1.0, "dentry": 2.0}
    assert found.bytes == pytest.approx(32_768 / 13 + 2 * 4096 / 21)
    assert found.all_rows_bytes == pytest.approx(found.bytes)
    assert [row.row for row in found.rows] == ["TCP", "dentry"], "the largest first"


def test_noise_stays_below_a_percent() -> None:
    jitter = random.Random(7)
    noisy = tuple(count + jitter.randint(-20, 20) for count in following(1))
    [row] = fitted({"TCP": noisy}).rows
    assert row.objects == pytest.approx(1.0, rel=0.01)
    assert row.r2 > 0.999


def test_a_row_that_only_jitters_is_dropped() -> None:
    assert objects(fitted({"TCP": following(1), "quiet": (0, 90, -40, 70, 10, -60, 30)})) == {"TCP": 1.0}


def test_a_row_below_a_fraction_of_a_byte_is_dropped() -> None:
    assert objects(fitted({"lsm_inode_cache": following(0.01)})) == {}


def test_a_row_that_does_not_go_with_the_sockets_is_dropped() -> None:
    stays = (0, 0, 2000, 4000, 6000, 8000, 8000)
    found = fit_run(series({"dentry": stays}), {}, {"dentry": RowShape(5000, 4096)}, RELATED, ["dentry"])
    assert objects(found) == {}


def test_even_growth_of_other_programs_is_taken_out() -> None:
    drifting = tuple(count + 150 * at for at, count in enumerate(following(1)))
    found = fitted({"dentry": drifting, "ext4_inode_cache": tuple(500 * at for at in range(7))})
    assert objects(found) == {"dentry": 1.0}
    assert found.all_rows_bytes == pytest.approx(4096 / 21)


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
def test_what_other_programs_do_is_not_in_all_rows(others: tuple[int, ...]) -> None:
    found = fitted({"TCP": following(1), "quiet": others, "ext4_inode_cache": others})
    assert objects(found) == {"TCP": 1.0}
    assert found.all_rows_bytes == pytest.approx(32_768 / 13)
    both = SHAPES["quiet"].share_bytes + SHAPES["ext4_inode_cache"].share_bytes
    grown = fit_line(RAMP, others[1:-1]).slope * both
    assert found.other_programs_bytes == pytest.approx(grown)


@pytest.mark.parametrize("at", range(2, 6))
def test_a_burst_that_stays_in_a_known_row_is_left_out(at: int) -> None:
    column = tuple(count + (2500 if when >= at else 0) for when, count in enumerate(following(1)))
    assert objects(fitted({"dentry": column})) == {"dentry": 1.0}


def test_a_known_row_whose_steps_differ_is_doubtful() -> None:
    uneven = (0, 0, 2000, 5200, 7300, 10_500, 0)
    found = fitted({"TCP": following(1), "dentry": uneven})
    assert objects(found).keys() == {"TCP", "dentry"}
    assert found.uncertain_bytes > 0.2 * 4096 / 21


def test_a_known_row_that_other_programs_shrink_evenly_is_doubtful() -> None:
    shrinking = tuple(count - 500 * at for at, count in enumerate(following(1)))
    found = fitted({"TCP": following(1), "dentry": shrinking})
    assert objects(found)["dentry"] == pytest.approx(0.75)
    assert found.uncertain_bytes == pytest.approx(3000 / 8000 * 4096 / 21)


BURSTS = {
    "none": (0, 0, 0, 0, 0, 0, 0),
    "a step, and stays": (0, 0, 0, 9000, 9000, 9000, 9000),
    "a step, and goes": (0, 0, 0, 0, 0, 9000, 0),
    "shrinks": (0, 0, 0, -9000, -9000, -9000, -9000),
    "steady": (0, 300, 600, 900, 1200, 1500, 1800),
}


@pytest.mark.parametrize("others", BURSTS.values(), ids=BURSTS)
def test_an_object_of_the_endpoints_that_nobody_knows_cannot_hide(others: tuple[int, ...]) -> None:
    """An object of 16 bytes in a row that other programs use too is at least in ALL ROWS, which then differs."""
    own = following(16 / SHAPES["quiet"].share_bytes)
    found = fitted({"TCP": following(1), "quiet": tuple(a + b for a, b in zip(own, others, strict=True))})
    assert found.all_rows_bytes - 32_768 / 13 > NOTABLE_BYTES
    if not any(others):
        assert objects(found) == {"TCP": 1.0, "quiet": 16 / 256}


def test_a_burst_after_the_ramp_is_not_spread_over_it() -> None:
    column = (*following(1)[:-1], -6000)
    assert objects(fitted({"dentry": column})) == {"dentry": 1.0}


def test_idle_objects_on_per_cpu_slabs_are_no_drift() -> None:
    slack = SHAPES["TCP"].slack_objects
    column = (*following(1)[:-1], slack)
    assert objects(fitted({"TCP": column})) == {"TCP": 1.0}


def test_the_control_run_is_subtracted() -> None:
    control = fit_control_run(series({"TCP": following(0.25), "dentry": (0, 5, -9, 3, 8, -2, 0)}), SHAPES, RELATED)
    found = fitted({"TCP": following(1.25), "dentry": following(1)}, control)
    assert objects(found) == {"TCP": 1.0, "dentry": 1.0}, "a control row that only jitters is not"
    assert found.control_bytes == pytest.approx(0.25 * 32_768 / 13)


def test_what_an_observer_causes_is_apart_whenever_it_comes_by() -> None:
    seen = (0, 0, 0, 4000, 4000, 8000, 0)
    own = following(1)
    found = fitted(
        {
            OBSERVER_ROW: seen,
            "dentry": tuple(a + b for a, b in zip(own, seen, strict=True)),
            "lsm_inode_cache": tuple(a + b for a, b in zip(own, seen, strict=True)),
        }
    )
    assert objects(found) == {"dentry": 1.0, "lsm_inode_cache": 1.0}
    assert {row.row: row.r2 for row in found.rows} == {"dentry": 1.0, "lsm_inode_cache": 1.0}
    assert found.observer.objects == pytest.approx(1.0)
    assert found.observer.bytes == pytest.approx(16_384 / 23 + 4096 / 21 + 4096 / 128)
    assert found.all_rows_bytes == pytest.approx(4096 / 21 + 4096 / 128)


def test_blobs_of_other_file_systems_inodes_are_taken_out() -> None:
    others = (0, 300, 200, 900, 400, 100, 0)
    blobs = tuple(a + b for a, b in zip(following(1), others, strict=True))
    assert objects(fitted({"ext4_inode_cache": others, "lsm_inode_cache": blobs})) == {"lsm_inode_cache": 1.0}


def test_vectors_are_a_part_of_their_own() -> None:
    found = fitted({"TCP": following(1), "dentry": following(1), "kmalloc-128": following(1 / 13)})
    named = separate_vectors(found, SHAPES, RELATED, {})
    assert objects(named).keys() == {"TCP", "dentry"}
    assert named.vectors is not None
    assert named.vectors.row == "obj_cgroup vectors"
    assert named.vectors.objects == pytest.approx(1 / 13, rel=0.01)
    assert named.vectors.bytes == pytest.approx(128 / 13, rel=0.01)


def test_more_than_the_slabs_explain_is_no_vector() -> None:
    found = fitted({"TCP": following(1), "kmalloc-128": following(1 / 13 + 1)})
    named = separate_vectors(found, SHAPES, RELATED, {})
    assert objects(named)["kmalloc-128"] == pytest.approx(1, abs=0.03)


def test_what_the_catalogue_has_in_a_kmalloc_row_is_no_vector() -> None:
    found = fitted({"TCP": following(1), "kmalloc-128": following(1)})
    named = separate_vectors(found, SHAPES, RELATED, {"kmalloc-128": 1.0})
    assert named.vectors is None
    assert objects(named) == {"TCP": 1.0, "kmalloc-128": 1.0}


@pytest.mark.parametrize("at", range(1, 6))
def test_a_burst_of_another_program_in_one_reading_is_left_out(at: int) -> None:
    column = list(following(1))
    column[at] += 3000
    assert objects(fitted({"TCP": tuple(column)})) == {"TCP": 1.0}
    column = list(following(1))
    column[at] += 3000
    assert objects(fitted({"quiet": tuple(column)})) == {}, "but no row is made to follow that nobody expects"
