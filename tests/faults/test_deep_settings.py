"""Settings files below the bound on their size, with keys, lists or tables of great depth."""

from __future__ import annotations

from pathlib import Path

import pytest
from program import CHECKOUT, limit_resources, run

TREE = CHECKOUT / "tests/recordings" / "6.1-4n" / "established"
BYTES = 60_000
DEEP = {
    "a dotted key": ".".join("a" * (BYTES // 2)) + " = 1\n",
    "a key with spaces": " . ".join("a" * (BYTES // 4)) + " = 1\n",
    "a quoted key": ".".join(['"a"'] * (BYTES // 4)) + " = 1\n",
    "a table": f"[{'.'.join('a' * (BYTES // 2))}]\n",
    "lists": "a = " + "[" * BYTES,
    "inline tables": "a = " + "{a = " * (BYTES // 5),
    "a key after a string of four quotes": 'a = {x = """b"""", ' + ".".join("a" * (BYTES // 2)) + ' = 1, y = "c"}\n',
}
FLAT = {
    "a long string": f'a = "{"x" * BYTES}"\n',
    "many tables": "".join(f"[a{number}]\n" for number in range(BYTES // 10)),
    "many deep keys": "".join(f"a{number}{'.b' * 19} = 1\n" for number in range(BYTES // 50)),
    "a dot and blanks": "a." + " " * BYTES,
    "unclosed strings": '"""a\\' * (BYTES // 5),
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "tcptop").mkdir()
    return tmp_path / "tcptop/config.toml"


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
@pytest.mark.quick_cases(2)
def test_deep_settings_are_refused_in_one_line(settings: Path, text: str) -> None:
    settings.write_text(text)
    done = run("check", "--root", TREE, prepare=limit_resources)
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert "more than 20 levels deep; no setting is read" in line


@pytest.mark.parametrize("text", FLAT.values(), ids=FLAT)
@pytest.mark.quick_cases(1)
def test_other_settings_take_bounded_time_and_memory(settings: Path, text: str) -> None:
    settings.write_text(text)
    done = run("check", "--root", TREE, prepare=limit_resources)
    assert done.returncode == 0
    assert "levels deep" not in done.stderr


def test_settings_with_dots_in_strings_and_tables_are_read(settings: Path) -> None:
    settings.write_text(f'# {"." * 50}\ninterval = 1.5\ntheme = "{"." * 50}"\n[limits."memory"]\nwarn = 0.5\n')
    done = run("check", "--root", TREE)
    assert "one of dark, light" in done.stderr
    assert "warning from 0.5 %" in done.stdout
