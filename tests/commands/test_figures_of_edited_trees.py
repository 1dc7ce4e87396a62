"""Figures of saved trees with a few edited rows, through the command line: the bounds hold on machines of every
kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded import copy_recording, row_of, slab_rows, tree, without_security_caches, write_tree

from tcptop.cli import main

Json = dict[str, Any]
Run = Callable[..., tuple[int, str]]
Report = Callable[[Path], Json]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs tcptop without a settings file; returns the exit code and the text."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no settings"))

    def run_tcptop(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0), capsys.readouterr().out

    return run_tcptop


@pytest.fixture
def report(run: Run) -> Report:
    return lambda root: json.loads(run("--json", "--root", str(root))[1])


def with_row(root: Path, name: str, active: int) -> None:
    """Sets the number of objects of a cache, all active, in slabinfo and in sysfs."""
    slabinfo = root / "proc/slabinfo"
    text = slabinfo.read_text()
    found = re.search(rf"^{name} +\d+ +\d+ +(\d+) +(\d+) +(\d+) ", text, re.M)
    assert found is not None
    size, per_slab, pages = map(int, found.groups())
    slabs = -(-active // per_slab)
    row = f"{name} {active} {slabs * per_slab} {size} {per_slab} {pages} : tunables 0 0 0 : slabdata {slabs} {slabs} 0"
    slabinfo.write_text(re.sub(rf"^{name} .*$", row, text, flags=re.M))
    folder = root / "sys/kernel/slab" / name
    if (folder / "slabs").exists():
        write_tree(root, {f"sys/kernel/slab/{name}/slabs": f"{slabs} N0={slabs}\n"})
        write_tree(root, {f"sys/kernel/slab/{name}/total_objects": f"{slabs * per_slab} N0={slabs * per_slab}\n"})


def with_sockets(root: Path, allocated: int) -> None:
    """Sets the number of allocated sockets in sockstat; the number in use stays unchanged, but is at most the new
    number.
    """
    [before] = re.findall(r"TCP: inuse (\d+)", (root / "proc/net/sockstat").read_text())
    in_use = min(int(before), allocated)
    if in_use < int(before):
        protocols = root / "proc/net/protocols"
        protocols.write_text(re.sub(r"^(TCP +\d+ +)\d+", rf"\g<1>{in_use}", protocols.read_text(), flags=re.MULTILINE))
    line = f"TCP: inuse {in_use} orphan 0 tw 0 alloc {allocated} mem 0\n"
    write_tree(root, {"proc/net/sockstat": f"sockets: used {allocated}\n{line}"})


def part(found: Json, name: str) -> Json:
    return next(each for each in found["tcp_memory"]["parts"] if each["part"] == name)


# The kernel's own sockets have no file


def with_kernel_sockets(folder: Path) -> Path:
    """16 001 sockets and 1 600 files: almost all sockets belong to an NFS server in the kernel."""
    root = copy_recording("6.1-4n-nomerge", "established", folder)
    with_row(root, "filp", 1600)
    with_row(root, "lsm_file_cache", 1700)
    write_tree(root, {"proc/sys/fs/file-nr": "1500\t0\t1510\n"})
    return root


def test_a_file_count_below_the_number_of_the_kernels_own_sockets_is_sound(run: Run, tmp_path: Path) -> None:
    root = with_kernel_sockets(tmp_path)
    for arguments in ((), ("file_max",)):
        code, line = run("check", "--root", str(root), *arguments)
        # Before 6.16, each of 8 CPUs may have 32 uncounted files, so that the use is either critical or a warning.
        assert (code, "file-max 82.3 to 116.3 % (~ 1 500 of 1 510 files" in line) == (1, True)
    code, text = run("plan", "--root", str(root), "--connections", "1000")
    assert (code, "first limit: file-max" in " ".join(text.split())) == (1, True)


def test_a_file_count_below_the_files_in_slabinfo_is_damaged(run: Run, tmp_path: Path) -> None:
    """16 128 files and 16 001 sockets, all opened by programs."""
    root = copy_recording("6.1-4n-nomerge", "established", tmp_path)
    write_tree(root, {"proc/sys/fs/file-nr": "1500\t0\t1510\n"})
    code, line = run("check", "--root", str(root), "file_max")
    assert (code, "fs/file-nr has 1 500 open files" in line) == (3, True)


def test_the_kernels_own_sockets_have_an_inode_and_no_file(report: Report, tmp_path: Path) -> None:
    found = report(with_kernel_sockets(tmp_path))
    rows = {cache["name"]: cache["bytes"] for cache in found["caches"]}
    filp = part(found, "filp")
    assert (filp["low_bytes"], filp["high_bytes"], rows["filp"]) == (0, 409_600, 409_600)
    for name in ("dentry", "lsm_file_cache", "sock_inode_cache", "lsm_inode_cache"):
        assert part(found, name)["high_bytes"] <= rows[name]
    assert part(found, "dentry")["low_bytes"] == 0
    assert part(found, "sock_inode_cache")["low_bytes"] == pytest.approx((16_001 - 624) * 8 * 4096 / 39, abs=1)
    full = found["bytes_per_connection"]["full"]
    assert full["now_is_at_most"]
    names = [each["object"] for each in full["mix"]["accepted"]["parts"]]
    assert "LSM file blob" in names
    plain = report(copy_recording("6.1-4n-nomerge", "established", tmp_path / "plain"))
    before = plain["bytes_per_connection"]["full"]
    assert not before["now_is_at_most"]
    file_and_dentry = 256 + 4096 / 21 + 4096 / 170
    assert before["now_bytes"] - full["now_bytes"] == pytest.approx(0.9 * file_and_dentry, rel=0.01)


def test_the_least_memory_of_files_is_within_their_row(report: Report, tmp_path: Path) -> None:
    root = with_kernel_sockets(tmp_path)
    with_sockets(root, 2300)
    found = report(root)
    assert part(found, "filp")["low_bytes"] <= next(
        cache["bytes"] for cache in found["caches"] if cache["name"] == "filp"
    )


# Buffers


@pytest.mark.parametrize("kernel", ["7.3-4n", "6.12-4n", "6.1-4n", "6.12-arm64-16k-4n"])
@pytest.mark.parametrize("without", ["sheaf_capacity", "online"])
def test_active_objects_of_segments_may_all_be_free_where_their_error_is_not_known(
    kernel: str, without: str, report: Report, tmp_path: Path
) -> None:
    """Without the sizes of sheaves (7.3) or the number of CPUs, the number of objects that CPUs cache is unknown."""
    root = copy_recording(kernel, "halfclosed", tmp_path)
    before = part(report(root), "socket buffers")
    paths = list((root / "sys/kernel/slab").glob(f"*/{without}"))
    paths += [root / "sys/devices/system/cpu/online"] if without == "online" else []
    for path in {path.resolve() for path in paths}:
        path.unlink()
    found = report(root)
    row = part(found, "socket buffers")
    [kind] = [each for each in found["attached"]["kinds"] if each["name"] == "buffers"]
    is_known = without == "sheaf_capacity" and kernel != "7.3-4n"
    low = before["low_bytes"] if is_known else 0
    assert (row["low_bytes"], kind["low_bytes"]) == (low, low)
    assert row["low_bytes"] <= row["bytes"] <= row["high_bytes"]


# Bind buckets


@pytest.mark.parametrize("kernel", ["6.12-4n", "6.18-1n", "7.3-4n"])
def test_one_port_may_have_a_bind2_bucket_for_each_local_address(kernel: str, report: Report, tmp_path: Path) -> None:
    """In the row of both kinds of buckets, all objects except one may be bind2 buckets of one port."""
    root = copy_recording(kernel, "established", tmp_path)
    name = row_of(kernel, "established", "tcp_bind2_bucket")
    assert name is not None
    assert name == row_of(kernel, "established", "tcp_bind_bucket")
    with_row(root, name, 4000)
    found = report(root)
    share = slab_rows((root / "proc/slabinfo").read_text())[name].share(4096)
    bind, bind2 = part(found, "tcp_bind_bucket"), part(found, "tcp_bind2_bucket")
    assert (bind["high_bytes"], bind2["high_bytes"]) == (round(2000 * share), round(3999 * share))
    assert bind["low_bytes"] == bind2["low_bytes"] == 0


# The average now


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.18-1n", "5.10-4n", "6.1-4n-ipv6"])
@pytest.mark.parametrize("more", [0.005, 0.1, 0.24])
def test_an_average_is_not_below_the_sock_where_sockstat_is_of_another_moment(
    kernel: str, more: float, run: Run, report: Report, tmp_path: Path
) -> None:
    root = copy_recording(kernel, "established", tmp_path)
    rows = slab_rows((root / "proc/slabinfo").read_text())
    objects = sum(rows[name].objects for name in ("TCP", "TCPv6") if name in rows)
    number = round(objects * (1 + more))
    with_sockets(root, number)
    found = report(root)
    assert found["sources"]["sockstat"]["state"] == "ok"
    full = found["bytes_per_connection"]["full"]
    code, line = run("check", "--root", str(root), "bytes_per_connection")
    if more > 0.02:
        words = f"sockstat has {number:,} sockets and slabinfo {objects:,}: not read together".replace(",", " ")
        assert full["now_bytes"] is None
        assert words in " ".join(run("-o", "--root", str(root))[1].split())
        assert (code, words in line) == (3, True)
    else:
        assert (code, full["now_bytes"] >= full["mix"]["accepted"]["slab_bytes"] * 0.999) == (0, True)


# Vectors of kernels with memory allocation profiling


@pytest.mark.parametrize(
    ("kernel", "setting"), [("6.18-1n", "0"), ("6.18-1n", "1"), ("6.12-4n", "0"), ("6.12-4n", "1")]
)
def test_a_kernel_that_can_profile_allocations_has_larger_vectors(
    kernel: str, setting: str, report: Report, tmp_path: Path
) -> None:
    """The vector for 13 TCP socks of a slab has 104 B without CONFIG_MEM_ALLOC_PROFILING, and 208 B with
    CONFIG_MEM_ALLOC_PROFILING.
    """
    root = copy_recording(kernel, "established", tmp_path)
    write_tree(
        root, {"sys/fs/cgroup/cgroup.controllers": "memory\n", "sys/fs/cgroup/cgroup.subtree_control": "memory\n"}
    )

    def vectors() -> tuple[float, float, Json]:
        found = report(root)
        parts = found["bytes_per_connection"]["full"]["ipv4"]["accepted"]["parts"]
        of_caches = [each for each in parts if each["object"] == "obj_cgroup vectors"]
        return sum(each["slab_bytes"] for each in of_caches), sum(each["count"] for each in of_caches), found

    rows = slab_rows((root / "proc/slabinfo").read_text())
    names = ("TCP", "sock_inode_cache", "dentry", "filp")
    small, number, _ = vectors()
    assert number == pytest.approx(sum(1 / rows[name].per_slab for name in names), abs=1e-3)
    write_tree(root, {"proc/sys/vm/mem_profiling": f"{setting}\n"})
    large, profiled, found = vectors()
    assert large / small > 1.5
    sizes = [128, 192, 256, 512, 1024]
    expected = 0.0
    for name in names:
        size = next(size for size in sizes if size >= 16 * rows[name].per_slab)
        expected += rows[f"kmalloc-{size if size < 1024 else '1k'}"].share(4096) / rows[name].per_slab
    if setting == "0":
        assert large == pytest.approx(expected, abs=0.1)
        assert profiled == number
    else:
        assert large > expected
        assert profiled > number
    own = next(each for each in found["tcp_memory"]["parts"] if each["part"].startswith("own obj_cgroup vectors"))
    assert own["bytes"] > 0


# The mix of IPv4 and IPv6


@pytest.mark.parametrize(("phase", "few"), [("established", False), ("base", True)])
def test_the_next_mini_socket_is_of_the_family_of_the_sockets_where_mini_sockets_are_few(
    phase: str, few: bool, report: Report, tmp_path: Path
) -> None:
    root = copy_recording("6.1-4n-ipv6", phase, tmp_path)
    if few:
        write_tree(root, {"proc/net/sockstat": "TCP: inuse 0 orphan 0 tw 0 alloc 3 mem 0\n"})
        write_tree(root, {"proc/net/sockstat6": "TCP6: inuse 3\n"})
    found = report(root)
    accepted = found["bytes_per_connection"]["time_wait"]["mix"]["accepted"]
    assert "struct tcp6_timewait_sock" in [each["object"] for each in accepted["parts"]]
    only_v6 = found["bytes_per_connection"]["time_wait"]["ipv6"]["accepted"]
    assert accepted["slab_bytes"] == pytest.approx(only_v6["slab_bytes"], rel=0.01)
    [state] = [each for each in found["states"] if each["state"] == "TIME_WAIT"]
    assert state["accepted"]["slab_bytes"] == accepted["slab_bytes"]


# Counts that sockstat lacks


@pytest.mark.parametrize("field", ["inuse", "orphan", "tw", "alloc", "mem"])
def test_no_figure_is_exact_where_sockstat_lacks_a_count(field: str, run: Run, report: Report, tmp_path: Path) -> None:
    """Every kernel since 2.4 prints the five counts."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    sockstat = root / "proc/net/sockstat"
    text, number = re.subn(rf"^(TCP:.*) {field} \d+", r"\1", sockstat.read_text(), flags=re.M)
    assert number == 1
    sockstat.write_text(text)
    found = report(root)
    assert found["sources"]["sockstat"]["state"] == "strange"
    assert found["headroom"]["sockets"] is None
    assert not found["tcp_memory"]["complete"]
    sides = [side for mode in found["bytes_per_connection"].values() for side in mode["mix"].values()]
    assert not any(side["complete"] for side in sides)
    lines = [line.split() for line in run("-o", "--root", str(root))[1].splitlines()]
    [average] = [line for line in lines if line[:2] == ["average", "now"]][:1]
    assert average[2] in ("-", ">=")
    [in_use] = [line for line in lines if line[:2] == ["in", "use"]]
    assert in_use[2] == ("-" if field == "inuse" else "16")
    code, line = run("check", "--root", str(root))
    assert (code, "the line TCP has 4 counts that are known, and every kernel prints 5" in line) == (3, True)
    code, plan = run("plan", "--root", str(root), "--connections", "1000")
    assert (code, plan.startswith("cannot say")) == (2, True)


