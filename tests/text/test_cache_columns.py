"""The columns of the cache table: sort keys, sort order, unknown values, and the share of a node."""

from __future__ import annotations

from typing import Any

import pytest

from tcptop.ledger import CacheLine, NodeCount
from tcptop.text.cache_columns import (
    COLUMNS,
    DEFAULT_SORT_KEY,
    SORT_KEYS,
    find_column,
    sort_rows,
)
from tcptop.text.cache_rows import CacheRow, select_rows

SLABTOP_KEYS = "abclnopsuv"
"""The sort keys of slabtop(1), without `t` of newer versions."""

LINE = CacheLine(
    name="TCP",
    row="TCP",
    aliases=(),
    objects_of=("struct tcp_sock",),
    in_catalogue=True,
    shared=False,
    object_bytes=2368,
    object_size_bytes=2360,
    objects_per_slab=13,
    pages_per_slab=8,
    order=3,
    slab_share_bytes=2520.62,
    active_objects=118,
    use=118 / 195,
    objects=195,
    slabs=15,
    bytes=491_520,
    active_per_s=None,
    nodes={0: NodeCount(130, 10, 327_680, 2.0), 2: NodeCount(65, 5, 163_840, None)},
    tcp_bytes=491_520,
)

UNKNOWN = LINE._replace(
    name="unknown",
    row="unknown",
    object_bytes=None,
    object_size_bytes=None,
    objects_per_slab=None,
    pages_per_slab=None,
    order=None,
    active_objects=None,
    use=None,
    objects=None,
    slabs=None,
    bytes=None,
    nodes=None,
    tcp_bytes=None,
)


def test_all_of_slabtops_sort_keys_are_bound() -> None:
    assert set(SLABTOP_KEYS) <= SORT_KEYS.keys()
    assert DEFAULT_SORT_KEY in SORT_KEYS
    assert {find_column(column_id).id for column_id in SORT_KEYS.values()} == set(SORT_KEYS.values())


@pytest.mark.parametrize(
    ("key", "figure"),
    [
        ("a", "active_objects"),
        ("b", "objects_per_slab"),
        ("c", "bytes"),
        ("l", "slabs"),
        ("o", "objects"),
        ("p", "pages_per_slab"),
        ("s", "object_bytes"),
        ("v", "slabs"),
        ("e", "tcp_bytes"),
    ],
)
def test_a_sort_key_sorts_by_slabtops_figure(key: str, figure: str) -> None:
    """The order is descending, or ascending if reversed; unknown values come last in both orders."""
    minimum = 0 if key != "s" else 1  # 0 objects have 0 bytes
    numbers = [7, minimum, 130, 12, None, 4_000]
    caches = []
    for at, number in enumerate(numbers):
        name = f"cache{at}"
        # All other figures have the opposite order, so that no other column sorts the same way.
        figures: dict[str, Any] = dict.fromkeys(FIGURES, 10_000 - (number or 0)) | {figure: number}
        caches.append(CacheRow(LINE._replace(name=name, row=name, object_size_bytes=None, **figures), None))
    down = [getattr(row.cache, figure) for row in sort_rows(caches, SORT_KEYS[key])]
    up = [getattr(row.cache, figure) for row in sort_rows(caches, SORT_KEYS[key], reverse=True)]
    assert down == [4_000, 130, 12, 7, minimum, None]
    assert up == [minimum, 7, 12, 130, 4_000, None]


FIGURES = (
    "active_objects",
    "objects_per_slab",
    "bytes",
    "slabs",
    "objects",
    "pages_per_slab",
    "object_bytes",
    "tcp_bytes",
)


def test_u_sorts_by_the_share_in_use() -> None:
    caches = [
        CacheRow(
            LINE._replace(name=str(active), active_objects=active, use=active / objects if objects else None), None
        )
        for active, objects in ((1, 2), (99, 100), (5, 50), (0, 0))
    ]
    assert [row.cache.active_objects for row in sort_rows(caches, SORT_KEYS["u"])] == [99, 1, 5, 0]
    assert [row.cache.active_objects for row in sort_rows(caches, SORT_KEYS["u"], reverse=True)] == [5, 1, 99, 0]


