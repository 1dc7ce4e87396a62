"""Tests of the name filter, all caches, the mark, the graphs, messages, the settings file and the colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    copy_tree,
    feed,
    host_app,
    open_host,
    pane_lines,
    pane_title,
    parse_cache_table,
    resize,
    root_only,
    sample_counts,
    sample_phases,
    screen_text,
    slabinfo_rows,
    tree,
    tree_app,
    wait_for_app,
    wait_until,
)
from slow_case import slow
from textual._doc import take_svg_screenshot

from tcptop.screen.app import TcptopApp
from tcptop.screen.themes import LIGHT_THEME, THEME
from tcptop.settings.file import Settings, read_settings, settings_path
from tcptop.snapshot import Snapshot
from tcptop.text import units
from tcptop.widgets.big_number import draw_big_number
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.graph import LEVELS
from tcptop.widgets.graphs_pane import GraphsPane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.key_line import KEYS, KeyLine
from tcptop.widgets.limits_pane import LimitsPane
from tcptop.widgets.tcp_pane import TcpPane

LARGE = (200, 70)
ALL = (189, 500)
"""A terminal so tall that no pane scrolls, with the largest width that has no right column."""
WIDTHS = [(20, 29, 30, 40, 60, 75, 76, 80, 100, 107, 108, 120, 160, 240), slow(range(20, 241, 3))]
"""Usual widths of a terminal, widths on both sides of each breakpoint, and nearly every other width."""


def caches(app: TcptopApp) -> dict[str, dict[str, str]]:
    return parse_cache_table(pane_lines(app, CachesPane))


def merged_names(kernel: str, row: str) -> set[str]:
    """The caches merged into a row of slabinfo, according to the links in the tree's /sys/kernel/slab."""
    slab = tree(kernel) / "sys/kernel/slab"
    if not (slab / row).is_symlink():
        return {row}
    return {link.name for link in slab.iterdir() if link.is_symlink() and link.readlink() == (slab / row).readlink()}


# The filter


async def test_table_is_filtered_while_typing() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        everything = list(caches(app))
        await pilot.press("slash")
        typed = ""
        for letter in "TCP_b":
            await pilot.press(letter if letter != "_" else "underscore")
            await pilot.pause()
            typed += letter.lower()
            names = list(caches(app))
            assert names, typed
            assert set(names) <= set(everything)
            by_name = {
                name for name in everything if any(typed in each.lower() for each in merged_names("6.1-4n", name))
            }
            # The names of structs are matched too: `pid` holds inet_bind_bucket.
            assert by_name <= set(names)
            assert f"/{typed}" in pane_title(app, CachesPane).lower()
        assert names == ["pid", "anon_vma_chain"], "the rows that hold bind buckets"
        await pilot.press("backspace", "backspace", "backspace", "backspace")
        await pilot.pause()
        assert len(caches(app)) > len(names)


async def test_enter_keeps_the_filter_and_esc_ends_it() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        everything = list(caches(app))
        await pilot.press("slash", *"filp", "enter")
        await pilot.pause()
        assert list(caches(app)) == ["filp"]
        await pilot.press("n", "m", "equals_sign", "space")
        assert list(caches(app)) == ["filp"], "other keys leave it alone"
        await pilot.press("escape")
        assert sorted(caches(app)) == sorted(everything)
        await pilot.press("slash", *"filp", "escape")
        await pilot.pause()
        assert sorted(caches(app)) == sorted(everything)
        assert "/" not in pane_title(app, CachesPane)


async def test_filter_without_a_match_names_the_keys() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("slash", *"kmalloc", "enter")
        await pilot.pause()
        text = " ".join(" ".join(pane_lines(app, CachesPane)).split())
        assert "'kmalloc'" in text
        assert "ESC ends it" in text
        assert "r looks in all" in text
        await pilot.press("r")
        assert set(caches(app)) <= {name for name in slabinfo_rows(tree("6.1-4n")) if "kmalloc" in name}
        assert caches(app)


async def test_markup_in_the_filter_is_text() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("slash", "left_square_bracket", *"red", "right_square_bracket", "enter")
        await pilot.pause()
        assert "─ /[red] ─" in screen_text(app)
        assert "'[red]'" in screen_text(app)


# All caches


