"""No recording, export or tree of the recipe has a serial number, asset tag, part number or UUID."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import made_smbios as made
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import copy_recording, ledger_of, write_tree
from samples import recording_at

from tcptop.cli import main
from tcptop.sources.smbios import blank_private

PROJECT = Path(__file__).resolve().parents[2]
SECRETS = (made.SECRET.encode(), 0x1122334455667788.to_bytes(8, "little"))


def run(*arguments: str | Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    assert ended.value.code == 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_tree(copy_recording("6.1-4n", "established", tmp_path), made.files())
    assert all(secret in (root / made.TABLE).read_bytes() for secret in SECRETS)
    return root


def assert_no_secrets(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for file in files:
        data = file.read_bytes()
        assert not [secret for secret in SECRETS if secret in data], file


@pytest.mark.parametrize("scrub", [(), ("--scrub",)])
def test_a_recording_and_its_export_have_the_figures_and_no_serial_number(
    root: Path, scrub: tuple[str, ...], tmp_path: Path
) -> None:
    run("import", root, "-w", tmp_path / "file", *scrub)
    with recording_at(tmp_path / "file") as recording:
        replayed = recording.snapshot(0)
        [sample] = recording.samples([0])
    assert replayed.smbios.state == "ok"
    assert replayed.smbios.value == ledger_of(root).hardware
    stored = [answer for read in sample.reads for answer in read.answers if answer.path == made.TABLE]
    assert [getattr(answer, "data", None) for answer in stored] == [blank_private(made.small_machine())]
    run("export", "-r", tmp_path / "file", tmp_path / "exported")
    assert_no_secrets(tmp_path / "exported")
    [exported] = (tmp_path / "exported").glob("0*")
    assert ledger_of(exported).hardware == ledger_of(root).hardware


def of_the_recipe(table: Path, shell: str, path: str | None = None) -> bytes:
    """The table that the recipe writes."""
    page = (PROJECT / "docs/other-machines.md").read_text()
    [command] = re.findall(r"^    (printf .*?) >\"\$to", page, re.DOTALL | re.MULTILINE)
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    done = subprocess.run(
        [shell, "-c", command.replace(made.TABLE, f"'{table}'")], capture_output=True, check=True, env=environment
    )
    assert done.stderr == b""
    return done.stdout


def awks(folder: Path) -> list[str]:
    """A PATH for each awk that is installed here."""
    paths = []
    for name in ("mawk", "gawk", "original-awk", "busybox"):
        found = shutil.which(name)
        if found is not None:
            (folder / name).mkdir()
            (folder / name / "awk").symlink_to(found)
            paths.append(f"{folder / name}:{os.environ['PATH']}")
    return paths


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_recipe_writes_the_same_table_in_every_shell_and_awk(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    place = tmp_path / "table"
    place.write_bytes(made.small_machine())
    shells = {"busybox": "/bin/busybox sh"}
    program = tmp_path / "shell"
    program.write_text(f'#!/bin/sh\nexec {shells.get(shell, shell)} "$@"\n')
    program.chmod(0o755)
    paths = awks(tmp_path)
    assert paths
    for path in paths:
        assert of_the_recipe(place, str(program), path) == blank_private(made.small_machine()), path


texts = st.lists(st.binary(min_size=1, max_size=6).map(lambda text: text.replace(b"\0", b"x")), max_size=6)
some_structures = st.lists(
    st.tuples(st.sampled_from([0, 1, 4, 16, 17, 127, 255]), st.binary(max_size=100), texts), min_size=1, max_size=6
)


@settings(max_examples=40, deadline=None)
@given(some_structures)
def test_the_recipe_keeps_of_any_table_what_a_recording_keeps(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bytes, list[bytes]]]
) -> None:
    place = tmp_path_factory.mktemp("recipe") / "table"
    structures = [
        bytes((kind, 4 + len(data), 0, 0)) + data + (b"".join(text + b"\0" for text in strings) or b"\0") + b"\0"
        for kind, data, strings in rows
    ]
    place.write_bytes(b"".join(structures))
    assert of_the_recipe(place, "/bin/sh") == blank_private(b"".join(structures))
