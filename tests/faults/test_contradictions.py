"""Figures that no healthy kernel prints: the source becomes strange, with a reason, and no figure from the source is
complete.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from program import CHECKOUT, output, report, run, text_report
from recorded import copy_recording, release_files

RECORDINGS = CHECKOUT / "tests/recordings"
KERNEL, PHASE = "6.1-4n", "established"
ACTIVE, OBJECTS, SIZE, PER_SLAB, PAGES, SLABS = 1, 2, 3, 4, 5, 14
PAGE_BYTES = 4096

Json = dict[str, Any]


def copied(destination: Path, kernel: str = KERNEL, phase: str = PHASE) -> Path:
    return Path(shutil.copytree(RECORDINGS / kernel / phase, destination / f"{kernel}-{phase}", symlinks=True))


def write(root: Path, files: Mapping[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def change(root: Path, path: str, pattern: str, replacement: str) -> None:
    text, number = re.subn(pattern, replacement, (root / path).read_text(), count=1, flags=re.MULTILINE)
    assert number == 1
    (root / path).write_text(text)


def row_of(root: Path, name: str) -> list[str]:
    lines = (root / "proc/slabinfo").read_text().splitlines()
    return next(line.split() for line in lines if line.split()[0] == name)


def change_row(root: Path, name: str, columns: Mapping[int, int]) -> None:
    words = row_of(root, name)
    for column, number in columns.items():
        words[column] = str(number)
    change(root, "proc/slabinfo", rf"^{re.escape(name)} .*$", " ".join(words))


def assert_strange(found: Json, source: str, *mentioned: str) -> None:
    health = found["sources"][source]
    assert health["state"] == "strange", (source, health)
    assert "\n" not in health["reason"]
    for word in mentioned:
        assert word in health["reason"]


def assert_incomplete(found: Json, source: str) -> None:
    """No cost of a socket and no sum is complete or has an upper end."""
    for mode in found["bytes_per_connection"].values():
        for family in ("ipv4", "ipv6", "mix"):
            for side in mode[family].values():
                assert not side["complete"]
                assert any(source in name for name in side["missing"])
                assert side["high_slab_bytes"] is None
    assert not found["tcp_memory"]["complete"]
    assert found["tcp_memory"]["high_bytes"] is None


def times(column: int, factor: int) -> Callable[[list[str]], Mapping[int, int]]:
    return lambda row: {column: int(row[column]) * factor}


def to(column: int, number: int) -> Callable[[list[str]], Mapping[int, int]]:
    return lambda row: {column: number}  # noqa: ARG005 (the row has no part in it)


ROW_CHANGES: Mapping[str, Callable[[list[str]], Mapping[int, int]]] = {
    "one object more in a slab": lambda row: {PER_SLAB: int(row[PER_SLAB]) + 1},
    "one object less in a slab": lambda row: {PER_SLAB: int(row[PER_SLAB]) - 1},
    "no object in a slab": to(PER_SLAB, 0),
    "a slab of no pages": to(PAGES, 0),
    "twice the pages": times(PAGES, 2),
    "twice the size": times(SIZE, 2),
    "objects of no bytes": to(SIZE, 0),
    "objects smaller than their struct": lambda row: {
        SIZE: int(row[SIZE]) // 2,
        PER_SLAB: PAGE_BYTES * int(row[PAGES]) // (int(row[SIZE]) // 2),
    },
    "2^63 slabs": to(SLABS, 1 << 63),
    "more slabs than objects": lambda row: {SLABS: 2 * int(row[OBJECTS])},
    "no slabs": to(SLABS, 0),
    "more objects than slabs hold": times(OBJECTS, 3),
    "2^64 - 2^40 objects": to(OBJECTS, (1 << 64) - (1 << 40)),
    "more active objects than objects": times(ACTIVE, 10),
    "more bytes than memory": lambda row: {at: int(row[at]) * 1000 for at in (ACTIVE, OBJECTS, 13, SLABS)},
}


@pytest.mark.parametrize("name", ["TCP", "sock_inode_cache", "dentry"])
@pytest.mark.parametrize("kind", ROW_CHANGES)
def test_an_impossible_row_of_slabinfo(tmp_path: Path, kind: str, name: str) -> None:
    root = copied(tmp_path)
    change_row(root, name, ROW_CHANGES[kind](row_of(root, name)))
    found = report(root)
    assert_strange(found, "slabinfo", name)
    assert_incomplete(found, "slabinfo")
    assert found["headroom"]["sockets"] is None
    cache = next(cache for cache in found["caches"] if cache["name"] == name)
    assert cache["bytes"] is None
    if name == "TCP":
        assert found["bytes_per_connection"]["full"]["now_bytes"] is None
        assert found["tcp_memory"]["bytes"] is None
    assert found["sources"]["slabinfo"]["reason"].split(": ", 1)[1] in " ".join(text_report(root).split())


@pytest.mark.parametrize("kind", ["one object more in a slab", "twice the size", "twice the pages"])
def test_an_impossible_row_is_found_without_other_files(tmp_path: Path, kind: str) -> None:
    """The page size follows from the other rows."""
    whole = copied(tmp_path)
    root = write(tmp_path / "alone", {"proc/slabinfo": (whole / "proc/slabinfo").read_text()})
    change_row(root, "TCP", ROW_CHANGES[kind](row_of(root, "TCP")))
    found = report(root)
    assert found["host"]["page_size"] == PAGE_BYTES
    assert_strange(found, "slabinfo", "TCP")
    assert_incomplete(found, "slabinfo")


def test_a_lower_end_is_not_above_the_truth(tmp_path: Path) -> None:
    true = report(RECORDINGS / KERNEL / PHASE)["bytes_per_connection"]["full"]["mix"]["accepted"]["slab_bytes"]
    for kind in ("twice the size", "one object less in a slab", "twice the pages"):
        root = copied(tmp_path / kind.replace(" ", "-"))
        change_row(root, "TCP", ROW_CHANGES[kind](row_of(root, "TCP")))
        assert report(root)["bytes_per_connection"]["full"]["mix"]["accepted"]["slab_bytes"] <= true


@pytest.mark.parametrize("name", ["TCP", "dentry"])
def test_a_row_that_is_there_twice_counts_once(tmp_path: Path, name: str) -> None:
    """A part of slabinfo is read while the list of caches changes."""
    root = copied(tmp_path)
    change(root, "proc/slabinfo", rf"^({name} .*)$", r"\1\n\1")
    whole = report(RECORDINGS / KERNEL / PHASE)
    found = report(root)
    for key in ("bytes_per_connection", "tcp_memory", "slab_memory"):
        assert found[key] == whole[key]
    assert [cache["name"] for cache in found["caches"]].count(name) == 1


def test_two_rows_of_different_sizes_are_not_one_cache(tmp_path: Path) -> None:
    root = copied(tmp_path)
    row = row_of(root, "TCP")
    other = [*row[:PER_SLAB], "4", "3", *row[PAGES + 1 :]]
    change(root, "proc/slabinfo", r"^(TCP .*)$", rf"\1\n{' '.join(other)}")
    found = report(root)
    assert_strange(found, "slabinfo", "TCP")
    assert_incomplete(found, "slabinfo")


ACTIVE_ROWS: Mapping[str, tuple[str, str]] = {
    "TCP": (PHASE, "TCP and TCPv6: 0 active objects, and there are 16 001 TCP sockets"),
    "tw_sock_TCP": ("timewait", "tw_sock_TCP and tw_sock_TCPv6: 0 active objects, and there are 8 000 TIME_WAIT"),
    "filp": (PHASE, "filp: 0 active objects, and there are 15 616 open files"),
}


@pytest.mark.parametrize("name", ACTIVE_ROWS)
def test_objects_in_use_that_are_not_active(tmp_path: Path, name: str) -> None:
    phase, sentence = ACTIVE_ROWS[name]
    root = copied(tmp_path, phase=phase)
    assert report(root)["sources"]["slabinfo"]["state"] == "ok"
    change_row(root, name, {ACTIVE: 0})
    found = report(root)
    assert_strange(found, "slabinfo", sentence)
    assert next(cache for cache in found["caches"] if cache["name"] == name)["active_objects"] is None
    checked = run("check", "--root", root, "--warn", "idle=0:", "idle").stdout
    assert checked.startswith("TCPTOP UNKNOWN - idle ")
    assert f"(/proc/slabinfo: {name}" in checked


def test_rows_beyond_the_slab_memory(tmp_path: Path) -> None:
    root = copied(tmp_path)
    change(root, "proc/meminfo", r"^Slab: .*$", "Slab: 60000 kB")
    change(root, "proc/meminfo", r"^SReclaimable: .*$", "SReclaimable: 24000 kB")
    change(root, "proc/meminfo", r"^SUnreclaim: .*$", "SUnreclaim: 36000 kB")
    found = report(root)
    assert_strange(found, "slabinfo", "Slab of /proc/meminfo")
    assert_incomplete(found, "slabinfo")
    assert found["slab_memory"]["unexplained_bytes"] is None


SOCKSTAT_CHANGES: Mapping[str, tuple[str, str, str]] = {
    "100 times the sockets": (r"alloc (\d+)", r"alloc \g<1>00", "allocated"),
    "twice the sockets": (r"alloc \d+", "alloc 32002", "allocated"),
    "2^63 sockets": (r"alloc \d+", f"alloc {1 << 63}", "allocated"),
    "more sockets than an int holds": (r"alloc \d+", f"alloc {1 << 31}", "allocated"),
    "more orphans than sockets": (r"orphan \d+", "orphan 30000", "orphans"),
    "more TIME_WAIT sockets than objects": (r"tw \d+", "tw 100000", "time_wait"),
    "more buffers than memory": (r"mem \d+", "mem 4000000", "buffer_pages"),
    "2^63 pages of buffers": (r"mem \d+", f"mem {1 << 63}", "buffer_pages"),
    "more sockets in use than memory holds": (r"inuse \d+", "inuse 2000000000", "inuse"),
}


@pytest.mark.parametrize("kind", SOCKSTAT_CHANGES)
def test_an_impossible_count_of_sockstat(tmp_path: Path, kind: str) -> None:
    root = copied(tmp_path)
    pattern, replacement, field = SOCKSTAT_CHANGES[kind]
    change(root, "proc/net/sockstat", pattern, replacement)
    found = report(root)
    assert_strange(found, "sockstat")
    assert_incomplete(found, "sockstat")
    assert found["sockets"][field] is None
    if field == "allocated":
        assert found["bytes_per_connection"]["full"]["now_bytes"] is None


@pytest.mark.parametrize(
    ("source", "path", "pattern", "replacement"),
    [
        ("socket_limits", "proc/sys/fs/file-nr", r"^\d+", str(1 << 62)),
        ("snmp", "proc/net/snmp", r"^(Tcp: \d.*)$", "Tcp: " + " ".join(["9000000000000"] * 15)),
        ("sockstat6", "proc/net/sockstat6", r"inuse \d+", "inuse 2000000000"),
        ("meminfo", "proc/meminfo", r"^MemAvailable: .*$", "MemAvailable: 999999999 kB"),
        ("meminfo", "proc/meminfo", r"^Slab: .*$", "Slab: 999999999 kB"),
        ("zoneinfo", "proc/zoneinfo", r"pages free +\d+", "pages free 99999999"),
        ("zoneinfo", "proc/zoneinfo", r"managed +\d+", "managed 99999999"),
        ("zoneinfo", "proc/zoneinfo", r"min +\d+", "min 99999999"),
        ("buddyinfo", "proc/buddyinfo", r"(zone +Normal +)\d+", r"\g<1>99999999"),
        ("buddyinfo", "proc/buddyinfo", r"\d+ *$", "9999999 "),
        ("pagetypeinfo", "proc/pagetypeinfo", r"^(Node +0, zone +DMA32, type +Movable) +\d+", r"\1 9999999"),
        ("slab_sizes", "sys/kernel/slab/TCP/object_size", r"\d+", "99999"),
        ("slab_sizes", "sys/kernel/slab/TCP/objs_per_slab", r"\d+", "17"),
        ("slab_counts", "sys/kernel/slab/TCP/slabs", r"^\d+", str(1 << 63)),
        ("slab_counts", "sys/kernel/slab/TCP/total_objects", r"^\d+", "16"),
        ("slab_counts", "sys/kernel/slab/TCP/total_objects", r"N0=\d+", "N0=99999"),
    ],
)
def test_an_impossible_figure_of_another_file(
    tmp_path: Path, source: str, path: str, pattern: str, replacement: str
) -> None:
    root = copied(tmp_path, "6.12-4n")
    change(root, path, pattern, replacement)
    assert_strange(report(root), source)


@pytest.mark.parametrize("path", ["proc/buddyinfo", "proc/zoneinfo"])
def test_the_headroom_of_a_zone_with_impossible_figures_is_unknown(tmp_path: Path, path: str) -> None:
    root = copied(tmp_path)
    if path == "proc/buddyinfo":
        change(root, path, r"^(Node 0, zone +DMA32 +)\d+", r"\g<1>99999999")
    else:
        change(root, path, r"pages free +\d+", "pages free 99999999")
    found = report(root)
    assert found["headroom"]["without_reclaim_low"] is None
    if path == "proc/zoneinfo":
        assert found["headroom"]["sockets"] is None
        assert found["headroom"]["unknown_because"]


def test_other_orders_than_in_buddyinfo(tmp_path: Path) -> None:
    root = copied(tmp_path)
    lines = (root / "proc/pagetypeinfo").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Free pages count"))
    lines[at] += "     11"
    longer = [line + "      0" if ", type" in line else line for line in lines]
    write(root, {"proc/pagetypeinfo": "\n".join(longer) + "\n"})
    found = report(root)
    assert_strange(found, "pagetypeinfo", "buddyinfo")


DUPLICATES = [
    ("meminfo", "proc/meminfo", r"^(MemTotal: .*)$", r"\1\nMemTotal: 123 kB"),
    ("meminfo", "proc/meminfo", r"^(Slab: .*)$", r"\1\nSlab: 123 kB"),
    ("meminfo", "proc/meminfo", r"^(Cached: .*)$", r"\1\nCached: 123 kB"),
    ("sockstat", "proc/net/sockstat", r"^(TCP: .*)$", r"\1\nTCP: inuse 5 orphan 5 tw 5 alloc 5 mem 5"),
    ("sockstat", "proc/net/sockstat", r"(alloc \d+)", r"\1 alloc 5"),
    ("sockstat6", "proc/net/sockstat6", r"^(TCP6: .*)$", r"\1\nTCP6: inuse 5"),
    ("buddyinfo", "proc/buddyinfo", r"^(Node 0, zone +DMA32.*)$", r"\1\n\1"),
    ("zoneinfo", "proc/zoneinfo", r"\Z", "Node 0, zone    DMA32\n  pages free     1\n"),
    ("protocols", "proc/net/protocols", r"^(TCP +)\d+(.*)$", r"\g<0>\n\g<1>123\2"),
    ("pagetypeinfo", "proc/pagetypeinfo", r"^(Node +0, zone +DMA32, type +Movable.*)$", r"\1\n\1"),
]


@pytest.mark.parametrize(("source", "path", "pattern", "replacement"), DUPLICATES)
def test_of_two_lines_with_one_name_the_first_counts(
    tmp_path: Path, source: str, path: str, pattern: str, replacement: str
) -> None:
    root = copied(tmp_path)
    change(root, path, pattern, replacement)
    whole, found = report(RECORDINGS / KERNEL / PHASE), report(root)
    assert_strange(found, source, "more than once")
    for key in ("sockets", "slab_memory", "nodes", "caches", "host"):
        assert found[key] == whole[key] or key == "slab_memory", key
    assert found["slab_memory"]["bytes"] == whole["slab_memory"]["bytes"]


def test_a_node_with_two_sizes_has_the_first(tmp_path: Path) -> None:
    root = copied(tmp_path)
    path = "sys/devices/system/node/node0/meminfo"
    change(root, path, r"^(Node 0 MemTotal: .*)$", r"\1\nNode 0 MemTotal: 123 kB")
    found = report(root)
    assert_strange(found, "topology", "MemTotal")
    assert found["nodes"][0]["memory_bytes"] == report(RECORDINGS / KERNEL / PHASE)["nodes"][0]["memory_bytes"]


# Recordings.


@pytest.mark.parametrize("field", ["alloc", "tw", "mem", "inuse", "orphan"])
def test_a_count_beyond_the_databases_integers_is_recorded_as_unknown(tmp_path: Path, field: str) -> None:
    counts = {"inuse": 1, "orphan": 0, "tw": 5, "alloc": 1, "mem": 1} | {field: 1 << 63}
    line = " ".join(f"{key} {count}" for key, count in counts.items())
    root = write(tmp_path / "tree", {"proc/net/sockstat": f"sockets: used 1\nTCP: {line}\n"})
    recording = tmp_path / "sockets.tcptop"
    output("import", root, "-w", recording)
    found = json.loads(output("-r", recording, "--json"))
    names = {"alloc": "allocated", "tw": "time_wait", "mem": "buffer_pages", "orphan": "orphans", "inuse": "inuse"}
    assert found["sockets"][names[field]] is None
    assert_strange(found, "sockstat", field)


# Page sizes and ratios.

SLAB_HEADER = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>\n"


@pytest.mark.parametrize(("page_bytes", "pages"), [(4096, 16), (65536, 1), (16384, 4)])
def test_one_object_that_fills_its_slab_gives_the_page_size_of_a_slab_kernel(
    tmp_path: Path, page_bytes: int, pages: int
) -> None:
    per_slab = (page_bytes * 4 - 64) // 1536
    rows = (
        f"TCP 5 {per_slab} 1536 {per_slab} 4 : tunables 24 12 8 : slabdata 1 1 0\n"
        f"kmalloc-65536 3 3 65536 1 {pages} : tunables 8 4 0 : slabdata 3 3 0\n"
        f"kmalloc-131072 3 3 131072 1 {2 * pages} : tunables 8 4 0 : slabdata 3 3 0\n"
        "kmem_cache 1 24 160 24 1 : tunables 32 16 8 : slabdata 1 1 0\n"
    )
    found = report(write(tmp_path, {"proc/slabinfo": SLAB_HEADER + rows}))
    assert found["host"]["page_size"] == page_bytes
    assert found["caches"][0]["bytes"] == 4 * page_bytes


@pytest.mark.parametrize(
    ("release", "size"),
    [
        ("2.6.32-5-amd64", 4096),
        ("2.6.32-431.el6.x86_64", 4096),
        ("5.14.0-1.el9.s390x", 4096),
        ("6.1.0-9-686", 4096),
        ("6.1.0-9-arm64", None),
        ("4.18.0-80.el8.ppc64le", None),
        ("6.18.1", None),
    ],
)
def test_an_architecture_with_one_page_size_gives_it(tmp_path: Path, release: str, size: int | None) -> None:
    root = write(tmp_path, {"proc/version": f"Linux version {release} (b@host) (gcc) #1 SMP\n"})
    assert report(root)["host"]["page_size"] == size


@pytest.mark.parametrize(
    ("release", "is_at_most"), [("4.8.15", False), ("4.9.0", True), ("5.19.17", True), ("6.0.0", False)]
)
def test_a_ratio_of_two_counts_needs_no_size_of_a_page(release: str, is_at_most: bool, tmp_path: Path) -> None:
    """From 4.9 to 5.19 only tcp_mem is in pages; sockstat's `mem` is in units of 4096 bytes, at most a page."""
    root = write(
        tmp_path,
        {
            "proc/sys/kernel/osrelease": f"{release}\n",
            "sys/devices/system/cpu/online": "0\n",
            "proc/net/sockstat": "TCP: inuse 900 orphan 0 tw 0 alloc 900 mem 2200\n",
            "proc/sys/net/ipv4/tcp_mem": "2000\t2800\t4400\n",
        },
    )
    found = report(root)
    limit = next(limit for limit in found["limits"] if limit["name"] == "tcp_mem")
    assert (limit["used"], limit["limit"], limit["unit"], limit["ratio"]) == (2200, 4400, "pages", 0.5)
    assert limit["used_is_at_most"] is is_at_most
    assert "size of a page not known" in limit["note"]
    assert re.search(rf"buffers +{'8.6 MiB' if is_at_most else '2 200 pages'}", text_report(root))


