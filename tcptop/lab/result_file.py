"""Reads a lab result that `tcptop lab -w` wrote.

Any program may have written the file, so numbers and names are checked.
"""

from __future__ import annotations

import errno
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from tcptop.errors import TcptopError
from tcptop.lab.result import MAX_DISTURBANCE
from tcptop.named_files import read_bytes
from tcptop.privileges import read_without_root
from tcptop.snapshot import LabMeasurement, MeasuredRow, MeasuredState
from tcptop.text.printable import printable, printable_name

SCHEMA = 1

Json = dict[str, Any]

STATE_PATHS: Mapping[str, tuple[str, ...]] = {
    "established/accepted": ("states", "established", "accepted"),
    "established/outgoing": ("states", "established", "outgoing"),
    "established/pair": ("states", "established", "pair"),
    "established/few_ports": ("few_ports", "pair"),
    "fin_wait2": ("states", "fin_wait2"),
    "close_wait": ("states", "close_wait"),
    "time_wait/accepted": ("states", "time_wait", "accepted"),
    "time_wait/outgoing": ("states", "time_wait", "outgoing"),
    "ktls/context": ("states", "ktls", "context"),
    "ktls/tx": ("states", "ktls", "tx"),
    "ktls/pair": ("states", "ktls", "pair"),
}
"""Maps the key of each run to the path of the run's result in the JSON."""

MAX_FILE_BYTES = 4 << 20
"""Maximum size of a file that tcptop reads as a lab result. The maximum is a hundred times the size of a typical
result."""

MAX_NUMBER = 1e12
"""Largest number that is accepted in a file. No number of bytes or objects per endpoint comes near this limit."""
MAX_PARTS = 10_000
MAX_DIGITS = 18
PAGE_SIZES = frozenset(1 << order for order in range(10, 25))
BUILD_ID = re.compile("[0-9a-f]{8,128}")
ADVICE = "give a file that tcptop lab -w wrote"


class DamagedResultError(ValueError):
    """An error that states what is wrong with a result; the caller adds the file's name."""


def load_measurement(path: str) -> LabMeasurement:
    """Reads a saved result, and returns the measurement that `tcptop.accounting` uses.

    Raises:
        TcptopError: if the file cannot be read, or is not an intact lab result.

    """
    found = load_result_json(path, "--lab")
    try:
        return _parse_measurement(path, found)
    except DamagedResultError as error:
        raise TcptopError(f"--lab {printable(path)}: {error}; {ADVICE}") from None


def load_result_json(path: str, option: str) -> Json:
    """Reads the JSON object of a saved result.

    Checks that all numbers in the object are finite, but does not check any other value.

    Under sudo, this process reads the file itself if only root can write to the file. A file that other users can write
    to is read by a child process that has dropped root's privileges.

    Args:
        path: the file.
        option: the option or command with which the user named the file; error messages begin with this name.

    Raises:
        TcptopError: if the file cannot be read, or is not a lab result of schema `SCHEMA`.

    """
    where = f"{option} {printable(path)}"
    try:
        found = read_without_root(path, lambda: _read_json(path, where))
    except OSError as error:
        text = f"larger than any lab result; {ADVICE}" if error.errno == errno.EFBIG else error.strerror
        raise TcptopError(f"{where}: {text}") from None
    if not isinstance(found, dict) or not isinstance(found.get("states"), dict):
        raise TcptopError(f"{where}: not a lab result; {ADVICE}")
    if found.get("schema") != SCHEMA:
        schema = printable_name(repr(found.get("schema"))[:100])
        raise TcptopError(
            f"{where}: its schema is {schema}, but this tcptop reads only {SCHEMA}; use the tcptop that wrote it"
        )
    return found


def _read_json(path: str, where: str) -> Any:  # noqa: ANN401 (any JSON value)
    data = read_bytes(path, MAX_FILE_BYTES)
    try:
        return json.loads(
            data.decode("utf-8"), parse_constant=_parse_float, parse_float=_parse_float, parse_int=_parse_integer
        )
    except DamagedResultError as error:
        raise TcptopError(f"{where}: {error}; {ADVICE}") from None
    except (ValueError, RecursionError):
        raise TcptopError(f"{where}: not JSON; {ADVICE}") from None


