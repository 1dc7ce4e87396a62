"""`tcptop diff` compared with `tcptop --json` of both trees: a figure that is a bound in a report is a bound in the
difference.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import forked_program
import pytest
from recorded import copy_recording, slab_rows, tree, write_buffers
from test_diff_command import diff_output

Json = dict[str, Any]

V6_SHARE_BYTES = 8 * 4096 / 13
"""A TCPv6 sock's share of its slab in the recordings of 6.1."""


def difference(before: Path, after: Path) -> Json:
    found: Json = json.loads(diff_output("--json", str(before), str(after)))
    return found


def report(root: Path) -> Json:
    done = forked_program.run("--json", "--root", root)
    assert done.returncode == 0, done.stderr
    found: Json = json.loads(done.stdout)
    return found


def part(growth: Json, name: str) -> Json:
    return next(each for each in growth["parts"] if each["part"] == name)


def replace(path: Path, pattern: str, text: str) -> None:
    """Replaces the only match of a pattern in a file."""
    content, count = re.subn(pattern, text, path.read_text(), flags=re.MULTILINE)
    assert count == 1, pattern
    path.write_text(content)


def set_row(root: Path, name: str, active: int, objects: int, slabs: int) -> None:
    """Changes the counts of a cache in slabinfo and sysfs, and the sums of /proc/meminfo by the same bytes."""
    slabinfo, meminfo = root / "proc/slabinfo", root / "proc/meminfo"
    [line] = re.findall(rf"^{name} +\d+ +\d+ (.*) : slabdata +(\d+)", slabinfo.read_text(), re.MULTILINE)
    sizes, pages = line[0], int(line[0].split()[2])
    pattern = rf"^{name} .*$"
    replace(slabinfo, pattern, f"{name} {active} {objects} {sizes} : slabdata {slabs} {slabs} 0")
    add_slab_kib(meminfo, (slabs - int(line[1])) * pages * 4)
    for attribute, number in (("slabs", slabs), ("total_objects", objects)):
        if (file := root / "sys/kernel/slab" / name / attribute).exists():
            file.write_text(f"{number} N0={number}\n")


def add_slab_kib(meminfo: Path, more: int) -> None:
    """Changes Slab and SUnreclaim by the same amount."""
    for field in ("Slab", "SUnreclaim"):
        [amount] = re.findall(rf"^{field}: +(\d+) kB", meminfo.read_text(), re.MULTILINE)
        replace(meminfo, rf"^{field}: .*$", f"{field}: {int(amount) + more} kB")


