"""Estimates the objects per endpoint from the readings of one run, by least squares.

The module does no input or output.

The model: while x endpoints are in the state, a slab row counts y = a + b·x active objects on the whole machine. The
fit uses only the ramp: five readings, at x = 0 and after each of four steps. The slope b is the row's objects per
endpoint; a is the number of all other objects in the row. The fit subtracts the row's slope in the control run from the
slope b.

Other programs' objects are removed before the fit:

- objects of inodes that do not belong to sockets; each reading also counts these inodes (`subtract_other_inodes`);
- a drift: the change between the opening and the closing reading, when no endpoints exist (`remove_drifts`);
- in a known row, one outlier: a reading or a step (`fit_ramp_without_outlier`).

A row is known if the catalogue predicts objects of the endpoints in the row. Every kmalloc row is also a known row,
since a kmalloc row may contain vectors.

A row that passes three tests is accepted as holding objects of the endpoints. The line of an accepted row is straight
(`MIN_R2`, `MIN_R2_UNKNOWN`). The slope of an accepted row is large enough (`MIN_BYTES`). The growth of an accepted row
is gone after the endpoints are freed (`MIN_RELEASED_SHARE`).

For every row that is not accepted, `most_per_endpoint` is an upper bound on the endpoints' objects in the row.
`Fit.all_rows_bytes` is the sum of the accepted rows and of the upper bounds of the other rows. The sum therefore
includes endpoints' objects in rows that another program disturbed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from tcptop.accounting.cgroup_vectors import VECTOR_ENTRY_WORDS
from tcptop.accounting.slub_layout import WORD_BYTES, cpu_partial_objects

MIN_R2 = 0.9
"""Minimum r² that a known row must have to be accepted. The catalogue predicts that a known row grows, so the row is
accepted in spite of moderate noise."""

MIN_R2_UNKNOWN = 0.985
"""Minimum r² that an unknown row must have to be accepted. The limit for unknown rows is stricter than `MIN_R2`, since
other programs' objects can grow nearly linearly for a few seconds."""

MIN_RELEASED_SHARE = 0.5
"""A row is accepted only if closing the endpoints reverses at least this share of the row's growth.

The share is near 1 for rows that grew by objects of the endpoints, and near 0 for rows that grew for another reason.
"""

MIN_BYTES = 0.5
"""Minimum bytes per endpoint that a row must have to be accepted. A smaller amount is noise: free objects on per-CPU
slabs count as active, and their number varies."""

MIN_CONTROL_R2 = 0.9
"""Minimum r² of a row in the control run. If the r² of a row is smaller, the row's counts only jitter, and the row's
slope is not subtracted from the other runs."""

STRAIGHT_R2 = 0.9999
STRAIGHT_WITHOUT_OUTLIER_R2 = 0.9995
"""A known row with an r² below `STRAIGHT_R2` is fitted again without one reading or one step. The second fit is used if
its r² is at least `STRAIGHT_WITHOUT_OUTLIER_R2`. A line through four readings nearly always has a larger r² than the
line through all five readings. A larger r² therefore does not prove that the omitted reading was disturbed. A line
through four readings reaches `STRAIGHT_WITHOUT_OUTLIER_R2` only if none of the four readings was disturbed."""

MAX_DRIFT_SHARE = 0.15
"""Maximum drift that is removed from a known row, as a share of the row's growth over the ramp. A larger drift is more
likely a burst of allocations by another program. A drift is removed as a straight line over the time of the run. A
burst is not a straight line, so its removal would change the slope of the fitted line."""

SLACK_CPUS = 2
"""Number of CPUs on which a run frees objects: the CPU of the child process, and the CPU of the kernel worker that
frees the namespace."""

OBSERVER_ROW = "proc_inode_cache"
"""The row that grows if an observer walks /proc/PID/fd during the run. An observer is a process such as lsof, or ss
with option -p."""

OTHER_INODES = re.compile(r"(?!sock_|lsm_|selinux_)(?:\w+_)?inode(?:_cache)?$")
"""Matches the name of each row that counts inodes of a file system, including /proc. Each inode also adds one LSM inode
blob (fs/inode.c, inode_init_always)."""


