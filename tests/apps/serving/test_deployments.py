"""Verbs on deployments with a worker that follows: traffic, audit, refusals."""

import threading
import time

import pytest
from django.db import connection, transaction

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.audit.queries import entries_of
from apps.registry.models import ModelVersion
from apps.serving import deployments, guard, queries, services, stats
from apps.serving.locks import wait_for_turn
from apps.serving.models import Deployment, Revision
from apps.serving.reconcile import reconcile
from apps.serving.traffic import scaled, weights_of
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def better(version: ModelVersion) -> ModelVersion:
    return ModelVersion.objects.create(model=version.model, number=2, artifact="better", digest="e" * 64)


@pytest.fixture
def broken(version: ModelVersion) -> ModelVersion:
    return ModelVersion.objects.create(model=version.model, number=3, artifact="broken", digest="f" * 64)


def turn(worker: FakeWorker) -> None:
    """What happens within a second: the worker follows, the reconciler looks."""
    reconcile()
    worker.follow()
    reconcile()


def actions(deployment: Deployment) -> list[str]:
    return [entry.action.removeprefix("deployment.") for entry in entries_of(deployment).order_by("pk")]


def state(deployment: Deployment, number: int) -> tuple[str, int, bool]:
    one = deployment.revisions.get(number=number)
    return one.state, one.weight, one.is_wanted


def test_creating_loads_and_serves(worker: FakeWorker, deployment: Deployment) -> None:
    assert state(deployment, 1) == ("READY", 100, True)
    target = services.choose_deployment("echo")
    assert (target.revision, target.title, target.limit) == ("echo@1", "Echo", 128 + 4)
    assert actions(deployment) == ["create", "revision_ready"]


def test_new_version_takes_over_when_ready_and_the_old_stands_by(
    worker: FakeWorker, deployment: Deployment, better: ModelVersion
) -> None:
    deployments.deploy(version=better, name="echo")
    deployments.deploy(version=better, name="echo")
    assert [state(deployment, number)[:2] for number in (1, 2)] == [("READY", 100), ("PENDING", 0)]
    assert services.choose_deployment("echo").revision == "echo@1"
    turn(worker)
    assert [state(deployment, number) for number in (1, 2)] == [("READY", 0, True), ("READY", 100, True)]
    assert services.choose_deployment("echo").revision == "echo@2"
    assert actions(deployment)[-3:] == ["add_revision", "revision_ready", "took_over"]


def test_broken_version_never_gets_traffic(
    worker: FakeWorker, deployment: Deployment, broken: ModelVersion, owner: User
) -> None:
    revision = deployments.add_revision(actor=owner, deployment=deployment, version=broken, weight=100)
    turn(worker)
    revision.refresh_from_db()
    assert (revision.state, revision.weight, revision.reason) == ("FAILED", 0, "ValueError: model.onnx is missing")
    assert {services.choose_deployment("echo").revision for _ in range(50)} == {"echo@1"}
    assert actions(deployment)[-1] == "revision_failed"


def test_broken_canary_leaves_its_share_to_the_others(
    worker: FakeWorker, deployment: Deployment, broken: ModelVersion, owner: User
) -> None:
    deployments.add_revision(actor=owner, deployment=deployment, version=broken, weight=30)
    turn(worker)
    assert weights_of(deployment) == {1: 70, 2: 30}
    assert {services.choose_deployment("echo").revision for _ in range(50)} == {"echo@1"}


def test_canary_grows_and_rolls_back_at_once(
    worker: FakeWorker, deployment: Deployment, better: ModelVersion, owner: User
) -> None:
    deployments.add_revision(actor=owner, deployment=deployment, version=better, weight=10)
    turn(worker)
    assert weights_of(deployment) == {1: 90, 2: 10}
    assert {services.choose_deployment("echo").revision for _ in range(30)} == {"echo@1", "echo@2"}
    deployments.set_weights(actor=owner, deployment=deployment, weights={1: 50, 2: 50})
    deployments.promote(actor=owner, revision=deployment.revisions.get(number=2))
    assert weights_of(deployment) == {1: 0, 2: 100}
    assert deployments.roll_back(actor=owner, deployment=deployment).number == 1
    assert {services.choose_deployment("echo").revision for _ in range(30)} == {"echo@1"}
    entry = AuditEntry.objects.get(action="deployment.roll_back")
    assert (entry.actor_id, entry.data) == (
        owner.pk,
        {"revision": 1, "from_revision": 2, "weights": {"1": [0, 100], "2": [100, 0]}},
    )


