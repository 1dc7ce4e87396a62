"""The settings file: valid values are used, invalid values are named, and the file is written only on request."""

from __future__ import annotations

import re
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.errors import TcptopError
from tcptop.kernel.limits import THRESHOLDS
from tcptop.ledger import Threshold
from tcptop.settings.file import MOST_BYTES, NO_SETTINGS, Settings, read_settings, settings_path, write_settings
from tcptop.text.cache_columns import COLUMNS, SORT_KEYS
from tcptop.text.quantities import MAX_INTERVAL_S, MIN_INTERVAL_S

KEYS = """\
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
TABLE = """
[limits.nf_conntrack_max]
warn = 70
critical = 90.5
"""
WHOLE = KEYS + TABLE

WRONG_TABLES = [
    ("[limits.conntrack]\nwarn = 1", "limits.conntrack: no such limit; there are: memory, tcp_mem"),
    ("[limits.tcp_mem]\nwarn = 96", "limits.tcp_mem: warn is 96, above critical, 95"),
    ("[limits.tcp_mem]\nwarn = 30\ncritical = 20", "warn is 30, above critical, 20"),
    ("[limits.memory]\nwarn = -1", "a percentage"),
    ("[limits.memory]\nwarn = 'x'", "a percentage"),
    ("[limits.memory]\nwarn = true", "a percentage"),
    ("[limits.memory]\nwarn = nan", "a percentage"),
    ("[limits.memory]\ncritical = 1e400", "a percentage"),
    ("[limits.memory]\nnear = 1", "a table with warn and critical"),
    ("[limits]\nmemory = 3", "a table with warn and critical"),
    ("limits = 3", "limits: a table of limits, not 3"),
    ("limits = []", "limits: a table of limits, not []"),
    ("[[limits]]\nwarn = 1", "limits: a table of limits, not [{'warn': 1}]"),
    ("[limits.'']\nwarn = 1", "limits.: no such limit"),
    ('[limits."\\u001b[2J"]', "no such limit"),
]

WRONG_VALUES = [
    "interval = 0",
    "interval = 'often'",
    "interval = true",
    "interval = nan",
    "interval = 1e400",
    "interval.x = 1",
    "sort = 'x'",
    "sort = 1",
    "theme = 'solarized'",
    "node = -1",
    "node = 1.5",
    "node = true",
    f"node = 0x{'f' * 3000}",
    "columns = []",
    "columns = 'cache'",
    "columns = ['cache', 'nonsense']",
    "columns = [[1]]",
    "ascii = 1",
    "mouse = 'yes'",
    "extras = 0",
    "colour = 'red'",
    '"\\u202e" = 1',
    "[table]",
    "[table]\nnode = 1",
]
NOT_TOML = [
    "interval",
    "interval = ",
    "= 3",
    "node = 1 node = 2",
    "node = 1\nnode = 2",
    f"node = 1{'0' * 5000}",
    "\x00",
    "\x1b[2J = 1",
    "[" * 3000,
    "x = " + "[" * 3000,
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
    assert read_settings(file) == (NO_SETTINGS, [])
    assert not file.parent.exists()


def test_every_setting_is_read(file: Path) -> None:
    found, wrong = read_settings(written(file, WHOLE))
    assert wrong == []
    limits = {"nf_conntrack_max": Threshold(70, 90.5)}
    assert found == Settings(2.5, "c", "light", 3, ("cache", "objects", "bytes"), False, True, False, limits)
    assert found.thresholds == {**THRESHOLDS, **limits}
    assert None not in [getattr(found, each.name) for each in fields(found)], "WHOLE names every setting"


def name_of(text: str) -> str:
    return text[:20].encode("unicode_escape").decode()


@pytest.mark.parametrize("wrong", WRONG_VALUES, ids=name_of)
def test_a_wrong_value_costs_its_own_key_only(file: Path, wrong: str) -> None:
    key = wrong.partition(" ")[0].partition(".")[0]
    others = [line for line in KEYS.splitlines() if not line.startswith(f"{key} ")]
    found, [mistake] = read_settings(written(file, "\n".join([*others, wrong])))
    assert found == read_settings(written(file, "\n".join(others)))[0]
    assert mistake.startswith(f"{file}: ")
    assert mistake.endswith("; the setting is ignored")
    assert mistake.isprintable()
    assert len(mistake) < len(str(file)) + 300, "it must fit on a screen"


@pytest.mark.parametrize(("wrong", "words"), WRONG_TABLES, ids=name_of)
def test_a_wrong_threshold_costs_its_own_limit_only(file: Path, wrong: str, words: str) -> None:
    other = "" if wrong.startswith(("limits", "[[")) else TABLE
    found, [mistake] = read_settings(written(file, f"node = 2\n{wrong}\n{other}"))
    assert found.node == 2
    assert found.limits == ({"nf_conntrack_max": Threshold(70, 90.5)} if other else None)
    assert words in mistake
    assert mistake.endswith("; the setting is ignored")
    assert mistake.isprintable()


@pytest.mark.parametrize("wrong", NOT_TOML, ids=name_of)
def test_a_file_that_is_not_toml_is_one_line_with_its_number(file: Path, wrong: str) -> None:
    found, [mistake] = read_settings(written(file, f"# mine\n{wrong}\n"))
    assert found == NO_SETTINGS
    assert re.match(rf"{re.escape(str(file))}(:[23])?: (not TOML: |a key, a list or a table is more)", mistake)
    assert mistake.endswith("; no setting is read")
    assert mistake.isprintable()
    assert len(mistake) < len(str(file)) + 300, "it must fit on a screen"


def test_a_list_may_take_several_lines(file: Path) -> None:
    assert read_settings(written(file, 'columns = [\n  "cache",\n  "bytes", # the two\n]\n')) == (
        Settings(columns=("cache", "bytes")),
        [],
    )


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
    assert said in read_settings(written(file, bad))[1][0]


def test_a_file_that_is_not_text(file: Path) -> None:
    found, [line] = read_settings(written(file, b"node = 1\n\xff\xfe\n"))
    assert found == NO_SETTINGS
    assert line == f"{file}: not UTF-8; no setting is read"


def test_a_folder_of_that_name(file: Path) -> None:
    file.mkdir(parents=True)
    found, [line] = read_settings(file)
    assert found == NO_SETTINGS
    assert line == f"{file}: Is a directory; no setting is read"


def test_a_file_that_is_too_large_is_one_line(file: Path) -> None:
    found, [mistake] = read_settings(written(file, "# nothing\n" * (MOST_BYTES // 10) + "node = 7\n"))
    assert found == NO_SETTINGS
    assert "larger than 64 KiB" in mistake


LINES = [*WHOLE.splitlines(), *WRONG_VALUES, *NOT_TOML]


@given(st.binary(max_size=400) | st.lists(st.sampled_from(LINES)).map("\n".join).map(str.encode))
def test_any_bytes_give_settings_and_mistakes_of_one_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder) / "config.toml", content)
        found, mistakes = read_settings(file)
        for mistake in mistakes:
            assert mistake.isprintable(), mistake
            assert re.match(rf"{re.escape(str(file))}(:\d+)?: ", mistake)
        if any(re.search("not TOML|not UTF-8|levels deep", each) for each in mistakes):
            with pytest.raises(TcptopError, match="; nothing is written"):
                write_settings(file, found)
        else:
            write_settings(file, found)
        assert file.read_bytes() == content
        assert read_settings(file) == (found, mistakes)


MINE = """\
# mine
interval = 2  # seconds
'sort'="c"
colour = "red"   # of a later version
columns = ["nonsense"]

