"""Key bindings of the app and of its feeds, with their descriptions and the key names that the help shows."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding
from textual.keys import format_key

from tcptop.text.cache_columns import SORT_KEYS, find_column
from tcptop.widgets.palette import Command

ATTACHED_KEY = "E"
DIGIT_KEYS = "0-9"


def _both_cases(key: str) -> str:
    """The names of the keys for a letter: its lower case and its upper case.

    If the upper-case letter has a meaning of its own, only the lower-case letter is named.
    """
    return key if key.upper() == ATTACHED_KEY else f"{key},{key.upper()}"


SHARED_BINDINGS: list[Binding] = [
    Binding("q,Q,ctrl+c,f10", "quit", "quit", priority=False),
    Binding("question_mark,h,H,f1", "help", "show the help"),
    Binding("colon", "command_palette", "list all commands"),
    Binding("m", "switch('mode', 'full', 'time_wait')", "switch between open sockets and TIME_WAIT"),
    *(Binding(str(digit), f"node({digit})", "caches, free blocks of that node alone") for digit in range(10)),
    Binding("left_square_bracket", "step_node(-1)", "caches, free blocks of the previous node"),
    Binding("right_square_bracket", "step_node(1)", "caches, free blocks of the next node"),
    Binding("equals_sign,f5", "node(None)", "show all nodes; again: their table, on a low screen"),
    Binding("g", "ask_node", "go to node…"),
    *(
        Binding(_both_cases(key), f"sort('{column}')", f"sort by {find_column(column).heading.title}; again reverses")
        for key, column in SORT_KEYS.items()
    ),
    Binding("f6", "ask_sort", "sort by…, asks for the column"),
    Binding("y", "switch('block_unit', 'blocks', 'bytes')", "switch between free blocks and bytes"),
    Binding("slash,f3,f4", "open_name_filter", "find caches by a text in their name, as it is typed"),
    Binding("escape", "leave", "end the zoom, or clear the filter", show=False),
    Binding("r", "switch('all_caches', False, True)", "switch between TCP caches and all caches"),
    Binding("shift+left", "scroll_columns(-1)", "scroll the columns of the caches to the left"),
    Binding("shift+right", "scroll_columns(1)", "scroll the columns of the caches to the right"),
    Binding("f11", "zoom", "zoom the pane with the focus; again ends the zoom"),
    Binding("k", "mark", "set a mark: counts show what came since; again ends it"),
    Binding(
        ATTACHED_KEY,
        "switch_attached",
        "switch the average with or without epoll, conntrack, TLS and buffers",
    ),
    Binding("x", "switch_extras", "switch rates and graphs on or off"),
    Binding("i", "explain", "explain: states, what a socket is made of, memory, limits, words"),
    Binding("M", "plan", "plan: what more connections would take, with numbers to type over"),
    Binding("W", "holders", "who holds the sockets: by process, container, port, state, user"),
    Binding("ctrl+o", "write_screen", "write the screen into a file, as text or SVG"),
    Binding("ctrl+y", "copy", "copy the selected row or the pane to the clipboard"),
    Binding("ctrl+l", "send_all", "draw everything again"),
    Binding("ctrl+z", "suspend_process", "suspend"),
]
"""Keys that the app handles itself; the action `NAME(…)` calls the app's method `action_NAME`."""

LIVE_BINDINGS: list[Binding] = [
    *SHARED_BINDINGS,
    Binding("space", "feed('sample')", "sample now"),
    Binding("z", "feed('pause')", "pause, and go on"),
    Binding("d", "feed('ask_interval')", "set the interval…"),
    Binding("plus", "feed('interval', 1)", "lengthen the interval"),
    Binding("minus", "feed('interval', -1)", "shorten the interval"),
    Binding("less_than_sign", "scroll_columns(-1)", "scroll the columns of the caches to the left"),
    Binding("greater_than_sign", "scroll_columns(1)", "scroll the columns of the caches to the right"),
    Binding("f", "feed('read_pagetypeinfo')", "read /proc/pagetypeinfo where its cost is not bounded"),
    Binding("w", "feed('record')", "record into a file from now on; again ends it"),
    Binding("T", "feed('step', -1)", "look back into the recording: the sample before"),
    Binding("t", "feed('step', 1)", "show the next sample of the recording"),
    Binding("j", "feed('jump')", "look back: jump to a time…"),
    Binding("Z", "feed('back_to_live')", "go back to live, or end the pause"),
]
"""All keys on a live host or a saved tree; the action `feed('NAME', …)` calls the feed's method NAME."""

