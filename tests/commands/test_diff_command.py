"""`tcptop diff` as a process: its output, its errors and its exit code."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import forked_program
import pytest
from packed_trees import DATE, SOSREPORT, archive_of, sosreport_of
from recorded import copy_recording, counters, tree
from samples import phase_trees, record
from test_imports import SCREEN_PACKAGES, imported_modules, packages

PROJECT = Path(__file__).resolve().parents[2]
BASE, ESTABLISHED = (str(tree("6.1-4n", phase)) for phase in ("base", "established"))


def diff(*arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return forked_program.run("diff", *arguments, folder=folder)


def diff_output(*arguments: str, folder: Path = PROJECT) -> str:
    """Standard output, after asserting exit code 0 and no error."""
    ran = diff(*arguments, folder=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def diff_error(*arguments: str) -> str:
    """The line on standard error, after asserting exit code 1 and no output."""
    ran = diff(*arguments)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("tcptop: ")
    assert ran.stderr.count("\n") == 1
    assert ran.stderr[:-1].isprintable()
    return ran.stderr


def test_two_trees_as_text_and_as_json() -> None:
    text, found = diff_output(BASE, ESTABLISHED), json.loads(diff_output("--json", BASE, ESTABLISHED))
    assert text.startswith("tcptop diff: what changed from A to B\n")
    more = counters("6.1-4n", "established")["alloc"] - counters("6.1-4n", "base")["alloc"]
    assert found["sockets"]["allocated"]["change"] == more
    assert f"+{more:,}".replace(",", " ") in text
    assert found["slab_growth"]["sockets_low_share"] < 1 < found["slab_growth"]["sockets_high_share"]


def test_the_exit_code_is_0_if_nothing_differs() -> None:
    assert "did not change" in diff_output(BASE, BASE)


def test_a_folder_an_archive_and_a_sosreport_can_be_compared(tmp_path: Path) -> None:
    archive = archive_of(Path(BASE), tmp_path / "base.tar.bz2", "w:bz2")
    report = sosreport_of("6.1-4n", "established", tmp_path)
    packed = archive_of(report, tmp_path / "report.tar.xz", "w:xz", SOSREPORT)
    expected = json.loads(diff_output("--json", BASE, ESTABLISHED))
    for after in (report, packed):
        found = json.loads(diff_output("--json", str(archive), str(after)))
        assert found["sockets"] == expected["sockets"]
        assert found["slab_growth"]["bytes"] == expected["slab_growth"]["bytes"]
        assert found["after"]["host"] == "web17"
        assert found["after"]["taken_at"] == "2026-11-22T12:04:31.000Z", DATE


def test_this_machine_with_itself() -> None:
    found = json.loads(diff_output("--json", "live", "live"))
    assert (found["before"]["live"], found["after"]["live"]) == (True, True)
    assert found["before"]["taken_at"] <= found["after"]["taken_at"]
    assert found["unlike"] == []


def test_a_file_named_live_is_given_as_a_path(tmp_path: Path) -> None:
    archive_of(Path(BASE), tmp_path / "live")
    found = json.loads(diff_output("--json", "./live", "live", folder=tmp_path))
    assert (found["before"]["live"], found["after"]["live"]) == (False, True)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of this machine: 2 s, a sample every 0.5 s. The name of the recording contains an @."""
    path = tmp_path_factory.mktemp("recording") / "web@1.tcptop"
    command = [sys.executable, "-m", "tcptop", "record", "-w", str(path), "-d", "0.5", "--for", "2s"]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=PROJECT)
    return path


@pytest.mark.slow
def test_samples_of_a_recording_by_time(recording: Path) -> None:
    replayed = subprocess.run(
        [sys.executable, "-m", "tcptop", "--json", "-r", str(recording)],
        check=True,
        capture_output=True,
        text=True,
        cwd=PROJECT,
    ).stdout
    samples = [json.loads(line) for line in replayed.splitlines()]
    assert len(samples) > 2
    first, last = samples[0], samples[-1]
    found = json.loads(diff_output("--json", f"{recording}@{first['taken_at']}", str(recording)))
    assert (found["before"]["taken_at"], found["after"]["taken_at"]) == (first["taken_at"], last["taken_at"])
    for key in ("allocated", "inuse", "time_wait"):
        sides = found["sockets"][key]
        assert (sides["before"], sides["after"]) == (first["sockets"][key], last["sockets"][key])
    begun, second = (datetime.fromisoformat(each["taken_at"].replace("Z", "+00:00")) for each in samples[:2])
    early = json.loads(diff_output("--json", f"{recording}@+{(second - begun).total_seconds()}s", "live"))
    assert early["before"]["taken_at"] == samples[1]["taken_at"]


