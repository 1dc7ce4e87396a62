"""Tests of the app on a live host: files change between samples, files are refused, and reads hang."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    Notices,
    ScriptedHost,
    host_app,
    pane_lines,
    pane_title,
    parse_cache_table,
    screen_text,
    slabinfo_rows,
    snmp_of_few_sockets,
    tree,
    wait_until,
)
from textual.events import Key

from tcptop.ledger import Ledger
from tcptop.sampling import live_sampler
from tcptop.screen.app import TcptopApp
from tcptop.screen.live_feed import INTERVALS_S, LiveFeed
from tcptop.widgets.buddy_pane import BuddyPane
from tcptop.widgets.caches_pane import CachesPane
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.tcp_pane import TcpPane

SOCKSTAT = "proc/net/sockstat"
LARGE = (200, 70)


def sockstat(count: int) -> bytes:
    """sockstat with a count of allocated sockets."""
    return f"sockets: used 20\nTCP: inuse 5 orphan 0 tw 0 alloc {count} mem 0\n".encode()


@pytest.fixture
def host() -> Iterator[ScriptedHost]:
    made = ScriptedHost(tree("6.1-4n"), live=True)
    made.texts["proc/net/snmp"] = snmp_of_few_sockets(tree("6.1-4n"))
    yield made
    made.close()


@asynccontextmanager
async def running(
    host: ScriptedHost, every_s: float = 0.1, notices: Notices | None = None
) -> AsyncIterator[tuple[TcptopApp, AppPilot]]:
    """The app, after slabinfo has been drawn. If the app does not end within 60 seconds, the test fails."""
    hook = None if notices is None else notices.collect
    app = host_app(host, every_s)
    test = asyncio.current_task()
    assert test is not None
    async with app.run_test(size=LARGE, notifications=True, message_hook=hook) as pilot:
        await wait_until(pilot, lambda: app._ledger is not None, "the first sample")
        await wait_until(pilot, lambda: ledger(app).sources["slabinfo"].state == "ok", "slabinfo is read")
        yield app, pilot
        guard = asyncio.get_running_loop().call_later(60, test.cancel)
    guard.cancel()


def ledger(app: TcptopApp) -> Ledger:
    assert app._ledger is not None
    return app._ledger


def allocated(app: TcptopApp) -> str:
    """The line of the machine's sockets."""
    return next(line for line in pane_lines(app, TcpPane) if " socket" in f" {line}")


