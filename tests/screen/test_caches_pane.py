"""Tests of the caches pane: the columns depend only on the width, and the title says on which nodes TCP's slabs are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

import pytest
from drive import (
    ScriptedHost,
    count_on_nodes,
    host_app,
    pane_lines,
    pane_title,
    resize,
    root_only,
    slabinfo_rows,
    tree,
    tree_app,
    wait_for_app,
    wait_until,
)
from recorded import ledger_of
from slow_case import slow

from tcptop.screen.app import TcptopApp
from tcptop.widgets.caches_pane import CachesPane, node_shares_texts
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.tcp_pane import TcpPane

KERNELS = ("6.1-1n", "6.1-4n", "6.1-8n", "6.1-4n-nomerge", "6.12-arm64-16k-4n", "5.10-4n", "7.3-4n", "6.18-1n")
SIZES = {40: 12, 60: 20, 80: 24, 120: 40, 160: 50, 200: 60, 240: 70}


@pytest.mark.parametrize("kernels", [("6.1-1n", "7.3-4n"), slow(KERNELS)], ids=len)
@pytest.mark.slow
async def test_columns_follow_from_the_width_alone(kernels: Sequence[str]) -> None:
    titles: dict[int, set[str]] = {columns: set() for columns in SIZES}
    for kernel, phase in product(kernels, ("base", "established")):
        async with tree_app(tree(kernel, phase)).run_test(size=(100, 40)) as pilot:
            app = await wait_for_app(pilot)
            for size in SIZES.items():
                await resize(pilot, size)
                titles[size[0]].add(pane_lines(app, CachesPane)[0])
    for columns in SIZES:
        assert len(titles[columns]) == 1, columns
        assert {"CACHE", "ACTIVE"} <= set(titles[columns].pop().split())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
@pytest.mark.parametrize("plain_user", [False, True])
async def test_a_plain_user_has_no_empty_column_of_rates(size: tuple[int, int], plain_user: bool) -> None:
    host = ScriptedHost(tree("6.1-4n"), live=True)
    if plain_user:
        host.refused = root_only
    async with host_app(host, 0.1).run_test(size=size) as pilot:
        app = pilot.app
        assert isinstance(app, TcptopApp)
        state = "refused" if plain_user else "ok"
        await wait_until(
            pilot, lambda: app._ledger is not None and app._ledger.sources["slabinfo"].state == state, "slabinfo"
        )
        [head] = [line for line in pane_lines(app, CachesPane) if line.startswith("CACHE")]
        assert ("Δ/s" in head) != plain_user
        host.close()


@pytest.mark.parametrize(("keys", "title"), [("b", "O/S▾"), ("p", "P/S▾")])
async def test_sort_column_is_shown_even_where_columns_are_missing(keys: str, title: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        assert title[:-1] not in pane_lines(app, CachesPane)[0]
        await pilot.press(keys)
        assert title in pane_lines(app, CachesPane)[0]
        await pilot.press("e")
        assert title[:-1] not in pane_lines(app, CachesPane)[0]


@pytest.mark.parametrize(("kernel", "nodes"), [("6.1-4n", 4), ("6.1-8n", 8)])
async def test_title_says_that_the_nodes_have_the_same(kernel: str, nodes: int) -> None:
    async with tree_app(tree(kernel)).run_test(size=(160, 50)) as pilot:
        assert f"TCP even on {nodes} nodes" in pane_title(await wait_for_app(pilot), CachesPane)


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.12-4n"])
async def test_title_has_the_share_of_each_node(kernel: str) -> None:
    """Right after the boot, TCP's few slabs lie on some nodes only."""
    folder = tree(kernel, "base")
    async with tree_app(folder).run_test(size=(200, 60)) as pilot:
        title = pane_title(await wait_for_app(pilot), CachesPane)
    shares = {int(node): int(share) for node, share in re.findall(r"(\d+): <?(\d+) %", title)}
    pages = {"TCP": 8, "TCPv6": 8, "tw_sock_TCP": 1, "request_sock_TCP": 1}
    by_node = [count_on_nodes(folder, name, "slabs") for name in pages]
    counted = {
        node: sum(n.get(node, 0) * size for n, size in zip(by_node, pages.values(), strict=True)) for node in shares
    }
    total = sum(counted.values())
    assert sum(shares.values()) in range(98, 103)
    for node, share in shares.items():
        assert share == pytest.approx(100 * counted[node] / total, abs=8), counted


async def test_narrow_title_names_no_node_where_all_have_the_same() -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(80, 24)) as pilot:
        title = pane_title(await wait_for_app(pilot), CachesPane)
    by_node = count_on_nodes(tree("6.1-8n"), "TCP", "slabs")
    assert max(by_node.values()) - min(by_node.values()) <= 0.02 * sum(by_node.values())
    assert re.search(r"TCP even(?: on 8 nodes)?", title)
    assert "most on" not in title


