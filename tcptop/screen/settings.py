"""The settings file (TOML): read at the start, written only at the user's request."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tcptop.text.cache_columns import COLUMNS, SORT_KEYS
from tcptop.text.printable import printable
from tcptop.text.quantities import parse_interval_s

THEMES = ("dark", "light")
MOST_BYTES = 64 << 10
MOST_TEXT = 240
MOST_NODE = 65_535

ERROR_LINE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")
"""Position at the end of tomllib's error messages."""


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


NO_SETTINGS = Settings()


def settings_path(environment: Mapping[str, str] = os.environ) -> Path:
    """The path of the settings file, by the XDG Base Directory specification."""
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path("~/.config").expanduser()) / "tcptop" / "config.toml"


def read_settings(file: Path) -> tuple[Settings, list[str]]:
    """The settings of a file, and one line of text for each mistake in the file.

    A missing file is no mistake. A wrong value leaves only its own key unset; a file that is not TOML leaves every key
    unset.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            return NO_SETTINGS, [f"{file}: larger than {MOST_BYTES >> 10} KiB; no setting is read"]
        text = content.decode("utf-8")
    except FileNotFoundError:
        return NO_SETTINGS, []
    except OSError as error:
        return NO_SETTINGS, [f"{file}: {error.strerror}"]
    except UnicodeDecodeError:
        return NO_SETTINGS, [f"{file}: not UTF-8; no setting is read"]
    try:
        values = _parse_toml(text)
    except (ValueError, RecursionError) as error:
        message = str(error)
        where = ERROR_LINE.search(message)
        line = f":{where[1]}" if where is not None and where[1] is not None else ""
        reason = shorten(printable(ERROR_LINE.sub("", message)))
        return NO_SETTINGS, [f"{file}{line}: not TOML: {reason}; no setting is read"]
    settings, mistakes = NO_SETTINGS, []
    for key, value in values.items():
        try:
            settings = replace(settings, **{key: check_value(key, value)})
        except ValueError as error:
            mistakes.append(f"{file}: {shorten(printable(str(error)))}; the setting is ignored")
    return settings, mistakes


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
    texts = [f"{key} = {_to_toml(value)}" for key, value in _known_values(settings).items()]
    file = Path(os.path.realpath(file))  # a symbolic link, as into a dotfiles folder, is kept: its target is replaced
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text("\n".join(texts) + "\n", encoding="utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _known_values(settings: Settings) -> dict[str, Any]:
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return {key: value for key, value in values.items() if value is not None}


def _to_toml(value: Any) -> str:  # noqa: ANN401 (a value of Settings)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_to_toml(each) for each in value)}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def shorten(text: str) -> str:
    """Cuts an error line to MOST_TEXT characters, because it may quote a value of any length."""
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"


def _check_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"true or false, not {value!r:.40}")
    return value


def _check_node(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_NODE:
        raise ValueError(f"the number of a node, not {value!r:.40}")
    return value


def _one_of(names: tuple[str, ...]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}, not {value!r:.40}")
        return str(value)

    return check


def _check_columns(value: object) -> tuple[str, ...]:
    known = [each.id for each in COLUMNS]
    if not isinstance(value, list) or not value:
        raise ValueError(f"a list of some of {', '.join(known)}")
    strange = next((each for each in value if each not in known), None)
    if strange is not None:
        raise ValueError(f"no column is called {strange!r:.40}; there are: {', '.join(known)}")
    return tuple(value)


CHECKS: dict[str, Callable[[Any], Any]] = {
    "interval": lambda value: parse_interval_s(str(value)),
    "sort": _one_of(tuple(sorted(SORT_KEYS))),
    "theme": _one_of(THEMES),
    "node": _check_node,
    "columns": _check_columns,
    "ascii": _check_bool,
    "mouse": _check_bool,
    "extras": _check_bool,
}
