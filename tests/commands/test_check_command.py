"""`tcptop check`: the line is parsed by the guidelines' grammar, and the states are compared with figures of the
files.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import forked_program
import pytest
from made_look import group, listen, look_text, net, process, table_of, tree_with_look
from plugin_output import Output, parse_output
from recorded import RECORDINGS, copy_recording, counters, release_files, snapshot, text, tree, write_tree
from samples import STARTED_UNIX_S, phase_trees, record
from slow_case import slow

from tcptop.accounting import account
from tcptop.accounting.checks import CHECK_NAMES, SocketGrowth, run_checks
from tcptop.accounting.growth import MIN_SAMPLES
from tcptop.commands import check
from tcptop.kernel.limits import THRESHOLDS
from tcptop.report.as_text import as_text
from tcptop.snapshot import Reading
from tcptop.snapshot.socket_table import SocketTable

PROJECT = Path(__file__).resolve().parents[2]
TREE = str(PROJECT / "tests/recordings/6.1-4n/established")
GUARD_S = 60
"""Timeout that ends a failed test; no time is asserted."""
NEGATE = next(
    (
        path
        for path in ("/usr/lib/nagios/plugins/negate", "/usr/lib64/nagios/plugins/negate")
        if os.access(path, os.X_OK)
    ),
    None,
)

Run = Callable[..., Output]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the check without a settings file; the exit code must be that of the state, and standard error empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no settings"))

    def run_check(*arguments: str, error: str = "") -> Output:
        code = check.run(arguments)
        printed = capsys.readouterr()
        found = parse_output(printed.out)
        assert code == found.exit_code, printed.out
        assert (error in printed.err) if error else (printed.err == "")
        return found

    return run_check


def edited(root: Path, files: Mapping[str, str | None]) -> str:
    """Replaces files of a tree, or removes them; returns the tree's path."""
    write_tree(root, {path: content for path, content in files.items() if content is not None})
    for path, content in files.items():
        if content is None:
            (root / path).unlink(missing_ok=True)
    return str(root)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_recording("6.1-4n", "established", tmp_path)


NEED_A_LOOK = ("ports", "nofile", "listen_queues")
QUICK = ("6.1-4n", "6.12-arm64-16k-4n")
"""Kernels whose recordings the quick run takes."""


@pytest.mark.parametrize("kernel", [kernel if kernel in QUICK else slow(kernel) for kernel in RECORDINGS])
def test_every_recording_is_ok_and_its_figures_are_those_of_the_files(kernel: str, run: Run) -> None:
    for phase in RECORDINGS[kernel]:
        found = run("--root", str(tree(kernel, phase)))
        assert found.state == "OK", phase
        meminfo = dict(line.split()[:2] for line in text(kernel, phase, "proc/meminfo").splitlines() if "kB" in line)
        total, available = int(meminfo["MemTotal:"]), int(meminfo["MemAvailable:"])
        cma = 0
        for pages in re.findall(r"nr_free_cma +(\d+)", text(kernel, "established", "proc/zoneinfo")):
            cma += int(pages) * (16 if "16k" in kernel else 4)
        if cma > 0.01 * total:
            total, available = total - cma, available - cma
        memory = found.data["memory"]
        assert memory.value == pytest.approx(100 * (total - available) / total, abs=0.011)
        assert (memory.unit, memory.warn, memory.critical, memory.minimum, memory.maximum) == ("%", "90", "97", 0, 100)
        limit = tree(kernel, phase) / "proc/sys/net/ipv4/tcp_max_orphans"
        if limit.exists():
            share = 100 * counters(kernel, phase)["orphan"] / int(limit.read_text())
            assert found.data["tcp_max_orphans"].value == pytest.approx(share, abs=0.011)
        assert not found.data.keys() & {"ports", "nofile", "listen_queues", "idle", "growth", "bytes_per_connection"}


