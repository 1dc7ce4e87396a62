"""CONTRIBUTING.md's map is true both ways: every folder and root module is in it, and every path in it exists."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "tcptop"
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = [line for line in TEXT.split("## Map")[1].split("\n## ")[0].splitlines() if line.startswith("| `")]
MOST_LINES = 24
"""Of the map: a screen."""


def names(text: str) -> list[str]:
    """The names in backquotes that are paths: modules and folders."""
    return re.findall(r"`([\w/]+(?:\.py|/))`", text)


def test_every_folder_and_root_module_is_in_the_map() -> None:
    first_cells = [name for line in MAP for name in names(line)]
    there = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    there |= {path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}
    assert there <= set(first_cells)


def test_every_path_of_the_map_exists() -> None:
    for line in MAP:
        [*places] = names(line.split("|")[1])
        folders = [PACKAGE / place for place in places if place.endswith("/")] or [PACKAGE]
        for name in names(line):
            assert any((folder / name).exists() for folder in (*folders, PACKAGE)), f"{name} in: {line}"


def test_the_map_fits_one_screen() -> None:
    assert 10 < len(MAP) <= MOST_LINES
    assert max(map(len, MAP)) <= 120


def test_every_path_of_a_walk_and_of_the_recipes_exists() -> None:
    after_map = TEXT.split(MAP[-1])[1]
    walks, _, recipes = after_map.partition("\n## ")
    assert len(names(walks)) > 15
    for name in names(walks):
        assert (PACKAGE / name).exists(), name
    for name in names(recipes):
        is_example = "netstat" in name or "NAME" in name
        assert is_example or any((folder / name).exists() for folder in (PROJECT, PACKAGE, *PACKAGE.iterdir())), name


def test_there_are_ten_root_modules_at_most() -> None:
    assert len([path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]) <= 10


def test_each_folder_says_in_two_lines_what_it_knows() -> None:
    for folder in (path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()):
        docstring = re.match(r'"""(.*?)"""', (folder / "__init__.py").read_text(encoding="utf-8"), re.DOTALL)
        assert docstring is not None, folder.name
        assert len(docstring[1].strip().splitlines()[0]) > 30, folder.name
