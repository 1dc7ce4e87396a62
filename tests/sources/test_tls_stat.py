"""/proc/net/tls_stat: sockets with kernel TLS, found by the names of their counters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import MemoryHost, copy_recording, cuts, ledger_of, snapshot_of, write_tree

from tcptop.hosts.host import Identity
from tcptop.hosts.run_sync import run_sync
from tcptop.report.as_json import as_object
from tcptop.report.as_text import as_text
from tcptop.snapshot import TlsStat
from tcptop.sources.tls_stat import TlsStatSource

parse = TlsStatSource().parse

PATH = "proc/net/tls_stat"
OF_6_1 = """\
TlsCurrTxSw                     \t4600
TlsCurrRxSw                     \t4600
TlsCurrTxDevice                 \t0
TlsCurrRxDevice                 \t0
TlsTxSw                         \t4600
TlsRxSw                         \t4600
TlsTxDevice                     \t0
TlsRxDevice                     \t0
TlsDecryptError                 \t0
TlsRxDeviceResync               \t0
TlsDecryptRetry                 \t0
TlsRxNoPadViolation             \t0
"""
"""The file of Linux 6.1 with 2 300 connections over loopback, both ends with kernel TLS in both directions."""


def test_the_counts_of_6_1() -> None:
    assert parse(OF_6_1) == (TlsStat(4600, 4600, 0, 0), None)


def test_lines_in_any_order_and_unknown_names() -> None:
    text = "TlsRxRekeyOk 9\nTlsCurrRxDevice 4\nTlsCurrTxSw 1\nTlsNew\nTlsCurrTxDevice 3\nTlsCurrRxSw 2\n"
    assert parse(text) == (TlsStat(1, 2, 3, 4), None)


def test_a_count_without_a_line_is_unknown() -> None:
    assert parse("TlsCurrRxSw 2\n") == (TlsStat(None, 2, None, None), None)


@pytest.mark.parametrize("figure", ["-1", "x", "", "1 2", "1.5", "18446744073709551615", "9" * 30, "\u0661"])
def test_a_damaged_count_is_unknown_and_reported(figure: str) -> None:
    value, damage = parse(f"TlsCurrTxSw {figure}\nTlsCurrRxSw 7\n")
    assert value == TlsStat(None, 7, None, None)
    assert damage is not None
    assert "TlsCurrTxSw" in damage.what


def test_of_a_repeated_line_the_first_counts() -> None:
    value, damage = parse("TlsCurrTxSw 1\nTlsCurrTxSw 2\n")
    assert value == TlsStat(1, None, None, None)
    assert damage is not None
    assert "more than once" in damage.what


@pytest.mark.parametrize("file", ["TcpExt: 1\n", "TlsTxSw 3\n", "\x1b[31m\n", "TlsCurrTxSwitch 3\n"])
def test_a_file_without_the_counts_gives_a_reason_and_no_value(file: str) -> None:
    value, damage = parse(file)
    assert value is None
    assert damage is not None
    assert damage.what.isprintable()


def test_a_file_cut_at_any_byte_has_the_counts_before_the_cut_only() -> None:
    for end, beginning in cuts(OF_6_1):
        value, damage = parse(beginning)
        counts = [count for count in value or () if count is not None]
        assert set(counts) <= {4600, 0}, end
        assert counts == [4600, 4600, 0, 0][: len(counts)], end
        assert len(counts) == 4 or damage is not None or beginning.endswith("\n"), end


def test_on_a_running_kernel_the_reason_of_a_missing_file_names_the_module() -> None:
    reading = run_sync(TlsStatSource().read(MemoryHost(identity=Identity(live=True))))
    assert (reading.state, reading.value) == ("missing", None)
    assert reading.reason == (
        "there is no /proc/net/tls_stat here; only the module tls makes it: it is not loaded, or the kernel is older"
        " than 5.5"
    )


def test_of_a_saved_tree_the_reason_does_not_guess() -> None:
    reading = run_sync(TlsStatSource().read(MemoryHost()))
    assert (reading.state, reading.reason) == ("missing", "there is no /proc/net/tls_stat here")


def test_the_file_of_a_saved_tree_is_read(tmp_path: Path) -> None:
    root = write_tree(copy_recording("6.1-1n", "established", tmp_path), {PATH: OF_6_1})
    assert snapshot_of(root).tls_stat.value == TlsStat(4600, 4600, 0, 0)


def test_a_report_names_the_file_if_it_is_damaged_but_not_if_the_module_is_not_loaded(tmp_path: Path) -> None:
    root = copy_recording("6.1-1n", "established", tmp_path)
    without = ledger_of(root)
    assert as_object(without)["sources"]["tls_stat"]["state"] == "missing"
    assert PATH not in as_text(without)
    damaged = ledger_of(write_tree(root, {PATH: OF_6_1.replace("4600", "-4")}))
    assert as_object(damaged)["sources"]["tls_stat"]["state"] == "strange"
    assert f"/{PATH}" in as_text(damaged)


def test_more_sockets_than_memory_holds_are_unknown(tmp_path: Path) -> None:
    root = copy_recording("6.1-1n", "established", tmp_path)
    source = ledger_of(write_tree(root, {PATH: OF_6_1.replace("4600", "9" * 15)})).sources["tls_stat"]
    assert source.state == "strange"
    assert source.reason is not None
    assert "999999999999999 sockets with kernel TLS" in source.reason


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_or_give_a_negative_count(data: bytes) -> None:
    for whole in (data, b"TlsCurrTxSw " + data):
        value, _ = parse(whole.decode("utf-8", "backslashreplace"))
        assert value is None or all((count or 0) >= 0 for count in value)
