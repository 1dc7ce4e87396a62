"""Sends random keys to the screen: `python scripts/key_storm.py [KEYS [SEEDS]]`.

As root, the live screen has more figures.

For each seed, KEYS keys go to the live screen, to a saved tree and to a recording, in terminals of several sizes. The
script ends at the first error.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "tests/screen"), str(CHECKOUT / "tests/faults")]

from drive import record_phases  # noqa: E402
from key_storm import SIZES, run_storm  # noqa: E402
from program import program  # noqa: E402

TREE = CHECKOUT / "tests/recordings/6.1-4n/established"


def main(keys: int, seeds: int) -> None:
    """Sends the keys for each seed, kind of screen and size."""
    command, environment = program()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recording = folder / "recording.tcptop"
        record_phases(recording, "6.1-4n", ["established", "timewait"] * 10)
        subjects = {"live": [], "saved": ["--root", str(TREE)], "replay": ["-r", str(recording)]}
        for seed in range(1, seeds + 1):
            for number, (subject, arguments) in enumerate(subjects.items()):
                each = -(-keys // len(SIZES))
                begun_s, starts = time.monotonic(), 0
                for size in SIZES:
                    place = Path(tempfile.mkdtemp(dir=folder))
                    print(f"seed {seed}, {subject}, {size[0]}x{size[1]}", file=sys.stderr, flush=True)
                    starts += run_storm([*command, *arguments], environment, place, size, seed * 1000 + number, each)
                took_s = time.monotonic() - begun_s
                print(f"seed {seed}, {subject}: {each * len(SIZES)} keys, {starts} starts, {took_s:.0f} s", flush=True)


if __name__ == "__main__":
    os.environ.pop("NO_COLOR", None)
    main(*(int(argument) for argument in [*sys.argv[1:3], *("10000", "5")[len(sys.argv) - 1 :]]))
