"""The paths of an archive that are kept in memory: those that a source may ask for, and the links that lead there."""

from __future__ import annotations

import re
from collections.abc import Iterable

PROCESS_LINKS = ("proc/self", "proc/thread-self")
"""/proc/net is a link to self/net, and /proc/self one to the reader's process (fs/proc/proc_net.c, self.c)."""


class WantedPaths:
    """Decides by its path whether a member of an archive is kept."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Takes patterns as in `Source.paths`: `*` is any part of one name; `folder/` is a folder to be listed."""
        patterns = tuple(patterns)
        self.top_folders = frozenset(pattern.partition("/")[0] for pattern in patterns)
        """The folders that a saved tree is recognised by: `proc`, `sys`."""
        self._listed = tuple(pattern for pattern in patterns if pattern.endswith("/"))
        files = [pattern for pattern in patterns if not pattern.endswith("/")]
        above = {parent for pattern in patterns for parent in _folders_above(pattern)}
        self._file = _expression(files)
        self._folder_above = _expression({*above, *PROCESS_LINKS})

    def matches(self, path: str) -> bool:
        """Whether a pattern matches the path."""
        return self._file.fullmatch(path) is not None

    def is_above(self, path: str) -> bool:
        """Whether the path is a folder above such a path, in whose place a link may be."""
        return self._folder_above.fullmatch(path) is not None

    def listed_name(self, path: str) -> tuple[str, str] | None:
        """The listed folder that the path is in, and the name there that it shows to exist; None if in none."""
        for folder in self._listed:
            if path.startswith(folder):
                return folder[:-1], path[len(folder) :].partition("/")[0]
        return None


def _folders_above(pattern: str) -> list[str]:
    """The folders above a path, without the one at the top."""
    names = pattern.split("/")
    return ["/".join(names[:depth]) for depth in range(2, len(names))]


def _expression(patterns: Iterable[str]) -> re.Pattern[str]:
    """One regular expression for all patterns, in which a path below proc/net may be that of any process."""
    expressions = [re.escape(pattern).replace(r"\*", "[^/]*") for pattern in patterns]
    expressions = [re.sub("^proc/net(?=/|$)", "proc/(?:[0-9]+/)?net", expression) for expression in expressions]
    return re.compile("|".join(expressions))
