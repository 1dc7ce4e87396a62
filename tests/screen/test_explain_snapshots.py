"""The pages that explain, as they must look: each as a picture, and as text."""

from __future__ import annotations

import pytest
from drive import app_on, tree
from test_snapshots import Look, at_usual_sizes, look  # noqa: F401 (a fixture)

TURNS = {"states": 0, "memory": 1, "headroom": 2, "socket": 3}
"""How often → is pressed to come to each page."""


@at_usual_sizes
@pytest.mark.parametrize("page", TURNS)
def test_page(look: Look, page: str, size: tuple[int, int]) -> None:  # noqa: F811 (the fixture)
    look(app_on(tree("6.1-4n")), size, ["i", *["right"] * TURNS[page]])


@at_usual_sizes
def test_merged_cache(look: Look, size: tuple[int, int]) -> None:  # noqa: F811 (the fixture)
    """The row of `pid`, which counts bind buckets, is the fifth."""
    look(app_on(tree("6.1-4n")), size, [*["down"] * 4, "enter"])
