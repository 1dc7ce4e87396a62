"""Packs tcptop and the needed packages into one file, for the Python and the machine that run this script.

usage: python -m scripts.make_pyz [WHEEL [DIR]]    (in the checkout; writes dist/tcptop-VERSION-cpXY-MACHINE.pyz)
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from scripts.bundled_packages import install_packages
from tcptop import __version__

PROJECT = Path(__file__).resolve().parents[1]
BOOTSTRAP = PROJECT / "packaging" / "pyz" / "__main__.py"
MACHINE = os.uname().machine
MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""The time of every member of the file, fixed so that the same packages give the same file."""


def make_pyz(source: str, folder: Path) -> Path:
    """Writes the file into a folder; `source` is a wheel, or the checkout."""
    target = folder / f"tcptop-{__version__}-cp{MINOR.replace('.', '')}-{MACHINE}.pyz"
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        install_packages(f"{source}[exporter]", place)
        (place / "__main__.py").write_bytes(BOOTSTRAP.read_bytes())
        needs = f"Python {MINOR} on {MACHINE}"
        (place / "pyz_target.py").write_text(f"NEEDS = {needs!r}\nSUFFIX = {EXTENSION_SUFFIXES[0]!r}\n")
        with target.open("wb") as file:
            file.write(b"#!/usr/bin/env python3\n")
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(place.rglob("*")):
                    if path.is_file():
                        member = zipfile.ZipInfo(str(path.relative_to(place)), FIRST_DATE)
                        member.external_attr = 0o644 << 16
                        archive.writestr(member, path.read_bytes(), zipfile.ZIP_DEFLATED)
    target.chmod(0o755)
    return target


if __name__ == "__main__":
    defaults = [str(PROJECT), str(PROJECT / "dist")]
    source, folder = sys.argv[1:] + defaults[len(sys.argv) - 1 :]
    Path(folder).mkdir(exist_ok=True)
    print(make_pyz(source, Path(folder)))
