"""Tests of the explanation: Enter on a cache or on a part of the bar, and the pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    Notices,
    ScriptedHost,
    copy_tree,
    drawn_lines,
    feed,
    grouped,
    host_app,
    pane_lines,
    parse_cache_table,
    resize,
    root_only,
    sample_tree,
    screen_text,
    slabinfo_rows,
    tree,
    tree_app,
    wait_for_app,
    wait_until,
)
from slow_case import slow
from textual.geometry import Size

from tcptop.explanation.pages import PAGES
from tcptop.screen.app import TcptopApp
from tcptop.text.line import text_of
from tcptop.widgets.cache_explanation_pane import CacheExplanationPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.explain_screen import ExplainPane, ExplainScreen
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.prompt import Prompt

LARGE = (120, 40)
TERMINALS = [(200, 60), (120, 40), (80, 24), (60, 20)]


def open_page_name(app: TcptopApp) -> str | None:
    """The title of the open explanation page; None if none is open."""
    if not isinstance(app.screen, ExplainScreen):
        return None
    return str(app.screen.query_one(ExplainPane).border_title).partition(" ─ ")[0]


def page_lines(app: TcptopApp) -> list[str]:
    return drawn_lines(app.screen.query_one(ExplainPane))


def cache_names(app: TcptopApp) -> list[str]:
    return list(parse_cache_table(pane_lines(app, CachesPane)))


async def press_keys(pilot: AppPilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


# Search.


def searched(app: TcptopApp) -> str:
    return str(app.screen_stack[1].query_one(ExplainPane).border_title)


def found_line(app: TcptopApp) -> str:
    [line] = [line for line in app.screen_stack[1].query_one(ExplainPane)._lines if any(r == "cursor" for _, r in line)]
    return text_of(line).strip()


@pytest.mark.slow
async def test_slash_finds_a_word_of_the_glossary_as_it_is_typed() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i", "left", "slash", *"waterm")
        assert isinstance(app.screen, Prompt)
        assert found_line(app) == "watermark"
        lines = [line.strip() for line in drawn_lines(app.screen_stack[1].query_one(ExplainPane))]
        assert lines[0] == "watermark"
        await press_keys(pilot, "enter")
        assert open_page_name(app) == "Every word on the screen"
        found = [searched(app)]
        of = int(re.findall(r"waterm: line \d+ of (\d+)", found[0])[0])
        assert of > 1
        while len(found) == 1 or found[-1] != found[0]:
            await press_keys(pilot, "n")
            assert "waterm" in found_line(app).casefold()
            found.append(searched(app))
        assert len([each for each in found if each.startswith("Every word on the screen")]) == of + 1
        assert any(each.startswith("Free blocks by order and migrate type") for each in found)
        assert len(set(found)) == len(found) - 1
        await press_keys(pilot, "N")
        assert searched(app) == found[-2]
        await press_keys(pilot, "escape")
        assert "page " in searched(app)
        await press_keys(pilot, "n")
        assert open_page_name(app) is None


async def test_the_search_goes_on_on_the_other_pages_and_says_where_there_is_nothing() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i", "f3", *("space" if each == " " else each for each in "LOW watermark"), "enter")
        assert open_page_name(app) == "Every word on the screen"
        assert "LOW watermark: line 1 of " in searched(app)
        assert "low watermark" in " ".join(" ".join(page_lines(app)).casefold().split())
        await press_keys(pilot, "left")
        assert "LOW watermark: not on this page" in searched(app)
        await press_keys(pilot, "n")
        assert open_page_name(app) == "Every word on the screen"
        await press_keys(pilot, "slash", *"zzz")
        assert "zzz: on no page" in str(app.screen_stack[1].query_one(ExplainPane).border_title)
        await press_keys(pilot, "enter", "n", "N")
        assert "zzz: on no page" in searched(app)
        await press_keys(pilot, "slash", *"zzz", "escape")
        assert "page " in searched(app)
        assert open_page_name(app) == "Every word on the screen"
        await press_keys(pilot, "escape")
        assert open_page_name(app) is None


@pytest.mark.parametrize("key", ["slash", "f3", "f4"])
async def test_slash_in_the_help_finds_a_word(key: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "question_mark", key, *"waterm", "enter")
        assert open_page_name(app) == "Every word on the screen"
        assert found_line(app) == "watermark"


async def test_i_in_the_help_opens_what_a_socket_is_made_of() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "f1", "i")
        assert page_lines(app)[0].startswith(" One more socket, server side: ")
        assert "socket" in [line.strip() for line in page_lines(app)]
        await press_keys(pilot, "escape")
        assert len(app.screen_stack) == 1


# The cursor.


async def test_enter_explains_the_cache_that_the_cursor_is_on() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        names = cache_names(app)
        for at, name in enumerate(names[:4]):
            await press_keys(pilot, "home", *["down"] * at, "enter")
            assert open_page_name(app) == name
            row = slabinfo_rows(tree("6.1-4n"))[name]
            assert f"{grouped(row[1])} objects in {grouped(row[5])} slabs" in "\n".join(page_lines(app))
            await press_keys(pilot, "x")
            assert open_page_name(app) is None


@pytest.mark.parametrize("key", ["n", "s", "u"])
async def test_the_cursor_follows_its_row_when_the_order_changes(key: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        name = cache_names(app)[2]
        await press_keys(pilot, "down", "down", key)
        assert cache_names(app)[2] != name
        await press_keys(pilot, "enter")
        assert open_page_name(app) == name
        await press_keys(pilot, "x", key, "enter")
        assert open_page_name(app) == name


async def test_the_cursor_follows_its_row_to_another_node_and_through_new_figures() -> None:
    folder = tree("6.1-4n")
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        name = cache_names(app)[3]
        await press_keys(pilot, "down", "down", "down", "equals_sign", "2")
        await feed(pilot, sample_tree(tree("6.1-4n", "timewait")))
        assert cache_names(app)[3] != name
        await press_keys(pilot, "enter")
        assert open_page_name(app) == name


def marked_rows(app: TcptopApp) -> list[str]:
    lines = app.query_one(CachesPane)._lines
    return [line[0][0].split()[0].rstrip("*") for line in lines if any(role == "cursor" for _, role in line)]


@pytest.mark.slow
async def test_the_cursor_stays_in_sight() -> None:
    """An 80×24 terminal shows a few of 18 caches; the cursor moves to the last and back."""
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        names = [row.cache.name for row in app.query_one(CachesPane)._rows]
        assert len(names) > len(cache_names(app)) > 2
        for key, expected in (("down", names[1:]), ("up", names[-2::-1])):
            for name in expected:
                await press_keys(pilot, key)
                assert marked_rows(app) == [name]
        await press_keys(pilot, "up", "end", "down")
        assert marked_rows(app) == [names[-1]]
        await press_keys(pilot, "enter")
        assert open_page_name(app) == names[-1]


async def test_the_row_of_the_cursor_is_marked() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        assert marked_rows(app) == [cache_names(app)[0]]
        await press_keys(pilot, "down")
        assert marked_rows(app) == [cache_names(app)[1]]
        await press_keys(pilot, "n")
        assert marked_rows(app) == ["sock_inode_cache"]


@pytest.mark.parametrize("keys", [(), ("f11", "down", "f11")], ids=["resize", "zoom"])
async def test_the_pane_beside_the_caches_has_the_attributes_as_soon_as_it_is_shown(keys: Sequence[str]) -> None:
    """Attributes are read only for the cache that is explained, so a pane that appears must ask for them."""
    size = (200, 60)
    async with tree_app(tree("6.1-4n")).run_test(size=size if keys else (120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, *keys)
        if not keys:
            await resize(pilot, size)
        shown = "\n".join(pane_lines(app, CacheExplanationPane))
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, *keys[1:2])
        assert shown == "\n".join(pane_lines(app, CacheExplanationPane))
    assert "debugging" in shown


async def test_no_row_is_marked_while_another_pane_has_the_focus() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab")
        assert marked_rows(app) == []


async def test_the_cursor_passes_two_rows_of_one_name(tmp_path: Path) -> None:
    """slabinfo may list a cache twice if others are created or destroyed while it is read."""
    folder = copy_tree(tree("6.1-4n"), tmp_path / "tree")
    slabinfo = folder / "proc/slabinfo"
    [line] = [line for line in slabinfo.read_text().splitlines(keepends=True) if line.startswith("filp ")]
    slabinfo.write_text(slabinfo.read_text().replace(line, line + line))
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        names = [row.cache.name for row in app.query_one(CachesPane)._rows]
        await press_keys(pilot, *["down"] * (len(names) - 1), "enter")
        assert open_page_name(app) == names[-1]


async def test_markup_in_a_cache_name_is_shown_as_text(tmp_path: Path) -> None:
    folder = copy_tree(tree("6.1-4n"), tmp_path / "tree")
    slabinfo = folder / "proc/slabinfo"
    slabinfo.write_text(re.sub(r"^pid ", "[b]x[@click=app.leave]\x1b[2J ", slabinfo.read_text(), flags=re.MULTILINE))
    slab = folder / "sys/kernel/slab"
    (slab / "pid").rename(slab / "[b]x[@click=app.leave]\x1b[2J")
    name = "[b]x[@click=app.leave]\\x1b[2J"
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        row = next(index for index, each in enumerate(cache_names(app)) if each.startswith("[b]x[@click"))
        await press_keys(pilot, *["down"] * row, "enter")
        assert isinstance(app.screen, ExplainScreen)
        assert f"╭─ {name} ─ page 1 of" in screen_text(app)
        assert "\x1b" not in screen_text(app)


async def test_enter_without_any_cache_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    async with tree_app(tmp_path).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "down", "up", "end", "enter")
        assert open_page_name(app) is None
        await press_keys(pilot, "i")
        assert open_page_name(app) == PAGES[0].title
        for _ in PAGES:
            assert page_lines(app)
            await press_keys(pilot, "right")


# The parts of the bar.

PART_OF = {
    "TCP": "TCP",
    "inode": "sock_inode_cache",
    "dentry": "dentry",
    "file": "filp",
    "LSM": "LSM",
    "idle": "The machine's slab memory",
}


def selected_part(app: TcptopApp) -> str:
    """The marked part of the legend; a number that is marked below the bar is the number of this part."""
    pane = app.query_one(FigurePane)
    marked = [text.strip() for line in pane._lines for text, role in line if role == "cursor"]
    [part] = [text for text in marked if not text.isdigit()]
    assert all(f" {number} {part} " in f" {drawn_lines(pane)[-1]}" for number in marked if number.isdigit())
    return part


async def test_enter_explains_the_chosen_part_of_the_bar() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab", "tab")
        assert app.focused is app.query_one(FigurePane)
        await press_keys(pilot, "enter")
        assert open_page_name(app) == "TCP"
        for label, page in [*list(PART_OF.items())[1:], ("TCP", "TCP")]:
            await press_keys(pilot, "escape", "right")
            assert selected_part(app) == label
            await press_keys(pilot, "enter")
            assert open_page_name(app) == page


async def test_the_first_part_is_marked_as_soon_as_the_figure_has_the_focus() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab", "tab")
        assert selected_part(app) == "TCP"


async def test_left_from_the_first_part_selects_the_last() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab", "tab", "left")
        assert selected_part(app) == list(PART_OF)[-1]
        await press_keys(pilot, "left")
        assert selected_part(app) == list(PART_OF)[-2]


async def test_selection_beyond_the_last_part_moves_to_the_last() -> None:
    """The figure of TIME_WAIT has fewer parts than that of a whole socket."""
    async with tree_app(tree("6.1-4n", "timewait")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab", "tab", "left", "m", "enter")
        assert open_page_name(app) is not None
        await press_keys(pilot, "x", "right", "enter")
        assert open_page_name(app) == "tw_sock_TCP"


async def test_no_part_is_marked_without_the_focus() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        assert not [text for line in app.query_one(FigurePane)._lines for text, role in line if role == "cursor"]
        await press_keys(pilot, "right", "enter")
        assert open_page_name(app) == "TCP"  # the cache under the table's cursor


async def test_enter_on_an_unknown_figure_opens_nothing(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    async with tree_app(tmp_path).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab", "tab", "right", "enter")
        assert app.is_running
        assert open_page_name(app) is None


async def test_part_in_kmalloc_has_its_own_page(tmp_path: Path) -> None:
    folder = copy_tree(tree("6.1-4n", "base"), tmp_path / "tree")
    (folder / "proc/cgroups").write_text("#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t60\t1\n")
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab", "tab", "left")
        assert selected_part(app) == "memcg"
        await press_keys(pilot, "enter")
        assert open_page_name(app) == "memcg"
        assert page_lines(app)[0] == " obj_cgroup vectors"
        assert "memory cgroup" in "\n".join(page_lines(app))


async def test_part_of_several_objects_has_one_page_for_all() -> None:
    """Two of the LSM blobs have their own caches; the third blob comes from kmalloc."""
    async with tree_app(tree("6.1-4n", "base")).run_test(size=(120, 60)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "tab", "tab", "left")
        assert selected_part(app) == "LSM"
        await press_keys(pilot, "enter")
        assert open_page_name(app) == "LSM"
        heads = [line[1:] for line in page_lines(app) if re.match(r" LSM \w+ blob$", line)]
        assert heads == ["LSM file blob", "LSM inode blob", "LSM socket blob"]
        assert not any("No object of TCP's" in line for line in page_lines(app))


# The pages.


async def test_i_opens_the_pages_and_arrows_and_tab_turn_them() -> None:
    titles = [page.title for page in PAGES]
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i")
        seen = [open_page_name(app)]
        for _ in titles[1:]:
            await press_keys(pilot, "right")
            seen.append(open_page_name(app))
        assert seen == titles
        await press_keys(pilot, "right")
        assert open_page_name(app) == titles[0]
        await press_keys(pilot, "left")
        assert open_page_name(app) == titles[-1]
        await press_keys(pilot, "tab", "tab")
        assert open_page_name(app) == titles[1]
        await press_keys(pilot, "shift+tab")
        assert open_page_name(app) == titles[0]


async def test_a_caches_page_comes_before_the_others() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "enter")
        assert f"page 1 of {len(PAGES) + 1}" in str(app.screen.query_one(ExplainPane).border_title)
        await press_keys(pilot, "right")
        assert open_page_name(app) == PAGES[0].title
        await press_keys(pilot, "left", "left")
        assert open_page_name(app) == PAGES[-1].title


@pytest.mark.parametrize("size", [(80, 24), *map(slow, [size for size in TERMINALS if size != (80, 24)])], ids=str)
@pytest.mark.slow
async def test_scrolling_shows_every_line_of_each_page(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i")
        for page in PAGES:
            pane = app.screen.query_one(ExplainPane)
            assert app._ledger is not None
            columns, rows = pane.size
            whole = ["".join(text for text, _ in line).rstrip() for line in page.lines(app._ledger, columns)]
            seen = page_lines(app)
            if len(whole) > rows:
                await press_keys(pilot, "down")
                assert page_lines(app)[:-1] == seen[1:]
                await press_keys(pilot, "up")
            while len(seen) < len(whole):
                await press_keys(pilot, "pagedown")
                more = len(whole) - len(seen)
                seen += page_lines(app)[-more:] if more < rows else page_lines(app)
            # Only the first 40 columns are compared, because another test checks the width.
            assert [line[:40] for line in seen[: len(whole)]] == [line[:40] for line in whole]
            await press_keys(pilot, "home")
            assert page_lines(app)[0] == seen[0]
            await press_keys(pilot, "end")
            assert [line for line in page_lines(app) if line] == [line for line in whole[-rows:] if line][-rows:]
            await press_keys(pilot, "right")


async def test_title_names_the_visible_lines() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i", "left")
        title = str(app.screen.query_one(ExplainPane).border_title)
        found = re.search(r"1–(\d+) of (\d+)$", title)
        assert found, title
        assert int(found[1]) == 22 < int(found[2])
        await press_keys(pilot, "pagedown")
        assert str(app.screen.query_one(ExplainPane).border_title).endswith(f"23–44 of {found[2]}")
        await press_keys(pilot, "right")
        # The next page starts at its first line.
        assert not re.search(r" (?!1–)\d+–", str(app.screen.query_one(ExplainPane).border_title))


async def test_any_other_key_only_closes_the_page() -> None:
    notices = Notices()
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE, message_hook=notices.collect) as pilot:
        app = await wait_for_app(pilot)
        before = app.choices, app.view.mark, pane_lines(app, CachesPane)
        for key in ("escape", "q", "i", "enter", "x", "1", "m", "h", "question_mark", "backspace"):
            await press_keys(pilot, "i")
            assert open_page_name(app) is not None, key
            await press_keys(pilot, key)
            assert open_page_name(app) is None, key
            assert len(app.screen_stack) == 1, key
            assert (app.choices, app.view.mark, pane_lines(app, CachesPane)) == before, key
            assert not notices, key
            assert app.is_running, key
            assert app.focused is app.query_one(CachesPane), key


@pytest.mark.parametrize("keys", ["i x x", "i i", "i q q", "enter enter enter", "i right x left", "i escape escape"])
async def test_keys_pressed_without_a_wait(keys: str) -> None:
    """All keys are sent before the first is handled."""
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys.split())
        await pilot.pause()
        assert app.return_code is None or "q" in keys
        assert len(app.screen_stack) <= 2


async def test_ctrl_c_on_a_page_quits_with_0() -> None:
    app = tree_app(tree("6.1-4n"))
    async with app.run_test(size=LARGE) as pilot:
        await wait_for_app(pilot)
        await press_keys(pilot, "i", "ctrl+c")
    assert app.return_code == 0


async def test_pages_show_new_samples() -> None:
    folder, later = tree("6.1-4n"), tree("6.1-4n", "halfclosed")
    async with tree_app(folder).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "enter")
        for sampled in (folder, later, folder):
            await feed(pilot, sample_tree(sampled))
            row = slabinfo_rows(sampled)["TCP"]
            assert any(f"{grouped(row[1])} objects in {grouped(row[5])} slabs" in line for line in page_lines(app))
            assert any(f"active {grouped(row[0])}," in line for line in page_lines(app))
        await press_keys(pilot, "right")
        await feed(pilot, sample_tree(later))
        [time_wait] = [line for line in page_lines(app) if line.startswith(" TIME_WAIT")]
        assert re.search(r" 8 000  this netns  ", time_wait)
        await press_keys(pilot, "x")
        assert any("8 000" in line for line in screen_text(app).splitlines() if "TIME_WAIT" in line)


async def test_new_sample_keeps_the_scroll_position() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i", "left", "pagedown", "down")
        before = page_lines(app)
        await feed(pilot, sample_tree(tree("6.1-4n"))._replace(monotonic_s=5.0))
        assert page_lines(app) == before


async def test_page_is_laid_out_for_a_new_terminal_size() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i")
        for width, height in ((80, 24), (60, 12), (120, 40)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            pane = app.screen.query_one(ExplainPane)
            assert pane.size == Size(width - 4, height - 2)
            assert app._ledger is not None
            whole = ["".join(text for text, _ in line).rstrip() for line in PAGES[0].lines(app._ledger, width - 4)]
            assert page_lines(app)[: len(whole)] == whole[: height - 2]


# The host is live.


async def test_space_and_z_work_on_a_page() -> None:
    host = ScriptedHost(tree("6.1-4n"), live=True)
    async with host_app(host, 60.0).run_test(size=LARGE) as pilot:
        app = pilot.app
        assert isinstance(app, TcptopApp)
        await wait_until(pilot, lambda: app._ledger is not None and bool(app._ledger.caches), "the first sample")
        await press_keys(pilot, "i")
        reads = host.asked.count("proc/slabinfo")
        await press_keys(pilot, "space")
        await wait_until(pilot, lambda: host.asked.count("proc/slabinfo") > reads, "a sample is taken")
        await press_keys(pilot, "z")
        assert app.choices.paused
        assert open_page_name(app) == PAGES[0].title
        await press_keys(pilot, "z")
        assert not app.choices.paused
    host.close()


@pytest.mark.parametrize(
    ("size", "keys"),
    [
        (LARGE, "← glossary, → socket, / finds on all pages, ESC closes"),
        ((80, 24), "← glossary, → socket, ↑ ↓ scroll, / finds on all pages, ESC closes"),
    ],
)
async def test_edge_of_a_page_names_the_keys_that_work(size: tuple[int, int], keys: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "i")
        assert str(app.screen.query_one(ExplainPane).border_subtitle) == keys


@pytest.mark.slow
async def test_opening_pages_reads_btf_once_more_at_most() -> None:
    """The sampler reads BTF once for object sizes and once for the first page; further pages do not read it."""
    host = ScriptedHost(tree("6.1-4n"), live=True)
    host.refused = root_only
    async with host_app(host, 0.1).run_test(size=LARGE) as pilot:
        app = pilot.app
        assert isinstance(app, TcptopApp)
        await wait_until(pilot, lambda: "sys/kernel/btf/vmlinux" in host.asked, "BTF is asked for")
        read: list[int] = []

        async def wait_for_samples(count: int) -> None:
            end = host.asked.count("proc/net/sockstat") + count
            await wait_until(pilot, lambda: host.asked.count("proc/net/sockstat") >= end, "more samples")

        for _ in range(4):
            await press_keys(pilot, "i", "x")
            await wait_for_samples(3)
            read.append(host.asked.count("sys/kernel/btf/vmlinux"))
    host.close()
    assert read[0] <= 2
    assert read == read[:1] * 4


def attributes_asked(host: ScriptedHost) -> set[str]:
    """The caches whose attribute `align`, which only the page of a cache shows, was read."""
    return {path.split("/")[-2] for path in host.asked if path.endswith("/align")}


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("size", TERMINALS)
async def test_enter_on_any_cache_shows_its_slabs(size: tuple[int, int], tmp_path: Path) -> None:
    folder = copy_tree(tree("6.1-4n"), tmp_path / "tree")
    attributes = {"object_size": 632, "align": 8, "hwcache_align": 0, "slabs": "955 N0=900 N1=55", "partial": 2}
    (folder / "sys/kernel/slab/inode_cache").mkdir()
    for name, value in {**attributes, "cpu_slabs": 4, "ctor": "init_once+0x0/0x10"}.items():
        (folder / "sys/kernel/slab/inode_cache" / name).write_text(f"{value}\n")
    async with tree_app(folder).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await press_keys(pilot, "r", "slash", *"inode_cache", "enter")
        names = [row.cache.name for row in app.query_one(CachesPane)._rows]
        await press_keys(pilot, "home", *["down"] * names.index("inode_cache"), "enter")
        assert open_page_name(app) == "inode_cache"
        await wait_until(pilot, lambda: "aligned to 8 B" in " ".join(page_texts(app)), "the attributes are read")
        page = "\n".join(page_texts(app))
        assert "slabs       955: 949 full, 2 partly used, 4 slabs held by CPUs" in page
        assert "init_once()" in page


def page_texts(app: TcptopApp) -> list[str]:
    """All lines of the open page, also those out of sight."""
    pane = app.screen.query_one(ExplainPane)
    assert pane._ledger is not None
    return [text_of(line) for line in pane.content(pane._ledger, app.choices, 76)[1]]


async def test_only_the_cache_whose_page_is_open_is_read() -> None:
    host = ScriptedHost(tree("6.1-4n"), live=True)
    async with host_app(host, 0.1).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        assert attributes_asked(host) == set()
        name = cache_names(app)[1]
        await press_keys(pilot, "down", "enter")
        await wait_until(pilot, lambda: attributes_asked(host) == {name}, "the attributes of the cache are read")
        await press_keys(pilot, "x")
        reads = host.asked.count("proc/net/sockstat")
        await wait_until(pilot, lambda: host.asked.count("proc/net/sockstat") > reads + 3, "more samples")
        assert len([path for path in host.asked if path.endswith(f"{name}/align")]) == 1
    host.close()


@pytest.mark.slow
@pytest.mark.parametrize("size", TERMINALS)
@pytest.mark.parametrize("way", ["palette", "pages"])
async def test_the_relations_are_reached_by_the_palette_and_by_turning_pages(size: tuple[int, int], way: str) -> None:
    async with tree_app(tree("6.12-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        if way == "palette":
            await press_keys(pilot, "colon", *"point at", "enter")
        else:
            number = [page.name for page in PAGES].index("relations")
            await press_keys(pilot, "i", *["right"] * number)
        assert (open_page_name(app) or "").startswith("Relations")
        seen: list[str] = []
        for _ in range(30):
            seen += page_lines(app)
            await press_keys(pilot, "pagedown")
        page = "\n".join(seen)
        for text in (
            "descriptor table",
            "d_sib → no list",
            "In TIME_WAIT",
            "i_data.i_pages → the pages of its contents",
        ):
            assert text in page
