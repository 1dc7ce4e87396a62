"""The options that choose samples of a recording, as they are typed; `moments` says which samples they mean."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """Which samples were asked for, as they were typed."""

    at: str | None = None
    first: str | None = None
    last: str | None = None


ALL = Choice()

CHOICES = ("--at", "--from", "--to")


def with_offsets(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line with `--at -5m` as `--at=-5m`: argparse takes `-5m` for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in CHOICES and argument.startswith("-") and argument[1:2].isdigit():
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that choose samples."""
    parser.add_argument("--at", metavar="TIME", help="the sample nearest to 12:04:31, 2026-11-22T12:04:31Z, +5m or -5m")
    parser.add_argument("--from", dest="first", metavar="TIME", help="samples from then on")
    parser.add_argument("--to", dest="last", metavar="TIME", help="samples up to then")
