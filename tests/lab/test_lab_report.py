"""Reports of a lab: JSON, text, and the comparison of two results."""

from __future__ import annotations

import json

import pytest
from lab_results import BUCKETS, SOCK, STRANGE, TAKEN, result, state

from tcptop.lab.as_json import result_as_json
from tcptop.lab.as_text import DETAIL, SUMMARY, result_as_text
from tcptop.lab.compare import compare_as_json, compare_as_text
from tcptop.lab.experiment import affordable_connections, choose_less_disturbed
from tcptop.lab.result import LabPart, LabResult, StateResult
from tcptop.lab.runs import RUNS, STATES, select_runs

STATE_KEYS = {"sockets", "bytes", "catalogue_bytes", "parts"}


def test_the_json_has_the_keys_of_the_schema() -> None:
    found = json.loads(json.dumps(result_as_json(result())))
    assert {"schema", "kernel", "page_size", "took_s", "states"} <= found.keys()
    assert (found["taken_at"], found["build_id"]) == ("2026-11-22T16:30:03Z", "ab" * 20)
    assert (found["schema"], found["kernel"], found["page_size"], found["took_s"]) == (1, "6.18.0", 4096, 12.34)
    states = found["states"]
    assert states.keys() == {"established", "fin_wait2", "close_wait", "time_wait", "ktls"}
    assert states["ktls"].keys() == {"context", "tx", "pair"}
    assert states["established"].keys() == {"accepted", "outgoing", "pair"}
    assert states["time_wait"].keys() == {"accepted", "outgoing"}
    every = [*states["established"].values(), *states["time_wait"].values(), states["fin_wait2"], states["close_wait"]]
    for each in every:
        assert each.keys() >= STATE_KEYS
        assert each["bytes"] == pytest.approx(sum(part["bytes"] for part in each["parts"]))
        assert all({"row", "objects", "bytes", "r2", "names"} <= part.keys() for part in each["parts"])


def test_what_was_not_measured_is_null() -> None:
    only = LabResult("6.1", None, TAKEN, 4096, True, 1000, 1.0, {"time_wait/accepted": state(SOCK)})
    found = result_as_json(only)
    assert found["states"]["established"] == {"accepted": None, "outgoing": None, "pair": None}
    assert found["states"]["fin_wait2"] is None
    assert found["few_ports"] is None
    assert found["states"]["time_wait"]["accepted"]["bytes"] == 2520
    assert found["family"] == "ipv6"


def test_the_observer_is_reported_apart_from_the_bytes() -> None:
    found = result_as_json(result())
    assert found["observer"] == {"row": "proc_inode_cache", "objects": 0.9, "bytes": 850.0, "r2": 0.99}
    assert found["states"]["close_wait"]["bytes"] == 2520


def test_vectors_count_in_the_bytes_only_if_they_are_predicted() -> None:
    assert (state(SOCK).bytes, state(SOCK).with_vectors_bytes) == (2520, 2558)
    assert state(SOCK, vectors_counted=True).bytes == 2558


def test_buckets_are_reported_per_port() -> None:
    few = result_as_json(result())["few_ports"]
    assert (few["local_ports"], few["buckets_per_port"], few["buckets_per_connection"]) == (1000, 2.0, 0.25)
    assert "2.00 bucket objects per port, 0.250 per connection" in result_as_text(result())


def test_an_unexplained_row_is_named() -> None:
    strange = state(SOCK, STRANGE)
    assert (strange.unexplained, strange.unexplained_bytes) == ((STRANGE,), 64.0)
    assert strange.difference == pytest.approx(64 / 2520)
    assert strange.disturbance == 0.0  # one for each socket, as the blob of a security module
    assert state(SOCK, STRANGE._replace(objects=0.7)).disturbance == pytest.approx(64 / 2558)
    text = result_as_text(result("6.18.0", SOCK, STRANGE))
    assert "Unexplained: TIME_WAIT accepted: 64 bytes in kmalloc-64" in text


def test_an_unexplained_row_counts_only_if_both_takes_have_it() -> None:
    noise = LabPart("buffer_head", ("buffer_head",), 0.1, 13.0, 0.99, None, None)
    assert choose_less_disturbed(state(SOCK, STRANGE, noise), state(SOCK, STRANGE)).unexplained == (STRANGE,)
    assert choose_less_disturbed(state(SOCK), state(SOCK, noise)).unexplained == ()


