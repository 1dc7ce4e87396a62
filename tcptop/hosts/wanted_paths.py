"""Matches the paths of an archive's members against the patterns of paths that sources may ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable

PROCESS_LINKS = ("proc/self", "proc/thread-self")
"""Links that must be followed to reach a path below proc/net.

proc/net is a link to self/net, and proc/self is a link to a PID (fs/proc/proc_net.c, fs/proc/self.c).
"""


class WantedPaths:
    """Decides from the path of an archive's member whether the member is kept in memory."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Takes patterns as in `Source.paths`: `*` matches any part of one name; `folder/` is a folder to list."""
        patterns = tuple(patterns)
        self.top_folders = frozenset(pattern.partition("/")[0] for pattern in patterns)
        """The first name of each pattern (`proc`, `sys`); a saved tree is recognised by these names."""
        self._listed = tuple(pattern for pattern in patterns if pattern.endswith("/"))
        files = [pattern for pattern in patterns if not pattern.endswith("/")]
        above = {parent for pattern in patterns for parent in _folders_above(pattern)}
        self._file = _expression(files)
        self._folder_above = _expression({*above, *PROCESS_LINKS})

    def matches(self, path: str) -> bool:
        """True if a pattern matches the path."""
        return self._file.fullmatch(path) is not None

    def is_above(self, path: str) -> bool:
        """True if a wanted path lies below the path.

        A link at a path above a wanted path must be kept, because wanted files are reached through the link.
        """
        return self._folder_above.fullmatch(path) is not None

    def listed_name(self, path: str) -> tuple[str, str] | None:
        """Splits a path into a folder that is to be listed, and the first name below this folder.

        The result is None if the path is not below any folder that is to be listed.
        """
        for folder in self._listed:
            if path.startswith(folder):
                return folder[:-1], path[len(folder) :].partition("/")[0]
        return None


def _folders_above(pattern: str) -> list[str]:
    """The folders above a pattern, without the topmost folder."""
    names = pattern.split("/")
    return ["/".join(names[:depth]) for depth in range(2, len(names))]


def _expression(patterns: Iterable[str]) -> re.Pattern[str]:
    """A regular expression for all patterns. Patterns below proc/net also match proc/PID/net."""
    expressions = [re.escape(pattern).replace(r"\*", "[^/]*") for pattern in patterns]
    expressions = [re.sub("^proc/net(?=/|$)", "proc/(?:[0-9]+/)?net", expression) for expression in expressions]
    return re.compile("|".join(expressions))
