"""The plan screen, operated by real keys: figures compared with `tcptop plan --json`, wrong texts, unknown figures."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    drawn_lines,
    feed,
    host_app,
    record_phases,
    replay_app,
    resize,
    root_only,
    sample_tree,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
    wait_for_replay,
    wait_until,
)
from made_look import group, listen, look_text, net, process
from recorded import copy_recording, without_reserves, write_buffers, write_tree
from samples import record
from textual.events import Paste

from tcptop.commands import plan
from tcptop.kernel.limits import limit_label
from tcptop.screen.app import TcptopApp
from tcptop.sock_diag import SOCKETS_PATH
from tcptop.text import units
from tcptop.widgets.plan_screen import PlanPane, PlanScreen

TALL = (120, 74)
KERNEL = "6.1-4n"


def page(app: TcptopApp) -> list[str]:
    return drawn_lines(app.screen.query_one(PlanPane))


def page_text(app: TcptopApp) -> str:
    return " ".join(" ".join(page(app)).split())


async def open_plan(pilot: AppPilot, *keys: str) -> TcptopApp:
    app = await wait_for_app(pilot)
    await pilot.press("M", *keys)
    await pilot.pause()
    assert isinstance(app.screen, PlanScreen)
    return app


def command_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    plan.run(["--json", *arguments])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no settings"))


def percents(limit: dict[str, Any]) -> str:
    """Both ratios in per cent: a range is rounded outwards, and one figure to the nearest."""
    low, high = limit["low_ratio"], limit["ratio"]
    if limit["high_takes"] is None:
        return f"≥ {units.percent_bound(low, False)} %"
    if limit["verdict"] == "fits":
        low, high = min(1, low), min(1, high)
    return f"{units.bounds_span((low, high), units.percent_bound)} %"


def assert_page_shows(lines: Sequence[str], found: dict[str, Any]) -> None:
    """The page has the request, the parts, the limits and the verdict of the command's JSON."""
    number = found["request"]["connections"]
    text = " ".join(" ".join(lines).split())
    takes = found["takes"]
    is_complete = takes["complete"]
    total = takes["high_bytes"] if is_complete else takes["bytes"]
    if not found["request"]["time_wait"]:
        has_range = total > takes["bytes"] * (1 + 1e-9)
        each = units.exact_bytes(total / number, False if not is_complete else has_range or None)
        assert f"{'≥ ' if not is_complete else '≤ ' if has_range else ''}{each} B per connection" in text
    for part in found["takes"]["parts"]:
        name = part["object"].removeprefix("struct ").replace("obj_cgroup", "memcg")
        cells = [name, units.size(part["high_bytes"], True if part["high_bytes"] > part["bytes"] else None)]
        assert any(line.split()[0] == name.split()[0] and all(cell in line for cell in cells) for line in lines if line)
    heading = next(at for at, line in enumerate(lines) if "PLAN ▒" in line)
    assert len(lines) > heading + len(found["limits"])
    for line, limit in zip(lines[heading + 1 :], found["limits"], strict=False):
        amount = limit["takes"] if limit["high_takes"] is None else limit["high_takes"]
        nearest = units.size(limit["takes"]) == units.size(limit["high_takes"])
        up = None if nearest else limit["high_takes"] is not None
        assert (units.size(amount, up) if limit["unit"] == "bytes" else units.count(amount)) in line
        assert ("– " if limit["ratio"] is None else percents(limit)) in line
        assert ("▒" in line) == (limit["ratio"] is not None)
        sign = "≤ " if limit["connections_are_at_most"] else "≥ " if limit["connections_are_at_least"] else "  "
        fits = limit["connections"]
        if limit["name"] == "tcp_max_tw_buckets":
            fits = limit["limit"] - limit["used"]
        assert line.endswith(f"{sign}{units.rough_count(fits, up=sign == '≤ ')}")
    verdict, request = found["verdict"], found["request"]
    is_idle = request["buffer_bytes_per_socket"] == 0 and not request["buffers_as_now"]
    stopping = [limit for limit in found["limits"] if limit["name"] != "tcp_max_tw_buckets"]
    at_edge = any(limit["verdict"] == "fits" and limit["ratio"] >= 0.97 for limit in stopping)
    words = f"{'just ' * at_edge}fits{', without data' * is_idle}" if verdict == "fits" else verdict
    for limit in stopping if verdict == "fits" else ():
        if limit["ratio"] >= 0.97:
            words += f"; {limit_label(limit['name'])} would be {percents(limit)} used"
        elif limit["state"] == "near":
            words += f"; {limit_label(limit['name'])} would be NEAR ({percents(limit)})"
    assert f"{words}: {found['unknown_because'] or units.grouped(number)}" in text


