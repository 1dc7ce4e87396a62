"""Processes that a pid namespace or an option of procfs hides: real namespaces and mounts, as root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tcptop.sock_diag import visibility
from tcptop.sock_diag.mounts import read_mounts
from tcptop.sock_diag.net_namespaces import list_pids
from tcptop.sock_diag.visibility import hidden_processes

PROGRAM = """
from tcptop.sock_diag.net_namespaces import list_pids
from tcptop.sock_diag.visibility import hidden_processes
print(*hidden_processes(list_pids()))
"""
USER = ("setpriv", "--reuid", "65534", "--regid", "65533", "--clear-groups")


def hidden(*command: str) -> list[str]:
    """Answer of a child process, started with the given command, to the question what is hidden from it."""
    if os.geteuid() != 0 or [*hidden_processes(list_pids())]:
        pytest.skip("needs root of the machine")
    for part in (("unshare", "-pfm", "--mount-proc", "true"), (*USER, sys.executable, "-c", "import json")):
        if subprocess.run(part, capture_output=True, check=False).returncode:
            pytest.skip("needs unshare and setpriv, and an interpreter that any user may run")
    done = subprocess.run([*command, sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def mounted(options: str) -> tuple[str, ...]:
    return "unshare", "-m", "sh", "-c", f'mount -t proc -o {options} proc /proc && exec "$@"', "sh"


def test_a_pid_namespace_with_a_procfs_of_its_own_hides() -> None:
    assert hidden() == []
    assert hidden("unshare", "-pf", "--mount-proc") == ["pid_namespace"]


def test_a_pid_namespace_beside_the_procfs_of_the_machine_hides_nothing() -> None:
    assert hidden("unshare", "-pf") == []


@pytest.mark.parametrize("value", [1, 2])
def test_hidepid_hides_from_all_but_root_and_its_group(value: int) -> None:
    option = f"hidepid={value}"
    assert hidden(*mounted(option)) == []
    assert hidden(*mounted(option), *USER) == ["hidepid"]
    assert hidden(*mounted(f"{option},gid=65533"), *USER) == []
    assert hidden(*mounted(f"{option},gid=65532"), *USER[:-1], "--groups", "65532") == []
    assert hidden(*mounted(option), "setpriv", "--reuid", "65534", "--clear-groups") == [], "gid is 0 by default"
    assert hidden("unshare", "-pfm", "--mount-proc", *mounted(option)[2:], *USER) == ["pid_namespace", "hidepid"]


def test_a_root_without_the_right_to_trace_is_hidden_from() -> None:
    without = ("setpriv", "--regid", "65533", "--clear-groups", "--bounding-set", "-sys_ptrace")
    assert hidden(*mounted("hidepid=2"), *without, "--inh-caps", "-sys_ptrace") == ["hidepid"]


@pytest.mark.parametrize(
    ("options", "groups", "hides"),
    [
        ("rw", [5], False),
        ("rw,hidepid=0", [5], False),
        ("rw,hidepid=off", [5], False),
        ("rw,hidepid=invisible", [5], True),
        ("rw,hidepid=noaccess", [5], True),
        ("rw,gid=5,hidepid=2", [5], False),
        ("rw,gid=6,hidepid=1", [5], True),
        ("rw,hidepid=2", [0], False),
        ("rw,gid=5,hidepid=ptraceable", [5], True),
        ("rw,gid=5,hidepid=4", [5], True),
    ],
)
def test_options_of_procfs(
    options: str, groups: list[int], hides: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(
        "30 1 0:4 / /proc rw - proc proc rw,hidepid=9\n"
        f"31 1 0:5 / /proc rw - proc proc {options}\n32 1 0:5 / /proc/x rw - proc proc rw\n"
    )
    monkeypatch.setattr(visibility, "read_mounts", lambda: read_mounts(str(file)))
    monkeypatch.setattr(visibility, "_may_trace_all", lambda: False)
    monkeypatch.setattr(os, "getegid", lambda: 77)
    monkeypatch.setattr(os, "getgroups", lambda: groups)
    monkeypatch.setattr(visibility, "_target", lambda _: visibility.FIRST_PID_NAMESPACE)
    assert ([*hidden_processes([])] == ["hidepid"]) is hides