def test_two_counts_whose_units_may_differ_have_no_ratio(tmp_path: Path) -> None:
    """Without a release the unit of sockstat's `mem`, and the error of the counter, are unknown."""
    root = write(
        tmp_path,
        {
            "proc/net/sockstat": "TCP: inuse 900 orphan 0 tw 0 alloc 900 mem 5000\n",
            "proc/sys/net/ipv4/tcp_mem": "2000\t2800\t4400\n",
        },
    )
    limit = next(limit for limit in report(root)["limits"] if limit["name"] == "tcp_mem")
    assert (limit["used"], limit["used_is_at_most"], limit["limit"]) == (5000, True, 4400)
    assert limit["state"] == "unknown"
    assert re.search(r"buffers +(<=|≤) 5 000 pages", text_report(root))
    assert "the release of the kernel is not known" in limit["note"]


@pytest.mark.parametrize(("orphans", "headroom"), [(0, 16384), (10_000, 6384), (21_564, 0), (65_738, 0)])
def test_an_orphan_may_count_four_times(tmp_path: Path, orphans: int, headroom: int) -> None:
    root = write(
        tmp_path,
        {
            "proc/net/sockstat": f"TCP: inuse 125217 orphan {orphans} tw 0 alloc 121429 mem 0\n",
            "proc/sys/net/ipv4/tcp_max_orphans": "65536\n",
        },
    )
    found = report(root)
    limit = next(limit for limit in found["limits"] if limit["name"] == "tcp_max_orphans")
    assert (limit["used"], limit["limit"], limit["headroom_sockets"]) == (orphans, 65536, headroom)
    assert "4 times" in limit["note"]


