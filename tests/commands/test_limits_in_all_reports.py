"""A limit has the same number, sign and words in -o, in explain, in a plan and in the JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded import copy_recording, tree, write_tree

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
    number = r"((?:≥ )?[\d ]+(?: to [\d ]+)?) B"
    text = run("plan", "--root", root, "--connections", "1000")
    [of_plan] = re.findall(rf"(?:more|more fit, half client side,) at {number} each", text)
    for text in (run("-o", "--root", root), run("explain", "headroom", "--root", root)):
        assert re.findall(rf"one more of these sockets takes {number}", text) == [of_plan]
    assert (of_plan.startswith("≥ ") or " to " in of_plan) == least


NO_LIMIT = "9223372036854771712"
FAILS_AT_ONCE = "socket() and accept() fail at once"


@pytest.mark.parametrize("owner", ["a/web", "a"])
@pytest.mark.parametrize("nearest", ["kmem.", ""])
def test_the_limit_of_kernel_memory_of_cgroup_v1_lets_calls_fail(
    run: Run, tmp_path: Path, owner: str, nearest: str
) -> None:
    root = copy_recording("5.10-4n", "established", tmp_path)
    for name in ("", "a", "a/web"):
        below = f"sys/fs/cgroup/memory/{name}".rstrip("/")
        files = {"limit_in_bytes": NO_LIMIT, "kmem.limit_in_bytes": NO_LIMIT, "use_hierarchy": "1"}
        files |= {"usage_in_bytes": "9000000", "kmem.usage_in_bytes": "8000000"}
        files |= {"stat": "total_active_file 0\ntotal_inactive_file 0\n"}
        if name == owner:
            files[f"{nearest}limit_in_bytes"] = "10000000"
        write_tree(root, {f"{below}/memory.{each}": f"{text}\n" for each, text in files.items()})
    arguments = ("--root", str(root), "--cgroup", "a/web")
    commands = (("-o",), ("--json",))
    for text in (run(*command, *arguments) for command in commands):
        assert (FAILS_AT_ONCE in text, "shrink, it reclaims its memory" in text) == (bool(nearest), not nearest)


def files(number: str) -> Callable[[Path], Path]:
    return lambda root: write_tree(root, {"proc/sys/fs/file-nr": number})


@pytest.mark.parametrize(
    ("kernel", "phase", "edited", "name", "sign"),
    [
        ("6.12-4n", "halfclosed", lambda root: root, "tcp_mem", "≥ "),
        ("6.12-4n", "halfclosed", files("9000\t0\t18000\n"), "file-max", "≥ "),
        ("6.12-4n", "halfclosed", files("9000\t0\t4000000\n"), "file-max", ""),
    ],
)
def test_what_fits_below_a_limit_has_one_sign_and_number(
    run: Run, tmp_path: Path, kernel: str, phase: str, edited: Callable[[Path], Path], name: str, sign: str
) -> None:
    root = str(edited(copy_recording(kernel, phase, tmp_path)))
    arguments = ("--root", root, "--connections", "1K", "--buffers", "now")
    row = next(line for line in limits_of(run("--json", "--root", root)) if line["name"] == name.replace("-", "_"))
    assert row["headroom_is_at_least"] == bool(sign)
    planned = next(each for each in limits_of(run("plan", *arguments, "--json")) if each["name"] == row["name"])
    assert planned["connections_are_at_least"] == bool(sign)
    # A plan subtracts the error of the counter also where it is too small to show.
    assert planned["connections"] == row["headroom_sockets"] - (0 if sign else row["used_error"])
    number = row["headroom_sockets"]
    step = 10 ** (len(str(number)) - 3)
    rounded = f"{number // step * step:,}".replace(",", " ")
    assert re.search(rf"\b{name} .*?(?<!≥ ){sign}{rounded} ", run("plan", *arguments).partition(" FITS MORE ")[2])
    assert re.search(rf"\b{name} .*?(?<!≥ ){sign}{rounded} ", run("-o", "--root", root).partition(" FITS MORE ")[2])


def limits_of(document: str) -> list[dict[str, Any]]:
    limits: list[dict[str, Any]] = json.loads(document)["limits"]
    return limits


def test_no_cpus_of_a_node_without_cpus_use_other_memory(run: Run, tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    words = r"the CPUs of node (\d) use memory of other nodes"
    [before] = re.findall(words, run("explain", "headroom", "--root", str(root)))
    write_tree(root, {f"sys/devices/system/node/node{before}/cpulist": "\n"})
    for report in (("explain", "headroom"), ("-o",)):
        [after] = re.findall(words, run(*report, "--root", str(root)))
        assert after != before
    numbers = [run("plan", "--connections", f"{number}K", "--root", str(root)) for number in range(1200, 1700, 50)]
    named = re.findall(r"The CPUs of nodes? ([\d, ]+) (?:may|will) use memory", " ".join(numbers))
    assert named
    assert not any(before in each for each in named)


@pytest.mark.parametrize(
    ("kernel", "phase", "is_range"),
    [("6.12-4n", "halfclosed", True), ("6.1-4n", "halfclosed", True), ("6.12-4n", "timewait", False)],
)
def test_a_node_is_used_up_after_a_range_of_sockets_if_buffers_are_one(
    run: Run, kernel: str, phase: str, is_range: bool
) -> None:
    """The range is that of the bytes of a socket: with buffers at their most, fewer sockets use the node up."""
    root = str(tree(kernel, phase))
    number = r"\d{1,3}(?: \d{3})*"
    headroom = json.loads(run("--json", "--root", root))["headroom"]
    most = min(node["local"] for node in headroom["nodes"].values())
    for report in (("explain", "headroom"), ("-o",)):
        text = run(*report, "--root", root)
        [(low, high)] = re.findall(rf"After (?:({number}) to )?({number}) more sockets, spread as now", text)
        assert bool(low) == is_range
        assert int(high.replace(" ", "")) == pytest.approx(most, rel=0.01)
        if is_range:
            [(least, many)] = re.findall(rf"one more of these sockets takes ({number}) to ({number}) B", text)
            ratio = int(least.replace(" ", "")) / int(many.replace(" ", ""))
            assert int(low.replace(" ", "")) == pytest.approx(most * ratio, rel=0.01)
            assert int(high.replace(" ", "")) >= most


def test_a_node_is_used_up_at_most_after_so_many_sockets_if_their_buffers_are_not_known(
    run: Run, tmp_path: Path
) -> None:
    root = copy_recording("6.12-4n", "established", tmp_path)
    (root / "proc/net/sockstat").unlink()
    text = run("explain", "headroom", "--root", str(root))
    assert re.search(r"After at most [\d ]+ more sockets, spread as now", text)


def in_a_namespace(root: Path, files: int = 4_000_000) -> Path:
    """A tree as a network namespace shows it: without tcp_mem. What fits into memory is 633 000 to 1 460 000."""
    (root / "proc/sys/net/ipv4/tcp_mem").unlink()
    return write_tree(root, {"proc/sys/fs/file-nr": f"8192\t0\t{files}\n"})


@pytest.mark.parametrize(
    ("left", "fits", "names", "high"),
    [
        (4_000_000, "633 000 to 1 460 000", "memory", 1_458_237),
        (900_000, "633 000 to 900 000", "memory or file-max", 900_000),
        (500_000, "500 000", "file-max", None),
    ],
)
def test_the_first_limit_has_the_low_end_of_what_fits_into_memory(
    run: Run, tmp_path: Path, left: int, fits: str, names: str, high: int | None
) -> None:
    root = str(in_a_namespace(copy_recording("6.12-4n", "halfclosed", tmp_path), left + 8192))
    text, headroom = run("-o", "--root", root), json.loads(run("--json", "--root", root))["headroom"]
    most = fits.rpartition(" to ")[2]
    assert re.search(rf"Next(?: limit)?, without tcp_mem: {names}(?:, [^;]* used)?; up to {most} more", text)
    assert f"up to {most} more sockets fit, {names} first of known limits, tcp_mem not known; " in text
    low = headroom["with_reclaim_low"]
    assert headroom["first_limit_sockets"] == min(low, left)
    assert headroom["first_limit_sockets_high"] == (None if high is None else min(left, headroom["with_reclaim"]))
    assert headroom["first_limit_is_at_least"] == (high is not None)
    assert headroom["first_limit_or"] == (["file_max"] if " or " in names else [])
    assert re.search(r" memory ok .* ≥ 633 000 scope machine at most 1 460 000; ", text)


@pytest.mark.parametrize(("kernel", "phase"), [("6.1-1n", "halfclosed"), ("6.18-1n", "established")])
def test_what_fits_before_reclaim_has_one_upper_bound(run: Run, kernel: str, phase: str) -> None:
    text = run("-o", "--root", str(tree(kernel, phase)))
    below = re.findall(r"In free memory, before reclaim: [\d ]+ to ([\d ]+);", text)
    above = re.findall(r"≤ ([\d ]+) before reclaim", text)
    assert below == above[:1] != []
