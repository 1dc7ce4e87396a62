"""Keys that come faster than the screen handles them: opened and closed screens, repeated keys, random keys."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from key_storm import run_storm
from program import program
from session import RECORDING, Session
from slow_case import slow

SAVED = ("--root", str(RECORDING))
PASTE, REPEATS = 4000, 1000
DOWN = "\x1b[B"


@pytest.fixture
def open_screen(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Opens the screen on a saved tree, and ends it after the test."""
    sessions: list[Session] = []

    def open_one(*arguments: str, size: tuple[int, int] = (120, 40)) -> Session:
        command, environment = program()
        environment["XDG_CONFIG_HOME"] = str(tmp_path)
        sessions.append(Session([*command, *(arguments or SAVED)], size=size, environment=environment, folder=tmp_path))
        sessions[-1].until_shown("TCP caches")
        sessions[-1].until_quiet()
        return sessions[-1]

    yield open_one
    for session in sessions:
        session.end()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ("iqi", "Sockets by state"),
        ("i?iq?", "Help"),
        slow("?q?", "Help"),
        slow("iiii", "TCP caches"),
        ("/tcpv\r", "/tcpv"),
        ("/x\x1b[200~q\x1b[201~", "only caches with: xq"),
        slow("\ri\r", "page 1 of"),
        slow("i\x1b[Ci\x1b[C/q", "only caches with: q"),
        slow("i\t\tq:q", ": q_"),
    ],
)
def test_a_key_goes_to_the_screen_that_the_key_before_it_opened(
    open_screen: Callable[..., Session], keys: str, shown: str
) -> None:
    """All keys arrive in one write to the terminal."""
    session = open_screen()
    session.type(keys)
    session.until_shown(shown)
    session.until_quiet()
    session.until_shown(shown)
    assert session.process.poll() is None


def type_fast(session: Session, keys: str) -> None:
    """Sends keys as fast as the program takes them."""
    data = keys.encode()
    os.set_blocking(session.master, False)
    while data and session.process.poll() is None:
        try:
            data = data[os.write(session.master, data) :]
        except BlockingIOError:
            session.read()
    os.set_blocking(session.master, True)


@pytest.mark.slow
@pytest.mark.parametrize("key", ["m", DOWN, *map(slow, "rxk+s]")])
def test_repeated_keys_are_drawn_once(open_screen: Callable[..., Session], key: str) -> None:
    """Thousands of fast keys cause less output than fifty keys that are drawn one by one. An even number of switches
    changes nothing.
    """
    session = open_screen()
    before, written = session.screen.text(), len(session.output)
    type_fast(session, key * REPEATS)
    session.type("i")
    session.until_shown("Sockets by state")
    assert len(session.output) - written < 50 * 3_000
    session.type("q")
    session.until_shown("TCP caches")
    session.until_quiet()
    if key in "rm":
        assert session.screen.text() == before


@pytest.mark.slow
@pytest.mark.parametrize("keys", ["r", *map(slow, ("ab", DOWN, "0123456789"))])
@pytest.mark.parametrize("end", ["q", "\x03"])
def test_quitting_overtakes_the_keys_that_wait(open_screen: Callable[..., Session], keys: str, end: str) -> None:
    """After the key that quits has arrived, almost none of the thousands of keys is drawn."""
    session = open_screen()
    written = len(session.output)
    type_fast(session, keys * (PASTE // len(keys)) + end)
    assert session.until_ended() == 0
    assert len(session.output) - written < 1000 * 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "ends"),
    [
        ("i?ab", ("q",)),
        slow("i?ab", ("\x03",)),
        slow("WrMxi\x1b", ("\x1b", *"QQQQ")),
        ("/ab\x1b:c\rg1\ri?WdM", ("\x1b", *"qqqq")),
    ],
)
def test_quitting_overtakes_keys_that_open_screens(
    open_screen: Callable[..., Session], keys: str, ends: tuple[str, ...]
) -> None:
    """A text was pasted into the wrong window, and its keys would take more than a minute.

    ESC closes a text field; each `q` then closes one screen, or a page of it.
    """
    session = open_screen()
    type_fast(session, keys * (PASTE // len(keys)))
    for end in ends * 3:  # on a busy machine, ESC and the next key may arrive together, which is Alt and this key
        time.sleep(0.5)  # a person sees that the previous keys have no end
        if session.process.poll() is None:
            session.type(end)
    assert session.until_ended() == 0


@pytest.mark.slow
def test_a_key_that_quits_does_not_overtake_a_question(open_screen: Callable[..., Session]) -> None:
    """The character is a part of the answer."""
    session = open_screen()
    session.type("ab" * 100 + "/" + "q" + "\r" + "ab" * 100)
    session.until_shown("/q")
    assert session.process.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), slow((40, 5)), slow((240, 70))])
@pytest.mark.parametrize("subject", [SAVED, slow(())])
def test_random_keys_end_nothing(tmp_path: Path, subject: tuple[str, ...], size: tuple[int, int]) -> None:
    """A longer test with random keys is scripts/key_storm.py."""
    command, environment = program()
    run_storm([*command, *subject], environment, tmp_path, size, seed=size[0], count=150)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sequence",
    [
        "[999999999999u",
        "[<9;9M",
        *map(slow, ("[:u", "[1114112u", "[55555555;5u", "[48;99999999999999999999;1;1;1t", "[48;0;0;0;0t")),
    ],
)
def test_a_sequence_that_is_no_key_costs_no_other_key(open_screen: Callable[..., Session], sequence: str) -> None:
    """The bytes are garbage on the line, or the extension of some terminal."""
    session = open_screen()
    session.type(f"\x1b{sequence}/tcpv")
    session.until_shown("only caches with: tcpv")
    session.type("\r")
    session.until_shown("/tcpv")
    session.type("q")
    assert session.until_ended() == 0


@pytest.mark.slow
def test_bytes_that_are_not_utf_8_are_no_keys(open_screen: Callable[..., Session]) -> None:
    """The bytes of a character may arrive in two pieces, and may be invalid."""
    session = open_screen()
    for data in (b"/", b"\xe6", b"\xbc", b"\xa2", b"\xff", b"\xe6\xbc", b"x"):
        os.write(session.master, data)
        session.until_quiet()
    session.until_shown("only caches with: 漢")
    assert session.process.poll() is None
