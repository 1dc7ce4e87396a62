"""After the short stream of the cells that differ, a terminal shows what it shows after Textual's own."""

from __future__ import annotations

import pytest
from emulator import Emulator
from hypothesis import event, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from wcwidth import wcwidth

from tcptop.terminal.cell_screen import CellScreen

PENS = (
    "",
    "1",
    "3;4",
    "7",
    "1;7;31",
    "9;38;5;214",
    "5;32",
    "38;5;214",
    "38;5;214;48;5;233",
    "38;5;75;48;5;233",
    "1;38;5;75;48;5;233",
    "38;2;1;2;3;48;2;4;5;6",
    "38;2;1;2;3;44",
    "93;104",
    "44",
)
NARROW = "aaab0 1   .─│╭▁█·é×…"
WIDE = "漢字한😀🙂"
MARKS = "\u0301\u0308\u0323"


@pytest.mark.parametrize("character", [*NARROW, *WIDE, *MARKS])
def test_the_emulator_agrees_with_textual_on_the_widths(character: str) -> None:
    assert wcwidth(character) == cell_len(character)


Piece = tuple[str, str]
Line = tuple[int, int, list[Piece]]
PIECES = st.lists(
    st.tuples(
        st.sampled_from(PENS),
        st.one_of(
            st.text(NARROW, min_size=1, max_size=12),
            st.text(NARROW + WIDE + MARKS, min_size=1, max_size=8),
            st.integers(0, 10**6).map(str),
        ),
    ),
    min_size=1,
    max_size=4,
)


def cropped(text: str, cells: int) -> str:
    """As much of a text as there is room for."""
    while cell_len(text) > cells:
        text = text[:-1]
    return text


def frame(lines: list[Line], columns: int) -> str:
    """What Textual's ChopsUpdate writes: a move for each piece of a line, each pen taken back, then a line feed."""
    written = []
    for x, y, pieces in lines:
        written.append(f"\x1b[{y + 1};{x + 1}H")
        for pen, text in pieces:
            shown = cropped(text, columns - x)
            x += cell_len(shown)
            if shown:
                written.append(f"\x1b[{pen}m{shown}\x1b[0m" if pen else shown)
        if y != lines[-1][1]:
            written.append("\n")
    return "".join(written) + "\x1b[1;1H"


def whole(columns: int, rows: int, background: str) -> str:
    """What Textual's LayoutUpdate writes for a screen of one colour."""
    return frame([(0, y, [(background, " " * columns)]) for y in range(rows)], columns)


@st.composite
def frames(draw: st.DrawFn, columns: int, rows: int) -> str:
    places = st.tuples(st.integers(0, columns - 1), st.integers(0, rows - 1), PIECES)
    return frame(sorted(draw(st.lists(places, min_size=1, max_size=6)), key=lambda line: line[1]), columns)


@settings(deadline=None)
@given(st.data())
def test_the_short_stream_shows_what_the_long_one_shows(data: st.DataObject) -> None:
    columns, rows = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 6))
    cells = CellScreen(columns, rows)
    long, short = Emulator(columns, rows), Emulator(columns, rows)

    def both(written: str) -> None:
        assert cells.parse_frame(written)
        long.feed(written)

    def same() -> None:
        short.feed(cells.changes())
        assert short.text() == long.text()
        assert short.visible_cells() == long.visible_cells()
        assert (short.cursor.x, short.cursor.y) == (long.cursor.x, long.cursor.y)
        assert cells.changes() == ""

    both(whole(columns, rows, "44"))
    same()
    for _ in range(data.draw(st.integers(1, 8))):
        what = data.draw(st.sampled_from(["frame", "frame", "frame", "dropped", "lost", "resized"]))
        event(what)
        if what == "lost":
            short.feed("\x1b[31;7mx漢" * columns * rows + "\x1b[H\x1b[2K")
            cells.mark_unknown()
        elif what == "resized":
            columns, rows = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 6))
            cells.resize(columns, rows)
            for terminal in (long, short):
                terminal.resize(rows, columns)
            both(whole(columns, rows, "45"))
        else:
            # A slow terminal: several frames become one.
            for _ in range(3 if what == "dropped" else 1):
                both(data.draw(frames(columns, rows)))
        same()


def drawn(columns: int = 20, rows: int = 3) -> CellScreen:
    """A blank screen that a terminal shows."""
    cells = CellScreen(columns, rows)
    assert cells.parse_frame(whole(columns, rows, ""))
    cells.changes()
    return cells


def test_what_is_the_same_is_not_sent() -> None:
    cells = drawn()
    line = "\x1b[2;1H\x1b[1;31mabc\x1b[0m def\x1b[1;1H"
    assert cells.parse_frame(line)
    assert "abc" in cells.changes()
    assert cells.parse_frame(line)
    assert cells.changes() == ""