@pytest.mark.slow
def test_times_without_a_sample_are_refused(recording: Path) -> None:
    assert "@noon" in diff_error(f"{recording}@noon", "live")
    assert "it holds" in diff_error(f"{recording}@2001-01-01", "live")
    assert "no times" in diff_error(f"{BASE}@12:04", "live")
    assert "No such file" in diff_error("/nonexistent@12:04", "live")


def test_lab_results_are_compared_only_with_lab_results(tmp_path: Path) -> None:
    state = {"bytes": 2520.0, "parts": [{"row": "TCP", "objects": 1.0, "bytes": 2520.0}]}
    first = {"schema": 1, "kernel": "6.1", "page_size": 4096, "family": "ipv4", "states": {"close_wait": state}}
    larger = {"bytes": 2688.0, "parts": [{"row": "TCP", "objects": 1.0, "bytes": 2688.0}]}
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path, found in zip(paths, (first, {**first, "kernel": "6.12", "states": {"close_wait": larger}}), strict=True):
        path.write_text(json.dumps(found))
    text = diff_output(*map(str, paths))
    assert "6.1 (A) beside 6.12 (B)" in text
    assert "+168.0" in text
    found = json.loads(diff_output("--json", *map(str, paths)))
    assert found["states"]["close_wait"]["bytes"] == [2520.0, 2688.0]
    assert found["parts"]["close_wait"][0]["change_bytes"] == 168.0
    assert "lab result" in diff_error(str(paths[0]), "live")
    paths[1].write_text("{}")
    assert "not a lab result" in diff_error(*map(str, paths))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["/nonexistent", "live"], "/nonexistent"),
        (["live", "/etc/passwd"], "not a tar archive"),
        (["live"], "required"),
        (["live", "live", "live"], "unrecognized"),
        (["a\x1b[2Jb", "live"], "No such file"),
        (["live", "nul\\0"], "No such file"),
        (["", "live"], "argument A: is empty"),
    ],
)
def test_arguments_that_cannot_be_opened_are_a_one_line_error(arguments: list[str], word: str) -> None:
    assert word in diff_error(*arguments)


