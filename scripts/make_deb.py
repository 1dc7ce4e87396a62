"""Makes a Debian package of tcptop with the needed Python packages, for this architecture and Python 3.10 or later.

usage: python -m scripts.make_deb [WHEEL [DIR]]    (in the checkout; writes dist/tcptop_VERSION_ARCHITECTURE.deb)
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path

from scripts.bundled_packages import install_packages
from scripts.release_date import release_date
from tcptop import __version__

PROJECT = Path(__file__).resolve().parents[1]
PACKAGING = PROJECT / "packaging"
SOURCE = PACKAGING / "debian"
MINORS = ("3.10", "3.11", "3.12", "3.13")
"""Versions of Python that need the backport of zstd, which is compiled for each version; later versions contain zstd.
"""
MAINTAINER = f"{os.environ.get('DEBFULLNAME', 'tcptop maintainers')} <{os.environ.get('DEBEMAIL', 'tcptop@localhost')}>"
UNITS = ("docs/tcptop-record.service", "docs/fleet/tcptop-exporter.service", "docs/fleet/tcptop-textfile.service")
UNIT_FOLDER = "lib/systemd/system"
LINKS = {
    "usr/bin/tcpmemtop": "tcptop",
    "usr/share/man/man1/tcpmemtop.1.gz": "tcptop.1.gz",
    "usr/share/bash-completion/completions/tcpmemtop": "tcptop",
    "usr/share/fish/vendor_completions.d/tcpmemtop.fish": "tcptop.fish",
}
COMPLETIONS = {
    "tcptop": "usr/share/bash-completion/completions",
    "_tcptop": "usr/share/zsh/vendor-completions",
    "tcptop.fish": "usr/share/fish/vendor_completions.d",
}


def make_deb(source: str, folder: Path) -> Path:
    """Writes the package into a folder; `source` is a wheel, or the checkout."""
    architecture = _output("dpkg", "--print-architecture")
    target = folder / f"tcptop_{__version__}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name) / "tree"
        _add_packages(source, tree / "usr/lib/tcptop")
        _add_files(tree)
        _set_modes(tree)
        _add_control(tree, architecture)
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", tree, target], check=True, stdout=subprocess.DEVNULL
        )
    return target


def _add_packages(source: str, place: Path) -> None:
    install_packages(f"{source}[exporter]", place)
    with tempfile.TemporaryDirectory() as name:
        install_packages("tomli", Path(name), "--no-deps", "--platform", "any", "--only-binary", ":all:")  # for 3.10
        shutil.copytree(name, place, dirs_exist_ok=True)
    version = next(path.name for path in place.glob("backports_zstd-*")).split("-")[1].removesuffix(".dist")
    for minor in MINORS:
        with tempfile.TemporaryDirectory() as name:
            options = ("--no-deps", "--python-version", minor, "--only-binary", ":all:")
            install_packages(f"backports.zstd=={version}", Path(name), *options)
            for path in Path(name).rglob("*.so"):
                shutil.copy2(path, place / path.relative_to(name))
    for path in place.rglob("*.so"):
        subprocess.run(["strip", "--strip-unneeded", path], check=True)


def _add_files(tree: Path) -> None:
    """Adds the programs, manuals, completions, systemd units and documents."""
    _write(tree / "usr/bin/tcptop", (SOURCE / "tcptop").read_text())
    for path in (PACKAGING / "man").iterdir():
        _write_packed(tree / f"usr/share/man/man1/{path.name}.gz", path.read_text(encoding="utf-8"))
    for name, place in COMPLETIONS.items():
        _write(tree / place / name, (PACKAGING / "completions" / name).read_text(encoding="utf-8"))
    for unit in UNITS:
        text = (PROJECT / unit).read_text(encoding="utf-8").replace("/usr/local/bin/tcptop", "/usr/bin/tcptop")
        _write(tree / UNIT_FOLDER / Path(unit).name, text)
    documents = tree / "usr/share/doc/tcptop"
    _write(documents / "copyright", (SOURCE / "copyright").read_text(encoding="utf-8"))
    _write_packed(documents / "changelog.gz", _changelog())
    _write(tree / "usr/share/lintian/overrides/tcptop", (SOURCE / "lintian-overrides").read_text(encoding="utf-8"))
    for link, aim in LINKS.items():
        (tree / link).symlink_to(aim)


def _add_control(tree: Path, architecture: str) -> None:
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    size_kib = sum(-(-path.stat().st_size // 1024) for path in files)
    values = {
        "VERSION": __version__,
        "ARCHITECTURE": architecture,
        "MAINTAINER": MAINTAINER,
        "SIZE": str(size_kib),
        "UNITS": " ".join(Path(unit).name for unit in UNITS),
    }
    sums = _output("md5sum", *(str(path.relative_to(tree)) for path in files), folder=tree)
    for name in ("control", "postinst", "prerm", "postrm"):
        text = re.sub("@([A-Z]+)@", lambda match: values[match[1]], (SOURCE / name).read_text())
        _write(tree / "DEBIAN" / name, text)
        (tree / "DEBIAN" / name).chmod(0o644 if name == "control" else 0o755)
    _write(tree / "DEBIAN/md5sums", f"{sums}\n")
    (tree / "DEBIAN").chmod(0o755)


def _changelog() -> str:
    """The changelog of this version in Debian's format."""
    at = format_datetime(datetime.fromisoformat(release_date()).replace(tzinfo=timezone.utc))
    return (
        f"tcptop ({__version__}) unstable; urgency=medium\n\n"
        f"  * Release {__version__}; what is new is in CHANGELOG.md of the source.\n\n -- {MAINTAINER}  {at}\n"
    )


def _set_modes(tree: Path) -> None:
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _output(*command: str, folder: Path | None = None) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.strip()


if __name__ == "__main__":
    defaults = [str(PROJECT), str(PROJECT / "dist")]
    source, folder = sys.argv[1:] + defaults[len(sys.argv) - 1 :]
    Path(folder).mkdir(exist_ok=True)
    print(make_deb(source, Path(folder)))
