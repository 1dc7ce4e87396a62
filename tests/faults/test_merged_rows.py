"""Sizes in the row of merged caches, which has the name of one of them: the folder in sysfs has the same sizes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from program import CHECKOUT, report

TIME_WAIT = CHECKOUT / "tests/recordings/6.1-4n/timewait"
ROW = r"^pid +\d+ +\d+ +128 +32 +1 (.* 259 +259 .*)$"
"""The row of the caches in the folder `:A-0000128`; one of them is tcp_bind_bucket."""


@pytest.mark.parametrize(("size", "per_slab", "pages"), [(256, 16, 1), (64, 64, 1), (128, 64, 2), (128, 128, 4)])
def test_a_row_of_merged_caches_with_another_size(size: int, per_slab: int, pages: int, tmp_path: Path) -> None:
    root = Path(shutil.copytree(TIME_WAIT, tmp_path / "merged", symlinks=True))
    path = root / "proc/slabinfo"
    objects = 259 * per_slab
    edited = rf"pid {objects} {objects} {size} {per_slab} {pages} \1"
    text, number = re.subn(ROW, edited, path.read_text(), flags=re.MULTILINE)
    assert number == 1
    path.write_text(text)
    found = report(root)
    assert found["sources"]["slabinfo"]["state"] == "strange"
    assert "pid has" in found["sources"]["slabinfo"]["reason"]
    assert "/sys/kernel/slab" in found["sources"]["slabinfo"]["reason"]
    assert not found["tcp_memory"]["complete"]


def test_a_folder_of_two_rows_is_compared_with_neither(tmp_path: Path) -> None:
    """A cache that was created again with another size may leave its former row, to which no link leads any more."""
    root = Path(shutil.copytree(TIME_WAIT, tmp_path / "merged", symlinks=True))
    former = "task_delay_info 160 160 256 16 1 : tunables 0 0 0 : slabdata 10 10 0\n"
    with (root / "proc/slabinfo").open("a") as slabinfo:
        slabinfo.write(former)
    assert report(root)["sources"]["slabinfo"]["state"] == "ok"
