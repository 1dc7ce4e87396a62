"""Compares two lab results: the bytes per endpoint of each state, and the slabinfo rows of each state."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.lab.as_text import format_percent
from tcptop.lab.result_file import SCHEMA, STATE_PATHS, Json, find_doubt, find_state, parse_number
from tcptop.lab.runs import RUN_TITLES
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import wrap_text
from tcptop.text.printable import printable_name
from tcptop.text.table import make_headings, plain_table

MILLION = 1_000_000

STATE_HEADINGS = make_headings(
    "<STATE", "A", "B", "DIFFERENCE", "", "A AT 1 M", "B AT 1 M", "DIFFERENCE", least=("DIFFERENCE",)
)
FIRST_MILLION_COLUMN = 5

ROW_HEADINGS = make_headings("<ROW", "OBJECTS A", "B", "BYTES A", "B", "CHANGE")
SAME_BELOW_BYTES = 0.05
"""Smallest change that the comparison lists. Bytes are printed with one decimal, so smaller changes would be
invisible."""


def compare_as_json(first: Json, second: Json) -> Json:
    """The comparison as JSON.

    The comparison contains every state that at least one result measured. Rows are compared only for states that both
    results measured.
    """
    both = {key: [find_state(result, path) or {} for result in (first, second)] for key, path in STATE_PATHS.items()}
    pairs = {key: (parse_number(one.get("bytes")), parse_number(two.get("bytes"))) for key, (one, two) in both.items()}
    return {
        "schema": SCHEMA,
        "kernels": [_kernel_name(first), _kernel_name(second)],
        "states": {
            key: {
                "bytes": list(pair),
                "difference": _difference(*pair),
                "bytes_per_million": [None if each is None else round(each * MILLION) for each in pair],
                "disturbance": [parse_number(state.get("disturbance")) for state in both[key]],
                "doubt": [find_doubt(state) for state in both[key]],
            }
            for key, pair in pairs.items()
            if pair != (None, None)
        },
        "parts": compare_parts_as_json(first, second),
    }


def compare_as_text(first: Json, second: Json, columns: int | None = None) -> str:
    """The comparison as ASCII tables, with a newline at the end; `columns` is the maximum width (None: no limit)."""
    return report_to_ascii("\n".join([*_state_lines(first, second, columns), ""]))


def compare_parts_as_json(first: Json, second: Json) -> Json:
    """The compared rows as JSON, for each state that both results measured; the largest change comes first."""
    pairs = {key: (find_state(first, path), find_state(second, path)) for key, path in STATE_PATHS.items()}
    return {key: _compare_rows(one, two) for key, (one, two) in pairs.items() if one is not None and two is not None}


def compare_parts_as_text(first: Json, second: Json, columns: int | None) -> str:
    """The rows that differ, as one ASCII table for all states, with a newline at the end.

    `columns` is the maximum width of a line (None: no limit).
    """
    return report_to_ascii("\n".join([*_row_lines(first, second, columns), ""]))


def _state_lines(first: Json, second: Json, columns: int | None) -> Iterator[str]:
    comparison = compare_as_json(first, second)
    names = [name or "unknown kernel" for name in comparison["kernels"]]
    yield from wrap_text(f"tcptop lab: {names[0]} (A) beside {names[1]} (B)", columns, "  ")
    for letter, result in zip("AB", (first, second), strict=True):
        family = printable_name(str(result.get("family", "ipv4")))
        yield from wrap_text(
            f"  {letter}: {family}, {units.size(_integer(result.get('page_size')))} pages,"
            f" {units.count(_integer(result.get('connections')))} connections",
            columns,
            "    ",
        )
    yield ""
    yield from wrap_text("Bytes per endpoint (both ends: per connection), and for a million of them", columns, "  ")
    rows = [[RUN_TITLES[key], *_cells(state)] for key, state in comparison["states"].items()]
    yield from plain_table(STATE_HEADINGS, rows, columns, split_at=FIRST_MILLION_COLUMN)
    notes = [
        f"Disturbed: {letter}, {RUN_TITLES[key]}: {doubt}; measure again."
        for letter, index in (("A", 0), ("B", 1))
        for key, state in comparison["states"].items()
        if (doubt := state["doubt"][index]) is not None
    ]
    if notes:
        yield ""
        for note in notes:
            yield from wrap_text(note, columns, "  ")


def _cells(state: Json) -> list[str]:
    first, second = state["bytes"]
    known = first is not None and second is not None
    change = (second or 0.0) - (first or 0.0)
    sign = "+" if change >= 0 else "-"
    return [
        *("-" if each is None else f"{each:.1f}" for each in state["bytes"]),
        f"{change:+.1f}" if known else "-",
        format_percent(state["difference"]),
        *("-" if each is None else _format_mebibytes(each) for each in state["bytes_per_million"]),
        f"{sign}{_format_mebibytes(abs(change) * MILLION)}" if known else "-",
    ]


def _row_lines(first: Json, second: Json, columns: int | None) -> Iterator[str]:
    yield "Where it is: slabinfo rows, for each endpoint; what differs, the most first"
    rows: list[list[str]] = []
    titles: dict[int, str] = {}
    same = 0
    for key, parts in compare_parts_as_json(first, second).items():
        titles[len(rows)] = RUN_TITLES[key]
        for part in parts:
            if abs(part["change_bytes"]) < SAME_BELOW_BYTES:
                same += 1
                continue
            amounts = [f"{each:.2f}" for each in part["objects"]] + [f"{each:.1f}" for each in part["bytes"]]
            rows.append([part["row"], *amounts, f"{part['change_bytes']:+.1f}"])
    if rows:
        heading, *lines = plain_table(ROW_HEADINGS, rows, columns)
        yield heading
        for index, line in enumerate(lines):
            if index in titles:
                yield f"  {titles[index]}"
            yield line
    if same:
        yield f"  the same in both: {same} {'row' if same == 1 else 'rows'}"


def _compare_rows(first: Json, second: Json) -> list[Json]:
    """The rows of one state in two results. A row that is missing in one result counts as 0 objects and 0 bytes."""
    one, two = _sum_rows(first), _sum_rows(second)
    compared = []
    for row in {**one, **two}:
        objects, amounts = zip(one.get(row, (0.0, 0.0)), two.get(row, (0.0, 0.0)), strict=True)
        change = round(amounts[1] - amounts[0], 2)
        compared.append({"row": row, "objects": [*objects], "bytes": [*amounts], "change_bytes": change})
    return sorted(compared, key=lambda part: -abs(part["change_bytes"]))


def _sum_rows(state: Json) -> dict[str, tuple[float, float]]:
    """Objects and bytes of each row. Malformed parts are skipped, since any program may have written the file."""
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


def _format_mebibytes(amount: float) -> str:
    """Formats bytes in MiB, never in another unit, so that the figures of a column can be compared."""
    return f"{units.grouped(round(amount / 2**20))} MiB"


def _difference(first: float | None, second: float | None) -> float | None:
    return round(second / first - 1.0, 5) if first and second is not None else None


def _kernel_name(result: Json) -> str | None:
    kernel = result.get("kernel")
    return printable_name(kernel) if isinstance(kernel, str) and kernel else None


def _integer(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None
