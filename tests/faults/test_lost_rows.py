"""Rows that slabinfo has lost: a cache that every kernel of the release has is missing, and never absent or idle."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from program import CHECKOUT, output, report
from recorded import link_caches

RECORDINGS = CHECKOUT / "tests/recordings"


def without_rows(destination: Path, kernel: str, *names: str, with_sysfs: bool = True) -> Path:
    """The recording without the rows of these caches, and with or without their folders in sysfs."""
    root = Path(shutil.copytree(RECORDINGS / kernel / "timewait", destination / "lost", symlinks=True))
    path = root / "proc/slabinfo"
    for name in names:
        text, number = re.subn(rf"^{name} .*\n", "", path.read_text(), flags=re.MULTILINE)
        assert number == 1
        path.write_text(text)
        if not with_sysfs:
            shutil.rmtree(root / "sys/kernel/slab" / name)
    return root


@pytest.mark.parametrize("with_sysfs", [True, False])
@pytest.mark.parametrize("name", ["TCP", "tw_sock_TCP", "request_sock_TCP", "sock_inode_cache"])
def test_a_lost_row_of_a_cache_that_is_never_merged(name: str, with_sysfs: bool, tmp_path: Path) -> None:
    found = report(without_rows(tmp_path, "6.1-4n", name, with_sysfs=with_sysfs))
    health = found["sources"]["slabinfo"]
    assert health["state"] == "strange"
    assert f"no row of {name}," in health["reason"]
    assert not found["tcp_memory"]["complete"]
    assert found["tcp_memory"]["high_bytes"] is None
    if name == "tw_sock_TCP":
        assert not [part for part in found["tcp_memory"]["parts"] if part["part"] == "tcp_bind_bucket"]


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.12-4n", "7.3-4n"])
@pytest.mark.parametrize("name", ["skbuff_head_cache", "skbuff_small_head", "dentry", "filp"])
def test_a_lost_row_of_a_cache_with_a_folder_of_its_own(kernel: str, name: str, tmp_path: Path) -> None:
    path = RECORDINGS / kernel / "timewait/sys/kernel/slab" / name
    if not path.exists() or path.is_symlink():
        pytest.skip(f"{kernel} has no folder {name}")
    found = report(without_rows(tmp_path, kernel, name))
    assert found["sources"]["slabinfo"]["state"] == "strange"
    assert f"no row of {name}," in found["sources"]["slabinfo"]["reason"]


@pytest.mark.parametrize("name", ["kmalloc-192", "kmalloc-256"])
def test_a_lost_row_of_a_kmalloc_cache_that_sysfs_shows(name: str, tmp_path: Path) -> None:
    whole = without_rows(tmp_path, "6.1-4n")
    link_caches(whole, {":0000192": ["kmalloc-192"], ":0000256": ["kmalloc-256"]})
    assert report(whole)["sources"]["slabinfo"]["state"] == "ok"
    (whole / "proc/slabinfo").write_text(re.sub(rf"(?m)^{name} .*\n", "", (whole / "proc/slabinfo").read_text()))
    found = report(whole)
    assert found["sources"]["slabinfo"]["state"] == "strange"
    assert f"no row of {name}," in found["sources"]["slabinfo"]["reason"]
    assert not found["bytes_per_connection"]["full"]["mix"]["accepted"]["complete"]


@pytest.mark.parametrize("online", ["0-2", "0-63", "x"])
def test_with_unknown_cpus_the_average_buffers_are_unknown(online: str, tmp_path: Path) -> None:
    """Without the CPUs it is unknown how many of the objects of segments are free on the lists of CPUs."""
    root = Path(shutil.copytree(RECORDINGS / "6.1-4n/halfclosed", tmp_path / "cpus", symlinks=True))
    (root / "sys/devices/system/cpu/online").write_text(f"{online}\n")
    found = report(root)
    assert found["sources"]["topology"]["state"] == "strange"
    assert found["headroom"]["is_at_most"]
    whole = report(RECORDINGS / "6.1-4n/halfclosed")["headroom"]["sockets"]
    assert found["headroom"]["sockets"] >= whole


@pytest.mark.parametrize("name", ["sock_inode_cache", "dentry", "TCP"])
def test_the_slabs_of_a_lost_row_are_not_idle_in_a_difference(name: str, tmp_path: Path) -> None:
    root = without_rows(tmp_path, "6.1-4n", name)
    difference = json.loads(output("diff", "--json", RECORDINGS / "6.1-4n/timewait", root))
    growth = difference["slab_growth"]
    assert not growth["complete"]
    assert growth["idle_bytes"] is None


def test_without_slabinfo_the_charge_of_buffers_is_not_memory_in_use(tmp_path: Path) -> None:
    """The sockets are charged for a page in advance, of which they use little; only slabinfo shows how much."""
    whole = report(RECORDINGS / "6.1-4n/halfclosed")["headroom"]
    root = Path(shutil.copytree(RECORDINGS / "6.1-4n/halfclosed", tmp_path / "tree", symlinks=True))
    (root / "proc/slabinfo").unlink()
    found = report(root)["headroom"]
    assert found["buffer_bytes"] == 0
    assert found["high_buffer_bytes"] == whole["high_buffer_bytes"] > 0
    assert found["is_at_most"]
    assert found["sockets"] >= whole["sockets"]


@pytest.mark.parametrize("lost", ["sys/kernel/slab", "sys/devices/system/cpu"])
def test_an_unknown_number_of_free_objects_makes_the_active_ones_an_upper_bound(lost: str, tmp_path: Path) -> None:
    """Free objects on the lists of CPUs count as active; without these files it is unknown how many they may be."""
    root = Path(shutil.copytree(RECORDINGS / "7.3-4n/timewait", tmp_path / "tree", symlinks=True))
    shutil.rmtree(root / lost)
    text = output("-o", "--root", root)
    assert re.search(r"^  TCP +(?:tcp_sock +)?1 664\b", text, re.MULTILINE)
    assert re.search(r"^  TCP .*<= 672\b", text, re.MULTILINE)
    assert re.search(r"^  TCP .*<=41%", text, re.MULTILINE)
    assert "in all these caches, at least: how many more" in " ".join(text.split())
