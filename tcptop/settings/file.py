"""The settings file (TOML): read at the start, written only at the user's request."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tcptop.errors import TcptopError
from tcptop.kernel.limits import THRESHOLDS
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
MOST_DEPTH = 20
"""Maximum number of dots in a key. The same maximum applies to brackets that are open at the same time. The time and
memory of a TOML parser grow with the square of the number of dots or brackets.
"""
MOST_NODE = 65_535
MOST_PERCENT = 400

ERROR_LINE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")
"""Matches the end of an error message of tomllib: the position of the error in the text."""
KEY_LINE = re.compile(r"""(?P<before>[ \t]*["']?(?P<key>\w+)["']?[ \t]*=[ \t]*)[^#]*?(?P<after>[ \t]*(?:#.*)?\r?)""")
"""Matches a line `key = value`, with or without a comment at its end."""
STRINGS = re.compile(
    r"""\"{3}(?:[^\\]|\\.?)*?(?:"{3,5}|\Z)|'{3}.*?(?:'{3,5}|\Z)|"(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|#[^\n]*""", re.DOTALL
)
"""Matches a TOML string, or a comment."""
DOTTED = re.compile(rf"(?:\.[ \t]*(?:[\w-]+[ \t]*)?){{{MOST_DEPTH + 1}}}")
"""Matches the part of a key that begins with a dot and contains MOST_DEPTH + 1 dots. Strings must be removed from the
text before the search."""
FIRST_TABLE = re.compile(r"^(?=[ \t]*\[)", re.MULTILINE)
"""Matches the start of a line that contains the header of a table."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Values of the settings file; None for each key that the file does not contain."""

    interval: float | None = None
    sort: str | None = None
    """The sort order as a letter: one of slabtop's letters, or `e`."""
    theme: str | None = None
    node: int | None = None
    columns: tuple[str, ...] | None = None
    """Ids of the columns that the cache table shows; None for all columns that fit."""
    ascii: bool | None = None
    mouse: bool | None = None
    extras: bool | None = None
    """True if the screen shows graphs and marks changed figures."""
    limits: Mapping[str, Threshold] | None = None
    """Thresholds that the user has set, by limit. For a limit that is not in the mapping, the threshold in THRESHOLDS
    applies.
    """

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

    A missing file is not a mistake. If a value is wrong, the key of this value stays unset, and the other keys are set.
    If the file is not TOML, every key stays unset.
    """
    if file is None:
        return NO_SETTINGS, []
    name = printable(str(file))
    try:
        values = read_without_root(str(file), lambda: _parse_toml(_read_text(file), name))
    except FileNotFoundError:
        return NO_SETTINGS, []
    except OSError as error:
        return NO_SETTINGS, [f"{name}: {error.strerror}; no setting is read"]
    except TcptopError as error:
        return NO_SETTINGS, [f"{error}; no setting is read"]
    settings, mistakes = _check_values(values)
    return settings, [f"{name}: {shorten(printable(each))}; the setting is ignored" for each in mistakes]


def _check_values(values: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Checks the values of a settings file; returns the settings, and the text of each mistake."""
    settings, mistakes = NO_SETTINGS, []
    for key, value in values.items():
        try:
            if key != "limits":
                settings = replace(settings, **{key: check_value(key, value)})
        except ValueError as error:
            mistakes.append(str(error))
    limits = values.get("limits", {})
    if not isinstance(limits, dict):
        return settings, [*mistakes, f"limits: a table of limits, not {limits!r:.40}"]
    thresholds: dict[str, Threshold] = {}
    for limit, value in limits.items():
        try:
            thresholds[limit] = _check_threshold(limit, value)
        except ValueError as error:
            mistakes.append(str(error))
    return replace(settings, limits=thresholds or None), mistakes


def _read_text(file: Path) -> str:
    """The text of the file.

    Raises TcptopError with one line if the file is not UTF-8, and OSError if the file cannot be read.
    """
    try:
        return read_bytes(str(file), MOST_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise TcptopError(f"{printable(str(file))}: not UTF-8") from None


def _parse_toml(text: str, name: str) -> dict[str, Any]:
    """The values of a TOML text. If the text is not TOML, raises TcptopError with one line that begins with `name`."""
    # The TOML parser is imported only if a settings file exists, because most users have no settings file.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    if _is_too_deep(text):
        raise TcptopError(f"{name}: a key, a list or a table is more than {MOST_DEPTH} levels deep")
    try:
        values: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message = str(error)
        where = ERROR_LINE.search(message)
        line = f":{where[1]}" if where is not None and where[1] is not None else ""
        reason = shorten(printable(ERROR_LINE.sub("", message)))
        raise TcptopError(f"{name}{line}: not TOML: {reason}") from None
    return values


def _is_too_deep(text: str) -> bool:
    """True if a TOML text has a key with more than MOST_DEPTH dots, or more than MOST_DEPTH open brackets at once."""
    bare = STRINGS.sub("", text)
    if DOTTED.search(bare):
        return True
    depth = 0
    for bracket in re.findall(r"[][{}]", bare):
        depth = max(0, depth + (1 if bracket in "[{" else -1))
        if depth > MOST_DEPTH:
            return True
    return False


def check_value(key: str, value: Any) -> Any:  # noqa: ANN401 (any TOML value)
    """The value of a key as Settings stores it; for an invalid value, raises ValueError with the key in its message."""
    if key not in CHECKS:
        raise ValueError(f"no setting is called {key[:40]!r}; there are: {', '.join(CHECKS)}")
    try:
        return CHECKS[key](value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def write_settings(file: Path, settings: Settings) -> None:
    """Writes the settings to the file, which is replaced in one step.

    A setting is written only if its value differs from the value in the file. No other part of the file changes. Tables
    of limits may be added to the file. A table that the file already contains is never changed, because no keystroke
    on the screen changes limits.

    Raises:
        OSError: if the file cannot be read or written.
        TcptopError: if the file cannot be changed without losing a part of it; the message has one line.

    """
    name = printable(str(file))
    try:
        text = str(read_without_root(str(file), lambda: _read_text(file)))
        changed = change_text(text, settings, name)
    except FileNotFoundError:
        changed = change_text("", settings, name)
    except TcptopError as error:
        raise TcptopError(f"{error}; nothing is written") from None
    make_folders(str(file.parent))
    write_bytes(str(file), changed.encode("utf-8"))


def change_text(text: str, settings: Settings, name: str) -> str:
    """Writes the settings into `text`, the text of a settings file; returns the changed text.

    Raises TcptopError in the same cases as `write_settings`.
    """
    # JSON and TOML write the values of settings in the same way. The import is here, because most runs write no
    # settings.
    import json

    wanted = _parse_toml(text, name)
    present, _ = _check_values(wanted)
    changes: dict[str, str | None] = {}
    """The new value of each changed key, as TOML text; None for a removed key."""
    for key in CHECKS:
        value = getattr(settings, key)
        is_unset = value is None and key != "node"  # for `node`, None is a choice: all nodes
        if value != getattr(present, key) and not is_unset:
            changes[key] = None if value is None else json.dumps(value)
            wanted.pop(key, None)
            if value is not None:
                wanted[key] = list(value) if isinstance(value, tuple) else value
    tables = ""
    limits = wanted.setdefault("limits", {}) if settings.limits else {}
    for limit, threshold in (settings.limits or {}).items() if isinstance(limits, dict) else ():
        if limit not in limits:
            tables += f"\n[limits.{limit}]\nwarn = {threshold.warn!r}\ncritical = {threshold.critical!r}\n"
            limits[limit] = threshold._asdict()
    if not changes and not tables:
        return text
    for lines in _changed_lines(text, changes):
        changed = "\n".join(lines) + tables
        with suppress(TcptopError):
            if _sorted(_parse_toml(changed, name)) == _sorted(wanted):
                return changed
    raise TcptopError(f"{name}: it is written in a way that only an editor can change")


def _changed_lines(text: str, changes: Mapping[str, str | None]) -> Iterator[list[str]]:
    """Yields two versions of the changed text, as lines.

    The first version has the new keys after the last line that sets a known key. The second version has the new keys at
    the top.

    The caller must check each version, because a line that looks like a key may be part of a multi-line value.
    """
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    head, *rest = FIRST_TABLE.split(whole, maxsplit=1)
    lines: list[str] = []
    left = dict(changes)
    end = 0
    for line in head.split("\n"):
        found = KEY_LINE.fullmatch(line)
        key = found["key"] if found is not None else None
        if found is None or key not in left:
            lines.append(line)
        elif (value := left.pop(key)) is not None:
            lines.append(f"{found['before']}{value}{found['after']}")
        else:
            continue
        if key in CHECKS:
            end = len(lines)
    new = [f"{key} = {value}" for key, value in left.items() if value is not None]
    tail = "".join(rest).split("\n")
    lines, joined = lines[:-1], lines[-1] + tail[0]
    for at in (min(end, len(lines)), 0):
        yield [*lines[:at], *new, *lines[at:], joined, *tail[1:]]


def _sorted(values: Mapping[str, Any]) -> list[tuple[str, object]]:
    """TOML values, sorted and converted so that two tables can be compared; NaN equals NaN."""
    return [(key, _sorted(value) if isinstance(value, dict) else repr(value)) for key, value in sorted(values.items())]


def shorten(text: str) -> str:
    """Cuts an error line to MOST_TEXT characters, because the error line may quote a value of any length."""
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"


def _check(is_valid: Callable[[Any], bool], allowed: str) -> Callable[[Any], Any]:
    """Returns a function that checks a value and returns the valid value unchanged.

    If the value is invalid, the returned function raises ValueError. The error's message begins with `allowed`.
    """

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
    """The threshold in the table of a limit. Raises ValueError with the limit's name if the table is invalid."""
    name = f"limits.{limit[:40]}"
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
