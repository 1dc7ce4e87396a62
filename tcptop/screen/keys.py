"""Key bindings of the app and of its feeds, with their descriptions and the key names that the help shows."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding
from textual.keys import format_key

from tcptop.text.cache_columns import SORT_KEYS, find_column

ATTACHED_KEY = "E"


def _both_cases(key: str) -> str:
    """The key names for a letter: lower and upper case.

    If the upper-case key has a meaning of its own, only the name of the lower-case key.
    """
    return key if key.upper() == ATTACHED_KEY else f"{key},{key.upper()}"


SHARED_BINDINGS: list[Binding] = [
    Binding("q,Q,ctrl+c", "quit", "quit", priority=False),
    Binding("question_mark,h,H,f1", "help", "help"),
    Binding("m", "switch('mode', 'full', 'time_wait')", "full or TIME_WAIT accounting"),
    *(Binding(str(digit), f"node({digit})", "that node") for digit in range(10)),
    Binding("left_square_bracket", "step_node(-1)", "previous node"),
    Binding("right_square_bracket", "step_node(1)", "next node"),
    Binding("equals_sign", "node(None)", "all nodes"),
    Binding("g", "ask_node", "a node by its number"),
    *(
        Binding(_both_cases(key), f"sort('{column}')", f"sort by {find_column(column).heading.title}; again reverses")
        for key, column in SORT_KEYS.items()
    ),
    Binding("y", "switch('block_unit', 'blocks', 'bytes')", "free blocks or bytes"),
    Binding("slash", "open_name_filter", "only caches with a text in their name, as it is typed"),
    Binding("escape", "set_name_filter('')", "every name again", show=False),
    Binding("r", "switch('all_caches', False, True)", "caches of TCP's, or all"),
    Binding("k", "mark", "set a mark: counts show what came since; again ends it"),
    Binding(
        ATTACHED_KEY,
        "switch('attached', False, True)",
        "the average with or without epoll, conntrack, TLS and buffers",
    ),
    Binding("x", "switch_extras", "marks on what changed, and graphs, on or off"),
    Binding("i", "explain", "explains: sockets by state, memory, headroom, events, the kernel's paths"),
    Binding("M", "plan", "plan: what more connections would take, with numbers to type over"),
    Binding("ctrl+l", "send_all", "draw everything again"),
    Binding("ctrl+z", "suspend_process", "suspend"),
]
"""Keys that the app handles itself; the action `NAME(…)` calls the app's method `action_NAME`."""

LIVE_BINDINGS: list[Binding] = [
    *SHARED_BINDINGS,
    Binding("space", "feed('sample')", "sample now; keeps everything"),
    Binding("z", "feed('pause')", "pause, and go on"),
    Binding("d", "feed('ask_interval')", "set the interval"),
    Binding("plus", "feed('interval', 1)", "longer interval"),
    Binding("minus", "feed('interval', -1)", "shorter interval"),
    Binding("f", "feed('read_pagetypeinfo')", "read /proc/pagetypeinfo where its cost is not bounded"),
    Binding("w", "feed('record')", "record into a file from now on; again ends it"),
    Binding("T", "feed('step', -1)", "look back into the recording: the sample before"),
    Binding("t", "feed('step', 1)", "the next sample of the recording"),
    Binding("j", "feed('jump')", "look back: jump to a time"),
    Binding("Z", "feed('back_to_live')", "back to live; goes on where it is paused"),
]
"""All keys on a live host or a saved tree; the action `feed('NAME', …)` calls the feed's method NAME."""

REPLAY_BINDINGS: list[Binding] = [
    Binding("t", "feed('step', 1)", "the next sample"),
    Binding("T", "feed('step', -1)", "the sample before"),
    Binding("j", "feed('jump')", "jump to a time"),
    Binding("space,z", "feed('play')", "play, and stand still"),
    Binding("plus", "feed('speed', 1)", "play faster, up to 100 ×"),
    Binding("minus", "feed('speed', -1)", "play slower"),
    Binding("less_than_sign", "feed('first')", "the first sample"),
    Binding("greater_than_sign", "feed('last')", "the last sample"),
    *SHARED_BINDINGS,
]
"""All keys during the replay of a recording."""

LIVE_QUESTIONS = ("ask_interval", "record", "jump")
QUIT_KEYS = frozenset(SHARED_BINDINGS[0].key.split(","))
OPENING_ACTIONS = ("help", "plan", "ask_node", "open_name_filter", "explain", *map("feed('{}')".format, LIVE_QUESTIONS))
OPENING_KEYS = frozenset(
    key
    for binding in (*LIVE_BINDINGS, *REPLAY_BINDINGS)
    if binding.action in OPENING_ACTIONS
    for key in binding.key.split(",")
) | {"colon", "enter"}
"""Keys that may open another screen. On that screen, QUIT_KEYS may have another meaning."""

KEY_NAMES = {
    "escape": "ESC",
    "space": "SPACE",
    "ctrl+c": "Ctrl-C",
    "ctrl+l": "Ctrl-L",
    "ctrl+z": "Ctrl-Z",
    "f1": "F1",
}
"""Key names that the help shows instead of the names that Textual's format_key returns."""


def bound_keys(bindings: Iterable[Binding]) -> list[tuple[str, str]]:
    """Pairs (key names, description); keys with the same description are joined into one pair."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        names = [KEY_NAMES.get(key, format_key(key)) for key in binding.key.split(",")]
        # If both cases of a letter are bound, only the lower case is listed.
        names = [name for name in names if not (len(name) == 1 and name.isupper() and name.lower() in names)]
        found.setdefault(binding.description, []).extend(names)
    return [("0-9" if len(names) > 6 else " ".join(names), meaning) for meaning, names in found.items()]
