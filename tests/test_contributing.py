"""The map in CONTRIBUTING.md names every folder and root module, and every path in it exists."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "tcptop"
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = [line for line in TEXT.split("## Map")[1].split("\n## ")[0].splitlines() if line.startswith("| `")]
MAX_MAP_LINES = 24
"""One screen."""


def paths(text: str) -> list[str]:
    """The names in backquotes that are modules or folders."""
    return re.findall(r"`([\w/]+(?:\.py|/))`", text)


def test_every_folder_and_root_module_is_in_the_map() -> None:
    mapped = {name for line in MAP for name in paths(line)}
    existing = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    existing |= {path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}
    assert existing <= mapped


def test_every_path_of_the_map_exists() -> None:
    for line in MAP:
        first_cell = paths(line.split("|")[1])
        folders = [PACKAGE / path for path in first_cell if path.endswith("/")] or [PACKAGE]
        for name in paths(line):
            assert any((folder / name).exists() for folder in (*folders, PACKAGE)), f"{name} in: {line}"


def test_the_map_fits_one_screen() -> None:
    assert 10 < len(MAP) <= MAX_MAP_LINES
    assert max(map(len, MAP)) <= 120


def test_every_path_of_the_walks_and_the_recipes_exists() -> None:
    after_map = TEXT.split(MAP[-1])[1]
    walks, _, recipes = after_map.partition("\n## ")
    assert len(paths(walks)) > 15
    for name in paths(walks):
        assert (PACKAGE / name).exists(), name
    for name in paths(recipes):
        is_example = "vmstat" in name or "NAME" in name
        assert is_example or any((folder / name).exists() for folder in (PROJECT, PACKAGE, *PACKAGE.iterdir())), name


def test_there_are_at_most_ten_root_modules() -> None:
    assert len([path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]) <= 10


def test_each_folder_has_a_docstring_that_says_what_it_is_for() -> None:
    for folder in (path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()):
        docstring = re.match(r'"""(.*?)"""', (folder / "__init__.py").read_text(encoding="utf-8"), re.DOTALL)
        assert docstring is not None, folder.name
        assert len(docstring[1].strip().splitlines()[0]) > 30, folder.name
