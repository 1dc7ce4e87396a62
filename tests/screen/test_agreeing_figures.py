"""The screen while sockets change faster than slabinfo is read, and the error of the bytes since the mark."""

from __future__ import annotations

import pytest
from drive import feed, pane_lines, sample_tree, screen_text, tree, tree_app, wait_for_app

from tcptop.accounting import account
from tcptop.ledger import GrowthSinceMark
from tcptop.snapshot import Snapshot
from tcptop.text.line import text_of
from tcptop.widgets.figure_pane import FigurePane
from tcptop.widgets.limits_pane import since_mark_line
from tcptop.widgets.tcp_pane import total_texts


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
        assert any("now, " in line and " idle" in line for line in after), "half of the sockets have closed"
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


def test_a_total_near_its_lower_bound_is_the_lower_bound() -> None:
    """If the range is 50 to 94 MiB, the text `≈ 50` would wrongly suggest that the memory is hardly larger."""
    ledger = account(sample_tree(tree("6.1-4n", "halfclosed")))
    low, high = 50 << 20, 94 << 20
    for likely, shown in ((51 << 20, "≥50"), (70 << 20, "≈70"), (93 << 20, "≈93")):
        memory = ledger.tcp_memory._replace(bytes=likely, low_bytes=low, high_bytes=high, missing=())
        assert total_texts(ledger._replace(tcp_memory=memory)) == (shown, "MiB")
    narrow = ledger.tcp_memory._replace(bytes=50 << 20, low_bytes=50 << 20, high_bytes=52 << 20, missing=())
    assert total_texts(ledger._replace(tcp_memory=narrow)) == ("≈50", "MiB")
