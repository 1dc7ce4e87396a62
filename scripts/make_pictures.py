"""Draws the pictures of the README from the real screen: `python -m scripts.make_pictures`.

tcptop runs in a pseudo-terminal on a recorded tree of the tests. The cells of the screen become `docs/screen.svg`. The
cells after the keys of each of `FRAMES` become `docs/moving.svg`, an animation (CSS) that loads nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from pyte.screens import Char

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from session import Session  # noqa: E402 (a module of the tests)

TREE = PROJECT / "tests" / "recordings" / "6.1-4n" / "established"
PICTURE_SIZE = (120, 40)
MOVING_SIZE = (100, 30)
FRAME_S = 3.0
FONT_PX, CELL_WIDTH, CELL_HEIGHT = 14, 8.4, 18
FOREGROUND, BACKGROUND = "#d0d0d0", "#101418"
NAMED = {
    "default": FOREGROUND, "black": "#000000", "red": "#cd3131", "green": "#0dbc79", "brown": "#e5e510",
    "blue": "#2472c8", "magenta": "#bc3fbc", "cyan": "#11a8cd", "white": "#e5e5e5",
}  # fmt: skip
"""Colours of a terminal, by their names in pyte."""

Cells = list[list[Char]]


class Frame(NamedTuple):
    """The keys to press, and the caption below the screen."""

    keys: str
    caption: str


FRAMES = (
    Frame("", "16 001 sockets: what one more takes, what TCP takes, and the limits, the nearest first"),
    Frame("m", "m: what remains of a connection in TIME_WAIT"),
    Frame("m0", "0: node 0, with its free blocks by order and migrate type"),
    Frame("=i", "i: the states of TCP, and what a socket costs in each"),
    Frame("\x1bM", "M: a plan, whose numbers can be typed over"),
)


def screens(size: tuple[int, int], all_keys: Sequence[str]) -> Iterator[Cells]:
    """The cells of the screen after the keys of each frame."""
    command = [sys.executable, "-m", "tcptop", "--root", str(TREE)]
    environment = {**os.environ, "COLORTERM": "truecolor", "LANG": "C.UTF-8", "XDG_CONFIG_HOME": "/nonexistent"}
    session = Session(command, size=size, environment=environment, folder=PROJECT)
    try:
        session.until_shown("FITS MORE")
        session.until_quiet()
        for keys in all_keys:
            for key in keys:
                session.type(key)
                session.until_quiet()
                session.until_quiet()
            yield session.screen.visible_cells()
    finally:
        session.end()


def colour(name: str, default: str) -> str:
    """A colour of pyte as one of SVG."""
    return default if name == "default" else NAMED.get(name) or f"#{name}"


def row_svg(cells: Sequence[Char]) -> str:
    """A row of cells: first the backgrounds, then each sequence of cells of one style."""
    shapes, at = [], 0
    for (fg, bg, bold, underscore), run in groupby(cells, key=lambda cell: (*inks(cell), cell.bold, cell.underscore)):
        text = "".join(cell.data for cell in run)
        x, width, at = at * CELL_WIDTH, len(text) * CELL_WIDTH, at + len(text)
        if bg != BACKGROUND:
            shapes.append(f'<rect x="{x:.1f}" width="{width:.1f}" height="{CELL_HEIGHT}" fill="{bg}"/>')
        if text.strip():
            style = ' font-weight="bold"' * bold + ' text-decoration="underline"' * underscore
            shapes.append(
                f'<text x="{x:.1f}" y="{FONT_PX}" textLength="{width:.1f}" fill="{fg}"{style}>{escape(text)}</text>'
            )
    return "".join(shapes)


def inks(cell: Char) -> tuple[str, str]:
    """The colours of the character and of the cell."""
    fg, bg = colour(cell.fg, FOREGROUND), colour(cell.bg, BACKGROUND)
    return (bg, fg) if cell.reverse else (fg, bg)


def svg(frames: Sequence[Cells], captions: Sequence[str], title: str) -> str:
    """The frames as one picture; a row that several frames share is drawn once."""
    columns, rows = len(frames[0][0]), len(frames[0]) + (1 if any(captions) else 0)
    width, height = columns * CELL_WIDTH + 16, rows * CELL_HEIGHT + 16
    numbers: dict[str, int] = {}
    groups = []
    for number, (cells, caption) in enumerate(zip(frames, captions, strict=True)):
        uses = []
        for y, row in enumerate(cells):
            shape = row_svg(row)
            if shape:
                name = numbers.setdefault(shape, len(numbers))
                uses.append(f'<use href="#r{name}" y="{y * CELL_HEIGHT}"/>')
        text = f'<text x="8" y="{len(cells) * CELL_HEIGHT + FONT_PX}" fill="#ffffff">{escape(caption)}</text>'
        groups.append(f'<g class="f f{number}">{"".join(uses)}{text if caption else ""}</g>')
    shapes = "\n".join(f'<g id="r{number}">{shape}</g>' for shape, number in numbers.items())
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width:.0f} {height}" role="img">
<title>{escape(title)}</title>
<style>
text {{ font: {FONT_PX}px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; }}
{animation(len(frames))}</style>
<defs>
{shapes}
</defs>
<rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>
<g transform="translate(8 8)">
{chr(10).join(groups)}
</g>
</svg>
"""


def animation(frames: int) -> str:
    """The CSS rules that show one frame after the other."""
    if frames == 1:
        return ""
    share = 100 / frames
    rules = [
        f"@keyframes show {{ 0%, {share:.2f}% {{ opacity: 1 }} {share + 0.01:.2f}%, 100% {{ opacity: 0 }} }}",
        f".f {{ opacity: 0; animation: show {frames * FRAME_S:.0f}s step-end infinite }}",
    ]
    rules += [f".f{number} {{ animation-delay: {number * FRAME_S:.0f}s }}" for number in range(frames)]
    return "\n".join(rules) + "\n"


def main() -> None:
    """Writes both pictures."""
    still = list(screens(PICTURE_SIZE, [""]))
    moving = list(screens(MOVING_SIZE, [frame.keys for frame in FRAMES]))
    folder = PROJECT / "docs"
    (folder / "screen.svg").write_text(svg(still, [""], "The screen of tcptop"), encoding="utf-8")
    captions = [frame.caption for frame in FRAMES]
    (folder / "moving.svg").write_text(svg(moving, captions, "tcptop while keys are pressed"), encoding="utf-8")


if __name__ == "__main__":
    main()
