"""No line of a pane is wider than its pane, in UTF-8 and in ASCII, so that no figure loses digits at the right edge."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import pytest
from drive import resize, screen_text, tree, tree_app, wait_for_app
from hypothesis import given
from hypothesis import strategies as st
from recorded import ledger
from textual.geometry import Size

from tcptop.ledger import AccountingMode, Ledger
from tcptop.text import units
from tcptop.text.line import Line, text_of
from tcptop.view import View
from tcptop.view.trends import Trends
from tcptop.widgets.cell_width import crop_line, cut_line, line_to_ascii, line_width
from tcptop.widgets.figure_pane import figure_lines, large_figure
from tcptop.widgets.limits_pane import limit_lines, nearest_line
from tcptop.widgets.pane import ASCII_CLASS
from tcptop.widgets.tcp_pane import tcp_lines

WIDTHS = range(28, 160)
"""The widths of the panes on screens of 40 to 240 columns."""
MIN_LIMITS_WIDTH = 40
TREES = [
    ("6.1-8n", "established"),
    ("6.1-8n", "timewait"),
    ("6.1-4n", "base"),
    ("6.1-1n", "established"),
    ("6.12-arm64-16k-4n", "established"),
    ("7.3-4n", "established"),
]


def drawn(lines: Iterable[Line], ascii_only: bool) -> list[Line]:
    """The lines as the terminal shows them, before they are cut to the width of their pane."""
    return [line_to_ascii(line) if ascii_only else line for line in lines]


def headline_panes(figures: Ledger, mode: AccountingMode, columns: int, ascii_only: bool) -> Iterable[Line]:
    for rows in range(1, 9):
        yield from figure_lines(figures.costs[mode], columns, rows, ascii_only=ascii_only, signs=ascii_only)[:rows]
        yield from tcp_lines(figures, View(), mode, columns, rows, ascii_only)[:rows]
    if columns >= MIN_LIMITS_WIDTH:
        yield nearest_line(figures, mode, columns)
        yield from limit_lines(figures, mode, columns, {})


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["full", "time_wait"])
@pytest.mark.parametrize(("kernel", "phase"), TREES)
def test_a_line_of_the_headline_panes_fits_its_pane(kernel: str, phase: str, mode: AccountingMode) -> None:
    figures = ledger(kernel, phase)
    for columns in WIDTHS:
        for ascii_only in (False, True):
            for line in drawn(headline_panes(figures, mode, columns, ascii_only), ascii_only):
                assert line_width(line) <= columns, f"{text_of(line)!r} at {columns}"


@pytest.mark.parametrize("ascii_only", [False, True], ids=["utf8", "ascii"])
async def test_the_cost_of_a_socket_is_whole_at_every_size(ascii_only: bool) -> None:
    cost = ledger("6.1-8n", "established").costs["full"].by_family["mix"]
    bounds = (cost.accepted.slab_bounds(), cost.outgoing.slab_bounds(own_port=True))
    app = tree_app(tree("6.1-8n"))
    if ascii_only:
        app.add_class(ASCII_CLASS)
    async with app.run_test(size=(240, 70)) as pilot:
        await wait_for_app(pilot)
        for size in ((40, 12), (57, 24), (58, 24), (60, 20), (66, 20), (72, 12), (80, 24), (100, 30)):
            await resize(pilot, size)
            shown = "\n".join(screen_text(app).splitlines()[1:5])
            for bound in filter(None, bounds):
                assert units.exact_bytes(bound.low or math.ceil(bound.high)) in shown, (size, shown)


async def test_a_bound_is_whole_in_ascii_on_a_screen_of_60_columns() -> None:
    app = tree_app(tree("6.1-8n"))
    app.add_class(ASCII_CLASS)
    async with app.run_test(size=Size(60, 20)) as pilot:
        await wait_for_app(pilot)
        assert "client<=3 952 " in screen_text(app)


@given(
    st.lists(st.from_regex(r"(?:[≤≥≈] ?)?\d{1,3}(?: \d{3})?(?:\.\d)?[KM]?|[a-z]+", fullmatch=True)), st.integers(0, 40)
)
def test_a_cut_line_has_only_whole_numbers(words: list[str], columns: int) -> None:
    line: Line = tuple((f"{word}, ", "text") for word in words)
    cut = cut_line(line, columns)
    assert line_width(cut) <= columns
    assert text_of(crop_line(line, columns)).startswith(text_of(cut))
    numbers = re.compile(r"\d[\d .]*[KM]?")
    whole = numbers.findall(text_of(line))
    assert numbers.findall(text_of(cut)) == whole[: len(numbers.findall(text_of(cut)))]


@pytest.mark.parametrize("mode", ["full", "time_wait"])
@pytest.mark.parametrize(("kernel", "phase"), TREES)
def test_the_parts_add_up_to_the_large_figure(kernel: str, phase: str, mode: AccountingMode) -> None:
    cost = ledger(kernel, phase).costs[mode]
    figure, _, slices, missing = large_figure(cost, None)
    shown = sum(int(units.exact_bytes(part.bytes).replace(" ", "")) for part in slices)
    assert missing or shown == int(figure.lstrip("≈≤≥ ").replace(" ", ""))


@pytest.mark.parametrize("columns", range(28, 70))
def test_a_number_of_sockets_has_its_noun(columns: int) -> None:
    figures = ledger("6.1-8n", "timewait")
    line = text_of(tcp_lines(figures, View(), "time_wait", columns, 4)[-1])
    assert re.match(r"(all netns|sockets|buffers) ", line), line


def test_a_dear_port_is_named_beside_its_cost() -> None:
    for columns in (39, 66, 120):
        lines = figure_lines(ledger("6.1-8n", "timewait").costs["time_wait"], columns, 4)
        assert re.search(r"own port +≤ 490|port of its own ≤ 490", "\n".join(map(text_of, lines)))


def test_the_rates_of_memory_and_of_sockets_cover_the_same_time() -> None:
    """The memory was not known in the first steps, when the sockets grew."""
    total = ledger("6.1-4n", "established").tcp_memory.bytes or 0
    trends = Trends(
        step=9,
        sockets=(0.0, 5_000.0, 9_000.0, 9_000.0, 9_000.0, 9_000.0, 10_000.0),
        tcp_bytes=(None, None, None, None, None, float(total), total + 1_000_000.0),
    )
    shown = " ".join(map(text_of, tcp_lines(ledger("6.1-4n", "established"), View(trends=trends), "full", 60, 8)))
    assert "+195K/s" in shown
    assert "+200/s" in shown