class RowShape(NamedTuple):
    """The slab size of a row, and the number of objects in one slab."""

    objects_per_slab: int
    slab_bytes: int

    @property
    def slack_objects(self) -> int:
        """Maximum number of free objects that this row has on per-CPU slabs.

        Free objects on per-CPU slabs count as active, so only a larger change between two readings is significant.

        Each of `SLACK_CPUS` CPUs may have one current slab and several partial slabs. The kernel limits the number of a
        CPU's partial slabs (mm/slub.c, set_cpu_partial). At this limit, the slabs have cpu_partial free objects if each
        slab is half full, and 2 · cpu_partial free objects if all objects are free.
        """
        partial = cpu_partial_objects(self.share_bytes)
        return SLACK_CPUS * (2 * partial + self.objects_per_slab)

    @property
    def share_bytes(self) -> float:
        """An object's share of a full slab, in bytes; 0 if the objects per slab are unknown."""
        return self.slab_bytes / self.objects_per_slab if self.objects_per_slab else 0.0


class SlabReading(NamedTuple):
    """Active objects of every row at one time. With SLUB the counts include free objects on per-CPU slabs."""

    at_s: float
    active: Mapping[str, int]
    sockets: int | None
    """Full TCP sockets of the whole machine (sockstat's `alloc`), read right after the rows; None if unknown."""


class Series(NamedTuple):
    """The readings of one run."""

    opening: SlabReading
    """The reading before the namespace was made."""
    ramp: tuple[SlabReading, ...]
    """The readings after 0, 1, 2, … steps; each step adds `step` endpoints."""
    closing: SlabReading
    """The reading after the namespace was freed."""
    step: int
    """Number of endpoints that one step adds."""

    @property
    def endpoints(self) -> list[float]:
        """Number of endpoints at each reading of the ramp."""
        return [float(number * self.step) for number in range(len(self.ramp))]


Column = list[float]
"""The counts of one row at all readings of a series: opening, ramp, closing."""


class FittedLine(NamedTuple):
    """Least-squares line through one row's readings: slope in objects per endpoint, and r² (0 to 1)."""

    slope: float
    r2: float


class RelatedRows(NamedTuple):
    """Rows whose counts depend on the counts of other rows.

    Each inode adds dentries and an LSM inode blob; each slab of an accounted cache adds a vector to a kmalloc row.
    """

    dentry: str | None
    inode_blob: str | None
    kmalloc: Mapping[int, str]
    """The row of each kmalloc cache, by the maximum size in bytes of an allocation from this cache."""

    def kmalloc_row(self, size_bytes: int) -> str | None:
        """The row of the smallest kmalloc cache with room for an allocation; None if the allocation is too large."""
        fitting = [size for size in self.kmalloc if size >= size_bytes]
        return self.kmalloc[min(fitting)] if fitting else None

    def vector_row(self, shape: RowShape) -> str | None:
        """The row that contains the obj_cgroup vectors of slabs with the given shape.

        Each slab has one vector, and the vector has one entry for each object of the slab. The result is None if the
        vector is too large for every kmalloc cache.
        """
        return self.kmalloc_row(shape.objects_per_slab * VECTOR_ENTRY_WORDS * WORD_BYTES)


class FittedRow(NamedTuple):
    """Objects and bytes that an endpoint holds in one row."""

    row: str
    objects: float
    bytes: float
    r2: float


class Fit(NamedTuple):
    """Result of one run. All figures are per endpoint; bytes are shares of full slabs."""

    rows: tuple[FittedRow, ...]
    """The accepted rows, the largest first."""
    vectors: FittedRow | None
    """Memory cgroups' obj_cgroup vectors, one for each slab of accounted objects. None if there are no vectors, or if
    vectors.py has not yet separated the vectors from the kmalloc rows."""
    observer: FittedRow
    """Inodes of /proc that exist because a process walks /proc/PID/fd; `rows` leaves these inodes out. The bytes
    include the dentries and LSM blobs of the inodes."""
    control_bytes: float
    """Growth of all rows per connection in the control run, which has no endpoints; `rows` leaves this growth out."""
    all_rows_bytes: float
    """Upper bound on the bytes of one endpoint in all rows: the bytes of the accepted rows, plus the bytes of
    `most_per_endpoint` objects for every row that was not accepted."""
    other_programs_bytes: float
    """Growth of all rows minus the sum of `all_rows_bytes`, the bytes of `observer`, and `control_bytes`. The figure is
    negative if other programs freed objects."""
    uncertain_bytes: float
    """Error bound on the bytes of the catalogued rows, which also contain other programs' objects. The error bound of a
    row is `slope_uncertainty` plus the row's slope in the control run: another program may have caused the growth in
    the control run."""


