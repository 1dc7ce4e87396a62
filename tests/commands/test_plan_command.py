"""`tcptop plan`: sums compared with rows of slabinfo, limits compared with the files, the verdict and the exit
codes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any

import forked_program
import pytest
from made_look import WHOLE_MACHINE, group, look_text, net, process, table_of, tree_with_look
from made_machine import MACHINES, make_machine
from recorded import (
    OLD_RELEASE,
    PAGE_BYTES,
    RECORDINGS,
    copy_recording,
    counters,
    ledger,
    release_files,
    row_of,
    slab_rows,
    snapshot,
    text,
    tree,
    without_reserves,
    write_buffers,
    write_tree,
)
from samples import phase_trees, record
from slow_case import slow

from tcptop.accounting import account
from tcptop.accounting.plan import make_plan
from tcptop.accounting.plan_needs import MAY_BE_SHARED
from tcptop.commands import plan
from tcptop.errors import TcptopError
from tcptop.explanation.plan_page import plan_page
from tcptop.ledger.plan import PlanRequest, Side
from tcptop.snapshot import Reading
from tcptop.text import units
from tcptop.text.line import text_of
from tcptop.text.quantities import parse_buffer_bytes, parse_positive_count

PROJECT = Path(__file__).resolve().parents[2]
TREE = str(PROJECT / "tests/recordings/6.1-4n/established")
GUARD_S = 60
"""Timeout that ends a failed test; no time is asserted."""

Json = dict[str, Any]
Run = Callable[..., tuple[int, str]]
RunJson = Callable[..., Json]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the plan without a settings file; returns the exit code and the text."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no settings"))

    def run_plan(*arguments: str) -> tuple[int, str]:
        code = plan.run(arguments)
        printed = capsys.readouterr()
        assert printed.err == ""
        return code, printed.out

    return run_plan


@pytest.fixture
def run_json(run: Run) -> RunJson:
    """Runs the plan with --json; the exit code must be that of the verdict."""

    def run_plan(*arguments: str) -> Json:
        code, output = run("--json", *arguments)
        found: Json = json.loads(output)
        assert code == {"fits": 0, "does not fit": 1, "cannot say": 2}[found["verdict"]]
        return found

    return run_plan


def bytes_of(found: Json, name: str) -> int:
    """The high bytes of the parts of one object."""
    return sum(part["high_bytes"] for part in found["takes"]["parts"] if part["object"].endswith(name))


def limit(found: Json, name: str) -> Json:
    [row] = [row for row in found["limits"] if row["name"] == name]
    return dict(row)


# The memory

SEEN_BY_AN_OBSERVER = "6.18-1n"
"""A program listed /proc/PID/fd while this machine was recorded, which made inodes of /proc and their dentries."""


@pytest.mark.parametrize("kernel", [kernel for kernel in RECORDINGS if kernel != SEEN_BY_AN_OBSERVER])
def test_a_plan_is_what_all_rows_of_slabinfo_grew_by(kernel: str) -> None:
    """Between the recorded phases, connections over loopback were opened: each an accepted and an outgoing socket."""
    total = {
        phase: sum(
            row.slabs * row.pages * PAGE_BYTES[kernel]
            for row in slab_rows(text(kernel, phase, "proc/slabinfo")).values()
        )
        for phase in ("base", "established")
    }
    grown = total["established"] - total["base"]
    opened = counters(kernel, "established")["alloc"] - counters(kernel, "base")["alloc"]
    request = PlanRequest(opened // 2, "proxy", "ipv6" if "ipv6" in kernel else "ipv4", 0, 0, False, False, False)
    found = make_plan(snapshot(kernel, "base"), ledger(kernel, "base"), request)
    assert (found.missing, request.sockets) == ((), 16_000)
    # The lower bound leaves out the bind buckets, because sockets to different peers share bind buckets.
    buckets = sum(part.high_bytes for part in found.parts if part.object in MAY_BE_SHARED)
    assert buckets > 0
    assert found.bytes is not None
    assert found.high_bytes is not None
    assert found.bytes + buckets == pytest.approx(grown, rel=0.03)
    assert grown <= found.high_bytes * 1.005


QUICK = ("6.1-4n", "6.12-arm64-16k-4n")
KERNELS = [kernel if kernel in QUICK else slow(kernel) for kernel in RECORDINGS]
"""Kernels of the recordings; the quick run takes two of the kernels."""

CACHES = (("tcp_sock", "TCP"), ("socket_alloc", "sock_inode_cache"), ("dentry", "dentry"), ("file", "filp"))


@pytest.mark.parametrize("kernel", KERNELS)
def test_objects_are_counted_by_side_with_their_share_of_a_slab(kernel: str, run_json: RunJson) -> None:
    rows = slab_rows(text(kernel, "established", "proc/slabinfo"))
    share = {name: rows[name].share(PAGE_BYTES[kernel]) for name in ("TCP", "sock_inode_cache", "dentry", "filp")}
    for side, accepted, outgoing in (("accepted", 1, 0), ("outgoing", 0, 1), ("proxy", 1, 1)):
        found = run_json("--root", str(tree(kernel, "established")), "--connections", "20K", "--side", side)
        sockets = 20_000 * (accepted + outgoing)
        assert found["request"]["sockets"] == sockets
        for struct, cache in (
            ("tcp_sock", "TCP"),
            ("socket_alloc", "sock_inode_cache"),
            ("dentry", "dentry"),
            ("file", "filp"),
        ):
            assert bytes_of(found, f"struct {struct}") == pytest.approx(sockets * share[cache], abs=1)
        ports = [part for part in found["takes"]["parts"] if "bind" in part["object"]]
        assert bool(ports) == bool(outgoing)
        assert all(part["count"] == 20_000 for part in ports)
        assert found["takes"]["bytes"] == pytest.approx(sum(part["bytes"] for part in found["takes"]["parts"]), abs=10)


def test_no_more_bind_buckets_than_there_are_ports(run_json: RunJson) -> None:
    first, last = map(int, text("6.1-4n", "established", "proc/sys/net/ipv4/ip_local_port_range").split())
    found = run_json("--root", TREE, "--connections", "1M", "--side", "outgoing")
    rows = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))
    row = rows[row_of("6.1-4n", "established", "tcp_bind_bucket") or ""]
    assert bytes_of(found, "inet_bind_bucket") == pytest.approx(65_535 * row.share(4096), abs=1), (
        "bind() takes any port"
    )
    [second] = [part for part in found["takes"]["parts"] if part["object"].endswith("bind2_bucket")]
    assert (second["count"], second["estimated"]) == (1_000_000, True)
    assert second["bytes"] < second["high_bytes"]
    assert any(f"at least {-(-1_000_000 // (last - first + 1))} such pairs" in each for each in found["remarks"])


def test_buffers_time_wait_and_epoll(run_json: RunJson) -> None:
    sides = ("--root", TREE, "--connections", "1000", "--side", "proxy")
    bare = run_json(*sides)
    more = run_json(
        *(
            "--root",
            TREE,
            "--connections",
            "1000",
            "--side",
            "proxy",
            "--buffers",
            "16K",
            "--time-wait",
            "3K",
            "--epoll",
        )
    )
    rows = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))
    share = {
        cache: rows[row_of("6.1-4n", "established", cache) or ""].share(4096)
        for cache in ("tw_sock_TCP", "eventpoll_epi", "eventpoll_pwq", "ep_head")
    }
    assert bytes_of(more, "buffers") == 2000 * 16_384
    assert bytes_of(more, "tcp_timewait_sock") == pytest.approx(3000 * share["tw_sock_TCP"], abs=1)
    for struct, cache in (("epitem", "eventpoll_epi"), ("eppoll_entry", "eventpoll_pwq"), ("epitems_head", "ep_head")):
        assert bytes_of(more, struct) == pytest.approx(2000 * share[cache], abs=1)
        assert bytes_of(bare, struct) == 0
    assert (bytes_of(bare, "buffers"), bytes_of(bare, "tcp_timewait_sock")) == (0, 0)


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-4n-memoryless", "6.1-8n", "6.1-1n"])
def test_bytes_by_node_follow_the_slabs_of_tcp(kernel: str, run_json: RunJson) -> None:
    found = run_json("--root", str(tree(kernel, "established")), "--connections", "10000")
    assert sum(node["bytes"] for node in found["nodes"].values()) == pytest.approx(found["takes"]["bytes"], abs=10)
    counts = (tree(kernel, "established") / "sys/kernel/slab/TCP/total_objects").read_text().split()
    for number, node in found["nodes"].items():
        own = next((int(word.partition("=")[2]) for word in counts[1:] if word.startswith(f"N{number}=")), 0)
        if len(found["nodes"]) > 1:
            assert node["bytes"] == pytest.approx(found["takes"]["bytes"] * own / int(counts[0]), rel=0.02, abs=1)


def test_no_node_takes_the_sockets_of_child_caches(tmp_path: Path, run: Run, run_json: RunJson) -> None:
    """Before 5.9, sysfs leaves out child caches of memory cgroups: here all socks but those of two slabs on node 0."""
    root = copy_recording("5.10-4n", "established", tmp_path)
    (root / "proc/version").unlink()
    (root / "proc/sys/kernel/osrelease").write_text("4.18.0-553.el8_10.x86_64\n")
    for name, count in (("slabs", 2), ("total_objects", 26)):
        (root / "sys/kernel/slab/TCP" / name).write_text(f"{count} N0={count}\n")
    arguments = ("--root", str(root), "--connections", "1000000")
    assert run_json(*arguments)["nodes"] is None
    text = run(*arguments)[1]
    assert "By node: not known, since no file counts all TCP slabs by node." in text
    assert "above its own free memory" not in text


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-4n-memoryless", "6.1-8n"])
def test_a_node_has_its_free_memory_and_how_many_fit_into_it(kernel: str, run: Run, run_json: RunJson) -> None:
    """The free memory is that of the headroom, before reclaim."""
    arguments = ("--root", str(tree(kernel, "established")), "--connections", "10000")
    found, headroom = run_json(*arguments), ledger(kernel, "established").headroom["full"]
    for number, node in found["nodes"].items():
        free = headroom.nodes[int(number)].without_reclaim * (headroom.bytes_per_socket or 0)
        assert node["free_bytes"] == pytest.approx(free, abs=1)
        assert node["connections"] == pytest.approx(free * 10_000 / found["takes"]["high_bytes"], abs=1)
        assert (node["bytes"], node["high_bytes"]) == pytest.approx(
            (
                found["takes"]["bytes"] * (share := node["bytes"] / found["takes"]["bytes"]),
                found["takes"]["high_bytes"] * share,
            ),
            abs=2,
        )
    rows = run(*arguments)[1].partition(" NODE ")[2].splitlines()[1 : len(found["nodes"]) + 1]
    assert [row.split()[0] for row in rows] == list(found["nodes"])
    assert [row.endswith("above its own free memory") for row in rows] == [
        node["bytes"] > node["free_bytes"] for node in found["nodes"].values()
    ]


def test_mixed_sides_are_half_client_side(run_json: RunJson) -> None:
    sides = {
        side: run_json("--root", TREE, "--connections", "10001", "--time-wait", "2001", "--side", side)
        for side in ("server", "client", "mixed")
    }
    assert sides["mixed"]["request"]["sockets"] == 10_001
    [bucket] = [part for part in sides["mixed"]["takes"]["parts"] if part["object"].endswith("bind_bucket")]
    assert bucket["count"] == 5000 + 1000
    mean = (sides["server"]["takes"]["bytes"] + sides["client"]["takes"]["bytes"]) / 2
    assert sides["mixed"]["takes"]["bytes"] == pytest.approx(mean, rel=1e-3)


def test_families_as_now_are_those_of_the_sockets(run_json: RunJson) -> None:
    root = str(tree("6.1-4n-ipv6", "established"))
    as_now, ipv6 = (run_json("--root", root, "--connections", "10K", "--family", each) for each in ("now", "ipv6"))
    assert as_now["request"]["family"] == "mix"
    assert as_now["takes"]["bytes"] == pytest.approx(ipv6["takes"]["bytes"], rel=1e-3)


# The limits

CONNTRACK_ROW = "nf_conntrack 250 256 256 16 1 : tunables 0 0 0 : slabdata 16 16 0\n"
FILES: Mapping[str, str] = {
    "proc/sys/net/netfilter/nf_conntrack_count": "250\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "100000\n",
    "proc/sys/fs/file-nr": "21200\t0\t120000\n",
    "proc/sys/net/ipv4/tcp_max_tw_buckets": "5000\n",
    "proc/net/sockstat": "TCP: inuse 16000 orphan 0 tw 1000 alloc 16000 mem 1000\n",
    "proc/sys/net/ipv4/tcp_mem": "20000 30000 40000\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    copy = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = (copy / "proc/slabinfo").read_text()
    return without_reserves(write_tree(copy, {**FILES, "proc/slabinfo": slabinfo + CONNTRACK_ROW}))


@pytest.mark.parametrize(
    ("arguments", "name", "takes", "used", "maximum", "sysctl"),
    [
        (["--connections", "98544"], "file_max", 98_544, 21_200, 120_000, None),
        (["--connections", "99057"], "file_max", 99_057, 21_200, 120_000, ("fs.file-max", [120_513])),
        (
            ["--connections", "49529", "--side", "proxy"],
            "file_max",
            99_058,
            21_200,
            120_000,
            ("fs.file-max", [120_514]),
        ),
        (["--connections", "98500", "--conntrack"], "nf_conntrack_max", 98_500, 250, 100_000, None),
        (
            ["--connections", "49K", "--conntrack", "--side", "proxy", "--time-wait", "2K"],
            *("nf_conntrack_max", 100_000, 250, 100_000, ("net.netfilter.nf_conntrack_max", [100_250])),
        ),
        (["--connections", "29000", "--buffers", "1"], "tcp_mem", 29_000 * 4096, 1000 * 4096, 40_000 * 4096, None),
        (
            ["--connections", "14501", "--buffers", "8K"],
            *("tcp_mem", 29_002 * 4096, 1000 * 4096, 40_000 * 4096, ("net.ipv4.tcp_mem", [22_501, 30_002, 45_003])),
        ),
        (
            ["--connections", "20K", "--buffers", "8K"],
            *("tcp_mem", 40_000 * 4096, 1000 * 4096, 40_000 * 4096, ("net.ipv4.tcp_mem", [30_750, 41_000, 61_500])),
        ),
    ],
)
def test_the_limits(
    root: Path,
    run_json: RunJson,
    arguments: list[str],
    name: str,
    takes: int,
    used: int,
    maximum: int,
    sysctl: tuple[str, list[int]] | None,
) -> None:
    found = run_json("--root", str(root), *arguments)
    row = limit(found, name)
    assert (row["takes"], row["high_takes"], row["used"], row["limit"]) == (takes, takes, used, maximum)
    is_exceeded = used + takes > maximum
    assert (row["verdict"], found["verdict"]) == (("exceeded", "does not fit") if is_exceeded else ("fits", "fits"))
    assert [(each["name"], each["at_least"]) for each in found["sysctls"]] == ([sysctl] if sysctl else [])
    for each in found["sysctls"]:
        needed = each["at_least"][-2:][0]
        [value] = each["advised"][-2:][:1]
        assert value - 1 <= needed / 0.8 < value, "one rule for all of them: below 80 % in use"
        assert each["note"] == ("with the error of its counter, +256" if name == "file_max" else "")
    connections, time_wait = found["request"]["connections"], found["request"]["time_wait"]
    flows = time_wait if name == "nf_conntrack_max" else 0
    error = 256 if name == "file_max" else 0  # 32 files of each of 8 CPUs
    assert row["used_error"] == error
    assert row["connections"] == pytest.approx((maximum - used - error - flows) * connections / (takes - flows), abs=1)
    assert (
        found["first_limit"]
        == min(
            (each for each in found["limits"] if each["connections"] is not None), key=lambda each: each["connections"]
        )["name"]
    )


TIME_WAIT = "tcp_max_tw_buckets"


def test_connections_that_skip_time_wait_are_said_exactly(root: Path, run: Run) -> None:
    """The row says it too, whose TAKES has those alone that have room."""
    code, text = run("--root", str(root), "--no-conntrack", "--connections", "10K", "--time-wait", "9999123")
    assert "; a closed connection skips TIME_WAIT then" in " ".join(text.split())
    assert " room for 4 000 of 9 999 123; " in text
    assert (code, "TIME_WAIT full: 9 995 123 of 9 999 123 skip it" in " ".join(text.split())) == (0, True)


@pytest.mark.parametrize(
    ("asked", "takes", "note", "sysctls"),
    [
        ("4K", 4000, "", []),
        ("4001", 4000, "a closed connection skips TIME_WAIT then", [f"net.ipv4.{TIME_WAIT}"]),
        ("3.6M", 4000, "a closed connection skips TIME_WAIT then", [f"net.ipv4.{TIME_WAIT}"]),
    ],
)
def test_a_full_table_of_time_wait_stops_no_connection(
    root: Path, run: Run, run_json: RunJson, asked: str, takes: int, note: str, sysctls: list[str]
) -> None:
    """Of 5000 mini-sockets, 1000 are in use; the other 4000 are a fixed amount, whatever the number of connections
    is.
    """
    arguments = ("--root", str(root), "--no-conntrack", "--connections", "10K", "--time-wait", asked)
    found, full = run_json(*arguments), run_json(*arguments[:-1], "4K")
    row = limit(found, TIME_WAIT)
    assert (row["takes"], row["high_takes"], row["connections"]) == (takes, takes, None)
    assert (row["verdict"], row["note"], row["ratio"]) == ("fits", note, 1)
    assert (found["verdict"], found["first_limit"]) == ("fits", "file_max")
    assert [each["name"] for each in found["sysctls"]] == sysctls
    assert found["takes"] == full["takes"]
    memory, with_full, alone = (limit(each, "memory") for each in (found, full, run_json(*arguments[:-1], "0")))
    assert memory == with_full
    lost = (memory["high_takes"] - alone["high_takes"]) / (alone["high_takes"] / 10_000)
    assert alone["connections"] - memory["connections"] == pytest.approx(lost, rel=0.1)
    code, output = run(*arguments)
    assert (code, output.partition(":")[0]) == (0, "fits, without data")
    [line] = [line for line in output.splitlines() if line.startswith(" TIME_WAIT  ")]
    assert line.split()[-4:] == ["%", "4", "000", "FULL"]
    assert line.split()[-5] == "100"
    size = alone["high_takes"] / 10_000
    assert re.search(r"<= ([\d ]+) B per connection", output)[1].replace(" ", "") == f"{ceil(size)}"  # type: ignore[index]


MAX_INT = 2_147_483_647


@pytest.mark.parametrize(
    ("arguments", "name", "sysctl", "used"),
    [
        (["--conntrack", "--connections"], "nf_conntrack_max", "net.netfilter.nf_conntrack_max", 250),
        (["--connections", "1", "--time-wait"], "tcp_max_tw_buckets", "net.ipv4.tcp_max_tw_buckets", 1000),
    ],
)
def test_a_sysctl_is_an_int(
    root: Path, run_json: RunJson, run: Run, arguments: list[str], name: str, sysctl: str, used: int
) -> None:
    meminfo = (root / "proc/meminfo").read_text()
    write_tree(root, {"proc/meminfo": re.sub(r"MemTotal: *\d+", f"MemTotal: {1 << 40}", meminfo)})
    largest = run_json("--root", str(root), *arguments, str(MAX_INT - used))
    assert {each["name"]: each["at_least"] for each in largest["sysctls"]}[sysctl] == [MAX_INT]
    is_time_wait = name == TIME_WAIT
    skips = "a closed connection skips TIME_WAIT then"
    assert limit(largest, name)["note"] == (skips if is_time_wait else "")
    [each] = [each for each in largest["sysctls"] if each["name"] == sysctl]
    assert each["advised"] == [MAX_INT]
    assert each["note"] == (
        f"capped, since it is at most {MAX_INT}: the plan would use 100 % of this value"
        f"{'' if is_time_wait else ', so the plan does not fit'}"
    )
    call = ("--root", str(root), *arguments, str(MAX_INT - used + 1))
    above = run_json(*call)
    assert sysctl not in [each["name"] for each in above["sysctls"]]
    note = f"no value of {sysctl} is enough: it is at most {MAX_INT}"
    row = limit(above, name)
    expected = ("fits", f"{skips}; {note}") if is_time_wait else ("exceeded", note)
    assert (row["verdict"], row["note"]) == expected
    _, output = run(*call)
    assert note in " ".join(output.split())
    assert f"{sysctl} =" not in output


def test_no_value_of_tcp_mem_is_above_the_memory(root: Path, run_json: RunJson, run: Run) -> None:
    pages = int(next(line.split()[1] for line in (root / "proc/meminfo").open() if line.startswith("MemTotal:"))) // 4
    arguments = ("--root", str(root), "--buffers", "1M", "--connections")
    for each, note in (
        (
            85,
            f"{pages * 3 // 4} {pages} {pages} (now 20000 30000 40000; capped, since the machine has less memory: the",
        ),
        (70, "the third value capped, since the machine has less memory"),
        (40, "second value = need / 0.8, so no pressure; third = 1.5 times that)"),
    ):
        code, output = run(*arguments, str(pages * each // 100 // 256))
        assert code == 1
        assert note in " ".join(output.split())
        assert ("capped" in output) is (each > 40)
    short = ("--root", str(root), "--buffers", "4K", "--connections", str(pages - 1000))
    found = run_json(*short)
    memory = limit(found, "memory")
    [advised] = [each["advised"] for each in found["sysctls"] if each["name"] == "net.ipv4.tcp_mem"]
    assert memory["connections"] <= advised[1] <= advised[2] <= pages
    needs = units.size(memory["used"] + memory["high_takes"], True)
    assert memory["note"] == f"the plan needs {needs} of memory, with what is in use now"
    assert f" {memory['note']} " in " ".join(run(*short)[1].split())


@pytest.mark.parametrize("connections", ["240000", "500K"])
def test_tcp_mem_has_a_value_for_the_connections_that_memory_fits(
    tmp_path: Path, run_json: RunJson, run: Run, connections: str
) -> None:
    """The plan fits neither tcp_mem nor memory, and memory fits more than tcp_mem does."""
    root = copy_recording("6.1-8n", "established", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").write_text("20000\t30000\t40000\n")
    arguments = ("--root", str(root), "--buffers", "1M", "--connections", connections)
    found = run_json(*arguments)
    memory, tcp_mem = limit(found, "memory"), limit(found, "tcp_mem")
    assert tcp_mem["connections"] < memory["connections"] < found["request"]["connections"]
    number = f"about {units.rough_count(memory['connections'])}"
    note = f"raising net.ipv4.tcp_mem reaches {number}, where memory is full: the plan needs more memory, too"
    assert tcp_mem["note"] == note
    [sysctl] = [each for each in found["sysctls"] if each["name"] == "net.ipv4.tcp_mem"]
    assert sysctl["at_least"][1] == pytest.approx(tcp_mem["used"] / 4096 + memory["connections"] * 256, abs=1)
    assert sysctl["note"].endswith(f"; for {number} connections")
    text = " ".join(run(*arguments)[1].split())
    assert note in text
    assert f"net.ipv4.tcp_mem = {' '.join(map(str, sysctl['advised']))} (now 20000 30000 40000; capped" in text


def test_no_value_of_tcp_mem_is_advised_where_memory_fits_no_more(tmp_path: Path, run_json: RunJson) -> None:
    root = copy_recording("6.1-8n", "established", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").write_text("20000\t30000\t9000000\n")
    found = run_json("--root", str(root), "--buffers", "1M", "--connections", "240000")
    assert limit(found, "tcp_mem")["note"] == "no value of net.ipv4.tcp_mem is of use until there is more memory"
    assert found["sysctls"] == []


def test_the_main_screens_number_has_its_assumptions_and_is_compared_once(run: Run) -> None:
    """On 8 nodes: 3 704 B on the server side, and half of 192 B for the port of each client.

    Below the verdict stands the comparison if memory is the first limit; otherwise a remark has the figures.
    """
    root = ("--root", str(tree("6.1-8n", "established")), "--connections", "10K")
    headroom = ledger("6.1-8n", "established").headroom["full"]
    number, each = units.rough_count(headroom.sockets), units.exact_bytes(headroom.bytes_per_socket)
    counts = "half client side, without data; memcg vectors at their least, a bind bucket for each client"
    code, output = run(*root, "--buffers", "16K")
    head, text = (" ".join(each.split()) for each in (output.partition("\n\n")[0], output))
    assert code == 0
    assert "main screen" not in head
    assert f"Main screen: memory for {number} more at {each} B each ({counts}; no TIME_WAIT" in text
    assert re.search(r" This plan: <= 20 \d\d\d B a socket \(server-side, 16.0 KiB of buffers each; each part", text)
    assert "lower bound" not in text
    for more, ours in ((), ": server-side"), (("--side", "proxy"), r" 1 4\d\d? 000 to 1 5\d\d? 000 sockets, proxy"):
        output = run("--root", str(tree("6.12-4n", "halfclosed")), "--connections", "10K", *more)[1]
        head, text = (" ".join(each.split()) for each in (output.partition("\n\n")[0], output))
        [main, both] = re.findall(
            r" memory: the main screen says ([\d ]+ to [\d ]+) more fit, half client side, at ([\d ]+ to [\d ]+) B"
            rf" each; this plan{ours}, at <= \d \d\d\d B$",
            head,
        )[0]
        assert text.count(main) == text.count(both) == 1
        assert " Main screen: half client side, average buffers; memcg vectors and buffers at their least, " in text
    assert "main screen" not in run(*root, "--side", "mixed")[1].partition("\n\n")[0]


def test_a_range_of_buffers_is_a_range_of_what_fits_into_memory(run: Run, run_json: RunJson) -> None:
    """The counter of buffers has an error, so that a socket has at most 5 243 B of them."""
    root = ("--root", str(tree("6.12-4n", "halfclosed")))
    row = limit(run_json(*root, "--connections", "10K", "--side", "mixed", "--buffers", "now"), "memory")
    headroom = ledger("6.12-4n", "halfclosed").headroom["full"]
    assert row["connections_are_at_least"]
    assert headroom.sockets is not None
    assert headroom.with_reclaim_low is not None
    assert row["connections"] == pytest.approx(headroom.with_reclaim_low, rel=0.02)
    # The main screen counts a bind bucket for each client; at the least, the clients share those that are there.
    assert row["high_connections"] == pytest.approx(headroom.sockets, rel=0.04)
    output = run(*root, "--connections", "10K", "--side", "mixed", "--buffers", "now")[1]
    least, most = units.rough_count(row["connections"]), units.rough_count(row["high_connections"], up=True)
    assert re.search(rf"(?m)^ memory .* >= {least}$", output)
    text = " ".join(output.split())
    assert f"fits {least} to {most} more: parts are ranges" in text
    assert text.count(f"{least} to {most}") == text.count(most) == 1
    assert re.search(r"Reclaim: free memory alone holds >= [\d ]+ more; FITS MORE of memory counts page cache", text)
    assert "main screen says" not in text


def test_the_row_of_time_wait_has_the_mini_sockets_that_fit(run: Run, run_json: RunJson) -> None:
    arguments = ("--root", TREE, "--connections", "10K", "--time-wait", "20K")
    row = limit(run_json(*arguments), "tcp_max_tw_buckets")
    output = run(*arguments)[1]
    fits = units.rough_count(row["limit"] - row["used"])
    assert re.search(rf"(?m)^ TIME_WAIT .* % +{fits}\n     FITS MORE: mini-sockets$", output)


@pytest.mark.parametrize(("kernel", "side"), [("6.1-8n", "mixed"), ("6.1-4n", "client"), ("6.12-4n", "server")])
def test_parts_that_are_bounds_make_what_fits_a_lower_bound(
    kernel: str, side: str, run: Run, run_json: RunJson
) -> None:
    """Vectors, and bind buckets that may be shared, are bounds also without buffers."""
    arguments = ("--root", str(tree(kernel, "established")), "--side", side, "--connections")
    row = limit(run_json(*arguments, "10K"), "memory")
    least, most = row["connections"], row["high_connections"]
    assert row["connections_are_at_least"]
    assert most > 1.01 * least
    for number, verdict in ((least, "fits"), (least + 100, "unknown"), (most, "unknown"), (most + 1, "exceeded")):
        assert limit(run_json(*arguments, str(number)), "memory")["verdict"] == verdict
    output = run(*arguments, "10K")[1]
    assert re.search(rf"(?m)^ memory .* >= {units.rough_count(least)}$", output)
    both = f"{units.rough_count(least)} to {units.rough_count(most, up=True)}"
    assert f"memory, after {both} connections" in " ".join(output.partition("\n\n")[0].split())
    assert " parts are ranges\n" in output
    assert len(re.findall(r"(?m)^ \d  .* >= [\d ]+$", output)) == len(run_json(*arguments, "10K")["nodes"])


@pytest.mark.parametrize("side", ["accepted", "mixed", "proxy"])
def test_the_most_connections_that_may_fit_are_where_the_verdict_ends(side: str, run: Run, run_json: RunJson) -> None:
    """With one more, memory is surely exceeded; up to there, buffers, vectors and bind buckets at their least fit."""
    root = ("--root", str(tree("6.12-4n", "halfclosed")), "--side", side, "--buffers", "now", "--connections")
    row = limit(run_json(*root, "10K"), "memory")
    most = row["high_connections"]
    assert most > row["connections"]
    verdicts = [limit(run_json(*root, str(number)), "memory")["verdict"] for number in (most, most + 1)]
    assert verdicts == ["unknown", "exceeded"]
    assert limit(run_json(*root, str(most)), "memory")["high_connections"] == most
    assert "more: parts are ranges" in " ".join(run(*root, "10K")[1].split())


def test_the_most_that_may_fit_a_node_has_each_part_at_its_least(run_json: RunJson) -> None:
    root = ("--root", str(tree("6.12-4n", "halfclosed")), "--side", "mixed", "--buffers", "now")
    nodes = run_json(*root, "--connections", "10K")["nodes"]
    most = sum(node["high_connections"] for node in nodes.values())
    whole = run_json(*root, "--connections", str(most))["nodes"]
    for node in whole.values():
        assert node["bytes"] == pytest.approx(node["free_bytes"], rel=0.1)
    assert sum(node["bytes"] for node in whole.values()) == pytest.approx(
        sum(node["free_bytes"] for node in whole.values()), rel=1e-4
    )


def test_tcp_mem_is_not_advised_above_the_memory_that_buffers_can_have(run: Run, run_json: RunJson) -> None:
    root = ("--root", str(tree("6.12-4n", "halfclosed")), "--side", "mixed", "--buffers", "now", "--connections")
    headroom = ledger("6.12-4n", "halfclosed").headroom["full"]
    assert headroom.with_reclaim_bytes is not None
    [each] = run_json(*root, "1M")["sysctls"]
    assert each["advised"][2] * 4096 <= headroom.with_reclaim_bytes + 8192 * 4096
    assert re.search(r"capped, since the machine has less memory: the plan would use 90 % of this value;", each["note"])
    more = run_json(*root, "1150K")
    assert limit(more, "memory")["verdict"] == "unknown"
    number = f"≥ {units.rough_count(limit(more, 'memory')['connections'])}"
    [each] = more["sysctls"]
    assert each["advised"][2] * 4096 <= headroom.with_reclaim_bytes + 8192 * 4096
    assert each["note"].endswith(f"; for {number} connections")
    words = f"raising net.ipv4.tcp_mem reaches {number}, where memory may be full: the plan may need more memory, too"
    assert words.replace("≥", ">=") in " ".join(run(*root, "1150K")[1].split())


def test_sockets_without_buffers_now_are_not_called_uncertain(run: Run) -> None:
    """The 5.10 recording counts no page of buffers, and its counter has no error."""
    output = " ".join(
        run("--root", str(tree("5.10-4n", "established")), "--connections", "10K", "--buffers", "now")[1].split()
    )
    assert output.startswith("fits: 10 000 server-side connections, no buffers now;")
    assert "Buffers: the present sockets have none, so the plan has none." in output
    assert "only bounds" not in output
    output = " ".join(
        run("--root", str(tree("6.1-8n", "established")), "--connections", "10K", "--buffers", "now")[1].split()
    )
    assert "Buffers: with data <= 525 B of a present socket: the counter is within its error" in output


def test_used_of_tcp_mem_within_its_error_says_what_it_is(run: Run) -> None:
    """The kernel compares the counter, 0 here; the buffers are up to its error."""
    arguments = ("--root", str(tree("6.1-8n", "established")), "--connections", "1M", "--side", "mixed", "--buffers")
    words = "USED is the counter that the kernel compares; the buffers are <= 8.0 MiB, so TAKES is a range"
    output = run(*arguments, "now")[1]
    assert re.search(r"(?m)^ tcp_mem +0 B +<= [\d.]+ MiB ", output)
    assert words in " ".join(output.split())
    assert words not in " ".join(run(*arguments, "16K")[1].split())


def test_the_error_of_the_counter_in_what_tcp_mem_takes_is_said(run: Run, run_json: RunJson) -> None:
    """Memory may or may not hold the plan, so the advice on tcp_mem says so."""
    arguments = ("--root", str(tree("6.12-4n", "halfclosed")), "--connections", "1M", "--buffers", "now")
    most = units.exact_bytes(limit(run_json(*arguments), "tcp_mem")["high_takes"] / 1_000_000, True)
    output = " ".join(run(*arguments)[1].split())
    assert f"B per socket, which tcp_mem limits (at most {most} B with the error of its counter, which TAKES" in output
    [note] = re.findall(r" net.ipv4.tcp_mem = [\d ]+ \(now ([^)]*)\)", output)
    assert note.endswith("; memory may not hold the plan")
    assert "so the plan does not fit" not in note


def test_what_fits_with_and_without_reclaim_is_said_once_if_it_is_equal(run: Run) -> None:
    """Once in the verdict, and once in the column FITS MORE."""
    output = run("--root", str(tree("5.10-4n", "established")), "--connections", "10K")[1]
    [number] = re.findall(r"(?m)^ memory .* % +>= ([\d ]+)$", output)
    assert " Reclaim: free memory alone holds all that fit into memory." in output
    assert output.count(number) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--connections", "300K", "--side", "mixed", "--buffers", "16K"), "fewer client sockets share a bind bucket"),
        (("--connections", "10K", "--side", "mixed"), "client sockets share more bind buckets"),
        (("--connections", "10K", "--side", "client", "--buffers", "128K"), ""),
        (("--connections", "300K", "--buffers", "16K"), ""),
    ],
)
def test_the_size_by_which_what_fits_is_divided_has_its_true_reason(
    run: Run, arguments: tuple[str, ...], expected: str
) -> None:
    """Bind buckets are shared from 65 536 client sockets on; what fits may be more or fewer than is planned."""
    output = " ".join(run("--root", str(tree("6.1-8n", "established")), *arguments)[1].split())
    assert re.findall(r": ([a-z ]+ share [a-z ]+) then\.", output) == ([expected] if expected else [])
    assert output.count("divided by <= ") == bool(expected)
    assert "What fits into memory is counted at" not in output
    one_node = " ".join(run("--root", str(tree("6.1-1n", "established")), *arguments)[1].split())
    assert "divided by <= " not in one_node
    assert bool(re.search(r"What fits into memory is counted at <= [\d ]+ B per connection", one_node)) == bool(
        expected
    )


def test_the_sentence_on_a_full_limit_is_on_the_first_limit_of_the_verdict() -> None:
    """Memory is surely exceeded; tcp_mem may be exceeded before that."""
    now = snapshot("6.1-8n", "established")
    found = ledger("6.1-8n", "established")
    made = make_plan(now, found, PlanRequest(2_000_000, "accepted", "ipv4", "now", 0, False, False, False))
    page = [text_of(line) for line in plan_page(found, made, 100)]
    at = [
        next(n for n, line in enumerate(page) if line.startswith(f"When {name} is full"))
        for name in ("memory", "tcp_mem")
    ]
    assert at == sorted(at)
    assert "first limit: memory" in " ".join(page[:3])
    roles = {text.strip(): role for line in plan_page(found, made, 100) for text, role in line}
    assert (roles["FULL"], roles["MAY BE FULL"]) == ("critical", "warning")
    narrow = [text_of(line) for line in plan_page(found, made, 78)]
    [heading] = [line for line in narrow if line.startswith("LIMIT")]
    assert "OF" in heading.split()


def test_memory_is_exceeded_above_the_headroom_with_reclaim(run_json: RunJson) -> None:
    """The headroom assumes that half of the sockets are outgoing, as in a proxy."""
    headroom = ledger("6.1-4n", "established").headroom["full"]
    assert headroom.with_reclaim is not None
    row = limit(run_json("--root", TREE, "--connections", "1K", "--side", "proxy"), "memory")
    assert 2 * row["connections"] == pytest.approx(headroom.with_reclaim, rel=0.03)
    few, many = (
        run_json("--root", TREE, "--connections", str(row["connections"] * share // 100), "--side", "proxy")
        for share in (95, 110)
    )
    assert (few["verdict"], many["verdict"], many["first_limit"]) == ("fits", "does not fit", "memory")


def test_a_memory_cgroup_is_one_more_limit(root: Path, run_json: RunJson) -> None:
    folder = "sys/fs/cgroup/web.slice"
    write_tree(root, {f"{folder}/memory.max": "104857600\n", f"{folder}/memory.current": "4857600\n"})
    write_tree(root, {f"{folder}/memory.stat": "active_file 0\ninactive_file 0\nslab_reclaimable 0\n"})
    fits, exceeded = (
        run_json("--root", str(root), "--cgroup", "web.slice", "--connections", number, "--side", "outgoing")
        for number in ("20K", "30K")
    )
    assert (fits["verdict"], exceeded["verdict"], exceeded["first_limit"]) == ("fits", "does not fit", "memory_cgroup")
    missing = run_json("--root", str(root), "--cgroup", "nope", "--connections", "1")
    assert (missing["verdict"], limit(missing, "memory_cgroup")["verdict"]) == ("cannot say", "unknown")
    write_tree(root, {f"{folder}/memory.max": "max\n"})
    unlimited = run_json("--root", str(root), "--cgroup", "web.slice", "--connections", "30K")
    assert "memory_cgroup" not in [each["name"] for each in unlimited["limits"]]


def test_the_limit_of_a_cgroup_above_decides(root: Path, run_json: RunJson) -> None:
    """A cgroup's charge counts in each cgroup above it."""
    for folder, maximum in (("a", "104857600"), ("a/web", "1048576000")):
        below = f"sys/fs/cgroup/{folder}"
        write_tree(root, {f"{below}/memory.max": f"{maximum}\n", f"{below}/memory.current": "4857600\n"})
        write_tree(root, {f"{below}/memory.stat": "active_file 0\ninactive_file 0\nslab_reclaimable 0\n"})
    arguments = ("--root", str(root), "--cgroup", "a/web", "--side", "outgoing", "--connections")
    few, many = limit(run_json(*arguments, "20K"), "memory_cgroup"), limit(run_json(*arguments, "30K"), "memory_cgroup")
    assert (few["verdict"], many["verdict"]) == ("fits", "exceeded")
    assert few["note"] == many["note"] == "the limit of a above it"
    (root / "sys/fs/cgroup/a/memory.max").unlink()
    few = limit(run_json(*arguments, "20K"), "memory_cgroup")
    many = limit(run_json(*arguments, "900K"), "memory_cgroup")
    assert (few["verdict"], many["verdict"]) == ("unknown", "exceeded")
    assert few["note"].startswith("there is no /sys/fs/cgroup/a/memory.max here")
    assert few["connections_are_at_most"]


