"""CellScreen: a terminal shows the same with only the changed cells as with Textual's own output."""

from __future__ import annotations

import pytest
from emulator import Emulator
from hypothesis import event, given
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


def crop(text: str, cells: int) -> str:
    """The start of a text that fits into a number of cells."""
    while cell_len(text) > cells:
        text = text[:-1]
    return text


def frame(lines: list[Line], columns: int) -> str:
    """The output of Textual's ChopsUpdate: a cursor move, the pieces with their pens, and a line feed for each line."""
    output = []
    for x, y, pieces in lines:
        output.append(f"\x1b[{y + 1};{x + 1}H")
        for pen, text in pieces:
            cropped = crop(text, columns - x)
            x += cell_len(cropped)
            if cropped:
                output.append(f"\x1b[{pen}m{cropped}\x1b[0m" if pen else cropped)
        if y != lines[-1][1]:
            output.append("\n")
    return "".join(output) + "\x1b[1;1H"


def full_frame(columns: int, rows: int, background: str) -> str:
    """The output of Textual's LayoutUpdate for a screen of one colour."""
    return frame([(0, y, [(background, " " * columns)]) for y in range(rows)], columns)


@st.composite
def frames(draw: st.DrawFn, columns: int, rows: int) -> str:
    places = st.tuples(st.integers(0, columns - 1), st.integers(0, rows - 1), PIECES)
    return frame(sorted(draw(st.lists(places, min_size=1, max_size=6)), key=lambda line: line[1]), columns)


@pytest.mark.slow
@given(st.data())
def test_the_changes_show_the_same_as_textuals_output(data: st.DataObject) -> None:
    columns, rows = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 6))
    cells = CellScreen(columns, rows)
    expected, actual = Emulator(columns, rows), Emulator(columns, rows)

    def draw(output: str) -> None:
        assert cells.parse_frame(output)
        expected.feed(output)

    def assert_same() -> None:
        actual.feed(cells.changes())
        assert actual.text() == expected.text()
        assert actual.visible_cells() == expected.visible_cells()
        assert (actual.cursor.x, actual.cursor.y) == (expected.cursor.x, expected.cursor.y)
        assert cells.changes() == ""

    draw(full_frame(columns, rows, "44"))
    assert_same()
    for _ in range(data.draw(st.integers(1, 8))):
        step = data.draw(st.sampled_from(["frame", "frame", "frame", "dropped", "lost", "resized"]))
        event(step)
        if step == "lost":
            actual.feed("\x1b[31;7mx漢" * columns * rows + "\x1b[H\x1b[2K")
            cells.reset(columns, rows)
            draw(full_frame(columns, rows, "45"))
        elif step == "resized":
            columns, rows = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 6))
            cells.reset(columns, rows)
            for terminal in (expected, actual):
                terminal.resize(rows, columns)
            draw(full_frame(columns, rows, "45"))
        else:
            # For a slow terminal, several frames are merged into one.
            for _ in range(3 if step == "dropped" else 1):
                draw(data.draw(frames(columns, rows)))
        assert_same()


def blank_screen(columns: int = 20, rows: int = 3) -> CellScreen:
    """A blank screen whose cells all count as shown."""
    cells = CellScreen(columns, rows)
    assert cells.parse_frame(full_frame(columns, rows, ""))
    cells.changes()
    return cells


def test_unchanged_cells_are_not_sent() -> None:
    cells = blank_screen()
    line = "\x1b[2;1H\x1b[1;31mabc\x1b[0m def\x1b[1;1H"
    assert cells.parse_frame(line)
    assert "abc" in cells.changes()
    assert cells.parse_frame(line)
    assert cells.changes() == ""


def test_a_changed_digit_is_one_move_and_one_character() -> None:
    cells = blank_screen()
    cells.parse_frame("\x1b[2;1Hcount 123\x1b[1;1H")
    cells.changes()
    cells.parse_frame("\x1b[2;1Hcount 124\x1b[1;1H")
    assert cells.changes() == "\x1b[m\x1b[2;9H4\x1b[H"


def test_a_short_gap_is_rewritten_and_a_long_one_is_skipped() -> None:
    cells = blank_screen()
    cells.parse_frame("\x1b[2;1H1 to 2 and so on 3\x1b[1;1H")
    cells.changes()
    cells.parse_frame("\x1b[2;1H4 to 5 and so on 6\x1b[1;1H")
    assert cells.changes() == "\x1b[m\x1b[2H4 to 5\x1b[11C6\x1b[H"


def test_a_short_gap_of_another_pen_is_skipped() -> None:
    cells = blank_screen()
    cells.parse_frame("\x1b[2;1H1\x1b[31mto\x1b[0m2\x1b[1;1H")
    cells.changes()
    cells.parse_frame("\x1b[2;1H3\x1b[31mto\x1b[0m4\x1b[1;1H")
    assert cells.changes() == "\x1b[m\x1b[2H3\x1b[2C4\x1b[H"


@pytest.mark.parametrize(("overwrite", "sent"), [("\x1b[2;2Ha", " a"), ("\x1b[2;1Ha", "a ")])
def test_the_remaining_half_of_a_wide_character_is_blanked(overwrite: str, sent: str) -> None:
    cells = blank_screen()
    cells.parse_frame("\x1b[2;1H漢\x1b[1;1H")
    cells.changes()
    cells.parse_frame(f"{overwrite}\x1b[1;1H")
    assert cells.changes() == f"\x1b[m\x1b[2H{sent}\x1b[H"


def test_a_pen_change_sends_only_the_attributes_that_differ() -> None:
    cells = blank_screen()
    cells.parse_frame("\x1b[2;1H\x1b[31;44ma\x1b[0m\x1b[1;32;44mb\x1b[0m\x1b[32;44mc\x1b[0m\x1b[1;1H")
    assert cells.changes() == "\x1b[0;31;44m\x1b[2Ha\x1b[1;32mb\x1b[22mc\x1b[m\x1b[H"


def test_text_beyond_the_last_column_overwrites_the_last_column() -> None:
    cells, expected, actual = CellScreen(8, 2), Emulator(8, 2), Emulator(8, 2)
    output = "\x1b[1;5Habcdefgh\x1b[2;1Hbelow"
    assert cells.parse_frame(output)
    expected.feed(output)
    actual.feed(cells.changes())
    assert expected.text() == actual.text() == "    abch\nbelow   "


@pytest.mark.parametrize(
    "output",
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
def test_output_that_is_no_frame_is_not_parsed(output: str) -> None:
    assert not CellScreen(20, 3).parse_frame(output)


def test_foreign_output_stays_until_a_frame_covers_it() -> None:
    cells, terminal = blank_screen(), Emulator(20, 3)
    terminal.feed("\x1b[1;1Hdrawn by another\x1b[2;1Hand this")
    cells.reset(20, 3)
    cells.parse_frame("\x1b[2;1Ho\x1b[2;4Hs\x1b[1;1H")
    terminal.feed(cells.changes())
    assert terminal.text().split() == ["drawn", "by", "another", "ondsthis"]


def test_the_combining_characters_of_a_cell_are_limited() -> None:
    cells = blank_screen()
    for _ in range(100):
        assert cells.parse_frame("\x1b[2;1Ha\x1b[2;2H" + "\u0301" * 50)
    assert len(cells.changes()) < 50


def test_both_letters_of_a_changed_flag_are_sent() -> None:
    cells = blank_screen()
    cells.parse_frame("\x1b[2;1H🇩🇪.")
    cells.changes()
    cells.parse_frame("\x1b[2;1H🇩🇰.")
    assert "🇩🇰" in cells.changes()
