"""The environment of the screen: variables, limits, the size of the window, closed descriptors, the user's folders."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from program import program
from session import RECORDING, Session, is_readable
from slow_case import slow

ARGUMENTS = ("--root", str(RECORDING))
OpenScreen = Callable[..., Session]


@pytest.fixture
def open_screen(tmp_path: Path) -> Iterator[OpenScreen]:
    """Opens the screen with changes to the environment, through words such as `prlimit`, and ends the screen after the
    test.
    """
    sessions: list[Session] = []

    def open_one(*words: str, arguments: tuple[str, ...] = ARGUMENTS, **changes: str | None) -> Session:
        command, environment = program()
        changed = {**environment, "XDG_CONFIG_HOME": str(tmp_path), **changes}
        kept = {name: value for name, value in changed.items() if value is not None}
        sessions.append(Session([*words, *command, *arguments], environment=kept, folder=tmp_path))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.end()


@pytest.fixture(scope="module")
def start_screen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of the screen without any change to the environment."""
    command, environment = program()
    folder = tmp_path_factory.mktemp("start")
    session = Session([*command, *ARGUMENTS], environment={**environment, "XDG_CONFIG_HOME": str(folder)})
    try:
        session.until_shown("TCP caches")
        session.until_quiet()
        return session.screen.text()
    finally:
        session.end()


def error_line(session: Session) -> str:
    """The only line of a program that ends with exit code 1."""
    assert session.until_ended() == 1
    lines = session.output.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_color_system_that_does_not_exist_is_one_line(open_screen: OpenScreen) -> None:
    """The message names the possible values."""
    line = error_line(open_screen(TEXTUAL_COLOR_SYSTEM="zzz"))
    assert "TEXTUAL_COLOR_SYSTEM" in line
    assert "truecolor" in line


@pytest.mark.slow
@pytest.mark.parametrize("name", ["256", slow("standard"), slow("truecolor")])
def test_color_systems(open_screen: OpenScreen, name: str) -> None:
    """The variable still chooses the colours."""
    session = open_screen(TEXTUAL_COLOR_SYSTEM=name)
    session.until_shown("TCP caches")
    session.until_quiet()
    assert (b"38;2;" in session.output, b"38;5;" in session.output) == (name == "truecolor", name == "256")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TEXTUAL_PRESS", "i"),
        ("TEXTUAL_THEME", "nord"),
        slow("TEXTUAL_SCREENSHOT", "0"),
        slow("TEXTUAL_DRIVER", "textual.drivers.headless_driver:HeadlessDriver"),
        slow("TEXTUAL_LOG", "log"),
        slow("TEXTUAL_SHOW_RETURN", "1"),
        slow("TEXTUAL", "debug,devtools"),
        slow("TEXTUAL_DEBUG", "1"),
    ],
)
def test_variables_of_textual_change_nothing(
    open_screen: OpenScreen, start_screen: str, tmp_path: Path, variable: str, value: str
) -> None:
    """No file is written, and no key is pressed."""
    session = open_screen(**{variable: value})
    session.until_shown("TCP caches")
    session.until_quiet()
    assert session.screen.text() == start_screen
    session.type("q")
    assert session.until_ended() == 0
    assert session.output.endswith(b"\x1b[?1004l"), "nothing is printed after the screen"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 20, slow(205), slow(40)])
def test_few_open_files_are_enough(open_screen: OpenScreen, limit: int) -> None:
    """Files of the kernel stay open only if the limit on open files allows this."""
    session = open_screen("prlimit", f"--nofile={limit}:{limit}", arguments=())
    session.until_shown("TCP caches")
    session.until_shown("sock_inode_cache")
    session.type("i")
    session.until_shown("Sockets by state")
    session.type("qq")
    assert session.until_ended() == 0


