"""The command line as a process: exit codes, both output streams, pipes, terminals and signals."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from emulator import Emulator
from packed_trees import archive_of
from slow_case import slow

from tcptop import __version__
from tcptop.cli import SUBCOMMANDS, parse_options
from tcptop.errors import TcptopError

PROJECT = Path(__file__).resolve().parents[1]
TREE = str(PROJECT / "tests/recordings/6.1-4n/established")
GUARD_S = 60
"""Timeout that ends a failed test; no time is asserted."""

Ran = subprocess.CompletedProcess[str]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def tcptop(*arguments: str, env: Mapping[str, str] | None = None, stdout: int | IO[bytes] = subprocess.PIPE) -> Ran:
    return subprocess.run(
        [sys.executable, "-m", "tcptop", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=GUARD_S,
        check=False,
        cwd=PROJECT,
        env=env,
    )


def assert_refused(ran: Ran, *words: str) -> None:
    """Asserts exit code 1, one line on standard error with the words, and nothing on standard output."""
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr.startswith("tcptop: ")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.endswith("\n")
    assert "Traceback" not in ran.stderr
    for word in words:
        assert word in ran.stderr


# Options


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option: str) -> None:
    ran = tcptop(option)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"tcptop {__version__}")
    assert ran.stdout.count("\n") == 1


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_a_subcommand_behind_options_is_named_with_the_whole_command(subcommand: str) -> None:
    with pytest.raises(TcptopError) as refused:
        parse_options(["--root", "a b", subcommand, "what", "--flag"])
    assert str(refused.value) == f"{subcommand} comes first: tcptop {subcommand} what --flag --root 'a b'"
    with pytest.raises(TcptopError) as refused:
        parse_options(["--root", subcommand, subcommand])
    assert str(refused.value) == f"{subcommand} comes first: tcptop {subcommand} --root {subcommand}"


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str) -> None:
    ran = tcptop(option)
    assert (ran.returncode, ran.stderr) == (0, "")
    for word in ("-d", "-s", "-o", "--json", "--root", "-n", "-V", "tcptop-bpfcc"):
        assert word in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], ["--nonsense"]),
        (["-x"], ["-x"]),
        (["-d"], ["-d"]),
        (["-d", "0"], ["'0'", "0.1"]),
        (["-d", "-1"], ["-1"]),
        (["-d", "x"], ["'x'"]),
        (["-d", "nan"], ["'nan'"]),
        (["-d", "inf"], ["'inf'"]),
        (["-d", ""], ["-d", "empty"]),
        (["-s", "z"], ["'z'"]),
        (["-s", ""], ["-s", "empty"]),
        (["-s", "cc"], ["'cc'"]),
        (["-o", "-n", "0"], ["'0'"]),
        (["-o", "-n", "-3"], ["-3"]),
        (["-o", "-n", "1.5"], ["'1.5'"]),
        (["-o", "--json"], ["-o", "--json"]),
        (["-n", "3"], ["-n"]),
        (["-o", "-d", "1"], ["-d", "-o", "-n"]),
        (["--json", "-d", "1"], ["-d", "-n"]),
        (["--onc"], ["--onc"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_options(arguments: list[str], words: list[str]) -> None:
    assert_refused(tcptop(*arguments), *words)


@pytest.mark.parametrize("arguments", [["1", "10"], ["-C", "5"], ["-C"], ["-p", "181"], ["5"]], ids=" ".join)
def test_arguments_of_the_tcptop_of_bcc_are_refused_with_its_name(arguments: list[str]) -> None:
    assert_refused(tcptop(*arguments), "tcptop-bpfcc")


@pytest.mark.parametrize("arguments", [("hosts",), ("hosts", "web1", "web2"), ("-o", "host", "web1"), ("fleet",)])
def test_a_word_for_several_machines_names_their_option(arguments: tuple[str, ...]) -> None:
    assert_refused(tcptop(*arguments), "several machines: tcptop --host LIST")


def test_control_characters_in_arguments_are_not_printed() -> None:
    assert_refused(tcptop("--x\x1b[2J\nnext"))
    assert "\x1b" not in tcptop("--x\x1b[2J\nnext").stderr
    ran = tcptop("-o", "--root", "/nonexistent\x1b[2J\nnext")
    assert_refused(ran)
    assert "\x1b" not in ran.stderr


# Reports


def test_text_of_a_recording() -> None:
    ran = tcptop("-o", "--root", TREE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.isascii()
    assert all(character.isprintable() or character == "\n" for character in ran.stdout)
    for section in (
        "Bytes per connection, open sockets",
        "Bytes per connection, TIME_WAIT",
        "Sockets",
        "Total kernel memory",
        "TCP caches",
        "Node 3",
    ):
        assert section in ran.stdout
    assert " TCP " in ran.stdout


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", ""])
def test_text_is_the_same_in_every_locale(locale: str) -> None:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = tcptop("-o", "--root", TREE, env=environment)
    assert ran.returncode == 0
    assert ran.stdout == tcptop("-o", "--root", TREE).stdout


def test_text_of_this_machine() -> None:
    ran = tcptop("-o")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.isascii()
    assert os.uname().release in ran.stdout


@pytest.mark.slow
def test_a_sort_key_orders_the_report() -> None:
    def caches(*arguments: str) -> list[str]:
        lines = tcptop("-o", "--root", TREE, *arguments).stdout.split("TCP caches\n")[1].split("\n\n")[0].splitlines()
        return [line.split()[0] for line in lines[1:]]

    assert caches("-s", "n") == sorted(caches())
    assert caches("-s", "N") == caches("-s", "n")
    assert caches("-s", "c") != caches("-s", "n")


def test_json_of_a_recording() -> None:
    ran = tcptop("--json", "--root", TREE)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.isascii()
    assert ran.stdout.count("\n") == 1
    report = json.loads(ran.stdout)
    assert report["schema"] == 1
    assert report["version"] == __version__
    assert report["live"] is False
    assert report["taken_at"] is None
    assert report["host"]["nodes"] == [0, 1, 2, 3]
    assert report["host"]["kernel"] == "6.1.0-56-amd64"


def test_json_of_this_machine() -> None:
    report = json.loads(tcptop("--json").stdout)
    assert report["schema"] == 1
    assert report["live"] is True
    assert report["host"]["kernel"] == os.uname().release
    assert report["host"]["page_size"] == os.sysconf("SC_PAGE_SIZE")
    assert report["host"]["cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
    taken = time.strptime(report["taken_at"].partition(".")[0], "%Y-%m-%dT%H:%M:%S")
    assert taken.tm_year >= 2024
    assert report["taken_at"].endswith("Z")


JSON_KEYS = {
    "": {
        *("schema", "version", "taken_at", "live", "host", "sockets", "caches", "bytes_per_connection"),
        *("tcp_memory", "nodes", "sources"),
    },
    "host": {"name", "kernel", "page_size", "cpus", "nodes"},
    "sockets": {
        *("inuse", "inuse6", "orphans", "time_wait", "time_wait_machine_max", "allocated", "buffer_pages"),
        *("buffer_bytes", "buffer_error_bytes", "tcp_mem_pages"),
    },
    "cache": {
        *("name", "row", "aliases", "objects_of", "shared", "object_bytes", "object_size", "objects_per_slab"),
        *("pages_per_slab", "order", "active_objects", "objects", "slabs", "bytes", "nodes"),
    },
    "cost": {"ipv4", "ipv6", "mix", "idle_bytes_per_socket", "buffer_bytes_per_socket", "now_bytes"},
    "side": {"object_bytes", "slab_bytes", "complete", "missing", "parts"},
    "part": {"object", "cache", "count", "object_bytes", "slab_bytes", "estimated"},
    "tcp_memory": {"bytes", "low_bytes", "high_bytes", "unexplained_bytes", "parts"},
    "node": {"node", "cpus", "cpu_list", "memory_bytes", "zones"},
    "zone": {
        *("zone", "managed_pages", "free_pages", "min_pages", "low_pages", "high_pages", "free_area", "migrate_types"),
        *("capped", "pageblocks", "unusable_index", "tcp_slabs_free", "tcp_slabs_free_without_stealing"),
    },
    "source": {"state", "reason", "age_s", "read_us", "every_s"},
}
"""Keys that are always present, whether the value is known or null. Further keys are allowed."""


@pytest.mark.parametrize("root", [TREE, "nothing", "/"])
def test_json_has_every_key_whatever_can_be_read(root: str, tmp_path: Path) -> None:
    if root == "nothing":
        (tmp_path / "proc").mkdir()
        root = str(tmp_path)
    report = json.loads(tcptop("--json", "--root", root).stdout)
    objects: list[tuple[str, dict[str, Any]]] = [
        ("", report),
        *((key, report[key]) for key in ("host", "sockets", "tcp_memory")),
    ]
    objects += [("cache", cache) for cache in report["caches"]]
    costs = report["bytes_per_connection"]
    assert costs.keys() >= {"full", "time_wait"}
    objects += [("cost", cost) for cost in costs.values()]
    for cost in costs.values():
        for family in ("ipv4", "ipv6", "mix"):
            assert cost[family].keys() >= {"accepted", "outgoing"}
            objects += [("side", side) for side in cost[family].values()]
            objects += [("part", part) for side in cost[family].values() for part in side["parts"]]
    objects += [("node", node) for node in report["nodes"]]
    objects += [("zone", zone) for node in report["nodes"] for zone in node["zones"]]
    objects += [("source", source) for source in report["sources"].values()]
    for kind, found in objects:
        assert found.keys() >= JSON_KEYS[kind], kind


@pytest.mark.parametrize("form", ["--json", "-o"])
def test_several_reports(form: str) -> None:
    ran = tcptop(form, "-d", "0.1", "-n", "3", "--root", TREE)
    assert (ran.returncode, ran.stderr) == (0, "")
    if form == "--json":
        reports = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [report["schema"] for report in reports] == [1, 1, 1]
    else:
        assert ran.stdout.count("Total kernel memory in TCP") == 3


def test_several_reports_of_this_machine() -> None:
    reports = [json.loads(line) for line in tcptop("--json", "-d", "0.1", "-n", "3").stdout.splitlines()]
    times = [report["taken_at"] for report in reports]
    assert len(set(times)) == 3
    assert times == sorted(times)


def test_a_count_without_a_delay() -> None:
    assert tcptop("--json", "-n", "1", "--root", TREE).stdout.count("\n") == 1


# Other roots


def test_a_root_that_does_not_exist() -> None:
    assert_refused(tcptop("-o", "--root", "/nonexistent/tree"), "/nonexistent/tree")
    assert_refused(tcptop("--root", "/nonexistent/tree", "--json"), "/nonexistent/tree")


def test_a_root_without_proc(tmp_path: Path) -> None:
    assert_refused(tcptop("-o", "--root", str(tmp_path)), str(tmp_path), "proc")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_root_that_is_an_archive(mode: str, tmp_path: Path) -> None:
    archive = str(archive_of(Path(TREE), tmp_path / "tree", mode))
    report, expected = (json.loads(tcptop("--json", "--root", root).stdout) for root in (archive, TREE))
    del report["sources"], expected["sources"]
    assert report == expected
    assert archive in "".join(tcptop("-o", "--root", archive).stdout.split())


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert_refused(tcptop("--json", "--root", str(tmp_path / "file")), str(tmp_path / "file"))


def test_an_empty_proc_gives_a_report_that_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    ran = tcptop("-o", "--root", str(tmp_path))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "/proc/slabinfo" in ran.stdout


# Standard output


@pytest.mark.parametrize("form", ["--json", "-o"])
def test_a_closed_pipe_prints_no_error(form: str) -> None:
    command = f"{sys.executable} -m tcptop {form} -n 50 -d 0.1 --root {TREE} | head -1"
    ran = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=PROJECT
    )
    assert ran.stderr == ""
    assert ran.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "--root", TREE),
        ("-o", "--root", TREE),
        ("-h",),
        ("-V",),
        *(slow((command, "--help")) for command in SUBCOMMANDS if command != "check"),
    ],
    ids=" ".join,
)
def test_a_full_disk(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = tcptop(*words, stdout=full)
    assert ran.returncode == (2 if words[0] == "plan" else 1), "plan: 1 says that the connections do not fit"
    assert ran.stderr.count("\n") == 1
    assert ran.stderr.startswith("tcptop: ")
    assert "No space left" in ran.stderr


@pytest.mark.parametrize("form", ["--json", "-o"])
def test_a_closed_standard_output(form: str) -> None:
    command = f"exec {sys.executable} -m tcptop {form} --root {TREE} >&-"
    ran = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=PROJECT
    )
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["--root", TREE], ["-d", "2", "-s", "c"]], ids=" ".join)
def test_without_a_terminal(arguments: list[str]) -> None:
    assert_refused(tcptop(*arguments), "-o", "--json")


def test_sigint_between_two_reports_ends_with_0() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tcptop", "--json", "-d", "50", "-n", "2", "--root", TREE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("{")
        process.send_signal(signal.SIGINT)
        assert process.wait(GUARD_S) == 0
        assert process.stderr.read() == ""


# Users


PLAIN_USER = """
import contextlib, io, os, sys
from tcptop.cli import main
for arguments in (["--json"], ["-o"], ["--nonsense"]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(arguments)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert os.geteuid() == 65534
main(sys.argv[1:])
"""
"""Runs tcptop as the user nobody.

The interpreter may be in a folder that only root can enter, so everything is imported before root is given up. The runs
as root leave no file open for the last run, because each run opens its own host.
"""


def run_as_plain_user(*arguments: str) -> Ran:
    return subprocess.run(
        [sys.executable, "-c", PLAIN_USER, *arguments],
        capture_output=True,
        text=True,
        timeout=GUARD_S,
        check=False,
        cwd=PROJECT,
    )


needs_slabinfo = pytest.mark.skipif(
    not Path("/proc/slabinfo").exists() or not Path("/sys/kernel/slab/TCP").exists(),
    reason="this kernel shows no slab caches at all",
)


@needs_root
@needs_slabinfo
def test_json_as_root() -> None:
    report = json.loads(tcptop("--json").stdout)
    for name in ("slabinfo", "slab_counts", "slab_sizes", "slab_links", "sockstat", "buddyinfo", "zoneinfo"):
        assert report["sources"][name]["state"] == "ok", report["sources"][name]
        assert report["sources"][name]["reason"] is None
    tcp = next(cache for cache in report["caches"] if cache["name"] == "TCP")
    assert tcp["bytes"] is not None
    assert tcp["active_objects"] is not None


@needs_root
@needs_slabinfo
def test_json_as_a_plain_user() -> None:
    ran = run_as_plain_user("--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    report = json.loads(ran.stdout)
    root = json.loads(tcptop("--json").stdout)
    for name, path in (("slabinfo", "/proc/slabinfo"), ("pagetypeinfo", "/proc/pagetypeinfo")):
        source = report["sources"][name]
        assert source["state"] == "refused"
        assert path in source["reason"]
        assert "tcptop" in source["reason"], "the reason names the way to read it"
    # Any user may read sizes (/proc/net/protocols), merging (the links of /sys/kernel/slab) and free lists (buddyinfo).
    caches = {cache["name"]: cache for cache in report["caches"]}
    of_root = {cache["name"]: cache for cache in root["caches"]}
    for name in ("TCP", "TCPv6"):
        assert caches[name]["object_size"] == of_root[name]["object_size"] or caches[name]["object_size"] > 1000
        assert caches[name]["active_objects"] is None
        assert caches[name]["bytes"] is None
    for name in caches.keys() & of_root.keys():
        assert set(caches[name]["aliases"]) == set(of_root[name]["aliases"]), name
    assert [node["node"] for node in report["nodes"]] == [node["node"] for node in root["nodes"]]
    for node in report["nodes"]:
        for zone in node["zones"]:
            assert zone["free_area"]
            assert zone["free_pages"] is not None
            assert zone["migrate_types"] is None
    assert report["sockets"]["allocated"] is not None
    accepted = report["bytes_per_connection"]["full"]["ipv4"]["accepted"]
    assert accepted["complete"] is (accepted["missing"] == [])
    # Any user may read the files that show which security modules are active.
    assert not any("security modules" in reason for reason in accepted["missing"])
    assert accepted["object_bytes"] > 1000
    assert report["bytes_per_connection"]["full"]["now_bytes"] is None
    assert report["tcp_memory"]["bytes"] is None


@needs_root
@needs_slabinfo
def test_text_as_a_plain_user() -> None:
    ran = run_as_plain_user("-o")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.isascii()
    for word in ("/proc/slabinfo", "/proc/pagetypeinfo", "computed", "Node 0"):
        assert word in ran.stdout


@needs_root
def test_a_tree_that_a_plain_user_may_not_enter(tmp_path: Path) -> None:
    shutil.copytree(TREE, tmp_path / "tree", symlinks=True)
    (tmp_path / "tree").chmod(0o700)
    assert_refused(run_as_plain_user("--json", "--root", str(tmp_path / "tree")), "Permission denied")


# Installed


@pytest.mark.parametrize("name", ["tcptop", "tcpmemtop"])
def test_the_console_scripts(name: str) -> None:
    script = Path(sys.executable).parent / name
    if not script.exists():
        pytest.skip(f"no {script}: tcptop is not installed in this environment")
    ran = subprocess.run([script, "-V"], capture_output=True, text=True, timeout=GUARD_S, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert __version__ in ran.stdout


def test_the_console_scripts_are_declared() -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    for name in ("tcptop", "tcpmemtop"):
        assert f'\n{name} = "tcptop.__main__:main"\n' in text


# A terminal


def is_readable(descriptor: int, timeout_s: float) -> bool:
    """Waits for input; False at the timeout. select() would refuse descriptors above 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


class Terminal:
    """A pseudo-terminal in which tcptop runs, and all output of tcptop."""

    def __init__(self, arguments: Sequence[str], columns: int, rows: int, python: Sequence[str] = ()) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.written = b""
        self.screen = Emulator(columns, rows)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.process = subprocess.Popen(
            [sys.executable, *python, "-m", "tcptop", *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=PROJECT,
            env=os.environ | {"TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling terminal
        )

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def read(self, timeout_s: float) -> None:
        """Reads output, if there is some before the timeout."""
        if is_readable(self.master, timeout_s):
            output = os.read(self.master, 1 << 16)
            self.written += output
            self.screen.feed(self._decoder.decode(output))

    def wait_for(self, text: str) -> None:
        """Waits until the emulator shows a text; the output itself holds only changed cells."""
        deadline_s = time.monotonic() + GUARD_S
        while text not in self.screen.text():
            assert self.process.poll() is None, f"it ended: {self.written[-2000:]!r}"
            assert time.monotonic() < deadline_s, f"no {text!r} on\n{self.screen.text()}"
            self.read(0.2)

    def wait_for_end(self) -> int:
        """Reads until tcptop has ended; returns its exit code."""
        deadline_s = time.monotonic() + GUARD_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline_s, "it does not end"
            self.read(0.1)
        while is_readable(self.master, 0):
            self.read(0)
        return self.process.returncode

    def assert_restored(self) -> None:
        """Asserts that the alternate screen, cursor, bracketed paste and line discipline are as before the start."""
        for on, off in (
            (b"\x1b[?1049h", b"\x1b[?1049l"),
            (b"\x1b[?25l", b"\x1b[?25h"),
            (b"\x1b[?2004h", b"\x1b[?2004l"),
        ):
            assert on in self.written
            assert self.written.rfind(off) > self.written.rfind(on), off
        assert termios.tcgetattr(self.slave) == self.before
        after = self.written[self.written.rfind(b"\x1b[?1049l") :]
        assert b"Traceback" not in self.written
        assert b"Error" not in after

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@contextmanager
def terminal(*arguments: str, columns: int = 100, rows: int = 30, python: Sequence[str] = ()) -> Iterator[Terminal]:
    opened = Terminal(arguments, columns, rows, python)
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
    "arguments", [[], ["--root", TREE], ["-d", "0.1", "-s", "c"]], ids=["live", "saved", "options"]
)
def test_the_screen_starts_and_q_ends_it(arguments: list[str]) -> None:
    with terminal(*arguments) as screen:
        screen.wait_for("Bytes per connection")
        screen.wait_for("Free blocks")
        screen.type("q")
        assert screen.wait_for_end() == 0
        screen.assert_restored()


def test_ctrl_c_ends_with_0() -> None:
    with terminal("--root", TREE) as screen:
        screen.wait_for("Free blocks")
        screen.type("\x03")
        assert screen.wait_for_end() == 0
        screen.assert_restored()


@pytest.mark.parametrize("root", ["/", TREE], ids=["live", "saved"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.quick_cases(1)
def test_a_signal_restores_the_terminal(number: signal.Signals, root: str) -> None:
    with terminal("--root", root) as screen:
        screen.wait_for("Free blocks")
        screen.process.send_signal(number)
        assert screen.wait_for_end() == 0
        screen.assert_restored()


def test_mouse_reporting_is_off_by_default() -> None:
    with terminal("--root", TREE) as screen:
        screen.wait_for("Free blocks")
        screen.type("q")
        screen.wait_for_end()
        assert b"\x1b[?1000h" not in screen.written
        assert b"\x1b[?1003h" not in screen.written


def test_the_mouse_option_turns_mouse_reporting_on() -> None:
    with terminal("--mouse", "--root", TREE) as screen:
        screen.wait_for("Free blocks")
        screen.type("q")
        assert screen.wait_for_end() == 0
        assert b"\x1b[?1000h" in screen.written
        screen.assert_restored()


@pytest.mark.slow
def test_keys_reach_the_screen() -> None:
    with terminal("--root", TREE) as screen:
        screen.wait_for("all 4 nodes")
        screen.type("2")
        screen.wait_for("node 2 of 4")
        screen.type("m")
        screen.wait_for("TIME_WAIT ")
        screen.type("?")
        screen.wait_for("Help")
        screen.type("?")
        screen.wait_for("Free blocks")
        screen.type("q")
        assert screen.wait_for_end() == 0
        screen.assert_restored()


def test_a_wrong_root_is_one_line_without_escape_sequences(tmp_path: Path) -> None:
    with terminal("--root", str(tmp_path)) as screen:
        assert screen.wait_for_end() == 1
        assert b"\x1b" not in screen.written
        assert screen.written.count(b"\n") == 1
        assert termios.tcgetattr(screen.slave) == screen.before


def test_a_python_without_the_packages_is_one_line() -> None:
    """-S: without site-packages."""
    with terminal("--root", TREE, python=["-S"]) as screen:
        assert screen.wait_for_end() == 1
        assert screen.written.startswith(b"tcptop: this Python lacks the package ")
        assert screen.written.count(b"\n") == 1


@pytest.mark.parametrize("stream", [">/dev/null", "2>/dev/null", "</dev/null"])
def test_a_standard_stream_that_is_no_terminal_is_refused(stream: str) -> None:
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {sys.executable} -m tcptop {stream}"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=PROJECT,
        )
        assert process.wait(GUARD_S) == 1
        text = os.read(master, 1 << 16).decode() if is_readable(master, 0) else ""
        if not stream.startswith("2"):
            assert text.startswith("tcptop: ")
            assert text.count("\n") == 1
        assert "\x1b" not in text
    finally:
        os.close(master)
        os.close(slave)


def test_a_word_for_replaying_names_the_option() -> None:
    with pytest.raises(TcptopError, match="tcptop -r FILE"):
        parse_options(["replay", "x.tcptop"])
