"""The pages of caches, compared with the tool slabinfo of the kernel's sources (tools/vm/slabinfo.c, since 6.3
tools/mm/slabinfo.c).

`slabinfo_tool_6.1.json` has the output of the 6.1 tool in a guest of four nodes, and the files that it read there. With
TCPTOP_SLABINFO_TOOL, the path of a built tool (`gcc -o slabinfo slabinfo.c`), all caches of this machine are compared.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import forked_program
import pytest
from recorded import write_tree

from tcptop.accounting import account
from tcptop.explanation.pages import page_of_cache
from tcptop.explanation.slab_loss import slab_loss
from tcptop.hosts.folder import FolderHost
from tcptop.ledger import Ledger
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.sources.cache_attributes import CacheAttributesSource
from tcptop.text.line import text_of

PROJECT = Path(__file__).resolve().parents[2]
GUEST: dict[str, Any] = json.loads(Path(__file__).with_name("slabinfo_tool_6.1.json").read_text(encoding="utf-8"))
TOOL = os.environ.get("TCPTOP_SLABINFO_TOOL", "")
CACHES = {
    "TCP": "TCP",
    "kmalloc-4k": "kmalloc-4k",
    "ext4_inode_cache": "ext4_inode_cache",
    "radix_tree_node": "radix_tree_node",
    "inode_cache": "inode_cache",
    "Acpi-Operand": ":0000072",
    "skbuff_fclone_cache": ":0000512",
    "pid": ":A-0000128",
    "tcp_bind_bucket": ":A-0000128",
}
"""The caches of the guest, each with the name by which the tool reports it."""
FLAGS = {
    "Hardware cacheline aligned": "whole cache lines",
    "Slabs are destroyed via RCU": "slabs freed after an RCU grace period",
    "Reclaim accounting active": "counted as reclaimable",
    "Memory is allocated in a special DMA zone": "from the DMA zone",
}


def split_reports(output: str) -> dict[str, str]:
    """The output of `slabinfo -r`, by the name of the cache."""
    parts = re.split(r"^(?=Slabcache: )", output, flags=re.MULTILINE)
    return {found[1]: part for part in parts if (found := re.match(r"Slabcache: (\S+)", part))}


def figure(report: str, title: str, column: int = 0) -> int:
    """A number of a report. Three titles occur twice in the report: Objects, Total and Loss."""
    return int(re.findall(rf"\b{title} *: +(-?\d+)", report)[column])


def nodes(report: str, title: str) -> list[int]:
    found = re.search(rf"^{title} +(.+)$", report, re.MULTILINE)
    assert found, report
    return [int(number) for number in found[1].split()]


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    root = write_tree(tmp_path, GUEST["files"])
    for name, folder in GUEST["links"].items():
        (root / "sys/kernel/slab" / name).symlink_to(folder)
    return root


def with_attributes(root: Path, cache: str) -> Ledger:
    host = FolderHost(str(root))
    sampler = Sampler(host, kernel_sources(), monotonic=lambda: 0.0)
    read_due(sampler)
    sampler.add_source(CacheAttributesSource(cache))
    read_due(sampler)
    host.close()
    return account(sampler.snapshot())


def explain(root: Path, *words: str, encoding: str = "utf-8", columns: int = 100) -> str:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": str(columns)}
    done = forked_program.run("explain", *words, "--root", root, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fact(page: str, title: str) -> str:
    found = re.search(rf"^ {title:<11} (.+(?:\n {{12,}}.+)*)", page, re.MULTILINE)
    assert found, (title, page)
    return " ".join(found[1].split())


def numbers(text: str) -> list[int]:
    return [int(each.replace(" ", "")) for each in re.findall(r"\d{1,3}(?: \d{3})+|\d+", text)]


@pytest.mark.parametrize("cache", CACHES)
def test_explain_has_the_figures_of_the_tool(guest: Path, cache: str) -> None:
    report, page = split_reports(GUEST["report"])[CACHES[cache]], explain(guest, cache)
    slab, per_slab, step = figure(report, "SlabSiz"), figure(report, "Objects", 1), figure(report, "SlabObj")
    if "struct " not in page:
        assert numbers(fact(page, "struct")) == [figure(report, "Object")]
        assert numbers(fact(page, "spacing"))[0] == step
    assert numbers(fact(page, "slab")) == [slab, slab - per_slab * step]
    titles = ("Total", "Full", "Partial", "CpuSlab")
    assert numbers(fact(page, "slabs")) == [figure(report, title) for title in titles]
    if figure(report, "Total", 1):
        lost = fact(page, "loss")
        assert numbers(fact(page, "in structs"))[:2] == [figure(report, "Used"), figure(report, "Total", 1)]
        free = figure(report, "Loss") - figure(report, "Lalig") - figure(report, "Lpadd")
        assert numbers(lost) == [figure(report, "Loss"), figure(report, "Lalig"), figure(report, "Lpadd"), free]
    flags = fact(page, "flags")
    assert numbers(flags)[0] == figure(report, "Align")
    assert {own for title, own in FLAGS.items() if title in report} == {own for own in FLAGS.values() if own in flags}
    assert fact(page, "debugging") == "off"
    if figure(report, "Total", 1):
        assert "between objects (padding, alignment, free pointer)," in fact(page, "loss")


@pytest.mark.parametrize("cache", [cache for cache, name in CACHES.items() if name != "ext4_inode_cache"])
def test_explain_has_the_nodes_of_the_tool(guest: Path, cache: str) -> None:
    report, page = split_reports(GUEST["report"])[CACHES[cache]], explain(guest, cache)
    rows = [line.split() for line in page.split(" NODE ", 1)[1].splitlines()[1:5]]
    slabs = {int(row[0]): int(row[1]) for row in rows if row and row[0].isdigit()}
    partial = {int(row[0]): int(row[2]) for row in rows if row and row[0].isdigit()}
    assert [slabs.get(node, 0) for node in range(4)] == nodes(report, "All slabs")
    assert [partial.get(node, 0) for node in range(4)] == nodes(report, "Partial slabs")


@pytest.mark.parametrize("cache", ["Acpi-Operand", "pid", "skbuff_fclone_cache"])
def test_explain_has_the_aliases_of_the_tool(guest: Path, cache: str) -> None:
    [names] = [line.partition("<-")[2].split() for line in GUEST["aliases"].splitlines() if CACHES[cache] in line]
    merged = fact(explain(guest, cache), "counted in").partition("merged: ")[2]
    assert sorted(merged.split(", ")) == sorted(names)


def test_without_sysfs_the_rest_is_unknown_with_its_reason(guest: Path) -> None:
    for path in (guest / "sys/kernel/slab").iterdir():
        for file in [path] if path.is_symlink() else list(path.iterdir()):
            file.unlink()
    page = explain(guest, "inode_cache")
    assert fact(page, "struct").startswith("not known: there is no /sys/kernel/slab/inode_cache/object_size here")
    assert fact(page, "flags").startswith("not known: there is no /sys/kernel/slab/inode_cache/object_size here")
    report = split_reports(GUEST["report"])["inode_cache"]
    assert numbers(fact(page, "spacing")) == [figure(report, "SlabObj")]
    assert not re.search(r"^ (?:in structs|loss|slabs|debugging) ", page, re.MULTILINE)


def test_files_that_an_older_kernel_lacks_are_named(guest: Path) -> None:
    (guest / "sys/kernel/slab/inode_cache/reclaim_account").unlink()
    assert fact(explain(guest, "inode_cache"), "flags").endswith("not known without reclaim_account")


def test_a_debugging_option_is_named(guest: Path) -> None:
    for name in ("red_zone", "poison"):
        (guest / "sys/kernel/slab/inode_cache" / name).write_text("1\n")
    page = explain(guest, "inode_cache")
    assert fact(page, "debugging") == "red zones, poison"
    between = "between objects (padding, alignment, free pointer, red zones)"
    assert between in fact(page, "spacing")
    assert between in fact(page, "loss")


@pytest.mark.parametrize(
    ("attribute", "text", "words"),
    [
        ("slab_size", "600\n", "a struct of 632 B in an object of 600 B"),
        ("objs_per_slab", "24\n", "24 objects of 640 B in a slab of order 2"),
        ("order", "3\n", "25 objects of 640 B in a slab of order 3"),
        ("slabs", "955 N0=17 N1=393 N2=542\n", "955 slabs, and another number on the nodes together"),
        ("total_objects", "23875 N0=425\n", "23 875 objects, and another number on the nodes together"),
        ("total_objects", "9 N0=9\n", "955 slabs and only 9 objects"),
        ("partial", "7 N0=17\n", "partial is 7, and another number on the nodes together"),
        ("cpu_slabs", "5000 N0=5000\n", "cpu_slabs is 5000, and the cache has 955 slabs"),
    ],
)
def test_an_impossible_attribute_is_in_doubt_and_in_no_figure(
    guest: Path, attribute: str, text: str, words: str
) -> None:
    assert "in doubt" not in explain(guest, "inode_cache")
    before = fact(explain(guest, "inode_cache"), "slab share")
    (guest / "sys/kernel/slab/inode_cache" / attribute).write_text(text)
    page = explain(guest, "inode_cache")
    assert words in fact(page, "in doubt")
    assert fact(page, "slab share") == before
    if attribute in ("slabs", "total_objects", "partial", "cpu_slabs"):
        assert " held by CPUs" not in page
    else:
        assert fact(page, "struct").startswith("not known")


@pytest.mark.parametrize("attribute", ["slab_size", "objs_per_slab", "order"])
def test_attributes_of_another_size_than_the_row_are_in_doubt(guest: Path, attribute: str) -> None:
    folder = guest / "sys/kernel/slab/inode_cache"
    changed = {"slab_size": 1280, "objs_per_slab": 12, "order": 2}
    for name, number in changed.items():
        if name == attribute or attribute != "order":
            (folder / name).write_text(f"{number}\n")
    if attribute == "order":
        for name in ("slab_size", "objs_per_slab"):
            (folder / name).unlink()
        (folder / "order").write_text("3\n")
    assert "in /proc/slabinfo" in fact(explain(guest, "inode_cache"), "in doubt")


@pytest.mark.parametrize("name", ["..", "../../../proc", "."])
def test_a_name_that_leads_out_of_the_folder_reads_nothing(guest: Path, name: str) -> None:
    rows = (guest / "proc/slabinfo").read_text()
    (guest / "proc/slabinfo").write_text(rows.replace("inode_cache  ", f"{name}  "))
    ledger = with_attributes(guest, name)
    assert ledger.chosen_cache is not None
    assert (ledger.chosen_cache.numbers, ledger.chosen_cache.reason) == ({}, f"no cache has the name {name!r}")


@pytest.mark.parametrize("columns", [56, 76, 116])
@pytest.mark.parametrize("cache", ["inode_cache", "pid"])
def test_the_page_fits_its_columns_and_ascii(guest: Path, cache: str, columns: int) -> None:
    ledger = with_attributes(guest, cache)
    lines = [text_of(line) for line in page_of_cache(cache).lines(ledger, columns)]
    assert max(map(len, lines)) <= columns
    assert explain(guest, cache, encoding="ascii", columns=columns + 4).isascii()


@pytest.mark.skipif(not TOOL, reason="TCPTOP_SLABINFO_TOOL names no tool")
def test_all_caches_of_this_machine_against_the_tool() -> None:
    """The tool runs before and after tcptop; a cache that changed between the two runs is left out."""
    folder = Path("/sys/kernel/slab")
    names: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        names.setdefault(path.readlink().name if path.is_symlink() else path.name, path.name)
    aliases = {path.name: path.readlink().name if path.is_symlink() else path.name for path in folder.iterdir()}
    run = [TOOL, "-r"]
    before = split_reports(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    host = FolderHost("/")
    sampler = Sampler(host, kernel_sources())
    read_due(sampler)
    ledger = account(sampler.snapshot())
    after = split_reports(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    compared = 0
    for row in {line.row for line in ledger.caches if line.row is not None}:
        report = before.get(aliases.get(row, ""))
        if report is None or report != after.get(aliases[row]):
            continue
        line = ledger.cache(row)
        assert line is not None
        loss = slab_loss(line, figure(report, "Object"))
        assert loss is not None, row
        own = (loss.total_bytes, loss.used_bytes, loss.lost_bytes, loss.between_bytes, loss.end_bytes)
        titles = (("Total", 1), ("Used", 0), ("Loss", 0), ("Lalig", 0), ("Lpadd", 0))
        assert own == tuple(figure(report, *title) for title in titles), row
        compared += 1
    host.close()
    print(f"{compared} caches of {len(after)} are as the tool says")
    assert compared > len(after) // 2
