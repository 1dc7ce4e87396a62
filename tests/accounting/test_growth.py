"""Growth over the last minutes: slopes with their errors, and the time until a limit is reached."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise

import pytest
from recorded import ledger, snapshot

from tcptop.accounting import account
from tcptop.accounting.events import UNKNOWN_COUNTS
from tcptop.accounting.growth import GAP_S, LENGTH_S, GrowthSample, add_growth_sample, add_rates, fit_slope, growth
from tcptop.accounting.origin import Origin, continue_origin
from tcptop.ledger import Growth, Ledger, Limits
from tcptop.text.line import text_of
from tcptop.widgets.limits_pane import limit_lines

BASE = ledger("6.1-4n", "established")


def sample(at_s: float, sockets: int, tracked: int | None = None) -> Ledger:
    """The recorded sample, with another time and other counts."""
    figures = BASE._replace(taken_at_unix_s=at_s, sockets=BASE.sockets._replace(allocated=sockets))
    if tracked is None:
        return figures
    rows = figures.limits["full"].rows
    limit = rows[0]._replace(name="nf_conntrack_max", used=tracked, used_error=0, maximum=262_144, state="ok")
    limits = Limits((*rows, limit))
    return figures._replace(limits={"full": limits, "time_wait": limits})


def found(samples: list[Ledger]) -> Growth | None:
    kept: tuple[GrowthSample, ...] = ()
    for each in samples:
        kept = add_growth_sample(kept, each)
    return growth(kept, samples[-1], "full")


@pytest.mark.parametrize("seed", range(5))
def test_the_slope_and_its_error_are_those_of_the_statistics_module(seed: int) -> None:
    noise = random.Random(seed)
    times_s = [5.0 * number + noise.random() for number in range(30)]
    values = [1000 + 12.5 * time_s + noise.gauss(0, 40) for time_s in times_s]
    slope = fit_slope(times_s, values)
    assert slope is not None
    line = statistics.linear_regression(times_s, values)
    assert slope.per_s == pytest.approx(line.slope)
    rest = [value - line.intercept - line.slope * time_s for time_s, value in zip(times_s, values, strict=True)]
    spread = statistics.pvariance(times_s) * len(times_s)
    assert slope.error_per_s == pytest.approx((sum(each * each for each in rest) / 28 / spread) ** 0.5)
    assert abs(slope.per_s - 12.5) < 4 * slope.error_per_s


def test_noise_alone_is_rarely_a_clear_slope() -> None:
    noise = random.Random(1)
    times_s = [5.0 * number for number in range(40)]
    slopes = [fit_slope(times_s, [noise.gauss(500, 20) for _ in times_s]) for _ in range(400)]
    assert sum(slope is not None and slope.is_clear for slope in slopes) < 400 * 0.1


def test_an_unknown_value_or_no_time_is_no_slope() -> None:
    assert fit_slope([float(number) for number in range(9)], [1.0] * 8 + [None]) is None
    assert fit_slope([7.0] * 9, [float(number) for number in range(9)]) is None
    assert fit_slope([1.0, 2.0], [1.0, 2.0]) is None


def test_a_flow_table_that_fills_is_reached_in_the_time_that_its_growth_takes() -> None:
    """At 100 flows a second, the free 84 000 flows last for 14 minutes."""
    samples = [sample(1e9 + at_s, 5000 + 50 * at_s, 148_144 + 100 * at_s) for at_s in range(0, 301, 5)]
    result = found(samples)
    assert result is not None
    assert result.sockets == pytest.approx((50.0, 0.0), abs=1e-6)
    assert result.limits_in_s == {"nf_conntrack_max": pytest.approx(840)}
    for columns in (66, 80, 120, 160):
        lines = [text_of(line) for line in limit_lines(samples[-1], "full", columns, result.limits_in_s)]
        assert [line.split()[0] for line in lines if "in about 14 min" in line] == ["conntrack"]


def test_a_count_that_falls_or_stands_reaches_no_limit() -> None:
    for step in (0, -10):
        result = found([sample(1e9 + at_s, 9000, 100_000 + step * at_s) for at_s in range(0, 301, 5)])
        assert result is not None
        assert result.limits_in_s == {}
        lines = [text_of(line) for line in limit_lines(BASE, "full", 118, result.limits_in_s)]
        assert not any("in about" in line for line in lines)


def test_memory_that_others_take_is_called_theirs() -> None:
    """If TCP's memory stands still, or grows less than half as much, others grow."""
    memory = next(row for row in BASE.limits["full"].rows if row.name == "memory")
    per_s = ((memory.maximum or 0) - (memory.used or 0)) / 3060
    for tcp_per_s, others in ((0.0, True), (-5.0, True), (0.4 * per_s, True), (0.6 * per_s, False), (None, False)):
        for columns in (66, 80, 120):
            lines = [text_of(line) for line in limit_lines(BASE, "full", columns, {"memory": 3060.0}, tcp_per_s)]
            [line] = [line for line in lines if "51 min" in line]
            assert line.startswith("memory")
            assert ("mostly not TCP" in line) == others, line


