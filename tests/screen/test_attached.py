"""Key E: the average per connection with and without epoll items, tracked flows and buffers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from drive import host_app, open_host, screen_text
from recorded import copy_recording, ledger_of

from tcptop.text.line import text_of
from tcptop.widgets.figure_pane import figure_lines

KERNEL = "6.1-4n-nomerge"


@pytest.fixture
def watched(tmp_path: Path) -> Path:
    """A machine on which every socket is in an epoll set, and every second one has a tracked flow."""
    root = copy_recording(KERNEL, "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    lines = [line for line in slabinfo.read_text().splitlines() if not re.match("e(p_head|ventpoll)", line)]
    for name, active, size, per_slab in (
        ("ep_head", 16_128, 16, 256),
        ("eventpoll_epi", 16_128, 128, 32),
        ("eventpoll_pwq", 16_128, 64, 64),
        ("nf_conntrack", 8_000, 256, 16),
    ):
        slabs = active // per_slab
        counts = f"{name} {active} {active} {size} {per_slab} 1 : tunables 0 0 0 : slabdata {slabs} {slabs} 0"
        lines.append(counts)
        folder = root / "sys/kernel/slab" / name
        if folder.exists():
            (folder / "slabs").write_text(f"{slabs} N0={slabs}\n")
            (folder / "total_objects").write_text(f"{active} N0={active}\n")
    slabinfo.write_text("\n".join(lines) + "\n")
    (root / "proc/net/tls_stat").write_text("TlsCurrTxSw 0\nTlsCurrRxSw 0\nTlsCurrTxDevice 0\nTlsCurrRxDevice 0\n")
    (root / "proc/sys/fs/file-nr").write_text("16200\t0\t9000000\n")
    return root


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_e_adds_attached_objects_and_takes_them_away(watched: Path, size: tuple[int, int]) -> None:
    of = ledger_of(watched)
    assert of.attached.now_bytes is not None
    app = host_app(open_host(watched))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        without = screen_text(app)
        assert "open sockets + attached" not in without
        has_edge = size[0] >= 120
        assert bool(re.search(r"also: epoll ≈\d{3}|E adds more", without)) == has_edge
        await pilot.press("E")
        await pilot.pause()
        with_them = screen_text(app)
        assert "open sockets + attached" in with_them
        assert re.search(r"epoll \d{3}", with_them), "a part of the bar"
        assert re.search(r"conntrack \d{3}", with_them) or not has_edge
        await pilot.press("e", "e")
        await pilot.pause()
        assert "open sockets + attached" in screen_text(app), "e sorts, and changes no figure"
        await pilot.press("E")
        await pilot.pause()
        assert screen_text(app) == without


def test_the_figure_is_the_sum(watched: Path) -> None:
    """A pane too low for large digits shows the figure as text."""
    of = ledger_of(watched)
    now = of.attached.now_bytes
    assert now is not None
    [line] = figure_lines(of.costs["full"], 60, 1, attached=of.attached)
    assert text_of(line).startswith(f"≈ {round(now.low):,} B".replace(",", " "))


async def test_e_adds_nothing_without_an_average(watched: Path) -> None:
    sockstat = watched / "proc/net/sockstat"
    sockstat.write_text(re.sub(r"alloc \d+", "alloc 30", re.sub(r"inuse \d+", "inuse 30", sockstat.read_text())))
    app = host_app(open_host(watched))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        without = screen_text(app)
        await pilot.press("E")
        await pilot.pause()
        assert screen_text(app) == without
