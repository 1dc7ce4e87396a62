"""The program in a real pseudo-terminal: what it shows, what it sends, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from session import LONG, SHORT, Session, program

Open = Callable[..., Session]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens sessions, and ends them after the test."""
    sessions: list[Session] = []

    def open_one(command: list[str], synchronized: bool = False) -> Session:
        sessions.append(Session(command, synchronized))
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.end()


def ready(session: Session) -> Session:
    """Once the table of caches is there."""
    session.until_shown("sock_inode_cache")
    session.until_quiet()
    return session


def given_back(session: Session) -> None:
    """The terminal is as it was before the program."""
    assert session.attributes() == session.before
    assert not session.screen.alternate
    assert session.screen.cursor.attrs == session.screen.default_char
    sent = session.seen.decode(errors="replace")
    for on, off in [("?1049h", "?1049l"), ("?25l", "?25h"), ("?7l", "?7h"), ("?2004h", "?2004l"), ("?1004h", "?1004l")]:
        assert f"\x1b[{on}" in sent
        assert sent.rindex(f"\x1b[{off}") > sent.rindex(f"\x1b[{on}"), off
    assert sent.count("\x1b[>25u") == sent.count("\x1b[<u")


def first_job(session: Session) -> int:
    """The process ID of the first job of a shell."""
    shell = session.process.pid
    return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])


