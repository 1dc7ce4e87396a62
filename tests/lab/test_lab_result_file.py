"""Reading of saved lab results: intact files, files of an older tcptop, unrelated files, damaged files and hostile
files.
"""

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
from tcptop.lab.compare import compare_as_json, compare_as_text
from tcptop.lab.result_file import STATE_PATHS, load_measurement, load_result_json
from tcptop.snapshot import MeasuredRow

Json = dict[str, Any]


def write_result(folder: Path, content: object) -> str:
    """Writes a file and returns its path: a str as it is, anything else as JSON."""
    path = folder / "lab.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def whole() -> Json:
    """An intact result, as a lab writes it."""
    return result_as_json(result())


def changed(key: str, value: object) -> Json:
    """An intact result with one value of its top level changed."""
    return {**whole(), key: value}


def with_part(**values: object) -> Json:
    """An intact result with values of one part changed."""
    found = whole()
    found["states"]["close_wait"]["parts"][0].update(values)
    return found


def with_state(**values: object) -> Json:
    """An intact result with values of one state changed."""
    found = whole()
    found["states"]["close_wait"].update(values)
    return found


def load_error(path: str) -> str:
    """The line of the error with which a file is refused."""
    with pytest.raises(TcptopError) as caught:
        load_measurement(path)
    line = str(caught.value)
    assert line.startswith(f"--lab {path}: ")
    assert line.isprintable()
    return line


def test_a_written_result_is_read_back(tmp_path: Path) -> None:
    found = result_as_json(result("6.18.0"))
    found["states"]["close_wait"]["parts"].append(
        result_as_json(result("6.18.0", STRANGE))["states"]["close_wait"]["parts"][0]
    )
    path = write_result(tmp_path, found)
    back = load_measurement(path)
    assert (back.path, back.kernel_release, back.build_id) == (path, "6.18.0", "ab" * 20)
    assert (back.page_size_bytes, back.ipv6) == (4096, False)
    assert back.states.keys() == STATE_PATHS.keys()
    assert back.states["close_wait"].rows == (
        MeasuredRow("TCP", 1.0, 2520.0, 1.0),
        MeasuredRow("kmalloc-64", 1.0, 64.0, None),
    )
    assert back.states["close_wait"].vector_bytes == 38.0
    assert [row.row for row in back.states["established/few_ports"].rows] == ["TCP", "eventpoll_epi"]


@pytest.mark.parametrize(
    ("values", "doubt"),
    [
        ({"doubt": "filp did not follow", "disturbance": 1}, "filp did not follow"),
        ({"doubt": "a\x1b[2J", "disturbance": 0.0}, "a\\x1b[2J"),
        ({"doubt": None, "disturbance": 0.5}, "the figures may be wrong by 50.0 %"),
        ({"doubt": None, "disturbance": 0.01}, None),
        ({"doubt": None, "disturbance": None}, None),
    ],
)
def test_the_doubt_of_a_state_is_read(tmp_path: Path, values: Json, doubt: str | None) -> None:
    back = load_measurement(write_result(tmp_path, with_state(**values)))
    assert back.states["close_wait"].doubt == doubt
    assert back.states["fin_wait2"].doubt is None


