"""The screen while sockets change faster than slabinfo is read, and the error of the bytes since the mark."""

from __future__ import annotations

import re

import pytest
from drive import (
    feed,
    pane_lines,
    pane_title,
    parse_cache_table,
    sample_phases,
    sample_tree,
    screen_text,
    slabinfo_rows,
    tree,
    tree_app,
    wait_for_app,
)
from recorded import ledger

from tcptop.ledger import GrowthSinceMark, SourceHealth
from tcptop.report.as_text import as_text
from tcptop.snapshot import Snapshot
from tcptop.text import units
from tcptop.text.line import text_of
from tcptop.view import View
from tcptop.view.trends import FIGURES, Trends
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.limits_pane import LimitsPane, since_mark_line
from tcptop.widgets.nodes_pane import node_lines
from tcptop.widgets.tcp_pane import TcpPane, tcp_lines, total_texts


def sample(allocated: int, previous: int, at_s: float) -> Snapshot:
    """A sample of a running kernel, with the number of sockets beside slabinfo and beside the slabinfo before."""
    saved = sample_tree(tree("6.1-4n"))
    sockstat = saved.sockstat.value
    assert sockstat is not None
    own, before = (
        sockstat._replace(allocated=number, inuse=min(number, sockstat.inuse or 0)) for number in (allocated, previous)
    )
    slabinfo = saved.slabinfo._replace(taken_at_s=at_s, sockstat=own, before=None)
    return saved._replace(
        live=True,
        taken_at_unix_s=1_000_000.0 + at_s,
        monotonic_s=at_s,
        slabinfo=slabinfo._replace(before=slabinfo._replace(taken_at_s=at_s - 1, sockstat=before)),
        slab_counts=saved.slab_counts._replace(taken_at_s=at_s, before=None),
        sockstat=saved.sockstat._replace(value=own, taken_at_s=at_s, before=None),
    )


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_average_stands_and_says_so(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await feed(pilot, sample(16_000, 16_000, 10.0))
        current = pane_lines(app, FigurePane)
        await feed(pilot, sample(8_000, 16_000, 11.0))
        standing = pane_lines(app, FigurePane)
        await feed(pilot, sample(8_000, 8_000, 12.0))
        after = pane_lines(app, FigurePane)
        assert any("average now" in line for line in current)
        assert any("earlier average" in line for line in standing)
        assert any(" idle" in line for line in after[:3]), "half of the sockets have closed"
        digits = [line.partition("  ")[0] for line in standing[1:3]]
        assert digits == [line.partition("  ")[0] for line in current[1:3]]
        assert digits != [line.partition("  ")[0] for line in after[1:3]]


async def test_a_wide_screen_says_why_the_average_stands() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        await feed(pilot, sample(16_000, 16_000, 10.0))
        await feed(pilot, sample(8_000, 16_000, 11.0))
        assert "earlier average: sockets change" in screen_text(app)


def mark_line(bytes_per_socket: float | None, error: float | None, columns: int = 100) -> str:
    because = None if bytes_per_socket is not None else "too few to measure (needs 800)"
    return text_of(since_mark_line(GrowthSinceMark(60.0, 8000, 3.3e7, bytes_per_socket, because, error), columns))


def test_the_mark_says_its_error() -> None:
    assert "4 162 ± 120 B each, measured" in mark_line(4162.0, 120.0)
    assert "4 162 ± – B each, measured" in mark_line(4162.0, None)
    assert mark_line(4162.0, 120.0, 40).endswith("4 162 ± 120 B each")


@pytest.mark.parametrize("columns", [38, 60, 100])
def test_above_a_tenth_the_mark_is_disturbed(columns: int) -> None:
    line = mark_line(4162.0, 417.0, columns)
    assert "disturbed" in line
    assert "4 162" not in line
    assert "measured" not in line
    assert "disturbed" not in mark_line(4162.0, 416.0, columns)


@pytest.mark.parametrize("phase", ["timewait", "halfclosed", "established"])
def test_the_headline_is_the_total_of_the_report_and_of_the_graph(phase: str) -> None:
    figures = ledger("6.1-8n", phase)
    total = figures.tcp_memory
    digits, unit = units.short_figure(total.bytes or 0)
    assert total_texts(figures) == (f"≈{digits}", unit)
    bounds = f"between {units.size(total.low_bytes, False)} and {units.size(total.high_bytes, True)}"
    assert f"  {units.size(total.bytes)}   {bounds}" in as_text(figures)
    assert FIGURES["tcp_bytes"](figures) == total.bytes


@pytest.mark.parametrize("kernel", ["6.1-8n", "6.1-4n", "7.3-4n", "6.12-arm64-16k-4n"])
@pytest.mark.parametrize("phase", ["base", "established"])
def test_free_memory_is_rounded_alike_on_the_screen_and_in_the_report(kernel: str, phase: str) -> None:
    """A node's FREE below 1000 MiB is the same number in the node table of the screen and in that of the report; a
    zone's FREE is what its listed blocks have.
    """
    figures = ledger(kernel, phase)
    page_bytes = figures.host.page_size_bytes or 0
    text = as_text(figures)
    titles, *lines = map(text_of, node_lines(figures, 120))
    end = titles.index("FREE") + len("FREE")
    sections = text.split("\nNode ")
    for node, line in zip(figures.nodes, lines, strict=True):
        free_bytes = node.free_bytes or 0
        in_report = re.search(rf"^ +{node.node} .* MiB +((?:\d+ )?\d+) MiB  CPUs", text, re.MULTILINE)
        assert in_report
        mebibytes = int(in_report[1].replace(" ", ""))
        assert mebibytes == round(free_bytes / (1 << 20))
        gibibytes = f"{free_bytes / (1 << 30):.1f}".removesuffix(".0")
        assert line[:end].split()[-1] == (f"{mebibytes}M" if mebibytes < 1000 else f"{gibibytes}G")
        [section] = [each for each in sections if each.startswith(f"{node.node}:")]
        for zone in node.zones:
            pages = sum(count << order for order, count in enumerate(zone.free_area or ()))
            rows = [row.split() for row in section.splitlines()]
            free = units.short_size(pages * page_bytes)
            assert any(row[:2] == [zone.zone, "all"] and row[-1] == free for row in rows)


def test_a_total_with_a_part_missing_is_a_lower_bound_everywhere() -> None:
    figures = ledger("6.1-8n", "timewait")
    total = figures.tcp_memory._replace(missing=("socket buffers",), high_bytes=None)
    figures = figures._replace(tcp_memory=total)
    digits, unit = units.short_figure(total.low_bytes or 0, False)
    assert total_texts(figures) == (f"≥{digits}", unit)
    assert FIGURES["tcp_bytes"](figures) == total.low_bytes
    shown = "\n".join(text_of(line) for line in tcp_lines(figures, View(), "full", 60, 12))
    assert "likely" not in shown
    assert "not known: socket buffers" in shown


def test_beside_a_graph_a_wide_range_has_its_upper_bound() -> None:
    figures = ledger("6.1-8n", "timewait")
    view = View(trends=Trends(sockets=(1.0, 2.0), time_wait=(1.0, 2.0), tcp_bytes=(None, None)))
    for columns in (36, 60):
        shown = [text_of(line) for line in tcp_lines(figures, view, "full", columns, 4)]
        high = units.size(figures.tcp_memory.high_bytes, True)
        assert f"MiB, ≤ {high}" in shown[0] or f"MiB, at most {high}" in shown[0]
    assert "≤" not in text_of(tcp_lines(ledger("6.1-8n", "established"), view, "full", 60, 4)[0]), "a narrow range"


def test_the_buffers_in_use_of_a_socket_have_one_range_everywhere() -> None:
    text = " ".join(as_text(ledger("6.12-4n", "halfclosed")).split())
    attached = re.search(r" buffers - <= [\d.]+ MiB <= ([\d ]+\d) ", text)
    most = re.search(r"buffers per socket ~ [\d ]+ B between [\d ]+ and ([\d ]+) B", text)
    assert attached
    assert most
    assert attached[1] == most[1]
    assert f"which tcp_mem limits; 0 to {most[1]} B are with data" in text


def test_buffers_within_the_error_of_their_counter_have_one_upper_bound_per_socket() -> None:
    text = " ".join(as_text(ledger("6.1-8n", "established")).split())
    attached = re.search(r" buffers - <= [\d.]+ MiB (<= [\d ]+) ", text)
    assert attached
    assert f"buffers per socket {attached[1]} B" in text
    assert "buffers per socket - B" in " ".join(as_text(ledger("6.1-8n", "base")).split()), "too few sockets"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)], ids=str)
