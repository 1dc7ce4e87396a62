"""docs/fleet: rules and dashboard are the script's output, the thresholds are tcptop's, and Prometheus accepts the
files.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from exporters import GUARD_S, PROJECT
from test_exporter_command import needs_promtool

from tcptop.kernel.limits import LIMITS, THRESHOLDS
from tcptop.report.as_metrics import METRICS, OWNER_METRICS, BoundedMetric

FLEET = PROJECT / "docs" / "fleet"
RULES: dict[str, Any] = yaml.safe_load((FLEET / "rules.yml").read_text())
ALERTS: list[dict[str, Any]] = RULES["groups"][1]["rules"]
DASHBOARD: dict[str, Any] = json.loads((FLEET / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
UNITS = {"short", "bytes", "percentunit", "s"}


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_fleet_files", PROJECT / "scripts" / "make_fleet_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def metric_names() -> set[str]:
    """Every name that the exporter may use, and those of the recording rules."""
    names = {rule["record"] for rule in RULES["groups"][0]["rules"]}
    for row in (*METRICS, *OWNER_METRICS):
        forms = ("", "low_", "high_") if isinstance(row, BoundedMetric) else ("",)
        names |= {row.name.format(form) for form in forms}
    return names


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for group in RULES["groups"] for rule in group["rules"])
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])


def test_the_files_are_those_of_the_script() -> None:
    for name, text in script().files().items():
        assert (FLEET / name).read_text() == text, f"run python -m scripts.make_fleet_files: {name}"


def test_the_thresholds_of_the_rules_are_those_of_the_screen() -> None:
    found: dict[str, dict[str, float]] = {}
    for alert in ALERTS:
        match = re.fullmatch(r'tcptop:limit_ratio:least\{limit="(\w+)"\} >= ([0-9.]+)', alert["expr"])
        if match is not None:
            found.setdefault(match[1], {})[alert["labels"]["severity"]] = float(match[2]) * 100
    expected = {
        name: {"warning": each.warn, "critical": each.critical}
        for name, each in THRESHOLDS.items()
        if name not in script().NOT_EXPORTED
    }
    del expected["tcp_max_tw_buckets"]["critical"]  # it stops no new socket
    assert found == expected
    events = {match[1] for alert in ALERTS for match in re.finditer(r'increase\(.*event="(\w+)"', alert["expr"])}
    assert events == {limit.event.name for limit in LIMITS if limit.event is not None}


def test_the_expressions_use_no_metric_that_there_is_not() -> None:
    known = metric_names()
    for expression in expressions():
        names = set(re.findall(r"\btcptop[a-z_:]+", expression))
        assert names, expression
        assert names <= known, expression


def test_each_figure_that_comes_and_goes_with_its_bounds_has_a_rule_and_panels_without_gaps() -> None:
    recorded = {rule["expr"] for rule in RULES["groups"][0]["rules"]}
    for row in METRICS:
        if isinstance(row, BoundedMetric):
            exact, low, high = (row.name.format(form) for form in ("", "low_", "high_"))
            assert any(each.startswith((f"{exact} or {low}", f"{exact} or {high}")) for each in recorded), exact
            of_exact = [each for each in expressions() if re.search(rf"\b{exact}\b", each)]
            assert all(re.search(rf"\b{exact}\S* or ({low}|{high})\b", each) for each in of_exact), exact


def test_each_alert_fires_in_one_test_and_is_quiet_in_another() -> None:
    tests = yaml.safe_load((FLEET / "rules_test.yml").read_text())["tests"]
    for alert in ALERTS:
        severity = alert["labels"]["severity"]
        of_alert = [test for test in tests if test["name"].startswith(f"{alert['alert']} {severity}")]
        expected = [
            [each["exp_labels"]["severity"] for each in test["alert_rule_test"][0]["exp_alerts"]] for test in of_alert
        ]
        assert [severity in severities for severities in expected] == [True, False], alert["alert"]


@pytest.mark.slow
@needs_promtool
def test_promtool_takes_the_rules_and_their_tests() -> None:
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "rules_test.yml"]):
        ran = subprocess.run(
            ["promtool", *command], cwd=FLEET, capture_output=True, text=True, timeout=GUARD_S, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_promtool_takes_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    filled = [
        re.sub(r"\$\w+", lambda match: {"$__rate_interval": "1m"}.get(match[0], ".+"), expression)
        for expression in expressions()
    ]
    rules = [{"record": f"x{number}", "expr": expression} for number, expression in enumerate(filled)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "x", "rules": rules}]}))
    ran = subprocess.run(
        ["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=GUARD_S, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_dashboard_has_its_variables_and_no_fixed_source() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance", "node"]
    assert variables["datasource"]["type"] == "datasource"
    assert "uid" not in DASHBOARD
    assert "id" not in DASHBOARD
    text = json.dumps(DASHBOARD)
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {"${datasource}"}
    assert "null" not in text


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_has_a_unit_matchers_and_legends(panel: dict[str, Any]) -> None:
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert target["legendFormat"]
        selectors = re.findall(r"\btcptop_[a-z_]+(\{[^}]*\})?", target["expr"])
        assert selectors
        for selector in selectors:
            assert 'job=~"$job"' in selector, target["expr"]
            assert 'instance=~"$instance"' in selector, target["expr"]
        for function in re.findall(r"\b(rate|increase)\(", target["expr"]):
            assert "$__rate_interval" in target["expr"], function


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        box = panel["gridPos"]
        cells = {(box["x"] + x, box["y"] + y) for x in range(box["w"]) for y in range(box["h"])}
        assert not cells & taken, panel["title"]
        assert box["x"] + box["w"] <= 24
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
