"""Exports: samples written as folders and read back unchanged, and hostile folders."""

from __future__ import annotations

import filecmp
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import RECORDINGS, snapshot_of, tree
from samples import (
    IntactRecording,
    assert_same_snapshot,
    is_one_line,
    make_intact_recording,
    phase_trees,
    record,
    recording_at,
)

from tcptop.accounting import account
from tcptop.commands.import_samples import copy_samples
from tcptop.errors import TcptopError
from tcptop.hosts.host import FileRead, FolderRead
from tcptop.hosts.recording_host import HostAnswer
from tcptop.recording.document import RecordedSample
from tcptop.recording.exported_folder import export
from tcptop.recording.opening import open_recording
from tcptop.recording.recorder import Recorder
from tcptop.report.as_json import as_json
from tcptop.sampling.sampler import SourceRead

SAMPLES = 7


@pytest.fixture(scope="module")
def recorded_file(tmp_path_factory: pytest.TempPathFactory) -> IntactRecording:
    file = tmp_path_factory.mktemp("whole") / "recording"
    return make_intact_recording(file, SAMPLES)


def import_into(source: Path, file: Path) -> None:
    recorder = Recorder(str(file))
    try:
        with recording_at(source) as recording:
            copy_samples(recording, range(len(recording)), recorder)
    finally:
        recorder.close()


def are_same_trees(one: Path, other: Path) -> bool:
    """True if two folders have the same names, links and bytes."""
    names = [{path.relative_to(root) for path in root.rglob("*")} for root in (one, other)]
    if names[0] != names[1]:
        return False
    for name in names[0]:
        first, second = one / name, other / name
        if first.is_symlink() != second.is_symlink():
            return False
        if first.is_symlink() and first.readlink() != second.readlink():
            return False
        if first.is_file() and not filecmp.cmp(first, second, shallow=False):
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["5.10-4n", "6.1-4n", "6.12-arm64-16k-4n", "7.3-4n"])
def test_export_and_import_keep_every_sample(kernel: str, tmp_path: Path) -> None:
    file, folder = tmp_path / "recording", tmp_path / "folder"
    live = record(file, phase_trees(kernel), SAMPLES)
    with recording_at(file) as recording:
        export(recording, range(SAMPLES), str(folder))
    with recording_at(folder) as recording:
        for index in range(SAMPLES):
            assert_same_snapshot(recording.snapshot(index), live[index])
        assert recording.taken_at_unix_s(3) == live[3].taken_at_unix_s
    import_into(folder, tmp_path / "back")
    with recording_at(tmp_path / "back") as recording:
        for index in range(SAMPLES):
            assert_same_snapshot(recording.snapshot(index), live[index])
        export(recording, range(SAMPLES), str(tmp_path / "again"))
    assert are_same_trees(folder, tmp_path / "again")


@pytest.mark.parametrize("kernel", RECORDINGS)
def test_an_exported_sample_is_a_saved_tree(kernel: str, tmp_path: Path) -> None:
    """With --root, an exported sample gives the same readings as the tree that was recorded."""
    file, folder = tmp_path / "recording", tmp_path / "folder"
    phase = RECORDINGS[kernel][-1]
    record(file, [tree(kernel, phase)], 1)
    with recording_at(file) as recording:
        export(recording, range(1), str(folder))
    original, exported = snapshot_of(tree(kernel, phase)), snapshot_of(folder / "000001")
    for name in ("slabinfo", "slab_counts", "slab_sizes", "zoneinfo", "buddyinfo", "sockstat", "topology", "meminfo"):
        assert getattr(exported, name).value == getattr(original, name).value, name
    assert exported.slab_links.value is not None
    assert original.slab_links.value is not None
    assert exported.slab_links.value.group_of == original.slab_links.value.group_of


def test_a_saved_tree_is_imported(tmp_path: Path) -> None:
    root = tree("6.1-4n", "established")
    import_into(root, tmp_path / "recording")
    with recording_at(tmp_path / "recording") as recording:
        snapshot = recording.snapshot(0)
    assert snapshot.slabinfo.value == snapshot_of(root).slabinfo.value
    assert (snapshot.live, snapshot.place, snapshot.taken_at_unix_s) == (False, str(root), None)


PATHS = (
    "../../outside",
    "/tmp/outside",
    "proc/../../outside",
    "proc//slabinfo",
    "proc/./slabinfo",
    "proc",
    "etc/passwd",
    "proc/a\0b",
    "sys/kernel/slab/link/file",
    "sys/kernel/slab/self/file",
    "proc/" + "x" * 300,
    "proc/\x1b[2Jname",
    "",
)