@pytest.mark.parametrize("limit", [15, 10, 8, 6])
def test_too_few_open_files_are_one_line(open_screen: OpenScreen, limit: int) -> None:
    """The message says what to do."""
    assert "ulimit -n" in error_line(open_screen("prlimit", f"--nofile={limit}:{limit}"))


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="hides /etc/passwd")
def test_a_user_without_a_home_folder_has_no_settings(open_screen: OpenScreen, tmp_path: Path) -> None:
    """Neither HOME nor /etc/passwd names a home folder; the screen says so when settings are to be written."""
    empty = tmp_path / "empty"
    empty.write_text("")
    script = f'mount --bind {empty} /etc/passwd && mount --bind {empty} /etc/nsswitch.conf && exec "$@"'
    session = open_screen("unshare", "-m", "sh", "-c", script, "sh", HOME=None, XDG_CONFIG_HOME=None)
    session.until(lambda: session.process.poll() is not None or "TCP caches" in session.screen.text(), "it starts")
    if session.process.poll() is not None and b"unshare" in session.output:
        pytest.skip("mounts are not allowed here")
    session.type(":write these")
    session.until_shown("write these settings to")
    session.until_quiet()
    session.type("\r")
    session.until_shown("no home folder")
    session.type("q")
    assert session.until_ended() == 0


EVIL = ("\x1b[2J", *map(slow, ("\x1b]0;title\x07", "\u202e", "\u009b31m", "\udcff")))


@pytest.mark.slow
@pytest.mark.parametrize("evil", EVIL)
def test_paths_are_shown_without_control_characters(open_screen: OpenScreen, tmp_path: Path, evil: str) -> None:
    """The path of the settings, in a message about wrong settings and in the message after writing."""
    folder = tmp_path / f"a{evil}b"
    (folder / "tcptop").mkdir(parents=True)
    (folder / "tcptop" / "config.toml").write_text('sort = "wrong"\n')
    session = open_screen(XDG_CONFIG_HOME=str(folder))
    session.until_shown("the setting is ignored")
    session.type(":write these")
    session.until_shown("write these settings to")
    session.until_quiet()
    session.type("\r")
    session.until_shown("written: ")
    session.until_quiet()
    assert evil.encode("utf-8", "surrogateescape") not in session.output


def test_a_closed_standard_error_is_silent(tmp_path: Path) -> None:
    """No error goes to standard output."""
    command, environment = program()
    for arguments in (["--root", str(tmp_path), "--json"], ["--nonsense"], ["diff"], ["lab", "--nonsense"]):
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" 2>&-', "sh", *command, *arguments],
            env=environment,
            cwd=environment["PYTHONPATH"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, b""), arguments


@pytest.mark.slow
@pytest.mark.parametrize("size", [(65535, 65535), slow((65535, 5)), slow((40, 65535))])
def test_a_window_of_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    """Only a part of the window is drawn, with bounded memory; the emulator would need more memory."""
    check_huge_window(tmp_path, size, {})


@pytest.mark.parametrize("variables", [{"COLUMNS": "999999999"}, slow({"COLUMNS": "100000", "LINES": "100000"})])
def test_variables_of_any_size(tmp_path: Path, variables: dict[str, str]) -> None:
    """COLUMNS and LINES override the size of the window."""
    check_huge_window(tmp_path, (80, 24), variables)


def check_huge_window(folder: Path, size: tuple[int, int], variables: dict[str, str]) -> None:
    command, environment = program()
    limited = ["prlimit", f"--as={1 << 30}", *command, *ARGUMENTS]
    session = Session(limited, environment={**environment, **variables}, folder=folder)
    try:
        fcntl.ioctl(session.slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        deadline_s, output = time.monotonic() + 40, b""
        while b"sock_inode_cache" not in output and b"dentry" not in output and b"one more" not in output:
            assert time.monotonic() < deadline_s, output[-300:]
            assert session.process.poll() is None, output[-300:]
            if is_readable(session.master, 0.1):
                output += os.read(session.master, 65536)
        os.write(session.master, b"q")
        while session.process.poll() is None:
            assert time.monotonic() < deadline_s, "q is not obeyed"
            if is_readable(session.master, 0.1):
                os.read(session.master, 65536)
        assert session.process.returncode == 0
    finally:
        session.end()


def test_a_report_for_any_number_of_columns() -> None:
    """COLUMNS is used only if standard output is a terminal."""
    command, environment = program()
    done = subprocess.run(
        ["script", "-qec", " ".join(["prlimit", f"--as={1 << 30}", *command, *ARGUMENTS, "-o"]), "/dev/null"],
        env={**environment, "COLUMNS": "999999999"},
        cwd=environment["PYTHONPATH"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert len(done.stdout) < 100_000
