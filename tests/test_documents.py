"""The README and the pages below docs/: commands run, links are valid, and shown output equals the printed output."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked_program
import pytest
from lab_results import result
from made_look import tree_with_look
from packed_trees import archive_of, sosreport_of
from recorded import tree
from samples import phase_trees, record
from session import Session

from scripts.make_glossary import glossary_text
from tcptop import __version__
from tcptop.lab.as_json import result_as_json

PROJECT = Path(__file__).resolve().parents[1]
README = PROJECT / "README.md"
PAGES = [README, PROJECT / "CONTRIBUTING.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").rglob("*.md"))]
MAX_README_LINES = 120
GUARD_S = 150.0

SHOWN_TREE = tree("6.1-4n", "established")
"""The machine whose output the README shows."""

TESTED_ELSEWHERE = {
    "pipx install": "tests/test_install.py",
    "pip install": "tests/test_install.py",
    "uv tool install": "tests/test_install.py",
    "python -m build": "tests/test_install.py",
    "python -m scripts.make_pyz": "tests/test_install.py",
    "python -m scripts.make_deb": "tests/test_install.py",
    "./tcptop-0.2.0-cp311-x86_64.pyz": "tests/test_install.py",
    "python3 -m venv": "tests/test_install.py",
    "python3 -m pip": "tests/test_install.py",
    "PATH=": "tests/test_install.py",
    "sudo tcptop exporter --listen 10.0.0.17:10097": "tests/exporter/test_web_config.py",
}
"""Commands that need a machine of their own, by their first words."""

NOT_RUN = (
    "podman",
    "kubectl",
    "cd /var/lib/pcp",
    "echo 'http",
    "sudo chmod",
    "pminfo",
    "install -D",
    "sudo apt install",
)
"""Commands of other programs that are not run here, for example because they write outside of the test's folder."""

RECIPES = ("(", "# ")
"""First words of blocks that tests/faults/test_recipe.py and tests/report/test_json_document.py run whole."""

EXIT_CODES = {
    "tcptop plan --connections 2M": 1,
    "tcptop plan --connections 2M --side proxy": 1,
    "tcptop check --cgroup": 3,
}
"""Exit codes other than 0, by first words: a plan that does not fit, and a cgroup that does not exist."""

ENDLESS = ("record", "exporter")
SLOW = ("lab", "-n", "-d")


