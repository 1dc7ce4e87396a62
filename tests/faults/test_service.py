"""The recorder runs under the system call filter of its systemd unit, and without the capabilities that the unit
removes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from program import TIME_LIMIT_S, program
from unit_filter import complaints, confined, needs_seccomp, needs_systemd, settings

UNIT = Path(program()[1]["PYTHONPATH"]) / "docs" / "tcptop-record.service"
ADDED = {
    "SystemCallFilter": "~@privileged @resources",
    "SystemCallErrorNumber": "EPERM",
    "IPAddressDeny": "any",
    "DevicePolicy": "closed",
    "ProtectHostname": "yes",
    "PrivateMounts": "yes",
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as the unit would."""
    return subprocess.run(
        confined(UNIT, *command), env=program()[1], capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )


def test_the_unit_takes_away_what_the_recorder_does_not_need() -> None:
    found = settings(UNIT)
    for setting in ADDED.items():
        assert setting in found
    assert ("CapabilityBoundingSet", "") in found


@needs_systemd
def test_systemd_knows_every_setting_of_the_unit(tmp_path: Path) -> None:
    assert complaints(UNIT, tmp_path) == ""


@pytest.mark.slow
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
