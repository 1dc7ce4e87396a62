"""Snapshots of the screen, as SVG and as text.

`scripts/test --snapshot-update` writes both again. Read the diff of the texts before a commit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from conftest import TextSnapshot
from drive import (
    AppPilot,
    ScriptedHost,
    copy_tree,
    feed,
    host_app,
    open_host,
    read_source,
    replay_app,
    root_only,
    sample_phases,
    screen_text,
    tree,
    tree_app,
    wait_for_replay,
)
from made_machine import MACHINES, make_machine
from syrupy.assertion import SnapshotAssertion
from textual._doc import take_svg_screenshot
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from tcptop.recording.recorder import Recorder
from tcptop.sampling.sampler import Sampler
from tcptop.sampling.source_list import kernel_sources
from tcptop.screen.app import TcptopApp
from tcptop.settings.file import Settings
from tcptop.snapshot import Snapshot

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (200, 60)
SIZES = [SMALL, MIDDLE, LARGE]
USUAL = [SMALL, MIDDLE]
TINY = [(60, 20), (40, 12), (40, 5)]
WIDE, HUGE = (160, 50), (240, 70)
EVERY_SIZE = [*TINY, SMALL, MIDDLE, WIDE, LARGE, HUGE, (80, 50)]


def size_name(size: object) -> str | None:
    return f"{size[0]}x{size[1]}" if isinstance(size, tuple) else None


at_all_sizes = pytest.mark.parametrize("size", SIZES, ids=size_name)
at_usual_sizes = pytest.mark.parametrize("size", USUAL, ids=size_name)

Act = Callable[[AppPilot], Awaitable[None]]


class CheckScreen(Protocol):
    """Compares a screen with its snapshots, the SVG (unless `svg` is False) and the text."""

    def __call__(
        self, app: App[int], size: tuple[int, int], keys: Sequence[str] = (), act: Act | None = None, svg: bool = True
    ) -> None: ...


@pytest.fixture
def check_screen(snapshot: SnapshotAssertion, request: pytest.FixtureRequest) -> CheckScreen:
    def compare(
        app: App[int], size: tuple[int, int], keys: Sequence[str] = (), act: Act | None = None, svg: bool = True
    ) -> None:
        texts: list[str] = []

        async def drive(pilot: AppPilot) -> None:
            await pilot.pause()
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
            if act is not None:
                await act(pilot)
            await pilot.pause()
            texts.append(screen_text(pilot.app))

        same = True
        if svg:
            snap_compare: Callable[..., bool] = request.getfixturevalue("snap_compare")
            same = snap_compare(app, terminal_size=size, run_before=drive)
        else:

            async def drive_and_exit(pilot: Pilot[Any]) -> None:
                await drive(pilot)
                pilot.app.exit()

            app.run(headless=True, size=size, auto_pilot=drive_and_exit)
        assert texts[0] == snapshot(extension_class=TextSnapshot)
        assert same, "the text is the same, the colours or styles are not: see snapshot_report.html"

    return compare


# Start screens


@at_all_sizes
@pytest.mark.parametrize(
    "kernel",
    [
        "6.1-1n",
        "6.1-4n",
        "6.1-8n",
        "6.1-4n-memoryless",
        "6.1-4n-ipv6",
        "6.1-4n-nomerge",
        "6.12-4n",
        "6.12-arm64-16k-4n",
        "5.10-4n",
        "7.3-4n",
        "6.18-1n",
    ],
)
def test_start(check_screen: CheckScreen, kernel: str, size: tuple[int, int]) -> None:
    # SVGs of this size are large, and the SVGs of most kernels differ only in the text.
    check_screen(tree_app(tree(kernel)), size, svg=size != LARGE or kernel in ("6.1-1n", "6.1-8n"))


@at_usual_sizes
def test_start_without_connections(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n", "base")), size)


@pytest.mark.parametrize("size", EVERY_SIZE, ids=size_name)
@pytest.mark.parametrize("phase", ["base", "established"])
@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-1n"])
def test_every_size(check_screen: CheckScreen, kernel: str, phase: str, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree(kernel, phase)), size, svg=False)


@pytest.mark.parametrize("size", EVERY_SIZE, ids=size_name)
def test_every_size_in_time_wait(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n", "timewait")), size, ["m"], svg=False)


@pytest.mark.parametrize("keys", [["down"], ["end"], ["n", "down", "down"]], ids="-".join)
def test_the_cache_beside_its_explanation(check_screen: CheckScreen, keys: list[str]) -> None:
    check_screen(tree_app(tree("6.18-1n")), LARGE, keys, svg=keys == ["down"])


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=size_name)
@pytest.mark.parametrize("tabs", range(4))
def test_a_pane_on_the_whole_screen(check_screen: CheckScreen, tabs: int, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n")), size, [*["tab"] * tabs, "f11"], svg=False)


@pytest.mark.parametrize("keys", [["M"], ["M", *"100000"]], ids="".join)
def test_the_plan(check_screen: CheckScreen, keys: list[str]) -> None:
    # A larger screen shows the path of the tree.
    check_screen(tree_app(tree("6.1-4n")), SMALL, keys, svg=len(keys) == 1)


def with_look(folder: Path) -> Path:
    """A tree with a list of the sockets of eight loads."""
    look = Path(__file__).resolve().parents[1] / "sock_diag/look-8-scenarios.txt"
    (folder / "sock_diag").mkdir()
    (folder / "sock_diag/sockets").write_bytes(look.read_bytes())
    return folder


@pytest.mark.parametrize("size", [(40, 5), (40, 12), *SIZES, HUGE], ids=size_name)
@pytest.mark.parametrize(
    "keys", [["W"], ["W", "left", "left"], ["W", "right", "right", "down", "enter"]], ids=["owner", "state", "page"]
)
def test_who_holds_it(check_screen: CheckScreen, tmp_path: Path, keys: list[str], size: tuple[int, int]) -> None:
    folder = with_look(copy_tree(tree("6.18-1n"), tmp_path / "web-17"))
    check_screen(tree_app(folder), size, keys, svg=size == SMALL)


@pytest.mark.parametrize("settings", [Settings(theme="light"), Settings(ascii=True)], ids=["light", "ascii"])
def test_who_holds_it_in_other_settings(check_screen: CheckScreen, tmp_path: Path, settings: Settings) -> None:
    folder = with_look(copy_tree(tree("6.18-1n"), tmp_path / "web-17"))
    check_screen(host_app(open_host(folder), settings=settings), SMALL, ["W"])


def near_a_limit(folder: Path) -> Path:
    """A tree with 11 000 of 11 500 tracked flows, and 98 % of the open files."""
    netfilter = folder / "proc/sys/net/netfilter"
    netfilter.mkdir(parents=True, exist_ok=True)
    (netfilter / "nf_conntrack_max").write_text("11500\n")
    (netfilter / "nf_conntrack_count").write_text("11000\n")
    (folder / "proc/sys/fs/file-nr").write_text("16320\t0\t16700\n")
    return folder


@pytest.mark.parametrize("size", EVERY_SIZE, ids=size_name)
def test_near_a_limit(check_screen: CheckScreen, tmp_path: Path, size: tuple[int, int]) -> None:
    check_screen(tree_app(near_a_limit(copy_tree(tree("6.1-4n"), tmp_path / "web-17"))), size, svg=size in SIZES)


# Keys


@at_all_sizes
def test_time_wait(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n", "timewait")), size, ["m"])


@at_usual_sizes
def test_time_wait_on_5_10(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("5.10-4n", "timewait")), size, ["m"])


@pytest.mark.parametrize("keys", ["1", "3", "[", "]", "3=", "3]"])
def test_node_keys(check_screen: CheckScreen, keys: str) -> None:
    check_screen(tree_app(tree("6.1-4n")), MIDDLE, key_names(keys))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=size_name)
@pytest.mark.parametrize("keys", ["2", "2="])
def test_node_keys_at_other_sizes(check_screen: CheckScreen, keys: str, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-8n")), size, key_names(keys))


@at_usual_sizes
@pytest.mark.parametrize("key", ["3", "0"])
def test_a_node_without_memory(check_screen: CheckScreen, key: str, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n-memoryless")), size, key_names(key))


@at_usual_sizes
def test_a_node_that_is_not_there(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n")), size, ["7"])


@pytest.mark.parametrize("key", list("abcelnopsuv"))
def test_sort_keys(check_screen: CheckScreen, key: str) -> None:
    check_screen(tree_app(tree("6.1-4n")), MIDDLE, [key], svg=key == "c")


@pytest.mark.parametrize("key", list("cne"))
def test_sort_keys_reversed(check_screen: CheckScreen, key: str) -> None:
    # `e` is the initial order, so one press of it reverses.
    check_screen(tree_app(tree("6.1-4n")), MIDDLE, [key, *([key] if key != "e" else [])], svg=key == "c")


def test_sort_from_the_command_line(check_screen: CheckScreen) -> None:
    check_screen(tree_app(tree("6.1-4n"), sort="s"), SMALL)


@at_usual_sizes
@pytest.mark.parametrize("kernel", ["6.1-4n", "6.12-arm64-16k-4n"])
def test_buddy_lists_in_bytes(check_screen: CheckScreen, kernel: str, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree(kernel)), size, ["y"])


@at_all_sizes
def test_help(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n")), size, ["question_mark"])


@at_usual_sizes
def test_help_scrolled(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n")), size, ["h", "pagedown", "down"])


def test_help_at_its_end(check_screen: CheckScreen) -> None:
    check_screen(tree_app(tree("6.1-4n")), SMALL, ["f1", "end"])


@at_usual_sizes
def test_the_question_for_a_node(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    async def ask(pilot: AppPilot) -> None:
        await pilot.press("g")
        await pilot.pause()
        pilot.app.screen.query_one(Input).cursor_blink = False
        await pilot.press("1", "2")

    check_screen(tree_app(tree("6.1-4n")), size, act=ask)


def test_a_panes_end(check_screen: CheckScreen) -> None:
    check_screen(tree_app(tree("6.1-4n")), SMALL, ["end", "tab", "end"])


def key_names(keys: str) -> list[str]:
    """Textual's names of the keys for these characters."""
    names = {
        "[": "left_square_bracket",
        "]": "right_square_bracket",
        "=": "equals_sign",
        "?": "question_mark",
    }
    return [names.get(key, key) for key in keys]