def state(pid: int) -> str:
    """The letter of a process's state: T stopped, Z ended, also where the shell has waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def noting(opened: Open, folder: Path) -> tuple[Session, Path]:
    """A program that adds a byte to a file for each frame."""
    drawn = folder / "drawn"
    drawn.touch()
    note = f"note = open({str(drawn)!r}, 'ab', buffering=0)\napp.post_display_hook = lambda: note.write(b'.')"
    return ready(opened(program(note))), drawn


def draw_unread(session: Session, drawn: Path) -> None:
    """Makes it draw forty whole screens, and reads nothing of them."""
    for columns in [100, 120] * 20:
        frames = drawn.stat().st_size
        session.resize(columns, 40)
        session.wait(lambda frames=frames: drawn.stat().st_size > frames, "it draws all the same")  # type: ignore[misc]


def test_the_short_stream_of_the_real_screen_shows_what_the_long_one_shows(opened: Open) -> None:
    long, short = ready(opened(LONG)), ready(opened(SHORT, synchronized=True))

    def same(what: str) -> None:
        def alike() -> bool:
            long.until_quiet()
            short.until_quiet()
            return short.screen.visible_cells() == long.screen.visible_cells()

        long.until(alike, f"the same after {what}\n{short.screen.text()}\n")

    same("the start")
    for key in ["m", "y", "=", "\x1b[B", "\x1b[B", "c", "\r", "\x1b[B", "\x1b", "?", "\x1b", "i", "\x1b", "9", "1"]:
        for session in (long, short):
            session.type(key)
        same(f"{key!r}")
    for columns, rows in [(80, 24), (100, 50), (60, 12), (200, 60), (119, 60), (120, 40)]:
        for session in (long, short):
            session.resize(columns, rows)
        same(f"{columns}x{rows}")
        assert "tcptop" in short.screen.text()
    assert len(short.seen) < len(long.seen) / 2


def test_the_first_screen_is_small(opened: Open) -> None:
    assert len(ready(opened(SHORT)).seen) < 12_000


def test_a_frame_of_a_terminal_that_can_is_synchronised(opened: Open) -> None:
    session = ready(opened(SHORT, synchronized=True))
    before = len(session.seen)
    session.type("m")
    session.until(lambda: len(session.seen) > before, "a frame")
    session.until_quiet()
    frames = session.seen[before:].decode()
    assert re.fullmatch(r"(\x1b\[\?2026h[^?]+\x1b\[\?2026l)+", frames)


def test_nothing_is_sent_where_nothing_changed(opened: Open) -> None:
    session = ready(opened(SHORT, synchronized=True))
    before = len(session.seen)
    session.type(" ")  # looks again at a saved tree
    session.until_quiet()
    session.until_quiet()
    assert len(session.seen) == before


def test_ctrl_l_sends_everything_again(opened: Open) -> None:
    session = ready(opened(SHORT))
    shown = session.screen.visible_cells()
    session.screen.feed("\x1b[2J\x1b[5;5H\x1b[31mlost")
    assert session.screen.visible_cells() != shown
    session.type("\x0c")
    session.until(lambda: session.screen.visible_cells() == shown, "the screen comes back")


def test_a_window_that_comes_back_to_its_size_is_drawn_again(opened: Open) -> None:
    session = ready(opened(SHORT))
    shown = session.screen.visible_cells()
    session.resize(60, 20)
    session.resize(120, 40)
    assert session.screen.visible_cells() != shown
    session.until(lambda: session.screen.visible_cells() == shown, "the screen comes back")


def test_a_window_whose_change_nobody_is_told_of_is_drawn_at_the_next_frame(opened: Open) -> None:
    # Not the terminal's own session, as below `su -c`: the kernel sends no SIGWINCH.
    session = opened(["setsid", "--wait", *SHORT])
    session.until_shown("Buddy free_area")
    session.until_quiet()
    session.resize(60, 20)
    session.type("m")
    session.until(lambda: "TIME_WAIT" in session.screen.text().splitlines()[0], "the head line in 60 columns")
    session.until_quiet()
    assert max(len(line.rstrip()) for line in session.screen.text().splitlines()) <= 60
    assert session.screen.text().splitlines()[19].strip(), "the key line in the last of 20 rows"


def test_sigwinch_without_another_size_draws_again(opened: Open) -> None:
    session = ready(opened(SHORT))
    shown = session.screen.visible_cells()
    session.screen.feed("\x1b[2J")
    session.process.send_signal(signal.SIGWINCH)
    session.until(lambda: session.screen.visible_cells() == shown, "the screen comes back")


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
def test_the_terminal_is_as_it_was_after_any_end(opened: Open, end: str | signal.Signals) -> None:
    session = ready(opened(SHORT))
    assert session.attributes() != session.before
    if isinstance(end, str):
        session.type(end)
    else:
        session.process.send_signal(end)
    assert session.until_ended() == 0
    given_back(session)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_as_it_was_after_a_signal_at_the_start(opened: Open, end: signal.Signals) -> None:
    session = opened(SHORT)
    session.until(lambda: session.screen.alternate, "it takes the terminal")
    session.process.send_signal(end)
    assert session.until_ended() == 0
    given_back(session)


def test_the_terminal_is_as_it_was_after_a_crash(opened: Open) -> None:
    session = ready(opened(program("def broken(): raise RuntimeError('broken')\napp.action_help = broken")))
    session.type("?")
    assert session.until_ended() == 1
    given_back(session)
    assert "RuntimeError" in session.screen.text()


def test_a_terminal_that_goes_on_is_shown_what_is_now(opened: Open, tmp_path: Path) -> None:
    session, drawn = noting(opened, tmp_path)
    shown, before = session.screen.visible_cells(), len(session.seen)
    draw_unread(session, drawn)
    session.until(lambda: session.screen.visible_cells() == shown, "the last frame comes")
    session.until_quiet()
    # The one of the forty that was under way, and the steps in which the last is laid out: each takes some 8,000.
    assert len(session.seen) - before < 60_000


@pytest.mark.parametrize("end", ["q", signal.SIGTERM])
def test_a_terminal_that_takes_nothing_gets_no_more_and_holds_up_nothing(
    opened: Open, end: str | signal.Signals, tmp_path: Path
) -> None:
    session, drawn = noting(opened, tmp_path)
    before = len(session.seen)
    draw_unread(session, drawn)
    if isinstance(end, str):
        session.type(end)
    else:
        session.process.send_signal(end)
    session.wait(lambda: session.process.poll() is not None, "it ends")
    assert session.process.returncode == 0
    session.until_quiet()
    given_back(session)
    # One frame of the forty, of which the kernel held a part.
    assert len(session.seen) - before < 12_000


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(opened: Open) -> None:
    session = opened(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(SHORT) + "\n")
    shown = ready(session).screen.visible_cells()
    for _ in range(2):
        taken = session.attributes()
        assert taken != shell
        session.type("\x1a")
        session.until_shown("Stopped")
        session.until_quiet()
        assert not session.screen.alternate
        assert session.attributes() == shell
        session.type("echo in the shell\n")
        session.until(lambda: session.screen.text().count("in the shell") > 1, "the shell answers")
        session.type("fg\n")
        session.until(
            lambda: session.screen.alternate and session.screen.visible_cells() == shown, "the screen comes back"
        )
        session.until_quiet()
        assert session.attributes() == taken
    session.type("m")
    session.until(lambda: session.screen.visible_cells() != shown, "keys work")
    session.type("q")
    session.until(lambda: not session.screen.alternate, "it ends")
    session.until_shown("$")
    session.type("echo code $?\n")
    session.until_shown("code 0")
    assert session.attributes() == shell


def test_ctrl_z_where_no_shell_could_continue_it_is_only_a_flicker(opened: Open) -> None:
    """As below `ssh -t host tcptop`: the program leads its session."""
    session = ready(opened(SHORT))
    shown, before = session.screen.visible_cells(), len(session.seen)
    session.type("\x1a")
    session.until(
        lambda: b"\x1b[?1049h" in session.seen[before:] and session.screen.visible_cells() == shown, "it is back"
    )
    session.type("q")
    assert session.until_ended() == 0
    given_back(session)


def test_a_stop_that_nobody_announced_is_recovered_from(opened: Open) -> None:
    session = ready(opened(SHORT))
    shown = session.screen.visible_cells()
    session.process.send_signal(signal.SIGSTOP)
    os.waitpid(session.process.pid, os.WUNTRACED)
    session.screen.feed("\x1b[?1049l\x1b[?25h$ ")
    session.process.send_signal(signal.SIGCONT)
    session.until(lambda: session.screen.alternate and session.screen.visible_cells() == shown, "the screen comes back")
    session.type("q")
    assert session.until_ended() == 0
    given_back(session)


def test_it_goes_into_the_background_only_stopped(opened: Open) -> None:
    """`bg` lets it run, until it asks for the terminal, which is the shell's; `fg` works then as ever."""
    session = opened(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(SHORT) + "\n")
    shown = ready(session).screen.visible_cells()
    session.type("\x1a")
    session.until_shown("Stopped")
    session.type("bg\n")
    session.until_quiet()
    session.type("echo in the shell\n")
    session.until(lambda: session.screen.text().count("in the shell") > 1, "the shell answers")
    assert session.attributes() == shell
    session.type("fg\n")
    session.until(lambda: session.screen.alternate and session.screen.visible_cells() == shown, "the screen comes back")


