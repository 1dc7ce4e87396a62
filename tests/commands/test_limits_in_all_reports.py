"""A limit has the same number, sign and words in -o, in explain, in a plan and in the JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import copy_recording

from tcptop.cli import main

Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs tcptop without a settings file; returns its output as one line."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no settings"))

    def run_tcptop(*arguments: str) -> str:
        with pytest.raises(SystemExit):
            main(arguments)
        return " ".join(capsys.readouterr().out.replace(">=", "≥").replace("<=", "≤").split())

    return run_tcptop


def without_security_list(root: Path) -> Path:
    (root / "sys/kernel/security/lsm").unlink()
    return root


def without_slabinfo(root: Path) -> Path:
    (root / "proc/slabinfo").unlink()
    return root


@pytest.mark.parametrize(
    ("kernel", "phase", "edited", "least"),
    [
        ("6.1-4n", "established", without_security_list, True),
        ("6.12-4n", "halfclosed", without_security_list, True),
        ("6.12-4n", "halfclosed", without_slabinfo, True),
        ("6.12-4n", "halfclosed", lambda root: root, True),
        ("6.1-4n", "established", lambda root: root, False),
    ],
)
def test_the_bytes_of_one_more_socket_have_one_sign_and_rounding(
    run: Run, tmp_path: Path, kernel: str, phase: str, edited: Callable[[Path], Path], least: bool
) -> None:
    root = str(edited(copy_recording(kernel, phase, tmp_path)))
    number = r"((?:≥ )?[\d ]+) B"
    [of_plan] = re.findall(rf"more at {number} each", run("plan", "--root", root, "--connections", "1000"))
    for text in (run("-o", "--root", root), run("explain", "headroom", "--root", root)):
        assert re.findall(rf"one more of these sockets takes {number}", text) == [of_plan]
    assert of_plan.startswith("≥ ") == least
