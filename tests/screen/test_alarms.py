"""Alarms of limits in the head line: a word and a sign, at every size, without colour and in ASCII."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from drive import host_app, open_host, pane_lines, pane_title, screen_text, tree_app, wait_for_app
from recorded import copy_recording, ledger_of, write_buffers, write_tree
from textual.geometry import Region

from tcptop.ledger import AccountingMode, Limits, Threshold
from tcptop.screen.app import TcptopApp
from tcptop.screen.saved_feed import SavedFeed
from tcptop.settings.file import Settings
from tcptop.text.line import text_of
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.view.player import Player
from tcptop.widgets.cell_width import line_width
from tcptop.widgets.head_line import HeadLine, head_line
from tcptop.widgets.limits_pane import LimitsPane
from tcptop.widgets.tcp_pane import TcpPane

LABELS = {"nf_conntrack_max": "conntrack", "tcp_max_orphans": "orphans", "tcp_mem": "tcp_mem"}


@pytest.fixture
def alarming(tmp_path: Path) -> Path:
    """A machine whose conntrack table is nearly full, with TCP under memory pressure, and too many orphans."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    system = root / "proc/sys/net"
    (system / "netfilter").mkdir(parents=True, exist_ok=True)
    (system / "netfilter/nf_conntrack_max").write_text("262144\n")
    (system / "netfilter/nf_conntrack_count").write_text("249100\n")
    (system / "ipv4/tcp_max_orphans").write_text("64\n")
    sockstat = root / "proc/net/sockstat"
    sockstat.write_text(re.sub(r"orphan \d+", "orphan 60", sockstat.read_text()))
    write_buffers(root, 100_000)
    protocols = root / "proc/net/protocols"
    protocols.write_text(re.sub(r"(?m)^(TCP +\d+ +\d+ +\d+ +)no ", r"\1yes", protocols.read_text()))
    return root


