"""`tcptop` and `tcptop -r FILE`: the screen, on a host or on a recording."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tcptop.commands.common import load_lab_result, open_host
from tcptop.commands.time_options import time_range
from tcptop.terminal.requirements import require_terminal

if TYPE_CHECKING:
    from tcptop.screen.app import TcptopApp
    from tcptop.screen.settings import Settings


def run(options: argparse.Namespace) -> int:
    """Runs the screen until it is quit; gives the exit code."""
    require_terminal()
    # Imported modules stay; collecting garbage among them again and again takes a tenth of the start.
    gc.disable()
    from dataclasses import replace

    from tcptop.screen.settings import read_settings, settings_path
    from tcptop.text.ascii import needs_ascii

    settings, mistakes = read_settings(settings_path())
    given = {"interval": options.delay, "sort": options.sort, "theme": options.theme}
    settings = replace(
        settings,
        **{key: value for key, value in given.items() if value is not None},
        mouse=options.mouse or settings.mouse,
        ascii=options.ascii or settings.ascii,
    )
    # What this terminal lacks is not the user's choice, so it never reaches the settings file.
    ascii_alone = needs_ascii(encoding=sys.stdout.encoding) if settings.ascii is None else settings.ascii
    make_app = _make_live_app if options.replay is None else _make_replay_app
    app = make_app(options, settings, mistakes)
    from tcptop.screen import app as screen

    gc.freeze()
    gc.enable()
    return screen.run(app, settings, ascii_alone)


def _make_live_app(options: argparse.Namespace, settings: Settings, mistakes: Sequence[str]) -> TcptopApp:
    host, lab_result = open_host(options.root), load_lab_result(options.lab)
    from tcptop.screen.recording_app import RecordingApp

    return RecordingApp(host, settings.interval or 1.0, settings.sort, lab_result, settings, mistakes)


def _make_replay_app(options: argparse.Namespace, settings: Settings, mistakes: Sequence[str]) -> TcptopApp:
    from tcptop.recording.opening import open_recording
    from tcptop.screen.playback import select_and_start

    lab_result = load_lab_result(options.lab)
    selected, start = select_and_start(open_recording(options.replay), time_range(options))
    from tcptop.screen.replay_app import ReplayApp

    return ReplayApp(selected, start, settings.sort, lab_result, settings, mistakes)