AS_NOW = ("--side", "mixed", "--family", "now")
"""The initial contents of the form."""
CASES: list[tuple[Sequence[str], Sequence[str]]] = [
    (("1", "0", "0", "0", "0", "0"), ("--connections", "100000", *AS_NOW)),
    (("2", "M"), ("--connections", "2M", *AS_NOW)),
    (("1", "0", "K", "down", "down", "3", "0", "0", "k"), ("--connections", "10K", "--time-wait", "300K", *AS_NOW)),
    (("5", "0", "K", "tab", "1", "6", "K"), ("--connections", "50K", "--buffers", "16K", *AS_NOW)),
    (("5", "k", *["down"] * 3, "space", "space"), ("--connections", "5K", "--side", "outgoing", "--family", "now")),
    (("6", "k", *["down"] * 3, "space", "down", "right"), ("--connections", "6K")),
    (
        ("5", "k", "down", "down", "down", "left", "down", "left"),
        ["--connections", "5K", "--side", "proxy", "--family", "ipv6"],
    ),
    (("7", "k", "up", "up", "space", "up", "space"), ("--connections", "7K", "--conntrack", "--epoll", *AS_NOW)),
]


@pytest.mark.parametrize(("keys", "arguments"), CASES)
async def test_typed_numbers_give_the_figures_of_the_command(
    keys: Sequence[str], arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = command_json(capsys, *arguments, "--root", str(tree(KERNEL)))
    assert found["takes"]["complete"] == ("--epoll" not in arguments)
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *keys)
        assert_page_shows(page(app), found)


async def test_the_command_below_the_plan_gives_the_same_plan(capsys: pytest.CaptureFixture[str]) -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"40k", "up", "up", "up", "space", "up", "left")
        command = page_text(app).partition("As text: tcptop plan ")[2].split()
        assert command[:2] == ["--connections", "40000"]
        assert command[2:-2] == ["--side", "mixed", "--family", "ipv6", "--conntrack"]
        assert command[-2:] == ["--root", str(tree(KERNEL))]
        shown = page(app)
    assert_page_shows(shown, command_json(capsys, *command))


ALARMS = {
    "proc/net/sockstat": "sockets: used 16001\nTCP: inuse 16001 orphan 63 tw 0 alloc 16001 mem 0\n",
    "proc/sys/net/ipv4/tcp_max_orphans": "64\n",
    "proc/sys/net/netfilter/nf_conntrack_count": "90000\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "100000\n",
}


@pytest.fixture
def alarm(tmp_path: Path) -> Path:
    """A tree with limits in a state of alarm, and a space in its name."""
    root = write_tree(copy_recording(KERNEL, "established", tmp_path / "a host"), ALARMS)
    return without_reserves(write_buffers(root, 110_000))


async def test_the_first_plan_has_the_buffers_and_the_first_limit_of_the_headroom(
    alarm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with tree_app(alarm).run_test(size=TALL) as pilot:
        app = await open_plan(pilot)
        assert app._ledger is not None
        first = app._ledger.limits["full"].first
        assert first is not None
        charge = app._ledger.costs["full"].buffer_bytes_per_socket
        text = page_text(app)
        memory = app._ledger.headroom["full"].high_buffer_bytes
        buffers = f"({units.exact_bytes(charge)} B, with data ≤ {units.exact_bytes(memory, True)} B)"
        assert f"buffers now {buffers}" in text
        assert memory is not None
        assert memory < (charge or 0)
        assert (
            f"first limit: {first.label}, after about {units.rough_count(first.headroom_sockets)} connections" in text
        )
        command = shlex.split(text.partition("As text: tcptop plan ")[2])
        assert command[2:] == ["--buffers", "now", *AS_NOW, "--root", str(alarm)]
        shown = page(app)
        await pilot.press("down", "8", "n")
        assert f"›buffers now_ {buffers}" in page_text(app)
    assert_page_shows(shown, command_json(capsys, *command))


async def test_limits_that_alarm_and_are_not_counted_stand_beside_the_verdict(alarm: Path) -> None:
    async with tree_app(alarm).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"1k", "down", "0", "up", "up", "up", "up", "left")
        lines, text = page(app), page_text(app)
        assert "fits, without data: 1 000 connections, half client side;" in text
        assert (
            "not counted: orphans CRITICAL 98 % (no orphans planned), conntrack NEAR 90 % (no tracked flows planned),"
            " tcp_mem NEAR 80 % (no buffers planned)"
        ) in text
        for name, words in (("conntrack", ["90", "%", "NEAR", "90", "000", "uncounted", "100", "000"]),):
            [line] = [line for line in lines if line.startswith(f"{name} ")]
            assert line.split()[2:] == words
            assert "▒" not in line
        await pilot.press("right")
        assert "no tracked flows planned" not in page_text(app)


