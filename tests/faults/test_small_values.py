"""Small files with values that no kernel prints: each is named as damaged, or its value is unknown, or was not used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from program import run
from recorded import FOLDER
from slow_case import slow
from test_cut_files import SMALL_FILES, whole_tree

VALUES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "-1": lambda _: b"-1\n",
    "2^64": lambda _: b"18446744073709551616\n",
    "nan": lambda _: b"nan\n",
    "first line twice": lambda text: text + text.splitlines(keepends=True)[0],
    "a line of another file": lambda _: b"MemTotal:        8124260 kB\n",
    "no UTF-8": lambda _: b"\xff\xfe\x80\n",
}

UNREAD_BY_A_FIGURE = {"proc/sys/kernel/hostname", "proc/cmdline"}
"""Files whose text is shown or searched for words: any text is valid."""
HARMLESS = {
    ("proc/sys/vm/mem_profiling", "2^64"): "any value but 0 means that the kernel profiles",
    ("proc/sys/vm/zone_reclaim_mode", "2^64"): "any value but 0 means that the kernel reclaims first",
    **{
        (f"proc/sys/net/{path}", "-1"): "the kernel takes any int"
        for path in ("ipv4/tcp_max_orphans", "ipv4/tcp_max_tw_buckets", "netfilter/nf_conntrack_max")
    },
    ("proc/sys/fs/nr_open", "2^64"): "an upper bound that a plan says",
    ("sys/kernel/slab/TCP/cpu_partial", "2^64"): "an upper bound on idle objects",
}
CHANGING = [path for path in SMALL_FILES if path not in UNREAD_BY_A_FIGURE and path != "sys/fs/cgroup/memory.max"]
QUICK = {"proc/sys/kernel/osrelease", "proc/sys/vm/mem_profiling", "sys/kernel/slab/TCP/slabs"}


def reported(root: Path) -> dict[str, Any]:
    """The JSON report; the text report and `check` must end without a traceback, too."""
    for words, codes in ((["-o"], [0]), (["check"], [0, 1, 2, 3])):
        done = run(*words, "--root", root)
        assert done.returncode in codes, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert "\x1b" not in done.stdout
    done = run("--json", "--root", root)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def costs(report: dict[str, Any]) -> Iterator[tuple[tuple[str, str, str], dict[str, Any]]]:
    """The cost of a socket, by accounting mode, family and side."""
    for mode, of_mode in report["bytes_per_connection"].items():
        for family in ("ipv4", "ipv6", "mix"):
            for side in ("accepted", "outgoing"):
                yield (mode, family, side), of_mode[family][side]


@pytest.mark.slow
@pytest.mark.parametrize("path", [path if path in QUICK else slow(path) for path in CHANGING])
def test_no_complete_figure_is_made_of_an_impossible_value(path: str, tmp_path: Path) -> None:
    root = whole_tree(tmp_path)
    whole = reported(root)
    text = (root / path).read_bytes()
    before, limits = dict(costs(whole)), {each["name"]: each for each in whole["limits"]}
    for name, change in VALUES.items():
        (root / path).write_bytes(change(text))
        found = reported(root)
        is_named = found["sources"][SMALL_FILES[path]]["state"] in ("cut", "strange", "empty")
        for key, side in costs(found):
            right = before[key]["slab_bytes"]
            assert not side["complete"] or side["slab_bytes"] <= right <= side["high_slab_bytes"], (name, key)
        if name != "empty" and (path, name) not in HARMLESS and change(text) != text:
            assert is_named or found["limits"] == whole["limits"], name
        for each in found["limits"]:
            known = limits.get(each["name"])
            if known is not None and each["limit"] is not None and (path, name) not in HARMLESS:
                assert each["limit"] == known["limit"], (name, each["name"])


def test_the_recording_has_every_file_that_is_changed(tmp_path: Path) -> None:
    assert FOLDER.is_dir()
    root = whole_tree(tmp_path)
    missing = [path for path in CHANGING if not (root / path).is_file()]
    assert missing == []
