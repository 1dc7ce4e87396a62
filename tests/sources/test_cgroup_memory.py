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
    "memory.stat": b"anon 1\nkernel 8192\nslab_reclaimable 2048\nsock 4096\ninactive_file 3000\nactive_file 1000\n",
}


def memory_of(files: Mapping[str, bytes | OSError]) -> CgroupMemory:
    host = MemoryHost({f"sys/fs/cgroup/a/b/{name}": content for name, content in files.items()})
    reading = run_sync(CgroupMemorySource("a/b").read(host))
    assert reading.state == "ok"
    assert reading.value is not None
    return reading.value


def test_the_files_of_a_cgroup() -> None:
    found = memory_of(FILES)
    assert found._replace(above=()) == CgroupMemory("a/b", 52_428_800, 104_857_600, False, 4000, 4096, 8192, 2048, None)


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


def level(maximum: bytes, current: bytes = b"0\n") -> dict[str, bytes]:
    return {"memory.max": maximum, "memory.current": current, "memory.stat": b"active_file 0\ninactive_file 0\n"}


def read_tree(path: str, folders: Mapping[str, Mapping[str, bytes]]) -> CgroupMemory:
    files = {
        f"sys/fs/cgroup/{folder}/{name}": text for folder, files in folders.items() for name, text in files.items()
    }
    value = run_sync(CgroupMemorySource(path).read(MemoryHost({key.replace("//", "/"): files[key] for key in files})))
    assert value.value is not None
    return value.value


def test_the_cgroups_above_up_to_the_root() -> None:
    """The root of cgroup2 has no memory.max."""
    tree = {"a/b": level(b"300\n"), "a": level(b"200\n", b"50\n")}
    above = [(each.path, each.max_bytes, each.current_bytes) for each in read_tree("a/b", tree).above]
    assert above == [("a", 200, 50)]
    of_container = read_tree("a/b", {**tree, "": level(b"max\n")}).above
    assert [(each.path, each.is_unlimited) for each in of_container] == [("a", False), ("", True)]


V1_NO_LIMIT = b"9223372036854771712\n"


def v1_level(maximum: bytes, use_hierarchy: bytes = b"1\n", **more: bytes) -> dict[str, bytes]:
    return {
        "memory.limit_in_bytes": maximum,
        "memory.usage_in_bytes": b"9000\n",
        "memory.stat": b"active_file 9\ninactive_file 9\ntotal_active_file 1000\ntotal_inactive_file 2000\n"
        + b"hierarchical_memory_limit "
        + V1_NO_LIMIT,
        "memory.use_hierarchy": use_hierarchy,
        "memory.kmem.tcp.limit_in_bytes": more.get("tcp", V1_NO_LIMIT),
        "memory.kmem.tcp.usage_in_bytes": b"4096\n",
        "memory.kmem.limit_in_bytes": more.get("kmem", V1_NO_LIMIT),
        "memory.kmem.usage_in_bytes": b"5000\n",
    }


@pytest.mark.parametrize("path", ["memory/a/b", "/sys/fs/cgroup/memory/a/b", "a/b"])
def test_a_cgroup_of_cgroup_v1(path: str) -> None:
    tree = {"memory/a/b": v1_level(b"10000\n", tcp=b"8192\n", kmem=b"6000\n"), "memory/a": v1_level(V1_NO_LIMIT)}
    found = read_tree(path, tree | {"memory": v1_level(b"18446744073709551615\n")})
    assert found[:8] == ("memory/a/b", 9000, 10_000, False, 3000, 4096, 5000, None)
    assert (found.is_v1, found.sock_max_bytes, found.kernel_max_bytes) == (True, 8192, 6000)
    assert [(each.path, each.is_unlimited, each.max_bytes) for each in found.above] == [
        ("memory/a", True, None),
        ("memory", True, None),
    ]


def test_whether_the_kernel_charges_sockets() -> None:
    for text, enabled in ((b"quiet\n", True), (b"cgroup.memory=nokmem,nosocket\n", False), (b"quiet cgroup.mem", None)):
        host = MemoryHost({"sys/fs/cgroup/a/memory.max": b"1\n", "proc/cmdline": text})
        found = run_sync(CgroupMemorySource("a").read(host)).value
        assert found is not None
        assert found.sockets_enabled is enabled
    assert memory_of(FILES).sockets_enabled is True
    no_limit = {"memory/a": v1_level(b"10000\n") | {"memory.kmem.tcp.usage_in_bytes": b"0\n"}}
    assert read_tree("a", no_limit).sockets_enabled is None
    above = {"memory": v1_level(V1_NO_LIMIT, tcp=b"8192\n")}
    assert read_tree("a", no_limit | above).sockets_enabled is True


def test_a_cgroup_of_cgroup_v1_without_hierarchy_is_charged_nothing_of_those_below() -> None:
    tree = {
        "memory/a/b": v1_level(b"10000\n"),
        "memory/a": v1_level(b"9000\n"),
        "memory": v1_level(V1_NO_LIMIT, b"0\n"),
    }
    assert [each.path for each in read_tree("memory/a/b", tree).above] == ["memory/a"]


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
    assert list(CgroupMemorySource(path).paths)[:3] == files


@pytest.mark.parametrize("path", ["", "..", "a/../../b", "/sys/fs/cgroup/..", "a\0b", "a" * 5000])
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="a cgroup below /sys/fs/cgroup"):
        CgroupMemorySource(path)