@pytest.mark.parametrize(("length_s", "step_s"), [(295, 5), (300, 5), (294, 7), (301, 7), (280, 40), (320, 40)])
def test_a_time_is_forecast_only_from_five_minutes_of_samples(length_s: int, step_s: int) -> None:
    samples = [sample(1e9 + at_s, 9000, 200_000 + 10 * at_s) for at_s in range(0, length_s + 1, step_s)]
    result = found([sample(1e9 - 4000, 9000, 200_000), *samples])
    assert result is not None
    assert result.sockets is not None
    assert bool(result.limits_in_s) == (length_s >= LENGTH_S)


def test_no_time_is_forecast_below_half_of_the_limit() -> None:
    for first, is_forecast in ((100_000, False), (131_072, True)):
        result = found([sample(1e9 + at_s, 9000, first + at_s) for at_s in range(0, 301, 5)])
        assert result is not None
        assert bool(result.limits_in_s) == is_forecast


def test_a_use_within_its_counters_error_reaches_no_limit() -> None:
    samples = [sample(1e9 + at_s, 9000, 1000 + at_s) for at_s in range(0, 301, 5)]
    *others, last = samples[-1].limits["full"].rows
    limits = Limits((*others, last._replace(used_error=5000)))
    samples[-1] = samples[-1]._replace(limits={"full": limits, "time_wait": limits})
    result = found(samples)
    assert result is not None
    assert result.limits_in_s == {}


def test_only_the_last_minutes_count_and_samples_keep_a_distance() -> None:
    kept: tuple[GrowthSample, ...] = ()
    for at_s in range(1000):
        kept = add_growth_sample(kept, sample(1e9 + at_s, at_s))
    gaps = [after.at_s - before.at_s for before, after in pairwise(kept)]
    assert set(gaps) == {GAP_S}
    assert kept[-1].at_s - kept[0].at_s <= LENGTH_S
    assert len(kept) <= LENGTH_S / GAP_S + 1


def test_a_clock_that_is_set_back_makes_the_series_begin_again() -> None:
    kept: tuple[GrowthSample, ...] = ()
    for at_s in (0, 5, 10, -3600, -3595):
        kept = add_growth_sample(kept, sample(1e9 + at_s, 1))
    assert [each.at_s - 1e9 for each in kept] == [-3600, -3595]
    assert add_growth_sample(kept, sample(0.0, 1)._replace(taken_at_unix_s=None)) == kept


def test_a_clock_that_is_set_changes_neither_growth_nor_rates() -> None:
    """200 more a second for 400 s, to 150 000 of 262 144; the clock is set two minutes forward."""
    host = BASE.host._replace(boot_id="6d6c0b7c-1")
    samples = [
        sample(1e9 + at_s + 120 * (at_s > 250), 100 * at_s, 70_000 + 200 * at_s)._replace(
            boot_clock_s=5e3 + at_s, host=host
        )
        for at_s in range(0, 401, 5)
    ]
    result = found(samples)
    assert result is not None
    assert result.sockets == pytest.approx((100.0, 0.0), abs=1e-6)
    assert result.limits_in_s["nf_conntrack_max"] == pytest.approx((262_144 - 150_000) / 200)
    for before, after in pairwise(samples):
        assert add_rates(before, after).sockets.allocated_per_s == pytest.approx(100)