def test_memory_of_buffers_that_is_not_known_is_not_0(run: Run, report: Report, tmp_path: Path) -> None:
    """Without root, the charge is readable, but neither slabinfo nor the counts of the caches."""
    root = copy_recording("6.1-4n", "halfclosed", tmp_path)
    (root / "proc/slabinfo").unlink()
    for path in [path for name in ("slabs", "total_objects") for path in root.glob(f"sys/kernel/slab/*/{name}")]:
        path.unlink(missing_ok=True)  # merged caches are links to one folder
    text = " ".join(run("explain", "headroom", "--root", str(root))[1].split())
    assert "counts ≈ 4 194 B per socket" in text
    assert "0 to 5 243 B are with data, because" in text
    assert report(root)["headroom"]["is_at_most"]
    of_nodes = [line for line in run("-o", "--root", str(root))[1].splitlines() if line.startswith("  fits ")]
    assert len(of_nodes) == 4
    assert all(
        re.match(r"  fits <= [\d ]+ more sockets in free memory, <= [\d ]+ with reclaim", line) for line in of_nodes
    )
    arguments = ("plan", "--root", str(root), "--connections", "1000", "--buffers", "now", "--json")
    [buffers] = [part for part in json.loads(run(*arguments)[1])["takes"]["parts"] if part["object"] == "buffers"]
    assert (buffers["bytes"], buffers["high_bytes"]) == (0, pytest.approx(5243 * 1000, rel=1e-3))


