"""Kernel TLS: the number of sockets with kernel TLS, and the bytes per socket from a lab result."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import pytest
from recorded import snapshot

from tcptop.accounting import account
from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.lab_result import KtlsBytes, ktls_bytes, measured_ktls
from tcptop.accounting.plan import make_plan
from tcptop.accounting.plan_needs import KTLS
from tcptop.accounting.tls_sockets import tls_sockets
from tcptop.ledger import AttachedObjects
from tcptop.ledger.plan import PlanRequest
from tcptop.snapshot import (
    LabMeasurement,
    MeasuredRow,
    MeasuredState,
    Reading,
    ReadState,
    Snapshot,
    TlsStat,
)

PAIRS = {"established/pair": 7639.0, "ktls/context": 8663.0, "ktls/tx": 19_950.8, "ktls/pair": 32_956.2}
"""Bytes of a connection on 6.1, as a lab measured them."""
BYTES = KtlsBytes(512.0, 5643.9, 6502.7)


def tls_stat(state: ReadState, value: TlsStat | None = None) -> Reading[TlsStat]:
    return Reading(state, value, None, None, None, None, None, None)


def live(kernel: str, reading: Reading[TlsStat]) -> Snapshot:
    return snapshot(kernel, "established")._replace(live=True, tls_stat=reading)


def test_the_counts_of_the_file() -> None:
    counts = TlsStat(3, 2, 1, None)
    assert tls_sockets(live("6.1-1n", tls_stat("ok", counts))) == counts


def test_a_running_kernel_without_the_file_has_no_such_socket() -> None:
    assert tls_sockets(live("6.1-1n", tls_stat("missing"))) == TlsStat(0, 0, 0, 0)


def with_release(seen: Snapshot, release: str | None) -> Snapshot:
    sysctls = seen.sysctls.value
    assert sysctls is not None
    return seen._replace(sysctls=seen.sysctls._replace(value=sysctls._replace(kernel_release=release)))


@pytest.mark.parametrize("release", ["5.4.0-150-generic", "4.18.0-553.el8.x86_64", None, "x"])
def test_without_the_file_an_old_or_unknown_kernel_may_have_such_sockets(release: str | None) -> None:
    assert tls_sockets(with_release(live("6.1-1n", tls_stat("missing")), release)) is None


def test_a_saved_tree_without_the_file_may_be_of_a_kernel_that_has_it() -> None:
    assert tls_sockets(snapshot("6.1-1n", "established")) is None


def test_a_proc_without_its_folder_net_says_nothing() -> None:
    seen = live("6.1-1n", tls_stat("missing"))
    assert tls_sockets(seen._replace(sockstat=seen.sockstat._replace(state="missing", value=None))) is None


@pytest.mark.parametrize("state", ["refused", "empty", "failed", "waiting", "strange"])
def test_an_unreadable_file_says_nothing(state: ReadState) -> None:
    assert tls_sockets(live("6.1-1n", tls_stat(state))) is None


def test_bytes_are_half_of_what_each_step_adds() -> None:
    found = ktls_bytes(PAIRS)
    assert found == pytest.approx(BYTES)
    assert sum(found or ()) == pytest.approx((32_956.2 - 7639.0) / 2)


@pytest.mark.parametrize("lacking", PAIRS)
def test_without_one_of_the_steps_the_bytes_are_unknown(lacking: str) -> None:
    assert ktls_bytes({key: amount for key, amount in PAIRS.items() if key != lacking}) is None


@pytest.mark.parametrize("key", ["ktls/context", "ktls/tx", "ktls/pair"])
def test_a_step_that_adds_nothing_was_not_measured(key: str) -> None:
    assert ktls_bytes({**PAIRS, key: 0.0}) is None


def measurement(seen: Snapshot, pairs: Mapping[str, float], **changes: object) -> LabMeasurement:
    """A saved lab result of the snapshot's kernel; `established/pair` has 93.4 bytes of vectors in its sum."""
    sysctls = seen.sysctls.value
    assert sysctls is not None
    states = {
        key: MeasuredState((MeasuredRow("TCP", 2.0, amount - (93.4 if key == "established/pair" else 0.0), 2.0),), 0.0)
        for key, amount in pairs.items()
    }
    states["established/pair"] = states["established/pair"]._replace(vector_bytes=93.4)
    states["established/accepted"] = states["established/pair"]
    whole = LabMeasurement("lab.json", sysctls.kernel_release, sysctls.build_id, 4096, False, states)
    return whole._replace(**changes)  # type: ignore[arg-type]


def bytes_of(seen: Snapshot) -> KtlsBytes | None:
    """The bytes of kernel TLS that accounting uses."""
    return measured_ktls(seen, CacheTable(seen, seen.page_size_bytes))


def test_a_lab_result_of_this_kernel_gives_the_bytes() -> None:
    seen = snapshot("6.1-1n", "established")
    assert bytes_of(seen) is None
    found = bytes_of(seen._replace(lab_measurement=measurement(seen, PAIRS)))
    assert found == pytest.approx(BYTES), "vectors are in all sums"


def test_a_lab_result_of_another_kernel_gives_none() -> None:
    seen = snapshot("6.1-1n", "established")
    other = measurement(seen, PAIRS, kernel_release="6.12.0")
    assert bytes_of(seen._replace(lab_measurement=other)) is None


def test_a_lab_result_without_ktls_gives_none() -> None:
    seen = snapshot("6.1-1n", "established")
    without = measurement(seen, {"established/pair": 7639.0})
    assert bytes_of(seen._replace(lab_measurement=without)) is None


