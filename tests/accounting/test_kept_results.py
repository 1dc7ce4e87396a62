"""Results that are kept for the next sample are those that a fresh process computes, whichever files have changed."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
from recorded import snapshot

from tcptop.accounting import account
from tcptop.recall import Recall
from tcptop.snapshot import READING_NAMES, Reading, SecurityModules, Snapshot

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


def changed_alone(source: str, change: str) -> Snapshot:
    """The first sample, in which one file has changed."""
    reading: Reading[Any] = getattr(FIRST, source)
    if change == "smack alone":
        reading = reading._replace(value=SecurityModules(("smack",)))
    elif change == "missing":
        reading = reading._replace(value=None, state="missing", reason="no such file")
    else:
        other: Reading[Any] = getattr(OTHER_KERNEL if "kernel" in change else SECOND, source)
        reading = reading._replace(value=other.value) if "value" in change else other
    fields: dict[str, Any] = {source: reading}
    return FIRST._replace(**fields)


CHANGES = [
    *itertools.product(
        sorted(READING_NAMES), ["missing", "phase", "value of the phase", "kernel", "value of the kernel"]
    ),
    ("security_modules", "smack alone"),
]


@pytest.mark.parametrize(("source", "change"), CHANGES)
def test_a_file_that_changes_alone_gives_the_figures_of_a_fresh_process(source: str, change: str) -> None:
    changed = changed_alone(source, change)
    account(FIRST)
    after_first = account(changed)
    account(OTHER_KERNEL)
    after_other = account(changed)
    assert forget() > 5
    fresh = account(changed)
    assert after_first == fresh
    assert after_other == fresh
