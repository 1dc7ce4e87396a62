"""A host that answers from one recorded read of one source."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from tcptop.hosts.host import Answer, FileRead, FolderRead, Identity
from tcptop.recording.bundle import Bundle

NOT_RECORDED = "not in the recording"


class ReplayHost:
    """Answers each path as recorded; a path that was not read then does not exist (ENOENT)."""

    def __init__(self, files: Bundle, identity: Identity) -> None:
        self.identity = identity
        self._files = {answer.path: answer for answer in files if isinstance(answer, FileRead)}
        self._folders = {answer.path: answer for answer in files if isinstance(answer, FolderRead)}

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """The recorded file of each path."""
        return [self._files.get(path) or FileRead(path, None, _missing(), 0) for path in paths]

    async def list_folder(self, path: str) -> FolderRead:
        """The recorded listing of a folder."""
        return self._folders.get(path) or FolderRead(path, None, _missing(), 0)

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Calls `call` directly: it computes on bytes already read."""
        return call()

    def close(self) -> None:
        """Does nothing: no file is open."""


def _missing() -> OSError:
    return FileNotFoundError(errno.ENOENT, NOT_RECORDED)
