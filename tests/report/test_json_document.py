"""docs/json.md and the code have the same keys, paths, types, nulls, signs and enumerations."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import get_args, get_type_hints

import pytest
from json_cases import (
    checks,
    differences,
    host_looks,
    lab_comparisons,
    lab_differences,
    lab_results,
    plans,
    reports,
    special_ledgers,
    who_looks,
)
from json_document import DOCUMENT, LINK, Checker, document
from recorded import ledger

from tcptop.accounting.checks import CHECK_NAMES, LIMIT_NAMES, CheckState
from tcptop.accounting.holder_verdicts import VERDICT_KINDS
from tcptop.accounting.plan_needs import EXTENSIONS, KTLS
from tcptop.accounting.socket_cost import objects_held
from tcptop.comparison.difference import Bound, Unlike
from tcptop.comparison.slab_growth import MPTCP, NOTES, SEGMENTS
from tcptop.explanation.holder_rows import GROUPINGS
from tcptop.kernel.events import EVENTS, EventUnit
from tcptop.kernel.objects import CGROUP_VECTORS, EPOLL_OBJECTS, NF_CONN, OBJECT_OF_CACHE, State
from tcptop.lab.result_file import STATE_PATHS
from tcptop.ledger import CountScope, Limit, LimitState
from tcptop.ledger.holders import HolderKind
from tcptop.ledger.plan import PLANNED_BUFFERS, LimitVerdict, Side, Verdict
from tcptop.report.as_json import as_object
from tcptop.snapshot import READING_NAMES, ProcessorStatus, ReadState
from tcptop.snapshot.socket_table import Asked
from tcptop.sock_diag.dump import STATES

pytestmark = pytest.mark.xdist_group("json document")  # one process makes the dear fixture

NULL_IN_NO_CASE: Mapping[str, str] = {}
"""Rows that are documented as nullable but never null in `json_cases`, with the reason."""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    """A checker that has checked every case against the document."""
    checker = Checker(document())
    special = special_ledgers(tmp_path_factory.mktemp("machines"))
    for report in reports(special):
        checker.check("report", report)
    for difference in differences(special):
        checker.check("difference", difference)
    for result in lab_results():
        checker.check("lab-result", result)
    for plan in plans(tmp_path_factory.mktemp("plans")):
        checker.check("plan", plan)
    for result in checks(special):
        checker.check("check-result", result)
    for looked in who_looks(special):
        checker.check("who", looked)
    for looked in host_looks():
        checker.check("host-look", looked)
    for difference in lab_differences():
        checker.check("lab-difference", difference)
    for comparison in lab_comparisons():
        checker.check("lab-difference", comparison)
    return checker


def test_the_json_is_as_documented(checked: Checker) -> None:
    assert checked.errors == {}


def test_every_documented_field_has_a_value_somewhere(checked: Checker) -> None:
    assert {row for row, _, _ in checked.document.rows()} - checked.known == set()


@pytest.mark.slow
def test_every_object_is_at_the_documented_paths(checked: Checker) -> None:
    documented = {anchor: set(table.paths) for anchor, table in checked.document.tables.items()}
    assert {anchor: checked.paths[anchor] for anchor in documented} == documented


def test_a_field_that_may_be_null_is_null_somewhere(checked: Checker) -> None:
    never_null_in_cases = {row for row, _, never_null in checked.document.rows() if not never_null} - checked.null
    assert never_null_in_cases == NULL_IN_NO_CASE.keys()


def test_a_signed_field_is_below_0_somewhere(checked: Checker) -> None:
    assert {row for row, kind, _ in checked.document.rows() if kind.signed} - checked.negative == set()


IN_THE_CODE: Mapping[str, set[str]] = {
    "source": set(READING_NAMES) - {"machine_load"},
    "source state": set(get_args(ReadState)),
    "state": {state.value for state in State},
    "processor status": set(get_args(ProcessorStatus)),
    "count scope": set(get_args(CountScope)),
    "concern": set(get_args(get_type_hints(Limit)["concerns"])),
    "limit state": set(get_args(LimitState)),
    "limit unit": set(get_args(get_type_hints(Limit)["unit"])),
    "limit scope": set(get_args(get_type_hints(Limit)["scope"])),
    "event unit": set(get_args(EventUnit)),
    "part object": {
        CGROUP_VECTORS.struct,
        *(each.struct for each in objects_held(State.ESTABLISHED, owns_port=True)),
        *(each.struct for each in objects_held(State.TIME_WAIT, owns_port=True)),
    },
    "cache object": {each.struct for each in OBJECT_OF_CACHE.values()},
    "lab state": set(STATE_PATHS),
    "unlike": set(get_args(Unlike)),
    "plan side": set(get_args(Side)),
    "verdict": set(get_args(Verdict)),
    "limit verdict": set(get_args(LimitVerdict)),
    "check state": set(get_args(CheckState)),
    "check name": set(CHECK_NAMES),
    "limit": set(LIMIT_NAMES),
    "plan object": {
        *(each.struct for each in objects_held(State.ESTABLISHED, owns_port=True)),
        *(each.struct for each in objects_held(State.TIME_WAIT, owns_port=True)),
        *(each.struct for each in (CGROUP_VECTORS, NF_CONN, *EPOLL_OBJECTS)),
        *(EXTENSIONS, KTLS, PLANNED_BUFFERS),
    },
    "growth part": {*NOTES, SEGMENTS, MPTCP},
    "bound": {*get_args(Bound), "unknown"},
    "grouping": set(GROUPINGS),
    "holder kind": set(get_args(HolderKind)),
    "answer": set(get_args(Asked)),
    "socket state": set(STATES),
    "verdict kind": set(VERDICT_KINDS),
}
"""Values of the enumerations that the code defines. For any other enumeration, every value must occur in a case."""


def test_enumerations_have_the_documented_values(checked: Checker) -> None:
    occurring = {**checked.values, **{name: checked.keys[name] for name in ("source", "lab state")}}
    assert occurring.keys() == checked.document.enumerations.keys()
    for name, documented in checked.document.enumerations.items():
        found = {re.sub(r"node \d+$", "node N", value) for value in occurring[name]}
        assert found <= set(documented), name
        assert sorted(documented) == sorted(IN_THE_CODE.get(name, found)), name
    assert checked.document.enumerations["state"] == [
        state["state"] for state in as_object(ledger("6.1-4n", "base"))["states"]
    ]


def test_maps_have_the_documented_keys(checked: Checker) -> None:
    documented = checked.document.lists["map-keys"]
    assert checked.keys.keys() == documented.keys()
    assert all(key.isdigit() for key in checked.keys["node"])
    assert re.findall("`([^`]+)`", documented["event"]) == [event.name for event in EVENTS]
    assert checked.keys["event"] == {event.name for event in EVENTS}
    assert checked.keys["migrate type"] <= set(re.findall(r"\w+", documented["migrate type"]))


UNIT_OF_SUFFIX = {
    "sockets_per_s": "sockets per second",
    "time_wait_per_s": "sockets per second",
    "per_s": "`unit` per second",
    "_bytes": "bytes",
    "_pages": "pages",
    "_sockets": "sockets",
    "_share": "share",
    "_us": "µs",
    "_s": "s",
}


def test_units_follow_the_names_and_scopes_are_those_of_the_list() -> None:
    scopes = {*document().lists["tables"], "–"}
    for table in document().tables.values():
        for field in table.fields:
            where = f"{table.title}: {field.name}"
            assert field.scope.strip("`") in scopes, where
            unit = next((unit for suffix, unit in UNIT_OF_SUFFIX.items() if field.name.endswith(suffix)), None)
            if unit is not None and field.type.plain in ("integer", "number"):
                assert re.match(rf"{unit}\b", field.unit), where


def test_every_link_leads_to_a_heading() -> None:
    assert {anchor for _, anchor in LINK.findall(document().text)} <= document().anchors


@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq, of the package jq")
@pytest.mark.parametrize("command", document().examples)
def test_the_examples_run(command: str) -> None:
    report = json.dumps(as_object(ledger("6.1-4n", "established")))
    found = subprocess.run(["/bin/sh", "-c", command], input=report, capture_output=True, text=True, check=True)
    assert found.stdout
    assert "null" not in found.stdout


def test_the_readme_points_at_the_document() -> None:
    assert "](docs/json.md)" in (DOCUMENT.parents[1] / "README.md").read_text(encoding="utf-8")
