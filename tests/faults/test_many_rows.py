"""Tables of tens of thousands of slab caches, as on kernels before 5.9 with a cache for each memory cgroup."""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import closing
from pathlib import Path

import pytest
from program import limit_resources, program, report, run
from session import RECORDING, Session
from slow_case import slow

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.run_sync import run_sync
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.screen.app import TcptopApp
from tcptop.screen.saved_feed import SavedFeed
from tcptop.sources import source
from tcptop.sources.slabinfo import SlabinfoSource
from tcptop.text.cache_columns import Column
from tcptop.text.cache_rows import CacheRow
from tcptop.widgets import caches_pane

LAST_ROWS = 40
MERGED_NAMES = 19_500
EVERY_COMMAND = [
    ("--json", "--root", "TREE"),
    ("check", "--root", "TREE"),
    slow(("-o", "--root", "TREE")),
    slow(("check", "--json", "--root", "TREE")),
    slow(("plan", "--connections", "5K", "--root", "TREE")),
    slow(("explain", "--root", "TREE", "TCP")),
    slow(("diff", str(RECORDING), "TREE")),
    slow(("diff", "--json", "TREE", "TREE")),
]


def make_tree(folder: Path, rows: int) -> Path:
    """A saved tree with a number of additional rows in slabinfo."""
    shutil.copytree(RECORDING, folder, symlinks=True)
    slabinfo = folder / "proc/slabinfo"
    head, titles, *lines = slabinfo.read_text().splitlines(keepends=True)
    more = [
        f"dentry({number}:user@{number}.service) {21 * slabs} {21 * slabs} 192 21 1"
        f" : tunables 0 0 0 : slabdata {slabs} {slabs} 0\n"
        for number, slabs in enumerate(5 + number * 7919 % 250 for number in range(rows))
    ]
    slabinfo.write_text("".join([head, titles, *more, *lines]))
    return folder


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tree with MERGED_NAMES more rows, whose caches are all merged with tcp_bind_bucket."""
    folder = make_tree(tmp_path_factory.mktemp("merged") / "tree", 0)
    slabinfo = folder / "proc/slabinfo"
    head, titles, *lines = slabinfo.read_text().splitlines(keepends=True)
    row = "0 0 64 64 1 : tunables 0 0 0 : slabdata 0 0 0"
    slabinfo.write_text("".join([head, titles, *(f"c{number} {row}\n" for number in range(MERGED_NAMES)), *lines]))
    slab = folder / "sys/kernel/slab"
    group = (slab / "tcp_bind_bucket").readlink()
    for number in range(MERGED_NAMES):
        (slab / f"c{number}").symlink_to(group)
    return folder


@pytest.fixture(scope="module")
def too_many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tree with more rows in slabinfo than are read."""
    return make_tree(tmp_path_factory.mktemp("rows") / "tree", 124_000)


def assert_bounded(tree: Path, words: tuple[str, ...]) -> None:
    done = run(*(str(tree) if word == "TREE" else word for word in words), prepare=limit_resources)
    assert done.returncode in (0, 2, 3), (done.returncode, done.stderr[-500:])
    assert done.stderr == ""


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
@pytest.mark.slow
def test_very_many_merged_caches_take_bounded_time_and_memory(merged: Path, words: tuple[str, ...]) -> None:
    assert_bounded(merged, words)


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
@pytest.mark.slow
def test_very_many_rows_take_bounded_time_and_memory(too_many: Path, words: tuple[str, ...]) -> None:
    assert_bounded(too_many, words)


@pytest.mark.slow
def test_the_names_of_very_many_merged_caches_are_counted(merged: Path) -> None:
    caches = {cache["name"]: cache for cache in report(merged)["caches"]}
    of_few = {cache["name"]: cache for cache in report(RECORDING)["caches"]}
    names = len(of_few["tcp_bind_bucket"]["aliases"])
    assert of_few["tcp_bind_bucket"]["more_aliases"] == 0
    for name in ("tcp_bind_bucket", "c0", f"c{MERGED_NAMES - 1}"):
        assert len(caches[name]["aliases"]) + caches[name]["more_aliases"] == names + MERGED_NAMES
        assert name not in caches[name]["aliases"]
    # The names of the catalogue are always listed, and the catalogue's caches are found through any row of the group.
    assert "tcp_bind_bucket" in caches["c0"]["aliases"]
    assert caches["tcp_bind_bucket"]["row"] in {of_few["tcp_bind_bucket"]["row"], "c0"}