@pytest.mark.parametrize(
    ("path", "source", "content"),
    [
        ("proc/sys/fs/file-nr", "socket_limits", f"{1 << 63} 0 9000000\n"),
        ("proc/sys/net/ipv4/tcp_mem", "sysctls", f"100 200 {1 << 63}\n"),
    ],
)
def test_a_number_that_no_long_holds(tmp_path: Path, path: str, source: str, content: str) -> None:
    root = copied(tmp_path)
    (root / path).write_text(content)
    assert_strange(report(root), source)


def test_the_largest_numbers_of_a_long_are_possible(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").write_text(f"100 200 {(1 << 63) - 1}\n")
    (root / "proc/sys/fs/file-nr").write_text(f"16001 0 {(1 << 64) - 1}\n")
    sources = report(root)["sources"]
    assert (sources["sysctls"]["state"], sources["socket_limits"]["state"]) == ("ok", "ok")


NETSTAT = "TcpExt: ListenOverflows ListenDrops TCPOFODrop\nTcpExt: {} {} 7\n"


@pytest.mark.parametrize(("overflows", "drops", "state"), [(90_000, 12, "strange"), (90_000, 89_990, "ok")])
def test_overflows_are_drops_too(tmp_path: Path, overflows: int, drops: int, state: str) -> None:
    root = copied(tmp_path)
    (root / "proc/net/netstat").write_text(NETSTAT.format(overflows, drops))
    found = report(root)
    assert found["sources"]["netstat"]["state"] == state
    if state == "strange":
        assert_strange(found, "netstat", "ListenOverflows", "ListenDrops")
        assert found["events"]["ListenOverflows"]["total"] is None
        assert found["events"]["TCPOFODrop"]["total"] == 7


def test_names_and_values_in_exchanged_lines(tmp_path: Path) -> None:
    root = copied(tmp_path)
    (root / "proc/net/netstat").write_text("TcpExt: 12 16\nTcpExt: ListenOverflows ListenDrops\n")
    assert_strange(report(root), "netstat", "line of values has names")


@pytest.mark.parametrize("allocated", [12_001, 13_001])
def test_fewer_allocated_sockets_than_other_files_show_in_ipv6(tmp_path: Path, allocated: int) -> None:
    """All sockets are of IPv6, so the line itself has none in use."""
    root = copy_recording("6.1-4n-ipv6", "established", tmp_path)
    assert report(root)["sources"]["sockstat"]["state"] == "ok"
    sockstat = root / "proc/net/sockstat"
    sockstat.write_text(sockstat.read_text().replace("alloc 16001", f"alloc {allocated}"))
    found = report(root)
    assert found["sources"]["sockstat"]["state"] == "strange"
    assert found["bytes_per_connection"]["full"]["now_bytes"] is None


# What is possible.


def test_a_count_above_its_lowered_sysctl_is_possible(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/sys/fs/file-nr": "5000 0 1000\n",
            "proc/sys/net/netfilter/nf_conntrack_count": "5000\n",
            "proc/sys/net/netfilter/nf_conntrack_max": "1000\n",
            "proc/sys/net/ipv4/tcp_max_orphans": "5\n",
            "proc/net/sockstat": "TCP: inuse 125217 orphan 65738 tw 103758 alloc 121429 mem 22016\n",
            "proc/meminfo": "MemTotal: 4000000 kB\n",
        },
    )
    states = {name: source["state"] for name, source in report(root)["sources"].items()}
    assert "strange" not in states.values()


