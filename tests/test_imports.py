"""What each way of running imports, in an interpreter of its own.

import-linter sees only what is written, not what runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
TREE = PROJECT / "tests/recordings/6.1-4n/established"

SCREEN = ("textual", "rich", "asyncio", "psutil")

MODULES = sorted(
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
    for path in (PROJECT / "tcptop").rglob("*.py")
)


def imported(code: str) -> set[str]:
    """The modules that an interpreter has after it ran the code; what the code prints is thrown away."""
    program = (
        "import contextlib, io, json, sys\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        + "".join(f"    {line}\n" for line in code.splitlines())
        + "print(json.dumps(sorted(sys.modules)))\n"
    )
    # -S and -I: what the machine's own site packages import at start must not count.
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
    ],
    ids=" ".join,
)
def test_a_report_needs_no_screen(arguments: list[str]) -> None:
    modules = imported(f"from tcptop.cli import main\nmain({arguments!r})")
    assert "tcptop.cli" in modules
    assert not packages(modules) & set(SCREEN)
    assert not modules & {"tcptop.hosts.zstd", "tcptop.recording.document", "sqlite3"}


@pytest.mark.parametrize("arguments", [["-V"], ["-h"], ["--nonsense"]], ids=" ".join)
def test_a_word_about_itself_needs_no_source(arguments: list[str]) -> None:
    modules = imported(f"import sys\nsys.stderr = io.StringIO()\nfrom tcptop.cli import main\nmain({arguments!r})")
    assert not {name for name in modules if name.startswith(("tcptop.sources", "tcptop.accounting", "tcptop.hosts"))}
    assert "json" in packages(modules)  # this test's own
    assert not packages(modules) & set(SCREEN)


def test_a_text_report_needs_no_json_report() -> None:
    assert "tcptop.report.as_json" not in imported(
        f"from tcptop.cli import main\nmain(['-o', '--root', {str(TREE)!r}])"
    )


BELOW_THE_SCREEN = [
    "tcptop.accounting",
    "tcptop.ledger",
    "tcptop.kernel.objects",
    "tcptop.snapshot",
    "tcptop.rates",
    "tcptop.text.units",
    "tcptop.text.cache_columns",
    "tcptop.sampling.pace",
    "tcptop.report.as_text",
    "tcptop.report.as_json",
    "tcptop.hosts.folder",
    "tcptop.hosts.run_sync",
    *(name for name in MODULES if name.startswith("tcptop.sources.") and not name.endswith("machine_load")),
    "tcptop.sampling.sampler",
    "tcptop.cli",
]


def test_below_the_screen_nothing_imports_one() -> None:
    guilty = (
        f"for name in {BELOW_THE_SCREEN!r}:\n"
        "    __import__(name)\n"
        f"    there = {SCREEN!r} & sys.modules.keys()\n"
        "    assert not there, f'{name} imports {there}'"
    ).replace(repr(SCREEN), repr(set(SCREEN)))
    assert not packages(imported(guilty)) & set(SCREEN)


@pytest.mark.parametrize("module", ["tcptop.accounting"])
def test_accounting_imports_neither_sources_nor_hosts(module: str) -> None:
    modules = imported(f"import {module}")
    assert not {name for name in modules if name.startswith(("tcptop.sources", "tcptop.hosts", "tcptop.widgets"))}


def test_the_screen_is_what_imports_textual() -> None:
    """So that the tests above can fail."""
    assert set(SCREEN) <= packages(imported("import tcptop.screen.recording_app"))


def test_a_live_screen_needs_nothing_of_a_replay() -> None:
    """Until somebody records, or looks back."""
    modules = imported("import tcptop.screen.recording_app")
    assert not modules & {"tcptop.screen.replay_app", "tcptop.screen.playback", "tcptop.recording.opening", "sqlite3"}


def test_a_replay_needs_nothing_of_a_live_screen() -> None:
    modules = imported("import tcptop.screen.replay_app")
    assert not modules & {
        "tcptop.screen.live_app",
        "tcptop.sampling.live_sampler",
        "tcptop.sampling.threaded_host",
        "psutil",
    }


WATCHED = """
import sys
seen = []
def watch(event, arguments):
    if event == "open":
        path, mode = str(arguments[0]), str(arguments[1] or "r")
        flags = arguments[2] or 0
        wants_to_write = flags & 3 if isinstance(flags, int) else set(mode) & set("wax+")
        if wants_to_write or path.startswith(("/proc/", "/sys/kernel", "/sys/devices")):
            seen.append(f"{event} {path}")
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.kill")):
        seen.append(event)
    elif event in ("os.mkdir", "os.remove", "os.rename", "os.putenv", "os.unsetenv", "os.chdir", "signal.signal"):
        seen.append(event)
for dependency in ("textual.app", "textual.screen", "textual.widgets", "textual.theme", "psutil", "asyncio"):
    __import__(dependency)
from textual.widgets import Input, Static  # they are loaded when they are named
import threading, signal
threads = threading.active_count()
signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)]
out, err = sys.stdout, sys.stderr
sys.dont_write_bytecode = True
sys.addaudithook(watch)
sys.argv = ["tcptop", "--nonsense"]
for module in MODULES:
    __import__(module)
    assert seen == [], f"{module}: {seen}"
assert threading.active_count() == threads
assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)] == signals
assert (sys.stdout, sys.stderr) == (out, err)
"""


def test_importing_does_nothing() -> None:
    """No file of the kernel is read, none is written, no socket, thread, child or signal handler is made."""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"MODULES = {MODULES!r}\n{WATCHED}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=PROJECT,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_there_are_modules() -> None:
    assert len(MODULES) > 40
    assert "tcptop.sources.slabinfo" in MODULES
    assert "tcptop" in MODULES
