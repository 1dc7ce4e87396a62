"""Screens of a user without root, and low screens: no heading without a row, no figure twice, and a label for the CPU
use.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from drive import ScriptedHost, host_app, pane_lines, pane_title, root_only, screen_text, tree, tree_app, wait_for_app
from recorded import ledger, slab_rows
from textual.geometry import Region

from tcptop.explanation.memory_page import buffer_memory_amount
from tcptop.explanation.pages import explain_word
from tcptop.ledger import Slice
from tcptop.screen.app import TcptopApp
from tcptop.text.line import text_of
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.pane import Pane
from tcptop.widgets.slice_bar import slice_bar, slice_legend
from tcptop.widgets.tcp_pane import TcpPane, detail_lines


def plain_app() -> TcptopApp:
    """The app of a user who may not read slabinfo, pagetypeinfo and the attributes of caches."""
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = root_only
    return host_app(host)


@pytest.mark.parametrize("rows", range(9, 16))
async def test_a_plain_users_caches_have_a_row_below_their_heading(rows: int) -> None:
    async with plain_app().run_test(size=(40, rows)) as pilot:
        app = await wait_for_app(pilot)
        lines = [line for line in pane_lines(app, CachesPane) if line]
        assert lines
        assert not lines[-1].startswith("CACHE"), lines


@pytest.mark.parametrize("rows", range(8, 24))
async def test_the_plan_shows_no_heading_without_a_row(rows: int) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(40, rows)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("M")
        await pilot.pause()
        lines = screen_text(app).splitlines()
        for line, below in pairwise(lines):
            assert not (re.match(r" ?[A-Z]{3,} .*[A-Z]{3,}", line) and "↓ more" in below), line
        assert not re.match(r" ?LIMIT ", [line for line in lines if line][-1])


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50), (200, 60)], ids=str)
async def test_the_available_memory_stands_once(size: tuple[int, int]) -> None:
    async with plain_app().run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert "\n".join(pane_lines(app, TcpPane)).count("RAM available") == (size[0] > 80)


@pytest.mark.parametrize("columns", [50, 60, 90])
def test_the_use_of_the_cpus_is_called_the_machines(columns: int) -> None:
    figures = ledger("6.1-4n", "established")
    figures = figures._replace(host=figures.host._replace(cpu_busy_percent=99.2))
    [line] = [line for line in map(text_of, detail_lines(figures, figures, "full", columns)) if "RAM" in line]
    # The amount beside it is never a share of the memory.
    assert re.search(
        r"GiB of [\d.]+ GiB(, after reserves)?(; (machine's CPU|(all )?CPUs) 99 %)?$", line.replace("  ", " ")
    )
    assert bool(re.search("CPUs? 99 %", line)) == (columns >= 50)
    assert ("machine's CPU" in line) == (columns >= 60)
    page = explain_word(figures, "CPU")
    assert page is not None
    assert "no figure of TCP" in "\n".join(map(text_of, page.lines(figures, 100)))


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 40)], ids=str)
async def test_before_the_first_sample_the_screen_says_that_it_reads(size: tuple[int, int]) -> None:
    app = tree_app(tree("6.1-4n"))
    begin = app.feed.begin
    app.feed.begin = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        first, *others = screen_text(app).splitlines()
        assert first.split() == ["tcptop", "reading", "/proc", "…"]
        assert sum(line.startswith("────") for line in others) >= (1 if size[1] < 20 else 2), "the frames of the panes"
        begin()
        await wait_for_app(pilot)
        assert "reading" not in screen_text(app).splitlines()[0]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=str)
async def test_the_command_for_root_stands_once(size: tuple[int, int]) -> None:
    async with plain_app().run_test(size=size) as pilot:
        text = screen_text(await wait_for_app(pilot))
        assert text.count("is for root only") == 1
        assert "/proc/pagetypeinfo is refused, too" in text
        assert text.count("sudo") == 1


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=str)
async def test_without_colours_the_title_of_the_pane_with_the_focus_is_reversed(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        for _ in range(4):
            await pilot.press("tab")
            await pilot.pause()
            panes = [pane for pane in app.screen.query(Pane) if pane.display and pane.gutter.top]
            reversed_titles = [
                pane.id
                for pane in panes
                if any(
                    segment.style and segment.style.reverse
                    for segment in pane.render_lines(Region(0, 0, size[0], 1))[0]
                )
            ]
            assert reversed_titles == [app.screen.focused.id if app.screen.focused else None]


async def test_the_key_of_all_nodes_says_that_there_is_one_node() -> None:
    async with tree_app(tree("6.18-1n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("=")
        await pilot.pause()
        assert [each.message for each in app._notifications] == ["node 0 is the only node"]


@pytest.mark.parametrize(
    ("keys", "what", "cache"),
    [([], "sockets", "TCP"), (["m"], "mini-sockets", "tw_sock_TCP")],
    ids=["open sockets", "TIME_WAIT"],
)
@pytest.mark.parametrize("kernel", ["6.1-4n", "6.18-1n"])
async def test_the_mark_is_at_the_order_of_the_counted_sockets(
    kernel: str, keys: list[str], what: str, cache: str
) -> None:
    pages = slab_rows((tree(kernel) / "proc/slabinfo").read_text(encoding="utf-8"))[cache].pages
    async with tree_app(tree(kernel)).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys)
        await pilot.pause()
        gives_way = "not initialised" in pane_title(app, BuddyPane)
        assert gives_way or f"▸ slabs of {what} ─" in screen_text(app)
        assert re.findall(r"▸(\d+)K", screen_text(app)) == [str(4 * pages)]


async def test_the_short_legend_leaves_out_the_smallest_parts_of_the_bar() -> None:
    async with tree_app(tree("6.18-1n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        assert app._ledger is not None
        slices = app._ledger.costs["full"].now_slices
        line = pane_lines(app, FigurePane)[-1]
        named = re.findall(r"[█▓▒░]([\w/ ]+?) \d[\d ]*(?= [█▓▒░+]|$)", line)
        assert re.match("█+  █", line), "the legend is not a part of the bar"
        assert named[:2] == ["TCPv4/6", "inode"]
        largest = sorted(slices, key=lambda part: -part.bytes)[: len(named)]
        assert named == [part.label.replace("TCP v4/v6 average", "TCPv4/6") for part in slices if part in largest]


def test_buffers_in_use_have_the_sign_of_the_end_of_their_range() -> None:
    figures = ledger("6.1-4n", "halfclosed")
    [part] = [part for part in figures.tcp_memory.parts if part.row is None]
    assert part.low_bytes < part.bytes < part.high_bytes
    lowest = tuple(
        each._replace(bytes=4096, low_bytes=4096) if each == part else each for each in figures.tcp_memory.parts
    )
    assert buffer_memory_amount(figures._replace(tcp_memory=figures.tcp_memory._replace(parts=lowest))).startswith("≥ ")
    for amount, sign in ((part.high_bytes, "≤ "), ((part.low_bytes + part.high_bytes) // 2, "≈ ")):
        parts = tuple(each._replace(bytes=amount) if each == part else each for each in figures.tcp_memory.parts)
        changed = figures._replace(tcp_memory=figures.tcp_memory._replace(parts=parts))
        assert buffer_memory_amount(changed).startswith(sign)


@pytest.mark.parametrize("signs", [False, True])
def test_each_of_ten_parts_of_a_bar_has_a_swatch_of_its_own(signs: bool) -> None:
    slices = [Slice(f"part {number}", 10.0) for number in range(10)]
    swatches = slice_bar(slices, 100, signs)
    assert len(swatches) == len({(text[0], role) for text, role in swatches}) == 10
    [legend] = slice_legend(slices, (), 1000, signs=signs)
    assert [(text, role) for text, role in legend if text in "█▓▒░=&o:xw"] == [
        (text[0], role) for text, role in swatches
    ]