def commands() -> dict[str, Path]:
    """Each command that a page shows in a block of a shell, without its comment, and the page."""
    found: dict[str, Path] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for kind, block in re.findall(r"^```(sh|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            if block.startswith(RECIPES):
                continue
            for line in block.splitlines():
                if kind == "sh" or line.startswith("$ "):
                    found.setdefault(re.sub(r"\s+# .*", "", line.removeprefix("$ ")), page)
    return found


def is_run_here(command: str) -> bool:
    return not command.startswith((*TESTED_ELSEWHERE, *NOT_RUN))


RUN = [
    pytest.param(command, marks=pytest.mark.slow if set(SLOW) & set(command.split()) else ())
    for command in commands()
    if is_run_here(command)
]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the commands name, and with programs tcptop, sudo and ssh that run commands on this
    machine.
    """
    folder = tmp_path_factory.mktemp("documents")
    for name, phase in (("web17", "established"), ("before", "base"), ("after", "established")):
        archive_of(tree("6.1-4n", phase), folder / f"{name}.tgz")
    report = sosreport_of("6.1-4n", "established", folder)
    archive_of(report, folder / "sosreport-web17-2026-11-22-abcdefg.tar.xz", "w:xz", report.name)
    (folder / "hosts.txt").write_text("web01\nweb[02-03]\n")
    for name in ("A", "B", "DIR"):
        shutil.copytree(SHOWN_TREE, folder / name, symlinks=True)
    record(folder / "web17.tcptop", phase_trees("6.1-4n"), 4)
    for name in ("a.json", "b.json"):
        (folder / name).write_text(json.dumps(result_as_json(result())))
    programs = {
        "tcptop": f'exec {shlex.quote(sys.executable)} -m tcptop "$@"',
        "sudo": 'exec "$@"',
        "ssh": 'for last; do :; done; exec sh -c "$last"',
    }
    (folder / "bin").mkdir()
    for name, line in programs.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / "bin" / name).chmod(0o755)
    return folder


def environment(workplace: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{workplace / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "XDG_CONFIG_HOME": str(workplace / "none"),
        "TZ": "UTC",
    }


def prepared(command: str, workplace: Path) -> str:
    """The command with files of the test in place of the page's examples; FILE is a lab result or a recording."""
    shutil.rmtree(workplace / "written", ignore_errors=True)
    (workplace / "written").mkdir()
    command = command.replace("--lab FILE", "--lab a.json").replace("-r FILE", "-r web17.tcptop")
    command = re.sub(r"-w (FILE|new\.json)", r"-w written/\1", command)
    command = command.replace("/var/lib/prometheus/node-exporter", "written").replace("4711", str(os.getpid()))
    if command.startswith("tcptop export "):
        command = command.replace(" DIR", " written/DIR")
    if command.endswith("tcptop exporter"):
        command += " --listen 127.0.0.1:0"
    command = command.replace("web[01-40]", "web[01-02]")
    for example, moment in (
        ("12:04:31", "12:00:02"),
        ("+90s", "+1s"),
        ("-5m", "-1s"),
        ("-d 5 -n 12", "-d 1 -n 3"),
        ("-d 10 -n 3", "-d 5 -n 2"),
        ("-n 10", "-n 3"),
    ):
        command = command.replace(example, moment)
    return command


def words_of(command: str) -> list[str]:
    return command.removeprefix("sudo ").replace('"$(command -v tcptop)"', "tcptop").split()


def is_screen(command: str) -> bool:
    words = words_of(command)
    return not {"-o", "--json"} & set(words) and (len(words) == 1 or words[1].startswith("-"))


@pytest.mark.quick_cases(12)
@pytest.mark.parametrize("command", RUN)
def test_every_command_of_the_pages_runs(command: str, workplace: Path) -> None:
    words = words_of(command)
    if os.geteuid() != 0 and (command.startswith("sudo") or "lab" in words[:2]):
        pytest.skip("needs root")
    line = prepared(command, workplace)
    if is_screen(command):
        session = Session(["sh", "-c", f"exec {line}"], environment=environment(workplace), folder=workplace)
        try:
            session.until_shown(
                "by NEAREST LIMIT" if "--host '" in command or "@" in command else "Bytes per connection"
            )
            session.type("q")
            assert session.until_ended() == 0
        finally:
            session.end()
        return
    with (workplace / "output").open("w") as file:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {line.removeprefix('sudo ')}"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment(workplace),
            cwd=workplace,
        )
    try:
        if words[1] in ENDLESS:
            wait_for_work(workplace, line)
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=GUARD_S)
    finally:
        process.kill()
    output = (workplace / "output").read_text()
    if "the kernel has no module tls" in output:
        pytest.skip("needs the kernel module tls")
    expected = next((code for start, code in EXIT_CODES.items() if command.startswith(start)), 0)
    if words[1] == "check" and expected == 0:
        assert process.returncode in (0, 1, 2), output  # the state of this machine
        assert output.startswith("TCPTOP ")
    elif words[1] == "plan" and "--root" not in words:
        assert process.returncode in (0, 1, 2), output
        assert output
    else:
        assert process.returncode == expected, output
        assert output or words[1] in (*ENDLESS, "export", "import")


def wait_for_work(workplace: Path, line: str) -> None:
    """Waits until a command that does not end by itself has written twice, or has printed its listening address."""
    deadline_s = time.monotonic() + GUARD_S
    states: set[int] = set()
    while not ("http" in (workplace / "output").read_text() or len(states) >= 2):
        assert time.monotonic() < deadline_s, (workplace / "output").read_text()
        states |= {
            path.stat().st_mtime_ns for path in (workplace / "written").glob("[!.]*") if "-journal" not in path.name
        }
        if "exporter" in line and states:
            return
        time.sleep(0.05)