SOCKSTAT = "sockets: used 9\nTCP: inuse 16001 orphan {orphans} tw {tw} alloc 20000 mem {mem}\n"
TCP_MEM_MAX = int(text("6.1-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()[2])


def sockstat(orphans: int = 0, tw: int = 0, mem: int = 0) -> dict[str, str | None]:
    protocols = {"proc/net/protocols": None} if mem else {}  # it shows the buffers, too
    return {"proc/net/sockstat": SOCKSTAT.format(orphans=orphans, tw=tw, mem=mem), **protocols}


def open_files(count: int) -> dict[str, str | None]:
    """Sets the number of open files, and removes the cache of struct file."""
    return {"proc/sys/fs/file-nr": f"{count}\t0\t100000\n", "proc/slabinfo": None}


def conntrack(count: int) -> dict[str, str]:
    folder = "proc/sys/net/netfilter"
    return {f"{folder}/nf_conntrack_count": f"{count}\n", f"{folder}/nf_conntrack_max": "1000\n"}


def pressure(root: Path) -> dict[str, str]:
    lines = (root / "proc/net/protocols").read_text().splitlines(keepends=True)
    return {
        "proc/net/protocols": "".join(
            line.replace(" no ", " yes ", 1) if line.startswith(("TCP ", "TCPv6 ")) else line for line in lines
        )
    }


@pytest.mark.parametrize(
    ("files", "name", "state", "percent"),
    [
        (conntrack(799), "nf_conntrack_max", "OK", 79.9),
        (conntrack(800), "nf_conntrack_max", "WARNING", 80),
        (conntrack(949), "nf_conntrack_max", "WARNING", 94.9),
        (conntrack(950), "nf_conntrack_max", "CRITICAL", 95),
        (conntrack(1000), "nf_conntrack_max", "CRITICAL", 100),
        (conntrack(1100), "nf_conntrack_max", "CRITICAL", 110),
        (open_files(79743), "file_max", "OK", 79.74),
        (open_files(80256), "file_max", "WARNING", 80.25),
        (open_files(94999), "file_max", "WARNING", 94.99),
        (open_files(99999), "file_max", "CRITICAL", 99.99),
        ({**sockstat(orphans=250), "proc/sys/net/ipv4/tcp_max_orphans": "1000\n"}, "tcp_max_orphans", "WARNING", 25),
        ({**sockstat(orphans=500), "proc/sys/net/ipv4/tcp_max_orphans": "1000\n"}, "tcp_max_orphans", "CRITICAL", 50),
        ({**sockstat(tw=960), "proc/sys/net/ipv4/tcp_max_tw_buckets": "1000\n"}, "tcp_max_tw_buckets", "WARNING", 96),
        (sockstat(mem=TCP_MEM_MAX), "tcp_mem", "CRITICAL", 100),
        (sockstat(mem=TCP_MEM_MAX * 9 // 10), "tcp_mem", "WARNING", 90),
        ({"proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 100 kB\n"}, "memory", "WARNING", 90),
        ({"proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 30 kB\n"}, "memory", "CRITICAL", 97),
    ],
)
def test_the_states_of_limits(
    root: Path, run: Run, files: dict[str, str | None], name: str, state: str, percent: float
) -> None:
    found = run("--root", edited(root, files))
    assert found.state == state
    assert found.data[name].value == pytest.approx(percent, abs=0.011)
    assert (found.data[name].value or 0.0) <= percent + 1e-9  # rounded down
    alone = run("--root", str(root), name)
    assert (alone.state, list(alone.data)) == (state, [name])
    if state != "OK":
        assert found.text.startswith(f"{'file-max' if name == 'file_max' else name} ")


def test_the_limit_of_mini_sockets_is_critical_only_if_the_user_says_so(root: Path, run: Run) -> None:
    """It stops no new socket."""
    tree_ = edited(root, {**sockstat(tw=1000), "proc/sys/net/ipv4/tcp_max_tw_buckets": "1000\n"})
    assert run("--root", tree_).state == "WARNING"
    assert run("--root", tree_, "--critical", "tcp_max_tw_buckets=95").state == "CRITICAL"


def test_the_line_counts_the_listen_overflows_since_boot(root: Path, run: Run) -> None:
    netstat = "TcpExt: ListenOverflows ListenDrops\nTcpExt: 451 451\n"
    tree_ = edited(root, {"proc/net/netstat": netstat})
    assert "; 451 listen overflows since this netns began" in run("--root", tree_).text
    assert "overflows" not in run("--root", tree_, "memory").text


def test_pressure_is_a_warning_whatever_the_ranges_are(root: Path, run: Run) -> None:
    tree_ = edited(root, pressure(root))
    found = run("--root", tree_)
    assert found.state == "WARNING"
    assert found.text.startswith("tcp_mem ")
    assert "pressure" in found.text
    assert run("--root", tree_, "--warn", "tcp_mem=99").state == "WARNING"
    assert run("--root", tree_, "--critical", "tcp_mem=@0:100").state == "CRITICAL"


def test_pressure_is_told_where_tcp_mem_is_not_visible(root: Path, run: Run) -> None:
    found = run("--root", edited(root, {**pressure(root), "proc/sys/net/ipv4/tcp_mem": None}))
    assert (found.state, found.data["tcp_mem"].value) == ("WARNING", None)
    assert "not visible from this network namespace" in found.text


def test_a_range_is_not_violated_for_certain_if_the_error_is_unknown(root: Path, run: Run) -> None:
    """Without the number of CPUs, the error of file-nr is unknown."""
    shutil.rmtree(root / "sys/devices/system/cpu")
    edited(root, {**open_files(96_000), "proc/sys/fs/file-max": "100000\n", "proc/zoneinfo": None})
    for ranges in (("--critical", "file_max=90"), ("--warn", "file_max=90"), ("--warn", "file_max=99", "file_max")):
        found = run("--root", str(root), *ranges)
        assert found.state == "UNKNOWN"
        assert "its error is not known" in found.text
    assert run("--root", str(root), "--critical", "file_max=0:", "--warn", "file_max=0:").state == "OK", "any value"


def few_files(count: int) -> dict[str, str | None]:
    """Open files below a file-max of 1 000; each of the 8 CPUs may have 32 files that file-nr does not count (6.1)."""
    return {"proc/sys/fs/file-nr": f"{count}\t0\t1000\n", "proc/sys/fs/file-max": "1000\n"}


def test_an_error_across_a_threshold_is_unknown_if_asked_and_no_alarm_else(root: Path, run: Run) -> None:
    tree_ = edited(root, few_files(850))
    assert run("--root", tree_).state == "OK"
    found = run("--root", tree_, "file_max")
    assert (found.state, found.data["file_max"].value) == ("UNKNOWN", 85)
    assert "error" in found.text
    assert run("--root", tree_, "--warn", "file_max=10").state == "WARNING"
    assert run("--root", tree_, "--warn", "file_max=70").state == "UNKNOWN"


@pytest.mark.parametrize(
    ("mem", "state", "value"),
    [(3000, "OK", 75), (3199, "OK", 79.97), (3200, "WARNING", 80), (3800, "CRITICAL", 95), (4001, "CRITICAL", 100.02)],
)
def test_the_use_of_tcp_mem_is_exact(root: Path, run: Run, mem: int, state: str, value: float) -> None:
    """The kernel compares the counter that sockstat prints, without the reserves of 256 pages of each of 8 CPUs."""
    tree_ = edited(root, {**sockstat(mem=mem), "proc/sys/net/ipv4/tcp_mem": "1000 5000 4000\n"})
    for arguments in ((), ("tcp_mem",), ("--warn", "tcp_mem=@80:94.99", "--critical", "tcp_mem=94.99")):
        found = run("--root", tree_, *arguments)
        assert (found.state, found.data["tcp_mem"].value) == (state, value)
        assert "error" not in found.text.partition("not checked")[0]
    done = forked_program.run("check", "--json", "--root", tree_, "tcp_mem")
    [check] = json.loads(done.stdout)["checks"]
    assert (check["low"], check["value"]) == (value, value)
    assert value <= check["high"] <= value + 0.01
    shutil.rmtree(root / "sys/devices/system/cpu")
    edited(root, {"proc/zoneinfo": None})
    assert run("--root", tree_, "tcp_mem").state == state, "the error of the average is of no account here"


@pytest.mark.parametrize("arguments", [("file_max",), ("--warn", "file_max=80")])
def test_a_threshold_within_the_error_is_as_unknown_as_an_edge_of_a_range(
    arguments: tuple[str, ...], root: Path, run: Run
) -> None:
    """75 % with an error of 25.6 % may be more than 80 %, and more than 95 %."""
    tree_ = edited(root, few_files(750))
    found = run("--root", tree_, *arguments)
    assert found.state == "UNKNOWN"
    assert "its error reaches across a threshold" in found.text
    assert run("--root", tree_).state == "OK"


# Names and ranges


@pytest.mark.parametrize(
    ("arguments", "state", "names"),
    [
        (["--warn", "memory=5"], "WARNING", None),
        (["--critical", "memory=5"], "CRITICAL", None),
        (["--warn", "memory=5", "--critical", "memory=6"], "CRITICAL", None),
        (["--warn", "memory=~:5", "--critical", "memory=6:"], "WARNING", None),
        (["--warn", "memory=7", "memory"], "OK", ["memory"]),
        (["--warn", "memory=@6:7", "file_max"], "WARNING", ["memory", "file_max"]),
        (["--warn", "memory=1", "--critical", "file_max=0"], "CRITICAL", None),
        (["memory", "file_max", "memory"], "OK", ["memory", "file_max"]),
        (["ports"], "UNKNOWN", ["ports"]),
        (["nofile", "--warn", "memory=1"], "WARNING", ["memory", "nofile"]),
        (["nofile", "memory"], "UNKNOWN", ["nofile", "memory"]),
        (["growth"], "UNKNOWN", ["growth"]),
        (["idle", "bytes_per_connection"], "OK", ["idle", "bytes_per_connection"]),
        (["--warn", "idle=1"], "WARNING", None),
        (["--warn", "bytes_per_connection=3000", "--critical", "bytes_per_connection=3500"], "CRITICAL", None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_names_and_ranges(run: Run, arguments: list[str], state: str, names: list[str] | None) -> None:
    found = run("--root", TREE, *arguments)
    assert found.state == state
    if names is not None:
        assert list(found.data) == names


def test_ranges_are_printed_as_given_and_the_values_have_the_documented_units(run: Run) -> None:
    found = run("--root", TREE, "--warn", "idle=@10:20", "--critical", "idle=~:1000000", "idle", "bytes_per_connection")
    assert found.data["idle"][1:] == ("B", "@10:20", "~:1000000", 0, None)
    assert found.data["bytes_per_connection"][1:] == ("B", "", "", 0, None)
    ledger = json.loads(
        subprocess.run(
            [sys.executable, "-m", "tcptop", "--json", "--root", TREE], capture_output=True, cwd=PROJECT
        ).stdout
    )
    assert found.data["idle"].value == ledger["slab_memory"]["idle_bytes"]
    now = ledger["bytes_per_connection"]["full"]["now_bytes"]
    assert found.data["bytes_per_connection"].value == pytest.approx(now, abs=0.011)


WRONG_CALLS = [
    (["--nope"], "--nope"),
    (["nope"], "'nope'"),
    (["--warn", "memory"], "NAME=RANGE"),
    (["--warn", "nope=1"], "'nope'"),
    (["--warn", "memory=x"], "'x'"),
    (["--warn", "memory=20:10"], "'20:10'"),
    (["--warn", "memory="], "''"),
    (["--critical", "memory=1", "--critical", "memory=2"], "twice"),
    (["--warn"], "--warn"),
    (["--war", "memory=1"], "--war"),
    (["-d", "0", "growth"], "'0'"),
    (["--at", "+5m"], "-r FILE"),
    (["-r", TREE, "--root", TREE], "-r"),
    (["--cgroup", "../../etc"], "../../etc"),
    (["--cgroup", ""], "cgroup"),
    (["--root", "/nonexistent"], "/nonexistent"),
    (["-r", "/nonexistent"], "/nonexistent"),
    (["memory|x\ny\x1b[2J"], "memory/x"),
    (["--root", "/nonexistent|\n\x1b[2J'=;"], "/nonexistent/"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG_CALLS, ids=lambda value: repr(value)[:40])
def test_a_wrong_call_is_unknown(run: Run, arguments: list[str], words: str) -> None:
    found = run(*arguments)
    assert (found.state, found.data) == ("UNKNOWN", {})
    assert words in found.text


def test_a_tree_without_files_is_unknown(tmp_path: Path, run: Run) -> None:
    found = run("--root", str(write_tree(tmp_path / "empty", {})))
    assert (found.state, found.data) == ("UNKNOWN", {})


@pytest.mark.parametrize(
    ("files", "name", "state"),
    [
        ({"proc/meminfo": None}, "memory", "UNKNOWN"),
        ({"proc/sys/net/ipv4/tcp_mem": None}, "tcp_mem", "UNKNOWN"),
        ({"proc/sys/net/ipv4/tcp_max_orphans": None}, "tcp_max_orphans", "UNKNOWN"),
        ({"proc/slabinfo": None}, "idle", "UNKNOWN"),
        ({}, "nf_conntrack_max", "UNKNOWN"),
        ({"proc/sys/net/netfilter/nf_conntrack_max": "0\n"}, "nf_conntrack_max", "OK"),
        ({"proc/sys/fs/file-nr": "21200\t0\t9223372036854775807\n"}, "file_max", "OK"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_an_asked_figure_that_is_not_known(
    root: Path, run: Run, files: dict[str, str | None], name: str, state: str
) -> None:
    tree_ = edited(root, files)
    found = run("--root", tree_, name)
    assert (found.state, found.data[name].value) == (state, None)
    assert ("no limit" in found.text) == (state == "OK")
    assert run("--root", tree_).state == "OK"


# Settings


def write_settings(folder: Path, content: str) -> None:
    (folder / "tcptop").mkdir(parents=True)
    (folder / "tcptop/config.toml").write_text(content)


def test_thresholds_of_the_settings_file_decide_and_mistakes_are_named(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_settings(tmp_path / "config", "[limits.memory]\nwarn = 5\ncritical = 50.5\n[limits.nope]\nwarn = 3\n")
    found = run("--root", TREE, error="limits.nope")
    assert found.state == "WARNING"
    assert found.data["memory"][2:4] == ("5", "50.5")
    assert run("--root", TREE, "--warn", "memory=60", error="limits.nope").state == "OK"


def test_thresholds_are_printed_without_exponents(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    write_settings(tmp_path / "config", "[limits.memory]\nwarn = 0.00001\ncritical = 97.3456789\n")
    found = run("--root", TREE)
    assert found.data["memory"][2:4] == ("0.00001", "97.3456789")
    assert "warning from 0.00001 %" in found.text


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("option", ["-o", "--json"])
@pytest.mark.parametrize("source", ["--root", "-r"])
def test_reports_use_the_thresholds_too(tmp_path: Path, option: str, source: str) -> None:
    write_settings(tmp_path, "[limits.memory]\nwarn = 5\n[limits.nope]\n")
    ran = subprocess.run(
        [sys.executable, "-m", "tcptop", option, source, TREE],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
        timeout=GUARD_S,
    )
    assert ran.stderr.count("\n") == 1
    assert "limits.nope" in ran.stderr
    if option == "--json":
        [memory] = [limit for limit in json.loads(ran.stdout)["limits"] if limit["name"] == "memory"]
        assert (memory["warn_percent"], memory["critical_percent"], memory["state"]) == (
            5,
            THRESHOLDS["memory"].critical,
            "near",
        )
    else:
        [line] = [line for line in ran.stdout.splitlines() if line.startswith("  memory ")]
        assert " NEAR " in line
        assert " 5/97 " in line


# Recordings and growth


def test_an_event_that_grew_is_the_reason_of_an_alarm(tmp_path: Path, run: Run) -> None:
    names = "ListenOverflows TCPTimeWaitOverflow"
    roots = [copy_recording("6.1-4n", "established", tmp_path / part) for part in ("a", "b")]
    for root, counts in zip(roots, ("100 5", "150 9"), strict=True):
        write_tree(root, {"proc/net/netstat": f"TcpExt: {names}\nTcpExt: {counts}\n"})
    record(tmp_path / "grown", roots, 2)
    path = str(tmp_path / "grown")
    for arguments in ((), ("--critical", "tcp_max_tw_buckets=50", "--warn", "listen_queues=50")):
        found = run("-r", path, *arguments)
        assert found.state == "WARNING"
        assert "TCPTimeWaitOverflow grew by 4)" in found.text
        assert "critical from" not in found.text
        assert "accept queues (ListenOverflows grew by 50; " in found.text
    assert run("-r", path, "listen_queues").state == "WARNING"
    assert run("-r", path, "--at", "+0.1").state == "OK"


def write_socket_count(root: Path, allocated: int) -> None:
    """Gives a tree another number of sockets, without the files that would contradict it."""
    for name in ("net/protocols", "slabinfo"):
        (root / "proc" / name).unlink()
    write_tree(root, {"proc/net/sockstat": f"TCP: inuse {allocated} orphan 0 tw 0 alloc {allocated} mem 0\n"})


def test_growth_of_a_recording(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "two.tcptop"
    record(path, phase_trees("6.1-4n")[:2], 2)
    first, second = (counters("6.1-4n", phase)["alloc"] for phase in RECORDINGS["6.1-4n"][:2])
    found = run("-r", str(path), "growth")
    assert found.data["growth"].value == pytest.approx(second - first, rel=1e-3)
    assert (found.data["growth"].unit, found.state) == ("", "OK")
    assert run("-r", str(path), "--warn", "growth=100").state == "WARNING"
    alone = run("-r", str(path), "--at", "+0.1", "growth")
    assert (alone.state, "two samples" in alone.text) == ("UNKNOWN", True)


def test_growth_is_that_of_the_last_half_minute(tmp_path: Path, run: Run) -> None:
    """After a burst, which would turn the slope of all samples round, there are 5 more sockets each second."""
    alloc = [*(3_000,) * 20, *(300 + 5 * second for second in range(50))]
    roots = []
    for number, count in enumerate(alloc):
        root = copy_recording("6.1-4n", "base", tmp_path / str(number))
        write_socket_count(root, count)
        roots.append(root)
    path = tmp_path / "burst.tcptop"
    record(path, roots, len(roots))
    assert run("-r", str(path), "growth").data["growth"].value == pytest.approx(5, abs=0.02)
    fall = run("-r", str(path), "--at", "+25s", "growth").data["growth"].value
    assert fall == pytest.approx((alloc[25] - 3_000) / 25, rel=1e-2)


def test_growth_leaves_out_a_count_that_contradicts_its_sample(tmp_path: Path, run: Run) -> None:
    """In one sample of ten, sockstat has more sockets than the slabs of TCP have objects."""
    roots = []
    for number in range(10):
        root = copy_recording("6.1-4n", "established", tmp_path / str(number))
        if number == 6:
            write_tree(root, {"proc/net/sockstat": "TCP: inuse 80010000 orphan 0 tw 0 alloc 80010000 mem 0\n"})
        roots.append(root)
    path = tmp_path / "damaged.tcptop"
    record(path, roots, 10)
    assert run("-r", str(path), "growth").data["growth"].value == 0
    assert run("-r", str(path), "--at", "+6s", "growth").state == "UNKNOWN"


@pytest.mark.parametrize("set_s", [-1.0, 30.0, 120.0])
def test_growth_does_not_depend_on_a_clock_that_is_set(tmp_path: Path, run: Run, set_s: float) -> None:
    roots = []
    for number in range(2 * MIN_SAMPLES):
        root = copy_recording("6.1-4n", "base", tmp_path / str(number))
        write_socket_count(root, 1000 + 50 * number)
        roots.append(root)
    path = tmp_path / "set.tcptop"
    record(path, roots, len(roots), clock_set_s={MIN_SAMPLES: set_s})
    assert run("-r", str(path), "growth").data["growth"].value == pytest.approx(50, rel=1e-3)


@pytest.mark.slow
def test_growth_begins_again_where_a_recording_goes_on_after_a_boot(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first boot there are 16 000 sockets. In the second boot there are 100 sockets, and 50 more each second."""
    path = tmp_path / "two.tcptop"
    for turn, release in enumerate(("6.1.0-56-amd64", "6.1.0-57-amd64")):
        roots = []
        for number in range(MIN_SAMPLES):
            root = copy_recording("6.1-4n", "base", tmp_path / f"{turn} {number}")
            alloc = 100 + 50 * number if turn else 16_000
            write_socket_count(root, alloc)
            write_tree(root, release_files(release))
            roots.append(root)
        monkeypatch.setattr("samples.STARTED_UNIX_S", STARTED_UNIX_S + 60 * turn)
        record(path, roots, MIN_SAMPLES)
    assert run("-r", str(path), "growth").data["growth"].value == pytest.approx(50, rel=1e-3)
    first = run("-r", str(path), "--at", "+60s", "growth")
    assert (first.state, "two machines" in first.text) == ("UNKNOWN", True)


def test_growth_of_this_machine_and_no_second_sample_without_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("tcptop.commands.check.time.sleep", slept.append)
    assert run("memory").state in ("OK", "WARNING", "CRITICAL")
    assert slept == []
    assert run("growth", "-d", "0.5").data["growth"].value is not None
    assert slept == [0.5]


def test_a_recording_has_the_figures_of_its_tree(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "one.tcptop"
    record(path, phase_trees("6.1-4n")[:1], 1)
    assert run("-r", str(path)).data == run("--root", str(phase_trees("6.1-4n")[0])).data


# Memory cgroups

CGROUP = {
    "sys/fs/cgroup/web.slice/memory.max": "100000000\n",
    "sys/fs/cgroup/web.slice/memory.current": "95000000\n",
    "sys/fs/cgroup/web.slice/memory.stat": "anon 5\nactive_file 1000000\ninactive_file 2000000\nsock 4096\n",
}


@pytest.mark.parametrize("maximum", [0, 300_000_000, 320_000_000])
def test_exactly_0_fit_below_a_cgroup_limit_that_is_surely_reached(root: Path, maximum: int) -> None:
    path = edited(root, level("a", str(maximum), "320000000"))
    arguments = ("--root", path, "--cgroup", "a")
    report = json.loads(forked_program.run("--json", *arguments).stdout)
    [row] = [row for row in report["limits"] if row["name"] == "memory_cgroup"]
    assert (row["headroom_sockets"], row["headroom_is_at_least"]) == (0, False)
    assert "at least so many" not in row["note"]
    plan = ("plan", *arguments, "--connections", "1000")
    [row] = [
        row
        for row in json.loads(forked_program.run(*plan, "--json").stdout)["limits"]
        if row["name"] == "memory_cgroup"
    ]
    assert (row["connections"], row["connections_are_at_least"], row["connections_are_at_most"]) == (0, False, False)
    assert "after at least 0" not in " ".join(forked_program.run(*plan).stdout.split())


def test_the_upper_bound_in_json_is_rounded_up(root: Path) -> None:
    path = edited(root, {"proc/sys/fs/file-nr": "1234\t0\t99999\n", "proc/sys/fs/file-max": "99999\n"})
    [check] = json.loads(forked_program.run("check", "--json", "--root", path, "file_max").stdout)["checks"]
    assert (check["low"], check["value"], check["high"]) == (0.97, 1.23, 1.5)


@pytest.mark.parametrize("path", ["web.slice", "/sys/fs/cgroup/web.slice", "/web.slice/", "./web.slice"])
def test_a_memory_cgroup_is_one_more_limit(root: Path, run: Run, path: str) -> None:
    found = run("--root", edited(root, CGROUP), "--cgroup", path)
    assert (found.state, found.data["memory_cgroup"].value) == ("WARNING", 92)
    assert found.text.startswith("memory_cgroup 92.0 % (87.7 MiB of 95.4 MiB")


@pytest.mark.parametrize(
    ("files", "state", "words"),
    [
        ({"memory.current": "99000000\n", "memory.stat": ""}, "UNKNOWN", "<= 99.0 %"),
        ({"memory.max": "max\n"}, "OK", "no limit"),
        ({"memory.max": None}, "UNKNOWN", "memory.max"),
        ({"memory.current": None}, "UNKNOWN", "memory.current"),
        ({"memory.max": "x\n"}, "UNKNOWN", "unknown format"),
        ({"memory.max": "-1\n"}, "UNKNOWN", "unknown format"),
    ],
    ids=str,
)
def test_the_files_of_a_memory_cgroup(
    root: Path, run: Run, files: dict[str, str | None], state: str, words: str
) -> None:
    changed = {f"sys/fs/cgroup/web.slice/{name}": content for name, content in files.items()}
    found = run("--root", edited(root, {**CGROUP, **changed}), "--cgroup", "web.slice")
    assert found.state == state
    assert words in found.text


def level(folder: str, maximum: str, current: str) -> dict[str, str | None]:
    folder = f"sys/fs/cgroup/{folder}".rstrip("/")
    return {
        f"{folder}/memory.max": f"{maximum}\n",
        f"{folder}/memory.current": f"{current}\n",
        f"{folder}/memory.stat": "active_file 0\ninactive_file 0\nslab_reclaimable 0\n",
    }


@pytest.mark.parametrize(
    ("files", "state", "words"),
    [
        (level("a", "100000000", "98000000"), "CRITICAL", "memory_cgroup 98.0 % (93.5 MiB of 95.4 MiB"),
        (level("a/web", "max", "1"), "CRITICAL", "memory_cgroup 98.0 %"),
        (level("a", "400000000", "98000000"), "WARNING", "memory_cgroup 92.0 %"),
        (level("a", "max", "98000000"), "WARNING", "memory_cgroup 92.0 %"),
        (level("a", "max", "98000000") | level("a/web", "max", "1"), "OK", "no limit: neither it nor a cgroup above"),
        (level("a", "max", "98000000") | level("a/web", "max", "1") | level("", "max", "1"), "OK", "above /sys/fs/"),
        (level("", "100000000", "97500000") | level("a", "max", "1"), "CRITICAL", "memory_cgroup 97.5 %"),
        ({"sys/fs/cgroup/a/memory.max": None}, "WARNING", "there is no /sys/fs/cgroup/a/memory.max here"),
        ({"sys/fs/cgroup/a/memory.current": None}, "WARNING", "there is no /sys/fs/cgroup/a/memory.current here"),
    ],
)
def test_the_limit_of_a_cgroup_above_counts_too(
    root: Path, run: Run, files: dict[str, str | None], state: str, words: str
) -> None:
    files = level("a", "100000000", "98000000") | level("a/web", "100000000", "92000000") | files
    path = edited(root, files)
    found = run("--root", path, "--cgroup", "a/web", "memory_cgroup")
    assert found.state == state, found.text
    assert words in found.text
    [row] = [row for row in json.loads(report_of(path))["limits"] if row["name"] == "memory_cgroup"]
    assert ("the limit of a above it" in row["note"]) == ("98.0 %" in words)
    assert ("the limit of /sys/fs/cgroup above it" in row["note"]) == ("97.5 %" in words)
    assert row["limit_is_at_most"] == ("there is no" in words)


@pytest.mark.parametrize(("maximum", "is_known"), [("max", True), (None, False)])
def test_a_cgroup_without_a_limit_is_no_limit_that_is_not_known(
    root: Path, maximum: str | None, is_known: bool
) -> None:
    """A report called what fits a number `without memory_cgroup`, as if a limit had not been read."""
    content = None if maximum is None else f"{maximum}\n"
    path = edited(root, {**level("a", "max", "1"), "sys/fs/cgroup/a/memory.max": content})
    text = forked_program.run("-o", "--root", path, "--cgroup", "a").stdout
    assert ("without memory_cgroup" in text or "memory_cgroup not known" in text) is not is_known


@pytest.mark.parametrize("unknown", ["a", "a/web"])
@pytest.mark.parametrize(
    ("used", "state", "alarm", "words"),
    [
        ("99000000", "CRITICAL", "full", ">= 99.0 % (94.4 MiB of <= 95.4 MiB; critical from 97 %; there is no /sys/fs"),
        ("92000000", "WARNING", "near", ">= 92.0 % (87.7 MiB of <= 95.4 MiB; warning from 90 %; there is no /sys/fs"),
        ("50000000", "UNKNOWN", "unknown", ">= 50.0 % (47.7 MiB of <= 95.4 MiB; there is no /sys/fs/cgroup/"),
    ],
)
def test_a_threshold_that_is_surely_reached_alerts_beside_an_unknown_limit(
    root: Path, run: Run, unknown: str, used: str, state: str, alarm: str, words: str
) -> None:
    known = "a/web" if unknown == "a" else "a"
    files = level("a", "100000000", used) | level("a/web", "100000000", used)
    path = edited(root, files | {f"sys/fs/cgroup/{unknown}/memory.max": None})
    found = run("--root", path, "--cgroup", "a/web", "memory_cgroup")
    assert (found.state, found.data["memory_cgroup"].value) == (state, None)
    assert words in found.text, found.text
    assert found.text.count("there is no") == 1
    [row] = [row for row in json.loads(report_of(path))["limits"] if row["name"] == "memory_cgroup"]
    assert (row["state"], row["ratio"], row["limit_is_at_most"]) == (alarm, None, True)
    assert ("the limit of a above it" in row["note"]) == (known == "a")
    assert run("--root", path, "--cgroup", "a/web", "--critical", "memory_cgroup=40").state == "CRITICAL"


def report_of(path: str) -> str:
    return forked_program.run("--root", path, "--cgroup", "a/web", "--json").stdout


def v1_level(folder: str, maximum: str, usage: str, buffers: int = 1048576) -> dict[str, str | None]:
    folder = f"sys/fs/cgroup/memory/{folder}".rstrip("/")
    return {
        f"{folder}/memory.limit_in_bytes": f"{maximum}\n",
        f"{folder}/memory.usage_in_bytes": f"{usage}\n",
        f"{folder}/memory.stat": "total_active_file 1000000\ntotal_inactive_file 0\n"
        f"hierarchical_memory_limit {1 << 62}\n",
        f"{folder}/memory.use_hierarchy": "1\n",
        f"{folder}/memory.kmem.tcp.limit_in_bytes": "4194304\n",
        f"{folder}/memory.kmem.tcp.usage_in_bytes": f"{buffers}\n",
    }


@pytest.mark.parametrize("maximum", ["200000000", "9223372036854771712"], ids=["limited", "unlimited"])
def test_a_reached_limit_of_buffers_of_cgroup_v1_is_named(root: Path, run: Run, maximum: str) -> None:
    """It stops no socket, so that the state stays OK."""
    no_limit = "9223372036854771712"
    path = edited(root, v1_level("", no_limit, "1") | v1_level("a", no_limit, "1"))
    for buffers, words in (
        (4194303, ""),
        (4194304, "4.0 MiB of 4.0 MiB, reached"),
        (4928307, "4.7 MiB of 4.0 MiB, ex"),
    ):
        edited(root, v1_level("a/web", maximum, "9000000", buffers))
        found = run("--root", path, "--cgroup", "a/web", "memory_cgroup")
        assert found.state == "OK"
        assert found.text.count(f"buffers: {words}") == 1 if words else "reached" not in found.text
    assert "exceeded (memory.kmem.tcp.limit_in_bytes of memory/a/web)" in found.text


def test_a_cgroup_of_cgroup_v1(root: Path, run: Run) -> None:
    no_limit = "9223372036854771712"
    files = (
        v1_level("", no_limit, "1") | v1_level("a", "100000000", "99000000") | v1_level("a/web", no_limit, "9000000")
    )
    path = edited(root, files)
    for name in ("memory/a/web", "a/web", "/sys/fs/cgroup/memory/a/web"):
        found = run("--root", path, "--cgroup", name, "memory_cgroup")
        assert found.state == "CRITICAL"
        assert found.text.startswith("memory_cgroup 98.0 %")
    [row] = [row for row in json.loads(report_of(path))["limits"] if row["name"] == "memory_cgroup"]
    assert "the limit of memory/a above it" in row["note"]
    assert "buffers: 1.0 MiB of 4.0 MiB (memory.kmem.tcp.limit_in_bytes of memory/a/web)" in row["note"]


def test_a_cgroup_of_impossible_figures_is_unknown(root: Path, run: Run) -> None:
    folder = "sys/fs/cgroup/web.slice"
    for name, content in (
        ("memory.stat", "active_file 900000000\ninactive_file 2000000\n"),
        ("memory.stat", "active_file 1\ninactive_file 1\nsock 99999999999999\n"),
        ("memory.stat", "active_file 1\ninactive_file 1\nkernel 99999999999999\n"),
        ("memory.current", "99999999999999\n"),
    ):
        found = run("--root", edited(root, {**CGROUP, f"{folder}/{name}": content}), "--cgroup", "web.slice")
        assert (found.state, found.data["memory_cgroup"].value) == ("UNKNOWN", None), content
        assert "memory_cgroup not known (damaged or impossible: /sys/fs/cgroup/web.slice: " in found.text


def test_an_upper_bound_on_a_use_is_rounded_up(root: Path, run: Run) -> None:
    """95 050 000 B are 90.647 MiB."""
    folder = "sys/fs/cgroup/web.slice"
    changed = {f"{folder}/memory.current": "95050000\n", f"{folder}/memory.stat": None}
    found = run("--root", edited(root, {**CGROUP, **changed}), "--cgroup", "web.slice")
    assert found.text.startswith("memory_cgroup <= 95.1 % (<= 90.7 MiB of 95.4 MiB;")


@pytest.mark.parametrize("stat", [None, "active_file 1000000\ninactive_file xx\n"])
def test_without_the_page_cache_of_a_cgroup_its_use_is_an_upper_bound(root: Path, run: Run, stat: str | None) -> None:
    folder = "sys/fs/cgroup/web.slice"
    path = edited(root, {**CGROUP, f"{folder}/memory.stat": stat})
    found = run("--root", path, "--cgroup", "web.slice")
    assert found.state == "UNKNOWN"
    assert found.text.startswith("memory_cgroup <= 95.0 % (<= 90.6 MiB of 95.4 MiB; an upper bound: page cache may be")
    edited(root, {f"{folder}/memory.current": "50000000\n"})
    found = run("--root", path, "--cgroup", "web.slice")
    assert found.state == "OK"
    assert "memory_cgroup <= 50.0 %" in found.text


def test_page_cache_above_the_use_of_a_cgroup_leaves_its_use_unknown(root: Path, run: Run) -> None:
    """memory.stat lags behind memory.current."""
    folder = "sys/fs/cgroup/web.slice"
    stat = "active_file 50000001\ninactive_file 0\n"
    path = edited(root, {**CGROUP, f"{folder}/memory.current": "50000000\n", f"{folder}/memory.stat": stat})
    found = run("--root", path, "--cgroup", "web.slice", "memory_cgroup")
    assert found.text == "memory_cgroup <= 50.0 %"
    document = json.loads(forked_program.run("--root", path, "--cgroup", "web.slice", "--json").stdout)
    [row] = [row for row in document["limits"] if row["name"] == "memory_cgroup"]
    assert (row["used"], row["used_is_at_most"], row["headroom_sockets"]) == (50_000_000, True, None)
    assert "an upper bound: memory.stat has more page cache than all that is charged" in row["note"]
    edited(root, {f"{folder}/memory.max": "max\n"})
    document = json.loads(forked_program.run("--root", path, "--cgroup", "web.slice", "--json").stdout)
    [row] = [row for row in document["limits"] if row["name"] == "memory_cgroup"]
    assert (row["used"], row["used_is_at_most"]) == (50_000_000, True)


def test_a_maximum_of_0_is_critical(root: Path, run: Run) -> None:
    path = edited(
        root,
        {
            "proc/sys/net/ipv4/tcp_max_tw_buckets": "0\n",
            "proc/sys/net/ipv4/tcp_max_orphans": "0\n",
            "proc/sys/fs/file-nr": "15872\t0\t0\n",
            **CGROUP,
            "sys/fs/cgroup/web.slice/memory.max": "0\n",
        },
    )
    for arguments in ((), ("--critical", "file_max=50", "--warn", "tcp_max_orphans=5")):
        found = run("--root", path, "--cgroup", "web.slice", *arguments)
        assert found.state == "CRITICAL"
        for name in ("tcp_max_tw_buckets", "tcp_max_orphans", "file-max", "memory_cgroup"):
            assert f"{name} (limit is 0)" in found.text
    assert run("--root", path, "tcp_max_orphans").state == "CRITICAL"


@pytest.mark.parametrize(
    ("name", "file", "release", "state", "words"),
    [
        ("tcp_max_tw_buckets", "net/ipv4/tcp_max_tw_buckets", "5.18.0", "OK", "0.0 %"),
        ("tcp_max_tw_buckets", "net/ipv4/tcp_max_tw_buckets", "5.17.9", "WARNING", "limit is 0"),
        (
            "tcp_max_tw_buckets",
            "net/ipv4/tcp_max_tw_buckets",
            "5.14.0-427.el9.x86_64",
            "UNKNOWN",
            "-1 is no limit since",
        ),
        ("tcp_max_tw_buckets", "net/ipv4/tcp_max_tw_buckets", "", "UNKNOWN", "-1 is no limit since 5.18"),
        ("tcp_max_orphans", "net/ipv4/tcp_max_orphans", "6.12.0", "CRITICAL", "limit is 0"),
        ("nf_conntrack_max", "net/netfilter/nf_conntrack_max", "6.12.0", "OK", "0.0 %"),
    ],
)
def test_a_negative_limit_is_what_the_kernel_makes_of_it(
    root: Path, run: Run, name: str, file: str, release: str, state: str, words: str
) -> None:
    """The kernel takes any int; it compares it as an int or as an unsigned number."""
    path = edited(root, {**conntrack(250), f"proc/sys/{file}": "-1\n", **release_files(release)})
    found = run("--root", path, name)
    assert found.state == state
    assert words in found.text


def test_the_headroom_of_file_max_has_the_error_of_the_open_files(root: Path) -> None:
    """Each of 8 CPUs may have 32 files that file-nr does not count (6.1)."""
    for count, sockets, is_least in ((80_000, 20_000 - 256, True), (50_000, 50_000, False)):
        path = edited(root, open_files(count))
        [row] = [row for row in json.loads(printed(path, "--json"))["limits"] if row["name"] == "file_max"]
        assert (row["headroom_sockets"], row["headroom_is_at_least"]) == (sockets, is_least)
        assert ("file-nr may be wrong by 256" in row["note"]) == is_least


@pytest.mark.parametrize(
    ("release", "state", "low", "high"),
    [("6.12.0-amd64", "UNKNOWN", 79.74, 80.26), ("6.16.0-amd64", "WARNING", 80, 80), ("", "UNKNOWN", 79.74, 80.26)],
)
def test_the_error_of_the_open_files(root: Path, run: Run, release: str, state: str, low: float, high: float) -> None:
    """Each of 8 CPUs may have 32 files that file-nr does not count; since 6.16, file-nr counts all files."""
    files = open_files(80_000) | release_files(release)
    path = edited(root, files)
    assert run("--root", path, "file_max").state == state
    done = forked_program.run("check", "--json", "--root", path, "file_max")
    [found] = json.loads(done.stdout)["checks"]
    assert (found["low"], found["high"]) == (low, high)


def printed(path: str, option: str) -> str:
    """The report of a tree."""
    done = forked_program.run("--root", path, option)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_use_of_tcp_mem_within_the_error_of_the_average_is_exact(root: Path, run: Run) -> None:
    path = edited(root, {**sockstat(mem=36), "proc/sys/net/ipv4/tcp_mem": "1000\t1500\t2400\n"})
    [limit] = [each for each in json.loads(printed(path, "--json"))["limits"] if each["name"] == "tcp_mem"]
    assert (limit["used_error"], limit["ratio"]) == (0, 0.015)
    found = run("--root", path, "tcp_mem")
    assert "tcp_mem 1.5 %" in found.text
    assert found.data["tcp_mem"].value == 1.5


def test_an_upper_bound_is_rounded_up(root: Path, run: Run) -> None:
    found = run("--root", edited(root, {"proc/sys/fs/file-nr": "64\t0\t4000000\n"}), "file_max")
    [bound] = re.findall(r"file-max <= ([0-9.]+) %", found.text)
    assert float(bound) >= (found.data["file_max"].value or 0.0) >= 100 * 64 / 4_000_000
    assert float(bound) > 0


def test_the_report_has_the_exact_use_of_tcp_mem(root: Path) -> None:
    for mem, percent in ((0, "0"), (48, "2.0")):
        path = edited(root, {**sockstat(mem=mem), "proc/sys/net/ipv4/tcp_mem": "1000\t1500\t2400\n"})
        rows = (line for line in printed(path, "-o").splitlines() if line.lstrip().startswith("tcp_mem "))
        words = next(line for line in rows if "80/95" in line).split()
        assert words[words.index("80/95") - 1] == percent
        assert not {"<=", "~"} & set(words)


@pytest.mark.parametrize("used", [64, 320])
def test_the_report_has_the_upper_bound_of_file_max(root: Path, run: Run, used: int) -> None:
    path = edited(root, few_files(used))
    text = printed(path, "-o")
    line = next(each for each in text.splitlines() if each.lstrip().startswith("file-max ") and "80/95" in each)
    assert f" {'<= 32' if used == 64 else '~ 32'} " in line
    assert f"file-max {'<= 32.0 %' if used == 64 else '6.4 to 57.6 %'}" in run("--root", path, "file_max").text


def test_a_figure_that_is_a_lower_bound_says_so(root: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    slabinfo = (root / "proc/slabinfo").read_text()
    path = edited(root, {"proc/slabinfo": re.sub(r"(?m)^(filp +\d+ +\d+ +)256 ", r"\g<1>1 ", slabinfo)})
    assert re.match(r"bytes_per_connection >= [0-9 ]+ B", run("--root", path, "bytes_per_connection").text)
    check.run(["--root", path, "bytes_per_connection", "--json"])
    [found] = json.loads(capsys.readouterr().out)["checks"]
    assert (found["low"], found["high"]) == (pytest.approx(found["value"], abs=0.011), None)


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("tcp_max_tw_buckets", "proc/sys/net/ipv4/tcp_max_tw_buckets", "its file was not read"),
        ("tcp_max_orphans", "proc/net/sockstat", "/proc/net/sockstat"),
        ("tcp_max_tw_buckets", "proc/net/sockstat", "/proc/net/sockstat"),
        ("tcp_mem", "proc/net/sockstat", "/proc/net/sockstat"),
        ("memory", "proc/meminfo", "/proc/meminfo"),
    ],
)
def test_the_reason_of_an_unknown_limit(root: Path, run: Run, name: str, file: str, reason: str) -> None:
    found = run("--root", edited(root, {file: None}), name)
    assert found.state == "UNKNOWN"
    assert found.text.startswith(f"{name} not known (")
    assert reason in found.text


def test_a_cgroup_of_a_tree_is_never_outside_of_it(root: Path, run: Run, tmp_path: Path) -> None:
    write_tree(tmp_path / "outside", {"memory.max": "1\n", "memory.current": "1\n", "memory.stat": ""})
    (root / "sys/fs/cgroup").mkdir(parents=True, exist_ok=True)
    (root / "sys/fs/cgroup/link").symlink_to(tmp_path / "outside")
    found = run("--root", str(root), "--cgroup", "link")
    assert (found.state, found.data["memory_cgroup"].value) == ("UNKNOWN", None)
    assert "outside" in found.text


def test_a_cgroup_in_an_archive(root: Path, run: Run, tmp_path: Path) -> None:
    edited(root, CGROUP)
    with tarfile.open(tmp_path / "tree.tar", "w") as archive:
        archive.add(root, "web17")
    assert run("--root", str(tmp_path / "tree.tar"), "--cgroup", "web.slice").data["memory_cgroup"].value == 92


# As a process


def ran(
    *arguments: str, stdout: int | None = subprocess.PIPE, shell: str | None = None
) -> subprocess.CompletedProcess[str]:
    if shell is None and stdout == subprocess.PIPE:
        return forked_program.run("check", *arguments)
    command = [sys.executable, "-m", "tcptop", "check", *arguments]
    return subprocess.run(
        command if shell is None else ["sh", "-c", f'"$@" {shell}', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=GUARD_S,
        check=False,
        cwd=PROJECT,
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["memory"], 0), (["--warn", "memory=1"], 1), (["--critical", "memory=1"], 2), (["ports"], 3)],
)
def test_the_process_ends_with_the_exit_code(arguments: list[str], code: int) -> None:
    done = ran("--root", TREE, *arguments)
    assert (done.returncode, parse_output(done.stdout).exit_code, done.stderr) == (code, code, "")


def test_a_wrong_call_as_a_process() -> None:
    done = ran("--nope")
    assert (done.returncode, parse_output(done.stdout).state, done.stderr) == (3, "UNKNOWN", "")


@pytest.mark.parametrize("shell", ["> /dev/full", ">&-"])
def test_output_that_cannot_be_written_is_unknown(shell: str) -> None:
    done = ran("--root", TREE, shell=shell)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


def test_a_closed_pipe_is_unknown() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = ran("--root", TREE, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_defect_is_unknown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken | here")

    monkeypatch.setattr("tcptop.commands.check.run_checks", fail)
    assert run("--root", TREE).text == "RuntimeError: broken / here; please report it"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    code = check.run(["--root", TREE, "--json", "--warn", "memory=5", "growth"])
    found = json.loads(capsys.readouterr().out)
    assert (code, found["exit_code"], found["state"]) == (1, 1, "WARNING")
    assert [(each["name"], each["state"]) for each in found["checks"]] == [("memory", "WARNING"), ("growth", "UNKNOWN")]
    assert parse_output(f"{found['line']}\n").state == "WARNING"


def test_help_lists_every_name_with_its_unit() -> None:
    done = ran("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name in CHECK_NAMES:
        assert f"\n  {name} " in done.stdout
    for word in ("per cent", "bytes", "sockets per second", "CRITICAL, then WARNING", "@10:20"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.skipif(NEGATE is None, reason="negate is missing: install the package monitoring-plugins-basic")
@pytest.mark.parametrize(
    ("arguments", "code", "state"),
    [
        (["memory"], 2, "CRITICAL"),
        slow(["--critical", "memory=1"], 0, "OK"),
        slow(["--warn", "memory=1"], 1, "WARNING"),
        slow(["ports"], 3, "UNKNOWN"),
        slow(["--nope"], 3, "UNKNOWN"),
    ],
)
def test_below_negate(arguments: list[str], code: int, state: str) -> None:
    """`negate` exchanges OK and CRITICAL of the plugin below it, and needs its whole path."""
    assert NEGATE is not None
    done = subprocess.run(
        [NEGATE, "-s", sys.executable, "-m", "tcptop", "check", "--root", TREE, *arguments],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
        cwd=PROJECT,
    )
    assert (done.returncode, parse_output(done.stdout).state) == (code, state)


def test_the_install_script_installs_negate() -> None:
    assert "monitoring-plugins-basic" in (PROJECT / "scripts/install-test-tools").read_text()


@pytest.mark.parametrize(
    ("path", "pattern", "names", "words"),
    [
        ("proc/meminfo", None, ["memory"], "; not checked: memory (there is no /proc/meminfo here)"),
        ("proc/sys/net/ipv4/tcp_mem", None, ["tcp_mem"], "; not checked: tcp_mem ("),
        (
            "proc/net/sockstat",
            None,
            ["tcp_max_orphans", "tcp_max_tw_buckets", "tcp_mem"],
            " (there is no /proc/net/sockstat here)",
        ),
    ],
)
def test_a_limit_that_cannot_be_checked_is_named(
    tmp_path: Path, path: str, pattern: str | None, names: list[str], words: str
) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    if pattern is None:
        (root / path).unlink()
    else:
        (root / path).write_text(re.sub(pattern, "", (root / path).read_text()))
    done = forked_program.run("check", "--json", "--root", root)
    found = json.loads(done.stdout)
    assert (done.returncode, found["state"], sorted(found["not_checked"])) == (0, "OK", sorted([*names, *NEED_A_LOOK]))
    assert words in found["line"]
    assert set(names).isdisjoint(each["name"] for each in found["checks"])
    named = json.loads(forked_program.run("check", "--json", "--root", root, "file_max").stdout)
    assert named["not_checked"] == []


@pytest.mark.slow
def test_of_an_undamaged_tree_every_limit_is_checked() -> None:
    for kernel in RECORDINGS.keys() - {"6.18-1n"}:  # this recording lacks sysctls
        found = json.loads(forked_program.run("check", "--json", "--root", tree(kernel, "established")).stdout)
        assert set(found["not_checked"]) == set(NEED_A_LOOK)
        assert found["line"].count("only a look at the sockets tells") == 1


def test_the_names_of_the_screen_and_of_the_line_are_taken(run: Run) -> None:
    """The line says `file-max`, and the screen says `orphans`."""
    names = {
        "file-max": "file_max",
        "accept_queues": "listen_queues",
        "orphans": "tcp_max_orphans",
        "TIME_WAIT": "tcp_max_tw_buckets",
    }
    for shown, name in names.items():
        assert run("--root", TREE, shown, "--warn", f"{shown}=99") == run("--root", TREE, name, "--warn", f"{name}=99")


def test_the_use_of_tcp_mem_is_no_range_where_the_average_has_an_error(tmp_path: Path, run: Run) -> None:
    """7.3 counts 7 168 pages of buffers; 2 048 pages more or less, 256 for each of 8 CPUs, may be charged."""
    root = copy_recording("7.3-4n", "halfclosed", tmp_path / "tree")
    write_tree(root, {"proc/sys/net/ipv4/tcp_mem": "5000\t8000\t9900\n"})
    assert "tcp_mem 72.4 %" in run("--root", str(root), "tcp_mem").text


@pytest.mark.parametrize(("queue", "drops", "is_full"), [(129, 3, True), (129, 0, False), (128, 3, False)])
def test_a_queue_over_its_limit_that_has_dropped_connections_is_critical(queue: int, drops: int, is_full: bool) -> None:
    look = table_of(net(), group("whole:10"), listen(8080, queue, 128, drops))
    reading: Reading[SocketTable] = Reading("ok", look, None, 9.0, 12, 5.0, None, None)
    ledger = account(snapshot("6.1-4n", "established")._replace(socket_table=reading, live=True))
    [found] = run_checks(ledger, ["listen_queues"], {}, SocketGrowth(None, None), None)
    assert (found.state == "CRITICAL") == is_full
    assert ("full: the handshake is dropped" in found.alarm) == is_full
    assert ("but accept queues are FULL" in " ".join(as_text(ledger).split())) == is_full


def test_a_process_with_an_uncertain_number_of_open_files_does_not_hide_one_that_is_at_its_limit(
    tmp_path: Path, run: Run
) -> None:
    estimated = process(11, "lowered", descriptors=1_500, limit=300)
    lines = [process(10, "hoarder", descriptors=95, limit=100), estimated, "below\t11\t298\t94"]
    root = str(tree_with_look(tmp_path, look_text(net(), group("whole:10"), group("whole:11"), *lines)))
    found = run("--who", "--root", root, "nofile")
    assert found.state == "CRITICAL"
    assert "nofile 95.0 % (95 of 100 files in hoarder[10]" in found.text


def test_reserved_local_ports_are_the_reason_why_ports_are_not_checked(tmp_path: Path, run: Run) -> None:
    root = tree_with_look(tmp_path, look_text(net(), group("whole:10"), process(10, "server")))
    ports = {"proc/sys/net/ipv4/ip_local_port_range": "40000\t40009\n"}
    reserved = {"proc/sys/net/ipv4/ip_local_reserved_ports": "40000-40009\n"}
    found = run("--who", "--root", edited(root, {**ports, **reserved}), "ports")
    assert found.state == "UNKNOWN"
    assert "ports not known (all of ip_local_port_range are reserved: connect() chooses none)" in found.text


def test_with_a_look_the_line_names_the_process_that_is_at_its_limit(tmp_path: Path, run: Run) -> None:
    look = look_text(net(), group("whole:10"), process(10, "hoarder", descriptors=990, limit=1_000))
    root = str(tree_with_look(tmp_path, look))
    assert "nofile 99.0 % (990 of 1 000 files in hoarder[10]; critical from 95 %)" in run("--who", "--root", root).text
    assert "nofile, accept queues (only a look at the sockets tells: --who" in run("--root", root).text
    assert "goes without --who" in run("--who", "-r", "x").text


@pytest.mark.parametrize(
    ("arguments", "state"),
    [
        (("listen_queues",), "OK"),
        (("--warn", "listen_queues=95"), "OK"),
        (("--critical", "listen_queues=80"), "CRITICAL"),
        (("--warn", "ports=50"), "OK"),
        (("nofile",), "OK"),
    ],
)
def test_one_range_alone_decides(arguments: tuple[str, ...], state: str, tmp_path: Path, run: Run) -> None:
    """A queue of 114 of 128 is 89.1 %; the process has 62 of 1 024 files."""
    lines = (net(), group("whole:10"), listen(8080, 114, 128), process(10, "web", descriptors=62, limit=1_024))
    root = tree_with_look(tmp_path, look_text(*lines))
    write_tree(root, {"proc/sys/net/ipv4/ip_local_reserved_ports": "\n"})
    assert run("--who", "--root", str(root), *arguments).state == state


def test_queues_of_namespaces_that_were_not_asked_are_not_known(tmp_path: Path, run: Run) -> None:
    refused = net(inode=7, here=False, asked="refused", reason="Permission denied")
    root = str(tree_with_look(tmp_path, look_text(net(), refused, group("whole:10"), listen(8080, 0, 128))))
    found = run("--who", "--root", root, "listen_queues")
    assert (found.state, "network namespace 7 was not asked" in found.text) == ("UNKNOWN", True)


def test_the_line_says_that_a_look_saw_only_a_part(tmp_path: Path, run: Run) -> None:
    """A plain user finds no namespace that only threads, descriptors or mounts of others lead to."""
    lines = (net(), group("whole:10"), listen(8080, 0, 128), process(10, "web", descriptors=62, limit=1_024))
    part = str(tree_with_look(tmp_path / "part", look_text(*lines, processes="90\t80")))
    hidden = str(tree_with_look(tmp_path / "hidden", look_text("hidden\tpid_namespace", *lines)))
    whole = str(tree_with_look(tmp_path / "whole", look_text(*lines)))
    for root in (part, hidden):
        assert "accept queues 0.0 % (of the namespaces seen)" in run("--who", "--root", root, "listen_queues").text
        assert "nofile 6.0 % (of the processes that were seen)" in run("--who", "--root", root).text
    assert "seen" not in run("--who", "--root", whole).text


@pytest.mark.parametrize(
    ("lines", "processes", "name", "reason"),
    [
        ((net(), group("unseen")), "9\t8", "nofile", "no process with TCP sockets was visible; root sees"),
        ((net(), group("none")), "9\t0", "nofile", "no process has TCP sockets"),
        ((net(), group("whole:10"), process(10)), "9\t0", "nofile", "the limit of no process with TCP sockets"),
        ((net(), group("none")), "9\t8", "listen_queues", "no socket listens in the namespaces seen"),
        ((net(asked="cut"), group("none")), "9\t8", "ports", "not all sockets of this network namespace were read"),
    ],
)
def test_after_a_look_the_reason_is_not_that_only_a_look_tells(
    lines: tuple[str, ...], processes: str, name: str, reason: str, tmp_path: Path, run: Run
) -> None:
    found = run("--who", "--root", str(tree_with_look(tmp_path, look_text(*lines, processes=processes))), name)
    assert (found.state, reason in found.text, "only a look" in found.text) == ("UNKNOWN", True, False)


def test_without_memavailable_the_use_of_memory_is_not_known(root: Path, run: Run) -> None:
    """Kernels before 3.14 do not print it; what fits comes from the zones."""
    meminfo = root / "proc/meminfo"
    meminfo.write_text(re.sub(r"MemAvailable:.*\n", "", meminfo.read_text()))
    assert "meminfo has no MemAvailable" in run("--root", str(root), "memory").text
    planned = forked_program.run("plan", "--connections", "100K", "--root", root)
    assert planned.stdout.startswith("fits, without data: 100 000 ")
