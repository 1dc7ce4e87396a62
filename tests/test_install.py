"""The wheel and the sdist: their contents, and runs of the installed program."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import tree
from session import Session

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


def make_place(place: Path, *packages: str | Path) -> Path:
    """The bin folder of a separate installation, made as the README says for a machine with only Python and pip."""
    lines = [line for line in (PROJECT / "README.md").read_text().splitlines() if line.startswith("python3 -m ")]
    assert len(lines) == 2
    for line in lines:
        words = [word.replace("~/.local/tcptop", str(place)) for word in line.split()]
        run(sys.executable, *words[1:] if "venv" in words else (*words[1:-1], "-q", *packages))
    return place / "bin"


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
    download = (sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", folder / "index", "build")
    got = subprocess.run([*map(str, download)], capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"pip reaches no index: {got.stderr.strip().splitlines()[-1][:200]}")
    make_place(folder / "tools", "pip", "build", "hatchling")
    run(folder / "tools/bin/python", "-m", "build", "--no-isolation", "--outdir", folder, source)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path) -> Path:
    """The bin folder of a separate installation of the wheel, with the extra for the exporter."""
    return make_place(built / "place", f"{wheel(built)}[exporter]")


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


def test_scripts_run_makes_its_environment_with_python_and_pip_alone(built: Path, tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")  # as in Debian without python3-venv
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHON": sys.executable}
    ran = run("sh", built / "source/scripts/run", "--version", cwd=built, env=environment)
    assert f"tcptop {tcptop.__version__} " in ran
    (tmp_path / "pip.py").write_text("raise ImportError")
    shutil.rmtree(built / "source/.venv")
    ran = run("sh", built / "source/scripts/run", "--version", cwd=built, env=environment, expected=1)
    assert "has no pip; install the package python3-venv (Debian, Ubuntu) or python3-pip (others)" in ran


def test_scripts_run_leaves_an_environment_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "other/bin").mkdir(parents=True)
    (tmp_path / "other/bin/kept").touch()
    for name in ("scripts", "tcptop", "pyproject.toml"):
        (tmp_path / "checkout").mkdir(exist_ok=True)
        (tmp_path / "checkout" / name).symlink_to(PROJECT / name)
    (tmp_path / "checkout/.venv").symlink_to(tmp_path / "other")
    ran = run("sh", tmp_path / "checkout/scripts/run", "--version", cwd=tmp_path, expected=1)
    assert ".venv is a link to another folder: remove the link" in ran
    assert [path.name for path in (tmp_path / "other").rglob("*")] == ["bin", "kept"]


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


@pytest.fixture(scope="module")
def one_file(built: Path) -> Path:
    """The single file, made from the wheel."""
    folder = built / "one_file"
    folder.mkdir()
    make_pyz = (built / "tools/bin/python", "-m", "scripts.make_pyz", wheel(built), folder)
    run(*make_pyz, cwd=built / "source")
    [path] = folder.iterdir()
    assert (
        path.name
        == f"tcptop-{tcptop.__version__}-cp{sys.version_info[0]}{sys.version_info[1]}-{os.uname().machine}.pyz"
    )
    return path


def caches(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(folder)}


def test_the_single_file_unpacks_once_below_the_users_cache(one_file: Path, tmp_path: Path) -> None:
    environment = caches(tmp_path / "cache")
    arguments = ("-o", "--root", tree("6.1-4n", "established"))
    assert "Total kernel memory in TCP" in run(sys.executable, one_file, *arguments, env=environment, cwd="/")
    [place] = (tmp_path / "cache/tcptop").iterdir()
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    before = place.stat().st_mtime_ns
    assert f"{sys.executable} {one_file}" in run(sys.executable, one_file, "--help", env=environment)
    assert [path.stat().st_mtime_ns for path in (tmp_path / "cache/tcptop").iterdir()] == [before]
    run(sys.executable, one_file, "exporter", "--help", env=environment)


def test_the_single_file_says_which_python_it_needs(one_file: Path, tmp_path: Path) -> None:
    other = tmp_path / one_file.name
    with zipfile.ZipFile(one_file) as archive, zipfile.ZipFile(other, "w") as changed:
        changed.writestr("__main__.py", archive.read("__main__.py"))
        changed.writestr("pyz_target.py", "NEEDS = 'Python 3.99 on m68k'\nSUFFIX = '.cpython-399-m68k-linux-gnu.so'\n")
    output = run(sys.executable, other, "-V", expected=1, env=caches(tmp_path / "cache"))
    assert output.count("\n") == 1
    assert "needs Python 3.99 on m68k" in output
    assert not (tmp_path / "cache").exists()


def test_the_single_file_refuses_a_folder_that_another_user_may_change(one_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cache/tcptop").mkdir(parents=True, mode=0o755)
    refused = [run(sys.executable, one_file, "-V", expected=1, env=caches(tmp_path / "cache"))]
    (tmp_path / "cache/tcptop").chmod(0o700)
    (tmp_path / "cache").chmod(0o777)
    refused.append(run(sys.executable, one_file, "-V", expected=1, env=caches(tmp_path / "cache")))
    if os.geteuid() == 0:
        (tmp_path / "cache").chmod(0o755)
        os.chown(tmp_path / "cache/tcptop", NOBODY, NOBODY)
        refused.append(run(sys.executable, one_file, "-V", expected=1, env=caches(tmp_path / "cache")))
    for output in refused:
        assert output.count("\n") == 1
        assert "XDG_CACHE_HOME" in output
    assert not list((tmp_path / "cache/tcptop").iterdir())


@pytest.fixture
def folder_of_nobody() -> Iterator[Path]:
    """A folder that belongs to the user nobody. Any user may enter its parent folders."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def test_the_single_file_runs_as_a_plain_user(one_file: Path, folder_of_nobody: Path) -> None:
    program = shutil.copy(one_file, folder_of_nobody / one_file.name)
    plain = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", sys.executable, program)
    assert "Bytes per connection" in run(*plain, "-o", cwd="/", env=caches(folder_of_nobody))
    homeless = {name: value for name, value in os.environ.items() if name != "XDG_CACHE_HOME"}
    output = run(*plain, "-o", cwd="/", env=homeless, expected=1)
    assert output.count("\n") == 1
    assert "XDG_CACHE_HOME" in output


