"""A saved lab result, whole, of an older tcptop, foreign, damaged and hostile."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab_results import STRANGE, result

from tcptop.errors import TcptopError
from tcptop.lab.as_json import result_as_json
from tcptop.lab.compare_states import compare_as_json, compare_as_text
from tcptop.lab.result_file import STATE_PATHS, load_measurement, load_result_json
from tcptop.snapshot import MeasuredRow

Json = dict[str, Any]


def saved(folder: Path, found: object) -> str:
    """The path of a file with that in it: text as it is, anything else as JSON."""
    path = folder / "lab.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return str(path)


def whole() -> Json:
    """What a lab writes."""
    return result_as_json(result())


def changed(key: str, value: object) -> Json:
    """A whole result with one value of its top level changed."""
    return {**whole(), key: value}


def with_part(**values: object) -> Json:
    """A whole result with values of one part changed."""
    found = whole()
    found["states"]["close_wait"]["parts"][0].update(values)
    return found


def refused(path: str) -> str:
    """The one line that refuses a file."""
    with pytest.raises(TcptopError) as caught:
        load_measurement(path)
    line = str(caught.value)
    assert line.startswith(f"--lab {path}: ")
    assert line.isprintable()
    return line


def test_a_result_comes_back(tmp_path: Path) -> None:
    found = result_as_json(result("6.18.0"))
    found["states"]["close_wait"]["parts"].append(
        result_as_json(result("6.18.0", STRANGE))["states"]["close_wait"]["parts"][0]
    )
    path = saved(tmp_path, found)
    back = load_measurement(path)
    assert (back.path, back.kernel_release, back.build_id) == (path, "6.18.0", "ab" * 20)
    assert (back.page_size_bytes, back.ipv6) == (4096, False)
    assert back.states.keys() == STATE_PATHS.keys()
    assert back.states["close_wait/"].rows == (
        MeasuredRow("TCP", 1.0, 2520.0, 1.0),
        MeasuredRow("kmalloc-64", 1.0, 64.0, None),
    )
    assert back.states["close_wait/"].vector_bytes == 38.0
    assert [row.row for row in back.states["established/few_ports"].rows] == ["TCP", "eventpoll_epi"]


def test_one_from_before_there_were_build_ids_still_serves(tmp_path: Path) -> None:
    old = whole()
    del old["build_id"], old["taken_at"]
    old["states"]["fin_wait2"] = None
    old["states"]["close_wait"]["vectors"] = None
    path = saved(tmp_path, old)
    back = load_measurement(path)
    assert back.build_id is None
    assert "fin_wait2/" not in back.states
    assert back.states["close_wait/"].vector_bytes == 0.0
    assert (
        compare_as_json(load_result_json(path, "--compare"), load_result_json(path, "--compare"))["states"][
            "close_wait"
        ]["difference"]
        == 0.0
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"schema": 1, "states": ' + '{"a":' * 50_000, "not JSON"),
        ([1], "not the result of a lab"),
        ({"schema": 1}, "not the result of a lab"),
        ({"schema": 1, "states": [1]}, "not the result of a lab"),
        ({"schema": 2, "states": {}}, "its schema is 2"),
        ({"schema": "\x1b[2J" * 1000, "states": {}}, "its schema is"),
        ({"schema": 1, "states": {}}, "it holds no state"),
        ('{"schema": 1, "states": {}, "took_s": NaN}', "a number that is none"),
        ('{"schema": 1, "states": {}, "took_s": -Infinity}', "a number that is none"),
        ('{"schema": 1, "states": {}, "took_s": 1e999}', "a number that is none"),
        ('{"schema": 1, "states": {}, "took_s": ' + "9" * 5000 + "}", "a number that is none"),
        (" " * (5 << 20), "larger than any lab result"),
        (changed("page_size", 4097), "page_size"),
        (changed("page_size", True), "page_size"),
        (changed("page_size", "4096"), "page_size"),
        (changed("build_id", "\x1b]0;"), "build_id"),
        (changed("build_id", 7), "build_id"),
        (changed("family", "ipx"), "family"),
        (changed("kernel", 6.1), "kernel has no name"),
        (with_part(row=None), "a row of close_wait has no name"),
        (with_part(bytes="64"), "TCP of close_wait has something else where a figure belongs"),
        (with_part(bytes=-1), "TCP of close_wait"),
        (with_part(objects=True), "TCP of close_wait"),
        (with_part(objects=None), "TCP of close_wait"),
        (with_part(objects=10**17), "TCP of close_wait"),
        (with_part(catalogue_objects=[]), "TCP of close_wait"),
    ],
)
def test_what_is_no_result_is_one_line(tmp_path: Path, found: object, said: str) -> None:
    assert said in refused(saved(tmp_path, found))


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe{}")
    assert "not JSON" in refused(str(path))


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    assert "Is a directory" in refused(str(tmp_path))
    assert "No such file" in refused(str(tmp_path / "none"))
    with pytest.raises(TcptopError, match="no file can have such a name"):
        load_measurement("a\0b")
    assert "larger than any" in refused("/dev/zero")


def test_names_are_made_printable(tmp_path: Path) -> None:
    found = with_part(row="\x1b[2J\u202ekmalloc" + "x" * 500)
    found["kernel"] = "6.1\n\ud800"
    back = load_measurement(saved(tmp_path, found))
    assert back.kernel_release == "6.1\\x0a\\ud800"
    name = back.states["close_wait/"].rows[0].row
    assert name.isprintable()
    assert name.startswith("\\x1b[2J\\u202ekmalloc")
    assert len(name) <= 80


def test_a_path_is_named_without_its_control_characters(tmp_path: Path) -> None:
    with pytest.raises(TcptopError) as caught:
        load_measurement(str(tmp_path / "a\nb\x1b"))
    assert str(caught.value).isprintable()


def test_a_comparison_prints_nothing_of_a_file_as_it_is(tmp_path: Path) -> None:
    path = saved(tmp_path, {**changed("family", "\x1b[31m"), "kernel": "\x1b]0;x\x07", "connections": True})
    hostile = load_result_json(path, "--compare")
    text = compare_as_text(hostile, hostile)
    assert all(line.isprintable() for line in text.splitlines())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(1e308),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.lists(
    st.sampled_from(["states", "established", "accepted", "close_wait", "parts", "vectors", "bytes", "row", "kernel"]),
    min_size=1,
    max_size=5,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=PATHS, value=ANYTHING)
def test_anything_anywhere_is_a_measurement_or_one_line(tmp_path: Path, at: list[str], value: object) -> None:
    found = whole()
    inner: Any = found
    for name in at[:-1]:
        inner = inner.get(name) if isinstance(inner, dict) else inner[0] if isinstance(inner, list) and inner else None
    if isinstance(inner, dict):
        inner[at[-1]] = value
    path = saved(tmp_path, found)
    assert said(lambda: repr(load_measurement(path))).isprintable()
    assert (
        said(lambda: compare_as_text(load_result_json(path, "--compare"), load_result_json(path, "--compare")))
        .replace("\n", "")
        .isprintable()
    )
    with contextlib.suppress(TcptopError):
        rows = [row for state in load_measurement(path).states.values() for row in state.rows]
        assert all(row.bytes >= 0 and row.objects >= 0 and row.row.isprintable() for row in rows)


def said(answer: Callable[[], str]) -> str:
    """An answer, or the one line of a refusal."""
    try:
        return answer()
    except TcptopError as error:
        return str(error)
