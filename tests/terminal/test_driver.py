"""tcptop in a pseudo-terminal: the screen, the output, job control, and the terminal after the exit."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from session import TCPTOP, TEXTUAL_DRIVER, Session, program

OpenSession = Callable[..., Session]
FIRST_FRAME_IS_FILLED = program("from tcptop.terminal import driver\ndriver.FIRST_FRAME_S = 3600.0")
"""tcptop that waits for the first sample before it draws, however slow the machine is."""


@pytest.fixture
def open_session() -> Iterator[OpenSession]:
    """Opens sessions, and ends them after the test."""
    sessions: list[Session] = []

    def open_one(command: list[str], synchronized: bool = False) -> Session:
        sessions.append(Session(command, synchronized))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.end()


def wait_until_ready(session: Session) -> Session:
    """Waits until the table of caches is drawn."""
    session.until_shown("sock_inode_cache")
    session.until_quiet()
    return session


def assert_restored(session: Session) -> None:
    """Asserts that the terminal is as it was before the program."""
    assert session.attributes() == session.before
    assert not session.screen.alternate
    assert session.screen.cursor.attrs == session.screen.default_char
    output = session.output.decode(errors="replace")
    for on, off in [("?1049h", "?1049l"), ("?25l", "?25h"), ("?7l", "?7h"), ("?2004h", "?2004l"), ("?1004h", "?1004l")]:
        assert f"\x1b[{on}" in output
        assert output.rindex(f"\x1b[{off}") > output.rindex(f"\x1b[{on}"), off
    assert output.count("\x1b[>25u") == output.count("\x1b[<u")


def first_job(session: Session) -> int:
    """The process ID of the first job of a shell."""
    shell = session.process.pid
    return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])


def process_state(pid: int) -> str:
    """The letter of a process's state: T for stopped, Z for ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def open_with_frame_log(open_session: OpenSession, folder: Path) -> tuple[Session, Path]:
    """A program that appends a byte to a log for each frame, and the path of the log."""
    log = folder / "frames"
    log.touch()
    code = f"log = open({str(log)!r}, 'ab', buffering=0)\napp.post_display_hook = lambda: log.write(b'.')"
    return wait_until_ready(open_session(program(code))), log


def draw_unread_frames(session: Session, log: Path) -> None:
    """Makes the program draw forty whole screens, and reads none of its output."""
    for columns in [100, 120] * 20:
        frames = log.stat().st_size
        session.resize(columns, 40)
        session.wait(lambda frames=frames: log.stat().st_size > frames, "it draws another frame")  # type: ignore[misc]


@pytest.mark.slow
def test_the_screen_is_the_same_as_with_textuals_driver(open_session: OpenSession) -> None:
    expected = wait_until_ready(open_session(TEXTUAL_DRIVER))
    actual = wait_until_ready(open_session(TCPTOP, synchronized=True))

    def wait_until_same(step: str) -> None:
        def is_same() -> bool:
            expected.until_quiet()
            actual.until_quiet()
            return actual.screen.visible_cells() == expected.screen.visible_cells()

        expected.until(is_same, f"the same after {step}\n{actual.screen.text()}\n")

    wait_until_same("the start")
    for key in ["m", "y", "=", "\x1b[B", "\x1b[B", "c", "\r", "\x1b[B", "\x1b", "?", "\x1b", "i", "\x1b", "9", "1"]:
        for session in (expected, actual):
            session.type(key)
        wait_until_same(f"{key!r}")
    for columns, rows in [(80, 24), (100, 50), (60, 12), (200, 60), (119, 60), (120, 40)]:
        for session in (expected, actual):
            session.resize(columns, rows)
        wait_until_same(f"{columns}x{rows}")
        assert "tcptop" in actual.screen.text()
    assert len(actual.output) < len(expected.output) / 2
    for session in (expected, actual):
        session.resize(80, 24)
    # At this size the table of the nodes, with their free blocks below it, takes the place of all panes.
    for key in ["=", "\x1b", "=", "\r", "=", "=", "\t", "=", "\x1b[23~", "\x1b[23~", "\t", "\x1b[23~", "\x1b"]:
        for session in (expected, actual):
            session.type(key)
        wait_until_same(f"{key!r} at 80x24")