def test_rolling_back_to_a_stopped_revision_serves_on_until_it_is_ready(
    worker: FakeWorker, deployment: Deployment, better: ModelVersion, owner: User
) -> None:
    deployments.deploy(version=better, name="echo")
    turn(worker)
    deployments.stop_revision(actor=owner, revision=deployment.revisions.get(number=1))
    turn(worker)
    assert state(deployment, 1) == ("STOPPED", 0, False)
    deployments.roll_back(actor=owner, deployment=deployment)
    assert services.choose_deployment("echo").revision == "echo@2"
    turn(worker)
    assert services.choose_deployment("echo").revision == "echo@1"


def test_nothing_to_go_back_to_is_said(worker: FakeWorker, deployment: Deployment, owner: User) -> None:
    with pytest.raises(ValueError, match="deployment: has no earlier revision"):
        deployments.roll_back(actor=owner, deployment=deployment)


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({1: 60, 2: 30}, "sum to 100"),
        ({1: 110, 2: -10}, "sum to 100"),
        ({7: 100}, "revision 7 does not run"),
        ({2: 100}, "none of these revisions is ready"),
    ],
)
def test_weights_that_cannot_be(
    weights: dict[int, int], reason: str, worker: FakeWorker, deployment: Deployment, broken: ModelVersion, owner: User
) -> None:
    deployments.add_revision(actor=owner, deployment=deployment, version=broken)
    turn(worker)
    with pytest.raises(ValueError, match=f"weights: .*{reason}"):
        deployments.set_weights(actor=owner, deployment=deployment, weights=weights)
    assert weights_of(deployment) == {1: 100, 2: 0}


def test_pause_refuses_and_keeps_it_loaded(worker: FakeWorker, deployment: Deployment, owner: User) -> None:
    deployments.pause(actor=owner, deployment=deployment)
    turn(worker)
    with pytest.raises(services.NoWorker, match="echo is paused"):
        services.choose_deployment("echo")
    assert state(deployment, 1) == ("READY", 100, True)
    deployments.resume(actor=owner, deployment=deployment)
    assert services.choose_deployment("echo").revision == "echo@1"


def test_scaling_places_it_on_another_worker(worker: FakeWorker, deployment: Deployment, owner: User) -> None:
    other = FakeWorker(worker.host.client, worker.settle).start()
    deployments.scale(actor=owner, revision=deployment.revisions.get(), replicas=2)
    other.follow()
    assert [lease.is_ready("echo@1") for lease in queries.leases()] == [True, True]
    with pytest.raises(ValueError, match="replicas: must be between"):
        deployments.scale(actor=owner, revision=deployment.revisions.get(), replicas=0)


def test_retry_loads_what_had_failed(
    worker: FakeWorker, deployment: Deployment, broken: ModelVersion, owner: User
) -> None:
    revision = deployments.add_revision(actor=owner, deployment=deployment, version=broken)
    turn(worker)
    worker.broken.clear()
    deployments.retry(actor=owner, revision=revision)
    turn(worker)
    worker.follow()
    reconcile()
    assert state(deployment, 2) == ("READY", 0, True)


def test_deleting_unloads_and_the_name_is_unknown(worker: FakeWorker, deployment: Deployment, owner: User) -> None:
    deployments.delete_deployment(actor=owner, deployment=deployment)
    worker.follow()
    assert worker.listening == []
    with pytest.raises(services.UnknownDeployment):
        services.choose_deployment("echo")


