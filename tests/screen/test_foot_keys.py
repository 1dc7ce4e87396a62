"""The keys that the foot line and the edges of overlays name: each has an effect when it is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    host_app,
    record_phases,
    replay_app,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
    wait_for_replay,
)
from textual.message import Message
from textual.widget import Widget

from tcptop.recording.time_spec import TimeRange
from tcptop.screen.app import TcptopApp
from tcptop.screen.feed import Sampled
from tcptop.widgets.explain_screen import ExplainPane
from tcptop.widgets.help_screen import HelpPane
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.pane import Pane

WIDE, USUAL = (250, 70), (80, 24)
PRESSED = {
    "?": ["question_mark"],
    ":": ["colon"],
    "=": ["equals_sign"],
    "/": ["slash"],
    "SPACE": ["space"],
    "ENTER": ["enter"],
    "Tab": ["tab"],
    "ESC": ["escape"],
    "0-9[]": ["0", "1"],
    "c n …": ["c", "n"],
    "+-": ["plus", "minus"],
    "t T": ["t", "T"],
    "< >": ["greater_than_sign", "less_than_sign"],
}
"""The keys that are pressed for a hint with more than one key."""
ALTERNATIVES = ("+-", "t T", "< >")
"""Hints of two directions; at an end of the range, one direction has no effect."""
TOGGLES = ("m", "k", "x", "y", "r", "z", "=")
"""Keys that restore the previous state when pressed again."""
ENDING = ("ENTER", "=", "ESC")
"""Keys that may end a zoom, which changes the foot line."""


def hints(app: TcptopApp) -> list[str]:
    """The keys of the foot line."""
    [line] = app.screen_stack[0].query_one(KeyLine)._lines
    return [text.strip() for text, role in line if role == "accent"]


class Effects:
    """The visible text of an app, and the number of its samples."""

    def __init__(self) -> None:
        self.samples = 0

    def collect(self, message: Message) -> None:
        """To be given to `run_test` as `message_hook`."""
        self.samples += isinstance(message, Sampled)

    def seen(self, app: TcptopApp) -> tuple[object, ...]:
        focused = app.focused.id if isinstance(app.focused, Widget) else None
        return screen_text(app), focused, self.samples, app._exit


async def useless_hints(pilot: AppPilot, effects: Effects, pressed: list[str]) -> list[str]:
    """The pressed hints of the foot line whose keys have no effect; `q` is pressed last."""
    app, useless = pilot.app, []
    assert isinstance(app, TcptopApp)
    for hint in sorted(pressed, key="q".__eq__):
        assert hint in hints(app), f"{hint} is gone"
        worked = []
        for key in PRESSED.get(hint, [hint]):
            before = effects.seen(app)
            await pilot.press(key)
            await pilot.pause()
            worked.append(effects.seen(app) != before)
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
                await pilot.pause()
        if not (any(worked) if hint in ALTERNATIVES else all(worked)):
            useless.append(hint)
        if hint in TOGGLES:
            await pilot.press(hint if hint.isalpha() else PRESSED[hint][0])
        elif hint == "SPACE" and app.view.player is not None:
            await pilot.press("space")
        elif hint == "0-9[]":
            await pilot.press("equals_sign")
        elif hint == "Tab":
            await pilot.press("shift+tab")
        await pilot.pause()
    return useless


async def check(make: Callable[[], TcptopApp], size: tuple[int, int], *keys: str) -> list[str]:
    """Presses keys, and then every key of the foot line; returns the keys of the foot line."""
    shown: list[str] = []
    rounds: list[list[str]] = [[]]
    for pressed in rounds:
        effects, app = Effects(), make()
        async with app.run_test(size=size, message_hook=effects.collect) as pilot:
            await (wait_for_app(pilot) if app.feed.bindings[0].key != "t" else wait_for_replay(pilot))
            await pilot.press(*keys)
            await pilot.pause()
            if not shown:
                shown = hints(app)
                ending = [hint for hint in shown if "ESC" in shown and hint in ENDING]
                rounds += [[hint] for hint in ending]
                pressed += [hint for hint in shown if hint not in ending]
            assert not await useless_hints(pilot, effects, pressed)
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("size", [WIDE, USUAL])
async def test_a_saved_tree_with_one_node(size: tuple[int, int]) -> None:
    shown = await check(lambda: tree_app(tree("6.1-1n")), size)
    assert {"?", "q", "m", "M", "ENTER", "Tab"} <= set(shown)
    assert not {"=", "0-9[]", "k", "z", "SPACE", "x", "+-"} & set(shown)


@pytest.mark.slow
async def test_several_nodes_have_their_keys() -> None:
    assert "0-9[]" in await check(lambda: tree_app(tree("6.1-4n")), WIDE)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
    ("keys", "named", "not_named"),
    [
        ((), {"="}, {"ESC"}),
        (("2",), {"="}, {"ESC"}),
        (("equals_sign",), {"=", "ESC", "ENTER"}, {"/"}),
        (("f11",), {"=", "ESC", "ENTER"}, {"Tab"}),
        (("slash", *"tcp", "enter"), {"ESC", "="}, set()),
    ],
    ids=["start", "a node", "the nodes", "zoomed", "filtered"],
)
async def test_a_saved_tree_with_several_nodes_at_80_columns(
    keys: tuple[str, ...], named: set[str], not_named: set[str]
) -> None:
    shown = set(await check(lambda: tree_app(tree("6.1-4n")), USUAL, *keys))
    assert named <= shown
    assert not not_named & shown


@pytest.mark.slow
async def test_no_row_has_no_key_to_explain_it() -> None:
    assert "ENTER" not in await check(lambda: tree_app(tree("6.1-4n")), USUAL, "slash", *"nothing", "enter")


@pytest.mark.parametrize("tabs", range(6))
async def test_enter_is_named_where_the_pane_with_the_focus_has_it(tabs: int) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*["tab"] * tabs)
        await pilot.pause()
        before = screen_text(app)
        named = "ENTER" in hints(app)
        await pilot.press("enter")
        await pilot.pause()
        assert named == (screen_text(app) != before), app.focused


@pytest.mark.slow
async def test_a_live_host() -> None:
    def make() -> TcptopApp:
        return host_app(ScriptedHost(tree("6.1-4n"), live=True), interval_s=3600.0)

    shown = await check(make, WIDE)
    assert {"W", "0-9[]", "k", "z", "SPACE", "x", "+-"} <= set(shown)


@pytest.mark.slow
async def test_a_recording(tmp_path: Path) -> None:
    record_phases(tmp_path / "file", "6.1-4n", ["base", "established", "timewait"])
    shown = await check(lambda: replay_app(tmp_path / "file"), WIDE)
    assert {"t T", "j", "SPACE", "+-", "< >", "k"} <= set(shown)
    assert "W" not in shown, "the recording has no look at the sockets"
    one = TimeRange(first="+10s", last="+10s")
    shown = await check(lambda: replay_app(tmp_path / "file", one), WIDE)
    assert not {"t T", "SPACE", "+-", "< >"} & set(shown)


@pytest.mark.parametrize("size", [USUAL, (240, 200)])
@pytest.mark.parametrize(("key", "kind"), [("i", ExplainPane), ("question_mark", HelpPane)])
async def test_an_overlay_says_that_it_scrolls_only_if_it_does(
    key: str, kind: type[Pane], size: tuple[int, int]
) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(key)
        await pilot.pause()
        says = re.search("scroll", " ".join(app.screen.query_one(kind)._titles[:2])) is not None
        before = screen_text(app)
        await pilot.press("end")
        await pilot.pause()
        assert says == (screen_text(app) != before)
        assert says == (size == USUAL)


@pytest.mark.slow
async def test_a_recording_says_at_its_first_sample_how_to_go_to_the_last(tmp_path: Path) -> None:
    record_phases(tmp_path / "file", "6.1-4n", ["base", "established", "timewait"])
    for size in (USUAL, (120, 40)):
        async with replay_app(tmp_path / "file").run_test(size=size) as pilot:
            app = await wait_for_replay(pilot)
            assert "> last sample" in screen_text(app)
            await pilot.press("greater_than_sign")
            await wait_for_replay(pilot)
            assert app.view.player is not None
            assert app.view.player.index == app.view.player.last_index
            assert "> last sample" not in screen_text(app)
