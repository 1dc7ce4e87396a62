"""For every pair of phases and of incomplete trees, a difference has the figures and the bounds of both reports."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import pytest
from bounds_of_differences import check_difference, check_no_difference
from recorded import RECORDINGS, copy_recording, each_kernel, ledger, ledger_of

from tcptop.ledger import Ledger

STARTS = ("6.1-4n", "6.1-4n-ipv6", "6.1-4n-nomerge", "6.1-4n-slubdebug", "6.12-4n")
"""Recordings of one kernel started with other options, and of another kernel."""

CUTS: dict[str, tuple[str, ...]] = {
    "no names of merged caches": ("sys/kernel/slab",),
    "no list of security modules": ("sys/kernel/security", "proc/filesystems", "sys/module"),
    "no slabinfo": ("proc/slabinfo",),
    "no slabinfo and no names": ("proc/slabinfo", "sys/kernel/slab"),
    "no sockstat": ("proc/net/sockstat",),
    "no CPUs": ("sys/devices/system/cpu",),
    "no release": ("proc/sys/kernel/osrelease", "proc/version"),
}
"""Files that a tree lacks, by the name of the case."""


@pytest.mark.quick_cases(3)
@each_kernel
def test_a_difference_has_the_bounds_of_both_reports(kernel: str) -> None:
    phases = RECORDINGS[kernel]
    for before, after in combinations(phases, 2):
        check_difference(ledger(kernel, before), ledger(kernel, after))
    for phase in phases:
        check_no_difference(ledger(kernel, phase))


def test_a_difference_of_two_starts_has_the_bounds_of_both_reports() -> None:
    ledgers = [ledger(kernel, "established") for kernel in STARTS]
    for before, after in combinations(ledgers, 2):
        check_difference(before, after)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("cut", CUTS)
def test_a_difference_of_incomplete_trees_has_the_bounds_of_both_reports(cut: str, tmp_path: Path) -> None:
    ledgers = [ledger("6.1-4n", "established"), ledger("6.1-4n", "halfclosed")]
    ledgers += [cut_ledger(phase, cut, tmp_path / phase) for phase in ("base", "established", "timewait")]
    for before, after in combinations(ledgers, 2):
        check_difference(before, after)
    for each in ledgers:
        check_no_difference(each)


def cut_ledger(phase: str, cut: str, folder: Path) -> Ledger:
    root = copy_recording("6.1-4n", phase, folder)
    for name in CUTS[cut]:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return ledger_of(root)
