"""Growth over the last minutes: straight lines through several samples, and the time until a limit is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import NamedTuple

from tcptop.accounting.origin import UNKNOWN_ORIGIN, Origin, continue_origin
from tcptop.ledger import AccountingMode, CacheLine, Growth, Ledger, Limit, Slope
from tcptop.rates import per_second

LENGTH_S = 300.0
"""Maximum age in seconds of a sample that the growth is computed from."""
GAP_S = 5.0
"""Minimum time in seconds between two samples that the growth is computed from."""
MIN_SAMPLES = 8
MIN_FORECAST_RATIO = 0.5
"""Smallest used share of a limit from which a time until the limit is reached is forecast.

Below one half, more would have to be added than all that is there, so the growth was not seen for long enough.
"""
MAX_RATE_S = 65.0
"""Maximum time in seconds between two samples from which a rate is computed: slightly more than the longest
interval."""
MIN_RATE_S = 0.05
"""Minimum time in seconds between two readings of a source: a reading's age is rounded, so one reading may seem to have
two times."""


class GrowthSample(NamedTuple):
    """One sample of the figures whose growth is computed."""

    at_s: float
    """Time on the monotonic clock, or in seconds since the epoch if `is_monotonic` is False."""
    is_monotonic: bool
    sockets: Mapping[AccountingMode, int | None]
    tcp_bytes: int | None
    used: Mapping[str, int | None]
    """Use of each limit, by name of the limit."""
    origin: Origin = UNKNOWN_ORIGIN


def add_growth_sample(
    samples: Sequence[GrowthSample], ledger: Ledger, origin: Origin = UNKNOWN_ORIGIN
) -> tuple[GrowthSample, ...]:
    """The samples of the last LENGTH_S seconds, and a new sample that is made from `ledger` and `origin`.

    The last sample before these LENGTH_S seconds is kept too, so that the series is as long as a forecast needs.

    If the new sample has another origin or another clock, the series begins again with the new sample. If the player of
    a recording went back, some times in `samples` are later than the time of `ledger`; such samples are dropped.
    """
    is_monotonic = ledger.boot_clock_s is not None
    at_s = ledger.boot_clock_s if is_monotonic else ledger.taken_at_unix_s
    if at_s is None:
        return tuple(samples)
    samples = [each for each in samples if each.is_monotonic == is_monotonic and each.at_s <= at_s]
    continued = continue_origin(samples[-1].origin, origin) if samples else origin
    if continued is None:
        samples, continued = [], origin
    if samples and at_s - samples[-1].at_s < GAP_S:
        # The new sample comes too soon after the last sample of the series, so the new sample is left out. The last
        # sample still gets the new origin, which contains the newest totals of the counters. The next totals are
        # compared with these totals: a smaller total shows that the machine was booted in between.
        samples[-1] = samples[-1]._replace(origin=continued)
        return tuple(samples)
    counts = ledger.sockets
    sample = GrowthSample(
        at_s,
        is_monotonic,
        {"full": counts.allocated, "time_wait": counts.time_wait},
        ledger.tcp_memory.bytes,
        {limit.name: limit.used for limit in ledger.limits["full"].rows},
        continued,
    )
    kept = [each for each in samples if 0 < at_s - each.at_s <= LENGTH_S]
    if not kept or at_s - kept[0].at_s < LENGTH_S:
        oldest_s = LENGTH_S + MAX_RATE_S
        kept[:0] = [each for each in samples if LENGTH_S < at_s - each.at_s <= oldest_s][-1:]
    return (*kept, sample)


def growth(samples: Sequence[GrowthSample], ledger: Ledger, mode: AccountingMode) -> Growth | None:
    """The growth up to the last sample, in one accounting mode; None if there are too few samples.

    The times until limits are reached are forecast only from samples of at least LENGTH_S seconds.
    """
    if len(samples) < MIN_SAMPLES:
        return None
    times_s = [sample.at_s for sample in samples]
    is_long = times_s[-1] - times_s[0] >= LENGTH_S
    limits_in_s: dict[str, float] = {
        limit.name: in_s
        for limit in (ledger.limits[mode].rows if is_long else ())
        if (in_s := _time_to_limit_s(limit, fit_slope(times_s, [sample.used.get(limit.name) for sample in samples])))
        is not None
    }
    return Growth(
        over_s=times_s[-1] - times_s[0],
        sockets=fit_slope(times_s, [sample.sockets[mode] for sample in samples]),
        bytes=fit_slope(times_s, [sample.tcp_bytes for sample in samples]),
        limits_in_s=limits_in_s,
    )


def fit_slope(times_s: Sequence[float], values: Sequence[float | None]) -> Slope | None:
    """The slope of the least-squares line, with the standard error of the slope; None if a value is unknown."""
    known = [value for value in values if value is not None]
    count = len(times_s)
    if len(known) < count or count < MIN_SAMPLES:
        return None
    mean_s, mean = sum(times_s) / count, sum(known) / count
    spread = sum((time_s - mean_s) ** 2 for time_s in times_s)
    if not spread:
        return None
    pairs = list(zip(times_s, known, strict=True))
    per_s = sum((time_s - mean_s) * (value - mean) for time_s, value in pairs) / spread
    residuals = sum((value - mean - per_s * (time_s - mean_s)) ** 2 for time_s, value in pairs)
    return Slope(per_s, sqrt(residuals / (count - 2) / spread))


def add_rates(before: Ledger | None, ledger: Ledger) -> Ledger:
    """The ledger with the changes per second since the sample `before`: of sockets, mini-sockets and caches' objects.

    The changes of sockets are unknown if `before` is later than `ledger`, more than MAX_RATE_S seconds earlier, or of
    another boot. The caches keep the changes between their last two readings if these are not read since `before`, or
    long before.
    """
    elapsed_s = None if before is None else ledger.seconds_since(before)
    if before is None or elapsed_s is None or elapsed_s > MAX_RATE_S or ledger.host.is_other_boot(before.host):
        return ledger
    old, new = before.sockets, ledger.sockets
    sockets = new._replace(
        allocated_per_s=per_second(old.allocated, elapsed_s, new.allocated),
        time_wait_per_s=per_second(old.time_wait, elapsed_s, new.time_wait),
    )
    return ledger._replace(sockets=sockets, caches=_with_rates(before, ledger))


def _with_rates(before: Ledger, ledger: Ledger) -> tuple[CacheLine, ...]:
    """The caches with the changes per second since the sample `before`."""
    active_s, objects_s = (_seconds_between_reads(before, ledger, name) for name in ("slabinfo", "slab_counts"))
    # If several rows have the same name, the first one stands for all, as in the rates of two readings.
    old_caches = {cache.name: cache for cache in reversed(before.caches)}
    caches: list[CacheLine] = []
    for cache in ledger.caches:
        old = old_caches.get(cache.name)
        if old is None:
            caches.append(cache)
            continue
        active_per_s, nodes = cache.active_per_s, cache.nodes
        if active_per_s is not None and active_s is not None:
            active_per_s = per_second(old.active_objects, active_s, cache.active_objects)
        if nodes and old.nodes is not None and objects_s is not None:
            old_objects = {node: count.objects for node, count in old.nodes.items()}
            nodes = {
                node: count._replace(objects_per_s=per_second(old_objects.get(node, 0), objects_s, count.objects))
                for node, count in nodes.items()
            }
        caches.append(cache._replace(active_per_s=active_per_s, nodes=nodes))
    return tuple(caches)


def _seconds_between_reads(before: Ledger, ledger: Ledger, source: str) -> float | None:
    """The time between the readings of a source in two samples.

    None if it is unknown, if the two are one reading, or if they are far apart, as after a jump in a recording.
    """
    ages = [each.sources[source].age_s for each in (before, ledger)]
    apart_s = ledger.seconds_since(before)
    if ages[0] is None or ages[1] is None or apart_s is None:
        return None
    elapsed_s = apart_s - ages[1] + ages[0]
    return elapsed_s if MIN_RATE_S <= elapsed_s <= 2 * GAP_S else None


def _time_to_limit_s(limit: Limit, slope: Slope | None) -> float | None:
    """Time until a limit is reached, in seconds.

    The time is None if the use does not clearly grow, if less than MIN_FORECAST_RATIO of the limit is in use, or if the
    error of the use is at least as large as the use.
    """
    if slope is None or not slope.is_clear or slope.per_s <= 0 or limit.used is None or limit.maximum is None:
        return None
    if limit.used_is_at_most or limit.used_error is None or limit.used <= limit.used_error:
        return None
    if limit.used < MIN_FORECAST_RATIO * limit.maximum:
        return None
    return max(0, limit.maximum - limit.used) / slope.per_s
