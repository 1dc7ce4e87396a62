"""Texts of the screen that a newcomer read wrongly: each says what it means where it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from drive import (
    copy_tree,
    feed,
    pane_lines,
    pane_title,
    sample_phases,
    sample_tree,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
)

from tcptop.accounting import account
from tcptop.explanation.pages import PAGES
from tcptop.text.line import text_of
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.explain_screen import ExplainPane
from tcptop.widgets.graphs_pane import GraphsPane
from tcptop.widgets.limits_pane import LimitsPane


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60)], ids=str)
async def test_a_near_limit_of_mini_sockets_says_how_many_are_left(tmp_path: Path, size: tuple[int, int]) -> None:
    folder = copy_tree(tree("6.1-4n", "timewait"), tmp_path / "tree")
    (folder / "proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("9000\n")
    async with tree_app(folder).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        line = pane_lines(app, LimitsPane)[1]
        assert line.startswith("TIME_WAIT ")
        assert re.search(r"(1 000|1000) more", line)
        assert size != (80, 24) or "more mini-sockets" in line


async def test_a_listener_is_priced_on_the_server_side() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("i")
        await pilot.pause()
        lines = screen_text(app).splitlines()
        [heads] = [line for line in lines if "SERVER" in line]
        [listen] = [line for line in lines if "LISTEN " in line]
        server, client = (heads.index(title) + len(title) for title in ("SERVER", "CLIENT"))
        assert re.search(r"≤ \d \d{3}$", listen[:server])
        assert not listen[server:client].strip()


async def test_the_parts_of_a_socket_are_the_page_after_the_first_and_the_frame_names_it() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("i")
        await pilot.pause()
        assert f"→ {PAGES[1].name}" in str(app.screen.query_one(ExplainPane).border_subtitle)
        await pilot.press("right")
        await pilot.pause()
        assert "What socket(2) and connect(2) allocate ─ page 2 of" in screen_text(app)


async def test_the_foot_and_the_message_of_a_filter_say_how_it_ends_and_where_words_are_found() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("slash", *"zzz", "enter")
        await pilot.pause()
        assert "ESC end filter" in screen_text(app).splitlines()[-1]
        assert "? then / finds words" in " ".join(pane_lines(app, CachesPane))


async def test_types_without_a_free_block_are_called_so() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        assert "no free block of type HighAtomic, Isolate" in "\n".join(pane_lines(app, BuddyPane))


async def test_the_graphs_say_how_old_they_may_be() -> None:
    async with tree_app(tree("6.1-1n")).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        for snapshot in sample_phases("6.1-1n", ["base", "established"]):
            await feed(pilot, snapshot)
        assert pane_title(app, GraphsPane) == "Graphs ─ 5 minutes, a step is 5 s, ≤ 5 s old"


def page_lines(name: str) -> list[str]:
    [page] = [page for page in PAGES if page.name == name]
    return [text_of(line) for line in page.lines(account(sample_tree(tree("6.1-4n"))), 120)]


def test_the_page_of_memory_names_no_count_that_it_lacks_and_whose_the_idle_memory_is() -> None:
    text = "\n".join(page_lines("memory"))
    assert "CurrEstab" not in text
    assert re.search(r"of it idle .* in all these caches", text)
