"""The kernel release as numbers, for the few facts that no file of the host shows."""

from __future__ import annotations

from functools import lru_cache


@lru_cache
def release_numbers(release: str | None) -> tuple[int, int] | None:
    """Major and minor number, (6, 1) for `6.1.0-56-amd64`; None if the text is missing or has another form."""
    parts = (release or "").split(".")
    if len(parts) < 2:
        return None
    major, minor = parts[0], parts[1].partition("-")[0].rstrip("+")
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        return None
    return int(major), int(minor)
