"""The page of relations: members and offsets as pahole(1) prints them for BTF of 6.1, 6.12 and 7.3, and without BTF.

`btf/RELEASE.xz` is BTF of Debian's kernels, cut by tests/trim_btf.py to the structs of the page.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from recorded import copy_recording, ledger, release_files, tree, write_tree

from tcptop.explanation.pages import find_page
from tcptop.kernel.relations import DRAWINGS, member_of, member_paths
from tcptop.sources.btf import parse
from tcptop.text.line import text_of

PROJECT = Path(__file__).resolve().parents[2]
SK = "inet_conn.icsk_inet.sk"
COMMON = {
    "files_struct": {"fdt": 32},
    "fdtable": {"fd": 8},
    "socket_alloc": {"socket": 0, "vfs_inode": 128, "socket.file": 16, "socket.sk": 24, "socket.wq": 64},
    "tcp_sock": {f"{SK}.__sk_common.skc_nulls_node": 104, f"{SK}.__sk_common.skc_bind_node": 24},
    "inet_bind_bucket": {"node": 48},
    "inet_bind2_bucket": {"node": 32},
    "tcp_timewait_sock": {"tw_sk.tw_tb": 200, "tw_sk.tw_tb2": 208, "tw_sk.__tw_common.skc_nulls_node": 104},
}
"""Offsets that pahole(1) prints for all three kernels; those of nested structs are sums."""
PAHOLE: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "6.1": {
        "file": {"f_path.dentry": 16 + 8, "f_inode": 32, "private_data": 200},
        "dentry": {"d_child": 144, "d_subdirs": 160, "d_u.d_alias": 176, "d_inode": 48, "d_parent": 24, "d_lru": 128},
        "socket_alloc": {"vfs_inode.i_dentry": 128 + 312, "vfs_inode.i_data": 128 + 376},
        "tcp_sock": {
            f"{SK}.sk_socket": 624,
            f"{SK}.sk_wq": 296,
            f"{SK}.sk_bind2_node": 760,
            "inet_conn.icsk_bind_hash": 1072,
            "inet_conn.icsk_bind2_hash": 1080,
        },
        "inet_bind_bucket": {"owners": 64},
        "inet_bind2_bucket": {"owners": 48, "deathrow": 56},
        "tcp_timewait_sock": {"tw_sk.tw_bind2_node": 216},
        "inode": {"i_nlink": 72, "i_hash": 216, "i_dentry": 312, "i_data.i_pages": 376 + 8},
    },
    "6.12": {
        "file": {"f_path.dentry": 64 + 8, "f_inode": 40, "private_data": 32},
        "dentry": {"d_sib": 152, "d_children": 168, "d_u.d_alias": 176, "d_hash": 8, "d_lru": 136},
        "socket_alloc": {"vfs_inode.i_dentry": 128 + 304, "vfs_inode.i_data": 128 + 368},
        "tcp_sock": {f"{SK}.sk_socket": 288, f"{SK}.sk_wq": 256, "inet_conn.icsk_bind_hash": 1080},
        "inet_bind_bucket": {"bhash2": 64},
        "inet_bind2_bucket": {"bhash_node": 48, "owners": 64},
        "inode": {"i_nlink": 72, "i_hash": 208, "i_dentry": 304, "i_data.i_pages": 368 + 8},
    },
    "7.3": {
        "file": {"f_path.dentry": 64 + 8, "f_inode": 32, "private_data": 24},
        "dentry": {"d_sib": 152, "d_children": 168, "d_alias": 176, "d_hash": 8, "d_lru": 136},
        "socket_alloc": {"vfs_inode.i_dentry": 128 + 296, "vfs_inode.i_data": 128 + 360},
        "tcp_sock": {f"{SK}.sk_socket": 288, f"{SK}.sk_wq": 256, "inet_conn.icsk_bind2_hash": 1128},
        "inet_bind_bucket": {"bhash2": 64},
        "inet_bind2_bucket": {"bhash_node": 48, "owners": 64},
        "inode": {"i_nlink": 72, "i_hash": 200, "i_dentry": 296, "i_data.i_pages": 360 + 8},
    },
}
TREES = {"6.1": "6.1-4n", "6.12": "6.12-4n", "7.3": "7.3-4n"}
each_btf = pytest.mark.parametrize("release", PAHOLE)


def with_btf(release: str, folder: Path) -> Path:
    root = copy_recording(TREES[release], "established", folder)
    (root / "sys/kernel/btf").mkdir()
    (root / "sys/kernel/btf/vmlinux").write_bytes(btf(release))
    return root


def btf(release: str) -> bytes:
    return lzma.decompress((Path(__file__).parent / "btf" / f"{release}.xz").read_bytes())


def explain(root: Path, encoding: str = "utf-8") -> str:
    command = [sys.executable, "-m", "tcptop", "explain", "relations", "--root", str(root)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True).stdout


def links(page: str) -> list[tuple[str, int | None, str, str]]:
    """The struct, the offset, the member and the target of each link on the page, in order."""
    found: list[tuple[str, int | None, str, str]] = []
    struct = ""
    for line in page.splitlines():
        if head := re.match(r" struct (\w+)", line):
            struct = head[1]
        elif link := re.match(r" (?:├─|└─) (?:\+(\d+) +)?(\S+) → ([^;]+)", line):
            found.append((struct, int(link[1]) if link[1] else None, link[2], link[3]))
    return found


@pytest.mark.quick_cases(1)
@each_btf
def test_each_offset_is_that_of_pahole(release: str, tmp_path: Path) -> None:
    page = explain(with_btf(release, tmp_path))
    shown = {(struct, member): offset for struct, offset, member, _ in links(page)}
    expected = {
        (struct, member): offset
        for offsets in (COMMON, PAHOLE[release])
        for struct, members in offsets.items()
        for member, offset in members.items()
    }
    assert expected.items() <= shown.items()
    assert "+ is the offset of a member in bytes, from the BTF of this kernel." in page


@pytest.mark.quick_cases(1)
@each_btf
def test_with_and_without_btf_the_members_are_the_same(release: str, tmp_path: Path) -> None:
    named = links(explain(tree(TREES[release], "established")))
    assert all(offset is None for _, offset, _, _ in named)
    # The release does not tell whether the union of d_alias has a name.
    found = [(struct, member.replace("d_u.", ""), to) for struct, _, member, to in named]
    assert found == [
        (struct, member.replace("d_u.", ""), to)
        for struct, _, member, to in links(explain(with_btf(release, tmp_path)))
    ]


@pytest.mark.parametrize(
    ("kernel", "present", "absent"),
    [
        ("5.10-4n", {"d_child", "d_subdirs", "owners"}, {"bhash2", "inet_conn.icsk_bind2_hash", "tw_sk.tw_tb2"}),
        ("6.1-4n", {"d_child", "deathrow", "tw_sk.tw_tb2", f"{SK}.sk_bind2_node"}, {"d_sib", "bhash_node"}),
        ("6.12-4n", {"d_sib", "d_children", "bhash2"}, {"d_child", "deathrow", "tw_sk.tw_bind2_node"}),
    ],
)
def test_without_btf_the_release_gives_the_names(kernel: str, present: set[str], absent: set[str]) -> None:
    page = explain(tree(kernel, "established"))
    members = {member for _, _, member, _ in links(page)}
    assert present <= members
    assert not absent & members
    assert "their offsets are not known: there is no /sys/kernel/btf/vmlinux here" in page
    assert "struct inet_bind2_bucket" in page or kernel == "5.10-4n"


def test_the_sizes_are_those_of_slabinfo() -> None:
    page = explain(tree("6.1-4n", "established"))
    for struct, size, cache in (
        ("file", "256", "filp"),
        ("dentry", "192", "dentry"),
        ("socket_alloc", "832", "sock_inode_cache"),
        ("tcp_sock", "2 304", "TCP"),
        ("inet_bind_bucket", "128", "tcp_bind_bucket"),
        ("tcp_timewait_sock", "272", "tw_sock_TCP"),
    ):
        assert f" struct {struct}  cache {cache}: {size} B\n" in page


def test_time_wait_keeps_the_mini_socket_and_the_buckets_alone() -> None:
    section = explain(tree("6.1-4n", "timewait")).partition("\n In TIME_WAIT\n")[2].partition("\n A file on disk")[0]
    assert re.findall(r"^ struct (\w+)", section, re.MULTILINE) == ["tcp_timewait_sock"]
    targets = {to for _, _, _, to in links(section)}
    assert {"inet_bind_bucket", "inet_bind2_bucket", "a chain of tcp_hashinfo.ehash"} <= targets
    assert not targets & {"file", "dentry", "tcp_sock", "socket_alloc.socket"}


def test_a_backport_is_seen_in_btf_whatever_the_release(tmp_path: Path) -> None:
    root = with_btf("6.12", tmp_path)
    write_tree(root, release_files("5.14.0-500.el9.x86_64"))
    members = {(struct, member): to for struct, _, member, to in links(explain(root))}
    assert members["tcp_sock", f"{SK}.__sk_common.skc_bind_node"] == "the owners of the bind2 bucket"
    assert members["inet_bind_bucket", "bhash2"] == "the bind2 buckets of the port"


def test_struct_socket_had_a_pointer_to_its_wait_queue_before_5_3() -> None:
    [station] = [each for each in DRAWINGS[0].stations if each.struct == "socket_alloc"]
    targets = {
        release: [link.target for link in station.links if member_of(station, link, {}, release) == "socket.wq"]
        for release in ((4, 19), (5, 3), None)
    }
    assert targets == {(4, 19): ["socket_wq"], (5, 3): ["struct socket_wq, in it"], None: ["struct socket_wq, in it"]}


@pytest.mark.parametrize("columns", [36, 56, 60, 76, 116])
def test_it_fits_its_columns(columns: int) -> None:
    figures = ledger("6.1-4n", "established")
    page = find_page(figures, "relations")
    assert page is not None
    assert max(len(text_of(line)) for line in page.lines(figures, columns)) <= columns


def test_on_an_ascii_output_it_is_ascii(tmp_path: Path) -> None:
    page = explain(with_btf("7.3", tmp_path), encoding="ascii")
    assert page.isascii()
    assert "\\u" not in page
    assert "+24   d_parent -> the dentry itself; it is in no directory" in page


def test_a_damaged_file_is_named_as_the_reason(tmp_path: Path) -> None:
    root = with_btf("6.1", tmp_path)
    (root / "sys/kernel/btf/vmlinux").write_bytes(btf("6.1")[:1000])
    assert "offsets are not known: /sys/kernel/btf/vmlinux: not understood as BTF" in explain(root).replace("\n", "")


@pytest.mark.skipif(shutil.which("pahole") is None, reason="apt-get install dwarves")
@pytest.mark.skipif(not os.access("/sys/kernel/btf/vmlinux", os.R_OK), reason="this kernel has no BTF")
def test_the_offsets_of_this_kernel_are_those_of_pahole() -> None:
    """Members with a single name, because pahole prints members of embedded structs separately."""
    value, _ = parse(Path("/sys/kernel/btf/vmlinux").read_bytes(), (), member_paths())
    assert value is not None
    compared = 0
    for struct, members in value.offsets.items():
        command = ["pahole", "-F", "btf", "-C", struct, "/sys/kernel/btf/vmlinux"]
        layout = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for member, offset in members.items():
            printed = re.search(rf"\b{re.escape(member)}(?: __attribute__\S+)?;\s+/\* +(\d+)", layout)
            if "." not in member and printed is not None:
                assert offset == int(printed[1]), (struct, member)
                compared += 1
    assert compared > 10
