"""Tests of the mark beside the average if idle objects are a large part of the average, at every width."""

from __future__ import annotations

import re

import pytest
from drive import tree
from recorded import ledger_of

from tcptop.explanation.glossary.find import find_entries
from tcptop.ledger import Slice
from tcptop.text.line import text_of
from tcptop.widgets.figure_pane import figure_lines, large_figure

SIZES = [(30, 1), (30, 5), (40, 5), (66, 8), (75, 9), (120, 9)]


def texts(idle_share: float, columns: int, rows: int) -> str:
    cost = ledger_of(tree("6.1-4n")).costs["full"]
    assert cost.now_bytes is not None
    cost = cost._replace(idle_bytes_per_socket=idle_share * cost.now_bytes)
    return "\n".join(text_of(line) for line in figure_lines(cost, columns, rows))


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_idle_objects_that_weigh_in_are_named_beside_the_average(columns: int, rows: int) -> None:
    head = " ".join(texts(0.1, columns, rows).splitlines()[:2])
    assert re.search(r"371 B(?: of them)? idle", head)
    assert columns < 40 or ("average now" if columns > 40 else "average,") in head
    assert find_entries("idle")
    assert find_entries("of them idle")


@pytest.mark.parametrize("tenths", range(100))
def test_the_bar_rounds_the_idle_part_as_the_text_beside_the_average(tenths: int) -> None:
    cost = ledger_of(tree("6.1-4n")).costs["full"]
    idle = 500.0 + tenths / 10
    slices = (*(part for part in cost.now_slices if part.label != "idle"), Slice("idle", idle))
    cost = cost._replace(idle_bytes_per_socket=idle, now_slices=slices, now_bytes=sum(part.bytes for part in slices))
    _, _, parts, _ = large_figure(cost, None)
    head = text_of(figure_lines(cost, 120, 9)[0])
    assert f" {parts[-1].bytes} B of them idle" in head
    assert sum(part.bytes for part in parts) == round(cost.now_bytes or 0)


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_few_idle_objects_are_not_named(columns: int, rows: int) -> None:
    assert "idle" not in texts(0.01, columns, rows).splitlines()[0]


@pytest.mark.parametrize("columns", range(22, 100))
def test_every_average_is_called_one_and_its_least_number_is_one_of_sockets(columns: int) -> None:
    cost = ledger_of(tree("6.1-4n")).costs["full"]
    assert cost.now_bytes is not None
    cost = cost._replace(idle_bytes_per_socket=0.02 * cost.now_bytes)
    for held, label in ((None, "average"), ("sockets change faster than slabinfo is read", "(earlier|old) average")):
        first = text_of(figure_lines(cost._replace(now_held_because=held), columns, 5)[0])
        assert re.search(label, first) or columns < 40, first
    because = "an average needs 800 sockets"
    lines = figure_lines(cost._replace(now_bytes=None, now_unknown_because=because), columns, 5)
    assert not any(re.search("(?<!no average )(below|<) 800(?! sockets)", text_of(line)) for line in lines)
