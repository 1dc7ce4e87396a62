"""A real Prometheus scrapes a real exporter for a minute, with the shipped rules; the dashboard's panels answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from exporters import GUARD_S, free_port, port_of, started, wait_for_port
from test_fleet_files import FLEET, PANELS

from tcptop.report.as_metrics import METRICS, BoundedMetric

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("live kernel"),  # while a lab runs, more figures are known only sometimes
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs the Debian package prometheus"),
]
EVERY_S = 2
WINDOW_S = 60
MAY_LACK_DATA = {"Events", "Sources that cannot be read", "Average per socket"}
SOCKETS_AT_REST = 20
BOUNDED = {row.name.format(form) for row in METRICS if isinstance(row, BoundedMetric) for form in ("", "low_", "high_")}

NEVER_UNKNOWN = ("tcptop:connection_slab_bytes:best", "tcptop:tcp_memory_bytes:best", "tcptop:limit_ratio:least")
"""Recorded figures that are known, exactly or within bounds, whatever the sockets do."""

CONFIG = """\
global: {{scrape_interval: {every_s}s, evaluation_interval: {every_s}s}}
rule_files: ["{rules}"]
scrape_configs: [{{job_name: tcptop, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


class Prometheus:
    """The API of a running Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401 (JSON)
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=GUARD_S) as answer:
            return json.load(answer)["data"]

    def values(self, expression: str) -> list[float]:
        return [float(series["value"][1]) for series in self.get("query", query=expression)["result"]]


def test_a_minute_of_scrapes(tmp_path: Path) -> None:
    with started("--listen", "127.0.0.1:0") as (process, line):
        config = tmp_path / "prometheus.yml"
        config.write_text(CONFIG.format(every_s=EVERY_S, port=port_of(line), rules=FLEET / "rules.yml"))
        port = free_port()
        server = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for_port(port)
            time.sleep(WINDOW_S + 3 * EVERY_S)
            check(Prometheus(port))
            assert process.poll() is None
        finally:
            server.terminate()
            server.wait(timeout=GUARD_S)


def assert_steady(prometheus: Prometheus, window: str) -> None:
    """Asserts that no series comes and goes, save where a figure is exact at times and within bounds at others.

    A figure per socket, and a headroom, change between exact, within bounds and unknown with the number of sockets: the
    average of a few sockets is not known. While other programs open and close thousands of sockets, such series come
    and go rightly, and their number is asserted only of a machine at rest. The recording rules join them to series that
    do not come and go.
    """
    found = prometheus.get("query", query=f'{{__name__=~"tcptop_.*"}}{window}')["result"]
    counts = {tuple(sorted(each["metric"].items())): len(each["values"]) for each in found}
    steady = {labels: count for labels, count in counts.items() if dict(labels)["__name__"] not in BOUNDED}
    assert len(steady) > 80
    assert not {labels: count for labels, count in steady.items() if count < max(counts.values()) - 1}
    for name in NEVER_UNKNOWN:
        joined = [len(each["values"]) for each in prometheus.get("query", query=name + window)["result"]]
        assert joined
        assert min(joined) >= max(counts.values()) - 2, name
    sockets = "tcptop_sockets_allocated" + window
    if prometheus.values(f"max_over_time({sockets}) - min_over_time({sockets})")[0] <= SOCKETS_AT_REST:
        assert prometheus.values(f"sum_over_time(scrape_series_added[{WINDOW_S - 10}s])")[0] <= 10


def check(prometheus: Prometheus) -> None:
    window = f"[{WINDOW_S}s]"
    assert prometheus.values(f"min_over_time(up{window})") == [1]
    assert prometheus.values(f"count_over_time(up{window})")[0] >= WINDOW_S / EVERY_S - 2
    assert_steady(prometheus, window)
    assert prometheus.values("scrape_samples_scraped")[0] > 80
    assert prometheus.values("rate(process_cpu_seconds_total[1m])")[0] < 0.05
    assert prometheus.values("count(tcptop:limit_ratio:least)")[0] >= 3
    rules = prometheus.get("rules")["groups"]
    assert {rule["health"] for group in rules for rule in group["rules"]} == {"ok"}
    for panel in PANELS:
        for target in panel["targets"]:
            filled = re.sub(r"\$\w+", lambda match: {"$__rate_interval": "30s"}.get(match[0], ".+"), target["expr"])
            found = prometheus.values(filled)
            assert found or panel["title"] in MAY_LACK_DATA or " at most" in target["legendFormat"], filled
