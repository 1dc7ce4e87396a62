"""A small file that ends in the middle of a line was cut: its value is unknown, and its source says so."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_ssh import put_first
from packed_trees import SOSREPORT, SYSCTLS, archive_of, sosreport_of
from program import CHECKOUT, output, report, run

RECORDING = CHECKOUT / "tests/recordings/6.1-4n/established"

Json = dict[str, Any]

SYSCTL_SOURCES = {
    "proc/sys/kernel/hostname": "sysctls",
    "proc/sys/kernel/osrelease": "sysctls",
    "proc/sys/net/core/mem_pcpu_rsv": "sysctls",
    "proc/sys/net/ipv4/tcp_mem": "sysctls",
    "proc/sys/vm/zone_reclaim_mode": "sysctls",
    "proc/sys/vm/mem_profiling": "sysctls",
    "proc/sys/fs/nr_open": "sysctls",
    "proc/sys/fs/file-nr": "socket_limits",
    "proc/sys/net/ipv4/tcp_max_orphans": "socket_limits",
    "proc/sys/net/ipv4/tcp_max_tw_buckets": "socket_limits",
    "proc/sys/net/ipv4/ip_local_port_range": "socket_limits",
    "proc/sys/net/netfilter/nf_conntrack_count": "socket_limits",
    "proc/sys/net/netfilter/nf_conntrack_max": "socket_limits",
}

SMALL_FILES = {
    **SYSCTL_SOURCES,
    "proc/version": "sysctls",
    "proc/cmdline": "sysctls",
    "proc/cgroups": "memory_cgroups",
    "sys/fs/cgroup/cgroup.controllers": "memory_cgroups",
    "sys/fs/cgroup/cgroup.subtree_control": "memory_cgroups",
    "sys/fs/cgroup/memory.max": "memory_cgroups",
    "sys/devices/system/cpu/online": "topology",
    "sys/devices/system/cpu/present": "topology",
    "sys/devices/system/node/node0/cpulist": "topology",
    "sys/devices/system/node/node0/distance": "topology",
    "sys/devices/system/node/node0/meminfo": "topology",
    "sys/kernel/slab/TCP/object_size": "slab_sizes",
    "sys/kernel/slab/TCP/slab_size": "slab_sizes",
    "sys/kernel/slab/TCP/objs_per_slab": "slab_sizes",
    "sys/kernel/slab/TCP/order": "slab_sizes",
    "sys/kernel/slab/TCP/cpu_partial": "slab_sizes",
    "sys/kernel/slab/TCP/slabs": "slab_counts",
    "sys/kernel/slab/TCP/total_objects": "slab_counts",
}
"""Files of one line or a few, with their sources."""

ADDED = {
    "proc/sys/kernel/hostname": "web17\n",
    "proc/sys/net/core/mem_pcpu_rsv": "256\n",
    "proc/sys/vm/zone_reclaim_mode": "10\n",
    "proc/sys/vm/mem_profiling": "10\n",
    "proc/sys/fs/nr_open": "1048576\n",
    "proc/sys/net/netfilter/nf_conntrack_count": "1000\n",
    "proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
    "proc/cmdline": "quiet slub_debug=FZ\n",
    "proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t10\t1\nmemory\t4\t10\t1\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu io pids\n",
    "sys/fs/cgroup/cgroup.subtree_control": "cpu io pids\n",
    "sys/devices/system/cpu/present": "0-15\n",
    "sys/devices/system/node/node0/distance": "10 20 20 20\n",
}
"""Files that the recording lacks."""


def whole_tree(destination: Path) -> Path:
    root = Path(shutil.copytree(RECORDING, destination / "tree", symlinks=True))
    for path, text in ADDED.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def cut(path: Path, number: int) -> None:
    path.write_bytes(path.read_bytes()[:-number])


def assert_cut(found: Json, source: str, name: str) -> None:
    health = found["sources"][source]
    assert health["state"] == "cut", health
    assert name in health["reason"]
    assert "ends in the middle of a line" in health["reason"]


def limit(found: Json, name: str) -> Json:
    [row] = [row for row in found["limits"] if row["name"] == name]
    return dict(row)


@pytest.mark.parametrize("path", [path for path in SMALL_FILES if path != "sys/fs/cgroup/memory.max"])
def test_a_file_without_its_last_newline_is_cut(path: str, tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    whole = report(root)
    cut(root / path, 1)
    found = report(root)
    assert {name: each["state"] for name, each in whole["sources"].items() if each["state"] == "cut"} == {}
    assert_cut(found, SMALL_FILES[path], path.rpartition("/")[2])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("net/ipv4/tcp_mem", "tcp_mem"),
        ("net/ipv4/tcp_max_orphans", "tcp_max_orphans"),
        ("net/ipv4/tcp_max_tw_buckets", "tcp_max_tw_buckets"),
        ("net/ipv4/ip_local_port_range", "ports"),
        ("fs/file-nr", "file_max"),
        ("net/netfilter/nf_conntrack_max", "nf_conntrack_max"),
    ],
)
def test_a_limit_from_a_cut_file_is_unknown(path: str, name: str, tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    known = limit(report(root), name)["limit"]
    assert known
    cut(root / "proc/sys" / path, 4)
    assert limit(report(root), name)["limit"] is None
    done = run("check", "--root", root)
    assert done.returncode != 0
    assert "ends in the middle of a line" in done.stdout


def test_a_cut_release_is_unknown(tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    cut(root / "proc/sys/kernel/osrelease", 5)
    (root / "proc/version").unlink()
    assert report(root)["host"]["kernel"] is None


@pytest.mark.parametrize("form", ["folder", "archive"])
@pytest.mark.parametrize("name", [name for name in SYSCTLS if (RECORDING / "proc/sys" / name).exists()])
def test_the_last_line_of_a_cut_output_of_sysctl(form: str, name: str, tmp_path: Path) -> None:
    """The release is taken from the output of `uname -a` as long as a sosreport has that."""
    root = sosreport_of("6.1-4n", "established", tmp_path)
    (root / "sos_commands/kernel/uname_-a").unlink()
    (root / "proc/version").unlink()
    line = f"{name.replace('/', '.')} = {(RECORDING / 'proc/sys' / name).read_text().strip()}\n"
    (root / "sos_commands/kernel/sysctl_-a").write_text(f"abi.vsyscall32 = 1\n{line[:-2]}")
    packed = root if form == "folder" else archive_of(root, tmp_path / "report.tar.xz", "w:xz", SOSREPORT)
    assert_cut(json.loads(output("--json", "--root", packed)), SYSCTL_SOURCES[f"proc/sys/{name}"], name)


def test_the_list_of_cpus_of_a_cut_output_of_lscpu(tmp_path: Path) -> None:
    root = sosreport_of("6.1-4n", "established", tmp_path)
    lscpu = root / "sos_commands/processor/lscpu"
    lscpu.write_text(lscpu.read_text().partition("On-line CPU(s) list:")[0] + "On-line CPU(s) list:   0-1")
    assert_cut(report(root), "topology", "cpu/online")


@pytest.mark.parametrize(("path", "source"), SYSCTL_SOURCES.items())
def test_a_cut_file_over_ssh(path: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The far end's `head` prints its files with the newline of one lost, as if the file had none."""
    if not Path("/", path).exists():
        pytest.skip(f"this kernel has no /{path}")
    head = shutil.which("head")
    (tmp_path / "far").mkdir()
    (tmp_path / "far/head").write_text(
        f"#!{sys.executable}\nimport subprocess, sys\n"
        f"text = subprocess.run([{head!r}, *sys.argv[1:]], capture_output=True).stdout\n"
        f"before, name, after = text.partition(b'==> /{path} <==\\n')\n"
        "line, newline, rest = after.partition(b'\\n')\n"
        "sys.stdout.buffer.write(before + name + line + rest)\n"
    )
    (tmp_path / "far/head").chmod(0o755)
    put_first(monkeypatch, tmp_path, f"PATH={tmp_path}/far:$PATH exec sh")
    assert_cut(json.loads(output("--json", "--host", "far")), source, path.rpartition("/")[2])


