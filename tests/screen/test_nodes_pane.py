"""Tests of the nodes pane: TCP slabs and headroom of each node, at any width and for any node numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from drive import drawn_lines, pane_lines, pane_title, screen_text, tree, tree_app, wait_for_app
from hypothesis import given
from hypothesis import strategies as st
from made_machine import MACHINES, PAGE_BYTES, make_machine
from recorded import DISTANCES_TREE, ledger_of
from rich.cells import cell_len

from tcptop.commands import plan
from tcptop.ledger import Ledger, ZoneMemory
from tcptop.report.as_text import as_text
from tcptop.screen.app import TcptopApp
from tcptop.text.line import Role, text_of
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import node_shares_texts
from tcptop.widgets.explain_screen import ExplainPane
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.nodes_pane import (
    BAR_ROLES,
    BAR_WIDTH,
    CURSOR_ROLES,
    FREE,
    OTHER,
    TCP,
    TRACE,
    NodesPane,
    node_bar,
    node_lines,
)
from tcptop.widgets.pane import ASCII_CLASS, ROLE_STYLES, TIME_WAIT_STYLES

WIDTHS = range(34, 121)


def machine(name: str, tmp_path: Path) -> Ledger:
    return ledger_of(make_machine(name, tmp_path / "tree"))


def lines(ledger: Ledger, columns: int = 120) -> list[str]:
    return [text_of(line) for line in node_lines(ledger, columns)]


CELLS = f"{TCP}{TRACE}{OTHER}{FREE}"


def cells(ledger: Ledger, columns: int = 120) -> list[list[str]]:
    """The figures of each line, without the bars; the digit groups of a number stay together."""
    return [
        re.findall(r"\d{1,3}(?: \d{3})+|[^\s█▏▒░]+", re.sub(rf"[{CELLS}]", " ", line))
        for line in lines(ledger, columns)[1:]
    ]


def bars(ledger: Ledger, columns: int = 120) -> list[str]:
    """The bar of each line; empty for a line without a bar."""
    return ["".join(re.findall(rf"[{CELLS}]", line)) for line in lines(ledger, columns)[1:]]


@pytest.mark.parametrize(("kernel", "nodes"), [("6.1-1n", 1), ("6.1-4n", 4), ("6.1-8n", 8)])
def test_a_line_for_each_node_of_a_recording(kernel: str, nodes: int) -> None:
    rows = cells(ledger_of(tree(kernel)))
    assert [row[0] for row in rows] == [str(number) for number in range(nodes)]
    cpus = {"6.1-1n": 4}.get(kernel, 8)
    assert sum(int(row[1]) for row in rows) == cpus


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-8n", "6.12-arm64-16k-4n", "7.3-4n"])
def test_a_share_is_the_same_in_the_table_and_in_the_title_of_the_caches(kernel: str) -> None:
    ledger = ledger_of(tree(kernel))
    in_table = [re.findall(r"(\d+)%", line)[-1] for line in lines(ledger)[1:]]
    *every, most, short = node_shares_texts(ledger)
    assert [re.findall(r"(\d+) %", each) for each in every] in ([], [in_table])
    assert sum(map(int, in_table)) == pytest.approx(100, abs=len(in_table) / 2)
    amounts = [ledger.tcp_bytes_on(node.node) or 0 for node in ledger.nodes]
    if 100 * (max(amounts) - min(amounts)) <= 2 * sum(amounts):
        assert (every, most, short) == ([], f"TCP even on {len(amounts)} nodes", "TCP even")
    else:
        assert every
        assert re.findall(r"(\d+) %", most) == re.findall(r"(\d+) %", short) == [max(in_table, key=int)]


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
        is_below = "below" in row
        slabs, headroom = (int(text.replace(" ", "")) for text in (row[-4:-2] if is_below else row[-2:]))
        assert headroom == 0 or not is_below
        assert slabs <= max_slabs
        assert slabs >= max_slabs - sum(zone.low_pages >> 3 for zone in usable) - 1
        # A socket takes at least 3 kB; 14 sockets share a slab of eight pages.
        assert headroom <= PAGE_BYTES * sum(zone.free_pages for zone in usable) / 3_000
        assert (headroom > 0) == any(zone.free_pages > 2 * zone.low_pages for zone in usable)


@pytest.mark.parametrize("kernel", ["6.1-1n", "6.1-4n", "6.1-8n", "6.1-4n-memoryless", "6.12-arm64-16k-4n"])
def test_each_bar_is_of_the_memory_of_its_own_node(kernel: str) -> None:
    """MemTotal and MemFree from the node's meminfo, and TCP's slabs from the ledger."""
    folder, ledger = tree(kernel), ledger_of(tree(kernel))
    for node, bar in zip(ledger.nodes, bars(ledger), strict=True):
        text = (folder / f"sys/devices/system/node/node{node.node}/meminfo").read_text()
        total, free = (int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) for name in ("MemTotal", "MemFree"))  # type: ignore[index]
        if not total:
            assert bar == ""
            continue
        assert len(bar) == BAR_WIDTH
        # The cell of a trace of TCP is taken from free memory.
        assert bar.count(FREE) == pytest.approx(BAR_WIDTH * free / total, abs=1.5 if TRACE in bar else 1.1)
        tcp_bytes = ledger.tcp_bytes_on(node.node)
        assert tcp_bytes is not None
        assert bar.count(TCP) == round(BAR_WIDTH * tcp_bytes / (1024 * total))
        assert (bar[0] in (TCP, TRACE)) == (tcp_bytes > 0)


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-8n", "6.1-4n-memoryless"])
def test_shares_of_tcp_add_up(kernel: str) -> None:
    """Each share is rounded to the nearest."""
    ledger = ledger_of(tree(kernel))
    titles, *rows = lines(ledger)
    end = titles.index("OF TCP") + len("OF TCP")
    shares = [int(row[:end].split()[-1].rstrip("%")) for row in rows if row[:end].split()[-1] != "–"]
    assert sum(shares) == pytest.approx(100, abs=len(rows) / 2)


@pytest.mark.slow
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
    for title in ("NODE", "CPUS", "MEMORY", "TCP", "OF TCP", "FREE", "32K SLABS FIT", "SOCKETS FIT"):
        end = head.index(title) + len(title)
        for row in rows:
            assert row[end - 1] != " ", (title, row)
            assert row[end : end + 1] in ("", " "), (title, row)


def test_slabs_stand_beside_sockets_only_in_wide_tables() -> None:
    ledger = ledger_of(tree("6.1-8n"))
    assert "SLABS FIT" not in lines(ledger, 80)[0]
    for columns in (53, 80, 99, 100, 200):
        assert "SOCKETS FIT" in lines(ledger, columns)[0]
    assert "32K SLABS FIT  SOCKETS FIT" in lines(ledger, 100)[0]


def test_bar_of_unknown_and_of_small_amounts() -> None:
    assert (
        node_bar(None, 1.0, 2.0)
        == node_bar(1.0, None, 2.0)
        == node_bar(1.0, 1.0, None)
        == node_bar(0.0, 0.0, 0.0)
        == ""
    )
    assert node_bar(0.0, 4.0, 4.0) == FREE * BAR_WIDTH
    assert node_bar(0.0, 0.0, 4.0) == OTHER * BAR_WIDTH
    assert node_bar(4.0, 0.0, 4.0) == TCP * BAR_WIDTH
    assert node_bar(1.0, 1e6, 1e6) == TRACE + FREE * (BAR_WIDTH - 1)
    assert node_bar(7.2, 509.0, 565.0) == TRACE + OTHER + FREE * 8, "the trace takes no cell of other used memory"
    assert node_bar(2.0, 1.0, 4.0) == TCP * 5 + OTHER * 3 + FREE * 2


# The pane on the screen.


def shown_nodes(app: TcptopApp) -> list[str]:
    return [line.split()[0] for line in pane_lines(app, NodesPane)[1:] if line]


@pytest.mark.parametrize("size", [(120, 40), (80, 40), (160, 50), (200, 60)], ids=str)
async def test_all_nodes_are_shown_where_there_is_room(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert shown_nodes(app) == [*"01234567"]
        await pilot.press("6")
        assert shown_nodes(app) == [*"012345", "›6", "7"]


async def test_the_chosen_node_is_in_sight_and_tab_scrolls_to_the_others() -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(128, 32)) as pilot:
        app = await wait_for_app(pilot)
        assert shown_nodes(app) == [*"0123456"]
        await pilot.press("7")
        assert shown_nodes(app) == [*"123456", "›7"]
        assert "Tab" in app.query_one(NodesPane)._titles[1]
        for _ in range(6):
            await pilot.press("tab")
            if app.focused is app.query_one(NodesPane):
                break
        await pilot.press("up", "up", "enter")
        assert app.choices.node == 5, "the cursor begins at the chosen node"
        await pilot.press("home")
        assert shown_nodes(app)[0] == "0"


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 24)], ids=str)
async def test_the_key_of_all_nodes_leads_to_their_table_at_every_size(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        panes = app.view.panes
        assert " = nodes" in pane_lines(app, KeyLine)[0]
        await pilot.press("equals_sign")
        assert shown_nodes(app) == [*"01234567"]
        assert app.view.panes == {"head", "nodes", "keys"} | ({"buddy"} if size[1] == 24 else set())
        await pilot.press("down", "down", "enter")
        assert (app.choices.node, app.view.panes) == (2, panes)
        await pilot.press("equals_sign")
        assert (app.choices.node, app.view.panes) == (None, panes)
        for key in ("escape", "equals_sign"):
            await pilot.press("equals_sign", key)
            assert app.view.panes == panes
            assert app.focused is not None
            assert app.focused.display


async def test_below_the_table_are_the_free_blocks_of_each_node() -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign")
        await pilot.pause()
        assert app.focused is not None
        assert app.focused.id == "nodes"
        _, *rows = pane_lines(app, BuddyPane)
        assert [*dict.fromkeys(row.split()[0] for row in rows)] == [*"01234567"]
        free = {row.split()[0]: row.split()[-1] for row in rows if row.startswith(("1 ", "7 "))}
        table = {line.split()[0].strip("›"): line.split()[-3] for line in pane_lines(app, NodesPane)[1:]}
        assert {node: table[node] for node in free} == free, "a node with a single zone"
        await pilot.press("tab", "end")
        await pilot.pause()
        assert app.focused.id == "buddy"
        assert "Movable" in screen_text(app), "the migrate types of the machine's zones follow"


async def test_the_title_of_the_free_blocks_has_what_fits_into_the_chosen_node() -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign")
        await pilot.pause()
        fits = {line.split()[0]: " ".join(line.split()[-2:]) for line in pane_lines(app, NodesPane)[1:]}
        await pilot.press("3")
        await pilot.pause()
        assert f" {fits['3']} sockets fit" in pane_title(app, BuddyPane)
        await pilot.press("0")
        await pilot.pause()
        assert f" {fits['0']} sockets fit" in pane_title(app, BuddyPane)


@pytest.mark.parametrize("ascii_only", [False, True])
async def test_the_mark_of_the_focus_ends_before_the_legend(ascii_only: bool) -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        app.set_class(ascii_only, ASCII_CLASS)
        await pilot.press("equals_sign")
        await pilot.pause()
        title = app.query_one(NodesPane)._border_title
        assert title is not None
        assert ascii_only == ("#" in title.plain)
        marked = "".join(title.plain[span.start : span.end] for span in title.spans if "reverse" in str(span.style))
        assert marked.strip() == "Nodes"


async def test_a_single_node_has_no_table() -> None:
    async with tree_app(tree("6.1-1n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign")
        assert "caches" in app.view.panes


async def test_the_keys_of_all_nodes_and_of_explain_show_the_distances() -> None:
    async with tree_app(DISTANCES_TREE).run_test(size=(120, 14)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign")
        await pilot.pause()
        titles, *rows = pane_lines(app, NodesPane)
        assert titles.rstrip().endswith("DISTANCES")
        assert [row.split()[-4:] for row in rows[2:4]] == [["24", "18", "10", "44"], ["28", "33", "45", "10"]]
        await pilot.press("escape", "i", *["left"] * 4)
        await pilot.pause()
        page = drawn_lines(app.screen.query_one(ExplainPane))
        assert ["2", "24", "18", "10", "44"] in [line.split() for line in page]


@given(st.floats(0, 1), st.floats(0, 1))
def test_memory_of_half_a_cell_has_a_cell(tcp: float, free: float) -> None:
    free = min(free, 1 - tcp)
    bar = node_bar(tcp, free, 1.0)
    assert len(bar) == BAR_WIDTH
    for sign, share in ((TCP, tcp), (OTHER, 1 - tcp - free), (FREE, free)):
        if share * BAR_WIDTH >= 0.5 + 1e-9:
            assert sign in bar, (bar, sign)
        assert abs(bar.count(sign) - share * BAR_WIDTH) < 2


async def test_bars_and_their_signs_keep_their_colours_where_a_node_or_the_title_is_marked() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("1")
        pane = app.query_one(NodesPane)

        def bar_roles(index: int) -> set[Role]:
            return {role for text, role in pane._lines[index] if set(text) & {TCP, TRACE, OTHER, FREE}}

        unmarked = bar_roles(1)
        assert bar_roles(2) == unmarked, "the chosen node"
        pane.focus()
        await pilot.pause()
        assert {role.partition("-")[0] for _, role in pane._lines[2]} == {"cursor"}, "one highlight without a hole"
        assert bar_roles(2) == {CURSOR_ROLES[role] for role in unmarked}, "the node of the cursor"
        title = pane._border_title
        assert title is not None
        reversed_text = "".join(
            title.plain[span.start : span.end] for span in title.spans if "reverse" in str(span.style)
        )
        assert reversed_text.strip() == "Nodes", "one mark without holes, which ends before the legend"
        for mode in ("full", "time_wait"):
            pane = app.query_one(NodesPane)
            title = pane._border_title
            assert title is not None
            styles = TIME_WAIT_STYLES if mode == "time_wait" else ROLE_STYLES
            of_signs = {
                title.plain[span.start : span.end]: span.style for span in title.spans if span.style != "reverse"
            }
            for sign in (TCP, OTHER, FREE):
                assert of_signs[sign] == styles[BAR_ROLES[sign]], "the colour of the bars"
            await pilot.press("m")
            await pilot.pause()


@pytest.mark.parametrize(("free", "words"), [("low", ""), ("under low", " below low"), ("under min", " below min")])
def test_a_node_below_a_watermark_is_called_full_and_one_full_of_page_cache_is_not(free: str, words: str) -> None:
    ledger = ledger_of(tree("6.1-4n"))

    def with_free(zone: ZoneMemory) -> ZoneMemory:
        assert zone.low_pages is not None
        assert zone.min_pages is not None
        pages = {"low": zone.low_pages, "under low": zone.low_pages - 1, "under min": zone.min_pages - 1}
        return zone._replace(free_pages=pages[free])

    nodes = [
        node._replace(zones=tuple(map(with_free, node.zones))) if node.node == 1 else node for node in ledger.nodes
    ]
    headroom = ledger.headroom["full"]
    full = headroom._replace(nodes={**headroom.nodes, 1: headroom.nodes[1]._replace(without_reclaim=0)})
    changed = ledger._replace(nodes=tuple(nodes), headroom={**ledger.headroom, "full": full})
    for columns in (52, 80, 120):
        _, *drawn = node_lines(changed, columns)
        assert text_of(drawn[1]).endswith(f" 0{words}")
        assert not any("below" in text_of(drawn[number]) for number in (0, 2, 3))
        assert any(role == "warning" for _, role in drawn[1]) == bool(words)
    before = ledger._replace(nodes=tuple(nodes))
    assert not any("below" in line for line in lines(before)), "its sockets still fit"


def test_what_fits_a_node_has_the_same_end_as_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    """The buffers are a range: both show the least, and the plan's is a little higher, since clients share ports."""
    root = tree("6.12-4n", "halfclosed")
    ledger = ledger_of(root)
    of_pane = [int(line.rpartition("≥ ")[2].replace(" ", "")) for line in lines(ledger, 90)[1:]]
    request = ("--connections", "8001", "--side", "mixed", "--family", "now", "--buffers", "now")
    plan.run(["--root", str(root), *request, "--json"])
    of_plan = [node["connections"] for node in json.loads(capsys.readouterr().out)["nodes"].values()]
    assert of_pane == pytest.approx(of_plan, rel=0.02)
    text = as_text(ledger, width=200)
    of_report = [int(found.replace(" ", "")) for found in re.findall(r"fits >= ([\d ]+) more sockets in free", text)]
    assert of_report == pytest.approx(of_plan, rel=0.02)
