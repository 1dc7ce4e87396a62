"""TIME_WAIT accounting (`m`): the scope of the number of mini-sockets, the label of the total, and the first caches."""

from __future__ import annotations

import re

import pytest
from drive import feed, pane_lines, sample_phases, screen_text, tree, tree_app, wait_for_app
from recorded import ledger

from tcptop.ledger import AccountingMode
from tcptop.report.as_text import as_text
from tcptop.text.line import text_of
from tcptop.view import View
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.explain_screen import ExplainScreen
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.graphs_pane import GraphsPane
from tcptop.widgets.nodes_pane import node_lines
from tcptop.widgets.tcp_pane import TcpPane, detail_lines, tcp_lines

TREE = tree("6.1-4n", "timewait")


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 40), (200, 60)], ids=str)
async def test_the_number_of_mini_sockets_has_its_namespace_and_the_bound_of_all(size: tuple[int, int]) -> None:
    async with tree_app(TREE).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("m")
        text = "\n".join(pane_lines(app, TcpPane))
        assert re.search(r"8 000( TIME_WAIT)? (this netns|here)", text)
        # 20 columns beside the digits have no room for the bound.
        assert size == (60, 20) or re.search(r"≤ 8 160 machine|all netns ≤ 8 160", text)


def test_the_bound_of_mini_sockets_is_no_sum_and_has_its_noun() -> None:
    figures = ledger("6.1-4n", "established")
    sockets = figures.sockets._replace(time_wait=1, time_wait_scope="here", time_wait_machine_max=30)
    figures = figures._replace(sockets=sockets)
    short = text_of(tcp_lines(figures, View(), "full", 40, 4)[-1])
    assert short.startswith("≤ 30 in TIME_WAIT  buffers ")
    for columns in (52, 60):
        [line] = [each for each in map(text_of, detail_lines(figures, figures, "full", columns)) if "FIN_WAIT2" in each]
        assert re.match(r"TIME_WAIT +1  ?(this netns|here), with (closed )?FIN_WAIT2; all netns ≤ 30$", line)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
async def test_the_total_beside_mini_sockets_is_called_that_of_tcp(size: tuple[int, int]) -> None:
    async with tree_app(TREE).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert "MiB TCP" not in pane_lines(app, TcpPane)[0]
        await pilot.press("m")
        assert "MiB TCP" in pane_lines(app, TcpPane)[0]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ((60, 20), "tw_sock 2.1 MiB"),
        ((80, 24), "2.1 MiB in TIME_WAIT"),
        ((200, 60), "2.1 MiB for ≥ 8 000 in TIME_WAIT"),
    ],
    ids=str,
)
async def test_the_memory_of_mini_sockets_stands_beside_the_total_of_tcp(size: tuple[int, int], text: str) -> None:
    async with tree_app(TREE).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert text not in "\n".join(pane_lines(app, TcpPane))
        await pilot.press("m")
        assert pane_lines(app, TcpPane)[2].endswith(text)


@pytest.mark.parametrize("size_bytes", [0, 131_072, 1_048_064, 943_718_400, 96_000_000_000])
def test_the_memory_of_mini_sockets_keeps_its_unit_in_the_narrowest_pane(size_bytes: int) -> None:
    figures = ledger("6.1-4n", "base")
    parts = tuple(
        part._replace(bytes=size_bytes if part.name == "tw_sock_TCP" else 0) if "tw_sock" in part.name else part
        for part in figures.tcp_memory.parts
    )
    total = figures.tcp_memory._replace(parts=parts, bytes=1_887_437, low_bytes=1_800_000, high_bytes=9_000_000)
    full = figures._replace(tcp_memory=total)
    for columns in range(26, 60):
        third = text_of(tcp_lines(full, View(), "time_wait", columns, 3)[2])
        assert re.search(r"[ \d](?:[BKMG]|[KMG]iB|TIME_WAIT)$", third), (columns, third)
        assert len(third) <= columns


