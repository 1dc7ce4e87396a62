"""Rules for all sources: an unreadable file has a reason, and affects no other source."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import (
    ALL,
    FOLDER,
    RECORDINGS,
    MemoryHost,
    copy_recording,
    ledger_of,
    snapshot,
    snapshot_of,
    take_snapshot,
    tree,
    write_tree,
)
from trim_recording import trim

from tcptop.accounting import account
from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, Host
from tcptop.hosts.recording_host import RecordingHost
from tcptop.hosts.run_sync import run_sync
from tcptop.hosts.wanted_paths import WantedPaths
from tcptop.report.as_json import as_json, as_object
from tcptop.report.as_text import as_text
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import READING_NAMES, SOCKET_TABLE, Reading, Snapshot

FILES = {
    "slabinfo": "proc/slabinfo",
    "zoneinfo": "proc/zoneinfo",
    "buddyinfo": "proc/buddyinfo",
    "pagetypeinfo": "proc/pagetypeinfo",
    "meminfo": "proc/meminfo",
    "sockstat": "proc/net/sockstat",
    "sockstat6": "proc/net/sockstat6",
    "protocols": "proc/net/protocols",
    "snmp": "proc/net/snmp",
    "netstat": "proc/net/netstat",
    "tls_stat": "proc/net/tls_stat",
    "security_modules": "sys/kernel/security/lsm",
}
SOURCES = sorted(READING_NAMES)
IN_A_REPORT = sorted(set(SOURCES) - {"machine_load"})
BY_NEED = {"btf"}
"""BTF is read only if slabinfo cannot be read, or if a security module keeps data for each socket."""
NEVER_RECORDED = {"memory_cgroups", "conntrack_stats", "smbios", "tls_stat"}
"""No kernel of the recordings had conntrack or the module tls, and the firmware's tables were not copied. The tests of
these sources have files of their own.
"""
NOT_IN_6_18 = {"snmp", "netstat", "socket_limits"}


def readings(seen: Snapshot) -> dict[str, Reading[Any]]:
    return {name: getattr(seen, name) for name in IN_A_REPORT if name not in BY_NEED | {SOCKET_TABLE}}


def recorded_readings(kernel: str, seen: Snapshot) -> dict[str, Reading[Any]]:
    """The readings whose files are in the recording."""
    lacking = NEVER_RECORDED | (NOT_IN_6_18 if kernel == "6.18-1n" else set())
    return {name: each for name, each in readings(seen).items() if name not in lacking}


def test_the_list_of_recordings_equals_the_folders() -> None:
    there = {(path.parent.name, path.name) for path in FOLDER.glob("*/*") if path.is_dir()}
    assert there == set(ALL)
    assert len(there) == sum(map(len, RECORDINGS.values()))


def test_no_recording_has_a_hard_link_or_a_link_outside() -> None:
    for path in FOLDER.rglob("*"):
        if path.is_symlink():
            assert path.resolve().is_relative_to(FOLDER), path
        elif path.is_file():
            assert path.stat().st_nlink == 1, path


def contents(root: Path) -> dict[str, bytes | str]:
    paths = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_bytes() for path in paths
    }


@pytest.mark.parametrize(("kernel", "phase"), [("6.1-4n", "established"), ("6.18-1n", "base"), ("5.10-4n", "timewait")])
def test_trimming_keeps_exactly_the_files_that_are_read(kernel: str, phase: str, tmp_path: Path) -> None:
    root = copy_recording(kernel, phase, tmp_path)
    expected = contents(root)
    write_tree(root, {"proc/kallsyms": "x", "sys/kernel/slab/TCP/ctor": "x", "sys/kernel/slab/other/slabs": "1\n"})
    trim(root, tmp_path / "trimmed")
    assert contents(tmp_path / "trimmed") == expected


def test_every_kernels_recordings_are_described() -> None:
    readme = (FOLDER / "README.md").read_text()
    for kernel in RECORDINGS:
        assert f"| `{kernel}` |" in readme


def test_all_sources_of_all_recordings_are_read_in_full() -> None:
    for kernel, phase in ALL:
        seen = snapshot(kernel, phase)
        states = {name: reading.state for name, reading in recorded_readings(kernel, seen).items()}
        assert states == dict.fromkeys(states, "ok"), (kernel, phase)
        lacking = readings(seen).keys() - states.keys()
        assert {getattr(seen, name).state for name in lacking} == {"missing"}, (kernel, phase)


@pytest.mark.parametrize("name", sorted(FILES.keys() - NEVER_RECORDED))
@pytest.mark.parametrize(
    ("damage", "state"), [("absent", "missing"), ("empty", "empty"), ("zeroes", "empty"), ("a folder", "failed")]
)
def test_an_unreadable_file_has_a_reason_and_affects_no_other_source(
    name: str, damage: str, state: str, tmp_path: Path
) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    path = root / FILES[name]
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "absent":
        path.write_bytes(b"" if damage == "empty" else b"\0" * 4096)
    found = recorded_readings("6.1-4n", snapshot_of(root))
    reading = found.pop(name)
    assert (reading.state, reading.value) == (state, None)
    assert reading.reason is not None
    assert FILES[name] in reading.reason
    assert "\n" not in reading.reason
    assert {other: each.state for other, each in found.items()} == dict.fromkeys(found, "ok")
    whole = readings(snapshot("6.1-4n", "established"))
    assert {other: each.value for other, each in found.items()} == {other: whole[other].value for other in found}


@pytest.mark.parametrize("name", sorted(set(FILES) - {"security_modules"}))
def test_a_refused_file_has_a_reason_that_names_it_and_root(name: str) -> None:
    source = next(source for source in kernel_sources() if source.name == name)
    reading = run_sync(source.read(MemoryHost({FILES[name]: PermissionError(13, "Permission denied")})))
    assert (reading.state, reading.value) == ("refused", None)
    assert reading.reason is not None
    assert f"/{FILES[name]}" in reading.reason
    assert "root" in reading.reason


@pytest.mark.parametrize("name", FILES)
def test_the_text_of_a_kernel_error_is_made_printable(name: str) -> None:
    source = next(source for source in kernel_sources() if source.name == name)
    reading = run_sync(source.read(MemoryHost({FILES[name]: OSError(5, "Input/output error \x1b[1m")})))
    assert (reading.state, reading.value) == ("failed", None)
    assert reading.reason is not None
    assert "Input/output error" in reading.reason
    assert reading.reason.isprintable()


def test_an_empty_tree_has_a_reason_for_every_source_and_both_reports(tmp_path: Path) -> None:
    seen = snapshot_of(write_tree(tmp_path, {}))
    for name, reading in readings(seen).items():
        assert (reading.state, reading.value) == ("missing", None), name
        assert reading.reason, name
    ledger = account(seen)
    assert as_object(ledger)["sources"].keys() == set(IN_A_REPORT)
    assert "not known" in as_text(ledger)


def test_every_damaged_file_of_a_tree_is_named_in_both_reports(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for path in FILES.values():
        (root / path).write_bytes(b"\xff\xfe nonsense \x1b[31m\n")
    ledger = ledger_of(root)
    report = as_text(ledger)
    assert "\x1b" not in report
    assert "\x1b" not in as_json(ledger)
    for name, path in FILES.items():
        if name != "security_modules":  # any text counts as a list of names
            assert ledger.sources[name].state == "strange"
            assert f"/{path}" in report


def unnamed_paths(host: Host) -> dict[str, set[str]]:
    """The paths that each source asks the host for and that none of its patterns matches."""
    unnamed: dict[str, set[str]] = {}
    for source in kernel_sources():
        recording, wanted = RecordingHost(host), WantedPaths(source.paths)
        run_sync(source.read(recording))
        assert recording.answers, f"{source.name} asks for nothing"
        files = {answer.path for answer in recording.answers if isinstance(answer, FileRead)}
        folders = {answer.path for answer in recording.answers if isinstance(answer, FolderRead)}
        unnamed[source.name] = {path for path in files if not wanted.matches(path)} | {
            path for path in folders if wanted.listed_name(f"{path}/name") != (path, "name")
        }
    return unnamed


@pytest.mark.slow
def test_a_source_asks_only_for_paths_that_its_patterns_match() -> None:
    """An archive keeps only matching paths, so the archive would differ from the packed tree."""
    roots = [FolderHost(str(tree(kernel, phase))) for kernel, phase in ALL]
    # If no file exists, every source also asks for its fallback files.
    hosts: list[Host] = [*roots, MemoryHost()]
    try:
        for host in hosts:
            assert {name: paths for name, paths in unnamed_paths(host).items() if paths} == {}
    finally:
        for root in roots:
            root.close()


class SlowHost(FolderHost):
    """A host on which every read takes 20 ms."""

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Works like FolderHost, with `took_us` of 20 ms."""
        return [file._replace(took_us=20_000) for file in await super().read(paths)]

    async def list_folder(self, path: str) -> FolderRead:
        """Works like FolderHost, with `took_us` of 20 ms."""
        return (await super().list_folder(path))._replace(took_us=20_000)


