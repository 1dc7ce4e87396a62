"""The exporter and the textfile writer run under the filters of their units; the manifest fulfils the page's
promises.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from exporters import GUARD_S, PROJECT, command, port_of
from fake_ssh import FAKES, put_first
from test_exporter_command import wait_for_file
from unit_filter import complaints, confined, needs_seccomp, needs_systemd, settings

from tcptop.commands.exporter import PORT, _parse_options

FLEET = PROJECT / "docs" / "fleet"
RECORDER = PROJECT / "docs" / "tcptop-record.service"
UNITS = [FLEET / "tcptop-exporter.service", FLEET / "tcptop-textfile.service"]
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
MAY_DIFFER = {
    "Description",
    "After",
    "ExecStart",
    "ReadWritePaths",
    "RestrictAddressFamilies",
    "IPAddressAllow",
    "StateDirectory",
    "StateDirectoryMode",
    "UMask",
}


@each_unit
def test_a_unit_is_hardened_as_the_recorders(unit: Path) -> None:
    found, recorder = ([pair for pair in settings(each) if pair[0] not in MAY_DIFFER] for each in (unit, RECORDER))
    assert found == recorder


@each_unit
def test_the_command_of_a_unit_is_understood(unit: Path) -> None:
    [start] = [value for name, value in settings(unit) if name == "ExecStart"]
    program, subcommand, *arguments = start.split()
    assert (program, subcommand) == ("/usr/local/bin/tcptop", "exporter")
    options = _parse_options(arguments)
    assert options.listen == [("127.0.0.1", PORT)] or options.textfile is not None


@needs_systemd
@each_unit
def test_systemd_knows_every_setting(unit: Path, tmp_path: Path) -> None:
    assert complaints(unit, tmp_path) == ""


@needs_systemd
@needs_seccomp
def test_the_exporter_runs_under_the_filter() -> None:
    process = subprocess.Popen(
        confined(UNITS[0], *command("--listen", "127.0.0.1:0")),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        port = port_of(process.stdout.readline())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=GUARD_S) as answer:
            assert b"tcptop_sockets_allocated " in answer.read()
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=GUARD_S)
    assert process.returncode == 0, errors


@needs_systemd
@needs_seccomp
def test_the_textfile_is_written_under_the_filter(tmp_path: Path) -> None:
    path = tmp_path / "tcptop.prom"
    process = subprocess.Popen(confined(UNITS[1], *command("--textfile", path)), stdout=subprocess.DEVNULL, cwd=PROJECT)
    try:
        wait_for_file(path)
    finally:
        process.terminate()
        assert process.wait(timeout=GUARD_S) == 0
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_manifest_takes_away_what_the_exporter_does_not_need() -> None:
    documents: list[dict[str, Any]] = list(yaml.safe_load_all((FLEET / "daemonset.yaml").read_text()))
    [daemonset] = [each for each in documents if each["kind"] == "DaemonSet"]
    pod = daemonset["spec"]["template"]["spec"]
    assert not {"hostPID", "hostNetwork", "hostIPC"} & pod.keys()
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert security["allowPrivilegeEscalation"] is False
        assert all(mount["readOnly"] is True for mount in container["volumeMounts"])
    tcptop = pod["containers"][0]
    assert tcptop["args"][0] == "exporter"
    options = _parse_options(tcptop["args"][1:])
    assert (options.root, options.listen) == ("/host", [("127.0.0.1", PORT)])
    assert f"--upstream=http://127.0.0.1:{PORT}/" in pod["containers"][1]["args"]


def test_an_exporter_of_another_machine_reads_that_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not answer is an error, and no file has the figures of this machine in its place."""
    put_first(monkeypatch, tmp_path, FAKES["closes"])
    path = tmp_path / "out.prom"
    done = subprocess.run(
        [sys.executable, "-m", "tcptop", "exporter", "--host", "down", "--textfile", str(path), "--every", "1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1
    assert "down: " in done.stderr
    assert not path.exists()