@pytest.mark.parametrize("kernel", ["6.1-4n", "5.10-4n", "7.3-4n"])
async def test_r_shows_every_row_of_slabinfo(kernel: str) -> None:
    async with tree_app(tree(kernel)).run_test(size=ALL) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("equals_sign")
        tcp_caches = caches(app)
        await pilot.press("r")
        every = caches(app)
        rows = slabinfo_rows(tree(kernel))
        assert every.keys() == rows.keys()
        assert {name: every[name] for name in tcp_caches} == tcp_caches
        for name, cells in every.items():
            assert cells["OBJS"].replace(" ", "") == str(rows[name][1]), name
            assert cells["SLABS"].replace(" ", "") == str(rows[name][5]), name
        await pilot.press("r")
        assert caches(app) == tcp_caches


async def test_cache_not_read_by_node_is_unknown_not_zero() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=ALL) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("r", "2")
        rows = caches(app)
        assert rows["TCP"]["OBJS"] == "4 004"
        assert rows["task_struct"]["OBJS"] == "–"
        assert "TCP's caches only" in pane_lines(app, CachesPane)[0]


# The mark


async def test_after_k_counts_are_differences() -> None:
    async with tree_app(tree("6.1-4n", "base")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        before, after = sample_phases("6.1-4n", ["base", "established"])
        await feed(pilot, before)
        await pilot.press("equals_sign", "k")
        assert {cells["OBJS"] for cells in caches(app).values()} == {"0"}
        await feed(pilot, after)
        old, new = slabinfo_rows(tree("6.1-4n", "base")), slabinfo_rows(tree("6.1-4n"))
        for name, cells in caches(app).items():
            for title, at in (("ACTIVE", 0), ("OBJS", 1), ("SLABS", 5)):
                change = new[name][at] - old[name][at]
                assert int(cells[title].replace(" ", "")) == change, (name, title)
                assert cells[title].startswith("+") == (change > 0)
            assert cells["OBJ SIZE"].replace(" ", "") == str(new[name][2]), "a size is no difference"
        assert re.match(r"since the mark, 10 s ago: \+16 000( sockets)?, ", pane_lines(app, LimitsPane)[0])
        assert "since the mark" in pane_title(app, CachesPane)
        await pilot.press("k")
        assert caches(app)["TCP"]["OBJS"] == "16 016"
        assert not any("since the mark" in line for line in pane_lines(app, LimitsPane))
        assert re.search(r"\d more sockets\b", pane_title(app, LimitsPane))


@pytest.mark.parametrize("size", [(60, 20), (80, 24), LARGE])
async def test_the_head_line_says_that_a_mark_is_set_and_how_it_ends(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n", "base")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        before, after = sample_phases("6.1-4n", ["base", "established"])
        await feed(pilot, before)
        unmarked = pane_lines(app, HeadLine)[0]
        await pilot.press("k")
        await feed(pilot, after)
        assert re.search(r"mark(: changes of the last 10 s| 10 s ago), k ends it · ", pane_lines(app, HeadLine)[0])
        assert pane_lines(app, KeyLine)[0].startswith(" k end")
        await pilot.press("k")
        assert "mark" not in pane_lines(app, HeadLine)[0]
        assert unmarked.split()[-1] == pane_lines(app, HeadLine)[0].split()[-1]
        assert not pane_lines(app, KeyLine)[0].startswith(" k")


async def test_largest_decrease_sorts_first_too() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        before, after = sample_phases("6.1-4n", ["established", "timewait"])
        await feed(pilot, before)
        await pilot.press("equals_sign", "k", "o")
        await feed(pilot, after)
        changes = [abs(int(cells["OBJS"].replace(" ", ""))) for cells in caches(app).values()]
        assert changes == sorted(changes, reverse=True)
        assert any(cells["OBJS"].startswith("-") for cells in list(caches(app).values())[:2])
        await pilot.press("o")
        changes = [abs(int(cells["OBJS"].replace(" ", ""))) for cells in caches(app).values()]
        assert changes == sorted(changes)


async def test_a_mark_in_a_saved_tree_has_no_time() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("k", "space")
        await pilot.pause()
        assert pane_lines(app, LimitsPane)[0].strip().startswith("since the mark: 0 sockets")


async def test_too_few_sockets_since_the_mark_on_60_columns() -> None:
    """No word is cut. The minimum is 800 sockets: 100 for each of the eight CPUs."""
    async with tree_app(tree("6.1-4n")).run_test(size=(60, 20)) as pilot:
        app = await wait_for_app(pilot)
        before, after = sample_phases("6.1-4n", ["established", "established"], every_s=7200.0)
        await feed(pilot, before)
        await pilot.press("k")
        await feed(pilot, after)
        assert pane_lines(app, LimitsPane)[0].strip() == "since the mark, 2.0 h ago: 0, too few to measure (needs 800)"


async def test_buffers_in_a_namespace_without_tcp_mem_have_no_limit(tmp_path: Path) -> None:
    """Only the initial network namespace has tcp_mem."""
    root = copy_tree(tree("6.1-4n"), tmp_path / "tree")
    (root / "proc/sys/net/ipv4/tcp_mem").unlink()
    async with tree_app(root).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, TcpPane) if line.startswith("buffers")]
        assert line.split("MiB")[1].strip() == ""