def fit_line(x: Sequence[float], y: Sequence[float]) -> FittedLine:
    """Ordinary least squares with an intercept; slope and r² are 0 if x or y does not vary."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    xx = sum((each - mean_x) ** 2 for each in x)
    yy = sum((each - mean_y) ** 2 for each in y)
    xy = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    if not xx or not yy:
        return FittedLine(0.0, 0.0)
    return FittedLine(xy / xx, xy * xy / (xx * yy))


def fit_run(
    series: Series,
    control: Mapping[str, float],
    shapes: Mapping[str, RowShape],
    related: RelatedRows,
    catalogued: Collection[str],
) -> Fit:
    """Fits every row of a run; returns the objects and bytes that one endpoint holds.

    Args:
        series: the readings of the run.
        control: the slopes of the control run, from `fit_control_run`.
        shapes: the slab size of each row.
        related: the rows whose counts depend on the counts of other rows.
        catalogued: the rows in which the catalogue predicts objects of the endpoints of this run.

    """
    known = {*catalogued, *related.kmalloc.values()}
    raw = raw_columns(series, shapes)
    own_inodes = subtract_other_inodes(series, raw, shapes, related)
    columns = remove_drifts(series, own_inodes, shapes, known)
    lines = {
        row: fit_ramp_without_outlier(series, column) if row in known else fit_ramp(series, column)
        for row, column in columns.items()
    }
    control_slopes = {row: control.get(row, 0.0) for row in lines}
    rows = [make_fitted_row(row, line.slope - control_slopes[row], line.r2, shapes[row]) for row, line in lines.items()]
    accepted = [
        row
        for row in rows
        if row.r2 >= (MIN_R2 if row.row in known else MIN_R2_UNKNOWN)
        and row.bytes >= MIN_BYTES
        and released_share(columns[row.row]) >= MIN_RELEASED_SHARE
    ]
    rejected = own_inodes.keys() - {row.row for row in accepted}
    bounds = [
        (most_per_endpoint(series, own_inodes[row]) - control_slopes[row]) * shapes[row].share_bytes for row in rejected
    ]
    all_rows_bytes = sum(row.bytes for row in accepted) + sum(bound for bound in bounds if bound >= MIN_BYTES)
    uncertain_bytes = sum(
        (
            slope_uncertainty(series, columns[row.row], row.objects + control_slopes[row.row], shapes[row.row])
            + abs(control_slopes[row.row])
        )
        * shapes[row.row].share_bytes
        for row in accepted
        if row.row in catalogued
    )
    observer = fit_observer(series, shapes, related)
    control_bytes = sum(control_slopes[row] * shapes[row].share_bytes for row in lines)
    growth_bytes = sum(fit_ramp(series, column).slope * shapes[row].share_bytes for row, column in raw.items())
    return Fit(
        rows=tuple(sorted(accepted, key=lambda row: -row.bytes)),
        vectors=None,
        observer=observer,
        control_bytes=control_bytes,
        all_rows_bytes=all_rows_bytes,
        uncertain_bytes=uncertain_bytes,
        other_programs_bytes=growth_bytes - all_rows_bytes - observer.bytes - control_bytes,
    )


def fit_control_run(
    series: Series, shapes: Mapping[str, RowShape], related: RelatedRows, endpoint_rows: Collection[str] = ()
) -> dict[str, float]:
    """Growth of each row in the control run, per connection opened and dropped; omits rows whose counts only jitter.

    Other programs' inodes and drifts are removed in the same way as in `fit_run`. `endpoint_rows` are the rows that
    only TCP uses. The control run leaves no endpoints. A row of `endpoint_rows` therefore grows for two reasons only.
    The kernel may free the objects of dropped connections so late that a reading still counts these objects, and
    another program may open sockets. The returned growth is subtracted from the endpoints of every other run, so growth
    of `endpoint_rows` is left out.
    """
    columns = subtract_other_inodes(series, raw_columns(series, shapes), shapes, related)
    lines = {row: fit_ramp(series, column) for row, column in remove_drifts(series, columns, shapes).items()}
    return {row: line.slope for row, line in lines.items() if line.r2 >= MIN_CONTROL_R2 and row not in endpoint_rows}


def raw_columns(series: Series, shapes: Mapping[str, RowShape]) -> dict[str, Column]:
    """The unmodified counts of every row whose slab size is known."""
    return {
        row: [float(reading.active.get(row, 0)) for reading in (series.opening, *series.ramp, series.closing)]
        for row in series.ramp[-1].active
        if row in shapes
    }


def remove_drifts(
    series: Series, columns: Mapping[str, Column], shapes: Mapping[str, RowShape], known: Collection[str] = ()
) -> dict[str, Column]:
    """Subtracts the drift from each column. The drift is assumed to be linear in time.

    The drift is the count of the closing reading minus the count of the opening reading. No endpoint exists at the
    opening and closing readings, so the drift belongs to other programs. A drift of at most `slack_objects` is too
    small to be subtracted. In a known row, a drift above `MAX_DRIFT_SHARE` of the growth is kept: so large a drift is
    more likely a burst of allocations by another program.
    """
    first_s, *_, last_s = times = [reading.at_s for reading in (series.opening, *series.ramp, series.closing)]
    corrected = dict(columns)
    for row, column in columns.items():
        drift = column[-1] - column[0]
        is_burst = row in known and abs(drift) > MAX_DRIFT_SHARE * abs(column[-2] - column[1])
        if abs(drift) > shapes[row].slack_objects and not is_burst:
            shares = [(at_s - first_s) / (last_s - first_s) for at_s in times]
            corrected[row] = [count - drift * share for count, share in zip(column, shares, strict=True)]
    return corrected


def most_per_endpoint(series: Series, column: Column) -> float:
    """Upper bound on the objects of one endpoint in a row; the bound holds even if other programs use the row.

    Every step of the ramp adds objects of endpoints, and the closing reading has no endpoints. Other programs'
    allocations enlarge a step, so the growth in a small step is an upper bound on the objects of the step's endpoints.
    The first bound is the growth per endpoint in the second smallest step. The smallest step is not used, since another
    program may have freed objects during this step. The second bound is the number of objects per endpoint that
    the kernel freed between the last reading of the ramp and the closing reading. The function returns the smaller of
    the two bounds, but at least 0.
    """
    endpoints, counts = series.endpoints, column[1:-1]
    steps = sorted(
        (after - before) / (endpoints[at + 1] - endpoints[at]) for at, (before, after) in enumerate(pairwise(counts))
    )
    freed = (column[-2] - column[-1]) / endpoints[-1]
    return max(0.0, min(steps[1], freed))


def slope_uncertainty(series: Series, column: Column, slope: float, shape: RowShape) -> float:
    """Error bound on a row's slope, in objects per endpoint: the larger of two bounds.

    The first bound is the difference between the slope and `most_per_endpoint`. The second bound is the drift per
    endpoint, since other programs may have allocated or freed objects during the ramp. The drift is the difference
    between the closing and the opening reading. A drift of at most `slack_objects` counts as 0.
    """
    drift = abs(column[-1] - column[0])
    drifted = drift / series.endpoints[-1] if drift > shape.slack_objects else 0.0
    return max(abs(slope - most_per_endpoint(series, column)), drifted)


def fit_ramp(series: Series, column: Column) -> FittedLine:
    """The straight line through the readings of a row during the ramp, while the endpoints were opened."""
    return fit_line(series.endpoints, column[1:-1])


def fit_ramp_without_outlier(series: Series, column: Column) -> FittedLine:
    """The line through the readings of the ramp; leaves out at most one outlier.

    An outlier is a reading or a step that another program disturbed. If another program's objects existed during a
    single reading, this reading is left out. If another program allocated objects in one step and kept them, the mean
    of the other steps replaces the disturbed step. The docstring of `STRAIGHT_WITHOUT_OUTLIER_R2` says when an outlier
    is left out.
    """
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
    """Replaces the growth per endpoint in one step by the mean of the other steps; returns the new counts.

    The step with the new growth ends at reading `at`.
    """
    step = endpoints[at] - endpoints[at - 1]
    others = (counts[-1] - counts[0]) - (counts[at] - counts[at - 1])
    spare = counts[at] - counts[at - 1] - step * others / (endpoints[-1] - endpoints[0] - step)
    return counts[:at] + [count - spare for count in counts[at:]]


def make_fitted_row(row: str, slope: float, r2: float, shape: RowShape) -> FittedRow:
    """The fitted row of a line: `slope` objects per endpoint, and the bytes of these objects."""
    return FittedRow(row, slope, slope * shape.share_bytes, r2)


def released_share(column: Column) -> float:
    """Share of a row's growth that disappears when the endpoints are closed; 0 if the row did not grow."""
    growth = column[-2] - column[1]
    return (column[-2] - column[-1]) / growth if growth else 0.0


