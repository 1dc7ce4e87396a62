"""ASCII drawing in a locale without UTF-8 and on the Linux console; it is not written to the settings file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from session import TCPTOP, Session

from tcptop.settings.file import read_settings, settings_path


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Session]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    session = Session(["env", *(f"{name}={value}" for name, value in request.param.items()), *TCPTOP])
    yield session
    session.end()


@pytest.mark.slow
@pytest.mark.parametrize(
    "session", [{"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"TERM": "linux"}, {"PYTHONIOENCODING": "latin-1"}], indirect=True
)
def test_everything_is_drawn_in_ascii_but_ascii_is_not_written_to_the_settings(session: Session) -> None:
    session.until_shown("sock_inode_cache")
    session.until_quiet()
    text = session.screen.text()
    assert text.isascii()
    assert "- TCP caches - all 4 nodes - " in text
    session.type(":")
    session.until_shown("- Commands -")
    session.type("these settings")
    session.until_shown(": these settings_")
    session.type("\r")
    file = settings_path()
    assert file is not None
    session.until(file.exists, "the settings are written")
    assert read_settings(file)[0].ascii is None, "another terminal of the same user may have UTF-8"
    session.until_shown("written: ")
    session.type("q")
    assert session.until_ended() == 0
