"""A limit that begins to hold knows what was used while nothing counted it, and what runs."""

from typing import Any

import pytest
import redis

from apps.accounts.keys import create_api_key
from apps.accounts.models import APIKey, User
from apps.quotas.admission import LimitReached
from apps.quotas.models import Limit, Metric, Scope, Window
from apps.quotas.queries import effect_of, limits_with_use
from apps.quotas.services import apply_preset, remove_limit, reserve, set_limit, submit
from apps.quotas.settlement import release
from apps.quotas.usage import Amounts, account_of
from apps.serving import services as serving
from apps.serving.connection import client
from contracts import names
from tests.apps.quotas.test_losses import spend
from tests.fakes import FakeWorker

AT_ONCE, NOW = Metric.CONCURRENT_REQUESTS, Window.NOW
RUNNING = 3


def limit(amount: int | None, *, scope: Scope = Scope.USER, subject: Any = "", metric: Metric = AT_ONCE) -> Limit:
    window = NOW if metric == AT_ONCE else Window.DAY
    return set_limit(scope=scope, subject=str(subject), metric=metric, window=window, amount=amount, actor=None)


def ask(who: User | APIKey) -> str:
    """Send a request; the worker's gate decides whether it ends."""
    target = serving.choose_deployment("echo")
    inputs = {"messages": [{"role": "user", "content": "one two"}]}
    request = serving.build_request(target=target, inputs=inputs, tenant=str(who.pk))
    submit(request=request, who=who, target=target)
    return request.request_id


def used(owner: User) -> list[float]:
    return [one.used for one in limits_with_use(Scope.USER, str(owner.pk))]


@pytest.fixture
def busy(worker: FakeWorker) -> FakeWorker:
    """Keeps what it gets."""
    worker.engine.gate.clear()
    return worker


@pytest.fixture
def key(owner: User) -> APIKey:
    return create_api_key(owner=owner, name="nightly")[0]


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("scope", "whose"),
    [
        (Scope.ORGANIZATION, ""),
        (Scope.USER, "owner"),
        (Scope.USER, ""),
        (Scope.KEY, "key"),
        (Scope.KEY, ""),
    ],
)
def test_as_many_as_the_new_limit_run_and_the_next_is_refused(
    busy: FakeWorker, owner: User, key: APIKey, member: User, scope: Scope, whose: str
) -> None:
    for _ in range(RUNNING):
        ask(key)
    limit(RUNNING, scope=scope, subject={"owner": owner.pk, "key": key.pk, "": ""}[whose])
    with pytest.raises(LimitReached) as refused:
        ask(key)
    assert (refused.value.counter.scope, refused.value.counter.metric) == (scope, AT_ONCE)
    if scope != Scope.ORGANIZATION:
        ask(member)  # who has none running


def test_what_ends_gives_its_place_back_before_it_is_settled(busy: FakeWorker, owner: User) -> None:
    first = [ask(owner) for _ in range(RUNNING)]
    limit(RUNNING, subject=owner.pk)
    assert used(owner) == [RUNNING]
    busy.engine.gate.set()
    busy.wait()
    assert used(owner) == [0]
    busy.engine.gate.clear()
    for _ in range(RUNNING):
        ask(owner)
    with pytest.raises(LimitReached):
        ask(owner)
    for request_id in first:
        serving.settle(request_id=request_id)
    assert used(owner) == [RUNNING]


def test_what_has_ended_and_is_not_settled_runs_no_more(worker: FakeWorker, owner: User) -> None:
    ask(owner)
    worker.wait()
    assert client().hlen(names.RESERVATIONS_KEY) == 1
    limit(1, subject=owner.pk)
    ask(owner)


def test_raising_and_lowering_keep_count(busy: FakeWorker, owner: User) -> None:
    for _ in range(RUNNING):
        ask(owner)
    limit(RUNNING, subject=owner.pk)
    limit(RUNNING + 1, subject=owner.pk)
    ask(owner)
    limit(1, subject=owner.pk)
    assert used(owner) == [RUNNING + 1]
    with pytest.raises(LimitReached):
        ask(owner)