@pytest.mark.slow
def test_the_rows_that_are_left_out_are_named(too_many: Path, tmp_path: Path) -> None:
    source = report(too_many)["sources"]["slabinfo"]
    assert source["state"] == "strange"
    assert "lines; the rest is left out" in source["reason"]
    whole = report(make_tree(tmp_path / "whole", 20_000))
    assert "left out" not in (whole["sources"]["slabinfo"]["reason"] or "")
    assert len(whole["caches"]) > 20_000


@pytest.mark.slow
def test_keys_work_on_twenty_thousand_rows(tmp_path: Path) -> None:
    """Fifty keys that must be drawn one by one, within the time that ends a failed test."""
    command, environment = program()
    tree = make_tree(tmp_path / "tree", 20_000)
    session = Session([*command, "--root", str(tree)], environment=environment, folder=tmp_path)
    try:
        session.until_shown("TCP caches")
        session.type("r")
        session.until_shown("All caches")
        session.type("=n")
        for _ in range(12):
            session.type("\x1b[B\x1b[6~\x1b[F\x1b[H")
        session.type("\x1b[F")
        session.until(
            lambda: re.search(r"–(20\d{3}) of \1 ", session.screen.text()) is not None, "the last row is shown"
        )
        session.type("q")
        assert session.until_ended() == 0
    finally:
        session.end()


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("key", ["down", "pagedown", "end", "s", "r", "n", "m"])
async def test_only_rows_in_sight_are_formatted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    formatted: list[str] = []
    cell_text = caches_pane._cell_text

    def count(column: Column, row: CacheRow, width: int) -> str:
        formatted.append(row.cache.name)
        return cell_text(column, row, width)

    monkeypatch.setattr(caches_pane, "_cell_text", count)
    with closing(FolderHost(str(make_tree(tmp_path / "tree", 3_000)))) as host:
        async with TcptopApp(SavedFeed(host)).run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            await pilot.press("r", "end", "up")
            formatted.clear()
            await pilot.press(key)
        assert len(set(formatted)) <= LAST_ROWS


def count_calls(app: TcptopApp, node: int | None) -> int:
    """Function calls until the panes are drawn for a node."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        app.action_node(node)
        app.action_sort("objects")
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.slow
async def test_the_work_is_linear(tmp_path: Path) -> None:
    """Four times the rows take at most four times the calls."""
    calls = []
    for rows in (1_000, 4_000):
        with closing(FolderHost(str(make_tree(tmp_path / str(rows), rows)))) as host:
            app = TcptopApp(SavedFeed(host))
            async with app.run_test(size=(120, 40)) as pilot:
                await pilot.pause()
                await pilot.press("r")
                calls.append(count_calls(app, 1))
    assert calls[1] < 4 * calls[0]


def test_rows_that_have_not_changed_are_not_parsed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of rows does not matter; a cache that keeps too few of the last lines would never have a hit."""
    parsed: list[str] = []

    def count(text: str) -> int:
        parsed.append(text)
        return source.parse_count(text)

    monkeypatch.setattr("tcptop.sources.slabinfo.parse_count", count)
    host = FolderHost(str(make_tree(tmp_path / "tree", 3_000)))
    slabinfo = SlabinfoSource()
    first = run_sync(slabinfo.read(host)).value
    parsed.clear()
    assert run_sync(slabinfo.read(host)).value == first
    assert not parsed
    sampler = Sampler(host, kernel_sources())
    read_due(sampler)
    assert sampler.snapshot().slabinfo.value == first
    host.close()
