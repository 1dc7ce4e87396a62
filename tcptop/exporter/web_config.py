"""Web configuration: TLS and basic authentication of the exporter, in the file format of Prometheus' exporter-toolkit.

The keys are described in https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md. Only a
part of the toolkit's keys is supported. An unsupported key is an error, since ignoring it might mean less protection
than the user asked for.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import bcrypt
import yaml

from tcptop.errors import TcptopError
from tcptop.exporter.server import Request, Response, plain_response
from tcptop.named_files import open_to_read, read_bytes
from tcptop.privileges import is_strangers
from tcptop.text.printable import printable, printable_name

MAX_FILE_BYTES = 64 << 10
MAX_CACHED = 100
"""Maximum number of cached password checks."""
MAX_PASSWORD_BYTES = 72
"""bcrypt uses at most this number of bytes of a password."""
BCRYPT_HASH = re.compile(r"\$2[abxy]\$(?P<cost>0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
"""Version, cost, salt (16 bytes) and hash (23 bytes), as bcrypt writes them."""
MAX_COST = 17
"""Largest cost that htpasswd accepts. A check takes seconds at this cost, and twice as long at each further one."""
TOP_KEYS = frozenset({"tls_server_config", "basic_auth_users"})
TLS_KEYS = frozenset({"cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version"})
CLIENT_AUTH: Mapping[str, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
MIN_VERSIONS: Mapping[str, ssl.TLSVersion] = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
NOBODY = b"$2b$10$7EqJtq98hPqEX7fNZaFWoO.1MQ0y0j7jQxUZfI6q3kqgbHvV8r1Zu"
"""Hash that is checked for an unknown user, so that the response time does not reveal which users exist."""
CHALLENGE = [("WWW-Authenticate", 'Basic realm="tcptop"')]


class TlsConfig(NamedTuple):
    """The part `tls_server_config` of the file. Relative paths have been joined to the folder of the file."""

    cert_file: str
    key_file: str
    client_ca_file: str | None
    client_auth: ssl.VerifyMode
    min_version: ssl.TLSVersion

    @property
    def files(self) -> tuple[str, ...]:
        """The files that TLS needs."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))

    def context(self) -> ssl.SSLContext:
        """A context that has read the files; raises OSError or ValueError."""
        for path in self.files:
            os.close(open_to_read(path))  # OpenSSL would wait for a named pipe
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self.min_version
        context.load_cert_chain(self.cert_file, self.key_file, _refuse_encrypted_key)
        if self.client_ca_file is not None:
            context.load_verify_locations(self.client_ca_file)
        context.verify_mode = self.client_auth
        return context


def _refuse_encrypted_key() -> str:
    """Called for the passphrase of an encrypted key; without this function, OpenSSL would wait for a terminal."""
    raise ValueError("tls_server_config: key_file is encrypted; tcptop takes a key without a passphrase")


class WebConfig(NamedTuple):
    """The settings in the file."""

    tls: TlsConfig | None
    users: Mapping[str, bytes]
    """The bcrypt hash of each user's password; empty if there is no authentication."""


class _RepeatedKeyError(yaml.MarkedYAMLError):
    """A mapping has a key twice; `problem` is the key."""


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, which would take the last of several values of one key: a forgotten one might have protected."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Composes a mapping. YAML has no mapping with a key twice (YAML 1.2.2, 3.2.1.1)."""
        mapping = super().compose_mapping_node(anchor)
        keys: set[tuple[str, str]] = set()
        for key, _ in mapping.value:
            if isinstance(key, yaml.ScalarNode):
                name = (key.tag, key.value)
                if name in keys:
                    raise _RepeatedKeyError(problem=key.value, problem_mark=key.start_mark)
                keys.add(name)
        return mapping


def parse_web_config(text: str, folder: str) -> WebConfig:
    """Parses the text of a file in `folder`; raises ValueError, whose text says what is wrong."""
    try:
        document = yaml.load(text, _Loader)
    except _RepeatedKeyError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + 1}"
        raise ValueError(f"the key {printable_name(error.problem or '')!r:.60} is given twice{line}") from None
    except yaml.YAMLError as error:
        problem = printable_name(getattr(error, "problem", None) or "cannot be parsed")
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"not YAML: {problem}" + (f", line {mark.line + 1}" if mark is not None else "")) from None
    except RecursionError:
        raise ValueError("not YAML: too deep") from None
    except Exception:  # PyYAML raises, for example, KeyError for `!!bool foo` and IndexError for `!!int ""`
        raise ValueError("not YAML: a value does not have the form of its type") from None
    top = _mapping({} if document is None else document, "the file", TOP_KEYS)
    tls = top.get("tls_server_config")
    users = top.get("basic_auth_users")
    return WebConfig(
        None if tls is None else _parse_tls(_mapping(tls, "tls_server_config", TLS_KEYS), folder),
        {} if users is None else _parse_users(_mapping(users, "basic_auth_users", None)),
    )


def _mapping(value: object, where: str, known: frozenset[str] | None) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{where} is not a mapping of names")
    unknown = [key for key in value if known is not None and key not in known]
    if unknown and known is not None:
        raise ValueError(
            f"{where}: tcptop does not know the key {unknown[0]!r:.60}; it knows {', '.join(sorted(known))}"
        )
    return value