def test_help_lists_the_forms_that_can_be_compared() -> None:
    text = diff_output("--help")
    for word in ("live", "sosreport", "FILE@TIME", "lab", "--json"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_diff_imports_no_screen() -> None:
    modules = imported_modules(f"from tcptop.cli import main\nmain(['diff', {BASE!r}, {ESTABLISHED!r}])")
    assert "tcptop.comparison.compare" in modules
    assert not packages(modules) & SCREEN_PACKAGES


def with_slab_kib(name: str, change_kib: int, destination: Path) -> str:
    """A copy of a recording of 6.1-4n with other amounts of Slab and SUnreclaim in /proc/meminfo."""
    folder = copy_recording("6.1-4n", name, destination)
    meminfo = folder / "proc/meminfo"
    more = meminfo.read_text()
    for field in ("Slab", "SUnreclaim"):
        [amount] = re.findall(rf"^{field}: +(\d+) kB$", more, re.MULTILINE)
        more = re.sub(rf"^{field}: .*$", f"{field}: {int(amount) + change_kib} kB", more, flags=re.MULTILINE)
    meminfo.write_text(more)
    return str(folder)


def growth_sentence(before: str, after: str) -> str:
    """The sentence on slab growth, in one line."""
    lines = diff_output(before, after).splitlines()
    [start] = [number for number, line in enumerate(lines) if re.match("  slab memory (grew|shrank)", line)]
    return " ".join(line.strip() for line in lines[start : start + 2] if not line.startswith("  WHAT"))


def test_shares_above_all_and_below_nothing_are_words(tmp_path: Path) -> None:
    grew = growth_sentence(BASE, ESTABLISHED)
    assert re.search(r"; sockets explain \d+ % of it, perhaps all$", grew)
    more_before = with_slab_kib("base", 20_000, tmp_path)
    assert "; sockets explain more than that: " in growth_sentence(more_before, ESTABLISHED)
    closed = growth_sentence(ESTABLISHED, str(tree("6.1-4n", "halfclosed")))
    assert closed.endswith("; not by sockets, which went the other way: the caches kept idle objects")
    for sentence in (grew, growth_sentence(more_before, ESTABLISHED), closed):
        assert not [number for number in re.findall(r"(-?\d+) %", sentence) if not 0 <= int(number) <= 100]
    growth = json.loads(diff_output(more_before, ESTABLISHED, "--json"))["slab_growth"]
    assert growth["sockets_low_share"] > 1


def test_a_figure_has_the_sign_and_the_digits_of_the_report() -> None:
    """An upper bound is rounded up in both, and a lower end of a range has the same sign in both."""
    root = tree("6.1-4n", "established")
    lines = forked_program.run("-o", "--root", root).stdout.splitlines()
    text = diff_output(str(tree("6.1-4n", "base")), str(root))
    for state in ("ESTABLISHED", "orphan"):
        reported = next(line for line in lines if re.match(rf"  {state} .*[~>=]", line))
        server, client = re.findall(r"[~<>]=? \d+(?: \d{3})*", reported)[:2]
        [cells] = [line for line in text.splitlines() if line.startswith(f"  {state} ") and "~" in line]
        assert server in cells
        assert client in cells


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_damaged_sample_is_an_error_after_the_difference(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Both samples are lost: no figure is known, and an exit code 0 would say that nothing is wrong."""
    file = tmp_path / "web.tcptop"
    record(file, phase_trees("6.1-4n"), 3)
    intact = diff(*arguments, f"{file}@+0s", str(file))
    assert (intact.returncode, intact.stderr) == (0, "")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE record SET data = substr(data, 1, 40) || zeroblob(100)")
    connection.close()
    ran = diff(*arguments, f"{file}@+0s", str(file))
    assert ran.returncode == 1
    assert ran.stdout
    assert re.fullmatch(r"tcptop: diff: \S+web\.tcptop: 1 sample is damaged: .+\n", ran.stderr)
    assert diff(*arguments, BASE, str(file)).returncode == 1


def test_the_answer_comes_first_and_what_fits_is_rounded() -> None:
    pair = [str(tree("6.1-8n", phase)) for phase in ("base", "established")]
    text = diff_output(*pair)
    answer = r"16 000 more sockets: ~ \+57\.7 MiB, ~ 3 780 B each; room in free memory: -[\d ]+00 sockets"
    assert re.search(rf"^{answer}$", " ".join(text.splitlines()[1:3]))
    assert re.search(r"(?m)^16 000 fewer sockets: ~ -57\.7 MiB, ~ 3 780 B each;", diff_output(*reversed(pair)))
    [fits] = re.findall(r"(?m)^  all .*?M +(\d[\d ]+?)  +(\d[\d ]+?)  +-", text)
    assert all(number.endswith("0 000") for number in fits)
    assert re.search(r"client side +<= [\d ]+ +<= [\d ]+ +unknown$", text, re.MULTILINE)
    assert re.search(r"(?m)^  local ports +<= \+16 0\d\d +<= \+3\.18M$", text)
    assert re.search(r"(?m)^  local ports +>= -16 0\d\d +>= -3\.18M$", diff_output(*reversed(pair)))


def test_numbers_that_fit_of_sockets_of_two_sizes_have_no_change() -> None:
    """On 7.3 a socket has 16 B of obj_cgroup vectors once sockets are open: a third of what the numbers part by."""
    pair = [str(tree("7.3-4n", phase)) for phase in ("base", "established")]
    text = " ".join(diff_output(*pair).split())
    assert "room in free memory" not in text
    assert re.search(r" all 5\.\d GiB 5\.\d GiB -[\d.]+M 1 \d\d0 000 1 \d\d0 000 - SOCKETS FIT counts ", text)
    sizes = r"sockets of 4 0\d\d B \(without data\) in A, 4 0\d\d B \(without data\) in B"
    assert re.search(rf" {sizes}; these differ, so that it has no CHANGE Free blocks ", text)
    assert "NODE FREE A B CHANGE SOCKETS FIT A B CHANGE " in text
    assert "these differ" not in diff_output(*(str(tree("6.1-8n", phase)) for phase in ("base", "established")))


def test_the_first_limit_of_both_is_named() -> None:
    base, ranged = str(tree("6.1-8n", "base")), str(tree("6.1-8n", "halfclosed"))
    number = r"[\d ]+\d00"
    text = " ".join(diff_output(base, ranged).split())
    limits = rf"memory {number} without data -> tcp_mem (?:>= )?{number}, average buffers"
    limits += r" \(not comparable: other buffers\)"
    assert re.search(rf" First limit of more sockets: {limits} Sockets ", text)
    same = " ".join(diff_output(base, str(tree("6.1-8n", "established"))).split())
    assert re.search(rf" First limit of more sockets: memory {number} -> memory {number} Sockets ", same)
    assert "First limit" not in diff_output(base, base)
    found = json.loads(diff_output("--json", base, ranged))
    assert [found[side]["first_limit"] for side in ("before", "after")] == ["memory", "tcp_mem"]
    for side, root in (("before", base), ("after", ranged)):
        report = json.loads(forked_program.run("--json", "--root", root).stdout)["headroom"]
        keys = [key for key in report if key.startswith("first_limit")]
        assert len(keys) == 7
        assert {key: report[key] for key in keys} == {key: found[side][key] for key in keys}


def test_the_first_limit_that_is_not_known_is_said(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 100 kB\n")
    text = diff_output(BASE, str(tmp_path))
    assert re.search(r"(?m)^First limit of more sockets: memory [\d ]+ -> not known$", text)


def test_the_answer_has_no_bytes_of_each_socket_where_mini_sockets_changed_too() -> None:
    text = diff_output(*(str(tree("6.12-4n", phase)) for phase in ("established", "halfclosed")))
    assert " B each" not in text.splitlines()[1]
