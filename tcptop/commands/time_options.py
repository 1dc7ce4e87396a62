"""--at, --from and --to: the options that select samples of a recording by time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tcptop.recording.time_spec import TimeRange

TIME_OPTIONS = ("--at", "--from", "--to")


def join_offsets(arguments: Sequence[str]) -> list[str]:
    """Replaces `--at -5m` by `--at=-5m` in the arguments, since argparse would take `-5m` for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in TIME_OPTIONS and argument.startswith("-") and argument[1:2].isdigit():
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def add_time_options(parser: argparse.ArgumentParser) -> None:
    """Adds --at, --from and --to."""
    parser.add_argument("--at", metavar="TIME", help="the sample nearest to 12:04:31, 2026-11-22T12:04:31Z, +5m or -5m")
    parser.add_argument("--from", dest="first", metavar="TIME", help="samples from then on")
    parser.add_argument("--to", dest="last", metavar="TIME", help="samples up to then")


def time_range(options: argparse.Namespace) -> TimeRange:
    """The values of --at, --from and --to, not yet parsed."""
    from tcptop.recording.time_spec import TimeRange

    return TimeRange(options.at, options.first, options.last)