def test_counts_that_are_not_read_at_one_time_may_be_off_by_some(tmp_path: Path) -> None:
    root = copied(tmp_path)
    row = row_of(root, "TCP")
    change_row(root, "TCP", {ACTIVE: int(row[OBJECTS]) + 20, SLABS: int(row[SLABS]) - 5})
    change(root, "proc/net/sockstat", r"alloc \d+", f"alloc {int(row[OBJECTS]) + 500}")
    assert report(root)["sources"]["slabinfo"]["state"] == "ok"
    assert report(root)["sources"]["sockstat"]["state"] == "ok"


@pytest.mark.parametrize("tree", sorted(path.parent for path in RECORDINGS.glob("*/*/proc")), ids=str)
def test_no_healthy_machine_contradicts_itself(tree: Path) -> None:
    states = {name: source["state"] for name, source in report(tree)["sources"].items()}
    assert "strange" not in states.values()


NODE = "sys/devices/system/node"
CPU_LISTS: Mapping[str, tuple[Mapping[str, str], str, set[int]]] = {
    "a number of no kernel": ({f"{NODE}/node0/cpulist": "0-99999999\n"}, "CPU 99999999, and a kernel has", {0}),
    "a CPU twice": ({f"{NODE}/node0/cpulist": "0-1,1\n"}, "has a CPU for the second time", {0}),
    "a CPU of two nodes": ({f"{NODE}/node1/cpulist": "0-1\n"}, "CPU 0 is in the lists of nodes 0 and 1", {0, 1}),
}


