"""Tests of `w` on the live screen, and of looking back into its recording."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    host_app,
    pane_lines,
    screen_text,
    snmp_of_few_sockets,
    tree,
    tree_app,
    wait_for_app,
    wait_until,
)

from tcptop.recording.opening import open_recording
from tcptop.sampling import live_sampler
from tcptop.screen import live_recording
from tcptop.screen.app import TcptopApp
from tcptop.screen.live_feed import LiveFeed
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.tcp_pane import TcpPane
from tcptop.widgets.timeline_pane import POSITION_MARK, TimelinePane

SOCKSTAT = "proc/net/sockstat"
SIZE = (160, 40)
NAMED = {"/": "slash", ".": "full_stop"}


def sockstat(count: int) -> bytes:
    """sockstat as net/ipv4/proc.c prints it, with a count of allocated sockets."""
    return f"sockets: used 20\nTCP: inuse 5 orphan 0 tw 0 alloc {count} mem 0\n".encode()


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recorded file. Tests type its short relative name `rec`, because every key press takes time."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "rec"


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    made = ScriptedHost(tree("6.1-4n"), live=True)
    made.texts["proc/net/snmp"] = snmp_of_few_sockets(tree("6.1-4n"))
    yield made
    made.close()


@asynccontextmanager
async def running(host: ScriptedHost) -> AsyncIterator[tuple[TcptopApp, AppPilot]]:
    app = host_app(host, 0.1)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(
            pilot,
            lambda: app._ledger is not None and app._ledger.sources["slabinfo"].state == "ok",
            "a sample with slabinfo is drawn",
        )
        yield app, pilot


def head(app: TcptopApp) -> str:
    return pane_lines(app, HeadLine)[0]


def allocated(app: TcptopApp) -> int:
    """The number of sockets; in TIME_WAIT accounting, this number has a line of its own."""
    text = "\n".join(pane_lines(app, TcpPane))
    found = re.search(r"(\d+) sockets?\b|^sockets +(\d+)", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1] or found[2])


async def change_sockets(pilot: AppPilot, host: ScriptedHost, app: TcptopApp, count: int) -> None:
    host.texts[SOCKSTAT] = sockstat(count)
    await wait_until(pilot, lambda: allocated(app) == count, f"{count} sockets")


async def begin_recording(pilot: AppPilot, app: TcptopApp) -> None:
    await pilot.press("w", *"rec", "enter")
    await wait_until(pilot, lambda: "recording" in head(app), "the recording has begun")

    def has_sample() -> bool:
        assert isinstance(app.feed, LiveFeed)
        return app.feed._recording is not None and app.feed._recording.recorder.samples > 0

    await wait_until(pilot, has_sample, "the first sample is in the file")


async def test_w_records_what_is_shown_until_it_is_pressed_again(
    host: ScriptedHost, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first recorded sample must wait for every source, also on a loaded machine.
    monkeypatch.setattr(live_sampler, "PATIENCE_S", 60.0)
    async with running(host) as (app, pilot):
        await change_sockets(pilot, host, app, 700)
        await begin_recording(pilot, app)
        assert "recording rec" in head(app)
        for count in (701, 702, 703):
            await change_sockets(pilot, host, app, count)
        await pilot.press("w")
        await wait_until(pilot, lambda: "recorded into" in screen_text(app), "the recording has ended")
        assert "recording" not in head(app)
        await change_sockets(pilot, host, app, 704)
    recording = open_recording(str(file))
    counts = [recording.largest_counts(range(index, index + 1)).allocated for index in range(len(recording))]
    first, last = recording.snapshot(0), recording.snapshot(len(recording) - 1)
    recording.close()
    assert [count for at, count in enumerate(counts) if not at or counts[at - 1] != count] == [700, 701, 702, 703]
    # Files that are read only once are recorded too, although they were read before the recording began.
    for snapshot in (first, last):
        assert snapshot.sysctls.value is not None
        assert snapshot.zoneinfo.value is not None
        assert snapshot.slabinfo.value is not None


@pytest.mark.slow
async def test_looking_back_and_live_again(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        await begin_recording(pilot, app)
        for count in (701, 702, 703):
            await change_sockets(pilot, host, app, count)
        await pilot.press("T")
        await wait_until(pilot, lambda: "recorded · " in head(app), "an earlier sample is shown")
        before = allocated(app)
        await wait_until(pilot, lambda: POSITION_MARK in pane_lines(app, TimelinePane)[0], "the timeline is drawn")
        assert pane_lines(app, KeyLine)[0].startswith(" t T step  j jump  Z live")
        await pilot.press("j", *"+0.0001", "enter")
        await wait_until(pilot, lambda: " · 1 of " in head(app), "the first sample is shown")
        assert allocated(app) < before or before == 701
        host.texts[SOCKSTAT] = sockstat(799)
        await pilot.press("t")
        await wait_until(pilot, lambda: " · 2 of " in head(app), "the second sample is shown")
        assert allocated(app) < 799, "a new sample is not shown while looking back"
        await pilot.press("Z")
        assert "live 0.1 s · recording" in head(app)
        await wait_until(pilot, lambda: allocated(app) == 799, "the live sample is shown")
        await wait_until(pilot, lambda: not app.query_one(TimelinePane).display, "the timeline is hidden")


async def test_step_after_the_newest_sample_returns_to_live(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        await begin_recording(pilot, app)
        await change_sockets(pilot, host, app, 701)
        await pilot.press("w")
        await wait_until(pilot, lambda: "recorded into" in screen_text(app), "the recording has ended")
        await pilot.press("T")
        await wait_until(pilot, lambda: "recorded · " in head(app), "the finished recording is shown")
        await pilot.press("t")
        await wait_until(pilot, lambda: "live 0.1 s" in head(app), "the step after the newest sample returns to live")


@pytest.mark.parametrize("key", ["T", "t", "j"])
async def test_looking_back_without_a_recording(host: ScriptedHost, key: str) -> None:
    async with running(host) as (app, pilot):
        await pilot.press(key)
        await wait_until(
            pilot, lambda: "nothing is recorded yet; w records into a file" in screen_text(app), "the message is shown"
        )
        assert "live 0.1 s" in head(app)


async def test_capital_z_resumes_after_a_pause(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        await pilot.press("z")
        assert "paused" in head(app)
        await pilot.press("Z")
        assert "live 0.1 s" in head(app)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
    ("name", "message"),
    [("no/rec", "No such file or directory"), ("text", "not a recording"), (".", "Is a directory")],
)
async def test_file_that_cannot_be_recorded_to(host: ScriptedHost, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "text").write_text("not mine\n" * 40)
    async with running(host) as (app, pilot):
        await pilot.press("w", *[NAMED.get(each, each) for each in name], "enter")
        await wait_until(pilot, lambda: message in screen_text(app), "the message is shown")
        assert "recording" not in head(app)
        await change_sockets(pilot, host, app, 701)
    assert (tmp_path / "text").read_text() == "not mine\n" * 40


async def test_write_error_ends_the_recording(host: ScriptedHost, tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "rec"
    async with running(host) as (app, pilot):
        await begin_recording(pilot, app)
        await change_sockets(pilot, host, app, 701)
        with sqlite3.connect(file, timeout=30) as other:
            other.execute("DROP TABLE record")
        other.close()
        await wait_until(pilot, lambda: "recording ended" in screen_text(app), "the message is shown")
        assert "recording" not in head(app)
        await change_sockets(pilot, host, app, 702)


async def test_hung_disk_delays_no_key(host: ScriptedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_recording, "MOST_WAITING", 3)
    free = threading.Event()
    async with running(host) as (app, pilot):
        await begin_recording(pilot, app)
        assert isinstance(app.feed, LiveFeed)
        app.feed._disk.submit(lambda: free.wait(60))
        await pilot.press("T")  # the step also reads from the disk
        await pilot.press("m")
        assert "TIME_WAIT" in head(app)
        await wait_until(pilot, lambda: "the disk has not taken" in screen_text(app), "the message is shown")
        assert "recording" not in head(app)
        await change_sockets(pilot, host, app, 705)
        free.set()
        await wait_until(pilot, lambda: "recorded · " in head(app), "the samples recorded before are shown")


async def test_a_saved_tree_has_nothing_to_record() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=SIZE, notifications=True) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("w")
        await wait_until(pilot, lambda: "nothing to record" in screen_text(app), "the message is shown")
