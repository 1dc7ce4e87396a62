"""The settings file: what a user wants the screen to start with. Read at the start, written on request only."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tcptop.text.cache_columns import COLUMNS, SORT_KEYS
from tcptop.text.printable import printable
from tcptop.text.quantities import parse_interval_s

THEMES = ("dark", "light")
MOST_LINES = 200
MOST_TEXT = 240
MOST_NODE = 65_535


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file can say; None where it does not."""

    interval: float | None = None
    sort: str | None = None
    """slabtop's letter."""
    theme: str | None = None
    node: int | None = None
    columns: tuple[str, ...] | None = None
    """The columns of the cache table to show, by their ids; all that fit where none are named."""
    ascii: bool | None = None
    mouse: bool | None = None
    extras: bool | None = None
    """Marks on what changed, and graphs."""


NO_SETTINGS = Settings()


def path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the file lies (XDG base directory specification)."""
    base = environment.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path("~/.config").expanduser()) / "tcptop" / "config.toml"


def read(file: Path) -> tuple[Settings, list[str]]:
    """The settings of a file, and what is wrong with it: a line for each line that was passed over.

    No file is no mistake. Each line stands for itself, so that one bad line costs no other.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return Settings(), []
    except (OSError, UnicodeDecodeError) as error:
        return Settings(), [f"{file}: {getattr(error, 'strerror', None) or 'not UTF-8'}"]
    from tcptop.screen.toml_line import values

    settings, wrong = Settings(), []
    for number, line in enumerate(lines[:MOST_LINES], 1):
        try:
            for key, value in values(line).items():
                settings = replace(settings, **{key: checked(key, value)})
        except (ValueError, RecursionError) as error:
            wrong.append(f"{file}:{number}: {shortened(printable(str(error)))}; the line is passed over")
    if len(lines) > MOST_LINES:
        wrong.append(f"{file}:{MOST_LINES + 1}: no more than {MOST_LINES} lines are read; the rest is passed over")
    return settings, wrong


def checked(key: str, value: Any) -> Any:  # noqa: ANN401 (what TOML holds)
    """The value of a key; raises ValueError with a sentence for one that cannot be."""
    if key not in CHECKS:
        raise ValueError(f"no setting is called {key[:40]!r}; there are: {', '.join(CHECKS)}")
    return CHECKS[key](value)


def write(file: Path, settings: Settings) -> None:
    """Writes the settings, whole or not at all; raises OSError."""
    texts = [f"{key} = {_toml(value)}" for key, value in _known(settings).items()]
    file = Path(os.path.realpath(file))  # a link to where somebody keeps such files stays one
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passing = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        passing.write_text("\n".join(texts) + "\n", encoding="utf-8")
        passing.replace(file)
    except OSError:
        passing.unlink(missing_ok=True)
        raise


def _known(settings: Settings) -> dict[str, Any]:
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return {key: value for key, value in values.items() if value is not None}


def _toml(value: Any) -> str:  # noqa: ANN401 (what Settings holds)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def shortened(text: str) -> str:
    """A text of one line, which a value of any length may be part of."""
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…"


def _is_true(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"true or false, not {value!r:.40}")
    return value


def _node(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_NODE:
        raise ValueError(f"the number of a node, not {value!r:.40}")
    return value


def _one_of(names: tuple[str, ...]) -> Callable[[object], str]:
    def one(value: object) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}, not {value!r:.40}")
        return str(value)

    return one


def _columns(value: object) -> tuple[str, ...]:
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
    "node": _node,
    "columns": _columns,
    "ascii": _is_true,
    "mouse": _is_true,
    "extras": _is_true,
}