@pytest.mark.parametrize("kind", CPU_LISTS)
def test_an_impossible_list_of_cpus(tmp_path: Path, kind: str) -> None:
    files, sentence, unknown = CPU_LISTS[kind]
    root = copied(tmp_path)
    write(root, files)
    found = report(root)
    assert_strange(found, "topology", sentence)
    assert {node["node"] for node in found["nodes"] if node["cpus"] is None} == unknown
    assert "99999999" not in text_report(root).split("topology")[0]


def test_an_impossible_list_of_online_cpus(tmp_path: Path) -> None:
    root = write(copied(tmp_path), {"sys/devices/system/cpu/online": "0-99999999\n"})
    assert_strange(report(root), "topology", "the list of CPUs that are online: CPU 99999999")
    assert "100 000 000" not in text_report(root)


def in_container_without_limit(destination: Path) -> Path:
    """A container whose meminfo (lxcfs) has the machine's MemTotal and the container's other figures."""
    root = copied(destination)
    meminfo = (root / "proc/meminfo").read_text()
    found = re.search(r"^MemTotal: +(\d+)", meminfo, re.MULTILINE)
    assert found is not None
    container = {
        **dict.fromkeys(("Buffers", "Active(anon)", "Inactive(anon)", "AnonPages"), 0),
        "MemFree": int(found[1]) - 200_000,
        "MemAvailable": int(found[1]) - 100_000,
        "Cached": 100_000,
        "Active(file)": 50_000,
        "Inactive(file)": 50_000,
        "Slab": 20_000,
        "SReclaimable": 15_000,
        "SUnreclaim": 5_000,
    }
    for name, kib in container.items():
        change(root, "proc/meminfo", rf"^{re.escape(name)}:.*$", f"{name}: {kib} kB")
    half = re.sub(
        r"((?:pages free|nr_free_pages) +)(\d+)",
        lambda match: f"{match[1]}{int(match[2]) // 2}",
        (root / "proc/zoneinfo").read_text(),
    )
    (root / "proc/zoneinfo").write_text(half)
    blocks = re.sub(
        r"(?m)^(Node.*zone +\w+)(.*)$",
        lambda match: f"{match[1]} {' '.join(str(int(count) // 2) for count in match[2].split())}",
        (root / "proc/buddyinfo").read_text(),
    )
    (root / "proc/buddyinfo").write_text(blocks)
    (root / "proc/pagetypeinfo").unlink(missing_ok=True)
    return root


