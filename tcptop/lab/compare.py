"""Two kernels side by side, from their labs' JSON: per endpoint, and at a million of them."""

from __future__ import annotations

from collections.abc import Iterator

from tcptop.lab.as_text import share
from tcptop.lab.runs import TITLES
from tcptop.lab.saved import PLACES, SCHEMA, Json, contents, figure, state_at
from tcptop.lab.terminal_table import fits, fitted, wrapped
from tcptop.report.as_text import align_columns
from tcptop.text import units
from tcptop.text.printable import printable_name

MILLION = 1_000_000

TITLES_OF_COLUMNS = ("STATE", "A", "B", "DIFFERENCE", "", "A AT 1 M", "B AT 1 M", "DIFFERENCE")
AT_A_MILLION = TITLES_OF_COLUMNS.index("A AT 1 M")


def loaded(path: str, option: str = "--compare") -> Json:
    """A result that `tcptop lab -w` wrote; raises TcptopError in one line where it is something else."""
    return contents(path, option)


def bytes_at(result: Json, place: tuple[str, ...]) -> float | None:
    """The measured bytes of one state; None where it was not measured."""
    return figure((state_at(result, place) or {}).get("bytes"))


def compared(first: Json, second: Json) -> Json:
    """Both kernels' bytes for every state that either measured."""
    rows = {key: (bytes_at(first, place), bytes_at(second, place)) for key, place in PLACES.items()}
    return {
        "schema": SCHEMA,
        "kernels": [_kernel(first), _kernel(second)],
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


def compare_text(first: Json, second: Json, columns: int | None = None) -> str:
    """The same as a table, for a terminal so wide; ASCII, ending in a line break."""
    text = "\n".join(_lines(first, second, columns))
    return f"{text}\n".encode("ascii", "backslashreplace").decode("ascii")


def _lines(first: Json, second: Json, columns: int | None) -> Iterator[str]:
    names = [_kernel(first), _kernel(second)]
    yield from wrapped(f"tcptop lab: {names[0]} (A) beside {names[1]} (B)", columns)
    for letter, result in zip("AB", (first, second), strict=True):
        family = printable_name(str(result.get("family", "ipv4")))
        yield from wrapped(
            f"{letter}: {family}, {units.size(_whole(result.get('page_size')))} pages,"
            f" {units.count(_whole(result.get('connections')))} connections",
            columns,
            indent="  ",
        )
    yield ""
    yield from wrapped("Bytes per endpoint (both ends: per connection), and for a million of them", columns)
    lines = [list(TITLES_OF_COLUMNS)]
    for key, place in PLACES.items():
        pair = (bytes_at(first, place), bytes_at(second, place))
        if pair != (None, None):
            lines.append([TITLES[key], *_cells(*pair)])
    if fits(lines, columns):
        yield from align_columns(lines, [True])
    else:
        yield from fitted([cells[:AT_A_MILLION] for cells in lines], [True], columns, ("DIFFERENCE",))
        yield ""
        yield from fitted([[cells[0], *cells[AT_A_MILLION:]] for cells in lines], [True], columns, ("DIFFERENCE",))


def _cells(first: float | None, second: float | None) -> list[str]:
    known = first is not None and second is not None
    more = (second or 0.0) - (first or 0.0)
    sign = "+" if more >= 0 else "-"
    return [
        _amount(first),
        _amount(second),
        f"{more:+.1f}" if known else "-",
        share(_difference(first, second)),
        *("-" if each is None else _mebibytes(each * MILLION) for each in (first, second)),
        f"{sign}{_mebibytes(abs(more) * MILLION)}" if known else "-",
    ]


def _mebibytes(amount: float) -> str:
    """Always in one unit, so that two columns compare."""
    return f"{units.grouped(round(amount / 2**20))} MiB"


def _amount(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:.1f}"


def _difference(first: float | None, second: float | None) -> float | None:
    return round(second / first - 1.0, 5) if first and second is not None else None


def _kernel(result: Json) -> str:
    return printable_name(str(result.get("kernel") or "unknown kernel"))


def _whole(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) else None
