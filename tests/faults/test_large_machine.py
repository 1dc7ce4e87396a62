"""A machine with 64 nodes and thousands of CPUs: /proc/zoneinfo has six lines for each CPU in each zone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from program import report
from session import RECORDING

ZONE = """Node {node}, zone   Normal
  pages free     250000
        boost    0
        min      8528
        low      10660
        high     12792
        spanned  372736
        present  372736
        managed  366000
        cma      0
        protection: (0, 0, 0, 0)
      nr_free_pages 250000
      nr_free_cma  17
  pagesets
"""
PAGE_SETS = """    cpu: {cpu}
              count:    0
              high:     4095
              batch:    63
              high_min: 4095
              high_max: 40950
  vm stats threshold: 125
"""
END = "  node_unreclaimable:  0\n  start_pfn:           1048576\n"


def make_tree(folder: Path, nodes: int, cpus: int) -> Path:
    """A saved tree with a zone on each node."""
    shutil.copytree(RECORDING, folder, symlinks=True)
    for path in ("sys/devices/system/cpu/online", "proc/buddyinfo", "proc/pagetypeinfo"):
        (folder / path).unlink()  # the removed files come from a smaller machine
    page_sets = "".join(PAGE_SETS.format(cpu=cpu) for cpu in range(cpus))
    zones = (ZONE.format(node=node) + page_sets + END for node in range(nodes))
    (folder / "proc/zoneinfo").write_text("".join(zones))
    return folder


@pytest.mark.parametrize(("nodes", "cpus"), [(64, 1024), (64, 2048), (8, 8192)])
def test_every_zone_is_read(tmp_path: Path, nodes: int, cpus: int) -> None:
    """The zone has its watermarks; the page sets are only needed for the number of CPUs."""
    document = report(make_tree(tmp_path / "tree", nodes, cpus))
    assert document["sources"]["zoneinfo"]["state"] == "ok", document["sources"]["zoneinfo"]["reason"]
    assert document["host"]["cpus"] == cpus
    assert len(document["nodes"]) == nodes
    for node in document["nodes"]:
        [zone] = [zone for zone in node["zones"] if zone["zone"] == "Normal"]
        assert (zone["low_pages"], zone["managed_pages"]) == (10660, 366000)


@pytest.mark.parametrize("end", [0, 1, 100, len(END), len(END) + 30, len(END) + 300, 60_000])
def test_a_cut_file_is_cut(tmp_path: Path, end: int) -> None:
    """The file may also end within the page sets."""
    folder = make_tree(tmp_path / "tree", 4, 64)
    file = folder / "proc/zoneinfo"
    text = file.read_text()
    file.write_text(text[: len(text) - end])
    zoneinfo = report(folder)["sources"]["zoneinfo"]
    assert zoneinfo["state"] == ("ok" if text[: len(text) - end].endswith("\n") else "cut")