def test_stopped_deployment_is_known_and_has_no_worker(worker: FakeWorker, deployment: Deployment, owner: User) -> None:
    deployments.stop_revision(actor=owner, revision=deployment.revisions.get())
    turn(worker)
    with pytest.raises(services.NoWorker):
        services.choose_deployment("echo")


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"name": "echo"}, "name"), ({"replicas": -1}, "replicas"), ({"guard_error_rate": 2}, "guard_error_rate"),
     ({"colour": "red"}, "colour"), ({"provider": "abacus"}, "provider")],
)  # fmt: skip
def test_settings_that_cannot_be_are_named(
    settings: dict[str, object], field: str, deployment: Deployment, version: ModelVersion
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        deployments.create_deployment(actor=None, version=version, **{"name": "other", **settings})  # type: ignore[arg-type]
    assert Deployment.objects.count() == 1


def test_wrong_task_is_refused(worker: FakeWorker, deployment: Deployment) -> None:
    with pytest.raises(services.WrongTask, match="made for text-generation, not for feature-extraction"):
        services.choose_deployment("echo", task="feature-extraction")


def counted(revision: Revision, requests: int, errors: int, latency: float = 0.1) -> None:
    for place in range(requests):
        stats.add({revision.key: stats.measured(times={"latency": latency}, is_error=place < errors)})


@pytest.fixture
def canary(worker: FakeWorker, deployment: Deployment, better: ModelVersion) -> Revision:
    revision = deployments.add_revision(actor=None, deployment=deployment, version=better, weight=50)
    turn(worker)
    revision.refresh_from_db()
    return revision


def test_guard_takes_back_a_canary_that_errors(deployment: Deployment, canary: Revision) -> None:
    counted(canary, 20, 2)
    assert guard.watch() == ["echo"]
    assert weights_of(deployment) == {1: 100, 2: 0}
    entry = AuditEntry.objects.get(action="deployment.roll_back")
    assert (entry.actor_label, entry.data["reason"]) == ("guard", "2 of 20 requests failed, 5% are allowed")
    assert guard.watch() == []


def test_guard_takes_back_a_canary_that_is_slow(deployment: Deployment, canary: Revision) -> None:
    deployments.set_guard(actor=None, deployment=deployment, guard_p95_seconds=0.5)
    counted(canary, 20, 0, latency=1.0)
    assert guard.watch() == ["echo"]


def test_guard_leaves_alone_what_keeps_its_limits(deployment: Deployment, canary: Revision) -> None:
    counted(canary, 100, 5)
    assert guard.watch() == []


def test_guard_does_not_judge_by_a_few(deployment: Deployment, canary: Revision) -> None:
    counted(canary, 19, 19)
    assert guard.watch() == []


def test_guard_needs_somebody_to_stand_in(worker: FakeWorker, deployment: Deployment) -> None:
    counted(deployment.revisions.get(), 50, 50)
    assert guard.watch() == []


def test_scaled_weights_sum_up() -> None:
    assert scaled({1: 50, 2: 25, 3: 25}, 90) == {1: 45, 2: 23, 3: 22}
    assert scaled({1: 1, 2: 1, 3: 1}, 100) == {1: 34, 2: 33, 3: 33}
    assert scaled({1: 0}, 90) == {1: 0}


def test_verbs_wait_while_the_reconciler_is_at_work(
    worker: FakeWorker, deployment: Deployment, better: ModelVersion
) -> None:
    """Both write the rows of all revisions; locking them one by one ended in deadlocks."""
    deployments.add_revision(actor=None, deployment=deployment, version=better)
    turn(worker)
    at_work, done = threading.Event(), threading.Event()

    def be_the_reconciler() -> None:
        with transaction.atomic():
            wait_for_turn()
            at_work.set()
            done.wait(10)
        connection.close()

    def move() -> None:
        deployments.set_weights(actor=None, deployment=deployment, weights={1: 60, 2: 40})
        connection.close()

    threads = [threading.Thread(target=be_the_reconciler), threading.Thread(target=move)]
    threads[0].start()
    at_work.wait(10)
    threads[1].start()
    time.sleep(0.5)
    assert weights_of(deployment) == {1: 100, 2: 0}
    done.set()
    for thread in threads:
        thread.join(10)
    assert weights_of(deployment) == {1: 60, 2: 40}
