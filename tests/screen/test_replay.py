"""The screen on a recording: what its keys do, and that a sample looks as it did live."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    drawn_lines,
    feed,
    grouped,
    pane_lines,
    record_phases,
    replay_app,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
    wait_for_replay,
    wait_until,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.binding import Binding

from tcptop.recording.time_spec import TimeRange
from tcptop.screen.replay_app import ReplayApp
from tcptop.snapshot import Snapshot
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.help_screen import HelpPane
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.sockets_pane import SocketsPane
from tcptop.widgets.timeline_pane import POSITION_MARK, TimelinePane

PHASES = ["base", "unaccepted", "established", "halfclosed", "timewait"]
ROWS_OF_TIME_LINE = 3
MIDDLE = (120, 40)


@pytest.fixture(scope="module")
def story_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Snapshot]]:
    file = tmp_path_factory.mktemp("replay") / "story.tcptop"
    return file, record_phases(file, "6.1-4n", PHASES)


@pytest.fixture
def file(story_file: tuple[Path, list[Snapshot]]) -> Path:
    return story_file[0]


@pytest.fixture
def samples(story_file: tuple[Path, list[Snapshot]]) -> list[Snapshot]:
    return story_file[1]


def head(app: ReplayApp) -> str:
    return pane_lines(app, HeadLine)[0]


def place(app: ReplayApp) -> int:
    """The number of the sample, counted from 1, as the head line says."""
    found = re.search(r" · (\d+) of (\d+) · ", head(app))
    assert found is not None, head(app)
    return int(found[1])


def allocated(phase: str) -> str:
    """Of the kernel's own text, as the screen writes it."""
    words = (tree("6.1-4n", phase) / "proc/net/sockstat").read_text().partition("TCP:")[2].split()
    return grouped(int(words[words.index("alloc") + 1]))


async def press_keys(pilot: AppPilot, *keys: str) -> ReplayApp:
    await pilot.press(*keys)
    return await wait_for_replay(pilot)


