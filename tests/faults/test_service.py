"""The recorder runs under the system call filter and without the capabilities that its systemd unit takes away."""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from program import TIME_LIMIT_S, program

UNIT = Path(program()[1]["PYTHONPATH"]) / "docs" / "tcptop-record.service"
ADDED = {
    "SystemCallFilter": "~@privileged @resources",
    "SystemCallErrorNumber": "EPERM",
    "IPAddressDeny": "any",
    "DevicePolicy": "closed",
    "ProtectHostname": "yes",
    "PrivateMounts": "yes",
}

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
"""Executes a command with a filter that fails all system calls but those named, as systemd does."""


def settings() -> list[tuple[str, str]]:
    """The names and values of the unit, in order."""
    lines = UNIT.read_text().splitlines()
    return [(name, value) for name, is_setting, value in (line.partition("=") for line in lines) if is_setting]


def calls_in(name: str) -> set[str]:
    """The system calls of a set, with those of the sets in it."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    words = {line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")}
    return {call for word in words for call in (calls_in(word) if word.startswith("@") else {word})}


def allowed_calls() -> set[str]:
    """The system calls that the unit allows; systemd adds the set @default to every list of allowed ones."""
    allowed = calls_in("@default")
    for value in [value for name, value in settings() if name == "SystemCallFilter"]:
        sets = [calls_in(word) for word in value.removeprefix("~").split()]
        allowed = allowed.difference(*sets) if value.startswith("~") else allowed.union(*sets)
    return allowed


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command under the unit's filter and without capabilities."""
    filtered = [sys.executable, "-c", UNDER_FILTER, " ".join(allowed_calls()), *command]
    if os.geteuid() == 0 and shutil.which("setpriv") is not None:
        filtered = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", *filtered]
    return subprocess.run(
        filtered,
        env=program()[1],
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )


def test_the_unit_takes_away_what_the_recorder_does_not_need() -> None:
    found = settings()
    for setting in ADDED.items():
        assert setting in found
    assert ("CapabilityBoundingSet", "") in found


@needs_systemd
def test_systemd_knows_every_setting_of_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/tcptop", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    assert f"{UNIT.name}:" not in done.stderr


@needs_systemd
@needs_seccomp
def test_the_recorder_runs_under_the_filter(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    command = [*program()[0], "record", "-w", str(path), "--max-size", "1G", "-d", "0.1", "--for", "0.5"]
    done = run(*command)
    assert (done.returncode, done.stderr) == (0, "")
    report = run(*program()[0], "--json", "-r", str(path))
    assert (report.returncode, report.stderr) == (0, "")
    samples = [json.loads(line) for line in report.stdout.splitlines()]
    assert len(samples) >= 2
    if os.geteuid() == 0:
        assert {sample["sources"]["slabinfo"]["state"] for sample in samples} == {"ok"}


@needs_systemd
@needs_seccomp
def test_the_filter_of_that_test_takes_effect() -> None:
    code = "import os\ntry: os.chown('/', -1, -1)\nexcept PermissionError: print('refused')"
    assert run(sys.executable, "-c", code).stdout == "refused\n"
