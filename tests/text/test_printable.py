"""The door for a host's text: whatever comes in, nothing leaves that a terminal would act on."""

from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.text.printable import decode_text, printable, printable_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("web-17", "web-17"),
        ("jbd2_journal_head", "jbd2_journal_head"),
        ("Zürich 東京", "Zürich 東京"),
        ("[bold]not markup here[/bold]", "[bold]not markup here[/bold]"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\nb\rc\td", "a\\x0ab\\x0dc\\x09d"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"),
        ("\u200b\u200d\ufeff", "\\u200b\\u200d\\ufeff"),
        ("\u2028\u2029\u00a0\u3000", "\\u2028\\u2029\\xa0\\u3000"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_act_on_becomes_visible(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_that_leaves_controls_a_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert all(character == " " or category(character)[0] not in "CZ" for character in shown)


@given(st.text())
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown


@given(st.binary())
def test_any_bytes_are_decoded_and_those_of_utf_8_unchanged(data: bytes) -> None:
    text = decode_text(data)
    try:
        assert text == data.decode("utf-8")
    except UnicodeDecodeError:
        assert "\\x" in text


@given(st.text())
def test_a_name_has_80_characters_at_most_and_says_where_it_was_cut(text: str) -> None:
    name = printable_name(text)
    assert len(name) <= 80
    assert name == printable(text) or name.endswith("…")
