"""Runs a command as a systemd unit would: under its system call filter, and without capabilities."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (systemd)")
needs_seccomp = pytest.mark.skipif(ctypes.util.find_library("seccomp") is None, reason="needs libseccomp2")

UNDER_FILTER = """
import ctypes, ctypes.util, os, sys
seccomp = ctypes.CDLL(ctypes.util.find_library("seccomp"))
seccomp.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(0x00050001)))  # SCMP_ACT_ERRNO(EPERM)
for name in sys.argv[1].split():
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert seccomp.seccomp_rule_add(context, ctypes.c_uint32(0x7FFF0000), number, 0) == 0  # SCMP_ACT_ALLOW
assert seccomp.seccomp_load(context) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Executes a command with a filter that lets all system calls fail except the named ones, as systemd does."""


def settings(unit: Path) -> list[tuple[str, str]]:
    """The names and values of a unit, in order."""
    lines = [line for line in unit.read_text().splitlines() if not line.startswith("#")]
    return [(name, value) for name, is_setting, value in (line.partition("=") for line in lines) if is_setting]


def calls_in(name: str) -> set[str]:
    """The system calls of a set, including the system calls of sets that the set contains."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    words = {line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")}
    return {call for word in words for call in (calls_in(word) if word.startswith("@") else {word})}


def allowed_calls(unit: Path) -> set[str]:
    """The system calls that a unit allows; systemd adds the set @default to every list of allowed ones."""
    allowed = calls_in("@default")
    for value in [value for name, value in settings(unit) if name == "SystemCallFilter"]:
        sets = [calls_in(word) for word in value.removeprefix("~").split()]
        allowed = allowed.difference(*sets) if value.startswith("~") else allowed.union(*sets)
    return allowed


def confined(unit: Path, *command: str) -> Sequence[str]:
    """The command that runs a command under the unit's filter and without capabilities."""
    filtered = [sys.executable, "-c", UNDER_FILTER, " ".join(allowed_calls(unit)), *command]
    if os.geteuid() == 0 and shutil.which("setpriv") is not None:
        filtered = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", *filtered]
    return filtered


def complaints(unit: Path, folder: Path) -> str:
    """The output of `systemd-analyze verify` for a unit whose program is replaced by an existing program."""
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace("/usr/local/bin/tcptop", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    return "\n".join(line for line in done.stderr.splitlines() if f"{unit.name}:" in line)