# Graphs


def minutes(kernel: str = "6.1-4n") -> list[Snapshot]:
    return sample_phases(kernel, ["base", "base", "established", "established", "timewait"], every_s=5.0)


async def test_x_hides_and_shows_graphs_and_marks() -> None:
    async with tree_app(tree("6.1-4n", "base")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        assert not app.query_one(GraphsPane).display, "one sample gives no graph"
        for sample in minutes():
            await feed(pilot, sample)
        lines, tcp_lines = pane_lines(app, GraphsPane), pane_lines(app, TcpPane)
        assert lines[0].split()[0] == "sockets"
        charge = next(index for index, line in enumerate(lines) if line.startswith("buffers"))
        assert [line.split(" ")[:2] for line in lines[charge + 1 : charge + 3]] == [["≤", "8.00M"]] * 2
        assert any(re.match(r"buffers +≤ 8.0 MiB ", line) for line in tcp_lines), "the panes agree"
        assert lines[1].startswith("16 001 highest")
        assert any(line.startswith("1 lowest") for line in lines)
        assert lines[-1].split("ago")[1].split() == ["now"]
        assert re.search(rf"[{LEVELS}]+ 5 min$", tcp_lines[2])
        before, after = (slabinfo_rows(tree("6.1-4n", phase)) for phase in ("established", "timewait"))
        for name in ("TCP", "tw_sock_TCP"):
            rate = units.short_signed_count((after[name][0] - before[name][0]) / 5)
            assert caches(app)[name]["Δ/s"] == rate, "active objects a second, over the last five seconds"
        assert caches(app)["TCP"]["Δ/s"].startswith("-")
        assert caches(app)["tw_sock_TCP"]["Δ/s"].startswith("+")
        await pilot.press("x")
        assert pane_lines(app, GraphsPane) == ["x shows the graphs"]
        assert not set("".join(pane_lines(app, TcpPane)[2][14:])) & set(LEVELS)
        assert "Δ/s" not in screen_text(app)
        await pilot.press("x")
        assert (pane_lines(app, GraphsPane), pane_lines(app, TcpPane)) == (lines, tcp_lines)


async def test_graph_of_the_accounting_mode_comes_first() -> None:
    async with tree_app(tree("6.1-4n", "base")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        for sample in minutes():
            await feed(pilot, sample)
        sockets, graph = pane_lines(app, TcpPane)[1:3]
        assert " 1 socket " in f"{sockets} "
        await pilot.press("m")
        assert pane_lines(app, GraphsPane)[0].split()[0] == "TIME_WAIT"
        first, second = pane_lines(app, TcpPane)[1:3]
        assert re.search(r" (this netns|here)\b", first)
        assert second != graph
        assert pane_lines(app, TcpPane)[3].startswith("sockets ")


async def test_graphs_of_a_live_machine_say_when_they_begin() -> None:
    async with tree_app(tree("6.1-4n", "base")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await feed(pilot, minutes()[0])
        assert pane_lines(app, GraphsPane) == ["graphs begin after 10 s"]
        assert pane_lines(app, TcpPane)[2].endswith("graphs begin after 10 s")


@pytest.mark.slow
@pytest.mark.parametrize("widths", WIDTHS, ids=len)
async def test_each_graph_has_a_line_of_its_own_at_every_width(widths: Sequence[int]) -> None:
    async with tree_app(tree("6.1-1n", "base")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        for sample in minutes("6.1-1n"):
            await feed(pilot, sample)
        for columns in widths:
            await resize(pilot, (columns, 40))
            pane = app.screen.query_one(GraphsPane)
            lines = pane_lines(app, GraphsPane)
            assert [line.split()[0] for line in lines[:4]] == ["sockets", "TCP", "TIME_WAIT", "B/connection"]
            for line in lines[:4]:
                assert len(line) <= pane.size.width
                assert re.search(rf" [{LEVELS}]+( \S+( to \S+| \d\d\d)*)?$", line), line


# The TCP pane


@pytest.mark.parametrize(
    ("size", "digits"), [((40, 12), False), ((60, 20), True), ((80, 24), True), ((120, 40), True), ((200, 60), True)]
)
async def test_total_sockets_and_graph_are_there_at_every_size(size: tuple[int, int], digits: bool) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        for sample in minutes()[:4]:
            await feed(pilot, sample)
        pane, lines = app.screen.query_one(TcpPane), pane_lines(app, TcpPane)
        assert len(lines) <= pane.size.height
        assert max(map(len, lines)) <= pane.size.width
        total = app._ledger.tcp_memory.bytes if app._ledger else None
        assert total is not None
        figure, unit = units.short_figure(total)
        if digits:
            assert lines[0][: len(draw_big_number(figure)[0]) + 3].strip()
            assert any(drawn in lines[0] for drawn in [draw_big_number(figure)[0].rstrip()])
            assert re.search(rf" {unit} {{1,2}}0.9 %", lines[0])
        else:
            assert f"{figure} {unit}  0.9 % of RAM" in lines[0]
        text = "\n".join(lines)
        assert "16 001" in text
        assert re.search(rf"[{LEVELS}]+ 5 min", text)


async def test_total_that_needs_root_leaves_no_hole() -> None:
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = root_only
    async with host_app(host).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        first, second, *_ = pane_lines(app, TcpPane)
        assert "needs root" in first
        assert re.search(r"MiB( of socks)?, (the )?rest needs root$", first), "each socket with a sock is a lower bound"
        assert second.startswith("≥ ")
        assert "16 001 sockets" in second


async def test_rates_stand_still_for_five_seconds() -> None:
    """Samples a second apart, with sockets that come and go in turn.

    From the second complete step on, the rate is that of the complete steps, as for the memory.
    """
    samples = sample_counts([20_100, 20_900] * 6)
    rates: list[str] = []
    counts: list[str] = []
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        for sample in samples:
            await feed(pilot, sample)
            found = re.search(r"(\d+ \d+) sockets( +\S+/s)?( over \d+ s)?$", pane_lines(app, TcpPane)[1])
            assert found is not None
            counts.append(found[1])
            rates.append((found[2] or "").strip())
    assert counts == ["20 100", "20 900"] * 6
    assert rates == ["", *["+800/s"] * 4, *["±0/s"] * 5, *["+160/s"] * 2]


async def test_the_rates_of_memory_and_sockets_are_those_of_the_same_seconds() -> None:
    """16 001 sockets come at once. For half a minute both rates show them, and agree on the bytes of a socket."""
    size = {"M": 2**20, "K": 2**10, "": 1}
    bytes_per_socket = []
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        for sample in sample_phases("6.1-4n", ["base", *["established"] * 8], every_s=5.0):
            await feed(pilot, sample)
            memory_line, sockets_line, *_ = pane_lines(app, TcpPane)
            memory = re.search(r"\+([\d.]+)([KM]?)/s", memory_line)
            if memory is not None:
                sockets = re.search(r"\+(\d+)/s", sockets_line)
                assert sockets is not None, sockets_line
                bytes_per_socket.append(float(memory[1]) * size[memory[2]] / int(sockets[1]))
    assert len(bytes_per_socket) == 6
    assert bytes_per_socket == pytest.approx([(60_462_721 - 86_259) / 16_000] * 6, rel=0.01)
    assert memory_line.endswith("steady")
    assert sockets_line.endswith(" ±0/s")


# Titles, messages, keys


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("step", [9, slow(2)])
@pytest.mark.parametrize("keys", ["", "m", "/tcp", "y"])
async def test_title_keeps_the_scroll_position(keys: str, step: int) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 24)) as pilot:
        app = await wait_for_app(pilot)
        if keys.startswith("/"):
            await pilot.press("slash", *keys[1:], "enter")
        elif keys:
            await pilot.press(keys)
        for columns in range(40, 130, step):
            await resize(pilot, (columns, 24))
            text = screen_text(app)
            for pane in (CachesPane, BuddyPane):
                title = pane_title(app, pane)
                assert re.search(r"─ 1–\d+ of \d+( ─ 5\.6 GiB free)?$", title), (columns, title)
                assert f"─ {title} ─" in text, "the title is not cut"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 20), (40, 12)], ids=str)
