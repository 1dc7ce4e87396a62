"""No line of a pane is wider than its pane, in UTF-8 and in ASCII, so that no figure loses digits at the right edge."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable

import pytest
from drive import resize, screen_text, tree, tree_app, wait_for_app
from hypothesis import given
from hypothesis import strategies as st
from recorded import ledger
from rich.cells import get_character_cell_size
from textual.geometry import Size

from tcptop.ledger import AccountingMode, Ledger
from tcptop.text import units
from tcptop.text.cache_columns import find_column
from tcptop.text.cache_rows import select_rows
from tcptop.text.line import Line, text_of
from tcptop.view import View
from tcptop.view.trends import Trends, add_sample
from tcptop.widgets.cell_width import cell_width, crop_line, cut_line, line_to_ascii, line_width
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


def test_a_text_is_as_wide_as_its_characters() -> None:
    for number in range(0xA0, sys.maxunicode + 1):
        assert cell_width(chr(number)) == get_character_cell_size(chr(number)), hex(number)


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


def counted(at_s: float, slabs_at_s: float, sockets: int, sockets_at_slabs: int, tcp_bytes: int) -> Ledger:
    """A sample whose slabs were counted before, when there were other sockets."""
    figures = ledger("6.1-4n", "established")
    memory = figures.tcp_memory._replace(
        bytes=tcp_bytes, counted_at_s=slabs_at_s, counted_sockets=sockets_at_slabs, counted_time_wait=0
    )
    return figures._replace(
        taken_at_unix_s=at_s, tcp_memory=memory, sockets=figures.sockets._replace(allocated=sockets)
    )


def test_the_rates_of_memory_and_of_sockets_have_the_same_two_moments() -> None:
    """The first slabs were counted before 10 000 sockets came, and the second ones 8 s later."""
    samples = [
        counted(1000.0, 999.0, 10, 10, 10 * 4096),
        counted(1005.0, 999.0, 10_000, 10, 10 * 4096),
        counted(1010.0, 1007.0, 10_100, 10_010, 10_010 * 4096),
        counted(1015.0, 1007.0, 10_200, 10_010, 10_010 * 4096),
    ]
    trends, shown = Trends(), []
    for sample in samples:
        trends = add_sample(trends, sample)
        shown.append(" ".join(map(text_of, tcp_lines(sample, View(trends=trends), "full", 60, 8))))
    assert all("B/s" not in text and "K/s" not in text and "M/s" not in text for text in shown[:3])
    assert "+4.88M/s" in shown[3]
    assert "+1250/s" in shown[3], "10 000 sockets in 8 s, of 4 KiB each"


def test_no_rate_of_a_burst_stands_beside_what_is_left_after_it() -> None:
    """No socket, then 65 at the second count of slabs, of which one is left in the sample on the screen."""
    samples = [
        counted(1000.0, 999.0, 0, 0, 0),
        counted(1005.0, 1004.0, 65, 65, 64 << 20),
        counted(1010.0, 1004.0, 65, 65, 64 << 20),
    ]
    trends = Trends()
    for sample in samples:
        trends = add_sample(trends, sample)

    def facts(sample: Ledger) -> str:
        view = View(trends=add_sample(trends, sample))
        return " ".join(map(text_of, tcp_lines(sample, view, "full", 60, 3)))

    during, after = facts(samples[-1]), facts(counted(1012.0, 1011.0, 1, 1, 1 << 20))
    assert "65 sockets  +13/s over 5 s" in during
    assert re.search(r"\+12\.8M/s", during), during
    assert "1 socket" in after
    assert not re.search(r"[+-][\d.]+[KMG]?/s|steady", after), after


def test_no_rate_of_the_last_five_seconds_stands_beside_fewer_sockets() -> None:
    """Until slabs were counted twice, the rate is that of the last five seconds, of an earlier sample."""
    figures = counted(1000.0, 999.0, 16, 16, 1 << 20)
    rates = figures._replace(sockets=figures.sockets._replace(allocated=96, allocated_per_s=16.0))
    for sockets, rate in ((96, "+16/s"), (80, "+16/s"), (1, "")):
        sample = figures._replace(sockets=figures.sockets._replace(allocated=sockets))
        text = text_of(tcp_lines(sample, View(rates=rates), "full", 60, 3)[1])
        assert text.endswith(f"sockets  {rate}" if rate else "1 socket"), text


def test_no_rate_of_a_cache_stands_beside_fewer_objects() -> None:
    caches = [line for line in ledger("6.1-4n", "established").caches if line.active_objects]
    now = [line._replace(active_objects=100) for line in caches]
    for per_s, shown in ((20.0, 20.0), (-500.0, -500.0), (21.0, None)):
        rates = [line._replace(active_objects=500, active_per_s=per_s) for line in caches]
        rows = select_rows(now, None, rates=rates)
        assert {find_column("per_second").value(row) for row in rows} == {shown}


def test_slabs_that_are_seldom_counted_keep_their_rates() -> None:
    trends = Trends()
    for step in range(20):
        counts = 1 + step // 8
        sample = counted(1000.0 + 5 * step, 1000.0 + 40 * counts, 9_000, 400 * counts, 400 * 4096 * counts)
        trends = add_sample(trends, sample)
    shown = " ".join(map(text_of, tcp_lines(sample, View(trends=trends), "full", 60, 8)))
    assert "+40.0K/s" in shown
    assert "+10/s" in shown
