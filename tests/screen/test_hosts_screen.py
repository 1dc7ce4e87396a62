"""The table of hosts on the screen: sizes, order, filter, cursor, and untrusted texts shown as plain text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from conftest import TextSnapshot
from drive import screen_text
from recorded import snapshot as recorded_snapshot
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from tcptop.accounting.host_row import RowAccount
from tcptop.explanation.host_rows import TableOrder, sort_looks
from tcptop.ledger import ALARM_STATES
from tcptop.ledger.host_row import HostLook, HostRow
from tcptop.screen.hosts_app import HostsApp
from tcptop.settings.file import NO_SETTINGS, Settings
from tcptop.text.line import text_of
from tcptop.widgets.hosts_pane import fit_table, total_line

SIZES = [(40, 12), (60, 20), (80, 24), (120, 40), (200, 60)]
REFUSED = "ssh: connect to host web22 port 22: Connection refused"


def row(kernel: str = "6.1-4n", phase: str = "established", buffer_share: float = 0.0, events: int = 0) -> HostRow:
    """A row of a recorded machine, a second after the base; buffers take a share of tcp_mem, and accept queues drop."""
    account = RowAccount()
    account.row(at(recorded_snapshot(kernel, "base"), 0.0))
    sample = at(recorded_snapshot(kernel, phase), 2.0)
    counts, limits = sample.sockstat.value, sample.sysctls.value
    assert counts is not None
    assert limits is not None
    assert limits.tcp_mem is not None
    units = int(buffer_share * limits.tcp_mem[2])
    sample = sample._replace(sockstat=sample.sockstat._replace(value=counts._replace(buffer_units=units)))
    found = account.row(sample)
    grown = tuple(
        event._replace(grown=events) if event.name == "ListenOverflows" else event._replace(grown=0)
        for event in found.events
    )
    return found._replace(events=grown)


def at(sample: Any, second: float) -> Any:  # noqa: ANN401 (a Snapshot, with the times of a live one)
    sample = sample._replace(live=True, monotonic_s=100.0 + second, taken_at_unix_s=1795348800.4 + second)
    return sample._replace(slabinfo=sample.slabinfo._replace(taken_at_s=100.0 + second))


def looks() -> list[HostLook]:
    """Machines in every state of a row."""
    return [
        HostLook("web03", row("6.1-1n"), 0.5),
        HostLook("web20", row("6.12-4n"), 0.5),
        HostLook("web17", row(buffer_share=0.99), 1.5),
        HostLook("db1-eu", row("5.10-4n", events=1204), 0.7),
        HostLook("web22", None, None, REFUSED, 8.0),
        HostLook("web9", row("7.3-4n", "timewait"), 41.0, waits_s=6.0),
        HostLook("root@db2", row("6.1-8n"), 12.0, "no answer in 10 s", None, 1.0),
        HostLook("web40", None, None, None, None, 0.4),
    ]


def run(
    size: tuple[int, int],
    states: Sequence[HostLook],
    act: Callable[[Pilot[int], HostsApp], Awaitable[None]] | None = None,
    settings: Settings = NO_SETTINGS,
) -> tuple[str, HostsApp]:
    """The text of the screen after some keys, and the app."""
    app = HostsApp(lambda: states, 2.0, settings)
    texts: list[str] = []

    async def drive(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        if act is not None:
            await act(pilot, app)
            await pilot.pause()
        texts.append(screen_text(app) if app.screen_stack else "")
        app.exit()

    app.run(headless=True, size=size, auto_pilot=drive)
    return texts[0], app


def pressing(*keys: str) -> Callable[[Pilot[int], HostsApp], Awaitable[None]]:
    async def act(pilot: Pilot[int], _: HostsApp) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause()

    return act


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_table(size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    assert run(size, looks())[0] == snapshot(extension_class=TextSnapshot)


def test_each_host_says_what_its_number_counts_for_buffers() -> None:
    for size in SIZES[2:]:
        heading, *rows = run(size, looks())[0].splitlines()[1:]
        start = heading.index("+BUF")
        words = {row[start : start + 4].strip() for row in rows if row.split()[:1] in (["web17"], ["db1-eu"])}
        assert words == {"yes", "no"}, (size, words)


def test_the_help(snapshot: SnapshotAssertion) -> None:
    assert run((120, 60), looks(), pressing("question_mark"))[0] == snapshot(extension_class=TextSnapshot)


def test_the_most_urgent_is_first() -> None:
    names = [look.name for look in sort_looks(looks(), TableOrder())]
    assert names[:4] == ["web17", "db1-eu", "root@db2", "web22"]
    assert names[-1] == "web40"
    fits = [look.row.limits.first for look in sort_looks(looks(), TableOrder())[4:-1] if look.row is not None]
    rooms = [float(f"{first.headroom_sockets or 0:.1e}") for first in fits if first is not None]
    assert rooms == sorted(rooms)
    assert looks()[2].row is not None
    assert looks()[2].row.limits.rows[0].state in ALARM_STATES  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["c", "t", "m", "b", "f", "o", "v"])
def test_a_key_sorts_by_its_column_and_reverses(key: str) -> None:
    order = TableOrder(sort=key)
    down = [look.name for look in sort_looks(looks(), order)]
    up = [look.name for look in sort_looks(looks(), order._replace(reverse=True))]
    known = [look.name for look in looks() if look.answers]
    assert set(down[: len(known)]) == set(up[: len(known)]) == set(known)
    sockets = {look.name: look.row.sockets.allocated or 0 for look in looks() if look.row is not None}
    if key == "c":
        assert [sockets[name] for name in down[: len(known)]] == sorted((sockets[name] for name in known), reverse=True)


def test_names_are_sorted_by_their_numbers() -> None:
    names = [look.name for look in sort_looks(looks(), TableOrder(sort="n"))]
    assert names == ["db1-eu", "root@db2", "web03", "web9", "web17", "web20", "web22", "web40"]


def test_the_sums_are_those_of_the_hosts_that_answer() -> None:
    text, _ = run((120, 40), looks())
    answering = [look.row for look in looks() if look.answers and look.row is not None]
    total = f"{sum(each.sockets.allocated or 0 for each in answering):,}".replace(",", " ")
    [line] = [line for line in text.splitlines() if line.startswith(" 5 of 8 hosts")]
    assert total in line


def test_the_filter_the_cursor_and_what_it_opens() -> None:
    async def act(pilot: Pilot[int], app: HostsApp) -> None:
        await pilot.press("slash", "w", "e", "b", "enter")
        await pilot.pause()
        assert app.pane.order.text == "web"
        assert "db1-eu" not in screen_text(app)
        await pilot.press("n", "home", "down", "down", "down", "down")
        await pilot.pause()
        assert app.pane.cursor == "web22"  # it does not answer
        await pilot.press("enter")
        await pilot.pause()
        assert app.opened is None
        assert "does not answer" in screen_text(app)
        await pilot.press("home", "down")
        await pilot.press("enter")
        await pilot.pause()

    assert run((120, 40), looks(), act)[1].opened == "web9"


def test_a_filter_without_a_host_says_so() -> None:
    text, _ = run((80, 24), looks(), pressing("slash", "x", "y", "enter"))
    assert "no host has 'xy' in its name" in text


def test_names_and_words_of_strangers_are_plain_text() -> None:
    hostile = [
        HostLook("evil\x1b[31m\u202eweb[red]", row(), 0.5),
        HostLook("[bold]x[/bold]", None, None, "[link=x]Permission denied[/link]", 3.0),
    ]
    text, _ = run((120, 12), hostile)
    assert "evil\\x1b[31m\\u202eweb[red]" in text
    assert "[bold]x[/bold]" in text
    assert "[link=x]Permission denied[/link]; again in 3 s" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_ascii_alone_and_few_lines() -> None:
    text, _ = run((60, 6), looks(), settings=Settings(ascii=True))
    assert text.isascii()
    assert "web17" in text
    assert "5 of 8 hosts" in text


def test_a_row_keeps_its_place_for_a_while_and_the_cursor_its_host() -> None:
    states = looks()

    async def act(pilot: Pilot[int], app: HostsApp) -> None:
        await pilot.press("down", "down", "down", "down")
        await pilot.pause()
        chosen = app.pane.cursor
        before = [line.split()[0] for line in screen_text(app).splitlines()[2:10]]
        index = next(number for number, look in enumerate(states) if look.name == "web20")
        states[index] = states[index]._replace(row=row(buffer_share=0.995))
        app.draw()
        await pilot.pause()
        assert [line.split()[0] for line in screen_text(app).splitlines()[2:10]] == before
        app.pane.set_order(TableOrder())
        await pilot.pause()
        assert [line.split()[0] for line in screen_text(app).splitlines()[2:10]] != before
        assert app.pane.cursor == chosen

    run((120, 40), states, act)


@pytest.mark.parametrize("sockets", [16_001, 300_001])
@pytest.mark.parametrize("buffer_share", [0.0, 0.5])
def test_the_sums_are_whole_at_every_width(sockets: int, buffer_share: float) -> None:
    one = row("6.1-4n", "halfclosed", buffer_share)
    one = one._replace(sockets=one.sockets._replace(allocated=sockets))
    fleet = [HostLook(f"sdup{number:02}", one, 0.5) for number in range(41)]
    for columns in range(40, 201):
        layout = fit_table(fleet, columns)
        line = text_of(total_line(fleet, layout, columns))
        sums = [column.total([one] * 41) for column, _ in layout.shown if column.total is not None]
        assert len(line) <= columns
        for total in sums:
            assert total in line, (columns, total, line)
