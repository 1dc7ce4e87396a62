"""Separates memory cgroups' obj_cgroup vectors from the other objects in kmalloc rows.

The module does no input or output.

Every slab of accounted objects has one vector, allocated by kmalloc. The number of vectors per endpoint is therefore
estimated from the number of slabs per endpoint in all fitted rows. If slabs are not full, the true numbers of slabs and
vectors are larger than the estimated numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from tcptop.lab.fit import Fit, FittedRow, RelatedRows, RowShape, make_fitted_row

MAX_VECTORS_RATIO = 1.25
"""Maximum ratio of the vectors moved out of a row to the estimated number of vectors. The maximum is above 1 because
the estimate assumes full slabs. In fact some slabs are partly free, so the true numbers of slabs and vectors are larger
than the estimated numbers."""

MIN_REST_BYTES = 4.0
"""Minimum bytes per endpoint of a kmalloc row after the vectors are moved out. A kmalloc row with fewer bytes is noise,
and is removed."""

VECTORS = "obj_cgroup vectors"


def separate_vectors(
    run_fit: Fit, shapes: Mapping[str, RowShape], related: RelatedRows, catalogued: Mapping[str, float]
) -> Fit:
    """Moves the vectors of a fit out of its kmalloc rows; returns the new fit.

    Moves at most `MAX_VECTORS_RATIO` times the number from `expected_vectors` out of each row.

    Args:
        run_fit: a fit whose kmalloc rows include their vectors.
        shapes: the slab size of each row.
        related: the names of the kmalloc rows.
        catalogued: the objects per endpoint, vectors excluded, that the catalogue predicts in each row.

    """
    expected = expected_vectors(run_fit, shapes, related)
    vectors: list[FittedRow] = []
    rows: list[FittedRow] = []
    for row in run_fit.rows:
        others = max(0.0, row.objects - catalogued.get(row.row, 0.0))
        count = min(others, MAX_VECTORS_RATIO * expected.get(row.row, 0.0))
        rest = make_fitted_row(row.row, row.objects - count, row.r2, shapes[row.row])
        if count:
            vectors.append(make_fitted_row(row.row, count, row.r2, shapes[row.row]))
        if not count or rest.bytes >= MIN_REST_BYTES:
            rows.append(rest)
    return run_fit._replace(rows=tuple(rows), vectors=sum_vectors(vectors))


def expected_vectors(run_fit: Fit, shapes: Mapping[str, RowShape], related: RelatedRows) -> dict[str, float]:
    """The number of vectors per endpoint in each kmalloc row, assuming that every slab is full and has one vector."""
    expected: dict[str, float] = {}
    for row in run_fit.rows:
        shape = shapes[row.row]
        vector_row = related.vector_row(shape)
        if vector_row is not None:
            expected[vector_row] = expected.get(vector_row, 0.0) + row.objects / shape.objects_per_slab
    return expected


def sum_vectors(vectors: list[FittedRow]) -> FittedRow | None:
    """Combines the vectors of all rows into one row; None if there are no vectors.

    The r² of the combined row is the smallest r² of all rows.
    """
    if not vectors:
        return None
    return FittedRow(
        VECTORS,
        sum(row.objects for row in vectors),
        sum(row.bytes for row in vectors),
        min(row.r2 for row in vectors),
    )
