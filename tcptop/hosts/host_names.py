"""Expands names of hosts: `web[01-40],db[1-3,7]-eu` and `@FILE`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product

from tcptop.named_files import read_bytes

MAX_NAMES = 1000
MAX_TEXT_CHARACTERS = 64 << 10
MAX_FILE_BYTES = 1 << 20
NUMBERS = re.compile(r"\[([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\]")
"""Matches a list of numbers and ranges in brackets. Any other brackets, as in `ssh://[::1]`, are a part of the name."""


def expand_names(text: str, read_file: Callable[[str], str] | None = None) -> list[str]:
    """The names that a text expands to, in the order of the text, without repetitions.

    `read_file` returns the text of a file. Each line of the file is expanded like the text, but a line cannot name
    another file by `@FILE`. In the file, `#` begins a comment.

    Raises:
        ValueError: with the reason in one line, if the text expands to no name or to too many names.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise ValueError(f"more than {MAX_TEXT_CHARACTERS >> 10} K characters")
    names: dict[str, None] = {}
    for part in _split_at_commas(text):
        if part.startswith("@") and read_file is not None:
            more = _expand_lines(read_file(part[1:]))
        else:
            more = list(_expand_part(part))
        names.update(dict.fromkeys(more))
        if len(names) > MAX_NAMES:
            raise ValueError(f"more than {MAX_NAMES} names")
    return list(names)


def read_names(path: str) -> str:
    """The text of a file with names; raises OSError."""
    return read_bytes(path, MAX_FILE_BYTES).decode("utf-8", "replace")


def _expand_lines(text: str) -> list[str]:
    """The names in the lines of a file.

    The file may be readable by root alone, so error messages give the numbers of lines, but not their text.
    """
    names: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.partition("#")[0].strip()
        try:
            names += expand_names(bare) if bare else []
        except ValueError:
            raise ValueError(f"line {number} of the file is no list of names") from None
    if not names:
        raise ValueError("the file has no name")
    return names


def _split_at_commas(text: str) -> list[str]:
    """Splits a text at its commas, except at commas in a list of numbers."""
    commas_inside = {at for match in NUMBERS.finditer(text) for at in range(*match.span())}
    ends = [at for at, character in enumerate(text) if character == "," and at not in commas_inside]
    starts = [0, *(end + 1 for end in ends)]
    parts = [text[start:end].strip() for start, end in zip(starts, [*ends, len(text)], strict=True)]
    if not all(parts):
        raise ValueError(f"an empty name in {text[:80]!r}")
    return parts


def _expand_part(part: str) -> Iterator[str]:
    # NUMBERS has one group, so every second piece is the text of a list such as `01-40`.
    pieces = NUMBERS.split(part)
    choices = [list(_numbers(piece)) if number % 2 else [piece] for number, piece in enumerate(pieces)]
    total = 1
    for each in choices:
        total *= len(each)
    if total > MAX_NAMES:
        raise ValueError(f"{part[:80]!r} is more than {MAX_NAMES} names")
    return map("".join, product(*choices))


def _numbers(text: str) -> Iterator[str]:
    """The numbers in a list such as `01-03,7`; leading zeros are kept: 01, 02, 03, 7."""
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        last = last or first
        if len(first) > 9 or len(last) > 9 or not 0 <= int(last) - int(first) < MAX_NAMES:
            raise ValueError(f"[{piece[:40]}] is no range of at most {MAX_NAMES} numbers")
        digits = len(first) if first.startswith("0") else 1
        yield from (f"{number:0{digits}}" for number in range(int(first), int(last) + 1))
