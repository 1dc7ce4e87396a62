"""The screen of holders of sockets, operated by real keys, on a list of the sockets of eight loads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from drive import (
    AppPilot,
    ScriptedHost,
    copy_tree,
    drawn_lines,
    host_app,
    record_phases,
    replay_app,
    screen_text,
    tree,
    tree_app,
    wait_for_app,
    wait_for_replay,
    wait_until,
)
from made_look import cgroup, group, listen, look_text, net, process, shared
from test_words import unknown_words

from tcptop.explanation.holder_rows import SORTS, holder_rows
from tcptop.explanation.holders_page import holder_cells
from tcptop.ledger import Amount
from tcptop.recording.recorder import Recorder
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.screen.app import TcptopApp
from tcptop.sources.socket_table import SocketTableSource
from tcptop.text.line import text_of
from tcptop.widgets.cell_width import first_fitting, to_ascii
from tcptop.widgets.head_line import head_line
from tcptop.widgets.help_screen import HoldersHelpPane
from tcptop.widgets.holders_screen import COLUMNS, HoldersPane, HoldersScreen, lay_out, owner_variants, under_cursor
from tcptop.widgets.pane import ASCII_CLASS

LOOK = Path(__file__).resolve().parents[1] / "sock_diag/look-8-scenarios.txt"
SOCKETS = "sock_diag/sockets"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree with a list of the sockets of eight loads, each load in its own network namespace."""
    folder = copy_tree(tree("6.18-1n"), tmp_path / "web-17")
    (folder / "sock_diag").mkdir()
    (folder / SOCKETS).write_bytes(LOOK.read_bytes())
    return folder


async def open_holders(pilot: AppPilot, *keys: str) -> TcptopApp:
    app = await wait_for_app(pilot)
    for key in ("W", *keys):
        await pilot.press(key)
        await pilot.pause()
    return app


def shown(app: TcptopApp) -> list[str]:
    return drawn_lines(app.screen.query_one(HoldersPane))


async def test_the_table_its_sums_and_its_verdicts(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(80, 36)) as pilot:
        lines = shown(await open_holders(pilot))
        assert lines[0].split() == ["OWNER", "STATE", "SERVICE", "SOCKETS", "MEMORY", "BUFFERS", "CGROUP"]
        assert any(line.split()[:4] == ["hoarder[32274]", "CLOSE_WAIT", "in", ":8080"] for line in lines)
        assert any("FULL, 1 194 dropped" in line for line in lines)
        assert any("all: 3 109 sockets" in line for line in lines)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, {"STATE"}),
        (120, {"SLAB", "UNREAD", "UNSENT", "DROPS", "SHARE", "Δ"}),
        (160, {"NETNS", "USER"}),
        (180, {"SOCK", "KERNEL"}),
    ],
)
async def test_the_columns_follow_from_the_width(folder: Path, width: int, columns: set[str]) -> None:
    async with tree_app(folder).run_test(size=(width, 40)) as pilot:
        assert columns <= set(shown(await open_holders(pilot))[0].split())


@pytest.mark.parametrize("size", [(40, 12), (60, 20), (80, 24), (120, 40), (200, 60)])
async def test_states_are_whole(folder: Path, size: tuple[int, int]) -> None:
    async with tree_app(folder).run_test(size=size) as pilot:
        lines = shown(await open_holders(pilot, "s", "home"))
        at = lines[0].index("STATE")
        states = {line[at : at + 12].strip() for line in lines[1:7]}
        assert {"TIME_WAIT", "FIN_WAIT2", "CLOSE_WAIT", "ESTABLISHED"} <= states


async def test_what_does_not_fit_is_the_least_urgent_and_no_text_ends_without_a_sign(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(40, 12)) as pilot:
        app = await open_holders(pilot)
        lines = shown(app)
        assert app._ledger is not None
        assert app._ledger.holders is not None
        whole = {f"!  {verdict.text}" for verdict in app._ledger.holders.verdicts}
        marked = [line.rstrip() for line in lines if line.startswith("!")]
        assert "accept queue" in marked[0]
        assert all(line.endswith("…") or line in whole for line in marked[1:])
        assert any(text in " ".join(" ".join(lines).split()) for text in {" ".join(each.split()) for each in whole})
        assert any(re.fullmatch(r"   … \d+ more", line.rstrip()) for line in lines)


async def test_the_most_urgent_verdict_is_whole_where_it_leaves_a_line_for_the_others(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(60, 20)) as pilot:
        app = await open_holders(pilot)
        assert app._ledger is not None
        assert app._ledger.holders is not None
        text = " ".join(" ".join(shown(app)).split())
        assert f"!  {app._ledger.holders.verdicts[0].text}".replace("  ", " ") in text
        hidden = re.search(r"… (\d+) more", text)
        assert hidden
        assert text.count("! ") + int(hidden[1]) == len(app._ledger.holders.verdicts) + bool(
            app._ledger.holders.missing
        )


async def test_in_ascii_the_keys_of_the_columns_and_of_the_grouping_look_different(folder: Path) -> None:
    app = tree_app(folder)
    app.set_class(True, ASCII_CLASS)
    async with app.run_test(size=(80, 24)) as pilot:
        keys = shown(await open_holders(pilot))[-1]
        assert to_ascii(keys).count("< >") == 1
        assert "Left Right by" in keys or "Left Right group by" in keys


async def test_a_key_of_the_page_says_in_the_table_where_it_works(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(60, 20)) as pilot:
        app = await open_holders(pilot, "d")
        assert "ENTER opens the row" in " ".join(each.message for each in app._notifications)


def made_tree(tmp_path: Path, *lines: str) -> Path:
    folder = copy_tree(tree("6.18-1n"), tmp_path / "web-17")
    (folder / "sock_diag").mkdir()
    (folder / SOCKETS).write_text(look_text(*lines))
    return folder