def test_a_changed_digit_is_one_move_and_one_character() -> None:
    cells = drawn()
    cells.parse_frame("\x1b[2;1Hcount 123\x1b[1;1H")
    cells.changes()
    cells.parse_frame("\x1b[2;1Hcount 124\x1b[1;1H")
    assert cells.changes() == "\x1b[m\x1b[2;9H4\x1b[H"


def test_a_short_gap_is_written_again_and_a_long_one_is_jumped_over() -> None:
    cells = drawn()
    cells.parse_frame("\x1b[2;1H1 to 2 and so on 3\x1b[1;1H")
    cells.changes()
    cells.parse_frame("\x1b[2;1H4 to 5 and so on 6\x1b[1;1H")
    assert cells.changes() == "\x1b[m\x1b[2H4 to 5\x1b[11C6\x1b[H"


def test_a_short_gap_of_another_pen_is_jumped_over() -> None:
    cells = drawn()
    cells.parse_frame("\x1b[2;1H1\x1b[31mto\x1b[0m2\x1b[1;1H")
    cells.changes()
    cells.parse_frame("\x1b[2;1H3\x1b[31mto\x1b[0m4\x1b[1;1H")
    assert cells.changes() == "\x1b[m\x1b[2H3\x1b[2C4\x1b[H"


@pytest.mark.parametrize(("over", "sent"), [("\x1b[2;2Ha", " a"), ("\x1b[2;1Ha", "a ")])
def test_the_other_half_of_a_wide_character_is_not_left_to_the_terminal(over: str, sent: str) -> None:
    cells = drawn()
    cells.parse_frame("\x1b[2;1H漢\x1b[1;1H")
    cells.changes()
    cells.parse_frame(f"{over}\x1b[1;1H")
    assert cells.changes() == f"\x1b[m\x1b[2H{sent}\x1b[H"


def test_a_pen_is_changed_by_what_differs() -> None:
    cells = drawn()
    cells.parse_frame("\x1b[2;1H\x1b[31;44ma\x1b[0m\x1b[1;32;44mb\x1b[0m\x1b[32;44mc\x1b[0m\x1b[1;1H")
    assert cells.changes() == "\x1b[0;31;44m\x1b[2Ha\x1b[1;32mb\x1b[22mc\x1b[m\x1b[H"


def test_the_last_column_takes_all_that_comes_after_it() -> None:
    cells, long, short = CellScreen(8, 2), Emulator(8, 2), Emulator(8, 2)
    written = "\x1b[1;5Habcdefgh\x1b[2;1Hbelow"
    assert cells.parse_frame(written)
    long.feed(written)
    short.feed(cells.changes())
    assert long.text() == short.text() == "    abch\nbelow   "


@pytest.mark.parametrize(
    "other",
    [
        "",
        "text",
        "\x1b[?25l",
        "\x07",
        "\x1b]52;c;YQ==\x07",
        "\x1b[1;1Ha\tb",
        "\x1b[1;1Ha\x1b[2Jb",
        "\x1b[1;1Ha\x9b2J",
        "\x1b[1;1H\x1b]8;id=1;http://localhost\x1b\\link\x1b]8;;\x1b\\",
        "\x1b[1;1Ha\x1b",
        "\x1b[31mred\x1b[0m\x1b[1;1H",
    ],
)
def test_what_is_not_a_frame_is_not_taken(other: str) -> None:
    assert not CellScreen(20, 3).parse_frame(other)


def test_what_else_was_drawn_stays_until_it_is_drawn_over() -> None:
    cells, terminal = drawn(), Emulator(20, 3)
    terminal.feed("\x1b[1;1Hdrawn by another\x1b[2;1Hand this")
    cells.mark_foreign()
    cells.mark_unknown()
    cells.parse_frame("\x1b[2;1Ho\x1b[2;4Hs\x1b[1;1H")
    terminal.feed(cells.changes())
    assert terminal.text().split() == ["drawn", "by", "another", "ondsthis"]


def test_combining_characters_do_not_make_a_cell_grow_for_ever() -> None:
    cells = drawn()
    for _ in range(100):
        assert cells.parse_frame("\x1b[2;1Ha\x1b[2;2H" + "\u0301" * 50)
    assert len(cells.changes()) < 50


def test_a_flag_is_sent_as_a_whole() -> None:
    cells = drawn()
    cells.parse_frame("\x1b[2;1H🇩🇪.")
    cells.changes()
    cells.parse_frame("\x1b[2;1H🇩🇰.")
    assert "🇩🇰" in cells.changes()