def test_a_result_without_a_build_id_is_read(tmp_path: Path) -> None:
    old = whole()
    del old["build_id"], old["taken_at"]
    old["states"]["fin_wait2"] = None
    old["states"]["close_wait"]["vectors"] = None
    path = write_result(tmp_path, old)
    back = load_measurement(path)
    assert back.build_id is None
    assert "fin_wait2" not in back.states
    assert back.states["close_wait"].vector_bytes == 0.0
    assert (
        compare_as_json(load_result_json(path, "--compare"), load_result_json(path, "--compare"))["states"][
            "close_wait"
        ]["difference"]
        == 0.0
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"schema": 1, "states": ' + '{"a":' * 50_000, "not JSON"),
        ([1], "not a lab result"),
        ({"schema": 1}, "not a lab result"),
        ({"schema": 1, "states": [1]}, "not a lab result"),
        ({"schema": 2, "states": {}}, "its schema is 2"),
        ({"schema": "\x1b[2J" * 1000, "states": {}}, "its schema is"),
        ({"schema": 1, "states": {}}, "it has no state"),
        ('{"schema": 1, "states": {}, "took_s": NaN}', "a number that is not finite"),
        ('{"schema": 1, "states": {}, "took_s": -Infinity}', "a number that is not finite"),
        ('{"schema": 1, "states": {}, "took_s": 1e999}', "a number that is not finite"),
        ('{"schema": 1, "states": {}, "took_s": ' + "9" * 5000 + "}", "a number that is not finite"),
        (" " * (5 << 20), "larger than any lab result"),
        (changed("page_size", 4097), "page_size"),
        (changed("page_size", True), "page_size"),
        (changed("page_size", "4096"), "page_size"),
        (changed("build_id", "\x1b]0;"), "build_id"),
        (changed("build_id", 7), "build_id"),
        (changed("family", "ipx"), "family"),
        (changed("kernel", 6.1), "its kernel is not a name"),
        (with_part(row=None), "a row of close_wait is not a name"),
        (with_part(bytes="64"), "TCP of close_wait: a figure is not a number from 0 to 1e12"),
        (with_part(bytes=-1), "TCP of close_wait"),
        (with_part(objects=True), "TCP of close_wait"),
        (with_part(objects=None), "TCP of close_wait"),
        (with_part(objects=10**17), "TCP of close_wait"),
        (with_part(catalogue_objects=[]), "TCP of close_wait"),
        (with_state(doubt=7), "the doubt of close_wait is not a name"),
        (with_state(disturbance="1"), "the disturbance of close_wait: a figure is not a number"),
    ],
)
def test_a_file_that_is_not_a_result_is_refused_in_one_line(tmp_path: Path, content: object, message: str) -> None:
    assert message in load_error(write_result(tmp_path, content))


def test_a_file_that_is_not_utf_8_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe{}")
    assert "not JSON" in load_error(str(path))


def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "Is a directory" in load_error(str(tmp_path))
    assert "No such file" in load_error(str(tmp_path / "none"))
    with pytest.raises(TcptopError, match="no file can have such a name"):
        load_measurement("a\0b")
    assert "not a regular file" in load_error("/dev/zero")


def test_names_are_made_printable(tmp_path: Path) -> None:
    found = with_part(row="\x1b[2J\u202ekmalloc" + "x" * 500)
    found["kernel"] = "6.1\n\ud800"
    back = load_measurement(write_result(tmp_path, found))
    assert back.kernel_release == "6.1\\x0a\\ud800"
    name = back.states["close_wait"].rows[0].row
    assert name.isprintable()
    assert name.startswith("\\x1b[2J\\u202ekmalloc")
    assert len(name) <= 80


def test_an_error_escapes_control_characters_of_the_path(tmp_path: Path) -> None:
    with pytest.raises(TcptopError) as caught:
        load_measurement(str(tmp_path / "a\nb\x1b"))
    assert str(caught.value).isprintable()


def test_a_comparison_escapes_control_characters_of_a_file(tmp_path: Path) -> None:
    path = write_result(tmp_path, {**changed("family", "\x1b[31m"), "kernel": "\x1b]0;x\x07", "connections": True})
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=PATHS, value=ANYTHING)
@pytest.mark.slow
def test_any_value_at_any_place_is_read_or_refused_in_one_line(tmp_path: Path, place: list[str], value: object) -> None:
    found = whole()
    inner: Any = found
    for name in place[:-1]:
        inner = inner.get(name) if isinstance(inner, dict) else inner[0] if isinstance(inner, list) and inner else None
    if isinstance(inner, dict):
        inner[place[-1]] = value
    path = write_result(tmp_path, found)
    assert result_or_error(lambda: repr(load_measurement(path))).isprintable()
    assert (
        result_or_error(
            lambda: compare_as_text(load_result_json(path, "--compare"), load_result_json(path, "--compare"))
        )
        .replace("\n", "")
        .isprintable()
    )
    with contextlib.suppress(TcptopError):
        rows = [row for state in load_measurement(path).states.values() for row in state.rows]
        assert all(row.bytes >= 0 and row.objects >= 0 and row.row.isprintable() for row in rows)


def result_or_error(call: Callable[[], str]) -> str:
    """Result of a call, or the one line of its error."""
    try:
        return call()
    except TcptopError as error:
        return str(error)
