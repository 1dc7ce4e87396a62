"""The memory of a cgroup: only paths below /sys/fs/cgroup, the kernel's format, and arbitrary bytes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import MemoryHost

from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import CgroupMemory
from tcptop.sources.cgroup_memory import CgroupMemorySource, cgroup_path

FILES: Mapping[str, bytes] = {
    "memory.max": b"104857600\n",
    "memory.current": b"52428800\n",
    "memory.stat": b"anon 1\nfile 5000\nkernel 8192\nsock 4096\ninactive_file 3000\nactive_file 1000\n",
}


def memory_of(files: Mapping[str, bytes | OSError]) -> CgroupMemory:
    host = MemoryHost({f"sys/fs/cgroup/a/b/{name}": content for name, content in files.items()})
    reading = run_sync(CgroupMemorySource("a/b").read(host))
    assert reading.state == "ok"
    assert reading.value is not None
    return reading.value


def test_the_files_of_a_cgroup() -> None:
    assert memory_of(FILES) == CgroupMemory("a/b", 52_428_800, 104_857_600, False, 4000, 4096, 8192, None)


def test_no_limit() -> None:
    found = memory_of({**FILES, "memory.max": b"max\n"})
    assert (found.max_bytes, found.is_unlimited, found.unknown_because) == (None, True, None)


def test_a_kernel_without_some_fields() -> None:
    found = memory_of({**FILES, "memory.stat": b"anon 1\nactive_file 1000\nsock 4096\n"})
    assert (found.cache_bytes, found.sock_bytes, found.kernel_bytes) == (None, 4096, None)
    assert found.unknown_because is None


@pytest.mark.parametrize("name", ["memory.max", "memory.current"])
def test_an_unreadable_file_is_named(name: str) -> None:
    assert f"/sys/fs/cgroup/a/b/{name}" in (memory_of({**FILES, name: FileNotFoundError(2, "")}).unknown_because or "")
    refused = memory_of({**FILES, name: PermissionError(13, "Permission denied")}).unknown_because
    assert "root" in (refused or "")
    assert memory_of({**FILES, name: b"-5\n"}).unknown_because == f"/sys/fs/cgroup/a/b/{name} has an unknown format"


@given(st.fixed_dictionaries({name: st.binary(max_size=200) for name in FILES}))
def test_any_bytes_give_no_negative_figure_and_one_line(files: dict[str, bytes]) -> None:
    found = memory_of(files)
    assert all(each is None or each >= 0 for each in found[1:3] + found[4:7])
    assert (found.unknown_because or "").isprintable()
    is_known = found.current_bytes is not None and (found.max_bytes is not None or found.is_unlimited)
    assert is_known == (found.unknown_because is None)


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("a/b", "a/b"),
        ("/a/b/", "a/b"),
        ("./a//b", "a/b"),
        ("/sys/fs/cgroup/a/b", "a/b"),
        ("/sys/fs/cgroup", ""),
        ("/sys/fs/cgroup2/a", "sys/fs/cgroup2/a"),
        ("a..b", "a..b"),
    ],
)
def test_a_path_is_absolute_or_below_the_cgroups(path: str, below: str) -> None:
    assert cgroup_path(path) == below
    files = [f"sys/fs/cgroup/{below}/{name}".replace("//", "/") for name in FILES]
    assert list(CgroupMemorySource(path).paths) == files


@pytest.mark.parametrize("path", ["", "..", "a/../../b", "/sys/fs/cgroup/..", "a\0b", "a" * 5000])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="a cgroup below /sys/fs/cgroup"):
        CgroupMemorySource(path)