def test_a_command_that_is_not_run_here_is_run_elsewhere() -> None:
    for start, place in TESTED_ELSEWHERE.items():
        assert (PROJECT / place).exists(), start
    for start in (*TESTED_ELSEWHERE, *NOT_RUN, *EXIT_CODES):
        assert any(command.startswith(start) for command in commands()), f"{start} is in no page"


@pytest.mark.slow
def test_the_output_that_the_readme_shows_is_what_is_printed(workplace: Path, tmp_path: Path) -> None:
    held = tree_with_look(tmp_path / "held", (PROJECT / "tests/sock_diag/look-8-scenarios.txt").read_text())
    blocks = re.findall(
        r"^```console\n\$ (.*?)\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) == 4
    for command, shown in blocks:
        root = held if "who" in words_of(command) else SHOWN_TREE
        printed = subprocess.run(
            ["sh", "-c", f"{command} --root {shlex.quote(str(root))}"],
            capture_output=True,
            text=True,
            env=environment(workplace),
            timeout=GUARD_S,
        ).stdout.splitlines()
        at = -1
        for line in filter(None, shown.splitlines()):
            at = printed.index(line, at + 1)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, in the form of repository hosting sites."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_hold(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_readme_names_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", README.read_text(encoding="utf-8")))
    pages = {str(page.relative_to(PROJECT)) for page in (PROJECT / "docs").glob("*.md")}
    assert pages <= linked


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


def test_nothing_says_that_it_is_published_and_every_version_is_this_one() -> None:
    handed_out = [*PAGES, *(PROJECT / "docs").rglob("*.service"), *(PROJECT / "docs").rglob("*.yaml")]
    handed_out += [*(PROJECT / "packaging").rglob("*.1"), *(PROJECT / "tcptop").rglob("*.py")]
    for path in handed_out:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"(pip|pipx|uv tool|apt|apt-get) install '?tcptop\b(?!-)|pypi\.org/project/tcptop", text
        ), path
        versions = set(re.findall(r"tcptop[-_:/]v?(\d+\.\d+\.\d+)", text))
        assert versions <= {__version__}, path


def test_the_glossary_is_that_of_the_program() -> None:
    page = PROJECT / "docs" / "glossary.md"
    assert page.read_text(encoding="utf-8") == glossary_text(), "python -m scripts.make_glossary"


@pytest.mark.slow
def test_the_table_of_grown_slabs_is_that_of_the_recordings() -> None:
    page = (PROJECT / "docs" / "verification.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.-]+)` \| ([\d\s]+) \| ([\d\s]+) \| ([\d\s]+) \|", page, re.MULTILINE)
    assert len(rows) >= 10
    for kernel, *cells in rows:
        low, high, grew = (int(re.sub(r"\D", "", cell)) for cell in cells)
        base, established = (slab_bytes(kernel, phase) for phase in ("base", "established"))
        assert round((established - base) / 8_000) == grew
        document = json.loads(tcptop("--json", "--root", str(tree(kernel, "established"))))
        costs = document["bytes_per_connection"]["full"]["ipv6" if kernel.endswith("ipv6") else "ipv4"]
        assert round(sum(side["slab_bytes"] for side in costs.values())) == low
        assert round(sum(side["high_slab_bytes"] for side in costs.values())) == high
        assert low <= grew <= high * 1.01


def slab_bytes(kernel: str, phase: str) -> int:
    meminfo = (tree(kernel, phase) / "proc" / "meminfo").read_text()
    return 1024 * int(re.search(r"^Slab: +(\d+) kB$", meminfo, re.MULTILINE)[1])  # type: ignore[index]


def tcptop(*arguments: str) -> str:
    return forked_program.run(*arguments).stdout
