"""Tests of the arrangement: at any size the panes tile the screen, and each designed size has the panes it promises."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.view.arrangement import Box, arrange

DESIGNED = [(40, 5), (40, 12), (60, 20), (80, 24), (120, 40), (160, 50), (200, 60), (240, 70)]


def content_rows(box: Box) -> int:
    return box.rows - box.titled


@given(
    st.integers(1, 300),
    st.integers(1, 100),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "figure", "caches", "buddy", "nodes"]),
)
def test_panes_tile_the_screen(
    columns: int, rows: int, several: bool, timeline: bool, graphs: bool, zoomed: str | None
) -> None:
    boxes = arrange(columns, rows, several, timeline, graphs, zoomed)
    assert graphs or "graphs" not in boxes
    cells = [
        (x, y)
        for box in boxes.values()
        for x, y in itertools.product(range(box.x, box.x + box.columns), range(box.y, box.y + box.rows))
    ]
    assert len(cells) == len(set(cells)) == columns * rows
    assert max(cells) < (columns, rows)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(("columns", "rows"), DESIGNED)
def test_both_headlines_and_the_limits_are_on_every_designed_size(columns: int, rows: int, several: bool) -> None:
    boxes = arrange(columns, rows, several)
    assert {"head", "figure", "tcp", "limits"} <= boxes.keys()
    if columns >= 60:
        assert boxes["figure"].y == boxes["tcp"].y
        assert boxes["figure"].rows == boxes["tcp"].rows


@pytest.mark.parametrize("several", [False, True])
def test_the_panes_of_80_by_24(several: bool) -> None:
    """Without any key, the screen shows bytes per connection, the caches, the free blocks and three limits."""
    boxes = arrange(80, 24, several)
    assert content_rows(boxes["limits"]) == 3
    assert content_rows(boxes["figure"]) == 4
    assert content_rows(boxes["caches"]) >= 6
    assert content_rows(boxes["buddy"]) >= 5
    assert arrange(80, 24, several, timeline=True)["timeline"].rows == 1


@pytest.mark.parametrize(("nodes", "blocks"), [(2, 18), (8, 12), (15, 5), (16, 0), (64, 0)])
def test_below_the_table_of_the_nodes_are_their_free_blocks_if_the_table_leaves_lines(nodes: int, blocks: int) -> None:
    boxes = arrange(80, 24, nodes, zoomed="nodes")
    assert boxes["nodes"].rows == 22 - blocks
    assert boxes["buddy"].rows == blocks if blocks else "buddy" not in boxes


@pytest.mark.parametrize(
    ("columns", "rows", "lines"), [(40, 5, 1), (40, 12, 1), (60, 20, 2), (80, 24, 3), (120, 40, 6)]
)
def test_the_number_of_limits_follows_from_the_size(columns: int, rows: int, lines: int) -> None:
    for several in (False, True):
        assert content_rows(arrange(columns, rows, several)["limits"]) == lines


def test_the_pane_beside_the_limits() -> None:
    """The pane shows the nodes if there are several nodes, and otherwise the graphs."""
    assert "nodes" in arrange(120, 40, nodes=4)
    assert "graphs" not in arrange(120, 40, nodes=4)
    assert "graphs" in arrange(120, 40)
    assert {"nodes", "graphs"} <= arrange(160, 50, nodes=4).keys()


@pytest.mark.parametrize(("columns", "rows"), [(200, 60), (240, 70)])
def test_wide_screens_explain_the_selected_cache(columns: int, rows: int) -> None:
    boxes = arrange(columns, rows, nodes=4)
    assert {"nodes", "graphs", "explanation"} <= boxes.keys()
    assert boxes["explanation"].x == boxes["graphs"].x > boxes["caches"].x
    assert boxes["explanation"].rows >= 30
    assert boxes["graphs"].rows >= 15


def test_the_larger_screen_has_no_smaller_pane() -> None:
    smaller: dict[str, Box] = {}
    for columns, rows in DESIGNED[3:6]:
        boxes = arrange(columns, rows, nodes=4)
        for name, box in smaller.items():
            assert boxes[name].rows >= box.rows, (name, columns, rows)
        smaller = dict(boxes)