async def head_of(root: Path, size: tuple[int, int], settings: Settings) -> str:
    app = host_app(open_host(root), settings=settings)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        return screen_text(app).splitlines()[0]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_three_alarms_are_named_with_their_states(
    alarming: Path, size: tuple[int, int], ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    line = await head_of(alarming, size, Settings(ascii=ascii_only))
    assert re.search(r"! CRITICAL conntrack( 95 %)?, orphans( 93 %)?  ! PRESSURE tcp_mem", line)
    assert " saved" in line
    assert line.isascii() or not ascii_only


@pytest.mark.parametrize("columns", [40, 50, 60, 70])
async def test_a_narrow_head_line_shortens_names_before_it_drops_an_alarm(alarming: Path, columns: int) -> None:
    line = await head_of(alarming, (columns, 20), Settings())
    named = [label for label in LABELS.values() if label in line]
    more = re.search(r"\(\+(\d) alarms?\)|, \+(\d) (?:other )?event", line)
    assert "! CRITICAL " in line
    assert named
    assert len(named) + (int(more[1] or more[2]) if more else 0) == 3


async def test_no_alarm_without_cause(tmp_path: Path) -> None:
    line = await head_of(copy_recording("6.1-4n", "established", tmp_path), (120, 40), Settings())
    assert "!" not in line


async def test_thresholds_of_the_settings_decide(alarming: Path) -> None:
    limits = {"nf_conntrack_max": Threshold(96, 99), "tcp_max_orphans": Threshold(50, 95)}
    line = await head_of(alarming, (120, 40), Settings(limits=limits))
    assert "conntrack" not in line
    assert "! NEAR orphans 93 %" in line
    assert "CRITICAL" not in line


async def test_a_memory_cgroup_that_the_user_named(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    files = {"max": "100000000\n", "current": "98000000\n", "stat": "active_file 0\ninactive_file 500000\n"}
    write_tree(root, {f"sys/fs/cgroup/web.slice/memory.{name}": content for name, content in files.items()})
    app = TcptopApp(SavedFeed(open_host(root), cgroup="web.slice"), Settings())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "! CRITICAL memory_cgroup 97 %" in screen_text(app).splitlines()[0]


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_lines_of_alarming_limits_begin_with_the_sign_and_the_word(
    alarming: Path, size: tuple[int, int], ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = host_app(open_host(alarming), settings=Settings(ascii=ascii_only))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        text = screen_text(app)
    for line in ("CRITICAL orphans 93", "PRESSURE tcp_mem 72", "CRITICAL conntrack 95"):
        name, percent = line.rsplit(" ", 1)
        assert re.search(rf"(?m)^! {name} +\S+ +([≈~] )?{percent} % ", text), line


async def lines_of(root: Path, size: tuple[int, int], pane: type[LimitsPane] | type[TcpPane]) -> list[str]:
    app = host_app(open_host(root))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        return [pane_title(app, pane), *pane_lines(app, pane)]


@pytest.mark.parametrize("size", [(60, 40), (80, 24), (80, 40), (100, 40), (120, 40), (160, 50), (200, 60)])
async def test_a_charge_above_the_total_says_how_much_of_it_is_memory(alarming: Path, size: tuple[int, int]) -> None:
    """100 000 pages are charged, but the machine's used memory leaves less room."""
    [line] = [line for line in await lines_of(alarming, size, TcpPane) if re.search("390.6 MiB|391 ?M|buffers", line)]
    assert re.search(r"≤ \d+\.\d MiB of it with data|with data ≤ \d+(\.\d+)?( MiB|M)", line)
    assert not re.search(r"with data \S+ \S+ of \d", line), "the charge is no limit of what holds data"
    assert size != (80, 24) or not re.search(r"\d[KMG]\b", line), "one kind of unit in the pane"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_orphans_say_what_the_kernel_does_with_them_now(alarming: Path, size: tuple[int, int]) -> None:
    [line] = [line for line in await lines_of(alarming, size, LimitsPane) if "CRITICAL orphans" in line]
    assert re.search(r" 93 %.* resets( silent orphans)? (from|≥) ?50 % ", line)
    assert "critical from" not in line


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 40), (160, 50), (200, 60)])
async def test_the_note_of_pressure_is_one_statement_cut_at_its_end(alarming: Path, size: tuple[int, int]) -> None:
    for line in await lines_of(alarming, size, LimitsPane):
        if "PRESSURE" in line:
            note = re.split(r"\d %  ", re.sub(r"(?<=%) +\S+ \S+ of .*?  ", "  ", line))[1]
            assert re.match(r"(windows shrink|\d| +)", note), note