def colour(app: TcptopApp, row: str, text: str) -> str:
    """The colour of a text in the row of the table that matches `row`."""
    [found] = [colour for part, colour in parts(app, row) if text in part]
    return found


def coloured(app: TcptopApp, row: str, colour: str) -> list[str]:
    """The texts that have a colour in the row of the table that matches `row`."""
    return [part.strip() for part, each in parts(app, row) if each == colour]


def parts(app: TcptopApp, row: str) -> list[tuple[str, str]]:
    """The texts of the row of the table that matches `row`, each with its colour."""
    [number] = [number for number, line in enumerate(shown(app)) if re.search(row, line)]
    segments = app.screen.query_one(HoldersPane).render_line(number)
    return [(each.text, str(each.style and each.style.color)) for each in segments]


async def test_a_cell_is_coloured_only_if_a_verdict_is_about_it(tmp_path: Path) -> None:
    folder = made_tree(
        tmp_path,
        *(net(), listen(7070, 0, 128, 5, 10), listen(8080, 301, 300, 2_189, 11)),
        *(group("whole:10", 600, "CLOSE_WAIT", port=7070, rmem=900_000), group("none", 301)),
        *(process(10, "hoarder"), process(11, "sleeper")),
    )
    async with tree_app(folder).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot, "end")
        plain, warning = (str(app.screen.query_one(HoldersPane)._style(role).color) for role in ("text", "warning"))
        assert coloured(app, "CLOSE_WAIT", warning) == ["CLOSE_WAIT", "600"]
        assert colour(app, "CLOSE_WAIT", "879K") == colour(app, "CLOSE_WAIT", "hoarder[10]") == plain
        assert colour(app, r"hoarder.* LISTEN", "hoarder[10]") == plain
        assert coloured(app, "^queue of", warning) == ["queue of sleeper[11]", "301"]
        await pilot.press("home")
        await pilot.pause()
        assert coloured(app, "^sleeper.* LISTEN", warning) == ["sleeper[11]", "2 189"]
        for _ in range(5):
            await pilot.press("right")
        await pilot.press("end")
        await pilot.pause()
        assert shown(app)[0].startswith("STATE")
        assert colour(app, "CLOSE_WAIT", "CLOSE_WAIT") == warning


async def test_a_cell_of_all_sockets_of_a_cgroup_is_not_coloured_for_some_of_them(tmp_path: Path) -> None:
    folder = made_tree(
        tmp_path,
        *(net(), listen(8080, 301, 300, 2_189, 11, cgroup=7), group("none", 301, cgroup=7)),
        *(group("whole:11", 1_342, cgroup=7), process(11, "sleeper"), cgroup(7, "/a.service")),
        *(group("whole:12", 500, "CLOSE_WAIT", cgroup=8), process(12, "hoarder"), cgroup(8, "/b.service")),
    )
    async with tree_app(folder).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot)
        warning = str(app.screen.query_one(HoldersPane)._style("warning").color)
        assert coloured(app, "^queue of", warning) == ["queue of sleeper[11]", "301"]
        await pilot.press("right", "right", "end")
        await pilot.pause()
        assert shown(app)[0].startswith("CGROUP")
        line = next(line for line in shown(app) if line.startswith("/a.service"))
        assert "1 644" in line
        assert "1 644" not in coloured(app, "^/a.service", warning)
        assert "/a.service" in coloured(app, "^/a.service", warning)
        await pilot.press("home")
        await pilot.pause()
        assert coloured(app, "^/b.service", warning) == ["CLOSE_WAIT", "500"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_last_line_names_the_key_of_the_help(folder: Path, size: tuple[int, int]) -> None:
    async with tree_app(folder).run_test(size=size) as pilot:
        app = await open_holders(pilot)
        assert "? help" in shown(app)[-1]
        await pilot.press("question_mark")
        await pilot.pause()
        assert app.screen.query(HoldersHelpPane)
    host = live_host()
    async with host_app(host).run_test(size=size) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("W")
        await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
        await pilot.pause()
        assert "? help" in shown(app)[-1]
    host.close()


async def test_a_process_nearly_out_of_files_is_coloured_and_its_queues_are_not(tmp_path: Path) -> None:
    folder = made_tree(
        tmp_path,
        *(net(), listen(8080, 0, 128, 5, 10), process(10, "server", descriptors=96, limit=100)),
        *(group("whole:10", 90, port=8080, rmem=900_000, drops=3), group("whole:11", 7, port=22), process(11, "other")),
    )
    async with tree_app(folder).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot, "end")
        warning = str(app.screen.query_one(HoldersPane)._style("warning").color)
        assert coloured(app, "^server.* ESTABLISHED", warning) == ["server[10]"]
        assert coloured(app, "^server.* LISTEN", warning) == ["server[10]"]
        assert coloured(app, "^other", warning) == []
        await pilot.press("right", "end")
        await pilot.pause()
        assert shown(app)[0].startswith("PROCESS")
        assert coloured(app, "^server", warning) == ["server[10]"]
        for _ in range(3):
            await pilot.press("right", "end")
        await pilot.pause()
        assert shown(app)[0].startswith("SERVICE")
        assert coloured(app, "^in :8080", warning) == ["server[10]"]
    async with tree_app(folder).run_test(size=(40, 24)) as pilot:
        app = await open_holders(pilot, *["right"] * 4, "end")
        assert "OWNER" not in shown(app)[0]
        assert coloured(app, "^in :8080", warning) == ["in :8080"], "a row with a verdict is never without its colour"


