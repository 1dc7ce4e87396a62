"""Every overlay at every size: each key does something or nothing, and a resize closes or redraws what is open."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from drive import Notices, resize, screen_text, tree, tree_app, wait_for_app, wait_until
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import OutOfBounds, Pilot

sys.path.append(str(Path(__file__).resolve().parents[1]))

from slow_case import slow

OVERLAYS = ("colon", "question_mark", "i", "slash", "g", "w", "d", "M", "enter")
KEYS = (
    *("pagedown", "pageup", "end", "home", "down", "up", "right", "left", "tab", "shift+tab", "a", "backspace"),
    *("ctrl+end", "ctrl+home", "shift+end", "shift+home", "colon", "enter"),
)
LARGE = (100, 30)
NARROW_OR_LOW = ((1, 1), (40, 1), (1, 10), (2, 3), (40, 3), (19, 4), (20, 4), (20, 5), (19, 10), (40, 10))
SMALL = [(39, 4), *map(slow, NARROW_OR_LOW)]


async def use(pilot: Pilot[int], overlay: str, keys: Sequence[str]) -> None:
    """Opens an overlay for each of the keys, which may close it; then closes everything."""
    for key in keys:
        if len(pilot.app.screen_stack) == 1:
            await pilot.press(overlay)
            await pilot.pause()
        await pilot.press(key)
    with suppress(OutOfBounds):
        await pilot.click(offset=(0, 0))
        await pilot.click(offset=(1, 3))
    for event in (MouseScrollDown, MouseScrollUp):
        pilot.app.screen._forward_event(
            event(None, x=0, y=0, delta_x=0, delta_y=0, button=0, shift=False, meta=False, ctrl=False)
        )
    await close_all(pilot)


async def close_all(pilot: Pilot[int]) -> None:
    while len(pilot.app.screen_stack) > 1:
        await pilot.press("escape")
        await pilot.pause()


@pytest.mark.slow
@pytest.mark.parametrize("size", SMALL)
async def test_every_key_of_an_overlay_at_a_small_size(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        for overlay in OVERLAYS:
            await use(pilot, overlay, KEYS)
        await resize(pilot, LARGE)
        assert "TCP" in screen_text(app)


@pytest.mark.slow
@pytest.mark.parametrize("size", SMALL)
async def test_a_resize_while_an_overlay_is_open(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=LARGE) as pilot:
        app = await wait_for_app(pilot)
        for overlay in OVERLAYS:
            await pilot.press(overlay)
            await pilot.resize_terminal(*size)
            await pilot.press("pagedown", "pagedown", "end", "end", "tab", "tab")
            await pilot.resize_terminal(*LARGE)
            await pilot.press("end", "tab", "pagedown", "enter")
            await close_all(pilot)
        assert "TCP" in screen_text(app)


async def test_a_palette_without_room_is_refused_in_one_message() -> None:
    notices = Notices()
    async with tree_app(tree("6.1-4n")).run_test(size=(39, 3), message_hook=notices.collect) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("colon", "colon")
        assert len(app.screen_stack) == 1
        assert set(notices) == {"the command palette needs 20 columns and 4 lines"}
        assert len(app._notifications) == 1  # the second press shows no second message


async def test_the_palette_shows_its_commands_on_the_smallest_terminal() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(40, 5)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("colon")
        await pilot.press(*"time_wait")
        await wait_until(pilot, lambda: "open sockets and" in screen_text(app), "the command is shown")
        await pilot.press("enter")
        await wait_until(pilot, lambda: app.choices.mode == "time_wait", "the command is run")
