"""Tests of the player: its position after steps, seeks and elapsed time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tcptop.view.player import MAX_WAIT_S, SPEEDS, Player

times = st.lists(st.floats(0, 1e6), min_size=1, max_size=40).map(sorted)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(-50, 50)),
        st.tuples(st.just("seek"), st.integers(-50, 50)),
        st.tuples(st.just("speed"), st.sampled_from([-1, 1])),
        st.tuples(st.just("toggle"), st.just(0)),
        st.tuples(st.just("advance"), st.floats(0, 1e5)),
    ),
    max_size=40,
)


def apply(player: Player, action: tuple[str, float]) -> Player:
    name, number = action
    match name:
        case "step":
            return player.step_by(int(number))
        case "seek":
            return player.seek(int(number))
        case "speed":
            return player.change_speed(int(number))
        case "toggle":
            return player.toggle_playing()
        case _:
            return player.advance(number)


def second_by_second(samples: int) -> Player:
    return Player([1000.0 + second for second in range(samples)])


@given(times, actions)
def test_player_stays_in_the_recording(times_s: list[float], sequence: list[tuple[str, float]]) -> None:
    player = Player(times_s)
    for action in sequence:
        before, player = player, apply(player, action)
        assert 0 <= player.index < len(times_s)
        assert player.speed in SPEEDS
        if action[0] == "advance":
            assert player.index >= before.index
            if not before.playing:
                assert player == before
        if player.index == player.last_index and action[0] == "advance":
            assert not player.playing


def test_step_stays_in_the_recording_and_pauses() -> None:
    player = second_by_second(5).toggle_playing()
    assert player.playing
    assert (player.step_by(1).index, player.step_by(1).playing) == (1, False)
    assert player.step_by(-1).index == 0
    assert player.step_by(9).index == 4


def test_playback_follows_the_recorded_times() -> None:
    player = second_by_second(1000).toggle_playing()
    assert [player.advance(second).index for second in (0.5, 1, 2.5, 10)] == [0, 1, 2, 10]
    assert second_by_second(1000).advance(10).index == 0, "a new player is paused"


def test_speed_multiplies_playback() -> None:
    for rank, speed in enumerate((1, 2, 5, 10, 20, 50, 100)):
        player = second_by_second(1000).toggle_playing()
        for _ in range(rank):
            player = player.change_speed(1)
        assert player.speed == speed
        assert player.advance(3).index == 3 * speed
    assert player.change_speed(1).speed == 100
    assert second_by_second(3).change_speed(-1).speed == 1


def test_many_short_advances_equal_a_long_one() -> None:
    player = second_by_second(1000).toggle_playing()
    for _ in range(64):
        player = player.advance(0.125)
    assert player.index == 8


def test_playback_stops_at_the_last_sample_and_restarts_at_the_first() -> None:
    player = second_by_second(5).toggle_playing().advance(100)
    assert (player.index, player.playing) == (4, False)
    restarted = player.toggle_playing()
    assert (restarted.index, restarted.playing) == (0, True)


def test_gap_is_shortened_to_the_longest_wait() -> None:
    eight_hours_s = 8 * 3600.0
    player = Player([0.0, 1.0, 1.0 + eight_hours_s, 2.0 + eight_hours_s]).toggle_playing()
    assert player.advance(1.0 + MAX_WAIT_S - 0.1).index == 1
    assert player.advance(1.0 + MAX_WAIT_S).index == 2


def test_samples_with_equal_times_are_one_second_apart() -> None:
    player = Player([5.0] * 100).toggle_playing()
    assert player.advance(3.0).index == 3
