"""The modules that each command imports, checked in an interpreter of its own.

import-linter reads import statements; these tests also see imports that run inside functions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
TREE = PROJECT / "tests/recordings/6.1-4n/established"

SCREEN_PACKAGES = {"textual", "rich", "asyncio", "psutil"}
"""Packages that only the screen needs; they make up most of its start time."""

LIVE = "import tcptop.screen.app, tcptop.screen.live_feed"
REPLAY = "import tcptop.screen.app, tcptop.screen.replay_feed"

MODULES = sorted(
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
    for path in (PROJECT / "tcptop").rglob("*.py")
)


def imported_modules(code: str) -> set[str]:
    """The modules that an interpreter has imported after it ran `code`; the code's output is discarded."""
    program = (
        "import contextlib, io, json, sys\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        + "".join(f"    {line}\n" for line in code.splitlines())
        + "print(json.dumps(sorted(sys.modules)))\n"
    )
    # With -I, no module comes from PYTHONPATH or from the user's site packages.
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=PROJECT
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return set(json.loads(ran.stdout))


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "--root", str(TREE)],
        ["-o", "--root", str(TREE)],
        ["--json"],
        ["-o"],
        ["--json", "-d", "0.1", "-n", "2", "--root", str(TREE)],
        ["-V"],
        ["-h"],
        ["-o", "-s", "c", "--root", str(TREE)],
        ["plan", "--connections", "1M", "--root", str(TREE)],
        ["check", "--root", str(TREE)],
    ],
    ids=" ".join,
)
def test_a_report_imports_no_screen(arguments: list[str]) -> None:
    modules = imported_modules(f"from tcptop.cli import main\nmain({arguments!r})")
    assert "tcptop.cli" in modules
    assert not packages(modules) & SCREEN_PACKAGES
    assert not modules & {"tcptop.hosts.zstd", "tcptop.recording.document", "sqlite3"}


@pytest.mark.parametrize("arguments", [["-V"], ["-h"], ["--nonsense"]], ids=" ".join)
def test_version_help_and_a_wrong_option_import_no_source(arguments: list[str]) -> None:
    modules = imported_modules(
        f"import sys\nsys.stderr = io.StringIO()\nfrom tcptop.cli import main\nmain({arguments!r})"
    )
    assert not {name for name in modules if name.startswith(("tcptop.sources", "tcptop.accounting", "tcptop.hosts"))}
    assert "json" in packages(modules)  # imported by the test program
    assert not packages(modules) & SCREEN_PACKAGES


def test_a_text_report_does_not_import_the_json_report() -> None:
    assert "tcptop.report.as_json" not in imported_modules(
        f"from tcptop.cli import main\nmain(['-o', '--root', {str(TREE)!r}])"
    )


NOT_FOR_A_REPORT = {
    *("dataclasses", "inspect", "shutil", "sqlite3", "tarfile", "tempfile", "threading", "zlib"),
    *("tcptop.recording", "tcptop.comparison", "tcptop.lab", "tcptop.view"),
    *("tcptop.settings.file", "tcptop.accounting.plan", "tcptop.accounting.checks", "tcptop.sources.cgroup_memory"),
}


@cache
def modules_of_argparse() -> set[str]:
    """Modules that any parser with an option imports: since Python 3.14, argparse imports the colours of the help, and
    dataclasses.
    """
    return imported_modules("import argparse\nargparse.ArgumentParser().add_argument('-x')")


@pytest.mark.parametrize("option", ["--json", "-o"])
def test_a_report_of_a_saved_tree_imports_no_recording_and_no_archive(option: str) -> None:
    modules = imported_modules(f"from tcptop.cli import main\nmain([{option!r}, '--root', {str(TREE)!r}])")
    assert "tcptop.sampling.sampler" in modules
    assert not (modules - modules_of_argparse()) & NOT_FOR_A_REPORT
    assert ("textwrap" in modules) == (option == "-o")


COMPILED = """
import contextlib, io, sys
NOT_TYPINGS = b"lambda _cls", b"__dataclass"  # of named tuples, and of argparse's own dataclasses
compiled = []
def watch(event, arguments):
    if event == "compile" and arguments[1] == "<string>" and not any(each in arguments[0] for each in NOT_TYPINGS):
        compiled.append(arguments[0])
sys.addaudithook(watch)
from tcptop.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--json", "--root", ROOT])
print(*compiled)
"""


def test_a_report_compiles_no_annotation() -> None:
    """typing compiles every postponed annotation of a named tuple at import, which took 10 % of a report."""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"ROOT = {str(TREE)!r}\n{COMPILED}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=PROJECT,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "\n", "")


