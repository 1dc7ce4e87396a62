"""ReaderThread: a call that hangs delays neither other calls nor the exit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest

from tcptop.sampling import worker
from tcptop.sampling.reader_thread import ReaderThread
from tcptop.sampling.worker import Worker

Results = dict[str, "str | BaseException"]


class HangingCalls:
    """Answers a call with its argument in capitals. With `hang…` the call does not return before `release` is set; with
    `raise` the call raises.
    """

    def __init__(self) -> None:
        self.release = threading.Event()
        self.is_hanging = threading.Event()
        self.threads: list[int] = []
        self.thread = ReaderThread[str, str](self._call)

    def _call(self, argument: str) -> str:
        self.threads.append(threading.get_ident())
        if argument.startswith("hang"):
            self.is_hanging.set()
            assert self.release.wait(60), "never released"
        if argument == "raise":
            raise ZeroDivisionError("as a library may")
        return argument.upper()

    async def results(self, is_enough: Callable[[Results], bool]) -> Results:
        """The results up to now, as soon as they are enough."""
        taken: Results = {}
        while not is_enough(taken):
            await self.thread.wait(0.05)
            taken.update(self.thread.take_results())
        return taken

    async def call(self, arguments: Sequence[str], returning: Sequence[str] | None = None) -> Results:
        """Submits calls, and waits for those that return."""
        self.thread.submit(arguments)
        names = set(arguments if returning is None else returning)
        return await self.results(lambda taken: names <= taken.keys())


@pytest.fixture
def calls() -> HangingCalls:
    return HangingCalls()


async def test_all_calls_are_made_in_one_other_thread_in_their_order(calls: HangingCalls) -> None:
    assert list((await calls.call(["a", "b", "c"])).items()) == [("a", "A"), ("b", "B"), ("c", "C")]
    assert set(calls.threads) != {threading.get_ident()}
    assert len(set(calls.threads)) == 1


def thread_ended(name: str) -> bool:
    """Waits until no thread of this name runs."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(60)
    return not any(thread.name == name for thread in threading.enumerate())


@pytest.mark.slow
async def test_threads_without_calls_end_and_the_next_calls_are_made(
    calls: HangingCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "IDLE_S", 0.01)
    other = Worker("tcptop idle")
    for _ in range(3):
        assert await calls.call(["a"]) == {"a": "A"}
        assert await other.run(lambda: "B") == "B"
        assert thread_ended("tcptop reader")
        assert thread_ended("tcptop idle")
    assert len(calls.threads) == 3


async def test_no_call_is_lost_while_threads_end(calls: HangingCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE_S", 0.0)
    other = Worker("tcptop idle")
    for number in range(500):
        await asyncio.wait_for(other.run(lambda: None), 60)
        assert await asyncio.wait_for(calls.call([str(number)]), 60) == {str(number): str(number)}


async def test_one_wait_is_enough_for_all_results_of_a_batch(calls: HangingCalls) -> None:
    calls.thread.submit(["hang", "a", "b"])
    while not calls.is_hanging.is_set():
        await asyncio.sleep(0)
    calls.release.set()
    await calls.thread.wait(60)
    assert dict(calls.thread.take_results()) == {"hang": "HANG", "a": "A", "b": "B"}


@pytest.mark.parametrize(
    "arguments",
    [["hang", "a", "b"], ["a", "hang", "b"], ["hang 1", "a", "hang 2", "b"], ["hang 1", "hang 2", "hang 3", "a", "b"]],
    ids=" ".join,
)
async def test_calls_behind_hanging_ones_return_and_no_result_is_lost(
    calls: HangingCalls, arguments: list[str]
) -> None:
    hanging = {argument for argument in arguments if argument.startswith("hang")}
    assert await calls.call(arguments, returning=["a", "b"]) == {"a": "A", "b": "B"}
    calls.release.set()
    late = await calls.results(lambda taken: hanging <= taken.keys())
    assert late == {argument: argument.upper() for argument in hanging}


async def test_a_call_behind_a_last_call_that_hangs_returns(calls: HangingCalls) -> None:
    assert await calls.call(["a", "hang"], returning=["a"]) == {"a": "A"}
    assert await calls.call(["b"]) == {"b": "B"}
    assert await calls.call(["c", "d"]) == {"c": "C", "d": "D"}
    calls.release.set()
    assert await calls.results(lambda taken: "hang" in taken) == {"hang": "HANG"}


async def test_after_a_hang_a_single_thread_makes_all_calls(calls: HangingCalls) -> None:
    await calls.call(["hang", "a"], returning=["a"])
    calls.release.set()
    await calls.results(lambda taken: "hang" in taken)
    calls.threads.clear()
    for number in range(30):
        await calls.call([str(number)])
    assert len(calls.threads) == 30
    assert len(set(calls.threads)) == 1


async def test_the_event_loop_runs_while_a_call_hangs(calls: HangingCalls) -> None:
    calls.thread.submit(["hang"])
    turns = 0
    while not calls.is_hanging.is_set() or turns < 100:
        await asyncio.sleep(0)
        turns += 1
    assert calls.thread.take_results() == []
    calls.release.set()
    await calls.results(lambda taken: "hang" in taken)


async def test_a_wait_ends_after_its_time_while_a_call_hangs(calls: HangingCalls) -> None:
    calls.thread.submit(["hang"])
    await calls.thread.wait(0.01)
    assert calls.thread.take_results() == []
    calls.release.set()
    await calls.results(lambda taken: "hang" in taken)


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_wait_ends_though_a_call_returns_at_the_same_moment(turns: int) -> None:
    """A cancellation that is ignored would leave the task that samples, and the program would not quit."""
    reader = ReaderThread[int, int](int)
    waiting = asyncio.ensure_future(reader.wait(60))
    await asyncio.sleep(0.01)
    reader._returned.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    has_ended = waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting], timeout=5)
    assert waiting.cancelled() != has_ended


async def test_an_exception_is_the_result_of_its_call_alone(calls: HangingCalls) -> None:
    results = await calls.call(["a", "raise", "b"])
    assert isinstance(results["raise"], ZeroDivisionError)
    assert (results["a"], results["b"]) == ("A", "B")
    assert await calls.call(["c"]) == {"c": "C"}


def test_it_works_on_a_second_event_loop_after_the_first_one_ended(calls: HangingCalls) -> None:
    for argument in ("first", "second"):
        assert asyncio.run(calls.call([argument])) == {argument: argument.upper()}


def test_a_call_that_returns_after_its_event_loop_ended_does_no_harm(calls: HangingCalls) -> None:
    async def submit() -> None:
        calls.thread.submit(["hang"])
        while not calls.is_hanging.is_set():
            await asyncio.sleep(0)

    asyncio.run(submit())
    calls.release.set()
    results = asyncio.run(calls.call(["a"]))
    assert results["a"] == "A"


ENDS = """
import asyncio, threading
from tcptop.sampling import worker
from tcptop.sampling.reader_thread import ReaderThread
from tcptop.sampling.worker import Worker

is_hanging = threading.Event()

def hang(argument):
    is_hanging.set()
    threading.Event().wait()

async def main():
    ReaderThread(hang).submit(["x"])
    while not is_hanging.is_set():
        await asyncio.sleep(0)

asyncio.run(main())
print("ended")
"""


def test_a_call_that_never_returns_does_not_keep_the_program_from_ending() -> None:
    """The time limit only makes a failure end."""
    ended = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr
