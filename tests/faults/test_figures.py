"""Figures that were wrong in a released version, through the command line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from program import CHECKOUT, output, report, text_report
from recorded import release_files, without_security_caches, write_tree

RECORDINGS = CHECKOUT / "tests/recordings"
FRAGMENTED = Path(__file__).resolve().parent / "recordings/6.1-2n-fragmented"
PAGE_BYTES = 4096

Json = dict[str, Any]
Rows = dict[str, list[str]]


def copied(destination: Path, kernel: str, phase: str) -> Path:
    return Path(shutil.copytree(RECORDINGS / kernel / phase, destination / f"{kernel}-{phase}", symlinks=True))


def slab_rows(root: Path) -> Rows:
    lines = (root / "proc/slabinfo").read_text().splitlines()[2:]
    return {line.split()[0]: line.split() for line in lines}


def change_row(root: Path, name: str, columns: Mapping[int, int | str]) -> None:
    path = root / "proc/slabinfo"
    lines = path.read_text().splitlines()
    for at, line in enumerate(lines):
        words = line.split()
        if words[0] == name:
            for column, number in columns.items():
                words[column] = str(number)
            lines[at] = " ".join(words)
    path.write_text("\n".join(lines) + "\n")


def share_of(row: list[str]) -> float:
    return int(row[5]) * PAGE_BYTES / int(row[4])


def bytes_of(row: list[str]) -> int:
    return int(row[14]) * int(row[5]) * PAGE_BYTES


def sockstat(root: Path, field: str) -> int:
    words = (root / "proc/net/sockstat").read_text().split()
    return int(words[words.index(field) + 1])


def accepted(root: Path) -> Json:
    side: Json = report(root)["bytes_per_connection"]["full"]["mix"]["accepted"]
    return side


def parts_of(side: Json) -> set[str]:
    return {part["object"] for part in side["parts"]}


# The caches of security modules.


@pytest.mark.parametrize("files", [7950, 4000])
@pytest.mark.parametrize("cache", ["lsm_file_cache", "lsm_inode_cache"])
def test_sockets_in_an_accept_queue_prove_no_unused_security_cache(tmp_path: Path, cache: str, files: int) -> None:
    """16 001 sockets, of which 8 000 wait for accept() and have no file; the inodes' row counts free objects too."""
    root = copied(tmp_path, "6.1-4n", "unaccepted")
    change_row(root, cache, {1: files, 2: max(files, int(slab_rows(root)[cache][2]))})
    shutil.rmtree(root / "sys/kernel/slab" / (root / "sys/kernel/slab" / cache).resolve().name)
    of = {"lsm_file_cache": "LSM file blob", "lsm_inode_cache": "LSM inode blob"}[cache]
    side = accepted(root)
    assert of in parts_of(side) or not side["complete"]


def test_an_unused_security_cache_is_no_part(tmp_path: Path) -> None:
    """SELinux is built into the kernel, and not active."""
    root = copied(tmp_path, "6.1-4n", "established")
    change_row(root, "lsm_file_cache", {0: "selinux_file_security", 1: 0, 2: 0, 13: 0, 14: 0})
    for count in ("slabs", "total_objects"):
        (root / "sys/kernel/slab/lsm_file_cache" / count).unlink()
    (root / "sys/kernel/slab/lsm_file_cache").rename(root / "sys/kernel/slab/selinux_file_security")
    side = accepted(root)
    assert "LSM file blob" not in parts_of(side)
    assert side["complete"]


# Security modules.

MODULES = "sys/kernel/security/lsm"


@pytest.mark.parametrize("unknown", ["newlsm", "apparmor2", "SELinux", "crowdsec"])
@pytest.mark.parametrize("others", ["capability", "capability,landlock,yama,bpf", "lockdown,capability,apparmor"])
def test_an_unknown_security_module_is_missing(tmp_path: Path, unknown: str, others: str) -> None:
    root = copied(tmp_path, "6.1-4n", "established")
    (root / MODULES).write_text(f"{others},{unknown}")
    side = accepted(root)
    assert not side["complete"]
    assert any(unknown in name for name in side["missing"])
    assert ("LSM socket blob" in parts_of(side)) == ("apparmor" in others)


@pytest.mark.parametrize(
    "names", ["capability", "lockdown,capability,landlock,yama,bpf", "tomoyo,ima,evm,ipe,integrity"]
)
def test_known_modules_without_a_blob_leave_the_figure_complete(tmp_path: Path, names: str) -> None:
    root = copied(tmp_path, "6.1-4n", "established")
    (root / MODULES).write_text(names)
    without_security_caches(root, "lsm_file_cache", "lsm_inode_cache")
    side = accepted(root)
    assert side["complete"]
    assert "LSM socket blob" not in parts_of(side)


