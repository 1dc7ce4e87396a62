"""Tests of the themes: the contrast of each colour against the background."""

from __future__ import annotations

import pytest
from drive import host_app, open_host, tree, wait_for_app
from textual.color import Color
from textual.content import Content
from textual.theme import Theme

from tcptop.screen.themes import THEMES
from tcptop.settings.file import Settings
from tcptop.widgets.pane import Pane

TEXT = ("primary", "secondary", "warning", "error", "foreground", "time-wait")
"""Colours of text, and of digits."""
QUIET = (
    "text-muted",
    "border-blurred",
    *(f"{mode}-{number}" for mode in ("slice", "time-wait") for number in range(2, 6)),
)
"""Colours of less important text, lines and bars."""


def luminance(color: Color) -> float:
    """The relative luminance as WCAG defines it."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(theme: Theme, name: str) -> float:
    text = theme.variables.get(name) or getattr(theme, name)
    assert theme.background is not None
    levels = sorted(luminance(Color.parse(each)) + 0.05 for each in (text, theme.background))
    return levels[1] / levels[0]


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_colour_stands_out_from_the_background(theme: Theme) -> None:
    assert {name: ratio for name in TEXT if (ratio := contrast(theme, name)) < 4.5} == {}
    assert {name: ratio for name in QUIET if (ratio := contrast(theme, name)) < 3} == {}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("keys", [[], ["m"]], ids=["open sockets", "TIME_WAIT"])
async def test_only_the_title_of_the_pane_with_the_focus_is_reversed(theme: str, keys: list[str]) -> None:
    async with host_app(open_host(tree("6.1-4n")), settings=Settings(theme=theme)).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("tab", *keys)
        await pilot.pause()
        focused = app.screen.focused
        assert isinstance(focused, Pane)
        for pane in app.screen.query(Pane):
            title = pane._border_title
            spans = [str(span.style) for span in title.spans] if isinstance(title, Content) else []
            assert ("reverse" in spans) == (pane is focused), pane.id
