"""Snapshots of the explanation pages, as SVG and as text."""

from __future__ import annotations

import pytest
from drive import tree, tree_app
from test_snapshots import CheckScreen, at_usual_sizes, check_screen  # noqa: F401 (a fixture)

TURNS = {
    "states": 0,
    "memory": 1,
    "numa": 2,
    "hardware": 3,
    "headroom": 4,
    "free": 5,
    "events": 6,
    "attached": 7,
    "socket": 8,
}
"""How many times → is pressed to reach each page."""


@at_usual_sizes
@pytest.mark.parametrize("page", TURNS)
def test_page(check_screen: CheckScreen, page: str, size: tuple[int, int]) -> None:  # noqa: F811 (the fixture)
    check_screen(tree_app(tree("6.1-4n")), size, ["i", *["right"] * TURNS[page]])


@at_usual_sizes
def test_merged_cache(check_screen: CheckScreen, size: tuple[int, int]) -> None:  # noqa: F811 (the fixture)
    """The page of `pid`, the fifth row, whose cache is merged with the cache of bind buckets."""
    check_screen(tree_app(tree("6.1-4n")), size, [*["down"] * 4, "enter"])
