"""Tests of the keys, by the text of the panes; figures are compared with the files of the recorded trees."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    Notices,
    ScriptedHost,
    buddy_rows,
    copy_tree,
    count_on_nodes,
    drawn_lines,
    feed,
    grouped,
    host_app,
    pane_lines,
    pane_title,
    parse_cache_table,
    resize,
    root_only,
    sample_tree,
    screen_text,
    sizes,
    slabinfo_rows,
    tree,
    tree_app,
    typed_rows,
    wait_for_app,
    wait_until,
)
from slow_case import slow
from textual.geometry import Region, Size
from textual.widgets import Input

from tcptop.screen.app import TcptopApp
from tcptop.screen.keys import LIVE_BINDINGS, bound_keys
from tcptop.text.cache_columns import SORT_KEYS, find_column
from tcptop.widgets.big_number import BIG_GLYPHS
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.cell_width import line_width
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.help_screen import HelpPane, HelpScreen
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.pane import Pane
from tcptop.widgets.tcp_pane import TcpPane

LARGE = (200, 60)
MIDDLE = (120, 40)

OWN_ROWS = ("TCP", "sock_inode_cache", "dentry", "request_sock_TCP", "tw_sock_TCP")
"""Caches that are not merged in the recorded trees."""


def caches(app: TcptopApp) -> dict[str, dict[str, str]]:
    return parse_cache_table(pane_lines(app, CachesPane))


def cache_names(app: TcptopApp) -> list[str]:
    return list(caches(app))


# Nodes


async def test_digit_shows_the_caches_of_a_node() -> None:
    folder = tree("6.1-4n")
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        for node in range(4):
            await pilot.press(str(node))
            assert f"node {node} of 4" in pane_title(app, CachesPane)
            for cache in OWN_ROWS:
                by_node = count_on_nodes(folder, cache)
                objects, total = by_node.get(node, 0), sum(by_node.values())
                slabs = count_on_nodes(folder, cache, "slabs").get(node, 0)
                row = caches(app)[cache]
                assert row["OBJS"] == grouped(objects), (node, cache)
                assert row["SLABS"] == grouped(slabs), (node, cache)
                assert row["OF ALL"] == (f"{int(objects * 100 / total + 0.5)}%" if total else "–"), (node, cache)
                assert row["OBJ SIZE"] == grouped(slabinfo_rows(folder)[cache][2]), (node, cache)


async def test_all_nodes_show_the_figures_of_slabinfo() -> None:
    folder = tree("6.1-4n")
    async with tree_app(folder).run_test(size=(180, 60)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign")
        rows = caches(app)
        assert "all 4 nodes" in pane_title(app, CachesPane)
        for cache in OWN_ROWS:
            active, objects, size, per_slab, pages, slabs = slabinfo_rows(folder)[cache]
            assert rows[cache]["OBJS"] == grouped(objects)
            assert rows[cache]["ACTIVE"].removeprefix("≤ ") == grouped(active)
            assert rows[cache]["OBJ SIZE"] == grouped(size)
            assert rows[cache]["SLABS"] == grouped(slabs)
            assert rows[cache]["O/S"] == grouped(per_slab)
            assert rows[cache]["P/S"] == grouped(pages)
            assert rows[cache]["ORDER"] == str(pages.bit_length() - 1)


async def test_brackets_cycle_through_nodes_and_equals_shows_all() -> None:
    seen: list[int | None] = []
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        objects = [count_on_nodes(tree("6.1-4n"), "dentry").get(node, 0) for node in range(4)]
        for key in ["right_square_bracket"] * 4 + ["left_square_bracket"] * 5:
            await pilot.press(key)
            node = app.choices.node
            seen.append(node)
            assert node is not None
            assert caches(app)["dentry"]["OBJS"] == grouped(objects[node])
            assert f"node {node} " in pane_title(app, BuddyPane)
            assert pane_lines(app, HeadLine)[0].endswith(f"node {node} · saved")
        assert seen == [0, 1, 2, 3, 2, 1, 0, 3, 2]
        await pilot.press("equals_sign")
        # The figure comes from slabinfo, because sysfs was recorded a moment later.
        assert caches(app)["dentry"]["OBJS"] == grouped(slabinfo_rows(tree("6.1-4n"))["dentry"][1])
        assert " node " not in pane_lines(app, HeadLine)[0]
        await pilot.press("right_square_bracket")
        assert app.choices.node == 0
        await pilot.press("equals_sign", "left_square_bracket")
        assert app.choices.node == 3


async def test_missing_node_is_reported_and_changes_nothing() -> None:
    notices = Notices()
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE, message_hook=notices.collect) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("2")
        before = app.view, pane_lines(app, CachesPane), pane_lines(app, BuddyPane)
        await pilot.press("7")
        assert (app.view, pane_lines(app, CachesPane), pane_lines(app, BuddyPane)) == before
        await wait_until(pilot, lambda: bool(notices), "a message")
        [notice] = notices
        assert "7" in notice
        assert "0, 1, 2, 3" in notice


async def test_g_asks_for_a_node() -> None:
    notices = Notices()
    async with tree_app(tree("6.1-8n")).run_test(size=LARGE, message_hook=notices.collect) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("g", "6", "enter")
        await pilot.pause()
        assert app.choices.node == 6
        assert caches(app)["TCP"]["OBJS"] == grouped(count_on_nodes(tree("6.1-8n"), "TCP")[6])
        await pilot.press("g", "4", "escape")
        assert app.choices.node == 6
        for answer in ("9 9", "x", "minus", "²"):
            await pilot.press("g")
            if answer == "²":
                app.screen.query_one(Input).value = "²"
            else:
                await pilot.press(*answer.split())
            await pilot.press("enter")
            await pilot.pause()
            assert app.choices.node == 6
        await wait_until(pilot, lambda: len(notices) >= 4, "a message for each wrong answer")
        assert len(set(notices)) == len(notices) == 4


async def test_letters_typed_in_a_prompt_are_not_keys() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        before = app.view
        await pilot.press("g", "q", "m", "1")
        assert app.screen.query_one(Input).value == "qm1"
        await pilot.press("escape")
        assert app.view == before
        assert app.is_running


# Figures


@pytest.mark.parametrize(("kernel", "figure"), [("6.1-4n", "273"), ("5.10-4n", "248")])
async def test_m_switches_the_figure(kernel: str, figure: str) -> None:
    async with tree_app(tree(kernel, "timewait")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        full = pane_lines(app, FigurePane)
        await pilot.press("m")
        assert "TIME_WAIT" in pane_title(app, FigurePane)
        assert "TIME_WAIT" in pane_lines(app, HeadLine)[0]
        assert any(f"server ≈ {figure} B" in line for line in pane_lines(app, FigurePane))
        await pilot.press("m")
        assert pane_lines(app, FigurePane) == full
        assert "open sockets" in pane_title(app, FigurePane)
        assert "TIME_WAIT" not in pane_lines(app, HeadLine)[0]


async def test_socket_counts_are_those_of_sockstat() -> None:
    folder = tree("6.1-4n", "timewait")
    fields = next(
        line for line in (folder / "proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:")
    ).split()
    stat = dict(zip(fields[1::2], fields[2::2], strict=True))
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        lines = pane_lines(await wait_for_app(pilot), TcpPane)
        assert any(f" {grouped(int(stat['alloc']))} socket" in line for line in lines)
        for title, field in (("in use", "inuse"), ("TIME_WAIT", "tw"), ("orphans", "orphan")):
            assert any(line.startswith(title) and f" {grouped(int(stat[field]))} " in f"{line} " for line in lines)


@pytest.mark.parametrize("refused", [[], ["proc/slabinfo"], ["sys/kernel/security/lsm"], None], ids=str)
@pytest.mark.parametrize("phase", ["base", "established"])
async def test_large_figure_is_the_sum_of_its_parts(phase: str, refused: list[str] | None) -> None:
    """The sums are equal except for the rounding of each part to a whole byte."""
    host = ScriptedHost(tree("6.1-4n", phase))
    host.refused = root_only if refused is None else lambda path: path in refused
    async with host_app(host).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        assert_sum_of_parts(pane_lines(app, FigurePane))
        await pilot.press("m")
        assert_sum_of_parts(pane_lines(app, FigurePane))


def assert_sum_of_parts(lines: list[str]) -> None:
    digits = read_big(lines[:3])
    bar = next((index for index, line in enumerate(lines[3:], 3) if line.startswith("█")), len(lines))
    named = re.findall(r"([A-Za-z]\D*?) (\d{1,3}(?: \d{3})*)(?= |$)", " ".join(lines[bar + 1 :]))
    parts = {name: int(number.replace(" ", "")) for name, number in named}
    assert len(parts) == len(named), "a part is named once, below the bar or in the legend"
    if digits is None:
        assert not parts
    else:
        assert parts
        assert abs(sum(parts.values()) - digits) <= len(parts) / 2 + 0.5, lines


def read_big(lines: list[str]) -> int | None:
    """The number in large digits; None for a dash."""
    digits = ""
    rest = lines
    while True:
        found = [
            each
            for each, glyph in BIG_GLYPHS.items()
            if all(line.startswith(part) for line, part in zip(rest, glyph, strict=True))
        ]
        found = [each for each in found if each != " "]
        if not found:
            if not all(line.startswith(" ") for line in rest):
                return int(digits) if digits else None
            rest = [line[1:] for line in rest]
            if not any(line.strip() for line in rest):
                return int(digits) if digits else None
            continue
        digits += found[0] if found[0].isdigit() else ""
        rest = [line[len(BIG_GLYPHS[found[0]][0]) :] for line in rest]


# The buddy pane


@pytest.mark.parametrize("size", [(240, 70), (80, 24)])
@pytest.mark.parametrize("kernel", ["6.1-4n", "7.3-4n"])
async def test_buddy_counts_are_those_of_the_files(kernel: str, size: tuple[int, int]) -> None:
    folder = tree(kernel)
    async with tree_app(folder).run_test(size=size) as pilot:
        await wait_for_app(pilot)
        for node in range(4):
            await pilot.press(str(node))
            lines = await all_lines(pilot, BuddyPane)
            zones = {zone: blocks for (of, zone), blocks in buddy_rows(folder).items() if of == node}
            assert zones
            zone = ""
            labels: list[str] = []
            for line in lines:
                words = line.replace("·", "0").split()
                if words[0] in zones:
                    zone = words[0]
                    labels.append(zone)
                    assert words[1 : 1 + len(zones[zone])] == zones[zone]
                elif (node, zone, words[0]) in typed_rows(folder):
                    blocks = typed_rows(folder)[node, zone, words[0]]
                    labels.append(f"{zone} {words[0]}")
                    assert words[1 : 1 + len(blocks)] == blocks
            with_blocks = {
                f"{zone} {kind}"
                for (of, zone, kind), blocks in typed_rows(folder).items()
                if of == node and zone in zones and (any(map(int, blocks)) or kind == "Unmovable")
            }
            # The small zone DMA of node 0 has a line of its own.
            folded = {label for label in zones.keys() | with_blocks if label.split()[0] == "DMA"}
            assert sorted(labels) == sorted((zones.keys() | with_blocks) - folded)
            assert any(line.startswith("DMA: ") for line in lines) == bool(folded)


async def test_all_nodes_list_every_zone() -> None:
    folder = tree("6.1-4n")
    async with tree_app(folder).run_test(size=(240, 70)) as pilot:
        await wait_for_app(pilot)
        await pilot.press("equals_sign")
        lines = [line.replace("·", "0").split() for line in await all_lines(pilot, BuddyPane)]
        for (node, zone), blocks in buddy_rows(folder).items():
            assert ["node", str(node), zone, *blocks] in [words[: 3 + len(blocks)] for words in lines]


async def test_y_shows_bytes() -> None:
    folder = tree("6.1-4n")
    async with tree_app(folder).run_test(size=(240, 70)) as pilot:
        app = await wait_for_app(pilot)
        blocks = pane_lines(app, BuddyPane)
        await pilot.press("y")
        assert "in bytes" in pane_title(app, BuddyPane)
        words = next(line.split() for line in pane_lines(app, BuddyPane) if line.startswith("DMA32"))
        last = sum(int(blocks[-1]) for (_, zone), blocks in buddy_rows(folder).items() if zone == "DMA32")
        assert words[11] == f"{round(last * 4 / 1024, 1):g}G"  # blocks of 4 MiB
        await pilot.press("y")
        assert pane_lines(app, BuddyPane) == blocks


async def all_lines(pilot: AppPilot, pane: type[Pane]) -> list[str]:
    """Every line of a pane below its head, collected by scrolling from the first to the last."""
    widget = pilot.app.screen_stack[0].query_one(pane)
    widget.focus()
    await pilot.press("home")
    lines = [line for line in drawn_lines(widget)[1:] if line.strip()]
    before: list[str] = []
    while True:
        await pilot.press("down")
        now = [line for line in drawn_lines(widget)[1:] if line.strip()]
        if now == before:
            return lines
        if now != lines[-len(now) :]:
            lines.append(now[-1])
        before = now


# Sorting

FILE_FIELD = {"a": 0, "o": 1, "s": 2, "b": 3, "p": 4, "l": 5, "v": 5}
"""The index of the slabinfo figure that each key sorts by."""


@pytest.mark.parametrize("key", FILE_FIELD)
async def test_sort_key_sorts_and_again_reverses(key: str) -> None:
    folder = tree("6.1-4n")
    async with tree_app(folder).run_test(size=(200, 70)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign", key)
        figures = [slabinfo_rows(folder)[name][FILE_FIELD[key]] for name in cache_names(app)]
        assert figures == sorted(figures, reverse=True)
        assert len(set(figures)) > 1
        assert "▾" in pane_lines(app, CachesPane)[0]
        await pilot.press(key)
        figures = [slabinfo_rows(folder)[name][FILE_FIELD[key]] for name in cache_names(app)]
        assert figures == sorted(figures)
        assert "▴" in pane_lines(app, CachesPane)[0]
        await pilot.press(key.upper())
        assert not app.choices.reverse


async def test_names_sort_ascending_first() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(200, 70)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("n")
        assert cache_names(app) == sorted(cache_names(app))
        await pilot.press("N")
        assert cache_names(app) == sorted(cache_names(app), reverse=True)
        assert len(cache_names(app)) > 10


@pytest.mark.slow
async def test_upper_and_lower_case_sort_the_same() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=MIDDLE) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign")
        for key in SORT_KEYS.keys() - {"e"}:  # E adds the attached objects
            results = []
            for each in (key, key.upper()):
                await pilot.press("n" if key != "n" else "c", each)
                results.append((app.view, pane_lines(app, CachesPane)))
            assert results[0] == results[1], key
            assert results[0][0].choices.sort == SORT_KEYS[key]


async def test_space_keeps_sort_order_node_and_cursor() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("2", "c", "c", "m", "down", "down")
        before = app.choices, pane_lines(app, CachesPane), pane_lines(app, BuddyPane), screen_text(app)
        await pilot.press("space")
        await pilot.pause()
        await pilot.pause()
        assert (app.choices, pane_lines(app, CachesPane), pane_lines(app, BuddyPane), screen_text(app)) == before


async def test_space_samples_again(tmp_path: Path) -> None:
    folder = copy_tree(tree("6.1-4n"), tmp_path / "tree")
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        sockstat = folder / "proc/net/sockstat"
        sockstat.write_text(sockstat.read_text().replace("alloc 16001", "alloc 16345"))
        await pilot.press("space")
        await wait_until(
            pilot,
            lambda: any("16 345 sockets" in line for line in pane_lines(app, TcpPane)),
            "the new figure",
        )


# Leaving, scrolling, help


@pytest.mark.parametrize(
    ("before", "key"),
    [*((before, key) for before in ("", "question_mark") for key in ("q", "Q", "ctrl+c")), ("g", "ctrl+c")],
)
async def test_quitting_gives_0(key: str, before: str) -> None:
    app = tree_app(tree("6.1-4n"))
    async with app.run_test(size=MIDDLE) as pilot:
        await wait_for_app(pilot)
        if before:
            await pilot.press(before)
            await pilot.press(key)  # closes the screen on top, or quits
            await pilot.pause()
        if app._exit is False:
            await pilot.press(key)
        await pilot.pause()
        assert app._exit
    assert app.return_code == 0


async def test_scrolling_keys() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        start = cache_names(app)
        # The cursor moves to the last visible line, then the table scrolls.
        await pilot.press(*["down"] * (len(start) - 1))
        assert cache_names(app) == start
        await pilot.press("down")
        assert cache_names(app)[:-1] == start[1:]
        await pilot.press(*["up"] * len(start))
        assert cache_names(app) == start
        await pilot.press("up", "up")
        assert cache_names(app) == start
        await pilot.press("pagedown")
        page = cache_names(app)
        assert page != start
        assert len(page) == len(start)
        await pilot.press("pageup")
        assert cache_names(app) == start
        await pilot.press("end")
        end = cache_names(app)
        assert not set(end) & set(start)
        await pilot.press("down", "pagedown")
        assert cache_names(app) == end
        await pilot.press("home")
        assert cache_names(app) == start
        lists = pane_lines(app, BuddyPane)
        await pilot.press("tab", "down")
        assert cache_names(app) == start
        assert pane_lines(app, BuddyPane)[1] == lists[2]
        assert pane_lines(app, BuddyPane)[0] == lists[0]
        await pilot.press("shift+tab", *["down"] * len(start))
        assert cache_names(app) != start


async def test_title_names_the_visible_rows() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        of = len(snapshot_rows())
        for key in ("home", "down", "pagedown", "end"):
            await pilot.press(key)
            first = snapshot_rows().index(cache_names(app)[0]) + 1
            assert pane_title(app, CachesPane).endswith(f"{first}–{first + len(cache_names(app)) - 1} of {of}")


def snapshot_rows() -> list[str]:
    """The names of the caches in their initial order."""
    from tcptop.accounting import account
    from tcptop.text.cache_columns import sort_rows
    from tcptop.text.cache_rows import select_rows

    ledger = account(sample_tree(tree("6.1-4n")))
    return [row.cache.name for row in sort_rows(select_rows(ledger.caches, None), "tcp")]


async def test_help_lists_every_binding_and_closes() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        before = app.view
        for key in ("question_mark", "h", "H", "f1"):
            if isinstance(app.screen, HelpScreen):
                await pilot.press("escape")
            await pilot.press(key)
            assert isinstance(app.screen, HelpScreen), key
        pane = app.screen.query_one(HelpPane)
        lines: list[str] = []
        for _ in range(30):
            lines += [line for line in drawn_lines(pane) if line not in lines]
            await pilot.press("pagedown")
        text = " ".join(" ".join(lines).split())
        for keys, meaning in bound_keys(LIVE_BINDINGS):
            assert f"{keys} {meaning}" in text or meaning.startswith("sort by "), meaning
        [sort_line] = [line for line in lines if "sort by a column" in line]
        for key, column in SORT_KEYS.items():
            assert f" {key} " in sort_line
            title = re.escape(find_column(column).heading.title)
            assert key == "v" or re.search(rf" {title} {key} ", text), column
        assert text.index("What am I looking at") < text.index("Keys") < text.index("Columns of the caches")
        for name in ("Bytes per connection", "TCP in the kernel", "Limits", "TCP caches", "Free blocks"):
            assert name in text[: text.index("Keys")]
        assert len(lines) < 76
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)
        assert app.view == before


async def test_any_other_key_closes_the_help() -> None:
    """The keys have the effect that the title of the help promises."""
    async with tree_app(tree("6.1-4n")).run_test(size=MIDDLE) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("h")
        await pilot.pause()
        pane = app.screen.query_one(HelpPane)
        assert "↑ ↓ scroll, i / explain, any other key closes" in pane._titles[0]
        assert "In this help, i: " in " ".join(" ".join(drawn_lines(pane)).split())
        await pilot.press("escape")
        for key in ("escape", "question_mark", "h", "H", "f1", "q", "enter", "space", "m", "1", "x"):
            await pilot.press("h")
            assert isinstance(app.screen, HelpScreen), key
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, HelpScreen), key
            assert app.is_running, key


async def test_keys_of_a_live_host_do_nothing_on_a_saved_tree() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=MIDDLE) as pilot:
        app = await wait_for_app(pilot)
        before = app.view, screen_text(app)
        await pilot.press("z", "plus", "minus", "f", "ctrl+l")
        await pilot.pause()
        assert (app.view, screen_text(app)) == before


# Widths

PANES: tuple[type[Pane], ...] = (HeadLine, FigurePane, TcpPane, CachesPane, BuddyPane, KeyLine)
ALL_SIZES = [*sizes((40, 60, 76, 80, 107, 108, 240), (5, 10, 18, 32, 70)), Size(75, 17), Size(120, 40), Size(80, 24)]
"""Sizes on both sides of each breakpoint, usual terminal sizes, and extreme sizes."""
SOME_SIZES = [*sizes((40, 80, 120), (12, 24, 40))]


def too_wide(app: TcptopApp) -> list[str]:
    """The lines that are wider than their pane."""
    found = []
    for kind in PANES:
        pane = app.screen_stack[0].query_one(kind)
        if pane.display and pane.size.width:
            found += [
                f"{app.size.width}x{app.size.height} {kind.__name__} {pane.size.width}: {''.join(t for t, _ in line)!r}"
                for line in pane._lines
                if line_width(line) > pane.size.width
            ]
    return found


@pytest.mark.parametrize(
    ("kernel", "tried"),
    [
        ("6.1-4n", SOME_SIZES),
        slow("6.1-4n", ALL_SIZES),
        slow("6.1-1n", SOME_SIZES),
        slow("6.12-arm64-16k-4n", SOME_SIZES),
        slow("7.3-4n", SOME_SIZES),
        slow("6.1-4n-ipv6", SOME_SIZES),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} sizes",
)
@pytest.mark.parametrize("keys", [[], ["m", "y", "equals_sign"]], ids=["start", "bytes of all nodes"])
async def test_lines_fit_at_every_size(kernel: str, tried: list[Size], keys: list[str]) -> None:
    cut: list[str] = []
    async with tree_app(tree(kernel, "timewait" if keys else "established")).run_test(size=(40, 5)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys)
        for size in tried:
            await resize(pilot, size)
            cut += [line for line in too_wide(app) if line not in cut]
            assert all(line_width(((line, "text"),)) <= size.width for line in screen_text(app).splitlines())
    assert not cut, "\n".join(cut)


async def test_reason_of_a_refused_file_fits() -> None:
    """The reason names a command, which must not be cut."""
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = root_only
    async with host_app(host).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        for size in sizes((80, 120), (24, 40)):
            await resize(pilot, size)
            assert not too_wide(app)


@pytest.mark.slow
async def test_resizing_at_any_moment() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        keys = [
            "m",
            "3",
            "end",
            "question_mark",
            "pagedown",
            "escape",
            "g",
            "1",
            "escape",
            "y",
            "tab",
            "end",
            "equals_sign",
        ]
        small = [(40, 5), (240, 70), (41, 10), (1, 1), (76, 18), (10, 3), (108, 32)]
        for at, key in enumerate(keys * 2):
            columns, rows = small[at % len(small)]
            await pilot.press(key)
            await pilot.resize_terminal(columns, rows)
            screen_text(app)
        await pilot.resize_terminal(120, 40)
        while len(app.screen_stack) > 1:
            await pilot.press("escape")
        await pilot.press("home", "m", "m")
        assert "TCP" in screen_text(app)


async def test_first_sample_on_a_terminal_of_one_cell() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(1, 1)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("m", "2", "end", "home", "y")
        await resize(pilot, (120, 40))
        assert "TIME_WAIT" in pane_title(app, FigurePane)
        assert caches(app)["TCP"]["OBJS"] == grouped(count_on_nodes(tree("6.1-4n"), "TCP")[2])


# Refreshed lines


class Refreshes:
    """Records the refreshes that panes request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, tuple[Region, ...]]] = []
        ask = Pane.refresh

        def refresh(pane: Pane, *regions: Region, **options: bool) -> Pane:
            self.calls.append((type(pane).__name__, regions))
            return ask(pane, *regions, **options)

        monkeypatch.setattr(Pane, "refresh", refresh)

    def lines(self) -> set[tuple[str, int]]:
        """The refreshed lines as pane and line number; -1 for a whole pane."""
        return {(name, region.y) for name, regions in self.calls for region in regions} | {
            (name, -1) for name, regions in self.calls if not regions
        }


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_equal_sample_refreshes_nothing(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    snapshot = sample_tree(tree("6.1-4n"))
    async with tree_app(tree("6.1-4n", "base")).run_test(size=size) as pilot:
        await wait_for_app(pilot)
        refreshes = Refreshes(monkeypatch)
        await feed(pilot, snapshot)
        assert refreshes.calls, "a different sample is drawn"
        refreshes.calls.clear()
        await feed(pilot, snapshot)
        assert refreshes.calls == []


async def test_only_changed_lines_are_refreshed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = copy_tree(tree("6.1-4n"), tmp_path / "established")
    async with tree_app(folder).run_test(size=(120, 70)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign", "n")
        slabinfo = (folder / "proc/slabinfo").read_text()
        line = next(line for line in slabinfo.splitlines() if line.startswith("skbuff_head_cache "))
        active = line.split()[1]
        (folder / "proc/slabinfo").write_text(
            slabinfo.replace(line, line.replace(f" {active} ", f" {int(active) // 2} ", 1))
        )
        place = cache_names(app).index("skbuff_head_cache")
        refreshes = Refreshes(monkeypatch)
        await feed(pilot, sample_tree(folder))
        assert refreshes.lines() == {("CachesPane", place + 1)}


def sums(rows: Iterable[Sequence[str]]) -> list[int]:
    """Counts by order, added up."""
    return [sum(map(int, counts)) for counts in zip_longest(*rows, fillvalue="0")]


@pytest.mark.parametrize(
    "kernel", ["6.1-4n", "6.1-8n", "6.1-4n-memoryless", "6.12-arm64-16k-4n", "5.10-4n", "7.3-4n", "6.1-1n"]
)
async def test_all_nodes_add_up_the_zones_and_migrate_types_of_the_files(kernel: str) -> None:
    folder = tree(kernel)
    async with tree_app(folder).run_test(size=(180, 60)) as pilot:
        await wait_for_app(pilot)
        zone, found = "", set()
        names = {zone for _, zone in buddy_rows(folder)}
        for line in await all_lines(pilot, BuddyPane):
            words = line.replace("·", "0").split()
            if words[0] in names:
                zone = words[0]
                expected = sums(blocks for (_, name), blocks in buddy_rows(folder).items() if name == zone)
            elif words[0] in ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA"):
                rows = typed_rows(folder).items()
                expected = sums(blocks for (_, name, kind), blocks in rows if (name, kind) == (zone, words[0]))
            else:
                continue
            found.add((zone, words[0]))
            assert words[1 : 1 + len(expected)] == list(map(str, expected)), (zone, words[0])
        assert {("Normal", "Normal"), ("Normal", "Unmovable"), ("Normal", "Movable")} <= found or "arm64" in kernel
        assert found