def test_without_roots_privileges_the_single_file_shows_a_strangers_tree(
    one_file: Path, folder_of_nobody: Path, tmp_path: Path
) -> None:
    shutil.copytree(tree("6.1-4n", "established"), folder_of_nobody / "tree", symlinks=True)
    run("chown", "-R", f"{NOBODY}:{NOBODY}", folder_of_nobody / "tree")
    (tmp_path / "cache").mkdir(mode=0o700)
    environment = {**caches(tmp_path / "cache"), "SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    session = Session(
        [sys.executable, str(one_file), "--root", str(folder_of_nobody / "tree")], environment=environment
    )
    try:
        session.until_shown("Bytes per connection")
        session.type("?")
        session.until_shown("switch between open sockets and TIME_WAIT")
        session.type("\x1bq")
        session.until_quiet()
        session.type("q")
        assert session.until_ended() == 0
    finally:
        session.end()


@pytest.fixture(scope="module")
def debian_package(built: Path) -> Path:
    """The Debian package, made from the wheel."""
    for program, package in (("dpkg-deb", "dpkg"), ("strip", "binutils")):
        if shutil.which(program) is None:
            pytest.skip(f"needs the package {package}")
    folder = built / "debian"
    run(built / "tools/bin/python", "-m", "scripts.make_deb", wheel(built), folder, cwd=built / "source")
    [path] = folder.iterdir()
    return path


def test_the_debian_package_depends_on_python_alone_and_runs_with_its_own_packages(
    debian_package: Path, tmp_path: Path
) -> None:
    assert run("dpkg-deb", "-f", debian_package, "Version").strip() == tcptop.__version__
    assert run("dpkg-deb", "-f", debian_package, "Depends").strip() == "libc6 (>= 2.28), python3 (>= 3.10)"
    run("dpkg-deb", "-x", debian_package, tmp_path)
    assert (tmp_path / "usr/bin/tcpmemtop").readlink() == Path("tcptop")
    assert not (tmp_path / "usr/sbin").exists(), "libbpf-tools has a tcptop there"
    packages = tmp_path / "usr/lib/tcptop"
    # The program names the folder in which it is installed.
    program = tmp_path / "usr/bin/tcptop"
    program.write_text(program.read_text().replace('"/usr/lib/tcptop"', repr(str(packages))))
    arguments = ("-o", "--root", tree("6.1-4n", "established"))
    assert "Total kernel memory in TCP" in run(sys.executable, "-IB", tmp_path / "usr/bin/tcpmemtop", *arguments)
    run(sys.executable, "-IB", program, "exporter", "--help")
    assert not list(packages.rglob("__pycache__"))
    minors = {path.name.split("-")[1] for path in packages.glob("backports/zstd/*.so")}
    assert minors == {"310", "311", "312", "313"}


def test_the_units_of_the_debian_package_start_its_program_and_stay_disabled(
    debian_package: Path, tmp_path: Path
) -> None:
    run("dpkg-deb", "-R", debian_package, tmp_path)
    units = sorted((tmp_path / "lib/systemd/system").iterdir())
    assert [unit.name for unit in units] == [f"tcptop-{name}.service" for name in ("exporter", "record", "textfile")]
    for unit in units:
        assert "ExecStart=/usr/bin/tcptop " in unit.read_text()
    assert "enable" not in (tmp_path / "DEBIAN/postinst").read_text()
    for script in ("postinst", "prerm", "postrm"):
        run("sh", "-n", tmp_path / "DEBIAN" / script)
        assert "@" not in (tmp_path / "DEBIAN" / script).read_text()


def test_lintian_finds_nothing_in_the_debian_package(debian_package: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("needs the package lintian")
    found = run("lintian", debian_package).splitlines()
    assert [line for line in found if line.startswith(("E:", "W:"))] == []


def test_checks_of_packages_find_nothing(built: Path) -> None:
    run(built / "tools/bin/pip", "install", "-q", "twine", "check-wheel-contents")
    packages = sorted([*built.glob("*.whl"), *built.glob("*.tar.gz")])
    assert "WARNING" not in run(built / "tools/bin/twine", "check", "--strict", *packages)
    run(built / "tools/bin/check-wheel-contents", wheel(built))