def test_started_in_the_background_it_stops_until_fg(opened: Open) -> None:
    session = opened(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(SHORT) + " & echo start''ed\n")
    session.until_shown("started")
    job = first_job(session)
    session.until(lambda: state(job) == "T", "it stops")
    assert session.attributes() == shell
    session.type("fg\n")
    ready(session).type("q")
    session.until(lambda: not session.screen.alternate, "it ends")
    session.until_shown("$")
    assert session.attributes() == shell


def test_kill_ends_what_was_suspended(opened: Open) -> None:
    """A shell continues a job that it kills; it must not take the terminal for that."""
    session = opened(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(SHORT) + "\n")
    ready(session)
    session.type("\x1a")
    session.until_shown("Stopped")
    job = first_job(session)
    # Both at once, as `kill` of a stopped job in bash.
    session.type("kill -TERM %1; kill -CONT %1\n")
    session.until(lambda: state(job) == "Z", "it ends")
    session.until_quiet()
    assert session.attributes() == shell


def test_kill_ends_what_stopped_again_in_the_background(opened: Open) -> None:
    session = opened(["/bin/sh", "-i"])
    session.until_shown("$")
    shell = session.attributes()
    session.type(" ".join(SHORT) + "\n")
    ready(session)
    session.type("\x1a")
    session.until_shown("Stopped")
    job = first_job(session)
    session.type("bg; echo continue''d\n")
    session.until_shown("continued")
    session.until(lambda: state(job) == "T", "it stops again")
    session.type("kill -TERM %1; kill -CONT %1\n")
    session.until(lambda: state(job) == "Z", "it ends")
    session.until_quiet()
    assert session.attributes() == shell


def test_kill_ends_what_was_stopped_without_notice(opened: Open) -> None:
    """The shell has the terminal: the program must neither change its modes nor be stopped for trying."""
    session = opened(["/bin/sh", "-i"])
    session.until_shown("$")
    session.type(" ".join(SHORT) + "\n")
    ready(session)
    job = first_job(session)
    os.kill(job, signal.SIGSTOP)
    session.until_shown("Stopped")
    shell = session.attributes()
    os.kill(job, signal.SIGTERM)
    os.kill(job, signal.SIGCONT)
    session.until(lambda: state(job) == "Z", "it ends")
    session.until_quiet()
    assert session.attributes() == shell
