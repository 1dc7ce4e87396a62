"""The report of `tcptop -o`: the answers in its first lines, and its width."""

from __future__ import annotations

import lzma
import re
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from made_look import WHOLE_MACHINE, look_text, table_of, tree_with_look
from recorded import copy_recording, each_recording, ledger, ledger_of, snapshot

from tcptop.accounting import account
from tcptop.explanation.limit_texts import headroom_number
from tcptop.ledger import Limits
from tcptop.report.as_text import as_text
from tcptop.snapshot import Reading
from tcptop.text.ascii import report_to_ascii

COLUMNS = 80


@each_recording
def test_no_line_is_wider_than_80_columns(kernel: str, phase: str) -> None:
    text = as_text(ledger(kernel, phase))
    assert text.isascii()
    assert [line for line in text.splitlines() if len(line) > COLUMNS] == []
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_computed_sizes_are_marked_in_the_answers(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    assert "computed" not in as_text(ledger_of(root)).splitlines()[1]
    (root / "proc/slabinfo").unlink()
    rmtree(root / "sys/kernel/slab")
    (root / "sys/kernel/btf").mkdir()
    layouts = Path(__file__).parents[1] / "explanation/btf/6.1.xz"
    (root / "sys/kernel/btf/vmlinux").write_bytes(lzma.decompress(layouts.read_bytes()))
    connection = as_text(ledger_of(root)).splitlines()[1]
    assert connection.startswith("Bytes per connection, computed: >= 2 340 server")
    assert len(connection) <= COLUMNS


def test_a_look_and_a_long_name_are_no_wider(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120)
    folder.mkdir()
    root = tree_with_look(folder, look_text(*WHOLE_MACHINE))
    reading: Reading[Any] = Reading("ok", table_of(*WHOLE_MACHINE), None, 3.0, 12, 5.0, None, None)
    for found in (ledger_of(root), account(snapshot("6.1-4n", "established")._replace(socket_table=reading))):
        text = as_text(found)
        assert [line for line in text.splitlines() if len(line) > COLUMNS] == []
    assert re.search(r"(?m)^  OWNER .* DROPS|^  OWNER .*CGROUP", text)


@each_recording
def test_the_first_three_lines_are_the_answers(kernel: str, phase: str) -> None:
    found = ledger(kernel, phase)
    memory, connection, limit, unlooked, *rest = as_text(found).splitlines()
    first, cost = found.limits["full"].first, found.costs["full"].by_family["mix"].accepted
    assert re.fullmatch(r"Memory of TCP: (?:at least )?[\d.]+ [KM]iB, .*", memory)
    sign = "(?:[<>]= |~ )?"
    assert re.match(rf"Bytes per connection: {sign}[\d ]+.*; TIME_WAIT {sign}\d+, {sign}\d+", connection)
    assert cost.slab_bytes is not None
    assert cost.high_slab_bytes is not None
    if not cost.missing:
        assert (": ~ " in connection) == (round(cost.high_slab_bytes) > round(cost.slab_bytes))
    assert str(round(cost.slab_bytes))[-3:] in connection
    assert first is not None
    assert f": {first.label}" in limit
    counted = ", average buffers" if found.headroom["full"].counts_buffers(first.name) else " without data"
    number = re.escape(report_to_ascii(headroom_number(found)))
    assert re.search(rf"; {number} more(?: sockets fit)?{counted}$", limit)
    assert unlooked == "nofile, accept queues and ports were not looked at"
    empty, title, *_ = rest[1:] if rest[0].endswith("since this netns began") else rest
    assert empty == ""
    assert title.startswith("tcptop: what TCP costs this kernel")


def test_what_no_look_has_told_is_said_and_how_to_look() -> None:
    found = ledger("6.1-4n", "established")
    names = "nofile, accept queues and ports were not looked at"
    assert as_text(found).splitlines()[3] == names, "a saved tree cannot be looked at"
    overflows = tuple(
        event._replace(total=451 if event.name == "ListenOverflows" else event.total) for event in found.events
    )
    here = found._replace(live=True, host=found.host._replace(place=None), events=overflows)
    assert as_text(here).splitlines()[3:6] == [
        f"{names}: tcptop who",
        "451 listen overflows since this netns began",
        "",
    ]


def test_an_alarm_is_in_the_first_lines() -> None:
    reading: Reading[Any] = Reading("ok", table_of(*WHOLE_MACHINE), None, 3.0, 12, 5.0, None, None)
    found = account(snapshot("6.1-4n", "established")._replace(socket_table=reading))
    assert as_text(found).splitlines()[2].startswith("FULL accept queues now; ")


@pytest.mark.parametrize("more_words", [0, 40])
def test_no_alarm_is_dropped_from_the_first_lines_however_long_they_are(more_words: int) -> None:
    """The full accept queue, the nearly full process and memory; TIME_WAIT is full, too, but is no alarm."""
    reading: Reading[Any] = Reading("ok", table_of(*WHOLE_MACHINE), None, 3.0, 12, 5.0, None, None)
    found = account(snapshot("6.1-4n", "established")._replace(socket_table=reading))
    limits = found.limits["full"]
    states: dict[str, Any] = {
        "nofile": "near",
        "memory": "near",
        "tcp_mem": "pressure",
        "file_max": "near",
        "tcp_max_orphans": "near",
    }
    rows = [
        limit._replace(
            state="full"
            if limit.name in ("listen_queues", "tcp_max_tw_buckets")
            else states.get(limit.name, limit.state)
        )
        for limit in limits.rows
    ]
    found = found._replace(limits={**found.limits, "full": Limits(tuple(rows))})
    line = as_text(found, width=80 + more_words).splitlines()[2]
    assert line.startswith("FULL accept queues")
    assert "(+5 more alarms)" in line or "TIME_WAIT" not in line
    assert all(name in line for name in ("nofile", "memory", "tcp_mem", "orphans")) or "(+" in line


def test_a_machine_without_slabinfo_says_what_is_not_known(tmp_path: Path) -> None:
    assert as_text(ledger_of(tmp_path)).startswith("Memory of TCP: not known")
    assert "Bytes per connection: -" in as_text(ledger_of(tmp_path))
    assert as_text(ledger_of(tmp_path)).splitlines()[2].startswith("Next limit: how many more sockets fit is not known")


def test_a_wide_table_keeps_all_columns_of_a_wide_terminal() -> None:
    """Each part repeats the name of the cache."""
    found = ledger("6.1-4n", "established")
    narrow, wide = as_text(found), as_text(found, width=200)
    heading = next(line for line in wide.splitlines() if line.startswith("  CACHE "))
    parts = [line for line in narrow.splitlines() if line.startswith("  CACHE ")]
    assert len(parts) > 1
    assert heading.split() == ["CACHE", *(word for line in parts for word in line.split()[1:])]


def test_growth_is_said_to_need_two_samples() -> None:
    text = as_text(ledger("6.1-4n", "established"))
    assert text.count("growth: one sample has none; tcptop diff A B compares two") == 1
