"""Pacing: the reads of a source stay within 0.5 % of one CPU, and those of all sources together within 0.4 %."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from tcptop.sampling.pace import Paces

CPU_SHARE = 0.004
"""The budget: 0.4 % of one CPU for all sources together."""

REST_FACTOR = 200
"""After a read, a source pauses for at least this many times the duration of the read."""


def simulate_reads(paces: Paces, costs_us: Mapping[str, int], interval_s: float, ticks: int) -> list[tuple[float, str]]:
    """The start time and the source of each read in a number of ticks; a tick reads all due sources in turn."""
    reads: list[tuple[float, str]] = []
    for tick in range(ticks):
        now_s = clock_s = 1000 + tick * interval_s
        for name in paces.due(list(costs_us), now_s, interval_s):
            ended_s = clock_s + costs_us[name] / 1e6
            paces.record_read(name, clock_s, ended_s, costs_us[name], interval_s)
            reads.append((clock_s, name))
            clock_s = ended_s
    return reads


def test_a_cheap_source_follows_the_interval() -> None:
    reads = simulate_reads(Paces(), {"sockstat": 20}, 1.0, 100)
    assert len(reads) == 100


def test_uneven_ticks_skip_no_read() -> None:
    paces = Paces()
    for tick in range(100):
        now_s = tick + (0.05 if tick % 2 else 0.0)
        assert paces.due(["sockstat"], now_s, 1.0) == ["sockstat"], tick
        paces.record_read("sockstat", now_s, now_s, 20, 1.0)


def test_a_source_is_not_read_before_its_period_has_passed() -> None:
    paces = Paces()
    paces.record_read("zoneinfo", 10.0, 10.0, 100, 5.0)
    assert paces.due(["zoneinfo"], 14.0, 1.0) == []
    assert paces.due(["zoneinfo"], 15.0, 1.0) == ["zoneinfo"]


@pytest.mark.parametrize("cost_us", [1, 400, 4_999, 5_001, 12_000, 80_000, 1_000_000, 30_000_000])
@pytest.mark.parametrize("interval_s", [0.1, 1.0, 5.0])
def test_a_source_rests_200_times_as_long_as_its_read(cost_us: int, interval_s: float) -> None:
    paces = Paces()
    count = int(max(50, 3 * REST_FACTOR * cost_us / 1e6 / interval_s))
    reads = simulate_reads(paces, {"slabinfo": cost_us}, interval_s, min(count, 200_000))
    assert len(reads) > 1
    for (before_s, _), (after_s, _) in itertools.pairwise(reads):
        ended_s = before_s + cost_us / 1e6
        assert after_s - ended_s >= REST_FACTOR * cost_us / 1e6 - 1e-9


def test_the_effective_period_follows_from_the_cost() -> None:
    paces = Paces()
    assert paces.period_s("slabinfo", 1.0) == 1.0
    paces.record_read("slabinfo", 0.0, 0.02, 20_000, 1.0)
    assert paces.period_s("slabinfo", 1.0) == 4.0
    assert paces.period_s("slabinfo", 30.0) == 30.0


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize(
    "costs_us",
    [
        {"a": 100, "b": 200, "c": 300},
        {"a": 500, "b": 500, "c": 500, "d": 500, "e": 500, "f": 500, "g": 500, "h": 500},
        {f"cheap{number}": 400 for number in range(14)},
        {"cheap": 30, "slabinfo": 30_000, "zoneinfo": 30_000, "pagetypeinfo": 30_000},
        {"slabinfo": 1_000_000, "zoneinfo": 1_000_000},
        {"slabinfo": 4_000_000, "pagetypeinfo": 900, "zoneinfo": 15_000, "sockstat": 40, "buddyinfo": 700},
    ],
    ids=["cheap", "eight of half a millisecond", "many", "three expensive", "two very expensive", "mixed"],
)
@pytest.mark.parametrize("interval_s", [0.1, 1.0, 10.0])
def test_all_sources_together_stay_within_the_budget(costs_us: dict[str, int], interval_s: float) -> None:
    """At any time, the CPU time used is at most 0.4 % of the elapsed time, plus a bounded amount for the start.

    At the start the cost of a read is unknown, so every source is read once, and 30 ms beyond the budget may be used.
    """
    paces = Paces()
    count = int(4 * 3600 / interval_s) if interval_s >= 1 else 18_000
    reads = simulate_reads(paces, costs_us, interval_s, count)
    start_us = sum(costs_us.values()) + max(costs_us.values()) + 30_000
    spent_us = 0
    for at_s, name in reads:
        spent_us += costs_us[name]
        assert spent_us <= start_us + CPU_SHARE * (at_s - 1000) * 1e6, f"after {at_s - 1000:.1f} s"
    assert {name for _, name in reads} == set(costs_us)


def test_no_source_starves() -> None:
    costs_us = {"sockstat": 40, "slab_counts": 450, "buddyinfo": 450, "zoneinfo": 2_000, "slabinfo": 9_000}
    reads = simulate_reads(Paces(), costs_us, 1.0, 600)
    for name in costs_us:
        times = [at_s for at_s, source in reads if source == name]
        assert len(times) > 10, name
        assert max(later_s - earlier_s for earlier_s, later_s in itertools.pairwise(times)) < 30, name


def test_cheap_sources_come_first() -> None:
    paces = Paces()
    for name, cost_us in (("slabinfo", 4_000), ("sockstat", 20), ("zoneinfo", 900), ("meminfo", 30)):
        paces.record_read(name, 0.0, 0.0, cost_us, 1.0)
    assert paces.due(["slabinfo", "sockstat", "zoneinfo", "meminfo"], 100.0, 1.0) == [
        "sockstat",
        "meminfo",
        "zoneinfo",
        "slabinfo",
    ]


def test_an_expensive_source_does_not_delay_cheap_ones() -> None:
    reads = simulate_reads(Paces(), {"slabinfo": 60_000, "sockstat": 20}, 1.0, 120)
    assert sum(name == "sockstat" for _, name in reads) >= 115


def test_one_slow_read_of_a_cheap_source_does_not_delay_it() -> None:
    """An interrupt may lengthen a read of sockstat while the budget recovers from an expensive read."""
    paces = Paces()
    for tick in range(60):
        due = paces.due(["sockstat", "pagetypeinfo"], tick, 1.0)
        assert "sockstat" in due, tick
        paces.record_read("sockstat", tick, tick, 620 if tick % 12 == 1 else 25, 1.0)
        if "pagetypeinfo" in due:
            paces.record_read("pagetypeinfo", tick, tick, 48_000, 5.0)


def test_the_period_of_a_source_that_waits_for_the_budget_is_that_of_its_reads() -> None:
    """slabinfo is no cheap read: while the budget recovers from pagetypeinfo, it is not read."""
    costs_us = {"slabinfo": 6_000, "pagetypeinfo": 48_000}
    paces, reads = Paces(), []
    for tick in range(200):
        for name in paces.due(list(costs_us), tick, 1.0):
            paces.record_read(name, tick, tick, costs_us[name], 1.0)
            reads.append((tick, name, paces.period_s(name, 1.0)))
    of_slabinfo = [(at_s, period_s) for at_s, name, period_s in reads if name == "slabinfo"]
    gaps = [(later[0] - earlier[0], later[1]) for earlier, later in itertools.pairwise(of_slabinfo)]
    assert max(gap for gap, _ in gaps) > 5
    assert all(period_s == max(1.2, gap if gap > 2 else 0.0) for gap, period_s in gaps)


def test_a_pause_is_no_period() -> None:
    paces = Paces()
    for name, cost_us in (("pagetypeinfo", 48_000), ("slabinfo", 6_000)):
        paces.record_read(name, 0.0, 0.0, cost_us, 1.0)
    assert paces.due(["slabinfo"], 2.0, 1.0) == []
    assert paces.due(["slabinfo"], 600.0, 1.0) == ["slabinfo"]
    paces.record_read("slabinfo", 600.0, 600.0, 700, 1.0)
    assert paces.period_s("slabinfo", 1.0) == 1.0


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("interval_s", [0.1, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("slow", ["sockstat", "netstat", "slab_counts", "socket_limits"])
def test_a_slow_read_does_not_starve_a_source_where_all_reads_want_more_than_the_budget(
    slow: str, interval_s: float
) -> None:
    """As on a machine with two CPUs, where at an interval of 0.1 s all reads together want twice the budget."""
    costs_us = {"sockstat": 15, "meminfo": 25, "snmp": 29, "netstat": 48, "slab_counts": 281, "socket_limits": 160}
    costs_us |= {"slabinfo": 4_600, "pagetypeinfo": 10_600}
    rest_factors, min_periods_s = {"pagetypeinfo": 800}, {"pagetypeinfo": 5.0}
    paces = Paces()
    read_at_s: dict[str, list[float]] = {name: [] for name in costs_us}
    for tick in range(int(300 / interval_s)):
        now_s = tick * interval_s
        for name in paces.due(list(costs_us), now_s, interval_s):
            cost_us = 7_933 if name == slow and tick == int(20 / interval_s) else costs_us[name]
            period_s = max(interval_s, min_periods_s.get(name, 0.0))
            paces.record_read(name, now_s, now_s, cost_us, period_s, 0, rest_factors.get(name, 200))
            read_at_s[name].append(now_s)
    for name, times_s in read_at_s.items():
        most_s = 20 if name in ("slabinfo", "pagetypeinfo") else 6
        gaps_s = [later_s - earlier_s for earlier_s, later_s in itertools.pairwise((*times_s, 300))]
        assert max(gaps_s) < most_s, name


def test_a_source_that_became_cheap_is_read_more_often_again() -> None:
    paces = Paces()
    paces.record_read("slabinfo", 0.0, 0.1, 100_000, 1.0)
    assert paces.due(["slabinfo"], 19.0, 1.0) == []
    assert paces.due(["slabinfo"], 30.0, 1.0) == ["slabinfo"]
    paces.record_read("slabinfo", 30.0, 30.0, 300, 1.0)
    assert paces.due(["slabinfo"], 31.0, 1.0) == ["slabinfo"]


def test_make_due_makes_a_resting_source_due_at_once() -> None:
    paces = Paces()
    paces.record_read("slabinfo", 0.0, 0.005, 5_000, 60.0)
    assert paces.due(["slabinfo"], 0.5, 1.0) == []
    paces.make_due("slabinfo")
    assert paces.due(["slabinfo"], 0.5, 1.0) == ["slabinfo"]
