"""docs/instead-of.md: for each command, tcptop shows the same figures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from recorded import each_recording, ledger, ledger_of, snapshot, text

from tcptop.accounting import account
from tcptop.ledger import Ledger
from tcptop.report.as_json import as_object
from tcptop.report.as_text import as_text

PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs/instead-of.md").read_text(encoding="utf-8")

HERE = "tests/test_replaced_commands.py"
OF_SLABINFO = "tests/explanation/test_slabinfo_tool.py"
OF_SMBIOS = "tests/sources/test_smbios.py"
OF_NODES = "tests/explanation/test_numa_page.py"
TESTS = {
    "slabtop": (HERE, "test_slabtop"),
    "slabinfo": (OF_SLABINFO, "test_explain_has_the_figures_of_the_tool"),
    "slabinfo -a": (OF_SLABINFO, "test_explain_has_the_aliases_of_the_tool"),
    "grep processor /proc/cpuinfo": (HERE, "test_processors_of_cpuinfo"),
    "dmidecode -t processor": (OF_SMBIOS, "test_a_small_machine_has_the_figures_of_dmidecode"),
    "dmidecode -t memory": (OF_SMBIOS, "test_a_guest_has_the_figures_of_dmidecode_also_without_what_is_private"),
    "numactl --hardware": (OF_NODES, "test_a_guest_with_unlike_distances_has_the_figures_of_its_numactl"),
    "grep -A1 ^Node /proc/zoneinfo": (HERE, "test_zones_of_zoneinfo"),
}
"""Maps each command of the page to its test."""


def test_every_command_of_the_page_has_a_test() -> None:
    commands = re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert commands == list(TESTS)
    for file, function in TESTS.values():
        assert f"\ndef {function}(" in (PROJECT / file).read_text(encoding="utf-8"), function


def test_the_json_paths_of_the_page_exist() -> None:
    report = as_object(ledger("6.1-4n", "established"))
    paths = re.findall(r"`(\.[a-z_.\[\]]+)`", PAGE)
    assert len(paths) >= len(TESTS)
    for path in paths:
        values: list[object] = [report]
        for word in path[1:].split("."):
            key = word.removesuffix("[]")
            assert all(isinstance(each, dict) and key in each for each in values), path
            values = [each[key] for each in values if isinstance(each, dict)]
            if word.endswith("[]"):
                values = [one for each in values if isinstance(each, list) for one in each]
            values = [each for each in values if each is not None]  # a recording has no table of the firmware


def test_slabtop() -> None:
    if os.geteuid() != 0 or shutil.which("slabtop") is None:
        pytest.skip("needs root and slabtop of the package procps")
    printed = subprocess.run(["slabtop", "-o"], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^ *(\d+) +(\d+) +\d+% +([\d.]+)K +(\d+) +(\d+) +(\d+)K (\S+) *$", printed, re.MULTILINE)
    assert len(rows) > 20
    caches = {line.name: line for line in ledger_of(Path("/")).caches}
    seen = Counter(name for *_, name in rows)
    for objects, _, size_kib, _, per_slab, _, name in rows:
        cache = caches[name]
        if seen[name] > 1:
            continue
        assert (f"{(cache.object_bytes or 0) / 1024:.2f}", cache.objects_per_slab) == (size_kib, int(per_slab)), name
        assert cache.objects is not None
        # Other programs open and close files meanwhile.
        assert abs(cache.objects - int(objects)) <= max(2_000, int(objects) // 5), name


def test_processors_of_cpuinfo() -> None:
    cpus = len(re.findall(r"^processor\s*:", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    if cpus == 0:
        pytest.skip("this kernel's /proc/cpuinfo has no processors by number")
    figures = ledger_of(Path("/"))
    assert as_object(figures)["host"]["cpus"] == cpus
    assert f", {cpus} CPUs, " in as_text(figures)


DRIFT_PAGES = 512
"""Maximum difference of a zone's free pages between the reads of two files; most differences are a few pages."""


@each_recording
def test_zones_of_zoneinfo(kernel: str, phase: str) -> None:
    sample = snapshot(kernel, phase)
    printed = re.findall(
        r"^Node (\d+), zone +(\w+)\n(?:  per-node stats\n(?:      .*\n)+)?  pages free +(\d+)$",
        text(kernel, phase, "proc/zoneinfo"),
        re.MULTILINE,
    )
    free = {(int(node), zone): int(pages) for node, zone, pages in printed if int(pages)}
    assert free
    without_blocks = sample._replace(
        buddyinfo=sample.buddyinfo._replace(state="missing", value=None),
        pagetypeinfo=sample.pagetypeinfo._replace(state="missing", value=None),
    )
    alone = account(without_blocks)
    assert free_pages(alone) == free
    with_buddyinfo = free_pages(ledger(kernel, phase))
    assert with_buddyinfo.keys() == free.keys()
    assert all(abs(with_buddyinfo[zone] - pages) <= DRIFT_PAGES for zone, pages in free.items())


def free_pages(figures: Ledger) -> dict[tuple[int, str], int]:
    return {(node.node, zone.zone): zone.free_pages for node in figures.nodes for zone in node.zones if zone.free_pages}
