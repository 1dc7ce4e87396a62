"""`tcptop explain` as a process: its output, its errors and its exit code."""

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

import forked_program
import pytest
from recorded import copy_recording, slab_rows, text, write_tree

from tcptop.explanation.glossary import ENTRIES
from tcptop.explanation.pages import PAGES
from tcptop.kernel.objects import KERNEL_OBJECTS

PROJECT = Path(__file__).resolve().parents[2]
TREE = str(PROJECT / "tests/recordings/6.1-4n/established")
GUARD_S = 60
"""Timeout that ends a failed test; no time is asserted."""

Completed = subprocess.CompletedProcess[str]


def explain(*arguments: str, root: str | None = TREE, env: Mapping[str, str] | None = None) -> Completed:
    rooted = [] if root is None else ["--root", root]
    return forked_program.run("explain", *arguments, *rooted, environment={**os.environ, **(env or {})})


def explain_text(*arguments: str, root: str | None = TREE) -> str:
    completed = explain(*arguments, root=root)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.endswith("\n")
    assert not completed.stdout.endswith("\n\n")
    assert all(character.isprintable() or character == "\n" for character in completed.stdout)
    return completed.stdout


@pytest.mark.parametrize("words", [("TCP", "PART"), ("fits", "more"), ("one", "more", "socket")])
def test_words_need_no_quotes(words: tuple[str, ...]) -> None:
    assert explain_text(*words) == explain_text(" ".join(words))


def assert_refused(completed: Completed, *words: str) -> None:
    """Asserts exit code 1, one line on standard error with the words, and nothing on standard output."""
    assert completed.returncode == 1
    assert completed.stdout == ""
    assert completed.stderr.startswith("tcptop: ")
    assert completed.stderr.count("\n") == 1
    assert completed.stderr.rstrip("\n").isprintable()
    for word in words:
        assert word in completed.stderr


def test_without_a_name_it_prints_the_socket_tree_the_catalogue_and_all_page_names() -> None:
    output = explain_text()
    assert "socket(2) → __sys_socket()" in output
    for item in KERNEL_OBJECTS:
        assert f"\n {item.struct.removeprefix('struct ')} " in output
    last = " ".join(output.split("\n\n")[-1].split())
    assert all(page.name in last.partition("other pages are: ")[2] for page in PAGES)
    assert max(map(len, output.splitlines())) <= 100


@pytest.mark.slow
def test_every_page_names_its_kernel() -> None:
    for page in PAGES:
        first = explain_text(page.name).splitlines()[0]
        assert first.startswith(f"{page.title} - Linux 6.1.0-56-amd64 of ")


def test_an_answer_says_whether_it_is_about_this_machine_or_a_saved_tree(tmp_path: Path) -> None:
    tree_of_another = copy_recording("6.1-4n", "established", tmp_path / "saved-tree")
    first = explain_text("SYN_SENT", root=str(tree_of_another)).splitlines()[0]
    assert first == f"Sockets by state - Linux 6.1.0-56-amd64 of {tree_of_another.name}"
    own = explain_text("SYN_SENT", root=None).splitlines()[0]
    assert own == f"Sockets by state - Linux {os.uname().release} of this machine"


@pytest.mark.parametrize(
    ("word", "entry", "words"),
    [
        ("alarm", "alarm", "A limit whose state is NEAR"),
        ("known", "headroom", "Only known limits count"),
        ("pressure", "pressure", "its own flag is set, whatever the use is"),
        ("in states", "in states", "`all but` names the states without it"),
        ("one slab", "one slab", "a bar of one slab"),
        ("one object", "one object", "a map of its struct"),
        ("partly full", "partly used", "free ones"),
        ("on CPUs", "held by CPUs", "taken for itself"),
        ("look", "look", "as ss does"),
        ("net growth", "growth", "opened less closed"),
        ("after reserves", "RAM available", "less than the free memory"),
    ],
)
def test_a_word_of_the_screen_has_its_own_entry_first(word: str, entry: str, words: str) -> None:
    _, _, first, *rest = explain_text(word).splitlines()
    assert first.strip() == entry
    assert words in " ".join(" ".join(rest).split())


@pytest.mark.parametrize("name", ["TCP", "tcp_sock", "struct tcp_sock"])
def test_a_cache_by_its_name_or_struct(name: str) -> None:
    row = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))["TCP"]
    output = explain_text(name)
    assert output.startswith("TCP - Linux")
    assert f"{row.size:,} B from one object to the next".replace(",", " ") in output
    assert f"{row.objects:,} objects in {row.slabs:,} slabs".replace(",", " ") in output


def test_a_cache_of_this_machine() -> None:
    output = explain_text("TCP", root=None)
    assert os.uname().release in output.splitlines()[0]
    assert "struct tcp_sock" in output