# Machines of other shapes


@pytest.mark.parametrize("keys", ["", "]"])
@pytest.mark.parametrize("machine", MACHINES)
def test_machines(check_screen: CheckScreen, tmp_path: Path, machine: str, keys: str) -> None:
    check_screen(tree_app(make_machine(machine, tmp_path / "web-17")), SMALL, key_names(keys), svg=False)


@pytest.mark.parametrize("machine", ["64 nodes", "counts that are capped", "14 orders"])
def test_machines_in_larger_terminals(check_screen: CheckScreen, tmp_path: Path, machine: str) -> None:
    check_screen(tree_app(make_machine(machine, tmp_path / "web-17")), MIDDLE, svg=machine == "64 nodes")


def test_the_table_of_the_nodes(check_screen: CheckScreen) -> None:
    check_screen(tree_app(tree("6.1-8n")), SMALL, ["equals_sign"])


def test_the_last_of_64_nodes(check_screen: CheckScreen, tmp_path: Path) -> None:
    check_screen(tree_app(make_machine("64 nodes", tmp_path / "web-17")), SMALL, ["g", "6", "3", "enter"], svg=False)


def test_a_node_of_a_number_far_away(check_screen: CheckScreen, tmp_path: Path) -> None:
    check_screen(
        tree_app(make_machine("sparse numbers", tmp_path / "web-17")), SMALL, ["g", "2", "5", "2", "enter"], svg=False
    )