async def test_a_bar_above_its_limit_has_a_sign(alarm: Path) -> None:
    async with tree_app(alarm).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"2M")
        [line] = [line for line in page(app) if line.startswith("tcp_mem ")]
        assert "▒▶" in line
        await pilot.press("1")
        assert not any("▶" in line for line in page(app) if line.startswith("file-max "))


@pytest.mark.parametrize("size", [TALL, (80, 24)], ids=str)
async def test_the_first_number_is_that_of_this_netns_beside_that_of_the_machine(
    size: tuple[int, int], tmp_path: Path
) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    sockstat = root / "proc/net/sockstat"
    sockstat.write_text(re.sub(r"TCP: inuse \d+", "TCP: inuse 5000", sockstat.read_text()))
    for name in ("protocols", "snmp"):
        (root / "proc/net" / name).unlink()
    async with tree_app(root).run_test(size=size) as pilot:
        app = await open_plan(pilot)
        assert re.search(
            r"as many as were in use in this netns" + (r", of [\d ]+ of the machine;" if size == TALL else ";"),
            screen_text(app),
        )


async def test_the_title_names_the_tree(alarm: Path) -> None:
    for size, name in (((200, 70), str(alarm)), ((80, 24), alarm.name)):
        async with tree_app(alarm).run_test(size=size) as pilot:
            app = await open_plan(pilot)
            assert f"more than in this sample ─ {name}" in screen_text(app).splitlines()[0]


async def test_the_first_plan_doubles_the_open_sockets() -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot)
        assert app._ledger is not None
        sockets = app._ledger.sockets.inuse_of_both
        assert sockets is not None
        assert sockets >= 1000
        assert f"{units.grouped(sockets)} connections, half client side" in page_text(app)
        assert "as many as were in use in this netns" in page_text(app)
        await pilot.press("5")
        assert "as many as" not in page_text(app)


async def test_few_sockets_are_not_doubled() -> None:
    async with tree_app(tree(KERNEL, "base")).run_test(size=TALL) as pilot:
        app = await open_plan(pilot)
        assert app._ledger is not None
        first = app._ledger.limits["full"].first
        assert first is not None
        assert first.headroom_sockets is not None
        planned = app.screen.query_one(PlanPane).form.request.connections
        assert first.headroom_sockets * 0.4 < planned <= first.headroom_sockets / 2
        assert "about half of what fitted on opening" in page_text(app)


WRONG = [
    (("1", "K", "5"), "a whole number up to 10G, such as 20000, 300K or 2M, not '1K5'", 1000),
    (("1", "backspace"), "a whole number up to 10G, such as 20000, 300K or 2M, not ''", 1),
    (("0",), "a number above 0, not '0'", 20_000),
    (("1", "1", "G"), "not '11G'", 11),
    (("down", "9", "T"), "buffers: at most 1T, not '9T'", 20_000),
]


def figures(app: TcptopApp) -> str:
    """The lines of the page below the form and its advice."""
    lines = page(app)
    start = next(at for at, line in enumerate(lines) if ": " in line and "first limit" in line)
    return " ".join(" ".join(lines[start:]).split())


@pytest.mark.parametrize(("keys", "message", "number"), WRONG)
async def test_a_wrong_text_shows_what_is_accepted_and_keeps_the_figures(
    keys: Sequence[str], message: str, number: int
) -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"20k", "down", "up", *keys[:-1])
        before = figures(app)
        assert "(last valid)" not in before
        await pilot.press(keys[-1])
        assert message in page_text(app)
        after = figures(app)
        assert after.startswith("(last valid) ")
        assert after.removeprefix("(last valid) ") == before.removeprefix("! ")
        plural = "" if number == 1 else "s"
        assert re.search(f": {units.grouped(number)} connection{plural}, half client side[;,]", after)


async def test_a_number_takes_only_the_characters_of_a_number() -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"123")
        before = figures(app)
        for key, shown in (("x", "x"), ("ü", "?"), ("n", "n"), ("T", "T")):
            await pilot.press(key)
            assert f"! connections: digits and . k K M G, not '{shown}'" in page_text(app)
            assert "›connections 123_" in page_text(app)
            assert figures(app) == before
        await pilot.press("4")
        assert "! connections" not in page_text(app)
        assert "fits, without data: 1 234 connections, half client side" in page_text(app)


async def test_a_pasted_number_replaces_the_number() -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"7k", "tab", "shift+tab")
        app.post_message(Paste(" 100 000 \x1b[2J\nq"))
        await pilot.pause()
        await pilot.pause()
        assert "not '100000?[2J'" in page_text(app)
        assert "7 000 connections, half client side" in page_text(app)
        app.post_message(Paste(" 100 000 \nq"))
        await pilot.pause()
        await pilot.pause()
        assert "100 000 connections, half client side" in page_text(app)