async def test_a_message_covers_the_key_line_alone(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size, notifications=True) as pilot:
        app = await wait_for_app(pilot)
        before = screen_text(app).splitlines()
        await pilot.press("7")
        await wait_until(pilot, lambda: "no node 7" in screen_text(app), "the message is shown")
        after = screen_text(app).splitlines()
        assert after[:-1] == before[:-1]
        assert after[-1] == " no node 7; there are: 0, 1, 2, 3"


@pytest.mark.parametrize("widths", WIDTHS, ids=len)
async def test_no_key_is_cut(widths: Sequence[int]) -> None:
    """A saved tree with a single node has the keys that need neither time nor several nodes."""
    without = ("=", "k", "0-9[]", "z", "SPACE", "x", "+-")
    async with tree_app(tree("6.1-1n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        both = [(f"{key} {long}", f"{key} {short}") for key, long, short in KEYS if key not in without]
        for columns in widths:
            await resize(pilot, (columns, 24))
            [line] = pane_lines(app, KeyLine)
            assert len(line) <= columns
            gap, rest, entries = " " if columns < 50 else "  ", line.strip(), []
            for texts in both:
                entry = next((text for text in texts if rest == text or rest.startswith(text + gap)), None)
                if entry is not None:
                    entries.append(entry)
                    rest = rest[len(entry) :].lstrip()
            assert not rest, line
            assert "? help" in entries
            assert len(entries) == len(both) or len(line) > columns - 20, "keys that fit are shown"


async def test_80_columns_show_a_key_for_every_view() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        shown_keys = {entry.split(" ")[0] for entry in pane_lines(app, KeyLine)[0].strip().split("  ")}
        assert {"?", "q", "m", "M", "W", "ENTER", "Tab", "="} <= shown_keys


# Scopes


@pytest.mark.parametrize(
    ("release", "scope"),
    [
        ("3.10.0-1160.el7.x86_64", "machine"),
        ("4.8.15", "machine"),
        ("4.10.17", "machine or this netns"),
        ("4.13.9", "this netns, all netns ≤ 30"),
        ("6.1.0-56-amd64", "this netns, all netns ≤ 30"),
        ("", "this netns, all netns ≤ 30"),
    ],
)
async def test_scope_of_the_time_wait_count(release: str, scope: str) -> None:
    """`tw` in sockstat counts the machine up to 4.8, and one network namespace from 4.13 on."""
    host = ScriptedHost(tree("6.1-4n"))
    host.texts["proc/sys/kernel/osrelease"] = f"{release}\n".encode()
    host.texts["proc/version"] = b"\n"
    async with host_app(host).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, TcpPane) if line.startswith("TIME_WAIT")]
        assert line.split(maxsplit=2)[2] == scope