def test_sockets_of_other_programs_are_reported() -> None:
    crowded = state(SOCK, other_sockets=400)
    assert crowded.disturbance == 0.05
    text = result_as_text(LabResult("6.1", None, TAKEN, 4096, False, 8000, 1.0, {"time_wait/accepted": crowded}))
    assert "Disturbed: TIME_WAIT accepted: 400 sockets of other programs came or went" in text


def test_uncertain_rows_are_reported() -> None:
    uncertain = state(SOCK, uncertain_bytes=255.8)
    assert uncertain.disturbance == pytest.approx(0.1)
    text = result_as_text(LabResult("6.1", None, TAKEN, 4096, False, 8000, 1.0, {"close_wait": uncertain}))
    assert "Disturbed: CLOSE_WAIT accepted: other programs moved the machine's slabs by 10.0 % of it" in text


def test_a_predicted_part_that_did_not_grow_is_reported() -> None:
    gone = LabPart("dentry", ("dentry",), 0.0, 0.0, 0.0, 1.0, 195.0)
    assert state(SOCK, gone).disturbance == 1.0
    assert "Disturbed: CLOSE_WAIT accepted: dentry did not follow" in result_as_text(result("6.18.0", SOCK, gone))


def test_a_prediction_with_a_missing_part_is_a_lower_bound() -> None:
    larger = LabPart("TCP", ("TCP",), 1.1, 2772.0, 1.0, 1.0, 2520.0)
    lacking = LabResult("6.1", None, TAKEN, 4096, False, 1000, 1.0, {"close_wait": state(larger, missing=("blob",))})
    text = result_as_text(lacking)
    assert ">= 2520.0  <= +10.00 %" in text
    assert "without what is not known here: blob. DIFFERENCE <=: with that, it would be less." in text
    found = result_as_json(lacking)["states"]["close_wait"]
    assert (found["complete"], found["missing"], found["difference"]) == (False, ["blob"], 0.1)


def test_a_complete_prediction_is_shown_without_bounds() -> None:
    text = result_as_text(result())
    assert ">=" not in text
    assert "<=" not in text


def test_the_report_names_the_saved_file() -> None:
    assert "Saved" not in result_as_text(result())
    text = result_as_text(result(), saved_as="my lab.json")
    assert text.splitlines()[-1].startswith("Saved: tcptop --lab 'my lab.json' uses it")


@pytest.mark.parametrize(
    "results", [{"close_wait": state(SOCK)}, {"established/accepted": state(SOCK, other_sockets=400)}]
)
def test_the_report_does_not_offer_a_result_that_is_not_used(results: dict[str, StateResult]) -> None:
    found = LabResult("6.1", None, TAKEN, 4096, False, 8000, 1.0, results)
    last = result_as_text(found, saved_as="lab.json").splitlines()[-1]
    assert last == "Saved: tcptop lab --compare lab.json sets this kernel beside another; tcptop --lab does not use it."


def test_a_note_says_whether_vectors_are_in_the_sums() -> None:
    assert "; beside MEASURED and CATALOGUE." in result_as_text(result())
    counted = {"close_wait": state(SOCK, vectors_counted=True)}
    text = result_as_text(LabResult("6.1", None, TAKEN, 4096, False, 1000, 1.0, counted))
    assert "; in MEASURED and in CATALOGUE too." in text


def test_the_text_is_ascii_and_its_lines_are_short() -> None:
    text = result_as_text(result())
    assert text.isascii()
    assert text.endswith("\n")
    assert max(map(len, text.splitlines())) < 200


WORST = (
    SOCK,
    BUCKETS,
    LabPart("skbuff_fclone_cache_of_a_kernel", ("a" * 30, "b" * 30, "c" * 30), 12.3456, 12345.6, 1.0, 0.142857, 12.3),
    STRANGE,
)


@pytest.mark.parametrize("columns", [132, 100, 80, 60, 40])
def test_no_line_is_longer_than_a_terminal_is_wide(columns: int) -> None:
    text = result_as_text(result("6.18.0-with-a-long-name.x86_64", *WORST), columns, "/tmp/file")
    assert max(map(len, text.splitlines())) <= columns
    found = result_as_json(result())
    assert max(map(len, compare_as_text(found, found, columns).splitlines())) <= columns


def test_80_columns_show_every_column() -> None:
    text = result_as_text(result("6.18.0", SOCK, BUCKETS, STRANGE), 80)
    heads = [line.split("  ") for line in text.splitlines() if line.startswith("  STATE")]
    assert {title.strip() for head in heads for title in head if title} == {heading.title for heading in SUMMARY}
    assert {heading.title for heading in DETAIL[:-1] if heading.title not in text} == set()
    lines = text.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("  eventpoll_epi"))
    assert lines[at + 1] == "    of tcp_bind_bucket, tcp_bind2_bucket"
    assert lines.count("CLOSE_WAIT accepted") == 1


