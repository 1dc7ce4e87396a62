"""The recipe for a machine without tcptop copies every path that tcptop reads, and the copy gives the same figures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from program import output, program, report
from slow_case import slow

from tcptop.sampling.source_list import wanted_paths
from tcptop.sock_diag import SOCKETS_PATH

Json = dict[str, Any]

SLAB = "sys/kernel/slab"


def recipe() -> str:
    """The shell commands after `On a machine without tcptop` in the page of the checkout under test."""
    page = Path(program()[1]["PYTHONPATH"], "docs/other-machines.md").read_text()
    after = page[page.index("On a machine without tcptop") :]
    block = re.search(r"^```sh\n(.*?)^```$", after, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


def copied_by(commands: str) -> set[str]:
    """The patterns of paths that the commands copy, in the form of `Source.paths`."""
    words = commands.replace("\\\n", " ").split()
    patterns = {word for word in words if word.startswith(("proc/", "sys/")) and word != SLAB}
    attributes = {words[at + 1] for at, word in enumerate(words) if word == "-name"}
    patterns |= {f"{SLAB}/*/{attribute}" for attribute in attributes}
    if f"find {SLAB} -type l" in commands:
        patterns |= {f"{SLAB}/", f"{SLAB}/*"}
    if "sys/module/*;" in patterns:
        patterns.add("sys/module/")
    # The nodes have the numbers of the copied folders.
    return patterns | {"sys/devices/system/node/"}


def test_the_recipe_copies_every_path_that_is_read() -> None:
    # The list of all sockets is no file of the kernel, so only tcptop itself can make the list.
    assert set(wanted_paths()) - copied_by(recipe()) == {SOCKETS_PATH}


@pytest.mark.slow
@pytest.mark.usefixtures("kernel_lock")  # thousands of sockets opened between two copies would be a contradiction
@pytest.mark.parametrize("shell", ["dash", slow("bash")])
def test_the_tree_of_the_recipe_gives_the_figures_of_this_machine(shell: str, tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which(shell) is None:
        pytest.skip(f"needs root and {shell}")
    place = tmp_path / "web17"
    for _ in range(3):
        shutil.rmtree(place, ignore_errors=True)
        done = subprocess.run(
            [shell, "-c", recipe().replace("/tmp/web17", str(place))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        live: Json = report(Path("/"))
        if not any("not read at one time" in (source["reason"] or "") for source in report(place)["sources"].values()):
            break
    else:
        pytest.skip("other programs changed the slabs while they were copied, three times")
    for root in (place, place.with_suffix(".tgz")):
        saved = report(root)
        assert sizes(saved) == sizes(live)
        for name, source in live["sources"].items():
            if source["state"] == "ok" and name != "machine_load":
                assert (name, saved["sources"][name]["state"]) == (name, "ok")
    assert "TCP" in output("explain", "--root", place, "TCP")


def sizes(document: Json) -> Json:
    """The figures that do not change within a second: the cost of the next socket, and the sizes of every cache."""
    costs = document["bytes_per_connection"]
    return {
        "kernel": document["host"]["kernel"],
        "page": document["host"]["page_size"],
        "cpus": document["host"]["cpus"],
        "next": {mode: {family: costs[mode][family] for family in ("ipv4", "ipv6")} for mode in costs},
        "caches": {
            cache["name"]: (cache["object_bytes"], cache["order"], cache["aliases"])
            for cache in document["caches"]
            if cache["objects_of"]
        },
        "limits": document["sockets"]["tcp_mem_pages"],
    }
