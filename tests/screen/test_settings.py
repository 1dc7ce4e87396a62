"""The settings file: what is good in it holds, what is bad is named, and it is written on request only."""

from __future__ import annotations

import re
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptop.screen.settings import MOST_LINES, NO_SETTINGS, Settings, path, read, write
from tcptop.text.cache_columns import COLUMNS, SORT_KEYS
from tcptop.text.quantities import MAX_INTERVAL_S, MIN_INTERVAL_S

WHOLE = """\
# what I like
interval = 2.5
sort = "c"
theme = "light"

node = 3   # the one with the network card
columns = ["cache", "objects", "bytes"]
ascii = false
mouse = true
extras = false
"""

BAD = [
    "interval = 0",
    "interval = 'often'",
    "interval = true",
    "interval = nan",
    "interval = 1e400",
    "sort = 'x'",
    "sort = 1",
    "theme = 'solarized'",
    "node = -1",
    "node = 1.5",
    "node = true",
    f"node = 1{'0' * 5000}",
    f"node = 0x{'f' * 5000}",
    "columns = []",
    "columns = 'cache'",
    "columns = ['cache', 'nonsense']",
    "columns = [[1]]",
    "ascii = 1",
    "mouse = 'yes'",
    "extras = 0",
    "colour = 'red'",
    "interval.x = 1",
    "[interval]",
    "[table]",
    "interval",
    "interval = ",
    "= 3",
    "node = 1 node = 2",
    "\x00",
    "\x1b[2J = 1",
    '"\\u202e" = 1',
    "[" * 3000,
    "x" * 10_000,
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tcptop" / "config.toml"


def written(file: Path, content: str | bytes) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_no_file_is_no_mistake(file: Path) -> None:
    assert read(file) == (NO_SETTINGS, [])
    assert not file.parent.exists()


def test_every_setting_is_read(file: Path) -> None:
    found, wrong = read(written(file, WHOLE))
    assert wrong == []
    assert found == Settings(2.5, "c", "light", 3, ("cache", "objects", "bytes"), False, True, False)
    assert None not in [getattr(found, each.name) for each in fields(found)], "WHOLE names every setting"


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: str(bad)[:20].encode("unicode_escape").decode())
def test_a_bad_line_is_named_and_costs_no_other(file: Path, bad: str) -> None:
    lines = WHOLE.splitlines()
    found, wrong = read(written(file, "\n".join([*lines[:3], bad, *lines[3:]])))
    assert found == read(written(file, WHOLE))[0]
    [line] = wrong
    assert line.startswith(f"{file}:4: ")
    assert line.endswith("passed over")
    assert line.isprintable()
    assert len(line) < len(str(file)) + 300, "it must fit on a screen"


def test_the_last_of_two_lines_holds(file: Path) -> None:
    assert read(written(file, "node = 1\nnode = 2\n")) == (Settings(node=2), [])


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("colour = 1", "interval, sort, theme, node, columns, ascii, mouse, extras"),
        ("sort = 'x'", "a, b, c"),
        ("columns = ['sise']", "'sise'"),
        ("interval = 0", "0.1 to 86400"),
        ("theme = 'blue'", "dark, light"),
    ],
)
def test_what_is_said_helps(file: Path, bad: str, said: str) -> None:
    assert said in read(written(file, bad))[1][0]


def test_a_file_that_is_not_text(file: Path) -> None:
    found, [line] = read(written(file, b"node = 1\n\xff\xfe\n"))
    assert found == NO_SETTINGS
    assert line == f"{file}: not UTF-8"


def test_a_folder_of_that_name(file: Path) -> None:
    file.mkdir(parents=True)
    found, [line] = read(file)
    assert found == NO_SETTINGS
    assert line == f"{file}: Is a directory"


def test_lines_that_are_too_many_are_not_left_out_in_silence(file: Path) -> None:
    found, [line] = read(written(file, "# nothing\n" * MOST_LINES + "node = 7\n"))
    assert found == NO_SETTINGS
    assert f":{MOST_LINES + 1}: " in line


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400) | st.lists(st.sampled_from([*WHOLE.splitlines(), *BAD])).map("\n".join).map(str.encode))
def test_any_bytes_give_settings_and_named_lines(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder) / "config.toml", content)
        found, wrong = read(file)
        for line in wrong:
            assert line.isprintable(), line
            assert re.match(rf"{re.escape(str(file))}(:\d+)?: ", line)
        numbers = [int(line.removeprefix(f"{file}:").partition(":")[0]) for line in wrong if "not UTF-8" not in line]
        assert numbers == sorted(numbers)
        assert all(1 <= number <= content.count(b"\n") * 4 + len(content) + 1 for number in numbers)
        # What was taken is what the file would say without the lines that were passed over.
        write(file, found)
        assert read(file) == (found, [])


A_SETTING = st.builds(
    Settings,
    interval=st.none() | st.floats(MIN_INTERVAL_S, MAX_INTERVAL_S),
    sort=st.none() | st.sampled_from(sorted(SORT_KEYS)),
    theme=st.none() | st.sampled_from(["dark", "light"]),
    node=st.none() | st.integers(0, 1023),
    columns=st.none() | st.lists(st.sampled_from([each.id for each in COLUMNS]), min_size=1).map(tuple),
    ascii=st.none() | st.booleans(),
    mouse=st.none() | st.booleans(),
    extras=st.none() | st.booleans(),
)


@settings(deadline=None, max_examples=300)
@given(A_SETTING)
def test_what_is_written_is_read_again(wanted: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "new" / "folder" / "config.toml"
        write(file, wanted)
        assert read(file) == (wanted, [])
        assert [each.name for each in file.parent.iterdir()] == ["config.toml"]


def test_a_file_that_cannot_be_written_is_left_as_it_is(file: Path) -> None:
    (file / "something").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write(file, NO_SETTINGS)
    assert [each.name for each in file.parent.iterdir()] == ["config.toml"], "nothing is left lying about"


def test_a_link_stays_a_link(tmp_path: Path, file: Path) -> None:
    """Many keep such files elsewhere, under version control."""
    kept = written(tmp_path / "kept" / "tcptop.toml", "node = 1\n")
    file.parent.mkdir()
    file.symlink_to(kept)
    write(file, replace(read(file)[0], node=2))
    assert file.is_symlink()
    assert kept.read_text() == "node = 2\n"


@pytest.mark.parametrize(
    ("base", "folder"),
    [("/etc/mine", "/etc/mine"), ("", "~/.config"), ("relative/is/ignored", "~/.config")],
)
def test_where_it_lies(base: str, folder: str) -> None:
    assert path({"XDG_CONFIG_HOME": base}) == Path(folder).expanduser() / "tcptop" / "config.toml"
