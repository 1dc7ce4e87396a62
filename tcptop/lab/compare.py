"""Two kernels side by side, from their labs' JSON: per endpoint, and at a million of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tcptop import units
from tcptop.lab.as_json import SCHEMA
from tcptop.lab.as_text import share
from tcptop.lab.errors import LabError
from tcptop.lab.runs import TITLES
from tcptop.printable import printable
from tcptop.report.as_text import table

Json = dict[str, Any]

MILLION = 1_000_000

PLACES: Mapping[str, tuple[str, ...]] = {
    "established/accepted": ("states", "established", "accepted"),
    "established/outgoing": ("states", "established", "outgoing"),
    "established/pair": ("states", "established", "pair"),
    "established/few_ports": ("few_ports", "pair"),
    "fin_wait2/": ("states", "fin_wait2"),
    "close_wait/": ("states", "close_wait"),
    "time_wait/accepted": ("states", "time_wait", "accepted"),
    "time_wait/outgoing": ("states", "time_wait", "outgoing"),
}


def loaded(path: str) -> Json:
    """A result that `tcptop lab -w` wrote.

    Raises:
        LabError: in one line, where the file cannot be read or is something else.

    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LabError(f"--compare {path}: {error.strerror}") from None
    except ValueError:
        raise LabError(f"--compare {path}: not JSON; give a file that tcptop lab -w wrote") from None
    if not isinstance(found, dict) or "states" not in found:
        raise LabError(f"--compare {path}: not the result of a lab; give a file that tcptop lab -w wrote")
    if found.get("schema") != SCHEMA:
        raise LabError(f"--compare {path}: its schema is {found.get('schema')!r}, and only {SCHEMA} is known here")
    return found


def bytes_at(result: Json, place: tuple[str, ...]) -> float | None:
    """The measured bytes of one state; None where it was not measured."""
    found: Any = result
    for name in (*place, "bytes"):
        found = found.get(name) if isinstance(found, dict) else None
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None


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


def compare_text(first: Json, second: Json) -> str:
    """The same as a table; ASCII, ending in a line break."""
    text = "\n".join(_lines(first, second))
    return f"{text}\n".encode("ascii", "backslashreplace").decode("ascii")


def _lines(first: Json, second: Json) -> Iterator[str]:
    names = [_kernel(first), _kernel(second)]
    yield f"tcptop lab: {names[0]} (A) beside {names[1]} (B)"
    for letter, result in zip("AB", (first, second), strict=True):
        yield (
            f"  {letter}: {result.get('family', 'ipv4')}, {units.size(_whole(result.get('page_size')))} pages,"
            f" {units.count(_whole(result.get('connections')))} connections"
        )
    yield ""
    yield "Bytes per endpoint (both ends: per connection), and for a million of them"
    lines = [["STATE", "A", "B", "DIFFERENCE", "", "A AT 1 M", "B AT 1 M", "DIFFERENCE"]]
    for key, place in PLACES.items():
        pair = (bytes_at(first, place), bytes_at(second, place))
        if pair != (None, None):
            lines.append([TITLES[key], *_cells(*pair)])
    yield from table(lines, [True])


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
    return printable(str(result.get("kernel") or "unknown kernel"))


def _whole(number: object) -> int | None:
    return number if isinstance(number, int) else None
