"""Charging of kernel memory to memory cgroups, according to cgroup v1, cgroup2 and kernel parameters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import MemoryHost

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import MemoryCgroups, Reading
from tcptop.sources.command_line import PATH as COMMAND_LINE
from tcptop.sources.memory_cgroups import (
    CGROUPS,
    CONTROLLERS,
    MEMORY_MAX,
    SUBTREE_CONTROL,
    TYPE,
    MemoryCgroupsSource,
)

HEAD = b"#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\n"
ALL_CONTROLLERS = b"cpuset cpu io memory hugetlb pids rdma\n"


class CountedHost(MemoryHost):
    """A host that records the paths it was asked for."""

    def __init__(self, files: Mapping[str, bytes | OSError]) -> None:
        super().__init__(files)
        self.asked: list[str] = []

    async def read(self, paths):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        self.asked += paths
        return await super().read(paths)


def cgroups(files: Mapping[str, bytes | OSError]) -> Reading[MemoryCgroups]:
    return run_sync(MemoryCgroupsSource().read(MemoryHost(files)))


def v1(hierarchy: int, number: int, enabled: int) -> bytes:
    return HEAD + f"memory\t{hierarchy}\t{number}\t{enabled}\n".encode()


ROOT = {CONTROLLERS: ALL_CONTROLLERS, SUBTREE_CONTROL: b"cpuset cpu pids\n"}


@pytest.mark.parametrize(
    ("files", "charged"),
    [
        ({CGROUPS: v1(4, 15, 1)}, True),
        ({CGROUPS: v1(0, 1, 0)}, False),
        ({CGROUPS: v1(0, 40, 0)}, False),
        ({CGROUPS: v1(0, 40, 1), CONTROLLERS: ALL_CONTROLLERS, SUBTREE_CONTROL: b"cpu memory pids\n"}, True),
        # The io controller depends on the memory controller.
        ({**ROOT, SUBTREE_CONTROL: b"io\n"}, True),
        # Both hierarchies exist, and memory is in v1, so the io controller of cgroup2 implies nothing.
        ({CONTROLLERS: b"io\n", SUBTREE_CONTROL: b"io\n", CGROUPS: v1(4, 3, 1)}, True),
        # In a container, only the container's own cgroup is visible, which is not the root.
        ({**ROOT, TYPE: b"domain\n", MEMORY_MAX: b"max\n"}, True),
        # A kernel without a memory controller.
        ({CONTROLLERS: b"cpu pids\n", SUBTREE_CONTROL: b"\n", CGROUPS: HEAD}, False),
        ({CGROUPS: v1(4, 15, 1), COMMAND_LINE: b"quiet cgroup.memory=nosocket,nokmem ro\n"}, False),
        ({**ROOT, SUBTREE_CONTROL: b"memory\n", COMMAND_LINE: b"cgroup.memory=nokmem\n"}, False),
        ({**ROOT, COMMAND_LINE: b"cgroup.memory=nokmem\n"}, False),
        ({CONTROLLERS: b"cpu pids\n", SUBTREE_CONTROL: b"", COMMAND_LINE: b"cgroup_disable=io,memory\n"}, False),
        ({CGROUPS: v1(0, 1, 0), COMMAND_LINE: b"cgroup-disable=memory\n"}, False),
        ({COMMAND_LINE: b"cgroup_disable=memory\n"}, False),
        # Arguments of init, and a text in quotes, are no kernel parameters.
        ({CGROUPS: v1(4, 15, 1), COMMAND_LINE: b"quiet -- cgroup.memory=nokmem cgroup_disable=memory\n"}, True),
        ({CGROUPS: v1(4, 15, 1), COMMAND_LINE: b'foo="a cgroup_disable=memory b" quiet\n'}, True),
        ({CGROUPS: v1(4, 15, 1), COMMAND_LINE: b'foo="a -- b" "cgroup.memory=nokmem"\n'}, False),
        ({CGROUPS: v1(4, 15, 1), COMMAND_LINE: b"cgroup.memory=nosocket cgroup_disable=io x=memory\n"}, True),
    ],
)
def test_whether_kernel_memory_is_charged(files: dict[str, bytes | OSError], charged: bool) -> None:
    reading = cgroups(files)
    assert (reading.state, reading.reason, reading.value) == ("ok", None, MemoryCgroups(charged))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {CGROUPS: HEAD},
        # cgroup2 is not mounted at /sys/fs/cgroup.
        {CGROUPS: v1(0, 40, 1)},
        # The container has no memory limit of its own, but other cgroups may have a limit.
        {**ROOT, TYPE: b"domain\n"},
        {**ROOT, TYPE: b"domain\n", CGROUPS: v1(0, 40, 1)},
        {SUBTREE_CONTROL: b"", CONTROLLERS: b"", MEMORY_MAX: b"", CGROUPS: b""},
        {**ROOT, TYPE: PermissionError(13, "Permission denied")},
    ],
)
def test_if_no_file_decides_the_reading_is_missing_with_a_reason(files: dict[str, bytes | OSError]) -> None:
    reading = cgroups(files)
    assert (reading.state, reading.value) == ("missing", None)
    assert reading.reason is not None
    assert "/proc/cgroups" in reading.reason


@pytest.mark.parametrize(
    "files",
    [
        {CGROUPS: v1(4, 1, 1)},
        {CGROUPS: v1(0, 1, 1)},
        {CGROUPS: v1(0, 40, 1), **ROOT},
        ROOT,
        {**ROOT, SUBTREE_CONTROL: b""},
        {CONTROLLERS: b"io\n", SUBTREE_CONTROL: b"io\n", CGROUPS: v1(4, 1, 1)},
    ],
)
def test_without_a_memory_cgroup_now_charging_is_unknown(files: dict[str, bytes | OSError]) -> None:
    """Charging begins with the first memory cgroup, and does not end when this cgroup is removed."""
    reading = cgroups(files)
    assert (reading.state, reading.value) == ("missing", None)
    assert reading.reason is not None
    assert "existed earlier" in reading.reason


@pytest.mark.parametrize(
    "files",
    [
        {**ROOT, SUBTREE_CONTROL: b"memory\n"},
        ROOT,
        {**ROOT, TYPE: b"domain\n", MEMORY_MAX: b"max\n"},
        {CGROUPS: v1(4, 15, 1)},
        {CGROUPS: v1(4, 1, 1)},
    ],
)
def test_a_controller_that_the_command_line_turns_off_is_a_contradiction(files: dict[str, bytes | OSError]) -> None:
    reading = cgroups({**files, COMMAND_LINE: b"quiet cgroup_disable=memory\n"})
    assert (reading.state, reading.value) == ("strange", None)
    assert reading.reason is not None
    assert "cgroup_disable=memory" in reading.reason


def test_a_refused_file_gives_a_refused_reading() -> None:
    reading = cgroups({CGROUPS: PermissionError(13, "Permission denied")})
    assert (reading.state, reading.value) == ("refused", None)


@pytest.mark.parametrize("line", [b"memory\n", b"memory 4 15\n", b"memory 4 -1 1\n", b"memory 4 15 1 1\n"])
def test_a_malformed_line_is_unknown_and_reported(line: bytes) -> None:
    reading = cgroups({CGROUPS: HEAD + line})
    assert (reading.state, reading.value) == ("strange", None)
    assert reading.reason is not None


def test_proc_cgroups_is_not_read_where_cgroup2_decides() -> None:
    """Newer kernels without cgroup v1 log a warning when /proc/cgroups is read."""
    for files, asked in ((ROOT, False), ({CGROUPS: v1(4, 15, 1)}, True)):
        host = CountedHost(files)
        run_sync(MemoryCgroupsSource().read(host))
        assert (CGROUPS in host.asked) is asked


def test_this_machine_agrees_with_its_own_cgroups() -> None:
    """The result is checked on machines with cgroup v1, where each folder below the root is a memory cgroup."""
    folder = Path("/sys/fs/cgroup/memory")
    if not (folder / "memory.usage_in_bytes").exists():
        pytest.skip("no memory controller of cgroup v1 is mounted here")
    if "nokmem" in Path("/proc/cmdline").read_text():
        pytest.skip("this kernel charges no kernel memory")
    host = FolderHost("/")
    try:
        reading = run_sync(MemoryCgroupsSource().read(host))
    finally:
        host.close()
    if any(each.is_dir() for each in folder.iterdir()):
        assert reading.value == MemoryCgroups(charged=True)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            path: st.binary(max_size=40)
            for path in (CGROUPS, COMMAND_LINE, CONTROLLERS, MEMORY_MAX, SUBTREE_CONTROL, TYPE)
        },
    )
)
def test_arbitrary_bytes_never_raise(files: dict[str, bytes]) -> None:
    reading = cgroups({**files, CGROUPS: HEAD + b"memory\t" + files.get(CGROUPS, b"")})
    assert reading.value is not None or reading.reason is not None
    cgroups(dict(files))