@pytest.mark.parametrize("key", ["escape", "q"])
async def test_the_numbers_stay_until_the_plan_is_opened_again(key: str) -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"77k")
        await pilot.press(key)
        assert not isinstance(app.screen, PlanScreen)
        await pilot.press("M")
        assert "77 000 connections, half client side" in page_text(app)


async def test_the_palette_opens_the_plan() -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("colon", *"plan:", "enter")
        await wait_until(pilot, lambda: isinstance(app.screen, PlanScreen), "the plan is open")


async def test_the_plan_is_drawn_again_with_each_sample() -> None:
    async with tree_app(tree(KERNEL, "base")).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"100k")
        before = page(app)
        await feed(pilot, sample_tree(tree(KERNEL)))
        after = page(app)
        assert before != after
        request = app.screen.query_one(PlanPane).form.request
        found = app.feed.make_plan(request)
        assert found is not None
        [file_max] = [limit for limit in found.limits if limit.name == "file_max"]
        assert any("file-max" in line and units.count(file_max.used) in line for line in after)
        assert not any("file-max" in line and units.count(file_max.used) in line for line in before)


@pytest.mark.slow
async def test_the_command_of_a_sample_after_the_clock_was_set_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recording"
    record(file, [tree(KERNEL, phase) for phase in ("base", "base", "established")], 3, clock_set_s={2: -3600.0})
    async with replay_app(file).run_test(size=TALL) as pilot:
        await wait_for_replay(pilot)
        await pilot.press("greater_than_sign")
        app = await wait_for_replay(pilot)
        await pilot.press("M", *"100k")
        command = shlex.split(page_text(app).partition("As text: tcptop plan ")[2])
        shown = page(app)
    assert_page_shows(shown, command_json(capsys, *command))


@pytest.mark.slow
async def test_a_plan_beside_a_recorded_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "recording"
    record_phases(file, KERNEL, ["base", "established"])
    found = command_json(capsys, "--connections", "100K", *AS_NOW, "-r", str(file))
    async with replay_app(file).run_test(size=TALL) as pilot:
        app = await wait_for_replay(pilot)
        await pilot.press("M", *"100k")
        command = shlex.split(page_text(app).partition("As text: tcptop plan ")[2])
        assert command[2:-2] == [*AS_NOW, "-r", str(file)]
        earlier = page(app)
        assert f"in this sample ─ {file.name} ─ " in screen_text(app).splitlines()[0]
        await pilot.press("escape")
        await pilot.press("greater_than_sign")
        await wait_for_replay(pilot)
        await pilot.press("M", *"100k")
        assert_page_shows(page(app), found)
    first = command_json(capsys, *command)
    assert first["limits"] != found["limits"]
    assert_page_shows(earlier, first)


async def test_a_plain_user_sees_which_figures_are_unknown() -> None:
    host = ScriptedHost(tree(KERNEL))
    host.refused = root_only
    async with host_app(host).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"100000")
        text = page_text(app)
        found = app.feed.make_plan(app.screen.query_one(PlanPane).form.request)
        assert found is not None
        assert found.missing
        assert "cannot say: not known:" in text
        assert "≥ " in text or "– per connection" in text
        for name in found.missing:
            assert f"not known: {name.split()[0].replace('obj_cgroup', 'memcg')}" in text
        assert "0 B per connection" not in text.replace("≥ ", "")