async def test_steps_show_one_sample_after_the_other(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        for number, phase in enumerate(PHASES, 1):
            assert place(app) == number
            assert re.search(rf"allocated +{allocated(phase)} ", "\n".join(pane_lines(app, SocketsPane)))
            await press_keys(pilot, "t")
        assert place(app) == len(PHASES), "after the last there is none"
        await press_keys(pilot, "T", "T")
        assert place(app) == len(PHASES) - 2
        await press_keys(pilot, "less_than_sign")
        assert place(app) == 1
        await press_keys(pilot, "T")
        assert place(app) == 1
        await press_keys(pilot, "greater_than_sign")
        assert place(app) == len(PHASES)


async def test_each_sample_looks_as_it_did_live(file: Path, samples: list[Snapshot]) -> None:
    """But for the head line, the time line and the keys. The terminal has the rows that the time line takes more."""
    live: list[list[str]] = []
    async with tree_app(tree("6.1-4n", PHASES[0])).run_test(size=MIDDLE) as pilot:
        app = await wait_for_app(pilot)
        for look in samples:
            await feed(pilot, look)
            live.append(screen_text(app).splitlines()[1:-1])
    async with replay_app(file).run_test(size=(MIDDLE[0], MIDDLE[1] + ROWS_OF_TIME_LINE)) as pilot:
        replay = await wait_for_replay(pilot)
        for number, lines in enumerate(live):
            if number:
                await press_keys(pilot, "t")
            assert screen_text(replay).splitlines()[1 : -1 - ROWS_OF_TIME_LINE] == lines


@pytest.mark.parametrize(
    ("typed", "number"),
    [("+24", 3), ("-10", 4), ("12:02:21", 5), ("2026-11-22T12:01:50Z", 2)],
)
async def test_j_jumps_to_a_time(file: Path, typed: str, number: int) -> None:
    """The story begins at 12:01:40.4, and has a sample every ten seconds."""
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        await pilot.press("j", *typed, "enter")
        await wait_for_replay(pilot)
        assert place(app) == number


async def test_a_time_that_cannot_be_is_told(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE, notifications=True) as pilot:
        app = await press_keys(pilot, "t")
        for typed, said in (("noon", "not 'noon'"), ("2001-1", "not '2001-1'"), ("+9h", "no sample then; it holds")):
            await pilot.press("j", *typed, "enter")
            await wait_until(pilot, lambda said=said: said in screen_text(app), "it is told")  # type: ignore[misc]
        assert place(app) == 2


async def test_space_plays_to_the_end(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        assert "paused 1×" in head(app)
        await pilot.press(*["plus"] * 9)
        assert "paused 100×" in head(app)
        await pilot.press("space")
        assert "▶ 100×" in head(app)
        await wait_until(pilot, lambda: place(app) == len(PHASES) and "paused 100×" in head(app), "it has played")
        await pilot.press("minus")
        assert "paused 50×" in head(app)
        await pilot.press("space")
        await wait_until(pilot, lambda: place(app) < len(PHASES), "it begins anew")
        await pilot.press("space")
        assert "paused 50×" in head(app)


async def test_the_time_line_follows(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        at: list[int] = []
        for _ in PHASES:
            lines = pane_lines(app, TimelinePane)
            assert [line.split()[0] for line in lines] == ["sockets", "TIME_WAIT", "B/conn"]
            [column] = {line.index(POSITION_MARK) for line in lines}
            at.append(column)
            await press_keys(pilot, "t")
        assert at == sorted(set(at)), "each sample has a place of its own, in the order of their times"
        most = max((allocated(phase) for phase in PHASES), key=lambda text: int(text.replace(" ", "")))
        assert pane_lines(app, TimelinePane)[0].endswith(f" to {most}")


@pytest.mark.parametrize(
    ("choice", "first", "samples"),
    [
        (TimeRange(at="+20"), "12:02:00", 5),
        (TimeRange(first="+10"), "12:01:50", 4),
        (TimeRange(last="12:02:01"), "12:01:40", 3),
        (TimeRange(at="+20", first="+10", last="-5"), "12:02:00", 3),
    ],
)
async def test_the_options_choose_what_is_held(file: Path, choice: TimeRange, first: str, samples: int) -> None:
    async with replay_app(file, choice).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        assert f"{first} · " in head(app)
        assert f" of {samples} · " in head(app)


async def test_a_damaged_sample_is_told_and_the_rest_is_shown(file: Path, tmp_path: Path) -> None:
    import sqlite3

    broken = tmp_path / "broken.tcptop"
    broken.write_bytes(file.read_bytes())
    with sqlite3.connect(broken) as connection:
        connection.execute("UPDATE record SET data = zeroblob(40) WHERE number = 2")
    connection.close()
    async with replay_app(broken).run_test(size=MIDDLE, notifications=True) as pilot:
        app = await press_keys(pilot, "t", "t")
        await wait_until(pilot, lambda: "this sample is damaged" in screen_text(app), "it is told")
        assert place(app) == 3
        await press_keys(pilot, "T")
        assert re.search(rf"allocated +{allocated(PHASES[1])} ", "\n".join(pane_lines(app, SocketsPane)))


async def test_a_saved_tree_is_a_recording_of_one_sample() -> None:
    async with replay_app(tree("6.1-4n")).run_test(size=MIDDLE, notifications=True) as pilot:
        app = await wait_for_replay(pilot)
        assert "recorded · 1 of 1 · paused" in head(app)
        await press_keys(pilot, "t", "T", "space", "greater_than_sign")
        await pilot.press("j", *"12:00", "enter")
        await wait_until(pilot, lambda: "its samples have no times" in screen_text(app), "it is told")


async def test_keys_of_the_screen_work_as_ever(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        await press_keys(pilot, "t", "t", "m", "2", "y", "c")
        assert "TIME_WAIT · node 2" in head(app)
        await press_keys(pilot, "t")
        assert "TIME_WAIT · node 2" in head(app), "a choice stays while time goes on"


async def test_the_help_and_the_key_line_tell_of_time(file: Path) -> None:
    async with replay_app(file).run_test(size=(120, 60)) as pilot:
        app = await wait_for_replay(pilot)
        assert pane_lines(app, KeyLine)[0].startswith(" t T step  j jump  SPACE play  +- speed")
        await pilot.press("question_mark")
        lines: list[str] = []
        for _ in range(6):
            lines += drawn_lines(app.screen.query_one(HelpPane))
            await pilot.press("pagedown")
        text = " ".join(" ".join(lines).split())
        for said in ("t the next sample", "T the sample before", "j jump to a time", "SPACE z play", "+ play faster"):
            assert said in text
        assert "set the interval" not in text
        for binding in ReplayApp.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.description in text


KEYS = ("t", "T", "space", "plus", "minus", "less_than_sign", "greater_than_sign", "m", "k", "j", "escape", "enter")


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(KEYS), min_size=8, max_size=20))
def test_no_keys_lead_out_of_the_recording(file: Path, keys: list[str]) -> None:
    async def drive() -> None:
        async with replay_app(file).run_test(size=(80, 24)) as pilot:
            await pilot.press(*keys)
            app = pilot.app
            assert isinstance(app, ReplayApp)
            await wait_until(pilot, lambda: app._ledger is not None, "a sample is drawn")
            assert 1 <= place(app) <= len(PHASES)

    asyncio.run(drive())