@pytest.mark.slow
def test_the_last_message_stays_in_front_of_the_panes(open_session: OpenSession) -> None:
    code = "notify = app.notify\napp.notify = lambda text, **options: notify(text, **{**options, 'timeout': 3600})"
    session = wait_until_ready(open_session(program(code)))
    messages = ("nothing that changes", "no interval", "nothing to record")
    for key, message in zip("k+w", messages, strict=True):
        session.type(key)
        session.until_shown(message)

    def shown() -> list[int]:
        return [session.screen.text().count(each) for each in messages]

    session.until(lambda: shown() == [0, 0, 1], "the last message alone")
    for key, title in (("0", "node 0 of 4"), ("=", "all 4 nodes"), ("0", "node 0 of 4")):
        session.until_quiet()
        session.type(key)
        session.until_shown(f"Free blocks ─ {title}")
        session.until_quiet()
        assert shown() == [0, 0, 1]


def test_the_first_filled_screen_takes_less_than_12_kb(open_session: OpenSession) -> None:
    assert len(wait_until_ready(open_session(FIRST_FRAME_IS_FILLED)).output) < 12_000


@pytest.mark.slow
def test_frames_are_synchronized_if_the_terminal_supports_it(open_session: OpenSession) -> None:
    session = wait_until_ready(open_session(TCPTOP, synchronized=True))
    before = len(session.output)
    session.type("m")
    session.until(lambda: len(session.output) > before, "a frame")
    session.until_quiet()
    frames = session.output[before:].decode()
    # Between the two sequences there are only cells; no further mode is set or reset.
    assert re.fullmatch(r"(\x1b\[\?2026h(?:(?!\x1b\[\?).)+\x1b\[\?2026l)+", frames)


@pytest.mark.slow
def test_an_unchanged_screen_is_not_sent(open_session: OpenSession) -> None:
    session = wait_until_ready(open_session(TCPTOP, synchronized=True))
    before = len(session.output)
    session.type(" ")  # samples the saved tree again
    session.until_quiet()
    session.until_quiet()
    assert len(session.output) == before


@pytest.mark.slow
def test_ctrl_l_draws_everything_again(open_session: OpenSession) -> None:
    session = wait_until_ready(open_session(TCPTOP))
    shown = session.screen.visible_cells()
    session.screen.feed("\x1b[2J\x1b[5;5H\x1b[31mlost")
    assert session.screen.visible_cells() != shown
    session.type("\x0c")
    session.until(lambda: session.screen.visible_cells() == shown, "it is drawn again")


@pytest.mark.slow
def test_a_window_resized_and_back_is_drawn_again(open_session: OpenSession) -> None:
    session = wait_until_ready(open_session(TCPTOP))
    shown = session.screen.visible_cells()
    session.resize(60, 20)
    session.resize(120, 40)
    assert session.screen.visible_cells() != shown
    session.until(lambda: session.screen.visible_cells() == shown, "it is drawn again")


@pytest.mark.slow
def test_a_resize_without_sigwinch_is_drawn_with_the_next_frame(open_session: OpenSession) -> None:
    # As under `su -c`, the program is in another session than the terminal, so the kernel sends no SIGWINCH.
    session = open_session(["setsid", "--wait", *TCPTOP])
    session.until_shown("Free blocks")
    session.until_quiet()
    session.resize(60, 20)
    session.type("m")
    session.until(lambda: "TIME_WAIT" in session.screen.text().splitlines()[0], "the head line in 60 columns")
    session.until_quiet()
    assert max(len(line.rstrip()) for line in session.screen.text().splitlines()) <= 60
    assert session.screen.text().splitlines()[19].strip(), "the key line in the last of 20 rows"


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(("key", "text"), [("", "Free blocks"), ("/", "only caches with:"), ("?", "What am I")])
def test_sigwinch_with_the_same_size_draws_again(open_session: OpenSession, key: str, text: str) -> None:
    session = wait_until_ready(open_session(TCPTOP))
    session.type(key)
    session.until_shown(text)
    session.until_quiet()
    shown = session.screen.visible_cells()
    session.screen.feed("\x1b[2J")
    session.process.send_signal(signal.SIGWINCH)
    session.until(lambda: session.screen.visible_cells() == shown, "it is drawn again")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
    "end",
    [
        "q",
        "\x03",
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGINT,
    ],
)
def test_the_terminal_is_restored_after_any_exit(open_session: OpenSession, end: str | signal.Signals) -> None:
    session = wait_until_ready(open_session(TCPTOP))
    assert session.attributes() != session.before
    if isinstance(end, str):
        session.type(end)
    else:
        session.process.send_signal(end)
    assert session.until_ended() == 0
    assert_restored(session)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_restored_after_a_signal_at_the_start(open_session: OpenSession, end: signal.Signals) -> None:
    session = open_session(TCPTOP)
    session.until(lambda: session.screen.alternate, "the alternate screen is on")
    session.process.send_signal(end)
    assert session.until_ended() == 0
    assert_restored(session)