@pytest.mark.skipif(not os.access("/sys/kernel/btf/vmlinux", os.R_OK), reason="this kernel has no BTF")
@pytest.mark.skipif(not os.access("/proc/slabinfo", os.R_OK), reason="slabinfo is refused, so BTF is read in any case")
def test_a_struct_of_this_machine_has_its_members() -> None:
    assert "its largest members" in explain_text("TCP", root=None)


@pytest.mark.parametrize("name", ["nothing", "TPC dentyr", "tcpx", "", "../../etc/passwd", "x\x1b[2J\nnext", "ü"])
def test_an_unknown_name_is_a_one_line_error(name: str) -> None:
    completed = explain(name)
    assert_refused(completed, "explain")
    if name.isidentifier() and name.isascii():
        assert repr(name) in completed.stderr


def test_a_member_without_btf_says_that_btf_is_needed() -> None:
    assert_refused(explain("sk_wmem_queued"), "no entry for 'sk_wmem_queued'", "members of structs", "BTF")
    assert "BTF" not in explain("nothing").stderr


@pytest.mark.parametrize("typed", [("more", "fit"), ("--", "--"), ("≈",), (">=",), ("tw",), ("Socket",)], ids=" ".join)
def test_what_people_type_is_found(typed: tuple[str, ...]) -> None:
    assert explain_text(*typed)


@pytest.mark.parametrize("arguments", [["--nonsense"], ["-o"], ["--roo", TREE]], ids=" ".join)
def test_wrong_options(arguments: list[str]) -> None:
    assert_refused(explain(*arguments, root=None), "explain --help")


def test_explain_after_an_option_is_refused() -> None:
    assert_refused(
        forked_program.run("--root", TREE, "explain", "TCP"), f"explain comes first: tcptop explain TCP --root {TREE}\n"
    )


def test_help() -> None:
    completed = explain("--help", root=None)
    assert (completed.returncode, completed.stderr) == (0, "")
    for word in ("--root", "--lab", "cache"):
        assert word in completed.stdout
    assert max(map(len, completed.stdout.splitlines())) <= 80


def test_help_on_an_ascii_output() -> None:
    completed = explain("--help", root=None, env={"PYTHONIOENCODING": "ascii"})
    assert (completed.returncode, completed.stderr) == (0, "")


@pytest.mark.parametrize(
    "what", [[], ["states"], ["room"], ["headroom"], ["memory"], ["pid"], ["optional"]], ids=" ".join
)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_on_an_ascii_output_it_is_ascii(what: list[str], encoding: str) -> None:
    completed = explain(*what, env={"PYTHONIOENCODING": encoding})
    assert (completed.returncode, completed.stderr) == (0, "")
    assert completed.stdout.isascii()
    assert "\\u" not in completed.stdout
    plain, full = (list(filter(str.isdigit, output)) for output in (completed.stdout, explain_text(*what)))
    assert plain == full


def test_columns_are_aligned_in_ascii_too() -> None:
    lines = explain("states", env={"PYTHONIOENCODING": "ascii"}).stdout.splitlines()
    head = next(line for line in lines if line.startswith(" STATE "))
    for start in (" LISTEN", " ESTABLISHED", " CLOSE_WAIT", " TIME_WAIT"):
        [line] = [line for line in lines if line.startswith(start)]
        assert line[head.index("HOLDS") - 2 :].startswith("  a "), line


@pytest.mark.parametrize("what", [[], ["TCP"], ["states"]], ids=" ".join)
def test_a_closed_pipe_prints_no_error(what: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        completed = subprocess.run(
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
    assert (completed.returncode, completed.stderr) == (1, "")


def run_shell(command: str) -> Completed:
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=PROJECT
    )


def test_a_full_disk() -> None:
    completed = run_shell(f"{sys.executable} -m tcptop explain --root {TREE} > /dev/full")
    assert_refused(completed, "No space left")


def test_a_closed_standard_output() -> None:
    completed = run_shell(f"exec {sys.executable} -m tcptop explain --root {TREE} >&-")
    assert_refused(completed, "closed")


@pytest.mark.parametrize(("terminal_columns", "text_columns"), [(60, 60), (80, 80), (200, 120)])
def test_on_a_terminal_it_is_as_wide_as_the_terminal_up_to_120_columns(
    terminal_columns: int, text_columns: int
) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, terminal_columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "tcptop", "explain", "states", "--root", TREE],
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.DEVNULL,
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    os.close(slave)
    output = b""
    try:
        while piece := os.read(master, 4096):
            output += piece
    except OSError:  # EIO: the last process on the terminal has closed it
        pass
    finally:
        os.close(master)
    assert process.wait(GUARD_S) == 0
    lines = output.decode().splitlines()
    assert b"\x1b" not in output
    assert text_columns - 25 <= max(map(len, lines)) <= text_columns


