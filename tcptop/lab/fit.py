"""Objects per endpoint from readings at several numbers of endpoints. Pure: readings in, figures out.

Rows of the whole machine hold other programs' objects too. What tells a socket's objects from those: they follow the
number of sockets in a straight line, they go when the sockets go, and a run that leaves no socket does not have them.
What grows or shrinks all the time, with or without sockets, shows in the first and the last reading of a run.

Every row is held to that, whether the catalogue knows it or not: `Fit.all_rows_bytes` has what each row could hold for
the endpoints at most, even one that another program spoilt, so that no object of theirs can hide; only what came in
a single step, or stayed when they went, is other programs'.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tcptop.accounting.cgroup_vectors import VECTOR_ENTRY_BYTES
from tcptop.accounting.slub_layout import cpu_partial_objects

MIN_R2 = 0.9
"""For a row with objects that the catalogue knows, or with vectors."""

MIN_R2_UNKNOWN = 0.985
"""For any other row: one that grows by itself over a few seconds looks straight too."""

MIN_RELEASED_SHARE = 0.5
"""Of the growth in a row, the share that must be gone after the sockets are."""

MIN_BYTES = 0.5
"""Per endpoint; below it a row is noise of whole slabs."""

MIN_CONTROL_R2 = 0.9

STRAIGHT_R2 = 0.9999
STRAIGHT_WITHOUT_OUTLIER_R2 = 0.9995
"""A known row that is less straight than the first is taken without that reading or step which alone keeps it from
being as straight as the second."""

MAX_DRIFT_SHARE = 0.15

SLACK_CPUS = 2
"""A run's objects are freed on the CPU of its process and on that of the worker that takes the namespace apart."""

OBSERVER_ROW = "proc_inode_cache"
OTHER_INODES = re.compile(r"(?!sock_|lsm_|selinux_)(?:\w+_)?inode(?:_cache)?$")
"""Rows with inodes of file systems; each inode has one LSM inode blob (fs/inode.c, inode_init_always)."""


@dataclass(frozen=True, slots=True)
class RowShape:
    """What a row's objects are in bytes."""

    objects_per_slab: int
    slab_bytes: int

    @property
    def slack_objects(self) -> int:
        """Idle objects that may lie on per-CPU slabs and count as active (mm/slub.c, set_cpu_partial).

        Only a larger difference between the first and the last reading of a run is drift.
        """
        partial = cpu_partial_objects(self.share_bytes)
        return SLACK_CPUS * (2 * partial + self.objects_per_slab)

    @property
    def share_bytes(self) -> float:
        """An object's share of a full slab."""
        return self.slab_bytes / self.objects_per_slab if self.objects_per_slab else 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """Active objects of every row at a time, while so many endpoints were in the state."""

    endpoints: int
    at_s: float
    active: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Series:
    """The readings of one run."""

    opening: Point
    """Before there was a namespace."""
    ramp: tuple[Point, ...]
    """With ever more endpoints."""
    closing: Point
    """After the namespace was gone."""

    @property
    def points(self) -> tuple[Point, ...]:
        """All of them, in the order of time."""
        return (self.opening, *self.ramp, self.closing)

    @property
    def endpoints(self) -> list[float]:
        """Endpoints at each reading of the ramp."""
        return [float(point.endpoints) for point in self.ramp]


Column = list[float]
"""The counts of one row at all points of a series."""


@dataclass(frozen=True, slots=True)
class FittedLine:
    """A straight line through the points of one row: objects per endpoint, and how well it explains them (0 to 1)."""

    slope: float
    r2: float


@dataclass(frozen=True, slots=True)
class RelatedRows:
    """The rows that an observer's objects are counted in, and the kmalloc caches, by the size they serve."""

    dentry: str | None
    inode_blob: str | None
    kmalloc: Mapping[int, str]

    def kmalloc_row(self, size_bytes: int) -> str | None:
        """The row of the smallest kmalloc cache that holds an allocation."""
        fitting = [size for size in self.kmalloc if size >= size_bytes]
        return self.kmalloc[min(fitting)] if fitting else None

    def vector_row(self, shape: RowShape) -> str | None:
        """The row of the vectors that say whom the objects of such a slab are charged to; one vector for each slab."""
        return self.kmalloc_row(shape.objects_per_slab * VECTOR_ENTRY_BYTES)


