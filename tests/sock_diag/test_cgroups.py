"""Folders of cgroup2 by number, on a made-up mount."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tcptop.sock_diag import cgroups
from tcptop.sock_diag.cgroups import CgroupMemory, find_cgroups
from tcptop.sock_diag.mounts import read_mounts


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "system.slice/api.service").mkdir(parents=True)
    (tmp_path / "kubepods/pod1").mkdir(parents=True)
    (tmp_path / "kubepods/link").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "system.slice/api.service/memory.stat").write_text("anon 1\nsock 8192\nkernel 70000\n")
    (tmp_path / "kubepods/pod1/memory.stat").write_text("anon 1\nsock x\n")
    monkeypatch.setattr(cgroups, "_cgroup2_mount", lambda: str(tmp_path))
    return tmp_path


def test_folders_are_found_by_their_inodes(mount: Path) -> None:
    api, pod = mount / "system.slice/api.service", mount / "kubepods/pod1"
    numbers = {each.stat().st_ino: f"/{each.relative_to(mount)}" for each in (api, pod)}
    numbers[mount.stat().st_ino] = "/"
    found = find_cgroups([*numbers, 1 << 60])
    assert {number: cgroup.path for number, cgroup in found.cgroups.items()} == numbers
    assert all(cgroup.sock_bytes is None for cgroup in found.cgroups.values())
    assert found.all_visible


def test_memory_is_read_of_those_that_are_asked_for(mount: Path) -> None:
    api, pod = (mount / path for path in ("system.slice/api.service", "kubepods/pod1"))
    numbers = [each.stat().st_ino for each in (api, pod)]
    found = find_cgroups(numbers, [*numbers, 1 << 60]).cgroups
    assert found[numbers[0]] == CgroupMemory("/system.slice/api.service", 8192, 70_000)
    assert found[numbers[1]] == CgroupMemory("/kubepods/pod1")


def test_the_walk_has_an_end(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "MAX_FOLDERS", 1)
    assert find_cgroups([(mount / "kubepods/pod1").stat().st_ino]) == ({}, False)


def test_what_is_not_found_is_gone_only_if_every_cgroup_is_visible(mount: Path) -> None:
    assert find_cgroups([1 << 60]) == ({}, True)
    (mount / "cgroup.events").touch()  # only the root of all cgroups lacks this file
    assert find_cgroups([1 << 60]) == ({}, False)


def test_a_folder_that_may_not_be_read_may_have_the_cgroup(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(folder: str) -> object:
        if folder.endswith("kubepods"):
            raise PermissionError(errno.EACCES, "denied", folder)
        return scandir(folder)

    scandir = os.scandir
    number = (mount / "kubepods/pod1").stat().st_ino
    monkeypatch.setattr(os, "scandir", scan)
    assert find_cgroups([number]) == ({}, False)


def test_without_cgroup2_or_numbers_nothing_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_cgroup2_mount", lambda: None)
    assert find_cgroups([5]) == ({}, False)
    monkeypatch.setattr(cgroups, "_cgroup2_mount", lambda: "/no/such/mount")
    assert find_cgroups([5]).cgroups == {}
    assert find_cgroups([]).cgroups == {}


def test_the_mount_of_the_whole_tree_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(
        "30 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "31 1 0:27 /docker/a1 /part rw - cgroup2 cgroup2 rw\n"
        "32 1 0:27 / /sys/fs/c\\040group rw shared:4 - cgroup2 cgroup2 rw\n"
    )
    monkeypatch.setattr(cgroups, "read_mounts", lambda: read_mounts(str(file)))
    assert cgroups._cgroup2_mount() == "/sys/fs/c group"
    with file.open("a") as more:
        more.write(
            "33 1 0:27 /.. /above rw - cgroup2 cgroup2 rw\n"
            "34 1 0:27 /../.. /all rw - cgroup2 cgroup2 rw\n"
            "35 1 0:27 /../../../other /other rw - cgroup2 cgroup2 rw\n"
        )
    assert cgroups._cgroup2_mount() == "/all", "a cgroup namespace names what is above it"