async def test_what_one_process_cannot_hold_and_a_limit_that_would_be_near_are_in_sight(tmp_path: Path) -> None:
    """The sockets are more files than fs.nr_open, and would take most of memory."""
    root = copy_recording("6.1-4n", "established", tmp_path / "tree")
    write_tree(root, {"proc/sys/fs/nr_open": "1048576\n"})
    async with tree_app(root).run_test(size=(80, 24)) as pilot:
        app = await open_plan(pilot, *"1400000")
        shown = screen_text(app)
        assert re.search(r"fits, without data; memory would be NEAR \([\d to]+%\): ", " ".join(shown.split()))
        assert "one process: at most 1 048 576 files (fs.nr_open)" in shown


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 12), (60, 20), (200, 60)])
async def test_every_field_and_the_verdict_are_in_sight(size: tuple[int, int]) -> None:
    async with tree_app(tree(KERNEL)).run_test(size=size) as pilot:
        app = await open_plan(pilot, *"100000")
        shown = screen_text(app)
        for label in ("connections", "buffers", "TIME_WAIT", "side", "family", "conntrack", "epoll", "kTLS"):
            assert label in shown
        assert "fits, without data: 100 000 connections" in " ".join(shown.split())
        await pilot.press("tab")
        assert "›buffers" in screen_text(app)
        await pilot.press("end")
        assert "As text: tcptop plan" in " ".join(screen_text(app).split())
        await resize(pilot, (30, 8))
        await pilot.press("up")
        assert "›connections" in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_typed_size_shows_its_charge_and_memory_beside_it(alarm: Path, size: tuple[int, int]) -> None:
    """If the user types the shown charge, the plan is another plan, and the field says so."""
    async with tree_app(alarm).run_test(size=size) as pilot:
        app = await open_plan(pilot, "down")
        assert "a typed size is all data" in page_text(app)
        charge = re.search(r"›buffers now \(([\d ]+) B, with data ≤ ([\d ]+) B\)", page_text(app))
        assert charge is not None
        await pilot.press(*charge[1].replace(" ", ""))
        number = int(charge[1].replace(" ", ""))
        whole = units.grouped(-(-number // 4096) * 4096)
        assert f"{number}_ ({whole} B, with data {charge[1]} B)" in page_text(app)
        await pilot.press("0", "0", "0", "0", "0", "0", "0", "0", "0", "0")
        assert not re.search(r"_ \([\d ]+ B, with data", page_text(app)), "what is not valid has no amounts"
        await pilot.press("end")
        assert "a given size is all data, and counts in whole pages" in page_text(app)


async def test_the_line_below_the_verdict_names_the_keys_of_a_look() -> None:
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)
    host.texts[SOCKETS_PATH] = look_text(net(alloc=4_000), listen(), process(10, limit=100), group("whole:10")).encode()
    line = "nofile, accept queues and ports were not looked at, may come first: ESC, W"
    async with host_app(host).run_test(size=(80, 40)) as pilot:
        app = await open_plan(pilot)
        assert line in [each.strip() for each in page(app)]
        await pilot.press("escape", "W")
        await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
        await pilot.press("escape", "M")
        await pilot.pause()
        assert "not looked at" not in page_text(app)
        assert "one new process needs nofile above" in page_text(app)
    async with tree_app(tree("6.18-1n")).run_test(size=(80, 40)) as pilot:
        app = await open_plan(pilot)
        assert line.partition(":")[0] in [each.strip() for each in page(app)]


async def test_idle_sockets_are_told_of_the_field_of_the_form() -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot)
        assert "The field buffers adds them: type a size, or n for what a socket has now." in page_text(app)
        assert "--buffers adds" not in page_text(app)