async def test_new_samples_are_drawn(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        assert "live 0.1 s" in pane_lines(app, HeadLine)[0]
        for count in (777, 1234, 0):
            host.texts[SOCKSTAT] = sockstat(count)
            text = f"{count:,}".replace(",", " ")
            await wait_until(pilot, lambda text=text: f" {text} " in allocated(app), f"{count} sockets")  # type: ignore[misc]


async def test_rates_are_shown(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        await pilot.press("equals_sign")
        row = "TCP"
        active = slabinfo_rows(tree("6.1-4n"))[row][0]
        slabinfo = (tree("6.1-4n") / "proc/slabinfo").read_text()
        line = next(line for line in slabinfo.splitlines() if line.startswith("TCP "))
        signs: set[str] = set()
        step = 0

        def changes() -> bool:
            nonlocal step
            step += 1
            fewer = line.replace(f" {active} ", f" {active - step} ", 1)
            host.texts["proc/slabinfo"] = slabinfo.replace(line, fewer).encode()
            signs.add(parse_cache_table(pane_lines(app, CachesPane))[row]["Δ/s"][:1])
            return "-" in signs

        # The column is left out until there are two readings.
        await wait_until(pilot, lambda: "Δ/s" in parse_cache_table(pane_lines(app, CachesPane))[row], "rates are shown")
        assert parse_cache_table(pane_lines(app, CachesPane))[row]["Δ/s"] in ("–", "0")
        await wait_until(pilot, changes, "a negative rate")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("path", ["proc/buddyinfo", "proc/slabinfo", SOCKSTAT, "proc/zoneinfo"])
async def test_hung_source_is_marked_late(host: ScriptedHost, path: str) -> None:
    """The last value of the hung source stays, other sources are read, keys work, and quitting does not wait."""
    name = Path(path).name
    async with running(host) as (app, pilot):
        host.hanging.add(path)
        await pilot.press("space")
        await wait_until(pilot, lambda: ledger(app).sources[name].state == "late", f"{name} is late")
        reason = ledger(app).sources[name].reason
        assert reason is not None
        assert name in reason
        assert getattr(host_value(app), name) is not None, "the last value stays"

        before = ledger(app)
        meminfo = (tree("6.1-4n") / "proc/meminfo").read_text()
        meminfo = meminfo.replace("MemAvailable:", "MemAvailable: 5670000 kB\nOld:")
        host.texts["proc/meminfo"] = meminfo.encode()
        await wait_until(
            pilot, lambda: ledger(app).host.memory_available_bytes == 5_670_000 << 10, "other sources are read"
        )
        assert ledger(app) is not before
        assert ledger(app).sources[name].state == "late"

        await pilot.press("m", "2")
        assert app.choices.mode == "time_wait"
        assert app.choices.node == 2
        assert "node 2" in pane_title(app, CachesPane)
        await pilot.press("question_mark")
        assert len(app.screen_stack) == 2
        await pilot.press("escape")

        host.release()
        await pilot.press("space")
        await wait_until(pilot, lambda: ledger(app).sources[name].state == "ok", f"{name} is read again")


def host_value(app: TcptopApp) -> object:
    """The latest snapshot; its attributes have the names of the sources."""
    assert isinstance(app.feed, LiveFeed)
    return app.feed._live.sampler.snapshot()


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quitting_while_every_read_hangs(host: ScriptedHost, key: str) -> None:
    async with running(host) as (app, pilot):
        host.hanging |= set(host.asked)
        await pilot.press("space")
        await wait_until(pilot, lambda: ledger(app).sources["slabinfo"].state == "late", "slabinfo is late")
        await pilot.press(key)
        await wait_until(pilot, lambda: not app.is_running or app._exit, "the app ends")
    assert app.return_code == 0
    # A hung read must not delay the end of the program.
    stuck = [thread for thread in threading.enumerate() if thread.name == "tcptop reader"]
    assert stuck
    assert all(thread.daemon for thread in stuck)


async def test_host_whose_reads_always_hang(monkeypatch: pytest.MonkeyPatch, host: ScriptedHost) -> None:
    monkeypatch.setattr(live_sampler, "PATIENCE_S", 0.02)
    host.hanging |= {"proc/sys/kernel/hostname", "proc/slabinfo", "proc/buddyinfo", SOCKSTAT, "proc/zoneinfo"}
    app = host_app(host, 0.1)
    async with app.run_test(size=LARGE) as pilot:
        await wait_until(pilot, lambda: app._ledger is not None, "a sample without the hung sources")
        await pilot.press("m", "question_mark", "escape", "equals_sign")
        assert app.choices.mode == "time_wait"
        assert host.asked
        await wait_until(pilot, lambda: "–" in screen_text(app), "unknown figures are dashes")
        await pilot.press("q")
        await wait_until(pilot, lambda: app._exit, "the app ends")
    assert app.return_code == 0


@pytest.mark.slow
async def test_pause_stops_the_reads(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        samples: list[Ledger] = []

        def note() -> None:
            if not samples or samples[-1] is not ledger(app):
                samples.append(ledger(app))

        await pilot.press("z")
        assert "paused" in pane_lines(app, HeadLine)[0]
        # A sample that was being taken when the key was pressed is still drawn, but no further sample may follow.
        await pilot.pause(0.5)
        note()
        asked = len(host.asked)
        host.texts[SOCKSTAT] = sockstat(31)
        await pilot.pause(0.5)  # five intervals
        note()
        assert len(host.asked) == asked
        assert len(samples) == 1
        await pilot.press("space")  # samples once
        await wait_until(pilot, lambda: " 31 " in allocated(app), "SPACE samples while paused")
        assert app.choices.paused
        host.texts[SOCKSTAT] = sockstat(32)
        await pilot.pause(0.5)
        asked = len(host.asked)
        await pilot.pause(0.3)
        assert len(host.asked) == asked
        assert " 31 " in allocated(app)
        await pilot.press("z")
        await wait_until(pilot, lambda: " 32 " in allocated(app), "sampling continues")
        assert "live" in pane_lines(app, HeadLine)[0]


@pytest.mark.slow
async def test_plus_and_minus_change_the_interval(host: ScriptedHost) -> None:
    async with running(host, every_s=1.0) as (app, pilot):
        assert isinstance(app.feed, LiveFeed)

        def interval() -> float:
            assert isinstance(app.feed, LiveFeed)
            assert app.feed._live.sampler.interval_s == app.choices.interval_s
            return app.choices.interval_s

        await pilot.press("plus")
        assert interval() == 2.0
        assert "live 2 s" in pane_lines(app, HeadLine)[0]
        await pilot.press("minus", "minus")
        assert interval() == 0.5
        assert "live 0.5 s" in pane_lines(app, HeadLine)[0]
        await pilot.press(*["minus"] * 20)
        assert interval() == INTERVALS_S[0]
        await pilot.press(*["plus"] * 20)
        assert interval() == INTERVALS_S[-1]


@pytest.mark.slow
async def test_d_asks_for_the_interval(host: ScriptedHost) -> None:
    answers = {"": 1.0, "0": 1.0, "-1": 1.0, "x": 1.0, "nan": 1.0, "inf": 1.0, "1e9": 1.0, "3": 3.0, "0.25": 0.25}
    notices = Notices()
    async with running(host, every_s=1.0, notices=notices) as (app, pilot):
        for answer, interval_s in answers.items():
            notices.clear()
            await pilot.press("d")
            await pilot.press(
                *["minus" if each == "-" else "full_stop" if each == "." else each for each in answer], "enter"
            )
            await wait_until(pilot, lambda: len(app.screen_stack) == 1, "the question is answered")
            await pilot.pause()
            assert app.choices.interval_s == interval_s, answer
            assert isinstance(app.feed, LiveFeed)
            assert app.feed._live.sampler.interval_s == interval_s, answer
            assert bool(notices) == (interval_s == 1.0 and answer != ""), answer


async def test_interval_outside_the_list_steps_to_its_neighbours(host: ScriptedHost) -> None:
    async with running(host, every_s=0.7) as (app, pilot):
        await pilot.press("plus")
        assert app.choices.interval_s == 1.0
        await pilot.press("minus")
        assert app.choices.interval_s == 0.5


@pytest.mark.parametrize("release", ["4.19.0-27-amd64", ""])
async def test_f_reads_pagetypeinfo_where_its_cost_is_unbounded(host: ScriptedHost, release: str) -> None:
    host.texts["proc/sys/kernel/osrelease"] = f"{release}\n".encode()
    host.texts["proc/version"] = b"\n"
    async with running(host) as (app, pilot):
        source = ledger(app).sources["pagetypeinfo"]
        assert source.state == "off"
        assert "proc/pagetypeinfo" not in host.asked
        text = "\n".join(pane_lines(app, BuddyPane))
        assert "Unmovable" not in text
        assert "f reads it" in text
        await pilot.press("space")
        await pilot.pause(0.3)
        assert "proc/pagetypeinfo" not in host.asked, "SPACE does not read it"
        await pilot.press("f")
        await wait_until(pilot, lambda: ledger(app).sources["pagetypeinfo"].state == "ok", "pagetypeinfo is read")
        assert "Unmovable" in "\n".join(pane_lines(app, BuddyPane))


async def test_pagetypeinfo_of_a_new_kernel_is_read_without_f(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        await wait_until(pilot, lambda: ledger(app).sources["pagetypeinfo"].state == "ok", "pagetypeinfo is read")
        assert "Unmovable" in "\n".join(pane_lines(app, BuddyPane))


async def test_file_that_is_refused_for_a_while(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        host.refused = lambda path: path == "proc/slabinfo"
        await pilot.press("space")
        await wait_until(pilot, lambda: ledger(app).sources["slabinfo"].state == "refused", "slabinfo is refused")
        assert "/proc/slabinfo" in screen_text(app)
        host.refused = lambda _: False
        await pilot.press("space")
        await wait_until(pilot, lambda: ledger(app).sources["slabinfo"].state == "ok", "slabinfo is read again")


def first_row(app: TcptopApp) -> str:
    """The name in the first row of the caches; notes, as on a late source, and the headings stand above it."""
    return next(line.split()[0] for line in pane_lines(app, CachesPane) if not line.startswith(("!", "CACHE")))


async def test_choices_stay_with_new_samples(host: ScriptedHost) -> None:
    async with running(host) as (app, pilot):
        await pilot.press("3", "n", "n", "m", "y", "down", "down")
        before = app.choices
        first = first_row(app)
        for count in (11, 12, 13):
            host.texts[SOCKSTAT] = sockstat(count)
            await wait_until(pilot, lambda count=count: f" {count} " in allocated(app), "the next sample")  # type: ignore[misc]
            assert app.choices == before
            assert first_row(app) == first


async def test_removed_node(host: ScriptedHost) -> None:
    """Memory hotplug removes the chosen node; the screen says so and continues."""
    async with running(host) as (app, pilot):
        await pilot.press("3")
        for file in ("buddyinfo", "pagetypeinfo"):
            lines = (tree("6.1-4n") / "proc" / file).read_text().splitlines(keepends=True)
            host.texts[f"proc/{file}"] = "".join(
                line for line in lines if not line.startswith(("Node 3,", "Node    3,"))
            ).encode()
        zones = (tree("6.1-4n") / "proc/zoneinfo").read_text()
        host.texts["proc/zoneinfo"] = zones[: zones.index("Node 3,")].encode()
        await pilot.press("space")
        await wait_until(
            pilot,
            lambda: not any(node.node == 3 and node.zones for node in ledger(app).nodes),
            "node 3 has no zones",
        )
        assert app.choices.node == 3
        assert "node 3" in screen_text(app)
        await pilot.press("right_square_bracket")
        assert app.choices.node == 0


@pytest.mark.parametrize("key", ["question_mark", "i", "W", "M"])
async def test_keys_before_the_first_sample_wait_for_it(host: ScriptedHost, key: str) -> None:
    host.hanging |= {"proc/slabinfo", SOCKSTAT}
    app = host_app(host, 0.1)
    async with app.run_test(size=LARGE) as pilot:
        assert app._ledger is None
        for each in (key, "down"):
            app.post_message(Key(each, None))
        await wait_until(pilot, lambda: len(app.screen_stack) == 2, "the key opens its screen")
        assert app._ledger is not None


async def test_a_key_that_arrives_after_the_last_screen_has_closed_is_dropped(host: ScriptedHost) -> None:
    app = host_app(host, 0.1)
    async with app.run_test(size=LARGE):
        stack = list(app._screen_stack)
        app._screen_stack.clear()
        for event in (Key("down", None), Key("i", "i")):
            event._set_forwarded()
            await app.on_event(event)
        app._screen_stack.extend(stack)
    assert app.return_code in (0, None)


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quitting_before_the_first_sample(monkeypatch: pytest.MonkeyPatch, host: ScriptedHost, key: str) -> None:
    monkeypatch.setattr(live_sampler, "PATIENCE_S", 1_000.0)
    host.hanging |= {"proc/slabinfo", SOCKSTAT}
    app = host_app(host, 0.1)
    async with app.run_test(size=LARGE) as pilot:
        await pilot.press("m", key)
        await wait_until(pilot, lambda: not app.is_running or app._exit, "the app ends")
        assert app._ledger is None
    assert app.return_code == 0