def test_a_memory_cgroup_is_no_verdict_where_a_charged_part_is_not_known(root: Path, run_json: RunJson) -> None:
    """Only the lower bound fits; without the sizes of the socket's objects, the sum has no upper bound."""
    folder = "sys/fs/cgroup/web.slice"
    write_tree(root, {f"{folder}/memory.max": "504857600\n", f"{folder}/memory.current": "4857600\n"})
    arguments = ("--root", str(root), "--cgroup", "web.slice", "--connections")
    with_ktls = run_json(*arguments, "20K", "--ktls")
    assert limit(with_ktls, "memory_cgroup")["verdict"] == "unknown"
    assert limit(run_json(*arguments, "20K", "--conntrack"), "memory_cgroup")["verdict"] == "fits"
    assert limit(run_json(*arguments, "1M", "--ktls"), "memory_cgroup")["verdict"] == "exceeded"
    slabinfo = root / "proc/slabinfo"
    slabinfo.write_text("".join(line for line in slabinfo.read_text().splitlines(True) if not line.startswith("nf_")))
    assert limit(run_json(*arguments, "20K", "--conntrack"), "memory_cgroup")["verdict"] == "fits"


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.12-4n"])
@pytest.mark.parametrize("side", ["accepted", "outgoing", "proxy"])
@pytest.mark.parametrize("asked", ["1K", "3M"])
def test_exactly_so_many_connections_fit_into_memory(kernel: str, side: str, asked: str, run_json: RunJson) -> None:
    """Above a certain number, connections share local ports, so the memory is not proportional to the number of
    connections.
    """
    arguments = ("--root", str(tree(kernel, "established")), "--side", side, "--connections")
    fit = limit(run_json(*arguments, asked), "memory")["connections"]
    most, above = (limit(run_json(*arguments, str(number)), "memory") for number in (fit, fit + 1))
    assert (most["verdict"], above["verdict"]) == ("fits", "unknown")
    assert most["connections"] == above["connections"] == fit


