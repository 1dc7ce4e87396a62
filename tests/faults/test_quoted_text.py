"""Arguments that are empty or long, and untrusted text in errors: each error is one short line that says what is
wrong.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from recorded import copy_recording, tree

from tcptop.cli import main

TREE = str(tree("6.1-4n", "established"))
LONG = "x\x1b[31m\u202e" * 300
MAX_CHARACTERS = 450
"""The longest error line here: a quoted text of 80 characters in a sentence, or argparse's own with its choices."""


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The only line of an error, of standard output for `check`; it has no control or format characters."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert ended.value.code in (1, 2, 3)
    out, err = capsys.readouterr()
    [line] = (out + err).splitlines()
    assert line.isprintable()
    return line


@pytest.mark.parametrize("empty", ["", " ", "\t"], ids=["nothing", "a blank", "a tab"])
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("-o", "-r", "{}"), "-r/--replay: is empty; give FILE"),
        (("-o", "--root", "{}"), "--root: is empty; give DIR"),
        (("-o", "--host", "{}"), "--host: is empty; give NAME"),
        (("-o", "--lab", "{}"), "--lab: is empty; give FILE"),
        (("-o", "--cgroup", "{}"), "--cgroup: is empty; give PATH"),
        (("-o", "-r", TREE, "--at", "{}"), "--at: is empty; give TIME"),
        (("-o", "-r", TREE, "--from", "{}"), "--from: is empty; give TIME"),
        (("-o", "-d", "{}"), "-d/--delay: is empty; give N"),
        (("{}",), "an argument is empty"),
        (("plan", "--connections", "1", "{}"), "an argument is empty"),
        (("plan", "--connections", "{}"), "--connections: is empty; give N"),
        (("check", "{}"), "argument NAME: is empty"),
        (("check", "--warn", "{}"), "--warn: is empty; give NAME=RANGE"),
        (("explain", "{}"), "is empty"),
        (("diff", "{}", TREE), "argument A: is empty"),
        (("diff", TREE, "{}"), "argument B: is empty"),
        (("record", "-w", "{}"), "-w/--write: is empty; give FILE"),
        (("import", TREE, "-w", "{}"), "-w/--write: is empty; give FILE"),
        (("import", "{}", "-w", "new"), "argument SOURCE: is empty"),
        (("export", "-r", TREE, "{}"), "argument DIR: is empty"),
        (("lab", "-w", "{}"), "-w/--write: is empty; give FILE"),
        (("lab", "--compare", "{}"), "--compare: is empty; give FILE"),
        (("exporter", "--textfile", "{}"), "--textfile: is empty; give FILE"),
        (("exporter", "--web.config.file", "{}"), "--web.config.file: is empty; give FILE"),
        (("exporter", "--listen", "{}"), "--listen: is empty; give ADDRESS:PORT"),
    ],
    ids=str,
)
def test_an_empty_argument_is_named(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], what: str, empty: str
) -> None:
    assert what in error_line(capsys, *(each.format(empty) for each in arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        ("who", "--state", "close_wait,,established"),
        ("who", "--state", ","),
        ("lab", "--states", "established,"),
        ("-o", "--host", "a,,b"),
    ],
    ids=str,
)
def test_an_empty_name_in_a_list_is_named(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert f"an empty name in {arguments[-1]!r}" in error_line(capsys, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        (LONG,),
        ("-o", "-d", LONG),
        ("-o", "-s", LONG),
        ("-o", "-n", LONG),
        ("--theme", LONG),
        ("-o", "-r", TREE, "--at", LONG),
        ("-o", "--host", LONG),
        ("-o", "--root", TREE, "--cgroup", f"../{LONG}"),
        ("help", LONG),
        ("explain", LONG),
        ("plan", "--connections", LONG),
        ("plan", "--connections", "1", LONG),
        ("plan", "--connections", "1", "--side", LONG),
        ("check", LONG),
        ("check", "--warn", LONG),
        ("check", "--warn", f"memory={LONG}"),
        ("who", "--state", LONG),
        ("who", "--port", LONG),
        ("record", "--for", LONG, "-w", "new"),
        ("record", "--max-size", LONG, "-w", "new"),
        ("lab", "--states", LONG),
        ("exporter", "--listen", LONG),
    ],
    ids=lambda arguments: " ".join(arguments).replace(LONG, "LONG")[-60:],
)
def test_a_long_argument_is_cut(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert len(error_line(capsys, *arguments)) < MAX_CHARACTERS


def test_foreign_names_of_an_archive_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open(tmp_path / "two.tar", "w") as archive:
        for top in ("one" * 200, f"\x1b[31m{'two' * 200}"):
            member = tarfile.TarInfo(f"{top}/proc/meminfo")
            member.size = 4
            archive.addfile(member, io.BytesIO(b"text"))
    line = error_line(capsys, "-o", "--root", tmp_path / "two.tar")
    assert "more than one tree" in line
    assert len(line) < MAX_CHARACTERS + len(str(tmp_path))


@pytest.mark.parametrize("key", ["schema", "kernel", "build_id"])
def test_foreign_values_of_a_lab_result_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    result = {"schema": 1, "states": {"fin_wait2": {"parts": [{"row": LONG, "objects": LONG}]}}, key: LONG}
    (tmp_path / "lab.json").write_text(json.dumps(result))
    line = error_line(capsys, "-o", "--root", TREE, "--lab", tmp_path / "lab.json")
    assert len(line) < MAX_CHARACTERS + len(str(tmp_path))


@pytest.mark.parametrize("text", ["x: !!{}\n", "{}: 1\n", "tls_server_config: {{cert_file: a, key_file: b, {}: c}}\n"])
def test_foreign_text_of_a_web_configuration_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    pytest.importorskip("yaml")
    pytest.importorskip("bcrypt")
    (tmp_path / "web.yml").write_text(text.format("z" * 3000))
    line = error_line(capsys, "exporter", "--listen", "127.0.0.1:0", "--web.config.file", tmp_path / "web.yml")
    assert len(line) < MAX_CHARACTERS + len(str(tmp_path))


def test_foreign_lines_of_a_saved_tree_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path / "tree")
    for name in ("slabinfo", "meminfo", "buddyinfo", "zoneinfo", "vmstat", "net/sockstat", "sys/fs/file-nr"):
        with (root / "proc" / name).open("a") as file:
            file.write(f"{LONG} {LONG} {LONG}\n")
    with pytest.raises(SystemExit):
        main(["--json", "--root", str(root)])
    sources = json.loads(capsys.readouterr().out)["sources"]
    reasons = [each["reason"] for each in sources.values() if each["reason"]]
    assert reasons
    assert all(len(each) < MAX_CHARACTERS and each.isprintable() for each in reasons), reasons