def find_state(result: Json, place: tuple[str, ...]) -> Json | None:
    """The JSON object of a state, at the path `place` in the result; None if the path leads to no object."""
    found: Any = result
    for name in place:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def find_doubt(state: Json) -> str | None:
    """The file's reason to doubt the figures of a state (more than `MAX_DISTURBANCE`); None if it has none.

    Versions of tcptop without the key `doubt` wrote only the disturbance.
    """
    doubt, disturbance = state.get("doubt"), parse_number(state.get("disturbance"))
    if doubt is not None:
        return printable_name(str(doubt))
    if disturbance is not None and disturbance > MAX_DISTURBANCE:
        return f"the figures may be wrong by {100 * disturbance:.1f} %"
    return None


def _parse_measurement(path: str, found: Json) -> LabMeasurement:
    states = {}
    for key, place in STATE_PATHS.items():
        state = find_state(found, place)
        if state is not None:
            states[key] = _parse_state(state, key)
    if not states:
        raise DamagedResultError("it has no state")
    page_size, build_id, family = found.get("page_size"), found.get("build_id"), found.get("family")
    if page_size is not None and not (isinstance(page_size, int) and page_size in PAGE_SIZES):
        raise DamagedResultError("its page_size is not a power of two from 1024 to 16777216")
    if build_id is not None and not (isinstance(build_id, str) and BUILD_ID.fullmatch(build_id)):
        raise DamagedResultError("its build_id is not 8 to 128 hexadecimal digits")
    if family not in ("ipv4", "ipv6"):
        raise DamagedResultError("its family is neither ipv4 nor ipv6")
    kernel = found.get("kernel")
    return LabMeasurement(
        path=printable(path),
        kernel_release=None if kernel is None else _parse_name(kernel, "its kernel"),
        build_id=build_id,
        page_size_bytes=page_size,
        ipv6=family == "ipv6",
        states=states,
    )


def _parse_state(state: Json, where: str) -> MeasuredState:
    parts, vectors = state.get("parts"), state.get("vectors")
    if not isinstance(parts, list) or len(parts) > MAX_PARTS:
        raise DamagedResultError(f"the parts of {where} are not a list of at most {MAX_PARTS}")
    if vectors is not None and not isinstance(vectors, dict):
        raise DamagedResultError(f"the vectors of {where} are not a JSON object")
    if state.get("doubt") is not None:
        _parse_name(state["doubt"], f"the doubt of {where}")
    if state.get("disturbance") is not None:
        _require_number(state["disturbance"], f"the disturbance of {where}")
    return MeasuredState(
        rows=tuple(_parse_row(part, where) for part in parts),
        vector_bytes=_require_number(vectors.get("bytes"), f"the vectors of {where}") if vectors else 0.0,
        doubt=find_doubt(state),
    )


def _parse_row(part: object, where: str) -> MeasuredRow:
    if not isinstance(part, dict):
        raise DamagedResultError(f"a part of {where} is not a JSON object")
    row = _parse_name(part.get("row"), f"a row of {where}")
    known = part.get("catalogue_objects")
    return MeasuredRow(
        row=row,
        objects=_require_number(part.get("objects"), f"{row} of {where}"),
        bytes=_require_number(part.get("bytes"), f"{row} of {where}"),
        catalogue_objects=None if known is None else _require_number(known, f"{row} of {where}"),
    )


def _parse_name(text: object, where: str) -> str:
    if not isinstance(text, str) or not text:
        raise DamagedResultError(f"{where} is not a name")
    return printable_name(text)


def parse_number(number: object) -> float | None:
    """The given value if it is a JSON number from 0 to `MAX_NUMBER`; otherwise None."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= MAX_NUMBER:
        return None
    return float(number)


def _require_number(number: object, where: str) -> float:
    found = parse_number(number)
    if found is None:
        raise DamagedResultError(f"{where}: a figure is not a number from 0 to 1e12")
    return found


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise DamagedResultError("it has a number that is not finite or has too many digits")
    return number


def _parse_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise DamagedResultError("it has a number that is not finite or has too many digits")
    return int(text)