@pytest.mark.parametrize(("count", "word"), [("90000", "yes"), ("0", "no"), (None, "no")])
@pytest.mark.parametrize("most", ["100000", "0"])
async def test_conntrack_begins_as_this_machine_tracks_now(
    alarm: Path, count: str | None, most: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = "proc/sys/net/netfilter"
    write_tree(alarm, {f"{folder}/nf_conntrack_max": f"{most}\n"})
    if count is None:
        (alarm / folder / "nf_conntrack_count").unlink()
    else:
        write_tree(alarm, {f"{folder}/nf_conntrack_count": f"{count}\n"})
    async with tree_app(alarm).run_test(size=(120, 90)) as pilot:
        app = await open_plan(pilot)
        assert f"conntrack {word} " in page_text(app)
        by_default = shlex.split(page_text(app).partition("As text: tcptop plan ")[2])
        await pilot.press("up", "up", "up", "space")
        changed = shlex.split(page_text(app).partition("As text: tcptop plan ")[2])
    assert not {"--conntrack", "--no-conntrack"} & set(by_default), "it is the command's default, too"
    assert command_json(capsys, *by_default)["request"]["conntrack"] == (word == "yes")
    assert ("--no-conntrack" if word == "yes" else "--conntrack") in changed
    assert command_json(capsys, *changed)["request"]["conntrack"] == (word == "no")


@pytest.mark.parametrize(
    ("kernel", "phase"),
    [(KERNEL, "established"), (KERNEL, "halfclosed"), ("6.1-4n-ipv6", "established"), ("6.12-4n", "halfclosed")],
)
async def test_the_form_begins_with_the_assumptions_of_the_main_screen(kernel: str, phase: str) -> None:
    async with tree_app(tree(kernel, phase)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot)
        assert app._ledger is not None
        limits = {limit.name: limit for limit in app._ledger.limits["full"].rows}
        found = app.feed.make_plan(app.screen.query_one(PlanPane).form.request)
        assert found is not None
        assert {limit.name for limit in found.limits} >= {"memory", "file_max"}
        headroom = app._ledger.headroom["full"]
        for planned in found.limits:
            fits = limits[planned.name].headroom_sockets
            # The plan uses upper bounds of memory, and the headroom uses lower bounds. If the buffers are unknown, the
            # plan also uses their lower bound. In the plan, client sockets share local ports.
            rel = 1e-6 if planned.name != "memory" else 0.03 if limits["memory"].headroom_is_at_most else 0.02
            assert fits is not None
            least: float = fits
            if planned.name == "memory":
                each, low, high = headroom.bytes_per_socket, headroom.buffer_bytes, headroom.high_buffer_bytes
                least = fits * (each or 0) / ((each or 0) - (low or 0) + (high or 0))
            if planned.used_error and planned.high_takes and planned.maximum and planned.used is not None:
                # The number of the plan surely fits within the error of the counter, which the takes may have, too.
                left = planned.maximum - planned.used - planned.used_error
                least = left * found.request.connections / planned.high_takes
                most = planned.high_connections
                assert most is not None
                assert least - 1 <= fits <= most + 1
            assert planned.connections == pytest.approx(least, rel=rel, abs=1)
        signs = (r"≤ ", r"≥ ") if headroom.is_at_most else (r"", r"(≥ )?")
        if headroom.is_at_most and headroom.with_reclaim_low:
            signs = (rf"{units.rough_count(headroom.with_reclaim_low)} to ", r"[\d ]+ to ")
        number = f"memory for {signs[0]}{units.rough_count(headroom.sockets, up=headroom.is_at_most)} more"
        assert page_text(app).count(number) == 1
        is_first = f"main screen: {number}, with" in page_text(app)
        assert re.search(
            rf"Main screen: {'' if is_first else number + ' '}at {signs[1]}[\d ]+ B each \(half client side, ",
            page_text(app),
        )
        if headroom.buffer_bytes is None:
            assert "B each (half client side, buffers not known; memcg vectors at their least, " in page_text(app)
            assert "(≈ 4 194 B, with data not known)" in page_text(app)


@pytest.mark.slow
async def test_what_to_do_is_above_the_fold_and_a_hint_says_that_more_is_below(alarm: Path) -> None:
    async with tree_app(alarm).run_test(size=(80, 24)) as pilot:
        app = await open_plan(pilot, "5", "0", "k")
        lines = page(app)
        starts = [
            next(at for at, line in enumerate(lines) if re.match(pattern, line.strip()))
            for pattern in (r"! does not fit", r"Sysctls to change", r"net\.netfilter\.nf_conntrack_max = ", r"LIMIT ")
        ]
        assert starts == sorted(starts)
        assert lines[-1].strip() == "↓ more: PgDn"
        seen: list[str] = []
        for _ in range(20):
            lines = page(app)
            first, last, length = map(int, re.findall(r"\d+", re.findall(r"\d+–\d+ of \d+", screen_text(app))[0]))
            seen[first - 1 :] = lines[5:][: last - first + 1]
            assert (lines[-1].strip() == "↓ more: PgDn") == (last < length)
            await pilot.press("pagedown")
        assert len(seen) == length
        shown = " ".join(" ".join(seen).split())
        for words in ("TAKES CACHE", "Main screen: ", "As text: tcptop plan"):
            assert words in shown


async def test_nodes_have_their_free_memory_and_what_fits_there() -> None:
    async with tree_app(tree(KERNEL)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, *"100k")
        lines = page(app)
        heading = next(
            at for at, line in enumerate(lines) if line.split() == ["NODE", "TAKES", "USABLE", "FITS", "MORE"]
        )
        found = app.feed.make_plan(app.screen.query_one(PlanPane).form.request)
        assert found is not None
        assert found.nodes is not None
        for number, node in found.nodes.items():
            cells = [
                str(number),
                units.size_range(node.bytes, node.high_bytes or 0),
                units.size(node.free_bytes),
                f"≥ {units.rough_count(node.connections)}",
            ]
            assert " ".join(lines[heading + 1 + number].split()) == " ".join(cells)


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 40)], ids=str)
async def test_enter_goes_to_the_next_field_and_the_line_of_keys_says_so(size: tuple[int, int]) -> None:
    async with tree_app(tree(KERNEL)).run_test(size=size) as pilot:
        app = await open_plan(pilot, *"500k")
        assert "ENTER next" in screen_text(app) or "ENTER ↓ ↑ next field" in screen_text(app)
        await pilot.press("enter", "7", "enter")
        form = app.screen.query_one(PlanPane).form
        assert (form.request.connections, form.request.buffer_bytes, form.field.label) == (500_000, 7, "TIME_WAIT")
        await pilot.press("escape")
        assert not isinstance(app.screen, PlanScreen)