def grow_row(root: Path, name: str, more: int) -> None:
    """Adds full slabs for `more` objects to a row."""
    row = slab_rows((root / "proc/slabinfo").read_text())[name]
    slabs = -(-more // row.per_slab)
    added = slabs * row.per_slab
    set_row(root, name, row.active + added, row.objects + added, row.slabs + slabs)


def assert_idle_is_that_of_the_reports(before: Path, after: Path, tolerance_bytes: float) -> None:
    """The growth of idle bytes is the change of `.slab_memory.idle_bytes`, within the errors.

    `tolerance_bytes` is the maximum of the bytes that became idle in shared rows.
    """
    one, two = (report(root)["slab_memory"] for root in (before, after))
    change, growth = two["idle_bytes"] - one["idle_bytes"], difference(before, after)["slab_growth"]
    assert growth["idle_bytes"] >= change - one["idle_error_bytes"] - tolerance_bytes
    assert growth["idle_high_bytes"] <= change + two["idle_error_bytes"] + tolerance_bytes
    assert abs(growth["idle_bytes"] - change) < 600_000


# Merged rows without names.


def test_growth_is_incomplete_without_the_names_of_merged_caches(tmp_path: Path) -> None:
    before, after = (copy_recording("6.1-4n", phase, tmp_path / phase) for phase in ("base", "established"))
    for root in (before, after):
        shutil.rmtree(root / "sys/kernel/slab")
    assert report(after)["tcp_memory"]["missing"] == ["tcp_bind_bucket", "tcp_bind2_bucket"]
    growth = difference(before, after)["slab_growth"]
    assert growth["complete"] is False
    assert all(any(name in each for each in growth["missing"]) for name in ("tcp_bind_bucket", "tcp_bind2_bucket"))
    assert growth["sockets_low_share"] > 0.9
    assert growth["sockets_high_share"] is None
    text = " ".join(diff_output(str(before), str(after)).split())
    assert re.search(r"sockets explain at least \d+ % of it, perhaps all", text)
    assert "caches that hold no object of a socket" not in text
    assert "caches not known to hold an object of a socket" in text


def test_an_object_missing_from_one_side_makes_the_growth_incomplete(tmp_path: Path) -> None:
    before = copy_recording("6.1-4n", "base", tmp_path)
    shutil.rmtree(before / "sys/kernel/slab")
    for pair in ((before, tree("6.1-4n", "established")), (tree("6.1-4n", "established"), before)):
        assert difference(*pair)["slab_growth"]["complete"] is False


# IPv4 and IPv6.


def test_sockets_of_the_other_family_are_not_idle() -> None:
    before, after = tree("6.1-4n", "established"), tree("6.1-4n-ipv6", "established")
    growth = difference(before, after)["slab_growth"]
    socks = part(growth, "socks")
    assert (socks["low_count"], socks["high_count"]) == (0, 0)
    more = 16_000 * (V6_SHARE_BYTES - 8 * 4096 / 14)
    assert socks["low_bytes"] <= more <= socks["high_bytes"]
    assert_idle_is_that_of_the_reports(before, after, 400_000)
    assert "socks (IPv4 and IPv6)" in diff_output(str(before), str(after))


def test_new_sockets_of_the_other_family_have_their_own_size(tmp_path: Path) -> None:
    before, after = tree("6.1-4n", "established"), copy_recording("6.1-4n", "established", tmp_path)
    for name in ("TCPv6", "sock_inode_cache", "dentry", "filp", "lsm_inode_cache", "lsm_file_cache", "kmalloc-16"):
        grow_row(after, name, 8_000)
    replace(after / "proc/net/sockstat", "alloc 16001", "alloc 24001")
    replace(after / "proc/net/sockstat6", "TCP6: inuse 0", "TCP6: inuse 8000")
    replace(after / "proc/net/protocols", r"^(TCPv6 +\d+ +)0", r"\g<1>8000")
    socks = part(difference(before, after)["slab_growth"], "socks")
    assert (socks["low_count"], socks["high_count"]) == (8_000, 8_000)
    blob = 8_000 * 16
    assert socks["low_bytes"] <= 8_000 * V6_SHARE_BYTES + blob <= socks["high_bytes"]
    assert socks["high_bytes"] - socks["low_bytes"] < 200_000
    assert_idle_is_that_of_the_reports(before, after, 400_000)


@pytest.mark.parametrize("phase", ["halfclosed", "timewait"])
def test_mini_sockets_and_request_socks_of_both_families_are_no_idle_objects(phase: str) -> None:
    before, after = tree("6.1-4n", phase), tree("6.1-4n-ipv6", phase)
    growth = difference(before, after)["slab_growth"]
    assert not {"tw_sock_TCPv6", "request_sock_TCPv6"} & {row["cache"] for row in growth["other_caches"]}
    mini_sockets = part(growth, "mini-sockets")
    assert mini_sockets["low_count"] <= 0 <= mini_sockets["high_count"]
    assert_idle_is_that_of_the_reports(before, after, 1_000_000)


# Sockets without a file.


def test_sockets_of_the_kernel_have_no_files(tmp_path: Path) -> None:
    before, after = tree("6.12-4n", "base"), copy_recording("6.12-4n", "established", tmp_path)
    rows = slab_rows((before / "proc/slabinfo").read_text())
    for name in ("filp", "dentry"):
        set_row(after, name, rows[name].active, rows[name].objects, rows[name].slabs)
    assert report(after)["bytes_per_connection"]["full"]["now_is_at_most"]
    growth = difference(before, after)["slab_growth"]
    assert part(growth, "files")["high_count"] <= rows["filp"].active
    inodes = part(growth, "inodes")
    assert 15_000 < inodes["low_count"] <= 16_000 <= inodes["high_count"]
    memory = {each["part"]: each for each in report(after)["tcp_memory"]["parts"]}
    most = sum(memory[name]["high_bytes"] for name in ("dentry", "filp", "lsm_file_cache"))
    assert part(growth, "files")["high_bytes"] < 1.2 * most + 200_000
    assert "inodes (without file)" in diff_output(str(before), str(after))


# The kind of a figure.


def test_a_missing_part_makes_averages_and_memory_lower_bounds(tmp_path: Path) -> None:
    before, after = (copy_recording("6.1-4n", phase, tmp_path / phase) for phase in ("halfclosed", "established"))
    for root in (before, after):
        (root / "sys/kernel/security/lsm").unlink()
    found, memory = difference(before, after), report(after)["tcp_memory"]
    now, tcp = found["bytes_per_connection"]["full_now_bytes"], found["tcp_memory_bytes"]
    assert memory["complete"] is False
    assert (now["before_is"], now["after_is"]) == ("at least", "at least")
    assert (tcp["after"], tcp["after_is"]) == (memory["low_bytes"], "at least")
    assert re.search(r"average now +>= 6 \d+ +>= 3 \d+", diff_output(str(before), str(after)))


def test_a_range_and_an_error_are_no_exact_figures() -> None:
    before, after = tree("6.1-4n", "halfclosed"), tree("6.1-4n", "established")
    found, reports = difference(before, after), (report(before), report(after))
    tcp, buffers = found["tcp_memory_bytes"], found["sockets"]["buffer_bytes"]
    assert reports[1]["tcp_memory"]["low_bytes"] < tcp["after"] < reports[1]["tcp_memory"]["high_bytes"]
    assert (tcp["before_is"], tcp["after_is"]) == ("about", "about")
    error = reports[0]["sockets"]["buffer_error_bytes"]
    assert (buffers["before"], buffers["before_is"]) == (reports[0]["sockets"]["buffer_bytes"], "about")
    assert (buffers["after"], buffers["after_is"]) == (reports[1]["sockets"]["buffer_bytes"] + error, "at most")
    low, high = reports[0]["sockets"]["buffer_bytes"] - error, reports[0]["sockets"]["buffer_bytes"] + error
    assert (buffers["low_change"], buffers["high_change"]) == (-high, buffers["after"] - low)
    assert (buffers["change"], buffers["change_is"]) == (buffers["after"] - low, "at most")
    assert found["bytes_per_connection"]["full_buffer_bytes_per_socket"]["before_is"] == "about"
    text = diff_output(str(before), str(after))
    assert re.search(r"  buffers +~ 32\.0 MiB +<= 8\.0 MiB +<= -16\.00M  machine$", text, re.MULTILINE)
    assert re.search(r"  kernel memory in TCP +~ \S+ MiB +~ \S+ MiB ", text)


# Order fallback.


def test_bytes_under_live_sockets_are_not_idle_after_order_fallback(tmp_path: Path) -> None:
    """Every sock has a slab of one page."""
    before, after = tree("6.1-4n", "base"), copy_recording("6.1-4n", "established", tmp_path)
    set_row(after, "TCP", 16_001, 16_002, 16_002)
    add_slab_kib(after / "proc/meminfo", -16_002 * 7 * 4)
    for name in ("slabs", "total_objects"):
        (after / "sys/kernel/slab/TCP" / name).unlink(missing_ok=True)
    socks = part(difference(before, after)["slab_growth"], "socks")
    assert socks["low_bytes"] == pytest.approx(16_000 * (4096 + 16), rel=0.01)
    assert_idle_is_that_of_the_reports(before, after, 400_000)


# Scope.


def test_time_wait_of_an_old_kernel_is_that_of_the_machine(tmp_path: Path) -> None:
    before, after = (copy_recording("6.1-4n", phase, tmp_path / phase) for phase in ("base", "timewait"))
    for root in (before, after):
        (root / "proc/sys/kernel/osrelease").write_text("4.8.0-1\n")
        replace(root / "proc/version", r"6\.1\.0-56-amd64", "4.8.0-1")
    text = diff_output(str(before), str(after))
    assert re.search(r"  TIME_WAIT +1 +8 000 +\+7 999  machine\n", text)
    assert "this netns" not in text.split("Bytes per connection")[0]
    mini_sockets = part(difference(before, after)["slab_growth"], "mini-sockets")
    assert (mini_sockets["low_count"], mini_sockets["high_count"]) == (7_999, 7_999)


# Words.


def test_overlapping_bounds_name_no_single_cause() -> None:
    """Idle memory, or the memory of other users, may have grown by the memory of the closed sockets."""
    before, after = tree("5.10-4n", "established"), tree("5.10-4n", "halfclosed")
    growth = difference(before, after)["slab_growth"]
    rows = sum(row["bytes"] for row in growth["other_caches"])
    assert growth["idle_bytes"] < growth["others_high_bytes"] + rows
    assert growth["others_low_bytes"] + rows < growth["idle_high_bytes"]
    assert "idle objects or other users made up for it" in " ".join(diff_output(str(before), str(after)).split())


@pytest.mark.parametrize("name", ["kmalloc-192", "kmalloc-cg-2k", "lsm_inode_cache"])
@pytest.mark.parametrize("lost_in", ["A", "B"])
def test_a_lost_row_of_a_cache_from_boot_has_no_change(tmp_path: Path, name: str, lost_in: str) -> None:
    """The kernel never destroys these caches, so slabinfo lost the row, and the cache did not shrink to nothing."""
    found = diff_without_row(tmp_path, name, lost_in)
    [cache] = [each for each in found["caches"] if each["cache"] == name]
    assert cache["bytes"]["before" if lost_in == "A" else "after"] is None
    assert cache["bytes"]["change"] is None
    growth = found["slab_growth"]
    assert not growth["complete"]
    assert f"{name} (in slabinfo of one input only: its row is lost)" in growth["missing"]
    assert (growth["other_caches"], growth["idle_bytes"], growth["no_cache_bytes"]) == (None, None, None)


def test_a_row_of_a_cache_that_may_be_destroyed_is_named(tmp_path: Path) -> None:
    growth = diff_without_row(tmp_path, "nfs_inode_cache", "B", extra=True)["slab_growth"]
    why = "the cache was created or destroyed, or its row is lost"
    assert f"nfs_inode_cache (in slabinfo of one input only: {why})" in growth["missing"]
    assert not growth["complete"]
    assert {"cache": "nfs_inode_cache", "bytes": -40960} in growth["other_caches"]


def diff_without_row(folder: Path, name: str, lost_in: str, extra: bool = False) -> Json:
    """The difference of two trees, of which one has lost a row; with `extra`, the other tree alone has a new row."""
    roots = {letter: copy_recording("6.1-4n", phase, folder) for letter, phase in (("A", "base"), ("B", "established"))}
    if extra:
        with (roots["A"] / "proc/slabinfo").open("a") as file:
            file.write(f"{name} 40 40 1024 4 1 : tunables 0 0 0 : slabdata 10 10 0\n")
    else:
        slabinfo = roots[lost_in] / "proc/slabinfo"
        text, number = re.subn(rf"^{name} .*\n", "", slabinfo.read_text(), flags=re.MULTILINE)
        assert number == 1
        slabinfo.write_text(text)
    return difference(roots["A"], roots["B"])


# Changes of bounds.


def test_two_upper_bounds_have_no_change() -> None:
    pair = (tree("6.1-4n", "base"), tree("6.1-4n", "timewait"))
    mini_sockets = difference(*pair)["sockets"]["time_wait_machine_max"]
    assert (mini_sockets["before_is"], mini_sockets["after_is"]) == ("at most", "at most")
    assert mini_sockets["before"] < mini_sockets["after"]
    assert (mini_sockets["change"], mini_sockets["change_is"]) == (None, "unknown")
    assert re.search(r"TIME_WAIT +<= \d+ +<= [\d ]+ unknown +all netns", diff_output(*map(str, pair)))


def test_equal_estimates_with_other_bounds_are_no_sign_of_no_change(tmp_path: Path) -> None:
    """The counter of buffers is within its error of 2 048 pages in both, so that no estimate of buffers changes."""
    before = copy_recording("6.1-4n", "established", tmp_path / "before")
    after = write_buffers(copy_recording("6.1-4n", "established", tmp_path / "after"), 2_000)
    memory = difference(before, after)["tcp_memory_bytes"]
    one, two = (report(root)["tcp_memory"] for root in (before, after))
    assert memory["before"] == memory["after"]
    assert (memory["change"], memory["change_is"]) == (None, "unknown")
    assert memory["low_change"] == two["low_bytes"] - one["high_bytes"] < 0
    assert memory["high_change"] == two["high_bytes"] - one["low_bytes"] > 8 << 20
    text = diff_output(str(before), str(after))
    assert re.search(r"^the same number of sockets: kernel memory -\d\S+ to \+\d\S+ MiB$", text, re.MULTILINE)
    assert re.search(r"^  kernel memory in TCP +~ (\S+ MiB) +~ \1 +unknown$", text, re.MULTILINE)


def test_a_change_whose_bounds_have_both_signs_is_unknown_beside_its_estimates() -> None:
    pair = (tree("6.1-4n", "established"), tree("6.1-4n", "halfclosed"))
    memory = difference(*pair)["tcp_memory_bytes"]
    assert memory["low_change"] < 0 < memory["high_change"]
    assert (memory["change"], memory["change_is"]) == (None, "unknown")
    assert re.search(
        r"  kernel memory in TCP +~ \S+ MiB +~ \S+ MiB +unknown$", diff_output(*map(str, pair)), re.MULTILINE
    )


def test_the_same_figures_with_the_same_bounds_are_no_change() -> None:
    pair = (tree("6.1-4n", "established"), tree("6.1-4n", "established"))
    memory = difference(*pair)["tcp_memory_bytes"]
    assert (memory["change"], memory["change_is"]) == (0, "about")
    text = diff_output(*map(str, pair))
    assert "the same number of sockets: ~ 0 B of kernel memory" in text
    assert "unknown" not in text


def test_bounds_of_one_sign_are_a_bound_on_the_change() -> None:
    pair = (tree("6.1-4n", "established"), tree("6.1-4n", "halfclosed"))
    for order, sign, kind in ((pair, 1, "at least"), (pair[::-1], -1, "at most")):
        buffers = difference(*order)["sockets"]["buffer_bytes"]
        assert (buffers["change"], buffers["change_is"]) == (sign * (16 << 20), kind)
        assert sorted((buffers["low_change"], buffers["high_change"])) == sorted((sign * (16 << 20), sign * (40 << 20)))
    assert re.search(
        r"  buffers +<= 8\.0 MiB +~ 32\.0 MiB +>= \+16\.00M  machine$", diff_output(*map(str, pair)), re.MULTILINE
    )


def test_an_upper_bound_of_0_is_0() -> None:
    """With slub_debug, no free object is on a CPU's list, and no mini-socket is open in `established`."""
    pair = (tree("6.1-4n-slubdebug", "base"), tree("6.1-4n-slubdebug", "established"))
    found = difference(*pair)
    [requests] = [row["sockets"] for row in found["states"] if row["state"] == "SYN_RECV"] or [None]
    mini_sockets = found["sockets"]["time_wait_machine_max"]
    for change in filter(None, (requests, mini_sockets)):
        for side in ("before", "after"):
            assert change[f"{side}_is"] == ("at most" if change[side] else "exact")
    assert mini_sockets["after"] == 0
    assert "<= 0" not in diff_output(*map(str, pair))


def test_an_estimate_has_an_estimated_change() -> None:
    pair = (tree("6.1-4n", "base"), tree("6.1-4n", "established"))
    memory = difference(*pair)["tcp_memory_bytes"]
    assert (memory["before_is"], memory["after_is"], memory["change_is"]) == ("about", "about", "about")
    assert re.search(r"kernel memory in TCP +~ \S+ KiB +~ \S+ MiB +~ \+\d", diff_output(*map(str, pair)))


def test_an_incomplete_socket_of_the_headroom_is_a_lower_bound(tmp_path: Path) -> None:
    roots = [copy_recording("6.1-4n", phase, tmp_path / phase) for phase in ("base", "established")]
    for root in roots:
        (root / "sys/kernel/security/lsm").unlink()
    headroom = difference(*roots)["headroom"]["bytes_per_socket"]
    assert (headroom["before_is"], headroom["after_is"], headroom["change"]) == ("at least", "at least", None)
    text = " ".join(diff_output(*map(str, roots)).split())
    assert re.search(r"SOCKETS FIT counts sockets of >= 3 \d+ B", text)


def test_a_socket_whose_buffers_may_be_larger_is_a_lower_bound(tmp_path: Path) -> None:
    """Sockstat charges 3 670 B for a socket whose segments take 578 B; without slabinfo, it may be any."""
    full, cut = tree("7.3-4n", "halfclosed"), cut_copy("7.3-4n", "halfclosed", tmp_path, "proc/slabinfo")
    found = difference(full, cut)
    size = found["headroom"]["bytes_per_socket"]
    assert (size["before_is"], size["after_is"], size["change"]) == ("at least", "at least", None)
    buffers = found["headroom"]["buffer_bytes"]
    assert (buffers["after"], buffers["after_is"]) == (0, "at least")


def test_what_fits_a_node_has_the_end_that_its_report_shows() -> None:
    """Where the buffers are a range, `-o` shows the least number; without buffers, the number is exact."""
    exact, ranged = tree("6.1-4n", "established"), tree("6.1-4n", "halfclosed")
    done = forked_program.run("-o", "--root", ranged)
    least = [int(found.replace(" ", "")) for found in re.findall(r"fits >= ([\d ]+) more sockets in", done.stdout)]
    assert len(least) == 4
    for pair in ((exact, ranged), (ranged, exact)):
        text = diff_output(*map(str, pair))
        lines = text.split("SOCKETS FIT A")[1].splitlines()[1:5]
        shown = {int(line.split()[0]): re.findall(r">= (\d+ \d{3})", line) for line in lines}
        for node, number in enumerate(least):
            [found] = shown[node]
            assert int(found.replace(" ", "")) == pytest.approx(number, rel=0.01)
        assert all(line.endswith("  -") for line in lines)
        assert re.search(r"sockets of .*3 \d+ to \d+ \d+ B \(average", " ".join(text.split()))
        for row in difference(*pair)["nodes"]:
            fits = row["headroom_sockets"]
            end, other = ("low_change", "high_change") if pair[0] == exact else ("high_change", "low_change")
            assert fits["change"] == fits[other]
            assert abs(fits[end]) > 100_000 > abs(fits[other])


# Sizes that one input does not show.


def cut_copy(kernel: str, phase: str, folder: Path, *names: str) -> Path:
    root = copy_recording(kernel, phase, folder)
    for name in names:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return root


NO_SIZES = ("proc/slabinfo", "sys/kernel/slab")


@pytest.mark.parametrize("kernel", ["5.10-4n", "6.1-4n-slubdebug", "6.12-arm64-16k-4n", "6.18-1n", "7.3-4n"])
def test_sockets_do_not_grow_because_one_input_lacks_their_size(kernel: str, tmp_path: Path) -> None:
    full, cut = tree(kernel, "established"), cut_copy(kernel, "established", tmp_path, *NO_SIZES)
    for pair in ((full, cut), (cut, full)):
        growth = difference(*pair)["slab_growth"]
        # On 6.18-1n, sockets of both families are open, and nothing shows how many of each.
        assert kernel == "6.18-1n" or "socks" not in {each["part"] for each in growth["parts"]}
        assert all(each["low_bytes"] <= 0 <= each["high_bytes"] for each in growth["parts"])
        assert growth["complete"] is False


def test_new_sockets_have_the_size_that_the_other_input_shows(tmp_path: Path) -> None:
    base = tree("6.1-4n", "base")
    whole = part(difference(base, tree("6.1-4n", "established"))["slab_growth"], "socks")
    cut = cut_copy("6.1-4n", "established", tmp_path, *NO_SIZES)
    socks = part(difference(base, cut)["slab_growth"], "socks")
    assert socks["low_count"] == socks["high_count"] == whole["low_count"]
    assert socks["low_bytes"] <= whole["high_bytes"]
    assert whole["low_bytes"] <= socks["high_bytes"]
    assert socks["low_bytes"] > 16_000 * 8 * 4096 / 14


# Rows that are merged otherwise.


@pytest.mark.parametrize(("one", "two"), [("6.1-4n", "6.1-4n-nomerge"), ("6.1-4n-slubdebug", "6.1-4n")])
def test_rows_that_count_other_caches_have_no_change(one: str, two: str) -> None:
    """With slab_nomerge, `pid` counts no bind buckets; without, no row has the name of the bind buckets."""
    pair = (tree(one, "established"), tree(two, "established"))
    found = difference(*pair)
    rows = {row["cache"]: row for row in found["caches"]}
    for name in ("pid", "anon_vma_chain", "tcp_bind_bucket", "tcp_bind2_bucket"):
        assert [rows[name][key]["change"] for key in ("objects", "active_objects", "slabs", "bytes")] == [None] * 4
        assert rows[name]["tcp_bytes"]["change"] is None
    assert rows["dentry"]["bytes"]["change"] is not None
    growth = found["slab_growth"]
    assert growth["other_caches"] is None
    assert sum("merged with other caches" in text for text in growth["missing"]) == 1
    text = diff_output(*map(str, pair))
    assert "what else it is, is not known: the rows do not count the same caches" in " ".join(text.split())
    assert len(text.split("Slab caches")[0].splitlines()) < 50
