"""Tests of the node table: TCP slabs and headroom of each node, at any width and for any node numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from drive import count_on_nodes, grouped, tree
from made_machine import MACHINES, PAGE_BYTES, make_machine
from recorded import ledger_of
from rich.cells import cell_len

from tcptop.ledger import Ledger
from tcptop.text.line import text_of
from tcptop.widgets.nodes_pane import BAR_WIDTH, EMPTY, FILLED, node_bar, node_lines

WIDTHS = range(34, 121)


def machine(name: str, tmp_path: Path) -> Ledger:
    return ledger_of(make_machine(name, tmp_path / "tree"))


def lines(ledger: Ledger, columns: int = 120) -> list[str]:
    return [text_of(line) for line in node_lines(ledger, columns)]


def cells(ledger: Ledger, columns: int = 120) -> list[list[str]]:
    """The figures of each line, without the bars; the digit groups of a number stay together."""
    return [
        re.findall(r"\d{1,3}(?: \d{3})+|[^\s█░]+", re.sub(rf"[{FILLED}{EMPTY}]", " ", line))
        for line in lines(ledger, columns)[1:]
    ]


def bars(ledger: Ledger, columns: int = 120) -> list[list[int]]:
    """The lengths of the bars of each line, 0 to 10."""
    return [
        [each.count(FILLED) for each in re.findall(rf"[{FILLED}{EMPTY}]{{{BAR_WIDTH}}}", line)]
        for line in lines(ledger, columns)[1:]
    ]


@pytest.mark.parametrize(("kernel", "nodes"), [("6.1-1n", 1), ("6.1-4n", 4), ("6.1-8n", 8)])
def test_a_line_for_each_node_of_a_recording(kernel: str, nodes: int) -> None:
    rows = cells(ledger_of(tree(kernel)))
    assert [row[0] for row in rows] == [str(number) for number in range(nodes)]
    cpus = {"6.1-1n": 4}.get(kernel, 8)
    assert sum(int(row[1]) for row in rows) == cpus


@pytest.mark.parametrize("name", MACHINES)
def test_every_node_is_named_by_its_own_number(name: str, tmp_path: Path) -> None:
    rows = cells(machine(name, tmp_path))
    assert [row[0] for row in rows] == [str(node.number) for node in MACHINES[name]]
    for row, node in zip(rows, MACHINES[name], strict=True):
        first, _, last = node.cpu_list.partition("-")
        assert row[1] == (str(int(last) - int(first) + 1) if first else "0")


@pytest.mark.parametrize("name", MACHINES)
def test_slabs_and_headroom_come_from_the_free_blocks(name: str, tmp_path: Path) -> None:
    """A TCP slab of this kernel is a block of order 3; zone Movable holds no slabs."""
    for row, node in zip(cells(machine(name, tmp_path)), MACHINES[name], strict=True):
        usable = [zone for zone in node.zones if zone.name != "Movable"]
        if not node.zones:
            assert row[-2:] == ["–", "–"], "without memory the figures are unknown, not 0"
            continue
        max_slabs = sum(count << order - 3 for zone in usable for order, count in enumerate(zone.blocks) if order >= 3)
        slabs, headroom = (int(text.replace(" ", "")) for text in row[-2:])
        assert slabs <= max_slabs
        assert slabs >= max_slabs - sum(zone.low_pages >> 3 for zone in usable) - 1
        # A socket takes at least 3 kB; 14 sockets share a slab of eight pages.
        assert headroom <= PAGE_BYTES * sum(zone.free_pages for zone in usable) / 3_000
        assert (headroom > 0) == any(zone.free_pages > 2 * zone.low_pages for zone in usable)


def test_twice_the_slabs_have_a_bar_twice_as_long() -> None:
    """Node 3 has no memory, so node 0 serves its CPUs."""
    slabs = count_on_nodes(tree("6.1-4n-memoryless"), "TCP")
    assert slabs[0] == pytest.approx(2 * slabs[1], rel=0.01)
    assert [line[0] for line in bars(ledger_of(tree("6.1-4n-memoryless")))] == [10, 5, 5, 0]


def test_largest_of_64_nodes_have_full_bars(tmp_path: Path) -> None:
    lengths = [line[1] for line in bars(machine("64 nodes", tmp_path))]
    blocks = [node.zones[0].blocks[-1] for node in MACHINES["64 nodes"]]
    assert [at for at, length in enumerate(lengths) if length == BAR_WIDTH] == [
        at for at, count in enumerate(blocks) if count >= 0.95 * max(blocks)
    ]
    assert lengths[0] == round(10 * min(blocks) / max(blocks))


@pytest.mark.parametrize("name", MACHINES)
def test_no_line_is_wider_than_the_pane(name: str, tmp_path: Path) -> None:
    ledger = machine(name, tmp_path)
    whole = cells(ledger)
    for columns in WIDTHS:
        assert max(cell_len(text_of(line)) for line in node_lines(ledger, columns)) <= columns, columns
        # Only whole columns are dropped: the remaining figures are those of the full line.
        for row, full in zip(cells(ledger, columns), whole, strict=True):
            assert set(row) <= set(full), columns
            assert row[0] == full[0]


def test_figures_are_below_their_titles(tmp_path: Path) -> None:
    ledger = machine("sparse numbers", tmp_path)
    head, *rows = lines(ledger)
    for title in ("NODE", "CPUS", "MEMORY", "FREE", "TCP'S", "SLABS FREE", "ROOM"):
        end = head.index(title) + len(title)
        for row in rows:
            assert row[end - 1] != " ", (title, row)
            assert row[end : end + 1] in ("", " "), (title, row)
    assert grouped(512_555) in rows[0]


def test_bar_is_empty_if_unknown_or_zero() -> None:
    assert node_bar(None, [None, 3.0]) == ""
    assert node_bar(0.0, [0.0, 0.0]) == ""
    assert node_bar(0.0, [0.0, 3.0]) == EMPTY * BAR_WIDTH
    assert node_bar(3.0, [0.0, 3.0]) == FILLED * BAR_WIDTH
