"""Writes docs/fleet/rules.yml, rules_test.yml, dashboard.json and metrics.md.

The thresholds of the alerts and the list of metrics are taken from the program.

usage: python -m scripts.make_fleet_files    (in the checkout, with the packages of the extra `dev`)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tcptop.kernel.limits import LIMIT_BY_NAME, LIMITS, THRESHOLDS, TIME_WAIT_LIMIT
from tcptop.report.as_metrics import METRICS, OWNER_METRICS, BoundedMetric

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "fleet"
WRITTEN_BY = "Written by scripts/make_fleet_files.py"
Json = dict[str, Any]

TARGET: Mapping[str, str] = {"job": "tcptop", "instance": "web17"}
"""Labels of the series in the tests of the rules."""


class Alert(NamedTuple):
    """An alert, a case in which it fires, and a case in which it stays quiet. Each case maps a series to its values."""

    name: str
    severity: str
    expr: str
    minutes: int
    """Time for which the expression must hold before the alert fires."""
    summary: str
    description: str
    fires: Mapping[str, str]
    quiet: Mapping[str, str]
    labels: Mapping[str, str] = {}
    """Labels of the firing alert, in addition to the labels of the target and the severity."""
    after_minutes: int = 10
    """Time in the test after which the alert fires."""


RECORDED: Mapping[str, str] = {
    "tcptop:connection_slab_bytes:best": "tcptop_connection_slab_bytes or tcptop_connection_slab_low_bytes",
    "tcptop:connection_now_bytes:best": (
        "tcptop_connection_now_bytes or tcptop_connection_now_low_bytes or tcptop_connection_now_high_bytes"
    ),
    "tcptop:tcp_memory_bytes:best": "tcptop_tcp_memory_bytes or tcptop_tcp_memory_low_bytes",
    "tcptop:node_local_headroom_sockets:best": (
        "tcptop_node_local_headroom_sockets or tcptop_node_local_headroom_high_sockets"
    ),
    "tcptop:state_sockets:least": "tcptop_state_sockets or tcptop_state_low_sockets",
    "tcptop:state_buffers_charged_bytes:least": (
        "tcptop_state_buffers_charged_bytes or tcptop_state_buffers_charged_low_bytes"
    ),
    "tcptop:limit_ratio:least": "tcptop_limit_ratio or tcptop_limit_low_ratio",
    "tcptop:headroom_sockets:least": "tcptop_headroom_sockets or tcptop_headroom_low_sockets",
    "tcptop:headroom_before_reclaim_sockets:best": (
        "tcptop_headroom_before_reclaim_sockets or tcptop_headroom_before_reclaim_low_sockets"
        " or tcptop_headroom_before_reclaim_high_sockets"
    ),
}
"""Recording rules: each rule gives a figure, or the figure's lower bound if the figure is known within bounds.

