"""The settings file (TOML): read at the start, written only at the user's request."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tcptop.accounting.limits import THRESHOLDS
from tcptop.errors import TcptopError
from tcptop.ledger import Threshold
from tcptop.named_files import make_folders, read_bytes, write_bytes
from tcptop.privileges import read_without_root
from tcptop.settings.location import settings_file
from tcptop.text.cache_columns import COLUMNS, SORT_KEYS
from tcptop.text.printable import printable
from tcptop.text.quantities import parse_interval_s

THEMES = ("dark", "light")
MOST_BYTES = 64 << 10
MOST_TEXT = 240
MOST_NODE = 65_535
MOST_PERCENT = 400

ERROR_LINE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")
"""Matches the position that ends each error message of tomllib."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Values of the settings file; None for each key that the file does not contain."""

    interval: float | None = None
    sort: str | None = None
    """Letter of the sort order: slabtop's letters, and `e`."""
    theme: str | None = None
    node: int | None = None
    columns: tuple[str, ...] | None = None
    """Ids of the cache table's columns to show; None for all columns that fit."""
    ascii: bool | None = None
    mouse: bool | None = None
    extras: bool | None = None
    """True to show marks on changed figures, and graphs."""
    limits: Mapping[str, Threshold] | None = None
    """The user's thresholds by limit; limits that it lacks have the thresholds of THRESHOLDS."""

    @property
    def thresholds(self) -> Mapping[str, Threshold]:
        """The thresholds in force, by limit."""
        return {**THRESHOLDS, **(self.limits or {})}


NO_SETTINGS = Settings()


def settings_path(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The path of the settings file; None if the user has no home folder."""
    path = settings_file(environment)
    return None if path is None else Path(path)


def read_settings(file: Path | None) -> tuple[Settings, list[str]]:
    """The settings of a file, and one line of text for each mistake in the file.

    A missing file is no mistake. A wrong value leaves only its own key unset; a file that is not TOML leaves every key
    unset.
    """
    if file is None:
        return NO_SETTINGS, []
    name = printable(str(file))
    try:
        values = read_without_root(str(file), lambda: _read_toml(file))
    except FileNotFoundError:
        return NO_SETTINGS, []
    except OSError as error:
        return NO_SETTINGS, [f"{name}: {error.strerror}; no setting is read"]
    except TcptopError as error:
        return NO_SETTINGS, [str(error)]
    settings, mistakes = NO_SETTINGS, []
    limits = values.pop("limits", {})
    for key, value in values.items():
        try:
            settings = replace(settings, **{key: check_value(key, value)})
        except ValueError as error:
            mistakes.append(f"{name}: {shorten(printable(str(error)))}; the setting is ignored")
    thresholds: dict[str, Threshold] = {}
    for limit, value in limits.items() if isinstance(limits, dict) else [("", limits)]:
        try:
            thresholds[limit] = _check_threshold(limit, value)
        except ValueError as error:
            mistakes.append(f"{name}: {shorten(printable(str(error)))}; the setting is ignored")
    return replace(settings, limits=thresholds or None), mistakes


def _read_toml(file: Path) -> dict[str, Any]:
    """The values of a TOML file; raises TcptopError with one line if it is not TOML, OSError if it cannot be read."""
    content = read_bytes(str(file), MOST_BYTES)
    name = printable(str(file))
    try:
        return _parse_toml(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise TcptopError(f"{name}: not UTF-8; no setting is read") from None
    except (ValueError, RecursionError) as error:
        message = str(error)
        where = ERROR_LINE.search(message)
        line = f":{where[1]}" if where is not None and where[1] is not None else ""
        reason = shorten(printable(ERROR_LINE.sub("", message)))
        raise TcptopError(f"{name}{line}: not TOML: {reason}; no setting is read") from None


def _parse_toml(text: str) -> dict[str, Any]:
    # The TOML parser is imported only if a settings file exists, because most users have none.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def check_value(key: str, value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    """The value of a key as Settings stores it; for an invalid value, raises ValueError with the key in its message."""
    if key not in CHECKS:
        raise ValueError(f"no setting is called {key[:40]!r}; there are: {', '.join(CHECKS)}")
    try:
        return CHECKS[key](value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def write_settings(file: Path, settings: Settings) -> None:
    """Replaces the settings file atomically; raises OSError if writing fails."""
    import json  # values of Settings look the same in JSON and TOML; not needed at the start

    values = asdict(replace(settings, limits=None))
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items() if value is not None]
    for limit, threshold in (settings.limits or {}).items():
        lines.append(f"\n[limits.{limit}]\nwarn = {threshold.warn!r}\ncritical = {threshold.critical!r}\n")
    make_folders(str(file.parent))
    write_bytes(str(file), "".join(lines).encode("utf-8"))


def shorten(text: str) -> str:
    """Cuts an error line to MOST_TEXT characters, because it may quote a value of any length."""
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"


def _check(is_valid: Callable[[Any], bool], allowed: str) -> Callable[[Any], Any]:
    """Returns a function that returns valid values unchanged. For other values it raises ValueError(allowed)."""

    def check(value: Any) -> Any:  # noqa: ANN401 (any TOML value)
        if not is_valid(value):
            raise ValueError(f"{allowed}, not {value!r:.40}")
        return value

    return check


def _check_name(names: Sequence[str]) -> Callable[[Any], Any]:
    return _check(names.__contains__, f"one of {', '.join(names)}")


def _check_columns(value: object) -> tuple[str, ...]:
    known = [each.id for each in COLUMNS]
    if not isinstance(value, list) or not value:
        raise ValueError(f"a list of some of {', '.join(known)}")
    strange = next((each for each in value if each not in known), None)
    if strange is not None:
        raise ValueError(f"no column is called {strange!r:.40}; there are: {', '.join(known)}")
    return tuple(value)


def _check_threshold(limit: str, value: object) -> Threshold:
    """The threshold of a limit from its table in the settings; raises ValueError with the limit's name."""
    name = f"limits.{limit[:40]}".rstrip(".")
    if limit not in THRESHOLDS:
        raise ValueError(f"{name}: no such limit; there are: {', '.join(THRESHOLDS)}")
    if not isinstance(value, dict) or not set(value) <= set(Threshold._fields):
        raise ValueError(f"{name}: a table with warn and critical, not {value!r:.40}")
    for number in value.values():
        if type(number) not in (int, float) or not 0 < number <= MOST_PERCENT:
            raise ValueError(f"{name}: a percentage up to {MOST_PERCENT}, not {number!r:.40}")
    threshold = THRESHOLDS[limit]._replace(**value)
    if threshold.warn > threshold.critical:
        raise ValueError(f"{name}: warn is {threshold.warn:g}, above critical, {threshold.critical:g}")
    return threshold


_check_boolean = _check(lambda value: isinstance(value, bool), "true or false")

CHECKS: dict[str, Callable[[Any], Any]] = {
    "interval": lambda value: parse_interval_s(str(value)),
    "sort": _check_name(sorted(SORT_KEYS)),
    "theme": _check_name(THEMES),
    "node": _check(lambda value: type(value) is int and 0 <= value <= MOST_NODE, "the number of a node"),
    "columns": _check_columns,
    "ascii": _check_boolean,
    "mouse": _check_boolean,
    "extras": _check_boolean,
}
