"""Exported folders: one folder for each sample, laid out as for `--root`; `sample.json` has times, states and errors.

If a file cannot be written at its own path, for example because two reads of the path returned different bytes, the
file is written into the folder `also/`. An exported folder is not trusted when it is opened: nothing outside the folder
is read.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tcptop.errors import TcptopError
from tcptop.hosts.confined_tree import ConfinedTree
from tcptop.hosts.host import FolderRead
from tcptop.named_files import new_folder
from tcptop.recording.document import (
    DocumentParser,
    Json,
    RecordedSample,
    load_json,
    make_document,
    valid_number,
)
from tcptop.recording.recording import Recording
from tcptop.snapshot import Sockstat
from tcptop.sock_diag import PREFIX
from tcptop.text.printable import printable, printable_name

SCHEMA = 1
SCHEMA_KEY = "tcptop_export"
LIST_NAME = "recording.json"
SAMPLE_NAME = "sample.json"
OTHER_FILES_FOLDER = "also"
ROOTS = ("proc", "sys", PREFIX.removesuffix("/"))

MAX_SAMPLES = 100_000
MAX_FILE_BYTES = 16 << 20
"""Limit on the size of a file, equal to the limit in tcptop/hosts/folder.py."""
START_BYTES = 512
START_WITH_TIME = re.compile(
    rb'\{\s*(?:"taken_at"\s*:\s*(?:null|"[-0-9:.TZ]{1,40}")\s*,\s*)?"taken_at_unix_s"\s*:\s*([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*,'
)
MAX_PARSED_BYTES = 32 << 20
"""Limit on the total size of the JSON that is parsed when an export is opened.

If the first bytes of a `sample.json` contain the time of the sample, the file is not parsed.
"""
MAX_SAMPLE_BYTES = 64 << 20
"""Limit on the total size of a sample's files: a hostile sample can refer to one file many times."""


def export(recording: Recording, indices: Sequence[int], folder: str) -> None:
    """Writes samples into a new folder, but leaves out damaged reads. After an error, the new folder is removed.

    Raises:
        TcptopError: if the folder exists or cannot be written.

    """
    names: list[str] = []
    mode = _folder_mode(recording.path)
    # The export contains the bytes of the recording, for example of /proc/slabinfo, which only root may read. Users who
    # may not read the recording must therefore not be able to read the export.
    umask = os.umask(0o777 & ~mode)
    try:
        with new_folder(folder) as place:
            where = Path(place)
            for number, sample in enumerate(recording.samples(indices), 1):
                names.append(f"{number:06}")
                (where / names[-1]).mkdir()
                _SampleFolder(where / names[-1]).write(sample)
            _write_json(where / LIST_NAME, {SCHEMA_KEY: SCHEMA, "samples": names})
            where.chmod(mode)
    except FileExistsError:
        raise TcptopError(f"{printable(folder)}: already exists; give the name of a new folder") from None
    except OSError as error:
        raise TcptopError(f"{printable(folder)}: {error.strerror}") from None
    except ValueError as error:
        raise TcptopError(f"{printable(folder)}: {error}") from None
    finally:
        os.umask(umask)


def _folder_mode(path: str) -> int:
    """The mode of the exported folder.

    Users who may read the recording may enter the folder, unless the umask forbids it.
    """
    umask = os.umask(0o077)
    os.umask(umask)
    mode = os.stat(path).st_mode & ~umask  # noqa: PTH116
    return 0o700 | mode & 0o066 | (mode & 0o044) >> 2


def is_below_root(path: str) -> bool:
    """True if a relative path is below one of ROOTS, and has no `.`, `..` or empty parts."""
    parts = path.split("/")
    return (
        len(parts) > 1
        and parts[0] in ROOTS
        and "\0" not in path
        and all(part not in ("", ".", "..") for part in parts)
        and len(path) < 1000
    )


