"""Names of keys for the help and the palette, derived from the bindings."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding, BindingType

KEY_NAMES = {
    "slash": "/",
    "escape": "ESC",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "equals_sign": "=",
    "question_mark": "?",
    "plus": "+",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "minus": "-",
    "space": "SPACE",
    "ctrl+c": "Ctrl-C",
    "ctrl+l": "Ctrl-L",
    "ctrl+z": "Ctrl-Z",
    "f1": "F1",
}


def bound_keys(bindings: Iterable[BindingType]) -> list[tuple[str, str]]:
    """Pairs of key names and their description; keys with the same description form one pair."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        if isinstance(binding, Binding):
            names = [KEY_NAMES.get(key, key) for key in binding.key.split(",")]
            # Both cases of a letter are one key.
            names = [name for name in names if not (len(name) == 1 and name.isupper() and name.lower() in names)]
            found.setdefault(binding.description, []).extend(names)
    return [("0-9" if len(names) > 6 else " ".join(names), meaning) for meaning, names in found.items()]