@dataclass(frozen=True, slots=True)
class FittedRow:
    """What an endpoint holds in one row."""

    row: str
    objects: float
    bytes: float
    r2: float


@dataclass(frozen=True, slots=True)
class Fit:
    """What an endpoint holds, in the rows that follow the number of endpoints; bytes are shares of full slabs."""

    rows: tuple[FittedRow, ...]
    vectors: FittedRow | None
    """Vectors of memory cgroups, one for each slab of accounted objects; they lie in kmalloc rows."""
    observer: FittedRow
    """What somebody who walks /proc/PID/fd made the kernel keep for each endpoint; taken out of `rows`."""
    control_bytes: float
    """What the control run says would have come without endpoints; taken out of `rows`."""
    all_rows_bytes: float
    """What endpoints hold in all rows: those that follow, and of every other row what `held` leaves to them."""
    other_programs_bytes: float
    """The rest of the growth of all rows, less observer and control; below 0 where other programs freed objects."""
    uncertain_bytes: float
    """By how much the catalogued rows may be off, since other programs use them too."""

    @property
    def bytes(self) -> float:
        """The sum over the rows, vectors not among them."""
        return sum(row.bytes for row in self.rows)


def fit_line(x: Sequence[float], y: Sequence[float]) -> FittedLine:
    """Least squares with an intercept. Without any spread in x or y, nothing follows: slope and r2 are 0."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    xx = sum((each - mean_x) ** 2 for each in x)
    yy = sum((each - mean_y) ** 2 for each in y)
    xy = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    if not xx or not yy:
        return FittedLine(0.0, 0.0)
    return FittedLine(xy / xx, xy * xy / (xx * yy))


def fit_run(
    series: Series,
    control: Mapping[str, FittedLine],
    shapes: Mapping[str, RowShape],
    related: RelatedRows,
    catalogued: Collection[str],
) -> Fit:
    """What an endpoint holds.

    Args:
        series: the readings of the run.
        control: the lines of the control run, over the connections that it opened and dropped.
        shapes: the sizes of each row.
        related: the rows that are read together.
        catalogued: the rows with objects that the catalogue has for such an endpoint.

    """
    known = {*catalogued, *related.kmalloc.values()}
    every = raw_columns(series, shapes)
    without = subtract_other_inodes(every, shapes, related, series.endpoints)
    columns = remove_drifts(series, without, shapes, known)
    lines = {
        row: fit_ramp_without_outlier(series, column) if row in known else fit_ramp(series, column)
        for row, column in columns.items()
    }
    drifts = {row: control_slope(control.get(row)) for row in lines}
    rows = [make_fitted_row(row, line.slope - drifts[row], line.r2, shapes[row]) for row, line in lines.items()]
    follow = [
        row
        for row in rows
        if row.r2 >= (MIN_R2 if row.row in known else MIN_R2_UNKNOWN)
        and row.bytes >= MIN_BYTES
        and released_share(columns[row.row]) >= MIN_RELEASED_SHARE
    ]
    loose = without.keys() - {row.row for row in follow}
    in_loose = [(most_per_endpoint(series, without[row]) - drifts[row]) * shapes[row].share_bytes for row in loose]
    all_rows_bytes = sum(row.bytes for row in follow) + sum(each for each in in_loose if each >= MIN_BYTES)
    uncertain_bytes = sum(
        slope_uncertainty(series, columns[row.row], row.objects + drifts[row.row], shapes[row.row])
        * shapes[row.row].share_bytes
        for row in follow
        if row.row in catalogued
    )
    observer = fit_observer(series, shapes, related)
    control_bytes = sum(drifts[row] * shapes[row].share_bytes for row in lines)
    grown = sum(fit_ramp(series, column).slope * shapes[row].share_bytes for row, column in every.items())
    return Fit(
        rows=tuple(sorted(follow, key=lambda row: -row.bytes)),
        vectors=None,
        observer=observer,
        control_bytes=control_bytes,
        all_rows_bytes=all_rows_bytes,
        uncertain_bytes=uncertain_bytes,
        other_programs_bytes=grown - all_rows_bytes - observer.bytes - control_bytes,
    )


def fit_control_run(series: Series, shapes: Mapping[str, RowShape], related: RelatedRows) -> dict[str, FittedLine]:
    """The lines of a control run, cleaned as those of any other."""
    without = subtract_other_inodes(raw_columns(series, shapes), shapes, related, series.endpoints)
    return {row: fit_ramp(series, column) for row, column in remove_drifts(series, without, shapes).items()}


def raw_columns(series: Series, shapes: Mapping[str, RowShape]) -> dict[str, Column]:
    """The counts of every row that has a size, as they were read."""
    return {
        row: [float(point.active.get(row, 0)) for point in series.points]
        for row in series.ramp[-1].active
        if row in shapes
    }


def remove_drifts(
    series: Series, columns: Mapping[str, Column], shapes: Mapping[str, RowShape], known: Collection[str] = ()
) -> dict[str, Column]:
    """The columns without drift.

    In a row with objects of the sockets' own, a large drift is rather a burst, and is not spread over the readings.
    """
    times = [point.at_s - series.opening.at_s for point in series.points]
    return {
        row: remove_drift(column, times, shapes[row], MAX_DRIFT_SHARE if row in known else None)
        for row, column in columns.items()
    }


def most_per_endpoint(series: Series, column: Column) -> float:
    """Objects that each endpoint can hold in a row at most, however other programs use it.

    What an endpoint holds comes in every step of the ramp and is gone in the closing reading. So neither the smallest
    step but one (a row may shrink by another program's doing) nor what went at the end is less than that.
    """
    endpoints, counts = series.endpoints, column[1:-1]
    steps = sorted(
        (after - before) / (endpoints[at + 1] - endpoints[at]) for at, (before, after) in enumerate(pairwise(counts))
    )
    went = (column[-2] - column[-1]) / endpoints[-1]
    return max(0.0, min(steps[1], went))


def slope_uncertainty(series: Series, column: Column, slope: float, shape: RowShape) -> float:
    """By how many objects per endpoint a row's slope may be off.

    By what it differs from each step; or by what stayed, or was missing, at the end and could have come or gone during
    the ramp.
    """
    drift = abs(column[-1] - column[0])
    drifted = drift / series.endpoints[-1] if drift > shape.slack_objects else 0.0
    return max(abs(slope - most_per_endpoint(series, column)), drifted)


def fit_ramp(series: Series, column: Column) -> FittedLine:
    """The line through the ramp of one row."""
    return fit_line(series.endpoints, column[1:-1])


def fit_ramp_without_outlier(series: Series, column: Column) -> FittedLine:
    """The line through the ramp, without the one reading or step that another program's objects put off it."""
    line = fit_ramp(series, column)
    if line.r2 >= STRAIGHT_R2:
        return line
    endpoints, counts = series.endpoints, column[1:-1]
    without_one = [
        fit_line(endpoints[:at] + endpoints[at + 1 :], counts[:at] + counts[at + 1 :]) for at in range(len(counts))
    ]
    without_step = [fit_line(endpoints, level_step(endpoints, counts, at)) for at in range(1, len(counts))]
    best = max(*without_one, *without_step, key=lambda each: each.r2)
    return best if best.r2 >= STRAIGHT_WITHOUT_OUTLIER_R2 else line


def level_step(endpoints: Column, counts: Column, at: int) -> Column:
    """The counts as if the step to one of them had been as large as the others were on average."""
    step = endpoints[at] - endpoints[at - 1]
    others = (counts[-1] - counts[0]) - (counts[at] - counts[at - 1])
    spare = counts[at] - counts[at - 1] - step * others / (endpoints[-1] - endpoints[0] - step)
    return counts[:at] + [count - spare for count in counts[at:]]


def make_fitted_row(row: str, slope: float, r2: float, shape: RowShape) -> FittedRow:
    """A slope in objects, with its bytes."""
    return FittedRow(row, slope, slope * shape.share_bytes, r2)


def control_slope(line: FittedLine | None) -> float:
    """What a control run's row grows by for each connection; 0 where it only jitters."""
    return line.slope if line is not None and line.r2 >= MIN_CONTROL_R2 else 0.0


def released_share(column: Column) -> float:
    """Of what a row grew by over the ramp, the share that was gone in the closing reading."""
    growth = column[-2] - column[1]
    return (column[-2] - column[-1]) / growth if growth else 0.0


def remove_drift(column: Column, times: Sequence[float], shape: RowShape, most: float | None) -> Column:
    """A row without what grew or shrank evenly from before the namespace until after it: other programs' objects.

    `most` is the share of the growth over the ramp that may be drift; None for any.
    """
    drift = column[-1] - column[0]
    if abs(drift) <= shape.slack_objects or not times[-1]:
        return column
    if most is not None and abs(drift) > most * abs(column[-2] - column[1]):
        return column
    return [count - drift * at / times[-1] for count, at in zip(column, times, strict=True)]


def subtract_other_inodes(
    columns: Mapping[str, Column], shapes: Mapping[str, RowShape], related: RelatedRows, endpoints: Sequence[float]
) -> dict[str, Column]:
    """The counts with those objects taken out that belong to other inodes, at each reading by its own count of them.

    Somebody who walks /proc/PID/fd makes the kernel keep an inode of /proc, its dentry and its LSM blob for every
    descriptor, whenever he comes by. Inodes of other file systems have an LSM blob too; their dentries stay or go by
    rules of their own, and are not taken out.
    """
    without = {row: list(column) for row, column in columns.items() if row != OBSERVER_ROW}
    seen = growth(columns.get(OBSERVER_ROW))
    inodes = [growth(column) for row, column in columns.items() if OTHER_INODES.match(row)]
    if seen and related.dentry in without:
        without[related.dentry] = subtract(without[related.dentry], seen)
    if inodes and related.inode_blob in without:
        without[related.inode_blob] = subtract(
            without[related.inode_blob], [sum(each) for each in zip(*inodes, strict=True)]
        )
    for source in (OBSERVER_ROW, related.dentry or OBSERVER_ROW):
        row = related.vector_row(shapes[source]) if seen and source in shapes else None
        if row is not None and row in without:
            per_slab = [count / shapes[source].objects_per_slab for count in seen]
            without[row] = choose_straighter(endpoints, without[row], subtract(without[row], per_slab))
    return without


def growth(column: Column | None) -> Column:
    """A row's objects beyond those of its first reading; nothing where there is no such row."""
    return [count - column[0] for count in column] if column else []


def subtract(column: Column, other: Column) -> Column:
    """One column less another."""
    return [count - taken for count, taken in zip(column, other, strict=True)]


def choose_straighter(endpoints: Sequence[float], first: Column, second: Column) -> Column:
    """The column that follows the endpoints better: whether slabs have vectors depends on memory cgroups."""
    return max((first, second), key=lambda column: fit_line(endpoints, column[1:-1]).r2)


def fit_observer(series: Series, shapes: Mapping[str, RowShape], related: RelatedRows) -> FittedRow:
    """An inode of /proc with its dentry and its LSM blob, for each endpoint."""
    line = fit_line(series.endpoints, [float(point.active.get(OBSERVER_ROW, 0)) for point in series.ramp])
    rows = (OBSERVER_ROW, related.dentry, related.inode_blob)
    share = sum(shapes[row].share_bytes for row in rows if row is not None and row in shapes)
    return FittedRow(OBSERVER_ROW, line.slope, line.slope * share, line.r2)
