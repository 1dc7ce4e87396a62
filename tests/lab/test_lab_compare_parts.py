"""Comparing two lab results row by row."""

from __future__ import annotations

import json
from typing import Any

from lab_results import BUCKETS, SOCK, STRANGE, result

from tcptop.lab.as_json import result_as_json
from tcptop.lab.compare import compare_parts_as_json, compare_parts_as_text
from tcptop.lab.result import LabPart

LARGER = LabPart("TCP", ("TCP",), 1.0, 2688.0, 1.0, 1.0, 2688.0)

Json = dict[str, Any]


def lab(kernel: str, *parts: LabPart) -> Json:
    found: Json = json.loads(json.dumps(result_as_json(result(kernel, *parts))))
    return found


def test_rows_are_compared_and_the_largest_change_is_first() -> None:
    found = compare_parts_as_json(lab("6.12", SOCK, STRANGE), lab("6.18", STRANGE, LARGER, BUCKETS))
    assert [(part["row"], part["bytes"], part["change_bytes"]) for part in found["close_wait"]] == [
        ("TCP", [2520.0, 2688.0], 168.0),
        ("eventpoll_epi", [0.0, 32.0], 32.0),
        ("kmalloc-64", [64.0, 64.0], 0.0),
    ]
    assert found["close_wait"][1]["objects"] == [0.0, 0.25]


def test_a_state_that_only_one_result_has_is_omitted() -> None:
    first, second = lab("6.12"), lab("6.18")
    first["states"]["fin_wait2"] = None
    assert "fin_wait2" not in compare_parts_as_json(first, second)
    assert "close_wait" in compare_parts_as_json(first, second)


def test_the_text_has_a_heading_for_each_state_and_counts_unchanged_rows() -> None:
    first, second = lab("6.12", SOCK, STRANGE), lab("6.18", LARGER, STRANGE)
    lines = compare_parts_as_text(first, second, 80).splitlines()
    at = lines.index("  TIME_WAIT accepted")
    assert lines[at + 1].split() == ["TCP", "1.00", "1.00", "2520.0", "2688.0", "+168.0"]
    # kmalloc-64 in ten states, and both rows of few_ports, whose parts are the same in every made-up result.
    assert lines[-1] == "  the same in both: 12 rows"
    assert max(map(len, lines)) <= 80


def test_a_hostile_result_is_escaped_and_its_malformed_parts_are_skipped() -> None:
    hostile = lab("6.18")
    parts = hostile["states"]["close_wait"]["parts"]
    parts += [7, {"row": 3}, {"row": "x\x1b[2J", "objects": 1, "bytes": 5}, {"row": "y", "objects": "1", "bytes": 2}]
    hostile["states"]["fin_wait2"]["parts"] = "TCP"
    found = compare_parts_as_json(lab("6.18"), hostile)
    assert [part["row"] for part in found["close_wait"]] == ["x\\x1b[2J", "TCP"]
    assert [part["bytes"] for part in found["fin_wait2"]] == [[2520.0, 0.0]]
    assert "\x1b" not in compare_parts_as_text(lab("6.18"), hostile, 80)
