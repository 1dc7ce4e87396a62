"""No key is silent: a key that changes nothing says so. And the focus is always on a pane where it can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    host_app,
    record_phases,
    replay_app,
    resize,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
    wait_for_replay,
    wait_until,
)
from textual.message import Message

from tcptop.screen.app import TcptopApp
from tcptop.screen.feed import Sampled
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.pane import Pane

QUIET = ("quit", "leave", "send_all", "suspend_process")
"""Actions without an answer on the screen: the program ends or stops, there is nothing to leave, or it is drawn
again."""


class Samples:
    """Counts the samples that an app takes."""

    def __init__(self) -> None:
        self.number = 0

    def collect(self, message: Message) -> None:
        """To be given to `run_test` as `message_hook`."""
        self.number += isinstance(message, Sampled)


def messages(app: TcptopApp) -> list[str]:
    """The messages on the screen."""
    return [each.message for each in app._notifications]


async def silent_keys(pilot: AppPilot, samples: Samples) -> list[str]:
    """The keys that neither change anything nor show a message, each pressed twice."""
    app, silent = pilot.app, []
    assert isinstance(app, TcptopApp)
    bindings = [each for each in app.feed.bindings if each.action.partition("(")[0] not in QUIET]
    keys = [key for binding in bindings for key in binding.key.split(",")]
    for key in (*keys, "tab", "shift+tab"):
        for _ in range(2):
            app.clear_notifications()
            await pilot.pause()
            before = screen_text(app), app.focused, samples.number, app.view.choices
            await pilot.press(key)
            await pilot.pause()
            opened = len(app.screen_stack) > 1
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
                await pilot.pause()
            after = screen_text(app), app.focused, samples.number, app.view.choices
            if not opened and after == before and not app._notifications:
                silent.append(key)
    return silent


async def test_a_message_replaces_the_one_before() -> None:
    """On a screen of five rows, four messages would cover everything."""
    async with tree_app(tree("6.18-1n", "base")).run_test(size=(40, 5), notifications=True) as pilot:
        app = await wait_for_app(pilot)
        shown: list[str] = []
        for key in ("=", "s", "t", "E"):
            await pilot.press(key)
            await pilot.pause()
            shown += messages(app)
        assert len(shown) == len(set(shown)) == 4
        await wait_until(pilot, lambda: len(app.screen.query("ToastHolder")) == 1, "one message")
        [toast] = app.screen.query("Toast")
        assert messages(app) == [str(toast.render())] == shown[-1:]


async def test_a_key_that_is_held_down_shows_its_message_once() -> None:
    async with tree_app(tree("6.18-1n")).run_test(size=(40, 5)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("=")
        await pilot.pause()
        [first] = app._notifications
        await pilot.press("=", "=")
        await pilot.pause()
        assert list(app._notifications) == [first]


async def test_a_message_leaves_the_warnings() -> None:
    async with tree_app(tree("6.18-1n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        for number in range(2):
            app.notify(f"mistake {number}", severity="warning")
        for number in range(2):
            app.notify(f"refused {number}")
        await pilot.pause()
        assert messages(app) == ["mistake 0", "mistake 1", "refused 1"]


@pytest.mark.parametrize(
    ("kernel", "size", "start"),
    [
        ("6.1-4n", (200, 60), ()),
        ("6.18-1n", (80, 24), ()),
        ("6.1-4n", (40, 5), ()),
        ("6.1-4n", (40, 12), ()),
        ("6.1-4n", (80, 24), ("f11",)),
        ("6.1-4n", (80, 24), ("tab", "f11")),
    ],
)
@pytest.mark.slow
async def test_no_key_is_silent_on_a_saved_tree(kernel: str, size: tuple[int, int], start: Sequence[str]) -> None:
    samples = Samples()
    async with tree_app(tree(kernel)).run_test(size=size, message_hook=samples.collect) as pilot:
        await wait_for_app(pilot)
        await pilot.press(*start)
        assert await silent_keys(pilot, samples) == []


@pytest.mark.parametrize("size", [(40, 12), (200, 60)], ids=str)
@pytest.mark.slow
async def test_no_key_is_silent_on_a_live_host(size: tuple[int, int]) -> None:
    samples = Samples()
    app = host_app(ScriptedHost(tree("6.1-4n"), live=True), interval_s=60.0)
    async with app.run_test(size=size, message_hook=samples.collect) as pilot:
        await wait_for_app(pilot)
        assert await silent_keys(pilot, samples) == []


@pytest.mark.parametrize("phases", [["base"], ["base", "established"]], ids=["one sample", "two samples"])
@pytest.mark.slow
async def test_no_key_is_silent_in_a_recording(phases: list[str], tmp_path: Path) -> None:
    record_phases(tmp_path / "r.tcptop", "6.1-4n", phases)
    samples = Samples()
    app = replay_app(tmp_path / "r.tcptop")
    async with app.run_test(size=(80, 24), message_hook=samples.collect) as pilot:
        await wait_for_replay(pilot)
        assert await silent_keys(pilot, samples) == []


@pytest.mark.parametrize(
    ("size", "keys", "message"),
    [
        ((200, 60), ["="], "all 4 nodes are shown already"),
        ((80, 24), ["2", "2"], "node 2 is shown already"),
        ((40, 12), ["y"], "the free blocks are not shown: this terminal is too low"),
        ((80, 24), ["tab", "f11", "n"], "the caches are not shown: ESC shows all panes"),
        ((80, 24), ["f11", "tab"], "this pane fills the screen; ESC shows all panes"),
        ((80, 24), ["Z"], "saved: there is one sample, and none is live"),
    ],
)
async def test_the_message_says_why(size: tuple[int, int], keys: list[str], message: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys)
        await wait_until(pilot, lambda: messages(app) == [message], f"{messages(app)}")


async def test_a_key_of_a_hidden_pane_changes_nothing() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(40, 12)) as pilot:
        app = await wait_for_app(pilot)
        before = app.view.choices
        await pilot.press("y")
        await resize(pilot, (40, 5))
        await pilot.press("n", "r", "slash", "f6", "greater_than_sign")
        assert len(app.screen_stack) == 1
        assert app.view.choices == before


# Focus


def focus_mark(app: TcptopApp) -> list[str | None]:
    """The ids of the visible panes whose first line has reversed cells."""
    return [
        pane.id
        for pane in app.screen.query(Pane)
        if pane.display
        and any(
            segment.style and segment.style.reverse
            for segment in pane.render_lines(pane.size.region.at_offset((0, 0)))[0]
        )
    ]


@pytest.mark.parametrize("key", ["tab", "shift+tab"])
@pytest.mark.parametrize("size", [(40, 5), (40, 8), (40, 12), (58, 15), (60, 20), (80, 24), (200, 60)], ids=str)
async def test_tab_goes_only_to_panes_that_show_the_focus(size: tuple[int, int], key: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        visited = []
        for _ in range(7):
            focused = app.screen.focused
            assert focused is not None
            assert focused.id in app.view.panes
            assert focus_mark(app) == [focused.id]
            visited.append(focused.id)
            await pilot.press(key)
            await pilot.pause()
        takes_keys = {pane.id for pane in app.screen.query(Pane) if pane.can_focus}
        assert set(visited) == app.view.panes & takes_keys


@pytest.mark.parametrize("tabs", range(6))
async def test_the_focus_leaves_a_pane_that_gets_hidden(tabs: int) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*["tab"] * tabs)
        for size in ((80, 24), (40, 12), (40, 5), (40, 12), (200, 60)):
            await resize(pilot, size)
            focused = app.screen.focused
            assert focused is not None
            assert focused.id in app.view.panes
        await pilot.press("f11")
        await pilot.press("f11")
        assert app.screen.focused is not None


async def test_enter_opens_no_page_of_a_hidden_table() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(40, 5)) as pilot:
        app = await wait_for_app(pilot)
        assert not app.screen.query_one(CachesPane).display
        assert not app.screen.query_one(CachesPane).has_focus
