"""Parsed layouts on disk: read instead of the BTF of the same build, and trusted for nothing else."""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import SAVED, MemoryHost
from test_btf import blob, nested

from tcptop.hosts.host import FileRead
from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import Btf, Reading, StructLayout, StructMember
from tcptop.sources import btf_cache, kernel_notes
from tcptop.sources.btf import PATH, BtfSource

BUILD = "48dc540c8b76393804ca8088dbfa7d42911a9444"
STRUCTS = ("tcp_sock", "sk_buff")
LAYOUT = StructLayout("tcp_sock", 32, (StructMember("a", 0, 4, None), StructMember("b.c|...", 8, 1, 3)), True)
FOUND = Btf({"tcp_sock": LAYOUT})
LIVE = SAVED._replace(live=True, page_size_bytes=4096, proc_folder="/proc")


def notes(build: str = BUILD) -> bytes:
    content = bytes.fromhex(build)
    return struct.pack("<III", 4, len(content), 3) + b"GNU\0" + content


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own, as it is before tcptop was ever started."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@dataclass
class CountedHost(MemoryHost):
    """A host that tells what it was asked for."""

    asked: list[str] = field(default_factory=list)

    async def read(self, paths: Any) -> list[FileRead]:  # noqa: ANN401 (as the host behind it)
        self.asked += paths
        return await super().read(paths)


def host(files: Mapping[str, bytes | OSError] | None = None, **identity: object) -> CountedHost:
    given_files = {PATH: nested(), kernel_notes.PATH: notes()} if files is None else files
    return CountedHost(given_files, identity=LIVE._replace(**identity))  # type: ignore[arg-type] # by name


def read(host: CountedHost) -> Reading[Btf]:
    return run_sync(BtfSource(STRUCTS).read(host))


def kept_file(cache: Path) -> Path:
    [path] = (cache / "tcptop").iterdir()
    return path


def test_the_second_start_does_not_read_the_btf(cache: Path) -> None:
    first = read(host())
    assert first.value is not None
    second_host = host()
    second = read(second_host)
    assert (second.state, second.value) == ("ok", first.value)
    assert second_host.asked == [kernel_notes.PATH]
    assert kept_file(cache).name.startswith(f"btf-{BUILD}-")


def test_only_the_user_may_read_or_change_what_is_kept(cache: Path) -> None:
    old = os.umask(0)
    try:
        read(host())
    finally:
        os.umask(old)
    path = kept_file(cache)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path.parent, cache)] == [0o700, 0o700]
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing is left half written"


def test_what_is_kept_comes_back() -> None:
    btf_cache.store(BUILD, STRUCTS, FOUND)
    assert btf_cache.load(BUILD, STRUCTS) == FOUND
    assert btf_cache.load(BUILD, STRUCTS[::-1]) == FOUND, "in whatever order it is asked for"


def test_another_build_and_other_structs_are_another_file() -> None:
    btf_cache.store(BUILD, STRUCTS, FOUND)
    assert btf_cache.load(BUILD[::-1], STRUCTS) is None
    assert btf_cache.load(BUILD, (*STRUCTS, "dentry")) is None


@pytest.mark.parametrize("identity", [{"live": False}, {"place": "/host"}], ids=str)
def test_another_kernel_than_this_machines_is_neither_kept_nor_taken_from_there(
    identity: dict[str, Any], cache: Path
) -> None:
    read(host(**identity))
    assert not cache.exists()
    btf_cache.store(BUILD, STRUCTS, FOUND)
    again = host(**identity)
    assert read(again).value != FOUND
    assert again.asked == [PATH]


@pytest.mark.parametrize(
    "files", [{PATH: nested()}, {PATH: nested(), kernel_notes.PATH: b"\0" * 40}], ids=["no", "bad"]
)
def test_a_kernel_without_a_build_id_is_not_kept(files: dict[str, bytes | OSError], cache: Path) -> None:
    assert read(host(files)).state == "ok"
    assert not cache.exists()


def test_a_file_that_was_not_understood_is_not_kept(cache: Path) -> None:
    assert read(host({PATH: blob()[:50], kernel_notes.PATH: notes()})).state == "strange"
    assert not cache.exists()


def test_a_kernel_without_btf_says_so_whatever_is_kept_of_others() -> None:
    reading = read(host({kernel_notes.PATH: notes()}))
    assert (reading.state, reading.value) == ("missing", None)


TOP = {"schema": btf_cache.SCHEMA, "build_id": BUILD, "asked": sorted(STRUCTS)}
MEMBER = ["a", 0, 4, None]


def text(layouts: object, **changed: object) -> bytes:
    return json.dumps({**TOP, "layouts": layouts, **changed}).encode()


