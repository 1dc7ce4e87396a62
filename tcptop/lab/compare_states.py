"""Compares two lab results state by state: bytes per endpoint, and for a million endpoints."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.lab.as_text import format_percent
from tcptop.lab.result_file import SCHEMA, STATE_PATHS, Json, find_state, parse_number
from tcptop.lab.runs import RUN_TITLES
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import wrap_text
from tcptop.text.printable import printable_name
from tcptop.text.table import make_headings, plain_table

MILLION = 1_000_000

HEADINGS = make_headings(
    "<STATE", "A", "B", "DIFFERENCE", "", "A AT 1 M", "B AT 1 M", "DIFFERENCE", least=("DIFFERENCE",)
)
FIRST_MILLION_COLUMN = 5


def measured_bytes(result: Json, place: tuple[str, ...]) -> float | None:
    """Measured bytes of one state; None if it was not measured."""
    return parse_number((find_state(result, place) or {}).get("bytes"))


def compare_as_json(first: Json, second: Json) -> Json:
    """The comparison as JSON, with every state that either result measured."""
    rows = {key: (measured_bytes(first, place), measured_bytes(second, place)) for key, place in STATE_PATHS.items()}
    return {
        "schema": SCHEMA,
        "kernels": [_kernel_name(first), _kernel_name(second)],
        "states": {
            key.rstrip("/"): {
                "bytes": list(pair),
                "difference": _difference(*pair),
                "bytes_per_million": [None if each is None else round(each * MILLION) for each in pair],
            }
            for key, pair in rows.items()
            if pair != (None, None)
        },
    }


def compare_as_text(first: Json, second: Json, columns: int | None = None) -> str:
    """The comparison as tables, at most `columns` wide (None: any width); ASCII, with a newline at the end."""
    text = "\n".join(_lines(first, second, columns))
    return report_to_ascii(f"{text}\n")


def _lines(first: Json, second: Json, columns: int | None) -> Iterator[str]:
    names = [_kernel_name(first), _kernel_name(second)]
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
    pairs = {key: (measured_bytes(first, place), measured_bytes(second, place)) for key, place in STATE_PATHS.items()}
    rows = [[RUN_TITLES[key], *_cells(*pair)] for key, pair in pairs.items() if pair != (None, None)]
    yield from plain_table(HEADINGS, rows, columns, split_at=FIRST_MILLION_COLUMN)


def _cells(first: float | None, second: float | None) -> list[str]:
    known = first is not None and second is not None
    change = (second or 0.0) - (first or 0.0)
    sign = "+" if change >= 0 else "-"
    return [
        _format_bytes(first),
        _format_bytes(second),
        f"{change:+.1f}" if known else "-",
        format_percent(_difference(first, second)),
        *("-" if each is None else _format_mebibytes(each * MILLION) for each in (first, second)),
        f"{sign}{_format_mebibytes(abs(change) * MILLION)}" if known else "-",
    ]


def _format_mebibytes(amount: float) -> str:
    """Always in MiB, so that figures compare at a glance."""
    return f"{units.grouped(round(amount / 2**20))} MiB"


def _format_bytes(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:.1f}"


def _difference(first: float | None, second: float | None) -> float | None:
    return round(second / first - 1.0, 5) if first and second is not None else None


def _kernel_name(result: Json) -> str:
    return printable_name(str(result.get("kernel") or "unknown kernel"))


def _integer(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None