def test_the_connections_that_fit_are_beside_the_mini_sockets(run_json: RunJson) -> None:
    arguments = ("--root", TREE, "--side", "outgoing", "--time-wait", "200K", "--connections")
    fit = limit(run_json(*arguments, "1"), "memory")["connections"]
    for number, verdict in ((fit, "fits"), (fit + 1, "unknown")):
        found = limit(run_json(*arguments, str(number)), "memory")
        assert (found["verdict"], found["connections"]) == (verdict, fit)


CHARGED = ("sock_inode_cache", "dentry", "filp")
"""Caches with SLAB_ACCOUNT of the objects that a process creates for a socket, whichever side opens it."""


def with_cgroup(kernel: str, folder: Path) -> Path:
    """A tree of 16 000 sockets, with an empty memory cgroup `web.slice` of 200 MB."""
    root = copy_recording(kernel, "established", folder)
    below = "sys/fs/cgroup/web.slice"
    write_tree(root, {f"{below}/memory.max": "200000000\n", f"{below}/memory.current": "0\n"})
    write_tree(root, {f"{below}/memory.stat": "active_file 0\ninactive_file 0\nslab_reclaimable 0\n"})
    write_tree(
        root, {"sys/fs/cgroup/cgroup.controllers": "memory\n", "sys/fs/cgroup/cgroup.subtree_control": "memory\n"}
    )
    return root


@pytest.mark.parametrize(
    ("kernel", "side", "caches", "verdict"),
    [
        ("6.1-4n-nomerge", "accepted", CHARGED, "unknown"),
        ("6.1-4n-nomerge", "outgoing", (*CHARGED, "TCP"), "exceeded"),
        ("6.18-1n", "accepted", (*CHARGED, "TCP"), "exceeded"),
    ],
)
def test_the_least_that_a_cgroup_is_charged_is_what_the_kernel_charges(
    kernel: str, side: str, caches: tuple[str, ...], verdict: str, tmp_path: Path, run_json: RunJson
) -> None:
    """Softirq creates an accepted sock, which is not charged before 6.13; blobs of security modules are never
    charged.
    """
    root = with_cgroup(kernel, tmp_path)
    rows, number = slab_rows((root / "proc/slabinfo").read_text()), 28_000
    arguments = ("--root", str(root), "--cgroup", "web.slice", "--side", side, "--connections")
    least = sum(rows[name].size * number for name in caches)
    assert limit(run_json(*arguments, str(number)), "memory_cgroup")["takes"] == least
    many = limit(run_json(*arguments, "60K"), "memory_cgroup")
    assert (many["verdict"], many["high_takes"] > 200_000_000) == (verdict, True)
    assert ("the kernel charges to the cgroup" in many["note"]) == (verdict == "unknown")


@pytest.mark.parametrize(
    ("stat", "verdict", "number"),
    [
        ("slab_reclaimable 0\n", "exceeded", 0),
        ("slab_reclaimable 190000000\n", "unknown", 0),
        ("slab_reclaimable 1000000\n", "exceeded", 0),
        ("", "unknown", 0),  # all of the use may be slab
    ],
)
def test_slab_that_the_kernel_may_reclaim_makes_what_fits_in_a_cgroup_a_lower_bound(
    stat: str, verdict: str, number: int, tmp_path: Path, run: Run, run_json: RunJson
) -> None:
    root = with_cgroup("6.18-1n", tmp_path)
    below = "sys/fs/cgroup/web.slice"
    write_tree(root, {f"{below}/memory.current": "200000000\n"})
    write_tree(root, {f"{below}/memory.stat": f"active_file 0\ninactive_file 0\n{stat}"})
    arguments = ("--root", str(root), "--cgroup", "web.slice")
    row = limit(json.loads(forked_program.run("--json", *arguments).stdout), "memory_cgroup")
    is_sure = stat == "slab_reclaimable 0\n"
    assert (row["headroom_sockets"], row["headroom_is_at_least"]) == (number, not is_sure)
    assert ("of slab count, which the kernel may reclaim" in row["note"]) == (not is_sure)
    [line] = re.findall(r"(?m)^  memory_cgroup .*$", forked_program.run("-o", *arguments).stdout)
    assert line.split()[1] == ("FULL" if is_sure else "CRITICAL")
    planned = limit(run_json(*arguments, "--connections", "20K"), "memory_cgroup")
    assert planned["verdict"] == verdict
    assert ("what of its slabs the kernel reclaims decides" in planned["note"]) == (verdict == "unknown")
    assert (run(*arguments, "--connections", "20K")[0] == 1) == (verdict == "exceeded")