@pytest.mark.parametrize("kernel", ["6.12-arm64-16k-4n", "7.3-4n", "5.10-4n", "6.1-1n"])
def test_a_node_of_other_kernels(check_screen: CheckScreen, kernel: str) -> None:
    check_screen(tree_app(tree(kernel)), SMALL, ["0"], svg=False)


@pytest.mark.parametrize("kernel", ["6.12-arm64-16k-4n", "7.3-4n", "6.1-4n-ipv6", "6.1-1n"])
def test_time_wait_on_other_kernels(check_screen: CheckScreen, kernel: str) -> None:
    check_screen(tree_app(tree(kernel, "timewait")), MIDDLE, ["m"], svg=False)


@pytest.mark.parametrize("size", [SMALL, MIDDLE], ids=size_name)
def test_time_wait_without_any(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    """Every terminal shows why there is no average."""
    check_screen(tree_app(tree("6.1-4n", "base")), size, ["m"], svg=False)


# The name filter


@at_usual_sizes
def test_the_question_for_a_part_of_a_name(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    async def ask(pilot: AppPilot) -> None:
        await pilot.press("slash")
        await pilot.pause()
        pilot.app.screen.query_one(Input).cursor_blink = False
        await pilot.press("b", "i", "n", "d")

    check_screen(tree_app(tree("6.1-4n")), size, act=ask, svg=size == SMALL)


@pytest.mark.parametrize("text", ["bind", "nosuchcache"])
def test_a_part_of_a_name_that_stays(check_screen: CheckScreen, text: str) -> None:
    check_screen(tree_app(tree("6.1-4n")), SMALL, ["slash", *text, "enter"], svg=False)


@at_usual_sizes
@pytest.mark.parametrize("keys", ["r", "r1"])
def test_all_caches(check_screen: CheckScreen, keys: str, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n")), size, key_names(keys), svg=False)


@pytest.mark.parametrize("columns", [("cache", "bytes"), ("objects", "active", "use")], ids=" ".join)
def test_columns_of_the_settings(check_screen: CheckScreen, columns: tuple[str, ...]) -> None:
    app = host_app(open_host(tree("6.1-4n")), settings=Settings(columns=columns))
    check_screen(app, SMALL, svg=False)


# The mark, and graphs

UP_AND_DOWN = ["base"] * 3 + ["established"] * 4 + ["halfclosed"] * 2 + ["timewait"] * 3


def play_phases(phases: Sequence[str], keys_after: dict[int, str]) -> Act:
    """Feeds samples of phases, ten seconds apart, and presses keys after some of them."""

    async def play(pilot: AppPilot) -> None:
        for number, snapshot in enumerate(sample_phases("6.1-4n", phases)):
            await feed(pilot, snapshot)
            for key in key_names(keys_after.get(number, "")):
                await pilot.press(key)
                await pilot.pause()

    return play


@pytest.mark.parametrize("size", [*SIZES, *TINY], ids=size_name)
def test_the_mark(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    act = play_phases(["base", "established"], {0: "k"})
    check_screen(tree_app(tree("6.1-4n", "base")), size, act=act, svg=size in USUAL)


def test_the_mark_for_all_nodes(check_screen: CheckScreen) -> None:
    check_screen(
        tree_app(tree("6.1-4n", "base")), MIDDLE, act=play_phases(["base", "established"], {0: "=k"}), svg=False
    )


def test_the_mark_when_sockets_went(check_screen: CheckScreen) -> None:
    check_screen(tree_app(tree("6.1-4n")), SMALL, act=play_phases(["established", "timewait"], {0: "=k"}), svg=False)


def test_the_mark_after_too_few_sockets(check_screen: CheckScreen) -> None:
    check_screen(
        tree_app(tree("6.1-4n", "base")), SMALL, act=play_phases(["base", "timewait"], {0: "=k", 1: "m"}), svg=False
    )


def test_the_mark_taken_away(check_screen: CheckScreen) -> None:
    check_screen(
        tree_app(tree("6.1-4n", "base")), SMALL, act=play_phases(["base", "established"], {0: "k", 1: "k"}), svg=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", [(60, 33), (80, 33), MIDDLE, LARGE], ids=size_name)
def test_the_last_minutes(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n", "base")), size, act=play_phases(UP_AND_DOWN, {}), svg=size == MIDDLE)


@pytest.mark.slow
def test_the_last_minutes_in_time_wait(check_screen: CheckScreen) -> None:
    check_screen(tree_app(tree("6.1-4n", "base")), (80, 33), act=play_phases(UP_AND_DOWN, {11: "m"}), svg=False)


@pytest.mark.slow
def test_without_marks_and_graphs(check_screen: CheckScreen) -> None:
    check_screen(tree_app(tree("6.1-4n", "base")), MIDDLE, act=play_phases(UP_AND_DOWN, {11: "x"}), svg=False)


# Terminals


@at_usual_sizes
def test_no_color(check_screen: CheckScreen, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    check_screen(tree_app(tree("6.1-4n")), size)


@at_usual_sizes
def test_light(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(host_app(open_host(tree("6.1-4n")), settings=Settings(theme="light")), size)


@pytest.mark.parametrize("size", [SMALL, MIDDLE, *TINY], ids=size_name)
def test_ascii(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(host_app(open_host(tree("6.1-4n")), settings=Settings(ascii=True)), size, svg=size in USUAL)


@pytest.mark.parametrize("keys", ["1", "?", "i", "M"])
def test_views_in_ascii(check_screen: CheckScreen, keys: str) -> None:
    check_screen(host_app(open_host(tree("6.1-4n")), settings=Settings(ascii=True)), SMALL, key_names(keys), svg=False)


@pytest.mark.parametrize("keys", ["", "2"])
def test_a_huge_terminal(check_screen: CheckScreen, keys: str) -> None:
    check_screen(tree_app(tree("6.1-8n")), HUGE, key_names(keys), svg=False)


@pytest.mark.parametrize("size", [SMALL, (40, 12), (40, 5)], ids=size_name)
def test_a_message_covers_no_figure(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    check_screen(tree_app(tree("6.1-4n")), size, ["9"], svg=size == SMALL)


def test_lines_of_the_settings_that_are_bad(check_screen: CheckScreen) -> None:
    wrong = ["config.toml:3: one of dark, light, not 'blue'; the line is passed over", "config.toml:4: not TOML"]
    check_screen(host_app(open_host(tree("6.1-4n")), mistakes=wrong), SMALL, svg=False)


# Live


def live_sample() -> Snapshot:
    """The second of two samples of a live host, two seconds apart; buddyinfo is late."""
    clock = [100.0]
    host = ScriptedHost(tree("6.1-4n"), live=True)
    sampler = Sampler(host, kernel_sources(), monotonic=lambda: clock[0], unix_time=lambda: 1795348800.4 + clock[0])

    def read_all() -> None:
        for _ in range(2):
            for source in sampler.due():
                read_source(sampler, source)

    read_all()
    clock[0] += 2
    slabinfo = (tree("6.1-4n") / "proc/slabinfo").read_text()
    line = next(line for line in slabinfo.splitlines() if line.startswith("TCP "))
    active = int(line.split()[1])
    grown = line.replace(f" {active} ", f" {active - 240} ", 1)
    host.texts["proc/slabinfo"] = slabinfo.replace(line, grown).encode()
    host.texts["proc/net/sockstat"] = (
        (tree("6.1-4n") / "proc/net/sockstat").read_text().replace("alloc 16001", "alloc 15761").encode()
    )
    assert host.texts["proc/net/sockstat"] != (tree("6.1-4n") / "proc/net/sockstat").read_bytes()
    sampler.make_all_due()
    read_all()
    clock[0] += 0.5
    sampler.mark_late(next(each for each in kernel_sources() if each.name == "buddyinfo"), 3.0)
    return sampler.snapshot()


@at_usual_sizes
@pytest.mark.parametrize("keys", ["", "m"])
def test_live(check_screen: CheckScreen, keys: str, size: tuple[int, int]) -> None:
    """The screen shows rates, the clock, and a late source."""
    snapshot = live_sample()

    async def show(pilot: AppPilot) -> None:
        await feed(pilot, snapshot)

    check_screen(tree_app(tree("6.1-4n")), size, key_names(keys), act=show)


def test_every_source_is_late(check_screen: CheckScreen) -> None:
    """All reads hang: the last figures stay, and each pane shows their age."""
    clock = [100.0]
    sampler = Sampler(
        ScriptedHost(tree("6.1-4n"), live=True),
        kernel_sources(),
        monotonic=lambda: clock[0],
        unix_time=lambda: 1795348800.4 + clock[0],
    )
    for _ in range(2):
        for source in sampler.due():
            read_source(sampler, source)
    clock[0] += 30
    for source in kernel_sources():
        sampler.mark_late(source, 28.0)
    snapshot = sampler.snapshot()

    async def show(pilot: AppPilot) -> None:
        await feed(pilot, snapshot)

    check_screen(tree_app(tree("6.1-4n")), MIDDLE, act=show, svg=False)


# Recordings


@pytest.fixture(scope="module")
def story_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of half an hour without the ten minutes in its middle."""
    file = tmp_path_factory.mktemp("recording") / "story.tcptop"
    phases = ["base", "established", "established", "halfclosed", "timewait", "timewait", "base"]
    recorder = Recorder(str(file))
    try:
        sample_phases("6.1-4n", phases, 90.0, recorder)
        sample_phases("6.1-4n", phases[:0:-1], 90.0, recorder, start_s=1300.0)
    finally:
        recorder.close()
    return file


async def wait_for_time_line(pilot: AppPilot) -> None:
    await wait_for_replay(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("size", [*SIZES, (60, 20), (40, 12)], ids=size_name)
def test_a_recording(check_screen: CheckScreen, story_file: Path, size: tuple[int, int]) -> None:
    check_screen(replay_app(story_file), size, ["t", "t"], act=wait_for_time_line, svg=size == MIDDLE)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(60, 20), MIDDLE], ids=size_name)
def test_a_recording_in_ascii(check_screen: CheckScreen, story_file: Path, size: tuple[int, int]) -> None:
    app = replay_app(story_file, settings=Settings(ascii=True))
    check_screen(app, size, ["greater_than_sign", "m"], act=wait_for_time_line, svg=False)


def test_help_in_a_recording(check_screen: CheckScreen, story_file: Path) -> None:
    check_screen(replay_app(story_file), SMALL, ["question_mark"], act=wait_for_time_line, svg=False)


@pytest.mark.slow
def test_the_question_for_a_time(check_screen: CheckScreen, story_file: Path) -> None:
    async def ask(pilot: AppPilot) -> None:
        await wait_for_replay(pilot)
        await pilot.press("j")
        await pilot.pause()
        pilot.app.screen.query_one(Input).cursor_blink = False
        await pilot.press(*"+20m")

    check_screen(replay_app(story_file), SMALL, act=ask, svg=False)


# Missing and refused files: their messages are text, so larger screens have a text snapshot only


@at_all_sizes
@pytest.mark.parametrize("keys", ["", "1"])
def test_as_a_plain_user(check_screen: CheckScreen, keys: str, size: tuple[int, int]) -> None:
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = root_only
    check_screen(host_app(host), size, key_names(keys), svg=size == SMALL)


@at_usual_sizes
@pytest.mark.parametrize("files", [["proc/slabinfo"], ["proc/pagetypeinfo"]], ids=lambda files: str(files[0])[5:])
def test_one_file_refused(check_screen: CheckScreen, files: list[str], size: tuple[int, int]) -> None:
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = lambda path: path in files
    check_screen(host_app(host), size, svg=size == SMALL)


@at_usual_sizes
def test_sysfs_refused(check_screen: CheckScreen, size: tuple[int, int]) -> None:
    host = ScriptedHost(tree("6.1-4n"))
    host.refused = lambda path: path.startswith("sys/kernel/slab/")
    check_screen(host_app(host), size, svg=size == SMALL)


def without(folder: Path, paths: Sequence[str]) -> Path:
    for path in paths:
        (folder / path).unlink()
    return folder


@at_usual_sizes
@pytest.mark.parametrize(
    "paths",
    [
        ["proc/slabinfo"],
        ["proc/buddyinfo"],
        ["proc/zoneinfo"],
        ["proc/buddyinfo", "proc/zoneinfo", "proc/pagetypeinfo"],
        ["proc/net/sockstat", "proc/net/sockstat6"],
        ["sys/kernel/security/lsm"],
    ],
    ids=lambda paths: "+".join(Path(path).name for path in paths),
)
def test_missing_files(check_screen: CheckScreen, tmp_path: Path, paths: list[str], size: tuple[int, int]) -> None:
    check_screen(tree_app(without(copy_tree(tree("6.1-4n"), tmp_path / "web-17"), paths)), size, svg=size == SMALL)


@at_usual_sizes
def test_nothing_at_all(check_screen: CheckScreen, tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "web-17/proc").mkdir(parents=True)
    check_screen(tree_app(tmp_path / "web-17"), size, svg=size == SMALL)


@at_usual_sizes
@pytest.mark.parametrize("key", ["", "m", "1"])
def test_empty_files(check_screen: CheckScreen, tmp_path: Path, key: str, size: tuple[int, int]) -> None:
    """The files are empty, as in a copy of /proc made without root."""
    folder = copy_tree(tree("6.1-4n"), tmp_path / "web-17")
    for path in ("proc/slabinfo", "proc/pagetypeinfo", "proc/buddyinfo"):
        (folder / path).write_bytes(b"")
    check_screen(tree_app(folder), size, key_names(key), svg=size == SMALL)


@at_usual_sizes
def test_a_slabinfo_that_is_cut_off(check_screen: CheckScreen, tmp_path: Path, size: tuple[int, int]) -> None:
    folder = copy_tree(tree("6.1-4n"), tmp_path / "web-17")
    slabinfo = (folder / "proc/slabinfo").read_bytes()
    (folder / "proc/slabinfo").write_bytes(slabinfo[: slabinfo.index(b"\ndentry ") + 20])
    check_screen(tree_app(folder), size, svg=size == SMALL)


@at_usual_sizes
def test_a_strange_slabinfo(check_screen: CheckScreen, tmp_path: Path, size: tuple[int, int]) -> None:
    folder = copy_tree(tree("6.1-4n"), tmp_path / "web-17")
    (folder / "proc/slabinfo").write_text("slabinfo - version: 3.0\n# name\nTCP 1 2 3\n")
    check_screen(tree_app(folder), size, svg=size == SMALL)


# Hostile text

ESCAPE = "\x1b]0;owned\x07\x1b[2J"
BIDI = "\u202e"


def hostile(folder: Path) -> Path:
    """Puts markup, actions, escape sequences and bidi controls into every name of a tree."""
    (folder / "proc/sys/kernel/hostname").write_text(f"[red]{ESCAPE}{BIDI}[/red][@click=app.bell]host[/]\n")
    (folder / "proc/sys/kernel/osrelease").write_text(f"6.1.0{ESCAPE}[/nope]\n")
    change(folder / "proc/slabinfo", "\nfilp ", f"\n[red]{ESCAPE}{BIDI}filp ")
    slab = folder / "sys/kernel/slab"
    (slab / f"[red]{ESCAPE}{BIDI}filp").symlink_to((slab / "filp").readlink())
    change(folder / "proc/slabinfo", "\npid ", "\n[@click=app.bell]pid ")
    (slab / "[@click=app.bell]pid").symlink_to((slab / "pid").readlink())
    for file in ("buddyinfo", "pagetypeinfo", "zoneinfo"):
        change(folder / "proc" / file, " Normal", f" [b]{BIDI}N\x1b[31m")
    change(folder / "proc/pagetypeinfo", " Movable ", " [/b]\x9b2JM ")
    change(folder / "sys/devices/system/node/node0/cpulist", "\n", "[@click=app.bell]0[/]\x1b[2J\n")
    return folder


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, path
    path.write_text(text.replace(old, new))


@at_usual_sizes
@pytest.mark.parametrize("keys", ["", "3"])
def test_hostile_names(check_screen: CheckScreen, tmp_path: Path, keys: str, size: tuple[int, int]) -> None:
    check_screen(tree_app(hostile(copy_tree(tree("6.1-4n"), tmp_path / "tree"))), size, key_names(keys))


@pytest.mark.slow
def test_hostile_names_draw_no_control_characters(tmp_path: Path) -> None:
    texts: list[str] = []

    async def drive(pilot: AppPilot) -> None:
        await pilot.pause()
        for key in ("equals_sign", "m", "y", "3", "9", "question_mark"):
            await pilot.press(key)
            await pilot.pause()
            texts.append(screen_text(pilot.app))

    app: TcptopApp = tree_app(hostile(copy_tree(tree("6.1-4n"), tmp_path / "tree")))
    picture: Any = take_svg_screenshot(app=app, terminal_size=LARGE, run_before=drive)
    for text in [*texts, picture]:
        assert not set(text) & set("\x1b\x07\x9b\u202e")
    # The names are shown as text, with escapes.
    assert "[@click=app.bell]pi" in texts[0]
    assert any(line.startswith(r"[red]\x1b]0;owned") for line in texts[0].splitlines())
