"""Host wrapper that records every answer byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.hosts.host import FileRead, FolderRead, Host

HostAnswer = FileRead | FolderRead


class RecordingHost:
    """Returns the answers of another host, and appends every answer to `answers`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.identity = host.identity
        self.answers: list[HostAnswer] = []

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads from the wrapped host."""
        files = await self._host.read(paths)
        self.answers += files
        return files

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder of the wrapped host."""
        folder = await self._host.list_folder(path)
        self.answers.append(folder)
        return folder

    def close(self) -> None:
        """Does nothing: the owner of the wrapped host closes the wrapped host."""