CGROUP = {
    "memory.max": "100000000\n",
    "memory.current": "95000000\n",
    "memory.stat": "anon 5\nsock 4096\nkernel 8192\nactive_file 1000000\ninactive_file 2000000\n",
}


@pytest.mark.parametrize("name", CGROUP)
def test_a_cut_file_of_a_memory_cgroup(name: str, tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    folder = root / "sys/fs/cgroup/web.slice"
    folder.mkdir(parents=True)
    for file, text in CGROUP.items():
        (folder / file).write_text(text[:-3] if file == name else text)
    [row] = [
        row
        for row in json.loads(output("--json", "--root", root, "--cgroup", "web.slice"))["limits"]
        if row["name"] == "memory_cgroup"
    ]
    assert row["limit" if name == "memory.max" else "used"] is None
    assert row["headroom_sockets"] is None
    assert "ends in the middle of a line" in row["note"]
    done = run("check", "memory_cgroup", "--root", root, "--cgroup", "web.slice")
    assert done.stdout.startswith("TCPTOP UNKNOWN")


def test_a_cut_memory_max_of_a_container(tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    (root / "sys/fs/cgroup/memory.max").write_text("10485")
    assert_cut(report(root), "memory_cgroups", "memory.max")


def test_a_cut_command_line_may_have_turned_charging_off(tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    (root / "sys/fs/cgroup/memory.max").write_text("max\n")
    (root / "proc/cmdline").write_text("quiet cgroup.memory=nok")
    found = report(root)
    assert_cut(found, "memory_cgroups", "proc/cmdline")
    assert found["sources"]["memory_cgroups"]["state"] != "ok"


def test_a_cut_list_of_security_modules_of_other_files(tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    (root / "sys/kernel/security/lsm").unlink()
    (root / "sys/module/apparmor/parameters").mkdir(parents=True)
    (root / "sys/module/apparmor/parameters/enabled").write_text("Y")
    assert_cut(report(root), "security_modules", "enabled")


def test_a_scrubbed_recording_keeps_a_cut_file_cut(tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    (root / "proc/sys/kernel/osrelease").unlink()
    (root / "proc/version").write_text("Linux version 6.1.0-5")
    output("record", "--scrub", "--root", root, "-w", tmp_path / "scrubbed.tcptop")
    found = json.loads(output("--json", "-r", tmp_path / "scrubbed.tcptop"))
    assert found["host"]["kernel"] is None
    assert_cut(found, "sysctls", "version")
