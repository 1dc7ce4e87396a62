"""What every test starts from: one environment, one place for the pictures, and the recorded trees."""

from __future__ import annotations

import fcntl
import importlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

RENDERING_VARIABLES = ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES", "ESCDELAY")
"""Beside TEXTUAL_*: what changes a picture."""


def reset_environment() -> None:
    """Takes everything that changes a picture out of the environment, before the app looks at it.

    The plugin for the pictures imports Textual before any conftest runs, so its constants are read again.
    """
    for name in [name for name in os.environ if name in RENDERING_VARIABLES or name.startswith("TEXTUAL_")]:
        if name != "TEXTUAL_SNAPSHOT_TEMPDIR":  # the plugin's own, for its helpers in other processes
            del os.environ[name]
    os.environ.update(TERM="xterm-256color", TZ="UTC", PYTHONDONTWRITEBYTECODE="1", LC_ALL="C.UTF-8", LANG="C.UTF-8")
    time.tzset()
    if "textual.constants" in sys.modules:
        importlib.reload(sys.modules["textual.constants"])


reset_environment()

import pytest  # noqa: E402 (the environment comes first)
import pytest_textual_snapshot  # noqa: E402
from hypothesis import settings  # noqa: E402
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode  # noqa: E402
from syrupy.location import PyTestLocation  # noqa: E402

from tcptop.hosts.folder import FolderHost  # noqa: E402

TESTS = Path(__file__).resolve().parent
RECORDINGS = TESTS / "recordings"
SNAPSHOTS = TESTS / "snapshots"


def snapshot_folder(test_location: PyTestLocation) -> str:
    """Where the pictures of a test file lie."""
    return str(SNAPSHOTS / Path(test_location.filepath).stem)


class SvgPicture(pytest_textual_snapshot.SVGImageExtension):  # type: ignore[misc] # the plugin is not typed
    """The plugin's own, but in tests/snapshots."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return snapshot_folder(test_location)


class TextTwin(SingleFileSnapshotExtension):
    """The same screen as a grid of characters, so that a change can be read in a diff."""

    _file_extension = "txt"
    _write_mode = WriteMode.TEXT

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return snapshot_folder(test_location)


settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=300)  # .ci/run chooses it
settings.load_profile("quick")

# The plugin's fixture looks the name up when it is used.
pytest_textual_snapshot.SVGImageExtension = SvgPicture


def pytest_configure(config: pytest.Config) -> None:
    """Pictures are renewed only with the Textual that the project is pinned to, and by one process."""
    if not config.option.update_snapshots:
        return
    wanted, there = pinned_version("textual"), installed_version("textual")
    if wanted != there:
        raise pytest.UsageError(
            f"--snapshot-update needs textual {wanted}, the one that pyproject.toml pins, not {there}: run scripts/test"
        )
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError("--snapshot-update goes without -n: only one process can tell which pictures are left")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """0, one process, for what cannot be shared out; None leaves the number to pytest-xdist."""
    return 0 if config.option.update_snapshots or config.option.trace else None


def pytest_report_header(config: pytest.Config) -> str | None:
    left_out = config.option.markexpr == "not slow"
    return 'slow tests are left out: -m slow runs them, -m "" runs all' if left_out else None


def pinned_version(package: str) -> str:
    """The version that pyproject.toml asks for."""
    found = re.search(rf'^ *"{package}==([^"]+)"', (TESTS.parent / "pyproject.toml").read_text(), re.MULTILINE)
    return found[1] if found else "(none is pinned)"


def installed_version(package: str) -> str:
    """The version that is there."""
    from importlib.metadata import version

    return version(package)


@pytest.fixture(autouse=True)
def _empty_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the developer's own configuration, and no subprocess does."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))


@pytest.fixture(autouse=True)
def _close_hosts() -> Iterator[None]:
    """A host keeps its descriptors open; those of the screen's tests are given back after each."""
    yield
    if "drive" in sys.modules:
        opened: list[FolderHost] = sys.modules["drive"].OPEN_HOSTS
        while opened:
            opened.pop().close()


@pytest.fixture(scope="module")
def kernel_lock() -> Iterator[None]:
    """Tests that count the machine's own sockets run one after another, whichever process pytest gave them to."""
    with (Path(tempfile.gettempdir()) / "tcptop-tests-count-sockets").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
