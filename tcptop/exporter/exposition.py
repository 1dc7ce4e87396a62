"""Formats families of metrics as text that the client accepts, with the encoders of prometheus-client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.process_collector import ProcessCollector

from tcptop.report.as_metrics import Family


class Encoded(NamedTuple):
    """The text of metrics, and its content type."""

    body: bytes
    content_type: str


class _Families(CollectorRegistry):
    """Families of metrics in the form that the encoders take: a registry.

    No metric is registered, because each reading of the machine makes new families.
    """

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__(auto_describe=False)
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        """The families."""
        return iter(self._families)


def process_families() -> list[Metric]:
    """The CPU time, memory and descriptors of this process, under the names that every exporter uses."""
    return list(ProcessCollector(registry=None).collect())


def text_0_0_4(families: Sequence[Family]) -> bytes:
    """The families in text format 0.0.4, without timestamps. From files, node_exporter reads only this format."""
    return generate_latest(_Families(map(_to_metric, families)))


def negotiated(families: Sequence[Family], accept: str) -> Encoded:
    """The families, and the metrics of this process, in the format that the header `Accept` asks for.

    If the header cannot be parsed, the format is text format 0.0.4.
    """
    encode: Callable[[CollectorRegistry], bytes]
    try:
        encode, content_type = choose_encoder(accept)
    except Exception:  # such as TypeError for `version=1.x`; the header comes from the client
        encode, content_type = choose_encoder("")
    return Encoded(encode(_Families([*map(_to_metric, families), *process_families()])), content_type)


def _to_metric(family: Family) -> Metric:
    metric: GaugeMetricFamily | CounterMetricFamily
    if family.kind == "counter":
        metric = CounterMetricFamily(family.name, family.help, labels=family.labels, unit=family.unit)
    else:
        metric = GaugeMetricFamily(family.name, family.help, labels=family.labels, unit=family.unit)
    for values, value in family.points:
        metric.add_metric(values, value)
    return metric
