"""Shared by all tests: a fixed environment, the snapshot folders, an empty home folder, and a lock on the kernel."""

from __future__ import annotations

import fcntl
import gc
import importlib
import math
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

RENDERING_VARIABLES = ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES", "ESCDELAY")
"""Variables that change how the screen is drawn, in addition to TEXTUAL_*."""


def reset_environment() -> None:
    """Removes the variables that change how the screen is drawn, before the app reads them.

    The snapshot plugin imports Textual before any conftest runs, so Textual's constants are loaded again.
    """
    for name in [name for name in os.environ if name in RENDERING_VARIABLES or name.startswith("TEXTUAL_")]:
        if name != "TEXTUAL_SNAPSHOT_TEMPDIR":  # set by the plugin, for its worker processes
            del os.environ[name]
    os.environ.update(TERM="xterm-256color", TZ="UTC", LC_ALL="C.UTF-8", LANG="C.UTF-8")
    time.tzset()
    # A shell without job control starts a background job with SIGINT and SIGQUIT ignored, and every program of a test
    # would inherit this.
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if "textual.constants" in sys.modules:
        importlib.reload(sys.modules["textual.constants"])


reset_environment()

import pytest  # noqa: E402 (the environment comes first)
import pytest_textual_snapshot  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode  # noqa: E402
from syrupy.location import PyTestLocation  # noqa: E402

from tcptop.hosts.folder import FolderHost  # noqa: E402
from tcptop.sources import source  # noqa: E402

source.AS_ROOT = "sudo /usr/local/bin/tcptop"  # the real path differs from one checkout to another

TESTS = Path(__file__).resolve().parent
RECORDINGS = TESTS / "recordings"
SNAPSHOTS = TESTS / "snapshots"


def snapshot_folder(test_location: PyTestLocation) -> str:
    """The folder of the snapshots of a test file."""
    return str(SNAPSHOTS / Path(test_location.filepath).stem)


class SvgSnapshot(pytest_textual_snapshot.SVGImageExtension):  # type: ignore[misc] # the plugin is not typed
    """The plugin's SVG snapshot, stored in tests/snapshots."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return snapshot_folder(test_location)


class TextSnapshot(SingleFileSnapshotExtension):
    """The same screen as plain text, so that a change is readable in a diff."""

    _file_extension = "txt"
    _write_mode = WriteMode.TEXT

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return snapshot_folder(test_location)


# There is no deadline, and no check of how fast examples are made, because both would measure the machine.
for profile, max_examples in {"quick": 30, "thorough": 150}.items():  # .ci/run chooses `thorough`
    settings.register_profile(
        profile, deadline=None, max_examples=max_examples, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("quick")

# The plugin's fixture reads this name when a test uses it.
pytest_textual_snapshot.SVGImageExtension = SvgSnapshot


def pytest_configure(config: pytest.Config) -> None:
    """Refuses --snapshot-update with another Textual than the pinned one, or with more than one process."""
    if not config.option.update_snapshots:
        return
    pinned, installed = pinned_version("textual"), installed_version("textual")
    if pinned != installed:
        raise pytest.UsageError(
            f"--snapshot-update needs textual {pinned}, which pyproject.toml pins, not {installed}: run scripts/test"
        )
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError(
            "--snapshot-update cannot run with -n: only one process knows which snapshots are unused"
        )


LAB_OF_A_PAGE = "[sudo tcptop lab"
LONGEST = (LAB_OF_A_PAGE, "::test_a_minute_of_scrapes", "/test_lab_live.py", "/test_live_sequences.py")
"""Parts of names of tests that take over half a minute. They begin first, so that the run does not end with one."""

QUICK_CASES = {
    "screen": 2,
    **dict.fromkeys(("commands", "exporter", "faults", "hosts", "recording", "report", "terminal"), 4),
}
"""Number of cases of a test that `scripts/test` runs, by the folder of tests/, where a case takes long."""


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out the slow tests
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Puts the longest tests first, and marks the cases of a test as slow but for a few, taken at equal distances.

    --snapshot-update runs every test that has a snapshot, and no other.
    """
    if config.option.update_snapshots:
        items[:] = [item for item in items if "snapshot" in getattr(item, "fixturenames", ())]
        config.option.markexpr = ""
        return
    items.sort(key=lambda item: not any(part in item.nodeid for part in LONGEST))
    tests: dict[tuple[Path, str], list[pytest.Item]] = {}
    for item in items:
        if LAB_OF_A_PAGE in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("live kernel"))  # one lab at a time
        tests.setdefault((item.path, item.name.partition("[")[0]), []).append(item)
    for cases in tests.values():
        folder = cases[0].path.relative_to(TESTS).parts[0]
        marker = cases[0].get_closest_marker("quick_cases")
        number = marker.args[0] if marker is not None else QUICK_CASES.get(folder, len(cases))
        for index, case in enumerate(cases):
            if index % math.ceil(len(cases) / number):
                case.add_marker(pytest.mark.slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The number of processes: one more than the CPUs, because many tests wait; 0 for runs that need one process."""
    return 0 if config.option.update_snapshots or config.option.trace else len(os.sched_getaffinity(0)) + 1


def pytest_collection_finish() -> None:
    """Leaves the objects that pytest keeps for all tests out of garbage collections, and makes garbage collections less
    frequent.

    Garbage collections took a third of the time of a screen test.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_report_header(config: pytest.Config) -> str | None:
    left_out = config.option.markexpr == "not slow"
    return 'slow tests are left out: -m slow runs them, -m "" runs all' if left_out else None


def pinned_version(package: str) -> str:
    """The version of a package that pyproject.toml pins."""
    match = re.search(rf'^ *"{package}==([^"]+)"', (TESTS.parent / "pyproject.toml").read_text(), re.MULTILINE)
    return match[1] if match else "(not pinned)"


def installed_version(package: str) -> str:
    """The installed version of a package."""
    from importlib.metadata import version

    return version(package)


@pytest.fixture(autouse=True)
def _empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps the developer's own configuration out of tests and their subprocesses."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))


@pytest.fixture(autouse=True)
def _bounded_examples(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs the examples of a property test under limits of CPU time and memory."""
    handle = getattr(getattr(request, "function", None), "hypothesis", None)
    if handle is None:
        yield
        return
    from bounded_examples import bounded_example, limits

    inner = handle.inner_test
    handle.inner_test = bounded_example(inner)
    try:
        with limits():
            yield
    finally:
        handle.inner_test = inner


@pytest.fixture(autouse=True)
def _close_hosts() -> Iterator[None]:
    """Closes the hosts that a screen test opened; a host keeps its file descriptors open."""
    yield
    if "drive" in sys.modules:
        opened: list[FolderHost] = sys.modules["drive"].OPEN_HOSTS
        while opened:
            opened.pop().close()


@pytest.fixture(scope="module")
def kernel_lock() -> Iterator[None]:
    """Lock held by tests that count the machine's own sockets, so that only one such test runs at a time."""
    with (Path(tempfile.gettempdir()) / "tcptop-tests-count-sockets").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