async def test_unread_data_and_orphans_colour_their_own_cells(tmp_path: Path) -> None:
    folder = made_tree(
        tmp_path,
        *(net(), process(10, "stuck"), group("whole:10", 40, port=8080, rqueue=9_000_000_000, rmem=9_000_000_000)),
        group("none", 30_000, "FIN_WAIT1", port=443, wqueue=900_000_000, wmem_queued=900_000_000),
    )
    async with tree_app(folder).run_test(size=(140, 40)) as pilot:
        app = await open_holders(pilot)
        lines = shown(app)
        assert any("unread in 40 sockets" in line for line in lines)
        assert any("30 000 orphans" in line for line in lines)
        warning = str(app.screen.query_one(HoldersPane)._style("warning").color)
        for key, row, title in (("end", "^stuck", "UNREAD"), ("home", r"^\(orphan\)", "UNSENT")):
            await pilot.press(key)
            await pilot.pause()
            start = lines[0].index(title)
            [line] = [line for line in shown(app) if re.search(row, line)]
            cell = line[start : start + len(title)].strip()
            assert coloured(app, row, warning) == ([cell] if title == "UNREAD" else ["30 000", cell])


async def test_columns_that_say_nothing_are_left_out_and_those_that_tell_rows_apart_are_not(tmp_path: Path) -> None:
    lines = (process(1234567, "long-program-name"), cgroup(1, "/"))
    one = made_tree(tmp_path, net(), *lines, group("whole:1234567", 5, cgroup=1), group("none", 3))
    async with tree_app(one).run_test(size=(120, 40)) as pilot:
        lines_shown = shown(await open_holders(pilot))
        assert not {"CGROUP", "NETNS", "SOCK", "KERNEL"} & set(lines_shown[0].split())
        assert "long-program-name[1234567]" in "\n".join(lines_shown)
    async with tree_app(one).run_test(size=(40, 12)) as pilot:
        lines_shown = shown(await open_holders(pilot))
        assert "long-pro…[1234567]" in "\n".join(lines_shown)
        assert "ESTABLISHED" in "\n".join(lines_shown)
    nets = (net(), net(9, False, name="blue"), net(8, False, name="red"))
    mini = [group("none", 70 + number, "TIME_WAIT", mini=True, namespace=number) for number in (8, 9)]
    several = made_tree(tmp_path / "b", *nets, *mini)
    async with tree_app(several).run_test(size=(80, 24)) as pilot:
        text = "\n".join(shown(await open_holders(pilot)))
        assert "NETNS" in text
        assert "red" in text
        assert "blue" in text


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
@pytest.mark.parametrize("uid", [0, 1000])
async def test_a_plain_user_has_shares_at_most_and_sums_of_what_is_seen(
    tmp_path: Path, size: tuple[int, int], uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root is not told to become root."""
    monkeypatch.setattr("tcptop.sources.socket_table.os.geteuid", lambda: uid)
    groups = (group("whole:10", 750), group("whole:11", 250), group("whole:10", state="LISTEN"))
    hidden = net(None, False, asked="refused", reason="Permission denied")
    seen = made_tree(tmp_path / "a", net(alloc=4_000), hidden, process(10), process(11), *groups)
    async with tree_app(seen).run_test(size=size) as pilot:
        head, *rows = shown(await open_holders(pilot))
        end = head.index("SHARE") + len("SHARE")
        shares = [row[:end].split()[-1] for row in rows[:3]]
        assert shares == ["≤75%", "≤25%", "≤1%"]
        text = " ".join(" ".join(rows).split())
        assert "seen: 1 001 sockets; 4 000 allocated on the machine; MEMORY " in text
        assert re.search(
            r"; MEMORY [^;]+iB, without idle slab memory: slabs ≈ [^;]+iB, buffers with data 0 B;"
            r" 0 mini-sockets of this netns,",
            text,
        )
        assert "Permission denied" in text
        assert ("root sees more" in text) is (uid != 0)
    async with tree_app(made_tree(tmp_path / "b", net(), process(10), process(11), *groups)).run_test(
        size=size
    ) as pilot:
        text = "\n".join(shown(await open_holders(pilot)))
        assert "all: 1 001 sockets" in text
        assert "≤" not in text


async def test_memory_of_sockets_whose_number_is_an_estimate_is_one_too(tmp_path: Path) -> None:
    lines = (net(), process(10, whole=False, weight=9), process(11, "other"))
    groups = (group("sampled:10", 60), group("unseen", 500), group("whole:11", 7))
    async with tree_app(made_tree(tmp_path, *lines, *groups)).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot)
        assert app._ledger is not None
        holders = app._ledger.holders
    assert holders is not None
    exact = Amount(9 * 1024, 9 * 1024)
    found = {
        row.name: holder_cells(row._replace(slab_bytes=exact), "owner", ["SOCKETS", "MEMORY", "SLAB"])
        for row in holder_rows(holders, "owner")
    }
    assert found["server[10]"][1:] == ["≈9.00K", "≈9.00K"]
    assert found["server[10]"][0].startswith("≈")
    assert found["other[11]"] == ["7", "9.00K", "9.00K"]


async def test_sockets_that_came_or_went_while_it_read_name_the_key_that_looks_again() -> None:
    text = look_text(net(alloc=66, alloc_before=90), group(sockets=10), process(10))
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)
    host.texts[SOCKETS] = text.encode()
    async with host_app(host).run_test(size=(200, 40)) as pilot:
        app = await open_holders(pilot)
        await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
        await pilot.pause()
        assert "in no dump: opened or closed while it read (SPACE looks again), never" in screen_text(app)
        assert not unknown_words(screen_text(app))
    host.close()


async def test_many_ports_are_never_cut(tmp_path: Path) -> None:
    folder = made_tree(tmp_path, net(), group("none", 70, "TIME_WAIT", mini=True, server=False, port=None))
    for width, text in ((60, " to many  "), (160, " to many ports ")):
        async with tree_app(folder).run_test(size=(width, 24)) as pilot:
            lines = shown(await open_holders(pilot))
            assert text in lines[1]
            assert "…" not in lines[1]


@pytest.mark.slow
async def test_no_part_of_the_title_is_cut(folder: Path) -> None:
    for width in range(30, 100, 7):
        async with tree_app(folder).run_test(size=(width, 24)) as pilot:
            pane = (await open_holders(pilot)).screen.query_one(HoldersPane)
            title = str(pane.border_title)
            assert (
                title.endswith(("Who", "by owner, most memory first", "machine: 9 netns", "s of CPU"))
                or " of " in title
            ), title


async def test_keys_group_sort_and_filter(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot, "left", "left", "s")
        lines = shown(app)
        assert lines[1].split()[0] == "ESTABLISHED"
        await pilot.press("s", "s", "s", "s")
        await pilot.pause()
        assert shown(app)[1].split()[0] == "FIN_WAIT1"
        await pilot.press("slash", *"hoarder", "enter")
        await pilot.pause()
        assert [line.split()[0] for line in shown(app)[1:3] if line] == ["CLOSE_WAIT"]
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, HoldersScreen)
        assert shown(app)[1].split()[0] == "FIN_WAIT1"
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, HoldersScreen)


def titles(app: TcptopApp) -> list[str]:
    """The headings of the columns in sight."""
    return shown(app)[0].split()


async def test_the_most_memory_is_first_and_the_title_says_so(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(100, 24)) as pilot:
        app = await open_holders(pilot)
        pane = app.screen.query_one(HoldersPane)
        memory = [row.memory.low for row in pane._rows]
        assert memory == sorted(memory, reverse=True)
        assert "by owner, most memory first" in str(pane.border_title)
        await pilot.press("s")
        await pilot.pause()
        assert "by owner, most sockets first" in str(pane.border_title)


@pytest.mark.slow
@pytest.mark.parametrize("width", [40, 80])
async def test_the_sorted_column_is_always_in_sight(folder: Path, width: int) -> None:
    async with tree_app(folder).run_test(size=(width, 24)) as pilot:
        app = await open_holders(pilot)
        for sort in (*SORTS, SORTS[0]):
            assert sort.upper() in titles(app)
            await pilot.press("greater_than_sign", "greater_than_sign")
            await pilot.pause()
            assert {"OWNER", sort.upper()} <= set(titles(app))
            await pilot.press("less_than_sign", "less_than_sign", "s")
            await pilot.pause()


@pytest.mark.slow
@pytest.mark.parametrize("keys", [("greater_than_sign", "less_than_sign"), ("shift+right", "shift+left")])
async def test_every_column_scrolls_into_sight(folder: Path, keys: tuple[str, str]) -> None:
    async with tree_app(folder).run_test(size=(60, 24)) as pilot:
        app = await open_holders(pilot)
        first = titles(app)
        seen = set(first)
        assert "< > columns" in shown(app)[-1]
        for _ in range(len(COLUMNS)):
            await pilot.press(keys[0])
            await pilot.pause()
            seen |= set(titles(app))
        assert seen == set(COLUMNS)
        last = titles(app)
        assert last[-1] == "CGROUP"
        await pilot.press(keys[1])
        await pilot.pause()
        assert titles(app) != last, "a key beyond the last column is not kept"
        for _ in range(len(COLUMNS)):
            await pilot.press(keys[1])
            await pilot.pause()
        assert titles(app) == first


async def test_the_last_line_has_the_keys_that_work_here(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(250, 40)) as pilot:
        app = await open_holders(pilot)
        assert "columns" not in shown(app)[-1], "all columns are in sight"
        assert "SPACE" not in shown(app)[-1], "a saved tree has one look"
        assert "ESC close" in shown(app)[-1]
        await pilot.press("slash", *"nothing has this", "enter")
        await pilot.pause()
        assert "ENTER" not in shown(app)[-1]
        assert "ESC all rows" in shown(app)[-1]
        await pilot.press("escape", "enter")
        await pilot.pause()
        assert shown(app)[-1].split() == ["ESC", "back", "to", "the", "table", "?", "help"]
    host = live_host()
    async with host_app(host, 0.1).run_test(size=(120, 20)) as pilot:
        app = await wait_for_app(pilot)
        await pilot.press("W")
        await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
        assert "SPACE look now" in shown(app)[-1]


async def test_the_page_of_a_row(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(100, 44)) as pilot:
        app = await open_holders(pilot, "right", "right", "s", "home", "down", "enter")
        text = "\n".join(shown(app))
        for part in (
            "reserved",
            "The peer has closed, and the program has not",
            "SYN_SENT",
            "queue of sleeper[32272]",
            "3.37M",
            "301    300",
            "FULL",
            "hoarder[32274] holds",
        ):
            assert part in text
        assert "orphans hold" not in text
        await pilot.press("q")
        await pilot.pause()
        assert shown(app)[0].startswith("CGROUP")


@pytest.mark.parametrize("size", [(40, 5), (40, 12), (80, 24), (120, 40), (240, 70)])
@pytest.mark.parametrize("keys", [[], ["left"], ["right", "right", "down", "enter"]], ids="-".join)
async def test_every_word_is_explained(folder: Path, size: tuple[int, int], keys: list[str]) -> None:
    async with tree_app(folder).run_test(size=size) as pilot:
        assert unknown_words(screen_text(await open_holders(pilot, *keys))) == set()


@pytest.mark.slow
async def test_every_kind_of_holder_has_its_meaning(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot)
        count = len(app.screen.query_one(HoldersPane)._rows)
        for _ in range(count):
            await pilot.press("enter")
            await pilot.pause()
            lines = shown(app)
            assert any(re.match(r" (\(\w+( \w+)?\)|queue|[A-Z_]+) +\w+", line) for line in lines[1:6]), lines[:6]
            assert unknown_words(screen_text(app)) == set()
            await pilot.press("escape", "down")
            await pilot.pause()


async def test_the_help_of_the_table(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(120, 70)) as pilot:
        app = await open_holders(pilot, "question_mark")
        pane = app.screen.query_one(HoldersHelpPane)
        text = "\n".join(drawn_lines(pane))
        await pilot.press("end")
        await pilot.pause()
        text += "\n".join(drawn_lines(pane))
        for part in ("group by owner", "≈ ", "one look", "not seen", "no process", "UNREAD", "KERNEL"):
            assert part in text
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(app.screen, HoldersScreen)


async def test_a_tree_without_a_look_gives_the_reason() -> None:
    async with tree_app(tree("6.18-1n")).run_test(size=(80, 24)) as pilot:
        assert "sockets" in " ".join(shown(await open_holders(pilot))[:3])


async def test_sockets_are_asked_for_only_while_the_screen_is_open() -> None:
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)  # only this machine itself can be asked
    host.texts[SOCKETS] = LOOK.read_bytes()
    async with host_app(host, 0.1).run_test(size=(80, 24)) as pilot:
        app = await wait_for_app(pilot)
        await wait_until(pilot, lambda: app._ledger is not None, "a sample")
        assert SOCKETS not in host.asked
        await pilot.press("W")
        await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
        looks = host.asked.count(SOCKETS)
        await pilot.press("space")
        await wait_until(pilot, lambda: host.asked.count(SOCKETS) > looks, "a look at once")
        await pilot.press("escape")
        await pilot.pause()
        looks = host.asked.count(SOCKETS)
        await pilot.press("space")
        await pilot.pause(0.4)
        assert host.asked.count(SOCKETS) == looks


ROWS_OF_HOARDER = "sock_diag/rows,4026532405,CLOSE_WAIT,server,8080"
A_ROW = "row\t40000\t77\t0\t1200\t2048\t0\t12000\t900\t1500\t10\t3\t100\tcubic\t203.0.113.0/24\n"


def live_host() -> ScriptedHost:
    """A host that answers like this machine, with the list of the sockets of eight loads."""
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)
    host.texts[SOCKETS] = LOOK.read_bytes()
    return host


async def open_hoarder(pilot: AppPilot) -> TcptopApp:
    """The page of the row with CLOSE_WAIT."""
    app = await wait_for_app(pilot)
    await pilot.press("W")
    await wait_until(pilot, lambda: app._ledger is not None and app._ledger.holders is not None, "a look")
    await pilot.press("down", "down", "enter")
    await pilot.pause()
    return app


async def test_single_sockets_are_asked_for_by_a_key_on_the_page_alone() -> None:
    host = live_host()
    host.texts[ROWS_OF_HOARDER] = A_ROW.encode() * 2

    def asked() -> list[str]:
        return [path for path in host.asked if path.startswith("sock_diag/rows")]

    async with host_app(host, 0.1).run_test(size=(120, 40)) as pilot:
        app = await open_hoarder(pilot)
        assert any("d asks the kernel for at most 200 single sockets in :8080" in line for line in shown(app))
        await pilot.press("escape", "d", "enter")
        await pilot.pause(0.3)
        assert not asked()
        host.hanging.add(ROWS_OF_HOARDER)
        await pilot.press("d", "d")
        await wait_until(pilot, lambda: any("asking the kernel for single" in line for line in shown(app)), "a line")
        await pilot.press("down", "up")
        host.release()
        await wait_until(pilot, lambda: any("2 single sockets in :8080" in line for line in shown(app)), "sockets")
        assert asked() == [ROWS_OF_HOARDER], "while one runs, no other begins"
        text = "\n".join(shown(app))
        assert "of all holders; asked now, 0.00 s of CPU" in text
        assert re.search(r"203\.0\.113\.0/24 +40000 +0 +1 200 +100 +12 s +0\.9 s +1\.5 ms +10 +3 +cubic", text)
        assert unknown_words(screen_text(app)) == set()
        await pilot.press("escape", "enter")
        await pilot.pause()
        assert any("d asks the kernel" in line for line in shown(app))


async def test_on_a_small_screen_the_single_sockets_come_into_sight() -> None:
    host = live_host()
    host.texts[ROWS_OF_HOARDER] = A_ROW.encode() * 2
    async with host_app(host, 0.1).run_test(size=(60, 20)) as pilot:
        app = await open_hoarder(pilot)
        await pilot.press("d")
        await wait_until(pilot, lambda: any("2 single sockets" in line for line in shown(app)), "the answer in sight")


async def test_the_peers_of_single_sockets_and_round_trips_with_their_unit() -> None:
    host = live_host()
    near = A_ROW.replace("203.0.113", "198.51.100").replace("\t1500\t10", "\t31\t10")
    host.texts[ROWS_OF_HOARDER] = (A_ROW * 2 + near * 3).encode()
    async with host_app(host, 0.1).run_test(size=(120, 60)) as pilot:
        app = await open_hoarder(pilot)
        await pilot.press("d")
        await wait_until(pilot, lambda: any("5 single sockets in :8080" in line for line in shown(app)), "sockets")
        text = "\n".join(shown(app))
        assert re.search(r"PEER +SOCKETS +UNREAD +UNACKED +UNSENT\n 198\.51\.100\.0/24 +3 +0 +3 600 +300 *\n 203", text)
        assert re.search(r"198\.51\.100\.0/24 .* 31 µs ", text)
        assert re.search(r"203\.0\.113\.0/24 .* 1\.5 ms ", text)
        assert "PEER: peers as networks (/24, /48)" in text
        assert unknown_words(screen_text(app)) == set()


async def test_the_page_names_the_processes_that_share_the_sockets(tmp_path: Path) -> None:
    lines = (net(), group("whole:10", 9), *(process(pid, "worker") for pid in range(10, 16)))
    folder = made_tree(tmp_path, *lines, *(shared(10, pid, 4) for pid in range(11, 16)))
    async with tree_app(folder).run_test(size=(120, 40)) as pilot:
        text = " ".join(shown(await open_holders(pilot, "enter")))
        assert "4 of its sockets are open in worker[11], worker[12], worker[13] and 2 more too, and count here" in text


async def test_the_reason_that_there_are_no_single_sockets() -> None:
    host = live_host()
    host.refused = lambda path: path == ROWS_OF_HOARDER
    async with host_app(host, 0.1).run_test(size=(80, 24)) as pilot:
        app = await open_hoarder(pilot)
        await pilot.press("d")
        await wait_until(pilot, lambda: any("is for root only" in line for line in shown(app)), "the reason")


async def test_a_saved_tree_has_no_single_sockets(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(80, 24)) as pilot:
        app = await open_holders(pilot, "down", "down", "enter", "d")
        assert sum("only a live kernel tells single sockets" in line for line in shown(app)) == 1
        assert "d single" not in shown(app)[-1]


async def test_the_head_line_counts_the_verdicts_of_a_look(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(80, 24)) as pilot:
        app = await open_holders(pilot, "escape")
        assert app._ledger is not None
        assert app._ledger.holders is not None
        kinds = [verdict.kind for verdict in app._ledger.holders.verdicts]
        assert "queue_full" in kinds
        head = screen_text(app).splitlines()[0]
        assert "! FULL accept queues" in head
        # The limit beside it says the same as one of the verdicts.
        assert f"! W {len(kinds) - 1} more  saved" in head
    ledger = app._ledger
    assert ledger is not None
    assert ledger.holders is not None
    others = [verdict for verdict in ledger.holders.verdicts if verdict.kind != "queue_full"]
    for holders, words in (
        (None, ""),
        (ledger.holders._replace(age_s=59.0, verdicts=tuple(others[:1])), "! W 1 verdict, 50 s ago  saved"),
        (ledger.holders._replace(age_s=61.0), ""),
        (ledger.holders._replace(verdicts=()), ""),
    ):
        line = text_of(head_line(ledger._replace(holders=holders), app.view, 100))
        assert words in line
        assert ("! W" in line) == bool(words)


async def test_a_single_verdict_that_a_limit_beside_it_says_is_not_counted_again(tmp_path: Path) -> None:
    folder = made_tree(tmp_path, net(), group("whole:10"), process(10, "server", descriptors=96, limit=100))
    async with tree_app(folder).run_test(size=(80, 24)) as pilot:
        app = await open_holders(pilot)
        lines = shown(app)
        verdict, sums = (
            next(index for index, line in enumerate(lines) if text in line)
            for text in ("96 of at most 100 open files", "1 socket")
        )
        assert verdict < sums, "what is urgent stands above the sums"
        await pilot.press("escape")
        await pilot.pause()
        head = screen_text(app).splitlines()[0]
        assert "! CRITICAL nofile 96 %, 4 left" in head
        assert "verdict" not in head


async def test_a_row_of_mini_sockets_near_their_limit_has_no_alarm_colour(tmp_path: Path) -> None:
    lines = (net(tw=490, tcp_max_tw_buckets=500), group("none", 490, "TIME_WAIT", mini=True))
    async with tree_app(made_tree(tmp_path, *lines)).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot, "end")
        warning = str(app.screen.query_one(HoldersPane)._style("warning").color)
        assert any("490 mini-sockets, of at most 500" in line for line in shown(app))
        assert coloured(app, "^.*TIME_WAIT .* 490 ", warning) == []
        await pilot.press("enter")
        await pilot.pause()
        page = shown(app)
        assert any("490 mini-sockets, of at most 500" in line for line in page)
        assert not any(line.startswith("!") for line in map(str.strip, page))


async def test_a_look_fills_the_states_and_the_limits(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot, "escape")
        assert app._ledger is not None
        counts = {state.state: (state.count, state.scope) for state in app._ledger.states}
        assert counts["LISTEN"] == (8, "machine")
        assert counts["CLOSE_WAIT"] == (600, "machine")
        assert counts["accept queue"] == (301, "machine")
        limits = {limit.name: limit for limit in app._ledger.limits["full"].rows}
        assert (limits["listen_queues"].used, limits["listen_queues"].maximum) == (301, 300)
        assert (limits["nofile"].used, limits["nofile"].maximum) == (607, 20000)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("descriptors", [90, 98])
async def test_a_full_process_stands_beside_the_sockets_that_fit_on_the_machine(
    tmp_path: Path, descriptors: int, size: tuple[int, int]
) -> None:
    seen = made_tree(
        tmp_path / "a", net(alloc=4_000), process(10, descriptors=descriptors, limit=100), group("whole:10")
    )
    async with tree_app(seen).run_test(size=size) as pilot:
        app = await open_holders(pilot, "escape")
        text = screen_text(app)
        assert re.search(rf"server\[10\] +{100 - descriptors} left\b", text)
        title = next(line for line in text.splitlines() if re.search(r"─ .*\d more", line))
        assert re.search("─ (Limits without file-max|Known( limits)?) ─", title)
        assert f"nofile has {100 - descriptors} left; " in title, "before the number, which would be read without it"


@pytest.mark.parametrize(
    ("below", "used", "state", "text"),
    [
        ("below\t10\t4\t0", (4, 0), "ok", "154 open, 4 of them below the limit of 160, which counts only those"),
        ("below\t10\t150\t12", (150, 12), "near", "154 open, ≈ 150 of them below the limit of 160"),
        ("below\t10\t155\t0", (154, 0), "full", "154 open of at most 160"),
    ],
    ids=["above", "estimate", "impossible"],
)
async def test_descriptors_above_the_limit_take_none_of_it(
    tmp_path: Path, below: str, used: tuple[int, int], state: str, text: str
) -> None:
    seen = made_tree(
        tmp_path / "a", net(alloc=4_000), process(10, descriptors=154, limit=160), below, group("whole:10")
    )
    async with tree_app(seen).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot)
        assert app._ledger is not None
        assert app._ledger.holders is not None
        [row] = [limit for limit in app._ledger.limits["full"].rows if limit.name == "nofile"]
        assert ((row.used, row.used_error), row.maximum, row.state) == (used, 160, state)
        assert any(each.kind == "nofile" for each in app._ledger.holders.verdicts) == (state != "ok")
        await pilot.press("enter")
        assert text in " ".join(screen_text(app).split())


@pytest.mark.parametrize("size", [(120, 40), (200, 60)], ids=str)
async def test_the_verdicts_stand_below_the_last_row_of_a_short_table(tmp_path: Path, size: tuple[int, int]) -> None:
    full = listen(8080, 301, 300, 199, 10), group("whole:10", 60), process(10, "sleeper")
    async with tree_app(made_tree(tmp_path, net(alloc=61), *full)).run_test(size=size) as pilot:
        lines = shown(await open_holders(pilot))
    last_row = max(
        at for at, line in enumerate(lines) if " :8080 " in line and line.split()[1] in ("ESTABLISHED", "LISTEN")
    )
    assert not lines[last_row + 1].strip()
    assert "accept queue 301 of 300, FULL" in lines[last_row + 2]
    end = next(at for at, line in enumerate(lines) if at > last_row + 1 and not line.strip())
    assert "iB" in " ".join(lines[last_row + 2 : end])
    assert not "".join(lines[end:-1]).strip()
    assert "ESC close" in lines[-1]


@pytest.mark.parametrize("size", [(80, 24), (80, 20), (80, 16), (100, 24), (120, 24)], ids=str)
async def test_a_low_terminal_leaves_out_whole_sums_and_whole_remedies(folder: Path, size: tuple[int, int]) -> None:
    """Of eight loads, at the default size and smaller ones."""
    async with tree_app(folder).run_test(size=size) as pilot:
        app = await open_holders(pilot)
        foot = " ".join(" ".join(shown(app)[1:-1]).split())
        await pilot.press("i")
        pages: list[str] = []
        for _ in range(5):
            pages += shown(app)[:-1]
            await pilot.press("pagedown")
    whole = " ".join(" ".join(pages).split())
    cut, _, rest = foot.rpartition("; …")
    sums = cut[cut.index(" all: ") :] if not rest and " all: " in cut else ""
    assert f"{sums};" in f"{whole};"
    remedies = [each.remedy for each in app._ledger.holders.verdicts if each.remedy]  # type: ignore[union-attr]
    assert foot.count("Remedy: ") == sum(f"Remedy: {each}" in foot for each in dict.fromkeys(remedies))
    assert all(f"Remedy: {each}" in whole for each in remedies)


async def test_the_most_urgent_verdict_has_its_remedy_at_the_default_size(tmp_path: Path) -> None:
    full = net(alloc=61), listen(8080, 301, 300, 199, 10), group("whole:10", 60), process(10, "sleeper")
    async with tree_app(made_tree(tmp_path, *full)).run_test(size=(80, 24)) as pilot:
        text = " ".join(" ".join(shown(await open_holders(pilot))).split())
    assert "since listen(2). Remedy: accept(2) faster, or a larger backlog of listen(2) and net.core.somaxconn" in text
    assert "(TCP's total leaves the reserved out)" not in text, "there is none"
    assert "; all buffers 0 B" in text


async def test_the_verdicts_of_a_long_table_stay_at_the_bottom(tmp_path: Path) -> None:
    many = [line for pid in range(10, 90) for line in (group(f"whole:{pid}", 60, port=pid), process(pid, "worker"))]
    full = listen(8080, 301, 300, 199, 10)
    async with tree_app(made_tree(tmp_path, net(alloc=5_000), full, *many)).run_test(size=(120, 40)) as pilot:
        app = await open_holders(pilot)
        for key in ("end", "home"):
            await pilot.press(key)
            await pilot.pause()
            lines = shown(app)
            [verdict] = [at for at, line in enumerate(lines) if "FULL" in line]
            assert "worker[" in lines[verdict - 1]
            assert all(line.strip() for line in lines)


async def test_the_foot_in_full_has_every_verdict_and_sum(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(80, 24)) as pilot:
        app = await open_holders(pilot)
        assert app._ledger is not None
        assert app._ledger.holders is not None
        assert not any("accept(2) faster" in line for line in shown(app)), "the remedies have no room"
        assert re.match(r" *ESC close +i what to do +ENTER open ", shown(app)[-1])
        await pilot.press("question_mark")
        await pilot.pause()
        assert re.search(r"\bi +what to do: the verdicts with their remedies", screen_text(app))
        await pilot.press("escape")
        await pilot.press("i")
        pages: list[str] = []
        for _ in range(4):
            pages += shown(app)
            await pilot.press("pagedown")
        text = " ".join(" ".join(pages).split())
        for verdict in app._ledger.holders.verdicts:
            assert " ".join(verdict.text.split()) in text
            assert " ".join(verdict.remedy.split()) in text
        assert "in accept queues" in text
        await pilot.press("escape")
        assert shown(app)[0].split()[0] == "OWNER"


async def test_where_no_verdict_has_a_remedy_the_key_of_the_sums_promises_none(tmp_path: Path) -> None:
    nets = [net(number, number == 1, "refused", reason="not permitted") for number in range(2, 9)]
    folder = made_tree(tmp_path, net(), *nets, *(group("whole:10", 5, port=port) for port in range(1, 30)), process(10))
    async with tree_app(folder).run_test(size=(60, 10)) as pilot:
        keys = shown(await open_holders(pilot))[-1]
        assert "i in full" in keys
        assert "what to do" not in keys


async def test_a_recording_without_a_look_names_the_command(tmp_path: Path) -> None:
    file = tmp_path / "file.tcptop"
    record_phases(file, "6.1-4n", ["base", "established"])
    async with replay_app(file).run_test(size=(80, 24)) as pilot:
        app = await wait_for_replay(pilot)
        await pilot.press("W")
        await pilot.pause()
        assert "record --who keeps one" in " ".join(shown(app)[:3])


async def test_a_recording_shows_its_look(tmp_path: Path) -> None:
    file = tmp_path / "file.tcptop"
    recorder = Recorder(str(file))
    host = ScriptedHost(tree("6.18-1n"), live=True)
    host.identity = host.identity._replace(place=None)  # only this machine itself can be asked
    host.texts[SOCKETS] = LOOK.read_bytes()
    sampler = Sampler(host, kernel_sources(), on_read=recorder.add_read)
    sampler.add_source(SocketTableSource())
    read_due(sampler)
    recorder.write(sampler.snapshot())
    recorder.close()
    async with replay_app(file).run_test(size=(80, 24)) as pilot:
        app = await wait_for_replay(pilot)
        await pilot.press("W")
        await pilot.pause()
        assert any(line.split()[:1] == ["hoarder[32274]"] for line in shown(app))


def test_the_row_under_the_cursor_keeps_the_colour_of_a_warning() -> None:
    line = under_cursor((("nginx", "warning"), ("  12", "text")), 10)
    assert line == (("nginx", "cursor-warning"), ("  12", "cursor"), (" ", "cursor"))


@pytest.mark.parametrize("hidden", [(), ("CGROUP", "SOCK", "KERNEL"), ("DROPS",)], ids=",".join)
@pytest.mark.parametrize("columns", [158, 178, 198])
def test_a_wide_table_takes_the_whole_width(columns: int, hidden: Sequence[str]) -> None:
    layout = lay_out("owner", "memory", columns, hidden).layout
    assert sum(layout.widths) + len(layout.gap) * (len(layout.widths) - 1) == columns


async def test_a_filter_leaves_the_shares_as_they_are(folder: Path) -> None:
    async with tree_app(folder).run_test(size=(250, 40)) as pilot:
        app = await open_holders(pilot)

        def row() -> str:
            return next(line for line in shown(app) if " hoarder[" in line or line.startswith("hoarder["))

        before = row()
        assert "%" in before
        await pilot.press("slash", *"hoarder", "enter")
        await pilot.pause()
        assert row().strip() == before.strip()


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (24, "queue of stuckapp[18018]"),
        (22, "queue stuckapp[18018]"),
        (18, "queue stuc…[18018]"),
        (12, "queue[18018]"),
    ],
)
def test_a_narrow_name_of_an_accept_queue_keeps_the_word(width: int, text: str) -> None:
    assert first_fitting(owner_variants("queue of stuckapp[18018]", width), width) == text


def test_a_narrow_name_of_a_process_keeps_its_number() -> None:
    assert first_fitting(owner_variants("stuckapp[18018]", 12), 12) == "stuc…[18018]"
    assert first_fitting(owner_variants("queue of a listener", 14), 14) == "queue"


POD_PATH = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3f5c1a2b_9d1e_4c77_8a52_0b1c2d3e4f50.slice"
CONTAINER_NAMES = ("cri-containerd-{}.scope", "docker-{}.scope/system.slice/nginx.service", "{}/container")


@pytest.mark.parametrize("name", CONTAINER_NAMES, ids=["scope", "systemd in a container", "folder in a container"])
@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
async def test_containers_with_long_paths_are_apart(folder: Path, width: int, name: str) -> None:
    ids = ["0123456789ab" + "c" * 52, "1123456789ab" + "c" * 52]
    paths = [f"{POD_PATH}/{name.format(digits)}" for digits in ids]
    lines = [net(inuse=330)]
    for number, path in enumerate(paths):
        lines += [group(f"whole:{10 + number}", 30 + 270 * number, cgroup=70 + number), process(10 + number, "nginx")]
        lines.append(cgroup(70 + number, path, 4096, 8192))
    (folder / SOCKETS).write_text(look_text(*lines))
    async with tree_app(folder).run_test(size=(width, 40)) as pilot:
        app = await open_holders(pilot, "right", "right")
        rows = shown(app)[1:3]
        for row, digits in zip(rows, reversed(ids), strict=True):
            assert digits[: 12 if width >= 200 else 6] in row
        for path in (paths[1], paths[0]):
            await pilot.press("enter")
            await pilot.pause()
            page = shown(app)
            start = next(at for at, line in enumerate(page) if line.startswith(" cgroup "))
            end = next(at for at, line in enumerate(page) if at > start and not line.startswith("   "))
            assert "".join(line[13:].strip() for line in page[start:end]) == path
            assert width < 80 or any(
                path.split("/")[4].removeprefix("cri-containerd-")[:6] in line for line in page[end:]
            )
            await pilot.press("escape", "down")
            await pilot.pause()