@pytest.mark.parametrize(("kernel", "phase"), [("6.1-4n", "timewait"), ("6.12-4n", "timewait"), ("7.3-4n", "timewait")])
async def test_the_average_of_mini_sockets_is_their_memory_divided_as_the_screen_says(kernel: str, phase: str) -> None:
    async with tree_app(tree(kernel, phase)).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("m")
        found = re.search(r"([\d.]+) MiB (?:of slab )?for ≥ ([\d ]+) in TIME_WAIT", "\n".join(pane_lines(app, TcpPane)))
        assert app._ledger is not None
        cost = app._ledger.costs["time_wait"]
    assert found
    vectors = sum(part.bytes for part in cost.now_slices if part.label == "memcg")
    each = float(found[1]) * (1 << 20) / int(found[2].replace(" ", ""))
    assert cost.now_bytes == pytest.approx(each + vectors, rel=0.05)
    number = found[2]
    assert f"B in slabs, over >= {number} mini-sockets" in as_text(app._ledger)


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=str)
async def test_the_count_of_time_wait_names_the_closed_sockets_of_fin_wait2_in_it(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.12-4n", "halfclosed")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert re.search(r"TIME_WAIT +8 00\d .*FIN_WAIT2.* ≤ 8 192", "\n".join(pane_lines(app, TcpPane)))
    async with tree_app(tree("6.12-4n", "base")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert app._ledger is not None
        assert ("FIN_WAIT2" in "\n".join(pane_lines(app, TcpPane))) == bool(app._ledger.sockets.time_wait)


async def test_the_graph_of_mini_sockets_follows_their_memory() -> None:
    async with tree_app(tree("6.1-1n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        for snapshot in sample_phases("6.1-1n", ["established", "timewait", "timewait"]):
            await feed(pilot, snapshot)
        await pilot.press("m")
        assert re.search(r" MiB (?:of slab )?for ≥ 8 001 (?:in )?TIME_WAIT +[▁▂▃▄▅▆▇█]+", pane_lines(app, TcpPane)[2])


async def test_the_idle_bytes_are_the_same_beside_the_average_and_in_the_bar() -> None:
    async with tree_app(tree("6.12-4n", "timewait")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("m")
        *head, _, bar, first, second = pane_lines(app, FigurePane)[:6]
        others = (bar, first, second)
        beside = re.search(r"≤ (\d+) B of them idle", " ".join(head))
        in_bar = re.search(r"idle (\d+)", "\n".join(others))
        assert beside is not None
        assert in_bar is not None
        assert beside[1] == in_bar[1]


@pytest.mark.parametrize("phase", ["established", "timewait"])
async def test_the_caches_begin_with_those_of_mini_sockets_and_the_cursor_is_there(phase: str) -> None:
    async with tree_app(tree("6.1-4n", phase)).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("down", "down", "m")
        assert [line.split()[0] for line in pane_lines(app, CachesPane)[1:3]] == ["tw_sock_TCP", "TCP"]
        await pilot.press("c", "c")
        assert pane_lines(app, CachesPane)[1].startswith("tw_sock_TCP"), "whatever the order"
        await pilot.press("e", "enter")
        await pilot.pause()
        assert isinstance(app.screen, ExplainScreen)
        assert "tw_sock_TCP" in screen_text(app).splitlines()[0]
        await pilot.press("escape", "m")
        assert pane_lines(app, CachesPane)[1].startswith("TCP " if phase == "established" else "tw_sock_TCP ")


@pytest.mark.parametrize("keys", [["m"], ["m", "c"], ["m", "e", "e"], ["m", "s"]], ids="".join)
@pytest.mark.parametrize("kernel", ["6.1-8n", "6.1-4n-ipv6"])
async def test_an_empty_cache_of_mini_sockets_stands_not_above_the_others(kernel: str, keys: list[str]) -> None:
    empty = {line.name for line in ledger(kernel, "timewait").caches if line.objects == 0}
    assert {"tw_sock_TCP", "tw_sock_TCPv6"} & empty
    async with tree_app(tree(kernel, "timewait")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys)
        names = [line.split()[0] for line in pane_lines(app, CachesPane)[1:]]
        assert names[0].startswith("tw_sock_TCP")
        assert names[0] not in empty
        assert keys not in (["m"], ["m", "c"]) or not empty & {*names}


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=str)
async def test_the_graph_of_mini_sockets_names_the_namespace(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-1n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        for snapshot in sample_phases("6.1-1n", ["base", "established", "timewait"]):
            await feed(pilot, snapshot)
        assert any("TIME_WAIT this netns" in line for line in pane_lines(app, GraphsPane))


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=str)
async def test_the_graph_of_bytes_is_that_of_the_counted_sockets(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-1n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        for snapshot in sample_phases("6.1-1n", ["established", "timewait", "timewait"]):
            await feed(pilot, snapshot)
        assert not any("B/mini-socket" in line for line in pane_lines(app, GraphsPane))
        assert any("B/connection" in line for line in pane_lines(app, GraphsPane))
        await pilot.press("m")
        assert not any("B/connection" in line for line in pane_lines(app, GraphsPane))
        text = "\n".join(pane_lines(app, GraphsPane))
        assert re.search(r"B/mini-socket.*\n?.*\b273\b", text)


@pytest.mark.parametrize(
    ("phase", "keys", "message"),
    [
        ("timewait", ["m", "E"], "a mini-socket has no epoll items, buffers or TLS; m counts open sockets"),
        ("base", ["E"], "E adds to the average now, and there is none: an average needs"),
    ],
)
async def test_e_says_why_it_adds_nothing(phase: str, keys: list[str], message: str) -> None:
    async with tree_app(tree("6.1-4n", phase)).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys)
        await pilot.pause()
        [shown] = [each.message for each in app._notifications]
        assert shown.startswith(message)
        assert not app.choices.attached


async def test_the_nodes_have_the_free_blocks_of_the_counted_slabs() -> None:
    blocks: dict[int, list[int]] = {}
    for line in (TREE / "proc/buddyinfo").read_text().splitlines():
        node, zone, *counts = line.removeprefix("Node ").replace(", zone", "").split()
        if zone in ("DMA32", "Normal"):
            sums = blocks.setdefault(int(node), [0] * len(counts))
            blocks[int(node)] = [old + int(new) for old, new in zip(sums, counts, strict=True)]
    async with tree_app(TREE).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        assert app._ledger is not None
        # tw_sock_TCP has 2 pages per slab and TCP has 8, as slabinfo says.
        cases: list[tuple[AccountingMode, str, int]] = [
            ("full", "32K SLABS FIT", 3),
            ("time_wait", "8K SLABS FIT", 1),
        ]
        for mode, heading, order in cases:
            head, *rows = [text_of(line) for line in node_lines(app._ledger, 110, mode)]
            end = head.index(heading) + len(heading)
            shown = [int(re.split(r"\s{2,}", row[:end])[-1].replace(" ", "")) for row in rows]
            held = [sum(count << k for k, count in enumerate(counts[order:])) for counts in blocks.values()]
            assert shown == [pytest.approx(number, rel=0.01) for number in held], mode


@pytest.mark.parametrize("mode", ["full", "time_wait"])
@pytest.mark.parametrize("bound", [None, 1_300])
def test_a_count_of_this_netns_says_so_in_the_pane_of_the_machine(mode: AccountingMode, bound: int | None) -> None:
    figures = ledger("6.1-4n", "established")
    sockets = figures.sockets._replace(
        time_wait=1_234, time_wait_scope="here", time_wait_machine_max=bound, inuse=2_717, inuse6=0
    )
    figures = figures._replace(sockets=sockets)
    for columns in range(30, 90):
        lines = [text_of(line) for rows in range(1, 12) for line in tcp_lines(figures, View(), mode, columns, rows)]
        for line in lines:
            counts = re.search("1 234|^in use", line) and "slab" not in line
            assert not counts or re.search("this netns|here", line), (columns, line)
        assert any(" 2 717" in line for line in lines)
        assert any("1 234" in line for line in lines)
        bare = [line for line in lines if re.search(r"machine$", line) and "≤" in line]
        assert all("TIME_WAIT" in line for line in bare), bare
