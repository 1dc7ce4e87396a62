"""The completions equal those made from the parsers, and each shell uses the completions."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from session import Session

from scripts.make_completions import FILES, FOLDER

START = {
    "bash": (["bash", "--norc", "-i"], f"source {FOLDER}/tcptop"),
    "zsh": (["zsh", "-f", "-i"], f"fpath=({FOLDER} $fpath); autoload -U compinit; compinit -u -D"),
    "fish": (["fish", "--no-config"], f"source {FOLDER}/tcptop.fish"),
}
"""The command that starts each shell without a user's settings, and the line that loads the completions."""

COMPLETED = {
    "tcptop pla": "tcptop plan ",
    "tcpmemtop pla": "tcpmemtop plan ",
    "tcptop help wh": "tcptop help who ",
    "tcptop --theme li": "tcptop --theme light ",
    "tcptop who --by ne": "tcptop who --by netns ",
    "tcptop plan --side prox": "tcptop plan --side proxy ",
    "tcptop check grow": "tcptop check growth ",
    "tcptop plan --conne": "tcptop plan --connections ",
    "tcptop --root web1": "tcptop --root web17.tgz ",
    "tcptop -r recor": "tcptop -r recording.tcptop ",
    "tcptop record -w recor": "tcptop record -w recording.tcptop ",
    "tcptop diff recor": "tcptop diff recording.tcptop ",
    "tcptop import recor": "tcptop import recording.tcptop ",
}
"""The text that is typed before TAB, and the text after TAB."""


def test_the_files_are_those_of_the_program() -> None:
    pytest.importorskip("shtab", reason="needs shtab, of the extra dev")
    from scripts.make_completions import completions

    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
    assert written == completions(), "python -m scripts.make_completions"


@pytest.fixture(params=FILES)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    """A shell with the completions, in a folder with a recording and an archive."""
    if shutil.which(request.param) is None:
        pytest.skip(f"needs the package {request.param}")
    for name in ("recording.tcptop", "web17.tgz"):
        (tmp_path / name).touch()
    command, line = START[request.param]
    session = Session(command, environment={**os.environ, "HOME": str(tmp_path)}, folder=tmp_path)
    session.type(f"{line}; echo load''ed\n")
    session.until_shown("loaded")
    session.until_quiet()
    yield session
    session.end()


@pytest.mark.slow
def test_a_shell_completes_commands_options_values_and_files(shell: Session) -> None:
    for typed, completed in COMPLETED.items():
        shell.type("\x15\x0c")  # an empty line at the top
        shell.until_quiet()
        shell.type(f"{typed}\t")
        shell.until_shown(completed.rstrip())
        shell.type("x")  # after the space that ends a word
        shell.until_shown(f"{completed}x")
