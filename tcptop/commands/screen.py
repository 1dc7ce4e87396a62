"""`tcptop` and `tcptop -r FILE`: run the screen on a host or on a recording."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING

from tcptop.commands.common import OVER_SSH_S, load_lab_result, open_chosen_host, time_range
from tcptop.terminal.requirements import remove_textual_variables, require_terminal

if TYPE_CHECKING:
    from tcptop.screen.feed import Feed


def run(options: argparse.Namespace) -> int:
    """Runs the screen until the user quits; returns the exit code."""
    require_terminal()
    remove_textual_variables()
    # Garbage collections during the imports would take a tenth of the start time. The collections would free hardly any
    # memory, because imported modules stay in memory.
    gc.disable()
    from dataclasses import replace

    from tcptop.settings.file import read_settings, settings_path
    from tcptop.text.ascii import needs_ascii

    settings, mistakes = read_settings(settings_path())
    delay_s = options.delay
    if delay_s is None and options.host is not None:
        delay_s = settings.interval or OVER_SSH_S
    given = {"interval": delay_s, "sort": options.sort, "theme": options.theme}
    settings = replace(
        settings,
        **{key: value for key, value in given.items() if value is not None},
        mouse=options.mouse or settings.mouse,
        ascii=options.ascii or settings.ascii,
    )
    # If the terminal needs ASCII, `settings.ascii` stays unset: `settings` may be saved to a file, and the user did not
    # choose ASCII.
    ascii_alone = needs_ascii(os.environ, sys.stdout.encoding) if settings.ascii is None else settings.ascii
    from tcptop.screen.app import TcptopApp
    from tcptop.terminal.hangup import die_by_received_signal
    from tcptop.widgets.pane import ASCII_CLASS

    # The files are opened only after the imports: an import may need root's privileges, which are dropped when another
    # user's file is opened.
    feed = _live_feed(options) if options.replay is None else _replay_feed(options)
    app = TcptopApp(feed, settings, mistakes)
    app.set_class(ascii_alone, ASCII_CLASS)
    gc.freeze()
    gc.enable()
    app.run(mouse=bool(settings.mouse))
    die_by_received_signal()
    return app.return_code or 0


def _live_feed(options: argparse.Namespace) -> Feed:
    host, lab_result = open_chosen_host(options), load_lab_result(options.lab)
    if host.identity.live:
        from tcptop.screen.live_feed import LiveFeed

        return LiveFeed(host, lab_result, options.cgroup)
    from tcptop.screen.saved_feed import SavedFeed

    return SavedFeed(host, lab_result, options.cgroup)


def _replay_feed(options: argparse.Namespace) -> Feed:
    from tcptop.recording.opening import open_recording
    from tcptop.screen.replay_feed import ReplayFeed, select_for_replay

    lab_result = load_lab_result(options.lab)
    return ReplayFeed(select_for_replay(open_recording(options.replay), time_range(options)), lab_result)
