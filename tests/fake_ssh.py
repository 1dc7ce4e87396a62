"""Programs named `ssh` that replace the system's ssh; each program misbehaves in one way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

GREETS = r"""while read -r word nonce; do
  [ "$word" = tcptop_serve ] && printf '\n%s hello 0 4096 Linux cat\n' "$nonce" && break
done
"""
"""A remote end that sends the greeting of the remote program."""

FAKES: Mapping[str, str] = {
    "sleeps": "exec sleep 600",
    "dribbles": "while :; do printf x; sleep 0.05; done",
    "garbage": "head -c 70000 /dev/urandom; exec sleep 600",
    "closes": "echo 'Connection closed by remote host' >&2; exit 255",
    "greets and sleeps": f"{GREETS}exec sleep 600",
    "greets and dribbles": f"{GREETS}while :; do printf x; sleep 0.05; done",
    "greets and closes": f"{GREETS}read -r line; echo 'Connection reset by peer' >&2; exit 255",
    "greets and answers garbage": f"{GREETS}read -r line; head -c 70000 /dev/urandom; printf '\\n%s what\\n' $nonce; "
    "exec sleep 600",
}
"""The program as a text for sh."""


def put_first(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Makes `ssh` mean a program with this text until the end of the test."""
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