def test_no_figure_of_a_containers_meminfo_is_the_machines(tmp_path: Path) -> None:
    root = in_container_without_limit(tmp_path)
    (root / "proc/slabinfo").unlink()
    found = report(root)
    assert_strange(found, "meminfo", "the memory in use", "/proc/zoneinfo")
    assert found["slab_memory"]["bytes"] is None


def test_the_meminfo_of_a_container_is_not_held_against_slabinfo(tmp_path: Path) -> None:
    """Slabinfo is the kernel's, and what is computed without meminfo stays."""
    found, whole = report(in_container_without_limit(tmp_path)), report(copied(tmp_path / "whole"))
    assert_strange(found, "meminfo", "the memory in use", "/proc/zoneinfo")
    assert found["sources"]["slabinfo"]["state"] == "ok"
    assert found["slab_memory"]["bytes"] is None
    assert found["slab_memory"]["own_bytes"] == whole["slab_memory"]["own_bytes"]
    headroom = found["headroom"]
    assert headroom["with_reclaim"] is None
    assert headroom["without_reclaim_low"] > 100_000
    assert headroom["bytes_per_socket"] == whole["headroom"]["bytes_per_socket"]


LIGHTLY_USED = {
    "MemFree": -20_000,
    "MemAvailable": -18_000,
    "Buffers": 0,
    "Cached": 5_000,
    "Slab": 1_200,
    "SReclaimable": 800,
    "SUnreclaim": 400,
}
"""Figures of a lightly used container without a limit (lxcfs), in kB. A negative one is added to MemTotal."""