@pytest.mark.parametrize("key", PAIRS)
def test_a_run_in_doubt_gives_none(key: str) -> None:
    seen = snapshot("6.1-1n", "established")
    sound = measurement(seen, PAIRS)
    assert bytes_of(seen._replace(lab_measurement=sound)) is not None
    states = {**sound.states, key: sound.states[key]._replace(doubt="8 sockets of other programs came or went")}
    assert bytes_of(seen._replace(lab_measurement=sound._replace(states=states))) is None


# The sockets of this network namespace at the measured sizes, among the attached objects.


def attached(counts: TlsStat, with_lab: bool = True) -> AttachedObjects:
    seen = live("6.1-1n", tls_stat("ok", counts))
    lab = measurement(seen, PAIRS) if with_lab else None
    return next(kind for kind in account(seen._replace(lab_measurement=lab)).attached.kinds if kind.name == "ktls")


def test_sockets_with_both_directions_have_the_measured_bytes() -> None:
    """100 sockets per direction are 100 sockets with both directions, or up to 200 sockets with one direction."""
    found = attached(TlsStat(100, 100, 0, 0))
    assert found.number == (100, 200)
    assert found.bytes is not None
    assert found.bytes.low == pytest.approx(100 * (32_956.2 - 7639.0) / 2)
    assert found.bytes.high == pytest.approx(found.bytes.low + 100 * 512)


def test_sockets_with_one_direction_have_less() -> None:
    found = attached(TlsStat(100, 0, 0, 0))
    assert found.number == (100, 100)
    assert found.bytes == pytest.approx((100 * (512 + 5643.9),) * 2)


def test_bytes_of_a_network_device_are_a_lower_bound() -> None:
    found = attached(TlsStat(0, 100, 100, 0))
    assert found.bytes is not None
    assert found.bytes.low == pytest.approx(100 * (512 + 6502.7))
    assert found.bytes.high == inf


def test_without_a_lab_result_the_number_alone_is_known() -> None:
    found = attached(TlsStat(100, 100, 0, 0), with_lab=False)
    assert found.number == (100, 200)
    assert found.bytes is None
    assert "lab" in (found.unknown_because or "")


def test_no_sockets_with_kernel_tls_take_no_bytes() -> None:
    found = attached(TlsStat(0, 0, 0, 0), with_lab=False)
    assert (found.number, found.bytes) == ((0, 0), (0, 0))


def attached_of(seen: Snapshot) -> AttachedObjects:
    seen = seen._replace(lab_measurement=measurement(seen, PAIRS))
    return next(kind for kind in account(seen).attached.kinds if kind.name == "ktls")


def with_sockstat(seen: Snapshot, **counts: int) -> Snapshot:
    value = seen.sockstat.value
    assert value is not None
    return seen._replace(sockstat=seen.sockstat._replace(value=value._replace(**counts)))


def test_no_more_sockets_have_kernel_tls_than_the_machine_has() -> None:
    """The recording has 16 001 sockets, all in this namespace."""
    found = attached(TlsStat(12_000, 12_000, 0, 0))
    assert found.number == (12_000, 16_001)
    assert found.bytes is not None
    assert found.bytes.high == pytest.approx(found.bytes.low + 4001 * 512)


@pytest.mark.parametrize("counts", [TlsStat(50_000, 0, 0, 0), TlsStat(0, 20_000, 0, 20_000)])
def test_more_sockets_with_kernel_tls_than_sockets_are_impossible(counts: TlsStat) -> None:
    seen = live("6.1-1n", tls_stat("ok", counts))
    found = account(seen)
    ktls = next(kind for kind in found.attached.kinds if kind.name == "ktls")
    assert (ktls.number, ktls.bytes) == (None, None)
    assert found.sources["tls_stat"].state == "strange"
    assert "more than the machine has TCP sockets" in (found.sources["tls_stat"].reason or "")


def test_sockets_opened_between_two_reads_are_possible() -> None:
    found = attached(TlsStat(16_500, 16_500, 0, 0))
    assert found.number == (16_500, 16_500)


@pytest.mark.parametrize("count", [0, 100])
def test_sockets_of_other_namespaces_may_have_kernel_tls_too(count: int) -> None:
    seen = live("6.1-1n", tls_stat("ok", TlsStat(count, count, 0, 0)))
    found = attached_of(with_sockstat(seen, inuse=8_000))
    assert found.number == (count, inf)
    assert found.bytes is not None
    assert found.bytes.low == pytest.approx(count * (32_956.2 - 7639.0) / 2)
    assert found.bytes.high == inf


def test_a_kernel_without_the_module_has_no_such_socket_in_any_namespace() -> None:
    found = attached_of(with_sockstat(live("6.1-1n", tls_stat("missing")), inuse=8_000))
    assert (found.number, found.bytes) == ((0, 0), (0, 0))


# In a plan.


def test_a_plan_has_the_measured_bytes_of_each_socket() -> None:
    seen = snapshot("6.1-1n", "established")
    seen = seen._replace(lab_measurement=measurement(seen, PAIRS))
    request = PlanRequest(1000, "proxy", "ipv4", 0, 0, with_epoll=False, with_conntrack=False, with_ktls=True)
    plan = make_plan(seen, account(seen), request)
    [part] = [part for part in plan.parts if part.object == KTLS]
    assert part.bytes == part.high_bytes == pytest.approx(2000 * sum(BYTES))
    without = make_plan(seen, account(seen), request._replace(with_ktls=False))
    assert (plan.bytes or 0) - (without.bytes or 0) == pytest.approx(part.bytes)


def test_a_plan_without_a_lab_result_cannot_say() -> None:
    seen = snapshot("6.1-1n", "established")
    request = PlanRequest(1000, "accepted", "ipv4", 0, 0, with_epoll=False, with_conntrack=False, with_ktls=True)
    plan = make_plan(seen, account(seen), request)
    assert plan.verdict == "cannot say"
    assert "--lab" in (plan.unknown_because or "")