def test_the_reason_why_btf_is_not_read_claims_nothing_of_an_unknown_list(tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n", "established")
    (root / MODULES).unlink()
    for path in (root / "proc/filesystems", root / "sys/module"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    found = report(root)
    assert found["sources"]["security_modules"]["state"] != "ok"
    reason = found["sources"]["btf"]["reason"]
    assert "no security module" not in reason
    assert "not known" in reason


def test_the_reason_why_btf_is_not_read_names_an_unknown_module(tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n", "established")
    (root / MODULES).write_text("capability,newlsm")
    assert "newlsm" in report(root)["sources"]["btf"]["reason"]


# TIME_WAIT.

TIME_WAIT_SETS = ("5.10-4n", "6.1-1n", "6.1-4n", "6.1-4n-ipv6", "6.12-4n", "7.3-4n")


@pytest.mark.parametrize("kernel", TIME_WAIT_SETS)
def test_the_average_mini_socket_is_not_below_the_truth(kernel: str) -> None:
    root = RECORDINGS / kernel / "timewait"
    rows = slab_rows(root)
    size = sum(bytes_of(rows[name]) for name in ("tw_sock_TCP", "tw_sock_TCPv6"))
    cost = report(root)["bytes_per_connection"]["time_wait"]
    assert cost["now_bytes"] == pytest.approx(size / sockstat(root, "tw"), abs=0.02)


def test_an_average_that_is_an_upper_bound_is_said_to_be(tmp_path: Path) -> None:
    """Mini-sockets that are not counted here may be in other network namespaces."""
    root = copied(tmp_path, "6.1-4n", "timewait")
    path = root / "proc/net/sockstat"
    path.write_text(re.sub(r"tw \d+", "tw 1000", path.read_text()))
    row = slab_rows(root)["tw_sock_TCP"]
    cost = report(root)["bytes_per_connection"]["time_wait"]
    assert cost["now_is_at_most"]
    assert bytes_of(row) / int(row[1]) < cost["now_bytes"] < bytes_of(row) / 1000
    assert re.search(r"average now +≤|average now +<=", text_report(root))


# Growth.


def growth(before: Path, after: Path) -> Json:
    found: Json = json.loads(output("diff", "--json", before, after))["slab_growth"]
    return found


def part(found: Json, name: str) -> Json | None:
    return next((each for each in found["parts"] if each["part"] == name), None)


@pytest.mark.parametrize("kernel", ["5.10-4n", "6.1-4n", "6.12-4n", "7.3-4n"])
def test_active_request_socks_may_all_be_free(kernel: str) -> None:
    before, after = (RECORDINGS / kernel / phase for phase in ("base", "established"))
    requests = part(growth(before, after), "request socks")
    assert requests is not None
    active = [
        sum(int(slab_rows(root)[f"request_sock_{name}"][1]) for name in ("TCP", "TCPv6")) for root in (before, after)
    ]
    assert requests["low_count"] <= 0 <= requests["high_count"]
    assert (requests["low_count"], requests["high_count"]) == (-active[0], active[1])


@pytest.mark.parametrize("kernel", ["5.10-4n", "6.1-4n", "6.12-4n", "7.3-4n"])
def test_unread_fins_are_a_part_of_the_growth(kernel: str) -> None:
    """8 000 sockets in CLOSE_WAIT, each with the FIN in its queue."""
    found = growth(RECORDINGS / kernel / "established", RECORDINGS / kernel / "halfclosed")
    fins = part(found, "queued FINs, data")
    assert fins is not None
    assert fins["low_count"] == 0
    assert 8000 <= fins["high_count"] < 9200
    assert 1000 < fins["high_bytes"] / fins["high_count"] < 1700


@pytest.mark.parametrize("kernel", ["5.10-4n", "6.1-4n", "6.12-4n", "7.3-4n"])
def test_fins_that_were_read_are_a_part_of_what_shrank(kernel: str) -> None:
    found = growth(RECORDINGS / kernel / "halfclosed", RECORDINGS / kernel / "timewait")
    fins = part(found, "queued FINs, data")
    assert fins is not None
    assert -9200 < fins["low_count"] <= -8000
    assert fins["high_count"] >= 0


@pytest.mark.parametrize("kernel", ["5.10-4n", "6.1-4n", "6.12-4n", "7.3-4n"])
@pytest.mark.parametrize("phase", ["established", "halfclosed", "timewait"])
def test_free_objects_in_tcps_own_rows_are_idle(kernel: str, phase: str) -> None:
    before, after = RECORDINGS / kernel / "base", RECORDINGS / kernel / phase
    found = growth(before, after)
    own = "TCP", "TCPv6"
    size = sum(bytes_of(slab_rows(after)[name]) - bytes_of(slab_rows(before)[name]) for name in own)
    used = (sockstat(after, "alloc") - sockstat(before, "alloc")) * share_of(slab_rows(after)["TCP"])
    assert found["idle_high_bytes"] >= (size - used) * 0.99
    rest = sum(row["bytes"] for row in found["other_caches"]) + found["no_cache_bytes"]
    highs = found["idle_high_bytes"] + found["others_high_bytes"] + found["sockets_low_bytes"]
    assert highs + rest == pytest.approx(found["bytes"], abs=2)


# Upper ends.


def test_every_side_and_part_has_an_upper_end() -> None:
    root = RECORDINGS / "6.1-4n/established"
    found = report(root)
    text = text_report(root)
    for mode in found["bytes_per_connection"].values():
        for family in ("ipv4", "ipv6", "mix"):
            for side in mode[family].values():
                assert side["high_slab_bytes"] >= side["slab_bytes"]
                highs = [each["high_slab_bytes"] for each in side["parts"]]
                assert side["high_slab_bytes"] == pytest.approx(sum(highs), abs=0.05)
    for state in found["states"]:
        for name in ("accepted", "outgoing"):
            assert state[name] is None or state[name]["high_slab_bytes"] >= state[name]["slab_bytes"]
    side = found["bytes_per_connection"]["full"]["mix"]["accepted"]
    high = f"{ceil(side['high_slab_bytes']):,}".replace(",", " ")
    assert f"up to {high} B with" in text


def test_a_side_with_a_missing_part_has_no_upper_end(tmp_path: Path) -> None:
    root = copied(tmp_path, "6.1-4n", "established")
    (root / MODULES).write_text("capability,newlsm")
    side = accepted(root)
    assert side["missing"]
    assert side["high_slab_bytes"] is None


def test_a_range_is_no_exact_figure_in_a_difference() -> None:
    change = json.loads(output("diff", "--json", RECORDINGS / "6.1-4n/base", RECORDINGS / "6.1-4n/established"))
    accepted_bytes = change["bytes_per_connection"]["full_accepted_bytes"]
    assert (accepted_bytes["before_is"], accepted_bytes["after_is"]) == ("about", "about")


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.12-4n", "5.10-4n"])
def test_shares_are_rounded_after_they_are_multiplied(kernel: str) -> None:
    root = RECORDINGS / kernel / "established"
    found, rows = report(root)["tcp_memory"]["parts"], slab_rows(root)
    checked = 0
    for each in found:
        if each["part"] in ("sock_inode_cache", "dentry", "lsm_inode_cache"):
            assert each["high_bytes"] == round(each["count"] * share_of(rows[each["part"]])), each["part"]
            checked += 1
    assert checked


# Order fallback: SLUB takes slabs of a smaller order where no larger block is free.


def fallback_size(row: list[str]) -> int:
    """Size of a cache with slabs of two orders, from the counts of objects and slabs."""
    objects, size, per_slab, pages, slabs = (int(row[at]) for at in (2, 3, 4, 5, 14))
    small_pages = 1
    while small_pages * PAGE_BYTES < size:
        small_pages *= 2
    per_small = small_pages * PAGE_BYTES // size
    if objects == slabs * per_slab:
        return slabs * pages * PAGE_BYTES
    full, rest = divmod(objects - slabs * per_small, per_slab - per_small)
    assert rest == 0, row
    return (full * pages + (slabs - full) * small_pages) * PAGE_BYTES


def test_the_recording_has_an_order_fallback() -> None:
    row = slab_rows(FRAGMENTED / "established")["TCP"]
    assert int(row[2]) < int(row[14]) * int(row[4])
    assert fallback_size(row) < bytes_of(row) / 3


def test_slabs_of_two_orders_leave_no_more_unexplained_than_before() -> None:
    """The kernel's counter of slab pages minus the rows of slabinfo; the difference is the same before and after order
    fallback.
    """
    unexplained = {
        report(FRAGMENTED / phase)["slab_memory"]["unexplained_bytes"]
        for phase in ("base", "established", "halfclosed")
    }
    assert len(unexplained) == 1


@pytest.mark.parametrize("phase", ["established", "halfclosed"])
def test_the_figures_after_order_fallback(phase: str) -> None:
    root = FRAGMENTED / phase
    found, rows = report(root), slab_rows(root)
    caches = {cache["name"]: cache for cache in found["caches"]}
    for name in ("TCP", "sock_inode_cache", "tw_sock_TCP", "request_sock_TCP", "dentry"):
        assert caches[name]["bytes"] == fallback_size(rows[name]), name
    sockets, objects, active = sockstat(root, "alloc"), int(rows["TCP"][2]), int(rows["TCP"][1])
    size = fallback_size(rows["TCP"])
    free = (objects - sockets) * size / objects
    full = found["bytes_per_connection"]["full"]
    assert full["idle_bytes_per_socket"] == pytest.approx(free / sockets, abs=0.02)
    idle_rows = [rows[name] for name in ("TCP", "tw_sock_TCP", "request_sock_TCP")]
    idle = sum(fallback_size(row) * (1 - int(row[1]) / int(row[2])) for row in idle_rows)
    assert found["slab_memory"]["idle_bytes"] == pytest.approx(idle, abs=PAGE_BYTES)
    assert active >= sockets
    inode = fallback_size(rows["sock_inode_cache"]) / int(rows["sock_inode_cache"][2])
    assert full["now_bytes"] > size / sockets + inode


def test_a_share_of_a_shared_cache_is_that_of_its_present_slabs() -> None:
    root = FRAGMENTED / "established"
    row = slab_rows(root)["sock_inode_cache"]
    inodes = next(each for each in report(root)["tcp_memory"]["parts"] if each["part"] == "sock_inode_cache")
    assert inodes["bytes"] == pytest.approx(inodes["count"] * fallback_size(row) / int(row[2]), abs=1)
    assert inodes["bytes"] > 1.04 * inodes["count"] * share_of(row)


# Names of functions.

NAMES = {
    "5.10.0-32-amd64": (
        "__alloc_file()",
        "memcg_alloc_page_obj_cgroups()",
        "inet_twsk_hashdance()",
        "sk_stream_alloc_skb()",
    ),
    "6.1.0-56-amd64": (
        "__alloc_file()",
        "memcg_alloc_slab_cgroups()",
        "inet_twsk_hashdance()",
        "tcp_stream_alloc_skb()",
    ),
    "6.12.1": ("init_file()", "alloc_slab_obj_exts()", "inet_twsk_hashdance_schedule()", "tcp_stream_alloc_skb()"),
}
ALL_NAMES = {name for names in NAMES.values() for name in names}


def explained(root: Path) -> str:
    return "".join(output("explain", page, "--root", root) for page in ("accept", "time_wait", "socket"))


@pytest.mark.parametrize("release", NAMES)
def test_functions_have_the_names_of_the_kernels_release(tmp_path: Path, release: str) -> None:
    root = copied(tmp_path, "6.1-4n", "established")
    write_tree(root, release_files(release))
    text = explained(root)
    assert {name for name in ALL_NAMES if re.search(rf"(?<!\w){re.escape(name)}", text)} == set(NAMES[release])
    assert f"as in Linux {'.'.join(release.split('.')[:2])}." in text


def test_no_figure_relies_on_a_release_that_another_file_contradicts(tmp_path: Path) -> None:
    """Without mem_pcpu_rsv, the release decides how far the counter of buffers may be off."""
    root = copied(tmp_path, "6.1-4n", "established")
    (root / "proc/sys/net/core/mem_pcpu_rsv").unlink()
    write_tree(root, release_files("5.15.0"))
    assert report(root)["sockets"]["buffer_error_bytes"] == 0
    (root / "proc/sys/kernel/osrelease").write_text("6.1.0-56-amd64\n")
    found = report(root)
    assert found["sources"]["sysctls"]["state"] == "strange"
    assert "two releases of the kernel" in found["sources"]["sysctls"]["reason"]
    assert (found["host"]["kernel"], found["sockets"]["buffer_error_bytes"]) == (None, None)
    assert not found["tcp_memory"]["complete"]
    assert "two releases of the kernel" in text_report(root)


def test_kallsyms_decides_between_two_names(tmp_path: Path) -> None:
    """A vendor's kernel may have functions of later releases."""
    root = copied(tmp_path, "6.1-4n", "established")
    (root / "proc/kallsyms").write_text(
        "0000000000000000 t init_file\n0000000000000000 T inet_twsk_hashdance_schedule.part.0\t[tcp]\n"
        "0000000000000000 t memcg_alloc_slab_cgroups\n"
    )
    text = explained(root)
    assert "init_file()" in text
    assert "__alloc_file()" not in text
    assert "inet_twsk_hashdance_schedule()" in text
    assert "memcg_alloc_slab_cgroups()" in text
    assert "as in Linux 6.1, held against /proc/kallsyms" in text


@pytest.mark.parametrize("page", ["accept", "tcp_bind2_bucket"])
def test_a_listener_on_any_address_shares_no_bind2_bucket(page: str) -> None:
    text = " ".join(output("explain", page, "--root", RECORDINGS / "6.1-4n/established").split())
    assert "one for each local address" in text
    if page == "accept":
        assert "TPROXY" in text
