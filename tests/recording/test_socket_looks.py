"""Lists of all sockets in recordings: byte for byte, without peers, scrubbed, exported and imported."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from made_look import HERE, WHOLE_MACHINE, cgroup, group, listen, look_text, net, process, tree_with_look
from samples import TreeSequenceHost, assert_same_snapshot, recording_at

from tcptop.accounting import account
from tcptop.cli import main
from tcptop.hosts.host import FileRead
from tcptop.recording.recorder import Recorder
from tcptop.recording.scrub import make_scrub
from tcptop.recording.scrub_sockets import SocketScrubber, forget_peers
from tcptop.report.as_json import as_json
from tcptop.sampling.sampler import Sampler, SourceRead, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import NOT_READ, Snapshot
from tcptop.sock_diag import SOCKETS_PATH
from tcptop.sources.socket_table import SocketTableSource

SECRETS = ("hoarder", "api.service", "pod4f00aa11", "anna", "blue", "4026532300", "4711", str(HERE))
CHANGED = tuple(line.replace("\t600\t", "\t700\t") for line in WHOLE_MACHINE)


def run(*arguments: str | Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    assert ended.value.code == 0


def output(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    run(*arguments)
    return capsys.readouterr().out


def record(file: Path, trees: list[Path], scrubbed: bool = False) -> list[Snapshot]:
    """Records twelve seconds of trees that change after six; returns the snapshots."""
    clock_s = 5_000.0
    host = TreeSequenceHost(trees)
    recorder = Recorder(str(file), scrub=make_scrub() if scrubbed else None)
    sampler = Sampler(host, kernel_sources(), monotonic=lambda: clock_s, on_read=recorder.add_read)
    sampler.add_source(SocketTableSource())
    found = []
    for second in range(12):
        host.turn = second // 6
        read_due(sampler)
        found.append(sampler.snapshot())
        recorder.write(found[-1])
        clock_s += 1.0
    recorder.close()
    host.close()
    return found


@pytest.fixture
def trees(tmp_path: Path) -> list[Path]:
    looks = {"a": WHOLE_MACHINE, "b": CHANGED}
    return [tree_with_look(tmp_path / name, look_text(*lines)) for name, lines in looks.items()]


def test_a_sample_without_a_new_look_keeps_the_last(trees: list[Path], tmp_path: Path) -> None:
    live = record(tmp_path / "file", trees)
    assert [sample.socket_table.taken_at_s for sample in live] == [5000.0] * 5 + [5005.0] * 5 + [5010.0] * 2
    assert live[10].socket_table.before is not None
    with recording_at(tmp_path / "file") as recording:
        for index in (11, 0, 10, 5, 4):
            replayed = recording.snapshot(index)
            assert_same_snapshot(replayed, live[index]._replace(machine_load=replayed.machine_load))
            assert as_json(account(replayed)) == as_json(account(live[index]))


def test_the_table_of_a_recording_is_that_of_the_live_sample(
    trees: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = record(tmp_path / "file", trees)
    looks = [json.loads(line) for line in output(capsys, "who", "--json", "-r", tmp_path / "file").splitlines()]
    reports = [json.loads(as_json(account(sample)))["holders"] for sample in live]
    assert len(looks) == 12
    for look, report in zip(looks, reports, strict=True):
        assert {key: look[key] for key in report if key != "groups"} == {
            key: report[key] for key in report if key != "groups"
        }
        assert sorted(map(json.dumps, look["groups"])) == sorted(map(json.dumps, report["groups"]))


@pytest.mark.slow
def test_exports_imports_and_archives_keep_the_look(
    trees: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder, again = tmp_path / "file", tmp_path / "folder", tmp_path / "again"
    record(file, trees)
    run("export", "-r", file, folder)
    sample = folder / "000011"
    assert (sample / SOCKETS_PATH).read_bytes() == (trees[1] / SOCKETS_PATH).read_bytes()
    run("import", folder, "-w", again)
    assert output(capsys, "who", "--json", "-r", again) == output(capsys, "who", "--json", "-r", file)
    with tarfile.open(tmp_path / "sample.tgz", "w:gz") as archive:
        archive.add(sample, "web17")
    of_tree = output(capsys, "who", "--json", "--root", sample)
    assert json.loads(of_tree)["sums"]["full"] == 1903
    assert output(capsys, "who", "--json", "--root", tmp_path / "sample.tgz") == of_tree
    run("import", sample, "-w", tmp_path / "tree")
    assert json.loads(output(capsys, "who", "--json", "-r", tmp_path / "tree"))["sums"]["full"] == 1903


def test_a_recording_without_looks_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("record", "--root", Path(__file__).parents[1] / "recordings/6.1-4n/base", "-w", tmp_path / "file")
    with pytest.raises(SystemExit) as ended:
        main(["who", "-r", str(tmp_path / "file")])
    assert ended.value.code == 1
    assert "record --who keeps one" in capsys.readouterr().err


def add_sample(file: Path, root: Path, taken_at_unix_s: float, has_look: bool) -> None:
    """Appends a sample to a recording, with or without a look at the sockets."""
    host = TreeSequenceHost([root])
    recorder = Recorder(str(file))
    sampler = Sampler(host, kernel_sources(), on_read=recorder.add_read)
    if has_look:
        sampler.add_source(SocketTableSource())
    read_due(sampler)
    recorder.write(sampler.snapshot()._replace(taken_at_unix_s=taken_at_unix_s))
    recorder.close()
    host.close()


@pytest.mark.parametrize("looks", [(True, False, False), (False, False, True)], ids=["earlier", "later"])
def test_a_sample_without_a_look_names_the_nearest_that_has_one(
    trees: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], looks: tuple[bool, ...]
) -> None:
    file = tmp_path / "file"
    for number, has_look in enumerate(looks):
        add_sample(file, trees[0], 1_790_000_000.25 + number / 2, has_look)
    with pytest.raises(SystemExit) as ended:
        main(["who", "-r", str(file), *([] if looks[0] else ["--at", "+0s"])])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert ("an earlier" if looks[0] else "a later") in error
    assert json.loads(output(capsys, "who", "--json", "-r", file, *error.split()[-2:]))["sums"]["full"]


def read_of(text: str, path: str = SOCKETS_PATH) -> SourceRead:
    return SourceRead("socket_table", NOT_READ, (FileRead(path, text.encode(), None, 1),), ())


def text_of(read: SourceRead) -> str:
    [answer] = read.answers
    assert isinstance(answer, FileRead)
    return (answer.data or b"").decode()


def figures(snapshot: Snapshot) -> tuple[object, ...]:
    """The figures of a list of sockets, without names."""
    found = account(snapshot).holders
    assert found is not None
    return (
        found.sums,
        sorted((each.holder.kind, each.state, each.sockets, each.buffer_bytes, each.port) for each in found.groups),
        [(each.kind, each.sockets, each.bytes) for each in found.verdicts],
        [(each.port, each.queue, each.limit, each.drops) for each in found.listeners],
    )


@pytest.mark.slow
def test_a_scrubbed_recording_has_equal_figures_and_no_names(trees: list[Path], tmp_path: Path) -> None:
    live = record(tmp_path / "file", trees, scrubbed=True)
    with recording_at(tmp_path / "file") as recording:
        assert [figures(recording.snapshot(index)) for index in range(12)] == [figures(sample) for sample in live]
    run("export", "-r", tmp_path / "file", tmp_path / "folder")
    texts = [each.read_text() for each in (tmp_path / "folder").glob(f"*/{SOCKETS_PATH}")]
    assert len(texts) == 12
    for text in texts:
        assert not [secret for secret in SECRETS if secret in text]
        assert "process 1" in text
        assert {"service 1", "pod 2"} <= set(text.replace("\n", "\t").split("\t"))


def test_scrubbed_numbers_stay_from_one_look_to_the_next() -> None:
    scrubber = SocketScrubber()

    def processes(*pids: int) -> list[str]:
        lines = [process(pid, f"name{pid}") for pid in pids]
        text = text_of(scrubber.scrub(read_of(look_text(*lines))))
        return [line.split("\t")[1] for line in text.splitlines() if line.startswith("process\t")]

    assert processes(500, 70, 9000) == ["2", "1", "3"]
    assert processes(9000, 71, 500) == ["3", "4", "2"]
    # A process that is missing from one list gets another number in later lists.
    assert processes(70, 71) == ["5", "4"]


def test_scrubbing_leaves_out_what_it_does_not_know() -> None:
    lines = (
        net(HERE, name="secret", inuse=4),
        listen(8080, pid=70, uid=1000, cgroup=77),
        group("whole:70", 5, uid=1000, cgroup=77, peer="192.0.2.0/24"),
        cgroup(77, "/user.slice/secret"),
        process(70, "secret", descriptors=154, limit=160),
        "below\t70\t4\t1",
        "user\t1000\tsecret",
        "hidden\thidepid",
        "hidden\tsecret",
        "cgroups\tpart",
        "later\tsecret",
        "group\tsecret",
    )
    text = text_of(SocketScrubber().scrub(read_of(look_text(*lines))))
    assert "secret" not in text
    assert "192.0.2" not in text
    assert "\ncgroup\t1\t-\t-\tcgroup 1\n" in text
    table, damage = SocketTableSource().parse(text)
    assert damage is None
    assert table is not None
    assert (table.hidden_by, table.cgroups_visible) == (("hidepid",), False)
    assert table.process_of[1].limited_descriptors == 4
    assert (table.groups[0].pid, table.groups[0].uid, table.listeners[0].pid, table.groups[0].sockets) == (1, 1, 1, 5)
    assert text_of(SocketScrubber().scrub(read_of("something else\n"))) == ""


def test_peers_are_never_recorded() -> None:
    text = look_text(group("whole:10", 5, peer="192.0.2.0/24"), group("whole:10", 6, peer="2001:db8::/48"), process())
    read = forget_peers(read_of(text, f"{SOCKETS_PATH},peers"))
    assert read.answers[0].path == SOCKETS_PATH
    assert "192.0.2" not in text_of(read)
    assert "2001:db8" not in text_of(read)
    table, damage = SocketTableSource().parse(text_of(read))
    assert damage is None
    assert table is not None
    assert [each.sockets for each in table.groups] == [11]