def test_n_sorts_names_ascending_first() -> None:
    caches = [CacheRow(LINE._replace(name=name, row=name), None) for name in ("filp", "TCP", "dentry")]
    assert [row.cache.name for row in sort_rows(caches, SORT_KEYS["n"])] == ["TCP", "dentry", "filp"]
    assert [row.cache.name for row in sort_rows(caches, SORT_KEYS["n"], reverse=True)] == ["filp", "dentry", "TCP"]


def test_equal_rows_are_sorted_by_name() -> None:
    caches = [CacheRow(LINE._replace(name=name, row=name), None) for name in ("c", "a", "b")]
    for lines in (caches, caches[::-1]):
        assert [row.cache.name for row in sort_rows(lines, SORT_KEYS["c"])] == ["a", "b", "c"]


def test_unknown_rows_are_sorted_by_name_too() -> None:
    caches = [CacheRow(UNKNOWN._replace(name=name, row=name), None) for name in ("c", "a", "b")]
    orders = {tuple(row.cache.name for row in sort_rows(lines, SORT_KEYS["c"])) for lines in (caches, caches[::-1])}
    assert orders == {("a", "b", "c")}


@pytest.mark.parametrize("each", [each.id for each in COLUMNS if not each.heading.left])
@pytest.mark.parametrize("node", [None, 0, 1])
def test_an_unknown_value_is_a_dash_and_never_0(each: str, node: int | None) -> None:
    assert find_column(each).text(CacheRow(UNKNOWN, node)) == "–"
    assert find_column(each).shown_value(CacheRow(UNKNOWN, node)) is None


def test_values_of_one_node() -> None:
    on = {node: {each.id: each.text(CacheRow(LINE, node)) for each in COLUMNS} for node in (None, 0, 1, 2)}
    assert [on[node]["objects"] for node in on] == ["195", "130", "0", "65"]
    assert [on[node]["slabs"] for node in on] == ["15", "10", "0", "5"]
    assert [on[node]["bytes"] for node in on] == ["480K", "320K", "0", "160K"]
    assert [on[node]["share"] for node in on] == ["100%", "67%", "0%", "33%"]
    assert [on[node]["per_second"] for node in on] == ["–", "+2", "–", "–"]


def test_figures_that_slabinfo_has_only_for_the_machine_have_no_column_by_node() -> None:
    assert {each.id for each in COLUMNS if "node" not in each.scopes} == {"active", "use"}


def test_a_merged_cache_has_its_own_row_only_if_its_slabinfo_row_is_unknown() -> None:
    merged = LINE._replace(name="tcp_bind_bucket", row="eventpoll_epi")
    row_unknown = LINE._replace(name="tcp_bind_bucket", row=None)
    other = LINE._replace(name="eventpoll_epi", row="eventpoll_epi")
    unrelated = LINE._replace(name="radix_tree_node", row="radix_tree_node", in_catalogue=False)
    assert [row.cache.name for row in select_rows([other, merged, unrelated], None)] == ["eventpoll_epi"]
    assert [row.cache.name for row in select_rows([row_unknown], None)] == ["tcp_bind_bucket"]
    assert [row.cache.name for row in select_rows([other, unrelated], None, only_catalogue=False)] == [
        "eventpoll_epi",
        "radix_tree_node",
    ]


def test_every_column_has_a_unique_heading_help_and_sort_key() -> None:
    titles = [each.heading.title for each in COLUMNS]
    for texts in ([each.id for each in COLUMNS], titles, [each.help for each in COLUMNS]):
        assert len(set(texts)) == len(texts)
        assert all(texts)
    assert len({each.sort_key for each in COLUMNS if each.sort_key}) == sum(1 for each in COLUMNS if each.sort_key)


def test_no_two_columns_are_equally_important_and_the_name_comes_first() -> None:
    ranks = [column.rank for column in COLUMNS]
    assert len(set(ranks)) == len(ranks)
    assert min(COLUMNS, key=lambda column: column.rank).is_name


def test_every_heading_fits_its_column_with_a_sort_mark() -> None:
    assert all(column.width >= len(column.heading.title) + 1 for column in COLUMNS)
