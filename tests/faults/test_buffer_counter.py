"""The unit and the error of sockstat's count of buffers, on kernels whose release does not tell them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from program import output, report, text_report
from recorded import copy_recording, release_files, write_tree

RESERVE = "proc/sys/net/core/mem_pcpu_rsv"
LARGE_PAGES, PAGE_BYTES, CPUS = "6.12-arm64-16k-4n", 16384, 8
MIB = 1 << 20


def btf(*members: str) -> bytes:
    """BTF of a kernel whose struct proto has these members, pointers."""
    names = ["long unsigned int", "proto", *members]
    strings, at = b"\0", {}
    for name in names:
        at[name] = len(strings)
        strings += name.encode() + b"\0"
    types = struct.pack("=IIII", at[names[0]], 1 << 24, 8, 64)
    types += struct.pack("=III", at["proto"], 4 << 24 | len(members), 8 * len(members))
    types += b"".join(struct.pack("=III", at[name], 1, 64 * number) for number, name in enumerate(members))
    return struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


OLD_PROTO, NEW_PROTO = btf("memory_allocated"), btf("memory_allocated", "per_cpu_fw_alloc")


def tree_of(
    folder: Path, kernel: str, release: str | None = None, reserve: bool = True, layouts: bytes | None = None
) -> Path:
    """A recording as of another kernel, with 12,000 units of buffers."""
    root = copy_recording(kernel, "established", folder)
    sockstat = root / "proc/net/sockstat"
    sockstat.write_text(re.sub(r"(TCP: .* mem) \d+", r"\1 12000", sockstat.read_text()))
    (root / "proc/net/protocols").unlink(missing_ok=True)
    if release is not None:
        write_tree(root, release_files(release))
    if not reserve:
        (root / RESERVE).unlink()
    if layouts is not None:
        write_tree(root, {"sys/kernel/btf/vmlinux": layouts})
    return root


@pytest.mark.parametrize("release", ["5.14.0-503.11.1.el9_5.aarch64", "5.15.0", "4.18.0-553.el8.aarch64"])
def test_a_kernel_with_the_sysctl_of_reserves_counts_pages(tmp_path: Path, release: str) -> None:
    found = report(tree_of(tmp_path, LARGE_PAGES, release))["sockets"]
    assert found["buffer_bytes"] == 12000 * PAGE_BYTES
    assert (found["buffer_error_bytes"], found["buffer_error_is_assumed"]) == (CPUS * MIB, False)


def test_a_kernel_with_the_reserves_in_btf_counts_pages(tmp_path: Path) -> None:
    root = tree_of(tmp_path, LARGE_PAGES, "5.14.0-503.11.1.el9_5.aarch64", reserve=False, layouts=NEW_PROTO)
    found = report(root)["sockets"]
    assert found["buffer_bytes"] == 12000 * PAGE_BYTES
    assert (found["buffer_error_bytes"], found["buffer_error_is_assumed"]) == (CPUS * MIB, True)


def test_a_vendors_kernel_without_the_reserves_in_btf_counts_4096_bytes(tmp_path: Path) -> None:
    root = tree_of(tmp_path, LARGE_PAGES, "5.14.0-70.el9.aarch64", reserve=False, layouts=OLD_PROTO)
    found = report(root)["sockets"]
    assert found["buffer_bytes"] == 12000 * 4096
    assert (found["buffer_error_bytes"], found["buffer_error_is_assumed"]) == (0, False)


def test_the_unit_of_a_vendors_kernel_is_unknown_if_no_file_shows_it(tmp_path: Path) -> None:
    root = tree_of(tmp_path, LARGE_PAGES, "5.14.0-503.11.1.el9_5.aarch64", reserve=False)
    found = report(root)
    assert (found["sockets"]["buffer_pages"], found["sockets"]["buffer_bytes"]) == (12000, None)
    [limit] = [each for each in found["limits"] if each["name"] == "tcp_mem"]
    assert limit["used_is_at_most"]
    assert limit["used"] == 12000 * PAGE_BYTES
    assert "the unit of mem, 4096 bytes or a page, is not known of this kernel" in limit["note"]
    assert "<= 12 000 pages" in " ".join(text_report(root).split())


def test_a_release_without_backports_tells_the_unit_as_before(tmp_path: Path) -> None:
    found = report(tree_of(tmp_path, LARGE_PAGES, "5.15.0-1-arm64", reserve=False))["sockets"]
    assert (found["buffer_bytes"], found["buffer_error_bytes"]) == (12000 * 4096, 0)
    assert not found["buffer_error_is_assumed"]


@pytest.mark.parametrize("release", ["6.12.0", "6.1.0-56-amd64", "5.14.0-503.el9.x86_64"])
def test_the_error_without_the_sysctl_is_said_to_be_assumed(tmp_path: Path, release: str) -> None:
    """A container lacks the sysctl, because it belongs to the first network namespace."""
    root = tree_of(tmp_path, "6.1-4n", release, reserve=False)
    found = report(root)["sockets"]
    assert (found["buffer_error_bytes"], found["buffer_error_is_assumed"]) == (CPUS * MIB, True)
    assert "+- 8.0 MiB assumed" in " ".join(text_report(root).split())
    assert "± 8.0 MiB assumed" in output("explain", "memory", "--root", root)


def test_buffers_within_an_assumed_error_say_so(tmp_path: Path) -> None:
    root = copy_recording("6.12-4n", "established", tmp_path)
    (root / RESERVE).unlink()
    assert report(root)["sockets"]["buffer_error_is_assumed"]
    text = " ".join(text_report(root).split())
    assert "in whole pages, error of the counter assumed" in text
    assert "if the error of the buffers is as assumed" in text
    assert "within the error of the counter, which is assumed" in output("explain", "memory", "--root", root)


def test_an_error_that_is_known_is_not_said_to_be_assumed(tmp_path: Path) -> None:
    root = tree_of(tmp_path, "6.1-4n")
    assert not report(root)["sockets"]["buffer_error_is_assumed"]
    assert "assumed" not in text_report(root).partition("Total kernel memory")[0]


def test_a_cpu_that_is_switched_off_keeps_its_reserve(tmp_path: Path) -> None:
    root = tree_of(tmp_path, "6.1-4n")
    write_tree(root, {"sys/devices/system/cpu/present": "0-15\n", "sys/devices/system/cpu/possible": "0-63\n"})
    found = report(root)
    assert (found["host"]["cpus"], found["sockets"]["buffer_error_bytes"]) == (CPUS, 16 * MIB)
    (root / "sys/devices/system/cpu/present").unlink()
    assert report(root)["sockets"]["buffer_error_bytes"] == 64 * MIB


def test_a_container_that_shows_fewer_present_cpus_has_no_smaller_error(tmp_path: Path) -> None:
    root = write_tree(tree_of(tmp_path, "6.1-4n"), {"sys/devices/system/cpu/present": "0-3\n"})
    assert report(root)["sockets"]["buffer_error_bytes"] == CPUS * MIB
