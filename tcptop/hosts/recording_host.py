"""Another host, of whose answers a copy is kept: what a source read is then known byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tcptop.hosts.host import Answer, FileRead, FolderRead, Host

HostAnswer = FileRead | FolderRead


class RecordingHost:
    """Answers as `host` does, and keeps every answer in the order in which it was asked for."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.identity = host.identity
        self.answers: list[HostAnswer] = []

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """As the host behind it."""
        files = await self._host.read(paths)
        self.answers += files
        return files

    async def list_folder(self, path: str) -> FolderRead:
        """As the host behind it."""
        folder = await self._host.list_folder(path)
        self.answers.append(folder)
        return folder

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """As the host behind it; what a call reads by itself is not kept."""
        return await self._host.run(call)

    def close(self) -> None:
        """Does nothing: the host is its owner's."""