def test_a_pipe_gets_the_widest_form() -> None:
    text = result_as_text(result())
    assert text == result_as_text(result(), 500)
    [head] = [line for line in text.splitlines() if line.startswith("  STATE") and "MEASURED" in line]
    assert head.split() == " ".join(heading.title for heading in SUMMARY).split()


def test_a_narrow_comparison_has_a_second_table_for_the_million() -> None:
    found = result_as_json(result())
    lines = compare_as_text(found, found, 80).splitlines()
    assert [line.split()[1] for line in lines if line.startswith("  STATE")] == ["A", "A"]
    assert sum(line.startswith("  TIME_WAIT accepted") for line in lines) == 2


def test_two_kernels_are_compared() -> None:
    larger = LabPart("TCP", ("TCP",), 1.0, 2772.0, 1.0, 1.0, 2772.0)
    first, second = result_as_json(result("6.1.0")), result_as_json(result("7.3.0", larger))
    found = compare_as_json(first, second)
    assert found["kernels"] == ["6.1.0", "7.3.0"]
    assert found["states"]["time_wait/accepted"] == {
        "bytes": [2520.0, 2772.0],
        "difference": 0.1,
        "bytes_per_million": [2_520_000_000, 2_772_000_000],
        "disturbance": [0.0, 0.0],
        "doubt": [None, None],
    }
    text = compare_as_text(first, second)
    assert text.isascii()
    assert "6.1.0 (A) beside 7.3.0 (B)" in text
    [line] = [line for line in text.splitlines() if "TIME_WAIT accepted" in line]
    assert "2520.0  2772.0      +252.0  +10.00 %  2 403 MiB  2 644 MiB    +240 MiB" in line


def test_a_comparison_names_the_doubts_of_both_sides() -> None:
    miscounted = SOCK._replace(objects=0.9366, bytes=0.9366 * SOCK.bytes)
    first, second = result_as_json(result()), result_as_json(result("6.18.0", miscounted))
    doubt = "the socks counted differ from the sockets by 6.3 %"
    found = compare_as_json(first, second)["states"]
    assert (found["close_wait"]["disturbance"], found["close_wait"]["doubt"]) == ([0.0, 0.0634], [None, doubt])
    assert found["established/few_ports"]["doubt"] == [None, None]
    assert "Disturbed" not in compare_as_text(first, first)
    text = compare_as_text(first, second)
    assert f"\nDisturbed: B, CLOSE_WAIT accepted: {doubt}; measure again.\n" in text
    assert "Disturbed: A" not in text
    assert f"\nDisturbed: A, CLOSE_WAIT accepted: {doubt}; measure again.\n" in compare_as_text(second, first)
    assert max(map(len, compare_as_text(second, first, 60).splitlines())) <= 60


def test_a_disturbance_of_a_result_without_doubts_is_named() -> None:
    found = result_as_json(result())
    del found["states"]["close_wait"]["doubt"]
    found["states"]["close_wait"]["disturbance"] = 0.025
    assert compare_as_json(found, found)["states"]["close_wait"]["doubt"] == 2 * ["the figures may be wrong by 2.5 %"]


def test_a_state_that_only_one_result_has_has_no_difference() -> None:
    first = result_as_json(LabResult("6.1", None, TAKEN, 4096, False, 1000, 1.0, {"close_wait": state(SOCK)}))
    found = compare_as_json(first, result_as_json(result()))["states"]
    assert found["close_wait"]["bytes"] == [2520.0, 2520.0]
    assert (found["fin_wait2"]["bytes"], found["fin_wait2"]["difference"]) == ([None, 2520.0], None)


def test_states_select_their_runs() -> None:
    assert [run.key for run in select_runs(("time_wait",))] == ["time_wait/accepted", "time_wait/outgoing"]
    assert select_runs(STATES) == RUNS
    assert [run.key for run in select_runs(("ktls",))] == [
        *(f"established/{side}" for side in ("pair", "accepted", "outgoing", "few_ports")),
        *("ktls/context", "ktls/tx", "ktls/pair"),
    ]


@pytest.mark.parametrize(
    ("connections", "control_s", "expected"),
    [(8000, 1.0, 8000), (8000, 3.0, 5332), (8000, 60.0, 4000), (1000, 60.0, 1000)],
)
def test_a_slow_machine_gets_fewer_connections(connections: int, control_s: float, expected: int) -> None:
    assert affordable_connections(connections, control_s, 8) == expected