def test_a_limit_that_is_set_again_knows_what_began_meanwhile(busy: FakeWorker, owner: User) -> None:
    first = limit(10, subject=owner.pk)
    ask(owner)
    remove_limit(limit=first, actor=None)
    ask(owner)
    limit(2, subject=owner.pk)
    assert used(owner) == [2]
    with pytest.raises(LimitReached):
        ask(owner)
    assert client().hlen(names.RESERVATIONS_KEY) == 2


def test_a_job_has_a_place_and_gives_it_back(owner: User) -> None:
    reserve(account=account_of(owner), source="job:7:1", amounts=Amounts(compute_ms=1), kind="job")
    limit(1, subject=owner.pk)
    assert used(owner) == [1]
    release(["job:7:1"])
    assert used(owner) == [0]


def test_a_preview_of_requests_at_once_counts_what_runs(busy: FakeWorker, owner: User, member: User) -> None:
    for _ in range(2):
        ask(owner)
    ask(member)
    assert effect_of(Scope.USER, str(owner.pk), AT_ONCE, NOW, 2).over == [owner.email]
    everybody = effect_of(Scope.USER, "", AT_ONCE, NOW, 2)
    assert (everybody.used, everybody.over) == (2, [owner.email])
    assert list(client().scan_iter(names.quota_leases_key("*", "*"))) == []


# -- sums, too: what no limit held for, nobody has counted in Redis


def test_a_preview_sees_what_was_used_since_the_last_one(owner: User) -> None:
    asked = (Scope.USER, str(owner.pk), Metric.REQUESTS, Window.DAY, 5)
    spend(owner, 3)
    assert effect_of(*asked).used == 3
    spend(owner, 4, seed=2)
    assert (effect_of(*asked).used, effect_of(*asked).over) == (7, [owner.email])
    limit(5, subject=owner.pk, metric=Metric.REQUESTS)
    assert used(owner) == [7]


def test_spend_while_it_was_lifted_counts(owner: User) -> None:
    first = limit(100, subject=owner.pk, metric=Metric.REQUESTS)
    spend(owner, 3)
    remove_limit(limit=first, actor=None)
    spend(owner, 4, seed=2)
    limit(100, subject=owner.pk, metric=Metric.REQUESTS)
    assert used(owner) == [7]
    limit(None, subject=owner.pk, metric=Metric.REQUESTS)
    spend(owner, 5, seed=3)
    limit(100, subject=owner.pk, metric=Metric.REQUESTS)
    assert used(owner) == [12]


def test_spend_while_somebody_was_exempt_from_the_default_counts(owner: User, member: User) -> None:
    limit(100, metric=Metric.REQUESTS)
    spend(owner, 3)
    apply_preset(scope=Scope.USER, subject=str(owner.pk), preset="unlimited", actor=None)
    spend(owner, 4, seed=2)
    remove_limit(limit=Limit.objects.get(subject=str(owner.pk)), actor=None)
    assert used(owner) == [7]
    apply_preset(scope=Scope.USER, subject=str(owner.pk), preset="unlimited", actor=None)
    spend(owner, 1, seed=3)
    spend(member, 1, seed=4)
    apply_preset(scope=Scope.USER, subject=str(owner.pk), preset="free", actor=None)
    uses = {(one.metric, one.window): one.used for one in limits_with_use(Scope.USER, str(owner.pk))}
    assert uses[Metric.REQUESTS, Window.DAY] == 8


def test_a_default_that_comes_back_counts_for_everybody(owner: User, member: User) -> None:
    default = limit(100, metric=Metric.REQUESTS)
    spend(owner, 3)
    spend(member, 2, seed=2)
    remove_limit(limit=default, actor=None)
    spend(owner, 1, seed=3)
    spend(member, 1, seed=4)
    limit(100, metric=Metric.REQUESTS)
    assert (used(owner), used(member)) == ([4], [3])


def test_no_limit_is_set_while_redis_does_not_answer(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(counter: Any) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr("apps.quotas.services.forget", away)
    with pytest.raises(ValueError, match="Redis does not answer"):
        limit(1, subject=owner.pk)
    assert not Limit.objects.exists()
