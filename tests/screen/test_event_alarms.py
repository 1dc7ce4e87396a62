"""The head line names events that grew for a minute: live, in a recording by its clock, and after going back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from drive import (
    ScriptedHost,
    host_app,
    pane_lines,
    replay_app,
    screen_text,
    tree,
    wait_for_app,
    wait_for_replay,
    wait_until,
)
from test_words import unknown_words

from tcptop.recording.recorder import Recorder
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.settings.file import Settings
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.limits_pane import LimitsPane

NETSTAT = "proc/net/netstat"


def netstat(**counters: int) -> bytes:
    """A file with these counters."""
    return f"TcpExt: {' '.join(counters)}\nTcpExt: {' '.join(map(str, counters.values()))}\n".encode()


STORY = ((0, 5), (20, 5), (40, 17), (60, 17), (90, 20), (99, 20), (101, 20), (149, 20), (151, 20), (4000, 20))
"""Time of each sample in seconds, and the value of ListenOverflows."""
SHOWN = (None, None, 12, 12, 15, 15, 3, 3, None, None)
"""The growth that each sample names: 12 seen at second 40, 3 at second 90."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A recording of STORY."""
    return recorded_story(tmp_path / "story.tcptop", STORY)


def recorded_story(path: Path, story: Sequence[tuple[float, int | None]]) -> Path:
    """A recording of ListenOverflows at these seconds; None for a damaged file."""
    clock = [100.0]
    host = ScriptedHost(tree("6.1-4n"), live=True)
    recorder = Recorder(str(path))
    sampler = Sampler(
        host,
        kernel_sources(),
        monotonic=lambda: clock[0],
        unix_time=lambda: 1_795_348_800.4 + clock[0],
        on_read=recorder.add_read,
    )
    for second, overflows in story:
        clock[0] = 100.0 + second
        host.texts[NETSTAT] = b"x\n" if overflows is None else netstat(ListenOverflows=overflows, ListenDrops=5)
        read_due(sampler)
        recorder.write(sampler.snapshot())
    recorder.close()
    return path


def named_growth(line: str) -> int | None:
    """The growth of ListenOverflows in a head line, beside the limit that it is the event of; None without it."""
    found = re.search(r"! DROPS accept queues \+(\d+)", line)
    assert found or "accept queues" not in line
    assert "Listen" not in line, "the growth is named once"
    return int(found[1]) if found else None


@pytest.mark.slow
async def test_a_recording_names_a_growth_for_a_minute_by_its_own_clock(file: Path) -> None:
    async with replay_app(file).run_test(size=(120, 40)) as pilot:
        app = await wait_for_replay(pilot)
        forwards = []
        for _ in STORY:
            forwards.append(named_growth(pane_lines(app, HeadLine)[0]))
            await pilot.press("t")
            await wait_for_replay(pilot)
        assert tuple(forwards) == SHOWN
        backwards = []
        for _ in STORY:
            backwards.append(named_growth(pane_lines(app, HeadLine)[0]))
            await pilot.press("T")
            await wait_for_replay(pilot)
        assert tuple(backwards[::-1]) == SHOWN


@pytest.mark.slow
async def test_a_jump_names_what_grew_in_the_minute_before(file: Path) -> None:
    async with replay_app(file).run_test(size=(120, 40)) as pilot:
        app = await wait_for_replay(pilot)
        for key, growth in ((">", None), ("<", None)):
            await pilot.press(key)
            await wait_for_replay(pilot)
            assert named_growth(pane_lines(app, HeadLine)[0]) == growth
        await pilot.press("j", *"+90s", "enter")
        await wait_for_replay(pilot)
        assert named_growth(pane_lines(app, HeadLine)[0]) == 15


