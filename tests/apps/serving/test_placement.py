"""Who loads what: memory, stickiness, spreading, traffic before standby."""

from apps.serving.placement import Wish, place
from contracts.messages import RevisionReport, WorkerLease

GB = 10**9


def worker(name: str, free: float = 8, ready: tuple[str, ...] = (), **fields: object) -> WorkerLease:
    values = {"host": f"host-{name}", "pid": 1, "expires": 0.0, "memory_total": 16 * GB, "memory_free": int(free * GB)}
    revisions = {key: RevisionReport("READY") for key in ready}
    return WorkerLease(name, revisions=revisions, **{**values, **fields})  # type: ignore[arg-type]


def wish(key: str, need: float = 1, **fields: object) -> Wish:
    return Wish(key, int(need * GB), **{"weight": 100, **fields})  # type: ignore[arg-type]


def test_what_does_not_fit_says_how_much_is_missing() -> None:
    plan = place([wish("a", 5.1)], [worker("1", 2), worker("2", 3.8)], {})
    assert (plan.placements, plan.reasons) == ({"a": []}, {"a": "needs 5.1 GB, 3.8 GB free on host-2"})


def test_what_is_placed_and_not_loaded_counts_as_taken() -> None:
    plan = place([wish("a", 5), wish("b", 5)], [worker("1", 8)], {})
    assert plan.placements == {"a": ["1"], "b": []}
    assert plan.reasons == {"b": "needs 5.0 GB, 3.0 GB free on host-1"}


def test_what_is_loaded_does_not_count_twice() -> None:
    plan = place([wish("a", 5), wish("b", 5)], [worker("1", 6, ready=("a",))], {"a": ["1"]})
    assert plan.placements == {"a": ["1"], "b": ["1"]}


def test_loaded_revision_stays_though_another_worker_has_more_room() -> None:
    plan = place([wish("a", 4)], [worker("1", 1, ready=("a",)), worker("2", 30)], {"a": ["1"]})
    assert plan.placements == {"a": ["1"]}


def test_replicas_go_to_different_workers_and_the_rest_waits() -> None:
    workers = [worker("1"), worker("2")]
    assert place([wish("a", replicas=2)], workers, {}).placements == {"a": ["1", "2"]}
    plan = place([wish("a", replicas=3)], workers, {})
    assert (sorted(plan.placements["a"]), plan.reasons) == (["1", "2"], {"a": "2 of 3 workers are there"})


def test_two_revisions_spread_over_two_workers() -> None:
    placements = place([wish("a"), wish("b")], [worker("1"), worker("2")], {}).placements
    assert sorted(placements["a"] + placements["b"]) == ["1", "2"]


def test_dead_worker_is_replaced() -> None:
    assert place([wish("a")], [worker("2")], {"a": ["1"]}).placements == {"a": ["2"]}


def test_worker_that_failed_makes_way_for_one_that_has_not() -> None:
    failed = wish("a", failed_on=frozenset("1"))
    assert place([failed], [worker("1"), worker("2")], {"a": ["1"]}).placements == {"a": ["2"]}
    assert place([failed], [worker("1")], {"a": ["1"]}).placements == {"a": ["1"]}  # it tries again there


def test_scaling_down_keeps_the_ready_one() -> None:
    workers = [worker("1"), worker("2", ready=("a",))]
    assert place([wish("a")], workers, {"a": ["1", "2"]}).placements == {"a": ["2"]}


def test_standby_makes_room_for_traffic_and_not_the_other_way_round() -> None:
    full = [worker("1", 1, ready=("old",))]
    plan = place([wish("old", 6, weight=0), wish("new", 6)], full, {"old": ["1"]})
    assert plan.placements == {"old": [], "new": ["1"]}
    assert plan.reasons == {"old": "made room for a revision with traffic"}
    plan = place([wish("old", 6), wish("new", 6, weight=0)], full, {"old": ["1"]})
    assert plan.placements == {"old": ["1"], "new": []}


def test_gpu_revision_counts_device_memory() -> None:
    gpu = worker("gpu", 1, devices=[{"name": "A", "memory_total": 24 * GB, "memory_free": 20 * GB}])
    assert place([wish("a", 10, needs_gpu=True)], [worker("cpu", 60), gpu], {}).placements == {"a": ["gpu"]}
    plan = place([wish("a", 10, needs_gpu=True)], [worker("cpu", 60)], {})
    assert plan.reasons == {"a": "needs a GPU, no free worker has one"}


def test_without_workers_it_says_so() -> None:
    assert place([wish("a")], [], {"a": ["1"]}).reasons == {"a": "no worker is running"}