class _SampleFolder:
    """Writes the files of one sample into the sample's own folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written_paths: dict[tuple[str, bytes], str] = {}
        self._other_files = 0

    def write(self, sample: RecordedSample) -> None:
        for root in ROOTS[:2]:
            (self._folder / root).mkdir()
        folders = [answer for read in sample.reads for answer in read.answers if isinstance(answer, FolderRead)]
        # The files of a merged slab cache were read through a link, and are written through the same link. The links
        # are therefore made before the files.
        for folder in folders:
            self._make_links(folder)
        document = make_document(sample, lambda path, data: {"file": self._place_file(path, data)})
        for folder in folders:
            self._make_folders(folder)
        _write_json(self._folder / SAMPLE_NAME, document)

    def _place_file(self, path: str, data: bytes) -> str:
        """Writes a file, unless the same bytes are already written for this path.

        Returns the file's path below the sample's folder.
        """
        written = self._written_paths.get((path, data))
        if written is not None:
            return written
        target = path
        if not is_below_root(path) or not self._write_in_tree(path, data):
            self._other_files += 1
            target = f"{OTHER_FILES_FOLDER}/{self._other_files:04}"
            (self._folder / OTHER_FILES_FOLDER).mkdir(exist_ok=True)
            _write_new(self._folder / target, data)
        self._written_paths[path, data] = target
        return target

    def _write_in_tree(self, path: str, data: bytes) -> bool:
        """Writes a file at its own path.

        Returns False if the path is unusable, or if a file with other bytes already has the path.
        """
        target = self._folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_new(target, data)
        except FileExistsError:
            # The file may have been written already through another name of the same merged cache.
            return target.is_file() and target.read_bytes() == data
        except OSError as error:
            if error.errno in UNUSABLE_PATH_ERRNOS:
                return False
            raise
        return True

    def _make_links(self, folder: FolderRead) -> None:
        for name, target in (folder.entries or {}).items():
            # A link is made only if its target is a name in the same folder, as in /sys/kernel/slab. A link to a name
            # in the same folder cannot lead out of the exported folder.
            if target is not None and _is_name(target) and is_below_root(f"{folder.path}/{name}") and _is_name(name):
                parent = self._folder / folder.path
                parent.mkdir(parents=True, exist_ok=True)
                (parent / target).mkdir(exist_ok=True)
                with suppress(FileExistsError):
                    (parent / name).symlink_to(target)

    def _make_folders(self, folder: FolderRead) -> None:
        """Creates an empty folder for each name in a recorded listing, unless the export already has the name.

        A listing does not say whether a name is a file or a folder. If the sample lacks the file of a name, the name
        therefore becomes an empty folder.
        """
        for name, target in (folder.entries or {}).items():
            if target is None and _is_name(name) and is_below_root(f"{folder.path}/{name}"):
                with suppress(FileExistsError, NotADirectoryError):
                    (self._folder / folder.path / name).mkdir(parents=True)


UNUSABLE_PATH_ERRNOS = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)


def _is_name(text: str) -> bool:
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text and len(os.fsencode(text)) < 200


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _write_json(path: Path, document: Json) -> None:
    _write_new(path, (json.dumps(document, ensure_ascii=True, indent=1) + "\n").encode("ascii"))


class ExportedFolder(Recording):
    """The samples of a folder that `tcptop export` wrote; opening the folder reads only the times of the samples."""

    def __init__(self, path: str) -> None:
        """Opens the folder.

        Raises TcptopError if the folder is not an export, and OSError if the folder cannot be opened.
        """
        super().__init__(path)
        self._tree = ConfinedTree(path)
        self._parser = DocumentParser()
        self._left_json_bytes = MAX_PARSED_BYTES
        try:
            self._names = self._read_names()
            self._times = [self._read_time(name) for name in self._names]
        except ValueError as error:
            self.close()
            raise TcptopError(f"{printable(path)}: not a valid export: {error}") from None

    def __len__(self) -> int:
        return len(self._names)

    def taken_at_unix_s(self, index: int) -> float | None:
        """The time of a sample; None if unknown."""
        return self._times[index]

    def close(self) -> None:
        """Closes the folder."""
        self._tree.close()

    def _read_names(self) -> list[str]:
        listing = self._read_json(LIST_NAME)
        names = listing.get("samples")
        if listing.get(SCHEMA_KEY) != SCHEMA:
            raise ValueError(
                f"its schema is {str(listing.get(SCHEMA_KEY))[:40]!r}, and this tcptop reads only {SCHEMA}"
            )
        if not isinstance(names, list) or not 0 < len(names) <= MAX_SAMPLES:
            raise ValueError("it lists no samples")
        if len({*map(str, names)}) < len(names):
            raise ValueError("it lists a sample twice")
        for name in names:
            if not (isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 12):
                raise ValueError("a sample name is not a number")
        if len(set(names)) < len(names):
            raise ValueError("it lists a sample twice")
        return names

    def _read_time(self, name: str) -> float | None:
        """The time of a sample; None if the sample's `sample.json` cannot be read or has no time.

        In a `sample.json` that tcptop wrote, the time is near the start. If the time is not near the start, the whole
        file is parsed. The total size of the parsed files is at most `MAX_PARSED_BYTES`.
        """
        path = f"{name}/{SAMPLE_NAME}"
        try:
            start = _read_bytes(self._tree, path, START_BYTES)
            time = START_WITH_TIME.match(start)
            if time is not None:
                return valid_number(float(time[1]))
            document = _read_bytes(self._tree, path, max(0, self._left_json_bytes))
            self._left_json_bytes -= len(document)
            return valid_number(load_json(document).get("taken_at_unix_s"))
        except (OSError, ValueError):
            return None

    def _read(self, index: int) -> RecordedSample:
        name = self._names[index]
        return self._parser.parse(self._read_json(f"{name}/{SAMPLE_NAME}"), _SampleFiles(self._tree, name).get_file)

    def _sockstat(self, index: int) -> Sockstat | None:
        """Reads only `sample.json` and the files of sockstat."""
        name = self._names[index]
        try:
            document = self._read_json(f"{name}/{SAMPLE_NAME}")
            return self._parser.parse_sockstat(document, _SampleFiles(self._tree, name).get_file).value
        except (OSError, ValueError):
            return None  # when the sample is read, `damage` reports the error

    def _read_json(self, path: str) -> Json:
        """The JSON object in a file.

        Raises ValueError if the file cannot be read or holds no JSON object; the message names the path.
        """
        try:
            return load_json(_read_bytes(self._tree, path))
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


class _SampleFiles:
    """The files of one exported sample."""

    def __init__(self, tree: ConfinedTree, folder: str) -> None:
        self._tree = tree
        self._folder = folder
        self._left_bytes = MAX_SAMPLE_BYTES

    def get_file(self, stored: Json) -> bytes:
        """The file that a stored answer refers to; raises OSError or ValueError if the file is missing or too large."""
        file = stored.get("file")
        if not isinstance(file, str):
            raise ValueError("one of its answers has no file")
        data = _read_bytes(self._tree, f"{self._folder}/{file}")
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise ValueError(f"its files have more than {MAX_SAMPLE_BYTES >> 20} MiB")
        return data


def _read_bytes(tree: ConfinedTree, path: str, first_bytes: int = MAX_FILE_BYTES + 1) -> bytes:
    """The first `first_bytes` bytes of a file, or the whole file if the file is shorter.

    Raises OSError if the file cannot be read, and ValueError if more than MAX_FILE_BYTES were read.
    """
    with os.fdopen(tree.open_file(path), "rb") as file:
        data = file.read(first_bytes)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"{printable_name(path)} is larger than {MAX_FILE_BYTES >> 20} MiB")
    return data
