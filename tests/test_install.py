"""The wheel and the sdist: what is in them, and that they run where a user installs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from recorded import tree

import tcptop

PROJECT = Path(__file__).resolve().parents[1]
NOBODY = 65534
GUARD_S = 240.0

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installations")]


def run(*command: str | Path, expected: int = 0, **options: object) -> str:
    ran = subprocess.run(  # type: ignore[call-overload]
        [*map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=GUARD_S,
        **options,
    )
    assert ran.returncode == expected, ran.stdout
    output: str = ran.stdout
    return output


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of the files in git, as `python -m build` makes them."""
    folder = tmp_path_factory.mktemp("built")
    folder.chmod(0o755)
    source = folder / "source"
    listed = run("git", "-C", PROJECT, "ls-files", "-z", "--", ".", ":!tests/snapshots", ":!tests/recordings")
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, source / name)
    tools = folder / "tools"
    run(sys.executable, "-m", "venv", tools)
    got = subprocess.run(
        [tools / "bin/pip", "install", "-q", "build", "hatchling"], capture_output=True, text=True, check=False
    )
    if got.returncode:
        pytest.skip(f"pip reaches no index: {got.stderr.strip().splitlines()[-1][:200]}")
    run(tools / "bin/python", "-m", "build", "--no-isolation", "--outdir", folder, source)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """The bin folder of a place of its own that the wheel, with its extra for the exporter, is installed into."""
    place = built / "place"
    run(sys.executable, "-m", "venv", place)
    run(place / "bin/pip", "install", "-q", f"{wheel(built)}[exporter]")
    return place / "bin"


def wheel(built: Path) -> Path:
    [path] = built.glob("*.whl")
    return path


def test_the_version_is_one(built: Path) -> None:
    newest = re.search(r"^## (\S+)", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == tcptop.__version__
    assert wheel(built).name == f"tcptop-{tcptop.__version__}-py3-none-any.whl"
    assert wheel(built).name in (PROJECT / "README.md").read_text()


def test_the_wheel_has_the_package_and_the_sdist_what_a_builder_needs(built: Path) -> None:
    with zipfile.ZipFile(wheel(built)) as archive:
        names = archive.namelist()
    release = f"tcptop-{tcptop.__version__}"
    assert {name.split("/")[0] for name in names} == {"tcptop", f"{release}.dist-info", f"{release}.data"}
    shared = {name.removeprefix(f"{release}.data/data/") for name in names if name.startswith(f"{release}.data/")}
    assert shared == {
        *(f"share/man/man1/{path.name}" for path in (PROJECT / "packaging/man").iterdir()),
        "share/bash-completion/completions/tcptop",
        "share/zsh/site-functions/_tcptop",
        "share/fish/vendor_completions.d/tcptop.fish",
    }
    packaged = {name for name in names if name.startswith("tcptop/")}
    assert packaged == {
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "tcptop").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "tcptop/__main__.py", "docs/install.md"} <= inside


@pytest.mark.parametrize("name", ["tcptop", "tcpmemtop"])
def test_both_names_run(installed: Path, name: str) -> None:
    assert run(installed / name, "--version").startswith(f"tcptop {tcptop.__version__} ")


def test_it_runs_outside_of_a_checkout_as_root_and_as_a_plain_user(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(tree("6.1-4n", "established"), tmp_path / "tree", symlinks=True)
    whole = run(installed / "tcptop", "-o", "--root", tmp_path / "tree", cwd=tmp_path)
    assert "Total kernel memory in TCP" in whole
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("as a plain user: needs root and setpriv")
    for folder in (installed, *installed.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o711)
    plain = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    assert "Bytes per connection" in run(*plain, installed / "tcptop", "-o", cwd="/")


def test_the_extra_of_the_exporter_is_enough_for_it(installed: Path) -> None:
    run(installed / "python", "-c", "import tcptop.exporter.server, tcptop.exporter.exposition")


def test_scripts_run_makes_its_environment_and_starts(built: Path) -> None:
    ran = run("sh", built / "source/scripts/run", "--version", cwd=built)
    assert f"tcptop {tcptop.__version__} " in ran


@pytest.mark.parametrize("tool", ["pipx", "uv"])
def test_other_installers_take_the_wheel(built: Path, tool: str) -> None:
    place = built / tool
    run(built / "tools/bin/pip", "install", "-q", tool)
    environment = {
        **os.environ,
        "HOME": str(place),
        "PIPX_HOME": str(place / "home"),
        "PIPX_BIN_DIR": str(place / "bin"),
        "UV_TOOL_DIR": str(place / "home"),
        "UV_TOOL_BIN_DIR": str(place / "bin"),
        "UV_CACHE_DIR": str(place / "cache"),
        "UV_INDEX_URL": run(built / "tools/bin/pip", "config", "get", "global.index-url").strip()
        if "index-url" in run(built / "tools/bin/pip", "config", "list")
        else "",
    }
    words = ("tool", "install") if tool == "uv" else ("install",)
    run(built / "tools/bin" / tool, *words, wheel(built), env={key: each for key, each in environment.items() if each})
    for name in ("tcptop", "tcpmemtop"):
        assert run(place / "bin" / name, "--version").startswith(f"tcptop {tcptop.__version__} ")


def test_checks_of_packages_find_nothing(built: Path) -> None:
    run(built / "tools/bin/pip", "install", "-q", "twine", "check-wheel-contents")
    packages = sorted([*built.glob("*.whl"), *built.glob("*.tar.gz")])
    assert "WARNING" not in run(built / "tools/bin/twine", "check", "--strict", *packages)
    run(built / "tools/bin/check-wheel-contents", wheel(built))
