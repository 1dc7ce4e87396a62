"""The kernel release as numbers, needed for the few facts that no file of the host shows."""

from __future__ import annotations

import re
from functools import lru_cache

Release = tuple[int, ...]
"""A release as numbers: (6, 1), or (2, 6, 35) before 3.0."""

BACKPORTS = re.compile(r"\.el\d")
"""Part of the release of Red Hat's kernels and their rebuilds, which contain much of later releases."""

NUMBERS = re.compile(r"(\d{1,5})\.(\d{1,5})(?:\.(\d{1,5}))?(?=[.+-]|$)", re.ASCII)


def may_have_backports(release: str | None) -> bool:
    """True if a kernel with this release may behave as a kernel of a later release does."""
    return BACKPORTS.search(release or "") is not None


@lru_cache
def release_numbers(release: str | None) -> Release | None:
    """The numbers of a release: (6, 1) for `6.1.0-56-amd64`, (2, 6, 32) for `2.6.32-5-amd64`.

    Since 3.0 the third number of a release counts only fixes, and is left out. The result is None if the text is
    missing or has another form.
    """
    match = NUMBERS.match(release or "")
    if match is None:
        return None
    major, minor, third = match.groups()
    return (int(major), int(minor), int(third)) if int(major) < 3 and third else (int(major), int(minor))