def test_there_is_no_rate_between_two_boots() -> None:
    """The second boot has been up for five seconds longer than the first had been, half a minute later."""
    boots = [BASE.host._replace(boot_id=boot_id) for boot_id in ("6d6c0b7c-1", "e0a4f7d2-2")]
    before = sample(1e9, 16_001)._replace(boot_clock_s=20.0, host=boots[0])
    after = sample(1e9 + 30, 1)._replace(boot_clock_s=25.0, host=boots[1])
    assert add_rates(before, after).sockets.allocated_per_s is None
    assert add_rates(before, after._replace(host=boots[0])).sockets.allocated_per_s == -3200
    assert after.seconds_since(before) == 30
    assert after._replace(boot_clock_s=None, host=boots[0]).seconds_since(before) == 30
    assert after._replace(host=boots[0]).seconds_since(before) == 5


@pytest.mark.parametrize(
    ("changes", "is_known"),
    [
        ({"boot_id": "6d6c0b7c-1"}, True),
        ({"boot_id": None}, False),
        ({"boot_id": "6d6c0b7c-1", "place": "/host"}, True),
        ({"boot_id": "6d6c0b7c-1", "place": "ssh:web17"}, False),  # the clock is that of the machine with tcptop
        ({"boot_id": "6d6c0b7c-1", "live": False}, False),
    ],
)
def test_the_monotonic_clock_counts_only_in_a_known_boot_of_the_same_machine(
    changes: dict[str, object], is_known: bool
) -> None:
    of = snapshot("6.1-4n", "established")._replace(live=True, monotonic_s=20.5, place=None)
    assert account(of._replace(**changes)).boot_clock_s == (20.5 if is_known else None)  # type: ignore[arg-type]


TOTALS = {**UNKNOWN_COUNTS, "ListenDrops": 50, "ListenOverflows": 50}
ORIGIN = Origin("alpha", "6.1.0-56-amd64", None, 9000.0, TOTALS, "net:[4026531840]", "6d6c0b7c-1")
OTHER_ORIGINS = [
    ORIGIN._replace(host_name="beta"),
    ORIGIN._replace(kernel_release="6.1.0-57-amd64"),
    ORIGIN._replace(net_namespace="/host/proc/1/net"),
    ORIGIN._replace(monotonic_s=12.0),
    ORIGIN._replace(net_namespace_id="net:[4026532201]"),
    ORIGIN._replace(boot_id="e0a4f7d2-2"),
    ORIGIN._replace(totals={**TOTALS, "ListenDrops": 49, "ListenOverflows": 90}),
]


@pytest.mark.parametrize("other", OTHER_ORIGINS)
@pytest.mark.parametrize("is_damaged", [False, True])
def test_another_origin_makes_the_series_begin_again(other: Origin, is_damaged: bool) -> None:
    """The first machine has 10 000 sockets; the second has 100, and 50 more each second."""
    kept: tuple[GrowthSample, ...] = ()
    for at_s in range(0, 60, 5):
        kept = add_growth_sample(kept, sample(1e9 + at_s, 10_000), ORIGIN)
    if is_damaged:
        kept = add_growth_sample(kept, sample(1e9 + 57, 10_000), Origin())
    for at_s in range(58, 120, 5):
        last = sample(1e9 + at_s, 100 + 50 * at_s)
        kept = add_growth_sample(kept, last, other)
    result = growth(kept, last, "full")
    assert result is not None
    assert result.sockets == pytest.approx((50.0, 0.0), abs=1e-6)
    assert result.over_s == 60


@pytest.mark.parametrize(
    "unknown", ["host_name", "kernel_release", "monotonic_s", "totals", "net_namespace_id", "boot_id"]
)
def test_an_unknown_value_is_no_other_origin(unknown: str) -> None:
    damaged = ORIGIN._replace(**{unknown: getattr(Origin(), unknown)})
    assert continue_origin(ORIGIN, damaged) == ORIGIN
    assert continue_origin(ORIGIN, Origin()) == ORIGIN


def test_too_few_samples_are_no_growth() -> None:
    assert found([sample(1e9 + at_s, at_s) for at_s in range(0, 30, 5)]) is None
