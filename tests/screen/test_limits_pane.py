"""Limits pane: bars, states, the order of the limits over time, TIME_WAIT accounting, the mark and scrolling."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import forked_program
import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    feed,
    host_app,
    open_host,
    pane_lines,
    pane_title,
    sample_phases,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
    wait_until,
)
from made_look import group, listen, look_text, net, process, table_of, tree_with_look
from recorded import copy_recording, ledger, write_buffers
from recorded import snapshot as recorded_sample

from tcptop.accounting import account
from tcptop.accounting.events import event_totals
from tcptop.explanation.headroom_page import headroom_page
from tcptop.explanation.limit_texts import alarm_texts, alarm_variants, headroom_sentences
from tcptop.ledger import Ledger, Limits
from tcptop.settings.file import Settings
from tcptop.snapshot import Reading, Slabinfo, Snapshot
from tcptop.sock_diag import SOCKETS_PATH
from tcptop.text.line import text_of
from tcptop.view import View
from tcptop.widgets.head_line import head_line
from tcptop.widgets.limits_pane import EIGHTHS, TRACK, LimitsPane, limit_lines, shown_limits, unlooked_line
from tcptop.widgets.tcp_pane import TcpPane

SIZES = [(40, 5), (40, 12), (60, 20), (80, 24), (120, 40), (160, 50), (200, 60)]
FILE_MAX, FLOW_MAX = 200_000, 262_144
BAR = re.compile(rf"[█{EIGHTHS}{TRACK}]+")


def with_use(snapshot: Snapshot, files: float, flows: float | None) -> Snapshot:
    """The sample with these shares of file-max and of nf_conntrack_max in use, whose cache is not known."""
    limits = snapshot.socket_limits.value
    assert limits is not None
    limits = limits._replace(
        open_files=round(files * FILE_MAX),
        max_open_files=FILE_MAX,
        conntrack_entries=None if flows is None else round(flows * FLOW_MAX),
        max_conntrack_entries=FLOW_MAX,
    )
    slabinfo = snapshot.slabinfo.value
    assert slabinfo is not None
    rows = tuple(row for row in slabinfo.rows if row.name not in ("filp", "cred_jar"))
    return snapshot._replace(
        socket_limits=snapshot.socket_limits._replace(value=limits),
        slabinfo=snapshot.slabinfo._replace(value=Slabinfo(rows)),
    )


async def first_names(pilot: AppPilot, uses: Sequence[tuple[float, float]], every_s: float) -> list[str]:
    """The first line of the pane after each sample, without its figures."""
    found: list[str] = []
    for snapshot, (files, flows) in zip(
        sample_phases("6.1-4n", ["established"] * len(uses), every_s), uses, strict=True
    ):
        await feed(pilot, with_use(snapshot, files, flows))
        found.append(BAR.split(pane_lines(pilot.app, LimitsPane)[0])[0].strip())
    return found


@pytest.mark.slow
async def test_a_limit_comes_first_after_it_has_been_the_nearest_for_ten_seconds() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        uses = [(0.6, 0.5), *[(0.6, 0.7)] * 7]
        app.query_one(LimitsPane).focus()
        await pilot.press("enter", "escape")  # the first page reads the tree again, for its struct layouts
        assert await first_names(pilot, uses[:-2], every_s=2) == ["file-max"] * 6
        await pilot.press("enter")
        await pilot.pause()
        page = re.findall(r"(file-max|conntrack) +ok ", screen_text(app))
        assert page == ["file-max", "conntrack"], "the page has the order of the pane"
        await pilot.press("escape")
        assert (await first_names(pilot, uses, every_s=2))[-2:] == ["conntrack"] * 2


async def test_an_alarm_comes_first_at_once() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        uses = [(0.9, 0.5), (0.9, 0.96)]
        assert await first_names(pilot, uses, every_s=1) == ["! NEAR file-max", "! CRITICAL conntrack"]
        assert pane_lines(app, LimitsPane)[1].startswith("! NEAR file-max")


@pytest.mark.parametrize("size", SIZES[2:], ids=str)
@pytest.mark.parametrize(
    ("share", "percent"),
    [(0.0, "0 %"), (0.0015, "0.1 %"), (0.5, "50 %"), (0.95, "95 %"), (1.0, "100 %"), (1.2, "120 %")],
)
async def test_a_bar_is_as_long_as_the_use_of_its_own_limit(size: tuple[int, int], share: float, percent: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        [snapshot] = sample_phases("6.1-4n", ["established"])
        await feed(pilot, with_use(snapshot, 0.99, share))
        app.query_one(LimitsPane).focus()
        await pilot.press("home")
        lines = pane_lines(app, LimitsPane)
        for _ in range(20):
            if any("conntrack" in line for line in lines):
                break
            await pilot.press("down")
            lines = pane_lines(app, LimitsPane)
        [line] = [line for line in lines if "conntrack" in line]
        found = BAR.search(line)
        assert found is not None
        bar = found[0]
        eighths = 8 * bar.count("█") + sum(EIGHTHS.find(cell) + 1 for cell in bar)
        exact = 8 * len(bar) * min(share, 1.0)
        assert eighths == (int(exact + 0.01) or (1 if share else 0))
        assert BAR.split(line)[1].startswith(f"{percent:>{8}}")


async def test_the_bar_of_an_upper_bound_is_as_long_as_the_bound(tmp_path: Path) -> None:
    """Each of 4 CPUs may have 32 files that file-nr does not count; the use of tcp_mem has no error."""
    root = copy_recording("6.1-1n", "established", tmp_path)
    (root / "proc/sys/fs/file-nr").write_text("64\t0\t9600\n")
    (root / "proc/sys/fs/file-max").write_text("9600\n")
    async with host_app(open_host(root)).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, LimitsPane) if line.startswith("file-max")]
        assert re.match(rf"file-max +▎{TRACK}+ +≤ 2 % +≤ 192 of 9 600 ", line)
    async with tree_app(tree("6.1-1n")).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, LimitsPane) if line.startswith("tcp_mem")]
        assert re.match(rf"tcp_mem +{TRACK}+ +0 % +0 B of 309.5 MiB +.*counter ± 4.0 MiB +– ", line)


async def test_unknown_limits_have_no_bar_and_no_number(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for name in ("proc/sys/fs/file-nr", "proc/meminfo"):
        (root / name).unlink()
    app = host_app(open_host(root))
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        lines = {line.split()[0]: line for line in pane_lines(app, LimitsPane) if "not looked at" not in line}
        for name in ("file-max", "memory"):
            assert name in lines, "a limit that is not known is shown"
            assert not BAR.search(lines[name])
            assert not re.search(r"\b0\b", lines[name]), "unknown is not 0"
            assert "–" in lines[name]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)], ids=str)
async def test_the_title_says_why_no_headroom_is_known(size: tuple[int, int], tmp_path: Path) -> None:
    """The test reads as a user without root, because only root may read slabinfo."""
    root = copy_recording("6.18-1n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    shutil.rmtree(root / "sys/kernel/slab")
    app = host_app(open_host(root))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert pane_title(app, LimitsPane).endswith("the bytes of one more socket are not known")


async def test_the_share_of_tcp_mem_is_exact_and_is_one_figure_in_both_panes() -> None:
    async with tree_app(tree("6.18-1n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        assert any(re.match(rf"tcp_mem +▏{TRACK}+ +<0.1 % ", line) for line in pane_lines(app, LimitsPane))
    async with tree_app(tree("6.18-1n")).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        assert any(re.match(r"buffers .* \(<0.1 %\)$", line) for line in pane_lines(app, TcpPane))


async def test_a_flow_table_that_fills_has_its_time_in_its_line() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        # 100 flows a second; after the last sample, 84 000 more fit.
        count = 61
        for number, snapshot in enumerate(sample_phases("6.1-4n", ["established"] * count, every_s=5)):
            await feed(pilot, with_use(snapshot, 0.1, (FLOW_MAX - 84_000 - 500 * (count - 1 - number)) / FLOW_MAX))
        lines = pane_lines(app, LimitsPane)
        assert re.match(r"conntrack +█\S+ +67 %  in about 14 min +84 000$", lines[0])
        assert not any("in about" in line for line in lines[1:])


async def test_in_time_wait_accounting_mini_sockets_are_counted_and_named() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        assert pane_title(app, LimitsPane).endswith("FITS MORE")
        sockets = {line.split()[0]: line for line in pane_lines(app, LimitsPane) if "not looked at" not in line}
        await pilot.press("m")
        assert "more mini-sockets fit" in pane_title(app, LimitsPane)
        assert pane_title(app, LimitsPane).endswith("FITS MORE")
        minis = {line.split()[0]: line for line in pane_lines(app, LimitsPane) if "not looked at" not in line}
        assert re.search(r" \d[\d ]+$", sockets["file-max"])
        assert re.search(" a mini-socket is no orphan +stops none$", minis["orphans"])
        assert re.search(" a mini-socket has no file +–$", minis["file-max"])
        assert re.search(r" \d[\d ]+$", minis["TIME_WAIT"])
        assert sockets["TIME_WAIT"].endswith(" stops none")
        for lines, last_with_a_number in ((sockets, "file-max"), (minis, "memory")):
            numbers = [line.endswith((" –", " stops none")) for line in lines.values()]
            assert numbers == sorted(numbers), "limits that stop no new socket come last"
            with_number = [name for name, line in lines.items() if not line.endswith((" –", " stops none"))]
            assert with_number[-1] == last_with_a_number


async def test_the_nearest_limit_is_the_one_that_the_title_calls_the_first() -> None:
    """Memory has the larger used share, but fewer files are free."""
    async with tree_app(tree("6.1-4n")).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        [snapshot] = sample_phases("6.1-4n", ["established"])
        await feed(pilot, with_use(snapshot, 0.0, 0.0))
        lines = pane_lines(app, LimitsPane)
        assert [line.split()[0] for line in lines[:2]] == ["file-max", "memory"]
        assert " ≤ 0.2 % " in lines[0]
        assert " 6.6 % " in lines[1]
        assert "200 000 more sockets fit, file-max first" in pane_title(app, LimitsPane)


async def test_the_number_of_orphans_stands_in_the_note_and_not_among_those_of_sockets() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(160, 50)) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, LimitsPane) if line.startswith("orphans")]
        assert re.search(r" 0 % +0 of 262 144  65 500 more orphans +stops none$", line)
        app.query_one(LimitsPane).focus()
        await pilot.press("enter")
        await pilot.pause()
        page = screen_text(app)
        assert re.search(r"orphans +ok +0 +262 144 +0 +25/50 +stops none  machine", page)
        assert "65 536 more orphans" in page


@pytest.mark.parametrize(
    ("files", "row"),
    [(0.802, "NEAR file-max █.* 80 %  near from 80 % "), (0.96, "CRITICAL .* 96 %  critical from 95 % ")],
)
async def test_the_row_of_an_alarm_says_from_which_use_it_is_one(files: float, row: str) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        [snapshot] = sample_phases("6.1-4n", ["established"])
        await feed(pilot, with_use(snapshot, files, 0.0))
        assert re.match(f"! {row}", pane_lines(app, LimitsPane)[0])
        app.query_one(LimitsPane).focus()
        await pilot.press("enter")
        await pilot.pause()
        assert re.search(r"alarms at 80/95|ALARMS AT", screen_text(app))


async def test_an_alarm_that_its_use_no_longer_explains_says_when_it_ends() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        app.feed.keeps_states = True  # type: ignore[misc]
        for snapshot, files in zip(sample_phases("6.1-4n", ["established"] * 2, every_s=1), (0.81, 0.77), strict=True):
            await feed(pilot, with_use(snapshot, files, 0.0))
        assert re.match("! NEAR file-max .* 77 %  near until below 75 % ", pane_lines(app, LimitsPane)[0])


async def test_a_use_below_a_threshold_is_not_rounded_up_to_it() -> None:
    """Of 200 000 files, 189 900 are 94.95 %."""
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        [snapshot] = sample_phases("6.1-4n", ["established"])
        await feed(pilot, with_use(snapshot, 0.9495, 0.0))
        assert re.match(r"! NEAR file-max .* 94 % ", pane_lines(app, LimitsPane)[0])


@pytest.mark.parametrize("size", SIZES[2:], ids=str)
@pytest.mark.parametrize("kernel", ["6.1-1n", "6.18-1n", "6.1-4n"])
async def test_a_number_of_sockets_stands_in_full_and_once(size: tuple[int, int], kernel: str) -> None:
    async with tree_app(tree(kernel)).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, LimitsPane) if line.startswith("memory")]
        numbers = re.findall(r"\d{1,3}(?: \d{3})+", BAR.split(line)[1].partition("GiB  ")[2] or line)
        assert 1 <= len(numbers) == len(set(numbers)) <= 2
        assert not re.search(r"\d[kM]", line)
        texts = ("without data", "average buffers", "at most ")
        assert any(text in line for text in texts) or size[0] < 80


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_growth_since_the_mark_is_visible_at_every_size(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n", "base")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        before, after = sample_phases("6.1-4n", ["base", "established"])
        await feed(pilot, before)
        await pilot.press("k")
        await feed(pilot, after)
        lines = pane_lines(app, LimitsPane)
        assert "+16 000" in lines[0]
        assert re.search(r"3 786 ± \d+ B each", lines[0])
        assert lines[0] in screen_text(app)
        if size[1] >= 20:
            assert lines[1].startswith("memory"), "the limits stay below"


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("ascii_only", [False, True])
async def test_each_size_names_the_nearest_limit_and_how_many_more_fit(size: tuple[int, int], ascii_only: bool) -> None:
    app = host_app(open_host(tree("6.1-1n")), settings=Settings(ascii=ascii_only))
    async with app.run_test(size=size) as pilot:
        await wait_for_app(pilot)
        text = screen_text(app)
        assert re.search(r"873 000 more (sockets|fit)", text)
        assert re.search(r"(?m)^memory +(\S* +)?7\.5 % ", text)
        pane = app.query_one(LimitsPane).region
        assert "".join(text.splitlines()[pane.y : pane.bottom]).isascii() == ascii_only


async def test_the_pane_scrolls_and_enter_opens_the_page() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        app.query_one(LimitsPane).focus()
        await pilot.press("down")
        assert " ─ 2–3 of 5" in pane_title(app, LimitsPane)
        await pilot.press("end")
        assert " ─ 4–5 of 5" in pane_title(app, LimitsPane)
        *_, last, not_looked_at = pane_lines(app, LimitsPane)
        assert last.startswith("TIME_WAIT")
        assert "not looked at, may come first" in not_looked_at
        await pilot.press("m")
        await pilot.pause()
        assert "not looked at" not in screen_text(app), (
            "a mini-socket has no file, no place in a queue, asks for no port"
        )
        await pilot.press("m", "end")
        await pilot.pause()
        for key in ("enter", "i"):
            await pilot.press(key)
            await pilot.pause()
            assert "Limits, and headroom for more sockets" in screen_text(app)
            await pilot.press("escape")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_limits_that_only_a_dump_would_show_are_on_the_page_alone(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert app._ledger is not None
        names = ["ports", "nofile", "accept queues"]
        drawn = [text_of(line) for line in limit_lines(app._ledger, "full", size[0], {})]
        assert not [line for line in drawn if line.startswith(tuple(names))]
        page = " ".join(" ".join(map(text_of, headroom_page(app._ledger, 120))).split())
        for name in names:
            told = rf"{name} .{{0,140}}only a look at the sockets tells \(this saved tree has no list of them"
            assert re.search(told, page), name


async def test_a_listen_queue_that_overflows_is_in_the_pane() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        assert app._ledger is not None
        limits = app._ledger.limits["full"]
        rows = tuple(row._replace(state="near") if row.name == "listen_queues" else row for row in limits.rows)
        ledger = app._ledger._replace(limits={"full": Limits(rows)})
        assert [limit.name for limit in shown_limits(ledger, "full")][-1] == "listen_queues"


async def test_if_no_limit_is_known_all_are_shown(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    async with tree_app(tmp_path).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        assert app._ledger is not None
        assert shown_limits(app._ledger, "full") == app._ledger.limits["full"].rows


async def test_what_the_headroom_assumes_stands_beside_its_number(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").write_text("TCP: inuse 16001 orphan 0 tw 0 alloc 16001 mem 0\n")
    write_buffers(root, 100_000)
    async with tree_app(root).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        [line] = [line for line in pane_lines(app, LimitsPane) if "tcp_mem " in line]
        assert "average buffers" in line
        app.query_one(LimitsPane).focus()
        await pilot.press("enter")
        await pilot.pause()
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "more sockets fit, tcp_mem first of known limits; memory for " in text
        assert "; half client side, average buffers." in text
        assert re.search(r"B of slab, if half of them are client side( \([^)]*\))? and [≈≤≥ \d]+ B of average", text)
        assert "Average buffers: the kernel counts ≈ 25 598 B per socket, which tcp_mem limits;" in text
    async with tree_app(tree("6.1-4n")).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        assert "average buffers" not in screen_text(app)


@pytest.mark.parametrize("size", [(40, 12), (76, 12), (100, 12)], ids=str)
async def test_a_number_beside_the_name_of_a_limit_is_the_headroom_of_that_limit(size: tuple[int, int]) -> None:
    """The used share of file-max is smaller, but file-max is reached first."""
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        [snapshot] = sample_phases("6.1-4n", ["established"])
        await feed(pilot, with_use(snapshot, 0.93, 0.94))
        line = pane_lines(app, LimitsPane)[0]
        assert re.match(
            r"! NEAR conntrack .*9[34] %  15 700 more (fit|sockets fit; file-max first(: ≈ 13 700)?)$", line
        )
        assert ("file-max first" in line) == (size[0] > 40)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("kernel", ["6.1-1n", "6.1-4n", "6.1-8n"])
async def test_the_title_has_the_number_with_its_buffers_and_the_numbers_have_a_heading(kernel: str) -> None:
    numbers: set[str] = set()
    for size in SIZES[2:]:
        async with tree_app(tree(kernel)).run_test(size=size) as pilot:
            app = await wait_for_app(pilot)
            title = pane_title(app, LimitsPane)
            assert title.endswith(("─ FITS MORE", "  FITS MORE"))
            assert re.search("fewest (fit )?first|first of known|Known limits", title) or size[0] < 80
            [part] = [re.split(" ──|  FITS", part)[0] for part in title.split(" ─ ") if re.search(r"\d more", part)]
            assert " more sockets" in part or size[0] < 80
            assert part.endswith(("without data", "average buffers")) == (size[0] >= 80)
            numbers.add(part.partition(" more")[0])
    assert len(numbers) == 1


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
@pytest.mark.parametrize(
    ("kernel", "phase", "counted"),
    [("6.12-4n", "halfclosed", "average buffers"), ("6.1-8n", "established", "without data")],
)
async def test_the_title_says_what_its_number_counts_for_buffers(
    kernel: str, phase: str, counted: str, size: tuple[int, int]
) -> None:
    async with tree_app(tree(kernel, phase)).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        title = pane_title(app, LimitsPane)
        assert re.search(rf"\d more.*{counted}", title), title


@pytest.mark.parametrize("size", [(width, 40) for width in (58, 70, 80, 100, 110, 120, 160)], ids=str)
async def test_a_number_of_known_limits_alone_is_called_so_in_every_title(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        [snapshot] = sample_phases("6.1-4n", ["established"])
        limits = snapshot.socket_limits.value
        assert limits is not None
        # Most figures of memory are unknown, and the first limit is one of seven digits, with a sign.
        await feed(
            pilot,
            snapshot._replace(
                socket_limits=snapshot.socket_limits._replace(
                    value=limits._replace(open_files=0, max_open_files=9_000_000)
                )
            ),
        )
        title = pane_title(app, LimitsPane)
        assert re.search(r"\d more (sockets|without data|.*buffers)|\d more, .* buffers", title)
        assert re.search("[Kk]nown", title), title


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)], ids=str)
async def test_the_last_line_says_which_limits_no_look_has_told(size: tuple[int, int]) -> None:
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)
    host.texts[SOCKETS_PATH] = look_text(net(alloc=4_000), listen(), process(10, limit=100), group("whole:10")).encode()
    async with host_app(host).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await wait_until(pilot, lambda: app._ledger is not None, "the first sample of a running kernel is drawn")
        pane = app.query_one(LimitsPane)
        assert app._ledger is not None
        rows = [
            f"{start}nofile, queues, ports   not looked at{end}: W"
            for start in ("file-max not known; ", "")
            for end in (", may come first", "")
        ]
        row = next(each for each in rows if len(each) <= pane.size.width)
        assert pane_lines(app, LimitsPane)[-1].rstrip() == row
        assert unlooked_line(app._ledger, "full", pane.size.width)[0][1] == "text"
        pane.focus()
        await pilot.press("down", "down", "down")
        assert pane_lines(app, LimitsPane)[-1].rstrip() == row
        late = app._ledger._replace(host=app._ledger.host._replace(place="ssh:b"))
        assert "".join(text for text, _ in unlooked_line(late, "full", 60)).endswith("not looked at: tcptop who there")
        await pilot.press("W")
        await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
        await pilot.press("escape")
        await pilot.pause()
        assert "not looked at" not in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_after_a_look_of_a_plain_user_what_it_did_not_see_may_come_first(size: tuple[int, int]) -> None:
    """No process of another user was read, so that none of them has a row, however full it is."""
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)
    text = look_text(net(alloc=4_000), group("unseen", 20), processes="110\t100")
    host.texts[SOCKETS_PATH] = text.encode()
    async with host_app(host).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("W")
        await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
        await pilot.press("escape")
        await pilot.pause()
        last = pane_lines(app, LimitsPane)[-1].rstrip()
        assert re.fullmatch(
            r"(file-max not known; )?nofile, queues   not all seen(, (others )?may come first)?; W says why", last
        )


def test_a_report_of_a_look_of_a_plain_user_says_that_not_all_were_seen(tmp_path: Path) -> None:
    text = look_text(net(alloc=4_000), group("unseen", 20), processes="110\t100")
    report = forked_program.run("-o", "--root", tree_with_look(tmp_path, text)).stdout
    head = " ".join(report.split("\n\n")[0].split())
    assert "nofile and accept queues: not all were seen, others may come first; root sees those of all users" in head


def test_where_queues_have_dropped_only_their_sizes_are_not_looked_at() -> None:
    found = ledger("6.1-4n", "established")
    rows = [each._replace(is_by_event=each.name == "listen_queues") for each in found.limits["full"].rows]
    found = found._replace(live=True, limits={**found.limits, "full": Limits(tuple(rows))})
    line = "".join(text for text, _ in unlooked_line(found, "full", 100))
    assert line.startswith("nofile, sizes of queues, ports   not looked at")


def ledger_of_look(*lines: str, age_s: float = 0.0, overflows: int = 0) -> Ledger:
    """The ledger of a look that is `age_s` seconds old, with a growth of the counter of listen overflows."""
    whole = recorded_sample("6.1-4n", "established")
    reading: Reading[Any] = Reading("ok", table_of(*lines), None, whole.monotonic_s - age_s, 12, 5.0, None, None)
    totals = event_totals(whole)
    minute_ago = {**totals, "ListenOverflows": (totals["ListenOverflows"] or 0) - overflows}
    return account(whole._replace(socket_table=reading, live=True), minute_ago=minute_ago)


NEARLY_FULL = (net(alloc=4_000), process(10, descriptors=94, limit=100), group("whole:10"))


def drawn(found: Ledger, columns: int) -> list[str]:
    return [text_of(line) for line in limit_lines(found, "full", columns, {})]


@pytest.mark.parametrize("columns", [60, 66, 80, 120, 200])
def test_a_row_of_a_look_has_its_age_and_is_no_alarm_after_a_minute(columns: int) -> None:
    for age_s, is_alarm in ((5.0, True), (30.0, True), (61.0, False), (154.0, False)):
        found = ledger_of_look(*NEARLY_FULL, age_s=age_s)
        [row] = [line for line in drawn(found, columns) if "nofile" in line]
        assert row.startswith("! NEAR") is is_alarm
        assert ("look" in row) is (age_s > 10)
        if age_s > 10:
            assert f"look {age_s // 10 * 10:.0f} s old" in row
        roles = {role for line in limit_lines(found, "full", columns, {}) for _, role in line}
        assert ("warning" in roles) is is_alarm
        alarms = [limit.name for limit in found.limits["full"].alarms]
        assert ("nofile" in alarms) is is_alarm


def test_a_queue_that_dropped_lately_drops_and_is_not_near_its_limit() -> None:
    found = ledger_of_look(net(alloc=4_000), listen(queue=0, limit=128), group("whole:10"), overflows=790)
    row = next(line for line in drawn(found, 100) if "queues" in line)
    assert row.startswith("! DROPS accept queues")
    assert "790 dropped" in row
    growing = [event for event in found.events if event.grown]
    assert [event.name for event in growing] == ["ListenOverflows"]
    assert text_of(alarm_variants(found.limits["full"].alarms, growing)[0]) == "! DROPS accept queues +790"


def test_full_queues_have_their_drops_beside_them_once_and_an_old_look_is_no_age_of_a_counter() -> None:
    full, empty = ((net(alloc=4_000), listen(queue=queue, limit=128, drops=7), group("whole:10")) for queue in (129, 0))
    found = ledger_of_look(*full, age_s=30.0, overflows=790)
    growing = [event for event in found.events if event.grown]
    variants = [text_of(line) for line in alarm_variants(found.limits["full"].alarms, growing)]
    assert variants[0] == "! FULL accept queues 100 %, +790 dropped  30 s ago"
    assert "! FULL accept queues +790" in variants
    assert not any("ListenOverflows" in text for text in variants)
    assert alarm_texts(found.limits["full"]) == ["FULL accept queues +790"]
    by_counter = ledger_of_look(*empty, age_s=30.0, overflows=790).limits["full"].alarms
    assert text_of(alarm_variants(by_counter, growing)[0]) == "! DROPS accept queues +790"


@pytest.mark.parametrize("columns", [66, 120])
def test_a_full_queue_names_its_port_and_process_and_how_many_more_are_full(columns: int) -> None:
    queues = [listen(port, queue=129, limit=128, drops=7, pid=10) for port in (8080, 8081)]
    found = ledger_of_look(net(alloc=4_000), *queues, process(10, "myproxy"), group("whole:10"))
    row = next(line for line in drawn(found, columns) if "queues" in line)
    assert ":8080 myproxy[10], +1" in row


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_a_limit_that_stops_no_socket_says_so_in_place_of_a_number(columns: int) -> None:
    lines = [text_of(line) for line in limit_lines(ledger("6.1-8n", "established"), "full", columns, {})]
    [time_wait] = [line for line in lines if line.startswith("TIME_WAIT")]
    assert time_wait.rstrip().endswith("stops none") or " stops none " in time_wait
    [memory] = [line for line in lines if line.startswith("memory")]
    assert "stops none" not in memory


@pytest.mark.parametrize("columns", [66, 80, 120, 200])
def test_a_full_limit_of_one_process_fits_no_more_and_has_its_name(columns: int) -> None:
    look = (
        net(alloc=4_000),
        process(10, "stuckapp", descriptors=100, limit=100),
        group("whole:10"),
        listen(8080, 65, 64, 3, 10),
    )
    found = ledger_of_look(*look)
    for name in ("nofile", "accept queues"):
        [row] = [line for line in drawn(found, columns) if f"! FULL {name}" in line]
        assert "stuckapp" in row or columns < 80
        assert re.search(r" 0( |$)", row)
    minis = [text_of(line) for line in limit_lines(found, "time_wait", columns, {})]
    assert not any("critical from" in line for line in minis if "TIME_WAIT" in line)
    assert "FULL" in headroom_sentences(found)[0]
    assert "FULL" not in headroom_sentences(found, "time_wait")[0], "a mini-socket has no file and no accept queue"


def test_the_alarms_of_a_look_that_is_not_fresh_have_its_age() -> None:
    for age_s in (5.0, 30.0):
        limits = ledger_of_look(*NEARLY_FULL, age_s=age_s).limits["full"].alarms
        assert ("  30 s ago" in text_of(alarm_variants(limits, [])[0])) is (age_s == 30.0)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
@pytest.mark.parametrize(("left", "fits"), [(4_000_000, "633 000 to 1 460 000"), (900_000, "633 000 to 900 000")])
async def test_the_title_has_the_low_end_of_what_fits_and_the_limit_that_is_not_visible(
    size: tuple[int, int], left: int, fits: str, tmp_path: Path
) -> None:
    root = copy_recording("6.12-4n", "halfclosed", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").unlink()
    (root / "proc/sys/fs/file-nr").write_text(f"8192\t0\t{left + 8192}\n")
    async with tree_app(root).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        title, lines = pane_title(app, LimitsPane), pane_lines(app, LimitsPane)
        assert re.search(
            rf"(?:Known limits|Limits without tcp_mem) ─.* up to {fits.partition(' to ')[2]} more", title
        ), title
        assert re.match(r"memory .* (633 000 to 1 460 000|at most 1 460 000 +≥ 633 000)$", lines[0].rstrip()), lines[0]


OTHER = 4026532300


@pytest.mark.parametrize("columns", [66, 80, 120, 200])
def test_what_is_left_in_one_process_stands_among_what_fits(columns: int) -> None:
    found = ledger_of_look(net(alloc=4_000), process(10, "web", descriptors=956, limit=1_000), group("whole:10"))
    [row] = [line for line in drawn(found, columns) if "CRITICAL nofile" in line]
    assert re.search(r" 44 left( |$)", row)
    assert row.count(" left") == 1
    page = [text_of(line) for line in headroom_page(found, columns)]
    assert any(re.search(r"nofile +CRITICAL .* 44 left", line) for line in page) or columns < 80


@pytest.mark.parametrize(("namespace", "is_other"), [(OTHER, True), (4026531840, False), (None, False)])
def test_a_full_process_of_another_network_namespace_is_called_so(namespace: int | None, is_other: bool) -> None:
    found = ledger_of_look(
        *(net(alloc=4_000), net(OTHER, False)),
        process(10, "web", descriptors=96, limit=100, namespace=namespace),
        group("whole:10", namespace=namespace or OTHER),
    )
    limits = found.limits["full"]
    [row] = [line for line in drawn(found, 80) if "nofile" in line]
    texts = [row, text_of(alarm_variants(limits.alarms, ())[0])]
    assert found.holders is not None
    texts += [verdict.text for verdict in found.holders.verdicts if verdict.kind == "nofile"]
    assert len(texts) == 3
    assert [" (other netns)" in text for text in texts] == [is_other] * 3
    queue = ledger_of_look(
        *(net(alloc=4_000), net(OTHER, False)),
        listen(8080, 65, 64, 3, 10, namespace=namespace or 4026531840),
        *(process(10, "web"), group("whole:10")),
    )
    [row] = [line for line in drawn(queue, 80) if "accept queues" in line]
    assert ("(other netns)" in row) is is_other


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
async def test_a_nearly_full_time_wait_stands_in_sight_and_is_no_alarm(size: tuple[int, int], tmp_path: Path) -> None:
    """It comes below the limit that stops sockets first, and has no colour of an alarm."""
    root = copy_recording("6.1-4n", "timewait", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("8192\n")
    async with tree_app(root).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        assert pane_lines(app, LimitsPane)[1].startswith("TIME_WAIT ")
        assert "alarm" not in pane_title(app, LimitsPane)
        assert "without data" in pane_title(app, LimitsPane)


async def test_what_the_number_counts_for_buffers_is_worth_more_than_alarms_below() -> None:
    figures = ledger("6.1-8n", "established")
    names = ("memory", "file_max", "tcp_max_orphans", "tcp_mem")
    rows = [row._replace(state="near") if row.name in names else row for row in figures.limits["full"].rows]
    rows.sort(key=lambda row: row.name not in names)
    figures = figures._replace(limits={**figures.limits, "full": Limits(tuple(rows))})
    async with tree_app(tree("6.1-8n")).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        pane = app.query_one(LimitsPane)
        pane.lines(figures, app.view.choices, 80, 3)
        title = pane.edge_titles(figures, app.view.choices)[0]
        assert "without data" in title


@pytest.mark.parametrize("columns", [64, 80, 100, 160])
@pytest.mark.parametrize(("kernel", "phase"), [("6.1-8n", "established"), ("6.12-4n", "halfclosed")])
def test_what_fits_in_memory_says_what_it_counts_for_buffers(kernel: str, phase: str, columns: int) -> None:
    lines = [text_of(line) for line in limit_lines(ledger(kernel, phase), "full", columns, {})]
    [memory] = [line for line in lines if line.startswith("memory ")]
    assert re.search("without data|average buffers|at most", memory)


@pytest.mark.parametrize(
    ("left", "text"), [(0, "TIME_WAIT full, +45 skipped"), (100, "TIME_WAIT limit 98 %, +45 skipped")]
)
def test_skipped_time_wait_is_no_alarm_and_has_one_wording(left: int, text: str) -> None:
    whole = recorded_sample("6.1-4n", "timewait")
    assert whole.socket_limits.value is not None
    used = ledger("6.1-4n", "timewait").sockets.time_wait or 0
    limits = whole.socket_limits.value._replace(max_time_wait=used + left)
    whole = whole._replace(socket_limits=whole.socket_limits._replace(value=limits))
    totals = event_totals(whole)
    minute_ago = {**totals, "TCPTimeWaitOverflow": (totals["TCPTimeWaitOverflow"] or 0) - 45}
    found = account(whole, minute_ago=minute_ago)
    for columns in (80, 120):
        head = head_line(found, View(), columns)
        assert text in text_of(head)
        assert "!" not in text_of(head)
        row = limit_lines(found, "full", columns, {})[1]
        assert text_of(row).startswith("TIME_WAIT ")
        assert "+45 skipped" in text_of(row)
        assert not {role for _, role in (*head, *row)} & {"warning", "critical", "critical-bar"}
    [event] = [event for event in found.events if event.name == "TCPTimeWaitOverflow"]
    assert not event.is_alarm


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)], ids=str)
async def test_an_accept_queue_near_its_limit_stands_above_limits_that_stop_no_socket(
    size: tuple[int, int], tmp_path: Path
) -> None:
    root = tree_with_look(
        tmp_path / "a", look_text(net(), listen(6060, 96, 100, 0, 10), process(10, "server"), group("whole:10"))
    )
    async with tree_app(root).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("W")
        await pilot.pause()
        remark = "server[10] :6060 accept queue 96 of 100"
        assert [line.strip() for line in screen_text(app).splitlines() if remark in line] == [remark]
        await pilot.press("escape")
        await pilot.pause()
        lines = pane_lines(app, LimitsPane)
        [queue] = [at for at, line in enumerate(lines) if re.match(r"accept queues.* 96 %", line)]
        assert not any("stops none" in line or "–" in line for line in lines[:queue])
        assert "! " not in lines[queue]
        app.query_one(LimitsPane).focus()
        for _ in range(12):
            assert sum(line.startswith("accept queues") for line in pane_lines(app, LimitsPane)) == 1
            await pilot.press("down")
