"""Tests of the screen in ASCII: figures at the same places in every view, and when ASCII is needed."""

from __future__ import annotations

import re
import unicodedata
from itertools import combinations

import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    feed,
    host_app,
    open_host,
    root_only,
    sample_phases,
    screen_text,
    tree,
    wait_for_app,
)
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from slow_case import slow

from tcptop.explanation.events_page import ALARM_SIGN
from tcptop.hosts.host import Host
from tcptop.settings.file import Settings
from tcptop.text.ascii import needs_ascii
from tcptop.text.ascii_glyphs import ASCII_GLYPHS, ASCII_SIGNS
from tcptop.widgets import slice_bar
from tcptop.widgets.big_number import ASCII_BIG_GLYPHS, BIG_GLYPHS
from tcptop.widgets.caches_pane import MERGED
from tcptop.widgets.cell_width import to_ascii
from tcptop.widgets.limits_pane import EIGHTHS, TRACK

VIEWS = {
    "start": [],
    "states": ["i"],
    "memory": ["right"],
    "headroom": ["right"],
    "events": ["right"],
    "attached": ["right"],
    "paths": ["right"],
    "a cache": ["escape", "down", "enter"],
    "a node": ["escape", "2"],
    "TIME_WAIT in bytes": ["m", "y"],
    "all caches": ["r", "n"],
    "help": ["question_mark"],
    "the end of help": ["end"],
}
"""The keys that lead from each view to the next."""
NO_WIDTH = ("Cf", "Mn", "Me", "Mc")
"""Categories of characters whose width differs from one terminal to another."""


def test_any_two_large_digits_differ_in_two_half_cells() -> None:
    """Readers took a 5 for a 9, and a 0 for an 8, which differed in one half cell."""

    def half_cells(glyph: tuple[str, ...]) -> list[bool]:
        return [each in halves for line in glyph for halves in ("▀█", "▄█") for each in line]

    digits = {character: half_cells(glyph) for character, glyph in BIG_GLYPHS.items() if character.isdigit()}
    assert len(digits) == 10
    for one, other in combinations(digits, 2):
        assert sum(a != b for a, b in zip(digits[one], digits[other], strict=True)) >= 2, (one, other)


def test_each_ascii_glyph_is_as_wide_as_the_original() -> None:
    for glyph, ascii_glyph in ASCII_GLYPHS.items():
        assert ascii_glyph.isascii(), glyph
        assert ascii_glyph.isprintable(), glyph
        assert len(glyph) == len(ascii_glyph) == cell_len(glyph), glyph


SIGNS = "▸≈–×÷Δ▴▾→"
"""Glyphs that have a meaning of their own, outside of graphs, bars and borders."""


def test_no_ascii_sign_has_two_meanings() -> None:
    signs = [ASCII_GLYPHS[glyph] for glyph in SIGNS]
    assert len(set(signs)) == len(signs)
    assert not set(signs) & {MERGED, ALARM_SIGN, "?"}
    assert MERGED not in slice_bar.SIGNS, "a part of a bar is not marked as a merged cache"
    assert len({to_ascii(sign) for sign in slice_bar.SIGNS}) == len(slice_bar.SIGNS)


def test_a_use_in_eighths_is_no_empty_bar_in_ascii() -> None:
    assert not {to_ascii(cell) for cell in f"{EIGHTHS}█"} & {to_ascii(TRACK)}


def test_large_ascii_digits_are_as_wide_as_the_others() -> None:
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
    of_no_width = {each for each in text if unicodedata.combining(each) or unicodedata.category(each) in NO_WIDTH}
    if not of_no_width and not set(text) & set(ASCII_SIGNS):
        assert cell_len(plain) == cell_len(text)


def test_wide_character_becomes_two_question_marks() -> None:
    assert to_ascii("主机 3") == "???? 3"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("inet_bind_b… x", "inet_bind_.. x"),
        ("c n … sort", "c n.. sort"),
        ("主…", "?.."),
        ("…end", "..nd"),
        ("2.34M …/a1", "2.34M ..a1"),
        ("…", "."),
    ],
)
def test_the_end_of_a_cut_text_is_two_points_in_the_same_width(text: str, plain: str) -> None:
    assert to_ascii(text) == plain
    assert len(plain) == cell_len(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("client ≤ 4 140", "client <=4 140"),
        ("  45  ≥100k", "  45 >=100k"),
        ("≥  ≤  ≈", ">= <= ~"),
        ("≤ 1 ≥ 2 ± 3 B", "<=1 >=2 +-3 B"),
        ("(≤)", "(<=)"),
    ],
)
def test_a_bound_stays_the_same_statement(text: str, plain: str) -> None:
    assert to_ascii(text) == plain
    if text != "(≤)":
        assert len(plain) == len(text)


async def view_texts(host: Host, ascii_only: bool, size: tuple[int, int]) -> dict[str, str]:
    """The text of the screen in each view."""
    app = host_app(host, settings=Settings(ascii=ascii_only))
    texts: dict[str, str] = {}
    async with app.run_test(size=size) as pilot:
        await wait_for_app(pilot)
        for name, keys in VIEWS.items():
            await pilot.press(*keys)
            await pilot.pause()
            texts[name] = screen_text(app)
    return texts


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), slow((120, 40))], ids=str)
async def test_every_view_is_the_same_in_ascii(size: tuple[int, int]) -> None:
    rich_texts = await view_texts(open_host(tree("6.1-4n")), False, size)
    plain_texts = await view_texts(open_host(tree("6.1-4n")), True, size)
    assert len(set(rich_texts.values())) == len(VIEWS), "no two views are the same"
    for name, rich in rich_texts.items():
        plain = plain_texts[name]
        assert plain.isascii(), name
        assert not rich.isascii(), name
        assert plain.count("?") == rich.count("?"), f"{name}: every character that the screen draws has an ASCII glyph"
        for line, plain_line in zip(rich.splitlines(), plain.splitlines(), strict=True):
            positions = [found.start() for found in re.finditer("(?a:[^\\W_])(?!…)", line)]
            assert [line[at] for at in positions] == [plain_line.ljust(len(line))[at] for at in positions], plain_line


async def test_a_refused_host_in_ascii() -> None:
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = root_only
    plain = (await view_texts(host, True, (120, 40)))["start"]
    assert plain.isascii()
    assert "/proc/slabinfo is for root only" in plain


async def test_graphs_and_rates_in_ascii() -> None:
    app = host_app(open_host(tree("6.1-4n", "base")), settings=Settings(ascii=True))

    async def drive(pilot: AppPilot) -> None:
        await wait_for_app(pilot)
        for sample in sample_phases("6.1-4n", ["base", "base", "established", "established", "timewait"]):
            await feed(pilot, sample)

    async with app.run_test(size=(160, 50)) as pilot:
        await drive(pilot)
        text = screen_text(app)
    assert text.isascii()
    assert any("tw_sock_TCP" in line and line.rstrip().endswith("+813") for line in text.splitlines())
    assert re.search(r"sockets +_[_ ]*#[# ]* 1 to 16 001", text)


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
def test_when_ascii_is_needed(environment: dict[str, str], encoding: str | None, needed: bool) -> None:
    assert needs_ascii(environment, encoding) is needed