HOSTILE = {
    "nothing": b"",
    "no JSON": b"\xff\xfe{",
    "a list": b"[]",
    "without end": b"[" * 100_000,
    "a number without end": b'{"schema": ' + b"9" * 10_000 + b"}",
    "no layouts": text([]),
    "another build": text([["tcp_sock", 8, True, []]], build_id="00"),
    "another schema": text([["tcp_sock", 8, True, []]], schema=0),
    "others asked for": text([["tcp_sock", 8, True, []]], asked=["tcp_sock"]),
    "more keys": text([["tcp_sock", 8, True, []]], more=1),
    "a struct nobody asked for": text([["dentry", 8, True, []]]),
    "a struct twice": text([["tcp_sock", 8, True, []], ["tcp_sock", 16, True, []]]),
    "a size below 0": text([["tcp_sock", -8, True, []]]),
    "a size that is true": text([["tcp_sock", True, True, []]]),
    "a size with a point": text([["tcp_sock", 8.5, True, []]]),
    "a size without end": text([["tcp_sock", 1 << 200, True, []]]),
    "a free pointer that is a number": text([["tcp_sock", 8, 1, []]]),
    "members that are a text": text([["tcp_sock", 8, True, "abcd"]]),
    "a member with too few fields": text([["tcp_sock", 8, True, [["a", 0, 4]]]]),
    "an offset that is nothing": text([["tcp_sock", 8, True, [["a", None, 4, None]]]]),
    "a name that moves the cursor": text([["tcp_sock", 8, True, [["\x1b[2J", 0, 4, None]]]]),
    "a name without end": text([["tcp_sock", 8, True, [["a" * 100_000, 0, 4, None]]]]),
    "members without end": text([["tcp_sock", 8, True, [MEMBER] * 20_000]]),
    "too large": text([["tcp_sock", 8, True, [MEMBER]]]) + b" " * (5 << 20),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_damaged_or_hostile_file_is_passed_over_and_replaced(data: bytes, cache: Path) -> None:
    whole = read(host())
    kept_file(cache).write_bytes(data)
    again = host()
    assert read(again) == whole
    assert PATH in again.asked
    assert btf_cache.load(BUILD, STRUCTS) == whole.value


def test_a_link_a_pipe_or_a_folder_in_its_place_is_not_followed(cache: Path, tmp_path: Path) -> None:
    whole = read(host())
    path = kept_file(cache)
    good = tmp_path / "good.json"
    path.rename(good)
    path.symlink_to(good)
    assert btf_cache.load(BUILD, STRUCTS) is None
    assert read(host()) == whole
    assert not path.is_symlink(), "a new file takes the place of the link"
    assert good.stat().st_nlink == 1
    path.unlink()
    os.mkfifo(path)
    assert btf_cache.load(BUILD, STRUCTS) is None
    path.unlink()
    path.mkdir()
    assert read(host()).value == whole.value


@pytest.mark.parametrize("what", ["cache", "folder", "file"])
def test_what_others_may_write_is_not_trusted(what: str, cache: Path) -> None:
    read(host())
    path = kept_file(cache)
    {"cache": cache, "folder": path.parent, "file": path}[what].chmod(0o777)
    assert btf_cache.load(BUILD, STRUCTS) is None


def test_a_folder_of_another_user_is_neither_read_nor_written(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(host())
    before = kept_file(cache).read_bytes()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert btf_cache.load(BUILD, STRUCTS) is None
    other = host()
    assert read(other).state == "ok"
    assert PATH in other.asked
    assert kept_file(cache).read_bytes() == before


def test_nothing_is_made_in_the_home_of_another_user(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root finds it after sudo has left the user's HOME."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert read(host()).state == "ok"
    assert not cache.exists()


def test_a_link_to_tcptops_folder_is_not_followed(cache: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cache.mkdir(mode=0o700)
    (cache / "tcptop").symlink_to(elsewhere)
    assert read(host()).state == "ok"
    assert list(elsewhere.iterdir()) == []


def test_the_users_own_cache_folder_may_be_a_link(cache: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    cache.symlink_to(elsewhere)
    whole = read(host())
    assert btf_cache.load(BUILD, STRUCTS) == whole.value


def test_a_cache_folder_may_be_named_with_a_slash_behind_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", f"{cache}/")
    read(host())
    assert kept_file(cache).exists()


@pytest.mark.parametrize("base", ["", "/", "relative/cache"])
def test_without_an_absolute_cache_folder_it_is_that_of_the_home(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    read(host())
    assert kept_file(tmp_path / ".cache").exists()
    assert not (tmp_path / "relative").exists()


@pytest.mark.parametrize("base", ["/proc/self/nonsense/cache", "/dev/null/cache", "/dev/null"])
def test_where_nothing_can_be_kept_the_btf_is_read_each_time(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    for _ in range(2):
        each = host()
        assert read(each).state == "ok"
        assert PATH in each.asked


def test_a_full_disk_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", full)
    assert read(host()).state == "ok"
    assert list((cache / "tcptop").iterdir()) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
@settings(deadline=None)
def test_no_layouts_in_it_make_it_raise_anything_else(layouts: object) -> None:
    try:
        found = btf_cache.from_json(text(layouts), BUILD, STRUCTS)
    except ValueError:
        return
    assert all(layout.name in STRUCTS and layout.size_bytes >= 0 for layout in found.structs.values())


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_no_bytes_in_it_make_it_raise_anything_else(data: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        btf_cache.from_json(data, BUILD, STRUCTS)