@pytest.mark.parametrize(
    ("story", "jump", "growth"),
    [
        (((0, 100), (10, 5), (20, 130)), "+20s", 125),
        (((0, 100), (10, 5), (20, 130)), "+10s", None),
        (((0, 0), (10, None), (20, 0), (40, 0), (60, 500), (70, 500)), "+70s", 500),
        (((0, 0), (10, None), (20, 7), (75, 7)), "+75s", 7),
        (((0, None), (10, None), (20, 3), (40, None), (75, 9)), "+75s", 6),
    ],
)
async def test_a_jump_counts_from_a_reset_and_over_damaged_samples(
    story: Sequence[tuple[float, int | None]], jump: str, growth: int | None, tmp_path: Path
) -> None:
    path = recorded_story(tmp_path / "story.tcptop", story)
    async with replay_app(path).run_test(size=(120, 40)) as pilot:
        app = await wait_for_replay(pilot)
        await pilot.press("j", *jump, "enter")
        await wait_for_replay(pilot)
        assert named_growth(pane_lines(app, HeadLine)[0]) == growth


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_live_growth_is_named_after_the_alarms_of_limits(
    size: tuple[int, int], ascii_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    host = ScriptedHost(tree("6.1-4n"), live=True)
    host.texts[NETSTAT] = netstat(ListenOverflows=5, ListenDrops=9, RcvPruned=1)
    app = host_app(host, 0.1, Settings(ascii=ascii_only))
    async with app.run_test(size=size) as pilot:
        await wait_until(pilot, lambda: "live" in pane_lines(app, HeadLine)[0], "the first sample is drawn")
        assert "!" not in pane_lines(app, HeadLine)[0]
        host.texts[NETSTAT] = netstat(ListenOverflows=17, ListenDrops=22, RcvPruned=3)
        await wait_until(pilot, lambda: "accept queues" in pane_lines(app, HeadLine)[0], "the growth is named")
        line = screen_text(app).splitlines()[0]
        assert "! DROPS accept queues +12  ! RcvPruned +2" in line
        assert "Listen" not in line, "one fault is named once"
        assert line.startswith(" tcptop  established")
        assert "live" in line
        assert line.isascii() or not ascii_only
        await pilot.press("k")
        host.texts[NETSTAT] = netstat(ListenOverflows=20, ListenDrops=22, RcvPruned=3)
        await wait_until(pilot, lambda: "accept queues +15" in pane_lines(app, HeadLine)[0], "it grows further")
        app.action_explain("events")
        await pilot.pause()
        rows = [line.split() for line in screen_text(app).splitlines()]
        [row] = [row for row in rows if row[1:2] == ["ListenOverflows"] and "accept" in row]
        assert "SINCE MARK" in screen_text(app)
        assert row[1:4] == ["ListenOverflows", "20", "+3"]
    host.close()


@pytest.mark.parametrize(
    ("grown", "expected"),
    [
        ({"ListenDrops": 9}, "! ListenDrops +9"),
        ({"ListenOverflows": 4, "ListenDrops": 9, "TCPReqQFullDrop": 5}, "accept queues +4  ! TCPReqQFullDrop +5"),
        ({"TCPAbortOnMemory": 3}, "! TCPAbortOnMemory +3"),
    ],
)
async def test_a_growth_that_no_limit_beside_it_names_keeps_its_counter(grown: dict[str, int], expected: str) -> None:
    host = ScriptedHost(tree("6.1-4n"), live=True)
    host.texts[NETSTAT] = netstat(**dict.fromkeys(grown, 1))
    app = host_app(host, 0.1)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(pilot, lambda: "live" in pane_lines(app, HeadLine)[0], "the first sample is drawn")
        host.texts[NETSTAT] = netstat(**{name: 1 + number for name, number in grown.items()})
        await wait_until(pilot, lambda: "!" in pane_lines(app, HeadLine)[0], "the growth is named")
        assert expected in pane_lines(app, HeadLine)[0]
    host.close()


@pytest.mark.parametrize("place", [None, "ssh:web-17"])
async def test_the_drops_of_a_queue_name_their_time_and_the_key_only_where_it_works(place: str | None) -> None:
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=place)
    host.texts[NETSTAT] = netstat(ListenOverflows=5, ListenDrops=5)
    async with host_app(host, 0.1).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        await wait_until(pilot, lambda: "live" in pane_lines(app, HeadLine)[0], "the first sample is drawn")
        host.texts[NETSTAT] = netstat(ListenOverflows=161, ListenDrops=161)
        await wait_until(pilot, lambda: "156 dropped" in screen_text(app), "the drops are counted")
        shown = screen_text(app)
        assert "156 dropped within a minute" in shown or "156 dropped in 1 min" in shown
        assert place is None or "W shows which" not in shown
        app.action_explain("headroom")
        await pilot.pause()
        page = screen_text(app)
        assert "156 dropped within a minute by a full queue" in " ".join(page.split())
        assert ("W shows which" in page) is (place is None)
        assert not unknown_words(page)
    host.close()


@pytest.mark.parametrize("columns", [40, 50, 60, 80])
async def test_the_growth_of_dropped_handshakes_leaves_room_for_the_machine(columns: int) -> None:
    host = ScriptedHost(tree("6.1-4n"), live=True)
    host.texts[NETSTAT] = netstat(ListenOverflows=5, ListenDrops=5)
    app = host_app(host, 0.1)
    async with app.run_test(size=(columns, 20)) as pilot:
        await wait_until(pilot, lambda: "live" in pane_lines(app, HeadLine)[0], "the first sample is drawn")
        host.texts[NETSTAT] = netstat(ListenOverflows=63, ListenDrops=63)
        await wait_until(pilot, lambda: "!" in pane_lines(app, HeadLine)[0], "the growth is named")
        line = pane_lines(app, HeadLine)[0]
        assert named_growth(line) == 58
        assert "established" in line or columns < 60
    host.close()


@pytest.mark.parametrize("columns", [40, 50, 60, 70])
async def test_a_narrow_head_line_counts_the_events_that_it_does_not_name(columns: int) -> None:
    host = ScriptedHost(tree("6.1-4n"), live=True)
    host.texts[NETSTAT] = netstat(TCPAbortOnMemory=1, TCPOFODrop=1, TCPRcvQDrop=1)
    app = host_app(host, 0.1)
    async with app.run_test(size=(columns, 20)) as pilot:
        await wait_until(pilot, lambda: "live" in pane_lines(app, HeadLine)[0], "the first sample is drawn")
        host.texts[NETSTAT] = netstat(TCPAbortOnMemory=2, TCPOFODrop=3, TCPRcvQDrop=4)
        await wait_until(pilot, lambda: "!" in pane_lines(app, HeadLine)[0], "the growth is named")
        line = pane_lines(app, HeadLine)[0]
        assert "! TCPAbortOnMemory +1" in line
        more = re.search(r", \+(\d) (?:other )?events?", line)
        named = [name for name in ("TCPOFODrop +2", "TCPRcvQDrop +3") if name in line]
        assert len(named) + (int(more[1]) if more else 0) == 2
    host.close()


@pytest.mark.parametrize("dropped", [0, 590])
async def test_connections_that_accept_queues_have_dropped_stand_beside_the_queues(dropped: int) -> None:
    """Drops of a time before the screen began gave no alarm, so that nothing on it showed them."""
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)
    host.texts[NETSTAT] = netstat(ListenOverflows=dropped, ListenDrops=dropped + 3)
    async with host_app(host).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await wait_until(pilot, lambda: app._ledger is not None, "the first sample of a running kernel is drawn")
        last = pane_lines(app, LimitsPane)[-1]
        assert f"nofile, queues{' (590 dropped so far)' if dropped else ''}, ports   not looked at" in last
