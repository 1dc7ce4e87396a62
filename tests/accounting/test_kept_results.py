"""Results that are kept for the next sample are those that a fresh process computes, whichever files have changed."""

from __future__ import annotations

import sys

import pytest
from recorded import snapshot

from tcptop.accounting import account
from tcptop.recall import Recall
from tcptop.snapshot import READING_NAMES, Snapshot

FIRST, SECOND = snapshot("6.1-4n", "established"), snapshot("6.1-4n", "timewait")
OTHER_KERNEL = snapshot("5.10-4n", "established")


def forget() -> int:
    """Empties every store of kept results; returns their number."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("tcptop.accounting")]
    kept = {id(value): value for module in modules for value in vars(module).values()}.values()
    recalls = [value for value in kept if isinstance(value, Recall)]
    caches = [value for value in kept if hasattr(value, "cache_clear")]
    for recall in recalls:
        recall.begin_round()
        recall.begin_round()
    for cache in caches:
        cache.cache_clear()
    return len(recalls) + len(caches)


@pytest.mark.parametrize("other", [SECOND, OTHER_KERNEL], ids=["phase", "kernel"])
@pytest.mark.parametrize("source", sorted(READING_NAMES))
def test_a_file_that_changes_alone_gives_the_figures_of_a_fresh_process(source: str, other: Snapshot) -> None:
    changed = FIRST._replace(**{source: getattr(other, source)})
    account(FIRST)
    after_first = account(changed)
    account(other)
    after_other = account(changed)
    assert forget() > 5
    fresh = account(changed)
    assert after_first == fresh
    assert after_other == fresh
