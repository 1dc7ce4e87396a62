"""The lab: a run that counts wrongly is marked; results of unknown kernels; the rows of a comparison."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from program import output, program

Json = dict[str, Any]

MISCOUNT = """
import os, re, sys
original, first = os.pread, {}

def miscount(match):
    active = int(match[2])
    return match[1] + b"%d" % round(first.setdefault(1, active) + 0.9366 * (active - first[1]))

def pread(descriptor, size, offset):
    return re.sub(rb"(?m)^(TCP +)([0-9]+)", miscount, original(descriptor, size, offset))

os.pread = pread
from tcptop import cli
sys.exit(cli.main(sys.argv[1:]))
"""
"""The program on a kernel that counts 0.9366 TCP socks for each socket."""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a lab needs root and util-linux")
@pytest.mark.xdist_group("live kernel")
@pytest.mark.usefixtures("kernel_lock")
def test_a_lab_that_counts_less_than_one_sock_for_each_socket_is_marked() -> None:
    command, environment = program()
    for _ in range(3):
        done = subprocess.run(
            [*command[:-2], "-c", MISCOUNT, "lab", "--states", "close_wait"],
            env=environment,
            cwd=environment["PYTHONPATH"],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        printed = " ".join(done.stdout.split())
        if "sockets of other programs came or went" not in printed:
            assert "Disturbed: CLOSE_WAIT accepted: the socks counted differ from the sockets by " in printed
            return
    pytest.skip("other programs opened or closed sockets in three labs")


def lab_result(kernel: str | None, sock_bytes: float) -> Json:
    """A small lab result, of one state."""
    row = {"row": "TCP", "objects": 1.0, "bytes": sock_bytes, "r2": 1.0, "names": ["TCP"]}
    state = {"bytes": sock_bytes, "catalogue_bytes": 2520.0, "parts": [row], "vectors": None}
    return {"schema": 1, "kernel": kernel, "page_size": 4096, "family": "ipv4", "states": {"close_wait": state}}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two lab results, the first of an unknown kernel."""
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, found in zip(paths, (lab_result(None, 2520.0), lab_result("6.18.0", 2688.0)), strict=True):
        path.write_text(json.dumps(found))
    return paths


@pytest.mark.parametrize("command", [["diff", "--json"], ["lab", "--json", "--compare"]], ids=["diff", "lab"])
def test_a_kernel_that_is_unknown_is_null_and_both_commands_list_the_rows(
    command: list[str], files: list[Path]
) -> None:
    found = json.loads(output(*command, *files))
    assert found["kernels"] == [None, "6.18.0"]
    [row] = found["parts"]["close_wait"]
    assert (row["row"], row["bytes"], row["change_bytes"]) == ("TCP", [2520.0, 2688.0], 168.0)


def test_the_text_names_an_unknown_kernel(files: list[Path]) -> None:
    assert "unknown kernel (A) beside 6.18.0 (B)" in output("lab", "--compare", *files)