SCREEN_FOLDERS = ("tcptop.screen", "tcptop.widgets", "tcptop.terminal")
LOOP_FOLDERS = (*SCREEN_FOLDERS, "tcptop.exporter")
"""Folders whose modules need an event loop."""
OTHER_SCREEN_MODULES = {
    "tcptop.sampling.live_sampler",
    "tcptop.sampling.reader_thread",
    "tcptop.sampling.worker",
    "tcptop.sources.machine_load",
}
BELOW_THE_SCREEN = [name for name in MODULES if not name.startswith(LOOP_FOLDERS) and name not in OTHER_SCREEN_MODULES]
"""All other modules: commands, figures, sources, hosts, recordings, reports, the lab."""

PURE_PACKAGES = ("accounting", "comparison", "explanation", "kernel", "ledger", "rates", "snapshot", "view")


def test_modules_below_the_screen_do_not_import_it() -> None:
    code = (
        f"for name in {BELOW_THE_SCREEN!r}:\n"
        "    __import__(name)\n"
        f"    imported = {SCREEN_PACKAGES!r} & sys.modules.keys()\n"
        "    assert not imported, f'{name} imports {imported}'"
    )
    modules = imported_modules(code)
    assert not packages(modules) & SCREEN_PACKAGES
    assert not {name for name in modules if name.startswith(("tcptop.screen", "tcptop.widgets"))}
    assert set(BELOW_THE_SCREEN) <= modules


@pytest.mark.parametrize("package", PURE_PACKAGES)
def test_figures_import_neither_sources_nor_hosts(package: str) -> None:
    names = [name for name in MODULES if name.split(".")[1:2] == [package]]
    assert names
    modules = imported_modules(f"for name in {names!r}:\n    __import__(name)")
    assert set(names) <= modules
    assert not {name for name in modules if name.startswith(("tcptop.sources", "tcptop.hosts", "tcptop.widgets"))}


def test_the_screen_imports_the_screen_packages() -> None:
    """Shows that the tests above can fail."""
    assert packages(imported_modules(LIVE)) >= SCREEN_PACKAGES


def test_a_live_screen_imports_no_replay() -> None:
    """The replay is imported when the user records or views earlier samples."""
    modules = imported_modules(LIVE)
    assert not modules & {"tcptop.screen.replay_feed", "tcptop.recording.opening", "sqlite3"}


def test_a_replay_imports_no_live_screen() -> None:
    modules = imported_modules(REPLAY)
    assert not modules & {
        "tcptop.screen.live_feed",
        "tcptop.sampling.live_sampler",
        "tcptop.sampling.reader_thread",
        "psutil",
    }


IMPORT_ALL = """
import sys
effects = []
def watch(event, arguments):
    if event == "open":
        path, mode = str(arguments[0]), str(arguments[1] or "r")
        flags = arguments[2] or 0
        wants_to_write = flags & 3 if isinstance(flags, int) else set(mode) & set("wax+")
        if wants_to_write or path.startswith(("/proc/", "/sys/kernel", "/sys/devices")):
            effects.append(f"{event} {path}")
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.kill")):
        effects.append(event)
    elif event in ("os.mkdir", "os.remove", "os.rename", "os.putenv", "os.unsetenv", "os.chdir", "signal.signal"):
        effects.append(event)
screen = ("textual.app", "textual.screen", "textual.widgets", "textual.theme", "psutil", "asyncio")
for dependency in (*screen, "prometheus_client", "yaml", "bcrypt"):
    __import__(dependency)
from textual.widgets import Input, Static  # Textual imports them on first use
import threading, signal
threads = threading.active_count()
signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)]
out, err = sys.stdout, sys.stderr
sys.dont_write_bytecode = True
sys.addaudithook(watch)
sys.argv = ["tcptop", "--nonsense"]
for module in MODULES:
    __import__(module)
    assert effects == [], f"{module}: {effects}"
assert threading.active_count() == threads
assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)] == signals
assert (sys.stdout, sys.stderr) == (out, err)
"""


@pytest.mark.slow
def test_imports_have_no_side_effects() -> None:
    """No kernel file is read, no file is written, and no socket, thread, child process or signal handler is created."""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"MODULES = {MODULES!r}\n{IMPORT_ALL}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=PROJECT,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_the_list_of_modules_is_complete() -> None:
    assert len(MODULES) > 40
    assert "tcptop.sources.slabinfo" in MODULES
    assert "tcptop" in MODULES