def test_a_root_that_does_not_exist() -> None:
    assert_refused(explain(root="/nonexistent/tree"), "/nonexistent/tree")


def test_a_root_without_proc(tmp_path: Path) -> None:
    assert_refused(explain("TCP", root=str(tmp_path)), str(tmp_path), "proc")


def test_an_empty_root(tmp_path: Path) -> None:
    root = str(write_tree(tmp_path, {}))
    assert explain_text(root=root).startswith("What socket(2) and connect(2) allocate - an unknown kernel")
    assert "not known" in explain_text("TCP", root=root)
    assert_refused(explain("ext4_inode_cache", root=root), "ext4_inode_cache")


def test_a_word_with_its_meaning_and_its_file() -> None:
    output = " ".join(explain_text("Watermarks").split())
    assert output.startswith("watermark - Linux 6.1.0-56-amd64 of ")
    assert " watermark Three counts of free pages" in output
    assert "From: /proc/zoneinfo" in output


def test_all_words() -> None:
    output = explain_text("words")
    assert output == explain_text("glossary")
    for entry in ENTRIES:
        assert f"\n {entry.word}\n" in output


def test_an_unknown_word_names_words_like_it() -> None:
    assert_refused(explain("watermrak"), "'watermrak'", "watermark")
    assert_refused(explain("xyzzy"), "'xyzzy'", "words lists all")
    assert_refused(explain("nonsense of the world"), "no entry for 'nonsense of the world'")
    assert_refused(explain("period frobnicated"), "no entry for 'period frobnicated'", "grace period")


def test_a_rate_as_printed_is_no_option() -> None:
    assert "growth" in explain_text("-5/s").splitlines()[0]
    assert explain_text("of", "RAM", "-5/s") == explain_text("of RAM -5/s")


@pytest.mark.parametrize(
    ("words", "head", "part"),
    [
        ("without padding", "without slab padding", "with its alignment and free pointer, without what is left over"),
        ("without slab padding", "without slab padding", "with its alignment and free pointer"),
        ("padding", "padding", "`without slab padding`: less the last."),
        ("idle", "idle", "≤ if there may be more sockets than are counted"),
        ("range", "range", "error of the counter of buffers"),
        ("half client side", "FITS MORE", "half of the new sockets are taken as client side"),
        ("B average now", "average now", "divided by their number"),
        ("EMFILE", "nofile", "The limit of each process"),
        ("ENFILE", "file-max", "open files of the machine"),
        ("EADDRNOTAVAIL", "ports", "connect(2) fails with EADDRNOTAVAIL"),
        ("ENOMEM", "ENOBUFS", "memory for a sock"),
        ("ENOBUFS", "ENOBUFS", "no memory left"),
        ("ECONNREFUSED", "ECONNREFUSED", "no socket listens"),
        ("HighAtomic", "HighAtomic", "no room for slabs"),
        ("0 DMA32", "zone", "is the node"),
        ("ENTER", "ENTER", "explains what is selected"),
        ("W", "W", "who holds them"),
        ("m", "m", "TIME_WAIT and back"),
        ("0-9[]", "0-9[]", "choose a node"),
        ("more columns", "→ ▶", "hidden columns"),
        ("no file", "file", "A mini-socket, an orphan"),
        ("counts up to 5 s old", "sample", "their age stands beside them"),
        ("a step is 5 s", "5 s", "change once in five seconds"),
        ("B/mini-socket", "TIME_WAIT", "a mini-socket"),
        ("reclaimed", "reclaim", "frees page cache"),
        ("unused", "hole", "Unused bytes between two members"),
    ],
)
def test_a_text_of_the_screen_leads_to_its_entry(words: str, head: str, part: str) -> None:
    lines = explain_text(words).splitlines()
    assert lines[2].strip() == head
    assert part in " ".join(line.strip() for line in lines)


def test_the_report_and_the_glossary_use_the_words_of_the_screen_for_slab_padding() -> None:
    report = forked_program.run("-o", "--root", TREE, environment=dict(os.environ)).stdout
    assert " B without slab padding" in report
    assert "  with slab padding\n" in report
    assert " B without padding" not in report
    assert "struct alone" not in explain_text("padding")


@pytest.mark.parametrize("heading", ["TCP PARTv", "CACHE SIZEv", "OBJSv", "OBJS^", "TCP PART▾"])
def test_a_heading_is_found_with_its_mark_of_the_order_in_ascii_too(heading: str) -> None:
    assert explain_text(heading).splitlines()[2].strip() == heading.rstrip("v^▾")


def test_sockets_of_a_thread_with_its_own_descriptors_have_a_reason() -> None:
    assert "a thread's own table of descriptors" in " ".join(explain("(not seen)").stdout.split())