REPLAY_BINDINGS: list[Binding] = [
    Binding("t", "feed('step', 1)", "show the next sample"),
    Binding("T", "feed('step', -1)", "show the sample before"),
    Binding("j", "feed('jump')", "jump to a time…"),
    Binding("space,z", "feed('play')", "play, and stand still"),
    Binding("plus", "feed('speed', 1)", "play faster, up to 100 ×"),
    Binding("minus", "feed('speed', -1)", "play slower"),
    Binding("less_than_sign", "feed('first')", "show the first sample"),
    Binding("greater_than_sign", "feed('last')", "show the last sample"),
    *SHARED_BINDINGS,
]
"""All keys during the replay of a recording."""

LIVE_QUESTIONS = ("ask_interval", "record", "jump")
QUIT_KEYS = frozenset(SHARED_BINDINGS[0].key.split(","))
OPENING_ACTIONS = (
    *(
        "help",
        "plan",
        "holders",
        "command_palette",
        "ask_node",
        "ask_sort",
        "open_name_filter",
        "explain",
        "write_screen",
    ),
    *map("feed('{}')".format, LIVE_QUESTIONS),
)
OPENING_KEYS = frozenset(
    key
    for binding in (*LIVE_BINDINGS, *REPLAY_BINDINGS)
    if binding.action in OPENING_ACTIONS
    for key in binding.key.split(",")
) | {"enter"}
"""Keys that may open another screen. On the opened screen, QUIT_KEYS may have a meaning other than quitting the
program."""

KEY_NAMES = {
    "escape": "ESC",
    "space": "SPACE",
    "ctrl+c": "Ctrl-C",
    "ctrl+l": "Ctrl-L",
    "ctrl+o": "Ctrl-O",
    "ctrl+y": "Ctrl-Y",
    "ctrl+z": "Ctrl-Z",
    "shift+left": "Shift-←",
    "shift+right": "Shift-→",
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
}
"""Key names that the help shows instead of the names that Textual's format_key() returns."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Show": (
        "switch",
        "switch_attached",
        "switch_extras",
        "open_name_filter",
        "leave",
        "mark",
        "zoom",
        "scroll_columns",
    ),
    "Explain": ("explain", "plan", "holders", "help"),
    "Nodes": ("step_node", "node", "ask_node"),
    "Sort": ("ask_sort", "sort"),
    "Samples": ("feed",),
    "Write": ("write_screen", "copy", "save_settings"),
    "Program": ("switch_theme", "send_all", "suspend_process", "quit"),
}
"""Groups of the palette, with the names of the actions in each group."""
SORT_MEANING = "sort by a column, whose letter stands below; again reverses"
KEYLESS_COMMANDS = (
    ("explain what a socket is made of", "explain('socket')"),
    ("explain every word on the screen", "explain('glossary')"),
    ("explain how the objects of a socket point at each other", "explain('relations')"),
    ("switch between dark and light", "switch_theme"),
    ("write these settings to the settings file", "save_settings"),
)
"""Commands that have no key: their meanings and their actions."""


def palette_commands(bindings: Iterable[Binding]) -> list[Command]:
    """The entries of the palette by group: every binding that has its own command, and the commands without a key.

    Groups of similar bindings, such as those of the digits, are left out.
    """
    bindings = list(bindings)
    actions = {binding.description: binding.action for binding in reversed(bindings)}
    entries = [(meaning, keys, actions[meaning]) for keys, meaning in bound_keys(bindings) if keys != DIGIT_KEYS]
    entries += [(meaning, "", action) for meaning, action in KEYLESS_COMMANDS]
    return [
        Command(group, meaning, keys, action)
        for group, names in GROUPS.items()
        for meaning, keys, action in entries
        if action.partition("(")[0] in names
    ]


def help_keys(bindings: Iterable[Binding]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The key names and meanings that the help shows, by group; all keys that sort by a column are one entry."""
    bindings = list(bindings)
    group_of = {action: group for group, actions in GROUPS.items() for action in actions}
    actions = {binding.description: binding.action.partition("(")[0] for binding in reversed(bindings)}
    groups: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for keys, meaning in bound_keys(bindings):
        if actions[meaning] != "sort":
            groups[group_of.get(actions[meaning], "Program")].append((keys, meaning))
    groups["Sort"].append((" ".join(SORT_KEYS), SORT_MEANING))
    return list(groups.items())


def bound_keys(bindings: Iterable[Binding]) -> list[tuple[str, str]]:
    """Pairs (key names, description); keys with the same description form one pair."""
    found: dict[str, list[str]] = {}
    for binding in bindings:
        names = [KEY_NAMES.get(key, format_key(key)) for key in binding.key.split(",")]
        # If both cases of a letter are bound, only the lower case is listed.
        names = [name for name in names if not (len(name) == 1 and name.isupper() and name.lower() in names)]
        found.setdefault(binding.description, []).extend(names)
    return [(DIGIT_KEYS if len(names) > 6 else " ".join(names), meaning) for meaning, names in found.items()]
