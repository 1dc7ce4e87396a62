"""Palette, function keys, zoom, sideways scrolling, files and clipboard."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    pane_lines,
    pane_title,
    parse_cache_table,
    resize,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
    wait_until,
)
from textual.events import MouseScrollDown, MouseScrollUp

from tcptop.screen.app import TcptopApp
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.explain_screen import ExplainScreen
from tcptop.widgets.help_screen import HelpScreen
from tcptop.widgets.nodes_pane import NodesPane
from tcptop.widgets.palette import Palette, PalettePane

TREE = tree("6.1-4n")
SAVED_COLUMNS = 12
"""All columns of the caches but OF ALL, which a single node has, and Δ/s, which needs two samples."""


async def open_app(pilot: AppPilot) -> TcptopApp:
    return await wait_for_app(pilot)


# The palette


async def test_the_palette_filters_by_typed_words_and_runs_with_enter() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        await pilot.press("colon")
        assert isinstance(app.screen, Palette)
        await pilot.press(*"sort size")
        found = app.screen.query_one(PalettePane).found
        assert [each.action for each in found] == ["sort('object_bytes')", "sort('bytes')"]
        await pilot.press("down", "enter")
        await wait_until(pilot, lambda: app.choices.sort == "bytes", "the second command is run")
        assert len(app.screen_stack) == 1


async def test_the_palette_takes_a_pasted_text_backspace_and_esc() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        await pilot.press("colon", *"zoomx")
        pane = app.screen.query_one(PalettePane)
        assert "no command has this text" in screen_text(app)
        await pilot.press("enter")
        assert len(app.screen_stack) == 1, "no command, nothing is run"
        await pilot.press("colon", *"zoomx", "backspace")
        pane = app.screen.query_one(PalettePane)
        assert [each.action for each in pane.found] == ["leave", "zoom"]
        await pilot.press("escape")
        assert len(app.screen_stack) == 1
        assert app.return_code is None


async def test_a_letter_in_the_palette_is_no_key_of_the_app() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        before = app.choices
        await pilot.press("colon", *"qmrk")
        assert isinstance(app.screen, Palette)
        await pilot.press("ctrl+c")
        assert app.choices == before
        assert app.is_running
        assert len(app.screen_stack) == 1


async def test_the_palette_opens_the_screen_of_its_command() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        await pilot.press("colon", *"the help", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen), "the help is open")


# Function keys, zoom, sideways scroll


@pytest.mark.slow
async def test_function_keys_of_htop() -> None:
    async with tree_app(TREE).run_test(size=(120, 40), notifications=True) as pilot:
        app = await open_app(pilot)
        await pilot.press("2", "f5")
        assert app.choices.node is None
        for key in ("f3", "f4"):
            await pilot.press(key, *"tcp", "enter")
            assert app.choices.name_filter == "tcp"
            await pilot.press("escape")
            assert app.choices.name_filter == ""
        await pilot.press("f6", "n", "enter")
        assert app.choices.sort == "cache"
        await pilot.press("f6", *"cache size", "enter")
        assert app.choices.sort == "bytes"
        await pilot.press("f6", *"nothing", "enter")
        await wait_until(pilot, lambda: "no column to sort by: nothing" in screen_text(app), "the mistake is named")
        assert app.choices.sort == "bytes"
        await pilot.press("f1")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("f1", "f10")
        assert app.return_code == 0


@pytest.mark.parametrize("end", ["f11", "escape"])
async def test_zoom_gives_the_pane_all_lines_between_head_and_key_line(end: str) -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        before = screen_text(app)
        await pilot.press("f11")
        assert app.screen.query_one(CachesPane).outer_size == (80, 22)
        assert not app.screen.query_one(BuddyPane).display
        lines = screen_text(app).splitlines()
        assert lines[0] == before.splitlines()[0]
        assert lines[-1].startswith(" ESC panes  ? help  q quit")
        await pilot.press(end)
        await pilot.pause()
        assert screen_text(app) == before


async def test_esc_ends_the_zoom_before_the_filter() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        await pilot.press("slash", *"tcp", "enter", "f11", "escape")
        assert app.choices.name_filter == "tcp"
        assert app.screen.query_one(BuddyPane).display
        await pilot.press("escape")
        assert app.choices.name_filter == ""


async def test_the_title_counts_the_columns_that_do_not_fit() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        counts: list[int] = []
        for columns in (80, 100, 120, 160, 200):
            await resize(pilot, (columns, 24))
            shown = parse_cache_table(pane_lines(app, CachesPane))["TCP"]
            edge = screen_text(app).splitlines()[app.screen.query_one(CachesPane).region.y]
            found = re.search(r"> (?:\+(\d+)|(\d+) more(?: columns?)?) ─*$", edge)
            counts.append(int(found[1] or found[2]) if found else 0)
            # The titles CACHE, which has no cell of its own here, and OBJECT, which is the last column that fits.
            names = {"CACHE", *shown} | ({"OBJECT"} if "OBJECT" in pane_lines(app, CachesPane)[0] else set())
            assert len(names) + counts[-1] == SAVED_COLUMNS, edge
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > counts[-1] == 0


@pytest.mark.parametrize(
    "keys",
    [
        ("greater_than_sign",),
        ("greater_than_sign",) * 4,
        ("r", "greater_than_sign", "k"),
        ("slash", "T", "enter", "greater_than_sign"),
        ("m", "greater_than_sign"),
        ("tab", "enter"),
        ("enter",),
        ("enter", "slash", "a"),
        ("colon",),
        *(("W",), ("M",), ("i",), ("question_mark",), ("equals_sign",), ("g",), ("y",), ("f11",)),
    ],
    ids=" ".join,
)
async def test_no_size_of_the_terminal_ends_the_program(keys: Sequence[str]) -> None:
    """A terminal multiplexer may leave a few columns and lines."""
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys)
        for size in ((39, 24), (26, 24), (12, 30), (3, 3), (1, 1), (80, 1), (1, 40), (240, 70)):
            await resize(pilot, size)
            await pilot.press("down", "up")
            screen_text(app)
            assert app._exception is None


@pytest.mark.parametrize(("right", "left"), [("greater_than_sign", "less_than_sign"), ("shift+right", "shift+left")])
async def test_columns_that_do_not_fit_scroll_sideways(right: str, left: str) -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        before = pane_lines(app, CachesPane)[0].split()
        seen = set(before)
        for _ in range(12):
            await pilot.press(right)
            heading = pane_lines(app, CachesPane)[0].split()
            assert heading[0] == "CACHE"
            seen.update(heading)
        assert {"O/S", "ORDER"} <= seen - set(before)
        assert "columns" in pane_title(app, CachesPane)
        await pilot.press(*[left] * 20)
        assert pane_lines(app, CachesPane)[0].split() == before


# Files


def written_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("tcptop-*"))


@pytest.mark.parametrize(("answer", "ending"), [("t", "txt"), ("text", "txt"), ("S", "svg"), ("svg", "svg")])
async def test_the_screen_is_written_into_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, ending: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with tree_app(TREE).run_test(size=(80, 24), notifications=True) as pilot:
        app = await open_app(pilot)
        shown = screen_text(app)
        await pilot.press("ctrl+o", *answer, "enter")
        await wait_until(pilot, lambda: "written: tcptop-" in screen_text(app), "a message names the file")
        [file] = written_files(tmp_path)
        assert file.suffix == f".{ending}"
        assert file.name in screen_text(app)
        text = file.read_text()
        if ending == "txt":
            assert text == shown
        else:
            assert text.startswith("<svg")
            assert "caches" in text
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_an_explanation_is_written_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with tree_app(TREE).run_test(size=(80, 24), notifications=True) as pilot:
        app = await open_app(pilot)
        await pilot.press("i", "ctrl+o", "t", "enter")
        await wait_until(pilot, lambda: "written: tcptop-" in screen_text(app), "a message names the file")
        assert "Sockets by state" in written_files(tmp_path)[0].read_text()


async def test_no_file_and_no_link_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda *_: "tcptop-20260102-030405")
    (tmp_path / "tcptop-20260102-030405.txt").write_text("")
    (tmp_path / "tcptop-20260102-030405-2.txt").symlink_to(tmp_path / "elsewhere")
    async with tree_app(TREE).run_test(size=(80, 24), notifications=True) as pilot:
        app = await open_app(pilot)
        await pilot.press("ctrl+o", "t", "enter")
        await wait_until(pilot, lambda: "written: tcptop-20260102-030405-3.txt" in screen_text(app), "the next name")
    assert (tmp_path / "tcptop-20260102-030405.txt").read_text() == ""
    assert not (tmp_path / "elsewhere").exists()


async def test_a_folder_that_is_gone_gives_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    async with tree_app(TREE).run_test(size=(80, 24), notifications=True) as pilot:
        app = await open_app(pilot)
        folder.rmdir()
        await pilot.press("ctrl+o", "s", "enter")
        await wait_until(
            pilot, lambda: "the current folder: No such file or directory" in screen_text(app), "the error"
        )
        await pilot.press("ctrl+o", "x", "enter")
        await wait_until(pilot, lambda: "answer t for text, or s for SVG" in screen_text(app), "the mistake")
    monkeypatch.chdir(tmp_path)


# Clipboard


async def test_the_selected_row_is_copied_as_cells() -> None:
    async with tree_app(TREE).run_test(size=(80, 24), notifications=True) as pilot:
        app = await open_app(pilot)
        await pilot.press("n", "down", "ctrl+y")
        name = pane_lines(app, CachesPane)[2].split()[0]
        cells = app.clipboard.split("\t")
        assert cells[0] == name
        assert len(cells) > 5
        await wait_until(pilot, lambda: f"(OSC 52): {name}" in screen_text(app), "a message names the row")


async def test_another_pane_is_copied_as_text() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        app.screen.query_one(BuddyPane).focus()
        await pilot.press("ctrl+y")
        lines = app.clipboard.splitlines()
        assert len(lines) > 3
        assert lines[0] == pane_lines(app, BuddyPane)[0].rstrip()


# Mouse


async def test_a_click_chooses_a_row_and_focuses_the_table() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        app.screen.query_one(BuddyPane).focus()
        row = pane_lines(app, CachesPane)[3]
        await pilot.click(CachesPane, offset=(5, 4))
        assert app.focused is app.screen.query_one(CachesPane)
        await pilot.press("ctrl+y")
        assert app.clipboard.split("\t")[0] == row.split()[0].rstrip("*")


async def test_a_click_on_a_node_moves_the_cursor_to_it() -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(120, 40)) as pilot:
        app = await open_app(pilot)
        [line] = [at for at, text in enumerate(pane_lines(app, NodesPane)) if re.match(r"\W*4\b", text)]
        await pilot.click(NodesPane, offset=(5, line + 1))
        await pilot.press("enter")
        assert app.choices.node == 4


async def test_a_click_on_a_heading_sorts_and_again_reverses() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        x = pane_lines(app, CachesPane)[0].index("CACHE SIZE")
        await pilot.click(CachesPane, offset=(x + 2, 1))
        assert (app.choices.sort, app.choices.reverse) == ("bytes", False)
        await pilot.click(CachesPane, offset=(x + 2, 1))
        assert (app.choices.sort, app.choices.reverse) == ("bytes", True)


async def test_a_click_on_a_key_in_the_last_line_presses_it() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        x = screen_text(app).splitlines()[-1].index(" m ") + 1
        await pilot.click(offset=(x, 23))
        await wait_until(pilot, lambda: app.choices.mode == "time_wait", "m is pressed")
        await pilot.click(offset=(1, 23))
        await wait_until(pilot, lambda: isinstance(app.screen, HelpScreen), "? is pressed")


async def test_a_right_click_on_a_heading_explains_the_word() -> None:
    async with tree_app(TREE).run_test(size=(120, 40)) as pilot:
        app = await open_app(pilot)
        before = app.choices
        for title, meaning in [
            ("OBJ SIZE", "Bytes of one object with its padding"),
            ("USE", "ACTIVE ÷ OBJS"),
        ]:
            x = pane_lines(app, CachesPane)[0].index(title)
            await pilot.click(CachesPane, offset=(x + 1, 1), button=3)
            await wait_until(pilot, lambda: isinstance(app.screen, ExplainScreen), f"{title} is explained")
            lines = screen_text(app)
            assert title in lines
            assert meaning in " ".join(lines.split())
            await pilot.press("escape")
        assert app.choices == before


@pytest.mark.parametrize("key", ["question_mark", "i", "enter"])
async def test_a_click_closes_the_help_and_the_explanation(key: str) -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        before = app.choices, screen_text(app)
        for offset in [(40, 12), (2, 0)]:
            await pilot.press(key)
            await wait_until(pilot, lambda: len(app.screen_stack) == 2, "it is open")
            await pilot.click(offset=offset)
            await wait_until(pilot, lambda: len(app.screen_stack) == 1, "it is closed")
        assert (app.choices, screen_text(app)) == before


async def test_a_click_does_not_close_the_plan() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        await pilot.press("M")
        await wait_until(pilot, lambda: len(app.screen_stack) == 2, "the plan is open")
        await pilot.click(offset=(40, 12))
        await pilot.pause()
        assert len(app.screen_stack) == 2


async def test_the_wheel_scrolls_the_pane_under_the_pointer() -> None:
    async with tree_app(TREE).run_test(size=(80, 24)) as pilot:
        app = await open_app(pilot)
        before = pane_title(app, BuddyPane)
        for event in (MouseScrollDown, MouseScrollUp):
            y = app.screen.query_one(BuddyPane).region.y + 2
            app.screen._forward_event(
                event(None, x=5, y=y, delta_x=0, delta_y=0, button=0, shift=False, meta=False, ctrl=False)
            )
            await pilot.pause()
            assert (pane_title(app, BuddyPane) != before) == (event is MouseScrollDown)
