"""Live sequences: nodes come and go, files vanish, shrink or turn strange, and both clocks jump between two samples."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import tree
from samples import TreeSequenceHost, recording_at

from tcptop.accounting import account
from tcptop.recording.recorder import Recorder
from tcptop.report.as_json import as_json
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources

STARTED_UNIX_S = 1.8e9
FILES = (
    "proc/slabinfo",
    "proc/buddyinfo",
    "proc/zoneinfo",
    "proc/pagetypeinfo",
    "proc/net/sockstat",
    "proc/net/snmp",
    "proc/meminfo",
    "sys/devices/system/cpu/online",
)
FOLDERS = ("sys/devices/system/node/node1", "sys/devices/system/node/node3", "sys/kernel/slab", "proc/sys", "proc/net")
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("remove"), st.sampled_from(FILES + FOLDERS), st.just(0)),
        st.tuples(st.just("restore"), st.sampled_from(FILES + FOLDERS), st.just(0)),
        st.tuples(st.sampled_from(("cut", "damage", "repeat")), st.sampled_from(FILES), st.integers(0, 4000)),
    ),
    max_size=3,
)
STEPS = st.lists(
    st.tuples(
        CHANGES,
        st.sampled_from((0.0, 1e-6, 1.0, 1.0, 7.0, 90_000.0)),
        st.sampled_from((0.0, 1.0, 1.0, -3600.0, -1e9, 1e9, 4e9)),
    ),
    min_size=2,
    max_size=8,
)


def change(root: Path, original: Path, kind: str, name: str, place: int) -> None:
    """Makes one change of a file or folder of the tree."""
    path, source = root / name, original / name
    if kind in ("remove", "restore"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if kind == "restore" and source.is_dir():
            shutil.copytree(source, path, symlinks=True)
        elif kind == "restore" and source.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, path)
    elif path.is_file():
        data = path.read_bytes()
        at = place % (len(data) + 1)
        parts = {"cut": b"", "damage": b"\xff 18446744073709551615 -1" + data[at + 9 :], "repeat": data}
        path.write_bytes(data[:at] + parts[kind])


def assert_finite(value: Any) -> None:  # noqa: ANN401 (any JSON value)
    """No figure is an infinite number, or not a number."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            assert_finite(each)
    elif isinstance(value, float):
        assert math.isfinite(value)


@pytest.mark.slow
@given(STEPS)
def test_no_sequence_ends_sampling_or_the_recording(steps: Sequence[tuple[Any, float, float]]) -> None:
    original = tree("6.1-4n", "established")
    with tempfile.TemporaryDirectory() as folder:
        root, file = Path(folder) / "tree", Path(folder) / "recording"
        shutil.copytree(original, root, symlinks=True)
        host = TreeSequenceHost([root])
        recorder = Recorder(str(file))
        clock_s, unix_s = 5000.0, STARTED_UNIX_S
        sampler = Sampler(
            host,
            kernel_sources(),
            monotonic=lambda: clock_s,
            unix_time=lambda: unix_s,
            on_read=recorder.add_read,
        )
        live = []
        try:
            for changes, monotonic_step_s, unix_step_s in steps:
                for each in changes:
                    change(root, original, *each)
                read_due(sampler)
                live.append(sampler.snapshot())
                assert_finite(json.loads(as_json(account(live[-1]))))
                recorder.write(live[-1])
                clock_s += monotonic_step_s
                unix_s += unix_step_s
        finally:
            recorder.close()
            host.close()
        with recording_at(file) as recording:
            replayed = [recording.snapshot(index)._replace(recorded=False) for index in range(len(recording))]
            assert replayed == live