@pytest.mark.slow
def test_the_terminal_is_restored_after_a_crash(open_session: OpenSession) -> None:
    broken = "def broken():\n    secret = '4' + '2' * 9\n    raise RuntimeError('broken')\napp.action_help = broken"
    session = wait_until_ready(open_session(program(broken)))
    session.type("?")
    assert session.until_ended() == 1
    assert_restored(session)
    text = session.screen.text()
    assert "RuntimeError: broken" in text
    assert "A fault of tcptop itself." in text
    assert "4222222222" not in text, "the values of variables take minutes to print"


@pytest.mark.slow
def test_a_terminal_that_was_blocked_shows_the_last_frame(open_session: OpenSession, tmp_path: Path) -> None:
    session, log = open_with_frame_log(open_session, tmp_path)
    shown, before = session.screen.visible_cells(), len(session.output)
    draw_unread_frames(session, log)
    session.until(lambda: session.screen.visible_cells() == shown, "the last frame is shown")
    session.until_quiet()
    # The first frame, of which a part was sent, and the layout steps of the last frame have about 8,000 bytes each.
    assert len(session.output) - before < 60_000


@pytest.mark.slow
@pytest.mark.parametrize("end", ["q", signal.SIGTERM])
def test_a_blocked_terminal_does_not_delay_the_exit(
    open_session: OpenSession, end: str | signal.Signals, tmp_path: Path
) -> None:
    session, log = open_with_frame_log(open_session, tmp_path)
    before = len(session.output)
    draw_unread_frames(session, log)
    if isinstance(end, str):
        session.type(end)
    else:
        session.process.send_signal(end)
    session.wait(lambda: session.process.poll() is not None, "the program ends")
    assert session.process.returncode == 0
    session.until_quiet()
    assert_restored(session)
    # At most one of the forty frames was sent; a part of this frame was in the kernel's buffer.
    assert len(session.output) - before < 12_000


@pytest.mark.slow
def test_ctrl_z_restores_the_terminal_and_fg_draws_the_screen_again(open_session: OpenSession) -> None:
    session = open_session(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(TCPTOP) + "\n")
    shown = wait_until_ready(session).screen.visible_cells()
    for _ in range(2):
        raw = session.attributes()
        assert raw != shell
        session.type("\x1a")
        session.until_shown("Stopped")
        session.until_quiet()
        assert not session.screen.alternate
        assert session.attributes() == shell
        session.type("echo in the shell\n")
        session.until(lambda: session.screen.text().count("in the shell") > 1, "the shell answers")
        session.type("fg\n")
        session.until(lambda: session.screen.alternate and session.screen.visible_cells() == shown, "it is drawn again")
        session.until_quiet()
        assert session.attributes() == raw
    session.type("m")
    session.until(lambda: session.screen.visible_cells() != shown, "keys work")
    session.type("q")
    session.until(lambda: not session.screen.alternate, "the program ends")
    session.until_shown("$")
    session.type("echo code $?\n")
    session.until_shown("code 0")
    assert session.attributes() == shell


@pytest.mark.slow
def test_ctrl_z_without_a_shell_to_continue_draws_the_screen_again(open_session: OpenSession) -> None:
    """As with `ssh -t host tcptop`, the program is the session leader."""
    session = wait_until_ready(open_session(TCPTOP))
    shown, before = session.screen.visible_cells(), len(session.output)
    session.type("\x1a")
    session.until(
        lambda: b"\x1b[?1049h" in session.output[before:] and session.screen.visible_cells() == shown,
        "it is drawn again",
    )
    session.type("q")
    assert session.until_ended() == 0
    assert_restored(session)