# the limits that I watch
[limits.memory]
warn = 98  # above critical
[limits.tcp_mem]
warn = 50.5
[limits.nosuch]
warn = 1
[other]
node = 7
interval = 3
"""


def test_writing_changes_only_what_differs(file: Path) -> None:
    found, mistakes = read_settings(written(file, MINE))
    assert len(mistakes) == 5
    write_settings(file, replace(found, interval=4.0, sort="e", node=2, theme="light"))
    expected = MINE.replace("interval = 2 ", "interval = 4.0 ").replace('"c"', '"e"')
    expected = expected.replace('"e"\n', '"e"\n').replace('["nonsense"]\n', '["nonsense"]\ntheme = "light"\nnode = 2\n')
    assert file.read_text() == expected
    write_settings(file, replace(read_settings(file)[0], node=None))
    assert file.read_text() == expected.replace("node = 2\n", "")


@pytest.mark.parametrize(
    "content", ["", "node = 1", "# nothing", "\n\n[limits.memory]\nwarn = 50", "node = 1\r\n# end\r\n"]
)
def test_the_form_of_a_file_stays(file: Path, content: str) -> None:
    found, _ = read_settings(written(file, content))
    for node in (3, None, 4):
        write_settings(file, replace(found, node=node, theme="dark"))
        assert read_settings(file) == (replace(found, node=node, theme="dark"), [])
        for line in content.split("\n"):
            assert line in file.read_bytes().decode().split("\n") or "node" in line


@pytest.mark.parametrize(
    "content",
    ['sort = """\nc"""\n', "interval.x = 1\n", "columns = [\n 'cache',\n]\n", "[columns]\n", "[interval]\nx = 1\n"],
)
def test_a_value_that_cannot_be_replaced_stays(file: Path, content: str) -> None:
    wanted = Settings(interval=2.0, sort="a", columns=("bytes",))
    written(file, content)
    with pytest.raises(TcptopError, match="only an editor can change; nothing is written"):
        write_settings(file, wanted)
    assert file.read_text() == content


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
    limits=st.none()
    | st.dictionaries(
        st.sampled_from(sorted(THRESHOLDS)),
        st.builds(Threshold, st.floats(0.1, 50) | st.integers(1, 50), st.floats(50, 400) | st.integers(50, 400)),
        min_size=1,
    ),
)


@given(A_SETTING)
def test_what_is_written_is_read_again(wanted: Settings) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "new" / "folder" / "config.toml"
        write_settings(file, wanted)
        assert read_settings(file) == (wanted, [])
        assert [each.name for each in file.parent.iterdir()] == ["config.toml"]


def test_a_file_that_cannot_be_written_is_left_as_it_is(file: Path) -> None:
    (file / "something").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_settings(file, NO_SETTINGS)
    assert [each.name for each in file.parent.iterdir()] == ["config.toml"], "nothing is left lying about"


def test_a_link_stays_a_link(tmp_path: Path, file: Path) -> None:
    """Many users keep settings files in another folder, under version control."""
    kept = written(tmp_path / "kept" / "tcptop.toml", "node = 1\n")
    file.parent.mkdir()
    file.symlink_to(kept)
    write_settings(file, replace(read_settings(file)[0], node=2))
    assert file.is_symlink()
    assert kept.read_text() == "node = 2\n"


@pytest.mark.parametrize(
    ("base", "folder"),
    [("/etc/mine", "/etc/mine"), ("", "~/.config"), ("relative/is/ignored", "~/.config")],
)
def test_where_it_lies(base: str, folder: str) -> None:
    assert settings_path({"XDG_CONFIG_HOME": base}) == Path(folder).expanduser() / "tcptop" / "config.toml"