# Settings


async def test_screen_starts_with_the_settings() -> None:
    settings = Settings(sort="n", theme="light", node=2, columns=("objects", "bytes"), extras=False)
    app = host_app(open_host(tree("6.1-4n")), settings=settings)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for_app(pilot)
        assert app.theme == LIGHT_THEME.name
        assert "node 2 of 4" in pane_title(app, CachesPane)
        head, first, *_ = pane_lines(app, CachesPane)
        assert head.split() == ["CACHE▴", "OBJS", "CACHE", "SIZE"], "the name column is always shown"
        assert first.startswith("MPTCP ")


async def test_node_of_the_settings_that_does_not_exist() -> None:
    app = host_app(open_host(tree("6.1-4n")), settings=Settings(node=9))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for_app(pilot)
        assert "all 4 nodes" in pane_title(app, CachesPane)


async def test_bad_settings_lines_are_shown_as_messages() -> None:
    wrong = ["config.toml:1: [bold]not TOML[/]; the line is passed over", "config.toml:9: no such setting"]
    app = host_app(open_host(tree("6.1-4n")), mistakes=wrong)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for_app(pilot)
        await wait_until(pilot, lambda: all(line in screen_text(app) for line in wrong), "both lines are shown as text")
        assert " 16 001 sockets" in screen_text(app)