async def test_rows_of_nodes_keep_their_column_titles_when_they_scroll() -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(80, 24)) as pilot:
        app = await open_plan(pilot)
        seen: set[str] = set()
        for _ in range(4):
            await pilot.press("pagedown")
            lines = page(app)
            rows = [number for number, line in enumerate(lines) if re.match(r" +[0-7] +[\d.]+ .*[KMG]iB ", line)]
            seen |= {lines[number].split()[0] for number in rows}
            if rows:
                assert any(line.split()[:1] == ["NODE"] for line in lines[: rows[0]]), lines
        assert "7" in seen


@pytest.mark.parametrize(
    ("kernel", "phase"), [("6.18-1n", "established"), ("6.1-4n", "base"), ("6.1-4n", "established")]
)
async def test_the_first_plan_has_buffers_where_the_main_screen_assumes_buffers(kernel: str, phase: str) -> None:
    async with tree_app(tree(kernel, phase)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot)
        assert app._ledger is not None
        assumed = app._ledger.headroom["full"].counts_buffers("memory")
        assert ("buffers now" in page_text(app)) is assumed
        words = page_text(app).partition("(average buffers, or none)")[0]
        assert ("average buffers" in words) is assumed  # of the plan, or of the main screen


async def test_a_wide_screen_has_the_remarks_beside_the_figures() -> None:
    async with tree_app(tree("6.1-8n")).run_test(size=(200, 60)) as pilot:
        await wait_for_app(pilot)
        await pilot.press("M")
        await pilot.pause()
        lines = screen_text(pilot.app).splitlines()
        [node] = [line for line in lines if " NODE " in line and "USABLE" in line]
        assert node.index("NODE") > 120
        assert any("per connection" in line[:120] for line in lines)
        assert any("programs themselves" in line[120:] for line in lines)


@pytest.mark.parametrize("size", [TALL, (120, 40), (200, 60)], ids=str)
async def test_the_bars_leave_two_blanks_between_the_columns(size: tuple[int, int], alarm: Path) -> None:
    async with tree_app(alarm).run_test(size=size) as pilot:
        app = await open_plan(pilot, *"1M")
        lines = page(app)
        [start] = [index for index, line in enumerate(lines) if "NOW █ PLAN ▒" in line]
        assert re.search(r"USED {2,}TAKES {2,}OF {2,}FITS MORE", lines[start])
        rows = [line for line in lines[start:] if re.match(r" ?(memory|file-max|tcp_mem) +[█▒·]", line)]
        assert rows
        for row in rows:
            texts = re.split(r" {2,}", row.strip())
            assert all(len(re.findall(r"\d[\d ]*(?: [KMG]iB)?$", text)) <= 1 for text in texts)
            assert not any(re.search(r"\d{1,3} \d{3} \d{1,2} ", text) for text in texts)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_the_form_says_at_each_size_why_it_has_its_number_and_what_it_plans(size: tuple[int, int]) -> None:
    async with tree_app(tree("6.1-8n", "base")).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("m", "M")
        await pilot.pause()
        assert "about half of what fitted on opening; type a number" in screen_text(app)
        assert "Plan ─ more than" in screen_text(app)
        await pilot.press("down", "down", "0")
        await pilot.pause()
        assert "Plan of open sockets" in screen_text(app)


@pytest.mark.parametrize(
    ("phase", "keys", "expected"), [("base", "m", 130_000), ("timewait", "m", 8_000), ("timewait", "", 0)]
)
async def test_in_the_accounting_of_time_wait_the_form_begins_with_mini_sockets(
    phase: str, keys: str, expected: int
) -> None:
    """As many as are there now, or half of what tcp_max_tw_buckets allows."""
    async with tree_app(tree(KERNEL, phase)).run_test(size=TALL) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press(*keys, "M")
        await pilot.pause()
        assert app.screen.query_one(PlanPane).form.request.time_wait == pytest.approx(expected, rel=0.01)
        assert "does not fit" not in page_text(app)


@pytest.mark.parametrize(("kernel", "has_now"), [("6.18-1n", False), ("6.12-4n", True)])
async def test_the_legend_of_the_bars_has_the_signs_that_they_have(kernel: str, has_now: bool) -> None:
    """On a machine of which little is in use, no bar has a cell of the present use."""
    async with tree_app(tree(kernel, "established")).run_test(size=(80, 24)) as pilot:
        app = await open_plan(pilot, *"10")
        lines = page(app)
        [head] = [line for line in lines if line.lstrip().startswith("LIMIT")]
        bars = "".join(line for line in lines if re.match(r" ?(memory|file-max|tcp_mem) +[█▒·]", line))
        assert "▒" in bars
        assert "PLAN ▒" in head
        assert ("NOW █" in head) == ("█" in bars) == has_now