@pytest.mark.slow
def test_the_screen_is_drawn_again_after_sigstop_and_sigcont(open_session: OpenSession) -> None:
    session = wait_until_ready(open_session(TCPTOP))
    shown = session.screen.visible_cells()
    session.process.send_signal(signal.SIGSTOP)
    os.waitpid(session.process.pid, os.WUNTRACED)
    session.screen.feed("\x1b[?1049l\x1b[?25h$ ")
    session.process.send_signal(signal.SIGCONT)
    session.until(lambda: session.screen.alternate and session.screen.visible_cells() == shown, "it is drawn again")
    session.type("q")
    assert session.until_ended() == 0
    assert_restored(session)


def test_bg_leaves_the_terminal_to_the_shell(open_session: OpenSession) -> None:
    """After `bg` the program stops again without touching the terminal; `fg` then works as usual."""
    session = open_session(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(TCPTOP) + "\n")
    shown = wait_until_ready(session).screen.visible_cells()
    session.type("\x1a")
    session.until_shown("Stopped")
    session.type("bg\n")
    session.until_quiet()
    session.type("echo in the shell\n")
    session.until(lambda: session.screen.text().count("in the shell") > 1, "the shell answers")
    assert session.attributes() == shell
    session.type("fg\n")
    session.until(lambda: session.screen.alternate and session.screen.visible_cells() == shown, "it is drawn again")


@pytest.mark.slow
def test_started_in_the_background_it_stops_until_fg(open_session: OpenSession) -> None:
    session = open_session(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(TCPTOP) + " & echo start''ed\n")
    session.until_shown("started")
    job = first_job(session)
    session.until(lambda: process_state(job) == "T", "the program stops")
    assert session.attributes() == shell
    session.type("fg\n")
    wait_until_ready(session).type("q")
    session.until(lambda: not session.screen.alternate, "the program ends")
    session.until_shown("$")
    assert session.attributes() == shell


def test_kill_ends_a_suspended_program(open_session: OpenSession) -> None:
    """A shell sends SIGCONT to a job that it kills; the program must not set up the terminal on this SIGCONT."""
    session = open_session(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(TCPTOP) + "\n")
    wait_until_ready(session)
    session.type("\x1a")
    session.until_shown("Stopped")
    job = first_job(session)
    # The test sends both signals at once, as bash does for `kill` of a stopped job.
    session.type("kill -TERM %1; kill -CONT %1\n")
    session.until(lambda: process_state(job) == "Z", "the program ends")
    session.until_quiet()
    assert session.attributes() == shell


@pytest.mark.slow
def test_kill_ends_a_program_that_stopped_again_in_the_background(open_session: OpenSession) -> None:
    session = open_session(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(TCPTOP) + "\n")
    wait_until_ready(session)
    session.type("\x1a")
    session.until_shown("Stopped")
    job = first_job(session)
    session.type("bg; echo continue''d\n")
    session.until_shown("continued")
    session.until(lambda: process_state(job) == "T", "the program stops again")
    session.type("kill -TERM %1; kill -CONT %1\n")
    session.until(lambda: process_state(job) == "Z", "the program ends")
    session.until_quiet()
    assert session.attributes() == shell


def test_kill_ends_a_program_stopped_by_sigstop(open_session: OpenSession) -> None:
    """The shell has the terminal, so the program must neither change the terminal's modes nor be stopped by the kernel
    for trying.
    """
    session = open_session(["/bin/sh", "-i"])
    session.until_shown("$")
    session.type(" ".join(TCPTOP) + "\n")
    wait_until_ready(session)
    job = first_job(session)
    os.kill(job, signal.SIGSTOP)
    session.until_shown("Stopped")
    shell = session.attributes()
    os.kill(job, signal.SIGTERM)
    os.kill(job, signal.SIGCONT)
    session.until(lambda: process_state(job) == "Z", "the program ends")
    session.until_quiet()
    assert session.attributes() == shell
