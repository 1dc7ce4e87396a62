"""Saved trees, archives and recordings that are made to cost too much: each ends within 10 s and 300 MB."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import tarfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from program import run_bounded
from slow_case import slow

FILE_BYTES = (16 << 20) - 4096
SLABINFO = b"slabinfo - version: 2.1\n# name\n"
PROTOCOLS = b"protocol  size sockets\n"
SINGLE_FILES = {
    "proc/slabinfo": SLABINFO,
    "proc/buddyinfo": b"",
    "proc/pagetypeinfo": b"",
    "proc/zoneinfo": b"",
    "proc/meminfo": b"",
    "proc/net/sockstat": b"",
    "proc/net/snmp": b"",
    "proc/net/protocols": PROTOCOLS,
}
"""Files that a source reads completely, each with the lines that the parser needs first."""
BTF = "sys/kernel/btf/vmlinux"
VERSION = {"proc/version": b"Linux version 6.1.0 x\n"}


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in {**VERSION, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def bounded_report(root: Path) -> dict[str, Any]:
    """The JSON report; the text report must end within the limits too."""
    run_bounded("--root", root, "-o")
    done = run_bounded("--root", root, "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def filled(start: bytes, unit: bytes) -> bytes:
    """The largest file of repeated units that a source reads."""
    return start + unit * ((FILE_BYTES - len(start)) // len(unit))


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        b"\n",
        b"\0",
        *map(
            slow, (b"a\n", b" \t \n", "🦀".encode(), b"\xff", b"\xff\n", "🦀\xff\n".encode("latin-1", "replace"), b" ")
        ),
    ],
    ids=["newlines", "nul", "short", "blank", "emoji", "no-utf-8", "no-utf-8-lines", "mixed", "blanks"],
)
def test_files_of_one_repeated_unit(tmp_path: Path, unit: bytes) -> None:
    root = write(tmp_path, {name: filled(start, unit) for name, start in SINGLE_FILES.items()})
    sources = bounded_report(root)["sources"]
    assert all(sources[name.rpartition("/")[2]]["state"] != "ok" for name in SINGLE_FILES)


def test_a_line_of_sixteen_megabytes_costs_only_itself(tmp_path: Path) -> None:
    row = b"%s 1 2 64 64 1 : tunables 0 0 0 : slabdata 1 1 0\n"
    slabinfo = SLABINFO + row % b"TCP" + row % ("🦀" * 3_900_000).encode() + row % b"kmem_cache"
    slab = bounded_report(write(tmp_path, {"proc/slabinfo": slabinfo}))["sources"]["slabinfo"]
    assert slab["state"] == "strange"
    assert "lines of more than 16384 characters are left out" in slab["reason"]


ROWS = {
    "proc/slabinfo": b"%d 1 2 64 64 1 : tunables 0 0 0 : slabdata 1 1 0\n",
    "proc/buddyinfo": b"Node %d, zone x 1\n",
    "proc/zoneinfo": b"Node %d, zone x\n",
    "proc/pagetypeinfo": b"Node %d, zone N, type M 1\n",
    "proc/net/protocols": b"%d 1 1\n",
    "proc/meminfo": b"%d: 1 kB\n",
}


@pytest.mark.parametrize("name", [name if name == "proc/buddyinfo" else slow(name) for name in ROWS])
@pytest.mark.slow
def test_more_rows_than_a_kernel_prints(tmp_path: Path, name: str) -> None:
    start = SINGLE_FILES[name] + (b"Free pages count per migrate type at order 0\n" if "pagetype" in name else b"")
    rows = b"".join(ROWS[name] % number for number in range(600_000))
    report = bounded_report(write(tmp_path, {name: (start + rows)[:FILE_BYTES]}))
    assert report["sources"][name.rpartition("/")[2]]["state"] != "ok"
    assert len(report["nodes"] or ()) <= 1024


def test_orders_that_no_kernel_has(tmp_path: Path) -> None:
    buddyinfo = b"Node 0, zone Normal" + b" 1" * 1500 + b"\nNode 0, zone DMA" + b" 1" * 65 + b"\n"
    source = bounded_report(write(tmp_path, {"proc/buddyinfo": buddyinfo}))["sources"]["buddyinfo"]
    assert source["state"] == "strange"


def btf(words: bytes, names: bytes) -> bytes:
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(words), len(words), len(names)) + words + names


@pytest.mark.slow
def test_btf_whose_names_have_no_end(tmp_path: Path) -> None:
    """Each member of `tcp_sock` has a name that goes on to the end of the file."""
    names = b"\0tcp_sock\0" + b"x" * (15 << 20) + b"\0"
    members = b"".join(struct.pack("<III", 10 + number, 2, number * 64) for number in range(3500))
    words = struct.pack("<III", 1, 4 << 24 | 3500, 4096) + members + struct.pack("<IIII", 0, 1 << 24, 8, 64)
    report = bounded_report(write(tmp_path, {BTF: btf(words, names)}))
    assert report["sources"]["btf"]["state"] in ("ok", "strange")


@pytest.mark.slow
def test_btf_of_thousands_of_typedefs_in_one_struct(tmp_path: Path) -> None:
    structs = (
        b"tcp_sock",
        b"tcp6_sock",
        b"file",
        b"dentry",
        b"socket_alloc",
        b"tcp_timewait_sock",
        b"sk_buff",
        b"epitem",
    )
    names = b"\0" + b"\0".join(structs) + b"\0freeptr_t\0"
    count = 9_000
    words = b""
    for name in structs:
        words += struct.pack("<III", names.index(b"\0" + name + b"\0") + 1, 4 << 24 | 1, 8)
        words += struct.pack("<III", 1, len(structs) + 1, 0)
    first = len(structs) + 1
    words += struct.pack("<III", 0, 4 << 24 | count, 8)
    words += b"".join(struct.pack("<III", 1, first + 1 + number, 0) for number in range(count))
    # All typedefs are contained in each of the structs above, and their names go on to the end of the file.
    types = (struct.pack("<III", len(names) + number, 8 << 24, first + 1 + count) for number in range(count))
    words += b"".join(types) + struct.pack("<IIII", 0, 1 << 24, 8, 64)
    names += b"x" * (10 << 20) + b"\0"
    report = bounded_report(write(tmp_path, {BTF: btf(words, names)}))
    assert report["sources"]["btf"]["state"] == "strange"


OUTPUT = "sos_commands/kernel/ls_-a{}_sys.kernel.slab"


def test_many_links_of_one_output_in_a_folder(tmp_path: Path) -> None:
    root = write(tmp_path / "sosreport-x", {OUTPUT.format(0): b"x" * (4 << 20)})
    for number in range(1, 400):
        os.link(root / OUTPUT.format(0), root / OUTPUT.format(number))
    assert bounded_report(root)["sources"]["slab_links"]["state"] == "missing"


@pytest.mark.slow
def test_many_links_of_one_output_in_an_archive(tmp_path: Path) -> None:
    root = write(tmp_path / "sosreport-x", {OUTPUT.format(0): b"x" * (4 << 20)})
    for number in range(1, 400):
        os.link(root / OUTPUT.format(0), root / OUTPUT.format(number))
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(root, "sosreport-x")
    done = run_bounded("--root", tmp_path / "x.tar.gz", "--json")
    assert done.returncode == 0 or "more than any kernel has" in done.stderr


@pytest.mark.slow
def test_node_folders_that_are_one_large_file(tmp_path: Path) -> None:
    """The files have sixteen gigabytes in total, and no file may be in memory twice."""
    root = write(tmp_path, {"sys/devices/system/node/node0/meminfo": b"x" * FILE_BYTES})
    first = root / "sys/devices/system/node/node0/meminfo"
    os.link(first, first.with_name("cpulist"))
    for number in range(1, 1024):
        folder = root / f"sys/devices/system/node/node{number}"
        folder.mkdir()
        for name in ("meminfo", "cpulist"):
            os.link(first, folder / name)
    bounded_report(root)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        b"drwxr-xr-x" + b" " * (4 << 20),
        *map(slow, (b"\n" * (4 << 20), b" \n" * (2 << 20), b"drwxr-xr-x 1 " * 300_000)),
    ],
    ids=["one-run", "newlines", "blanks", "repeated"],
)
def test_outputs_of_commands_that_are_quadratic_for_a_pattern(tmp_path: Path, text: bytes) -> None:
    outputs = ("processor/lscpu", "kernel/ls_-la_sys.kernel.slab", "kernel/sysctl_-a", "date/date", "host/hostname")
    bounded_report(write(tmp_path / "sosreport-x", {f"sos_commands/{name}": text for name in outputs}))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("count", [1 << 31, 1 << 63, *map(slow, ((1 << 63) - 1, (1 << 64) - 1, 10**20 - 1))])
def test_counts_beyond_the_range_of_the_file_are_recorded_as_unknown(tmp_path: Path, count: int) -> None:
    line = f"sockets: used 1\nTCP: inuse 1 orphan 0 tw {count} alloc {count} mem 1\n".encode()
    root, file = write(tmp_path / "tree", {"proc/net/sockstat": line}), tmp_path / "recording"
    done = run_bounded("import", root, "-w", file)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT allocated, time_wait FROM sample").fetchall() == [(None, None)]
    source = json.loads(run_bounded("-r", file, "--json").stdout.splitlines()[0])["sources"]["sockstat"]
    assert source["state"] == "strange"


@pytest.mark.slow
def test_a_recording_of_a_month_is_opened_within_the_limits(tmp_path: Path) -> None:
    root, file = write(tmp_path / "tree", {"proc/meminfo": b"MemTotal: 8 kB\n"}), tmp_path / "recording"
    assert run_bounded("import", root, "-w", file).returncode == 0
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "WITH RECURSIVE new(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM new WHERE number < 2599999) "
            "INSERT INTO sample SELECT number, NULL, 1.8e9 + number, number % 1000, 5 FROM new"
        )
    done = run_bounded("-r", file, "-o", "--at", "-5m")
    assert "it is not in the file" in done.stderr
    assert done.stdout
