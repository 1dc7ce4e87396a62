"""Free blocks: the row of a zone is the sum of its rows by migrate type, even if the counts by type are older."""

from __future__ import annotations

import re

import pytest
from drive import feed, pane_lines, pane_title, resize, sample_phases, screen_text, tree, tree_app, wait_for_app
from recorded import ledger

from tcptop.snapshot import Snapshot
from tcptop.text import units
from tcptop.text.line import text_of
from tcptop.view.choices import Choices
from tcptop.widgets.buddy_pane import BlockRow, BuddyPane, block_lines, body_lines

KERNEL = "6.1-1n"


def with_older_types(capped_order: int | None = None) -> Snapshot:
    """A sample with buddyinfo of one phase, and pagetypeinfo of the phase ten seconds before."""
    before, after = sample_phases(KERNEL, ["base", "established"])
    types = before.pagetypeinfo.value
    assert types is not None
    if capped_order is not None:
        areas = [
            area._replace(capped_orders=(capped_order,)) if area.migrate_type == "Movable" else area
            for area in types.areas
        ]
        types = types._replace(areas=tuple(areas))
    return after._replace(pagetypeinfo=before.pagetypeinfo._replace(value=types))


def counts(line: str) -> list[int]:
    """The counts by order, without the label, the bytes and the bar."""
    return [0 if cell == "·" else int(cell) for cell in re.findall(r"(?<=\s)(\d+|·)(?=\s)", line)]


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=str)
async def test_the_row_of_a_zone_is_the_sum_of_its_older_types(size: tuple[int, int]) -> None:
    async with tree_app(tree(KERNEL)).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await feed(pilot, with_older_types())
        _, zone, *others = pane_lines(app, BuddyPane)
        types = [counts(line) for line in others if re.match(r"  [A-Z]", line)]
        types = types[: next(n for n, line in enumerate(others) if not re.match(r"  [A-Z]", line))]
        assert counts(zone) == [sum(column) for column in zip(*types, strict=True)]
        assert re.search(r"─ counts (10 s|up to \d+ s) old", pane_title(app, BuddyPane))


async def test_types_without_an_exact_count_have_their_age_in_their_rows() -> None:
    async with tree_app(tree(KERNEL)).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await feed(pilot, with_older_types(capped_order=0))
        assert any(re.match(r"  Movable, .*\d s old +≥", line) for line in pane_lines(app, BuddyPane))
        assert re.search(r"─ migrate types (10 s|up to \d+ s) old", pane_title(app, BuddyPane))


async def test_the_title_says_how_much_memory_is_in_no_zone_yet() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        ledger = app._ledger
        assert ledger is not None
        full = ledger.headroom["full"]._replace(late_bytes=1 << 30)
        changed = ledger._replace(headroom={**ledger.headroom, "full": full})
        pane, choices = app.query_one(BuddyPane), app.choices
        assert "initialised" not in pane.edge_titles(ledger, choices)[0]
        title, note = pane.edge_titles(changed, choices)
        assert re.search(r" ─ [\d.]+ [GM]iB free \+ 1\.0 GiB not initialised$", title)
        assert note == "▸ slabs of sockets"
        for size in ((80, 24), (60, 20)):
            await resize(pilot, size)
            title = pane.edge_titles(changed, choices)[0]
            assert re.search(r" ─ [\d.]+ [GM]iB free \+ 1\.0 GiB not initialised$", title), size
            assert len(title) <= pane.max_title_width
        await pilot.press("1")
        assert "initialised" not in pane.edge_titles(changed, app.choices)[0], "which node has it is not known"


async def test_the_title_has_the_free_memory_of_all_zones() -> None:
    app = tree_app(tree("6.1-8n"))
    figures = ledger("6.1-8n", "established")
    pages = sum(zone.listed_pages or 0 for zone in figures.zones)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for_app(pilot)
        for size in ((80, 24), (60, 20), (120, 40)):
            await resize(pilot, size)
            [title] = [line for line in screen_text(app).splitlines() if "Free blocks" in line]
            assert f"{units.size(pages * 4096)} free" in title, size
            assert "slabs of sockets" in title or size[0] < 80


@pytest.mark.parametrize(("size", "label"), [((80, 24), "0 DMA32"), ((120, 40), "node 0 DMA32")], ids=str)
async def test_a_nodes_zone_says_node_where_it_fits(size: tuple[int, int], label: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        text = app.query_one(BuddyPane).text_to_copy()
        assert f"\n{label} " in text


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-8n", "5.10-4n", "6.12-arm64-16k-4n"])
def test_counts_of_two_columns_never_look_like_one_number(kernel: str) -> None:
    """Elsewhere digits are grouped by spaces, so that `3 949` would read as 3949 blocks."""
    figures = ledger(kernel, "established")
    for columns in range(40, 121):
        rows = [row for row in body_lines(figures, Choices(), columns, with_nodes=False) if isinstance(row, BlockRow)]
        for line in block_lines(rows, figures, Choices(), columns):
            assert not re.search(r"\d \d{3}(?!\d)", text_of(line)), (columns, text_of(line))