The average, and the headroom of a node or before reclaim, may have an upper bound alone.
"""

LIMIT_ALERTS: Mapping[str, tuple[str, int, int]] = {
    "memory": ("MemoryNearLimit", 5, 5),
    "tcp_mem": ("TcpBuffersNearLimit", 5, 1),
    "nf_conntrack_max": ("ConntrackNearLimit", 5, 5),
    "file_max": ("OpenFilesNearLimit", 5, 5),
    "tcp_max_orphans": ("TcpOrphansMany", 5, 5),
    TIME_WAIT_LIMIT: ("TcpTimeWaitTableNearlyFull", 5, 5),
    "memory_cgroup": ("MemoryCgroupNearLimit", 5, 5),
}
"""Name of the alert of each limit, and how many minutes a warning and a critical alert wait."""

NOT_EXPORTED = frozenset({"nofile"})
"""Limits with a threshold whose use the exporter does not have."""

CRITICAL_NAMES: Mapping[str, str] = {"TcpBuffersNearLimit": "TcpMemoryExhausted"}
"""Names of critical alerts that differ from the name of the warning."""


def limit_alerts() -> Iterator[Alert]:
    """A warning and a critical alert for each limit, with the thresholds of the screen and of `tcptop check`.

    The limit of mini-sockets stops no new socket, so it has a warning alone.
    """
    for limit, (name, *minutes) in LIMIT_ALERTS.items():
        levels = zip(("warning", "critical"), THRESHOLDS[limit], minutes, strict=True)
        for severity, percent, wait in levels:
            if limit == TIME_WAIT_LIMIT and severity == "critical":
                continue
            ratio = percent / 100
            labels = {"limit": limit, "concerns": "every_socket", "scope": "machine"}
            exact, low = (f"tcptop_limit_{form}ratio{_labels(labels)}" for form in ("", "low_"))
            yield Alert(
                CRITICAL_NAMES.get(name, name) if severity == "critical" else name,
                severity,
                f'tcptop:limit_ratio:least{{limit="{limit}"}} >= {ratio:g}',
                wait,
                f"{{{{ $labels.instance }}}}: {percent:g} % of {limit} is in use",
                f"At the limit: {LIMIT_BY_NAME[limit].then}."
                " Where the use is known within bounds, this is the lower bound.",
                fires={low if limit == "tcp_mem" else exact: f"{ratio:g}x60"},
                quiet={exact: f"{ratio - 0.01:g}x60"},
                labels=labels,
            )


def event_alerts() -> Iterator[Alert]:
    """An alert for each limit that has an event; the counter of the event grows when the limit is reached."""
    names = {"listen_queues": "TcpListenOverflows", TIME_WAIT_LIMIT: "TcpTimeWaitSkipped"}
    for limit, event in [(each, each.event) for each in LIMITS if each.event is not None]:
        labels = {"event": event.name, "limit": limit.name}
        series = f"tcptop_netns_events_total{_labels(labels)}"
        yield Alert(
            names[limit.name],
            "critical" if event.state == "full" and limit.name != TIME_WAIT_LIMIT else "warning",
            f'increase(tcptop_netns_events_total{{event="{event.name}"}}[5m]) > 0',
            0,
            f"{{{{ $labels.instance }}}}: {event.name} grows",
            f"{limit.name} was reached: {limit.then}.",
            fires={series: "0+3x60"},
            quiet={series: "7x60"},
            labels=labels,
        )


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{value}"' for name, value in {**TARGET, **labels}.items())
    return f"{{{pairs}}}"


HERE = _labels({})
ALLOCATED = f"tcptop_sockets_allocated{HERE}"
ACTIVE = f"tcptop_cache_active_objects{_labels({'cache': 'TCP'})}"
COST = f"tcptop_connection_slab_low_bytes{_labels({'accounting': 'full', 'family': 'ipv4', 'side': 'accepted'})}"
AVAILABLE = f"tcptop_memory_available_bytes{HERE}"
IDLE = f"tcptop_slab_idle_bytes{HERE}"
CACHE = f"tcptop_cache_bytes{_labels({'cache': 'TCP'})}"

ALERTS: tuple[Alert, ...] = (
    Alert(
        "TcptopSourceDown",
        "warning",
        "tcptop_source_up == 0",
        10,
        "{{ $labels.instance }}: tcptop cannot read {{ $labels.source }}",
        "The figures that need it are absent. tcptop -o there has the reason; without root, slabinfo is refused.",
        fires={f"tcptop_source_up{_labels({'source': 'slabinfo'})}": "0x60"},
        quiet={f"tcptop_source_up{_labels({'source': 'slabinfo'})}": "1 0x8 1x50"},
        labels={"source": "slabinfo"},
        after_minutes=11,
    ),
    Alert(
        "TcptopStale",
        "warning",
        "time() - tcptop_last_look_timestamp_seconds > 300",
        5,
        "{{ $labels.instance }}: the figures of tcptop are more than five minutes old",
        "The file for node_exporter is no longer written.",
        fires={f"tcptop_last_look_timestamp_seconds{HERE}": "0x60"},
        quiet={f"tcptop_last_look_timestamp_seconds{HERE}": "0+60x60"},
        after_minutes=15,
    ),
    *limit_alerts(),
    Alert(
        "TcpMemoryPressure",
        "warning",
        "tcptop_tcp_memory_pressure == 1",
        5,
        "{{ $labels.instance }}: TCP is under memory pressure",
        "The buffers of all sockets are above the second value of tcp_mem: windows shrink.",
        fires={f"tcptop_tcp_memory_pressure{HERE}": "1x60"},
        quiet={f"tcptop_tcp_memory_pressure{HERE}": "0x60"},
    ),
    *event_alerts(),
    Alert(
        "TcpHeadroomShrinking",
        "warning",
        "(predict_linear(tcptop_sockets_allocated[1h], 4 * 3600) - tcptop_sockets_allocated)\n"
        '  * max without (accounting, family, side) (tcptop:connection_slab_bytes:best{accounting="full"})\n'
        "  > tcptop_memory_available_bytes",
        15,
        "{{ $labels.instance }}: in four hours, sockets will have taken the memory that is available now",
        "At the growth of the last hour. Page cache is in what is available.",
        fires={ALLOCATED: "0+10000x120", COST: "4000x120", AVAILABLE: "4000000000x120"},
        quiet={ALLOCATED: "100000+10x120", COST: "4000x120", AVAILABLE: "4000000000x120"},
        after_minutes=80,
    ),
    Alert(
        "TcpSlabIdle",
        "info",
        "tcptop_slab_idle_bytes / sum without (cache) (tcptop_cache_bytes) > 0.5\n"
        "  and tcptop_slab_idle_bytes > 256 * 1024 * 1024",
        60,
        "{{ $labels.instance }}: more than half of TCP's caches is idle",
        "The kernel keeps slabs of sockets that have gone. Free objects on per-CPU lists come on top.",
        fires={IDLE: "600000000x180", CACHE: "1000000000x180"},
        quiet={IDLE: "600000x180", CACHE: "1000000x180"},
        after_minutes=65,
    ),
    Alert(
        "TcpSocketsLeaking",
        "warning",
        'sum without (cache) (tcptop_cache_active_objects{cache=~"TCP|TCPv6"}) - tcptop_sockets_allocated > 10000\n'
        "  and deriv(tcptop_sockets_allocated[1h]) <= 0\n"
        '  and sum without (cache) (deriv(tcptop_cache_active_objects{cache=~"TCP|TCPv6"}[1h])) > 0',
        30,
        "{{ $labels.instance }}: the caches of sockets grow, and the sockets do not",
        "More than 10 000 objects are no counted socket: the kernel keeps sockets that are closed.",
        fires={ALLOCATED: "1000x180", ACTIVE: "20000+100x180"},
        quiet={ALLOCATED: "1000+100x180", ACTIVE: "20000+100x180"},
        after_minutes=100,
    ),
    Alert(
        "NoBlocksForTcpSlabs",
        "warning",
        "tcptop_node_tcp_slabs_free_max == 0",
        5,
        "{{ $labels.instance }}: no free block on node {{ $labels.node }} is large enough for a slab of sockets",
        "The kernel compacts memory, or falls back to smaller slabs, which waste more.",
        fires={f"tcptop_node_tcp_slabs_free_max{_labels({'node': '1'})}": "0x60"},
        quiet={f"tcptop_node_tcp_slabs_free_max{_labels({'node': '1'})}": "12x60"},
        labels={"node": "1"},
    ),
)  # fmt: skip


def rules() -> Json:
    """The document of rules.yml."""
    recorded = [{"record": name, "expr": expr} for name, expr in RECORDED.items()]
    alerts = [
        {
            "alert": alert.name,
            "expr": alert.expr,
            **({"for": f"{alert.minutes}m"} if alert.minutes else {}),
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": alert.description},
        }
        for alert in ALERTS
    ]
    return {"groups": [{"name": "tcptop-recorded", "rules": recorded}, {"name": "tcptop", "rules": alerts}]}


def rule_tests() -> Json:
    """The document of rules_test.yml: each alert fires in one test and stays quiet in another."""
    tests: list[Json] = []
    for alert in ALERTS:
        labels = {**TARGET, **alert.labels, "severity": alert.severity}
        fired = {
            "exp_labels": labels,
            "exp_annotations": {
                "summary": _expand(alert.summary, labels),
                "description": _expand(alert.description, labels),
            },
        }
        for word, series, expected in (("fires", alert.fires, [fired]), ("is quiet", alert.quiet, [])):
            of = f" ({alert.labels['limit']})" if "limit" in alert.labels else ""
            tests.append(
                {
                    "name": f"{alert.name} {alert.severity}{of} {word}",
                    "interval": "1m",
                    "input_series": [{"series": name, "values": values} for name, values in series.items()],
                    "alert_rule_test": [
                        {
                            "eval_time": f"{alert.after_minutes}m",
                            "alertname": alert.name,
                            # For each name, promtool compares all alerts, whatever their severity.
                            "exp_alerts": [*expected, *_others(alert)],
                        }
                    ],
                }
            )
    for record, expr in RECORDED.items():
        exact, *bounds = expr.split(" or ")
        tests.append(
            {
                "name": f"{record} goes on where only bounds are known",
                "interval": "1m",
                "input_series": [
                    {"series": f"{exact}{HERE}", "values": "7x4 stale"},
                    {"series": f"{bounds[-1]}{HERE}", "values": "_x4 5x5"},
                ],
                "promql_expr_test": [
                    {
                        "expr": record,
                        "eval_time": f"{minutes}m",
                        "exp_samples": [{"labels": f"{record}{HERE}", "value": value}],
                    }
                    for minutes, value in ((4, 7), (5, 5), (9, 5))
                ],
            }
        )
    return {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}


def _others(alert: Alert) -> list[Json]:
    """The warning with the name of a critical alert; the warning also fires in the case of the critical alert."""
    warnings = [each for each in ALERTS if each.name == alert.name and each.severity == "warning"]
    if alert.severity != "critical" or not warnings:
        return []
    [warning] = warnings
    labels = {**TARGET, **alert.labels, "severity": "warning"}
    annotations = {name: _expand(getattr(warning, name), labels) for name in ("summary", "description")}
    return [{"exp_labels": labels, "exp_annotations": annotations}]


def _expand(text: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels[match[1]], text)


# The dashboard.

ONE = '{job=~"$job",instance=~"$instance"}'
NODE = '{job=~"$job",instance=~"$instance",node=~"$node"}'
FULL = '{job=~"$job",instance=~"$instance",accounting="full"}'
HOST_LINK = "?var-instance=${__value.text}&${job:queryparam}&${datasource:queryparam}"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


class Panel(NamedTuple):
    """A panel; a target is an expression and its legend."""

    title: str
    unit: str
    targets: Sequence[tuple[str, str]]
    description: str = ""
    type: str = "timeseries"
    width: int = 8
    may_be_empty: bool = False


FLEET_COLUMNS: Sequence[tuple[str, str]] = (
    (
        f"bottomk(50, min by (instance) (tcptop_headroom_sockets{FULL} or tcptop_headroom_low_sockets{FULL}))",
        "fits more",
    ),
    (f"sum by (instance) (tcptop_sockets_allocated{ONE})", "sockets"),
    (f"sum by (instance) (tcptop_tcp_memory_bytes{ONE} or tcptop_tcp_memory_low_bytes{ONE})", "TCP memory"),
    (f"max by (instance) (tcptop_limit_ratio{ONE} or tcptop_limit_low_ratio{ONE})", "nearest limit"),
)

ROWS: Mapping[str, Sequence[Panel]] = {
    "Fleet": [
        Panel(
            "Hosts",
            "short",
            FLEET_COLUMNS,
            "How many more sockets fit, sockets, kernel memory of TCP, and the largest share of a limit in use.",
            "table",
            24,
        ),
    ],
    "Utilization": [
        Panel(
            "Headroom by limit",
            "short",
            [
                (
                    f"tcptop_headroom_sockets{FULL} or tcptop_headroom_low_sockets{FULL}",
                    "{{instance}} {{limit}}",
                )
            ],
            "How many more sockets fit below each limit.",
        ),
        Panel(
            "Limits in use",
            "percentunit",
            [(f"tcptop_limit_ratio{ONE} or tcptop_limit_low_ratio{ONE}", "{{instance}} {{limit}}")],
            "Where the use is known within bounds, the lower bound.",
        ),
        Panel(
            "Sockets",
            "short",
            [
                (f"tcptop_sockets_allocated{ONE}", "{{instance}} allocated"),
                (f"tcptop_sockets_orphaned{ONE}", "{{instance}} orphaned"),
                (f"tcptop_sockets_time_wait_max{ONE}", "{{instance}} TIME_WAIT, at most"),
            ],
            "Of the machine, in all network namespaces.",
        ),
        Panel(
            "Kernel memory of TCP",
            "bytes",
            [
                (f"tcptop_tcp_memory_bytes{ONE} or tcptop_tcp_memory_low_bytes{ONE}", "{{instance}} at least"),
                (f"tcptop_tcp_memory_high_bytes{ONE}", "{{instance}} at most"),
            ],
        ),
        Panel(
            "One more socket",
            "bytes",
            [
                (
                    f"tcptop_connection_slab_bytes{ONE} or tcptop_connection_slab_low_bytes{ONE}",
                    "{{instance}} {{accounting}} {{family}} {{side}}",
                )
            ],
            "Slab bytes that the next socket takes.",
        ),
        Panel(
            "Average per socket",
            "bytes",
            [
                (
                    f"tcptop_connection_now_bytes{ONE} or tcptop_connection_now_low_bytes{ONE}"
                    f" or tcptop_connection_now_high_bytes{ONE}",
                    "{{instance}} {{accounting}}",
                )
            ],
            "Absent with fewer than 100 sockets a CPU. Where one bound alone is known, this bound.",
            may_be_empty=True,
        ),
    ],
    "Saturation": [
        Panel(
            "Buffers and tcp_mem",
            "bytes",
            [
                (f"tcptop_buffers_charged_bytes{ONE}", "{{instance}} charged"),
                (f"tcptop_tcp_mem_min_bytes{ONE}", "{{instance}} tcp_mem 1"),
                (f"tcptop_tcp_mem_pressure_bytes{ONE}", "{{instance}} tcp_mem 2"),
                (f"tcptop_tcp_mem_max_bytes{ONE}", "{{instance}} tcp_mem 3"),
            ],
        ),
        Panel(
            "Caches",
            "bytes",
            [
                (f"tcptop_cache_bytes{ONE}", "{{instance}} {{cache}}"),
                (f"tcptop_slab_idle_bytes{ONE}", "{{instance}} idle"),
            ],
        ),
        Panel(
            "Slabs of sockets that fit, at most",
            "short",
            [(f"tcptop_node_tcp_slabs_free_max{NODE}", "{{instance}} {{node}}")],
        ),
        Panel(
            "Free blocks by order",
            "short",
            [(f"sum by (order) (tcptop_node_free_blocks{NODE})", "{{order}}")],
            "Each order is a row.",
            "heatmap",
            12,
        ),
        Panel(
            "Events",
            "short",
            [
                (
                    f"sum by (instance, event) (rate(tcptop_netns_events_total{ONE}[$__rate_interval])) > 0",
                    "{{instance}} {{event}}",
                )
            ],
            "Drops, overflows and resets in a second, in the network namespace of the exporter.",
            width=12,
            may_be_empty=True,
        ),
    ],
    "Errors": [
        Panel(
            "Sources that cannot be read",
            "short",
            [(f"tcptop_source_up{ONE} == 0", "{{instance}} {{source}}")],
            may_be_empty=True,
        ),
        Panel(
            "CPU time of tcptop's reads",
            "percentunit",
            [(f"rate(tcptop_read_cpu_seconds_total{ONE}[$__rate_interval])", "{{instance}}")],
            "Of one CPU.",
        ),
        Panel(
            "Age of the figures",
            "s",
            [(f"time() - tcptop_last_look_timestamp_seconds{ONE}", "{{instance}}")],
        ),
    ],
}  # fmt: skip


def dashboard() -> Json:
    """The document of dashboard.json."""
    panels: list[Json] = []
    numbers, y = count(1), 0
    for title, row in ROWS.items():
        panels.append(
            {"id": next(numbers), "type": "row", "title": title, "collapsed": False, "panels": [],
             "gridPos": {"h": 1, "w": 24, "x": 0, "y": y}}
        )  # fmt: skip
        y, x = y + 1, 0
        for panel in row:
            if x + panel.width > 24:
                x, y = 0, y + 8
            panels.append(_panel(panel, next(numbers), x, y))
            x += panel.width
        y += 8
    return {
        "title": "tcptop: kernel memory of TCP",
        "description": WRITTEN_BY,
        "tags": ["tcptop", "tcp", "linux"],
        "editable": True,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "1m",
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": list(_variables())},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def _variables() -> Iterator[Json]:
    yield {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "hide": 0,
    }
    for name, query in (
        ("job", "label_values(tcptop_build_info, job)"),
        ("instance", 'label_values(tcptop_build_info{job=~"$job"}, instance)'),
        ("node", f"label_values(tcptop_node_free_bytes{ONE}, node)"),
    ):
        yield {
            "name": name,
            "label": name,
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": query, "refId": name},
            "refresh": 2,
            "sort": 3,
            "multi": True,
            "includeAll": True,
            "allValue": ".+",
            "current": {"text": "All", "value": "$__all"},
            "hide": 0,
        }


def _panel(panel: Panel, number: int, x: int, y: int) -> Json:
    is_table = panel.type == "table"
    found: Json = {
        "id": number,
        "type": panel.type,
        "title": panel.title,
        "datasource": DATASOURCE,
        "gridPos": {"h": 8, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": expr,
                "legendFormat": legend,
                **({"format": "table", "instant": True} if is_table else {}),
            }
            for index, (expr, legend) in enumerate(panel.targets)
        ],
    }
    description = f"{panel.description} May be empty.".strip() if panel.may_be_empty else panel.description
    if description:
        found["description"] = description
    if panel.type == "heatmap":
        # Each series is a row; without this setting, Grafana would sort the values into buckets.
        found["options"] = {"calculate": False, "yAxis": {"axisLabel": "order"}, "rowsFrame": {"layout": "auto"}}
    if is_table:
        names = {f"Value #{chr(ord('A') + index)}": legend for index, (_, legend) in enumerate(panel.targets)}
        found["transformations"] = [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"renameByName": names, "excludeByName": {"Time": True}}},
        ]
        units = {"TCP memory": "bytes", "nearest limit": "percentunit"}
        found["fieldConfig"]["overrides"] = [
            {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
            for name, unit in units.items()
        ] + [
            {
                "matcher": {"id": "byName", "options": "instance"},
                "properties": [
                    {
                        "id": "links",
                        "value": [
                            {"title": "this host", "url": HOST_LINK}
                        ],
                    }
                ],
            }
        ]  # fmt: skip
    return found


METRICS_HEAD = f"""\
# Metrics