async def test_alarms_below_the_last_line_are_counted_in_the_title(alarming: Path) -> None:
    title, *lines = await lines_of(alarming, (60, 20), LimitsPane)
    assert [line[0] for line in lines] == ["!", "!"]
    assert "+1 more alarm ─" in title
    assert "more alarm" not in (await lines_of(alarming, (80, 24), LimitsPane))[0]


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_headroom_is_that_of_the_known_limits(size: tuple[int, int], tmp_path: Path) -> None:
    """Without a dump, the number of files of a process and the number of ports used for a peer are unknown."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    title = (await lines_of(root, size, LimitsPane))[0]
    assert re.search(r"1 540 000 more sockets", title)
    assert "known" in title.lower()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_full_time_wait_limit_says_that_it_stops_no_new_socket(size: tuple[int, int], tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "timewait", tmp_path)
    for maximum, row_text, head_text in (
        (8192, "192 more mini-sockets", "TIME_WAIT limit 97 %"),
        (7000, "full, no alarm", "TIME_WAIT full, no alarm"),
    ):
        (root / "proc/sys/net/ipv4/tcp_max_tw_buckets").write_text(f"{maximum}\n")
        [line] = [line for line in (await lines_of(root, size, LimitsPane))[1:] if "TIME_WAIT" in line]
        assert line.startswith("TIME_WAIT ")
        assert row_text in line
        assert len(re.findall("stops", line)) == 1
        assert re.search(r"stops none\b", line)
        head = await head_of(root, size, Settings())
        assert head_text in head
        assert "!" not in head
    async with tree_app(root).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("m")
        await pilot.pause()
        title = pane_title(app, LimitsPane)
        assert "TIME_WAIT full, no alarm" in title
        assert "fit" not in title


async def test_beside_the_limit_of_time_wait_the_accounting_has_its_key(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "timewait", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("8192\n")
    async with tree_app(root).run_test(size=(120, 40)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("m")
        await pilot.pause()
        assert re.search(r"TIME_WAIT( limit)? 97 %.* m: TIME_WAIT · ", screen_text(app).splitlines()[0])


async def test_full_is_said_only_where_nothing_more_fits(alarming: Path) -> None:
    for flows, words in ((262_143, "! CRITICAL conntrack 99 %"), (262_144, "! FULL conntrack 100 %")):
        (alarming / "proc/sys/net/netfilter/nf_conntrack_count").write_text(f"{flows}\n")
        assert words in await head_of(alarming, (160, 50), Settings())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_total_names_a_part_that_it_is_without(size: tuple[int, int], tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    text = "\n".join(await lines_of(root, size, TcpPane))
    assert re.search(r"without LSM socket blob(, .*)? \+\d", text)
    assert "parts are not known" not in text


@pytest.mark.parametrize("mode", ["full", "time_wait"])
def test_a_recording_keeps_its_time_and_position_before_the_name(alarming: Path, mode: AccountingMode) -> None:
    """At 80 columns, beside an alarm and a long name; the mode is never left out."""
    ledger = ledger_of(alarming)
    ledger = ledger._replace(
        host=ledger.host._replace(name="ip-10-0-12-34.eu-west-1.compute.internal"),
        taken_at_unix_s=1_700_000_000.0,
        limits={name: Limits(limits.rows[:1]) for name, limits in ledger.limits.items()},
    )
    view = View(choices=Choices(mode=mode), player=Player([0.0, 1.0, 2.0]))
    line = text_of(head_line(ledger, view, 80))
    assert line.startswith(" ip-10-0-12-… ")
    assert re.search(r"\d\d:\d\d:\d\d · paused at 1 of 3", line)
    assert ("TIME_WAIT ·" in line) is (mode == "time_wait")


@pytest.mark.parametrize("columns", [80, 100, 120])
async def test_a_wide_head_line_with_alarms_begins_with_the_name(alarming: Path, columns: int) -> None:
    line = await head_of(alarming, (columns, 24), Settings())
    assert re.match(rf" (?:tcptop  )?{re.escape(alarming.name)}\b", line)


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_a_critical_alarm_of_the_head_line_stands_on_the_colour_of_the_screen(alarming: Path, theme: str) -> None:
    """The head line's own colour is grey with 16 colours, and grey text on red would not be legible."""
    (alarming / "proc/sys/net/netfilter/nf_conntrack_count").write_text("262144\n")
    async with host_app(open_host(alarming), settings=Settings(theme=theme)).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        styles = [
            next(
                segment.style
                for strip in pane.render_lines(Region(0, 0, 80, pane.outer_size.height))
                for segment in strip
                if "FULL" in segment.text
            )
            for pane in (app.query_one(HeadLine), app.query_one(LimitsPane))
        ]
        of_head, of_limits = ((each.reverse, each.color, each.bgcolor) if each else None for each in styles)
        assert of_head is not None
        assert of_head[0]
        assert of_head == of_limits


@pytest.mark.parametrize("is_recording", [False, True])
def test_a_mark_takes_no_word_of_an_alarm_and_none_of_the_place_in_a_recording(
    alarming: Path, is_recording: bool
) -> None:
    ledger = ledger_of(alarming)
    view = View(player=Player([1.0 * second for second in range(45)]) if is_recording else None)
    shown = 0
    for columns in (40, 57, 60, 72, 80, 90, 100, 120, 140, 160, 200):
        plain = head_line(ledger, view, columns)
        marked = head_line(ledger, replace(view, mark=ledger), columns)
        assert [text for text, role in marked if role in ("warning", "critical")] == [
            text for text, role in plain if role in ("warning", "critical")
        ]
        assert marked[-2] == plain[-2]
        assert line_width(marked) == columns
        shown += "k ends it" in text_of(marked)
    assert shown > 1
