"""A recording without lists of sockets: nothing names a key or an option that would look at them."""

from __future__ import annotations

from pathlib import Path

import forked_program
import pytest
from drive import pane_lines, record_phases, replay_app, screen_text, wait_for_replay

from tcptop.widgets.limits_pane import LimitsPane

HAS_NO_LIST = "this sample has no list of its sockets (record --who keeps one)"
MISLEADING = ("W, tcptop who", "ESC, W", ": --who", ": tcptop who", "tcptop who there", "looks once")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recording") / "file"
    record_phases(file, "6.1-4n", ["base", "established"])
    return file


def text_of(*arguments: str | Path) -> str:
    """What a command prints, in one line."""
    return " ".join(forked_program.run(*map(str, arguments)).stdout.split())


@pytest.mark.parametrize("arguments", [("plan", "--connections", "100K", "-r"), ("-o", "-r")], ids=["plan", "report"])
def test_a_command_says_that_the_sample_has_no_list(file: Path, arguments: tuple[str, ...]) -> None:
    text = text_of(*arguments, file)
    assert f"not looked at: {HAS_NO_LIST}" in text.replace(", may come first", "")
    assert not [each for each in MISLEADING if each in text]


def test_a_check_says_that_the_sample_has_no_list(file: Path) -> None:
    text = text_of("check", "-r", file)
    assert "this sample has no recent list of them; tcptop record --who keeps one" in text
    assert "tells: --who" not in text


async def test_the_screen_says_that_the_sample_has_no_list(file: Path) -> None:
    async with replay_app(file).run_test(size=(200, 60)) as pilot:
        app = await wait_for_replay(pilot)
        foot = pane_lines(app, LimitsPane)[-1].rstrip()
        assert foot == "nofile, queues, ports   no list recorded, may come first"
        await pilot.press("M", *"100k")
        plan = " ".join(screen_text(app).split())
        assert HAS_NO_LIST.partition(" (")[0] in plan
        assert "ESC, W" not in plan
        await pilot.press("escape", "W")
        await pilot.pause()
        assert "this sample has no list of the sockets" in screen_text(app)


@pytest.mark.parametrize("width", [30, 40, 60, 80])
async def test_a_narrow_pane_names_no_key(file: Path, width: int) -> None:
    async with replay_app(file).run_test(size=(width, 60)) as pilot:
        app = await wait_for_replay(pilot)
        [line] = [line for line in pane_lines(app, LimitsPane) if "nofile, queues" in line]
        assert ": W" not in line
        assert "no list recorded" in line or width < 40
