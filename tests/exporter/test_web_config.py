"""The web configuration: exporter-toolkit's keys or an error, TLS, passwords, and a file that changes."""

from __future__ import annotations

import base64
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import bcrypt
import pytest
from exporters import GUARD_S, port_of, run_exporter, started
from recorded import tree

from tcptop.errors import TcptopError
from tcptop.exporter import web_config
from tcptop.exporter.server import Request
from tcptop.exporter.web_config import NOBODY, WebGate, parse_web_config
from tcptop.named_files import read_bytes

TREE = tree("6.1-4n", "established")
HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
SALTED = "$2b${}$7EqJtq98hPqEX7fNZaFWoO.1MQ0y0j7jQxUZfI6q3kqgbHvV8r1Zu"
"""A hash whose cost is left out."""
MALFORMED_VALUES = ("!!bool foo", '!!int ""', '!!float ""', "!!float abc", "!!timestamp foo", "2026-13-45", "9" * 5000)
"""Values that do not have the form of their type; PyYAML raises KeyError, IndexError, AttributeError or ValueError."""
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the Debian package openssl")


def request(user: str | None = None, password: str = "") -> Request:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Request("GET", "/metrics", "HTTP/1.1", {} if user is None else {"authorization": f"Basic {encoded}"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("basic_auth_user: {}", "'basic_auth_user'"),
        ("http_server_config: {http2: false}", "'http_server_config'"),
        ("rate_limit: {}", "'rate_limit'"),
        ("tls_server_config: {cert_file: a, key_file: b, cipher_suites: []}", "'cipher_suites'"),
        ("tls_server_config: {cert_file: a}", "key_file is missing"),
        ("tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}", "TLS12, TLS13"),
        ("tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAnyClientCert}", "client_auth_type"),
        ("tls_server_config: {cert_file: a, key_file: b, client_ca_file: c}", "go together"),
        (
            "tls_server_config: {cert_file: a, key_file: b, client_auth_type: RequireAndVerifyClientCert}",
            "go together",
        ),
        ("tls_server_config: [a]", "not a mapping"),
        ("basic_auth_users: {a: secret}", "not a bcrypt hash"),
        ("basic_auth_users: {a: 5}", "not a bcrypt hash"),
        ("- a", "not a mapping"),
        ("a: [", "not YAML"),
        ("!!python/object/apply:os.system [true]", "not YAML"),
        ("[" * 5000, "not YAML"),
        *((f"basic_auth_users: {{a: {value}}}", "not YAML") for value in MALFORMED_VALUES),
        ('"\\UFFFFFFFF"', "not YAML"),
        (f"basic_auth_users: {{bob: '{SALTED.format('18')}'}}", "the hash of 'bob' has cost 18; tcptop takes 17"),
        (f"basic_auth_users: {{bob: '{SALTED.format('31')}'}}", "has cost 31"),
        *((f"basic_auth_users: {{a: '{SALTED.format(cost)}'}}", "not a bcrypt") for cost in ("03", "32", "4", "+4")),
        (f"basic_auth_users: {{a: '{SALTED.format('10')[:-1]}'}}", "not a bcrypt hash"),
        (f"basic_auth_users: {{a: '{SALTED.format('10')}a'}}", "not a bcrypt hash"),
        (f'basic_auth_users: {{a: "{SALTED.format("10")[:-2]}\\0a"}}', "not a bcrypt hash"),
        (f"basic_auth_users: {{a: '{SALTED.format('10').replace('$2b', '$2c')}'}}", "not a bcrypt hash"),
    ],
)
def test_what_is_not_understood_is_an_error(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as raised:
        parse_web_config(text, "/etc")
    assert "\n" not in str(raised.value)


def test_reading_a_hash_does_not_compute_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of cost 17 takes seconds, and blocks every answer."""
    monkeypatch.setattr(bcrypt, "checkpw", lambda *_: pytest.fail("computed"))
    users = {"a": SALTED.format("17"), "b": SALTED.format("04").replace("$2b$", "$2y$")}
    config = parse_web_config("\n".join(["basic_auth_users:", *(f"  {name}: {users[name]}" for name in users)]), "/etc")
    assert config.users == {name: text.encode() for name, text in users.items()}


@pytest.mark.parametrize("prefix", [b"2a", b"2b"])
def test_every_hash_of_bcrypt_is_taken(prefix: bytes) -> None:
    for number in range(20):
        hashed = bcrypt.hashpw(b"%d" % number, bcrypt.gensalt(4, prefix)).decode()
        assert parse_web_config(f"basic_auth_users: {{a: {hashed}}}", "/").users == {"a": hashed.encode()}


def test_the_keys_of_the_toolkit() -> None:
    config = parse_web_config(
        "tls_server_config:\n  cert_file: a.crt\n  key_file: /keys/a.key\n  client_ca_file: ca.crt\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  min_version: TLS13\n"
        f"basic_auth_users:\n  alice: {HASH}\n",
        "/etc/tcptop",
    )
    assert config.tls is not None
    assert config.tls.files == ("/etc/tcptop/a.crt", "/keys/a.key", "/etc/tcptop/ca.crt")
    assert config.tls.client_auth == ssl.CERT_REQUIRED
    assert config.tls.min_version == ssl.TLSVersion.TLSv1_3
    assert list(config.users) == ["alice"]


@pytest.mark.parametrize("text", ["", "{}", "tls_server_config:\nbasic_auth_users:\n"])
def test_an_empty_file_asks_for_nothing(text: str) -> None:
    config = parse_web_config(text, "/etc")
    assert config.tls is None
    assert not config.users


async def test_passwords(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{alice: '{HASH}'}}")
    gate = WebGate(str(path), pytest.fail)
    assert await gate.authorize(request("alice", "secret")) is None
    for wrong in (
        request(),
        request("alice", "Secret"),
        request("bob", "secret"),
        request("alice", "s\0"),
        request("", ""),
    ):
        refusal = await gate.authorize(wrong)
        assert refusal is not None
        assert refusal.status == HTTPStatus.UNAUTHORIZED
        assert ("WWW-Authenticate", 'Basic realm="tcptop"') in refusal.headers
    for header in ("Basic", "Basic %%%", "Bearer secret", "Basic YWxpY2U="):
        assert await gate.authorize(Request("GET", "/", "HTTP/1.1", {"authorization": header})) is not None


async def test_a_right_password_is_checked_once(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{alice: '{bcrypt.hashpw(b'secret', bcrypt.gensalt(10)).decode()}'}}")
    gate = WebGate(str(path), pytest.fail)
    assert await gate.authorize(request("alice", "secret")) is None
    started_s = time.process_time()
    for _ in range(50):
        assert await gate.authorize(request("alice", "secret")) is None
    assert time.process_time() - started_s < 0.5


def test_nobody_has_a_hash_that_can_be_checked() -> None:
    assert not bcrypt.checkpw(b"x", NOBODY)


async def test_a_changed_file_holds_at_once_and_a_wrong_one_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{alice: '{HASH}'}}")
    complaints: list[str] = []
    gate = WebGate(str(path), complaints.append)
    assert await gate.authorize(request("alice", "secret")) is None
    path.write_text(f"basic_auth_users: {{bob: '{HASH}'}}")
    assert await gate.authorize(request("alice", "secret")) is not None
    assert await gate.authorize(request("bob", "secret")) is None
    path.write_text("basic_auth_user: {}")
    for _ in range(3):
        refusal = await gate.authorize(request("bob", "secret"))
        assert refusal is not None
        assert refusal.status == HTTPStatus.INTERNAL_SERVER_ERROR
    with pytest.raises(ValueError, match="wrong"):
        gate.tls_context()
    assert len(complaints) == 1
    path.unlink()
    assert await gate.authorize(request("bob", "secret")) is not None
    path.write_text("")
    assert await gate.authorize(request()) is None


WRONG_FILES = (
    *(f"basic_auth_users: {{alice: '{HASH}', bob: {value}}}" for value in MALFORMED_VALUES),
    'tls_server_config: {cert_file: "a\\0b", key_file: b}',
    'tls_server_config: {cert_file: a, key_file: b, client_auth_type: NoClientCert, client_ca_file: "\\uD800"}',
    'tls_server_config: {cert_file: "\\uD800", key_file: b}',
    f"basic_auth_users: {{alice: '{SALTED.format('31')}'}}",
    "!!binary a",
    '"\\UFFFFFFFF"',
    "[" * 5000,
)


@pytest.mark.parametrize("before", ["", f"basic_auth_users: {{alice: '{HASH}'}}"], ids=["open", "password"])
@pytest.mark.parametrize("wrong", WRONG_FILES, ids=range(len(WRONG_FILES)))
async def test_while_the_file_is_wrong_nobody_gets_in_and_a_repaired_file_counts(
    tmp_path: Path, before: str, wrong: str
) -> None:
    path = tmp_path / "web.yml"
    path.write_text(before)
    complaints: list[str] = []
    gate = WebGate(str(path), complaints.append)
    asked = request("alice", "secret")
    assert await gate.authorize(asked) is None
    path.write_text(wrong)
    for _ in range(3):
        with pytest.raises(ValueError, match="wrong"):
            gate.tls_context()
        assert await gate.authorize(asked) is not None
    [complaint] = complaints
    assert "\n" not in complaint
    path.write_text(before + "\n")
    assert gate.tls_context() is None
    assert await gate.authorize(asked) is None
    assert complaints == [complaint]


class UnforeseenError(BaseException):
    """An error that no `except Exception` catches, such as a panic of a module in Rust."""


@pytest.mark.parametrize("unforeseen", [UnforeseenError, LookupError, MemoryError])
@pytest.mark.parametrize("place", ["parse_web_config", "read_bytes", "refuse_strangers"])
async def test_an_unforeseen_error_leaves_the_door_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, unforeseen: type[BaseException]
) -> None:
    path = tmp_path / "web.yml"
    path.write_text("")
    gate = WebGate(str(path), lambda _: None)
    assert await gate.authorize(request()) is None

    def fail(*_: object) -> None:
        raise unforeseen

    monkeypatch.setattr(web_config, place, fail)
    path.write_text("basic_auth_users: {}")
    with suppress(UnforeseenError):
        assert await gate.authorize(request()) is not None
    for _ in range(2):
        assert await gate.authorize(request()) is not None
    monkeypatch.undo()
    path.write_text("{}")
    assert await gate.authorize(request()) is None


async def test_a_change_during_the_reading_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "web.yml"
    path.write_text("")
    gate = WebGate(str(path), pytest.fail)

    def read_then_change(*arguments: object) -> bytes:
        data = read_bytes(*arguments)  # type: ignore[arg-type] # the arguments are passed on
        path.write_text(f"basic_auth_users: {{alice: '{HASH}'}}")
        monkeypatch.undo()
        return data

    monkeypatch.setattr(web_config, "read_bytes", read_then_change)
    path.write_text("{}")
    assert await gate.authorize(request()) is None
    assert await gate.authorize(request()) is not None
    assert await gate.authorize(request("alice", "secret")) is None


def test_a_file_that_turns_malformed_closes_the_exporter(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("")
    with started("--listen", "127.0.0.1:0", "--web.config.file", path, "--root", TREE) as (process, line):
        url = f"http://127.0.0.1:{port_of(line)}/metrics"
        with urllib.request.urlopen(url, timeout=GUARD_S) as answer:
            assert answer.status == 200
        path.write_text("basic_auth_users: {a: !!bool foo}")
        for _ in range(3):
            with pytest.raises(OSError, match=r"reset|closed|without response|refused"):
                urllib.request.urlopen(url, timeout=GUARD_S)
        path.write_text("{}")
        with urllib.request.urlopen(url, timeout=GUARD_S) as answer:
            assert answer.status == 200
        process.terminate()
        _, errors = process.communicate(timeout=GUARD_S)
    assert "Traceback" not in errors
    assert errors.count("not YAML") == 1


@pytest.mark.parametrize("value", MALFORMED_VALUES)
def test_a_malformed_value_at_the_start_is_an_error_of_one_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {value}")
    with pytest.raises(TcptopError, match="not YAML") as raised:
        WebGate(str(path), pytest.fail)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("basic_auth_users:\n  alice: $2b$\n  bob: $2b$\n  alice: $2b$\n", 4, "alice"),
        ("basic_auth_users: {}\n# none\nbasic_auth_users: {bob: $2b$}\n", 3, "basic_auth_users"),
        ('tls_server_config:\n  cert_file: a\n  "cert_file": b\n', 3, "cert_file"),
        ("basic_auth_users: {bob: a, bob: b}\n", 1, "bob"),
    ],
)
def test_a_repeated_key_is_refused_with_its_line(tmp_path: Path, text: str, line: int, key: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(text)
    ran = run_exporter("--web.config.file", path, "--root", TREE)
    assert ran.returncode == 1
    assert f"the key {key!r} is given twice, line {line}\n" in ran.stderr
    assert ran.stderr.count("\n") == 1


@needs_openssl
def test_an_encrypted_key_is_an_error_and_no_question(tmp_path: Path) -> None:
    _, key = make_certificate(tmp_path, "first")
    subprocess.run(
        ["openssl", "ec", "-in", key, "-out", tmp_path / "locked.key", "-aes128", "-passout", "pass:secret"],
        check=True,
        capture_output=True,
        timeout=GUARD_S,
    )
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config: {cert_file: first.crt, key_file: locked.key}")
    ran = run_exporter("--web.config.file", path, "--root", TREE)
    assert ran.returncode == 1
    assert "key_file is encrypted" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_wrong_file_at_the_start_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config: {cert_file: a.crt, key_file: a.key}")
    ran = run_exporter("--web.config.file", path, "--root", TREE)
    assert ran.returncode == 1
    assert "a.crt" in ran.stderr
    assert ran.stderr.count("\n") == 1
    with pytest.raises(TcptopError, match="not a regular file"):
        WebGate("/dev/zero", pytest.fail)


def test_under_sudo_the_file_must_be_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    path = tmp_path / "web.yml"
    path.write_text("")
    path.chmod(0o666)
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    with pytest.raises(TcptopError, match="does not belong to root alone"):
        WebGate(str(path), pytest.fail)
    path.chmod(0o644)
    assert not WebGate(str(path), pytest.fail).has_tls


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of localhost that signs itself, and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
            ),
            *("-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=GUARD_S,
    )
    return certificate, key


def fetch(port: int, trusted: Path, own: tuple[Path, Path] | None = None, password: str | None = None) -> int:
    context = ssl.create_default_context(cafile=str(trusted))
    if own is not None:
        context.load_cert_chain(*map(str, own))
    asked = urllib.request.Request(f"https://127.0.0.1:{port}/metrics")
    if password is not None:
        asked.add_header("Authorization", "Basic " + base64.b64encode(f"alice:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(asked, timeout=GUARD_S, context=context) as answer:
            assert b"tcptop_sockets_allocated" in answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@needs_openssl
def test_tls_and_passwords_and_silent_clients(tmp_path: Path) -> None:
    first, second = make_certificate(tmp_path, "first"), make_certificate(tmp_path, "second")
    shutil.copy(first[0], tmp_path / "now.crt")
    shutil.copy(first[1], tmp_path / "now.key")
    path = tmp_path / "web.yml"
    tls = "tls_server_config: {cert_file: now.crt, key_file: now.key}\n"
    path.write_text(f"{tls}basic_auth_users: {{alice: '{HASH}'}}")
    arguments = ("--listen", "127.0.0.1:0", "--web.config.file", path, "--root", TREE)
    with started(*arguments) as (_, line):
        assert "https://" in line
        port = port_of(line)
        assert fetch(port, first[0]) == 401
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        assert fetch(port, first[0], password="secret") == 200
        for each in silent:
            each.close()
        # First a new certificate, then a certificate that the client must show.
        shutil.copy(second[0], tmp_path / "now.crt")
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            fetch(port, second[0], password="secret")  # the key is not there yet
        shutil.copy(second[1], tmp_path / "now.key")
        with pytest.raises(urllib.error.URLError):
            fetch(port, first[0], password="secret")
        assert fetch(port, second[0], password="secret") == 200
        path.write_text(
            "tls_server_config: {cert_file: now.crt, key_file: now.key, client_ca_file: first.crt,"
            " client_auth_type: RequireAndVerifyClientCert}"
        )
        with pytest.raises((urllib.error.URLError, ssl.SSLError, ConnectionError)):
            fetch(port, second[0])
        assert fetch(port, second[0], own=first) == 200
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=GUARD_S)
