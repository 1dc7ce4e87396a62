"""Compares two lab results row by row within each state: which rows hold an endpoint's bytes, and which changed."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.lab.result_file import STATE_PATHS, Json, find_state, parse_number
from tcptop.lab.runs import RUN_TITLES
from tcptop.text.ascii import report_to_ascii
from tcptop.text.printable import printable_name
from tcptop.text.table import make_headings, plain_table

HEADINGS = make_headings("<ROW", "OBJECTS A", "B", "BYTES A", "B", "CHANGE")
SAME_BELOW_BYTES = 0.05
"""A smaller change counts as none: bytes are printed to a tenth."""


def compare_parts_as_json(first: Json, second: Json) -> Json:
    """The comparison as JSON: for each state that both measured, its rows, the largest change first."""
    return {
        key.rstrip("/"): [
            {
                "row": row,
                "objects": [objects for objects, _ in sides],
                "bytes": [bytes_ for _, bytes_ in sides],
                "change_bytes": _change(sides),
            }
            for row, sides in _rows(first, second, place)
        ]
        for key, place in STATE_PATHS.items()
        if find_state(first, place) is not None and find_state(second, place) is not None
    }


def compare_parts_as_text(first: Json, second: Json, columns: int | None) -> str:
    """The rows that differ, by state, at most `columns` wide (None: any width); ASCII, with a newline at the end."""
    text = "\n".join(_lines(first, second, columns))
    return report_to_ascii(f"{text}\n")


def _lines(first: Json, second: Json, columns: int | None) -> Iterator[str]:
    yield "Where it is: slabinfo rows, for each endpoint; what differs, the most first"
    rows: list[list[str]] = []
    states: dict[int, str] = {}
    same = 0
    for key, place in STATE_PATHS.items():
        if find_state(first, place) is None or find_state(second, place) is None:
            continue
        states[len(rows)] = RUN_TITLES[key]
        for row, sides in _rows(first, second, place):
            if abs(_change(sides)) < SAME_BELOW_BYTES:
                same += 1
                continue
            (objects_a, bytes_a), (objects_b, bytes_b) = sides
            amounts = (f"{objects_a:.2f}", f"{objects_b:.2f}", f"{bytes_a:.1f}", f"{bytes_b:.1f}")
            rows.append([row, *amounts, f"{_change(sides):+.1f}"])
    if rows:
        titles, *lines = plain_table(HEADINGS, rows, columns)
        yield titles
        for index, line in enumerate(lines):
            if index in states:
                yield f"  {states[index]}"
            yield line
    if same:
        yield f"  the same in both: {same} {'row' if same == 1 else 'rows'}"


Sides = tuple[tuple[float, float], tuple[float, float]]
"""Objects and bytes of one row in the first and in the second result."""


def _rows(first: Json, second: Json, place: tuple[str, ...]) -> list[tuple[str, Sides]]:
    """The rows of one state in either result, the largest change first; 0 objects and bytes where one lacks the row."""
    one, two = (_parts(find_state(result, place) or {}) for result in (first, second))
    rows: list[tuple[str, Sides]] = [
        (row, (one.get(row, (0.0, 0.0)), two.get(row, (0.0, 0.0)))) for row in {**one, **two}
    ]
    return sorted(rows, key=lambda row: -abs(_change(row[1])))


def _parts(state: Json) -> dict[str, tuple[float, float]]:
    """Objects and bytes by row; malformed parts are skipped, since the file may come from anywhere."""
    amounts: dict[str, tuple[float, float]] = {}
    parts = state.get("parts")
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, dict) or not isinstance(part.get("row"), str):
            continue
        objects, bytes_ = parse_number(part.get("objects")), parse_number(part.get("bytes"))
        if objects is not None and bytes_ is not None:
            row = printable_name(part["row"])
            before = amounts.get(row, (0.0, 0.0))
            amounts[row] = (before[0] + objects, before[1] + bytes_)
    return amounts


def _change(sides: Sides) -> float:
    return round(sides[1][1] - sides[0][1], 2)