@pytest.mark.parametrize(
    ("kernel", "phase"),
    [
        (kernel, phase)
        for kernel in ("6.1-8n", "5.10-4n", "6.1-1n", "6.12-4n")
        for phase in ("established", "halfclosed")
    ],
)
async def test_the_form_names_all_that_the_main_screen_counts_otherwise(
    kernel: str, phase: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shared bind buckets take less and obj_cgroup vectors more: neither alone explains the other number."""
    reason = "more, with a bind bucket for each client (planned clients share ports), no memcg vectors"
    remark = "a bind bucket for each client (planned clients share ports); no TIME_WAIT"
    async with tree_app(tree(kernel, phase)).run_test(size=TALL) as pilot:
        app = await open_plan(pilot)
        assert app._ledger is not None
        planned = app.screen.query_one(PlanPane).form.request
        text = page_text(app)
        await pilot.press(*["down"] * 3, "right")
        await pilot.pause()
        assert reason not in page_text(app)
    headroom = app._ledger.headroom["full"]
    buffers = ("--buffers", str(planned.buffer_bytes))
    found = command_json(
        capsys,
        *("--root", str(tree(kernel, phase)), "--side", "mixed", "--family", "now", *buffers),
        *("--connections", str(headroom.sockets)),
    )
    parts = {
        name: [part for part in found["takes"]["parts"] if part["object"] == name]
        for name in {p["object"] for p in found["takes"]["parts"]}
    }
    assert headroom.sockets
    each = {name: sum(part["high_bytes"] for part in own) / headroom.sockets for name, own in parts.items()}
    cost = app._ledger.costs["full"].by_family["mix"].outgoing.parts
    bucket = next(part.slab_bytes or 0 for part in cost if part.object == "struct inet_bind_bucket") / 2
    assert each["struct inet_bind_bucket"] < bucket / 2
    assert each["obj_cgroup vectors"] > 30
    others = (headroom.bytes_per_socket or 0) - (headroom.buffer_bytes or 0) - bucket
    ours = sum(
        size for name, size in each.items() if name not in ("struct inet_bind_bucket", "obj_cgroup vectors", "buffers")
    )
    assert ours == pytest.approx(others, rel=1e-3)
    heading = text.index("NOW █ PLAN ▒")
    assert (reason in text[:heading]) == ("first limit: memory" in text)
    assert reason not in text[heading:]
    assert remark in text[heading:]
    assert "memcg vectors" in text[heading:].partition(remark)[0].partition("Main screen: ")[2]


@pytest.mark.parametrize("number", ["160000", "1000000"])
async def test_the_bars_stay_beside_an_alarm_at_80_columns(number: str) -> None:
    """USED, which the bar shows as well, gives way to the words of the alarm, and goes to a line below the table."""
    async with tree_app(tree("6.12-4n", "halfclosed")).run_test(size=(80, 24)) as pilot:
        app = await open_plan(pilot, *number)
        rows = page(app)
        [head] = [row for row in rows if row.lstrip().startswith("LIMIT")]
        assert "NOW █ PLAN ▒" in head
        [tcp_mem] = [row for row in rows if row.lstrip().startswith("tcp_mem ") and "MiB" in row]
        assert "█▒" in tcp_mem
        assert "FULL" in tcp_mem
        assert "USED" not in head
        assert " USED: tcp_mem 32.0 MiB, memory 399.8 MiB, file-max ≈ 8 192" in "\n".join(rows)
        assert re.search(r"≥ \d{3} 000$", tcp_mem.rstrip())
    async with tree_app(tree("6.12-4n", "halfclosed")).run_test(size=(120, 40)) as pilot:
        app = await open_plan(pilot, *number)
        [head] = [row for row in page(app) if row.lstrip().startswith("LIMIT")]
        assert "USED: " not in screen_text(app)
        assert "USED" in head


async def test_a_higher_tcp_mem_reaches_as_many_connections_as_memory_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_recording("6.1-8n", "established", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").write_text("20000\t30000\t40000\n")
    found = command_json(capsys, "--root", str(root), "--connections", "500K", "--buffers", "1M", *AS_NOW)
    notes = {limit["name"]: limit["note"] for limit in found["limits"]}
    async with tree_app(root).run_test(size=TALL) as pilot:
        app = await open_plan(pilot, "5", "0", "0", "K", "tab", "1", "M")
        assert notes["tcp_mem"].startswith("raising net.ipv4.tcp_mem reaches about ")
        assert f"tcp_mem: {notes['tcp_mem']}" in page_text(app)
        assert f"net.ipv4.tcp_mem = {' '.join(map(str, found['sysctls'][0]['advised']))}" in page_text(app)
