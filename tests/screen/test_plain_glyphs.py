"""The screen in ASCII: the same figures at the same places, on every view, and when it is needed."""

from __future__ import annotations

import unicodedata

import pytest
from drive import AppPilot, ScriptedHost, feed, open_host, root_only, sample_phases, screen_text, tree, wait_for_app
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tcptop.hosts.host import Host
from tcptop.screen.recording_app import RecordingApp
from tcptop.screen.settings import Settings
from tcptop.text.ascii import ASCII_GLYPHS, needs_ascii, to_ascii
from tcptop.widgets.big_number import ASCII_BIG_GLYPHS, BIG_GLYPHS

VIEWS = {
    "start": [],
    "states": ["i"],
    "memory": ["right"],
    "headroom": ["right"],
    "paths": ["right"],
    "a cache": ["escape", "down", "enter"],
    "all nodes": ["escape", "equals_sign"],
    "TIME_WAIT in bytes": ["m", "y"],
    "all caches": ["r", "n"],
    "help": ["question_mark"],
    "the end of help": ["end"],
}
"""The keys that lead from each view to the next."""

OF_THE_BOXES = set("─│╭╮╰╯")
"""What CSS draws; it has borders of its own for ASCII."""


def test_each_glyph_is_as_wide_as_its_twin() -> None:
    for glyph, twin in ASCII_GLYPHS.items():
        assert twin.isascii(), glyph
        assert twin.isprintable(), glyph
        assert len(glyph) == len(twin) == cell_len(glyph), glyph


def test_the_large_digits_are_as_wide_as_their_twins() -> None:
    assert BIG_GLYPHS.keys() == ASCII_BIG_GLYPHS.keys()
    for character, glyph in ASCII_BIG_GLYPHS.items():
        assert list(map(len, glyph)) == list(map(len, BIG_GLYPHS[character]))
        assert "".join(glyph).isascii()
    digits = [glyph for character, glyph in ASCII_BIG_GLYPHS.items() if character.isdigit()]
    assert len(set(digits)) == 10, "no two digits look the same"


@given(st.text())
def test_any_text_keeps_its_width(text: str) -> None:
    plain = to_ascii(text)
    assert plain.isascii()
    if not any(unicodedata.combining(each) or unicodedata.category(each) in ("Cf", "Mn", "Me", "Mc") for each in text):
        assert cell_len(plain) == cell_len(text)


def test_wide_characters_leave_two_marks() -> None:
    assert to_ascii("主机 ≤ 3") == "???? < 3"


async def view_texts(host: Host, ascii_only: bool, size: tuple[int, int]) -> dict[str, str]:
    """The screen of each view."""
    app = RecordingApp(host, settings=Settings(ascii=ascii_only))
    texts: dict[str, str] = {}
    async with app.run_test(size=size) as pilot:
        await wait_for_app(pilot)
        for name, keys in VIEWS.items():
            await pilot.press(*keys)
            await pilot.pause()
            texts[name] = screen_text(app)
    return texts


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_every_view_is_the_same_in_ascii(size: tuple[int, int]) -> None:
    rich_texts = await view_texts(open_host(tree("6.1-4n")), False, size)
    plain_texts = await view_texts(open_host(tree("6.1-4n")), True, size)
    assert len(set(rich_texts.values())) == len(VIEWS), "no two views are the same"
    for name, rich in rich_texts.items():
        plain = plain_texts[name]
        assert plain.isascii(), name
        assert not rich.isascii(), name
        assert plain.count("?") == rich.count("?"), f"every character of {name} has a twin"
        for line, twin in zip(rich.splitlines(), plain.splitlines(), strict=True):
            kept = [at for at, character in enumerate(line) if character.isalnum() and character.isascii()]
            assert [line[at] for at in kept] == [twin.ljust(len(line))[at] for at in kept], (name, twin)


async def test_a_refused_host_in_ascii() -> None:
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = root_only
    plain = (await view_texts(host, True, (120, 40)))["start"]
    assert plain.isascii()
    assert "/proc/slabinfo is for root only" in plain


async def test_graphs_and_marks_in_ascii() -> None:
    app = RecordingApp(open_host(tree("6.1-4n", "base")), settings=Settings(ascii=True))

    async def drive(pilot: AppPilot) -> None:
        await wait_for_app(pilot)
        for look in sample_phases("6.1-4n", ["base", "base", "established", "established", "timewait"]):
            await feed(pilot, look)

    async with app.run_test(size=(120, 40)) as pilot:
        await drive(pilot)
        text = screen_text(app)
    assert text.isascii()
    assert "^ tw_sock_TCP" in text
    assert "v TCP " in text
    assert "sockets __##" in text


@pytest.mark.parametrize(
    ("environment", "encoding", "needed"),
    [
        ({"TERM": "xterm-256color", "LANG": "en_US.UTF-8"}, "utf-8", False),
        ({"TERM": "xterm-256color"}, "UTF-8", False),
        ({"TERM": "screen"}, "UTF8", False),
        ({"TERM": "xterm-256color"}, "iso8859-1", True),
        ({"TERM": "xterm-256color"}, "ascii", True),
        ({"TERM": "xterm-256color"}, None, True),
        ({"TERM": "linux"}, "utf-8", True),
        ({"TERM": "xterm", "LC_ALL": "C"}, "utf-8", True),
        ({"TERM": "xterm", "LC_ALL": "POSIX"}, "utf-8", True),
        ({"TERM": "xterm", "LC_ALL": "C.UTF-8"}, "utf-8", False),
    ],
)
def test_when_it_is_needed(environment: dict[str, str], encoding: str | None, needed: bool) -> None:
    assert needs_ascii(environment, encoding) is needed
