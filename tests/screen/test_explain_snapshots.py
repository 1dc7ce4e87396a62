"""The pages that explain, as they must look: each as a picture, and as text."""

from __future__ import annotations

import pytest
from drive import tree, tree_app
from test_snapshots import CheckScreen, at_usual_sizes, check_screen  # noqa: F401 (a fixture)

TURNS = {"states": 0, "memory": 1, "headroom": 2, "socket": 3}
"""How often → is pressed to come to each page."""


@at_usual_sizes
@pytest.mark.parametrize("page", TURNS)
def test_page(check_screen: CheckScreen, page: str, size: tuple[int, int]) -> None:  # noqa: F811 (the fixture)
    check_screen(tree_app(tree("6.1-4n")), size, ["i", *["right"] * TURNS[page]])


@at_usual_sizes
def test_merged_cache(check_screen: CheckScreen, size: tuple[int, int]) -> None:  # noqa: F811 (the fixture)
    """The row of `pid`, which counts bind buckets, is the fifth."""
    check_screen(tree_app(tree("6.1-4n")), size, [*["down"] * 4, "enter"])