def with_v1_cgroup(folder: Path, of_buffers: dict[str, str]) -> Path:
    """A tree of 16 000 sockets on Linux 6.18, with an empty memory cgroup `a/web` of cgroup v1 of 200 MB.

    `of_buffers` has the files memory.kmem.tcp of the cgroup above, by the last part of the name.
    """
    root = copy_recording("6.18-1n", "established", folder)
    no_limit = "9223372036854771712"
    levels = {"": no_limit, "a": no_limit, "a/web": "200000000"}
    for name, maximum in levels.items():
        below = f"sys/fs/cgroup/memory/{name}".rstrip("/")
        buffers = {"limit_in_bytes": no_limit, "usage_in_bytes": "0"} | dict(of_buffers if name == "a" else {})
        files = {f"kmem.tcp.{each}": text for each, text in buffers.items()}
        files |= {"limit_in_bytes": maximum, "usage_in_bytes": "0", "use_hierarchy": "1"}
        files |= {"stat": "total_active_file 0\ntotal_inactive_file 0\nhierarchical_memory_limit 9223372036854771712"}
        write_tree(root, {f"{below}/memory.{each}": f"{text}\n" for each, text in files.items()})
    return root


def test_a_limit_of_cgroup_v1_above_the_mount_counts(tmp_path: Path, run_json: RunJson) -> None:
    """memory.stat has the least limit of all cgroups above, visible or not (mm/memcontrol-v1.c, memcg1_stat_format)."""
    root = with_v1_cgroup(tmp_path, {})
    stat = root / "sys/fs/cgroup/memory/a/web/memory.stat"
    unlimited = stat.read_text()
    arguments = ("--root", str(root), "--cgroup", "a/web")
    plan = (*arguments, "--connections", "20K")
    assert limit(run_json(*plan), "memory_cgroup")["verdict"] == "fits"
    stat.write_text(re.sub(r"(hierarchical_memory_limit) \d+", r"\1 67108864", unlimited))
    row = limit(json.loads(forked_program.run("--json", *arguments).stdout), "memory_cgroup")
    assert (row["limit"], row["limit_is_at_most"], row["headroom_sockets"]) == (67_108_864, True, None)
    assert "64.0 MiB of a cgroup above /sys/fs/cgroup, whose use is not visible" in row["note"]
    assert limit(run_json(*plan), "memory_cgroup")["verdict"] == "unknown"
    many = limit(run_json(*arguments, "--connections", "100K"), "memory_cgroup")
    assert many["verdict"] == "exceeded"
    assert "of a cgroup above /sys/fs/cgroup" in many["note"]
    # 200 MB, the limit of the cgroup itself, is the least of all
    stat.write_text(re.sub(r"(hierarchical_memory_limit) \d+", r"\1 199999488", unlimited))
    row = limit(json.loads(forked_program.run("--json", *arguments).stdout), "memory_cgroup")
    assert (row["limit"], row["limit_is_at_most"]) == (199_999_488, True)
    stat.write_text(re.sub(r"(?m)^hierarchical.*\n", "", unlimited))
    row = limit(json.loads(forked_program.run("--json", *arguments).stdout), "memory_cgroup")
    assert (row["limit"], row["headroom_is_at_least"], row["headroom_is_at_most"]) == (200_000_000, False, True)


def test_limits_above_the_mount_of_a_container_make_what_fits_an_upper_bound(tmp_path: Path, run_json: RunJson) -> None:
    """The root of cgroup2 has no memory.max; that of a container has one, and cgroups above it that nothing shows."""
    root = with_cgroup("6.18-1n", tmp_path)
    arguments = ("--root", str(root), "--cgroup", "web.slice")
    of_host = limit(json.loads(forked_program.run("--json", *arguments).stdout), "memory_cgroup")
    assert (of_host["headroom_is_at_least"], of_host["headroom_is_at_most"]) == (True, False)
    stat = "active_file 0\ninactive_file 0\nslab_reclaimable 0\n"
    write_tree(root, {f"sys/fs/cgroup/memory.{name}": text for name, text in (("max", "max\n"), ("current", "1\n"))})
    write_tree(root, {"sys/fs/cgroup/memory.stat": stat})
    found = limit(json.loads(forked_program.run("--json", *arguments).stdout), "memory_cgroup")
    assert (found["headroom_is_at_least"], found["headroom_is_at_most"]) == (False, True)
    assert found["headroom_sockets"] >= of_host["headroom_sockets"]
    assert "cgroups above /sys/fs/cgroup are not visible here" in found["note"]
    planned = limit(run_json(*arguments, "--connections", "20K"), "memory_cgroup")
    assert (planned["connections_are_at_most"], planned["connections_are_at_least"]) == (True, False)
    assert "cgroups above /sys/fs/cgroup are not visible here" in planned["note"]


ACCEPT_CHARGE = "accept() charges its sock only while some cgroup has set memory.kmem.tcp.limit_in_bytes"


@pytest.mark.parametrize(
    ("of_buffers", "caches"),
    [
        ({}, CHARGED),
        ({"limit_in_bytes": "4194304"}, (*CHARGED, "TCP")),
        # A limit that was set and removed leaves the cgroup counting.
        ({"usage_in_bytes": "4096"}, (*CHARGED, "TCP")),
    ],
)
def test_cgroup_v1_charges_accepted_socks_while_a_cgroup_has_a_limit_of_buffers(
    of_buffers: dict[str, str], caches: tuple[str, ...], tmp_path: Path, run_json: RunJson
) -> None:
    root = with_v1_cgroup(tmp_path, of_buffers)
    rows, number = slab_rows((root / "proc/slabinfo").read_text()), 60_000
    arguments = ("--root", str(root), "--cgroup", "a/web", "--connections", str(number), "--side")
    row = limit(run_json(*arguments, "accepted"), "memory_cgroup")
    assert row["takes"] == sum(rows[name].size * number for name in caches)
    assert row["high_takes"] > 200_000_000
    is_known = "TCP" in caches
    assert row["verdict"] == ("exceeded" if is_known else "unknown")
    assert (ACCEPT_CHARGE in row["note"]) == (not is_known)
    outgoing = limit(run_json(*arguments, "outgoing"), "memory_cgroup")
    assert (outgoing["verdict"], ACCEPT_CHARGE in outgoing["note"]) == ("exceeded", False)
    report = json.loads(forked_program.run("--root", root, "--cgroup", "a/web", "--json").stdout)
    assert (ACCEPT_CHARGE in limit(report, "memory_cgroup")["note"]) == (not is_known)
    assert report["memory_cgroup"]["sockets_enabled"] is (True if is_known else None)


@pytest.mark.parametrize(
    ("used", "buffers", "words"),
    [
        ("1048576", "4K", ""),
        ("1048576", "16K", "PRESSURE: buffers 1.0 MiB + 15.6 MiB of 4.0 MiB, exceeded"),
        ("4928307", "0", "PRESSURE: buffers 4.7 MiB of 4.0 MiB, exceeded"),
    ],
)
def test_a_plan_names_the_limit_of_buffers_of_cgroup_v1(
    used: str, buffers: str, words: str, tmp_path: Path, run: Run, run_json: RunJson
) -> None:
    """The limit is of the cgroup above, and stops no socket."""
    root = with_v1_cgroup(tmp_path, {"limit_in_bytes": "4194304", "usage_in_bytes": used})
    number = "1K" if buffers == "16K" else "100"
    arguments = ("--root", str(root), "--cgroup", "a/web", "--connections", number, "--buffers", buffers)
    first = " ".join(run(*arguments)[1].partition("\n\n")[0].split())
    assert ("PRESSURE" in first) == bool(words)
    if words:
        sentence = f"{words} (memory.kmem.tcp.limit_in_bytes of memory/a), so that windows shrink"
        assert sentence in first
        found = run_json(*arguments)
        assert sentence in found["remarks"]
        assert limit(found, "memory_cgroup")["verdict"] == "fits"


def test_cgroup2_with_nosocket_charges_neither_accepted_socks_nor_buffers(tmp_path: Path, run_json: RunJson) -> None:
    root = with_cgroup("6.18-1n", tmp_path)
    arguments = ("--root", str(root), "--cgroup", "web.slice", "--buffers", "4K", "--connections", "60K")
    assert limit(run_json(*arguments), "memory_cgroup")["verdict"] == "exceeded"
    rows = slab_rows((root / "proc/slabinfo").read_text())
    write_tree(root, {"proc/cmdline": "quiet cgroup.memory=nobpf,nosocket\n"})
    found = limit(run_json(*arguments), "memory_cgroup")
    assert (found["takes"], found["verdict"]) == (60_000 * sum(rows[name].size for name in CHARGED), "fits")
    write_tree(root, {"proc/cmdline": "quiet cgroup.memo"})
    found = limit(run_json(*arguments), "memory_cgroup")
    assert (found["verdict"], found["high_takes"] > 60_000 * 4096) == ("unknown", True)
    assert "/proc/cmdline is not known" in found["note"]


def test_bind_buckets_alone_do_not_exceed_a_limit(tmp_path: Path, run_json: RunJson) -> None:
    root = with_cgroup("6.1-4n-nomerge", tmp_path)
    arguments = ("--root", str(root), "--cgroup", "web.slice", "--side", "client", "--connections", "20K")
    row = limit(run_json(*arguments), "memory_cgroup")
    buckets = 20_000 * (128 + 64)
    assert row["high_takes"] >= row["takes"] + buckets
    write_tree(root, {"sys/fs/cgroup/web.slice/memory.max": f"{row['used'] + row['takes'] + 4096}\n"})
    assert limit(run_json(*arguments), "memory_cgroup")["verdict"] == "unknown"


def test_mini_sockets_and_kernel_tls_are_charged_at_most(tmp_path: Path, run_json: RunJson) -> None:
    """Softirq may create a mini-socket, and kernel TLS allocates without __GFP_ACCOUNT."""
    root = with_cgroup("6.1-4n-nomerge", tmp_path)
    write_tree(root, {"proc/sys/net/ipv4/tcp_max_tw_buckets": "1000000\n"})
    arguments = ("--root", str(root), "--cgroup", "web.slice", "--connections")
    alone = limit(run_json(*arguments, "1"), "memory_cgroup")
    mini = limit(run_json(*arguments, "1", "--time-wait", "800K"), "memory_cgroup")
    assert (mini["takes"], mini["verdict"]) == (alone["takes"], "unknown")
    assert mini["high_takes"] > 800_000 * 272
    outgoing = limit(run_json(*arguments, "1", "--time-wait", "1K", "--side", "outgoing"), "memory_cgroup")
    assert outgoing["high_takes"] > 1000 * (128 + 64)
    assert limit(run_json(*arguments, "1", "--time-wait", "100K"), "memory_cgroup")["verdict"] == "fits"


def test_a_cgroup_without_kernel_memory_is_charged_buffers_alone(tmp_path: Path, run_json: RunJson) -> None:
    root = with_cgroup("6.18-1n", tmp_path)
    write_tree(root, {"proc/cmdline": "quiet cgroup.memory=nokmem\n"})
    arguments = ("--root", str(root), "--cgroup", "web.slice", "--connections", "60K")
    assert limit(run_json(*arguments), "memory_cgroup")["verdict"] == "unknown"
    found = limit(run_json(*arguments, "--buffers", "4K"), "memory_cgroup")
    assert (found["takes"], found["verdict"]) == (60_000 * 4096, "exceeded")


@pytest.mark.parametrize(
    ("kernel", "accepted", "outgoing"), [("6.1-4n-nomerge", 1280, 1280 + 2304 + 192), ("6.18-1n", 3584, 3584 + 256)]
)
def test_the_headroom_of_a_cgroup_is_at_least_so_many(
    kernel: str, accepted: int, outgoing: int, tmp_path: Path
) -> None:
    """Half of the new sockets are assumed to be accepted; the socks of accepted sockets may be charged or not."""
    root = with_cgroup(kernel, tmp_path)
    as_json, as_text = (
        forked_program.run("--root", root, "--cgroup", "web.slice", way).stdout for way in ("--json", "-o")
    )
    row = limit(json.loads(as_json), "memory_cgroup")
    found = re.search(r"at least so many: a socket is charged ([\d ]+) to ([\d ]+) B", row["note"])
    assert found is not None
    assert found[0] in " ".join(as_text.split())
    least, most = (int(number.replace(" ", "")) for number in found.groups())
    assert least == pytest.approx((accepted + outgoing) / 2, abs=10)
    assert row["headroom_sockets"] == pytest.approx(200_000_000 / most, rel=1e-3)
    assert row["headroom_is_at_least"]
    assert re.search(
        r">= [\d ]+ more sockets fit, memory_cgroup first",
        " ".join(as_text.split()),
    )


def without_slabs(root: Path) -> None:
    """Removes the files with the sizes of slabs."""
    (root / "proc/slabinfo").unlink()
    for path in (root / "sys/kernel/slab").iterdir():
        for file in [path] if path.is_symlink() else list(path.iterdir()):
            file.unlink()


def without_zones(root: Path) -> None:
    (root / "proc/zoneinfo").unlink()


