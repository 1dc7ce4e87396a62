"""A lab result as `tcptop lab -w` saved it. The file may be from anywhere: no figure and no name in it is trusted."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tcptop.errors import TcptopError
from tcptop.snapshot import LabMeasurement, MeasuredRow, MeasuredState
from tcptop.text.printable import printable, printable_name

SCHEMA = 1

Json = dict[str, Any]

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
"""Where each state and side stands in the JSON."""

MOST_FILE_BYTES = 4 << 20
"""A hundred times what a lab writes."""

MOST_FIGURE = 1e12
MOST_ROWS = 10_000
MOST_DIGITS = 18
BUILD_ID = re.compile("[0-9a-f]{8,128}")
ADVICE = "give a file that tcptop lab -w wrote"


class DamagedError(ValueError):
    """What is wrong with a file, without its name."""


def measurement(path: str) -> LabMeasurement:
    """A saved result, as the accounting takes it.

    Raises:
        TcptopError: in one line, where the file cannot be read, is something else or is damaged.

    """
    found = contents(path, "--lab")
    try:
        return _measurement(path, found)
    except DamagedError as error:
        raise TcptopError(f"--lab {printable(path)}: {error}; {ADVICE}") from None


def contents(path: str, option: str) -> Json:
    """The JSON object in a saved result, all of whose numbers are finite; raises TcptopError naming the option."""
    where = f"{option} {printable(path)}"
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise TcptopError(f"{where}: {error.strerror}") from None
    except ValueError:
        raise TcptopError(f"{where}: no file can have such a name") from None
    if len(data) > MOST_FILE_BYTES:
        raise TcptopError(f"{where}: larger than any lab result; {ADVICE}")
    try:
        found = json.loads(
            data.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite, parse_int=_whole_number
        )
    except DamagedError as error:
        raise TcptopError(f"{where}: {error}; {ADVICE}") from None
    except (ValueError, RecursionError):
        raise TcptopError(f"{where}: not JSON; {ADVICE}") from None
    if not isinstance(found, dict) or not isinstance(found.get("states"), dict):
        raise TcptopError(f"{where}: not the result of a lab; {ADVICE}")
    if found.get("schema") != SCHEMA:
        schema = printable_name(repr(found.get("schema"))[:100])
        raise TcptopError(
            f"{where}: its schema is {schema}, and only {SCHEMA} is known here; use the tcptop that wrote it"
        )
    return found


def state_at(result: Json, place: tuple[str, ...]) -> Json | None:
    """The object of one state; None where there is none."""
    found: Any = result
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _measurement(path: str, found: Json) -> LabMeasurement:
    states = {}
    for key, place in PLACES.items():
        state = state_at(found, place)
        if state is not None:
            states[key] = _state(state, key.rstrip("/"))
    if not states:
        raise DamagedError("it holds no state")
    page_size, build_id, family = found.get("page_size"), found.get("build_id"), found.get("family")
    if page_size is not None and (
        isinstance(page_size, bool)
        or not isinstance(page_size, int)
        or not 1024 <= page_size <= 1 << 24
        or page_size & (page_size - 1)
    ):
        raise DamagedError("its page_size is no page size")
    if build_id is not None and not (isinstance(build_id, str) and BUILD_ID.fullmatch(build_id)):
        raise DamagedError("its build_id is no build ID")
    if family not in ("ipv4", "ipv6"):
        raise DamagedError("its family is neither ipv4 nor ipv6")
    kernel = found.get("kernel")
    return LabMeasurement(
        path=printable(path),
        kernel_release=None if kernel is None else _name(kernel, "kernel"),
        build_id=build_id,
        page_size_bytes=page_size,
        ipv6=family == "ipv6",
        states=states,
    )


def _state(state: Json, where: str) -> MeasuredState:
    parts, vectors = state.get("parts"), state.get("vectors")
    if not isinstance(parts, list) or len(parts) > MOST_ROWS:
        raise DamagedError(f"the parts of {where} are no list")
    if vectors is not None and not isinstance(vectors, dict):
        raise DamagedError(f"the vectors of {where} are no part")
    return MeasuredState(
        rows=tuple(_row(part, where) for part in parts),
        vector_bytes=_figure(vectors.get("bytes"), f"the vectors of {where}") if vectors else 0.0,
    )


def _row(part: object, where: str) -> MeasuredRow:
    if not isinstance(part, dict):
        raise DamagedError(f"a part of {where} is no object")
    row = _name(part.get("row"), f"a row of {where}")
    known = part.get("catalogue_objects")
    return MeasuredRow(
        row=row,
        objects=_figure(part.get("objects"), f"{row} of {where}"),
        bytes=_figure(part.get("bytes"), f"{row} of {where}"),
        catalogue_objects=None if known is None else _figure(known, f"{row} of {where}"),
    )


def _name(text: object, where: str) -> str:
    if not isinstance(text, str) or not text:
        raise DamagedError(f"{where} has no name")
    return printable_name(text)


def figure(number: object) -> float | None:
    """A figure that a lab may have measured; None where it is anything else."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= MOST_FIGURE:
        return None
    return float(number)


def _figure(number: object, where: str) -> float:
    found = figure(number)
    if found is None:
        raise DamagedError(f"{where} has something else where a figure belongs")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise DamagedError("it holds a number that is none")
    return number


def _whole_number(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise DamagedError("it holds a number that is none")
    return int(text)


def _no_constant(_: str) -> float:
    raise DamagedError("it holds a number that is none")