def test_a_short_title_names_the_node_with_most() -> None:
    ledger = ledger_of(tree("6.1-4n-memoryless"))
    by_node = {node.node: ledger.tcp_bytes_on(node.node) or 0 for node in ledger.nodes}
    for text in node_shares_texts(ledger)[1:]:
        named = re.search(r"most on (?:node )?(\d)[,:] \d+ %", text)
        assert named is not None
        assert by_node[int(named[1])] == max(by_node.values())


async def test_merged_rows_are_marked_and_the_title_says_so() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        marked = [line.split()[0] for line in pane_lines(app, CachesPane)[1:] if line.split()[0].endswith("*")]
        assert "filp*" in marked
        assert "TCP*" not in marked
        assert "* merged" in pane_title(app, CachesPane)
    async with tree_app(tree("6.1-4n-nomerge")).run_test(size=(120, 40)) as pilot:
        assert "merged" not in pane_title(await wait_for_app(pilot), CachesPane)


async def test_columns_scroll_sideways_behind_the_name() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        seen = set(pane_lines(app, CachesPane)[0].replace("CACHE SIZE", "").split())
        pane = app.screen.query_one(CachesPane)
        for _ in range(20):
            pane.action_scroll_columns(1)
            head, first = pane_lines(app, CachesPane)[:2]
            assert head.startswith("CACHE ")
            assert first.split()[0] in slabinfo_rows(tree("6.1-4n"))
            seen |= set(head.split())
        assert {"OBJECT", "OBJS", "SLABS", "O/S", "P/S", "ORDER"} <= seen
        assert re.search(r"columns \d+–\d+ of \d+", pane_title(app, CachesPane))
        for _ in range(20):
            pane.action_scroll_columns(-1)
        assert "columns" not in pane_title(app, CachesPane)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (200, 60)], ids=str)
async def test_active_objects_that_may_lie_in_the_lists_of_cpus_are_a_bound(size: tuple[int, int]) -> None:
    """There is one socket, and 117 objects count as active; with 8 002 sockets the error is small."""
    for phase, sign in (("base", "≤ "), ("established", "")):
        async with tree_app(tree("6.18-1n", phase)).run_test(size=size) as pilot:
            lines = pane_lines(await wait_for_app(pilot), CachesPane)
        active = slabinfo_rows(tree("6.18-1n", phase))["TCP"][0]
        [row] = [line for line in lines if line.startswith("TCP ")]
        assert re.search(rf"  {sign}{active:,}  ".replace(",", " "), row)


async def test_the_legend_of_the_bar_counts_the_parts_that_it_leaves_out() -> None:
    async with tree_app(tree("6.18-1n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        short = pane_lines(app, FigurePane)[3]
        await resize(pilot, (200, 60))
        whole = " ".join(pane_lines(app, FigurePane)[3:])
    names = re.compile(r"\b(?:TCPv?6?|inode|dentry|file|LSM|idle|memcg) \d")
    more = re.search(r"\+(\d) more$", short)
    assert more
    assert len(names.findall(short)) + int(more[1]) == len(names.findall(whole))


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=str)
async def test_from_how_many_sockets_on_there_is_an_average(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.18-1n", "base")).run_test(size=size) as pilot:
        text = " ".join(pane_lines(await wait_for_app(pilot), FigurePane))
    assert re.search(r"no average (below 200( sockets)?|< 200)", text)
    assert "average from" not in text


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
async def test_the_likely_total_is_told_from_the_ends_of_its_range(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.18-1n", "base")).run_test(size=size) as pilot:
        lines = pane_lines(await wait_for_app(pilot), TcpPane)
    assert re.search(r" (likely; range )?54\d to 3 \d+ KiB", lines[2])
    assert size[0] == 80 or "likely" in lines[2]


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=str)
async def test_a_column_is_free_between_the_details_of_tcp_and_the_border(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        columns = app.query_one(TcpPane).size.width
        assert all(len(line.rstrip()) < columns for line in pane_lines(app, TcpPane))


async def test_a_part_of_tcp_that_is_estimated_has_its_sign() -> None:
    """Of the bind buckets in the row pid only bounds are known; TCP's own cache is counted whole."""
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 50)) as pilot:
        app = await wait_for_app(pilot)
        lines = {line.split()[0]: line for line in pane_lines(app, CachesPane)}
        assert re.search(r" 1\.01M +≤ 1\.01M$", lines["pid*"].rstrip())
        assert re.search(r" 35\.75M +35\.75M$", lines["TCP"].rstrip())
        assert app._ledger is not None
        bounds = {cache.name: cache.tcp_bounds for cache in app._ledger.caches}
        assert bounds["pid"] is not None
        assert bounds["pid"].low < 518 * 1024 < bounds["pid"].high
        assert "≈" not in lines["tw_sock_TCP"]
        await pilot.press("2")
        text = "\n".join(pane_lines(app, CachesPane))
        assert re.search(r"(?m)^filp\* .* ≈ 1002K *$", text), "its node is that of the inodes, which is an estimate"
