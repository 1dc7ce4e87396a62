"""Kernel architectures, with the sizes of a word, a cache line and a page."""

import re
from collections.abc import Mapping
from typing import NamedTuple


class Architecture(NamedTuple):
    """Sizes in bytes.

    The cache line size (L1_CACHE_BYTES) depends on the kernel's configuration, so it has a minimum and a maximum.
    """

    word_bytes: int
    min_cache_line_bytes: int
    max_cache_line_bytes: int
    page_bytes: int | None = None
    """The page size of the architecture (PAGE_SHIFT); None if the architecture has several page sizes."""
    huge_page_sizes_bytes: tuple[int, ...] = ()
    """All sizes of huge pages (Documentation/admin-guide/mm/hugetlbpage.rst); empty if these depend on the kernel's
    configuration or on the processor."""


PAGE_SIZES = tuple(1 << shift for shift in range(12, 19))
"""Page sizes that Linux has been built with: 4 KiB to 256 KiB."""

ARCHITECTURES: Mapping[str, Architecture] = {
    "x86_64": Architecture(8, 64, 64, 4096, (2 << 20, 1 << 30)),
    # The cache line size depends on the oldest processor for which the kernel was built (arch/x86/Kconfig.cpu,
    # X86_L1_CACHE_SHIFT).
    "i386": Architecture(4, 32, 128, 4096),
    "aarch64": Architecture(8, 64, 128),
    "arm": Architecture(4, 32, 64, 4096),
    "ppc64": Architecture(8, 128, 128),
    "s390x": Architecture(8, 256, 256, 4096),
}

UNKNOWN_ARCHITECTURE = Architecture(8, 64, 256)
"""The range of cache line sizes over all 64-bit architectures, used if no file names the kernel's architecture."""


def architecture_of(name: str | None) -> Architecture:
    """The architecture with this name; None and a name that ARCHITECTURES lacks give UNKNOWN_ARCHITECTURE."""
    return ARCHITECTURES.get(name or "", UNKNOWN_ARCHITECTURE)


OTHER_NAMES: Mapping[str, str] = {
    "amd64": "x86_64",
    "i486": "i386",
    "i586": "i386",
    "i686": "i386",
    "686": "i386",
    "arm64": "aarch64",
    "armv7l": "arm",
    "armhf": "arm",
    "armmp": "arm",
    "ppc64le": "ppc64",
    "ppc64el": "ppc64",
    "powerpc64": "ppc64",
    "powerpc64le": "ppc64",
}
"""Maps other names of an architecture to a key of ARCHITECTURES. The other names occur in kernel releases, and in the
names of machines that build kernels."""

WORD = re.compile(r"[a-z0-9_]+")


def find_architecture(*texts: str) -> str | None:
    """The first architecture that the texts name, such as `x86_64` in `3.10.0-1160.el7.x86_64`.

    The result is None if the texts name no known architecture.
    """
    words = (word for text in texts for word in WORD.findall(text.lower()))
    names = (OTHER_NAMES.get(word, word) for word in words)
    return next((name for name in names if name in ARCHITECTURES), None)
