"""`tcptop explain`, as a shell sees it: what it prints, where to, and how it ends."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest
from recorded import slab_rows, text, write_tree

from tcptop.explanation import PAGES
from tcptop.kernel.objects import KERNEL_OBJECTS

PROJECT = Path(__file__).resolve().parents[2]
TREE = str(PROJECT / "tests/recordings/6.1-4n/established")
GUARD_S = 60
"""Ends a test that failed; nothing here is measured."""

Ran = subprocess.CompletedProcess[str]


def explain(*arguments: str, root: str | None = TREE, env: Mapping[str, str] | None = None) -> Ran:
    rooted = [] if root is None else ["--root", root]
    return subprocess.run(
        [sys.executable, "-m", "tcptop", "explain", *arguments, *rooted],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=GUARD_S,
        check=False,
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
    )


def printed(*arguments: str, root: str | None = TREE) -> str:
    ran = explain(*arguments, root=root)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("\n")
    assert not ran.stdout.endswith("\n\n")
    assert all(character.isprintable() or character == "\n" for character in ran.stdout)
    return ran.stdout


def assert_refused(ran: Ran, *words: str) -> None:
    """One line on standard error that holds the words, nothing on the other, and 1."""
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith("tcptop: ")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.rstrip("\n").isprintable()
    for word in words:
        assert word in ran.stderr


def test_without_a_name_it_gives_the_tree_of_a_socket_the_catalogue_and_the_names_of_all_pages() -> None:
    shown = printed()
    assert "socket(2) → __sys_socket()" in shown
    for item in KERNEL_OBJECTS:
        assert f"\n {item.struct.removeprefix('struct ')} " in shown
    last = " ".join(shown.split("\n\n")[-1].split())
    assert all(page.name in last.partition("other pages are: ")[2] for page in PAGES)
    assert max(map(len, shown.splitlines())) <= 100


def test_every_page_by_its_name_says_which_kernel_it_is_of() -> None:
    for page in PAGES:
        first = printed(page.name).splitlines()[0]
        assert first == f"{page.title} - Linux 6.1.0-56-amd64"


@pytest.mark.parametrize("name", ["TCP", "tcp_sock", "struct tcp_sock"])
def test_a_cache_by_its_name_and_by_its_structs(name: str) -> None:
    row = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))["TCP"]
    shown = printed(name)
    assert shown.startswith("TCP - Linux")
    assert f"{row.size:,} B from one object to the next".replace(",", " ") in shown
    assert f"{row.objects:,} objects in {row.slabs:,} slabs".replace(",", " ") in shown


def test_a_cache_of_this_machine() -> None:
    shown = printed("TCP", root=None)
    assert os.uname().release in shown.splitlines()[0]
    assert "struct tcp_sock" in shown


@pytest.mark.skipif(not os.access("/sys/kernel/btf/vmlinux", os.R_OK), reason="this kernel has no BTF")
@pytest.mark.skipif(not os.access("/proc/slabinfo", os.R_OK), reason="slabinfo is refused, so BTF is read in any case")
def test_a_struct_of_this_machine_is_shown_with_its_members() -> None:
    assert "its largest members" in printed("TCP", root=None)


@pytest.mark.parametrize("name", ["nothing", "tcpx", "", "../../etc/passwd", "x\x1b[2J\nnext", "ü"])
def test_a_name_of_nothing_is_one_line(name: str) -> None:
    ran = explain(name)
    assert_refused(ran, "explain")
    if name.isidentifier() and name.isascii():
        assert repr(name) in ran.stderr


@pytest.mark.parametrize("arguments", [["TCP", "dentry"], ["--nonsense"], ["-o"], ["--roo", TREE]], ids=" ".join)
def test_wrong_options(arguments: list[str]) -> None:
    assert_refused(explain(*arguments, root=None), "explain --help")


def test_it_comes_first() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tcptop", "--root", TREE, "explain", "TCP"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
        cwd=PROJECT,
    )
    assert_refused(ran, "tcptop explain")


def test_help() -> None:
    ran = explain("--help", root=None)
    assert (ran.returncode, ran.stderr) == (0, "")
    for word in ("--root", "--lab", "cache"):
        assert word in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_help_where_the_output_takes_ascii_only() -> None:
    ran = explain("--help", root=None, env={"PYTHONIOENCODING": "ascii"})
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize(
    "what", [[], ["states"], ["room"], ["headroom"], ["memory"], ["pid"], ["optional"]], ids=" ".join
)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_where_the_output_takes_ascii_only_it_is_ascii(what: list[str], encoding: str) -> None:
    ran = explain(*what, env={"PYTHONIOENCODING": encoding})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.isascii()
    assert "\\u" not in ran.stdout
    plain, full = (list(filter(str.isdigit, shown)) for shown in (ran.stdout, printed(*what)))
    assert plain == full


def test_columns_stand_in_line_in_ascii_too() -> None:
    lines = explain("states", env={"PYTHONIOENCODING": "ascii"}).stdout.splitlines()
    head = next(line for line in lines if line.startswith(" STATE"))
    for start in (" LISTEN", " ESTABLISHED", " CLOSE_WAIT", " TIME_WAIT"):
        [line] = [line for line in lines if line.startswith(start)]
        assert line[head.index("HOLDS") - 2 :].startswith("  a "), line


@pytest.mark.parametrize("what", [[], ["TCP"], ["states"]], ids=" ".join)
def test_a_pipe_that_nobody_reads_is_quiet(what: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "tcptop", "explain", *what, "--root", TREE],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=GUARD_S,
            check=False,
            cwd=PROJECT,
        )
    finally:
        os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, "")


def in_a_shell(command: str) -> Ran:
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=PROJECT
    )


def test_a_full_disk() -> None:
    ran = in_a_shell(f"{sys.executable} -m tcptop explain --root {TREE} > /dev/full")
    assert_refused(ran, "No space left")


def test_standard_output_that_is_closed() -> None:
    ran = in_a_shell(f"exec {sys.executable} -m tcptop explain --root {TREE} >&-")
    assert_refused(ran, "closed")


@pytest.mark.parametrize(("given", "used"), [(60, 60), (80, 80), (200, 120)])
def test_on_a_terminal_it_is_as_wide_as_that_and_never_too_wide_to_read(given: int, used: int) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, given, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "tcptop", "explain", "states", "--root", TREE],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.DEVNULL,
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # how a terminal ends that nobody holds any more
        pass
    finally:
        os.close(master)
    assert process.wait(GUARD_S) == 0
    lines = shown.decode().splitlines()
    assert b"\x1b" not in shown
    assert used - 25 <= max(map(len, lines)) <= used


def test_a_root_that_is_not_there() -> None:
    assert_refused(explain(root="/nonexistent/tree"), "/nonexistent/tree")


def test_a_root_without_proc(tmp_path: Path) -> None:
    assert_refused(explain("TCP", root=str(tmp_path)), str(tmp_path), "proc")


def test_a_root_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    root = str(write_tree(tmp_path, {}))
    assert printed(root=root).startswith("What socket(2) and connect(2) allocate - an unknown kernel")
    assert "not known" in printed("TCP", root=root)
    assert_refused(explain("ext4_inode_cache", root=root), "ext4_inode_cache")