{WRITTEN_BY}.

What is unknown has no series: never 0, and never NaN. A name with `[low_|high_]` is that of three metrics: without the
brackets where the figure is known exactly; with `low_` and `high_` where it is known within bounds, and then there is
no series of the name without them. `a or a_low` is what a rule or a panel needs; rules.yml records it for each.

Names that begin with `tcptop_netns_` count the network namespace of the exporter, and `tcptop_limit` what its label
`scope` says; all others count the machine. The two must not be divided by one another.

Values of labels: `accounting` full (open sockets), time_wait; `family` ipv4, ipv6; `side` accepted, outgoing; `part`
own, share, rest, unexplained, whose sum is `Slab` of /proc/meminfo; `concerns` every_socket, outgoing, time_wait,
orphans, tracked_flows; `scope` machine, netns, cgroup. Those of `limit` are the names that `tcptop check --help`
lists.

`process_*`, with which every exporter tells of itself, is there over HTTP only.

| metric | labels | what it is |
|---|---|---|
"""


def metrics_page() -> str:
    """The text of metrics.md."""
    rows = []
    for metric in (*METRICS, *OWNER_METRICS):
        is_bounded = isinstance(metric, BoundedMetric)
        name = metric.name.format("[low_|high_]").replace("|", "\\|") if is_bounded else metric.name
        labels = ", ".join(metric.labels)
        rows.append(f"| `{name}` | {labels} | {metric.help.removesuffix('.')} |\n")
    return METRICS_HEAD + "".join(rows)


def files() -> dict[str, str]:
    """The text of each file, by name."""
    head = f"# {WRITTEN_BY}, with the thresholds of tcptop/accounting/limits.py: change those, and write it again.\n"
    return {
        "rules.yml": head + _yaml(rules()),
        "rules_test.yml": f"# {WRITTEN_BY}. promtool test rules rules_test.yml\n" + _yaml(rule_tests()),
        "metrics.md": metrics_page(),
        "dashboard.json": json.dumps(dashboard(), indent=1) + "\n",
    }


def _yaml(document: Json) -> str:
    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (as the base class)
            return True

    def represent(dumper: Dumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Dumper.add_representer(str, represent)
    return str(yaml.dump(document, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True))


if __name__ == "__main__":
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
