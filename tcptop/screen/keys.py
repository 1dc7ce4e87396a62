"""Keys: the bindings of every app, their meaning in the help, and their names."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding, BindingType

from tcptop.text.cache_columns import SORT_KEYS, find_column

SORT_BINDINGS: list[BindingType] = [
    Binding(
        f"{key},{key.upper()}",
        f"sort('{column_id}')",
        f"sort by {find_column(column_id).heading.title}; again reverses",
    )
    for key, column_id in SORT_KEYS.items()
]

SHARED_BINDINGS: list[BindingType] = [
    Binding("q,Q,ctrl+c", "leave", "quit", priority=False),
    Binding("question_mark,h,H,f1", "help", "help"),
    Binding("m", "switch_accounting", "full or TIME_WAIT accounting"),
    *(Binding(str(digit), f"node({digit})", "that node") for digit in range(10)),
    Binding("left_square_bracket", "step_node(-1)", "previous node"),
    Binding("right_square_bracket", "step_node(1)", "next node"),
    Binding("equals_sign", "all_nodes", "all nodes"),
    Binding("g", "ask_node", "a node by its number"),
    *SORT_BINDINGS,
    Binding("y", "switch_unit", "free blocks or bytes"),
    Binding("slash", "ask_wanted", "only caches with a text in their name, as it is typed"),
    Binding("escape", "end_wanted", "every name again", show=False),
    Binding("r", "switch_caches", "caches of TCP's, or all"),
    Binding("k", "mark", "set a mark: counts show what came since; again ends it"),
    Binding("x", "switch_extras", "marks on what changed, and graphs, on or off"),
    Binding("i", "explain", "explains: sockets by state, memory, headroom, the kernel's paths"),
    Binding("ctrl+l", "send_all", "draw everything again"),
    Binding("ctrl+z", "suspend_process", "suspend"),
]
"""Keys of every app; the action `NAME(…)` is the app's method `action_NAME`."""

LIVE_BINDINGS: list[BindingType] = [
    *SHARED_BINDINGS,
    Binding("space", "sample", "sample now; keeps everything"),
    Binding("z", "pause", "pause, and go on"),
    Binding("d", "ask_interval", "set the interval"),
    Binding("plus", "interval(1)", "longer interval"),
    Binding("minus", "interval(-1)", "shorter interval"),
    Binding("f", "read_pagetypeinfo", "read /proc/pagetypeinfo where its cost is not bounded"),
]
"""Keys of an app on a host."""

RECORDING_BINDINGS: list[BindingType] = [
    *LIVE_BINDINGS,
    Binding("w", "record", "record into a file from now on; again ends it"),
    Binding("T", "step(-1)", "look back into the recording: the sample before"),
    Binding("t", "step(1)", "the next sample of the recording"),
    Binding("j", "jump", "look back: jump to a time"),
    Binding("Z", "live", "back to live; goes on where it is paused"),
]
"""Keys of an app on a host that can record and look back."""

REPLAY_BINDINGS: list[BindingType] = [
    Binding("t", "step(1)", "the next sample"),
    Binding("T", "step(-1)", "the sample before"),
    Binding("j", "jump", "jump to a time"),
    Binding("space,z", "play", "play, and stand still"),
    Binding("plus", "speed(1)", "play faster, up to 100 ×"),
    Binding("minus", "speed(-1)", "play slower"),
    Binding("less_than_sign", "first", "the first sample"),
    Binding("greater_than_sign", "last", "the last sample"),
    *SHARED_BINDINGS,
]
"""Keys of an app on a recording."""

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
