"""The samples of a ledger, by name and labels."""

from __future__ import annotations

from tcptop.ledger import Ledger
from tcptop.report.as_metrics import DEFAULT_OPTIONS, MetricOptions, metric_families

Key = tuple[str, tuple[str, ...]]


def samples(ledger: Ledger, options: MetricOptions = DEFAULT_OPTIONS) -> dict[Key, float]:
    """Every sample; the labels in the order of the family."""
    return {
        (family.name, labels): value for family in metric_families(ledger, options) for labels, value in family.points
    }


def series_count(ledger: Ledger) -> int:
    """The number of series of a live exporter, without those of its process."""
    return len(samples(ledger, MetricOptions(read_us=1)))