def subtract_other_inodes(
    series: Series, columns: Mapping[str, Column], shapes: Mapping[str, RowShape], related: RelatedRows
) -> dict[str, Column]:
    """Removes from the columns the objects that belong to inodes of file systems; returns the new columns.

    Each reading counts the inodes of file systems, and the number of inodes determines the number of objects to
    subtract.

    A process may walk /proc/PID/fd (lsof, ss -p) at any time during a run. For every descriptor walked, the kernel
    keeps three objects: an inode of /proc, the inode's dentry, and the inode's LSM blob. Inodes of other file systems
    also have an LSM blob each. The kernel caches and frees the dentries of other file systems independently of the
    inodes, so dentries are subtracted for inodes of /proc only.

    Slabs of /proc inodes and slabs of dentries have vectors only if memory cgroups are charged. Vectors are therefore
    subtracted from a kmalloc row only if the subtraction makes the row's line straighter.
    """
    corrected = {row: list(column) for row, column in columns.items() if row != OBSERVER_ROW}
    proc_inodes = growth(columns.get(OBSERVER_ROW))
    all_inodes = [growth(column) for row, column in columns.items() if OTHER_INODES.match(row)]
    if proc_inodes and related.dentry in corrected:
        corrected[related.dentry] = subtract(corrected[related.dentry], proc_inodes)
    if all_inodes and related.inode_blob in corrected:
        corrected[related.inode_blob] = subtract(
            corrected[related.inode_blob], [sum(each) for each in zip(*all_inodes, strict=True)]
        )
    for source in (OBSERVER_ROW, related.dentry or OBSERVER_ROW):
        row = related.vector_row(shapes[source]) if proc_inodes and source in shapes else None
        if row is not None and row in corrected:
            per_slab = [count / shapes[source].objects_per_slab for count in proc_inodes]
            columns_of_row = corrected[row], subtract(corrected[row], per_slab)
            corrected[row] = max(columns_of_row, key=lambda column: fit_ramp(series, column).r2)
    return corrected


def growth(column: Column | None) -> Column:
    """Growth of a row since its first reading, at each reading; empty if `column` is None or empty."""
    return [count - column[0] for count in column] if column else []


def subtract(column: Column, other: Column) -> Column:
    """The difference of two columns at each reading."""
    return [count - taken for count, taken in zip(column, other, strict=True)]


def fit_observer(series: Series, shapes: Mapping[str, RowShape], related: RelatedRows) -> FittedRow:
    """Inodes of /proc per endpoint; the bytes include one dentry and one LSM blob for each inode.

    The figures are 0 if the number of inodes fell.
    """
    line = fit_line(series.endpoints, [float(reading.active.get(OBSERVER_ROW, 0)) for reading in series.ramp])
    rows = (OBSERVER_ROW, related.dentry, related.inode_blob)
    share = sum(shapes[row].share_bytes for row in rows if row is not None and row in shapes)
    slope = max(0.0, line.slope)
    return FittedRow(OBSERVER_ROW, slope, slope * share, line.r2)
