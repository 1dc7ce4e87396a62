"""Runs `tcptop lab` under the load of other programs: `python benchmarks/lab_under_load.py [LABS]`.

Four processes load the machine while the labs run. One process walks the file systems (find), and one process compiles
modules of Python's library. Two processes open and close files and connections in network namespaces of their own
(`CONNECTIONS` and `FILES` every `TICK_S`). For each lab, the output has the number of states in doubt. The output also
has the largest difference from the catalogue, for states in doubt and for all other states. Needs root. TCPTOP_CHECKOUT
names another checkout to measure.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from tcptop.lab.result_file import STATE_PATHS, find_state
from tcptop.lab.socket_program import bring_loopback_up, enter_namespace

CHECKOUT = Path(os.environ.get("TCPTOP_CHECKOUT", Path(__file__).resolve().parents[1]))
LABS = 7
CONNECTIONS = 1
FILES = 50
TICK_S = 0.5
PAUSE_S = 1.0
"""Pause of the walk and of the compiler after each round, so that each takes only a part of a CPU."""

WARM_UP_S = 65.0
"""Pause before the first lab. After the pause, as many connections of the load leave TIME_WAIT as enter TIME_WAIT."""

COMPILE = "import asyncio, compileall; compileall.compile_dir(asyncio.__path__[0], quiet=2, force=True)"

Json = dict[str, Any]


def run_forever(*command: str) -> None:
    """Runs a command again and again, with a folder of its own for compiled modules."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        while True:
            subprocess.run(command, env=environment, capture_output=True, check=False)
            time.sleep(PAUSE_S)


def open_and_close_forever() -> None:
    """Opens and closes files and connections in a namespace of its own."""
    enter_namespace()
    bring_loopback_up()
    with socket.create_server(("127.0.0.1", 0)) as server, tempfile.TemporaryDirectory() as folder:
        while True:
            with ExitStack() as stack:
                for number in range(FILES):
                    stack.enter_context((Path(folder) / str(number)).open("w"))
                for _ in range(CONNECTIONS):
                    stack.enter_context(socket.create_connection(server.getsockname()))
                    stack.enter_context(closing(server.accept()[0]))
                time.sleep(TICK_S / 2)
            time.sleep(TICK_S / 2)


@contextmanager
def load() -> Iterator[None]:
    """Loads the machine until the end of the `with` block."""
    processes = [
        multiprocessing.Process(target=run_forever, args=("find", "/usr", "/proc/self", "-xdev", "-size", "+1")),
        multiprocessing.Process(target=run_forever, args=(sys.executable, "-c", COMPILE)),
        *(multiprocessing.Process(target=open_and_close_forever) for _ in range(2)),
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def run_lab() -> Json:
    """Runs one lab and returns its JSON."""
    # Tests that open sockets hold the same lock (tests/conftest.py).
    with (Path(tempfile.gettempdir()) / "tcptop-tests-count-sockets").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, "-m", "tcptop", "lab", "--json"],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.PIPE,
            check=True,
        )
    found: Json = json.loads(done.stdout)
    return found


def main() -> None:
    """Runs the labs and prints the table."""
    labs = int(sys.argv[1]) if len(sys.argv) > 1 else LABS
    print("lab   seconds   in doubt   largest difference: others   in doubt   states in doubt", flush=True)
    with load():
        time.sleep(WARM_UP_S)
        for number in range(1, labs + 1):
            found = run_lab()
            states = {key: state for key, path in STATE_PATHS.items() if (state := find_state(found, path))}
            in_doubt = {key for key, state in states.items() if is_doubtful(state)}
            largest = [
                max((abs(states[key]["difference"]) for key in keys), default=0.0)
                for keys in (states.keys() - in_doubt, in_doubt)
            ]
            reasons = "; ".join(f"{key}: {states[key].get('doubt')}" for key in sorted(in_doubt))
            print(
                f"{number:3}   {found['took_s']:7.1f}   {len(in_doubt):8}   {100 * largest[0]:25.2f} %"
                f"   {100 * largest[1]:6.2f} %   {reasons}",
                flush=True,
            )


def is_doubtful(state: Json) -> bool:
    """True if a state is marked; a version without the key `doubt` marks a disturbance above 2 %."""
    return state["doubt"] is not None if "doubt" in state else state["disturbance"] > 0.02


if __name__ == "__main__":
    main()