def with_meminfo(root: Path, figures: Mapping[str, int]) -> Path:
    found = re.search(r"^MemTotal: +(\d+)", (root / "proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None
    for name, kib in figures.items():
        change(root, "proc/meminfo", rf"^{name}:.*$", f"{name}: {kib if kib >= 0 else int(found[1]) + kib} kB")
    return root


@pytest.mark.parametrize("lines", [("MemFree", "MemAvailable"), ("Slab", "SReclaimable", "SUnreclaim"), LIGHTLY_USED])
@pytest.mark.parametrize("with_slabinfo", [False, True])
@pytest.mark.parametrize("kernel", ["6.1-4n", "5.10-4n", "6.12-arm64-16k-4n"])
def test_a_lightly_used_containers_memory_is_not_the_machines(
    kernel: str, with_slabinfo: bool, lines: Collection[str], tmp_path: Path
) -> None:
    """Its MemAvailable leaves no reserves of the zones, and its Slab is less than that of the zones."""
    root = with_meminfo(copied(tmp_path, kernel), {name: LIGHTLY_USED[name] for name in lines})
    if not with_slabinfo:
        (root / "proc/slabinfo").unlink()
    found = report(root)
    assert_strange(found, "meminfo", "the meminfo of a container")
    assert found["sources"]["slabinfo"]["state"] == ("ok" if with_slabinfo else "missing")
    [memory] = [limit for limit in found["limits"] if limit["name"] == "memory"]
    assert (memory["used"], memory["ratio"], memory["state"]) == (None, None, "unknown")
    assert found["slab_memory"]["bytes"] is None
    assert run("check", "--root", root, "memory").stdout.startswith("TCPTOP UNKNOWN")


@pytest.mark.parametrize(
    "of_host",
    [
        {"KReclaimable": 700_000},
        {"HugePages_Total": 2048, "Hugetlb": 4_194_304},
        {"KReclaimable": 700_000, "HugePages_Total": 64, "Hugetlb": 131_072},
    ],
)
def test_lines_of_the_host_in_a_containers_meminfo_are_no_contradiction(
    of_host: Mapping[str, int], tmp_path: Path
) -> None:
    """lxcfs prints the lines that it does not know as the host has them."""
    root, total, available = copied(tmp_path), 524_288, 450_000
    container = {"MemTotal": total, "MemFree": 300_000, "MemAvailable": available, "Cached": 150_000, "Buffers": 0}
    files = {"Active(file)": 100_000, "Inactive(file)": 50_000, "Slab": 0, "SReclaimable": 0, "SUnreclaim": 0}
    for name, amount in {**container, **files, "AnonPages": 70_000, **of_host}.items():
        change(root, "proc/meminfo", rf"^({re.escape(name)}:) +\d+", rf"\1 {amount}")
    found = report(root)
    assert found["sources"]["meminfo"]["state"] == "ok"
    [memory] = [limit for limit in found["limits"] if limit["name"] == "memory"]
    assert (memory["used"], memory["limit"]) == ((total - available) * 1024, total * 1024)
    assert memory["scope"] == "unknown"


@pytest.mark.parametrize(("release", "state"), [("3.10.0", "ok"), ("4.19.0", "strange")])
def test_before_3_11_no_zone_manages_the_huge_pages_of_1_gib(release: str, state: str, tmp_path: Path) -> None:
    """They were added to MemTotal alone (mm/hugetlb.c, gather_bootmem_prealloc)."""
    root = write(copied(tmp_path), release_files(release))
    before = next(limit for limit in report(root)["limits"] if limit["name"] == "memory")
    text = (root / "proc/meminfo").read_text()
    [total] = re.findall(r"(?m)^MemTotal: +(\d+)", text)
    for name, amount in (("MemTotal", int(total) + (2 << 20)), ("HugePages_Total", 2), ("Hugepagesize", 1 << 20)):
        change(root, "proc/meminfo", rf"^({name}:) +\d+", rf"\1 {amount}")
    change(root, "proc/meminfo", r"^Hugetlb:.*\n", "")
    found = report(root)
    assert found["sources"]["meminfo"]["state"] == state
    [memory] = [limit for limit in found["limits"] if limit["name"] == "memory"]
    if state == "ok":
        assert (memory["used"], memory["limit"]) == (before["used"], before["limit"])


@pytest.mark.parametrize("release", ["4.19.0", "3.10.0"])
def test_a_kernel_whose_rule_for_available_memory_is_another_does_not_contradict_itself(
    release: str, tmp_path: Path
) -> None:
    """MemAvailable was computed without the protections, or from a figure that meminfo did not print."""
    root = with_meminfo(copied(tmp_path), {"MemFree": -208_164, "MemAvailable": -208_164})
    assert_strange(report(root), "meminfo", "without the reserves of the zones")
    write(root, release_files(release))
    assert report(root)["sources"]["meminfo"]["state"] == "ok"


def test_both_files_are_named_if_rows_take_more_than_slab(tmp_path: Path) -> None:
    """Without zoneinfo, either may be wrong: slabinfo, or the meminfo of a container."""
    root = copied(tmp_path)
    for name, kib in (("Slab", 20_000), ("SReclaimable", 8_000), ("SUnreclaim", 12_000)):
        change(root, "proc/meminfo", rf"^{name}:.*$", f"{name}: {kib} kB")
    (root / "proc/zoneinfo").unlink()
    found = report(root)
    assert_strange(found, "slabinfo", "rows take")
    assert_strange(found, "meminfo", "Slab is less than the rows of /proc/slabinfo take")
    assert found["slab_memory"]["bytes"] is None
    [memory] = [limit for limit in found["limits"] if limit["name"] == "memory"]
    assert (memory["used"], memory["state"]) == (None, "unknown")
    planned = json.loads(run("plan", "--connections", "1000", "--root", root, "--json").stdout)
    assert [limit["used"] for limit in planned["limits"] if limit["name"] == "memory"] == [None]
