"""Each key has one action: a method of the app, or of every feed with the key; keys never change their actions."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from drive import tree, tree_app, wait_for_app
from textual.actions import parse
from textual.binding import Binding

from tcptop.screen.app import TcptopApp
from tcptop.screen.feed import Feed
from tcptop.screen.keys import bound_keys, palette_commands
from tcptop.screen.live_feed import LiveFeed
from tcptop.screen.replay_feed import ReplayFeed
from tcptop.screen.saved_feed import MESSAGES, SavedFeed
from tcptop.widgets.pane import Pane

FEEDS: tuple[type[Feed], ...] = (LiveFeed, SavedFeed, ReplayFeed)
"""The user looks back with the keys of a LiveFeed."""

KNOWN_KEYS = {
    "quit": "q,Q,ctrl+c,f10",
    "help": "question_mark,h,H,f1",
    "command_palette": "colon",
    "switch('mode', 'full', 'time_wait')": "m",
    **{f"node({digit})": str(digit) for digit in range(10)},
    "step_node(-1)": "left_square_bracket",
    "step_node(1)": "right_square_bracket",
    "node(None)": "equals_sign,f5",
    "ask_node": "g",
    "ask_sort": "f6",
    "sort('cache')": "n,N",
    "sort('objects')": "o,O",
    "sort('active')": "a,A",
    "sort('use')": "u,U",
    "sort('object_bytes')": "s,S",
    "sort('slabs')": "l,L,v,V",
    "sort('objects_per_slab')": "b,B",
    "sort('pages_per_slab')": "p,P",
    "sort('bytes')": "c,C",
    "sort('tcp')": "e",
    "switch('block_unit', 'blocks', 'bytes')": "y",
    "open_name_filter": "slash,f3,f4",
    "leave": "escape",
    "switch('all_caches', False, True)": "r",
    "mark": "k",
    "switch_attached": "E",
    "switch_extras": "x",
    "explain": "i",
    "zoom": "f11",
    "write_screen": "ctrl+o",
    "copy": "ctrl+y",
    "send_all": "ctrl+l",
    "suspend_process": "ctrl+z",
}
"""The keys of both modes, by action. Users know the keys by heart, so keys are only ever added."""
KNOWN_LIVE_KEYS = {
    "feed('sample')": "space",
    "feed('pause')": "z",
    "feed('ask_interval')": "d",
    "feed('interval', 1)": "plus",
    "feed('interval', -1)": "minus",
    "feed('read_pagetypeinfo')": "f",
    "feed('record')": "w",
    "feed('step', -1)": "T",
    "feed('step', 1)": "t",
    "feed('jump')": "j",
    "feed('back_to_live')": "Z",
    "scroll_columns(-1)": "less_than_sign,shift+left",
    "scroll_columns(1)": "greater_than_sign,shift+right",
}
KNOWN_REPLAY_KEYS = {
    "feed('step', 1)": "t",
    "feed('step', -1)": "T",
    "feed('jump')": "j",
    "feed('play')": "space,z",
    "feed('speed', 1)": "plus",
    "feed('speed', -1)": "minus",
    "feed('first')": "less_than_sign",
    "feed('last')": "greater_than_sign",
    "scroll_columns(-1)": "shift+left",
    "scroll_columns(1)": "shift+right",
}


def actions_by_key(bindings: Iterable[Binding]) -> dict[str, str]:
    return {key: binding.action for binding in bindings for key in binding.key.split(",")}


@pytest.mark.parametrize("feed", FEEDS)
def test_every_key_has_an_action(feed: type[Feed]) -> None:
    handled = {*MESSAGES, "sample", "back_to_live"} if feed is SavedFeed else set(vars(feed))
    for binding in feed.bindings:
        _, name, arguments = parse(binding.action)
        if name == "feed":
            assert arguments[0] in handled, binding
        else:
            assert hasattr(TcptopApp, f"action_{name}"), binding


@pytest.mark.parametrize("feed", FEEDS)
def test_no_key_is_bound_twice(feed: type[Feed]) -> None:
    keys = [key for binding in feed.bindings for key in binding.key.split(",")]
    assert sorted(keys) == sorted(set(keys))


async def test_no_key_of_a_pane_is_a_key_of_the_app() -> None:
    async with tree_app(tree("6.1-4n")).run_test(size=(200, 60)) as pilot:
        app = await wait_for_app(pilot)
        bound = {key for feed in FEEDS for key in actions_by_key(feed.bindings)}
        panes = [pane for pane in app.screen.query(Pane) if pane.can_focus]
        assert len(panes) > 2
        for pane in panes:
            keys = pane._bindings.key_to_bindings
            assert not bound & keys.keys(), pane
            assert all(len(bindings) == 1 for bindings in keys.values()), pane


@pytest.mark.parametrize(
    ("feed", "known"),
    [
        (LiveFeed, KNOWN_KEYS | KNOWN_LIVE_KEYS),
        (SavedFeed, KNOWN_KEYS | KNOWN_LIVE_KEYS),
        (ReplayFeed, KNOWN_KEYS | KNOWN_REPLAY_KEYS),
    ],
)
def test_known_keys_keep_their_action(feed: type[Feed], known: dict[str, str]) -> None:
    actions = actions_by_key(feed.bindings)
    expected = {key: action for action, keys in known.items() for key in keys.split(",")}
    assert {key: actions.get(key) for key in expected} == expected


@pytest.mark.parametrize("feed", FEEDS)
def test_the_palette_has_every_binding_once(feed: type[Feed]) -> None:
    commands = palette_commands(feed.bindings)
    keys_in_palette = [each.keys for each in commands if each.keys]
    assert sorted(keys_in_palette) == sorted(keys for keys, _ in bound_keys(feed.bindings) if keys not in ("0-9", ":"))
    assert {each.action for each in commands if not each.keys} == {
        "explain('glossary')",
        "explain('relations')",
        "explain('socket')",
        "switch_theme",
        "save_settings",
    }
    for command in commands:
        name = parse(command.action)[1]
        assert name == "feed" or hasattr(TcptopApp, f"action_{name}"), command