async def test_no_row_of_a_limit_has_one_number_twice(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.12-4n", "halfclosed")).run_test(size=size) as pilot:
        lines = pane_lines(await wait_for_app(pilot), LimitsPane)
    [memory] = [line for line in lines if line.startswith("memory")]
    numbers = re.findall(r"\d{1,3}(?: \d{3})+", memory)
    assert len(numbers) == len(set(numbers))
    assert "average buffers" in memory or "at most" in memory


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=str)
async def test_the_error_that_hides_what_fits_below_tcp_mem_is_named_with_its_size(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-8n", "established")).run_test(size=size) as pilot:
        lines = pane_lines(await wait_for_app(pilot), LimitsPane)
    [tcp_mem] = [line for line in lines if line.startswith("tcp_mem")]
    assert re.search(r"counter ± 8\.0 MiB +–", tcp_mem)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_beside_an_earlier_average_the_caches_have_the_age_of_slabinfo(size: tuple[int, int]) -> None:
    """Slabinfo was read with the sample before, after which half of the sockets were closed."""
    async with tree_app(tree("6.18-1n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        together = sample(16_000, 16_000, 10.0)
        slabinfo, counts = together.slabinfo._replace(every_s=1.0), together.slab_counts._replace(every_s=1.0)
        together = together._replace(slabinfo=slabinfo, slab_counts=counts)
        await feed(pilot, together)
        assert " old" not in pane_title(app, CachesPane)
        fewer = sample(8_000, 16_000, 11.0)
        await feed(pilot, fewer._replace(slabinfo=slabinfo, slab_counts=counts))
        assert "earlier average" in screen_text(app)
        assert re.search(r"1 s older than (the )?sockets", pane_title(app, CachesPane)), "the rows are of other sockets"


@pytest.mark.parametrize(
    ("every_s", "age_s", "text"),
    [
        (1.0, 0.1, ""),
        (1.0, 1.1, ""),
        (1.0, 2.1, "2 s old"),
        (1.4, 1.0, ""),
        (1.4, 2.0, "2 s old"),
        (5.0, 2.0, "≤ 5 s old"),
        (5.0, 9.0, "9 s old"),
    ],
)
def test_the_age_of_a_source_is_named_from_one_and_a_half_intervals_on(every_s: float, age_s: float, text: str) -> None:
    assert SourceHealth("slabinfo", "ok", None, age_s, 900, every_s).staleness(1.0) == text


@pytest.mark.parametrize("node", [None, "0"])
async def test_the_rate_of_a_cache_is_over_five_seconds(node: str | None) -> None:
    """The sockets open between two samples that are a second apart, and not in the last second of a step."""
    phases = ["base"] * 6 + ["established"] * 10
    async with tree_app(tree("6.1-4n", "base")).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        if node is not None:
            await pilot.press(node)
        rates = []
        for taken in sample_phases("6.1-4n", phases, every_s=1.0):
            await feed(pilot, taken)
            table = parse_cache_table(pane_lines(app, CachesPane))
            rates.append(table["TCP"].get("Δ/s"))
        before, after = (slabinfo_rows(tree("6.1-4n", phase))["TCP"] for phase in ("base", "established"))
        if node is None:
            assert units.short_signed_count((after[0] - before[0]) / 5) in rates
        assert any(rate and rate.startswith("+") for rate in rates), rates


async def test_the_change_of_sockets_names_its_period() -> None:
    async with tree_app(tree("6.1-4n", "base")).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        for taken in sample_phases("6.1-4n", ["base"] * 4 + ["established"] * 2, every_s=5.0):
            await feed(pilot, taken)
        assert any(re.search(r" sockets +\+\S+/s over \d+ s", line) for line in pane_lines(app, TcpPane)), pane_lines(
            app, TcpPane
        )


async def test_no_rate_and_no_average_is_made_of_two_moments() -> None:
    """A burst of sockets after slabinfo was read, on a machine that was quiet for some complete steps."""
    async with tree_app(tree("6.1-4n")).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        for number in range(4):
            await feed(pilot, sample(20, 20, 10.0 + 5 * number))
        quiet = pane_lines(app, TcpPane)
        assert quiet[0].endswith("steady")
        assert quiet[1].endswith(" ±0/s") or "±0/s over" in quiet[1]
        last = sample(20, 20, 26.0)
        assert last.sockstat.value is not None
        later = last.sockstat.value._replace(allocated=16_000)
        await feed(
            pilot,
            last._replace(
                monotonic_s=29.0,
                taken_at_unix_s=1_000_029.0,
                sockstat=last.sockstat._replace(value=later, taken_at_s=29.0),
            ),
        )
        lines = pane_lines(app, TcpPane)
        assert "steady" not in lines[0]
        assert "16 000 sockets" in lines[1]
        assert "±0/s" not in lines[1]
        assert "≈" in "".join(lines[:3])
        assert "average from" not in screen_text(app)