def test_a_report_from_a_slow_host_has_every_source() -> None:
    """A single sample reads every source, even if the first ones use up the budget of a second."""
    with closing(SlowHost(str(tree("6.1-4n", "established")))) as host:
        seen = take_snapshot(host)
    states = {name: reading.state for name, reading in recorded_readings("6.1-4n", seen).items()}
    assert states == dict.fromkeys(states, "ok")


PIECES = st.sampled_from(
    [
        b"\n",
        b" ",
        b"Node 0, zone   Normal ",
        b"1 2 3 4 5 6 7 8 9 10 11 ",
        b"slabinfo - version: 2.1\n",
        b"TCP 1 2 3 4 5 : tunables 0 0 0 : slabdata 1 1 0\n",
        b"TCP 0 0 0 0 0 : tunables 0 0 0 : slabdata 0 0 0\n",
        b"TCP: inuse 1 orphan 9 tw 2 alloc 3 mem 4\n",
        b"Free pages count per migrate type at order 0 1 2\n",
        b"Number of blocks type Unmovable Movable\n",
        b"Node 0, zone Normal, type Unmovable 1 >100000 3 \n",
        b"  pages free 7\n        managed 9\n        low 99\n",
        b"MemTotal: 4 kB\n",
        b"TcpExt: ListenOverflows ListenDrops\n",
        b"TcpExt: 1 2\n",
        b"99999999999999999999",
        b"-1",
        b"\x1b[31m",
        b"\xff",
        b"\0",
    ]
)


@given(st.fixed_dictionaries({path: st.lists(PIECES, max_size=8).map(b"".join) for path in FILES.values()}))
def test_arbitrary_files_give_a_ledger_and_both_reports(files: dict[str, bytes]) -> None:
    ledger = account(take_snapshot(MemoryHost(dict(files))))
    report = as_text(ledger)
    assert report.isascii()
    assert "\x1b" not in report
    assert "\x1b" not in as_json(ledger)
