"""Each key has an action: a method of the app, or of every feed that offers the key."""

from __future__ import annotations

import pytest
from textual.actions import parse

from tcptop.screen.app import TcptopApp
from tcptop.screen.feed import Feed
from tcptop.screen.live_feed import LiveFeed
from tcptop.screen.replay_feed import ReplayFeed
from tcptop.screen.saved_feed import MESSAGES, SavedFeed


@pytest.mark.parametrize("feed", [LiveFeed, SavedFeed, ReplayFeed])
def test_every_key_has_an_action(feed: type[Feed]) -> None:
    handled = {*MESSAGES, "sample", "back_to_live"} if feed is SavedFeed else set(vars(feed))
    for binding in feed.bindings:
        _, name, arguments = parse(binding.action)
        if name == "feed":
            assert arguments[0] in handled, binding
        else:
            assert hasattr(TcptopApp, f"action_{name}"), binding


def test_a_key_of_a_feed_is_no_key_of_the_app() -> None:
    for feed in (LiveFeed, ReplayFeed):
        keys = [key for binding in feed.bindings for key in binding.key.split(",")]
        assert len(keys) == len(set(keys))
