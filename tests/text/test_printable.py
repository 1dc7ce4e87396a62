"""After escaping, text read from a host cannot control the terminal."""

from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.text.printable import decode_text, printable, printable_name


@pytest.mark.parametrize(
    ("text", "escaped"),
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
def test_control_and_format_characters_become_escapes(text: str, escaped: str) -> None:
    assert printable(text) == escaped


@given(st.text(st.characters(codec=None)))
def test_printable_text_holds_no_control_character(text: str) -> None:
    escaped = printable(text)
    assert escaped.isprintable()
    assert all(character == " " or category(character)[0] not in "CZ" for character in escaped)


@given(st.text())
def test_printable_text_is_unchanged(text: str) -> None:
    escaped = printable(text)
    assert printable(escaped) == escaped


@given(st.binary())
def test_any_bytes_decode_and_utf_8_decodes_exactly(data: bytes) -> None:
    text = decode_text(data)
    try:
        assert text == data.decode("utf-8")
    except UnicodeDecodeError:
        assert "\\x" in text


@given(st.text())
def test_a_name_has_at_most_80_characters_and_ends_in_an_ellipsis_if_cut(text: str) -> None:
    name = printable_name(text)
    assert len(name) <= 80
    assert name == printable(text) or name.endswith("…")
