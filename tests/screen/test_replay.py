"""Tests of the screen on a recording: the keys, and that a sample looks the same as on the live screen."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
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
    sample_counts,
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

from tcptop.recording.recorder import Recorder
from tcptop.recording.time_spec import TimeRange
from tcptop.screen.app import TcptopApp
from tcptop.screen.keys import REPLAY_BINDINGS
from tcptop.snapshot import Snapshot
from tcptop.text import units
from tcptop.view.timeline import Timeline
from tcptop.widgets.head_line import HeadLine
from tcptop.widgets.help_screen import HelpPane
from tcptop.widgets.key_line import KeyLine
from tcptop.widgets.tcp_pane import TcpPane
from tcptop.widgets.timeline_pane import POSITION_MARK, TimelinePane

PHASES = ["base", "unaccepted", "established", "halfclosed", "timewait"]
TIMELINE_ROWS = 4
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


def head(app: TcptopApp) -> str:
    return pane_lines(app, HeadLine)[0]


def sample_number(app: TcptopApp) -> int:
    """The number of the sample in the head line; the first is 1."""
    found = re.search(r" (\d+) of (\d+)\b", head(app))
    assert found is not None, head(app)
    return int(found[1])


def allocated(phase: str) -> str:
    """The allocated sockets in the recorded sockstat, as the screen shows them."""
    words = (tree("6.1-4n", phase) / "proc/net/sockstat").read_text().partition("TCP:")[2].split()
    return grouped(int(words[words.index("alloc") + 1]))


async def press_keys(pilot: AppPilot, *keys: str) -> TcptopApp:
    await pilot.press(*keys)
    return await wait_for_replay(pilot)


@pytest.mark.slow
async def test_t_steps_through_the_samples(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        for number, phase in enumerate(PHASES, 1):
            assert sample_number(app) == number
            assert re.search(rf" {allocated(phase)} sockets?\b", "\n".join(pane_lines(app, TcpPane)))
            await press_keys(pilot, "t")
        assert sample_number(app) == len(PHASES), "there is none after the last"
        await press_keys(pilot, "T", "T")
        assert sample_number(app) == len(PHASES) - 2
        await press_keys(pilot, "less_than_sign")
        assert sample_number(app) == 1
        await press_keys(pilot, "T")
        assert sample_number(app) == 1
        await press_keys(pilot, "greater_than_sign")
        assert sample_number(app) == len(PHASES)


@pytest.mark.slow
async def test_each_sample_looks_as_it_did_live(file: Path, samples: list[Snapshot]) -> None:
    """Exceptions are the head line, the graph of the sockets, the timeline, the key line, the key that shows columns,
    and the hint at W, which a recording without looks does not have.

    The terminal is larger by the rows of the timeline.
    """
    live: list[list[str]] = []
    async with tree_app(tree("6.1-4n", PHASES[0])).run_test(size=MIDDLE) as pilot:
        app = await wait_for_app(pilot)
        for sample in samples:
            await feed(pilot, sample)
            live.append(screen_text(app).splitlines()[1:-1])
    async with replay_app(file).run_test(size=(MIDDLE[0], MIDDLE[1] + TIMELINE_ROWS)) as pilot:
        replay = await wait_for_replay(pilot)
        for number, lines in enumerate(live):
            if number:
                await press_keys(pilot, "t")
            assert what_a_sample_decides(
                screen_text(replay).splitlines()[1 : -1 - TIMELINE_ROWS]
            ) == what_a_sample_decides(lines)


def what_a_sample_decides(lines: list[str]) -> list[str]:
    """The lines below the head line, without the graph at the right end of the third line of the TCP pane.

    Without the key that shows hidden columns, too: in a recording, > goes to the end.
    """
    below = [*lines[:3], lines[3].partition("│")[0], *lines[4:]]
    return [
        re.sub(
            r" ─+ (>|Shift-→) \d+ more.*"
            r"|^(W: accept queues, .*by process|nofile, queues, ports .* (?:there|may come first))? +(?=│)",
            "",
            line,
        )
        for line in below
    ]


@pytest.mark.slow
async def test_rates_are_those_of_the_step_also_after_a_jump_back(tmp_path: Path) -> None:
    """Samples a second apart, with sockets that come and go in turn; the sixth begins a step of five seconds."""
    file = tmp_path / "seconds.tcptop"
    recorder = Recorder(str(file))
    sample_counts([20_100, 20_900] * 6, recorder)
    recorder.close()

    def rate() -> str:
        return re.sub(r" over \d+ s$", "", pane_lines(app, TcpPane)[1]).split()[-1]

    async with replay_app(file).run_test(size=(80, 24)) as pilot:
        app = await wait_for_replay(pilot)
        for keys, number, text in (
            ("tttt", 5, "+800/s"),
            ("t", 6, "±0/s"),
            ("tt", 8, "±0/s"),
            ("T", 7, "±0/s"),
            ("TT", 5, "sockets"),  # an earlier sample has no rate
            ("t", 6, "+800/s"),
            ("ttttt", 11, "+160/s"),  # of the two steps that end with samples 5 and 10
        ):
            for key in keys:
                await press_keys(pilot, key)
            assert (sample_number(app), rate()) == (number, text), keys


@pytest.mark.parametrize(
    ("typed", "number"),
    [("+24", 3), ("-10", 4), ("12:02:21", 5), ("2026-11-22T12:01:50Z", 2)],
)
async def test_j_jumps_to_a_time(file: Path, typed: str, number: int) -> None:
    """The recording starts at 12:01:40.4 and has a sample every ten seconds."""
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        await pilot.press("j", *typed, "enter")
        await wait_for_replay(pilot)
        assert sample_number(app) == number


@pytest.mark.slow
async def test_time_that_cannot_be_jumped_to(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE, notifications=True) as pilot:
        app = await press_keys(pilot, "t")
        for typed, message in (("noon", "not 'noon'"), ("2001-1", "not '2001-1'"), ("+9h", "no sample then; it holds")):
            await pilot.press("j", *typed, "enter")
            await wait_until(pilot, lambda message=message: message in screen_text(app), "the message is shown")  # type: ignore[misc]
        assert sample_number(app) == 2


@pytest.mark.slow
async def test_space_plays_to_the_end(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        assert "paused at 1 of 5, SPACE plays" in head(app)
        await pilot.press(*["plus"] * 9)
        assert "paused at 1 of 5, SPACE plays 100×" in head(app)
        await pilot.press("space")
        assert "playing 100×" in head(app)
        await wait_until(
            pilot, lambda: sample_number(app) == len(PHASES) and "SPACE plays 100×" in head(app), "playback has ended"
        )
        await pilot.press("minus")
        assert "SPACE plays 50×" in head(app)
        # At the lowest speed, playback goes on while the test looks.
        await pilot.press(*["minus"] * 9)
        await pilot.press("space")
        await wait_until(pilot, lambda: sample_number(app) < len(PHASES), "playback starts again")
        assert "playing" in head(app)
        await pilot.press("space")
        assert "SPACE plays" in head(app)


async def test_timeline_marks_the_shown_sample(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        columns: list[int] = []
        for _ in PHASES:
            lines = pane_lines(app, TimelinePane)
            assert [line.split()[0] for line in lines] == ["sockets", "TCP", "TIME_WAIT", "B/conn"]
            [column] = {line.index(POSITION_MARK) for line in lines}
            columns.append(column)
            await press_keys(pilot, "t")
        assert columns == sorted(set(columns)), "each sample has its own column, in order"
        most = max((allocated(phase) for phase in PHASES), key=lambda text: int(text.replace(" ", "")))
        assert pane_lines(app, TimelinePane)[0].endswith(f" to {most}")


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=str)
@pytest.mark.quick_cases(1)
async def test_the_timeline_has_the_memory_of_the_whole_recording(file: Path, size: tuple[int, int]) -> None:
    async with replay_app(file).run_test(size=size) as pilot:
        app = await wait_for_replay(pilot)
        assert "reading" not in screen_text(app), "the graphs are drawn without a key"
        text = "\n".join(pane_lines(app, TimelinePane))
        memory: list[float] = []
        for _ in PHASES:
            assert app._ledger is not None
            memory.append(app._ledger.tcp_memory.bytes or 0.0)
            await press_keys(pilot, "t")
        found = re.search(r"TCP memory .* (\S+ to \S+)", text.partition("  sockets")[0] if size[0] == 80 else text)
        assert found is not None
        assert found[1] == f"{units.short_size(min(memory))} to {units.short_size(max(memory))}"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_a_timeline_that_is_still_read_says_how_far(file: Path, size: tuple[int, int]) -> None:
    async with replay_app(file).run_test(size=size) as pilot:
        app = await wait_for_replay(pilot)
        assert app._ledger is not None
        pane, view = app.screen.query_one(TimelinePane), app.view
        pane.show(app._ledger, replace(view, timeline=replace(view.timeline, read_share=0.34)))
        assert "TCP memory" in "\n".join(drawn_lines(pane))
        assert "reading 34 %" in "\n".join(drawn_lines(pane))
        tcp = app.screen.query_one(TcpPane)
        tcp.show(app._ledger, replace(view, timeline=Timeline(read_share=0.34)))
        assert "reading the recording: 34 %" in "\n".join(drawn_lines(tcp))


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ((120, 40), "paused at 1 of 5, SPACE plays"),
        ((80, 24), "paused at 1 of 5, SPACE plays"),
        ((60, 20), "paused at 1 of 5, SPACE plays"),
        ((40, 12), "paused at 1"),
    ],
)
async def test_a_recording_opens_paused_and_says_so(file: Path, size: tuple[int, int], text: str) -> None:
    async with replay_app(file).run_test(size=size) as pilot:
        app = await wait_for_replay(pilot)
        assert text in head(app)


@pytest.mark.parametrize(
    ("choice", "first", "samples"),
    [
        (TimeRange(at="+20"), "12:02:00", 5),
        (TimeRange(first="+10"), "12:01:50", 4),
        (TimeRange(last="12:02:01"), "12:01:40", 3),
        (TimeRange(at="+20", first="+10", last="-5"), "12:02:00", 3),
    ],
)
async def test_time_options_select_the_samples(file: Path, choice: TimeRange, first: str, samples: int) -> None:
    async with replay_app(file, choice).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        assert f"{first} · " in head(app)
        assert f" of {samples}, SPACE plays" in head(app)


async def test_damaged_sample_is_reported_and_others_are_shown(file: Path, tmp_path: Path) -> None:
    import sqlite3

    broken = tmp_path / "broken.tcptop"
    broken.write_bytes(file.read_bytes())
    with sqlite3.connect(broken) as connection:
        connection.execute("UPDATE record SET data = zeroblob(40) WHERE number = 2")
    connection.close()
    async with replay_app(broken).run_test(size=MIDDLE, notifications=True) as pilot:
        app = await press_keys(pilot, "t", "t")
        await wait_until(pilot, lambda: "this sample is damaged" in screen_text(app), "the message is shown")
        assert sample_number(app) == 3
        await press_keys(pilot, "T")
        assert re.search(rf" {allocated(PHASES[1])} sockets?\b", "\n".join(pane_lines(app, TcpPane)))


async def test_a_saved_tree_is_a_recording_of_one_sample() -> None:
    async with replay_app(tree("6.1-4n")).run_test(size=MIDDLE, notifications=True) as pilot:
        app = await wait_for_replay(pilot)
        assert "recorded · paused at 1 of 1, SPACE plays" in head(app)
        await press_keys(pilot, "t", "T", "space", "greater_than_sign")
        await pilot.press("j", *"12:00", "enter")
        await wait_until(pilot, lambda: "its samples have no times" in screen_text(app), "the message is shown")


async def test_shared_keys_work_in_a_recording(file: Path) -> None:
    async with replay_app(file).run_test(size=MIDDLE) as pilot:
        app = await wait_for_replay(pilot)
        await press_keys(pilot, "t", "t", "m", "2", "y", "c")
        assert "TIME_WAIT · node 2" in head(app)
        await press_keys(pilot, "t")
        assert "TIME_WAIT · node 2" in head(app), "choices stay with the next sample"


async def test_help_and_key_line_have_the_playback_keys(file: Path) -> None:
    async with replay_app(file).run_test(size=(120, 60)) as pilot:
        app = await wait_for_replay(pilot)
        assert pane_lines(app, KeyLine)[0].startswith(" t T step  j jump  SPACE play  +- speed")
        await pilot.press("question_mark")
        lines: list[str] = []
        for _ in range(6):
            lines += drawn_lines(app.screen.query_one(HelpPane))
            await pilot.press("pagedown")
        text = " ".join(" ".join(lines).split())
        for entry in (
            "t show the next sample",
            "T show the sample before",
            "j jump to a time",
            "SPACE z play",
            "+ play faster",
        ):
            assert entry in text
        assert "set the interval" not in text
        for binding in REPLAY_BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.description in text or binding.description.startswith("sort by ")


KEYS = ("t", "T", "space", "plus", "minus", "less_than_sign", "greater_than_sign", "m", "k", "j", "escape", "enter")


@pytest.mark.slow
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(KEYS), min_size=8, max_size=20))
def test_any_keys_stay_in_the_recording(file: Path, keys: list[str]) -> None:
    async def drive() -> None:
        async with replay_app(file).run_test(size=(80, 24)) as pilot:
            await pilot.press(*keys)
            app = pilot.app
            assert isinstance(app, TcptopApp)
            await wait_until(pilot, lambda: app._ledger is not None, "a sample is drawn")
            screen_text(app)
            assert 1 <= sample_number(app) <= len(PHASES)

    asyncio.run(drive())


async def test_the_timeline_begins_at_the_lowest_value_and_names_both_ends(tmp_path: Path) -> None:
    """The two figures differ by less than one per cent."""
    file = tmp_path / "recording"
    recorder = Recorder(str(file))
    sample_counts([16_000, 16_010, 16_040, 16_050], recorder)
    recorder.close()
    async with replay_app(file).run_test(size=(120, 40)) as pilot:
        app = await wait_for_replay(pilot)
        [line] = [line for line in pane_lines(app, TimelinePane) if line.startswith("sockets")]
        assert {"▁", "█"} <= set(line)
        assert line.removesuffix("  > last sample").endswith("16 000 to 16 050")
