"""Order of the limits over several samples: the order is kept for some seconds, but changes at once for an alarm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest
from recorded import ledger

from tcptop.accounting.steady_limit_order import HOLD_S, MAX_GAP_S, NO_ORDERS, hold_orders, in_order
from tcptop.kernel.limits import LimitName
from tcptop.ledger import Ledger, Limit, Limits

BASE = ledger("6.1-4n", "established")
LIMIT = BASE.limits["full"].rows[0]


def sample(at_s: float | None, names: str, full: str = "") -> Ledger:
    """A sample whose limits are `names`, a letter each, the nearest first; those in `full` are in the state `full`."""
    rows = [LIMIT._replace(name=cast("LimitName", name), state="full" if name in full else "ok") for name in names]
    limits = Limits(tuple(rows))
    return BASE._replace(taken_at_unix_s=at_s, limits={"full": limits, "time_wait": limits})


def orders(samples: Sequence[Ledger]) -> list[str]:
    held, found = NO_ORDERS, []
    for each in samples:
        held = hold_orders(held, each)
        found.append("".join(held["full"].names))
        assert ["".join(limit.name for limit in limits.rows) for limits in in_order(each, held).limits.values()] == [
            found[-1]
        ] * 2
    return found


def test_a_limit_overtakes_another_after_it_has_been_nearer_for_some_seconds() -> None:
    found = orders([sample(0, "abc"), *(sample(at_s, "cab") for at_s in range(1, 13))])
    assert found == ["abc"] * 11 + ["cab"] * 2


def test_a_limit_that_is_nearer_only_now_and_then_stays_where_it_is() -> None:
    assert set(orders([sample(at_s, "ab" if at_s % 9 == 0 else "ba") for at_s in range(100)])) == {"ab"}


@pytest.mark.parametrize("interval_s", [HOLD_S + 1, 30.0, 60.0])
def test_with_a_long_interval_nearly_equal_limits_stay_where_they_are(interval_s: float) -> None:
    assert set(orders([sample(at * interval_s, "ba" if at % 2 else "ab") for at in range(20)])) == {"ab"}
    found = orders([sample(0, "ab"), *(sample(at * interval_s, "ba") for at in range(1, 4))])
    assert found == ["ab", "ab", "ba", "ba"]


def test_limits_that_exchange_places_all_the_time_do_not_keep_another_one_back() -> None:
    """The last two limits are nearly equal. Meanwhile, the first limit falls behind both other limits."""
    found = orders([sample(0, "abc"), *(sample(at_s, "bca" if at_s % 2 else "cba") for at_s in range(1, 12))])
    assert found[-1] == "bca"
    assert set(found[:-1]) == {"abc"}


def test_an_alarm_comes_up_at_once_and_goes_down_slowly() -> None:
    found = orders(
        [sample(0, "abc"), sample(1, "cab", full="c"), sample(2, "abc"), sample(11, "abc"), sample(12, "abc")]
    )
    assert found == ["abc", "cab", "cab", "cab", "abc"]


def test_the_full_limit_of_mini_sockets_keeps_no_alarm_back() -> None:
    """It stops no socket, so the alarms, and the limits that stop sockets, go past it at once."""
    quiet = LIMIT._replace(name="tcp_max_tw_buckets", concerns="TIME_WAIT", headroom_sockets=None, state="full")
    first, second = (LIMIT._replace(name=name, state="ok") for name in ("file_max", "memory"))
    queues = LIMIT._replace(name="listen_queues", headroom_sockets=None)

    def at(at_s: float, *rows: Limit) -> Ledger:
        limits = Limits(rows)
        return BASE._replace(taken_at_unix_s=at_s, limits={"full": limits, "time_wait": limits})

    before = at(0, first, quiet, second._replace(headroom_sockets=None), queues._replace(state="unknown"))
    after = at(1, queues._replace(state="full"), first, second, quiet)
    held = hold_orders(hold_orders(NO_ORDERS, before), after)["full"].names
    assert held == ("listen_queues", "file_max", "memory", "tcp_max_tw_buckets")


def test_an_accept_queue_that_a_look_finds_near_its_limit_moves_up_at_once() -> None:
    first, second = (LIMIT._replace(name=name, state="ok") for name in ("file_max", "memory"))
    second = second._replace(headroom_sockets=None)
    queues = LIMIT._replace(name="listen_queues", headroom_sockets=None, state="unknown", maximum=100)

    def at(at_s: float, *rows: Limit) -> Ledger:
        limits = Limits(rows)
        return BASE._replace(taken_at_unix_s=at_s, limits={"full": limits, "time_wait": limits})

    before = at(0, first, second, queues._replace(used=None))
    for used, order in ((96, ("file_max", "listen_queues", "memory")), (60, ("file_max", "memory", "listen_queues"))):
        after = at(1, first, queues._replace(used=used), second)
        assert hold_orders(hold_orders(NO_ORDERS, before), after)["full"].names == order


@pytest.mark.parametrize("at_s", [-1.0, MAX_GAP_S + 1, None])
def test_a_sample_of_another_time_decides_alone(at_s: float | None) -> None:
    """After a jump in a recording, the order on the screen before the jump has no influence."""
    assert orders([sample(0, "abc"), sample(at_s, "cba")]) == ["abc", "cba"]


def test_a_limit_that_appears_has_its_place_at_once() -> None:
    assert orders([sample(0, "abc"), sample(1, "dabc"), sample(2, "abc")]) == ["abc", "dabc", "abc"]


def test_the_same_samples_give_the_same_order() -> None:
    samples = [sample(at_s, "abc" if at_s % 13 < 2 else "bca") for at_s in range(60)]
    assert orders(samples) == orders(samples)
    assert hold_orders(NO_ORDERS, samples[7])["full"].names == tuple("bca")


def test_each_accounting_mode_has_an_order_of_its_own() -> None:
    now = BASE._replace(taken_at_unix_s=0.0)
    later = now._replace(taken_at_unix_s=1.0)
    shown = in_order(later, hold_orders(hold_orders(NO_ORDERS, now), later))
    assert shown.limits == now.limits
    names = {mode: [limit.name for limit in limits.rows] for mode, limits in shown.limits.items()}
    assert names["time_wait"].index("tcp_max_tw_buckets") < names["time_wait"].index("file_max")
    assert names["full"].index("file_max") < names["full"].index("tcp_max_tw_buckets")
