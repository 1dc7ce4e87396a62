"""Memory cgroups' vectors told apart from other objects in the kmalloc rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tcptop.lab.fit import Fit, FittedRow, RelatedRows, RowShape, make_fitted_row

MAX_VECTORS_RATIO = 1.25
"""Slabs fill up unevenly, so there may be so many times the vectors that full slabs would have."""

MIN_REST_BYTES = 4.0
"""Per endpoint; what is left of a kmalloc row beside its vectors is noise below this."""

VECTORS = "obj_cgroup vectors"


def separate_vectors(
    found: Fit, shapes: Mapping[str, RowShape], related: RelatedRows, catalogued: Mapping[str, float]
) -> Fit:
    """The fit with what grew in kmalloc rows told apart, as far as the slabs of the other rows explain it.

    Args:
        found: a fit whose kmalloc rows hold everything that grew in them.
        shapes: the sizes of each row.
        related: the kmalloc rows.
        catalogued: the objects per endpoint that the catalogue has in each row; those are no vectors.

    """
    expected = expected_vectors(found, shapes, related)
    vectors: list[FittedRow] = []
    rows: list[FittedRow] = []
    for row in found.rows:
        others = max(0.0, row.objects - catalogued.get(row.row, 0.0))
        count = min(others, MAX_VECTORS_RATIO * expected.get(row.row, 0.0))
        rest = make_fitted_row(row.row, row.objects - count, row.r2, shapes[row.row])
        if count:
            vectors.append(make_fitted_row(row.row, count, row.r2, shapes[row.row]))
        if not count or rest.bytes >= MIN_REST_BYTES:
            rows.append(rest)
    return replace(found, rows=tuple(rows), vectors=sum_vectors(vectors))


def expected_vectors(found: Fit, shapes: Mapping[str, RowShape], related: RelatedRows) -> dict[str, float]:
    """For each kmalloc row, how many vectors there are per endpoint if every slab has one."""
    expected: dict[str, float] = {}
    for row in found.rows:
        shape = shapes[row.row]
        at = related.vector_row(shape)
        if at is not None:
            expected[at] = expected.get(at, 0.0) + row.objects / shape.objects_per_slab
    return expected


def sum_vectors(vectors: list[FittedRow]) -> FittedRow | None:
    """Several rows' vectors as one part; its r2 is that of the loosest."""
    if not vectors:
        return None
    return FittedRow(
        VECTORS,
        sum(each.objects for each in vectors),
        sum(each.bytes for each in vectors),
        min(each.r2 for each in vectors),
    )
