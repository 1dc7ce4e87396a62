"""The table of limits: every limit has a row, and its sources, events, sysctl and names exist."""

from __future__ import annotations

from typing import get_args

import pytest
from recorded import ledger, snapshot

from tcptop.accounting.checks import CHECK_NAMES
from tcptop.kernel.events import EVENTS
from tcptop.kernel.limits import LIMIT_BY_NAME, LIMITS, THRESHOLDS, KernelLimit, LimitName
from tcptop.snapshot import READING_NAMES
from tcptop.sources.socket_limits import SocketLimitsSource

each_limit = pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)


def test_every_name_has_one_row_and_every_row_a_check() -> None:
    assert [limit.name for limit in LIMITS] == list(get_args(LimitName))
    assert LIMIT_BY_NAME.keys() == set(get_args(LimitName))
    assert set(get_args(LimitName)) < set(CHECK_NAMES)


@pytest.mark.parametrize("field", ["label", "spelling"])
def test_no_two_limits_have_the_same_name(field: str) -> None:
    assert len({getattr(limit, field) for limit in LIMITS}) == len(LIMITS)


@each_limit
def test_a_row_is_complete(limit: KernelLimit) -> None:
    assert limit.label
    assert limit.spelling
    assert limit.then
    assert limit.not_planned
    assert limit.then[-1] != "."  # the pages and the alerts add it
    if limit.threshold is not None:
        assert 0 < limit.threshold.warn < limit.threshold.critical <= 100
    assert (limit.name in THRESHOLDS) == (limit.threshold is not None)


@each_limit
def test_the_sources_are_readings(limit: KernelLimit) -> None:
    """A memory cgroup has no Reading of its own: its reason is in its values."""
    assert set(limit.sources) <= set(READING_NAMES)
    assert bool(limit.sources) == (limit.name != "memory_cgroup")
    assert limit.needs_look == (limit.use_source == "socket_table")


@each_limit
def test_the_event_belongs_to_the_limit(limit: KernelLimit) -> None:
    if limit.event is not None:
        assert [event.limit for event in EVENTS if event.name == limit.event.name] == [limit.name]


@each_limit
def test_the_sysctl_is_the_file_that_the_maximum_comes_from(limit: KernelLimit) -> None:
    if limit.sysctl is not None:
        assert limit.maximum_source == "socket_limits"
        assert f"proc/sys/{limit.sysctl.name.replace('.', '/')}".replace("fs/file-max", "fs/file-nr") in (
            SocketLimitsSource.paths
        )


def test_the_rows_are_the_limits_of_a_ledger() -> None:
    """Recordings have no conntrack, and name no memory cgroup."""
    rows = {limit.name: limit for limit in ledger("6.1-4n", "established").limits["full"].rows}
    assert rows.keys() == LIMIT_BY_NAME.keys() - {"nf_conntrack_max", "memory_cgroup"}
    for name, row in rows.items():
        known = LIMIT_BY_NAME[name]
        assert (row.label, row.concerns, row.unit, row.then) == (
            known.label,
            known.concerns,
            known.unit,
            known.then,
        )
        assert row.threshold == known.threshold


@each_limit
def test_a_use_is_known_exactly_if_its_source_is(limit: KernelLimit) -> None:
    seen = snapshot("6.1-4n", "established")
    for row in ledger("6.1-4n", "established").limits["full"].rows:
        if row.name == limit.name and limit.use_source is not None:
            assert (row.used is None) == (getattr(seen, limit.use_source).value is None)


def test_a_plan_says_why_it_does_not_count_the_limits_of_processes() -> None:
    assert "which process opens the sockets" in LIMIT_BY_NAME["nofile"].not_planned
    assert "which listener" in LIMIT_BY_NAME["listen_queues"].not_planned
