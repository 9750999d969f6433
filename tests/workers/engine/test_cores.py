"""Deployments of one worker share its cores."""

import threading
import time

import pytest

from workers.engine.cores import Cores

pytestmark = pytest.mark.unit


def test_never_more_threads_than_cores() -> None:
    cores, lock = Cores(3), threading.Lock()
    running, most = 0, 0

    def work(threads: int) -> None:
        nonlocal running, most
        for _ in range(30):
            with cores.turn(str(threads), threads):
                with lock:
                    running += threads
                    most = max(most, running)
                time.sleep(0.0005)
                with lock:
                    running -= threads

    workers = [threading.Thread(target=work, args=(threads,)) for threads in (1, 1, 2, 3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert (running, most) == (0, 3)


def test_two_busy_deployments_get_half_each_whatever_they_take() -> None:
    cores, stop = Cores(2), time.monotonic() + 1.0
    used = {"small": 0.0, "large": 0.0}

    def work(name: str, threads: int, seconds: float) -> None:
        while time.monotonic() < stop:
            with cores.turn(name, threads):
                time.sleep(seconds)
            used[name] += threads * seconds

    workers = [
        threading.Thread(target=work, args=args)
        for args in (("small", 1, 0.002), ("small", 1, 0.002), ("large", 2, 0.02))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert 0.35 < used["large"] / sum(used.values()) < 0.65


def test_a_turn_wider_than_the_machine_takes_all_of_it() -> None:
    cores = Cores(2)
    with cores.turn("a", 8):
        assert cores._free == 0
    assert cores._free == 2


def test_a_turn_that_fails_gives_its_cores_back() -> None:
    cores = Cores(1)
    with pytest.raises(RuntimeError), cores.turn("a", 1):
        raise RuntimeError
    with cores.turn("b", 1):
        pass