def _parse_tls(tls: Mapping[str, Any], folder: str) -> TlsConfig:
    wrong = next((key for key, value in tls.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise ValueError(f"tls_server_config: {wrong} is not a text")
    missing = next((key for key in ("cert_file", "key_file") if not tls.get(key)), None)
    if missing is not None:
        raise ValueError(f"tls_server_config: {missing} is missing")
    auth, version = tls.get("client_auth_type") or "NoClientCert", tls.get("min_version") or "TLS12"
    for key, value, known in (("client_auth_type", auth, CLIENT_AUTH), ("min_version", version, MIN_VERSIONS)):
        if value not in known:
            raise ValueError(f"tls_server_config: {key} is one of {', '.join(known)} here, not {value!r:.60}")
    ca_file = tls.get("client_ca_file")
    if bool(ca_file) != (auth != "NoClientCert"):
        raise ValueError("tls_server_config: client_ca_file and a client_auth_type that verifies go together")
    cert, key = _below(folder, tls["cert_file"]), _below(folder, tls["key_file"])
    ca = _below(folder, ca_file) if ca_file else None
    return TlsConfig(cert, key, ca, CLIENT_AUTH[auth], MIN_VERSIONS[version])


def _below(folder: str, name: str) -> str:
    """The path of a file that the configuration names. A relative name begins at the configuration's folder."""
    return os.path.join(folder, name)  # noqa: PTH118


def _parse_users(users: Mapping[str, Any]) -> dict[str, bytes]:
    for name, hashed in users.items():
        found = BCRYPT_HASH.fullmatch(hashed) if isinstance(hashed, str) else None
        if found is None:
            raise ValueError(f"basic_auth_users: the password of {name!r:.60} is not a bcrypt hash")
        if int(found["cost"]) > MAX_COST:
            raise ValueError(
                f"basic_auth_users: the hash of {name!r:.60} has cost {found['cost']}; tcptop takes {MAX_COST} at most"
            )
    return {name: hashed.encode() for name, hashed in users.items()}


class WebGate:
    """Checks requests against the configuration file, which is read again whenever it has changed."""

    def __init__(self, path: str, complain: Callable[[str], None]) -> None:
        """Reads the file; raises TcptopError. If a later reading fails, calls `complain` with a one-line message."""
        self._path = path
        self._complain = complain
        self._files: tuple[str, ...] = (path,)
        """Paths of the configuration file and of the files that its last valid version names. Some of these files may
        be unreadable."""
        self._seen: tuple[object, ...] = ()
        """The version of each file in `_files`, taken before the file was read."""
        self._config: WebConfig | None = None
        """The valid configuration; None refuses every client."""
        self._context: ssl.SSLContext | None = None
        self._checked: dict[bytes, bool] = {}
        self._checking = asyncio.Lock()
        try:
            self._read()
        except (OSError, ValueError) as error:
            raise TcptopError(self._error_text(error)) from None

    @property
    def has_tls(self) -> bool:
        """True if connections are encrypted."""
        return self._config is not None and self._config.tls is not None

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS context for a new connection; None without TLS. Raises ValueError while the file is invalid."""
        if self._current() is None:
            raise ValueError("the file is wrong")
        return self._context

    async def authorize(self, request: Request) -> Response | None:
        """The response that refuses a request; None if the request is allowed."""
        config = self._current()
        if config is None:
            return plain_response(HTTPStatus.INTERNAL_SERVER_ERROR, "the web configuration cannot be read")
        if not config.users:
            return None
        user, password = _credentials(request.headers.get("authorization", ""))
        if await self._is_right(config.users.get(user), password):
            return None
        return plain_response(HTTPStatus.UNAUTHORIZED, headers=CHALLENGE)

    async def _is_right(self, hashed: bytes | None, password: bytes) -> bool:
        key = hashlib.sha256((hashed or b"") + b"\0" + password).digest()
        if key not in self._checked:
            async with self._checking:  # one check at a time, so that checks of passwords use one CPU only
                right = await asyncio.to_thread(_check_password, hashed or NOBODY, password)
            if len(self._checked) >= MAX_CACHED:
                self._checked.pop(next(iter(self._checked)))
            self._checked[key] = right and hashed is not None
        return self._checked[key]

    def _current(self) -> WebConfig | None:
        """The configuration, read again if a file has changed; None if reading fails."""
        if self._seen != tuple(map(_version, self._files)):
            try:
                self._read()
            except Exception as error:
                self._complain(self._error_text(error))
        return self._config

    def _read(self) -> None:
        """Reads the files.

        `_config` is None until the last line, so that any exception refuses every client.
        """
        self._config = self._context = None
        self._seen = tuple(map(_version, self._files))
        refuse_strangers(self._path)
        text = read_bytes(self._path, MAX_FILE_BYTES).decode("utf-8", "replace")
        config = parse_web_config(text, os.path.dirname(self._path))  # noqa: PTH120
        tls_files = () if config.tls is None else config.tls.files
        self._files, self._seen = (self._path, *tls_files), (self._seen[0], *map(_version, tls_files))
        self._context = None if config.tls is None else config.tls.context()
        self._config = config

    def _error_text(self, error: Exception) -> str:
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error) or repr(error)
        name = getattr(error, "filename", None)
        return f"--web.config.file {printable(self._path)}: {printable(f'{name}: {reason}' if name else str(reason))}"


def refuse_strangers(path: str) -> None:
    """Under sudo, raises OSError if users other than root can write to the file.

    A user other than root could write the path of any secret file into the configuration, and root would then read the
    secret file.
    """
    if is_strangers(path):
        raise OSError(0, "it does not belong to root alone; sudo chown root and sudo chmod go-w make it so")


def _version(path: str) -> tuple[int, ...] | None:
    """A value that differs after the file was written or replaced; None if there is no such file."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _credentials(header: str) -> tuple[str, bytes]:
    """The user and the password of the header `Authorization`; both empty if the header has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", b""
    return user.decode("utf-8", "replace"), password


def _check_password(hashed: bytes, password: bytes) -> bool:
    try:
        return bcrypt.checkpw(password[:MAX_PASSWORD_BYTES], hashed)
    except ValueError:  # a NUL byte
        return False
