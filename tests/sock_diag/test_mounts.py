"""Mounts: fields and escapes of a mountinfo file, and the bounds on the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tcptop.sock_diag import mounts
from tcptop.sock_diag.mounts import Mount, read_mounts


def read(tmp_path: Path, data: bytes) -> list[Mount]:
    file = tmp_path / "mountinfo"
    file.write_bytes(data)
    return list(read_mounts(str(file)))


def test_the_own_mounts() -> None:
    assert "/proc" in {each.path for each in read_mounts() if each.kind == "proc"}


def test_fields_and_escapes(tmp_path: Path) -> None:
    assert read(
        tmp_path,
        b"30 1 0:4 net:[4026532300] /run/netns/a\\040b\\134c rw shared:5 master:1 - nsfs nsfs rw\n"
        b"31 1 0:5 / /tmp/\xff\\011x rw - tmp\\040fs a\\040-\\040b rw\n"
        b"32 1 0:6 / /proc rw,relatime - proc proc rw,gid=5,hidepid=invisible\n"
        b"33 1 0:7 / /y rw - proc\n",
    ) == [
        Mount("net:[4026532300]", "/run/netns/a b\\c", "nsfs", "rw"),
        Mount("/", "/tmp/\udcff\tx", "tmp fs", "rw"),
        Mount("/", "/proc", "proc", "rw,gid=5,hidepid=invisible"),
        Mount("/", "/y", "proc"),
    ]


def test_strange_lines_are_left_out(tmp_path: Path) -> None:
    good = b"31 1 0:5 / /x rw - tmpfs tmpfs rw\n"
    for bad in (b"\n", b"short - tmpfs\n", b"31 1 0:5 / /x rw tmpfs\n", b"31 1 0:5 / /x rw -\n", b"\0" * 40 + b"\n"):
        assert read(tmp_path, bad + good) == [Mount("/", "/x", "tmpfs", "rw")]
    assert read(tmp_path, b"") == []
    assert list(read_mounts(str(tmp_path / "none"))) == []


def test_reading_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = b"31 1 0:5 / /x rw - tmpfs tmpfs rw\n"
    monkeypatch.setattr(mounts, "MAX_BYTES", 10 * len(line) + 30)
    assert read(tmp_path, line * 50) == [Mount("/", "/x", "tmpfs", "rw")] * 10