@pytest.mark.parametrize("remove", [without_slabs, without_zones])
def test_a_plan_above_all_memory_does_not_fit_where_the_free_memory_is_not_known(
    root: Path, run_json: RunJson, remove: Callable[[Path], None]
) -> None:
    remove(root)
    total = 1024 * int(next(line.split()[1] for line in (root / "proc/meminfo").open() if line.startswith("MemTotal:")))
    arguments = ("--root", str(root), "--connections")
    one = limit(run_json(*arguments, "1K"), "memory")
    assert (one["verdict"], one["connections"]) == ("unknown", None)
    many = total * 1000 // one["takes"]
    above = run_json(*arguments, str(many * 11 // 10))
    assert (above["verdict"], limit(above, "memory")["verdict"]) == ("does not fit", "exceeded")
    assert above["limits"][0]["connections"] <= limit(above, "memory")["connections"]
    assert limit(above, "memory")["connections"] == pytest.approx(many, rel=0.01)
    assert limit(above, "memory")["connections_are_at_most"]
    assert limit(run_json(*arguments, str(many * 9 // 10)), "memory")["verdict"] == "unknown"
    write_tree(root, {"proc/meminfo": "MemTotal: x kB\n"})
    assert limit(run_json(*arguments, str(many * 2)), "memory")["verdict"] == "unknown"


def test_bounds_in_the_table_of_limits_are_marked_where_a_part_is_not_known(
    root: Path, run: Run, run_json: RunJson
) -> None:
    arguments = ("--root", str(root), "--connections", "1K", "--ktls")
    row = limit(run_json(*arguments), "memory")
    assert (row["high_takes"], row["connections_are_at_most"]) == (None, True)
    assert row["note"] == "not known: kernel TLS"
    _, output = run(*arguments)
    [line] = [line for line in output.splitlines() if line.startswith(" memory ")]
    assert line.count(">= ") == 2
    assert line.count("<= ") == 1
    _, output = run("--root", str(root), "--connections", "1K")
    [line] = [line for line in output.splitlines() if line.startswith(" memory ")]
    assert line.count(">= ") == 1, "what fits at least"
    assert line.count("<= ") == 1, "what the plan takes at most"


def test_a_cgroup_whose_page_cache_is_unknown_cannot_exceed_its_limit_for_sure(root: Path, run_json: RunJson) -> None:
    folder = "sys/fs/cgroup/web.slice"
    write_tree(root, {f"{folder}/memory.max": "100000000\n", f"{folder}/memory.current": "99000000\n"})
    found = run_json("--root", str(root), "--cgroup", "web.slice", "--connections", "1K")
    row = limit(found, "memory_cgroup")
    assert (found["verdict"], row["verdict"], row["connections"]) == ("cannot say", "unknown", None)
    assert "page cache" in row["note"]
    exceeded = run_json("--root", str(root), "--cgroup", "web.slice", "--connections", "100K")
    assert limit(exceeded, "memory_cgroup")["verdict"] == "exceeded"
    write_tree(root, {f"{folder}/memory.current": "1000000\n"})
    fits = limit(run_json("--root", str(root), "--cgroup", "web.slice", "--connections", "1K"), "memory_cgroup")
    assert (fits["verdict"], "an upper bound" in fits["note"]) == ("fits", True)


@pytest.mark.parametrize(
    ("removed", "arguments", "words"),
    [
        ("proc/slabinfo", ["--connections", "1"], "not known"),
        ("proc/meminfo", ["--connections", "1"], "memory: meminfo"),
        ("proc/zoneinfo", ["--connections", "1"], "memory: "),
        ("proc/sys/fs/file-nr", ["--connections", "1"], "file-max: file-nr was not read"),
        ("proc/sys/net/ipv4/tcp_mem", ["--connections", "1", "--buffers", "4K"], "tcp_mem: not visible from this"),
        ("proc/sys/net/ipv4/tcp_max_tw_buckets", ["--connections", "1", "--time-wait", "1"], "TIME_WAIT: "),
        ("proc/sys/net/netfilter/nf_conntrack_max", ["--connections", "1", "--conntrack"], "conntrack: "),
    ],
)
def test_what_cannot_be_said(root: Path, run: Run, removed: str, arguments: list[str], words: str) -> None:
    (root / removed).unlink()
    if removed == "proc/slabinfo":
        for path in (root / "sys/kernel/slab").iterdir():
            for file in [path] if path.is_symlink() else list(path.iterdir()):
                file.unlink()
    code, output = run("--root", str(root), *arguments)
    first = " ".join(output.partition("\n\n")[0].split())
    assert code == 2
    assert first.startswith("cannot say: ")
    assert words in first


PORT_RANGE = "proc/sys/net/ipv4/ip_local_port_range"
DAMAGED = [
    (PORT_RANGE, ["--side", "outgoing"], "Ports: ip_local_port_range is damaged; "),
    ("proc/sys/fs/file-nr", [], "file-max: file-nr is damaged"),
    ("proc/sys/net/ipv4/tcp_max_tw_buckets", ["--time-wait", "1"], "TIME_WAIT: its file is damaged"),
    *(
        (f"proc/sys/net/netfilter/{name}", ["--conntrack"], f"conntrack: {name} is damaged")
        for name in ("nf_conntrack_max", "nf_conntrack_count")
    ),
]


@pytest.mark.parametrize(("damaged", "arguments", "words"), DAMAGED)
def test_a_damaged_file_was_read(root: Path, run: Run, damaged: str, arguments: list[str], words: str) -> None:
    write_tree(root, {damaged: "x y\n"})
    code, output = run("--root", str(root), "--connections", "1", *arguments)
    assert words in " ".join(output.split())
    assert code == (0 if damaged == PORT_RANGE else 2)
    assert "was not read" not in output


def test_conntrack_of_which_both_files_are_damaged(root: Path, run_json: RunJson) -> None:
    folder = "proc/sys/net/netfilter"
    write_tree(root, {f"{folder}/nf_conntrack_max": "x\n", f"{folder}/nf_conntrack_count": "x\n"})
    found = run_json("--root", str(root), "--connections", "1", "--conntrack")
    assert limit(found, "nf_conntrack_max")["note"].endswith(", or are damaged")


def test_a_port_range_without_its_file_was_not_read(root: Path, run: Run) -> None:
    (root / PORT_RANGE).unlink()
    _, output = run("--root", str(root), "--connections", "1", "--side", "outgoing")
    assert "Ports: ip_local_port_range was not read; " in " ".join(output.split())


LAB_STATE = {"parts": [{"row": "TCP", "objects": 2.0, "bytes": 7639.0}], "vectors": {"bytes": 0}}
LAB_RESULT: Json = {
    "schema": 1,
    "kernel": OLD_RELEASE,
    "family": "ipv4",
    "page_size": 4096,
    "build_id": None,
    "states": {"established": {"accepted": LAB_STATE, "outgoing": LAB_STATE, "pair": LAB_STATE}},
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kernel": "5.10.0-1"}, "(the result of --lab is not used: it is of kernel 5.10.0-1; measure it with"),
        (
            {"states": {"established": {"accepted": {**LAB_STATE, "doubt": "filp did not follow the sockets"}}}},
            "(the result of --lab is not used: its own check failed (filp did not follow the sockets): measure again; ",
        ),
        (
            {
                "states": {
                    "established": {"accepted": LAB_STATE, "pair": LAB_STATE},
                    "ktls": {"context": LAB_STATE, "tx": {**LAB_STATE, "disturbance": 0.5}, "pair": LAB_STATE},
                }
            },
            "(the result of --lab is in doubt there: the figures may be wrong by 50.0 %; measure it with tcptop lab",
        ),
        ({"page_size": 65_536}, "(the result of --lab is not used: it is of a kernel with another page size; "),
        ({}, "(the result of --lab does not have it; measure it with tcptop lab --states ktls -w FILE)"),
    ],
)
def test_a_lab_result_without_a_use_is_said_why(root: Path, run_json: RunJson, changed: Json, words: str) -> None:
    result = {**LAB_RESULT, **changed}
    write_tree(root, {"lab.json": json.dumps(result)})
    found = run_json("--root", str(root), "--connections", "1K", "--ktls", "--lab", str(root / "lab.json"))
    [name] = [name for name in found["takes"]["missing"] if name.startswith("kernel TLS")]
    assert words in name
    assert "give --lab" not in name


def test_conntrack_that_is_not_loaded_cannot_be_said_and_one_without_a_limit_can(root: Path, run_json: RunJson) -> None:
    found = run_json("--root", TREE, "--connections", "1", "--conntrack")
    assert found["verdict"] == "cannot say"
    assert "nf_conn" in found["unknown_because"]
    write_tree(root, {"proc/sys/net/netfilter/nf_conntrack_max": "0\n"})
    found = run_json("--root", str(root), "--connections", "500K", "--conntrack")
    assert "nf_conntrack_max" not in [each["name"] for each in found["limits"]]
    assert bytes_of(found, "nf_conn") == 500_000 * 256


def test_an_unlimited_file_max_is_no_limit(root: Path, run_json: RunJson) -> None:
    write_tree(root, {"proc/sys/fs/file-nr": f"21200\t0\t{(1 << 63) - 1}\n"})
    found = run_json("--root", str(root), "--connections", "500K", "--no-conntrack")
    assert [each["name"] for each in found["limits"]] == ["memory"]


# The text


REQUESTS = [
    ["--connections", "100K", "--side", "proxy"],
    [*("--connections", "10G", "--buffers", "1T", "--time-wait", "10G", "--side", "proxy", "--epoll", "--conntrack")],
]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("request_", REQUESTS, ids=["usual", "huge"])
def test_the_text_fits_80_columns_and_begins_with_the_verdict(kernel: str, request_: list[str], run: Run) -> None:
    for phase in RECORDINGS[kernel]:
        code, output = run("--root", str(tree(kernel, phase)), *request_)
        assert output.isascii()
        assert max(map(len, output.splitlines())) <= 80
        assert output.endswith("\n")
        fits = "fits: " if "--buffers" in request_ else "fits, without data: "
        assert output.startswith({0: fits, 1: "does not fit: ", 2: "cannot say: "}[code])


ALARMS = {
    "proc/net/sockstat": "TCP: inuse 16000 orphan 63 tw 0 alloc 16000 mem 34000\n",
    "proc/sys/net/ipv4/tcp_max_orphans": "64\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "300\n",
}


def test_the_verdict_names_a_limit_that_may_be_reached_before_the_certain_one(tmp_path: Path, run: Run) -> None:
    """Of the cgroup 53 000 sockets take at most all, and 156 000 at least all."""
    root = with_cgroup("6.1-4n-nomerge", tmp_path)
    write_tree(root, {"proc/sys/fs/file-nr": "15872\t0\t95872\n"})
    arguments = ("--root", str(root), "--cgroup", "web.slice", "--connections")
    code, output = run(*arguments, "100K")
    verdict = " ".join(output.partition("\n\n")[0].split())
    assert code == 1
    assert re.search(r"; first limit: file-max, after .*, or memory_cgroup, maybe from 5\d \d00 on( |$)", verdict)
    for number in ("20K", "200K"):
        assert "maybe" not in run(*arguments, number)[1].partition("\n\n")[0]


def test_a_plan_by_node_from_few_sockets_is_called_a_guess(run: Run) -> None:
    for phase, is_guess in (("base", True), ("established", False)):
        output = run("--root", str(tree("6.1-4n", phase)), "--connections", "1000")[1]
        assert "\n NODE " in output
        assert ("By node: a guess from 1 present socket, too few" in output) == is_guess


def test_bounds_do_not_shift_the_columns(run: Run) -> None:
    output = run("--root", str(tree("6.1-4n", "established")), "--connections", "2M", "--side", "mixed")[1]
    for first, title in (("LIMIT", "TAKES"), ("TAKES", "BYTES")):
        head, *rows = output[output.index(f"\n {first} ") + 1 :].partition("\n\n")[0].splitlines()
        end = head.index(title) + len(title)
        assert any("<= " in row[:end] for row in rows)
        for row in (row for row in rows if not row.startswith("     ")):
            assert not row[end - 1].isspace(), row
            assert not row[end : end + 1].strip(), row


def test_limits_that_alarm_and_are_not_counted_stand_below_the_verdict(root: Path, run: Run, run_json: RunJson) -> None:
    write_buffers(write_tree(root, ALARMS), 34_000)
    arguments = ("--root", str(root), "--connections", "40", "--no-conntrack")
    idle = run_json(*arguments)
    assert [(each["name"], each["state"], each["why"]) for each in idle["not_counted"]] == [
        ("tcp_max_orphans", "full", "no orphans planned"),
        ("tcp_mem", "near", "no buffers planned"),
        ("nf_conntrack_max", "near", "no tracked flows planned"),
    ]
    assert idle["not_counted"][2]["used"] == 250
    assert idle["not_counted"][2]["ratio"] == 0.8333
    code, output = run(*arguments)
    head, _, rest = output.partition("\n\n")
    assert code == 0
    assert head.startswith("fits, without data: 40 server-side connections; ")
    assert (
        " not counted: orphans CRITICAL 98 % (no orphans planned), tcp_mem NEAR 85 % (no buffers planned),"
        " conntrack NEAR 83 % (no tracked flows planned)"
    ) in " ".join(head.split())
    for name, percent, state in (("tcp_mem", 85, "NEAR"), ("conntrack", 83, "NEAR"), ("orphans", 98, "CRITICAL")):
        [line] = [line for line in rest.splitlines() if line.startswith(f" {name} ")]
        assert line.split()[-3:] == [str(percent), "%", state]
        assert "uncounted" in line
    counted = run_json(*arguments, "--conntrack", "--buffers", "1")
    assert [each["name"] for each in counted["not_counted"]] == ["tcp_max_orphans"]


def test_buffers_as_now_are_those_of_the_headroom(root: Path, run: Run, run_json: RunJson) -> None:
    """The same number of connections fits as on the screen; the exit code is that of the verdict."""
    write_buffers(write_tree(root, ALARMS), 34_000)
    found = json.loads(forked_program.run("--root", root, "--json").stdout)
    arguments = ("--root", str(root), "--side", "proxy", "--buffers", "now", "--no-conntrack", "--connections", "1K")
    planned = run_json(*arguments)
    assert planned["request"]["buffers_as_now"]
    charge, headroom = 34_000 * 4096 / 16_000, found["headroom"]
    assert headroom["buffer_bytes"] < headroom["high_buffer_bytes"] <= charge
    assert headroom["is_at_most"]
    assert 2 * limit(planned, "tcp_mem")["connections"] == pytest.approx(
        limit(found, "tcp_mem")["headroom_sockets"], rel=0.03
    )
    most = headroom["bytes_per_socket"] - headroom["buffer_bytes"] + headroom["high_buffer_bytes"]
    assert 2 * limit(planned, "memory")["connections"] == pytest.approx(
        limit(found, "memory")["headroom_sockets"] * headroom["bytes_per_socket"] / most, rel=0.03
    )
    assert limit(planned, "tcp_mem")["takes"] == pytest.approx(2000 * charge, abs=1)
    [buffers] = [part for part in planned["takes"]["parts"] if part["object"] == "buffers"]
    assert buffers["bytes"] == pytest.approx(2000 * headroom["buffer_bytes"], abs=1000)
    assert buffers["high_bytes"] == pytest.approx(2000 * headroom["high_buffer_bytes"], abs=1000)
    assert planned["request"]["buffer_bytes_per_socket"] < charge
    _, output = run(*arguments)
    assert f"counts {round(charge):,} B per socket".replace(",", " ") in " ".join(output.split())
    assert "proxy, average buffers." in " ".join(output.split())


def test_buffers_as_now_that_are_not_known_cannot_be_said(root: Path, run_json: RunJson) -> None:
    (root / "proc/net/sockstat").unlink()
    found = run_json("--root", str(root), "--connections", "1K", "--buffers", "now")
    assert found["verdict"] == "cannot say"
    assert any(name.startswith("buffers (now: ") for name in found["takes"]["missing"])
    assert found["request"]["buffer_bytes_per_socket"] is None


def test_a_blob_of_which_the_cache_is_not_known_is_a_bound(run: Run) -> None:
    """Without sockets, neither of the two possible caches of AppArmor's blob can be ruled out."""
    _, output = run("--root", str(tree("6.1-4n", "timewait")), "--connections", "780K")
    [line] = [line for line in output.splitlines() if line.startswith(" LSM socket blob ")]
    assert line.split()[3:] == ["kmalloc-16", "or", "-32", "780", "000", "<=", "32", "B", "<=", "23.9", "MiB"]
    assert "nothing tells in which of kmalloc-16 to kmalloc-32 it is" in " ".join(output.split())
    _, output = run("--root", TREE, "--connections", "780K")
    [line] = [line for line in output.splitlines() if line.startswith(" LSM socket blob ")]
    assert "<=" not in line


def test_sysctls_to_change_stand_above_the_limits_with_their_rule(root: Path, run: Run) -> None:
    _, output = run("--root", str(root), "--connections", "200K", "--time-wait", "9K")
    sections = output.split("\n\n")
    assert sections[2].splitlines() == [
        " Sysctls to change (need / 0.8, at most what memory and the kernel allow):",
        " net.netfilter.nf_conntrack_max = 261563 (now 100000)",
        " fs.file-max = 276821 (now 120000; with the error of its counter, +256)",
        " net.ipv4.tcp_max_tw_buckets = 12501 (now 5000)",
    ]
    assert sections[3].startswith(" LIMIT ")


@pytest.mark.parametrize("most", [0, 100])
def test_a_full_maximum_of_time_wait_is_named_full(root: Path, run: Run, most: int) -> None:
    write_tree(root, {"proc/sys/net/ipv4/tcp_max_tw_buckets": f"{most}\n"})
    _, output = run("--root", str(root), "--connections", "1K", "--time-wait", "5K")
    [line] = [line for line in output.splitlines() if line.startswith(" TIME_WAIT ")]
    assert line.split()[-1] == "FULL"


def test_sysctls_that_are_not_enough_say_what_stays_exceeded(root: Path, run: Run) -> None:
    _, output = run("--root", str(root), "--connections", "2M", "--no-conntrack")
    assert " Sysctls are not enough: memory would still be exceeded.\n Sysctls to change " in output
    assert " fs.file-max = 2526821 (now 120000; with the error of its counter, +256)\n" in output
    assert "not enough" not in run("--root", str(root), "--connections", "200K", "--no-conntrack")[1]


def test_flows_of_more_than_all_memory_are_advised_for_none(root: Path, run_json: RunJson) -> None:
    found = run_json("--root", str(root), "--connections", "100M")
    assert limit(found, "nf_conntrack_max")["note"] == (
        "no value of net.netfilter.nf_conntrack_max is enough: the machine has less memory"
    )
    assert found["sysctls"] == []


@pytest.mark.parametrize(("count", "default"), [("250", True), ("0", False), (None, False)])
def test_flows_are_planned_where_the_namespace_tracks_some_now(
    root: Path, run_json: RunJson, count: str | None, default: bool
) -> None:
    path = "proc/sys/net/netfilter/nf_conntrack_count"
    (root / path).unlink()
    if count is not None:
        write_tree(root, {path: f"{count}\n"})
    arguments = ("--root", str(root), "--connections", "1K")
    assert run_json(*arguments)["request"]["conntrack"] is default
    assert run_json(*arguments, "--conntrack")["request"]["conntrack"] is True
    assert run_json(*arguments, "--no-conntrack")["request"]["conntrack"] is False


@pytest.mark.parametrize(
    ("release", "verdict"), [("6.15.9-amd64", "cannot say"), ("6.16.1-amd64", "does not fit"), ("", "cannot say")]
)
def test_the_error_of_the_open_files_decides(root: Path, run_json: RunJson, release: str, verdict: str) -> None:
    """Each of 8 CPUs may have 32 files that file-nr does not count; since 6.16, file-nr counts all files."""
    write_tree(root, release_files(release))
    row = limit(run_json("--root", str(root), "--connections", "98801"), "file_max")
    assert row["verdict"] == {"cannot say": "unknown", "does not fit": "exceeded"}[verdict]


def test_no_sysctl_is_advised_where_the_error_of_its_counter_is_unknown(root: Path, run_json: RunJson) -> None:
    arguments = ["--root", str(root), "--connections", "110000"]
    assert "fs.file-max" in [each["name"] for each in run_json(*arguments)["sysctls"]]
    shutil.rmtree(root / "sys/devices/system/cpu")  # the number of CPUs is unknown
    (root / "proc/zoneinfo").unlink()
    found = run_json(*arguments)
    assert limit(found, "file_max")["used"] is not None
    assert "fs.file-max" not in [each["name"] for each in found["sysctls"]]
    assert limit(found, "file_max")["note"].endswith(
        "no value of fs.file-max is surely enough: the error of its counter is not known"
    )


def test_tcp_mem_is_advised_whatever_the_reserves_of_the_cpus(root: Path, run_json: RunJson) -> None:
    """The kernel compares tcp_mem with the counter that sockstat prints (net/core/sock.c, sk_memory_allocated)."""
    arguments = ["--root", str(root), "--connections", "20K", "--buffers", "8K"]
    [before] = [each for each in run_json(*arguments)["sysctls"] if each["name"] == "net.ipv4.tcp_mem"]
    write_tree(root, {**release_files("6.8.0"), "proc/sys/net/core/mem_pcpu_rsv": "x\n"})
    found = run_json(*arguments)
    row = limit(found, "tcp_mem")
    assert [each for each in found["sysctls"] if each["name"] == "net.ipv4.tcp_mem"] == [before]
    assert before["at_least"][1] == -(-(row["used"] + row["high_takes"]) // 4096)


def test_the_verdict_names_the_first_limit(root: Path, run: Run) -> None:
    code, output = run("--root", str(root), "--connections", "99057")
    assert code == 1
    assert " ".join(output.split()).startswith(
        "does not fit: 99 057 server-side connections; first limit: file-max, after 98 500 to 99 100 connections"
    )
    assert "\n fs.file-max = 150642 (now 120000; with the error of its counter, +256)\n" in output


@pytest.mark.parametrize("used_pages", [0, 1000, 10_000])
def test_what_fits_below_tcp_mem_is_confirmed_by_a_plan(
    used_pages: int, tmp_path: Path, run: Run, run_json: RunJson
) -> None:
    """7.3 counts the pages of buffers with reserves of CPUs, which the kernel does not compare with tcp_mem."""
    root = ["--root", str(write_buffers(copy_recording("7.3-4n", "timewait", tmp_path / "tree"), used_pages))]
    first = limit(run_json(*root, "--connections", "100", "--buffers", "16K"), "tcp_mem")
    number = first["connections"]
    assert (first["used"], first["used_error"], first["high_connections"]) == (used_pages * 4096, 0, None)
    assert number == (first["limit"] - first["used"]) // 16384
    for connections, verdict in ((number, "fits"), (number + 1, "exceeded")):
        row = limit(run_json(*root, "--connections", str(connections), "--buffers", "16K"), "tcp_mem")
        assert (row["verdict"], row["connections"]) == (verdict, number)
        then = (row["used"] + row["takes"]) / row["limit"]
        assert (row["low_ratio"], row["ratio"]) == (pytest.approx(then, abs=1e-4), pytest.approx(then, abs=1e-4))
    _, output = run(*root, "--connections", str(number + 1), "--buffers", "16K")
    words = " ".join(output.split())
    assert re.search(r"first limit: tcp_mem, after about \d\d \d00 connections", words)
    assert re.search(r" tcp_mem .* ! 10[01] % ", words)


def test_a_plan_whose_mini_sockets_skip_time_wait_says_so_in_json_too(root: Path, run: Run, run_json: RunJson) -> None:
    arguments = ("--root", str(root), "--connections", "10", "--no-conntrack", "--time-wait", "300K")
    code, output = run(*arguments)
    [(skipped,)] = [
        match.groups()
        for match in re.finditer(r"TIME_WAIT full: ([\d ]+) of 300 000 skip it", " ".join(output.split()))
    ]
    found = run_json(*arguments)
    row = limit(found, TIME_WAIT)
    assert code == 0
    assert found["without_time_wait"] == int(skipped.replace(" ", "")) == 300_000 - row["takes"]
    assert (row["state"], row["verdict"], found["verdict"]) == ("full", "fits", "fits")
    assert run_json(*arguments[:-2])["without_time_wait"] == 0


@pytest.mark.parametrize(("release", "says"), [("6.18.1", False), ("6.19.0", True)])
def test_conntracks_limit_may_be_lower_in_the_first_namespace(root: Path, release: str, says: bool) -> None:
    write_tree(root, release_files(release))
    (root / "proc/sys/net/ipv4/tcp_max_orphans").unlink()
    done = forked_program.run("--json", "--root", root)
    row = next(each for each in json.loads(done.stdout)["limits"] if each["name"] == "nf_conntrack_max")
    assert ("the first netns may have a lower limit" in row["note"]) == says


@pytest.mark.parametrize("name", MACHINES)
def test_machines_that_no_recording_has(name: str, tmp_path: Path, run: Run) -> None:
    code, output = run("--root", str(make_machine(name, tmp_path / "machine")), "--connections", "1M", "--epoll")
    assert code in (0, 1, 2)
    assert max(map(len, output.splitlines())) <= 80


def test_an_empty_tree(tmp_path: Path, run: Run) -> None:
    code, output = run("--root", str(write_tree(tmp_path / "empty", {})), "--connections", "1M")
    assert code == 2
    assert "cannot say" in output


def test_a_recording_has_the_plan_of_its_tree(tmp_path: Path, run_json: RunJson) -> None:
    path = tmp_path / "one.tcptop"
    record(path, phase_trees("6.1-4n")[:1], 1)
    replayed = run_json("-r", str(path), "--connections", "300K", "--at", "+0.1")
    saved = run_json("--root", str(phase_trees("6.1-4n")[0]), "--connections", "300K")
    # How to look at the sockets differs: a saved tree cannot be looked at.
    for found in (replayed, saved):
        found["remarks"] = [each for each in found["remarks"] if "only a look at the sockets tells" not in each]
    assert {**replayed, "taken_at": None, "live": False} == saved


def test_this_machine(run_json: RunJson) -> None:
    found = run_json("--connections", "1")
    assert found["kernel"] == os.uname().release
    assert found["live"] is True


# The call


@pytest.mark.parametrize(
    ("text_", "number"),
    [
        ("1", 1),
        ("20000", 20_000),
        ("300K", 300_000),
        ("300k", 300_000),
        ("2M", 2_000_000),
        ("1.5M", 1_500_000),
        ("1G", 10**9),
    ],
)
def test_counts_are_decimal(text_: str, number: int) -> None:
    assert parse_positive_count(text_) == number


@pytest.mark.parametrize(("text_", "size"), [("0", 0), ("1", 1), ("16K", 16_384), ("1.5M", 1_572_864), ("1G", 1 << 30)])
def test_bytes_are_binary(text_: str, size: int) -> None:
    assert parse_buffer_bytes(text_) == size


WRONG_CALLS = [
    ([], "--connections"),
    (["--connections", "0"], "'0'"),
    (["--connections", "-5"], "--connections"),
    (["--connections", "1.5"], "'1.5'"),
    (["--connections", "2m"], "'2m'"),
    (["--connections", "2MiB"], "'2MiB'"),
    (["--connections", "11G"], "'11G'"),
    (["--connections", "１"], "not"),
    (["--connections", "1e6"], "'1e6'"),
    (["--connections", "1", "--buffers", "2T"], "'2T'"),
    (["--connections", "1", "--buffers", "x"], "'x'"),
    (["--connections", "1", "--time-wait", "1.5"], "'1.5'"),
    (["--connections", "1", "--side", "both"], "both"),
    (["--connections", "1", "--family", "mix"], "mix"),
    (["--conn", "1"], "--conn"),
    (["--connections", "1", "--root", "/nonexistent"], "/nonexistent"),
    (["--connections", "1", "-r", "/nonexistent"], "/nonexistent"),
    (["--connections", "1", "-r", TREE, "--root", TREE], "-r"),
    (["--connections", "1", "--at", "+5m"], "-r FILE"),
    (["--connections", "1", "--cgroup", "../x"], "../x"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG_CALLS, ids=lambda value: str(value)[:60])
def test_a_wrong_call(arguments: list[str], words: str) -> None:
    with pytest.raises(TcptopError) as raised:
        plan.run(arguments)
    assert words in str(raised.value)
    assert raised.value.exit_code == 2


def ran(*arguments: str, shell: str = "", stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-m", "tcptop", "plan", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=GUARD_S,
        check=False,
        cwd=PROJECT,
    )


@pytest.mark.parametrize(
    ("arguments", "shell", "code", "errors"),
    [
        (["--connections", "1K"], "", 0, 0),
        (["--connections", "1G"], "", 1, 0),
        (["--connections", "1K", "--conntrack"], "", 2, 0),
        (["--nope"], "", 2, 1),
        (["--connections", "1K"], "> /dev/full", 2, 1),
        (["--connections", "1K"], ">&-", 2, 1),
        (["--help"], "", 0, 0),
    ],
)
def test_exit_codes(arguments: list[str], shell: str, code: int, errors: int) -> None:
    done = ran("--root", TREE, *arguments, shell=shell)
    assert (done.returncode, done.stderr.count("\n")) == (code, errors)
    assert bool(done.stdout) == (not errors)


def test_a_closed_pipe_says_nothing_and_is_no_verdict() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = ran("--root", TREE, "--connections", "1K", stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (2, "")


def test_a_defect_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("tcptop.commands.plan.make_plan", fail)
    with pytest.raises(TcptopError, match="RuntimeError: broken") as raised:
        plan.run(["--root", TREE, "--connections", "1"])
    assert raised.value.exit_code == 2


def test_help_has_the_multipliers_and_the_exit_codes() -> None:
    output = ran("--help").stdout
    for words in ("1 000, 1 000 000", "powers of 1 024", "Exit code: 0", "never set", "two files"):
        assert words in output
    assert max(map(len, output.splitlines())) <= 80


def test_a_plan_of_idle_sockets_says_first_that_buffers_are_not_counted(run: Run) -> None:
    """A plan without data does not count tcp_mem."""
    idle = "without data: tcp_mem is not counted (--buffers now counts it)"
    for options, is_idle in (((), True), (("--buffers", "0"), True), (("--buffers", "4K"), False)):
        code, output = run("--root", TREE, "--connections", "100K", *options)
        assert code == 0
        assert (idle in " ".join(output.partition("\n\n")[0].split())) == is_idle


@pytest.mark.parametrize("time_wait", [(), ("--time-wait", "2000")])
def test_what_fits_stands_beside_the_bytes_by_which_it_is_divided(run: Run, time_wait: tuple[str, ...]) -> None:
    """The client sockets of so large a plan share their bind buckets, so that one takes less than in this plan."""
    root = str(tree("6.1-8n", "established"))
    code, output = run("--root", root, "--connections", "16001", "--side", "mixed", "--family", "now", *time_wait)
    assert code == 0
    text = " ".join(output.split())
    one, full = (
        int(found.replace(" ", ""))
        for found in re.search(  # type: ignore[union-attr]
            r"<= ([\d ]+) B per connection.* divided by <= ([\d ]+) B, as if all of it were in use: client sockets",
            text,
        ).groups()
    )
    assert full < one
    assert text.count(f"<= {units.grouped(full)} B") == 1
    for usable, fits in re.findall(r"(?m)^ \d  .* ([\d.]+) MiB +([\d ]+)$", output):
        assert float(usable) * 2**20 / full == pytest.approx(int(fits.replace(" ", "")), rel=0.015)
    _, server_side = run("--root", root, "--connections", "16001")
    assert "divided by" not in server_side


def test_a_plan_of_idle_sockets_names_what_tcp_mem_has_room_for(run: Run) -> None:
    tree_path = str(tree("6.12-4n", "halfclosed"))
    code, output = run("--root", tree_path, "--connections", "100K")
    assert code == 0
    head = " ".join(output.partition("\n\n")[0].split())
    assert re.search(r"tcp_mem is not counted .*; main screen: tcp_mem stops after >= [\d ]+, average buffers ", head)


@pytest.mark.parametrize(
    ("kernel", "connections", "says"),
    [
        ("6.1-1n", "10M", ""),
        ("6.1-4n", "10M", "All nodes are above their own free memory"),
        ("6.1-4n-memoryless", "10M", "All nodes are above their own free memory"),
        ("6.1-8n", "1160K", "The CPUs of node 3 will use memory of other nodes, too."),
    ],
)
def test_only_cpus_beside_other_nodes_use_their_memory(
    kernel: str, connections: str, says: str, run_json: RunJson
) -> None:
    found = run_json("--root", str(tree(kernel, "established")), "--connections", connections)
    texts = ("memory of other nodes", "above their own free memory")
    said = [each for each in found["remarks"] if any(text in each for text in texts)]
    assert bool(said) == bool(says)
    assert all(each.startswith(says) for each in said[:1])


def test_a_node_that_may_be_too_small_for_its_part_says_so(run: Run, run_json: RunJson) -> None:
    """The part of each node is a range; node 3 has less free memory than the upper bound."""
    arguments = ("--root", str(tree("6.1-8n", "established")), "--buffers", "now", "--connections", "1M")
    found = run_json(*arguments)
    maybe = {
        number for number, node in found["nodes"].items() if node["bytes"] <= node["free_bytes"] < node["high_bytes"]
    }
    assert maybe
    rows = run(*arguments)[1].partition(" NODE ")[2].splitlines()[1 : len(found["nodes"]) + 1]
    assert {row.split()[0] for row in rows if row.endswith("may be above its free memory")} == maybe
    assert all(" to " in row for row in rows)
    assert any(each.endswith(" may use memory of other nodes, too.") for each in found["remarks"])


@pytest.mark.parametrize(
    "options", [(), ("--side", "mixed"), ("--side", "client"), ("--side", "mixed", "--time-wait", "200K")], ids=str
)
@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-8n"])
def test_what_fits_on_the_nodes_adds_up_to_what_fits_without_reclaim(
    kernel: str, options: tuple[str, ...], run: Run, run_json: RunJson
) -> None:
    """Sockets of all nodes share the bind buckets of the local ports, also those on one node."""
    arguments = ("--root", str(tree(kernel, "established")), "--connections", "10K", *options)
    nodes = run_json(*arguments)["nodes"].values()
    text = " ".join(run(*arguments)[1].split())
    [alone] = re.findall(r"Reclaim: free memory alone holds (?:>= )?([\d ]+|all that fit)", text)
    without = limit(run_json(*arguments), "memory")["connections"]
    if alone != "all that fit":
        without = int(alone.removesuffix(" ").replace(" ", ""))
    assert sum(node["connections"] for node in nodes) == pytest.approx(without, rel=0.009)


def test_a_typed_size_of_buffers_says_nothing_of_the_present_charge(run_json: RunJson) -> None:
    found = run_json("--root", TREE, "--connections", "1K", "--buffers", "16K")
    [note] = [each for each in found["remarks"] if each.startswith("Buffers:")]
    assert "counts in whole pages" in note
    assert "Average" not in note


def test_the_use_of_tcp_mem_is_exact_as_in_the_report(run: Run) -> None:
    """The counter's value is not above the error of the average, but it is the number that the kernel compares."""
    root = str(tree("6.1-4n", "base"))
    report = forked_program.run("-o", "--root", root).stdout
    [row] = [line for line in report.splitlines() if line.lstrip().startswith("tcp_mem ") and "80/95" in line]
    [used, *_] = re.findall(r"[<=~ ]+[0-9.]+ (?:B|[KM]iB)", row)
    _, output = run("--root", root, "--connections", "1K", "--buffers", "16K")
    [line] = [line for line in output.splitlines() if line.startswith(" tcp_mem ")]
    assert line.split()[1:3] == used.split()


WITHIN_BOUNDS = str(PROJECT / "tests/recordings/6.18-1n/established")
"""A recording whose counter of buffers is within its error."""


def test_buffers_as_now_are_the_bounds_of_the_attached_objects(run: Run, run_json: RunJson) -> None:
    found = ledger("6.18-1n", "established")
    [bounds] = [kind.bytes_per_socket for kind in found.attached.kinds if kind.name == "buffers"]
    assert bounds is not None
    assert 0 == bounds.low < bounds.high  # the whole count is within its error
    arguments = ("--connections", "40K", "--buffers", "now", "--root", WITHIN_BOUNDS)
    planned = run_json(*arguments)
    [part] = [part for part in planned["takes"]["parts"] if part["object"] == "buffers"]
    assert (part["bytes"], part["high_bytes"]) == (round(40_000 * bounds.low), round(40_000 * bounds.high))
    assert planned["takes"]["complete"]
    [limit] = [limit for limit in planned["limits"] if limit["name"] == "tcp_mem"]
    counted, error = found.sockets.buffer_bytes, found.sockets.buffer_error_bytes
    assert limit["high_takes"] == round(40_000 * ((counted or 0) + (error or 0)) / (found.sockets.allocated or 0))
    text = " ".join(run(*arguments)[1].split())
    assert re.search(rf"with data (≤|<=) {ceil(bounds.high)} B of a present socket", text)


@pytest.mark.parametrize("machine", ["5.10-4n", "6.1-4n"])
@pytest.mark.parametrize("lost", ["", "proc/slabinfo"])
def test_buffers_as_now_that_may_be_0_are_planned_with_both_bounds(
    machine: str, lost: str, tmp_path: Path, run: Run, run_json: RunJson
) -> None:
    """`now` fits the same number as the upper bound typed as a size, and memory is no limit that may come first."""
    root = copy_recording(machine, "halfclosed", tmp_path)
    if lost:
        (root / lost).unlink()
    write_tree(root, {"proc/sys/net/ipv4/tcp_mem": "1000000 2000000 3000000\n"})
    found = json.loads(forked_program.run("--root", root, "--json").stdout)
    headroom = found["headroom"]
    assert headroom["buffer_bytes"] == 0 < headroom["high_buffer_bytes"]
    now, size = (
        run_json("--root", str(root), "--connections", "300K", "--buffers", buffers)
        for buffers in ("now", str(ceil(headroom["high_buffer_bytes"])))
    )
    assert now["verdict"] == size["verdict"]
    assert now["takes"]["missing"] == size["takes"]["missing"]
    [part] = [part for part in now["takes"]["parts"] if part["object"] == "buffers"]
    assert (part["bytes"], part["high_bytes"]) == (0, pytest.approx(300_000 * headroom["high_buffer_bytes"], rel=1e-4))
    if not lost:  # the bytes of other objects are then not known
        assert now["verdict"] == "fits"
        assert limit(now, "memory")["connections"] == pytest.approx(limit(size, "memory")["connections"], rel=1e-3)
    write_tree(root, {"proc/sys/net/ipv4/tcp_mem": "1000 2000 137562\n"})
    _, text = run("--root", str(root), "--connections", "300K", "--buffers", "now")
    assert ("or memory" in text.split("\n\n")[0]) == bool(lost)


def test_nothing_is_reached_before_a_limit_below_which_nothing_fits(root: Path, run: Run) -> None:
    """Without slabinfo the memory of a socket is not known, so that memory might be reached first elsewhere."""
    (root / "proc/slabinfo").unlink()
    write_tree(write_buffers(root, 34_000), {"proc/sys/net/ipv4/tcp_mem": "10 20 34000\n"})
    code, text = run("--root", str(root), "--connections", "1K", "--buffers", "4K")
    assert code == 1
    head = " ".join(text.split("\n\n")[0].split())
    assert "first limit: tcp_mem, no connection fits" in head
    assert "maybe before" not in head


@pytest.mark.parametrize(
    ("reserved", "says"),
    [
        (
            "32768-60900\n",
            "Ports: 99 for one local address and one address and port of a peer; these need at least 102",
        ),
        ("\n", "Ports: 28 232 for one"),
        (None, "Ports: at most 28 232 for one"),
    ],
)
def test_a_plan_has_no_reserved_ports(root: Path, reserved: str | None, says: str, run: Run) -> None:
    if reserved is not None:
        write_tree(root, {"proc/sys/net/ipv4/ip_local_reserved_ports": reserved})
    number = "10000" if reserved and "60900" in reserved else "50K"
    _, output = run("--root", str(root), "--connections", number, "--side", "outgoing")
    assert says in " ".join(output.split())


@pytest.mark.parametrize("reserved", ["1-65535\n", "32768-60999\n"])
@pytest.mark.parametrize("side", ["client", "proxy", "mixed"])
def test_without_any_port_for_connect_the_verdict_has_a_condition(
    root: Path, reserved: str, side: str, run: Run, run_json: RunJson
) -> None:
    arguments = ("--root", str(root), "--connections", "10K", "--side", side)
    without = run_json(*arguments)["takes"]
    write_tree(root, {"proc/sys/net/ipv4/ip_local_reserved_ports": reserved})
    code, output = run(*arguments)
    head = " ".join(output.partition("\n\n")[0].split())
    says = "if each connects without binding to a port: connect() finds none, as all of ip_local_port_range are in"
    assert head.startswith("fits, without data: 10 000 ")
    assert f"{says} ip_local_reserved_ports" in head
    assert output.count("connect() finds") == 1
    found = run_json(*arguments)
    assert (code, found["verdict"], found["takes"]) == (0, "fits", without)
    assert [each for each in found["remarks"] if each.startswith(f"Ports: {says}")]


def test_the_server_side_needs_no_port_for_connect(root: Path, run: Run) -> None:
    write_tree(root, {"proc/sys/net/ipv4/ip_local_reserved_ports": "1-65535\n"})
    assert "connect()" not in run("--root", str(root), "--connections", "10K", "--side", "server")[1]


@pytest.mark.parametrize("reserved", ["\n", "32768-60998\n", "1-65535\n"])
def test_sockets_that_bind_may_have_a_bucket_each(root: Path, reserved: str, run_json: RunJson) -> None:
    """bind() takes a reserved port, and one that is not in ip_local_port_range."""
    write_tree(root, {"proc/sys/net/ipv4/ip_local_reserved_ports": reserved})
    found = run_json("--root", str(root), "--connections", "50K", "--side", "client")
    counts = {part["object"]: part["count"] for part in found["takes"]["parts"] if "bind" in part["object"]}
    assert counts == {"struct inet_bind_bucket": 50_000, "struct inet_bind2_bucket": 50_000}


def test_advice_on_tcp_mem_is_in_pages(tmp_path: Path, run: Run, run_json: RunJson) -> None:
    """From 4.9 to 5.19 buffers are charged in units of 4096 bytes, and tcp_mem is in pages (sk_prot_mem_limits)."""
    root = copy_recording("6.12-arm64-16k-4n", "established", tmp_path)
    write_tree(root, {**release_files("5.15.0-105-generic"), "proc/sys/net/ipv4/tcp_mem": "16662\t22217\t33324\n"})
    (root / "proc/sys/net/core/mem_pcpu_rsv").unlink()
    write_buffers(root, 40_000)
    arguments = ("--root", str(root), "--connections", "100K", "--buffers", "5000")
    [found] = [each for each in run_json(*arguments)["sysctls"] if each["name"] == "net.ipv4.tcp_mem"]
    assert found["at_least"][1] == (40_000 + 100_000 * 2) * 4096 // 16384
    assert "4096" not in next(line for line in run(*arguments)[1].splitlines() if "It is in" in line)


def test_a_plan_with_a_damaged_sockstat_says_so(root: Path, run_json: RunJson) -> None:
    """The two counts of buffers contradict each other; the size of a page is known."""
    sockstat = root / "proc/net/sockstat"
    sockstat.write_text(re.sub(r"mem \d+", "mem 4000000", sockstat.read_text()))
    found = run_json("--root", str(root), "--connections", "1K", "--buffers", "16K")
    row = limit(found, "tcp_mem")
    maximum = int((root / "proc/sys/net/ipv4/tcp_mem").read_text().split()[2])
    assert (row["used"], row["limit"], row["unit"]) == (None, maximum * 4096, "bytes")
    assert row["note"] == "headroom not known: sockstat is damaged"


@pytest.mark.parametrize(("of_second", "is_said"), [(0.9, False), (1.1, True)])
def test_a_plan_above_the_second_value_of_tcp_mem_is_under_pressure(of_second: float, is_said: bool, run: Run) -> None:
    low, second, high = (int(each) for each in (Path(TREE) / "proc/sys/net/ipv4/tcp_mem").read_text().split())
    number = int(second * of_second)
    assert low < number < high
    arguments = ("--root", TREE, "--connections", str(number), "--buffers", "4K")
    lines = run(*arguments)[1].splitlines()
    first = " ".join(lines[: lines.index("")])
    assert ("PRESSURE: tcp_mem would be above its second value" in first) is is_said
    [row] = [line for line in lines if line.startswith(" tcp_mem ")]
    assert row.endswith("PRESSURE") is is_said


def test_fewer_bytes_at_upper_bounds_than_the_main_screens_at_lower_bounds_have_a_reason(run: Run) -> None:
    reason = "That is less, since sockets that share a local port share its bind bucket."
    for number in ("1K", "2M"):
        text = " ".join(run("--root", TREE, "--connections", number, "--side", "mixed", "--family", "now")[1].split())
        [(one, other)] = re.findall(
            r"more at (\d+(?: \d{3})*) B each .* This plan: <= (\d+(?: \d{3})*) B a socket", text
        )
        assert (reason in text) is (int(other.replace(" ", "")) < int(one.replace(" ", "")))


@pytest.mark.parametrize("kernel", ["6.1-4n", "7.3-4n", "6.12-arm64-16k-4n"])
def test_no_row_contradicts_the_verdict_near_the_limit(kernel: str, run: Run, run_json: RunJson) -> None:
    """The most connections that fit, and one more: what is in use then is not above the limit in a plan that fits."""
    arguments = ("--root", str(tree(kernel, "established")), "--connections")
    most = limit(run_json(*arguments, "1K"), "memory")["connections"]
    code, text = run(*arguments, str(most))
    [row] = [line for line in text.splitlines() if line.startswith(" memory ")]
    [share] = re.findall(r" ((?:99 to )?100 %) .* JUST FITS$", row)
    assert (code, " ".join(text.split()).partition(":")[0]) == (
        0,
        f"just fits, without data; memory would be {share} used",
    )
    code, text = run(*arguments, str(most + most // 1000))
    [row] = [line for line in text.splitlines() if line.startswith(" memory ")]
    assert (code, text.partition(":")[0]) == (2, "cannot say")
    assert row.endswith(" MAY BE FULL") or f"{row}\n     MAY BE FULL\n" in text
    code, text = run(*arguments, str(2 * most))
    [row] = [line for line in text.splitlines() if line.startswith(" memory ")]
    assert (code, text.partition(":")[0]) == (1, "does not fit")
    assert row.endswith(" FULL")
    assert "MAY BE" not in row
    code, text = run(*arguments, str(most // 2))
    assert (code, text.partition(":")[0], "JUST" in text) == (0, "fits, without data", False)


# Limits whose counters have an error


def test_a_limit_that_is_exceeded_by_more_than_its_error_is_exceeded(root: Path, run_json: RunJson) -> None:
    """file-nr may be wrong by 256 files (8 CPUs)."""
    for maximum, verdict in ((21_200 - 257, "exceeded"), (21_200 - 250, "unknown")):
        write_tree(root, {"proc/sys/fs/file-nr": f"21200\t0\t{maximum}\n"})
        row = limit(run_json("--root", str(root), "--connections", "1"), "file_max")
        assert (row["verdict"], row["connections"]) == (verdict, 0 if verdict == "exceeded" else 6)
        assert row["connections_are_at_most"] == (verdict == "unknown")


def halfclosed(tmp_path: Path, tcp_mem: str) -> Path:
    """A tree of 8 001 sockets with 8 192 pages of buffers, whose counter may be wrong by 2 048 pages."""
    return write_tree(copy_recording("6.1-4n", "halfclosed", tmp_path), {"proc/sys/net/ipv4/tcp_mem": f"{tcp_mem}\n"})


def test_pressure_is_certain_although_the_limit_is_nearly_full(tmp_path: Path, run: Run) -> None:
    tree = halfclosed(tmp_path, "10 20 84300")
    _, text = run("--root", str(tree), "--connections", "74K", "--buffers", "4K")
    assert "PRESSURE: tcp_mem would be above its second value" in " ".join(text.split())
    assert "PRESSURE is possible" not in text


def test_the_average_of_the_buffers_has_the_error_of_their_counter(tmp_path: Path, run_json: RunJson) -> None:
    """(max - mem) / ((mem ± error) / sockets)."""
    tree = halfclosed(tmp_path, "60000 80000 100000")
    row = limit(run_json("--root", str(tree), "--connections", "8001", "--buffers", "now"), "tcp_mem")
    pages = 4096
    assert (row["used"], row["used_error"]) == (8192 * pages, 0)
    assert (row["takes"], row["high_takes"]) == ((8192 - 2048) * pages, (8192 + 2048) * pages)
    least, most = (8001 * (100_000 - 8192) / mem for mem in (8192 + 2048, 8192 - 2048))
    assert (row["connections"], row["high_connections"]) == (pytest.approx(least, abs=1), pytest.approx(most, abs=1))


@pytest.mark.parametrize("has_available", [True, False])
def test_a_zone_whose_protection_is_not_certain_gives_no_exact_number(
    has_available: bool, tmp_path: Path, run_json: RunJson
) -> None:
    """Normal may be the second or the third of the four zones of this kernel; DMA32 withholds 0 or 1 427 pages."""
    root = copy_recording("6.1-1n", "established", tmp_path)
    path = root / "proc/zoneinfo"
    zones = re.split(r"(?m)^(?=Node)", path.read_text())
    kept = "".join(zone for zone in zones if re.match(r"Node 0, zone +(DMA32|Normal)\n", zone))
    if not has_available:
        meminfo = root / "proc/meminfo"
        meminfo.write_text(re.sub(r"(?m)^MemAvailable:.*\n", "", meminfo.read_text()))
    path.write_text(re.sub(r"protection: \((\d+, \d+, \d+, \d+), \d+\)", r"protection: (\1)", kept))
    for name in ("buddyinfo", "pagetypeinfo"):
        path = root / "proc" / name
        path.write_text(re.sub(r"(?m)^Node +0, zone +(DMA|Movable|Device)[ ,].*\n", "", path.read_text()))
    arguments = ("--root", str(root), "--connections")
    row = limit(run_json(*arguments, "1K"), "memory")
    assert row["used_error"] == (1427 * 4096 if has_available else None)
    assert row["high_connections"] > row["connections"] + 1000
    assert limit(run_json(*arguments, str(row["connections"])), "memory")["verdict"] == "fits"
    for more in (100, 500):
        assert limit(run_json(*arguments, str(row["connections"] + more)), "memory")["verdict"] == "unknown"


def test_a_look_is_named_below_the_verdict(run: Run, run_json: RunJson, tmp_path: Path) -> None:
    """A process, a listener and ports that only a look knows are named, with what is left of each."""
    root = str(tree_with_look(tmp_path, look_text(*WHOLE_MACHINE)))
    code, output = run("--connections", "900K", "--side", "mixed", "--root", root)
    assert code == 0
    head = " ".join(output.partition("\n\n")[0].split())
    stops = "nofile: hoarder[10] has 984 of 1 024 left; 900 000 more need above 900 040"
    full = "accept queue of :8080 hoarder[10], the fullest of 2 queues: 301 of 300, FULL"
    assert f"if in hoarder[10] {stops} {full} without data:" in head
    found = (
        "a look found: one new process needs nofile above 900 000; local ports to :8080 of any address: at most 300 of"
    )
    assert found in head
    assert output.count(full) == output.count(stops) == 1
    assert "not looked at" not in output
    assert output.count("a look found") == 1
    assert output.count("A look found") == 0
    with_room = run("--connections", "900", "--side", "client", "--root", root)[1]
    assert (
        "a look found: one new process needs nofile above 900; hoarder[10], the fullest of the processes with sockets,"
        " would need above 940 (it has 1 024, 984 left); local ports" in " ".join(with_room.split())
    )
    assert "nofile: hoarder" not in with_room
    remarks = run_json("--connections", "900K", "--root", root)["remarks"]
    assert any(text.startswith("A look found: one new process needs nofile above 900 000") for text in remarks)


@pytest.mark.parametrize(
    ("descriptors", "connections", "side", "words"),
    [
        (4_012, "300", "accepted", ", or nofile after 488, if in python[24815]"),
        (4_012, "4001", "accepted", ", or nofile after 488, if in python[24815]"),
        (4_012, "300", "proxy", ", or nofile after 244, if in python[24815]"),
        (4_500, "300", "accepted", ", or nofile at once, if in python[24815]"),
        (40, "300", "accepted", ""),
        (40, "4001", "accepted", ""),
        (40, "5000", "accepted", ", or nofile after 4 460, if in python[24815]"),
    ],
)
def test_the_verdict_says_where_the_fullest_process_stops(
    descriptors: int, connections: str, side: str, words: str, run: Run, tmp_path: Path
) -> None:
    """Its open files count beside the planned sockets: 4 100 would not do for 4 001 sockets in it."""
    lines = (net(), group("whole:24815"), process(24815, "python", descriptors=descriptors, limit=4_500))
    root = str(tree_with_look(tmp_path, look_text(*lines)))
    output = " ".join(run("--connections", connections, "--side", side, "--root", root)[1].split())
    sockets = int(connections) * (2 if side == "proxy" else 1)
    assert output.startswith("fits")
    assert ", or nofile " in output or not words
    needed, left = units.grouped(sockets + descriptors), units.grouped(4_500 - descriptors)
    stops = f" nofile: python[24815] has {left} of 4 500 left; {units.grouped(sockets)} more need above {needed}"
    below = f"{stops if words else ''} without data:"
    assert re.search(rf"first limit: [^,]+, after [\d ]+ to [\d ]+ connections{re.escape(f'{words}{below}')}", output)
    assert f"one new process needs nofile above {units.grouped(sockets)}" in output
    assert (f"would need above {needed} (it has 4 500, {left} left)" in output) == (not words)
    assert "it is not checked" not in output


def test_the_page_of_the_screen_names_a_look() -> None:
    """The screen's plan takes the look of the sample, as after W."""
    reading: Reading[Any] = Reading("ok", table_of(*WHOLE_MACHINE), None, 3.0, 12, 5.0, None, None)
    sample = snapshot("6.1-4n", "established")._replace(socket_table=reading)
    found = account(sample)
    page = plan_page(
        found, make_plan(sample, found, PlanRequest(1_000, "accepted", "ipv4", 0, 0, False, False, False)), 78
    )
    shown = " ".join(text_of(line) for line in page)
    assert "a look found: one new process needs nofile above" in shown
    assert "A look found" not in shown


@pytest.mark.parametrize(
    ("connections", "has_queue", "role"),
    [(1_000, False, "strong"), (1_023, False, "strong"), (1_024, False, "warning"), (1_000, True, "warning")],
)
def test_fits_is_a_warning_if_a_look_found_a_limit_to_raise(connections: int, has_queue: bool, role: str) -> None:
    """The limit on open files is 1 024 in the look, and one of its accept queues is full."""
    reading: Reading[Any] = Reading("ok", table_of(*WHOLE_MACHINE), None, 3.0, 12, 5.0, None, None)
    sample = snapshot("6.1-4n", "established")._replace(socket_table=reading)
    found = account(sample)
    side: Side = "accepted" if has_queue else "outgoing"
    made = make_plan(sample, found, PlanRequest(connections, side, "ipv4", 0, 0, False, False, False))
    assert made.verdict == "fits"
    first_line = [piece for piece in plan_page(found, made, 78)[0] if piece[0]]
    assert first_line[0][0].startswith("fits")
    assert first_line[0][1] == role
    stops = [
        line[0] for line in plan_page(found, made, 78) if text_of(line).startswith(("nofile: ", "accept queue of"))
    ]
    assert {each for _, each in stops} == {"warning"}
    assert {each for _, each in first_line[1:]} <= {"strong"}


def test_a_plan_without_a_look_says_what_it_leaves_out(run: Run, run_json: RunJson) -> None:
    for side, names in (("server", "nofile and accept queues"), ("mixed", "nofile, accept queues and ports")):
        arguments = ("--connections", "1000", "--side", side, "--root", TREE)
        output = run(*arguments)[1]
        unlooked = f"{names} were not looked at, may come first"
        assert output.partition("without data: tcp_mem")[0].splitlines()[-1] == unlooked
        assert output.count("look") == 1
        assert (
            f"{unlooked}: only a look at the sockets tells (this saved tree has no list of them; tcptop record --who"
            " keeps one)." in run_json(*arguments)["remarks"]
        )


def test_a_plan_of_this_machine_says_how_to_look(run: Run) -> None:
    output = run("--connections", "2", "--side", "mixed")[1]
    line = "nofile, accept queues and ports were not looked at, may come first: --who"
    assert line in output.partition("\n\n")[0].splitlines()
    assert output.count("look") == 1


def test_a_process_without_files_left_stands_right_below_a_verdict_that_cannot_be_said(
    run: Run, tmp_path: Path
) -> None:
    lines = (net(), group("whole:24815"), process(24815, "python", descriptors=4_300, limit=4_500))
    root = tree_with_look(tmp_path, look_text(*lines))
    (root / "proc/sys/net/ipv4/tcp_mem").unlink()
    code, output = run("--connections", "5001", "--buffers", "4K", "--root", str(root))
    assert code == 2
    head = " ".join(output.partition("\n\n")[0].split())
    assert re.match(r"cannot say: tcp_mem: .* nofile: python\[24815\] has 200 of 4 500 left; 5 001 more need", head)
    assert head.index("nofile: python") < head.index("not counted: nofile ") < head.index("a look found")


def test_who_goes_without_a_recording() -> None:
    with pytest.raises(TcptopError, match="-r goes without --who"):
        plan.run(["--connections", "1", "--who", "-r", "FILE"])


@pytest.mark.parametrize(
    ("text_", "connections", "words"),
    [
        (None, "20000", "it is not checked. "),
        ("1048576\n", "20000", "fs.nr_open, the most that it can be, is 1 048 576, enough for the sockets."),
        ("20000\n", "20000", "fs.nr_open, the most that it can be, is 20 000, too small: raise it first."),
        (None, "1048576", "fs.nr_open, the most that it can be, is not known; its default, 1 048 576, is too small."),
        (
            "many\n",
            "1048576",
            "fs.nr_open, the most that it can be, is not known; its default, 1 048 576, is too small.",
        ),
        ("2000000\n", "1048576", "fs.nr_open, the most that it can be, is 2 000 000, enough for the sockets."),
    ],
)
def test_the_largest_limit_of_a_process_is_read(
    root: Path, run: Run, text_: str | None, connections: str, words: str
) -> None:
    if text_ is not None:
        write_tree(root, {"proc/sys/fs/nr_open": text_})
    output = " ".join(run("--root", str(root), "--connections", connections)[1].split())
    assert words in output
    assert ("fs.nr_open" in words) == ("fs.nr_open" in output)
    assert ("too small" in words) == (" one process: at most " in output)


@pytest.mark.parametrize(
    ("text_", "connections", "line"),
    [
        ("20000\n", ("20000",), "one process: at most 20 000 files (fs.nr_open)"),
        ("20000\n", ("10000", "--side", "proxy"), "one process: at most 20 000 files (fs.nr_open)"),
        (None, ("1048576",), "one process: at most 1 048 576 files by default (fs.nr_open is not known)"),
    ],
)
def test_the_most_files_of_a_process_stand_below_the_verdict(
    root: Path, run: Run, text_: str | None, connections: tuple[str, ...], line: str
) -> None:
    if text_ is not None:
        write_tree(root, {"proc/sys/fs/nr_open": text_})
    output = run("--root", str(root), "--connections", *connections)[1]
    assert line in output.partition("\n\n")[0].splitlines()


def test_a_plan_that_fits_names_the_limits_that_would_be_near(run: Run, run_json: RunJson) -> None:
    arguments = ("--root", str(tree("6.1-4n", "established")), "--connections")
    most = limit(run_json(*arguments, "1K"), "memory")["connections"]
    code, text = run(*arguments, str(most * 9 // 10))
    [share] = re.findall(r"(?m)^ memory .*? ((?:\d\d to )?\d\d %) .* NEAR$", text)
    assert code == 0
    assert " ".join(text.split()).startswith(f"fits, without data; memory would be NEAR ({share}): 1 ")
    assert "would be" not in run(*arguments, "1K")[1].partition(":")[0]


def test_the_row_of_one_process_says_what_is_left_in_it(tmp_path: Path, run: Run) -> None:
    look = look_text(net(), group("whole:10"), process(10, "web", descriptors=96, limit=100))
    root = tree_with_look(tmp_path, look)
    _, text = run("--connections", "10", "--root", str(root))
    [row] = [line for line in text.splitlines() if line.strip().startswith("nofile ") and " of " not in line]
    assert " 4 left " in row


@pytest.mark.parametrize("kernel", ["6.12-4n", "5.10-4n", "7.3-4n", "6.1-8n"])
@pytest.mark.parametrize("number", ["100K", "1M", "30M"])
def test_each_row_of_the_tables_of_a_plan_is_one_line(kernel: str, number: str, run: Run) -> None:
    """With average buffers the ranges are wide: names or alarms went to lines of their own."""
    root = str(tree(kernel, "halfclosed"))
    arguments = ("--root", root, "--connections", number, "--buffers", "now")
    lines = run(*arguments)[1].splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert not [line for line in lines if re.match(r" {5}(FULL|MAY BE FULL|JUST FITS|NEAR|PRESSURE)$", line)]
    assert re.search(r"^ TAKES +CACHE +COUNT +EACH +BYTES$", "\n".join(lines), re.MULTILINE)
    [row] = [line for line in lines if line.startswith(" tcp_sock ")]
    assert len(row.split()) > 4
    names = [line for line in lines if re.match(r" (buffers|total) ", line)]
    assert all(re.search(r"\d [KMGT]iB$", line) for line in names)
    assert len(names) == 2
