"""The meminfo of a smaller machine beside the zones of a larger one: it is in doubt, unless it may be a container's."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from program import CHECKOUT, report, run

RECORDINGS = CHECKOUT / "tests/recordings"


def mixed(destination: Path, meminfo: str) -> Path:
    root = Path(shutil.copytree(RECORDINGS / "6.1-4n/established", destination / "mixed", symlinks=True))
    (root / "proc/meminfo").write_text(meminfo)
    return root


def test_a_meminfo_of_a_smaller_machine_is_strange(tmp_path: Path) -> None:
    root = mixed(tmp_path, (RECORDINGS / "6.1-1n/established/proc/meminfo").read_text())
    found = report(root)
    assert found["sources"]["meminfo"]["state"] == "strange"
    assert "not the meminfo of a container" in found["sources"]["meminfo"]["reason"]
    assert found["slab_memory"]["unexplained_bytes"] is None
    done = run("check", "--root", root)
    assert done.stdout.startswith("TCPTOP UNKNOWN")


@pytest.mark.parametrize("buffers", [0, 4])
def test_a_meminfo_of_a_container_has_no_buffers(buffers: int, tmp_path: Path) -> None:
    lines = f"MemTotal: 1048576 kB\nMemFree: 524288 kB\nMemAvailable: 786432 kB\nBuffers: {buffers} kB\nSlab: 0 kB\n"
    state = report(mixed(tmp_path, lines))["sources"]["meminfo"]["state"]
    assert state == ("strange" if buffers else "ok")


@pytest.mark.parametrize("direct_map", ["", "DirectMap4k: 16777216 kB\n"])
def test_a_meminfo_that_may_be_a_containers_is_not_taken_for_the_machines(direct_map: str, tmp_path: Path) -> None:
    """Without Buffers and DirectMap, as on arm64, a container's meminfo cannot be told from another machine's."""
    kept = (RECORDINGS / "6.1-1n/established/proc/meminfo").read_text()
    kept = re.sub(r"^Buffers:.*$", "Buffers: 0 kB", kept, flags=re.MULTILINE)
    root = mixed(tmp_path, re.sub(r"^DirectMap.*\n", "", kept, flags=re.MULTILINE) + direct_map)
    found = report(root)
    [memory] = [limit for limit in found["limits"] if limit["name"] == "memory"]
    assert memory["scope"] == "unknown"
    assert memory["headroom_sockets"] is None
    assert memory["note"] == "meminfo shows less memory than zoneinfo: it is a container's or another machine's"
    assert found["slab_memory"]["bytes"] is None
    assert found["slab_memory"]["unexplained_bytes"] is None
    text = run("-o", "--root", root).stdout
    assert "within the error" not in text
    assert re.search(r"pages, [-–] memory", text)