async def write_by_palette(pilot: AppPilot) -> None:
    await pilot.press("colon")
    await pilot.pause()
    await pilot.press(*"these settings")
    await wait_until(pilot, lambda: "settings file" in screen_text(pilot.app), "the palette has the command")
    await pilot.press("enter")
    await pilot.pause()


async def test_settings_are_written_only_on_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    initial = Settings(interval=3.0, columns=("objects",), mouse=True)
    app = host_app(open_host(tree("6.1-4n")), settings=initial)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_for_app(pilot)
        await pilot.press("c", "2", "x", "m")
        assert list(tmp_path.iterdir()) == [], "the keys alone write nothing"
        await write_by_palette(pilot)
        file = settings_path()
        assert file is not None
        await wait_until(pilot, file.exists, "the file is written")
        await wait_until(pilot, lambda: "written: " in screen_text(app), "a message is shown")
    expected = Settings(3.0, "c", "dark", 2, ("objects",), None, True, False)
    assert read_settings(settings_path()) == (expected, []), "settings without a key are kept"


async def test_unwritable_settings_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tcptop").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    app = tree_app(tree("6.1-4n"))
    async with app.run_test(size=(160, 40), notifications=True) as pilot:
        await wait_for_app(pilot)
        await write_by_palette(pilot)
        await wait_until(pilot, lambda: "config.toml: " in screen_text(app), "the error is shown")
        await pilot.press("m")
        assert "TIME_WAIT" in screen_text(app).splitlines()[0], "the screen still handles keys"


# Colours


def colours(svg: str) -> set[str]:
    return set(re.findall(r"#[0-9a-f]{6}", svg.split("</style>")[-1] + "".join(re.findall(r"\{ fill: [^}]*\}", svg))))


def is_grey(colour: str) -> bool:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return max(red, green, blue) - min(red, green, blue) <= 4


def test_no_color_leaves_only_greys(monkeypatch: pytest.MonkeyPatch) -> None:
    def picture() -> str:
        return str(take_svg_screenshot(app=tree_app(tree("6.1-4n")), terminal_size=(120, 40)))

    # The SVG has a window frame with three coloured buttons.
    frame_colours = {"#ff5f57", "#febc2e", "#28c840"}
    assert not all(map(is_grey, colours(picture()) - frame_colours))
    monkeypatch.setenv("NO_COLOR", "1")
    assert [each for each in colours(picture()) - frame_colours if not is_grey(each)] == []


def luminance(colour: str) -> float:
    """The relative luminance of a colour (WCAG 2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [THEME, LIGHT_THEME], ids=lambda theme: theme.name)
def test_every_text_colour_has_enough_contrast(theme: object) -> None:
    assert theme in (THEME, LIGHT_THEME)
    chosen = THEME if theme is THEME else LIGHT_THEME
    background = chosen.background
    assert background is not None
    texts = [chosen.primary, chosen.secondary, chosen.accent, chosen.success, chosen.warning, chosen.foreground]
    for colour in [*texts, chosen.variables["text-muted"]]:
        assert colour is not None
        light, dark = sorted((luminance(colour), luminance(background)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour


@pytest.mark.parametrize("size", [(120, 40), (160, 50), (200, 60)], ids=str)
async def test_the_share_of_tcp_mem_is_the_same_in_the_tcp_pane_and_in_the_limits(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, TcpPane) if line.startswith("buffers")]
        [limit] = [line for line in pane_lines(app, LimitsPane) if line.startswith("tcp_mem")]
        assert line.endswith("tcp_mem 536.9 MiB (0 %)")
        assert " 0 % " in limit


SIZES = [(60, 20), (80, 24), (90, 40), (120, 40), (160, 50), (200, 60)]


@pytest.mark.parametrize("kernel", ["6.1-4n", slow("6.1-1n")])
@pytest.mark.parametrize("first", [(80, 24), (120, 40), slow((200, 60)), slow((60, 20))], ids=str)
async def test_a_screen_of_a_new_size_is_that_of_a_start_at_this_size(first: tuple[int, int], kernel: str) -> None:
    folder = tree(kernel)
    resized: list[str] = []
    async with tree_app(folder).run_test(size=first) as pilot:
        app = await wait_for_app(pilot)
        for size in SIZES:
            await resize(pilot, size)
            resized.append(screen_text(app))
    for size, shown in zip(SIZES, resized, strict=True):
        async with tree_app(folder).run_test(size=size) as pilot:
            assert shown == screen_text(await wait_for_app(pilot)), size