def test_hostile_paths_stay_in_the_export_folder(recorded_file: IntactRecording, tmp_path: Path) -> None:
    live = recorded_file.live_snapshots
    outside = tmp_path / "outside"
    outside.mkdir()
    links = FolderRead(
        "sys/kernel/slab",
        {"link": str(outside), "up": "../..", "self": "self", "..": "x", "a/b": "c", "dots": "..", "ok": ":0000064"},
        None,
        0,
    )
    live_reading = live[0].slabinfo
    answers: tuple[HostAnswer, ...] = (links, *(FileRead(path, path.encode(), None, 0) for path in PATHS))
    sample = RecordedSample(live[0], (SourceRead("slabinfo", live_reading, answers, ()),))

    class Hostile:
        path = str(tmp_path)

        def samples(self, _: range) -> list[RecordedSample]:
            return [sample]

    export(Hostile(), range(1), str(tmp_path / "folder"))  # type: ignore[arg-type] # an export calls no other method
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "outside"]
    assert not list(outside.iterdir())
    folder = tmp_path / "folder/000001"
    for path in folder.rglob("*"):
        assert path.resolve().is_relative_to(folder) or path.name == "self"
        if path.is_symlink():
            assert "/" not in str(path.readlink())
    assert (folder / "sys/kernel/slab/ok").readlink() == Path(":0000064")
    with recording_at(tmp_path / "folder") as recording:
        [read] = [read for read in recording.sample(0).reads if read.source == "slabinfo"]
        assert [(answer.path, answer.data) for answer in read.answers if isinstance(answer, FileRead)] == [
            (path, path.encode()) for path in PATHS
        ]


def test_export_refuses_an_existing_folder(recorded_file: IntactRecording, tmp_path: Path) -> None:
    with recording_at(recorded_file.path) as recording, pytest.raises(TcptopError, match="already exists"):
        export(recording, range(1), str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"samples": []},
        {"samples": ["../x"]},
        {"samples": "000001"},
        {"tcptop_export": 2},
        {"tcptop_export": None},
    ],
)
def test_an_export_whose_list_is_no_list(
    change: dict[str, object], recorded_file: IntactRecording, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    with recording_at(recorded_file.path) as recording:
        export(recording, range(1), str(folder))
    listing = json.loads((folder / "recording.json").read_text())
    (folder / "recording.json").write_text(json.dumps(listing | change))
    with pytest.raises(TcptopError) as raised:
        open_recording(str(folder))
    assert is_one_line(str(raised.value))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    field=st.sampled_from(["taken_at_s", "answers", "state", "before", "sockstat_answers", "every_s", "read_us"]),
    source=st.sampled_from(["slabinfo", "sockstat", "btf", "slab_links"]),
    value=json_values,
)
def test_arbitrary_json_in_a_sample_is_damage_at_most(
    field: str,
    source: str,
    value: object,
    recorded_file: IntactRecording,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.getbasetemp() / "exported"
    if not folder.exists():
        with recording_at(recorded_file.path) as recording:
            export(recording, range(1), str(folder))
        shutil.copy(folder / "000001/sample.json", folder / "original.json")
    document = json.loads((folder / "original.json").read_text())
    document["sources"][source][field] = value
    (folder / "000001/sample.json").write_text(json.dumps(document))
    with recording_at(folder) as recording:
        damage = recording.sample(0).damage
        assert damage is None or is_one_line(damage)
        json.loads(as_json(account(recording.snapshot(0))))


def test_a_sample_cannot_refer_to_files_outside_of_the_export(recorded_file: IntactRecording, tmp_path: Path) -> None:
    folder, secret = tmp_path / "folder", tmp_path / "secret"
    secret.write_text("slabinfo - version: 2.1\n")
    with recording_at(recorded_file.path) as recording:
        export(recording, range(1), str(folder))
    sample = folder / "000001/sample.json"
    for file in ("../../secret", "link", str(secret)):
        (folder / "000001/link").unlink(missing_ok=True)
        (folder / "000001/link").symlink_to(secret)
        document = json.loads(sample.read_text())
        document["sources"]["slabinfo"]["answers"] = [{"path": "proc/slabinfo", "file": file}]
        sample.write_text(json.dumps(document))
        with recording_at(folder) as recording:
            assert recording.snapshot(0).slabinfo.value is None
            assert "slabinfo" in (recording.sample(0).damage or "")