# Objects that every open socket has


def with_active(root: Path, name: str, active: int) -> None:
    """Lowers the number of active objects in the row of a cache, but not the number of all objects."""
    slabinfo = root / "proc/slabinfo"
    text, number = re.subn(rf"^({name} +)\d+", rf"\g<1>{active}", slabinfo.read_text(), flags=re.MULTILINE)
    assert number == 1
    slabinfo.write_text(text)


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        *((kernel, "sock_inode_cache") for kernel in ("5.10-4n", "6.1-4n", "6.1-4n-ipv6", "6.12-4n", "6.18-1n")),
        *((kernel, "dentry") for kernel in ("6.1-4n-nomerge", "6.12-4n", "7.3-4n")),
        *((kernel, "lsm_inode_cache") for kernel in ("6.1-4n", "6.12-4n", "7.3-4n")),
        ("6.1-4n-nomerge", "lsm_file_cache"),
        ("6.1-4n-nomerge", "filp"),
    ],
)
def test_fewer_active_objects_than_sockets_have_are_strange(
    kernel: str, name: str, run: Run, report: Report, tmp_path: Path
) -> None:
    root = copy_recording(kernel, "established", tmp_path)
    before = report(root)
    with_active(root, name, slab_rows((root / "proc/slabinfo").read_text())[name].active // 10)
    found = report(root)
    health = found["sources"]["slabinfo"]
    assert before["sources"]["slabinfo"]["state"] == "ok"
    assert (health["state"], health["reason"].startswith(f"/proc/slabinfo: {name}: ")) == ("strange", True)
    sides = [side for mode in found["bytes_per_connection"].values() for side in mode["mix"].values()]
    assert not any(side["complete"] for side in sides)
    assert not found["tcp_memory"]["complete"]
    assert found["headroom"]["sockets"] is None
    assert run("plan", "--root", str(root), "--connections", "1M")[0] == 2


def blobs(found: Json) -> set[str]:
    accepted = found["bytes_per_connection"]["full"]["mix"]["accepted"]
    return {each["object"] for each in accepted["parts"] if each["object"].startswith("LSM") and each["cache"]}


@pytest.mark.parametrize("name", ["lsm_inode_cache", "lsm_file_cache"])
def test_data_of_security_modules_are_not_left_out_since_their_row_is_damaged(
    name: str, report: Report, tmp_path: Path
) -> None:
    root = copy_recording("6.1-4n-nomerge", "established", tmp_path)
    with_active(root, name, 100)
    assert blobs(report(root)) >= {"LSM file blob", "LSM inode blob"}
    with_row(root, name, 100)
    found = report(root)
    assert blobs(found) >= {"LSM file blob", "LSM inode blob"}
    assert found["sources"]["slabinfo"]["state"] == "strange"


@pytest.mark.parametrize(
    ("modules", "objects", "expected"),
    [
        ("lockdown,capability,selinux", 100, True),
        ("lockdown,capability,selinux", 20_000, True),
        ("lockdown,capability,yama", 100, False),
        ("lockdown,capability,yama", 20_000, False),
        (None, 100, False),
        (None, 20_000, True),
    ],
)
def test_the_caches_of_selinux_are_in_use_where_selinux_is_active(
    modules: str | None, objects: int, expected: bool, report: Report, tmp_path: Path
) -> None:
    root = copy_recording("6.1-4n-nomerge", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    slabinfo.write_text(slabinfo.read_text().replace("\nlsm_inode_cache ", "\nselinux_inode_security "))
    with_row(root, "selinux_inode_security", objects)
    (root / "sys/kernel/slab/lsm_inode_cache").rename(root / "sys/kernel/slab/selinux_inode_security")
    without_security_caches(root, "lsm_file_cache")
    for path in ("proc/filesystems", "sys/kernel/security/lsm", "sys/module/apparmor/parameters/enabled"):
        (root / path).unlink(missing_ok=True)
    if modules is not None:
        write_tree(root, {"sys/kernel/security/lsm": modules})
    assert ("LSM inode blob" in blobs(report(root))) is expected


# Figures that one file contradicts


def edit(root: Path, path: str, pattern: str, text: str) -> None:
    file = root / path
    changed, number = re.subn(pattern, text, file.read_text(), count=1, flags=re.MULTILINE)
    assert number == 1
    file.write_text(changed)


def test_two_files_that_agree_on_the_size_of_a_sock_give_the_figure(run: Run, report: Report, tmp_path: Path) -> None:
    root = copy_recording("6.12-4n", "established", tmp_path)
    before = report(root)
    edit(root, "proc/net/protocols", r"^TCP  +2368", "TCP       9999")
    found = report(root)
    assert found["sources"]["protocols"]["state"] == "strange"
    assert found["sources"]["slabinfo"]["state"] == found["sources"]["slab_sizes"]["state"] == "ok"
    assert found["bytes_per_connection"] == before["bytes_per_connection"]
    assert run("plan", "--root", str(root), "--connections", "1M")[0] == 0


def test_a_size_that_is_in_doubt_is_no_lower_bound_of_a_plan(run: Run, tmp_path: Path) -> None:
    """Without /sys/kernel/slab, no file shows whether slabinfo or protocols is damaged."""
    root = copy_recording("6.12-4n", "established", tmp_path)
    edit(root, "proc/net/protocols", r"^TCP  +2368", "TCP       999999")
    for name in ("object_size", "slab_size"):
        (root / "sys/kernel/slab/TCP" / name).unlink()
    code, text = run("plan", "--root", str(root), "--connections", "10k")
    assert (code, text.startswith("cannot say")) == (2, True)


def test_a_zone_of_another_name_makes_no_headroom_of_memory(report: Report, tmp_path: Path) -> None:
    for path in ("proc/zoneinfo", "proc/buddyinfo"):
        root = copy_recording("6.12-4n", "established", tmp_path / path)
        edit(root, path, "^Node 3, zone   Normal", "Node 3, zone   Nozmal")
        found = report(root)
        assert {found["sources"][name]["state"] for name in ("zoneinfo", "buddyinfo")} == {"strange"}
        assert found["headroom"]["sockets"] is None
        assert all(node["free_bytes"] <= node["memory_bytes"] for node in found["nodes"])


@pytest.mark.parametrize("reserve", ["0", "255", "-7", "99999999999"])
def test_the_error_of_the_buffers_is_not_known_of_an_impossible_reserve(
    reserve: str, report: Report, tmp_path: Path
) -> None:
    root = copy_recording("6.12-4n", "halfclosed", tmp_path)
    write_tree(root, {"proc/sys/net/core/mem_pcpu_rsv": f"{reserve}\n"})
    found = report(root)
    assert found["sources"]["sysctls"]["state"] == "strange"
    [limit] = [each for each in found["limits"] if each["name"] == "tcp_mem"]
    assert limit["used_error"] == 0, "the kernel compares the count itself"
    assert found["sockets"]["buffer_error_bytes"] is None
    assert not found["tcp_memory"]["complete"]


def test_the_errors_of_counters_are_of_the_cpus_of_the_machine(report: Report, tmp_path: Path) -> None:
    """The machine has 8 CPUs; a container with its own meminfo (lxcfs) also shows its own CPUs."""
    root = copy_recording("6.12-4n", "halfclosed", tmp_path)
    before = report(root)["sockets"]["buffer_error_bytes"]
    write_tree(root, {"sys/devices/system/cpu/online": "0\n"})
    found = report(root)
    assert (found["sources"]["topology"]["state"], found["sockets"]["buffer_error_bytes"]) == ("strange", before)
    edit(root, "proc/meminfo", r"^MemTotal: +\d+", "MemTotal: 1048576")
    edit(root, "proc/meminfo", r"^MemFree: +\d+", "MemFree: 500000")
    edit(root, "proc/meminfo", r"^MemAvailable: +\d+", "MemAvailable: 500000")
    found = report(root)
    assert (found["sources"]["topology"]["state"], found["sockets"]["buffer_error_bytes"]) == ("ok", before)


@pytest.mark.parametrize(
    "arguments", [("--json",), ("-o",), ("explain", "TCP"), ("plan", "--connections", "100"), ("check", "memory")]
)
def test_no_file_stays_open(run: Run, arguments: tuple[str, ...]) -> None:
    """A program that calls `main` in a loop must not run out of file descriptors."""
    root = str(tree("6.1-4n", "established"))
    run(*arguments, "--root", root)
    before = len(list(Path("/proc/self/fd").iterdir()))
    run(*arguments, "--root", root)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_more_is_idle_than_its_bound_where_there_are_fewer_sockets_than_objects(
    report: Report, tmp_path: Path
) -> None:
    """16 016 socks are active, and no CPU can have cached so many that 8 001 are in use."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    average = report(root)["bytes_per_connection"]["full"]["now_bytes"]
    for name in ("protocols", "snmp"):
        (root / "proc/net" / name).unlink()
    write_tree(root, {"proc/net/sockstat": "sockets: used 8001\nTCP: inuse 8001 orphan 0 tw 0 alloc 8001 mem 0\n"})
    found = report(root)
    cost, of_slab = found["bytes_per_connection"]["full"], found["slab_memory"]
    assert cost["now_bytes"] > average
    assert cost["idle_bytes_per_socket"] * 8001 <= of_slab["idle_bytes"] + of_slab["idle_error_bytes"]
